"""Settlement as the replayer reads it: averages before an expiry, payoffs, the end of a series.

Verifies [EXPIRY-1] to [EXPIRY-3], [FUT-3] and [COMBO-7].
"""

from novate.protocol.generated.codes import CancelReason, InstrumentKind, InstrumentState
from novate.protocol.generated.constants import NS_PER_MS, TWAP_WINDOW_NS
from novate.verification.orders import cancel_order, sort_orders
from novate.verification.state import NO_MARK, Instrument, Series, State
from novate.verification.waiting import end_waiting_in


def advance_averages(state: State, underlying: int) -> None:
    """Add the index since the last advance to every open settlement window of an underlying [EXPIRY-1]."""
    market = state.markets[underlying]
    assert state.time_ns is not None
    begin_ns, market.advanced_ns = market.advanced_ns, state.time_ns
    if not market.has_index:
        return
    for series in state.series:
        if series.underlying == underlying and not series.expired:
            first_ns = max(begin_ns, series.expiry_ns - TWAP_WINDOW_NS)
            last_ns = min(state.time_ns, series.expiry_ns)
            if last_ns > first_ns:
                ms = last_ns // NS_PER_MS - first_ns // NS_PER_MS
                series.twap_sum += market.index_atoms * ms
                series.twap_ms += ms


def expire(state: State, series: Series) -> None:
    """Settle every instrument of a series [EXPIRY-2]."""
    market = state.markets[series.underlying]
    settlement = series.twap_sum // series.twap_ms if series.twap_ms > 0 else market.index_atoms
    series.expired = True
    market.dirty = True
    end_combos(state, series)
    for instrument in series.instruments:
        settle(state, instrument, settlement)


def end_combos(state: State, series: Series) -> None:
    """End every open combo that has a leg in a series, in ascending number [COMBO-7]."""
    for combo in state.instruments:
        ends = any(leg.series == series.number for leg, _ in combo.parts)
        if combo.is_combo and ends and combo.state == InstrumentState.OPEN:
            end_resting(state, combo)
            close(state, combo)


def end_resting(state: State, instrument: Instrument) -> None:
    """End every open order in an instrument, in ascending order id [EXPIRY-2]."""
    resting = [
        order for book in instrument.books for level in book.levels.values() for order in level.values()
    ]
    for order in sort_orders(resting):
        cancel_order(state, order, CancelReason.INSTRUMENT_EXPIRED)


def close(state: State, instrument: Instrument) -> None:
    """Let an instrument be expired, without a mark [EXPIRY-2]."""
    instrument.state = int(InstrumentState.EXPIRED)
    instrument.mark_atoms = NO_MARK
    state.dirty_instruments.add(instrument.number)


def compute_payoff(instrument: Instrument, settlement_atoms: int) -> int:
    """Return what one lot pays at expiry, rounding down, alike for long and short [EXPIRY-2] [FUT-3]."""
    value = settlement_atoms
    if instrument.kind == InstrumentKind.CALL:
        value = max(0, settlement_atoms - instrument.strike_atoms)
    elif instrument.kind == InstrumentKind.PUT:
        value = max(0, instrument.strike_atoms - settlement_atoms)
    return value // instrument.lots_per_unit


def settle(state: State, instrument: Instrument, settlement_atoms: int) -> None:
    """End an instrument's orders, pay its positions, close it; the marks that follow rebuild the sums."""
    end_resting(state, instrument)
    end_waiting_in(state, instrument)
    payoff_atoms = compute_payoff(instrument, settlement_atoms)
    for account in state.accounts:
        position = account.holdings[instrument.underlying].pop(instrument.number, None)
        if position is not None:
            state.position_count -= 1
            amount = position.lots * payoff_atoms
            if instrument.is_linear:
                amount -= position.cost_atoms
                state.linear_cost_sum -= position.cost_atoms
            state.pay(account, amount)
    instrument.settlement_atoms = settlement_atoms
    close(state, instrument)
