"""Promise P1: no power cut loses what was acknowledged, and the suite finds each planted bug."""

import os
import random
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from novate.execution import journal as journal_module
from novate.execution.frame_scan import Entries, Entry, read_segment
from novate.execution.journal import (
    FRAME_COMMAND,
    FRAME_COMMIT,
    Journal,
    JournalError,
    Position,
    Scan,
    find_segments,
    open_journal,
    scan_segments,
)
from novate.protocol.frame import encode_frame, iterate_frames, keccak256
from tests.execution.sectors import SectorDisk

GENESIS = keccak256(b"a venue")
LIVES = 6
SEEDS = int(os.environ.get("NOVATE_TORN_SEEDS", "150"))
SWEEP_BYTES = int(os.environ.get("NOVATE_SWEEP_BYTES", "6000"))
FLIPS = int(os.environ.get("NOVATE_FLIPS", "6000"))
JOURNALS = 5
PLANTED_SEEDS = 120

Plant = Callable[[pytest.MonkeyPatch], None]


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A folder in memory where the system has one."""
    memory = Path("/dev/shm")
    if not memory.is_dir():
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(dir=memory) as name:
        yield Path(name)


def live_and_die(folder: Path, patch: pytest.MonkeyPatch, seed: int) -> SectorDisk:
    """Lives of a journal that end by a kill or a power cut; asserts that what was told stays."""
    rng = random.Random(seed)
    disk = SectorDisk(rng, short_rate=0.2, sync_error_rate=0.05)
    patch.setattr(journal_module, "os", disk)
    patch.setattr(journal_module, "SEGMENT_BYTES_MAX", 2000)
    told: list[Entry] = []
    for _ in range(LIVES):
        try:
            journal, found = open_journal(folder, GENESIS)
            assert told == found[: len(told)]
            told = list(found)
            for _ in range(rng.randrange(6)):
                told += append_group(journal, rng)
                if rng.random() < 0.2:
                    journal.flush()
            write_unsynced(journal, rng)
        except OSError:
            disk.faults["failed life"] += 1  # The process ends; what it told of before must survive.
        except JournalError as error:
            check_halt(folder, told, error)
            disk.faults["halt"] += 1
            disk.kill()
            return disk
        disk.kill() if rng.random() < 0.3 else disk.cut_power(rng)
    disk.sync_error_rate = 0.0
    try:
        assert told == open_journal(folder, GENESIS)[1][: len(told)]
    except JournalError as error:
        check_halt(folder, told, error)
        disk.faults["halt"] += 1
    disk.kill()
    return disk


def check_halt(folder: Path, told: list[Entry], error: JournalError) -> None:
    """A group that nobody was told of can lose a sector in its middle. Its last frames then look like those
    behind rot, and recovery asks a human: it may, while all that was told is still there in front.
    """
    if "a whole frame follows" not in str(error):
        raise error
    position, found = Position(0, GENESIS), Entries()
    for path in find_segments(folder):
        segment = read_segment(path, position.sequence + 1, position.hash, FRAME_COMMAND)
        found.append_segment(segment)
        position = Position(position.sequence + segment.frame_count, segment.last_hash)
    if told != found[: len(told)]:
        raise error


def append_group(journal: Journal, rng: random.Random) -> list[Entry]:
    """Append one to four commands. After a failure a second try must be refused."""
    payloads = [rng.randbytes(rng.randrange(9, 400)) for _ in range(rng.randrange(1, 5))]
    try:
        return journal.append(payloads)
    except OSError:
        with pytest.raises(JournalError):
            journal.append([b"after a failure"])
        raise


def write_unsynced(journal: Journal, rng: random.Random) -> None:
    """Leave up to three frames, the last perhaps in part, that nobody was told of."""
    previous, data = journal.position.hash, b""
    for number in range(rng.randrange(4)):
        frame = encode_frame(1, journal.position.sequence + 1 + number, rng.randbytes(300), previous)
        previous, data = frame[-32:], data + frame
    end = rng.choice((len(data), rng.randrange(len(data) + 1)))
    view = memoryview(data)[:end]
    while view:
        view = view[journal_module.os.write(journal.segment, view) :]


def test_no_lost_sector_loses_what_was_told(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """P1 (b): lost sectors, names and slots, short writes and failed syncs, over many lives: nothing lost,
    doubled or out of order. The figures are printed.
    """
    faults: dict[str, int] = {}
    for seed in range(SEEDS):
        disk = live_and_die(folder / str(seed), monkeypatch, seed)
        for kind, count in disk.faults.items():
            faults[kind] = faults.get(kind, 0) + count
    print(f"P1: {SEEDS * LIVES} ends of a life, {faults}, lost 0 (95 % bound {3 / (SEEDS * LIVES):.1e})")
    assert all(count > SEEDS / 10 for kind, count in faults.items() if kind not in ("lost name", "halt"))
    assert faults["halt"] < SEEDS / 5


def plant_on_journal(name: str, replacement: Any) -> Plant:
    """A planted bug: a method of the journal in place of the true one."""
    return lambda patch: patch.setattr(Journal, name, replacement)


def plant_on_module(name: str, replacement: Any) -> Plant:
    """A planted bug: a function of the journal's module in place of the true one."""
    return lambda patch: patch.setattr(journal_module, name, replacement)


TRUE_APPEND, TRUE_SCAN, TRUE_FLUSH = Journal.append, scan_segments, Journal.flush
TRUE_OPEN_SEGMENT, TRUE_WRITE_ALL = Journal.open_segment, journal_module.write_all


def without_sync(self: Journal, act: Callable[[], Any], of_commit: bool = False) -> Any:
    """Do something while syncs of the segments (or of the commit record too) do nothing."""
    true = journal_module.os.fdatasync
    keep = getattr(self, "commit_file", -1)
    journal_module.os.fdatasync = lambda one: true(one) if one == keep and not of_commit else None
    try:
        return act()
    finally:
        journal_module.os.fdatasync = true


def append_unsynced(self: Journal, payloads: Sequence[bytes]) -> list[Entry]:
    """Acknowledge first, sync later."""
    entries: list[Entry] = without_sync(self, lambda: TRUE_APPEND(self, payloads))
    return entries


def append_late(self: Journal, payloads: Sequence[bytes]) -> list[Entry]:
    """Acknowledge before writing: the group is written with the next one."""
    held = getattr(self, "held", [])
    self.held = list(payloads)  # type: ignore[attr-defined]
    if held:
        TRUE_APPEND(self, held)
    sequence, previous = self.position
    entries = []
    for payload in payloads:
        sequence += 1
        previous = encode_frame(1, sequence, payload, previous)[-32:]
        entries.append(Entry(sequence, payload, previous))
    return entries


def append_synced_first(self: Journal, payloads: Sequence[bytes]) -> list[Entry]:
    """Sync, then write."""
    journal_module.os.fdatasync(self.segment)
    return append_unsynced(self, payloads)


def append_forgiving(self: Journal, payloads: Sequence[bytes]) -> list[Entry]:
    """Take a failed sync for a passing trouble and sync again."""
    true = journal_module.os.fdatasync

    def sync_again(descriptor: int) -> None:
        try:
            true(descriptor)
        except OSError:
            true(descriptor)

    journal_module.os.fdatasync = sync_again
    try:
        return TRUE_APPEND(self, payloads)
    finally:
        journal_module.os.fdatasync = true


def append_deaf(self: Journal, payloads: Sequence[bytes]) -> list[Entry]:
    """Go on after a failure as if nothing had happened."""
    self.failed = False
    return TRUE_APPEND(self, payloads)


def append_recorded_first(self: Journal, payloads: Sequence[bytes]) -> list[Entry]:
    """Record the group, durably, before it is written."""
    position = self.position
    sequence, previous = position
    for payload in payloads:
        sequence += 1
        previous = encode_frame(1, sequence, payload, previous)[-32:]
    self.position = Position(sequence, previous)
    TRUE_FLUSH(self)
    self.position = position
    return TRUE_APPEND(self, payloads)


def write_once(descriptor: int, data: bytes) -> None:
    """Believe that a write is never short."""
    journal_module.os.write(descriptor, data)


def write_again(descriptor: int, data: bytes) -> None:
    """After a short write, write everything again."""
    while journal_module.os.write(descriptor, data) < len(data):
        pass


def forget_folder(path: Path) -> None:
    """Never sync a folder."""


def open_unsynced(self: Journal) -> int:
    """Show recovered frames without making them durable."""
    return int(without_sync(self, lambda: TRUE_OPEN_SEGMENT(self)))


def trust_memory(path: Path, segment: Any, committed: int) -> None:
    """Take frames that a failed sync left in memory for durable."""


def scan_cutting(folder: Path, genesis: bytes, committed: Position, entries: Entries) -> Scan:
    """Take every bad frame for a torn tail."""
    return TRUE_SCAN(folder, genesis, Position(0, genesis), entries)


def scan_short(folder: Path, genesis: bytes, committed: Position, entries: Entries) -> Scan:
    """Cut the last whole frame with the torn one."""
    scan = TRUE_SCAN(folder, genesis, committed, entries)
    if scan.torn is None or len(entries) < 2:
        return scan
    size = len(entries[-1].payload) + 56
    return Scan(Position(entries[-2].sequence, entries[-2].hash), (scan.torn[0], max(0, scan.torn[1] - size)))


def scan_uncut(folder: Path, genesis: bytes, committed: Position, entries: Entries) -> Scan:
    """Leave a torn tail where it is."""
    return TRUE_SCAN(folder, genesis, committed, entries)._replace(torn=None)


def scan_behind(folder: Path, genesis: bytes, committed: Position, entries: Entries) -> Scan:
    """Go on from the recorded command, and not from the last one that was found."""
    scan = TRUE_SCAN(folder, genesis, committed, entries)
    return scan._replace(position=committed)


def record_one_slot(self: Journal) -> None:
    """Write the slot that is the newest."""
    slot = encode_frame(FRAME_COMMIT, self.position.sequence + 1, self.position.hash, self.genesis_hash)
    self.flushed = False
    journal_module.os.pwrite(self.commit_file, slot.ljust(512, b"\0"), 0)


def rotate_early(self: Journal) -> None:
    """Name the new segment by the last command of the old one."""
    if journal_module.os.fstat(self.segment).st_size < journal_module.SEGMENT_BYTES_MAX:
        return
    path = self.folder / journal_module.name_segment(self.position.sequence)
    self.segment = journal_module.os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    journal_module.sync_folder(self.folder)


def plant_unsynced_recovery(patch: pytest.MonkeyPatch) -> None:
    """A planted bug: both syncs of a recovery are gone."""
    patch.setattr(journal_module, "rewrite_tail", trust_memory)
    patch.setattr(Journal, "open_segment", open_unsynced)


PLANTED: dict[str, Plant] = {
    "sync after acknowledgement": plant_on_journal("append", append_unsynced),
    "acknowledgement before write": plant_on_journal("append", append_late),
    "sync before write": plant_on_journal("append", append_synced_first),
    "sync tried again after an error": plant_on_journal("append", append_forgiving),
    "appending after a failure": plant_on_journal("append", append_deaf),
    "commit record before the frames": plant_on_journal("append", append_recorded_first),
    "lost short write": plant_on_module("write_all", write_once),
    "short write written twice": plant_on_module("write_all", write_again),
    "no sync of the folder": plant_on_module("sync_folder", forget_folder),
    "recovered frames not synced": plant_unsynced_recovery,
    "memory trusted after a failed sync": plant_on_module("rewrite_tail", trust_memory),
    "a frame too many is cut": plant_on_module("scan_segments", scan_short),
    "a torn tail is left": plant_on_module("scan_segments", scan_uncut),
    "going on from the record": plant_on_module("scan_segments", scan_behind),
    "the record counts one too many": plant_on_journal("write_commit_slot", record_one_slot),
    "a segment's name is one behind": plant_on_journal("rotate", rotate_early),
}


@pytest.mark.parametrize("bug", PLANTED)
def test_each_planted_bug_is_caught(folder: Path, monkeypatch: pytest.MonkeyPatch, bug: str) -> None:
    """With one bug in the durability path, a life loses something, or the next one does not begin."""
    PLANTED[bug](monkeypatch)
    for seed in range(PLANTED_SEEDS):
        try:
            live_and_die(folder / str(seed), monkeypatch, seed)
        except (AssertionError, JournalError, ValueError, pytest.fail.Exception):
            return
    raise AssertionError(f"{PLANTED_SEEDS} seeds do not find: {bug}")


def write_journal(folder: Path, seed: int) -> tuple[Path, bytes, list[Entry]]:
    """A journal of one segment, about SWEEP_BYTES long."""
    rng = random.Random(seed)
    journal, _ = open_journal(folder, GENESIS)
    entries: list[Entry] = []
    while journal.bytes_written < SWEEP_BYTES:
        payloads = [rng.choice((b"", b"NVT1" * 5)) + rng.randbytes(rng.randrange(9, 260)) for _ in range(3)]
        entries += journal.append(payloads)
    journal.close()
    (path,) = find_segments(folder)
    return path, path.read_bytes(), entries


@pytest.mark.parametrize("seed", range(JOURNALS))
def test_every_prefix_recovers_or_is_refused(
    folder: Path, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    """P1 (a): at every byte length, and for three states of the commit record, recovery finds the whole
    frames, or refuses if one of them was recorded.
    """
    path, data, entries = write_journal(folder, seed)
    ends = [frame.end for frame in iterate_frames(data, GENESIS)]
    recorded = (0, len(entries) // 2, len(entries))
    whole = len(ends)
    for cut in range(len(data), -1, -1):
        os.truncate(path, cut)
        whole -= whole > 0 and ends[whole - 1] > cut
        for number in recorded:
            committed = Position(number, entries[number - 1].hash if number else GENESIS)
            found = Entries()
            if whole < number:
                with pytest.raises(JournalError):
                    scan_segments(folder, GENESIS, committed, found)
                continue
            scan = scan_segments(folder, GENESIS, committed, found)
            assert (whole, len(found)) == (scan.position.sequence, whole)
            assert (scan.torn is None) == (cut == (ends[whole - 1] if whole else 0))
        if whole:
            assert entries[whole - 1] == found_last(folder)
    print(f"P1: {(len(data) + 1) * len(recorded)} prefixes of journal {seed}, lost 0")


def found_last(folder: Path) -> Entry:
    """The last entry that recovery finds."""
    found = Entries()
    scan_segments(folder, GENESIS, Position(0, GENESIS), found)
    return found[-1]


def test_every_flipped_bit_is_rot(folder: Path) -> None:
    """P1b: each single bit of an acknowledged journal, flipped, stops recovery and changes no file."""
    path, data, entries = write_journal(folder, 7)
    committed = Position(len(entries), entries[-1].hash)
    flips = range(0, len(data) * 8, max(1, len(data) * 8 // FLIPS))
    for bit in flips:
        damaged = bytearray(data)
        damaged[bit // 8] ^= 1 << bit % 8
        path.write_bytes(damaged)
        with pytest.raises(JournalError):
            scan_segments(folder, GENESIS, committed, Entries())
        assert bytes(damaged) == path.read_bytes()
    print(f"P1b: {len(flips)} of {len(data) * 8} single flips, unnoticed 0")


def test_truncating_rot_is_caught(folder: Path) -> None:
    """A planted bug: recovery that takes rot in the last recorded frame for a torn tail reads over flips."""
    path, data, entries = write_journal(folder, 7)
    damaged = bytearray(data)
    damaged[-40] ^= 1
    path.write_bytes(damaged)
    scan = scan_cutting(folder, GENESIS, Position(len(entries), entries[-1].hash), Entries())
    assert len(entries) - 1 == scan.position.sequence
