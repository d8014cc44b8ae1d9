"""The float Greeks against two independent computations: finite differences at sixty digits, and QuantLib."""

import math

import mpmath
import numpy as np
import pytest
import QuantLib as ql
from scipy.special import ndtr

from novate.analytics.greeks import (
    Greeks,
    add_greeks,
    compute_future_greeks,
    compute_option_greeks,
    join_greeks,
)

CALL, PUT = 0, 1
FORWARD = 80_000.0
STEP = mpmath.mpf(10) ** -12
CASES = [
    (kind, FORWARD * moneyness, years, volatility)
    for kind in (CALL, PUT)
    for moneyness in (0.4, 0.9, 1.0, 1.07, 2.5)
    for years in (1 / 365, 30 / 365, 2.0)
    for volatility in (0.15, 0.5, 1.8)
]


def price(kind: int, forward: object, strike: float, years: object, volatility: object) -> mpmath.mpf:
    """Black (1976), equation 16, undiscounted."""
    f, k, t, s = (mpmath.mpf(each) for each in (forward, strike, years, volatility))
    total = s * mpmath.sqrt(t)
    d1 = mpmath.log(f / k) / total + total / 2
    sign = 1 if kind == CALL else -1
    return sign * (f * mpmath.ncdf(sign * d1) - k * mpmath.ncdf(sign * (d1 - total)))


def differ(kind: int, strike: float, years: float, volatility: float) -> dict[str, mpmath.mpf]:
    """Every Greek by central differences with relative steps of 1e-12, in sixty digits."""
    f, t, s = mpmath.mpf(FORWARD), mpmath.mpf(years), mpmath.mpf(volatility)
    df, dt, ds = f * STEP, t * STEP, s * STEP

    def at(i: int = 0, j: int = 0, l: int = 0) -> mpmath.mpf:
        return price(kind, f + i * df, strike, t + l * dt, s + j * ds)

    def carry(r: mpmath.mpf) -> mpmath.mpf:
        return price(kind, f * mpmath.exp(r * t), strike, t, s)

    theta = -(at(l=1) - at(l=-1)) / (2 * dt)
    return {
        "delta": (at(1) - at(-1)) / (2 * df),
        "gamma": (at(1) - 2 * at() + at(-1)) / df**2,
        "vega": (at(j=1) - at(j=-1)) / (2 * ds),
        "theta_per_year": theta,
        "theta_per_day": theta / 365,
        "rho": (carry(STEP) - carry(-STEP)) / (2 * STEP),
        "vanna": (at(1, 1) - at(1, -1) - at(-1, 1) + at(-1, -1)) / (4 * df * ds),
        "volga": (at(j=1) - 2 * at() + at(j=-1)) / ds**2,
        "charm": -(at(1, 0, 1) - at(1, 0, -1) - at(-1, 0, 1) + at(-1, 0, -1)) / (4 * df * dt),
    }


def scale(years: float, volatility: float) -> dict[str, float]:
    """About the largest value of each Greek over strikes."""
    total = volatility * math.sqrt(years)
    vega = FORWARD * math.sqrt(years) * 0.4
    return {
        "delta": 1.0,
        "gamma": 0.4 / (FORWARD * total),
        "vega": vega,
        "theta_per_year": vega * volatility / (2 * years),
        "theta_per_day": vega * volatility / (730 * years),
        "rho": years * FORWARD,
        "vanna": 0.4 / volatility,
        "volga": vega / volatility,
        "charm": 0.4 / years,
    }


def test_greeks_are_the_derivatives_of_the_price() -> None:
    """Each Greek is within 1e-9 of its scale of a finite difference taken at sixty digits."""
    worst: dict[str, float] = {}
    for kind, strike, years, volatility in CASES:
        greeks = compute_option_greeks(kind, FORWARD, strike, years, volatility)
        with mpmath.workdps(60):
            expected = differ(kind, strike, years, volatility)
        for name, unit in scale(years, volatility).items():
            error = abs(float(expected[name]) - float(getattr(greeks, name))) / unit
            worst[name] = max(worst.get(name, 0.0), error)
    assert set(Greeks._fields) == set(worst)
    assert [] == [(name, error) for name, error in worst.items() if error > 1e-9], worst


def test_greeks_agree_with_quantlib() -> None:
    """Delta, gamma, vega, theta and rho are QuantLib's BlackCalculator's, which prices on a forward too.

    With a discount of one its spot Greeks at spot = forward are ours; its theta is -dV/dT for a forward that
    does not move. Its rho is that of the discount with the forward fixed, so ours is compared with a bump.
    """
    for kind, strike, years, volatility in CASES:
        payoff = ql.PlainVanillaPayoff(ql.Option.Call if kind == CALL else ql.Option.Put, strike)
        theirs = ql.BlackCalculator(payoff, FORWARD, volatility * math.sqrt(years), 1.0)
        ours = compute_option_greeks(kind, FORWARD, strike, years, volatility)
        size = scale(years, volatility)
        for name, expected in (
            ("delta", theirs.deltaForward()),
            ("gamma", theirs.gammaForward()),
            ("vega", theirs.vega(years)),
            ("theta_per_year", theirs.theta(FORWARD, years)),
        ):
            assert expected == pytest.approx(float(getattr(ours, name)), rel=1e-9, abs=1e-9 * size[name])
        bumped = [
            ql.BlackCalculator(payoff, FORWARD * math.exp(r * years), volatility * math.sqrt(years), 1.0)
            for r in (1e-5, -1e-5)
        ]
        slope = (bumped[0].value() - bumped[1].value()) / 2e-5
        assert slope == pytest.approx(float(ours.rho), rel=1e-4, abs=1e-4 * size["rho"])


def test_bumps_of_quantlib_give_the_second_order() -> None:
    """Vanna, volga and charm are differences of QuantLib's delta and vega."""
    h = 1e-5
    for kind, strike, years, volatility in CASES:
        payoff = ql.PlainVanillaPayoff(ql.Option.Call if kind == CALL else ql.Option.Put, strike)

        def at(s: float, t: float, payoff: object = payoff) -> ql.BlackCalculator:
            return ql.BlackCalculator(payoff, FORWARD, s * math.sqrt(t), 1.0)

        up, down = at(volatility + h, years), at(volatility - h, years)
        later, sooner = at(volatility, years - h * years), at(volatility, years + h * years)
        ours = compute_option_greeks(kind, FORWARD, strike, years, volatility)
        for name, expected in (
            ("vanna", (up.deltaForward() - down.deltaForward()) / (2 * h)),
            ("volga", (up.vega(years) - down.vega(years)) / (2 * h)),
            ("charm", (later.deltaForward() - sooner.deltaForward()) / (2 * h * years)),
        ):
            unit = scale(years, volatility)[name]
            assert abs(expected - float(getattr(ours, name))) <= 1e-5 * unit, name


def test_first_order_is_quoted_per_point_and_per_day() -> None:
    """Delta, gamma, vega and theta are the textbook's, vega per volatility point and theta per day."""
    strikes = np.linspace(20_000.0, 300_000.0, 57)
    ours = compute_option_greeks(PUT, FORWARD, strikes, 0.2, 0.7)
    root = math.sqrt(0.2)
    d1 = np.log(FORWARD / strikes) / (0.7 * root) + 0.35 * root
    density = np.exp(-0.5 * d1 * d1) / math.sqrt(2 * math.pi)
    theirs = {
        "delta": -ndtr(-d1),
        "gamma": density / (FORWARD * 0.7 * root),
        "vega": FORWARD * density * root / 100,
        "theta": -FORWARD * density * 0.7 / (2 * root) / 365,
    }
    quoted = ours.quote()
    for name in ("delta", "gamma", "vega", "theta"):
        assert np.allclose(theirs[name], quoted[name], rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("kind", [CALL, PUT])
@pytest.mark.parametrize(
    ("years", "volatility"), [(0.0, 0.5), (0.5, 0.0), (0.0, 0.0), (-1.0, 0.5), (1e-250, 0.5)]
)
def test_without_total_volatility_an_option_is_its_intrinsic_value(
    kind: int, years: float, volatility: float
) -> None:
    """Delta is 1, 1/2 or 0 of its sign; the rest is 0 off the strike, and finite at it."""
    sign = 1.0 if kind == CALL else -1.0
    strikes = np.array([70_000.0, 80_000.0, 90_000.0])
    greeks = compute_option_greeks(kind, FORWARD, strikes, years, volatility)
    expected = [1.0, 0.5, 0.0] if kind == CALL else [0.0, -0.5, -1.0]
    assert expected == greeks.delta.tolist()
    assert sign * greeks.delta[1] == 0.5
    assert (max(years, 0.0) * FORWARD * greeks.delta).tolist() == greeks.rho.tolist()
    for name in ("gamma", "vega", "theta_per_year", "vanna", "volga", "charm"):
        values = getattr(greeks, name)
        assert 0.0 == values[0] == values[2]
        assert np.isfinite(values[1])
    assert 0.0 == greeks.gamma[1] == greeks.theta_per_year[1] == greeks.volga[1] == greeks.charm[1]


def test_limits_at_the_strike_without_volatility() -> None:
    """As volatility goes to zero at the strike, vega and vanna reach their finite limits without a jump."""
    here = compute_option_greeks(CALL, FORWARD, FORWARD, 0.25, 0.0)
    near = compute_option_greeks(CALL, FORWARD, FORWARD, 0.25, 1e-9)
    density = 1 / math.sqrt(2 * math.pi)
    assert FORWARD * density * 0.5 == pytest.approx(float(here.vega), rel=1e-14)
    assert density * 0.25 == pytest.approx(float(here.vanna), rel=1e-14)
    assert float(near.vega) == pytest.approx(float(here.vega), rel=1e-14)
    assert float(near.vanna) == pytest.approx(float(here.vanna), rel=1e-9)


def test_deep_options_have_no_second_order() -> None:
    """Far from the strike delta is exactly 1 or 0 and everything but rho vanishes; nothing overflows."""
    for strike, delta in ((1.0, 1.0), (1e9, 0.0)):
        greeks = compute_option_greeks(CALL, FORWARD, strike, 1 / 365, 0.2)
        assert (delta, delta * FORWARD / 365) == (float(greeks.delta), float(greeks.rho))
        for name in ("gamma", "vega", "theta_per_year", "vanna", "volga", "charm"):
            assert 0.0 == abs(float(getattr(greeks, name)))
    wild = compute_option_greeks(CALL, FORWARD, [1e-3, 8e4, 1e12], 1e-17, [1e-6, 1e-3, 20.0])
    assert all(np.isfinite(field).all() for field in wild)


def test_shapes_broadcast() -> None:
    """Kinds by strikes by times give arrays of their common shape."""
    kinds = np.array([CALL, PUT])[:, None, None]
    strikes = np.array([70_000.0, 80_000.0, 90_000.0])[:, None]
    greeks = compute_option_greeks(kinds, FORWARD, strikes, [0.1, 0.2, 0.3, 0.4], 0.5)
    assert {(2, 3, 4)} == {field.shape for field in greeks}
    # Put-call parity: call - put = F - K, so deltas differ by one and the second order is the same.
    assert np.allclose(1.0, greeks.delta[0] - greeks.delta[1], atol=1e-15)
    for name in ("gamma", "vega", "theta_per_year", "vanna", "volga", "charm"):
        assert np.array_equal(getattr(greeks, name)[0], getattr(greeks, name)[1])


def test_a_portfolio_sums_lots_by_underlying() -> None:
    """A covered call of BTC and a short future of ETH: sizes are lots / lots_per_unit, sums are apart."""
    call = compute_option_greeks([CALL], FORWARD, 90_000.0, 30 / 365, 0.5)
    linear = compute_future_greeks([FORWARD, 3_000.0], [0.0, 0.25])
    total = add_greeks(join_greeks([call, linear]), [-50, 1_000, -20], [100, 1_000, 100], [0, 0, 1], 2)
    assert {(2,)} == {field.shape for field in total}
    assert 1.0 - 0.5 * float(call.delta[0]) == pytest.approx(total.delta[0], rel=1e-15)
    assert -0.5 * float(call.vega[0]) == pytest.approx(total.vega[0], rel=1e-15)
    assert -0.5 * float(call.charm[0]) == pytest.approx(total.charm[0], rel=1e-15)
    assert -0.2 == total.delta[1]
    assert -0.2 * 0.25 * 3_000.0 == pytest.approx(total.rho[1])
    assert 0.0 == total.gamma[1] == total.vega[1] == total.theta_per_year[1]


def test_a_straddle_is_neutral_where_it_should_be() -> None:
    """Long a call and short a put of one strike is a future: one delta, no other Greek but rho."""
    legs = compute_option_greeks([CALL, PUT], FORWARD, 75_000.0, 0.3, 0.6)
    total = add_greeks(legs, [10, -10], 10, 0, 1)
    future = compute_future_greeks([FORWARD], 0.3)
    for name in Greeks._fields:
        expected = float(getattr(future, name)[0])
        assert abs(expected - float(getattr(total, name)[0])) <= 1e-12 * max(1.0, abs(expected))


def test_a_position_needs_an_underlying() -> None:
    """A number outside the table is refused, and so is an array of the wrong shape."""
    greeks = compute_future_greeks([1.0, 2.0], 0.0)
    for number in (2, -1):
        with pytest.raises(ValueError, match="underlying"):
            add_greeks(greeks, 1, 1, number, 2)
    with pytest.raises(ValueError, match="underlying"):
        add_greeks(compute_future_greeks(1.0, 0.0), 1, 1, 0, 1)
