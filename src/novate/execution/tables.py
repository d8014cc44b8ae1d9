"""The engine's state: preallocated arrays of records, indices for links, nothing on the Python heap.

A snapshot is these arrays. `World` crosses into Numba once per batch. Memory grows with the genesis limits;
pages that no account, order or instrument has used are never touched.
"""

from typing import Any, NamedTuple

import numpy as np

from novate.execution.memory import Arena
from novate.kernel import pass_by_reference
from novate.protocol.generated import constants
from novate.protocol.generated.records import EVENT
from novate.protocol.genesis import UNDERLYING_NAMES, Genesis
from novate.protocol.margin import PORTFOLIO
from novate.protocol.novation import POSITION
from novate.protocol.oracle import INDEX_REPORT, SURFACE

Array = np.ndarray[Any, np.dtype[Any]]

NONE = -1
LEVEL_TICK_BITS = 18
BITMAP_LOW_WORDS = 4096  # 2**18 ticks / 64
BITMAP_HIGH_WORDS = 64
GROUP_EFFECT_COUNT = constants.SCENARIO_COUNT + 2
EVENT_COUNT_FIRST = 1 << 16


def integers(*names: str) -> np.dtype[Any]:
    """Return a record of int64 fields."""
    return np.dtype([(name, np.int64) for name in names])


ACCOUNT = integers(
    "cash_atoms", "nonce", "open_order_count", "first_position", "first_order", "dirty",
    "tier", "dead_man_ns", "cancel_on_disconnect", "waiting_count", "first_waiting",
    "liquidation_stage", "liquidation_count", "warned", "demand_e6", "owner", "subaccount", "retired_nonce",
    "position_count",
)  # fmt: skip
# A session key; its address as three words, most significant first. It is active while its scope is not 0.
KEY = integers(
    "word_0", "word_1", "word_2", "scope", "key_expires_ns",
    "max_notional_atoms", "max_delta_atoms", "max_vega_atoms", "rate_per_minute",
    "nonce", "window_start_ns", "window_count",
)  # fmt: skip
# Three cache lines: what margin and a walk through an account's orders read, what matching changes, the rest.
ORDER = integers(
    "order_id", "account", "instrument", "side", "price_ticks", "lots", "group", "next_in_account",
    "next", "prev", "prev_in_account", "position", "visible_lots", "display_lots", "flags", "link",
    "dirty", "priority", "time_in_force", "valid_until_ns", "label", "volatility_bp", "unused_0", "unused_1",
)  # fmt: skip
# An order that waits for its trigger or its parent; it is in no book and holds no margin.
WAITING = integers(
    "order_id", "account", "instrument", "side", "time_in_force", "price_ticks", "lots",
    "flags", "display_lots", "valid_until_ns", "label", "link",
    "reference", "condition", "trigger_atoms", "trail_atoms", "parent_id",
    "next_in_account", "prev_in_account", "dirty",
)  # fmt: skip
# A group of protected quotes; `underlying` is NONE until the group is set, `stale` while its effects are
# old, or no more than a bound.
GROUP = integers(
    "underlying", "window_ns", "frozen_ns", "quantity_limit_lots", "delta_limit_atoms", "vega_limit_atoms",
    "window_start_ns", "filled_lots", "filled_delta_atoms", "filled_vega_atoms", "frozen_until_ns",
    "quote_count", "open_lots", "open_sell_lots", "notional_atoms", "stale",
)  # fmt: skip
# A quote as the margin of its group sees it: `base_atoms` is what y[s] has in every scenario.
QUOTE = integers("instrument", "direction", "base_atoms", "lots")
# What a position adds to its account's sums for each lot, copied at each mark update: one cache line.
UNIT = integers(
    "series", "linear", "mark_atoms", "notional_atoms", "delta_atoms", "vega_atoms",
    "basis_down_atoms", "basis_up_atoms",
)  # fmt: skip
LEVEL = integers("key", "head", "tail", "lots", "count")
ENTRY = integers("key", "slot")
INSTRUMENT = integers(
    "underlying", "kind", "strike_atoms", "expiry_ns", "series", "lots_per_unit", "tick_atoms", "state",
    "mark_atoms", "notional_atoms", "taker_fee_atoms", "band_atoms", "tick_offset", "settlement_atoms",
    "total_volatility_x48", "forward_atoms", "delta_atoms", "vega_atoms", "last_ticks",
    "funding_rate_e9", "funding_accrual", "funded_ns", "dirty",
)  # fmt: skip
MARKET = integers(*UNDERLYING_NAMES, "index_atoms", "confidence_e6", "index_time_ns", "advanced_ns", "dirty")
SERIES = integers(
    "underlying", "expiry_ns", "expired", "has_surface", *(SURFACE.names or ()),
    "reference_index_atoms", "variance_time_ns", "twap_sum", "twap_ms",
)  # fmt: skip
HOUSE = integers(
    "sequence",
    "time_ns",
    "next_order_id",
    "fees_atoms",
    "deposit_cursor",
    "deposited_atoms",
    "withdrawn_atoms",
    "withdrawal_count",
    "batch",
    "operator_nonce",
    "account_count",
    "instrument_count",
    "series_count",
    "free_order_count",
    "free_position_count",
    "order_high",
    "position_high",
    "event_count",
    "quorum",
    "insurance_atoms",
    "free_waiting_count",
    "waiting_high",
    "ready_count",
    "due_count",
)


@pass_by_reference
class World(NamedTuple):
    """Every table of the engine; shapes use A accounts, U underlyings, I instruments, S series, O orders, P
    positions, W waiting orders.
    """

    house: Array  # HOUSE[1]
    parameters: Array  # PARAMETERS[1]
    fee_tiers: Array  # FEE_TIER[1 to 8]
    markets: Array  # MARKET[U]
    index_reports: Array  # INDEX_REPORT[U, oracles]
    series: Array  # SERIES[S]
    surface_reports: Array  # SURFACE[S, oracles]
    instruments: Array  # INSTRUMENT[I]
    legs: Array  # int64[I, 4, 2], instrument and ratio of a combo's legs, then NONE and 0
    rows: Array  # int64[I, 32]
    basis_rows: Array  # int64[I, 2]
    accounts: Array  # ACCOUNT[A]
    keys: Array  # KEY[A, 8], session keys by their places
    portfolios: Array  # PORTFOLIO[A, U]
    pnl: Array  # int64[A, U, 32], the vectors P
    effects: Array  # int64[A, U, 32], the vectors O
    basis_held: Array  # int64[A, S, 2], the vectors H
    basis_open: Array  # int64[A, S, 2], the vectors G
    positions: Array  # POSITION[P]
    position_entries: Array  # ENTRY, open addressing
    free_positions: Array  # int64[P], a stack
    orders: Array  # ORDER[O]
    order_entries: Array  # ENTRY, open addressing
    free_orders: Array  # int64[O], a stack
    draft: Array  # ORDER[1], the order that is being judged and matched and is in no book yet
    waiting: Array  # WAITING[W]
    waiting_entries: Array  # ENTRY, open addressing
    free_waiting: Array  # int64[W], a stack
    repriced: Array  # ORDER[O], volatility orders on their way from one price to the next
    ready: Array  # int64[W], a heap of the ids of waiting orders whose parent has been filled
    closures: Array  # int64[P, 2], account and weight of each closing in an auto-deleveraging
    due: Array  # int64[2 max(O, W)], heaps on top of each other: ids that sweeps have still to visit
    units: Array  # UNIT[I], scratch
    held: Array  # int64[P], scratch: instruments and lots that accounts hold, one account after the other
    held_ends: Array  # int64[A], scratch: where each account's part of `held` ends
    block_costs: Array  # int64[2, 16], scratch: entry values of both parties before a block
    groups: Array  # GROUP[A, 4]
    group_effects: Array  # int64[A, 4, 34], O_g of the 32 scenarios, then O0_g and G_g
    group_cuts: (
        Array  # int64[A, 4, 34], guesses at the worst lot that a limit lets fill: no part of the state
    )
    group_quotes: Array  # QUOTE[open orders of an account], scratch of one group
    heap: Array  # int64[2, open orders of an account], scratch: value and lots of a group's quotes
    gathered: Array  # PORTFOLIO[1], scratch: a portfolio with its groups of quotes
    gathered_effects: Array  # int64[32], scratch: O with its groups of quotes
    quote_slots: Array  # int64[2 I], scratch: the open quotes of one group by instrument and side
    levels: Array  # LEVEL, open addressing by (instrument, side, ticks)
    bitmap_low: Array  # int64[2 I, 4096]
    bitmap_high: Array  # int64[2 I, 64]
    bitmap_top: Array  # int64[2 I]
    best: Array  # int64[2 I], best tick of a side or -1
    events: Array  # EVENT[E], the output of one batch; `grow_events` makes room for more


# Tables that hold nothing of the state: what a command writes there, no later command reads.
SCRATCH = (
    "draft",
    "repriced",
    "closures",
    "due",
    "units",
    "held",
    "held_ends",
    "block_costs",
    "group_quotes",
    "heap",
    "gathered",
    "gathered_effects",
    "quote_slots",
    "events",
)


def count_slots(capacity: int) -> int:
    """Return the size of an open-addressing table that stays at most half full: a power of two."""
    return 1 << max(4, (2 * capacity - 1).bit_length())


def count_events_fixed(genesis: Genesis) -> int:
    """Return how many events one command can cause whatever orders and positions there are: those about
    instruments and underlyings, and a few of its own.
    """
    return 64 + 2 * genesis.limits["instruments"]


def make_world(genesis: Genesis) -> World:
    """Allocate the empty state of a venue."""
    limits, arena = genesis.limits, Arena()
    accounts, instruments, series = limits["accounts"], limits["instruments"], limits["series"]
    orders, positions, waiting = limits["orders"], limits["positions"], limits["triggers"]
    underlyings, oracles = len(genesis.underlyings), len(genesis.oracles)
    world = World(
        house=arena.zeros(1, HOUSE),
        parameters=genesis.pack_parameters(),
        fee_tiers=genesis.pack_fee_tiers(),
        markets=arena.zeros(underlyings, MARKET),
        index_reports=arena.zeros((underlyings, oracles), INDEX_REPORT),
        series=arena.zeros(series, SERIES),
        surface_reports=arena.zeros((series, oracles), SURFACE),
        instruments=arena.zeros(instruments, INSTRUMENT),
        legs=arena.zeros((instruments, constants.COMBO_LEG_COUNT_MAX, 2), np.int64),
        rows=arena.zeros((instruments, constants.SCENARIO_COUNT), np.int64),
        basis_rows=arena.zeros((instruments, constants.BASIS_COUNT), np.int64),
        accounts=arena.zeros(accounts, ACCOUNT),
        keys=arena.zeros((accounts, constants.KEY_COUNT), KEY),
        portfolios=arena.zeros((accounts, underlyings), PORTFOLIO),
        pnl=arena.zeros((accounts, underlyings, constants.SCENARIO_COUNT), np.int64),
        effects=arena.zeros((accounts, underlyings, constants.SCENARIO_COUNT), np.int64),
        basis_held=arena.zeros((accounts, series, constants.BASIS_COUNT), np.int64),
        basis_open=arena.zeros((accounts, series, constants.BASIS_COUNT), np.int64),
        positions=arena.zeros(positions, POSITION),
        position_entries=arena.zeros(count_slots(positions), ENTRY),
        free_positions=np.arange(positions - 1, -1, -1, dtype=np.int64),
        orders=arena.zeros(orders, ORDER),
        order_entries=arena.zeros(count_slots(orders), ENTRY),
        free_orders=np.arange(orders - 1, -1, -1, dtype=np.int64),
        draft=arena.zeros(1, ORDER),
        repriced=arena.zeros(orders, ORDER),
        closures=arena.zeros((positions, 2), np.int64),
        waiting=arena.zeros(waiting, WAITING),
        waiting_entries=arena.zeros(count_slots(waiting), ENTRY),
        free_waiting=np.arange(waiting - 1, -1, -1, dtype=np.int64),
        ready=arena.zeros(waiting, np.int64),
        due=arena.zeros(2 * max(orders, waiting), np.int64),
        units=arena.zeros(instruments, UNIT),
        held=arena.zeros(positions, np.int64),
        held_ends=arena.zeros(accounts, np.int64),
        block_costs=arena.zeros((2, constants.BLOCK_LEG_COUNT_MAX), np.int64),
        groups=arena.zeros((accounts, constants.GROUP_COUNT), GROUP),
        group_effects=arena.zeros((accounts, constants.GROUP_COUNT, GROUP_EFFECT_COUNT), np.int64),
        group_cuts=arena.zeros((accounts, constants.GROUP_COUNT, GROUP_EFFECT_COUNT), np.int64),
        group_quotes=arena.zeros(constants.OPEN_ORDER_COUNT_MAX, QUOTE),
        heap=arena.zeros((2, constants.OPEN_ORDER_COUNT_MAX), np.int64),
        gathered=arena.zeros(1, PORTFOLIO),
        gathered_effects=arena.zeros(constants.SCENARIO_COUNT, np.int64),
        quote_slots=np.full(2 * instruments, NONE, np.int64),
        levels=arena.zeros(count_slots(orders), LEVEL),
        bitmap_low=arena.zeros((2 * instruments, BITMAP_LOW_WORDS), np.int64),
        bitmap_high=arena.zeros((2 * instruments, BITMAP_HIGH_WORDS), np.int64),
        bitmap_top=arena.zeros(2 * instruments, np.int64),
        best=np.full(2 * instruments, NONE, np.int64),
        events=arena.zeros(EVENT_COUNT_FIRST, EVENT),
    )
    fill_world(world, genesis)
    return world


def grow_events(world: World) -> World:
    """Return the same state with an empty event buffer twice as large; pages not yet used cost nothing."""
    return world._replace(events=Arena().zeros(2 * len(world.events), EVENT))


def fill_world(world: World, genesis: Genesis) -> None:
    """Write what is not zero in an empty state."""
    for name in UNDERLYING_NAMES:
        world.markets[name] = [getattr(underlying, name) for underlying in genesis.underlyings]
    house = world.house
    house["next_order_id"] = 1
    house["quorum"] = genesis.quorum
    house["free_order_count"] = genesis.limits["orders"]
    house["free_position_count"] = genesis.limits["positions"]
    house["free_waiting_count"] = genesis.limits["triggers"]
    world.accounts["first_waiting"] = NONE
    world.accounts["owner"] = NONE
    world.groups["underlying"] = NONE
    world.accounts["demand_e6"] = NONE
    world.accounts["first_position"] = NONE
    world.accounts["first_order"] = NONE
    world.positions["account"] = NONE
    world.instruments["mark_atoms"] = constants.NO_MARK_ATOMS
    world.instruments["series"] = NONE
    world.legs[:, :, 0] = NONE
