"""The engine and the naive model agree on every event of a million random commands, and on where they end.

NOVATE_MODEL_COMMANDS sets another number of commands, NOVATE_MODEL_SEED the first seed (`make soak`). The
commands are cut into chunks, each with a seed and a profile of its own, so that several workers can share
them.
"""

import os

import numpy as np
import pytest

from novate.execution.engine import Engine
from novate.execution.tables import NONE, Array
from novate.protocol.generated.codes import Side, TriggerReference
from novate.protocol.generated.constants import GROUP_COUNT
from tests.model.engine_bridge import compare_states, run_both

COMMANDS = int(os.environ.get("NOVATE_MODEL_COMMANDS", "1000000"))
# A chunk of `main` or `crowd` is long enough to reach the account with all the open orders it may have.
PROFILES = ("main", "crowd", "tiny", "crash", "desk", "desk", "crash", "main", "tiny", "desk")
COMMANDS_PER_CHUNK = 50_000
CHUNKS = max(20, COMMANDS // COMMANDS_PER_CHUNK)
FIRST_SEED = int(os.environ.get("NOVATE_MODEL_SEED", "1000"))


def check_books(engine: Engine) -> None:
    """Assert that levels show the visible lots of their orders, in the order that they joined, that bitmaps
    and best prices follow, and that no book is crossed.
    """
    world = engine.world
    expected: dict[tuple[int, int], list[int]] = {}
    for slot in np.flatnonzero(world.orders["order_id"] != 0).tolist():
        order = world.orders[slot]
        key = int(order["instrument"]) * 2 + int(order["side"]), int(order["price_ticks"])
        expected.setdefault(key, []).append(slot)
        assert 1 <= order["visible_lots"] <= order["lots"]
        assert order["display_lots"] != 0 or order["visible_lots"] == order["lots"]
    found = {}
    for level in world.levels[world.levels["key"] != 0]:
        book, ticks = divmod(int(level["key"]) - 1, 1 << 18)
        slots = follow(world.orders, int(level["head"]), "next")
        found[book, ticks] = sorted(slots)
        assert [int(level["tail"]), int(level["count"])] == [slots[-1], len(slots)]
        assert int(level["lots"]) == int(world.orders["visible_lots"][slots].sum())
        priorities = world.orders["priority"][slots].tolist()
        assert priorities == sorted(priorities)
    assert expected == found
    marked = {
        (int(book), int(word) * 64 + bit)
        for book, word in np.argwhere(world.bitmap_low != 0)
        for bit in range(64)
        if int(world.bitmap_low[book, word]) >> bit & 1
    }
    assert set(expected) == marked
    for number in range(int(world.house["instrument_count"][0])):
        bids = [ticks for book, ticks in expected if book == 2 * number]
        asks = [ticks for book, ticks in expected if book == 2 * number + 1]
        assert max(bids, default=NONE) == world.best[2 * number]
        assert min(asks, default=NONE) == world.best[2 * number + 1]
        assert not bids or not asks or max(bids) < min(asks)


def follow(records: Array, first: int, name: str) -> list[int]:
    """The slots of a linked list, from its first slot on."""
    slots = []
    while first != NONE:
        slots.append(first)
        first = int(records[first][name])
    return slots


def check_table(
    engine: Engine, table: Array, free: list[int], entries: Array, lists: str, count: str
) -> None:
    """Assert that every slot of open or waiting orders is live or free, and that the accounts' lists and
    counters and the table of ids know the live ones.
    """
    live = np.flatnonzero(table["order_id"] != 0).tolist()
    assert list(range(len(table))) == sorted(live + free)
    known = {int(entry["key"]): int(entry["slot"]) for entry in entries[entries["key"] != 0]}
    assert {int(table[slot]["order_id"]): slot for slot in live} == known
    for account in range(len(engine.addresses)):
        mine = [slot for slot in live if table[slot]["account"] == account]
        record = engine.world.accounts[account]
        assert mine == sorted(follow(table, int(record[lists]), "next_in_account"))
        assert len(mine) == int(record[count])


def check_tables(engine: Engine) -> None:
    """Assert that stacks of free slots, lists, id tables and scratch heaps add up."""
    world, house = engine.world, engine.world.house[0]
    free_orders = world.free_orders[: int(house["free_order_count"])].tolist()
    free_waiting = world.free_waiting[: int(house["free_waiting_count"])].tolist()
    free_positions = world.free_positions[: int(house["free_position_count"])].tolist()
    check_table(engine, world.orders, free_orders, world.order_entries, "first_order", "open_order_count")
    check_table(engine, world.waiting, free_waiting, world.waiting_entries, "first_waiting", "waiting_count")
    live = np.flatnonzero(world.positions["account"] != NONE).tolist()
    assert list(range(len(world.positions))) == sorted(live + free_positions)
    assert [0, 0] == [int(house["ready_count"]), int(house["due_count"])]
    # Whoever waits for a parent waits for an order that is there, and nobody is left who could fire.
    there = {0, *world.orders["order_id"].tolist(), *world.waiting["order_id"].tolist()}
    for record in world.waiting[world.waiting["order_id"] != 0]:
        assert int(record["parent_id"]) in there
        assert record["parent_id"] != 0 or record["reference"] != TriggerReference.NONE


def count_in_combos(engine: Engine, account: int, instrument: int) -> list[int]:
    """The lots that an account's open orders in combos would buy and would sell of a leg."""
    orders = engine.world.orders
    found = [0, 0]
    for order in orders[(orders["order_id"] != 0) & (orders["account"] == account)]:
        for leg, ratio in engine.world.legs[order["instrument"]].tolist():
            if ratio != 0 and leg == instrument:
                side = int(order["side"]) if ratio > 0 else 1 - int(order["side"])
                found[side] += int(order["lots"]) * abs(ratio)
    return found


def check_counts(engine: Engine) -> None:
    """Assert that positions, groups and portfolios count the open lots there are, quotes on their own."""
    world = engine.world
    live = world.orders[world.orders["order_id"] != 0]
    for slot in np.flatnonzero(world.positions["account"] != NONE).tolist():
        position = world.positions[slot]
        mine = live[live["position"] == slot]
        plain, quotes = mine[mine["group"] == 0], mine[mine["group"] != 0]
        sums = [int(plain["lots"][plain["side"] == side].sum()) for side in (Side.BUY, Side.SELL)]
        in_combos = count_in_combos(engine, int(position["account"]), int(position["instrument"]))
        sums = [*map(sum, zip(sums, in_combos, strict=True)), int(quotes["lots"].sum())]
        names = ("open_buy_lots", "open_sell_lots", "quote_lots")
        assert sums == [int(position[name]) for name in names]
        assert position["lots"] != 0 or any(sums)
    for account, index in np.ndindex(len(engine.addresses), GROUP_COUNT):
        quotes = live[(live["account"] == account) & (live["group"] == index + 1)]
        sells = quotes[quotes["side"] == Side.SELL]
        sums = [len(quotes), int(quotes["lots"].sum()), int(sells["lots"].sum())]
        group = world.groups[account, index]
        assert sums == [int(group[name]) for name in ("quote_count", "open_lots", "open_sell_lots")]
        assert set(world.instruments["underlying"][quotes["instrument"]]) <= {group["underlying"]}
    for account, number in np.ndindex(len(engine.addresses), len(world.markets)):
        mine = live[live["account"] == account]
        mine = mine[world.instruments["underlying"][mine["instrument"]] == number]
        held = world.positions[world.positions["account"] == account]
        held = held[world.instruments["underlying"][held["instrument"]] == number]
        weights = np.maximum(1, np.abs(world.legs[mine["instrument"], :, 1]).sum(axis=1))
        gross = int(abs(held["lots"]).sum() + (mine["lots"] * weights).sum())
        sums = [gross, int(mine["lots"][mine["group"] != 0].sum())]
        portfolio = world.portfolios[account, number]
        assert sums == [int(portfolio["gross_lots"]), int(portfolio["quote_lots"])]


@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_the_engine_is_the_law_that_the_model_reads(chunk: int) -> None:
    """Every event is the model's; so are money, margins, orders, slots and marks at the end of each chunk."""
    profile = PROFILES[chunk % len(PROFILES)]
    world, engine = run_both(FIRST_SEED + chunk, max(1, COMMANDS // CHUNKS), profile)
    compare_states(world, engine)
    check_books(engine)
    check_tables(engine)
    check_counts(engine)
