"""Placing and cancelling orders. Implements [MATCH-1], [MATCH-6] and [MATCH-7]."""

from typing import Any

from novate.execution.authentication import verify_account, verify_trader
from novate.execution.events import emit_result
from novate.execution.judging import VOLATILITY, verify_judgement, verify_order
from novate.execution.matching import match_order, take_order_id
from novate.execution.open_orders import cancel_account_orders, cancel_order
from novate.execution.order_book import find_slot
from novate.execution.tables import NONE, World
from novate.execution.waiting import end_waiting
from novate.kernel import kernel_inner
from novate.protocol.generated.codes import CancelReason, Code
from novate.protocol.generated.constants import GROUP_COUNT

Record = Any


@kernel_inner
def fill_draft(w: World, source: Record) -> Record:
    """Put the order that a command (or a waiting order) describes into the draft, and return that.

    The price of an order that quotes a volatility is found when it is judged.
    """
    order = w.draft[0]
    order["order_id"] = 0
    order["account"] = source["account"]
    order["instrument"] = source["instrument"]
    order["side"] = source["side"]
    order["time_in_force"] = source["time_in_force"]
    order["price_ticks"] = source["price_ticks"]
    order["lots"] = source["lots"]
    order["flags"] = source["flags"]
    order["display_lots"] = source["display_lots"]
    order["valid_until_ns"] = source["valid_until_ns"]
    order["label"] = source["label"]
    order["link"] = source["link"]
    order["group"] = 0
    order["volatility_bp"] = source["price_ticks"] if source["flags"] & VOLATILITY != 0 else 0
    return order


@kernel_inner
def apply_place(w: World, command: Record) -> None:
    """PLACE. [MATCH-1] to [MATCH-5]"""
    account, time_ns = command["account"], command["time_ns"]
    code = verify_trader(w, command)
    order = fill_draft(w, command)
    if code == Code.OK:
        code = verify_order(w, order, time_ns, 0)
    if code == Code.OK:
        code = verify_judgement(w, order, time_ns, 0, command["key"])
    if code != Code.OK:
        emit_result(w, code, account, 0)
        return
    order["order_id"] = take_order_id(w)
    emit_result(w, code, account, order["order_id"])
    match_order(w, order, time_ns)


@kernel_inner
def verify_cancel(w: World, slot: int, waiting_slot: int, account: int) -> Code:
    """Check that an order is open or waits, and belongs to the account. [MATCH-6]"""
    if slot != NONE:
        owner = w.orders[slot]["account"]
    elif waiting_slot != NONE:
        owner = w.waiting[waiting_slot]["account"]
    else:
        return Code.ORDER_NOT_FOUND
    return Code.OK if owner == account else Code.ORDER_NOT_OWNED


@kernel_inner
def apply_cancel(w: World, command: Record) -> None:
    """CANCEL. [MATCH-6]"""
    account, order_id = command["account"], command["order_id"]
    code = verify_account(w, command)
    slot = find_slot(w.order_entries, order_id)
    waiting_slot = find_slot(w.waiting_entries, order_id) if slot == NONE else NONE
    if code == Code.OK:
        code = verify_cancel(w, slot, waiting_slot, account)
    emit_result(w, code, account, order_id if code == Code.OK else 0)
    if code == Code.OK:
        if slot != NONE:
            cancel_order(w, slot, CancelReason.USER)
        else:
            end_waiting(w, waiting_slot, CancelReason.USER)


@kernel_inner
def apply_cancel_all(w: World, command: Record) -> None:
    """CANCEL_ALL. [MATCH-7]"""
    account, number = command["account"], command["instrument"]
    label, group = command["label"], command["group"]
    code = verify_account(w, command)
    if code == Code.OK and (label < 0 or group < 0 or group > GROUP_COUNT):
        code = Code.COMMAND_MALFORMED
    if code == Code.OK and (number < NONE or number >= w.house[0]["instrument_count"]):
        code = Code.INSTRUMENT_NOT_FOUND
    emit_result(w, code, account, 0)
    if code == Code.OK:
        cancel_account_orders(w, account, number, label, group, CancelReason.USER)
