"""Drawn accounts balance and are what their style says; portfolio files come back as they were written."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from novate.analytics import crash_portfolios
from novate.analytics.crash_portfolios import (
    COLUMNS,
    STYLE_WEIGHTS,
    Leg,
    Market,
    Portfolio,
    PortfolioAccount,
    PortfolioFileError,
    Position,
    Style,
)
from novate.protocol.generated.codes import InstrumentKind
from novate.protocol.generated.constants import CASH_ATOMS_MAX, E6, GROSS_LOTS_MAX, INDEX_ATOMS_MAX

MARKETS = (Market(0, 30_000 * E6, 100, 1_000), Market(1, 2_000 * E6, 10, 100))
HEADER = ",".join(COLUMNS)
CALL, PUT, PERPETUAL, FUTURE = (
    InstrumentKind.CALL,
    InstrumentKind.PUT,
    InstrumentKind.PERPETUAL,
    InstrumentKind.FUTURE,
)
CROWD = crash_portfolios.generate_portfolios(1_000, MARKETS, seed=7)
NAMES = st.sampled_from(
    ["BTC_USDC-PERPETUAL", "ETH_USDC-27MAR26", "BTC_USDC-27MAR26-80000-C", "XRP_USDC-6FEB26T0930-1d25-P"]
)
POSITIONS = st.builds(
    Position,
    NAMES,
    st.integers(-GROSS_LOTS_MAX, GROSS_LOTS_MAX).filter(bool),
    st.integers(1, INDEX_ATOMS_MAX),
)
ACCOUNTS = st.lists(
    st.builds(
        PortfolioAccount,
        st.integers(0, 10_000),
        st.integers(0, CASH_ATOMS_MAX - 1),
        st.lists(POSITIONS, max_size=3, unique_by=lambda position: position.instrument).map(tuple),
    ),
    max_size=8,
    unique_by=lambda account: account.account,
)


def measure_notional(portfolio: Portfolio) -> float:
    """The greatest notional among an account's linear legs, in atoms."""
    return max(
        abs(leg.lots) * MARKETS[leg.underlying].index_atoms / MARKETS[leg.underlying].linear_lots_per_unit
        for leg in portfolio.legs
        if leg.kind in (PERPETUAL, FUTURE)
    )


def show_shape(portfolio: Portfolio) -> list[tuple[str, int]]:
    """Kind and sign of each leg."""
    return [(InstrumentKind(leg.kind).name, 1 if leg.lots > 0 else -1) for leg in portfolio.legs]


def test_a_seed_decides_everything() -> None:
    """The same arguments give the same accounts, another seed gives others."""
    assert crash_portfolios.generate_portfolios(1_000, MARKETS, seed=7) == CROWD
    assert crash_portfolios.generate_portfolios(1_000, MARKETS, seed=8) != CROWD


def test_accounts_are_numbered_funded_and_whole() -> None:
    """Accounts count up from 0, each with cash, and no leg of zero lots or of an unknown shape."""
    assert list(range(1_000)) == [portfolio.account for portfolio in CROWD]
    assert all(portfolio.cash_atoms >= E6 for portfolio in CROWD)
    for leg in (leg for portfolio in CROWD for leg in portfolio.legs):
        assert leg.lots != 0
        assert (leg.kind in (CALL, PUT)) == (leg.moneyness_e6 > 0)
        assert (leg.kind == PERPETUAL) == (leg.days_to_expiry == 0)


def test_every_style_occurs_and_weights_hold() -> None:
    """The first accounts are one of each style; of a thousand, each has about its weight."""
    assert list(STYLE_WEIGHTS) == [portfolio.style for portfolio in CROWD[: len(STYLE_WEIGHTS)]]
    assert set(Style) == set(STYLE_WEIGHTS) == set(crash_portfolios.DRAWERS)
    assert pytest.approx(1.0) == sum(STYLE_WEIGHTS.values())
    for style, weight in STYLE_WEIGHTS.items():
        count = sum(portfolio.style == style for portfolio in CROWD)
        assert abs(count - 1_000 * weight) < 60


@pytest.mark.parametrize(
    ("style", "shape"),
    [
        (Style.LONG_PERPETUAL, [("PERPETUAL", 1)]),
        (Style.SHORT_PERPETUAL, [("PERPETUAL", -1)]),
        (Style.SHORT_STRANGLE, [("PUT", -1), ("CALL", -1)]),
        (Style.SHORT_PUT_SPREAD, [("PUT", -1), ("PUT", 1)]),
        (Style.LONG_CALL, [("CALL", 1)]),
        (Style.COVERED_CALL, [("PERPETUAL", 1), ("CALL", -1)]),
        (Style.FUTURE_BASIS, [("FUTURE", -1), ("PERPETUAL", 1)]),
        (Style.CASH_ONLY, []),
    ],
)
def test_styles_have_their_legs(style: Style, shape: list[tuple[str, int]]) -> None:
    """Each account of a style holds the kinds and directions of that style."""
    assert all(shape == show_shape(portfolio) for portfolio in CROWD if portfolio.style == style)


def test_straddles_are_hedged_by_a_purchase() -> None:
    """A short straddle at the index has a negative delta, so its perpetual is long and much smaller."""
    for portfolio in (each for each in CROWD if each.style == Style.HEDGED_STRADDLE):
        call, put, *hedge = portfolio.legs
        market = MARKETS[call.underlying]
        assert (CALL, PUT, E6, E6) == (call.kind, put.kind, call.moneyness_e6, put.moneyness_e6)
        assert call.lots == put.lots < 0
        for leg in hedge:
            assert leg.kind == PERPETUAL
            assert 0 < leg.lots / market.linear_lots_per_unit < 0.2 * -call.lots / market.option_lots_per_unit


def test_market_makers_hold_both_sides() -> None:
    """A market maker's options are bought and sold in equal number."""
    for portfolio in (each for each in CROWD if each.style == Style.MARKET_MAKER):
        options = [leg for leg in portfolio.legs if leg.kind in (CALL, PUT)]
        assert len(options) == 4
        assert sum(leg.lots for leg in options) == 0


@pytest.mark.parametrize("leverage_max", [2, 5, 20])
def test_leverage_is_bounded(leverage_max: int) -> None:
    """Linear notional over cash stays within the bound, and reaches it."""
    crowd = crash_portfolios.generate_portfolios(500, MARKETS, 3, leverage_max)
    styles = (Style.LONG_PERPETUAL, Style.SHORT_PERPETUAL, Style.FUTURE_BASIS)
    ratios = [measure_notional(each) / each.cash_atoms for each in crowd if each.style in styles]
    assert leverage_max * 0.99 < max(ratios) <= leverage_max * 1.001


@settings(max_examples=25, deadline=None)
@given(count=st.integers(0, 60), seed=st.integers(0, 2**32), index=st.integers(E6, 10**6 * E6))
def test_the_counterparty_balances_everything(count: int, seed: int, index: int) -> None:
    """With the counterparty's legs, the lots of every instrument sum to zero. [CASH-3]"""
    markets = (Market(0, index, 100, 1_000), Market(1, 2_000 * E6, 10, 100))
    portfolios = crash_portfolios.generate_portfolios(count, markets, seed)
    totals: dict[tuple[int, ...], int] = {}
    counterparty = crash_portfolios.balance(portfolios)
    for leg in (*counterparty, *(leg for portfolio in portfolios for leg in portfolio.legs)):
        totals[leg[:4]] = totals.get(leg[:4], 0) + leg.lots
    assert set(totals.values()) <= {0}
    keys = [leg[:4] for leg in counterparty]
    assert sorted(set(keys)) == keys


def test_what_balances_already_needs_no_counterparty() -> None:
    """Two accounts on opposite sides leave the counterparty nothing."""
    legs = [(Leg(0, CALL, E6, 7, sign * 5),) for sign in (1, -1)]
    accounts = [Portfolio(number, Style.LONG_CALL, E6, each) for number, each in enumerate(legs)]
    assert () == crash_portfolios.balance(accounts)


@pytest.mark.parametrize(
    ("count", "markets", "leverage_max"),
    [
        (-1, MARKETS, 20),
        (2**20 + 1, MARKETS, 20),
        (1, (), 20),
        (1, MARKETS, 1),
        (1, (Market(0, 0, 1, 1),), 20),
    ],
)
def test_senseless_crowds_are_refused(count: int, markets: tuple[Market, ...], leverage_max: int) -> None:
    """A crowd needs a bounded size, a market with a price, and room for leverage."""
    with pytest.raises(ValueError):
        crash_portfolios.generate_portfolios(count, markets, 1, leverage_max)


@pytest.mark.parametrize(
    ("moneyness_e6", "expected"), [(E6, 100), (1_049_999, 100), (1_050_000, 100), (1_050_001, 110), (1, 90)]
)
def test_the_nearest_strike_is_chosen(moneyness_e6: int, expected: int) -> None:
    """A rule becomes the nearest listed strike, the lower one halfway."""
    strikes = [90 * E6, 110 * E6, 100 * E6]
    assert expected * E6 == crash_portfolios.choose_strike(moneyness_e6, 100 * E6, strikes)


def test_no_strikes_give_no_strike() -> None:
    """Without listed strikes there is nothing to choose."""
    with pytest.raises(ValueError):
        crash_portfolios.choose_strike(E6, E6, [])


@settings(deadline=None)
@given(accounts=ACCOUNTS)
def test_files_come_back_as_written(
    accounts: list[PortfolioAccount], tmp_path_factory: pytest.TempPathFactory
) -> None:
    """What is written is read again, in ascending account."""
    path = tmp_path_factory.mktemp("portfolios") / "crowd.csv"
    crash_portfolios.write_portfolio_file(path, accounts)
    assert tuple(sorted(accounts)) == crash_portfolios.read_portfolio_file(path)


def test_a_file_by_hand(tmp_path: Path) -> None:
    """Cash may be repeated or left out, rows may be out of order, cells may have spaces around them."""
    path = tmp_path / "crowd.csv"
    rows = [HEADER, "7,10.5,BTC_USDC-PERPETUAL, -3 ,63900.25", "2,0,,,", "7,,ETH_USDC-27MAR26-2000-P,4,81"]
    path.write_text("\n".join([*rows, "7,10.500000,BTC_USDC-27MAR26,1,64000", ""]))
    held = (
        Position("BTC_USDC-PERPETUAL", -3, 63_900_250_000),
        Position("ETH_USDC-27MAR26-2000-P", 4, 81 * E6),
        Position("BTC_USDC-27MAR26", 1, 64_000 * E6),
    )
    expected = (PortfolioAccount(2, 0, ()), PortfolioAccount(7, 10_500_000, held))
    assert expected == crash_portfolios.read_portfolio_file(path)


@pytest.mark.parametrize(
    ("rows", "place"),
    [
        ("x,1,,,", "line 3, column 1 (account)"),
        ("-1,1,,,", "line 3, column 1 (account)"),
        ("2,,,,", "line 3, column 2 (cash_usdc)"),
        ("2,-1,,,", "line 3, column 2 (cash_usdc)"),
        ("2,0.0000001,,,", "line 3, column 2 (cash_usdc)"),
        ("2,1e5,,,", "line 3, column 2 (cash_usdc)"),
        ("2,9999999999999,,,", "line 3, column 2 (cash_usdc)"),
        ("1,6,,,", "line 3, column 2 (cash_usdc)"),
        ("2,1,BTC,1,1", "line 3, column 3 (instrument)"),
        ("1,,BTC_USDC-PERPETUAL,1,1", "line 3, column 3 (instrument)"),
        ("2,1,,3,", "line 3, column 4 (lots)"),
        ("2,1,BTC_USDC-PERPETUAL,0,1", "line 3, column 4 (lots)"),
        ("2,1,BTC_USDC-PERPETUAL,1.5,1", "line 3, column 4 (lots)"),
        ("2,1,BTC_USDC-PERPETUAL,16777217,1", "line 3, column 4 (lots)"),
        ("2,1,,,3", "line 3, column 5 (entry_price)"),
        ("2,1,BTC_USDC-PERPETUAL,1,0", "line 3, column 5 (entry_price)"),
        ("2,1,BTC_USDC-PERPETUAL,1,nan", "line 3, column 5 (entry_price)"),
        ("2,1,BTC_USDC-PERPETUAL,1", "line 3, column 5"),
        ("2,1,BTC_USDC-PERPETUAL,1,1,1", "line 3, column 6"),
        ('2,1,"BTC', "line 3"),
        ("2,1,,,\n3,1,,x,", "line 4, column 4 (lots)"),
    ],
)
def test_errors_name_their_place(tmp_path: Path, rows: str, place: str) -> None:
    """A wrong cell is reported by file, line and column."""
    path = tmp_path / "crowd.csv"
    path.write_text(f"{HEADER}\n1,5,BTC_USDC-PERPETUAL,1,1\n{rows}\n")
    with pytest.raises(PortfolioFileError) as caught:
        crash_portfolios.read_portfolio_file(path)
    assert str(caught.value).startswith(f"crowd.csv, {place}")


@pytest.mark.parametrize("content", [b"", b"account,cash\n", b"\xff\xfe\n"])
def test_files_of_another_kind_are_refused(tmp_path: Path, content: bytes) -> None:
    """An empty file, another header or bytes that are no text are refused by name."""
    path = tmp_path / "crowd.csv"
    path.write_bytes(content)
    with pytest.raises(PortfolioFileError, match=r"crowd\.csv, line 1"):
        crash_portfolios.read_portfolio_file(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    """A path that leads nowhere is an error of the file, not a crash."""
    with pytest.raises(PortfolioFileError, match=r"nowhere\.csv"):
        crash_portfolios.read_portfolio_file(tmp_path / "nowhere.csv")
