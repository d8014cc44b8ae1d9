"""A primary and a standby in one event loop, with real journals and a real NATS server between them.

Engines are left out: what is tested is whose disk holds what when an acknowledgement leaves.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

from novate.execution.journal import Journal, Position, find_segments, open_journal
from novate.protocol.frame import Frame
from novate.standby.fence import PRIMARY, STANDBY, Fence, open_fence
from novate.standby.follower import Follower, ReplicaLog
from novate.standby.link import Link
from novate.standby.log_reader import LogFile, LogReader, rebuild_frame
from novate.standby.messages import CHAIN, JOURNAL, End, Frames, derive_key
from novate.standby.primary import Hooks, Primary, SourceLog
from novate.standby.settings import StandbySettings
from novate.standby.tasks import end_tasks
from tests.apps.standby_rig import NatsServer

ORIGIN = b"\x07" * 32
KEY = derive_key(b"\x01" * 32)
PREFIX = "00" * 20
PATIENCE_S = 20.0


class StillLog:
    """A log in which nothing ever happens, in the place of the chain's."""

    def read_end(self) -> End:
        return End(0, ORIGIN)

    async def append(self, frames: list[Frame]) -> None:
        raise AssertionError("nothing was published on this log")


class DiskLog:
    """A journal on disk without an engine behind it."""

    def __init__(self, folder: Path) -> None:
        self.journal: Journal = open_journal(folder, ORIGIN)[0]

    def read_end(self) -> End:
        position: Position = self.journal.position
        return End(position.sequence + 1, position.hash)

    async def append(self, frames: list[Frame]) -> None:
        entries = await asyncio.to_thread(self.journal.append, [frame.payload for frame in frames])
        assert entries[-1].hash == frames[-1].hash


class PrimarySide:
    """A primary over one folder. `acknowledged` holds the sequences that clients were told of."""

    def __init__(self, folder: Path, settings: StandbySettings) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.settings = settings
        self.log = DiskLog(folder / "journal")
        self.acknowledged: list[int] = []
        self.superseded: list[int] = []
        self.faults: list[str] = []
        self.stalls: list[bool] = []
        self.ended = asyncio.Event()

    async def start(self) -> None:
        link = Link(self.settings, PREFIX, KEY)
        await link.open()
        still = SourceLog(
            lambda: End(0, ORIGIN), LogReader(lambda: [LogFile(0, self.folder / "none")], ORIGIN)
        )
        logs = {JOURNAL: SourceLog(self.log.read_end, LogReader(self.list_files, ORIGIN)), CHAIN: still}
        hooks = Hooks(self.note_superseded, self.faults.append, self.stalls.append)
        fence = open_fence(self.folder, PRIMARY)
        self.primary = Primary(link, fence, self.settings, logs, {"a.json": b"{}"}, hooks)
        await self.primary.start()

    def list_files(self) -> list[LogFile]:
        return [LogFile(int(path.stem), path) for path in find_segments(self.folder / "journal")]

    def note_superseded(self, epoch: int) -> None:
        self.superseded.append(epoch)
        self.ended.set()

    async def submit(self, *payloads: bytes) -> None:
        """What the sequencer does with a group: disk, other disk, acknowledgement."""
        entries = await asyncio.to_thread(self.log.journal.append, list(payloads))
        await self.primary.replicate(JOURNAL, [rebuild_frame(entry) for entry in entries])
        if not self.ended.is_set():
            self.acknowledged.extend(entry.sequence for entry in entries)

    async def publish_raw(self, first: int, previous: bytes, frames: list[bytes], **others: object) -> None:
        """Put frames on the stream that nobody has in a journal; sealed, as only the operator's key can."""
        state = self.primary.fence.state
        end = End(first + len(frames), frames[-1][-32:])
        epoch, node = others.get("epoch", state.epoch), others.get("node", state.node)
        message = Frames(int(str(epoch)), str(node), JOURNAL, first, previous, end, b"".join(frames))
        await self.primary.link.publish("frames", message)

    async def crash(self) -> None:
        """End without a word, as a killed process does."""
        await end_tasks(self.primary.tasks)
        await self.primary.link.close()
        self.log.journal.close()


class StandbySide:
    """A standby over one folder."""

    def __init__(self, folder: Path, settings: StandbySettings) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.settings = settings
        self.log = DiskLog(folder / "journal")
        self.enrolled = asyncio.Event()
        self.running: asyncio.Task[None] | None = None

    async def start(self, fence: Fence | None = None) -> None:
        self.link = Link(self.settings, PREFIX, KEY)
        await self.link.open()
        self.fence = fence or open_fence(self.folder, STANDBY)
        logs: dict[str, ReplicaLog] = {JOURNAL: self.log, CHAIN: StillLog()}
        self.follower = Follower(self.link, self.fence, self.settings, logs, self.note_enrolled)
        self.running = asyncio.create_task(self.follower.run())

    async def note_enrolled(self) -> None:
        self.enrolled.set()

    async def crash(self) -> None:
        if self.running is not None:
            await end_tasks([self.running])
        await self.link.close()
        self.log.journal.close()


class Desk:
    """The server and both sides."""

    def __init__(self, folder: Path, nats: NatsServer, settings: StandbySettings) -> None:
        self.folder = folder
        self.nats = nats
        self.settings = settings
        self.primary = PrimarySide(folder / "first", settings)
        self.standby = StandbySide(folder / "second", settings)

    async def start(self) -> None:
        """Return when the primary counts on the standby."""
        await self.primary.start()
        await self.standby.start()
        await asyncio.wait_for(self.standby.enrolled.wait(), PATIENCE_S)

    def read_payloads(self, side: str) -> list[bytes]:
        """What is on one side's disk."""
        _, entries = open_journal(self.folder / side / "journal", ORIGIN)
        return [entry.payload for entry in entries]


def make_settings(nats: NatsServer, **others: object) -> StandbySettings:
    """Settings with short times."""
    given: dict[str, object] = {"absent_s": 0.3, "take_over_s": 0.8} | others
    return StandbySettings([nats.url], **given)  # type: ignore[arg-type]


@contextlib.asynccontextmanager
async def open_desk(folder: Path, **others: object) -> AsyncIterator[Desk]:
    """A desk on a server of its own; both sides have crashed when it is left."""
    folder.mkdir(exist_ok=True)
    nats = await asyncio.to_thread(NatsServer, folder)
    desk = Desk(folder, nats, make_settings(nats, **others))
    try:
        yield desk
    finally:
        for side in (desk.primary, desk.standby):
            with contextlib.suppress(AttributeError, OSError):
                await side.crash()
        await asyncio.to_thread(nats.close)


async def settle(seconds: float = 0.4) -> None:
    """Give everybody time to do what they should not."""
    await asyncio.sleep(seconds)
