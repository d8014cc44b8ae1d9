"""How far a session key may carry its account: limits of notional, delta and vega on what it sends [KEY-5].

Each underlying is looked at alone. A limit of 0 is none.
"""

from collections.abc import Iterable
from typing import NamedTuple

from novate.protocol.generated.codes import Code
from novate.verification.instruments import Instrument
from novate.verification.key_records import SessionKey
from novate.verification.order_records import Order
from novate.verification.orders import close_records, list_open, open_records
from novate.verification.risk import change_open, compute_worst_atoms
from novate.verification.state import Account, State, require


class Reach(NamedTuple):
    """What an account holds of a Greek in an underlying, and how far its open orders can move it up and down
    (`down_atoms` is not above zero).
    """

    held_atoms: int
    up_atoms: int
    down_atoms: int

    def is_within(self, limit_atoms: int, change_atoms: int) -> bool:
        """Whether the limit holds in the direction of a change; no change, nothing to ask."""
        if limit_atoms == 0 or change_atoms == 0:
            return True
        if change_atoms > 0:
            return self.held_atoms + self.up_atoms <= limit_atoms
        return self.held_atoms + self.down_atoms >= -limit_atoms


def read_greeks(instrument: Instrument) -> tuple[int, int]:
    """Return (delta, vega) of one lot [GREEK-1]."""
    return instrument.delta_atoms, instrument.vega_atoms


def measure(account: Account, underlying: int, orders: Iterable[Order]) -> tuple[Reach, Reach]:
    """Return the reach of (delta, vega) with these orders open, quotes with all their lots."""
    held, up, down = [0, 0], [0, 0], [0, 0]
    for position in account.holdings[underlying].values():
        for greek, value in enumerate(read_greeks(position.instrument)):
            held[greek] += position.lots * value
    for order in orders:
        if order.instrument.underlying == underlying:
            for greek, value in enumerate(read_greeks(order.instrument)):
                up[greek] += order.lots * max(0, order.direction * value)
                down[greek] += order.lots * min(0, order.direction * value)
    delta, vega = (Reach(held[greek], up[greek], down[greek]) for greek in (0, 1))
    return delta, vega


def check_order(state: State, order: Order, key: SessionKey) -> None:
    """Check the limits with a judged order open at its full size, whatever it replaces gone [KEY-5]."""
    account, figures, underlying = order.account, key.figures, order.instrument.underlying
    before = compute_worst_atoms(state, account, underlying)
    open_records(state, account, order.instrument)
    change_open(state, order, order.lots)
    after = compute_worst_atoms(state, account, underlying)
    change_open(state, order, -order.lots)
    close_records(state, account, order.instrument)
    raised = after > before
    require(
        not (figures.max_notional_atoms and raised and after > figures.max_notional_atoms), Code.KEY_LIMIT
    )
    others = (other for other in list_open(account) if other.order_id != order.order_id)
    delta, vega = measure(account, underlying, [*others, order])
    delta_change, vega_change = (order.direction * value for value in read_greeks(order.instrument))
    require(delta.is_within(figures.max_delta_atoms, delta_change), Code.KEY_LIMIT)
    require(vega.is_within(figures.max_vega_atoms, vega_change), Code.KEY_LIMIT)


class BlockCheck:
    """What a key's limits need to know of one side of a block from before its legs are filled [KEY-5]."""

    def __init__(self, state: State, account: Account, underlyings: Iterable[int]) -> None:
        self.account = account
        self.worst_atoms = {
            underlying: compute_worst_atoms(state, account, underlying) for underlying in underlyings
        }

    def apply(self, state: State, changes: Iterable[tuple[Instrument, int]], key: SessionKey) -> None:
        """Check the limits with the legs filled; `changes` are the signed lots by which they moved it."""
        account, figures, moves = self.account, key.figures, list(changes)
        for underlying, before in self.worst_atoms.items():
            after = compute_worst_atoms(state, account, underlying)
            limit = figures.max_notional_atoms
            require(not (limit and after > before and after > limit), Code.KEY_LIMIT)
            delta, vega = measure(account, underlying, list_open(account))
            within = [(i, lots) for i, lots in moves if i.underlying == underlying]
            delta_change = sum(lots * instrument.delta_atoms for instrument, lots in within)
            vega_change = sum(lots * instrument.vega_atoms for instrument, lots in within)
            require(delta.is_within(figures.max_delta_atoms, delta_change), Code.KEY_LIMIT)
            require(vega.is_within(figures.max_vega_atoms, vega_change), Code.KEY_LIMIT)


def allows_quotes(state: State, account: Account, underlying: int, key: SessionKey) -> bool:
    """Whether an account whose key has placed quotes is within the limits, in both directions [KEY-5]."""
    figures = key.figures
    limit = figures.max_notional_atoms
    if limit and compute_worst_atoms(state, account, underlying) > limit:
        return False
    delta, vega = measure(account, underlying, list_open(account))
    return all(
        delta.is_within(figures.max_delta_atoms, sign) and vega.is_within(figures.max_vega_atoms, sign)
        for sign in (1, -1)
    )
