"""A snapshot is the state at its command, whatever room it was copied into and whatever fails while it is
stored.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from novate.execution import capture as capture_module
from novate.execution import journal as journal_module
from novate.execution import snapshot as snapshot_module
from novate.execution.capture import Capture, Room, capture_state
from novate.execution.engine import Engine
from novate.execution.journal import Position
from novate.execution.snapshot import (
    SnapshotError,
    find_snapshots,
    load_snapshot,
    read_chunks,
    store_capture,
    write_snapshot,
)
from novate.protocol.frame import encode_frame
from tests.execution.disk import Disk
from tests.execution.venue import hash_state, list_commands, make_genesis

COMMANDS = 400
ROOT = b"\x07" * 32


@pytest.fixture(scope="module")
def engine() -> Engine:
    """A venue with something in every table."""
    engine = Engine(make_genesis("tiny"))
    engine.apply(list_commands(5, COMMANDS))
    return engine


def find_position(engine: Engine) -> Position:
    """Where the engine is, with any hash."""
    return Position(engine.sequence, b"\x05" * 32)


def load(folder: Path) -> Engine:
    """An engine from the newest snapshot of a folder."""
    engine = Engine(make_genesis("tiny"))
    load_snapshot(find_snapshots(folder)[0], engine)
    return engine


def test_any_room_holds_the_same(engine: Engine, tmp_path: Path) -> None:
    """No room, room made ready, room used before by a smaller state, and room that turns out too small."""
    smaller = Engine(make_genesis("tiny"))
    smaller.apply(list_commands(5, COMMANDS // 4))
    ready, used, tight = Room(), Room(), Room()
    ready.prepare(engine)
    capture_state(smaller, find_position(smaller), used)
    for name, table in capture_module.list_counted(engine.world):
        tight.choose_usual(engine.world, name, table)
        tight.grow(name, table, 1)
    for number, room in enumerate((None, ready, used, tight)):
        capture = capture_state(engine, find_position(engine), room)
        store_capture(tmp_path / str(number), capture, ROOT)
        assert hash_state(engine) == hash_state(load(tmp_path / str(number)))


def test_a_capture_is_of_its_moment(tmp_path: Path) -> None:
    """Commands that are applied before it is stored do not show in it."""
    engine = Engine(make_genesis("tiny"))
    commands = list_commands(6, COMMANDS)
    engine.apply(commands[: COMMANDS // 2])
    expected, room = hash_state(engine), Room()
    room.prepare(engine)
    capture = capture_state(engine, find_position(engine), room)
    engine.apply(commands[COMMANDS // 2 :])
    store_capture(tmp_path, capture, ROOT)
    assert expected == hash_state(load(tmp_path)) != hash_state(engine)


def forget_last_row(keep: Callable[..., int]) -> Callable[..., int]:
    """A planted bug: the last row that differs is marked and not copied."""
    return lambda table, usual, kept, marks: max(0, keep(table, usual, kept, marks) - 1)


def test_a_capture_that_forgets_a_row_is_caught(
    engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a planted bug in the copy the snapshot is not one."""
    monkeypatch.setattr(capture_module, "keep_rows", forget_last_row(capture_module.keep_rows))
    write_snapshot(tmp_path, engine, find_position(engine), ROOT)
    with pytest.raises(SnapshotError):
        load(tmp_path)


def use_disk(patch: pytest.MonkeyPatch, disk: Disk) -> Disk:
    """Let snapshots be written through a disk that can fail."""
    patch.setattr(snapshot_module, "os", disk)
    patch.setattr(journal_module, "os", disk)
    return disk


def store_all(folder: Path, captures: list[Capture]) -> None:
    """Store snapshots one after the other."""
    for capture in captures:
        store_capture(folder, capture, ROOT)


@pytest.mark.parametrize("fault", ["EIO", "ENOSPC", "short"])
def test_each_call_may_fail(
    engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    """Wherever storing fails, the snapshots that the folder names are whole, and the next one is stored."""
    earlier = Engine(make_genesis("tiny"))
    earlier.apply(list_commands(5, COMMANDS // 2))
    captures = [capture_state(each, find_position(each)) for each in (earlier, engine)]
    disk = use_disk(monkeypatch, Disk())
    store_all(tmp_path / "whole", captures)
    calls = len(disk.calls)
    states = {each.sequence: hash_state(each) for each in (earlier, engine)}
    for place in range(0, calls, max(1, calls // 24)) if fault == "short" else range(calls):
        folder = tmp_path / f"{fault}{place}"
        disk = use_disk(monkeypatch, Disk(place, fault))
        if fault == "short":
            store_all(folder, captures)
        else:
            with pytest.raises(OSError, match=fault):
                store_all(folder, captures)
        disk.kill()
        use_disk(monkeypatch, Disk())
        for path in find_snapshots(folder):
            assert states[int(path.stem)]
            assert read_chunks(path, engine.genesis.hash)
        store_capture(folder, captures[1], ROOT)
        assert engine.sequence == int(find_snapshots(folder)[0].stem)
    assert states[engine.sequence] == hash_state(load(folder))
    print(f"P1: {calls} calls of two snapshots, {fault}: damaged 0")


def test_other_bytes_are_refused(engine: Engine, tmp_path: Path) -> None:
    """A snapshot of another version, one that is cut anywhere, and one that goes on are all passed over."""
    path = write_snapshot(tmp_path, engine, find_position(engine), ROOT)
    whole = read_chunks(path, engine.genesis.hash)
    rng = np.random.default_rng(1)
    cuts = [0, 7, 80, len(whole) - 1, *rng.integers(0, len(whole), 20).tolist()]
    for data in (b"NVSNAP01" + whole[8:], whole + b"\0", *(whole[:cut] for cut in cuts)):
        path.write_bytes(encode_frame(snapshot_module.FRAME_SNAPSHOT, 0, data, engine.genesis.hash))
        with pytest.raises(SnapshotError):
            load(tmp_path)
