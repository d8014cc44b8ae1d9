"""Combos as instruments: their listing, their marks and their end.

What an order in one does to its account is in order_positions.py. Implements [COMBO-1], [COMBO-3] and
[COMBO-7].
"""

from typing import Any

from novate.execution.events import emit, emit_result
from novate.execution.judging import verify_instrument
from novate.execution.market import verify_operator
from novate.execution.open_orders import cancel_orders_in
from novate.execution.order_positions import count_legs, is_combo
from novate.execution.tables import NONE, Array, World
from novate.kernel import kernel_inner
from novate.protocol.arithmetic import div_ceil
from novate.protocol.combos import compute_common_divisor, is_lawful_ratio
from novate.protocol.generated.codes import CancelReason, Code, EventKind, InstrumentKind, InstrumentState
from novate.protocol.generated.constants import (
    COMBO_LEG_COUNT_MAX,
    COMBO_TICK_OFFSET,
    NO_MARK_ATOMS,
    SCENARIO_COUNT,
)
from novate.protocol.margin import add_position_effect
from novate.protocol.novation import is_option

Record = Any


@kernel_inner
def is_lawful_leg(w: World, number: int, underlying: int, time_ns: int) -> bool:
    """Whether an instrument may be a leg: open, no combo, and of the underlying. [COMBO-1]"""
    if verify_instrument(w, number, time_ns) != Code.OK or is_combo(w, number):
        return False
    return bool(w.instruments[number]["underlying"] == underlying)


@kernel_inner
def are_lawful_legs(w: World, command: Record, items: Array) -> bool:
    """Whether a LIST_COMBO names legs that can be one. [COMBO-1]"""
    first, count, time_ns = command["first_item"], command["item_count"], command["time_ns"]
    if count < 2 or count > COMBO_LEG_COUNT_MAX or items[first]["ratio"] < 1:
        return False
    if verify_instrument(w, items[first]["instrument"], time_ns) != Code.OK:
        return False
    underlying = w.instruments[items[first]["instrument"]]["underlying"]
    divisor = 0
    for i in range(first, first + count):
        number, ratio = items[i]["instrument"], items[i]["ratio"]
        if not is_lawful_ratio(ratio) or not is_lawful_leg(w, number, underlying, time_ns):
            return False
        if i > first and number <= items[i - 1]["instrument"]:
            return False
        divisor = compute_common_divisor(divisor, abs(ratio))
    return bool(divisor == 1)


@kernel_inner
def has_legs(w: World, number: int, command: Record, items: Array) -> bool:
    """Whether a combo has exactly the legs that a command names."""
    if count_legs(w, number) != command["item_count"]:
        return False
    for k in range(command["item_count"]):
        item = items[command["first_item"] + k]
        if w.legs[number, k, 0] != item["instrument"] or w.legs[number, k, 1] != item["ratio"]:
            return False
    return True


@kernel_inner
def verify_combo(w: World, command: Record, items: Array) -> Code:
    """Return the code of a LIST_COMBO from the operator. [COMBO-1]"""
    if not are_lawful_legs(w, command, items):
        return Code.INSTRUMENT_INVALID
    for i in range(w.house[0]["instrument_count"]):
        if is_combo(w, i) and has_legs(w, i, command, items):
            return Code.INSTRUMENT_EXISTS
    full = w.house[0]["instrument_count"] >= w.instruments.shape[0]
    return Code.INSTRUMENT_TABLE_FULL if full else Code.OK


@kernel_inner
def write_terms(w: World, number: int) -> None:
    """Derive the terms of a combo from its legs. [COMBO-1]"""
    instrument, first = w.instruments[number], w.instruments[w.legs[number, 0, 0]]
    market = w.markets[first["underlying"]]
    expiry_ns, has_option = 0, False
    for k in range(count_legs(w, number)):
        leg = w.instruments[w.legs[number, k, 0]]
        has_option = has_option or is_option(leg["kind"])
        # A perpetual has no expiry; two legs are never both perpetuals.
        if leg["expiry_ns"] != 0 and (expiry_ns == 0 or leg["expiry_ns"] < expiry_ns):
            expiry_ns = leg["expiry_ns"]
    instrument["underlying"] = first["underlying"]
    instrument["kind"] = InstrumentKind.COMBO
    instrument["strike_atoms"] = 0
    instrument["expiry_ns"] = expiry_ns
    instrument["state"] = InstrumentState.OPEN
    instrument["tick_offset"] = COMBO_TICK_OFFSET
    instrument["dirty"] = 1
    if has_option:
        instrument["lots_per_unit"] = market["option_lots_per_unit"]
        instrument["tick_atoms"] = market["option_tick_atoms"]
    else:
        instrument["lots_per_unit"] = market["perpetual_lots_per_unit"]
        instrument["tick_atoms"] = market["perpetual_tick_atoms"]


@kernel_inner
def apply_list_combo(w: World, command: Record, items: Array) -> None:
    """LIST_COMBO. [COMBO-1]"""
    code = verify_operator(w, command)
    if code == Code.OK:
        code = verify_combo(w, command, items)
    emit_result(w, code, NONE, 0)
    if code != Code.OK:
        return
    house = w.house[0]
    number = house["instrument_count"]
    house["instrument_count"] += 1
    for k in range(command["item_count"]):
        item = items[command["first_item"] + k]
        w.legs[number, k, 0] = item["instrument"]
        w.legs[number, k, 1] = item["ratio"]
    write_terms(w, number)
    event = emit(w, EventKind.LISTED)
    event["instrument"] = number


@kernel_inner
def has_marked_legs(w: World, number: int) -> bool:
    """Whether every leg of a combo has a mark. [COMBO-3]"""
    for k in range(count_legs(w, number)):
        if w.instruments[w.legs[number, k, 0]]["mark_atoms"] == NO_MARK_ATOMS:
            return False
    return True


@kernel_inner
def add_leg_mark(w: World, number: int, leg: int, ratio: int) -> None:
    """Add a leg's figures to those of its combo. [COMBO-3]"""
    instrument, part = w.instruments[number], w.instruments[leg]
    instrument["mark_atoms"] += ratio * part["mark_atoms"]
    instrument["delta_atoms"] += ratio * part["delta_atoms"]
    instrument["vega_atoms"] += ratio * part["vega_atoms"]
    instrument["taker_fee_atoms"] += abs(ratio) * part["taker_fee_atoms"]
    instrument["band_atoms"] += abs(ratio) * part["band_atoms"]
    add_position_effect(w.rows[number], w.rows[leg], ratio)


@kernel_inner
def mark_combo(w: World, number: int) -> bool:
    """Renew mark, row, Greeks, fee bound, band and notional of an open combo; False if a leg has no mark
    yet. [COMBO-3] [COMBO-4]
    """
    if not has_marked_legs(w, number):
        return False
    instrument = w.instruments[number]
    index_atoms = w.markets[instrument["underlying"]]["index_atoms"]
    instrument["mark_atoms"] = 0
    instrument["delta_atoms"] = 0
    instrument["vega_atoms"] = 0
    instrument["taker_fee_atoms"] = 0
    instrument["band_atoms"] = 0
    for s in range(SCENARIO_COUNT):
        w.rows[number, s] = 0
    for k in range(count_legs(w, number)):
        add_leg_mark(w, number, w.legs[number, k, 0], w.legs[number, k, 1])
    instrument["notional_atoms"] = div_ceil(index_atoms, instrument["lots_per_unit"])
    instrument["dirty"] = 1
    return True


@kernel_inner
def mark_combos(w: World, underlying: int) -> int:
    """Mark the open combos of an underlying whose other instruments are marked, and return how many have a
    mark. [COMBO-3]
    """
    count = 0
    for i in range(w.house[0]["instrument_count"]):
        instrument = w.instruments[i]
        mine = instrument["kind"] == InstrumentKind.COMBO and instrument["underlying"] == underlying
        if mine and instrument["state"] == InstrumentState.OPEN and mark_combo(w, i):
            count += 1
    return count


@kernel_inner
def has_leg_in(w: World, number: int, series: int) -> bool:
    """Whether a combo has a leg in a series."""
    found = False
    for k in range(count_legs(w, number)):
        found = found or w.instruments[w.legs[number, k, 0]]["series"] == series
    return found


@kernel_inner
def expire_combos(w: World, series: int) -> None:
    """End every open combo that has a leg in a series, with its orders, in ascending number. [COMBO-7]"""
    for i in range(w.house[0]["instrument_count"]):
        instrument = w.instruments[i]
        if instrument["kind"] != InstrumentKind.COMBO or instrument["state"] != InstrumentState.OPEN:
            continue
        if not has_leg_in(w, i, series):
            continue
        cancel_orders_in(w, i, CancelReason.INSTRUMENT_EXPIRED)
        instrument["state"] = InstrumentState.EXPIRED
        instrument["mark_atoms"] = NO_MARK_ATOMS
        instrument["dirty"] = 1
        event = emit(w, EventKind.EXPIRED)
        event["instrument"] = i
