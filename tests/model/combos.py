"""[COMBO-*]: packages of instruments that trade as one, and what becomes of their legs."""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING, Any

from . import fees, margin, novation, venue
from .book import end_order
from .records import (
    BUY,
    CALL,
    COMBO,
    EXPIRED,
    LIMITS,
    NO_MARK,
    OPEN,
    PERPETUAL,
    PUT,
    SELL,
    Account,
    Instrument,
    Order,
    require,
)

if TYPE_CHECKING:
    from .model import Model

Command = dict[str, Any]
Legs = tuple[tuple[int, int], ...]


def list_combo(model: Model, command: Command) -> tuple[int, int]:
    """[COMBO-1]."""
    model.authenticate_operator(command)
    legs: Legs = tuple((number, ratio) for number, ratio in command["items"])
    require(_legs_fit(model, legs), "INSTRUMENT_INVALID")
    require(all(instrument.legs != legs for instrument in model.instruments), "INSTRUMENT_EXISTS")
    require(len(model.instruments) < model.limits["instruments"], "INSTRUMENT_TABLE_FULL")
    of_legs = [model.instruments[number] for number, _ in legs]
    shape = next((leg for leg in of_legs if leg.kind in (CALL, PUT)), of_legs[0])
    combo = Instrument(
        underlying=shape.underlying,
        kind=COMBO,
        strike_atoms=0,
        expiry_ns=min(leg.expiry_ns for leg in of_legs if leg.kind != PERPETUAL),
        series=-1,
        lots_per_unit=shape.lots_per_unit,
        tick_atoms=shape.tick_atoms,
        legs=legs,
    )
    venue.add_instrument(model, combo)
    return -1, 0


def _legs_fit(model: Model, legs: Legs) -> bool:
    """What INSTRUMENT_INVALID stands for."""
    numbers, ratios = [number for number, _ in legs], [ratio for _, ratio in legs]
    if not 2 <= len(legs) <= LIMITS["COMBO_LEG_COUNT_MAX"]:
        return False
    if not all(a < b for a, b in itertools.pairwise(numbers)):
        return False
    if numbers[0] < 0 or numbers[-1] >= len(model.instruments):
        return False
    of_legs = [model.instruments[number] for number in numbers]
    for leg in of_legs:
        past = leg.kind != PERPETUAL and model.time_ns >= leg.expiry_ns
        if leg.state != OPEN or past or leg.kind == COMBO or leg.underlying != of_legs[0].underlying:
            return False
    in_range = all(1 <= abs(ratio) <= LIMITS["COMBO_RATIO_MAX"] for ratio in ratios)
    return in_range and ratios[0] > 0 and math.gcd(*ratios) == 1


def mark(model: Model, instrument: Instrument) -> bool:
    """[COMBO-3], after the marks of the legs; False if one of them has none."""
    legs = [(model.instruments[number], ratio) for number, ratio in instrument.legs]
    if not all(leg.has_mark for leg, _ in legs):
        return False
    instrument.mark_atoms = sum(ratio * leg.mark_atoms for leg, ratio in legs)
    columns = zip(*(leg.rows for leg, _ in legs), strict=True)
    ratios = [ratio for _, ratio in legs]
    instrument.rows = [sum(map(int.__mul__, ratios, column)) for column in columns]
    instrument.basis = [0] * LIMITS["BASIS_COUNT"]
    instrument.delta_atoms = sum(ratio * leg.delta_atoms for leg, ratio in legs)
    instrument.vega_atoms = sum(ratio * leg.vega_atoms for leg, ratio in legs)
    instrument.taker_fee_atoms = sum(abs(ratio) * leg.taker_fee_atoms for leg, ratio in legs)
    index_atoms = model.underlyings[instrument.underlying].index_atoms
    instrument.notional_atoms = -(-index_atoms // instrument.lots_per_unit)
    margin.forget(instrument)
    return True


def missing_records(model: Model, account: Account, instruments: list[int]) -> int:
    """[NOVATE-5]: how many of the instruments the account has no position record in."""
    return len(set(instruments) - records(model, account))


def records(model: Model, account: Account) -> set[int]:
    """[NOVATE-5]: the instruments in which the account has a position record."""
    found = set(account.positions)
    for number in {order.instrument for order in account.orders.values()}:
        found.update(parts(model, number))
    return found


def parts(model: Model, number: int) -> list[int]:
    """What is held by who trades the instrument: itself, or a combo's legs."""
    legs = model.instruments[number].legs
    return [leg for leg, _ in legs] if legs else [number]


def fill(model: Model, taker: Order, maker: Order, lots: int) -> None:
    """[COMBO-6] after the FILL: both sides trade the legs at their marks and settle the rest in cash."""
    combo = model.instruments[taker.instrument]
    told = []
    at_marks = 0
    for number, ratio in combo.legs:
        leg = model.instruments[number]
        at_marks += ratio * leg.mark_atoms
        signed_lots = lots * ratio * (1 if taker.side == BUY else -1)
        novation.trade(model, model.accounts[taker.account], number, signed_lots, leg.mark_atoms)
        novation.trade(model, model.accounts[maker.account], number, -signed_lots, leg.mark_atoms)
        told.append((number, signed_lots, leg.mark_atoms))
    paid = lots * (combo.limit_atoms(maker.price_ticks) - at_marks) * (1 if taker.side == BUY else -1)
    model.accounts[taker.account].cash_atoms -= paid
    model.accounts[maker.account].cash_atoms += paid
    for number, signed_lots, mark_atoms in told:
        model.emit(
            "LEG",
            account=taker.account,
            order_id=taker.order_id,
            instrument=number,
            side=BUY if signed_lots > 0 else SELL,
            lots=abs(signed_lots),
            maker_account=maker.account,
            maker_order_id=maker.order_id,
            amount_atoms=mark_atoms,
        )


def fees_per_lot(model: Model, taker: Account, maker: Account, combo: Instrument) -> tuple[int, int]:
    """[COMBO-6]: the taker's and the maker's fee for one lot of the combo, from its legs at their marks."""
    taker_fee = maker_fee = 0
    for number, ratio in combo.legs:
        leg = model.instruments[number]
        one, other = fees.per_lot(model, taker, maker, leg, leg.mark_atoms)
        taker_fee += abs(ratio) * one
        maker_fee += abs(ratio) * other
    return taker_fee, maker_fee


def end_of_series(model: Model, series: int) -> None:
    """[COMBO-7]: combos with a leg in the series end before its instruments."""
    for number, combo in enumerate(model.instruments):
        if combo.state != OPEN or not any(model.instruments[leg].series == series for leg, _ in combo.legs):
            continue
        resting = [order for side in model.books[number] for order in side]
        for order in sorted(resting, key=lambda order: order.order_id):
            end_order(model, order, "INSTRUMENT_EXPIRED")
        combo.state, combo.mark_atoms = EXPIRED, NO_MARK
        combo.rows, combo.basis = [], []
        margin.forget(combo)
        model.emit("EXPIRED", instrument=number)
