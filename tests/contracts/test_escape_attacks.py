"""Each attack on the exit fails on the real contracts and succeeds on a twin without the defence."""

import pytest

from tests.contracts import escape_attacks as attacks
from tests.contracts.escape_attacks import Attack, Mutations
from tests.contracts.escape_world import FORCED_DEADLINE_S, STALL_DEADLINE_S, EscapeWorld
from tests.contracts.harness import DEPOSITOR, OPERATOR, Reverted

TRUE = "assert True"
BUGS: dict[str, tuple[Mutations, Attack]] = {
    "a claim is not looked up": (
        (("Escape", 'assert self.claims[index] == 0, "already claimed"', TRUE),),
        attacks.attack_by_claiming_twice,
    ),
    "an index may lie beyond the tree": (
        (("Books", 'assert place == 0, "index beyond the tree"', TRUE),),
        attacks.attack_by_an_index_beyond_the_tree,
    ),
    "a paid claim is paid again": (
        (("Escape", 'assert flags & IS_PAID == 0, "already paid"', TRUE),),
        attacks.attack_by_collecting_twice,
    ),
    "the account's path is not compared": (
        (("Books", 'ACCOUNTS_DEPTH) == root, "no such account"', "ACCOUNTS_DEPTH) > 0"),),
        attacks.attack_by_claiming_for_another,
    ),
    "the place in the tree is not proven": (
        (("Books", 'ACCOUNTS_DEPTH) == root, "no such account"', "ACCOUNTS_DEPTH) > 0"),),
        attacks.attack_by_another_leaf,
    ),
    "a mark's path is not compared": (
        (("Books", 'assert root == self.marksRoot, "mark does not match"', TRUE),),
        attacks.attack_by_forged_marks,
    ),
    "any batch is the last word": (
        (("Books", 'assert header.number == last_word, "not the last word"', TRUE),),
        attacks.attack_by_books_of_another_batch,
    ),
    "the header is believed": (
        (
            (
                "Books",
                'assert keccak256(abi_encode(header)) == header_hash, "header was not posted"',
                TRUE,
            ),
        ),
        attacks.attack_by_an_invented_header,
    ),
    "the house is believed": (
        (("Books", '== roots[4], "house leaf does not match"', "> 0"),),
        attacks.attack_by_a_forged_house,
    ),
    "nothing is locked and the mark comes after the payment": (
        (
            ("Escape", "#pragma nonreentrancy on", ""),
            (
                "Escape",
                "    self.claims[index] = word + (IS_PAID << FLAGS_PLACE)\n"
                "    extcall Purse(vault).payEscape(CASH, payee, amount)\n",
                "    extcall Purse(vault).payEscape(CASH, payee, amount)\n"
                "    self.claims[index] = word + (IS_PAID << FLAGS_PLACE)\n",
            ),
            ("Vault", "#pragma nonreentrancy on", ""),
            ("Vault", 'assert balance_before == balance_after + amount, "wrong amount left"', TRUE),
        ),
        attacks.attack_by_entering_again,
    ),
    "a served entry freezes": (
        (("Escape", 'assert cursor > final, "the entry was served"', TRUE),),
        attacks.attack_by_a_liars_freeze,
    ),
    "anybody records a claim": (
        (("Escape", 'assert msg.sender == books, "only the books"', TRUE),),
        attacks.attack_by_recording,
    ),
    "the deadline is not waited for": (
        (("Escape", 'assert age >= forcedDeadline, "the deadline has not passed"', TRUE),),
        attacks.attack_by_an_early_freeze,
    ),
    "an entry that is not there is old": (
        (("Escape", 'assert entry_time > 0, "there is no such entry"', TRUE),),
        attacks.attack_by_a_freeze_of_nothing,
    ),
    "a posted batch is enough for ever": (
        (("Escape", 'assert age >= stallDeadline, "its batch', 'assert False, "its batch'),),
        attacks.attack_by_a_late_batch,
    ),
    "a late claim counts among the others": (
        (("Escape", "is_late: bool = block.timestamp >= self.claimsEnd", "is_late: bool = False"),),
        attacks.attack_by_a_late_claim,
    ),
    "who comes first is paid in full": (
        (("Escape", "return self._div_floor(amount * self.estate, self.totalClaims)", "return amount"),),
        attacks.attack_by_leaving_first,
    ),
    "claims are paid while they are collected": (
        (
            (
                "Escape",
                'assert block.timestamp >= self.claimsEnd, "claims are still collected"',
                TRUE,
            ),
        ),
        attacks.attack_by_collecting_in_the_window,
    ),
    "one account may ask without end": (
        (("Escape", 'assert self.requestOf[msg.sender] <= served, "a request is open"', TRUE),),
        attacks.attack_by_spam,
    ),
    "a negative number loses its sign": (
        (("Books", "return -convert(P - element, int256)", "return convert(P - element, int256)"),),
        attacks.attack_by_a_debt,
    ),
    "the cost of a perpetual is forgotten": (
        (("Books", "if mark & MARK_LINEAR > 0:", "if mark & MARK_LINEAR > 9:"),),
        attacks.attack_by_a_debt,
    ),
    "a sub-account is paid to its address": (
        (("Escape", 'assert payee != account, "name the owner first"', TRUE),),
        attacks.attack_by_paying_a_hash,
    ),
    "whoever names an owner is the owner": (
        (("Escape", "self.ownerOf[account] = owner", "self.ownerOf[account] = msg.sender"),),
        attacks.attack_by_naming_oneself,
    ),
    "a credited deposit is given back": (
        (("Escape", 'assert cursor > self.lastCursor, "the deposit was credited"', TRUE),),
        attacks.attack_by_refunding_what_was_credited,
    ),
    "a deposit is given back twice": (
        (("Escape", 'assert not self.isRefunded[cursor], "already refunded"', TRUE),),
        attacks.attack_by_refunding_twice,
    ),
    "a deposit is believed": (
        (("Escape", 'assert entry == stored, "no such deposit"', TRUE),),
        attacks.attack_by_a_forged_refund,
    ),
    "what is owed is spent": (
        (("Escape", "min(balance - min(owed, balance),", "min(balance,"),),
        attacks.attack_by_spending_what_is_owed,
    ),
}


@pytest.mark.parametrize("name", BUGS)
def test_an_attack_succeeds_only_without_its_defence(name: str) -> None:
    """The real contracts repel the attack; without the one defence it succeeds, so its test sees the bug."""
    mutations, attack = BUGS[name]
    attack(())
    with pytest.raises((AssertionError, pytest.fail.Exception, Reverted)):
        attack(mutations)


def test_a_served_request_is_a_served_request() -> None:
    """A batch in time ends every right to freeze: the operator who serves is never frozen by it."""
    world = EscapeWorld()
    books = world.begin([100])
    cursor = world.escape_call("request", 5, sender=DEPOSITOR)
    world.now_s += FORCED_DEADLINE_S - 1
    world.post(books)
    for wait in (1, 600, STALL_DEADLINE_S):
        world.now_s += wait
        with pytest.raises(Reverted):
            world.escape_call("freeze", cursor)
    assert 0 == world.view(world.settlement, "frozenAt")
    with pytest.raises(Reverted, match="only the escape"):
        world.call(OPERATOR, world.settlement, "freeze")
