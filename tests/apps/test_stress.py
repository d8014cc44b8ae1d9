"""`novate stress` as a user runs it: a crash replayed over accounts, its report, picture and refusals."""

import json
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from novate.apps.cli import app
from novate.apps.market import is_lawful
from novate.apps.stress_market import HOUR_NS, StressError, choose_window, find_common, read_histories
from novate.apps.stress_portfolio import parse_instrument_name
from novate.apps.stress_report import draw_blocks, squeeze
from novate.apps.stress_surfaces import (
    VOLATILITY_MAX,
    VOLATILITY_MIN,
    SurfaceFeed,
    compute_variance,
    make_slice,
)
from novate.protocol.generated.constants import E6, NS_PER_DAY, NS_PER_S
from novate.protocol.instrument import format_instrument_name
from tests.crash.synthetic import BEGIN_MS, write_crash

PRICES = Path(__file__).parents[3] / "shared" / "data" / "prices"
BEGIN_NS = BEGIN_MS * 1_000_000
PORTFOLIO = """account,cash_usdc,instrument,lots,entry_price
3,10000,BTC_USDC-PERPETUAL,1000,40000
5,10000,,,
7,2000,BTC_USDC-PERPETUAL,1000,40000
9,30000,BTC_USDC-20MAY22-34000-P,-100,900
9,,BTC_USDC-PERPETUAL,-200,40000
11,10,BTC_USDC-PERPETUAL,1000,45000
"""


def run_stress(*arguments: object) -> Result:
    """Run the program in this process."""
    return CliRunner().invoke(app, ["stress", *map(str, arguments)])


def run_json(*arguments: object) -> dict[str, Any]:
    """Run a stress test that must succeed and return its report."""
    done = run_stress(*arguments, "--json")
    assert 0 == done.exit_code, done.output
    report: dict[str, Any] = json.loads(done.stdout)
    assert report["conserved"]
    return report


@pytest.fixture(scope="module")
def crash(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of BTC prices that fall by a third."""
    return write_crash(tmp_path_factory.mktemp("prices") / "BTC_crash.csv", 40_000.0)


def test_a_crash_is_replayed_shown_and_drawn(crash: Path, tmp_path: Path) -> None:
    """Tables, plots of characters and a picture tell of both underlyings, and the exit status is 0."""
    other = write_crash(tmp_path / "ETH_crash.csv", 2_500.0, seed=2)
    picture = tmp_path / "crash.svg"
    arguments = ("--prices", crash, "--prices", other, "--accounts", 60, "--hours", 5)
    done = run_stress(*arguments, "--tick-seconds", 120, "--plot", picture)
    assert 0 == done.exit_code, done.output
    for words in ("Totals", "Worst moments", "Accounts by style", "long perpetual", "ETH, USDC", "█", "ok"):
        assert words in done.stdout
    root = ElementTree.parse(picture).getroot()
    name = "{http://www.w3.org/2000/svg}"
    assert 3 == len(root.findall(f"{name}polyline"))
    assert 2 == len(root.findall(f"{name}polygon"))
    assert "60 accounts, 2022-05-11" in root.findtext(f"{name}title", "")


def test_the_report_as_json(crash: Path) -> None:
    """JSON holds a row per tick, the totals of all rows, and the same figures for the same seed."""
    arguments = ("--prices", crash, "--accounts", 80, "--hours", 5, "--tick-seconds", 120)
    report = run_json(*arguments, "--backstop", 50_000, "--insurance", 1_000)
    moments = report["moments"]
    assert 150 == len(moments)
    assert BEGIN_NS <= report["begin_ns"] < moments[0]["time_ns"] <= moments[-1]["time_ns"]
    for name in ("started", "slices", "deleveragings", "penalties_atoms"):
        assert report["totals"][name] == sum(moment[name] for moment in moments)
    assert 0 < report["accounts_liquidated"] <= report["totals"]["started"]
    assert 80 == report["accounts"] == sum(row["accounts"] for row in report["styles"])
    assert report == run_json(*arguments, "--backstop", 50_000, "--insurance", 1_000)


def test_a_portfolio_file_is_opened_by_orders(crash: Path, tmp_path: Path) -> None:
    """Accounts of a file hold what margin allows of their rows, and start with the equity that they name."""
    path = tmp_path / "portfolio.csv"
    path.write_text(PORTFOLIO)
    report = run_json("--prices", crash, "--portfolio", path, "--from", "2022-05-11T00:30", "--hours", 5)
    assert 4 == report["accounts"]
    assert {"no equity to begin with": 1} == report["notes"]
    assert 1 == report["scaled_down"]  # One bitcoin with 2,000 USDC is more than margin allows.
    assert 2 <= report["accounts_liquidated"] <= 3
    first = json.loads(json.dumps(report["styles"][0]))
    assert 52_000 * E6 == pytest.approx(first["equity_start_atoms"], rel=0.03)


def test_what_cannot_be_run_is_refused_in_words(crash: Path, tmp_path: Path) -> None:
    """A bad file, window or portfolio ends the program with status 2, a sentence and no traceback."""
    nameless = write_crash(tmp_path / "crash.csv", 40_000.0)
    twin = write_crash(tmp_path / "BTC_twin.csv", 40_000.0)
    short = write_crash(tmp_path / "BTC_short.csv", 40_000.0, minutes=20)
    bad = tmp_path / "BTC_bad.csv"
    bad.write_text("some,other,columns\n1,2,3\n")
    dear = write_crash(tmp_path / "BTC_dear.csv", 2e6)
    head = PORTFOLIO.splitlines()[0]
    rows = {
        "eth.csv": ("1,1000,ETH_USDC-PERPETUAL,1,2000", "no instrument of BTC"),
        "date.csv": ("1,1000,BTC_USDC-31JUN22,1,2000", "is no date"),
        "lots.csv": ("1,1000,BTC_USDC-PERPETUAL,0,2000", "line 2, column 4"),
        "past.csv": ("1,1000,BTC_USDC-1MAY22-30000-C,1,2000", "cannot be listed"),
    }
    refusals: list[tuple[tuple[object, ...], str]] = [
        (("--prices", nameless), "exactly one of BTC, ETH"),
        (("--prices", crash, "--prices", twin), "both of BTC"),
        (("--prices", short), "at least 31 minutes"),
        (("--prices", bad), "BTC_bad.csv"),
        (("--prices", dear), "must be below"),
        (("--prices", crash, "--from", "2022-05-12"), "must lie within the files"),
        (
            ("--prices", crash, "--from", "2022-05-11", "--until", "2022-05-11T02:00", "--hours", 1),
            "not all three",
        ),
        (("--prices", crash, "--from", "yesterday"), "must be a time"),
        (("--prices", crash, "--tick-seconds", 86_400), "1 to 200000 ticks"),
    ]
    for name, (row, words) in rows.items():
        path = tmp_path / name
        path.write_text(f"{head}\n{row}\n")
        refusals.append((("--prices", crash, "--portfolio", path), words))
    for arguments, words in refusals:
        done = run_stress(*arguments)
        assert 2 == done.exit_code, (arguments, done.output)
        assert words in " ".join(done.output.replace("│", " ").split()), (arguments, done.output)


@pytest.mark.skipif(not PRICES.exists(), reason="needs ../shared/data/prices, which a clone does not have")
def test_the_collapse_of_ftx() -> None:
    """Two hours of real prices liquidate accounts, and those with cash only lose nothing."""
    prices = [PRICES / f"binance_spot_{name}USDT_1m_ftx_202211.csv.gz" for name in ("BTC", "ETH")]
    report = run_json("--prices", prices[0], "--prices", prices[1], "--accounts", 200, "--hours", 2)
    assert 120 == len(report["moments"])
    assert report["accounts_liquidated"] > 10
    lost = {row["style"]: row["lost_atoms"] for row in report["styles"]}
    assert 0 == lost["cash only"]
    assert lost["long perpetual"] > 0


def test_windows(crash: Path) -> None:
    """A window is given by beginning, end and hours, at most two of them, or found where prices fell most."""
    histories = read_histories([crash])
    common = find_common(histories)
    assert (BEGIN_NS, BEGIN_NS + 6 * HOUR_NS) == common
    hour = BEGIN_NS + HOUR_NS
    for from_ns, until_ns, hours, expected in (
        (None, None, 100.0, common),
        (hour, None, None, (hour, common.end_ns)),
        (None, hour, None, (common.begin_ns, hour)),
        (hour, None, 2.0, (hour, hour + 2 * HOUR_NS)),
        (None, hour, 0.5, (hour - HOUR_NS // 2, hour)),
        (hour, hour + HOUR_NS, None, (hour, hour + HOUR_NS)),
    ):
        assert expected == choose_window(histories, common, from_ns, until_ns, hours)
    found = choose_window(histories, common, None, None, 2.0)
    assert BEGIN_NS + HOUR_NS <= found.begin_ns <= BEGIN_NS + 2 * HOUR_NS + HOUR_NS // 2
    assert histories[0].compute_price(found.end_ns) < 0.75 * histories[0].compute_price(found.begin_ns)
    with pytest.raises(StressError, match="within"):
        choose_window(histories, common, hour, None, 10.0)


def test_instrument_names_are_read_back() -> None:
    """A name gives the terms that give the name, and what is no such name is refused."""
    names = ("BTC_USDC-PERPETUAL", "ETH_USDC-30SEP22", "BTC_USDC-1MAY22-30000-P", "ETH_USDC-29FEB24-0d5-C")
    for name in names:
        terms = parse_instrument_name(name, ["BTC", "ETH"])
        assert name == format_instrument_name(name[:3], terms)
    for name in ("SOL_USDC-PERPETUAL", "BTC_USDC-01MAY22", "BTC_USDC-30FEB24", "BTC_USDC-1MAI22", "BTC"):
        with pytest.raises(StressError):
            parse_instrument_name(name, ["BTC", "ETH"])


def test_surfaces_are_lawful_at_every_level() -> None:
    """From an hour to a year the law accepts every slice at the lowest and the highest level, and a jump from
    the one to the other and back.
    """
    expiries = tuple(BEGIN_NS + days * NS_PER_DAY // 24 for days in (1, 24, 168, 720, 2_160, 8_760))
    feed = SurfaceFeed(expiries)
    for step, level in enumerate((VOLATILITY_MIN, VOLATILITY_MAX, 0.8, VOLATILITY_MAX, VOLATILITY_MIN)):
        renewed = feed.renew(BEGIN_NS + step * 60 * NS_PER_S, level)
        assert set(expiries) == {expiry_ns for expiry_ns, _ in renewed}
    assert is_lawful(make_slice(compute_variance(VOLATILITY_MAX, 1e-5)), None, None)


def test_plots_of_characters() -> None:
    """The lowest value is the lowest block, the highest fills every row, and squeezing keeps extremes."""
    assert [" ▁█", "▁██"] == draw_blocks([0.0, 8.0, 15.0], 2, 0.0, 15.0)
    assert [1.0, 2.0] == squeeze([3.0, 1.0, 2.0, 5.0], 2, "low")
    assert [3.0, 5.0] == squeeze([3.0, 1.0, 2.0, 5.0], 2, "high")
    assert ["▁▁"] == draw_blocks([1.0, 1.0], 1, 1.0, 1.0)
