"""The journal: every command, durable before anything that follows from it leaves the process.

Frames in segment files, group-committed with fdatasync, and a small commit record of two slots that says up
to where frames were acknowledged. Recovery tells a torn tail (unacknowledged, cut off) from rot
(acknowledged, refuse to start).

    DIR/journal/00000001.log   segments, named by their first sequence
    DIR/journal/commit         two slots of one frame each, written in turn

Durability rule: `append` returns after fdatasync of the frames; only then may the caller answer anybody. The
commit slot of a group is written at once but synced by `flush` when the venue is idle, so one group costs
one fdatasync. After a power cut under load the slots may therefore name an older frame: rot behind it is
still found by the frames that follow.
"""

import errno
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from novate.execution.frame_scan import Entries, Entry, Segment, explain, read_segment
from novate.protocol.frame import HASH_BYTES, FrameError, decode_frame, encode_frame, find_frame_after

FRAME_COMMAND = 1
FRAME_COMMIT = 5
SEGMENT_BYTES_MAX = 1 << 26
COMMIT_SLOT_BYTES = 512
COMMIT_NAME = "commit"


class JournalError(RuntimeError):
    """The journal cannot be trusted; the message says which file, where, and what was found."""


class Position(NamedTuple):
    """A place in the hash chain: the last sequence and the hash of its frame."""

    sequence: int
    hash: bytes


def sync_folder(path: Path) -> None:
    """Make created, renamed and removed names of a folder durable."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_all(descriptor: int, data: bytes) -> None:
    """Write every byte, going on after a short write."""
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


class Journal:
    """The append side. Open it with `open_journal`, which recovers first."""

    def __init__(self, folder: Path, position: Position, genesis_hash: bytes) -> None:
        self.folder = folder
        self.position = position
        self.genesis_hash = genesis_hash
        self.bytes_written = 0
        self.commit_count = 0
        self.flushed = False
        self.failed = False
        self.commit_file = self.open_commit()
        self.segment = self.open_segment()
        sync_folder(folder)

    def open_commit(self) -> int:
        """Open the commit record, making a whole one under another name first if there is none."""
        path = self.folder / COMMIT_NAME
        if path.exists():
            return os.open(path, os.O_RDWR)
        partial = path.with_suffix(".partial")
        self.commit_file = os.open(partial, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
        self.flush()
        os.rename(partial, path)
        sync_folder(self.folder)
        return self.commit_file

    def open_segment(self) -> int:
        """Open the last segment for appending, or the first one, and record what has been recovered.

        Frames that a killed process wrote but never synced are made durable before the commit record names
        them. A new journal has its commit record before its first segment, so a crash between the two
        leaves an empty journal.
        """
        paths = find_segments(self.folder)
        path = paths[-1] if paths else self.folder / name_segment(self.position.sequence + 1)
        segment = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        if paths:
            os.fdatasync(segment)
            self.flush()
        return segment

    def append(self, payloads: Sequence[bytes]) -> list[Entry]:
        """Write one frame per payload and return after they are durable.

        Errors     OSError: the state of the disk is unknown, nothing may be acknowledged, and the process
                   must end.
        """
        if self.failed:
            raise JournalError("the journal failed earlier; restart the process to recover")
        sequence, previous = self.position
        frames, entries = [], []
        for payload in payloads:
            sequence += 1
            frame = encode_frame(FRAME_COMMAND, sequence, payload, previous)
            previous = frame[-32:]
            frames.append(frame)
            entries.append(Entry(sequence, payload, previous))
        data = b"".join(frames)
        try:
            write_all(self.segment, data)
            os.fdatasync(self.segment)
            self.position = Position(sequence, previous)
            self.write_commit_slot()
            self.rotate()
        except OSError:
            self.failed = True
            raise
        self.bytes_written += len(data)
        return entries

    def write_commit_slot(self) -> None:
        """Record the last durable frame in the slot that is not the newest."""
        slot = encode_frame(FRAME_COMMIT, self.position.sequence, self.position.hash, self.genesis_hash)
        data = slot.ljust(COMMIT_SLOT_BYTES, b"\0")
        self.commit_count += 1
        self.flushed = False
        if os.pwrite(self.commit_file, data, (self.commit_count % 2) * COMMIT_SLOT_BYTES) != len(data):
            raise OSError(errno.EIO, "the commit record was written only in part")

    def rotate(self) -> None:
        """Begin a new segment when the last one is full."""
        if os.fstat(self.segment).st_size < SEGMENT_BYTES_MAX:
            return
        path = self.folder / name_segment(self.position.sequence + 1)
        full, self.segment = self.segment, os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.close(full)
        sync_folder(self.folder)

    def flush(self) -> None:
        """Make both commit slots say what is durable; called when idle and at the end."""
        self.write_commit_slot()
        self.write_commit_slot()
        os.fdatasync(self.commit_file)
        self.flushed = True

    def close(self) -> None:
        """Flush and close the files."""
        if not self.failed:
            self.flush()
        os.close(self.segment)
        os.close(self.commit_file)


def name_segment(first_sequence: int) -> str:
    """Return the file name of the segment that begins with a sequence."""
    return f"{first_sequence:012d}.log"


def find_segments(folder: Path) -> list[Path]:
    """Return the segments in order."""
    return sorted(folder.glob("*.log"))


def read_commit(folder: Path, genesis_hash: bytes) -> Position:
    """Return the last command that the commit record says was acknowledged; sequence 0 for a new journal.

    Errors     JournalError if neither slot is whole: two slots never tear together.
    """
    path = folder / COMMIT_NAME
    if not path.exists() or path.stat().st_size == 0:
        if find_segments(folder):
            raise JournalError(f"{path} is missing, although there are segments")
        return Position(0, genesis_hash)
    data = path.read_bytes()
    found: list[Position] = []
    problems = []
    for start in range(0, 2 * COMMIT_SLOT_BYTES, COMMIT_SLOT_BYTES):
        slot = data[start : start + COMMIT_SLOT_BYTES]
        try:
            frame = decode_frame(slot, 0, genesis_hash)
            if frame.kind != FRAME_COMMIT or len(slot) != COMMIT_SLOT_BYTES or any(slot[frame.end :]):
                raise FrameError(start, "the slot holds something else than a commit record")
            found.append(Position(frame.sequence, frame.payload))
        except FrameError as error:
            problems.append(f"slot at byte {start}: {error.reason}")
    if not found:
        raise JournalError(f"{path}: both slots are damaged ({'; '.join(problems)})")
    return max(found)


def check_commit(folder: Path, genesis_hash: bytes) -> list[str]:
    """Return what is wrong with the commit record of a journal at rest; nothing if both slots are whole and
    equal.
    """
    path = folder / COMMIT_NAME
    data = path.read_bytes() if path.exists() else b""
    if len(data) != 2 * COMMIT_SLOT_BYTES:
        return [f"{path} should hold {2 * COMMIT_SLOT_BYTES} bytes, found {len(data)}"]
    if data[:COMMIT_SLOT_BYTES] != data[COMMIT_SLOT_BYTES:]:
        return [f"{path}: the two slots differ"]
    try:
        read_commit(folder, genesis_hash)
    except JournalError as error:
        return [str(error)]
    return []


class Scan(NamedTuple):
    """What recovery found: the entries' last position, and where a torn tail begins (file and offset), if
    any.
    """

    position: Position
    torn: tuple[Path, int] | None


def scan_segments(folder: Path, genesis_hash: bytes, committed: Position, entries: Entries) -> Scan:
    """Read every segment, appending its entries, and decide what a bad frame means. [FRAME-4]

    Errors     JournalError for rot: a bad frame at or below the committed sequence, or one with valid frames
               behind it; for a gap between segments; for a journal that ends before the committed sequence.
    """
    position = Position(0, genesis_hash)
    torn: tuple[Path, int] | None = None
    for path in find_segments(folder):
        if torn is not None or path.name != name_segment(position.sequence + 1):
            raise JournalError(f"{path} should begin with sequence {position.sequence + 1}")
        segment = read_segment(path, position.sequence + 1, position.hash, FRAME_COMMAND)
        entries.append_segment(segment)
        position = Position(position.sequence + segment.frame_count, segment.last_hash)
        error = explain(segment)
        if error is not None:
            check_torn(path, segment, error, position, committed)
            torn = (path, error.offset)
    if position.sequence < committed.sequence:
        raise JournalError(
            f"{folder} ends at command {position.sequence}, but command {committed.sequence} was "
            "acknowledged: a file was cut short or rolled back"
        )
    if committed.sequence > 0 and entries[committed.sequence - 1].hash != committed.hash:
        raise JournalError(f"command {committed.sequence} in {folder} is not the one that was acknowledged")
    return Scan(position, torn)


def check_torn(path: Path, segment: Segment, error: FrameError, end: Position, committed: Position) -> None:
    """Raise JournalError unless what follows the good frames can be a tail that nobody was told of."""
    survivor = find_frame_after(bytes(segment.data[HASH_BYTES:]), error.offset)
    if end.sequence < committed.sequence or survivor != -1:
        behind = f"; a whole frame follows at byte {survivor}" if survivor != -1 else ""
        raise JournalError(
            f"{path} is rotten at byte {error.offset}, in command {end.sequence + 1}, which was "
            f"acknowledged: {error.reason}{behind}. Restore the file from a copy; it will not be cut."
        ) from error


def rewrite_tail(path: Path, segment: Segment, committed: int) -> None:
    """Write again, and sync, the frames of the last segment that no commit record names.

    A sync that failed leaves pages in memory that the system takes for written: recovery reads them, and the
    next sync does nothing for them. Writing the same bytes makes them dirty again.
    """
    first = max(0, committed + 1 - segment.first_sequence)
    if path.name != name_segment(segment.first_sequence) or first >= segment.frame_count:
        return
    start, end = int(segment.ends[first]), int(segment.ends[-1])
    descriptor = os.open(path, os.O_WRONLY)
    try:
        while start < end:
            start += os.pwrite(descriptor, segment.data[start:end], start - HASH_BYTES)
        os.fdatasync(descriptor)
    finally:
        os.close(descriptor)


def open_journal(folder: Path, genesis_hash: bytes) -> tuple[Journal, Entries]:
    """Recover a journal and open it for appending; returns it and everything it holds.

    A torn tail, never acknowledged, is cut off. Anything else that is wrong raises JournalError and changes
    nothing.
    """
    folder.mkdir(parents=True, exist_ok=True)
    committed = read_commit(folder, genesis_hash)
    entries = Entries()
    scan = scan_segments(folder, genesis_hash, committed, entries)
    if scan.torn is not None:
        path, offset = scan.torn
        with path.open("r+b") as file:
            file.truncate(offset)
            os.fsync(file.fileno())
    if entries.segments and scan.position.sequence > committed.sequence:
        rewrite_tail(find_segments(folder)[-1], entries.segments[-1], committed.sequence)
    return Journal(folder, scan.position, genesis_hash), entries


def read_journal(folder: Path, genesis_hash: bytes) -> Iterator[Entry]:
    """Yield the entries of a journal at rest without changing it; JournalError if anything is wrong."""
    for problem in check_commit(folder, genesis_hash):
        raise JournalError(problem)
    committed = read_commit(folder, genesis_hash)
    entries = Entries()
    scan = scan_segments(folder, genesis_hash, committed, entries)
    if scan.torn is not None:
        raise JournalError(f"{scan.torn[0]} has a torn tail at byte {scan.torn[1]}")
    if scan.position != committed:
        raise JournalError(
            f"the journal ends at {scan.position.sequence}, its commit record at {committed.sequence}"
        )
    yield from entries
