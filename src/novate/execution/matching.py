"""Matching: a taker in the draft meets the book, best price first, and what is left rests or ends.

Implements [MATCH-3] to [MATCH-5], [MATCH-9], [MATCH-11], [ICEBERG-1], [COMBO-6] and the makers of [ORDER-3].
The plain fill pays one branch for everything else that an order may be.
"""

from typing import Any

from novate.execution.events import emit_order
from novate.execution.fees import compute_fees, credit_fees
from novate.execution.judging import (
    CANCEL_BOTH,
    CANCEL_MAKER,
    REDUCE_ONLY,
    compute_reducible_lots,
    is_crossing,
)
from novate.execution.ledger import get_direction, trade_position
from novate.execution.open_orders import (
    add_resting_order,
    cancel_linked,
    cancel_order,
    compute_visible_lots,
    remove_order,
    take_order_slot,
)
from novate.execution.order_book import append_order, find_level, reduce_level, unlink_order
from novate.execution.order_positions import (
    change_order_lots,
    open_order_positions,
    release_order_positions,
    trade_legs,
)
from novate.execution.protection import compute_capacity, count_fill, end_window
from novate.execution.tables import NONE, World
from novate.execution.waiting import arm_children, end_children
from novate.kernel import kernel_inner
from novate.protocol.generated.codes import CancelReason, EventKind, TimeInForce

Record = Any


@kernel_inner
def take_order_id(w: World) -> int:
    """Return the next order's number. [MATCH-3]"""
    house = w.house[0]
    order_id = house["next_order_id"]
    house["next_order_id"] += 1
    return int(order_id)


@kernel_inner
def rest_order(w: World, order: Record, position_slot: int) -> int:
    """Put the order in flight at the end of its level and return its slot. [MATCH-4] [MATCH-9]"""
    slot = take_order_slot(w)
    w.orders[slot] = order
    resting = w.orders[slot]
    resting["visible_lots"] = compute_visible_lots(order["display_lots"], order["lots"])
    resting["priority"] = w.house[0]["sequence"]
    resting["position"] = position_slot
    add_resting_order(w, slot)
    emit_order(w, EventKind.REST, resting, resting["lots"], resting["visible_lots"], 0)
    return slot


@kernel_inner
def refresh_order(w: World, slot: int) -> None:
    """Show an iceberg's next slice, at the end of its level. [ICEBERG-1]"""
    order = w.orders[slot]
    unlink_order(w, slot)
    order["visible_lots"] = compute_visible_lots(order["display_lots"], order["lots"])
    order["priority"] = w.house[0]["sequence"]
    append_order(w, slot)
    emit_order(w, EventKind.REFRESHED, order, order["lots"], order["visible_lots"], 0)


@kernel_inner
def trade_lots(
    w: World, order: Record, maker: Record, taker_position: int, lots: int, taker_fee: int, maker_fee: int
) -> None:
    """Change the positions, or those in the legs of a combo, and the cash of both sides of a fill. [NOVATE-1]
    [COMBO-6]
    """
    if taker_position == NONE:
        trade_legs(w, order, maker, lots, taker_fee, maker_fee)
        return
    direction = get_direction(maker["side"])
    unit_atoms = maker["price_ticks"] * w.instruments[maker["instrument"]]["tick_atoms"]
    trade_position(w, maker["position"], direction, lots, unit_atoms, maker_fee)
    trade_position(w, taker_position, -direction, lots, unit_atoms, taker_fee)


@kernel_inner
def fill_maker(w: World, maker_slot: int, order: Record, taker_position: int, lots: int) -> None:
    """Trade `lots` between a resting order and the taker at the maker's price. [MATCH-3] [COMBO-6]"""
    maker = w.orders[maker_slot]
    number, price_ticks = maker["instrument"], maker["price_ticks"]
    maker_account, maker_position = maker["account"], maker["position"]
    # Invariant [MATCH-3]: a fill is positive and no larger than what the maker shows.
    assert lots > 0
    assert lots <= maker["visible_lots"]
    taker_fee, maker_fee = compute_fees(w, number, order["account"], maker["account"], price_ticks)
    taker_fee *= lots
    maker_fee *= lots
    event = emit_order(w, EventKind.FILL, order, lots, 0, 0)
    event["price_ticks"] = price_ticks
    event["maker_account"] = maker["account"]
    event["maker_order_id"] = maker["order_id"]
    event["amount_atoms"] = taker_fee
    event["maker_amount_atoms"] = maker_fee
    order["lots"] -= lots
    change_order_lots(w, maker, -lots)
    trade_lots(w, order, maker, taker_position, lots, taker_fee, maker_fee)
    credit_fees(w, taker_fee + maker_fee)
    reduce_level(w, maker_slot, lots, lots)
    if maker["lots"] == 0:
        remove_order(w, maker_slot)
    elif maker["visible_lots"] == 0:
        refresh_order(w, maker_slot)
    instrument = w.instruments[number]
    instrument["last_ticks"] = price_ticks
    instrument["dirty"] = 1
    release_order_positions(w, maker_account, number, maker_position)


@kernel_inner
def meet_maker(w: World, maker_slot: int, order: Record, taker_position: int, time_ns: int) -> int:
    """Fill the taker against the next maker as far as both allow, with all that follows from it, and return
    the taker's position record. [MATCH-11]
    """
    maker = w.orders[maker_slot]
    lots = min(order["lots"], maker["visible_lots"])
    if maker["flags"] & REDUCE_ONLY != 0:
        lots = min(lots, compute_reducible_lots(w, maker))
        if lots == 0:
            cancel_order(w, maker_slot, CancelReason.REDUCE_ONLY)
            return taker_position
    # The maker's record may be gone after the fill.
    account, order_id, link, group = maker["account"], maker["order_id"], maker["link"], maker["group"]
    direction, completes = get_direction(maker["side"]), maker["lots"] == lots
    if group != 0:
        wanted = lots
        lots = min(lots, compute_capacity(w, maker_slot, time_ns))
        completes = completes and lots == wanted
        if lots > 0:
            fill_maker(w, maker_slot, order, taker_position, lots)
        count_fill(w, account, group, order["instrument"], direction, lots, wanted, time_ns)
    else:
        fill_maker(w, maker_slot, order, taker_position, lots)
    if link != 0:
        cancel_linked(w, account, link, order_id)
    if order["link"] != 0 and lots > 0:
        cancel_linked(w, order["account"], order["link"], order["order_id"])
        # The last of them may have held the record of a position that is closed now.
        taker_position = open_order_positions(w, order["account"], order["instrument"])
    if completes and w.accounts[account]["waiting_count"] > 0:
        arm_children(w, account, order_id)
    return taker_position


@kernel_inner
def settle_rest(w: World, order: Record, position: int, self_trade: bool) -> None:
    """Complete, end or rest a taker whose match is over. [MATCH-4] [MATCH-5] [LINK-2]"""
    account, order_id, lots = order["account"], order["order_id"], order["lots"]
    immediate = order["time_in_force"] == TimeInForce.IOC or order["time_in_force"] == TimeInForce.FOK
    if lots == 0:
        if w.accounts[account]["waiting_count"] > 0:
            arm_children(w, account, order_id)
    elif self_trade or immediate:
        reason = CancelReason.SELF_TRADE if self_trade else CancelReason.IOC_REMAINDER
        emit_order(w, EventKind.CANCELLED, order, lots, 0, reason)
        end_children(w, account, order_id)
    else:
        rest_order(w, order, position)
    release_order_positions(w, account, order["instrument"], position)


@kernel_inner
def match_order(w: World, order: Record, time_ns: int) -> None:
    """Match an accepted order, then rest or end what is left. [MATCH-3] [MATCH-4] [MATCH-5]"""
    account, number, side = order["account"], order["instrument"], order["side"]
    position = open_order_positions(w, account, number)
    opposite = number * 2 + 1 - side
    self_trade = False
    while order["lots"] > 0 and not self_trade and is_crossing(w, number, side, order["price_ticks"]):
        maker_slot = w.levels[find_level(w, opposite, w.best[opposite])]["head"]
        maker = w.orders[maker_slot]
        if maker["group"] != 0:
            end_window(w, maker["account"], maker["group"], time_ns)
        if maker["account"] != account:
            position = meet_maker(w, maker_slot, order, position, time_ns)
        else:
            if order["flags"] & (CANCEL_MAKER | CANCEL_BOTH) != 0:
                cancel_order(w, maker_slot, CancelReason.SELF_TRADE)
                position = open_order_positions(w, account, number)
            self_trade = order["flags"] & CANCEL_MAKER == 0
    settle_rest(w, order, position, self_trade)
