"""Measure the journal and recovery on this disk: what a group commit costs, bytes per order, commands per
second back.

The recovered engine must end in the same state root as the live one. The orders are single ones: 45 % limit
orders, 12 % IOC orders, 38 % cancels, 5 % replacements, over 200 books and 200 accounts; nothing is sealed.
"""

import os
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import sha3

from figures import record
from novate.execution import replay
from novate.execution.commitment import StateCommitment, compute_genesis_root
from novate.execution.engine import Engine
from novate.execution.frame_scan import Segment, count_good_hashes, walk_frames
from novate.execution.journal import FRAME_COMMAND, find_segments, open_journal, read_journal
from novate.execution.recovery import recover
from novate.execution.replay import Replayer
from novate.execution.sealing import Sealer
from novate.execution.warmup import warm_up
from novate.protocol.command import encode_payload
from novate.protocol.frame import FRAME_BYTES_MIN, HASH_BYTES
from novate.protocol.genesis import Genesis
from stream import Stream

ORDERS = int(os.environ.get("NOVATE_JOURNAL_ORDERS", "1000000"))
COMMITTED = 100_000
GROUPS = (1, 8, 64, 512)
SECONDS_PER_GROUP = 3.0
REPEATS = 5
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


def commit_to_file(folder: Path) -> Callable[[list[bytes]], None]:
    """A peer: append to one file and fdatasync, with no hash, no record of what is durable."""
    descriptor = os.open(folder / "plain", os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def commit(payloads: list[bytes]) -> None:
        os.write(descriptor, b"".join(payloads))
        os.fdatasync(descriptor)

    return commit


def commit_to_sqlite(folder: Path) -> Callable[[list[bytes]], None]:
    """A peer: SQLite with a write-ahead log that is synced at each commit."""
    connection = sqlite3.connect(folder / "peer.db", isolation_level=None)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("CREATE TABLE commands (sequence INTEGER PRIMARY KEY, payload BLOB)")

    def commit(payloads: list[bytes]) -> None:
        connection.execute("BEGIN")
        connection.executemany(
            "INSERT INTO commands (payload) VALUES (?)", [(payload,) for payload in payloads]
        )
        connection.execute("COMMIT")

    return commit


def measure_groups(folder: Path, payloads: list[bytes]) -> Rows:
    """What one group commit costs, by the number of commands in it, interleaved with the peers."""
    rows: Rows = []
    for group in GROUPS:
        place = folder / str(group)
        journal, _ = open_journal(place, b"\0" * 32)
        ways: dict[str, Callable[[list[bytes]], Any]] = {
            "ours": journal.append,
            "plain file": commit_to_file(place),
            "SQLite": commit_to_sqlite(place),
        }
        times: dict[str, list[float]] = {name: [] for name in ways}
        start, begun = 0, time.perf_counter()
        while time.perf_counter() - begun < SECONDS_PER_GROUP and start + group <= len(payloads):
            for name, commit in ways.items():
                started = time.perf_counter_ns()
                commit(payloads[start : start + group])
                times[name].append((time.perf_counter_ns() - started) / 1e6)
            start += group
        journal.close()
        assert start == len(list(read_journal(place, b"\0" * 32)))
        ours = times["ours"]
        rows.append((f"ms per group of {group}, p50", statistics.median(ours)))
        rows.append((f"ms per group of {group}, p99", float(np.percentile(ours, 99))))
        rows.append((f"durable commands per second in groups of {group}", round(start / (sum(ours) / 1000))))
        for name in ("plain file", "SQLite"):
            rows.append((f"{name}: ms per group of {group}, p50", statistics.median(times[name])))
            rows.append((f"{name} / ours, p50", statistics.median(times[name]) / statistics.median(ours)))
        rows.append((f"bytes per command in groups of {group}", round(journal.bytes_written / start)))
    return rows


def write_history(folder: Path, stream: Stream) -> None:
    """A journal of the stream's setup and orders, which its engine has applied."""
    journal, _ = open_journal(folder, stream.engine.genesis.hash)
    journal.append([encode_payload(command) for command in stream.setup])
    for _ in range(ORDERS // GROUPS[-1]):
        commands = [stream.next_order() for _ in range(GROUPS[-1])]
        journal.append([encode_payload(command) for command in commands])
        stream.engine.apply(commands)
    journal.close()


def profile_replay(folder: Path, genesis: Genesis) -> Rows:
    """What of a command's time goes where: nanoseconds of one core, each stage by itself."""
    path, clock = find_segments(folder)[0], time.thread_time
    spent = dict.fromkeys(("reading", "headers", "hashes", "rows", "law", "batch hash"), 0.0)
    begun = clock()
    data = bytearray(HASH_BYTES + path.stat().st_size)
    data[:HASH_BYTES] = genesis.hash
    with path.open("rb", buffering=0) as file, memoryview(data) as view:
        assert file.readinto(view[HASH_BYTES:]) == path.stat().st_size
    spent["reading"] = clock() - begun
    ends = np.full(len(data) // FRAME_BYTES_MIN + 2, HASH_BYTES)
    begun = clock()
    count = walk_frames(np.frombuffer(data, np.uint8), ends, 1, FRAME_COMMAND)
    spent["headers"] = clock() - begun
    begun = clock()
    assert count == count_good_hashes(data, ends, 0, count)
    spent["hashes"] = clock() - begun
    engine = Engine(genesis)
    replayer = Replayer(engine, Sealer(engine, compute_genesis_root(engine)))
    decode, apply = replay.decode_run, replayer.apply_rows

    def clocked(stage: str, act: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any) -> Any:
            begun = clock()
            result = act(*arguments)
            spent[stage] += clock() - begun
            return result

        return call

    hashed = sha3.keccak_256()
    replay.decode_run = clocked("rows", decode)
    replayer.apply_rows = clocked("law", apply)  # type: ignore[method-assign]
    replayer.take_payloads = clocked("batch hash", hashed.update)  # type: ignore[method-assign]
    replayer.replay_segment(Segment(1, data, ends[: count + 1]), 0, count)
    replay.decode_run = decode
    replayer.finish()
    rows: Rows = [(f"ns per command: {stage}", round(spent[stage] / count * 1e9)) for stage in spent]
    return [*rows, ("ns per command: all", round(sum(spent.values()) / count * 1e9))]


def measure_recovery(folder: Path, stream: Stream) -> Rows:
    """Reading, and replaying all from the genesis, with and without listeners."""
    genesis = stream.engine.genesis
    write_history(folder / "journal", stream)
    expected = compute_root(stream.engine)
    # The peer: the same recovery for a listener, which takes a Python object for each command.
    seconds: dict[str, list[float]] = {"read": [], "runs": [], "cores": [], "objects": []}
    count = 0
    for name in ("read", "runs") * REPEATS + ("objects",):
        begun, computing = time.perf_counter(), time.process_time()
        if name == "read":
            journal, entries = open_journal(folder / "journal", genesis.hash)
            count = len(entries)
        else:
            listeners = ((lambda outcomes: None),) if name == "objects" else ()
            recovered = recover(genesis, folder / "journal", None, listeners)
            journal = recovered.journal
        seconds[name].append(time.perf_counter() - begun)
        if name == "runs":
            seconds["cores"].append(time.process_time() - computing)
        journal.close()
        assert name == "read" or expected == compute_root(recovered.engine)
    return [
        ("commands in the journal", count),
        ("commands per second read and checked, median", round(count / statistics.median(seconds["read"]))),
        ("commands per second recovered, median", round(count / statistics.median(seconds["runs"]))),
        ("commands per second recovered, best", round(count / min(seconds["runs"]))),
        ("the same per second of one core, best", round(count / min(seconds["cores"]))),
        ("peer, a Python object per command: per second", round(count / seconds["objects"][0])),
        ("peer / ours, median", seconds["objects"][0] / statistics.median(seconds["runs"])),
    ]


def main() -> None:
    print(f"kernels ready in {warm_up():.1f} s")
    stream = Stream(200, 200)
    spare = Stream(200, 200)
    payloads = [encode_payload(spare.next_order()) for _ in range(COMMITTED)]
    with tempfile.TemporaryDirectory(dir=Path(__file__).parent) as name:
        folder = Path(name)
        tables = {
            "group commit": measure_sync(folder) + measure_groups(folder, payloads),
            "recovery": measure_recovery(folder, stream),
            "where the time of a replay goes": profile_replay(folder / "journal", stream.engine.genesis),
        }
    record("journal", tables)


if __name__ == "__main__":
    sys.exit(main())
