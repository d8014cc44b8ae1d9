"""Greeks and implied volatility for the API: the float library in the shape that the server asks for."""

import math

from novate.analytics import black76


def compute_greeks(
    forward: float, strike: float, volatility: float, years: float, is_call: bool
) -> tuple[float, float, float, float, float]:
    """Return (delta, gamma, vega per 0.01, theta per day, rho per 0.01) of one option."""
    greeks = black76.compute_greeks(0 if is_call else 1, forward, strike, years, volatility)
    return tuple(float(value) for value in (greeks.delta, greeks.gamma, greeks.vega, greeks.theta, greeks.rho))  # type: ignore[return-value]


def compute_implied_volatility(
    price: float, forward: float, strike: float, years: float, is_call: bool
) -> float | None:
    """Return the volatility that gives a price, or None if none does."""
    value = float(black76.compute_implied_volatility(0 if is_call else 1, price, forward, strike, years))
    return None if math.isnan(value) else value
