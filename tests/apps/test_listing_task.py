"""Listing by rule in a running venue, as its users see it, and within the limits of its genesis."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from coincurve import PrivateKey
from msgspec.structs import replace
from typer.testing import CliRunner

from novate.access.client import NovateClient
from novate.apps.cli import app
from novate.apps.listing_rule import ListingRule, list_expiries
from novate.apps.listing_task import INSTRUMENT_RESERVE, SERIES_RESERVE, ListingTask
from novate.apps.market import Svi, compute_level, is_lawful, plan_builtin
from novate.apps.oracle_feed import OracleFeed
from novate.apps.price_path import JumpDiffusionPath
from novate.apps.setup import make_setup
from novate.apps.term_structure import compute_forward_ratio, derive_series, renew
from novate.apps.venue import Venue
from novate.apps.venue_config import VenueClock, read_config
from novate.apps.venue_create import create_directory
from novate.protocol.command import decode_payload
from novate.protocol.generated.codes import CommandKind
from novate.protocol.generated.constants import NS_PER_DAY, NS_PER_S
from novate.protocol.genesis import parse_genesis
from novate.protocol.signing import compute_address
from novate.verification.verdict import verify_directory
from tests.apps.serving import ForkServer, JournalReader, ServeProcess

# 08:00 UTC of Wednesday, 4 February 2026.
EXPIRY_NS = 1_770_192_000 * NS_PER_S
RATE = 600
LEFT_NS = 7_200 * NS_PER_S
SLICE_ATOMS = 90_000_000_000
RULE = """
daily_count = 2
weekly_count = 0
monthly_count = 1
quarterly_count = 0
strikes_each_side = 1
quiet_s = 0
tenors = [{ days_max = 3650, bands = [{ distance_e6 = 20_000, step_e6 = 20_000 }] }]
"""
NARROW = ListingRule(daily_count=2, weekly_count=1, monthly_count=0, quarterly_count=0, strikes_each_side=1)
WAIT_S = 60.0


def create_fast_venue(folder: Path) -> None:
    """A data directory whose time runs fast and stands two hours before an expiry."""
    plan = plan_builtin(EXPIRY_NS - LEFT_NS)
    setup = make_setup(plan, RATE, 16, 2, 0.5)
    create_directory(folder, replace(setup, limits=setup.limits | {"instruments": 1_024, "series": 64}))
    (folder / "listing.toml").write_text(RULE)
    (folder / "slices.toml").write_text(f"[slice_notional_atoms]\nBTC = {SLICE_ATOMS}\n")


async def list_names(client: NovateClient, **params: Any) -> list[str]:
    """The names of the open BTC options and futures, or of the expired ones."""
    rows = await client.call("public/get_instruments", {"currency": "BTC", **params})
    return [row["instrument_name"] for row in rows]


async def wait_marked(client: NovateClient, part: str) -> tuple[str, float]:
    """A call whose name holds a part and that has a mark, and the mark."""
    deadline = time.monotonic() + WAIT_S
    while time.monotonic() < deadline:
        for name in await list_names(client, kind="option"):
            if part in name and name.endswith("-C"):
                mark = (await client.call("public/ticker", {"instrument_name": name}))["mark_price"]
                if mark is not None and mark > 50:
                    return name, mark
        await asyncio.sleep(0.2)
    raise AssertionError(f"no option of {part} has a mark: {await list_names(client)}")


async def cross_expiry(process: ServeProcess, folder: Path, keys: list[PrivateKey]) -> None:
    """See an expiry pass, find the next daily listed and marked, and trade it."""
    clock = VenueClock(read_config(folder)).time_ns
    seller, buyer = (NovateClient(process.url, key, clock_ns=clock) for key in keys)
    async with seller, buyer:
        names = await list_names(seller)
        assert any("-4FEB26-" in name for name in names)
        assert not any("-6FEB26-" in name for name in names)
        assert "BTC_USDC-27FEB26" in names
        await wait_marked(seller, "-5FEB26-")
        name, mark = await wait_marked(seller, "-6FEB26-")
        assert not any("-4FEB26-" in each for each in await list_names(seller))
        assert any("-4FEB26-" in each for each in await list_names(seller, expired=True))
        for client in (seller, buyer):
            await client.load_instruments()
        price = round(mark / 5) * 5
        await seller.sell(name, "0.1", price)
        bought = await buyer.buy(name, "0.1", price)
        assert 1 == len(bought["trades"])


def count_commands(folder: Path) -> tuple[Counter[Any], int]:
    """How often each instrument was listed, and how many slices were set."""
    genesis = parse_genesis((folder / "published" / "genesis.json").read_bytes())
    journal = JournalReader(folder / "journal", genesis.hash)
    journal.read()
    commands = [decode_payload(payload) for payload in journal.payloads]
    fields = "underlying", "instrument_kind", "strike_atoms", "expiry_ns"
    listed = Counter(
        tuple(command.get(field) for field in fields)
        for command in commands
        if command.kind == CommandKind.LIST_INSTRUMENT
    )
    return listed, sum(command.kind == CommandKind.SET_SLICE for command in commands)


def test_a_venue_lists_on_while_time_goes_on(tmp_path: Path) -> None:
    """Past an expiry its series is gone and the next daily is there, marked and traded; a restart lists
    nothing again, and signs no slice again.
    """
    folder, keys = tmp_path / "venue", [PrivateKey(), PrivateKey()]
    funds = [f"--fund=0x{compute_address(key.public_key).hex()}=1000000" for key in keys]
    server = ForkServer(tmp_path)
    try:
        create_fast_venue(folder)
        process = server.serve("--data", str(folder), "--port", "0", *funds)
        try:
            asyncio.run(cross_expiry(process, folder, keys))
        finally:
            process.kill()
        before, _ = count_commands(folder)
        process = server.serve("--data", str(folder), "--port", "0")
        process.terminate()
    finally:
        server.close()
    listed, slices = count_commands(folder)
    assert set(before) <= set(listed)
    assert {1} == set(listed.values())
    assert 1 == slices
    assert "ok" == verify_directory(folder / "published").describe()


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("listing.toml", "daily_count = 0", "daily_count"),
        ("listing.toml", "hourly_count = 1", "hourly_count"),
        ("listing.toml", "daily_count = 'four'", "int"),
        ("listing.toml", "daily_count =", "Invalid value"),
        ("slices.toml", "BTC = 1", "BTC"),
        ("slices.toml", "[slice_notional_atoms]\nBTC = 0", "1"),
        ("slices.toml", "[slice_notional_atoms]\nBTC = 1.5", "int"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused(tmp_path: Path, name: str, text: str, expected: str) -> None:
    """The program names the file and what is wrong with it, with status 2, before it makes anything."""
    folder = tmp_path / "venue"
    folder.mkdir()
    (folder / name).write_text(text)
    result = CliRunner().invoke(app, ["serve", "--data", str(folder), "--port", "0"])
    assert 2 == result.exit_code
    assert f"{name}: " in result.output
    assert expected in result.output
    assert [name] == [path.name for path in folder.iterdir()]


def test_no_list_reads_no_rule(tmp_path: Path) -> None:
    """Without listing the rule's file is not read: what is refused here is something else."""
    folder = tmp_path / "venue"
    folder.mkdir()
    for name in ("listing.toml", "stray.txt"):
        (folder / name).write_text("?")
    result = CliRunner().invoke(app, ["serve", "--data", str(folder), "--port", "0", "--no-list"])
    assert (2, True) == (result.exit_code, "is not empty" in result.output)


@pytest.mark.parametrize(
    ("instruments", "series", "listed"),
    [
        (INSTRUMENT_RESERVE + 21, 64, 21),
        (1_024, SERIES_RESERVE + 2, 2 + 2 * 24),
    ],
)
def test_limits_keep_a_reserve(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, instruments: int, series: int, listed: int
) -> None:
    """What the genesis limits cannot hold is not listed, and the log says so once."""

    async def scenario() -> None:
        time_ns = EXPIRY_NS - LEFT_NS
        plan = plan_builtin(time_ns)
        setup = make_setup(plan, 1, 16, 2, 0.5)
        limits = setup.limits | {"instruments": instruments, "series": series}
        venue = await Venue.create(tmp_path / "venue", replace(setup, limits=limits))
        await venue.start()
        try:
            feed = OracleFeed(venue, plan, JumpDiffusionPath(1), venue.config.rate)
            task = ListingTask(venue, NARROW)
            assert 0 == await task.update()  # There is no index yet.
            await feed.publish_index()
            with caplog.at_level(logging.WARNING, "novate.listing"):
                assert listed == await task.update()
                assert 0 == await task.update()
            assert 1 == sum("genesis limits are used up" in record.message for record in caplog.records)
            assert 0 == await ListingTask(venue, NARROW).update()
            assert listed == len(venue.engine.instruments)
        finally:
            await venue.stop()

    asyncio.run(scenario())


@pytest.mark.parametrize("underlying", [0, 1])
@pytest.mark.parametrize("days", [0, 7, 8, 40, 400])
def test_derived_series_are_lawful(underlying: int, days: int) -> None:
    """Whatever the rule lists gets a slice that the law accepts between its neighbours, whose variance and
    whose forward lie between theirs too.
    """
    plan = plan_builtin(EXPIRY_NS - LEFT_NS).underlyings[underlying]
    time_ns = EXPIRY_NS - LEFT_NS + days * NS_PER_DAY
    series = list(plan.series)
    for expiry in list_expiries(time_ns, ListingRule(daily_count=2, monthly_count=2)):
        if expiry.expiry_ns not in [each.expiry_ns for each in series]:
            series.append(derive_series(series, expiry.expiry_ns, time_ns, plan.index_atoms))
            series.sort(key=lambda each: each.expiry_ns)
    live = [each for each in series if each.expiry_ns > time_ns]
    slices: list[Svi | None] = [renew(each, time_ns) for each in live]
    for position, svi in enumerate(slices):
        assert svi is not None
        far = slices[position + 1] if position + 1 < len(slices) else None
        assert is_lawful(svi, slices[position - 1] if position else None, far)
    levels = [compute_level(svi) for svi in slices if svi is not None]
    assert all(near < far for near, far in pairwise(levels))
    ratios = [compute_forward_ratio(each, time_ns) for each in live]
    assert all(1.0 <= near <= far < 1.1 for near, far in pairwise(ratios))
