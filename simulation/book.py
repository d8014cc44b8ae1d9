"""A naive book that follows the events: who rests where since when, and whether fills respect it."""

from collections.abc import Callable
from dataclasses import dataclass

from novate.execution.engine import Events
from novate.protocol.generated.codes import EventKind, Side


@dataclass
class Resting:
    """An order in the book; `rank` grows with its arrival at its price, `visible_lots` is what it shows."""

    instrument: int
    side: int
    price_ticks: int
    lots: int
    visible_lots: int
    rank: int


class Book:
    """All books of a venue; `fail` is told of a fill that was not the next in line. [MATCH-3]"""

    def __init__(self, fail: Callable[[str], None]) -> None:
        self.fail = fail
        self.orders: dict[int, Resting] = {}
        self.rank = 0

    def follow(self, sequence: int, events: Events) -> None:
        """Follow the events of one command."""
        names = events.dtype.names
        assert names is not None
        for row in events.tolist():
            event = dict(zip(names, row, strict=True))
            kind, order_id = event["kind"], event["order_id"]
            if kind == EventKind.REST:
                self.rest(sequence, event)
            elif kind == EventKind.REFRESHED:
                self.renew(sequence, event)
            elif kind == EventKind.REDUCED and order_id in self.orders:
                self.orders[order_id].lots = event["lots"]
                self.orders[order_id].visible_lots = event["visible_lots"]
            elif kind == EventKind.CANCELLED:
                self.orders.pop(order_id, None)
            elif kind == EventKind.FILL and order_id != event["maker_order_id"]:
                # The two sides of a block trade share a number, and never were in a book.
                self.fill(sequence, event)

    def rest(self, sequence: int, event: dict[str, int]) -> None:
        """An order takes its place at the end of its level, where nothing that it could trade with is."""
        self.rank += 1
        terms = (event["instrument"], event["side"], event["price_ticks"], event["lots"])
        sign = 1 if event["side"] == Side.BUY else -1
        across = min(self.list_queue(event["instrument"], 1 - event["side"]), default=None)
        if across is not None and across[0] <= sign * event["price_ticks"]:
            self.fail(f"command {sequence} let order {event['order_id']} rest across order {across[2]}")
        self.orders[event["order_id"]] = Resting(*terms, event["visible_lots"], self.rank)

    def renew(self, sequence: int, event: dict[str, int]) -> None:
        """An order that hides lots shows the next of them, at the end of its level."""
        order = self.orders.get(event["order_id"])
        if order is None or order.visible_lots or order.lots != event["lots"]:
            self.fail(f"command {sequence} renewed order {event['order_id']}, which is not used up")
            return
        self.rank += 1
        order.rank, order.visible_lots = self.rank, event["visible_lots"]

    def fill(self, sequence: int, event: dict[str, int]) -> None:
        """A maker trades: it must be known, rest at the price, and be the first in line."""
        # An order that is replaced and trades at once has left its place.
        self.orders.pop(event["order_id"], None)
        number = event["maker_order_id"]
        maker = self.orders.get(number)
        if maker is None or maker.instrument != event["instrument"] or maker.side == event["side"]:
            self.fail(f"command {sequence} filled order {number}, which does not rest there")
            return
        if maker.price_ticks != event["price_ticks"] or maker.visible_lots < event["lots"]:
            self.fail(f"command {sequence} filled order {number} beyond what it offers")
        first = min(self.list_queue(maker.instrument, maker.side), default=None)
        if first is not None and first[2] != number:
            self.fail(f"command {sequence} filled order {number} before order {first[2]}")
        maker.lots -= event["lots"]
        maker.visible_lots -= event["lots"]
        if maker.lots <= 0:
            del self.orders[number]

    def list_queue(self, instrument: int, side: int) -> list[tuple[int, int, int]]:
        """Every order of one side as (price, the best least; rank; id)."""
        sign = -1 if side == Side.BUY else 1
        return [
            (sign * order.price_ticks, order.rank, number)
            for number, order in self.orders.items()
            if (order.instrument, order.side) == (instrument, side)
        ]
