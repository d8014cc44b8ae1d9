"""TICK: expiry, then renewed marks and margins. The only command whose cost grows with the venue.

A mark update costs instruments * 34 revaluations and (positions + open orders) * 34 multiply-adds.
Implements [TICK-1], [EXPIRY-2], [MARK-1] to [MARK-3].
"""

from typing import Any

from novate.execution.events import emit, emit_result
from novate.execution.ledger import (
    add_held_lots,
    add_position_sums,
    change_open_lots,
    find_position,
    release_position,
)
from novate.execution.market import advance_sums
from novate.execution.tables import NONE, World
from novate.execution.trading import cancel_order
from novate.kernel import kernel_inner
from novate.protocol.arithmetic import div_ceil, div_floor, mul_ratio_ceil_e6
from novate.protocol.generated.codes import CancelReason, Code, EventKind, InstrumentKind, InstrumentState
from novate.protocol.generated.constants import BASIS_COUNT, SCENARIO_COUNT
from novate.protocol.novation import compute_payoff_atoms
from novate.protocol.oracle import compute_forward_atoms, compute_variance_ratio_x48
from novate.protocol.scenarios import (
    compute_floor_volatility_x48,
    compute_option_row,
    compute_option_total_volatility_x48,
    compute_perpetual_row,
    compute_volatility_factors_x48,
)

Record = Any


@kernel_inner
def find_first_order_in(w: World, number: int, after_id: int) -> int:
    """Return the slot of the open order in an instrument with the lowest id above `after_id`, or NONE."""
    found = NONE
    for slot in range(w.house[0]["order_high"]):
        order = w.orders[slot]
        if order["order_id"] > after_id and order["instrument"] == number:
            if found == NONE or order["order_id"] < w.orders[found]["order_id"]:
                found = slot
    return found


@kernel_inner
def settle_position(w: World, account: int, number: int, payoff_atoms: int) -> None:
    """Pay out one position of an expired option and close it. [EXPIRY-2]"""
    slot = find_position(w, account, number)
    if slot == NONE or w.positions[slot]["lots"] == 0:
        return
    position = w.positions[slot]
    lots = position["lots"]
    add_position_sums(w, slot, -1)
    add_held_lots(w, account, number, -lots, 0)
    position["lots"] = 0
    position["cost_atoms"] = 0
    add_position_sums(w, slot, 1)
    w.accounts[account]["cash_atoms"] += lots * payoff_atoms
    w.accounts[account]["dirty"] = 1
    event = emit(w, EventKind.SETTLED)
    event["account"] = account
    event["instrument"] = number
    event["lots"] = lots
    event["amount_atoms"] = lots * payoff_atoms
    release_position(w, slot)


@kernel_inner
def expire_instrument(w: World, number: int, settlement_atoms: int) -> None:
    """End the orders of an instrument, settle its positions and close it. [EXPIRY-2]"""
    slot = find_first_order_in(w, number, 0)
    while slot != NONE:
        cancel_order(w, slot, CancelReason.INSTRUMENT_EXPIRED)
        slot = find_first_order_in(w, number, 0)
    instrument = w.instruments[number]
    payoff_atoms = compute_payoff_atoms(
        instrument["kind"], settlement_atoms, instrument["strike_atoms"], instrument["lots_per_unit"]
    )
    for account in range(w.house[0]["account_count"]):
        settle_position(w, account, number, payoff_atoms)
    instrument["state"] = InstrumentState.EXPIRED
    instrument["mark_atoms"] = NONE
    instrument["settlement_atoms"] = settlement_atoms
    instrument["dirty"] = 1
    event = emit(w, EventKind.EXPIRED)
    event["instrument"] = number
    event["amount_atoms"] = settlement_atoms


@kernel_inner
def expire_series(w: World, number: int) -> None:
    """Settle a series at its time-weighted index. [EXPIRY-2]"""
    series = w.series[number]
    market = w.markets[series["underlying"]]
    settlement_atoms = market["index_atoms"]
    if series["twap_ms"] > 0:
        settlement_atoms = div_floor(series["twap_sum"], series["twap_ms"])
    for i in range(w.house[0]["instrument_count"]):
        if w.instruments[i]["series"] == number:
            expire_instrument(w, i, settlement_atoms)
    series["expired"] = 1
    market["dirty"] = 1


@kernel_inner
def mark_option(w: World, number: int, time_ns: int) -> int:
    """Renew mark and rows of an option whose series has a surface, and return the mark. [MARK-1] [MARK-4]"""
    instrument = w.instruments[number]
    series = w.series[instrument["series"]]
    market = w.markets[instrument["underlying"]]
    time_left_ns = max(0, series["expiry_ns"] - time_ns)
    forward = compute_forward_atoms(
        series["forward_atoms"],
        market["index_atoms"],
        series["reference_index_atoms"],
        market["index_atoms_max"],
    )
    volatility = compute_option_total_volatility_x48(
        series["svi_a_x48"],
        series["svi_b_x48"],
        series["svi_rho_x48"],
        series["svi_m_x48"],
        series["svi_sigma_x48"],
        forward,
        instrument["strike_atoms"],
        compute_variance_ratio_x48(time_left_ns, series["variance_time_ns"]),
    )
    factor_up, factor_down = compute_volatility_factors_x48(time_left_ns)
    instrument["forward_atoms"] = forward
    instrument["total_volatility_x48"] = volatility
    return compute_option_row(
        instrument["kind"],
        forward,
        instrument["strike_atoms"],
        instrument["lots_per_unit"],
        volatility,
        compute_floor_volatility_x48(time_left_ns),
        factor_up,
        factor_down,
        w.parameters[0]["basis_shift_e6"],
        w.rows[number],
        w.basis_rows[number],
    )


@kernel_inner
def mark_instrument(w: World, number: int, time_ns: int) -> bool:
    """Renew mark, rows, notional and fees of an open instrument; False if it has no surface yet. [MARK-1]
    to [MARK-3]
    """
    instrument = w.instruments[number]
    market = w.markets[instrument["underlying"]]
    lots_per_unit = instrument["lots_per_unit"]
    if instrument["kind"] == InstrumentKind.PERPETUAL:
        mark = compute_perpetual_row(
            market["index_atoms"], lots_per_unit, w.rows[number], w.basis_rows[number]
        )
    else:
        if w.series[instrument["series"]]["has_surface"] == 0:
            return False
        mark = mark_option(w, number, time_ns)
    instrument["mark_atoms"] = mark
    notional = div_ceil(market["index_atoms"], lots_per_unit)
    instrument["notional_atoms"] = notional
    instrument["taker_fee_atoms"] = mul_ratio_ceil_e6(notional, w.parameters[0]["taker_fee_e6"])
    instrument["maker_fee_atoms"] = mul_ratio_ceil_e6(notional, w.parameters[0]["maker_fee_e6"])
    instrument["dirty"] = 1
    return True


@kernel_inner
def clear_portfolios(w: World, underlying: int) -> None:
    """Set every account's sums of an underlying to zero, to be added up again."""
    for account in range(w.house[0]["account_count"]):
        portfolio = w.portfolios[account, underlying]
        portfolio["value_atoms"] = 0
        portfolio["cost_atoms"] = 0
        portfolio["perpetual_value_atoms"] = 0
        portfolio["gross_lots"] = 0
        portfolio["futures_worst_atoms"] = 0
        portfolio["futures_held_atoms"] = 0
        portfolio["short_worst_atoms"] = 0
        portfolio["short_held_atoms"] = 0
        portfolio["gross_worst_atoms"] = 0
        portfolio["basis_worst_atoms"] = 0
        portfolio["basis_held_atoms"] = 0
        for s in range(SCENARIO_COUNT):
            w.pnl[account, underlying, s] = 0
            w.effects[account, underlying, s] = 0
        for series in range(w.house[0]["series_count"]):
            if w.series[series]["underlying"] == underlying:
                for j in range(BASIS_COUNT):
                    w.basis_held[account, series, j] = 0
                    w.basis_open[account, series, j] = 0


@kernel_inner
def add_portfolios(w: World, underlying: int) -> None:
    """Add up every position and open order of an underlying at the marks of now. [MARK-3]"""
    house = w.house[0]
    for slot in range(house["position_high"]):
        position = w.positions[slot]
        if position["account"] != NONE and w.instruments[position["instrument"]]["underlying"] == underlying:
            # Open lots enter with their orders below, one by one, which is what their sums expect.
            position["open_buy_lots"] = 0
            position["open_sell_lots"] = 0
            add_position_sums(w, slot, 1)
            add_held_lots(
                w, position["account"], position["instrument"], position["lots"], position["cost_atoms"]
            )
    for slot in range(house["order_high"]):
        order = w.orders[slot]
        if order["order_id"] != 0 and w.instruments[order["instrument"]]["underlying"] == underlying:
            change_open_lots(w, order["position"], order["side"], order["price_ticks"], order["lots"])


@kernel_inner
def mark_underlying(w: World, underlying: int, time_ns: int) -> None:
    """Renew the marks of an underlying and every account's margin in it. [MARK-1] [MARK-3]"""
    count = 0
    if w.markets[underlying]["index_atoms"] > 0:
        for i in range(w.house[0]["instrument_count"]):
            instrument = w.instruments[i]
            if instrument["underlying"] == underlying and instrument["state"] == InstrumentState.OPEN:
                if mark_instrument(w, i, time_ns):
                    count += 1
    clear_portfolios(w, underlying)
    add_portfolios(w, underlying)
    w.markets[underlying]["dirty"] = 0
    event = emit(w, EventKind.MARKED)
    event["instrument"] = underlying
    event["lots"] = count


@kernel_inner
def apply_tick(w: World, command: Record) -> None:
    """TICK. [TICK-1]"""
    time_ns = command["time_ns"]
    emit_result(w, Code.OK, NONE, 0)
    for u in range(w.markets.shape[0]):
        advance_sums(w, u, time_ns)
    for s in range(w.house[0]["series_count"]):
        if w.series[s]["expired"] == 0 and w.series[s]["expiry_ns"] <= time_ns:
            expire_series(w, s)
    for u in range(w.markets.shape[0]):
        if w.markets[u]["dirty"] != 0:
            mark_underlying(w, u, time_ns)
