"""What holds in every state of the model, whatever the commands were; [CASH-3] first of all."""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import orders
from .records import GTC, LIMITS, LINEAR, PERPETUAL, POST_ONLY, Account

if TYPE_CHECKING:
    from .model import Model


def check(model: Model) -> None:
    """Assert that money, lots, books, slots, waiting orders and groups add up."""
    _check_money(model)
    _check_books(model)
    _check_slots(model)
    for account in model.accounts:
        _check_groups(account)


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
