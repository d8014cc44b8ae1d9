"""Orders that wait for a price or a parent: placing them, moving their trails, firing them.

Implements [TRIG-1] to [TRIG-5].
"""

from typing import Any

from novate.execution.authentication import verify_trader
from novate.execution.events import emit, emit_order, emit_result
from novate.execution.judging import verify_judgement, verify_open, verify_order
from novate.execution.matching import match_order, take_order_id
from novate.execution.open_orders import cancel_linked
from novate.execution.order_book import find_slot
from novate.execution.sweeping import pop_due, pop_id, push_due
from novate.execution.tables import NONE, World
from novate.execution.trading import fill_draft
from novate.execution.waiting import end_children, enter_waiting, remove_waiting, take_waiting_slot
from novate.kernel import kernel_inner
from novate.protocol.generated.codes import CancelReason, Code, EventKind, TriggerCondition, TriggerReference
from novate.protocol.generated.constants import NO_MARK_ATOMS, TRIGGER_COUNT_MAX
from novate.protocol.oracle import is_stale

Record = Any

TRIGGER_ATOMS_BOUND = 1 << 40


@kernel_inner
def compute_reference_price(w: World, number: int, reference: int, time_ns: int) -> int:
    """Return the price that a trigger looks at, in atoms, or NONE if there is none now. [TRIG-2]"""
    instrument = w.instruments[number]
    if reference == TriggerReference.LAST:
        last_ticks = instrument["last_ticks"]
        return int(last_ticks * instrument["tick_atoms"]) if last_ticks > 0 else NONE
    market = w.markets[instrument["underlying"]]
    if instrument["mark_atoms"] == NO_MARK_ATOMS:
        return NONE
    if is_stale(market["index_atoms"], market["index_time_ns"], time_ns, w.parameters[0]):
        return NONE
    return int(market["index_atoms"] if reference == TriggerReference.INDEX else instrument["mark_atoms"])


@kernel_inner
def verify_trigger(command: Record) -> Code:
    """Check reference, condition, threshold, trail and parent. [TRIG-1]"""
    reference, condition = command["reference"], command["condition"]
    trigger_atoms, trail_atoms = command["trigger_atoms"], command["trail_atoms"]
    if reference < TriggerReference.NONE or reference > TriggerReference.LAST:
        return Code.TRIGGER_INVALID
    if condition < TriggerCondition.ABOVE or condition > TriggerCondition.BELOW:
        return Code.TRIGGER_INVALID
    if command["parent_id"] < 0 or trigger_atoms < 0 or trail_atoms < 0:
        return Code.TRIGGER_INVALID
    if reference == TriggerReference.NONE:
        fits = trigger_atoms == 0 and trail_atoms == 0 and command["parent_id"] > 0
    else:
        fits = (trigger_atoms > 0) != (trail_atoms > 0)
        fits = fits and trigger_atoms < TRIGGER_ATOMS_BOUND and trail_atoms < TRIGGER_ATOMS_BOUND
    return Code.OK if fits else Code.TRIGGER_INVALID


@kernel_inner
def verify_parent(w: World, account: int, parent_id: int) -> Code:
    """Check that a parent, if there is one, is an open or waiting order of the account. [TRIG-1]"""
    if parent_id == 0:
        return Code.OK
    slot = find_slot(w.order_entries, parent_id)
    if slot != NONE:
        return Code.OK if w.orders[slot]["account"] == account else Code.ORDER_NOT_OWNED
    slot = find_slot(w.waiting_entries, parent_id)
    if slot != NONE:
        return Code.OK if w.waiting[slot]["account"] == account else Code.ORDER_NOT_OWNED
    return Code.ORDER_NOT_FOUND


@kernel_inner
def needs_extreme(command: Record) -> bool:
    """Whether an order trails from the moment it is placed. [TRIG-3]"""
    return bool(command["trail_atoms"] > 0 and command["parent_id"] == 0)


@kernel_inner
def verify_place_trigger(w: World, command: Record) -> Code:
    """Return the code of a PLACE_TRIGGER whose account is authentic. [TRIG-1]"""
    account, time_ns = command["account"], command["time_ns"]
    code = verify_order(w, fill_draft(w, command), time_ns, 1)
    if code == Code.OK:
        code = verify_trigger(command)
    if code == Code.OK:
        code = verify_parent(w, account, command["parent_id"])
    if code != Code.OK:
        return code
    if w.house[0]["free_waiting_count"] == 0 or w.accounts[account]["waiting_count"] >= TRIGGER_COUNT_MAX:
        return Code.TRIGGER_TABLE_FULL
    if needs_extreme(command):
        if compute_reference_price(w, command["instrument"], command["reference"], time_ns) == NONE:
            return Code.MARK_UNAVAILABLE
    return Code.OK


@kernel_inner
def fill_waiting(w: World, slot: int, command: Record, order_id: int) -> Record:
    """Write a waiting order's record and return it."""
    record = w.waiting[slot]
    record["order_id"] = order_id
    record["account"] = command["account"]
    record["instrument"] = command["instrument"]
    record["side"] = command["side"]
    record["time_in_force"] = command["time_in_force"]
    record["price_ticks"] = command["price_ticks"]
    record["lots"] = command["lots"]
    record["flags"] = command["flags"]
    record["display_lots"] = command["display_lots"]
    record["valid_until_ns"] = command["valid_until_ns"]
    record["label"] = command["label"]
    record["link"] = command["link"]
    record["reference"] = command["reference"]
    record["condition"] = command["condition"]
    record["trigger_atoms"] = command["trigger_atoms"]
    record["trail_atoms"] = command["trail_atoms"]
    record["parent_id"] = command["parent_id"]
    return record


@kernel_inner
def apply_place_trigger(w: World, command: Record) -> None:
    """PLACE_TRIGGER. [TRIG-1]"""
    account = command["account"]
    code = verify_trader(w, command)
    if code == Code.OK:
        code = verify_place_trigger(w, command)
    if code != Code.OK:
        emit_result(w, code, account, 0)
        return
    slot = take_waiting_slot(w)
    record = fill_waiting(w, slot, command, take_order_id(w))
    if needs_extreme(command):
        record["trigger_atoms"] = compute_reference_price(
            w, record["instrument"], record["reference"], command["time_ns"]
        )
    enter_waiting(w, slot)
    emit_result(w, code, account, record["order_id"])
    event = emit_order(w, EventKind.WAITING, record, record["lots"], 0, 0)
    event["amount_atoms"] = record["trigger_atoms"]


@kernel_inner
def fire_order(w: World, slot: int, time_ns: int) -> None:
    """Judge and match a waiting order as if it were placed now, under its id. [TRIG-4]"""
    record = w.waiting[slot]
    order = fill_draft(w, record)
    account, order_id = record["account"], record["order_id"]
    order["order_id"] = order_id
    event = emit(w, EventKind.TRIGGERED)
    event["account"] = account
    event["order_id"] = order_id
    event["instrument"] = record["instrument"]
    remove_waiting(w, slot)
    if order["link"] != 0 and record["reference"] != TriggerReference.NONE:
        cancel_linked(w, account, order["link"], order_id)
    named_ticks = order["price_ticks"]
    code = verify_open(w, order["instrument"], time_ns)
    if code == Code.OK and order["valid_until_ns"] != 0 and order["valid_until_ns"] <= time_ns:
        code = Code.ORDER_INVALID
    if code == Code.OK:
        code = verify_judgement(w, order, time_ns, 0, 0)
    if code == Code.OK:
        match_order(w, order, time_ns)
    else:
        order["price_ticks"] = named_ticks
        event = emit_order(w, EventKind.CANCELLED, order, order["lots"], 0, CancelReason.TRIGGER_REJECTED)
        event["code"] = code
        end_children(w, account, order_id)


@kernel_inner
def move_trail(record: Record, price_atoms: int) -> int:
    """Let a trailing order's extreme follow the price and return its threshold. [TRIG-3]"""
    above = record["condition"] == TriggerCondition.ABOVE
    extreme = record["trigger_atoms"]
    if extreme == 0:
        extreme = price_atoms
    else:
        extreme = min(extreme, price_atoms) if above else max(extreme, price_atoms)
    if extreme != record["trigger_atoms"]:
        record["trigger_atoms"] = extreme
        record["dirty"] = 1
    return int(extreme + record["trail_atoms"] if above else extreme - record["trail_atoms"])


@kernel_inner
def is_due(w: World, slot: int, time_ns: int) -> bool:
    """Whether an armed order fires at the price of now; its extreme moves if it trails. [TRIG-3]"""
    record = w.waiting[slot]
    price_atoms = compute_reference_price(w, record["instrument"], record["reference"], time_ns)
    if price_atoms == NONE:
        return False
    threshold = move_trail(record, price_atoms) if record["trail_atoms"] > 0 else record["trigger_atoms"]
    if record["condition"] == TriggerCondition.ABOVE:
        return bool(price_atoms >= threshold)
    return bool(price_atoms <= threshold)


@kernel_inner
def fire_armed(w: World, time_ns: int) -> None:
    """Fire every order, armed by now, whose reference has reached its threshold, in ascending order_id.
    [TRIG-3]
    """
    house = w.house[0]
    start = house["due_count"]
    for slot in range(house["waiting_high"]):
        record = w.waiting[slot]
        if record["order_id"] != 0 and record["parent_id"] == 0:
            if record["reference"] != TriggerReference.NONE:
                push_due(w, start, record["order_id"])
    order_id = pop_due(w, start)
    while order_id != 0:
        slot = find_slot(w.waiting_entries, order_id)
        if slot != NONE and is_due(w, slot, time_ns):
            fire_order(w, slot, time_ns)
        order_id = pop_due(w, start)


@kernel_inner
def fire_ready(w: World, time_ns: int) -> None:
    """Fire the orders whose parent has been filled, lowest order_id first, until there are none. [TRIG-5]"""
    house = w.house[0]
    while house["ready_count"] > 0:
        order_id = pop_id(w.ready, 0, house["ready_count"])
        house["ready_count"] -= 1
        slot = find_slot(w.waiting_entries, order_id)
        if slot != NONE:
            fire_order(w, slot, time_ns)
