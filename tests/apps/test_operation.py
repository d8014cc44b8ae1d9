"""What an operator sees of a venue: metrics, readiness, logs, settings, the doctor, one venue per folder."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import re
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import aiohttp
import pytest
from prometheus_client.parser import text_string_to_metric_families
from typer.testing import CliRunner

from novate.apps.admin_server import AdminServer
from novate.apps.cli import app
from novate.apps.logs import configure_logs
from novate.apps.market import plan_builtin
from novate.apps.serve_config import read_serve_config
from novate.apps.setup import make_setup
from novate.apps.venue import Venue, VenueError
from novate.protocol.generated.constants import NS_PER_S

OPERATIONS = Path(__file__).parents[2] / "operations"
SECRET = "0x" + "5e" * 32
Scenario = Callable[[Venue, AdminServer, aiohttp.ClientSession], Awaitable[None]]


def run_venue(folder: Path, scenario: Scenario) -> None:
    """Run a scenario on a small venue with an operator's port."""

    async def run() -> None:
        venue = await Venue.create(folder, make_setup(plan_builtin(1_770_192_000 * NS_PER_S), 1, 16, 2, 0.5))
        admin = AdminServer(venue)
        await venue.start()
        await admin.start("127.0.0.1", 0)
        try:
            async with aiohttp.ClientSession(f"http://127.0.0.1:{admin.port}") as session:
                await scenario(venue, admin, session)
        finally:
            await admin.stop()
            await venue.stop()

    asyncio.run(run())


@pytest.fixture
def root_logger() -> Iterator[logging.Logger]:
    """The root logger, as it was before afterwards."""
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    yield root
    root.handlers = handlers
    root.setLevel(level)


def test_metrics_tell_what_the_venue_did(tmp_path: Path) -> None:
    """Every figure parses, counts and levels are those of the engine, and no name or unit is unusual."""

    async def scenario(venue: Venue, admin: AdminServer, session: aiohttp.ClientSession) -> None:
        await venue.seal_and_post()
        async with session.get("/metrics") as response:
            assert 200 == response.status
            families = list(text_string_to_metric_families(await response.text()))
        samples = {
            (sample.name, *sorted(sample.labels.values())): sample.value
            for family in families
            for sample in family.samples
        }
        assert venue.engine.sequence == samples["novate_sequence",]
        assert 1 == samples["novate_commands_total", "ok", "seal"]
        assert venue.sequencer.statistics.group_count == samples["novate_journal_sync_seconds_count",]
        assert 1 == samples["novate_batch_posted",]
        assert len(venue.engine.world.orders) == samples["novate_table_rows_max", "orders"]
        assert samples["process_resident_memory_bytes",] > 0
        names = {family.name for family in families if not family.name.startswith(("python_", "process_"))}
        assert all(re.fullmatch(r"novate_[a-z_]+", name) for name in names), names

    run_venue(tmp_path / "venue", scenario)


def test_the_dashboard_and_the_alerts_name_figures_that_exist(tmp_path: Path) -> None:
    """A panel or a rule on a figure that nobody reports would be silent for ever."""

    async def scenario(venue: Venue, admin: AdminServer, session: aiohttp.ClientSession) -> None:
        async with session.get("/metrics") as response:
            families = list(text_string_to_metric_families(await response.text()))
        # A family without samples yet still tells its name.
        known = {family.name + ending for family in families for ending in ("", "_total", "_bucket")}
        dashboard = json.loads((OPERATIONS / "grafana.json").read_text())
        wanted = [target["expr"] for panel in dashboard["panels"] for target in panel.get("targets", ())]
        wanted += re.findall(r"expr: (.+)", (OPERATIONS / "alerts.yml").read_text())
        assert len(wanted) > 40
        named = {name for text in wanted for name in re.findall(r"\b(?:novate|process)_[a-z_]+", text)}
        assert set() == named - known

    run_venue(tmp_path / "venue", scenario)


def test_a_venue_that_stops_says_so_first(tmp_path: Path) -> None:
    """While it drains, /ready sends new clients elsewhere; /health still answers, orders are still taken."""

    async def scenario(venue: Venue, admin: AdminServer, session: aiohttp.ClientSession) -> None:
        async with session.get("/ready") as response:
            assert (200, {"ready": True, "obstacles": []}) == (response.status, await response.json())
        await admin.drain(0)
        async with session.get("/ready") as response:
            assert 503 == response.status
            assert ["the venue is stopping"] == (await response.json())["obstacles"]
        async with session.get("/health") as response:
            assert "alive" == (await response.json())["status"]
        await venue.seal_and_post()
        venue.tasks[1].cancel()
        await asyncio.wait(venue.tasks[1:2])
        async with session.get("/ready") as response:
            assert "the task ticks has ended" in (await response.json())["obstacles"]

    run_venue(tmp_path / "venue", scenario)


def test_two_processes_cannot_serve_one_directory(tmp_path: Path) -> None:
    """Two writers of one journal would both be lost: the second is refused, and the first is named."""

    async def scenario(venue: Venue, admin: AdminServer, session: aiohttp.ClientSession) -> None:
        with pytest.raises(VenueError, match=r"is served by another process \(\d+\)"):
            await Venue.open(venue.folder)
        await venue.seal_and_post()

    folder = tmp_path / "venue"
    run_venue(folder, scenario)

    async def again() -> None:
        venue = await Venue.open(folder)
        await venue.start()
        await venue.stop()

    asyncio.run(again())


@pytest.mark.parametrize("form", ["text", "json"])
def test_logs_hold_no_secrets(form: str, root_logger: logging.Logger) -> None:
    """Keys, signatures and tokens are struck out of messages, fields and tracebacks; the rest is there."""
    stream = io.StringIO()
    configure_logs(form, "info", stream)
    log = logging.getLogger("a.library")
    log.info("order %d placed with %s", 7, SECRET, extra={"sequence": 41, "account": "0xabc"})
    log.warning("Authorization: Bearer %s and access_token=%s", "tok-en-1", "tok-en-2")
    try:
        raise ValueError(f"bad key {SECRET} in 0x{'ab' * 65}")
    except ValueError:
        log.exception("it failed")
    text = stream.getvalue()
    for secret in (SECRET, SECRET[2:], "ab" * 33, "tok-en-1", "tok-en-2"):
        assert secret not in text
    for kept in ("order 7 placed", "41", "0xabc", "it failed", "ValueError: bad key", "[struck out]"):
        assert kept in text
    if form == "json":
        lines = [json.loads(line) for line in text.splitlines()]
        assert [41, "info", "a.library"] == [lines[0][name] for name in ("sequence", "level", "logger")]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[listen]\nport = 65536", r"serve.toml: Expected `int` <= 65535 - at `\$.listen.port`"),
        ("[listen]\nprot = 1", r"serve.toml: Object contains unknown field `prot` - at `\$.listen`"),
        ("[log]\nformat = 'xml'", r"serve.toml: Invalid enum value 'xml' - at `\$.log.format`"),
        ("[limits]\nconnections = 0", r"serve.toml: Expected `int` >= 1 - at `\$.limits.connections`"),
        ("listen = 3", r"serve.toml: Expected `object`, got `int` - at `\$.listen`"),
        ("[listen", "serve.toml: Expected ']'"),
    ],
)
def test_a_wrong_setting_is_refused_by_its_name(text: str, expected: str, tmp_path: Path) -> None:
    """The message names the file, the key and what was expected."""
    (tmp_path / "serve.toml").write_text(text)
    with pytest.raises(VenueError, match=expected):
        read_serve_config(tmp_path)


def test_settings_reach_the_server(tmp_path: Path) -> None:
    """What the file leaves out has its default."""
    (tmp_path / "serve.toml").write_text("[listen]\nport = 9000\n[limits]\nconnections = 5\n")
    config = read_serve_config(tmp_path)
    assert ("127.0.0.1", 9000, None) == (config.listen.host, config.listen.port, config.admin.port)
    limits = config.make_limits()
    assert (5, 5_000) == (limits.connections, limits.rate_per_s)


def diagnose(folder: Path) -> tuple[int, dict[str, tuple[str, str]]]:
    """Run `novate doctor`; return its exit status and its checks."""
    result = CliRunner().invoke(app, ["doctor", "--data", str(folder), "--json"])
    return result.exit_code, {row["name"]: (row["state"], row["text"]) for row in json.loads(result.output)}


def test_the_doctor_finds_what_is_wrong(tmp_path: Path) -> None:
    """A healthy venue passes; each fault that would stop a venue is a failure that says what to do."""
    folder = tmp_path / "venue"
    assert 0 == diagnose(folder)[0]
    assert not folder.exists()

    async def scenario(venue: Venue, admin: AdminServer, session: aiohttp.ClientSession) -> None:
        status, checks = await asyncio.to_thread(diagnose, folder)
        assert (0, True) == (status, "served by process" in checks["in use"][1])
        await venue.seal_and_post()

    run_venue(folder, scenario)
    status, checks = diagnose(folder)
    assert 0 == status, checks
    assert "acknowledged" in checks["journal"][1]
    faults: dict[str, Callable[[], object]] = {
        "key oracle-1": lambda: (folder / "keys" / "oracle-1.key").chmod(0o644),
        "key operator": lambda: (folder / "keys" / "operator.key").write_text(SECRET + "\n"),
        "serve.toml": lambda: (folder / "serve.toml").write_text("x = 1"),
        "journal": lambda: (folder / "journal" / "commit").write_bytes(bytes(1024)),
    }
    for name, plant in faults.items():
        plant()
        status, checks = diagnose(folder)
        assert (1, "failure") == (status, checks[name][0]), name
    assert SECRET not in str(checks)
    (folder / "manifest.json").write_text("{}")
    assert "failure" == diagnose(folder)[1]["venue"][0]
