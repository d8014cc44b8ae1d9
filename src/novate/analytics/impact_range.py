"""How sure a fitted slice is: the same file drawn again from its own stretches of four hours.

The range tells how much of the answer is the luck of which hours the file holds. It says nothing of other
times: that is what several files are for.
"""

from dataclasses import replace
from typing import NamedTuple

import numpy as np

from novate.analytics.impact import (
    PARTICIPATION_MAX,
    ImpactError,
    ImpactModel,
    MinuteBars,
    choose_slice_notional,
)

# Minutes near each other are alike; stretches of four hours hardly are.
STRETCH_MINUTES = 240
STRETCHES_MIN = 6
DRAWS = 500
TAIL_PERCENT = 5.0


class SliceRange(NamedTuple):
    """The middle nine tenths of the slices (USD) that the drawn files give."""

    low_usd: float
    high_usd: float


def estimate_slice_range(
    bars: MinuteBars,
    model: ImpactModel,
    impact_limit_fraction: float,
    seconds: float,
    volume_share: float = 1.0,
    participation_max: float = PARTICIPATION_MAX,
    seed: int = 1,
) -> SliceRange:
    """Return the range of `choose_slice_notional` over files drawn, with replacement, from stretches of one.

    Errors     ImpactError for a file of less than a day, and as `choose_slice_notional`.
    """
    count = len(bars.returns) // STRETCH_MINUTES
    if count < STRETCHES_MIN:
        raise ImpactError(f"a range needs {STRETCHES_MIN * STRETCH_MINUTES} minutes, not {len(bars.returns)}")
    shape = count, STRETCH_MINUTES
    returns = bars.returns[: count * STRETCH_MINUTES].reshape(shape)
    volumes = bars.volume_usd[: count * STRETCH_MINUTES].reshape(shape)
    means = np.stack([returns.mean(axis=1), (returns**2).mean(axis=1), volumes.mean(axis=1)])
    picked = np.random.default_rng(seed).integers(0, count, (DRAWS, count))
    mean, square, volume = means[:, picked].mean(axis=2)
    volatility = np.sqrt(np.maximum(square - mean**2, np.finfo(np.float64).tiny))
    limits = impact_limit_fraction, seconds, volume_share, participation_max
    notionals = [
        choose_slice_notional(
            replace(model, volatility_per_minute=float(sigma), volume_usd_per_minute=float(usd)), *limits
        )
        for sigma, usd in zip(volatility, volume, strict=True)
        if usd > 0.0
    ]
    low, high = np.percentile(notionals, [TAIL_PERCENT, 100.0 - TAIL_PERCENT])
    return SliceRange(float(low), float(high))
