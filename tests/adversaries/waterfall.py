"""Strategies of liquidation: make somebody be liquidated, stand where the liquidation sells, or be liquidated
oneself at the cost of the insurance fund.
"""

from novate.protocol.generated.codes import CommandKind, EventKind, Side, TimeInForce
from tests.adversaries.arena import ATTACKER, BACKSTOP, HOLDER, PERPETUAL, TWIN
from tests.adversaries.market import PARAMETERS, USDC
from tests.adversaries.strategy import Strategy

IOC = TimeInForce.IOC
MARGIN_E6 = 185_000
AUCTION_STEPS_MAX = 12


class Squeeze(Strategy):
    """A levered holder, an adversary who sweeps the maker's bids and bids itself far below; what it then does
    to the book must not move the mark.
    """

    law = "[MARK-2]"

    def press(self, lots: int) -> None:
        """Make the book look as if the price were lower."""

    def play(self) -> None:
        """Three times over: the maker has quoted, the adversary acts, the TICK comes."""
        arena, lots = self.arena, self.chance.randrange(40, 90)
        arena.lever(HOLDER, lots, MARGIN_E6)
        arena.depth = self.chance.randrange(20, 40)
        for role in (ATTACKER, TWIN):
            arena.deposit(role, 200_000 * USDC)
        for _ in range(3):
            arena.announce()
            arena.trade(ATTACKER, PERPETUAL, Side.SELL, arena.count_visible(Side.BUY))
            self.press(lots)
            arena.tick(requote=False)
            arena.cancel_all(ATTACKER)
            arena.requote()
        arena.calm(2)


class SpoofAndLiquidate(Squeeze):
    """Show offers far below the price that are gone before anybody can take them, so that the middle of the
    book falls, and buy what the holder's liquidation sells.
    """

    def press(self, lots: int) -> None:
        """Bid seven per cent down, and offer just above that."""
        ticks = self.arena.get_ticks(self.chance.randrange(926_000, 930_000))
        self.arena.place(ATTACKER, PERPETUAL, Side.BUY, lots, ticks)
        self.arena.place(ATTACKER, PERPETUAL, Side.SELL, 50, ticks + 10)


class MarkByTrades(Squeeze):
    """Trade a lot with one's twin far below the price in a book that was swept before."""

    def press(self, lots: int) -> None:
        """Bid seven per cent down and let the twin sell one lot there."""
        ticks = self.arena.get_ticks(self.chance.randrange(926_000, 930_000))
        self.arena.place(ATTACKER, PERPETUAL, Side.BUY, lots, ticks)
        self.arena.place(TWIN, PERPETUAL, Side.SELL, 1, ticks, IOC)


class SliceSnipe(Strategy):
    """Bid far below the market and wait for a large liquidation to sweep the book down to there."""

    law = "[LIQ-2] [LIQ-9]"

    def play(self) -> None:
        """The price falls by six per cent, the maker quotes again after every TICK."""
        arena, lots = self.arena, self.chance.randrange(180, 260)
        arena.lever(HOLDER, lots, MARGIN_E6)
        arena.depth = self.chance.randrange(40, 60)
        arena.deposit(ATTACKER, 10**6 * USDC)
        fallen = arena.price_atoms * self.chance.randrange(935, 945) // 1000
        arena.announce(fallen)
        arena.place(
            ATTACKER, PERPETUAL, Side.BUY, lots, arena.get_ticks(self.chance.randrange(930_000, 950_000))
        )
        arena.tick()
        arena.calm(6)


class FireSale(Strategy):
    """Be liquidated in a thin book and buy from oneself below the price at which nothing is left: what the
    twin gains is the attacker's debt, and the insurance fund pays it.
    """

    law = "[LIQ-2]"

    def play(self) -> None:
        """Long and short cancel out; a jump leaves the long account one to three per cent."""
        arena, lots = self.arena, self.chance.randrange(10, 22)
        arena.leave()
        value = lots * arena.get_fair(PERPETUAL)
        arena.deposit(ATTACKER, value * MARGIN_E6 // 10**6)
        arena.deposit(TWIN, 10 * value)
        arena.cross(ATTACKER, TWIN, PERPETUAL, lots, arena.get_ticks())
        left = self.chance.randrange(10, 30)
        arena.announce(arena.price_atoms * (1000 - 184 + left) // 1000)
        arena.place(TWIN, PERPETUAL, Side.BUY, lots, arena.get_ticks(925_000))
        arena.tick()
        arena.calm(14)


class PennilessBackstop(Strategy):
    """Offer to take whatever is auctioned for nothing, without money to bear it: the portfolio's gains are
    the owner's, by a hedge in the twin, and its losses the insurance fund's.
    """

    law = "[LIQ-5]"

    def play(self) -> None:
        """The twin is short beforehand; the holder is liquidated in a thin book; then the price falls on."""
        arena, lots = self.arena, self.chance.randrange(30, 60)
        arena.lever(HOLDER, lots, MARGIN_E6)
        arena.deposit(TWIN, 200_000 * USDC)
        arena.trade(TWIN, PERPETUAL, Side.SELL, lots)
        arena.deposit(ATTACKER, USDC)
        arena.must(ATTACKER, CommandKind.BACKSTOP, demand_e6=0)
        arena.announce(arena.price_atoms * 93 // 100)
        arena.leave()
        events = arena.tick()
        for _ in range(AUCTION_STEPS_MAX):
            if any(event["kind"] == EventKind.AUCTION_TAKEN for event in events):
                break
            events = arena.step()
        else:
            raise AssertionError("the holder's portfolio was not auctioned")
        arena.step(arena.price_atoms * self.chance.randrange(90, 95) // 100)
        arena.calm(12)


class Bankruptcy(Strategy):
    """Be the backstop of one's own twin that has almost nothing left; what the twin cannot pay of the bonus
    must not come out of the insurance fund.
    """

    law = "[LIQ-4] [LIQ-5]"

    def choose_demand(self) -> int:
        """What the solvent account asks, in millionths of the requirement."""
        raise AssertionError("each strategy asks something else")

    def play(self) -> None:
        """Long and short cancel out; a jump leaves the long account almost nothing, which is auctioned."""
        arena, lots = self.arena, self.chance.randrange(60, 120)
        arena.leave()
        value = lots * arena.get_fair(PERPETUAL)
        arena.deposit(ATTACKER, value * MARGIN_E6 // 10**6)
        arena.deposit(TWIN, 10 * value)
        arena.cross(ATTACKER, TWIN, PERPETUAL, lots, arena.get_ticks())
        arena.must(TWIN, CommandKind.BACKSTOP, demand_e6=self.choose_demand())
        left = self.chance.randrange(5, 15)
        arena.step(arena.price_atoms * (10_000 - 1_847 + left) // 10_000)
        arena.calm(18)


class DearBackstop(Bankruptcy):
    """Ask so little that what is left can pay it, while far more is on offer."""

    def choose_demand(self) -> int:
        """A fifth of a per cent at most."""
        return self.chance.choice((0, 1_000, 2_000))


class LoneBackstop(Bankruptcy):
    """The honest backstop is gone: ask all that an auction ever offers, up to half of the requirement."""

    def choose_demand(self) -> int:
        """What is on offer at one of the auction's TICKs."""
        self.arena.must(BACKSTOP, CommandKind.BACKSTOP, demand_e6=-1)
        count = self.chance.randint(1, PARAMETERS["auction_tick_count"])
        return count * PARAMETERS["auction_step_e6"]
