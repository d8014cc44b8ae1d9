"""Market-maker protection: what a group's quotes may still fill in a window, and what happens when it trips.

Implements [MMP-2] and [MMP-3].
"""

from typing import Any

from novate.execution.events import emit
from novate.execution.open_orders import cancel_group_quotes
from novate.execution.tables import World
from novate.kernel import kernel_inner
from novate.protocol.generated.codes import CancelReason, EventKind, Side
from novate.protocol.generated.constants import GROUP_COUNT
from novate.protocol.quote_margin import compute_limit_capacity

Record = Any

UNLIMITED_LOTS = 1 << 62
NEVER_NS = (1 << 63) - 1


@kernel_inner
def is_window_over(group: Record, time_ns: int) -> bool:
    """Whether a window was started and its time has passed. [MMP-2]"""
    started = group["window_start_ns"]
    return bool(started != 0 and time_ns >= started + group["window_ns"])


@kernel_inner
def clear_counts(w: World, account: int, number: int) -> None:
    """Set a group's counts to zero and its window to not started."""
    group = w.groups[account, number - 1]
    group["window_start_ns"] = 0
    group["filled_lots"] = 0
    group["filled_delta_atoms"] = 0
    group["filled_vega_atoms"] = 0
    group["stale"] = 1
    w.accounts[account]["dirty"] = 1


@kernel_inner
def end_window(w: World, account: int, number: int, time_ns: int) -> None:
    """Start counting afresh if the group's window is over. [MMP-2]"""
    if is_window_over(w.groups[account, number - 1], time_ns):
        clear_counts(w, account, number)


@kernel_inner
def end_windows(w: World, time_ns: int) -> None:
    """End every window that is over. [TICK-1]"""
    for account in range(w.house[0]["account_count"]):
        for number in range(1, GROUP_COUNT + 1):
            end_window(w, account, number, time_ns)


@kernel_inner
def compute_capacity(w: World, order_slot: int, time_ns: int) -> int:
    """Return how many lots of an order protection lets fill, as if a window that is over had ended; 2**62
    for an order that is not a quote. [MMP-2] [MATCH-10]
    """
    order = w.orders[order_slot]
    if order["group"] == 0:
        return UNLIMITED_LOTS
    group = w.groups[order["account"], order["group"] - 1]
    instrument = w.instruments[order["instrument"]]
    direction = 1 if order["side"] == Side.BUY else -1
    lots, delta, vega = group["filled_lots"], group["filled_delta_atoms"], group["filled_vega_atoms"]
    if is_window_over(group, time_ns):
        lots, delta, vega = 0, 0, 0
    capacity = max(0, group["quantity_limit_lots"] - lots)
    if group["delta_limit_atoms"] > 0:
        change = direction * instrument["delta_atoms"]
        capacity = min(capacity, compute_limit_capacity(group["delta_limit_atoms"], delta, change))
    if group["vega_limit_atoms"] > 0:
        change = direction * instrument["vega_atoms"]
        capacity = min(capacity, compute_limit_capacity(group["vega_limit_atoms"], vega, change))
    return int(capacity)


@kernel_inner
def is_tripped(group: Record) -> bool:
    """Whether a count has reached its limit. [MMP-3]"""
    if group["filled_lots"] >= group["quantity_limit_lots"]:
        return True
    delta_limit, vega_limit = group["delta_limit_atoms"], group["vega_limit_atoms"]
    if delta_limit > 0 and abs(group["filled_delta_atoms"]) >= delta_limit:
        return True
    return bool(vega_limit > 0 and abs(group["filled_vega_atoms"]) >= vega_limit)


@kernel_inner
def count_fill(
    w: World,
    account: int,
    number: int,
    instrument_number: int,
    direction: int,
    lots: int,
    wanted_lots: int,
    time_ns: int,
) -> None:
    """Count a fill of a group's quote (`direction` is the quote's), and trip if it reached a limit or was
    smaller than wanted. [MMP-2] [MMP-3]
    """
    end_window(w, account, number, time_ns)
    group = w.groups[account, number - 1]
    instrument = w.instruments[instrument_number]
    if lots > 0:
        if group["window_start_ns"] == 0:
            group["window_start_ns"] = time_ns
        group["filled_lots"] += lots
        group["filled_delta_atoms"] += lots * direction * instrument["delta_atoms"]
        group["filled_vega_atoms"] += lots * direction * instrument["vega_atoms"]
        w.accounts[account]["dirty"] = 1
    if lots < wanted_lots or is_tripped(group):
        trip_group(w, account, number, time_ns)


@kernel_inner
def trip_group(w: World, account: int, number: int, time_ns: int) -> None:
    """Freeze a group and end all its quotes. [MMP-3]"""
    group = w.groups[account, number - 1]
    clear_counts(w, account, number)
    group["frozen_until_ns"] = time_ns + group["frozen_ns"] if group["frozen_ns"] > 0 else NEVER_NS
    event = emit(w, EventKind.MMP_TRIPPED)
    event["account"] = account
    event["order_id"] = number
    event["instrument"] = group["underlying"]
    event["amount_atoms"] = group["frozen_until_ns"]
    cancel_group_quotes(w, account, number, CancelReason.MMP)
