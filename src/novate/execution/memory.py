"""Memory of the engine's tables: zeroed, aligned to cache lines, in huge pages where the system has them.

A venue's tables are read in no order at all, so with small pages most of the time goes into finding out where
a page is. Pages that nobody has touched take no memory.
"""

import math
import mmap
from contextlib import suppress
from typing import Any

import numpy as np

LINE_BYTES = 64
HUGE_PAGE_BYTES = 1 << 21
CHUNK_BYTES = 1 << 26

Array = np.ndarray[Any, np.dtype[Any]]


def map_chunk(size_bytes: int) -> Array:
    """Return zeroed bytes that begin with a huge page, in huge pages if the system grants them."""
    if not hasattr(mmap, "MADV_HUGEPAGE"):
        return np.zeros(size_bytes, np.uint8)
    # Private, so that a copy of the process sees the tables as they were.
    flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
    pages = mmap.mmap(-1, size_bytes + HUGE_PAGE_BYTES, flags=flags)
    # A kernel without huge pages refuses and gives small ones, which hold the same bytes.
    with suppress(OSError):
        pages.madvise(mmap.MADV_HUGEPAGE)
    whole = np.frombuffer(pages, np.uint8)
    start = -whole.ctypes.data % HUGE_PAGE_BYTES
    return whole[start : start + size_bytes]


class Arena:
    """Gives out tables from large pieces of memory, which live as long as any table in them."""

    def __init__(self) -> None:
        self.chunk: Array = np.zeros(0, np.uint8)
        self.used_bytes = 0

    def zeros(self, shape: int | tuple[int, ...], dtype: Any) -> Array:
        """Return a zeroed table whose first byte begins a cache line."""
        kind = np.dtype(dtype)
        size_bytes = math.prod(shape if isinstance(shape, tuple) else (shape,)) * kind.itemsize
        start = -(-self.used_bytes // LINE_BYTES) * LINE_BYTES
        if start + size_bytes > len(self.chunk):
            whole_pages = -(-size_bytes // HUGE_PAGE_BYTES) * HUGE_PAGE_BYTES
            self.chunk, start = map_chunk(max(CHUNK_BYTES, whole_pages)), 0
        self.used_bytes = start + size_bytes
        table: Array = self.chunk[start : self.used_bytes].view(kind).reshape(shape)
        return table
