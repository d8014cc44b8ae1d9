"""What the naive model remembers, and the schema's numbers.

The schema file is all that the model shares with the engine: names, codes, limits and fields are data.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

_SCHEMA_PATH = Path(__file__).resolve().parents[2] / "src" / "novate" / "protocol" / "schema.toml"
SCHEMA: dict[str, Any] = tomllib.loads(_SCHEMA_PATH.read_text("ascii"))

LIMITS: dict[str, int] = SCHEMA["limits"]
SCALES: dict[str, int] = SCHEMA["scales"]
CODES: dict[str, int] = {name: row[0] for name, row in SCHEMA["codes"].items()}
KINDS: dict[str, int] = SCHEMA["enums"]["EventKind"]
REASONS: dict[str, int] = SCHEMA["enums"]["CancelReason"]
EVENT_FIELDS: list[str] = SCHEMA["records"]["event"]["fields"]
ITEM_FIELDS: list[str] = SCHEMA["records"]["item"]["fields"]
COMMAND_FIELDS: dict[str, list[str]] = {name: row["fields"] for name, row in SCHEMA["commands"].items()}
SIGNED_BY: dict[str, str] = {name: row["signed_by"] for name, row in SCHEMA["commands"].items()}

FLAGS: dict[str, int] = SCHEMA["enums"]["OrderFlag"]
REFERENCES: dict[str, int] = SCHEMA["enums"]["TriggerReference"]
CONDITIONS: dict[str, int] = SCHEMA["enums"]["TriggerCondition"]
SCOPES: dict[str, int] = SCHEMA["enums"]["KeyScope"]

BUY, SELL = SCHEMA["enums"]["Side"]["BUY"], SCHEMA["enums"]["Side"]["SELL"]
GTC, IOC, POST_ONLY, FOK = (
    SCHEMA["enums"]["TimeInForce"][name] for name in ("GTC", "IOC", "POST_ONLY", "FOK")
)
CALL, PUT, PERPETUAL, FUTURE, COMBO = (
    SCHEMA["enums"]["InstrumentKind"][name] for name in ("CALL", "PUT", "PERPETUAL", "FUTURE", "COMBO")
)
LINEAR = (PERPETUAL, FUTURE)
STAGES: dict[str, int] = SCHEMA["enums"]["LiquidationStage"]
OPEN, EXPIRED = SCHEMA["enums"]["InstrumentState"]["OPEN"], SCHEMA["enums"]["InstrumentState"]["EXPIRED"]
E6 = SCALES["E6"]
NO_MARK = LIMITS["NO_MARK_ATOMS"]


class Rejected(Exception):
    """A clause refused the command; `code` is the schema's number."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.code = CODES[name]


def require(condition: bool, name: str) -> None:
    """Refuse the command with the named code unless the condition holds."""
    if not condition:
        raise Rejected(name)


def mul_ratio_ceil_e6(value: int, ratio_e6: int) -> int:
    """Ceiling of value * ratio / 1e6 ([UNIT-4])."""
    return -(-value * ratio_e6 // E6)


def mul_ratio_floor_e6(value: int, ratio_e6: int) -> int:
    """Floor of value * ratio / 1e6 ([UNIT-4])."""
    return value * ratio_e6 // E6


@dataclass(eq=False, slots=True)
class Order:
    """An order that matches or rests; `slot` is -1 and `visible_lots` 0 until it rests."""

    order_id: int
    account: int
    instrument: int
    side: int
    time_in_force: int
    price_ticks: int
    lots: int
    slot: int = -1
    priority: int = 0
    flags: int = 0
    display_lots: int = 0
    visible_lots: int = 0
    valid_until_ns: int = 0
    label: int = 0
    link: int = 0
    group: int = 0
    volatility_bp: int = 0

    def says(self, flag: str) -> bool:
        """Whether the order carries a flag of [ORDER-1]."""
        return self.flags & FLAGS[flag] != 0


@dataclass(eq=False, slots=True)
class Waiting:
    """An order that waits for a price or for its parent ([TRIG-1]); `price_ticks` is as given."""

    order_id: int
    account: int
    instrument: int
    side: int
    time_in_force: int
    price_ticks: int
    lots: int
    flags: int
    display_lots: int
    valid_until_ns: int
    label: int
    link: int
    reference: int
    condition: int
    trigger_atoms: int
    trail_atoms: int
    parent_id: int
    slot: int = -1


@dataclass(eq=False, slots=True)
class Position:
    """Lots held and their signed entry value ([NOVATE-2])."""

    lots: int = 0
    cost_atoms: int = 0


@dataclass(eq=False, slots=True)
class Group:
    """A group of protected quotes: its figures, and what was filled since its window began ([MMP-*])."""

    underlying: int
    window_ns: int
    frozen_ns: int
    quantity_limit_lots: int
    delta_limit_atoms: int
    vega_limit_atoms: int
    window_start_ns: int = 0
    filled_lots: int = 0
    filled_delta_atoms: int = 0
    filled_vega_atoms: int = 0
    frozen_until_ns: int = 0


@dataclass(eq=False, slots=True)
class Key:
    """An active session key: what it may do and how much, its highest nonce and its commands of a minute."""

    address: str
    scope: int
    key_expires_ns: int
    max_notional_atoms: int
    max_delta_atoms: int
    max_vega_atoms: int
    rate_per_minute: int
    nonce: int
    window_start_ns: int = 0
    window_count: int = 0


@dataclass(eq=False, slots=True)
class Account:
    """An owner's cash, highest nonce, positions by instrument, open orders by id and groups by number.

    Quotes are open orders with a group. A demand of -1 is none ([LIQ-9]). `owner` is the account that a
    sub-account belongs to, -1 for none; active keys are by place.
    """

    address: str
    cash_atoms: int = 0
    nonce: int = 0
    positions: dict[int, Position] = field(default_factory=dict)
    orders: dict[int, Order] = field(default_factory=dict)
    waiting: dict[int, Waiting] = field(default_factory=dict)
    dead_man_ns: int = 0
    cancel_on_disconnect: int = 0
    tier: int = 0
    groups: dict[int, Group] = field(default_factory=dict)
    liquidation_stage: int = STAGES["NONE"]
    liquidation_count: int = 0
    warned: int = 0
    demand_e6: int = -1
    owner: int = -1
    subaccount: int = 0
    retired_nonce: int = 0
    keys: dict[int, Key] = field(default_factory=dict)


@dataclass(eq=False, slots=True)
class Report:
    """An oracle's surface: seven numbers that a quorum must agree on."""

    forward_atoms: int
    a_x48: int
    b_x48: int
    rho_x48: int
    m_x48: int
    sigma_x48: int
    observed_ns: int

    def numbers(self) -> tuple[int, ...]:
        """The seven numbers in the order of the state leaf."""
        svi = (self.a_x48, self.b_x48, self.rho_x48, self.m_x48, self.sigma_x48)
        return (self.forward_atoms, *svi, self.observed_ns)


@dataclass(eq=False, slots=True)
class Series:
    """An (underlying, expiry) with its accepted surface and its settlement average."""

    underlying: int
    expiry_ns: int
    expired: bool = False
    surface: Report | None = None
    reference_index: int = 0
    variance_time_ns: int = 0
    twap_sum: int = 0
    twap_ms: int = 0
    reports: dict[int, Report] = field(default_factory=dict)


@dataclass(eq=False, slots=True)
class Instrument:
    """A listed contract and what the last mark update said about one lot of it.

    `taker_fee_atoms` is T of the margin clauses, the highest fee that a lot can cost; `funded_ns` is the time
    of the last TICK that saw a perpetual; `legs` are a combo's, (instrument, ratio).
    """

    underlying: int
    kind: int
    strike_atoms: int
    expiry_ns: int
    series: int
    lots_per_unit: int
    tick_atoms: int
    state: int = OPEN
    settlement_atoms: int = 0
    mark_atoms: int = NO_MARK
    forward_atoms: int = 0
    last_ticks: int = 0
    rows: list[int] = field(default_factory=list)
    basis: list[int] = field(default_factory=list)
    notional_atoms: int = 0
    taker_fee_atoms: int = 0
    delta_atoms: int = 0
    vega_atoms: int = 0
    rate_e9: int = 0
    accrual: int = 0
    funded_ns: int | None = None
    legs: tuple[tuple[int, int], ...] = ()
    packed_row: int | None = None
    worst_by_price: dict[tuple[int, int], tuple[list[int], int]] = field(default_factory=dict)

    @property
    def has_mark(self) -> bool:
        """Whether there was a mark since the listing; that of a combo may be negative."""
        return self.mark_atoms != NO_MARK

    @property
    def gross_weight(self) -> int:
        """By how many lots one open lot raises the gross lots ([MARGIN-9], [COMBO-4])."""
        return sum(abs(ratio) for _, ratio in self.legs) if self.legs else 1

    def limit_atoms(self, price_ticks: int) -> int:
        """L: the value of one lot at a price, negative for some prices of a combo ([COMBO-2])."""
        offset = LIMITS["COMBO_TICK_OFFSET"] if self.legs else 0
        return (price_ticks - offset) * self.tick_atoms


@dataclass(eq=False, slots=True)
class Underlying:
    """An index, its oracles' last reports (oracle -> price, confidence, time) and whether marks are due.

    `slice_notional_atoms` is how much one slice of a liquidation may be worth ([LIQ-2]).
    """

    config: dict[str, Any]
    slice_notional_atoms: int
    index_atoms: int = 0
    confidence_e6: int = 0
    index_time_ns: int | None = None
    advanced_ns: int | None = None
    dirty: bool = False
    reports: dict[int, tuple[int, int, int]] = field(default_factory=dict)


@dataclass(eq=False, slots=True)
class House:
    """The venue's own counters."""

    batch: int = 0
    next_order_id: int = 1
    fees_atoms: int = 0
    insurance_atoms: int = 0
    deposit_cursor: int = 0
    deposited_atoms: int = 0
    withdrawn_atoms: int = 0
    withdrawal_count: int = 0
    operator_nonce: int = 0
