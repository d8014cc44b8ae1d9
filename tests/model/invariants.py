"""What holds in every state of the model, whatever the commands were; [CASH-3] first of all.

`check_tick` is what holds after a TICK: who was below maintenance is in liquidation.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import keys, margin, orders
from .records import (
    COMBO,
    E6,
    GTC,
    KINDS,
    LIMITS,
    LINEAR,
    OPEN,
    PERPETUAL,
    POST_ONLY,
    STAGES,
    Account,
    Instrument,
)

if TYPE_CHECKING:
    from .model import Model

ROLES = ("account", "maker_account")


def check(model: Model) -> None:
    """Assert that money, lots, books, slots, waiting orders and groups add up."""
    _check_money(model)
    _check_books(model)
    _check_slots(model)
    for account in model.accounts:
        _check_groups(account)
        _check_liquidation(model, account)
        _check_keys(model, account)
    for instrument in model.instruments:
        _check_combo(model, instrument)


def _check_keys(model: Model, account: Account) -> None:
    """Keys have places of their own and addresses that are nobody else's; owners have no owners."""
    assert account.keys.keys() <= set(range(1, LIMITS["KEY_COUNT"] + 1))
    addresses = [key.address for key in account.keys.values()]
    assert len(addresses) == len(set(addresses))
    assert account.address not in addresses
    for key in account.keys.values():
        assert 1 <= key.scope < 32
        assert (key.window_start_ns == 0) == (key.window_count == 0)
    if account.owner >= 0:
        owner = model.accounts[account.owner]
        assert owner.owner < 0
        assert keys.subaccount_address(owner.address, account.subaccount) == account.address


def _check_combo(model: Model, instrument: Instrument) -> None:
    """Nobody holds a combo; it is open no longer than its legs, and its mark is the sum of theirs."""
    number = model.instruments.index(instrument) if instrument.legs else -1
    assert (instrument.kind == COMBO) == (number >= 0)
    legs = [(model.instruments[leg], ratio) for leg, ratio in instrument.legs]
    if number >= 0:
        assert not any(number in account.positions for account in model.accounts)
        assert instrument.series == -1
    if number >= 0 and instrument.state == OPEN:
        assert all(leg.state == OPEN for leg, _ in legs)
        if instrument.has_mark:
            assert instrument.mark_atoms == sum(ratio * leg.mark_atoms for leg, ratio in legs)


def _check_liquidation(model: Model, account: Account) -> None:
    """An account in liquidation has no orders of any kind; its ticks are counted and do not run out."""
    rules, count = model.parameters, account.liquidation_count
    assert account.warned in (0, 1)
    assert -1 <= account.demand_e6 <= E6
    if account.liquidation_stage == STAGES["NONE"]:
        assert count == 0
        return
    assert not account.orders
    assert not account.waiting
    in_slices = account.liquidation_stage == STAGES["SLICES"]
    assert 0 <= count < rules["slice_tick_count" if in_slices else "auction_tick_count"]


def check_tick(model: Model, events: list[dict[str, int]]) -> None:
    """After a TICK with these events: an account that holds lots, is neither stale nor in liquidation, and is
    below maintenance came there after its turn, by a fill, by being closed against a debtor, or by its debt.
    A backstop that was not touched so has its initial margin.
    """
    kinds = (KINDS["FILL"], KINDS["DELEVERAGED"], KINDS["LOSS_SHARED"])
    touched = {event[role] for event in events if event["kind"] in kinds for role in ROLES}
    for event in events:
        if event["kind"] == KINDS["AUCTION_TAKEN"] and event["maker_account"] not in touched:
            assert margin.passes(model, model.accounts[event["maker_account"]])
    for number, account in enumerate(model.accounts):
        stale = any(model.is_stale(model.instruments[i].underlying) for i in account.positions)
        if stale or number in touched or account.liquidation_stage != STAGES["NONE"]:
            continue
        equity, maintenance = margin.standing(model, account)
        assert not account.positions or equity >= maintenance


def _check_money(model: Model) -> None:
    """[CASH-3], and lots of an instrument sum to zero."""
    house, kinds = model.house, [instrument.kind for instrument in model.instruments]
    held = [item for account in model.accounts for item in account.positions.items()]
    cost = sum(position.cost_atoms for number, position in held if kinds[number] in LINEAR)
    cash = sum(account.cash_atoms for account in model.accounts)
    ours = house.fees_atoms + house.insurance_atoms
    assert cash - cost + ours == house.deposited_atoms - house.withdrawn_atoms
    assert house.fees_atoms >= 0
    assert house.insurance_atoms >= 0
    lots = dict.fromkeys(range(len(kinds)), 0)
    for number, position in held:
        lots[number] += position.lots
        assert position.lots != 0
    assert not any(lots.values())
    for instrument in model.instruments:
        assert 0 <= instrument.accrual < LIMITS["FUNDING_PERIOD_MS"]
        assert instrument.kind == PERPETUAL or instrument.funded_ns is None


def _check_books(model: Model) -> None:
    """Books are ordered and not crossed, and open orders are as they may be."""
    for bids, asks in model.books:
        assert not (bids and asks) or bids[0].price_ticks < asks[0].price_ticks
        assert bids == sorted(bids, key=lambda order: (-order.price_ticks, order.priority))
        assert asks == sorted(asks, key=lambda order: (order.price_ticks, order.priority))
    for order in model.orders.values():
        assert 1 <= order.visible_lots <= order.lots
        assert order.display_lots or order.visible_lots == order.lots
        assert order.time_in_force in (GTC, POST_ONLY)
    assert sum(len(bids) + len(asks) for bids, asks in model.books) == len(model.orders)
    assert orders.position_records(model) <= model.limits["positions"]


def _check_slots(model: Model) -> None:
    """Every slot is free or in use, and every account knows its own orders."""
    slots = [order.slot for order in model.orders.values()] + model.free_slots
    assert sorted(slots) == list(range(model.limits["orders"]))
    slots = [order.slot for order in model.waiting.values()] + model.free_waiting_slots
    assert sorted(slots) == list(range(model.limits["triggers"]))
    assert sorted(model.orders) == sorted(i for account in model.accounts for i in account.orders)
    assert sorted(model.waiting) == sorted(i for account in model.accounts for i in account.waiting)
    assert not model.orders.keys() & model.waiting.keys()


def _check_groups(account: Account) -> None:
    """A group has one quote per instrument and side, and less filled than its limit."""
    quotes = [(o.group, o.instrument, o.side) for o in account.orders.values() if o.group]
    assert len(quotes) == len(set(quotes))
    assert {group for group, _, _ in quotes} <= account.groups.keys()
    for group in account.groups.values():
        assert 0 <= group.filled_lots < group.quantity_limit_lots
        assert group.delta_limit_atoms == 0 or abs(group.filled_delta_atoms) < group.delta_limit_atoms
        assert group.vega_limit_atoms == 0 or abs(group.filled_vega_atoms) < group.vega_limit_atoms
        assert group.filled_lots > 0 or group.filled_delta_atoms == group.filled_vega_atoms == 0
