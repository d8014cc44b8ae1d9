"""Blobs on their way to the chain: commitments, cell proofs, and the wrapping in which nodes take them.

The trusted setup of KZG is that of Ethereum, shipped with eth-account, and is loaded once. Implements the
sending side of [SETTLE-34].
"""

import hashlib
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import ckzg
from eth_account.typed_transactions.base import TRUSTED_SETUP

from novate.protocol.transaction import encode_rlp_integer, encode_rlp_item, encode_rlp_list
from novate.settlement.files import replace_file

BLOB_KIND = b"\x03"
WRAPPER_VERSION = 1  # EIP-7594: a proof for each of a blob's 128 cells.
VERSIONED_HASH = b"\x01"
SIDECARS_KEPT = 16


class Sidecar(NamedTuple):
    """What travels beside a transaction with blobs."""

    blobs: tuple[bytes, ...]
    commitments: tuple[bytes, ...]
    cell_proofs: tuple[bytes, ...]

    @property
    def versioned_hashes(self) -> list[bytes]:
        """What the transaction itself names (EIP-4844)."""
        return [VERSIONED_HASH + hashlib.sha256(commitment).digest()[1:] for commitment in self.commitments]

    def wrap(self, signed: bytes) -> bytes:
        """Return a signed transaction of kind 3 with its blobs, as nodes take it."""
        assert signed[:1] == BLOB_KIND, "Condition failed: only transactions of kind 3 carry blobs."
        lists = [encode_rlp_list([encode_rlp_item(item) for item in items]) for items in self]
        return BLOB_KIND + encode_rlp_list([signed[1:], encode_rlp_integer(WRAPPER_VERSION), *lists])


@lru_cache(maxsize=1)
def load_setup() -> Any:
    """Return the trusted setup, which takes a second or two to read."""
    return ckzg.load_trusted_setup(TRUSTED_SETUP, 0)


@lru_cache(maxsize=SIDECARS_KEPT)
def make_sidecar(blobs: tuple[bytes, ...]) -> Sidecar:
    """Return commitments and cell proofs of blobs."""
    setup = load_setup()
    commitments = tuple(ckzg.blob_to_kzg_commitment(blob, setup) for blob in blobs)
    proofs = [proof for blob in blobs for proof in ckzg.compute_cells_and_kzg_proofs(blob, setup)[1]]
    return Sidecar(blobs, commitments, tuple(proofs))


def store_blobs(folder: Path, blobs: Sequence[bytes]) -> None:
    """Keep blobs by versioned hash, for those who come after the chain's nodes have dropped them."""
    folder.mkdir(parents=True, exist_ok=True)
    for versioned_hash, blob in zip(make_sidecar(tuple(blobs)).versioned_hashes, blobs, strict=True):
        path = folder / f"0x{versioned_hash.hex()}.blob"
        if not path.exists():
            replace_file(path, blob)
