"""[MATCH-*] and [NOVATE-*]: the obvious book is one list per instrument and side, best order first."""

from __future__ import annotations

import bisect
from typing import TYPE_CHECKING, Any

from . import margin
from .records import (
    BUY,
    EXPIRED,
    GTC,
    IOC,
    LIMITS,
    PERPETUAL,
    POST_ONLY,
    REASONS,
    SELL,
    Account,
    Instrument,
    Order,
    Position,
    require,
)

if TYPE_CHECKING:
    from .model import Model

Command = dict[str, Any]


def _rank(order: Order) -> tuple[int, int]:
    """Price first, then the time of joining the level."""
    return (-order.price_ticks if order.side == BUY else order.price_ticks, order.priority)


def add_to_book(model: Model, order: Order) -> None:
    """Let the order join the end of its level and take a slot ([MATCH-4], [MATCH-9])."""
    order.slot = model.free_slots.pop()
    order.priority = model.sequence
    bisect.insort(model.books[order.instrument][order.side], order, key=_rank)
    model.orders[order.order_id] = order
    model.accounts[order.account].orders[order.order_id] = order


def take_from_book(model: Model, order: Order) -> None:
    """Undo `add_to_book`; the slot goes on top of the free ones."""
    model.books[order.instrument][order.side].remove(order)
    del model.orders[order.order_id]
    del model.accounts[order.account].orders[order.order_id]
    model.free_slots.append(order.slot)


def end_order(model: Model, order: Order, reason: str) -> None:
    """Say that an order, or what is left of it, is over."""
    model.emit("CANCELLED", reason=REASONS[reason], **_described(order))


def _described(order: Order) -> dict[str, int]:
    return {
        "account": order.account,
        "order_id": order.order_id,
        "instrument": order.instrument,
        "side": order.side,
        "price_ticks": order.price_ticks,
        "lots": order.lots,
    }


def position_records(model: Model) -> int:
    """[NOVATE-5]: how many (account, instrument) pairs are in use."""
    count = 0
    for account in model.accounts:
        open_in = {order.instrument for order in account.orders.values()}
        count += len(open_in | account.positions.keys())
    return count


def _has_record(account: Account, instrument: int) -> bool:
    if instrument in account.positions:
        return True
    return any(order.instrument == instrument for order in account.orders.values())


def _check_shape(model: Model, instrument: Instrument, command: Command) -> None:
    """Instrument, size and price checks that PLACE and REPLACE share."""
    past = instrument.kind != PERPETUAL and model.time_ns >= instrument.expiry_ns
    require(instrument.state != EXPIRED and not past, "INSTRUMENT_CLOSED")
    require(command["lots"] >= 1, "SIZE_NOT_POSITIVE")
    require(command["lots"] <= LIMITS["ORDER_LOTS_MAX"], "SIZE_ABOVE_MAXIMUM")
    require(command["price_ticks"] >= 1, "PRICE_NOT_POSITIVE")
    require(command["price_ticks"] <= LIMITS["PRICE_TICKS_MAX"], "PRICE_ABOVE_MAXIMUM")


def _check_market(model: Model, instrument: Instrument) -> None:
    require(instrument.mark_atoms >= 0, "MARK_UNAVAILABLE")
    require(not model.is_stale(instrument.underlying), "MARK_STALE")


def _check_risk(model: Model, account: Account, order: Order) -> None:
    """Gross limit, post-only and margin, with `order` counted as open at its full size."""
    underlying = model.instruments[order.instrument].underlying
    gross = margin.gross_lots(model, account, underlying)
    require(gross + order.lots <= LIMITS["GROSS_LOTS_MAX"], "GROSS_LIMIT")
    if order.time_in_force == POST_ONLY:
        opposite = model.books[order.instrument][1 - order.side]
        require(not (opposite and _crosses(order, opposite[0])), "POST_ONLY_WOULD_CROSS")
    account.orders[order.order_id] = order
    passed = margin.passes(model, account)
    del account.orders[order.order_id]
    require(passed, "INITIAL_MARGIN_INSUFFICIENT")


def _crosses(taker: Order, maker: Order) -> bool:
    if taker.side == BUY:
        return taker.price_ticks >= maker.price_ticks
    return taker.price_ticks <= maker.price_ticks


def place(model: Model, command: Command) -> tuple[int, int]:
    """[MATCH-1]."""
    number, account = model.authenticate(command)
    known = command["side"] in (BUY, SELL) and command["time_in_force"] in (GTC, IOC, POST_ONLY)
    require(known, "COMMAND_MALFORMED")
    require(0 <= command["instrument"] < len(model.instruments), "INSTRUMENT_NOT_FOUND")
    instrument = model.instruments[command["instrument"]]
    _check_shape(model, instrument, command)
    _check_market(model, instrument)
    require(len(account.orders) < LIMITS["OPEN_ORDER_COUNT_MAX"], "OPEN_ORDER_LIMIT")
    require(len(model.orders) < model.limits["orders"], "TABLE_FULL")
    if not _has_record(account, command["instrument"]):
        require(position_records(model) < model.limits["positions"], "TABLE_FULL")
    order = Order(
        order_id=model.house.next_order_id,
        account=number,
        instrument=command["instrument"],
        side=command["side"],
        time_in_force=command["time_in_force"],
        price_ticks=command["price_ticks"],
        lots=command["lots"],
        slot=-1,
        priority=model.sequence,
    )
    _check_risk(model, account, order)
    model.house.next_order_id += 1
    _match_and_rest(model, order)
    return number, order.order_id


def replace(model: Model, command: Command) -> tuple[int, int]:
    """[MATCH-8]."""
    number, account = model.authenticate(command)
    old = _owned_order(model, command, number)
    _check_shape(model, model.instruments[old.instrument], command)
    if command["price_ticks"] == old.price_ticks and command["lots"] <= old.lots:
        old.lots = command["lots"]
        model.emit("REDUCED", **_described(old))
        return number, old.order_id
    _check_market(model, model.instruments[old.instrument])
    new = Order(
        order_id=old.order_id,
        account=number,
        instrument=old.instrument,
        side=old.side,
        time_in_force=old.time_in_force,
        price_ticks=command["price_ticks"],
        lots=command["lots"],
        slot=-1,
        priority=model.sequence,
    )
    del account.orders[old.order_id]
    try:
        _check_risk(model, account, new)
    finally:
        account.orders[old.order_id] = old
    take_from_book(model, old)
    end_order(model, old, "REPLACED")
    _match_and_rest(model, new)
    return number, new.order_id


def cancel(model: Model, command: Command) -> tuple[int, int]:
    """[MATCH-6]."""
    number, _ = model.authenticate(command)
    order = _owned_order(model, command, number)
    take_from_book(model, order)
    end_order(model, order, "USER")
    return number, order.order_id


def cancel_all(model: Model, command: Command) -> tuple[int, int]:
    """[MATCH-7]."""
    number, account = model.authenticate(command)
    chosen = command["instrument"]
    require(chosen == -1 or 0 <= chosen < len(model.instruments), "INSTRUMENT_NOT_FOUND")
    for order_id in sorted(account.orders):
        order = account.orders[order_id]
        if chosen in (-1, order.instrument):
            take_from_book(model, order)
            end_order(model, order, "USER")
    return number, 0


def _owned_order(model: Model, command: Command, number: int) -> Order:
    require(command["order_id"] in model.orders, "ORDER_NOT_FOUND")
    order = model.orders[command["order_id"]]
    require(order.account == number, "ORDER_NOT_OWNED")
    return order


def _match_and_rest(model: Model, taker: Order) -> None:
    """[MATCH-3] to [MATCH-5]."""
    opposite = model.books[taker.instrument][1 - taker.side]
    while taker.lots and opposite and _crosses(taker, opposite[0]):
        maker = opposite[0]
        if maker.account == taker.account:
            end_order(model, taker, "SELF_TRADE")
            return
        _fill(model, taker, maker)
    if not taker.lots:
        return
    if taker.time_in_force == IOC:
        end_order(model, taker, "IOC_REMAINDER")
        return
    add_to_book(model, taker)
    model.emit("REST", **_described(taker))


def _fill(model: Model, taker: Order, maker: Order) -> None:
    """[NOVATE-1] and [NOVATE-4]: both sides trade with the house, at the maker's price."""
    instrument = model.instruments[taker.instrument]
    lots = min(taker.lots, maker.lots)
    fees = []
    for order, fee_per_lot in ((taker, instrument.taker_fee_atoms), (maker, instrument.maker_fee_atoms)):
        fee = lots * fee_per_lot
        fees.append(fee)
        account = model.accounts[order.account]
        price_atoms = maker.price_ticks * instrument.tick_atoms
        signed_lots = lots if order.side == BUY else -lots
        gain = _trade(account, taker.instrument, signed_lots, price_atoms)
        account.cash_atoms += gain if instrument.kind == PERPETUAL else -signed_lots * price_atoms
        account.cash_atoms -= fee
        model.house.fees_atoms += fee
        order.lots -= lots
    model.emit(
        "FILL",
        account=taker.account,
        order_id=taker.order_id,
        instrument=taker.instrument,
        side=taker.side,
        price_ticks=maker.price_ticks,
        lots=lots,
        maker_account=maker.account,
        maker_order_id=maker.order_id,
        amount_atoms=fees[0],
        maker_amount_atoms=fees[1],
    )
    if not maker.lots:
        take_from_book(model, maker)


def _trade(account: Account, number: int, signed_lots: int, price_atoms: int) -> int:
    """[NOVATE-2]: keep lots and entry value; returns the closed part's gain, paid for perpetuals."""
    position = account.positions.setdefault(number, Position())
    held, cost = position.lots, position.cost_atoms
    closed = min(abs(signed_lots), abs(held)) if held * signed_lots < 0 else 0
    closed_cost = gain = 0
    if closed:
        closed_cost = cost if closed == abs(held) else cost * closed // abs(held)
        proceeds = closed * price_atoms
        gain = (proceeds if held > 0 else -proceeds) - closed_cost
    opened = signed_lots + closed if signed_lots < 0 else signed_lots - closed
    position.lots = held + signed_lots
    position.cost_atoms = cost - closed_cost + opened * price_atoms
    if position.lots == 0:
        assert position.cost_atoms == 0
        del account.positions[number]
    return gain
