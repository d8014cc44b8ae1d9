"""Instrument names as in Deribit's linear contracts.

`BTC_USDC-27MAR26-80000-C` is an option, `BTC_USDC-27MAR26` a future, `BTC_USDC-PERPETUAL` a perpetual, and
`BTC_USDC-COMBO-1x27MAR26-80000-C_-1x27MAR26-90000-C` a combo. A name is a function of (underlying, kind,
strike, expiry), or of the legs, and back; it is what a signer reads, so it must be unique. Strikes of less
than one dollar, or with cents, write the decimal point as `d`. Implements [LIST-1] and [COMBO-1].
"""

from collections.abc import Sequence
from typing import NamedTuple

from novate.protocol.arithmetic import div_floor
from novate.protocol.generated.codes import InstrumentKind
from novate.protocol.generated.constants import E6, NS_PER_DAY, NS_PER_S

MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
SETTLEMENT_CURRENCY = "USDC"
EXPIRY_TIME_OF_DAY_NS = 8 * 3600 * NS_PER_S  # 08:00 UTC, when a name shows no time of day.


class InstrumentTerms(NamedTuple):
    """What makes an instrument: `underlying` is its number in the genesis file; strike and expiry are 0 for
    perpetuals, the strike also for futures.
    """

    underlying: int
    kind: int
    strike_atoms: int
    expiry_ns: int


def compute_civil_date(days: int) -> tuple[int, int, int]:
    """Return (year, month, day) of a day number counted from 1970-01-01, by the proleptic Gregorian calendar.

    Days are shifted to begin on 0000-03-01, so that a leap day is the last of its year.
    """
    shifted = days + 719_468
    era = div_floor(shifted, 146_097)
    day_of_era = shifted - era * 146_097
    leap = div_floor(day_of_era, 1_460) - div_floor(day_of_era, 36_524) + div_floor(day_of_era, 146_096)
    year_of_era = div_floor(day_of_era - leap, 365)
    day_of_year = day_of_era - (365 * year_of_era + div_floor(year_of_era, 4) - div_floor(year_of_era, 100))
    month_index = div_floor(5 * day_of_year + 2, 153)
    day = day_of_year - div_floor(153 * month_index + 2, 5) + 1
    month = month_index + 3 if month_index < 10 else month_index - 9
    year = year_of_era + era * 400 + (1 if month <= 2 else 0)
    return int(year), int(month), int(day)


def format_expiry(expiry_ns: int) -> str:
    """Return `27MAR26`, or `27MAR26T0930` (with seconds if any) for an expiry at another time than 08:00
    UTC.
    """
    days = div_floor(expiry_ns, NS_PER_DAY)
    year, month, day = compute_civil_date(days)
    text = f"{day}{MONTHS[month - 1]}{str(year)[-2:]}"
    time_of_day_ns = expiry_ns - days * NS_PER_DAY
    if time_of_day_ns == EXPIRY_TIME_OF_DAY_NS:
        return text
    seconds = div_floor(time_of_day_ns, NS_PER_S)
    minutes = div_floor(seconds, 60)
    hours = div_floor(minutes, 60)
    clock = f"{hours:02d}{minutes - hours * 60:02d}"
    return f"{text}T{clock}" + (f"{seconds - minutes * 60:02d}" if seconds != minutes * 60 else "")


def format_strike(strike_atoms: int) -> str:
    """Return the strike in dollars, without trailing zeros, with `d` for the decimal point."""
    dollars = div_floor(strike_atoms, E6)
    fraction = strike_atoms - dollars * E6
    return str(dollars) + (f"d{fraction:06d}".rstrip("0") if fraction else "")


def format_instrument_name(underlying_name: str, terms: InstrumentTerms) -> str:
    """Return the instrument's name, the one that appears in signed structs."""
    pair = f"{underlying_name}_{SETTLEMENT_CURRENCY}"
    if terms.kind == InstrumentKind.PERPETUAL:
        return f"{pair}-PERPETUAL"
    if terms.kind == InstrumentKind.FUTURE:
        return f"{pair}-{format_expiry(terms.expiry_ns)}"
    letter = "C" if terms.kind == InstrumentKind.CALL else "P"
    return f"{pair}-{format_expiry(terms.expiry_ns)}-{format_strike(terms.strike_atoms)}-{letter}"


def format_combo_name(legs: Sequence[tuple[int, str]]) -> str:
    """Return the name of a combo of legs (ratio, name of the leg), in the order in which it lists them.

    Errors     ValueError if there are no legs, or their pairs differ.
    Law        [COMBO-1]
    """
    pairs = {name.split("-", 1)[0] for _, name in legs}
    if len(pairs) != 1:
        raise ValueError(f"the legs of a combo have one underlying, found {sorted(pairs)}")
    parts = [f"{ratio}x{name.split('-', 1)[1]}" for ratio, name in legs]
    return f"{pairs.pop()}-COMBO-{'_'.join(parts)}"
