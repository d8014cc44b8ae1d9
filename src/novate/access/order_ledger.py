"""Orders as people remember them: first size, fills, average price, fees, label.
The law keeps only what is still open.

Built from the outcomes of the sequencer, in their order, and bounded: the oldest finished orders are
forgotten first. An order of a past run that no outcome told us about is shown from the engine, with its
open size as its amount.
"""

from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec.structs import replace

from novate.access.trade_tape import Trade, TradeTape
from novate.execution.sequencer import Outcome
from novate.execution.views import OrderView
from novate.protocol.generated.codes import CancelReason, Code, CommandKind, EventKind, TimeInForce
from novate.protocol.generated.records import SIGNED_BY

OPEN, FILLED, CANCELLED = "open", "filled", "cancelled"
CANCEL_REASON_NAME = {
    CancelReason.USER: "user_request",
    CancelReason.IOC_REMAINDER: "immediate_or_cancel",
    CancelReason.SELF_TRADE: "self_trade_prevention",
    CancelReason.INSTRUMENT_EXPIRED: "instrument_expired",
    CancelReason.REPLACED: "replaced",
}
MEMOS_MAX = 32_768  # More than the sequencer's queue holds.
USER_KINDS = frozenset(kind for kind in CommandKind if SIGNED_BY[kind] == "account")
LABEL_LENGTH_MAX = 64


class OrderRecord(msgspec.Struct, frozen=True):
    """One order at one moment. Sizes in lots, `value` in lots * ticks, fees in atoms, times in ns."""

    order_id: int
    account: int
    instrument: int
    side: int
    time_in_force: int
    price_ticks: int
    lots: int
    open_lots: int
    created_ns: int
    updated_ns: int
    filled_lots: int = 0
    value: int = 0
    fee_atoms: int = 0
    state: str = OPEN
    label: str = ""
    cancel_reason: str = ""
    replaced: bool = False


class Memo:
    """What a client wants back from one command.
    Its unsigned label, then its order and trades as of that command.
    """

    __slots__ = ("label", "order", "trades")

    def __init__(self, label: str = "") -> None:
        self.label = label
        self.order: OrderRecord | None = None
        self.trades: list[Trade] = []


class Change(msgspec.Struct):
    """What one outcome did to the display.
    Orders as they are after it, trades, and the instruments whose book moved.
    """

    outcome: Outcome
    orders: dict[int, OrderRecord]
    trades: list[Trade]
    books: set[int]


def identify(outcome: Outcome) -> tuple[bytes, int]:
    """Return what names a signed command uniquely: signer and nonce."""
    return outcome.command.signer, outcome.command.get("nonce")


class OrderLedger:
    """Every open order and the latest finished ones. One writer: the sequencer's listener."""

    def __init__(self, tape: TradeTape, closed_orders_kept: int) -> None:
        self.tape = tape
        self.closed_orders_kept = closed_orders_kept
        self.open_orders: dict[int, OrderRecord] = {}
        self.closed_orders: OrderedDict[int, OrderRecord] = OrderedDict()
        self.memos: dict[tuple[bytes, int], Memo] = {}

    def attach_memo(self, signer: bytes, nonce: int, memo: Memo) -> None:
        """Remember a memo until its command's outcome is seen.
        Refuse none, forget the oldest beyond the bound.
        """
        if len(self.memos) >= MEMOS_MAX:
            self.memos.pop(next(iter(self.memos)))
        self.memos[signer, nonce] = memo

    def find(self, order_id: int) -> OrderRecord | None:
        """Return an order by its id, open or finished."""
        return self.open_orders.get(order_id) or self.closed_orders.get(order_id)

    def describe(self, view: OrderView) -> OrderRecord:
        """Return the record of an order that the engine has open.
        Its history is unknown if no outcome told us.
        """
        known = self.open_orders.get(view.order_id)
        if known is not None and known.open_lots == view.lots:
            return known
        return OrderRecord(
            order_id=view.order_id,
            account=view.account,
            instrument=view.instrument,
            side=view.side,
            time_in_force=view.time_in_force,
            price_ticks=view.price_ticks,
            lots=view.lots,
            open_lots=view.lots,
            created_ns=0,
            updated_ns=0,
        )

    def observe(self, outcomes: Sequence[Outcome]) -> list[Change]:
        """Take in outcomes in their order and return what each changed."""
        return [self.observe_one(outcome) for outcome in outcomes]

    def observe_one(self, outcome: Outcome) -> Change:
        """Take in one outcome."""
        change = Change(outcome, {}, [], set())
        memo = None
        kind = outcome.command.kind
        if kind in USER_KINDS:
            memo = self.memos.pop(identify(outcome), None)
        if outcome.code != Code.OK:
            return change
        events = outcome.events.tolist() if len(outcome.events) else []
        names = outcome.events.dtype.names or ()
        rows = [dict(zip(names, event, strict=True)) for event in events]
        if kind == CommandKind.PLACE:
            self.open_placed(outcome, rows[0]["order_id"], rows[0]["account"], memo, change)
        elif kind == CommandKind.REPLACE:
            self.restate_replaced(outcome, change)
        for row in rows[1:]:
            self.take_event(outcome, row, change)
        for order_id, record in change.orders.items():
            if kind == CommandKind.PLACE and record.open_lots == 0 and record.state == OPEN:
                change.orders[order_id] = record = replace(record, state=FILLED)
            self.keep(record)
        if memo is not None:
            memo.order = change.orders.get(rows[0]["order_id"])
            memo.trades = change.trades
        return change

    def open_placed(
        self, outcome: Outcome, order_id: int, account: int, memo: Memo | None, change: Change
    ) -> None:
        """Begin the record of an accepted order."""
        instrument, side, time_in_force, lots, price_ticks, _, _ = outcome.command.values
        change.orders[order_id] = OrderRecord(
            order_id=order_id,
            account=account,
            instrument=instrument,
            side=side,
            time_in_force=time_in_force,
            price_ticks=price_ticks,
            lots=lots,
            open_lots=lots,
            created_ns=outcome.time_ns,
            updated_ns=outcome.time_ns,
            label="" if memo is None else memo.label,
        )

    def restate_replaced(self, outcome: Outcome, change: Change) -> None:
        """Give an order its new price and open size; its amount is what is filled and what is open."""
        order_id, lots, price_ticks, _, _ = outcome.command.values
        known = self.open_orders.get(order_id)
        if known is not None:
            change.orders[order_id] = replace(
                known,
                lots=known.filled_lots + lots,
                open_lots=lots,
                price_ticks=price_ticks,
                updated_ns=outcome.time_ns,
                replaced=True,
            )

    def take_event(self, outcome: Outcome, row: dict[str, int], change: Change) -> None:
        """Take in one event after RESULT."""
        kind = row["kind"]
        if kind == EventKind.FILL:
            change.books.add(row["instrument"])
            change.trades.append(self.tape.record(outcome, row, len(change.trades)))
            self.fill(outcome, row["order_id"], row, row["amount_atoms"], change)
            self.fill(outcome, row["maker_order_id"], row, row["maker_amount_atoms"], change)
        elif kind in (EventKind.REST, EventKind.REDUCED):
            change.books.add(row["instrument"])
        elif kind == EventKind.CANCELLED:
            change.books.add(row["instrument"])
            record = self.look_up(row["order_id"], change)
            if record is not None and row["reason"] != CancelReason.REPLACED:
                reason = CANCEL_REASON_NAME[CancelReason(row["reason"])]
                ended: dict[str, Any] = {"state": CANCELLED, "cancel_reason": reason, "open_lots": 0}
                change.orders[record.order_id] = replace(record, updated_ns=outcome.time_ns, **ended)

    def look_up(self, order_id: int, change: Change) -> OrderRecord | None:
        """Return an order as this outcome has left it so far."""
        return change.orders.get(order_id) or self.open_orders.get(order_id)

    def fill(
        self, outcome: Outcome, order_id: int, row: dict[str, int], fee_atoms: int, change: Change
    ) -> None:
        """Count a fill in the record of one of its two orders."""
        record = self.look_up(order_id, change)
        if record is None:
            return
        lots, open_lots = row["lots"], max(0, record.open_lots - row["lots"])
        change.orders[order_id] = replace(
            record,
            filled_lots=record.filled_lots + lots,
            open_lots=open_lots,
            value=record.value + lots * row["price_ticks"],
            fee_atoms=record.fee_atoms + fee_atoms,
            updated_ns=outcome.time_ns,
            state=FILLED if open_lots == 0 else OPEN,
        )

    def keep(self, record: OrderRecord) -> None:
        """Store a record where it belongs, and forget the oldest finished ones beyond the bound."""
        if record.state == OPEN:
            self.open_orders[record.order_id] = record
            return
        self.open_orders.pop(record.order_id, None)
        self.closed_orders[record.order_id] = record
        while len(self.closed_orders) > self.closed_orders_kept:
            self.closed_orders.popitem(last=False)


def is_post_only(record: OrderRecord) -> bool:
    """Whether the order was placed as a maker only."""
    return record.time_in_force == TimeInForce.POST_ONLY
