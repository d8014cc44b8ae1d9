"""The accounts under test: drawn from a seed or read from a file, and how they come to hold what they hold.

Every position is opened by an order against a counterparty, at the mark. An account that cannot meet its
initial margin is scaled down, in sixteenths, to what it can; one that can open nothing is skipped.
"""

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import zip_longest
from typing import NamedTuple

from novate.access.simulation import Leg as SimulatedLeg
from novate.access.simulation import compute_simulation, make_empty_book
from novate.analytics.crash_portfolios import (
    Leg,
    Market,
    Portfolio,
    PortfolioAccount,
    Position,
    choose_strike,
    generate_portfolios,
)
from novate.apps.market import UNDERLYING_ROWS
from novate.apps.stress_market import StressError
from novate.apps.stress_venue import Account, StressVenue
from novate.execution import views
from novate.protocol.generated.codes import Code, EventKind, InstrumentKind, TimeInForce
from novate.protocol.generated.constants import CASH_ATOMS_MAX, E6, NS_PER_DAY, ORDER_LOTS_MAX
from novate.protocol.instrument import (
    EXPIRY_TIME_OF_DAY_NS,
    MONTHS,
    InstrumentTerms,
    compute_civil_date,
    format_instrument_name,
)

OPTION_KINDS = (InstrumentKind.CALL, InstrumentKind.PUT)
LINEAR_KINDS = (InstrumentKind.PERPETUAL, InstrumentKind.FUTURE)
SCALE_STEPS = 16
# Equity left over when margin is met: the order that comes first is judged with its fee and before the hedge.
SPARE_E6 = 1_010_000
COUNTERPARTY_ATOMS = 10**9 * E6
ACCOUNTS_PER_COUNTERPARTY = 1_000
FILE_STYLE = "from the file"
NAME = re.compile(
    r"([0-9A-Z]+)_USDC-(?:PERPETUAL|([0-9]{1,2})([A-Z]{3})([0-9]{2})(?:-([0-9]+)(d[0-9]+)?-([CP]))?)"
)
CENTURY = 2_000


class Holding(NamedTuple):
    """Signed lots of an instrument that an account wants to hold."""

    number: int
    lots: int


class Candidate(NamedTuple):
    """One account before it opens anything: its style, what it deposits, and what it wants to hold."""

    label: int
    style: str
    cash_atoms: int
    holdings: tuple[Holding, ...]


@dataclass
class Tested:
    """One account under test. `sixteenths` is the size that margin allowed, 0 if it could open nothing."""

    account: Account
    label: int
    style: str
    sixteenths: int
    equity_start_atoms: int = 0


@dataclass
class Opening:
    """Who takes part, what did not go as wanted, and the accounts that took the other side."""

    tested: list[Tested] = field(default_factory=list)
    notes: Counter[str] = field(default_factory=Counter)
    counterparties: list[Account] = field(default_factory=list)

    @property
    def scaled_count(self) -> int:
        """How many accounts opened less than they wanted."""
        return sum(0 < each.sixteenths < SCALE_STEPS for each in self.tested)


def count_days(year: int, month: int, day: int) -> int:
    """Return the day number of a date; StressError if there is no such date."""
    guess = int((year - 1970) * 365.2425 + (month - 1) * 30.4 + day)
    for days in range(guess - 5, guess + 6):
        if compute_civil_date(days) == (year, month, day):
            return days
    raise StressError(f"{year}-{month:02d}-{day:02d} is no date")


def parse_instrument_name(name: str, underlyings: Sequence[str]) -> InstrumentTerms:
    """Return the terms that a name stands for; StressError unless it is the name of such an instrument."""
    match = NAME.fullmatch(name)
    if match is None or match[1] not in underlyings:
        known = " or ".join(underlyings)
        raise StressError(f"{name} is no instrument of {known} that expires at 08:00 UTC")
    number = underlyings.index(match[1])
    if match[2] is None:
        return InstrumentTerms(number, InstrumentKind.PERPETUAL, 0, 0)
    if match[3] not in MONTHS:
        raise StressError(f"{name}: {match[3]} is no month")
    days = count_days(CENTURY + int(match[4]), MONTHS.index(match[3]) + 1, int(match[2]))
    kind, strike_atoms = InstrumentKind.FUTURE, 0
    if match[5] is not None:
        kind = InstrumentKind.CALL if match[7] == "C" else InstrumentKind.PUT
        strike_atoms = int(match[5]) * E6 + int((match[6] or "d0")[1:].ljust(6, "0"))
    terms = InstrumentTerms(number, kind, strike_atoms, days * NS_PER_DAY + EXPIRY_TIME_OF_DAY_NS)
    if format_instrument_name(match[1], terms) != name:
        raise StressError(f"{name} should be written {format_instrument_name(match[1], terms)}")
    return terms


def list_file_terms(
    accounts: Sequence[PortfolioAccount], underlyings: Sequence[str]
) -> list[InstrumentTerms]:
    """Return the terms of every instrument that a portfolio file names, each once."""
    names = dict.fromkeys(row.instrument for account in accounts for row in account.positions)
    return [parse_instrument_name(name, underlyings) for name in names]


class Resolver:
    """Finds the listed instrument that fits a drawn leg best."""

    def __init__(self, venue: StressVenue) -> None:
        self.venue = venue
        self.perpetuals = {i.underlying: i.number for i in venue.instruments if i.expiry_ns == 0}
        self.futures: dict[int, dict[int, int]] = {}
        self.options: dict[int, dict[int, dict[tuple[int, int], int]]] = {}
        for each in venue.instruments:
            if each.kind == InstrumentKind.FUTURE:
                self.futures.setdefault(each.underlying, {})[each.expiry_ns] = each.number
            elif each.kind in OPTION_KINDS:
                series = self.options.setdefault(each.underlying, {}).setdefault(each.expiry_ns, {})
                series[each.kind, each.strike_atoms] = each.number

    def resolve(self, leg: Leg) -> Holding:
        """Return what a leg stands for: the nearest expiry, and there the nearest strike."""
        if leg.kind == InstrumentKind.PERPETUAL:
            return Holding(self.perpetuals[leg.underlying], leg.lots)
        wanted_ns = self.venue.time_ns + leg.days_to_expiry * NS_PER_DAY
        if leg.kind == InstrumentKind.FUTURE:
            futures = self.futures[leg.underlying]
            return Holding(futures[min(futures, key=lambda each: abs(each - wanted_ns))], leg.lots)
        options = self.options[leg.underlying]
        series = options[min(options, key=lambda each: abs(each - wanted_ns))]
        strikes = [strike for kind, strike in series if kind == leg.kind]
        strike = choose_strike(leg.moneyness_e6, self.venue.indexes_atoms[leg.underlying], strikes)
        return Holding(series[leg.kind, strike], leg.lots)


def merge(holdings: Sequence[Holding]) -> tuple[Holding, ...]:
    """Return one holding per instrument, without those that add up to nothing."""
    totals: Counter[int] = Counter()
    for number, lots in holdings:
        totals[number] += lots
    return tuple(Holding(number, lots) for number, lots in totals.items() if lots)


def draw_candidates(venue: StressVenue, count: int, seed: int) -> list[Candidate]:
    """Return drawn accounts, their rules resolved to what is listed."""
    markets = [
        Market(
            number,
            venue.indexes_atoms[number],
            UNDERLYING_ROWS[history.name]["option_lots_per_unit"],
            UNDERLYING_ROWS[history.name]["perpetual_lots_per_unit"],
        )
        for number, history in enumerate(venue.histories)
    ]
    resolver = Resolver(venue)

    def make(portfolio: Portfolio) -> Candidate:
        holdings = merge([resolver.resolve(leg) for leg in portfolio.legs])
        return Candidate(portfolio.account, portfolio.style, portfolio.cash_atoms, holdings)

    return [make(each) for each in generate_portfolios(count, markets, seed)]


def read_candidates(venue: StressVenue, accounts: Sequence[PortfolioAccount]) -> list[Candidate]:
    """Return the accounts of a portfolio file. What a position gained or lost between its entry and the mark
    now is added to the cash, so that equity is as if it had been bought at its entry price.
    """
    candidates = []
    for account in accounts:
        gain = sum(compute_gain(venue, row) for row in account.positions)
        holdings = [
            Holding(venue.engine.find_instrument(row.instrument), row.lots) for row in account.positions
        ]
        candidates.append(Candidate(account.account, FILE_STYLE, account.cash_atoms + gain, merge(holdings)))
    return candidates


def compute_gain(venue: StressVenue, row: Position) -> int:
    """Return what a position of a file has gained since its entry, in atoms, rounded down."""
    number = venue.engine.find_instrument(row.instrument)
    value = row.lots * venue.find_mark(number)
    return value - -(-row.lots * row.entry_price_atoms // venue.instruments[number].lots_per_unit)


class Opener:
    """Opens the positions of candidates, one account after the other."""

    def __init__(self, venue: StressVenue, candidates: Sequence[Candidate]) -> None:
        self.venue = venue
        self.opening = Opening()
        able = []
        for each in candidates:
            if 0 < each.cash_atoms < CASH_ATOMS_MAX // 2:
                able.append(each)
            else:
                self.opening.notes["no equity to begin with"] += 1
        self.candidates = able
        accounts = venue.deposit([each.cash_atoms for each in able])
        self.opening.tested = [
            Tested(account, each.label, each.style, SCALE_STEPS)
            for account, each in zip(accounts, able, strict=True)
        ]
        count = -(-max(1, len(able)) // ACCOUNTS_PER_COUNTERPARTY)
        self.opening.counterparties = venue.deposit([COUNTERPARTY_ATOMS] * count)

    def find_ticks(self, number: int) -> int:
        """Return the mark in ticks, the nearest one that a book has."""
        tick_atoms = self.venue.instruments[number].tick_atoms
        return max(1, (2 * self.venue.find_mark(number) + tick_atoms) // (2 * tick_atoms))

    def can_open(self, cash_atoms: int, holdings: Sequence[Holding]) -> bool:
        """Whether margin allows the holdings, bought at the nearest tick and with fees."""
        world = self.venue.engine.world
        books = [make_empty_book(self.venue.engine, number) for number in range(len(self.venue.histories))]
        equity, legs = cash_atoms, []
        for number, lots in holdings:
            instrument, record = self.venue.instruments[number], world.instruments[number]
            price = self.find_ticks(number) * instrument.tick_atoms
            equity += lots * (int(record["mark_atoms"]) - price) - abs(lots) * int(record["taker_fee_atoms"])
            row, basis_row = world.rows[number].copy(), world.basis_rows[number].copy()
            notional = int(record["notional_atoms"])
            legs.append(SimulatedLeg(instrument, notional, row, basis_row, lots, 0, 0, 0))
        required = sum(each.initial_atoms for each in compute_simulation(books, legs, world.parameters[0]))
        return equity * E6 >= required * SPARE_E6

    def choose_scale(self, cash_atoms: int, holdings: Sequence[Holding]) -> int:
        """Return the most sixteenths of the holdings that margin allows."""
        if self.can_open(cash_atoms, holdings):
            return SCALE_STEPS
        low, high = 0, SCALE_STEPS
        while high - low > 1:
            middle = (low + high) // 2
            if self.can_open(cash_atoms, scale(holdings, middle)):
                low = middle
            else:
                high = middle
        return low

    def open_one(self, tested: Tested, candidate: Candidate) -> None:
        """Open one account's holdings as far as margin goes; leave it with cash only if that is nowhere."""
        if not candidate.holdings:
            return
        tested.sixteenths = self.choose_scale(candidate.cash_atoms, candidate.holdings)
        waiting = [part for each in scale(candidate.holdings, tested.sixteenths) for part in split(each)]
        if not waiting:
            tested.sixteenths = 0
            self.opening.notes["not one lot within margin"] += 1
            return
        # A leg may have to wait for the one that hedges it, and where neither can stand alone they are opened
        # in small parts by turns.
        waiting = self.trade_all(tested, waiting)
        if waiting:
            waiting = self.trade_all(tested, interleave(waiting))
        if waiting:
            self.opening.notes["part of the positions refused"] += 1

    def trade_all(self, tested: Tested, waiting: list[Holding]) -> list[Holding]:
        """Trade until nothing more is accepted, and return what is left."""
        progress = True
        while waiting and progress:
            refused = self.trade(tested, waiting)
            progress = len(refused) < len(waiting)
            waiting = refused
        return waiting

    def trade(self, tested: Tested, holdings: Sequence[Holding]) -> list[Holding]:
        """Let a counterparty offer each holding and the account take it; return what was refused."""
        venue, parties = self.venue, self.opening.counterparties
        other = parties[tested.account.number // ACCOUNTS_PER_COUNTERPARTY % len(parties)]
        commands = []
        for number, lots in holdings:
            ticks = self.find_ticks(number)
            commands.append(venue.place(other.address, number, -lots, ticks, TimeInForce.GTC))
            commands.append(venue.place(tested.account.address, number, lots, ticks, TimeInForce.IOC))
        commands.append(venue.cancel_all(other.address))
        events = venue.engine.apply(commands)
        codes = events["code"][events["kind"] == EventKind.RESULT].tolist()
        return [
            holding
            for i, holding in enumerate(holdings)
            if codes[2 * i] != Code.OK or codes[2 * i + 1] != Code.OK
        ]

    def run(self, progress: Callable[[int, int], None]) -> Opening:
        """Open everything and note what each account has to begin with."""
        total = len(self.candidates)
        for done, (tested, candidate) in enumerate(zip(self.opening.tested, self.candidates, strict=True), 1):
            self.open_one(tested, candidate)
            progress(done, total)
        for tested in self.opening.tested:
            view = views.read_account(self.venue.engine, tested.account.number)
            tested.equity_start_atoms = view.equity_atoms
        return self.opening


def scale(holdings: Sequence[Holding], sixteenths: int) -> list[Holding]:
    """Return the holdings reduced, lots rounded towards zero, without those of which nothing is left."""
    found = [Holding(h.number, int(h.lots * sixteenths / SCALE_STEPS)) for h in holdings]
    return [each for each in found if each.lots]


def split(holding: Holding, lots_max: int = ORDER_LOTS_MAX) -> list[Holding]:
    """Return the holding in parts of at most so many lots."""
    sign, left = (1 if holding.lots > 0 else -1), abs(holding.lots)
    parts = []
    while left:
        part = min(left, lots_max)
        parts.append(Holding(holding.number, sign * part))
        left -= part
    return parts


def interleave(holdings: Sequence[Holding]) -> list[Holding]:
    """Return the holdings in sixteenths, one of each by turns."""
    parts = [split(each, -(-abs(each.lots) // SCALE_STEPS)) for each in holdings]
    return [part for turn in zip_longest(*parts) for part in turn if part is not None]
