"""Publishes what outcomes changed to whoever subscribed: raw at once, the rest every 100 ms.

Each message is shaped and encoded once for all its subscribers. A book channel keeps the book that it has
published, so a newcomer's snapshot joins the stream of changes without a gap.
"""

import asyncio
from collections.abc import Iterable, Sequence
from typing import Any, Protocol

from novate.access.account_payloads import AccountPayloads
from novate.access.book_rows import PublishedBook, describe_levels, diff_side
from novate.access.channels import Channel
from novate.access.chart_rows import describe_candle, describe_marks, describe_perpetual
from novate.access.funding_tape import FundingTape
from novate.access.market_payloads import MarketPayloads, name_index
from novate.access.order_ledger import OrderLedger
from novate.access.order_payloads import OrderPayloads
from novate.access.order_record import Change, OrderRecord
from novate.access.quantities import show_amount, show_frozen_until, show_price
from novate.access.risk_feed import DESCRIBERS, describe_risk, list_parties
from novate.access.trade_tape import Trade
from novate.access.wire import encode_notification
from novate.execution import views
from novate.execution.engine import InstrumentView
from novate.execution.sequencer import Outcome
from novate.protocol.generated.codes import Code, CommandKind, EventKind
from novate.protocol.generated.constants import NS_PER_MS

FLUSH_S = 0.1
STATE_TOPICS = ("ticker", "quote", "levels", "index", "portfolio", "perpetual", "marks")
BOOK_DEPTH = 1000
PENDING_MAX = 1000
MARKET_EVENTS = frozenset(
    (
        *(EventKind.LISTED, EventKind.INDEX_SET, EventKind.MARKED, EventKind.EXPIRED),
        *(EventKind.DEPOSITED, EventKind.WITHDRAWN, EventKind.SETTLED, EventKind.TIER_SET),
        *(EventKind.FUNDED, EventKind.MMP_TRIPPED, EventKind.FUND_PAID_IN, *DESCRIBERS),
        EventKind.TRANSFERRED,
    )
)


class Subscriber(Protocol):
    """Someone to send to; `send` never blocks and never fails."""

    def send(self, message: bytes) -> None:
        """Queue a message."""


class MarketFeed:
    """The venue's streams. Listens to the sequencer; one writer, one event loop."""

    def __init__(
        self,
        market: MarketPayloads,
        accounts: AccountPayloads,
        orders: OrderPayloads,
        ledger: OrderLedger,
        funding: FundingTape,
    ) -> None:
        self.market = market
        self.accounts = accounts
        self.orders = orders
        self.ledger = ledger
        self.funding = funding
        self.engine = market.engine
        self.subscribers: dict[Channel, set[Subscriber]] = {}
        self.by_key: dict[tuple[str, int], dict[Channel, None]] = {}
        self.books: dict[Channel, PublishedBook] = {}
        self.dirty: dict[Channel, None] = {}
        self.pending: dict[Channel, list[Any]] = {}

    def subscribe(self, channel: Channel, subscriber: Subscriber) -> None:
        """Add a subscriber and send it the state from which its stream goes on."""
        self.subscribers.setdefault(channel, set()).add(subscriber)
        self.by_key.setdefault(channel.key, {})[channel] = None
        topic = channel.key[0]
        if topic == "book":
            if channel not in self.books:
                self.books[channel] = self.read_book(channel.key[1])
            subscriber.send(self.encode(channel, self.describe_snapshot(channel)))
        elif topic in STATE_TOPICS:
            data = self.describe_state(channel)
            if data is not None:
                subscriber.send(self.encode(channel, data))

    def unsubscribe(self, channel: Channel, subscriber: Subscriber) -> None:
        """Remove a subscriber; a channel without any is forgotten."""
        members = self.subscribers.get(channel)
        if members is None:
            return
        members.discard(subscriber)
        if members:
            return
        del self.subscribers[channel]
        del self.by_key[channel.key][channel]
        if not self.by_key[channel.key]:
            del self.by_key[channel.key]
        for table in (self.books, self.dirty, self.pending):
            table.pop(channel, None)

    def on_outcomes(self, outcomes: Sequence[Outcome]) -> None:
        """Take in durable outcomes and publish what they changed."""
        books: dict[int, None] = {}
        for change in self.ledger.observe(outcomes):
            sequence = change.outcome.sequence
            for number in change.books:
                self.market.change_ids[number] = sequence
                books[number] = None
            if change.outcome.code == Code.OK:
                self.note_market_events(change.outcome)
                if self.subscribers:
                    self.publish_records(change)
        for number in books:
            for topic in ("book", "levels", "quote", "ticker"):
                self.touch(self.by_key.get((topic, number), ()))

    def note_market_events(self, outcome: Outcome) -> None:
        """React to listings, indices, marks, expiries, funding, tripped protection, liquidations and cash."""
        if len(outcome.events) < 2:
            if outcome.command.kind == CommandKind.BACKSTOP:
                self.touch(self.by_key.get(("portfolio", int(outcome.events[0]["account"])), ()))
            return
        for event in outcome.events[1:]:
            kind = int(event["kind"])
            if kind not in MARKET_EVENTS:
                continue
            place = int(event["instrument"])
            if kind == EventKind.LISTED:
                self.market.listed_ns[place] = outcome.time_ns
                self.publish_state(place, "started", outcome)
            elif kind == EventKind.EXPIRED:
                self.publish_state(place, "closed", outcome)
            elif kind == EventKind.INDEX_SET:
                self.touch(self.by_key.get(("index", place), ()))
            elif kind == EventKind.MARKED:
                self.touch_marked(place)
            elif kind == EventKind.FUNDED:
                self.funding.record(outcome.time_ns, place, int(event["amount_atoms"]))
            elif kind == EventKind.MMP_TRIPPED:
                self.publish_trip(event)
            elif kind in DESCRIBERS:
                self.publish_risk(outcome, event)
            else:
                self.touch(self.by_key.get(("portfolio", int(event["account"])), ()))
                if kind == EventKind.TRANSFERRED:
                    self.touch(self.by_key.get(("portfolio", int(event["maker_account"])), ()))

    def touch_marked(self, underlying: int) -> None:
        """Renew the tickers of one underlying, and every portfolio."""
        for channel in self.subscribers:
            topic, number = channel.key
            if topic == "portfolio" or channel.key == ("marks", underlying):
                self.dirty[channel] = None
            elif (
                topic in ("ticker", "perpetual") and self.engine.instruments[number].underlying == underlying
            ):
                # Marks of hundreds of instruments move together, so raw tickers wait for the next flush too.
                self.dirty[channel] = None

    def touch(self, channels: Iterable[Channel]) -> None:
        """Send a raw channel's state now, and another's at the next flush."""
        for channel in channels:
            if channel.is_raw:
                self.send_state(channel)
            else:
                self.dirty[channel] = None

    def publish_state(self, number: int, state: str, outcome: Outcome) -> None:
        """Say that an instrument began or ended."""
        instrument = self.engine.instruments[number]
        data = {"timestamp": outcome.time_ns // NS_PER_MS, "state": state, "instrument_name": instrument.name}
        for channel in self.by_key.get(("state", 0), ()):
            if channel.covers(instrument, self.market.name_underlying(instrument)):
                self.publish(channel, data)

    def publish_trip(self, event: Any) -> None:
        """Say to its owner that a group's protection has tripped."""
        underlying = int(event["instrument"])
        frozen_until_ns = int(event["amount_atoms"])
        data = {
            "index_name": name_index(self.market.genesis.underlyings[underlying].name),
            "mmp_group": str(event["order_id"]),
            "frozen_until": show_frozen_until(frozen_until_ns),
        }
        for channel in self.by_key.get(("user_mmp", int(event["account"])), ()):
            if channel.depth == underlying + 1:
                self.publish(channel, data)

    def publish_risk(self, outcome: Outcome, event: Any) -> None:
        """Say to the accounts that a liquidation's event names what it brings them."""
        for account in list_parties(event):
            channels = self.by_key.get(("user_risk", account))
            if channels:
                data = describe_risk(self.market, outcome, event, account)
                for channel in channels:
                    self.publish(channel, data)
            self.touch(self.by_key.get(("portfolio", account), ()))

    def publish_records(self, change: Change) -> None:
        """Publish the trades and orders of one outcome."""
        for trade in change.trades:
            self.publish_trade(trade)
        for record in change.orders.values():
            self.publish_order(record)

    def publish_trade(self, trade: Trade) -> None:
        """Publish one trade to the public, to its taker and to its maker."""
        instrument = self.engine.instruments[trade.instrument]
        underlying = self.market.name_underlying(instrument)
        public = [*self.by_key.get(("trades", trade.instrument), ())]
        public += [
            each for each in self.by_key.get(("all_trades", 0), ()) if each.covers(instrument, underlying)
        ]
        if public:
            data = self.market.describe_trade(trade)
            for channel in public:
                self.add_record(channel, data)
        for channel in self.by_key.get(("chart", trade.instrument), ()):
            self.dirty[channel] = None
        for account in (trade.account, trade.maker_account):
            channels = self.list_user_channels("user_trades", account, instrument)
            if channels:
                data = self.orders.describe_user_trade(trade, account)
                for channel in channels:
                    self.add_record(channel, data)
            self.touch(self.by_key.get(("portfolio", account), ()))

    def publish_order(self, record: OrderRecord) -> None:
        """Publish one order to its owner: an object on raw channels, a list on the others."""
        instrument = self.engine.instruments[record.instrument]
        channels = self.list_user_channels("user_orders", record.account, instrument)
        if channels:
            data = self.orders.describe_order(record)
            for channel in channels:
                if channel.is_raw:
                    self.publish(channel, data)
                else:
                    self.add_record(channel, data)
        self.touch(self.by_key.get(("portfolio", record.account), ()))

    def list_user_channels(self, topic: str, account: int, instrument: InstrumentView) -> list[Channel]:
        """Return the channels of one account that include an instrument."""
        underlying = self.market.name_underlying(instrument)
        return [
            channel
            for channel in self.by_key.get((topic, account), ())
            if channel.depth in (0, instrument.number + 1) and channel.covers(instrument, underlying)
        ]

    def add_record(self, channel: Channel, data: dict[str, Any]) -> None:
        """Send a list of one on raw channels; gather a list on the others."""
        if channel.is_raw:
            self.publish(channel, [data])
            return
        pending = self.pending.setdefault(channel, [])
        pending.append(data)
        if len(pending) >= PENDING_MAX:
            self.publish(channel, self.pending.pop(channel))

    async def run(self) -> None:
        """Flush every 100 ms until cancelled."""
        while True:
            await asyncio.sleep(FLUSH_S)
            self.flush()

    def flush(self) -> None:
        """Send what has gathered."""
        dirty, self.dirty = self.dirty, {}
        for channel in dirty:
            self.send_state(channel)
        pending, self.pending = self.pending, {}
        for channel, data in pending.items():
            self.publish(channel, data)

    def send_state(self, channel: Channel) -> None:
        """Send the present state of a channel that has one."""
        data = self.describe_changes(channel) if channel.key[0] == "book" else self.describe_state(channel)
        if data is not None:
            self.publish(channel, data)

    def publish(self, channel: Channel, data: object) -> None:
        """Send data to a channel's subscribers."""
        members = self.subscribers.get(channel)
        if members:
            message = self.encode(channel, data)
            for subscriber in tuple(members):
                subscriber.send(message)

    def encode(self, channel: Channel, data: object) -> bytes:
        """Return the bytes of a channel's message."""
        return encode_notification("subscription", {"channel": channel.name, "data": data})

    def describe_state(self, channel: Channel) -> dict[str, Any] | list[dict[str, Any]] | None:
        """Return the present data of a channel without history, or None if there is none."""
        topic, number = channel.key
        if topic == "index":
            price = self.market.read_index(number)
            index_name, timestamp = channel.name.split(".")[1], self.market.clock_ns() // NS_PER_MS
            return (
                None if price is None else {"index_name": index_name, "price": price, "timestamp": timestamp}
            )
        if topic == "portfolio":
            return (
                None
                if number < 0
                else self.accounts.describe_account(views.read_account(self.engine, number))
            )
        if topic == "marks":
            return describe_marks(self.market, number)
        instrument = self.engine.instruments[number]
        if topic == "chart":
            return describe_candle(self.ledger.tape, instrument, channel.depth)
        if topic == "perpetual":
            return describe_perpetual(self.market, instrument)
        if topic == "ticker":
            return self.market.describe_ticker(instrument)
        if topic == "quote":
            return self.market.describe_quote(instrument)
        return describe_levels(self.read_book(instrument.number), channel, instrument, self.market.clock_ns())

    def read_book(self, number: int) -> PublishedBook:
        """Return an instrument's book from the engine."""
        bids, asks = views.read_book(self.engine, number, BOOK_DEPTH)
        sides = ({row[0]: row[1] for row in bids}, {row[0]: row[1] for row in asks})
        return PublishedBook(self.market.read_change_id(number), sides)

    def describe_snapshot(self, channel: Channel) -> dict[str, Any]:
        """Return the published book as a snapshot."""
        book, instrument = self.books[channel], self.engine.instruments[channel.key[1]]
        return {
            "type": "snapshot",
            "timestamp": self.market.clock_ns() // NS_PER_MS,
            "instrument_name": instrument.name,
            "change_id": book.change_id,
            **{
                key: [
                    ["new", show_price(ticks, instrument), show_amount(lots, instrument)]
                    for ticks, lots in side.items()
                ]
                for key, side in zip(("bids", "asks"), book.sides, strict=True)
            },
        }

    def describe_changes(self, channel: Channel) -> dict[str, Any] | None:
        """Return what has changed since the last message and remember it as published.
        None if nothing has.
        """
        before, after = self.books[channel], self.read_book(channel.key[1])
        instrument = self.engine.instruments[channel.key[1]]
        sides = [diff_side(old, new, instrument) for old, new in zip(before.sides, after.sides, strict=True)]
        if not any(sides):
            return None
        self.books[channel] = after
        return {
            "type": "change",
            "timestamp": self.market.clock_ns() // NS_PER_MS,
            "instrument_name": instrument.name,
            "change_id": after.change_id,
            "prev_change_id": before.change_id,
            "bids": sides[0],
            "asks": sides[1],
        }
