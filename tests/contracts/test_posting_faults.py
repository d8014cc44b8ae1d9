"""The poster against endpoints that lie, hang, cut and drop, and against its own death at every operation."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import novate.settlement.posting_record as posting_record
from novate.settlement.endpoints import EndpointError, EndpointsDisagree, WitnessedChain
from novate.settlement.fees import GWEI, PostingHeld
from novate.settlement.files import replace_file
from tests.contracts.anvil_node import Anvil, run_anvil
from tests.contracts.posting_world import PostingWorld
from tests.contracts.rpc_proxy import Lie, Proxy, open_proxies


@pytest.fixture(scope="module")
def node() -> Iterator[Anvil]:
    """One node for the module."""
    with run_anvil() as anvil:
        yield anvil


@pytest.fixture(scope="module")
def proxies(node: Anvil) -> Iterator[list[Proxy]]:
    """Two endpoints that lead to the node."""
    with open_proxies(node.address, 2) as pair:
        yield pair


@pytest.fixture
def world(node: Anvil, proxies: list[Proxy]) -> Iterator[PostingWorld]:
    """A fresh deployment; blocks are mined by hand and both endpoints are honest."""
    snapshot = node.ask("evm_snapshot")
    node.ask("evm_setAutomine", True)
    node.ask("anvil_setNextBlockBaseFeePerGas", hex(GWEI))
    world = PostingWorld(node, 8)
    node.ask("evm_setAutomine", False)
    for proxy in proxies:
        proxy.heal()
    yield world
    node.ask("anvil_dropAllTransactions")
    node.ask("evm_revert", snapshot)


def lie_about_chain(method: str, params: list[Any], answer: Any) -> Any:
    """Another network."""
    return "0x1" if method == "eth_chainId" else answer


def lie_about_history(method: str, params: list[Any], answer: Any) -> Any:
    """A branch of its own."""
    if method == "eth_getBlockByNumber" and answer:
        return {**answer, "hash": "0x" + "ab" * 32}
    return answer


def lie_about_state(method: str, params: list[Any], answer: Any) -> Any:
    """Every view returns 7: seven batches are posted already."""
    return "0x" + (7).to_bytes(32, "big").hex() if method == "eth_call" else answer


def lie_about_nonce(method: str, params: list[Any], answer: Any) -> Any:
    """A nonce far ahead, so that nothing sent could ever be mined."""
    return "0x40" if method == "eth_getTransactionCount" else answer


def answer_nonsense(method: str, params: list[Any], answer: Any) -> Any:
    """The wrong type in every place."""
    return {"number": 5, "hash": None}


def stand_still(method: str, params: list[Any], answer: Any) -> Any:
    """A node that stopped following the chain long ago."""
    return "0x0" if method == "eth_blockNumber" else answer


LIES: dict[str, tuple[Lie, type[Exception], str]] = {
    "chain": (lie_about_chain, EndpointsDisagree, "serves chain 1, not 31337"),
    "history": (lie_about_history, EndpointsDisagree, "disagree on block"),
    "state": (lie_about_state, EndpointsDisagree, "disagree on a call of"),
    "nonce": (lie_about_nonce, EndpointsDisagree, "disagree on the nonce"),
    "nonsense": (answer_nonsense, EndpointError, "with nonsense"),
    "standstill": (stand_still, EndpointsDisagree, "blocks behind"),
}


@pytest.mark.parametrize("liar", [0, 1])
@pytest.mark.parametrize("name", LIES)
def test_a_lie_stops_posting_until_it_ends(
    world: PostingWorld, proxies: list[Proxy], tmp_path: Path, name: str, liar: int
) -> None:
    """Whichever endpoint lies, nothing is sent and the message says about what; then it goes on."""
    lie, error, message = LIES[name]
    poster = world.poster(tmp_path / "record.json", [proxy.address for proxy in proxies])
    world.node.mine(20)
    proxies[liar].lie = lie
    with pytest.raises(error, match=message):
        poster.step(2)
    assert [] == poster.record.attempts
    assert "0x0" == world.node.ask("txpool_status")["pending"]
    proxies[liar].heal()
    world.drive(poster, 2)
    world.require_posted(2)


def test_one_liar_alone_would_be_believed(world: PostingWorld, proxies: list[Proxy], tmp_path: Path) -> None:
    """The undefended twin: a poster with one endpoint sends into the void what that endpoint tells it to."""
    proxies[0].lie = lie_about_nonce
    poster = world.poster(tmp_path / "record.json", [proxies[0].address])
    poster.step(1)
    world.node.mine(3)
    assert 0 == world.client.batch_count()
    assert 0x40 == poster.record.attempts[0].nonce


FAULTS: dict[str, Callable[[Proxy], None]] = {
    "dropped": lambda proxy: setattr(proxy, "is_dropping", True),
    "cut": lambda proxy: setattr(proxy, "is_cutting", True),
    "garbled": lambda proxy: setattr(proxy, "is_garbled", True),
    "late": lambda proxy: setattr(proxy, "delay_s", 1.0),
}


@pytest.mark.parametrize("name", FAULTS)
def test_silence_stops_posting_until_it_ends(
    world: PostingWorld, proxies: list[Proxy], tmp_path: Path, name: str
) -> None:
    """An endpoint without a usable answer stops the poster with its name, and no longer than it lasts."""
    poster = world.poster(tmp_path / "record.json", [proxy.address for proxy in proxies])
    FAULTS[name](proxies[1])
    with pytest.raises(EndpointError, match=r"endpoint 2 .* gave no usable answer to eth_chainId"):
        poster.step(2)
    proxies[1].heal()
    world.drive(poster, 2)
    world.require_posted(2)


def test_swallowed_transactions_are_sent_again(
    world: PostingWorld, proxies: list[Proxy], tmp_path: Path
) -> None:
    """An endpoint that says yes and forwards nothing delays a batch by a step; two delay it as long."""
    poster = world.poster(tmp_path / "record.json", [proxy.address for proxy in proxies])
    for proxy in proxies:
        proxy.swallowed.add("eth_sendRawTransaction")
    poster.step(2)
    signed = [attempt.hash for attempt in poster.record.attempts]
    assert "0x0" == world.node.ask("txpool_status")["pending"]
    proxies[1].heal()
    poster.step(2)
    assert "0x2" == world.node.ask("txpool_status")["pending"]
    assert signed == [attempt.hash for attempt in poster.record.attempts]
    world.drive(poster, 2)
    world.require_posted(2)


class Killed(BaseException):
    """The process died here."""


class Reaper:
    """Kills at one operation of a run: a request, or a step of writing the record; before or after it."""

    def __init__(self, kill_at: int) -> None:
        self.kill_at = kill_at
        self.count = 0

    def tick(self) -> None:
        """One place at which a process can die."""
        self.count += 1
        if self.count == self.kill_at:
            raise Killed

    def bind(self, chain: WitnessedChain) -> None:
        """Stand before and after each request of the endpoints."""
        for endpoint in chain.endpoints:
            transport = endpoint._transport

            def ask(method: str, params: Any, real: Any = transport) -> Any:
                self.tick()
                answer = real(method, params)
                self.tick()
                return answer

            endpoint._transport = ask

    def replace(self, path: Path, data: bytes) -> None:
        """Write the record with places to die before, in the middle of and after the write."""
        self.tick()
        path.with_name(path.name + ".partial").write_bytes(data[: len(data) // 2])
        self.tick()
        replace_file(path, data)
        self.tick()


def run_until_killed(world: PostingWorld, record: Path, reaper: Reaper) -> bool:
    """Post two batches in one process that may die; whether it lived to see them confirmed."""
    try:
        poster = world.poster(record, confirmations=1)
        reaper.bind(poster.chain)
        world.drive(poster, 2)
    except Killed:
        return False
    return True


def test_death_at_any_operation_loses_and_doubles_nothing(
    world: PostingWorld, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed once at each request and each write of the record, the next process posts each batch once."""
    kill_at, is_done = 0, False
    while not is_done:
        kill_at += 1
        snapshot = world.node.ask("evm_snapshot")
        reaper = Reaper(kill_at)
        monkeypatch.setattr(posting_record, "replace_file", reaper.replace)
        record = tmp_path / f"{kill_at}.json"
        is_done = run_until_killed(world, record, reaper)
        if not is_done:
            assert run_until_killed(world, record, Reaper(0)), "The second process lives."
        world.require_posted(2)
        assert [(world.first_nonce, 1), (world.first_nonce + 1, 1)] == [row[:2] for row in world.mined()]
        world.node.ask("anvil_dropAllTransactions")
        assert world.node.ask("evm_revert", snapshot)
    assert kill_at > 40


def test_an_alarm_names_no_secret(world: PostingWorld, proxies: list[Proxy], tmp_path: Path) -> None:
    """Providers put keys into the paths of addresses; messages name the host alone."""
    poster = world.poster(tmp_path / "record.json", [proxies[0].address + "/v2/secret-key"])
    proxies[0].is_dropping = True
    with pytest.raises(EndpointError) as caught:
        poster.step(1)
    assert "secret-key" not in str(caught.value)
    assert "127.0.0.1" in str(caught.value)


def test_alarms_are_not_answers(world: PostingWorld, tmp_path: Path) -> None:
    """A posting key without ether holds posting with the node's own words."""
    world.node.ask("anvil_setBalance", world.poster(None).account.address, "0x0")
    with pytest.raises(PostingHeld, match=r"batch 1 was not taken.*[Ff]unds"):
        world.poster(tmp_path / "record.json").step(1)
