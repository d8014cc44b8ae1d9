"""Greeks and implied volatility for the API: the float library in the shape that the server asks for."""

import math

from novate.analytics import black76


def compute_greeks(
    forward: float, strike: float, volatility: float, years: float, is_call: bool
) -> dict[str, float]:
    """Return delta, gamma, vega per 0.01, theta per day and rho per 0.01 of one option, by name."""
    greeks = black76.compute_greeks(0 if is_call else 1, forward, strike, years, volatility)
    return {name: float(getattr(greeks, name)) for name in ("delta", "gamma", "vega", "theta", "rho")}


def compute_implied_volatility(
    price: float, forward: float, strike: float, years: float, is_call: bool
) -> float | None:
    """Return the volatility that gives a price, or None if none does."""
    value = float(black76.compute_implied_volatility(0 if is_call else 1, price, forward, strike, years))
    return None if math.isnan(value) else value
