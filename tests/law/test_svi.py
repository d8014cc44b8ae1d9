"""Surfaces: total variance, the law's arbitrage checks, and fits that the law accepts."""

import json
import math
import random

import numpy as np
import pytest

from novate.analytics import black76
from novate.analytics.chain import FitReport, fit_expiries, load_chain, measure_fit
from novate.analytics.greeks import compute_option_greeks
from novate.analytics.svi_fit import (
    GRID,
    SLICE_GRID,
    Parameters,
    SurfaceUnfitted,
    compute_total_variance,
    fit_surface,
    is_lawful,
)
from novate.protocol import svi
from novate.protocol.arithmetic import ONE_X48
from novate.protocol.svi import (
    compute_svi_total_variance_x48,
    compute_total_volatility_x48,
    has_butterfly_arbitrage,
    has_butterfly_arbitrage_at,
    has_calendar_arbitrage,
    verify_surface_parameters,
)
from tests.law.chains import CHAINS, SHARED, needs_chains, needs_vectors

# A year of a typical index: forty per cent at the money, a put skew.
TYPICAL = (0.04, 0.15, -0.3, 0.02, 0.4)
VOGT = (-0.041, 0.1331, 0.306, 0.3586, 0.4153)


def scale(values: tuple[float, ...]) -> Parameters:
    a, b, rho, m, sigma = (round(each * ONE_X48) for each in values)
    return a, b, rho, m, sigma


def vary(**changes: int) -> Parameters:
    names = dict(zip(("a", "b", "rho", "m", "sigma"), scale(TYPICAL), strict=True)) | changes
    return names["a"], names["b"], names["rho"], names["m"], names["sigma"]


def list_slices(count: int) -> list[Parameters]:
    """Random slices that are in range."""
    source = random.Random(5)
    found: list[Parameters] = []
    while len(found) < count:
        s = 10 ** source.uniform(-2.5, 0)
        raw = (
            source.uniform(-0.5, 1) * s * s,
            source.uniform(0, 2) * s,
            source.uniform(-1, 1),
            source.uniform(-2, 2) * s,
            source.uniform(0.05, 2) * s,
        )
        if verify_surface_parameters(*scale(raw)) == svi.SURFACE_OK:
            found.append(scale(raw))
    return found


def compute_durrleman(parameters: Parameters, k: float) -> float:
    """Gatheral and Jacquier's g(k) in float64."""
    a, b, rho, m, sigma = (each / ONE_X48 for each in parameters)
    d = k - m
    root = math.hypot(d, sigma)
    w, slope, curvature = a + b * (rho * d + root), b * (rho + d / root), b * sigma**2 / root**3
    return (1 - k * slope / (2 * w)) ** 2 - slope**2 / 4 * (1 / w + 1 / 4) + curvature / 2


def test_total_variance_is_that_of_the_formula() -> None:
    """The law's variance is within 1e-12 of float64 for every slice and moneyness. [SVI-1]."""
    source = random.Random(6)
    for parameters in list_slices(300):
        k = round(source.uniform(-3, 3) * ONE_X48)
        expected = float(compute_total_variance(parameters, np.array([k / ONE_X48]))[0])
        assert abs(compute_svi_total_variance_x48(*parameters, k) / ONE_X48 - expected) < 1e-12


@needs_vectors
def test_published_slices() -> None:
    """The examples of Gatheral and Jacquier, and of a second library, come out to the digits they print."""
    vectors = json.loads((SHARED / "vectors" / "svi_vectors.json").read_text())
    paper = vectors["gatheral_jacquier_vogt"]
    raw = scale(tuple(paper["raw"][name] for name in ("a", "b", "rho", "m", "sigma")))
    for row in paper["total_variance"]:
        k = round(row["k"] * ONE_X48)
        assert abs(compute_svi_total_variance_x48(*raw, k) / ONE_X48 - row["w"]) < 1e-9
    for row in paper["g_durrleman"]:
        assert abs(compute_durrleman(raw, row["k"]) - row["g"]) < 1e-8
        assert (row["g"] < 0) == has_butterfly_arbitrage_at(*raw, round(row["k"] * ONE_X48))
    assert has_butterfly_arbitrage(*raw)
    other = vectors["tf_quant_finance"]
    for strike, w in zip(np.linspace(4, 16, 10), other["variance"]["w"], strict=True):
        k = round(math.log(strike / other["variance"]["forward"]) * ONE_X48)
        parameters = scale(tuple(other["variance"]["params"]))
        assert abs(compute_svi_total_variance_x48(*parameters, k) / ONE_X48 - w) < 1e-7
    for k_real, volatility in zip(np.linspace(-1.25, 1.25, 11), other["vol"]["iv"], strict=True):
        w_x48 = compute_svi_total_variance_x48(*scale(tuple(other["vol"]["params"])), round(k_real * ONE_X48))
        assert abs(math.sqrt(w_x48 / ONE_X48 / other["vol"]["expiry"]) - volatility) < 1e-7


@pytest.mark.parametrize(
    ("parameters", "code"),
    [
        (vary(), svi.SURFACE_OK),
        (vary(a=8 * ONE_X48 + 1), svi.SURFACE_LEVEL_OUT_OF_RANGE),
        (vary(a=-8 * ONE_X48 - 1), svi.SURFACE_LEVEL_OUT_OF_RANGE),
        (vary(a=8 * ONE_X48), svi.SURFACE_OK),
        (vary(b=-1), svi.SURFACE_SLOPE_NEGATIVE),
        (vary(b=0), svi.SURFACE_OK),
        (vary(rho=ONE_X48), svi.SURFACE_CORRELATION_OUT_OF_RANGE),
        (vary(rho=-ONE_X48), svi.SURFACE_CORRELATION_OUT_OF_RANGE),
        (vary(rho=ONE_X48 - 1), svi.SURFACE_OK),
        (vary(m=2 * ONE_X48 + 1), svi.SURFACE_CENTRE_OUT_OF_RANGE),
        (vary(m=-2 * ONE_X48), svi.SURFACE_OK),
        (vary(sigma=2**36 - 1), svi.SURFACE_WIDTH_OUT_OF_RANGE),
        (vary(sigma=2**36), svi.SURFACE_OK),
        (vary(sigma=2 * ONE_X48 + 1), svi.SURFACE_WIDTH_OUT_OF_RANGE),
        (vary(b=2 * ONE_X48, rho=0), svi.SURFACE_OK),
        (vary(b=2 * ONE_X48 + 1, rho=0), svi.SURFACE_WING_TOO_STEEP),
        (vary(b=3 * ONE_X48 >> 1, rho=ONE_X48 >> 1), svi.SURFACE_WING_TOO_STEEP),
        (vary(b=2**62), svi.SURFACE_WING_TOO_STEEP),
        (vary(a=0, b=0), svi.SURFACE_VARIANCE_NOT_POSITIVE),
        (vary(a=1, b=0), svi.SURFACE_OK),
    ],
)
def test_ranges_of_a_slice(parameters: Parameters, code: int) -> None:
    """Each range has a code, at its bound and one past it, in order of precedence. [SVI-2]."""
    assert code == verify_surface_parameters(*parameters)


def test_butterfly_check_agrees_with_the_formula() -> None:
    """The integer check refuses what g < 0 on its grids refuses in float64. [SVI-3]."""
    refused = 0
    for parameters in list_slices(400):
        m, sigma = parameters[3] / ONE_X48, parameters[4] / ONE_X48
        values = [compute_durrleman(parameters, float(k)) for k in [*GRID, *(m + sigma * SLICE_GRID)]]
        lawful = not has_butterfly_arbitrage(*parameters)
        refused += not lawful
        if min(values) < -1e-6:
            assert not lawful
        # What the law refuses beyond the formula is only what it finds too ill-conditioned to judge.
        if min(values) > 1e-6 and max(values) < 100:
            assert lawful
    assert 50 < refused < 350


def test_known_butterfly_is_refused() -> None:
    """Vogt's slice, which looks harmless, has a butterfly; a typical slice has none. [SVI-3]."""
    assert verify_surface_parameters(*scale(VOGT)) == svi.SURFACE_OK
    assert has_butterfly_arbitrage(*scale(VOGT))
    assert not has_butterfly_arbitrage(*scale(TYPICAL))


def test_calendar_check() -> None:
    """More variance at every moneyness is accepted, equality too, one unit less anywhere is not. [SVI-4]."""
    near = scale(TYPICAL)
    assert not has_calendar_arbitrage(*near, *near)
    assert not has_calendar_arbitrage(*near, *vary(a=near[0] + 1))
    assert has_calendar_arbitrage(*near, *vary(a=near[0] - 1))
    # More at the money, but less in the wings.
    assert has_calendar_arbitrage(*near, *vary(a=near[0] + ONE_X48 // 100, b=near[1] // 2))


def test_total_volatility_scales_with_time() -> None:
    """Half of the time leaves half of the variance, no time none; all stay below 8. [SVI-5]."""
    parameters = scale(TYPICAL)
    full = compute_total_volatility_x48(*parameters, 0, ONE_X48)
    half = compute_total_volatility_x48(*parameters, 0, ONE_X48 >> 1)
    assert abs(full / ONE_X48 - math.sqrt(compute_total_variance(parameters, np.zeros(1))[0])) < 1e-12
    assert abs(half / full - math.sqrt(0.5)) < 1e-12
    assert 0 == compute_total_volatility_x48(*parameters, 0, 0)
    steep = vary(a=8 * ONE_X48, b=2 * ONE_X48, rho=0, m=-2 * ONE_X48)
    assert 2**51 - 1 == compute_total_volatility_x48(*steep, 28 * ONE_X48 - 1, ONE_X48)


def test_fit_finds_the_slice_that_made_the_quotes() -> None:
    """Quotes taken from a lawful slice are reproduced to a hundredth of a volatility point."""
    k = np.linspace(-0.8, 0.8, 25)
    volatility = np.sqrt(compute_total_variance(scale(TYPICAL), k))
    fit = fit_surface(k, volatility, np.ones_like(k), 1.0)
    assert fit.error_max < 1e-4
    assert is_lawful(fit.parameters, None, None)


def test_fit_keeps_its_neighbours_apart() -> None:
    """A slice fitted to quotes that cross its neighbour is moved until the law sees no calendar arbitrage."""
    k = np.linspace(-0.8, 0.8, 25)
    floor = scale(TYPICAL)
    crossing = np.sqrt(compute_total_variance(floor, k) * np.linspace(0.9, 1.1, 25))
    fit = fit_surface(k, crossing, np.ones_like(k), 1.0, floor=floor)
    assert not has_calendar_arbitrage(*floor, *fit.parameters)
    below = fit_surface(k, crossing, np.ones_like(k), 1.0, ceiling=floor)
    assert not has_calendar_arbitrage(*below.parameters, *floor)


def test_fit_refuses_bad_input() -> None:
    """Too few quotes and a past expiry are refused, and so is a floor that no slice can reach."""
    k = np.linspace(-0.4, 0.4, 9)
    volatility = np.full(9, 0.5)
    with pytest.raises(ValueError):
        fit_surface(k[:4], volatility[:4], np.ones(4), 1.0)
    with pytest.raises(ValueError):
        fit_surface(k, volatility, np.ones(9), 0.0)
    with pytest.raises(SurfaceUnfitted):
        fit_surface(k, volatility, np.ones(9), 1.0, floor=vary(a=8 * ONE_X48), ceiling=vary(a=0))


@needs_chains
def test_fits_of_real_chains_are_lawful_and_close() -> None:
    """On each recorded chain every slice is lawful and 95 % of marks are within one volatility point; of
    all, 99 %.

    Counted are the options with |delta| in [0.05, 0.95]. The worst chain is the stressed one of 2026-02-05,
    whose long ETH marks jump by two to four points between neighbouring strikes.
    """
    close = total = 0
    for path in CHAINS:
        report = FitReport()
        for underlying in load_chain(path).underlyings:
            fitted = fit_expiries(underlying)
            assert len(fitted) == len(underlying.expiries)
            floor = None
            for _, fit in fitted:
                assert is_lawful(fit.parameters, floor, None)
                floor = fit.parameters
            measure_fit(fitted, report)
        print(
            f"{path.name}: {report.option_count} options, {report.close_share:.4f} within a volatility point"
        )
        assert report.close_share >= 0.95, path.name
        close, total = close + report.close_count, total + report.option_count
    assert total > 9_000
    assert close >= 0.99 * total


def test_implied_volatility_inverts_the_price() -> None:
    """Display code: implied volatility reproduces the volatility, and Greeks the slopes of the price."""
    strikes = np.array([60_000.0, 80_000.0, 90_000.0, 100_000.0, 140_000.0])
    for kind in (black76.CALL, black76.PUT):
        price = black76.compute_price(kind, 90_000.0, strikes, 0.25, 0.55)
        implied = black76.compute_implied_volatility(kind, price, 90_000.0, strikes, 0.25)
        assert float(np.max(np.abs(implied - 0.55))) < 1e-9
        greeks = compute_option_greeks(kind, 90_000.0, strikes, 0.25, 0.55).quote()
        up = black76.compute_price(kind, 90_001.0, strikes, 0.25, 0.55)
        down = black76.compute_price(kind, 89_999.0, strikes, 0.25, 0.55)
        assert float(np.max(np.abs((up - down) / 2 - greeks["delta"]))) < 1e-8
        assert float(np.max(np.abs((up - 2 * price + down) - greeks["gamma"]))) < 1e-8
        richer = black76.compute_price(kind, 90_000.0, strikes, 0.25, 0.56)
        poorer = black76.compute_price(kind, 90_000.0, strikes, 0.25, 0.54)
        assert float(np.max(np.abs((richer - poorer) / 2 - greeks["vega"]))) < 1.0
        later = black76.compute_price(kind, 90_000.0, strikes, 0.25 - 1 / 365, 0.55)
        assert float(np.max(np.abs((later - price) - greeks["theta"]))) < 1.0
    assert np.isnan(black76.compute_implied_volatility(0, 100_000.0, 90_000.0, 80_000.0, 0.25))
