"""Margin as the replayer reads it: [MARGIN-1] to [MARGIN-9] in Python integers, the vectors of 32 in NumPy.

The sums of a portfolio follow each order and each fill, and are rebuilt from its positions and orders when
the marks have changed. Both ways must meet; `recompute_portfolio` is the definition.
"""

from collections.abc import Iterable

import numpy as np

from novate.protocol.generated.constants import E6
from novate.verification.state import Account, Market, Order, Portfolio, Position, State, Vector


def mul_ratio_ceil(value: int, rate_e6: int) -> int:
    """Return ceil(value * rate / 1e6) [UNIT-4]."""
    return -(-value * rate_e6 // E6)


def find_portfolio(state: State, account: Account, underlying: int) -> Portfolio:
    """Return the account's portfolio in an underlying, valid for the present marks."""
    portfolio = account.portfolios[underlying]
    if portfolio.version != state.markets[underlying].marks_version:
        recompute_portfolio(portfolio, account.holdings[underlying].values(), state.markets[underlying])
    return portfolio


def recompute_portfolio(portfolio: Portfolio, positions: Iterable[Position], market: Market) -> None:
    """Set every sum of a portfolio from its positions and open orders alone."""
    portfolio.clear()
    portfolio.version = market.marks_version
    for position in positions:
        add_contingency(portfolio, position, 1)
        add_held(portfolio, position, position.lots, position.cost_atoms)
        for order in position.orders.values():
            add_order(portfolio, order, order.lots)


def add_held(portfolio: Portfolio, position: Position, lots: int, cost_atoms: int) -> None:
    """Add held lots and entry value to P, V, H and the perpetual sums [MARGIN-1] [MARGIN-2] [MARGIN-6]."""
    instrument = position.instrument
    value = lots * instrument.mark_atoms
    portfolio.value_atoms += value
    if instrument.is_perpetual:
        portfolio.perpetual_value_atoms += value
        portfolio.perpetual_cost_atoms += cost_atoms
    if lots:
        portfolio.pnl += lots * instrument.row
        if not instrument.is_perpetual:
            basis = portfolio.basis.setdefault(instrument.series, [0, 0, 0, 0])
            basis[0] += lots * instrument.basis[0]
            basis[1] += lots * instrument.basis[1]


def compute_effects(order: Order) -> Vector:
    """Return min(0, y[s]) of one lot of an open order [MARGIN-3]."""
    instrument = order.instrument
    base = order.direction * (instrument.mark_atoms - order.limit_atoms) - instrument.taker_fee_atoms
    effects: Vector = np.minimum(order.direction * instrument.row + base, 0)
    return effects


def add_order(portfolio: Portfolio, order: Order, lots: int) -> None:
    """Add open lots (negative: take them away) of an order to O and G [MARGIN-3] [MARGIN-6]."""
    portfolio.effects += lots * compute_effects(order)
    instrument = order.instrument
    if not instrument.is_perpetual:
        basis = portfolio.basis.setdefault(instrument.series, [0, 0, 0, 0])
        basis[2] += lots * min(0, order.direction * instrument.basis[0])
        basis[3] += lots * min(0, order.direction * instrument.basis[1])


def add_contingency(portfolio: Portfolio, position: Position, sign: int) -> None:
    """Add or take away what a position record counts for in lots and notionals.

    Law        [MARGIN-4] [MARGIN-5] [MARGIN-7] [MARGIN-9]
    """
    held, buys, sells = position.lots, position.buys, position.sells
    notional = position.instrument.notional_atoms
    worst = max(abs(held + buys), abs(held - sells)) * notional
    portfolio.worst_atoms += sign * worst
    portfolio.gross_lots += sign * (abs(held) + buys + sells)
    if position.instrument.is_perpetual:
        portfolio.futures_atoms += sign * worst
    else:
        portfolio.short_atoms += sign * max(0, sells - held) * notional


def change_open(state: State, order: Order, position: Position, lots: int) -> None:
    """Count `lots` more (negative: fewer) of an order as open in its account's sums."""
    underlying = order.instrument.underlying
    portfolio = find_portfolio(state, order.account, underlying)
    add_contingency(portfolio, position, -1)
    if order.direction > 0:
        position.buys += lots
    else:
        position.sells += lots
    add_contingency(portfolio, position, 1)
    add_order(portfolio, order, lots)


def change_held(state: State, account: Account, position: Position, lots: int, cost_atoms: int) -> None:
    """Change a position by signed lots and entry value, in the record and in the account's sums."""
    portfolio = find_portfolio(state, account, position.instrument.underlying)
    add_contingency(portfolio, position, -1)
    position.lots += lots
    position.cost_atoms += cost_atoms
    add_contingency(portfolio, position, 1)
    add_held(portfolio, position, lots, cost_atoms)
    if position.instrument.is_perpetual:
        state.perpetual_cost_sum += cost_atoms
    state.dirty_accounts.add(account.number)


def compute_initial(state: State, portfolio: Portfolio, market: Market) -> int:
    """Return the initial requirement of one portfolio, rounding up [MARGIN-8]."""
    rates = state.parameters
    total = max(0, -int((portfolio.pnl + portfolio.effects).min()))
    total += mul_ratio_ceil(portfolio.futures_atoms, rates["futures_initial_e6"])
    total += mul_ratio_ceil(portfolio.short_atoms, rates["short_initial_e6"])
    for down, up, open_down, open_up in portfolio.basis.values():
        total += max(0, -min(down + open_down, up + open_up))
    if market.confidence_e6 < rates["confidence_threshold_e6"]:
        total += mul_ratio_ceil(portfolio.worst_atoms, rates["confidence_rate_e6"])
    return total


def compute_summary(state: State, account: Account) -> tuple[int, int, int]:
    """Return (equity, unrealised profit of perpetuals, initial margin) [MARGIN-2] [MARGIN-8]."""
    equity, unrealised, initial = account.cash_atoms, 0, 0
    for underlying, market in enumerate(state.markets):
        if account.holdings[underlying]:
            portfolio = find_portfolio(state, account, underlying)
            equity += portfolio.value_atoms - portfolio.perpetual_cost_atoms
            unrealised += portfolio.perpetual_value_atoms - portfolio.perpetual_cost_atoms
            initial += compute_initial(state, portfolio, market)
    return equity, unrealised, initial
