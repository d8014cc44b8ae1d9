"""Strategies of orders, fees and quotes: false trades, rebates, dust, floods, stops, protection, funding."""

from novate.protocol.generated.codes import (
    Code,
    CommandKind,
    InstrumentKind,
    OrderFlag,
    Side,
    TimeInForce,
    TriggerCondition,
    TriggerReference,
)
from novate.protocol.generated.constants import NS_PER_DAY, OPEN_ORDER_COUNT_MAX
from tests.adversaries.arena import ATTACKER, HOLDER, MAKER, PERPETUAL, TRADER, TWIN, count_lots, list_fills
from tests.adversaries.market import (
    FREE_ORDERS,
    PENNY,
    PENNY_LOTS_PER_UNIT,
    SECOND_NS,
    START_NS,
    TAKER_E6,
    USDC,
)
from tests.adversaries.strategy import Strategy

MONTH_NS = START_NS + 30 * NS_PER_DAY
IOC, MARKET = TimeInForce.IOC, OrderFlag.MARKET


class SelfTradeWash(Strategy):
    """Trade with oneself, so that the tape shows volume that nobody risked anything for.

    Score: lots printed between an account and itself.
    """

    law, unit = "[MATCH-5]", "lots"
    printed = 0

    def play(self) -> None:
        """Offer inside the spread and take one's own offer, with every way to prevent it."""
        self.arena.deposit(ATTACKER, 50_000 * USDC)
        self.arena.trade(ATTACKER, PERPETUAL, Side.BUY, 1)
        for _ in range(self.chance.randrange(4, 9)):
            lots, ticks = self.chance.randrange(1, 50), self.arena.get_ticks()
            flags = self.chance.choice((0, 0, OrderFlag.CANCEL_MAKER, OrderFlag.CANCEL_BOTH))
            self.arena.place(ATTACKER, PERPETUAL, Side.SELL, lots, ticks)
            events = self.arena.place(ATTACKER, PERPETUAL, Side.BUY, lots, ticks, IOC, flags)
            self.printed += sum(
                fill["lots"] for fill in list_fills(events) if fill["account"] == fill["maker_account"]
            )
            self.arena.cancel_all(ATTACKER)

    def score(self) -> int:
        """Lots printed for show."""
        return self.printed


class RebateWash(Strategy):
    """Two accounts of one owner, both with a maker's rebate, trade a nearly worthless option back and forth:
    the rebate is a share of the notional, the taker's fee is capped by the premium.
    """

    law = "[NOVATE-4]"

    def play(self) -> None:
        """Sell at one tick to the twin, and have it sold back."""
        arena = self.arena
        call = arena.list_instrument(InstrumentKind.CALL, arena.price_atoms * 14 // 10, MONTH_NS)
        for role in (ATTACKER, TWIN):
            arena.deposit(role, 100_000 * USDC)
            arena.must("operator", CommandKind.SET_TIER, target=arena.get_account(role), tier=1)
        for _ in range(self.chance.randrange(2, 6)):
            lots = self.chance.randrange(5, 30)
            for buyer, seller in ((ATTACKER, TWIN), (TWIN, ATTACKER)):
                assert lots == count_lots(arena.cross(buyer, seller, call, lots, 1))


class DustFees(Strategy):
    """Trade one lot at a time of something so small that its fee is a fraction of an atom.

    Score: the atoms that the exact rate asks for, rounded down, less those that were paid.
    """

    law, unit = "[UNIT-4] [NOVATE-4]", "atoms of fees"
    due_e6 = 0

    def play(self) -> None:
        """Buy and sell single lots of the perpetual of a penny."""
        arena = self.arena
        penny = arena.list_instrument(InstrumentKind.PERPETUAL, 0, 0, PENNY)
        index = self.chance.randrange(400_000, 3_000_000)
        for role in ("oracle 0", "oracle 1"):
            arena.report(role, index, PENNY)
        arena.tick()
        arena.deposit(ATTACKER, 10_000 * USDC)
        mark = index // PENNY_LOTS_PER_UNIT
        arena.place(MAKER, penny, Side.SELL, 10_000, mark + 1)
        arena.place(MAKER, penny, Side.BUY, 10_000, mark - 1)
        for _ in range(self.chance.randrange(10, 20)):
            for side in (Side.BUY, Side.SELL):
                lots = count_lots(arena.trade(ATTACKER, penny, side, 1))
                assert 1 == lots
                self.due_e6 += lots * index * TAKER_E6 // PENNY_LOTS_PER_UNIT

    def score(self) -> int:
        """Atoms of fees evaded."""
        return self.due_e6 // 10**6 - self.arena.fees_atoms


class OrderFlood(Strategy):
    """Fill the venue's table of orders with bids that will never trade, so that nobody else can place one.

    Score: orders of an honest trader that were refused.
    """

    law, unit = "[MATCH-1]", "orders"
    orders = OPEN_ORDER_COUNT_MAX + FREE_ORDERS
    refused = 0

    def play(self) -> None:
        """Send more orders than the table holds, and let a trader try after that."""
        arena = self.arena
        arena.deposit(ATTACKER, 100_000 * USDC)
        terms = {"instrument": PERPETUAL, "side": Side.BUY, "time_in_force": TimeInForce.GTC, "lots": 1}
        bid = arena.build(ATTACKER, CommandKind.PLACE, terms | {"price_ticks": self.chance.randrange(1, 99)})
        accepted = arena.flood(bid, self.orders + self.chance.randrange(1, 20))
        assert accepted >= OPEN_ORDER_COUNT_MAX
        for lots in range(1, 6):
            events = arena.place(TRADER, PERPETUAL, Side.BUY, lots, arena.get_ticks(990_000))
            self.refused += events[0]["code"] != Code.OK

    def score(self) -> int:
        """Honest orders refused."""
        return self.refused


class StopHunt(Strategy):
    """Sweep the maker's bids, print one trade far below the mark, and wait there for a holder's stop."""

    law = "[TRIG-2]"

    def play(self) -> None:
        """The holder's stop looks at the mark and sells at the market."""
        arena, lots = self.arena, self.chance.randrange(60, 120)
        arena.lever(HOLDER, lots, 400_000)
        arena.depth = self.chance.randrange(20, 40)
        arena.step()
        trigger = {"reference": TriggerReference.MARK, "condition": TriggerCondition.BELOW}
        terms = {"side": Side.SELL, "time_in_force": IOC, "lots": lots, "price_ticks": 0, "flags": MARKET}
        threshold = arena.get_fair(PERPETUAL) * self.chance.randrange(95, 98) // 100
        arena.must(
            HOLDER,
            CommandKind.PLACE_TRIGGER,
            instrument=PERPETUAL,
            **terms,
            **trigger,
            trigger_atoms=threshold,
        )
        for role in (ATTACKER, TWIN):
            arena.deposit(role, 100_000 * USDC)
        arena.announce()
        arena.trade(ATTACKER, PERPETUAL, Side.SELL, arena.count_visible(Side.BUY))
        trap = arena.get_ticks(self.chance.randrange(930_000, 945_000))
        arena.place(ATTACKER, PERPETUAL, Side.BUY, lots + 1, trap)
        arena.place(TWIN, PERPETUAL, Side.SELL, 1, trap, IOC)
        arena.tick()
        arena.cancel_all(ATTACKER)
        arena.calm(2)


class MmpDodge(Strategy):
    """Take a maker's protected quotes one lot at a time, from two accounts, over all its instruments and from
    both sides in turn, so that no single fill and no net count looks large.

    Score: lots filled in one window beyond the group's limit.
    """

    law, unit = "[MMP-3]", "lots"
    limit = 0
    filled = 0

    def play(self) -> None:
        """All of it happens within a second of a window of ten."""
        arena = self.arena
        strikes = sorted(arena.price_atoms * share // 100 // USDC * USDC for share in (100, 104))
        calls = [arena.list_instrument(InstrumentKind.CALL, strike, MONTH_NS) for strike in strikes]
        self.limit = self.chance.randrange(3, 9)
        terms = {"window_ns": 10 * SECOND_NS, "frozen_ns": 5 * SECOND_NS, "quantity_limit_lots": self.limit}
        arena.must(
            MAKER,
            CommandKind.SET_MMP,
            group=1,
            underlying=0,
            delta_limit_atoms=0,
            vega_limit_atoms=0,
            **terms,
        )
        quotes = []
        for call in calls:
            ticks = arena.get_ticks(10**6, call)
            quotes.append((call, ticks - 2, 10, ticks + 2, 10))
        command = arena.build(MAKER, CommandKind.MASS_QUOTE, {"group": 1})._replace(items=tuple(quotes))
        arena.apply([command])
        assert 20 * len(calls) == sum(arena.count_visible(side, call) for call in calls for side in Side)
        for role in (ATTACKER, TWIN):
            arena.deposit(role, 100_000 * USDC)
        for turn in range(8 * self.chance.randrange(2, 4)):
            side = (Side.BUY, Side.SELL)[turn % 2]
            events = arena.trade((ATTACKER, TWIN)[turn // 2 % 2], calls[turn // 4 % 2], side, 1)
            self.filled += count_lots(events)

    def score(self) -> int:
        """Lots beyond the limit."""
        return self.filled - self.limit


class FundingSpoof(Strategy):
    """Be short and bid just below the best ask: the impact bid stands above the mark, and longs pay."""

    law = "[FUND-1]"

    def play(self) -> None:
        """The maker's asks stand half a spread above the mark, which is less than the deadband."""
        arena, lots = self.arena, self.chance.randrange(200, 400)
        arena.half_spread_e6, arena.depth = 220, lots
        arena.step(seconds=2)
        arena.deposit(ATTACKER, 10**6 * USDC)
        assert lots == count_lots(arena.trade(ATTACKER, PERPETUAL, Side.SELL, lots))
        arena.requote()
        ask = arena.get_ticks() * (10**6 + arena.half_spread_e6) // 10**6
        arena.place(ATTACKER, PERPETUAL, Side.BUY, 200, ask - 1)
        for _ in range(48):
            arena.now += 3_600 * SECOND_NS
            for role in ("oracle 0", "oracle 1"):
                arena.report(role, arena.price_atoms)
            arena.tick()
