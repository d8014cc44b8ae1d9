"""Recovery leads to the engine that would be running: from the genesis, from a snapshot, past bad ones."""

import random
import shutil
from pathlib import Path

import numpy as np
import pytest

from novate.execution.commitment import compute_genesis_root
from novate.execution.engine import Engine, split_events
from novate.execution.frame_scan import Entry
from novate.execution.journal import JournalError, Position, find_segments, read_journal
from novate.execution.recovery import Recovered, recover
from novate.execution.sealing import SealedBatch, Sealer
from novate.execution.sequencer import Outcome
from novate.execution.snapshot import SnapshotError, find_snapshots, load_snapshot, write_snapshot
from novate.protocol.command import Command
from novate.protocol.generated.codes import CommandKind
from tests.execution.venue import compute_root, hash_state, list_commands, make_genesis, write_commands

COMMANDS = 1500
SEEDS = (1, 2)


class Live:
    """A venue that has run through every command one by one, and what it was like after each batch."""

    def __init__(
        self, profile: str, commands: tuple[Command, ...], entries: list[Entry], snapshots: Path
    ) -> None:
        self.engine = Engine(make_genesis(profile))
        self.sealer = Sealer(self.engine, compute_genesis_root(self.engine))
        self.batches: list[SealedBatch] = []
        self.events: list[np.ndarray] = []
        self.roots: dict[int, bytes] = {}
        for entry, command in zip(entries, commands, strict=True):
            (events,) = split_events(self.engine.apply([command]))
            self.events.append(events)
            batch = self.sealer.observe(entry, command, events)
            if batch is not None:
                self.batches.append(self.sealer.close(batch))
                path = snapshots / str(entry.sequence)
                position = Position(entry.sequence, entry.hash)
                write_snapshot(path, self.engine, position, self.sealer.previous_root)
                self.roots[entry.sequence] = self.sealer.previous_root


@pytest.fixture(scope="module", params=SEEDS)
def live(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Live, Path]:
    """A venue's folder: a journal at rest and a snapshot for each batch."""
    folder = tmp_path_factory.mktemp("venue")
    commands = list_commands(request.param, COMMANDS)
    write_commands(folder / "journal", "tiny", commands)
    entries = list(read_journal(folder / "journal", make_genesis("tiny").hash))
    return Live("tiny", commands, entries, folder / "snapshots"), folder


def recover_copy(folder: Path, target: Path, snapshots: Path | None) -> tuple[Recovered, list[Outcome]]:
    """Recover from a copy of a journal; return what the listener heard too."""
    shutil.copytree(folder / "journal", target)
    heard: list[Outcome] = []
    recovered = recover(make_genesis("tiny"), target, snapshots, (heard.extend,))
    recovered.journal.close()
    return recovered, heard


def check_equal(live: Live, recovered: Recovered, heard: list[Outcome], first: int) -> None:
    """Assert that a recovered venue is the live one, and told everything after `first` again."""
    assert hash_state(live.engine) == hash_state(recovered.engine)
    assert compute_root(live.engine) == compute_root(recovered.engine)
    assert live.engine.addresses == recovered.engine.addresses
    assert live.engine.instruments == recovered.engine.instruments
    assert [batch for batch in live.batches if batch.header.first_sequence > first] == recovered.batches
    assert live.sealer.previous_root == recovered.sealer.previous_root
    assert live.sealer.data.digest() == recovered.sealer.data.digest()
    assert list(range(first + 1, len(live.events) + 1)) == [outcome.sequence for outcome in heard]
    assert all(np.array_equal(live.events[each.sequence - 1], each.events) for each in heard)


def test_replay_from_the_genesis_is_the_live_engine(live: tuple[Live, Path], tmp_path: Path) -> None:
    """Every table, the state root, every batch header and every event come out of the journal again."""
    venue, folder = live
    recovered, heard = recover_copy(folder, tmp_path / "journal", None)
    assert recovered.snapshot is None
    check_equal(venue, recovered, heard, 0)


def test_a_snapshot_and_its_tail_are_the_same_as_everything(live: tuple[Live, Path], tmp_path: Path) -> None:
    """From the snapshot of any batch, what follows is told again, and the end is the same to the last bit."""
    venue, folder = live
    chosen = random.Random(3).sample(sorted(venue.roots), 12)
    for sequence in chosen:
        recovered, heard = recover_copy(
            folder, tmp_path / str(sequence), folder / "snapshots" / str(sequence)
        )
        assert recovered.snapshot is not None
        assert (sequence, venue.roots[sequence]) == (
            recovered.snapshot.position.sequence,
            recovered.snapshot.previous_root,
        )
        check_equal(venue, recovered, heard, sequence)


def test_a_recovered_engine_goes_on_as_the_live_one(live: tuple[Live, Path], tmp_path: Path) -> None:
    """Hash tables and books that were rebuilt behave like those that grew: the same commands give the same
    events.
    """
    venue, folder = live
    sequences = sorted(venue.roots)
    middle = sequences[len(sequences) // 2]
    engine = Engine(make_genesis("tiny"))
    (path,) = find_snapshots(folder / "snapshots" / str(middle))
    head = load_snapshot(path, engine)
    assert middle == head.position.sequence == engine.sequence
    assert venue.roots[middle] == compute_root(engine)
    rest = [outcome.command for outcome in recover_copy(folder, tmp_path / "journal", None)[1]][middle:]
    events = split_events(engine.apply(rest))
    assert all(np.array_equal(a, b) for a, b in zip(venue.events[middle:], events, strict=True))


def test_a_damaged_snapshot_is_passed_over(live: tuple[Live, Path], tmp_path: Path) -> None:
    """A cut or flipped newest snapshot gives way to the older one, or to the genesis, with a note and no
    other change.
    """
    venue, folder = live
    older, newer = sorted(venue.roots)[-3:-1]
    snapshots = tmp_path / "snapshots"
    snapshots.mkdir()
    paths = [find_snapshots(folder / "snapshots" / str(number))[0] for number in (older, newer)]
    for path in paths:
        shutil.copy(path, snapshots / path.name)
    data = paths[1].read_bytes()
    rng = random.Random(7)
    for attempt in range(8):
        damaged = bytearray(data)
        damaged[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
        cut = bytes(damaged) if attempt % 2 else data[: rng.randrange(len(data))]
        (snapshots / paths[1].name).write_bytes(cut)
        recovered, heard = recover_copy(folder, tmp_path / str(attempt), snapshots)
        assert recovered.snapshot is not None
        assert older == recovered.snapshot.position.sequence
        assert 1 == len(recovered.notes)
        check_equal(venue, recovered, heard, older)
    (snapshots / paths[0].name).write_bytes(b"")
    recovered, heard = recover_copy(folder, tmp_path / "genesis", snapshots)
    assert (None, 2) == (recovered.snapshot, len(recovered.notes))
    check_equal(venue, recovered, heard, 0)


def test_no_flipped_bit_of_a_snapshot_loads(live: tuple[Live, Path], tmp_path: Path) -> None:
    """Wherever one bit of a snapshot differs, loading it is a SnapshotError and nothing else."""
    venue, folder = live
    (source,) = find_snapshots(folder / "snapshots" / str(sorted(venue.roots)[0]))
    data, path = source.read_bytes(), tmp_path / source.name
    rng = random.Random(1)
    for _ in range(40):
        damaged = bytearray(data)
        damaged[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
        path.write_bytes(damaged)
        with pytest.raises(SnapshotError):
            load_snapshot(path, Engine(make_genesis("tiny")))


def test_a_snapshot_of_another_history_is_passed_over(live: tuple[Live, Path], tmp_path: Path) -> None:
    """A whole snapshot that names another frame, a later one or none is noted and not used."""
    venue, folder = live
    entries = list(read_journal(folder / "journal", make_genesis("tiny").hash))
    last = entries[-1].sequence
    for position in (
        Position(last, b"\x01" * 32),
        Position(last + 5, entries[-1].hash),
        Position(0, b"\0" * 32),
    ):
        snapshots = tmp_path / f"snapshots-{position.sequence}"
        engine = Engine(make_genesis("tiny"))
        engine.world.house["sequence"] = position.sequence
        write_snapshot(snapshots, engine, position, b"\0" * 32)
        recovered, heard = recover_copy(folder, tmp_path / str(position.sequence), snapshots)
        assert (None, 1) == (recovered.snapshot, len(recovered.notes))
        check_equal(venue, recovered, heard, 0)


def test_a_snapshot_of_nothing_harms_nothing(tmp_path: Path) -> None:
    """A venue that stopped before its first command starts again."""
    genesis = make_genesis("tiny")
    write_snapshot(tmp_path / "snapshots", Engine(genesis), Position(0, genesis.hash), b"\0" * 32)
    recovered = recover(genesis, tmp_path / "journal", tmp_path / "snapshots")
    recovered.journal.close()
    assert (0, None) == (recovered.engine.sequence, recovered.snapshot)


def test_two_snapshots_are_kept(tmp_path: Path) -> None:
    """Each new snapshot removes all but itself and its predecessor, and leaves no partial file."""
    engine = Engine(make_genesis("tiny"))
    for sequence in range(1, 6):
        engine.world.house["sequence"] = sequence
        write_snapshot(tmp_path, engine, Position(sequence, b"\0" * 32), b"\0" * 32)
    assert ["000000000004.snapshot", "000000000005.snapshot"] == sorted(
        path.name for path in tmp_path.iterdir()
    )


def test_rot_stops_recovery(live: tuple[Live, Path], tmp_path: Path) -> None:
    """With a snapshot behind which nothing is wrong, a rotten acknowledged command before it still stops the
    start.
    """
    venue, folder = live
    shutil.copytree(folder / "journal", tmp_path / "journal")
    (path,) = find_segments(tmp_path / "journal")
    data = bytearray(path.read_bytes())
    data[len(data) // 3] ^= 1
    path.write_bytes(data)
    newest = folder / "snapshots" / str(max(venue.roots))
    with pytest.raises(JournalError):
        recover(make_genesis("tiny"), tmp_path / "journal", newest)


def test_the_commands_are_worth_recovering(live: tuple[Live, Path]) -> None:
    """The random venue trades, expires, seals and pays out, so that equal states mean something."""
    venue, _ = live
    kinds = set(np.concatenate(venue.events)["kind"].tolist())
    assert {1, 2, 3, 5, 6, 7, 8, 9, 10, 13} <= kinds
    assert any(batch.withdrawals for batch in venue.batches)
    assert len(venue.batches) > 30
    assert CommandKind.SEAL == 11
