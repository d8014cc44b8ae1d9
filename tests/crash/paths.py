"""Fifty ways for a venue to be hurt: ten paths of the price, in each of five markets.

A path is a list of prices as shares of the first, and what the oracles do: all report, or none does for so
long that the index is stale. Each episode is a venue of its own (tests/adversaries/arena.py) with levered
accounts on both sides; what must hold is looked at after every TICK.
"""

from collections.abc import Callable, Iterator
from random import Random
from typing import NamedTuple

from novate.execution.exposure import Exposure, read_exposure
from novate.execution.views import read_positions
from novate.protocol.generated.codes import CommandKind, EventKind, InstrumentKind, LiquidationStage
from tests.adversaries.arena import BACKSTOP, BYSTANDER, MAKER, PERPETUAL, TRADER, USDC, Arena, Event
from tests.adversaries.market import BTC, SECOND_NS

FLAT = "flat"
PAIRS = 3
CALM_TICKS = 60
STALE_SECONDS = 70
LOW_PRICE_ATOMS = 900 * USDC
LIQUIDATING = {
    EventKind.LIQUIDATION_STARTED,
    EventKind.SLICE,
    EventKind.AUCTION_STARTED,
    EventKind.AUCTION_TAKEN,
    EventKind.DELEVERAGED,
    EventKind.INSURED,
    EventKind.LOSS_SHARED,
}


class Moment(NamedTuple):
    """The true price as a share of the first, in millionths, and whether the oracles speak."""

    share_e6: int
    told: bool = True


def walk(chance: Random, start: float, end: float, count: int, noise: float) -> Iterator[Moment]:
    """From one share to another in so many steps of about the same size."""
    for k in range(1, count + 1):
        share = start * (end / start) ** (k / count) * (1 + chance.uniform(-noise, noise))
        yield Moment(max(1, round(share * 10**6)))


def fall_by_half(chance: Random) -> list[Moment]:
    """12 March 2020: half within a day, in two falls with a bounce between and after them."""
    first, low = chance.uniform(0.68, 0.8), chance.uniform(0.46, 0.55)
    bounce = first * chance.uniform(1.03, 1.12)
    down, up = walk(chance, 1, first, 4, 0.01), walk(chance, first, bounce, 2, 0.01)
    again, after = walk(chance, bounce, low, 5, 0.02), walk(chance, low, low * 1.25, 3, 0.02)
    return [*down, *up, *again, *after]


def glitch(chance: Random) -> list[Moment]:
    """31 October 2019: the index is off by 12 to 30 per cent for a few reports, and is right again."""
    off = 1 + chance.choice((-1, 1)) * chance.uniform(0.12, 0.3)
    return [Moment(10**6), *[Moment(round(off * 10**6))] * chance.randint(1, 3), *[Moment(10**6)] * 3]


def squeeze(chance: Random) -> list[Moment]:
    """26 March 2025: several times the price within minutes, and most of the way back."""
    high = chance.uniform(2.2, 5.0)
    return [*walk(chance, 1, high, 6, 0.03), *walk(chance, high, chance.uniform(1.1, 1.6), 4, 0.03)]


def cascade(chance: Random) -> list[Moment]:
    """10 October 2025: a sixth at once, then more, each step larger than what is left of most margins."""
    low = chance.uniform(0.55, 0.7)
    return [Moment(830_000), *walk(chance, 0.83, low, 3, 0.0), *walk(chance, low, 0.88, 5, 0.01)]


def gap(chance: Random) -> list[Moment]:
    """Minus ninety per cent in one TICK."""
    fallen, after = chance.randrange(95_000, 105_000), chance.randrange(90_000, 200_000)
    return [Moment(10**6), Moment(fallen), Moment(after)]


def vanish(chance: Random) -> list[Moment]:
    """Down to an atom, and an atom again."""
    return [*walk(chance, 1, 0.5, 2, 0.0), Moment(1_000), Moment(0), Moment(0), Moment(chance.choice((0, 1)))]


def soar(chance: Random) -> list[Moment]:
    """A thousand times the price at once."""
    return [Moment(10**6), Moment(1_000 * 10**6), Moment(chance.randrange(900, 1_000) * 10**6)]


def whipsaw(chance: Random) -> list[Moment]:
    """Down and up by more than margins bear, again and again."""
    return [Moment(round(10**6 * (1 + sign * chance.uniform(0.1, 0.25)))) for sign in (-1, 1) * 4]


def silence(chance: Random) -> list[Moment]:
    """The price falls by a third while no oracle speaks, and then they do."""
    low = chance.uniform(0.6, 0.75)
    untold = [each._replace(told=False) for each in walk(chance, 1, low, 3, 0.0)]
    return [*untold, Moment(round(low * 10**6)), Moment(round(low * 10**6))]


def grind(chance: Random) -> list[Moment]:
    """A per cent or two at every TICK, always the same way."""
    return list(walk(chance, 1, chance.choice((0.7, 1.4)), 16, 0.002))


SHAPES: tuple[Callable[[Random], list[Moment]], ...] = (
    *(fall_by_half, glitch, squeeze, cascade, gap),
    *(vanish, soar, whipsaw, silence, grind),
)
MARKETS = ("deep book", "empty book", "one account has all", "no backstop", "options")


class Episode:
    """One venue on one path."""

    def __init__(self, shape: Callable[[Random], list[Moment]], market: str, seed: int) -> None:
        self.arena = Arena(seed)
        self.chance = self.arena.chance
        self.market = market
        self.seen: set[int] = set()
        if shape is soar:
            # From far below, so that a thousandfold is a price that the genesis file admits.
            self.arena.step(LOW_PRICE_ATOMS)
        self.fill_market()
        self.first_atoms = self.arena.price_atoms
        self.path = shape(self.chance)

    def fill_market(self) -> None:
        """Levered pairs, one of which may be a single account on all; then the market is as its name says."""
        arena, chance = self.arena, self.chance
        arena.deposit(FLAT, 1_000 * USDC)
        for k in range(PAIRS):
            lots, fair = chance.randrange(20, 90), arena.get_fair(PERPETUAL)
            buyer, seller = f"long {k}", f"short {k}"
            if self.market == "one account has all":
                buyer = "whale"
            for role in (buyer, seller):
                arena.deposit(role, lots * fair * chance.randrange(195, 400) // 1_000 + USDC)
            arena.cancel_all(MAKER)
            arena.cross(buyer, seller, PERPETUAL, lots, arena.get_ticks())
            assert lots == arena.list_lots(seller)[PERPETUAL] * -1
        if self.market == "options":
            self.sell_options()
        arena.quoted_at = 0
        arena.depth = 200 if self.market == "deep book" else arena.depth
        arena.requote()
        if self.market in ("empty book", "no backstop"):
            arena.leave()
        if self.market == "no backstop":
            arena.must(BACKSTOP, CommandKind.BACKSTOP, demand_e6=-1)

    def sell_options(self) -> None:
        """One account sells calls and puts at the money, and holds little more than they need."""
        arena = self.arena
        expiry_ns = (arena.now // SECOND_NS + 86_400) * SECOND_NS
        for kind in (InstrumentKind.CALL, InstrumentKind.PUT):
            strike = arena.price_atoms // USDC * USDC
            number = arena.list_instrument(kind, strike, expiry_ns, BTC)
            arena.deposit("writer", 10 * arena.get_fair(PERPETUAL) * self.chance.randrange(200, 300) // 100)
            arena.cross(TRADER, "writer", number, 10, max(1, arena.get_ticks(number=number)))

    def run(self) -> None:
        """Follow the path, then stand still until all that was begun has ended."""
        flat = {role: self.arena.get_cash(role) for role in (FLAT, BYSTANDER)}
        for moment in self.path:
            self.follow(moment)
        for _ in range(CALM_TICKS):
            if not read_exposure(self.arena.engine).stage.any():
                break
            self.check(self.arena.step())
        for role, cash in flat.items():
            assert cash == self.arena.get_cash(role), f"{role} paid for others"
        self.check_end()

    def follow(self, moment: Moment) -> None:
        """One step of the path."""
        arena = self.arena
        price = max(1, self.first_atoms * moment.share_e6 // 10**6)
        if moment.told:
            self.check(arena.step(price))
            return
        arena.now += STALE_SECONDS * SECOND_NS
        arena.move(price)
        events = arena.tick(requote=False)
        assert not LIQUIDATING & {event["kind"] for event in events}, "liquidated without a fresh index"

    def check(self, events: list[Event]) -> None:
        """After a TICK at a fresh index nobody in breach is left alone, and what fills do is lawful."""
        self.seen |= {event["kind"] for event in events}
        exposure = read_exposure(self.arena.engine)
        breached = exposure.equity_atoms < exposure.maintenance_atoms
        alone = breached & (exposure.stage == LiquidationStage.NONE)
        assert not alone.any(), f"in breach and left alone: {alone.nonzero()[0]}"

    def check_end(self) -> None:
        """Nobody is in liquidation, in debt or in breach; every book of lots is even."""
        exposure: Exposure = read_exposure(self.arena.engine)
        assert not exposure.stage.any(), "a liquidation that does not end"
        assert (exposure.equity_atoms >= 0).all(), "a debt that nobody bears"
        lots: dict[int, int] = {}
        for account in range(len(exposure.stage)):
            for view in read_positions(self.arena.engine, account):
                lots[view.instrument] = lots.get(view.instrument, 0) + view.lots
        assert not any(lots.values())
