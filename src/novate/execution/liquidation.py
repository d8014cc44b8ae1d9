"""Liquidation: who is in breach, margin calls, and reduction through the book in slices, delta first.

Runs in the TICK that finds the breach. Implements [LIQ-1] to [LIQ-3]; auction.py and deleveraging.py hold
the later stages of the waterfall.
"""

from typing import Any

from novate.execution.auction import act_auction
from novate.execution.deleveraging import cover_debt, end_liquidation
from novate.execution.events import emit
from novate.execution.ledger import compute_equity, find_position
from novate.execution.matching import match_order
from novate.execution.open_orders import cancel_account_orders
from novate.execution.standing import holds_lots_in, is_held_stale
from novate.execution.tables import NONE, World
from novate.kernel import kernel_inner
from novate.protocol.arithmetic import div_ceil, div_floor, mul_ratio_ceil_e6
from novate.protocol.generated.codes import CancelReason, EventKind, LiquidationStage, Side, TimeInForce
from novate.protocol.generated.constants import E6, ORDER_LOTS_MAX, SCENARIO_COUNT
from novate.protocol.liquidation import compute_close_ticks
from novate.protocol.margin import compute_maintenance_margin
from novate.protocol.novation import is_linear

Record = Any


@kernel_inner
def compute_underlying_maintenance(w: World, account: int, underlying: int) -> int:
    """Return the maintenance requirement of one account in one underlying. [MARGIN-8]"""
    return int(
        compute_maintenance_margin(
            w.portfolios[account, underlying], w.pnl[account, underlying], w.parameters[0]
        )
    )


@kernel_inner
def compute_account_maintenance(w: World, account: int) -> int:
    """Return the maintenance requirement of an account over all underlyings. [MARGIN-8]"""
    total = 0
    for u in range(w.markets.shape[0]):
        total += compute_underlying_maintenance(w, account, u)
    return total


@kernel_inner
def find_heaviest_underlying(w: World, account: int) -> int:
    """Return the underlying with the largest maintenance requirement among those with lots held; the lowest
    on a tie. [LIQ-1] [LIQ-2]
    """
    heaviest, most = NONE, -1
    for u in range(w.markets.shape[0]):
        requirement = compute_underlying_maintenance(w, account, u)
        if requirement > most and holds_lots_in(w, account, u):
            heaviest, most = u, requirement
    return heaviest


@kernel_inner
def emit_figures(w: World, kind: int, account: int, first_atoms: int, second_atoms: int) -> Record:
    """Append an event with an account and two amounts, and return its record."""
    event = emit(w, kind)
    event["account"] = account
    event["amount_atoms"] = first_atoms
    event["maker_amount_atoms"] = second_atoms
    return event


@kernel_inner
def start_liquidation(w: World, account: int, equity: int, requirement: int, time_ns: int) -> None:
    """Say why, end every order, and take the first slice. [LIQ-1]"""
    underlying = find_heaviest_underlying(w, account)
    pnl = w.pnl[account, underlying]
    worst = 0
    for s in range(SCENARIO_COUNT):
        if pnl[s] < pnl[worst]:
            worst = s
    event = emit_figures(w, EventKind.LIQUIDATION_STARTED, account, equity, requirement)
    event["instrument"] = underlying
    event["side"] = worst
    cancel_account_orders(w, account, NONE, 0, 0, CancelReason.LIQUIDATION)
    record = w.accounts[account]
    record["liquidation_stage"] = LiquidationStage.SLICES
    record["liquidation_count"] = 0
    record["dirty"] = 1
    act_slice(w, account, time_ns)


@kernel_inner
def find_slice_position(w: World, account: int, underlying: int) -> int:
    """Return the position to reduce next: the one that carries most of the net delta, or without one the
    largest. [LIQ-2]
    """
    net = compute_net_delta(w, account, underlying)
    best, best_size, best_instrument = NONE, 0, 0
    largest, largest_size, largest_instrument = NONE, 0, 0
    slot = w.accounts[account]["first_position"]
    while slot != NONE:
        position = w.positions[slot]
        number, lots = position["instrument"], position["lots"]
        instrument = w.instruments[number]
        if lots != 0 and instrument["underlying"] == underlying:
            delta = lots * instrument["delta_atoms"]
            same_way = (delta > 0 and net > 0) or (delta < 0 and net < 0)
            size = abs(delta)
            if same_way and (size > best_size or (size == best_size and number < best_instrument)):
                best, best_size, best_instrument = slot, size, number
            size = abs(lots)
            if size > largest_size or (size == largest_size and number < largest_instrument):
                largest, largest_size, largest_instrument = slot, size, number
        slot = position["next_in_account"]
    return int(best if best != NONE else largest)


@kernel_inner
def compute_net_delta(w: World, account: int, underlying: int) -> int:
    """Return the sum of lots times delta over an account's positions in an underlying. [LIQ-2]"""
    net = 0
    slot = w.accounts[account]["first_position"]
    while slot != NONE:
        position = w.positions[slot]
        instrument = w.instruments[position["instrument"]]
        if instrument["underlying"] == underlying:
            net += position["lots"] * instrument["delta_atoms"]
        slot = position["next_in_account"]
    return net


@kernel_inner
def compute_slice_lots(w: World, account: int, slot: int) -> int:
    """Return how many lots of a position one slice closes. [LIQ-2]"""
    position = w.positions[slot]
    instrument = w.instruments[position["instrument"]]
    underlying = instrument["underlying"]
    bound = max(1, div_floor(w.markets[underlying]["slice_notional_atoms"], instrument["notional_atoms"]))
    lots = min(abs(position["lots"]), ORDER_LOTS_MAX, bound)
    net = compute_net_delta(w, account, underlying)
    delta = instrument["delta_atoms"]
    carried = position["lots"] * delta
    if (carried > 0 and net > 0) or (carried < 0 and net < 0):
        lots = min(lots, div_ceil(abs(net), abs(delta)))
    return int(lots)


@kernel_inner
def fill_slice_draft(w: World, account: int, slot: int) -> None:
    """Write the slice's order into the draft and say so. [LIQ-2] [LIQ-3]"""
    position = w.positions[slot]
    number, lots = position["instrument"], position["lots"]
    instrument = w.instruments[number]
    order = w.draft[0]
    order["order_id"] = w.house[0]["next_order_id"]
    w.house[0]["next_order_id"] += 1
    order["account"] = account
    order["instrument"] = number
    order["side"] = Side.SELL if lots > 0 else Side.BUY
    order["time_in_force"] = TimeInForce.IOC
    order["lots"] = compute_slice_lots(w, account, slot)
    order["price_ticks"] = compute_close_ticks(
        instrument, lots, compute_equity(w, account), instrument["band_atoms"]
    )
    order["flags"] = 0
    order["display_lots"] = 0
    order["visible_lots"] = 0
    order["valid_until_ns"] = 0
    order["label"] = 0
    order["link"] = 0
    order["group"] = 0
    order["volatility_bp"] = 0
    event = emit(w, EventKind.SLICE)
    event["account"] = account
    event["order_id"] = order["order_id"]
    event["instrument"] = number
    event["side"] = order["side"]
    event["price_ticks"] = order["price_ticks"]
    event["lots"] = order["lots"]


@kernel_inner
def charge_penalty(w: World, account: int, number: int, lots: int) -> None:
    """Move the penalty for lots closed from the account to the insurance fund. [LIQ-3]"""
    instrument, parameters = w.instruments[number], w.parameters[0]
    penalty = mul_ratio_ceil_e6(lots * instrument["notional_atoms"], parameters["liquidation_fee_e6"])
    if not is_linear(instrument["kind"]):
        cap = mul_ratio_ceil_e6(lots * instrument["mark_atoms"], parameters["option_fee_cap_e6"])
        penalty = min(penalty, cap)
    penalty = min(penalty, max(0, compute_equity(w, account)))
    w.accounts[account]["cash_atoms"] -= penalty
    w.accounts[account]["dirty"] = 1
    w.house[0]["insurance_atoms"] += penalty
    emit_figures(w, EventKind.PENALTY, account, penalty, 0)


@kernel_inner
def act_slice(w: World, account: int, time_ns: int) -> None:
    """Reduce one position by one slice through the book, then look at the account again. [LIQ-2] [LIQ-3]"""
    slot = find_slice_position(w, account, find_heaviest_underlying(w, account))
    number, before = w.positions[slot]["instrument"], abs(w.positions[slot]["lots"])
    fill_slice_draft(w, account, slot)
    match_order(w, w.draft[0], time_ns)
    after_slot = find_position(w, account, number)
    after = abs(w.positions[after_slot]["lots"]) if after_slot != NONE else 0
    if after < before:
        charge_penalty(w, account, number, before - after)
    record = w.accounts[account]
    record["liquidation_count"] += 1
    record["dirty"] = 1
    if not holds_lots_in(w, account, NONE):
        cover_debt(w, account, 0)
        end_liquidation(w, account)
        return
    equity = compute_equity(w, account)
    if equity >= compute_account_maintenance(w, account):
        end_liquidation(w, account)
    elif record["liquidation_count"] >= w.parameters[0]["slice_tick_count"] or equity <= 0:
        record["liquidation_stage"] = LiquidationStage.AUCTION
        record["liquidation_count"] = 0
        emit_figures(w, EventKind.AUCTION_STARTED, account, equity, 0)


@kernel_inner
def warn_account(w: World, account: int, equity: int, requirement: int) -> None:
    """Call for margin once when equity falls below the warning level. [LIQ-1]"""
    record = w.accounts[account]
    # The same as equity < requirement * warning, but no product outgrows the requirement.
    low = equity - requirement < mul_ratio_ceil_e6(requirement, w.parameters[0]["warning_e6"] - E6)
    if low and record["warned"] == 0:
        emit_figures(w, EventKind.MARGIN_CALL, account, equity, requirement)
    if low != (record["warned"] != 0):
        record["warned"] = 1 if low else 0
        record["dirty"] = 1


@kernel_inner
def supervise_account(w: World, account: int, time_ns: int) -> None:
    """Warn, start, continue or end the liquidation of one account. [LIQ-1]"""
    stage = w.accounts[account]["liquidation_stage"]
    equity, requirement = compute_equity(w, account), compute_account_maintenance(w, account)
    if stage == LiquidationStage.NONE:
        if equity < requirement:
            start_liquidation(w, account, equity, requirement, time_ns)
        else:
            warn_account(w, account, equity, requirement)
    elif not holds_lots_in(w, account, NONE):
        cover_debt(w, account, 0)
        end_liquidation(w, account)
    elif equity >= requirement:
        end_liquidation(w, account)
    elif stage == LiquidationStage.SLICES:
        act_slice(w, account, time_ns)
    else:
        act_auction(w, account, equity, requirement, time_ns)


@kernel_inner
def supervise_accounts(w: World, time_ns: int) -> None:
    """The phase *liquidation* of a TICK. [LIQ-1]"""
    for account in range(w.house[0]["account_count"]):
        record = w.accounts[account]
        held = record["first_position"] != NONE and holds_lots_in(w, account, NONE)
        if held or record["liquidation_stage"] != LiquidationStage.NONE:
            if not is_held_stale(w, account, time_ns):
                supervise_account(w, account, time_ns)
        elif record["cash_atoms"] < 0 and w.house[0]["insurance_atoms"] > 0:
            cover_debt(w, account, 0)
