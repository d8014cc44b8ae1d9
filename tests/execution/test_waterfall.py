"""Scenes of what slices cannot mend, at the engine: auction, fund, deleveraging; figures by hand.

Amounts beside the code are in USDC. After every TICK money and lots add up (court.py).
"""

import pytest

from novate.execution.views import (
    read_account,
    read_open_orders,
    read_positions,
    read_waiting_orders,
)
from novate.protocol.generated.codes import LiquidationStage, Side
from tests.execution.court import (
    DEBTOR,
    MAKER,
    PERPETUAL,
    STRANGER,
    TAKER,
    TICKS_PER_USDC,
    Court,
    indebted,
)
from tests.execution.scenes import find_lots
from tests.law.desk import USDC

NONE, SLICES, AUCTION = LiquidationStage
START_ATOMS = 10**6 * USDC

# The auction [LIQ-4] [LIQ-5]


@pytest.mark.parametrize(
    ("demands", "winner", "bonus_atoms"),
    [
        ({"taker": 40_000, "stranger": 20_001}, STRANGER, 2_070_104),  # 2.0701035, rounded up
        ({"stranger": 20_000, "taker": 20_000, "maker": 20_001}, TAKER, 2_070_000),  # the lower account
        ({"taker": 50_001, "stranger": 50_000}, STRANGER, 5_175_000),  # just what is on offer
        ({"taker": 0, "stranger": -1, "debtor": 0}, TAKER, 0),
    ],
)
def test_the_least_demand_takes_all(demands: dict[str, int], winner: int, bonus_atoms: int) -> None:
    """[LIQ-4] [LIQ-5]: at 75 the requirement is 103.5 and equity 100; the first rate on offer is 5 %."""
    court = indebted(slice_tick_count=1)
    for role, demand in demands.items():
        court.must(role, f"backstop demand_e6={demand}")
    court.mark(75)
    assert [(100 * USDC,)] == court.found("AUCTION_STARTED", "amount_atoms")
    court.tick()
    assert ["ASSIGNED", "AUCTION_TAKEN", "LIQUIDATION_ENDED"] == court.told()
    assigned = ("account", "maker_account", "instrument", "lots", "amount_atoms")
    assert [(DEBTOR, winner, PERPETUAL, 10, 75 * USDC)] == court.found("ASSIGNED", *assigned)
    taken = ("account", "maker_account", "amount_atoms", "maker_amount_atoms")
    assert [(DEBTOR, winner, bonus_atoms, 0)] == court.found("AUCTION_TAKEN", *taken)
    assert 100 * USDC - bonus_atoms == court.cash(DEBTOR)
    assert START_ATOMS + bonus_atoms == court.cash(winner)
    (position,) = read_positions(court.engine, winner)
    assert (10, 750 * USDC) == (position.lots, position.cost_atoms)
    assert (NONE, 0) == court.stage()


def test_a_lone_backstop_gets_its_demand_although_more_is_on_offer() -> None:
    """[LIQ-4]: 5.0001 % is not on offer until the rate is 10 %, and is what is paid: 5.1751035."""
    court = indebted(slice_tick_count=1)
    court.must("taker", "backstop demand_e6=50_001")
    court.mark(75)
    court.tick()
    assert ([], (AUCTION, 1)) == (court.told(), court.stage())
    court.tick()
    assert [(TAKER, 5_175_104)] == court.found("AUCTION_TAKEN", "maker_account", "amount_atoms")


@pytest.mark.parametrize("missing_atoms", [0, 1])
def test_a_backstop_must_be_able_to_bear_the_portfolio(missing_atoms: int) -> None:
    """[LIQ-5]: ten lots at 75 need 135 initially, of which the bonus of 5 % brings 5.175."""
    court = indebted(slice_tick_count=1)
    spare = START_ATOMS - 129_825_000 + missing_atoms
    court.must("stranger", f"withdraw amount_atoms={spare}", "backstop demand_e6=50_000")
    court.mark(75)
    court.tick()
    assert missing_atoms == (court.found("AUCTION_TAKEN") == [])
    if not missing_atoms:
        view = read_account(court.engine, STRANGER)
        assert (135 * USDC, 135 * USDC) == (view.equity_atoms, view.initial_margin_atoms)


def test_a_backstop_that_holds_what_is_stale_is_passed() -> None:
    """[LIQ-5]: the stranger asks less, but its lot of ETH cannot be judged; the taker has an order there."""
    court = indebted(slice_tick_count=1)
    terms = "underlying=eth instrument_kind=perpetual strike_atoms=0 expiry_ns=0"
    court.must("operator", f"list {terms}")
    court.must("oracle", "index underlying=eth index_atoms=usdc", "tick")
    court.must("maker", "place instrument=eth_perpetual side=sell price_ticks=10")
    court.must("stranger", "place instrument=eth_perpetual price_ticks=10", "backstop")
    court.must("taker", "place instrument=eth_perpetual price_ticks=9", "backstop demand_e6=30_000")
    court.must("oracle", "index after=60 index_atoms=75_000*usdc", "index after=1 index_atoms=75_000*usdc")
    court.tick()
    assert ["LIQUIDATION_STARTED", "SLICE", "AUCTION_STARTED"] == court.told()
    court.tick()
    assert [(TAKER,)] == court.found("AUCTION_TAKEN", "maker_account")


# The fund, deleveraging and shared losses [LIQ-6] [LIQ-7]


def test_the_fund_pays_debts_and_no_bonus() -> None:
    """[LIQ-4] [LIQ-7]: at 64 the debtor owes 10. Of a fund of 12 nothing is for a bonus: a millionth of 88.32
    is not met; who asks nothing takes the portfolio, and 2 remain.
    """
    court = indebted()
    court.mark(64)
    assert ["LIQUIDATION_STARTED", "SLICE", "AUCTION_STARTED"] == court.told()
    court.must("stranger", "insure amount_atoms=12*usdc")
    court.must("taker", "backstop demand_e6=1")
    court.tick()
    assert [] == court.told()
    court.must("maker", "backstop demand_e6=0")
    court.tick()
    assert ["ASSIGNED", "AUCTION_TAKEN", "INSURED", "LIQUIDATION_ENDED"] == court.told()
    taken = ("maker_account", "amount_atoms", "maker_amount_atoms")
    assert [(MAKER, 0, 0)] == court.found("AUCTION_TAKEN", *taken)
    assert [(DEBTOR, 10 * USDC)] == court.found("INSURED", "account", "amount_atoms")
    assert (0, 2 * USDC) == (court.cash(DEBTOR), court.fund())


@pytest.mark.parametrize("missing_atoms", [0, 1])
def test_the_account_must_have_the_bonus(missing_atoms: int) -> None:
    """[LIQ-4] [LIQ-5]: at 65 nothing is left; 5 % of 89.7 are deposited, 4.485, or an atom less. Who asks
    a little less than 5 % is given it all the same.
    """
    court = indebted()
    court.mark(65)
    court.must("stranger", "insure amount_atoms=100*usdc")
    court.must("debtor", f"deposit amount_atoms={4_485_000 - missing_atoms}")
    court.must("taker", "backstop demand_e6=50_000")
    court.tick()
    assert [(4_485_000, 0)] * (1 - missing_atoms) == court.found(
        "AUCTION_TAKEN", "amount_atoms", "maker_amount_atoms"
    )
    if missing_atoms:
        assert ([], (AUCTION, 1)) == (court.told(), court.stage())
        court.must("taker", "backstop demand_e6=49_999")
        court.tick()
        assert [(4_484_911,)] == court.found("AUCTION_TAKEN", "amount_atoms")
    assert (missing_atoms * 88, 100 * USDC) == (court.cash(DEBTOR), court.fund())


def test_a_loss_that_no_fund_covers_is_shared_by_who_was_closed() -> None:
    """The debtor sold 4 at 80 to the maker and 6 at 79 to the taker: at 97 it lost 68 + 108 of 160.

    Of the 16 missing the fund pays 4. A 256th part of 582 000 000 is 2 273 437.5, of 388 000 000 it is
    1 515 625; with one more each, the taker pays 12 * 2 273 438 / 3 789 064 = 7.1999987.
    """
    court = Court(160)
    court.deal("maker", "debtor", 4, 80)
    court.deal("taker", "debtor", 6, 79)
    court.mark(97)
    assert ["LIQUIDATION_STARTED", "SLICE", "AUCTION_STARTED"] == court.told()
    assert [(97 * TICKS_PER_USDC, Side.BUY)] == court.found("SLICE", "price_ticks", "side")
    court.must("stranger", "insure amount_atoms=4*usdc", "backstop")
    court.tick()
    names = ["DELEVERAGED"] * 2 + ["INSURED"] + ["LOSS_SHARED"] * 2 + ["LIQUIDATION_ENDED"]
    assert names == court.told(), "A backstop that asks nothing is not given a hole."
    closed = court.found("DELEVERAGED", "account", "maker_account", "lots", "amount_atoms")
    assert [(DEBTOR, TAKER, -6, 97 * USDC), (DEBTOR, MAKER, -4, 97 * USDC)] == closed
    assert [(DEBTOR, 4 * USDC)] == court.found("INSURED", "account", "amount_atoms")
    shared = court.found("LOSS_SHARED", "account", "maker_account", "amount_atoms")
    assert [(TAKER, DEBTOR, 7_199_998), (MAKER, DEBTOR, 4_800_002)] == shared
    assert [(0,)] == court.found("LIQUIDATION_ENDED", "amount_atoms")
    assert START_ATOMS + 108 * USDC - 7_199_998 == court.cash(TAKER)
    assert START_ATOMS + 68 * USDC - 4_800_002 == court.cash(MAKER)
    assert (0, 0) == (court.cash(DEBTOR), court.fund())


@pytest.mark.parametrize(
    ("taker_usdc", "first", "second"),
    [
        (81, (TAKER, 8), (MAKER, 2)),  # 7 a lot are more than 6.
        (80, (MAKER, 6), (TAKER, 4)),  # As much: the lower account.
        (79, (MAKER, 6), (TAKER, 4)),
    ],
)
def test_who_gains_most_per_lot_is_closed_first(
    taker_usdc: int, first: tuple[int, int], second: tuple[int, int]
) -> None:
    """[LIQ-6]: the maker sold 6 at 80, the taker 8, half of them to the stranger; the rest stays open."""
    court = Court(slice_tick_count=1, auction_tick_count=1)
    court.deal("debtor", "maker", 6, 80)
    court.deal("debtor", "taker", 4, taker_usdc)
    court.deal("stranger", "taker", 4, taker_usdc)
    court.mark(74)
    court.tick()
    assert ["DELEVERAGED", "DELEVERAGED", "LIQUIDATION_ENDED"] == court.told()
    assert [first, second] == court.found("DELEVERAGED", "maker_account", "lots")
    # Nobody loses: 150 less what ten lots cost above 740.
    equity = (150 + 740 - 6 * 80 - 4 * taker_usdc) * USDC
    assert (equity, 0) == (court.cash(DEBTOR), find_lots(court, "debtor"))
    left = {MAKER: 6, TAKER: 8}
    expected = [-left[account] + dict((first, second))[account] for account in (MAKER, TAKER)]
    assert [*expected, 4] == [find_lots(court, role) for role in ("maker", "taker", "stranger")]


def test_a_debt_waits_for_the_fund() -> None:
    """[LIQ-3] [LIQ-7]: at 64 a bid takes all ten lots: no auction of nothing, and 10 are owed until the fund
    has money.
    """
    court = indebted()
    court.offer("maker", "buy", 10, 64)
    court.mark(64)
    assert ["LIQUIDATION_STARTED", "SLICE", "PENALTY", "LIQUIDATION_ENDED"] == court.told()
    assert [(0,)] == court.found("PENALTY", "amount_atoms")
    assert (-10 * USDC, (NONE, 0)) == (court.cash(DEBTOR), court.stage())
    court.tick()
    assert [] == court.told()
    for paid_in, paid_out, owed, left in ((4, 4, 6, 0), (7, 6, 0, 1)):
        court.must("stranger", f"insure amount_atoms={paid_in}*usdc")
        court.tick()
        assert [(DEBTOR, paid_out * USDC)] == court.found("INSURED", "account", "amount_atoms")
        assert (-owed * USDC, left * USDC) == (court.cash(DEBTOR), court.fund())
    court.tick()
    assert [] == court.told()


def test_flat_accounts_are_untouched() -> None:
    """Through slices, auction, deleveraging and a shared loss, who holds nothing keeps cash and orders."""
    court = indebted(slice_tick_count=1, auction_tick_count=2)
    court.offer("stranger", "buy", 5, 40)
    court.must("stranger", "place_trigger")

    def look() -> tuple[object, ...]:
        view = read_account(court.engine, STRANGER)
        orders = read_open_orders(court.engine, STRANGER), read_waiting_orders(court.engine, STRANGER)
        return view.cash_atoms, view.equity_atoms, view.nonce, view.warned, *orders

    before, told = look(), []
    for usdc in (75, 70, 64):
        court.mark(usdc)
        told += court.told()
        assert before == look()
        named = {event[name] for event in court.events for name in ("account", "maker_account")}
        assert STRANGER not in named
    names = ["LIQUIDATION_STARTED", "SLICE", "AUCTION_STARTED", "DELEVERAGED", "LOSS_SHARED"]
    assert [*names, "LIQUIDATION_ENDED"] == told
    # Of the maker's gain of 160 the debtor's 150 are there; the 10 that are missing are the maker's.
    assert (START_ATOMS + 150 * USDC, 0) == (court.cash(MAKER), court.cash(DEBTOR))
