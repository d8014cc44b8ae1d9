"""What a venue does by itself: tick, credit deposits, seal, publish and post batches, snapshot."""

import asyncio
import logging
from typing import TYPE_CHECKING, NamedTuple

from novate.execution.engine import Engine
from novate.execution.journal import Entry, Position
from novate.execution.recovery import Recovered
from novate.execution.sealing import OpenBatch, SealedBatch
from novate.execution.sequencer import Outcome, VenueBusy
from novate.execution.snapshot import Capture, capture_state, store_capture
from novate.execution.tables import Array
from novate.protocol.command import make_command
from novate.protocol.generated.codes import Code, CommandKind
from novate.protocol.header import BatchHeader
from novate.settlement.deposits import DepositWatcher
from novate.settlement.publication import Extent

if TYPE_CHECKING:
    from novate.apps.venue import Venue

TICK_S = 0.2
DEPOSIT_POLL_S = 0.2
CONFIRMATIONS = 0  # The embedded chain has no reorganisations.
OPEN_BATCH_COUNT_MAX = 64
SNAPSHOT_COMMANDS = 20_000  # A restart replays at most about this many commands.
POST_TRIES = 5
log = logging.getLogger("novate.venue")


class SealedWork(NamedTuple):
    """A batch to publish, its commands, and the state after it if a snapshot is due."""

    batch: OpenBatch
    entries: list[Entry]
    capture: Capture | None


class BatchPoster:
    """Turns SEALs into published, posted batches, in order, without holding up the sequencer."""

    def __init__(self, venue: "Venue", recovered: Recovered) -> None:
        self.venue = venue
        self.sealer = recovered.sealer
        self.recovered: Recovered | None = recovered
        self.unsealed: list[Entry] = []
        self.open_batches: asyncio.Queue[SealedWork] = asyncio.Queue(OPEN_BATCH_COUNT_MAX)
        self.posted: list[BatchHeader] = []
        self.posted_number = 0
        self.sealed_sequence = 0
        self.gas_used = 0
        self.changed = asyncio.Condition()
        self.seal_lock = asyncio.Lock()
        self.last_entry: Entry | None = None
        self.snapshot_sequence = recovered.snapshot.position.sequence if recovered.snapshot else 0

    def on_outcomes(self, outcomes: list[Outcome]) -> None:
        """Collect the commands of the batch in progress; copy the state's changes at its SEAL."""
        for outcome in outcomes:
            self.unsealed.append(outcome.entry)
            self.last_entry = outcome.entry
            batch = self.sealer.observe(outcome.entry, outcome.command, outcome.events)
            if batch is not None:
                self.sealed_sequence = outcome.sequence
                self.open_batches.put_nowait(SealedWork(batch, self.unsealed, self.capture(outcome)))
                self.unsealed = []

    def capture(self, outcome: Outcome) -> Capture | None:
        """Copy the state at a SEAL if enough has happened since the last snapshot."""
        if outcome.sequence - self.snapshot_sequence < SNAPSHOT_COMMANDS:
            return None
        self.snapshot_sequence = outcome.sequence
        return capture_state(self.venue.engine, Position(outcome.sequence, outcome.entry.hash))

    async def catch_up(self) -> None:
        """Publish and post the batches that the journal holds and the folder or the chain does not."""
        recovered, self.recovered = self.recovered, None
        assert recovered is not None, "Condition failed: catch_up runs once."
        entries = recovered.entries
        self.last_entry = entries[-1] if entries else None
        self.posted_number = self.venue.publisher.batch_count
        for sealed in recovered.batches:
            header = sealed.header
            if header.number > self.venue.publisher.batch_count:
                await self.publish(sealed, entries[header.first_sequence - 1 : header.last_sequence])
        self.sealed_sequence = self.venue.publisher.command_count
        self.unsealed = entries[self.sealed_sequence :]
        await self.write_head()

    async def run(self) -> None:
        """Publish and post sealed batches as they come."""
        while True:
            work = await self.open_batches.get()
            sealed = await asyncio.to_thread(self.sealer.close, work.batch)
            await self.publish(sealed, work.entries)
            if work.capture is not None:
                # Only now: a snapshot must not be newer than what is published.
                await self.store(work.capture, sealed.header.state_root)

    async def publish(self, sealed: SealedBatch, entries: list[Entry]) -> None:
        """Append a batch to the published logs, post its header, and let HEAD name it."""
        payloads = [entry.payload for entry in entries]
        publisher = self.venue.publisher
        await asyncio.to_thread(publisher.append_batch, payloads, sealed.header, sealed.withdrawals)
        await self.post(sealed.header)
        await self.write_head()
        self.posted.append(sealed.header)
        async with self.changed:
            self.posted_number = sealed.header.number
            self.changed.notify_all()

    async def post(self, header: BatchHeader) -> None:
        """Post a header, trying again while the node is out of reach; it is idempotent."""
        for attempt in range(1, POST_TRIES + 1):
            try:
                self.gas_used += await asyncio.to_thread(self.post_missing, header)
                return
            except (ConnectionError, TimeoutError) as error:
                if attempt == POST_TRIES:
                    raise
                log.warning("batch %d could not be posted (%s), trying again", header.number, error)
                await asyncio.sleep(0.5 * attempt)

    def post_missing(self, header: BatchHeader) -> int:
        """Post a header after those before it that a reorganisation took off the chain; returns the gas."""
        settlement = self.venue.settlement
        headers = [header]
        missing = settlement.batch_count() + 1
        if missing < header.number:
            log.warning("batches %d to %d are off the chain, posting again", missing, header.number - 1)
            headers = [*self.venue.publisher.read_headers(missing, header.number - 1), header]
        receipts = [settlement.post_header(each) for each in headers]
        return sum(receipt["gasUsed"] for receipt in receipts if receipt is not None)

    async def write_head(self) -> None:
        """Let HEAD name what is published and the chain as it is."""
        await asyncio.to_thread(self.venue.publisher.write_head, Extent(*self.venue.chain.measure()))

    async def wait_reached(self, number: int) -> None:
        """Return once a batch, of this process or an earlier one, is on the chain."""
        async with self.changed:
            await self.changed.wait_for(lambda: self.posted_number >= number)

    async def wait_posted(self, number: int) -> BatchHeader:
        """Return the header of a batch once it is on the chain."""
        await self.wait_reached(number)
        return next(header for header in reversed(self.posted) if header.number == number)

    async def store(self, capture: Capture, root: bytes) -> None:
        """Write a captured state to the snapshots folder."""
        await asyncio.to_thread(store_capture, self.venue.folder / "snapshots", capture, root)

    async def write_snapshot(self) -> None:
        """Write a snapshot of the state at the last command, if a batch ends there."""
        entry = self.last_entry
        if entry is not None and entry.sequence == self.sealed_sequence:
            capture = capture_state(self.venue.engine, Position(entry.sequence, entry.hash))
            await self.store(capture, self.sealer.previous_root)


def is_timer_due(engine: Engine, time_ns: int) -> bool:
    """Whether a dead-man timer or an order's date has passed."""
    world = engine.world
    house = world.house[0]
    timers = (
        world.accounts["dead_man_ns"][: int(house["account_count"])],
        live_dates(world.orders[: int(house["order_high"])]),
        live_dates(world.waiting[: int(house["waiting_high"])]),
    )
    return any(bool(((times > 0) & (times <= time_ns)).any()) for times in timers)


def live_dates(orders: Array) -> Array:
    """Return the dates of the orders that are there; a free slot keeps what its last order had."""
    dates: Array = orders["valid_until_ns"] * (orders["order_id"] > 0)
    return dates


def is_tick_due(venue: "Venue") -> bool:
    """Whether a mark update, an expiry or a timer waits."""
    world = venue.engine.world
    if bool((world.markets["dirty"] != 0).any()):
        return True
    time_ns = venue.clock.time_ns()
    series = world.series[: int(world.house["series_count"][0])]
    if bool(((series["expired"] == 0) & (series["expiry_ns"] <= time_ns)).any()):
        return True
    return is_timer_due(venue.engine, time_ns)


async def run_ticks(venue: "Venue") -> None:
    """Submit a TICK whenever one is due."""
    while True:
        await asyncio.sleep(TICK_S)
        if is_tick_due(venue):
            await submit_own(venue, make_command(CommandKind.TICK, 0))


async def submit_own(venue: "Venue", command: object) -> Outcome | None:
    """Submit one of the venue's own commands; a full queue means that it comes again later."""
    try:
        return await venue.sequencer.submit(command)  # type: ignore[arg-type]
    except VenueBusy:
        log.warning("the sequencer's queue is full; a command of the venue waits")
        return None


async def run_deposits(venue: "Venue", confirmations: int = CONFIRMATIONS) -> None:
    """Credit the vault's deposits in the order of their cursor."""
    cursor = int(venue.engine.world.house["deposit_cursor"][0])
    watcher = DepositWatcher(venue.settlement, cursor, confirmations)
    while True:
        for deposit in await asyncio.to_thread(lambda: list(watcher.poll())):
            command = make_command(
                CommandKind.DEPOSIT,
                0,
                deposit.account,
                cursor=deposit.cursor,
                amount_atoms=deposit.amount_atoms,
            )
            outcome = None
            while outcome is None:
                outcome = await submit_own(venue, command)
                await asyncio.sleep(0 if outcome else DEPOSIT_POLL_S)
            if outcome.code != Code.OK:
                raise RuntimeError(f"deposit {deposit.cursor} was refused with {outcome.code.name}")
        await asyncio.sleep(DEPOSIT_POLL_S)


async def run_seals(venue: "Venue") -> None:
    """Seal a batch every interval in which something happened."""
    while True:
        await asyncio.sleep(venue.config.batch_interval_s)
        if venue.engine.sequence > venue.poster.sealed_sequence and not venue.poster.open_batches.full():
            async with venue.poster.seal_lock:
                await venue.submit_seal()
