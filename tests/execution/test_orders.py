"""Every kind of order that joins the book or takes from it, in scenes written by hand. Numbers are worked out
beside them.
"""

import pytest

from tests.execution.scenes import find_lots, move_index, open_venue, read_order, refuse, tell
from tests.law.desk import Desk

CALL = "instrument=btc_call_80000"


@pytest.fixture
def venue() -> Desk:
    """A venue of its own for each scene."""
    return open_venue()


# Price [ORDER-2] [BAND-1]


@pytest.mark.parametrize(("side", "edge"), [("buy", 33_600), ("sell", 30_400)])
def test_a_market_order_goes_to_the_edge_of_the_band(side: str, edge: int) -> None:
    """A band of 5 % of 80 USDC is 4 USDC, or 1_600 ticks: what is farther from the mark stays in the book."""
    desk = open_venue({"futures_band_e6": 50_000})
    other, step = ("sell", 1) if side == "buy" else ("buy", -1)
    desk.must("maker", f"place side={other} lots=3 price_ticks={32_000 + step}")
    desk.must("stranger", f"place side={other} lots=3 price_ticks={edge - step}")

    told = tell(desk, "taker", f"place flags=market time_in_force=ioc side={side} lots=9 price_ticks=0")

    assert [
        f"FILL 3 of 1: 3@{32_000 + step}",
        f"FILL 3 of 2: 3@{edge - step}",
        f"CANCELLED 3: 3@{edge} IOC_REMAINDER",
    ] == told


@pytest.mark.parametrize(("side", "edge", "step"), [("buy", 33_600, 1), ("sell", 30_400, -1)])
def test_a_limit_beyond_the_band_is_refused(side: str, edge: int, step: int) -> None:
    """A limit at the edge passes, and one tick beyond it does not, however the book looks."""
    desk = open_venue({"futures_band_e6": 50_000})
    assert "PRICE_OUTSIDE_BAND" == refuse(desk, "taker", f"place side={side} price_ticks={edge + step}")
    assert [f"REST 1: 1@{edge}"] == tell(desk, "taker", f"place side={side} price_ticks={edge}")
    assert [f"REST 2: 1@{64_000 - edge}"] == tell(
        desk, "taker", f"place side={side} price_ticks={64_000 - edge}"
    )


def test_a_fill_sets_the_last_price(venue: Desk) -> None:
    """The instrument's last price is that of the last fill, not of the taker's limit."""
    venue.must("maker", "place side=sell price_ticks=32_001", "place side=sell price_ticks=32_003")
    venue.must("taker", "place lots=2 price_ticks=32_010")
    assert 32_003 == venue.engine.world.instruments[0]["last_ticks"]


# Self-trade [MATCH-5]


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        ("0", ["CANCELLED 3: 5@32000 SELF_TRADE"]),
        ("cancel_maker", ["CANCELLED 1: 2@32000 SELF_TRADE", "FILL 3 of 2: 3@32000", "REST 3: 2@32000"]),
        ("cancel_both", ["CANCELLED 1: 2@32000 SELF_TRADE", "CANCELLED 3: 5@32000 SELF_TRADE"]),
    ],
)
def test_an_order_never_trades_with_its_own_account(venue: Desk, flags: str, told: list[str]) -> None:
    """Meeting its own order ends the taker, the maker or both, as the taker says."""
    venue.must("taker", "place side=sell lots=2 price_ticks=32_000")
    venue.must("maker", "place side=sell lots=3 price_ticks=32_000")
    assert told == tell(venue, "taker", f"place lots=5 price_ticks=32_000 flags={flags}")


def test_an_own_maker_may_hold_the_only_position_record(venue: Desk) -> None:
    """Ending the own order frees its position record, and the match goes on with another."""
    venue.must(
        "taker", "place side=sell lots=2 price_ticks=32_000", "place side=sell lots=2 price_ticks=32_000"
    )
    venue.must("maker", "place side=sell lots=3 price_ticks=32_000")
    venue.must("taker", "place lots=5 price_ticks=32_000 flags=cancel_maker")
    assert 3 == find_lots(venue, "taker")


# Reduce-only [ORDER-3] [MARGIN-12]


def test_a_reduce_only_order_is_cut_to_the_position(venue: Desk) -> None:
    """It sells no more than is held, and nothing against no position or one of its own direction."""
    venue.must("maker", "place side=sell lots=4 price_ticks=32_000")
    venue.must("taker", "place lots=4 price_ticks=32_000")
    assert ["REST 3: 4@32100"] == tell(
        venue, "taker", "place side=sell lots=9 price_ticks=32_100 flags=reduce_only"
    )
    assert "REDUCE_ONLY_WOULD_INCREASE" == refuse(
        venue, "taker", "place flags=reduce_only price_ticks=31_000"
    )
    assert "REDUCE_ONLY_WOULD_INCREASE" == refuse(
        venue, "stranger", "place flags=reduce_only price_ticks=31_000"
    )


def test_a_reduce_only_maker_never_opens_a_position(venue: Desk) -> None:
    """In the book it is filled up to what is held at that time; the rest ends when it is met again."""
    venue.must("maker", "place side=sell lots=4 price_ticks=32_000")
    venue.must("taker", "place lots=4 price_ticks=32_000")
    venue.must("taker", "place side=sell lots=4 price_ticks=32_100 flags=reduce_only")
    venue.must("maker", "place side=sell lots=9 price_ticks=32_100", "place lots=3 price_ticks=31_000")
    venue.must("taker", "place side=sell lots=3 price_ticks=31_000")

    assert [
        "FILL 7 of 3: 1@32100",
        "CANCELLED 3: 3@32100 REDUCE_ONLY",
        "FILL 7 of 4: 6@32100",
    ] == tell(venue, "stranger", "place lots=7 price_ticks=32_100")
    assert 0 == find_lots(venue, "taker")


def test_a_reduce_only_order_passes_where_margin_is_missing(venue: Desk) -> None:
    """Whoever owes margin may always close, and may not do the same without saying so."""
    venue.must("maker", "place side=sell lots=60_000 price_ticks=32_000")
    venue.must("taker", "place lots=60_000 price_ticks=32_000")
    venue.must("stranger", "place lots=10 price_ticks=30_400")
    move_index(venue, 76_000)
    assert "INITIAL_MARGIN_INSUFFICIENT" == refuse(
        venue, "taker", "place side=sell lots=1 price_ticks=30_401"
    )
    assert ["FILL 4 of 3: 10@30400", "REST 4: 10@30400"] == tell(
        venue, "taker", "place side=sell lots=20 price_ticks=30_400 flags=reduce_only"
    )


# Fill or kill [MATCH-10]


def test_fill_or_kill_fills_all_or_nothing(venue: Desk) -> None:
    """It counts hidden lots and every price up to its own, and one lot too many refuses it whole."""
    venue.must("maker", "place side=sell lots=20 display_lots=5 price_ticks=32_000")
    venue.must(
        "stranger", "place side=sell lots=3 price_ticks=32_001", "place side=sell lots=9 price_ticks=32_002"
    )
    line = "place time_in_force=fok price_ticks=32_001"
    assert "FILL_OR_KILL_UNFILLABLE" == refuse(venue, "taker", f"{line} lots=24")
    told = tell(venue, "taker", f"{line} lots=23")
    assert "FILL 4 of 2: 3@32001" == told[-1]
    assert 23 == find_lots(venue, "taker")


@pytest.mark.parametrize(
    ("own", "other", "flags", "lots"),
    [
        ("side=sell lots=5 price_ticks=31_999", "", "0", 0),
        ("side=sell lots=5 price_ticks=31_999", "", "cancel_both", 0),
        ("side=sell lots=5 price_ticks=31_999", "", "cancel_maker", 4),
        ("side=buy lots=1 price_ticks=1", "link=3", "0", 0),
    ],
)
def test_fill_or_kill_counts_only_what_is_certain(
    venue: Desk, own: str, other: str, flags: str, lots: int
) -> None:
    """Its own order stops it unless that gives way, and a linked order may vanish before it is met."""
    venue.must("taker", f"place {own}")
    venue.must("maker", f"place side=sell lots=4 price_ticks=32_000 {other}")
    line = f"place time_in_force=fok price_ticks=32_000 lots=4 flags={flags}"
    if lots == 0:
        assert "FILL_OR_KILL_UNFILLABLE" == refuse(venue, "taker", line)
    else:
        assert "FILL 3 of 2: 4@32000" == tell(venue, "taker", line)[-1]
    assert lots == find_lots(venue, "taker")


def test_fill_or_kill_sees_the_last_tick_of_the_book(venue: Desk) -> None:
    """An offer at the last tick ends the walk; there is no price behind it."""
    venue.must("maker", "place side=sell lots=2 price_ticks=PRICE_TICKS_MAX")
    line = "place time_in_force=fok flags=market price_ticks=0"
    assert "FILL_OR_KILL_UNFILLABLE" == refuse(venue, "taker", f"{line} lots=3")
    assert ["FILL 2 of 1: 2@262143"] == tell(venue, "taker", f"{line} lots=2")


# Icebergs [ICEBERG-1]


def test_an_iceberg_shows_a_slice_at_a_time(venue: Desk) -> None:
    """Each new slice goes to the end of its level, so that others who wait there come first."""
    assert ["REST 1: 4/10@32000"] == tell(
        venue, "maker", "place side=sell lots=10 display_lots=4 price_ticks=32_000"
    )
    venue.must("stranger", "place side=sell lots=5 price_ticks=32_000")
    assert [
        "FILL 3 of 1: 4@32000",
        "REFRESHED 1: 4/6@32000",
        "FILL 3 of 2: 5@32000",
        "FILL 3 of 1: 4@32000",
        "REFRESHED 1: 2@32000",
        "FILL 3 of 1: 1@32000",
    ] == tell(venue, "taker", "place lots=14 price_ticks=32_000")
    assert (1, 1) == tuple(read_order(venue, 1)[name] for name in ("lots", "visible_lots"))


def test_an_iceberg_that_is_cut_loses_hidden_lots_first(venue: Desk) -> None:
    """On a REPLACE that keeps its place the visible lots are what they were, or all that is left."""
    venue.must("maker", "place side=sell lots=20 display_lots=8 price_ticks=32_000")
    venue.must("taker", "place lots=3 price_ticks=32_000")
    line = "replace order_id=1 price_ticks=32_000"
    assert ["REDUCED 1: 5/9@32000"] == tell(venue, "maker", f"{line} lots=9")
    assert "ORDER_INVALID" == refuse(venue, "maker", f"{line} lots=81")
    assert ["CANCELLED 1: 5/9@32000 REPLACED", "REST 1: 8/10@32000"] == tell(
        venue, "maker", f"{line} lots=10"
    )


def test_fill_or_kill_does_not_count_slices_behind_an_own_order(venue: Desk) -> None:
    """An iceberg's next slice would queue behind the taker's own order, so only what it shows is sure."""
    venue.must("maker", "place side=sell lots=10 display_lots=2 price_ticks=32_000")
    venue.must("taker", "place side=sell lots=1 price_ticks=32_000")
    line = "place price_ticks=32_000 time_in_force=fok"
    assert "FILL_OR_KILL_UNFILLABLE" == refuse(venue, "taker", f"{line} lots=3")
    assert ["FILL 3 of 1: 2@32000", "REFRESHED 1: 2/8@32000"] == tell(venue, "taker", f"{line} lots=2")
    told = tell(venue, "taker", f"{line} lots=8 flags=cancel_maker")
    assert "CANCELLED 2: 1@32000 SELF_TRADE" == told[0]
    assert 4 == sum(entry.startswith("FILL") for entry in told)


# Replacing [MATCH-8]


def test_a_smaller_order_keeps_its_place(venue: Desk) -> None:
    """A new price or a larger size goes to the end of the level under the old id."""
    venue.must("maker", "place side=sell lots=5 price_ticks=32_000")
    venue.must("stranger", "place side=sell lots=5 price_ticks=32_000")
    assert ["REDUCED 1: 4@32000"] == tell(venue, "maker", "replace order_id=1 lots=4 price_ticks=32_000")
    assert ["FILL 3 of 1: 1@32000"] == tell(venue, "taker", "place price_ticks=32_000")
    venue.must("maker", "replace order_id=1 lots=4 price_ticks=32_000")
    assert ["FILL 4 of 2: 1@32000"] == tell(venue, "taker", "place price_ticks=32_000")


def test_a_refused_replacement_leaves_the_order_as_it_was(venue: Desk) -> None:
    """Place, size and margin are untouched by a REPLACE that may not happen."""
    venue.must("maker", "place side=sell lots=5 price_ticks=32_001 time_in_force=post_only")
    venue.must("taker", "place lots=5 price_ticks=31_999")
    tables = [venue.engine.world.effects.copy(), venue.engine.world.portfolios.copy()]
    order = read_order(venue, 1)

    assert "POST_ONLY_WOULD_CROSS" == refuse(venue, "maker", "replace order_id=1 lots=5 price_ticks=31_999")
    assert "GROSS_LIMIT" != refuse(venue, "maker", "replace order_id=1 lots=1_000_000 price_ticks=32_001")

    assert order == read_order(venue, 1)
    assert (tables[0] == venue.engine.world.effects).all()
    assert (tables[1] == venue.engine.world.portfolios).all()


def test_a_replaced_order_takes_what_it_crosses(venue: Desk) -> None:
    """The new price meets the book like a new order's, and the rest joins it again."""
    venue.must("maker", "place side=sell lots=2 price_ticks=32_000")
    venue.must("taker", "place lots=5 price_ticks=31_000")
    assert ["CANCELLED 2: 5@31000 REPLACED", "FILL 2 of 1: 2@32000", "REST 2: 4@32000"] == tell(
        venue, "taker", "replace order_id=2 lots=6 price_ticks=32_000"
    )


# Ending by label, clock and connection [MATCH-7] [GTD-1] [TIMER-1] [TIMER-2]


def test_orders_end_by_label_and_instrument_in_order(venue: Desk) -> None:
    """Open orders come before waiting ones, each in the order of their numbers."""
    venue.must(
        "maker", "place_trigger label=7 price_ticks=5", "place label=7", "place label=8", "place label=7"
    )
    venue.must("maker", f"place label=7 {CALL} price_ticks=600", "place label=7 price_ticks=2")
    venue.must("maker", "replace order_id=2 lots=2 price_ticks=3")

    assert ["CANCELLED 5: 1@600 USER"] == tell(venue, "maker", f"cancel_all label=7 {CALL}")
    assert [
        "CANCELLED 2: 2@3 USER",
        "CANCELLED 4: 1@1 USER",
        "CANCELLED 6: 1@2 USER",
        "CANCELLED 1: 1@5 USER",
    ] == tell(venue, "maker", "cancel_all label=7")
    assert ["CANCELLED 3: 1@1 USER"] == tell(venue, "maker", "cancel_all")


def test_an_order_ends_at_its_date(venue: Desk) -> None:
    """The first TICK at its last nanosecond ends it, and not one before; slots do not decide who is first."""
    for count in range(3):
        venue.must("maker", *["place price_ticks=5"] * 3, f"cancel order_id={4 * count + 2}")
        venue.must("maker", "place valid_until_ns=now+5*second")
    venue.must("taker", "place_trigger valid_until_ns=now+5*second")
    assert [] == tell(venue, "oracle", "tick time_ns=now+5*second-1")
    assert [
        *[f"CANCELLED {order_id}: 1@1 GOOD_TILL_DATE" for order_id in (4, 8, 12, 13)],
    ] == tell(venue, "oracle", "tick after=5")


def test_a_dead_man_leaves_nothing_behind(venue: Desk) -> None:
    """All orders end when the account has been silent too long; saying it again puts that off."""
    venue.must("maker", "place", "place_trigger", "protect timeout_ns=5*second")
    venue.must("taker", "place")
    venue.must("maker", "protect after=4 timeout_ns=5*second")
    assert [] == tell(venue, "oracle", "tick after=4")
    assert ["CANCELLED 1: 1@1 DEAD_MAN", "CANCELLED 2: 1@1 DEAD_MAN"] == tell(venue, "oracle", "tick after=1")
    venue.must("maker", "place")
    assert [] == tell(venue, "oracle", "tick after=9")


def test_a_lost_connection_ends_only_the_orders_of_who_asked(venue: Desk) -> None:
    """DISCONNECT touches one account, again each time, and nobody who did not ask for it."""
    venue.must("maker", "protect cancel_on_disconnect=1", "place")
    venue.must("taker", "place")
    assert ["CANCELLED 1: 1@1 DISCONNECTED"] == tell(venue, "oracle", "disconnect target=0")
    assert 0 == venue.events[0]["account"]
    assert "DISCONNECT_NOT_ENABLED" == refuse(venue, "oracle", "disconnect target=1")
    assert -1 == venue.events[0]["account"]
    venue.must("maker", "protect")
    assert "DISCONNECT_NOT_ENABLED" == refuse(venue, "oracle", "disconnect target=0")


# Links [LINK-1]


def test_one_of_linked_orders_cancels_the_others(venue: Desk) -> None:
    """A fill of any size is enough, the filled order stays, and other links and accounts are not touched."""
    venue.must("maker", "place side=sell lots=5 price_ticks=32_000 link=1", "place price_ticks=9 link=2")
    venue.must(
        "maker",
        "place price_ticks=31_000 link=1",
        "place_trigger link=1",
        f"place {CALL} link=1 price_ticks=7",
    )
    venue.must("stranger", "place link=1")
    assert [
        "FILL 7 of 1: 1@32000",
        "CANCELLED 3: 1@31000 LINKED",
        "CANCELLED 5: 1@7 LINKED",
        "CANCELLED 4: 1@1 LINKED",
    ] == tell(venue, "taker", "place price_ticks=32_000")
    assert 4 == read_order(venue, 1)["lots"]


def test_a_taker_s_link_counts_as_well(venue: Desk) -> None:
    """A linked order that closes a position may end the order that shares its position record."""
    venue.must("maker", "place side=sell lots=2 price_ticks=32_000", "place lots=2 price_ticks=31_900")
    venue.must("maker", "place lots=2 price_ticks=31_800")
    venue.must("taker", "place lots=2 price_ticks=32_000", "place side=sell lots=2 price_ticks=33_000 link=4")
    assert [
        "FILL 6 of 2: 2@31900",
        "CANCELLED 5: 2@33000 LINKED",
        "FILL 6 of 3: 2@31800",
        "REST 6: 1@31800",
    ] == tell(venue, "taker", "place side=sell lots=5 price_ticks=31_800 link=4")
    assert -2 == find_lots(venue, "taker")
