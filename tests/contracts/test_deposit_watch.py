"""The deposit watcher on a real node: reorganisations above and below the depth, restarts, and liars."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from novate.settlement.client import Sender, SettlementClient, SettlementError
from novate.settlement.deposit_watch import DeepReorganisation, DepositWatch, watch_inbox
from novate.settlement.endpoints import EndpointsDisagree
from novate.settlement.fees import GWEI
from tests.contracts.anvil_node import Anvil, run_anvil
from tests.contracts.posting_world import OPERATOR, TRADER, PostingWorld
from tests.contracts.rpc_proxy import Lie, Proxy, open_proxies

DEPTH = 4


@pytest.fixture(scope="module")
def node() -> Iterator[Anvil]:
    """One node for the module; every transaction gets a block."""
    with run_anvil() as anvil:
        yield anvil


@pytest.fixture(scope="module")
def proxies(node: Anvil) -> Iterator[list[Proxy]]:
    """Two endpoints that lead to the node."""
    with open_proxies(node.address, 2) as pair:
        yield pair


@pytest.fixture
def world(node: Anvil, proxies: list[Proxy]) -> Iterator[PostingWorld]:
    """A vault, and a trader with tokens who allows it to take them."""
    snapshot = node.ask("evm_snapshot")
    node.ask("anvil_setNextBlockBaseFeePerGas", hex(GWEI))
    world = PostingWorld(node, 1)
    world.client.mint(TRADER.address, 10**12)
    trader = SettlementClient(node.web3, TRADER, world.manifest)
    trader._require_sender().call(world.manifest.token, "TestUSD", "approve", world.manifest.vault, 10**12)
    for proxy in proxies:
        proxy.heal()
    yield world
    node.ask("evm_revert", snapshot)


def deposit(world: PostingWorld, amount: int) -> None:
    """Make a deposit in a block of its own."""
    trader = SettlementClient(world.node.web3, TRADER, world.manifest)
    trader._require_sender().call(world.manifest.vault, "Vault", "deposit", 0, amount)


def watch(
    world: PostingWorld,
    cursor: int = 0,
    path: Path | None = None,
    addresses: list[str] | None = None,
    depth: int = DEPTH,
) -> DepositWatch:
    """Return a watcher as a new process would make it."""
    log = watch_inbox(world.manifest.inbox)
    return DepositWatch(world.chain(addresses, depth), log, cursor, world.manifest.block_number, path)


def amounts(watcher: DepositWatch) -> list[tuple[int, int]]:
    """Poll once."""
    return [(deposit.cursor, deposit.amount_atoms) for deposit in watcher.poll()]


def test_a_deposit_counts_at_its_depth(world: PostingWorld) -> None:
    """Not a block earlier, once, and in order."""
    watcher = watch(world)
    deposit(world, 5)
    deposit(world, 6)
    world.node.mine(DEPTH - 2)
    assert [] == amounts(watcher)
    world.node.mine()
    assert [(1, 5)] == amounts(watcher)
    assert [] == amounts(watcher)
    world.node.mine()
    assert [(2, 6)] == amounts(watcher)


def test_a_reorganisation_above_the_depth_is_invisible(world: PostingWorld) -> None:
    """A deposit that the chain took back was never credited; the one in its place gets its cursor."""
    watcher = watch(world)
    deposit(world, 5)
    world.node.mine(DEPTH - 1)
    assert [] == amounts(watcher)
    world.node.ask("anvil_reorg", DEPTH, [])
    world.node.mine(DEPTH)
    assert [] == amounts(watcher)
    deposit(world, 7)
    world.node.mine(DEPTH)
    assert [(1, 7)] == amounts(watcher)


def test_without_depth_a_reorganisation_credits_what_is_not_there(world: PostingWorld) -> None:
    """The undefended twin: a watcher that does not wait has credited a deposit that the chain took back."""
    watcher = watch(world, depth=0)
    deposit(world, 5)
    assert [(1, 5)] == amounts(watcher)
    world.node.ask("anvil_reorg", 1, [])
    assert 0 == world.client.entry_count()


@pytest.mark.parametrize("has_restarted", [False, True])
def test_a_deeper_reorganisation_stops_loudly(
    world: PostingWorld, tmp_path: Path, has_restarted: bool
) -> None:
    """Once confirmed blocks were replaced nothing is handed over any more, also not by the next process."""
    path = tmp_path / "mark.json"
    watcher = watch(world, path=path)
    deposit(world, 5)
    world.node.mine(DEPTH)
    assert [(1, 5)] == amounts(watcher)
    watcher.acknowledge()
    world.node.ask("anvil_reorg", DEPTH + 1, [])
    deposit(world, 7)
    if has_restarted:
        watcher = watch(world, 1, path)
    for _ in range(3):
        with pytest.raises(DeepReorganisation, match=r"deeper than 4 blocks. Deposits up to 1 were credited"):
            watcher.poll()
        world.node.mine(DEPTH)


def test_a_restart_goes_on_where_it_was(world: PostingWorld, tmp_path: Path) -> None:
    """Killed before or after it acknowledged, the next process hands over exactly what is missing."""
    path = tmp_path / "mark.json"
    first = watch(world, path=path)
    deposit(world, 5)
    deposit(world, 6)
    world.node.mine(DEPTH)
    assert [(1, 5), (2, 6)] == amounts(first)
    # Killed before the second was kept and before the mark was written.
    second = watch(world, 1, path)
    assert [(2, 6)] == amounts(second)
    second.acknowledge()
    third = watch(world, 2, path)
    assert [] == amounts(third)
    # A journal that was put back to an older state gets again what it lacks, from the beginning.
    assert [(1, 5), (2, 6)] == amounts(watch(world, 0, path))


def test_credits_beyond_the_chain_are_said_aloud(world: PostingWorld) -> None:
    """A process that has credited more than the chain holds, with no mark left, hands over nothing."""
    deposit(world, 5)
    world.node.mine(DEPTH)
    with pytest.raises(EndpointsDisagree, match=r"counts 1 deposits at block .*, 2 were credited"):
        watch(world, 2).poll()


def test_a_damaged_mark_is_an_error(world: PostingWorld, tmp_path: Path) -> None:
    """A mark that cannot be read is not taken for none."""
    path = tmp_path / "mark.json"
    path.write_bytes(b"{")
    with pytest.raises(SettlementError, match="is damaged"):
        watch(world, path=path)


def invent_log(method: str, params: list[Any], answer: Any) -> Any:
    """A deposit of a million that nobody made."""
    if method == "eth_getLogs" and answer:
        # The data of an entry: kind, asset, amount, and more.
        data = answer[0]["data"]
        amount = (10**12).to_bytes(32, "big").hex()
        return [{**answer[0], "data": data[:130] + amount + data[194:]}, *answer[1:]]
    return answer


def forget_logs(method: str, params: list[Any], answer: Any) -> Any:
    """No log at all."""
    return [] if method == "eth_getLogs" else answer


def break_receipt(method: str, params: list[Any], answer: Any) -> Any:
    """A receipt that says that the transaction reverted."""
    return {**answer, "status": "0x0"} if method == "eth_getTransactionReceipt" and answer else answer


def fork_history(method: str, params: list[Any], answer: Any) -> Any:
    """Another branch."""
    if method == "eth_getBlockByNumber" and answer:
        return {**answer, "hash": "0x" + "ab" * 32}
    return answer


@pytest.mark.parametrize("liar", [0, 1])
@pytest.mark.parametrize("lie", [invent_log, forget_logs, break_receipt, fork_history])
def test_a_lie_stops_deposits_until_it_ends(
    world: PostingWorld, proxies: list[Proxy], lie: Lie, liar: int
) -> None:
    """Whichever endpoint lies nothing is credited, and when they agree again the true deposit is."""
    watcher = watch(world, addresses=[proxy.address for proxy in proxies])
    deposit(world, 5)
    world.node.mine(DEPTH)
    proxies[liar].lie = lie
    with pytest.raises(EndpointsDisagree):
        watcher.poll()
    assert 0 == watcher.cursor
    proxies[liar].heal()
    assert [(1, 5)] == amounts(watcher)


def test_logs_that_all_forget_are_missed(world: PostingWorld, proxies: list[Proxy]) -> None:
    """If every endpoint leaves a log out, the inbox's own count still says that one is missing."""
    watcher = watch(world, addresses=[proxy.address for proxy in proxies])
    deposit(world, 5)
    world.node.mine(DEPTH)
    for proxy in proxies:
        proxy.lie = forget_logs
    with pytest.raises(EndpointsDisagree, match="the inbox counts 1 deposits, its logs show 0"):
        watcher.poll()


def test_one_liar_alone_would_be_believed(world: PostingWorld, proxies: list[Proxy]) -> None:
    """The undefended twin: a watcher of one endpoint that lies alike in log and receipt credits the lie."""

    def lie(method: str, params: list[Any], answer: Any) -> Any:
        if method == "eth_getTransactionReceipt" and answer:
            return {**answer, "logs": [invent_log("eth_getLogs", [], answer["logs"][-1:])[0]]}
        return invent_log(method, params, answer)

    deposit(world, 5)
    world.node.mine(DEPTH)
    proxies[0].lie = lie
    assert [(1, 10**12)] == amounts(watch(world, addresses=[proxies[0].address]))
    both = watch(world, addresses=[proxy.address for proxy in proxies])
    with pytest.raises(EndpointsDisagree, match="disagree on the logs"):
        both.poll()


def test_an_inbox_is_watched_as_a_vault_is(world: PostingWorld) -> None:
    """Entries of the inbox are deposits; one of another kind is named and never passed over."""
    trader = Sender(world.node.web3, TRADER)
    other = OPERATOR.address
    inbox = str(trader.deploy("Inbox", TRADER.address, TRADER.address, other)["contractAddress"])
    watcher = DepositWatch(world.chain(None, 1), watch_inbox(inbox), 0, world.manifest.block_number)
    for kind, amount in ((1, 5), (1, 6), (2, 0)):
        trader.call(inbox, "Inbox", "append", kind, other, 0, amount, b"")
    assert [(1, 5), (2, 6)] == amounts(watcher)
    world.node.mine()
    with pytest.raises(SettlementError, match="entry 3 is of kind 2"):
        watcher.poll()
    assert 2 == watcher.cursor
