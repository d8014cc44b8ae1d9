"""Cache lines asked for before a command needs them: a venue's tables do not fit the processor's caches.

A batch tells what its next commands will touch. Three looks at each, ever closer to its turn: what its own
fields name, what those records name, and what these name. Nothing is decided and nothing written here: a hint
that turns out wrong costs a few cycles, and without any the results are the same.
"""

from typing import Any

from novate.execution.ledger import make_position_key
from novate.execution.order_book import find_level, find_slot, hash_key, make_level_key
from novate.execution.tables import (
    ACCOUNT,
    INSTRUMENT,
    LEVEL,
    NONE,
    ORDER,
    Array,
    World,
)
from novate.kernel import kernel_inline, kernel_inner, prefetch
from novate.protocol.generated.codes import CommandKind
from novate.protocol.generated.constants import PRICE_TICKS_MAX, SCENARIO_COUNT
from novate.protocol.margin import PORTFOLIO
from novate.protocol.novation import POSITION

Record = Any

LINE = 64
ROW_AHEAD, FAR, NEAR, NEXT = 16, 12, 7, 3  # Places ahead of the command whose turn it is.
IDS_AHEAD = 6
VECTOR_BYTES = 8 * SCENARIO_COUNT
ROW_OFFSETS = (0, 64, 224, 256, 392)  # Where the fields of a trader's command are.
ACCOUNT_BYTES, INSTRUMENT_BYTES, ORDER_BYTES = ACCOUNT.itemsize, INSTRUMENT.itemsize, ORDER.itemsize
LEVEL_BYTES, PORTFOLIO_BYTES, POSITION_BYTES = LEVEL.itemsize, PORTFOLIO.itemsize, POSITION.itemsize


@kernel_inline
def prefetch_record(table: Array, place: int, size_bytes: int) -> None:
    """Ask for every line of a record that may begin anywhere in a line."""
    for offset in range(0, size_bytes - 1, LINE):
        prefetch(table, place, offset)
    prefetch(table, place, size_bytes - 1)


@kernel_inner
def is_listed(w: World, number: int) -> bool:
    """Whether an instrument number, which may be anything, is one."""
    return bool(number >= 0 and number < w.house[0]["instrument_count"])


@kernel_inner
def is_account(w: World, account: int) -> bool:
    """Whether an account number, which may be anything, is one."""
    return bool(account >= 0 and account < w.house[0]["account_count"])


@kernel_inner
def prefetch_level(w: World, book: int, ticks: int) -> None:
    """Ask for a price level and its bits."""
    place = hash_key(make_level_key(book, ticks), w.levels.shape[0] - 1)
    prefetch_record(w.levels, place, LEVEL_BYTES)
    prefetch(w.bitmap_low[book], ticks >> 6, 0)
    prefetch(w.bitmap_high[book], ticks >> 12, 0)
    prefetch(w.bitmap_top, book, 0)


@kernel_inner
def prefetch_margin(w: World, account: int, number: int) -> None:
    """Ask for what margin and novation read and write for an account and an instrument."""
    instrument = w.instruments[number]
    underlying, series = instrument["underlying"], max(0, instrument["series"])
    prefetch_record(w.portfolios[account], underlying, PORTFOLIO_BYTES)
    prefetch_record(w.pnl[account], underlying, VECTOR_BYTES)
    prefetch_record(w.effects[account], underlying, VECTOR_BYTES)
    prefetch(w.basis_held[account], series, 0)
    prefetch(w.basis_open[account], series, 0)


@kernel_inner
def prefetch_instrument(w: World, number: int) -> None:
    """Ask for an instrument's record and rows."""
    prefetch_record(w.instruments, number, INSTRUMENT_BYTES)
    prefetch_record(w.rows, number, VECTOR_BYTES)
    prefetch(w.basis_rows, number, 0)
    prefetch(w.best, 2 * number, 0)


@kernel_inner
def prefetch_named(w: World, command: Record) -> None:
    """The first look: what a command's own fields name."""
    kind, account, number = command["kind"], command["account"], command["instrument"]
    if not is_account(w, account):
        return
    prefetch_record(w.accounts, account, ACCOUNT_BYTES)
    if kind == CommandKind.PLACE:
        ticks = command["price_ticks"]
        if is_listed(w, number) and ticks >= 1 and ticks <= PRICE_TICKS_MAX:
            prefetch_instrument(w, number)
            prefetch_level(w, 2 * number + (command["side"] & 1), ticks)
            key = make_position_key(w, account, number)
            prefetch(w.position_entries, hash_key(key, w.position_entries.shape[0] - 1), 0)
    elif kind == CommandKind.CANCEL or kind == CommandKind.REPLACE:
        order_id = command["order_id"]
        if order_id > 0:
            prefetch(w.order_entries, hash_key(order_id, w.order_entries.shape[0] - 1), 0)


@kernel_inner
def prefetch_found(w: World, command: Record) -> None:
    """The second look: what those records name."""
    kind, account, number = command["kind"], command["account"], command["instrument"]
    if not is_account(w, account):
        return
    if kind == CommandKind.PLACE:
        if is_listed(w, number):
            prefetch_margin(w, account, number)
            slot = find_slot(w.position_entries, make_position_key(w, account, number))
            if slot != NONE:
                prefetch_record(w.positions, slot, POSITION_BYTES)
            best = w.best[2 * number + 1 - (command["side"] & 1)]
            if best != NONE:
                prefetch_level(w, 2 * number + 1 - (command["side"] & 1), best)
            # Where the id of a new order will go: each PLACE takes one, and looks as many ahead as all do.
            order_id = w.house[0]["next_order_id"] + IDS_AHEAD
            prefetch(w.order_entries, hash_key(order_id, w.order_entries.shape[0] - 1), 0)
            first = w.accounts[account]["first_order"]
            if first != NONE:
                prefetch_record(w.orders, first, ORDER_BYTES)
    elif kind == CommandKind.CANCEL or kind == CommandKind.REPLACE:
        slot = find_slot(w.order_entries, command["order_id"])
        if slot != NONE:
            prefetch_record(w.orders, slot, ORDER_BYTES)


@kernel_inner
def prefetch_order(w: World, slot: int) -> None:
    """Ask for what an open order touches when it is filled or ends."""
    order = w.orders[slot]
    account, number = order["account"], order["instrument"]
    prefetch_instrument(w, number)
    prefetch_margin(w, account, number)
    prefetch_level(w, 2 * number + order["side"], order["price_ticks"])
    if order["position"] != NONE:
        prefetch_record(w.positions, order["position"], POSITION_BYTES)
    for link in (order["next"], order["prev"], order["next_in_account"], order["prev_in_account"]):
        if link != NONE:
            prefetch_record(w.orders, link, ORDER_BYTES)


@kernel_inner
def prefetch_linked(w: World, command: Record) -> None:
    """The third look: what an order that ends or may be met names."""
    kind, number = command["kind"], command["instrument"]
    if kind == CommandKind.PLACE:
        if is_listed(w, number):
            side, ticks = command["side"], command["price_ticks"]
            book = 2 * number + 1 - (side & 1)
            best = w.best[book]
            if best != NONE and (ticks >= best if side == 0 else ticks <= best):
                head = w.levels[find_level(w, book, best)]["head"]
                prefetch_record(w.orders, head, ORDER_BYTES)
    elif kind == CommandKind.CANCEL or kind == CommandKind.REPLACE:
        slot = find_slot(w.order_entries, command["order_id"])
        if slot != NONE:
            prefetch_order(w, slot)


@kernel_inner
def prefetch_ahead(w: World, commands: Array, i: int) -> None:
    """Look at the commands behind the one whose turn it is."""
    count = commands.shape[0]
    if i + ROW_AHEAD < count:
        for offset in ROW_OFFSETS:
            prefetch(commands, i + ROW_AHEAD, offset)
    if i + FAR < count:
        prefetch_named(w, commands[i + FAR])
    if i + NEAR < count:
        prefetch_found(w, commands[i + NEAR])
    if i + NEXT < count:
        prefetch_linked(w, commands[i + NEXT])
