"""[MARGIN-13] by brute force: the leaf finds the worst that one window of fills can cost, exactly.

Every fill of a few quotes of a few lots is tried, and the least sum within the limit must be the leaf's. The
group's use of the leaf in the engine is compared with the naive model's in tests/model.
"""

import itertools

import numpy as np
import pytest

from novate.protocol.quote_margin import compute_limit_capacity, compute_protected_worst

GROUPS = 4_000
QUOTES_MAX, LOTS_MAX, VALUE_MAX = 4, 4, 1 << 38


def find_worst(values: np.ndarray, lots: np.ndarray, limit_lots: int) -> int:
    """The least sum of fills times value over all fills within the limit, all of them tried."""
    fills = np.array(list(itertools.product(*(range(size + 1) for size in lots))), np.int64)
    return int((fills @ values)[fills.sum(axis=1) <= limit_lots].min())


def ask_leaf(values: np.ndarray, lots: np.ndarray, limit_lots: int) -> int:
    """What the leaf answers, given copies, because it uses them as scratch."""
    return int(compute_protected_worst(values.copy(), lots.copy(), len(values), limit_lots))


def test_the_worst_window_is_the_least_of_all_fills() -> None:
    """For random groups, with ties, gains and every limit from none to more than all lots."""
    rng = np.random.default_rng(13)
    for _ in range(GROUPS):
        count = int(rng.integers(1, QUOTES_MAX + 1))
        width = int(rng.choice([3, 1000, VALUE_MAX]))
        values = rng.integers(-width, width // 2, count)
        lots = rng.integers(1, LOTS_MAX + 1, count)
        for limit_lots in range(int(lots.sum()) + 2):
            assert find_worst(values, lots, limit_lots) == ask_leaf(values, lots, limit_lots)


def test_a_large_group_is_cut_where_its_sorted_lots_say() -> None:
    """With hundreds of quotes the leaf takes lots in ascending value until the limit is reached."""
    rng = np.random.default_rng(14)
    for _ in range(200):
        count = int(rng.integers(100, 257))
        values = rng.integers(-50, 20, count) * 7
        lots = rng.integers(1, 5_000, count)
        limit_lots = int(rng.integers(0, lots.sum() + 1))
        each = np.sort(np.repeat(np.minimum(values, 0), lots))
        assert int(each[:limit_lots].sum()) == ask_leaf(values, lots, limit_lots)


@pytest.mark.parametrize(
    ("limit", "filled", "change", "capacity"),
    [
        (10, 0, 3, 3),
        (10, 0, -3, 3),
        (10, 7, 3, 1),
        (10, 8, 3, 0),
        (10, 8, -3, 6),
        (10, 12, 3, 0),
        (10, -12, -3, 0),
        (10, 12, -3, 7),
        (10, 0, 0, 1 << 62),
    ],
)
def test_a_limit_leaves_room_on_the_side_that_it_is_filled_from(
    limit: int, filled: int, change: int, capacity: int
) -> None:
    """[MMP-2]: floors, never below zero, and no bound for a quote that does not change the count."""
    assert capacity == compute_limit_capacity(limit, filled, change)
