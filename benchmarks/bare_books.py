"""The engine's own books and nothing else: price-time matching without accounts, margin, money or signatures.

A thin loop over the functions that the engine matches with: levels, bitmaps, queues and the table of ids of
novate.execution.order_book, the slots of open_orders, the crossing test of judging, the hints of prefetching.
Nothing is checked: prices, sides and instruments must be those of a lawful file (docs/guides/matching.md).
"""

from typing import Any

import numpy as np

from novate.execution.judging import is_crossing
from novate.execution.open_orders import take_order_slot
from novate.execution.order_book import (
    append_order,
    find_level,
    find_slot,
    hash_key,
    put_slot,
    reduce_level,
    remove_entry,
    unlink_order,
)
from novate.execution.prefetching import ORDER_BYTES, prefetch_level, prefetch_record
from novate.execution.tables import NONE
from novate.kernel import as_place, kernel, kernel_inline, prefetch, read_cycles

ADD, CANCEL, REPLACE = 0, 1, 2
MESSAGE = np.dtype(
    [
        ("order_id", "<i8"),
        ("new_order_id", "<i8"),
        ("price_ticks", "<i4"),
        ("lots", "<i4"),
        ("instrument", "<i2"),
        ("kind", "u1"),
        ("side", "u1"),
        ("immediate", "u1"),
        ("reserved", "u1", 3),
    ]
)
TRADE = np.dtype([(name, np.int64) for name in ("maker_id", "taker_id", "price_ticks", "lots")])
TALLY = np.dtype([(name, np.int64) for name in ("trades", "lots", "rested", "ended", "unknown")])
FAR, NEAR, NEXT = 12, 7, 3  # As many places ahead as the engine looks.


@kernel_inline
def free_slot(w: Any, slot: int) -> None:
    """Forget an order that has left its level."""
    order, house = w.orders[as_place(slot)], w.house[0]
    remove_entry(w.order_entries, order["order_id"])
    order["order_id"] = 0
    w.free_orders[as_place(house["free_order_count"])] = slot
    house["free_order_count"] += 1


@kernel_inline
def match(
    w: Any, trades: Any, tally: Any, order_id: int, number: int, side: int, ticks: int, lots: int
) -> int:
    """Fill against the best orders of the other side and return the lots that are left."""
    book = 2 * number + 1 - side
    while lots > 0 and is_crossing(w, number, side, ticks):
        slot = w.levels[as_place(find_level(w, book, w.best[as_place(book)]))]["head"]
        maker = w.orders[as_place(slot)]
        size = min(lots, maker["visible_lots"])
        trade = trades[as_place(tally["trades"] & (trades.shape[0] - 1))]
        trade["maker_id"] = maker["order_id"]
        trade["taker_id"] = order_id
        trade["price_ticks"] = maker["price_ticks"]
        trade["lots"] = size
        tally["trades"] += 1
        tally["lots"] += size
        lots -= size
        reduce_level(w, slot, size, size)
        if maker["lots"] == 0:
            unlink_order(w, slot)
            free_slot(w, slot)
    return lots


@kernel_inline
def rest(w: Any, order_id: int, number: int, side: int, ticks: int, lots: int) -> None:
    """Put an order at the end of its level."""
    slot = take_order_slot(w)
    order = w.orders[as_place(slot)]
    order["order_id"] = order_id
    order["instrument"] = number
    order["side"] = side
    order["price_ticks"] = ticks
    order["lots"] = lots
    order["visible_lots"] = lots
    put_slot(w.order_entries, order_id, slot)
    append_order(w, slot)


@kernel_inline
def enter(w: Any, trades: Any, tally: Any, message: Any, order_id: int) -> None:
    """A new order: match, then rest or end."""
    number, side = np.int64(message["instrument"]), np.int64(message["side"])
    ticks, lots = np.int64(message["price_ticks"]), np.int64(message["lots"])
    lots = match(w, trades, tally, order_id, number, side, ticks, lots)
    if lots > 0 and message["immediate"] == 0:
        rest(w, order_id, number, side, ticks, lots)
        tally["rested"] += 1


@kernel_inline
def apply(w: Any, trades: Any, tally: Any, message: Any) -> None:
    """One message."""
    if message["kind"] == ADD:
        enter(w, trades, tally, message, message["order_id"])
        return
    slot = find_slot(w.order_entries, message["order_id"])
    if slot == NONE:
        tally["unknown"] += 1
        return
    unlink_order(w, slot)
    free_slot(w, slot)
    tally["ended"] += 1
    if message["kind"] == REPLACE:
        enter(w, trades, tally, message, message["new_order_id"])


@kernel_inline
def hint_named(w: Any, message: Any) -> None:
    """The first look: what a message's own fields name."""
    number, side = np.int64(message["instrument"]), np.int64(message["side"])
    mask = w.order_entries.shape[0] - 1
    if message["kind"] != ADD:
        prefetch(w.order_entries, hash_key(message["order_id"], mask), 0)
    if message["kind"] != CANCEL:
        prefetch_level(w, 2 * number + side, np.int64(message["price_ticks"]))
        prefetch(w.best, 2 * number, 0)
        new = message["order_id"] if message["kind"] == ADD else message["new_order_id"]
        prefetch(w.order_entries, hash_key(new, mask), 0)


@kernel_inline
def hint_found(w: Any, message: Any) -> None:
    """The second look: the order that ends, or the level that a new one would meet."""
    if message["kind"] != ADD:
        slot = find_slot(w.order_entries, message["order_id"])
        if slot != NONE:
            prefetch_record(w.orders, slot, ORDER_BYTES)
    elif message["immediate"] != 0:
        book = 2 * np.int64(message["instrument"]) + 1 - np.int64(message["side"])
        if w.best[as_place(book)] != NONE:
            prefetch_level(w, book, w.best[as_place(book)])


@kernel_inline
def hint_linked(w: Any, message: Any) -> None:
    """The third look: the neighbours and the level of what ends, the first order of what would be met."""
    if message["kind"] != ADD:
        slot = find_slot(w.order_entries, message["order_id"])
        if slot != NONE:
            order = w.orders[as_place(slot)]
            prefetch_level(w, 2 * order["instrument"] + order["side"], order["price_ticks"])
            for link in (order["next"], order["prev"]):
                if link != NONE:
                    prefetch(w.orders, link, 64)
    elif message["immediate"] != 0:
        book = 2 * np.int64(message["instrument"]) + 1 - np.int64(message["side"])
        best = w.best[as_place(book)]
        if best != NONE:
            prefetch_record(w.orders, w.levels[as_place(find_level(w, book, best))]["head"], ORDER_BYTES)


@kernel_inline
def hint(w: Any, messages: Any, i: int) -> None:
    """Ask for the cache lines of the messages behind the one whose turn it is."""
    count = messages.shape[0]
    if i + FAR < count:
        hint_named(w, messages[as_place(i + FAR)])
    if i + NEAR < count:
        hint_found(w, messages[as_place(i + NEAR)])
    if i + NEXT < count:
        hint_linked(w, messages[as_place(i + NEXT)])


@kernel
def run_messages(w: Any, messages: Any, trades: Any, tallies: Any, ahead: bool) -> None:
    """Apply messages in order, with hints (`ahead`) where the books do not fit the caches.

    `trades` is a ring of a power of two; `tallies` one record that adds up.
    """
    tally = tallies[0]
    if ahead:
        for i in range(messages.shape[0]):
            hint(w, messages, i)
            apply(w, trades, tally, messages[as_place(i)])
    else:
        for i in range(messages.shape[0]):
            apply(w, trades, tally, messages[as_place(i)])


@kernel
def clock_messages(w: Any, messages: Any, trades: Any, tallies: Any, ahead: bool, cycles: Any) -> None:
    """The same, writing what the processor's counter moved by during each message into `cycles`."""
    tally = tallies[0]
    before = read_cycles()
    for i in range(messages.shape[0]):
        if ahead:
            hint(w, messages, i)
        apply(w, trades, tally, messages[as_place(i)])
        after = read_cycles()
        cycles[as_place(i)] = after - before
        before = after
