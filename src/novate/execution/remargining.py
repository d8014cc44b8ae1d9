"""Every account's margin sums at new marks, added up from nothing: positions account by account, then orders.

Position records lie in no order of accounts, and an account's vectors and sums are a dozen cache lines. So
one pass over the records puts what is held into the account's own piece of a list, and the sums are made from
that list while they are in the nearest cache. Implements [MARK-3] with the leaves of margin.
"""

from typing import Any

from novate.execution.order_positions import change_order_lots
from novate.execution.tables import NONE, World
from novate.kernel import kernel_inner
from novate.protocol.generated.constants import BASIS_COUNT, GROUP_COUNT, SCENARIO_COUNT
from novate.protocol.margin import add_position_effect, compute_basis_held
from novate.protocol.novation import is_linear

Record = Any

LOTS_BITS = 32  # An entry of `held` is instrument * 2**32 + lots; lots are within 2**24.


@kernel_inner
def clear_open(w: World, account: int, underlying: int) -> None:
    """Set what an account's open orders add to its sums of an underlying to zero, and P and H."""
    portfolio = w.portfolios[account, underlying]
    portfolio["open_cost_atoms"] = 0
    portfolio["quote_lots"] = 0
    portfolio["delta_up_atoms"] = 0
    portfolio["delta_down_atoms"] = 0
    portfolio["vega_up_atoms"] = 0
    portfolio["vega_down_atoms"] = 0
    for s in range(SCENARIO_COUNT):
        w.pnl[account, underlying, s] = 0
        w.effects[account, underlying, s] = 0
    for series in range(w.house[0]["series_count"]):
        if w.series[series]["underlying"] == underlying:
            for j in range(BASIS_COUNT):
                w.basis_held[account, series, j] = 0
                w.basis_open[account, series, j] = 0
    for g in range(GROUP_COUNT):
        if w.groups[account, g]["underlying"] == underlying:
            w.groups[account, g]["open_lots"] = 0
            w.groups[account, g]["open_sell_lots"] = 0


@kernel_inner
def copy_units(w: World, underlying: int) -> None:
    """Put what a sum needs of each instrument into one cache line."""
    for number in range(w.house[0]["instrument_count"]):
        instrument, unit = w.instruments[number], w.units[number]
        if instrument["underlying"] == underlying:
            unit["series"] = instrument["series"]
            unit["linear"] = 1 if is_linear(instrument["kind"]) else 0
            unit["mark_atoms"] = instrument["mark_atoms"]
            unit["notional_atoms"] = instrument["notional_atoms"]
            unit["delta_atoms"] = instrument["delta_atoms"]
            unit["vega_atoms"] = instrument["vega_atoms"]
            unit["basis_down_atoms"] = w.basis_rows[number, 0]
            unit["basis_up_atoms"] = w.basis_rows[number, 1]


@kernel_inner
def list_held(w: World, underlying: int) -> None:
    """Write what is held in an underlying into `held`, each account's in one piece that ends before
    `held_ends`, add up the entry values of perpetuals and futures, and forget what positions have open:
    orders are added one by one.
    """
    place = 0
    for account in range(w.house[0]["account_count"]):
        w.held_ends[account] = place
        place += w.accounts[account]["position_count"]
        w.portfolios[account, underlying]["cost_atoms"] = 0
    for slot in range(w.house[0]["position_high"]):
        position = w.positions[slot]
        account, number = position["account"], position["instrument"]
        if account == NONE or w.instruments[number]["underlying"] != underlying:
            continue
        # Most have nothing open, and a line that is not written need not go back to memory.
        if position["open_buy_lots"] | position["open_sell_lots"] | position["quote_lots"] != 0:
            position["open_buy_lots"] = 0
            position["open_sell_lots"] = 0
            position["quote_lots"] = 0
        if position["lots"] != 0:
            place = w.held_ends[account]
            w.held_ends[account] = place + 1
            w.held[place] = (number << LOTS_BITS) + position["lots"]
            if is_linear(w.instruments[number]["kind"]):
                w.portfolios[account, underlying]["cost_atoms"] += position["cost_atoms"]


@kernel_inner
def sum_held(w: World, account: int, underlying: int, first: int, end: int) -> None:
    """Set an account's sums of an underlying to those of what it holds, `held` from `first` to before `end`.
    [MARGIN-1] [MARGIN-4] to [MARGIN-7] [KEY-5]
    """
    pnl = w.pnl[account, underlying]
    value, linear_value, delta, vega = 0, 0, 0, 0
    gross_lots, gross_atoms, futures_atoms, short_atoms = 0, 0, 0, 0
    for k in range(first, end):
        number = (w.held[k] + (1 << (LOTS_BITS - 1))) >> LOTS_BITS
        lots = w.held[k] - (number << LOTS_BITS)
        add_position_effect(pnl, w.rows[number], lots)
        unit = w.units[number]
        if unit["series"] != NONE:
            w.basis_held[account, unit["series"], 0] += lots * unit["basis_down_atoms"]
            w.basis_held[account, unit["series"], 1] += lots * unit["basis_up_atoms"]
        size_atoms = abs(lots) * unit["notional_atoms"]
        value += lots * unit["mark_atoms"]
        delta += lots * unit["delta_atoms"]
        vega += lots * unit["vega_atoms"]
        gross_lots += abs(lots)
        gross_atoms += size_atoms
        if unit["linear"] != 0:
            linear_value += lots * unit["mark_atoms"]
            futures_atoms += size_atoms
        elif lots < 0:
            short_atoms += size_atoms
    portfolio = w.portfolios[account, underlying]
    portfolio["value_atoms"] = value
    portfolio["linear_value_atoms"] = linear_value
    portfolio["delta_atoms"] = delta
    portfolio["vega_atoms"] = vega
    portfolio["gross_lots"] = gross_lots
    portfolio["gross_worst_atoms"] = gross_atoms
    portfolio["futures_worst_atoms"] = futures_atoms
    portfolio["futures_held_atoms"] = futures_atoms
    portfolio["short_worst_atoms"] = short_atoms
    portfolio["short_held_atoms"] = short_atoms


@kernel_inner
def sum_basis(w: World, account: int, underlying: int) -> None:
    """Set the sums of the basis to those of H, without open orders. [MARGIN-6]"""
    worst = 0
    for series in range(w.house[0]["series_count"]):
        if w.series[series]["underlying"] == underlying:
            worst += compute_basis_held(w.basis_held[account, series])
    w.portfolios[account, underlying]["basis_worst_atoms"] = worst
    w.portfolios[account, underlying]["basis_held_atoms"] = worst


@kernel_inner
def add_portfolios(w: World, underlying: int) -> None:
    """Add up every position and open order of an underlying at the marks of now. [MARK-3]"""
    house = w.house[0]
    copy_units(w, underlying)
    list_held(w, underlying)
    first = 0
    for account in range(house["account_count"]):
        clear_open(w, account, underlying)
        sum_held(w, account, underlying, first, w.held_ends[account])
        sum_basis(w, account, underlying)
        first += w.accounts[account]["position_count"]
    for slot in range(house["order_high"]):
        order = w.orders[slot]
        if order["order_id"] != 0 and w.instruments[order["instrument"]]["underlying"] == underlying:
            change_order_lots(w, order, order["lots"])
