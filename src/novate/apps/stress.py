"""A crash replayed over a venue full of leveraged accounts: `novate stress`.

The venue is an engine in memory, its oracle follows files of one-minute prices, and the law does the rest:
margin calls, slices, auctions, insurance fund, deleveraging. Nothing is random but the portfolio's seed.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from novate.analytics.crash_portfolios import PortfolioAccount, PortfolioFileError, read_portfolio_file
from novate.apps.stress_market import (
    History,
    StressError,
    Window,
    choose_window,
    find_common,
    read_histories,
)
from novate.apps.stress_portfolio import (
    Opener,
    Opening,
    draw_candidates,
    list_file_terms,
    read_candidates,
)
from novate.apps.stress_record import StressRecord
from novate.apps.stress_traders import MarketMaker, offer_backstops, unwind
from novate.apps.stress_venue import Account, StressVenue
from novate.execution.engine import Events
from novate.protocol.generated.codes import CommandKind
from novate.protocol.generated.constants import E6, NS_PER_S

Progress = Callable[[int, int], None]

ACCOUNTS_MAX = 20_000
TICKS_MAX = 200_000
MAKER_ATOMS = 10**10 * E6
# Two backstops share the capital; the cheaper one is the smaller.
BACKSTOP_SHARES = ((40, 20_000), (60, 100_000))
PERCENT = 100


@dataclass(frozen=True)
class StressOptions:
    """What the command line says; times in ns UTC, money in atoms."""

    prices: tuple[Path, ...]
    accounts: int = 1_000
    portfolio: Path | None = None
    seed: int = 1
    from_ns: int | None = None
    until_ns: int | None = None
    hours: float | None = None
    tick_seconds: int = 60
    insurance_atoms: int = 250_000 * E6
    backstop_atoms: int = 500_000 * E6


@dataclass
class StressPlan:
    """What the files hold, read and checked before anything is compiled."""

    options: StressOptions
    histories: tuple[History, ...]
    window: Window
    portfolio: tuple[PortfolioAccount, ...] | None

    @property
    def tick_count(self) -> int:
        """How many ticks the window has after its beginning."""
        return (self.window.end_ns - self.window.begin_ns) // (self.options.tick_seconds * NS_PER_S)


@dataclass
class StressRun:
    """A venue ready for its crash, and what has happened since."""

    plan: StressPlan
    venue: StressVenue
    opening: Opening
    maker: MarketMaker
    backstops: list[Account]
    record: StressRecord = field(default_factory=StressRecord)

    def step(self, time_ns: int) -> Events:
        """Let time pass to one moment, with one TICK, and return everything that happened."""
        venue = self.venue
        venue.advance(time_ns)
        away, quotes = venue.cancel_all(self.maker.account.address), self.maker.quote()
        events = venue.apply([away, *venue.report(), *quotes, venue.tick()])
        orders = [order for backstop in self.backstops for order in unwind(venue, backstop)]
        if orders:
            events = np.concatenate((events, venue.apply(orders)))
        self.record.observe(venue, events)
        return events

    def list_times(self) -> Iterator[int]:
        """Yield the times of all ticks."""
        tick_ns = self.plan.options.tick_seconds * NS_PER_S
        yield from range(self.plan.window.begin_ns + tick_ns, self.plan.window.end_ns + 1, tick_ns)


def plan_stress(options: StressOptions) -> StressPlan:
    """Read the files and choose the window.

    Errors     StressError for files, window or numbers that cannot be used; its message says why.
    """
    histories = read_histories(options.prices)
    common = find_common(histories)
    window = choose_window(histories, common, options.from_ns, options.until_ns, options.hours)
    try:
        portfolio = read_portfolio_file(options.portfolio) if options.portfolio else None
    except PortfolioFileError as error:
        raise StressError(str(error)) from error
    plan = StressPlan(options, histories, window, portfolio)
    count = options.accounts if portfolio is None else len(portfolio)
    if not 1 <= count <= ACCOUNTS_MAX:
        raise StressError(f"a portfolio must have 1 to {ACCOUNTS_MAX} accounts, found {count}")
    if not 1 <= plan.tick_count <= TICKS_MAX:
        raise StressError(f"a window must have 1 to {TICKS_MAX} ticks, found {plan.tick_count}")
    if portfolio is not None:
        list_file_terms(portfolio, [each.name for each in histories])
    return plan


def prepare_stress(plan: StressPlan, progress: Progress = lambda done, total: None) -> StressRun:
    """Open the venue, the accounts under test with their positions, and everybody else.

    Errors     StressError if a portfolio's instruments cannot be listed.
    """
    options, names = plan.options, [each.name for each in plan.histories]
    count = options.accounts if plan.portfolio is None else len(plan.portfolio)
    tick_ns = options.tick_seconds * NS_PER_S
    venue = StressVenue(plan.histories, count, plan.window.begin_ns, tick_ns)
    if plan.portfolio is None:
        venue.open_market()
        candidates = draw_candidates(venue, count, options.seed)
    else:
        venue.open_market(list_file_terms(plan.portfolio, names))
        candidates = read_candidates(venue, plan.portfolio)
    opening = Opener(venue, candidates).run(progress)
    maker = venue.deposit([MAKER_ATOMS])[0]
    backstops = []
    if options.backstop_atoms:
        capitals = [options.backstop_atoms * share // PERCENT for share, _ in BACKSTOP_SHARES]
        backstops = offer_backstops(venue, capitals, [demand for _, demand in BACKSTOP_SHARES])
    if options.insurance_atoms:
        sponsor = venue.deposit([options.insurance_atoms])[0].address
        venue.must([venue.sign(CommandKind.INSURE, sponsor, amount_atoms=options.insurance_atoms)])
    return StressRun(plan, venue, opening, MarketMaker(venue, maker, options.tick_seconds), backstops)


def run_stress(run: StressRun, progress: Progress = lambda done, total: None) -> StressRun:
    """Replay the window to its end."""
    total = run.plan.tick_count
    for done, time_ns in enumerate(run.list_times(), 1):
        run.step(time_ns)
        progress(done, total)
    return run
