"""[BLOCK-*]: two accounts trade several instruments with each other at once, beside the books."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

from . import combos, fees, keys, margin, novation, orders
from .records import BUY, COMBO, LIMITS, SELL, STAGES, Account, Instrument, Key, require

if TYPE_CHECKING:
    from .model import Model

Command = dict[str, Any]


class Leg(NamedTuple):
    """One leg as the account sees it."""

    number: int
    side: int
    lots: int
    price_ticks: int


class Party(NamedTuple):
    """One side: number and record, the key that signed for it, and +1 for the account, -1 for the other."""

    number: int
    account: Account
    key: Key | None
    sign: int


def block_trade(model: Model, command: Command) -> tuple[int, int]:
    """[BLOCK-1] and [BLOCK-2]."""
    number, account = model.authenticate(command)
    subject = command["subject"], command["cosigner"]
    counter, counter_key = keys.authenticate(model, command, *subject, "counter_nonce")
    taker = Party(number, account, model.key, 1)
    maker = Party(counter, model.accounts[counter], counter_key, -1)
    for party in (taker, maker):
        require(party.account.liquidation_stage == STAGES["NONE"], "IN_LIQUIDATION")
    legs = [Leg(*item) for item in command["items"]]
    require(1 <= len(legs) <= LIMITS["BLOCK_LEG_COUNT_MAX"], "COMMAND_MALFORMED")
    require(all(a.number < b.number for a, b in itertools.pairwise(legs)), "COMMAND_MALFORMED")
    require(all(leg.side in (BUY, SELL) for leg in legs), "COMMAND_MALFORMED")
    require(number != counter, "BLOCK_INVALID")
    for leg in legs:
        _check_leg(model, leg)
    _check_room(model, (taker, maker), legs)
    costs = [_fees(model, taker, maker, leg) for leg in legs]
    _fill_and_check(model, (taker, maker), legs, costs)
    order_id = model.house.next_order_id
    model.house.next_order_id += 1
    for leg, cost in zip(legs, costs, strict=True):
        fees.credit(model, sum(cost))
        model.emit(
            "FILL",
            account=number,
            order_id=order_id,
            instrument=leg.number,
            side=leg.side,
            price_ticks=leg.price_ticks,
            lots=leg.lots,
            maker_account=counter,
            maker_order_id=order_id,
            amount_atoms=cost[0],
            maker_amount_atoms=cost[1],
        )
    return number, order_id


def _check_leg(model: Model, leg: Leg) -> None:
    """What [BLOCK-1] asks of each leg in order."""
    require(0 <= leg.number < len(model.instruments), "INSTRUMENT_NOT_FOUND")
    instrument = model.instruments[leg.number]
    orders.check_open(model, instrument)
    require(instrument.kind != COMBO, "BLOCK_INVALID")
    require(leg.lots >= 1, "SIZE_NOT_POSITIVE")
    require(leg.lots <= LIMITS["ORDER_LOTS_MAX"], "SIZE_ABOVE_MAXIMUM")
    require(leg.price_ticks >= 1, "PRICE_NOT_POSITIVE")
    require(leg.price_ticks <= LIMITS["PRICE_TICKS_MAX"], "PRICE_ABOVE_MAXIMUM")
    orders.check_market(model, instrument)
    low, high = orders.band(model, instrument)
    require(low <= instrument.limit_atoms(leg.price_ticks) <= high, "PRICE_OUTSIDE_BAND")


def _underlyings(model: Model, legs: list[Leg]) -> list[int]:
    return sorted({model.instruments[leg.number].underlying for leg in legs})


def _check_room(model: Model, parties: tuple[Party, Party], legs: list[Leg]) -> None:
    """TABLE_FULL and GROSS_LIMIT."""
    numbers = [leg.number for leg in legs]
    missing = sum(combos.missing_records(model, party.account, numbers) for party in parties)
    require(orders.position_records(model) + missing <= model.limits["positions"], "TABLE_FULL")
    for party in parties:
        for underlying in _underlyings(model, legs):
            mine = [leg.lots for leg in legs if model.instruments[leg.number].underlying == underlying]
            gross = margin.gross_lots(model, party.account, underlying)
            require(gross + sum(mine) <= LIMITS["GROSS_LOTS_MAX"], "GROSS_LIMIT")


def _fees(model: Model, taker: Party, maker: Party, leg: Leg) -> tuple[int, int]:
    """Both sides' fees for the whole leg; there are no rebates."""
    instrument: Instrument = model.instruments[leg.number]
    value = instrument.limit_atoms(leg.price_ticks)
    one, other = fees.per_lot(model, taker.account, maker.account, instrument, value)
    return leg.lots * one, leg.lots * max(0, other)


def _fill_and_check(
    model: Model, parties: tuple[Party, Party], legs: list[Leg], costs: list[tuple[int, int]]
) -> None:
    """Trade every leg; if a limit or a margin is then not kept, put everything back and refuse."""
    undo = [_remember(party.account) for party in parties]
    before = [
        {u: keys.measure(model, party.account, u).notional for u in _underlyings(model, legs)}
        for party in parties
    ]
    for leg, cost in zip(legs, costs, strict=True):
        value = model.instruments[leg.number].limit_atoms(leg.price_ticks)
        for party, fee in zip(parties, cost, strict=True):
            novation.trade(model, party.account, leg.number, _signed(party, leg), value)
            party.account.cash_atoms -= fee
    for party, notional in zip(parties, before, strict=True):
        signed_legs = [(leg.number, _signed(party, leg)) for leg in legs]
        code = ""
        if not keys.block_within(model, party.account, signed_legs, party.key, notional):
            code = "KEY_LIMIT"
        elif not margin.passes(model, party.account):
            code = "INITIAL_MARGIN_INSUFFICIENT"
        if code:
            for restore in undo:
                restore()
            require(False, code)


def _signed(party: Party, leg: Leg) -> int:
    return party.sign * leg.lots * (1 if leg.side == BUY else -1)


def _remember(account: Account) -> Callable[[], None]:
    """What puts the account's cash and positions back."""
    cash = account.cash_atoms
    positions = {number: dataclasses.replace(position) for number, position in account.positions.items()}

    def restore() -> None:
        account.cash_atoms, account.positions = cash, positions

    return restore
