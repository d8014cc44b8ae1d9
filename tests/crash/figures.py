"""Equity and maintenance of every account, summed up from positions, marks and rows alone.

Nothing that the engine keeps up to date by itself (aggregates, profit vectors) is used. Products are split so
that nothing overflows; the house's accounts are in the sums too.
"""

from typing import Any, NamedTuple

import numpy as np

from novate.execution.engine import Engine
from novate.protocol.generated.codes import InstrumentKind, InstrumentState
from novate.protocol.generated.constants import BASIS_COUNT, E6, SCENARIO_COUNT

Integers = np.ndarray[Any, np.dtype[np.int64]]
LINEAR = (InstrumentKind.PERPETUAL, InstrumentKind.FUTURE)
SCAN_E6 = 800_000


class Holdings(NamedTuple):
    """What all accounts have at one moment: cash by account, and one element per position."""

    cash_atoms: Integers
    stage: Integers
    account: Integers
    instrument: Integers
    lots: Integers
    cost_atoms: Integers


class Standing(NamedTuple):
    """Equity and maintenance by account, and whether it holds lots."""

    equity_atoms: Integers
    maintenance_atoms: Integers
    holds_lots: np.ndarray[Any, np.dtype[np.bool_]]


def copy_holdings(engine: Engine) -> Holdings:
    """A copy of what every account has now."""
    count = int(engine.world.house["account_count"][0])
    accounts = engine.world.accounts[:count]
    positions = engine.world.positions[: int(engine.world.house["position_high"][0])]
    live = positions[(positions["account"] >= 0) & (positions["lots"] != 0)]
    names = ("account", "instrument", "lots", "cost_atoms")
    cash, stage = accounts["cash_atoms"].copy(), accounts["liquidation_stage"].copy()
    return Holdings(cash, stage, *(live[name].copy() for name in names))


def take_ratio_ceil(amounts: Integers, rate_e6: int) -> Integers:
    """ceil(amount * rate / 10**6) of amounts that are not negative. [MARGIN-4]"""
    whole, rest = amounts // E6, amounts % E6
    return whole * rate_e6 + -(-rest * rate_e6 // E6)


def add_up(keys: Integers, values: Integers, count: int) -> Integers:
    """Sums of values (or of rows) by key."""
    totals = np.zeros((count, *values.shape[1:]), np.int64)
    np.add.at(totals, keys, values)
    return totals


def compute_standing(engine: Engine, holdings: Holdings) -> Standing:
    """How holdings stand at the engine's present marks; positions of expired instruments are worth nothing
    any more. [MARGIN-2] [MARGIN-8]
    """
    world, parameters = engine.world, engine.genesis.parameters
    count, underlyings = len(holdings.cash_atoms), len(engine.genesis.underlyings)
    series_count = world.basis_held.shape[1]
    is_open = world.instruments["state"][holdings.instrument] == InstrumentState.OPEN
    account, number, lots, cost = (column[is_open] for column in holdings[2:])
    records = world.instruments[number]
    assert np.all(records["mark_atoms"] >= 0)
    linear = np.isin(records["kind"], LINEAR)
    equity = holdings.cash_atoms + add_up(
        account, lots * records["mark_atoms"] - np.where(linear, cost, 0), count
    )
    cells = count * underlyings
    cell = account * underlyings + records["underlying"]
    scan = add_up(cell, lots[:, None] * world.rows[number], cells)
    assert scan.shape == (cells, SCENARIO_COUNT)
    worst = np.maximum(0, -scan.min(axis=1))
    futures = add_up(cell, np.where(linear, np.abs(lots), 0) * records["notional_atoms"], cells)
    short = add_up(cell, np.where(linear, 0, np.maximum(0, -lots)) * records["notional_atoms"], cells)
    dated = records["series"] >= 0
    place = account[dated] * series_count + records["series"][dated]
    held = add_up(place, lots[dated, None] * world.basis_rows[number[dated]], count * series_count)
    assert held.shape[1] == BASIS_COUNT
    basis = np.maximum(0, -held.min(axis=1)).reshape(count, series_count).sum(axis=1)
    required = take_ratio_ceil(worst, SCAN_E6)
    required += take_ratio_ceil(futures, parameters["futures_maintenance_e6"])
    required += take_ratio_ceil(short, parameters["short_maintenance_e6"])
    holds = np.zeros(count, np.bool_)
    holds[account] = True
    return Standing(equity, required.reshape(count, underlyings).sum(axis=1) + basis, holds)
