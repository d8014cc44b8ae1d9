"""Orders that wait for a price or a parent, and what happens when they fire.

Verifies [TRIG-1] to [TRIG-5].
"""

from typing import NamedTuple

from novate.protocol.command import Command
from novate.protocol.generated.codes import CancelReason, Code, TriggerCondition, TriggerReference
from novate.protocol.generated.constants import TRIGGER_COUNT_MAX
from novate.verification.judging import check_open, check_terms, check_validity, judge
from novate.verification.keys import admit
from novate.verification.matching import match
from novate.verification.order_records import Order, Terms, WaitingOrder
from novate.verification.orders import (
    cancel_listed,
    end,
    end_linked,
    join_waiting,
    leave_waiting,
    sort_orders,
)
from novate.verification.state import NO_MARK, Instrument, Rejected, State, require
from novate.verification.trading import find_owned

REFERENCES = frozenset(int(member) for member in TriggerReference)
CONDITIONS = frozenset(int(member) for member in TriggerCondition)
TRIGGER_ATOMS_END = 1 << 40


class Trigger(NamedTuple):
    """What PLACE_TRIGGER says beyond the order's own terms, in the order of its fields."""

    reference: int
    condition: int
    trigger_atoms: int
    trail_atoms: int
    parent_id: int


def place_trigger(state: State, command: Command) -> tuple[int, int]:
    """Apply PLACE_TRIGGER and return (account, order id) [TRIG-1]."""
    account = admit(state, command)
    split = len(Terms._fields)
    terms = Terms(*command.values[:split])
    trigger = Trigger(*command.values[split : split + len(Trigger._fields)])
    instrument = check_terms(state, terms, waits=True)
    require(is_valid_trigger(trigger), Code.TRIGGER_INVALID)
    if trigger.parent_id:
        find_owned(state, account, trigger.parent_id)
    room = len(state.waiting) < state.limits["triggers"] and len(account.waiting) < TRIGGER_COUNT_MAX
    require(room, Code.TRIGGER_TABLE_FULL)
    if trigger.trail_atoms and not trigger.parent_id:
        price_atoms = find_reference(state, instrument, trigger.reference)
        if price_atoms is None:
            raise Rejected(Code.MARK_UNAVAILABLE)
        trigger = trigger._replace(trigger_atoms=price_atoms)
    order = WaitingOrder(state.next_order_id, account, instrument, terms, trigger)
    state.next_order_id += 1
    join_waiting(state, order)
    return account.number, order.order_id


def is_valid_trigger(trigger: Trigger) -> bool:
    """Whether a waiting order has one price or one trail to wait for, or only its parent [TRIG-1]."""
    known = trigger.reference in REFERENCES and trigger.condition in CONDITIONS
    if not known or min(trigger.parent_id, trigger.trigger_atoms, trigger.trail_atoms) < 0:
        return False
    if trigger.reference == TriggerReference.NONE:
        return trigger.trigger_atoms == trigger.trail_atoms == 0 and trigger.parent_id > 0
    one = (trigger.trigger_atoms > 0) != (trigger.trail_atoms > 0)
    return one and max(trigger.trigger_atoms, trigger.trail_atoms) < TRIGGER_ATOMS_END


def find_reference(state: State, instrument: Instrument, reference: int) -> int | None:
    """Return a reference price in atoms: of 1.0 for INDEX, of a lot for the others; None if none [TRIG-2]."""
    if reference == TriggerReference.LAST:
        return instrument.last_ticks * instrument.tick_atoms or None
    market = state.markets[instrument.underlying]
    # The clause names both references in one sentence: without a mark there is no index to wait for either.
    if state.is_stale(market) or instrument.mark_atoms == NO_MARK:
        return None
    return market.index_atoms if reference == TriggerReference.INDEX else instrument.mark_atoms


def fire_armed(state: State) -> None:
    """Fire the orders that were armed when the phase began and whose price has come [TRIG-3]."""
    armed = [
        order
        for order in state.waiting.values()
        if order.parent_id == 0 and order.reference != TriggerReference.NONE
    ]
    for order in sort_orders(armed):
        if order.order_id not in state.waiting:
            continue
        price_atoms = find_reference(state, order.instrument, order.reference)
        if price_atoms is not None and is_reached(state, order, price_atoms):
            fire(state, order)


def is_reached(state: State, order: WaitingOrder, price_atoms: int) -> bool:
    """Whether a price reaches an armed order's threshold, its extreme moved first if it trails [TRIG-3]."""
    above = order.condition == TriggerCondition.ABOVE
    threshold = order.trigger_atoms
    if order.trail_atoms:
        extreme = order.trigger_atoms or price_atoms
        extreme = min(extreme, price_atoms) if above else max(extreme, price_atoms)
        if extreme != order.trigger_atoms:
            order.trigger_atoms = extreme
            state.dirty_waiting_slots.add(order.slot)
        threshold = extreme + order.trail_atoms if above else extreme - order.trail_atoms
    return price_atoms >= threshold if above else price_atoms <= threshold


def fire_ready(state: State) -> None:
    """Fire ready orders, the oldest first, until none is left; for the end of every command [TRIG-5]."""
    while state.ready:
        fire(state, state.waiting[min(state.ready)])


def fire(state: State, order: WaitingOrder) -> None:
    """Let a waiting order become one that is judged, matches and rests under its id [TRIG-4]."""
    account, instrument = order.account, order.instrument
    leave_waiting(state, order)
    if order.reference != TriggerReference.NONE:
        end_linked(state, account, order.terms.link, order.order_id)
    fired = Order(order.order_id, account, instrument, order.terms)
    try:
        check_open(state, instrument)
        check_validity(state, order.terms)
        judge(state, fired)
    except Rejected:
        end(state, account, order.order_id, CancelReason.TRIGGER_REJECTED)
        return
    match(state, fired)


def end_waiting_in(state: State, instrument: Instrument) -> None:
    """End every waiting order in an instrument that expires, after the open ones [EXPIRY-2]."""
    found = [order for order in state.waiting.values() if order.instrument is instrument]
    cancel_listed(state, found, CancelReason.INSTRUMENT_EXPIRED)
