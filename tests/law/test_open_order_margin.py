"""[MARGIN-3] by brute force: P + O is the worst that the book can do to an account, exactly.

Every one of the 2**n ways to fill all, or nothing, of n open orders is tried in every scenario. Equity is
linear in the filled lots of each order, so no partial fill is worse than the worst of these.
"""

import numpy as np

from novate.protocol.generated.constants import SCENARIO_COUNT
from novate.protocol.margin import (
    add_order_effect,
    add_position_effect,
    compute_open_cost,
    compute_order_base,
    compute_scan,
    compute_scan_if_filled,
    compute_scan_with_order,
)

PORTFOLIOS = 10_000
ORDERS_MAX = 12
INSTRUMENTS = 5

# Each row says which of up to twelve orders are filled.
SUBSETS = (np.arange(1 << ORDERS_MAX)[:, None] >> np.arange(ORDERS_MAX) & 1).astype(np.float64)


class Portfolio:
    """Random marks, rows, positions and open orders of one account in one underlying."""

    def __init__(self, rng: np.random.Generator) -> None:
        width = int(rng.choice([100, 10**6, 10**9]))
        self.marks = rng.integers(0, width, INSTRUMENTS)
        self.rows = rng.integers(-width, width, (INSTRUMENTS, SCENARIO_COUNT))
        self.held = rng.integers(-50, 50, INSTRUMENTS)
        count = int(rng.integers(1, ORDERS_MAX + 1))
        self.instruments = rng.integers(0, INSTRUMENTS, count)
        self.directions = rng.choice([-1, 1], count)
        self.lots = rng.integers(1, 100, count)
        self.limits = rng.integers(1, 2 * width, count)
        self.fees = rng.integers(0, max(2, width // 100), count)

    def list_fills(self) -> tuple[np.ndarray, np.ndarray]:
        """What a complete fill of each order changes in each scenario, and by itself."""
        marks = self.marks[self.instruments]
        base = self.directions * (marks - self.limits) - self.fees
        moved = self.directions[:, None] * self.rows[self.instruments] + base[:, None]
        return self.lots[:, None] * moved, self.lots * base

    def find_worst(self) -> tuple[np.ndarray, int]:
        """The least profit over all subsets of fills, for each scenario, and of the fills alone."""
        changes, costs = self.list_fills()
        count = len(costs)
        # Sums stay far below 2**53, so they are exact in floating point, where products of matrices are fast.
        chosen = SUBSETS[: 1 << count, :count]
        profits = self.held @ self.rows + (chosen @ changes.astype(np.float64)).min(axis=0)
        return profits.astype(np.int64), int((chosen @ costs.astype(np.float64)).min())


def add_up(portfolio: Portfolio) -> tuple[np.ndarray, np.ndarray, int]:
    """The vectors P and O, and O0, as the law adds them up."""
    pnl, orders = np.zeros(SCENARIO_COUNT, np.int64), np.zeros(SCENARIO_COUNT, np.int64)
    open_cost = 0
    for i in range(INSTRUMENTS):
        add_position_effect(pnl, portfolio.rows[i], int(portfolio.held[i]))
    for k, i in enumerate(portfolio.instruments):
        direction, lots = int(portfolio.directions[k]), int(portfolio.lots[k])
        mark, limit, fee = (int(x) for x in (portfolio.marks[i], portfolio.limits[k], portfolio.fees[k]))
        base = compute_order_base(direction, mark, limit, fee)
        add_order_effect(orders, portfolio.rows[i], direction, base, lots)
        open_cost += compute_open_cost(base, lots)
    return pnl, orders, open_cost


def test_the_scan_is_the_worst_of_all_ways_to_be_filled() -> None:
    """For ten thousand random portfolios: P + O, O0 and the scan are those of the worst subset."""
    rng = np.random.default_rng(3)
    for _ in range(PORTFOLIOS):
        portfolio = Portfolio(rng)
        pnl, orders, open_cost = add_up(portfolio)
        worst, worst_cost = portfolio.find_worst()
        assert np.array_equal(worst, pnl + orders)
        assert worst_cost == open_cost
        assert max(0, -int(worst.min()), -worst_cost) == compute_scan(pnl, orders, open_cost)


def test_one_more_order_is_judged_as_if_it_were_open() -> None:
    """The scan with an order is the scan once it is open; filled, it is the scan with its lots held."""
    rng = np.random.default_rng(8)
    for _ in range(1_000):
        portfolio = Portfolio(rng)
        pnl, orders, open_cost = add_up(portfolio)
        row, direction, lots = portfolio.rows[0], int(portfolio.directions[0]), int(portfolio.lots[0])
        base = int(rng.integers(-(10**6), 10**6))
        judged = compute_scan_with_order(pnl, orders, open_cost, row, direction, base, lots)
        filled = compute_scan_if_filled(pnl, orders, open_cost, row, direction * lots)
        after = orders.copy()
        add_order_effect(after, row, direction, base, lots)
        assert compute_scan(pnl, after, open_cost + compute_open_cost(base, lots)) == judged
        assert compute_scan(pnl + direction * lots * row, orders, open_cost) == filled
