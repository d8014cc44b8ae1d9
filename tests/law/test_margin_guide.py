"""docs/guides/margin.md says what the code says: every table, the plot, and the numbers worked by hand."""

import re

import mpmath
import pytest
from scripts.margin_guide_tables import (
    CALL,
    HEDGE_LOTS,
    INDEX,
    LINEAR_KINDS,
    PERPETUAL,
    PORTFOLIOS,
    PUBLISHED_SIZES,
    RATES_E6,
    TABLES,
    USDC,
    Position,
    compare,
    make_parameters,
    preview,
)
from scripts.plot_margin_guide import GUIDE, PLOT, draw_plot

from novate.analytics import rival_margin
from novate.analytics.greeks import compute_option_greeks
from novate.analytics.margin_preview import Holding, preview_margin
from novate.apps import setup
from novate.protocol.generated.tables import DAMPING_E6, MOVE_E6, VOLATILITY_MODE

# Deribit's reference of private/pme/simulate, response example of 2024-06-17: profits in BTC of the perpetual
# and of the future, in the nine moves and at either end of the extended table, and the margins.
PUBLISHED = {
    "BTC-PERPETUAL": (
        [
            -0.05991206933333334,
            -0.04289159509090909,
            -0.027351162086956524,
            -0.013105765166666668,
            0,
            0.012097629384615385,
            0.023299138074074074,
            0.033700538999999995,
            0.043384601931034494,
        ],
        [-0.05991206933333334, 0.04338460193103449],
    ),
    "BTC-28JUN24": (
        [
            0.0002261969523809524,
            0.00016193645454545456,
            0.00010326382608695652,
            0.00004948058333333334,
            0,
            -0.00004567438461538462,
            -0.00008796548148148148,
            -0.0001272357857142857,
            -0.00016379779310344832,
        ],
        [0.0002261969523809524, -0.0001637977931034483],
    ),
}


def read_tables(text: str) -> dict[str, list[list[str]]]:
    """The cells of each table between `<!-- table: name -->` and `<!-- end -->`, without the rule."""
    found = re.findall(r"<!-- table: ([a-z ]+) -->\n(.*?)\n<!-- end -->", text, re.DOTALL)
    return {
        name: [
            [cell.strip() for cell in line.strip("|").split(" | ")]
            for number, line in enumerate(body.splitlines())
            if number != 1
        ]
        for name, body in found
    }


@pytest.mark.parametrize("name", TABLES)
def test_each_table_is_what_the_code_computes(name: str) -> None:
    """Every cell of every table of the guide is recomputed: ours from the law's kernels."""
    printed = read_tables(GUIDE.read_text())[name]
    computed = [[cell.strip() for cell in row] for row in TABLES[name]()]
    assert computed == printed


def test_the_guide_has_no_other_table() -> None:
    """No number stands in a table that nothing recomputes, and the plot is the one that is drawn now."""
    text = GUIDE.read_text()
    assert set(TABLES) == set(read_tables(text))
    outside = re.sub(r"<!-- table: .*?<!-- end -->", "", text, flags=re.DOTALL)
    assert [] == [line for line in outside.splitlines() if line.startswith("|")]
    assert draw_plot() == PLOT.read_text()


def test_the_rates_are_those_of_the_demo() -> None:
    """The guide says that it uses the demo's rates."""
    shared = set(RATES_E6) & set(setup.MARGIN_PARAMETERS)
    assert len(shared) >= 7
    assert {name: RATES_E6[name] for name in shared} == {
        name: setup.MARGIN_PARAMETERS[name] for name in shared
    }


def price(kind: int, strike: int, days: int, forward: mpmath.mpf, factor: mpmath.mpf) -> mpmath.mpf:
    """Black's formula per bitcoin in USDC, at a volatility of 50 % times a factor; linear: forward."""
    if kind in LINEAR_KINDS:
        return forward
    total = mpmath.mpf("0.5") * factor * mpmath.sqrt(mpmath.mpf(days) / 365)
    d1 = mpmath.log(forward / strike) / total + total / 2
    sign = 1 if kind == CALL else -1
    return sign * (forward * mpmath.ncdf(sign * d1) - strike * mpmath.ncdf(sign * (d1 - total)))


def expect(positions: list[Position]) -> tuple[mpmath.mpf, mpmath.mpf]:
    """Initial and maintenance in USDC from the formulas of docs/law, at thirty digits, without rounding."""

    def profit(move: mpmath.mpf, mode: int, days_only: int | None = None) -> mpmath.mpf:
        total = mpmath.mpf(0)
        for kind, strike, days, lots in positions:
            if days_only is not None and days != days_only:
                continue
            scale = (mpmath.mpf(30) / days) ** mpmath.mpf("0.3") if days else mpmath.mpf(0)
            factor = {0: mpmath.mpf(1), 1: 1 + scale / 2, 2: 1 - scale * 3 / 10}[mode]
            size = mpmath.mpf(lots) / (1_000 if kind in LINEAR_KINDS else 100)
            moved = price(kind, strike, days, INDEX * (1 + move), factor)
            total += size * (moved - price(kind, strike, days, mpmath.mpf(INDEX), mpmath.mpf(1)))
        return total

    with mpmath.workdps(30):
        scan = -min(
            profit(mpmath.mpf(int(x)) / 10**6, int(mode)) * int(share) / 10**6
            for x, mode, share in zip(MOVE_E6, VOLATILITY_MODE, DAMPING_E6, strict=True)
        )
        shift = mpmath.mpf(3) / 1_000
        basis = sum(
            max(0, -min(profit(-shift, 0, days), profit(shift, 0, days)))
            for days in {leg[2] for leg in positions if leg[2]}
        )
        linear = sum(abs(lots) for kind, *_, lots in positions if kind in LINEAR_KINDS) * INDEX / 1_000
        short = sum(max(0, -lots) for kind, *_, lots in positions if kind not in LINEAR_KINDS) * INDEX / 100
        initial = max(0, scan) + basis + linear * 2 / 100 + short / 100
        return initial, max(0, scan) * 4 / 5 + basis + linear / 100 + short / 200


@pytest.mark.parametrize("name", PORTFOLIOS)
def test_our_margins_follow_from_the_text_of_the_law(name: str) -> None:
    """The kernels' requirements are those of the formulas, but for an atom or so per lot and floor."""
    initial, maintenance = expect(PORTFOLIOS[name])
    ours = preview(name)
    tolerance = 4 * sum(abs(lots) for *_, lots in PORTFOLIOS[name]) + 8
    assert abs(initial * USDC - ours.initial_atoms) <= tolerance
    assert abs(maintenance * USDC - ours.maintenance_atoms) <= tolerance


def test_margins_worked_by_hand() -> None:
    """The ones that need no computer, venue by venue: Deribit SM, Derive SM, Deribit PM, ours."""
    initial = {name: compare(PORTFOLIOS[name])[0] for name in PORTFOLIOS}
    keep = {name: compare(PORTFOLIOS[name])[1] for name in PORTFOLIOS}
    # 1 % and 0.5 % of two short options of 80 000; the largest loss of a box is its price.
    assert ("1,600.00", "800.00") == (initial["box"][3], keep["box"][3])
    assert ("20,000.00", "0.00") == (initial["box"][1], initial["box"][2])
    # 2 % and 1 % of two notionals and 0.3 % of one; Deribit: 2 x 2.005 %, roll shock 1 % of each delta.
    assert ("3,440.00", "1,840.00") == (initial["perpetual basis"][3], keep["perpetual basis"][3])
    assert ("3,208.00", "1,600.00") == (initial["perpetual basis"][0], initial["perpetual basis"][2])
    assert ("2,640.00", "1,440.00") == (initial["synthetic basis"][3], keep["synthetic basis"][3])
    # 2.005 % of 80 000 and 10 % for a call 12.5 % out of the money; Derive: 10 % and 13 %.
    assert ("9,604.00", "18,400.00") == tuple(initial["covered call"][:2])
    # 15 % of 80 000 for each short option at the money; Derive keeps 9 % of each.
    assert ("24,000.00", "24,000.00") == tuple(initial["short straddle"][:2])
    assert ("12,000.00", "14,400.00") == tuple(keep["short straddle"][:2])
    # The condor can lose 5 000 less the premium that it received.
    assert f"{5_000 + preview('iron condor').value_atoms / USDC:,.2f}" == initial["iron condor"][1]


def test_deribits_perpetual_example_comes_out() -> None:
    """25 and 350 bitcoins at 100 000 need what Deribit's page says, and the guide quotes it."""
    assert pytest.approx((53_125.0, 28_125.0)) == rival_margin.compute_deribit_perpetual(25, 100_000)
    assert pytest.approx(1_312_500.0) == rival_margin.compute_deribit_perpetual(350, 100_000).initial
    text = GUIDE.read_text()
    assert all(amount in text for amount in ("53,125 and 28,125", "1,312,500 to open"))


def test_deribits_simulation_example_comes_out() -> None:
    """Each profit and each margin of the published response is within 1e-9 BTC of the formulas."""
    moves = [float(x) for x in rival_margin.MOVES]
    for name, (regular, tails) in PUBLISHED.items():
        size = PUBLISHED_SIZES[name]
        ours = [rival_margin.compute_inverse_profit(size, move) for move in moves]
        assert regular == pytest.approx(ours, abs=1e-15)
        for move in rival_margin.TAIL_MOVES:
            expected = tails[0] if move < 0 else tails[1]
            assert expected == pytest.approx(
                rival_margin.compute_inverse_profit(size, float(move)), abs=1e-15
            )
    printed = {row[0]: float(row[3]) for row in read_tables(GUIDE.read_text())["published portfolio"][-4:]}
    published = (0.05968587238095239, 0.00315725898, 0.06284313098, 0.050274504784)
    assert published == pytest.approx(tuple(printed.values()), abs=6e-9)


def test_the_hedge_is_the_best_in_whole_lots() -> None:
    """No other number of lots leaves the strangle less delta."""
    greeks = compute_option_greeks([1, 0], INDEX, [70_000, 90_000], 30 / 365, 0.5)
    assert round(float(greeks.delta.sum()) * 1_000) == HEDGE_LOTS


def test_the_example_runs(capsys: pytest.CaptureFixture[str]) -> None:
    """The guide's code runs as printed, and prints what the law asks of a short call without its rates for
    futures.
    """
    code = re.search(r"```python\n(.*?)```", GUIDE.read_text(), re.DOTALL)
    assert code is not None
    exec(compile(code[1], "margin.md", "exec"), {})
    initial, _ = expect([(CALL, 90_000, 30, -100)])
    assert abs(int(capsys.readouterr().out) - initial * USDC) <= 400


def test_an_option_needs_a_series() -> None:
    """A holding without its expiry is refused; a perpetual has none."""
    assert (
        0
        < preview_margin(
            [Holding(PERPETUAL, None, 0, 1, 1_000)], INDEX * USDC, make_parameters()
        ).initial_atoms
    )
    with pytest.raises(ValueError, match="series"):
        preview_margin([Holding(CALL, None, 80_000 * USDC, 1, 100)], INDEX * USDC, make_parameters())
