"""Replay from the bytes of the journal is replay from commands: every table, root, batch and name."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from novate.execution import recovery
from novate.execution.commitment import compute_genesis_root
from novate.execution.engine import Engine
from novate.execution.frame_scan import read_segment
from novate.execution.payload_rows import decode_run, learn_accounts, make_desk
from novate.execution.recovery import Recovered, recover
from novate.execution.replay import Replayer
from novate.execution.sealing import Sealer
from novate.kernel import JIT_ENABLED
from novate.protocol.command import decode_payload
from novate.protocol.generated.codes import CommandKind
from tests.execution.venue import compute_root, hash_state, list_commands, make_genesis, write_commands

COMMANDS = 1500


@pytest.fixture(scope="module", params=[("tiny", 1), ("tiny", 3)])
def journal(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    """A journal of every kind of command, and the profile of its venue."""
    profile, seed = request.param
    folder = tmp_path_factory.mktemp("journal")
    write_commands(folder, profile, list_commands(seed, COMMANDS, profile))
    return profile, folder


def recover_copy(profile: str, folder: Path, target: Path, listening: bool) -> Recovered:
    """Recover from a copy: without listeners the fast way is taken."""
    shutil.copytree(folder, target)
    recovered = recover(make_genesis(profile), target, None, (lambda outcomes: None,) if listening else ())
    recovered.journal.close()
    return recovered


def test_both_ways_of_replay_agree(journal: tuple[str, Path], tmp_path: Path) -> None:
    """Tables, addresses, instruments, signers, batches and the batch in progress are the same."""
    profile, folder = journal
    fast = recover_copy(profile, folder, tmp_path / "fast", False)
    slow = recover_copy(profile, folder, tmp_path / "slow", True)
    assert hash_state(slow.engine) == hash_state(fast.engine)
    assert compute_root(slow.engine) == compute_root(fast.engine)
    assert slow.engine.addresses == fast.engine.addresses
    assert slow.engine.accounts == fast.engine.accounts
    assert slow.engine.signers == fast.engine.signers
    assert slow.engine.instruments == fast.engine.instruments
    assert slow.engine.instrument_numbers == fast.engine.instrument_numbers
    assert slow.batches == fast.batches
    assert slow.sealer.data.digest() == fast.sealer.data.digest()
    assert slow.sealer.withdrawals == fast.sealer.withdrawals
    assert slow.sealer.first_sequence == fast.sealer.first_sequence


def test_most_commands_go_the_fast_way(journal: tuple[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """Only commands that name other addresses, and deposits of newcomers, are applied one by one."""
    profile, folder = journal
    engine = Engine(make_genesis(profile))
    replayer = Replayer(engine, Sealer(engine, compute_genesis_root(engine)))
    singly: list[CommandKind] = []
    known: list[int] = []
    apply = engine.apply

    def watch(commands: list) -> np.ndarray:
        singly.extend(command.kind for command in commands)
        known.append(len(engine.addresses))
        return apply(commands)

    monkeypatch.setattr(engine, "apply", watch)
    segment = read_segment(folder / "000000000001.log", 1, engine.genesis.hash, 1)
    replayer.replay_segment(segment, 0, segment.frame_count)
    replayer.finish()
    addressed = range(CommandKind.AUTHORIZE_KEY, CommandKind.BLOCK_TRADE + 1)
    assert all(kind == CommandKind.DEPOSIT or kind in addressed for kind in singly)
    assert len(list_commands(1, 10)) <= engine.sequence == segment.frame_count


def test_rows_are_those_of_the_engine(journal: tuple[str, Path]) -> None:
    """Row by row and item by item the decoder writes what `Engine.apply` would."""
    profile, folder = journal
    engine = Engine(make_genesis(profile))
    segment = read_segment(folder / "000000000001.log", 1, engine.genesis.hash, 1)
    desk, known, compared = make_desk(engine, 1 << 20), 0, 0
    for place in range(segment.frame_count):
        command = decode_payload(segment.get_entry(place).payload)
        known = learn_accounts(desk, engine, known)
        data = np.frombuffer(segment.data, np.uint8)
        ends = segment.ends[: place + 2]
        if decode_run(engine.world, desk, data, ends, place, place + 1) == 1:
            rows: list[np.ndarray] = []
            items: list[np.ndarray] = []
            watch_rows(engine, command, rows, items)
            assert rows[0].tobytes() == desk.rows[0].tobytes()
            assert items[0].tobytes() == desk.items[: desk.counts[0]].tobytes()
            compared += 1
        else:
            engine.apply([command])
    assert compared > segment.frame_count * 3 // 4


def watch_rows(engine: Engine, command: object, rows: list, items: list) -> None:
    """Apply one command and keep what crossed into the kernels."""
    from novate.execution import engine as engine_module

    crossing = engine_module.apply_commands

    def keep(world: object, given: np.ndarray, those: np.ndarray, done: int, reserve: int) -> int:
        if not rows:
            rows.append(given.copy())
            items.append(those.copy())
        return crossing(world, given, those, done, reserve)

    engine_module.apply_commands = keep
    try:
        engine.apply([command])
    finally:
        engine_module.apply_commands = crossing


def test_the_fast_way_is_taken_where_there_is_a_compiler() -> None:
    """Without one the same recovery goes through commands."""
    assert JIT_ENABLED == recovery.JIT_ENABLED
