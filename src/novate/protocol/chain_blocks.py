"""Payloads of the embedded chain's log: one genesis, then blocks of raw transactions, each in one frame.

Fixed widths, big-endian, nothing optional: two different payloads are never the same block. It does not
execute anything. Implements [SETTLE-13].
"""

import struct
from typing import NamedTuple

from novate.protocol.transaction import TRANSACTION_BYTES_MAX

# Every frame of a chain log has this kind; sequence 0 is the genesis.
CHAIN_KIND = 3
BLOCK_GAS_LIMIT = 30_000_000
ALLOCATION_COUNT_MAX = 1024
BLOCK_TRANSACTION_COUNT_MAX = 1024

GENESIS_HEAD = struct.Struct(">QQI")  # chain id, timestamp, number of allocations
ALLOCATION = struct.Struct(">20s32s")
BLOCK_HEAD = struct.Struct(">QQ20sI")  # number, timestamp, coinbase, number of transactions
LENGTH = struct.Struct(">I")


class BlockError(ValueError):
    """A payload that is no genesis or no block; the message says why."""


class Genesis(NamedTuple):
    """Block 0: the chain id and the ether that exists, in wei per 20-byte address."""

    chain_id: int
    timestamp_s: int
    allocations: tuple[tuple[bytes, int], ...]


class Block(NamedTuple):
    """A block after the genesis; transactions are raw signed bytes in order of execution."""

    number: int
    timestamp_s: int
    coinbase: bytes
    transactions: tuple[bytes, ...]


def encode_genesis(genesis: Genesis) -> bytes:
    """Return the payload of the frame with sequence 0."""
    head = GENESIS_HEAD.pack(genesis.chain_id, genesis.timestamp_s, len(genesis.allocations))
    return head + b"".join(
        ALLOCATION.pack(address, wei.to_bytes(32, "big")) for address, wei in genesis.allocations
    )


def decode_genesis(payload: bytes) -> Genesis:
    """Return the genesis in a payload, or raise BlockError."""
    if len(payload) < GENESIS_HEAD.size:
        raise BlockError("the genesis is cut short")
    chain_id, timestamp_s, count = GENESIS_HEAD.unpack_from(payload)
    body = payload[GENESIS_HEAD.size :]
    if count > ALLOCATION_COUNT_MAX or len(body) != count * ALLOCATION.size:
        raise BlockError(f"the genesis should hold {count} allocations and nothing else")
    pairs = tuple((address, int.from_bytes(wei, "big")) for address, wei in ALLOCATION.iter_unpack(body))
    return Genesis(chain_id, timestamp_s, pairs)


def encode_block(block: Block) -> bytes:
    """Return the payload of the frame whose sequence is the block's number."""
    head = BLOCK_HEAD.pack(block.number, block.timestamp_s, block.coinbase, len(block.transactions))
    return head + b"".join(LENGTH.pack(len(raw)) + raw for raw in block.transactions)


def decode_block(payload: bytes) -> Block:
    """Return the block in a payload, or raise BlockError."""
    if len(payload) < BLOCK_HEAD.size:
        raise BlockError("the block is cut short")
    number, timestamp_s, coinbase, count = BLOCK_HEAD.unpack_from(payload)
    if count > BLOCK_TRANSACTION_COUNT_MAX:
        raise BlockError(
            f"a block has at most {BLOCK_TRANSACTION_COUNT_MAX} transactions, this one says {count}"
        )
    transactions = []
    offset = BLOCK_HEAD.size
    for index in range(count):
        if offset + LENGTH.size > len(payload):
            raise BlockError(f"transaction {index} is cut short")
        (length,) = LENGTH.unpack_from(payload, offset)
        offset += LENGTH.size
        if length > TRANSACTION_BYTES_MAX or offset + length > len(payload):
            raise BlockError(f"transaction {index} is cut short")
        transactions.append(payload[offset : offset + length])
        offset += length
    if offset != len(payload):
        raise BlockError("bytes are left after the last transaction")
    return Block(number, timestamp_s, coinbase, tuple(transactions))
