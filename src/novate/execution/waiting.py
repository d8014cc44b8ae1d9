"""Waiting orders: their table, and what becomes of the orders that wait for a parent.

They are in no book and hold no margin. A parent that is filled completely arms its children, any other end of
it ends them too. Implements [LINK-2] and the waiting slots of [MATCH-9].
"""

from typing import Any

from novate.execution.account_lists import link_record, unlink_record
from novate.execution.events import emit_order
from novate.execution.order_book import find_slot, put_slot, remove_entry
from novate.execution.sweeping import pop_due, push_due, push_id
from novate.execution.tables import NONE, World
from novate.kernel import kernel_inner
from novate.protocol.generated.codes import CancelReason, EventKind, TriggerReference

Record = Any


@kernel_inner
def take_waiting_slot(w: World) -> int:
    """Take a slot from the top of the stack. [MATCH-9]"""
    house = w.house[0]
    house["free_waiting_count"] -= 1
    slot = w.free_waiting[house["free_waiting_count"]]
    house["waiting_high"] = max(house["waiting_high"], slot + 1)
    return int(slot)


@kernel_inner
def enter_waiting(w: World, slot: int) -> None:
    """Enter a waiting order whose record is filled in: account list and id table."""
    record = w.waiting[slot]
    account = w.accounts[record["account"]]
    account["first_waiting"] = link_record(w.waiting, slot, account["first_waiting"])
    account["waiting_count"] += 1
    record["dirty"] = 1
    put_slot(w.waiting_entries, record["order_id"], slot)


@kernel_inner
def remove_waiting(w: World, slot: int) -> None:
    """Free the slot of a waiting order that ends or fires. [MATCH-9]"""
    record = w.waiting[slot]
    account = w.accounts[record["account"]]
    account["first_waiting"] = unlink_record(w.waiting, slot, account["first_waiting"])
    account["waiting_count"] -= 1
    remove_entry(w.waiting_entries, record["order_id"])
    record["order_id"] = 0
    record["dirty"] = 1
    house = w.house[0]
    w.free_waiting[house["free_waiting_count"]] = slot
    house["free_waiting_count"] += 1


@kernel_inner
def find_first_child(w: World, account: int, parent_id: int) -> int:
    """Return the slot of the waiting order with the lowest id among those that wait for a parent, or NONE."""
    found = NONE
    slot = w.accounts[account]["first_waiting"]
    while slot != NONE:
        record = w.waiting[slot]
        if record["parent_id"] == parent_id:
            if found == NONE or record["order_id"] < w.waiting[found]["order_id"]:
                found = slot
        slot = record["next_in_account"]
    return found


@kernel_inner
def drop_waiting(w: World, slot: int, reason: int) -> None:
    """End one waiting order and say so; its children are still there."""
    record = w.waiting[slot]
    emit_order(w, EventKind.CANCELLED, record, record["lots"], 0, reason)
    remove_waiting(w, slot)


@kernel_inner
def end_children(w: World, account: int, parent_id: int) -> None:
    """End every order that waits for a parent which has ended, each followed by its own children. [LINK-2]

    The records of ended orders keep the way back: no slot is taken before the walk is over.
    """
    if w.accounts[account]["waiting_count"] == 0:
        return
    ended = NONE
    parent = parent_id
    while True:
        slot = find_first_child(w, account, parent)
        if slot != NONE:
            parent = w.waiting[slot]["order_id"]
            drop_waiting(w, slot, CancelReason.PARENT_ENDED)
            w.waiting[slot]["next_in_account"] = ended
            ended = slot
        elif ended == NONE:
            return
        else:
            parent = w.waiting[ended]["parent_id"]
            ended = w.waiting[ended]["next_in_account"]


@kernel_inner
def end_waiting(w: World, slot: int, reason: int) -> None:
    """End a waiting order and its children. [LINK-2]"""
    record = w.waiting[slot]
    account, order_id = record["account"], record["order_id"]
    drop_waiting(w, slot, reason)
    end_children(w, account, order_id)


@kernel_inner
def arm_children(w: World, account: int, parent_id: int) -> None:
    """Arm every order that waits for a parent which has been filled completely. [LINK-2] [TRIG-5]"""
    house = w.house[0]
    slot = w.accounts[account]["first_waiting"]
    while slot != NONE:
        record = w.waiting[slot]
        if record["parent_id"] == parent_id:
            record["parent_id"] = 0
            record["dirty"] = 1
            if record["reference"] == TriggerReference.NONE:
                push_id(w.ready, 0, house["ready_count"], record["order_id"])
                house["ready_count"] += 1
        slot = record["next_in_account"]


@kernel_inner
def end_due_waiting(w: World, start: int, reason: int) -> None:
    """End the waiting orders of a sweep, in ascending order_id."""
    order_id = pop_due(w, start)
    while order_id != 0:
        slot = find_slot(w.waiting_entries, order_id)
        if slot != NONE:
            end_waiting(w, slot, reason)
        order_id = pop_due(w, start)


@kernel_inner
def end_waiting_in(w: World, number: int, reason: int) -> None:
    """End every waiting order in an instrument, in ascending order_id. [EXPIRY-2]"""
    start = w.house[0]["due_count"]
    for slot in range(w.house[0]["waiting_high"]):
        record = w.waiting[slot]
        if record["order_id"] != 0 and record["instrument"] == number:
            push_due(w, start, record["order_id"])
    end_due_waiting(w, start, reason)


@kernel_inner
def end_waiting_of(w: World, account: int, number: int, label: int, link: int, reason: int) -> None:
    """End an account's waiting orders in ascending order_id: those in an instrument (NONE: any), with a label
    and with a link (0: any).
    """
    if w.accounts[account]["waiting_count"] == 0:
        return
    start = w.house[0]["due_count"]
    slot = w.accounts[account]["first_waiting"]
    while slot != NONE:
        record = w.waiting[slot]
        wanted = number == NONE or record["instrument"] == number
        if wanted and (label == 0 or record["label"] == label) and (link == 0 or record["link"] == link):
            push_due(w, start, record["order_id"])
        slot = record["next_in_account"]
    end_due_waiting(w, start, reason)
