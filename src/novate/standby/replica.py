"""The standby's own journal and a warm engine behind it.

A receipt waits for the disk and not for the engine: what is durable is applied by one task, in order, out of
a bounded queue. Batches are sealed again, and must come out as the primary's did, by the same code.
"""

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor

from novate.execution.frame_scan import Entry
from novate.execution.journal import FRAME_COMMAND, Journal
from novate.protocol.frame import Frame
from novate.standby.messages import End

APPLY_QUEUE_MAX = 256
Apply = Callable[[list[Entry]], Awaitable[None]]


class ReplicaError(RuntimeError):
    """Frames that chain and still are not what this log can hold; the process must end."""


class ReplicaJournal:
    """The journal of a standby. `apply` is given every entry once, in order."""

    def __init__(self, journal: Journal, apply: Apply) -> None:
        self.journal = journal
        self.apply = apply
        self.waiting: asyncio.Queue[list[Entry]] = asyncio.Queue(APPLY_QUEUE_MAX)
        self.disk = ThreadPoolExecutor(1, "replica")

    def read_end(self) -> End:
        """Return how far the journal is durable."""
        return End(self.journal.position.sequence + 1, self.journal.position.hash)

    async def append(self, frames: list[Frame]) -> None:
        """Write commands durably, and queue them for the engine."""
        if any(frame.kind != FRAME_COMMAND for frame in frames):
            raise ReplicaError(f"frame {frames[0].sequence} is no command")
        payloads = [frame.payload for frame in frames]
        entries = await asyncio.get_running_loop().run_in_executor(self.disk, self.journal.append, payloads)
        if entries[-1].hash != frames[-1].hash:
            raise ReplicaError(f"frame {frames[-1].sequence} has another hash on this disk")
        await self.waiting.put(entries)

    async def run(self) -> None:
        """Apply what comes, until cancelled."""
        while True:
            entries = await self.waiting.get()
            await self.apply(entries)
            self.waiting.task_done()

    async def drain(self) -> None:
        """Return once everything durable has been applied."""
        await self.waiting.join()
