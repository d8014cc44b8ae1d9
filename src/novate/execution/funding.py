"""Funding of perpetuals at a TICK: impact prices from the book, the rate, and what longs pay to shorts.

Implements [FUND-1] and [FUND-2] with the leaves of protocol.funding.
"""

from novate.execution.events import emit
from novate.execution.order_book import find_level, find_next_tick
from novate.execution.tables import NONE, World
from novate.kernel import kernel_inner
from novate.protocol.funding import (
    NO_PRICE,
    compute_accrual,
    compute_due_atoms,
    compute_premium_atoms,
    compute_rate_e9,
    compute_step_ms,
)
from novate.protocol.generated.codes import EventKind, InstrumentKind, Side
from novate.protocol.generated.constants import FUNDING_PERIOD_MS
from novate.protocol.oracle import is_stale


@kernel_inner
def find_impact_ticks(w: World, book: int, impact_lots: int) -> int:
    """Return the price of the level of a book side at which the visible lots first reach a size, or NONE."""
    ticks, left = w.best[book], impact_lots
    while ticks != NONE:
        left -= w.levels[find_level(w, book, ticks)]["lots"]
        if left <= 0:
            return int(ticks)
        ticks = find_next_tick(w, book, ticks)
    return NONE


@kernel_inner
def compute_impact_atoms(w: World, number: int, side: int) -> int:
    """Return the impact price of one side in atoms per lot, or NO_PRICE. [FUND-1]"""
    instrument = w.instruments[number]
    impact_lots = w.markets[instrument["underlying"]]["funding_impact_lots"]
    ticks = find_impact_ticks(w, number * 2 + side, impact_lots)
    return NO_PRICE if ticks == NONE else int(ticks * instrument["tick_atoms"])


@kernel_inner
def pay_funding(w: World, number: int, due_atoms: int) -> None:
    """Let every account pay its lots times an amount; a short receives it. [FUND-2]"""
    for slot in range(w.house[0]["position_high"]):
        position = w.positions[slot]
        if position["account"] != NONE and position["instrument"] == number and position["lots"] != 0:
            account = w.accounts[position["account"]]
            account["cash_atoms"] -= position["lots"] * due_atoms
            account["dirty"] = 1


@kernel_inner
def fund_perpetual(w: World, number: int, time_ns: int) -> None:
    """Renew the rate of one perpetual, accrue it, and pay what is due. [FUND-2]"""
    instrument = w.instruments[number]
    market = w.markets[instrument["underlying"]]
    step_ms = compute_step_ms(time_ns, instrument["funded_ns"])
    instrument["funded_ns"] = time_ns
    instrument["dirty"] = 1
    stale = is_stale(market["index_atoms"], market["index_time_ns"], time_ns, w.parameters[0])
    # A mark of zero has no premium; an index below one atom per lot makes one.
    mark = instrument["mark_atoms"]
    if stale or mark <= 0 or step_ms == 0:
        return
    bid, ask = compute_impact_atoms(w, number, Side.BUY), compute_impact_atoms(w, number, Side.SELL)
    rate = compute_rate_e9(compute_premium_atoms(bid, ask, mark), mark, w.parameters[0])
    instrument["funding_rate_e9"] = rate
    instrument["funding_accrual"] += compute_accrual(mark, rate, step_ms)
    due = compute_due_atoms(instrument["funding_accrual"])
    if due == 0:
        return
    instrument["funding_accrual"] -= due * FUNDING_PERIOD_MS
    pay_funding(w, number, due)
    event = emit(w, EventKind.FUNDED)
    event["instrument"] = number
    event["amount_atoms"] = due
    event["maker_amount_atoms"] = rate


@kernel_inner
def fund_perpetuals(w: World, time_ns: int) -> None:
    """Fund every perpetual in ascending number. [FUND-2]"""
    for i in range(w.house[0]["instrument_count"]):
        if w.instruments[i]["kind"] == InstrumentKind.PERPETUAL:
            fund_perpetual(w, i, time_ns)
