"""Slices of liquidations from price files: what the program proposes, writes and signs."""

from __future__ import annotations

import asyncio
import math
import tomllib
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from novate.analytics.impact import ImpactError, MinuteBars, choose_slice_notional, fit_impact
from novate.analytics.impact_range import estimate_slice_range
from novate.apps.cli import app
from novate.apps.market import plan_builtin
from novate.apps.setup import make_setup
from novate.apps.slices import read_slices, set_slices
from novate.apps.venue import Venue, VenueError
from novate.protocol.generated.constants import E6, NS_PER_S

PRICES = sorted((Path(__file__).parents[3] / "shared" / "data" / "prices").glob("binance_spot_*_1m_*.csv.gz"))
needs_prices = pytest.mark.skipif(
    not PRICES, reason="needs ../shared/data/prices, which a clone does not have"
)
MINUTES = 4_000
HEADER = "open_time,open,high,low,close,volume\n"


def make_bars(seed: int, deviation: float = 0.001, volume_usd: float = 1e6) -> MinuteBars:
    """Minutes of a market whose busy hours come and go."""
    random = np.random.default_rng(seed)
    hours = np.exp(0.5 * random.standard_normal(MINUTES // 60 + 1)).repeat(60)[:MINUTES]
    return MinuteBars(deviation * random.standard_normal(MINUTES) * hours**0.5, volume_usd * hours)


def write_prices(path: Path, bars: MinuteBars) -> Path:
    """The bars as a file of one-minute prices."""
    closes = 100.0 * np.exp(np.cumsum(bars.returns))
    opens = np.concatenate(([100.0], closes[:-1]))
    rows = (
        f"{60_000 * i},{o},{max(o, c)},{min(o, c)},{c},{v / c}"
        for i, (o, c, v) in enumerate(zip(opens, closes, bars.volume_usd, strict=True))
    )
    path.write_text(HEADER + "\n".join(rows) + "\n")
    return path


def propose(*arguments: str) -> Result:
    """Run `novate slice`."""
    return CliRunner().invoke(app, ["slice", *arguments])


def name_all(paths: list[Path]) -> list[str]:
    """An option for each price file."""
    return [part for path in paths for part in ("--prices", str(path))]


@needs_prices
def test_real_prices_give_the_documented_slices(tmp_path: Path) -> None:
    """The ten files propose 120,000 USDC for BTC and 50,000 for ETH, say why, and write what serve reads."""
    result = propose(*name_all(PRICES), "--write", str(tmp_path))
    assert 0 == result.exit_code, result.output
    text = " ".join(result.output.split())
    assert (
        "BTC: slice_notional_atoms = 120000000000, that is 120,000 USDC: 25% of what trades in 60 s" in text
    )
    assert "ETH: slice_notional_atoms = 50000000000, that is 50,000 USDC" in text
    assert "the least of 5 files" in text
    assert {"BTC": 120_000 * E6, "ETH": 50_000 * E6} == read_slices(tmp_path)
    assert ["slices.toml"] == [path.name for path in tmp_path.iterdir()]


def test_the_reason_is_the_limit_that_binds(tmp_path: Path) -> None:
    """A calm market is limited by its volume, a wild one by its impact; a small venue gets less."""
    calm = write_prices(tmp_path / "BTC_calm.csv", make_bars(1))
    wild = write_prices(tmp_path / "BTC_wild.csv", make_bars(1, deviation=0.01))
    atoms = []
    options: list[tuple[list[str], str]] = [
        (["--prices", str(calm)], "of what trades in 60 s"),
        (["--prices", str(calm), "--prices", str(wild)], "a move of 10 bp in BTC_wild.csv"),
        (["--prices", str(calm), "--share", "0.01"], "of what trades in 60 s"),
        (["--prices", str(calm), "--seconds", "600"], "a move of 10 bp in BTC_calm.csv"),
    ]
    for arguments, reason in options:
        result = propose(*arguments, "--write", str(tmp_path / "venue"))
        assert 0 == result.exit_code, result.output
        assert reason in " ".join(result.output.split())
        atoms.append(read_slices(tmp_path / "venue")["BTC"])
    assert atoms[1] < atoms[0]
    assert atoms[2] < atoms[0] < atoms[3]
    written = tomllib.loads((tmp_path / "venue" / "slices.toml").read_text())
    assert {"slice_notional_atoms": {"BTC": atoms[3]}} == written


def test_files_that_are_no_prices_are_refused(tmp_path: Path) -> None:
    """A file that tells no underlying, has no columns, or is shorter than a day is refused by name."""
    nameless = write_prices(tmp_path / "prices.csv", make_bars(1))
    damaged = tmp_path / "BTC_damaged.csv"
    damaged.write_text("a,b\n1,2\n")
    bars = make_bars(1)
    short = write_prices(tmp_path / "ETH_short.csv", MinuteBars(bars.returns[:600], bars.volume_usd[:600]))
    for path, expected in ((nameless, "prices.csv"), (damaged, "BTC_damaged.csv"), (short, "1440 minutes")):
        result = propose("--prices", str(path), "--write", str(tmp_path / "venue"))
        assert 2 == result.exit_code
        assert expected in result.output
    assert not (tmp_path / "venue").exists()


def test_a_range_holds_the_truth() -> None:
    """In about nine of ten files of one market the range holds the slice that the whole market allows."""
    limits = 0.001, 60.0
    truth = 0.25 * 1e6 * math.exp(0.5**2 / 2)  # A quarter of a minute's volume; hours are log-normal.
    hits = 0
    for seed in range(24):
        bars = make_bars(seed)
        found = estimate_slice_range(bars, fit_impact(*bars), *limits)
        assert found.low_usd < choose_slice_notional(fit_impact(*bars), *limits) < found.high_usd
        hits += found.low_usd <= truth <= found.high_usd
    assert hits >= 17
    assert found == estimate_slice_range(bars, fit_impact(*bars), *limits)
    short = MinuteBars(bars.returns[:1_439], bars.volume_usd[:1_439])
    with pytest.raises(ImpactError, match="1440"):
        estimate_slice_range(short, fit_impact(*bars), *limits)


def test_slices_are_signed_once(tmp_path: Path) -> None:
    """Only a value that the venue does not have is signed, and an underlying that it lacks is refused."""

    async def scenario() -> None:
        setup = make_setup(plan_builtin(1_770_192_000 * NS_PER_S), 1, 16, 2, 0.5)
        venue = await Venue.create(tmp_path / "venue", setup)
        await venue.start()
        try:
            assert {} == read_slices(venue.folder)
            wanted = {"BTC": 120_000 * E6, "ETH": 40_000 * E6}
            assert 1 == await set_slices(venue, wanted)
            assert 0 == await set_slices(venue, wanted)
            found = venue.engine.world.markets["slice_notional_atoms"].tolist()
            assert [120_000 * E6, 40_000 * E6] == found
            with pytest.raises(VenueError, match="names SOL; the venue has BTC, ETH"):
                await set_slices(venue, {"SOL": 1})
        finally:
            await venue.stop()

    asyncio.run(scenario())
