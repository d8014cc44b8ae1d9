"""A snapshot of an option chain: read from a file, grouped by expiry, fitted with lawful surfaces.

The file is a CSV, gzipped or not, with the columns of `COLUMNS`, one row per option, as Deribit's public
API gives them. A snapshot is a sweep of many requests, so forward and index are medians over its rows.
"""

import csv
import gzip
import math
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import numpy as np
from scipy.special import ndtr, ndtri

from novate.analytics.svi_fit import (
    CLOSE_FIT,
    Floats,
    Parameters,
    SurfaceUnfitted,
    SviFit,
    compute_total_variance,
    fit_surface,
    refine_surface,
)

COLUMNS = (
    "timestamp",
    "currency",
    "expiry_datetime",
    "option_type",
    "strike",
    "underlying",
    "index_price",
    "implied_volatility",
)
ROW_COUNT_MAX = 100_000
YEAR_NS = 365 * 86_400 * 10**9
QUOTE_COUNT_MIN = 5
# Options with a delta beyond these are worth so little, or so certain, that their volatility means little.
DELTA_MIN = 0.05
DELTA_MAX = 0.95
WING_WEIGHT = 0.05
WING_VEGA_MIN = 0.02


@dataclass(frozen=True)
class ChainOption:
    """One listed option: strike in quote currency, volatility per year."""

    strike: float
    is_call: bool
    mark_volatility: float


@dataclass(frozen=True)
class ChainExpiry:
    """The options of one expiry, their forward and the time to expiry at the snapshot."""

    expiry_ns: int
    time_to_expiry_ns: int
    forward: float
    options: tuple[ChainOption, ...]

    @property
    def time_years(self) -> float:
        """Time to expiry in years of 365 days."""
        return self.time_to_expiry_ns / YEAR_NS


@dataclass(frozen=True)
class ChainUnderlying:
    """Index price and expiries, in order, of one underlying."""

    name: str
    index: float
    expiries: tuple[ChainExpiry, ...]


@dataclass(frozen=True)
class Chain:
    """A whole snapshot."""

    observed_ns: int
    underlyings: tuple[ChainUnderlying, ...]


@dataclass
class FitReport:
    """How well the fitted surfaces reproduce the mark volatilities of options with a delta that matters."""

    option_count: int = 0
    close_count: int = 0
    errors: list[float] = field(default_factory=list)

    @property
    def close_share(self) -> float:
        """Share of options fitted within one volatility point."""
        return self.close_count / self.option_count if self.option_count else 1.0


def parse_time_ns(text: str) -> int:
    """Return nanoseconds UTC of an ISO 8601 time with an offset."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"time {text!r} must name its offset")
    return int(moment.timestamp()) * 10**9 + moment.microsecond * 1_000


def read_rows(path: Path) -> list[dict[str, str]]:
    """Return the rows of a CSV or CSV.gz file; ValueError if a column lacks or there are too many rows."""
    opener = gzip.open if path.suffix == ".gz" else open
    with opener(path, "rt", newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file)
        missing = set(COLUMNS) - set(reader.fieldnames or ())
        if missing:
            raise ValueError(f"{path.name} must have the columns {sorted(missing)}")
        rows: list[dict[str, str]] = []
        for row in reader:
            if len(rows) >= ROW_COUNT_MAX:
                raise ValueError(f"{path.name} must have at most {ROW_COUNT_MAX} rows")
            rows.append(row)
    if not rows:
        raise ValueError(f"{path.name} must have at least one row")
    return rows


def parse_positive(text: str) -> float:
    """Return a positive finite number, or nan."""
    value = float(text) if text else math.nan
    return value if math.isfinite(value) and value > 0.0 else math.nan


def build_expiry(rows: list[dict[str, str]], expiry_ns: int, observed_ns: int) -> ChainExpiry | None:
    """Return one expiry, or None if it is past, has no forward, or too few quotes to fit."""
    forwards = [x for x in (parse_positive(row["underlying"]) for row in rows) if not math.isnan(x)]
    options = []
    for row in rows:
        strike, volatility = parse_positive(row["strike"]), parse_positive(row["implied_volatility"])
        if not math.isnan(strike) and not math.isnan(volatility):
            options.append(ChainOption(strike, row["option_type"] == "call", volatility))
    if expiry_ns <= observed_ns or not forwards or len(options) < QUOTE_COUNT_MIN:
        return None
    options.sort(key=lambda option: (option.strike, not option.is_call))
    return ChainExpiry(expiry_ns, expiry_ns - observed_ns, float(np.median(forwards)), tuple(options))


def load_chain(path: Path) -> Chain:
    """Return the chain of a snapshot file: underlyings by name, expiries by time."""
    rows = read_rows(path)
    observed_ns = max(parse_time_ns(text) for text in {row["timestamp"] for row in rows})
    underlyings = []
    for name in sorted({row["currency"] for row in rows}):
        mine = [row for row in rows if row["currency"] == name]
        groups: dict[str, list[dict[str, str]]] = {}
        for row in mine:
            groups.setdefault(row["expiry_datetime"], []).append(row)
        built = (build_expiry(group, parse_time_ns(text), observed_ns) for text, group in groups.items())
        expiries = sorted((each for each in built if each is not None), key=lambda each: each.expiry_ns)
        indices = [x for x in (parse_positive(row["index_price"]) for row in mine) if not math.isnan(x)]
        if expiries and indices:
            underlyings.append(ChainUnderlying(name, float(np.median(indices)), tuple(expiries)))
    return Chain(observed_ns, tuple(underlyings))


def compute_quotes(expiry: ChainExpiry) -> tuple[Floats, Floats, Floats]:
    """Return (log-moneyness, mark volatility, absolute call delta) of every option of an expiry."""
    k = np.array([math.log(option.strike / expiry.forward) for option in expiry.options])
    volatility = np.array([option.mark_volatility for option in expiry.options])
    total = volatility * math.sqrt(expiry.time_years)
    delta = np.asarray(ndtr(-k / total + 0.5 * total))
    return k, volatility, delta


def compute_weights(delta: Floats) -> Floats:
    """Return one for options with a delta that matters; a small share, falling with vega, for the others."""
    density = np.exp(-0.5 * ndtri(delta) ** 2) / math.exp(-0.5 * float(ndtri(DELTA_MIN)) ** 2)
    matters = (delta > DELTA_MIN) & (delta < DELTA_MAX)
    return np.where(matters, 1.0, WING_WEIGHT * np.clip(density, WING_VEGA_MIN, 1.0))


def fit_between(expiry: ChainExpiry, floor: Parameters | None, ceiling: Parameters | None) -> SviFit:
    """Return the slice of one expiry between two others, with as many quotes close as can be had."""
    k, volatility, delta = compute_quotes(expiry)
    weights = compute_weights(delta)
    fit = fit_surface(k, volatility, weights, expiry.time_years, floor, ceiling)
    return refine_surface(fit, k, volatility, weights, expiry.time_years, floor, ceiling)


def fit_expiries(underlying: ChainUnderlying) -> list[tuple[ChainExpiry, SviFit]]:
    """Return the fitted slice of every expiry in order, each at or above the one before. [SVI-4].

    From the last expiry to the first: a long expiry has quotes far into both wings, where a short one can
    follow; the other way round, the extrapolated wings of short expiries would push the long ones away from
    their quotes. Each slice is also asked to leave room for what the expiry before it would be by itself, if
    that can be had.
    """
    natural = []
    for expiry in underlying.expiries:
        k, volatility, delta = compute_quotes(expiry)
        natural.append(fit_surface(k, volatility, compute_weights(delta), expiry.time_years).parameters)
    fitted: list[tuple[ChainExpiry, SviFit]] = []
    ceiling: Parameters | None = None
    for number in range(len(natural) - 1, -1, -1):
        expiry = underlying.expiries[number]
        floor = natural[number - 1] if number > 0 else None
        try:
            fit = fit_between(expiry, floor, ceiling)
        except SurfaceUnfitted:
            fit = fit_between(expiry, None, ceiling)
        fitted.append((expiry, fit))
        ceiling = fit.parameters
    return fitted[::-1]


def measure_fit(fitted: list[tuple[ChainExpiry, SviFit]], report: FitReport) -> None:
    """Add the errors of fitted expiries to a report."""
    for expiry, fit in fitted:
        k, volatility, delta = compute_quotes(expiry)
        matters = (delta > DELTA_MIN) & (delta < DELTA_MAX)
        error = np.abs(np.sqrt(compute_total_variance(fit.parameters, k) / expiry.time_years) - volatility)
        report.option_count += int(np.count_nonzero(matters))
        report.close_count += int(np.count_nonzero(matters & (error <= CLOSE_FIT)))
        report.errors.extend(error[matters].tolist())
