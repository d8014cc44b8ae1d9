"""The naive model against itself: what holds in every state, and small cases enumerated or done by hand.

Whether the engine agrees with it is another test's matter.
"""

from __future__ import annotations

import itertools
import random

import pytest

from . import invariants, margin
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
    REASONS,
    SELL,
    Account,
    Instrument,
    Order,
    Position,
)
from .world import PROFILES, genesis


@pytest.mark.parametrize("profile", PROFILES)
def test_every_state_keeps_money_and_lots(profile: str) -> None:
    """Cash, lots, slots, records and books add up in every state that random commands reach."""
    for world, command, events in iter_world(7, 3000, profile):
        if command["sequence"] % 10 == 0 or events[0]["code"] == 0:
            world.model.check_invariants()
        if command["kind"] == "TICK" and events[0]["code"] == 0:
            invariants.check_tick(world.model, events)


def test_refused_commands_change_nothing_but_a_nonce() -> None:
    """A refused command leaves every number of the state as it was, except nonces and the clock."""
    before = None
    for world, _, events in iter_world(11, 1200, "tiny"):
        after = world.model.state()
        for account in after["accounts"]:
            del account["nonce"]
            for key in account["keys"]:
                del key["nonce"], key["window_start_ns"], key["window_count"]
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
    """Every code of a sequenced command, event and reason comes up; a fifth of PLACEs trade."""
    codes, kinds, reasons = set(), set(), set()
    places = traded = 0
    streams = ((1, "main", 8000), (3, "crowd", 7500), (1, "tiny", 13000), (1, "crash", 6000))
    streams += ((1, "desk", 6000),)
    for seed, profile, count in streams:
        for command, events in iter_commands(seed, count, profile):
            codes |= {event["code"] for event in events}
            kinds |= {event["kind"] for event in events}
            reasons |= {event["reason"] for event in events}
            assert events[0]["kind"] == KINDS["RESULT"]
            assert all(list(event) == EVENT_FIELDS for event in events)
            if command["kind"] == "PLACE" and profile == "main":
                places += 1
                traded += any(event["kind"] == KINDS["FILL"] for event in events)
    missing = {name for name, code in CODES.items() if code not in codes}
    assert missing == {"SIGNATURE_INVALID"}
    assert kinds == set(KINDS.values())
    assert reasons == set(REASONS.values())
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
    """Min over s of P + O, and O0, is the worst equity change over all partial fills of open orders, in each
    scenario and where nothing moves.
    """
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
    assert _worst_by_enumeration(model, account) == min(margin.filled_scan(found))


def _worst_by_enumeration(model: Model, account: Account) -> int:
    """Fill every order with 0 .. lots at its limit and fee, then revalue in every scenario and none."""
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
        for s in range(33):
            moved = {n: (*model.instruments[n].rows, 0)[s] for n in held}
            then = sum(lots * (model.instruments[n].mark_atoms + moved[n]) for n, lots in held.items())
            change = cash + then - now
            worst = change if worst is None else min(worst, change)
    assert worst is not None
    return worst
