"""Prices and volumes of recent trades by the minute, and the charts that are made of them."""

import itertools
from collections import deque
from collections.abc import Iterable
from typing import NamedTuple

MINUTE_NS = 60_000_000_000
CANDLES_KEPT = 10_080  # Of each instrument: a week, if it trades in every minute.
RESOLUTION_MINUTES = {
    **{str(minutes): minutes for minutes in (1, 3, 5, 10, 15, 30, 60, 120, 180, 360, 720)},
    "1D": 1_440,
}


class Candle(NamedTuple):
    """Trading in the minutes from `minute` on: prices in ticks, lots, and lots * ticks."""

    minute: int
    open_ticks: int
    high_ticks: int
    low_ticks: int
    close_ticks: int
    lots: int
    value: int


def merge(first: Candle, later: Candle) -> Candle:
    """Return two candles as one that begins with the first."""
    return first._replace(
        high_ticks=max(first.high_ticks, later.high_ticks),
        low_ticks=min(first.low_ticks, later.low_ticks),
        close_ticks=later.close_ticks,
        lots=first.lots + later.lots,
        value=first.value + later.value,
    )


def flatten(candle: Candle, minute: int) -> Candle:
    """Return the candle of minutes without trades after another: the last price and no volume."""
    price = candle.close_ticks
    return Candle(minute, price, price, price, price, 0, 0)


class CandleTape:
    """The minutes of one instrument in which something traded, newest last."""

    __slots__ = ("candles",)

    def __init__(self) -> None:
        self.candles: deque[Candle] = deque(maxlen=CANDLES_KEPT)

    def count(self, time_ns: int, ticks: int, lots: int) -> None:
        """Count a trade; times never run backwards."""
        fresh = Candle(time_ns // MINUTE_NS, ticks, ticks, ticks, ticks, lots, lots * ticks)
        if self.candles and self.candles[-1].minute == fresh.minute:
            fresh = merge(self.candles.pop(), fresh)
        self.candles.append(fresh)

    def read_last(self, minutes: int) -> Candle | None:
        """Return the candle of so many minutes in which the latest trade is, or None."""
        if not self.candles:
            return None
        last = self.candles[-1]._replace(minute=self.candles[-1].minute // minutes * minutes)
        for candle in itertools.islice(reversed(self.candles), 1, None):
            if candle.minute < last.minute:
                break
            last = merge(candle, last)._replace(minute=last.minute)
        return last

    def chart(self, minutes: int, first_minute: int, last_minute: int, count_max: int) -> list[Candle]:
        """Return candles of so many minutes, aligned to the clock, without gaps from the first trade on.

        At most `count_max`, the latest ones.
        """
        grouped = list(group(self.candles, minutes))
        if not grouped:
            return []
        end = last_minute // minutes * minutes
        begin = max(first_minute // minutes * minutes, end - (count_max - 1) * minutes, grouped[0].minute)
        known = {candle.minute: candle for candle in grouped}
        before = [candle for candle in grouped if candle.minute < begin]
        last = before[-1] if before else grouped[0]
        chart = []
        for minute in range(begin, end + 1, minutes):
            last = known.get(minute) or flatten(last, minute)
            chart.append(last)
        return chart


def group(candles: Iterable[Candle], minutes: int) -> Iterable[Candle]:
    """Yield candles of so many minutes where something traded."""
    current: Candle | None = None
    for candle in candles:
        begin = candle.minute // minutes * minutes
        if current is not None and current.minute == begin:
            current = merge(current, candle)
        else:
            if current is not None:
                yield current
            current = candle._replace(minute=begin)
    if current is not None:
        yield current
