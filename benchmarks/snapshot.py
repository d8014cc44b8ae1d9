"""Measure a snapshot of 100,000 accounts: how long the engine stops, how long the whole takes, and what
loading it costs.

The engine goes on applying orders while the snapshot is stored; the loaded engine must end in the state root
of the moment of the copy. The peer copies every table whole.
"""

import os
import statistics
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

from figures import record
from novate.execution.capture import COUNTED, WHOLE, Room, capture_state
from novate.execution.commitment import StateCommitment
from novate.execution.engine import Engine
from novate.execution.journal import Position
from novate.execution.snapshot import load_snapshot, store_capture
from novate.execution.warmup import warm_up
from novate.protocol.command import Command
from stream import Stream

ACCOUNTS, BOOKS = 100_000, 200
ORDERS, GROUP, REPEATS = 300_000, 64, 5
Rows = list[tuple[str, Any]]


def compute_root(engine: Engine) -> bytes:
    commitment = StateCommitment(engine)
    return commitment.compute(commitment.collect(everything=True)).state


def copy_whole(engine: Engine) -> list[bytes]:
    """The peer: the used part of every table as it is."""
    house = engine.world.house[0]
    tables = [getattr(engine.world, name) for name in WHOLE]
    tables += [getattr(engine.world, name)[: int(house[count])] for name, count in COUNTED.items()]
    return [table.tobytes() for table in tables]


def measure_pause(engine: Engine, position: Position) -> Rows:
    """How long the copies take, interleaved: milliseconds of the clock and of the processor."""
    room = Room()
    begun = time.perf_counter()
    room.prepare(engine)
    prepare_s = time.perf_counter() - begun
    ours, cpu, peers, sizes = [], [], [], (0, 0)
    for _ in range(REPEATS):
        begun, computing = time.perf_counter(), time.process_time()
        capture = capture_state(engine, position, room)
        ours.append((time.perf_counter() - begun) * 1000)
        cpu.append((time.process_time() - computing) * 1000)
        begun = time.perf_counter()
        whole = copy_whole(engine)
        peers.append((time.perf_counter() - begun) * 1000)
        sizes = sum(len(part) for part in capture.tables), sum(len(part) for part in whole)
        del whole
    return [
        ("s to make room, in another thread", prepare_s),
        ("ms that the engine stops, median", statistics.median(ours)),
        ("ms that the engine stops, longest", max(ours)),
        ("ms of the processor, all cores, median", statistics.median(cpu)),
        ("bytes copied", sizes[0]),
        ("peer, every table whole: ms, median", statistics.median(peers)),
        ("peer: bytes copied", sizes[1]),
        ("peer / ours, median", statistics.median(peers) / statistics.median(ours)),
    ]


def measure_live(folder: Path, engine: Engine, groups: list[list[Command]]) -> Rows:
    """Store a snapshot in a thread while the engine goes on; then load it and compare roots."""
    room = Room()
    room.prepare(engine)
    engine.apply(groups.pop())
    expected = compute_root(engine)
    times: list[float] = []
    begun = time.perf_counter()
    capture = capture_state(engine, Position(engine.sequence, bytes(32)), room)
    pause_ms = (time.perf_counter() - begun) * 1000
    done: list[float] = []

    def store() -> None:
        done.append(os.stat(store_capture(folder, capture, bytes(32))).st_size)
        done.append(time.perf_counter() - begun)

    thread = threading.Thread(target=store)
    thread.start()
    for group in groups:
        started = time.perf_counter()
        engine.apply(group)
        times.append((time.perf_counter() - started) * 1000)
        if not thread.is_alive():
            break
    thread.join()
    started = time.perf_counter()
    loaded = Engine(engine.genesis)
    load_snapshot(next(folder.glob("*.snapshot")), loaded)
    load_s = time.perf_counter() - started
    assert expected == compute_root(loaded)
    return [
        ("ms that the engine stopped", pause_ms),
        ("s from the copy's beginning to the synced file", done[1]),
        ("bytes of the file", int(done[0])),
        (f"groups of {GROUP} orders applied meanwhile", len(times)),
        ("ms per group meanwhile, p50", statistics.median(times)),
        ("ms per group meanwhile, longest", max(times)),
        ("s to load it into a new engine", load_s),
    ]


def main() -> None:
    print(f"kernels ready in {warm_up():.1f} s")
    stream = Stream(ACCOUNTS, BOOKS, deposit_atoms=1 << 43)  # All deposits together have a limit.
    engine = stream.engine
    for _ in range(ORDERS // 1000):
        engine.apply([stream.next_order() for _ in range(1000)])
    house = engine.world.house[0]
    rows: Rows = [(name, int(house[name])) for name in ("account_count", "position_high", "order_high")]
    pause = measure_pause(engine, Position(engine.sequence, bytes(32)))
    groups = [[stream.next_order() for _ in range(GROUP)] for _ in range(2500)]
    with tempfile.TemporaryDirectory(dir=Path(__file__).parent) as name:
        live = measure_live(Path(name), engine, groups[::-1])
    record("snapshot", {"the venue": rows, "the copy": pause, "while the engine goes on": live})


if __name__ == "__main__":
    sys.exit(main())
