"""An hour of Nasdaq's orders in AAPL, told by a LOBSTER file, as commands of the venue.

The file tells of 50 price levels a side. An order that it cancels or fills without having told of its arrival
was open before, or arrived farther away: it is placed where its number, which counts arrivals, says. One that
ends farther away stays open here, which is the only difference that is found. What the file calls an
execution of an open order becomes an immediate order of the other side at that price; an execution of a
hidden order changes no book and becomes nothing.
"""

import csv
import gzip
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from novate.protocol.generated.codes import Side

FOLDER = Path(__file__).parents[3] / "shared" / "data" / "order_flow"
MESSAGES = FOLDER / "lobster_AAPL_20120621_0930_1030_message_50.csv.gz"
BEST = FOLDER / "lobster_AAPL_20120621_orderbook_1.csv.gz"
ADDED, REDUCED, DELETED, EXECUTED, HIDDEN = 1, 2, 3, 4, 5
UNITS_PER_TICK = 100  # A cent; the file counts hundredths of it.


class Message(NamedTuple):
    """One line of the file; `side` is that of the open order."""

    kind: int
    order_id: int
    lots: int
    ticks: int
    side: int


class Step(NamedTuple):
    """What the venue is told: an order, the rest of one that shrinks (0: none is left), or a taker."""

    kind: int
    order_id: int
    lots: int
    ticks: int
    side: int
    ends_event: bool


Best = tuple[int, int, int, int]


def read_messages() -> list[Message]:
    """The hour's events."""
    with gzip.open(MESSAGES, "rt") as lines:
        return [
            Message(int(kind), int(number), int(size), int(price) // UNITS_PER_TICK, int(side != "1"))
            for _, kind, number, size, price, side in csv.reader(lines)
        ]


def read_best() -> list[Best]:
    """The day's best ask and bid, price and size, without the repetitions."""
    states: list[Best] = []
    with gzip.open(BEST, "rt") as lines:
        for ask, ask_size, bid, bid_size in csv.reader(lines):
            state = (int(ask) // UNITS_PER_TICK, int(ask_size), int(bid) // UNITS_PER_TICK, int(bid_size))
            if not states or state != states[-1]:
                states.append(state)
    return states


def list_untold(messages: list[Message]) -> list[Message]:
    """The arrivals that the file leaves out, the last first, as large as what later happens to them."""
    told = {each.order_id for each in messages if each.kind == ADDED}
    untold: dict[int, Message] = {}
    for each in messages:
        if each.kind in (REDUCED, DELETED, EXECUTED) and each.order_id not in told:
            lots = each.lots + (untold[each.order_id].lots if each.order_id in untold else 0)
            untold[each.order_id] = each._replace(kind=ADDED, lots=lots)
    return [untold[order_id] for order_id in sorted(untold, reverse=True)]


def list_steps(messages: list[Message]) -> Iterator[Step]:
    """What the venue is told, event by event; after a step that ends its event the books can be compared."""
    untold, left = list_untold(messages), {}
    for each in messages:
        while each.kind == ADDED and untold and untold[-1].order_id < each.order_id:
            arrival = untold.pop()
            left[arrival.order_id] = arrival.lots
            yield Step(ADDED, *arrival[1:], ends_event=False)
        if each.kind == ADDED:
            left[each.order_id] = each.lots
            yield Step(ADDED, *each[1:], ends_event=True)
        elif each.kind == EXECUTED:
            left[each.order_id] -= each.lots
            yield Step(EXECUTED, *each[1:4], side=Side.SELL - each.side, ends_event=True)
        elif each.kind in (REDUCED, DELETED):
            left[each.order_id] -= each.lots
            yield Step(REDUCED, each.order_id, left[each.order_id], each.ticks, each.side, ends_event=True)
        else:
            yield Step(HIDDEN, *each[1:], ends_event=True)


def count_equal(ours: list[Best], published: list[Best], reach: int) -> tuple[int, int]:
    """How many of our states, one after each event, are the published one of then, and how far that went.

    The published states have no times: ours must be the current one or the next. Where they differ, the next
    of ours that is among the `reach` next published ones is taken to be that.
    """
    at, equal = 0, 0
    for state in ours:
        ahead = published[at : at + 2]
        if state not in ahead:
            ahead = published[at : at + reach]
        if state in ahead:
            at += ahead.index(state)
            equal += 1
    return equal, at
