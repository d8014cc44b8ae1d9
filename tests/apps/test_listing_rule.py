"""Which expiries and strikes the listing rule asks for, on real dates and for any index. [LIST-1]"""

import csv
import gzip
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from novate.apps import listing_rule
from novate.apps.listing_rule import (
    INDEX_ATOMS_MIN,
    Band,
    IndexPrice,
    Label,
    ListingRule,
    ListingRuleError,
    Tenor,
)
from novate.protocol.generated.codes import InstrumentKind
from novate.protocol.generated.constants import E6, EXPIRY_AHEAD_NS_MAX, INDEX_ATOMS_MAX, NS_PER_DAY, NS_PER_S
from novate.protocol.instrument import EXPIRY_TIME_OF_DAY_NS, InstrumentTerms, format_expiry

GUIDE = Path(__file__).parents[2] / "docs" / "guides" / "listing.md"
CHAINS = sorted(
    (Path(__file__).parents[3] / "shared/data/deribit_chain").glob("deribit_options_snapshot_*.gz")
)
RULE = ListingRule()
BTC = IndexPrice(0, 63_900 * E6, 10**6 * E6)
ETH = IndexPrice(1, 1_880 * E6, 150_000 * E6)
NOON_ON_WEDNESDAY = "2026-02-04T12:00:00"
TIMES = st.integers(datetime(2000, 1, 1).toordinal() - 719_163, 50_000).flatmap(
    lambda day: st.integers(day * NS_PER_DAY, (day + 1) * NS_PER_DAY - 1)
)
INDICES = st.integers(INDEX_ATOMS_MIN, INDEX_ATOMS_MAX // 100)


def parse_ns(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * NS_PER_S


def show_expiries(time_ns: int, rule: ListingRule) -> str:
    """Each expiry as a reader writes it, with the first letter of its label."""
    found = listing_rule.list_expiries(time_ns, rule)
    return ", ".join(f"{format_expiry(expiry.expiry_ns)} {expiry.label.name[0]}" for expiry in found)


@pytest.mark.parametrize(
    ("time", "counts", "expected"),
    [
        # An ordinary Wednesday: the first Friday is a daily too, and is called weekly.
        (NOON_ON_WEDNESDAY, (3, 2, 1, 1), "5FEB26 D, 6FEB26 W, 7FEB26 D, 13FEB26 W, 27FEB26 M, 27MAR26 Q"),
        # A Friday that is the last of its quarter, before and at its own expiry.
        ("2026-03-27T07:59:59", (1, 1, 1, 1), "27MAR26 Q"),
        ("2026-03-27T08:00:00", (1, 1, 1, 1), "28MAR26 D, 3APR26 W, 24APR26 M, 26JUN26 Q"),
        # Within the minute before and after 08:00 the next daily is today's, then tomorrow's.
        ("2026-02-04T07:59:30", (2, 0, 0, 0), "4FEB26 D, 5FEB26 D"),
        ("2026-02-04T08:00:30", (2, 0, 0, 0), "5FEB26 D, 6FEB26 D"),
        # A month end that is itself the last Friday, and a month of five Fridays.
        ("2026-07-30T09:00:00", (2, 2, 2, 0), "31JUL26 M, 1AUG26 D, 7AUG26 W, 28AUG26 M"),
        # A year end: dailies run into January, quarters into the next year.
        (
            "2025-12-30T12:00:00",
            (3, 1, 1, 2),
            "31DEC25 D, 1JAN26 D, 2JAN26 W, 30JAN26 M, 27MAR26 Q, 26JUN26 Q",
        ),
        # A leap year: 29 February is a day, and 23 February 2024 is the last Friday.
        ("2024-02-22T10:00:00", (2, 1, 2, 0), "23FEB24 M, 24FEB24 D, 29MAR24 M"),
        ("2024-02-28T10:00:00", (2, 1, 1, 1), "29FEB24 D, 1MAR24 W, 29MAR24 Q"),
        # A leap day that is a Friday and the last one.
        ("2008-02-28T10:00:00", (1, 1, 1, 0), "29FEB08 M"),
    ],
)
def test_expiries_of_real_dates(time: str, counts: tuple[int, int, int, int], expected: str) -> None:
    """Days, Fridays, last Fridays of months and quarters come in order; a day has its longest label."""
    daily, weekly, monthly, quarterly = counts
    rule = ListingRule(
        daily_count=daily, weekly_count=weekly, monthly_count=monthly, quarterly_count=quarterly
    )
    assert expected == show_expiries(parse_ns(time), rule)


def test_expiries_stay_within_the_law() -> None:
    """No expiry is further ahead than the law lists, however many are asked for. [LIST-1]"""
    time_ns = parse_ns(NOON_ON_WEDNESDAY)
    last = listing_rule.list_expiries(time_ns, ListingRule(quarterly_count=366))[-1]
    assert EXPIRY_AHEAD_NS_MAX - 92 * NS_PER_DAY < last.expiry_ns - time_ns <= EXPIRY_AHEAD_NS_MAX


def test_ladder_of_a_real_index() -> None:
    """Bitcoin at 63,900: steps of 1,000, then 2,000 for a day; of 5,000 to 50,000 for a year."""
    near = listing_rule.list_strikes(BTC, RULE.tenors[0].bands, 4)
    far = listing_rule.list_strikes(BTC, RULE.tenors[-1].bands, 4)
    assert [58, 60, 61, 62, 63, 64, 65, 66, 67, 68, 70] == [strike // (1_000 * E6) for strike in near]
    assert [40, 45, 50, 55, 60, 65, 70, 75, 80, 90, 100, 150] == [strike // (1_000 * E6) for strike in far]


def test_an_index_on_a_strike_has_strikes_on_both_sides() -> None:
    """A strike equal to the index counts for neither side."""
    bands = (Band(1_000, 10_000),)
    assert (58, 59, 60, 61, 62) == tuple(
        strike // (1_000 * E6) for strike in listing_rule.list_strikes(IndexPrice(0, 60_000 * E6), bands, 2)
    )


def test_the_guide_shows_what_the_rule_gives() -> None:
    """The guide's example is computed: expiries, labels, futures, strikes and the number of instruments."""
    time_ns = parse_ns("2026-02-05T21:29:00")
    rows = []
    for expiry_ns, label in listing_rule.list_expiries(time_ns, RULE):
        bands = listing_rule.choose_bands(time_ns, expiry_ns, RULE)
        ladder = listing_rule.list_strikes(BTC, bands, RULE.strikes_each_side)
        strikes = ", ".join(str(strike // (1_000 * E6)) for strike in ladder)
        future = "yes" if label >= Label.MONTHLY else "no"
        rows.append(f"| {format_expiry(expiry_ns)} | {label.name.lower()} | {future} | {strikes} |")
    guide = GUIDE.read_text()
    assert rows == [line for line in guide.splitlines() if "26 |" in line]
    listed = listing_rule.list_wanted(time_ns, [BTC], RULE)
    fallen = [
        len(
            listing_rule.list_missing(
                time_ns, [IndexPrice(0, BTC.index_atoms * left // 10)], RULE, listed, 9_999
            )
        )
        for left in (9, 8)
    ]
    assert f"that is {len(listed)} instruments" in guide
    assert (
        f"A fall of 10 % in the example adds {fallen[0]} instruments, one of 20 % adds {fallen[1]}" in guide
    )


@pytest.mark.skipif(not CHAINS, reason="needs ../shared/data/deribit_chain, which a clone does not have")
def test_real_chains_have_every_expiry_of_the_rule() -> None:
    """Ten real chains have each expiry asked for, and others only on the morning of a quarterly expiry."""
    assert len(CHAINS) == 10
    for path in CHAINS:
        with gzip.open(path, "rt", newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        time_ns = parse_ns(max(row["timestamp"] for row in rows)[:19])
        real = {parse_ns(row["expiry_datetime"][:19]) for row in rows}
        expiries = listing_rule.list_expiries(time_ns, RULE)
        asked = {expiry.expiry_ns for expiry in expiries}
        assert asked <= real
        is_quarterly_morning = expiries[0].label == Label.QUARTERLY
        assert (2 if is_quarterly_morning else 0) == len({each for each in real if each > time_ns} - asked)


def test_strikes_above_the_underlying_limit_are_left_out() -> None:
    """The ladder ends at the greatest strike that the law takes. [LIST-1]"""
    index = IndexPrice(0, 63_900 * E6, 66_000 * E6)
    assert 66_000 * E6 == listing_rule.list_strikes(index, RULE.tenors[0].bands, 4)[-1]


@pytest.mark.parametrize(
    ("step", "expected"), [(1, 1), (2, 2), (3, 5), (6, 10), (10, 10), (11, 20), (639, 1_000), (5_001, 10_000)]
)
def test_steps_are_round(step: int, expected: int) -> None:
    """A step is the least of 1, 2, 5, 10, ... that is not below what the rule asks for."""
    assert expected == listing_rule.round_step(step)


def test_an_empty_venue_gets_everything_once_in_bounded_calls() -> None:
    """Calls of at most 50 list everything wanted, in order, without repeating, and then fall silent."""
    time_ns = parse_ns(NOON_ON_WEDNESDAY)
    listed: list[InstrumentTerms] = []
    for _ in range(100):
        missing = listing_rule.list_missing(time_ns, [BTC, ETH], RULE, listed, 50)
        if not missing:
            break
        assert len(missing) <= 50
        listed += missing
    assert listing_rule.list_wanted(time_ns, [BTC, ETH], RULE) == listed
    assert len(listed) == len(set(listed))
    assert InstrumentTerms(0, InstrumentKind.PERPETUAL, 0, 0) == listed[0]
    assert InstrumentTerms(1, InstrumentKind.PERPETUAL, 0, 0) == listed[1]


def test_each_monthly_and_quarterly_has_one_future() -> None:
    """Each underlying has one perpetual, and a dated future for each expiry longer than weekly."""
    time_ns = parse_ns(NOON_ON_WEDNESDAY)
    wanted = listing_rule.list_wanted(time_ns, [BTC, ETH], RULE)
    long = [e.expiry_ns for e in listing_rule.list_expiries(time_ns, RULE) if e.label >= Label.MONTHLY]
    for number in (0, 1):
        futures = [
            terms for terms in wanted if terms.kind == InstrumentKind.FUTURE and terms.underlying == number
        ]
        assert [InstrumentTerms(number, InstrumentKind.FUTURE, 0, expiry_ns) for expiry_ns in long] == futures


def test_a_series_begins_with_an_option() -> None:
    """The first instrument of each expiry is an option, the nearest call."""
    first: dict[tuple[int, int], InstrumentTerms] = {}
    for terms in listing_rule.list_wanted(parse_ns(NOON_ON_WEDNESDAY), [BTC, ETH], RULE):
        first.setdefault((terms.underlying, terms.expiry_ns), terms)
    calls = [terms for terms in first.values() if terms.expiry_ns]
    assert {InstrumentKind.CALL} == {terms.kind for terms in calls}
    assert {64_000 * E6, 65_000 * E6} == {terms.strike_atoms for terms in calls if terms.underlying == 0}


def test_a_moving_index_adds_strikes_and_takes_none() -> None:
    """After a fall of 20 % only options are missing, all new, and the new index has strikes on both sides."""
    time_ns = parse_ns(NOON_ON_WEDNESDAY)
    listed = listing_rule.list_wanted(time_ns, [BTC], RULE)
    fallen = IndexPrice(0, BTC.index_atoms * 8 // 10, BTC.strike_atoms_max)
    added = listing_rule.list_missing(time_ns, [fallen], RULE, listed, 10_000)
    assert added
    assert {InstrumentKind.CALL, InstrumentKind.PUT} == {terms.kind for terms in added}
    assert not set(added) & set(listed)
    for expiry_ns, _ in listing_rule.list_expiries(time_ns, RULE):
        strikes = {terms.strike_atoms for terms in (*listed, *added) if terms.expiry_ns == expiry_ns}
        assert sum(0 < strike < fallen.index_atoms for strike in strikes) >= RULE.strikes_each_side
        assert sum(strike > fallen.index_atoms for strike in strikes) >= RULE.strikes_each_side


def test_an_expired_expiry_is_not_listed_again() -> None:
    """Once an expiry has passed, nothing of it is missing, whether or not it was listed."""
    before_ns, after_ns = parse_ns("2026-02-06T07:00:00"), parse_ns("2026-02-06T08:00:01")
    expired = parse_ns("2026-02-06T08:00:00")
    listed = listing_rule.list_wanted(before_ns, [BTC], RULE)
    assert expired in {terms.expiry_ns for terms in listed}
    for known in ([], listed):
        added = listing_rule.list_missing(after_ns, [BTC], RULE, known, 10_000)
        assert added
        assert expired not in {terms.expiry_ns for terms in added}


@pytest.mark.parametrize(
    ("time", "is_added"), [("2026-02-06T07:29:59", True), ("2026-02-06T07:30:00", False)]
)
def test_nothing_is_added_to_an_expiry_in_its_last_half_hour(time: str, is_added: bool) -> None:
    """Once the settlement average of an expiry has begun, no strike of it is listed."""
    added = listing_rule.list_missing(parse_ns(time), [BTC], RULE, [], 10_000)
    assert is_added == (parse_ns("2026-02-06T08:00:00") in {terms.expiry_ns for terms in added})


@pytest.mark.parametrize(
    "values",
    [
        {"daily": 3},
        {"daily_count": "3"},
        {"daily_count": 0},
        {"weekly_count": -1},
        {"quarterly_count": 367},
        {"strikes_each_side": 0},
        {"strikes_each_side": 65},
        {"strikes_each_side": 7},
        {"quiet_s": -1},
        {"tenors": []},
        {"tenors": [{"days_max": 3, "bands": []}]},
        {"tenors": [{"days_max": 0, "bands": [{"distance_e6": 50_000, "step_e6": 10_000}]}]},
        {"tenors": [{"days_max": 3, "bands": [{"distance_e6": 50_000, "step_e6": 0}]}]},
        {"tenors": [{"days_max": 3, "bands": [{"distance_e6": 50_000, "step_e6": 1}]}]},
        {
            "tenors": [
                {
                    "days_max": 3,
                    "bands": [
                        {"distance_e6": 50_000, "step_e6": 10_000},
                        {"distance_e6": 90_000, "step_e6": 5_000},
                    ],
                }
            ]
        },
        {"tenors": [{"days_max": 3, "bands": [{"distance_e6": 50_000, "step_e6": 10_000}]}] * 2},
    ],
)
def test_unusable_rules_are_refused(values: dict[str, object]) -> None:
    """A rule with an unknown name, a wrong type, a count out of range or narrowing steps is refused."""
    with pytest.raises(ListingRuleError):
        listing_rule.load_rule(values)


def test_plain_values_make_a_rule() -> None:
    """A table as TOML gives it becomes a rule; what it leaves out takes the default."""
    values = {
        "daily_count": 2,
        "tenors": [{"days_max": 5, "bands": [{"distance_e6": 50_000, "step_e6": 10_000}]}],
    }
    expected = ListingRule(daily_count=2, tenors=(Tenor(5, (Band(50_000, 10_000),)),))
    assert expected == listing_rule.load_rule(values)


def test_an_index_of_dust_is_refused() -> None:
    """An index whose steps would be atoms has no ladder."""
    with pytest.raises(ListingRuleError):
        listing_rule.list_strikes(IndexPrice(0, INDEX_ATOMS_MIN - 1), RULE.tenors[0].bands, 4)


@settings(max_examples=150, deadline=None)
@given(time_ns=TIMES, index_atoms=INDICES)
def test_every_time_and_index(time_ns: int, index_atoms: int) -> None:
    """Every expiry is at 08:00:00 UTC and after now, the next daily is there, and each ladder brackets the
    index with the promised number of strikes on either side.
    """
    expiries = [expiry.expiry_ns for expiry in listing_rule.list_expiries(time_ns, RULE)]
    assert all(expiry_ns % NS_PER_DAY == EXPIRY_TIME_OF_DAY_NS for expiry_ns in expiries)
    assert sorted(set(expiries)) == expiries
    assert 0 < expiries[0] - time_ns <= NS_PER_DAY
    assert expiries[1] == expiries[0] + NS_PER_DAY
    assert expiries[-1] - time_ns <= EXPIRY_AHEAD_NS_MAX
    index = IndexPrice(0, index_atoms)
    for expiry_ns in expiries:
        strikes = listing_rule.list_strikes(
            index, listing_rule.choose_bands(time_ns, expiry_ns, RULE), RULE.strikes_each_side
        )
        assert sorted(set(strikes)) == list(strikes)
        assert strikes[0] >= 1
        assert sum(strike < index_atoms for strike in strikes) >= RULE.strikes_each_side
        assert sum(strike > index_atoms for strike in strikes) >= RULE.strikes_each_side
        assert len(strikes) <= listing_rule.LADDER_STRIKES_MAX


@settings(max_examples=20, deadline=None)
@given(time_ns=TIMES, index_atoms=INDICES, moves=st.lists(st.integers(-200_000, 200_000), max_size=4))
def test_listing_follows_any_path(time_ns: int, index_atoms: int, moves: list[int]) -> None:
    """Along any path of the index, what is listed is never asked for again, and one round completes it."""
    listed: set[InstrumentTerms] = set()
    for step, move_e6 in enumerate([0, *moves]):
        index_atoms = max(INDEX_ATOMS_MIN, index_atoms * (E6 + move_e6) // E6)
        now_ns = time_ns + step * NS_PER_DAY // 3
        added = listing_rule.list_missing(now_ns, [IndexPrice(0, index_atoms)], RULE, listed, 10_000)
        assert listed.isdisjoint(added)
        assert all(terms.expiry_ns == 0 or terms.expiry_ns > now_ns for terms in added)
        listed.update(added)
        assert [] == listing_rule.list_missing(now_ns, [IndexPrice(0, index_atoms)], RULE, listed, 10_000)
