"""The frames of a segment, found and checked at the speed of memory: headers by one kernel, hashes by another
on every core.

A frame is judged good here exactly when `decode_frame` judges it good; what is wrong with the first bad one
is for `decode_frame` to say. Implements [FRAME-1] and [FRAME-4].
"""

import os
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple, overload

import numpy as np
from numpy.typing import NDArray

from novate.execution.frame_hashes import count_true_hashes, make_states
from novate.execution.memory import LINE_BYTES
from novate.kernel import JIT_ENABLED, kernel, kernel_inner, load_word, prefetch
from novate.protocol.frame import (
    CHECKSUM,
    FRAME_BYTES_MIN,
    HASH_BYTES,
    HEADER_BYTES,
    MAGIC,
    PAYLOAD_BYTES_MAX,
    VERSION,
    FrameError,
    decode_frame,
)

Bytes = NDArray[np.uint8]
Places = NDArray[np.int64]
SEQUENCE_AT, LENGTH_AT = 8, 16
LOW = 0xFFFFFFFF
assert LENGTH_AT + 4 + CHECKSUM.size == HEADER_BYTES
SLICE_FRAMES = 8192
PREFETCH_BYTES = 4096
MAGIC_WORD = int.from_bytes(MAGIC, "little")


def make_crc_tables() -> Places:
    """Return the 256 remainders of the checksum of a header (zlib's CRC-32) after a byte, and after one to
    three bytes of zeros behind it.
    """
    tables = np.zeros((4, 256), np.int64)
    for byte in range(256):
        value = byte
        for _ in range(8):
            value = value >> 1 ^ (0xEDB88320 if value & 1 else 0)
        tables[0, byte] = value
    for i in range(1, 4):
        tables[i] = tables[0, tables[i - 1] & 255] ^ tables[i - 1] >> 8
    return tables


CRC_TABLES = make_crc_tables()


class Entry(NamedTuple):
    """One journalled command: its sequence, payload and frame hash."""

    sequence: int
    payload: bytes
    hash: bytes


class Segment(NamedTuple):
    """The good frames of a segment: frame i is bytes ends[i] to ends[i + 1] of `data`, which begins with the
    hash that the first frame chains to.
    """

    first_sequence: int
    data: bytearray
    ends: Places

    @property
    def frame_count(self) -> int:
        """The number of good frames."""
        return len(self.ends) - 1

    @property
    def last_hash(self) -> bytes:
        """The hash of the last good frame, or the one that the first would chain to."""
        return bytes(self.data[int(self.ends[-1]) - HASH_BYTES : int(self.ends[-1])])

    def get_entry(self, place: int) -> Entry:
        """Return the command of one frame."""
        start, end = int(self.ends[place]), int(self.ends[place + 1])
        payload = bytes(self.data[start + HEADER_BYTES : end - HASH_BYTES])
        return Entry(self.first_sequence + place, payload, bytes(self.data[end - HASH_BYTES : end]))


class Entries(Sequence[Entry]):
    """Every command of a journal, made into an Entry when asked for: a million take little more than their
    bytes.
    """

    def __init__(self) -> None:
        self.segments: list[Segment] = []
        self.firsts: list[int] = []
        self.length = 0

    def append_segment(self, segment: Segment) -> None:
        """Add the commands that follow."""
        if segment.frame_count:
            self.firsts.append(self.length)
            self.segments.append(segment)
            self.length += segment.frame_count

    def __len__(self) -> int:
        return self.length

    @overload
    def __getitem__(self, place: int) -> Entry: ...

    @overload
    def __getitem__(self, place: slice) -> list[Entry]: ...

    def __getitem__(self, place: int | slice) -> Entry | list[Entry]:
        if isinstance(place, slice):
            return [self[i] for i in range(*place.indices(self.length))]
        at = place + self.length if place < 0 else place
        if not 0 <= at < self.length:
            raise IndexError(f"command {place} of {self.length}")
        number = bisect_right(self.firsts, at) - 1
        return self.segments[number].get_entry(at - self.firsts[number])

    def __iter__(self) -> Iterator[Entry]:
        for segment in self.segments:
            for place in range(segment.frame_count):
                yield segment.get_entry(place)


@kernel_inner
def step_checksum(value: int, word: int) -> int:
    """Return the checksum's remainder after four more bytes, given as a word of 32 bits."""
    mixed = value ^ word
    return int(
        CRC_TABLES[3, mixed & 255]
        ^ CRC_TABLES[2, mixed >> 8 & 255]
        ^ CRC_TABLES[1, mixed >> 16 & 255]
        ^ CRC_TABLES[0, mixed >> 24 & 255]
    )


@kernel
def walk_frames(data: Bytes, ends: Places, first_sequence: int, kind: int) -> int:
    """Fill `ends` with where the frames from ends[0] on end; return how many have a true header of the next
    sequence, and all their bytes. Their hashes are not checked.
    """
    count = 0
    start = ends[0]
    begin = MAGIC_WORD | kind << 32 | VERSION << 48
    while start + FRAME_BYTES_MIN <= data.shape[0] and count + 1 < ends.shape[0]:
        for offset in range(0, 4 * LINE_BYTES, LINE_BYTES):
            prefetch(data, start, PREFETCH_BYTES + offset)
        length_and_checksum = load_word(data, start + LENGTH_AT)
        length = length_and_checksum & LOW
        sequence = load_word(data, start + SEQUENCE_AT)
        if load_word(data, start) != begin or sequence != first_sequence + count:
            return count
        value = step_checksum(LOW, MAGIC_WORD)
        value = step_checksum(value, begin >> 32)
        value = step_checksum(value, sequence & LOW)
        value = step_checksum(value, sequence >> 32 & LOW)
        value = step_checksum(value, length)
        if value ^ LOW != length_and_checksum >> 32 & LOW:
            return count
        end = start + FRAME_BYTES_MIN + length
        if length > PAYLOAD_BYTES_MAX or end > data.shape[0]:
            return count
        count += 1
        ends[count] = end
        start = end
    return count


def count_good_hashes(data: bytearray, ends: Places, first: int, last: int) -> int:
    """Return the first frame of [first, last) whose hash is wrong, or `last`. A frame that is too long for
    the kernel is hashed apart.
    """
    states, view = make_states(), np.frombuffer(data, np.uint8)
    while first < last:
        first = count_true_hashes(view, ends, first, last, states)
        if first < last:
            start = int(ends[first])
            try:
                decode_frame(memoryview(data), start, bytes(data[start - HASH_BYTES : start]))
            except FrameError:
                return first
            first += 1
    return last


def check_hashes(data: bytearray, ends: Places, count: int) -> int:
    """Return how many of the first `count` frames are good before the first bad one."""
    if count <= SLICE_FRAMES:
        return count_good_hashes(data, ends, 0, count)
    starts = range(0, count, SLICE_FRAMES)
    stops = [min(start + SLICE_FRAMES, count) for start in starts]
    with ThreadPoolExecutor(os.cpu_count() or 1, "hashes") as checkers:
        slices = zip(starts, stops, strict=True)
        found = list(checkers.map(lambda pair: count_good_hashes(data, ends, *pair), slices))
    return next((good for stop, good in zip(stops, found, strict=True) if good < stop), count)


def find_ends(data: bytearray, first_sequence: int, kind: int) -> Places:
    """Return where the good frames of a segment begin and end: those of a kind, each of the next sequence."""
    if not JIT_ENABLED:
        return find_ends_singly(data, first_sequence, kind)
    room = (len(data) - HASH_BYTES) // FRAME_BYTES_MIN + 2
    ends = np.empty(room, np.int64)
    ends[0] = HASH_BYTES
    count = walk_frames(np.frombuffer(data, np.uint8), ends, first_sequence, kind)
    return ends[: check_hashes(data, ends, count) + 1].copy()


def find_ends_singly(data: bytearray, first_sequence: int, kind: int) -> Places:
    """Do what `find_ends` does, one frame after the other: its twin, and what runs without a compiler."""
    ends, view = [HASH_BYTES], memoryview(data)
    while ends[-1] < len(data):
        try:
            frame = decode_frame(view, ends[-1], bytes(view[ends[-1] - HASH_BYTES : ends[-1]]))
        except FrameError:
            break
        if frame.kind != kind or frame.sequence != first_sequence + len(ends) - 1:
            break
        ends.append(frame.end)
    return np.array(ends, np.int64)


def read_segment(path: Path, first_sequence: int, previous_hash: bytes, kind: int) -> Segment:
    """Return the good frames at the beginning of a file, and all its bytes."""
    data = bytearray(HASH_BYTES + path.stat().st_size)
    data[:HASH_BYTES] = previous_hash
    end = HASH_BYTES
    with path.open("rb", buffering=0) as file, memoryview(data) as view:
        while size := file.readinto(view[end:]):
            end += size
    del data[end:]
    return Segment(first_sequence, data, find_ends(data, first_sequence, kind))


def explain(segment: Segment) -> FrameError | None:
    """Return the FrameError of the first frame that is not good; None if all are."""
    start = int(segment.ends[-1])
    if start == len(segment.data):
        return None
    expected = segment.first_sequence + segment.frame_count
    try:
        frame = decode_frame(memoryview(segment.data), start, bytes(segment.data[start - HASH_BYTES : start]))
    except FrameError as error:
        return FrameError(start - HASH_BYTES, error.reason)
    return FrameError(
        start - HASH_BYTES, f"expected command {expected}, found {frame.sequence} of kind {frame.kind}"
    )
