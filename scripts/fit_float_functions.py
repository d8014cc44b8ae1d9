"""Derives every coefficient of the float functions from its definition and writes them as straight-line code.

`scripts/fit_float_functions.py` writes src/novate/analytics/generated/float_polynomials.py; `--check` says if
that file is what it would write. Chebyshev interpolation at forty-five digits, converted to powers.
"""

import sys
from collections.abc import Callable
from pathlib import Path

import mpmath
from mpmath import mpf

TARGET = Path(__file__).parents[1] / "src" / "novate" / "analytics" / "generated" / "float_polynomials.py"
DIGITS = 45
# z = -1/2 and infinity become y = -1 and 1 by y = (z - ERFCX_CENTRE) / (z + ERFCX_SHIFT).
ERFCX_LEAST, ERFCX_SHIFT = mpf(-0.5), mpf(4.5)
ERFCX_CENTRE = ERFCX_SHIFT + 2 * ERFCX_LEAST
ERFCX_DEGREE, EXP_DEGREE, LOG_DEGREE = 24, 11, 6
FAR = 10_000

HEADER = '''"""Polynomials of the float functions, by scripts/fit_float_functions.py; never edited by hand."""

from novate.kernel import float_inline, fma

ERFCX_CENTRE = {centre}
ERFCX_SHIFT = {shift}


'''


def fit(function: Callable[[mpf], mpf], low: mpf, high: mpf, degree: int) -> list[float]:
    """The powers, lowest first, of the interpolation in the zeros of a Chebyshev polynomial."""
    count = 2 * (degree + 1)
    nodes = [mpmath.cos(mpmath.pi * (k + mpf(1) / 2) / count) for k in range(count)]
    values = [function((high + low) / 2 + (high - low) / 2 * node) for node in nodes]
    previous, current = [mpf(1)], [mpf(0), mpf(1)]
    powers = [mpf(0)] * (degree + 1)
    for j in range(degree + 1):
        weight = 2 * mpmath.fsum(
            value * mpmath.cos(mpmath.pi * j * (k + mpf(1) / 2) / count) for k, value in enumerate(values)
        )
        for i, each in enumerate(previous):
            powers[i] += weight / (2 * count if j == 0 else count) * each
        following = [mpf(0)] + [2 * each for each in current]
        for i, each in enumerate(previous):
            following[i] -= each
        previous, current = current, following
    return [float(each) for each in rescale(powers, low, high)]


def rescale(powers: list[mpf], low: mpf, high: mpf) -> list[mpf]:
    """The same polynomial in x instead of (2 x - low - high) / (high - low)."""
    a, b = 2 / (high - low), -(low + high) / (high - low)
    result = [mpf(0)]
    for each in reversed(powers):
        shifted = [mpf(0)] * (len(result) + 1)
        for i, factor in enumerate(result):
            shifted[i] += factor * b
            shifted[i + 1] += factor * a
        shifted[0] += each
        result = shifted
    return result[: len(powers)]


def scale_erfcx(y: mpf) -> mpf:
    """(z + shift) * exp(z^2) * erfc(z) as a function of y."""
    z = (ERFCX_CENTRE + ERFCX_SHIFT * y) / (1 - y)
    if z > FAR:
        # The asymptotic series: what follows is below z^-6.
        return (z + ERFCX_SHIFT) / (mpmath.sqrt(mpmath.pi) * z) * (1 - 1 / (2 * z**2) + 3 / (4 * z**4))
    return (z + ERFCX_SHIFT) * mpmath.exp(z * z) * mpmath.erfc(z)


def curve_log(w: mpf) -> mpf:
    """(2 artanh(s) - 2 s) / s^3 as a function of w = s^2."""
    if w < mpf(10) ** -12:
        return mpf(2) / 3 + 2 * w / 5
    s = mpmath.sqrt(w)
    return (2 * mpmath.atanh(s) - 2 * s) / s**3


def write_horner(name: str, summary: str, coefficients: list[float]) -> list[str]:
    """Even and odd powers run as two chains, so that two multiply-adds are in flight."""
    lines = ["@float_inline", f"def {name}(x: float) -> float:", f'    """{summary}"""', "    w = x * x"]
    for variable, chain in (("even", coefficients[0::2]), ("odd", coefficients[1::2])):
        lines.append(f"    {variable} = {chain[-1]!r}")
        lines += [f"    {variable} = fma({variable}, w, {each!r})" for each in chain[-2::-1]]
    return [*lines, "    return fma(odd, x, even)", "", ""]


def write_pair(name: str, summary: str, coefficients: list[float]) -> list[str]:
    """Horner's scheme for the value at y, and for the quotient of the difference to the value at z."""
    lines = [
        "@float_inline",
        f"def {name}(y: float, z: float) -> tuple[float, float]:",
        f'    """{summary}"""',
        f"    value = {coefficients[-1]!r}",
        "    slope = value",
        f"    value = fma(value, y, {coefficients[-2]!r})",
    ]
    for each in coefficients[-3::-1]:
        lines += ["    slope = fma(slope, z, value)", f"    value = fma(value, y, {each!r})"]
    return [*lines, "    return value, slope", "", ""]


def generate() -> str:
    """The text of the module."""
    with mpmath.workdps(DIGITS):
        half = mpmath.log(2) / 2 * mpf("1.001")
        erfcx = fit(scale_erfcx, mpf(-1), mpf(1), ERFCX_DEGREE)
        exp = fit(mpmath.exp, -half, half, EXP_DEGREE)
        root = mpmath.sqrt(2)
        log = fit(curve_log, mpf(0), ((root - 1) / (root + 1)) ** 2 * mpf("1.001"), LOG_DEGREE)
    lines = write_pair(
        "pair_erfcx",
        "Return P(y) and (P(y) - P(z)) / (y - z) for P(y(z)) = (z + shift) * erfcx(z).",
        erfcx,
    )
    lines += write_horner("expand_exp", "Return exp(x) for |x| <= ln(2) / 2.", exp)
    lines += write_horner("expand_log", "Return (2 artanh(s) - 2 s) / s^3 for x = s^2 <= 0.0295.", log)
    return (
        HEADER.format(centre=float(ERFCX_CENTRE), shift=float(ERFCX_SHIFT)) + "\n".join(lines).rstrip() + "\n"
    )


if __name__ == "__main__":
    if "--check" in sys.argv[1:]:
        sys.exit(
            None if TARGET.read_text() == generate() else f"{TARGET.name} is not what its generator writes"
        )
    TARGET.write_text(generate())
