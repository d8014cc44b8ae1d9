"""Frames: the one on-disk shape of everything that must not rot - journal, published commands, batches,
chain.

A frame is magic, kind, version, sequence, length, a checksum of those, the payload, and a Keccak-256 hash
over the previous frame's hash and all of the above. Frames lie back to back, so the 32 bytes before a frame
are the hash it chains to. Nothing here touches a file. Implements [FRAME-1] to [FRAME-4].
"""

import struct
import zlib
from collections.abc import Iterator
from typing import NamedTuple

import sha3

MAGIC = b"NVT1"
VERSION = 1
PAYLOAD_BYTES_MAX = 1 << 24
HEADER = struct.Struct("<4sHHQI")  # magic, kind, version, sequence, payload length
CHECKSUM = struct.Struct("<I")
HEADER_BYTES = HEADER.size + CHECKSUM.size
HASH_BYTES = 32
FRAME_BYTES_MIN = HEADER_BYTES + HASH_BYTES


class Frame(NamedTuple):
    """One decoded frame; `end` is the offset of the byte after it."""

    kind: int
    sequence: int
    payload: bytes
    hash: bytes
    end: int


class FrameError(ValueError):
    """A frame that is not what was written. `offset` is where it starts; `reason` is a short sentence."""

    def __init__(self, offset: int, reason: str) -> None:
        super().__init__(f"byte {offset}: {reason}")
        self.offset = offset
        self.reason = reason


def keccak256(data: bytes) -> bytes:
    """Return the Keccak-256 digest, as the EVM computes it."""
    digest: bytes = sha3.keccak_256(data).digest()
    return digest


def encode_frame(kind: int, sequence: int, payload: bytes, previous_hash: bytes) -> bytes:
    """Return the bytes of one frame that follows the frame with hash `previous_hash`."""
    assert len(payload) <= PAYLOAD_BYTES_MAX, "Invariant [FRAME-2]: a payload is bounded."
    head = HEADER.pack(MAGIC, kind, VERSION, sequence, len(payload))
    head += CHECKSUM.pack(zlib.crc32(head))
    return head + payload + keccak256(previous_hash + head + payload)


def decode_frame(buffer: bytes | memoryview, offset: int, previous_hash: bytes) -> Frame:
    """Return the frame at `offset`, or raise FrameError if any byte of it is not as written."""
    available = len(buffer) - offset
    if available < FRAME_BYTES_MIN:
        raise FrameError(offset, f"only {available} bytes are left, a frame needs at least {FRAME_BYTES_MIN}")
    head = bytes(buffer[offset : offset + HEADER_BYTES])
    magic, kind, version, sequence, length = HEADER.unpack_from(head)
    if magic != MAGIC:
        raise FrameError(offset, f"the frame should begin with {MAGIC!r}, found {magic!r}")
    if CHECKSUM.unpack_from(head, HEADER.size)[0] != zlib.crc32(head[: HEADER.size]):
        raise FrameError(offset, "the header's checksum does not match its bytes")
    if version != VERSION:
        raise FrameError(offset, f"format version {version} is unknown, this program reads version {VERSION}")
    if length > PAYLOAD_BYTES_MAX or available < FRAME_BYTES_MIN + length:
        raise FrameError(offset, f"the payload of {length} bytes is cut short")
    start = offset + HEADER_BYTES
    payload = bytes(buffer[start : start + length])
    end = start + length + HASH_BYTES
    stored = bytes(buffer[start + length : end])
    if stored != keccak256(previous_hash + head + payload):
        raise FrameError(offset, f"the hash of frame {sequence} does not match its bytes and its predecessor")
    return Frame(kind, sequence, payload, stored, end)


def iterate_frames(buffer: bytes | memoryview, previous_hash: bytes, offset: int = 0) -> Iterator[Frame]:
    """Yield every frame up to the end of the buffer; raise FrameError at the first that does not chain."""
    while offset < len(buffer):
        frame = decode_frame(buffer, offset, previous_hash)
        yield frame
        previous_hash, offset = frame.hash, frame.end


def find_frame_after(buffer: bytes, offset: int) -> int:
    """Return the offset of a valid frame that starts after `offset`, or -1.

    A frame chains to the 32 bytes before it, so one that survived can be recognised behind a rotten
    neighbour. [FRAME-4]
    """
    position = buffer.find(MAGIC, offset + 1)
    while position != -1:
        if position >= HASH_BYTES:
            try:
                decode_frame(buffer, position, buffer[position - HASH_BYTES : position])
            except FrameError:
                position = buffer.find(MAGIC, position + 1)
                continue
            return position
        position = buffer.find(MAGIC, position + 1)
    return -1
