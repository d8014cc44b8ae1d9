"""Orders as people remember them: first size, fills, average price, fees, label.
The law keeps only what is still open or waits.

Built from the outcomes of the sequencer, in their order, and bounded: the oldest finished orders are
forgotten first. An order of a past run that no outcome told us about is shown from the engine, with its
open size as its amount.
"""

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from typing import Any

from msgspec.structs import replace

from novate.access.order_record import (
    CANCEL_REASON_NAME,
    CANCELLED,
    FILLED,
    OPEN,
    UNTRIGGERED,
    Change,
    Memo,
    OrderRecord,
    View,
    make_record,
)
from novate.access.trade_tape import TradeLeg, TradeTape
from novate.access.trigger_tape import TriggerTape
from novate.execution.sequencer import Outcome
from novate.protocol.command import Command
from novate.protocol.generated.codes import (
    CancelReason,
    Code,
    CommandKind,
    EventKind,
    OrderFlag,
    Side,
    TimeInForce,
    TriggerReference,
)
from novate.protocol.generated.records import COMMAND_FIELDS, SIGNED_BY

MEMOS_MAX = 32_768  # More than the sequencer's queue holds.
USER_KINDS = frozenset(kind for kind in CommandKind if SIGNED_BY[kind] == "account")
LIVE = (OPEN, UNTRIGGERED)
Row = dict[str, int]
QuoteKey = tuple[int, int, int, int]


def identify(command: Command) -> tuple[bytes, bytes, int]:
    """Return what names a signed command uniquely: the account, who signs for it, and their nonce."""
    return command.holder, command.signer, command.get("nonce")


def begin_record(row: Row, change: Change, time_in_force: TimeInForce) -> OrderRecord:
    """Return the record of an order which no command of its account has told of."""
    return OrderRecord(
        order_id=row["order_id"],
        account=row["account"],
        instrument=row["instrument"],
        side=row["side"],
        time_in_force=time_in_force,
        price_ticks=row["price_ticks"],
        lots=row["lots"],
        open_lots=row["lots"],
        created_ns=change.outcome.time_ns,
        updated_ns=change.outcome.time_ns,
    )


class OrderLedger:
    """Every live order and the latest finished ones. One writer: the sequencer's listener."""

    def __init__(self, tape: TradeTape, closed_orders_kept: int) -> None:
        self.tape = tape
        self.closed_orders_kept = closed_orders_kept
        self.open_orders: dict[int, OrderRecord] = {}
        self.closed_orders: OrderedDict[int, OrderRecord] = OrderedDict()
        self.quotes: dict[QuoteKey, int] = {}
        self.children: dict[int, dict[int, OrderRecord]] = {}
        self.triggers = TriggerTape(closed_orders_kept)
        self.memos: dict[tuple[bytes, bytes, int], Memo] = {}

    def adopt(self, views: Iterable[View]) -> None:
        """Take in the orders of a past run that the engine has."""
        for view in views:
            self.keep(make_record(view))

    def attach_memo(self, command: Command, memo: Memo) -> None:
        """Remember a memo until its command's outcome is seen.
        Refuse none, forget the oldest beyond the bound.
        """
        if len(self.memos) >= MEMOS_MAX:
            self.memos.pop(next(iter(self.memos)))
        self.memos[identify(command)] = memo

    def find(self, order_id: int) -> OrderRecord | None:
        """Return an order by its id, live or finished."""
        return self.open_orders.get(order_id) or self.closed_orders.get(order_id)

    def describe(self, view: View) -> OrderRecord:
        """Return the record of an order that the engine has, with its history as far as it is known."""
        known = self.open_orders.get(view.order_id)
        if known is None or known.open_lots != view.lots:
            return make_record(view)
        if known.state == UNTRIGGERED:  # A tick moves the extreme of a trailing order and tells nobody.
            seen = make_record(view)
            return replace(known, trigger_atoms=seen.trigger_atoms, parent_id=seen.parent_id)
        return known

    def observe(self, outcomes: Sequence[Outcome]) -> list[Change]:
        """Take in outcomes in their order and return what each changed."""
        return [self.observe_one(outcome) for outcome in outcomes]

    def observe_one(self, outcome: Outcome) -> Change:
        """Take in one outcome."""
        change = Change(outcome)
        memo = None
        kind = outcome.command.kind
        if kind in USER_KINDS:
            memo = self.memos.pop(identify(outcome.command), None)
        if outcome.code != Code.OK:
            return change
        events = outcome.events.tolist() if len(outcome.events) else []
        names = outcome.events.dtype.names or ()
        rows = [dict(zip(names, event, strict=True)) for event in events]
        if kind in (CommandKind.PLACE, CommandKind.PLACE_TRIGGER):
            self.open_placed(rows[0], memo, change)
        elif kind == CommandKind.REPLACE:
            self.restate_replaced(change)
        for row in rows[1:]:
            take = TAKERS.get(row["kind"])
            if take is not None:
                take(self, row, change)
        self.settle(change)
        if memo is not None:
            self.fill_memo(memo, rows[0], change)
        return change

    def read_command(self, outcome: Outcome) -> dict[str, Any]:
        """Return the fields of an outcome's command by name."""
        command = outcome.command
        return dict(zip(COMMAND_FIELDS[command.kind], command.values, strict=True))

    def open_placed(self, result: Row, memo: Memo | None, change: Change) -> None:
        """Begin the record of an accepted order."""
        outcome = change.outcome
        given = self.read_command(outcome)
        order_id, flags = result["order_id"], given["flags"]
        del given["nonce"], given["expires_ns"]
        is_waiting = outcome.command.kind == CommandKind.PLACE_TRIGGER
        if flags & OrderFlag.VOLATILITY:
            given["volatility_bp"] = given["price_ticks"]
            given["price_ticks"] = 0
        given["label_id"] = given.pop("label")
        change.orders[order_id] = OrderRecord(
            order_id=order_id,
            account=result["account"],
            open_lots=given["lots"],
            created_ns=outcome.time_ns,
            updated_ns=outcome.time_ns,
            state=UNTRIGGERED if is_waiting else OPEN,
            label="" if memo is None else memo.label,
            is_secondary=bool(given.get("parent_id")),
            **given,
        )
        if not is_waiting:
            change.matching.add(order_id)

    def restate_replaced(self, change: Change) -> None:
        """Give an order its new price; sizes and the effective price come with the events."""
        given = self.read_command(change.outcome)
        known = self.open_orders.get(given["order_id"])
        if known is not None:
            name = "volatility_bp" if known.flags & OrderFlag.VOLATILITY else "price_ticks"
            price = {name: given["price_ticks"]}
            change.orders[known.order_id] = replace(
                known, updated_ns=change.outcome.time_ns, replaced=True, open_lots=given["lots"], **price
            )

    def look_up(self, order_id: int, change: Change) -> OrderRecord | None:
        """Return an order as this outcome has left it so far."""
        return change.orders.get(order_id) or self.open_orders.get(order_id)

    def update(self, record: OrderRecord, change: Change, **fields: Any) -> None:
        """Note an order with new values."""
        change.orders[record.order_id] = replace(record, updated_ns=change.outcome.time_ns, **fields)

    def take_fill(self, row: Row, change: Change) -> None:
        """Take in a FILL: a trade, and two orders."""
        is_block = change.outcome.command.kind == CommandKind.BLOCK_TRADE
        if not is_block:  # Blocks pass by the book.
            change.books.add(row["instrument"])
        taker = change.orders.get(row["order_id"])
        is_liquidation = taker is not None and taker.is_liquidation
        leg_count = len(change.outcome.command.items) if is_block else 0
        position = len(change.trades)
        change.trades.append(self.tape.record(change.outcome, row, position, is_liquidation, leg_count))
        self.fill(row["order_id"], row, row["amount_atoms"], change)
        self.fill(row["maker_order_id"], row, row["maker_amount_atoms"], change)

    def take_leg(self, row: Row, change: Change) -> None:
        """Take in LEG: a part of the combo's fill before it."""
        leg = TradeLeg(row["instrument"], row["side"], row["lots"], row["amount_atoms"])
        change.trades[-1].legs.append(leg)

    def fill(self, order_id: int, row: Row, fee_atoms: int, change: Change) -> None:
        """Count a fill in the record of one of its two orders."""
        record = self.look_up(order_id, change)
        if record is None:
            return
        lots, open_lots = row["lots"], max(0, record.open_lots - row["lots"])
        visible_lots = max(0, record.visible_lots - lots)
        self.update(
            record,
            change,
            filled_lots=record.filled_lots + lots,
            open_lots=open_lots,
            visible_lots=visible_lots,
            value=record.value + lots * row["price_ticks"],
            fee_atoms=record.fee_atoms + fee_atoms,
            price_ticks=record.price_ticks or row["price_ticks"],
            state=FILLED if open_lots == 0 else OPEN,
        )

    def take_open(self, row: Row, change: Change) -> None:
        """Take in REST, REDUCED or REFRESHED: an order is in the book with these lots at this price."""
        change.books.add(row["instrument"])
        change.matching.discard(row["order_id"])
        record = self.look_up(row["order_id"], change) or self.open_quote(row, change)
        self.update(
            record,
            change,
            state=OPEN,
            price_ticks=row["price_ticks"],
            lots=record.filled_lots + row["lots"],
            open_lots=row["lots"],
            visible_lots=row["visible_lots"],
        )

    def open_quote(self, row: Row, change: Change) -> OrderRecord:
        """Begin the record of a quote."""
        group = change.outcome.command.get("group") if change.is_quoting else 0
        return replace(begin_record(row, change, TimeInForce.POST_ONLY), group=group)

    def take_slice(self, row: Row, change: Change) -> None:
        """Take in SLICE: a liquidation sends an order of its account's to the book."""
        record = replace(begin_record(row, change, TimeInForce.IOC), is_liquidation=True)
        change.orders[row["order_id"]] = record
        change.matching.add(row["order_id"])

    def take_triggered(self, row: Row, change: Change) -> None:
        """Take in TRIGGERED: what waited is an order like any other now."""
        record = self.look_up(row["order_id"], change)
        if record is not None:
            self.note_waited(record, change)
            self.update(record, change, state=OPEN, triggered=True)
            change.matching.add(record.order_id)

    def note_waited(self, record: OrderRecord, change: Change) -> None:
        """Remember an order that waited for a price as it was."""
        if record.state == UNTRIGGERED and record.reference != TriggerReference.NONE:
            change.waited[record.order_id] = record

    def take_cancelled(self, row: Row, change: Change) -> None:
        """Take in CANCELLED: the end of an order, or of its place if it is replaced."""
        record = self.look_up(row["order_id"], change)
        if record is None or (record.state == OPEN and record.order_id not in change.matching):
            change.books.add(row["instrument"])
        if record is None:
            return
        reason = CancelReason(row["reason"])
        if reason == CancelReason.REPLACED and not record.group:
            change.matching.add(record.order_id)
            return
        self.note_waited(record, change)
        change.matching.discard(record.order_id)
        self.update(
            record,
            change,
            state=CANCELLED,
            cancel_reason=CANCEL_REASON_NAME[reason],
            cancel_code=row["code"],
            lots=record.filled_lots + row["lots"],
            open_lots=0,
            visible_lots=0,
        )

    def take_rejected(self, row: Row, change: Change) -> None:
        """Take in QUOTE_REJECTED."""
        change.rejections.append(row)

    def settle(self, change: Change) -> None:
        """Finish what matched and neither rested nor ended: it is filled, whatever size it asked for."""
        for order_id in change.matching:
            record = change.orders.get(order_id)
            if record is not None and record.state == OPEN:
                lots = record.filled_lots
                change.orders[order_id] = replace(record, state=FILLED, lots=lots, open_lots=0)
        for record in change.orders.values():
            self.keep(record)
        for order_id, waited in change.waited.items():
            self.triggers.add(waited, change.orders[order_id], change.outcome.time_ns)

    def fill_memo(self, memo: Memo, result: Row, change: Change) -> None:
        """Give a client what it wants back from its command."""
        order_id = result["order_id"]
        memo.order = change.orders.get(order_id)
        memo.trades = [trade for trade in change.trades if trade.order_id == order_id]
        if change.is_quoting:
            memo.rejections = change.rejections
            memo.orders = self.list_quoted(result["account"], change)

    def list_quoted(self, account: int, change: Change) -> list[OrderRecord]:
        """Return the orders of a mass quote: those it placed, changed or ended for margin, and those it
        kept.
        """
        group = change.outcome.command.get("group")
        found = {}
        for item in change.outcome.command.items:
            for side in Side:
                order_id = self.quotes.get((account, group, item[0], side))
                if order_id is not None:
                    found[order_id] = self.open_orders[order_id]
        replaced = CANCEL_REASON_NAME[CancelReason.REPLACED]
        for record in change.orders.values():
            if record.group == group and record.cancel_reason not in ("", replaced):
                found[record.order_id] = record
        return list(found.values())

    def keep(self, record: OrderRecord) -> None:
        """Store a record where it belongs, and forget the oldest finished ones beyond the bound."""
        key = (record.account, record.group, record.instrument, record.side)
        if record.parent_id:
            self.keep_child(record)
        if record.state in LIVE:
            self.open_orders[record.order_id] = record
            if record.group:
                self.quotes[key] = record.order_id
            return
        self.open_orders.pop(record.order_id, None)
        if record.group and self.quotes.get(key) == record.order_id:
            del self.quotes[key]
        self.closed_orders[record.order_id] = record
        while len(self.closed_orders) > self.closed_orders_kept:
            self.closed_orders.popitem(last=False)

    def keep_child(self, record: OrderRecord) -> None:
        """Remember an order that waits for a parent as the parent's, and forget one that has stopped."""
        siblings = self.children.setdefault(record.parent_id, {})
        if record.state == UNTRIGGERED:
            siblings[record.order_id] = record
        else:
            siblings.pop(record.order_id, None)
        if not siblings:
            del self.children[record.parent_id]

    def list_children(self, order_id: int) -> list[OrderRecord]:
        """Return the orders that wait for an order to be filled, in their order."""
        return list(self.children.get(order_id, {}).values())


TAKERS = {
    EventKind.FILL: OrderLedger.take_fill,
    EventKind.LEG: OrderLedger.take_leg,
    EventKind.REST: OrderLedger.take_open,
    EventKind.REDUCED: OrderLedger.take_open,
    EventKind.REFRESHED: OrderLedger.take_open,
    EventKind.TRIGGERED: OrderLedger.take_triggered,
    EventKind.SLICE: OrderLedger.take_slice,
    EventKind.CANCELLED: OrderLedger.take_cancelled,
    EventKind.QUOTE_REJECTED: OrderLedger.take_rejected,
}
