"""What a thief, a liar, an operator or a debtor would try at the exit, DIS-03 and DIS-04 among it.

Each attack passes if it is repelled, on a world with these mutations.
"""

from collections.abc import Callable
from contextlib import suppress

import pytest

from novate.protocol.poseidon2 import hash_elements
from tests.contracts.escape_world import (
    CALL,
    FORCED_DEADLINE_S,
    PERPETUAL,
    STALL_DEADLINE_S,
    Books,
    EscapeWorld,
    Holder,
    account_address,
    flatten,
    pad,
)
from tests.contracts.harness import DEPOSITOR, STRANGER, Mutation, Reverted

Mutations = tuple[Mutation, ...]
Attack = Callable[[Mutations], None]
REENTERS = 3
TREE_LEAVES = 4**10


def begin(
    mutations: Mutations, cash: tuple[int, ...] = (100, 60), short: int = 0
) -> tuple[EscapeWorld, Books]:
    """A frozen venue with open books; the vault may be short."""
    world = EscapeWorld(mutations=mutations)
    books = world.begin(list(cash))
    books = Books(books.holders, deposited=sum(cash) - short)
    world.die(world.post(books), books)
    return world, books


def attack_by_claiming_twice(mutations: Mutations) -> None:
    world, books = begin(mutations)
    world.claim_account(books, 0)
    with pytest.raises(Reverted):
        world.claim_account(books, 0)


def attack_by_an_index_beyond_the_tree(mutations: Mutations) -> None:
    world, books = begin(mutations)
    world.claim_account(books, 0)
    index, *rest = books.claim_arguments(0)
    with pytest.raises(Reverted):
        world.escape_call("claim", index + TREE_LEAVES, *rest)


def attack_by_collecting_twice(mutations: Mutations) -> None:
    world, books = begin(mutations, (60, 100))
    for index in range(2):
        world.claim_account(books, index)
    world.end_window()
    world.escape_call("collect", 0)
    with pytest.raises(Reverted):
        world.escape_call("collect", 0)


def attack_by_claiming_for_another(mutations: Mutations) -> None:
    """The thief puts its own address where the victim's stands."""
    world, books = begin(mutations)
    index, words, *rest = books.claim_arguments(0)
    with pytest.raises(Reverted):
        world.escape_call("claim", index, [int(STRANGER, 16), *words[1:]], *rest)


def attack_by_recording(mutations: Mutations) -> None:
    """The thief leaves the proof out and tells the exit itself what it is worth."""
    world, _ = begin(mutations)
    with pytest.raises(Reverted):
        world.escape_call("record", 5, STRANGER, False, 100)


def attack_by_forged_marks(mutations: Mutations) -> None:
    """A holder of calls posts a mark of its own."""
    world = EscapeWorld(mutations=mutations)
    holders = [Holder(account_address(0), 10, ((0, 5, 0),)), Holder(account_address(1), 90, ((0, -5, 0),))]
    books = Books(holders, [(CALL, 3)], deposited=100)
    world.put_in(100)
    header = world.post(books)
    world.finalise()
    cursor = world.escape_call("request", 1)
    world.now_s += FORCED_DEADLINE_S
    world.escape_call("freeze", cursor)
    world.open_books(header, books)
    instrument, words, *rest = books.mark_arguments(0)
    words[5] = 1_000
    with pytest.raises(Reverted):
        world.escape_call("postMark", instrument, words, *rest)


def attack_by_books_of_another_batch(mutations: Mutations) -> None:
    """Marks and balances of an older batch suited the thief better."""
    world = EscapeWorld(mutations=mutations)
    rich = Books([Holder(account_address(0), 100)], [(CALL, 900)], deposited=100)
    poor = Books([Holder(account_address(0), 1)], [(CALL, 1)], deposited=100)
    world.put_in(100)
    old = world.post(rich)
    world.post(poor)
    world.finalise()
    cursor = world.escape_call("request", 1)
    world.now_s += FORCED_DEADLINE_S
    world.escape_call("freeze", cursor)
    with pytest.raises(Reverted):
        world.open_books(old, rich)


def attack_by_an_invented_header(mutations: Mutations) -> None:
    world, books = EscapeWorld(mutations=mutations), Books([Holder(STRANGER, 100)], deposited=100)
    honest = world.begin([100])
    header = world.post(honest)
    world.finalise()
    cursor = world.escape_call("request", 1)
    world.now_s += FORCED_DEADLINE_S
    world.escape_call("freeze", cursor)
    with pytest.raises(Reverted):
        world.open_books(header._replace(state_root=books.state_root), books)


def attack_by_a_forged_house(mutations: Mutations) -> None:
    """Books that say that more was deposited would pay out what belongs to deposits they do not know."""
    world = EscapeWorld(mutations=mutations)
    books = world.begin([100])
    header = world.post(books)
    world.finalise()
    cursor = world.escape_call("request", 1)
    world.now_s += FORCED_DEADLINE_S
    world.escape_call("freeze", cursor)
    house = [*books.house[:6], 10**9, *books.house[7:]]
    with pytest.raises(Reverted):
        world.escape_call("openBooks", tuple(header), books.roots, pad(house), len(house))


def attack_by_entering_again(mutations: Mutations) -> None:
    """SET-01: the token calls back into the pay-out while it is under way."""
    world = EscapeWorld(mutations=mutations, token="HostileToken")
    books = world.begin([100, 100])
    world.die(world.post(books), books)
    for index in range(2):
        world.claim_account(books, index)
    world.end_window()
    payload = world.encode_call(world.escape, "collect", 0)
    world.call(STRANGER, world.token, "setMode", REENTERS, world.escape.address, payload)
    with suppress(Reverted):  # The vault may refuse the whole pay-out; nobody is paid twice then.
        world.escape_call("collect", 0)
    assert world.balance(account_address(0)) <= 100


def attack_by_a_liars_freeze(mutations: Mutations) -> None:
    """A served request, long ago: the liar wants the venue dead all the same."""
    world = EscapeWorld(mutations=mutations)
    books = world.begin([100])
    cursor = world.escape_call("request", 5, sender=DEPOSITOR)
    world.post(books)
    world.finalise()
    world.now_s += STALL_DEADLINE_S
    with pytest.raises(Reverted):
        world.escape_call("freeze", cursor)


def attack_by_an_early_freeze(mutations: Mutations) -> None:
    world = EscapeWorld(mutations=mutations)
    cursor = world.escape_call("request", 5)
    world.now_s += FORCED_DEADLINE_S - 1
    with pytest.raises(Reverted):
        world.escape_call("freeze", cursor)


def attack_by_a_freeze_of_nothing(mutations: Mutations) -> None:
    world = EscapeWorld(mutations=mutations)
    with pytest.raises(Reverted):
        world.escape_call("freeze", 1)


def attack_by_a_late_batch(mutations: Mutations) -> None:
    """The operator waits for each freeze and posts a batch before it that nobody attests."""
    world = EscapeWorld(mutations=mutations, verifier=STRANGER)
    books = world.begin([100])
    cursor = world.escape_call("request", 5, sender=DEPOSITOR)
    world.now_s += FORCED_DEADLINE_S
    world.post(books)
    with pytest.raises(Reverted):
        world.escape_call("freeze", cursor)
    world.now_s += STALL_DEADLINE_S - FORCED_DEADLINE_S
    world.escape_call("freeze", cursor)
    world.escape_call("refund", 1, DEPOSITOR, 0, 100, sender=DEPOSITOR)
    assert 100 == world.balance(DEPOSITOR)


def attack_by_a_late_claim(mutations: Mutations) -> None:
    """The estate was shared out; a claim after the window must not thin what the others were promised."""
    world, books = begin(mutations, (80, 80), short=60)
    world.claim_account(books, 0)
    world.end_window()
    world.escape_call("collect", 0)
    world.claim_account(books, 1)
    world.escape_call("collect", 1)
    assert [80, 20] == [world.balance(account_address(number)) for number in range(2)]


def attack_by_leaving_first(mutations: Mutations) -> None:
    """DIS-03: whoever leaves first, everybody's part of a short estate is the same."""
    paid = []
    for order in ((0, 1, 2), (2, 1, 0)):
        world, books = begin(mutations, (50, 30, 40), short=60)
        for index in order:
            world.claim_account(books, index)
        world.end_window()
        for index in order:
            world.escape_call("collect", index)
        paid.append([world.balance(account_address(number)) for number in range(3)])
    assert [[25, 15, 20]] * 2 == paid


def attack_by_collecting_in_the_window(mutations: Mutations) -> None:
    """DIS-03: in a short estate the first to collect before all have claimed would be paid in full."""
    world, books = begin(mutations, (50, 50), short=50)
    world.claim_account(books, 0)
    with pytest.raises(Reverted):
        world.escape_call("collect", 0)


def attack_by_spam(mutations: Mutations) -> None:
    """DIS-04: requests cost the spammer gas and the venue nothing; one account has one open at a time."""
    world = EscapeWorld(mutations=mutations)
    books = world.begin([100])
    for number in range(20):
        world.escape_call("request", 10**6, sender=account_address(number))
        with pytest.raises(Reverted):
            world.escape_call("request", 10**6, sender=account_address(number))
    world.post(books)
    assert 21 == world.view(world.settlement, "inboxCursor")
    world.escape_call("request", 10**6, sender=account_address(0))


def attack_by_a_debt(mutations: Mutations) -> None:
    """A short position's loss is a loss: its account claims nothing, and not its size."""
    world = EscapeWorld(mutations=mutations)
    rows = ((0, -5, 0), (1, 2, 10_000))
    holders = [Holder(account_address(number), 10, (row,)) for number, row in enumerate(rows)]
    books = Books(holders, [(CALL, 30), (PERPETUAL, 900)], deposited=100)
    world.put_in(100)
    world.die(world.post(books), books)
    assert [0, 0] == [world.claim_account(books, index) for index in range(2)]


def attack_by_paying_a_hash(mutations: Mutations) -> None:
    """Somebody collects for a sub-account before its owner is named: nobody has a key of that address."""
    world = EscapeWorld(mutations=mutations)
    holders = [Holder(account_address(0), 0), Holder("0x" + "ab" * 20, 50, owner=0, subaccount=1)]
    books = Books(holders, deposited=50)
    world.put_in(50)
    world.die(world.post(books), books)
    world.claim_account(books, 1)
    world.end_window()
    with pytest.raises(Reverted):
        world.escape_call("collect", 1)


def attack_by_naming_oneself(mutations: Mutations) -> None:
    world = EscapeWorld(mutations=mutations)
    world.escape_call("nameOwner", account_address(0), 1, sender=STRANGER)
    topics = [bytes(topic) for log in world.logs for topic in log.data[0]]
    account = "0x" + topics[1][12:].hex()
    assert int(account_address(0), 16) == int(world.view(world.escape, "ownerOf", account), 16)


def attack_by_refunding_what_was_credited(mutations: Mutations) -> None:
    world, _ = begin(mutations)
    with pytest.raises(Reverted):
        world.escape_call("refund", 1, DEPOSITOR, 0, 160, sender=DEPOSITOR)


def late_deposit(mutations: Mutations) -> EscapeWorld:
    """A deposit of 40 that the last word does not know."""
    world = EscapeWorld(mutations=mutations)
    books = world.begin([100])
    header = world.post(books)
    world.put_in(40)
    world.die(header, books)
    return world


def attack_by_refunding_twice(mutations: Mutations) -> None:
    world = late_deposit(mutations)
    world.escape_call("refund", 2, DEPOSITOR, 0, 40, sender=DEPOSITOR)
    with pytest.raises(Reverted):
        world.escape_call("refund", 2, DEPOSITOR, 0, 40, sender=DEPOSITOR)


def attack_by_a_forged_refund(mutations: Mutations) -> None:
    world = late_deposit(mutations)
    with pytest.raises(Reverted):
        world.escape_call("refund", 2, STRANGER, 0, 90, sender=STRANGER)


def attack_by_spending_what_is_owed(mutations: Mutations) -> None:
    """Withdrawals of final batches come before claims, also where the books promise more than there is."""
    world = EscapeWorld(mutations=mutations)
    holders = [Holder(account_address(0), 100)]
    books = Books(holders, deposited=190, withdrawn=40)
    world.put_in(100)
    world.die(world.post(books), books)
    world.claim_account(books, 0)
    world.end_window()
    world.escape_call("collect", 0)
    assert world.vault_balance() >= 40


def attack_by_another_leaf(mutations: Mutations) -> None:
    """A leaf of another kind of record, or of another place, is not an account's leaf."""
    world, books = begin(mutations)
    index, words, count, _, _ = books.claim_arguments(0)
    with pytest.raises(Reverted):
        world.escape_call("claim", 1, words, count, flatten(books.accounts.path(1)), False)
    assert hash_elements(2, books.holders[0].list_elements()) == books.accounts.leaf(index)
