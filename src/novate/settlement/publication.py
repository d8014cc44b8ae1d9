"""The published folder: what anybody needs to check the venue, and nothing else. Implements [PUBLISH-1],
[PUBLISH-2].

Logs only grow; HEAD names how far they are complete and is replaced last, so a reader never sees half a
batch. After a crash the logs are cut back to HEAD and the batches after it are published again from the
journal, byte for byte.
"""

import os
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from novate.protocol.frame import FrameError, decode_frame, encode_frame, iterate_frames
from novate.protocol.header import HEADER_BYTES, BatchHeader, decode_header
from novate.protocol.withdrawals import Withdrawal
from novate.settlement.files import replace_file

FRAME_COMMAND, FRAME_BATCH, FRAME_HEAD = 1, 2, 4
EXTENT = struct.Struct("<Q32sQ")
WITHDRAWAL = struct.Struct("<20sQ")


class PublicationError(RuntimeError):
    """The published folder is not what this venue wrote."""


class Extent(NamedTuple):
    """How far a log is complete: frames, hash of the last one, bytes."""

    frame_count: int
    last_hash: bytes
    byte_count: int


def encode_batch(header: BatchHeader, withdrawals: Sequence[Withdrawal]) -> bytes:
    """Return the payload of a batch's frame."""
    rows = b"".join(WITHDRAWAL.pack(w.account, w.amount_atoms) for w in withdrawals)
    return header.encode() + rows


class PublishedLog:
    """One growing file of frames."""

    def __init__(self, path: Path, kind: int, extent: Extent) -> None:
        self.path = path
        self.kind = kind
        self.extent = extent
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o644)
        if os.fstat(descriptor).st_size < extent.byte_count:
            os.close(descriptor)
            raise PublicationError(f"{path} is shorter than HEAD says: it was cut")
        os.ftruncate(descriptor, extent.byte_count)
        os.lseek(descriptor, extent.byte_count, os.SEEK_SET)
        self.file = os.fdopen(descriptor, "wb")

    def append(self, payloads: Sequence[bytes]) -> None:
        """Append one frame per payload and make them durable."""
        count, previous, size = self.extent
        for payload in payloads:
            count += 1
            frame = encode_frame(self.kind, count, payload, previous)
            previous = frame[-32:]
            size += len(frame)
            self.file.write(frame)
        self.file.flush()
        os.fdatasync(self.file.fileno())
        self.extent = Extent(count, previous, size)

    def close(self) -> None:
        """Close the file."""
        self.file.close()


class Publisher:
    """The writer of one published folder. One caller at a time."""

    def __init__(self, folder: Path, genesis_raw: bytes, genesis_hash: bytes) -> None:
        self.folder = folder
        self.genesis_hash = genesis_hash
        folder.mkdir(parents=True, exist_ok=True)
        genesis = folder / "genesis.json"
        if not genesis.exists():
            replace_file(genesis, genesis_raw)
        elif genesis.read_bytes() != genesis_raw:
            raise PublicationError(f"{genesis} belongs to another venue")
        commands, batches = self.read_head()
        self.commands = PublishedLog(folder / "commands.log", FRAME_COMMAND, commands)
        self.batches = PublishedLog(folder / "batches.log", FRAME_BATCH, batches)

    def read_head(self) -> tuple[Extent, Extent]:
        """Return the extents of commands and batches that HEAD names, or empty ones."""
        path = self.folder / "HEAD"
        empty = Extent(0, self.genesis_hash, 0)
        if not path.exists():
            return empty, empty
        try:
            frame = decode_frame(path.read_bytes(), 0, self.genesis_hash)
        except FrameError as error:
            raise PublicationError(f"{path} is damaged: {error}") from error
        rows = [Extent(*row) for row in EXTENT.iter_unpack(frame.payload)]
        return rows[0], rows[1]

    @property
    def batch_count(self) -> int:
        """The number of the last published batch."""
        return self.batches.extent.frame_count

    @property
    def command_count(self) -> int:
        """The sequence of the last published command."""
        return self.commands.extent.frame_count

    def append_batch(
        self, payloads: Sequence[bytes], header: BatchHeader, withdrawals: Sequence[Withdrawal]
    ) -> None:
        """Append a batch's commands and its header; HEAD does not name them yet."""
        assert header.number == self.batch_count + 1, "Invariant [SEAL-1]: batches are published in order."
        assert len(payloads) == header.last_sequence - header.first_sequence + 1, "Invariant [HEADER-1]"
        self.commands.append(payloads)
        self.batches.append([encode_batch(header, withdrawals)])
        assert self.commands.extent.last_hash == header.journal_head, (
            "Invariant [HEADER-1]: one chain of hashes."
        )

    def read_headers(self, first: int, last: int) -> list[BatchHeader]:
        """Return the published headers of these batches, for a chain that has forgotten them."""
        data = self.batches.path.read_bytes()[: self.batches.extent.byte_count]
        frames = list(iterate_frames(data, self.genesis_hash))[first - 1 : last]
        return [decode_header(frame.payload[:HEADER_BYTES]) for frame in frames]

    def write_head(self, chain: Extent) -> None:
        """Let HEAD name everything appended and the chain's log up to here."""
        payload = b"".join(
            EXTENT.pack(*extent) for extent in (self.commands.extent, self.batches.extent, chain)
        )
        frame = encode_frame(FRAME_HEAD, self.batch_count, payload, self.genesis_hash)
        replace_file(self.folder / "HEAD", frame)

    def close(self) -> None:
        """Close the logs."""
        self.commands.close()
        self.batches.close()
