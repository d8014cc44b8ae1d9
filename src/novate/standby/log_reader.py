"""Frames of a growing log read back from its files, for a standby that has missed some.

A reader goes on where it stopped; for another place it walks the headers of one file. It decodes nothing:
whoever receives the frames checks every hash.
"""

import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from novate.execution.frame_scan import Entry
from novate.execution.journal import FRAME_COMMAND
from novate.protocol.frame import CHECKSUM, FRAME_BYTES_MIN, HASH_BYTES, HEADER, MAGIC, VERSION
from novate.standby.messages import CHUNK_BYTES_MAX, End

READ_BYTES = 1 << 22


class LogFile(NamedTuple):
    """One file of a log and the number of its first frame."""

    first: int
    path: Path


class Place(NamedTuple):
    """The beginning of a frame: its number, the hash before it, and the offset in a file."""

    end: End
    file: LogFile
    offset: int


class LogReadError(RuntimeError):
    """A log that does not hold the frame after which somebody wants to go on."""


def rebuild_frame(entry: Entry) -> bytes:
    """Return the bytes of a journalled command's frame, whose hash is known."""
    head = HEADER.pack(MAGIC, FRAME_COMMAND, VERSION, entry.sequence, len(entry.payload))
    return head + CHECKSUM.pack(zlib.crc32(head)) + entry.payload + entry.hash


def cut_chunks(frames: Sequence[bytes]) -> list[list[bytes]]:
    """Return frames in runs that fit a message each."""
    chunks: list[list[bytes]] = []
    size = 0
    for frame in frames:
        if not chunks or size + len(frame) > CHUNK_BYTES_MAX:
            chunks.append([])
            size = 0
        chunks[-1].append(frame)
        size += len(frame)
    return chunks


def walk_frames(data: bytes, number: int, limit: int) -> tuple[int, int]:
    """Return (number after, offset after) the whole frames at the start of some bytes, up to a number."""
    offset = 0
    while number < limit and len(data) - offset >= FRAME_BYTES_MIN:
        length = HEADER.unpack_from(data, offset)[4] + FRAME_BYTES_MIN
        if len(data) - offset < length:
            break
        offset += length
        number += 1
    return number, offset


class LogReader:
    """Reads one log. `list_files` names its files in order; `origin` is the hash before its first frame."""

    def __init__(self, list_files: Callable[[], list[LogFile]], origin: bytes) -> None:
        self.list_files = list_files
        self.origin = origin
        self.place: Place | None = None

    def read(self, after: End, last: End) -> tuple[bytes, End]:
        """Return some frames after one end and not beyond another, and the end that they lead to.

        Errors     LogReadError if the log has another frame before `after`, or is shorter.
        """
        if after.next > last.next:
            raise LogReadError(f"it ends before frame {last.next}, the other one before {after.next}")
        place = self.place if self.place is not None and self.place.end == after else self.find(after)
        if after.next == last.next:
            return b"", after
        file = place.file
        with file.path.open("rb") as stream:
            stream.seek(place.offset)
            data = stream.read(CHUNK_BYTES_MAX)
        number, size = walk_frames(data, after.next, last.next)
        if size == 0 and len(data) < CHUNK_BYTES_MAX:
            return self.read_following(after, last, file)
        if size == 0:
            raise LogReadError(f"frame {number} is longer than a message")
        end = End(number, data[size - HASH_BYTES : size])
        self.place = Place(end, file, place.offset + size)
        return data[:size], end

    def read_following(self, after: End, last: End, file: LogFile) -> tuple[bytes, End]:
        """Go on in the file after one that has been read to its end."""
        following = next((each for each in self.list_files() if each.first == after.next), None)
        if following is None or following == file:
            raise LogReadError(f"frame {after.next} is in none of its files")
        self.place = Place(after, following, 0)
        return self.read(after, last)

    def find(self, after: End) -> Place:
        """Return the place after an end, by the headers of the file that holds it."""
        files = [each for each in self.list_files() if each.first <= after.next]
        if not files:
            raise LogReadError(f"none of its files holds frame {after.next}")
        file = files[-1]
        if after.next == file.first and len(files) == 1:
            self.check(after, self.origin)
            return Place(after, file, 0)
        file = files[-2] if after.next == file.first else file
        number, offset, last_hash = file.first, 0, b""
        with file.path.open("rb") as stream:
            while number < after.next:
                stream.seek(offset)
                number, size = walk_frames(stream.read(READ_BYTES), number, after.next)
                if size == 0:
                    raise LogReadError(f"{file.path.name} ends before frame {after.next}")
                offset += size
            stream.seek(offset - HASH_BYTES)
            last_hash = stream.read(HASH_BYTES)
        self.check(after, last_hash)
        return Place(after, file, offset)

    def check(self, after: End, found: bytes) -> None:
        """Raise LogReadError unless the frame before an end is the one that was named."""
        if found != after.hash:
            raise LogReadError(f"frame {after.next - 1} is another one here: the two logs have parted")
