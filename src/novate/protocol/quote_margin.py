"""Protected quotes: what one window of fills may cost at worst, and how much of a limit is left.

A group of quotes can be filled by at most Q lots in a window, so its worst outcome in a scenario is a
knapsack with unit weights: the lots with the most negative profit first. Implements [MARGIN-13] and the
capacity of [MMP-2].
"""

from typing import Any

import numpy as np

from novate.kernel import kernel
from novate.protocol.arithmetic import div_floor

Array = np.ndarray[Any, np.dtype[Any]]


@kernel
def sift_down(values: Array, lots: Array, start: int, count: int) -> None:
    """Let the element at `start` of a heap with the least value on top sink to its place."""
    value, size = values[start], lots[start]
    at = start
    child = 2 * at + 1
    while child < count:
        if child + 1 < count and values[child + 1] < values[child]:
            child += 1
        if value <= values[child]:
            break
        values[at] = values[child]
        lots[at] = lots[child]
        at = child
        child = 2 * at + 1
    values[at] = value
    lots[at] = size


@kernel
def compute_protected_worst(values: Array, lots: Array, count: int, limit_lots: int) -> int:
    """Return the least sum of n * value over all 0 <= n <= lots of each quote with at most `limit_lots` in
    all.

    Both arrays are scratch: their first `count` elements are given and overwritten.

    Units      atoms per lot, lots -> atoms.
    Range      |value| < 2**38, all lots together <= 2**24: within 2**62. Exact.
    Law        [MARGIN-13]
    """
    kept, open_lots, total = 0, 0, 0
    for i in range(count):
        if values[i] < 0:
            values[kept] = values[i]
            lots[kept] = lots[i]
            open_lots += lots[kept]
            total += values[kept] * lots[kept]
            kept += 1
    if open_lots <= limit_lots:
        return total
    for start in range((kept >> 1) - 1, -1, -1):
        sift_down(values, lots, start, kept)
    left, total = limit_lots, 0
    while left > 0:
        size = min(left, lots[0])
        total += values[0] * size
        left -= size
        kept -= 1
        values[0] = values[kept]
        lots[0] = lots[kept]
        sift_down(values, lots, 0, kept)
    return total


@kernel
def compute_limit_capacity(limit_atoms: int, filled_atoms: int, change_atoms: int) -> int:
    """Return how many lots that each change a count by `change_atoms` fit before the count leaves -limit ..
    limit.

    Range      0 < limit <= 2**60, |filled| < 2**59, |change| < 2**36; 2**62 if nothing changes.
    Rounding   down, never below zero.
    Law        [MMP-2]
    """
    if change_atoms > 0:
        return max(0, div_floor(limit_atoms - filled_atoms, change_atoms))
    if change_atoms < 0:
        return max(0, div_floor(limit_atoms + filled_atoms, -change_atoms))
    return 1 << 62
