"""Which expiries and strikes a venue should list, as a pure function of time, index prices and a rule.

Every expiry is at 08:00 UTC: the next days, Fridays, last Fridays of months and of quarters. Strikes are a
ladder of round numbers around the index whose steps widen with distance and with time to expiry. Nothing here
decides: the operator signs a LIST_INSTRUMENT for each missing instrument. See docs/guides/listing.md.
"""

from collections.abc import Collection, Mapping, Sequence
from enum import IntEnum
from itertools import islice, pairwise
from typing import Any, NamedTuple

import msgspec

from novate.protocol.generated.codes import InstrumentKind
from novate.protocol.generated.constants import (
    E6,
    EXPIRY_AHEAD_NS_MAX,
    INDEX_ATOMS_MAX,
    NS_PER_DAY,
    NS_PER_S,
)
from novate.protocol.instrument import EXPIRY_TIME_OF_DAY_NS, InstrumentTerms, compute_civil_date

FRIDAY = 1  # Day 0, 1970-01-01, was a Thursday.
DAYS_PER_WEEK = 7
QUARTER_MONTHS = (3, 6, 9, 12)
COUNT_MAX = 366
# Below this index the round steps would be atoms, and strikes could not be told apart.
INDEX_ATOMS_MIN = 1_000
STRIKES_EACH_SIDE_MAX = 64
LADDER_STRIKES_MAX = 1_024
# A round step is at most 2.5 times the step asked for: from just above 2 up to 5.
ROUNDING_UP_X2 = 5


class ListingRuleError(ValueError):
    """A rule or an index that cannot be used; the message says what was expected."""


class Label(IntEnum):
    """What an expiry is called; where two fall on one day, the greater wins."""

    DAILY = 0
    WEEKLY = 1
    MONTHLY = 2
    QUARTERLY = 3


class Expiry(NamedTuple):
    """One expiry to list, at 08:00 UTC."""

    expiry_ns: int
    label: Label


class IndexPrice(NamedTuple):
    """An underlying's number, its index, and the greatest strike that the law takes, all in atoms."""

    underlying: int
    index_atoms: int
    strike_atoms_max: int = INDEX_ATOMS_MAX - 1


class Band(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Up to `distance_e6` from the index, strikes stand about `step_e6` of the index apart."""

    distance_e6: int
    step_e6: int


class Tenor(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The bands, from the index outwards, of expiries at most `days_max` days away."""

    days_max: int
    bands: tuple[Band, ...]


class ListingRule(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What to list. An expiry beyond the last tenor takes the last tenor's bands.

    In the last `quiet_s` seconds of an expiry nothing is added to it: its settlement average has begun.
    """

    daily_count: int = 4
    weekly_count: int = 3
    monthly_count: int = 3
    quarterly_count: int = 4
    strikes_each_side: int = 4
    quiet_s: int = 1_800
    tenors: tuple[Tenor, ...] = (
        Tenor(3, (Band(50_000, 10_000), Band(120_000, 20_000))),
        Tenor(10, (Band(80_000, 10_000), Band(200_000, 25_000))),
        Tenor(35, (Band(100_000, 20_000), Band(250_000, 40_000), Band(600_000, 80_000))),
        Tenor(100, (Band(150_000, 30_000), Band(400_000, 60_000), Band(1_000_000, 150_000))),
        Tenor(3_650, (Band(250_000, 50_000), Band(600_000, 100_000), Band(2_000_000, 400_000))),
    )

    def __post_init__(self) -> None:
        """Refuse a rule that lists nothing, or whose steps do not widen."""
        counts = (self.daily_count, self.weekly_count, self.monthly_count, self.quarterly_count)
        if self.daily_count < 1 or any(not 0 <= count <= COUNT_MAX for count in counts):
            raise ListingRuleError(f"counts must be 0 to {COUNT_MAX}, and daily_count at least 1")
        if not 1 <= self.strikes_each_side <= STRIKES_EACH_SIDE_MAX:
            raise ListingRuleError(f"strikes_each_side must be 1 to {STRIKES_EACH_SIDE_MAX}")
        if self.quiet_s < 0:
            raise ListingRuleError("quiet_s must not be negative")
        verify_tenors(self.tenors, self.strikes_each_side)


def verify_tenors(tenors: Sequence[Tenor], strikes_each_side: int) -> None:
    """Raise ListingRuleError unless days, distances and steps widen and the strikes fit below the index."""
    if not tenors or any(not tenor.bands for tenor in tenors):
        raise ListingRuleError("a rule needs at least one tenor, and a tenor at least one band")
    for near, far in pairwise(tenors):
        if not (near.days_max < far.days_max and near.bands[0].step_e6 <= far.bands[0].step_e6):
            raise ListingRuleError("tenors must ascend in days_max, and their first steps must not narrow")
    for tenor in tenors:
        if tenor.days_max < 1 or tenor.bands[0].distance_e6 < 1 or tenor.bands[0].step_e6 < 1:
            raise ListingRuleError("days_max, distance_e6 and step_e6 must be positive")
        for inner, outer in pairwise(tenor.bands):
            if not (inner.distance_e6 < outer.distance_e6 and inner.step_e6 <= outer.step_e6):
                raise ListingRuleError("bands must ascend in distance_e6, and steps must not narrow")
        # One step more, because the first strike may stand almost a step below the index.
        if (strikes_each_side + 1) * tenor.bands[0].step_e6 * ROUNDING_UP_X2 >= 2 * E6:
            raise ListingRuleError("strikes_each_side steps must fit between zero and the index")
        if sum(2 * band.distance_e6 // band.step_e6 + 1 for band in tenor.bands) > LADDER_STRIKES_MAX:
            raise ListingRuleError(f"a ladder may have at most {LADDER_STRIKES_MAX} strikes")


def load_rule(values: Mapping[str, Any]) -> ListingRule:
    """Return the rule of plain values, as TOML or JSON has them; what is left out takes its default.

    Errors     ListingRuleError for an unknown name, a wrong type or a value out of range.
    """
    try:
        return msgspec.convert(values, type=ListingRule)
    except msgspec.ValidationError as error:
        raise ListingRuleError(f"the listing rule cannot be used: {error}") from error


def is_last_friday(day: int) -> bool:
    """Whether a day number is the last Friday of its month."""
    if day % DAYS_PER_WEEK != FRIDAY:
        return False
    return compute_civil_date(day)[1] != compute_civil_date(day + DAYS_PER_WEEK)[1]


def list_expiries(time_ns: int, rule: ListingRule) -> tuple[Expiry, ...]:
    """Return the expiries after a time that should be listed, in order.

    An expiry at the very time is past. Each count counts all its days: the next Friday is the first weekly
    even if it is also a daily. Expiries further ahead than the law allows are left out. [LIST-1]
    """
    day = (time_ns - EXPIRY_TIME_OF_DAY_NS) // NS_PER_DAY + 1
    wanted = {day + offset: Label.DAILY for offset in range(rule.daily_count)}
    left = {
        Label.WEEKLY: rule.weekly_count,
        Label.MONTHLY: rule.monthly_count,
        Label.QUARTERLY: rule.quarterly_count,
    }
    friday = day + (FRIDAY - day) % DAYS_PER_WEEK
    friday_last = (time_ns + EXPIRY_AHEAD_NS_MAX - EXPIRY_TIME_OF_DAY_NS) // NS_PER_DAY
    while friday <= friday_last and any(left.values()):
        labels = [Label.WEEKLY]
        if is_last_friday(friday):
            labels.append(Label.MONTHLY)
            if compute_civil_date(friday)[1] in QUARTER_MONTHS:
                labels.append(Label.QUARTERLY)
        for label in labels:
            if left[label] > 0:
                left[label] -= 1
                wanted[friday] = label
        friday += DAYS_PER_WEEK
    return tuple(Expiry(day * NS_PER_DAY + EXPIRY_TIME_OF_DAY_NS, wanted[day]) for day in sorted(wanted))


def round_step(step_atoms: int) -> int:
    """Return the least of 1, 2, 5, 10, 20, 50, ... that is not below a step."""
    power = 1
    while power * 10 < step_atoms:
        power *= 10
    return next(power * digit for digit in (1, 2, 5, 10) if power * digit >= step_atoms)


def choose_bands(time_ns: int, expiry_ns: int, rule: ListingRule) -> tuple[Band, ...]:
    """Return the bands of the first tenor that holds an expiry, else of the last."""
    left_ns = expiry_ns - time_ns
    fitting = (tenor.bands for tenor in rule.tenors if left_ns <= tenor.days_max * NS_PER_DAY)
    return next(fitting, rule.tenors[-1].bands)


def list_strikes(index: IndexPrice, bands: Sequence[Band], strikes_each_side: int) -> tuple[int, ...]:
    """Return the ladder around an index in ascending atoms.

    A band reaches from index / (1 + distance) to index * (1 + distance), and each begins where the one inside
    it ends. At least `strikes_each_side` strikes stand strictly below and strictly above the index, except
    above the greatest strike that the law takes.
    Errors     ListingRuleError if the index is below INDEX_ATOMS_MIN.
    """
    index_atoms = index.index_atoms
    if index_atoms < INDEX_ATOMS_MIN:
        raise ListingRuleError(f"an index must be at least {INDEX_ATOMS_MIN} atoms, not {index_atoms}")
    strikes: set[int] = set()
    low_inner = high_inner = index_atoms
    for band in bands:
        step = round_step(-(-index_atoms * band.step_e6 // E6))
        low = -(-index_atoms * E6 // (E6 + band.distance_e6))
        high = index_atoms * (E6 + band.distance_e6) // E6
        strikes.update(range(-(-low // step) * step, low_inner + 1, step))
        strikes.update(range(-(-high_inner // step) * step, high + 1, step))
        low_inner, high_inner = low, high
    step = round_step(-(-index_atoms * bands[0].step_e6 // E6))
    first_below = (index_atoms - 1) // step * step
    first_above = (index_atoms // step + 1) * step
    for number in range(strikes_each_side):
        strikes.update((first_below - number * step, first_above + number * step))
    return tuple(sorted(strike for strike in strikes if 1 <= strike <= index.strike_atoms_max))


def rank_wanted(time_ns: int, index: IndexPrice, rule: ListingRule) -> list[tuple[int, int, InstrumentTerms]]:
    """Return (expiry, rank within the expiry, terms) of everything that one underlying should have."""
    number = index.underlying
    wanted = [(0, 0, InstrumentTerms(number, InstrumentKind.PERPETUAL, 0, 0))]
    for expiry_ns, label in list_expiries(time_ns, rule):
        ladder = list_strikes(index, choose_bands(time_ns, expiry_ns, rule), rule.strikes_each_side)
        by_distance = sorted(ladder, key=lambda strike: (abs(strike - index.index_atoms), strike))
        for rank, strike in enumerate(by_distance):
            for kind in (InstrumentKind.CALL, InstrumentKind.PUT):
                wanted.append((expiry_ns, rank, InstrumentTerms(number, kind, strike, expiry_ns)))
        if label >= Label.MONTHLY:
            # Its rank puts it after the two options nearest to the index.
            wanted.append((expiry_ns, 0, InstrumentTerms(number, InstrumentKind.FUTURE, 0, expiry_ns)))
    return wanted


def list_wanted(time_ns: int, indices: Sequence[IndexPrice], rule: ListingRule) -> list[InstrumentTerms]:
    """Return everything that should be listed at a time, what matters most first.

    Perpetuals, then expiry by expiry the strikes nearest to the index, over all underlyings alike; a call
    before its put, and a future after the first pair.
    """
    ranked = [entry for index in indices for entry in rank_wanted(time_ns, index, rule)]
    ranked.sort(key=lambda entry: (entry[0], entry[1], entry[2].underlying, entry[2].kind))
    return [terms for _, _, terms in ranked]


def list_missing(
    time_ns: int,
    indices: Sequence[IndexPrice],
    rule: ListingRule,
    listed: Collection[InstrumentTerms],
    count_max: int,
) -> list[InstrumentTerms]:
    """Return at most `count_max` instruments to list now, in the order of `list_wanted`.

    `listed` is everything ever listed, expired or not: the law refuses it a second time. [LIST-1] An expiry
    of which less than `quiet_s` is left gets nothing new. Called again with its answer listed, it goes on;
    an empty answer means that nothing is missing.
    """
    known = frozenset(listed)
    quiet_until_ns = time_ns + rule.quiet_s * NS_PER_S
    missing = (
        terms
        for terms in list_wanted(time_ns, indices, rule)
        if terms not in known and (terms.expiry_ns == 0 or terms.expiry_ns > quiet_until_ns)
    )
    return list(islice(missing, count_max))
