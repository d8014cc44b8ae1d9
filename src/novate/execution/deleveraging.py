"""The end of the waterfall: positions closed against those who gained most, the insurance fund, shared loss.

Implements [LIQ-6] to [LIQ-8].
"""

from novate.execution.events import emit
from novate.execution.ledger import (
    compute_equity,
    find_position,
    open_position,
    release_position,
    trade_position,
)
from novate.execution.tables import NONE, World
from novate.kernel import kernel_inner
from novate.protocol.arithmetic import div_floor
from novate.protocol.generated.codes import EventKind, LiquidationStage
from novate.protocol.liquidation import compute_loss_share, compute_loss_weight


@kernel_inner
def end_liquidation(w: World, account: int) -> None:
    """Close the liquidation of an account. [LIQ-8]"""
    record = w.accounts[account]
    record["liquidation_stage"] = LiquidationStage.NONE
    record["liquidation_count"] = 0
    record["dirty"] = 1
    event = emit(w, EventKind.LIQUIDATION_ENDED)
    event["account"] = account
    event["amount_atoms"] = compute_equity(w, account)


@kernel_inner
def cover_debt(w: World, account: int, closure_count: int) -> None:
    """Pay the debt of an account without positions from the insurance fund, then from the accounts that were
    closed against it. [LIQ-7]
    """
    record, house = w.accounts[account], w.house[0]
    paid = min(max(0, -record["cash_atoms"]), house["insurance_atoms"])
    if paid > 0:
        record["cash_atoms"] += paid
        record["dirty"] = 1
        house["insurance_atoms"] -= paid
        event = emit(w, EventKind.INSURED)
        event["account"] = account
        event["amount_atoms"] = paid
    weight_left = 0
    for i in range(closure_count):
        weight_left += w.closures[i, 1]
    for i in range(closure_count):
        debt = -w.accounts[account]["cash_atoms"]
        if debt <= 0:
            return
        share = compute_loss_share(debt, w.closures[i, 1], weight_left)
        weight_left -= w.closures[i, 1]
        share_loss(w, account, w.closures[i, 0], share)


@kernel_inner
def share_loss(w: World, debtor: int, payer: int, amount_atoms: int) -> None:
    """Move part of a loss from the debtor to one of those it was closed against. [LIQ-7]"""
    w.accounts[payer]["cash_atoms"] -= amount_atoms
    w.accounts[payer]["dirty"] = 1
    w.accounts[debtor]["cash_atoms"] += amount_atoms
    w.accounts[debtor]["dirty"] = 1
    event = emit(w, EventKind.LOSS_SHARED)
    event["account"] = payer
    event["maker_account"] = debtor
    event["amount_atoms"] = amount_atoms


@kernel_inner
def pass_lots(w: World, kind: int, account: int, other: int, number: int, lots: int) -> None:
    """Let two accounts trade at the mark without a fee: `lots` (signed) leave the account for the other.
    [LIQ-5] [LIQ-6]
    """
    mark = w.instruments[number]["mark_atoms"]
    direction = 1 if lots > 0 else -1
    leaving, arriving = find_position(w, account, number), open_position(w, other, number)
    trade_position(w, leaving, -direction, abs(lots), mark, 0)
    trade_position(w, arriving, direction, abs(lots), mark, 0)
    release_position(w, leaving)
    release_position(w, arriving)
    event = emit(w, kind)
    event["account"] = account
    event["maker_account"] = other
    event["instrument"] = number
    event["lots"] = lots
    event["amount_atoms"] = mark


@kernel_inner
def find_held_instrument(w: World, account: int, after: int) -> int:
    """Return the account's lowest instrument above `after` in which it holds lots, or NONE."""
    found = NONE
    slot = w.accounts[account]["first_position"]
    while slot != NONE:
        position = w.positions[slot]
        number = position["instrument"]
        if position["lots"] != 0 and number > after and (found == NONE or number < found):
            found = number
        slot = position["next_in_account"]
    return int(found)


@kernel_inner
def find_next_holder(w: World, number: int, sign: int) -> int:
    """Return the position of the opposite sign with the highest profit per lot, the lowest account on a tie;
    NONE if there is none. [LIQ-6]
    """
    found, highest = NONE, 0
    mark = w.instruments[number]["mark_atoms"]
    for slot in range(w.house[0]["position_high"]):
        position = w.positions[slot]
        lots = position["lots"]
        if position["account"] == NONE or position["instrument"] != number or lots * sign >= 0:
            continue
        profit = div_floor(lots * mark - position["cost_atoms"], abs(lots))
        tied = profit == highest and found != NONE
        if tied and position["account"] > w.positions[found]["account"]:
            continue
        if found == NONE or profit > highest or tied:
            found, highest = slot, profit
    return found


@kernel_inner
def deleverage(w: World, account: int) -> None:
    """Close every position of an account against those who gained most from theirs. [LIQ-6]"""
    count = 0
    number = find_held_instrument(w, account, NONE)
    while number != NONE:
        left = w.positions[find_position(w, account, number)]["lots"]
        while left != 0:
            sign = 1 if left > 0 else -1
            holder = find_next_holder(w, number, sign)
            assert holder != NONE  # Invariant [CASH-3]: the lots of an instrument sum to zero.
            other = w.positions[holder]["account"]
            lots = sign * min(abs(left), abs(w.positions[holder]["lots"]))
            pass_lots(w, EventKind.DELEVERAGED, account, other, number, lots)
            w.closures[count, 0] = other
            w.closures[count, 1] = compute_loss_weight(abs(lots) * w.instruments[number]["notional_atoms"])
            count += 1
            left -= lots
        number = find_held_instrument(w, account, number)
    cover_debt(w, account, count)
    end_liquidation(w, account)
