"""Portfolios by the ten thousand for test_margin_portfolios.py: made, margined by the law, and exactly.

The exact figures are sums of two limbs, so that nothing that the law may add up can overflow in them, and
fractions kept as millionths. They use nothing of the law's code.
"""

from typing import Any, NamedTuple

import numpy as np

from novate.kernel import kernel
from novate.protocol.generated.codes import InstrumentKind
from novate.protocol.generated.constants import GROSS_LOTS_MAX
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
    compute_initial_with_order,
    compute_maintenance_margin,
    compute_open_cost,
    compute_order_base,
)

INSTRUMENTS, ORDERS, SERIES, SCENARIOS, SHIFTS = 4, 6, 2, 32, 2
LOTS_MAX = GROSS_LOTS_MAX // (INSTRUMENTS + ORDERS)
VALUE_MAX = 1 << 34
ROW_MAX = 5 * VALUE_MAX
LIMB_BITS = 16
E6 = 1_000_000
KINDS = (InstrumentKind.PERPETUAL, InstrumentKind.FUTURE, InstrumentKind.CALL, InstrumentKind.PUT)
TERMS = np.dtype(
    [(name, np.int64) for name in ("kind", "mark_atoms", "notional_atoms", "taker_fee_atoms", "series")]
)
Array = np.ndarray[Any, np.dtype[Any]]


class Batch(NamedTuple):
    """So many portfolios of one underlying; the last open order is also tried as one more."""

    terms: Array  # TERMS[n, INSTRUMENTS]
    rows: Array  # [n, INSTRUMENTS, SCENARIOS]
    basis: Array  # [n, INSTRUMENTS, SHIFTS]
    held: Array  # [n, INSTRUMENTS]
    orders: Array  # [n, ORDERS, 4]: instrument, direction, lots, limit
    confidence: Array  # [n]


def pick(rng: np.random.Generator, low: int, high: int, shape: tuple[int, ...]) -> Array:
    """Integers from low to high: anywhere, near zero, or at the boundaries."""
    anywhere = rng.integers(low, high, shape, endpoint=True)
    small = rng.integers(max(low, -3), 3, shape, endpoint=True)
    edges = np.array([low, high, 0, 1, min(high, 1 << 24), max(low, -1)])
    kind = rng.integers(0, 4, shape)
    chosen = np.where(kind == 0, small, np.where(kind == 1, rng.choice(edges, shape), anywhere))
    return np.clip(chosen, low, high)


def make_batch(rng: np.random.Generator, count: int) -> Batch:
    """Portfolios of any kind, up to the largest that the law admits."""
    terms = np.zeros((count, INSTRUMENTS), TERMS)
    terms["kind"] = rng.choice(np.array(KINDS), (count, INSTRUMENTS))
    terms["mark_atoms"] = pick(rng, 0, VALUE_MAX, (count, INSTRUMENTS))
    terms["notional_atoms"] = pick(rng, 1, VALUE_MAX, (count, INSTRUMENTS))
    terms["taker_fee_atoms"] = pick(rng, 0, VALUE_MAX // 100, (count, INSTRUMENTS))
    terms["series"] = rng.integers(0, SERIES, (count, INSTRUMENTS))
    orders = np.zeros((count, ORDERS, 4), np.int64)
    orders[:, :, 0] = rng.integers(0, INSTRUMENTS, (count, ORDERS))
    orders[:, :, 1] = rng.choice([-1, 1], (count, ORDERS))
    orders[:, :, 2] = pick(rng, 1, LOTS_MAX, (count, ORDERS))
    orders[:, :, 3] = pick(rng, 1, 2 * VALUE_MAX, (count, ORDERS))
    return Batch(
        terms,
        pick(rng, -VALUE_MAX, ROW_MAX, (count, INSTRUMENTS, SCENARIOS)),
        pick(rng, -VALUE_MAX, VALUE_MAX, (count, INSTRUMENTS, SHIFTS)),
        pick(rng, -LOTS_MAX, LOTS_MAX, (count, INSTRUMENTS)),
        orders,
        pick(rng, 0, E6, (count,)),
    )


@kernel
def margin_batch(
    b: tuple[Any, ...], parameters: Any, sums: Any, vectors: Any, shifts: Any, lots: Any, out: Any
) -> None:
    """Initial, maintenance, and initial with the last order as one more, of each portfolio by the law."""
    all_terms, all_rows, all_basis, all_held, all_orders, confidence = b
    for n in range(all_rows.shape[0]):
        portfolio, pnl, effects = sums[n], vectors[0], vectors[1]
        rows, basis = all_rows[n], all_basis[n]
        pnl[:], effects[:], shifts[:], lots[:] = 0, 0, 0, 0
        for i in range(INSTRUMENTS):
            series = all_terms[n, i]["series"]
            add_position_effect(pnl, rows[i], all_held[n, i])
            add_basis_position(shifts[0, series], basis[i], all_held[n, i])
        for k in range(ORDERS + 1):
            if k >= ORDERS - 1:
                # All but the last order are open; the second time round, all are.
                portfolio["gross_lots"], portfolio["gross_worst_atoms"] = 0, 0
                portfolio["futures_worst_atoms"], portfolio["futures_held_atoms"] = 0, 0
                portfolio["short_worst_atoms"], portfolio["short_held_atoms"] = 0, 0
                portfolio["basis_worst_atoms"], portfolio["basis_held_atoms"] = 0, 0
                for i in range(INSTRUMENTS):
                    terms = all_terms[n, i]
                    notional = terms["notional_atoms"]
                    add_contingency(
                        portfolio, terms["kind"], all_held[n, i], lots[i, 0], lots[i, 1], notional, 1
                    )
                for e in range(SERIES):
                    portfolio["basis_worst_atoms"] += compute_basis_worst(shifts[0, e], shifts[1, e])
                    portfolio["basis_held_atoms"] += compute_basis_held(shifts[0, e])
            if k == ORDERS:
                break
            i, direction, size, limit = (
                all_orders[n, k, 0],
                all_orders[n, k, 1],
                all_orders[n, k, 2],
                all_orders[n, k, 3],
            )
            terms, opened = all_terms[n, i], shifts[1, all_terms[n, i]["series"]]
            if k == ORDERS - 1:
                held = shifts[0, terms["series"]]
                out[n, 2] = compute_initial_with_order(
                    portfolio, pnl, effects, held, opened, terms, rows[i], basis[i], all_held[n, i],
                    lots[i, 0], lots[i, 1], direction, limit, size, confidence[n], parameters,
                )  # fmt: skip
            base = compute_order_base(direction, terms["mark_atoms"], limit, terms["taker_fee_atoms"])
            portfolio["open_cost_atoms"] += compute_open_cost(base, size)
            add_order_effect(effects, rows[i], direction, base, size)
            add_basis_order(opened, basis[i], direction, size)
            lots[i, 0 if direction > 0 else 1] += size
        out[n, 0] = compute_initial_margin(portfolio, pnl, effects, confidence[n], parameters)
        out[n, 1] = compute_maintenance_margin(portfolio, pnl, parameters)


def margin_by_law(batch: Batch, parameters: Any) -> Array:
    """The three requirements of each portfolio."""
    count = len(batch.rows)
    out = np.zeros((count, 3), np.int64)
    vectors, shifts = np.zeros((2, SCENARIOS), np.int64), np.zeros((2, SERIES, SHIFTS), np.int64)
    lots = np.zeros((INSTRUMENTS, 2), np.int64)
    margin_batch(tuple(batch), parameters, np.zeros(count, PORTFOLIO), vectors, shifts, lots, out)
    return out


class Limbs:
    """A sum of products of integers below 2**39 and lots, high and low limb apart."""

    def __init__(self, *shape: int) -> None:
        self.high, self.low = np.zeros(shape, np.int64), np.zeros(shape, np.int64)

    def add(self, lots: Array, values: Array) -> None:
        """Add lots times values."""
        self.high += lots * (values >> LIMB_BITS)
        self.low += lots * (values & ((1 << LIMB_BITS) - 1))

    def find_least(self) -> Array:
        """The least of the last axis, as Python integers."""
        high = self.high + (self.low >> LIMB_BITS)
        low = self.low & ((1 << LIMB_BITS) - 1)
        least = high.min(axis=-1)
        rest = np.where(high == least[..., None], low, 1 << LIMB_BITS).min(axis=-1)
        return least.astype(object) * (1 << LIMB_BITS) + rest.astype(object)


def loss(*sums: Array) -> Array:
    """The largest loss, at least 0."""
    return np.maximum(0, -np.minimum.reduce(sums))


def margin_exactly(batch: Batch, parameters: Any) -> tuple[Array, Array]:
    """Initial and maintenance requirement of each portfolio in millionths of atoms, from the formulas."""
    count, each = len(batch.rows), np.arange(len(batch.rows))
    terms, held = batch.terms, batch.held
    scan, alone, cost = Limbs(count, SCENARIOS), Limbs(count, SCENARIOS), Limbs(count, 1)
    basis, basis_alone = Limbs(count, SERIES, SHIFTS), Limbs(count, SERIES, SHIFTS)
    buys, sells = np.zeros_like(held), np.zeros_like(held)
    series = np.arange(SERIES)[None, :, None]
    for i in range(INSTRUMENTS):
        mine = terms["series"][:, i, None, None] == series
        for total in (scan, alone):
            total.add(held[:, i, None], batch.rows[:, i])
        for total in (basis, basis_alone):
            total.add(held[:, i, None, None] * mine, batch.basis[:, None, i])
    for k in range(ORDERS):
        i, way, lots, limit = batch.orders[:, k].T
        edge = way * (terms["mark_atoms"][each, i] - limit) - terms["taker_fee_atoms"][each, i]
        scan.add(lots[:, None], np.minimum(0, way[:, None] * batch.rows[each, i] + edge[:, None]))
        cost.add(lots[:, None], np.minimum(0, edge)[:, None])
        mine = terms["series"][each, i][:, None, None] == series
        shifted = np.minimum(0, way[:, None] * batch.basis[each, i])[:, None]
        basis.add(lots[:, None, None] * mine, shifted)
        np.add.at(buys, (each, i), np.where(way > 0, lots, 0))
        np.add.at(sells, (each, i), np.where(way < 0, lots, 0))
    notional, linear = terms["notional_atoms"].astype(object), np.isin(terms["kind"], KINDS[:2])
    worst = np.maximum(abs(held + buys), abs(held - sells)) * notional
    initial = (loss(scan.find_least(), cost.find_least()) + loss(basis.find_least()).sum(axis=1)) * E6
    initial += (worst * linear).sum(axis=1) * int(parameters["futures_initial_e6"])
    initial += (np.maximum(0, sells - held) * notional * ~linear).sum(axis=1) * int(
        parameters["short_initial_e6"]
    )
    unsure = batch.confidence < parameters["confidence_threshold_e6"]
    initial += worst.sum(axis=1) * np.where(unsure, int(parameters["confidence_rate_e6"]), 0).astype(object)
    upkeep = loss(alone.find_least()) * 800_000 + loss(basis_alone.find_least()).sum(axis=1) * E6
    upkeep += (abs(held) * notional * linear).sum(axis=1) * int(parameters["futures_maintenance_e6"])
    upkeep += (np.maximum(0, -held) * notional * ~linear).sum(axis=1) * int(
        parameters["short_maintenance_e6"]
    )
    return initial, upkeep
