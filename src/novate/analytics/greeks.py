"""Greeks to the second order of options, futures and perpetuals in float64, and their sums over a portfolio.

Advisory: no float decides anything. Prices are Black-76 on a forward, undiscounted and settled in the quote
currency, so a Greek of one unit is in quote currency. Sources: F. Black (1976), The pricing of commodity
contracts; E. G. Haug (2007), The complete guide to option pricing formulas, chapter 2.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from novate.analytics.option_kernels import fill_greeks, fill_second_order
from novate.kernel.floats import Floats

CALL = 0
DAYS_PER_YEAR = 365
PRICE_AND_GREEKS = ("price", "delta", "gamma", "vega", "theta", "rho")


class Greeks(NamedTuple):
    """Sensitivities of the value V(F, volatility, t) of one unit, or of a portfolio.

    Volatility is per year with 1.00 = 100 %, time in years of 365 days. All fields have one shape.

    delta            dV/dF: calls in [0, 1], puts in [-1, 0], futures and perpetuals 1.
    gamma            d2V/dF2.
    vega             dV/dvolatility, per 1.00 of volatility; a hundredth of it is vega per 1 %.
    theta_per_year   dV/dt with forward and volatility held fixed; never positive for a holder.
    theta_per_day    the same per calendar day: a 365th.
    rho              dV/dr per 1.00 of the carry rate r with F = S * exp(r * time) and S held fixed, that is
                     time * F * delta: undiscounted Black-76 has no other rate.
    vanna            d2V/dF dvolatility = ddelta/dvolatility, per 1.00 of volatility.
    volga            d2V/dvolatility2, per 1.00 of volatility squared.
    charm            ddelta/dt per year, forward and volatility held fixed.
    """

    delta: Floats
    gamma: Floats
    vega: Floats
    theta_per_year: Floats
    theta_per_day: Floats
    rho: Floats
    vanna: Floats
    volga: Floats
    charm: Floats

    def quote(self) -> dict[str, Floats]:
        """Return the Greeks in the units that desks quote: per 1 % of volatility or rate, per day."""
        return {
            "delta": self.delta,
            "gamma": self.gamma,
            "vega": self.vega / 1e2,
            "theta": self.theta_per_day,
            "rho": self.rho / 1e2,
            "vanna": self.vanna / 1e2,
            "volga": self.volga / 1e4,
            "charm": self.charm / DAYS_PER_YEAR,
        }


def compute_option_greeks(
    option_kind: ArrayLike,
    forward: ArrayLike,
    strike: ArrayLike,
    time_years: ArrayLike,
    volatility: ArrayLike,
) -> Greeks:
    """Return the Greeks of one unit of European calls (0) and puts (1).

    Shape      inputs broadcast; every field has their common shape.
    Units      forward and strike in quote currency, positive; time in years, past expiries count as zero.
    Limits     with no total volatility (time or volatility zero) delta is 1, 1/2 or 0 of its sign for an
               option in, at or out of the money; the others are their limits, but a limit that diverges,
               as gamma's at the strike, is returned as 0, so that sums over positions stay finite.
    Error      below 1e-9 of each Greek's largest value over strikes (tests/analytics/test_greeks.py).
    """
    values = compute_prices_and_greeks(option_kind, forward, strike, time_years, volatility)
    shape, (f, k, t, s) = spread(forward, strike, time_years, volatility, like=option_kind)
    vanna, volga, charm = np.empty((3, len(f)))
    fill_second_order(f, k, t, s, vanna, volga, charm)
    theta = values["theta"]
    return Greeks(
        delta=values["delta"],
        gamma=values["gamma"],
        vega=values["vega"],
        theta_per_year=theta,
        theta_per_day=theta / DAYS_PER_YEAR,
        rho=values["rho"],
        vanna=vanna.reshape(shape),
        volga=volga.reshape(shape),
        charm=charm.reshape(shape),
    )


def compute_prices_and_greeks(
    option_kind: ArrayLike,
    forward: ArrayLike,
    strike: ArrayLike,
    time_years: ArrayLike,
    volatility: ArrayLike,
) -> dict[str, Floats]:
    """Return price, delta, gamma, vega, theta per year and rho; see `compute_option_greeks`."""
    shape, (kind, f, k, t, s) = spread(option_kind, forward, strike, time_years, volatility)
    values = np.empty((len(PRICE_AND_GREEKS), len(f)))
    fill_greeks(np.where(kind == CALL, 1.0, -1.0), f, k, t, s, *values)
    return {name: each.reshape(shape) for name, each in zip(PRICE_AND_GREEKS, values, strict=True)}


def spread(*values: ArrayLike, like: ArrayLike = 0.0) -> tuple[tuple[int, ...], list[Floats]]:
    """Return the common shape of some values and `like`, and the values in rows without gaps."""
    *arrays, _ = np.broadcast_arrays(*map(as_floats, values), like)
    return arrays[0].shape, [np.ascontiguousarray(each).reshape(-1) for each in arrays]


def as_floats(values: ArrayLike) -> Floats:
    """Return an array of float64."""
    return np.asarray(values, dtype=np.float64)


def compute_future_greeks(forward: ArrayLike, time_years: ArrayLike) -> Greeks:
    """Return the Greeks of one unit of dated futures; of perpetuals with a time of zero.

    Delta is 1 to the future's own price, rho is time * forward by F = S * exp(r * time), the others are 0.

    Shape      inputs broadcast; every field has their common shape.
    """
    f, t = np.broadcast_arrays(as_floats(forward), as_floats(time_years))
    zero = np.zeros(f.shape)
    return Greeks(
        delta=np.ones(f.shape),
        gamma=zero,
        vega=zero,
        theta_per_year=zero,
        theta_per_day=zero,
        rho=np.maximum(t, 0.0) * f,
        vanna=zero,
        volga=zero,
        charm=zero,
    )


def add_greeks(
    greeks: Greeks,
    lots: ArrayLike,
    lots_per_unit: ArrayLike,
    underlying: ArrayLike,
    underlying_count: int,
) -> Greeks:
    """Return the Greeks of a portfolio, one sum per underlying.

    Deltas to the forwards of several expiries are added as if all forwards moved by the same amount.

    Shape      greeks (n,) of one unit; lots, lots_per_unit and underlying broadcast to (n,);
               every field of the result is (underlying_count,).
    Units      lots are signed, lots / lots_per_unit is the size in units of the underlying; so delta is in
               units of the underlying, theta and vega in quote currency.
    Errors     ValueError if an underlying is outside [0, underlying_count) or the shapes do not fit.
    """
    count = greeks.delta.shape
    size = np.broadcast_to(as_floats(lots) / as_floats(lots_per_unit), count)
    number = np.broadcast_to(np.asarray(underlying, dtype=np.int64), count)
    if len(count) != 1 or np.any((number < 0) | (number >= underlying_count)):
        raise ValueError(f"each position needs an underlying from 0 to {underlying_count - 1}")
    return Greeks(*(as_floats(np.bincount(number, size * field, underlying_count)) for field in greeks))


def join_greeks(parts: list[Greeks]) -> Greeks:
    """Return the Greeks of several groups of instruments as one, in their order; shapes (n,) each."""
    return Greeks(*(np.concatenate([getattr(part, name) for part in parts]) for name in Greeks._fields))
