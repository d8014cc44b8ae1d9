"""Snapshots: the used part of every table in one checked file, so that a restart replays only the tail of
the journal.

Books, hash tables and the margin of quotes are rebuilt from the orders and positions. A snapshot names the
command it follows and that command's frame hash; one that does not fit the journal, or is damaged, is passed
over for an older one. Written to a temporary name, synced, renamed; the last two are kept.
"""

import os
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from novate.execution.capture import COUNTED, WHOLE, Capture, capture_state, list_counted
from novate.execution.engine import Engine
from novate.execution.journal import Position, sync_folder, write_all
from novate.execution.order_book import append_order, put_slot
from novate.execution.tables import NONE, World
from novate.kernel import kernel
from novate.protocol.frame import FrameError, encode_frame, iterate_frames

FRAME_SNAPSHOT = 6
KEPT = 2
CHUNK_BYTES = 1 << 20  # Small, so that no other thread waits long while one is put together.
MARK = b"NVSNAP02"
# MARK, sequence, frame hash, state root of the last sealed batch, number of addresses
HEAD = struct.Struct("<8sQ32s32sQ")


class SnapshotError(ValueError):
    """A snapshot that cannot be used; the message says why."""


class SnapshotHead(NamedTuple):
    """What a snapshot follows."""

    position: Position
    previous_root: bytes
    address_count: int


def name_snapshot(sequence: int) -> str:
    """Return the file name of the snapshot after a command."""
    return f"{sequence:012d}.snapshot"


def find_snapshots(folder: Path) -> list[Path]:
    """Return the snapshots, newest first."""
    return sorted(folder.glob("*.snapshot"), reverse=True)


def write_snapshot(folder: Path, engine: Engine, position: Position, previous_root: bytes) -> Path:
    """Capture the engine's state and store it at once."""
    return store_capture(folder, capture_state(engine, position), previous_root)


def store_capture(folder: Path, capture: Capture, previous_root: bytes) -> Path:
    """Store a capture with the root of its last batch, and remove all but the newest two snapshots."""
    folder.mkdir(parents=True, exist_ok=True)
    sequence, frame_hash = capture.position
    path = folder / name_snapshot(sequence)
    temporary = path.with_suffix(".partial")
    head = HEAD.pack(MARK, sequence, frame_hash, previous_root, len(capture.addresses))
    parts: list[bytes | memoryview] = [head, b"".join(capture.addresses), *capture.tables]
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        previous = capture.genesis_hash
        for number, chunk in enumerate(split_chunks(parts)):
            frame = encode_frame(FRAME_SNAPSHOT, number, chunk, previous)
            previous = frame[-32:]
            write_all(descriptor, frame)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    os.rename(temporary, path)
    sync_folder(folder)
    for old in find_snapshots(folder)[KEPT:]:
        old.unlink()
    return path


def split_chunks(parts: list[bytes | memoryview]) -> Iterator[bytes]:
    """Yield each part, cut into payloads of a frame; an empty part is an empty payload."""
    for part in parts:
        for start in range(0, max(len(part), 1), CHUNK_BYTES):
            yield bytes(part[start : start + CHUNK_BYTES])


def read_chunks(path: Path, genesis_hash: bytes) -> bytes:
    """Return the payloads of a snapshot joined together."""
    try:
        return b"".join(frame.payload for frame in iterate_frames(path.read_bytes(), genesis_hash))
    except FrameError as error:
        raise SnapshotError(f"{path} is damaged at {error}") from error


class Reader:
    """Takes arrays off the front of a snapshot's bytes."""

    def __init__(self, path: Path, data: bytes) -> None:
        self.path, self.data, self.offset = path, data, 0

    def take(self, count: int, dtype: Any, what: str) -> np.ndarray[Any, np.dtype[Any]]:
        """Return the next `count` values; SnapshotError if there are fewer."""
        size = count * np.dtype(dtype).itemsize
        if len(self.data) < self.offset + size:
            raise SnapshotError(f"{self.path} ends inside {what}")
        values = np.frombuffer(self.data, dtype, count, self.offset)
        self.offset += size
        return values


def read_tables(reader: Reader, world: World) -> None:
    """Fill the tables of a new engine; SnapshotError if the bytes do not hold them."""
    for name in WHOLE:
        table = getattr(world, name)
        table[...] = reader.take(table.size, table.dtype, name).reshape(table.shape)
    house = world.house[0]
    for name, field in COUNTED.items():
        if not 0 <= house[field] <= len(getattr(world, name)):
            raise SnapshotError(f"{reader.path} has more {name} than the venue has room for")
    for name, table in list_counted(world):
        table[...] = reader.take(table.shape[1], np.int64, name)
        differing = reader.take(len(table), np.bool_, name)
        count = int(np.count_nonzero(differing))
        table[differing] = reader.take(count * table.shape[1], np.int64, name).reshape(count, table.shape[1])


def load_snapshot(path: Path, engine: Engine) -> SnapshotHead:
    """Fill a new engine from a snapshot. On SnapshotError the engine must be thrown away."""
    reader = Reader(path, read_chunks(path, engine.genesis.hash))
    head = reader.take(HEAD.size, np.uint8, "its head").tobytes()
    mark, sequence, frame_hash, root, address_count = HEAD.unpack(head)
    if mark != MARK:
        raise SnapshotError(f"{path} was written by another version of the program")
    joined = reader.take(20 * address_count, np.uint8, "the addresses").tobytes()
    addresses = [joined[start : start + 20] for start in range(0, len(joined), 20)]
    read_tables(reader, engine.world)
    if reader.offset != len(reader.data) or engine.sequence != sequence:
        raise SnapshotError(f"{path} does not hold what its head says")
    for address in addresses:
        engine.register_account(address)
    engine.learn_all_signers()
    for number in range(int(engine.world.house["instrument_count"][0])):
        engine.register_instrument(number)
    rebuild_indexes(engine.world)
    return SnapshotHead(Position(sequence, bytes(frame_hash)), bytes(root), address_count)


@kernel
def rebuild_indexes(w: World) -> None:
    """Build hash tables, books and bitmaps from the orders and positions; groups of quotes are found again
    when they are needed.

    Each level is built in the order of its queue. Priorities do not tell it: a command can put several orders
    at the end of one level.
    """
    house = w.house[0]
    for slot in range(house["position_high"]):
        position = w.positions[slot]
        if position["account"] != NONE:
            key = position["account"] * w.instruments.shape[0] + position["instrument"] + 1
            put_slot(w.position_entries, key, slot)
    for slot in range(house["waiting_high"]):
        if w.waiting[slot]["order_id"] != 0:
            put_slot(w.waiting_entries, w.waiting[slot]["order_id"], slot)
    for first in range(house["order_high"]):
        slot = first if w.orders[first]["order_id"] != 0 and w.orders[first]["prev"] == NONE else NONE
        while slot != NONE:
            following = w.orders[slot]["next"]
            put_slot(w.order_entries, w.orders[slot]["order_id"], slot)
            append_order(w, slot)
            slot = following
    for account in range(w.groups.shape[0]):
        for group in range(w.groups.shape[1]):
            w.groups[account, group]["stale"] = 1
