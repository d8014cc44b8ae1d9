"""Measure the journal and recovery on this disk: what a group commit costs, bytes per order, commands per
second back.

The recovered engine must end in the same state root as the live one, from the genesis and from a snapshot.
"""

import os
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from figures import record
from novate.execution.commitment import StateCommitment, compute_genesis_root
from novate.execution.engine import Engine
from novate.execution.journal import Position, open_journal, read_journal
from novate.execution.recovery import recover
from novate.execution.snapshot import load_snapshot, write_snapshot
from novate.execution.warmup import warm_up
from novate.protocol.command import Command, encode_payload
from stream import Stream

ORDERS = 100_000
GROUPS = (1, 8, 64, 512)
SECONDS_PER_GROUP = 3.0
Rows = list[tuple[str, Any]]


def compute_root(engine: Engine) -> bytes:
    commitment = StateCommitment(engine)
    return commitment.compute(commitment.collect(everything=True)).state


def measure_sync(folder: Path) -> Rows:
    """The disk alone: append 512 bytes and fdatasync."""
    descriptor = os.open(folder / "probe", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    times = []
    for _ in range(200):
        begun = time.perf_counter_ns()
        os.write(descriptor, bytes(512))
        os.fdatasync(descriptor)
        times.append((time.perf_counter_ns() - begun) / 1e6)
    os.close(descriptor)
    return [("ms per fdatasync of the bare disk, p50", statistics.median(times))]


def measure_groups(folder: Path, payloads: list[bytes]) -> Rows:
    """What one group commit costs, by the number of commands in it."""
    rows: Rows = []
    for group in GROUPS:
        journal, _ = open_journal(folder / str(group), b"\0" * 32)
        times, place, begun = [], 0, time.perf_counter()
        while time.perf_counter() - begun < SECONDS_PER_GROUP and place + group <= len(payloads):
            start = time.perf_counter_ns()
            journal.append(payloads[place : place + group])
            times.append((time.perf_counter_ns() - start) / 1e6)
            place += group
        journal.close()
        assert place == len(list(read_journal(folder / str(group), b"\0" * 32)))
        rows.append((f"ms per group of {group}, p50", statistics.median(times)))
        rows.append((f"ms per group of {group}, p99", float(np.percentile(times, 99))))
        rows.append((f"durable commands per second in groups of {group}", round(place / (sum(times) / 1000))))
        rows.append((f"bytes per command in groups of {group}", round(journal.bytes_written / place)))
    return rows


def measure_recovery(folder: Path, stream: Stream, commands: list[Command]) -> Rows:
    """Reading, replaying, and loading a snapshot instead."""
    genesis = stream.engine.genesis
    journal, _ = open_journal(folder / "journal", genesis.hash)
    everything = stream.setup + commands
    for start in range(0, len(everything), 512):
        journal.append([encode_payload(command) for command in everything[start : start + 512]])
    journal.close()
    stream.engine.apply(commands)
    expected = compute_root(stream.engine)

    begun = time.perf_counter()
    journal, entries = open_journal(folder / "journal", genesis.hash)
    read_s = time.perf_counter() - begun
    journal.close()
    # The peer: the same recovery for a listener, which takes a Python object for each command.
    seconds = {}
    for name, listeners in (("runs", ()), ("objects", (lambda outcomes: None,))):
        begun = time.perf_counter()
        recovered = recover(genesis, folder / "journal", None, listeners)
        seconds[name] = time.perf_counter() - begun
        recovered.journal.close()
        assert expected == compute_root(recovered.engine)

    last = entries[-1]
    begun = time.perf_counter()
    path = write_snapshot(
        folder / "snapshots",
        stream.engine,
        Position(last.sequence, last.hash),
        compute_genesis_root(Engine(genesis)),
    )
    write_s = time.perf_counter() - begun
    begun = time.perf_counter()
    engine = Engine(genesis)
    load_snapshot(path, engine)
    load_s = time.perf_counter() - begun
    assert expected == compute_root(engine)
    return [
        ("commands in the journal", len(entries)),
        ("commands per second read and checked", round(len(entries) / read_s)),
        ("commands per second recovered (read, applied, observed)", round(len(entries) / seconds["runs"])),
        ("the same with a Python object per command", round(len(entries) / seconds["objects"])),
        ("ratio", seconds["objects"] / seconds["runs"]),
        ("snapshot, bytes", path.stat().st_size),
        ("s to write and sync a snapshot", write_s),
        ("s to load a snapshot into a new engine", load_s),
    ]


def main() -> None:
    print(f"kernels ready in {warm_up():.1f} s")
    stream = Stream(200, 200)
    commands = [stream.next_order() for _ in range(ORDERS)]
    payloads = [encode_payload(command) for command in commands]
    with tempfile.TemporaryDirectory(dir=Path(__file__).parent) as name:
        folder = Path(name)
        tables = {
            "group commit": measure_sync(folder) + measure_groups(folder, payloads),
            "recovery": measure_recovery(folder, stream, commands),
        }
    record("journal", tables)


if __name__ == "__main__":
    sys.exit(main())
