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

    Both arrays are scratch: their first `count` elements are given and overwritten. Afterwards values[0] is
    the value of the last lot counted, or 0 if the limit did not bind: the best cut for `add_protected_bound`.

    Units      atoms per lot, lots -> atoms.
    Range      count >= 1, |value| < 2**38, all lots together <= 2**24: within 2**62. Exact.
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
        values[0] = 0
        return total
    for start in range((kept >> 1) - 1, -1, -1):
        sift_down(values, lots, start, kept)
    left, total = limit_lots, 0
    while True:
        size = min(left, lots[0])
        total += values[0] * size
        left -= size
        if left == 0:
            return int(total)
        kept -= 1
        values[0] = values[kept]
        lots[0] = lots[kept]
        sift_down(values, lots, 0, kept)


@kernel
def add_protected_bound(
    bounds: Array, cuts: Array, row: Array, direction: int, base_atoms: int, lots: int
) -> None:
    """Add one quote to a lower bound of `compute_protected_worst` in each scenario.

    For any cut c <= 0 and n lots in all, n <= limit, the sum of n_k * y_k is at least limit * c plus the sum
    of lots_k * min(0, y_k - c): whatever lies above the cut is counted as nothing more than the cut. Begin
    with limit * c, where limit is at most the open lots. It is the worst itself if c is the last lot counted.

    Range      cuts in -2**38 .. 0, the rest as `compute_protected_worst`: within 2**62. Exact.
    Law        [MARGIN-13]
    """
    for s in range(row.shape[0]):
        bounds[s] += lots * min(0, direction * row[s] + base_atoms - cuts[s])


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
