"""[TRIG-*]: orders that wait for a price or for their parent, and how they fire."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from . import matching, orders
from .book import add_waiting, end_linked, end_order, take_from_waiting
from .records import CONDITIONS, LIMITS, REFERENCES, Rejected, Waiting, require

if TYPE_CHECKING:
    from .model import Model

Command = dict[str, Any]
ATOMS_END = 1 << 40


def place_trigger(model: Model, command: Command) -> tuple[int, int]:
    """[TRIG-1]."""
    number, account = model.authenticate_free(command)
    orders.check_form(model, command, waits=True)
    require(_trigger_fits(command), "TRIGGER_INVALID")
    if command["parent_id"] > 0:
        orders.find_order(model, number, command["parent_id"])
    require(len(model.waiting) < model.limits["triggers"], "TRIGGER_TABLE_FULL")
    require(len(account.waiting) < LIMITS["TRIGGER_COUNT_MAX"], "TRIGGER_TABLE_FULL")
    house, terms = model.house, {name: command[name] for name in Waiting.__slots__ if name in command}
    waiting = Waiting(**(terms | {"order_id": house.next_order_id, "account": number}))
    if waiting.trail_atoms and not waiting.parent_id:
        price = reference_price(model, waiting)
        if price is None:
            raise Rejected("MARK_UNAVAILABLE")
        waiting.trigger_atoms = price
    house.next_order_id += 1
    add_waiting(model, waiting)
    return number, waiting.order_id


def _trigger_fits(command: Command) -> bool:
    """What TRIGGER_INVALID stands for."""
    trigger, trail, parent = command["trigger_atoms"], command["trail_atoms"], command["parent_id"]
    if command["reference"] not in REFERENCES.values() or command["condition"] not in CONDITIONS.values():
        return False
    if min(trigger, trail, parent) < 0:
        return False
    if command["reference"] == REFERENCES["NONE"]:
        return trigger == trail == 0 and parent > 0
    return (trigger > 0) != (trail > 0) and max(trigger, trail) < ATOMS_END


def reference_price(model: Model, waiting: Waiting) -> int | None:
    """[TRIG-2]."""
    instrument = model.instruments[waiting.instrument]
    if waiting.reference == REFERENCES["LAST"]:
        return instrument.last_ticks * instrument.tick_atoms or None
    if model.is_stale(instrument.underlying) or not instrument.has_mark:
        return None
    if waiting.reference == REFERENCES["INDEX"]:
        return model.underlyings[instrument.underlying].index_atoms
    return instrument.mark_atoms


def fire_armed(model: Model) -> None:
    """[TRIG-3]; orders without a reference are left to `fire_ready`."""
    armed = [
        waiting
        for _, waiting in sorted(model.waiting.items())
        if waiting.parent_id == 0 and waiting.reference != REFERENCES["NONE"]
    ]
    for waiting in armed:
        price = reference_price(model, waiting) if waiting.order_id in model.waiting else None
        if price is not None and _is_due(waiting, price):
            _fire(model, waiting)


def _is_due(waiting: Waiting, price: int) -> bool:
    """Move a trailing order's extreme, then compare the price with the threshold."""
    above = waiting.condition == CONDITIONS["ABOVE"]
    threshold = waiting.trigger_atoms
    if waiting.trail_atoms:
        extreme = waiting.trigger_atoms or price
        extreme = min(extreme, price) if above else max(extreme, price)
        waiting.trigger_atoms = extreme
        threshold = extreme + (waiting.trail_atoms if above else -waiting.trail_atoms)
    return price >= threshold if above else price <= threshold


def fire_ready(model: Model) -> None:
    """[TRIG-5]."""
    while True:
        ready = [
            number
            for number, waiting in model.waiting.items()
            if waiting.parent_id == 0 and waiting.reference == REFERENCES["NONE"]
        ]
        if not ready:
            return
        _fire(model, model.waiting[min(ready)])


def _fire(model: Model, waiting: Waiting) -> None:
    """[TRIG-4]."""
    number = waiting.account
    model.emit("TRIGGERED", account=number, order_id=waiting.order_id, instrument=waiting.instrument)
    take_from_waiting(model, waiting)
    if waiting.reference != REFERENCES["NONE"]:
        end_linked(model, waiting)
    order = orders.make_order(waiting.order_id, number, waiting)
    try:
        orders.check_open(model, model.instruments[waiting.instrument])
        late = 0 < waiting.valid_until_ns <= model.time_ns
        require(not late, "ORDER_INVALID")
        orders.judge(model, model.accounts[number], order, replaced=False)
    except Rejected as refusal:
        # A reduce-only order's later steps see the smaller size ([ORDER-3]); the price is as given.
        waiting.lots = order.lots
        end_order(model, waiting, "TRIGGER_REJECTED", refusal.code)
        return
    matching.match_and_rest(model, order)


def end_in(model: Model, instrument: int) -> None:
    """[EXPIRY-2]: what waits to trade an instrument ends with it, in ascending order_id."""
    for order_id in sorted(model.waiting):
        waiting = model.waiting.get(order_id)
        if waiting is not None and waiting.instrument == instrument:
            end_order(model, waiting, "INSTRUMENT_EXPIRED")
