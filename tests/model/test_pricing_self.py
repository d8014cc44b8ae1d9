"""The naive model's pricing: against fifty digits of mpmath it keeps the error bounds that the law states;
marks in the settlement window, futures and Greeks are what they stand for.
"""

from __future__ import annotations

import math
import random

import mpmath
import pytest

from . import pricing
from .pricing import Marked
from .records import CALL, FUTURE, PUT, SCALES, Instrument, Report, Series, Underlying

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


HOUR_NS = 3_600 * SCALES["NS_PER_S"]
EXPIRY_NS = 500_000 * HOUR_NS
CONFIG = {"index_atoms_max": 1 << 39}
SHIFT_E6 = 10_000


def _series(twap_sum: int = 0, twap_ms: int = 0) -> Series:
    """A series at an index of 80 000 USDC whose surface was observed ten hours before its expiry."""
    surface = _slice(0.0004, 0.0004, -0.2, 0.0, 0.3)
    surface.forward_atoms = 80_000_000_000
    variance_time_ns = 10 * HOUR_NS
    return Series(0, EXPIRY_NS, False, surface, 80_000_000_000, variance_time_ns, twap_sum, twap_ms)


def _marked(
    kind: int, strike: int, series: Series, left_ns: int, index_atoms: int = 80_000_000_000
) -> Marked:
    underlying = Underlying(CONFIG, 1, index_atoms)
    view = pricing.outlook(series, underlying, EXPIRY_NS - left_ns)
    instrument = Instrument(0, kind, strike, EXPIRY_NS, 0, 1000 if kind == FUTURE else 100, 1)
    if kind == FUTURE:
        return pricing.mark_future(instrument, view, SHIFT_E6)
    assert series.surface is not None
    return pricing.mark_option(instrument, view, series.surface, SHIFT_E6)


def test_the_window_starts_with_the_volatility_of_an_average() -> None:
    """As the window opens nothing is known: the whole forward moves, at volatility divided by sqrt 3."""
    assert math.isqrt((1 << 96) // 3) == pricing.INVERSE_SQRT3
    series, underlying = _series(), Underlying(CONFIG, 1, 80_000_000_000)
    before = pricing.outlook(series, underlying, EXPIRY_NS - HOUR_NS // 2 - 1)
    after = pricing.outlook(series, underlying, EXPIRY_NS - HOUR_NS // 2)
    assert (80_000_000_000, 0, 80_000_000_000) == before[:3] == after[:3]
    assert (False, True) == (before.in_window, after.in_window)
    assert ONE == before.reduced(ONE)
    assert pricing.INVERSE_SQRT3 == after.reduced(ONE)


@pytest.mark.parametrize("index_atoms", [80_000_000_000, 76_000_000_000, 90_000_000_000])
def test_rows_in_the_window_are_what_the_average_would_become(index_atoms: int) -> None:
    """A call far in the money is worth known part plus moved rest less strike, in every scenario."""
    left_ms = 600_000
    series = _series(80_000_000_000 * 1_200_000, 1_200_000)
    forward = index_atoms  # The surface's own forward is the index.
    marked = _marked(CALL, 1_000_000_000, series, left_ms * SCALES["NS_PER_MS"], index_atoms)
    known = 80_000_000_000 * 2 // 3
    assert known + forward // 3 == marked.forward
    for s, move in enumerate(pricing.MOVES_E6):
        worth = known + forward * (pricing.E6 + move) // (3 * pricing.E6) - 1_000_000_000
        expected = (worth // 100 - marked.mark) * pricing.DAMPINGS_E6[s] // pricing.E6
        assert abs(expected - marked.rows[s]) <= 2
    future = _marked(FUTURE, 0, series, left_ms * SCALES["NS_PER_MS"], index_atoms)
    assert (known + forward // 3) // 1000 == future.mark
    assert abs(forward // 3000 * 160_000 // pricing.E6 + future.rows[0]) <= 1


def test_call_less_put_is_a_future() -> None:
    """Delta, rows and basis of a call less those of a put are a future's to the last atoms, vega is equal."""
    for series, left_ns in ((_series(), 5 * HOUR_NS), (_series(7 * 10**16, 900_000), HOUR_NS // 4)):
        call, put = (_marked(kind, 79_000_000_000, series, left_ns) for kind in (CALL, PUT))
        future = _marked(FUTURE, 0, series, left_ns)
        assert abs(call.delta - put.delta - 10 * future.delta) <= 2000
        assert abs(call.vega - put.vega) <= 1
        assert call.vega > 0
        assert 0 < call.delta <= 10 * future.mark
        for one, other, linear in zip(call.rows, put.rows, future.rows, strict=True):
            assert abs(one - other - 10 * linear) <= 12
        for one, other, linear in zip(call.basis, put.basis, future.basis, strict=True):
            assert abs(one - other - 10 * linear) <= 12


def test_vega_is_one_point_of_yearly_volatility() -> None:
    """An at-the-money option's vega is forward times sqrt(years) times the normal density at 0, over 100."""
    left_ns = 9 * HOUR_NS
    marked = _marked(CALL, 80_000_000_000, _series(), left_ns)
    years = left_ns / SCALES["NS_PER_YEAR"]
    expected = 800_000_000 * math.sqrt(years) * 0.01 / math.sqrt(2 * math.pi)
    assert abs(marked.vega / expected - 1) < 0.001
