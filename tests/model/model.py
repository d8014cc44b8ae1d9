"""The naive model of the law: plain integers, lists and dicts, everything recomputed when it is needed.

Written from docs/law alone: it shares no code with the engine, so an agreement of the two means something.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from . import (
    blocks,
    combos,
    invariants,
    keys,
    liquidation,
    margin,
    oracle,
    orders,
    quotes,
    timers,
    venue,
    waiting,
)
from .records import (
    EVENT_FIELDS,
    KINDS,
    SIGNED_BY,
    STAGES,
    Account,
    House,
    Instrument,
    Key,
    Order,
    Rejected,
    Series,
    Underlying,
    Waiting,
    require,
)

Command = dict[str, Any]
Event = dict[str, int]

_HANDLERS: dict[str, Callable[[Model, Command], tuple[int, int]]]


class Model:
    """The venue's state; `apply` is the law."""

    def __init__(self, genesis: dict[str, Any]) -> None:
        self.genesis = genesis
        self.parameters: dict[str, int] = genesis["parameters"]
        self.limits: dict[str, int] = genesis["limits"]
        self.underlyings = [Underlying(u, u["slice_notional_atoms"]) for u in genesis["underlyings"]]
        self.accounts: list[Account] = []
        self.numbers: dict[str, int] = {}
        self.instruments: list[Instrument] = []
        self.series: list[Series] = []
        self.books: list[tuple[list[Order], list[Order]]] = []
        self.orders: dict[int, Order] = {}
        self.free_slots = list(range(self.limits["orders"] - 1, -1, -1))
        self.waiting: dict[int, Waiting] = {}
        self.free_waiting_slots = list(range(self.limits["triggers"] - 1, -1, -1))
        self.house = House()
        self.sequence = 0
        self.started = False
        self.time_ns = 0
        self.events: list[Event] = []
        self.key: Key | None = None

    def apply(self, command: Command) -> list[Event]:
        """The events of one command, RESULT first; a refused command leaves the state but for a nonce."""
        self.sequence = command["sequence"]
        self.events = []
        self.key = None
        try:
            require(not self.started or command["time_ns"] >= self.time_ns, "TIME_NOT_MONOTONIC")
            self.started, self.time_ns = True, command["time_ns"]
            account, order_id = _HANDLERS[command["kind"]](self, command)
            waiting.fire_ready(self)
            code = 0
        except Rejected as refusal:
            named = command["kind"] == "DEPOSIT" or SIGNED_BY[command["kind"]] == "account"
            account = self.account_number(holder(command)) if named else -1
            code, order_id = refusal.code, 0
        effects, self.events = self.events, []
        self.emit("RESULT", code=code, account=account, order_id=order_id)
        return self.events + effects

    def emit(self, kind: str, **fields: int) -> None:
        """Record an event of the command at hand."""
        event = dict.fromkeys(EVENT_FIELDS, 0)
        event["sequence"] = self.sequence
        event["kind"] = KINDS[kind]
        event.update(fields)
        self.events.append(event)

    def account_number(self, address: str) -> int:
        """The account of an address, -1 if it never made a deposit."""
        return self.numbers.get(address, -1)

    def series_number(self, underlying: int, expiry_ns: int) -> int:
        """The series of an (underlying, expiry), -1 if no option or future of it was listed."""
        for number, series in enumerate(self.series):
            if (series.underlying, series.expiry_ns) == (underlying, expiry_ns):
                return number
        return -1

    def is_stale(self, underlying: int) -> bool:
        """[MARK-STALE-1]."""
        then = self.underlyings[underlying].index_time_ns
        return then is None or self.time_ns - then > self.parameters["index_age_ns_max"]

    def authenticate(self, command: Command) -> tuple[int, Account]:
        """[AUTH-2] and [AUTH-3]: the account's number and record, its nonce used up; `key` is who signed, if
        it was a session key.
        """
        number, self.key = keys.authenticate(self, command, holder(command), command["signer"], "nonce")
        return number, self.accounts[number]

    def authenticate_free(self, command: Command) -> tuple[int, Account]:
        """The same, then [LIQ-10]: an account in liquidation takes no new risk and parts with no money."""
        number, account = self.authenticate(command)
        require(account.liquidation_stage == STAGES["NONE"], "IN_LIQUIDATION")
        return number, account

    def authenticate_operator(self, command: Command) -> None:
        """[AUTH-4] for the operator."""
        require(command["signer"] == self.genesis["operator"], "OPERATOR_UNKNOWN")
        require(command["expires_ns"] > self.time_ns, "SIGNATURE_EXPIRED")
        require(command["nonce"] > self.house.operator_nonce, "NONCE_REPLAYED")
        self.house.operator_nonce = command["nonce"]

    def authenticate_oracle(self, command: Command) -> int:
        """[AUTH-4] for an oracle: its number."""
        require(command["signer"] in self.genesis["oracles"], "ORACLE_UNKNOWN")
        return int(self.genesis["oracles"].index(command["signer"]))

    def check_invariants(self) -> None:
        """Assert what holds in every state: money, lots, books, slots and counts."""
        invariants.check(self)

    def state(self) -> dict[str, Any]:
        """Everything that a later command's outcome can depend on, and each account's margin."""
        return {
            "accounts": [self._account_state(account) for account in self.accounts],
            "orders": [_fields(order) for _, order in sorted(self.orders.items())],
            "waiting": [_fields(order) for _, order in sorted(self.waiting.items())],
            "instruments": [_instrument_state(instrument) for instrument in self.instruments],
            "underlyings": [_underlying_state(underlying) for underlying in self.underlyings],
            "series": [_series_state(series) for series in self.series],
            "house": _fields(self.house) | {"time_ns": self.time_ns},
        }

    def _account_state(self, account: Account) -> dict[str, Any]:
        equity, unrealised, initial, maintenance = margin.summary(self, account)
        held = sorted(account.positions.items())
        return {
            "address": account.address,
            "cash_atoms": account.cash_atoms,
            "nonce": account.nonce,
            "tier": account.tier,
            "dead_man_ns": account.dead_man_ns,
            "cancel_on_disconnect": account.cancel_on_disconnect,
            "liquidation_stage": account.liquidation_stage,
            "liquidation_count": account.liquidation_count,
            "warned": account.warned,
            "demand_e6": account.demand_e6,
            "owner": account.owner,
            "subaccount": account.subaccount,
            "retired_nonce": account.retired_nonce,
            "keys": [{"place": place} | _fields(key) for place, key in sorted(account.keys.items())],
            "positions": [(i, position.lots, position.cost_atoms) for i, position in held],
            "groups": [
                {"group": number} | _fields(group) for number, group in sorted(account.groups.items())
            ],
            "open_orders": len(account.orders),
            "waiting_orders": len(account.waiting),
            "gross_lots": [margin.gross_lots(self, account, u) for u in range(len(self.underlyings))],
            "equity_atoms": equity,
            "unrealised_atoms": unrealised,
            "initial_atoms": initial,
            "maintenance_atoms": maintenance,
        }


def holder(command: Command) -> str:
    """The account's address, whoever signs for it."""
    return str(command.get("account") or command["signer"])


def _fields(record: Any) -> dict[str, Any]:
    return {name: getattr(record, name) for name in record.__slots__}


def _instrument_state(instrument: Instrument) -> dict[str, Any]:
    fields = _fields(instrument) | {"funded_ns": instrument.funded_ns or 0}
    del fields["worst_by_price"], fields["packed_row"]
    return fields


def _underlying_state(underlying: Underlying) -> dict[str, Any]:
    return {
        "index_atoms": underlying.index_atoms,
        "confidence_e6": underlying.confidence_e6,
        "index_time_ns": underlying.index_time_ns or 0,
        "has_index": underlying.index_time_ns is not None,
        "dirty": underlying.dirty,
        "slice_notional_atoms": underlying.slice_notional_atoms,
        "advanced_ns": underlying.advanced_ns or 0,
        "reports": sorted((who, *report) for who, report in underlying.reports.items()),
    }


def _series_state(series: Series) -> dict[str, Any]:
    accepted = series.surface.numbers() if series.surface else (0,) * 7
    return {
        "underlying": series.underlying,
        "expiry_ns": series.expiry_ns,
        "expired": series.expired,
        "surface": accepted,
        "reference_index": series.reference_index,
        "variance_time_ns": series.variance_time_ns,
        "twap_sum": series.twap_sum,
        "twap_ms": series.twap_ms,
        "reports": sorted((who, *report.numbers()) for who, report in series.reports.items()),
    }


_HANDLERS = {
    "DEPOSIT": venue.deposit,
    "WITHDRAW": venue.withdraw,
    "PLACE": orders.place,
    "REPLACE": orders.replace,
    "CANCEL": orders.cancel,
    "CANCEL_ALL": orders.cancel_all,
    "LIST_INSTRUMENT": venue.list_instrument,
    "INDEX": oracle.index,
    "SURFACE": oracle.surface,
    "TICK": oracle.tick,
    "SEAL": venue.seal,
    "PLACE_TRIGGER": waiting.place_trigger,
    "PROTECT": timers.protect,
    "DISCONNECT": timers.disconnect,
    "SET_MMP": quotes.set_mmp,
    "MASS_QUOTE": quotes.mass_quote,
    "SET_TIER": venue.set_tier,
    "BACKSTOP": liquidation.backstop,
    "SET_SLICE": liquidation.set_slice,
    "INSURE": venue.insure,
    "AUTHORIZE_KEY": keys.authorize,
    "REVOKE_KEY": keys.revoke,
    "CREATE_SUBACCOUNT": keys.create_subaccount,
    "TRANSFER": keys.transfer,
    "BLOCK_TRADE": blocks.block_trade,
    "LIST_COMBO": combos.list_combo,
}
