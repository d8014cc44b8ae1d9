"""How the index moves while a venue runs: after a file of one-minute prices, or after a jump-diffusion
fitted on such.

A path gives ratios to its own first price, so any path moves any index. Between minutes prices are
interpolated.
"""

import csv
import gzip
import math
from abc import ABC, abstractmethod
from pathlib import Path
from typing import NamedTuple

import numpy as np

from novate.apps.market import UNDERLYING_ROWS, MarketError, read_builtin
from novate.protocol.generated.constants import NS_PER_MS, NS_PER_S

PRICE_ROWS_MAX = 1_000_000
MINUTE_NS = 60 * NS_PER_S
MINUTES_GENERATED = 1024


class PricePath(ABC):
    """Prices over the venue's time, relative to the price at its beginning."""

    @abstractmethod
    def compute_ratio(self, underlying: str, elapsed_ns: int) -> float:
        """Return the price of an underlying divided by its first price."""

    @abstractmethod
    def describe(self) -> str:
        """Return in words what moves which index."""


class MinutePath:
    """Logarithms of prices, one per minute, beginning with 0."""

    def __init__(self, logarithms: list[float]) -> None:
        self.logarithms = logarithms

    def interpolate(self, elapsed_ns: int) -> float:
        """Return the log ratio at a time; the last price holds for ever."""
        minute, rest_ns = divmod(max(0, elapsed_ns), MINUTE_NS)
        if minute + 1 >= len(self.logarithms):
            return self.logarithms[-1]
        start, end = self.logarithms[minute], self.logarithms[minute + 1]
        return start + (end - start) * rest_ns / MINUTE_NS


class MinuteRows(NamedTuple):
    """One price per minute without gaps: when the first minute begins, opening prices, the last close, and
    traded notional in USD (zeros where the file has no volumes).
    """

    begin_ns: int
    opens: list[float]
    close: float
    volume_usd: list[float]


def read_minute_rows(path: Path) -> MinuteRows:
    """Return the rows of a CSV or CSV.gz file with the columns open_time (ms), open and close, and perhaps
    volume in units of the underlying, one row per minute. A gap holds the last price, without volume.

    Errors     MarketError for a missing column, a price that is not positive, a negative volume, too many
               rows or none.
    """
    opener = gzip.open if path.suffix == ".gz" else open
    opens: list[float] = []
    volumes: list[float] = []
    first_ms, last_ms, close = 0, -1, 0.0
    try:
        with opener(path, "rt", newline="", encoding="utf-8") as file:
            for row in csv.DictReader(file):
                time_ms, price, close = int(row["open_time"]), float(row["open"]), float(row["close"])
                volume = float(row.get("volume") or 0.0)
                if time_ms <= last_ms or not (0.0 < price < math.inf and 0.0 < close < math.inf):
                    raise MarketError("times must ascend and prices must be positive")
                if not 0.0 <= volume < math.inf:
                    raise MarketError("volumes must not be negative")
                if len(opens) >= PRICE_ROWS_MAX:
                    raise MarketError(f"at most {PRICE_ROWS_MAX} rows")
                # A gap in the file holds the last price, so that one row stays one minute.
                gap = (time_ms - last_ms) * NS_PER_MS // MINUTE_NS - 1 if opens else 0
                opens.extend(opens[-1:] * min(gap, PRICE_ROWS_MAX))
                volumes.extend([0.0] * (len(opens) - len(volumes)))
                opens.append(price)
                volumes.append(volume * (price + close) / 2.0)
                first_ms = first_ms if len(opens) > 1 else time_ms
                last_ms = time_ms
    except (OSError, EOFError, KeyError, TypeError, ValueError, csv.Error) as error:
        raise MarketError(f"{path} is not a file of one-minute prices: {error}") from error
    if not opens:
        raise MarketError(f"{path} holds no price")
    return MinuteRows(first_ms * NS_PER_MS, opens, close, volumes)


def read_minutes(path: Path) -> MinutePath:
    """Return the path of a file of one-minute prices; MarketError as `read_minute_rows`."""
    rows = read_minute_rows(path)
    first = math.log(rows.opens[0])
    return MinutePath([math.log(each) - first for each in (*rows.opens, rows.close)])


class FilePath(PricePath):
    """The file moves the underlying it is named after; others follow their own file beside it, or by a
    beta.
    """

    def __init__(self, path: Path, underlyings: list[str]) -> None:
        leader = next((name for name in UNDERLYING_ROWS if name in path.name), underlyings[0])
        self.beta = float(read_builtin()["path"]["follower_beta"])
        self.leader = read_minutes(path)
        self.own = {leader: self.leader}
        self.sources = [f"{leader} follows {path.name}"]
        for name in underlyings:
            sibling = path.with_name(path.name.replace(leader, name))
            if name != leader and sibling != path and sibling.is_file():
                self.own[name] = read_minutes(sibling)
                self.sources.append(f"{name} follows {sibling.name}")
            elif name != leader:
                self.sources.append(f"{name} follows {leader} with a beta of {self.beta}")

    def compute_ratio(self, underlying: str, elapsed_ns: int) -> float:
        """Return the price of an underlying divided by its first price."""
        own = self.own.get(underlying)
        if own is not None:
            return math.exp(own.interpolate(elapsed_ns))
        return math.exp(self.beta * self.leader.interpolate(elapsed_ns))

    def describe(self) -> str:
        """Return in words what moves which index."""
        return "; ".join(self.sources)


class JumpDiffusionPath(PricePath):
    """The built-in law of one-minute returns; the same seed gives the same path."""

    def __init__(self, seed: int) -> None:
        self.figures = read_builtin()["path"]
        self.seed = seed
        self.generator = np.random.default_rng(seed)
        self.leader = MinutePath([0.0])
        self.follower = MinutePath([0.0])

    def extend(self) -> None:
        """Draw the next returns of both underlyings."""
        figures, count = self.figures, MINUTES_GENERATED
        jumps = self.generator.random(count) < figures["jump_probability"]
        core = self.generator.normal(0.0, figures["core_deviation"], count)
        leader = core + jumps * self.generator.normal(0.0, figures["jump_deviation"], count)
        own = self.generator.normal(0.0, figures["follower_deviation"], count)
        follower = figures["follower_beta"] * leader + own
        for path, returns in ((self.leader, leader), (self.follower, follower)):
            path.logarithms.extend((path.logarithms[-1] + np.cumsum(returns)).tolist())

    def compute_ratio(self, underlying: str, elapsed_ns: int) -> float:
        """Return the price of an underlying divided by its first price."""
        while elapsed_ns // MINUTE_NS + 1 >= len(self.leader.logarithms):
            self.extend()
        path = self.leader if underlying == self.figures["leader"] else self.follower
        return math.exp(path.interpolate(elapsed_ns))

    def describe(self) -> str:
        """Return in words what moves which index."""
        return f"built-in jump-diffusion of one-minute returns, seed {self.seed}"
