"""Orders that wait for a price or a parent: when they fire, what they end, and what ends them."""

import pytest

from novate.protocol.generated.codes import Code
from tests.execution.scenes import describe, find_lots, move_index, open_venue, read_order, tell
from tests.law.desk import Desk

CALL = "instrument=btc_call_80000"
# A child without a price to wait for, and one that waits for the index to fall to 79_000 USDC.
CHILD = "place_trigger reference=by_none trigger_atoms=0"
STOP = "place_trigger condition=below trigger_atoms=79_000*usdc"


@pytest.fixture
def venue() -> Desk:
    """A venue of its own for each scene."""
    return open_venue()


# References and thresholds [TRIG-2] [TRIG-3]


@pytest.mark.parametrize(
    ("condition", "threshold", "quiet", "loud"),
    [("above", 80_500, 80_499, 80_500), ("below", 79_500, 79_501, 79_500)],
)
def test_an_order_fires_at_its_threshold(
    venue: Desk, condition: str, threshold: int, quiet: int, loud: int
) -> None:
    """The threshold itself is enough, one dollar before it is not, and only a TICK looks."""
    line = f"place_trigger condition={condition} trigger_atoms={threshold}*usdc lots=2 price_ticks=5"
    assert [f"WAITING 1: 2@5 at {threshold}000000"] == tell(venue, "maker", line)
    assert [] == move_index(venue, quiet)
    venue.must("oracle", f"index after=1 index_atoms={loud}*usdc")
    venue.must("maker", "place")
    assert ["TRIGGERED 1", "REST 1: 2@5"] == [
        line for line in tell(venue, "oracle", "tick") if line != "MARKED"
    ]


def test_mark_and_last_are_prices_of_a_lot(venue: Desk) -> None:
    """MARK and LAST are atoms of one lot of the instrument; LAST has no price before the first fill."""
    venue.must(
        "maker", "place_trigger reference=by_mark trigger_atoms=81*usdc"
    )  # 81_000 USDC for 1_000 lots.
    venue.must("maker", "place_trigger reference=by_last condition=below trigger_atoms=79*usdc")
    assert ["TRIGGERED 1", "REST 1: 1@1"] == move_index(venue, 81_000)
    venue.must("maker", "place side=sell price_ticks=31_601")
    venue.must("taker", "place price_ticks=31_601")
    assert [] == tell(venue, "oracle", "tick")  # 31_601 ticks are 79.0025 USDC.
    venue.must("stranger", "place price_ticks=31_600")
    venue.must("taker", "place side=sell price_ticks=31_600")
    assert ["TRIGGERED 2", "REST 2: 1@1"] == tell(venue, "oracle", "tick")


def test_a_stale_index_fires_nothing(venue: Desk) -> None:
    """Without a recent index there is no INDEX and no MARK; LAST goes on, and its order is refused."""
    venue.must("maker", "place side=sell price_ticks=32_000")
    venue.must("taker", "place price_ticks=32_000")
    for reference in ("by_index", "by_mark", "by_last"):
        venue.must("maker", f"place_trigger reference={reference} trigger_atoms=1")
    assert ["TRIGGERED 5", "CANCELLED 5: 1@1 TRIGGER_REJECTED MARK_STALE"] == tell(
        venue, "oracle", "tick after=61"
    )
    assert ["TRIGGERED 3", "REST 3: 1@1", "TRIGGERED 4", "REST 4: 1@1"] == move_index(venue, 80_000)


@pytest.mark.parametrize(
    ("condition", "path", "extreme"),
    [
        ("below", (82_000, 81_001, 83_000, 82_001), 83_000),
        ("above", (78_000, 78_999, 77_000, 77_999), 77_000),
    ],
)
def test_a_trailing_order_follows_the_best_price(
    venue: Desk, condition: str, path: tuple[int, ...], extreme: int
) -> None:
    """A trail of 1_000 USDC behind the best index since it was placed; one dollar less does not fire it."""
    line = f"place_trigger condition={condition} trigger_atoms=0 trail_atoms=1_000*usdc"
    assert ["WAITING 1: 1@1 at 80000000000"] == tell(venue, "maker", line)
    for usdc in path:
        assert [] == move_index(venue, usdc)
    assert extreme * 10**6 == read_order(venue, 1)["trigger_atoms"]
    last = path[-1] + (1 if condition == "above" else -1)
    assert ["TRIGGERED 1", "REST 1: 1@1"] == move_index(venue, last)


def test_a_trail_with_a_parent_starts_when_the_parent_is_filled(venue: Desk) -> None:
    """Its best price is not known while it is dormant, and then that of the next TICK."""
    venue.must("maker", "place side=sell price_ticks=32_000")
    line = "place_trigger condition=below parent_id=1 trigger_atoms=0 trail_atoms=1_000*usdc"
    assert ["WAITING 2: 1@1 at 0"] == tell(venue, "maker", line)
    assert [] == move_index(venue, 90_000)
    assert 0 == read_order(venue, 2)["trigger_atoms"]
    venue.must("taker", "place price_ticks=32_000")
    assert [] == move_index(venue, 85_000)
    assert 85_000 * 10**6 == read_order(venue, 2)["trigger_atoms"]
    assert ["TRIGGERED 2", "REST 2: 1@1"] == move_index(venue, 84_000)


# Firing [TRIG-4]


def test_a_fired_order_is_judged_like_a_new_one(venue: Desk) -> None:
    """It takes, rests and is refused as a PLACE would be, with its own price in what is told."""
    venue.must("stranger", "place lots=2 price_ticks=31_000")
    venue.must("maker", f"{STOP} side=sell lots=3 flags=market time_in_force=ioc price_ticks=0")
    venue.must("maker", f"{STOP} side=sell flags=reduce_only lots=7 price_ticks=33_000")
    venue.must("maker", f"{STOP} time_in_force=post_only price_ticks=33_000")
    venue.must("maker", f"{STOP} {CALL} flags=volatility price_ticks=50_000 side=sell")
    venue.must("taker", f"{STOP} flags=reduce_only price_ticks=7")
    edge = 1  # The band of the perpetual is wider than its price.
    told = move_index(venue, 79_000)
    assert [
        "TRIGGERED 2",
        "FILL 2 of 1: 2@31000",
        f"CANCELLED 2: 1@{edge} IOC_REMAINDER",
        "TRIGGERED 3",
        "CANCELLED 3: 7@33000 TRIGGER_REJECTED REDUCE_ONLY_WOULD_INCREASE",
        "TRIGGERED 4",
        "REST 4: 1@33000",
        "TRIGGERED 5",
        f"REST 5: 1@{read_order(venue, 5)['price_ticks']}",
        "TRIGGERED 6",
        "CANCELLED 6: 1@7 TRIGGER_REJECTED REDUCE_ONLY_WOULD_INCREASE",
    ] == told


def test_an_order_past_its_instrument_s_last_trade_is_refused(venue: Desk) -> None:
    """A child in an option that has expired, but was not settled yet, does not get into the book."""
    venue.must("maker", "place side=sell price_ticks=32_000", f"{CHILD} parent_id=1 {CALL}")
    venue.must("oracle", "index after=2_591_999 observed_ns=now")
    venue.must("taker", "place after=1 price_ticks=32_000")
    assert ["TRIGGERED 2", "CANCELLED 2: 1@1 TRIGGER_REJECTED INSTRUMENT_CLOSED"] == [
        describe(venue, event) for event in venue.events[2:]
    ]


def test_orders_fire_in_the_order_of_their_numbers(venue: Desk) -> None:
    """Slots do not decide: a later order in an earlier slot comes later. The freed slot is the next one."""
    venue.must("maker", *[STOP] * 3, "cancel order_id=1", STOP)
    assert 4 == venue.engine.world.waiting[0]["order_id"]
    assert ["TRIGGERED 2", "REST 2: 1@1", "TRIGGERED 3", "REST 3: 1@1", "TRIGGERED 4", "REST 4: 1@1"] == (
        move_index(venue, 79_000)
    )
    venue.must("maker", STOP)
    assert 5 == venue.engine.world.waiting[0]["order_id"]


def test_what_a_fired_order_arms_waits_for_the_next_tick(venue: Desk) -> None:
    """Only orders that were armed when the phase began look at the price; ready ones come after the phase."""
    venue.must("stranger", "place side=sell price_ticks=31_000")
    venue.must("maker", f"{STOP} price_ticks=31_000")
    venue.must("maker", f"{STOP} parent_id=2", f"{CHILD} parent_id=2 price_ticks=2", STOP)
    assert [
        "TRIGGERED 2",
        "FILL 2 of 1: 1@31000",
        "TRIGGERED 5",
        "REST 5: 1@1",
        "TRIGGERED 4",
        "REST 4: 1@2",
    ] == move_index(venue, 79_000)
    assert ["TRIGGERED 3", "REST 3: 1@1"] == tell(venue, "oracle", "tick")


# Links and parents [LINK-1] [LINK-2] [TRIG-5]


def test_a_fired_order_ends_the_orders_it_is_linked_with(venue: Desk) -> None:
    """Firing is enough, even if the order is then refused, and comes before it is judged."""
    venue.must("maker", "place link=5", f"{STOP} link=5 flags=reduce_only", "place_trigger link=5")
    assert [
        "TRIGGERED 2",
        "CANCELLED 1: 1@1 LINKED",
        "CANCELLED 3: 1@1 LINKED",
        "CANCELLED 2: 1@1 TRIGGER_REJECTED REDUCE_ONLY_WOULD_INCREASE",
    ] == move_index(venue, 79_000)


def test_a_bracket_protects_an_entry(venue: Desk) -> None:
    """One order and two that wait for it: filled completely, not in part, it arms a target and a stop, and
    the first to fire ends the other.
    """
    venue.must("maker", "place lots=4 price_ticks=32_000")
    exits = "side=sell lots=4 flags=reduce_only link=1 parent_id=1"
    venue.must("maker", f"place_trigger {exits} trigger_atoms=82_000*usdc price_ticks=32_800")
    venue.must("maker", f"{STOP} {exits} price_ticks=31_000")
    assert ["FILL 4 of 1: 1@32000"] == tell(venue, "taker", "place side=sell price_ticks=32_000")
    assert [] == move_index(venue, 82_000)
    venue.must("taker", "place side=sell lots=3 price_ticks=32_000")
    assert ["TRIGGERED 2", "CANCELLED 3: 4@31000 LINKED", "REST 2: 4@32800"] == move_index(venue, 82_000)


def test_a_ready_order_rests_beside_the_stop_it_is_linked_with(venue: Desk) -> None:
    """A child with nothing to wait for but its parent joins the book when that is filled; its own fill then
    ends the linked stop.
    """
    venue.must("maker", "place lots=4 price_ticks=32_000")
    exits = "side=sell lots=4 flags=reduce_only link=1 parent_id=1"
    venue.must("maker", f"{CHILD} {exits} price_ticks=33_000", f"{STOP} {exits} price_ticks=31_000")
    assert ["FILL 4 of 1: 4@32000", "TRIGGERED 2", "REST 2: 4@33000"] == tell(
        venue, "taker", "place side=sell lots=4 price_ticks=32_000"
    )
    assert ["FILL 5 of 2: 1@33000", "CANCELLED 3: 4@31000 LINKED"] == tell(
        venue, "taker", "place price_ticks=33_000"
    )


def test_market_exits_of_a_link_end_each_other(venue: Desk) -> None:
    """Stop and target may both be market orders: when one fires, the other is over."""
    venue.must("maker", "place lots=4 price_ticks=32_000")
    venue.must("taker", "place side=sell lots=4 price_ticks=32_000", "place lots=9 price_ticks=31_500")
    exits = "side=sell lots=4 flags=market+reduce_only time_in_force=ioc price_ticks=0 link=1"
    venue.must("maker", f"place_trigger trigger_atoms=82_000*usdc {exits}", f"{STOP} {exits}")
    assert ["TRIGGERED 5", "CANCELLED 4: 4@0 LINKED", "FILL 5 of 3: 4@31500"] == move_index(venue, 78_900)


def test_market_exits_need_no_link(venue: Desk) -> None:
    """Two orders that only reduce stand for one position: when one has closed it, the other does nothing."""
    venue.must("maker", "place lots=4 price_ticks=32_000")
    exits = "side=sell lots=4 flags=market+reduce_only time_in_force=ioc price_ticks=0"
    venue.must("maker", f"place_trigger parent_id=1 trigger_atoms=82_000*usdc {exits}")
    venue.must("maker", f"{STOP} parent_id=1 {exits}")
    venue.must("taker", "place side=sell lots=4 price_ticks=32_000", "place lots=9 price_ticks=31_500")
    assert ["TRIGGERED 3", "FILL 3 of 5: 4@31500"] == move_index(venue, 78_900)
    assert 0 == find_lots(venue, "maker")
    assert ["TRIGGERED 2", "CANCELLED 2: 4@0 TRIGGER_REJECTED REDUCE_ONLY_WOULD_INCREASE"] == (
        move_index(venue, 82_000)
    )


def test_the_end_of_a_parent_ends_its_descendants(venue: Desk) -> None:
    """Each child is followed by its own children, and siblings keep the order of their numbers."""
    venue.must("maker", "place", *[f"{CHILD} parent_id={parent}" for parent in (1, 1, 2, 3, 2, 4, 7)])
    venue.must("maker", "place", f"{CHILD} parent_id=9")
    assert [
        "CANCELLED 1: 1@1 USER",
        *[f"CANCELLED {order_id}: 1@1 PARENT_ENDED" for order_id in (2, 4, 7, 8, 6, 3, 5)],
    ] == tell(venue, "maker", "cancel order_id=1")
    assert 1 == venue.engine.world.accounts[0]["waiting_count"]


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("cancel order_id=2", ["CANCELLED 2: 1@1 USER", "CANCELLED 3: 1@1 PARENT_ENDED"]),
        (
            "cancel_all",
            ["CANCELLED 1: 1@1 USER", "CANCELLED 2: 1@1 PARENT_ENDED", "CANCELLED 3: 1@1 PARENT_ENDED"],
        ),
        ("cancel_all label=6", ["CANCELLED 3: 1@1 USER"]),
        ("replace order_id=1 price_ticks=9", ["CANCELLED 1: 1@1 REPLACED", "REST 1: 1@9"]),
    ],
)
def test_what_ends_a_parent_and_what_does_not(venue: Desk, line: str, told: list[str]) -> None:
    """Any end with lots left takes the children along; a REPLACE is no end, and a child's end spares it."""
    venue.must("maker", "place", f"{CHILD} parent_id=1", f"{CHILD} parent_id=2 label=6")
    assert told == tell(venue, "maker", line)


def test_a_taker_s_children_follow_its_own_end(venue: Desk) -> None:
    """A fired order that is filled in part and ends takes its children along; filled whole, it arms them."""
    venue.must("stranger", "place side=sell lots=3 price_ticks=31_000")
    venue.must("maker", f"{STOP} price_ticks=31_000 time_in_force=ioc lots=2", f"{CHILD} parent_id=2")
    venue.must("maker", f"{STOP} price_ticks=31_000 time_in_force=ioc lots=2", f"{CHILD} parent_id=4")
    assert [
        "TRIGGERED 2",
        "FILL 2 of 1: 2@31000",
        "TRIGGERED 4",
        "FILL 4 of 1: 1@31000",
        "CANCELLED 4: 1@31000 IOC_REMAINDER",
        "CANCELLED 5: 1@1 PARENT_ENDED",
        "TRIGGERED 3",
        "REST 3: 1@1",
    ] == move_index(venue, 79_000)


def test_ready_orders_fire_lowest_first_until_none_is_left(venue: Desk) -> None:
    """A ready order that is filled at once makes its own child ready, which may come before the next."""
    venue.must("stranger", "place side=sell lots=9 price_ticks=32_000")
    venue.must("maker", "place lots=1 price_ticks=31_000")
    venue.must("maker", f"{CHILD} parent_id=2 price_ticks=32_000", f"{CHILD} parent_id=3 price_ticks=3")
    venue.must("maker", f"{CHILD} parent_id=2 price_ticks=2")
    assert [
        "FILL 6 of 2: 1@31000",
        "TRIGGERED 3",
        "FILL 3 of 1: 1@32000",
        "TRIGGERED 4",
        "REST 4: 1@3",
        "TRIGGERED 5",
        "REST 5: 1@2",
    ] == tell(venue, "taker", "place side=sell price_ticks=31_000")


# Limits and other ends


def test_an_account_has_a_limit_of_waiting_orders(venue: Desk) -> None:
    """The 257th waiting order is refused, and a cancelled one makes room again."""
    venue.must("maker", *["place_trigger"] * 256)
    assert Code.TRIGGER_TABLE_FULL == venue.say("maker", "place_trigger")
    venue.must("maker", "cancel order_id=9", "place_trigger")


def test_waiting_orders_end_with_their_instrument(venue: Desk) -> None:
    """At expiry open orders end first, then those that wait in the instrument; others stay."""
    venue.must("maker", f"{STOP} {CALL}", f"place {CALL}", STOP, f"{STOP} {CALL}")
    venue.must("oracle", "index after=2_591_999 observed_ns=now")
    told = tell(venue, "oracle", "tick after=2")
    assert [
        "CANCELLED 2: 1@1 INSTRUMENT_EXPIRED",
        "CANCELLED 1: 1@1 INSTRUMENT_EXPIRED",
        "CANCELLED 4: 1@1 INSTRUMENT_EXPIRED",
    ] == told[:3]
    assert {} != read_order(venue, 3)


def test_a_waiting_order_belongs_to_its_account(venue: Desk) -> None:
    """Nobody else cancels it, or hangs an order of their own on it."""
    venue.must("maker", STOP)
    assert Code.ORDER_NOT_OWNED == venue.say("taker", "cancel order_id=1")
    assert Code.ORDER_NOT_OWNED == venue.say("taker", f"{CHILD} parent_id=1")
    assert Code.ORDER_NOT_FOUND == venue.say("maker", "replace order_id=1")
    assert ["CANCELLED 1: 1@1 USER"] == tell(venue, "maker", "cancel order_id=1")
