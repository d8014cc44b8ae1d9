"""Fees by tier, the cap of an option's fee, rebates, and where fees go. [NOVATE-4] [TIER-1]"""

import pytest

from novate.execution.views import compute_conservation_gap, read_account
from novate.protocol.generated.codes import EventKind
from novate.protocol.genesis import encode_genesis, parse_genesis
from tests.execution.scenes import LISTINGS, ROLES, read_document
from tests.law.desk import FEE_NAMES, Desk, make_genesis

TIERS = ((300, 100, 300, 100), (200, 50, 200, -50), (200, -150, 250, 0))
PERPETUAL_NOTIONAL, OPTION_NOTIONAL = 80_000_000, 800_000_000  # Atoms of one lot at an index of 80_000 USDC.
OPTION_TICK = 50_000
PERPETUAL, OPTION = 0, 1


def open_venue() -> Desk:
    """The desk's venue with three tiers, a cap of an eighth of the premium and a quarter for insurance."""
    document = read_document(make_genesis())
    document["fee_tiers"] = [dict(zip(FEE_NAMES, row, strict=True)) for row in TIERS]
    desk = Desk(parse_genesis(encode_genesis(document)))
    for role in ROLES:
        desk.must(role, "deposit amount_atoms=1_000_000*usdc")
    desk.must("operator", *LISTINGS)
    desk.must("oracle", "index", "surface", "tick")
    return desk


def trade(desk: Desk, number: int, lots: int, price_ticks: int) -> tuple[int, int]:
    """Let the taker buy from the maker; return the fees that the FILL names."""
    desk.must("maker", f"place instrument={number} side=sell lots={lots} price_ticks={price_ticks}")
    desk.must("taker", f"place instrument={number} side=buy lots={lots} price_ticks={price_ticks}")
    (fill,) = [event for event in desk.events if event["kind"] == EventKind.FILL]
    return fill["amount_atoms"], fill["maker_amount_atoms"]


def set_tier(desk: Desk, account: int, tier: int) -> None:
    desk.must("operator", f"set_tier target={account} tier={tier}")


@pytest.mark.parametrize(
    ("maker_tier", "taker_tier", "taker_e6", "maker_e6"),
    [(0, 0, 300, 100), (0, 1, 200, 100), (1, 0, 300, -50), (2, 1, 200, 0), (1, 1, 200, -50)],
)
def test_each_side_pays_by_its_own_tier(
    maker_tier: int, taker_tier: int, taker_e6: int, maker_e6: int
) -> None:
    """The rates of a fill are the taker's of the taker's tier and the maker's of the maker's, negative if it
    is a rebate.
    """
    desk = open_venue()
    set_tier(desk, 0, maker_tier)
    set_tier(desk, 1, taker_tier)
    found = trade(desk, PERPETUAL, 7, 32_000)
    expected = [7 * PERPETUAL_NOTIONAL * rate // 1_000_000 for rate in (taker_e6, maker_e6)]
    assert tuple(expected) == found


def test_an_options_fee_is_at_most_an_eighth_of_its_price() -> None:
    """At 4 ticks a lot costs 200_000 atoms, so either side pays 25_000; at 600 ticks the rate decides."""
    desk = open_venue()
    assert (3 * 4 * OPTION_TICK // 8,) * 2 == (trade(desk, OPTION, 3, 4)[0],) * 2
    assert (25_000, 25_000) == trade(desk, OPTION, 1, 4)
    taker, maker = (OPTION_NOTIONAL * rate // 1_000_000 for rate in (300, 100))
    assert (taker, maker) == trade(desk, OPTION, 1, 600)


def test_a_rebate_is_never_more_than_the_taker_pays() -> None:
    """A capped taker's fee caps the maker's rebate too: the house never pays."""
    desk = open_venue()
    set_tier(desk, 0, 2)
    assert (25_000, -25_000) == trade(desk, OPTION, 1, 4)
    assert 0 == int(desk.engine.world.house["fees_atoms"][0])
    assert 0 == compute_conservation_gap(desk.engine)


def test_a_quarter_of_what_remains_insures_the_house() -> None:
    """Of the sum of both fees, rebate deducted, a quarter (rounded down) goes to the insurance fund."""
    desk = open_venue()
    set_tier(desk, 0, 1)
    taker, maker = trade(desk, PERPETUAL, 3, 32_000)
    house = desk.engine.world.house[0]
    assert taker + maker == int(house["insurance_atoms"]) + int(house["fees_atoms"])
    assert (taker + maker) // 4 == int(house["insurance_atoms"])
    assert 0 == compute_conservation_gap(desk.engine)


def test_margin_counts_the_highest_fee_whatever_the_tier() -> None:
    """[MARGIN-3]: an open order is charged the taker fee of tier 0 without cap, which no fee exceeds."""
    desk = open_venue()
    margins = []
    for tier in (0, 2):
        set_tier(desk, 2, tier)
        desk.must("stranger", f"place instrument={OPTION} side=buy lots=5 price_ticks=700")
        margins.append(read_account(desk.engine, 2).initial_margin_atoms)
        desk.must("stranger", "cancel")
    assert margins[0] == margins[1]
    assert 300 * OPTION_NOTIONAL // 1_000_000 == int(desk.engine.world.instruments["taker_fee_atoms"][OPTION])
