"""Leveraged accounts for a stress test: drawn from a seed in the styles of a real venue, or read from a file.

Drawn accounts hold rules (moneyness, days to expiry), so the same seed fits any index and any listing.
A portfolio file is CSV with the header `account,cash_usdc,instrument,lots,entry_price`, a row per position:
a number; cash on an account's first row, then empty or the same; the instrument's name; signed lots; the
price paid per 1.0 underlying in USDC. Where the last three are empty, the account has cash only.
"""

import csv
import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple

import numpy as np

from novate.analytics.greeks import compute_option_greeks
from novate.protocol.generated.codes import InstrumentKind
from novate.protocol.generated.constants import CASH_ATOMS_MAX, E6, GROSS_LOTS_MAX, INDEX_ATOMS_MAX

COLUMNS = ("account", "cash_usdc", "instrument", "lots", "entry_price")
ROWS_MAX = 200_000
ACCOUNTS_MAX = 1 << 20
INTEGER = re.compile(r"-?[0-9]{1,18}")
DECIMAL = re.compile(r"([0-9]{1,13})(?:\.([0-9]{1,6}))?")
INSTRUMENT = re.compile(
    r"[0-9A-Z]{1,12}_USDC-(PERPETUAL|[0-9]{1,2}[A-Z]{3}[0-9]{2}(T[0-9]{4}([0-9]{2})?)?"
    r"(-[0-9]{1,8}(d[0-9]{1,6})?-[CP])?)"
)

NOTIONAL_USDC_MIN = 5_000
NOTIONAL_USDC_MAX = 500_000
LEVERAGES = (2, 3, 5, 10, 20)
OPTION_LEVERAGES = (2, 3, 4, 6)
DAYS_TO_EXPIRY = (7, 30, 90)
PUT_MONEYNESS_E6 = (750_000, 800_000, 850_000, 900_000, 950_000)
CALL_MONEYNESS_E6 = (1_050_000, 1_100_000, 1_150_000, 1_200_000, 1_300_000)
SPREAD_WIDTH_E6 = 100_000
# Hedges are computed at this volatility; the stress itself is what shows how good they are.
HEDGE_VOLATILITY = 0.6
DAYS_PER_YEAR = 365.0


class PortfolioFileError(ValueError):
    """A portfolio file that cannot be used; the message names the file, the line and the column."""


class Style(StrEnum):
    """How an account trades."""

    LONG_PERPETUAL = "long perpetual"
    SHORT_PERPETUAL = "short perpetual"
    SHORT_STRANGLE = "short strangle"
    SHORT_PUT_SPREAD = "short put spread"
    LONG_CALL = "long call"
    COVERED_CALL = "covered call"
    HEDGED_STRADDLE = "delta-hedged short straddle"
    FUTURE_BASIS = "dated-future basis"
    CASH_ONLY = "cash only"
    MARKET_MAKER = "market maker"


# Longs outnumber shorts, as they do before a crash.
STYLE_WEIGHTS = {
    Style.LONG_PERPETUAL: 0.28,
    Style.SHORT_PERPETUAL: 0.10,
    Style.SHORT_STRANGLE: 0.12,
    Style.SHORT_PUT_SPREAD: 0.10,
    Style.LONG_CALL: 0.10,
    Style.COVERED_CALL: 0.08,
    Style.HEDGED_STRADDLE: 0.07,
    Style.FUTURE_BASIS: 0.05,
    Style.CASH_ONLY: 0.04,
    Style.MARKET_MAKER: 0.06,
}


class Market(NamedTuple):
    """One underlying: its number, its index in atoms, and lots per 1.0 of options and of linear contracts."""

    underlying: int
    index_atoms: int
    option_lots_per_unit: int
    linear_lots_per_unit: int


class Leg(NamedTuple):
    """A position by rule: strike = moneyness * index; moneyness is 0 for perpetuals and futures, days 0 for
    perpetuals. Lots are signed.
    """

    underlying: int
    kind: int
    moneyness_e6: int
    days_to_expiry: int
    lots: int


class Portfolio(NamedTuple):
    """One drawn account. Cash is what it brings before it trades: it pays and receives premiums out of it."""

    account: int
    style: Style
    cash_atoms: int
    legs: tuple[Leg, ...]


class Position(NamedTuple):
    """One row of a portfolio file: signed lots bought at a price in atoms per 1.0 underlying."""

    instrument: str
    lots: int
    entry_price_atoms: int


class PortfolioAccount(NamedTuple):
    """One account of a portfolio file."""

    account: int
    cash_atoms: int
    positions: tuple[Position, ...]


class Draw:
    """The choices behind one account: a market, a size, and helpers to build legs of it."""

    def __init__(self, generator: np.random.Generator, markets: Sequence[Market], leverage_max: int) -> None:
        self.generator = generator
        self.leverages = [each for each in LEVERAGES if each <= leverage_max]
        self.market = markets[int(generator.integers(len(markets)))]
        low, high = np.log(NOTIONAL_USDC_MIN), np.log(NOTIONAL_USDC_MAX)
        notional_atoms = int(np.exp(generator.uniform(low, high)) * E6)
        # In hundredths of the underlying, from which all lots of the account follow.
        self.size_e2 = max(1, notional_atoms * 100 // self.market.index_atoms)
        self.days = self.choose(DAYS_TO_EXPIRY)

    def choose(self, options: Sequence[int]) -> int:
        """Return one of the options, all equally likely."""
        return options[int(self.generator.integers(len(options)))]

    def option(self, kind: int, moneyness_e6: int, sign: int) -> Leg:
        """Return an option leg of the account's size."""
        lots = max(1, self.size_e2 * self.market.option_lots_per_unit // 100)
        return Leg(self.market.underlying, kind, moneyness_e6, self.days, sign * lots)

    def linear(self, kind: int, sign: int) -> Leg:
        """Return a leg of a perpetual or a future of the account's size."""
        lots = max(1, self.size_e2 * self.market.linear_lots_per_unit // 100)
        return Leg(
            self.market.underlying, kind, 0, self.days if kind == InstrumentKind.FUTURE else 0, sign * lots
        )

    def hedge(self, legs: Sequence[Leg]) -> tuple[Leg, ...]:
        """Return the legs and a perpetual that makes their delta about zero; alone if they need none."""
        delta = 0.0
        for leg in legs:
            moneyness, years = leg.moneyness_e6 / E6, leg.days_to_expiry / DAYS_PER_YEAR
            greeks = compute_option_greeks(leg.kind, 1.0, moneyness, years, HEDGE_VOLATILITY)
            delta += float(greeks.delta) * leg.lots / self.market.option_lots_per_unit
        lots = -round(delta * self.market.linear_lots_per_unit)
        perpetual = Leg(self.market.underlying, InstrumentKind.PERPETUAL, 0, 0, lots)
        return (*legs, perpetual) if lots else tuple(legs)

    def fund(self, leverages: Sequence[int]) -> int:
        """Return cash in atoms: the account's notional divided by one of the leverages."""
        notional_atoms = self.size_e2 * self.market.index_atoms // 100
        return max(E6, notional_atoms // self.choose(leverages))


def draw_perpetual(draw: Draw, sign: int) -> tuple[int, tuple[Leg, ...]]:
    """Return cash and legs of a leveraged bet on the price."""
    return draw.fund(draw.leverages), (draw.linear(InstrumentKind.PERPETUAL, sign),)


def draw_short_strangle(draw: Draw) -> tuple[int, tuple[Leg, ...]]:
    """Return cash and legs of a sold put below and a sold call above the index."""
    put = draw.option(InstrumentKind.PUT, draw.choose(PUT_MONEYNESS_E6), -1)
    call = draw.option(InstrumentKind.CALL, draw.choose(CALL_MONEYNESS_E6), -1)
    return draw.fund(OPTION_LEVERAGES), (put, call)


def draw_short_put_spread(draw: Draw) -> tuple[int, tuple[Leg, ...]]:
    """Return cash and legs of a sold put and a bought one further down."""
    moneyness_e6 = draw.choose(PUT_MONEYNESS_E6)
    sold = draw.option(InstrumentKind.PUT, moneyness_e6, -1)
    bought = draw.option(InstrumentKind.PUT, moneyness_e6 - SPREAD_WIDTH_E6, 1)
    # The spread can lose its width and no more, so it is carried with less cash than a naked put.
    return draw.fund([2 * each for each in OPTION_LEVERAGES]), (sold, bought)


def draw_long_call(draw: Draw) -> tuple[int, tuple[Leg, ...]]:
    """Return cash and legs of a bought call; the cash pays its premium."""
    call = draw.option(InstrumentKind.CALL, draw.choose((E6, *CALL_MONEYNESS_E6)), 1)
    return draw.fund((2, 3, 4)), (call,)


def draw_covered_call(draw: Draw) -> tuple[int, tuple[Leg, ...]]:
    """Return cash and legs of a bought perpetual and a sold call above it."""
    call = draw.option(InstrumentKind.CALL, draw.choose(CALL_MONEYNESS_E6), -1)
    return draw.fund(draw.leverages), (draw.linear(InstrumentKind.PERPETUAL, 1), call)


def draw_hedged_straddle(draw: Draw) -> tuple[int, tuple[Leg, ...]]:
    """Return cash and legs of a sold call and put at the index, and the perpetual that hedges them."""
    straddle = [draw.option(kind, E6, -1) for kind in (InstrumentKind.CALL, InstrumentKind.PUT)]
    return draw.fund(OPTION_LEVERAGES), draw.hedge(straddle)


def draw_future_basis(draw: Draw) -> tuple[int, tuple[Leg, ...]]:
    """Return cash and legs of a sold dated future against a bought perpetual."""
    return draw.fund(draw.leverages), (
        draw.linear(InstrumentKind.FUTURE, -1),
        draw.linear(InstrumentKind.PERPETUAL, 1),
    )


def draw_market_maker(draw: Draw) -> tuple[int, tuple[Leg, ...]]:
    """Return cash and legs of a small book of options bought and sold, hedged by a perpetual."""
    draw.size_e2 = max(1, draw.size_e2 // 4)
    legs = []
    for kind, ladder in ((InstrumentKind.CALL, CALL_MONEYNESS_E6), (InstrumentKind.PUT, PUT_MONEYNESS_E6)):
        first = int(draw.generator.integers(len(ladder) - 1))
        sign = draw.choose((1, -1))
        legs += [draw.option(kind, ladder[first], sign), draw.option(kind, ladder[first + 1], -sign)]
    return draw.fund((1, 2)), draw.hedge(legs)


DRAWERS: dict[Style, Callable[[Draw], tuple[int, tuple[Leg, ...]]]] = {
    Style.LONG_PERPETUAL: lambda draw: draw_perpetual(draw, 1),
    Style.SHORT_PERPETUAL: lambda draw: draw_perpetual(draw, -1),
    Style.SHORT_STRANGLE: draw_short_strangle,
    Style.SHORT_PUT_SPREAD: draw_short_put_spread,
    Style.LONG_CALL: draw_long_call,
    Style.COVERED_CALL: draw_covered_call,
    Style.HEDGED_STRADDLE: draw_hedged_straddle,
    Style.FUTURE_BASIS: draw_future_basis,
    Style.CASH_ONLY: lambda draw: (draw.fund((1,)), ()),
    Style.MARKET_MAKER: draw_market_maker,
}


def generate_portfolios(
    count: int, markets: Sequence[Market], seed: int, leverage_max: int = LEVERAGES[-1]
) -> tuple[Portfolio, ...]:
    """Return accounts 0 to count - 1; the same arguments give the same accounts.

    The first accounts are one of each style, the others follow STYLE_WEIGHTS. `leverage_max` bounds notional
    over cash of linear positions: margin may not allow an order to open what a crash can leave behind.
    Errors     ValueError for a count or leverage_max out of range, no market, or one that is not positive.
    """
    if not 0 <= count <= ACCOUNTS_MAX or leverage_max < LEVERAGES[0]:
        raise ValueError(f"count must be 0 to {ACCOUNTS_MAX}, and leverage_max at least {LEVERAGES[0]}")
    if not markets or any(min(market[1:]) < 1 for market in markets):
        raise ValueError("there must be a market, its index and lots per unit positive")
    generator = np.random.default_rng(seed)
    styles = list(STYLE_WEIGHTS)
    drawn = generator.choice(len(styles), size=count, p=list(STYLE_WEIGHTS.values()))
    portfolios = []
    for account in range(count):
        style = styles[account] if account < len(styles) else styles[int(drawn[account])]
        cash_atoms, legs = DRAWERS[style](Draw(generator, markets, leverage_max))
        portfolios.append(Portfolio(account, style, cash_atoms, legs))
    return tuple(portfolios)


def balance(portfolios: Iterable[Portfolio]) -> tuple[Leg, ...]:
    """Return the legs of one counterparty that takes the other side of everything, in order of instrument.

    With them the lots of every instrument sum to zero. [CASH-3] What balances already is left out.
    """
    totals: Counter[tuple[int, int, int, int]] = Counter()
    for portfolio in portfolios:
        for leg in portfolio.legs:
            totals[leg[:4]] += leg.lots
    return tuple(Leg(*key, -lots) for key, lots in sorted(totals.items()) if lots)


def choose_strike(moneyness_e6: int, index_atoms: int, strikes_atoms: Sequence[int]) -> int:
    """Return the strike nearest to moneyness * index, the lower of two; ValueError without strikes."""
    if not strikes_atoms:
        raise ValueError("there must be a strike to choose from")
    return min(strikes_atoms, key=lambda strike: (abs(strike * E6 - moneyness_e6 * index_atoms), strike))


class RowReader:
    """Reads the cells of one row, and names the place of what is wrong."""

    def __init__(self, name: str, line: int, cells: Sequence[str]) -> None:
        self.name = name
        self.line = line
        if len(cells) != len(COLUMNS):
            raise PortfolioFileError(
                f"{name}, line {line}, column {min(len(cells), len(COLUMNS)) + 1}: "
                f"a row has {len(COLUMNS)} columns, not {len(cells)}"
            )
        self.cells = dict(zip(COLUMNS, (cell.strip() for cell in cells), strict=True))

    def fail(self, column: str, expected: str) -> PortfolioFileError:
        """Return the error for one cell."""
        place = f"{self.name}, line {self.line}, column {COLUMNS.index(column) + 1} ({column})"
        return PortfolioFileError(f"{place}: expected {expected}, not {self.cells[column]!r}")

    def read_integer(self, column: str, low: int, high: int) -> int:
        """Return an integer between two bounds."""
        text = self.cells[column]
        if not INTEGER.fullmatch(text) or not low <= int(text) <= high:
            raise self.fail(column, f"an integer from {low} to {high}")
        return int(text)

    def read_amount(self, column: str, low: int, high: int) -> int:
        """Return atoms of a decimal number of at most six places between two bounds in atoms."""
        match = DECIMAL.fullmatch(self.cells[column])
        atoms = int(match[1]) * E6 + int((match[2] or "").ljust(6, "0")) if match else -1
        if not low <= atoms <= high:
            bounds = f"from {format_amount(low)} to {format_amount(high)}"
            raise self.fail(column, f"a number {bounds} with at most six places")
        return atoms

    def read_position(self) -> Position | None:
        """Return the row's position, or None for a row of cash only."""
        instrument = self.cells["instrument"]
        if not instrument:
            for column in ("lots", "entry_price"):
                if self.cells[column]:
                    raise self.fail(column, "nothing, because the row names no instrument")
            return None
        if not INSTRUMENT.fullmatch(instrument):
            raise self.fail("instrument", "a name such as BTC_USDC-PERPETUAL or BTC_USDC-27MAR26-80000-C")
        lots = self.read_integer("lots", -GROSS_LOTS_MAX, GROSS_LOTS_MAX)
        if lots == 0:
            raise self.fail("lots", "an integer that is not zero")
        return Position(instrument, lots, self.read_amount("entry_price", 1, INDEX_ATOMS_MAX))


def format_amount(atoms: int) -> str:
    """Return atoms as USDC without trailing zeros."""
    return f"{atoms // E6}.{atoms % E6:06d}".rstrip("0").rstrip(".")


def add_row(accounts: dict[int, tuple[int, dict[str, Position]]], row: RowReader) -> None:
    """Take one row into cash and positions by account; PortfolioFileError if it contradicts another."""
    account = row.read_integer("account", 0, ACCOUNTS_MAX - 1)
    known = accounts.get(account)
    if known is None or row.cells["cash_usdc"]:
        cash_atoms = row.read_amount("cash_usdc", 0, CASH_ATOMS_MAX - 1)
        if known is not None and known[0] != cash_atoms:
            raise row.fail("cash_usdc", f"{format_amount(known[0])}, as on the first row, or nothing")
        accounts.setdefault(account, (cash_atoms, {}))
    position, positions = row.read_position(), accounts[account][1]
    if position is not None:
        if position.instrument in positions:
            raise row.fail("instrument", "each instrument once in an account")
        positions[position.instrument] = position


def read_portfolio_file(path: Path) -> tuple[PortfolioAccount, ...]:
    """Return the accounts of a portfolio file in ascending number, positions in the file's order.

    Errors     PortfolioFileError for the first thing that is wrong.
    """
    accounts: dict[int, tuple[int, dict[str, Position]]] = {}
    line = 0
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = csv.reader(file, strict=True)
            if tuple(next(rows, [])) != COLUMNS:
                raise PortfolioFileError(f"{path.name}, line 1, column 1: expected {','.join(COLUMNS)}")
            for count, cells in enumerate(rows, 1):
                line = rows.line_num
                if count > ROWS_MAX:
                    raise PortfolioFileError(f"{path.name}, line {line}, column 1: at most {ROWS_MAX} rows")
                add_row(accounts, RowReader(path.name, line, cells))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise PortfolioFileError(f"{path.name}, line {line + 1}: {error}") from error
    return tuple(
        PortfolioAccount(account, cash_atoms, tuple(positions.values()))
        for account, (cash_atoms, positions) in sorted(accounts.items())
    )


def write_portfolio_file(path: Path, accounts: Iterable[PortfolioAccount]) -> None:
    """Write accounts as `read_portfolio_file` reads them, cash on the first row of each."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        for account in accounts:
            cash = format_amount(account.cash_atoms)
            if not account.positions:
                writer.writerow((account.account, cash, "", "", ""))
            for position in account.positions:
                price = format_amount(position.entry_price_atoms)
                writer.writerow((account.account, cash, position.instrument, position.lots, price))
                cash = ""
