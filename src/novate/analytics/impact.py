"""How far a sale moves the price: the square-root law, fitted on past prices, sizes liquidation slices.

impact = Y * volatility_T * sqrt(Q / volume_T), for a notional Q and any period T: volatility grows with the
root of T, volume with T, so T cancels. Y is of order one in every market measured. The venue obeys a signed
integer that comes from here; docs/decisions/0010-impact-model.md has the figures.
"""

import csv
import gzip
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from novate.protocol.generated.constants import CASH_ATOMS_MAX, E6

Floats = NDArray[np.float64]

# Y where the data has no sign of trades. Toth et al. (2011), Anomalous price impact and the critical nature
# of liquidity, Phys. Rev. X 1, 021006, put it at order one. Donier and Bonart (2015), A million metaorder
# analysis of market impact on the Bitcoin, find the same law over four decades of size. Almgren et al.
# (2005), Direct estimation of equity market impact, fit a power of 0.6 to a temporary impact.
COEFFICIENT_LITERATURE = 1.0
# The law was measured on orders that are part of the market's volume, not all of it.
PARTICIPATION_MAX = 0.25
SECONDS_PER_MINUTE = 60.0
OBSERVATIONS_MIN = 30
ROWS_MAX = 1_000_000
EXPONENT_GRID = np.arange(1, 31) / 20.0
# LOBSTER message files: type 4 is the execution of a visible order, prices are in units of 1e-4 dollars.
LOBSTER_EXECUTION = 4
LOBSTER_PRICE_UNIT = 1e-4
LOBSTER_COLUMNS = 6


class ImpactError(ValueError):
    """Data or arguments that no impact model can be made of; the message says what was expected."""


class MinuteBars(NamedTuple):
    """Log returns and traded notional (USD) of successive minutes."""

    returns: Floats
    volume_usd: Floats


class Executions(NamedTuple):
    """Executed orders: seconds of the day, price, and notional (USD), positive if the taker bought."""

    time_s: Floats
    price: Floats
    signed_usd: Floats


@dataclass(frozen=True)
class ImpactModel:
    """The square-root law of one market.

    volatility_per_minute  standard deviation of log returns of a minute.
    volume_usd_per_minute  mean traded notional of a minute.
    coefficient            Y of the law.
    is_coefficient_fitted  whether Y comes from the data, or from COEFFICIENT_LITERATURE.
    r_squared              if fitted, the share of squared returns that signed volume explains; otherwise the
                           share of the variance of absolute returns that the root of the volume explains.
    activity_slope         mean slope of absolute returns, in deviations, on the root of relative volume.
    """

    volatility_per_minute: float
    volume_usd_per_minute: float
    coefficient: float
    is_coefficient_fitted: bool
    r_squared: float
    activity_slope: float
    minute_count: int


@dataclass(frozen=True)
class ShapeFit:
    """How a price moves with signed volume: the best power, and what powers 1/2 and 1 explain of it."""

    exponent: float
    r_squared_best: float
    r_squared_root: float
    r_squared_linear: float
    count: int


def read_minute_bars(path: Path) -> MinuteBars:
    """Return the bars of a CSV or CSV.gz file with the columns open, high, low, close and volume (in units of
    the underlying). A minute's notional is its volume at the mean of high, low and close.

    Errors     ImpactError for a missing column, a figure that is not positive and finite, or too many rows.
    """
    opener = gzip.open if path.suffix == ".gz" else open
    rows: list[tuple[float, float, float]] = []
    try:
        with opener(path, "rt", newline="", encoding="utf-8") as file:
            for row in csv.DictReader(file):
                high, low, close = float(row["high"]), float(row["low"]), float(row["close"])
                rows.append((float(row["open"]), close, float(row["volume"]) * (high + low + close) / 3.0))
                if len(rows) > ROWS_MAX:
                    raise ImpactError(f"at most {ROWS_MAX} rows")
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise ImpactError(f"{path.name} is not a file of one-minute prices: {error}") from error
    table = np.array(rows).reshape(-1, 3)
    if (
        len(table) == 0
        or not np.all(np.isfinite(table))
        or table[:, :2].min() <= 0.0
        or table[:, 2].min() < 0.0
    ):
        raise ImpactError(f"{path.name} must hold positive finite prices and volumes")
    returns = np.diff(np.log(np.concatenate((table[:1, 0], table[:, 1]))))
    return MinuteBars(returns, table[:, 2])


def compute_signed_root(signed: Floats) -> Floats:
    """Return the square root with the sign of its argument."""
    return np.sign(signed) * np.sqrt(np.abs(signed))


def regress(x: Floats, y: Floats) -> tuple[float, float]:
    """Return (slope, share of the sum of squares explained) of a line through the origin."""
    slope = float(x @ y) / float(x @ x)
    return slope, 1.0 - float(np.sum((y - slope * x) ** 2)) / float(y @ y)


def fit_impact(
    returns: ArrayLike, volume_usd: ArrayLike, signed_volume_usd: ArrayLike | None = None
) -> ImpactModel:
    """Return the model of a series of minutes; bars of any other length serve, if all are equally long.

    With signed volume (takers' buys less sells), Y is the slope of returns on volatility * signed root of
    (signed volume / mean volume). Signs are kept on both sides: absolute returns would count noise as impact.
    Without it Y is COEFFICIENT_LITERATURE, for unsigned volume tells how busy a minute was, not who pushed.
    Shape      equally long vectors of at least OBSERVATIONS_MIN.
    Errors     ImpactError for other shapes, figures that are not finite, or a market that never moves.
    """
    r, volume = np.asarray(returns, dtype=np.float64), np.asarray(volume_usd, dtype=np.float64)
    signed = None if signed_volume_usd is None else np.asarray(signed_volume_usd, dtype=np.float64)
    vectors = [r, volume] if signed is None else [r, volume, signed]
    if r.ndim != 1 or len(r) < OBSERVATIONS_MIN or any(each.shape != r.shape for each in vectors):
        raise ImpactError(f"returns and volumes must be equally long, at least {OBSERVATIONS_MIN}")
    if not all(bool(np.all(np.isfinite(each))) for each in vectors) or volume.min() < 0.0:
        raise ImpactError("returns must be finite, and volumes finite and not negative")
    volatility, mean_volume = float(r.std()), float(volume.mean())
    if volatility <= 0.0 or mean_volume <= 0.0:
        raise ImpactError("a market without moves or without volume has no impact model")
    size = np.abs(r) / volatility
    busy = np.sqrt(volume / mean_volume)
    slope, _ = regress(busy, size)
    coefficient, is_fitted = COEFFICIENT_LITERATURE, False
    spread = float(np.sum((size - size.mean()) ** 2))
    r_squared = 1.0 - float(np.sum((size - slope * busy) ** 2)) / spread if spread > 0.0 else 0.0
    if signed is not None:
        if not np.any(signed):
            raise ImpactError("signed volumes must not all be zero")
        coefficient, r_squared = regress(compute_signed_root(signed / mean_volume), r / volatility)
        is_fitted = True
    if coefficient <= 0.0:
        raise ImpactError(f"the fitted coefficient is {coefficient:.3g}: buying must raise prices")
    return ImpactModel(volatility, mean_volume, coefficient, is_fitted, r_squared, slope, len(r))


def fit_shape(moves: ArrayLike, signed_volume: ArrayLike) -> ShapeFit:
    """Return the power of signed volume, 0.05 to 1.5 in steps of 0.05, that explains moves best.

    Errors     ImpactError for vectors of different or too small length.
    """
    y, q = np.asarray(moves, dtype=np.float64), np.asarray(signed_volume, dtype=np.float64)
    if y.ndim != 1 or y.shape != q.shape or len(y) < OBSERVATIONS_MIN or not np.any(y) or not np.any(q):
        raise ImpactError(f"moves and volumes must be equally long, at least {OBSERVATIONS_MIN}, not all 0")
    scaled = q / np.abs(q).max()
    shares = [regress(np.sign(scaled) * np.abs(scaled) ** power, y)[1] for power in EXPONENT_GRID]
    best = int(np.argmax(shares))
    root, linear = regress(compute_signed_root(scaled), y)[1], regress(scaled, y)[1]
    return ShapeFit(float(EXPONENT_GRID[best]), shares[best], root, linear, len(y))


def read_executions(path: Path) -> Executions:
    """Return the visible executions of a LOBSTER message file.

    Its side is that of the resting order: the execution of a resting buy order is a taker's sale.
    Errors     ImpactError if it has other columns or no executions of both sides.
    """
    try:
        table = np.loadtxt(path, delimiter=",", ndmin=2, max_rows=ROWS_MAX)
    except (OSError, ValueError) as error:
        raise ImpactError(f"{path.name} is not a LOBSTER message file: {error}") from error
    if table.shape[1] != LOBSTER_COLUMNS:
        raise ImpactError(f"{path.name} must have {LOBSTER_COLUMNS} columns")
    rows = table[table[:, 1] == LOBSTER_EXECUTION]
    if not (np.any(rows[:, 5] > 0) and np.any(rows[:, 5] < 0)):
        raise ImpactError(f"{path.name} must hold executions of both sides")
    price = rows[:, 4] * LOBSTER_PRICE_UNIT
    return Executions(rows[:, 0], price, -rows[:, 5] * rows[:, 3] * price)


def fill_forward(values: Floats) -> Floats:
    """Return the vector with each nan replaced by the last number before it."""
    last = np.maximum.accumulate(np.where(np.isnan(values), 0, np.arange(len(values))))
    return np.asarray(values[last])


def bucket_executions(executions: Executions, bucket_s: float) -> tuple[Floats, Floats, Floats]:
    """Return (log move, signed notional, notional) of each bucket of time in which someone pushed.

    The price is the mean of what takers last paid and last got, the ask and the bid as last seen: a single
    last price would jump between them without the market having moved.
    """
    buys, price = executions.signed_usd > 0.0, executions.price
    ask = fill_forward(np.where(buys, price, np.nan))
    bid = fill_forward(np.where(buys, np.nan, price))
    start = executions.time_s[0]
    bucket = ((executions.time_s - start) / bucket_s).astype(np.int64)
    count = int(bucket[-1]) + 1
    signed = np.bincount(bucket, executions.signed_usd, count)
    volume = np.bincount(bucket, np.abs(executions.signed_usd), count)
    closing = np.full(count, np.nan)
    # The last assignment to a bucket stands.
    closing[bucket] = np.log((ask + bid) / 2.0)
    moves = np.diff(fill_forward(closing))
    usable = np.isfinite(moves) & (signed[1:] != 0.0)
    return moves[usable], signed[1:][usable], volume[1:][usable]


def compute_impact(model: ImpactModel, notional_usd: ArrayLike) -> Floats:
    """Return the expected move of the price, as a fraction, by the time a notional has been executed."""
    relative = np.asarray(notional_usd, dtype=np.float64) / model.volume_usd_per_minute
    return np.asarray(model.coefficient * model.volatility_per_minute * np.sqrt(relative))


def choose_slice_notional(
    model: ImpactModel,
    impact_limit_fraction: float,
    seconds: float,
    volume_share: float = 1.0,
    participation_max: float = PARTICIPATION_MAX,
) -> float:
    """Return the greatest notional in USD of one slice every `seconds` that keeps to two limits.

    Its expected impact is at most the limit, and it is at most `participation_max` of what trades in the
    time until the next: beyond that share the law was not measured. Of the two, the second binds in calm
    markets and the first in crashes, unless slices follow each other fast. `volume_share` is the venue's
    volume as a share of the market that was fitted.
    Errors     ImpactError unless limit and seconds are positive and both shares in (0, 1].
    """
    if not (0.0 < impact_limit_fraction < 1.0 and 0.0 < seconds < math.inf):
        raise ImpactError("the impact limit must be between 0 and 1, and seconds positive")
    if not (0.0 < volume_share <= 1.0 and 0.0 < participation_max <= 1.0):
        raise ImpactError("volume_share and participation_max must be above 0 and at most 1")
    volume = model.volume_usd_per_minute * volume_share
    by_impact = volume * (impact_limit_fraction / (model.coefficient * model.volatility_per_minute)) ** 2
    return min(by_impact, participation_max * volume * seconds / SECONDS_PER_MINUTE)


def choose_slice_atoms(
    models: Sequence[ImpactModel],
    impact_limit_fraction: float,
    seconds: float,
    volume_share: float = 1.0,
    participation_max: float = PARTICIPATION_MAX,
) -> int:
    """Return `slice_notional_atoms` (1e-6 USD) for an operator to sign: the least over several histories.

    Rounding   down to two significant digits, so that people can read what they sign.
    Errors     ImpactError if there is no model, or the result does not fit the law's amounts.
    """
    if not models:
        raise ImpactError("at least one model is needed")
    notional = min(
        choose_slice_notional(model, impact_limit_fraction, seconds, volume_share, participation_max)
        for model in models
    )
    atoms: int = math.floor(notional * E6)
    if not 1 <= atoms < CASH_ATOMS_MAX:
        raise ImpactError(f"a slice of {notional:.3g} USD is not an amount that the law can hold")
    unit = int("1" + "0" * max(0, len(str(atoms)) - 2))
    return atoms - atoms % unit
