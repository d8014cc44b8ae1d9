"""Open orders: how they enter and leave the book, their account's list and the sums, and many end at once.

Whatever ends an order goes through `cancel_order`, so that no child outlives its parent. Implements the order
slots of [MATCH-9], [LINK-1] and [LINK-2].
"""

from typing import Any

from novate.execution.account_lists import link_record, unlink_record
from novate.execution.events import emit_order
from novate.execution.order_book import append_order, find_slot, put_slot, remove_entry, unlink_order
from novate.execution.order_positions import change_order_lots, release_order_positions
from novate.execution.sweeping import pop_due, push_due
from novate.execution.tables import NONE, World
from novate.execution.waiting import end_children, end_waiting_of
from novate.kernel import as_place, kernel_inner
from novate.protocol.generated.codes import CancelReason, EventKind

Record = Any


@kernel_inner
def take_order_slot(w: World) -> int:
    """Take a slot from the top of the stack. [MATCH-9]"""
    house = w.house[0]
    house["free_order_count"] -= 1
    slot = w.free_orders[as_place(house["free_order_count"])]
    house["order_high"] = max(house["order_high"], slot + 1)
    return int(slot)


@kernel_inner
def compute_visible_lots(display_lots: int, lots: int) -> int:
    """Return what an order shows. [ICEBERG-1]"""
    return lots if display_lots == 0 else min(display_lots, lots)


@kernel_inner
def add_resting_order(w: World, slot: int) -> None:
    """Enter an order whose record is filled in: book, account list, id table and open-order sums."""
    order = w.orders[slot]
    account = w.accounts[order["account"]]
    account["first_order"] = link_record(w.orders, slot, account["first_order"])
    account["open_order_count"] += 1
    order["dirty"] = 1
    put_slot(w.order_entries, order["order_id"], slot)
    append_order(w, slot)
    if order["group"] != 0:
        w.groups[order["account"], order["group"] - 1]["quote_count"] += 1
    change_order_lots(w, order, order["lots"])


@kernel_inner
def remove_order(w: World, slot: int) -> None:
    """End an order: take what is left of it out of the book and the sums, and free its slot.

    Its position record stays, even if empty: the caller releases it when the step is complete.
    """
    order = w.orders[slot]
    unlink_order(w, slot)
    if order["lots"] > 0:
        change_order_lots(w, order, -order["lots"])
    if order["group"] != 0:
        w.groups[order["account"], order["group"] - 1]["quote_count"] -= 1
    account = w.accounts[order["account"]]
    account["first_order"] = unlink_record(w.orders, slot, account["first_order"])
    account["open_order_count"] -= 1
    remove_entry(w.order_entries, order["order_id"])
    order["order_id"] = 0
    order["dirty"] = 1
    house = w.house[0]
    w.free_orders[house["free_order_count"]] = slot
    house["free_order_count"] += 1


@kernel_inner
def drop_order(w: World, slot: int, reason: int) -> None:
    """End an open order, say so, and end its children; its position records stay, as `remove_order` says.
    [LINK-2]
    """
    order = w.orders[slot]
    account, order_id = order["account"], order["order_id"]
    emit_order(w, EventKind.CANCELLED, order, order["lots"], order["visible_lots"], reason)
    remove_order(w, slot)
    end_children(w, account, order_id)


@kernel_inner
def cancel_order(w: World, slot: int, reason: int) -> None:
    """End an open order, say so, and end its children. [LINK-2]"""
    order = w.orders[slot]
    account, number, position = order["account"], order["instrument"], order["position"]
    drop_order(w, slot, reason)
    release_order_positions(w, account, number, position)


@kernel_inner
def cancel_due_orders(w: World, start: int, reason: int) -> None:
    """End the open orders of a sweep, in ascending order_id."""
    order_id = pop_due(w, start)
    while order_id != 0:
        slot = find_slot(w.order_entries, order_id)
        if slot != NONE:
            cancel_order(w, slot, reason)
        order_id = pop_due(w, start)


@kernel_inner
def cancel_account_orders(w: World, account: int, number: int, label: int, group: int, reason: int) -> None:
    """End an account's open orders, then its waiting ones, in ascending order_id: those in an instrument
    (NONE: any), with a label and of a group of quotes (0: any). [MATCH-7]
    """
    start = w.house[0]["due_count"]
    slot = w.accounts[account]["first_order"]
    while slot != NONE:
        order = w.orders[slot]
        wanted = number == NONE or order["instrument"] == number
        if wanted and (label == 0 or order["label"] == label) and (group == 0 or order["group"] == group):
            push_due(w, start, order["order_id"])
        slot = order["next_in_account"]
    cancel_due_orders(w, start, reason)
    if group == 0:
        end_waiting_of(w, account, number, label, 0, reason)


@kernel_inner
def cancel_linked(w: World, account: int, link: int, except_id: int) -> None:
    """End every other order of an account with a link, one of which was filled or fired. [LINK-1]"""
    start = w.house[0]["due_count"]
    slot = w.accounts[account]["first_order"]
    while slot != NONE:
        order = w.orders[slot]
        if order["link"] == link and order["order_id"] != except_id:
            push_due(w, start, order["order_id"])
        slot = order["next_in_account"]
    cancel_due_orders(w, start, CancelReason.LINKED)
    end_waiting_of(w, account, NONE, 0, link, CancelReason.LINKED)


@kernel_inner
def cancel_orders_in(w: World, number: int, reason: int) -> None:
    """End every open order in an instrument, in ascending order_id. [EXPIRY-2]"""
    start = w.house[0]["due_count"]
    for slot in range(w.house[0]["order_high"]):
        order = w.orders[slot]
        if order["order_id"] != 0 and order["instrument"] == number:
            push_due(w, start, order["order_id"])
    cancel_due_orders(w, start, reason)


@kernel_inner
def cancel_group_quotes(w: World, account: int, group: int, reason: int) -> None:
    """End every open quote of a group, in ascending order_id. [MMP-3] [QUOTE-3]"""
    cancel_account_orders(w, account, NONE, 0, group, reason)
