"""Bare matching: the engine's own books beside two in Python, and beside any program, on the same file.

    python benchmarks/matching.py [--messages N] [--rounds N] [--streams DIR] [--peer NAME=COMMAND ...]

No margin, no money, no signatures; benchmarks/law.py measures the whole law. Every engine reads the file that
docs/guides/matching.md describes, in each round anew, in turns. Rates are CPU time of the thread that
matches; a ratio is the median of the ratios of the rounds. All must make the same trades of the same lots,
and the books of engine and Python must end with the same orders in the same places.
"""

import argparse
import hashlib
import shlex
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from bare_books import MESSAGE, TALLY, TRADE, clock_messages, run_messages
from figures import record
from match_file import SHAPES, Shape, find_file, hash_file
from novate.execution.tables import NONE, World, make_world
from order_clock import measure_cycles_per_ns
from plain_books import PlainBooks
from sorted_books import SortedBooks
from stream import make_genesis

MESSAGES, ROUNDS, SEED = 1_000_000, 5, 7
TRADES_KEPT = 1 << 16
PAGE_BYTES = 4096
AHEAD_FROM = 100  # Books from which on the hints gain.
PEER_SECONDS_MAX = 600
# By default: the file, trades, lots, and the orders that are open at the end.
EXPECTED = {
    "one": ("95cf78e4c1b5b56b", 205_962, 5_478_020, "2f8ea155b2f58ddb075cc1e0976b90b7"),
    "multi": ("7ad784e7b1b942bd", 163_983, 4_498_814, "d4780a4248698ab716084da3799bec37"),
}
PYTHON_BOOKS: dict[str, type[PlainBooks | SortedBooks]] = {
    "Python, SortedDict": SortedBooks,
    "Python, dict and bisect": PlainBooks,
}
Rows = list[tuple[str, Any]]


class Outcome(NamedTuple):
    """What an engine made of a file."""

    trades: int
    lots: int
    seconds: float
    digest: str = ""


def make_books(shape: Shape) -> World:
    """Empty books, in tables as large as the file needs."""
    genesis = make_genesis(1, shape.instruments)
    genesis.limits.update(orders=shape.order_limit, positions=1, triggers=1)
    world = make_world(genesis)
    for table in world:
        # As in a venue that runs: the system has given out every page before the first message.
        table.reshape(-1).view(np.uint8)[::PAGE_BYTES] = table.reshape(-1).view(np.uint8)[::PAGE_BYTES]
    return world


def hash_open(orders: list[tuple[int, int, int, int]]) -> str:
    """A digest of book, price, id and lots of every open order."""
    return hashlib.blake2b(np.array(orders, "<i8").tobytes(), digest_size=16).hexdigest()


def list_open(world: World) -> list[tuple[int, int, int, int]]:
    """The same of the engine's books."""
    found = []
    levels = world.levels[world.levels["key"] != 0]
    for level in levels[np.argsort(levels["key"])]:
        slot = int(level["head"])
        while slot != NONE:
            order = world.orders[slot]
            book = int(order["instrument"]) * 2 + int(order["side"])
            found.append((book, int(order["price_ticks"]), int(order["order_id"]), int(order["lots"])))
            slot = int(order["next"])
    return found


def run_engine(messages: np.ndarray, shape: Shape) -> Outcome:
    """The engine's books, timed."""
    world, trades, tally = make_books(shape), np.zeros(TRADES_KEPT, TRADE), np.zeros(1, TALLY)
    ahead = shape.instruments >= AHEAD_FROM
    run_messages(world, messages[:0], trades, tally, ahead)
    begun = time.thread_time()
    run_messages(world, messages, trades, tally, ahead)
    seconds = time.thread_time() - begun
    return Outcome(int(tally["trades"][0]), int(tally["lots"][0]), seconds, hash_open(list_open(world)))


def clock_engine(messages: np.ndarray, shape: Shape) -> np.ndarray:
    """Cycles of each message."""
    world, trades, tally = make_books(shape), np.zeros(TRADES_KEPT, TRADE), np.zeros(1, TALLY)
    cycles = np.zeros(len(messages), np.int64)
    ahead = shape.instruments >= AHEAD_FROM
    clock_messages(world, messages[:0], trades, tally, ahead, cycles)
    clock_messages(world, messages, trades, tally, ahead, cycles)
    return cycles


def run_python(rows: list[tuple[int, ...]], books: PlainBooks | SortedBooks) -> Outcome:
    """Books in Python, timed."""
    apply = books.apply
    begun = time.thread_time()
    for order_id, new_id, ticks, lots, number, kind, side, immediate in rows:
        apply(kind, side, immediate, order_id, new_id, ticks, lots, number)
    seconds = time.thread_time() - begun
    return Outcome(books.trades, books.lots, seconds, hash_open(books.list_open()))


def run_command(command: str, path: Path) -> Outcome:
    """A program that is given the file and ends its output with a line `TRADES LOTS SECONDS`."""
    done = subprocess.run(
        [*shlex.split(command), str(path)],
        capture_output=True,
        text=True,
        timeout=PEER_SECONDS_MAX,
        check=False,
    )
    lines = done.stdout.split("\n") if done.returncode == 0 else []
    words = next((line.split() for line in reversed(lines) if line.strip()), [])
    try:
        trades, lots, seconds = words
        return Outcome(int(trades), int(lots), float(seconds))
    except ValueError:
        wrong = f"{command}: ended with {done.returncode} and {words}, not with TRADES LOTS SECONDS"
        sys.exit(f"{wrong}\n{done.stderr}")


def run_rounds(path: Path, shape: Shape, peers: dict[str, str], rounds: int) -> dict[str, list[Outcome]]:
    """All engines in turns, several times."""
    messages = np.fromfile(path, MESSAGE)
    rows = list(zip(*(messages[name].tolist() for name in (MESSAGE.names or ())[:8]), strict=True))
    outcomes: dict[str, list[Outcome]] = {}
    for _ in range(rounds):
        outcomes.setdefault("engine", []).append(run_engine(messages, shape))
        for kind, books in PYTHON_BOOKS.items():
            outcomes.setdefault(kind, []).append(run_python(rows, books(shape.instruments)))
        for peer, command in peers.items():
            outcomes.setdefault(peer, []).append(run_command(command, path))
    return outcomes


def compare(name: str, outcomes: dict[str, list[Outcome]]) -> Outcome:
    """Fail unless all made the same of the file; return the engine's first outcome."""
    first = outcomes["engine"][0]
    for engine, rounds in outcomes.items():
        for each in rounds:
            assert (first.trades, first.lots) == (each.trades, each.lots), (
                f"{engine} differs on {name}: {each}"
            )
            assert each.digest in ("", first.digest), f"{engine} ends with other orders on {name}"
    return first


def describe(name: str, path: Path, peers: dict[str, str], rounds: int, default: bool) -> Rows:
    """The figures of one file."""
    shape = SHAPES[name]
    outcomes = run_rounds(path, shape, peers, rounds)
    first = compare(name, outcomes)
    found = (hash_file(path), first.trades, first.lots, first.digest)
    assert not default or EXPECTED[name] == found, f"{name}: {found} is not what was recorded"
    count = path.stat().st_size // MESSAGE.itemsize
    rows: Rows = [
        ("messages", count),
        ("books", shape.instruments),
        ("trades", first.trades),
        ("lots", first.lots),
    ]
    rates = {engine: [count / each.seconds for each in rounds] for engine, rounds in outcomes.items()}
    for engine, values in rates.items():
        rows.append((f"{engine}: messages per CPU second, median", round(statistics.median(values))))
    for engine in list(rates)[1:]:
        ratios = [ours / theirs for ours, theirs in zip(rates["engine"], rates[engine], strict=True)]
        rows.append((f"engine / {engine}, median of {len(ratios)} rounds", statistics.median(ratios)))
        rows.append((f"engine / {engine}, least and most", f"{min(ratios):.2f} to {max(ratios):.2f}"))
    nanoseconds = clock_engine(np.fromfile(path, MESSAGE), shape) / measure_cycles_per_ns()
    for label in (50, 90, 99, 99.9, 99.99):
        rows.append((f"engine: ns per message, p{label:g}", float(np.percentile(nanoseconds, label))))
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--messages", type=int, default=MESSAGES, help=f"messages of a file ({MESSAGES})")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help=f"rounds in turns ({ROUNDS})")
    parser.add_argument("--seed", type=int, default=SEED, help=f"seed of the files ({SEED})")
    parser.add_argument("--streams", type=Path, help="where the files are kept (a temporary folder)")
    parser.add_argument(
        "--peer",
        action="append",
        default=[],
        metavar="NAME=COMMAND",
        help="a program to time on the same files",
    )
    options = parser.parse_args()
    peers = dict(each.split("=", 1) for each in options.peer)
    default = (options.messages, options.seed) == (MESSAGES, SEED)
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.streams or Path(temporary)
        tables = {}
        for name in SHAPES:
            path = find_file(folder, name, options.messages, options.seed)
            tables[f"bare matching, {name}"] = describe(name, path, peers, options.rounds, default)
    record("matching", tables)


if __name__ == "__main__":
    sys.exit(main())
