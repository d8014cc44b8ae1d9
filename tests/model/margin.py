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
    """One instrument of one account: lots held, cost, open buys and sells, open lots by (side, price)."""

    instrument: Instrument
    held: int
    cost: int
    buys: int
    sells: int
    levels: list[tuple[int, int, int]]


def exposures(model: Model, account: Account) -> list[list[Exposure]]:
    """For each underlying, the account's positions and open orders by instrument."""
    levels: dict[int, dict[tuple[int, int], int]] = {}
    for order in account.orders.values():
        by_price = levels.setdefault(order.instrument, {})
        key = (order.side, order.price_ticks)
        by_price[key] = by_price.get(key, 0) + order.lots
    found: list[list[Exposure]] = [[] for _ in model.underlyings]
    for number in sorted(account.positions.keys() | levels.keys()):
        instrument, position = model.instruments[number], account.positions.get(number)
        open_levels = [(side, price, lots) for (side, price), lots in levels.get(number, {}).items()]
        buys = sells = 0
        for side, _, lots in open_levels:
            if side == BUY:
                buys += lots
            else:
                sells += lots
        held, cost = (position.lots, position.cost_atoms) if position else (0, 0)
        found[instrument.underlying].append(Exposure(instrument, held, cost, buys, sells, open_levels))
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


def _held_scan(found: list[Exposure]) -> list[int]:
    """[MARGIN-1]: P[s]."""
    total = [0] * SCENARIOS
    for exposure in found:
        if exposure.held:
            lots = exposure.held
            total = [profit + lots * row for profit, row in zip(total, exposure.instrument.rows, strict=True)]
    return total


def _filled_scan(found: list[Exposure]) -> list[int]:
    """[MARGIN-3]: P[s] + O[s]."""
    total = _held_scan(found)
    for exposure in found:
        for side, price, lots in exposure.levels:
            worst = worst_effects(exposure.instrument, side, price)
            total = [profit + lots * effect for profit, effect in zip(total, worst, strict=True)]
    return total


def _basis(found: list[Exposure], with_orders: bool) -> int:
    """[MARGIN-6]: the worse of two forward shifts, per series."""
    shifts: dict[int, list[int]] = {}
    for instrument, held, _, buys, sells, _ in found:
        if instrument.kind == PERPETUAL:
            continue
        sums = shifts.setdefault(instrument.series, [0] * LIMITS["BASIS_COUNT"])
        for j, profit in enumerate(instrument.basis):
            sums[j] += held * profit
            if with_orders:
                sums[j] -= sells * profit if profit > 0 else -buys * profit
    return sum(max(0, -min(sums)) for sums in shifts.values())


def initial_margin(model: Model, found: list[Exposure], underlying: int) -> int:
    """[MARGIN-8] for one underlying, with [MARGIN-4] to [MARGIN-7] in their initial forms."""
    if not found:
        return 0
    futures = short = confidence = 0
    for instrument, held, _, buys, sells, _ in found:
        worst = max(abs(held + buys), abs(held - sells)) * instrument.notional_atoms
        confidence += worst
        if instrument.kind == PERPETUAL:
            futures += worst
        else:
            short += max(0, sells - held) * instrument.notional_atoms
    rates = model.parameters
    total = max(0, -min(_filled_scan(found))) + _basis(found, with_orders=True)
    total += mul_ratio_ceil_e6(futures, rates["futures_initial_e6"])
    total += mul_ratio_ceil_e6(short, rates["short_initial_e6"])
    if model.underlyings[underlying].confidence_e6 < rates["confidence_threshold_e6"]:
        total += mul_ratio_ceil_e6(confidence, rates["confidence_rate_e6"])
    return total


def maintenance_margin(model: Model, found: list[Exposure]) -> int:
    """[MARGIN-8] for one underlying, of positions only."""
    if not found:
        return 0
    perpetuals = [x for x in found if x.instrument.kind == PERPETUAL]
    options = [x for x in found if x.instrument.kind != PERPETUAL]
    futures = sum(abs(x.held) * x.instrument.notional_atoms for x in perpetuals)
    short = sum(max(0, -x.held) * x.instrument.notional_atoms for x in options)
    total = mul_ratio_ceil_e6(max(0, -min(_held_scan(found))), 800_000) + _basis(found, with_orders=False)
    total += mul_ratio_ceil_e6(futures, model.parameters["futures_maintenance_e6"])
    return total + mul_ratio_ceil_e6(short, model.parameters["short_maintenance_e6"])


class Summary(NamedTuple):
    """One account over all underlyings, in atoms."""

    equity: int
    unrealised: int
    initial: int
    maintenance: int


def _equity(account: Account, found: list[list[Exposure]]) -> tuple[int, int]:
    """[MARGIN-2]: equity, and the unrealised profit of perpetuals."""
    equity, unrealised = account.cash_atoms, 0
    for instrument, held, cost, _, _, _ in (exposure for part in found for exposure in part):
        if held:
            equity += held * instrument.mark_atoms
            if instrument.kind == PERPETUAL:
                equity -= cost
                unrealised += held * instrument.mark_atoms - cost
    return equity, unrealised


def summary(model: Model, account: Account) -> Summary:
    """Equity, unrealised perpetual profit, initial and maintenance margin."""
    found = exposures(model, account)
    equity, unrealised = _equity(account, found)
    initial = sum(initial_margin(model, part, u) for u, part in enumerate(found))
    return Summary(equity, unrealised, initial, sum(maintenance_margin(model, part) for part in found))


def passes(model: Model, account: Account) -> bool:
    """[MARGIN-8]: equity covers the initial margin of positions and open orders."""
    found = exposures(model, account)
    initial = sum(initial_margin(model, part, u) for u, part in enumerate(found))
    return _equity(account, found)[0] >= initial


def gross_lots(model: Model, account: Account, underlying: int) -> int:
    """[MARGIN-9]: lots held on either side and lots open."""
    instruments = model.instruments
    held = sum(abs(p.lots) for i, p in account.positions.items() if instruments[i].underlying == underlying)
    orders: list[Order] = list(account.orders.values())
    return held + sum(
        order.lots for order in orders if instruments[order.instrument].underlying == underlying
    )
