"""Scenes of liquidation at the engine: margin calls, starts, slices and ends, with figures by hand.

Amounts beside the code are in USDC. After every TICK money and lots add up (court.py).
"""

import pytest

from novate.execution.views import (
    read_instrument_state,
    read_open_orders,
    read_waiting_orders,
)
from novate.protocol.generated.codes import CancelReason, Code, LiquidationStage, Side
from tests.execution.court import (
    CALL,
    DEBTOR,
    ETH_CALL,
    MAKER,
    PERPETUAL,
    TICKS_PER_USDC,
    Court,
    indebted,
)
from tests.execution.scenes import find_lots
from tests.law.desk import USDC

NONE, SLICES, AUCTION = LiquidationStage

# Calls and slices [LIQ-1] [LIQ-2] [LIQ-3]


def test_a_margin_call_comes_once_until_the_account_stands_above_again() -> None:
    """At 77: equity 150 - 30 = 120, requirement 106.26, warning level 127.512; at 79 140 and 130.824."""
    court = indebted()
    call = (DEBTOR, 120 * USDC, 106_260_000)
    for usdc, calls in ((77, [call]), (77, []), (79, []), (77, [call])):
        court.mark(usdc)
        assert calls == court.found("MARGIN_CALL", "account", "amount_atoms", "maker_amount_atoms")
        assert ["MARGIN_CALL"] * len(calls) == court.told()
    assert (10, (NONE, 0)) == (find_lots(court, "debtor"), court.stage())


def test_a_start_ends_every_order_of_the_account_and_no_other() -> None:
    """[LIQ-1]: open orders by id, then waiting ones; the slice takes the next id and does not rest."""
    court = indebted()
    court.offer("debtor", "buy", 1, 1)
    court.must("debtor", "place_trigger parent_id=last reference=by_none trigger_atoms=0 side=sell")
    court.must("debtor", "place_trigger", "place side=sell price_ticks=40_000")
    court.must("maker", "place", "place_trigger")
    first = court.look_up("last", "maker") - 5
    court.mark(75)
    # At 75: equity 100, requirement 103.5. Down 16 % is scenario 0, the first underlying is 0.
    started = ("account", "amount_atoms", "maker_amount_atoms", "instrument")
    assert [(DEBTOR, 100 * USDC, 103_500_000, 0)] == court.found("LIQUIDATION_STARTED", *started)
    ended = court.found("CANCELLED", "order_id", "reason")
    mine, child = CancelReason.LIQUIDATION, CancelReason.PARENT_ENDED
    expected = [(first, mine), (first + 1, child), (first + 3, mine), (first + 2, mine)]
    assert [*expected, (first + 6, CancelReason.IOC_REMAINDER)] == ended
    assert [(first + 6,)] == court.found("SLICE", "order_id")
    assert [] == read_open_orders(court.engine, DEBTOR) + read_waiting_orders(court.engine, DEBTOR)
    assert [first + 4] == [order.order_id for order in read_open_orders(court.engine, MAKER)]
    assert [first + 5] == [order.order_id for order in read_waiting_orders(court.engine, MAKER)]
    assert (SLICES, 1) == court.stage()
    for line in ("place", "place_trigger", "withdraw", "insure"):
        assert Code.IN_LIQUIDATION == court.say("debtor", line)


@pytest.mark.parametrize(
    ("usdc", "slice_usdc", "lots", "limit_ticks"),
    [
        # 10 a lot may be lost and the band is 3.75: 71.25. 300 hold 4 lots of 75, 299 only 3.
        (75, 300, 4, 28_500),
        (75, 299, 3, 28_500),
        (75, 1, 1, 28_500),
        # Equity of 20 bears 2 a lot, inside the band of 3.35: 65.
        (67, 10_000, 10, 26_000),
        # Nothing is left to lose: the mark.
        (65, 10_000, 10, 26_000),
        (64, 10_000, 10, 25_600),
    ],
)
def test_a_slice_closes_inside_the_band_and_before_bankruptcy(
    usdc: int, slice_usdc: int, lots: int, limit_ticks: int
) -> None:
    """[LIQ-2]: a bid at the limit is taken and one a tick below is not."""
    court = indebted()
    court.must("operator", f"set_slice slice_notional_atoms={slice_usdc}*usdc")
    court.must("maker", f"place lots=1 price_ticks={limit_ticks}")
    court.must("stranger", f"place lots=20 price_ticks={limit_ticks - 1}")
    court.mark(usdc)
    fields = ("instrument", "side", "price_ticks", "lots")
    assert [(PERPETUAL, Side.SELL, limit_ticks, lots)] == court.found("SLICE", *fields)
    assert [(1, limit_ticks)] == court.found("FILL", "lots", "price_ticks")
    assert (9, 0) == (find_lots(court, "debtor"), find_lots(court, "stranger"))
    # Nothing or less is left: the auction follows at once.
    assert (usdc <= 65) == (court.stage()[0] == AUCTION)


def test_a_slice_that_restores_the_margin_ends_it_at_once() -> None:
    """4 lots sold at 74 lose 4 of 100, the penalty is 0.5 % of 300; 94.5 cover 13.8 % of 450, 62.1."""
    court = indebted()
    court.must("operator", "set_slice slice_notional_atoms=300*usdc")
    court.offer("maker", "buy", 9, 74)
    court.mark(75)
    assert ["LIQUIDATION_STARTED", "SLICE", "PENALTY", "LIQUIDATION_ENDED"] == court.told()
    assert [(DEBTOR, 1_500_000)] == court.found("PENALTY", "account", "amount_atoms")
    assert [(94_500_000,)] == court.found("LIQUIDATION_ENDED", "amount_atoms")
    # 4 of 10 lots that cost 800 were sold for 296: 150 - 24 - 1.5.
    assert (124_500_000, 6, 1_500_000) == (court.cash(DEBTOR), find_lots(court, "debtor"), court.fund())


def test_slices_reduce_delta_first() -> None:
    """[LIQ-2]: 25 perpetuals hedge 4 short calls. Volatility rises from 10 % to 25 % in all, which costs
    the calls 47.7 each and moves their delta to 800 * N(0.125) = 439.79: 2 000 - 1 759.16 = 240.84 are
    3.01 perpetuals; then 1 759.16 - 1 680 is less than a call; then 1 680 - 1 319.37 = 360.63 are 4.5.
    """
    court = Court(600)
    court.must("debtor", f"place instrument={CALL} side=sell lots=4 price_ticks=638")
    court.must("maker", f"place instrument={CALL} lots=4 price_ticks=638")
    court.deal("debtor", "maker", 25, 80)
    court.must("debtor", "withdraw amount_atoms=190*usdc")
    court.offer("taker", "buy", 30, 79)
    court.must("stranger", f"place instrument={CALL} side=sell lots=9 price_ticks=1600")
    court.must("oracle", "surface after=1 svi_a_x48=17_592_186_044_416")
    found = []
    for _ in range(3):
        court.tick()
        found += court.found("SLICE", "instrument", "side", "price_ticks", "lots")
    state = read_instrument_state(court.engine, CALL)
    assert abs(439_790_000 - state.delta_atoms) < 100_000
    # Perpetuals at 80 less 5 %; calls at 79.58 more 5 % of 800, in ticks of 0.05.
    edge = (state.mark_atoms + 40 * USDC) // 50_000
    sold, bought = (PERPETUAL, Side.SELL, 76 * TICKS_PER_USDC), (CALL, Side.BUY, edge)
    assert [(*sold, 4), (*bought, 1), (*sold, 5)] == found
    assert (16, -3) == (find_lots(court, "debtor"), find_lots(court, "debtor", CALL))
    # 0.5 % of 9 * 80 and of 800, which is below an eighth of the call's 79.58.
    assert 3_600_000 + 4_000_000 == court.fund()
    assert "LIQUIDATION_ENDED" == court.told()[-1]


def test_the_penalty_of_an_option_is_an_eighth_of_its_worth_at_most() -> None:
    """[LIQ-3]: a tenth of 800 is 80 a call; at a volatility of 25 % in all it is worth 79.581."""
    court = Court(290, liquidation_fee_e6=100_000)
    court.must("debtor", f"place instrument={CALL} side=sell lots=2 price_ticks=638")
    court.must("maker", f"place instrument={CALL} lots=2 price_ticks=638")
    court.must("stranger", f"place instrument={CALL} side=sell lots=1 price_ticks=1600")
    court.must("oracle", "surface after=1 svi_a_x48=17_592_186_044_416")
    court.tick()
    mark = read_instrument_state(court.engine, CALL).mark_atoms
    assert abs(79_581_000 - mark) < 1_000
    assert [(-(-mark // 8),)] == court.found("PENALTY", "amount_atoms")
    assert -(-mark // 8) == court.fund()


@pytest.mark.parametrize("stage", [SLICES, AUCTION])
def test_the_market_coming_back_ends_a_liquidation(stage: LiquidationStage) -> None:
    """[LIQ-1] [LIQ-8]: at 80 equity is 150 again and the requirement 110.4; nothing was sold."""
    court = indebted(slice_tick_count=1 if stage == AUCTION else 5)
    court.mark(75)
    assert stage == court.stage()[0]
    court.mark(80)
    assert ["LIQUIDATION_ENDED"] == court.told()
    assert [(150 * USDC,)] == court.found("LIQUIDATION_ENDED", "amount_atoms")
    assert (10, (NONE, 0)) == (find_lots(court, "debtor"), court.stage())
    court.must("debtor", "place")


@pytest.mark.parametrize(
    ("usdc", "names", "equity_atoms"),
    [(80, ["LIQUIDATION_ENDED"], 353_800_000), (100, ["INSURED", "LIQUIDATION_ENDED"], -42_200_000)],
)
def test_positions_that_expire_end_a_liquidation(usdc: int, names: list[str], equity_atoms: int) -> None:
    """[LIQ-1] [LIQ-7] [LIQ-8]: two short calls expire. With the 31.9 that each brought there are 353.8; at
    100 they cost 200 each, and of the 46.2 missing the fund has 4.
    """
    court = Court(290)
    court.must("debtor", f"place instrument={CALL} side=sell lots=2 price_ticks=638")
    court.must("maker", f"place instrument={CALL} lots=2 price_ticks=638")
    court.must("oracle", "surface after=1 svi_a_x48=17_592_186_044_416")
    court.tick()
    assert SLICES == court.stage()[0]
    court.must("stranger", "insure amount_atoms=4*usdc")
    for seconds in (30 * 86_400 - 1_802, 901, 900):
        court.must("oracle", f"index after={seconds} index_atoms={usdc}*1_000*usdc")
    court.tick()
    assert names == court.told()
    assert [(equity_atoms,)] == court.found("LIQUIDATION_ENDED", "amount_atoms")
    assert (NONE, 0) == court.stage()


def test_a_start_names_an_underlying_in_which_lots_are_held() -> None:
    """[LIQ-1]: a debt beside a worthless call on ETH: neither underlying requires anything, and BTC, the
    lower one, has no lots to close. The call is offered for a tick.
    """
    court = Court()
    call = "instrument=eth_call_100"
    court.must("operator", "list underlying=eth strike_atoms=100*usdc")
    court.must("oracle", "index underlying=eth index_atoms=usdc")
    court.must("oracle", "surface underlying=eth forward_atoms=usdc", "tick")
    court.must("maker", f"place {call} side=sell")
    court.must("debtor", f"place {call}")
    # 150 less the price of 0.001 is moved, and 5 more.
    accounts = court.engine.world.accounts
    moved = court.cash(DEBTOR) + 5 * USDC
    accounts["cash_atoms"][DEBTOR] -= moved
    accounts["cash_atoms"][MAKER] += moved
    court.tick()
    figures = ("amount_atoms", "maker_amount_atoms", "instrument")
    assert [(-5 * USDC, 0, 1)] == court.found("LIQUIDATION_STARTED", *figures)
    assert [(ETH_CALL, Side.SELL, 1, 1)] == court.found("SLICE", "instrument", "side", "price_ticks", "lots")
    assert (AUCTION, 0) == court.stage()
