"""The sequencer: one writer that gives each command its number and its time, makes it durable, applies it,
and only then lets anyone know.

    submit -> bounded queue -> [ stamp, encode, append + fdatasync ] -> apply in Numba -> listeners -> callers

With a standby, `replicate` stands between disk and engine, and returns when the other disk has the group.

While a group is being synced the next one gathers, so a busy venue syncs once for many commands.
"""

import asyncio
import logging
import os
import time
from collections import deque
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

from novate.execution.engine import Engine, Events, split_events
from novate.execution.frame_scan import Entry
from novate.execution.journal import Journal
from novate.execution.statistics import Statistics
from novate.protocol.command import Command, encode_payload
from novate.protocol.generated.codes import Code, CommandKind

QUEUE_LENGTH_MAX = 16_384
GROUP_LENGTH_MAX = 512
IDLE_FLUSH_S = 0.005
EXIT_FAILED = 70

log = logging.getLogger("novate.sequencer")


class VenueBusy(RuntimeError):
    """The sequencer's queue is full or it is stopping; the command was not taken."""


class Outcome(NamedTuple):
    """What became of one command. It is durable: nobody sees an Outcome of a command that could be lost."""

    sequence: int
    time_ns: int
    code: Code
    events: Events
    command: Command
    entry: Entry


Listener = Callable[[list[Outcome]], None]


class Sequencer:
    """The only code that feeds an engine. Signatures must have been checked before `submit`.

    A failure to write or to apply leaves memory and disk in doubt, so the process ends at once and recovers
    from the journal: `on_failure` is that end.
    """

    def __init__(
        self,
        engine: Engine,
        journal: Journal,
        clock_ns: Callable[[], int],
        on_failure: Callable[[], None] = lambda: os._exit(EXIT_FAILED),
    ) -> None:
        self.engine = engine
        self.journal = journal
        self.clock_ns = clock_ns
        self.on_failure = on_failure
        self.listeners: list[Listener] = []
        self.statistics = Statistics()
        self.queue: deque[tuple[Command, asyncio.Future[Outcome]]] = deque()
        self.wake = asyncio.Event()
        self.stopping = False
        self.suspended = False
        self.replicate: Callable[[list[Entry]], Awaitable[None]] | None = None
        self.disk = ThreadPoolExecutor(1, "journal")
        self.task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin to take commands."""
        self.task = asyncio.create_task(self.run(), name="sequencer")

    async def stop(self) -> None:
        """Finish what is queued, make it durable, and close the journal."""
        self.stopping = True
        self.wake.set()
        if self.task is not None:
            await self.task
        await asyncio.get_running_loop().run_in_executor(self.disk, self.journal.close)
        self.disk.shutdown()

    async def submit(self, command: Command) -> Outcome:
        """Queue a command and return what became of it, after it is durable.

        Errors     VenueBusy if the queue is full, or the venue is stopping or waits for its standby.
        """
        return await self.enqueue(command)

    def enqueue(self, command: Command) -> "asyncio.Future[Outcome]":
        """Queue a command and return the future of its outcome; order of calls is order of sequence."""
        if self.stopping or self.suspended or len(self.queue) >= QUEUE_LENGTH_MAX:
            raise VenueBusy("the sequencer takes no more commands now")
        future: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        self.queue.append((command, future))
        self.wake.set()
        return future

    def suspend(self, suspended: bool) -> None:
        """Take no commands for a while, and refuse those that wait and are not in the journal yet."""
        self.suspended = suspended
        while suspended and self.queue:
            _, future = self.queue.popleft()
            if not future.done():
                future.set_exception(VenueBusy("the venue waits for its standby; the command was not taken"))

    async def run(self) -> None:
        """Serve the queue until told to stop and nothing is left."""
        try:
            while self.queue or not self.stopping:
                if not self.queue:
                    await self.wait_idle()
                else:
                    await self.serve_group()
        except Exception:
            log.critical(
                "the sequencer failed; the process ends and recovers from its journal", exc_info=True
            )
            self.on_failure()

    async def wait_idle(self) -> None:
        """Wait for a command; after a few milliseconds of quiet, sync the commit record too."""
        self.wake.clear()
        try:
            await asyncio.wait_for(self.wake.wait(), IDLE_FLUSH_S)
        except TimeoutError:
            if not self.journal.flushed:
                await asyncio.get_running_loop().run_in_executor(self.disk, self.journal.flush)
            await self.wake.wait()

    def take_group(self) -> list[tuple[Command, "asyncio.Future[Outcome]"]]:
        """Take queued commands, up to a SEAL: the batch is copied before anything after it is applied."""
        now_ns = max(self.clock_ns(), self.engine.time_ns)
        group: list[tuple[Command, asyncio.Future[Outcome]]] = []
        while self.queue and len(group) < GROUP_LENGTH_MAX:
            command, future = self.queue.popleft()
            group.append((command._replace(time_ns=now_ns), future))
            if command.kind == CommandKind.SEAL:
                break
        return group

    async def serve_group(self) -> None:
        """Make one group durable, apply it, tell the listeners, answer the callers."""
        group = self.take_group()
        commands = [command for command, _ in group]
        payloads = [encode_payload(command) for command in commands]
        begun = time.perf_counter_ns()
        entries = await asyncio.get_running_loop().run_in_executor(self.disk, self.journal.append, payloads)
        if self.replicate is not None:
            await self.replicate(entries)
        synced = time.perf_counter_ns()
        computing = time.thread_time_ns()
        assert entries[0].sequence == self.engine.sequence + 1, (
            "Invariant [CMD-1]: journal and engine count alike."
        )
        events = split_events(self.engine.apply(commands))
        self.count(commands, synced - begun, time.thread_time_ns() - computing)
        outcomes = [
            Outcome(entry.sequence, command.time_ns, Code(int(told["code"][0])), told, command, entry)
            for entry, command, told in zip(entries, commands, events, strict=True)
        ]
        for listener in self.listeners:
            listener(outcomes)
        for outcome, (_, future) in zip(outcomes, group, strict=True):
            if not future.done():
                future.set_result(outcome)

    def count(self, commands: list[Command], sync_ns: int, engine_ns: int) -> None:
        """Add a group to the statistics; engine time per order counts groups of traders' commands only."""
        statistics = self.statistics
        statistics.command_count += len(commands)
        statistics.group_count += 1
        statistics.engine_ns += engine_ns
        statistics.sync_ns += sync_ns
        statistics.syncs.observe(sync_ns)
        if all(CommandKind.PLACE <= command.kind <= CommandKind.CANCEL_ALL for command in commands):
            statistics.order_count += len(commands)
            statistics.order_engine_ns += engine_ns
