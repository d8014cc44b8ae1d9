"""[MARK-5] against exact fractions and mpmath: what is known, what moves, and how much less it is worth."""

import math
import random
from collections.abc import Callable
from fractions import Fraction

import mpmath
import numpy as np
import pytest

from novate.protocol.arithmetic import ONE_X48
from novate.protocol.averaging import (
    INVERSE_SQRT3_X48,
    compute_averaged_row,
    compute_averaged_volatility_x48,
    compute_known_atoms,
    compute_moving_atoms,
    compute_rest_ms,
    is_in_window,
)
from novate.protocol.black76 import CALL
from novate.protocol.generated.constants import E6, NS_PER_MS, NS_PER_S, TWAP_WINDOW_NS
from novate.protocol.generated.tables import DAMPING_E6, MOVE_E6, VOLATILITY_MODE

SHIFT_E6 = 10_000
FACTORS_X48 = (ONE_X48 + ONE_X48 // 2, ONE_X48 - ONE_X48 // 4)
Row = tuple[int, list[int], list[int]]
Case = tuple[int, int, int, int, int, int]


def test_the_constant_is_the_inverse_root_of_three() -> None:
    """INVERSE_SQRT3_X48 is floor(2**48 / sqrt(3)), by the integer square root."""
    assert math.isqrt(2**96 // 3) == INVERSE_SQRT3_X48


def test_the_window_is_half_an_hour_without_its_end() -> None:
    """Its first nanosecond belongs to it, the expiry does not."""
    expiry = 20_500 * 86_400 * NS_PER_S
    times = (expiry - TWAP_WINDOW_NS - 1, expiry - TWAP_WINDOW_NS, expiry - 1, expiry)
    assert [False, True, True, False] == [is_in_window(time_ns, expiry) for time_ns in times]


def find_wrong_parts(
    known: Callable[[int, int, int], int], moving: Callable[[int, int, int], int]
) -> list[str]:
    """Which of the two parts are not the floors of the exact shares of the settlement average."""
    source = random.Random(5)
    wrong: set[str] = set()
    for _ in range(500):
        expiry = source.randrange(10**9) * NS_PER_S
        time_ns = expiry - source.randrange(1, TWAP_WINDOW_NS)
        rest_ms = compute_rest_ms(time_ns, expiry)
        assert expiry // NS_PER_MS - time_ns // NS_PER_MS == rest_ms
        # A series listed inside its window has seen less of it than has passed.
        past_ms = source.choice((1_800_000 - rest_ms, source.randrange(1_800_001 - rest_ms)))
        index, forward = source.randrange(1, 2**40), source.randrange(1, 2**40)
        whole = max(1, past_ms + rest_ms)
        if math.floor(Fraction(index * past_ms, whole)) != known(index * past_ms, past_ms, rest_ms):
            wrong.add("known")
        if math.floor(Fraction(forward * rest_ms, whole)) != moving(forward, past_ms, rest_ms):
            wrong.add("moving")
    return sorted(wrong)


def know_the_average_so_far(twap_sum: int, twap_ms: int, rest_ms: int) -> int:
    return twap_sum // max(1, twap_ms)


def know_half_an_hour(twap_sum: int, twap_ms: int, rest_ms: int) -> int:
    return twap_sum // 1_800_000


def move_as_a_whole(forward: int, twap_ms: int, rest_ms: int) -> int:
    return forward


def move_what_is_known(forward: int, twap_ms: int, rest_ms: int) -> int:
    return forward * twap_ms // (twap_ms + rest_ms)


def test_the_parts_are_the_shares_of_the_average() -> None:
    """A and U are floors of the shares of past and rest in the milliseconds that the sums will have."""
    assert [] == find_wrong_parts(compute_known_atoms, compute_moving_atoms)


@pytest.mark.parametrize("planted", [know_the_average_so_far, know_half_an_hour])
def test_a_wrong_known_part_is_caught(planted: Callable[[int, int, int], int]) -> None:
    """The average so far, and half an hour for a series that was listed later, are not the known part."""
    assert ["known"] == find_wrong_parts(planted, compute_moving_atoms)


@pytest.mark.parametrize("planted", [move_as_a_whole, move_what_is_known])
def test_a_wrong_moving_part_is_caught(planted: Callable[[int, int, int], int]) -> None:
    """The whole forward, and the share of the past, are not what moves."""
    assert ["moving"] == find_wrong_parts(compute_known_atoms, planted)


def measure_volatility_error(reduce: Callable[[int, int, int], int]) -> float:
    """The greatest error of the reduced volatility, absolute."""
    source, worst = random.Random(6), mpmath.mpf(0)
    with mpmath.workdps(40):
        for _ in range(300):
            forward = source.randrange(1, 2**40)
            volatility, moving = source.randrange(2**53), source.randrange(forward + 1)
            exact = mpmath.mpf(volatility) / ONE_X48 * moving / forward / mpmath.sqrt(3)
            worst = max(worst, abs(reduce(volatility, moving, forward) / mpmath.mpf(ONE_X48) - exact))
    return float(worst)


def forget_the_average(volatility: int, moving: int, forward: int) -> int:
    return volatility * moving // forward


def root_the_share(volatility: int, moving: int, forward: int) -> int:
    return math.isqrt(volatility * volatility * moving // (3 * forward))


def forget_the_share(volatility: int, moving: int, forward: int) -> int:
    return volatility * INVERSE_SQRT3_X48 >> 48


def test_an_average_is_less_volatile() -> None:
    """Volatility shrinks by the share that moves and by the root of three, within a few units of 2**-48."""
    assert measure_volatility_error(compute_averaged_volatility_x48) < 40 / ONE_X48


@pytest.mark.parametrize("planted", [forget_the_average, root_the_share, forget_the_share])
def test_a_wrong_reduction_is_caught(planted: Callable[[int, int, int], int]) -> None:
    """Without the root of three, with the root of the share, or without the share it is another number."""
    assert measure_volatility_error(planted) > 1e-3


def list_cases() -> list[Case]:
    """(kind, known, moving, strike, lots per unit, total volatility); all or nothing may be known."""
    source = random.Random(7)
    cases: list[Case] = [(CALL, 80_000_000_000, 0, 79_000_000_000, 100, 0)]
    for _ in range(40):
        forward = source.randrange(10**9, 2 * 10**11)
        known = source.choice((0, forward, source.randrange(forward)))
        volatility = int(source.uniform(0.0005, 0.02) * ONE_X48)
        strike = int(forward * math.exp(source.gauss(0, 0.05)))
        cases.append(
            (source.randrange(2), known, forward - known, strike, source.choice((10, 100)), volatility)
        )
    return cases


def fill_row(case: Case) -> Row:
    """(mark, row, basis row) by the law, with a floor of a tenth."""
    kind, known, moving, strike, lots_per_unit, volatility = case
    row, basis_row = np.zeros(32, np.int64), np.zeros(2, np.int64)
    option = (kind, known, moving, max(1, known + moving), strike, lots_per_unit)
    mark = compute_averaged_row(*option, volatility, ONE_X48 // 10, *FACTORS_X48, SHIFT_E6, row, basis_row)
    return int(mark), row.tolist(), basis_row.tolist()


def price_lot(case: Case, rate_e6: int, volatility: mpmath.mpf) -> mpmath.mpf:
    """Black's formula in atoms for a lot, the moving part of the forward multiplied by a rate."""
    kind, known, moving, strike, lots_per_unit, _ = case
    forward = max(mpmath.mpf(1), known + mpmath.mpf(moving) * rate_e6 / E6)
    sign = 1 if kind == CALL else -1
    if volatility == 0:
        return max(sign * (forward - strike), mpmath.mpf(0)) / lots_per_unit
    d1 = mpmath.log(forward / strike) / volatility + volatility / 2
    value = forward * mpmath.ncdf(sign * d1) - strike * mpmath.ncdf(sign * (d1 - volatility))
    return sign * value / lots_per_unit


def count_wrong_cells(fill: Callable[[Case], Row]) -> int:
    """Cells that are off the formulas by more than rounding."""
    wrong = 0
    with mpmath.workdps(30):
        for case in list_cases():
            mark, row, basis_row = fill(case)
            slack = 2 + 6e-12 * max(case[1] + case[2], case[3]) / case[4]
            volatility = mpmath.mpf(case[5]) / ONE_X48
            shocked = [volatility, max(volatility * 3 / 2, mpmath.mpf("0.1")), volatility * 3 / 4]
            wrong += abs(mark - price_lot(case, E6, volatility)) > slack
            for move, mode, damping, mine in zip(MOVE_E6, VOLATILITY_MODE, DAMPING_E6, row, strict=True):
                gain = price_lot(case, E6 + int(move), shocked[int(mode)]) - mark
                wrong += abs(mine - gain * int(damping) / E6) > slack
            for rate_e6, mine in zip((E6 - SHIFT_E6, E6 + SHIFT_E6), basis_row, strict=True):
                wrong += abs(mine - (price_lot(case, rate_e6, volatility) - mark)) > slack
    return wrong


def shock_the_whole_forward(case: Case) -> Row:
    kind, known, moving, strike, lots_per_unit, volatility = case
    return fill_row((kind, 0, known + moving, strike, lots_per_unit, volatility))


def shock_what_is_known(case: Case) -> Row:
    kind, known, moving, strike, lots_per_unit, volatility = case
    return fill_row((kind, moving, known, strike, lots_per_unit, volatility))


def swap_the_shifts(case: Case) -> Row:
    mark, row, basis_row = fill_row(case)
    return mark, row, basis_row[::-1]


def test_rows_move_only_what_still_moves() -> None:
    """Marks, rows and basis rows in the window are within rounding of exact values."""
    assert count_wrong_cells(fill_row) == 0


@pytest.mark.parametrize("planted", [shock_the_whole_forward, shock_what_is_known, swap_the_shifts])
def test_a_wrong_row_is_caught(planted: Callable[[Case], Row]) -> None:
    """Shocking the whole forward, or the known part, and exchanged shifts give wrong cells."""
    assert count_wrong_cells(planted) > 0
