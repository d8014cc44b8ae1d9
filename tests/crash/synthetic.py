"""A made-up crash as a file of one-minute prices, so that stress tests run in a clone without market data."""

import csv
import math
import random
from pathlib import Path

BEGIN_MS = 1_652_227_200_000  # 2022-05-11 00:00 UTC
CALM_MINUTES, FALL_MINUTES = 120, 90


def write_crash(path: Path, price: float, fall: float = 0.35, minutes: int = 360, seed: int = 1) -> Path:
    """Two calm hours, a fall by a share of the price within ninety minutes, and unrest after it."""
    chance = random.Random(seed)
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("open_time", "open", "high", "low", "close", "volume", "trades"))
        level = math.log(price)
        for minute in range(minutes):
            falling = CALM_MINUTES <= minute < CALM_MINUTES + FALL_MINUTES
            drift = math.log(1.0 - fall) / FALL_MINUTES if falling else 0.0
            after = level + drift + chance.gauss(0.0, 0.003 if minute >= CALM_MINUTES else 0.0005)
            first, last = math.exp(level), math.exp(after)
            figures = (first, max(first, last), min(first, last), last, 2e6 / first, 500)
            writer.writerow((BEGIN_MS + minute * 60_000, *figures))
            level = after
    return path
