"""Margins worked by hand: a flat surface, thirty days, an index of 80 000 USDC, Black's formula at forty
digits.

Total volatility is 0.1. At thirty days the shocks are x 1.5 up and x 0.7 down, and 40 % a year is 0.11468:
below the volatility shocked up, so the floor does not bind. A lot is 0.01 BTC; marks and rows are floors, so
an example may be off by one atom for each lot and each of the values that it adds.
"""

from fractions import Fraction

import mpmath
import pytest

from novate.execution.views import read_account, read_positions
from novate.protocol.generated.codes import InstrumentKind
from novate.protocol.generated.tables import DAMPING_E6, MOVE_E6, VOLATILITY_MODE
from tests.law.desk import USDC, Desk

FORWARD = 80_000 * USDC
LOTS_PER_UNIT = 100
NOTIONAL = FORWARD // LOTS_PER_UNIT  # 800 USDC for a lot of 0.01 BTC.
FACTOR = {0: mpmath.mpf(1), 1: mpmath.mpf("1.5"), 2: mpmath.mpf("0.7")}
Leg = tuple[InstrumentKind, int, int]  # kind, strike in USDC, lots (signed)


def price_lot(kind: InstrumentKind, strike: int, forward: mpmath.mpf, volatility: mpmath.mpf) -> mpmath.mpf:
    """Black's formula in atoms for one lot, undiscounted. Black (1976), equation (16), with r = 0."""
    with mpmath.workdps(40):
        strike_atoms = mpmath.mpf(strike * USDC)
        d1 = mpmath.log(forward / strike_atoms) / volatility + volatility / 2
        sign = 1 if kind == InstrumentKind.CALL else -1
        value = forward * mpmath.ncdf(sign * d1) - strike_atoms * mpmath.ncdf(sign * (d1 - volatility))
        return sign * value / LOTS_PER_UNIT


def compute_row(kind: InstrumentKind, strike: int) -> tuple[mpmath.mpf, list[mpmath.mpf]]:
    """The mark of a lot, and its damped profit in the 32 scenarios of [SCENARIO-1]."""
    volatility = mpmath.sqrt(mpmath.mpf(2_814_749_767_106) / 2**48)  # The default slice of the desk: 0.1.
    mark = price_lot(kind, strike, mpmath.mpf(FORWARD), volatility)
    profits = []
    for move, mode, damping in zip(MOVE_E6, VOLATILITY_MODE, DAMPING_E6, strict=True):
        forward = mpmath.mpf(FORWARD) * (1_000_000 + int(move)) / 1_000_000
        shocked = price_lot(kind, strike, forward, volatility * FACTOR[int(mode)])
        profits.append((shocked - mark) * int(damping) / 1_000_000)
    return mark, profits


def expect_margins(legs: list[Leg]) -> tuple[mpmath.mpf, mpmath.mpf, mpmath.mpf]:
    """Value, initial and maintenance margin of option positions, from the formulas of
    docs/law/margin.md.
    """
    rows = [(compute_row(kind, strike), kind, strike, lots) for kind, strike, lots in legs]
    value = sum(row[0] * lots for row, _, _, lots in rows)
    worst = max(0, -min(sum(row[1][s] * lots for row, _, _, lots in rows) for s in range(32)))
    basis = []
    volatility = mpmath.sqrt(mpmath.mpf(2_814_749_767_106) / 2**48)
    for shift in (990_000, 1_010_000):
        forward = mpmath.mpf(FORWARD) * shift / 1_000_000
        basis.append(sum((price_lot(k, x, forward, volatility) - row[0]) * lots for row, k, x, lots in rows))
    short = sum(max(0, -lots) for *_, lots in rows) * NOTIONAL
    common = max(0, -min(basis))
    initial = worst + common + mpmath.mpf(short) * 30_000 / 1_000_000
    maintenance = worst * 8 / 10 + common + mpmath.mpf(short) * 15_000 / 1_000_000
    return value, initial, maintenance


def open_desk() -> Desk:
    """A venue with a marked perpetual, two calls and a put, and two rich accounts."""
    desk = Desk()
    desk.must("maker", "deposit amount_atoms=1_000_000*usdc")
    desk.must("taker", "deposit amount_atoms=1_000_000*usdc")
    desk.must("operator", "list instrument_kind=perpetual strike_atoms=0 expiry_ns=0")
    desk.must("operator", "list", "list strike_atoms=90_000*usdc", "list instrument_kind=put")
    desk.must("oracle", "index", "surface", "tick")
    return desk


def name_leg(kind: InstrumentKind, strike: int) -> str:
    return f"btc_{kind.name.lower()}_{strike}"


CALL, PUT = InstrumentKind.CALL, InstrumentKind.PUT
# One lot in USDC: calls mark 31.902 and 4.977, the put 31.902. A long call at worst loses 31.796 (down 16 %,
# volatility down) and needs that plus 3.999 of basis: 35.796. A short put at worst loses 104.181 (down 66 %,
# damped to 21 %), and needs 3 % of 800 and 4.000 of basis more: 132.181. Ten of the spread need 538.631.
EXAMPLES: dict[str, list[Leg]] = {
    "a long call": [(CALL, 80_000, 1)],
    "a hundred long calls": [(CALL, 80_000, 100)],
    "a short put": [(PUT, 80_000, -1)],
    "a short call": [(CALL, 90_000, -7)],
    "a call spread": [(CALL, 80_000, 10), (CALL, 90_000, -10)],
    "a sold straddle": [(CALL, 80_000, -3), (PUT, 80_000, -3)],
    "a conversion without its future": [(CALL, 80_000, 5), (PUT, 80_000, -5)],
}


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_option_position_needs_what_the_formulas_say(name: str) -> None:
    """[MARGIN-1] to [MARGIN-8]: value and margins of positions, within an atom per floor."""
    desk, legs = open_desk(), EXAMPLES[name]
    for kind, strike, lots in legs:
        word = name_leg(kind, strike)
        taker, maker = ("buy", "sell") if lots > 0 else ("sell", "buy")
        order = f"place instrument={word} lots={abs(lots)} price_ticks=600"
        desk.must("maker", f"{order} side={maker}")
        desk.must("taker", f"{order} side={taker}")
    account = read_account(desk.engine, desk.engine.find_account(read_taker(desk)))
    value, initial, maintenance = expect_margins(legs)
    tolerance = 3 * sum(abs(lots) for *_, lots in legs) + 3
    assert abs(value - account.value_atoms) <= tolerance
    assert abs(initial - account.initial_margin_atoms) <= tolerance
    assert abs(maintenance - account.maintenance_margin_atoms) <= tolerance


def read_taker(desk: Desk) -> bytes:
    return desk.engine.addresses[1]


def test_a_perpetual_needs_its_worst_move_and_a_share() -> None:
    """[MARGIN-4]: of one bitcoin, 16 % for the worst move and 2 %; to maintain, 4/5 of that and 1 %."""
    desk = open_desk()
    desk.must("maker", "place side=sell lots=1_000 price_ticks=32_000")
    desk.must("taker", "place side=buy lots=1_000 price_ticks=32_000")
    account = read_account(desk.engine, 1)
    notional = Fraction(80_000 * USDC)
    assert notional * Fraction(16 + 2, 100) == account.initial_margin_atoms  # 14 400 USDC.
    assert (
        notional * (Fraction(16, 100) * Fraction(8, 10) + Fraction(1, 100))
        == account.maintenance_margin_atoms
    )
    fee = notional * 300 / 1_000_000  # 24 USDC.
    assert 1_000_000 * USDC - fee == account.cash_atoms == account.equity_atoms
    assert 0 == account.unrealised_atoms
    assert [(0, 1_000, notional)] == [p[:3] for p in read_positions(desk.engine, 1)]


def test_an_open_order_counts_at_its_limit_and_its_fee() -> None:
    """[MARGIN-3]: a bid 5 ticks above the mark loses the excess and the fee on top of the worst move."""
    desk = open_desk()
    desk.must("taker", "place lots=10 price_ticks=32_005")
    lot = Fraction(80 * USDC)
    excess, fee = Fraction(5 * 2_500), Fraction(24_000)
    expected = 10 * (lot * Fraction(16 + 2, 100) + excess + fee)  # 144.365 USDC.
    assert expected == read_account(desk.engine, 1).initial_margin_atoms
    assert 0 == read_account(desk.engine, 1).maintenance_margin_atoms
    desk.must("taker", "place side=sell lots=10 price_ticks=40_000")
    # They cannot both hurt: 16 % down, an offer above the mark gains. The notional is that of the larger
    # side.
    assert expected == read_account(desk.engine, 1).initial_margin_atoms


def test_low_confidence_adds_its_rate() -> None:
    """[MARGIN-7]: below 95 % confidence five percent of notional are added, at 95 % nothing."""
    desk = open_desk()
    desk.must("taker", "place lots=10 price_ticks=32_000")
    before = read_account(desk.engine, 1).initial_margin_atoms
    desk.must("oracle", "index confidence_e6=950_000 observed_ns=now+1", "tick")
    assert before == read_account(desk.engine, 1).initial_margin_atoms
    desk.must("oracle", "index confidence_e6=949_999 observed_ns=now+2", "tick")
    assert before + 40 * USDC == read_account(desk.engine, 1).initial_margin_atoms  # 5 % of 800 USDC.
