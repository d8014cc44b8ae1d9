"""The state tree against a tree written out in full, and the withdrawals tree against its definition."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from novate.protocol.frame import keccak256
from novate.protocol.generated.poseidon2_constants import P
from novate.protocol.merkle import SparseTree, compute_empty_root, verify_path
from novate.protocol.poseidon2 import compress4
from novate.protocol.withdrawals import (
    EMPTY_ROOT,
    Withdrawal,
    compute_withdrawals_root,
    hash_pair,
    hash_withdrawal,
    prove_withdrawal,
    verify_withdrawal,
)

DEPTH = 3
CAPACITY = 4**DEPTH
leaves = st.one_of(st.just(0), st.just(P - 1), st.integers(0, P - 1))


def compute_full_root(values: list[int]) -> int:
    """Hash every node of a full tree."""
    while len(values) > 1:
        values = [compress4(*values[i : i + 4]) for i in range(0, len(values), 4)]
    return values[0]


@settings(max_examples=15, deadline=None)
@given(st.lists(st.lists(st.tuples(st.integers(0, CAPACITY - 1), leaves), max_size=12), max_size=4))
def test_root_equals_the_full_tree(batches: list[list[tuple[int, int]]]) -> None:
    """After any batches of writes the sparse root is the root of all leaves written out [STATE-TREE-4]."""
    tree, full = SparseTree(DEPTH), [0] * CAPACITY
    for batch in batches:
        tree.update_many([index for index, _ in batch], [leaf for _, leaf in batch])
        for index, leaf in batch:
            full[index] = leaf
    assert compute_full_root(full) == tree.root
    for index in (0, 17, CAPACITY - 1):
        assert full[index] == tree.leaf(index)
        assert verify_path(tree.root, index, full[index], tree.path(index))


def test_empty_tree_and_erasure() -> None:
    """An untouched tree has the empty root, and erasing the last leaf brings it back."""
    tree = SparseTree(10)
    assert compute_empty_root(10) == tree.root
    tree.update_many([7, 4**10 - 1], [1, 2])
    assert compute_empty_root(10) != tree.root
    tree.update_many([7, 4**10 - 1], [0, 0])
    assert compute_empty_root(10) == tree.root


def test_many_leaves_grow_the_tree() -> None:
    """Hundreds of leaves in one batch give the same root as one by one."""
    together, apart = SparseTree(5), SparseTree(5)
    together.update_many(list(range(300)), list(range(1, 301)))
    for index in range(300):
        apart.update_many([index], [index + 1])
    assert together.root == apart.root


def test_paths_prove_one_thing() -> None:
    """A path fails for another leaf, index, root or depth, or for a number not below P [STATE-TREE-5]."""
    tree = SparseTree(DEPTH)
    tree.update_many([3, 20, 21], [111, 222, 333])
    path = tree.path(20)
    assert verify_path(tree.root, 20, 222, path)
    assert not verify_path(tree.root, 20, 223, path)
    assert not verify_path(tree.root, 21, 222, path)
    assert not verify_path(tree.root, 20 + CAPACITY, 222, path)
    assert not verify_path(tree.root, -1, 222, path)
    assert not verify_path(tree.root + 1, 20, 222, path)
    assert not verify_path(tree.root, 20, 222, path[:-1])
    assert not verify_path(tree.root, 20, 222 + P, path)
    assert not verify_path(tree.root, 20, 222, [(path[0][0] + P, *path[0][1:]), *path[1:]])


@pytest.mark.parametrize(
    ("indices", "values"), [([CAPACITY], [1]), ([-1], [1]), ([0], [P]), ([0], [-1]), ([0, 1], [1])]
)
def test_writes_are_checked(indices: list[int], values: list[int]) -> None:
    """An index outside the tree, a leaf outside the field or an uneven batch changes nothing."""
    tree = SparseTree(DEPTH)
    with pytest.raises(ValueError, match="Condition failed"):
        tree.update_many(indices, values)
    assert compute_empty_root(DEPTH) == tree.root


@given(st.lists(st.integers(0, 2**200), max_size=40))
def test_withdrawal_proofs(amounts: list[int]) -> None:
    """Each leaf of a batch of any size is proven by its own path [SETTLE-10] [SETTLE-11] [SETTLE-12]."""
    hashes = [hash_withdrawal(Withdrawal(9, i, b"\x07" * 20, amount)) for i, amount in enumerate(amounts)]
    root = compute_withdrawals_root(hashes)
    for index, leaf in enumerate(hashes):
        proof = prove_withdrawal(hashes, index)
        assert verify_withdrawal(root, leaf, proof)
        assert not verify_withdrawal(root, keccak256(leaf), proof)
    if len(hashes) > 1:
        assert not verify_withdrawal(root, hashes[0], [])


def test_withdrawals_root_by_hand() -> None:
    """The roots of none, one, two and three leaves are what the clause says."""
    a, b, c = (bytes([x]) * 32 for x in (3, 2, 1))
    assert EMPTY_ROOT == compute_withdrawals_root([])
    assert not verify_withdrawal(EMPTY_ROOT, EMPTY_ROOT, [])
    assert a == compute_withdrawals_root([a])
    assert keccak256(b"\x01" + b + a) == compute_withdrawals_root([a, b]) == hash_pair(a, b)
    assert hash_pair(hash_pair(a, b), c) == compute_withdrawals_root([a, b, c])
    with pytest.raises(ValueError, match="leaf index"):
        prove_withdrawal([a], 1)
