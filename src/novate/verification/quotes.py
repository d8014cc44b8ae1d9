"""Mass quotes as the replayer reads them [QUOTE-1] to [QUOTE-3], and what a group may do [MMP-1]."""

from itertools import pairwise
from typing import NamedTuple

from novate.protocol.command import Command
from novate.protocol.generated.codes import CancelReason, Code, Side, TimeInForce
from novate.protocol.generated.constants import (
    GROUP_COUNT,
    ORDER_LOTS_MAX,
    PRICE_TICKS_MAX,
    QUOTE_COUNT_MAX,
)
from novate.verification.judging import check_open, judge_quote
from novate.verification.key_limits import allows_quotes
from novate.verification.keys import admit, authenticate, find_key
from novate.verification.matching import match
from novate.verification.order_records import Terms
from novate.verification.orders import cancel_order
from novate.verification.protection import end_quotes, end_window, has_lawful_figures, list_quotes
from novate.verification.risk import compute_summary
from novate.verification.state import Account, Group, Instrument, Order, Rejected, State, require
from novate.verification.trading import reduce


class SideQuote(NamedTuple):
    """One side of a quote; lots 0 mean none."""

    side: Side
    price_ticks: int
    lots: int


def set_protection(state: State, command: Command) -> tuple[int, int]:
    """Apply SET_MMP and return (account, 0) [MMP-1]."""
    account = authenticate(state, command)
    number, underlying, window_ns, frozen_ns, quantity, delta, vega = command.values[:7]
    require(0 <= underlying < len(state.markets), Code.GROUP_INVALID)
    lawful = has_lawful_figures(number, window_ns, frozen_ns, quantity, (delta, vega))
    require(lawful, Code.GROUP_INVALID)
    old = account.groups.get(number)
    require(old is None or not list_quotes(account, old), Code.GROUP_BUSY)
    group = account.groups[number] = Group(number, underlying, window_ns, frozen_ns)
    group.quantity_limit_lots, group.delta_limit_atoms, group.vega_limit_atoms = quantity, delta, vega
    return account.number, 0


def mass_quote(state: State, command: Command) -> tuple[int, int]:
    """Apply MASS_QUOTE and return (account, 0) [QUOTE-1] [QUOTE-2] [QUOTE-3] [KEY-5]."""
    account = admit(state, command)
    numbers = [item[0] for item in command.items]
    shaped = 1 <= len(numbers) <= QUOTE_COUNT_MAX
    shaped = shaped and all(left < right for left, right in pairwise(numbers))
    require(shaped, Code.COMMAND_MALFORMED)
    number = command.get("group")
    require(1 <= number <= GROUP_COUNT and number in account.groups, Code.GROUP_INVALID)
    group = account.groups[number]
    assert state.time_ns is not None
    require(state.time_ns >= group.frozen_until_ns, Code.GROUP_FROZEN)
    end_window(state, account, group)
    first_id, key = state.next_order_id, find_key(account, command.signer)
    for item in command.items:
        quote(state, account, group, item)
    placed = state.next_order_id > first_id
    if key is not None and placed and not allows_quotes(state, account, group.underlying, key):
        end_quotes(state, account, group, CancelReason.KEY_LIMIT)
        return account.number, 0
    equity, _, initial = compute_summary(state, account)
    if equity < initial:
        end_quotes(state, account, group, CancelReason.INITIAL_MARGIN)
    return account.number, 0


def quote(state: State, account: Account, group: Group, item: tuple[int, ...]) -> None:
    """Make one two-sided quote the group's only one in its instrument [QUOTE-2]."""
    number, bid_ticks, bid_lots, ask_ticks, ask_lots = item
    bid = SideQuote(Side.BUY, bid_ticks, bid_lots)
    ask = SideQuote(Side.SELL, ask_ticks, ask_lots)
    kept = {new.side for new in (bid, ask) if keep_place(state, account, group, number, new)}
    crossed = bool(bid.lots and ask.lots) and bid.price_ticks >= ask.price_ticks
    for new in (bid, ask):
        if new.lots and new.side not in kept:
            try:
                place_quote(state, account, group, number, new, crossed)
            except Rejected:
                continue  # QUOTE_REJECTED says why; the other sides are judged on their own.


def find_quote(account: Account, group: Group, number: int, side: Side) -> Order | None:
    """Return the group's open quote on one side of an instrument, if there is one."""
    position = account.holdings[group.underlying].get(number)
    orders = position.orders.values() if position else ()
    return next((order for order in orders if order.group == group.number and order.side == side), None)


def keep_place(state: State, account: Account, group: Group, number: int, new: SideQuote) -> bool:
    """Resize the group's present quote if the new one lets it keep its place, else end it [QUOTE-2]."""
    order = find_quote(account, group, number, new.side)
    if order is None:
        return False
    if new.price_ticks == order.price_ticks and 1 <= new.lots <= order.lots:
        reduce(state, order, new.lots)
        return True
    cancel_order(state, order, CancelReason.REPLACED)
    return False


def place_quote(
    state: State, account: Account, group: Group, number: int, new: SideQuote, crossed: bool
) -> None:
    """Judge one side of a quote and put it into the book [QUOTE-2].

    Errors     Rejected with the code of QUOTE_REJECTED.
    """
    require(0 <= number < len(state.instruments), Code.INSTRUMENT_NOT_FOUND)
    instrument = state.instruments[number]
    check_quote(state, group, instrument, new, crossed)
    terms = Terms(number, new.side, TimeInForce.POST_ONLY, new.lots, new.price_ticks)
    order = Order(state.next_order_id, account, instrument, terms, group.number)
    judge_quote(state, order)
    state.next_order_id += 1
    match(state, order)


def check_quote(state: State, group: Group, instrument: Instrument, new: SideQuote, crossed: bool) -> None:
    """Check what a quote says before it is judged as an order [QUOTE-2]."""
    check_open(state, instrument)
    fits = instrument.is_option and instrument.underlying == group.underlying
    require(fits, Code.ORDER_INVALID)
    require(new.lots >= 1, Code.SIZE_NOT_POSITIVE)
    require(new.lots <= ORDER_LOTS_MAX, Code.SIZE_ABOVE_MAXIMUM)
    require(new.price_ticks >= 1, Code.PRICE_NOT_POSITIVE)
    require(new.price_ticks <= PRICE_TICKS_MAX, Code.PRICE_ABOVE_MAXIMUM)
    require(not crossed, Code.QUOTE_CROSSED)
