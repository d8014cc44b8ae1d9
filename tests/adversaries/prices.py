"""Strategies of prices: push an index, lie about it, or trade while it is old."""

from novate.protocol.generated.codes import InstrumentKind, Side
from tests.adversaries.arena import ATTACKER, PERPETUAL
from tests.adversaries.market import SECOND_NS, USDC
from tests.adversaries.strategy import Strategy

PUSH_SECONDS = 60
# What arbitrage takes from whoever holds a spot market away from its price: each minute a tenth of the lots
# that the adversary holds at the venue change hands at the false price.
ARBITRAGE_SHARE = 10


class ExpiryPush(Strategy):
    """Hold a future into its expiry and push the spot price in the last minute.

    Pushing costs money elsewhere: the arena assumes a tenth of the position a minute, at the false price.
    """

    law = "[EXPIRY-1] [EXPIRY-2]"

    def play(self) -> None:
        """Nothing moves until the last minute."""
        arena, lots = self.arena, self.chance.randrange(50, 200)
        expiry_ns = (arena.now // SECOND_NS + 2_400) * SECOND_NS
        future = arena.list_instrument(InstrumentKind.FUTURE, 0, expiry_ns)
        arena.deposit(ATTACKER, 10**6 * USDC)
        arena.depth = lots
        arena.quoted.append(future)
        arena.step()
        side = self.chance.choice((Side.BUY, Side.SELL))
        arena.trade(ATTACKER, future, side, lots)
        while arena.now + PUSH_SECONDS * SECOND_NS < expiry_ns:
            left = (expiry_ns - arena.now) // SECOND_NS - PUSH_SECONDS
            arena.step(seconds=min(600, left))
        push = arena.price_atoms * self.chance.randrange(10, 70) // 1000 * (1 if side == Side.BUY else -1)
        pushed = arena.price_atoms + push
        self.push(pushed)
        arena.now = expiry_ns
        arena.quoted.remove(future)
        arena.tick()
        arena.outside_atoms += (
            abs(push) * lots // arena.engine.instruments[future].lots_per_unit // ARBITRAGE_SHARE
        )
        arena.calm(1)

    def push(self, index_atoms: int) -> None:
        """The oracles see the price that the adversary has made."""
        self.arena.now += 1
        for role in ("oracle 0", "oracle 1"):
            self.arena.report(role, index_atoms)
        self.arena.tick()


class LyingOracle(Strategy):
    """Own one of three oracles: trade, lie, and trade back with a maker who believes the index."""

    law = "[INDEX-2]"

    def play(self) -> None:
        """The honest oracles differ by less than a basis point."""
        arena, lots = self.arena, self.chance.randrange(50, 100)
        arena.depth = lots
        arena.deposit(ATTACKER, 10**6 * USDC)
        arena.step()
        arena.trade(ATTACKER, PERPETUAL, Side.BUY, lots)
        price = arena.price_atoms
        honest = [price + price * self.chance.randrange(-50, 51) // 10**6 for _ in range(2)]
        lie = price * self.chance.randrange(101, 107) // 100
        arena.announce(reports=(*honest, lie))
        arena.tick()
        arena.trade(ATTACKER, PERPETUAL, Side.SELL, lots)
        arena.calm(2)


class StaleMark(Strategy):
    """Trade at quotes that were left standing when the oracles fell silent and the true price moved on."""

    law = "[MARK-STALE-1]"

    def play(self) -> None:
        """The feed has been silent for more than a minute before the price moves."""
        arena = self.arena
        arena.deposit(ATTACKER, 10**6 * USDC)
        arena.now += self.chance.randrange(61, 300) * SECOND_NS
        rise = self.chance.choice((-1, 1)) * self.chance.randrange(10, 40)
        arena.move(arena.price_atoms * (1000 + rise) // 1000)
        side = Side.BUY if rise > 0 else Side.SELL
        for _ in range(3):
            arena.trade(ATTACKER, PERPETUAL, side, self.chance.randrange(10, 40))
        arena.calm(2)
