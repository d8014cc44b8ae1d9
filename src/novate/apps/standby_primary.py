"""The primary's side of a hot standby, wired to a venue: which logs, which files, and how the process ends.

A venue without DIR/standby.toml passes through here and nothing of NATS is imported.
"""

import asyncio
import logging
import os
from pathlib import Path
from typing import TYPE_CHECKING

from novate.apps.venue import Venue
from novate.apps.venue_config import CONFIG_NAME, LISTING_NAME, SLICES_NAME, STANDBY_NAME, VenueError
from novate.execution.frame_scan import Entry
from novate.execution.journal import find_segments
from novate.execution.sequencer import EXIT_FAILED
from novate.settlement.embedded_chain import ORIGIN
from novate.settlement.keys import load_key
from novate.standby.fence import PRIMARY, Fence, check_unaccompanied, open_fence, read_fence, release_standby
from novate.standby.log_reader import LogFile, LogReader, rebuild_frame
from novate.standby.messages import CHAIN, FILE_BYTES_MAX, JOURNAL, End, derive_key
from novate.standby.primary import Hooks, Primary, SourceLog
from novate.standby.settings import SettingsError, StandbySettings, read_settings

if TYPE_CHECKING:
    from novate.standby.link import Link

# What a standby gets from its primary. Keys are never among them: a person brings those.
SHARED_NAMES = (
    CONFIG_NAME,
    "manifest.json",
    "published/genesis.json",
    LISTING_NAME,
    SLICES_NAME,
    STANDBY_NAME,
)
EXIT_SUPERSEDED = 75
log = logging.getLogger("novate.standby")


def prepare_primary(folder: Path, releases: bool) -> StandbySettings | None:
    """Return the settings of a directory's standby, or nothing; refuse what its promises do not allow.

    Errors     VenueError for settings that cannot be used; FenceError for a directory that may not serve.
    """
    if releases:
        release_standby(folder)
    try:
        settings = read_settings(folder)
    except SettingsError as error:
        raise VenueError(str(error)) from error
    if settings is None:
        check_unaccompanied(folder)
    elif read_fence(folder) is not None:
        open_fence(folder, PRIMARY)
    return settings


def make_link(folder: Path, settings: StandbySettings) -> "Link":
    """Return the connection of a directory, sealed by its operator's key; VenueError without nats-py."""
    try:
        from novate.standby.link import Link
    except ImportError as error:
        raise VenueError("a standby needs nats-py: pip install 'novate[standby]'") from error
    operator = load_key(folder / "keys" / "operator.key")
    return Link(settings, operator.address[2:].lower(), derive_key(bytes(operator.key)))


def read_shared(folder: Path) -> dict[str, bytes]:
    """Return the files that are the same in both directories."""
    files = {}
    for name in SHARED_NAMES:
        path = folder / name
        if path.exists():
            data = path.read_bytes()
            if len(data) > FILE_BYTES_MAX:
                raise VenueError(f"{path} has {len(data)} bytes, more than a standby takes")
            files[name] = data
    return files


def list_segments(folder: Path) -> list[LogFile]:
    """Return the journal's files by their first sequence."""
    return [LogFile(int(path.stem), path) for path in find_segments(folder)]


def make_primary(venue: Venue, settings: StandbySettings, fence: Fence, link: "Link") -> Primary:
    """Return the primary of a recovered venue, not started yet."""
    journal, chain = venue.sequencer.journal, venue.chain

    def read_journal_end() -> End:
        position = journal.position
        return End(position.sequence + 1, position.hash)

    chain_file = LogFile(0, venue.published / "chain.log")
    logs = {
        JOURNAL: SourceLog(
            read_journal_end, LogReader(lambda: list_segments(journal.folder), venue.genesis.hash)
        ),
        CHAIN: SourceLog(lambda: End(*chain.read_end()), LogReader(lambda: [chain_file], ORIGIN)),
    }
    hooks = Hooks(end_superseded, end_faulty, venue.sequencer.suspend)
    return Primary(link, fence, settings, logs, read_shared(venue.folder), hooks)


async def open_primary(venue: Venue, settings: StandbySettings) -> Primary:
    """Connect, and return the primary of a venue that was recovered from a directory."""
    fence = await asyncio.to_thread(open_fence, venue.folder, PRIMARY)
    link = make_link(venue.folder, settings)
    await link.open()
    return make_primary(venue, settings, fence, link)


async def start_primary(venue: Venue, primary: Primary, ended: asyncio.Event) -> None:
    """Begin to replicate, and return once everything recovered may be shown, or the process is to end."""

    async def replicate(entries: list[Entry]) -> None:
        await primary.replicate(JOURNAL, [rebuild_frame(entry) for entry in entries])

    venue.sequencer.replicate = replicate
    venue.chain.watch(lambda frame: primary.replicate_from_thread(CHAIN, frame))
    venue.is_stalled = lambda: primary.is_stalled
    await primary.start()

    async def confirm() -> None:
        await asyncio.gather(primary.confirm(JOURNAL), primary.confirm(CHAIN))

    async def wait_ended() -> None:
        await ended.wait()

    confirmed, ending = asyncio.create_task(confirm()), asyncio.create_task(wait_ended())
    await asyncio.wait({confirmed, ending}, return_when=asyncio.FIRST_COMPLETED)
    if not confirmed.done():
        end_if_stalled(primary)
    ending.cancel()
    await confirmed


def end_if_stalled(primary: Primary) -> None:
    """End at once if an orderly end would wait for a standby that is away: the journal has everything."""
    if primary.is_stalled:
        log.warning("ended while waiting for the standby; the next start goes on from the journal")
        os._exit(EXIT_SUPERSEDED)


def end_superseded(epoch: int) -> None:
    """End at once: a standby has taken over, and this process may acknowledge nothing more."""
    log.critical("a standby took over in epoch %d; this process ends", epoch)
    os._exit(EXIT_SUPERSEDED)


def end_faulty(reason: str) -> None:
    """End at once: only a person can say what happened."""
    log.critical("%s", reason)
    os._exit(EXIT_FAILED)
