"""Batch application: Python crosses into Numba once for many commands."""

from typing import Any

from novate.execution.blocks import apply_block_trade
from novate.execution.combos import apply_list_combo
from novate.execution.events import emit, emit_result
from novate.execution.fees import apply_set_tier
from novate.execution.keys import apply_authorize_key, apply_revoke_key
from novate.execution.market import apply_index, apply_list, apply_surface
from novate.execution.money import apply_backstop, apply_deposit, apply_insure, apply_withdraw
from novate.execution.order_book import find_slot
from novate.execution.order_positions import is_combo
from novate.execution.prefetching import prefetch_ahead
from novate.execution.quotes import apply_mass_quote, apply_set_mmp
from novate.execution.replacing import apply_replace
from novate.execution.slices import apply_set_slice
from novate.execution.subaccounts import apply_create_subaccount, apply_transfer
from novate.execution.tables import NONE, Array, World
from novate.execution.ticking import apply_tick
from novate.execution.timers import apply_disconnect, apply_protect
from novate.execution.trading import apply_cancel, apply_cancel_all, apply_place
from novate.execution.triggers import apply_place_trigger, fire_ready
from novate.kernel import JIT_ENABLED, kernel, kernel_inner
from novate.protocol.generated.codes import Code, CommandKind, EventKind
from novate.protocol.generated.constants import COMBO_LEG_COUNT_MAX

Record = Any

# What one open or waiting order can cause in one command: as a maker ten slices are filled and shown again,
# and it may trip, fire, take, rest and end once. A TICK may also price it anew, as an order with new slices.
EVENTS_PER_ORDER = 25
EVENTS_PER_ORDER_TICK = 50
EVENTS_PER_POSITION = 4  # Settled, handed to a backstop or closed, and part of a loss.
EVENTS_PER_ACCOUNT = 8  # The start, a slice that ends, its penalty, the auction's start or result, the end.
EVENTS_PER_COMBO_ORDER = EVENTS_PER_ORDER + 10 * COMBO_LEG_COUNT_MAX  # Each fill tells of its legs.
EVENTS_PER_QUOTE = 6  # Each side ends the old quote, places the new one and may end that.


@kernel_inner
def apply_seal(w: World, command: Record) -> None:
    """SEAL. [SEAL-1]"""
    house = w.house[0]
    lawful = command["batch"] == house["batch"] + 1
    emit_result(w, Code.OK if lawful else Code.BATCH_OUT_OF_ORDER, NONE, 0)
    if lawful:
        house["batch"] = command["batch"]
        event = emit(w, EventKind.SEALED)
        event["order_id"] = command["batch"]


@kernel_inner
def apply_market_command(w: World, command: Record, items: Array) -> None:
    """Apply a command that is not a trader's."""
    kind = command["kind"]
    if kind == CommandKind.DEPOSIT:
        apply_deposit(w, command)
    elif kind == CommandKind.LIST_INSTRUMENT:
        apply_list(w, command)
    elif kind == CommandKind.LIST_COMBO:
        apply_list_combo(w, command, items)
    elif kind == CommandKind.INDEX:
        apply_index(w, command)
    elif kind == CommandKind.SURFACE:
        apply_surface(w, command)
    elif kind == CommandKind.TICK:
        apply_tick(w, command)
    elif kind == CommandKind.SEAL:
        apply_seal(w, command)
    elif kind == CommandKind.SET_TIER:
        apply_set_tier(w, command)
    elif kind == CommandKind.DISCONNECT:
        apply_disconnect(w, command)
    elif kind == CommandKind.SET_SLICE:
        apply_set_slice(w, command)
    elif kind == CommandKind.BACKSTOP:
        apply_backstop(w, command)
    elif kind == CommandKind.INSURE:
        apply_insure(w, command)
    elif kind == CommandKind.AUTHORIZE_KEY:
        apply_authorize_key(w, command)
    elif kind == CommandKind.REVOKE_KEY:
        apply_revoke_key(w, command)
    elif kind == CommandKind.CREATE_SUBACCOUNT:
        apply_create_subaccount(w, command)
    elif kind == CommandKind.TRANSFER:
        apply_transfer(w, command)
    else:
        emit_result(w, Code.COMMAND_MALFORMED, NONE, 0)


@kernel_inner
def find_speaker(w: World, command: Record) -> int:
    """Return the account that a command is about, or NONE if it is nobody's or the account is not open yet.
    [CMD-3]
    """
    kind = command["kind"]
    if kind == CommandKind.DEPOSIT and command["account"] >= w.house[0]["account_count"]:
        return NONE
    traders = kind == CommandKind.DEPOSIT or kind == CommandKind.WITHDRAW
    traders = traders or (kind >= CommandKind.PLACE and kind <= CommandKind.CANCEL_ALL)
    traders = traders or kind == CommandKind.PLACE_TRIGGER or kind == CommandKind.PROTECT
    traders = traders or kind == CommandKind.SET_MMP or kind == CommandKind.MASS_QUOTE
    traders = traders or kind == CommandKind.BACKSTOP or kind == CommandKind.INSURE
    traders = traders or (kind >= CommandKind.AUTHORIZE_KEY and kind <= CommandKind.BLOCK_TRADE)
    return int(command["account"]) if traders else NONE


@kernel_inner
def apply_command(w: World, command: Record, items: Array) -> None:
    """Apply one command of the law, then fire the orders that it made ready. [CMD-1] to [CMD-3] [TRIG-5]"""
    house = w.house[0]
    house["sequence"] = command["sequence"]
    if command["time_ns"] < house["time_ns"]:
        emit_result(w, Code.TIME_NOT_MONOTONIC, find_speaker(w, command), 0)
        return
    house["time_ns"] = command["time_ns"]
    kind = command["kind"]
    if kind == CommandKind.PLACE:
        apply_place(w, command)
    elif kind == CommandKind.REPLACE:
        apply_replace(w, command)
    elif kind == CommandKind.CANCEL:
        apply_cancel(w, command)
    elif kind == CommandKind.CANCEL_ALL:
        apply_cancel_all(w, command)
    elif kind == CommandKind.WITHDRAW:
        apply_withdraw(w, command)
    elif kind == CommandKind.MASS_QUOTE:
        apply_mass_quote(w, command, items)
    elif kind == CommandKind.SET_MMP:
        apply_set_mmp(w, command)
    elif kind == CommandKind.BLOCK_TRADE:
        apply_block_trade(w, command, items)
    elif kind == CommandKind.PLACE_TRIGGER:
        apply_place_trigger(w, command)
    elif kind == CommandKind.PROTECT:
        apply_protect(w, command)
    else:
        apply_market_command(w, command, items)
    fire_ready(w, command["time_ns"])


@kernel_inner
def is_in_combo(w: World, command: Record) -> bool:
    """Whether a command may match an order in a combo: no order in one waits, nor does a TICK match any.
    [COMBO-4]
    """
    number = NONE
    if command["kind"] == CommandKind.PLACE:
        number = command["instrument"]
    elif command["kind"] == CommandKind.REPLACE:
        slot = find_slot(w.order_entries, command["order_id"])
        if slot != NONE:
            number = w.orders[slot]["instrument"]
    return bool(number >= 0 and number < w.house[0]["instrument_count"] and is_combo(w, number))


@kernel
def count_events_max(w: World, command: Record) -> int:
    """Return how many events a command can cause by the orders, positions and quotes that there are."""
    house = w.house[0]
    orders = 1 + w.orders.shape[0] - house["free_order_count"]
    orders += w.waiting.shape[0] - house["free_waiting_count"]
    if command["kind"] == CommandKind.TICK:
        positions = w.positions.shape[0] - house["free_position_count"]
        total = orders * EVENTS_PER_ORDER_TICK + positions * EVENTS_PER_POSITION
        return int(total + house["account_count"] * EVENTS_PER_ACCOUNT)
    per_order = EVENTS_PER_COMBO_ORDER if is_in_combo(w, command) else EVENTS_PER_ORDER
    return int(orders * per_order + command["item_count"] * EVENTS_PER_QUOTE)


@kernel
def apply_commands(w: World, commands: Array, items: Array, start: int, event_reserve: int) -> int:
    """Apply commands from `start` until the last, or until the event buffer might not hold the next one's
    events: `event_reserve`, and those of its orders.

    Returns the place of the first command not applied. The caller drains the events, makes room if there
    were none, and comes back with the rest.
    """
    for i in range(start, commands.shape[0]):
        reserve = event_reserve + count_events_max(w, commands[i])
        if w.house[0]["event_count"] + reserve > w.events.shape[0]:
            return i
        if JIT_ENABLED:
            prefetch_ahead(w, commands, i)
        apply_command(w, commands[i], items)
    return int(commands.shape[0])
