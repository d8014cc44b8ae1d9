"""The exit from request to pay-out, and every refusal on the way, on revm at each level of optimisation."""

import random

import pytest

from novate.protocol.signing import compute_subaccount_address
from novate.settlement.compiler import OPTIMISATION_LEVELS
from novate.verification.exit_value import compute_exit_value, read_mark
from tests.contracts.escape_world import (
    CALL,
    CLAIM_WINDOW_S,
    FORCED_DEADLINE_S,
    FUTURE,
    NO_MARK,
    PERPETUAL,
    PUT,
    STALL_DEADLINE_S,
    Books,
    EscapeWorld,
    Holder,
    account_address,
    flatten,
    pad,
)
from tests.contracts.harness import DEPOSITOR, GUARDIAN, STRANGER, ZERO, Reverted

MARKS = ((CALL, 500), (PUT, 0), (PERPETUAL, 80_000), (FUTURE, 81_000), (CALL, NO_MARK), (PERPETUAL, NO_MARK))


def draw_holders(rng: random.Random, count: int) -> list[Holder]:
    """Accounts with every sign of cash and position, some with groups and keys behind their positions."""
    holders = []
    for number in range(count):
        chosen = sorted(rng.sample(range(len(MARKS)), rng.randrange(len(MARKS) + 1)))
        rows = tuple((n, rng.choice((-7, -1, 1, 9, 500)), rng.randrange(-(10**8), 10**8)) for n in chosen)
        tail = tuple(rng.randrange(10**9) for _ in range(rng.choice((0, 11, 12, 23))))
        holders.append(Holder(account_address(number), rng.randrange(-(10**7), 10**8), rows, tail=tail))
    return holders


def expect(books: Books, index: int) -> int:
    """What the twin says that an account may claim."""
    marks = {number: read_mark(row) for number, row in enumerate(books.rows)}
    return compute_exit_value(books.holders[index].list_elements(), marks)


@pytest.mark.parametrize("level", OPTIMISATION_LEVELS)
def test_everybody_is_paid_what_the_twin_says(level: str) -> None:
    """[SETTLE-45] [SETTLE-49]: claims are the twin's to the atom, and paid in full if they can be."""
    world = EscapeWorld(level)
    holders = draw_holders(random.Random(45), 12)
    marks = {number: read_mark(Books([], MARKS).rows[number]) for number in range(len(MARKS))}
    owed = sum(compute_exit_value(holder.list_elements(), marks) for holder in holders)
    books = Books(holders, MARKS, deposited=owed + 5)
    world.put_in(owed + 5)
    world.die(world.post(books), books)
    found = [world.claim_account(books, index) for index in range(len(holders))]
    assert [expect(books, index) for index in range(len(holders))] == found
    assert owed == sum(found) > 0
    assert 0 in found
    world.end_window()
    for index, amount in enumerate(found):
        if amount:
            world.escape_call("collect", index)
        assert amount == world.balance(holders[index].address)
    assert 5 == world.vault_balance()


def test_a_short_estate_is_shared() -> None:
    """[SETTLE-50]: if the vault holds less than is claimed, each is paid its part, rounded down."""
    world = EscapeWorld()
    holders = [Holder(account_address(number), cash) for number, cash in enumerate((70, 20, 10, 3))]
    books = Books(holders, deposited=200, withdrawn=30)
    world.put_in(91)
    world.die(world.post(books), books)
    for index in range(4):
        world.claim_account(books, index)
    world.end_window()
    for index in (3, 0, 2, 1):
        world.escape_call("collect", index)
    assert [70 * 61 // 103, 20 * 61 // 103, 10 * 61 // 103, 3 * 61 // 103] == [
        world.balance(holder.address) for holder in holders
    ]
    assert world.vault_balance() >= 30, "What was owed before is still there."


def test_a_late_claim_is_paid_from_what_is_left() -> None:
    """[SETTLE-51]: who claims after the window takes nothing from those who claimed in it."""
    world = EscapeWorld()
    books = world.begin([100, 60, 50])
    books = Books(books.holders, deposited=190)
    world.die(world.post(books), books)
    world.claim_account(books, 0)
    world.end_window()
    world.claim_account(books, 1)
    world.claim_account(books, 2)
    for index, paid in ((1, 60), (2, 30), (0, 100)):
        world.escape_call("collect", index)
        assert paid == world.balance(books.holders[index].address)


def test_a_leaf_too_long_for_one_call_is_read_in_parts() -> None:
    """[SETTLE-46]: parts of any length give the claim of the whole leaf; each caller reads for itself."""
    rng = random.Random(46)
    instruments = [(n % 4, 1_000 + n) for n in range(40)]
    rows = tuple((n, rng.randrange(-50, 50) or 1, rng.randrange(10**6)) for n in range(40))
    world = EscapeWorld()
    holder = Holder(account_address(0), 10**7, rows, tail=tuple(range(23)))
    books = Books([holder], instruments, deposited=10**9)
    world.put_in(10**9)
    world.die(world.post(books), books)
    words, path = pad(holder.list_elements()), flatten(books.accounts.path(0))
    count = len(holder.list_elements())
    for cuts in ((15, 18, 60), (30,), (135, 138), (141,), (147, 150)):
        world.escape_call("dropParts", 0)
        begin = 0
        for end in cuts:
            world.escape_call("readPart", 0, words[begin:end])
            begin = end
        with pytest.raises(Reverted):
            world.escape_call("claim", 0, words[begin:], count, path, True, sender=DEPOSITOR)
        checkpoint = world.evm.snapshot()
        world.escape_call("claim", 0, words[begin:], count, path, True)
        assert expect(books, 0) == world.escape_view("claimOf", 0)[1]
        if cuts != (147, 150):
            world.evm.revert(checkpoint)
    with pytest.raises(Reverted, match="already claimed"):
        world.claim_account(books, 0)


def test_a_subaccount_is_paid_to_its_owner() -> None:
    """[SETTLE-50] [SUB-3]: nobody could sign for its address, so it waits until its owner is named."""
    world = EscapeWorld()
    owner = account_address(0)
    place = compute_subaccount_address(bytes.fromhex(owner[2:]), 3)
    second = compute_subaccount_address(bytes.fromhex(owner[2:]), 9)
    holders = [
        Holder(owner, 10),
        Holder("0x" + place.hex(), 20, owner=0, subaccount=3),
        Holder("0x" + second.hex(), 40),
    ]
    books = Books(holders, deposited=70)
    world.put_in(70)
    world.die(world.post(books), books)
    for index in range(3):
        world.claim_account(books, index)
    world.escape_call("nameOwner", owner, 9)
    world.end_window()
    with pytest.raises(Reverted, match="name the owner first"):
        world.escape_call("collect", 1)
    world.escape_call("nameOwner", owner, 3)
    for index in range(3):
        world.escape_call("collect", index)
    assert 70 == world.balance(owner)
    for arguments in ((ZERO, 1), (owner, 0), (owner, 2**31)):
        with pytest.raises(Reverted):
            world.escape_call("nameOwner", *arguments)


def test_deposits_that_the_books_do_not_know_go_back() -> None:
    """[SETTLE-52]: the account may take its own at once, anyone gives it back after the window, once."""
    world = EscapeWorld()
    books = world.begin([100])
    header = world.post(books)
    first, second = world.put_in(30, DEPOSITOR), world.put_in(40, STRANGER)
    world.die(header, books)
    with pytest.raises(Reverted, match="only its account"):
        world.escape_call("refund", first, DEPOSITOR, 0, 30)
    world.escape_call("refund", first, DEPOSITOR, 0, 30, sender=DEPOSITOR)
    world.claim_account(books, 0)
    world.end_window()
    world.escape_call("collect", 0)
    world.escape_call("refund", second, STRANGER, 0, 40, sender=DEPOSITOR)
    assert [30, 40, 100] == [world.balance(a) for a in (DEPOSITOR, STRANGER, account_address(0))]
    assert 0 == world.vault_balance()


def test_a_venue_without_any_final_batch_gives_everything_back() -> None:
    """[SETTLE-52]: with no last word there are no books, and every deposit is unknown to them."""
    world = EscapeWorld()
    entry = world.put_in(50)
    with pytest.raises(Reverted, match="the deadline has not passed"):
        world.escape_call("freeze", entry)
    world.now_s += FORCED_DEADLINE_S
    world.escape_call("freeze", entry)
    world.escape_call("refund", entry, DEPOSITOR, 0, 50, sender=DEPOSITOR)
    assert 50 == world.balance(DEPOSITOR)
    assert 0 == world.escape_view("lastWord")[0]


def test_the_order_of_the_steps_is_enforced() -> None:
    """[SETTLE-41] to [SETTLE-49]: nothing before the freeze, no claim before books, no pay in the window."""
    world = EscapeWorld()
    books = world.begin([100], [(CALL, 5)])
    header = world.post(books)
    for amount in (0, 2**60 + 1):
        with pytest.raises(Reverted):
            world.escape_call("request", amount)
    with pytest.raises(Reverted, match="not frozen"):
        world.open_books(header, books)
    with pytest.raises(Reverted, match="books are not open"):
        world.claim_account(books, 0)
    with pytest.raises(Reverted, match="books are not open"):
        world.escape_call("postMark", *books.mark_arguments(0))
    with pytest.raises(Reverted, match="books are not open"):
        world.escape_call("collect", 0)
    with pytest.raises(Reverted, match="not frozen"):
        world.escape_call("refund", 1, DEPOSITOR, 0, 100, sender=DEPOSITOR)
    world.die(header, books)
    with pytest.raises(Reverted, match="frozen"):
        world.escape_call("request", 1, sender=STRANGER)
    with pytest.raises(Reverted, match="books are open"):
        world.open_books(header, books)
    with pytest.raises(Reverted, match="mark is posted"):
        world.escape_call("postMark", *books.mark_arguments(0))
    with pytest.raises(Reverted, match="frozen"):
        world.post(books)
    world.claim_account(books, 0)
    world.now_s += CLAIM_WINDOW_S - 1
    with pytest.raises(Reverted, match="still collected"):
        world.escape_call("collect", 0)
    world.now_s += 1
    world.escape_call("collect", 0)
    with pytest.raises(Reverted, match="nothing is claimed"):
        world.escape_call("collect", 5)


def test_a_pause_does_not_stop_the_exit() -> None:
    """[SETTLE-22]: the guardian pauses on the last day and disappears; everybody is paid all the same."""
    world = EscapeWorld()
    books = world.begin([100])
    world.die(world.post(books), books)
    world.claim_account(books, 0)
    world.end_window()
    world.call(GUARDIAN, world.vault, "pause")
    world.escape_call("collect", 0)
    assert 100 == world.balance(account_address(0))


def test_one_blocked_account_blocks_no_other() -> None:
    """A token that refuses one payment leaves the claim unpaid, and the others are paid."""
    world = EscapeWorld(token="HostileToken")
    books = world.begin([100, 50])
    world.die(world.post(books), books)
    for index in range(2):
        world.claim_account(books, index)
    world.end_window()
    world.call(STRANGER, world.token, "setMode", 5, ZERO, b"")
    with pytest.raises(Reverted, match="token reverts"):
        world.escape_call("collect", 0)
    world.call(STRANGER, world.token, "setMode", 0, ZERO, b"")
    world.escape_call("collect", 1)
    world.escape_call("collect", 0)
    assert [100, 50] == [world.balance(account_address(number)) for number in range(2)]


def test_waits_that_would_trap_somebody_are_refused() -> None:
    """[SETTLE-40]: no exit is created with another hasher, or with waits that contradict the others."""
    world = EscapeWorld()
    others = [world.settlement.address, world.vault.address, world.inbox.address]
    good = [FORCED_DEADLINE_S, STALL_DEADLINE_S, CLAIM_WINDOW_S]
    world.deploy_own("Escape", *others, world.books.address, *good)
    with pytest.raises(Reverted, match="another program"):
        world.deploy_own("Books", world.escape.address, world.settlement.address, world.vault.address)
    with pytest.raises(Reverted, match="must be a contract"):
        world.deploy_own("Escape", *others, STRANGER, *good)
    day = 86_400
    for waits, reason in (
        ((60, STALL_DEADLINE_S, CLAIM_WINDOW_S), "forced deadline too short"),
        ((31 * day, 50 * day, CLAIM_WINDOW_S), "forced deadline too long"),
        ((7 * day, 7 * day + 600, CLAIM_WINDOW_S), "stall deadline too short"),
        ((7 * day, 61 * day, CLAIM_WINDOW_S), "stall deadline too long"),
        ((7 * day, 14 * day, 60), "claim window too short"),
        ((7 * day, 14 * day, 61 * day), "claim window too long"),
        ((8 * day, 20 * day, 14 * day), "exit window too short"),
    ):
        with pytest.raises(Reverted, match=reason):
            world.deploy_own("Escape", *others, world.books.address, *waits)


def test_gas_is_below_the_target() -> None:
    """A claim with sixteen positions costs less than 700,000 gas with every slot still cold."""
    instruments = [(n % 4, 10**9 + n) for n in range(64)]
    world = EscapeWorld()
    holders = [
        Holder(account_address(size), 10**12, tuple((n, -77, 10**11 + n) for n in range(size)))
        for size in (1, 16, 64)
    ]
    books = Books(holders, instruments, deposited=10**13)
    world.put_in(10**13)
    world.die(world.post(books), books)
    for index, bound in enumerate((330_000, 610_000, 1_480_000)):
        world.claim_account(books, index)
        positions = len(holders[index].positions)
        # revm keeps slots and accounts warm between transactions: 2,000 and 2,500 gas more if cold.
        assert world.gas_used + 2_000 * (positions + 5) + 2_500 < bound + 90_000
