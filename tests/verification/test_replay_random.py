"""Random orders of every kind: whatever they do to each other, what is kept twice stays equal."""

import random

import pytest

from novate.protocol.command import Command
from novate.protocol.generated.codes import Code, CommandKind, OrderFlag, Side, TimeInForce
from tests.verification.order_desk import CALL, MS, SECOND, START_NS, TRADER_COUNT, Desk, make_address

COUNT = 600
FLAGS = (0, 0, 0, 0, *OrderFlag, OrderFlag.REDUCE_ONLY | OrderFlag.CANCEL_MAKER)


class Crowd:
    """Four traders who do anything that the law has a command for."""

    def __init__(self, seed: int) -> None:
        self.desk = Desk()
        self.chance = random.Random(seed)
        for trader in range(TRADER_COUNT):
            limits = {"quantity_limit_lots": 12, "delta_limit_atoms": 10**9, "vega_limit_atoms": 0}
            fields = {"group": 1, "underlying": 0, "window_ns": 20 * MS, "frozen_ns": 30 * MS}
            assert Code.OK == self.desk.ask(CommandKind.SET_MMP, trader, **fields, **limits)

    def act(self) -> Code:
        """One command of a random kind."""
        trader = self.chance.randrange(TRADER_COUNT)
        ids = [0, *self.desk.state.orders, *self.desk.state.waiting]
        actions = [
            *[lambda: self.desk.ask(CommandKind.PLACE, trader, **self.draw_terms())] * 8,
            *[lambda: self.desk.ask(CommandKind.PLACE_TRIGGER, trader, **self.draw_trigger(ids))] * 4,
            *[lambda: self.replace(trader, ids)] * 2,
            *[lambda: self.quote(trader)] * 2,
            *[lambda: self.tick()] * 2,
            lambda: self.desk.ask(CommandKind.CANCEL, trader, order_id=self.chance.choice(ids)),
            lambda: self.protect(trader),
        ]
        return self.chance.choice(actions)()

    def draw_terms(self) -> dict[str, int]:
        """Terms around the mark, often at odds with each other."""
        chance, instrument = self.chance, self.chance.randrange(2)
        listed = self.desk.state.instruments[instrument]
        price = listed.mark_atoms // listed.tick_atoms + chance.randrange(-3, 4)
        flags = chance.choice(FLAGS)
        if flags & OrderFlag.VOLATILITY:
            instrument, price = CALL, chance.randrange(5_800, 6_200)
        time_in_force = chance.choice((TimeInForce.GTC, TimeInForce.GTC, *TimeInForce))
        if flags & OrderFlag.MARKET:
            price, time_in_force = 0, chance.choice((TimeInForce.IOC, TimeInForce.FOK))
        resting = time_in_force in (TimeInForce.GTC, TimeInForce.POST_ONLY)
        return {
            "instrument": instrument,
            "side": chance.choice(tuple(Side)),
            "time_in_force": time_in_force,
            "lots": chance.randrange(1, 12),
            "price_ticks": price,
            "flags": flags,
            "display_lots": chance.choice((0, 0, 2)) if resting else 0,
            "valid_until_ns": chance.choice((0, 0, self.desk.time_ns + 40 * MS)) if resting else 0,
            "label": chance.randrange(3),
            "link": chance.choice((0, 0, 1, 2)) if resting else 0,
        }

    def draw_trigger(self, ids: list[int]) -> dict[str, int]:
        """A waiting order, some with a parent, some that trail."""
        chance, reference = self.chance, self.chance.randrange(4)
        unit = 1_000_000 if reference == 1 else 1_000
        mark = self.desk.state.instruments[0].mark_atoms // 1_000 * unit
        amount = 0 if reference == 0 else mark + chance.randrange(-30, 30) * unit
        trails = reference > 0 and chance.random() < 0.3
        return self.draw_terms() | {
            "reference": reference,
            "condition": chance.randrange(2),
            "trigger_atoms": 0 if trails else amount,
            "trail_atoms": 20 * unit if trails else 0,
            "parent_id": chance.choice(ids) if reference == 0 or chance.random() < 0.3 else 0,
        }

    def replace(self, trader: int, ids: list[int]) -> Code:
        order = self.desk.state.orders.get(self.chance.choice(ids))
        if order is None:
            return Code.ORDER_NOT_FOUND
        price = order.terms.price_ticks + self.chance.randrange(-1, 2)
        fields = {"order_id": order.order_id, "lots": self.chance.randrange(1, 14), "price_ticks": price}
        return self.desk.ask(CommandKind.REPLACE, order.account.number, **fields)

    def quote(self, trader: int) -> Code:
        """A two-sided quote of the call, a millisecond later and without a signature as all commands here."""
        desk, mid = self.desk, self.desk.call.mark_atoms // self.desk.call.tick_atoms
        item = (CALL, mid - self.chance.randrange(3), 7, mid + self.chance.randrange(1, 3), 7)
        desk.time_ns += MS
        desk.nonce += 1
        values = (1, desk.nonce, 1 << 62)
        command = Command(CommandKind.MASS_QUOTE, desk.time_ns, values, make_address(trader), b"", (item,))
        return desk.replayer.apply(command).code

    def protect(self, trader: int) -> Code:
        timeout_ns = self.chance.choice((0, SECOND))
        return self.desk.ask(CommandKind.PROTECT, trader, timeout_ns=timeout_ns, cancel_on_disconnect=0)

    def tick(self) -> Code:
        self.desk.tick(80_000 + self.chance.randrange(-60, 60))
        return Code.OK


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_everything_kept_twice_stays_equal(seed: int) -> None:
    """Sums, slots, records and leaves follow each order of a crowd, whatever ends it [CASH-3] [MATCH-9]."""
    crowd = Crowd(seed)
    accepted, reasons = 0, set()
    for count in range(COUNT):
        accepted += crowd.act() == Code.OK
        reasons |= {reason for _, reason in crowd.desk.endings}
        if count % 20 == 0:
            crowd.desk.check()
    crowd.desk.check()
    assert accepted > COUNT // 3
    assert {"LINKED", "PARENT_ENDED", "TRIGGER_REJECTED", "SELF_TRADE", "GOOD_TILL_DATE", "MMP"} <= reasons
    assert crowd.desk.time_ns > START_NS
