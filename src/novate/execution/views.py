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
from novate.protocol.generated.constants import GROUP_COUNT
from novate.protocol.margin import compute_maintenance_margin

LINEAR_KINDS = (int(InstrumentKind.PERPETUAL), int(InstrumentKind.FUTURE))


class InstrumentState(NamedTuple):
    """What changes about an instrument; mark_atoms is NO_MARK_ATOMS while it has none. Delta and vega are per
    lot, the funding rate in 1e-9 per eight hours, and the accrual in atoms * ms per lot and eight hours.
    """

    state: int
    mark_atoms: int
    notional_atoms: int
    taker_fee_atoms: int
    settlement_atoms: int
    forward_atoms: int
    total_volatility_x48: int
    delta_atoms: int
    vega_atoms: int
    last_ticks: int
    funding_rate_e9: int
    funding_accrual: int
    funded_ns: int


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
    """An open order; `group` is 0 unless it is a quote, `volatility_bp` unless it quotes a volatility."""

    order_id: int
    account: int
    instrument: int
    side: int
    time_in_force: int
    price_ticks: int
    lots: int
    flags: int
    display_lots: int
    visible_lots: int
    valid_until_ns: int
    label: int
    link: int
    group: int
    volatility_bp: int


class WaitingView(NamedTuple):
    """An order that waits for its trigger or its parent."""

    order_id: int
    account: int
    instrument: int
    side: int
    time_in_force: int
    price_ticks: int
    lots: int
    flags: int
    display_lots: int
    valid_until_ns: int
    label: int
    link: int
    reference: int
    condition: int
    trigger_atoms: int
    trail_atoms: int
    parent_id: int


class GroupView(NamedTuple):
    """A group of protected quotes: its figures, what its window has counted, and what it has open."""

    number: int
    underlying: int
    window_ns: int
    frozen_ns: int
    quantity_limit_lots: int
    delta_limit_atoms: int
    vega_limit_atoms: int
    window_start_ns: int
    filled_lots: int
    filled_delta_atoms: int
    filled_vega_atoms: int
    frozen_until_ns: int
    quote_count: int
    open_lots: int


class PositionView(NamedTuple):
    """What an account holds and has open in one instrument."""

    instrument: int
    lots: int
    cost_atoms: int
    open_buy_lots: int
    open_sell_lots: int
    mark_atoms: int
    value_atoms: int
    quote_lots: int = 0


class AccountView(NamedTuple):
    """Money, margin and standing of one account; demand_e6 is -1 unless it offers itself as a backstop,
    owner -1 and subaccount 0 unless it is a sub-account.
    """

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
    tier: int
    dead_man_ns: int
    cancel_on_disconnect: int
    liquidation_stage: int
    warned: int
    demand_e6: int
    owner: int
    subaccount: int


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


def view_waiting(engine: Engine, slot: int) -> WaitingView:
    """Return the waiting order in a slot."""
    record = engine.world.waiting[slot]
    return WaitingView(*(int(record[field]) for field in WaitingView._fields))


def read_waiting_order(engine: Engine, order_id: int) -> WaitingView | None:
    """Return a waiting order by its id, or None."""
    slot = int(find_slot(engine.world.waiting_entries, order_id)) if 0 < order_id < 1 << 62 else NONE
    return None if slot == NONE else view_waiting(engine, slot)


def read_waiting_orders(engine: Engine, account: int) -> list[WaitingView]:
    """Return the waiting orders of an account, oldest id first."""
    orders = []
    slot = int(engine.world.accounts[account]["first_waiting"])
    while slot != NONE:
        orders.append(view_waiting(engine, slot))
        slot = int(engine.world.waiting[slot]["next_in_account"])
    return sorted(orders)


def read_groups(engine: Engine, account: int) -> list[GroupView]:
    """Return the groups of quotes that an account has set, by number. Counts of a window that is over stay
    until something applies its end [MMP-2].
    """
    groups = []
    for number in range(1, GROUP_COUNT + 1):
        record = engine.world.groups[account, number - 1]
        if record["underlying"] != NONE:
            groups.append(GroupView(number, *(int(record[field]) for field in GroupView._fields[1:])))
    return groups


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
            PositionView(
                instrument,
                lots,
                int(record["cost_atoms"]),
                *opened,
                mark,
                lots * mark,
                int(record["quote_lots"]),
            )
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
        *(int(record[name]) for name in AccountView._fields[AccountView._fields.index("tier") :]),
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
    cost = int(live["cost_atoms"][np.isin(kinds, LINEAR_KINDS)].sum())
    held = cash - cost + int(house["fees_atoms"]) + int(house["insurance_atoms"])
    return held - (int(house["deposited_atoms"]) - int(house["withdrawn_atoms"]))


def compute_lots_gap(engine: Engine) -> int:
    """Return the sum over instruments of the absolute sum of lots: zero, always. [CASH-3]"""
    live = list_live_positions(engine)
    totals = np.zeros(int(engine.world.house["instrument_count"][0]), np.int64)
    np.add.at(totals, live["instrument"], live["lots"])
    return int(np.abs(totals).sum())
