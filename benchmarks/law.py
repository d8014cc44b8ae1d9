"""Measure the whole law per order inside the engine: 1,000 books, 1,000 accounts, rows packed beforehand.

What an order costs here: authentication by number and nonce, every check, the 32-scenario margin with open
orders at their exact worst, matching, novation, fees, events, dirty flags. Not here: signatures, the journal,
Python. Rows lie in one buffer of 512, as a sequencer that reads binary commands has them. Rates are CPU time
of the thread; percentiles are of single orders, each timed by the processor's counter, by the wall: what runs
beside them is in them. Mass quotes renew 64 two-sided quotes each.
"""

import hashlib
import statistics
import sys
import time
from typing import Any

import numpy as np

from figures import record
from novate.execution.batch import apply_commands
from novate.execution.commitment import StateCommitment
from novate.execution.tables import grow_events
from novate.execution.warmup import warm_up
from novate.protocol.generated.codes import Code, CommandKind, EventKind, Side
from novate.protocol.generated.records import COMMAND
from order_clock import clock_commands, count_cycles, measure_cycles_per_ns
from stream import Stream, name_account

BOOKS = ACCOUNTS = 1000
WARM = 150_000
ORDERS = 300_000
GROUP = 512
CLOCKED_RUNS = 3
ROOT = "073af3b1dc53a4bffd8903bb19e8e0e13e6ca8e40fcdcf85daf060a2804784df"
SIZES = (1, 10, 100, 1000, 2000)
PAIRS = 100
ROUNDS = 30
QUOTES = 64
MAKERS = 100
Rows = list[tuple[str, Any]]


def make_stream(accounts: int, books: int) -> Stream:
    """A venue whose event buffer needs no more room."""
    stream = Stream(accounts, books)
    for _ in range(6):
        stream.engine.world = grow_events(stream.engine.world)
    return stream


def run_groups(stream: Stream, rows: Any, clocked: bool) -> tuple[list[float], np.ndarray, str, int]:
    """Nanoseconds of CPU per order of each group, cycles of each order if asked for, a digest of the events,
    and the accepted.
    """
    engine, world = stream.engine, stream.engine.world
    buffer, items = np.zeros(GROUP, COMMAND), engine.pack([])[1]
    cycles = np.zeros(len(rows), np.int64)
    digest, accepted, times = hashlib.blake2b(digest_size=16), 0, []
    for start in range(0, len(rows), GROUP):
        part = buffer[: len(rows[start : start + GROUP])]
        part[:] = rows[start : start + GROUP]
        begun = time.thread_time_ns()
        if clocked:
            done = clock_commands(world, part, items, cycles[start : start + GROUP], engine.event_reserve)
        else:
            done = apply_commands(world, part, items, 0, engine.event_reserve)
        times.append((time.thread_time_ns() - begun) / len(part))
        assert done == len(part)
        events = world.events[: int(world.house["event_count"][0])]
        digest.update(events.tobytes())
        accepted += int(((events["kind"] == EventKind.RESULT) & (events["code"] == Code.OK)).sum())
        world.house["event_count"] = 0
    return times, cycles, digest.hexdigest(), accepted


def compute_root(stream: Stream) -> str:
    """The state root, from nothing."""
    commitment = StateCommitment(stream.engine)
    return commitment.compute(commitment.collect(everything=True)).state.hex()


def clock_runs(rows: Any, digest: str, root: str) -> np.ndarray:
    """Cycles of each order in each of a few runs that begin anew and must end in the same state."""
    runs = []
    for _ in range(CLOCKED_RUNS):
        stream = make_stream(ACCOUNTS, BOOKS)
        _, cycles, clocked_digest, _ = run_groups(stream, rows, clocked=True)
        assert (digest, root) == (clocked_digest, compute_root(stream))
        runs.append(cycles[WARM:])
    return np.array(runs)


def describe_orders(name: str, nanoseconds: np.ndarray) -> Rows:
    """Percentiles over single orders."""
    labels = (50, 99, 99.9, 99.99)
    values = np.percentile(nanoseconds, labels) / 1000
    return [
        (f"us per order, {name}, p{label:g}", float(value))
        for label, value in zip(labels, values, strict=True)
    ]


def measure_stream(cycles_per_ns: float) -> Rows:
    """The same orders for the rate, and clocked one by one.

    The fastest of several runs of the same order tells what the work costs and leaves out what interrupted
    it, so it is lower than any one run at every percentile. What a trader would see is the middle run.
    """
    source = make_stream(ACCOUNTS, BOOKS)
    rows = source.engine.pack([source.next_order() for _ in range(WARM + ORDERS)])[0]
    times, _, digest, accepted = run_groups(source, rows, clocked=False)
    root = compute_root(source)
    assert root == ROOT, f"the engine ended in another state: {root}"
    runs = clock_runs(rows, digest, root) / cycles_per_ns
    middle = runs[np.argsort(np.percentile(runs, 99.9, axis=1))[CLOCKED_RUNS // 2]]
    measured = times[WARM // GROUP :]
    table: Rows = [
        ("books and accounts", BOOKS),
        ("orders, cancels and replacements, after warming", ORDERS),
        ("accepted, with warming", accepted),
        ("open orders at the end", int((source.engine.world.orders["order_id"] != 0).sum())),
        ("orders per CPU second, all groups", round(1e9 / statistics.mean(measured))),
        ("orders per CPU second, median group", round(1e9 / statistics.median(measured))),
    ]
    table += describe_orders("middle run", middle)
    return table + describe_orders(f"fastest of {CLOCKED_RUNS} runs", runs.min(axis=0))


def fill_account(stream: Stream, account: int, seller: int, size: int, held: bool) -> None:
    """Give an account positions in `size` instruments, or open orders."""
    commands = []
    for number in range(1, size + 1):
        fair = max(6, stream.fair[number])
        if held:
            commands.append(stream.place(seller, number, Side.SELL, 1, fair))
        commands.append(stream.place(account, number, Side.BUY, 1, fair if held else fair - 5))
    stream.engine.apply(commands)


def clock_pairs(stream: Stream, account: int) -> float:
    """Mean cycles of an order among a hundred that rest and are cancelled again, the first ten left out."""
    commands = []
    for _ in range(PAIRS):
        commands.append(stream.place(account, 0, Side.BUY, 1, 100))
        order_id = stream.next_order_id - 1
        commands.append(stream.sign(CommandKind.CANCEL, commands[-1].signer, order_id=order_id))
    engine = stream.engine
    rows, items = engine.pack(commands)
    cycles = np.zeros(len(rows), np.int64)
    assert clock_commands(engine.world, rows, items, cycles, engine.event_reserve) == len(rows)
    events = engine.world.events[: int(engine.world.house["event_count"][0])]
    assert (events["code"] == Code.OK).all()
    engine.world.house["event_count"] = 0
    return float(cycles[10:].mean())


def measure_curve(cycles_per_ns: float) -> Rows:
    """What an order costs an account that holds, or has open, more and more; the accounts take turns.

    One account and one instrument again and again, so everything is in the first cache: the curve shows that
    the work does not grow, and not what an order costs in a crowd. Means, because the counter may move in
    steps of several nanoseconds.
    """
    seller = 2 * len(SIZES)
    stream = make_stream(seller + 1, SIZES[-1] + 2)
    for account, size in enumerate(SIZES + SIZES):
        fill_account(stream, account, seller, size, account < len(SIZES))
    world = stream.engine.world
    live = world.positions[(world.positions["account"] != -1) & (world.positions["lots"] != 0)]
    assert list(SIZES) == [int((live["account"] == account).sum()) for account in range(len(SIZES))]
    assert list(SIZES) == world.accounts["open_order_count"][len(SIZES) : seller].tolist()
    rounds = [[clock_pairs(stream, account) for account in range(seller)] for _ in range(ROUNDS)]
    medians = [statistics.median(column) for column in zip(*rounds, strict=True)]
    names = [f"{size} positions" for size in SIZES] + [f"{size} other open orders" for size in SIZES]
    return [
        (f"us per order in cache, {name}", median / cycles_per_ns / 1000)
        for name, median in zip(names, medians, strict=True)
    ]


def make_quotes(stream: Stream, account: int, step: int) -> Any:
    """A MASS_QUOTE that renews every quote of an account at other prices than the last."""
    first = 1 + account * 7 % (BOOKS - QUOTES - 1)
    items = []
    for number in range(first, first + QUOTES):
        fair = max(20, stream.fair[number])
        items.append((number, fair - 8 - step % 2 - account % 5, 2, fair + 8 + step % 2 + account % 5, 2))
    command = stream.sign(CommandKind.MASS_QUOTE, name_account(account), group=1)
    return command._replace(items=tuple(items))


def measure_quotes() -> Rows:
    """Mass quotes of a hundred makers, each renewing both sides of 64 instruments at a new price."""
    stream = make_stream(MAKERS, BOOKS)
    limits = {"quantity_limit_lots": 100, "delta_limit_atoms": 0, "vega_limit_atoms": 0}
    windows = {"group": 1, "underlying": 0, "window_ns": 1_000_000_000, "frozen_ns": 0}
    setup = [stream.sign(CommandKind.SET_MMP, name_account(n), **windows, **limits) for n in range(MAKERS)]
    assert (stream.engine.apply(setup)["code"] == Code.OK).all()
    times = []
    for step in range(12):
        engine = stream.engine
        rows, items = engine.pack([make_quotes(stream, account, step) for account in range(MAKERS)])
        begun = time.thread_time_ns()
        parts = engine.apply_rows(rows, items)
        times.append((time.thread_time_ns() - begun) / (MAKERS * QUOTES))
        events = np.concatenate(parts)
        assert int((events["kind"] == EventKind.REST).sum()) == 2 * MAKERS * QUOTES
        assert not (events["kind"] == EventKind.QUOTE_REJECTED).any()
    median = statistics.median(times[2:])
    return [
        ("two-sided quotes a command", QUOTES),
        ("two-sided quotes renewed per CPU second", round(1e9 / median)),
        ("us per two-sided quote, median of commands", median / 1000),
    ]


def main() -> None:
    print(f"kernels ready in {warm_up():.1f} s")
    cycles_per_ns = measure_cycles_per_ns()
    steps = np.diff([count_cycles() for _ in range(2000)])
    print(f"the counter moves in steps of {np.gcd.reduce(steps) / cycles_per_ns:.1f} ns")
    record(
        "law",
        {
            "the whole law, one order at a time": measure_stream(cycles_per_ns),
            "cost of an order": measure_curve(cycles_per_ns),
            "mass quotes": measure_quotes(),
        },
    )


if __name__ == "__main__":
    sys.exit(main())
