"""The engine's books alone against the naive book, on messages as the benchmark reads them."""

from typing import Any

import numpy as np
from benchmarks.bare_books import ADD, CANCEL, MESSAGE, REPLACE, TALLY, TRADE, run_messages
from benchmarks.stream import make_genesis

from novate.execution.tables import World, make_world
from novate.kernel import kernel
from tests.matching import naive_book as naive

BOOKS, ROOM, ORDERS = 8, 512, 1 << 13
GROUP = 1 << 14
SWING_TICKS, SWING_MESSAGES = 60, 40_000
Records = np.ndarray[Any, np.dtype[Any]]


@kernel
def run_naive(
    books: Any, counts: Any, messages: Any, scratch: Any, order: Any, events: Any, quiet: Any
) -> None:
    """Apply messages; `quiet` says of each whether it was a new order that rests untouched.

    Every order is an account of its own, so none meets itself; a replacement is a cancel and a new order.
    """
    operation = scratch[0]
    for i in range(messages.shape[0]):
        message, first = messages[i], counts[0]["events"]
        operation["instrument"], operation["side"] = message["instrument"], message["side"]
        operation["price"], operation["lots"] = message["price_ticks"], message["lots"]
        operation["tif"] = naive.IOC if message["immediate"] != 0 else naive.GTC
        order_id, enters = message["order_id"], True
        if message["kind"] != ADD:
            operation["kind"], operation["order_id"], operation["account"] = naive.CANCEL, order_id, order_id
            naive.apply(books, counts, operation, order, events)
            enters = message["kind"] == REPLACE and events[counts[0]["events"] - 1]["kind"] == naive.CANCELLED
            order_id = message["new_order_id"]
        if enters:
            operation["kind"], operation["account"] = naive.PLACE, order_id
            counts[0]["ids"] = order_id - 1
            naive.apply(books, counts, operation, order, events)
        last = counts[0]["events"] - 1
        quiet[i] = message["kind"] == ADD and last == first + 1 and events[last]["kind"] == naive.REST


def draw_messages(rng: np.random.Generator, count: int, done: int, next_id: int) -> Records:
    """Orders around a price that swings, so that every level is reached; changes of open and ended ones."""
    messages = np.zeros(count, MESSAGE)
    kinds = rng.choice([ADD, CANCEL, REPLACE], count, p=[0.6, 0.2, 0.2])
    numbers = next_id + np.cumsum(kinds != CANCEL)
    # An order is of the book that its number says, and so is whatever takes its place.
    recent = numbers - BOOKS * rng.geometric(1 / 25, count)
    recent = np.where(recent < 1, (numbers - 1) % BOOKS + 1, recent)
    phase = 2 * np.pi * (done + np.arange(count)) / SWING_MESSAGES
    middle = 1_000 + np.rint(SWING_TICKS * np.sin(phase)).astype(int)
    messages["kind"], messages["side"] = kinds, rng.integers(0, 2, count)
    messages["order_id"] = np.where(kinds == ADD, numbers, recent)
    messages["new_order_id"] = np.where(kinds == REPLACE, numbers, 0)
    messages["instrument"] = np.where(kinds == ADD, numbers, recent) % BOOKS
    messages["immediate"] = (kinds == ADD) & (rng.random(count) < 0.3)
    priced = kinds != CANCEL
    inside = np.where(messages["side"] == naive.BUY, -1, 1)
    # Immediate orders reach farther and are larger, so that no more rests than the books have room for.
    distance = rng.integers(-4, 9, count) - 12 * messages["immediate"]
    messages["price_ticks"] = np.where(priced, middle + inside * distance, 0)
    messages["lots"] = np.where(priced, rng.integers(1, 40, count) * (1 + 2 * messages["immediate"]), 0)
    return messages


class Bare:
    """The engine's books, empty."""

    def __init__(self) -> None:
        genesis = make_genesis(1, BOOKS)
        genesis.limits.update(orders=ORDERS, positions=1, triggers=1)
        self.world: World = make_world(genesis)
        self.trades, self.tally = np.zeros(2 * GROUP, TRADE), np.zeros(1, TALLY)

    def run(self, messages: Records, ahead: bool) -> Records:
        """Apply messages and return their trades."""
        self.tally["trades"] = 0
        run_messages(self.world, messages, self.trades, self.tally, ahead)
        count = int(self.tally["trades"][0])
        assert count <= len(self.trades)
        return self.trades[:count]

    def list_open(self) -> list[tuple[int, ...]]:
        """Every open order: book, id, side, price, lots."""
        orders = self.world.orders
        names = ["instrument", "order_id", "side", "price_ticks", "lots"]
        return sorted(tuple(int(order[name]) for name in names) for order in orders[orders["order_id"] != 0])


class NaiveFile:
    """The naive books, fed with messages."""

    def __init__(self) -> None:
        self.books, self.counts = np.zeros((BOOKS, ROOM), naive.ORDER), np.zeros(BOOKS, naive.COUNTS)
        self.scratch, self.order = np.zeros(1, naive.OPERATION), np.zeros(1, naive.ORDER)
        self.events, self.quiet = np.zeros(GROUP * 16, naive.EVENT), np.zeros(GROUP, np.bool_)

    def run(self, messages: Records) -> tuple[Records, Records]:
        """Apply messages; return their trades, and which of them rest untouched."""
        self.counts[0]["events"] = 0
        run_naive(self.books, self.counts, messages, self.scratch, self.order, self.events, self.quiet)
        events = self.events[: int(self.counts["events"][0])]
        fills = events[events["kind"] == naive.FILL]
        trades = np.zeros(len(fills), TRADE)
        for ours, theirs in zip(("maker_id", "taker_id", "price_ticks", "lots"), FILL_FIELDS, strict=True):
            trades[ours] = fills[theirs]
        return trades, self.quiet[: len(messages)].copy()

    def list_open(self) -> list[tuple[int, ...]]:
        """Every open order: book, id, side, price, lots."""
        names = ["order_id", "side", "price", "lots"]
        return sorted(
            (book, *(int(order[name]) for name in names))
            for book, count in enumerate(self.counts["orders"].tolist())
            for order in self.books[book][:count]
        )


FILL_FIELDS = ("maker_id", "order_id", "price", "lots")
