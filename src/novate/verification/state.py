"""What the replayer remembers of a venue: plain objects in plain dictionaries, found by their natural keys.

This is an independent reading of the law, so it keeps state as the clauses speak of it - an account has
positions, a position has open orders - and shares no layout with the engine. Sums that a margin check needs
are kept per portfolio, one account in one underlying, and rebuilt when that underlying's marks change.
"""

import numpy as np

from novate.protocol.generated.codes import Code, LiquidationStage
from novate.protocol.genesis import Genesis, Underlying
from novate.verification.instruments import NO_MARK as NO_MARK
from novate.verification.instruments import Book as Book
from novate.verification.instruments import Instrument as Instrument
from novate.verification.instruments import Vector as Vector
from novate.verification.key_records import SessionKey
from novate.verification.order_records import Order as Order
from novate.verification.order_records import SlotStack, WaitingOrder
from novate.verification.steps import Step

NO_SERIES = -1
NO_DEMAND = -1


class Rejected(Exception):
    """A clause refused the command; `code` says which."""

    def __init__(self, code: Code) -> None:
        super().__init__(code.name)
        self.code = code


class BrokenInvariant(Exception):
    """A promise of the law, such as conservation [CASH-3], fails: the law or this program is wrong."""


class Position:
    """One position record [NOVATE-5]: lots held, their entry value, and the account's open orders in it and
    in combos of it.

    Open lots of quotes are in `quoted`, not in `buys` and `sells` [QUOTE-4]; those of combos are [COMBO-5].
    """

    __slots__ = ("buys", "combo_orders", "cost_atoms", "instrument", "lots", "orders", "quoted", "sells")

    def __init__(self, instrument: "Instrument") -> None:
        self.instrument = instrument
        self.lots = 0
        self.cost_atoms = 0
        self.buys = 0
        self.sells = 0
        self.quoted = 0
        self.orders: dict[int, Order] = {}
        self.combo_orders: dict[int, Order] = {}

    @property
    def is_empty(self) -> bool:
        """Whether nothing is held or open any more, so that the record goes."""
        return self.lots == 0 and not self.orders and not self.combo_orders


class Portfolio:
    """The margin sums of one account in one underlying, valid for the marks numbered `version`.

    Those that begin with `held` count held lots alone, for the maintenance requirement.
    """

    __slots__ = (
        "basis",
        "effects",
        "fill_atoms",
        "futures_atoms",
        "gross_lots",
        "held_atoms",
        "held_futures_atoms",
        "held_lots",
        "held_short_atoms",
        "linear_cost_atoms",
        "linear_value_atoms",
        "pnl",
        "quotes",
        "short_atoms",
        "value_atoms",
        "version",
        "worst_atoms",
    )

    def __init__(self, scenario_count: int) -> None:
        self.version = -1
        self.pnl: Vector = np.zeros(scenario_count, np.int64)
        self.effects: Vector = np.zeros(scenario_count, np.int64)
        self.basis: dict[int, list[int]] = {}  # series -> [H down, H up, G down, G up]
        self.quotes: dict[int, dict[int, tuple[Order, int]]] = {}  # group -> order id -> order, open lots
        self.clear()

    def clear(self) -> None:
        """Set every sum to zero."""
        self.pnl[:] = 0
        self.effects[:] = 0
        self.basis.clear()
        self.quotes.clear()
        self.value_atoms = self.linear_value_atoms = self.linear_cost_atoms = self.fill_atoms = 0
        self.gross_lots = self.futures_atoms = self.short_atoms = self.worst_atoms = 0
        self.held_lots = self.held_atoms = self.held_futures_atoms = self.held_short_atoms = 0


class Group:
    """One group of protected quotes: its limits, and what its present window counted [MMP-1] [MMP-2]."""

    __slots__ = (
        "delta_atoms",
        "delta_limit_atoms",
        "filled_lots",
        "frozen_ns",
        "frozen_until_ns",
        "number",
        "quantity_limit_lots",
        "underlying",
        "vega_atoms",
        "vega_limit_atoms",
        "window_ns",
        "window_start_ns",
    )

    def __init__(self, number: int, underlying: int, window_ns: int, frozen_ns: int) -> None:
        self.number = number
        self.underlying = underlying
        self.window_ns = window_ns
        self.frozen_ns = frozen_ns
        self.quantity_limit_lots = self.delta_limit_atoms = self.vega_limit_atoms = 0
        self.frozen_until_ns = 0
        self.start_afresh()

    def start_afresh(self) -> None:
        """Forget what was counted; the window is not started."""
        self.window_start_ns = self.filled_lots = self.delta_atoms = self.vega_atoms = 0


class Account:
    """One account: cash, nonce, session keys, fee tier, timers, stage of liquidation, quote groups, waiting
    orders, and per underlying position records and margin sums.
    """

    __slots__ = (
        "address",
        "cancel_on_disconnect",
        "cash_atoms",
        "dead_man_ns",
        "demand_e6",
        "groups",
        "holdings",
        "keys",
        "nonce",
        "number",
        "open_order_count",
        "owner",
        "portfolios",
        "retired_nonce",
        "stage",
        "stage_ticks",
        "subaccount",
        "tier",
        "waiting",
        "warned",
    )

    def __init__(self, number: int, address: bytes, underlying_count: int, scenario_count: int) -> None:
        self.number = number
        self.address = address
        self.cash_atoms = 0
        self.nonce = 0
        self.tier = 0
        self.owner: Account | None = None  # Of a sub-account, whose number under it is `subaccount` [SUB-1].
        self.subaccount = 0
        self.keys: dict[bytes, SessionKey] = {}  # The active ones, by address [KEY-3].
        self.retired_nonce = 0
        self.groups: dict[int, Group] = {}
        self.open_order_count = 0
        self.dead_man_ns = self.cancel_on_disconnect = 0  # [TIMER-1]
        self.stage = int(LiquidationStage.NONE)
        self.stage_ticks = self.warned = 0  # [LIQ-1]
        self.demand_e6 = NO_DEMAND
        self.waiting: dict[int, WaitingOrder] = {}
        self.holdings: list[dict[int, Position]] = [{} for _ in range(underlying_count)]
        self.portfolios = [Portfolio(scenario_count) for _ in range(underlying_count)]


class SurfaceReport:
    """The seven numbers of a surface [SURFACE-2], in the order of the schema's fields."""

    __slots__ = ("numbers",)

    def __init__(self, numbers: tuple[int, ...]) -> None:
        self.numbers = numbers

    @property
    def forward_atoms(self) -> int:
        """The forward that the oracle reported."""
        return self.numbers[0]

    @property
    def slice(self) -> tuple[int, int, int, int, int]:
        """The parameters a, b, rho, m and sigma."""
        a, b, rho, m, sigma = self.numbers[1:6]
        return a, b, rho, m, sigma

    @property
    def observed_ns(self) -> int:
        """When the oracle observed it."""
        return self.numbers[6]


class Series:
    """One (underlying, expiry): reports, the accepted surface, and the settlement average so far."""

    __slots__ = (
        "expired",
        "expiry_ns",
        "instruments",
        "number",
        "reference_index",
        "reports",
        "surface",
        "twap_ms",
        "twap_sum",
        "underlying",
        "variance_time_ns",
    )

    def __init__(self, number: int, underlying: int, expiry_ns: int) -> None:
        self.number = number
        self.underlying = underlying
        self.expiry_ns = expiry_ns
        self.expired = False
        self.instruments: list[Instrument] = []
        self.reports: dict[int, SurfaceReport] = {}
        self.surface: SurfaceReport | None = None
        self.reference_index = 0
        self.variance_time_ns = 1
        self.twap_sum = 0
        self.twap_ms = 0


class Market:
    """One underlying: its figures, its oracles' last index reports, its index, and whether marks are due."""

    __slots__ = (
        "advanced_ns",
        "confidence_e6",
        "dirty",
        "figures",
        "has_index",
        "index_atoms",
        "index_time_ns",
        "instruments",
        "marks_version",
        "reports",
        "slice_notional_atoms",
    )

    def __init__(self, figures: Underlying) -> None:
        self.figures = figures
        self.reports: dict[int, tuple[int, int, int]] = {}  # oracle -> index, confidence, observed
        self.has_index = False
        self.index_atoms = self.confidence_e6 = self.index_time_ns = 0
        self.advanced_ns = 0
        self.dirty = False
        self.slice_notional_atoms = figures.slice_notional_atoms  # Until SET_SLICE [LIQ-9].
        self.marks_version = 0
        self.instruments: list[Instrument] = []


class State:
    """Everything that a later command can depend on, and which leaves of the state tree have changed."""

    def __init__(self, genesis: Genesis) -> None:
        self.genesis = genesis
        self.parameters = genesis.parameters
        self.limits = genesis.limits
        self.sequence = 0
        self.time_ns: int | None = None
        self.accounts: list[Account] = []
        self.account_numbers: dict[bytes, int] = {}
        self.markets = [Market(figures) for figures in genesis.underlyings]
        self.instruments: list[Instrument] = []
        self.listed: set[tuple[int, int, int, int]] = set()
        self.listed_combos: set[tuple[tuple[int, ...], ...]] = set()  # (instrument, ratio) of their legs
        self.series: list[Series] = []
        self.series_numbers: dict[tuple[int, int], int] = {}
        self.orders: dict[int, Order] = {}
        self.slots: dict[int, Order] = {}
        self.free_slots = SlotStack()
        self.waiting: dict[int, WaitingOrder] = {}
        self.waiting_slots: dict[int, WaitingOrder] = {}
        self.free_waiting_slots = SlotStack()
        self.ready: set[int] = set()  # ids of the waiting orders of [TRIG-5]
        self.endings: list[tuple[int, int]] = []  # (order id, reason) in the present command, in order
        self.steps: list[Step] = []  # in the present command, in order
        self.position_count = 0
        # House figures of [STATE-6].
        self.batch = self.deposit_cursor = self.deposited_atoms = self.withdrawn_atoms = 0
        self.withdrawal_count = self.operator_nonce = self.fees_atoms = self.insurance_atoms = 0
        self.next_order_id = 1
        # Running sums for [CASH-3].
        self.cash_sum = self.linear_cost_sum = 0
        # (address, amount) of the accepted withdrawals since the last SEAL.
        self.withdrawals: list[tuple[bytes, int]] = []
        self.dirty_accounts: set[int] = set()
        self.dirty_slots: set[int] = set()
        self.dirty_waiting_slots: set[int] = set()
        self.dirty_instruments: set[int] = set()

    def pay(self, account: Account, amount_atoms: int) -> None:
        """Add a signed amount to an account's cash."""
        account.cash_atoms += amount_atoms
        self.cash_sum += amount_atoms
        self.dirty_accounts.add(account.number)

    def is_stale(self, market: Market) -> bool:
        """Whether an underlying's index is missing or too old [MARK-STALE-1]."""
        assert self.time_ns is not None
        age_ns_max = self.parameters["index_age_ns_max"]
        return not market.has_index or self.time_ns - market.index_time_ns > age_ns_max


def require(condition: bool, code: Code) -> None:
    """Refuse the command with this code unless the condition holds."""
    if not condition:
        raise Rejected(code)
