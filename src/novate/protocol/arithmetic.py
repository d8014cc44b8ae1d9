"""Exact integer arithmetic of the law: every division and square root, each named for its rounding.

Implements [PRICE-1] to [PRICE-5]. A product of two 64-bit integers is only ever shifted (`mul_shift_floor`),
never divided, so no language needs a 128-bit division. Python's and Numba's `//` on int64 both floor towards
minus infinity and `>>` is the arithmetic shift in both; Vyper and Noir truncate: twins correct the sign.
"""

from novate.kernel import count_leading_zeros, kernel, kernel_inline, mul_shift_floor
from novate.protocol.generated.constants import E6

SHIFT_X48 = 48
ONE_X48 = 1 << SHIFT_X48

# The 48 bits of a quotient are found digit by digit: four of twelve bits below a divisor of 2**51, where a
# remainder shifted by twelve fits int64, and twelve of four bits below 2**59.
NARROW_DIGIT_BITS = 12
NARROW_DIGITS = 4
NARROW_DIVISOR_MAX = (1 << 51) - 1
WIDE_DIGIT_BITS = 4
WIDE_DIGITS = 12


@kernel_inline
def div_floor(a: int, b: int) -> int:
    """Return floor(a / b).

    Range      |a| < 2**63, 0 < b < 2**63.
    Rounding   down, towards minus infinity.
    Law        [PRICE-1]
    """
    return a // b


@kernel_inline
def div_ceil(a: int, b: int) -> int:
    """Return ceil(a / b).

    Range      |a| < 2**63, 0 < b < 2**63.
    Rounding   up, towards plus infinity.
    Law        [PRICE-1]
    """
    return -(-a // b)


@kernel_inline
def mul_ratio_floor_e6(x: int, rate_e6: int) -> int:
    """Return floor(x * rate / 1e6) without a wide product.

    Range      |x| < 2**62, 0 <= rate_e6 < 2**40; the result must be below 2**62.
    Rounding   down, towards minus infinity.
    Law        [PRICE-2]
    """
    whole = x // E6
    rest = x - whole * E6
    # rest is in [0, 10**6), so rest * rate_e6 is below 2**60.
    return whole * rate_e6 + rest * rate_e6 // E6


@kernel_inline
def mul_ratio_ceil_e6(x: int, rate_e6: int) -> int:
    """Return ceil(x * rate / 1e6) without a wide product.

    Range      |x| < 2**62, 0 <= rate_e6 < 2**40; the result must be below 2**62.
    Rounding   up, towards plus infinity.
    Law        [PRICE-2]
    """
    return -mul_ratio_floor_e6(-x, rate_e6)


@kernel_inline
def mul_x48(a: int, b: int) -> int:
    """Return floor(a * b / 2**48), the product of two x48 numbers.

    Range      |a|, |b| < 2**63; the result must be below 2**63.
    Rounding   down, towards minus infinity.
    Law        [PRICE-3]
    """
    return mul_shift_floor(a, b, SHIFT_X48)


@kernel
def div_wide_x48(a: int, b: int) -> int:
    """Return floor(a * 2**48 / b) for a divisor too wide for twelve-bit digits, ranges as `div_x48`."""
    quotient = a // b
    rest = a - quotient * b
    for _ in range(WIDE_DIGITS):
        # rest is in [0, b), so the shifted rest is below 2**63 and its quotient is one digit of four bits.
        shifted = rest << WIDE_DIGIT_BITS
        digit = shifted // b
        rest = shifted - digit * b
        quotient = (quotient << WIDE_DIGIT_BITS) + digit
    return quotient


@kernel_inline
def div_x48(a: int, b: int) -> int:
    """Return floor(a * 2**48 / b), by long division.

    Range      0 < b < 2**59, |a| <= 2**14 * b and |a| < 2**63, so that the result is within 2**62.
    Rounding   down, towards minus infinity.
    Law        [PRICE-4]
    """
    if b > NARROW_DIVISOR_MAX:
        return div_wide_x48(a, b)
    quotient = a // b
    rest = a - quotient * b
    for _ in range(NARROW_DIGITS):
        # rest is in [0, b), so the shifted rest is below 2**63 and its quotient is one digit of twelve bits.
        shifted = rest << NARROW_DIGIT_BITS
        digit = shifted // b
        rest = shifted - digit * b
        quotient = (quotient << NARROW_DIGIT_BITS) + digit
    return quotient


@kernel
def sqrt_x48(w: int) -> int:
    """Return floor(sqrt(w * 2**48)), the square root of an x48 number, one binary digit at a time.

    Range      0 <= w < 2**58; the result is below 2**53.
    Rounding   down: the largest y with y * y <= w * 2**48.
    Law        [PRICE-5]
    """
    if w <= 0:
        return 0
    # w * 2**48 is below 2**(bits + 48), so y is below 2**ceil((bits + 48) / 2).
    bits = 64 - count_leading_zeros(w)
    y = 0
    for shift in range((bits + SHIFT_X48 - 1) >> 1, -1, -1):
        candidate = y | (1 << shift)
        # Negated twice, the floor is a ceiling, and ceil(y * y / 2**48) <= w exactly when y * y <= w * 2**48.
        if -mul_shift_floor(-candidate, candidate, SHIFT_X48) <= w:
            y = candidate
    return y
