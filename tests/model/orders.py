"""[MATCH-1] and [MATCH-6] to [MATCH-8]: placing, replacing and cancelling; what an order must satisfy."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from . import combos, keys, margin, matching, pricing
from .book import add_to_book, crosses, describe, end_chosen, end_order, say_cancelled, take_from_book
from .records import (
    BUY,
    CALL,
    COMBO,
    EXPIRED,
    FLAGS,
    FOK,
    GTC,
    IOC,
    LIMITS,
    LINEAR,
    PERPETUAL,
    POST_ONLY,
    PUT,
    SELL,
    Account,
    Instrument,
    Key,
    Order,
    Rejected,
    Waiting,
    mul_ratio_ceil_e6,
    require,
)

if TYPE_CHECKING:
    from .model import Model

__all__ = ["add_to_book", "describe", "end_order", "take_from_book"]

Command = dict[str, Any]


def position_records(model: Model) -> int:
    """[NOVATE-5]: how many (account, instrument) pairs are in use."""
    return sum(len(combos.records(model, account)) for account in model.accounts)


def check_open(model: Model, instrument: Instrument) -> None:
    """The instrument has not expired, nor should have."""
    past = instrument.kind != PERPETUAL and model.time_ns >= instrument.expiry_ns
    require(instrument.state != EXPIRED and not past, "INSTRUMENT_CLOSED")


def check_form(model: Model, command: Command, waits: bool) -> None:
    """[MATCH-1] from COMMAND_MALFORMED to the price, which PLACE and PLACE_TRIGGER (it waits) share."""
    require(command["side"] in (BUY, SELL), "COMMAND_MALFORMED")
    require(command["time_in_force"] in (GTC, IOC, POST_ONLY, FOK), "COMMAND_MALFORMED")
    require(0 <= command["flags"] <= sum(FLAGS.values()), "COMMAND_MALFORMED")
    for name in ("display_lots", "valid_until_ns", "label", "link"):
        require(command[name] >= 0, "COMMAND_MALFORMED")
    require(0 <= command["instrument"] < len(model.instruments), "INSTRUMENT_NOT_FOUND")
    instrument = model.instruments[command["instrument"]]
    check_open(model, instrument)
    require(_options_fit(model, instrument, command, waits), "ORDER_INVALID")
    terms = (command["flags"], command["display_lots"], command["lots"], command["price_ticks"])
    _check_size_and_price(*terms, is_new=True)


def _options_fit(model: Model, instrument: Instrument, command: Command, waits: bool) -> bool:
    """[ORDER-1]."""
    chosen = {name for name, bit in FLAGS.items() if command["flags"] & bit}
    at_once = command["time_in_force"] in (IOC, FOK)
    if {"CANCEL_MAKER", "CANCEL_BOTH"} <= chosen:
        return False
    if "MARKET" in chosen and (not at_once or command["price_ticks"] != 0 or "VOLATILITY" in chosen):
        return False
    if "VOLATILITY" in chosen and (instrument.kind not in (CALL, PUT) or command["link"]):
        return False
    if instrument.kind == COMBO and (waits or "REDUCE_ONLY" in chosen):
        return False
    if 0 < command["valid_until_ns"] <= model.time_ns:
        return False
    if at_once and not waits and (command["valid_until_ns"] or command["link"]):
        return False
    return not (at_once and command["display_lots"])


def _check_size_and_price(flags: int, display_lots: int, lots: int, price_ticks: int, is_new: bool) -> None:
    """The size, [ORDER-4] (its first half for new orders only) and [ORDER-2]."""
    require(lots >= 1, "SIZE_NOT_POSITIVE")
    require(lots <= LIMITS["ORDER_LOTS_MAX"], "SIZE_ABOVE_MAXIMUM")
    if display_lots:
        require(10 * display_lots >= lots, "ORDER_INVALID")
        require(display_lots < lots or not is_new, "ORDER_INVALID")
    if not flags & FLAGS["MARKET"]:
        require(price_ticks >= 1, "PRICE_NOT_POSITIVE")
        highest = LIMITS["VOLATILITY_BP_MAX" if flags & FLAGS["VOLATILITY"] else "PRICE_TICKS_MAX"]
        require(price_ticks <= highest, "PRICE_ABOVE_MAXIMUM")


def band(model: Model, instrument: Instrument) -> tuple[int, int]:
    """[BAND-1]: the lowest value of a sell and the highest of a buy, in atoms per lot."""
    width = _band_width(model, instrument)
    for number, ratio in instrument.legs:
        width += abs(ratio) * _band_width(model, model.instruments[number])
    return instrument.mark_atoms - width, instrument.mark_atoms + width


def _band_width(model: Model, instrument: Instrument) -> int:
    """Without the legs of a combo, whose own width is nothing ([COMBO-4])."""
    if instrument.kind == COMBO:
        return 0
    rate = model.parameters["futures_band_e6" if instrument.kind in LINEAR else "option_band_e6"]
    return mul_ratio_ceil_e6(instrument.notional_atoms, rate)


def effective_ticks(model: Model, order: Order) -> int:
    """[ORDER-2] and [IV-1]: the order's price in ticks at this time."""
    instrument = model.instruments[order.instrument]
    if order.says("MARKET"):
        low, high = band(model, instrument)
        floor = low if instrument.kind == COMBO else max(0, low)
        value = high if order.side == BUY else floor
    elif order.says("VOLATILITY"):
        yearly = pricing.yearly_root(instrument.expiry_ns - model.time_ns)
        volatility = min(pricing.ratio(yearly, order.volatility_bp * 100), pricing.VOLATILITY_MAX)
        value = pricing.value_at(instrument, instrument.forward_atoms, volatility)
    else:
        return order.price_ticks
    ticks = value // instrument.tick_atoms if order.side == BUY else -(-value // instrument.tick_atoms)
    ticks += LIMITS["COMBO_TICK_OFFSET"] if instrument.kind == COMBO else 0
    return min(max(ticks, 1), LIMITS["PRICE_TICKS_MAX"])


def check_market(model: Model, instrument: Instrument) -> None:
    """There is a mark, and the index behind it is recent."""
    require(instrument.has_mark, "MARK_UNAVAILABLE")
    require(not model.is_stale(instrument.underlying), "MARK_STALE")


def _check_room(model: Model, account: Account, order: Order) -> None:
    require(len(account.orders) < LIMITS["OPEN_ORDER_COUNT_MAX"], "OPEN_ORDER_LIMIT")
    require(len(model.orders) < model.limits["orders"], "TABLE_FULL")
    missing = combos.missing_records(model, account, combos.parts(model, order.instrument))
    if missing:
        require(position_records(model) + missing <= model.limits["positions"], "TABLE_FULL")


def _check_band(model: Model, order: Order) -> None:
    instrument = model.instruments[order.instrument]
    low, high = band(model, instrument)
    limit_atoms = instrument.limit_atoms(order.price_ticks)
    outside = limit_atoms > high if order.side == BUY else limit_atoms < low
    require(not outside, "PRICE_OUTSIDE_BAND")


def _check_gross(model: Model, account: Account, order: Order) -> None:
    instrument = model.instruments[order.instrument]
    gross = margin.gross_lots(model, account, instrument.underlying)
    require(gross + order.lots * instrument.gross_weight <= LIMITS["GROSS_LOTS_MAX"], "GROSS_LIMIT")


def _check_post_only(model: Model, order: Order) -> None:
    opposite = model.books[order.instrument][1 - order.side]
    if order.time_in_force == POST_ONLY:
        require(not (opposite and crosses(order, opposite[0])), "POST_ONLY_WOULD_CROSS")


def _check_margin(model: Model, account: Account, order: Order) -> None:
    """[MARGIN-8] with the order counted as open at its full size, or [MARGIN-12]."""
    account.orders[order.order_id] = order
    passed = margin.passes(model, account)
    del account.orders[order.order_id]
    if not passed and order.says("REDUCE_ONLY"):
        passed = margin.surplus_if_filled(model, account, order) >= margin.surplus(model, account)
    require(passed, "INITIAL_MARGIN_INSUFFICIENT")


def judge(model: Model, account: Account, order: Order, replaced: bool, key: Key | None = None) -> None:
    """The judgement of [MATCH-1]; finds the order's price and, if it only reduces, its size.

    `replaced`: the account has been cleared of the order that this one replaces, and no table can overflow.
    `key`: the session key that sent the order just now.
    """
    check_market(model, model.instruments[order.instrument])
    if not replaced:
        _check_room(model, account, order)
    order.price_ticks = effective_ticks(model, order)
    _check_band(model, order)
    if order.says("REDUCE_ONLY"):
        reducible = matching.reducible_lots(model, order)
        require(reducible > 0, "REDUCE_ONLY_WOULD_INCREASE")
        order.lots = min(order.lots, reducible)
    _check_gross(model, account, order)
    _check_post_only(model, order)
    if order.time_in_force == FOK:
        require(matching.fillable_lots(model, order) >= order.lots, "FILL_OR_KILL_UNFILLABLE")
    keys.check_order(model, account, order, key)
    _check_margin(model, account, order)


def judge_quote(model: Model, account: Account, order: Order) -> None:
    """The codes of [QUOTE-2] that depend on the market and the account; margin comes after the last quote."""
    check_market(model, model.instruments[order.instrument])
    _check_room(model, account, order)
    _check_band(model, order)
    _check_gross(model, account, order)
    _check_post_only(model, order)


def make_order(order_id: int, account: int, given: Command | Waiting) -> Order:
    """An order with the terms of a command, or of an order that has waited; its price is not yet found."""
    terms = given if isinstance(given, dict) else {name: getattr(given, name) for name in Waiting.__slots__}
    names = ("instrument", "side", "time_in_force", "lots", "price_ticks", "flags", "display_lots")
    chosen = {name: terms[name] for name in (*names, "valid_until_ns", "label", "link")}
    order = Order(order_id=order_id, account=account, **chosen)
    if order.says("VOLATILITY"):
        order.volatility_bp = order.price_ticks
    return order


def place(model: Model, command: Command) -> tuple[int, int]:
    """[MATCH-1]."""
    number, account = model.authenticate_free(command)
    check_form(model, command, waits=False)
    order = make_order(model.house.next_order_id, number, command)
    judge(model, account, order, replaced=False, key=model.key)
    model.house.next_order_id += 1
    matching.match_and_rest(model, order)
    return number, order.order_id


def replace(model: Model, command: Command) -> tuple[int, int]:
    """[MATCH-8]."""
    number, _ = model.authenticate_free(command)
    require(command["order_id"] in model.orders, "ORDER_NOT_FOUND")
    old = model.orders[command["order_id"]]
    require(old.account == number, "ORDER_NOT_OWNED")
    require(old.group == 0, "ORDER_INVALID")
    lots, price_ticks = command["lots"], command["price_ticks"]
    check_open(model, model.instruments[old.instrument])
    _check_size_and_price(old.flags, old.display_lots, lots, price_ticks, is_new=False)
    by_volatility = old.says("VOLATILITY")
    if price_ticks == (old.volatility_bp if by_volatility else old.price_ticks) and lots <= old.lots:
        old.lots, old.visible_lots = lots, min(old.visible_lots, lots)
        model.emit("REDUCED", **describe(old))
        return number, old.order_id
    changes = {"lots": lots, "price_ticks": price_ticks}
    if by_volatility:
        changes["volatility_bp"] = price_ticks
    _renew(model, old, changes)
    return number, old.order_id


def _renew(model: Model, old: Order, changes: dict[str, int]) -> None:
    """Judge the changed order in the account without the old one; put it in the old one's stead and match."""
    new = dataclasses.replace(old, slot=-1, visible_lots=0, **changes)
    account = model.accounts[old.account]
    del account.orders[old.order_id]
    try:
        judge(model, account, new, replaced=True, key=model.key)
    finally:
        account.orders[old.order_id] = old
    take_from_book(model, old)
    say_cancelled(model, old, "REPLACED")
    matching.match_and_rest(model, new)


def reprice(model: Model, underlying: int) -> None:
    """[IV-2]: all orders that move leave the book, then each comes back at its new price."""
    moving = []
    for _, order in sorted(model.orders.items()):
        if order.says("VOLATILITY") and model.instruments[order.instrument].underlying == underlying:
            ticks = effective_ticks(model, order)
            if ticks != order.price_ticks:
                moving.append((order, ticks))
    for order, _ in moving:
        take_from_book(model, order)
        say_cancelled(model, order, "REPLACED")
    for order, ticks in moving:
        new = dataclasses.replace(order, slot=-1, visible_lots=0, price_ticks=ticks)
        try:
            judge(model, model.accounts[order.account], new, replaced=True)
        except Rejected as refusal:
            end_order(model, new, "REPRICE_REJECTED", refusal.code)
            continue
        matching.match_and_rest(model, new)


def cancel(model: Model, command: Command) -> tuple[int, int]:
    """[MATCH-6]."""
    number, _ = model.authenticate(command)
    order = find_order(model, number, command["order_id"])
    end_order(model, order, "USER")
    return number, order.order_id


def find_order(model: Model, number: int, order_id: int) -> Order | Waiting:
    """The account's open or waiting order with the id."""
    order = model.orders.get(order_id) or model.waiting.get(order_id)
    if order is None:
        raise Rejected("ORDER_NOT_FOUND")
    require(order.account == number, "ORDER_NOT_OWNED")
    return order


def cancel_all(model: Model, command: Command) -> tuple[int, int]:
    """[MATCH-7]."""
    number, _ = model.authenticate(command)
    instrument, label, group = command["instrument"], command["label"], command["group"]
    require(label >= 0 and 0 <= group <= LIMITS["GROUP_COUNT"], "COMMAND_MALFORMED")
    require(instrument == -1 or 0 <= instrument < len(model.instruments), "INSTRUMENT_NOT_FOUND")

    def is_chosen(order: Order | Waiting) -> bool:
        mine = order.group if isinstance(order, Order) else 0
        return instrument in (-1, order.instrument) and label in (0, order.label) and group in (0, mine)

    end_chosen(model, number, "USER", is_chosen)
    return number, 0
