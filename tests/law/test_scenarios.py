"""The 32 scenarios: the table, the shocks, and rows against mpmath and fractions."""

import math
import random
from collections.abc import Callable
from fractions import Fraction

import mpmath
import numpy as np
import pytest

from novate.protocol.arithmetic import ONE_X48
from novate.protocol.black76 import CALL, PUT
from novate.protocol.generated.constants import NS_PER_DAY, NS_PER_YEAR
from novate.protocol.scenarios import (
    DAMPING_E6,
    LN_MOVE_X48,
    MOVE_E6,
    SCENARIO_COUNT,
    VOLATILITY_MODE,
    compute_floor_volatility_x48,
    compute_option_row,
    compute_option_total_volatility_x48,
    compute_perpetual_row,
    compute_volatility_factors_x48,
)

Array = np.ndarray
GRID = [-16, -12, -8, -4, 0, 4, 8, 12, 16]
FLAT = [-16, -8, -4, 4, 8, 16]
TAILS = {-66: ".21", -33: ".42", 50: ".28", 100: ".14", 200: ".07", 300: ".046", 400: ".035", 500: ".028"}
UNCHANGED, UP, DOWN = 0, 1, 2
DAYS = [0, 0.5, 1, 7, 29.9, 30, 30.1, 90, 365, 3650]


def list_scenarios() -> list[tuple[int, int, Fraction]]:
    """The table of the margin law, written out once more: (move in per cent, volatility mode, damping)."""
    rows = [(move, mode, Fraction(1)) for mode in (UP, DOWN) for move in GRID]
    rows += [(move, UNCHANGED, Fraction(1)) for move in FLAT]
    return rows + [(move, UP, Fraction(damping)) for move, damping in TAILS.items()]


def test_table_is_that_of_the_margin_law() -> None:
    """Moves, modes and dampings are the 32 of the law, in its order. [SCENARIO-1]."""
    expected = list_scenarios()
    assert SCENARIO_COUNT == len(expected) == len(MOVE_E6)
    assert [move * 10_000 for move, _, _ in expected] == MOVE_E6.tolist()
    assert [mode for _, mode, _ in expected] == VOLATILITY_MODE.tolist()
    assert [damping * 10**6 for _, _, damping in expected] == DAMPING_E6.tolist()
    for move, logarithm in zip(MOVE_E6.tolist(), LN_MOVE_X48.tolist(), strict=True):
        with mpmath.workdps(40):
            assert logarithm == int(mpmath.nint(mpmath.log(1 + mpmath.mpf(move) / 10**6) * ONE_X48))


def compute_factors(days: float) -> tuple[float, float]:
    d = max(days, 1.0)
    power = 0.30 if d <= 30 else 0.13
    return 1 + 0.5 * (30 / d) ** power, 1 - 0.3 * (30 / d) ** power


@pytest.mark.parametrize("days", DAYS)
def test_volatility_shocks(days: float) -> None:
    """Factors and floor follow their formulas; both powers meet at 30 days. [SCENARIO-2], [SCENARIO-3]."""
    time_ns = round(days * NS_PER_DAY)
    for mine, exact in zip(compute_volatility_factors_x48(time_ns), compute_factors(days), strict=True):
        assert abs(mine / ONE_X48 - exact) < 1e-12
    floor = compute_floor_volatility_x48(time_ns)
    assert abs(floor / ONE_X48 - 0.4 * math.sqrt(time_ns / NS_PER_YEAR)) < 1e-12


def test_past_expiry_is_shocked_like_the_last_day() -> None:
    """After expiry the factors are those of one day and the floor is zero."""
    assert compute_volatility_factors_x48(NS_PER_DAY) == compute_volatility_factors_x48(-5)
    assert 0 == compute_floor_volatility_x48(0) == compute_floor_volatility_x48(-5)


def price_lot(kind: int, forward: Fraction, strike: int, volatility: float, lots_per_unit: int) -> mpmath.mpf:
    """Exact value of one lot, in atoms."""
    f, k, v = mpmath.mpf(forward.numerator) / forward.denominator, mpmath.mpf(strike), mpmath.mpf(volatility)
    sign = 1 if kind == CALL else -1
    if v == 0:
        return max(sign * (f - k), mpmath.mpf(0)) / lots_per_unit
    d1 = mpmath.log(f / k) / v + v / 2
    return sign * (f * mpmath.ncdf(sign * d1) - k * mpmath.ncdf(sign * (d1 - v))) / lots_per_unit


Case = tuple[int, int, int, int, int, int, int]


def list_cases() -> list[Case]:
    """(kind, forward, strike, lots per unit, total volatility, time, basis shift)."""
    source = random.Random(4)
    cases: list[Case] = [(CALL, 2**40 - 1, 2**40 - 1, 100, 2**51 - 1, NS_PER_YEAR, 999_999)]
    cases += [(PUT, 1, 1, 1, 0, 0, 0), (CALL, 90_000_000_000, 80_000_000_000, 100, 0, 0, 20_000)]
    for _ in range(60):
        forward = source.randrange(10**9, 2 * 10**11)
        strike = int(forward * math.exp(source.gauss(0, 0.4)))
        time_ns = int(NS_PER_DAY * 10 ** source.uniform(-1, 2.6))
        volatility = int(source.uniform(0.2, 1.5) * math.sqrt(time_ns / NS_PER_YEAR) * ONE_X48)
        shift = source.randrange(0, 100_000)
        cases.append(
            (source.randrange(2), forward, strike, source.choice((10, 100)), volatility, time_ns, shift)
        )
    return cases


def fill_row(case: Case) -> tuple[int, list[int], list[int]]:
    """(mark, row, basis row) by the law."""
    kind, forward, strike, lots_per_unit, volatility, time_ns, shift = case
    row, basis_row = np.zeros(SCENARIO_COUNT, np.int64), np.zeros(2, np.int64)
    up, down = compute_volatility_factors_x48(time_ns)
    floor = compute_floor_volatility_x48(time_ns)
    mark = compute_option_row(
        kind, forward, strike, lots_per_unit, volatility, floor, up, down, shift, row, basis_row
    )
    return int(mark), row.tolist(), basis_row.tolist()


def count_wrong_cells(fill: Callable[[Case], tuple[int, list[int], list[int]]]) -> int:
    """Cells off the formulas by more than rounding: an atom per floor, and 1e-13 of the forward."""
    wrong = 0
    with mpmath.workdps(30):
        for case in list_cases():
            kind, forward, strike, lots_per_unit, volatility_x48, time_ns, shift = case
            mark, row, basis_row = fill(case)
            slack = 2 + 12 * 1e-13 * max(forward, strike) / lots_per_unit
            volatility = volatility_x48 / ONE_X48
            wrong += abs(mark - price_lot(kind, Fraction(forward), strike, volatility, lots_per_unit)) > slack
            up, down = compute_factors(time_ns / NS_PER_DAY)
            floor = 0.4 * math.sqrt(time_ns / NS_PER_YEAR)
            shocked = {
                UNCHANGED: volatility,
                UP: min(max(volatility * up, floor), 8.0),
                DOWN: volatility * down,
            }
            for (move, mode, damping), mine in zip(list_scenarios(), row, strict=True):
                moved = Fraction(forward) * (100 + move) / 100
                value = price_lot(kind, moved, strike, shocked[mode], lots_per_unit)
                wrong += abs(mine - (value - mark) * float(damping)) > slack
            for sign, mine in zip((-1, 1), basis_row, strict=True):
                moved = Fraction(forward) * (10**6 + sign * shift) / 10**6
                wrong += (
                    abs(mine - (price_lot(kind, moved, strike, volatility, lots_per_unit) - mark)) > slack
                )
    return wrong


def test_rows_follow_the_formulas() -> None:
    """Marks and rows are within rounding of exact values. [MARK-4], [SCENARIO-4], [SCENARIO-5]."""
    assert count_wrong_cells(fill_row) == 0


def test_rows_round_down() -> None:
    """A damped profit is the floor of the exact damped difference, also where it is a loss. [SCENARIO-4]."""
    mark, row, _ = fill_row((PUT, 90_000_000_000, 90_000_000_000, 100, 0, 0, 0))
    assert mark == 0
    # At expiry the values are exact: a fall of 33 % pays 297 million atoms a lot, damped by .42.
    tail = row[25]
    assert math.floor(Fraction(297_000_000) * Fraction("0.42")) == tail
    mark, row, _ = fill_row((CALL, 90_000_000_001, 60_000_000_000, 7, 0, 0, 0))
    loss = Fraction(0) - mark
    assert math.floor(loss * Fraction("0.21")) == row[24]
    assert mark == 30_000_000_001 // 7


def test_perpetual_rows_are_linear() -> None:
    """A perpetual's row is its mark times the move, damped, floored twice. [SCENARIO-6]."""
    row, basis_row = np.ones(SCENARIO_COUNT, np.int64), np.ones(2, np.int64)
    for index, lots_per_unit in ((88_500_123_457, 1000), (2_978_740_001, 100), (2**40 - 1, 64), (1, 1)):
        mark = compute_perpetual_row(index, lots_per_unit, row, basis_row)
        assert index // lots_per_unit == mark
        profits = [math.floor(Fraction(mark * move, 100)) for move, _, _ in list_scenarios()]
        dampings = [damping for _, _, damping in list_scenarios()]
        expected = [math.floor(p * damping) for p, damping in zip(profits, dampings, strict=True)]
        assert expected == row.tolist()
        assert [0, 0] == basis_row.tolist()


def test_strike_keeps_its_own_volatility() -> None:
    """An option's volatility is the slice's at its strike, scaled by the time left. [MARK-4]."""
    slice_x48 = [round(each * ONE_X48) for each in (0.04, 0.15, -0.3, 0.02, 0.4)]
    mine = compute_option_total_volatility_x48(*slice_x48, 90_000_000_000, 120_000_000_000, ONE_X48 // 4)
    d = math.log(120 / 90) - 0.02
    expected = math.sqrt((0.04 + 0.15 * (-0.3 * d + math.hypot(d, 0.4))) / 4)
    assert abs(mine / ONE_X48 - expected) < 1e-12


def damp_wrongly(case: Case) -> tuple[int, list[int], list[int]]:
    mark, row, basis_row = fill_row(case)
    row[29] = row[29] * 35_000 // 46_000
    return mark, row, basis_row


def swap_shocks(case: Case) -> tuple[int, list[int], list[int]]:
    mark, row, basis_row = fill_row(case)
    return mark, row[9:18] + row[:9] + row[18:], basis_row


def forget_floor(case: Case) -> tuple[int, list[int], list[int]]:
    kind, forward, strike, lots_per_unit, volatility, time_ns, shift = case
    row, basis_row = np.zeros(SCENARIO_COUNT, np.int64), np.zeros(2, np.int64)
    up, down = compute_volatility_factors_x48(time_ns)
    mark = compute_option_row(
        kind, forward, strike, lots_per_unit, volatility, 0, up, down, shift, row, basis_row
    )
    return int(mark), row.tolist(), basis_row.tolist()


def swap_basis(case: Case) -> tuple[int, list[int], list[int]]:
    mark, row, basis_row = fill_row(case)
    return mark, row, basis_row[::-1]


@pytest.mark.parametrize("planted", [damp_wrongly, swap_shocks, forget_floor, swap_basis])
def test_wrong_row_is_caught(planted: Callable[[Case], tuple[int, list[int], list[int]]]) -> None:
    """A wrong damping, exchanged shocks, a missing floor and exchanged shifts each give a wrong cell."""
    assert count_wrong_cells(planted) > 0
