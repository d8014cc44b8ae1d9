"""The state tree over the replayer's state: which leaves changed, what they say, and the root.

Verifies [STATE-1] to [STATE-8].
"""

from collections.abc import Sequence

import numpy as np

from novate.protocol.command import NO_ACCOUNT
from novate.protocol.generated.poseidon2_constants import P
from novate.protocol.merkle import SparseTree
from novate.protocol.poseidon2_kernel import compress_batch, hash_elements_batch, join_limbs, split_limbs
from novate.verification.key_records import SessionKey
from novate.verification.order_records import Order, WaitingOrder
from novate.verification.state import Account, Group, Instrument, State

ROOT_DOMAIN, ACCOUNT_DOMAIN, ORDER_DOMAIN, INSTRUMENT_DOMAIN, ORACLE_DOMAIN, HOUSE_DOMAIN = range(1, 7)
WAITING_DOMAIN = 7
ACCOUNTS_DEPTH = ORDERS_DEPTH = WAITING_DEPTH = 10
INSTRUMENTS_DEPTH = 7
RATE = 3


def hash_list(domain: int, elements: Sequence[int]) -> int:
    """Return `hash_elements` of a long list, one machine-word compression at a time [STATE-TREE-3]."""
    padded = [element % P for element in elements] + [0] * (-len(elements) % RATE)
    groups = np.array([split_limbs(element) for element in padded], np.uint64).reshape(-1, RATE, 4)
    inputs = np.zeros((1, RATE + 1, 4), np.uint64)
    digest = np.array([split_limbs(domain)], np.uint64)
    for group in groups:
        inputs[0, 0] = digest[0]
        inputs[0, 1:] = group
        compress_batch(inputs, digest)
    inputs[0] = 0
    inputs[0, 0] = digest[0]
    inputs[0, 1, 0] = len(elements)
    compress_batch(inputs, digest)
    return join_limbs(digest[0])


def list_account_elements(account: Account) -> list[int]:
    """Return the elements of an account's leaf [STATE-2]."""
    held = sorted(
        (number, position.lots, position.cost_atoms)
        for holdings in account.holdings
        for number, position in holdings.items()
        if position.lots
    )
    elements = [
        int.from_bytes(account.address, "big"),
        account.cash_atoms,
        account.nonce,
        account.tier,
        account.dead_man_ns,
        account.cancel_on_disconnect,
        account.stage,
        account.stage_ticks,
        account.warned,
        account.demand_e6,
        account.owner.number if account.owner else NO_ACCOUNT,
        account.subaccount,
        account.retired_nonce,
        len(held),
    ]
    for row in held:
        elements.extend(row)
    for number in sorted(account.groups):
        elements.extend(list_group_elements(account.groups[number]))
    for key in sorted(account.keys.values(), key=lambda key: key.place):
        elements.extend(list_key_elements(key))
    return elements


def list_group_elements(group: Group) -> tuple[int, ...]:
    """Return what an account's leaf says of one group [STATE-2]."""
    return (
        group.number,
        group.underlying,
        group.window_ns,
        group.frozen_ns,
        group.quantity_limit_lots,
        group.delta_limit_atoms,
        group.vega_limit_atoms,
        group.window_start_ns,
        group.filled_lots,
        group.delta_atoms,
        group.vega_atoms,
        group.frozen_until_ns,
    )


def list_key_elements(key: SessionKey) -> tuple[int, ...]:
    """Return what an account's leaf says of one active session key [STATE-2]."""
    address = int.from_bytes(key.address, "big")
    return (key.place, address, *key.figures, key.nonce, key.window_start_ns, key.window_count)


def list_order_elements(order: Order) -> tuple[int, ...]:
    """Return the elements of an open order's leaf [STATE-3]."""
    return (
        order.order_id,
        order.account.number,
        order.instrument.number,
        order.side,
        order.time_in_force,
        order.price_ticks,
        order.lots,
        order.priority,
        order.terms.flags,
        order.terms.display_lots,
        order.visible_lots,
        order.terms.valid_until_ns,
        order.terms.label,
        order.terms.link,
        order.group,
        order.volatility_bp,
    )


def list_waiting_elements(order: WaitingOrder) -> tuple[int, ...]:
    """Return the elements of a waiting order's leaf [STATE-8]."""
    terms = order.terms
    return (
        order.order_id,
        order.account.number,
        order.instrument.number,
        terms.side,
        terms.time_in_force,
        terms.price_ticks,
        terms.lots,
        terms.flags,
        terms.display_lots,
        terms.valid_until_ns,
        terms.label,
        terms.link,
        order.reference,
        order.condition,
        order.trigger_atoms,
        order.trail_atoms,
        order.parent_id,
    )


def list_instrument_elements(instrument: Instrument) -> tuple[int, ...]:
    """Return the elements of an instrument's leaf, the legs of a combo at its end [STATE-4] [COMBO-8]."""
    legs = [(leg.number, ratio) for leg, ratio in instrument.parts] if instrument.is_combo else []
    return (
        instrument.underlying,
        instrument.kind,
        instrument.strike_atoms,
        instrument.expiry_ns,
        instrument.state,
        instrument.mark_atoms,
        instrument.settlement_atoms,
        instrument.forward_atoms,
        instrument.last_ticks,
        instrument.rate_e9,
        instrument.accrual,
        instrument.funded_ns,
        *(element for leg in legs for element in leg),
    )


def list_oracle_elements(state: State) -> list[int]:
    """Return the elements of the oracle root [STATE-5]."""
    elements: list[int] = []
    for market in state.markets:
        elements += [market.index_atoms, market.confidence_e6, market.index_time_ns]
    for series in state.series:
        surface = [*series.surface.numbers, series.reference_index] if series.surface else [0] * 8
        elements += [series.expiry_ns, *surface, series.twap_sum, series.twap_ms]
    return elements


def list_house_elements(state: State) -> list[int]:
    """Return the elements of the house leaf; time is zero before any command [STATE-6] [STATE-7]."""
    return [
        state.batch,
        state.sequence,
        state.time_ns or 0,
        state.next_order_id,
        state.fees_atoms,
        state.deposit_cursor,
        state.deposited_atoms,
        state.withdrawn_atoms,
        state.withdrawal_count,
        state.operator_nonce,
        state.insurance_atoms,
        *(market.slice_notional_atoms for market in state.markets),
    ]


class StateTree:
    """The four sparse trees, kept up to date leaf by leaf."""

    def __init__(self) -> None:
        self.accounts = SparseTree(ACCOUNTS_DEPTH)
        self.orders = SparseTree(ORDERS_DEPTH)
        self.instruments = SparseTree(INSTRUMENTS_DEPTH)
        self.waiting = SparseTree(WAITING_DEPTH)

    def compute_root(self, state: State) -> bytes:
        """Write the leaves that changed since the last call and return the state root [STATE-1]."""
        self._update_accounts(state)
        self._update_orders(state)
        self._update_instruments(state)
        self._update_waiting(state)
        parts = [
            self.accounts.root,
            self.orders.root,
            self.instruments.root,
            hash_list(ORACLE_DOMAIN, list_oracle_elements(state)),
            hash_list(HOUSE_DOMAIN, list_house_elements(state)),
            self.waiting.root,
        ]
        return hash_list(ROOT_DOMAIN, parts).to_bytes(32, "big")

    def marks_root(self) -> bytes:
        """Return the instruments' root as of the last `compute_root` [STATE-4]."""
        return self.instruments.root.to_bytes(32, "big")

    def _update_accounts(self, state: State) -> None:
        numbers = sorted(state.dirty_accounts)
        leaves = [
            hash_list(ACCOUNT_DOMAIN, list_account_elements(state.accounts[number])) for number in numbers
        ]
        self.accounts.update_many(numbers, leaves)
        state.dirty_accounts.clear()

    def _update_orders(self, state: State) -> None:
        rows = {
            slot: list_order_elements(state.slots[slot])
            for slot in sorted(state.dirty_slots)
            if slot in state.slots
        }
        write_slots(self.orders, ORDER_DOMAIN, rows, state.dirty_slots)

    def _update_waiting(self, state: State) -> None:
        rows = {
            slot: list_waiting_elements(state.waiting_slots[slot])
            for slot in sorted(state.dirty_waiting_slots)
            if slot in state.waiting_slots
        }
        write_slots(self.waiting, WAITING_DOMAIN, rows, state.dirty_waiting_slots)

    def _update_instruments(self, state: State) -> None:
        numbers = sorted(state.dirty_instruments)
        rows = {number: list_instrument_elements(state.instruments[number]) for number in numbers}
        for width in sorted({len(row) for row in rows.values()}):  # Equal lengths are hashed together.
            alike = [number for number in numbers if len(rows[number]) == width]
            write_leaves(self.instruments, INSTRUMENT_DOMAIN, alike, [rows[number] for number in alike])
        state.dirty_instruments.clear()


def write_slots(tree: SparseTree, domain: int, rows: dict[int, tuple[int, ...]], dirty: set[int]) -> None:
    """Write the leaves of used slots, zeros for the other dirty ones, and forget what was dirty."""
    write_leaves(tree, domain, list(rows), list(rows.values()))
    empty = sorted(dirty - rows.keys())
    tree.update_many(empty, [0] * len(empty))
    dirty.clear()


def write_leaves(tree: SparseTree, domain: int, indices: list[int], rows: list[tuple[int, ...]]) -> None:
    """Hash rows of int64 elements in one batch and write them as leaves."""
    if not indices:
        return
    leaves = np.zeros((len(indices), 4), np.uint64)
    hash_elements_batch(domain, np.array(rows, np.int64), leaves)
    tree.update_limbs(indices, leaves)
