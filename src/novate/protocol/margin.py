"""Margin: the scenario fold, open orders at their exact worst, contingencies, and the two requirements.

One portfolio is one account in one underlying: two vectors of 32 numbers and a record of sums. Every
function takes the few leaves one step touches. Loops over scenarios run to the length of the vector: a count
that the compiler knows makes it unroll them into single numbers instead of using wide registers. Implements
[MARGIN-1] to [MARGIN-10] and [MARGIN-12]; docs/law/margin.md has the formulas, docs/law/units.md the bits.
"""

from typing import Any

import numpy as np

from novate.kernel import kernel
from novate.protocol.arithmetic import mul_ratio_ceil_e6
from novate.protocol.generated.constants import BASIS_COUNT
from novate.protocol.novation import is_linear

Record = Any
Array = np.ndarray[Any, np.dtype[Any]]

MAINTENANCE_SCAN_E6 = 800_000

PORTFOLIO = np.dtype(
    [
        ("value_atoms", np.int64),  # sum of q * M
        ("cost_atoms", np.int64),  # sum of entry values of perpetuals and futures
        ("linear_value_atoms", np.int64),  # sum of q * M over perpetuals and futures
        ("open_cost_atoms", np.int64),  # O0, what the fills of open orders alone cost
        ("gross_lots", np.int64),  # sum of |q| + open lots, protected quotes included
        ("quote_lots", np.int64),  # open lots of protected quotes
        ("futures_worst_atoms", np.int64),
        ("futures_held_atoms", np.int64),
        ("short_worst_atoms", np.int64),
        ("short_held_atoms", np.int64),
        ("gross_worst_atoms", np.int64),
        ("basis_worst_atoms", np.int64),
        ("basis_held_atoms", np.int64),
        ("delta_atoms", np.int64),  # sum of q * delta, and what fills could add upwards and downwards
        ("delta_up_atoms", np.int64),
        ("delta_down_atoms", np.int64),
        ("vega_atoms", np.int64),
        ("vega_up_atoms", np.int64),
        ("vega_down_atoms", np.int64),
    ]
)


@kernel
def compute_order_base(direction: int, mark_atoms: int, limit_atoms: int, fee_atoms: int) -> int:
    """Return the part of y[s] that does not depend on the scenario: d * (M - L) - T.

    Range      |M|, |L| < 2**36, fee < 2**34; the result is below 2**37.2. For a combo times the lots of its
               legs, of which [MARGIN-9] allows as many fewer. Exact.
    Law        [MARGIN-3] [COMBO-5]
    """
    return direction * (mark_atoms - limit_atoms) - fee_atoms


@kernel
def compute_open_cost(base_atoms: int, lots: int) -> int:
    """Return what `lots` open lots (negative: removed) add to O0: the effect with R = 0.

    Range      |base| < 2**38, |lots| <= 2**24. Exact.
    Law        [MARGIN-3]
    """
    return lots * min(0, base_atoms)


@kernel
def add_order_effect(orders: Array, row: Array, direction: int, base_atoms: int, lots: int) -> None:
    """Add `lots` open lots (negative: remove them) to the vector O.

    Range      every O[s] stays within 2**24 lots * 2**38. Exact.
    Law        [MARGIN-3]
    """
    for s in range(row.shape[0]):
        y = direction * row[s] + base_atoms
        if y < 0:
            orders[s] += lots * y


@kernel
def add_position_effect(pnl: Array, row: Array, lots: int) -> None:
    """Add `lots` held lots (signed) to the vector P. Exact. [MARGIN-1]"""
    for s in range(row.shape[0]):
        pnl[s] += lots * row[s]


@kernel
def compute_scan(pnl: Array, orders: Array, open_cost_atoms: int) -> int:
    """Return max(0, -min over s of (P[s] + O[s]), -O0). [MARGIN-8]"""
    worst = min(0, open_cost_atoms)
    for s in range(pnl.shape[0]):
        worst = min(worst, pnl[s] + orders[s])
    return -worst


@kernel
def compute_scan_with_order(
    pnl: Array,
    orders: Array,
    open_cost_atoms: int,
    row: Array,
    direction: int,
    base_atoms: int,
    lots: int,
) -> int:
    """Return the scan as if one more order were open, without touching the vectors. [MARGIN-8]"""
    worst = min(0, open_cost_atoms + compute_open_cost(base_atoms, lots))
    for s in range(pnl.shape[0]):
        y = min(direction * row[s] + base_atoms, 0)
        worst = min(worst, pnl[s] + orders[s] + lots * y)
    return -worst


@kernel
def compute_scan_if_filled(
    pnl: Array, orders: Array, open_cost_atoms: int, row: Array, signed_lots: int
) -> int:
    """Return the scan as if `signed_lots` more lots were held, without touching the vectors. [MARGIN-12]"""
    worst = min(0, open_cost_atoms)
    for s in range(pnl.shape[0]):
        worst = min(worst, pnl[s] + orders[s] + signed_lots * row[s])
    return -worst


@kernel
def compute_scan_held(pnl: Array) -> int:
    """Return max(0, -min over s of P[s]), positions only. [MARGIN-8]"""
    worst = 0
    for s in range(pnl.shape[0]):
        worst = min(worst, pnl[s])
    return -worst


@kernel
def compute_worst_lots(lots: int, open_buy_lots: int, open_sell_lots: int) -> int:
    """Return max(|q + b|, |q - a|): the largest position that fills can lead to. [MARGIN-4]"""
    return max(abs(lots + open_buy_lots), abs(lots - open_sell_lots))


@kernel
def add_contingency(
    portfolio: Record,
    kind: int,
    lots: int,
    open_buy_lots: int,
    open_sell_lots: int,
    notional_atoms: int,
    sign: int,
) -> None:
    """Add (sign +1) or take away (sign -1) what one position and its open orders contribute to the sums.

    Range      lots together at most 2**24, notional at most 2**34: each sum stays below 2**58. Exact.
    Law        [MARGIN-4] [MARGIN-5] [MARGIN-7] [MARGIN-9]
    """
    worst_atoms = compute_worst_lots(lots, open_buy_lots, open_sell_lots) * notional_atoms
    portfolio["gross_worst_atoms"] += sign * worst_atoms
    portfolio["gross_lots"] += sign * (abs(lots) + open_buy_lots + open_sell_lots)
    if is_linear(kind):
        portfolio["futures_worst_atoms"] += sign * worst_atoms
        portfolio["futures_held_atoms"] += sign * abs(lots) * notional_atoms
    else:
        portfolio["short_worst_atoms"] += sign * max(0, open_sell_lots - lots) * notional_atoms
        portfolio["short_held_atoms"] += sign * max(0, -lots) * notional_atoms


@kernel
def compute_basis_worst(held: Array, opened: Array) -> int:
    """Return max(0, -min over j of (H[j] + G[j])) of one series. [MARGIN-6]"""
    worst = 0
    for j in range(BASIS_COUNT):
        worst = min(worst, held[j] + opened[j])
    return -worst


@kernel
def compute_basis_held(held: Array) -> int:
    """Return max(0, -min over j of H[j]) of one series. [MARGIN-6]"""
    worst = 0
    for j in range(BASIS_COUNT):
        worst = min(worst, held[j])
    return -worst


@kernel
def add_basis_order(opened: Array, basis_row: Array, direction: int, lots: int) -> None:
    """Add `lots` open lots (negative: remove them) to the vector G of their series. [MARGIN-6]"""
    for j in range(BASIS_COUNT):
        y = direction * basis_row[j]
        if y < 0:
            opened[j] += lots * y


@kernel
def add_basis_position(held: Array, basis_row: Array, lots: int) -> None:
    """Add `lots` held lots (signed) to the vector H of their series. [MARGIN-6]"""
    for j in range(BASIS_COUNT):
        held[j] += lots * basis_row[j]


@kernel
def compute_initial_from(
    scan_atoms: int,
    futures_atoms: int,
    short_atoms: int,
    basis_atoms: int,
    gross_atoms: int,
    confidence_e6: int,
    parameters: Record,
) -> int:
    """Return the initial requirement of one portfolio from its parts.

    Rounding   up: against the account.
    Law        [MARGIN-4] [MARGIN-5] [MARGIN-7] [MARGIN-8]
    """
    total = scan_atoms + basis_atoms
    total += mul_ratio_ceil_e6(futures_atoms, parameters["futures_initial_e6"])
    total += mul_ratio_ceil_e6(short_atoms, parameters["short_initial_e6"])
    if confidence_e6 < parameters["confidence_threshold_e6"]:
        total += mul_ratio_ceil_e6(gross_atoms, parameters["confidence_rate_e6"])
    return total


@kernel
def compute_initial_margin(
    portfolio: Record, pnl: Array, orders: Array, confidence_e6: int, parameters: Record
) -> int:
    """Return the initial requirement of one portfolio as it stands. Rounding up. [MARGIN-8]"""
    return compute_initial_from(
        compute_scan(pnl, orders, portfolio["open_cost_atoms"]),
        portfolio["futures_worst_atoms"],
        portfolio["short_worst_atoms"],
        portfolio["basis_worst_atoms"],
        portfolio["gross_worst_atoms"],
        confidence_e6,
        parameters,
    )


@kernel
def compute_maintenance_margin(portfolio: Record, pnl: Array, parameters: Record) -> int:
    """Return the maintenance requirement of one portfolio, positions only. Rounding up. [MARGIN-8]"""
    total = mul_ratio_ceil_e6(compute_scan_held(pnl), MAINTENANCE_SCAN_E6) + portfolio["basis_held_atoms"]
    total += mul_ratio_ceil_e6(portfolio["futures_held_atoms"], parameters["futures_maintenance_e6"])
    total += mul_ratio_ceil_e6(portfolio["short_held_atoms"], parameters["short_maintenance_e6"])
    return int(total)


@kernel
def compute_initial_with_order(
    portfolio: Record,
    pnl: Array,
    orders: Array,
    held: Array,
    opened: Array,
    instrument: Record,
    row: Array,
    basis_row: Array,
    position_lots: int,
    open_buy_lots: int,
    open_sell_lots: int,
    direction: int,
    limit_atoms: int,
    lots: int,
    confidence_e6: int,
    parameters: Record,
) -> int:
    """Return the initial requirement of one portfolio as if one more order were open at its full size.

    `instrument` holds kind, series and the marks; `held` and `opened` are the series' basis vectors (ignored
    for a perpetual, whose basis row is zero). Nothing is written.

    Rounding   up: against the account.
    Law        [MARGIN-8]
    """
    kind = instrument["kind"]
    notional = instrument["notional_atoms"]
    base = compute_order_base(direction, instrument["mark_atoms"], limit_atoms, instrument["taker_fee_atoms"])
    scan = compute_scan_with_order(pnl, orders, portfolio["open_cost_atoms"], row, direction, base, lots)
    buys = open_buy_lots + (lots if direction > 0 else 0)
    sells = open_sell_lots + (lots if direction < 0 else 0)
    growth = compute_worst_lots(position_lots, buys, sells)
    growth = (growth - compute_worst_lots(position_lots, open_buy_lots, open_sell_lots)) * notional
    futures = portfolio["futures_worst_atoms"]
    short = portfolio["short_worst_atoms"]
    basis = portfolio["basis_worst_atoms"]
    if is_linear(kind):
        futures += growth
    else:
        short += (max(0, sells - position_lots) - max(0, open_sell_lots - position_lots)) * notional
    worst = 0
    for j in range(BASIS_COUNT):
        worst = min(worst, held[j] + opened[j] + lots * min(direction * basis_row[j], 0))
    basis += -worst - compute_basis_worst(held, opened)
    gross = portfolio["gross_worst_atoms"] + growth
    return compute_initial_from(scan, futures, short, basis, gross, confidence_e6, parameters)


@kernel
def compute_initial_if_filled(
    portfolio: Record,
    pnl: Array,
    orders: Array,
    held: Array,
    opened: Array,
    instrument: Record,
    row: Array,
    basis_row: Array,
    position_lots: int,
    open_buy_lots: int,
    open_sell_lots: int,
    signed_lots: int,
    confidence_e6: int,
    parameters: Record,
) -> int:
    """Return the initial requirement of one portfolio as if `signed_lots` more were held and nothing new
    open.

    Arguments as `compute_initial_with_order`. Nothing is written.

    Rounding   up: against the account.
    Law        [MARGIN-12]
    """
    notional = instrument["notional_atoms"]
    after = position_lots + signed_lots
    growth = compute_worst_lots(after, open_buy_lots, open_sell_lots)
    growth = (growth - compute_worst_lots(position_lots, open_buy_lots, open_sell_lots)) * notional
    futures = portfolio["futures_worst_atoms"]
    short = portfolio["short_worst_atoms"]
    if is_linear(instrument["kind"]):
        futures += growth
    else:
        short += (max(0, open_sell_lots - after) - max(0, open_sell_lots - position_lots)) * notional
    worst = 0
    for j in range(BASIS_COUNT):
        worst = min(worst, held[j] + opened[j] + signed_lots * basis_row[j])
    basis = portfolio["basis_worst_atoms"] - worst - compute_basis_worst(held, opened)
    scan = compute_scan_if_filled(pnl, orders, portfolio["open_cost_atoms"], row, signed_lots)
    gross = portfolio["gross_worst_atoms"] + growth
    return compute_initial_from(scan, futures, short, basis, gross, confidence_e6, parameters)
