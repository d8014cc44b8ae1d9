"""The entries of the inbox: what the chain asks of the law, numbered, each committed to by a hash.

Twin of `Inbox.vy`. Implements [SETTLE-8] and [SETTLE-18].
"""

from enum import IntEnum
from typing import NamedTuple

from novate.protocol.frame import keccak256

UINT64_END = 1 << 64
UINT256_END = 1 << 256
DATA_BYTES_MAX = 1024


class EntryKind(IntEnum):
    """What an entry asks for."""

    DEPOSIT = 1
    FORCED_WITHDRAWAL = 2
    AUTHORISE_KEY = 3
    REVOKE_KEY = 4


class InboxEntry(NamedTuple):
    """One entry. `account` is a 20-byte address; `amount_atoms` is in the smallest units of the asset."""

    cursor: int
    kind: int
    account: bytes
    asset: int
    amount_atoms: int
    data: bytes = b""


def hash_entry(entry: InboxEntry) -> bytes:
    """Return keccak256(abi.encode(uint64, uint8, address, uint8, uint256, keccak256(data))) [SETTLE-18]."""
    assert 0 < entry.cursor < UINT64_END, "Condition failed: the cursor is a positive uint64."
    assert 0 < entry.kind < 256, "Condition failed: the kind is a positive uint8."
    assert 0 <= entry.asset < 256, "Condition failed: the asset is a uint8."
    assert 0 <= entry.amount_atoms < UINT256_END, "Condition failed: the amount is a uint256."
    assert len(entry.account) == 20, "Condition failed: an account is 20 bytes."
    assert len(entry.data) <= DATA_BYTES_MAX, "Condition failed: the data is at most 1,024 bytes."
    words = (
        entry.cursor.to_bytes(32, "big"),
        entry.kind.to_bytes(32, "big"),
        entry.account.rjust(32, b"\x00"),
        entry.asset.to_bytes(32, "big"),
        entry.amount_atoms.to_bytes(32, "big"),
        keccak256(entry.data),
    )
    return keccak256(b"".join(words))
