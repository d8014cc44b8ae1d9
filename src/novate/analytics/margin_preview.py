"""The margin of a portfolio that nobody holds yet, computed by the law's own kernels, with its parts.

For guides, tools and what-if questions: the numbers are those that the engine would reach with the same
positions, marks and parameters, and no open orders. Law: MARGIN-1 to MARGIN-8, MARK-4, SCENARIO-2 to
SCENARIO-6, FUT-1, FUT-2.
"""

from typing import Any, NamedTuple

import numpy as np

from novate.protocol import margin, scenarios
from novate.protocol.arithmetic import ONE_X48, div_ceil, div_floor, mul_ratio_ceil_e6
from novate.protocol.generated.codes import InstrumentKind
from novate.protocol.generated.constants import BASIS_COUNT, E6, SCENARIO_COUNT

Integers = np.ndarray[Any, np.dtype[np.int64]]
Record = Any
LINEAR_KINDS = (InstrumentKind.PERPETUAL, InstrumentKind.FUTURE)


class Series(NamedTuple):
    """One expiry: forward in atoms, slice (a, b, rho, m, sigma) in x48, time to expiry in nanoseconds."""

    forward_atoms: int
    svi_x48: tuple[int, int, int, int, int]
    time_to_expiry_ns: int


class Holding(NamedTuple):
    """A position: kind, expiry (None for a perpetual), strike in atoms, signed lots, lots per unit."""

    kind: int
    series: Series | None
    strike_atoms: int
    lots: int
    lots_per_unit: int


class Valuation(NamedTuple):
    """Mark of one lot in atoms, and the profit of one long lot in 32 scenarios and under two basis shifts."""

    mark_atoms: int
    row: Integers
    basis_row: Integers


class MarginPreview(NamedTuple):
    """Requirements in atoms and what they are made of.

    value      sum of marks of options, signed; perpetuals and futures at their marks have none.
    pnl        profit of the portfolio in each scenario, damped; `worst_scenario` is the least one's number.
    """

    value_atoms: int
    pnl: Integers
    worst_scenario: int
    scan_atoms: int
    futures_initial_atoms: int
    futures_maintenance_atoms: int
    short_initial_atoms: int
    short_maintenance_atoms: int
    basis_atoms: int
    initial_atoms: int
    maintenance_atoms: int


def value_holding(holding: Holding, index_atoms: int, basis_shift_e6: int) -> Valuation:
    """Return mark and rows of one lot. [MARK-4] [SCENARIO-4] [SCENARIO-6] [FUT-2]

    Errors     ValueError if an option or a future has no series.
    """
    row, basis_row = np.zeros(SCENARIO_COUNT, np.int64), np.zeros(BASIS_COUNT, np.int64)
    if holding.kind == InstrumentKind.PERPETUAL:
        mark = scenarios.compute_perpetual_row(index_atoms, holding.lots_per_unit, row, basis_row)
        return Valuation(int(mark), row, basis_row)
    if holding.series is None:
        raise ValueError("an option or a future must name its series")
    forward, svi, time_ns = holding.series
    if holding.kind == InstrumentKind.FUTURE:
        # A future's row is a perpetual's at the forward; unlike it, it moves with the basis.
        mark = int(scenarios.compute_perpetual_row(forward, holding.lots_per_unit, row, basis_row))
        for side, shift_e6 in enumerate((-basis_shift_e6, basis_shift_e6)):
            basis_row[side] = div_floor(mark * shift_e6, E6)
        return Valuation(mark, row, basis_row)
    volatility = scenarios.compute_option_total_volatility_x48(*svi, forward, holding.strike_atoms, ONE_X48)
    up, down = scenarios.compute_volatility_factors_x48(time_ns)
    floor = scenarios.compute_floor_volatility_x48(time_ns)
    mark = scenarios.compute_option_row(
        int(holding.kind),
        forward,
        holding.strike_atoms,
        holding.lots_per_unit,
        int(volatility),
        int(floor),
        int(up),
        int(down),
        basis_shift_e6,
        row,
        basis_row,
    )
    return Valuation(int(mark), row, basis_row)


def preview_margin(holdings: list[Holding], index_atoms: int, parameters: Record) -> MarginPreview:
    """Return the requirements of positions in one underlying, fully confident index, no open orders.

    Units      atoms. `parameters` is a PARAMETERS record of the genesis file.
    Rounding   requirements up, as the law. [MARGIN-8]
    Errors     as `value_holding`.
    """
    portfolio = np.zeros(1, margin.PORTFOLIO)[0]
    pnl = np.zeros(SCENARIO_COUNT, np.int64)
    basis: dict[Series, Integers] = {}
    value = 0
    for holding in holdings:
        mark, row, basis_row = value_holding(holding, index_atoms, int(parameters["basis_shift_e6"]))
        margin.add_position_effect(pnl, row, holding.lots)
        notional = div_ceil(index_atoms, holding.lots_per_unit)
        linear = holding.kind in LINEAR_KINDS
        # A future counts as a perpetual does. [MARGIN-4]
        kind = int(InstrumentKind.PERPETUAL if linear else holding.kind)
        margin.add_contingency(portfolio, kind, holding.lots, 0, 0, notional, 1)
        if holding.series is not None:
            held = basis.setdefault(holding.series, np.zeros(BASIS_COUNT, np.int64))
            margin.add_basis_position(held, basis_row, holding.lots)
        value += 0 if linear else holding.lots * mark
    basis_atoms = sum(int(margin.compute_basis_held(held)) for held in basis.values())
    portfolio["basis_held_atoms"] = basis_atoms
    futures, short = int(portfolio["futures_held_atoms"]), int(portfolio["short_held_atoms"])
    scan = int(margin.compute_scan_held(pnl))
    # Confidence of one: the contingency of the oracle is not due.
    initial = margin.compute_initial_from(scan, futures, short, basis_atoms, 0, 1_000_000, parameters)
    return MarginPreview(
        value_atoms=value,
        pnl=pnl,
        worst_scenario=int(np.argmin(pnl)),
        scan_atoms=scan,
        futures_initial_atoms=mul_ratio_ceil_e6(futures, int(parameters["futures_initial_e6"])),
        futures_maintenance_atoms=mul_ratio_ceil_e6(futures, int(parameters["futures_maintenance_e6"])),
        short_initial_atoms=mul_ratio_ceil_e6(short, int(parameters["short_initial_e6"])),
        short_maintenance_atoms=mul_ratio_ceil_e6(short, int(parameters["short_maintenance_e6"])),
        basis_atoms=basis_atoms,
        initial_atoms=int(initial),
        maintenance_atoms=int(margin.compute_maintenance_margin(portfolio, pnl, parameters)),
    )
