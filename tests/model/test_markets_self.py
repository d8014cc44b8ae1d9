"""The naive model's markets by hand: fees, quotes and their protection, futures, the window, funding.

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
    CODES,
    FLAGS,
    FUTURE,
    GTC,
    IOC,
    KINDS,
    PERPETUAL,
    POST_ONLY,
    REASONS,
    SELL,
    Account,
    Group,
    Instrument,
    Order,
    Position,
)
from .world import BEGIN_NS, MINUTE, OPERATOR, SECOND, genesis

HOUR = 60 * MINUTE
SPOT = 80_000_000_000
START_ATOMS = 10**13
PERP, OPTION, DATED = 0, 1, 2
MAKER, TAKER = "0xa", "0xb"
RATES = ("option_taker_e6", "option_maker_e6", "futures_taker_e6", "futures_maker_e6")


class Desk:
    """A venue with one BTC perpetual, one call at the money and one future, and two funded accounts."""

    def __init__(self) -> None:
        document = genesis("crowd")
        tiers = ((300, 100, 500, 200), (250, -200, 400, -100))
        document["fee_tiers"] = [dict(zip(RATES, tier, strict=True)) for tier in tiers]
        document["parameters"] |= {"option_fee_cap_e6": 125_000, "insurance_share_e6": 300_000}
        document["parameters"] |= {"funding_cap_e9": 7_500_000, "funding_deadband_e9": 500_000}
        document["underlyings"][0]["funding_impact_lots"] = 100
        self.model = Model(document)
        self.now = BEGIN_NS // HOUR * HOUR
        self.sequence = 0
        self.expiry_ns = self.now + 2 * HOUR
        for cursor, who in enumerate((MAKER, TAKER), 1):
            self.send("DEPOSIT", who, cursor=cursor, amount_atoms=START_ATOMS)
        listed = ((PERPETUAL, 0, 0), (CALL, SPOT, self.expiry_ns), (FUTURE, 0, self.expiry_ns))
        for kind, strike, expiry in listed:
            terms = {"underlying": 0, "instrument_kind": kind, "strike_atoms": strike, "expiry_ns": expiry}
            self.operate("LIST_INSTRUMENT", **terms)
        self.index(SPOT)
        one = 1 << 48
        for oracle in self.model.genesis["oracles"][:2]:
            svi = {"a": one // 5000, "b": one // 5000, "rho": 0, "m": 0, "sigma": one // 4}
            fields = {f"svi_{name}_x48": value for name, value in svi.items()}
            fields |= {"forward_atoms": SPOT, "observed_ns": self.now}
            self.send("SURFACE", oracle, underlying=0, expiry_ns=self.expiry_ns, **fields)
        self.send("TICK", "")

    def send(self, kind: str, signer: str, **fields: object) -> list[Event]:
        self.sequence += 1
        head = {"kind": kind, "sequence": self.sequence, "time_ns": self.now, "signer": signer, "items": []}
        events = self.model.apply(head | fields)
        self.model.check_invariants()
        return events

    def operate(self, kind: str, **fields: int) -> list[Event]:
        nonce = self.model.house.operator_nonce + 1
        return self.send(kind, OPERATOR, nonce=nonce, expires_ns=self.now + 1, **fields)

    def sign(self, kind: str, who: str, **fields: object) -> list[Event]:
        nonce = self.model.accounts[self.model.numbers[who]].nonce + 1
        return self.send(kind, who, nonce=nonce, expires_ns=self.now + 1, **fields)

    def index(self, price: int) -> None:
        for oracle in self.model.genesis["oracles"]:
            fields = {"index_atoms": price, "confidence_e6": 1_000_000, "observed_ns": self.now}
            self.send("INDEX", oracle, underlying=0, **fields)

    def place(
        self, who: str, instrument: int, side: int, lots: int, price_ticks: int, **more: int
    ) -> list[Event]:
        fields = {"instrument": instrument, "side": side, "lots": lots, "price_ticks": price_ticks}
        rest = ("flags", "display_lots", "valid_until_ns", "label", "link")
        fields |= dict.fromkeys(rest, 0) | {"time_in_force": GTC} | more
        return self.sign("PLACE", who, **fields)

    def protect(self, quantity: int = 100, delta: int = 0, vega: int = 0, frozen_ns: int = 0) -> list[Event]:
        limits = {"quantity_limit_lots": quantity, "delta_limit_atoms": delta, "vega_limit_atoms": vega}
        window = {"window_ns": 10 * SECOND, "frozen_ns": frozen_ns}
        return self.sign("SET_MMP", MAKER, group=1, underlying=0, **window, **limits)

    def quote(self, *items: tuple[int, int, int, int, int]) -> list[Event]:
        return self.sign("MASS_QUOTE", MAKER, group=1, items=list(items))


def found(events: list[Event], kind: str, *fields: str) -> list[tuple[int, ...]]:
    """The chosen fields of the events of a kind."""
    return [tuple(event[name] for name in fields) for event in events if event["kind"] == KINDS[kind]]


def test_fees_follow_tier_cap_rebate_and_insurance() -> None:
    """A cheap option's fee is an eighth of its price; a rebate is paid out of the taker's fee."""
    desk = Desk()
    assert [(1, 1)] == found(desk.operate("SET_TIER", target=1, tier=1), "TIER_SET", "account", "order_id")
    notional = 800_000_000  # 0.01 BTC
    desk.place(MAKER, OPTION, SELL, 4, 10)
    capped = 10 * 50_000 * 125_000 // 10**6
    assert capped < notional * 100 // 10**6
    fills = found(desk.place(TAKER, OPTION, BUY, 4, 10), "FILL", "amount_atoms", "maker_amount_atoms")
    assert [(4 * capped, 4 * capped)] == fills
    house = desk.model.house
    assert (8 * capped * 7 // 10, 8 * capped * 3 // 10) == (house.fees_atoms, house.insurance_atoms)
    desk.place(TAKER, PERP, BUY, 10, 32_000)
    fills = found(desk.place(MAKER, PERP, SELL, 10, 32_000), "FILL", "amount_atoms", "maker_amount_atoms")
    assert [(10 * 40_000, -10 * 8_000)] == fills


def test_a_perpetual_flips_through_zero() -> None:
    """Closing realises floor(cost * c / |q|) against the trade's value; the rest opens at the new price."""
    desk = Desk()
    maker_fee, taker_fee = 16_000, 40_000  # 2 and 5 basis points of 80 USDC, a lot of 0.001 BTC
    desk.place(MAKER, PERP, BUY, 3, 32_000)
    desk.place(TAKER, PERP, SELL, 3, 32_000)
    desk.place(MAKER, PERP, BUY, 2, 32_003)
    desk.place(TAKER, PERP, SELL, 2, 32_003)
    first, second = desk.model.accounts
    cost = 3 * 32_000 * 2500 + 2 * 32_003 * 2500
    assert (5, cost) == (first.positions[0].lots, first.positions[0].cost_atoms)
    desk.place(MAKER, PERP, SELL, 7, 32_010)
    desk.place(TAKER, PERP, BUY, 3, 32_010)
    closed = cost * 3 // 5
    assert START_ATOMS - 8 * maker_fee + 3 * 32_010 * 2500 - closed == first.cash_atoms
    assert (2, cost - closed) == (first.positions[0].lots, first.positions[0].cost_atoms)
    desk.place(TAKER, PERP, BUY, 4, 32_010)
    assert (-2, -2 * 32_010 * 2500) == (first.positions[0].lots, first.positions[0].cost_atoms)
    assert (2, 2 * 32_010 * 2500) == (second.positions[0].lots, second.positions[0].cost_atoms)
    assert START_ATOMS - 12 * maker_fee + 5 * 32_010 * 2500 - cost == first.cash_atoms
    house = desk.model.house
    assert 12 * (taker_fee + maker_fee) == house.fees_atoms + house.insurance_atoms


def test_quotes_keep_their_place_or_give_way() -> None:
    """Less at the same price keeps the place; anything else is a new order; a bad side is refused alone."""
    desk = Desk()
    assert CODES["GROUP_INVALID"] == desk.quote((OPTION, 10, 5, 20, 5))[0]["code"]
    desk.protect()
    placed = desk.quote((OPTION, 10, 5, 20, 5))
    assert [(1, BUY, 5), (2, SELL, 5)] == found(placed, "REST", "order_id", "side", "lots")
    again = desk.quote((OPTION, 10, 3, 20, 6))
    assert [(1, 3)] == found(again, "REDUCED", "order_id", "lots")
    assert [(2, REASONS["REPLACED"])] == found(again, "CANCELLED", "order_id", "reason")
    assert [(3, 6)] == found(again, "REST", "order_id", "lots")
    assert CODES["GROUP_BUSY"] == desk.protect()[0]["code"]
    refused = desk.quote((PERP, 1, 1, 0, 0), (OPTION, 10, 3, 9, 1), (77, 1, 1, 2, 0))
    codes = [CODES[name] for name in ("ORDER_INVALID", "QUOTE_CROSSED", "INSTRUMENT_NOT_FOUND")]
    assert [(code,) for code in codes] == found(refused, "QUOTE_REJECTED", "code")
    assert [1] == sorted(desk.model.orders)
    assert CODES["COMMAND_MALFORMED"] == desk.quote((OPTION, 1, 1, 0, 0), (OPTION, 1, 1, 0, 0))[0]["code"]


def test_a_group_fills_not_one_lot_more_than_its_limit() -> None:
    """A larger order takes the limit from the best quote, the group trips, thaws and quotes again."""
    desk = Desk()
    desk.protect(quantity=4, frozen_ns=5 * SECOND)
    desk.quote((OPTION, 10, 5, 20, 6))
    events = desk.place(TAKER, OPTION, BUY, 9, 20)
    assert [(4,)] == found(events, "FILL", "lots")
    thaws = desk.now + 5 * SECOND
    assert [(0, 1, 0, thaws)] == found(
        events, "MMP_TRIPPED", "account", "order_id", "instrument", "amount_atoms"
    )
    ended = found(events, "CANCELLED", "order_id", "lots", "reason")
    assert [(1, 5, REASONS["MMP"]), (2, 2, REASONS["MMP"])] == ended
    assert [(5,)] == found(events, "REST", "lots")
    assert CODES["GROUP_FROZEN"] == desk.quote((OPTION, 10, 5, 0, 0))[0]["code"]
    desk.now = thaws
    assert 0 == desk.quote((OPTION, 10, 5, 0, 0))[0]["code"]


def test_a_window_that_is_over_forgets_its_fills() -> None:
    """Fills of two windows do not add up, and the first fill of the next one starts it."""
    desk = Desk()
    desk.protect(quantity=4)
    desk.quote((OPTION, 10, 9, 0, 0))
    assert [] == found(desk.place(TAKER, OPTION, SELL, 3, 10), "MMP_TRIPPED")
    desk.now += 10 * SECOND
    assert [] == found(desk.place(TAKER, OPTION, SELL, 3, 10), "MMP_TRIPPED")
    group = desk.model.accounts[0].groups[1]
    assert (3, desk.now) == (group.filled_lots, group.window_start_ns)
    desk.now += 10 * SECOND - 1
    assert 1 == len(found(desk.place(TAKER, OPTION, SELL, 1, 10), "MMP_TRIPPED"))


def test_a_delta_limit_stops_fills_in_one_direction() -> None:
    """The bid's capacity is the delta that is left by delta per lot; the fill that is cut trips the group."""
    desk = Desk()
    delta = desk.model.instruments[OPTION].delta_atoms
    desk.protect(delta=3 * delta + 1)
    desk.quote((OPTION, 10, 9, 0, 0))
    events = desk.place(TAKER, OPTION, SELL, 5, 10, time_in_force=IOC)
    assert [(3,)] == found(events, "FILL", "lots")
    assert [(1, 2**63 - 1)] == found(events, "MMP_TRIPPED", "order_id", "amount_atoms")


def test_quotes_beyond_the_margin_all_end() -> None:
    """The group's quotes end after the last one if equity does not cover what its limit lets be filled."""
    desk = Desk()
    desk.protect(quantity=1_000)
    assert [] == found(desk.quote((OPTION, 0, 0, 100, 10_000)), "CANCELLED", "reason")
    desk.sign("CANCEL_ALL", MAKER, instrument=-1, label=0, group=1)
    desk.protect(quantity=1_000_000)
    events = desk.quote((OPTION, 100, 10, 101, 900_000))
    assert [(REASONS["INITIAL_MARGIN"],)] * 2 == found(events, "CANCELLED", "reason")


def _random_call(rng: random.Random) -> Instrument:
    instrument = Instrument(0, CALL, 0, 0, 0, 10, 7)
    instrument.mark_atoms, instrument.taker_fee_atoms = rng.randrange(0, 2000), rng.randrange(0, 9)
    instrument.rows = [rng.randrange(-600, 600) for _ in range(32)]
    instrument.basis = [rng.randrange(-50, 50), rng.randrange(-50, 50)]
    return instrument


@pytest.mark.parametrize("seed", range(25))
def test_a_groups_risk_is_the_worst_fill_within_its_limit(seed: int) -> None:
    """O_g, O0_g and G_g are the least over all ways to fill the quotes with at most Q lots."""
    rng = random.Random(seed)
    model = Model(genesis("main"))
    model.instruments = [_random_call(rng) for _ in range(2)]
    account = Account("0x00")
    account.groups[1] = Group(0, 1, 1, rng.randrange(2, 9), 0, 0, filled_lots=1)
    quotes = []
    for order_id, (number, side) in enumerate(itertools.product(range(2), (BUY, SELL)), 1):
        price = max(1, model.instruments[number].mark_atoms // 7 + rng.randrange(-40, 40))
        lots = rng.randrange(1, 4)
        quotes.append(Order(order_id, 0, number, side, POST_ONLY, price, lots, visible_lots=lots, group=1))
    account.orders = {order.order_id: order for order in quotes}
    room = account.groups[1].quantity_limit_lots - 1
    risk = margin.group_risks(model, account)[0][0]
    fills = [n for n in itertools.product(*(range(q.lots + 1) for q in quotes)) if sum(n) <= room]
    for s in range(33):
        gains = []
        for order in quotes:
            instrument, direction = model.instruments[order.instrument], 1 if order.side == BUY else -1
            row = (*instrument.rows, 0)[s]
            gain = direction * (row + instrument.mark_atoms - order.price_ticks * 7)
            gains.append(gain - instrument.taker_fee_atoms)
        assert min(sum(a * b for a, b in zip(n, gains, strict=True)) for n in fills) == risk.effects[s]
    shifts = [
        min((1 if q.side == BUY else -1) * b for b in model.instruments[q.instrument].basis) for q in quotes
    ]
    worst = min(sum(a * min(0, b) for a, b in zip(n, shifts, strict=True)) for n in fills)
    assert worst == risk.basis


def test_an_order_that_only_reduces_passes_below_the_margin() -> None:
    """An account short of margin may close at a fair price, but may not open, nor pay any price to close."""
    desk = Desk()
    desk.place(MAKER, PERP, SELL, 1_000, 32_000)
    desk.place(TAKER, PERP, BUY, 1_000, 32_000)
    account = desk.model.accounts[1]
    account.cash_atoms -= START_ATOMS - 10**9
    desk.model.house.fees_atoms += START_ATOMS - 10**9
    assert not margin.passes(desk.model, account)
    desk.place(MAKER, PERP, BUY, 1_000, 31_990)
    refused = desk.place(TAKER, PERP, SELL, 10, 31_990, time_in_force=IOC)
    assert CODES["INITIAL_MARGIN_INSUFFICIENT"] == refused[0]["code"]
    dear = desk.place(TAKER, PERP, SELL, 10, 1_000, time_in_force=IOC, flags=FLAGS["REDUCE_ONLY"])
    assert CODES["INITIAL_MARGIN_INSUFFICIENT"] == dear[0]["code"]
    before = margin.surplus(desk.model, account)
    closing = desk.place(TAKER, PERP, SELL, 10, 31_990, time_in_force=IOC, flags=FLAGS["REDUCE_ONLY"])
    assert [(10,)] == found(closing, "FILL", "lots")
    assert margin.surplus(desk.model, account) >= before


def test_options_and_futures_settle_at_the_average_of_the_last_half_hour() -> None:
    """Ten minutes at 80 000 and twenty at 83 000 settle at 82 000: a call at 80 000 pays 20 USDC per lot, a
    future bought there 2.
    """
    desk = Desk()
    desk.place(TAKER, OPTION, SELL, 3, 100)
    desk.place(MAKER, OPTION, BUY, 3, 100)
    desk.place(MAKER, DATED, SELL, 5, 32_000)
    desk.place(TAKER, DATED, BUY, 5, 32_000)
    assert 80_000_000 == desk.model.instruments[DATED].mark_atoms
    before = [account.cash_atoms for account in desk.model.accounts]
    desk.now = desk.expiry_ns - 20 * MINUTE
    desk.index(83_000_000_000)
    desk.now = desk.expiry_ns
    events = desk.send("TICK", "")
    option, future = 3 * 20_000_000, 5 * 2_000_000
    settled = [(0, 3, option), (1, -3, -option), (0, -5, -future), (1, 5, future)]
    assert settled == found(events, "SETTLED", "account", "lots", "amount_atoms")
    prices = found(events, "EXPIRED", "instrument", "amount_atoms")
    assert [(OPTION, 82_000_000_000), (DATED, 82_000_000_000)] == prices
    paid = option - future
    assert [before[0] + paid, before[1] - paid] == [account.cash_atoms for account in desk.model.accounts]


def test_in_the_window_only_the_open_part_moves() -> None:
    """Half-way through at a steady index half of a move is left, and just before expiry next to nothing."""
    desk = Desk()
    for left, share in ((45 * MINUTE, 1.0), (15 * MINUTE, 0.5), (MINUTE, 1 / 30)):
        desk.now = desk.expiry_ns - left
        desk.index(SPOT)
        events = desk.send("TICK", "")
        assert [(3,)] == found(events, "MARKED", "lots")
        dated, option = desk.model.instruments[DATED], desk.model.instruments[OPTION]
        assert 80_000_000 - 1 <= dated.mark_atoms <= 80_000_000
        assert abs(dated.delta_atoms - share * 80_000_000) <= 1000
        assert abs(dated.rows[0] + share * 12_800_000) <= 1000
        assert abs(option.delta_atoms - share * 400_000_000) <= share * 8_000_000
        assert option.vega_atoms > 0
    assert [(3,)] == found(desk.send("TICK", ""), "MARKED", "lots")


def test_longs_pay_shorts_while_the_book_is_above_the_mark() -> None:
    """A premium of 0.2 % less the deadband is paid over eight hours, an hour at a time, to the last atom."""
    desk = Desk()
    desk.place(MAKER, PERP, SELL, 7, 32_000)
    desk.place(TAKER, PERP, BUY, 7, 32_000)
    desk.place(MAKER, PERP, BUY, 60, 32_070)
    desk.place(MAKER, PERP, BUY, 40, 32_064)
    cash = [account.cash_atoms for account in desk.model.accounts]
    paid = 0
    for _ in range(60):
        desk.now += MINUTE
        desk.index(SPOT)
        for lots, rate in found(desk.send("TICK", ""), "FUNDED", "amount_atoms", "maker_amount_atoms"):
            assert 1_500_000 == rate
            paid += lots
    assert 80_000_000 * 15 // 10_000 // 8 == paid
    assert [cash[0] + 7 * paid, cash[1] - 7 * paid] == [account.cash_atoms for account in desk.model.accounts]
    assert 0 == desk.model.instruments[PERP].accrual


def test_a_thin_book_has_no_premium() -> None:
    """Without the impact size on a side nothing is paid, whatever its prices."""
    desk = Desk()
    desk.place(MAKER, PERP, BUY, 99, 32_500)
    desk.now += MINUTE
    desk.index(SPOT)
    assert [] == found(desk.send("TICK", ""), "FUNDED", "instrument")
    assert 0 == desk.model.instruments[PERP].rate_e9


def test_what_fills_alone_cost_is_held_though_no_scenario_loses() -> None:
    """O0 counts a dear purchase even if every scenario would gain."""
    model = Model(genesis("main"))
    instrument = _random_call(random.Random(1))
    instrument.rows, instrument.basis = [10_000] * 32, [0, 0]
    model.instruments = [instrument]
    account = Account("0x00")
    price = instrument.mark_atoms // 7 + 100
    account.orders[1] = Order(1, 0, 0, BUY, GTC, price, 3, visible_lots=3)
    cost = 3 * (price * 7 - instrument.mark_atoms + instrument.taker_fee_atoms)
    assert cost == margin.summary(model, account).initial
    account.positions[0] = Position(1, 0)
    assert cost == margin.summary(model, account).initial
