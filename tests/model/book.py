"""What joins and leaves the books and the waiting orders, and what else ends with it ([LINK-1], [LINK-2]).

The obvious book is one list per instrument and side, best order first.
"""

from __future__ import annotations

import bisect
from collections.abc import Callable
from typing import TYPE_CHECKING

from .records import BUY, REASONS, Order, Waiting

if TYPE_CHECKING:
    from .model import Model


def _rank(order: Order) -> tuple[int, int]:
    """Price first, then the time of joining the level."""
    return (-order.price_ticks if order.side == BUY else order.price_ticks, order.priority)


def crosses(taker: Order, maker: Order) -> bool:
    """[MATCH-2]."""
    if taker.side == BUY:
        return taker.price_ticks >= maker.price_ticks
    return taker.price_ticks <= maker.price_ticks


def join_level(model: Model, order: Order) -> None:
    """Put the order at the end of its level; among equals of one command the later one stands behind."""
    order.priority = model.sequence
    bisect.insort(model.books[order.instrument][order.side], order, key=_rank)


def add_to_book(model: Model, order: Order) -> None:
    """Let the order rest: a slot, its visible lots, the end of its level ([MATCH-4], [MATCH-9])."""
    order.slot = model.free_slots.pop()
    order.visible_lots = min(order.display_lots, order.lots) if order.display_lots else order.lots
    join_level(model, order)
    model.orders[order.order_id] = order
    model.accounts[order.account].orders[order.order_id] = order


def take_from_book(model: Model, order: Order) -> None:
    """Undo `add_to_book`; the slot goes on top of the free ones."""
    model.books[order.instrument][order.side].remove(order)
    del model.orders[order.order_id]
    del model.accounts[order.account].orders[order.order_id]
    model.free_slots.append(order.slot)
    order.slot = -1


def add_waiting(model: Model, waiting: Waiting) -> None:
    """Let the order wait: a slot of the waiting orders' own, WAITING."""
    waiting.slot = model.free_waiting_slots.pop()
    model.waiting[waiting.order_id] = waiting
    model.accounts[waiting.account].waiting[waiting.order_id] = waiting
    fields = describe(waiting) | {"amount_atoms": waiting.trigger_atoms}
    model.emit("WAITING", **fields)


def take_from_waiting(model: Model, waiting: Waiting) -> None:
    """Undo `add_waiting`."""
    del model.waiting[waiting.order_id]
    del model.accounts[waiting.account].waiting[waiting.order_id]
    model.free_waiting_slots.append(waiting.slot)
    waiting.slot = -1


def describe(order: Order | Waiting) -> dict[str, int]:
    """The fields of REST, CANCELLED, REDUCED and REFRESHED."""
    return {
        "account": order.account,
        "order_id": order.order_id,
        "instrument": order.instrument,
        "side": order.side,
        "price_ticks": order.price_ticks,
        "lots": order.lots,
        "visible_lots": order.visible_lots if isinstance(order, Order) else 0,
    }


def say_cancelled(model: Model, order: Order | Waiting, reason: str, code: int = 0) -> None:
    """Say that an order, or what is left of it, is over."""
    model.emit("CANCELLED", reason=REASONS[reason], code=code, **describe(order))


def end_order(model: Model, order: Order | Waiting, reason: str, code: int = 0) -> None:
    """End an order with lots left, be it resting, taking or waiting, and then its children ([LINK-2])."""
    if isinstance(order, Waiting):
        if order.slot >= 0:
            take_from_waiting(model, order)
    elif order.slot >= 0:
        take_from_book(model, order)
    say_cancelled(model, order, reason, code)
    for child in _children(model, order):
        if child.order_id in model.waiting:
            end_order(model, child, "PARENT_ENDED")


def complete(model: Model, order: Order) -> None:
    """All lots are filled: the children are armed ([LINK-2])."""
    for child in _children(model, order):
        child.parent_id = 0


def _children(model: Model, order: Order | Waiting) -> list[Waiting]:
    """The orders that wait for this one, in ascending order_id; a parent is always of the same account."""
    waiting = model.accounts[order.account].waiting
    return [waiting[i] for i in sorted(waiting) if waiting[i].parent_id == order.order_id]


def end_linked(model: Model, order: Order | Waiting) -> None:
    """[LINK-1]: a member was filled or fires; the others end."""

    def is_other_member(other: Order | Waiting) -> bool:
        return other.link == order.link and other is not order

    if order.link:
        end_chosen(model, order.account, "LINKED", is_other_member)


def end_chosen(model: Model, number: int, reason: str, chosen: Callable[[Order | Waiting], bool]) -> None:
    """End the account's chosen orders: open ones in ascending order_id, then waiting ones."""
    account = model.accounts[number]
    for order in [account.orders[i] for i in sorted(account.orders)]:
        if chosen(order):
            end_order(model, order, reason)
    for waiting in [account.waiting[i] for i in sorted(account.waiting)]:
        if waiting.order_id in model.waiting and chosen(waiting):
            end_order(model, waiting, reason)
