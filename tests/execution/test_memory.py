"""The memory of the tables: zeroed, apart from each other, each at the start of a cache line."""

import numpy as np
import pytest

from novate.execution.memory import CHUNK_BYTES, LINE_BYTES, Arena

SHAPES = (1, 3, (5, 7), 0, 1000, (2, 3, 4))


@pytest.mark.parametrize("dtype", [np.int64, np.dtype([("key", np.int64), ("slot", np.int64)]), np.uint8])
def test_tables_are_zeroed_and_aligned(dtype: np.dtype[np.void]) -> None:
    """A table has the shape and type asked for, holds zeros, and begins a cache line."""
    arena = Arena()
    for shape in SHAPES:
        table = arena.zeros(shape, dtype)
        assert table.shape == np.zeros(shape, dtype).shape
        assert table.dtype == np.dtype(dtype)
        assert not table.tobytes().strip(b"\0")
        assert table.ctypes.data % LINE_BYTES == 0
        assert table.flags.writeable


def test_tables_do_not_overlap() -> None:
    """What is written into one table is not seen in another, also where a new piece of memory begins."""
    arena = Arena()
    sizes = (100, CHUNK_BYTES // 8, 3, CHUNK_BYTES // 4, 50)
    tables = [arena.zeros(size, np.int64) for size in sizes]
    for number, table in enumerate(tables):
        table[0] = table[-1] = number + 1
    assert [number + 1 for number in range(len(sizes))] == [int(table[0]) for table in tables]
    assert [number + 1 for number in range(len(sizes))] == [int(table[-1]) for table in tables]


def test_a_table_outlives_its_arena() -> None:
    """Memory stays as long as a table in it does."""
    table = Arena().zeros(1000, np.int64)
    table[:] = 7
    assert 7000 == int(table.sum())
