"""From block trades and quotes on packages in words to the legs that both sides sign.

As order_terms.py: the server and the Python clients of both sides read with these functions, each for itself,
so both signatures are over one struct. Law: BLOCK-1.
"""

from collections.abc import Callable, Sequence

from novate.access.combo_terms import NamedGrid, PackageLeg, read_direction, refuse_combo, turn_package
from novate.access.errors import refuse_parameter
from novate.access.parameters_desk import BlockLeg, RfqPrice
from novate.access.quantities import read_lots, read_ticks
from novate.protocol.generated.codes import Side

Item = tuple[int, int, int, int]


def read_block_legs(
    trades: Sequence[BlockLeg], find_instrument: Callable[[str], NamedGrid]
) -> tuple[Item, ...]:
    """Return (instrument, side of the account, lots, ticks) of each leg, in ascending instrument.

    Errors     ApiError: a name is unknown, a number off its grid, a leg named twice or a combo itself.
    """
    items = []
    for trade in trades:
        instrument = find_instrument(trade.instrument_name)
        refuse_combo(instrument)
        side, lots = read_direction(trade.direction), read_lots(trade.amount, instrument)
        items.append((instrument.number, side, lots, read_ticks(trade.price, instrument)))
    items.sort()
    if len({item[0] for item in items}) < len(items):
        raise refuse_parameter("trades", "at most one for each instrument")
    return tuple(items)


def price_package(
    package: Sequence[PackageLeg], prices: Sequence[RfqPrice], taker_side: Side
) -> tuple[Item, ...]:
    """Return the legs of the block trade that a quote offers: the taker's sides, the maker's prices.

    Errors     PARAMETER_INVALID unless every leg of the package has one price, and nothing else has.
    """
    by_name = {price.instrument_name: price.price for price in prices}
    names = [leg.instrument.name for leg in package]
    if len(prices) != len(by_name) or set(by_name) != set(names):
        raise refuse_parameter("legs", f"one price for each of {names}")
    return tuple(
        (leg.instrument.number, leg.side, leg.lots, read_ticks(by_name[leg.instrument.name], leg.instrument))
        for leg in turn_package(package, taker_side)
    )
