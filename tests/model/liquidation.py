"""[LIQ-1] to [LIQ-4], [LIQ-6] to [LIQ-9]: what becomes of accounts below maintenance, at every TICK.

Everything is found anew when an account's turn comes; what a backstop must be able to bear is in margin.py.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from . import margin, matching, novation, orders
from .book import end_chosen
from .records import (
    BUY,
    E6,
    IOC,
    LIMITS,
    LINEAR,
    SELL,
    STAGES,
    Account,
    Instrument,
    Order,
    Position,
    mul_ratio_ceil_e6,
    require,
)

if TYPE_CHECKING:
    from .model import Model

Command = dict[str, Any]
ONE_X48 = 1 << 48
SLICE_ATOMS_END = 1 << 40


class Closed(NamedTuple):
    """One DELEVERAGED: whose position was closed, and its weight in a loss."""

    account: int
    weight: int


def backstop(model: Model, command: Command) -> tuple[int, int]:
    """[LIQ-9]: welcome from an account in liquidation, too."""
    number, account = model.authenticate(command)
    require(-1 <= command["demand_e6"] <= E6, "DEMAND_INVALID")
    account.demand_e6 = command["demand_e6"]
    return number, 0


def set_slice(model: Model, command: Command) -> tuple[int, int]:
    """[LIQ-9]."""
    model.authenticate_operator(command)
    underlying, amount = command["underlying"], command["slice_notional_atoms"]
    require(0 <= underlying < len(model.underlyings), "UNDERLYING_NOT_FOUND")
    require(amount >= 1, "AMOUNT_NOT_POSITIVE")
    require(amount < SLICE_ATOMS_END, "BALANCE_LIMIT")
    model.underlyings[underlying].slice_notional_atoms = amount
    model.emit("SLICE_SET", instrument=underlying, amount_atoms=amount)
    return -1, 0


def liquidate(model: Model) -> None:
    """[LIQ-1]: every account has one turn; one with lots in a stale underlying is passed over."""
    for number, account in enumerate(model.accounts):
        held = {model.instruments[i].underlying for i in account.positions}
        if not any(model.is_stale(underlying) for underlying in held):
            _take_turn(model, number, account)


def _take_turn(model: Model, number: int, account: Account) -> None:
    equity, maintenance = margin.standing(model, account)
    if account.liquidation_stage == STAGES["NONE"]:
        if account.positions and equity < maintenance:
            _start(model, number, account, equity, maintenance)
        elif account.positions:
            _warn(model, number, account, equity, maintenance)
        else:
            _settle(model, number, [])
    elif not account.positions:
        _settle(model, number, [])
        _end(model, number)
    elif equity >= maintenance:
        _end(model, number)
    elif account.liquidation_stage == STAGES["SLICES"]:
        _slice(model, number, account, equity)
    else:
        _auction(model, number, account, equity, maintenance)


def _warn(model: Model, number: int, account: Account, equity: int, maintenance: int) -> None:
    low = equity < mul_ratio_ceil_e6(maintenance, model.parameters["warning_e6"])
    if low and not account.warned:
        model.emit("MARGIN_CALL", account=number, amount_atoms=equity, maker_amount_atoms=maintenance)
    account.warned = int(low)


def _start(model: Model, number: int, account: Account, equity: int, maintenance: int) -> None:
    found = margin.exposures(model, account)
    underlying = _heaviest_underlying(model, found)
    model.emit(
        "LIQUIDATION_STARTED",
        account=number,
        amount_atoms=equity,
        maker_amount_atoms=maintenance,
        instrument=underlying,
        side=margin.worst_scenario(found[underlying]),
    )
    end_chosen(model, number, "LIQUIDATION", lambda _: True)
    account.liquidation_stage, account.liquidation_count = STAGES["SLICES"], 0
    _slice(model, number, account, equity)


def _heaviest_underlying(model: Model, found: list[list[margin.Exposure]]) -> int:
    """The lowest of those that require most, among those in which lots are held; they may require nothing."""
    required = [
        margin.maintenance_margin(model, part) if any(exposure.held for exposure in part) else -1
        for part in found
    ]
    return required.index(max(required))


def _choose_position(model: Model, account: Account) -> tuple[int, int]:
    """[LIQ-2]: which position the slice reduces, and by how many lots; the one with the most delta of the
    portfolio's direction in the underlying that requires most.
    """
    underlying = _heaviest_underlying(model, margin.exposures(model, account))
    held = {
        i: position.lots
        for i, position in sorted(account.positions.items())
        if model.instruments[i].underlying == underlying
    }
    deltas = {i: lots * model.instruments[i].delta_atoms for i, lots in held.items()}
    total = sum(deltas.values())
    same_way = [i for i in held if deltas[i] * total > 0]
    if same_way:
        chosen = max(same_way, key=lambda i: (abs(deltas[i]), -i))
    else:
        chosen = max(held, key=lambda i: (abs(held[i]), -i))
    instrument = model.instruments[chosen]
    slice_lots = model.underlyings[underlying].slice_notional_atoms // instrument.notional_atoms
    lots = min(abs(held[chosen]), LIMITS["ORDER_LOTS_MAX"], max(1, slice_lots))
    if same_way:
        lots = min(lots, -(-abs(total) // abs(instrument.delta_atoms)))
    return chosen, lots


def _limit_ticks(model: Model, instrument: Instrument, side: int, spare_atoms: int) -> int:
    """[LIQ-2]: as far from the mark as the account can afford per lot, but within the band."""
    low, high = orders.band(model, instrument)
    if side == BUY:
        ticks = min(instrument.mark_atoms + spare_atoms, high) // instrument.tick_atoms
    else:
        ticks = -(-max(instrument.mark_atoms - spare_atoms, low, 0) // instrument.tick_atoms)
    return min(max(ticks, 1), LIMITS["PRICE_TICKS_MAX"])


def _slice(model: Model, number: int, account: Account, equity: int) -> None:
    """[LIQ-2] and [LIQ-3]."""
    chosen, lots = _choose_position(model, account)
    instrument, held = model.instruments[chosen], account.positions[chosen].lots
    side = SELL if held > 0 else BUY
    spare = max(0, equity // abs(held) - instrument.taker_fee_atoms)
    price_ticks = _limit_ticks(model, instrument, side, spare)
    order = Order(model.house.next_order_id, number, chosen, side, IOC, price_ticks, lots)
    model.house.next_order_id += 1
    told = {"instrument": chosen, "side": side, "price_ticks": price_ticks, "lots": lots}
    model.emit("SLICE", account=number, order_id=order.order_id, **told)
    matching.match_and_rest(model, order)
    if order.lots < lots:
        _take_penalty(model, number, account, instrument, lots - order.lots)
    account.liquidation_count += 1
    equity, maintenance = margin.standing(model, account)
    if not account.positions:
        _settle(model, number, [])
        _end(model, number)
    elif equity >= maintenance:
        _end(model, number)
    elif account.liquidation_count == model.parameters["slice_tick_count"] or equity <= 0:
        account.liquidation_stage, account.liquidation_count = STAGES["AUCTION"], 0
        model.emit("AUCTION_STARTED", account=number, amount_atoms=equity)


def _take_penalty(model: Model, number: int, account: Account, instrument: Instrument, lots: int) -> None:
    penalty = mul_ratio_ceil_e6(lots * instrument.notional_atoms, model.parameters["liquidation_fee_e6"])
    if instrument.kind not in LINEAR:
        share = model.parameters["option_fee_cap_e6"]
        penalty = min(penalty, mul_ratio_ceil_e6(lots * instrument.mark_atoms, share))
    penalty = min(penalty, max(0, margin.standing(model, account)[0]))
    account.cash_atoms -= penalty
    model.house.insurance_atoms += penalty
    model.emit("PENALTY", account=number, amount_atoms=penalty)


def _auction(model: Model, number: int, account: Account, equity: int, maintenance: int) -> None:
    """[LIQ-4]: who asks least is asked first."""
    account.liquidation_count += 1
    offered = min(account.liquidation_count * model.parameters["auction_step_e6"], E6)
    if equity + model.house.insurance_atoms < 0:
        _deleverage(model, number, account)
        return
    ready = [
        (other.demand_e6, taker)
        for taker, other in enumerate(model.accounts)
        if 0 <= other.demand_e6 <= offered and other.liquidation_stage == STAGES["NONE"]
    ]
    for demand, taker in sorted(ready):
        asked = mul_ratio_ceil_e6(maintenance, demand)
        if asked <= max(0, equity) and _can_bear(model, model.accounts[taker], account, asked):
            _assign(model, number, taker, asked)
            return
    if account.liquidation_count == model.parameters["auction_tick_count"]:
        _deleverage(model, number, account)


def _can_bear(model: Model, taker: Account, account: Account, bonus: int) -> bool:
    """[LIQ-5]; no underlying of the account is stale, or it would have been passed over."""
    if any(model.is_stale(model.instruments[i].underlying) for i in taker.positions):
        return False
    passing = margin.exposures(model, account)
    for underlying, part in enumerate(passing):
        theirs = sum(abs(exposure.held) for exposure in part)
        if margin.gross_lots(model, taker, underlying) + theirs > LIMITS["GROSS_LOTS_MAX"]:
            return False
    free_records = model.limits["positions"] - orders.position_records(model)
    if free_records < len(account.positions):
        return False
    return margin.standing(model, taker)[0] + bonus >= margin.merged_requirement(model, taker, account)


def _assign(model: Model, number: int, taker: int, bonus: int) -> None:
    """[LIQ-5]: all positions pass at the mark, and the account pays the bonus."""
    account, other = model.accounts[number], model.accounts[taker]
    for i, position in sorted(account.positions.items()):
        lots = position.lots
        _pass_lots(model, account, other, i, lots)
        _say_passed(model, "ASSIGNED", number, taker, i, lots)
    account.cash_atoms -= bonus
    other.cash_atoms += bonus
    model.emit("AUCTION_TAKEN", account=number, maker_account=taker, amount_atoms=bonus)
    _settle(model, number, [])
    _end(model, number)


def _pass_lots(model: Model, giver: Account, taker: Account, number: int, lots: int) -> None:
    """Both trade the signed lots at the mark: the giver has so many less, the taker so many more."""
    mark = model.instruments[number].mark_atoms
    novation.trade(model, giver, number, -lots, mark)
    novation.trade(model, taker, number, lots, mark)


def _say_passed(model: Model, kind: str, number: int, other: int, instrument: int, lots: int) -> None:
    mark = model.instruments[instrument].mark_atoms
    fields = {"instrument": instrument, "lots": lots, "amount_atoms": mark}
    model.emit(kind, account=number, maker_account=other, **fields)


def _deleverage(model: Model, number: int, account: Account) -> None:
    """[LIQ-6]: who gains most per lot is closed first, until nothing is left."""
    closed = []
    for i, position in sorted(account.positions.items()):
        left = position.lots
        for other in _opposite_holders(model, i, left):
            held = model.accounts[other].positions[i].lots
            lots = min(abs(left), abs(held)) * (1 if left > 0 else -1)
            _pass_lots(model, account, model.accounts[other], i, lots)
            _say_passed(model, "DELEVERAGED", number, other, i, lots)
            closed.append(Closed(other, abs(lots) * model.instruments[i].notional_atoms // 256 + 1))
            left -= lots
            if not left:
                break
    _settle(model, number, closed)
    _end(model, number)


def _opposite_holders(model: Model, number: int, lots: int) -> list[int]:
    mark = model.instruments[number].mark_atoms

    def gain_per_lot(position: Position) -> int:
        return (position.lots * mark - position.cost_atoms) // abs(position.lots)

    ranked = []
    for other, account in enumerate(model.accounts):
        position = account.positions.get(number)
        if position is not None and position.lots * lots < 0:
            ranked.append((-gain_per_lot(position), other))
    return [other for _, other in sorted(ranked)]


def _settle(model: Model, number: int, closed: list[Closed]) -> None:
    """[LIQ-7] for an account without positions."""
    account, house = model.accounts[number], model.house
    assert not account.positions
    insured = min(max(0, -account.cash_atoms), house.insurance_atoms)
    if insured:
        account.cash_atoms += insured
        house.insurance_atoms -= insured
        model.emit("INSURED", account=number, amount_atoms=insured)
    if account.cash_atoms < 0:
        for place, entry in enumerate(closed):
            total = sum(other.weight for other in closed[place:])
            share = entry.weight * ONE_X48 // total
            paid = -account.cash_atoms * share // ONE_X48
            account.cash_atoms += paid
            model.accounts[entry.account].cash_atoms -= paid
            model.emit("LOSS_SHARED", account=entry.account, maker_account=number, amount_atoms=paid)


def _end(model: Model, number: int) -> None:
    """[LIQ-8]."""
    account = model.accounts[number]
    account.liquidation_stage, account.liquidation_count = STAGES["NONE"], 0
    equity, _ = margin.standing(model, account)
    model.emit("LIQUIDATION_ENDED", account=number, amount_atoms=equity)
