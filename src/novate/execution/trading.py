"""Placing, matching, replacing and cancelling orders, in the order of checks that the law lists.

Every check comes before the first write. Implements [MATCH-1] to [MATCH-9] with the leaves of margin and
novation.
"""

from typing import Any

from novate.execution.events import emit, emit_result
from novate.execution.ledger import (
    add_resting_order,
    change_open_lots,
    compute_account_initial,
    compute_equity,
    find_position,
    get_direction,
    open_position,
    release_position,
    remove_order,
    take_order_slot,
    trade_position,
)
from novate.execution.order_book import find_level, find_slot, reduce_level
from novate.execution.tables import NONE, World
from novate.kernel import kernel_inner
from novate.protocol.generated.codes import (
    CancelReason,
    Code,
    EventKind,
    InstrumentKind,
    InstrumentState,
    Side,
    TimeInForce,
)
from novate.protocol.generated.constants import (
    GROSS_LOTS_MAX,
    OPEN_ORDER_COUNT_MAX,
    ORDER_LOTS_MAX,
    PRICE_TICKS_MAX,
)
from novate.protocol.margin import compute_initial_with_order
from novate.protocol.oracle import is_stale

Record = Any


@kernel_inner
def verify_account(w: World, command: Record) -> Code:
    """Check who speaks, and use up the nonce if the command is authentic. [AUTH-2] [AUTH-3]"""
    if command["account"] == NONE:
        return Code.ACCOUNT_NOT_FOUND
    if command["expires_ns"] <= command["time_ns"]:
        return Code.SIGNATURE_EXPIRED
    account = w.accounts[command["account"]]
    if command["nonce"] <= account["nonce"]:
        return Code.NONCE_REPLAYED
    account["nonce"] = command["nonce"]
    account["dirty"] = 1
    return Code.OK


@kernel_inner
def verify_terms(w: World, number: int, lots: int, price_ticks: int, time_ns: int) -> Code:
    """Check instrument, size and price. [MATCH-1]"""
    if number < 0 or number >= w.house[0]["instrument_count"]:
        return Code.INSTRUMENT_NOT_FOUND
    instrument = w.instruments[number]
    if instrument["state"] != InstrumentState.OPEN:
        return Code.INSTRUMENT_CLOSED
    if instrument["kind"] != InstrumentKind.PERPETUAL and time_ns >= instrument["expiry_ns"]:
        return Code.INSTRUMENT_CLOSED
    if lots < 1:
        return Code.SIZE_NOT_POSITIVE
    if lots > ORDER_LOTS_MAX:
        return Code.SIZE_ABOVE_MAXIMUM
    if price_ticks < 1:
        return Code.PRICE_NOT_POSITIVE
    if price_ticks > PRICE_TICKS_MAX:
        return Code.PRICE_ABOVE_MAXIMUM
    return Code.OK


@kernel_inner
def verify_mark(w: World, number: int, time_ns: int) -> Code:
    """Check that the instrument has a mark and its index is recent. [MATCH-1] [MARK-STALE-1]"""
    instrument = w.instruments[number]
    if instrument["mark_atoms"] == NONE:
        return Code.MARK_UNAVAILABLE
    market = w.markets[instrument["underlying"]]
    if is_stale(market["index_atoms"], market["index_time_ns"], time_ns, w.parameters[0]):
        return Code.MARK_STALE
    return Code.OK


@kernel_inner
def is_crossing(w: World, number: int, side: int, price_ticks: int) -> bool:
    """Whether an order would match on arrival. [MATCH-2]"""
    best = w.best[number * 2 + 1 - side]
    if best == NONE:
        return False
    return bool(price_ticks >= best if side == Side.BUY else price_ticks <= best)


@kernel_inner
def verify_risk(
    w: World, account: int, number: int, side: int, time_in_force: int, lots: int, price_ticks: int
) -> Code:
    """Check the gross limit, post-only and the initial margin with the order open at its full size.
    [MARGIN-8] [MARGIN-9]
    """
    instrument = w.instruments[number]
    underlying = instrument["underlying"]
    portfolio = w.portfolios[account, underlying]
    if portfolio["gross_lots"] + lots > GROSS_LOTS_MAX:
        return Code.GROSS_LIMIT
    if time_in_force == TimeInForce.POST_ONLY and is_crossing(w, number, side, price_ticks):
        return Code.POST_ONLY_WOULD_CROSS
    slot = find_position(w, account, number)
    held = w.positions[slot]["lots"] if slot != NONE else 0
    buys = w.positions[slot]["open_buy_lots"] if slot != NONE else 0
    sells = w.positions[slot]["open_sell_lots"] if slot != NONE else 0
    series = max(instrument["series"], 0)  # A perpetual's basis rows are zero, any series' vectors will do.
    initial = compute_account_initial(w, account, underlying) + compute_initial_with_order(
        portfolio,
        w.pnl[account, underlying],
        w.effects[account, underlying],
        w.basis_held[account, series],
        w.basis_open[account, series],
        instrument,
        w.rows[number],
        w.basis_rows[number],
        held,
        buys,
        sells,
        get_direction(side),
        price_ticks * instrument["tick_atoms"],
        lots,
        w.markets[underlying]["confidence_e6"],
        w.parameters[0],
    )
    return Code.OK if compute_equity(w, account) >= initial else Code.INITIAL_MARGIN_INSUFFICIENT


@kernel_inner
def verify_room(w: World, account: int, number: int) -> Code:
    """Check the limits on orders and positions. [MATCH-1]"""
    house = w.house[0]
    if w.accounts[account]["open_order_count"] >= OPEN_ORDER_COUNT_MAX:
        return Code.OPEN_ORDER_LIMIT
    if house["free_order_count"] == 0:
        return Code.TABLE_FULL
    if house["free_position_count"] == 0 and find_position(w, account, number) == NONE:
        return Code.TABLE_FULL
    return Code.OK


@kernel_inner
def verify_place(w: World, command: Record) -> Code:
    """Return the code of a PLACE whose account is authentic. [MATCH-1]"""
    side, time_in_force = command["side"], command["time_in_force"]
    if (
        side < Side.BUY
        or side > Side.SELL
        or time_in_force < TimeInForce.GTC
        or time_in_force > TimeInForce.POST_ONLY
    ):
        return Code.COMMAND_MALFORMED
    number, lots, price_ticks = command["instrument"], command["lots"], command["price_ticks"]
    code = verify_terms(w, number, lots, price_ticks, command["time_ns"])
    if code == Code.OK:
        code = verify_mark(w, number, command["time_ns"])
    if code == Code.OK:
        code = verify_room(w, command["account"], number)
    if code == Code.OK:
        code = verify_risk(w, command["account"], number, side, time_in_force, lots, price_ticks)
    return code


@kernel_inner
def fill_maker(w: World, maker_slot: int, taker_position: int, order_id: int, lots: int) -> None:
    """Trade `lots` between a resting order and the taker at the maker's price. [MATCH-3] [NOVATE-1]"""
    maker = w.orders[maker_slot]
    number, price_ticks = maker["instrument"], maker["price_ticks"]
    instrument = w.instruments[number]
    maker_side, maker_position = maker["side"], maker["position"]
    maker_id, maker_account = maker["order_id"], maker["account"]
    # Invariant [MATCH-3]: a fill is positive and no larger than what the maker has left.
    assert lots > 0
    assert lots <= maker["lots"]
    taker_fee = lots * instrument["taker_fee_atoms"]
    maker_fee = lots * instrument["maker_fee_atoms"]
    change_open_lots(w, maker_position, maker_side, price_ticks, -lots)
    reduce_level(w, maker_slot, lots)
    if maker["lots"] == 0:
        remove_order(w, maker_slot)
    trade_position(w, maker_position, get_direction(maker_side), lots, price_ticks, maker_fee)
    trade_position(w, taker_position, -get_direction(maker_side), lots, price_ticks, taker_fee)
    w.house[0]["fees_atoms"] += taker_fee + maker_fee
    event = emit(w, EventKind.FILL)
    event["account"] = w.positions[taker_position]["account"]
    event["order_id"] = order_id
    event["instrument"] = number
    event["side"] = 1 - maker_side
    event["price_ticks"] = price_ticks
    event["lots"] = lots
    event["maker_account"] = maker_account
    event["maker_order_id"] = maker_id
    event["amount_atoms"] = taker_fee
    event["maker_amount_atoms"] = maker_fee
    release_position(w, maker_position)


@kernel_inner
def emit_order(
    w: World,
    kind: int,
    account: int,
    order_id: int,
    number: int,
    side: int,
    price_ticks: int,
    lots: int,
    reason: int,
) -> None:
    """Append an event that tells of one order."""
    event = emit(w, kind)
    event["account"] = account
    event["order_id"] = order_id
    event["instrument"] = number
    event["side"] = side
    event["price_ticks"] = price_ticks
    event["lots"] = lots
    event["reason"] = reason


@kernel_inner
def match_order(
    w: World,
    account: int,
    order_id: int,
    number: int,
    side: int,
    time_in_force: int,
    price_ticks: int,
    lots: int,
) -> None:
    """Match an accepted order, then rest or end what is left. [MATCH-3] [MATCH-4] [MATCH-5]"""
    taker_position = open_position(w, account, number)
    opposite = number * 2 + 1 - side
    self_trade = False
    while lots > 0 and is_crossing(w, number, side, price_ticks):
        maker_slot = w.levels[find_level(w, opposite, w.best[opposite])]["head"]
        if w.orders[maker_slot]["account"] == account:
            self_trade = True
            break
        size = min(lots, w.orders[maker_slot]["lots"])
        fill_maker(w, maker_slot, taker_position, order_id, size)
        lots -= size
    if lots > 0:
        if self_trade or time_in_force == TimeInForce.IOC:
            reason = CancelReason.SELF_TRADE if self_trade else CancelReason.IOC_REMAINDER
            emit_order(w, EventKind.CANCELLED, account, order_id, number, side, price_ticks, lots, reason)
        else:
            rest_order(w, account, order_id, number, side, time_in_force, price_ticks, lots, taker_position)
    release_position(w, taker_position)


@kernel_inner
def rest_order(
    w: World,
    account: int,
    order_id: int,
    number: int,
    side: int,
    time_in_force: int,
    price_ticks: int,
    lots: int,
    position: int,
) -> None:
    """Put an order at the end of its level. [MATCH-4] [MATCH-9]"""
    slot = take_order_slot(w)
    order = w.orders[slot]
    order["order_id"] = order_id
    order["account"] = account
    order["instrument"] = number
    order["side"] = side
    order["time_in_force"] = time_in_force
    order["price_ticks"] = price_ticks
    order["lots"] = lots
    order["priority"] = w.house[0]["sequence"]
    order["position"] = position
    add_resting_order(w, slot)
    emit_order(w, EventKind.REST, account, order_id, number, side, price_ticks, lots, 0)


@kernel_inner
def apply_place(w: World, command: Record) -> None:
    """PLACE. [MATCH-1] to [MATCH-5]"""
    account = command["account"]
    code = verify_account(w, command)
    if code == Code.OK:
        code = verify_place(w, command)
    if code != Code.OK:
        emit_result(w, code, account, 0)
        return
    house = w.house[0]
    order_id = house["next_order_id"]
    house["next_order_id"] += 1
    emit_result(w, code, account, order_id)
    match_order(
        w,
        account,
        order_id,
        command["instrument"],
        command["side"],
        command["time_in_force"],
        command["price_ticks"],
        command["lots"],
    )


@kernel_inner
def find_own_order(w: World, command: Record) -> int:
    """Return the slot of the order a command names, or NONE."""
    return find_slot(w.order_entries, command["order_id"])


@kernel_inner
def verify_owner(w: World, slot: int, account: int) -> Code:
    """Check that an order is open and belongs to the account. [MATCH-6]"""
    if slot == NONE:
        return Code.ORDER_NOT_FOUND
    return Code.OK if w.orders[slot]["account"] == account else Code.ORDER_NOT_OWNED


@kernel_inner
def cancel_order(w: World, slot: int, reason: int) -> None:
    """End an open order and say so."""
    order = w.orders[slot]
    position = order["position"]
    emit_order(
        w,
        EventKind.CANCELLED,
        order["account"],
        order["order_id"],
        order["instrument"],
        order["side"],
        order["price_ticks"],
        order["lots"],
        reason,
    )
    remove_order(w, slot)
    release_position(w, position)


@kernel_inner
def apply_cancel(w: World, command: Record) -> None:
    """CANCEL. [MATCH-6]"""
    account = command["account"]
    code = verify_account(w, command)
    slot = find_own_order(w, command)
    if code == Code.OK:
        code = verify_owner(w, slot, account)
    emit_result(w, code, account, command["order_id"] if code == Code.OK else 0)
    if code == Code.OK:
        cancel_order(w, slot, CancelReason.USER)


@kernel_inner
def find_oldest_order(w: World, account: int, number: int) -> int:
    """Return the account's open order with the lowest id (in one instrument, or NONE for any), or NONE."""
    oldest = NONE
    slot = w.accounts[account]["first_order"]
    while slot != NONE:
        order = w.orders[slot]
        wanted = number == NONE or order["instrument"] == number
        if wanted and (oldest == NONE or order["order_id"] < w.orders[oldest]["order_id"]):
            oldest = slot
        slot = order["next_in_account"]
    return oldest


@kernel_inner
def apply_cancel_all(w: World, command: Record) -> None:
    """CANCEL_ALL. [MATCH-7]"""
    account, number = command["account"], command["instrument"]
    code = verify_account(w, command)
    if code == Code.OK and (number < NONE or number >= w.house[0]["instrument_count"]):
        code = Code.INSTRUMENT_NOT_FOUND
    emit_result(w, code, account, 0)
    if code == Code.OK:
        slot = find_oldest_order(w, account, number)
        while slot != NONE:
            cancel_order(w, slot, CancelReason.USER)
            slot = find_oldest_order(w, account, number)
