"""[QUOTE-*] and [MMP-*]: two-sided quotes in groups, and the limits that stop a group's fills."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

from . import keys, margin, orders
from .book import add_to_book, describe, end_order
from .records import (
    BUY,
    CALL,
    EXPIRED,
    LIMITS,
    POST_ONLY,
    PUT,
    SCALES,
    SELL,
    Account,
    Group,
    Instrument,
    Order,
    Rejected,
    require,
)

if TYPE_CHECKING:
    from .model import Model

Command = dict[str, Any]
NO_LIMIT = 1 << 62
LIMIT_MAX = 1 << 60
FOREVER_NS = (1 << 63) - 1


def set_mmp(model: Model, command: Command) -> tuple[int, int]:
    """[MMP-1]."""
    number, account = model.authenticate(command)
    ms, group = SCALES["NS_PER_MS"], command["group"]
    hour, day = 3_600_000 * ms, SCALES["NS_PER_DAY"]
    require(1 <= group <= LIMITS["GROUP_COUNT"], "GROUP_INVALID")
    require(0 <= command["underlying"] < len(model.underlyings), "GROUP_INVALID")
    require(ms <= command["window_ns"] <= hour and 0 <= command["frozen_ns"] <= day, "GROUP_INVALID")
    require(1 <= command["quantity_limit_lots"] <= LIMITS["GROSS_LOTS_MAX"], "GROUP_INVALID")
    require(0 <= command["delta_limit_atoms"] <= LIMIT_MAX, "GROUP_INVALID")
    require(0 <= command["vega_limit_atoms"] <= LIMIT_MAX, "GROUP_INVALID")
    require(not quotes_of(account, group), "GROUP_BUSY")
    account.groups[group] = Group(
        underlying=command["underlying"],
        window_ns=command["window_ns"],
        frozen_ns=command["frozen_ns"],
        quantity_limit_lots=command["quantity_limit_lots"],
        delta_limit_atoms=command["delta_limit_atoms"],
        vega_limit_atoms=command["vega_limit_atoms"],
    )
    return number, 0


def quotes_of(account: Account, group: int) -> list[Order]:
    """The group's open quotes in ascending order_id."""
    return [order for _, order in sorted(account.orders.items()) if order.group == group]


def _end_quotes(model: Model, account: Account, group: int, reason: str) -> None:
    for order in quotes_of(account, group):
        end_order(model, order, reason)


def _window_over(model: Model, group: Group) -> bool:
    return model.time_ns >= group.window_start_ns + group.window_ns


def _forget_fills(group: Group) -> None:
    group.window_start_ns = group.filled_lots = 0
    group.filled_delta_atoms = group.filled_vega_atoms = 0


def _end_window(model: Model, group: Group) -> None:
    """[MMP-2]: forget the fills of a window that is over."""
    if _window_over(model, group):
        _forget_fills(group)


def end_windows(model: Model) -> None:
    """The same for every group there is, at a TICK."""
    for account in model.accounts:
        for group in account.groups.values():
            _end_window(model, group)


def capacity(model: Model, order: Order) -> int:
    """[MMP-2]: the lots that may still be filled, as if the window's reset had been applied; no limit but
    for quotes. Nothing is changed: `meet` is for the next maker of a match.
    """
    if order.group == 0:
        return NO_LIMIT
    group, instrument = model.accounts[order.account].groups[order.group], model.instruments[order.instrument]
    lots, delta, vega = group.filled_lots, group.filled_delta_atoms, group.filled_vega_atoms
    if _window_over(model, group):
        lots = delta = vega = 0
    direction = 1 if order.side == BUY else -1
    room = [group.quantity_limit_lots - lots]
    for limit, counted, per_lot in (
        (group.delta_limit_atoms, delta, direction * instrument.delta_atoms),
        (group.vega_limit_atoms, vega, direction * instrument.vega_atoms),
    ):
        if limit > 0 and per_lot > 0:
            room.append(max(0, (limit - counted) // per_lot))
        elif limit > 0 and per_lot < 0:
            room.append(max(0, (limit + counted) // -per_lot))
    return min(room)


def meet(model: Model, maker: Order) -> int:
    """The capacity of the next maker of a match: a window that is over ends first."""
    if maker.group:
        _end_window(model, model.accounts[maker.account].groups[maker.group])
    return capacity(model, maker)


def count_fill(
    model: Model,
    account: int,
    group: int,
    instrument: Instrument,
    direction: int,
    lots: int,
    wanted_lots: int,
) -> None:
    """[MMP-3] after `lots` (perhaps 0) were filled where `wanted_lots` would have been; may end all quotes.

    `account` and `group` are numbers, `direction` is the quote's (+1 for a bid); `meet` came before.
    """
    protected = model.accounts[account].groups[group]
    if lots:
        if protected.window_start_ns == 0:
            protected.window_start_ns = model.time_ns
        protected.filled_lots += lots
        protected.filled_delta_atoms += lots * direction * instrument.delta_atoms
        protected.filled_vega_atoms += lots * direction * instrument.vega_atoms
    if lots < wanted_lots or _limit_reached(protected):
        _trip(model, account, group)


def _limit_reached(group: Group) -> bool:
    delta_limit, vega_limit = group.delta_limit_atoms, group.vega_limit_atoms
    return (
        group.filled_lots >= group.quantity_limit_lots
        or (delta_limit > 0 and abs(group.filled_delta_atoms) >= delta_limit)
        or (vega_limit > 0 and abs(group.filled_vega_atoms) >= vega_limit)
    )


def _trip(model: Model, account: int, number: int) -> None:
    group = model.accounts[account].groups[number]
    _forget_fills(group)
    group.frozen_until_ns = model.time_ns + group.frozen_ns if group.frozen_ns else FOREVER_NS
    model.emit(
        "MMP_TRIPPED",
        account=account,
        order_id=number,
        instrument=group.underlying,
        amount_atoms=group.frozen_until_ns,
    )
    _end_quotes(model, model.accounts[account], number, "MMP")


def mass_quote(model: Model, command: Command) -> tuple[int, int]:
    """[QUOTE-1] to [QUOTE-3]."""
    number, account = model.authenticate_free(command)
    items, chosen = command["items"], command["group"]
    named = [item[0] for item in items]
    require(1 <= len(items) <= LIMITS["QUOTE_COUNT_MAX"], "COMMAND_MALFORMED")
    require(all(a < b for a, b in itertools.pairwise(named)), "COMMAND_MALFORMED")
    require(chosen in account.groups, "GROUP_INVALID")
    require(model.time_ns >= account.groups[chosen].frozen_until_ns, "GROUP_FROZEN")
    _end_window(model, account.groups[chosen])
    placed = [_quote(model, number, chosen, item) for item in items]
    key, underlying = model.key, account.groups[chosen].underlying
    if key and any(placed) and not keys.quotes_within(model, account, underlying, key):
        _end_quotes(model, account, chosen, "KEY_LIMIT")
    elif not margin.passes(model, account):
        _end_quotes(model, account, chosen, "INITIAL_MARGIN")
    return number, 0


def _quote(model: Model, number: int, group: int, item: tuple[int, int, int, int, int]) -> bool:
    """[QUOTE-2]: both sides give way first, then each new side is judged and placed; whether one was."""
    placed = False
    instrument, bid_ticks, bid_lots, ask_ticks, ask_lots = item
    sides = ((BUY, bid_ticks, bid_lots), (SELL, ask_ticks, ask_lots))
    kept = [_keeps_place(model, number, group, instrument, *side) for side in sides]
    crossed = bid_lots != 0 and ask_lots != 0 and bid_ticks >= ask_ticks
    for (side, price_ticks, lots), stays in zip(sides, kept, strict=True):
        if lots == 0 or stays:
            continue
        try:
            _check_quote(model, group, number, item, side, crossed)
            _place_quote(model, number, group, instrument, side, price_ticks, lots)
            placed = True
        except Rejected as refusal:
            model.emit(
                "QUOTE_REJECTED",
                account=number,
                instrument=instrument,
                side=side,
                price_ticks=price_ticks,
                lots=lots,
                code=refusal.code,
            )
    return placed


def _keeps_place(
    model: Model, number: int, group: int, instrument: int, side: int, price_ticks: int, lots: int
) -> bool:
    """Whether the group's quote there stays, smaller or as it is; if it does not, it ends."""
    for order in quotes_of(model.accounts[number], group):
        if (order.instrument, order.side) != (instrument, side):
            continue
        if order.price_ticks == price_ticks and 1 <= lots <= order.lots:
            if lots < order.lots:
                order.lots = order.visible_lots = lots
                model.emit("REDUCED", **describe(order))
            return True
        end_order(model, order, "REPLACED")
    return False


def _check_quote(
    model: Model, group: int, number: int, item: tuple[int, ...], side: int, crossed: bool
) -> None:
    """The codes of [QUOTE-2] before those that depend on the market."""
    price_ticks, lots = (item[1], item[2]) if side == BUY else (item[3], item[4])
    require(0 <= item[0] < len(model.instruments), "INSTRUMENT_NOT_FOUND")
    instrument = model.instruments[item[0]]
    past = instrument.expiry_ns > 0 and model.time_ns >= instrument.expiry_ns
    require(instrument.state != EXPIRED and not past, "INSTRUMENT_CLOSED")
    underlying = model.accounts[number].groups[group].underlying
    fits = instrument.kind in (CALL, PUT) and instrument.underlying == underlying
    require(fits, "ORDER_INVALID")
    require(lots >= 1, "SIZE_NOT_POSITIVE")
    require(lots <= LIMITS["ORDER_LOTS_MAX"], "SIZE_ABOVE_MAXIMUM")
    require(price_ticks >= 1, "PRICE_NOT_POSITIVE")
    require(price_ticks <= LIMITS["PRICE_TICKS_MAX"], "PRICE_ABOVE_MAXIMUM")
    require(not crossed, "QUOTE_CROSSED")


def _place_quote(
    model: Model, number: int, group: int, instrument: int, side: int, price_ticks: int, lots: int
) -> None:
    order = Order(
        order_id=model.house.next_order_id,
        account=number,
        instrument=instrument,
        side=side,
        time_in_force=POST_ONLY,
        price_ticks=price_ticks,
        lots=lots,
        group=group,
    )
    orders.judge_quote(model, model.accounts[number], order)
    model.house.next_order_id += 1
    add_to_book(model, order)
    model.emit("REST", **describe(order))
