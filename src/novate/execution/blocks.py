"""Block trades: two accounts sign for legs that trade between them outside the books, all or none.

The legs are filled, both parties are judged with what they then hold, and if one fails everything is put back
from what was noted. Implements [BLOCK-1] to [BLOCK-3].
"""

from typing import Any

from novate.execution.authentication import is_in_liquidation, verify_account, verify_party
from novate.execution.effective_price import compute_band_atoms
from novate.execution.events import emit, emit_result
from novate.execution.fees import compute_fees, credit_fees
from novate.execution.judging import is_ascending, verify_instrument, verify_mark, verify_size
from novate.execution.key_limits import verify_block_limits
from novate.execution.ledger import (
    add_held_lots,
    add_position_sums,
    compute_account_initial,
    compute_equity,
    find_position,
    get_direction,
    open_position,
    release_position,
    trade_position,
)
from novate.execution.matching import take_order_id
from novate.execution.order_positions import count_missing_positions, is_combo
from novate.execution.tables import NONE, Array, World
from novate.kernel import kernel_inner
from novate.protocol.generated.codes import Code, EventKind, Side
from novate.protocol.generated.constants import BLOCK_LEG_COUNT_MAX, GROSS_LOTS_MAX, PRICE_TICKS_MAX

Record = Any


@kernel_inner
def verify_parties(w: World, command: Record) -> Code:
    """Check who speaks, the account before the counterparty, and that neither is in liquidation. [BLOCK-1]"""
    counter = command["counter_account"]
    code = verify_account(w, command)
    if code == Code.OK:
        code = verify_party(w, command, counter, command["counter_key"], command["counter_nonce"])
    if code == Code.OK and (is_in_liquidation(w, command["account"]) or is_in_liquidation(w, counter)):
        code = Code.IN_LIQUIDATION
    return code


@kernel_inner
def verify_legs_form(command: Record, items: Array) -> Code:
    """Check number, order and sides of the legs, and that there are two parties. [BLOCK-1]"""
    lawful = is_ascending(command, items, 1, BLOCK_LEG_COUNT_MAX)
    for i in range(command["first_item"], command["first_item"] + command["item_count"]):
        lawful = lawful and items[i]["side"] >= Side.BUY and items[i]["side"] <= Side.SELL
    if not lawful:
        return Code.COMMAND_MALFORMED
    return Code.BLOCK_INVALID if command["account"] == command["counter_account"] else Code.OK


@kernel_inner
def verify_leg_price(w: World, leg: Record) -> Code:
    """Check that the price of a leg is within the band, above and below the mark. [BLOCK-1] [BAND-1]"""
    instrument = w.instruments[leg["instrument"]]
    distance = abs(leg["price_ticks"] * instrument["tick_atoms"] - instrument["mark_atoms"])
    return Code.PRICE_OUTSIDE_BAND if distance > compute_band_atoms(w, instrument) else Code.OK


@kernel_inner
def verify_leg(w: World, leg: Record, time_ns: int) -> Code:
    """Check everything of one leg that does not depend on the parties. [BLOCK-1]"""
    number, ticks = leg["instrument"], leg["price_ticks"]
    code = verify_instrument(w, number, time_ns)
    if code == Code.OK and is_combo(w, number):
        code = Code.BLOCK_INVALID
    if code == Code.OK:
        code = verify_size(leg["lots"])
    if code == Code.OK and ticks < 1:
        code = Code.PRICE_NOT_POSITIVE
    if code == Code.OK and ticks > PRICE_TICKS_MAX:
        code = Code.PRICE_ABOVE_MAXIMUM
    if code == Code.OK:
        code = verify_mark(w, number, time_ns)
    if code == Code.OK:
        code = verify_leg_price(w, leg)
    return code


@kernel_inner
def exceeds_gross(w: World, command: Record, items: Array, account: int) -> bool:
    """Whether an account would have too many gross lots in an underlying with all legs. [BLOCK-1]"""
    for u in range(w.markets.shape[0]):
        lots = 0
        for i in range(command["first_item"], command["first_item"] + command["item_count"]):
            if w.instruments[items[i]["instrument"]]["underlying"] == u:
                lots += items[i]["lots"]
        if lots > 0 and w.portfolios[account, u]["gross_lots"] + lots > GROSS_LOTS_MAX:
            return True
    return False


@kernel_inner
def verify_legs(w: World, command: Record, items: Array) -> Code:
    """Check the legs one by one, then that there is room for them. [BLOCK-1]"""
    account, counter = command["account"], command["counter_account"]
    code = verify_legs_form(command, items)
    if code != Code.OK:
        return code
    missing = 0
    for i in range(command["first_item"], command["first_item"] + command["item_count"]):
        code = verify_leg(w, items[i], command["time_ns"])
        if code != Code.OK:
            return code
        missing += count_missing_positions(w, account, items[i]["instrument"])
        missing += count_missing_positions(w, counter, items[i]["instrument"])
    if missing > w.house[0]["free_position_count"]:
        return Code.TABLE_FULL
    if exceeds_gross(w, command, items, account) or exceeds_gross(w, command, items, counter):
        return Code.GROSS_LIMIT
    return Code.OK


@kernel_inner
def compute_party_fees(w: World, command: Record, leg: Record) -> tuple[int, int]:
    """Return the fees of the account and of the counterparty for a whole leg; nobody gets a rebate.
    [BLOCK-2]
    """
    taker_fee, maker_fee = compute_fees(
        w, leg["instrument"], command["account"], command["counter_account"], leg["price_ticks"]
    )
    return int(leg["lots"] * taker_fee), int(leg["lots"] * max(0, maker_fee))


@kernel_inner
def fill_legs(w: World, command: Record, items: Array) -> None:
    """Trade every leg between the parties, fees paid, noting their entry values before. [BLOCK-1]"""
    first = command["first_item"]
    for k in range(command["item_count"]):
        leg = items[first + k]
        number, direction, lots = leg["instrument"], get_direction(leg["side"]), leg["lots"]
        taker_fee, maker_fee = compute_party_fees(w, command, leg)
        unit_atoms = leg["price_ticks"] * w.instruments[number]["tick_atoms"]
        slot = open_position(w, command["account"], number)
        w.block_costs[0, k] = w.positions[slot]["cost_atoms"]
        trade_position(w, slot, direction, lots, unit_atoms, taker_fee)
        slot = open_position(w, command["counter_account"], number)
        w.block_costs[1, k] = w.positions[slot]["cost_atoms"]
        trade_position(w, slot, -direction, lots, unit_atoms, maker_fee)


@kernel_inner
def restore_position(w: World, account: int, number: int, signed_lots: int, cost_atoms: int) -> None:
    """Take back lots that were traded, with the entry value there was before; every sum is an exact integer,
    so nothing of the trade stays.
    """
    slot = find_position(w, account, number)
    position = w.positions[slot]
    add_position_sums(w, slot, -1)
    add_held_lots(w, account, number, -signed_lots, cost_atoms - position["cost_atoms"])
    position["lots"] -= signed_lots
    position["cost_atoms"] = cost_atoms
    add_position_sums(w, slot, 1)
    release_position(w, slot)


@kernel_inner
def unfill_legs(w: World, command: Record, items: Array) -> None:
    """Put positions back as they were before `fill_legs`, in the opposite order."""
    first = command["first_item"]
    for k in range(command["item_count"] - 1, -1, -1):
        leg = items[first + k]
        number, signed_lots = leg["instrument"], get_direction(leg["side"]) * leg["lots"]
        restore_position(w, command["counter_account"], number, -signed_lots, w.block_costs[1, k])
        restore_position(w, command["account"], number, signed_lots, w.block_costs[0, k])


@kernel_inner
def judge_party(w: World, command: Record, items: Array, account: int, key: int, sign: int) -> Code:
    """Judge one party with every leg filled; `sign` is -1 for the counterparty. [BLOCK-1] [MARGIN-8]"""
    if key > 0:
        code = verify_block_limits(w, command, items, account, key, sign)
        if code != Code.OK:
            return code
    if compute_equity(w, account) < compute_account_initial(w, account, NONE):
        return Code.INITIAL_MARGIN_INSUFFICIENT
    return Code.OK


@kernel_inner
def try_legs(w: World, command: Record, items: Array) -> Code:
    """Fill the legs and judge both parties; if one fails, nothing has happened. [BLOCK-1]"""
    account, counter = command["account"], command["counter_account"]
    cash, counter_cash = w.accounts[account]["cash_atoms"], w.accounts[counter]["cash_atoms"]
    high = w.house[0]["position_high"]
    fill_legs(w, command, items)
    code = judge_party(w, command, items, account, command["key"], 1)
    if code == Code.OK:
        code = judge_party(w, command, items, counter, command["counter_key"], -1)
    if code != Code.OK:
        unfill_legs(w, command, items)
        w.accounts[account]["cash_atoms"] = cash
        w.accounts[counter]["cash_atoms"] = counter_cash
        w.house[0]["position_high"] = high
    return code


@kernel_inner
def report_leg(w: World, command: Record, leg: Record, order_id: int) -> None:
    """Share the fees of a filled leg and say what was traded. [BLOCK-2]"""
    taker_fee, maker_fee = compute_party_fees(w, command, leg)
    credit_fees(w, taker_fee + maker_fee)
    event = emit(w, EventKind.FILL)
    event["instrument"] = leg["instrument"]
    event["side"] = leg["side"]
    event["price_ticks"] = leg["price_ticks"]
    event["lots"] = leg["lots"]
    event["account"] = command["account"]
    event["order_id"] = order_id
    event["maker_account"] = command["counter_account"]
    event["maker_order_id"] = order_id
    event["amount_atoms"] = taker_fee
    event["maker_amount_atoms"] = maker_fee


@kernel_inner
def apply_block_trade(w: World, command: Record, items: Array) -> None:
    """BLOCK_TRADE. [BLOCK-1] to [BLOCK-3]"""
    account = command["account"]
    code = verify_parties(w, command)
    if code == Code.OK:
        code = verify_legs(w, command, items)
    if code == Code.OK:
        code = try_legs(w, command, items)
    if code != Code.OK:
        emit_result(w, code, account, 0)
        return
    order_id = take_order_id(w)
    emit_result(w, code, account, order_id)
    first = command["first_item"]
    for i in range(first, first + command["item_count"]):
        report_leg(w, command, items[i], order_id)
    for i in range(first, first + command["item_count"]):
        release_position(w, find_position(w, account, items[i]["instrument"]))
        release_position(w, find_position(w, command["counter_account"], items[i]["instrument"]))
