"""Orders that quote a volatility: at every mark their price in ticks is found again. Implements [IV-2]."""

from typing import Any

from novate.execution.effective_price import VOLATILITY, compute_volatility_ticks
from novate.execution.open_orders import cancel_order_coded
from novate.execution.order_book import find_slot
from novate.execution.replacing import draft_replacement, requeue_order, verify_replacement
from novate.execution.sweeping import pop_due, push_due
from novate.execution.tables import NONE, World
from novate.kernel import kernel_inner
from novate.protocol.generated.codes import CancelReason, Code

Record = Any


@kernel_inner
def reprice_order(w: World, slot: int, time_ns: int) -> None:
    """Move an order to the price that its volatility has now, or end it if it may not go there. [IV-2]"""
    order = w.orders[slot]
    instrument = w.instruments[order["instrument"]]
    ticks = compute_volatility_ticks(instrument, order["volatility_bp"], order["side"], time_ns)
    if ticks == order["price_ticks"]:
        return
    draft = draft_replacement(w, slot)
    code = verify_replacement(w, slot, draft, time_ns)
    if code == Code.OK:
        requeue_order(w, slot, draft, time_ns)
    else:
        cancel_order_coded(w, slot, CancelReason.REPRICE_REJECTED, code)


@kernel_inner
def reprice_underlying(w: World, underlying: int, time_ns: int) -> None:
    """Reprice every open volatility order of an underlying, in ascending order_id. [IV-2]"""
    start = w.house[0]["due_count"]
    for slot in range(w.house[0]["order_high"]):
        order = w.orders[slot]
        if order["order_id"] != 0 and order["flags"] & VOLATILITY != 0:
            if w.instruments[order["instrument"]]["underlying"] == underlying:
                push_due(w, start, order["order_id"])
    order_id = pop_due(w, start)
    while order_id != 0:
        slot = find_slot(w.order_entries, order_id)
        if slot != NONE:
            reprice_order(w, slot, time_ns)
        order_id = pop_due(w, start)
