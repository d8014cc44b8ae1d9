"""Vault.vy: what is credited is what arrived, what leaves is what is owed, once, whatever the token does."""

import pytest

from novate.protocol.inbox import EntryKind, InboxEntry, hash_entry
from novate.protocol.withdrawals import Withdrawal, hash_withdrawal
from novate.settlement.compiler import OPTIMISATION_LEVELS
from tests.contracts.harness import (
    DEPOSITOR,
    FINALITY_DELAY_S,
    OPERATOR,
    STRANGER,
    ZERO,
    Reverted,
    World,
)

HONEST, RETURNS_FALSE, TAKES_FEE, REENTERS, MOVES_NOTHING, REVERTS, MOVES_TWICE = range(7)


def open_hostile(mode: int, payload: bytes = b"", target: str = ZERO) -> World:
    """A world whose token behaves until 1,000 atoms are deposited and owed, and then misbehaves."""
    world = World(token="HostileToken")
    world.deposit(1000)
    world.call(STRANGER, world.token, "setMode", mode, target, payload)
    return world


@pytest.mark.parametrize("level", OPTIMISATION_LEVELS)
def test_deposits_are_numbered_and_stored(level: str) -> None:
    """Deposits get cursors 1, 2, 3 with account and amount, in storage and in the log [SETTLE-8]."""
    world = World(level)
    world.deposit(700)
    world.fund(STRANGER, 50)
    world.call(STRANGER, world.vault, "depositFor", 0, DEPOSITOR, 50)
    topics, data = world.logs[-1].data
    assert (2, int(DEPOSITOR, 16), 1, 0, 50) == (
        int.from_bytes(topics[1], "big"),
        int.from_bytes(topics[2], "big"),
        *(int.from_bytes(data[i : i + 32], "big") for i in (0, 32, 64)),
    )
    for cursor, amount in ((1, 700), (2, 50)):
        entry = InboxEntry(cursor, EntryKind.DEPOSIT, bytes.fromhex(DEPOSITOR[2:]), 0, amount)
        assert hash_entry(entry) == world.view(world.inbox, "entryHash", cursor)
        assert world.now_s == world.view(world.inbox, "entryTime", cursor)
    assert (2, 750) == (world.view(world.inbox, "count"), world.vault_balance())


def test_deposit_refusals() -> None:
    """A deposit of nothing, for nobody, too large or not covered is refused."""
    world = World()
    world.fund(DEPOSITOR, 2**61)
    for name, arguments, reason in [
        ("deposit", (0, 0), "nothing received"),
        ("depositFor", (0, ZERO, 5), "account must not be zero"),
        ("deposit", (0, 2**60 + 1), "deposit too large"),
        ("deposit", (0, 2**61 + 1), "balance too small"),
        ("deposit", (1, 5), "asset is unknown"),
    ]:
        with pytest.raises(Reverted, match=reason):
            world.call(DEPOSITOR, world.vault, name, *arguments)
    with pytest.raises(Reverted, match="allowance too small"):
        world.call(STRANGER, world.vault, "deposit", 0, 1)
    world.call(DEPOSITOR, world.vault, "deposit", 0, 2**60)
    assert (1, 2**60) == (world.view(world.inbox, "count"), world.vault_balance())


@pytest.mark.parametrize("level", OPTIMISATION_LEVELS)
@pytest.mark.parametrize("count", [1, 2, 3, 5, 8, 13])
def test_claims_of_every_leaf(level: str, count: int) -> None:
    """Each leaf of a batch of any size is paid to its account with Python's proof, once."""
    world = World(level)
    world.deposit(10_000)
    withdrawals = world.owe(*range(1, count + 1))
    world.finalise()
    for index in range(count):
        world.claim(withdrawals, index)
        with pytest.raises(Reverted, match="already claimed"):
            world.claim(withdrawals, index)
    owed = sum(range(1, count + 1))
    assert 10_000 - owed == world.vault_balance()
    assert owed == world.view(world.token, "balanceOf", DEPOSITOR)


@pytest.mark.parametrize("level", OPTIMISATION_LEVELS)
def test_claim_refusals(level: str) -> None:
    """A claim needs a final batch and exactly what the leaf says."""
    world = World(level)
    world.deposit(1000)
    withdrawals = world.owe(100, 200, 300)
    with pytest.raises(Reverted, match="batch is not final"):
        world.claim(withdrawals, 0)
    world.now_s += FINALITY_DELAY_S - 1
    with pytest.raises(Reverted, match="batch is not final"):
        world.claim(withdrawals, 0)
    world.now_s += 1
    number, index, asset, account, amount, proof = world.claim_arguments(withdrawals, 0)
    for arguments in [
        (number, index + 1, asset, account, amount, proof),
        (number, index, asset, STRANGER, amount, proof),
        (number, index, asset, account, amount + 1, proof),
        (number, index, asset, account, amount, proof[:-1]),
        (number, index, asset, account, amount, [*proof, bytes(32)]),
        (number, index, asset, account, amount, []),
    ]:
        with pytest.raises(Reverted, match="proof does not match"):
            world.call(STRANGER, world.vault, "claim", *arguments)
    for unposted in (0, 2):
        with pytest.raises(Reverted, match="batch is not final"):
            world.call(STRANGER, world.vault, "claim", unposted, index, asset, account, amount, proof)
    assert 1000 == world.vault_balance()


def test_nothing_is_proven_against_an_empty_batch() -> None:
    """A batch without withdrawals pays nobody [SETTLE-12]."""
    world = World()
    world.deposit(1000)
    world.submit(world.next_header())
    world.finalise()
    with pytest.raises(Reverted, match="batch has no withdrawals"):
        world.call(STRANGER, world.vault, "claim", 1, 0, 0, STRANGER, 1000, [])


def test_a_node_is_no_leaf() -> None:
    """An inner node cannot pass as a leaf: a proof that starts at a pair's hash finds no payment."""
    world = World()
    world.deposit(1000)
    withdrawals = world.owe(100, 200, 300, 400)
    world.finalise()
    pair = [hash_withdrawal(withdrawal) for withdrawal in withdrawals[:2]]
    forged = int.from_bytes(pair[0], "big"), int.from_bytes(pair[1], "big")
    *_, proof = world.claim_arguments(withdrawals, 0)
    with pytest.raises(Reverted, match="proof does not match"):
        world.call(
            STRANGER, world.vault, "claim", 1, forged[0] % 2**64, 0, STRANGER, forged[1], list(proof[1:])
        )


def test_each_batch_pays_its_own() -> None:
    """A withdrawal of one batch is not payable by another that has the same root."""
    world = World()
    world.deposit(1000)
    withdrawals = world.owe(100)
    header = world.next_header([Withdrawal(1, 0, bytes.fromhex(DEPOSITOR[2:]), 100)])
    world.submit(header)
    world.finalise()
    number, index, asset, account, amount, proof = world.claim_arguments(withdrawals, 0)
    with pytest.raises(Reverted, match="proof does not match"):
        world.call(STRANGER, world.vault, "claim", number + 1, index, asset, account, amount, proof)


def test_a_claim_to_the_vault_itself_fails() -> None:
    """Paying the vault from the vault moves nothing and is refused."""
    world = World()
    world.deposit(1000)
    withdrawals = world.owe(100, account=world.vault.address)
    world.finalise()
    with pytest.raises(Reverted, match="wrong amount left"):
        world.claim(withdrawals, 0)


@pytest.mark.parametrize("token", ["HostileToken", "SilentToken"])
def test_other_honest_tokens_work(token: str) -> None:
    """A token that returns nothing works like one that returns true."""
    world = World(token=token)
    world.deposit(1000)
    withdrawals = world.owe(400)
    world.finalise()
    world.claim(withdrawals, 0)
    assert 600 == world.vault_balance()
    assert 400 == world.view(world.token, "balanceOf", DEPOSITOR)


def test_a_fee_on_the_way_in_is_not_credited() -> None:
    """The credit is what arrived, not what was asked for [SETTLE-7]."""
    world = open_hostile(TAKES_FEE)
    world.deposit(1000)
    assert [1000, 990] == world.entered
    assert 1990 == world.vault_balance()


@pytest.mark.parametrize(
    ("mode", "reason"),
    [(RETURNS_FALSE, "transfer refused"), (MOVES_NOTHING, "nothing received"), (REVERTS, "token reverts")],
)
def test_a_refusing_token_credits_nothing(mode: int, reason: str) -> None:
    """No cursor is given out for tokens that did not come."""
    world = open_hostile(mode)
    with pytest.raises(Reverted, match=reason):
        world.deposit(1000)
    assert (1, 1000) == (world.view(world.inbox, "count"), world.vault_balance())


@pytest.mark.parametrize(
    ("mode", "reason"),
    [
        (RETURNS_FALSE, "transfer refused"),
        (MOVES_NOTHING, "wrong amount left"),
        (REVERTS, "token reverts"),
        (MOVES_TWICE, "wrong amount left"),
    ],
)
def test_a_failed_payment_stays_claimable(mode: int, reason: str) -> None:
    """A claim whose transfer fails is not marked as paid, and works when the token does."""
    world = World(token="HostileToken")
    world.deposit(1000)
    withdrawals = world.owe(400)
    world.finalise()
    world.call(STRANGER, world.token, "setMode", mode, ZERO, b"")
    with pytest.raises(Reverted, match=reason):
        world.claim(withdrawals, 0)
    assert not world.view(world.vault, "isClaimed", 1, 0)
    world.call(STRANGER, world.token, "setMode", HONEST, ZERO, b"")
    world.claim(withdrawals, 0)
    assert 600 == world.vault_balance()


@pytest.mark.parametrize("level", OPTIMISATION_LEVELS)
@pytest.mark.parametrize("inner", ["deposit", "claim", "paidAtoms"])
def test_the_vault_is_not_entered_twice(level: str, inner: str) -> None:
    """A token that calls back into any function of the vault during a transfer gets nowhere."""
    world = World(level, token="HostileToken")
    world.deposit(1000)
    withdrawals = world.owe(100, 200)
    world.finalise()
    arguments = {"deposit": (0, 10), "claim": world.claim_arguments(withdrawals, 1), "paidAtoms": (0,)}[inner]
    payload = world.encode_call(world.vault, inner, *arguments)
    world.call(STRANGER, world.token, "mint", world.token.address, 1000)
    world.call(STRANGER, world.token, "setMode", REENTERS, world.vault.address, payload)
    world.claim(withdrawals, 0)
    assert not world.view(world.token, "reentryAllowed")
    world.deposit(10)
    assert not world.view(world.token, "reentryAllowed")
    assert (2, 910) == (world.view(world.inbox, "count"), world.vault_balance())


def test_the_pair_is_fixed() -> None:
    """Vault and Settlement name each other, and a vault without token or register cannot exist [SETTLE-4]."""
    world = World()
    assert world.settlement.address.lower() == world.view(world.vault, "settlement")
    assert world.vault.address.lower() == world.view(world.settlement, "vault")
    assert world.token.address.lower() == world.view(world.vault, "token", 0)
    cash = world.token.address
    for arguments, reason in (
        (([OPERATOR], [0], STRANGER, STRANGER, ZERO, ZERO), "token must be a contract"),
        (([], [], STRANGER, STRANGER, ZERO, ZERO), "there must be a token"),
        (([cash], [], STRANGER, STRANGER, ZERO, ZERO), "one limit for each token"),
        (([cash, cash], [0, 0], STRANGER, STRANGER, ZERO, ZERO), "token is listed twice"),
        (([cash], [0], ZERO, STRANGER, ZERO, ZERO), "settlement must not be zero"),
        (([cash], [0], STRANGER, ZERO, ZERO, ZERO), "inbox must not be zero"),
    ):
        with pytest.raises(Reverted, match=reason):
            world.deploy_own("Vault", *arguments)


def test_only_the_owner_mints() -> None:
    """TestUSD is minted by its deployer alone."""
    world = World()
    with pytest.raises(Reverted, match="only the owner"):
        world.call(STRANGER, world.token, "mint", STRANGER, 1)
