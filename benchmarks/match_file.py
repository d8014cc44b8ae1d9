"""The files that every order book is timed on: 32-byte records, as docs/guides/matching.md describes them.

    one     1 book of 65,536 prices, some 4,500 orders open
    multi   1,000 books of 4,096 prices, some 45,000 orders open, popularity falling as u squared

30 % passive orders, 10 % immediate ones that cross, some 20 % cancels, 39 % replacements by a new order, 1 %
cancels of orders that are gone. All randomness is integers of PCG64 and tables of integers, so a seed makes
the same file on every machine. A plain Python book tells the generator which orders are open.
"""

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from bare_books import ADD, CANCEL, MESSAGE, REPLACE
from plain_books import PlainBooks

DEAD = 1024
BLOCK = 1 << 16
MARGIN = 300  # The middle of a book stays this far from its ends.


class Shape(NamedTuple):
    """The books of a file, and the most orders that are open at once."""

    instruments: int
    ticks: int
    open_target: int
    order_limit: int


SHAPES = {"one": Shape(1, 65_536, 5_000, 1 << 13), "multi": Shape(1000, 4096, 50_000, 1 << 16)}


def tabulate_geometric(mean: int) -> np.ndarray:
    """Thresholds of a geometric distribution: a draw is how many of them a 63-bit integer reaches."""
    chance, thresholds = 1 << 63, []
    while chance > 1 << 43:
        chance = chance * mean // (mean + 1)
        thresholds.append((1 << 63) - chance)
    return np.array(thresholds, np.uint64)


def draw_blocks(seed: int) -> Iterator[tuple[float, float, float, int, int, int, int]]:
    """Endless draws for one message each: three fractions, a distance, a large size, and two integers."""
    bits = np.random.PCG64(seed)
    distances, sizes = tabulate_geometric(8), tabulate_geometric(54)
    while True:
        raw = np.array([bits.random_raw(BLOCK) for _ in range(6)])
        fractions = ((raw[:3] >> np.uint64(11)) * 2.0**-53).tolist()
        near = np.searchsorted(distances, raw[3] >> np.uint64(1), side="right").tolist()
        large = np.searchsorted(sizes, raw[4] >> np.uint64(1), side="right").tolist()
        small = (raw[5] >> np.uint64(33)).tolist()
        other = (raw[5] & np.uint64(0x7FFFFFFF)).tolist()
        yield from zip(*fractions, near, large, small, other, strict=True)


class Generator:
    """Decides each message by the books as they stand."""

    def __init__(self, shape: Shape, seed: int) -> None:
        self.shape = shape
        self.books = PlainBooks(shape.instruments)
        self.draws = draw_blocks(seed)
        self.mid = [shape.ticks // 2] * shape.instruments
        self.ids: list[int] = []  # Of open orders, in no order; `places` is its inverse.
        self.places: dict[int, int] = {}
        self.home: dict[int, tuple[int, int]] = {}
        self.gone: list[tuple[int, int, int]] = []
        self.next_id = 1

    def forget(self, order_id: int) -> None:
        """Take an order out of the list of open ones."""
        at, last = self.places.pop(order_id), self.ids.pop()
        if last != order_id:
            self.ids[at] = last
            self.places[last] = at

    def pick_passive(self, number: int, side: int, distance: int) -> int:
        """A price that does not cross."""
        best = self.books.find_best(2 * number + 1 - side)
        if side == 0:
            ticks = self.mid[number] - 1 - distance
            ticks = min(ticks, best - 1) if best else ticks
        else:
            ticks = max(self.mid[number] + 1 + distance, best + 1)
        return max(1, min(self.shape.ticks, ticks))

    def take_id(self, number: int, side: int) -> int:
        """The next order's id."""
        order_id = self.next_id
        self.next_id += 1
        self.home[order_id] = (number, side)
        return order_id

    def make_new(
        self, draw: tuple[float, float, float, int, int, int, int], passive: bool
    ) -> tuple[int, ...]:
        """A new order, passive or immediate."""
        _, popularity, _, distance, large, small, other = draw
        number, side = int(self.shape.instruments * popularity * popularity), small & 1
        if other % 20 == 0:
            moved = self.mid[number] + (other // 20 % 2) * 2 - 1
            self.mid[number] = max(MARGIN, min(self.shape.ticks - MARGIN, moved))
        order_id = self.take_id(number, side)
        if passive:
            if other % 19 == 0:
                distance = other // 40 % 200
            ticks, lots = self.pick_passive(number, side, distance), 1 + (small >> 1) % 99
        else:
            best = self.books.find_best(2 * number + 1 - side) or self.mid[number]
            ticks = best + (small >> 1) % 4 * (1 if side == 0 else -1)
            ticks, lots = max(1, min(self.shape.ticks, ticks)), 1 + large
        return order_id, 0, ticks, lots, number, ADD, side, not passive

    def make_change(self, draw: tuple[float, float, float, int, int, int, int]) -> tuple[int, ...]:
        """A cancel or a replacement of an open order, of a recent one more often."""
        _, recent, kind, distance, _, small, _ = draw
        count = len(self.ids)
        order_id = self.ids[count - 1 - int(count * recent * recent * recent)]
        number, side = self.home[order_id]
        if kind * self.shape.open_target < 0.40 * count:
            return order_id, 0, 0, 0, number, CANCEL, side, False
        ticks = self.pick_passive(number, side, distance)
        return order_id, self.take_id(number, side), ticks, 1 + small % 99, number, REPLACE, side, False

    def make(self) -> tuple[int, ...]:
        """The next message, applied to the books."""
        draw = next(self.draws)
        which = draw[0] * (0.30 if len(self.ids) < self.shape.open_target // 2 else 1.0)
        if which < 0.40:
            message = self.make_new(draw, which < 0.30)
        elif draw[2] < 0.02 and self.gone:
            order_id, number, side = self.gone[draw[5] % len(self.gone)]
            message = (order_id, 0, 0, 0, number, CANCEL, side, False)
        else:
            message = self.make_change(draw)
        self.follow(message)
        return message

    def follow(self, message: tuple[int, ...]) -> None:
        """Apply a message and note which orders are open now."""
        order_id, new_id, ticks, lots, number, kind, side, immediate = message
        if kind != ADD and order_id in self.places:
            self.forget(order_id)
        filled = self.books.apply(kind, side, immediate, order_id, new_id, ticks, lots, number)
        for maker in filled:
            self.forget(maker)
            home = self.home[maker]
            if len(self.gone) < DEAD:
                self.gone.append((maker, *home))
            else:
                self.gone[maker % DEAD] = (maker, *home)
        resting = order_id if kind == ADD else new_id
        if resting in self.books.orders:
            self.places[resting] = len(self.ids)
            self.ids.append(resting)


def generate(shape: Shape, count: int, seed: int) -> np.ndarray:
    """The messages of a file."""
    generator = Generator(shape, seed)
    messages = np.zeros(count, MESSAGE)
    columns = list(zip(*(generator.make() for _ in range(count)), strict=True))
    for name, column in zip(MESSAGE.names or (), columns, strict=False):
        messages[name] = column
    return messages


def find_file(folder: Path, name: str, count: int, seed: int) -> Path:
    """The file of a shape, written if it is not there yet."""
    path = folder / f"{name}-{count}-{seed}.bin"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        draft = path.with_suffix(".part")
        generate(SHAPES[name], count, seed).tofile(draft)
        draft.replace(path)
    return path


def hash_file(path: Path) -> str:
    """A digest that says whether two machines have the same file."""
    return hashlib.blake2b(path.read_bytes(), digest_size=8).hexdigest()
