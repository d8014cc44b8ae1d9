"""Black-76 in float64: price and implied volatility, for display only; greeks.py has the sensitivities.

No float decides anything: the law prices in integers (`novate.protocol.black76`). Nothing is discounted:
all options are settled in the quote currency. Source: F. Black (1976), The pricing of commodity contracts.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtr

Floats = NDArray[np.float64]

CALL = 0
PUT = 1
VOLATILITY_MIN = 1e-6
VOLATILITY_MAX = 20.0
BISECTION_STEPS = 64


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
