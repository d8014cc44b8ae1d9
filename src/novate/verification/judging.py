"""What an order must pass before it may match or rest: its shape when it arrives, its judgement at a mark.

The checks of a clause stand in its order, because the first code that applies is the result [CMD-2]. Verifies
[MATCH-1], [MATCH-2], [MATCH-10], [ORDER-1] to [ORDER-4], [BAND-1] and [MARGIN-12].
"""

from collections import OrderedDict

from novate.protocol.generated.codes import Code, OrderFlag, Side, TimeInForce
from novate.protocol.generated.constants import (
    GROSS_LOTS_MAX,
    OPEN_ORDER_COUNT_MAX,
    ORDER_LOTS_MAX,
    PRICE_TICKS_MAX,
    VOLATILITY_BP_MAX,
)
from novate.verification.combos import is_open
from novate.verification.key_limits import check_order as check_key_limits
from novate.verification.key_records import SessionKey
from novate.verification.order_prices import compute_band, compute_effective_ticks
from novate.verification.order_records import Order, Terms
from novate.verification.orders import close_records, count_missing_records, has_open, open_records
from novate.verification.protection import compute_capacity
from novate.verification.risk import (
    change_open,
    compute_summary,
    compute_surplus_if_filled,
    find_portfolio,
)
from novate.verification.state import NO_MARK, Instrument, State, require

SIDES = frozenset(int(side) for side in Side)
TIMES_IN_FORCE = frozenset(int(member) for member in TimeInForce)
AT_ONCE = (TimeInForce.IOC, TimeInForce.FOK)
ALL_FLAGS = sum(OrderFlag)
DISPLAY_SHARE = 10


def check_terms(state: State, terms: Terms, waits: bool = False) -> Instrument:
    """Check what PLACE and PLACE_TRIGGER (which `waits`) ask of an order; return its instrument [MATCH-1]."""
    known = terms.side in SIDES and terms.time_in_force in TIMES_IN_FORCE and terms.flags & ~ALL_FLAGS == 0
    least = min(terms.display_lots, terms.valid_until_ns, terms.label, terms.link)
    require(known and least >= 0, Code.COMMAND_MALFORMED)
    require(0 <= terms.instrument < len(state.instruments), Code.INSTRUMENT_NOT_FOUND)
    instrument = state.instruments[terms.instrument]
    check_open(state, instrument)
    check_options(state, instrument, terms, waits)
    check_size_and_price(terms)
    return instrument


def check_open(state: State, instrument: Instrument) -> None:
    """Check that an instrument is not expired, nor past its expiry [MATCH-1]."""
    require(is_open(state, instrument), Code.INSTRUMENT_CLOSED)


def check_options(state: State, instrument: Instrument, terms: Terms, waits: bool) -> None:
    """Check that options fit each other, the time in force and the instrument [ORDER-1] [COMBO-4]."""
    flags, at_once = terms.flags, terms.time_in_force in AT_ONCE
    both = OrderFlag.CANCEL_MAKER | OrderFlag.CANCEL_BOTH
    require(flags & both != both, Code.ORDER_INVALID)
    if flags & OrderFlag.MARKET:
        plain = terms.price_ticks == 0 and not flags & OrderFlag.VOLATILITY
        require(at_once and plain, Code.ORDER_INVALID)
    if flags & OrderFlag.VOLATILITY:
        require(instrument.is_option and not terms.link, Code.ORDER_INVALID)
    require(not (instrument.is_combo and (waits or flags & OrderFlag.REDUCE_ONLY)), Code.ORDER_INVALID)
    check_validity(state, terms)
    lasting = not waits and (terms.valid_until_ns or terms.link)
    require(not (at_once and (terms.display_lots or lasting)), Code.ORDER_INVALID)


def check_validity(state: State, terms: Terms) -> None:
    """Check that the time until which an order is good lies ahead [ORDER-1] [TRIG-4]."""
    assert state.time_ns is not None
    require(terms.valid_until_ns == 0 or terms.valid_until_ns > state.time_ns, Code.ORDER_INVALID)


def check_size_and_price(terms: Terms, replaces: bool = False) -> None:
    """Check size, display and price as PLACE and REPLACE do [MATCH-1] [MATCH-8] [ORDER-2] [ORDER-4].

    An iceberg that `replaces` may have become no larger than what it shows.
    """
    require(terms.lots >= 1, Code.SIZE_NOT_POSITIVE)
    require(terms.lots <= ORDER_LOTS_MAX, Code.SIZE_ABOVE_MAXIMUM)
    if terms.display_lots:
        fits = replaces or terms.display_lots < terms.lots
        require(fits and terms.lots <= DISPLAY_SHARE * terms.display_lots, Code.ORDER_INVALID)
    if not terms.flags & OrderFlag.MARKET:
        price_max = VOLATILITY_BP_MAX if terms.flags & OrderFlag.VOLATILITY else PRICE_TICKS_MAX
        require(terms.price_ticks >= 1, Code.PRICE_NOT_POSITIVE)
        require(terms.price_ticks <= price_max, Code.PRICE_ABOVE_MAXIMUM)


def judge(state: State, order: Order, replaced: Order | None = None, key: SessionKey | None = None) -> None:
    """Judge an order and set its effective price and size [MATCH-1] [MATCH-8].

    `replaced` is the open order that it will take the place of: it is judged as if that were gone. `key` is
    the session key that sent it, if one did. Whatever the judgement, the books and the margin sums are as
    before.
    """
    if replaced is None:
        judge_alone(state, order, key=key)
        return
    change_open(state, replaced, -replaced.lots)
    try:
        judge_alone(state, order, is_new=False, key=key)
    finally:
        change_open(state, replaced, replaced.lots)


def judge_alone(state: State, order: Order, is_new: bool = True, key: SessionKey | None = None) -> None:
    """Judge an order as if it replaced none; the limits on orders and tables are for new ones only."""
    check_mark(state, order.instrument)
    if is_new:
        check_room(state, order)
    order.set_price(compute_effective_ticks(state, order))
    check_band(state, order)
    if order.has(OrderFlag.REDUCE_ONLY):
        reducible = order.compute_reducible()
        require(reducible > 0, Code.REDUCE_ONLY_WOULD_INCREASE)
        order.lots = min(order.lots, reducible)
    check_gross(state, order)
    if order.time_in_force == TimeInForce.POST_ONLY:
        require(find_crossing_level(order) is None, Code.POST_ONLY_WOULD_CROSS)
    if order.time_in_force == TimeInForce.FOK:
        require(sum_fillable(state, order) >= order.lots, Code.FILL_OR_KILL_UNFILLABLE)
    if key is not None:
        check_key_limits(state, order, key)
    check_margin(state, order)


def judge_quote(state: State, order: Order) -> None:
    """Judge a quote from its mark on; margin is checked for all quotes together [QUOTE-2] [QUOTE-3]."""
    check_mark(state, order.instrument)
    check_room(state, order)
    check_band(state, order)
    check_gross(state, order)
    require(find_crossing_level(order) is None, Code.POST_ONLY_WOULD_CROSS)


def check_mark(state: State, instrument: Instrument) -> None:
    """Check that the instrument has a mark and its index is recent [MATCH-1]."""
    require(instrument.mark_atoms != NO_MARK, Code.MARK_UNAVAILABLE)
    require(not state.is_stale(state.markets[instrument.underlying]), Code.MARK_STALE)


def check_room(state: State, order: Order) -> None:
    """Check that account and venue have room for one more order, and positions if need be [MATCH-1]."""
    account, instrument = order.account, order.instrument
    require(account.open_order_count < OPEN_ORDER_COUNT_MAX, Code.OPEN_ORDER_LIMIT)
    require(len(state.orders) < state.limits["orders"], Code.TABLE_FULL)
    free_records = state.limits["positions"] - state.position_count
    require(count_missing_records(account, instrument) <= free_records, Code.TABLE_FULL)


def check_band(state: State, order: Order) -> None:
    """Check the limit value against the band around the mark [BAND-1]."""
    least, most = compute_band(state, order.instrument)
    inside = order.limit_atoms <= most if order.side == Side.BUY else order.limit_atoms >= least
    require(inside, Code.PRICE_OUTSIDE_BAND)


def check_gross(state: State, order: Order) -> None:
    """Check the account's gross lots in the underlying [MARGIN-9] [COMBO-4]."""
    portfolio = find_portfolio(state, order.account, order.instrument.underlying)
    lots = order.lots * order.instrument.count_part_lots()
    require(portfolio.gross_lots + lots <= GROSS_LOTS_MAX, Code.GROSS_LIMIT)


def find_crossing_level(order: Order) -> OrderedDict[int, Order] | None:
    """Return the best opposite level if the order crosses it [MATCH-2]."""
    book = order.instrument.books[1 - order.side]
    if not book.keys:
        return None
    best_ticks = abs(book.keys[0])
    return book.levels[best_ticks] if crosses(order, best_ticks) else None


def crosses(order: Order, opposite_ticks: int) -> bool:
    """Whether the order's price reaches an opposite price [MATCH-2]."""
    if order.side == Side.BUY:
        return order.price_ticks >= opposite_ticks
    return order.price_ticks <= opposite_ticks


def sum_fillable(state: State, taker: Order) -> int:
    """Return how many lots are sure to fill; no more are counted than wanted [MATCH-10].

    A hidden slice counts unless it would queue behind an order of the taker's own account.
    """
    book, total = taker.instrument.books[1 - taker.side], 0
    hidden_counts = taker.has(OrderFlag.CANCEL_MAKER) or not has_open(taker.account, taker.instrument)
    for key in book.keys:
        if not crosses(taker, abs(key)):
            break
        for maker in book.levels[abs(key)].values():
            if maker.account is taker.account:
                if not taker.has(OrderFlag.CANCEL_MAKER):
                    return total
            elif not (maker.has(OrderFlag.REDUCE_ONLY) or maker.terms.link):
                lots = maker.lots if hidden_counts else maker.visible_lots
                total += min(lots, compute_capacity(state, maker))
        if total >= taker.lots:
            break
    return total


def check_margin(state: State, order: Order) -> None:
    """Check the initial margin with the order open at its full size [MARGIN-8] [MARGIN-12]."""
    account, instrument = order.account, order.instrument
    open_records(state, account, instrument)
    change_open(state, order, order.lots)
    equity, _, initial = compute_summary(state, account)
    change_open(state, order, -order.lots)
    passes = equity >= initial
    if not passes and order.has(OrderFlag.REDUCE_ONLY):
        equity, _, initial = compute_summary(state, account)
        passes = compute_surplus_if_filled(state, order) >= equity - initial
    close_records(state, account, instrument)
    require(passes, Code.INITIAL_MARGIN_INSUFFICIENT)
