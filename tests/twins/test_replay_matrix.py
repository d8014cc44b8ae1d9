"""The same commands give the same events and the same state, bit for bit, whatever runs them.

Compared are: compiled and plain Python, two hash seeds and a random one, three sizes of batches, and a
snapshot with a tail against the genesis. Not compared here, because each would compile for a minute: other
optimisation levels and other processors' instructions. Kernels hold integers only, for which both are defined
to give the same results.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from novate.execution.engine import Engine
from novate.execution.journal import Position
from novate.execution.snapshot import load_snapshot, write_snapshot
from novate.protocol.command import decode_payload, encode_payload
from tests.execution.venue import hash_state, list_commands, make_genesis
from tests.twins.replay_hash import compute_hash

ROOT = Path(__file__).parents[2]
SETTINGS = (
    {"NUMBA_DISABLE_JIT": "1", "PYTHONHASHSEED": "0"},
    {"NUMBA_DISABLE_JIT": "1", "PYTHONHASHSEED": "random"},
    {"NUMBA_DISABLE_JIT": "0", "PYTHONHASHSEED": "0"},
    {"NUMBA_DISABLE_JIT": "0", "PYTHONHASHSEED": "4242"},
    {"NUMBA_DISABLE_JIT": "0", "PYTHONHASHSEED": "random"},
)
COUNTS = {"tiny": 6000, "main": 4000}


@pytest.fixture(scope="module", params=sorted(COUNTS))
def commands_file(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of random commands and their genesis."""
    profile = request.param
    payloads = [encode_payload(each).hex() for each in list_commands(21, COUNTS[profile], profile)]
    path = tmp_path_factory.mktemp("commands") / profile
    path.write_text(json.dumps({"genesis": make_genesis(profile).raw.hex(), "payloads": payloads}))
    return path


def test_what_runs_the_commands_does_not_matter(commands_file: Path) -> None:
    """Every setting prints the same hash of all events and of the final state."""
    held = json.loads(commands_file.read_text())
    hashes = {
        compute_hash(bytes.fromhex(held["genesis"]), held["payloads"], group) for group in (1, 97, 10_000)
    }
    for setting in SETTINGS:
        command = [sys.executable, "-W", "error", "-m", "tests.twins.replay_hash", str(commands_file), "512"]
        environment = os.environ | setting | {"PYTHONPATH": str(ROOT)}
        done = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, check=False)
        assert (0, "") == (done.returncode, done.stderr)
        hashes.add(done.stdout.strip())
    assert 1 == len(hashes)


def test_where_the_replay_begins_does_not_matter(commands_file: Path, tmp_path: Path) -> None:
    """A snapshot taken after any command, at a batch or not, goes on to the same events and tables."""
    held = json.loads(commands_file.read_text())
    genesis = make_genesis(commands_file.name)
    commands = [decode_payload(bytes.fromhex(payload)) for payload in held["payloads"]]
    live = Engine(genesis)
    places = [1, 7, 333, len(commands) // 2, len(commands) - 1, len(commands)]
    for start, end in zip([0, *places], places, strict=False):
        live.apply(commands[start:end])
        path = write_snapshot(tmp_path / str(end), live, Position(end, genesis.hash), b"\0" * 32)
        assert path.exists()
    for place in places:
        engine = Engine(genesis)
        load_snapshot(next((tmp_path / str(place)).iterdir()), engine)
        engine.apply(commands[place:])
        assert hash_state(live) == hash_state(engine)
