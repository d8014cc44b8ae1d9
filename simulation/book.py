"""A naive book that follows the events: who rests where since when, and whether fills respect it."""

from collections.abc import Callable
from dataclasses import dataclass

from novate.execution.engine import Events
from novate.protocol.generated.codes import EventKind, Side


@dataclass
class Resting:
    """An order in the book; `rank` grows with its arrival at its price."""

    instrument: int
    side: int
    price_ticks: int
    lots: int
    rank: int


class Book:
    """All books of a venue; `fail` is told of a fill that was not the next in line. [MATCH-3]"""

    def __init__(self, fail: Callable[[str], None]) -> None:
        self.fail = fail
        self.orders: dict[int, Resting] = {}
        self.rank = 0
        self.fill_count = 0
        self.liquidation_count = 0

    def follow(self, sequence: int, events: Events) -> None:
        """Follow the events of one command."""
        names = events.dtype.names
        assert names is not None
        for row in events.tolist():
            event = dict(zip(names, row, strict=True))
            kind, order_id = event["kind"], event["order_id"]
            if kind == EventKind.REST:
                self.rest(event)
            elif kind == EventKind.REDUCED and order_id in self.orders:
                self.orders[order_id].lots = event["lots"]
            elif kind == EventKind.CANCELLED:
                self.orders.pop(order_id, None)
            elif kind == EventKind.FILL:
                self.fill(sequence, event)
            elif kind == EventKind.LIQUIDATION_STARTED:
                self.liquidation_count += 1

    def rest(self, event: dict[str, int]) -> None:
        """An order takes its place at the end of its level."""
        self.rank += 1
        terms = (event["instrument"], event["side"], event["price_ticks"], event["lots"])
        self.orders[event["order_id"]] = Resting(*terms, self.rank)

    def fill(self, sequence: int, event: dict[str, int]) -> None:
        """A maker trades: it must be known, rest at the price, and be the first in line."""
        self.fill_count += 1
        # An order that is replaced and trades at once has left its place.
        self.orders.pop(event["order_id"], None)
        number = event["maker_order_id"]
        maker = self.orders.get(number)
        if maker is None or maker.instrument != event["instrument"] or maker.side == event["side"]:
            self.fail(f"command {sequence} filled order {number}, which does not rest there")
            return
        if maker.price_ticks != event["price_ticks"] or maker.lots < event["lots"]:
            self.fail(f"command {sequence} filled order {number} beyond what it offers")
        first = min(self.list_queue(maker.instrument, maker.side), default=None)
        if first is not None and first[2] != number:
            self.fail(f"command {sequence} filled order {number} before order {first[2]}")
        maker.lots -= event["lots"]
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
