"""Black-76 in float64: price and implied volatility, for display only; greeks.py has the sensitivities.

No float decides anything: the law prices in integers (`novate.protocol.black76`). Nothing is discounted:
all options are settled in the quote currency. Source: F. Black (1976), The pricing of commodity contracts.
"""

import numpy as np
from numpy.typing import ArrayLike

from novate.analytics.greeks import CALL, compute_prices_and_greeks, spread
from novate.analytics.option_kernels import fill_implied_volatilities
from novate.kernel.floats import Floats

PUT = 1


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
    Error      relative, below 2e-13 for prices down to 1e-300 of the forward; see `fill_greeks`.
    """
    return compute_prices_and_greeks(option_kind, forward, strike, time_years, volatility)["price"]


def compute_implied_volatility(
    option_kind: ArrayLike, price: ArrayLike, forward: ArrayLike, strike: ArrayLike, time_years: ArrayLike
) -> Floats:
    """Return the volatility that reproduces a price; nan if the price is outside its bounds.

    Shape      inputs broadcast; the output has their common shape.
    Error      relative, below 5e-14 for what was passed; see `fill_implied_volatilities`.
    """
    shape, (kind, p, f, k, t) = spread(option_kind, price, forward, strike, time_years)
    volatility = np.empty(len(p))
    fill_implied_volatilities(np.where(kind == CALL, 1.0, -1.0), p, f, k, t, volatility)
    return volatility.reshape(shape)
