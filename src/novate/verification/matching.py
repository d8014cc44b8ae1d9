"""Matching and novation as the replayer reads them: one maker after the other, and two positions for a trade.

Verifies [MATCH-3] to [MATCH-5], [MATCH-11], [ICEBERG-1], [NOVATE-1] to [NOVATE-4] and [COMBO-6].
"""

from novate.protocol.generated.codes import CancelReason, EventKind, OrderFlag, TimeInForce
from novate.verification import fees, protection
from novate.verification.judging import find_crossing_level
from novate.verification.order_records import Order
from novate.verification.orders import (
    cancel_order,
    close_records,
    complete,
    end,
    end_linked,
    find_position,
    join_level,
    leave_level,
    remove,
    rest,
)
from novate.verification.risk import change_held, change_open
from novate.verification.state import Account, Instrument, State
from novate.verification.steps import Step


def match(state: State, taker: Order) -> None:
    """Match a judged order that is in no book; what is left rests or ends [MATCH-3] [MATCH-4] [MATCH-5]."""
    reason = match_makers(state, taker)
    if not taker.lots:
        complete(state, taker.account, taker.order_id)
    elif reason is not None:
        end(state, taker.account, taker.order_id, reason)
    elif taker.time_in_force == TimeInForce.IOC:
        end(state, taker.account, taker.order_id, CancelReason.IOC_REMAINDER)
    else:
        assert taker.time_in_force != TimeInForce.FOK, "Invariant [MATCH-10]: it fills completely."
        rest(state, taker)
    close_records(state, taker.account, taker.instrument)


def take_place(state: State, old: Order, new: Order) -> None:
    """Let a judged order take the place of an open one; nothing that waits for it ends [MATCH-8]."""
    remove(state, old)
    state.endings.append((old.order_id, int(CancelReason.REPLACED)))
    match(state, new)


def match_makers(state: State, taker: Order) -> CancelReason | None:
    """Meet one maker after the other; return the reason if what is left of the taker must end."""
    while taker.lots:
        level = find_crossing_level(taker)
        if level is None:
            return None
        maker = next(iter(level.values()))
        protection.reach(state, maker)
        if maker.account is taker.account:
            if taker.has(OrderFlag.CANCEL_MAKER) or taker.has(OrderFlag.CANCEL_BOTH):
                cancel_order(state, maker, CancelReason.SELF_TRADE)
            if not taker.has(OrderFlag.CANCEL_MAKER):
                return CancelReason.SELF_TRADE
        elif maker.has(OrderFlag.REDUCE_ONLY) and not maker.compute_reducible():
            cancel_order(state, maker, CancelReason.REDUCE_ONLY)
        else:
            meet(state, taker, maker)
    return None


def meet(state: State, taker: Order, maker: Order) -> None:
    """Trade with the next maker, then let follow what follows a fill, in its order [MATCH-11]."""
    wanted = min(taker.lots, maker.visible_lots)
    if maker.has(OrderFlag.REDUCE_ONLY):
        wanted = min(wanted, maker.compute_reducible())
    lots = min(wanted, protection.compute_capacity(state, maker))
    if lots:
        fill(state, taker, maker, lots)
    if maker.is_quote:
        # A quote without capacity trips its group, although nothing was filled [MMP-3].
        protection.count_fill(
            state, maker.account, maker.group, maker.instrument, maker.direction, lots, wanted
        )
    if lots:
        end_linked(state, maker.account, maker.terms.link, maker.order_id)
        end_linked(state, taker.account, taker.terms.link, taker.order_id)
        if not maker.lots:
            complete(state, maker.account, maker.order_id)


def fill(state: State, taker: Order, maker: Order, lots: int) -> None:
    """Trade at the maker's price; what is left of an iceberg shows its next slice [MATCH-3] [ICEBERG-1]."""
    instrument, price_ticks = taker.instrument, maker.price_ticks
    change_open(state, maker, -lots)
    maker.lots -= lots
    maker.visible_lots -= lots
    taker.lots -= lots
    if instrument.is_combo:
        exchange_legs(state, taker, maker, lots)
    else:
        for order in (taker, maker):
            trade(state, order.account, instrument, order.direction, lots, maker.limit_atoms)
    fees.charge_fill(state, taker.account, maker.account, instrument, maker.limit_atoms, lots)
    instrument.last_ticks = price_ticks
    state.dirty_instruments.add(instrument.number)
    state.dirty_slots.add(maker.slot)
    if not maker.lots:
        remove(state, maker)
    elif not maker.visible_lots:
        maker.show_slice()
        leave_level(maker)
        join_level(state, maker)


def exchange_legs(state: State, taker: Order, maker: Order, lots: int) -> None:
    """Trade every leg of a combo at its mark; cash makes up for the price at which they met [COMBO-6]."""
    combo = taker.instrument
    for leg, ratio in combo.parts:
        sign, leg_lots = 1 if ratio > 0 else -1, lots * abs(ratio)
        for order in (taker, maker):
            trade(state, order.account, leg, order.direction * sign, leg_lots, leg.mark_atoms)
        state.steps.append(
            Step(
                EventKind.LEG,
                taker.account.number,
                maker.account.number,
                order_id=taker.order_id,
                instrument=leg.number,
                side=taker.side if ratio > 0 else 1 - taker.side,
                lots=leg_lots,
                amount_atoms=leg.mark_atoms,
                maker_order_id=maker.order_id,
            )
        )
    legs_atoms = sum(ratio * leg.mark_atoms for leg, ratio in combo.parts)
    for order in (taker, maker):
        state.pay(order.account, -order.direction * lots * (maker.limit_atoms - legs_atoms))


def trade(
    state: State, account: Account, instrument: Instrument, direction: int, lots: int, price_atoms: int
) -> None:
    """Change one side's position and cash by a fill at `price_atoms` per lot [NOVATE-2] [NOVATE-3]."""
    position = find_position(state, account, instrument)
    held, cost = position.lots, position.cost_atoms
    closed = min(lots, abs(held)) if held * direction < 0 else 0
    released = 0
    if closed:
        released = cost if closed == abs(held) else cost * closed // abs(held)
    opened_cost = direction * (lots - closed) * price_atoms
    if not instrument.is_linear:
        state.pay(account, -direction * lots * price_atoms)
    elif closed:
        value = closed * price_atoms
        state.pay(account, value - released if held > 0 else -value - released)
    change_held(state, account, position, direction * lots, opened_cost - released)
