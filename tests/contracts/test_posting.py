"""The poster on a real node: reorganisations, stuck and replaced transactions, gas spikes, foreign nonces."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from novate.settlement.client import SettlementError
from novate.settlement.fees import GWEI, PostingHeld
from tests.contracts.anvil_node import Anvil, run_anvil
from tests.contracts.lifecycle import make_header
from tests.contracts.posting_world import OPERATOR, TRADER, PostingWorld


@pytest.fixture(scope="module")
def node() -> Iterator[Anvil]:
    """One node for the module."""
    with run_anvil() as anvil:
        yield anvil


@pytest.fixture
def world(node: Anvil) -> Iterator[PostingWorld]:
    """A fresh deployment that waits for blocks to be mined by hand."""
    snapshot = node.ask("evm_snapshot")
    node.ask("evm_setAutomine", True)
    node.ask("anvil_setNextBlockBaseFeePerGas", hex(GWEI))
    world = PostingWorld(node)
    node.ask("evm_setAutomine", False)
    yield world
    node.ask("anvil_setNextBlockBaseFeePerGas", hex(GWEI))
    node.ask("anvil_dropAllTransactions")
    node.ask("evm_revert", snapshot)


def test_batches_are_posted_once_and_confirmed(world: PostingWorld, tmp_path: Path) -> None:
    """Every batch gets one transaction; what is confirmed is forgotten, and then a step does nothing."""
    poster = world.poster(tmp_path / "record.json")
    world.drive(poster, 20)
    world.require_posted(20)
    nonces = [(world.first_nonce + i, 1) for i in range(20)]
    assert nonces == [row[:2] for row in world.mined()]
    assert [] == poster.record.attempts
    progress = poster.step(20)
    assert (20, 20) == (progress.posted, progress.confirmed)


@pytest.mark.parametrize("depth", range(1, 13))
def test_reorganisations_lose_nothing(world: PostingWorld, depth: int, tmp_path: Path) -> None:
    """After a reorganisation of 1 to 12 blocks every batch stands on the new branch, posted once there."""
    poster = world.poster(tmp_path / "record.json", confirmations=13, window=2)
    for last in range(1, 15):
        poster.step(last)
        world.node.mine()
    world.node.ask("anvil_reorg", depth, [])
    assert world.client.batch_count() < 14
    world.drive(poster, 16)
    world.require_posted(16)
    assert [1] * 16 == [status for _, status, _ in world.mined()]


def test_a_branch_with_another_order_is_taken_as_it_is(world: PostingWorld, tmp_path: Path) -> None:
    """A reorganisation that keeps some of the batches is continued where it stands, at the nonces it left."""
    poster = world.poster(tmp_path / "record.json", confirmations=6)
    for last in range(1, 5):
        poster.step(last)
        world.node.mine()
    raw = [
        world.node.ask("eth_getRawTransactionByHash", "0x" + attempt.hash.hex())
        for attempt in poster.record.attempts[1:3]
    ]
    world.node.ask("anvil_reorg", 3, [[raw[0], 0], [raw[1], 1]])
    assert 3 == world.client.batch_count()
    world.drive(poster, 6)
    world.require_posted(6)
    assert [1] * 6 == [status for _, status, _ in world.mined()]


def test_a_stuck_transaction_is_replaced(world: PostingWorld, tmp_path: Path) -> None:
    """A transaction that the market left behind is replaced at its nonce by one that a node accepts."""
    poster = world.poster(tmp_path / "record.json", stuck_blocks=2)
    poster.step(3)
    first = poster.record.attempts
    assert [1, 2, 3] == [attempt.number for attempt in first]
    for _ in range(4):
        # The base fee rises above what the waiting transactions offer.
        world.node.ask("anvil_setNextBlockBaseFeePerGas", hex(first[0].fee_wei + 20 * GWEI))
        world.node.mine()
    assert 0 == world.client.batch_count()
    poster.step(3)
    second = poster.record.attempts
    assert [attempt.nonce for attempt in first] == [attempt.nonce for attempt in second]
    for old, new in zip(first, second, strict=True):
        assert 10 * new.fee_wei >= 11 * old.fee_wei
        assert 10 * new.tip_wei >= 11 * old.tip_wei
        assert new.hash != old.hash
    world.drive(poster, 3)
    world.require_posted(3)
    assert [1, 1, 1] == [status for _, status, _ in world.mined()]


def test_a_gas_spike_holds_posting_with_an_alarm(world: PostingWorld, tmp_path: Path) -> None:
    """Above the cap nothing is signed and the reason is said; when gas falls posting goes on by itself."""
    poster = world.poster(tmp_path / "record.json", fee_cap_wei=50 * GWEI)
    world.node.ask("anvil_setNextBlockBaseFeePerGas", hex(400 * GWEI))
    world.node.mine()
    with pytest.raises(PostingHeld, match="more than the cap of 50000000000"):
        poster.step(2)
    assert [] == poster.record.attempts
    world.node.ask("anvil_setNextBlockBaseFeePerGas", hex(10 * GWEI))
    world.node.mine()
    world.drive(poster, 2)
    world.require_posted(2)


def test_replacements_never_pass_the_cap(world: PostingWorld, tmp_path: Path) -> None:
    """However long a transaction is stuck, its price stops below the cap, and an alarm says that it waits."""
    poster = world.poster(tmp_path / "record.json", stuck_blocks=1, fee_cap_wei=40 * GWEI)
    poster.step(1)
    alarms = 0
    for _ in range(30):
        world.node.ask("anvil_setNextBlockBaseFeePerGas", hex(38 * GWEI))
        # A block without transactions: the node mines none that pays less than the base fee, or none at all.
        world.node.ask("anvil_dropAllTransactions")
        world.node.mine()
        try:
            poster.step(1)
        except PostingHeld:
            alarms += 1
        assert poster.record.attempts[0].fee_wei <= 40 * GWEI
    assert alarms > 0
    world.drive_through_alarms(poster, 1)
    world.require_posted(1)


def test_a_foreign_transaction_costs_a_try_and_not_the_batch(world: PostingWorld, tmp_path: Path) -> None:
    """If something else took the nonce of a batch, the batch takes the next one."""
    poster = world.poster(tmp_path / "record.json")
    fees = {"maxFeePerGas": 100 * GWEI, "maxPriorityFeePerGas": 50 * GWEI, "gas": 21_000, "type": 2}
    foreign = OPERATOR.sign_transaction(
        {"to": TRADER.address, "value": 1, "nonce": world.first_nonce, "chainId": 31337, **fees}
    )
    world.node.web3.eth.send_raw_transaction(foreign.raw_transaction)
    with pytest.raises(PostingHeld, match="another transaction of the posting key"):
        poster.step(2)
    world.node.mine()
    world.drive(poster, 2)
    world.require_posted(2)
    assert [world.first_nonce + i for i in range(3)] == [nonce for nonce, _, _ in world.mined()]


def test_a_lost_record_is_made_up_for_by_the_price(world: PostingWorld, tmp_path: Path) -> None:
    """A poster that forgot what it had sent raises its price until the node takes it, and posts once."""
    world.poster(tmp_path / "lost.json", tip_wei=2 * GWEI).step(1)
    poster = world.poster(tmp_path / "record.json", tip_wei=GWEI)
    for _ in range(20):
        try:
            poster.step(1)
            break
        except PostingHeld:
            continue
    world.drive(poster, 1)
    world.require_posted(1)
    assert 1 == len(world.mined())


def test_another_header_on_the_chain_is_an_error(world: PostingWorld, tmp_path: Path) -> None:
    """A chain that holds another header under our number stops the poster for good."""
    poster = world.poster(tmp_path / "record.json")
    world.drive(poster, 1)
    world.source.headers[0] = make_header(1, world.time_ns + 1, 0)
    with pytest.raises(SettlementError, match="batch 1 on chain differs"):
        poster.step(2)


def test_what_the_contract_would_refuse_is_not_sent(world: PostingWorld, tmp_path: Path) -> None:
    """A header that names a deposit the vault lacks costs no gas: the contract's reason is the alarm."""
    world.source.headers[1] = make_header(2, world.time_ns, 7)
    poster = world.poster(tmp_path / "record.json", window=1)
    world.drive(poster, 1)
    with pytest.raises(PostingHeld, match="inbox cursor beyond the inbox"):
        poster.step(2)
    assert 1 == len(world.mined())
