"""REPLACE: a smaller size at the same price keeps its place, everything else is a new order under the old id.

The check of the new order must not see the old one, so the old order's lots are lifted out of the sums, the
new order is judged, and the old one is put back exactly if it fails. Implements [MATCH-8].
"""

from typing import Any

from novate.execution.events import emit_result
from novate.execution.ledger import change_open_lots, release_position, remove_order
from novate.execution.order_book import reduce_level
from novate.execution.tables import World
from novate.execution.trading import (
    emit_order,
    find_own_order,
    match_order,
    verify_account,
    verify_mark,
    verify_owner,
    verify_risk,
    verify_terms,
)
from novate.kernel import kernel_inner
from novate.protocol.generated.codes import CancelReason, Code, EventKind, TimeInForce

Record = Any


@kernel_inner
def verify_replace(w: World, slot: int, command: Record) -> Code:
    """Return the code of a REPLACE that loses its place, judged without the old order. [MATCH-8]"""
    order = w.orders[slot]
    number, side, lots = order["instrument"], order["side"], order["lots"]
    code = verify_mark(w, number, command["time_ns"])
    if code != Code.OK:
        return code
    # The sums are exact integers, so lifting the old order out and putting it back changes nothing.
    change_open_lots(w, order["position"], side, order["price_ticks"], -lots)
    time_in_force = (
        TimeInForce.POST_ONLY if order["time_in_force"] == TimeInForce.POST_ONLY else TimeInForce.GTC
    )
    code = verify_risk(
        w, order["account"], number, side, time_in_force, command["lots"], command["price_ticks"]
    )
    change_open_lots(w, order["position"], side, order["price_ticks"], lots)
    return code


@kernel_inner
def reduce_order(w: World, slot: int, lots: int) -> None:
    """Let an order keep its place with fewer lots, and say so. [MATCH-8]"""
    order = w.orders[slot]
    removed = order["lots"] - lots
    if removed > 0:
        change_open_lots(w, order["position"], order["side"], order["price_ticks"], -removed)
        reduce_level(w, slot, removed)
    emit_order(
        w,
        EventKind.REDUCED,
        order["account"],
        order["order_id"],
        order["instrument"],
        order["side"],
        order["price_ticks"],
        lots,
        0,
    )


@kernel_inner
def requeue_order(w: World, slot: int, price_ticks: int, lots: int) -> None:
    """End the old order and match the new one under its id. [MATCH-8] [MATCH-9]"""
    order = w.orders[slot]
    account, order_id, number, side = order["account"], order["order_id"], order["instrument"], order["side"]
    time_in_force, position = order["time_in_force"], order["position"]
    old_ticks, old_lots = order["price_ticks"], order["lots"]
    emit_order(
        w, EventKind.CANCELLED, account, order_id, number, side, old_ticks, old_lots, CancelReason.REPLACED
    )
    remove_order(w, slot)
    release_position(w, position)
    match_order(w, account, order_id, number, side, time_in_force, price_ticks, lots)


@kernel_inner
def apply_replace(w: World, command: Record) -> None:
    """REPLACE. [MATCH-8]"""
    account, lots, price_ticks = command["account"], command["lots"], command["price_ticks"]
    code = verify_account(w, command)
    slot = find_own_order(w, command)
    if code == Code.OK:
        code = verify_owner(w, slot, account)
    if code == Code.OK:
        code = verify_terms(w, w.orders[slot]["instrument"], lots, price_ticks, command["time_ns"])
    keeps_place = False
    if code == Code.OK:
        keeps_place = price_ticks == w.orders[slot]["price_ticks"] and lots <= w.orders[slot]["lots"]
        if not keeps_place:
            code = verify_replace(w, slot, command)
    emit_result(w, code, account, command["order_id"] if code == Code.OK else 0)
    if code == Code.OK:
        if keeps_place:
            reduce_order(w, slot, lots)
        else:
            requeue_order(w, slot, price_ticks, lots)
