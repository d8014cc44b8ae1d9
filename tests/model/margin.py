"""[MARGIN-*]: an account's equity and requirements, from all of its positions and orders, every time.

Nothing is kept between two calls but, per instrument and limit price, the worst effect of one filled lot; an
instrument's rows and these are kept as `pack` makes them, for speed.
Rows of 33: the 32 scenarios, then one in which nothing moves, so that the least of P + O is also at most O0.
"""

from __future__ import annotations

import operator
from collections import defaultdict
from typing import TYPE_CHECKING, NamedTuple

from .records import (
    BUY,
    COMBO,
    LIMITS,
    LINEAR,
    PERPETUAL,
    SELL,
    Account,
    Instrument,
    Order,
    Position,
    mul_ratio_ceil_e6,
)

if TYPE_CHECKING:
    from .model import Model


ROW_LENGTH = LIMITS["SCENARIO_COUNT"] + 1
FIELD_BYTES = 16
FIELD_BITS, FIELD_HALF = 8 * FIELD_BYTES, 1 << 8 * FIELD_BYTES - 1


class Exposure(NamedTuple):
    """One instrument of one account: lots held, cost, open buys and sells, open lots by (side, price).

    Quotes are not among the open lots ([QUOTE-4]). Orders in a combo are levels of the combo, but buys and
    sells of its legs ([COMBO-5]).
    """

    instrument: Instrument
    held: int
    cost: int
    buys: int
    sells: int
    levels: list[tuple[int, int, int]]


def exposures(model: Model, account: Account) -> list[list[Exposure]]:
    """For each underlying, the account's positions and open orders by instrument."""
    open_lots: dict[tuple[int, int, int], int] = defaultdict(int)
    for order in account.orders.values():
        if not order.group:
            open_lots[order.instrument, order.side, order.price_ticks] += order.lots
    levels: dict[int, list[tuple[int, int, int]]] = defaultdict(list)
    for (number, side, price), lots in open_lots.items():
        levels[number].append((side, price, lots))
    found: list[list[Exposure]] = [[] for _ in model.underlyings]
    in_combos = _leg_lots(model, open_lots)
    for number in sorted(account.positions.keys() | levels.keys() | in_combos.keys()):
        instrument, position = model.instruments[number], account.positions.get(number)
        mine = levels.get(number, [])
        buys, sells = in_combos.get(number, (0, 0))
        for side, _, lots in mine if not instrument.legs else ():
            if side == BUY:
                buys += lots
            else:
                sells += lots
        held, cost = (position.lots, position.cost_atoms) if position else (0, 0)
        found[instrument.underlying].append(Exposure(instrument, held, cost, buys, sells, mine))
    return found


def _leg_lots(model: Model, open_lots: dict[tuple[int, int, int], int]) -> dict[int, list[int]]:
    """[COMBO-5]: the lots of each leg that open orders in combos would buy and would sell."""
    found: dict[int, list[int]] = defaultdict(lambda: [0, 0])
    for (number, combo_side, _), lots in open_lots.items():
        for leg, ratio in model.instruments[number].legs:
            side = combo_side if ratio > 0 else BUY + SELL - combo_side
            found[leg][0 if side == BUY else 1] += lots * abs(ratio)
    return found


def pack(row: list[int]) -> int:
    """One large number with a field of 128 bits for each entry: sums of lots times rows need no loops."""
    return sum(entry << FIELD_BITS * s for s, entry in enumerate(row))


BIAS = pack([FIELD_HALF] * ROW_LENGTH)


def unpack(packed: int) -> list[int]:
    """The entries of a sum of packed rows, each of which must be within 127 bits and a sign."""
    data = (packed + BIAS).to_bytes(FIELD_BYTES * ROW_LENGTH, "little")
    starts = range(0, len(data), FIELD_BYTES)
    return [int.from_bytes(data[i : i + FIELD_BYTES], "little") - FIELD_HALF for i in starts]


def worst_effects(instrument: Instrument, side: int, price_ticks: int) -> tuple[list[int], int]:
    """[MARGIN-3]: min(0, y[s]) of one lot bought or sold at the limit, then it with R = 0; also packed."""
    key = (side, price_ticks)
    if key not in instrument.worst_by_price:
        direction = 1 if side == BUY else -1
        edge = direction * (instrument.mark_atoms - instrument.limit_atoms(price_ticks))
        edge -= instrument.taker_fee_atoms
        worst = [min(0, direction * row + edge) for row in (*instrument.rows, 0)]
        instrument.worst_by_price[key] = worst, pack(worst)
    return instrument.worst_by_price[key]


def forget(instrument: Instrument) -> None:
    """Drop what was kept of the instrument's last mark."""
    instrument.packed_row = None
    instrument.worst_by_price.clear()


def _packed_row(instrument: Instrument) -> int:
    if instrument.packed_row is None:
        instrument.packed_row = pack([*instrument.rows, 0])
    return instrument.packed_row


def _held_scan(found: list[Exposure]) -> int:
    """[MARGIN-1]: P[s], and 0 where nothing moves."""
    return sum([exposure.held * _packed_row(exposure.instrument) for exposure in found if exposure.held])


def _open_scan(found: list[Exposure]) -> int:
    """[MARGIN-3]: O[s], then O0."""
    total = 0
    for exposure in found:
        for side, price, lots in exposure.levels:
            total += lots * worst_effects(exposure.instrument, side, price)[1]
    return total


def filled_scan(found: list[Exposure]) -> list[int]:
    """[MARGIN-3]: P[s] + O[s], then O0."""
    return unpack(_held_scan(found) + _open_scan(found))


def _basis(found: list[Exposure], with_orders: bool) -> int:
    """[MARGIN-6]: the worse of two forward shifts, per series."""
    shifts: dict[int, tuple[int, int]] = {}
    for instrument, held, _, buys, sells, _ in found:
        if instrument.kind in (PERPETUAL, COMBO):
            continue
        down, up = shifts.get(instrument.series, (0, 0))
        profit_down, profit_up = instrument.basis
        down, up = down + held * profit_down, up + held * profit_up
        if with_orders and (buys or sells):
            down += buys * min(0, profit_down) + sells * min(0, -profit_down)
            up += buys * min(0, profit_up) + sells * min(0, -profit_up)
        shifts[instrument.series] = down, up
    return sum([max(0, -down, -up) for down, up in shifts.values()])


class GroupRisk(NamedTuple):
    """[MARGIN-13] for one group: O_g[s] then O0_g, G_g, and K_g * N and S_g * N."""

    effects: list[int]
    basis: int
    fillable: int
    sellable: int


def _knapsack(quotes: list[Order], per_lot: list[int], room: int) -> int:
    """The least sum of n * y over 0 <= n <= lots of each quote and at most `room` lots in all."""
    total = 0
    for effect, lots in sorted((y, order.lots) for y, order in zip(per_lot, quotes, strict=True)):
        if effect >= 0 or room == 0:
            break
        filled = min(lots, room)
        total += filled * effect
        room -= filled
    return total


def _group_risk(model: Model, quotes: list[Order], room: int) -> GroupRisk:
    """What the fills of one window can do at worst; `room` is Q."""
    instruments = model.instruments
    rows = [worst_effects(instruments[q.instrument], q.side, q.price_ticks)[0] for q in quotes]
    effects = [_knapsack(quotes, list(column), room) for column in zip(*rows, strict=True)]
    basis = [
        min(0, *((profit if q.side == BUY else -profit) for profit in instruments[q.instrument].basis))
        for q in quotes
    ]
    notional = instruments[quotes[0].instrument].notional_atoms
    fillable = min(room, sum(q.lots for q in quotes))
    sellable = min(room, sum(q.lots for q in quotes if q.side == SELL))
    return GroupRisk(effects, _knapsack(quotes, basis, room), fillable * notional, sellable * notional)


def group_risks(model: Model, account: Account) -> list[list[GroupRisk]]:
    """For each underlying, the account's groups that have open quotes."""
    found: list[list[GroupRisk]] = [[] for _ in model.underlyings]
    for number, group in sorted(account.groups.items()):
        quotes = [order for order in account.orders.values() if order.group == number]
        if quotes:
            room = group.quantity_limit_lots - group.filled_lots
            found[group.underlying].append(_group_risk(model, quotes, room))
    return found


def initial_margin(model: Model, found: list[Exposure], groups: list[GroupRisk], underlying: int) -> int:
    """[MARGIN-8] for one underlying."""
    if not found and not groups:
        return 0
    scan = _initial_scan(found, groups)
    return max(0, -min(scan)) + _contingencies(model, found, groups, underlying)


def _initial_scan(found: list[Exposure], groups: list[GroupRisk]) -> list[int]:
    """[MARGIN-13]: P[s] + O[s] + sum of O_g[s], then O0 + sum of O0_g."""
    scan = filled_scan(found)
    for group in groups:
        scan = list(map(operator.add, scan, group.effects))
    return scan


def gross_notional(found: list[Exposure], groups: list[GroupRisk]) -> int:
    """W of [MARGIN-7], with what [MARGIN-13] adds to it."""
    worst = [max(abs(x.held + x.buys), abs(x.held - x.sells)) * x.instrument.notional_atoms for x in found]
    return sum(worst) + sum(group.fillable for group in groups)


def _contingencies(model: Model, found: list[Exposure], groups: list[GroupRisk], underlying: int) -> int:
    """[MARGIN-4] to [MARGIN-7] in their initial forms, and what [MARGIN-13] adds to them."""
    futures = 0
    short = sum(group.sellable for group in groups)
    for instrument, held, _, buys, sells, _ in found:
        if instrument.kind in LINEAR:
            futures += max(abs(held + buys), abs(held - sells)) * instrument.notional_atoms
        else:
            short += max(0, sells - held) * instrument.notional_atoms
    rates = model.parameters
    total = _basis(found, with_orders=True) - sum(group.basis for group in groups)
    total += mul_ratio_ceil_e6(futures, rates["futures_initial_e6"])
    total += mul_ratio_ceil_e6(short, rates["short_initial_e6"])
    if model.underlyings[underlying].confidence_e6 < rates["confidence_threshold_e6"]:
        total += mul_ratio_ceil_e6(gross_notional(found, groups), rates["confidence_rate_e6"])
    return total


def maintenance_margin(model: Model, found: list[Exposure]) -> int:
    """[MARGIN-8] for one underlying, of positions only."""
    if not found:
        return 0
    linear = [x for x in found if x.instrument.kind in LINEAR]
    options = [x for x in found if x.instrument.kind not in LINEAR]
    futures = sum(abs(x.held) * x.instrument.notional_atoms for x in linear)
    short = sum(max(0, -x.held) * x.instrument.notional_atoms for x in options)
    total = mul_ratio_ceil_e6(max(0, -min(unpack(_held_scan(found)))), 800_000) + _basis(
        found, with_orders=False
    )
    total += mul_ratio_ceil_e6(futures, model.parameters["futures_maintenance_e6"])
    return total + mul_ratio_ceil_e6(short, model.parameters["short_maintenance_e6"])


class Summary(NamedTuple):
    """One account over all underlyings, in atoms."""

    equity: int
    unrealised: int
    initial: int
    maintenance: int


def _equity(account: Account, found: list[list[Exposure]]) -> tuple[int, int]:
    """[MARGIN-2]: equity, and the unrealised profit of linear instruments."""
    equity, unrealised = account.cash_atoms, 0
    for instrument, held, cost, _, _, _ in (exposure for part in found for exposure in part):
        if held:
            equity += held * instrument.mark_atoms
            if instrument.kind in LINEAR:
                equity -= cost
                unrealised += held * instrument.mark_atoms - cost
    return equity, unrealised


def _initial(model: Model, account: Account, found: list[list[Exposure]]) -> int:
    """[MARGIN-8] over all underlyings."""
    groups = group_risks(model, account)
    return sum(initial_margin(model, part, groups[u], u) for u, part in enumerate(found))


def summary(model: Model, account: Account) -> Summary:
    """Equity, unrealised profit of linear instruments, initial and maintenance margin."""
    found = exposures(model, account)
    equity, unrealised = _equity(account, found)
    maintenance = sum(maintenance_margin(model, part) for part in found)
    return Summary(equity, unrealised, _initial(model, account, found), maintenance)


def standing(model: Model, account: Account) -> tuple[int, int]:
    """Equity and maintenance margin over all underlyings."""
    found = exposures(model, account)
    return _equity(account, found)[0], sum(maintenance_margin(model, part) for part in found)


def worst_scenario(found: list[Exposure]) -> int:
    """The lowest scenario in which P of [MARGIN-1] is least."""
    scan = unpack(_held_scan(found))[: LIMITS["SCENARIO_COUNT"]]
    return scan.index(min(scan))


def merged_requirement(model: Model, backstop: Account, account: Account) -> int:
    """[LIQ-5]: what the backstop's equity must cover with the account's positions added to its own.

    The scenarios of both are added, everything else is a sum of two requirements that are each rounded up.
    """
    groups, passing = group_risks(model, backstop), exposures(model, account)
    total = 0
    for underlying, mine in enumerate(exposures(model, backstop)):
        theirs = passing[underlying]
        scan = map(operator.add, _initial_scan(mine, groups[underlying]), unpack(_held_scan(theirs)))
        total += max(0, -min(scan))
        total += _contingencies(model, mine, groups[underlying], underlying)
        total += _contingencies(model, theirs, [], underlying)
    return total


def surplus(model: Model, account: Account) -> int:
    """Equity less the initial margin of positions and open orders, in atoms."""
    found = exposures(model, account)
    return _equity(account, found)[0] - _initial(model, account, found)


def passes(model: Model, account: Account) -> bool:
    """[MARGIN-8]: equity covers the initial margin of positions and open orders."""
    return surplus(model, account) >= 0


def surplus_if_filled(model: Model, account: Account, order: Order) -> int:
    """[MARGIN-12]: the surplus with every lot of an order filled that is not among the open ones."""
    instrument, direction = model.instruments[order.instrument], 1 if order.side == BUY else -1
    edge = direction * (instrument.mark_atoms - instrument.limit_atoms(order.price_ticks))
    equity = _equity(account, exposures(model, account))[0]
    equity += order.lots * (edge - instrument.taker_fee_atoms)
    before = account.positions.get(order.instrument)
    held = before.lots if before else 0
    account.positions[order.instrument] = Position(held + direction * order.lots)
    initial = _initial(model, account, exposures(model, account))
    if before:
        account.positions[order.instrument] = before
    else:
        del account.positions[order.instrument]
    return equity - initial


def gross_lots(model: Model, account: Account, underlying: int) -> int:
    """[MARGIN-9]: lots held on either side and lots open, quotes included; a combo's by its legs."""
    here = [(n, listed) for n, listed in enumerate(model.instruments) if listed.underlying == underlying]
    mine = {number: listed.gross_weight for number, listed in here}
    held = sum([abs(position.lots) for number, position in account.positions.items() if number in mine])
    orders = [order for order in account.orders.values() if order.instrument in mine]
    return held + sum([order.lots * mine[order.instrument] for order in orders])
