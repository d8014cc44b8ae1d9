"""What an account is worth when the venue ends, by the law alone: its leaf, the marks, the vault's cash.

Written from docs/law and not from the contract, so that each can be held against the other. Integers only;
the one division is named. Verifies [SETTLE-45] to [SETTLE-51].
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from novate.protocol.command import NO_ACCOUNT
from novate.protocol.generated.codes import InstrumentKind
from novate.protocol.generated.constants import NO_MARK_ATOMS

# Places in the leaves of [STATE-2] and [STATE-4].
CASH, OWNER, SUBACCOUNT, POSITION_COUNT, FIRST_POSITION = 1, 10, 11, 13, 14
KIND, MARK = 1, 5
POSITION_WIDTH = 3
LINEAR = (InstrumentKind.PERPETUAL, InstrumentKind.FUTURE)


class Mark(NamedTuple):
    """What the books say of one lot of an instrument; `atoms` is None if it has no mark."""

    kind: InstrumentKind
    atoms: int | None


def read_mark(elements: Sequence[int]) -> Mark:
    """Return the mark in the elements of an instrument's leaf [STATE-4]."""
    atoms = elements[MARK]
    return Mark(InstrumentKind(elements[KIND]), None if atoms == NO_MARK_ATOMS else atoms)


def list_positions(elements: Sequence[int]) -> list[tuple[int, int, int]]:
    """Return (instrument, lots, cost in atoms) of each position in an account's leaf [STATE-2]."""
    end = FIRST_POSITION + POSITION_WIDTH * elements[POSITION_COUNT]
    return [
        (elements[place], elements[place + 1], elements[place + 2])
        for place in range(FIRST_POSITION, end, POSITION_WIDTH)
    ]


def compute_exit_value(elements: Sequence[int], marks: Mapping[int, Mark]) -> int:
    """Return what an account may claim, in atoms: its equity at the marks, or nothing if it owes.

    Cash; plus lots times the mark; less the cost of what is linear, whose entry was never paid for in cash.
    An instrument without a mark adds nothing. Nothing is divided, so nothing is rounded.

    Law        [SETTLE-45]
    """
    equity = elements[CASH]
    for instrument, lots, cost_atoms in list_positions(elements):
        mark = marks[instrument]
        if mark.atoms is None:
            continue
        equity += lots * mark.atoms
        if mark.kind in LINEAR:
            equity -= cost_atoms
    return max(0, equity)


def is_subaccount(elements: Sequence[int]) -> bool:
    """Whether a leaf is a sub-account's, which is paid to its owner [SETTLE-50]."""
    return elements[OWNER] != NO_ACCOUNT


def compute_estate(balance_atoms: int, deposited_atoms: int, withdrawn_atoms: int, paid_atoms: int) -> int:
    """Return what is there for the claims, in atoms, when the window ends [SETTLE-49].

    The vault's cash without the withdrawals that are owed and not paid, and no more than the accounts and the
    house own by the books: the rest is deposits that the books do not know.
    """
    owed = max(0, withdrawn_atoms - paid_atoms)
    return min(max(0, balance_atoms - owed), deposited_atoms - withdrawn_atoms)


def share_floor(claim_atoms: int, estate_atoms: int, total_atoms: int) -> int:
    """Return a claim's part of an estate: in full if all claims fit, else pro rata, rounded down.

    Law        [SETTLE-50]
    """
    if total_atoms <= estate_atoms:
        return claim_atoms
    return claim_atoms * estate_atoms // total_atoms
