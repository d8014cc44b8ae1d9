"""Black-76 in integers, against QuantLib on real option chains, mpmath, and its own bounds."""

import math
import random
from collections.abc import Callable
from itertools import product

import mpmath
import pytest
import QuantLib

from novate.analytics.chain import load_chain
from novate.protocol.arithmetic import ONE_X48, mul_x48
from novate.protocol.black76 import CALL, PUT, TOTAL_VOLATILITY_MAX_X48, compute_price_x16
from novate.protocol.transcendental import ln_ratio_x48, normal_cdf_x48
from tests.law.chains import CHAINS, needs_chains

Price = Callable[[int, int, int, int, int], int]
# The law states 1e-13 of the larger of forward and strike; QuantLib itself is exact to about 1e-15.
ERROR = 1e-13
DESIGN_ERROR = 1e-9


def price_exactly(kind: int, forward: int, strike: int, volatility_x48: int) -> "mpmath.mpf":
    """The undiscounted Black-76 price of integers, in atoms, at forty digits."""
    f, k, v = mpmath.mpf(forward), mpmath.mpf(strike), mpmath.mpf(volatility_x48) / ONE_X48
    sign = 1 if kind == CALL else -1
    if v == 0:
        return max(sign * (f - k), mpmath.mpf(0))
    d1 = mpmath.log(f / k) / v + v / 2
    return sign * (f * mpmath.ncdf(sign * d1) - k * mpmath.ncdf(sign * (d1 - v)))


def list_cases() -> list[tuple[int, int, int]]:
    """(forward, strike, total volatility): bounds, the money, and random strikes near and far."""
    source = random.Random(3)
    volatilities = (0, 1, 2, 2**20, 2**40, ONE_X48, TOTAL_VOLATILITY_MAX_X48)
    cases = list(product((1, 2, 10**11, 2**40 - 1), (1, 3, 10**11, 2**40 - 1), volatilities))
    for _ in range(500):
        forward = source.randrange(10**9, 2**38)
        volatility = int(ONE_X48 * 10 ** source.uniform(-4, 0.8))
        cases.append((forward, max(1, int(forward * math.exp(source.gauss(0, 1)))), volatility))
        near = math.exp(source.gauss(0, 2) * min(volatility / ONE_X48, 1))
        cases.append((forward, min(max(1, int(forward * near)), 2**40 - 1), volatility))
    return [case for case in cases if case[1] < 2**40]


def measure_error(price: Price) -> float:
    """Worst error of a price function, as a share of the larger of forward and strike."""
    worst = mpmath.mpf(0)
    with mpmath.workdps(40):
        for forward, strike, volatility in list_cases():
            log_ratio = ln_ratio_x48(forward, strike)
            for kind in (CALL, PUT):
                value = price(kind, forward << 16, strike << 16, log_ratio, volatility)
                exact = price_exactly(kind, forward, strike, volatility)
                # One unit of 2**-16 atoms is the resolution of the result, of which two are lost by flooring.
                error = max(abs(mpmath.mpf(value) / 2**16 - exact) - mpmath.mpf(2) / 2**16, 0)
                worst = max(worst, error / max(forward, strike))
    return float(worst)


def test_price_error() -> None:
    """Every price is within the error that the law states, from tiny to huge volatilities. [PRICE-10]."""
    assert measure_error(compute_price_x16) < ERROR


@needs_chains
def test_price_equals_quantlib_on_real_chains() -> None:
    """On every option of ten recorded chains the law equals QuantLib within 1e-13 of the forward."""
    worst, count = 0.0, 0
    for path in CHAINS:
        for underlying in load_chain(path).underlyings:
            for expiry in underlying.expiries:
                forward = round(expiry.forward * 10**6)
                for option in expiry.options:
                    strike = round(option.strike * 10**6)
                    total = round(option.mark_volatility * math.sqrt(expiry.time_years) * ONE_X48)
                    kind, name = (
                        (CALL, QuantLib.Option.Call) if option.is_call else (PUT, QuantLib.Option.Put)
                    )
                    log_ratio = ln_ratio_x48(forward, strike)
                    mine = compute_price_x16(kind, forward << 16, strike << 16, log_ratio, total) / 2**16
                    theirs = QuantLib.blackFormula(name, strike, forward, total / ONE_X48)
                    worst = max(worst, abs(mine - theirs) / forward)
                    count += 1
    print(f"{count} options, worst error {worst:.2e} of the forward")
    assert count > 10_000
    assert worst < DESIGN_ERROR / 10_000


def test_parity_and_bounds_hold_to_the_last_bit() -> None:
    """C - P = F - K exactly; a price is between intrinsic value and forward or strike. [PRICE-9]."""
    for forward, strike, volatility in list_cases():
        f, k, log_ratio = forward << 16, strike << 16, ln_ratio_x48(forward, strike)
        call = compute_price_x16(CALL, f, k, log_ratio, volatility)
        put = compute_price_x16(PUT, f, k, log_ratio, volatility)
        assert f - k == call - put
        assert max(0, f - k) <= call <= f
        assert max(0, k - f) <= put <= k


def test_no_volatility_leaves_intrinsic_value() -> None:
    """With no volatility, or a strike beyond sixteen of them, a price is its intrinsic value."""
    for volatility in (0, 1, 2**20):
        assert 0 == compute_price_x16(CALL, 100 << 16, 101 << 16, ln_ratio_x48(100, 101), volatility)
        assert 1 << 16 == compute_price_x16(PUT, 100 << 16, 101 << 16, ln_ratio_x48(100, 101), volatility)


def price_without_half_volatility(kind: int, f: int, k: int, x: int, v: int) -> int:
    """A planted bug: d1 and d2 change places."""
    return compute_price_x16(kind, f, k, x - mul_x48(v, v), v)


def price_with_narrow_distribution(kind: int, f: int, k: int, x: int, v: int) -> int:
    """A planted bug: the distribution is read one unit in 2**24 away."""
    d1 = (x << 48) // v + (v >> 1) if abs(x) < 16 * v else 8 * ONE_X48
    shifted = normal_cdf_x48(d1 + (1 << 24)) - normal_cdf_x48(d1)
    return compute_price_x16(kind, f, k, x, v) + mul_x48(f, shifted)


def price_of_the_other_kind(kind: int, f: int, k: int, x: int, v: int) -> int:
    """A planted bug: calls and puts change places."""
    return compute_price_x16(1 - kind, f, k, x, v)


@pytest.mark.parametrize(
    "planted", [price_without_half_volatility, price_with_narrow_distribution, price_of_the_other_kind]
)
def test_wrong_price_is_caught(planted: Price) -> None:
    """The comparison with mpmath finds a price that is wrong in its tenth digit."""
    assert measure_error(planted) > ERROR
