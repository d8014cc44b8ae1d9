"""Copies of the engine's state, taken so fast that the sequencer hardly stops.

Most of what a venue has room for is as it was at the start: accounts without session keys, without quotes,
without positions in a series. So of each table only the rows that differ from one that is given are copied,
into memory that has been made ready before, by as many threads as there are cores.
"""

import math
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from novate.execution.engine import Engine
from novate.execution.journal import Position
from novate.execution.memory import map_chunk
from novate.execution.tables import World
from novate.kernel import kernel

Words = NDArray[np.int64]
Marks = NDArray[np.uint8]
Parts = tuple[memoryview, ...]

WORD_BYTES = 8
SPARE_ROWS = 1024
NO_ROOM = -1
# Each table and the field of the house that says how many of its rows are in use.
COUNTED = {
    "series": "series_count",
    "surface_reports": "series_count",
    "instruments": "instrument_count",
    "legs": "instrument_count",
    "rows": "instrument_count",
    "basis_rows": "instrument_count",
    "accounts": "account_count",
    "keys": "account_count",
    "portfolios": "account_count",
    "pnl": "account_count",
    "effects": "account_count",
    "basis_held": "account_count",
    "basis_open": "account_count",
    "groups": "account_count",
    "positions": "position_high",
    "orders": "order_high",
    "waiting": "waiting_high",
}
WHOLE = ("house", "markets", "index_reports", "free_positions", "free_orders", "free_waiting")


class Capture(NamedTuple):
    """A copy of the state after one command; the sequencer may go on while it is stored. Until then the room
    that it was taken into must not be used again.
    """

    position: Position
    genesis_hash: bytes
    addresses: tuple[bytes, ...]
    tables: Parts


def view_words(table: NDArray[Any]) -> Words:
    """Return a table as one row of words for each of its first index; nothing is copied."""
    row_words = math.prod(table.shape[1:]) * table.itemsize // WORD_BYTES
    return table.reshape(-1).view(np.int64).reshape(len(table), row_words)


def list_counted(world: World) -> Iterator[tuple[str, Words]]:
    """Yield the used part of each table that fills up, in a fixed order."""
    house = world.house[0]
    for name, count in COUNTED.items():
        table = getattr(world, name)
        yield name, view_words(table[: int(house[count])])


@kernel
def keep_rows(table: Words, usual: Words, kept: Words, marks: Marks) -> int:
    """Mark the rows that differ from `usual` and copy them to `kept`; return how many, or NO_ROOM."""
    count = 0
    for i in range(table.shape[0]):
        differing = np.int64(0)
        for j in range(table.shape[1]):
            differing |= table[i, j] ^ usual[j]
        marks[i] = differing != 0
        if differing != 0:
            if count == kept.shape[0]:
                return NO_ROOM
            for j in range(table.shape[1]):
                kept[count, j] = table[i, j]
            count += 1
    return count


@kernel
def count_rows(table: Words, usual: Words) -> int:
    """Return how many rows differ from `usual`."""
    count = 0
    for i in range(table.shape[0]):
        differing = np.int64(0)
        for j in range(table.shape[1]):
            differing |= table[i, j] ^ usual[j]
        count += differing != 0
    return count


class Room:
    """Memory for one capture at a time, kept from one to the next."""

    def __init__(self) -> None:
        self.usual: dict[str, Words] = {}
        self.kept: dict[str, Words] = {}
        self.marks: dict[str, Marks] = {}

    def prepare(self, engine: Engine) -> None:
        """Make room for a tenth more than there is now, and touch it, so that `capture_state` need not.

        May run in another thread while commands are applied: what it counts decides nothing.
        """
        for name, table in list_counted(engine.world):
            differing = self.choose_usual(engine.world, name, table)
            self.grow(name, table, differing * 11 // 10 + SPARE_ROWS)

    def choose_usual(self, world: World, name: str, table: Words) -> int:
        """Choose the row that most others are like, out of zeros and the last one there is room for, which is
        likely as it was at the start; return how many differ.
        """
        whole = view_words(getattr(world, name))
        rows = np.concatenate([np.zeros((1, table.shape[1]), np.int64), whole[-1:]])
        counts = [count_rows(table, row) for row in rows]
        self.usual[name] = rows[int(np.argmin(counts))]
        return min(counts)

    def grow(self, name: str, table: Words, rows: int) -> None:
        """Have room for some rows of a table, and marks for a tenth more than it has."""
        if name not in self.kept or len(self.kept[name]) < rows:
            size = rows * table.shape[1]
            self.kept[name] = map_chunk(size * WORD_BYTES).view(np.int64).reshape(rows, table.shape[1])
            self.kept[name][...] = 0
        if name not in self.marks or len(self.marks[name]) < len(table):
            self.marks[name] = np.full(len(table) * 11 // 10 + SPARE_ROWS, 0, np.uint8)

    def take(self, world: World, name: str, table: Words) -> Parts:
        """Return the usual row of a table, its marks, and the rows that differ."""
        if name not in self.usual:
            self.choose_usual(world, name, table)
        usual = self.usual[name]
        self.grow(name, table, 0)
        count = keep_rows(table, usual, self.kept[name], self.marks[name])
        if count == NO_ROOM:
            self.grow(name, table, len(table))
            count = keep_rows(table, usual, self.kept[name], self.marks[name])
        kept = self.kept[name][:count]
        return tuple(
            part.reshape(-1).view(np.uint8).data for part in (usual, self.marks[name][: len(table)], kept)
        )


def capture_state(engine: Engine, position: Position, room: Room | None = None) -> Capture:
    """Copy the used part of every table. The engine must have applied `position` and nothing after it."""
    assert engine.sequence == position.sequence, "Condition failed: the state is that of the position."
    world, room = engine.world, room or Room()
    whole = tuple(getattr(world, name).reshape(-1).view(np.uint8).copy().data for name in WHOLE)
    # Threads of its own: those of a process that was copied since would never answer.
    with ThreadPoolExecutor(os.cpu_count() or 1, "capture") as copiers:
        taken = copiers.map(lambda pair: room.take(world, *pair), list_counted(world))
        parts = tuple(part for table in taken for part in table)
    return Capture(position, engine.genesis.hash, tuple(engine.addresses), whole + parts)
