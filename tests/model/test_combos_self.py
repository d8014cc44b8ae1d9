"""The naive model's combos by hand: a call against a perpetual, a future against it, and their legs.

Whether the engine agrees with it is another test's matter.
"""

from __future__ import annotations

import itertools
import random

import pytest

from . import margin
from .model import Event, Model
from .records import (
    BUY,
    CALL,
    COMBO,
    EXPIRED,
    FLAGS,
    FOK,
    FUTURE,
    GTC,
    IOC,
    LIMITS,
    NO_MARK,
    PERPETUAL,
    PUT,
    SELL,
    Account,
    Instrument,
    Order,
    Position,
)
from .test_markets_self import DATED, MAKER, OPTION, PERP, SPOT, START_ATOMS, TAKER, Desk, found
from .test_orders_self import FAIR, code, ended, order_id, tick, wait
from .world import SECOND, genesis

SPREAD = ((PERP, 1), (DATED, -1))
COVERED = ((PERP, 3), (OPTION, -2))
ZERO = LIMITS["COMBO_TICK_OFFSET"]
NEXT = 3
LOT = 80_000_000


def list_combo(desk: Desk, *legs: tuple[int, int]) -> list[Event]:
    """Send a LIST_COMBO of these legs, and renew the marks."""
    nonce = desk.model.house.operator_nonce + 1
    operator = desk.model.genesis["operator"]
    events = desk.send("LIST_COMBO", operator, nonce=nonce, expires_ns=desk.now + 1, items=list(legs))
    if events[0]["code"] == 0:
        desk.now += SECOND
        desk.index(SPOT)
        desk.send("TICK", "")
    return events


def test_a_combo_has_legs_that_go_together_once() -> None:
    """Each way of being invalid; the same legs with other ratios are another combo."""
    desk = Desk()
    wrong = (
        (),
        ((PERP, 1),),
        ((PERP, 1), (PERP, -1)),
        ((OPTION, 1), (PERP, -1)),
        ((PERP, 1), (3, 1)),
        ((-1, 1), (PERP, 1)),
        ((PERP, -1), (OPTION, 1)),
        ((PERP, 2), (OPTION, -4)),
        ((PERP, 1), (OPTION, 0)),
        ((PERP, 1), (OPTION, 17)),
    )
    for legs in wrong:
        assert "INSTRUMENT_INVALID" == code(list_combo(desk, *legs)), legs
    events = list_combo(desk, *COVERED)
    assert [(NEXT,)] == found(events, "LISTED", "instrument")
    assert -1 == events[0]["account"]
    combo = desk.model.instruments[NEXT]
    assert (COMBO, desk.expiry_ns, -1, 100, 50_000) == (
        combo.kind,
        combo.expiry_ns,
        combo.series,
        combo.lots_per_unit,
        combo.tick_atoms,
    )
    assert "INSTRUMENT_EXISTS" == code(list_combo(desk, *COVERED))
    assert 0 == list_combo(desk, *SPREAD)[0]["code"]
    assert (1000, 2_500) == (desk.model.instruments[4].lots_per_unit, desk.model.instruments[4].tick_atoms)
    assert "INSTRUMENT_INVALID" == code(list_combo(desk, (PERP, 1), (NEXT, 1)))
    desk.model.limits["instruments"] = 5
    assert "INSTRUMENT_TABLE_FULL" == code(list_combo(desk, (PERP, 1), (OPTION, 1)))
    desk.now = desk.expiry_ns
    assert "INSTRUMENT_INVALID" == code(list_combo(desk, (PERP, 1), (OPTION, -1)))


def test_a_combo_is_marked_as_the_sum_of_its_legs() -> None:
    """Three perpetuals less two calls; the fee counts every lot; a leg without a mark leaves none."""
    desk = Desk()
    list_combo(desk, *COVERED)
    perpetual, call, _, combo = desk.model.instruments
    assert 3 * perpetual.mark_atoms - 2 * call.mark_atoms == combo.mark_atoms
    assert 3 * LOT - 2 * call.delta_atoms == combo.delta_atoms
    assert -2 * call.vega_atoms == combo.vega_atoms
    assert 3 * perpetual.taker_fee_atoms + 2 * call.taker_fee_atoms == combo.taker_fee_atoms
    assert [3 * a - 2 * b for a, b in zip(perpetual.rows, call.rows, strict=True)] == combo.rows
    assert (SPOT // 100, 0) == (combo.notional_atoms, combo.forward_atoms)
    assert [(0, 4)] == found(tick(desk), "MARKED", "instrument", "lots")
    bare = {
        "underlying": 0,
        "instrument_kind": PUT,
        "strike_atoms": SPOT,
        "expiry_ns": desk.expiry_ns + SECOND,
    }
    desk.operate("LIST_INSTRUMENT", **bare)
    list_combo(desk, (PERP, 1), (4, 1))
    assert NO_MARK == desk.model.instruments[5].mark_atoms
    assert "MARK_UNAVAILABLE" == code(desk.place(MAKER, 5, BUY, 1, ZERO))


def test_a_fill_passes_the_legs_at_their_marks_and_settles_the_rest() -> None:
    """Two lots of perpetual less future at minus three ticks: the buyer gets 2 * 3 * 0.0025."""
    desk = Desk()
    list_combo(desk, *SPREAD)
    desk.operate("SET_TIER", target=0, tier=1)
    resting = order_id(desk.place(MAKER, NEXT, SELL, 5, ZERO - 3))
    events = desk.place(TAKER, NEXT, BUY, 2, ZERO, time_in_force=IOC)
    # A taker's 0.04 for each lot of each leg; a rebate of 0.008 for the maker.
    fill = ("price_ticks", "lots", "maker_order_id", "amount_atoms", "maker_amount_atoms")
    assert [(ZERO - 3, 2, resting, 160_000, -32_000)] == found(events, "FILL", *fill)
    leg = ("account", "order_id", "instrument", "side", "lots", "maker_account", "maker_order_id")
    taken = order_id(events)
    assert [(1, taken, PERP, BUY, 2, 0, resting), (1, taken, DATED, SELL, 2, 0, resting)] == found(
        events, "LEG", *leg
    )
    assert [(LOT,), (LOT,)] == found(events, "LEG", "amount_atoms")
    taker, maker = desk.model.accounts[1], desk.model.accounts[0]
    assert START_ATOMS + 15_000 - 160_000 == taker.cash_atoms
    assert START_ATOMS - 15_000 + 32_000 == maker.cash_atoms
    assert [(2, 2 * LOT), (-2, -2 * LOT)] == [(p.lots, p.cost_atoms) for p in taker.positions.values()]
    assert ZERO - 3 == desk.model.instruments[NEXT].last_ticks
    assert 0 == desk.model.instruments[PERP].last_ticks


def test_a_combos_band_adds_those_of_its_legs_and_may_lie_below_zero() -> None:
    """5 % of 80 for each of two legs: a market order to sell reaches minus eight, which is 3200 ticks."""
    desk = Desk()
    desk.model.parameters["futures_band_e6"] = 50_000
    list_combo(desk, *SPREAD)
    edge = ZERO - 3_200
    assert "PRICE_OUTSIDE_BAND" == code(desk.place(MAKER, NEXT, SELL, 1, edge - 1))
    bid = order_id(desk.place(MAKER, NEXT, BUY, 1, edge))
    events = desk.place(TAKER, NEXT, SELL, 2, 0, time_in_force=IOC, flags=FLAGS["MARKET"])
    assert [(bid, edge)] == found(events, "FILL", "maker_order_id", "price_ticks")
    assert [(edge,)] == found(events, "CANCELLED", "price_ticks")
    assert "PRICE_OUTSIDE_BAND" == code(desk.place(MAKER, NEXT, BUY, 1, ZERO + 3_201))


def test_what_no_combo_does_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """It does not only reduce, wait, have a volatility or a quote; its records and lots are its legs'."""
    desk = Desk()
    list_combo(desk, *COVERED)
    for flag in ("REDUCE_ONLY", "VOLATILITY"):
        assert "ORDER_INVALID" == code(desk.place(MAKER, NEXT, BUY, 1, ZERO, flags=FLAGS[flag]))
    assert "ORDER_INVALID" == code(wait(desk, MAKER, BUY, 1, ZERO, instrument=NEXT, trigger_atoms=1))
    desk.protect()
    assert "OK" == code(quoted := desk.quote((NEXT, ZERO, 1, ZERO + 1, 1)))
    assert 2 == len(found(quoted, "QUOTE_REJECTED"))
    assert "PRICE_NOT_POSITIVE" == code(desk.place(MAKER, NEXT, BUY, 1, 0))
    desk.model.limits["positions"] = 1
    assert "TABLE_FULL" == code(desk.place(MAKER, NEXT, BUY, 1, ZERO))
    desk.model.limits["positions"] = 2
    assert "OK" == code(desk.place(MAKER, NEXT, BUY, 1, ZERO))
    assert "OK" == code(desk.place(MAKER, PERP, BUY, 1, FAIR))
    assert 5 + 1 == margin.gross_lots(desk.model, desk.model.accounts[0], 0)
    for most, name in ((15, "GROSS_LIMIT"), (16, "OK")):
        monkeypatch.setitem(LIMITS, "GROSS_LOTS_MAX", most)
        assert name == code(desk.place(MAKER, NEXT, BUY, 2, ZERO))


def test_a_combo_ends_before_the_series_of_its_first_leg() -> None:
    """Its orders end, then the combo, then the orders and positions of the instruments."""
    desk = Desk()
    list_combo(desk, *COVERED)
    first = order_id(desk.place(MAKER, NEXT, SELL, 1, ZERO + 4_000))
    second = order_id(desk.place(MAKER, NEXT, BUY, 1, ZERO))
    other = order_id(desk.place(MAKER, OPTION, BUY, 1, 1))
    desk.now = desk.expiry_ns
    desk.index(SPOT)
    events = desk.send("TICK", "")
    assert [(number, "INSTRUMENT_EXPIRED", 1) for number in (first, second, other)] == ended(events)
    assert [(NEXT, 0), (OPTION, SPOT), (DATED, SPOT)] == found(
        events, "EXPIRED", "instrument", "amount_atoms"
    )
    combo = desk.model.instruments[NEXT]
    assert (EXPIRED, NO_MARK, 0) == (combo.state, combo.mark_atoms, combo.settlement_atoms)
    assert "INSTRUMENT_CLOSED" == code(desk.place(MAKER, NEXT, BUY, 1, ZERO))


def test_combos_match_as_anything_else_does() -> None:
    """An iceberg's slices, a fill-or-kill order and a link, with two LEGs for each FILL."""
    desk = Desk()
    list_combo(desk, *SPREAD)
    hidden = order_id(desk.place(MAKER, NEXT, SELL, 8, ZERO, display_lots=3))
    linked = order_id(desk.place(MAKER, NEXT, SELL, 4, ZERO + 1, link=5))
    outside = order_id(desk.place(MAKER, PERP, SELL, 4, FAIR + 9, link=5))
    over = desk.place(TAKER, NEXT, BUY, 9, ZERO + 1, time_in_force=FOK)
    assert "FILL_OR_KILL_UNFILLABLE" == code(over)
    events = desk.place(TAKER, NEXT, BUY, 8, ZERO, time_in_force=FOK)
    assert [(hidden, 3), (hidden, 3), (hidden, 2)] == found(events, "FILL", "maker_order_id", "lots")
    assert 6 == len(found(events, "LEG"))
    events = desk.place(TAKER, NEXT, BUY, 1, ZERO + 1)
    assert [(outside, "LINKED", 4)] == ended(events)
    assert 3 == desk.model.orders[linked].lots


@pytest.mark.parametrize("seed", range(25))
def test_a_combos_order_counts_as_the_worst_way_it_can_fill(seed: int) -> None:
    """Min over s of P + O is the worst equity change over all partial fills, each of which passes the legs
    at their marks and the difference in cash; futures and short amounts count the legs as open lots.
    """
    rng = random.Random(seed)
    model = Model(genesis("main"))
    kinds = [CALL, PERPETUAL, FUTURE]
    for kind in kinds:
        instrument = Instrument(0, kind, 0, 0, -1 if kind == PERPETUAL else 0, 10, 7)
        instrument.mark_atoms = rng.randrange(0, 2000)
        instrument.rows = [rng.randrange(-600, 600) for _ in range(32)]
        instrument.basis = [rng.randrange(-50, 50), rng.randrange(-50, 50)]
        instrument.notional_atoms = rng.randrange(1, 3000)
        instrument.taker_fee_atoms = rng.randrange(0, 9)
        model.instruments.append(instrument)
    legs = ((0, rng.randrange(1, 4)), (1, rng.choice((-2, -1, 1))), (2, rng.choice((-1, 1, 3))))
    combo = Instrument(0, COMBO, 0, 1, -1, 10, 7, legs=legs)
    parts = [(model.instruments[number], ratio) for number, ratio in legs]
    combo.mark_atoms = sum(ratio * leg.mark_atoms for leg, ratio in parts)
    combo.rows = [sum(ratio * leg.rows[s] for leg, ratio in parts) for s in range(32)]
    combo.taker_fee_atoms = sum(abs(ratio) * leg.taker_fee_atoms for leg, ratio in parts)
    model.instruments.append(combo)
    account = Account("0x00")
    for number in range(3):
        account.positions[number] = Position(rng.randrange(-4, 5), 0)
    for order_id_, side in enumerate((BUY, SELL, BUY), 1):
        price = ZERO + combo.mark_atoms // 7 + rng.randrange(-60, 60)
        account.orders[order_id_] = Order(order_id_, 0, NEXT, side, GTC, price, rng.randrange(1, 4))
    found_ = margin.exposures(model, account)[0]
    assert _worst(model, account) == min(margin.filled_scan(found_))
    lots = {side: sum(o.lots for o in account.orders.values() if o.side == side) for side in (BUY, SELL)}
    for exposure in found_:
        for number, ratio in legs if exposure.instrument is not combo else ():
            if model.instruments[number] is exposure.instrument:
                sides = (lots[BUY], lots[SELL]) if ratio > 0 else (lots[SELL], lots[BUY])
                expected = tuple(abs(ratio) * side for side in sides)
                assert expected == (exposure.buys, exposure.sells)


def _worst(model: Model, account: Account) -> int:
    """Fill every order with 0 .. lots: legs at their marks, the rest in cash; revalue in every scenario."""
    combo = model.instruments[NEXT]
    orders = list(account.orders.values())
    outcomes = []
    for fills in itertools.product(*(range(order.lots + 1) for order in orders)):
        cash = 0
        held = {number: position.lots for number, position in account.positions.items()}
        for order, lots in zip(orders, fills, strict=True):
            signed = lots if order.side == BUY else -lots
            cash -= signed * (order.price_ticks - ZERO) * 7 + lots * combo.taker_fee_atoms
            for number, ratio in combo.legs:
                held[number] += signed * ratio
            # Each leg is paid for at its mark and worth its mark: together that is the combo's mark.
            cash += signed * combo.mark_atoms
        for s in range(33):
            moves = [(*model.instruments[number].rows, 0)[s] for number in held]
            outcomes.append(cash + sum(n * move for n, move in zip(held.values(), moves, strict=True)))
    return min(outcomes)
