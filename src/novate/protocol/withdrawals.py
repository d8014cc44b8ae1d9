"""The withdrawals tree of one batch: a binary Keccak-256 Merkle tree that the Vault contract opens cheaply.

A leaf names its batch and index, so a proof need not say where it stands: the two children of a node are
hashed in ascending order. Twin of `Vault.vy`. Implements [SETTLE-10] to [SETTLE-12].
"""

from collections.abc import Sequence
from typing import NamedTuple

from novate.protocol.frame import keccak256

LEAF_TAG = b"\x00"
NODE_TAG = b"\x01"
EMPTY_ROOT = bytes(32)
PROOF_HASHES_MAX = 32
ASSETS_END = 8
UINT64_END = 1 << 64
UINT256_END = 1 << 256


class Withdrawal(NamedTuple):
    """One payment owed by a batch.

    `account` is a 20-byte address; `amount_atoms` is in the smallest units of the asset. `asset` is the
    token's place in the vault: 0 is cash, and today the law pays nothing else.
    """

    batch_number: int
    leaf_index: int
    account: bytes
    amount_atoms: int
    asset: int = 0


def hash_withdrawal(withdrawal: Withdrawal) -> bytes:
    """Return the leaf keccak256(0x00 || abi.encode(uint64, uint64, uint8, address, uint256)) [SETTLE-10]."""
    assert 0 <= withdrawal.batch_number < UINT64_END, "Condition failed: the batch number is a uint64."
    assert 0 <= withdrawal.leaf_index < UINT64_END, "Condition failed: the index is a uint64."
    assert 0 <= withdrawal.asset < ASSETS_END, "Condition failed: the asset is one of the vault's."
    assert 0 <= withdrawal.amount_atoms < UINT256_END, "Condition failed: the amount is a uint256."
    assert len(withdrawal.account) == 20, "Condition failed: an account is 20 bytes."
    words = (
        withdrawal.batch_number.to_bytes(32, "big"),
        withdrawal.leaf_index.to_bytes(32, "big"),
        withdrawal.asset.to_bytes(32, "big"),
        withdrawal.account.rjust(32, b"\x00"),
        withdrawal.amount_atoms.to_bytes(32, "big"),
    )
    return keccak256(LEAF_TAG + b"".join(words))


def hash_pair(a: bytes, b: bytes) -> bytes:
    """Return keccak256(0x01 || lower || higher).

    The node above two hashes, whatever their order [SETTLE-11].
    """
    return keccak256(NODE_TAG + min(a, b) + max(a, b))


def _compute_parents(nodes: Sequence[bytes]) -> list[bytes]:
    """Return the level above; a node without a partner moves up unchanged."""
    parents = [hash_pair(nodes[i], nodes[i + 1]) for i in range(0, len(nodes) - 1, 2)]
    if len(nodes) & 1:
        parents.append(nodes[-1])
    return parents


def compute_withdrawals_root(leaves: Sequence[bytes]) -> bytes:
    """Return the root over leaf hashes in the order of their index.

    32 zero bytes if there are none [SETTLE-11].
    """
    if not leaves:
        return EMPTY_ROOT
    nodes = list(leaves)
    while len(nodes) > 1:
        nodes = _compute_parents(nodes)
    return nodes[0]


def prove_withdrawal(leaves: Sequence[bytes], index: int) -> list[bytes]:
    """Return the siblings of one leaf, from the bottom up; at most PROOF_HASHES_MAX [SETTLE-12]."""
    if not 0 <= index < len(leaves):
        raise ValueError(f"Condition failed: leaf index {index} is in [0, {len(leaves)}).")
    proof: list[bytes] = []
    nodes = list(leaves)
    while len(nodes) > 1:
        sibling = index ^ 1
        if sibling < len(nodes):
            proof.append(nodes[sibling])
        nodes = _compute_parents(nodes)
        index >>= 1
    return proof


def verify_withdrawal(root: bytes, leaf: bytes, proof: Sequence[bytes]) -> bool:
    """Return whether the leaf belongs to the tree with this root.

    An empty tree contains nothing [SETTLE-12].
    """
    if root == EMPTY_ROOT or len(proof) > PROOF_HASHES_MAX:
        return False
    node = leaf
    for sibling in proof:
        node = hash_pair(node, sibling)
    return node == root
