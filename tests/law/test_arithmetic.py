"""The named divisions and the square root of the law, against exact fractions and Python's own integers."""

import math
import random
from collections.abc import Callable
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from novate.protocol import arithmetic
from novate.protocol.arithmetic import (
    div_ceil,
    div_floor,
    div_x48,
    mul_ratio_ceil_e6,
    mul_ratio_floor_e6,
    mul_x48,
    sqrt_x48,
)

# The first call compiles, which no deadline should count.
compiling = settings(deadline=None, max_examples=300)

WIDE = st.integers(-(2**62), 2**62)
DIVISORS = st.integers(1, 59).flatmap(lambda bits: st.integers(1, 2**bits - 1))


@compiling
@given(WIDE, st.integers(1, 2**62))
def test_divisions_round_as_named(a: int, b: int) -> None:
    """div_floor and div_ceil are the floor and the ceiling of the exact quotient. [PRICE-1]."""
    assert math.floor(Fraction(a, b)) == div_floor(a, b)
    assert math.ceil(Fraction(a, b)) == div_ceil(a, b)


@compiling
@given(st.integers(-(2**62), 2**62), st.integers(0, 2**40 - 1))
def test_ratios_round_as_named(x: int, rate_e6: int) -> None:
    """mul_ratio_floor_e6 and mul_ratio_ceil_e6 round x * rate / 1e6 down and up. [PRICE-2]."""
    exact = Fraction(x * rate_e6, 10**6)
    if abs(exact) < 2**62:
        assert math.floor(exact) == mul_ratio_floor_e6(x, rate_e6)
        assert math.ceil(exact) == mul_ratio_ceil_e6(x, rate_e6)


@compiling
@given(WIDE, WIDE)
def test_product_rounds_down(a: int, b: int) -> None:
    """mul_x48 is the floor of the exact product. [PRICE-3]."""
    exact = math.floor(Fraction(a * b, 2**48))
    if abs(exact) < 2**63:
        assert exact == mul_x48(a, b)


@compiling
@given(DIVISORS, st.integers(-(2**14), 2**14 - 1), st.integers(0, 2**59))
def test_quotient_rounds_down(b: int, whole: int, rest: int) -> None:
    """div_x48 is the floor of a * 2**48 / b for narrow and wide divisors and either sign. [PRICE-4]."""
    a = whole * b + rest % b
    if abs(a) < 2**63:
        assert math.floor(Fraction(a << 48, b)) == div_x48(a, b)


@pytest.mark.parametrize("b", [1, 2, 3, 2**51 - 1, 2**51, 2**51 + 1, 2**59 - 1])
@pytest.mark.parametrize("sign", [-1, 1])
def test_quotient_at_its_bounds(b: int, sign: int) -> None:
    """The long division is exact on both sides of the divisor at which its digits change. [PRICE-4]."""
    for a in (0, 1, b - 1, b, b + 1, 15 * b):
        if a < 2**63:
            assert (sign * a << 48) // b == div_x48(sign * a, b)


@compiling
@given(st.integers(0, 58).flatmap(lambda bits: st.integers(0, 2**bits - 1)))
def test_root_rounds_down(w: int) -> None:
    """sqrt_x48 is the integer square root of w * 2**48. [PRICE-5]."""
    assert math.isqrt(w << 48) == sqrt_x48(w)


@pytest.mark.parametrize("w", [0, 1, 2, 3, 4, 2**48 - 1, 2**48, 2**48 + 1, 2**58 - 1])
def test_root_at_its_bounds(w: int) -> None:
    """sqrt_x48 is exact at perfect squares, beside them, and at the end of its range. [PRICE-5]."""
    assert math.isqrt(w << 48) == sqrt_x48(w)


def find_wrong_ratio(floor: Callable[[int, int], int]) -> int:
    """Count the cases in which a function is not the floor of x * rate / 1e6."""
    source = random.Random(1)
    cases = [(source.randrange(-(10**12), 10**12), source.randrange(2 * 10**6)) for _ in range(500)]
    return sum(math.floor(Fraction(x * rate, 10**6)) != floor(x, rate) for x, rate in cases)


def truncate_ratio(x: int, rate_e6: int) -> int:
    return int(math.copysign(1, x)) * (abs(x) * rate_e6 // 10**6)


@pytest.mark.parametrize("planted", [truncate_ratio, mul_ratio_ceil_e6])
def test_wrong_rounding_is_caught(planted: Callable[[int, int], int]) -> None:
    """The comparison with fractions finds truncation, and a ceiling, in place of the floor."""
    assert find_wrong_ratio(planted) > 0
    assert find_wrong_ratio(arithmetic.mul_ratio_floor_e6) == 0
