"""Amounts and prices as people write them, and the lots, ticks and atoms that are signed.

Reading is exact, by decimal arithmetic: a number off the grid is refused, never rounded. Writing gives the
double nearest to the exact value, which JSON shows with its shortest decimals.
"""

import re
from decimal import Decimal, localcontext
from typing import NamedTuple, Protocol

from novate.access.errors import ApiError, refuse_parameter
from novate.protocol.generated.codes import AccessCode, Code
from novate.protocol.generated.constants import E6, NS_PER_MS

Number = int | float | str
DECIMAL_TEXT = re.compile(r"-?[0-9]{1,20}(\.[0-9]{1,18})?", re.ASCII)
INTEGER_TEXT = re.compile(r"[0-9]{1,20}", re.ASCII)
ADDRESS_TEXT = re.compile(r"0x[0-9a-fA-F]{40}", re.ASCII)
SIGNATURE_TEXT = re.compile(r"0x[0-9a-fA-F]{130}", re.ASCII)
UNSIGNED_MAX = (1 << 63) - 1  # A struct says uint64; a command's fields are int64.
FROZEN_FOR_EVER = (1 << 63) - 1
NO_DEMAND = -1  # Withdraws a backstop's offer.
DIGITS = 60  # More than any step below has.


class Grid(Protocol):
    """What amounts and prices of an instrument are multiples of: the engine's view of it, or a client's."""

    @property
    def lots_per_unit(self) -> int:
        """Lots in 1.0 of the underlying."""

    @property
    def tick_atoms(self) -> int:
        """Atoms of one tick of one lot."""

    @property
    def tick_offset(self) -> int:
        """The ticks of a price of zero: above 0 for combos, whose prices may be negative. [COMBO-2]"""


class Exact(NamedTuple):
    """A decimal as integers: digits / 10**decimals."""

    digits: int
    decimals: int


def read_decimal(value: Number, name: str) -> Exact:
    """Return an exact decimal of at most 20 digits before and 18 after the point."""
    if isinstance(value, str):
        text = value
    elif isinstance(value, float):
        text = format(Decimal(repr(value)), "f")
    else:
        text = str(value)
    if not DECIMAL_TEXT.fullmatch(text):
        raise refuse_parameter(name, "a decimal of at most 20 digits and 18 decimals", text)
    whole, _, fraction = text.partition(".")
    return Exact(int(whole + fraction), len(fraction))


def read_unsigned(value: int | str, name: str) -> int:
    """Return an integer from 0 to 2**63 - 1, given as a number or as decimal text."""
    if isinstance(value, str):
        if not INTEGER_TEXT.fullmatch(value):
            raise refuse_parameter(name, "an integer in decimal digits", value)
        value = int(value)
    if not 0 <= value <= UNSIGNED_MAX:
        raise refuse_parameter(name, "an integer from 0 to 2**63 - 1", value)
    return value


def read_address(text: str, name: str = "account") -> bytes:
    """Return the 20 bytes of a 0x address in any case."""
    if not ADDRESS_TEXT.fullmatch(text):
        raise refuse_parameter(name, "0x and 40 hexadecimal digits", text)
    return bytes.fromhex(text[2:])


def read_signature(text: str) -> bytes:
    """Return the 65 bytes of a 0x signature: r, s, v."""
    if not SIGNATURE_TEXT.fullmatch(text):
        raise refuse_parameter("signature", "0x and 130 hexadecimal digits: r, s, v", text)
    return bytes.fromhex(text[2:])


def format_step(numerator: int, denominator: int) -> str:
    """Return numerator / denominator as plain decimal text, rounded to 18 decimals."""
    with localcontext() as context:
        context.prec = DIGITS
        step = (Decimal(numerator) / Decimal(denominator)).quantize(Decimal(1).scaleb(-18))
    return format(step.normalize(), "f")


def count_steps(value: Exact, multiplier: int, divisor: int) -> int | None:
    """Return value * multiplier / divisor if that is an integer, else None."""
    steps, remainder = divmod(value.digits * multiplier, divisor * 10**value.decimals)
    return None if remainder else steps


def read_lots(amount: Number, instrument: Grid, name: str = "amount") -> int:
    """Return the lots of an amount in units of the underlying.

    Errors     SIZE_OFF_LOT, SIZE_NOT_POSITIVE for a negative amount, SIZE_ABOVE_MAXIMUM for one that no
               field holds.
    """
    lots = count_steps(read_decimal(amount, name), instrument.lots_per_unit, 1)
    if lots is None:
        step = format_step(1, instrument.lots_per_unit)
        raise ApiError(AccessCode.SIZE_OFF_LOT, f"the {name} must be a multiple of {step}", step=step)
    if lots < 0:
        raise ApiError(Code.SIZE_NOT_POSITIVE, f"the {name} must be positive, found {amount}")
    if lots > UNSIGNED_MAX:
        raise ApiError(Code.SIZE_ABOVE_MAXIMUM)
    return lots


def read_ticks(price: Number, instrument: Grid) -> int:
    """Return the ticks of a price in USDC per 1.0 of the underlying, which for a combo may be negative.

    Errors     PRICE_OFF_TICK, PRICE_NOT_POSITIVE for a price below the first tick, PRICE_ABOVE_MAXIMUM for
               one that no field holds.
    """
    tick_atoms_per_unit = instrument.tick_atoms * instrument.lots_per_unit
    ticks = count_steps(read_decimal(price, "price"), E6, tick_atoms_per_unit)
    if ticks is None:
        step = format_step(tick_atoms_per_unit, E6)
        raise ApiError(AccessCode.PRICE_OFF_TICK, f"the price must be a multiple of {step}", step=step)
    ticks += instrument.tick_offset
    if ticks < 0:
        lowest = show_price(1, instrument)
        raise ApiError(Code.PRICE_NOT_POSITIVE, f"the price must be at least {lowest}, found {price}")
    if ticks > UNSIGNED_MAX:
        raise ApiError(Code.PRICE_ABOVE_MAXIMUM)
    return ticks


def read_volatility_bp(percent: Number) -> int:
    """Return the basis points of a yearly volatility in per cent.

    Errors     PRICE_OFF_TICK unless it is a multiple of 0.01, PRICE_NOT_POSITIVE for a negative one.
    """
    steps = count_steps(read_decimal(percent, "price"), 100, 1)
    if steps is None:
        message = "a volatility must be a multiple of 0.01 per cent"
        raise ApiError(AccessCode.PRICE_OFF_TICK, message, step="0.01")
    if steps < 0:
        raise ApiError(Code.PRICE_NOT_POSITIVE, f"the volatility must be positive, found {percent}")
    return read_unsigned(steps, "price")


def read_step(value: Number, name: str, multiplier: int, divisor: int = 1) -> int:
    """Return value * multiplier / divisor; PARAMETER_INVALID unless it is a non-negative integer in range."""
    steps = count_steps(read_decimal(value, name), multiplier, divisor)
    if steps is None:
        raise refuse_parameter(name, f"a multiple of {format_step(divisor, multiplier)}", value)
    return read_unsigned(steps, name)


def read_usdc_atoms(amount: Number) -> int:
    """Return the atoms of an amount of USDC; PARAMETER_INVALID unless it is a multiple of 0.000001."""
    atoms = count_steps(read_decimal(amount, "amount"), E6, 1)
    if atoms is None:
        raise refuse_parameter("amount", "a multiple of 0.000001 USDC", amount)
    if atoms < 1:
        raise ApiError(Code.AMOUNT_NOT_POSITIVE)
    return read_unsigned(atoms, "amount")


def read_demand_e6(percent: Number | None) -> int:
    """Return the millionths of a backstop's demand in percent, and NO_DEMAND for None; PARAMETER_INVALID
    unless it is a non-negative multiple of 0.0001.
    """
    return NO_DEMAND if percent is None else read_step(percent, "demand", E6 // 100)


def show_demand(demand_e6: int) -> float | None:
    """Return a backstop's demand in percent, or None if it offers nothing."""
    return None if demand_e6 == NO_DEMAND else demand_e6 * 100 / E6


def show_amount(lots: int, instrument: Grid) -> float:
    """Return lots as an amount in units of the underlying."""
    return lots / instrument.lots_per_unit


def show_price(ticks: float, instrument: Grid) -> float:
    """Return ticks, or an average of ticks, as USDC per 1.0 of the underlying."""
    return (ticks - instrument.tick_offset) * instrument.tick_atoms * instrument.lots_per_unit / E6


def show_lot_value(atoms: int, instrument: Grid) -> float:
    """Return atoms per lot, such as a mark, as USDC per 1.0 of the underlying."""
    return atoms * instrument.lots_per_unit / E6


def show_usdc(atoms: int) -> float:
    """Return atoms as USDC."""
    return atoms / E6


def show_frozen_until(frozen_until_ns: int) -> int:
    """Return when a group thaws in milliseconds: 0 if it is not frozen, -1 if only a reset ends it."""
    return -1 if frozen_until_ns == FROZEN_FOR_EVER else frozen_until_ns // NS_PER_MS
