"""The naive model's orders by hand: icebergs, fill-or-kill, links, triggers, timers, volatilities.

Whether the engine agrees with it is another test's matter.
"""

from __future__ import annotations

import math
import statistics

import pytest

from .model import Event
from .records import (
    BUY,
    CODES,
    CONDITIONS,
    FLAGS,
    FOK,
    GTC,
    IOC,
    POST_ONLY,
    REASONS,
    REFERENCES,
    SELL,
)
from .test_markets_self import MAKER, OPTION, PERP, SPOT, TAKER, Desk, found
from .world import SECOND

FAIR = 32_000  # Ticks of 2 500 atoms in 80 USDC, a lot of 0.001 BTC.
ABOVE, BELOW = CONDITIONS["ABOVE"], CONDITIONS["BELOW"]


def wait(desk: Desk, who: str, side: int, lots: int, price_ticks: int, **more: int) -> list[Event]:
    """Send a PLACE_TRIGGER for the perpetual, GTC and armed by the index unless told otherwise."""
    fields = {"instrument": PERP, "side": side, "lots": lots, "price_ticks": price_ticks}
    names = ("flags", "display_lots", "valid_until_ns", "label", "link", "trigger_atoms", "trail_atoms")
    fields |= dict.fromkeys((*names, "parent_id"), 0) | {"time_in_force": GTC, "condition": ABOVE}
    return desk.sign("PLACE_TRIGGER", who, **(fields | {"reference": REFERENCES["INDEX"]} | more))


def tick(desk: Desk, index_atoms: int = SPOT, seconds: int = 1) -> list[Event]:
    """Let time pass, report an index and renew the marks."""
    desk.now += seconds * SECOND
    desk.index(index_atoms)
    return desk.send("TICK", "")


def order_id(events: list[Event]) -> int:
    """The id of an accepted order."""
    assert 0 == events[0]["code"]
    return events[0]["order_id"]


def code(events: list[Event]) -> str:
    """The name of the result code."""
    return next(name for name, number in CODES.items() if number == events[0]["code"])


def ended(events: list[Event]) -> list[tuple[int, str, int]]:
    """Who ended, why and with how many lots."""
    names = {number: name for name, number in REASONS.items()}
    rows = found(events, "CANCELLED", "order_id", "reason", "lots")
    return [(number, names[reason], lots) for number, reason, lots in rows]


def test_an_iceberg_shows_slice_after_slice_at_the_end_of_its_level() -> None:
    """Ten lots by three: the order behind it trades after the first slice; the last slice is smaller."""
    desk = Desk()
    hidden = order_id(desk.place(MAKER, PERP, SELL, 10, FAIR, display_lots=3))
    plain = order_id(desk.place(MAKER, PERP, SELL, 2, FAIR))
    events = desk.place(TAKER, PERP, BUY, 11, FAIR)
    fills = [(hidden, 3), (plain, 2), (hidden, 3), (hidden, 3)]
    assert fills == found(events, "FILL", "maker_order_id", "lots")
    assert [(7, 3), (4, 3), (1, 1)] == found(events, "REFRESHED", "lots", "visible_lots")
    nonce = desk.model.accounts[0].nonce + 1
    change = {"order_id": hidden, "price_ticks": FAIR + 1, "expires_ns": 1 << 62}
    refused = desk.send("REPLACE", MAKER, lots=31, nonce=nonce, **change)
    assert "ORDER_INVALID" == code(refused)  # A display of three shows too little of 31 lots.
    moved = desk.send("REPLACE", MAKER, lots=1, nonce=nonce + 1, **change)
    assert [(1, 1)] == found(moved, "REST", "lots", "visible_lots")


def test_fill_or_kill_counts_hidden_lots_but_no_linked_or_own_ones() -> None:
    """Eight hidden lots count whole; a linked order and, with CANCEL_MAKER, an own one count 0."""
    desk = Desk()
    desk.place(MAKER, PERP, SELL, 8, FAIR, display_lots=1)
    desk.place(MAKER, PERP, SELL, 5, FAIR, link=7)
    own = order_id(desk.place(TAKER, PERP, SELL, 4, FAIR))
    desk.place(MAKER, PERP, SELL, 6, FAIR + 1)
    assert "FILL_OR_KILL_UNFILLABLE" == code(desk.place(TAKER, PERP, BUY, 9, FAIR + 1, time_in_force=FOK))
    flags = FLAGS["CANCEL_MAKER"]
    over = desk.place(TAKER, PERP, BUY, 15, FAIR + 1, time_in_force=FOK, flags=flags)
    assert "FILL_OR_KILL_UNFILLABLE" == code(over)
    events = desk.place(TAKER, PERP, BUY, 14, FAIR + 1, time_in_force=FOK, flags=flags)
    assert 14 == sum(lots for (lots,) in found(events, "FILL", "lots"))
    assert (own, "SELF_TRADE", 4) in ended(events)


def test_meeting_an_own_order_ends_what_the_flags_say() -> None:
    """Without a flag the taker's rest, with CANCEL_MAKER the maker, with CANCEL_BOTH both of them."""
    for flags, expected in ((0, "taker"), (FLAGS["CANCEL_MAKER"], "maker"), (FLAGS["CANCEL_BOTH"], "both")):
        desk = Desk()
        own = order_id(desk.place(TAKER, PERP, SELL, 2, FAIR))
        desk.place(MAKER, PERP, SELL, 1, FAIR)
        events = desk.place(TAKER, PERP, BUY, 3, FAIR, time_in_force=IOC, flags=flags)
        taker = order_id(events)
        outcomes = {
            "taker": [(taker, "SELF_TRADE", 3)],
            "maker": [(own, "SELF_TRADE", 2), (taker, "IOC_REMAINDER", 2)],
            "both": [(own, "SELF_TRADE", 2), (taker, "SELF_TRADE", 3)],
        }
        assert outcomes[expected] == ended(events)


def test_a_reduce_only_order_never_opens() -> None:
    """A taker shrinks to the position; a maker fills no more than that and ends when nothing is left."""
    desk = Desk()
    assert "REDUCE_ONLY_WOULD_INCREASE" == code(desk.place(MAKER, PERP, SELL, 1, FAIR, flags=2))
    desk.place(MAKER, PERP, BUY, 5, FAIR)
    desk.place(TAKER, PERP, SELL, 5, FAIR)
    resting = desk.place(MAKER, PERP, SELL, 9, FAIR + 5, flags=FLAGS["REDUCE_ONLY"])
    assert [(5,)] == found(resting, "REST", "lots")
    desk.place(MAKER, PERP, SELL, 3, FAIR)
    desk.place(TAKER, PERP, BUY, 3, FAIR)
    events = desk.place(TAKER, PERP, BUY, 4, FAIR + 5)
    assert [(2,)] == found(events, "FILL", "lots")
    assert [(order_id(resting), "REDUCE_ONLY", 3)] == ended(events)
    assert 0 not in desk.model.accounts[0].positions


def test_a_market_order_is_priced_at_the_edge_of_the_band() -> None:
    """80 USDC and three per cent: a buy reaches 32 960 ticks, and an order one tick beyond is refused."""
    desk = Desk()
    desk.model.parameters["futures_band_e6"] = 30_000
    far = order_id(desk.place(MAKER, PERP, SELL, 1, 32_960))
    desk.place(MAKER, PERP, SELL, 1, 32_961)
    assert "PRICE_OUTSIDE_BAND" == code(desk.place(TAKER, PERP, BUY, 1, 32_961))
    events = desk.place(TAKER, PERP, BUY, 2, 0, time_in_force=IOC, flags=FLAGS["MARKET"])
    assert [(far, 32_960)] == found(events, "FILL", "maker_order_id", "price_ticks")
    assert [(32_960, 1)] == found(events, "CANCELLED", "price_ticks", "lots")


def test_a_bracket_arms_with_its_parent_and_one_leg_ends_the_other() -> None:
    """Children sleep until the parent's last lot is filled; when the target is filled, the stop is over."""
    desk = Desk()
    parent = order_id(desk.place(MAKER, PERP, BUY, 2, FAIR))
    trigger = {"parent_id": parent, "link": 3}
    stop = order_id(
        wait(desk, MAKER, SELL, 2, FAIR - 90, condition=BELOW, trigger_atoms=SPOT - 10, **trigger)
    )
    target = order_id(wait(desk, MAKER, SELL, 2, FAIR + 50, reference=REFERENCES["NONE"], **trigger))
    grandchild = order_id(wait(desk, MAKER, BUY, 1, 1, reference=REFERENCES["NONE"], parent_id=target))
    assert [] == found(tick(desk, SPOT - 10), "TRIGGERED", "order_id")
    desk.place(TAKER, PERP, SELL, 1, FAIR)
    assert {stop, target, grandchild} == set(desk.model.waiting)
    events = desk.place(TAKER, PERP, SELL, 1, FAIR)
    assert [(target,)] == found(events, "TRIGGERED", "order_id")
    assert [(target, 2)] == found(events, "REST", "order_id", "lots")
    assert [] == ended(events)
    events = desk.place(TAKER, PERP, BUY, 2, FAIR + 50)
    assert [(stop, "LINKED", 2)] == ended(events)
    assert [(grandchild,)] == found(events, "TRIGGERED", "order_id")


def test_the_end_of_a_parent_ends_its_descendants_in_order() -> None:
    """Child, grandchild and the next child end directly after their parents; freed slots are a stack."""
    desk = Desk()
    parent = order_id(desk.place(MAKER, PERP, BUY, 2, FAIR))
    none = {"reference": REFERENCES["NONE"]}
    first = order_id(wait(desk, MAKER, SELL, 1, FAIR, parent_id=parent, **none))
    second = order_id(wait(desk, MAKER, SELL, 2, FAIR, parent_id=parent, **none))
    grand = order_id(wait(desk, MAKER, SELL, 3, FAIR, parent_id=first, **none))
    events = desk.sign("CANCEL", MAKER, order_id=parent)
    chain = [(first, 1), (grand, 3), (second, 2)]
    expected = [(parent, "USER", 2)] + [(number, "PARENT_ENDED", lots) for number, lots in chain]
    assert expected == ended(events)
    assert [1, 2, 0] == desk.model.free_waiting_slots[-3:][::-1]


def test_a_trailing_stop_follows_the_best_price() -> None:
    """A sell 100 USDC behind the index moves up with it and fires at the fall, where it is judged."""
    desk = Desk()
    trail = 100_000_000
    stop = wait(desk, MAKER, SELL, 1, FAIR, condition=BELOW, trail_atoms=trail)
    assert [(SPOT,)] == found(stop, "WAITING", "amount_atoms")
    assert [] == found(tick(desk, SPOT + 3 * trail), "TRIGGERED", "order_id")
    assert [] == found(tick(desk, SPOT + 2 * trail + 1), "TRIGGERED", "order_id")
    assert [(order_id(stop),)] == found(tick(desk, SPOT + 2 * trail), "TRIGGERED", "order_id")
    assert desk.model.waiting == {}
    flags = FLAGS["REDUCE_ONLY"]
    refused = order_id(wait(desk, MAKER, SELL, 1, FAIR, condition=BELOW, trigger_atoms=SPOT, flags=flags))
    events = tick(desk, SPOT)
    number = CODES["REDUCE_ONLY_WOULD_INCREASE"]
    assert [(refused, REASONS["TRIGGER_REJECTED"], number)] == found(
        events, "CANCELLED", "order_id", "reason", "code"
    )


def test_orders_end_at_their_time_and_with_their_owner() -> None:
    """A date, a dead man and a lost connection each end what they cover, open orders before waiting ones."""
    desk = Desk()
    dated = order_id(desk.place(MAKER, PERP, BUY, 1, FAIR, valid_until_ns=desk.now + SECOND))
    waiting = order_id(wait(desk, MAKER, BUY, 1, FAIR, trigger_atoms=2 * SPOT))
    later = order_id(desk.place(MAKER, PERP, BUY, 1, FAIR, label=5))
    assert "DISCONNECT_NOT_ENABLED" == code(desk.send("DISCONNECT", "", target=0))
    desk.sign("PROTECT", MAKER, timeout_ns=2 * SECOND, cancel_on_disconnect=1)
    assert [(dated, "GOOD_TILL_DATE", 1)] == ended(tick(desk))
    assert [(later, "DEAD_MAN", 1), (waiting, "DEAD_MAN", 1)] == ended(tick(desk))
    assert 0 == desk.model.accounts[0].dead_man_ns
    again = order_id(desk.place(MAKER, PERP, BUY, 1, FAIR))
    events = desk.send("DISCONNECT", "", target=0)
    assert [(again, "DISCONNECTED", 1)] == ended(events)
    assert 0 == events[0]["account"]


def _call_ticks(forward: float, seconds: int) -> float:
    """Black-76 at 50 % a year: a hundredth of a call at 80 000, in ticks of five cents."""
    v = 0.5 * math.sqrt(seconds / 31_536_000)
    d1 = math.log(forward / 80_000) / v + v / 2
    normal = statistics.NormalDist().cdf
    return (forward * normal(d1) - 80_000 * normal(d1 - v)) / 100 / 0.05


@pytest.mark.parametrize("side", [BUY, SELL])
def test_a_volatility_order_is_priced_again_at_every_mark(side: int) -> None:
    """With the index the order's ticks rise; its own size and id stay, its place does not."""
    desk = Desk()
    terms = {"time_in_force": POST_ONLY, "flags": FLAGS["VOLATILITY"]}
    events = desk.place(MAKER, OPTION, side, 3, 5_000, **terms)
    number = order_id(events)
    [(before,)] = found(events, "REST", "price_ticks")
    events = tick(desk, SPOT + 10**9)
    [(after, lots, rested)] = found(events, "REST", "price_ticks", "lots", "order_id")
    assert [(number, "REPLACED", 3)] == ended(events)
    assert (number, 3) == (rested, lots)
    rounded = math.floor if side == BUY else math.ceil
    assert rounded(_call_ticks(80_000, 7200)) == before
    assert rounded(_call_ticks(81_000, 7199)) == after
    assert 5_000 == desk.model.orders[number].volatility_bp
