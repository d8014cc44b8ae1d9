"""Packages of legs in Deribit's words, as requests for quotes ask for them and as the law lists combos.

The law lists a combo's legs in the order of their instruments, with whole ratios that have no common divisor
and a first one above 0; a package of legs is brought into that form here. Law: COMBO-1.
"""

from collections.abc import Callable, Sequence
from fractions import Fraction
from math import gcd, lcm
from typing import Any, NamedTuple, Protocol

from novate.access.errors import ApiError, refuse_parameter
from novate.access.parameters_desk import RfqLeg
from novate.access.quantities import Grid, read_lots
from novate.protocol.generated.codes import Code, Side

COMBO_MARK = "-COMBO-"
OPTION_ENDS = ("-C", "-P")
DIRECTIONS = {"buy": Side.BUY, "sell": Side.SELL}


class NamedGrid(Grid, Protocol):
    """An instrument by name and number, with its grids."""

    @property
    def name(self) -> str:
        """The name that is signed."""

    @property
    def number(self) -> int:
        """The venue's number."""


class PackageLeg(NamedTuple):
    """One leg of a package, as who buys the package trades it."""

    instrument: Any
    side: Side
    lots: int


def read_direction(text: str, name: str = "direction") -> Side:
    """Return the side of buy or sell."""
    if text not in DIRECTIONS:
        raise refuse_parameter(name, "buy or sell", text)
    return DIRECTIONS[text]


def is_option_combo(name: str) -> bool:
    """Whether a combo has an option among its legs, which its name lists behind COMBO_MARK."""
    return any(leg.endswith(OPTION_ENDS) for leg in name.partition(COMBO_MARK)[2].split("_"))


def read_package(
    legs: Sequence[RfqLeg], find_instrument: Callable[[str], NamedGrid]
) -> tuple[PackageLeg, ...]:
    """Return the legs in ascending instrument, turned so that the first is bought: which side the sender
    means to trade cannot be read from them.

    Errors     ApiError: a name is unknown, an amount off its grid, a leg named twice or a combo itself.
    """
    package = []
    for leg in legs:
        instrument = find_instrument(leg.instrument_name)
        lots = read_lots(leg.amount, instrument)
        if lots < 1:
            raise ApiError(Code.SIZE_NOT_POSITIVE, instrument_name=instrument.name)
        refuse_combo(instrument)
        package.append(PackageLeg(instrument, read_direction(leg.direction), lots))
    package.sort(key=lambda leg: leg.instrument.number)
    if len({leg.instrument.number for leg in package}) < len(package):
        raise refuse_parameter("legs", "at most one for each instrument")
    return turn_package(package, package[0].side)


def turn_package(package: Sequence[PackageLeg], side: Side) -> tuple[PackageLeg, ...]:
    """Return the legs as they are for a side that buys, and turned round for one that sells."""
    return tuple(PackageLeg(leg.instrument, Side(leg.side ^ side), leg.lots) for leg in package)


def refuse_combo(instrument: NamedGrid) -> None:
    """Raise BLOCK_INVALID for a combo, which cannot be a leg."""
    if COMBO_MARK in instrument.name:
        message = f"{instrument.name} is a combo; name its legs"
        raise ApiError(Code.BLOCK_INVALID, message, instrument_name=instrument.name)


def measure_package(package: Sequence[PackageLeg]) -> tuple[Fraction, list[int]]:
    """Return the amount of a package in units of the underlying, and the whole ratio of each leg."""
    scale = lcm(*(leg.instrument.lots_per_unit for leg in package))
    sizes = [leg.lots * (scale // leg.instrument.lots_per_unit) for leg in package]
    divisor = gcd(*sizes)
    return Fraction(divisor, scale), [size // divisor for size in sizes]


def list_ratios(package: Sequence[PackageLeg]) -> tuple[tuple[int, int], ...]:
    """Return (instrument, ratio) as LIST_COMBO has them: without a common divisor, sold ones negative."""
    divisor = gcd(*(leg.lots for leg in package))
    return tuple(
        (leg.instrument.number, leg.lots // divisor * (1 if leg.side == Side.BUY else -1)) for leg in package
    )
