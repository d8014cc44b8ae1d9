"""The standby's side: verify every frame, write it durably, give the receipt, and take over when asked to.

Frames come from the stream. A gap, a repeat with other bytes, a broken chain or silence means that the stream
is not believed: everything missing is fetched from the primary's own disk, and then the stream is read again.
"""

import asyncio
import logging
import secrets
from collections import deque
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Protocol

from msgspec.structs import replace

from novate.protocol.frame import Frame, FrameError, decode_frame
from novate.standby.fence import (
    STANDBY,
    Fence,
    FenceError,
    explain_refusal,
    follow_primary,
    may_give_receipt,
    take_over,
)
from novate.standby.messages import (
    LOGS,
    Anything,
    End,
    Enrol,
    Enrolled,
    Fetch,
    Fetched,
    Frames,
    Hello,
    Lease,
    Receipt,
    Refusal,
    Welcome,
)
from novate.standby.settings import StandbySettings
from novate.standby.tasks import end_tasks

if TYPE_CHECKING:
    from novate.standby.link import Link, Subscription

HASHES_KEPT = 1 << 16
NONCE_BYTES = 8
PAUSE_S = 0.1
WAIT_S = 0.5
BEHIND_BEATS_MAX = 3
log = logging.getLogger("novate.standby")


class Mistrust(RuntimeError):
    """What the stream said does not continue this log; everything is fetched from the primary's disk."""


class ReplicaLog(Protocol):
    """A log of the standby. `append` returns after the frames are durable here, and may apply them later."""

    def read_end(self) -> End:
        """Return how far it is durable."""

    async def append(self, frames: list[Frame]) -> None:
        """Write frames that continue the log; OSError means that the process must end."""


class Chained:
    """A replica's log and the hashes of its latest frames, by which a repeat is compared."""

    def __init__(self, inner: ReplicaLog) -> None:
        self.inner = inner
        self.hashes: dict[int, bytes] = {}
        self.order: deque[int] = deque()
        end = inner.read_end()
        self.remember(end.next, end.hash)

    def remember(self, number: int, frame_hash: bytes) -> None:
        """Keep the hash before a frame's number, and forget the oldest."""
        self.hashes[number] = frame_hash
        self.order.append(number)
        while len(self.order) > HASHES_KEPT:
            del self.hashes[self.order.popleft()]

    def check_known(self, end: End) -> None:
        """Raise Mistrust if a frame that this log holds is said to be another one."""
        known = self.hashes.get(end.next)
        if known is not None and known != end.hash:
            raise Mistrust(f"frame {end.next - 1} came again with other bytes")

    def select_new(self, message: Frames) -> list[Frame]:
        """Return the frames of a message that continue this log, each hash checked; Mistrust otherwise."""
        own = self.inner.read_end()
        if message.end.next <= own.next:
            self.check_known(message.end)
            return []
        if message.first > own.next:
            raise Mistrust(f"a gap: frame {own.next} was expected, {message.first} came")
        self.check_known(End(message.first, message.previous))
        return self.select_chained(message.data, End(message.first, message.previous), message.end)

    def select_chained(self, data: bytes, start: End, end: End) -> list[Frame]:
        """Decode frames from `start` to `end` and return those that this log does not have."""
        own = self.inner.read_end()
        number, previous, offset = start.next, start.hash, 0
        frames = []
        while offset < len(data):
            if number == own.next and previous != own.hash:
                raise Mistrust(f"frame {number} follows another frame than the one before it here")
            try:
                frame = decode_frame(data, offset, previous)
            except FrameError as error:
                raise Mistrust(f"frame {number} is broken: {error}") from error
            if frame.sequence != number:
                raise Mistrust(f"frame {number} was expected, {frame.sequence} came")
            if number >= own.next:
                frames.append(frame)
            number, previous, offset = number + 1, frame.hash, frame.end
        if End(number, previous) != end:
            raise Mistrust(f"frames up to {number - 1} came, {end.next - 1} was said")
        return frames

    async def append(self, frames: list[Frame]) -> None:
        """Write new frames durably."""
        if frames:
            await self.inner.append(frames)
            for frame in frames:
                self.remember(frame.sequence + 1, frame.hash)


class Follower:
    """Follows a primary until it is told to take over, or the primary is gone. `run` once."""

    def __init__(
        self,
        link: "Link",
        fence: Fence,
        settings: StandbySettings,
        logs: dict[str, ReplicaLog],
        on_enrolled: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        self.link = link
        self.fence = fence
        self.settings = settings
        self.logs = {name: Chained(each) for name, each in logs.items()}
        self.on_enrolled = on_enrolled
        self.writing = asyncio.Lock()
        self.has_ended = False
        self.is_behind = False
        self.stream_next = 0
        self.mistrusted = 0
        self.acknowledged: dict[str, End] = {}
        self.told = ""

    async def run(self) -> None:
        """Follow until the primary is gone and this standby holds the next epoch, durably.

        Errors     FenceError where only a person can decide; OSError if this disk failed.
        """
        following = asyncio.create_task(self.run_following(), name="following")
        watching = asyncio.create_task(self.watch_lease(), name="watching")
        try:
            await asyncio.wait({following, watching}, return_when=asyncio.FIRST_COMPLETED)
            # One that failed ends the process; watching alone ends without a fault.
            for task in (following, watching):
                if task.done():
                    task.result()
        finally:
            self.has_ended = True
            await end_tasks((following, watching))

    async def run_following(self) -> None:
        """Catch up, follow the stream, and begin again whenever it cannot be believed."""
        while not self.has_ended:
            subscription: Subscription | None = None
            try:
                subscription = await self.join()
                await self.follow(subscription)
            except Mistrust as error:
                self.mistrusted += 1
                log.warning("%s; fetching from the primary's journal", error)
            except ConnectionError as error:
                log.info("the primary is out of reach: %s", error)
                await asyncio.sleep(PAUSE_S)
            finally:
                if subscription is not None:
                    await subscription.close()

    async def join(self) -> "Subscription":
        """Find the primary, fetch what is missing from its disk, and let it count on this standby."""
        welcome = await self.say_hello()
        followed = follow_primary(self.fence.state, welcome.epoch, welcome.node)
        if followed != self.fence.state:
            await asyncio.to_thread(self.fence.write, followed)
        subscription = await self.link.follow(self.stream_next)
        try:
            for name in LOGS:
                await self.fetch(name)
            await self.enrol()
        except BaseException:
            await subscription.close()
            raise
        self.is_behind = False
        return subscription

    async def say_hello(self) -> Welcome:
        """Return the primary's welcome; ConnectionError if the one that answers is of an earlier epoch."""
        from novate.standby.link import HELLO

        state, nonce = self.fence.state, secrets.token_bytes(NONCE_BYTES)
        welcome = await self.link.request(HELLO, Hello(state.epoch, state.node, nonce))
        if not isinstance(welcome, Welcome) or welcome.nonce != nonce:
            raise ConnectionError("no welcome")
        if welcome.epoch < state.epoch:
            raise ConnectionError(f"the primary that answers is of epoch {welcome.epoch}, which is over")
        return welcome

    async def fetch(self, name: str) -> None:
        """Read a log from the primary's disk until there is nothing more.

        Errors     FenceError if the primary's log and this one have parted.
        """
        from novate.standby.link import FETCH

        chained = self.logs[name]
        while True:
            own, state, nonce = chained.inner.read_end(), self.fence.state, secrets.token_bytes(NONCE_BYTES)
            reply = await self.link.request(FETCH, Fetch(state.epoch, state.node, nonce, name, own))
            if not isinstance(reply, Fetched) or (reply.nonce, reply.log) != (nonce, name):
                raise ConnectionError("no frames")
            if not may_give_receipt(state, reply.epoch, reply.node):
                raise ConnectionError("frames from another primary")
            if reply.problem:
                raise FenceError(
                    f"the primary cannot continue this directory's {name}: {reply.problem}. Begin with an "
                    "empty directory; nothing that a client was told of is only in this one."
                )
            if not reply.data:
                return
            async with self.writing:
                if not self.has_ended:
                    await chained.append(chained.select_chained(reply.data, own, reply.end))

    async def enrol(self) -> None:
        """Let the primary count on this standby, and note durably from where on it may take over."""
        from novate.standby.link import ENROL

        state, nonce = self.fence.state, secrets.token_bytes(NONCE_BYTES)
        reply = await self.link.request(ENROL, Enrol(state.epoch, state.node, nonce))
        if not isinstance(reply, Enrolled) or reply.nonce != nonce or reply.node != state.partner:
            raise ConnectionError("not enrolled")
        if reply.problem:
            raise ConnectionError(f"not enrolled: {reply.problem}")
        enrolled = replace(self.fence.state, term=reply.term, automatic=reply.automatic, ends=reply.ends)
        async with self.writing:
            if self.has_ended:
                raise ConnectionError("this standby takes over")
            await asyncio.to_thread(self.fence.write, enrolled)
        await self.send_receipts()
        if self.on_enrolled is not None:
            await self.on_enrolled()

    async def follow(self, subscription: "Subscription") -> None:
        """Take frames from the stream; Mistrust when they do not continue the logs."""
        while not self.has_ended:
            delivery = await subscription.next(WAIT_S)
            if self.is_behind:
                raise Mistrust("the primary has frames that the stream did not bring")
            if delivery is None:
                continue
            self.stream_next = delivery.stream_sequence + 1
            await self.take(delivery.message)

    async def take(self, message: Anything) -> None:
        """Make the frames of one message durable and give the receipt, if its epoch is the promised one."""
        if not isinstance(message, Frames) or message.log not in self.logs:
            return
        if not may_give_receipt(self.fence.state, message.epoch, message.node):
            if message.epoch > self.fence.state.epoch:
                raise Mistrust(f"a primary speaks of epoch {message.epoch}")
            await self.refuse()
            return
        chained = self.logs[message.log]
        async with self.writing:
            if self.has_ended:
                return
            await chained.append(chained.select_new(message))
        await self.send_receipt(message.log, message.epoch)

    async def refuse(self) -> None:
        """Tell a primary of an earlier epoch that it is over."""
        from novate.standby.link import RECEIPT

        await self.link.publish(RECEIPT, Refusal(self.fence.state.epoch, self.fence.state.node))

    async def send_receipt(self, name: str, epoch: int) -> None:
        """Say what is on this disk; nothing once this standby takes over."""
        from novate.standby.link import RECEIPT

        state = self.fence.state
        if self.has_ended or not state.term:
            return
        end = self.logs[name].inner.read_end()
        await self.link.publish(RECEIPT, Receipt(epoch, state.node, state.term, state.automatic, name, end))

    async def send_receipts(self) -> None:
        """Say again what is on this disk, because any message may be lost."""
        for name in LOGS:
            await self.send_receipt(name, self.fence.state.epoch)

    async def watch_lease(self) -> None:
        """Return when the lease has stood still for long enough and this standby has taken over."""
        loop = asyncio.get_running_loop()
        seen, since, behind = -1, loop.time(), 0
        while True:
            await asyncio.sleep(self.settings.beat_s)
            try:
                lease, revision = await self.link.read_lease()
            except ConnectionError:
                seen = -1  # Time in which nothing could be read says nothing about the primary.
                continue
            await self.send_receipts()
            if revision != seen:
                seen, since = revision, loop.time()
                behind = self.note_lease(lease, behind)
            resigned = lease is not None and lease.resigned
            if (resigned or loop.time() - since >= self.settings.take_over_s) and await self.claim(
                lease, revision
            ):
                return

    def note_lease(self, lease: Lease | None, behind: int) -> int:
        """Remember what the primary claims; return for how many beats this standby has been behind it."""
        state = self.fence.state
        if lease is None or (lease.epoch, lease.node) != (state.epoch, state.partner):
            return 0
        self.acknowledged = lease.acknowledged
        own = {name: self.logs[name].inner.read_end().next for name in LOGS}
        behind = behind + 1 if any(lease.reached[name].next > own[name] for name in LOGS) else 0
        self.is_behind = self.is_behind or behind > BEHIND_BEATS_MAX
        return 0 if self.is_behind else behind

    async def claim(self, lease: Lease | None, revision: int) -> bool:
        """Take the lease and the next epoch, if this standby may; say once why not."""
        from novate.standby.link import LeaseLost

        state = self.fence.state
        if state.role != STANDBY or (lease is not None and lease.epoch > state.epoch):
            return False
        problem = explain_refusal(state, self.read_ends(), self.acknowledged)
        if problem:
            if problem != self.told:
                log.warning("the primary is silent, and this standby does not take over: %s", problem)
            self.told = problem
            return False
        try:
            # Not yet the next epoch: that one is made durable before anybody hears of it.
            taken = Lease(state.epoch, state.node, 0, self.read_ends(), {})
            await self.link.write_lease(taken, revision)
        except (LeaseLost, ConnectionError) as error:
            log.info("the lease was not taken: %s", error)
            return False
        await self.take_over()
        return True

    def read_ends(self) -> dict[str, End]:
        """Return how far each log is durable here."""
        return {name: each.inner.read_end() for name, each in self.logs.items()}

    async def take_over(self) -> None:
        """Give no receipt any more, and make the next epoch durable."""
        async with self.writing:
            self.has_ended = True
            await asyncio.to_thread(self.fence.write, take_over(self.fence.state))
