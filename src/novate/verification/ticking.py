"""What a TICK does, in its order [TICK-1]."""

from novate.verification.expiry import advance_averages, expire
from novate.verification.funding import fund_all
from novate.verification.liquidation import liquidate_all
from novate.verification.marking import is_in_window, mark_market
from novate.verification.protection import end_windows
from novate.verification.state import State
from novate.verification.timers import cancel_due_accounts, cancel_expired_orders
from novate.verification.volatility_orders import reprice_volatility_orders
from novate.verification.waiting import fire_armed


def tick(state: State) -> tuple[int, int]:
    """Apply TICK; ready orders fire after it, as after every command [TICK-1] [TRIG-5]."""
    for underlying, market in enumerate(state.markets):
        if market.has_index:
            advance_averages(state, underlying)
    assert state.time_ns is not None
    for series in state.series:
        if not series.expired and series.expiry_ns <= state.time_ns:
            expire(state, series)
    end_windows(state)
    marked = mark_dirty(state)
    fund_all(state)
    liquidate_all(state)
    cancel_due_accounts(state)
    cancel_expired_orders(state)
    for underlying in marked:
        reprice_volatility_orders(state, state.markets[underlying])
    fire_armed(state)
    return -1, 0


def mark_dirty(state: State) -> list[int]:
    """Renew the marks of every dirty underlying and return which had an index to be marked by [MARK-1]."""
    for series in state.series:
        market = state.markets[series.underlying]
        if market.has_index and not series.expired and is_in_window(state, series):
            market.dirty = True
    marked = []
    for underlying, market in enumerate(state.markets):
        if market.dirty:
            mark_market(state, market)
            market.dirty = False
            marked.append(underlying)
    return marked
