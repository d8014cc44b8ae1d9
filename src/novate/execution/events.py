"""The event buffer: what the law says happened, in order, until Python drains it after the batch."""

from typing import Any

from novate.execution.tables import World
from novate.kernel import kernel_inner
from novate.protocol.generated.codes import Code, EventKind

Record = Any


@kernel_inner
def emit(w: World, kind: int) -> Record:
    """Append an event of a kind, zero but for the command's sequence, and return its record to fill in."""
    house = w.house[0]
    event = w.events[house["event_count"]]
    house["event_count"] += 1
    event["sequence"] = house["sequence"]
    event["kind"] = kind
    event["code"] = 0
    event["account"] = 0
    event["order_id"] = 0
    event["instrument"] = 0
    event["side"] = 0
    event["price_ticks"] = 0
    event["lots"] = 0
    event["visible_lots"] = 0
    event["maker_account"] = 0
    event["maker_order_id"] = 0
    event["amount_atoms"] = 0
    event["maker_amount_atoms"] = 0
    event["reason"] = 0
    return event


@kernel_inner
def emit_result(w: World, code: Code, account: int, order_id: int) -> None:
    """Append a command's RESULT, the first of its events. [CMD-3]"""
    event = emit(w, EventKind.RESULT)
    event["code"] = code
    event["account"] = account
    event["order_id"] = order_id


@kernel_inner
def emit_order(w: World, kind: int, order: Record, lots: int, visible_lots: int, reason: int) -> Record:
    """Append an event that tells of one order, open, waiting or in flight, and return its record."""
    event = emit(w, kind)
    event["account"] = order["account"]
    event["order_id"] = order["order_id"]
    event["instrument"] = order["instrument"]
    event["side"] = order["side"]
    event["price_ticks"] = order["price_ticks"]
    event["lots"] = lots
    event["visible_lots"] = visible_lots
    event["reason"] = reason
    return event
