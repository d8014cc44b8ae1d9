"""The naive model against itself: what holds in every state, and small cases enumerated or done by hand.

Whether the engine agrees with it is another test's matter.
"""

from __future__ import annotations

import itertools
import random

import pytest

from . import margin
from .generator import iter_commands, iter_world
from .model import Model
from .records import (
    BUY,
    CALL,
    CODES,
    EVENT_FIELDS,
    GTC,
    KINDS,
    PERPETUAL,
    SELL,
    Account,
    Instrument,
    Order,
    Position,
)
from .world import BEGIN_NS, MINUTE, OPERATOR, PROFILES, SECOND, genesis

HOUR = 60 * MINUTE


@pytest.mark.parametrize("profile", PROFILES)
def test_every_state_keeps_money_and_lots(profile: str) -> None:
    """Cash, lots, slots, records and books add up in every state that random commands reach."""
    for world, command, events in iter_world(7, 3000, profile):
        if command["sequence"] % 10 == 0 or events[0]["code"] == 0:
            world.model.check_invariants()


def test_refused_commands_change_nothing_but_a_nonce() -> None:
    """A refused command leaves every number of the state as it was, except nonces and the clock."""
    before = None
    for world, _, events in iter_world(11, 1200, "tiny"):
        after = world.model.state()
        for account in after["accounts"]:
            del account["nonce"]
        del after["house"]["time_ns"], after["house"]["operator_nonce"]
        if events[0]["code"] != 0:
            assert len(events) == 1
            assert before == after
        before = after


def test_the_same_seed_gives_the_same_commands_and_events() -> None:
    """The generator draws from its seed alone."""
    first = list(iter_commands(3, 1500, "tiny"))
    assert first == list(iter_commands(3, 1500, "tiny"))
    assert first != list(iter_commands(4, 1500, "tiny"))


def test_every_code_and_event_of_the_law_occurs() -> None:
    """Every result code of a sequenced command and every kind of event comes up; a fifth of PLACEs trade."""
    codes, kinds = set(), set()
    places = traded = 0
    for seed, profile, count in ((1, "main", 8000), (3, "crowd", 7500), (1, "tiny", 13000)):
        for command, events in iter_commands(seed, count, profile):
            codes.add(events[0]["code"])
            kinds |= {event["kind"] for event in events}
            assert events[0]["kind"] == KINDS["RESULT"]
            assert all(list(event) == EVENT_FIELDS for event in events)
            if command["kind"] == "PLACE" and profile == "main":
                places += 1
                traded += any(event["kind"] == KINDS["FILL"] for event in events)
    missing = {name for name, code in CODES.items() if code not in codes}
    assert missing == {"SIGNATURE_INVALID"}
    assert kinds == set(KINDS.values())
    assert 5 * traded >= places


def _random_instrument(rng: random.Random, kind: int) -> Instrument:
    instrument = Instrument(0, kind, 0, 0, -1 if kind == PERPETUAL else 0, 10, 7)
    instrument.mark_atoms = rng.randrange(0, 2000)
    instrument.rows = [rng.randrange(-600, 600) for _ in range(32)]
    instrument.basis = [rng.randrange(-50, 50), rng.randrange(-50, 50)]
    instrument.taker_fee_atoms = rng.randrange(0, 9)
    return instrument


@pytest.mark.parametrize("seed", range(40))
def test_open_orders_count_as_the_worst_way_the_book_can_fill_them(seed: int) -> None:
    """Min over s of P + O is the worst equity change over all scenarios and partial fills of open orders."""
    rng = random.Random(seed)
    model = Model(genesis("main"))
    model.instruments = [_random_instrument(rng, rng.choice((CALL, PERPETUAL))) for _ in range(3)]
    account = Account("0x00")
    for number in range(3):
        account.positions[number] = Position(rng.randrange(-4, 5), 0)
    for order_id in range(1, 5):
        number, side = rng.randrange(3), rng.choice((BUY, SELL))
        price = max(1, model.instruments[number].mark_atoms // 7 + rng.randrange(-40, 40))
        account.orders[order_id] = Order(order_id, 0, number, side, GTC, price, rng.randrange(1, 4), 0, 0)
    found = margin.exposures(model, account)[0]
    assert _worst_by_enumeration(model, account) == min(margin._filled_scan(found))


def _worst_by_enumeration(model: Model, account: Account) -> int:
    """Fill every order with 0 .. lots at its limit, paying the fee, then revalue in each scenario."""
    orders = list(account.orders.values())
    worst = None
    for fills in itertools.product(*(range(order.lots + 1) for order in orders)):
        cash = 0
        held = {number: position.lots for number, position in account.positions.items()}
        for order, lots in zip(orders, fills, strict=True):
            direction = 1 if order.side == BUY else -1
            cash -= lots * (
                direction * order.price_ticks * 7 + model.instruments[order.instrument].taker_fee_atoms
            )
            held[order.instrument] += direction * lots
        now = sum(p.lots * model.instruments[n].mark_atoms for n, p in account.positions.items())
        for s in range(32):
            then = sum(
                lots * (model.instruments[n].mark_atoms + model.instruments[n].rows[s])
                for n, lots in held.items()
            )
            change = cash + then - now
            worst = change if worst is None else min(worst, change)
    assert worst is not None
    return worst


class _Desk:
    """A venue with one BTC perpetual and one call, an index of 80 000 USDC and two funded accounts."""

    def __init__(self) -> None:
        self.model = Model(genesis("main"))
        self.now = BEGIN_NS // HOUR * HOUR
        self.sequence = 0
        self.expiry_ns = self.now + 2 * HOUR
        for cursor, who in enumerate(("0xa", "0xb"), 1):
            self.send("DEPOSIT", who, cursor=cursor, amount_atoms=10**12)
        for kind, strike, expiry in ((PERPETUAL, 0, 0), (CALL, 80_000_000_000, self.expiry_ns)):
            nonce = self.model.house.operator_nonce + 1
            fields = {"underlying": 0, "instrument_kind": kind, "strike_atoms": strike, "expiry_ns": expiry}
            self.send("LIST_INSTRUMENT", OPERATOR, nonce=nonce, expires_ns=self.now + 1, **fields)
        self.index(80_000_000_000, 80_000_000_000, 80_000_000_000)
        one = 1 << 48
        for oracle in self.model.genesis["oracles"][:2]:
            svi = {"a": one // 5000, "b": one // 5000, "rho": 0, "m": 0, "sigma": one // 4}
            fields = {f"svi_{name}_x48": value for name, value in svi.items()}
            fields |= {"forward_atoms": 80_000_000_000, "observed_ns": self.now}
            self.send("SURFACE", oracle, underlying=0, expiry_ns=self.expiry_ns, **fields)
        self.send("TICK", "")

    def send(self, kind: str, signer: str, **fields: int) -> list[dict[str, int]]:
        self.sequence += 1
        head = {"kind": kind, "sequence": self.sequence, "time_ns": self.now, "signer": signer}
        events = self.model.apply(head | fields)
        self.model.check_invariants()
        return events

    def index(self, *prices: int) -> None:
        for oracle, price in zip(self.model.genesis["oracles"], prices, strict=True):
            fields = {"index_atoms": price, "confidence_e6": 1_000_000, "observed_ns": self.now}
            self.send("INDEX", oracle, underlying=0, **fields)

    def place(
        self, who: str, instrument: int, side: int, lots: int, price_ticks: int
    ) -> list[dict[str, int]]:
        nonce = self.model.accounts[self.model.numbers[who]].nonce + 1
        fields = {"instrument": instrument, "side": side, "lots": lots, "price_ticks": price_ticks}
        events = self.send("PLACE", who, time_in_force=GTC, nonce=nonce, expires_ns=self.now + 1, **fields)
        assert events[0]["code"] == 0
        return events


def test_a_perpetual_flips_through_zero() -> None:
    """Closing realises floor(cost * c / |q|) against the trade's value; the rest opens at the new price."""
    desk = _Desk()
    taker_fee, maker_fee = 24_000, 8_000  # 3 and 1 basis points of 80 USDC, a lot of 0.001 BTC
    desk.place("0xa", 0, BUY, 3, 32_000)
    desk.place("0xb", 0, SELL, 3, 32_000)
    desk.place("0xa", 0, BUY, 2, 32_003)
    desk.place("0xb", 0, SELL, 2, 32_003)
    first, second = desk.model.accounts
    cost = 3 * 32_000 * 2500 + 2 * 32_003 * 2500
    assert (5, cost) == (first.positions[0].lots, first.positions[0].cost_atoms)
    desk.place("0xa", 0, SELL, 7, 32_010)
    desk.place("0xb", 0, BUY, 3, 32_010)
    closed = cost * 3 // 5
    assert 10**12 - 5 * maker_fee - 3 * maker_fee + 3 * 32_010 * 2500 - closed == first.cash_atoms
    assert (2, cost - closed) == (first.positions[0].lots, first.positions[0].cost_atoms)
    desk.place("0xb", 0, BUY, 4, 32_010)
    assert (-2, -2 * 32_010 * 2500) == (first.positions[0].lots, first.positions[0].cost_atoms)
    assert (2, 2 * 32_010 * 2500) == (second.positions[0].lots, second.positions[0].cost_atoms)
    assert 10**12 - 12 * maker_fee + 7 * 32_010 * 2500 - cost - 2 * 32_010 * 2500 == first.cash_atoms
    assert 12 * (taker_fee + maker_fee) == desk.model.house.fees_atoms


def test_a_call_settles_at_the_average_of_the_last_half_hour() -> None:
    """Ten minutes at 80 000 and twenty at 83 000 settle at 82 000: a call at 80 000 pays 20 USDC per lot."""
    desk = _Desk()
    desk.place("0xa", 1, BUY, 5, 100)
    desk.place("0xb", 1, SELL, 5, 100)
    before = [account.cash_atoms for account in desk.model.accounts]
    desk.now = desk.expiry_ns - 20 * MINUTE
    desk.index(83_000_000_000, 82_000_000_000, 90_000_000_000)
    desk.now = desk.expiry_ns + 10 * SECOND
    events = desk.send("TICK", "")
    assert 82_000_000_000 == desk.model.instruments[1].settlement_atoms
    paid = 5 * 20_000_000
    assert [before[0] + paid, before[1] - paid] == [account.cash_atoms for account in desk.model.accounts]
    settled = [(e["account"], e["lots"], e["amount_atoms"]) for e in events if e["kind"] == KINDS["SETTLED"]]
    assert [(0, 5, paid), (1, -5, -paid)] == settled
