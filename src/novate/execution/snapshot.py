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

from novate.execution.engine import Engine
from novate.execution.journal import Position, sync_folder, write_all
from novate.execution.order_book import append_order, put_slot
from novate.execution.tables import NONE, World
from novate.protocol.frame import PAYLOAD_BYTES_MAX, FrameError, encode_frame, iterate_frames

FRAME_SNAPSHOT = 6
KEPT = 2
HEAD = struct.Struct(
    "<Q32s32sQ"
)  # sequence, frame hash, state root of the last sealed batch, number of addresses

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


def list_tables(world: World) -> list[tuple[str, np.ndarray[Any, np.dtype[Any]]]]:
    """Return the used part of each table, in a fixed order."""
    house = world.house[0]
    tables = [(name, getattr(world, name)) for name in WHOLE]
    return tables + [(name, getattr(world, name)[: int(house[count])]) for name, count in COUNTED.items()]


class Capture(NamedTuple):
    """A copy of the state after one command; the sequencer may go on while it is stored."""

    position: Position
    genesis_hash: bytes
    addresses: tuple[bytes, ...]
    tables: tuple[bytes, ...]


def capture_state(engine: Engine, position: Position) -> Capture:
    """Copy the used part of every table. The engine must have applied `position` and nothing after it."""
    assert engine.sequence == position.sequence, "Condition failed: the state is that of the position."
    tables = tuple(np.ascontiguousarray(table).tobytes() for _, table in list_tables(engine.world))
    return Capture(position, engine.genesis.hash, tuple(engine.addresses), tables)


def write_snapshot(folder: Path, engine: Engine, position: Position, previous_root: bytes) -> Path:
    """Capture the engine's state and store it at once."""
    return store_capture(folder, capture_state(engine, position), previous_root)


def store_capture(folder: Path, capture: Capture, previous_root: bytes) -> Path:
    """Store a capture with the root of its last batch, and remove all but the newest two snapshots."""
    folder.mkdir(parents=True, exist_ok=True)
    sequence, frame_hash = capture.position
    path = folder / name_snapshot(sequence)
    temporary = path.with_suffix(".partial")
    head = HEAD.pack(sequence, frame_hash, previous_root, len(capture.addresses))
    parts = [head, b"".join(capture.addresses), *capture.tables]
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
    temporary.rename(path)
    sync_folder(folder)
    for old in find_snapshots(folder)[KEPT:]:
        old.unlink()
    return path


def split_chunks(parts: list[bytes]) -> Iterator[bytes]:
    """Yield each part, cut into payloads of a frame; an empty part is an empty payload."""
    for part in parts:
        for start in range(0, max(len(part), 1), PAYLOAD_BYTES_MAX):
            yield part[start : start + PAYLOAD_BYTES_MAX]


def read_chunks(path: Path, genesis_hash: bytes) -> bytes:
    """Return the payloads of a snapshot joined together."""
    try:
        return b"".join(frame.payload for frame in iterate_frames(path.read_bytes(), genesis_hash))
    except FrameError as error:
        raise SnapshotError(f"{path} is damaged at {error}") from error


def load_snapshot(path: Path, engine: Engine) -> SnapshotHead:
    """Fill a new engine from a snapshot. On SnapshotError the engine must be thrown away."""
    data = memoryview(read_chunks(path, engine.genesis.hash))
    if len(data) < HEAD.size:
        raise SnapshotError(f"{path} is too short")
    sequence, frame_hash, root, address_count = HEAD.unpack_from(data)
    offset = HEAD.size
    addresses = [bytes(data[offset + 20 * i : offset + 20 * i + 20]) for i in range(address_count)]
    offset += 20 * address_count
    for names in (WHOLE, tuple(COUNTED)):
        for name, table in list_tables(engine.world):
            if name in names:
                size = table.nbytes
                if len(data) < offset + size:
                    raise SnapshotError(f"{path} ends inside the table {name}")
                table[...] = np.frombuffer(data[offset : offset + size], table.dtype).reshape(table.shape)
                offset += size
    if offset != len(data) or engine.sequence != sequence:
        raise SnapshotError(f"{path} does not hold what its head says")
    for address in addresses:
        engine.register_account(address)
    engine.learn_all_signers()
    for number in range(int(engine.world.house["instrument_count"][0])):
        engine.register_instrument(number)
    rebuild_indexes(engine.world)
    return SnapshotHead(Position(sequence, bytes(frame_hash)), bytes(root), address_count)


def rebuild_indexes(world: World) -> None:
    """Build hash tables, books and bitmaps from the orders and positions; groups of quotes are found again
    when they are needed.
    """
    for slot in np.flatnonzero(world.positions["account"] != NONE).tolist():
        position = world.positions[slot]
        if slot < int(world.house["position_high"][0]):
            key = int(position["account"]) * world.instruments.shape[0] + int(position["instrument"]) + 1
            put_slot(world.position_entries, key, slot)
    for slot in np.flatnonzero(world.waiting["order_id"] != 0).tolist():
        put_slot(world.waiting_entries, int(world.waiting[slot]["order_id"]), slot)
    for slot in list_queued(world):
        put_slot(world.order_entries, int(world.orders[slot]["order_id"]), slot)
        append_order(world, slot)
    world.groups["stale"] = 1


def list_queued(world: World) -> list[int]:
    """Return the slots of all open orders, each level's in the order of its queue.

    Priorities do not tell it: a command can put several orders at the end of one level.
    """
    queued = []
    for slot in np.flatnonzero((world.orders["order_id"] != 0) & (world.orders["prev"] == NONE)).tolist():
        following = slot
        while following != NONE:
            queued.append(following)
            following = int(world.orders[following]["next"])
    return queued
