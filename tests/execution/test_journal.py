"""The journal at rest: every cut, flip and rot is told from every other, and nothing acknowledged is lost in
silence.
"""

import random
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from novate.execution import journal as journal_module
from novate.execution.frame_scan import Entries, Entry, read_segment
from novate.execution.journal import (
    COMMIT_NAME,
    COMMIT_SLOT_BYTES,
    FRAME_COMMAND,
    FRAME_COMMIT,
    JournalError,
    Position,
    Scan,
    find_segments,
    open_journal,
    read_commit,
    read_journal,
    scan_segments,
)
from novate.protocol.frame import encode_frame, iterate_frames, keccak256
from tests.execution.disk import Disk

GENESIS = keccak256(b"a venue")
STRANGER = keccak256(b"another venue")
DAMAGES = 10_000
BIT_FLIPS = 20_000


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    """A disk whose syncs cost nothing; journals and recoveries of the test use it."""
    made = Disk()
    monkeypatch.setattr(journal_module, "os", made)
    return made


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A folder in memory where the system has one: what is damaged thirty thousand times need not reach a
    disk.
    """
    memory = Path("/dev/shm")
    if not memory.is_dir():
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(dir=memory) as name:
        yield Path(name)


def make_payloads(rng: random.Random, count: int) -> list[bytes]:
    """Payloads as long as commands, some of which quote the magic of a frame."""
    return [
        rng.choice((b"", b"NVT1", b"NVT1" * 9)) + rng.randbytes(rng.randrange(9, 160)) for _ in range(count)
    ]


def write_journal(folder: Path, groups: list[list[bytes]]) -> list[Entry]:
    """A journal of some groups, closed."""
    journal, found = open_journal(folder, GENESIS)
    entries = list(found)
    for group in groups:
        entries.extend(journal.append(group))
    journal.close()
    return entries


def write_small(folder: Path, monkeypatch: pytest.MonkeyPatch, count: int = 14) -> list[Entry]:
    """A journal at rest of two or more segments."""
    monkeypatch.setattr(journal_module, "SEGMENT_BYTES_MAX", 900)
    rng = random.Random(5)
    return write_journal(folder, [make_payloads(rng, 1 + number % 3) for number in range(count // 2)])


def test_what_was_appended_is_read_back(tmp_path: Path, disk: Disk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Entries come back in order over several segments, each chained to its predecessor and the first to the
    genesis.
    """
    entries = write_small(tmp_path, monkeypatch)
    assert entries == list(read_journal(tmp_path, GENESIS))
    assert len(find_segments(tmp_path)) > 1
    assert list(range(1, len(entries) + 1)) == [entry.sequence for entry in entries]
    journal, again = open_journal(tmp_path, GENESIS)
    assert entries == list(again)
    more = journal.append([b"one more"])
    journal.close()
    assert entries + more == list(read_journal(tmp_path, GENESIS))


def test_an_empty_journal_is_one(tmp_path: Path, disk: Disk) -> None:
    """A folder that is missing, empty or holds a journal without commands opens with nothing in it."""
    for _ in range(3):
        journal, entries = open_journal(tmp_path / "journal", GENESIS)
        journal.close()
        assert [] == list(entries)
        assert [] == list(read_journal(tmp_path / "journal", GENESIS))


def test_a_journal_of_another_venue_is_refused(
    tmp_path: Path, disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first frame chains to the genesis file, so no other venue opens it."""
    write_small(tmp_path, monkeypatch)
    with pytest.raises(JournalError):
        open_journal(tmp_path, STRANGER)


def set_commit(folder: Path, entry: Entry | None) -> None:
    """Let both slots name an entry, as after a power cut that lost newer ones."""
    position = Position(entry.sequence, entry.hash) if entry is not None else Position(0, GENESIS)
    slot = encode_frame(FRAME_COMMIT, position.sequence, position.hash, GENESIS)
    (folder / COMMIT_NAME).write_bytes(slot.ljust(COMMIT_SLOT_BYTES, b"\0") * 2)


@pytest.mark.parametrize("committed", [0, 3, 4, 6])
def test_every_cut_yields_a_prefix_or_an_error(folder: Path, disk: Disk, committed: int) -> None:
    """At each byte the journal may end, recovery gives the whole frames before it, or refuses if one was
    recorded.
    """
    entries = write_journal(folder, [make_payloads(random.Random(2), 3), make_payloads(random.Random(3), 3)])
    set_commit(folder, entries[committed - 1] if committed else None)
    (path,) = find_segments(folder)
    data = path.read_bytes()
    ends = [frame.end for frame in iterate_frames(data, GENESIS)]
    for cut in range(len(data) + 1):
        path.write_bytes(data[:cut])
        whole = sum(end <= cut for end in ends)
        if whole < committed:
            with pytest.raises(JournalError):
                open_journal(folder, GENESIS)
            assert data[:cut] == path.read_bytes(), "what is refused is not changed"
            continue
        journal, found = open_journal(folder, GENESIS)
        assert entries[:whole] == list(found)
        more = journal.append([b"after the cut"])
        journal.close()
        assert entries[:whole] + more == list(read_journal(folder, GENESIS))
        path.write_bytes(data)
        set_commit(folder, entries[committed - 1] if committed else None)


def iterate_damages(folder: Path, rng: random.Random) -> Iterator[tuple[Path, bytes, bytes]]:
    """Endless random damages of one file: (file, what it held, what it holds now)."""
    paths = [path for path in sorted(folder.iterdir()) if path.stat().st_size > 0]
    contents = {path: path.read_bytes() for path in paths}
    while True:
        path = rng.choice(paths)
        data = contents[path]
        if rng.random() < 0.2:
            yield path, data, data[: rng.randrange(len(data))]
        else:
            damaged = bytearray(data)
            for _ in range(rng.choice((1, 1, 1, 2, 5))):
                damaged[rng.randrange(len(data))] ^= rng.randrange(1, 256)
            if bytes(damaged) != data:
                yield path, data, bytes(damaged)


def iterate_bit_flips(folder: Path, rng: random.Random) -> Iterator[tuple[Path, bytes, bytes]]:
    """Endless single flipped bits."""
    paths = [path for path in sorted(folder.iterdir()) if path.stat().st_size > 0]
    contents = {path: path.read_bytes() for path in paths}
    while True:
        path = rng.choice(paths)
        damaged = bytearray(contents[path])
        damaged[rng.randrange(len(damaged))] ^= 1 << rng.randrange(8)
        yield path, contents[path], bytes(damaged)


def is_readable(folder: Path) -> bool:
    """Whether a journal at rest is read without a complaint."""
    try:
        list(read_journal(folder, GENESIS))
    except JournalError:
        return False
    return True


def count_unnoticed(
    folder: Path, damages: Iterator[tuple[Path, bytes, bytes]], count: int, entries: list[Entry]
) -> int:
    """How many damages `read_journal` reads over; anything but a JournalError goes up to the test."""
    unnoticed = 0
    for _ in range(count):
        path, data, damaged = next(damages)
        path.write_bytes(damaged)
        unnoticed += is_readable(folder)
        path.write_bytes(data)
    assert entries == list(read_journal(folder, GENESIS))
    return unnoticed


Damages = Callable[[Path, random.Random], Iterator[tuple[Path, bytes, bytes]]]


@pytest.mark.parametrize(("damages", "count"), [(iterate_damages, DAMAGES), (iterate_bit_flips, BIT_FLIPS)])
def test_no_damage_at_rest_goes_unnoticed(
    folder: Path, disk: Disk, monkeypatch: pytest.MonkeyPatch, damages: Damages, count: int
) -> None:
    """Flipped bytes, single bits and cuts in any file, the commit record included, are all a JournalError."""
    entries = write_small(folder, monkeypatch)
    assert 0 == count_unnoticed(folder, damages(folder, random.Random(11)), count, entries)


def scan_to_first_bad_frame(folder: Path, genesis: bytes, committed: Any, entries: Entries) -> Scan:
    """A planted bug: recovery that believes a journal ends where it cannot be read."""
    position = Position(0, genesis)
    for path in find_segments(folder):
        segment = read_segment(path, position.sequence + 1, position.hash, FRAME_COMMAND)
        entries.append_segment(segment)
        position = Position(position.sequence + segment.frame_count, segment.last_hash)
    return Scan(committed, None)


def test_the_damages_catch_a_recovery_that_stops_at_the_first_bad_frame(
    tmp_path: Path, disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the planted bug most damages go unnoticed, so the tests above are able to fail."""
    entries = write_small(tmp_path, monkeypatch)
    monkeypatch.setattr(journal_module, "scan_segments", scan_to_first_bad_frame)
    assert 100 < count_unnoticed(tmp_path, iterate_damages(tmp_path, random.Random(11)), 300, entries)


def test_a_missing_file_is_noticed(tmp_path: Path, disk: Disk, monkeypatch: pytest.MonkeyPatch) -> None:
    """No file of a journal can go without recovery refusing to start; an empty last segment holds nothing to
    lose.
    """
    write_small(tmp_path, monkeypatch)
    for path in sorted(tmp_path.iterdir()):
        data = path.read_bytes()
        path.unlink()
        with pytest.raises(JournalError):
            open_journal(tmp_path, GENESIS)
        path.write_bytes(data)


def test_a_torn_tail_is_cut_and_rot_is_not(tmp_path: Path, disk: Disk) -> None:
    """[FRAME-4]: a bad last frame beyond the record is cut; with a whole frame behind it, or recorded, it is
    rot.
    """
    entries = write_journal(tmp_path, [make_payloads(random.Random(4), 4)])
    (path,) = find_segments(tmp_path)
    data = path.read_bytes()
    ends = [frame.end for frame in iterate_frames(data, GENESIS)]
    last = bytearray(data)
    last[ends[2] + 40] ^= 1
    set_commit(tmp_path, entries[3])
    path.write_bytes(last)
    with pytest.raises(JournalError, match="acknowledged"):
        open_journal(tmp_path, GENESIS)
    set_commit(tmp_path, entries[2])
    journal, found = open_journal(tmp_path, GENESIS)
    journal.close()
    assert entries[:3] == list(found)
    assert data[: ends[2]] == path.read_bytes()
    inner = bytearray(data)
    inner[ends[1] + 40] ^= 1
    set_commit(tmp_path, entries[0])
    path.write_bytes(inner)
    with pytest.raises(JournalError, match="a whole frame follows"):
        open_journal(tmp_path, GENESIS)
    assert bytes(inner) == path.read_bytes()


def test_a_rolled_back_or_exchanged_history_is_refused(tmp_path: Path, disk: Disk) -> None:
    """A journal that chains perfectly but is not the one whose last command was recorded is refused."""
    entries = write_journal(tmp_path / "one", [[b"a", b"b"], [b"c"]])
    write_journal(tmp_path / "other", [[b"a", b"b"], [b"d"], [b"e"]])
    for path in find_segments(tmp_path / "one"):
        path.write_bytes((tmp_path / "other" / path.name).read_bytes())
    assert 3 == read_commit(tmp_path / "one", GENESIS).sequence
    with pytest.raises(JournalError, match="not the one that was acknowledged"):
        open_journal(tmp_path / "one", GENESIS)
    set_commit(tmp_path / "one", entries[1])
    found = Entries()
    scan_segments(tmp_path / "one", GENESIS, read_commit(tmp_path / "one", GENESIS), found)
    assert [b"a", b"b", b"d", b"e"] == [entry.payload for entry in found]


def test_one_whole_commit_slot_is_enough(tmp_path: Path, disk: Disk) -> None:
    """A write to one slot may tear at any byte: the other still says what was recorded, and both torn is an
    error.
    """
    entries = write_journal(tmp_path, [[b"a"], [b"b"], [b"c"]])
    path = tmp_path / COMMIT_NAME
    data = path.read_bytes()
    for start in (0, COMMIT_SLOT_BYTES):
        for cut in range(0, COMMIT_SLOT_BYTES, 7):
            torn = data[: start + cut] + bytes(COMMIT_SLOT_BYTES - cut) + data[start + COMMIT_SLOT_BYTES :]
            path.write_bytes(torn)
            assert Position(3, entries[2].hash) == read_commit(tmp_path, GENESIS)
    path.write_bytes(bytes(2 * COMMIT_SLOT_BYTES))
    with pytest.raises(JournalError, match="both slots"):
        read_commit(tmp_path, GENESIS)
