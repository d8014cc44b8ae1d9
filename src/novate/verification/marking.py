"""Oracle reports and marks as the replayer reads them.

Verifies [INDEX-1] to [INDEX-3], [SURFACE-1] to [SURFACE-3], [MARK-1] to [MARK-5], [FUT-1], [FUT-2],
[GREEK-1] and [COMBO-3].
"""

from typing import Any

import numpy as np

from novate.protocol.command import Command
from novate.protocol.generated.codes import Code
from novate.protocol.generated.constants import (
    BASIS_COUNT,
    E6,
    NS_PER_MS,
    NS_PER_US,
    SCENARIO_COUNT,
    TWAP_WINDOW_NS,
)
from novate.protocol.generated.tables import DAMPING_E6, MOVE_E6
from novate.protocol.svi import (
    SURFACE_OK,
    has_butterfly_arbitrage,
    has_calendar_arbitrage,
    verify_surface_parameters,
)
from novate.verification.expiry import advance_averages
from novate.verification.fees import find_rates
from novate.verification.option_rows import Outlook, fill_series
from novate.verification.risk import mul_ratio_ceil
from novate.verification.state import NO_MARK, Instrument, Market, Series, State, SurfaceReport, require

Array = np.ndarray[Any, np.dtype[np.int64]]
ONE_X48 = 1 << 48
GROWTH_MAX = 16


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


def is_in_window(state: State, series: Series) -> bool:
    """Whether the venue's time is inside the settlement window of an unexpired series [MARK-5]."""
    assert state.time_ns is not None
    return series.expiry_ns - TWAP_WINDOW_NS <= state.time_ns < series.expiry_ns


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


def compute_outlook(state: State, market: Market, series: Series) -> Outlook:
    """Return what the marks of a series with a surface are found from [MARK-1] [MARK-5]."""
    assert state.time_ns is not None
    time_left_ns = series.expiry_ns - state.time_ns
    ratio_x48 = compute_variance_ratio(series, time_left_ns)
    forward = compute_forward(series, market)
    if is_in_window(state, series):
        left_ms = series.expiry_ns // NS_PER_MS - state.time_ns // NS_PER_MS
        whole_ms = series.twap_ms + left_ms
        if whole_ms:
            known = series.twap_sum // whole_ms
            moving = forward * left_ms // whole_ms
            return Outlook(max(1, known + moving), known, moving, 1, ratio_x48, time_left_ns)
    return Outlook(forward, 0, forward, 0, ratio_x48, time_left_ns)


def mark_market(state: State, market: Market) -> None:
    """Renew the marks, rows and fees of every open instrument of an underlying [MARK-1] [MARK-2] [MARK-3]
    [COMBO-3].
    """
    market.marks_version += 1
    if not market.has_index:
        return
    for instrument in market.instruments:
        if instrument.is_perpetual:
            mark = market.index_atoms // instrument.lots_per_unit
            instrument.delta_atoms = mark
            set_mark(state, market, instrument, mark, compute_linear_row(mark), (0, 0))
    for series in state.series:
        if state.markets[series.underlying] is market and not series.expired and series.surface is not None:
            outlook = compute_outlook(state, market, series)
            for instrument in series.instruments:
                instrument.forward_atoms = outlook.forward_atoms
            mark_futures(state, market, series, outlook)
            mark_options(state, market, series, outlook)
    mark_combos(state, market)


def compute_linear_row(moving_atoms: int) -> Array:
    """Return the damped profits of one lot of which a value of `moving_atoms` moves [SCENARIO-6] [FUT-2]."""
    profits = moving_atoms * MOVE_E6 // E6
    return profits * DAMPING_E6 // E6


def mark_futures(state: State, market: Market, series: Series, outlook: Outlook) -> None:
    """Renew the marks of a series' futures [FUT-1] [FUT-2] [MARK-5]."""
    shift_e6 = state.parameters["basis_shift_e6"]
    for future in series.instruments:
        if future.is_linear:
            mark = outlook.forward_atoms // future.lots_per_unit
            moving = mark
            if outlook.in_window:
                moving = outlook.moving_atoms // future.lots_per_unit
            basis = (moving * -shift_e6 // E6, moving * shift_e6 // E6)
            future.delta_atoms = compute_delta(basis, shift_e6)
            set_mark(state, market, future, mark, compute_linear_row(moving), basis)


def mark_options(state: State, market: Market, series: Series, outlook: Outlook) -> None:
    """Renew the marks of a series' options [MARK-4] [MARK-5]."""
    assert series.surface is not None
    options = [instrument for instrument in series.instruments if not instrument.is_linear]
    shift_e6 = state.parameters["basis_shift_e6"]
    marks, vegas = np.zeros(len(options), np.int64), np.zeros(len(options), np.int64)
    rows = np.zeros((len(options), SCENARIO_COUNT), np.int64)
    shifts = np.zeros((len(options), BASIS_COUNT), np.int64)
    fill_series(
        *series.surface.slice,
        outlook,
        market.figures.option_lots_per_unit,
        shift_e6,
        np.array([option.kind for option in options], np.int64),
        np.array([option.strike_atoms for option in options], np.int64),
        marks,
        rows,
        shifts,
        vegas,
    )
    for number, option in enumerate(options):
        basis = (int(shifts[number, 0]), int(shifts[number, 1]))
        option.delta_atoms = compute_delta(basis, shift_e6)
        option.vega_atoms = int(vegas[number])
        set_mark(state, market, option, int(marks[number]), rows[number], basis)


def mark_combos(state: State, market: Market) -> None:
    """Renew the marks of an underlying's combos of which every leg has one, in ascending number [COMBO-3]."""
    for combo in market.instruments:
        if not combo.is_combo or any(leg.mark_atoms == NO_MARK for leg, _ in combo.parts):
            continue
        combo.delta_atoms = sum(ratio * leg.delta_atoms for leg, ratio in combo.parts)
        combo.vega_atoms = sum(ratio * leg.vega_atoms for leg, ratio in combo.parts)
        mark = sum(ratio * leg.mark_atoms for leg, ratio in combo.parts)
        row: Array = sum((ratio * leg.row for leg, ratio in combo.parts), np.zeros(SCENARIO_COUNT, np.int64))
        set_mark(state, market, combo, mark, row, (0, 0))


def compute_delta(basis: tuple[int, int], shift_e6: int) -> int:
    """Return the change in value of a lot for a move of the whole forward, rounding down [GREEK-1]."""
    return (basis[1] - basis[0]) * E6 // (2 * shift_e6)


def set_mark(
    state: State, market: Market, instrument: Instrument, mark_atoms: int, row: Array, basis: tuple[int, int]
) -> None:
    """Store what the marks say of one lot, with its notional and its highest fee [MARK-3]."""
    instrument.mark_atoms = mark_atoms
    instrument.row = row
    instrument.basis = basis
    instrument.notional_atoms = -(-market.index_atoms // instrument.lots_per_unit)
    instrument.taker_fee_atoms = sum(
        abs(ratio) * mul_ratio_ceil(part.notional_atoms, find_rates(state, 0, part)[0])
        for part, ratio in instrument.parts
    )
    state.dirty_instruments.add(instrument.number)
