"""What a stress test replays: one-minute prices, the window, and how wild and how deep the market is.

Between minutes prices are interpolated. Realised volatility forgets with a half-life of two hours, so it
knows the past only; volume and the square-root law of impact come from the whole file.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from novate.analytics.impact import (
    COEFFICIENT_LITERATURE,
    OBSERVATIONS_MIN,
    ImpactError,
    ImpactModel,
    fit_impact,
)
from novate.apps.market import UNDERLYING_ROWS, MarketError
from novate.apps.price_path import MINUTE_NS, read_minute_rows
from novate.protocol.generated.constants import E6

Floats = np.ndarray[Any, np.dtype[np.float64]]

HOUR_NS = 60 * MINUTE_NS
MINUTES_PER_YEAR = 365 * 24 * 60
HALF_LIFE_MINUTES = 120
HOURS_DEFAULT = 24.0
# Half an hour of returns to begin with, and a price of at least a few hundred ticks to place orders at.
MINUTES_MIN = OBSERVATIONS_MIN + 1
# Where a file has no volumes: about that of ETH on the largest spot market in a calm week.
VOLUME_USD_PER_MINUTE = 200_000.0
DEVIATION_MIN = 1e-5


class StressError(ValueError):
    """A stress test that cannot be run as asked; the message says what was expected."""


class Window(NamedTuple):
    """The part of the files that is replayed, in ns UTC."""

    begin_ns: int
    end_ns: int


@dataclass(frozen=True)
class History:
    """One underlying's past.

    log_prices  natural logarithms of USDC per 1.0, one per minute, the last at the end of the last minute.
    deviations  realised standard deviation of a minute's log return as known at each of these moments.
    """

    name: str
    source: str
    begin_ns: int
    log_prices: Floats
    deviations: Floats
    model: ImpactModel

    @property
    def end_ns(self) -> int:
        """The time of the last price."""
        return self.begin_ns + (len(self.log_prices) - 1) * MINUTE_NS

    def compute_price(self, time_ns: int) -> float:
        """Return the price of 1.0 in USDC at a time; the ends hold for ever."""
        minute = (time_ns - self.begin_ns) / MINUTE_NS
        return math.exp(float(np.interp(minute, np.arange(len(self.log_prices)), self.log_prices)))

    def compute_index_atoms(self, time_ns: int) -> int:
        """Return the price in atoms, rounded to the nearest."""
        return max(1, round(self.compute_price(time_ns) * E6))

    def find_deviation(self, time_ns: int) -> float:
        """Return the realised deviation of a minute as known at a time."""
        minute = (time_ns - self.begin_ns) // MINUTE_NS
        return float(self.deviations[min(max(0, minute), len(self.deviations) - 1)])

    def find_volatility(self, time_ns: int) -> float:
        """Return the realised volatility of a year as known at a time."""
        return self.find_deviation(time_ns) * math.sqrt(MINUTES_PER_YEAR)

    def find_model(self, time_ns: int) -> ImpactModel:
        """Return the law of impact with the volatility realised by a time: depth shrinks as it grows."""
        return replace(self.model, volatility_per_minute=self.find_deviation(time_ns))


def find_underlying(path: Path) -> str:
    """Return which underlying a file is named after; StressError unless it is exactly one."""
    found = [name for name in UNDERLYING_ROWS if name in path.name]
    if len(found) != 1:
        raise StressError(f"the name of {path.name} must hold exactly one of {', '.join(UNDERLYING_ROWS)}")
    return found[0]


def compute_deviations(returns: Floats) -> Floats:
    """Return the realised deviation before each return and after the last: older squares count less."""
    keep = math.exp(-math.log(2.0) / HALF_LIFE_MINUTES)
    variance = float(np.mean(returns[:HALF_LIFE_MINUTES] ** 2))
    found = [variance]
    for square in (returns**2).tolist():
        variance = keep * variance + (1.0 - keep) * square
        found.append(variance)
    return np.asarray(np.maximum(np.sqrt(np.array(found)), DEVIATION_MIN))


def fit_model(returns: Floats, volume_usd: Floats) -> ImpactModel:
    """Return the law of impact of a file, with a volume assumed if it has none."""
    if not np.any(volume_usd):
        deviation = max(DEVIATION_MIN, float(returns.std()))
        count = len(returns)
        return ImpactModel(deviation, VOLUME_USD_PER_MINUTE, COEFFICIENT_LITERATURE, False, 0.0, 0.0, count)
    return fit_impact(returns, volume_usd)


def read_history(path: Path) -> History:
    """Return the past of the underlying that a file of one-minute prices is named after.

    Errors     StressError if the name tells no underlying, the file is not one, is too short or never moves.
    """
    name = find_underlying(path)
    try:
        rows = read_minute_rows(path)
        log_prices = np.log(np.array([*rows.opens, rows.close]))
        returns = np.diff(log_prices)
        if len(returns) < MINUTES_MIN:
            raise StressError(f"{path.name} must hold at least {MINUTES_MIN} minutes, found {len(returns)}")
        model = fit_model(returns, np.array(rows.volume_usd))
    except (MarketError, ImpactError) as error:
        raise StressError(f"{path.name}: {error}") from error
    bound = UNDERLYING_ROWS[name]["index_atoms_max"] / E6
    if math.exp(float(log_prices.max())) >= bound:
        raise StressError(f"{path.name}: a price of {name} must be below {bound:,.0f}")
    return History(name, path.name, rows.begin_ns, log_prices, compute_deviations(returns), model)


def read_histories(paths: Sequence[Path]) -> tuple[History, ...]:
    """Return one history per file, in the order in which the house numbers underlyings.

    Errors     StressError as `read_history`, and if two files are of one underlying.
    """
    if not paths:
        raise StressError("at least one file of prices is needed")
    histories: dict[str, History] = {}
    for path in paths:
        history = read_history(path)
        if history.name in histories:
            raise StressError(f"{path.name} and {histories[history.name].source} are both of {history.name}")
        histories[history.name] = history
    return tuple(histories[name] for name in UNDERLYING_ROWS if name in histories)


def find_common(histories: Sequence[History]) -> Window:
    """Return the time that all files cover; StressError if there is none."""
    window = Window(max(each.begin_ns for each in histories), min(each.end_ns for each in histories))
    if window.end_ns - window.begin_ns < MINUTES_MIN * MINUTE_NS:
        raise StressError(f"the files must have at least {MINUTES_MIN} minutes in common")
    return window


def find_worst(histories: Sequence[History], common: Window, span_ns: int) -> Window:
    """Return the window of a length in which prices fell most below where they stood at its beginning."""
    minutes = (common.end_ns - common.begin_ns) // MINUTE_NS + 1
    total = np.zeros(minutes)
    for history in histories:
        first = (common.begin_ns - history.begin_ns) // MINUTE_NS
        total += history.log_prices[first : first + minutes]
    span = min(minutes - 1, max(1, span_ns // MINUTE_NS))
    lowest = np.lib.stride_tricks.sliding_window_view(total, span + 1).min(axis=1)
    first = int(np.argmin(lowest - total[: len(lowest)]))
    begin_ns = common.begin_ns + first * MINUTE_NS
    return Window(begin_ns, begin_ns + span * MINUTE_NS)


def choose_window(
    histories: Sequence[History],
    common: Window,
    from_ns: int | None,
    until_ns: int | None,
    hours: float | None,
) -> Window:
    """Return what to replay: between two times, or so many hours after or before one; with no time at all,
    the `hours` (24 if not given) in which prices fell most.

    Errors     StressError if all three are given, or the window is not within all files.
    """
    if from_ns is not None and until_ns is not None and hours is not None:
        raise StressError("give two of a beginning, an end and hours, not all three")
    span_ns = int((HOURS_DEFAULT if hours is None else hours) * HOUR_NS)
    if from_ns is None and until_ns is None:
        return find_worst(histories, common, span_ns)
    begin_ns, end_ns = from_ns, until_ns
    if begin_ns is None:
        begin_ns = common.begin_ns if hours is None else common.end_ns
        if hours is not None and until_ns is not None:
            begin_ns = until_ns - span_ns
    if end_ns is None:
        end_ns = common.end_ns if hours is None else begin_ns + span_ns
    if not common.begin_ns <= begin_ns < end_ns <= common.end_ns:
        given = f"{format_time(begin_ns)} to {format_time(end_ns)}"
        raise StressError(
            f"the window {given} must lie within the files, "
            f"{format_time(common.begin_ns)} to {format_time(common.end_ns)}"
        )
    return Window(begin_ns, end_ns)


def format_time(time_ns: int) -> str:
    """Return a time as `2022-05-12 07:30` UTC."""
    return str(np.datetime64(time_ns // MINUTE_NS, "m")).replace("T", " ")
