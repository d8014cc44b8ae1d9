"""Random operations for the engine, the bare books and the naive book at once; every event must be the same.

`python -m tests.matching.differential SEED COUNT` ends with 0 if engine and naive book agree; the tests run
it on sources with planted bugs.
"""

import sys
import warnings
from typing import Any

import numpy as np
from benchmarks.stream import Stream

from novate.kernel import kernel
from novate.protocol.generated.codes import Code, CommandKind, EventKind
from novate.protocol.generated.records import COMMAND, ITEM
from tests.matching import naive_book as naive

BOOKS, ACCOUNTS, ROOM = 8, 24, 96
GROUP = 4096
TABLE_SLOTS = 1024  # More than BOOKS * ROOM.
KINDS = (naive.PLACE, naive.CANCEL, naive.REPLACE)
COMMAND_KINDS = np.array([CommandKind.PLACE, CommandKind.CANCEL, CommandKind.REPLACE])
EVENT_KINDS = {
    EventKind.RESULT: naive.RESULT,
    EventKind.FILL: naive.FILL,
    EventKind.REST: naive.REST,
    EventKind.CANCELLED: naive.CANCELLED,
    EventKind.REFRESHED: naive.REFRESHED,
    EventKind.REDUCED: naive.REDUCED,
}
Records = np.ndarray[Any, np.dtype[Any]]


@kernel
def run_naive(books: Any, counts: Any, operations: Any, picks: Any, order: Any, events: Any) -> None:
    """Aim each cancel and replacement at an order that is open then, now and then at none, and apply it.

    A book without room for one more order gets a cancel instead.
    """
    for i in range(operations.shape[0]):
        operation, pick = operations[i], picks[i]
        book, count = books[operation["instrument"]], counts[operation["instrument"]]["orders"]
        if operation["kind"] == naive.PLACE and count == book.shape[0]:
            operation["kind"] = naive.CANCEL
        if operation["kind"] != naive.PLACE and count > 0:
            operation["order_id"] = book[pick % count]["order_id"]
            if pick & 0xF00 != 0:  # Else it is a stranger's.
                operation["account"] = book[pick % count]["account"]
        naive.apply(books, counts, operation, order, events)


class Naive:
    """The naive books, and room for the events of a group."""

    def __init__(self, books: int, room: int) -> None:
        self.books = np.zeros((books, room), naive.ORDER)
        self.counts = np.zeros(books, naive.COUNTS)
        self.order = np.zeros(1, naive.ORDER)
        self.events = np.zeros(GROUP * (room + 4) * 2, naive.EVENT)

    def run(self, operations: Records, picks: Records) -> Records:
        """Apply operations, with their aims filled in, and return the events."""
        self.counts[0]["events"] = 0
        run_naive(self.books, self.counts, operations, picks, self.order, self.events)
        return self.events[: int(self.counts["events"][0])]

    def list_open(self) -> list[tuple[int, ...]]:
        """Every open order: book, id, account, side, price, lots, and what it shows."""
        names = ["order_id", "account", "side", "price", "lots", "shown"]
        return sorted(
            (book, *(int(order[name]) for name in names))
            for book, count in enumerate(self.counts["orders"].tolist())
            for order in self.books[book][:count]
        )


def draw_operations(rng: np.random.Generator, fair: Records, count: int) -> tuple[Records, Records]:
    """Mostly new orders, a third of them aggressive, around the mark; a seventh icebergs; every flag."""
    operations = np.zeros(count, naive.OPERATION)
    number = rng.integers(0, len(fair), count)
    operations["kind"] = rng.choice(KINDS, count, p=[0.6, 0.2, 0.2])
    operations["account"] = rng.integers(0, ACCOUNTS, count)
    operations["instrument"] = number
    operations["side"] = rng.integers(0, 2, count)
    operations["tif"] = rng.choice([naive.GTC, naive.IOC, naive.POST_ONLY], count, p=[0.7, 0.2, 0.1])
    operations["lots"] = rng.integers(1, 40, count)
    inside = np.where(operations["side"] == naive.BUY, -1, 1)
    operations["price"] = np.maximum(1, fair[number] + inside * rng.integers(-6, 13, count))
    shows = rng.integers(2, 11, count)
    iceberg = (rng.random(count) < 0.15) & (operations["tif"] != naive.IOC) & (operations["lots"] > 1)
    operations["display"] = np.where(iceberg, -(-operations["lots"] // shows), 0)
    operations["flags"] = rng.choice([0, naive.CANCEL_MAKER, naive.CANCEL_BOTH], count)
    operations["order_id"] = 1 << 40  # Nobody's, where there is nothing to aim at.
    return operations, rng.integers(0, 1 << 30, count)


def pack_rows(stream: Stream, operations: Records, first: int) -> Records:
    """The engine's rows of operations that follow `first` others."""
    rows = np.zeros(len(operations), COMMAND)
    numbers = np.arange(first + 1, first + 1 + len(operations))
    rows["kind"] = COMMAND_KINDS[operations["kind"]]
    rows["sequence"] = stream.engine.sequence + numbers - first
    rows["nonce"] = numbers
    rows["time_ns"] = stream.now_ns
    rows["expires_ns"] = 1 << 62
    for name in ("account", "instrument", "side", "lots", "flags", "order_id"):
        rows[name] = operations[name]
    rows["time_in_force"], rows["price_ticks"] = operations["tif"], operations["price"]
    rows["display_lots"] = operations["display"]
    return rows


def translate(events: Records) -> Records:
    """The engine's events in the naive book's words."""
    told = np.zeros(len(events), naive.EVENT)
    kinds = np.full(max(EventKind) + 1, -1)
    for theirs, ours in EVENT_KINDS.items():
        kinds[theirs] = ours
    told["kind"] = kinds[events["kind"]]
    told["accepted"] = (told["kind"] != naive.RESULT) | (events["code"] == Code.OK)
    told["order_id"], told["maker_id"] = events["order_id"], events["maker_order_id"]
    told["price"], told["lots"] = events["price_ticks"], events["lots"]
    told["shown"] = events["visible_lots"]
    return told


def list_engine_open(stream: Stream) -> list[tuple[int, ...]]:
    """Every open order of the engine, as `Naive.list_open` has them."""
    orders = stream.engine.world.orders
    names = ["instrument", "order_id", "account", "side", "price_ticks", "lots", "visible_lots"]
    return sorted(tuple(int(order[name]) for name in names) for order in orders[orders["order_id"] != 0])


def name_difference(first: int, operations: Records, ours: Records, theirs: Records) -> str:
    """Where two lists of events part."""
    for at, (mine, other) in enumerate(zip(ours, theirs, strict=False)):
        if mine != other:
            return f"event {at} of the group after {first}: naive {mine}, engine {other}"
    return f"group after {first}: naive {len(ours)} events, engine {len(theirs)}"


def list_tables(stream: Stream) -> list[tuple[str, Records]]:
    """The open-addressing tables of orders and of levels."""
    world = stream.engine.world
    return [("order_entries", world.order_entries), ("levels", world.levels)]


def run_both(seed: int, count: int) -> tuple[Stream, Naive, int]:
    """Apply the same operations to both and compare all that happened; return both and the fills."""
    rng, stream, book = np.random.default_rng(seed), Stream(ACCOUNTS, BOOKS), Naive(BOOKS, ROOM)
    # Tables just large enough, so that entries meet and gaps close as in a full venue.
    tables = {name: np.zeros(TABLE_SLOTS, table.dtype) for name, table in list_tables(stream)}
    stream.engine.world = stream.engine.world._replace(**tables)
    fair, items, fills = np.array(stream.fair), np.zeros(0, ITEM), 0
    for first in range(0, count, GROUP):
        operations, picks = draw_operations(rng, fair, min(GROUP, count - first))
        ours = book.run(operations, picks)
        parts = stream.engine.apply_rows(pack_rows(stream, operations, first), items)
        theirs = translate(np.concatenate(parts))
        assert np.array_equal(ours, theirs), name_difference(first, operations, ours, theirs)
        fills += int((ours["kind"] == naive.FILL).sum())
    assert book.list_open() == list_engine_open(stream)
    return stream, book, fills


if __name__ == "__main__":
    warnings.simplefilter("error")
    print(run_both(int(sys.argv[1]), int(sys.argv[2]))[2])
