"""Liquidation's leaves, stated again in exact numbers: where a slice closes, what a backstop's margin is at
most, and how a loss is shared. [LIQ-2] [LIQ-5] [LIQ-7]
"""

from fractions import Fraction
from math import ceil, floor
from typing import Any

import numpy as np
import pytest

from novate.protocol.generated.codes import InstrumentKind
from novate.protocol.generated.constants import BASIS_COUNT, PRICE_TICKS_MAX, SCENARIO_COUNT
from novate.protocol.genesis import PARAMETERS
from novate.protocol.liquidation import (
    compute_close_ticks,
    compute_initial_with_portfolio,
    compute_loss_share,
    compute_loss_weight,
)
from novate.protocol.margin import (
    PORTFOLIO,
    add_basis_order,
    add_basis_position,
    add_contingency,
    add_order_effect,
    add_position_effect,
    compute_basis_held,
    compute_basis_worst,
    compute_initial_margin,
    compute_open_cost,
    compute_order_base,
)

INSTRUMENT = np.dtype([(name, np.int64) for name in ("mark_atoms", "tick_atoms", "taker_fee_atoms")])
PORTFOLIOS = 4_000
KINDS = (InstrumentKind.PERPETUAL, InstrumentKind.FUTURE, InstrumentKind.CALL, InstrumentKind.PUT)
# Two series; the perpetual belongs to none, and the future shares the call's.
SERIES = (-1, 0, 0, 1)
Array = np.ndarray[Any, np.dtype[Any]]


def find_ticks(mark: int, tick: int, lots: int, equity: int, band: int, fee: int = 0) -> int:
    """The leaf's price for one instrument."""
    instrument = np.zeros(1, INSTRUMENT)
    instrument[0] = (mark, tick, fee)
    return compute_close_ticks(instrument[0], lots, equity, band)


def state_ticks(mark: int, tick: int, lots: int, equity: int, band: int, fee: int) -> int:
    """The same in the law's words: M + d * w moved into the band, rounded and clamped."""
    spare = max(0, floor(Fraction(equity, abs(lots))) - fee)
    if lots < 0:
        ticks = floor(Fraction(min(mark + spare, mark + band), tick))
    else:
        ticks = ceil(Fraction(max(mark - spare, mark - band, 0), tick))
    return min(max(ticks, 1), PRICE_TICKS_MAX)


@pytest.mark.parametrize(
    ("lots", "equity", "expected"),
    [
        # A mark of 1 000 in ticks of 10, a fee of 5 a lot, a band of 100; sold first, then bought.
        (10, 0, 100),
        (10, -1, 100),
        (10, -(10**15), 100),
        (10, 59, 100),  # 5 a lot is the fee alone,
        (10, 60, 100),  # 6 a lot leave 1: 999 is rounded up to 1 000.
        (10, 149, 100),
        (10, 150, 99),  # 15 a lot leave 10.
        (10, 159, 99),
        (10, 1_049, 91),  # 104 leave 99: 901 is rounded up to 910.
        (10, 1_050, 90),
        (10, 10**15, 90),
        (-10, 0, 100),
        (-10, -1, 100),
        (-10, 149, 100),
        (-10, 150, 101),
        (-10, 1_049, 109),
        (-10, 1_050, 110),
        (-10, 10**15, 110),
    ],
)
def test_a_slice_gives_up_what_is_left_after_the_fee_inside_the_band(
    lots: int, equity: int, expected: int
) -> None:
    """[LIQ-2]: nothing below an equity of nothing, every whole tick above it, and no more than the band."""
    assert expected == find_ticks(1_000, 10, lots, equity, 100, fee=5)


def test_a_slice_stays_on_the_ladder_of_prices() -> None:
    """[LIQ-2]: a worthless lot is sold for one tick, a mark below a tick is bought at one, and the last tick
    is the last.
    """
    assert 1 == find_ticks(0, 10, 1, 10**12, 100)
    assert 1 == find_ticks(50, 10, 1, 10**12, 100), "The band's edge is below zero."
    assert 1 == find_ticks(9, 10, -1, 0, 100)
    assert PRICE_TICKS_MAX == find_ticks(PRICE_TICKS_MAX * 10, 10, -1, 10**12, 100)
    assert PRICE_TICKS_MAX == find_ticks(PRICE_TICKS_MAX * 10 + 5, 10, 1, 0, 100)


def test_a_slice_is_never_beyond_bankruptcy_nor_the_band() -> None:
    """[LIQ-2]: ten thousand random positions close where the law's words say; what the lots closed at that
    price lose with their fee is no more than the equity.
    """
    rng = np.random.default_rng(12)
    for _ in range(10_000):
        mark, tick = int(rng.integers(0, 1 << int(rng.integers(1, 34)))), int(rng.integers(1, 100_000))
        lots = int(rng.integers(1, 1 << int(rng.integers(1, 24)))) * int(rng.choice([-1, 1]))
        equity = int(rng.integers(-(1 << 20), 1 << int(rng.integers(1, 55))))
        band, fee = int(rng.integers(0, 1 << 30)), int(rng.integers(0, 1 << 20))
        ticks = find_ticks(mark, tick, lots, equity, band, fee)
        assert state_ticks(mark, tick, lots, equity, band, fee) == ticks
        given_up = (mark - ticks * tick) * (1 if lots > 0 else -1)
        if 1 < ticks < PRICE_TICKS_MAX:
            assert given_up <= band
            assert given_up <= 0 or abs(lots) * (given_up + fee) <= equity


class Book:
    """The sums of one account in one underlying with four instruments, as the law adds them up."""

    def __init__(self) -> None:
        self.sums = np.zeros(1, PORTFOLIO)
        self.pnl = np.zeros(SCENARIO_COUNT, np.int64)
        self.orders = np.zeros(SCENARIO_COUNT, np.int64)
        self.held, self.opened = np.zeros((2, BASIS_COUNT), np.int64), np.zeros((2, BASIS_COUNT), np.int64)


class World:
    """Random marks and rows of four instruments, positions of two accounts, and the backstop's orders."""

    def __init__(self, rng: np.random.Generator) -> None:
        width = int(rng.choice([100, 10**6, 10**9]))
        self.marks = rng.integers(0, width, 4)
        self.notionals = [int(n) for n in rng.integers(1, 2 * width, 2).repeat(2)]
        # Now and then no scenario loses, and what the fills alone cost is the worst.
        self.rows = rng.integers(-width if rng.random() < 0.7 else 0, width, (4, SCENARIO_COUNT))
        self.basis_rows = rng.integers(-(width // 10), width // 10, (4, BASIS_COUNT))
        self.basis_rows[0] = 0
        self.mine, self.taken = (rng.integers(-50, 50, 4) * (rng.random(4) < 0.7) for _ in range(2))
        self.orders = [
            (int(rng.integers(4)), int(rng.choice([-1, 1])), int(rng.integers(1, 60)), int(limit))
            for limit in rng.integers(1, 2 * width, int(rng.integers(0, 6)))
        ]
        self.parameters = np.zeros(1, PARAMETERS)
        for name in ("futures_initial_e6", "short_initial_e6", "confidence_rate_e6"):
            self.parameters[name] = int(rng.integers(0, 100_000))
        self.parameters["confidence_threshold_e6"] = 950_000
        self.confidence_e6 = int(rng.choice([949_999, 950_000]))

    def add_up(self, lots: Array, with_orders: bool) -> Book:
        """The sums of an account that holds these lots."""
        book = Book()
        sums = book.sums[0]
        for i in range(4):
            mine = [order for order in self.orders if with_orders and order[0] == i]
            bought, sold = (sum(n for _, d, n, _ in mine if d == way) for way in (1, -1))
            add_position_effect(book.pnl, self.rows[i], int(lots[i]))
            add_contingency(sums, KINDS[i], int(lots[i]), bought, sold, self.notionals[i], 1)
            if SERIES[i] >= 0:
                add_basis_position(book.held[SERIES[i]], self.basis_rows[i], int(lots[i]))
            for _, direction, size, limit in mine:
                base = compute_order_base(direction, int(self.marks[i]), limit, 7)
                add_order_effect(book.orders, self.rows[i], direction, base, size)
                sums["open_cost_atoms"] += compute_open_cost(base, size)
                if SERIES[i] >= 0:
                    add_basis_order(book.opened[SERIES[i]], self.basis_rows[i], direction, size)
        for e in range(2):
            sums["basis_worst_atoms"] += compute_basis_worst(book.held[e], book.opened[e])
            sums["basis_held_atoms"] += compute_basis_held(book.held[e])
        return book

    def find_bound(self) -> int:
        """What the backstop must have to take the other's positions."""
        own, taken = self.add_up(self.mine, True), self.add_up(self.taken, False)
        rest = (taken.sums[0], taken.pnl, self.confidence_e6, self.parameters[0])
        return int(compute_initial_with_portfolio(own.sums[0], own.pnl, own.orders, *rest))

    def find_requirement(self, lots: Array) -> int:
        """The initial requirement of the backstop with these lots and its orders."""
        book = self.add_up(lots, True)
        rest = (self.confidence_e6, self.parameters[0])
        return int(compute_initial_margin(book.sums[0], book.pnl, book.orders, *rest))


def test_what_a_backstop_must_have_is_never_too_little() -> None:
    """[LIQ-5]: for thousands of random portfolios the bound is not below what it needs once it has taken
    them; it is exact where nothing can offset, and often above where something does.
    """
    rng = np.random.default_rng(21)
    above = 0
    for _ in range(PORTFOLIOS):
        world = World(rng)
        bound, needed = world.find_bound(), world.find_requirement(world.mine + world.taken)
        assert needed <= bound
        above += needed < bound
    assert 0 < above < PORTFOLIOS


def test_what_a_backstop_must_have_is_exact_where_nothing_offsets() -> None:
    """[LIQ-5]: a backstop that takes nothing needs what it needs, and one without anything of its own what
    the account would need, to the atom.
    """
    rng = np.random.default_rng(22)
    for _ in range(500):
        world = World(rng)
        taken = world.taken.copy()
        world.taken[:] = 0
        assert world.find_requirement(world.mine) == world.find_bound()
        world.taken[:], world.mine[:], world.orders = taken, 0, []
        assert world.find_requirement(world.taken) == world.find_bound()


@pytest.mark.parametrize(
    ("notional", "weight"),
    [(0, 1), (255, 1), (256, 2), (511, 2), (512, 3), ((1 << 58) - 1, 1 << 50)],
)
def test_a_weight_counts_256_atoms_and_one(notional: int, weight: int) -> None:
    """[LIQ-7]: rounded down, but never nothing."""
    assert weight == compute_loss_weight(notional)


def share_out(loss: int, weights: list[int]) -> list[int]:
    """What each bears, in order."""
    shares, left = [], sum(weights)
    for weight in weights:
        shares.append(int(compute_loss_share(loss - sum(shares), weight, left)))
        left -= weight
    return shares


@pytest.mark.parametrize(
    ("loss", "weights", "expected"),
    [
        (0, [3, 4], [0, 0]),
        (1, [1, 1], [0, 1]),
        (7, [5], [7]),
        # A third of 100 is 33.3; half of the 67 that are left is 33.5.
        (100, [1, 1, 1], [33, 33, 34]),
        # A hundredth of 1 000 is 10, but the binary fraction is rounded down first.
        (1_000, [1, 99], [9, 991]),
    ],
)
def test_shares_by_hand(loss: int, weights: list[int], expected: list[int]) -> None:
    """[LIQ-7]: the share and the loss are rounded down, and the last pays the rest."""
    assert expected == share_out(loss, weights)


def test_shares_of_a_loss_add_up_to_it() -> None:
    """[LIQ-7]: for thousands of losses, up to the bounds of weights and loss; nobody gains, and all but the
    last pay within an atom and a 2**48th part of their proportion.
    """
    rng = np.random.default_rng(23)
    for _ in range(3_000):
        loss = int(rng.integers(0, 1 << int(rng.integers(1, 60))))
        count, bits = int(rng.integers(1, 9)), int(rng.integers(1, 59))
        weights = [compute_loss_weight(int(n)) for n in rng.integers(0, 1 << bits, count)]
        shares = share_out(loss, weights)
        assert loss == sum(shares)
        assert min(shares) >= 0
        left, weight_left = loss, sum(weights)
        for share, weight in zip(shares, weights, strict=True):
            exact = Fraction(left * weight, weight_left)
            assert exact - 1 - Fraction(left, 1 << 48) < share <= exact
            left, weight_left = left - share, weight_left - weight
