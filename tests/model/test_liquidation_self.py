"""The naive model's liquidations by hand, with the figures worked out beside them, in USDC.

A lot of the perpetual is a thousandth of the index. Its worst scenario moves 16 %, so q lots worth m need
q * m * (0.8 * 16 % + 1 %) = 13.8 % of their value as maintenance and 16 % + 2 % = 18 % as initial margin.
Nobody pays fees here. The band is 5 % of the index.
"""

from __future__ import annotations

import pytest

from . import invariants, liquidation, margin
from .model import Event
from .records import BUY, CODES, KINDS, REASONS, REFERENCES, SELL, STAGES, Account, Position
from .test_markets_self import DATED, MAKER, OPTION, PERP, RATES, TAKER, Desk, found
from .world import SECOND

USDC = 1_000_000
TICKS_PER_USDC = 400
DEBTOR, RIVAL = "0xc", "0xd"
MAKER_NUMBER, TAKER_NUMBER, DEBTOR_NUMBER, RIVAL_NUMBER = range(4)
STORY = {KINDS[name]: name for name in KINDS if KINDS[name] >= KINDS["LIQUIDATION_STARTED"]}


class Court(Desk):
    """A desk without fees on which a debtor with 150 USDC is long ten lots bought at 80 from the maker."""

    def __init__(self, cash_atoms: int = 150 * USDC) -> None:
        super().__init__()
        self.model.genesis["fee_tiers"][:] = [dict.fromkeys(RATES, 0)] * 2
        self.model.parameters["futures_band_e6"] = 50_000
        self.fund(DEBTOR, cash_atoms)
        self.mark(80)

    def fund(self, who: str, amount_atoms: int) -> list[Event]:
        cursor = self.model.house.deposit_cursor + 1
        return self.send("DEPOSIT", who, cursor=cursor, amount_atoms=amount_atoms)

    def mark(self, lot_usdc: int) -> list[Event]:
        """A second later the index makes a lot of the perpetual worth so much; what the TICK says."""
        self.now += SECOND
        self.index(lot_usdc * 1000 * USDC)
        return self.tick()

    def tick(self) -> list[Event]:
        events = self.send("TICK", "")
        invariants.check_tick(self.model, events)
        return events

    def deal(self, buyer: str, seller: str, lots: int, usdc: int, instrument: int = PERP) -> None:
        self.place(seller, instrument, SELL, lots, usdc * TICKS_PER_USDC)
        events = self.place(buyer, instrument, BUY, lots, usdc * TICKS_PER_USDC)
        assert [(lots,)] == found(events, "FILL", "lots")

    def slices(self, usdc: int) -> None:
        self.operate("SET_SLICE", underlying=0, slice_notional_atoms=usdc * USDC)

    def debtor(self) -> Account:
        return self.model.accounts[DEBTOR_NUMBER]


def indebted(slice_usdc: int = 10_000, **rules: int) -> Court:
    """A court with the debtor's position; a slice is large enough for all of it unless said otherwise."""
    court = Court()
    court.model.parameters.update(rules)
    court.deal(DEBTOR, MAKER, 10, 80)
    court.slices(slice_usdc)
    return court


def told(events: list[Event]) -> list[str]:
    """The names of the events of liquidation, in order."""
    return [STORY[event["kind"]] for event in events if event["kind"] in STORY]


def test_a_margin_call_comes_once_until_the_account_stands_above_again() -> None:
    """At 77: equity 150 - 30 = 120, requirement 106.26, warning level 127.512."""
    court = indebted()
    figures = ("account", "amount_atoms", "maker_amount_atoms")
    assert [(DEBTOR_NUMBER, 120 * USDC, 106_260_000)] == found(court.mark(77), "MARGIN_CALL", *figures)
    assert [] == told(court.mark(77))
    assert 1 == court.debtor().warned
    # At 79: equity 140, requirement 109.02, warning level 130.824.
    assert [] == told(court.mark(79))
    assert 0 == court.debtor().warned
    assert ["MARGIN_CALL"] == told(court.mark(77))


def test_liquidation_ends_orders_and_offers_a_slice_within_the_band() -> None:
    """At 75: equity 100 < 103.5. A slice of 300 USDC is 4 lots; 10 a lot may be lost, the band says 3.75."""
    court = indebted(300)
    first = court.place(DEBTOR, PERP, BUY, 1, 1)[0]["order_id"]
    terms = dict.fromkeys(("flags", "display_lots", "valid_until_ns", "label", "link", "trail_atoms"), 0)
    terms |= {"time_in_force": 0, "condition": 0, "parent_id": 0, "reference": REFERENCES["INDEX"]}
    terms |= {"instrument": PERP, "side": BUY, "lots": 1, "price_ticks": 1, "trigger_atoms": 10**12 // 2}
    second = court.sign("PLACE_TRIGGER", DEBTOR, **terms)[0]["order_id"]
    events = court.mark(75)
    started = ("account", "amount_atoms", "maker_amount_atoms", "instrument", "side")
    assert [(DEBTOR_NUMBER, 100 * USDC, 103_500_000, 0, 0)] == found(events, "LIQUIDATION_STARTED", *started)
    fields = ("order_id", "instrument", "side", "price_ticks", "lots")
    assert [(second + 1, PERP, SELL, 28_500, 4)] == found(events, "SLICE", *fields)
    ended = [(first, REASONS["LIQUIDATION"]), (second, REASONS["LIQUIDATION"])]
    assert [*ended, (second + 1, REASONS["IOC_REMAINDER"])] == found(
        events, "CANCELLED", "order_id", "reason"
    )
    assert [] == found(events, "PENALTY")
    assert (STAGES["SLICES"], 1) == (court.debtor().liquidation_stage, court.debtor().liquidation_count)


def test_a_slice_that_restores_the_margin_ends_the_liquidation_at_once() -> None:
    """4 lots sold at 74 cost 4, the penalty 0.5 % of 300: equity 94.5 covers 13.8 % of 450 = 62.1."""
    court = indebted(300)
    court.place(MAKER, PERP, BUY, 9, 74 * TICKS_PER_USDC)
    events = court.mark(75)
    assert ["LIQUIDATION_STARTED", "SLICE", "PENALTY", "LIQUIDATION_ENDED"] == told(events)
    assert [(1_500_000,)] == found(events, "PENALTY", "amount_atoms")
    assert [(94_500_000,)] == found(events, "LIQUIDATION_ENDED", "amount_atoms")
    assert 1_500_000 == court.model.house.insurance_atoms
    # Sold 4 of 10 lots that cost 800: 296 - 320 = -24.
    assert (124_500_000, 6) == (court.debtor().cash_atoms, court.debtor().positions[PERP].lots)


@pytest.mark.parametrize(("deposit", "ends"), [(3_499_999, False), (3_500_000, True)])
def test_a_deposit_up_to_the_requirement_ends_the_liquidation(deposit: int, ends: bool) -> None:
    """100 of equity and 3.5 more are just the 103.5 that ten lots at 75 require."""
    court = indebted()
    court.mark(75)
    court.fund(DEBTOR, deposit)
    expected = ["LIQUIDATION_ENDED"] if ends else ["SLICE"]
    assert expected == told(court.tick())


def test_the_market_coming_back_ends_the_liquidation_in_either_stage() -> None:
    """At 80 equity is 150 again and the requirement 110.4; nothing was sold."""
    for count in (1, 5):
        court = indebted(slice_tick_count=count)
        court.mark(75)
        stage = STAGES["AUCTION"] if count == 1 else STAGES["SLICES"]
        assert stage == court.debtor().liquidation_stage
        assert [(150 * USDC,)] == found(court.mark(80), "LIQUIDATION_ENDED", "amount_atoms")


def test_the_auction_offers_more_each_tick_and_who_asks_least_takes_all() -> None:
    """5 % of 103.5 is 5.175: less than the taker asks by one in a million, so it waits for 10 %."""
    court = indebted(slice_tick_count=1)
    court.sign("BACKSTOP", TAKER, demand_e6=50_001)
    events = court.mark(75)
    assert [(100 * USDC,)] == found(events, "AUCTION_STARTED", "amount_atoms")
    assert [] == told(court.tick())
    # The rate on offer is 10 %, but the taker asks 5.0001 % and no more: 5.1751035, rounded up.
    court.sign("BACKSTOP", MAKER, demand_e6=50_002)
    events = court.tick()
    assigned = ("account", "maker_account", "instrument", "lots", "amount_atoms")
    row = (DEBTOR_NUMBER, TAKER_NUMBER, PERP, 10, 75 * USDC)
    assert [row] == found(events, "ASSIGNED", *assigned)
    paid = ("account", "maker_account", "amount_atoms", "maker_amount_atoms")
    assert [(DEBTOR_NUMBER, TAKER_NUMBER, 5_175_104, 0)] == found(events, "AUCTION_TAKEN", *paid)
    # 150 - 50 lost - 5.175104 paid.
    assert [(94_824_896,)] == found(events, "LIQUIDATION_ENDED", "amount_atoms")
    assert (10, 750 * USDC) == (
        court.model.accounts[TAKER_NUMBER].positions[PERP].lots,
        court.model.accounts[TAKER_NUMBER].positions[PERP].cost_atoms,
    )


@pytest.mark.parametrize("missing", [1, 0])
def test_a_backstop_must_be_able_to_bear_the_portfolio(missing: int) -> None:
    """Ten lots at 75 need 18 % of 750 = 135 initially; the bonus it asks, 5 % of 103.5, is 5.175 of it."""
    court = indebted(slice_tick_count=1)
    court.fund(RIVAL, 129_825_000 - missing)
    court.sign("BACKSTOP", RIVAL, demand_e6=50_000)
    court.mark(75)
    events = court.tick()
    assert missing == (found(events, "AUCTION_TAKEN") == [])
    if not missing:
        assert margin.surplus(court.model, court.model.accounts[RIVAL_NUMBER]) == 0


def test_the_fund_pays_debts_and_no_bonus() -> None:
    """At 64 the debtor owes 10. A fund of 12 pays that and no bonus: only who asks nothing takes it."""
    court = indebted()
    events = court.mark(64)
    assert ["LIQUIDATION_STARTED", "SLICE", "AUCTION_STARTED"] == told(events)
    assert [(64 * TICKS_PER_USDC,)] == found(events, "SLICE", "price_ticks")
    court.sign("INSURE", TAKER, amount_atoms=12 * USDC)
    court.sign("BACKSTOP", TAKER, demand_e6=1)
    assert [] == told(court.tick())
    court.sign("BACKSTOP", TAKER, demand_e6=0)
    events = court.tick()
    assert ["ASSIGNED", "AUCTION_TAKEN", "INSURED", "LIQUIDATION_ENDED"] == told(events)
    assert [(0, 0)] == found(events, "AUCTION_TAKEN", "amount_atoms", "maker_amount_atoms")
    assert [(DEBTOR_NUMBER, 10 * USDC)] == found(events, "INSURED", "account", "amount_atoms")
    assert (0, 2 * USDC) == (court.debtor().cash_atoms, court.model.house.insurance_atoms)


@pytest.mark.parametrize("missing", [1, 0])
def test_the_account_must_have_the_bonus(missing: int) -> None:
    """At 65 nothing is left; 5 % of 89.7 are deposited, 4.485, or an atom less, which no fund adds."""
    court = indebted()
    court.mark(65)
    court.sign("INSURE", TAKER, amount_atoms=100 * USDC)
    court.fund(DEBTOR, 4_485_000 - missing)
    court.sign("BACKSTOP", TAKER, demand_e6=50_000)
    events = court.tick()
    bonus = found(events, "AUCTION_TAKEN", "amount_atoms", "maker_amount_atoms")
    assert [(4_485_000, 0)] * (1 - missing) == bonus
    assert 100 * USDC == court.model.house.insurance_atoms


def test_who_gains_most_is_deleveraged_first_and_shares_what_no_fund_covers() -> None:
    """4 lots from the maker at 80, 6 from the rival at 82: at 64, 162 - (812 - 640) = -10 is left."""
    court = Court(162 * USDC)
    court.fund(RIVAL, 10_000 * USDC)
    court.deal(DEBTOR, MAKER, 4, 80)
    court.deal(DEBTOR, RIVAL, 6, 82)
    court.mark(64)
    court.sign("INSURE", TAKER, amount_atoms=4 * USDC)
    events = court.tick()
    closed = found(events, "DELEVERAGED", "account", "maker_account", "lots", "amount_atoms")
    assert closed == [
        (DEBTOR_NUMBER, RIVAL_NUMBER, 6, 64 * USDC),
        (DEBTOR_NUMBER, MAKER_NUMBER, 4, 64 * USDC),
    ]
    assert [(4 * USDC,)] == found(events, "INSURED", "amount_atoms")
    # 6 of the debt remain. 384 and 256 closed weigh 1_500_001 and 1_000_001: 3.59999952 are rounded down.
    assert [(RIVAL_NUMBER, DEBTOR_NUMBER, 3_599_999), (MAKER_NUMBER, DEBTOR_NUMBER, 2_400_001)] == found(
        events, "LOSS_SHARED", "account", "maker_account", "amount_atoms"
    )
    assert [(0,)] == found(events, "LIQUIDATION_ENDED", "amount_atoms")
    assert 10_000 * USDC + 6 * 18 * USDC - 3_599_999 == court.model.accounts[RIVAL_NUMBER].cash_atoms


def test_an_auction_that_nobody_takes_ends_in_deleveraging_without_loss() -> None:
    """After three ticks of auction the maker, short the same lots, is closed at the mark; nobody loses."""
    court = indebted(slice_tick_count=1, auction_tick_count=3)
    court.mark(75)
    assert [[], []] == [told(court.tick()) for _ in range(2)]
    assert ["DELEVERAGED", "LIQUIDATION_ENDED"] == told(court.tick())
    assert (100 * USDC, {}) == (court.debtor().cash_atoms, court.debtor().positions)


def test_a_debt_without_positions_waits_for_the_fund() -> None:
    """At 64 the maker's bid takes all ten lots: -10 is left, which the fund pays as money comes in."""
    court = indebted()
    court.place(MAKER, PERP, BUY, 10, 64 * TICKS_PER_USDC)
    events = court.mark(64)
    names = ["LIQUIDATION_STARTED", "SLICE", "PENALTY", "LIQUIDATION_ENDED"]
    assert names == told(events)
    assert [(0,)] == found(events, "PENALTY", "amount_atoms")
    assert (-10 * USDC, STAGES["NONE"]) == (court.debtor().cash_atoms, court.debtor().liquidation_stage)
    assert [] == told(court.tick())
    for paid_in, paid_out in ((4, 4), (7, 6)):
        court.sign("INSURE", TAKER, amount_atoms=paid_in * USDC)
        assert [(DEBTOR_NUMBER, paid_out * USDC)] == found(court.tick(), "INSURED", "account", "amount_atoms")
    assert (0, 1 * USDC) == (court.debtor().cash_atoms, court.model.house.insurance_atoms)


def test_the_penalty_of_an_option_is_a_share_of_its_worth() -> None:
    """0.5 % of two lots of 800 would be 8, but an eighth of what two calls are worth is less."""
    court = Court()
    call = court.model.instruments[OPTION]
    liquidation._take_penalty(court.model, DEBTOR_NUMBER, court.debtor(), call, 2)
    assert 5_045_862 == call.mark_atoms
    assert 1_261_466 == court.model.house.insurance_atoms
    court.model.check_invariants()


def test_a_stale_index_passes_the_account_over() -> None:
    """The marks fall, but by a TICK 61 seconds after the index nobody is judged; with a new one they are."""
    court = indebted()
    court.now += SECOND
    court.index(75_000 * USDC)
    court.now += 61 * SECOND
    assert [] == told(court.tick())
    assert 75 * USDC == court.model.instruments[PERP].mark_atoms
    assert ["LIQUIDATION_STARTED", "SLICE"] == told(court.mark(75))


def test_an_account_in_liquidation_may_only_shrink_wait_and_pay_in() -> None:
    """Six kinds are refused before anything else about them is looked at; their nonce is used up."""
    court = indebted()
    court.mark(75)
    orders = {"instrument": -1, "side": 9, "time_in_force": 9, "lots": 0, "price_ticks": 0}
    refused: dict[str, dict[str, object]] = {
        "PLACE": dict(orders),
        "REPLACE": {"order_id": 0, "lots": 0, "price_ticks": 0},
        "PLACE_TRIGGER": dict(orders),
        "MASS_QUOTE": {"group": 0, "items": []},
        "WITHDRAW": {"amount_atoms": 0},
        "INSURE": {"amount_atoms": 0},
    }
    for kind, fields in refused.items():
        before = court.debtor().nonce
        assert CODES["IN_LIQUIDATION"] == court.sign(kind, DEBTOR, **fields)[0]["code"], kind
        assert before + 1 == court.debtor().nonce
    everything = {"instrument": -1, "label": 0, "group": 0}
    welcome: dict[str, dict[str, object]] = {
        "CANCEL_ALL": dict(everything),
        "BACKSTOP": {"demand_e6": 0},
        "PROTECT": {"timeout_ns": 0, "cancel_on_disconnect": 1},
    }
    for kind, fields in welcome.items():
        assert 0 == court.sign(kind, DEBTOR, **fields)[0]["code"], kind
    assert 0 == court.fund(DEBTOR, 1)[0]["code"]


def test_a_slice_reduces_what_carries_the_delta_and_no_more_of_it() -> None:
    """Ten perpetuals long, one call short: only so many perpetuals as their delta outweighs the call's."""
    court = indebted()
    account, (perpetual, call, dated) = court.debtor(), court.model.instruments
    account.positions[OPTION] = Position(-1, 0)
    # 10 * 80 - 402.06555 = 397.93445, which is 4.97 lots of 80.
    assert (80_000_000, 402_065_550) == (perpetual.delta_atoms, call.delta_atoms)
    assert (PERP, 5) == liquidation._choose_position(court.model, account)
    # Two calls outweigh them: 804.1311 - 800 is less than one call.
    account.positions[OPTION] = Position(-2, 0)
    assert (OPTION, 1) == liquidation._choose_position(court.model, account)
    # No delta in all: the most lots, of the lower instrument on a tie.
    account.positions = {DATED: Position(-10, 0), PERP: Position(10, 0)}
    assert perpetual.delta_atoms == dated.delta_atoms
    assert (PERP, 10) == liquidation._choose_position(court.model, account)
    account.positions = {DATED: Position(-11, 0), PERP: Position(10, 0)}
    dated.delta_atoms = perpetual.delta_atoms = 0
    court.model.underlyings[0].slice_notional_atoms = 500 * USDC
    # 500 USDC are 6 lots of 80.
    assert (DATED, 6) == liquidation._choose_position(court.model, account)


def test_backstop_slice_and_insure_say_what_is_wrong() -> None:
    """Each code of [LIQ-9] at the edge of its range, and the effect of what is right."""
    court = Court()
    for demand, code in ((-2, "DEMAND_INVALID"), (-1, "OK"), (1_000_001, "DEMAND_INVALID"), (10**6, "OK")):
        assert CODES[code] == court.sign("BACKSTOP", MAKER, demand_e6=demand)[0]["code"]
    assert 10**6 == court.model.accounts[MAKER_NUMBER].demand_e6
    cases = ((2, 1, "UNDERLYING_NOT_FOUND"), (1, 0, "AMOUNT_NOT_POSITIVE"), (1, 1 << 40, "BALANCE_LIMIT"))
    for underlying, amount, code in cases:
        events = court.operate("SET_SLICE", underlying=underlying, slice_notional_atoms=amount)
        assert CODES[code] == events[0]["code"]
    events = court.operate("SET_SLICE", underlying=1, slice_notional_atoms=(1 << 40) - 1)
    assert [(1, (1 << 40) - 1)] == found(events, "SLICE_SET", "instrument", "amount_atoms")
    assert (1 << 40) - 1 == court.model.underlyings[1].slice_notional_atoms
    court.deal(DEBTOR, MAKER, 5, 80)
    # 150 less the initial margin of 18 % of 400 can be spared.
    sums = ((0, "AMOUNT_NOT_POSITIVE"), (150 * USDC + 1, "CASH_INSUFFICIENT"))
    for amount, code in (*sums, (78 * USDC + 1, "INITIAL_MARGIN_INSUFFICIENT")):
        assert CODES[code] == court.sign("INSURE", DEBTOR, amount_atoms=amount)[0]["code"]
    events = court.sign("INSURE", DEBTOR, amount_atoms=78 * USDC)
    assert [(DEBTOR_NUMBER, 78 * USDC)] == found(events, "FUND_PAID_IN", "account", "amount_atoms")
    assert (72 * USDC, 78 * USDC) == (court.debtor().cash_atoms, court.model.house.insurance_atoms)
