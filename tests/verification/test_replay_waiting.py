"""The replayer's reading of orders that wait, follow others, move by themselves or end by themselves."""

import pytest

from novate.protocol.generated.codes import (
    Code,
    CommandKind,
    OrderFlag,
    Side,
    TimeInForce,
    TriggerCondition,
    TriggerReference,
)
from novate.verification.order_prices import compute_option_price_x16
from novate.verification.tree import list_account_elements, list_waiting_elements
from tests.verification.order_desk import (
    CALL,
    EXPIRY_NS,
    MARK_TICKS,
    MS,
    PERPETUAL,
    SECOND,
    USDC,
    Desk,
    make_genesis,
)

BUY, SELL = Side.BUY, Side.SELL
GTC, IOC, POST_ONLY, FOK = TimeInForce.GTC, TimeInForce.IOC, TimeInForce.POST_ONLY, TimeInForce.FOK
MARKET, VOLATILITY = OrderFlag.MARKET, OrderFlag.VOLATILITY
NONE, INDEX, MARK, LAST = TriggerReference
ABOVE, BELOW = TriggerCondition
PLACE, PLACE_TRIGGER, CANCEL = CommandKind.PLACE, CommandKind.PLACE_TRIGGER, CommandKind.CANCEL
MAKER, TAKER, OTHER, STRANGER = range(4)
NEVER = {"reference": INDEX, "condition": BELOW, "trigger_atoms": 1}
CROSSING = {"flags": MARKET, "price_ticks": 0, "time_in_force": IOC}

REFUSALS = [
    ({"side": 2, "reference": 9}, Code.COMMAND_MALFORMED),
    ({"instrument": 9, "reference": 9}, Code.INSTRUMENT_NOT_FOUND),
    ({"display_lots": 1, "lots": 5, "time_in_force": IOC, "reference": 9}, Code.ORDER_INVALID),
    ({"price_ticks": 0, "reference": 9}, Code.PRICE_NOT_POSITIVE),
    ({"reference": 4}, Code.TRIGGER_INVALID),
    ({"condition": 2}, Code.TRIGGER_INVALID),
    ({"parent_id": -1}, Code.TRIGGER_INVALID),
    ({"trail_atoms": 1}, Code.TRIGGER_INVALID),
    ({"trigger_atoms": 0}, Code.TRIGGER_INVALID),
    ({"trigger_atoms": 1 << 40}, Code.TRIGGER_INVALID),
    ({"trigger_atoms": 0, "trail_atoms": 1 << 40}, Code.TRIGGER_INVALID),
    ({"reference": NONE, "trigger_atoms": 0}, Code.TRIGGER_INVALID),
    ({"reference": NONE, "parent_id": 99}, Code.TRIGGER_INVALID),
    ({"parent_id": 99}, Code.ORDER_NOT_FOUND),
    ({"parent_id": 1}, Code.ORDER_NOT_OWNED),
    ({"reference": LAST, "trigger_atoms": 0, "trail_atoms": 5}, Code.MARK_UNAVAILABLE),
]


@pytest.mark.parametrize(("fields", "code"), REFUSALS)
def test_the_first_code_that_applies_refuses_a_waiting_order(fields: dict[str, int], code: Code) -> None:
    """[TRIG-1]: the order's own terms come first, then its trigger, then its parent."""
    desk = Desk()
    desk.place(MAKER, BUY, price_ticks=30_000)
    assert code == desk.ask(PLACE_TRIGGER, TAKER, **NEVER | fields)
    assert {} == desk.state.waiting
    assert 2 == desk.state.next_order_id
    desk.check()


def test_waiting_orders_have_their_own_table_and_leaf() -> None:
    """[TRIG-1] [MATCH-6] [MATCH-9] [STATE-8]: slots from the top, cancelled by id, no margin held."""
    desk = Desk(make_genesis(triggers=2))
    terms = {"price_ticks": 100_000, "lots": 1_000_000, "display_lots": 200_000, "label": 3, "link": 4}
    first = desk.wait(MAKER, SELL, **NEVER, **terms, valid_until_ns=EXPIRY_NS)
    child = desk.wait(MAKER, BUY, parent_id=first)
    assert Code.TRIGGER_TABLE_FULL == desk.ask(PLACE_TRIGGER, OTHER, **NEVER)
    sizes = (SELL, GTC, 100_000, 1_000_000, 0, 200_000, EXPIRY_NS, 3, 4)
    expected = (first, MAKER, PERPETUAL, *sizes, INDEX, BELOW, 1, 0, 0)
    assert expected == list_waiting_elements(desk.waiting(first))
    assert first == list_waiting_elements(desk.waiting(child))[-1]
    desk.check()
    assert Code.ORDER_NOT_OWNED == desk.ask(CANCEL, TAKER, order_id=first)
    assert Code.OK == desk.ask(CANCEL, MAKER, order_id=first)
    assert [(first, "USER"), (child, "PARENT_ENDED")] == desk.endings
    last = desk.wait(MAKER, SELL, **NEVER)
    assert 1 == desk.waiting(last).slot  # the child's, freed after its parent's
    desk.check()


@pytest.mark.parametrize(
    ("reference", "condition", "trigger_atoms", "dollars"),
    [
        (INDEX, ABOVE, 80_010 * USDC, 80_010),
        (INDEX, BELOW, 79_990 * USDC, 79_990),
        (MARK, ABOVE, 80_010_000, 80_010),
        (MARK, BELOW, 79_990_000, 79_989),
    ],
)
def test_armed_order_fires_when_its_price_has_come(
    reference: int, condition: int, trigger_atoms: int, dollars: int
) -> None:
    """[TRIG-2] [TRIG-3] [TRIG-4]: at a TICK, at the threshold or beyond, and not before."""
    desk = Desk()
    order = desk.wait(TAKER, BUY, reference=reference, condition=condition, trigger_atoms=trigger_atoms)
    desk.tick(80_000)
    assert order in desk.state.waiting
    desk.report_index(dollars)
    assert order in desk.state.waiting
    desk.tick()
    assert [(order, MARK_TICKS, 10, 10)] == desk.book(BUY)
    assert {} == desk.state.waiting
    desk.check()


def test_last_price_fires_within_one_phase() -> None:
    """[TRIG-2] [TRIG-3]: the last price is read at an order's turn, so one stop may set off the next."""
    desk = Desk()
    for ticks in (31_990, 31_980):
        desk.place(MAKER, BUY, lots=10, price_ticks=ticks)
    stop = {"reference": LAST, "condition": BELOW} | CROSSING
    first = desk.wait(OTHER, SELL, **stop, trigger_atoms=31_990 * 2_500)
    second = desk.wait(STRANGER, SELL, **stop, trigger_atoms=31_990 * 2_500)
    desk.tick()
    assert {first, second} == set(desk.state.waiting)  # nothing was traded yet
    desk.place(OTHER, SELL, lots=5, price_ticks=31_990)
    desk.tick()
    assert (-15, -5) == (desk.lots(OTHER), desk.lots(STRANGER))
    assert [(second, "IOC_REMAINDER")] == desk.endings
    desk.check()


def test_trailing_order_follows_the_extreme() -> None:
    """[TRIG-3]: it starts at the price of its placing, moves with the best price and fires at its trail."""
    desk = Desk()
    trail = {"reference": INDEX, "trail_atoms": 100 * USDC}
    stop = desk.wait(TAKER, SELL, condition=BELOW, price_ticks=31_000, **trail)
    entry = desk.wait(OTHER, BUY, condition=ABOVE, price_ticks=31_000, **trail)
    assert 80_000 * USDC == desk.waiting(stop).trigger_atoms
    desk.tick(80_050)
    assert 80_050 * USDC == desk.waiting(stop).trigger_atoms
    assert 80_000 * USDC == desk.waiting(entry).trigger_atoms
    desk.check()
    desk.tick(79_951)
    assert {stop, entry} == set(desk.state.waiting)
    desk.tick(79_950)
    assert {entry} == set(desk.state.waiting)
    desk.tick(80_050)
    assert {} == desk.state.waiting
    desk.check()


def test_stale_index_fires_nothing() -> None:
    """[TRIG-2]: a stale underlying has neither index nor mark; LAST goes on."""
    desk = Desk()
    desk.trade(MAKER, TAKER, 1)
    orders = [
        desk.wait(OTHER, BUY, reference=reference, condition=ABOVE, trigger_atoms=1)
        for reference in (INDEX, MARK, LAST)
    ]
    desk.time_ns += 3_601 * SECOND
    trail = {"trigger_atoms": 0, "trail_atoms": 1}
    assert Code.MARK_UNAVAILABLE == desk.ask(PLACE_TRIGGER, OTHER, **NEVER | trail)
    desk.tick()
    assert [(orders[2], "TRIGGER_REJECTED")] == desk.endings  # it fires, but the mark is stale
    assert set(orders[:2]) == set(desk.state.waiting)
    desk.check()


def test_child_waits_for_the_whole_parent() -> None:
    """[LINK-2] [TRIG-3] [TRIG-5]: it fires after the command that filled the last lot of its parent."""
    desk = Desk()
    parent = desk.place(MAKER, BUY, lots=10)
    ready = desk.wait(MAKER, SELL, parent_id=parent, price_ticks=MARK_TICKS + 10)
    stop = desk.wait(MAKER, SELL, parent_id=parent, **NEVER | {"trigger_atoms": 79_000 * USDC})
    grandchild = desk.wait(MAKER, BUY, parent_id=ready, price_ticks=31_000)
    desk.place(TAKER, SELL, lots=9)
    desk.tick(78_000)
    desk.tick(80_000)
    assert {ready, stop, grandchild} == set(desk.state.waiting)
    desk.place(TAKER, SELL, lots=1)
    assert [(ready, MARK_TICKS + 10, 10, 10)] == desk.book(SELL)
    assert 0 == desk.waiting(stop).parent_id
    desk.check()
    desk.place(OTHER, BUY, lots=10, price_ticks=MARK_TICKS + 10)
    assert [(grandchild, 31_000, 10, 10)] == desk.book(BUY)
    desk.tick(79_000)
    assert (stop, MARK_TICKS, 10, 10) == desk.book(SELL)[0]
    desk.check()


def test_ready_orders_fire_oldest_first_and_may_ready_others() -> None:
    """[TRIG-5]: a ready order that fills at once arms its own children within the same command."""
    desk = Desk()
    parent = desk.place(MAKER, BUY, lots=2)
    first = desk.wait(MAKER, SELL, parent_id=parent, lots=1, price_ticks=31_990)
    second = desk.wait(MAKER, SELL, parent_id=parent, lots=1, price_ticks=31_980)
    third = desk.wait(MAKER, BUY, parent_id=first, lots=1, price_ticks=31_000)
    desk.place(OTHER, BUY, lots=1, price_ticks=31_990)
    desk.place(TAKER, SELL, lots=2)
    assert {} == desk.state.waiting
    assert [(third, 31_000, 1, 1)] == desk.book(BUY)
    assert [(second, 31_980, 1, 1)] == desk.book(SELL)
    assert 1 == desk.lots(OTHER)
    desk.check()


def test_children_end_with_a_parent_that_was_not_filled() -> None:
    """[LINK-2]: directly after it, each followed by its own, whatever ended the parent."""
    desk = Desk()
    parent = desk.place(MAKER, BUY, lots=10)
    first = desk.wait(MAKER, SELL, parent_id=parent)
    second = desk.wait(MAKER, SELL, parent_id=parent)
    below_first = desk.wait(MAKER, SELL, parent_id=first)
    desk.place(TAKER, SELL, lots=9)
    replace = {"order_id": parent, "lots": 3, "price_ticks": 31_000}
    assert Code.OK == desk.ask(CommandKind.REPLACE, MAKER, **replace)
    assert [(parent, "REPLACED")] == desk.endings
    assert Code.OK == desk.ask(CommandKind.CANCEL_ALL, MAKER, instrument=-1)
    family = [(parent, "USER"), *((order, "PARENT_ENDED") for order in (first, below_first, second))]
    assert family == desk.endings
    rejected = desk.wait(OTHER, SELL, **NEVER | {"trigger_atoms": 79_000 * USDC}, price_ticks=1)
    child = desk.wait(OTHER, SELL, parent_id=rejected)
    desk.tick(79_000)
    assert [(rejected, "TRIGGER_REJECTED"), (child, "PARENT_ENDED")] == desk.endings
    desk.check()


def test_link_lets_one_order_cancel_the_others() -> None:
    """[LINK-1] [MATCH-11]: a fill of any amount, the maker's links before the taker's, or a firing."""
    desk = Desk()
    offer = desk.place(MAKER, SELL, lots=5, link=1)
    other = desk.place(MAKER, SELL, lots=5, price_ticks=MARK_TICKS + 5, link=1)
    stop = desk.wait(MAKER, SELL, link=1, **NEVER)
    apart = desk.place(MAKER, SELL, price_ticks=MARK_TICKS + 5, link=2)
    mine = desk.place(TAKER, BUY, price_ticks=31_000, link=1)
    rest = desk.place(TAKER, BUY, lots=1, link=1)
    assert [(other, "LINKED"), (stop, "LINKED"), (mine, "LINKED")] == desk.endings
    assert rest not in desk.state.orders
    assert [offer, apart] == [order_id for order_id, *_ in desk.book(SELL)]
    profit = desk.place(OTHER, SELL, price_ticks=MARK_TICKS + 9, link=6)
    fired = desk.wait(OTHER, SELL, link=6, **NEVER | {"trigger_atoms": 79_900 * USDC})
    desk.tick(79_900)
    assert [(profit, "LINKED")] == desk.endings
    assert fired in desk.state.orders
    desk.check()


def test_fired_order_that_is_past_its_date_is_refused() -> None:
    """[TRIG-4]: by the TICK it would have ended anyway, so only a ready order can come to this."""
    desk = Desk()
    parent = desk.place(MAKER, BUY, lots=1)
    child = desk.wait(MAKER, SELL, parent_id=parent, valid_until_ns=desk.time_ns + 5 * MS)
    desk.time_ns += 10 * MS
    desk.place(TAKER, SELL, lots=1)
    assert [(child, "TRIGGER_REJECTED")] == desk.endings
    desk.check()


def test_silence_ends_all_orders() -> None:
    """[TIMER-1] [STATE-2]: at the first TICK not before the time that PROTECT set, once."""
    desk = Desk()
    protect = {"timeout_ns": 1 * SECOND, "cancel_on_disconnect": 0}
    for wrong in ({"timeout_ns": SECOND - 1}, {"timeout_ns": 86_401 * SECOND}, {"cancel_on_disconnect": 2}):
        assert Code.TIMER_INVALID == desk.ask(CommandKind.PROTECT, MAKER, **protect | wrong)
    order = desk.place(MAKER, BUY, price_ticks=31_000)
    waiting = desk.wait(MAKER, BUY, **NEVER)
    assert Code.OK == desk.ask(CommandKind.PROTECT, MAKER, **protect)
    due_ns = desk.time_ns + SECOND
    assert [0, due_ns, 0] == list_account_elements(desk.account(MAKER))[3:6]
    desk.tick()
    assert [] == desk.endings
    desk.time_ns = due_ns - MS
    desk.tick()
    assert [(order, "DEAD_MAN"), (waiting, "DEAD_MAN")] == desk.endings
    assert 0 == desk.account(MAKER).dead_man_ns
    assert Code.OK == desk.ask(CommandKind.PROTECT, MAKER, **protect)
    assert Code.OK == desk.ask(CommandKind.PROTECT, MAKER, timeout_ns=0, cancel_on_disconnect=0)
    assert 0 == desk.account(MAKER).dead_man_ns
    desk.check()


def test_lost_connection_ends_the_orders_of_who_asked_for_it() -> None:
    """[TIMER-2]: DISCONNECT names an account; its result carries it only when accepted [CMD-3]."""
    desk = Desk()
    order = desk.place(MAKER, BUY, price_ticks=31_000)
    assert Code.ACCOUNT_NOT_FOUND == desk.apply(CommandKind.DISCONNECT, target=4)
    assert Code.DISCONNECT_NOT_ENABLED == desk.apply(CommandKind.DISCONNECT, target=MAKER)
    assert -1 == desk.outcome.account
    assert Code.OK == desk.ask(CommandKind.PROTECT, MAKER, timeout_ns=0, cancel_on_disconnect=1)
    assert Code.OK == desk.apply(CommandKind.DISCONNECT, target=MAKER)
    assert MAKER == desk.outcome.account
    assert [(order, "DISCONNECTED")] == desk.endings
    desk.check()


def test_volatility_order_follows_the_mark() -> None:
    """[IV-1] [IV-2] [MATCH-8]: its ticks follow the value, are judged, and keep the size."""
    desk = Desk()
    sizes = {"instrument": CALL, "lots": 5, "flags": VOLATILITY}
    bid = desk.place(MAKER, BUY, price_ticks=6_000, **sizes)
    ask = desk.place(MAKER, SELL, price_ticks=6_500, **sizes)
    before = desk.order(bid).price_ticks
    assert before < desk.order(ask).price_ticks
    # Sixty per cent is what the surface says near the money, so the bid is close to the mark.
    assert abs(before * 50_000 - desk.call.mark_atoms) < desk.call.mark_atoms // 20
    # By hand: v = 0.6 * sqrt(time left), the forward still that of the surface.
    total = int(0.6 * ((EXPIRY_NS - desk.time_ns) / (365 * 86_400 * SECOND)) ** 0.5 * 2**48)
    value = compute_option_price_x16(desk.call.kind, desk.call.forward_atoms, 82_000 * USDC, total) >> 16
    assert value // 100 // 50_000 == before
    unchanged = {"order_id": bid, "lots": 4, "price_ticks": 6_000}
    assert Code.OK == desk.ask(CommandKind.REPLACE, MAKER, **unchanged)
    assert [] == desk.endings
    desk.tick(80_200)
    assert [(bid, "REPLACED"), (ask, "REPLACED")] == desk.endings
    assert before < desk.order(bid).price_ticks
    assert 4 == desk.order(bid).lots
    assert Code.PRICE_OUTSIDE_BAND == desk.ask(PLACE, TAKER, side=BUY, price_ticks=9_000, **sizes)
    desk.check()


def test_volatility_order_that_cannot_move_ends() -> None:
    """[IV-2]: refused at its new price it ends; one that would not move stays without a judgement."""
    desk = Desk()
    sizes = {"instrument": CALL, "lots": 5, "flags": VOLATILITY, "time_in_force": POST_ONLY}
    bid = desk.place(MAKER, BUY, price_ticks=5_000, **sizes)
    desk.tick(80_000)
    assert [] == desk.endings
    ticks = desk.order(bid).price_ticks
    desk.place(OTHER, SELL, instrument=CALL, lots=5, price_ticks=ticks + 1)
    desk.tick(80_100)
    assert [(bid, "REPLACED"), (bid, "REPRICE_REJECTED")] == desk.endings
    desk.check()


def test_good_till_date_ends_at_a_tick() -> None:
    """[GTD-1]: at the first TICK not before its time, open orders before waiting ones."""
    desk = Desk()
    until = desk.time_ns + 20_000_000
    waiting = desk.wait(MAKER, BUY, valid_until_ns=until, **NEVER)
    order = desk.place(MAKER, BUY, price_ticks=31_000, valid_until_ns=until)
    desk.tick()
    assert [] == desk.endings
    desk.time_ns = until - 1_000_000
    desk.tick()
    assert [(order, "GOOD_TILL_DATE"), (waiting, "GOOD_TILL_DATE")] == desk.endings
    desk.check()


def test_closed_instrument_takes_no_orders_and_ends_those_it_has() -> None:
    """[EXPIRY-2] [MATCH-1] [LINK-2]: open orders end first, with their children, then waiting ones."""
    desk = Desk()
    bid = {"instrument": CALL, "price_ticks": 900}
    waiting = desk.wait(MAKER, BUY, **bid, **NEVER)
    order = desk.place(MAKER, BUY, **bid)
    child = desk.wait(MAKER, SELL, parent_id=order)
    desk.time_ns = EXPIRY_NS - 1_000_000
    assert Code.INSTRUMENT_CLOSED == desk.ask(PLACE, MAKER, instrument=CALL, lots=0)
    replace = {"order_id": order, "lots": 1, "price_ticks": 900}
    assert Code.INSTRUMENT_CLOSED == desk.ask(CommandKind.REPLACE, MAKER, **replace)
    desk.tick()
    expired = "INSTRUMENT_EXPIRED"
    assert [(order, expired), (child, "PARENT_ENDED"), (waiting, expired)] == desk.endings
    desk.check()
