"""Price-time books in flat arrays: a three-level bitmap of occupied ticks, and levels found by hashing.

A level is a record with an intrusive FIFO of order slots. Finding the next price takes at most three bit
scans whatever the gap; adding, filling or removing an order touches one level and its neighbours. Open-
addressing tables delete by backward shift, so they never slow down. Nothing here decides what is lawful.
"""

from novate.execution.tables import LEVEL_TICK_BITS, NONE, Array, World
from novate.kernel import (
    as_place,
    count_leading_zeros,
    count_trailing_zeros,
    kernel,
    kernel_inline,
    kernel_inner,
    mul_shift_floor,
)
from novate.protocol.generated.codes import Side
from novate.protocol.generated.constants import PRICE_TICKS_MAX

# Multiplying by this odd number near 2**61 / golden ratio and taking bits 40 and up spreads blocks of
# neighbouring keys. Keys of one block stay together, because orders, ticks and positions that are neighbours
# are often needed one after the other, and four entries are one cache line.
SPREAD = 1_425_089_352_415_399_815
SPREAD_SHIFT = 40
BLOCK_BITS = 2


@kernel_inline
def hash_key(key: int, mask: int) -> int:
    """Return the home of a positive key below 2**45 in a table of mask + 1 slots."""
    block = mul_shift_floor(key >> BLOCK_BITS, SPREAD, SPREAD_SHIFT)
    # Masked first: in plain Python an id from a command may make the product wider than a word.
    return ((block & (mask >> BLOCK_BITS)) << BLOCK_BITS) | (key & ((1 << BLOCK_BITS) - 1))


@kernel
def find_entry(entries: Array, key: int) -> int:
    """Return the place of a key, or of the free place where it would go."""
    mask = entries.shape[0] - 1
    at = hash_key(key, mask)
    while entries[as_place(at)]["key"] != 0 and entries[as_place(at)]["key"] != key:
        at = (at + 1) & mask
    return at


@kernel
def find_slot(entries: Array, key: int) -> int:
    """Return the slot stored under a key, or NONE."""
    if key <= 0:
        return NONE
    entry = entries[as_place(find_entry(entries, key))]
    return entry["slot"] if entry["key"] == key else NONE


@kernel
def put_slot(entries: Array, key: int, slot: int) -> None:
    """Store a slot under a key that is not in the table."""
    entry = entries[as_place(find_entry(entries, key))]
    entry["key"] = key
    entry["slot"] = slot


@kernel_inner
def remove_entry(entries: Array, key: int) -> None:
    """Remove a key, closing the gap so that no tombstone remains."""
    mask = entries.shape[0] - 1
    gap = find_entry(entries, key)
    at = gap
    while True:
        at = (at + 1) & mask
        moved = entries[as_place(at)]
        key = moved["key"]
        if key == 0:
            break
        if ((at - hash_key(key, mask)) & mask) >= ((at - gap) & mask):
            # Field by field: a copy of the whole record is done in pieces that do not fit the loads after it.
            entry = entries[as_place(gap)]
            entry["key"] = key
            entry["slot"] = moved["slot"]
            gap = at
    entries[as_place(gap)]["key"] = 0


@kernel_inline
def make_level_key(book: int, ticks: int) -> int:
    """Return the key of one price of one side; `book` is instrument * 2 + side."""
    return ((book << LEVEL_TICK_BITS) | ticks) + 1


@kernel_inner
def mark_tick(w: World, book: int, ticks: int) -> None:
    """Note that a price is occupied, and whether it is the best."""
    word, at = ticks >> 6, as_place(book)
    w.bitmap_low[at, as_place(word)] |= 1 << (ticks & 63)
    w.bitmap_high[at, as_place(word >> 6)] |= 1 << (word & 63)
    w.bitmap_top[at] |= 1 << (word >> 6)
    best = w.best[at]
    if best == NONE or (ticks > best if book & 1 == 0 else ticks < best):
        w.best[at] = ticks


@kernel_inner
def clear_tick(w: World, book: int, ticks: int) -> None:
    """Note that a price is empty, and find the next best if it was the best."""
    word, at = ticks >> 6, as_place(book)
    low = w.bitmap_low[at, as_place(word)] & ~(1 << (ticks & 63))
    w.bitmap_low[at, as_place(word)] = low
    if low == 0:
        high = w.bitmap_high[at, as_place(word >> 6)] & ~(1 << (word & 63))
        w.bitmap_high[at, as_place(word >> 6)] = high
        if high == 0:
            w.bitmap_top[at] &= ~(1 << (word >> 6))
    if w.best[at] == ticks:
        w.best[at] = find_tick_below(w, book, ticks) if book & 1 == 0 else find_tick_above(w, book, ticks)


@kernel
def find_tick_above(w: World, book: int, ticks: int) -> int:
    """Return the lowest occupied price >= ticks, or NONE."""
    word, at = ticks >> 6, as_place(book)
    bits = w.bitmap_low[at, as_place(word)] & (-1 << (ticks & 63))
    if bits != 0:
        return (word << 6) + count_trailing_zeros(bits)
    word += 1
    group = word >> 6
    if group >= 64:
        return NONE
    bits = w.bitmap_high[at, as_place(group)] & (-1 << (word & 63))
    if bits == 0:
        if group == 63:
            return NONE
        bits = w.bitmap_top[at] & (-1 << (group + 1))
        if bits == 0:
            return NONE
        group = count_trailing_zeros(bits)
        bits = w.bitmap_high[at, as_place(group)]
    word = (group << 6) + count_trailing_zeros(bits)
    return (word << 6) + count_trailing_zeros(w.bitmap_low[at, as_place(word)])


@kernel_inline
def mask_up_to(bit: int) -> int:
    """Return a word with the bits 0 to `bit` set."""
    # In plain Python -2 << 63 would not fit a word.
    return -1 if bit == 63 else ~(-2 << bit)


@kernel
def find_tick_below(w: World, book: int, ticks: int) -> int:
    """Return the highest occupied price <= ticks, or NONE."""
    word, at = ticks >> 6, as_place(book)
    bits = w.bitmap_low[at, as_place(word)] & mask_up_to(ticks & 63)
    if bits != 0:
        return (word << 6) + 63 - count_leading_zeros(bits)
    word -= 1
    if word < 0:
        return NONE
    group = word >> 6
    bits = w.bitmap_high[at, as_place(group)] & mask_up_to(word & 63)
    if bits == 0:
        if group == 0:
            return NONE
        bits = w.bitmap_top[at] & ~(-1 << group)
        if bits == 0:
            return NONE
        group = 63 - count_leading_zeros(bits)
        bits = w.bitmap_high[at, as_place(group)]
    word = (group << 6) + 63 - count_leading_zeros(bits)
    return (word << 6) + 63 - count_leading_zeros(w.bitmap_low[at, as_place(word)])


@kernel_inner
def find_next_tick(w: World, book: int, ticks: int) -> int:
    """Return the occupied price of a book that is next after an occupied one, away from the best, or NONE."""
    if book & 1 == Side.BUY:
        return find_tick_below(w, book, ticks - 1)
    return find_tick_above(w, book, ticks + 1) if ticks < PRICE_TICKS_MAX else NONE


@kernel
def find_level(w: World, book: int, ticks: int) -> int:
    """Return the place of a price level, or of the free place where it would go."""
    key = make_level_key(book, ticks)
    mask = w.levels.shape[0] - 1
    at = hash_key(key, mask)
    while w.levels[as_place(at)]["key"] != 0 and w.levels[as_place(at)]["key"] != key:
        at = (at + 1) & mask
    return at


@kernel_inner
def remove_level(w: World, gap: int) -> None:
    """Remove the level at a place, closing the gap."""
    levels = w.levels
    mask = levels.shape[0] - 1
    at = gap
    while True:
        at = (at + 1) & mask
        moved = levels[as_place(at)]
        key = moved["key"]
        if key == 0:
            break
        if ((at - hash_key(key, mask)) & mask) >= ((at - gap) & mask):
            level = levels[as_place(gap)]
            level["key"] = key
            level["head"] = moved["head"]
            level["tail"] = moved["tail"]
            level["lots"] = moved["lots"]
            level["count"] = moved["count"]
            gap = at
    levels[as_place(gap)]["key"] = 0


@kernel
def append_order(w: World, slot: int) -> None:
    """Put an order at the end of its level."""
    order = w.orders[as_place(slot)]
    book = order["instrument"] * 2 + order["side"]
    level = w.levels[as_place(find_level(w, book, order["price_ticks"]))]
    order["next"] = NONE
    if level["key"] == 0:
        level["key"] = make_level_key(book, order["price_ticks"])
        level["head"] = slot
        level["lots"] = 0
        level["count"] = 0
        order["prev"] = NONE
        mark_tick(w, book, order["price_ticks"])
    else:
        order["prev"] = level["tail"]
        w.orders[as_place(level["tail"])]["next"] = slot
    level["tail"] = slot
    level["lots"] += order["visible_lots"]
    level["count"] += 1


@kernel_inner
def unlink_order(w: World, slot: int) -> None:
    """Take an order with its visible lots out of its level."""
    order = w.orders[as_place(slot)]
    book = order["instrument"] * 2 + order["side"]
    at = find_level(w, book, order["price_ticks"])
    level = w.levels[as_place(at)]
    following, previous = order["next"], order["prev"]
    if previous == NONE:
        level["head"] = following
    else:
        w.orders[as_place(previous)]["next"] = following
    if following == NONE:
        level["tail"] = previous
    else:
        w.orders[as_place(following)]["prev"] = previous
    level["lots"] -= order["visible_lots"]
    level["count"] -= 1
    if level["head"] == NONE:
        assert level["lots"] == 0  # Invariant [MATCH-3]: an empty level shows no lots.
        clear_tick(w, book, order["price_ticks"])
        remove_level(w, at)


@kernel_inner
def reduce_level(w: World, slot: int, lots: int, visible_lots: int) -> None:
    """Take lots of an order away, some of them visible, leaving it in its place."""
    order = w.orders[as_place(slot)]
    at = find_level(w, order["instrument"] * 2 + order["side"], order["price_ticks"])
    w.levels[as_place(at)]["lots"] -= visible_lots
    order["lots"] -= lots
    order["visible_lots"] -= visible_lots
    order["dirty"] = 1
