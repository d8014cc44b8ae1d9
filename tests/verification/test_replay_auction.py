"""The replayer's reading of how a liquidation ends: backstops, deleveraging, the fund; figures by hand."""

import pytest

from novate.protocol.generated.codes import Code, CommandKind, EventKind, LiquidationStage, Side
from novate.protocol.generated.constants import GROSS_LOTS_MAX
from novate.verification.auction import can_bear, list_backstops
from novate.verification.deleveraging import rank_opposite
from novate.verification.risk import compute_equity, compute_held_basis, compute_summary, find_portfolio
from novate.verification.steps import Step
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
from tests.verification.order_desk import CALL, MARK_TICKS, PERPETUAL, SECOND, USDC

BUY, SELL = Side
NONE, SLICES, AUCTION = LiquidationStage
LOT_72 = 72_000_000
EQUITY_72 = EQUITY - LOTS * 8_000_000
NEED_72 = LOTS * LOT_72 * 138 // 1_000
# At 62 700 the debtor owes 20.2 USDC.
LOT_62 = 62_700_000
DEBT_62 = LOTS * 17_300_000 - EQUITY
NEED_62 = LOTS * LOT_62 * 138 // 1_000


@pytest.fixture
def desk() -> FallingDesk:
    """The debtor holds thirty lots, and the first slice that does not help leads to the auction."""
    desk = make_desk(slice_tick_count=1, auction_tick_count=3)
    desk.sell_to_debtor()
    return desk


def ended(equity_atoms: int) -> Step:
    return Step(EventKind.LIQUIDATION_ENDED, DEBTOR, amount_atoms=equity_atoms)


def insured(amount_atoms: int) -> Step:
    return Step(EventKind.INSURED, DEBTOR, amount_atoms=amount_atoms)


def shared(payer: int, amount_atoms: int) -> Step:
    return Step(EventKind.LOSS_SHARED, payer, DEBTOR, amount_atoms=amount_atoms)


def closed(winner: int, lots: int, mark_atoms: int, instrument: int = PERPETUAL) -> Step:
    place = {"instrument": instrument, "lots": lots, "amount_atoms": mark_atoms}
    return Step(EventKind.DELEVERAGED, DEBTOR, winner, **place)


def test_the_rate_on_offer_grows_until_a_backstop_takes_all(desk: FallingDesk) -> None:
    """[LIQ-4] [LIQ-5]: positions pass at the mark, the bonus is the demand times the requirement."""
    desk.back(WITNESS, 100_000)
    desk.tick(72_000)
    assert (AUCTION, 0) == (desk.account(DEBTOR).stage, desk.account(DEBTOR).stage_ticks)
    desk.tick()
    assert ([], AUCTION, 1) == (
        desk.state.steps,
        desk.account(DEBTOR).stage,
        desk.account(DEBTOR).stage_ticks,
    )
    cash = desk.cash(WITNESS)
    desk.tick()
    bonus = NEED_72 // 10
    assigned = Step(EventKind.ASSIGNED, DEBTOR, WITNESS, lots=LOTS, amount_atoms=LOT_72)
    taken = Step(EventKind.AUCTION_TAKEN, DEBTOR, WITNESS, amount_atoms=bonus)
    assert [assigned, taken, ended(EQUITY_72 - bonus)] == desk.state.steps
    assert (cash + bonus, EQUITY_72 - bonus) == (desk.cash(WITNESS), desk.cash(DEBTOR))
    position = desk.account(WITNESS).holdings[0][PERPETUAL]
    assert (LOTS, LOTS * LOT_72, {}) == (position.lots, position.cost_atoms, desk.account(DEBTOR).holdings[0])
    assert (NONE, FUND) == (desk.account(DEBTOR).stage, desk.state.insurance_atoms)
    assert MARK_TICKS == desk.state.instruments[PERPETUAL].last_ticks, "An assignment is not a fill."
    desk.check()


def test_the_least_demand_is_asked_first_and_then_the_lowest_account(desk: FallingDesk) -> None:
    """[LIQ-4]: who demands more than the rate, offers nothing or is in liquidation is not asked."""
    for demands, expected in (
        ((50_000, 0, 50_000, 7), (WITNESS, RICH, HELPER)),
        ((50_001, 0, 0, 0), (HELPER, WITNESS)),
        ((-1, -1, 50_000, -1), (HELPER,)),
    ):
        for trader, demand in enumerate(demands):
            desk.back(trader, demand)
        desk.tick(72_000)
        assert AUCTION == desk.account(DEBTOR).stage
        assert list(expected) == [account.number for account in list_backstops(desk.state, 50_000)]
        desk.tick(80_000)
        assert NONE == desk.account(DEBTOR).stage


def test_equity_that_recovers_ends_an_auction(desk: FallingDesk) -> None:
    """[LIQ-1] [LIQ-8]: the requirement is met again when its turn comes."""
    desk.tick(72_000)
    desk.tick(80_000)
    assert [ended(EQUITY)] == desk.state.steps
    assert (LOTS, 0) == (desk.lots(DEBTOR), desk.account(DEBTOR).stage_ticks)


def test_a_backstop_that_cannot_bear_it_is_passed(desk: FallingDesk) -> None:
    """[LIQ-4] [LIQ-5]: the next one is asked, in the same tick and at the same rate."""
    poor = make_desk((10**6, 500, 20, 10**6), slice_tick_count=1)
    poor.sell_to_debtor()
    poor.back(HELPER, 0)
    poor.back(WITNESS, 50_000)
    poor.tick(72_000)
    poor.tick()
    assert (0, LOTS) == (poor.lots(HELPER), poor.lots(WITNESS))
    poor.check()


def test_a_backstop_may_close_what_it_holds(desk: FallingDesk) -> None:
    """[LIQ-5] [NOVATE-3] [NOVATE-5]: the seller takes the lots back, and its record is gone."""
    desk.back(RICH, 50_000)
    cash = desk.cash(RICH)
    desk.tick(72_000)
    desk.tick()
    gain, bonus = LOTS * 8_000_000, NEED_72 * 5 // 100
    assert (cash + gain + bonus, 0) == (desk.cash(RICH), desk.state.position_count)
    desk.check()


def test_the_fund_pays_debts_and_no_bonus(desk: FallingDesk) -> None:
    """[LIQ-4] [LIQ-5] [LIQ-7]: a bankrupt account is taken by who demands nothing, and the fund pays."""
    desk.insure(HELPER, 50 * USDC)
    desk.back(WITNESS, 1)
    desk.tick(62_700)
    assert AUCTION == desk.account(DEBTOR).stage
    desk.tick()
    assert ([], 1) == (desk.state.steps, desk.account(DEBTOR).stage_ticks)
    desk.back(WITNESS, 0)
    desk.tick()
    taken = Step(EventKind.AUCTION_TAKEN, DEBTOR, WITNESS)
    assert [taken, insured(DEBT_62), ended(0)] == desk.state.steps[1:]
    assert FUND + 50 * USDC - DEBT_62 == desk.state.insurance_atoms
    assert 0 == desk.cash(DEBTOR)
    desk.check()


def test_the_account_must_have_the_bonus(desk: FallingDesk) -> None:
    """[LIQ-4] [LIQ-5]: 5 % of 259.578 is 12.9789; an atom less is left, which no fund adds; who demands a
    millionth less leaves 259 atoms.
    """
    bonus = 12_978_900
    assert NEED_62 * 5 == bonus * 100
    desk.deposit(DEBTOR, DEBT_62 + bonus - 1)
    desk.insure(HELPER, 50 * USDC)
    desk.back(WITNESS, 50_000)
    desk.tick(62_700)
    desk.tick()
    assert ([], 1) == (desk.state.steps, desk.account(DEBTOR).stage_ticks)
    desk.back(WITNESS, 49_999)
    desk.tick()
    # A millionth of 259.578 is 259.578 atoms; the demand is rounded up.
    taken = Step(EventKind.AUCTION_TAKEN, DEBTOR, WITNESS, amount_atoms=bonus - 259)
    assert [taken, ended(258)] == desk.state.steps[1:]
    assert FUND + 50 * USDC == desk.state.insurance_atoms
    desk.check()


def test_the_account_may_spend_its_last_atom_on_the_bonus(desk: FallingDesk) -> None:
    """[LIQ-4] [LIQ-5]: a demand for just what is left is met, and nothing is owed."""
    bonus = NEED_62 * 5 // 100
    desk.deposit(DEBTOR, DEBT_62 + bonus)
    desk.back(WITNESS, 50_000)
    desk.tick(62_700)
    desk.tick()
    taken = Step(EventKind.AUCTION_TAKEN, DEBTOR, WITNESS, amount_atoms=bonus)
    assert [taken, ended(0)] == desk.state.steps[1:]
    assert FUND == desk.state.insurance_atoms
    desk.check()


def test_a_demand_that_is_not_met_ends_in_deleveraging(desk: FallingDesk) -> None:
    """[LIQ-4]: the account has the bonus or the portfolio is not taken; in the end it is deleveraged."""
    desk.deposit(DEBTOR, DEBT_62 + USDC)
    desk.back(WITNESS, 50_000)
    desk.tick(62_700)
    for count in (1, 2):
        desk.tick()
        assert ([], count) == (desk.state.steps, desk.account(DEBTOR).stage_ticks)
    desk.tick()
    assert [closed(RICH, LOTS, LOT_62), ended(USDC)] == desk.state.steps
    assert (USDC, FUND) == (desk.cash(DEBTOR), desk.state.insurance_atoms)
    desk.check()


def test_a_hole_that_the_fund_cannot_fill_ends_the_auction_at_once() -> None:
    """[LIQ-4] [LIQ-6] [LIQ-7]: winners by profit per lot, then the fund, then the winners by weight."""
    desk = make_desk(slice_tick_count=1)
    desk.sell_to_debtor(20)
    desk.trade(DEBTOR, HELPER, 10, MARK_TICKS + 4)
    desk.back(WITNESS, 0)
    fund = desk.state.insurance_atoms
    desk.tick(62_700)
    cash = [desk.cash(trader) for trader in (RICH, HELPER)]
    desk.tick()
    debt = DEBT_62 + 10 * 4 * 2_500 - fund
    # HELPER sold for more, so it is closed first. Weights are floor(627 000 000 / 256) + 1 = 2 449 219 and
    # floor(1 254 000 000 / 256) + 1 = 4 898 438: just a third, rounded down twice.
    first = debt * (2**48 // 3) >> 48
    assert [
        closed(HELPER, 10, LOT_62),
        closed(RICH, 20, LOT_62),
        insured(fund),
        shared(HELPER, first),
        shared(RICH, debt - first),
        ended(0),
    ] == desk.state.steps
    gains = (20 * 17_300_000 - debt + first, 10 * 17_310_000 - first)
    assert [a + b for a, b in zip(cash, gains, strict=True)] == [desk.cash(t) for t in (RICH, HELPER)]
    assert (0, 0, 0) == (desk.cash(DEBTOR), desk.state.insurance_atoms, desk.state.position_count)
    desk.check()


def test_profit_per_lot_decides_then_the_account() -> None:
    """[LIQ-6]: rounded down per lot, the entry value of options too; only the opposite sign is ranked."""
    desk = make_desk((10**6, 10**4, 10**6, 10**6))
    desk.sell_to_debtor()
    desk.trade(HELPER, WITNESS, 3)
    for seller, lots, change in ((HELPER, 1, -1), (RICH, 2, 0), (WITNESS, 4, 0)):
        ticks = desk.call.mark_atoms // desk.call.tick_atoms + change
        desk.place(seller, SELL, instrument=CALL, lots=lots, price_ticks=ticks)
        desk.place(DEBTOR, BUY, instrument=CALL, lots=lots, price_ticks=ticks)
    perpetual, call = desk.state.instruments
    shorts = [(account.number, lots) for account, lots in rank_opposite(desk.state, perpetual, LOTS)]
    assert [(RICH, -LOTS), (WITNESS, -3)] == shorts
    longs = [(account.number, lots) for account, lots in rank_opposite(desk.state, perpetual, -1)]
    assert [(DEBTOR, LOTS), (HELPER, 3)] == longs
    shorts = [(account.number, lots) for account, lots in rank_opposite(desk.state, call, 7)]
    assert [(RICH, -2), (WITNESS, -4), (HELPER, -1)] == shorts


def test_every_position_is_closed_and_every_closing_pays() -> None:
    """[LIQ-6] [LIQ-7]: instruments in ascending number; who was closed twice pays twice, by weight left."""
    desk = make_desk((10**6, 1_500, 10**6, 10**6), slice_tick_count=1)
    desk.trade_at_mark(RICH, DEBTOR, 6, CALL)
    desk.trade(HELPER, DEBTOR, 20)
    desk.trade(RICH, DEBTOR, 10, MARK_TICKS - 1)
    fund = desk.state.insurance_atoms
    desk.tick(115_000)
    debt = -desk.step(EventKind.AUCTION_STARTED).amount_atoms
    desk.tick()
    mark = 115_000_000
    told = [closed(RICH, -10, mark), closed(HELPER, -20, mark), closed(RICH, -6, desk.call.mark_atoms, CALL)]
    assert told == desk.state.steps[:3]
    left, shares = debt - fund, []
    # 10 and 20 lots of 115 USDC and 6 of 1 150 are 1 150, 2 300 and 6 900 USDC, whose 256th parts are
    # 4 492 187.5, 8 984 375 and 26 953 125.
    first, second, third = 4_492_187 + 1, 8_984_375 + 1, 26_953_125 + 1
    for weight, rest in ((first, first + second + third), (second, second + third), (third, third)):
        shares.append(left * (weight * 2**48 // rest) >> 48)
        left -= shares[-1]
    payers = zip((RICH, HELPER, RICH), shares, strict=True)
    assert [insured(fund), *(shared(*pair) for pair in payers), ended(0)] == desk.state.steps[3:]
    assert 0 == desk.cash(DEBTOR) == left
    assert 0 == desk.state.position_count
    desk.check()


def test_deleveraging_does_not_close_more_than_is_held(desk: FallingDesk) -> None:
    """[LIQ-6]: the last winner keeps the rest of its position and its open orders."""
    desk.trade(WITNESS, RICH, 5)
    order_id = desk.place(RICH, SELL, lots=1, price_ticks=33_000)
    desk.tick(62_700)
    desk.tick()
    assert closed(RICH, LOTS, LOT_62) == desk.state.steps[0]
    assert (-5, 5, 1) == (desk.lots(RICH), desk.lots(WITNESS), desk.order(order_id).lots)
    assert -5 * 80_000_000 == desk.account(RICH).holdings[0][PERPETUAL].cost_atoms
    desk.check()


def test_who_loses_a_hedge_has_its_turn_in_the_same_tick() -> None:
    """[LIQ-1]: figures are as they stand when an account's turn comes, after what befell those before it."""
    desk = make_desk((10**6, 500, 600, 10**6), slice_tick_count=1)
    desk.add_future()
    desk.trade_at_mark(HELPER, RICH, LOTS, FUTURE)
    desk.trade(DEBTOR, HELPER, LOTS)
    assert Code.OK == desk.ask(CommandKind.WITHDRAW, HELPER, amount_atoms=450 * USDC)
    desk.tick(62_700)
    assert (AUCTION, NONE) == (desk.account(DEBTOR).stage, desk.account(HELPER).stage)
    desk.tick()
    names = ["DELEVERAGED", "INSURED", "LOSS_SHARED", "LIQUIDATION_ENDED", "LIQUIDATION_STARTED", "SLICE"]
    assert names == desk.tell()[: len(names)]
    assert [HELPER, HELPER] == [step.account for step in desk.state.steps[4:6]]
    assert NONE != desk.account(HELPER).stage
    desk.check()


def make_bearer(confidence_e6: int = 990_000) -> FallingDesk:
    """The debtor is long perpetuals, short futures and calls; the helper has positions, orders, a quote."""
    desk = make_desk((10**6, 10**4, 10**5, 10**6), slice_tick_count=1)
    desk.add_future()
    desk.sell_to_debtor()
    desk.trade_at_mark(RICH, DEBTOR, 7, FUTURE)
    desk.trade_at_mark(RICH, DEBTOR, 5, CALL)
    desk.trade(RICH, HELPER, 9)
    desk.trade_at_mark(HELPER, RICH, 4, CALL)
    desk.place(HELPER, BUY, lots=3, price_ticks=31_000)
    desk.place(HELPER, SELL, instrument=FUTURE, lots=6, price_ticks=33_000)
    fields = {"underlying": 0, "index_atoms": 80_000 * USDC, "confidence_e6": confidence_e6}
    assert Code.OK == desk.apply(CommandKind.INDEX, b"\x72" * 20, observed_ns=desk.time_ns, **fields)
    desk.tick()
    return desk


@pytest.mark.parametrize("confidence_e6", [950_000, 949_999])
def test_what_a_backstop_must_bear(confidence_e6: int) -> None:
    """[LIQ-5]: worst scenario of both together with its orders, each one's contingencies; to the atom."""
    desk = make_bearer(confidence_e6)
    account, helper = desk.account(DEBTOR), desk.account(HELPER)
    mine, taken = find_portfolio(desk.state, helper, 0), find_portfolio(desk.state, account, 0)
    profits = mine.pnl + taken.pnl + mine.effects
    required = max(0, -int(min(profits)), -mine.fill_atoms)
    perpetual, option = 80_000_000, 800_000_000
    # The helper: futures at max(|-9 + 3|, |-9|) and 6 lots, no short option; the debtor: 37 lots, 5 short.
    required += (15 + 37) * perpetual * 2 // 100 + 5 * option * 3 // 100
    (row,) = mine.basis.values()
    required += max(0, -min(row[0] + row[2], row[1] + row[3])) + compute_held_basis(taken)
    if confidence_e6 < 950_000:
        required += ((15 + 37) * perpetual + (4 + 5) * option) * 5 // 100
    spare = compute_equity(desk.state, helper) - required
    assert spare > 0
    assert can_bear(desk.state, helper, account, -spare)
    assert not can_bear(desk.state, helper, account, -spare - 1)


def test_who_took_a_portfolio_has_its_initial_margin() -> None:
    """[LIQ-5]: the bound is never below what the backstop then needs."""
    desk = make_bearer()
    desk.back(HELPER, 0)
    desk.insure(WITNESS, 10**3 * USDC)
    desk.state.pay(desk.account(DEBTOR), -10_050 * USDC)
    desk.state.pay(desk.account(RICH), 10_050 * USDC)
    desk.tick()
    desk.tick()
    numbers = [step.instrument for step in desk.steps(EventKind.ASSIGNED)]
    assert [PERPETUAL, CALL, FUTURE] == numbers
    assert [-9 + LOTS, 4 - 5, -7] == [desk.lots(HELPER, number) for number in numbers]
    equity, _, initial = compute_summary(desk.state, desk.account(HELPER))
    assert equity >= initial > 0
    desk.check()


def test_a_backstop_needs_room(desk: FallingDesk) -> None:
    """[LIQ-5]: gross lots, free records - as many as the account has positions - and a recent index."""
    account, helper = desk.account(DEBTOR), desk.account(HELPER)
    assert can_bear(desk.state, helper, account, 0)
    portfolio = find_portfolio(desk.state, helper, 0)
    portfolio.gross_lots = GROSS_LOTS_MAX - LOTS
    assert can_bear(desk.state, helper, account, 0)
    portfolio.gross_lots += 1
    assert not can_bear(desk.state, helper, account, 0)
    portfolio.gross_lots = 0
    desk.state.limits["positions"] = desk.state.position_count + 1
    assert can_bear(desk.state, helper, account, 0)
    desk.state.limits["positions"] -= 1
    assert not can_bear(desk.state, helper, account, 0)
    desk.state.limits["positions"] += 1
    assert desk.state.time_ns is not None
    desk.state.time_ns += 3_601 * SECOND
    assert not can_bear(desk.state, helper, account, 0)
