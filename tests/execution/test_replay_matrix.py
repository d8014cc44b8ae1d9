"""Promise P2: the same journal leads to the same rolling hash at every event, however it is run.

NOVATE_MATRIX_FULL adds a long stream in more configurations, NOVATE_MATRIX_COMMANDS sets its length; half a
million commands are a million events.
"""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from novate.execution.engine import Engine, split_events
from novate.execution.journal import Position, read_journal
from novate.execution.snapshot import find_snapshots, load_snapshot, write_snapshot
from novate.protocol.command import decode_payload
from tests.execution.venue import hash_state, list_commands, make_genesis, write_commands

COMMANDS = 1000
COMMANDS_LONG = int(os.environ.get("NOVATE_MATRIX_COMMANDS", "500000"))
SNAPSHOTS = 3
ROOT = Path(__file__).parents[2]
INTERPRETED = {"NUMBA_DISABLE_JIT": "1", "PYTHONHASHSEED": "0"}
COMPILED = {"PYTHONHASHSEED": "1"}
# A program per configuration takes half a minute to compile, so these are for a soak.
SOAKED = {
    "generic processor": {"NUMBA_CPU_NAME": "generic", "PYTHONHASHSEED": "2"},
    "not optimised": {"NUMBA_OPT": "0", "PYTHONHASHSEED": "random"},
    "narrow vectors": {"NPY_DISABLE_CPU_FEATURES": "X86_V3 X86_V4", "PYTHONHASHSEED": "3"},
}
RUNS: dict[str, tuple[int, dict[str, dict[str, str]]]] = {
    "short": (COMMANDS, {"interpreted": INTERPRETED, "compiled": COMPILED})
}
if os.environ.get("NOVATE_MATRIX_FULL"):
    RUNS["long"] = COMMANDS_LONG, {"compiled": COMPILED, **SOAKED}
GROUPS = (1, 64, 7, 512)


def list_places(count: int) -> list[int]:
    """Return after which commands a replay may begin: none, and those of the snapshots."""
    return [count * number // (SNAPSHOTS + 1) for number in range(SNAPSHOTS + 1)]


def roll(journal: Path, snapshots: Path, start: str, group: int) -> str:
    """Replay a journal in groups; return a digest of the last state and, for each place to begin from, one
    that every event after it has been rolled into.

    `start` is 0, which also writes snapshots, or the place of a snapshot to begin from.
    """
    genesis = make_genesis("tiny")
    entries = list(read_journal(journal, genesis.hash))
    engine, places = Engine(genesis), list_places(len(entries))
    if start != "0":
        (path,) = find_snapshots(snapshots / start)
        load_snapshot(path, engine)
    rolled = {place: bytes(32) for place in places if place >= engine.sequence}
    count = 0
    while engine.sequence < len(entries):
        first = engine.sequence
        if start == "0" and first in places[1:]:
            position = Position(first, entries[first - 1].hash)
            write_snapshot(snapshots / str(places.index(first)), engine, position, bytes(32))
        end = min([place for place in (*places, len(entries)) if place > first] + [first + group])
        told = engine.apply([decode_payload(entry.payload) for entry in entries[first:end]])
        count += len(told)
        for events in split_events(told):
            for place in rolled:
                if first >= place:
                    rolled[place] = hashlib.blake2b(rolled[place] + events.tobytes(), digest_size=32).digest()
    state = hashlib.blake2b(repr(sorted(hash_state(engine).items())).encode(), digest_size=16).hexdigest()
    return " ".join([state, str(count), *(digest.hex() for digest in rolled.values())])


def run(configuration: dict[str, str], journal: Path, snapshots: Path, start: int, group: int) -> list[str]:
    """Replay in a process of its own; return the digests of the state and of the events."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("NUMBA_", "NPY_"))}
    path = os.pathsep.join([str(ROOT), *sys.path])
    arguments = [str(journal), str(snapshots), str(start), str(group)]
    done = subprocess.run(
        [sys.executable, "-m", "tests.execution.test_replay_matrix", *arguments],
        env={**kept, **configuration, "PYTHONPATH": path},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


@pytest.mark.parametrize("name", RUNS)
def test_every_configuration_tells_the_same(name: str, tmp_path: Path) -> None:
    """Every event and the last state agree between configurations and sizes of groups, from the genesis and
    from snapshots that another configuration wrote.
    """
    count, configurations = RUNS[name]
    journal, names = tmp_path / "journal", list(configurations)
    write_commands(journal, "tiny", list_commands(11, count))
    told = {}
    for each, group in zip(names, GROUPS, strict=False):
        told[each] = run(configurations[each], journal, tmp_path / each, 0, group)
    state, events, *rolled = told[names[0]]
    assert all(each == [state, events, *rolled] for each in told.values()), told
    for start in range(1, SNAPSHOTS + 1):
        for i, each in enumerate(names):
            other = tmp_path / names[i - 1]
            tail = run(configurations[each], journal, other, start, GROUPS[-start])
            assert [state, *rolled[start:]] == [tail[0], *tail[2:]]
    print(f"P2: {events} events x {len(names)} configurations x {1 + SNAPSHOTS} beginnings, mismatches 0")


if __name__ == "__main__":
    print(roll(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3], int(sys.argv[4])))
