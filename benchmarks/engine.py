"""Measure the engine: the whole law per order, beside a bare order book in plain Python on the same stream.

    the whole law   authentication, limits, 32-scenario margin, matching, novation, fees, events, dirty flags
    the peer        matching only (peer_book.py)

Both are timed in groups of 512 in one process, and must fill the same lots; the engine must end in the state
root below. Then: what an order costs an account that holds or has open more and more, and what a mark update
costs.
"""

import statistics
import sys
import time
from typing import Any

import numpy as np

from figures import record
from novate.execution.commitment import StateCommitment
from novate.execution.warmup import warm_up
from novate.protocol.command import Command
from novate.protocol.generated.codes import Code, CommandKind, EventKind, Side, TimeInForce
from peer_book import PeerBooks
from stream import Stream

BOOKS = ACCOUNTS = 200
ORDERS = 200_000
GROUP = 512
SIZES = (0, 1, 10, 100, 1000)
ROUNDS = 60
ROOT = "29e397fa8afbe13551fc15f40dd95215ff348e30c19916e16fe7c73fd602f6af"
Rows = list[tuple[str, Any]]


def feed_peer(books: PeerBooks, accounts: dict[bytes, int], commands: list[Command]) -> None:
    """Give the peer the same orders."""
    for command in commands:
        account, values = accounts[command.signer], command.values
        if command.kind == CommandKind.PLACE:
            books.place(account, values[0], values[1], values[3], values[4], values[2] == TimeInForce.IOC)
        elif command.kind == CommandKind.CANCEL:
            books.cancel(account, values[0])
        else:
            books.replace(account, *values[:3])


def run_both(
    stream: Stream, books: PeerBooks, commands: list[Command]
) -> tuple[list[float], list[float], np.ndarray]:
    """Nanoseconds per order of each group, of engine and peer in turns, and the engine's events."""
    times: list[float] = []
    peer_times: list[float] = []
    events = []
    for start in range(0, len(commands), GROUP):
        group = commands[start : start + GROUP]
        begun = time.perf_counter_ns()
        events.append(stream.engine.apply(group))
        middle = time.perf_counter_ns()
        feed_peer(books, stream.engine.accounts, group)
        peer_times.append((time.perf_counter_ns() - middle) / len(group))
        times.append((middle - begun) / len(group))
    return times, peer_times, np.concatenate(events)


def describe_times(name: str, times: list[float]) -> Rows:
    """Orders a second, and microseconds per order over groups."""
    quantiles = np.percentile(times, [50, 90, 99, 99.9]) / 1000
    rows: Rows = [(f"{name}: orders per second", round(1e9 / statistics.mean(times)))]
    return rows + [
        (f"{name}: us per order, p{label} of groups", float(value))
        for label, value in zip(("50", "90", "99", "99.9"), quantiles, strict=True)
    ]


def measure_stream() -> Rows:
    """Engine and peer on the same orders."""
    stream = Stream(ACCOUNTS, BOOKS)
    commands = [stream.next_order() for _ in range(ORDERS)]
    books = PeerBooks(BOOKS)
    times, peer_times, events = run_both(stream, books, commands)
    fills = events[events["kind"] == EventKind.FILL]
    assert (len(fills), int(fills["lots"].sum())) == (books.fill_count, books.lots_filled)
    commitment = StateCommitment(stream.engine)
    root = commitment.compute(commitment.collect(everything=True)).state.hex()
    assert root == ROOT, f"the engine ended in another state: {root}"
    codes = events[events["kind"] == EventKind.RESULT]["code"]
    rows: Rows = [
        ("orders, cancels and replacements", len(commands)),
        ("books and accounts", BOOKS),
        ("fills", len(fills)),
        ("accepted", int((codes == Code.OK).sum())),
        ("positions at the end", int((stream.engine.world.positions["lots"] != 0).sum())),
        ("open orders at the end", int((stream.engine.world.orders["order_id"] != 0).sum())),
    ]
    rows += describe_times("engine", times) + describe_times("peer", peer_times)
    return [*rows, ("engine / peer, median time", statistics.median(times) / statistics.median(peer_times))]


def time_group(stream: Stream, account: int) -> float:
    """Microseconds per order of a hundred orders that rest and are cancelled again."""
    commands = []
    for _ in range(100):
        commands.append(stream.place(account, 0, Side.BUY, 1, 100))
        commands.append(
            stream.sign(CommandKind.CANCEL, commands[-1].signer, order_id=stream.next_order_id - 1)
        )
    begun = time.perf_counter_ns()
    events = stream.engine.apply(commands)
    spent = time.perf_counter_ns() - begun
    assert (events["code"] == Code.OK).all()
    return spent / len(commands) / 1000


def measure_cost_curve() -> Rows:
    """What an order costs with 0 to 1000 positions, and with 0 to 1000 other open orders.

    The accounts take turns, so that a processor that slows down slows all of them.
    """
    seller = 2 * len(SIZES)
    stream = Stream(seller + 1, SIZES[-1] + 2)
    for account, size in enumerate(SIZES + SIZES):
        commands = []
        for number in range(1, size + 1):
            fair = max(6, stream.fair[number])
            if account < len(SIZES):
                commands.append(stream.place(seller, number, Side.SELL, 1, fair))
            commands.append(
                stream.place(account, number, Side.BUY, 1, fair if account < len(SIZES) else fair - 5)
            )
        stream.engine.apply(commands)
    world = stream.engine.world
    live = world.positions[(world.positions["account"] != -1) & (world.positions["lots"] != 0)]
    assert list(SIZES) == [int((live["account"] == account).sum()) for account in range(len(SIZES))]
    assert list(SIZES) == world.accounts["open_order_count"][len(SIZES) : seller].tolist()
    times = [[time_group(stream, account) for account in range(seller)] for _ in range(ROUNDS)]
    medians = [statistics.median(column) for column in zip(*times, strict=True)]
    names = [f"{size} positions" for size in SIZES] + [f"{size} other open orders" for size in SIZES]
    return [(f"us per order with {name}", median) for name, median in zip(names, medians, strict=True)]


def measure_marks() -> Rows:
    """What a mark update costs, by instruments, and by what is held and open."""
    rows: Rows = []
    for instruments in (250, 500, 1000, 2000):
        stream = Stream(200, instruments)
        rows.append((f"ms per mark update, {instruments} x 34 values, empty", time_ticks(stream)))
    for orders in (10_000, 40_000):
        stream.engine.apply([stream.next_order() for _ in range(orders)])
        world = stream.engine.world
        held = int((world.positions["lots"] != 0).sum()), int((world.orders["order_id"] != 0).sum())
        name = f"ms per mark update, 2000, {held[0]} positions, {held[1]} orders"
        rows.append((name, time_ticks(stream)))
    return rows


def time_ticks(stream: Stream) -> float:
    """Median milliseconds of an index report and its TICK."""
    times = []
    for step in range(9):
        commands = [stream.index(80_000_000_000 + step * 7_000_000), stream.tick()]
        begun = time.perf_counter_ns()
        stream.engine.apply(commands)
        times.append((time.perf_counter_ns() - begun) / 1e6)
    return statistics.median(times)


def main() -> None:
    print(f"kernels ready in {warm_up():.1f} s")
    record(
        "engine",
        {
            "order stream": measure_stream(),
            "cost of an order": measure_cost_curve(),
            "mark update": measure_marks(),
        },
    )


if __name__ == "__main__":
    sys.exit(main())
