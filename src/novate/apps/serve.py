"""`novate serve`: a venue alone on a data directory, created on first use and recovered ever after.

It may be killed at any moment: whatever it acknowledged is in its journal, and the next start goes on from
there.
"""

import asyncio
import logging
import signal
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from eth_utils.address import to_canonical_address
from msgspec.structs import replace
from rich.console import Console

from novate.access.limits import ServerLimits
from novate.apps.admin_server import AdminServer
from novate.apps.funding import fund_address, wait_until_credited
from novate.apps.listing import is_planned, list_market, resume_market
from novate.apps.listing_rule import ListingRule
from novate.apps.listing_task import RULE_LIMITS, ListingTask, read_rule
from novate.apps.logs import configure_logs
from novate.apps.market import plan_builtin
from novate.apps.option_analytics import load_option_kernels
from novate.apps.oracle_feed import OracleFeed
from novate.apps.price_path import JumpDiffusionPath
from novate.apps.serve_config import ServeConfig, read_serve_config
from novate.apps.setup import make_setup
from novate.apps.slices import read_slices, set_slices
from novate.apps.standby_primary import end_if_stalled, open_primary, prepare_primary, start_primary
from novate.apps.venue import Venue
from novate.apps.venue_config import CONFIG_NAME
from novate.execution.warmup import warm_up
from novate.protocol.generated.constants import NS_PER_S

if TYPE_CHECKING:
    from novate.standby.primary import Primary

READY = "ready"
FINALITY_DELAY_S = 2
log = logging.getLogger("novate.serve")


@dataclass(frozen=True)
class ServeOptions:
    """What the command line says; `accounts` and `batch_interval_s` matter when the venue is created.

    A host or port of None is that of DIR/serve.toml.
    """

    data: Path
    host: str | None = None
    port: int | None = None
    admin_port: int | None = None
    feed: bool = True
    listing: bool = True
    accounts: int = 1_024
    batch_interval_s: float = 2.0
    funds: tuple[tuple[str, int], ...] = ()
    release_standby: bool = False


def merge_config(options: ServeOptions) -> ServeConfig:
    """Return DIR/serve.toml with what the command line says in its place."""
    config = read_serve_config(options.data)
    listen, admin = config.listen, config.admin
    listen = replace(listen, host=options.host or listen.host)
    if options.port is not None:
        listen = replace(listen, port=options.port)
    if options.admin_port is not None:
        admin = replace(admin, port=options.admin_port)
    return replace(config, listen=listen, admin=admin)


async def open_venue(options: ServeOptions, limits: ServerLimits) -> Venue:
    """Return the venue of a data directory, created with the built-in market's figures if there is none."""
    if (options.data / CONFIG_NAME).exists():
        return await Venue.open(options.data, limits)
    plan = plan_builtin(time.time_ns() // NS_PER_S * NS_PER_S)
    setup = make_setup(plan, 1, options.accounts, FINALITY_DELAY_S, options.batch_interval_s)
    if options.listing:
        setup = replace(setup, limits=setup.limits | RULE_LIMITS)
    return await Venue.create(options.data, setup, limits)


class Market:
    """What a served venue lists, and the prices that its oracles report."""

    def __init__(self, venue: Venue, rule: ListingRule | None, has_feed: bool) -> None:
        self.venue = venue
        self.lister = None if rule is None else ListingTask(venue, rule)
        self.feed: OracleFeed | None = None
        if has_feed:
            plan = resume_market(venue, plan_builtin(venue.clock.time_ns() // NS_PER_S * NS_PER_S))
            path = JumpDiffusionPath(venue.engine.sequence)
            self.feed = OracleFeed(venue, plan, path, venue.config.rate)
        self.tasks: list[asyncio.Task[None]] = []

    async def begin(self) -> None:
        """List what is missing, report the first prices, and keep doing both."""
        if self.feed is not None:
            await self.feed.publish_index()
        if self.lister is not None:
            await self.lister.update()
            self.tasks.append(asyncio.create_task(self.lister.run(), name="listing"))
        else:
            await self.list_builtin()
        if self.feed is not None:
            await self.feed.publish_surfaces()
            self.tasks.append(asyncio.create_task(self.feed.run(), name="oracles"))
        for task in self.tasks:
            task.add_done_callback(note_failure)

    async def list_builtin(self) -> None:
        """List the built-in market, or what is missing of it; a venue with another one lists nothing."""
        plan = plan_builtin(self.venue.config.base_time_ns // NS_PER_S * NS_PER_S)
        if is_planned(self.venue, plan):
            await list_market(self.venue, plan)

    async def end(self) -> None:
        """Stop listing and reporting."""
        if self.feed is not None:
            self.feed.stop()
        for task in self.tasks:
            if task.get_name() == "listing":
                task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)


def note_failure(task: "asyncio.Task[None]") -> None:
    """Say that listing or prices have ended; orders are judged by the law's own ages of marks."""
    if not task.cancelled() and task.exception() is not None:
        log.critical("the task %s of the market failed", task.get_name(), exc_info=task.exception())


async def add_funds(venue: Venue, funds: tuple[tuple[str, int], ...]) -> None:
    """Mint and deposit test money for addresses, and wait until it is credited."""
    for address, amount_atoms in funds:
        await asyncio.to_thread(fund_address, venue, to_canonical_address(address), amount_atoms)
    await wait_until_credited(venue, [to_canonical_address(address) for address, _ in funds])


def watch_signals() -> asyncio.Event:
    """Return an event that SIGTERM and SIGINT set."""
    ended = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    return ended


async def run_serve(options: ServeOptions, console: Console) -> None:
    """Serve until SIGTERM or SIGINT; then finish what was accepted, publish it and return."""
    ended = watch_signals()
    # First, because a wrong file should be refused at once and not after a minute of compilation.
    config = merge_config(options)
    if options.listing:
        read_rule(options.data)
    read_slices(options.data)
    settings = prepare_primary(options.data, options.release_standby)
    configure_logs(config.log.format, config.log.level)
    await asyncio.to_thread(warm_up)
    await asyncio.to_thread(load_option_kernels)
    venue = await open_venue(options, config.make_limits())
    primary = None if settings is None else await open_primary(venue, settings)
    await serve_venue(venue, options, console, ended, primary)


async def serve_venue(
    venue: Venue,
    options: ServeOptions,
    console: Console,
    ended: asyncio.Event,
    primary: "Primary | None" = None,
) -> None:
    """Serve a recovered venue until the event is set."""
    config = merge_config(options)
    market = Market(venue, read_rule(options.data) if options.listing else None, options.feed)
    admin = AdminServer(venue)
    if primary is not None:
        await start_primary(venue, primary, ended)
    await venue.start(config.listen.host, config.listen.port)
    try:
        await set_slices(venue, read_slices(options.data))
        await market.begin()
        await add_funds(venue, options.funds)
        if config.admin.port is not None:
            await admin.start(config.admin.host, config.admin.port)
            log.info("metrics, health and readiness at http://%s:%d", config.admin.host, admin.port)
        # Programs that start a venue wait for this line: it is the first on standard output.
        console.print(
            f"{READY} http://{config.listen.host}:{venue.port} sequence {venue.engine.sequence}",
            highlight=False,
            soft_wrap=True,
        )
        await ended.wait()
        if config.admin.port is not None:
            await admin.drain(config.drain.seconds)
    finally:
        if primary is not None:
            end_if_stalled(primary)
        await market.end()
        await venue.stop()
        if primary is not None:
            await primary.stop()
        await admin.stop()
