"""One life of a venue's process: production's recovery, sequencer, poster and tasks, without a web server."""

import asyncio
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

from eth_account.signers.local import LocalAccount
from web3 import Web3

from novate.apps.venue import Venue
from novate.apps.venue_config import VenueClock, VenueConfig
from novate.apps.venue_tasks import BatchPoster, run_deposits, run_seals, run_ticks
from novate.execution.recovery import Recovered, recover
from novate.execution.sequencer import Sequencer
from novate.settlement.client import SettlementClient, SettlementError
from novate.settlement.embedded_chain import EmbeddedChain
from novate.settlement.publication import Publisher
from simulation.genesis import OPERATOR, make_genesis

if TYPE_CHECKING:
    from simulation.world import World

BATCH_INTERVAL_S = 2.0
# Failures of its surroundings that a venue answers by ending its process; any other failure is a bug.
EXCUSED = (OSError, SettlementError)


class SimulatedVenue(Venue):
    """A venue whose disk, chain and clock are the simulation's, and which nobody reaches by network."""

    def __init__(self, world: "World", folder: Path, recovered: Recovered) -> None:
        self.world = world
        self.folder = folder
        self.genesis = make_genesis()
        self.published = folder / "published"
        self.config = cast(VenueConfig, SimpleNamespace(batch_interval_s=BATCH_INTERVAL_S))
        self.clock = cast(VenueClock, SimpleNamespace(time_ns=world.read_clock_ns))
        self.chain = cast(EmbeddedChain, world.chain)
        self.engine = recovered.engine
        # What web3 adds around a provider costs more than the chain itself, and decides nothing here.
        self.web3 = Web3(world.chain, middleware=[])
        operator: LocalAccount = OPERATOR
        self.settlement = SettlementClient(self.web3, operator, world.chain.manifest)
        self.sequencer = Sequencer(self.engine, recovered.journal, self.clock.time_ns, self.on_failure)
        self.publisher = Publisher(self.published, self.genesis.raw, self.genesis.hash)
        self.poster = BatchPoster(self, recovered)
        self.sequencer.listeners.append(self.poster.on_outcomes)
        self.tasks: list[asyncio.Task[None]] = []
        self.failure: BaseException | None = None

    @classmethod
    async def recover(cls, world: "World", folder: Path) -> "SimulatedVenue":
        """Recover as a starting process does, and let the witness compare what it finds."""

        def work() -> SimulatedVenue:
            listeners = (world.witness.on_replayed,)
            recovered = recover(make_genesis(), folder / "journal", folder / "snapshots", listeners)
            world.on_recovered(recovered)
            return cls(world, folder, recovered)

        return await asyncio.to_thread(work)

    async def start(self, host: str = "", port: int = 0) -> None:
        """Begin as production does, but without opening a port."""
        await self.poster.catch_up()
        await self.sequencer.start()
        self.sequencer.listeners.append(self.world.witness.on_outcomes)
        work = {
            "poster": self.poster.run(),
            "ticks": run_ticks(self),
            "deposits": run_deposits(self, self.world.confirmations),
            "seals": run_seals(self),
        }
        self.tasks = [asyncio.create_task(part, name=name) for name, part in work.items()]
        for task in self.tasks:
            task.add_done_callback(self.on_task_done)

    def on_task_done(self, task: "asyncio.Task[None]") -> None:
        """As in production, remembering why."""
        if not task.cancelled():
            self.failure = task.exception()
        super().on_task_done(task)

    def on_failure(self) -> None:
        """What production does here is to end the process at once."""
        failure = self.failure or sys.exc_info()[1]
        if not isinstance(failure, EXCUSED):
            self.world.fail(f"the venue failed by itself: {failure!r}")
        self.world.loop.end("failure")
        self.world.tell(f"the venue ends its process: {failure!r}")
