"""What the law does not stop, and the most that it can cost: strategies that pay if nobody honest is there.

Each has a `bound` in atoms. docs/guides/adversaries.md says what a venue can do about them.
"""

from novate.protocol.generated.codes import CommandKind, Side
from tests.adversaries.arena import ATTACKER, BACKSTOP, HOLDER, PERPETUAL, TWIN
from tests.adversaries.market import BAND_E6, PARAMETERS, SLICE_ATOMS, USDC
from tests.adversaries.strategy import Strategy

E6 = 10**6
MARGIN_E6 = 185_000
# Maintenance of a perpetual: four fifths of the worst scenario, and the contingency.
MAINTENANCE_E6 = 800_000 * 160_000 // E6 + PARAMETERS["futures_maintenance_e6"]


class SweepAhead(Strategy):
    """Know that a holder will be liquidated at the next TICK, sweep the maker's bids, and bid far below.

    A maker who quotes again between the sweep and the TICK ends it.
    """

    law = "[LIQ-2] [BAND-1]"
    bound = SLICE_ATOMS * BAND_E6 // E6

    def play(self) -> None:
        """One slice is sold to the adversary, as far below the mark as the band allows."""
        arena, lots = self.arena, self.chance.randrange(60, 120)
        arena.lever(HOLDER, lots, MARGIN_E6)
        arena.depth = self.chance.randrange(40, 60)
        arena.deposit(ATTACKER, E6 * USDC)
        arena.announce(arena.price_atoms * self.chance.randrange(935, 945) // 1000)
        arena.trade(ATTACKER, PERPETUAL, Side.SELL, arena.count_visible(Side.BUY))
        arena.place(ATTACKER, PERPETUAL, Side.BUY, lots, arena.get_ticks(E6 - BAND_E6 + 5_000))
        arena.tick(requote=False)
        arena.cancel_all(ATTACKER)
        arena.requote()
        arena.calm(6)


class LoneBackstop(Strategy):
    """Be the only backstop of one's own bankrupt twin, and wait until half the requirement is on offer.

    An honest backstop that wants less, and can bear the portfolio, ends it.
    """

    law = "[LIQ-4] [LIQ-5]"
    bound = 0

    def play(self) -> None:
        """As DearBackstop, but the honest backstop has withdrawn its offer."""
        arena, lots = self.arena, self.chance.randrange(60, 120)
        arena.must(BACKSTOP, CommandKind.BACKSTOP, demand_e6=-1)
        arena.leave()
        value = lots * arena.get_fair(PERPETUAL)
        arena.deposit(ATTACKER, value * MARGIN_E6 // E6)
        arena.deposit(TWIN, 10 * value)
        arena.cross(ATTACKER, TWIN, PERPETUAL, lots, arena.get_ticks())
        rate_e6 = PARAMETERS["auction_step_e6"] * PARAMETERS["auction_tick_count"]
        arena.must(TWIN, CommandKind.BACKSTOP, demand_e6=rate_e6)
        self.bound = value * MAINTENANCE_E6 // E6 * rate_e6 // E6
        left = self.chance.randrange(5, 15)
        arena.step(arena.price_atoms * (10_000 - 1_847 + left) // 10_000)
        arena.calm(18)
