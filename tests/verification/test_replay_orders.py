"""The replayer's reading of placing, matching, replacing and cancelling, scenario by scenario."""

import pytest

from novate.protocol.generated.codes import Code, CommandKind, OrderFlag, Side, TimeInForce
from novate.protocol.generated.constants import GROSS_LOTS_MAX, ORDER_LOTS_MAX, PRICE_TICKS_MAX
from novate.verification.risk import compute_summary
from novate.verification.tree import list_order_elements
from tests.verification.order_desk import (
    CALL,
    EXPIRY_NS,
    MARK_TICKS,
    PERPETUAL,
    START_NS,
    USDC,
    Desk,
    make_genesis,
)

BUY, SELL = Side.BUY, Side.SELL
GTC, IOC, POST_ONLY, FOK = TimeInForce.GTC, TimeInForce.IOC, TimeInForce.POST_ONLY, TimeInForce.FOK
MARKET, REDUCE_ONLY = OrderFlag.MARKET, OrderFlag.REDUCE_ONLY
CANCEL_MAKER, CANCEL_BOTH, VOLATILITY = (
    OrderFlag.CANCEL_MAKER,
    OrderFlag.CANCEL_BOTH,
    OrderFlag.VOLATILITY,
)
PLACE, REPLACE, CANCEL = CommandKind.PLACE, CommandKind.REPLACE, CommandKind.CANCEL
MAKER, TAKER, OTHER, STRANGER = range(4)
# The edges of the band of ten per cent around the mark.
LEAST_TICKS, MOST_TICKS = 28_800, 35_200

REFUSALS = [
    ({"side": 2}, Code.COMMAND_MALFORMED),
    ({"time_in_force": 4}, Code.COMMAND_MALFORMED),
    ({"flags": 32}, Code.COMMAND_MALFORMED),
    ({"flags": -1}, Code.COMMAND_MALFORMED),
    ({"label": -1, "instrument": 9}, Code.COMMAND_MALFORMED),
    ({"display_lots": -1}, Code.COMMAND_MALFORMED),
    ({"valid_until_ns": -1}, Code.COMMAND_MALFORMED),
    ({"link": -1}, Code.COMMAND_MALFORMED),
    ({"instrument": 9, "flags": CANCEL_MAKER | CANCEL_BOTH}, Code.INSTRUMENT_NOT_FOUND),
    ({"flags": CANCEL_MAKER | CANCEL_BOTH, "lots": 0}, Code.ORDER_INVALID),
    ({"flags": MARKET, "price_ticks": 0}, Code.ORDER_INVALID),
    ({"flags": MARKET, "time_in_force": IOC}, Code.ORDER_INVALID),
    ({"flags": MARKET | VOLATILITY, "time_in_force": IOC, "price_ticks": 0}, Code.ORDER_INVALID),
    ({"flags": VOLATILITY}, Code.ORDER_INVALID),
    ({"valid_until_ns": START_NS}, Code.ORDER_INVALID),
    ({"valid_until_ns": EXPIRY_NS, "time_in_force": IOC}, Code.ORDER_INVALID),
    ({"display_lots": 5, "time_in_force": FOK}, Code.ORDER_INVALID),
    ({"link": 1, "time_in_force": IOC}, Code.ORDER_INVALID),
    ({"lots": 0, "display_lots": 1}, Code.SIZE_NOT_POSITIVE),
    ({"lots": ORDER_LOTS_MAX + 1}, Code.SIZE_ABOVE_MAXIMUM),
    ({"lots": 10, "display_lots": 10, "price_ticks": 0}, Code.ORDER_INVALID),
    ({"lots": 11, "display_lots": 1}, Code.ORDER_INVALID),
    ({"price_ticks": 0}, Code.PRICE_NOT_POSITIVE),
    ({"price_ticks": PRICE_TICKS_MAX + 1}, Code.PRICE_ABOVE_MAXIMUM),
    ({"flags": VOLATILITY, "instrument": CALL, "price_ticks": 50_001}, Code.PRICE_ABOVE_MAXIMUM),
    ({"price_ticks": MOST_TICKS + 1, "flags": REDUCE_ONLY}, Code.PRICE_OUTSIDE_BAND),
    ({"flags": REDUCE_ONLY}, Code.REDUCE_ONLY_WOULD_INCREASE),
    ({"time_in_force": FOK}, Code.FILL_OR_KILL_UNFILLABLE),
    ({"lots": 1_000_000}, Code.INITIAL_MARGIN_INSUFFICIENT),
]


@pytest.mark.parametrize(("fields", "code"), REFUSALS)
def test_the_first_code_that_applies_refuses_an_order(fields: dict[str, int], code: Code) -> None:
    """[MATCH-1] [ORDER-1] [ORDER-2] [ORDER-3] [ORDER-4] [BAND-1]: and nothing of it remains."""
    desk = Desk()
    assert code == desk.ask(PLACE, TAKER, **fields)
    assert 1 == desk.state.next_order_id
    assert [] == desk.book(BUY)
    desk.check()


def test_limits_and_missing_marks_refuse_an_order() -> None:
    """[MATCH-1]: tables, gross lots and staleness are part of the judgement."""
    desk = Desk(make_genesis(orders=2, positions=1))
    first = desk.place(MAKER, BUY, price_ticks=30_000)
    assert Code.TABLE_FULL == desk.ask(PLACE, TAKER)  # no room for another position record
    desk.place(MAKER, BUY, price_ticks=30_000)
    assert Code.TABLE_FULL == desk.ask(PLACE, MAKER, price_ticks=1)  # no slot; found before the band
    assert Code.OK == desk.ask(REPLACE, MAKER, order_id=first, lots=20, price_ticks=30_001)
    desk.check()
    desk.time_ns += 3_600_000_000_000
    assert Code.MARK_STALE == desk.ask(PLACE, TAKER)
    rich = Desk(deposits=(10**17,) * 4)
    for _ in range(GROSS_LOTS_MAX // ORDER_LOTS_MAX):
        rich.place(MAKER, BUY, lots=ORDER_LOTS_MAX)
    assert Code.GROSS_LIMIT == rich.ask(PLACE, MAKER, lots=1)


def test_price_then_time_decide_who_trades() -> None:
    """[MATCH-3] [MATCH-4] [NOVATE-1]: best price first, then the earlier; what is left of a GTC rests."""
    desk = Desk()
    dear = desk.place(MAKER, SELL, price_ticks=MARK_TICKS + 2, lots=5)
    early = desk.place(MAKER, SELL, price_ticks=MARK_TICKS, lots=5)
    late = desk.place(OTHER, SELL, price_ticks=MARK_TICKS, lots=5)
    desk.place(TAKER, BUY, price_ticks=MARK_TICKS, lots=7, time_in_force=IOC)
    assert [(late, MARK_TICKS, 3, 3), (dear, MARK_TICKS + 2, 5, 5)] == desk.book(SELL)
    assert [] == desk.endings
    rest = desk.place(TAKER, BUY, price_ticks=MARK_TICKS + 1, lots=7)
    assert [(rest, MARK_TICKS + 1, 4, 4)] == desk.book(BUY)
    assert (-5, -5, 10) == (desk.lots(MAKER), desk.lots(OTHER), desk.lots(TAKER))
    assert MARK_TICKS == desk.state.instruments[PERPETUAL].last_ticks
    assert early not in desk.state.orders
    ioc = desk.place(STRANGER, SELL, price_ticks=MARK_TICKS + 1, lots=9, time_in_force=IOC)
    assert [(ioc, "IOC_REMAINDER")] == desk.endings
    desk.check()


@pytest.mark.parametrize(
    ("flags", "ended", "bought"),
    [
        (0, ["taker"], 5),
        (CANCEL_MAKER, ["own"], 15),
        (CANCEL_BOTH, ["own", "taker"], 5),
    ],
)
def test_an_order_never_trades_with_its_own_account(flags: int, ended: list[str], bought: int) -> None:
    """[MATCH-5]: the flags say whose order ends, and whether matching goes on."""
    desk = Desk()
    desk.place(MAKER, SELL, lots=5)
    own = desk.place(TAKER, SELL, lots=5)
    desk.place(MAKER, SELL, lots=10, price_ticks=MARK_TICKS + 1)
    taker = desk.place(TAKER, BUY, lots=15, price_ticks=MARK_TICKS + 1, flags=flags)
    ids = {"own": own, "taker": taker}
    assert [(ids[name], "SELF_TRADE") for name in ended] == desk.endings
    assert bought == desk.lots(TAKER)
    desk.place(TAKER, SELL, lots=1, price_ticks=MARK_TICKS + 2)
    post_only = {"price_ticks": MARK_TICKS + 2, "time_in_force": POST_ONLY, "flags": flags}
    assert Code.POST_ONLY_WOULD_CROSS == desk.ask(PLACE, TAKER, **post_only)
    desk.check()


def test_own_record_survives_the_end_of_its_last_order() -> None:
    """[MATCH-5] [NOVATE-5]: a flat account's only order ends while its taker matches on."""
    desk = Desk()
    own = desk.place(TAKER, SELL, lots=5)
    desk.place(MAKER, SELL, lots=5, price_ticks=MARK_TICKS + 1)
    desk.place(TAKER, BUY, lots=5, price_ticks=MARK_TICKS + 1, flags=CANCEL_MAKER, time_in_force=FOK)
    assert [(own, "SELF_TRADE")] == desk.endings
    assert 5 == desk.lots(TAKER)
    desk.check()


def test_slots_are_reused_from_the_top() -> None:
    """[MATCH-9]: the slot freed last is taken first; a replaced order frees its own before it takes one."""
    desk = Desk()
    ids = [desk.place(MAKER, BUY, price_ticks=31_000 + n) for n in range(4)]
    assert [0, 1, 2, 3] == [desk.order(order_id).slot for order_id in ids]
    for order_id in (ids[1], ids[3]):
        assert Code.OK == desk.ask(CANCEL, MAKER, order_id=order_id)
    assert Code.OK == desk.ask(REPLACE, MAKER, order_id=ids[0], lots=11, price_ticks=31_000)
    assert 0 == desk.order(ids[0]).slot
    again = [desk.place(MAKER, BUY, price_ticks=31_000) for _ in range(3)]
    assert [3, 1, 4] == [desk.order(order_id).slot for order_id in again]
    desk.check()


def test_replace_keeps_a_place_or_takes_a_new_one() -> None:
    """[MATCH-8] [ORDER-4]: a smaller size stays, down to the display; another price or a larger size goes
    behind; a display must be a tenth of the size or more.
    """
    desk = Desk()
    first = desk.place(MAKER, BUY, lots=10, display_lots=4, label=7)
    second = desk.place(OTHER, BUY, lots=10)
    assert Code.OK == desk.ask(REPLACE, MAKER, order_id=first, lots=9, price_ticks=MARK_TICKS)
    assert [(first, MARK_TICKS, 9, 4), (second, MARK_TICKS, 10, 10)] == desk.book(BUY)
    assert Code.OK == desk.ask(REPLACE, MAKER, order_id=first, lots=4, price_ticks=MARK_TICKS)
    assert [(first, MARK_TICKS, 4, 4), (second, MARK_TICKS, 10, 10)] == desk.book(BUY)
    # A display of 4 is a tenth of 40.
    assert Code.ORDER_INVALID == desk.ask(REPLACE, MAKER, order_id=first, lots=41, price_ticks=MARK_TICKS)
    assert Code.ORDER_NOT_OWNED == desk.ask(REPLACE, OTHER, order_id=first, lots=0, price_ticks=1)
    assert Code.ORDER_NOT_FOUND == desk.ask(REPLACE, OTHER, order_id=99, lots=0, price_ticks=1)
    assert Code.SIZE_NOT_POSITIVE == desk.ask(REPLACE, MAKER, order_id=first, lots=0, price_ticks=0)
    refused = {"order_id": first, "lots": 10, "price_ticks": MOST_TICKS + 1}
    assert Code.PRICE_OUTSIDE_BAND == desk.ask(REPLACE, MAKER, **refused)
    assert [(first, MARK_TICKS, 4, 4), (second, MARK_TICKS, 10, 10)] == desk.book(BUY)
    assert Code.OK == desk.ask(REPLACE, MAKER, order_id=first, lots=40, price_ticks=MARK_TICKS)
    assert [(second, MARK_TICKS, 10, 10), (first, MARK_TICKS, 40, 4)] == desk.book(BUY)
    assert Code.OK == desk.ask(REPLACE, MAKER, order_id=first, lots=4, price_ticks=MARK_TICKS)
    assert Code.OK == desk.ask(REPLACE, MAKER, order_id=first, lots=10, price_ticks=MARK_TICKS)
    assert [(first, "REPLACED")] == desk.endings
    assert [(second, MARK_TICKS, 10, 10), (first, MARK_TICKS, 10, 4)] == desk.book(BUY)
    assert 7 == desk.order(first).terms.label
    ask = desk.place(TAKER, SELL, lots=3, price_ticks=MARK_TICKS + 5)
    crossing = {"order_id": first, "lots": 10, "price_ticks": MARK_TICKS + 5}
    assert Code.OK == desk.ask(REPLACE, MAKER, **crossing)
    assert (first, MARK_TICKS + 5, 7, 4) == desk.book(BUY)[0]
    assert ask not in desk.state.orders
    desk.check()


def test_replace_needs_margin_only_for_what_is_new() -> None:
    """[MATCH-8] [MARGIN-8]: the old order counts no more while the new one is judged."""
    desk = Desk(deposits=(280 * USDC,) * 4)  # enough for some 19 lots of the perpetual
    order = desk.place(MAKER, BUY, lots=14)
    assert Code.INITIAL_MARGIN_INSUFFICIENT == desk.ask(PLACE, MAKER, lots=14)
    larger = {"order_id": order, "lots": 28, "price_ticks": MARK_TICKS}
    assert Code.INITIAL_MARGIN_INSUFFICIENT == desk.ask(REPLACE, MAKER, **larger)
    assert [(order, MARK_TICKS, 14, 14)] == desk.book(BUY)
    assert Code.OK == desk.ask(REPLACE, MAKER, order_id=order, lots=14, price_ticks=MARK_TICKS - 1)
    desk.check()


def test_cancel_all_takes_what_fits() -> None:
    """[MATCH-6] [MATCH-7]: by instrument, label and group, open orders first and in ascending id."""
    desk = Desk()
    orders = [desk.place(MAKER, BUY, price_ticks=31_000, label=label) for label in (1, 2, 1)]
    waiting = desk.wait(MAKER, SELL, reference=1, trigger_atoms=1, condition=1, label=1)
    foreign = desk.place(OTHER, BUY, price_ticks=31_000, label=1)
    option = desk.place(MAKER, BUY, instrument=CALL, price_ticks=800, label=1)

    def cancel_all(**fields: int) -> Code:
        return desk.ask(CommandKind.CANCEL_ALL, MAKER, **{"instrument": -1} | fields)

    assert Code.COMMAND_MALFORMED == cancel_all(label=-1, instrument=9)
    assert Code.COMMAND_MALFORMED == cancel_all(group=5)
    assert Code.INSTRUMENT_NOT_FOUND == cancel_all(instrument=9)
    assert Code.OK == cancel_all(group=1)
    assert [] == desk.endings
    assert Code.OK == cancel_all(instrument=PERPETUAL, label=1)
    assert [(orders[0], "USER"), (orders[2], "USER"), (waiting, "USER")] == desk.endings
    assert Code.OK == cancel_all()
    assert [(orders[1], "USER"), (option, "USER")] == desk.endings
    assert Code.ORDER_NOT_OWNED == desk.ask(CANCEL, MAKER, order_id=foreign)
    assert Code.ORDER_NOT_FOUND == desk.ask(CANCEL, MAKER, order_id=option)
    desk.check()


def test_fill_or_kill_counts_only_what_is_sure() -> None:
    """[MATCH-10]: hidden lots count; reduce-only and linked ones do not; an own order ends the walk."""
    desk = Desk()
    desk.trade(MAKER, TAKER, 4)
    desk.place(MAKER, SELL, lots=4, flags=REDUCE_ONLY)
    desk.place(OTHER, SELL, lots=4, link=3)
    desk.place(OTHER, SELL, lots=20, display_lots=2)
    fok = {"side": BUY, "time_in_force": FOK}
    assert Code.FILL_OR_KILL_UNFILLABLE == desk.ask(PLACE, STRANGER, lots=21, **fok)
    own = desk.place(STRANGER, SELL, lots=2, price_ticks=MARK_TICKS + 1)
    desk.place(OTHER, SELL, lots=2, price_ticks=MARK_TICKS + 1)
    dear = fok | {"price_ticks": MARK_TICKS + 1, "lots": 21}
    assert Code.FILL_OR_KILL_UNFILLABLE == desk.ask(PLACE, STRANGER, **dear)
    assert Code.FILL_OR_KILL_UNFILLABLE == desk.ask(PLACE, STRANGER, flags=CANCEL_BOTH, **dear)
    dear["lots"] = 30
    assert Code.FILL_OR_KILL_UNFILLABLE == desk.ask(PLACE, STRANGER, flags=CANCEL_MAKER, **dear)
    dear["lots"] = 22
    assert Code.OK == desk.ask(PLACE, STRANGER, flags=CANCEL_MAKER, **dear)
    assert 22 == desk.lots(STRANGER)
    assert [] == desk.endings  # the reduce-only and the linked orders traded too, so the own one stays
    assert own in desk.state.orders
    desk.check()


def test_market_order_has_the_price_of_the_bands_edge() -> None:
    """[ORDER-2] [BAND-1]: it takes what lies inside the band and no more."""
    desk = Desk()
    for ticks in (MOST_TICKS - 1, MOST_TICKS):
        desk.place(MAKER, SELL, lots=1, price_ticks=ticks)
    market = {"flags": MARKET, "price_ticks": 0, "time_in_force": IOC}
    desk.tick(79_900)  # the edge falls below the second offer: 35 156 ticks
    order = desk.place(TAKER, BUY, lots=3, **market)
    assert [(order, "IOC_REMAINDER")] == desk.endings
    assert 0 == desk.lots(TAKER)
    desk.tick(80_000)
    desk.place(TAKER, BUY, lots=2, **market)
    assert 2 == desk.lots(TAKER)
    assert Code.PRICE_OUTSIDE_BAND == desk.ask(PLACE, TAKER, side=SELL, price_ticks=LEAST_TICKS - 1)
    desk.place(TAKER, SELL, price_ticks=LEAST_TICKS)
    desk.check()


def test_reduce_only_never_opens() -> None:
    """[ORDER-3]: a taker shrinks to what it can close; a maker fills no more than that, then ends."""
    desk = Desk()
    desk.trade(TAKER, MAKER, 5)
    order = desk.place(TAKER, SELL, lots=9, price_ticks=MARK_TICKS + 1, flags=REDUCE_ONLY)
    assert [(order, MARK_TICKS + 1, 5, 5)] == desk.book(SELL)
    desk.place(OTHER, BUY, lots=3)
    desk.place(TAKER, SELL, lots=3)
    desk.place(OTHER, BUY, lots=4, price_ticks=MARK_TICKS + 1)
    assert [(order, "REDUCE_ONLY")] == desk.endings
    assert 0 == desk.lots(TAKER)
    assert [2] == [lots for _, _, lots, _ in desk.book(BUY)]
    desk.check()


def test_reduce_only_passes_below_initial_margin() -> None:
    """[MARGIN-12]: who lacks margin may still close, but not add."""
    desk = Desk(deposits=(15 * USDC, 10**6 * USDC))
    desk.trade(0, 1, 1)
    desk.tick(79_000)  # the loss is one USDC; the requirement is some 14
    sell = {"side": SELL, "lots": 1, "price_ticks": 31_600}
    assert Code.INITIAL_MARGIN_INSUFFICIENT == desk.ask(PLACE, 0, **sell)
    assert Code.OK == desk.ask(PLACE, 0, flags=REDUCE_ONLY, **sell | {"lots": 5})
    desk.check()


def test_reduce_only_is_refused_where_closing_adds_risk() -> None:
    """[MARGIN-12]: a long perpetual may be the hedge of a short call."""
    desk = Desk()
    desk.place(OTHER, BUY, instrument=CALL, lots=10, price_ticks=900)
    desk.place(TAKER, SELL, instrument=CALL, lots=10, price_ticks=900)
    desk.trade(TAKER, MAKER, 45)
    equity, unrealised, initial = compute_summary(desk.state, desk.account(TAKER))
    spare = equity - max(0, unrealised) - initial
    assert Code.OK == desk.ask(CommandKind.WITHDRAW, TAKER, amount_atoms=spare)
    sell = {"side": SELL, "lots": 45, "flags": REDUCE_ONLY}
    assert Code.INITIAL_MARGIN_INSUFFICIENT == desk.ask(PLACE, TAKER, **sell)
    desk.check()


def test_iceberg_shows_slice_after_slice() -> None:
    """[ICEBERG-1] [MATCH-11]: a new slice goes to the end of the level with the command's sequence."""
    desk = Desk()
    iceberg = desk.place(MAKER, SELL, lots=10, display_lots=4)
    plain = desk.place(OTHER, SELL, lots=3)
    desk.place(TAKER, BUY, lots=4)
    assert [(plain, MARK_TICKS, 3, 3), (iceberg, MARK_TICKS, 6, 4)] == desk.book(SELL)
    assert desk.state.sequence == desk.order(iceberg).priority
    desk.place(TAKER, BUY, lots=8)  # 3 of the plain one, a whole slice, one lot of the last
    assert [(iceberg, MARK_TICKS, 1, 1)] == desk.book(SELL)
    desk.check()


def test_leaf_of_an_order_says_all_that_matters() -> None:
    """[STATE-3]: in the order of the clause."""
    desk = Desk()
    fields = {"flags": CANCEL_BOTH | REDUCE_ONLY, "display_lots": 4, "label": 8, "link": 9}
    desk.trade(TAKER, MAKER, 12)
    order = desk.place(MAKER, BUY, lots=11, price_ticks=31_000, valid_until_ns=EXPIRY_NS, **fields)
    sequence = desk.state.sequence
    expected = (order, MAKER, PERPETUAL, BUY, GTC, 31_000, 11, sequence, 10, 4, 4, EXPIRY_NS, 8, 9, 0, 0)
    assert expected == list_order_elements(desk.order(order))
    volatility = desk.place(MAKER, SELL, instrument=CALL, price_ticks=7_000, flags=VOLATILITY)
    ticks = desk.order(volatility).price_ticks
    leaf = list_order_elements(desk.order(volatility))
    assert (ticks, 7_000) == (leaf[5], leaf[15])
