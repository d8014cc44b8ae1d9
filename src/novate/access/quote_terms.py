"""From mass quotes, protection and timers in Deribit's words to the fields that are signed.

As order_terms.py: the server and the Python client read with these functions, each for itself.
"""

from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Protocol

from novate.access.errors import refuse_parameter
from novate.access.parameters import MmpParameters, QuotePair, QuoteSide
from novate.access.quantities import Grid, Number, read_lots, read_step, read_ticks, read_unsigned
from novate.protocol.generated.constants import E6, GROUP_COUNT, NS_PER_S

Item = tuple[int, int, int, int, int]


class NumberedGrid(Grid, Protocol):
    """A grid with the instrument's number at the venue."""

    @property
    def number(self) -> int:
        """The venue's number, `instrument_id` in public/get_instruments."""


def read_group(value: int | str) -> int:
    """Return the number of a group of quotes."""
    group = read_unsigned(value, "mmp_group")
    if not 1 <= group <= GROUP_COUNT:
        raise refuse_parameter("mmp_group", f"from 1 to {GROUP_COUNT}", value)
    return group


def read_seconds(value: Number, name: str) -> int:
    """Return the nanoseconds of a time in seconds."""
    return read_step(value, name, NS_PER_S)


def read_side(given: QuoteSide | None, instrument: Grid) -> tuple[int, int]:
    """Return (ticks, lots) of one side of a quote; zeros if there is none."""
    if given is None:
        return 0, 0
    lots = read_lots(given.amount, instrument)
    return (read_ticks(given.price, instrument), lots) if lots else (0, 0)


def read_quotes(
    quotes: Sequence[QuotePair], find_instrument: Callable[[str], NumberedGrid]
) -> tuple[Item, ...]:
    """Return the signed quotes, in ascending number of the instrument. [QUOTE-1]

    `find_instrument` raises for a name that it does not know; two quotes in one instrument are refused.
    """
    items = []
    for quote in quotes:
        instrument = find_instrument(quote.instrument_name)
        bid, ask = (read_side(side, instrument) for side in (quote.bid, quote.ask))
        items.append((instrument.number, *bid, *ask))
    items.sort()
    if len({item[0] for item in items}) < len(items):
        raise refuse_parameter("quotes", "at most one for each instrument")
    return tuple(items)


def read_mmp(given: MmpParameters, lots_per_unit: int) -> dict[str, int]:
    """Return the signed figures of a group but for its underlying; `lots_per_unit` is that of its options."""
    return {
        "group": read_group(given.mmp_group),
        "window_ns": read_seconds(given.interval, "interval"),
        "frozen_ns": read_seconds(given.frozen_time, "frozen_time"),
        "quantity_limit_lots": read_step(given.quantity_limit, "quantity_limit", lots_per_unit),
        "delta_limit_atoms": read_step(given.delta_limit, "delta_limit", E6),
        "vega_limit_atoms": read_step(given.vega_limit, "vega_limit", E6),
    }


def show_seconds(time_ns: int) -> float | int:
    """Return nanoseconds as seconds, an integer where it is one."""
    seconds = Decimal(time_ns) / NS_PER_S
    return int(seconds) if seconds == int(seconds) else float(seconds)
