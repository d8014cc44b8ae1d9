"""[TIMER-*] and [GTD-1]: orders that end when time or a connection runs out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .book import end_chosen, end_order
from .records import SCALES, Order, Waiting, require

if TYPE_CHECKING:
    from .model import Model

Command = dict[str, Any]


def protect(model: Model, command: Command) -> tuple[int, int]:
    """[TIMER-1]."""
    number, account = model.authenticate(command)
    timeout_ns = command["timeout_ns"]
    in_range = timeout_ns == 0 or SCALES["NS_PER_S"] <= timeout_ns <= SCALES["NS_PER_DAY"]
    require(in_range and command["cancel_on_disconnect"] in (0, 1), "TIMER_INVALID")
    account.dead_man_ns = model.time_ns + timeout_ns if timeout_ns else 0
    account.cancel_on_disconnect = command["cancel_on_disconnect"]
    return number, 0


def disconnect(model: Model, command: Command) -> tuple[int, int]:
    """[TIMER-2]."""
    number = command["target"]
    require(0 <= number < len(model.accounts), "ACCOUNT_NOT_FOUND")
    require(model.accounts[number].cancel_on_disconnect == 1, "DISCONNECT_NOT_ENABLED")
    end_chosen(model, number, "DISCONNECTED", lambda _: True)
    return number, 0


def cancel_due_accounts(model: Model) -> None:
    """[TIMER-1] at a TICK."""
    for number, account in enumerate(model.accounts):
        if 0 < account.dead_man_ns <= model.time_ns:
            end_chosen(model, number, "DEAD_MAN", lambda _: True)
            account.dead_man_ns = 0


def cancel_expired(model: Model) -> None:
    """[GTD-1]: open orders in ascending order_id, then waiting ones."""
    open_or_waiting: list[Order | Waiting] = [order for _, order in sorted(model.orders.items())]
    open_or_waiting += [waiting for _, waiting in sorted(model.waiting.items())]
    for order in open_or_waiting:
        if order.slot >= 0 and 0 < order.valid_until_ns <= model.time_ns:
            end_order(model, order, "GOOD_TILL_DATE")
