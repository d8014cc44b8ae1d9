"""Random orders of every kind: whatever they do to each other, what is kept twice stays equal."""

import random
from collections.abc import Callable

import pytest

from novate.protocol.command import Command
from novate.protocol.generated.codes import (
    Code,
    CommandKind,
    EventKind,
    LiquidationStage,
    OrderFlag,
    Side,
    TimeInForce,
)
from novate.verification.orders import list_open
from novate.verification.risk import compute_equity
from tests.verification.liquidation_desk import make_desk
from tests.verification.order_desk import (
    CALL,
    MS,
    OPERATOR,
    SECOND,
    START_NS,
    TRADER_COUNT,
    USDC,
    Desk,
    make_address,
)

COUNT = 600
FLAGS = (0, 0, 0, 0, *OrderFlag, OrderFlag.REDUCE_ONLY | OrderFlag.CANCEL_MAKER)


class Crowd:
    """Four traders who do anything that the law has a command for."""

    def __init__(self, seed: int, desk: Desk | None = None) -> None:
        self.desk = desk or Desk()
        self.chance = random.Random(seed)
        for trader in range(TRADER_COUNT):
            limits = {"quantity_limit_lots": 12, "delta_limit_atoms": 10**9, "vega_limit_atoms": 0}
            fields = {"group": 1, "underlying": 0, "window_ns": 20 * MS, "frozen_ns": 30 * MS}
            assert Code.OK == self.desk.ask(CommandKind.SET_MMP, trader, **fields, **limits)

    def act(self) -> Code:
        """One command of a random kind."""
        return self.chance.choice(self.list_actions(self.chance.randrange(TRADER_COUNT)))()

    def list_actions(self, trader: int) -> list[Callable[[], Code]]:
        """What a trader may do, the likely as often as it is likely."""
        ids = [0, *self.desk.state.orders, *self.desk.state.waiting]
        return [
            *[lambda: self.desk.ask(CommandKind.PLACE, trader, **self.draw_terms())] * 8,
            *[lambda: self.desk.ask(CommandKind.PLACE_TRIGGER, trader, **self.draw_trigger(ids))] * 4,
            *[lambda: self.replace(trader, ids)] * 2,
            *[lambda: self.quote(trader)] * 2,
            *[lambda: self.tick()] * 2,
            lambda: self.desk.ask(CommandKind.CANCEL, trader, order_id=self.chance.choice(ids)),
            lambda: self.protect(trader),
        ]

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


class PoorCrowd(Crowd):
    """The same traders with little money in a wild market: they are liquidated, and back each other."""

    def __init__(self, seed: int) -> None:
        figures = {"slice_notional_atoms": 400 * USDC}
        parameters = {"slice_tick_count": 2, "auction_tick_count": 3}
        super().__init__(seed, make_desk((900, 600, 400, 3_000), figures, **parameters))
        self.dollars = 80_000

    def list_actions(self, trader: int) -> list[Callable[[], Code]]:
        return [
            *super().list_actions(trader),
            *[lambda: self.tick()] * 4,
            lambda: self.desk.ask(CommandKind.BACKSTOP, trader, demand_e6=self.chance.randrange(-1, 160_000)),
            lambda: self.desk.ask(CommandKind.INSURE, trader, amount_atoms=self.chance.randrange(2 * USDC)),
            lambda: self.deposit(trader),
            lambda: self.set_slice(),
        ]

    def deposit(self, trader: int) -> Code:
        """The less a trader has, the more it brings."""
        amount = max(1, 400 * USDC - compute_equity(self.desk.state, self.desk.account(trader)))
        fields = {"cursor": self.desk.state.deposit_cursor + 1, "amount_atoms": amount}
        return self.desk.apply(CommandKind.DEPOSIT, make_address(trader), **fields)

    def set_slice(self) -> Code:
        fields = {"underlying": 0, "slice_notional_atoms": self.chance.randrange(1, 2_000 * USDC)}
        return self.desk.apply(CommandKind.SET_SLICE, OPERATOR, **fields)

    def tick(self) -> Code:
        """A TICK, often after a move, sometimes after a jump."""
        reach = self.chance.choice((0, 500, 3_000, 20_000))
        self.dollars = min(max(self.dollars + self.chance.randrange(-reach, reach + 1), 50_000), 130_000)
        self.desk.tick(self.dollars)
        return Code.OK


def test_liquidations_lose_and_create_nothing() -> None:
    """[CASH-3] [LIQ-1] to [LIQ-10]: every step of it occurs; who is in liquidation has no order."""
    seen: set[EventKind] = set()
    for seed in (4, 5, 6):
        crowd = PoorCrowd(seed)
        state = crowd.desk.state
        for count in range(COUNT):
            crowd.act()
            seen |= {step.kind for step in state.steps}
            for account in state.accounts:
                calm = account.stage == LiquidationStage.NONE
                assert calm or not (list_open(account) or account.waiting)
                assert account.stage_ticks == 0 or not calm
            if count % 60 == 0:
                crowd.desk.check()
        crowd.desk.check()
    steps = [kind for kind in EventKind if EventKind.LIQUIDATION_STARTED <= kind <= EventKind.SLICE_SET]
    assert [] == [kind.name for kind in steps if kind not in seen]
