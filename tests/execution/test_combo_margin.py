"""Judging and margin of orders in combos: what their legs offset is not paid for twice, and nothing that the
book can do is left out. [COMBO-4] [COMBO-5] [MATCH-1]
"""

import itertools
import random

import numpy as np
import pytest

from novate.execution.views import (
    compute_conservation_gap,
    compute_lots_gap,
    read_open_orders,
    read_positions,
)
from novate.protocol.arithmetic import mul_ratio_ceil_e6
from novate.protocol.generated.codes import Code, EventKind, InstrumentKind, Side
from novate.protocol.generated.constants import GROSS_LOTS_MAX, ORDER_LOTS_MAX, PRICE_TICKS_MAX
from tests.execution.combo_scenes import (
    CALL,
    CONVERSION,
    FUTURE,
    HIGH_CALL,
    LEGS,
    LINEAR_TICK,
    OFFSET,
    OPTION_TICK,
    PERPETUAL,
    PUT,
    ROLL,
    SPREAD,
    count_records,
    find_mark,
    open_combos,
    pick,
    read_equity,
    read_initial,
    write_legs,
    write_order,
)
from tests.execution.scenes import refuse, tell
from tests.execution.venue import hash_state
from tests.law.desk import Desk

MAKER, TAKER, STRANGER = 0, 1, 2
BANDS = {SPREAD: 80_000_000, CONVERSION: 80_000_000 + 10 * 16_000_000}
NARROW = {"futures_band_e6": 200_000}
SHORT_E6, FUTURES_E6 = 30_000, 20_000


def list_open_lots(desk: Desk, account: int) -> dict[int, tuple[int, int]]:
    """Open buys and sells of an account, by instrument."""
    rows = read_positions(desk.engine, account)
    return {row.instrument: (row.open_buy_lots, row.open_sell_lots) for row in rows}


def test_what_an_order_in_a_combo_may_not_be() -> None:
    """[COMBO-4] [ORDER-1]: neither reduce-only nor at a volatility, and it may not wait; all else it may."""
    desk = open_combos()
    for more in ("flags=reduce_only", "flags=volatility"):
        assert "ORDER_INVALID" == refuse(desk, "maker", write_order(SPREAD, "buy", 0, 0, more))
    waits = f"place_trigger instrument={SPREAD} price_ticks={OFFSET} lots=0"
    assert "ORDER_INVALID" == refuse(desk, "maker", waits)
    assert "SIZE_NOT_POSITIVE" == refuse(desk, "maker", write_order(SPREAD, "buy", 0, 0))
    more = "display_lots=1 valid_until_ns=now+second*9 link=3 label=4"
    desk.must("maker", write_order(SPREAD, "buy", 10, 500, more), write_order(SPREAD, "buy", 1, 400))
    desk.must("taker", write_order(SPREAD, "sell", 1, 500, "time_in_force=ioc"))
    assert "POST_ONLY_WOULD_CROSS" == refuse(
        desk, "taker", write_order(SPREAD, "sell", 1, 500, "time_in_force=post_only")
    )
    told = tell(desk, "oracle", "tick after=10")
    assert [f"CANCELLED 1: 1/9@{OFFSET + 500} GOOD_TILL_DATE"] == told


def test_a_quote_is_never_in_a_combo() -> None:
    """[QUOTE-2]: a combo of options is no option."""
    desk = open_combos()
    desk.must("maker", "set_mmp", f"mass_quote quotes={SPREAD}:{OFFSET}:1:0:0")
    assert "QUOTE_REJECTED:ORDER_INVALID" == desk.name_events()


@pytest.mark.parametrize("number", [SPREAD, CONVERSION])
def test_the_band_of_a_combo(number: int) -> None:
    """[COMBO-4] [BAND-1]: |ratio| times the bands of the legs, to the tick, around a mark that may be
    negative; the band costs the order, so the other side is free.
    """
    desk = open_combos(NARROW)
    mark, band = find_mark(desk, number), BANDS[number]
    highest, lowest = (mark + band) // OPTION_TICK, -((band - mark) // OPTION_TICK)
    assert Code.PRICE_OUTSIDE_BAND == desk.say("maker", write_order(number, "buy", 1, highest + 1))
    assert Code.PRICE_OUTSIDE_BAND == desk.say("maker", write_order(number, "sell", 1, lowest - 1))
    desk.must("maker", write_order(number, "buy", 1, lowest - 9), "cancel")
    desk.must("maker", write_order(number, "buy", 1, highest), "cancel")
    desk.must("maker", write_order(number, "sell", 1, lowest), "cancel")


@pytest.mark.parametrize("number", [SPREAD, CONVERSION])
def test_a_market_order_reaches_the_edge_of_the_band(number: int) -> None:
    """[COMBO-4] [ORDER-2]: without a floor at zero: M - band for a sell, rounded up."""
    desk = open_combos(NARROW)
    mark, band = find_mark(desk, number), BANDS[number]
    for side, edge in (("buy", (mark + band) // OPTION_TICK), ("sell", -((band - mark) // OPTION_TICK))):
        line = f"place instrument={number} side={side} price_ticks=0 flags=market time_in_force=ioc"
        [told] = tell(desk, "maker", line)
        assert told.split(": ")[1] == f"1@{OFFSET + edge} IOC_REMAINDER"


def test_a_market_order_stays_inside_the_book() -> None:
    """[ORDER-2]: an edge beyond the book is its last tick."""
    desk = open_combos()
    for side, ticks in (("buy", PRICE_TICKS_MAX), ("sell", 1)):
        line = f"place instrument={ROLL} side={side} price_ticks=0 flags=market time_in_force=ioc"
        [told] = tell(desk, "maker", line)
        assert told.split(": ")[1] == f"1@{ticks} IOC_REMAINDER"


def test_gross_lots_count_every_leg() -> None:
    """[COMBO-4] [MARGIN-9]: one lot of a 1 : -1 : -10 combo is twelve."""
    desk = open_combos()
    desk.must("operator", "list underlying=eth instrument_kind=perpetual strike_atoms=0 expiry_ns=0")
    desk.must("operator", "list underlying=eth instrument_kind=future strike_atoms=0")
    desk.must("operator", "list_combo legs=8:1/9:-16")
    desk.must("oracle", "index underlying=eth index_atoms=usdc", "tick after=1")
    desk.must("oracle", "surface underlying=eth forward_atoms=usdc", "tick after=1")
    desk.must("maker", write_order(10, "buy", ORDER_LOTS_MAX // 2, -15 * 10))
    portfolio = desk.engine.world.portfolios[MAKER, 1]
    assert ORDER_LOTS_MAX // 2 * 17 == portfolio["gross_lots"]
    left = GROSS_LOTS_MAX - ORDER_LOTS_MAX // 2 * 17
    assert Code.GROSS_LIMIT == desk.say("maker", write_order(10, "buy", left // 17 + 1, -15 * 10))
    desk.must("maker", write_order(10, "buy", left // 17, -15 * 10))


def test_room_for_the_records_of_the_legs() -> None:
    """[COMBO-4]: three legs need three free position records, less those that the account has."""
    desk = open_combos(positions=4)
    desk.must("maker", f"place instrument={PERPETUAL} price_ticks=1", f"place instrument={PUT} price_ticks=1")
    assert Code.TABLE_FULL == desk.say("taker", write_order(CONVERSION, "buy", 1, -16_000))
    desk.must("maker", write_order(CONVERSION, "buy", 1, -16_000))
    assert 4 == count_records(desk)
    desk.must("maker", f"place instrument={PUT} price_ticks=2")
    assert Code.TABLE_FULL == desk.say("maker", f"place instrument={HIGH_CALL} price_ticks=1")
    desk.must("maker", "cancel_all")
    assert 0 == count_records(desk)


def test_an_own_order_in_a_leg_is_none_in_the_combo() -> None:
    """[MATCH-10]: whether hidden lots count for a fill-or-kill depends on own orders in that instrument: one
    in a combo is none in its leg, and the other way round.
    """
    desk = open_combos()
    desk.must("maker", f"place instrument={CALL} side=sell lots=10 display_lots=1 price_ticks=640")
    desk.must("maker", write_order(SPREAD, "sell", 10, 540, "display_lots=1"))
    desk.must("taker", write_order(SPREAD, "buy", 1, 100))
    line = f"place instrument={CALL} lots=5 price_ticks=640 time_in_force=fok"
    desk.must("taker", line)
    assert "FILL_OR_KILL_UNFILLABLE" == refuse(
        desk, "taker", write_order(SPREAD, "buy", 5, 540, "time_in_force=fok")
    )
    desk.must("taker", "cancel_all", f"place instrument={CALL} price_ticks=1")
    desk.must("taker", write_order(SPREAD, "buy", 5, 540, "time_in_force=fok"))
    assert "FILL_OR_KILL_UNFILLABLE" == refuse(desk, "taker", line)


def test_the_margin_of_a_spread_by_hand() -> None:
    """[COMBO-5]: the scan of the combo, and the leg that is sold as a short option; a buyer of ten spreads
    at 540 ticks may lose the price and fees, not what a lone call may lose.
    """
    desk = open_combos()
    desk.must("maker", write_order(SPREAD, "buy", 10, 540))
    world = desk.engine.world
    base = find_mark(desk, SPREAD) - 540 * OPTION_TICK - int(world.instruments["taker_fee_atoms"][SPREAD])
    scan = -10 * (int(world.rows[SPREAD].min()) + base)
    short = mul_ratio_ceil_e6(10 * 800_000_000, SHORT_E6)
    basis = -10 * int(
        (np.minimum(0, world.basis_rows[CALL]) + np.minimum(0, -world.basis_rows[HIGH_CALL])).min()
    )
    assert scan + short + basis == read_initial(desk, MAKER)
    assert scan <= 10 * (540 * OPTION_TICK + 480_000)
    assert {CALL: (10, 0), HIGH_CALL: (0, 10)} == list_open_lots(desk, MAKER)


def test_the_margin_of_a_conversion_by_hand() -> None:
    """[COMBO-5]: its three legs offset each other in every scenario, so the scan is the price paid above the
    mark and the fees; futures, short options and basis are those of the legs.
    """
    desk = open_combos()
    desk.must("maker", write_order(CONVERSION, "sell", 2, -16_040))
    world = desk.engine.world
    fees = 2 * 240_000 + 10 * 24_000
    y = -world.rows[CONVERSION] - (find_mark(desk, CONVERSION) + 16_040 * OPTION_TICK) - fees
    scan = -2 * min(int(y.min()), -40 * OPTION_TICK - fees)
    short = mul_ratio_ceil_e6(2 * 800_000_000, SHORT_E6)
    futures = mul_ratio_ceil_e6(20 * 80_000_000, FUTURES_E6)
    basis = -2 * sum(np.minimum(0, -ratio * world.basis_rows[leg]) for leg, ratio in LEGS[CONVERSION])
    assert scan + short + futures + int(basis.max()) == read_initial(desk, MAKER)
    assert {CALL: (0, 2), PUT: (2, 0), FUTURE: (20, 0)} == list_open_lots(desk, MAKER)


def test_the_margin_is_judged_before_the_order_is_open() -> None:
    """[COMBO-5] [MATCH-8]: the most that passes is what equity bears when it is open; a refusal changes no
    table, neither of a new order nor of a replacement.
    """
    desk = open_combos()
    desk.must("pauper", "deposit amount_atoms=1_000*usdc")
    desk.must("pauper", write_order(SPREAD, "buy", 1, 540))
    each = read_initial(desk, 3)
    desk.must("pauper", "cancel")
    most = 1_000_000_000 // each
    before = hash_state(desk.engine)
    assert "INITIAL_MARGIN_INSUFFICIENT" == refuse(desk, "pauper", write_order(SPREAD, "buy", most + 1, 540))
    after = hash_state(desk.engine)
    assert {"house", "accounts"} == {name for name in before if before[name] != after[name]}
    desk.must("pauper", write_order(SPREAD, "buy", most, 540))
    before = hash_state(desk.engine)
    line = f"replace price_ticks={OFFSET + 540} lots={most + 1}"
    assert "INITIAL_MARGIN_INSUFFICIENT" == refuse(desk, "pauper", line)
    after = hash_state(desk.engine)
    assert {"house", "accounts"} == {name for name in before if before[name] != after[name]}
    told = tell(desk, "pauper", f"replace price_ticks={OFFSET + 539} lots={most}")
    assert ["CANCELLED", "REST"] == [line.split()[0] for line in told]
    told = tell(desk, "pauper", f"replace price_ticks={OFFSET + 539} lots=1")
    assert ["REDUCED"] == [line.split()[0] for line in told]
    assert {CALL: (1, 0), HIGH_CALL: (0, 1)} == list_open_lots(desk, 3)


class Case:
    """A desk at which two accounts hold random positions, and one has random open orders, some in combos."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.desk = open_combos()
        self.trade_positions()
        for _ in range(self.random.randint(2, 6)):
            self.place_order("maker")

    def choose_ticks(self, number: int) -> int:
        """A price near the mark, in ticks of the book."""
        view = self.desk.engine.instruments[number]
        around = find_mark(self.desk, number) // view.tick_atoms + self.random.randint(-60, 60)
        return max(1, around + view.tick_offset)

    def trade_positions(self) -> None:
        for number in range(FUTURE + 1):
            if self.random.random() < 0.6:
                sides = self.random.sample(("buy", "sell"), 2)
                lots, ticks = self.random.randint(1, 20), self.choose_ticks(number)
                for role, side in zip(("stranger", "maker"), sides, strict=True):
                    line = f"place instrument={number} side={side} lots={lots} price_ticks={ticks}"
                    self.desk.must(role, line)

    def place_order(self, role: str) -> None:
        number = self.random.choice((*LEGS, *LEGS, CALL, PUT, FUTURE))
        side, lots = self.random.choice(("buy", "sell")), self.random.randint(1, 9)
        ticks = self.choose_ticks(number)
        self.desk.must(role, f"place instrument={number} side={side} lots={lots} price_ticks={ticks}")

    def find_effects(self, account: int) -> list[np.ndarray]:
        """What a complete fill of each open order changes: by itself, then in each scenario."""
        world, effects = self.desk.engine.world, []
        for order in read_open_orders(self.desk.engine, account):
            record = world.instruments[order.instrument]
            direction = 1 if order.side == Side.BUY else -1
            limit = (order.price_ticks - int(record["tick_offset"])) * int(record["tick_atoms"])
            base = direction * (int(record["mark_atoms"]) - limit) - int(record["taker_fee_atoms"])
            row = np.concatenate(([0], world.rows[order.instrument]))
            effects.append(order.lots * (direction * row + base))
        return effects


@pytest.mark.parametrize("seed", range(40))
def test_no_set_of_fills_costs_more_than_the_scan(seed: int) -> None:
    """[COMBO-5] [MARGIN-3] by brute force: over all subsets of fills, the worst scenario is the one that P
    and O tell, and initial margin covers it; the sums are those of the next mark too.
    """
    case = Case(seed)
    world = case.desk.engine.world
    held = np.concatenate(([0], world.pnl[MAKER, 0]))
    effects = case.find_effects(MAKER)
    worst = held.copy()
    for count in range(len(effects) + 1):
        for subset in itertools.combinations(effects, count):
            worst = np.minimum(worst, held + sum(subset))
    assert worst[1:].tolist() == (world.pnl[MAKER, 0] + world.effects[MAKER, 0]).tolist()
    assert worst[0] == world.portfolios[MAKER, 0]["open_cost_atoms"]
    assert max(0, -int(worst.min())) <= read_initial(case.desk, MAKER)
    before = {name: world.portfolios[name][:3, 0].tolist() for name in world.portfolios.dtype.names}
    lots = list_open_lots(case.desk, MAKER)
    case.desk.must("oracle", "index after=0 observed_ns=now+1", "tick")
    assert before == {name: world.portfolios[name][:3, 0].tolist() for name in before}
    assert lots == list_open_lots(case.desk, MAKER)


@pytest.mark.parametrize("seed", range(40))
def test_fills_change_equity_by_what_the_law_says(seed: int) -> None:
    """[COMBO-6]: each fill of a combo moves both equities by n * d * (M - L) less fees, whatever they hold in
    the legs; the maker's never by less than the effect that its margin counted. Nothing is lost, and the
    initial margin never rises above what equity was found to bear.
    """
    case = Case(seed)
    desk = case.desk
    for order in read_open_orders(desk.engine, MAKER):
        if order.instrument not in LEGS or order.order_id not in {
            each.order_id for each in read_open_orders(desk.engine, MAKER)
        }:
            continue
        before = [read_equity(desk, n) for n in (MAKER, TAKER)]
        initial = read_initial(desk, MAKER)
        lots, side = case.random.randint(1, order.lots), ("sell", "buy")[order.side]
        desk.must(
            "taker",
            f"place instrument={order.instrument} side={side} lots={lots} time_in_force=ioc"
            f" price_ticks={order.price_ticks}",
        )
        view = desk.engine.instruments[order.instrument]
        change = [0, 0]
        fills = pick(
            desk, EventKind.FILL, "price_ticks", "lots", "maker_account", "amount_atoms", "maker_amount_atoms"
        )
        assert fills
        for ticks, size, _, fee, maker_fee in fills:
            gain = size * (find_mark(desk, view.number) - (ticks - view.tick_offset) * view.tick_atoms)
            gain = gain if side == "buy" else -gain
            change = [change[0] - gain - maker_fee, change[1] + gain - fee]
        assert [before[0] + change[0], before[1] + change[1]] == [
            read_equity(desk, n) for n in (MAKER, TAKER)
        ]
        # What was counted as a loss is gone; the surplus has not shrunk.
        assert read_equity(desk, MAKER) - read_initial(desk, MAKER) >= before[0] - initial
    assert (0, 0) == (compute_conservation_gap(desk.engine), compute_lots_gap(desk.engine))


def test_kinds_of_the_scene() -> None:
    """The scene's instruments are what its names say, and its combos can be listed once only."""
    desk = open_combos()
    kinds = [InstrumentKind(view.kind).name for view in desk.engine.instruments]
    assert ["PERPETUAL", "CALL", "PUT", "CALL", "FUTURE", "COMBO", "COMBO", "COMBO"] == kinds
    assert [OPTION_TICK, LINEAR_TICK] == [desk.engine.instruments[n].tick_atoms for n in (SPREAD, ROLL)]
    assert "INSTRUMENT_EXISTS" == refuse(desk, "operator", f"list_combo {write_legs(ROLL)}")
