"""Margin as the replayer reads it: [MARGIN-1] to [MARGIN-13] in Python integers, the vectors of 32 in NumPy.

The sums of a portfolio follow each order and each fill, and are rebuilt from its positions and orders when
the marks have changed. Both ways must meet; `recompute_portfolio` is the definition. What protected quotes
can do in one window depends on all of a group together, so it is found afresh at every check.
"""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from novate.protocol.generated.constants import E6
from novate.verification.state import (
    NO_SERIES,
    Account,
    Group,
    Market,
    Order,
    Portfolio,
    Position,
    State,
    Vector,
)

MAINTENANCE_SHARE_E6 = 800_000


class GroupSums(NamedTuple):
    """The worst that one window of fills can do to a group's quotes [MARGIN-13]."""

    effects: Vector  # O_g
    fill_atoms: int  # O0_g
    basis_atoms: int  # G_g, not above zero
    worst_atoms: int  # K_g times the notional
    short_atoms: int  # S_g times the notional


def mul_ratio_ceil(value: int, rate_e6: int) -> int:
    """Return ceil(value * rate / 1e6) [UNIT-4]."""
    return -(-value * rate_e6 // E6)


def mul_ratio_floor(value: int, rate_e6: int) -> int:
    """Return floor(value * rate / 1e6) [UNIT-4]."""
    return value * rate_e6 // E6


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
        for order in position.combo_orders.values():
            if order.instrument.parts[0][0] is position.instrument:  # Once, at its first leg.
                add_order(portfolio, order, order.lots)


def add_held(portfolio: Portfolio, position: Position, lots: int, cost_atoms: int) -> None:
    """Add held lots and entry value to P, V, H and the linear sums [MARGIN-1] [MARGIN-2] [MARGIN-6]."""
    instrument = position.instrument
    value = lots * instrument.mark_atoms
    portfolio.value_atoms += value
    if instrument.is_linear:
        portfolio.linear_value_atoms += value
        portfolio.linear_cost_atoms += cost_atoms
    if lots:
        portfolio.pnl += lots * instrument.row
        if instrument.series != NO_SERIES:
            basis = portfolio.basis.setdefault(instrument.series, [0, 0, 0, 0])
            basis[0] += lots * instrument.basis[0]
            basis[1] += lots * instrument.basis[1]


def compute_fill_atoms(order: Order) -> int:
    """Return d * (M - L) - T: what filling one lot adds to equity at the mark, after its fee [MARGIN-3]."""
    instrument = order.instrument
    return order.direction * (instrument.mark_atoms - order.limit_atoms) - instrument.taker_fee_atoms


def compute_effects(order: Order) -> Vector:
    """Return min(0, y[s]) of one lot of an open order [MARGIN-3]."""
    effects: Vector = np.minimum(order.direction * order.instrument.row + compute_fill_atoms(order), 0)
    return effects


def add_order(portfolio: Portfolio, order: Order, lots: int) -> None:
    """Add open lots (negative: take them away) of an order to O, O0 and G [MARGIN-3] [MARGIN-6] [COMBO-5].

    A quote is only noted with its group, for [MARGIN-13].
    """
    if order.group:
        add_quote(portfolio, order, lots)
        return
    portfolio.effects += lots * compute_effects(order)
    portfolio.fill_atoms += lots * min(0, compute_fill_atoms(order))
    for instrument, ratio in order.instrument.parts:
        if instrument.series != NO_SERIES:
            basis = portfolio.basis.setdefault(instrument.series, [0, 0, 0, 0])
            basis[2] += lots * min(0, order.direction * ratio * instrument.basis[0])
            basis[3] += lots * min(0, order.direction * ratio * instrument.basis[1])


def add_quote(portfolio: Portfolio, order: Order, lots: int) -> None:
    """Note open lots (negative: fewer) of a quote [QUOTE-4]."""
    quotes = portfolio.quotes.setdefault(order.group, {})
    _, known = quotes.get(order.order_id, (order, 0))
    quotes[order.order_id] = (order, known + lots)
    if not known + lots:
        del quotes[order.order_id]
    if not quotes:
        del portfolio.quotes[order.group]


def add_contingency(portfolio: Portfolio, position: Position, sign: int) -> None:
    """Add or take away what a position record counts for in lots and notionals.

    Law        [MARGIN-4] [MARGIN-5] [MARGIN-7] [MARGIN-9] [QUOTE-4]
    """
    held, buys, sells = position.lots, position.buys, position.sells
    notional = position.instrument.notional_atoms
    worst = max(abs(held + buys), abs(held - sells)) * notional
    portfolio.worst_atoms += sign * worst
    portfolio.gross_lots += sign * (abs(held) + buys + sells + position.quoted)
    held_atoms = abs(held) * notional
    portfolio.held_lots += sign * abs(held)
    portfolio.held_atoms += sign * held_atoms
    if position.instrument.is_linear:
        portfolio.futures_atoms += sign * worst
        portfolio.held_futures_atoms += sign * held_atoms
    else:
        portfolio.short_atoms += sign * max(0, sells - held) * notional
        portfolio.held_short_atoms += sign * max(0, -held) * notional


def change_open(state: State, order: Order, lots: int) -> None:
    """Count `lots` more (negative: fewer) of an order as open in its account's sums; an order in a combo
    counts in every leg [COMBO-5].

    The account must have position records in the instrument, or in the legs.
    """
    underlying = order.instrument.underlying
    portfolio, holdings = find_portfolio(state, order.account, underlying), order.account.holdings[underlying]
    for instrument, ratio in order.instrument.parts:
        position = holdings[instrument.number]
        add_contingency(portfolio, position, -1)
        if order.group:
            position.quoted += lots
        elif order.direction * ratio > 0:
            position.buys += lots * abs(ratio)
        else:
            position.sells += lots * abs(ratio)
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
    if position.instrument.is_linear:
        state.linear_cost_sum += cost_atoms
    state.dirty_accounts.add(account.number)


def sum_least(costs: Vector, lots: Vector, limit_lots: int) -> Vector:
    """Return per column the least sum of n * cost over 0 <= n <= lots with at most `limit_lots` in all.

    The rows with the least cost are taken first; no cost is above zero, so more lots never hurt.
    """
    ranks = np.argsort(costs, axis=0, kind="stable")
    available = lots[ranks]
    before = np.cumsum(available, axis=0) - available
    taken = np.clip(limit_lots - before, 0, available)
    total: Vector = (taken * np.take_along_axis(costs, ranks, axis=0)).sum(axis=0)
    return total


def compute_group(group: Group, quotes: Iterable[tuple[Order, int]]) -> GroupSums:
    """Return what one window of fills can do to the quotes of a group, at least one [MARGIN-13]."""
    listed = list(quotes)
    limit = group.quantity_limit_lots - group.filled_lots
    lots: Vector = np.array([open_lots for _, open_lots in listed], np.int64)
    # One row for a quote: its 32 effects, its effect without a move, its worst basis effect.
    costs: Vector = np.array(
        [
            [
                *compute_effects(order),
                min(0, compute_fill_atoms(order)),
                min(0, *(order.direction * profit for profit in order.instrument.basis)),
            ]
            for order, _ in listed
        ],
        np.int64,
    )
    least = sum_least(costs, lots, limit)
    sells = sum(open_lots for order, open_lots in listed if order.direction < 0)
    notional = listed[0][0].instrument.notional_atoms
    return GroupSums(
        least[:-2],
        int(least[-2]),
        int(least[-1]),
        min(limit, int(lots.sum())) * notional,
        min(limit, sells) * notional,
    )


def compute_initial(state: State, account: Account, underlying: int, taken: Portfolio | None = None) -> int:
    """Return the initial requirement of one portfolio, rounding up [MARGIN-8] [MARGIN-13].

    With `taken` it is the bound with that portfolio on top: profits meet, all else adds up [LIQ-5].
    """
    rates, market = state.parameters, state.markets[underlying]
    portfolio = find_portfolio(state, account, underlying)
    profits, fill_atoms = portfolio.pnl + portfolio.effects, portfolio.fill_atoms
    if taken is not None:
        profits = profits + taken.pnl
    short_atoms, worst_atoms, basis_atoms = portfolio.short_atoms, portfolio.worst_atoms, 0
    for number, quotes in portfolio.quotes.items():
        sums = compute_group(account.groups[number], quotes.values())
        profits = profits + sums.effects
        fill_atoms += sums.fill_atoms
        basis_atoms -= sums.basis_atoms
        short_atoms += sums.short_atoms
        worst_atoms += sums.worst_atoms
    for down, up, open_down, open_up in portfolio.basis.values():
        basis_atoms += max(0, -min(down + open_down, up + open_up))
    total = max(0, -int(profits.min()), -fill_atoms) + basis_atoms
    total += mul_ratio_ceil(portfolio.futures_atoms, rates["futures_initial_e6"])
    total += mul_ratio_ceil(short_atoms, rates["short_initial_e6"])
    if market.confidence_e6 < rates["confidence_threshold_e6"]:
        total += mul_ratio_ceil(worst_atoms, rates["confidence_rate_e6"])
    return total + (compute_taken_contingencies(state, market, taken) if taken is not None else 0)


def compute_worst_atoms(state: State, account: Account, underlying: int) -> int:
    """Return W, the most that could be held of every instrument, times its notional [MARGIN-7]
    [MARGIN-13].
    """
    portfolio = find_portfolio(state, account, underlying)
    return portfolio.worst_atoms + sum(
        compute_group(account.groups[number], quotes.values()).worst_atoms
        for number, quotes in portfolio.quotes.items()
    )


def compute_taken_contingencies(state: State, market: Market, taken: Portfolio) -> int:
    """Return what a portfolio's held lots add to whoever takes it, beyond scenarios, each part rounded up
    [LIQ-5].
    """
    rates = state.parameters
    total = compute_held_basis(taken)
    total += mul_ratio_ceil(taken.held_futures_atoms, rates["futures_initial_e6"])
    total += mul_ratio_ceil(taken.held_short_atoms, rates["short_initial_e6"])
    if market.confidence_e6 < rates["confidence_threshold_e6"]:
        total += mul_ratio_ceil(taken.held_atoms, rates["confidence_rate_e6"])
    return total


def compute_held_basis(portfolio: Portfolio) -> int:
    """Return the basis requirement of held lots alone [MARGIN-6]."""
    return sum(max(0, -min(down, up)) for down, up, _, _ in portfolio.basis.values())


def compute_maintenance(state: State, account: Account, underlying: int) -> int:
    """Return the maintenance requirement of one portfolio, rounding up [MARGIN-8]."""
    rates, portfolio = state.parameters, find_portfolio(state, account, underlying)
    total = mul_ratio_ceil(max(0, -int(portfolio.pnl.min())), MAINTENANCE_SHARE_E6)
    total += mul_ratio_ceil(portfolio.held_futures_atoms, rates["futures_maintenance_e6"])
    total += mul_ratio_ceil(portfolio.held_short_atoms, rates["short_maintenance_e6"])
    return total + compute_held_basis(portfolio)


def compute_equity(state: State, account: Account) -> int:
    """Return cash and the value of all positions, less the entry value of the linear ones [MARGIN-2]."""
    equity = account.cash_atoms
    for underlying, holdings in enumerate(account.holdings):
        if holdings:
            portfolio = find_portfolio(state, account, underlying)
            equity += portfolio.value_atoms - portfolio.linear_cost_atoms
    return equity


def compute_standing(state: State, account: Account) -> tuple[int, int]:
    """Return (equity, maintenance requirement over all underlyings) [MARGIN-2] [MARGIN-8]."""
    required = sum(
        compute_maintenance(state, account, underlying)
        for underlying, holdings in enumerate(account.holdings)
        if holdings
    )
    return compute_equity(state, account), required


def compute_summary(state: State, account: Account) -> tuple[int, int, int]:
    """Return (equity, unrealised profit of linear instruments, initial margin) [MARGIN-2] [MARGIN-8]."""
    equity, unrealised, initial = account.cash_atoms, 0, 0
    for underlying in range(len(state.markets)):
        if account.holdings[underlying]:
            portfolio = find_portfolio(state, account, underlying)
            equity += portfolio.value_atoms - portfolio.linear_cost_atoms
            unrealised += portfolio.linear_value_atoms - portfolio.linear_cost_atoms
            initial += compute_initial(state, account, underlying)
    return equity, unrealised, initial


def compute_surplus_if_filled(state: State, order: Order) -> int:
    """Return equity less initial margin with every lot of an order, not open, filled at its limit.

    The account must have a position record in the instrument. Nothing changes. [MARGIN-12]
    """
    account, instrument = order.account, order.instrument
    position = account.holdings[instrument.underlying][instrument.number]
    equity, _, _ = compute_summary(state, account)
    change_held(state, account, position, order.direction * order.lots, 0)
    _, _, initial = compute_summary(state, account)
    change_held(state, account, position, -order.direction * order.lots, 0)
    return equity + order.lots * compute_fill_atoms(order) - initial
