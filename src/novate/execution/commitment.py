"""The state tree as the engine keeps it: only what changed since the last batch is hashed again.

`collect` copies what changed, so that the writer may go on; `compute` hashes the copy and may run in another
thread. Implements [STATE-1] to [STATE-8] and [COMBO-8].
"""

from typing import Any, NamedTuple

import numpy as np

from novate.execution.engine import Engine, join_address
from novate.execution.tables import NONE
from novate.protocol.merkle import SparseTree
from novate.protocol.oracle import SURFACE
from novate.protocol.poseidon2 import to_field
from novate.protocol.poseidon2_kernel import compress_batch, hash_elements_batch, join_limbs

Array = np.ndarray[Any, np.dtype[Any]]

ACCOUNT_DEPTH = 10
ORDER_DEPTH = 10
INSTRUMENT_DEPTH = 7
FIELD_BYTES, LIMB_COUNT, RATE = 32, 4, 3
DOMAIN_ROOT, DOMAIN_ACCOUNT, DOMAIN_ORDER, DOMAIN_INSTRUMENT, DOMAIN_ORACLE, DOMAIN_HOUSE = 1, 2, 3, 4, 5, 6
DOMAIN_WAITING = 7
ACCOUNT_FIELDS = (
    "cash_atoms",
    "nonce",
    "tier",
    "dead_man_ns",
    "cancel_on_disconnect",
    "liquidation_stage",
    "liquidation_count",
    "warned",
    "demand_e6",
    "owner",
    "subaccount",
    "retired_nonce",
)
GROUP_FIELDS = (
    "underlying",
    "window_ns",
    "frozen_ns",
    "quantity_limit_lots",
    "delta_limit_atoms",
    "vega_limit_atoms",
    "window_start_ns",
    "filled_lots",
    "filled_delta_atoms",
    "filled_vega_atoms",
    "frozen_until_ns",
)
KEY_FIELDS = (
    "scope",
    "key_expires_ns",
    "max_notional_atoms",
    "max_delta_atoms",
    "max_vega_atoms",
    "rate_per_minute",
    "nonce",
    "window_start_ns",
    "window_count",
)
ORDER_FIELDS = (
    "order_id",
    "account",
    "instrument",
    "side",
    "time_in_force",
    "price_ticks",
    "lots",
    "priority",
    "flags",
    "display_lots",
    "visible_lots",
    "valid_until_ns",
    "label",
    "link",
    "group",
    "volatility_bp",
)
WAITING_FIELDS = (
    "order_id",
    "account",
    "instrument",
    "side",
    "time_in_force",
    "price_ticks",
    "lots",
    "flags",
    "display_lots",
    "valid_until_ns",
    "label",
    "link",
    "reference",
    "condition",
    "trigger_atoms",
    "trail_atoms",
    "parent_id",
)
INSTRUMENT_FIELDS = (
    "underlying",
    "kind",
    "strike_atoms",
    "expiry_ns",
    "state",
    "mark_atoms",
    "settlement_atoms",
    "forward_atoms",
    "last_ticks",
    "funding_rate_e9",
    "funding_accrual",
    "funded_ns",
)
MARKET_FIELDS = ("index_atoms", "confidence_e6", "index_time_ns")
SURFACE_FIELDS = (*(SURFACE.names or ()), "reference_index_atoms")
HOUSE_FIELDS = (
    "batch",
    "sequence",
    "time_ns",
    "next_order_id",
    "fees_atoms",
    "deposit_cursor",
    "deposited_atoms",
    "withdrawn_atoms",
    "withdrawal_count",
    "operator_nonce",
    "insurance_atoms",
)


class Changes(NamedTuple):
    """A copy of everything that differs from the last root."""

    accounts: list[int]
    account_elements: list[list[int]]
    orders: list[int]
    order_elements: Array
    waiting: list[int]
    waiting_elements: Array
    instruments: list[int]
    instrument_elements: Array
    combos: list[int]
    combo_elements: list[list[int]]
    oracle_elements: list[int]
    house_elements: list[int]


class Roots(NamedTuple):
    """The state root and the root over instruments, each 32 bytes big-endian."""

    state: bytes
    marks: bytes


def stack_fields(table: Array, names: tuple[str, ...]) -> Array:
    """Return int64[n, k] of some fields of a table."""
    return np.stack([table[name] for name in names], axis=-1).astype(np.int64).reshape(len(table), len(names))


class StateCommitment:
    """The trees of one engine."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.accounts = SparseTree(ACCOUNT_DEPTH)
        self.orders = SparseTree(ORDER_DEPTH)
        self.waiting = SparseTree(ORDER_DEPTH)
        self.instruments = SparseTree(INSTRUMENT_DEPTH)

    def collect(self, everything: bool = False) -> Changes:
        """Copy what changed since the last call (or everything there is) and mark it clean."""
        world = self.engine.world
        house = world.house[0]
        accounts = world.accounts[: int(house["account_count"])]
        orders = world.orders[: int(house["order_high"])]
        waiting = world.waiting[: int(house["waiting_high"])]
        instruments = world.instruments[: int(house["instrument_count"])]
        with_legs = world.legs[: len(instruments), 0, 0] != NONE
        tables = (accounts, orders, waiting, instruments)
        chosen = [np.flatnonzero((table["dirty"] != 0) | everything) for table in tables]
        for table, places in zip(tables, chosen, strict=True):
            table["dirty"][places] = 0
        plain, combos = chosen[3][~with_legs[chosen[3]]], chosen[3][with_legs[chosen[3]]]
        return Changes(
            chosen[0].tolist(),
            [self.list_account(int(i)) for i in chosen[0]],
            chosen[1].tolist(),
            stack_fields(orders[chosen[1]], ORDER_FIELDS),
            chosen[2].tolist(),
            stack_fields(waiting[chosen[2]], WAITING_FIELDS),
            plain.tolist(),
            stack_fields(instruments[plain], INSTRUMENT_FIELDS),
            combos.tolist(),
            [self.list_combo(int(i)) for i in combos],
            self.list_oracle(),
            [int(house[name]) for name in HOUSE_FIELDS] + world.markets["slice_notional_atoms"].tolist(),
        )

    def list_account(self, number: int) -> list[int]:
        """Return the elements of an account's leaf. [STATE-2]"""
        world = self.engine.world
        positions = []
        slot = int(world.accounts[number]["first_position"])
        while slot != NONE:
            position = world.positions[slot]
            if position["lots"] != 0:
                positions.append(tuple(int(position[name]) for name in ("instrument", "lots", "cost_atoms")))
            slot = int(position["next_in_account"])
        account = world.accounts[number]
        elements = [int.from_bytes(self.engine.addresses[number], "big")]
        elements += [*(int(account[name]) for name in ACCOUNT_FIELDS), len(positions)]
        elements += [value for position in sorted(positions) for value in position]
        for place, group in enumerate(world.groups[number]):
            if group["underlying"] != NONE:
                elements += [place + 1, *(int(group[name]) for name in GROUP_FIELDS)]
        for place in np.flatnonzero(world.keys[number]["scope"]).tolist():
            key = world.keys[number, place]
            address = int.from_bytes(join_address(key), "big")
            elements += [place + 1, address, *(int(key[name]) for name in KEY_FIELDS)]
        return elements

    def list_combo(self, number: int) -> list[int]:
        """Return the elements of a combo's leaf, which end with its legs. [STATE-4] [COMBO-8]"""
        record = self.engine.world.instruments[number]
        elements = [int(record[name]) for name in INSTRUMENT_FIELDS]
        return elements + [part for leg in self.engine.world.legs[number].tolist() for part in leg if leg[1]]

    def list_oracle(self) -> list[int]:
        """Return the elements of the oracle leaf. [STATE-5]"""
        world = self.engine.world
        elements = [int(market[name]) for market in world.markets for name in MARKET_FIELDS]
        for series in world.series[: int(world.house["series_count"][0])]:
            elements += [int(series[name]) for name in ("expiry_ns", *SURFACE_FIELDS, "twap_sum", "twap_ms")]
        return elements

    def compute(self, changes: Changes) -> Roots:
        """Hash the changes into the trees and return the roots. [STATE-1]"""
        self.accounts.update_limbs(changes.accounts, hash_lists(DOMAIN_ACCOUNT, changes.account_elements))
        self.orders.update_limbs(changes.orders, hash_slots(DOMAIN_ORDER, changes.order_elements))
        self.waiting.update_limbs(changes.waiting, hash_slots(DOMAIN_WAITING, changes.waiting_elements))
        instrument_leaves = hash_rows(DOMAIN_INSTRUMENT, changes.instrument_elements)
        self.instruments.update_limbs(changes.instruments, instrument_leaves)
        self.instruments.update_limbs(changes.combos, hash_lists(DOMAIN_INSTRUMENT, changes.combo_elements))
        parts = [
            self.accounts.root,
            self.orders.root,
            self.instruments.root,
            join_limbs(hash_lists(DOMAIN_ORACLE, [changes.oracle_elements])[0]),
            join_limbs(hash_lists(DOMAIN_HOUSE, [changes.house_elements])[0]),
            self.waiting.root,
        ]
        state = join_limbs(hash_lists(DOMAIN_ROOT, [parts])[0])
        return Roots(state.to_bytes(32, "big"), self.instruments.root.to_bytes(32, "big"))


def hash_rows(domain: int, elements: Array) -> Array:
    """Return hash_elements of each row as uint64[n, 4]."""
    out = np.zeros((len(elements), 4), np.uint64)
    if len(elements):
        hash_elements_batch(domain, np.ascontiguousarray(elements), out)
    return out


def hash_slots(domain: int, elements: Array) -> Array:
    """Return hash_rows of orders, whose first element is the order_id; empty slots are 0."""
    out = hash_rows(domain, elements)
    out[elements[:, 0] == 0] = 0
    return out


def encode_limbs(values: list[int]) -> Array:
    """Return field elements as uint64[n, 4], least significant limb first."""
    data = b"".join(to_field(value).to_bytes(FIELD_BYTES, "little") for value in values)
    return np.frombuffer(data, np.uint64).reshape(len(values), LIMB_COUNT)


def hash_lists(domain: int, lists: list[list[int]]) -> Array:
    """Return hash_elements of lists of different lengths as uint64[n, 4].

    Lists are absorbed side by side, three elements a round, so that compiled code does nearly all the work:
    an account's leaf by the law's own text would hold up every other thread for a millisecond per position.
    """
    state = np.repeat(encode_limbs([domain]), len(lists), axis=0)
    longest = max((len(elements) for elements in lists), default=0)
    for start in range(0, longest, RATE):
        active = [row for row, elements in enumerate(lists) if len(elements) > start]
        chunks = [(lists[row][start : start + RATE] + [0] * RATE)[:RATE] for row in active]
        absorb(state, active, chunks)
    absorb(state, list(range(len(lists))), [[len(elements), 0, 0] for elements in lists])
    return state


def absorb(state: Array, rows: list[int], chunks: list[list[int]]) -> None:
    """Compress three elements into each of some rows of the state."""
    if not rows:
        return
    elements = encode_limbs([value for chunk in chunks for value in chunk]).reshape(
        len(rows), RATE, LIMB_COUNT
    )
    inputs = np.concatenate([state[rows][:, None, :], elements], axis=1)
    out = np.zeros((len(rows), LIMB_COUNT), np.uint64)
    compress_batch(np.ascontiguousarray(inputs), out)
    state[rows] = out


def compute_genesis_root(engine: Engine) -> bytes:
    """Return the root of an engine that has seen no command. [STATE-7]"""
    commitment = StateCommitment(engine)
    return commitment.compute(commitment.collect()).state
