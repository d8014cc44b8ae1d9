"""The published folder: five files from a directory or a web server, split into frames that chain.

Any bytes may come in. Sizes are bounded, and whatever is wrong becomes a finding that names file and byte.
Verifies [PUBLISH-1], [PUBLISH-2] and [FRAME-1] to [FRAME-4].
"""

import struct
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from novate.protocol.command import Command, CommandError, decode_payload
from novate.protocol.frame import Frame, FrameError, decode_frame, find_frame_after
from novate.protocol.genesis import Genesis, GenesisError, parse_genesis
from novate.protocol.header import HEADER_BYTES, BatchHeader, HeaderError, decode_header
from novate.verification.findings import CheckFailed, require, require_equal

GENESIS_FILE, COMMANDS_FILE, BATCHES_FILE, CHAIN_FILE, HEAD_FILE = (
    "genesis.json",
    "commands.log",
    "batches.log",
    "chain.log",
    "HEAD",
)
LOG_BYTES_MAX = 1 << 32
# HEAD is read first: it is replaced last, so the logs hold at least what it names.
SIZE_MAX = {
    HEAD_FILE: 1 << 12,
    GENESIS_FILE: 1 << 20,
    COMMANDS_FILE: LOG_BYTES_MAX,
    BATCHES_FILE: LOG_BYTES_MAX,
    CHAIN_FILE: LOG_BYTES_MAX,
}
COMMAND_KIND, BATCH_KIND, HEAD_KIND = 1, 2, 4
CHAIN_ORIGIN = bytes(32)
EXTENT = struct.Struct("<Q32sQ")
WITHDRAWAL = struct.Struct("<20sQ")
TIMEOUT_S = 30.0
CHUNK_BYTES = 1 << 20


class Extent(NamedTuple):
    """How far a log is complete: frames, hash of the last one, bytes."""

    frame_count: int
    last_hash: bytes
    byte_count: int


class Head(NamedTuple):
    """The payload of HEAD, and the number of the last batch."""

    batch: int
    commands: Extent
    batches: Extent
    chain: Extent


class PublishedCommand(NamedTuple):
    """A command with its payload's bytes and its frame's hash."""

    command: Command
    payload: bytes
    frame_hash: bytes


class PublishedBatch(NamedTuple):
    """A header with the (account, amount) pairs of its withdrawals."""

    header: BatchHeader
    withdrawals: tuple[tuple[bytes, int], ...]


def read_files(target: str | Path) -> dict[str, bytes]:
    """Return the published files by name, from a directory or an http(s) address.

    Errors     CheckFailed naming the file that is missing, too large or unreadable.
    """
    text = str(target)
    if text.startswith(("http://", "https://")):
        folder_address = text.rstrip("/").removesuffix("/published") + "/published/"
        return {name: download(folder_address + name, name) for name in SIZE_MAX}
    folder = Path(target)
    if (folder / "published").is_dir():
        folder = folder / "published"
    require(folder.is_dir(), str(folder), "it is not a directory")
    return {name: read_file(folder / name, name) for name in SIZE_MAX}


def read_file(path: Path, name: str) -> bytes:
    """Return the bytes of one file."""
    try:
        with path.open("rb") as file:
            data = file.read(SIZE_MAX[name] + 1)
    except OSError as error:
        raise CheckFailed(name, f"it cannot be read: {error.strerror or error}") from error
    require(len(data) <= SIZE_MAX[name], name, f"it is larger than {SIZE_MAX[name]} bytes")
    return data


def download(address: str, name: str) -> bytes:
    """Return the bytes of one file of a web server, reading no more than its bound."""
    data = bytearray()
    try:
        with urllib.request.urlopen(address, timeout=TIMEOUT_S) as response:
            while chunk := response.read(CHUNK_BYTES):
                data += chunk
                require(len(data) <= SIZE_MAX[name], name, f"it is larger than {SIZE_MAX[name]} bytes")
    except (OSError, ValueError, urllib.error.URLError) as error:
        raise CheckFailed(name, f"{address} cannot be read: {error}") from error
    return bytes(data)


def read_genesis(files: Mapping[str, bytes]) -> Genesis:
    """Return the parsed genesis file, and see to it that the other files begin with its hash."""
    try:
        genesis = parse_genesis(files[GENESIS_FILE])
    except GenesisError as error:
        raise CheckFailed(GENESIS_FILE, str(error)) from error
    # If one file chains to this hash the genesis file is right, and the others will be told apart from it.
    named = any(begins_with(files[name], genesis.hash) for name in (HEAD_FILE, COMMANDS_FILE, BATCHES_FILE))
    message = "HEAD, commands.log and batches.log do not begin with the hash of this file"
    require(named, GENESIS_FILE, message, "a file of which they hold the hash", genesis.hash)
    return genesis


def begins_with(data: bytes, previous_hash: bytes) -> bool:
    """Whether the first frame chains to a hash."""
    try:
        decode_frame(data, 0, previous_hash)
    except FrameError:
        return False
    return True


def read_head(data: bytes, genesis_hash: bytes) -> Head:
    """Return HEAD, which is one frame and nothing else [PUBLISH-2]."""
    try:
        frame = decode_frame(data, 0, genesis_hash)
    except FrameError as error:
        raise CheckFailed(f"{HEAD_FILE} byte {error.offset}", error.reason) from error
    require_equal(len(data), frame.end, f"{HEAD_FILE} byte {frame.end}", "the frame should end the file")
    require_equal(HEAD_KIND, frame.kind, HEAD_FILE, "its frame is of the wrong kind")
    require_equal(3 * EXTENT.size, len(frame.payload), HEAD_FILE, "its payload has the wrong size")
    commands, batches, chain = (Extent(*row) for row in EXTENT.iter_unpack(frame.payload))
    message = "it names another number of batches than its own sequence"
    require_equal(frame.sequence, batches.frame_count, HEAD_FILE, message)
    return Head(frame.sequence, commands, batches, chain)


def read_frames(name: str, data: bytes, origin: bytes, extent: Extent) -> tuple[list[Frame], int]:
    """Return the frames that HEAD names, and how many whole frames follow them.

    Errors     CheckFailed at the first byte that is not as written, or where the file and HEAD part.
    """
    frames: list[Frame] = []
    previous, offset, extra = origin, 0, 0
    while offset < len(data) or len(frames) < extent.frame_count:
        try:
            frame = decode_frame(data, offset, previous)
        except FrameError as error:
            place = f"{name} byte {error.offset} (frame {len(frames) + extra + 1})"
            rot = find_frame_after(data, offset) != -1
            tail = "a whole frame follows, so this one was changed" if rot else "nothing whole follows"
            raise CheckFailed(place, f"{error.reason}; {tail}") from error
        previous, offset = frame.hash, frame.end
        if len(frames) < extent.frame_count:
            frames.append(frame)
        else:
            extra += 1
        if len(frames) == extent.frame_count and extra == 0:
            check_extent(name, frame, extent)
    if not frames:
        found, expected = Extent(0, origin, 0), extent
        require_equal(expected, found, HEAD_FILE, f"it does not describe an empty {name}")
    return frames, extra


def check_extent(name: str, last: Frame, extent: Extent) -> None:
    """Compare the last frame that HEAD counts with what HEAD says of it."""
    place = f"{name} byte {last.end} (frame {extent.frame_count})"
    require_equal(extent.byte_count, last.end, place, "HEAD says that the frames end elsewhere")
    require_equal(extent.last_hash, last.hash, place, "HEAD names another hash for the last frame")


def read_commands(frames: list[Frame]) -> list[PublishedCommand]:
    """Return the commands of the command log's frames [FRAME-3] [CMD-4]."""
    commands = []
    offset = 0
    for number, frame in enumerate(frames, 1):
        place = f"{COMMANDS_FILE} byte {offset} (sequence {number})"
        found = (frame.kind, frame.sequence)
        require_equal((COMMAND_KIND, number), found, place, "the frame's kind and sequence are wrong")
        try:
            command = decode_payload(frame.payload)
        except CommandError as error:
            raise CheckFailed(place, str(error)) from error
        commands.append(PublishedCommand(command, frame.payload, frame.hash))
        offset = frame.end
    return commands


def read_batches(frames: list[Frame]) -> list[PublishedBatch]:
    """Return headers and withdrawals of the batch log's frames [PUBLISH-1]."""
    batches = []
    for number, frame in enumerate(frames, 1):
        place = f"{BATCHES_FILE} batch {number}"
        found = (frame.kind, frame.sequence)
        require_equal((BATCH_KIND, number), found, place, "the frame's kind and sequence are wrong")
        try:
            header = decode_header(frame.payload[:HEADER_BYTES])
        except HeaderError as error:
            raise CheckFailed(place, str(error)) from error
        tail = frame.payload[HEADER_BYTES:]
        whole = not len(tail) % WITHDRAWAL.size
        require(whole, place, f"the withdrawals should take {WITHDRAWAL.size} bytes each, found {len(tail)}")
        require_equal(number, header.number, place, "the header has another batch's number")
        batches.append(PublishedBatch(header, tuple(WITHDRAWAL.iter_unpack(tail))))
    return batches
