"""The state tree: a sparse 4-ary Merkle tree of Poseidon2 with fixed depth and zero for an empty leaf.

Nodes live in one growing array of limbs per level; an update hashes the dirty nodes of each level in one
batch. It refuses to know what a leaf means. Implements [STATE-TREE-4] and [STATE-TREE-5].
"""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from novate.protocol.generated.poseidon2_constants import P
from novate.protocol.poseidon2 import compress4
from novate.protocol.poseidon2_kernel import LIMB_COUNT, Limbs, compress_batch, join_limbs, split_limbs

ARITY = 4
ARITY_BITS = 2
DEPTH_MAX = 31
EMPTY_LEAF = 0

# The three siblings of a node, in the order of their positions.
Siblings = tuple[int, int, int]


@lru_cache(maxsize=DEPTH_MAX + 1)
def compute_empty_root(depth: int) -> int:
    """Return the root of a tree of this depth in which every leaf is empty [STATE-TREE-4]."""
    if depth == 0:
        return EMPTY_LEAF
    child = compute_empty_root(depth - 1)
    return compress4(child, child, child, child)


class _Level:
    """The nodes of one level that differ from the default. Row 0 of the array is the default itself."""

    def __init__(self, default: int) -> None:
        self.rows: dict[int, int] = {}
        self.values: Limbs = np.zeros((16, LIMB_COUNT), dtype=np.uint64)
        self.values[0] = split_limbs(default)

    def write(self, indices: Sequence[int], values: Limbs) -> None:
        """Store one value per index; where an index repeats, the last value stays."""
        rows = self.rows
        targets = [rows.setdefault(index, len(rows) + 1) for index in indices]
        while len(rows) >= len(self.values):
            self.values = np.concatenate([self.values, np.zeros_like(self.values)])
        self.values[targets] = values

    def read(self, indices: Sequence[int]) -> Limbs:
        """Return the values of these nodes, uint64[n, 4]."""
        rows = self.rows
        return self.values[[rows.get(index, 0) for index in indices]]


class SparseTree:
    """A mutable tree of 4**depth leaves. Leaves are field elements in [0, P).

    Time       one Poseidon2 compression per dirty node and level; memory grows with the leaves ever written.
    Law        [STATE-TREE-4]
    """

    def __init__(self, depth: int) -> None:
        if not 1 <= depth <= DEPTH_MAX:
            raise ValueError(f"Condition failed: the depth is in [1, {DEPTH_MAX}], it is {depth}.")
        self.depth = depth
        self.capacity = 1 << (ARITY_BITS * depth)
        self._levels = [_Level(compute_empty_root(height)) for height in range(depth + 1)]

    @property
    def root(self) -> int:
        """The root as a field element."""
        return join_limbs(self._levels[self.depth].read([0])[0])

    def leaf(self, index: int) -> int:
        """Return the leaf at an index in [0, capacity)."""
        self._require_index(index)
        return join_limbs(self._levels[0].read([index])[0])

    def update_many(self, indices: Sequence[int], leaves: Sequence[int]) -> None:
        """Write leaves given as integers and rehash the paths above them.

        A repeated index keeps its last leaf.
        """
        if len(indices) != len(leaves):
            raise ValueError("Condition failed: there is one leaf for each index.")
        values = np.empty((len(leaves), LIMB_COUNT), dtype=np.uint64)
        for row, leaf in enumerate(leaves):
            if not 0 <= leaf < P:
                raise ValueError(f"Condition failed: leaf {row} is a field element.")
            values[row] = split_limbs(leaf)
        self.update_limbs(indices, values)

    def update_limbs(self, indices: Sequence[int], leaves: Limbs | NDArray[np.uint64]) -> None:
        """Write leaves given as uint64[n, 4], low limb first, each below P (the caller keeps this true)."""
        if len(indices) == 0:
            return
        for index in (min(indices), max(indices)):
            self._require_index(index)
        nodes = [int(index) for index in indices]
        self._levels[0].write(nodes, leaves)
        for height in range(self.depth):
            parents = sorted({node >> ARITY_BITS for node in nodes})
            children = [parent << ARITY_BITS | cell for parent in parents for cell in range(ARITY)]
            inputs = self._levels[height].read(children).reshape(len(parents), ARITY, LIMB_COUNT)
            out = np.empty((len(parents), LIMB_COUNT), dtype=np.uint64)
            compress_batch(inputs, out)
            self._levels[height + 1].write(parents, out)
            nodes = parents

    def path(self, index: int) -> list[Siblings]:
        """Return the siblings of a leaf, from its own level up to the one below the root [STATE-TREE-5]."""
        self._require_index(index)
        siblings: list[Siblings] = []
        for height in range(self.depth):
            first, own = index & ~(ARITY - 1), index & (ARITY - 1)
            family = [join_limbs(limbs) for limbs in self._levels[height].read(range(first, first + ARITY))]
            a, b, c = (value for cell, value in enumerate(family) if cell != own)
            siblings.append((a, b, c))
            index >>= ARITY_BITS
        return siblings

    def _require_index(self, index: int) -> None:
        if not 0 <= index < self.capacity:
            raise ValueError(f"Condition failed: leaf index {index} is in [0, {self.capacity}).")


def compute_path_root(index: int, leaf: int, path: Sequence[Siblings]) -> int:
    """Return the root that a leaf at an index and its siblings imply [STATE-TREE-5]."""
    node = leaf
    for a, b, c in path:
        family = [a, b, c]
        family.insert(index & (ARITY - 1), node)
        node = compress4(family[0], family[1], family[2], family[3])
        index >>= ARITY_BITS
    return node


def verify_path(root: int, index: int, leaf: int, path: Sequence[Siblings]) -> bool:
    """Return whether a leaf stands at an index of the tree with this root and depth len(path) [STATE-TREE-5].

    Every number must be canonical: an index beyond the tree or an element not below P proves nothing.
    """
    if not 0 <= index < 1 << (ARITY_BITS * len(path)):
        return False
    if not all(0 <= element < P for element in (leaf, *(x for siblings in path for x in siblings))):
        return False
    return compute_path_root(index, leaf, path) == root
