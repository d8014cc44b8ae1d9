"""What the law does not stop, and the most that it can cost: strategies that pay if nobody honest is there.

Each has a `bound` in atoms. docs/guides/adversaries.md says what a venue can do about them.
"""

from novate.protocol.generated.codes import CommandKind, Side
from tests.adversaries.arena import ATTACKER, BACKSTOP, HOLDER, PERPETUAL
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


class DearRescue(Strategy):
    """Be the only backstop when a holder is liquidated in an empty book, and wait until half the requirement
    is on offer: the holder pays it out of what is left.

    An honest backstop that wants less, and can bear the portfolio, ends it.
    """

    law = "[LIQ-4] [LIQ-5]"
    bound = 0

    def play(self) -> None:
        """The honest backstop has withdrawn its offer, and the maker goes home."""
        arena, lots = self.arena, self.chance.randrange(30, 60)
        arena.must(BACKSTOP, CommandKind.BACKSTOP, demand_e6=-1)
        arena.lever(HOLDER, lots, MARGIN_E6)
        arena.deposit(ATTACKER, E6 * USDC)
        rate_e6 = PARAMETERS["auction_step_e6"] * PARAMETERS["auction_tick_count"]
        arena.must(ATTACKER, CommandKind.BACKSTOP, demand_e6=rate_e6)
        arena.announce(arena.price_atoms * self.chance.randrange(920, 940) // 1000)
        arena.leave()
        arena.tick()
        # A lot's mark and its loss in a scenario are whole atoms, rounded up.
        required = lots * (arena.get_fair(PERPETUAL) * MAINTENANCE_E6 // E6 + 2)
        self.bound = required * rate_e6 // E6 + 1
        arena.calm(18)
