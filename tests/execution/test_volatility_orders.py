"""Orders that quote a volatility [IV-1] [IV-2]: their price in ticks follows the marks."""

import pytest

from tests.execution.scenes import describe, move_index, open_venue, read_order, refuse, tell
from tests.law.desk import Desk

CALL = "instrument=btc_call_80000"


@pytest.fixture
def venue() -> Desk:
    """A venue of its own for each scene."""
    return open_venue()


def find_ticks(desk: Desk, order_id: int) -> int:
    """The effective price of an open order."""
    return read_order(desk, order_id)["price_ticks"]


def test_a_volatility_order_follows_the_index(venue: Desk) -> None:
    """Its price in ticks is found again at each mark, under the same id, and stays when it is the same."""
    venue.must("maker", f"place {CALL} flags=volatility price_ticks=3_000")
    before = find_ticks(venue, 1)
    assert [] == tell(venue, "oracle", "tick")
    told = move_index(venue, 81_000)
    after = find_ticks(venue, 1)
    assert after > before
    assert [f"CANCELLED 1: 1@{before} REPLACED", f"REST 1: 1@{after}"] == told
    assert 3_000 == read_order(venue, 1)["volatility_bp"]


def test_volatility_is_rounded_against_the_order(venue: Desk) -> None:
    """A buy and a sell at one volatility are a tick apart, with the option's value between them."""
    venue.must("maker", f"place {CALL} flags=volatility price_ticks=3_000")
    venue.must("stranger", f"place {CALL} flags=volatility price_ticks=3_000 side=sell")
    assert 1 == find_ticks(venue, 2) - find_ticks(venue, 1)


def test_a_volatility_order_may_take_or_end_as_it_moves(venue: Desk) -> None:
    """Moved to where others wait it trades; one that may only join the book ends instead, and says why."""
    venue.must("maker", f"place {CALL} flags=volatility price_ticks=3_000 lots=3")
    venue.must("taker", f"place {CALL} flags=volatility price_ticks=3_000 time_in_force=post_only")
    first = find_ticks(venue, 1)
    venue.must("stranger", f"place {CALL} side=sell lots=2 price_ticks={first + 20}")
    told = move_index(venue, 81_000)
    second = find_ticks(venue, 2)
    assert [
        f"CANCELLED 1: 3@{first} REPLACED",
        f"CANCELLED 2: 1@{first} REPLACED",
        f"FILL 1 of 3: 2@{first + 20}",
        f"REST 1: 1@{second}",
        f"REST 2: 1@{second}",
    ] == told

    venue.must("maker", "cancel order_id=1")
    venue.must("stranger", f"place {CALL} side=sell lots=2 price_ticks={second + 20}")
    told = move_index(venue, 82_000)
    left, refused = told
    assert f"CANCELLED 2: 1@{second} REPLACED" == left
    assert refused.startswith("CANCELLED 2: 1@")
    assert refused.endswith("REPRICE_REJECTED POST_ONLY_WOULD_CROSS")


def test_moved_orders_never_meet_old_prices(venue: Desk) -> None:
    """A bid that moves up comes back only when the ask below its new price has left the book as well."""
    venue.must("maker", f"place {CALL} flags=volatility price_ticks=3_000 lots=2")
    venue.must("stranger", f"place {CALL} flags=volatility price_ticks=3_100 lots=2 side=sell")
    told = move_index(venue, 82_000)
    assert ["CANCELLED", "CANCELLED", "REST", "REST"] == [line.split()[0] for line in told]


def test_a_volatility_order_is_replaced_by_volatility(venue: Desk) -> None:
    """Its price field stays the volatility: unchanged and smaller keeps its place, another moves it."""
    venue.must("maker", f"place {CALL} flags=volatility price_ticks=3_000 lots=3")
    ticks = find_ticks(venue, 1)
    assert [f"REDUCED 1: 2@{ticks}"] == tell(venue, "maker", "replace order_id=1 lots=2 price_ticks=3_000")
    assert "PRICE_ABOVE_MAXIMUM" == refuse(venue, "maker", "replace order_id=1 lots=2 price_ticks=50_001")
    venue.must("maker", "replace order_id=1 lots=2 price_ticks=3_100")
    assert ["CANCELLED", "REST"] == [describe(venue, event).split()[0] for event in venue.events[1:]]
    assert find_ticks(venue, 1) > ticks
