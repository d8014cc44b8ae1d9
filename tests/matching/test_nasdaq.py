"""An hour of Nasdaq's orders sent to the engine leaves the books that Nasdaq published."""

from typing import Any

import numpy as np
import pytest
from benchmarks.stream import Stream

from novate.execution.order_book import find_level
from novate.kernel import kernel
from novate.protocol.generated.codes import Code, CommandKind, EventKind, TimeInForce
from novate.protocol.generated.records import COMMAND, ITEM
from tests.matching import nasdaq

MAKERS = 15
TAKER = MAKERS
REACH = 60
EQUAL_SHARE_MIN = 0.995


@kernel
def read_best(w: Any, best: Any) -> None:
    """Ask and bid of the first instrument: price and lots."""
    for side in range(2):
        ticks = w.best[side]
        best[2 - 2 * side] = max(ticks, 0)
        best[3 - 2 * side] = w.levels[find_level(w, side, ticks)]["lots"] if ticks >= 0 else 0


@kernel
def read_first(w: Any, side: int, ticks: int) -> int:
    """The record of the first order at a price of the first instrument, or -1."""
    level = w.levels[find_level(w, side, ticks)]
    return int(level["head"]) if level["key"] != 0 else -1


class Replay:
    """A venue that is told of the hour."""

    def __init__(self) -> None:
        self.stream = Stream(MAKERS + 1, 2)
        self.row, self.items = np.zeros(1, COMMAND), np.zeros(0, ITEM)
        self.ids: dict[int, int] = {}
        self.next_id, self.nonce = 1, 0
        self.best = np.zeros(4, np.int64)
        self.states: list[nasdaq.Best] = []
        self.refused = self.passed = 0

    def send(self, kind: CommandKind, account: int, **fields: int) -> np.ndarray[Any, Any]:
        """Apply one command and return its events."""
        row = self.row[0]
        self.row[:] = 0
        self.nonce += 1
        row["kind"], row["account"], row["nonce"] = kind, account, self.nonce
        row["sequence"], row["time_ns"] = self.stream.engine.sequence + 1, self.stream.now_ns
        row["expires_ns"] = 1 << 62
        for name, value in fields.items():
            row[name] = value
        (events,) = self.stream.engine.apply_rows(self.row, self.items)
        self.refused += int(events["code"][0] != Code.OK)
        return events

    def place(self, step: nasdaq.Step, account: int, time_in_force: int) -> np.ndarray[Any, Any]:
        """An order of the file's."""
        self.next_id += 1
        terms = {"side": step.side, "lots": step.lots, "price_ticks": step.ticks}
        return self.send(CommandKind.PLACE, account, time_in_force=time_in_force, **terms)

    def let_first(self, step: nasdaq.Step) -> None:
        """Put every order ahead of the one that the file fills to the end of their price, and count that."""
        world, side = self.stream.engine.world, 1 - step.side
        first, own = read_first(world, side, step.ticks), self.ids[step.order_id]
        passed = False
        while first >= 0 and int(world.orders["order_id"][first]) != own:
            order = world.orders[first].copy()
            order_id, account = int(order["order_id"]), int(order["account"])
            self.send(CommandKind.CANCEL, account, order_id=order_id)
            name = next(name for name, known in self.ids.items() if known == order_id)
            self.ids[name] = self.next_id
            again = nasdaq.Step(nasdaq.ADDED, name, int(order["lots"]), step.ticks, side, False)
            self.place(again, account, TimeInForce.GTC)
            first, passed = read_first(world, side, step.ticks), True
        self.passed += passed

    def follow(self, step: nasdaq.Step) -> None:
        """Tell the venue of one step."""
        account = step.order_id % MAKERS
        if step.kind == nasdaq.ADDED:
            self.ids[step.order_id] = self.next_id
            events = self.place(step, account, TimeInForce.GTC)
            assert not (events["kind"] == EventKind.FILL).any()
        elif step.kind == nasdaq.EXECUTED:
            self.let_first(step)
            events = self.place(step, TAKER, TimeInForce.IOC)
            fills = events[events["kind"] == EventKind.FILL]
            found = [tuple(fill) for fill in fills[["maker_order_id", "price_ticks", "lots"]].tolist()]
            assert [(self.ids[step.order_id], step.ticks, step.lots)] == found
        elif step.kind == nasdaq.REDUCED:
            fields = {"order_id": self.ids[step.order_id]}
            if step.lots > 0:
                self.send(CommandKind.REPLACE, account, lots=step.lots, price_ticks=step.ticks, **fields)
            else:
                self.send(CommandKind.CANCEL, account, **fields)
        if step.ends_event:
            read_best(self.stream.engine.world, self.best)
            self.states.append(tuple(self.best.tolist()))


@pytest.mark.skipif(
    not nasdaq.MESSAGES.exists(), reason="needs ../shared/data/order_flow, which a clone does not have"
)
def test_the_books_are_those_that_nasdaq_published() -> None:
    """After at least 99.5 % of 91,997 events best bid and ask and their sizes are the published ones; every
    execution trades all its lots with the order that Nasdaq's met, which all but a few times was the first.
    """
    replay, messages = Replay(), nasdaq.read_messages()
    for step in nasdaq.list_steps(messages):
        replay.follow(step)
    published = nasdaq.read_best()
    equal, reached = nasdaq.count_equal(replay.states, published, REACH)
    executed = sum(each.kind == nasdaq.EXECUTED for each in messages)
    print(f"equal {equal} of {len(replay.states)}, {reached} published states, refused {replay.refused}, ")
    print(f"executions {executed}, of which {replay.passed} passed an order that had come first")
    assert len(messages) == len(replay.states)
    assert equal >= EQUAL_SHARE_MIN * len(messages)
    assert replay.passed <= 0.01 * executed
    assert replay.refused <= 0.001 * len(messages)
