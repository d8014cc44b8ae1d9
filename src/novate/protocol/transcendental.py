"""Logarithm, exponential and normal distribution of the law, in binary fixed point.

Implements [PRICE-6] to [PRICE-8]. Coefficients come from `generated/tables.py`, which
`scripts/generate_tables.py` derives from the definitions; `vectors/tables.json` publishes the same numbers.
Errors are measured against mpmath by `tests/law/test_transcendental.py`.
"""

from novate.kernel import count_leading_zeros, kernel, kernel_inline, mul_shift_floor
from novate.protocol.arithmetic import ONE_X48
from novate.protocol.generated.tables import (
    CDF_COEFFICIENTS_X60,
    EXP_COEFFICIENTS_X60,
    LN2_INVERSE_X60,
    LN2_X56,
    LN_COEFFICIENTS_X60,
    LN_INVERSE_X60,
    LN_NODE_X60,
)

ONE_X60 = 1 << 60
HALF_X48 = ONE_X48 >> 1
LN_DEGREE = 8
EXP_DEGREE = 14
CDF_LIMIT_X48 = 8 * ONE_X48
# One interval of the table is 1/8 wide: 45 bits of an x48 number.
CDF_INTERVAL_BITS = 45
CDF_HALF_INTERVAL_X48 = 1 << (CDF_INTERVAL_BITS - 1)
EXP_ARGUMENT_MIN_X48 = -20 * ONE_X48
EXP_ARGUMENT_MAX_X48 = 8 * ONE_X48


@kernel
def ln_mantissa_x60(mantissa_x60: int) -> int:
    """Return ln(mantissa / 2**60) in x60 for a mantissa in [2**60, 2**61).

    Error      absolute error below 2e-17.
    Law        [PRICE-6]
    """
    node = (mantissa_x60 >> 54) & 63
    r = mul_shift_floor(mantissa_x60, int(LN_INVERSE_X60[node]), 60) - ONE_X60
    # r is in [-2**53, 2**53] in x60: the mantissa is within 1/128 of the centre of its interval.
    total = int(LN_COEFFICIENTS_X60[LN_DEGREE - 1])
    for n in range(LN_DEGREE - 2, -1, -1):
        total = int(LN_COEFFICIENTS_X60[n]) + mul_shift_floor(total, r, 60)
    return int(LN_NODE_X60[node]) + mul_shift_floor(total, r, 60)


@kernel
def ln_ratio_x48(a: int, b: int) -> int:
    """Return ln(a / b) in x48.

    Range      1 <= a, b < 2**60; |result| < 42 * 2**48, and 0 if a = b.
    Rounding   down at 1/2**48, after a sum in 1/2**56.
    Error      absolute error below 1e-14.
    Law        [PRICE-6]
    """
    shift_a = count_leading_zeros(a) - 3
    shift_b = count_leading_zeros(b) - 3
    mantissa_x60 = ln_mantissa_x60(a << shift_a) - ln_mantissa_x60(b << shift_b)
    # The exponents differ by at most 59, so the sum is below 42 * 2**56 < 2**62.
    return ((mantissa_x60 >> 4) + (shift_b - shift_a) * LN2_X56) >> 8


@kernel
def exp_x48(x: int) -> int:
    """Return exp(x) in x48.

    Range      -20 * 2**48 <= x <= 8 * 2**48; the result is in [0, 2**60).
    Rounding   down at 1/2**48.
    Error      absolute error below 4e-15 + 4e-16 * exp(x).
    Law        [PRICE-7]
    """
    power = (mul_shift_floor(x, LN2_INVERSE_X60, 60) + HALF_X48) >> 48
    # |x| is below 2**53 and |power| at most 29, so both terms are below 2**61.
    r_x60 = ((x << 8) - power * LN2_X56) << 4
    # r is in [-ln(2) / 2, ln(2) / 2].
    total = int(EXP_COEFFICIENTS_X60[EXP_DEGREE])
    for n in range(EXP_DEGREE - 1, -1, -1):
        total = int(EXP_COEFFICIENTS_X60[n]) + mul_shift_floor(total, r_x60, 60)
    # total is in (2**59, 2**61); power is at most 12, so the shift right is from 0 to 41 bits.
    return total >> (12 - power)


@kernel_inline
def normal_cdf_x48(x: int) -> int:
    """Return the standard normal distribution N(x) in x48, exactly symmetrical: N(x) + N(-x) = 1.

    Range      |x| < 2**63; from |x| >= 8 on the result is 0 or 1.
    Rounding   to the nearest 1/2**48 of the fitted upper tail.
    Error      absolute error below 1e-14.
    Law        [PRICE-8]
    """
    size = -x if x < 0 else x
    if size >= CDF_LIMIT_X48:
        return 0 if x < 0 else ONE_X48
    base = (size >> CDF_INTERVAL_BITS) << 3
    # u is the distance to the centre of the interval in half intervals, in [-1, 1).
    u = ((size & ((1 << CDF_INTERVAL_BITS) - 1)) - CDF_HALF_INTERVAL_X48) << 4
    total = int(CDF_COEFFICIENTS_X60[base + 7])
    total = int(CDF_COEFFICIENTS_X60[base + 6]) + mul_shift_floor(total, u, 48)
    total = int(CDF_COEFFICIENTS_X60[base + 5]) + mul_shift_floor(total, u, 48)
    total = int(CDF_COEFFICIENTS_X60[base + 4]) + mul_shift_floor(total, u, 48)
    total = int(CDF_COEFFICIENTS_X60[base + 3]) + mul_shift_floor(total, u, 48)
    total = int(CDF_COEFFICIENTS_X60[base + 2]) + mul_shift_floor(total, u, 48)
    total = int(CDF_COEFFICIENTS_X60[base + 1]) + mul_shift_floor(total, u, 48)
    total = int(CDF_COEFFICIENTS_X60[base]) + mul_shift_floor(total, u, 48)
    tail = (total + (1 << 11)) >> 12
    return tail if x < 0 else ONE_X48 - tail
