"""The replayer's reading of futures, settlement windows, funding, fees and tiers, against figures by hand."""

from fractions import Fraction
from math import erf, floor, log, sqrt

import pytest

from novate.protocol.generated.codes import (
    Code,
    CommandKind,
    InstrumentKind,
    OrderFlag,
    Side,
    TimeInForce,
    TriggerCondition,
    TriggerReference,
)
from novate.protocol.generated.constants import NO_MARK_ATOMS
from novate.protocol.generated.tables import DAMPING_E6, MOVE_E6
from novate.verification.fees import compute_fees
from novate.verification.order_records import Order, Terms
from novate.verification.published import PublishedCommand
from novate.verification.risk import compute_summary, compute_surplus_if_filled
from novate.verification.signatures import check_signatures
from tests.verification.replay_desk import (
    DAY,
    DEPOSIT_ATOMS,
    MAKER,
    SPOT_ATOMS,
    STRANGER,
    TAKER,
    VOLATILITY,
    YEAR,
    Desk,
)
from tests.verification.small_genesis import OPERATOR, SECOND, START_S, TRADERS
from tests.verification.small_venue import Script

MONTH_NS = START_S * SECOND + 30 * DAY
HOUR_NS = START_S * SECOND + 3_600 * SECOND
STRIKE = 80_000_000_000
CALL, PUT, PERPETUAL, FUTURE, _ = InstrumentKind


def price_black(call: bool, forward: float, strike: float, total_volatility: float) -> float:
    """The textbook value of 1.0, in floats."""
    d1 = log(forward / strike) / total_volatility + total_volatility / 2
    n1, n2 = (0.5 * (1 + erf(d / sqrt(2))) for d in (d1, d1 - total_volatility))
    value = forward * n1 - strike * n2
    return value if call else value - forward + strike


def open_series(expiry_ns: int, **parameters: int) -> Desk:
    """Instruments 0 to 3 are a call, a put, a future of one series, and the perpetual; marked."""
    desk = Desk(**parameters)
    desk.open()
    desk.add(CALL, STRIKE, expiry_ns)
    desk.add(PUT, STRIKE, expiry_ns)
    desk.add(FUTURE, 0, expiry_ns)
    desk.add(PERPETUAL)
    desk.report()
    desk.draw(expiry_ns, SPOT_ATOMS + 400_000_123)
    desk.tick()
    return desk


def test_a_future_is_listed_without_a_strike_and_names_its_series() -> None:
    """[LIST-1] [FUT-1]: a future has an expiry and no strike, the perpetual's size and tick, and a series."""
    desk = Desk()
    desk.open()
    desk.add(FUTURE, 1, MONTH_NS, Code.INSTRUMENT_INVALID)
    desk.add(FUTURE, 0, 0, Code.INSTRUMENT_INVALID)
    desk.add(FUTURE, 0, MONTH_NS + 1, Code.INSTRUMENT_INVALID)
    desk.add(FUTURE, 0, desk.time_ns, Code.INSTRUMENT_INVALID)
    future = desk.instrument(desk.add(FUTURE, 0, MONTH_NS))
    call = desk.instrument(desk.add(CALL, STRIKE, MONTH_NS))
    desk.add(FUTURE, 0, MONTH_NS, Code.INSTRUMENT_EXISTS)
    assert (1000, 2_500, 0) == (future.lots_per_unit, future.tick_atoms, future.series)
    assert (100, 50_000, 0) == (call.lots_per_unit, call.tick_atoms, call.series)
    assert ["BTC_USDC-25APR26", "BTC_USDC-25APR26-80000-C"] == desk.replayer.names
    desk.report()
    desk.tick()
    assert NO_MARK_ATOMS == future.mark_atoms, "Without an accepted surface a future has no mark."


def test_marks_rows_and_greeks_of_a_future() -> None:
    """[FUT-1] [FUT-2] [SCENARIO-6] [GREEK-1]: the forward per lot, and its moves floored twice."""
    desk = open_series(MONTH_NS)
    future, mark = desk.instrument(2), (SPOT_ATOMS + 400_000_123) // 1000
    assert (mark, SPOT_ATOMS + 400_000_123) == (future.mark_atoms, future.forward_atoms)
    expected = [
        floor(Fraction(floor(Fraction(mark * int(move), 10**6)) * int(damping), 10**6))
        for move, damping in zip(MOVE_E6, DAMPING_E6, strict=True)
    ]
    assert expected == future.row.tolist()
    down, up = floor(Fraction(-mark, 100)), mark // 100
    assert (down, up) == future.basis
    assert ((up - down) * 50, 0) == (future.delta_atoms, future.vega_atoms)
    assert (80_000_000, 500 * 80) == (future.notional_atoms, future.taker_fee_atoms)
    perpetual = desk.instrument(3)
    assert (80_000_000, 80_000_000, 0) == (
        perpetual.mark_atoms,
        perpetual.delta_atoms,
        perpetual.vega_atoms,
    )
    assert 0 == perpetual.forward_atoms


@pytest.mark.parametrize("number", [0, 1])
def test_greeks_of_an_option_are_near_the_textbook(number: int) -> None:
    """[GREEK-1]: delta is the value's change for the whole forward, vega for one point of volatility."""
    desk = open_series(MONTH_NS)
    option, forward = desk.instrument(number), float(SPOT_ATOMS + 400_000_123)
    root = sqrt((MONTH_NS - desk.time_ns) / YEAR)

    def value(moved: float, volatility: float) -> float:
        return price_black(number == 0, moved, STRIKE, volatility * root) / 100

    assert value(forward, VOLATILITY) == pytest.approx(option.mark_atoms, rel=1e-5)
    slope = (value(forward * 1.01, VOLATILITY) - value(forward * 0.99, VOLATILITY)) * 50
    assert slope == pytest.approx(option.delta_atoms, rel=1e-5)
    point = value(forward, VOLATILITY + 0.01) - value(forward, VOLATILITY)
    assert point == pytest.approx(option.vega_atoms, abs=2)


def test_inside_the_window_only_the_open_part_moves() -> None:
    """[MARK-5]: ten of thirty minutes have passed at one index: a third of the settlement price is known."""
    desk = open_series(HOUR_NS)
    desk.tick(HOUR_NS - 1_800 * SECOND)
    future, call = desk.instrument(2), desk.instrument(0)
    plain = desk.instrument(2).mark_atoms
    assert desk.state.markets[0].dirty is False
    assert (SPOT_ATOMS + 400_000_123) // 1000 == plain
    desk.tick(HOUR_NS - 1_200 * SECOND)
    known, moving = SPOT_ATOMS // 3, (SPOT_ATOMS + 400_000_123) * 2 // 3
    forward = known + moving
    assert (forward, forward // 1000) == (future.forward_atoms, future.mark_atoms)
    open_lot = moving // 1000
    assert [open_lot * int(move) // 10**6 for move in MOVE_E6[:24]] == future.row.tolist()[:24]
    assert (floor(Fraction(-open_lot, 100)), open_lot // 100) == future.basis
    share = moving / forward / sqrt(3)
    volatility = VOLATILITY * sqrt(1_200 * SECOND / YEAR) * share
    expected = price_black(True, forward, STRIKE, volatility) / 100
    assert expected == pytest.approx(call.mark_atoms, rel=1e-4)
    # Scenario 21, a move of four per cent at the same volatility: only two thirds of the forward follow.
    moved = known + moving * 1.04
    assert 40_000 == MOVE_E6[21]
    expected = price_black(True, moved, STRIKE, volatility) / 100 - call.mark_atoms
    assert expected == pytest.approx(call.row[21], rel=1e-5)
    moved_up, moved_down = (known + moving * rate for rate in (1.01, 0.99))
    upper, lower = (price_black(True, moved, STRIKE, volatility) for moved in (moved_up, moved_down))
    assert (upper - lower) / 2 == pytest.approx(call.delta_atoms, rel=1e-4)
    raised = volatility + 0.01 * sqrt(1_200 * SECOND / YEAR) * share
    assert price_black(True, forward, STRIKE, raised) / 100 - call.mark_atoms == pytest.approx(
        call.vega_atoms, abs=2
    )


def test_marks_follow_the_clock_inside_the_window_only() -> None:
    """[MARK-1]: without a new index a TICK renews marks if a series is inside its window, and not before."""
    desk = open_series(HOUR_NS)
    call = desk.instrument(0)
    before = call.mark_atoms
    desk.tick(HOUR_NS - 1_801 * SECOND)
    assert before == call.mark_atoms
    desk.tick(HOUR_NS - 1_700 * SECOND)
    assert before > call.mark_atoms


def test_a_future_pays_the_difference_at_its_expiry() -> None:
    """[FUT-3] [EXPIRY-2] [NOVATE-3]: opening moves no cash but fees; expiry pays lots * payoff - cost."""
    desk = open_series(HOUR_NS)
    desk.trade(TAKER, MAKER, 2, 7, 32_160)
    buyer, seller = desk.account(TAKER), desk.account(MAKER)
    fee = 7 * 500 * 80
    assert (DEPOSIT_ATOMS - fee, DEPOSIT_ATOMS) == (buyer.cash_atoms, seller.cash_atoms)
    desk.place(MAKER, 2, Side.BUY, 1, 100)
    desk.seal()
    desk.report(SPOT_ATOMS + 10**9)
    desk.time_ns = HOUR_NS - 1_800 * SECOND
    desk.report(SPOT_ATOMS + 2 * 10**9)
    desk.tick(HOUR_NS)
    payoff = (SPOT_ATOMS + 2 * 10**9) // 1000
    gain = 7 * (payoff - 32_160 * 2_500)
    assert (DEPOSIT_ATOMS - fee + gain, DEPOSIT_ATOMS - gain) == (buyer.cash_atoms, seller.cash_atoms)
    assert [{}, {}] == [account.holdings[0] for account in (buyer, seller)]
    assert {} == desk.state.orders
    assert NO_MARK_ATOMS == desk.instrument(2).mark_atoms
    assert SPOT_ATOMS + 400_000_123 == desk.instrument(2).forward_atoms, "That of the last mark stays."
    assert 32_160 == desk.instrument(2).last_ticks
    desk.seal()


def test_funding_follows_the_impact_prices() -> None:
    """[FUND-1] [FUND-2]: a bid of 100 lots one per cent above the mark, beyond the deadband, capped."""
    desk = open_series(MONTH_NS, funding_cap_e9=8_000_000, funding_deadband_e9=500_000)
    perpetual, mark = desk.instrument(3), 80_000_000
    # Two levels: only together do they reach the impact size of 100 lots.
    desk.place(STRANGER, 3, Side.BUY, 40, 32_320)
    desk.place(STRANGER, 3, Side.BUY, 60, 32_160)
    desk.tick(desk.time_ns + SECOND)
    premium = 32_160 * 2_500 - mark
    rate = premium * 10**9 // mark - 500_000
    assert (4_500_000, 4_500_000) == (rate, perpetual.rate_e9)
    assert mark * rate // 10**9 * 1_000 - 12 * 28_800_000 == perpetual.accrual
    desk.place(STRANGER, 3, Side.BUY, 60, 32_480)
    desk.report()
    desk.tick(desk.time_ns + SECOND)
    assert 7_500_000 == perpetual.rate_e9, "The premium of one per cent is capped before the deadband."


def test_funding_moves_cash_from_longs_to_shorts() -> None:
    """[FUND-2]: an hour at most counts at once, whole atoms are paid, the rest stays, nothing is created."""
    desk = open_series(MONTH_NS, index_age_ns_max=10 * 3_600 * SECOND)
    desk.trade(TAKER, MAKER, 3, 9, 32_000)
    desk.place(STRANGER, 3, Side.BUY, 100, 32_320)
    cash = [account.cash_atoms for account in desk.state.accounts]
    perpetual = desk.instrument(3)
    desk.tick(desk.time_ns + 2 * 3_600 * SECOND)
    accrued = 80_000_000 * 4_950_000 // 10**9 * 3_600_000
    paid = accrued // 28_800_000
    assert (4_950_000, accrued - paid * 28_800_000) == (perpetual.rate_e9, perpetual.accrual)
    change = [account.cash_atoms - before for account, before in zip(desk.state.accounts, cash, strict=True)]
    assert [9 * paid, -9 * paid, 0] == change
    desk.tick(desk.time_ns)
    assert desk.time_ns == perpetual.funded_ns
    assert change == [a.cash_atoms - before for a, before in zip(desk.state.accounts, cash, strict=True)]
    desk.seal()


def test_funding_waits_while_the_index_is_stale() -> None:
    """[FUND-2]: the clock runs on, and nothing accrues."""
    desk = open_series(MONTH_NS)
    desk.place(STRANGER, 3, Side.BUY, 100, 32_320)
    desk.tick(desk.time_ns + 3_601 * SECOND)
    perpetual = desk.instrument(3)
    assert (0, 0, desk.time_ns) == (perpetual.rate_e9, perpetual.accrual, perpetual.funded_ns)


def test_a_negative_rate_is_the_mirror_image() -> None:
    """[FUND-1]: an impact ask below the mark makes shorts pay, its ratio floored towards minus infinity."""
    desk = open_series(MONTH_NS)
    desk.place(STRANGER, 3, Side.SELL, 100, 31_993)
    desk.tick(desk.time_ns + SECOND)
    premium = 31_993 * 2_500 - 80_000_000
    rate = -(abs(floor(Fraction(premium * 10**9, 80_000_000))) - 50_000)
    assert rate == desk.instrument(3).rate_e9
    assert rate < 0


TIERS = [
    {"option_taker_e6": 300, "option_maker_e6": 100, "futures_taker_e6": 500, "futures_maker_e6": 0},
    {"option_taker_e6": 250, "option_maker_e6": -200, "futures_taker_e6": 400, "futures_maker_e6": -400},
]


def test_fees_by_tier_cap_and_rebate() -> None:
    """[NOVATE-4]: each side's own tier, a cap of an eighth on options, no rebate above the taker's fee."""
    desk = Desk(TIERS)
    desk.open()
    call, perpetual = desk.add(CALL, STRIKE, MONTH_NS), desk.add(PERPETUAL)
    desk.report(SPOT_ATOMS + 1)
    desk.draw(MONTH_NS)
    desk.tick()
    desk.apply(CommandKind.SET_TIER, target=0, tier=1)
    maker, taker = desk.account(MAKER), desk.account(TAKER)
    option, swap = desk.instrument(call), desk.instrument(perpetual)
    assert (800_000_001, 80_000_001) == (option.notional_atoms, swap.notional_atoms)
    # 3 per ten thousand of the notional, rounded up; a rebate is rounded down.
    assert (240_001, -160_000) == compute_fees(desk.state, taker, maker, option, 10_000_000)
    assert (200_001, 80_001) == compute_fees(desk.state, maker, taker, option, 10_000_000)
    # One tick is worth 50_000 atoms: an eighth of it bounds the fee, and the fee the rebate.
    assert (6_250, -6_250) == compute_fees(desk.state, taker, maker, option, 50_000)
    assert (6_250, 6_250) == compute_fees(desk.state, maker, taker, option, 50_000)
    assert (40_001, -32_000) == compute_fees(desk.state, taker, maker, swap, 2_500)
    assert (32_001, 0) == compute_fees(desk.state, maker, taker, swap, 2_500)
    assert (32_001, -32_000) == compute_fees(desk.state, maker, maker, swap, 2_500)
    desk.trade(TAKER, MAKER, call, 3, 1_000)
    sum_atoms = 3 * (240_001 - 160_000)
    assert (sum_atoms // 5, sum_atoms - sum_atoms // 5) == (desk.state.insurance_atoms, desk.state.fees_atoms)
    assert DEPOSIT_ATOMS + 3 * (50_000_000 + 160_000) == maker.cash_atoms
    assert DEPOSIT_ATOMS - 3 * (50_000_000 + 240_001) == taker.cash_atoms
    desk.seal()


def test_tiers_are_the_operators_to_set() -> None:
    """[TIER-1] [AUTH-4]: in the order of the codes; a refused one uses up its nonce all the same."""
    desk = Desk(TIERS)
    desk.open()
    desk.apply(CommandKind.SET_TIER, MAKER, Code.OPERATOR_UNKNOWN, target=9, tier=9)
    desk.apply(CommandKind.SET_TIER, expected=Code.ACCOUNT_NOT_FOUND, target=3, tier=9)
    assert desk.nonce == desk.state.operator_nonce
    desk.apply(CommandKind.SET_TIER, expected=Code.ACCOUNT_NOT_FOUND, target=-1, tier=0)
    desk.apply(CommandKind.SET_TIER, expected=Code.TIER_INVALID, target=2, tier=2)
    desk.apply(CommandKind.SET_TIER, expected=Code.TIER_INVALID, target=2, tier=-1)
    desk.apply(CommandKind.SET_TIER, target=2, tier=1)
    desk.nonce -= 1
    desk.apply(CommandKind.SET_TIER, expected=Code.NONCE_REPLAYED, target=2, tier=0)
    assert [0, 0, 1] == [account.tier for account in desk.state.accounts]
    root = desk.replayer.state_root()
    desk.nonce += 1
    desk.apply(CommandKind.SET_TIER, target=1, tier=1)
    assert root != desk.replayer.state_root()


def test_a_tick_finds_funding_before_it_ends_orders() -> None:
    """[TICK-1]: bids that a dead man's time or their date ends at this very TICK still count as impact."""
    desk = open_series(MONTH_NS)
    timer = {"timeout_ns": SECOND, "cancel_on_disconnect": 0}
    desk.place(STRANGER, 3, Side.BUY, 50, 32_320)
    desk.place(MAKER, 3, Side.BUY, 50, 32_320, valid_until_ns=desk.time_ns + SECOND)
    desk.apply(CommandKind.PROTECT, STRANGER, **timer)
    desk.tick(desk.time_ns + SECOND)
    assert (4_950_000, {}) == (desk.instrument(3).rate_e9, desk.state.orders)
    desk.tick(desk.time_ns + SECOND)
    assert 0 == desk.instrument(3).rate_e9


def test_an_expiry_ends_what_waits_for_the_instrument() -> None:
    """[EXPIRY-2] [LINK-2]: open orders end with their children, then waiting ones; others wait on."""
    desk = open_series(HOUR_NS)
    parent = desk.place(STRANGER, 0, Side.BUY, 1, 1)
    waiting = {"side": Side.BUY, "lots": 1, "price_ticks": 1, "time_in_force": TimeInForce.GTC}
    armed = {"reference": TriggerReference.INDEX, "trigger_atoms": 1, "condition": TriggerCondition.BELOW}
    child = {"reference": TriggerReference.NONE, "condition": TriggerCondition.ABOVE, "parent_id": parent}
    for instrument in (0, 3):
        fields = {"instrument": instrument, **waiting}
        desk.apply(CommandKind.PLACE_TRIGGER, STRANGER, **fields, **armed)
    desk.apply(CommandKind.PLACE_TRIGGER, STRANGER, instrument=3, **waiting, **child)
    desk.tick(HOUR_NS)
    assert ({}, [3]) == (desk.state.orders, [w.instrument.number for w in desk.state.waiting.values()])
    assert {} == desk.account(STRANGER).holdings[0]


def test_a_position_may_be_reduced_below_the_initial_margin() -> None:
    """[MARGIN-12]: an account without surplus may close, as far as that cannot lower the surplus."""
    desk = open_series(MONTH_NS)
    poor = b"\x09" * 20
    desk.apply(CommandKind.DEPOSIT, poor, cursor=4, amount_atoms=450_000_000)
    desk.trade(poor, MAKER, 3, 30, 32_000)
    desk.report(SPOT_ATOMS * 95 // 100)
    desk.tick()
    equity, _, initial = compute_summary(desk.state, desk.account(poor))
    assert equity < initial
    desk.place(poor, 3, Side.SELL, 20, 30_400, Code.INITIAL_MARGIN_INSUFFICIENT)
    flags = int(OrderFlag.REDUCE_ONLY)
    desk.place(poor, 3, Side.SELL, 20, 20_000, Code.INITIAL_MARGIN_INSUFFICIENT, flags=flags)
    order = Order(99, desk.account(poor), desk.instrument(3), Terms(3, Side.SELL, 0, 20, 30_400))
    surplus = compute_surplus_if_filled(desk.state, order)
    assert surplus > equity - initial
    assert (equity, initial) == compute_summary(desk.state, desk.account(poor))[::2]
    desk.place(poor, 3, Side.SELL, 20, 30_400, flags=flags)
    before = desk.account(poor).holdings[0][3].lots
    desk.place(TAKER, 3, Side.BUY, 20, 30_400)
    equity, _, initial = compute_summary(desk.state, desk.account(poor))
    # The maker's fee is zero, and the surplus counted the highest taker's.
    assert (30, 10, surplus + 20 * 500 * 76) == (before, 30 - 20, equity - initial)


def test_a_tier_uses_up_the_operators_nonce_for_listings_too() -> None:
    """[AUTH-4]: the check of signatures knows which listings were refused, or it would know false names."""
    script = Script(1)
    fields = {"underlying": 0, "strike_atoms": 0, "expiry_ns": 0, "instrument_kind": PERPETUAL}
    script.add(CommandKind.SET_TIER, OPERATOR, target=0, tier=0)
    script.nonces.clear()
    script.add(CommandKind.LIST_INSTRUMENT, OPERATOR, **fields)
    script.add(CommandKind.LIST_INSTRUMENT, OPERATOR, **(fields | {"underlying": 1}))
    assert ["ETH_USDC-PERPETUAL"] == script.replayer.names
    script.add(CommandKind.DEPOSIT, signer=MAKER, cursor=1, amount_atoms=10)
    terms = {"instrument": 0, "side": Side.BUY, "time_in_force": TimeInForce.GTC, "lots": 1, "price_ticks": 1}
    script.add(CommandKind.PLACE, TRADERS[0], **terms)
    published = [PublishedCommand(command, b"", b"") for command in script.commands]
    assert 4 == check_signatures(script.genesis, published, lambda count: None)
