"""Oracle reports, marks and expiry as the replayer reads them [INDEX-1] to [EXPIRY-3]."""

from typing import Any

import numpy as np

from novate.kernel import kernel
from novate.protocol.command import Command
from novate.protocol.generated.codes import Code, InstrumentKind, InstrumentState
from novate.protocol.generated.constants import BASIS_COUNT, E6, NS_PER_MS, SCENARIO_COUNT, TWAP_WINDOW_NS
from novate.protocol.scenarios import (
    compute_floor_volatility_x48,
    compute_option_row,
    compute_option_total_volatility_x48,
    compute_perpetual_row,
    compute_volatility_factors_x48,
)
from novate.protocol.svi import (
    SURFACE_OK,
    has_butterfly_arbitrage,
    has_calendar_arbitrage,
    verify_surface_parameters,
)
from novate.verification.risk import mul_ratio_ceil
from novate.verification.state import NO_MARK, Instrument, Market, Series, State, SurfaceReport, require
from novate.verification.trading import leave_book

Array = np.ndarray[Any, np.dtype[np.int64]]
ONE_X48 = 1 << 48
GROWTH_MAX = 16
NS_PER_US = 1_000


def find_oracle(state: State, command: Command) -> int:
    """Return the number of the oracle that signed [AUTH-4]."""
    oracles = state.genesis.oracles
    require(command.signer in oracles, Code.ORACLE_UNKNOWN)
    return oracles.index(command.signer)


def find_market(state: State, underlying: int) -> Market:
    """Return the underlying with this number."""
    require(0 <= underlying < len(state.markets), Code.UNDERLYING_NOT_FOUND)
    return state.markets[underlying]


def check_observation(state: State, observed_ns: int, last_ns: int | None) -> None:
    """Check a report's time against the venue's and the oracle's last one [INDEX-1]."""
    assert state.time_ns is not None
    skew_ns, age_ns = state.parameters["observation_skew_ns"], state.parameters["observation_age_ns_max"]
    require(observed_ns <= state.time_ns + skew_ns, Code.OBSERVATION_IN_FUTURE)
    require(observed_ns >= state.time_ns - age_ns, Code.OBSERVATION_STALE)
    require(last_ns is None or observed_ns > last_ns, Code.OBSERVATION_NOT_NEWER)


def report_index(state: State, command: Command) -> tuple[int, int]:
    """Apply INDEX [INDEX-1] [INDEX-2] [INDEX-3]."""
    oracle = find_oracle(state, command)
    underlying, index_atoms, confidence_e6, observed_ns = command.values
    market = find_market(state, underlying)
    in_range = 1 <= index_atoms <= market.figures.index_atoms_max and 0 <= confidence_e6 <= E6
    require(in_range, Code.INDEX_OUT_OF_RANGE)
    last = market.reports.get(oracle)
    check_observation(state, observed_ns, last[2] if last else None)
    market.reports[oracle] = (index_atoms, confidence_e6, observed_ns)
    assert state.time_ns is not None
    oldest_ns = state.time_ns - state.parameters["observation_age_ns_max"]
    fresh = [report for report in market.reports.values() if report[2] >= oldest_ns]
    if len(fresh) >= state.genesis.quorum:
        advance_averages(state, underlying)
        market.index_atoms = sorted(report[0] for report in fresh)[(len(fresh) - 1) // 2]
        market.confidence_e6 = min(report[1] for report in fresh)
        market.index_time_ns = state.time_ns
        market.has_index = market.dirty = True
    return -1, 0


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


def report_surface(state: State, command: Command) -> tuple[int, int]:
    """Apply SURFACE [SURFACE-1] [SURFACE-2] [SURFACE-3]."""
    oracle = find_oracle(state, command)
    underlying, expiry_ns, *numbers = command.values
    market = find_market(state, underlying)
    number = state.series_numbers.get((underlying, expiry_ns), -1)
    assert state.time_ns is not None
    require(number >= 0 and state.time_ns < expiry_ns, Code.SERIES_NOT_FOUND)
    series, report = state.series[number], SurfaceReport(tuple(numbers))
    in_range = 1 <= report.forward_atoms <= market.figures.index_atoms_max
    in_range = in_range and verify_surface_parameters(*report.slice) == SURFACE_OK
    require(in_range, Code.SURFACE_OUT_OF_RANGE)
    last = series.reports.get(oracle)
    check_observation(state, report.observed_ns, last.observed_ns if last else None)
    equal = 1 + sum(
        other.numbers == report.numbers for name, other in series.reports.items() if name != oracle
    )
    accepted = series.surface is not None and series.surface.numbers == report.numbers
    if equal >= state.genesis.quorum and market.has_index and not accepted:
        require(not has_butterfly_arbitrage(*report.slice), Code.SURFACE_BUTTERFLY)
        check_calendar(state, series, report)
        series.surface = report
        series.reference_index = market.index_atoms
        series.variance_time_ns = max(1, expiry_ns - report.observed_ns)
        market.dirty = True
    series.reports[oracle] = report
    return -1, 0


def check_calendar(state: State, series: Series, report: SurfaceReport) -> None:
    """Check the total variance against the neighbouring accepted surfaces, the earlier first [SURFACE-2]."""
    others = [
        (other.expiry_ns, other.surface)
        for other in state.series
        if other.underlying == series.underlying and not other.expired and other.surface is not None
    ]
    earlier = [pair for pair in others if pair[0] < series.expiry_ns]
    later = [pair for pair in others if pair[0] > series.expiry_ns]
    if earlier:
        _, near = max(earlier, key=lambda pair: pair[0])
        require(not has_calendar_arbitrage(*near.slice, *report.slice), Code.SURFACE_CALENDAR)
    if later:
        _, far = min(later, key=lambda pair: pair[0])
        require(not has_calendar_arbitrage(*report.slice, *far.slice), Code.SURFACE_CALENDAR)


def tick(state: State) -> tuple[int, int]:
    """Apply TICK: averages, expiries, marks [TICK-1]."""
    for underlying, market in enumerate(state.markets):
        if market.has_index:
            advance_averages(state, underlying)
    assert state.time_ns is not None
    for series in state.series:
        if not series.expired and series.expiry_ns <= state.time_ns:
            expire(state, series)
    for market in state.markets:
        if market.dirty:
            mark_market(state, market)
            market.dirty = False
    return -1, 0


def expire(state: State, series: Series) -> None:
    """Settle every instrument of a series [EXPIRY-2]."""
    market = state.markets[series.underlying]
    settlement = series.twap_sum // series.twap_ms if series.twap_ms > 0 else market.index_atoms
    series.expired = True
    market.dirty = True
    for instrument in series.instruments:
        settle(state, instrument, settlement)


def settle(state: State, instrument: Instrument, settlement_atoms: int) -> None:
    """End an option's orders, pay its positions, close it. The marks that follow rebuild the margin sums."""
    sides = [order for book in instrument.books for level in book.levels.values() for order in level.values()]
    for order in sorted(sides, key=lambda order: order.order_id):
        leave_book(state, order, order.account.holdings[instrument.underlying][instrument.number])
    moneyness = settlement_atoms - instrument.strike_atoms
    if instrument.kind == InstrumentKind.PUT:
        moneyness = -moneyness
    payoff_atoms = max(0, moneyness) // instrument.lots_per_unit
    for account in state.accounts:
        position = account.holdings[instrument.underlying].pop(instrument.number, None)
        if position is not None:
            state.position_count -= 1
            if position.lots:
                state.pay(account, position.lots * payoff_atoms)
    instrument.state = int(InstrumentState.EXPIRED)
    instrument.settlement_atoms = settlement_atoms
    instrument.mark_atoms = NO_MARK
    state.dirty_instruments.add(instrument.number)


@kernel
def fill_option_rows(
    a: int,
    b: int,
    rho: int,
    m: int,
    sigma: int,
    forward_atoms: int,
    ratio_x48: int,
    time_left_ns: int,
    lots_per_unit: int,
    basis_shift_e6: int,
    kinds: Array,
    strikes: Array,
    marks: Array,
    rows: Array,
    basis: Array,
) -> None:
    """Fill mark, row and basis row of every option of one series [MARK-4]."""
    floor_volatility = compute_floor_volatility_x48(time_left_ns)
    factor_up, factor_down = compute_volatility_factors_x48(time_left_ns)
    for i in range(kinds.shape[0]):
        volatility = compute_option_total_volatility_x48(
            a, b, rho, m, sigma, forward_atoms, strikes[i], ratio_x48
        )
        marks[i] = compute_option_row(
            kinds[i],
            forward_atoms,
            strikes[i],
            lots_per_unit,
            volatility,
            floor_volatility,
            factor_up,
            factor_down,
            basis_shift_e6,
            rows[i],
            basis[i],
        )


def compute_forward(series: Series, market: Market) -> int:
    """Return the accepted forward moved along with the index [MARK-1]."""
    assert series.surface is not None
    growth_x48 = GROWTH_MAX * ONE_X48
    if market.index_atoms < GROWTH_MAX * series.reference_index:
        growth_x48 = market.index_atoms * ONE_X48 // series.reference_index
    forward = series.surface.forward_atoms * growth_x48 >> 48
    return min(max(forward, 1), market.figures.index_atoms_max)


def compute_variance_ratio(series: Series, time_left_ns: int) -> int:
    """Return the share of the surface's variance that is left, in x48 [MARK-1]."""
    if time_left_ns >= series.variance_time_ns:
        return ONE_X48
    return (time_left_ns // NS_PER_US) * ONE_X48 // max(1, series.variance_time_ns // NS_PER_US)


def mark_market(state: State, market: Market) -> None:
    """Renew the marks, rows and fees of every open instrument of an underlying [MARK-1] [MARK-2] [MARK-3]."""
    market.marks_version += 1
    if not market.has_index:
        return
    for instrument in market.instruments:
        if instrument.is_perpetual:
            row, basis = np.zeros(SCENARIO_COUNT, np.int64), np.zeros(BASIS_COUNT, np.int64)
            mark = compute_perpetual_row(market.index_atoms, instrument.lots_per_unit, row, basis)
            set_mark(state, market, instrument, int(mark), row, (int(basis[0]), int(basis[1])))
    for series in state.series:
        if state.markets[series.underlying] is market and not series.expired and series.surface is not None:
            mark_series(state, market, series)


def mark_series(state: State, market: Market, series: Series) -> None:
    """Renew the marks of the options of one series [MARK-4]."""
    assert series.surface is not None
    assert state.time_ns is not None
    time_left_ns = series.expiry_ns - state.time_ns
    options = series.instruments
    kinds = np.array([option.kind for option in options], np.int64)
    strikes = np.array([option.strike_atoms for option in options], np.int64)
    marks = np.zeros(len(options), np.int64)
    rows = np.zeros((len(options), SCENARIO_COUNT), np.int64)
    basis = np.zeros((len(options), BASIS_COUNT), np.int64)
    fill_option_rows(
        *series.surface.slice,
        compute_forward(series, market),
        compute_variance_ratio(series, time_left_ns),
        time_left_ns,
        market.figures.option_lots_per_unit,
        state.parameters["basis_shift_e6"],
        kinds,
        strikes,
        marks,
        rows,
        basis,
    )
    for option, mark, row, (down, up) in zip(options, marks.tolist(), rows, basis.tolist(), strict=True):
        set_mark(state, market, option, mark, row, (down, up))


def set_mark(
    state: State, market: Market, instrument: Instrument, mark_atoms: int, row: Array, basis: tuple[int, int]
) -> None:
    """Store what the marks say of one lot, with its notional and fees [MARK-3]."""
    instrument.mark_atoms = mark_atoms
    instrument.row = row
    instrument.basis = basis
    instrument.notional_atoms = -(-market.index_atoms // instrument.lots_per_unit)
    instrument.taker_fee_atoms = mul_ratio_ceil(instrument.notional_atoms, state.parameters["taker_fee_e6"])
    instrument.maker_fee_atoms = mul_ratio_ceil(instrument.notional_atoms, state.parameters["maker_fee_e6"])
    state.dirty_instruments.add(instrument.number)
