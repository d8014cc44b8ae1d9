"""The naive model's pricing against fifty digits of mpmath: it keeps the error bounds that the law states."""

from __future__ import annotations

import random

import mpmath

from . import pricing
from .records import Report

ONE = pricing.ONE
mpmath.mp.dps = 50


def test_logarithm_keeps_its_bound() -> None:
    """ln(a / b) is within 1e-14 for all sizes of a and b."""
    rng = random.Random(1)
    for _ in range(1500):
        a, b = (rng.randrange(1, 1 << rng.randrange(1, 61)) for _ in range(2))
        assert abs(mpmath.mpf(pricing.ln_ratio(a, b)) / ONE - mpmath.log(mpmath.mpf(a) / b)) < 1e-14


def test_exponential_keeps_its_bound() -> None:
    """exp(x) is within 4e-15 + 4e-16 exp(x) from -20 to 8."""
    rng = random.Random(2)
    for x in [-20 * ONE, 0, 8 * ONE] + [rng.randrange(-20 * ONE, 8 * ONE) for _ in range(1500)]:
        exact = mpmath.exp(mpmath.mpf(x) / ONE)
        assert abs(mpmath.mpf(pricing.exp(x)) / ONE - exact) < 4e-15 + 4e-16 * exact


def test_normal_distribution_keeps_its_bound() -> None:
    """N(x) is within 1e-14, and N(x) + N(-x) = 1 exactly away from 0."""
    rng = random.Random(3)
    for x in [0, 8 * ONE, -8 * ONE, 8 * ONE - 1] + [rng.randrange(-9 * ONE, 9 * ONE) for _ in range(1500)]:
        assert abs(mpmath.mpf(pricing.normal_cdf(x)) / ONE - mpmath.ncdf(mpmath.mpf(x) / ONE)) < 1e-14
        assert x == 0 or pricing.normal_cdf(x) + pricing.normal_cdf(-x) == ONE


def test_black_price_keeps_its_bound() -> None:
    """A call's price is within 1e-13 of the larger of forward and strike."""
    rng = random.Random(4)
    for _ in range(400):
        forward, strike = rng.randrange(10**6, 1 << 40), rng.randrange(10**6, 1 << 40)
        v = rng.randrange(ONE // 1000, 3 * ONE)
        x = pricing.ln_ratio(forward, strike)
        price = pricing.black(True, forward << 16, strike << 16, x, v)
        volatility = mpmath.mpf(v) / ONE
        d1 = mpmath.log(mpmath.mpf(forward) / strike) / volatility + volatility / 2
        exact = forward * mpmath.ncdf(d1) - strike * mpmath.ncdf(d1 - volatility)
        assert abs(mpmath.mpf(price) / 65536 - exact) < 1e-13 * max(forward, strike) + 1e-4
        put = pricing.black(False, forward << 16, strike << 16, x, v)
        assert price - put == forward - strike << 16


def _slice(a: float, b: float, rho: float, m: float, sigma: float) -> Report:
    return Report(1, *(int(value * ONE) for value in (a, b, rho, m, sigma)), observed_ns=0)


def test_butterfly_finds_a_negative_density() -> None:
    """A slice with a negative Gatheral density on a grid point is refused; the others are mostly accepted."""
    rng = random.Random(5)
    verdicts = set()
    for _ in range(60):
        b, rho = rng.uniform(0.01, 1.0), rng.uniform(-0.95, 0.95)
        slice_ = _slice(rng.uniform(0.0, 0.1), b, rho, rng.uniform(-0.2, 0.2), rng.uniform(0.02, 0.5))
        lowest = min(_density(slice_, k) for k in pricing.MONEYNESS_GRID)
        if not pricing.parameters_allowed(slice_) or abs(lowest) < 1e-9:
            continue
        free = pricing.butterfly_free(slice_)
        verdicts.add(free)
        # The slice's own grid may find what the fixed grid misses.
        assert not (free and lowest < 0)
    assert verdicts == {True, False}


def _density(slice_: Report, k_x48: int) -> mpmath.mpf:
    """Gatheral's g(k) from exact derivatives."""
    a, b, rho, m, sigma = (mpmath.mpf(value) / ONE for value in slice_.numbers()[1:6])
    k = mpmath.mpf(k_x48) / ONE
    radius = mpmath.sqrt((k - m) ** 2 + sigma**2)
    w = a + b * (rho * (k - m) + radius)
    slope, bend = b * (rho + (k - m) / radius), b * sigma**2 / radius**3
    return (1 - k * slope / (2 * w)) ** 2 - slope**2 / 4 * (1 / w + mpmath.mpf(1) / 4) + bend / 2


def test_calendar_compares_on_the_whole_grid() -> None:
    """A far slice below the near one in a single wing is refused; one that lies above everywhere is not."""
    near, above = _slice(0.02, 0.1, -0.2, 0.0, 0.3), _slice(0.03, 0.1, -0.2, 0.0, 0.3)
    crossing = _slice(0.03, 0.05, 0.2, 0.0, 0.3)
    assert pricing.calendar_free(near, above)
    assert pricing.calendar_free(near, near)
    assert not pricing.calendar_free(above, near)
    assert not pricing.calendar_free(near, crossing)
