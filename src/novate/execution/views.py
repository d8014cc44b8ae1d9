"""Reads of the engine's state for people and programs: plain integers, no kernel's record leaves this file.

Nothing here changes the state, and nothing here is the law: it calls the same margin functions and shapes
the answers.
"""

from typing import Any, NamedTuple

import numpy as np

from novate.execution.engine import Engine
from novate.execution.ledger import compute_account_initial, compute_equity, compute_unrealised
from novate.execution.money import compute_withdrawable
from novate.execution.order_book import find_level, find_slot, find_tick_above, find_tick_below
from novate.execution.tables import NONE
from novate.protocol.generated.codes import InstrumentKind
from novate.protocol.margin import compute_maintenance_margin


class InstrumentState(NamedTuple):
    """What changes about an instrument; mark_atoms is -1 while it has none."""

    state: int
    mark_atoms: int
    notional_atoms: int
    taker_fee_atoms: int
    maker_fee_atoms: int
    settlement_atoms: int
    forward_atoms: int
    total_volatility_x48: int


class UnderlyingState(NamedTuple):
    """Index of one unit, its confidence, and when it was accepted; zeros before the first."""

    index_atoms: int
    confidence_e6: int
    index_time_ns: int


class SurfaceState(NamedTuple):
    """The accepted surface of a series."""

    forward_atoms: int
    svi_a_x48: int
    svi_b_x48: int
    svi_rho_x48: int
    svi_m_x48: int
    svi_sigma_x48: int
    observed_ns: int
    reference_index_atoms: int


class OrderView(NamedTuple):
    """An open order."""

    order_id: int
    account: int
    instrument: int
    side: int
    time_in_force: int
    price_ticks: int
    lots: int


class PositionView(NamedTuple):
    """What an account holds and has open in one instrument."""

    instrument: int
    lots: int
    cost_atoms: int
    open_buy_lots: int
    open_sell_lots: int
    mark_atoms: int
    value_atoms: int


class AccountView(NamedTuple):
    """Money and margin of one account."""

    account: int
    address: bytes
    cash_atoms: int
    equity_atoms: int
    initial_margin_atoms: int
    maintenance_margin_atoms: int
    unrealised_atoms: int
    value_atoms: int
    nonce: int
    withdrawable_atoms: int


Side = list[tuple[int, int, int]]


def read_instrument_state(engine: Engine, number: int) -> InstrumentState:
    """Return the changing part of an instrument."""
    record = engine.world.instruments[number]
    return InstrumentState(*(int(record[field]) for field in InstrumentState._fields))


def read_underlying(engine: Engine, number: int) -> UnderlyingState:
    """Return the index of an underlying."""
    record = engine.world.markets[number]
    return UnderlyingState(*(int(record[field]) for field in UnderlyingState._fields))


def read_surface(engine: Engine, series: int) -> SurfaceState | None:
    """Return the accepted surface of a series, or None."""
    record = engine.world.series[series]
    if not record["has_surface"]:
        return None
    return SurfaceState(*(int(record[field]) for field in SurfaceState._fields))


def read_book(engine: Engine, number: int, depth: int) -> tuple[Side, Side]:
    """Return (bids, asks) as (ticks, lots, orders), best first, at most `depth` levels each."""
    return read_side(engine, number * 2, depth), read_side(engine, number * 2 + 1, depth)


def read_side(engine: Engine, book: int, depth: int) -> Side:
    """Return the levels of one side of a book, best first."""
    world = engine.world
    ticks = int(world.best[book])
    levels: Side = []
    while ticks != NONE and len(levels) < depth:
        level = world.levels[find_level(world, book, ticks)]
        levels.append((ticks, int(level["lots"]), int(level["count"])))
        if book & 1:
            ticks = int(find_tick_above(world, book, ticks + 1)) if ticks + 1 < 1 << 18 else NONE
        else:
            ticks = int(find_tick_below(world, book, ticks - 1)) if ticks > 0 else NONE
    return levels


def view_order(engine: Engine, slot: int) -> OrderView:
    """Return the order in a slot."""
    record = engine.world.orders[slot]
    return OrderView(*(int(record[field]) for field in OrderView._fields))


def read_order(engine: Engine, order_id: int) -> OrderView | None:
    """Return an open order by its id, or None."""
    slot = int(find_slot(engine.world.order_entries, order_id)) if 0 < order_id < 1 << 62 else NONE
    return None if slot == NONE else view_order(engine, slot)


def read_open_orders(engine: Engine, account: int) -> list[OrderView]:
    """Return the open orders of an account, oldest id first."""
    orders = []
    slot = int(engine.world.accounts[account]["first_order"])
    while slot != NONE:
        orders.append(view_order(engine, slot))
        slot = int(engine.world.orders[slot]["next_in_account"])
    return sorted(orders)


def read_positions(engine: Engine, account: int) -> list[PositionView]:
    """Return what an account holds or has open, by instrument."""
    positions = []
    slot = int(engine.world.accounts[account]["first_position"])
    while slot != NONE:
        record = engine.world.positions[slot]
        instrument, lots = int(record["instrument"]), int(record["lots"])
        mark = int(engine.world.instruments[instrument]["mark_atoms"])
        opened = int(record["open_buy_lots"]), int(record["open_sell_lots"])
        positions.append(
            PositionView(instrument, lots, int(record["cost_atoms"]), *opened, mark, lots * mark)
        )
        slot = int(record["next_in_account"])
    return sorted(positions)


def read_maintenance(engine: Engine, account: int) -> int:
    """Return the maintenance requirement over all underlyings; equity below is liquidatable [MARGIN-11]."""
    world = engine.world
    total = 0
    for u in range(len(engine.genesis.underlyings)):
        total += int(
            compute_maintenance_margin(
                world.portfolios[account, u], world.pnl[account, u], world.parameters[0]
            )
        )
    return total


def read_account(engine: Engine, account: int) -> AccountView:
    """Return money and margin of an account."""
    world = engine.world
    record = world.accounts[account]
    equity = int(compute_equity(world, account))
    unrealised = int(compute_unrealised(world, account))
    return AccountView(
        account,
        engine.addresses[account],
        int(record["cash_atoms"]),
        equity,
        int(compute_account_initial(world, account, NONE)),
        read_maintenance(engine, account),
        unrealised,
        int(world.portfolios[account]["value_atoms"].sum()),
        int(record["nonce"]),
        int(compute_withdrawable(world, account)),
    )


def read_open_interest(engine: Engine, number: int) -> int:
    """Return the lots held long in an instrument, which equal the lots held short."""
    house = engine.world.house[0]
    positions = engine.world.positions[: int(house["position_high"])]
    mine = (positions["instrument"] == number) & (positions["account"] != NONE) & (positions["lots"] > 0)
    return int(positions["lots"][mine].sum())


def list_live_positions(engine: Engine) -> np.ndarray[Any, np.dtype[Any]]:
    """Return the records of positions that exist."""
    positions = engine.world.positions[: int(engine.world.house["position_high"][0])]
    live: np.ndarray[Any, np.dtype[Any]] = positions[positions["account"] != NONE]
    return live


def compute_conservation_gap(engine: Engine) -> int:
    """Return what is missing from [CASH-3]: zero, always."""
    world = engine.world
    house = world.house[0]
    cash = int(world.accounts["cash_atoms"][: int(house["account_count"])].sum())
    live = list_live_positions(engine)
    kinds = world.instruments["kind"][live["instrument"]]
    cost = int(live["cost_atoms"][kinds == InstrumentKind.PERPETUAL].sum())
    held = cash - cost + int(house["fees_atoms"])
    return held - (int(house["deposited_atoms"]) - int(house["withdrawn_atoms"]))


def compute_lots_gap(engine: Engine) -> int:
    """Return the sum over instruments of the absolute sum of lots: zero, always. [CASH-3]"""
    live = list_live_positions(engine)
    totals = np.zeros(int(engine.world.house["instrument_count"][0]), np.int64)
    np.add.at(totals, live["instrument"], live["lots"])
    return int(np.abs(totals).sum())
