"""Funding of perpetuals as the replayer reads it: the rate from the visible book, then what is paid.

Verifies [FUND-1] and [FUND-2].
"""

from novate.protocol.generated.constants import FUNDING_PERIOD_MS, NS_PER_MS
from novate.verification.state import NO_MARK, Book, Instrument, State

SPAN_MS_MAX = 3_600_000
E9 = 10**9


def fund_all(state: State) -> None:
    """Let every perpetual accrue and pay at a TICK, in ascending number [FUND-2]."""
    for instrument in state.instruments:
        if instrument.is_perpetual:
            fund(state, instrument)


def fund(state: State, instrument: Instrument) -> None:
    """Advance one perpetual's funding to now; a fraction of an atom stays in `accrual` [FUND-2]."""
    assert state.time_ns is not None
    span_ms = 0
    if instrument.funded_ns:
        span_ms = min(SPAN_MS_MAX, state.time_ns // NS_PER_MS - instrument.funded_ns // NS_PER_MS)
    instrument.funded_ns = state.time_ns
    state.dirty_instruments.add(instrument.number)
    stale = state.is_stale(state.markets[instrument.underlying])
    if stale or instrument.mark_atoms == NO_MARK or span_ms == 0:
        return
    instrument.rate_e9 = compute_rate(state, instrument)
    instrument.accrual += instrument.mark_atoms * instrument.rate_e9 // E9 * span_ms
    paid_atoms, instrument.accrual = divmod(instrument.accrual, FUNDING_PERIOD_MS)
    if paid_atoms:
        for account in state.accounts:
            position = account.holdings[instrument.underlying].get(instrument.number)
            if position is not None and position.lots:
                state.pay(account, -position.lots * paid_atoms)


def compute_rate(state: State, instrument: Instrument) -> int:
    """Return the rate per eight hours in 1e-9, from impact prices and mark [FUND-1]."""
    mark = instrument.mark_atoms
    if mark <= 0:
        return 0
    impact_lots = state.markets[instrument.underlying].figures.funding_impact_lots
    bid, ask = (find_impact_atoms(instrument, book, impact_lots) for book in instrument.books)
    premium = 0
    if bid is not None:
        premium += max(0, bid - mark)
    if ask is not None:
        premium -= max(0, mark - ask)
    premium = min(max(premium, -mark), mark)
    cap, deadband = state.parameters["funding_cap_e9"], state.parameters["funding_deadband_e9"]
    ratio = min(max(premium * E9 // mark, -cap), cap)
    size = max(0, abs(ratio) - deadband)
    return size if ratio >= 0 else -size


def find_impact_atoms(instrument: Instrument, book: Book, impact_lots: int) -> int | None:
    """Return the price in atoms at which the best visible lots first add up to the impact size [FUND-1]."""
    seen = 0
    for key in book.keys:
        seen += sum(order.visible_lots for order in book.levels[abs(key)].values())
        if seen >= impact_lots:
            return abs(key) * instrument.tick_atoms
    return None
