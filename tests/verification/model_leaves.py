"""The naive model's state as the leaves of docs/law/state.md, to compare with the replayer's."""

from dataclasses import astuple
from typing import Any

from novate.verification import tree
from novate.verification.state import State

ORDER_FIELDS = (
    "order_id account instrument side time_in_force price_ticks lots priority flags display_lots "
    "visible_lots valid_until_ns label link group volatility_bp"
)
WAITING_FIELDS = (
    "order_id account instrument side time_in_force price_ticks lots flags display_lots valid_until_ns "
    "label link reference condition trigger_atoms trail_atoms parent_id"
)
INSTRUMENT_FIELDS = (
    "underlying kind strike_atoms expiry_ns state mark_atoms settlement_atoms forward_atoms last_ticks "
    "rate_e9 accrual"
)
HOUSE_FIELDS = (
    "next_order_id fees_atoms deposit_cursor deposited_atoms withdrawn_atoms withdrawal_count "
    "operator_nonce insurance_atoms"
)


def pick(record: Any, fields: str) -> tuple[Any, ...]:
    """Some fields of a record, in their order."""
    return tuple(getattr(record, name) for name in fields.split())


def list_account(account: Any) -> list[int]:
    """[STATE-2]."""
    held = sorted((number, *astuple(p)) for number, p in account.positions.items() if p.lots)
    timer = [account.tier, account.dead_man_ns, account.cancel_on_disconnect]
    stage = [account.liquidation_stage, account.liquidation_count, account.warned, account.demand_e6]
    family = [account.owner, account.subaccount, account.retired_nonce]
    elements = [
        int(account.address, 16),
        account.cash_atoms,
        account.nonce,
        *timer,
        *stage,
        *family,
        len(held),
    ]
    for row in held:
        elements.extend(row)
    for number, group in sorted(account.groups.items()):
        elements.extend((number, *astuple(group)))
    for place, key in sorted(account.keys.items()):
        address, *figures = astuple(key)
        elements.extend((place, int(address, 16), *figures))
    return elements


def list_oracles(model: Any) -> list[int]:
    """[STATE-5]."""
    elements = []
    for underlying in model.underlyings:
        elements += [underlying.index_atoms, underlying.confidence_e6, underlying.index_time_ns or 0]
    for series in model.series:
        surface = series.surface
        numbers = [*surface.numbers(), series.reference_index] if surface else [0] * 8
        elements += [series.expiry_ns, *numbers, series.twap_sum, series.twap_ms]
    return elements


def compare_leaves(model: Any, state: State) -> None:
    """Assert that model and replayer would write the same leaves, house and oracles included."""
    for expected, found in zip(model.accounts, state.accounts, strict=True):
        assert list_account(expected) == tree.list_account_elements(found)
    orders = {order.slot: pick(order, ORDER_FIELDS) for order in model.orders.values()}
    assert orders == {slot: tree.list_order_elements(order) for slot, order in state.slots.items()}
    waiting = {order.slot: pick(order, WAITING_FIELDS) for order in model.waiting.values()}
    assert waiting == {slot: tree.list_waiting_elements(w) for slot, w in state.waiting_slots.items()}
    for expected, instrument in zip(model.instruments, state.instruments, strict=True):
        legs = [element for leg in expected.legs for element in leg]
        leaf = (*pick(expected, INSTRUMENT_FIELDS), expected.funded_ns or 0, *legs)
        assert leaf == tree.list_instrument_elements(instrument)
    assert list_oracles(model) == tree.list_oracle_elements(state)
    slices = [underlying.slice_notional_atoms for underlying in model.underlyings]
    house = [model.house.batch, state.sequence, model.time_ns, *pick(model.house, HOUSE_FIELDS), *slices]
    assert house == tree.list_house_elements(state)
