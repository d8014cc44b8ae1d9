"""Orders that quote a volatility: at every mark their price in ticks is found again. Implements [IV-2]."""

from typing import Any

from novate.execution.effective_price import VOLATILITY, compute_volatility_ticks
from novate.execution.events import emit_order
from novate.execution.judging import verify_judgement
from novate.execution.ledger import release_position
from novate.execution.matching import match_order
from novate.execution.open_orders import remove_order
from novate.execution.order_book import find_slot
from novate.execution.sweeping import pop_due, push_due
from novate.execution.tables import World
from novate.execution.waiting import end_children
from novate.kernel import kernel_inner
from novate.protocol.generated.codes import CancelReason, Code, EventKind

Record = Any


@kernel_inner
def leave_book(w: World, slot: int, count: int, time_ns: int) -> int:
    """Take an order out of the book if its volatility has another price now, keeping it in `repriced`;
    return how many are kept there. [IV-2]
    """
    order = w.orders[slot]
    instrument, position = w.instruments[order["instrument"]], order["position"]
    ticks = compute_volatility_ticks(instrument, order["volatility_bp"], order["side"], time_ns)
    if ticks == order["price_ticks"]:
        return count
    w.repriced[count] = order
    w.repriced[count]["price_ticks"] = ticks
    emit_order(w, EventKind.CANCELLED, order, order["lots"], order["visible_lots"], CancelReason.REPLACED)
    remove_order(w, slot)
    release_position(w, position)
    return count + 1


@kernel_inner
def come_back(w: World, place: int, time_ns: int) -> None:
    """Judge an order that left the book at its new price, and match and rest it or end it. [IV-2]"""
    w.draft[0] = w.repriced[place]
    order = w.draft[0]
    code = verify_judgement(w, order, time_ns, 1, 0)
    if code == Code.OK:
        match_order(w, order, time_ns)
    else:
        event = emit_order(w, EventKind.CANCELLED, order, order["lots"], 0, CancelReason.REPRICE_REJECTED)
        event["code"] = code
        end_children(w, order["account"], order["order_id"])


@kernel_inner
def reprice_underlying(w: World, underlying: int, time_ns: int) -> None:
    """Reprice the open volatility orders of an underlying, in ascending order_id. [IV-2]

    All that move leave the book before the first comes back, so that no new price meets an old one.
    """
    start = w.house[0]["due_count"]
    for slot in range(w.house[0]["order_high"]):
        order = w.orders[slot]
        if order["order_id"] != 0 and order["flags"] & VOLATILITY != 0:
            if w.instruments[order["instrument"]]["underlying"] == underlying:
                push_due(w, start, order["order_id"])
    count = 0
    order_id = pop_due(w, start)
    while order_id != 0:
        count = leave_book(w, find_slot(w.order_entries, order_id), count, time_ns)
        order_id = pop_due(w, start)
    for place in range(count):
        come_back(w, place, time_ns)
