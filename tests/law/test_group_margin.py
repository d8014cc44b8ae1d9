"""[MARGIN-13] by brute force: the leaf finds the worst that one window of fills can cost, exactly.

Every fill of a few quotes of a few lots is tried, and the least sum within the limit must be the leaf's. The
group's use of the leaf in the engine is compared with the naive model's in tests/model.
"""

import itertools
from collections.abc import Callable

import numpy as np
import pytest

from novate.protocol.quote_margin import (
    add_protected_bound,
    compute_limit_capacity,
    compute_protected_worst,
)

GROUPS = 4_000
QUOTES_MAX, LOTS_MAX, VALUE_MAX = 4, 4, 1 << 38


def find_worst(values: np.ndarray, lots: np.ndarray, limit_lots: int) -> int:
    """The least sum of fills times value over all fills within the limit, all of them tried."""
    fills = np.array(list(itertools.product(*(range(size + 1) for size in lots))), np.int64)
    return int((fills @ values)[fills.sum(axis=1) <= limit_lots].min())


Leaf = Callable[[np.ndarray, np.ndarray, int], int]


def ask_leaf(values: np.ndarray, lots: np.ndarray, limit_lots: int) -> int:
    """What the leaf answers, given copies, because it uses them as scratch."""
    return int(compute_protected_worst(values.copy(), lots.copy(), len(values), limit_lots))


def count_wrong_worsts(answer: Leaf, groups: int) -> int:
    """Random groups, with ties, gains and every limit from none to more than all lots, in which an answer is
    not the least of all fills.
    """
    rng, wrong = np.random.default_rng(13), 0
    for _ in range(groups):
        count = int(rng.integers(1, QUOTES_MAX + 1))
        width = int(rng.choice([3, 1000, VALUE_MAX]))
        values = rng.integers(-width, width // 2, count)
        lots = rng.integers(1, LOTS_MAX + 1, count)
        for limit_lots in range(int(lots.sum()) + 2):
            wrong += find_worst(values, lots, limit_lots) != answer(values, lots, limit_lots)
    return wrong


def test_the_worst_window_is_the_least_of_all_fills() -> None:
    """For random groups the leaf finds the least sum of all fills within the limit, all of them tried."""
    assert count_wrong_worsts(ask_leaf, GROUPS) == 0


def take_the_least_bad(values: np.ndarray, lots: np.ndarray, limit_lots: int) -> int:
    each = np.sort(np.repeat(np.minimum(values, 0), lots))[::-1]
    return int(each[:limit_lots].sum())


def take_them_in_order(values: np.ndarray, lots: np.ndarray, limit_lots: int) -> int:
    return int(np.repeat(np.minimum(values, 0), lots)[:limit_lots].sum())


def take_gains_too(values: np.ndarray, lots: np.ndarray, limit_lots: int) -> int:
    return int(np.sort(np.repeat(values, lots))[:limit_lots].sum())


def ignore_the_limit(values: np.ndarray, lots: np.ndarray, limit_lots: int) -> int:
    return int((np.minimum(values, 0) * lots).sum())


def take_whole_quotes(values: np.ndarray, lots: np.ndarray, limit_lots: int) -> int:
    total = 0
    for k in np.argsort(values):
        if values[k] < 0 and lots[k] <= limit_lots:
            total += int(values[k] * lots[k])
            limit_lots -= int(lots[k])
    return total


@pytest.mark.parametrize(
    "planted",
    [take_the_least_bad, take_them_in_order, take_gains_too, ignore_the_limit, take_whole_quotes],
)
def test_a_wrong_worst_is_caught(planted: Leaf) -> None:
    """The least bad first, any order, gains counted, no limit, and only whole quotes are not the worst."""
    assert count_wrong_worsts(planted, 200) > 0


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


def bound_worst(
    values: np.ndarray, lots: np.ndarray, directions: np.ndarray, limit_lots: int, cuts: np.ndarray
) -> np.ndarray:
    """A lower bound of the worst of each column of values by its cut, as the engine finds it: half of a value
    is the row's, the rest does not depend on the column.
    """
    bounds = min(limit_lots, int(lots.sum())) * cuts
    for k in range(len(lots)):
        base = int(values[k, 0]) // 2
        row = directions[k] * (values[k] - base)
        add_protected_bound(bounds, cuts, row, int(directions[k]), base, int(lots[k]))
    return bounds


def test_any_cut_bounds_the_worst_and_the_last_lot_counted_meets_it() -> None:
    """For random groups and any cut that is no gain, the bound is at most the worst; with the cut that the
    leaf leaves behind it is the worst itself.
    """
    rng = np.random.default_rng(15)
    for _ in range(300):
        count, width = int(rng.integers(1, 40)), int(rng.choice([3, 1000, VALUE_MAX]))
        values = rng.integers(-width, width // 2, (count, 32))
        lots, directions = rng.integers(1, 100, count), rng.choice([-1, 1], count)
        limit_lots = int(rng.integers(0, lots.sum() + 2))
        scratch = [values[:, s].copy() for s in range(32)]
        worsts = np.array(
            [compute_protected_worst(column, lots.copy(), count, limit_lots) for column in scratch]
        )
        best_cuts = np.minimum(0, np.array([column[0] for column in scratch]))
        for cuts in (np.zeros(32, np.int64), -rng.integers(0, width + 1, 32), best_cuts):
            assert (bound_worst(values, lots, directions, limit_lots, cuts) <= worsts).all()
        assert worsts.tolist() == bound_worst(values, lots, directions, limit_lots, best_cuts).tolist()


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


def count_wrong_capacities(answer: Callable[[int, int, int], int]) -> int:
    """Cases in which an answer is not the most lots that keep a count within its limit, tried one by one."""
    wrong = 0
    for limit, filled, change in itertools.product(range(1, 7), range(-8, 9), (-3, -2, -1, 1, 2, 3)):
        lots = 0
        while (1 if change > 0 else -1) * (filled + (lots + 1) * change) <= limit:
            lots += 1
        wrong += lots != answer(limit, filled, change)
    return wrong


def forget_the_side(limit: int, filled: int, change: int) -> int:
    return max(0, (limit - filled) // abs(change))


def forget_the_count(limit: int, filled: int, change: int) -> int:
    return limit // abs(change)


def let_one_more_through(limit: int, filled: int, change: int) -> int:
    return compute_limit_capacity(limit, filled, change) + 1


def test_a_capacity_is_the_most_that_stays_within_the_limit() -> None:
    """Lot by lot, on both sides; a count that is beyond its limit already leaves nothing."""
    assert count_wrong_capacities(compute_limit_capacity) == 0


@pytest.mark.parametrize("planted", [forget_the_side, forget_the_count, let_one_more_through])
def test_a_wrong_capacity_is_caught(planted: Callable[[int, int, int], int]) -> None:
    """One side for both, a limit without what is filled, and a lot too many are caught."""
    assert count_wrong_capacities(planted) > 0
