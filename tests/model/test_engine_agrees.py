"""The engine and the naive model agree on every event of a million random commands, and on where they end.

NOVATE_MODEL_COMMANDS sets another number of commands. The commands are cut into chunks, each with a seed and
a profile of its own, so that several workers can share them.
"""

import os

import numpy as np
import pytest

from novate.execution.engine import Engine
from novate.execution.tables import NONE
from tests.model.engine_bridge import compare_states, run_both

COMMANDS = int(os.environ.get("NOVATE_MODEL_COMMANDS", "1000000"))
# A chunk of `main` or `crowd` is long enough to reach the account with all the open orders it may have.
PROFILES = ("main", "crowd", "tiny", "crash", "tiny", "crowd", "crash", "main", "tiny", "crash")
CHUNKS = 20
FIRST_SEED = 1000


def check_books(engine: Engine) -> None:
    """Assert that levels, bitmaps and best prices hold what the orders say, and that no book is crossed."""
    world = engine.world
    orders = world.orders[world.orders["order_id"] != 0]
    expected: dict[tuple[int, int], tuple[int, int]] = {}
    for order in orders:
        key = int(order["instrument"]) * 2 + int(order["side"]), int(order["price_ticks"])
        lots, count = expected.get(key, (0, 0))
        expected[key] = lots + int(order["lots"]), count + 1
    found = {}
    for level in world.levels[world.levels["key"] != 0]:
        book, ticks = divmod(int(level["key"]) - 1, 1 << 18)
        found[book, ticks] = int(level["lots"]), int(level["count"])
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


def check_counts(engine: Engine) -> None:
    """Assert that free stacks, lists and counters add up."""
    world, house = engine.world, engine.world.house[0]
    live_orders = np.flatnonzero(world.orders["order_id"] != 0).tolist()
    free_orders = world.free_orders[: int(house["free_order_count"])].tolist()
    assert list(range(len(world.orders))) == sorted(live_orders + free_orders)
    live_positions = np.flatnonzero(world.positions["account"] != NONE).tolist()
    free_positions = world.free_positions[: int(house["free_position_count"])].tolist()
    assert list(range(len(world.positions))) == sorted(live_positions + free_positions)
    owners = world.orders["account"][live_orders].tolist()
    counts = [owners.count(account) for account in range(len(engine.addresses))]
    assert counts == world.accounts["open_order_count"][: len(counts)].tolist()
    for slot in live_positions:
        position = world.positions[slot]
        mine = [n for n in live_orders if int(world.orders[n]["position"]) == slot]
        sums = [
            sum(int(world.orders[n]["lots"]) for n in mine if world.orders[n]["side"] == s) for s in (0, 1)
        ]
        assert sums == [int(position["open_buy_lots"]), int(position["open_sell_lots"])]
        assert position["lots"] != 0 or mine


@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_the_engine_is_the_law_that_the_model_reads(chunk: int) -> None:
    """Every event is the model's; so are money, margins, orders, slots and marks at the end of each chunk."""
    profile = PROFILES[chunk % len(PROFILES)]
    world, engine = run_both(FIRST_SEED + chunk, max(1, COMMANDS // CHUNKS), profile)
    compare_states(world, engine)
    check_books(engine)
    check_counts(engine)
