"""Marks: an instrument's value, rows and Greeks from index and surface, then every account's margin sums.

A mark update costs instruments * 35 revaluations and (positions + open orders) * 34 multiply-adds. Implements
[MARK-1] to [MARK-5], [FUT-1] and [GREEK-1] with the leaves of scenarios and averaging.
"""

from typing import Any

from novate.execution.combos import mark_combos
from novate.execution.effective_price import compute_band_atoms
from novate.execution.events import emit
from novate.execution.remargining import add_portfolios
from novate.execution.tables import NONE, World
from novate.kernel import kernel_inner
from novate.protocol.arithmetic import div_ceil, mul_ratio_ceil_e6
from novate.protocol.averaging import (
    compute_averaged_row,
    compute_averaged_volatility_x48,
    compute_known_atoms,
    compute_moving_atoms,
    compute_rest_ms,
    is_in_window,
)
from novate.protocol.generated.codes import EventKind, InstrumentKind, InstrumentState
from novate.protocol.novation import is_linear
from novate.protocol.oracle import compute_forward_atoms, compute_variance_ratio_x48
from novate.protocol.scenarios import (
    compute_delta_atoms,
    compute_floor_volatility_x48,
    compute_future_row,
    compute_option_row,
    compute_option_total_volatility_x48,
    compute_perpetual_row,
    compute_vega_atoms,
    compute_volatility_factors_x48,
    compute_year_root_x48,
)

Record = Any


@kernel_inner
def split_forward(w: World, number: int, time_ns: int) -> tuple[int, int, int]:
    """Return the forward of a series with a surface, its known part and its moving part; outside the
    settlement window the known part is NONE and all of it moves. [MARK-1] [MARK-5]
    """
    series = w.series[number]
    market = w.markets[series["underlying"]]
    forward = compute_forward_atoms(
        series["forward_atoms"],
        market["index_atoms"],
        series["reference_index_atoms"],
        market["index_atoms_max"],
    )
    if not is_in_window(time_ns, series["expiry_ns"]):
        return forward, NONE, forward
    rest_ms = compute_rest_ms(time_ns, series["expiry_ns"])
    if series["twap_ms"] + rest_ms == 0:
        return forward, NONE, forward
    known = compute_known_atoms(series["twap_sum"], series["twap_ms"], rest_ms)
    moving = compute_moving_atoms(forward, series["twap_ms"], rest_ms)
    return max(1, known + moving), known, moving


@kernel_inner
def compute_series_volatility_x48(
    w: World, number: int, forward: int, strike_atoms: int, time_left_ns: int
) -> int:
    """Return the total volatility of a strike on the surface of a series. [MARK-4]"""
    series = w.series[number]
    return compute_option_total_volatility_x48(
        series["svi_a_x48"],
        series["svi_b_x48"],
        series["svi_rho_x48"],
        series["svi_m_x48"],
        series["svi_sigma_x48"],
        forward,
        strike_atoms,
        compute_variance_ratio_x48(time_left_ns, series["variance_time_ns"]),
    )


@kernel_inner
def mark_option(w: World, number: int, time_ns: int) -> int:
    """Renew mark, rows and vega of an option whose series has a surface, and return the mark. [MARK-4]
    [MARK-5] [GREEK-1]
    """
    instrument = w.instruments[number]
    kind, strike, lots_per_unit = instrument["kind"], instrument["strike_atoms"], instrument["lots_per_unit"]
    series, shift = instrument["series"], w.parameters[0]["basis_shift_e6"]
    time_left_ns = max(0, instrument["expiry_ns"] - time_ns)
    forward, known, moving = split_forward(w, series, time_ns)
    volatility = compute_series_volatility_x48(w, series, forward, strike, time_left_ns)
    floor = compute_floor_volatility_x48(time_left_ns)
    year_root = compute_year_root_x48(time_left_ns)
    up, down = compute_volatility_factors_x48(time_left_ns)
    row, basis_row = w.rows[number], w.basis_rows[number]
    if known == NONE:
        mark = compute_option_row(
            kind, forward, strike, lots_per_unit, volatility, floor, up, down, shift, row, basis_row
        )
    else:
        volatility = compute_averaged_volatility_x48(volatility, moving, forward)
        floor = compute_averaged_volatility_x48(floor, moving, forward)
        year_root = compute_averaged_volatility_x48(year_root, moving, forward)
        mark = compute_averaged_row(
            kind,
            known,
            moving,
            forward,
            strike,
            lots_per_unit,
            volatility,
            floor,
            up,
            down,
            shift,
            row,
            basis_row,
        )
    instrument["forward_atoms"] = forward
    instrument["total_volatility_x48"] = volatility
    instrument["vega_atoms"] = compute_vega_atoms(
        kind, forward, strike, lots_per_unit, volatility, year_root, mark
    )
    return mark


@kernel_inner
def mark_future(w: World, number: int, time_ns: int) -> int:
    """Renew mark and rows of a future whose series has a surface, and return the mark. [FUT-1] [FUT-2]"""
    instrument = w.instruments[number]
    forward, _, moving = split_forward(w, instrument["series"], time_ns)
    instrument["forward_atoms"] = forward
    return compute_future_row(
        forward,
        moving,
        instrument["lots_per_unit"],
        w.parameters[0]["basis_shift_e6"],
        w.rows[number],
        w.basis_rows[number],
    )


@kernel_inner
def mark_instrument(w: World, number: int, time_ns: int) -> bool:
    """Renew mark, rows, Greeks, notional and fee bound of an open instrument; False if it has no surface
    yet. [MARK-1] to [MARK-3]
    """
    instrument = w.instruments[number]
    kind, lots_per_unit = instrument["kind"], instrument["lots_per_unit"]
    index_atoms = w.markets[instrument["underlying"]]["index_atoms"]
    if kind == InstrumentKind.PERPETUAL:
        mark = compute_perpetual_row(index_atoms, lots_per_unit, w.rows[number], w.basis_rows[number])
        delta = mark
    else:
        if w.series[instrument["series"]]["has_surface"] == 0:
            return False
        if kind == InstrumentKind.FUTURE:
            mark = mark_future(w, number, time_ns)
        else:
            mark = mark_option(w, number, time_ns)
        delta = compute_delta_atoms(w.basis_rows[number], w.parameters[0]["basis_shift_e6"])
    tier = w.fee_tiers[0]
    rate = tier["futures_taker_e6"] if is_linear(kind) else tier["option_taker_e6"]
    notional = div_ceil(index_atoms, lots_per_unit)
    instrument["mark_atoms"] = mark
    instrument["delta_atoms"] = delta
    instrument["notional_atoms"] = notional
    instrument["taker_fee_atoms"] = mul_ratio_ceil_e6(notional, rate)
    instrument["band_atoms"] = compute_band_atoms(w, instrument)
    instrument["dirty"] = 1
    return True


@kernel_inner
def mark_underlying(w: World, underlying: int, time_ns: int) -> None:
    """Renew the marks of an underlying and every account's margin in it. [MARK-1] [MARK-3] [COMBO-3]"""
    count = 0
    if w.markets[underlying]["index_atoms"] > 0:
        for i in range(w.house[0]["instrument_count"]):
            instrument = w.instruments[i]
            mine = instrument["underlying"] == underlying and instrument["kind"] != InstrumentKind.COMBO
            if mine and instrument["state"] == InstrumentState.OPEN and mark_instrument(w, i, time_ns):
                count += 1
        count += mark_combos(w, underlying)
    add_portfolios(w, underlying)
    w.markets[underlying]["dirty"] = 0
    event = emit(w, EventKind.MARKED)
    event["instrument"] = underlying
    event["lots"] = count


@kernel_inner
def dirty_windows(w: World, time_ns: int) -> None:
    """Let every underlying with an index and a series inside its settlement window be marked. [MARK-1]"""
    for s in range(w.house[0]["series_count"]):
        series = w.series[s]
        market = w.markets[series["underlying"]]
        inside = series["expired"] == 0 and is_in_window(time_ns, series["expiry_ns"])
        if inside and market["index_atoms"] > 0:
            market["dirty"] = 1
