"""The published batches as the poster needs them: each header, and what is posted with it.

Reads the folder that the venue writes; a batch is there once HEAD, or the caller, names it. Implements the
posting side of [SETTLE-33] to [SETTLE-35].
"""

import mmap
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path

from novate.protocol.batch_data import encode_batch_data, pack_blobs
from novate.protocol.frame import FRAME_BYTES_MIN, FrameError, decode_frame
from novate.protocol.frame import HEADER as FRAME_HEADER
from novate.protocol.header import HEADER_BYTES, BatchHeader, decode_header
from novate.settlement.blobs import store_blobs
from novate.settlement.client import SettlementError
from novate.settlement.posting import PostedData

# Nodes take transactions of at most 2^17 bytes; what is not data needs a little.
CALLDATA_BYTES_MAX = (1 << 17) - 2_048
KEPT_BATCHES_MAX = 64


class DataMode(StrEnum):
    """Where a batch's commands are posted."""

    BLOBS = "blobs"
    CALLDATA = "calldata"
    OFF_CHAIN = "off-chain"


class PublishedBatches:
    """The batches of one published folder. `blob_folder` keeps what is posted as blobs.

    Errors     SettlementError for a batch that is not there, or whose data does not fit its mode.
    """

    def __init__(
        self, folder: Path, genesis_hash: bytes, mode: DataMode, blob_folder: Path | None = None
    ) -> None:
        self._folder = folder
        self._mode = mode
        self._blob_folder = blob_folder
        self._genesis_hash = genesis_hash
        # The place of the next header's frame, and the hash that it chains to.
        self._batch_place = (0, genesis_hash)
        self._headers: list[BatchHeader] = []
        # Where the commands of each batch begin.
        self._starts = [0]
        self._kept: dict[int, PostedData] = {}

    def header(self, number: int) -> BatchHeader:
        """Return the header of a published batch."""
        while len(self._headers) < number:
            self._read_next_header()
        return self._headers[number - 1]

    def data(self, number: int) -> PostedData:
        """Return what is posted with a batch."""
        if self._mode == DataMode.OFF_CHAIN:
            return PostedData()
        if number not in self._kept:
            self._kept[number] = self._make_data(number)
            while len(self._kept) > KEPT_BATCHES_MAX:
                del self._kept[min(self._kept)]
        return self._kept[number]

    def _make_data(self, number: int) -> PostedData:
        data = encode_batch_data(number, self._read_payloads(number))
        if self._mode == DataMode.CALLDATA:
            if len(data) > CALLDATA_BYTES_MAX:
                raise SettlementError(f"batch {number} has {len(data)} bytes, too many for calldata")
            return PostedData(tail=data)
        blobs = pack_blobs(data)
        if self._blob_folder is not None:
            store_blobs(self._blob_folder, blobs)
        return PostedData(blobs=tuple(blobs))

    def _read_next_header(self) -> None:
        offset, previous = self._batch_place
        with _map_log(self._folder / "batches.log") as log:
            try:
                frame = decode_frame(log, offset, previous)
            except FrameError as error:
                number = len(self._headers) + 1
                raise SettlementError(f"batch {number} is not in batches.log: {error}") from error
        self._headers.append(decode_header(frame.payload[:HEADER_BYTES]))
        self._batch_place = (frame.end, frame.hash)

    def _read_payloads(self, number: int) -> list[bytes]:
        """Return the payloads of a batch's commands; they must lead to its header's journalHead."""
        header = self.header(number)
        previous = self.header(number - 1).journal_head if number > 1 else self._genesis_hash
        payloads = []
        with _map_log(self._folder / "commands.log") as log:
            offset = self._find_start(log, number)
            for sequence in range(header.first_sequence, header.last_sequence + 1):
                try:
                    frame = decode_frame(log, offset, previous)
                except FrameError as error:
                    raise SettlementError(f"command {sequence} is not in commands.log: {error}") from error
                payloads.append(frame.payload)
                previous, offset = frame.hash, frame.end
        if previous != header.journal_head:
            raise SettlementError(f"the commands of batch {number} do not lead to its journalHead")
        return payloads

    def _find_start(self, log: memoryview, number: int) -> int:
        """Return where a batch's commands begin, by the lengths of the frames before; they are not read."""
        while len(self._starts) < number:
            header = self.header(len(self._starts))
            offset = self._starts[-1]
            for _ in range(header.first_sequence, header.last_sequence + 1):
                if offset + FRAME_BYTES_MIN > len(log):
                    raise SettlementError(f"the commands of batch {header.number} are not in commands.log")
                offset += FRAME_BYTES_MIN + FRAME_HEADER.unpack_from(log, offset)[4]
            self._starts.append(offset)
        return self._starts[number - 1]


@contextmanager
def _map_log(path: Path) -> Iterator[memoryview]:
    """Yield a log's bytes; nothing at all if it is missing or empty."""
    if not path.exists() or path.stat().st_size == 0:
        yield memoryview(b"")
        return
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
        view = memoryview(mapped)
        try:
            yield view
        finally:
            view.release()
