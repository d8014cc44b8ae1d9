"""The journal on a disk that fails: nothing is acknowledged that could be lost, and after a failure nothing
more is.
"""

import random
from pathlib import Path

import pytest

from novate.execution import journal as journal_module
from novate.execution.frame_scan import Entry
from novate.execution.journal import Journal, JournalError, find_segments, open_journal, read_journal
from novate.protocol.frame import keccak256
from tests.execution.disk import Disk

GENESIS = keccak256(b"a venue")
GROUPS = [[b"first", b"second"], [b"third" * 20], [b"fourth"], [b"fifth" * 30, b"sixth"], [b"seventh"]]


def use_disk(monkeypatch: pytest.MonkeyPatch, disk: Disk) -> Disk:
    """Let the journal write through a disk, in segments of three groups or so."""
    monkeypatch.setattr(journal_module, "os", disk)
    monkeypatch.setattr(journal_module, "SEGMENT_BYTES_MAX", 500)
    return disk


def append_groups(folder: Path, entries: list[Entry]) -> Journal:
    """Open a journal and append every group, noting what was acknowledged."""
    journal, _ = open_journal(folder, GENESIS)
    for group in GROUPS:
        entries.extend(journal.append(group))
    return journal


def count_calls(folder: Path, monkeypatch: pytest.MonkeyPatch) -> int:
    """How many calls a run without faults makes, but for closing."""
    disk = use_disk(monkeypatch, Disk())
    append_groups(folder, [])
    disk.kill()
    return len(disk.calls)


@pytest.mark.parametrize("fault", ["EIO", "ENOSPC", "short"])
def test_each_call_may_fail(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: str) -> None:
    """Whichever call fails, appending stops there, and recovery gives everything acknowledged, once and in
    order.
    """
    count = count_calls(tmp_path / "whole", monkeypatch)
    failures = 0
    for place in range(count):
        folder = tmp_path / f"{fault}-{place}"
        disk = use_disk(monkeypatch, Disk(place, fault))
        acknowledged: list[Entry] = []
        try:
            append_groups(folder, acknowledged)
        except OSError:
            failures += 1
        name = disk.calls[place][0]
        assert name not in ("write", "fdatasync") or fault == "short" or len(acknowledged) < 7
        disk.kill()
        use_disk(monkeypatch, Disk())
        journal, again = open_journal(folder, GENESIS)
        found = list(again)
        assert acknowledged == found[: len(acknowledged)]
        assert len(found) - len(acknowledged) <= max(len(group) for group in GROUPS)
        more = journal.append([b"after the failure"])
        journal.close()
        assert found + more == list(read_journal(folder, GENESIS))
    assert failures > (3 if fault == "short" else count * 3 // 4)


@pytest.mark.parametrize("fault", ["EIO", "ENOSPC"])
@pytest.mark.parametrize("name", ["write", "fdatasync", "pwrite", "fstat"])
def test_a_failed_journal_takes_nothing_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, fault: str
) -> None:
    """After an error while appending, later appends are refused, although the disk is well again."""
    disk = use_disk(monkeypatch, Disk(fault=fault))
    journal, _ = open_journal(tmp_path, GENESIS)
    journal.append([b"acknowledged"])
    begun = len(disk.calls)
    journal.append([b"also acknowledged"])
    kinds = [kind for kind, _ in disk.calls[begun:]]
    disk.fail_at = len(disk.calls) + kinds.index(name)
    with pytest.raises(OSError, match=fault):
        journal.append([b"in doubt"])
    for _ in range(3):
        with pytest.raises(JournalError):
            journal.append([b"refused"])
    journal.close()
    payloads = [entry.payload for entry in open_journal(tmp_path, GENESIS)[1]]
    assert payloads[:2] == [b"acknowledged", b"also acknowledged"]
    assert payloads[2:] in ([], [b"in doubt"])
    disk.kill()


def list_unsynced_acknowledgements(disk: Disk, marks: list[int]) -> list[int]:
    """The appends that returned (at these places in the record) although a segment's last write was not
    synced.
    """
    unsynced = []
    for mark in marks:
        done = [(kind, name) for kind, name in disk.calls[:mark] if name.endswith(".log")]
        writes = [place for place, (kind, _) in enumerate(done) if kind == "write"]
        if ("fdatasync", done[writes[-1]][1]) not in done[writes[-1] :]:
            unsynced.append(mark)
    return unsynced


def record_appends(folder: Path, journal_class: type[Journal], disk: Disk) -> list[int]:
    """Append every group with a class of journal, and return where in the record each append returned."""
    open_journal(folder, GENESIS)[0].close()
    journal = journal_class(folder, journal_module.Position(0, GENESIS), GENESIS)
    marks = []
    for group in GROUPS:
        journal.append(group)
        marks.append(len(disk.calls))
    disk.kill()
    return marks


class EagerJournal(Journal):
    """A planted bug: it returns when the frames are written, and syncs when it is idle."""

    def append(self, payloads: list[bytes]) -> list[Entry]:  # type: ignore[override]
        """Append without syncing."""
        syncing = journal_module.os.fdatasync
        journal_module.os.fdatasync = lambda descriptor: None  # type: ignore[assignment]
        try:
            return super().append(payloads)
        finally:
            journal_module.os.fdatasync = syncing


def test_nothing_is_acknowledged_before_its_sync(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each append returns after an fdatasync that follows its last write, and the record catches one that
    does not.
    """
    disk = use_disk(monkeypatch, Disk())
    assert [] == list_unsynced_acknowledgements(disk, record_appends(tmp_path / "real", Journal, disk))
    disk = use_disk(monkeypatch, Disk())
    marks = record_appends(tmp_path / "eager", EagerJournal, disk)
    assert marks == list_unsynced_acknowledgements(disk, marks)


def survive_power_cuts(folder: Path, monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    """Live a few lives that end by a kill or a power cut; assert that nothing acknowledged is lost."""
    rng = random.Random(seed)
    disk = use_disk(monkeypatch, Disk())
    acknowledged: list[Entry] = []
    for life in range(5):
        journal, again = open_journal(folder, GENESIS)
        found = list(again)
        assert acknowledged == found[: len(acknowledged)]
        acknowledged = found  # What recovery shows to the world is acknowledged too.
        for _ in range(rng.randrange(4)):
            acknowledged = acknowledged + journal.append([rng.randbytes(rng.randrange(90)) for _ in range(3)])
            if rng.random() < 0.3:
                journal.flush()
        if rng.random() < 0.7:
            write_unsynced(journal, rng)
        if rng.random() < 0.4:
            disk.kill()
        else:
            disk.cut_power(rng)
        assert life < 5
    assert acknowledged == open_journal(folder, GENESIS)[1][: len(acknowledged)]
    disk.kill()


def write_unsynced(journal: Journal, rng: random.Random) -> None:
    """One frame that is on its way when the end comes."""
    frame = journal_module.encode_frame(
        1, journal.position.sequence + 1, rng.randbytes(50), journal.position.hash
    )
    end = len(frame) if rng.random() < 0.5 else rng.randrange(len(frame))
    journal_module.write_all(journal.segment, frame[:end])


def test_kills_and_power_cuts_lose_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Over three hundred lives' ends, whatever was acknowledged or shown after a recovery is there in the
    next life.
    """
    for seed in range(60):
        survive_power_cuts(tmp_path / str(seed), monkeypatch, seed)


def is_survived(folder: Path, monkeypatch: pytest.MonkeyPatch, seed: int) -> bool:
    """Whether nothing acknowledged is lost, and every life begins."""
    try:
        survive_power_cuts(folder, monkeypatch, seed)
    except (AssertionError, JournalError):
        return False
    return True


def test_a_recovery_that_does_not_sync_is_caught(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a planted bug, recovered frames are shown and then lost, or the record outlives them."""
    open_segment = Journal.open_segment

    def open_without_sync(self: Journal) -> int:
        syncing = journal_module.os.fdatasync
        journal_module.os.fdatasync = lambda descriptor: (
            syncing(descriptor) if descriptor == self.commit_file else None
        )
        try:
            return open_segment(self)
        finally:
            journal_module.os.fdatasync = syncing

    monkeypatch.setattr(Journal, "open_segment", open_without_sync)
    monkeypatch.setattr(journal_module, "rewrite_tail", lambda path, segment, committed: None)
    assert not all(is_survived(tmp_path / str(seed), monkeypatch, seed) for seed in range(60))


def test_a_crash_while_a_journal_is_made_leaves_an_empty_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Wherever the very first opening ends, the next one succeeds: there was nothing to lose."""
    disk = use_disk(monkeypatch, Disk())
    open_journal(tmp_path / "whole", GENESIS)
    calls = len(disk.calls)
    disk.kill()
    for place in range(calls):
        disk = use_disk(monkeypatch, Disk(place))
        folder = tmp_path / str(place)
        with pytest.raises(OSError, match="EIO"):
            open_journal(folder, GENESIS)
        disk.kill()
        use_disk(monkeypatch, Disk())
        journal, entries = open_journal(folder, GENESIS)
        journal.close()
        assert [] == list(entries)
        assert 1 == len(find_segments(folder))
