"""Books as channels show them: the rows that changed, and the first levels, grouped."""

from typing import Any, NamedTuple

from novate.access.channels import Channel
from novate.access.quantities import show_amount, show_price
from novate.execution.engine import InstrumentView
from novate.protocol.generated.constants import NS_PER_MS


class PublishedBook(NamedTuple):
    """The book as a channel's subscribers know it: lots by ticks, and the change that made it so."""

    change_id: int
    sides: tuple[dict[int, int], dict[int, int]]


def describe_levels(
    book: PublishedBook, channel: Channel, instrument: InstrumentView, time_ns: int
) -> dict[str, Any]:
    """Return the first levels of a book, grouped: bids rounded down, asks up."""
    step, offset = channel.step_ticks, instrument.tick_offset
    sides: list[list[list[float]]] = []
    for side, rounding in zip(book.sides, (0, step - 1), strict=True):
        levels: dict[int, int] = {}
        for ticks, lots in side.items():
            group = (ticks - offset + rounding) // step * step + offset
            levels[group] = levels.get(group, 0) + lots
        rows = list(levels.items())[: channel.depth]
        sides.append([[show_price(ticks, instrument), show_amount(lots, instrument)] for ticks, lots in rows])
    return {
        "timestamp": time_ns // NS_PER_MS,
        "instrument_name": instrument.name,
        "change_id": book.change_id,
        "bids": sides[0],
        "asks": sides[1],
    }


def diff_side(old: dict[int, int], new: dict[int, int], instrument: InstrumentView) -> list[list[Any]]:
    """Return the [action, price, amount] rows that turn one side of a book into another."""
    rows: list[list[Any]] = []
    for ticks in old.keys() - new.keys():
        rows.append(["delete", show_price(ticks, instrument), 0.0])
    for ticks, lots in new.items():
        if old.get(ticks) != lots:
            action = "change" if ticks in old else "new"
            rows.append([action, show_price(ticks, instrument), show_amount(lots, instrument)])
    return rows
