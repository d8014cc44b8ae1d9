"""TICK: expiry, marks, funding, liquidation, timers and triggers, one after the other.

The only command whose cost grows with the venue. Implements [TICK-1] and [EXPIRY-2]; the phases are in the
modules that it calls.
"""

from typing import Any

from novate.execution.combos import expire_combos
from novate.execution.events import emit, emit_result
from novate.execution.funding import fund_perpetuals
from novate.execution.ledger import add_held_lots, add_position_sums, find_position, release_position
from novate.execution.liquidation import supervise_accounts
from novate.execution.market import advance_sums
from novate.execution.marking import dirty_windows, mark_underlying
from novate.execution.open_orders import cancel_orders_in
from novate.execution.protection import end_windows
from novate.execution.tables import NONE, World
from novate.execution.timers import cancel_due_accounts, cancel_expired_orders
from novate.execution.triggers import fire_armed
from novate.execution.volatility_orders import reprice_underlying
from novate.execution.waiting import end_waiting_in
from novate.kernel import kernel_inner
from novate.protocol.arithmetic import div_floor
from novate.protocol.generated.codes import CancelReason, Code, EventKind, InstrumentState
from novate.protocol.generated.constants import NO_MARK_ATOMS
from novate.protocol.novation import compute_payoff_atoms, is_linear

Record = Any


@kernel_inner
def settle_position(w: World, account: int, number: int, payoff_atoms: int) -> None:
    """Pay out one position of an expired instrument and close it. [EXPIRY-2] [FUT-3]"""
    slot = find_position(w, account, number)
    if slot == NONE or w.positions[slot]["lots"] == 0:
        return
    position = w.positions[slot]
    lots, cost_atoms = position["lots"], position["cost_atoms"]
    amount_atoms = lots * payoff_atoms
    if is_linear(w.instruments[number]["kind"]):
        amount_atoms -= cost_atoms
    add_position_sums(w, slot, -1)
    add_held_lots(w, account, number, -lots, -cost_atoms)
    position["lots"] = 0
    position["cost_atoms"] = 0
    add_position_sums(w, slot, 1)
    w.accounts[account]["cash_atoms"] += amount_atoms
    w.accounts[account]["dirty"] = 1
    event = emit(w, EventKind.SETTLED)
    event["account"] = account
    event["instrument"] = number
    event["lots"] = lots
    event["amount_atoms"] = amount_atoms
    release_position(w, slot)


@kernel_inner
def expire_instrument(w: World, number: int, settlement_atoms: int) -> None:
    """End the orders of an instrument, settle its positions and close it. [EXPIRY-2]"""
    cancel_orders_in(w, number, CancelReason.INSTRUMENT_EXPIRED)
    end_waiting_in(w, number, CancelReason.INSTRUMENT_EXPIRED)
    instrument = w.instruments[number]
    payoff_atoms = compute_payoff_atoms(
        instrument["kind"], settlement_atoms, instrument["strike_atoms"], instrument["lots_per_unit"]
    )
    for account in range(w.house[0]["account_count"]):
        settle_position(w, account, number, payoff_atoms)
    instrument["state"] = InstrumentState.EXPIRED
    instrument["mark_atoms"] = NO_MARK_ATOMS
    instrument["settlement_atoms"] = settlement_atoms
    instrument["dirty"] = 1
    event = emit(w, EventKind.EXPIRED)
    event["instrument"] = number
    event["amount_atoms"] = settlement_atoms


@kernel_inner
def expire_series(w: World, number: int) -> None:
    """End the combos that need a series, and settle it at its time-weighted index. [EXPIRY-2] [COMBO-7]"""
    series = w.series[number]
    market = w.markets[series["underlying"]]
    settlement_atoms = market["index_atoms"]
    if series["twap_ms"] > 0:
        settlement_atoms = div_floor(series["twap_sum"], series["twap_ms"])
    expire_combos(w, number)
    for i in range(w.house[0]["instrument_count"]):
        if w.instruments[i]["series"] == number:
            expire_instrument(w, i, settlement_atoms)
    series["expired"] = 1
    market["dirty"] = 1


@kernel_inner
def renew_marks(w: World, time_ns: int) -> int:
    """Mark every dirty underlying, in order, and return which were marked, a bit for each. [MARK-1]"""
    dirty_windows(w, time_ns)
    marked = 0
    for u in range(w.markets.shape[0]):
        if w.markets[u]["dirty"] != 0:
            mark_underlying(w, u, time_ns)
            marked |= 1 << u
    return marked


@kernel_inner
def apply_tick(w: World, command: Record) -> None:
    """TICK, up to its ready orders, which follow every command. [TICK-1]"""
    time_ns = command["time_ns"]
    emit_result(w, Code.OK, NONE, 0)
    for u in range(w.markets.shape[0]):
        advance_sums(w, u, time_ns)
    for s in range(w.house[0]["series_count"]):
        if w.series[s]["expired"] == 0 and w.series[s]["expiry_ns"] <= time_ns:
            expire_series(w, s)
    end_windows(w, time_ns)
    marked = renew_marks(w, time_ns)
    fund_perpetuals(w, time_ns)
    supervise_accounts(w, time_ns)
    cancel_due_accounts(w, time_ns)
    cancel_expired_orders(w, time_ns)
    for u in range(w.markets.shape[0]):
        if marked >> u & 1 == 1:
            reprice_underlying(w, u, time_ns)
    fire_armed(w, time_ns)
