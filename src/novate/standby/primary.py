"""The primary's side: publish durable frames, wait for the standby's receipt, renew the lease.

    journal.append -> publish -> [ the standby's disk ] -> receipt -> apply, tell, acknowledge

The lease only tells the standby when to look at taking over. Whether this primary may acknowledge is decided
by receipts and by the fence alone.
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, NamedTuple

from msgspec.structs import replace

from novate.protocol.frame import HASH_BYTES
from novate.standby.fence import Fence, may_go_alone
from novate.standby.log_reader import LogReader, LogReadError, cut_chunks
from novate.standby.messages import (
    Anything,
    End,
    Enrol,
    Enrolled,
    Fetch,
    Fetched,
    Frames,
    Hello,
    Lease,
    Message,
    Receipt,
    Refusal,
    Welcome,
)
from novate.standby.settings import StandbySettings
from novate.standby.tasks import end_tasks

if TYPE_CHECKING:
    from novate.standby.link import Link

RECHECK_S = 0.5
log = logging.getLogger("novate.standby")


class SourceLog(NamedTuple):
    """A log of the primary: how far it is durable, and its frames on disk."""

    read_end: Callable[[], End]
    reader: LogReader


class Hooks(NamedTuple):
    """What the program does when this primary must end, and when writes stop or go on."""

    on_superseded: Callable[[int], None]
    on_fault: Callable[[str], None]
    on_stall: Callable[[bool], None]


class Primary:
    """Replicates the logs of one venue. One caller per log at a time: its next frames come after it returned.

    `start` once there is a link; `confirm` before anything that recovery brought back is shown.
    """

    def __init__(
        self,
        link: "Link",
        fence: Fence,
        settings: StandbySettings,
        logs: dict[str, SourceLog],
        files: dict[str, bytes],
        hooks: Hooks,
    ) -> None:
        self.link = link
        self.fence = fence
        self.settings = settings
        self.logs = logs
        self.files = files
        self.hooks = hooks
        self.published = {name: each.read_end() for name, each in logs.items()}
        self.receipts: dict[str, End] = {}
        self.acknowledged: dict[str, End] = {}
        self.late: set[str] = set()
        self.is_alone = False
        self.arrived = asyncio.Event()
        self.enrolling = asyncio.Lock()
        self.disk = ThreadPoolExecutor(1, "standby")
        self.beat = 0
        self.revision = 0
        self.rival: tuple[int, float] = (0, 0.0)
        self.tasks: list[asyncio.Task[None]] = []
        self.loop = asyncio.get_running_loop()

    async def start(self) -> None:
        """Answer standbys and renew the lease from now on."""
        from novate.standby.link import ENROL, FETCH, FRAMES, HELLO, RECEIPT

        handlers = {
            HELLO: self.on_hello,
            FETCH: self.on_fetch,
            ENROL: self.on_enrol,
            RECEIPT: self.on_receipt,
            FRAMES: self.on_frames,
        }
        for subject, handle in handlers.items():
            await self.link.listen(subject, handle)
        self.tasks.append(asyncio.create_task(self.run_lease(), name="lease"))

    async def stop(self) -> None:
        """Resign, so that a standby need not wait, and end."""
        await end_tasks(self.tasks)
        with contextlib.suppress(ConnectionError, RuntimeError):
            await self.renew(resigned=True)
        await self.link.close()
        self.disk.shutdown(wait=False)

    @property
    def is_stalled(self) -> bool:
        """Whether something has waited too long for the standby."""
        return bool(self.late)

    async def replicate(self, name: str, frames: Sequence[bytes]) -> None:
        """Publish frames that have just become durable here, and return once they may be acknowledged."""
        for chunk in cut_chunks(frames):
            before = self.published[name]
            end = End(before.next + len(chunk), chunk[-1][-HASH_BYTES:])
            message = Frames(*self.identify(), name, before.next, before.hash, end, b"".join(chunk))
            self.published[name] = end
            await self.link.publish("frames", message)
        await self.confirm(name)

    def replicate_from_thread(self, name: str, frame: bytes) -> None:
        """Do the same for one frame, from a thread that may wait."""
        asyncio.run_coroutine_threadsafe(self.replicate(name, [frame]), self.loop).result()

    async def confirm(self, name: str) -> None:
        """Return once everything of a log may be acknowledged: it is on both disks, or need not be."""
        end = self.logs[name].read_end()
        deadline = self.loop.time() + self.settings.absent_s
        while self.receipts.get(name) != end and not self.passes_alone(deadline):
            self.arrived.clear()
            left_s = deadline - self.loop.time()
            if left_s <= 0:
                self.note_late(name)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.arrived.wait(), left_s if left_s > 0 else RECHECK_S)
        self.acknowledged[name] = end
        if name in self.late:
            self.late.discard(name)
            self.hooks.on_stall(self.is_stalled)

    def passes_alone(self, deadline: float) -> bool:
        """Whether this primary need not wait for a receipt now."""
        state = self.fence.state
        if not may_go_alone(state, self.settings.goes_alone):
            return False
        if state.partner and not self.is_alone and self.loop.time() >= deadline:
            log.warning("the standby is absent: from here on there is one copy, until it is back")
            self.is_alone = True
        return self.is_alone or not state.partner

    def note_late(self, name: str) -> None:
        """Refuse new writes until the standby is back."""
        if name not in self.late:
            log.warning("no receipt from a standby for %s; writes are refused until there is one", name)
            self.late.add(name)
            self.hooks.on_stall(True)

    def identify(self) -> tuple[int, str]:
        """Return epoch and name of this primary, as every message begins."""
        return self.fence.state.epoch, self.fence.state.node

    def read_ends(self) -> dict[str, End]:
        """Return how far each log is durable here."""
        return {name: each.read_end() for name, each in self.logs.items()}

    async def is_later(self, message: Anything) -> bool:
        """Whether a message speaks of a later epoch; then this primary acknowledges nothing more."""
        if message.epoch <= self.fence.state.epoch:
            return False
        await self.supersede(message.epoch)
        return True

    async def supersede(self, epoch: int) -> None:
        """Remember that a standby has taken over, and end."""
        superseded = replace(self.fence.state, superseded=epoch)
        await self.loop.run_in_executor(self.disk, self.fence.write, superseded)
        self.hooks.on_superseded(epoch)

    async def on_hello(self, message: Anything) -> Message | None:
        """Tell a standby who is the primary."""
        if not isinstance(message, Hello) or await self.is_later(message):
            return None
        return Welcome(*self.identify(), message.nonce, self.files, self.read_ends())

    async def on_fetch(self, message: Anything) -> Message | None:
        """Send frames from this disk."""
        if not isinstance(message, Fetch) or message.log not in self.logs or await self.is_later(message):
            return None
        source = self.logs[message.log]
        try:
            data, end = await self.loop.run_in_executor(
                self.disk, source.reader.read, message.end, source.read_end()
            )
        except (LogReadError, OSError) as error:
            return Fetched(*self.identify(), message.nonce, message.log, b"", message.end, str(error))
        return Fetched(*self.identify(), message.nonce, message.log, data, end)

    async def on_enrol(self, message: Anything) -> Message | None:
        """Count on a standby from now on, durably before it is told so."""
        if not isinstance(message, Enrol) or await self.is_later(message):
            return None
        async with self.enrolling:
            state, automatic = self.fence.state, not self.settings.goes_alone
            if message.epoch != state.epoch or state.partner not in ("", message.node):
                problem = f"the standby of this venue is {state.partner or 'of another epoch'}"
                return Enrolled(*self.identify(), message.nonce, 0, False, {}, problem)
            # A standby that may take over stays one until its own receipt says that it has given that up.
            enrolled = replace(
                state,
                partner=message.node,
                sole=False,
                automatic=state.automatic or automatic,
                term=state.term + 1,
            )
            await self.loop.run_in_executor(self.disk, self.fence.write, enrolled)
            self.arrived.set()
            return Enrolled(*self.identify(), message.nonce, enrolled.term, automatic, self.read_ends())

    async def on_receipt(self, message: Anything) -> Message | None:
        """Note what is on the standby's disk."""
        if await self.is_later(message) or not isinstance(message, Receipt) or message.log not in self.logs:
            return None
        state = self.fence.state
        if (message.epoch, message.node) != (state.epoch, state.partner):
            return None
        gives_up = state.automatic and not message.automatic and message.term == state.term
        if gives_up and self.settings.goes_alone:
            async with self.enrolling:
                given_up = replace(self.fence.state, automatic=False)
                await self.loop.run_in_executor(self.disk, self.fence.write, given_up)
        self.note_receipt(message)
        return None

    def note_receipt(self, message: Receipt) -> None:
        """Compare a receipt with this log; nothing but the same bytes counts."""
        end = self.logs[message.log].read_end()
        if message.end.next > end.next or (message.end.next == end.next and message.end != end):
            self.hooks.on_fault(
                f"the standby holds frame {message.end.next - 1} of {message.log} and this primary does not, "
                "or another one: this disk has lost or changed frames"
            )
            return
        known = self.receipts.get(message.log)
        if known is None or message.end.next >= known.next:
            self.receipts[message.log] = message.end
        if self.is_alone and all(self.receipts.get(name) == at for name, at in self.read_ends().items()):
            log.warning("the standby is back: every command is on two disks again before it is acknowledged")
            self.is_alone = False
        self.arrived.set()

    async def on_frames(self, message: Anything) -> Message | None:
        """Tell another primary that its epoch is over, or that two claim the same one."""
        if await self.is_later(message):
            return None
        if message.epoch < self.fence.state.epoch:
            await self.link.publish("receipt", Refusal(*self.identify()))
        elif message.node != self.fence.state.node:
            self.hooks.on_fault(f"another primary, {message.node}, claims epoch {message.epoch} too")
        return None

    async def run_lease(self) -> None:
        """Renew the lease until the end."""
        while True:
            try:
                await self.renew()
            except (ConnectionError, RuntimeError) as error:
                log.debug("the lease could not be renewed: %s", error)
                self.revision = 0
            await asyncio.sleep(self.settings.beat_s)

    async def renew(self, resigned: bool = False) -> None:
        """Write the lease anew; if somebody else did, look whether an epoch has begun."""
        if self.revision == 0:
            await self.link.prepare()
            lease, self.revision = await self.link.read_lease()
            if lease is not None and await self.is_later(lease):
                return
            if lease is not None and lease.node != self.fence.state.node and not self.outlasts_rival():
                self.revision = 0
                return
        self.beat += 1
        lease = Lease(*self.identify(), self.beat, self.read_ends(), dict(self.acknowledged), resigned)
        self.revision = await self.link.write_lease(lease, self.revision)

    def outlasts_rival(self) -> bool:
        """Whether a standby that took the lease, and began no epoch, has been silent for long enough."""
        revision, since = self.rival
        if revision != self.revision:
            self.rival = (self.revision, self.loop.time())
            return False
        return self.loop.time() - since >= self.settings.take_over_s
