"""Greeks and implied volatility for the API: the float library in the shape that the server asks for."""

import math

from novate.analytics import black76
from novate.analytics.greeks import compute_option_greeks


def compute_greeks(
    forward: float, strike: float, volatility: float, years: float, is_call: bool
) -> dict[str, float]:
    """Return delta, gamma, vega, theta, rho, vanna, volga and charm of one option: per 0.01, per day."""
    greeks = compute_option_greeks(0 if is_call else 1, forward, strike, years, volatility)
    return {name: float(value) for name, value in greeks.quote().items()}


def load_option_kernels() -> None:
    """Compile or load what the functions here need, so that no request waits for it."""
    compute_greeks(1.0, 1.0, 0.5, 1.0, True)
    compute_implied_volatility(0.1, 1.0, 1.0, 1.0, True)


def compute_implied_volatility(
    price: float, forward: float, strike: float, years: float, is_call: bool
) -> float | None:
    """Return the volatility that gives a price, or None if none does."""
    value = float(black76.compute_implied_volatility(0 if is_call else 1, price, forward, strike, years))
    return None if math.isnan(value) else value
