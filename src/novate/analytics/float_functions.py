"""exp, log and scaled complementary error functions without a branch, and with no call into the C library.

A loop over these becomes vector code on a CPU, and the GPU compiles the same source (`option_gpu`). Every
coefficient is our own fit (scripts/fit_float_functions.py); errors are tested against mpmath.
"""

from novate.analytics.generated.float_polynomials import (
    ERFCX_CENTRE,
    ERFCX_SHIFT,
    expand_exp,
    expand_log,
    pair_erfcx,
)
from novate.kernel import bits_to_float, float_inline, float_to_bits, fma, shift_right

# ln 2 in two parts: the first has 20 zero bits at its end, so that its multiples by exponents are exact.
LN2_HIGH = float.fromhex("0x1.62e42fee00000p-1")
LN2_LOW = float.fromhex("0x1.a39ef35793c76p-33")
LOG2_E = 1.4426950408889634
# 2^52 + 2^51: adding it leaves the nearest integer in the low bits of the sum.
ROUND = 6755399441055744.0
ROUND_BITS = 0x4338000000000000
SQRT_HALF = 0.7071067811865476
SQRT_HALF_BITS = 0x3FE6A09E667F3BCD
MANTISSA_BITS = 52
EXPONENT_BIAS = 1023
# A bias that makes the exponents of all floats positive.
EXPONENT_SPAN = 1024
EXP_LEAST, EXP_GREATEST = -708.0, 709.0
# Where the fit of erfcx begins; see the generator.
ERFCX_LEAST = -0.5


@float_inline
def exp(x: float) -> float:
    """Return e^x; below -708 zero, above 709 as at 709. Relative error below 3e-16."""
    inside = min(max(x, EXP_LEAST), EXP_GREATEST)
    shifted = fma(inside, LOG2_E, ROUND)
    power = shifted - ROUND
    rest = fma(power, -LN2_LOW, fma(power, -LN2_HIGH, inside))
    scale = bits_to_float((float_to_bits(shifted) - ROUND_BITS + EXPONENT_BIAS) << MANTISSA_BITS)
    return expand_exp(rest) * scale if x >= EXP_LEAST else 0.0


@float_inline
def log(x: float) -> float:
    """Return the natural logarithm of a positive normal number. Relative error below 3e-16."""
    bits = float_to_bits(x)
    biased = bits - SQRT_HALF_BITS + (EXPONENT_SPAN << MANTISSA_BITS)
    exponent = shift_right(biased, MANTISSA_BITS) - EXPONENT_SPAN
    power = bits_to_float(exponent + ROUND_BITS) - ROUND
    # x = (1 + f) * 2^power with 1 + f from sqrt(1/2) to sqrt(2), and s = f / (2 + f).
    f = bits_to_float(bits - (exponent << MANTISSA_BITS)) - 1.0
    s = f / (2.0 + f)
    square = s * s
    half = 0.5 * f * f
    tail = fma(s, fma(square, expand_log(square), half), power * LN2_LOW)
    return fma(power, LN2_HIGH, f - (half - tail))


@float_inline
def log1p(x: float) -> float:
    """Return ln(1 + x) for x >= 0 with its relative error, however small x is."""
    sum_rounded = 1.0 + x
    # What the sum lost, as far as it matters.
    lost = x - (sum_rounded - 1.0) if x < 1.0 else 1.0 - (sum_rounded - x)
    return log(sum_rounded) + lost / sum_rounded


@float_inline
def measure_tails(x: float, s: float) -> tuple[bool, float, float, float, float, float]:
    """Return what an option's price is made of, for log-moneyness x <= 0 and total volatility s > 0.

    With h = x / s, t = s / 2, p = -(h + t) / sqrt(2) and q = (t - h) / sqrt(2), in this order:

    is_near        p >= -1/2.
    exponent       -(h^2 + t^2) / 2.
    square         p^2.
    first          erfcx(p) if near, else erfcx(-p).
    second         erfcx(q).
    gap            erfcx(p) - erfcx(q) without cancellation, where near.

    With w(z) = 1 / (z + shift), erfcx is w * P(y) and y = 1 - (centre + shift) * w. So the difference of two
    is the difference of their w, which is exact, times a sum of two positive terms: nothing cancels when s is
    small, and the quotient of differences of P costs no more than a second value of P.
    """
    h = x / s
    t = 0.5 * s
    p = -(h + t) * SQRT_HALF
    q = (t - h) * SQRT_HALF
    is_near = p >= ERFCX_LEAST
    z = p if is_near else -p
    w_first = 1.0 / (z + ERFCX_SHIFT)
    w_second = 1.0 / (q + ERFCX_SHIFT)
    y_first = (z - ERFCX_CENTRE) * w_first
    y_second = (q - ERFCX_CENTRE) * w_second
    value, slope = pair_erfcx(y_first, y_second)
    first = w_first * value
    second = w_second * fma(y_second - y_first, slope, value)
    steepness = fma(-(ERFCX_CENTRE + ERFCX_SHIFT) * w_second, slope, value)
    gap = s * SQRT_HALF * w_first * w_second * steepness
    return is_near, -0.5 * (h * h + t * t), p * p, first, second, gap
