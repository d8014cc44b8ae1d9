"""Black-76 in float64: price, Greeks and implied volatility, for display only.

No float decides anything: the law prices in integers (`novate.protocol.black76`). Nothing is discounted:
all options are settled in the quote currency. Source: F. Black (1976), The pricing of commodity contracts.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtr

Floats = NDArray[np.float64]

CALL = 0
PUT = 1
DAYS_PER_YEAR = 365
VOLATILITY_MIN = 1e-6
VOLATILITY_MAX = 20.0
BISECTION_STEPS = 64


class Greeks(NamedTuple):
    """Sensitivities of one unit of options.

    delta   to the forward, per 1.00 of quote currency; calls in [0, 1], puts in [-1, 0].
    gamma   of delta, to the forward.
    vega    per volatility point (0.01).
    theta   per calendar day (1/365 year), volatility and forward held fixed; negative for a holder.
    rho     per percentage point of an interest rate that discounts the premium: -time * price / 100.
    """

    delta: Floats
    gamma: Floats
    vega: Floats
    theta: Floats
    rho: Floats


def compute_price(
    option_kind: ArrayLike,
    forward: ArrayLike,
    strike: ArrayLike,
    time_years: ArrayLike,
    volatility: ArrayLike,
) -> Floats:
    """Return undiscounted prices of calls (0) and puts (1); at expiry, intrinsic value.

    Shape      inputs broadcast; the output has their common shape.
    Units      forward and strike in quote currency; volatility per year, 1.00 = 100 %; time in years.
    """
    kind, f, k, t, s = np.broadcast_arrays(option_kind, forward, strike, time_years, volatility)
    sign = np.where(kind == CALL, 1.0, -1.0)
    total = np.maximum(s * np.sqrt(np.maximum(t, 0.0)), 1e-300)
    d1 = np.log(f / k) / total + 0.5 * total
    price: Floats = sign * (f * ndtr(sign * d1) - k * ndtr(sign * (d1 - total)))
    return np.maximum(price, 0.0)


def compute_greeks(
    option_kind: ArrayLike,
    forward: ArrayLike,
    strike: ArrayLike,
    time_years: ArrayLike,
    volatility: ArrayLike,
) -> Greeks:
    """Return the Greeks of options, in the conventions of `Greeks`; arguments as `compute_price`.

    At expiry or with no volatility delta is that of intrinsic value and the others are zero.
    """
    kind, f, k, t, s = np.broadcast_arrays(option_kind, forward, strike, time_years, volatility)
    sign = np.where(kind == CALL, 1.0, -1.0)
    root = np.sqrt(np.maximum(t, 0.0))
    total = s * root
    alive = total > 0.0
    width = np.where(alive, total, 1e-300)
    d1 = np.log(f / k) / width + 0.5 * width
    density = np.where(alive, np.exp(-0.5 * np.minimum(d1 * d1, 1400.0)) / np.sqrt(2.0 * np.pi), 0.0)
    theta = np.where(alive, -f * density * s / (2.0 * np.where(alive, root, 1.0)), 0.0)
    return Greeks(
        delta=sign * ndtr(sign * d1),
        gamma=density / (f * np.where(alive, total, 1.0)),
        vega=f * density * root / 100.0,
        theta=theta / DAYS_PER_YEAR,
        rho=-np.maximum(t, 0.0) * compute_price(kind, f, k, t, s) / 100.0,
    )


def compute_implied_volatility(
    option_kind: ArrayLike, price: ArrayLike, forward: ArrayLike, strike: ArrayLike, time_years: ArrayLike
) -> Floats:
    """Return the volatility that reproduces a price, by bisection; nan if the price is outside its bounds.

    Error      absolute error below 1e-9 where vega exceeds 1e-6 of the forward (tests/law/test_svi.py).
    """
    kind, p, f, k, t = np.broadcast_arrays(option_kind, price, forward, strike, time_years)
    low = np.full(p.shape, VOLATILITY_MIN)
    high = np.full(p.shape, VOLATILITY_MAX)
    for _ in range(BISECTION_STEPS):
        middle = 0.5 * (low + high)
        above = compute_price(kind, f, k, t, middle) > p
        high = np.where(above, middle, high)
        low = np.where(above, low, middle)
    intrinsic = np.maximum(np.where(kind == CALL, f - k, k - f), 0.0)
    bound = np.where(kind == CALL, f, k)
    solvable = (p > intrinsic) & (p < bound) & (t > 0.0) & (high < VOLATILITY_MAX)
    return np.where(solvable, 0.5 * (low + high), np.nan)
