"""The float kernels against mpmath: relative errors over all that doubles hold, not only near the money."""

import math
import random
import sys
from pathlib import Path

import mpmath
import numpy as np
import pytest
from mpmath import mpf
from numpy.typing import NDArray

from novate.analytics import float_functions
from novate.analytics.black76 import compute_implied_volatility, compute_price
from novate.analytics.greeks import compute_prices_and_greeks
from novate.kernel import float_kernel

Floats = NDArray[np.float64]
ROOT = Path(__file__).parents[2]
EPSILON = 2.0**-52
CALL, PUT = 0, 1
DIGITS = 60


def map_functions(x: Floats, exps: Floats, logs: Floats, logs1p: Floats) -> None:
    for i in range(x.shape[0]):
        exps[i] = float_functions.exp(x[i])
        logs[i] = float_functions.log(abs(x[i]))
        logs1p[i] = float_functions.log1p(abs(x[i]))


def map_tails(x: Floats, s: Floats, first: Floats, second: Floats, gap: Floats) -> None:
    for i in range(x.shape[0]):
        _, _, _, first[i], second[i], gap[i] = float_functions.measure_tails(x[i], s[i])


# The cache of compiled code is keyed by the sources of a layer: these belong with what they call.
for each in (map_functions, map_tails):
    each.__module__ = float_functions.__name__
map_functions = float_kernel(map_functions)
map_tails = float_kernel(map_tails)


def measure_error(exact: mpf, value: float) -> float:
    """The relative error, in units of the last place."""
    return float(abs(mpf(float(value)) / exact - 1)) / EPSILON


def spread_exponents(seed: int, low: float, high: float, count: int) -> Floats:
    """Numbers of both signs whose logarithms are uniform."""
    source = np.random.default_rng(seed)
    size = np.exp(source.uniform(math.log(low), math.log(high), count))
    return np.where(source.random(count) < 0.5, size, -size)


def test_exponential_and_logarithms_are_right_to_two_units() -> None:
    """They hold for exp on [-700, 700], ln from 1e-300 to 1e300 and near 1, ln(1 + x) from 1e-18 on."""
    x = np.concatenate(
        [
            spread_exponents(1, 1e-300, 1e300, 1000),
            spread_exponents(2, 1e-18, 700.0, 2000),
            np.random.default_rng(3).uniform(0.5, 2.0, 2000),
        ]
    )
    exps, logs, logs1p = np.empty((3, len(x)))
    map_functions(x, exps, logs, logs1p)
    with mpmath.workdps(DIGITS):
        errors = {
            "exp": max(
                measure_error(mpmath.exp(mpf(float(a))), b)
                for a, b in zip(x, exps, strict=True)
                if abs(a) < 700
            ),
            "log": max(
                measure_error(mpmath.log(abs(mpf(float(a)))), b) for a, b in zip(x, logs, strict=True)
            ),
            "log1p": max(
                measure_error(mpmath.log1p(abs(mpf(float(a)))), b) for a, b in zip(x, logs1p, strict=True)
            ),
        }
    assert [] == [(name, error) for name, error in errors.items() if error > 2.0], errors


def test_exponential_ends_at_zero_below_its_range() -> None:
    """Below -708 there is exactly nothing, so that what underflows does not leave dust."""
    exps, logs, logs1p = np.empty((3, 2))
    map_functions(np.array([-708.1, -1e300]), exps, logs, logs1p)
    assert [0.0, 0.0] == exps.tolist()


def test_tails_keep_their_digits_however_small_the_volatility() -> None:
    """Each erfcx and the gap between two of them are right to 1e-14 for total volatility from 1e-6 to 10."""
    source = np.random.default_rng(4)
    s = np.exp(source.uniform(math.log(1e-6), math.log(10.0), 1500))
    x = -np.concatenate([source.uniform(0, 3, 750), source.uniform(0, 36, 750)]) * s
    first, second, gap = np.empty((3, len(x)))
    map_tails(x, s, first, second, gap)
    worst = 0.0
    with mpmath.workdps(DIGITS):
        for i in range(len(x)):
            h, t = mpf(float(x[i])) / mpf(float(s[i])), mpf(float(s[i])) / 2
            p, q = -(h + t) / mpmath.sqrt(2), (t - h) / mpmath.sqrt(2)
            is_near = p >= -0.5
            exact = [mpmath.exp(z * z) * mpmath.erfc(z) for z in (p if is_near else -p, q)]
            pairs = [(exact[0], first[i]), (exact[1], second[i])]
            pairs += [(exact[0] - exact[1], gap[i])] if is_near else []
            worst = max(worst, *(measure_error(a, b) for a, b in pairs))
    assert worst * EPSILON < 1e-14


def list_options(count: int, distance: float, seed: int = 6) -> list[tuple[int, float, float, float, float]]:
    """Kind, forward, strike, time and volatility: total volatility 1e-6 to 10, d to `distance` either way."""
    source = random.Random(seed)
    options = []
    while len(options) < count:
        total = math.exp(source.uniform(math.log(1e-6), math.log(10.0)))
        moneyness = source.uniform(-distance, distance) * total
        if abs(moneyness) < 60:
            forward = math.exp(source.uniform(0.0, 12.0))
            time = math.exp(source.uniform(math.log(1e-5), math.log(10.0)))
            options.append(
                (
                    source.choice((CALL, PUT)),
                    forward,
                    forward * math.exp(-moneyness),
                    time,
                    total / math.sqrt(time),
                )
            )
    return options


def price_exactly(kind: int, f: mpf, k: mpf, total: mpf) -> mpf:
    """Black (1976), equation 16, undiscounted."""
    d1 = mpmath.log(f / k) / total + total / 2
    sign = 1 if kind == CALL else -1
    return sign * (f * mpmath.ncdf(sign * d1) - k * mpmath.ncdf(sign * (d1 - total)))


def list_exact(option: tuple[int, float, float, float, float]) -> tuple[dict[str, mpf], float]:
    """Price and five Greeks to sixty digits, and d1^2 / 2."""
    kind = option[0]
    f, k, time, volatility = map(mpf, option[1:])
    root = mpmath.sqrt(time)
    total = volatility * root
    d1 = mpmath.log(f / k) / total + total / 2
    sign = 1 if kind == CALL else -1
    delta = sign * mpmath.ncdf(sign * d1)
    weight = f * mpmath.npdf(d1)
    return {
        "price": price_exactly(kind, f, k, total),
        "delta": delta,
        "gamma": weight / (f * f * total),
        "vega": weight * root,
        "theta": -weight * volatility / (2 * root),
        "rho": time * f * delta,
    }, float(d1 * d1 / 2)


@pytest.mark.parametrize("distance", [6.0, 30.0])
def test_prices_and_greeks_keep_their_relative_error_in_the_wings(distance: float) -> None:
    """Price and five Greeks are right to 4e-15 and 1e-15 for each unit of d^2 / 2, relative to themselves.

    In and out of the money, total volatility 1e-6 to 10, prices down to 1e-200 of the forward.
    """
    options = list_options(1200, distance)
    values = compute_prices_and_greeks(*map(list, zip(*options, strict=True)))
    worst: dict[str, float] = {}
    with mpmath.workdps(DIGITS):
        for i, option in enumerate(options):
            exact, square = list_exact(option)
            for name, value in exact.items():
                if abs(value) > 1e-290:
                    error = measure_error(value, values[name][i]) * EPSILON / (4e-15 + 1e-15 * square)
                    worst[name] = max(worst.get(name, 0.0), error)
    assert set(values) == set(worst)
    assert [] == [(name, error) for name, error in worst.items() if error > 1.0], worst


def invert_exactly(kind: int, price: mpf, f: mpf, k: mpf, guess: mpf) -> mpf:
    """The total volatility of a price by Newton's method in sixty digits, begun next to the solution."""
    total = guess
    for _ in range(6):
        d1 = mpmath.log(f / k) / total + total / 2
        total -= (price_exactly(kind, f, k, total) - price) / (f * mpmath.npdf(d1))
    return total


@pytest.mark.parametrize("distance", [1.0, 4.0, 8.0, 30.0])
def test_implied_volatility_keeps_thirteen_digits(distance: float) -> None:
    """Relative error below 5e-14, in and out of the money, total volatility 1e-6 to 10, d up to 30.

    Compared with the exact solution for the very doubles that were passed, so that only the solver is judged.
    """
    worst = 0.0
    solved = 0
    with mpmath.workdps(DIGITS):
        for kind, f, k, time, volatility in list_options(400, distance, seed=7):
            total = mpf(volatility) * mpmath.sqrt(mpf(time))
            price = float(price_exactly(kind, mpf(f), mpf(k), total))
            intrinsic = max(mpf(f) - mpf(k), mpf(0)) if kind == CALL else max(mpf(k) - mpf(f), mpf(0))
            bound = f if kind == CALL else k
            # A price that its last digits do not tell from a bound determines no volatility.
            if mpf(price) - intrinsic > 1e-15 * intrinsic + 1e-300 and bound - price > 1e-15 * bound:
                exact = invert_exactly(kind, mpf(price), mpf(f), mpf(k), total) / mpmath.sqrt(mpf(time))
                value = float(compute_implied_volatility(kind, price, f, k, time))
                worst = max(worst, measure_error(exact, value) * EPSILON)
                solved += 1
    assert solved > 50
    assert worst < 5e-14


def test_prices_outside_their_bounds_have_no_volatility() -> None:
    """At or below intrinsic value, at or above the bound, at expiry, or not a number: nan, and no warning."""
    kinds = [CALL, CALL, CALL, PUT, PUT, CALL, CALL, CALL]
    prices = [20.0, 19.0, 100.0, 80.0, 0.0, 25.0, 25.0, math.nan]
    times = [1.0, 1.0, 1.0, 1.0, 1.0, 0.0, -1.0, 1.0]
    volatility = compute_implied_volatility(kinds, prices, 100.0, 80.0, times)
    assert np.isnan(volatility).all()


def test_volatility_at_the_money_needs_no_moneyness() -> None:
    """With forward and strike equal, and with neighbours of equal, volatility comes back."""
    strikes = np.array([100.0, np.nextafter(100.0, 200.0), np.nextafter(100.0, 0.0), 100.0 + 1e-9])
    for total in (1e-4, 0.01, 0.5, 3.0):
        price = compute_price(CALL, 100.0, strikes, 0.25, 2.0 * total)
        assert np.allclose(
            2.0 * total, compute_implied_volatility(CALL, price, 100.0, strikes, 0.25), rtol=1e-10
        )


def test_results_have_the_shape_of_the_inputs() -> None:
    """A scalar gives a scalar, kinds by strikes give a table, an empty list an empty list."""
    assert () == compute_price(CALL, 100.0, 90.0, 1.0, 0.5).shape
    assert (2, 3) == compute_price([[CALL], [PUT]], 100.0, [90.0, 100.0, 110.0], 1.0, 0.5).shape
    assert (0,) == compute_implied_volatility(CALL, [], 100.0, 90.0, 1.0).shape


def test_coefficients_are_what_their_definitions_give(monkeypatch: pytest.MonkeyPatch) -> None:
    """The polynomials in the repository are those that the fit writes."""
    monkeypatch.syspath_prepend(str(ROOT / "scripts"))
    import fit_float_functions

    monkeypatch.delitem(sys.modules, "fit_float_functions")
    assert fit_float_functions.generate() == fit_float_functions.TARGET.read_text()
