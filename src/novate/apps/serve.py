"""`novate serve`: a venue alone on a data directory, created on first use and recovered ever after.

It may be killed at any moment: whatever it acknowledged is in its journal, and the next start goes on from
there.
"""

import asyncio
import signal
import time
from dataclasses import dataclass
from pathlib import Path

from eth_utils.address import to_canonical_address
from rich.console import Console

from novate.apps.funding import fund_address, wait_until_credited
from novate.apps.listing import list_market, resume_market
from novate.apps.market import plan_builtin
from novate.apps.oracle_feed import OracleFeed
from novate.apps.price_path import JumpDiffusionPath
from novate.apps.setup import make_setup
from novate.apps.venue import Venue
from novate.apps.venue_config import CONFIG_NAME
from novate.execution.warmup import warm_up
from novate.protocol.generated.constants import NS_PER_S

READY = "ready"
FINALITY_DELAY_S = 2


@dataclass(frozen=True)
class ServeOptions:
    """What the command line says; `accounts` and `batch_interval_s` matter when the venue is created."""

    data: Path
    host: str = "127.0.0.1"
    port: int = 8080
    feed: bool = True
    accounts: int = 1_024
    batch_interval_s: float = 2.0
    funds: tuple[tuple[str, int], ...] = ()


async def open_venue(options: ServeOptions) -> Venue:
    """Return the venue of a data directory, created with the built-in market's figures if there is none."""
    if (options.data / CONFIG_NAME).exists():
        return await Venue.open(options.data)
    plan = plan_builtin(time.time_ns() // NS_PER_S * NS_PER_S)
    setup = make_setup(plan, 1, options.accounts, FINALITY_DELAY_S, options.batch_interval_s)
    return await Venue.create(options.data, setup)


async def begin_market(venue: Venue, feed: bool) -> OracleFeed | None:
    """List what the built-in market lacks, and begin to report prices where the venue left them."""
    plan = plan_builtin(venue.config.base_time_ns // NS_PER_S * NS_PER_S)
    await list_market(venue, plan)
    if not feed:
        return None
    path = JumpDiffusionPath(venue.engine.sequence)
    oracles = OracleFeed(venue, resume_market(venue, plan), path, venue.config.rate)
    await oracles.begin()
    return oracles


async def add_funds(venue: Venue, funds: tuple[tuple[str, int], ...]) -> None:
    """Mint and deposit test money for addresses, and wait until it is credited."""
    for address, amount_atoms in funds:
        await asyncio.to_thread(fund_address, venue, to_canonical_address(address), amount_atoms)
    await wait_until_credited(venue, [to_canonical_address(address) for address, _ in funds])


async def run_serve(options: ServeOptions, console: Console) -> None:
    """Serve until SIGTERM or SIGINT; then finish what was accepted, publish it and return."""
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ended.set)
    await asyncio.to_thread(warm_up)
    venue = await open_venue(options)
    await venue.start(options.host, options.port)
    feed: OracleFeed | None = None
    feeding: asyncio.Task[None] | None = None
    try:
        feed = await begin_market(venue, options.feed)
        feeding = asyncio.create_task(feed.run()) if feed else None
        await add_funds(venue, options.funds)
        # Programs that start a venue wait for this line: it is the first on standard output.
        console.print(
            f"{READY} http://{options.host}:{venue.port} sequence {venue.engine.sequence}",
            highlight=False,
            soft_wrap=True,
        )
        await ended.wait()
    finally:
        if feed is not None and feeding is not None:
            feed.stop()
            await asyncio.gather(feeding, return_exceptions=True)
        await venue.stop()
