"""Margins of other venues, from their published formulas in float64, to compare with ours.

Advisory. Every requirement here is the least equity (cash, plus marks of options, plus unrealised profit of
futures) with which a venue lets a portfolio stand, so that rules which count marks differently compare.
Sources: Deribit, "Portfolio Margin", "Linear Perpetual" and "private/pme/simulate" (support.deribit.com and
docs.deribit.com); Derive, StandardManager.sol and its main-net parameters (github.com/derivexyz/v2-core).
"""

import math
from typing import NamedTuple

import numpy as np

from novate.analytics.black76 import compute_price
from novate.analytics.greeks import CALL, compute_option_greeks

LINEAR = 2  # A perpetual, beside CALL 0 and PUT 1.
DAYS_PER_YEAR = 365
MOVES = np.linspace(-0.16, 0.16, 9)
TAIL_MOVES = np.array([-0.66, -0.33, 0.5, 1.0, 2.0, 3.0, 4.0, 5.0])
PRICE_RANGE = 0.16


class Leg(NamedTuple):
    """A position: kind, strike, time in years, forward, volatility per year, signed size in units."""

    kind: int
    strike: float
    time_years: float
    forward: float
    volatility: float
    size: float

    @property
    def mark(self) -> float:
        """Value of one unit in quote currency; of a perpetual its price."""
        return self.value(self.forward, self.volatility)

    def value(self, forward: float, volatility: float) -> float:
        """Return the value of one unit at another forward and volatility."""
        if self.kind == LINEAR:
            return forward
        return float(compute_price(self.kind, forward, self.strike, self.time_years, volatility))


class Requirement(NamedTuple):
    """The least equity to open and to keep a portfolio, in quote currency."""

    initial: float
    maintenance: float


class PortfolioRequirement(NamedTuple):
    """Deribit's portfolio margin and its parts; `worst_move` is the spot move of the worst scenario."""

    initial: float
    maintenance: float
    worst_case: float
    worst_move: float
    roll_shock: float


def compute_deribit_short(kind: int, strike: float, index: float, mark: float) -> Requirement:
    """Return Deribit's standard margin of one short option per unit, its mark included.

    Call: initial max(0.15 - OTM / S, 0.1) S + mark, maintenance 0.075 S + mark. Put: maintenance
    max(0.075 S, 0.075 mark) + mark, initial as the call's but not below maintenance.
    """
    out = max(strike - index, 0.0) if kind == CALL else max(index - strike, 0.0)
    initial = max(0.15 * index - out, 0.1 * index) + mark
    if kind == CALL:
        return Requirement(initial, 0.075 * index + mark)
    maintenance = max(0.075 * index, 0.075 * mark) + mark
    return Requirement(max(initial, maintenance), maintenance)


def compute_deribit_perpetual(size: float, index: float) -> Requirement:
    """Return Deribit's standard margin of a BTC_USDC perpetual: 2 % and 1 %, plus 0.005 % per bitcoin."""
    notional = abs(size) * index
    return Requirement(notional * (0.02 + 5e-5 * abs(size)), notional * (0.01 + 5e-5 * abs(size)))


def compute_deribit_standard(legs: list[Leg], index: float) -> Requirement:
    """Return Deribit's standard margin: leg by leg; long options are paid in full and secure nothing."""
    initial = maintenance = 0.0
    for leg in legs:
        if leg.kind == LINEAR:
            one = compute_deribit_perpetual(leg.size, index)
        elif leg.size < 0.0:
            short = compute_deribit_short(leg.kind, leg.strike, index, leg.mark)
            # The formula includes the mark, and equity has already paid it.
            one = Requirement(*(-leg.size * (part - leg.mark) for part in short))
        else:
            one = Requirement(leg.size * leg.mark, leg.size * leg.mark)
        initial += one.initial
        maintenance += one.maintenance
    return Requirement(initial, maintenance)


def compute_derive_short(kind: int, strike: float, index: float, mark: float) -> Requirement:
    """Return Derive's isolated margin of one short option per unit, its mark included."""
    out = max(strike - index, 0.0) if kind == CALL else max(index - strike, 0.0)
    initial = mark + max(0.15 * index - out, 0.13 * index)
    if kind == CALL:
        return Requirement(initial, mark + 0.09 * index)
    maintenance = mark + max(0.09 * index, 0.09 * mark)
    return Requirement(max(initial, 1.05 * maintenance), maintenance)


def compute_derive_loss(legs: list[Leg], scale: float) -> float:
    """Return the largest loss at expiry of one expiry's options over zero and the strikes, at least 0.

    Calls short on balance lose without bound: each adds `scale` times the forward.
    """
    worst = 0.0
    for price in {0.0} | {leg.strike for leg in legs}:
        payoff = sum(
            leg.size * max(price - leg.strike if leg.kind == CALL else leg.strike - price, 0.0)
            for leg in legs
        )
        worst = max(worst, -payoff)
    calls = sum(leg.size for leg in legs if leg.kind == CALL)
    return worst + scale * legs[0].forward * max(-calls, 0.0)


def compute_derive_standard(legs: list[Leg], index: float) -> Requirement:
    """Return Derive's standard margin: per expiry the lesser of the isolated shorts and the largest loss."""
    initial = maintenance = 0.0
    for leg in legs:
        if leg.kind == LINEAR:
            initial += 0.1 * abs(leg.size) * index
            maintenance += 0.065 * abs(leg.size) * index
    for years in sorted({leg.time_years for leg in legs if leg.kind != LINEAR}):
        options = [leg for leg in legs if leg.kind != LINEAR and leg.time_years == years]
        shorts = [
            (-leg.size, compute_derive_short(leg.kind, leg.strike, index, leg.mark))
            for leg in options
            if leg.size < 0.0
        ]
        value = sum(leg.size * leg.mark for leg in options)
        initial += value + min(sum(n * one.initial for n, one in shorts), compute_derive_loss(options, 1.2))
        maintenance += value + min(
            sum(n * one.maintenance for n, one in shorts), compute_derive_loss(options, 1.1)
        )
    return Requirement(initial, maintenance)


class DeribitParameters(NamedTuple):
    """Deribit's published parameters of a linear BTC portfolio (btc_usd, and usd for the currency)."""

    range_up: float = 0.5
    range_down: float = 0.25
    short_power: float = 0.3
    long_power: float = 0.13
    volatility_up_min: float = 0.5
    extended_dampener: float = 25_000.0
    roll_rate_min: float = 0.01
    roll_rate_per_year: float = 0.1
    maintenance_factor: float = 0.8


DERIBIT = DeribitParameters()


def shock_volatility(volatility: float, time_years: float, mode: int, rule: DeribitParameters) -> float:
    """Return a volatility shocked up (1), unchanged (0) or down (-1)."""
    days = max(time_years * DAYS_PER_YEAR, 1.0)
    scale: float = (30.0 / days) ** (rule.short_power if days <= 30.0 else rule.long_power)
    if mode > 0:
        return max(volatility * (1.0 + rule.range_up * scale), rule.volatility_up_min)
    return volatility * max(1.0 - rule.range_down * scale, 0.0) if mode < 0 else volatility


def simulate(legs: list[Leg], move: float, mode: int, rule: DeribitParameters) -> float:
    """Return the profit of a portfolio in one scenario."""
    return sum(
        leg.size
        * (
            leg.value(
                leg.forward * (1.0 + move), shock_volatility(leg.volatility, leg.time_years, mode, rule)
            )
            - leg.mark
        )
        for leg in legs
    )


def simulate_tail(legs: list[Leg], move: float, rule: DeribitParameters) -> float:
    """Return a profit of the extended table: the fraction range / |move| of it, then dampened."""
    return dampen(simulate(legs, move, 1, rule) * PRICE_RANGE / abs(move), move, rule.extended_dampener)


def dampen(profit: float, move: float, dampener: float) -> float:
    """Return a profit brought closer to zero by up to (|move| / range - 1) * dampener."""
    relief = (abs(move) / PRICE_RANGE - 1.0) * dampener
    return float(np.sign(profit)) * max(abs(profit) - relief, 0.0)


def compute_roll_shock(legs: list[Leg], index: float, rule: DeribitParameters) -> float:
    """Return the charge on the net delta of each expiry: at least 1 % of its value, more for far ones."""
    total = 0.0
    for kind, years in sorted({(leg.kind == LINEAR, leg.time_years) for leg in legs}):
        delta = sum(
            leg.size
            if leg.kind == LINEAR
            else leg.size
            * float(
                compute_option_greeks(leg.kind, leg.forward, leg.strike, leg.time_years, leg.volatility).delta
            )
            for leg in legs
            if (leg.kind == LINEAR, leg.time_years) == (kind, years)
        )
        total += abs(delta) * index * max(rule.roll_rate_min, math.expm1(rule.roll_rate_per_year * years))
    return total


def compute_deribit_portfolio(
    legs: list[Leg], index: float, rule: DeribitParameters = DERIBIT
) -> PortfolioRequirement:
    """Return Deribit's portfolio margin of one linear underlying without orders and without delta shock.

    27 scenarios of nine spot moves and three volatilities, 8 of the extended table, and the roll shock.
    Delta shock begins at 20 million dollars of delta. Deribit's published response fixes the fractions of the
    extended table and the roll rate of futures; the size of the dampener and the use of option deltas in the
    roll shock are our reading, which it does not contradict.
    """
    cases = [(simulate(legs, float(x), mode, rule), float(x)) for x in MOVES for mode in (1, 0, -1)]
    cases += [(simulate_tail(legs, float(x), rule), float(x)) for x in TAIL_MOVES]
    worst, move = min(cases)
    worst_case = max(-worst, 0.0)
    roll = compute_roll_shock(legs, index, rule)
    total = worst_case + roll
    return PortfolioRequirement(total, total * rule.maintenance_factor, worst_case, move, roll)


def compute_inverse_profit(size: float, move: float) -> float:
    """Return the profit in coin of an inverse future in a move of either table, before dampening.

    Its value in dollars is linear; the fraction of an extended move is taken in dollars and turned into coin
    at the end of the price range. Size is in coin at the mark.
    """
    profit = size * (1.0 - 1.0 / (1.0 + move))
    if abs(move) <= PRICE_RANGE * (1.0 + 1e-12):
        return profit
    edge = 1.0 + (PRICE_RANGE if move > 0.0 else -PRICE_RANGE)
    return profit * PRICE_RANGE / abs(move) * (1.0 + move) / edge
