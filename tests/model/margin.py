"""[MARGIN-*]: an account's equity and requirements, from all of its positions and orders, every time.

Nothing is kept between two calls but, per instrument and limit price, the worst effect of one filled lot.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from .records import BUY, LIMITS, PERPETUAL, Account, Instrument, Order, mul_ratio_ceil_e6

if TYPE_CHECKING:
    from .model import Model

SCENARIOS = LIMITS["SCENARIO_COUNT"]


class Exposure(NamedTuple):
    """One instrument of one account: lots held, cost, open buys, open sells and open lots by (side, price)."""

    instrument: Instrument
    held: int
    cost: int
    buys: int
    sells: int
    levels: list[tuple[int, int, int]]


class Requirement(NamedTuple):
    """One underlying of one account, in atoms."""

    value: int
    unrealised: int
    initial: int
    maintenance: int


def exposures(model: Model, account: Account, underlying: int) -> list[Exposure]:
    """The account's positions and open orders in an underlying, by instrument."""
    instruments = model.instruments
    levels: dict[int, dict[tuple[int, int], int]] = {}
    for order in account.orders.values():
        by_price = levels.setdefault(order.instrument, {})
        key = (order.side, order.price_ticks)
        by_price[key] = by_price.get(key, 0) + order.lots
    found = []
    for number in sorted(account.positions.keys() | levels.keys()):
        if instruments[number].underlying != underlying:
            continue
        position = account.positions.get(number)
        open_levels = [(side, price, lots) for (side, price), lots in sorted(levels.get(number, {}).items())]
        buys = sum(lots for side, _, lots in open_levels if side == BUY)
        sells = sum(lots for side, _, lots in open_levels if side != BUY)
        held, cost = (position.lots, position.cost_atoms) if position else (0, 0)
        found.append(Exposure(instruments[number], held, cost, buys, sells, open_levels))
    return found


def worst_effects(instrument: Instrument, side: int, price_ticks: int) -> list[int]:
    """[MARGIN-3]: min(0, y[s]) of one lot bought or sold at the limit."""
    key = (side, price_ticks)
    if key not in instrument.worst_by_price:
        direction = 1 if side == BUY else -1
        edge = direction * (instrument.mark_atoms - price_ticks * instrument.tick_atoms)
        edge -= instrument.taker_fee_atoms
        instrument.worst_by_price[key] = [min(0, direction * row + edge) for row in instrument.rows]
    return instrument.worst_by_price[key]


def _scans(found: list[Exposure]) -> tuple[list[int], list[int]]:
    """P[s], and P[s] + O[s]."""
    held = [0] * SCENARIOS
    for exposure in found:
        if exposure.held:
            lots = exposure.held
            held = [sum_ + lots * row for sum_, row in zip(held, exposure.instrument.rows, strict=True)]
    filled = held
    for exposure in found:
        for side, price, lots in exposure.levels:
            worst = worst_effects(exposure.instrument, side, price)
            filled = [sum_ + lots * effect for sum_, effect in zip(filled, worst, strict=True)]
    return held, filled


def _basis(found: list[Exposure], with_orders: bool) -> int:
    """[MARGIN-6]: the worse of two forward shifts, per series."""
    shifts: dict[int, list[int]] = {}
    for exposure in found:
        if exposure.instrument.kind == PERPETUAL:
            continue
        sums = shifts.setdefault(exposure.instrument.series, [0] * LIMITS["BASIS_COUNT"])
        for j, profit in enumerate(exposure.instrument.basis):
            sums[j] += exposure.held * profit
            if with_orders:
                sums[j] += exposure.buys * min(0, profit) + exposure.sells * min(0, -profit)
    return sum(max(0, -min(sums)) for sums in shifts.values())


def _contingencies(model: Model, found: list[Exposure], underlying: int) -> tuple[int, int]:
    """[MARGIN-4], [MARGIN-5] and [MARGIN-7]: initial, maintenance."""
    rates = model.parameters
    futures = short = confidence = futures_held = short_held = 0
    for instrument, held, _, buys, sells, _ in found:
        notional = instrument.notional_atoms
        worst = max(abs(held + buys), abs(held - sells)) * notional
        confidence += worst
        if instrument.kind == PERPETUAL:
            futures += worst
            futures_held += abs(held) * notional
        else:
            short += max(0, sells - held) * notional
            short_held += max(0, -held) * notional
    initial = mul_ratio_ceil_e6(futures, rates["futures_initial_e6"])
    initial += mul_ratio_ceil_e6(short, rates["short_initial_e6"])
    if model.underlyings[underlying].confidence_e6 < rates["confidence_threshold_e6"]:
        initial += mul_ratio_ceil_e6(confidence, rates["confidence_rate_e6"])
    maintenance = mul_ratio_ceil_e6(futures_held, rates["futures_maintenance_e6"])
    maintenance += mul_ratio_ceil_e6(short_held, rates["short_maintenance_e6"])
    return initial, maintenance


def requirement(model: Model, account: Account, underlying: int) -> Requirement:
    """[MARGIN-8] for one underlying; value is V - cost of [MARGIN-2]."""
    found = exposures(model, account, underlying)
    if not found:
        return Requirement(0, 0, 0, 0)
    profits = [x.held * x.instrument.mark_atoms - x.cost for x in found if x.held]
    unrealised = sum(
        x.held * x.instrument.mark_atoms - x.cost for x in found if x.held and x.instrument.kind == PERPETUAL
    )
    held, filled = _scans(found)
    initial, maintenance = _contingencies(model, found, underlying)
    initial += max(0, -min(filled)) + _basis(found, with_orders=True)
    maintenance += mul_ratio_ceil_e6(max(0, -min(held)), 800_000) + _basis(found, with_orders=False)
    return Requirement(sum(profits), unrealised, initial, maintenance)


def summary(model: Model, account: Account) -> tuple[int, int, int, int]:
    """Equity, unrealised perpetual profit, initial and maintenance margin over all underlyings."""
    parts = [requirement(model, account, u) for u in range(len(model.underlyings))]
    equity = account.cash_atoms + sum(part.value for part in parts)
    unrealised = sum(part.unrealised for part in parts)
    return equity, unrealised, sum(part.initial for part in parts), sum(part.maintenance for part in parts)


def passes(model: Model, account: Account) -> bool:
    """[MARGIN-8]: equity covers the initial margin of positions and open orders."""
    equity, _, initial, _ = summary(model, account)
    return equity >= initial


def gross_lots(model: Model, account: Account, underlying: int) -> int:
    """[MARGIN-9]: lots held on either side and lots open."""
    instruments = model.instruments
    held = sum(abs(p.lots) for i, p in account.positions.items() if instruments[i].underlying == underlying)
    orders: list[Order] = list(account.orders.values())
    return held + sum(order.lots for order in orders if instruments[order.instrument].underlying == underlying)
