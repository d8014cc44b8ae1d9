"""The replayer's reading of how a liquidation starts and closes, step by step and with figures by hand."""

import pytest

from novate.protocol.generated.codes import (
    Code,
    CommandKind,
    EventKind,
    InstrumentKind,
    LiquidationStage,
    Side,
    TimeInForce,
)
from novate.protocol.generated.constants import ORDER_LOTS_MAX
from novate.verification.risk import compute_equity, compute_maintenance, compute_standing
from novate.verification.slices import choose_position, compute_close_ticks, compute_slice_lots
from novate.verification.steps import Step
from novate.verification.tree import list_account_elements
from tests.verification.liquidation_desk import (
    DEBTOR,
    EQUITY,
    FUND,
    FUTURE,
    HELPER,
    LOTS,
    RICH,
    WITNESS,
    FallingDesk,
    make_desk,
)
from tests.verification.order_desk import (
    CALL,
    EXPIRY_NS,
    OPERATOR,
    PERPETUAL,
    SECOND,
    USDC,
)
from tests.verification.replay_desk import BTC, ETH, MAKER, STRANGER, report_both
from tests.verification.replay_desk import Desk as PlainDesk

BUY, SELL = Side
NONE, SLICES, AUCTION = LiquidationStage
# The debtor's figures after a fall to 72 000: 30 lots of 72 USDC, each 8 below its entry.
LOT_72 = 72_000_000
EQUITY_72 = EQUITY - LOTS * 8_000_000
NEED_72 = LOTS * LOT_72 * 138 // 1_000
STARTED = Step(EventKind.LIQUIDATION_STARTED, DEBTOR, amount_atoms=EQUITY_72, maker_amount_atoms=NEED_72)


@pytest.fixture
def desk() -> FallingDesk:
    """The debtor holds thirty lots."""
    desk = make_desk()
    desk.sell_to_debtor()
    return desk


def test_maintenance_is_eight_tenths_of_the_worst_move_and_its_own_rates() -> None:
    """[MARGIN-8]: futures and short options at maintenance rates, basis of held lots, no open orders."""
    desk = make_desk()
    desk.add_future()
    desk.trade(HELPER, RICH, 10)
    desk.trade_at_mark(RICH, HELPER, 4, FUTURE)
    desk.trade_at_mark(RICH, HELPER, 5, CALL)
    desk.place(HELPER, SELL, instrument=CALL, lots=50, price_ticks=100_000)
    perpetual, call, future = desk.state.instruments
    profits = 10 * perpetual.row - 4 * future.row - 5 * call.row
    worst = -int(min(profits))
    expected = -(-worst * 8 // 10) + 14 * 80_000_000 // 100 + 5 * 800_000_000 * 15 // 1_000
    held = [-4 * future.basis[j] - 5 * call.basis[j] for j in range(2)]
    assert expected + max(0, -min(held)) == compute_maintenance(desk.state, desk.account(HELPER), 0)
    desk.check()


def test_a_margin_call_comes_once_until_equity_recovers(desk: FallingDesk) -> None:
    """[LIQ-1]: below 1.2 times the requirement one call; above it the account counts as not warned."""
    desk.tick(75_200)
    equity, need = EQUITY - LOTS * 4_800_000, LOTS * 75_200_000 * 138 // 1_000
    assert need <= equity < need * 12 // 10
    call = Step(EventKind.MARGIN_CALL, DEBTOR, amount_atoms=equity, maker_amount_atoms=need)
    assert [call] == desk.state.steps
    for dollars, told, warned in ((75_000, [], 1), (80_000, [], 0), (75_200, [call], 1)):
        desk.tick(dollars)
        assert (told, warned) == (desk.state.steps, desk.account(DEBTOR).warned)
    desk.check()


def test_equity_that_equals_the_requirement_is_enough(desk: FallingDesk) -> None:
    """[LIQ-1]: only equity below the requirement starts a liquidation, and only below the warning a call."""
    desk.report_index(72_000)
    desk.deposit(DEBTOR, NEED_72 * 12 // 10 - EQUITY_72)
    desk.tick()
    assert ([], 0) == (desk.state.steps, desk.account(DEBTOR).warned)
    code = desk.ask(CommandKind.INSURE, DEBTOR, amount_atoms=1)
    assert Code.INITIAL_MARGIN_INSUFFICIENT == code
    other = make_desk(deposits=(10**6, 459, 10**6, 10**6))
    other.sell_to_debtor()
    other.deposit(DEBTOR, NEED_72 - (459 * USDC - LOTS * 8_040_000))
    other.tick(72_000)
    assert ["MARGIN_CALL"] == other.tell()


def test_a_start_ends_all_orders_and_takes_the_first_slice(desk: FallingDesk) -> None:
    """[LIQ-1]: open orders in ascending id, then waiting ones, each with its children."""
    low = desk.place(DEBTOR, BUY, lots=1, price_ticks=29_000)
    wait = {"trigger_atoms": 2 * 10**11, "lots": 1, "reference": 1, "condition": 0}
    armed = desk.wait(DEBTOR, SELL, **wait)
    desk.wait(HELPER, SELL, **wait)
    child = desk.wait(DEBTOR, SELL, parent_id=low)
    quoted = desk.place(DEBTOR, SELL, lots=1, price_ticks=34_000)
    desk.tick(72_000)
    reasons = [(low, "LIQUIDATION"), (child, "PARENT_ENDED"), (quoted, "LIQUIDATION"), (armed, "LIQUIDATION")]
    remainder = [(desk.state.next_order_id - 1, "IOC_REMAINDER")]
    assert reasons + remainder == desk.endings
    # Down 16 % twice over is scenario 0, and 0 is the first underlying.
    assert STARTED == desk.state.steps[0]._replace(side=0)
    assert ["LIQUIDATION_STARTED", "SLICE"] == desk.tell()
    account = desk.account(DEBTOR)
    assert (SLICES, 1, 0) == (account.stage, account.stage_ticks, account.warned)
    assert list_account_elements(account)[6:10] == [int(SLICES), 1, 0, -1]
    assert 1 == len(desk.state.waiting)
    desk.check()


def test_the_start_names_the_least_scenario() -> None:
    """[LIQ-1]: for a short account the worst scenario is one that moves up."""
    desk = make_desk()
    desk.trade(RICH, DEBTOR, LOTS)
    desk.tick(88_000)
    started = desk.step(EventKind.LIQUIDATION_STARTED)
    row = desk.state.instruments[PERPETUAL].row
    assert [int(profit) for profit in row].index(max(row)) == started.side
    assert row[started.side] > 0


def test_a_stale_underlying_is_passed_over(desk: FallingDesk) -> None:
    """[LIQ-1] [MARK-STALE-1]: without a recent index nothing starts, and nothing goes on."""
    desk.report_index(72_000)
    desk.time_ns += 3_601 * SECOND
    desk.tick()
    assert ([], NONE) == (desk.state.steps, desk.account(DEBTOR).stage)
    desk.tick(72_000)
    assert SLICES == desk.account(DEBTOR).stage
    desk.time_ns += 3_601 * SECOND
    desk.tick()
    assert ([], SLICES, 1) == (desk.state.steps, desk.account(DEBTOR).stage, desk.account(DEBTOR).stage_ticks)


def test_a_deposit_ends_it_before_the_next_slice(desk: FallingDesk) -> None:
    """[LIQ-1] [LIQ-8]: equity at the requirement is enough, and the account may trade again."""
    desk.tick(72_000)
    desk.deposit(DEBTOR, NEED_72 - EQUITY_72)
    desk.tick()
    assert [Step(EventKind.LIQUIDATION_ENDED, DEBTOR, amount_atoms=NEED_72)] == desk.state.steps
    account = desk.account(DEBTOR)
    assert (NONE, 0, 0) == (account.stage, account.stage_ticks, account.warned)
    desk.tick()
    assert ["MARGIN_CALL"] == desk.tell()
    desk.check()


def test_delta_first(desk: FallingDesk) -> None:
    """[LIQ-2]: of the positions that lean as the sum of deltas, the largest, no further than the sum."""
    desk.trade(RICH, HELPER, 40)
    for buyer, lots in ((HELPER, 5), (WITNESS, 7)):
        desk.trade_at_mark(buyer, RICH, lots, CALL)
    perpetual, call = desk.state.instruments
    helper, rich = desk.account(HELPER), desk.account(RICH)
    assert 0 < 5 * call.delta_atoms < 40 * perpetual.delta_atoms
    position, most = choose_position(desk.state, helper)
    net = 40 * perpetual.delta_atoms - 5 * call.delta_atoms
    assert (perpetual, -(-net // perpetual.delta_atoms)) == (position.instrument, most)
    # The rich trader is long ten perpetuals and short twelve calls, whose deltas are larger.
    assert (10, -12) == (desk.lots(RICH), desk.lots(RICH, CALL))
    position, most = choose_position(desk.state, rich)
    net = 12 * call.delta_atoms - 10 * perpetual.delta_atoms
    assert (call, -(-net // call.delta_atoms)) == (position.instrument, most)


def test_without_delta_the_most_lots_and_the_lowest_instrument() -> None:
    """[LIQ-2]: long one month and short the perpetual, as many: nothing leans, the lots decide."""
    desk = make_desk()
    desk.add_future()
    desk.trade_at_mark(RICH, HELPER, 10, PERPETUAL)
    desk.trade_at_mark(HELPER, RICH, 10, FUTURE)
    helper = desk.account(HELPER)
    assert desk.state.instruments[FUTURE].delta_atoms == desk.state.instruments[PERPETUAL].delta_atoms
    position, most = choose_position(desk.state, helper)
    assert (PERPETUAL, -10, ORDER_LOTS_MAX) == (position.instrument.number, position.lots, most)
    desk.trade_at_mark(HELPER, RICH, 10, FUTURE)
    position, most = choose_position(desk.state, helper)
    assert (FUTURE, 10) == (position.instrument.number, most)


def test_the_underlying_that_needs_most_is_closed_first() -> None:
    """[LIQ-1] [LIQ-2] [LIQ-5]: of two the one with the larger requirement; a stale one stops both."""
    desk = PlainDesk(slice_tick_count=1)
    desk.open()
    poor = b"\x09" * 20
    desk.apply(CommandKind.DEPOSIT, poor, cursor=4, amount_atoms=180_000_000)
    fields = {"instrument_kind": InstrumentKind.PERPETUAL, "strike_atoms": 0, "expiry_ns": 0}
    for underlying in (BTC, ETH):
        desk.apply(CommandKind.LIST_INSTRUMENT, underlying=underlying, **fields)
    report_both(desk, 80_000, 2_500)
    desk.tick()
    # A lot of BTC is worth 80 USDC and a lot of ETH 25, so five of one need more after both fell.
    for number, lots, ticks in ((0, 5, 32_000), (1, 16, 25_000)):
        desk.trade(poor, MAKER, number, lots, ticks)
    report_both(desk, 75_000, 2_000)
    desk.tick()
    started, sliced = desk.state.steps[:2]
    assert (EventKind.LIQUIDATION_STARTED, BTC) == (started.kind, started.instrument)
    needs = [5 * 75_000_000 * 138 // 1_000, 16 * 20_000_000 * 138 // 1_000]
    assert (sum(needs), EventKind.SLICE, 0) == (started.maker_amount_atoms, sliced.kind, sliced.instrument)
    report_both(desk, 60_000, 2_000)
    desk.apply(CommandKind.BACKSTOP, STRANGER, demand_e6=0)
    desk.time_ns += 3_601 * SECOND
    desk.report()
    desk.tick()
    assert [] == desk.state.steps, "The index of ETH is stale."
    report_both(desk, 75_000, 2_000)
    desk.tick()
    names = [step.kind.name for step in desk.state.steps]
    assert ["ASSIGNED", "ASSIGNED", "AUCTION_TAKEN", "LIQUIDATION_ENDED"] == names
    desk.seal()


@pytest.mark.parametrize(("notional", "lots"), [(1, 1), (80_000_000, 1), (239_999_999, 2), (10**12, LOTS)])
def test_a_slice_has_a_notional(desk: FallingDesk, notional: int, lots: int) -> None:
    """[LIQ-2] [LIQ-9]: as many lots as the slice's notional holds, at least one, at most the position."""
    fields = {"underlying": 0, "slice_notional_atoms": notional}
    assert Code.OK == desk.apply(CommandKind.SET_SLICE, OPERATOR, **fields)
    position = desk.account(DEBTOR).holdings[0][PERPETUAL]
    assert lots == compute_slice_lots(desk.state, position, ORDER_LOTS_MAX)
    assert min(lots, 3) == compute_slice_lots(desk.state, position, 3)


@pytest.mark.parametrize("side", [BUY, SELL])
def test_the_limit_is_where_bankruptcy_begins(desk: FallingDesk, side: Side) -> None:
    """[LIQ-2]: mark and what equity bears per lot after the fee, within the band, never beyond in ticks."""
    trader = RICH if side == BUY else DEBTOR
    position, direction = desk.account(trader).holdings[0][PERPETUAL], 1 - 2 * side
    for equity, given_up in ((-1, 0), (0, 0), (29 * 40_000, 0), (LOTS * 41_000 + 29, 1_000)):
        exact = 80_000_000 + direction * given_up
        expected = exact // 2_500 if side == BUY else -(-exact // 2_500)
        assert expected == compute_close_ticks(desk.state, position, equity)
    edge = 80_000_000 + direction * 8_000_000
    assert edge // 2_500 == compute_close_ticks(desk.state, position, 10**15)


def test_an_option_without_value_is_sold_for_one_tick() -> None:
    """[LIQ-2]: the band's lower edge is no price below zero, and the ladder begins at one tick."""
    desk = make_desk()
    desk.trade_at_mark(HELPER, RICH, 5, CALL)
    desk.call.mark_atoms = 3
    position = desk.account(HELPER).holdings[0][CALL]
    assert 1 == compute_close_ticks(desk.state, position, 10**12)
    assert 1 == compute_close_ticks(desk.state, desk.account(RICH).holdings[0][CALL], 0)


def test_a_slice_fills_and_pays_its_penalty(desk: FallingDesk) -> None:
    """[LIQ-2] [LIQ-3]: an IOC order at the makers' prices with fees; half a per cent goes to the fund."""
    desk.place(HELPER, BUY, lots=10, price_ticks=28_790)
    desk.place(WITNESS, BUY, lots=40, price_ticks=25_919)
    desk.tick(72_000)
    edge = LOT_72 * 9 // 10 // 2_500
    order_id = desk.state.next_order_id - 1
    sliced = Step(EventKind.SLICE, DEBTOR, order_id=order_id, side=SELL, price_ticks=edge, lots=LOTS)
    penalty = 10 * LOT_72 * 5 // 1_000
    equity = EQUITY_72 - 10 * (28_800 - 28_790) * 2_500 - 10 * 36_000 - penalty
    told = [
        STARTED,
        sliced,
        Step(EventKind.PENALTY, DEBTOR, amount_atoms=penalty),
        Step(EventKind.LIQUIDATION_ENDED, DEBTOR, amount_atoms=equity),
    ]
    assert told == desk.state.steps
    assert [(order_id, "IOC_REMAINDER")] == desk.endings
    assert (LOTS - 10, 10, 0) == (desk.lots(DEBTOR), desk.lots(HELPER), desk.lots(WITNESS))
    assert FUND + 10 * (36_000 - 7_200) // 10 + penalty == desk.state.insurance_atoms
    assert equity == compute_equity(desk.state, desk.account(DEBTOR))
    assert NONE == desk.account(DEBTOR).stage
    assert 28_790 == desk.state.instruments[PERPETUAL].last_ticks
    desk.check()


def test_slices_go_on_tick_by_tick_and_then_comes_the_auction() -> None:
    """[LIQ-3]: each TICK one slice, filled or not; after slice_tick_count of them the stage changes."""
    desk = make_desk(slice_tick_count=3, figures={"slice_notional_atoms": 4 * LOT_72})
    desk.sell_to_debtor()
    stages = []
    for lots in (0, 2, 4):
        if lots:
            desk.place(HELPER, BUY, lots=lots, price_ticks=28_800)
        desk.tick(72_000)
        stages.append((desk.lots(DEBTOR), desk.account(DEBTOR).stage, desk.account(DEBTOR).stage_ticks))
        assert 4 == desk.step(EventKind.SLICE).lots
    assert [(30, SLICES, 1), (28, SLICES, 2), (24, NONE, 0)] == stages
    desk.tick(70_000)
    assert (24, SLICES, 1) == (
        desk.lots(DEBTOR),
        desk.account(DEBTOR).stage,
        desk.account(DEBTOR).stage_ticks,
    )
    desk.tick()
    desk.tick()
    assert ["SLICE", "AUCTION_STARTED"] == desk.tell()[-2:]
    assert (AUCTION, 0) == (desk.account(DEBTOR).stage, desk.account(DEBTOR).stage_ticks)
    equity = desk.step(EventKind.AUCTION_STARTED).amount_atoms
    assert compute_standing(desk.state, desk.account(DEBTOR))[0] == equity
    desk.check()


def test_a_bankrupt_account_goes_to_auction_at_once(desk: FallingDesk) -> None:
    """[LIQ-3]: equity of nothing or less after the first slice; nobody loses by a sale at the mark."""
    desk.tick(62_700)
    assert ["LIQUIDATION_STARTED", "SLICE", "AUCTION_STARTED"] == desk.tell()
    assert 62_700_000 // 2_500 == desk.step(EventKind.SLICE).price_ticks
    assert EQUITY - LOTS * 17_300_000 == desk.step(EventKind.AUCTION_STARTED).amount_atoms
    assert (AUCTION, 0) == (desk.account(DEBTOR).stage, desk.account(DEBTOR).stage_ticks)


def test_a_penalty_takes_no_more_than_there_is(desk: FallingDesk) -> None:
    """[LIQ-3]: equity of 1.3 USDC bears a sale at the mark with its fee and what is left as a penalty."""
    desk.deposit(DEBTOR, 1_300_000 - (EQUITY - LOTS * 17_300_000))
    desk.place(HELPER, BUY, lots=LOTS, price_ticks=25_080)
    desk.tick(62_700)
    left = 1_300_000 - LOTS * 31_350
    assert left == desk.step(EventKind.PENALTY).amount_atoms
    assert ["LIQUIDATION_STARTED", "SLICE", "PENALTY", "LIQUIDATION_ENDED"] == desk.tell()
    assert (0, 0) == (desk.cash(DEBTOR), desk.lots(DEBTOR))
    desk.check()


def test_a_debt_without_positions_is_paid_as_far_as_the_fund_goes(desk: FallingDesk) -> None:
    """[LIQ-3] [LIQ-7]: everything was sold and it was not enough: no auction of nothing, and what the fund
    lacks stays owed.
    """
    desk.place(HELPER, BUY, lots=LOTS, price_ticks=25_080)
    desk.tick(62_700)
    debt = LOTS * 17_300_000 + LOTS * 31_350 - EQUITY
    fund = FUND + LOTS * (31_350 - 6_270) // 10
    names = ["LIQUIDATION_STARTED", "SLICE", "PENALTY", "INSURED", "LIQUIDATION_ENDED"]
    assert names == desk.tell()
    assert [0, fund, fund - debt] == [step.amount_atoms for step in desk.state.steps[2:]]
    assert (fund - debt, 0, NONE) == (
        desk.cash(DEBTOR),
        desk.state.insurance_atoms,
        desk.account(DEBTOR).stage,
    )
    desk.check()


def test_positions_that_expire_end_it(desk: FallingDesk) -> None:
    """[LIQ-1] [LIQ-7]: an account in liquidation that holds nothing any more is looked at all the same."""
    desk = make_desk(deposits=(10**6, 1_500, 10**6, 10**6))
    desk.place(DEBTOR, SELL, instrument=CALL, lots=10, price_ticks=1_100)
    desk.place(RICH, BUY, instrument=CALL, lots=10, price_ticks=1_100)
    desk.time_ns = EXPIRY_NS - 1_800 * SECOND
    desk.tick(105_000)
    assert LiquidationStage.AUCTION == desk.account(DEBTOR).stage
    desk.insure(RICH, 10 * USDC)
    fund = desk.state.insurance_atoms
    desk.time_ns = EXPIRY_NS
    desk.report_index(105_000)
    desk.tick()
    assert ["INSURED", "LIQUIDATION_ENDED"] == desk.tell()
    assert [fund, desk.cash(DEBTOR)] == [step.amount_atoms for step in desk.state.steps]
    assert desk.cash(DEBTOR) < 0 == desk.state.insurance_atoms
    desk.check()


def test_a_fill_arms_what_waits_for_its_maker(desk: FallingDesk) -> None:
    """[LIQ-3] [MATCH-11] [TRIG-5]: a maker that a slice fills completes, and its child fires."""
    parent = desk.place(HELPER, BUY, lots=4, price_ticks=28_800)
    child = desk.wait(
        HELPER, SELL, parent_id=parent, lots=4, price_ticks=29_000, time_in_force=TimeInForce.GTC
    )
    desk.tick(72_000)
    assert (child, 29_000, 4, 4) in desk.book(SELL)
    desk.check()
