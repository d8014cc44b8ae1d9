"""`novate demo` as a user runs it: a real process, its exit status, its report and what it leaves."""

import csv
import json
import math
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

PROGRAM = [sys.executable, "-c", "from novate.apps.cli import main; main()"]
SHARED = Path(__file__).parents[3] / "shared" / "data"
CHAIN = SHARED / "deribit_chain" / "deribit_options_snapshot_20260205T212937Z.csv.gz"
PRICES = SHARED / "prices" / "binance_spot_BTCUSDT_1m_ftx_202211.csv.gz"
TIMEOUT_S = 600
KEYS = {
    "instruments",
    "orders_acknowledged",
    "fills",
    "volume_atoms",
    "ack_ms",
    "engine_us_per_order",
    "batches_posted",
    "batches_verified",
    "withdrawals_paid",
    "conservation_ok",
    "verdict",
}


def run_program(*arguments: str) -> "subprocess.CompletedProcess[str]":
    """Run novate to its end."""
    return subprocess.run(
        [*PROGRAM, *arguments], capture_output=True, text=True, timeout=TIMEOUT_S, check=False
    )


def run_demo(folder: Path, *arguments: str) -> dict[str, Any]:
    """Run a demo that must succeed and return its report."""
    path = folder / "report.json"
    done = run_program("demo", "--report", str(path), *arguments)
    assert 0 == done.returncode, done.stdout + done.stderr
    report: dict[str, Any] = json.loads(path.read_text())
    assert set(report) >= KEYS
    return report


def check_report(report: dict[str, Any]) -> None:
    """Check what every good run has in common."""
    assert "ok" == report["verdict"]
    assert report["conservation_ok"]
    assert report["orders_acknowledged"] > 100
    assert report["fills"] > 0
    assert report["volume_atoms"] > 0
    assert 0 < report["ack_ms"]["p50"] <= report["ack_ms"]["p99"] <= report["ack_ms"]["p999"]
    assert report["engine_us_per_order"] > 0
    assert report["batches_posted"] == report["batches_verified"] > 0
    assert 5 == report["withdrawals_paid"]


@pytest.mark.xdist_group("demo")
def test_demo_runs_and_verifies(tmp_path: Path) -> None:
    """A short demo ends with status 0 and a full report; `novate verify` judges its folder to the byte."""
    folder = tmp_path / "kept"
    report = run_demo(tmp_path, "--seconds", "3", "--takers", "12", "--data", str(folder))
    check_report(report)
    assert 154 == report["instruments"]
    verdict = run_program("verify", str(folder), "--json")
    assert 0 == verdict.returncode, verdict.stdout + verdict.stderr
    assert json.loads(verdict.stdout)["ok"]
    again = run_program("demo", "--seconds", "3", "--data", str(folder))
    assert 2 == again.returncode
    assert "not empty" in again.stderr
    path = folder / "published" / "commands.log"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    done = run_program("verify", str(folder))
    assert 1 == done.returncode
    assert "commands.log" in re.sub(r"\s+", " ", done.stdout)


@pytest.mark.xdist_group("demo")
def test_demo_follows_a_prices_file(tmp_path: Path) -> None:
    """A prices file moves the index, an ETH index without a file of its own by a beta; time runs as told."""
    prices = tmp_path / "BTC_minutes.csv"
    with prices.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("open_time", "open", "high", "low", "close", "volume", "trades"))
        for minute in range(600):
            price = 60_000 * math.exp(-0.0004 * minute)
            writer.writerow((minute * 60_000, price, price, price, price, 1, 1))
    arguments = ("--seconds", "4", "--speed", "600", "--prices", str(prices), "--takers", "12")
    report = run_demo(tmp_path, *arguments)
    check_report(report)
    assert "BTC follows BTC_minutes.csv; ETH follows BTC with a beta" in report["path"]


@pytest.mark.xdist_group("demo")
@pytest.mark.skipif(
    not CHAIN.exists(), reason="needs ../shared/data/deribit_chain, which a clone does not have"
)
def test_demo_lists_a_whole_chain(tmp_path: Path) -> None:
    """Every option of a stressed day's chain is listed, marked, traded in a crash, and verified."""
    report = run_demo(tmp_path, "--chain", str(CHAIN), "--prices", str(PRICES), "--seconds", "8")
    check_report(report)
    assert 1_840 == report["instruments"]
    assert report["surface_fit"]["within_one_point"] > 0.8


def test_bad_files_are_refused_in_words(tmp_path: Path) -> None:
    """A file that is no chain, or no prices, ends the program with status 2 and no traceback."""
    bad = tmp_path / "bad.csv"
    bad.write_text("some,other,columns\n1,2,3\n")
    for option in ("--chain", "--prices"):
        done = run_program("demo", option, str(bad))
        assert 2 == done.returncode
        assert "bad.csv" in done.stderr
        assert "Traceback" not in done.stderr


def test_each_command_shows_examples() -> None:
    """Each command's help teaches with examples that begin with the program's name."""
    for command in ("demo", "serve", "verify"):
        done = run_program(command, "--help")
        assert 0 == done.returncode
        assert f"novate {command}" in done.stdout.split("Examples", 1)[1]
