"""The examples run as they are written."""

from __future__ import annotations

import asyncio
import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

from .harness import INDEX_ATOMS, MAKER, run_venue

EXAMPLES = Path(__file__).parents[2] / "examples"


def load(name: str) -> ModuleType:
    """An example as a module."""
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_quote_option(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The quoting example posts two orders, moves one and leaves none behind."""

    async def scenario() -> None:
        async with run_venue(tmp_path) as venue:
            await load("quote_option").main(venue.url, MAKER)
            assert {} == venue.server.venue.ledger.open_orders

    asyncio.run(scenario())
    assert "cancelled 2 orders" in capsys.readouterr().out


def test_mass_quote(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The market-making example quotes what has a mark and leaves nothing behind."""

    async def scenario() -> None:
        async with run_venue(tmp_path) as venue:
            await load("mass_quote").main(venue.url, MAKER)
            assert {} == venue.server.venue.ledger.open_orders

    asyncio.run(scenario())
    assert "cancelled 2 quotes" in capsys.readouterr().out


def test_read_ticker(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The reading example prints the mark and then each change of it."""

    async def scenario() -> None:
        async with run_venue(tmp_path) as venue:
            reading = asyncio.create_task(load("read_ticker").main(venue.url, "BTC_USDC-PERPETUAL"))
            step = 0
            while not reading.done():
                step += 1
                await venue.report_index(INDEX_ATOMS + 1_000_000 * step)
                await asyncio.sleep(0.11)
            await reading

    asyncio.run(scenario())
    assert 10 == capsys.readouterr().out.count("bid None  ask None  mark ")
