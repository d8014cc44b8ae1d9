"""Headers and data from the chain alone: what a contract accepted, and the commands posted with it.

The node is asked for logs and transactions; blobs come from a folder of files or from a server of the beacon
API, and every blob is held against its versioned hash. Verifies [SETTLE-33] to [SETTLE-35].
"""

import hashlib
import json
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple, cast

import ckzg
from eth_account.typed_transactions.base import TRUSTED_SETUP

from novate.protocol.batch_data import (
    BLOB_BYTES,
    BLOBS_MAX,
    BatchDataError,
    decode_batch_data,
    unpack_blobs,
)
from novate.protocol.frame import keccak256
from novate.protocol.header import HEADER_BYTES, BatchHeader, HeaderError, decode_header
from novate.verification.findings import CheckFailed, require, require_equal
from novate.verification.node import Node

HEADER_TYPES = "(uint64,bytes32,bytes32,uint64,uint64,bytes32,uint64,bytes32,bytes32,bytes32,uint64)"
SUBMIT = keccak256(f"submit({HEADER_TYPES})".encode())[:4]
BATCH_SUBMITTED = keccak256(f"BatchSubmitted(uint64,bytes32,{HEADER_TYPES})".encode())
CALL_BYTES = len(SUBMIT) + HEADER_BYTES
LOG_BLOCKS = 2_000
ANSWER_BYTES_MAX = 1 << 22
TIMEOUT_S = 30.0
SECONDS_PER_SLOT = 12
VERSIONED_HASH = b"\x01"

# Takes the versioned hashes of a transaction and the time of its block, and returns the blobs.
BlobSource = Callable[[Sequence[bytes], int], list[bytes]]


class PostedBatch(NamedTuple):
    """A header as the contract took it, with the payloads posted beside it, or None if they are off chain."""

    header: BatchHeader
    payloads: list[bytes] | None


def read_posted(
    node: Node, settlement: bytes, blobs: BlobSource, progress: Callable[[int], None]
) -> list[PostedBatch]:
    """Return every batch that the contract accepted, in order, with its data.

    Errors     CheckFailed naming the batch whose transaction, blobs or data are not what they must be.
    """
    batches: list[PostedBatch] = []
    head = node.block_number()
    for first in range(0, head + 1, LOG_BLOCKS):
        last = min(first + LOG_BLOCKS - 1, head)
        for log in node.logs(settlement, BATCH_SUBMITTED, first, last):
            number = int.from_bytes(log.topics[1], "big")
            place = f"batch {number} on the chain"
            require_equal(len(batches) + 1, number, place, "the contract's logs do not follow each other")
            batches.append(read_batch(node, settlement, log.transaction_hash, number, blobs))
            require_equal(log.data[:32], batches[-1].header.hash(), place, "the log names another header")
            progress(number)
    return batches


def read_batch(
    node: Node, settlement: bytes, transaction_hash: bytes, number: int, blobs: BlobSource
) -> PostedBatch:
    """Return a header and its data from the transaction that posted it."""
    place = f"batch {number}, transaction 0x{transaction_hash.hex()}"
    transaction = node.transaction(transaction_hash)
    require_equal(settlement, transaction.to, place, "it was sent to another contract")
    call = transaction.data
    require(call[:4] == SUBMIT and len(call) >= CALL_BYTES, place, "it is no call of submit")
    try:
        header = decode_header(call[4:CALL_BYTES])
    except HeaderError as error:
        raise CheckFailed(place, str(error)) from error
    require_equal(number, header.number, place, "it posts another batch")
    try:
        if transaction.blob_hashes:
            require(len(call) == CALL_BYTES, place, "it carries data both in blobs and behind the call")
            found = blobs(transaction.blob_hashes, transaction.block_time_s)
            require_blobs(place, transaction.blob_hashes, found)
            return PostedBatch(header, decode_batch_data(unpack_blobs(found), number))
        if len(call) > CALL_BYTES:
            return PostedBatch(header, decode_batch_data(call[CALL_BYTES:], number))
    except BatchDataError as error:
        raise CheckFailed(place, str(error)) from error
    return PostedBatch(header, None)


@lru_cache(maxsize=1)
def load_setup() -> Any:
    """Return Ethereum's trusted setup of KZG."""
    return ckzg.load_trusted_setup(TRUSTED_SETUP, 0)


def require_blobs(place: str, hashes: Sequence[bytes], blobs: Sequence[bytes]) -> None:
    """Compare blobs with the versioned hashes that the transaction names (EIP-4844)."""
    require_equal(len(hashes), len(blobs), place, "the source gave another number of blobs")
    for position, (expected, blob) in enumerate(zip(hashes, blobs, strict=True)):
        require_equal(BLOB_BYTES, len(blob), f"{place} blob {position}", "it has another size")
        try:
            commitment = ckzg.blob_to_kzg_commitment(blob, load_setup())
        except (RuntimeError, ValueError) as error:
            raise CheckFailed(f"{place} blob {position}", f"it is no blob: {error}") from error
        found = VERSIONED_HASH + hashlib.sha256(commitment).digest()[1:]
        message = "it does not hash to what the transaction names"
        require_equal(expected, found, f"{place} blob {position}", message)


def read_blob_folder(folder: Path) -> BlobSource:
    """Return a source that reads files named `0x<versioned hash>.blob`."""

    def read(hashes: Sequence[bytes], block_time_s: int) -> list[bytes]:
        blobs = []
        for versioned_hash in hashes:
            path = folder / f"0x{versioned_hash.hex()}.blob"
            try:
                with path.open("rb") as file:
                    blobs.append(file.read(BLOB_BYTES + 1))
            except OSError as error:
                raise CheckFailed(path.name, f"the blob cannot be read: {error.strerror}") from error
        return blobs

    return read


def read_beacon(address: str) -> BlobSource:
    """Return a source that asks a server of the beacon API for the blobs of a block's slot."""
    base = address.rstrip("/")

    def read(hashes: Sequence[bytes], block_time_s: int) -> list[bytes]:
        genesis = ask_beacon(f"{base}/eth/v1/beacon/genesis")
        try:
            slot = (block_time_s - int(genesis["data"]["genesis_time"])) // SECONDS_PER_SLOT
            names = ",".join("0x" + versioned_hash.hex() for versioned_hash in hashes)
            answer = ask_beacon(f"{base}/eth/v1/beacon/blobs/{slot}?versioned_hashes={names}")
            rows = answer["data"]
            require(len(rows) <= BLOBS_MAX, f"slot {slot}", "the server gave too many blobs")
            return [bytes.fromhex(str(row).removeprefix("0x")) for row in rows]
        except (KeyError, TypeError, ValueError) as error:
            raise CheckFailed(base, f"the answer is not that of the beacon API: {error}") from error

    return read


def ask_beacon(address: str) -> dict[str, Any]:
    """Return the decoded answer to one request."""
    try:
        with urllib.request.urlopen(address, timeout=TIMEOUT_S) as response:
            data = response.read(ANSWER_BYTES_MAX + 1)
        require(len(data) <= ANSWER_BYTES_MAX, address, "the answer is too large")
        answer = json.loads(data)
    except (OSError, ValueError, urllib.error.URLError) as error:
        raise CheckFailed(address, f"the blobs cannot be had: {error}") from error
    require(isinstance(answer, dict), address, "the answer is no object")
    return cast(dict[str, Any], answer)


def refuse_blobs(hashes: Sequence[bytes], block_time_s: int) -> list[bytes]:
    """Have no source of blobs."""
    raise CheckFailed("blobs", "the batch was posted as blobs; name a source of them with --blobs")


def open_blobs(source: str | None) -> BlobSource:
    """Return the source at a folder or at an http(s) address."""
    if source is None:
        return refuse_blobs
    if source.startswith(("http://", "https://")):
        return read_beacon(source)
    return read_blob_folder(Path(source))
