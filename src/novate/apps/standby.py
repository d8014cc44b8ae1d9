"""`novate standby`: follow a primary, hold everything that it acknowledges, and take over when it is gone.

The directory begins with nothing but `keys/`, brought by a person, who is the only one to carry keys. The
rest comes from the primary and is checked against them.
"""

import asyncio
import logging
import os
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec.structs import replace
from rich.console import Console

from novate.apps.option_analytics import load_option_kernels
from novate.apps.serve import ServeOptions, merge_config, serve_venue, watch_signals
from novate.apps.standby_primary import make_link, make_primary
from novate.apps.standby_replica import ReplicaChain, WarmVenue
from novate.apps.venue_config import CONFIG_NAME, STANDBY_NAME, VenueError, read_config
from novate.execution.sequencer import EXIT_FAILED
from novate.execution.warmup import warm_up
from novate.protocol.frame import FrameError, iterate_frames
from novate.protocol.genesis import parse_genesis
from novate.settlement.embedded_chain import ORIGIN
from novate.settlement.files import replace_file
from novate.settlement.keys import load_key
from novate.standby.fence import STANDBY, Fence, FenceError, open_fence, take_over
from novate.standby.follower import Follower, ReplicaLog
from novate.standby.messages import CHAIN, JOURNAL, End, Fetch, Fetched, Hello, Welcome
from novate.standby.settings import (
    SettingsError,
    StandbySettings,
    format_settings,
    parse_settings,
    read_settings,
)
from novate.standby.tasks import end_tasks

if TYPE_CHECKING:
    from novate.standby.link import Link

FOLLOWING = "following"
NONCE_BYTES = 8
PAUSE_S = 0.2
log = logging.getLogger("novate.standby")


@dataclass(frozen=True)
class StandbyOptions:
    """What the command line says; `serving` is how the venue is served after a take-over."""

    serving: ServeOptions
    follow: tuple[str, ...] = ()
    take_over: bool = False


def choose_settings(options: StandbyOptions) -> StandbySettings:
    """Return the directory's settings, with the servers of the command line if it names some."""
    folder = options.serving.data
    try:
        settings = read_settings(folder)
    except SettingsError as error:
        raise VenueError(str(error)) from error
    if options.follow:
        servers = list(options.follow)
        return replace(settings, servers=servers) if settings else StandbySettings(servers)
    if settings is None:
        raise VenueError(f"{folder} has no {STANDBY_NAME}; name the NATS server with --follow")
    return settings


async def ask_welcome(link: "Link", fence: Fence) -> Welcome:
    """Return the primary's welcome, waiting for as long as there is none of this epoch or a later one."""
    while True:
        nonce = secrets.token_bytes(NONCE_BYTES)
        try:
            welcome = await link.request("hello", Hello(fence.state.epoch, fence.state.node, nonce))
        except ConnectionError as error:
            log.info("no primary answers: %s", error)
        else:
            if isinstance(welcome, Welcome) and welcome.nonce == nonce and welcome.epoch >= fence.state.epoch:
                return welcome
        await asyncio.sleep(PAUSE_S)


def adopt_files(folder: Path, files: dict[str, bytes], servers: list[str]) -> None:
    """Write the files that this directory lacks; VenueError if it has another venue's.

    The standby's settings are the primary's but for the servers: each has its own way to them. The
    configuration is written last: a directory without it was not finished.
    """
    genesis = parse_genesis(files["published/genesis.json"])
    operator = load_key(folder / "keys" / "operator.key")
    if bytes.fromhex(operator.address[2:]) != genesis.operator:
        raise VenueError(f"{folder}/keys/operator.key is not the key of this venue's operator")
    settings = replace(parse_settings(files[STANDBY_NAME]), servers=servers)
    own = files | {STANDBY_NAME: format_settings(settings)}
    for name in sorted(own, key=lambda name: name == CONFIG_NAME):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            replace_file(path, own[name])
        elif path.suffix == ".json" and path.read_bytes() != own[name]:
            raise VenueError(f"{path} belongs to another venue than the primary's")


async def fetch_chain(link: "Link", fence: Fence, path: Path) -> None:
    """Write the beginning of the embedded chain's log, if there is none; the rest is followed later."""
    if path.exists():
        return
    nonce, start = secrets.token_bytes(NONCE_BYTES), End(0, ORIGIN)
    reply = await link.request("fetch", Fetch(fence.state.epoch, fence.state.node, nonce, CHAIN, start))
    if not isinstance(reply, Fetched) or reply.nonce != nonce or not reply.data:
        raise VenueError("the primary did not send the beginning of its chain")
    try:
        frames = list(iterate_frames(reply.data, ORIGIN))
    except FrameError as error:
        raise VenueError(f"the beginning of the primary's chain is broken: {error}") from error
    assert frames[0].sequence == 0, "Invariant: a chain begins with its genesis."
    replace_file(path, reply.data)


async def prepare_directory(link: "Link", fence: Fence, options: StandbyOptions) -> None:
    """Fill a directory that has keys and nothing else with what is the primary's too."""
    folder = options.serving.data
    if (folder / CONFIG_NAME).exists() and options.take_over:
        return
    welcome = await ask_welcome(link, fence)
    await asyncio.to_thread(adopt_files, folder, welcome.files, link.settings.servers)
    await fetch_chain(link, fence, folder / "published" / "chain.log")


async def follow_until_gone(
    warm: WarmVenue,
    link: "Link",
    fence: Fence,
    ended: asyncio.Event,
    console: Console,
) -> bool:
    """Follow; return whether this standby has taken over, or was asked to end."""

    async def say_enrolled() -> None:
        console.print(
            f"{FOLLOWING} epoch {fence.state.epoch} sequence {warm.journal.journal.position.sequence}",
            highlight=False,
            soft_wrap=True,
        )

    applying = warm.start()
    logs: dict[str, ReplicaLog] = {JOURNAL: warm.journal, CHAIN: ReplicaChain(warm.chain)}
    follower = Follower(link, fence, link.settings, logs, say_enrolled)
    running = asyncio.create_task(follower.run(), name="follower")
    ending = asyncio.create_task(ended.wait())
    await asyncio.wait({running, ending, applying}, return_when=asyncio.FIRST_COMPLETED)
    if applying.done():
        log.critical("a command could not be applied", exc_info=applying.exception())
        os._exit(EXIT_FAILED)
    ending.cancel()
    if running.done():
        running.result()
        return True
    await end_tasks([running])
    return fence.state.role != STANDBY


async def run_standby(options: StandbyOptions, console: Console) -> None:
    """Follow until SIGTERM or SIGINT, or take over and serve until then."""
    ended = watch_signals()
    folder = options.serving.data
    if not (folder / "keys" / "operator.key").exists():
        raise VenueError(f"{folder}/keys is missing: copy the primary's there, each file with mode 0600")
    link = make_link(folder, choose_settings(options))
    fence = await asyncio.to_thread(open_fence, folder, STANDBY)
    await asyncio.to_thread(warm_up)
    await asyncio.to_thread(load_option_kernels)
    await link.open()
    await prepare_directory(link, fence, options)
    settings = link.settings = choose_settings(options)
    config = read_config(folder)
    genesis = parse_genesis((folder / "published" / "genesis.json").read_bytes())
    warm = await asyncio.to_thread(WarmVenue, folder, config, genesis)
    if options.take_over:
        # A person has made sure that the primary is off: this is the one way around the enrolment.
        await asyncio.to_thread(fence.write, take_over(fence.state))
    elif not await follow_until_gone(warm, link, fence, ended, console):
        await link.close()
        return
    log.warning("this standby is the primary of epoch %d now", fence.state.epoch)
    venue = await warm.open(merge_config(options.serving).make_limits())
    primary = make_primary(venue, settings, fence, link)
    await serve_venue(venue, options.serving, console, ended, primary)


__all__ = ["FenceError", "StandbyOptions", "run_standby"]
