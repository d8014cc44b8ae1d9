"""A standby's directory while it follows: a warm engine, a warm chain, and the published folder kept current.

What is sealed is published here at once and posted by nobody; whoever takes over posts what the chain lacks.
"""

import asyncio
from pathlib import Path

from novate.access.limits import ServerLimits
from novate.apps.directory_lock import DirectoryLock
from novate.apps.venue import Venue
from novate.apps.venue_config import VenueClock, VenueConfig
from novate.apps.venue_tasks import SNAPSHOT_COMMANDS, select_entries
from novate.execution.capture import capture_state
from novate.execution.frame_scan import Entry
from novate.execution.journal import Position
from novate.execution.recovery import Recovered, recover, replay_group
from novate.execution.sealing import SealedBatch
from novate.execution.snapshot import store_capture
from novate.protocol.frame import Frame
from novate.protocol.genesis import Genesis
from novate.settlement.embedded_chain import EmbeddedChain
from novate.settlement.publication import Extent, Publisher
from novate.standby.messages import End
from novate.standby.replica import ReplicaJournal


class ReplicaChain:
    """The embedded chain of a standby: blocks are executed as they come."""

    def __init__(self, chain: EmbeddedChain) -> None:
        self.chain = chain

    def read_end(self) -> End:
        """Return how far the chain's log is durable."""
        return End(*self.chain.read_end())

    async def append(self, frames: list[Frame]) -> None:
        """Write and execute blocks."""
        await asyncio.to_thread(self.follow, frames)

    def follow(self, frames: list[Frame]) -> None:
        """Do it in a thread."""
        for frame in frames:
            self.chain.follow(frame)


class WarmVenue:
    """Everything of a venue but the door, ready to be opened."""

    def __init__(self, folder: Path, config: VenueConfig, genesis: Genesis) -> None:
        self.folder = folder
        self.config = config
        self.genesis = genesis
        self.lock = DirectoryLock(folder)
        self.recovered: Recovered = recover(genesis, folder / "journal", folder / "snapshots")
        self.publisher = Publisher(folder / "published", genesis.raw, genesis.hash)
        self.chain = EmbeddedChain(
            folder / "published" / "chain.log", config.chain_id, VenueClock(config).time_s
        )
        self.snapshot_sequence = self.recovered.engine.sequence
        self.unsealed: list[Entry] = list(self.recovered.entries[self.publisher.command_count :])
        self.publish(self.recovered.batches)
        self.recovered = self.recovered._replace(entries=[], batches=[])
        self.journal = ReplicaJournal(self.recovered.journal, self.apply)
        self.applying: asyncio.Task[None] | None = None

    def start(self) -> asyncio.Task[None]:
        """Begin to apply what becomes durable; the task ends only by a fault."""
        self.applying = asyncio.create_task(self.journal.run(), name="applying")
        return self.applying

    async def apply(self, entries: list[Entry]) -> None:
        """Apply durable commands, and publish what they seal."""
        await asyncio.to_thread(self.apply_now, entries)

    def apply_now(self, entries: list[Entry]) -> None:
        """Do it in a thread; nobody else touches the engine."""
        batches: list[SealedBatch] = []
        replay_group(self.recovered.engine, self.recovered.sealer, entries, batches, ())
        self.unsealed.extend(entries)
        self.publish(batches)
        if batches:
            self.take_snapshot(batches[-1], entries[-1])

    def publish(self, batches: list[SealedBatch]) -> None:
        """Append the batches that the folder does not have, and let HEAD name them."""
        new = [each for each in batches if each.header.number > self.publisher.batch_count]
        for sealed in new:
            header = sealed.header
            entries = select_entries(self.unsealed, header.first_sequence, header.last_sequence)
            self.publisher.append_batch([each.payload for each in entries], header, sealed.withdrawals)
            del self.unsealed[: len(entries)]
        if new:
            self.publisher.write_head(Extent(*self.chain.measure()))

    def take_snapshot(self, sealed: SealedBatch, last: Entry) -> None:
        """Store the state if a batch ends here and enough has happened since the last time."""
        due = last.sequence - self.snapshot_sequence >= SNAPSHOT_COMMANDS
        if due and sealed.header.last_sequence == last.sequence:
            capture = capture_state(self.recovered.engine, Position(last.sequence, last.hash))
            store_capture(self.folder / "snapshots", capture, sealed.header.state_root)
            self.snapshot_sequence = last.sequence

    async def open(self, limits: ServerLimits) -> Venue:
        """Return the venue of this directory, which goes on where the journal ends."""
        await self.journal.drain()
        if self.applying is not None:
            self.applying.cancel()
        self.publisher.close()
        recovered = self.recovered._replace(entries=self.unsealed)
        return Venue(self.folder, self.config, self.genesis, recovered, self.lock, limits, self.chain)
