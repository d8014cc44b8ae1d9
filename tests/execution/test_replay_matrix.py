"""Promise P2: the same journal leads to the same rolling hash at every event, however it is run."""

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

COMMANDS = int(os.environ.get("NOVATE_MATRIX_COMMANDS", "1000"))
SNAPSHOTS = 3
ROOT = Path(__file__).parents[2]
CONFIGURATIONS: dict[str, dict[str, str]] = {
    "interpreted": {"NUMBA_DISABLE_JIT": "1", "PYTHONHASHSEED": "0"},
    "compiled": {"PYTHONHASHSEED": "1"},
}
# A program per configuration takes half a minute to compile, so these are for a soak.
if os.environ.get("NOVATE_MATRIX_FULL"):
    CONFIGURATIONS |= {
        "generic processor": {"NUMBA_CPU_NAME": "generic", "PYTHONHASHSEED": "2"},
        "not optimised": {"NUMBA_OPT": "0", "PYTHONHASHSEED": "random"},
        "narrow vectors": {"NPY_DISABLE_CPU_FEATURES": "AVX2 FMA3", "PYTHONHASHSEED": "3"},
        "two threads": {"NUMBA_NUM_THREADS": "2", "PYTHONHASHSEED": "4"},
    }


def roll(journal: Path, snapshots: Path, start: str) -> str:
    """Replay a journal and return a digest over every event and the state after every 200th command.

    `start` is "write", which also writes snapshots, or the place of a snapshot to begin from. The digest
    covers what follows the last snapshot, so that all beginnings can be compared.
    """
    genesis = make_genesis("tiny")
    entries = list(read_journal(journal, genesis.hash))
    engine = Engine(genesis)
    places = [len(entries) * (number + 1) // (SNAPSHOTS + 1) for number in range(SNAPSHOTS)]
    if start != "write":
        (path,) = find_snapshots(snapshots / start)
        load_snapshot(path, engine)
    lines = []
    rolling = b"\0" * 32
    for entry in entries[engine.sequence :]:
        (events,) = split_events(engine.apply([decode_payload(entry.payload)]))
        lines.append((entry.sequence, hashlib.blake2b(events.tobytes(), digest_size=8).hexdigest()))
        if start == "write" and entry.sequence in places:
            folder = snapshots / str(places.index(entry.sequence))
            write_snapshot(folder, engine, Position(entry.sequence, entry.hash), bytes(32))
        if entry.sequence > places[-1]:
            rolling = hashlib.blake2b(rolling + lines[-1][1].encode(), digest_size=32).digest()
    whole = hashlib.blake2b(repr([digest for _, digest in lines]).encode(), digest_size=16).hexdigest()
    state = hashlib.blake2b(repr(sorted(hash_state(engine).items())).encode(), digest_size=16).hexdigest()
    return f"{rolling.hex()} {state} {whole if start == 'write' else ''}"


def run(configuration: dict[str, str], journal: Path, snapshots: Path, start: str) -> str:
    """Replay in a process of its own."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("NUMBA_", "NPY_"))}
    path = os.pathsep.join([str(ROOT), *sys.path])
    done = subprocess.run(
        [sys.executable, "-m", "tests.execution.test_replay_matrix", str(journal), str(snapshots), start],
        env={**kept, **configuration, "PYTHONPATH": path},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.fixture(scope="module")
def journal(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A journal and a folder for snapshots."""
    folder = tmp_path_factory.mktemp("matrix")
    write_commands(folder / "journal", "tiny", list_commands(11, COMMANDS))
    return folder / "journal", folder


def test_every_configuration_tells_the_same(journal: tuple[Path, Path]) -> None:
    """Every event's hash and the last state agree between configurations, from the genesis and from
    snapshots that another configuration wrote.
    """
    path, folder = journal
    from_genesis = {
        name: run(configuration, path, folder / name, "write")
        for name, configuration in CONFIGURATIONS.items()
    }
    expected = next(iter(from_genesis.values()))
    assert {expected} == set(from_genesis.values()), from_genesis
    names = list(CONFIGURATIONS)
    tail = expected.split()[:2]
    for number in range(SNAPSHOTS):
        for i, name in enumerate(names):
            written_by = folder / names[i - 1]
            assert tail == run(CONFIGURATIONS[name], path, written_by, str(number)).split()[:2]
    print(f"P2: {COMMANDS} commands x {len(names)} configurations x {1 + SNAPSHOTS} beginnings, mismatches 0")


if __name__ == "__main__":
    print(roll(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]))
