"""REPLACE: a smaller size at the same price keeps its place, everything else is a new order under the old id.

The check of the new order must not see the old one, so the old order's lots are lifted out of the sums, the
new order is judged, and the old one is put back exactly if it fails. Implements [MATCH-8].
"""

from typing import Any

from novate.execution.authentication import verify_trader
from novate.execution.events import emit_order, emit_result
from novate.execution.judging import (
    VOLATILITY,
    verify_display,
    verify_judgement,
    verify_open,
    verify_price,
    verify_size,
)
from novate.execution.matching import match_order
from novate.execution.open_orders import remove_order
from novate.execution.order_book import find_slot, reduce_level
from novate.execution.order_positions import change_order_lots, release_order_positions
from novate.execution.tables import NONE, World
from novate.kernel import kernel_inner
from novate.protocol.generated.codes import CancelReason, Code, EventKind

Record = Any


@kernel_inner
def draft_replacement(w: World, slot: int) -> Record:
    """Put an open order into the draft, to be judged and matched again, and return that."""
    w.draft[0] = w.orders[slot]
    return w.draft[0]


@kernel_inner
def verify_replacement(w: World, slot: int, order: Record, time_ns: int, key: int) -> Code:
    """Judge the order in flight in the account without the open order that it replaces. [MATCH-8]"""
    old = w.orders[slot]
    lots = old["lots"]
    # The sums are exact integers, so lifting the old order out and putting it back changes nothing.
    change_order_lots(w, old, -lots)
    code = verify_judgement(w, order, time_ns, 1, key)
    change_order_lots(w, old, lots)
    return code


@kernel_inner
def requeue_order(w: World, slot: int, order: Record, time_ns: int) -> None:
    """End an open order and match the order in flight under its id. [MATCH-8] [MATCH-9]"""
    old = w.orders[slot]
    account, number, position = old["account"], old["instrument"], old["position"]
    emit_order(w, EventKind.CANCELLED, old, old["lots"], old["visible_lots"], CancelReason.REPLACED)
    remove_order(w, slot)
    release_order_positions(w, account, number, position)
    match_order(w, order, time_ns)


@kernel_inner
def reduce_order(w: World, slot: int, lots: int) -> None:
    """Let an open order keep its place with no more lots than it has, and say so. [MATCH-8] [ICEBERG-1]"""
    order = w.orders[slot]
    removed, hidden = order["lots"] - lots, order["lots"] - order["visible_lots"]
    if removed > 0:
        change_order_lots(w, order, -removed)
        reduce_level(w, slot, removed, max(0, removed - hidden))
    emit_order(w, EventKind.REDUCED, order, lots, order["visible_lots"], 0)


@kernel_inner
def verify_replaceable(w: World, slot: int, command: Record) -> Code:
    """Check that an order is open, belongs to the account and is no quote. [MATCH-8]"""
    if slot == NONE:
        return Code.ORDER_NOT_FOUND
    if w.orders[slot]["account"] != command["account"]:
        return Code.ORDER_NOT_OWNED
    return Code.OK if w.orders[slot]["group"] == 0 else Code.ORDER_INVALID


@kernel_inner
def draft_changes(w: World, slot: int, command: Record) -> Record:
    """Put the order that a REPLACE asks for into the draft, and return that."""
    order = draft_replacement(w, slot)
    order["lots"] = command["lots"]
    if order["flags"] & VOLATILITY != 0:
        order["volatility_bp"] = command["price_ticks"]
    else:
        order["price_ticks"] = command["price_ticks"]
    return order


@kernel_inner
def verify_changes(w: World, order: Record, time_ns: int) -> Code:
    """Check what a REPLACE asks for, before its judgement. [MATCH-8]"""
    code = verify_open(w, order["instrument"], time_ns)
    if code == Code.OK:
        code = verify_size(order["lots"])
    if code == Code.OK:
        code = verify_display(order)
    if code == Code.OK:
        code = verify_price(order)
    return code


@kernel_inner
def keeps_place(old: Record, order: Record) -> bool:
    """Whether a replacement has the same price, or volatility, and no more lots. [MATCH-8]"""
    if order["flags"] & VOLATILITY != 0:
        same = order["volatility_bp"] == old["volatility_bp"]
    else:
        same = order["price_ticks"] == old["price_ticks"]
    return bool(same and order["lots"] <= old["lots"])


@kernel_inner
def apply_replace(w: World, command: Record) -> None:
    """REPLACE. [MATCH-8]"""
    account, order_id, time_ns = command["account"], command["order_id"], command["time_ns"]
    code = verify_trader(w, command)
    slot = find_slot(w.order_entries, order_id)
    if code == Code.OK:
        code = verify_replaceable(w, slot, command)
    if code != Code.OK:
        emit_result(w, code, account, 0)
        return
    order = draft_changes(w, slot, command)
    code = verify_changes(w, order, time_ns)
    stays = keeps_place(w.orders[slot], order)
    if code == Code.OK and not stays:
        code = verify_replacement(w, slot, order, time_ns, command["key"])
    emit_result(w, code, account, order_id if code == Code.OK else 0)
    if code == Code.OK:
        if stays:
            reduce_order(w, slot, order["lots"])
        else:
            requeue_order(w, slot, order, time_ns)
