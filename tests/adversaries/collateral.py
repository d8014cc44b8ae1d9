"""Strategies of margin: two accounts of one owner, one of which must end up owing more than it has."""

from novate.protocol.generated.codes import Code, CommandKind, InstrumentKind, Side, TimeInForce
from novate.protocol.generated.constants import NS_PER_DAY
from tests.adversaries.arena import ATTACKER, PERPETUAL, TWIN, count_lots
from tests.adversaries.market import START_NS, USDC
from tests.adversaries.strategy import Strategy

MONTH_NS = START_NS + 30 * NS_PER_DAY
MARGIN_E6 = 190_000


class CancelRace(Strategy):
    """Let an order be filled, and cancel it and withdraw its collateral in the same breath, on both sides of
    the trade; whichever way the price jumps, one account is left behind in debt and the other keeps the gain.
    """

    law = "[CASH-2]"

    def play(self) -> None:
        """Fill, cancel and withdrawal follow each other directly."""
        arena, lots = self.arena, self.chance.randrange(50, 120)
        for role in (ATTACKER, TWIN):
            arena.deposit(role, lots * arena.get_fair(PERPETUAL) * MARGIN_E6 // 10**6)
        order = arena.place(ATTACKER, PERPETUAL, Side.BUY, lots, arena.get_ticks())[0]["order_id"]
        sold = arena.place(TWIN, PERPETUAL, Side.SELL, lots, arena.get_ticks(), TimeInForce.IOC)
        assert lots == count_lots(sold)
        arena.send(ATTACKER, CommandKind.CANCEL, order_id=order)
        arena.withdraw_most(ATTACKER)
        arena.withdraw_most(TWIN)
        gap = self.chance.choice((-1, 1)) * self.chance.randrange(60, 110)
        arena.step(arena.price_atoms * (1000 + gap) // 1000)
        arena.calm(8)


class UnrealisedWithdrawal(Strategy):
    """Withdraw the stake while a spike makes the position look rich; when the spike is gone and the price
    falls below where it began, the loss is somebody else's.
    """

    law = "[CASH-2]"

    def play(self) -> None:
        """Long of the maker; a spike of a third that lasts for one TICK; then a fall below the entry."""
        arena, entry = self.arena, self.arena.price_atoms
        arena.lever(ATTACKER, self.chance.randrange(50, 120), MARGIN_E6)
        arena.step(entry * self.chance.randrange(128, 140) // 100)
        arena.withdraw_most(ATTACKER)
        arena.step(entry * self.chance.randrange(88, 94) // 100)
        arena.calm(8)


class LoseIntoDebt(Strategy):
    """Buy a worthless option of one's own twin at a price far above its mark, with money that one does not
    have; the twin withdraws what it was paid.
    """

    law = "[MARGIN-3]"

    def play(self) -> None:
        """The price is the edge of the band: five per cent of the index for an option worth nothing."""
        arena = self.arena
        call = arena.list_instrument(InstrumentKind.CALL, arena.price_atoms * 14 // 10, MONTH_NS)
        arena.deposit(ATTACKER, self.chance.randrange(100, 400) * USDC)
        arena.deposit(TWIN, 200_000 * USDC)
        view = arena.engine.instruments[call]
        band = arena.price_atoms // view.lots_per_unit // 20
        ticks = (arena.get_fair(call) + band) // view.tick_atoms
        lots = self.chance.randrange(200, 350)
        arena.place(TWIN, call, Side.SELL, lots, ticks)
        while lots > 0:
            arena.place(ATTACKER, call, Side.BUY, lots, ticks, TimeInForce.IOC)
            lots //= 2
        arena.cancel_all(TWIN)
        arena.withdraw_most(TWIN)
        arena.calm(8)


class GrowByReplace(Strategy):
    """Place an order that the account can afford and replace it by one that it cannot."""

    law = "[MATCH-8]"

    def play(self) -> None:
        """The twin sells into the grown order, with margin of its own; then the price falls."""
        arena, lots = self.arena, self.chance.randrange(50, 120)
        value = lots * arena.get_fair(PERPETUAL)
        arena.deposit(ATTACKER, value // 50)
        arena.deposit(TWIN, value // 2)
        ticks = arena.get_ticks()
        order = arena.place(ATTACKER, PERPETUAL, Side.BUY, 1, ticks)[0]["order_id"]
        assert order > 0
        wanted = {"order_id": order, "lots": lots, "price_ticks": ticks}
        while arena.ask(ATTACKER, CommandKind.REPLACE, **wanted) != Code.OK:
            wanted["lots"] //= 2
        arena.place(TWIN, PERPETUAL, Side.SELL, lots, ticks, TimeInForce.IOC)
        arena.step(arena.price_atoms * self.chance.randrange(88, 94) // 100)
        arena.calm(8)
