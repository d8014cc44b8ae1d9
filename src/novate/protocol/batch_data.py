"""A batch's commands as the bytes that are posted with its header, and those bytes as EIP-4844 blobs.

The header commits to them twice: dataHash is over the payloads and journalHead over their frames, so what is
posted needs no hash of its own. Implements [SETTLE-33] and [SETTLE-34].
"""

from collections.abc import Sequence

MAGIC = b"NVD1"
NUMBER_BYTES, COUNT_BYTES, LENGTH_BYTES = 8, 4, 4
HEAD_BYTES = len(MAGIC) + NUMBER_BYTES + COUNT_BYTES
ELEMENT_BYTES = 32
USED_BYTES = 31  # The highest byte of a field element stays zero, so every element is below the modulus.
ELEMENTS_PER_BLOB = 4096
BLOB_BYTES = ELEMENTS_PER_BLOB * ELEMENT_BYTES
BLOB_USED_BYTES = ELEMENTS_PER_BLOB * USED_BYTES
BLOBS_MAX = 6
DATA_BYTES_MAX = BLOBS_MAX * BLOB_USED_BYTES - LENGTH_BYTES


class BatchDataError(ValueError):
    """Bytes that are not the posted data of a batch; the message says what is wrong."""


def encode_batch_data(number: int, payloads: Sequence[bytes]) -> bytes:
    """Return the posted bytes of a batch: what it is, its number, and each payload with its length."""
    head = MAGIC + number.to_bytes(NUMBER_BYTES, "big") + len(payloads).to_bytes(COUNT_BYTES, "big")
    return head + b"".join(len(payload).to_bytes(LENGTH_BYTES, "big") + payload for payload in payloads)


def decode_batch_data(data: bytes, number: int) -> list[bytes]:
    """Return the payloads of a batch; raise BatchDataError unless these are exactly its posted bytes."""
    if data[: len(MAGIC)] != MAGIC:
        raise BatchDataError(f"the data should begin with {MAGIC!r}")
    found = int.from_bytes(data[len(MAGIC) : len(MAGIC) + NUMBER_BYTES], "big")
    if len(data) < HEAD_BYTES or found != number:
        raise BatchDataError(f"the data is that of batch {found}, not {number}")
    count = int.from_bytes(data[HEAD_BYTES - COUNT_BYTES : HEAD_BYTES], "big")
    payloads = []
    offset = HEAD_BYTES
    for position in range(count):
        start = offset + LENGTH_BYTES
        end = start + int.from_bytes(data[offset:start], "big")
        if start > len(data) or end > len(data):
            raise BatchDataError(f"payload {position + 1} of {count} is cut short")
        payloads.append(data[start:end])
        offset = end
    if offset != len(data):
        raise BatchDataError(f"{len(data) - offset} bytes follow the last payload")
    return payloads


def pack_blobs(data: bytes) -> list[bytes]:
    """Return the blobs that carry these bytes: their length, then 31 of them in each field element.

    Raise BatchDataError if they need more than BLOBS_MAX.
    """
    if len(data) > DATA_BYTES_MAX:
        raise BatchDataError(f"{len(data)} bytes do not fit {BLOBS_MAX} blobs")
    stream = len(data).to_bytes(LENGTH_BYTES, "big") + data
    blobs = []
    for start in range(0, len(stream), BLOB_USED_BYTES):
        piece = stream[start : start + BLOB_USED_BYTES].ljust(BLOB_USED_BYTES, b"\0")
        elements = (piece[place : place + USED_BYTES] for place in range(0, BLOB_USED_BYTES, USED_BYTES))
        blobs.append(b"".join(b"\0" + element for element in elements))
    return blobs


def unpack_blobs(blobs: Sequence[bytes]) -> bytes:
    """Return the bytes that blobs carry; raise BatchDataError unless `pack_blobs` gives these very blobs."""
    if not 0 < len(blobs) <= BLOBS_MAX or any(len(blob) != BLOB_BYTES for blob in blobs):
        raise BatchDataError(f"1 to {BLOBS_MAX} blobs of {BLOB_BYTES} bytes should carry the data")
    joined = b"".join(blobs)
    stream = b"".join(
        joined[place + 1 : place + ELEMENT_BYTES] for place in range(0, len(joined), ELEMENT_BYTES)
    )
    length = int.from_bytes(stream[:LENGTH_BYTES], "big")
    data = stream[LENGTH_BYTES : LENGTH_BYTES + length]
    if pack_blobs(data) != list(blobs):
        raise BatchDataError("the blobs hold other bits than those of their data")
    return data
