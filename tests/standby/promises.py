"""What a primary and its standby promise, each as a scene that fails if the promise is broken."""

import asyncio
import contextlib
from pathlib import Path

from msgspec.structs import replace

from novate.protocol.frame import Frame, encode_frame
from novate.standby.fence import FenceError, read_fence
from novate.standby.messages import ENCODER, JOURNAL, SEAL_BYTES, End, Frames, Receipt
from tests.standby.desk import ORIGIN, PATIENCE_S, PREFIX, Desk, StandbySide, open_desk, settle


async def finish(task: "asyncio.Task[None]") -> None:
    """Wait for a submission that is expected to be acknowledged."""
    await asyncio.wait_for(task, PATIENCE_S)


async def abandon(task: "asyncio.Task[None]") -> None:
    """Give up a submission that nobody will ever acknowledge."""
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


async def reach_level(desk: Desk) -> None:
    """Wait until the standby's disk has what the primary's has."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + PATIENCE_S
    while desk.standby.log.read_end() != desk.primary.log.read_end():
        assert loop.time() < deadline, "the standby does not catch up"
        assert desk.standby.running is not None
        if desk.standby.running.done():
            desk.standby.running.result()
        await asyncio.sleep(0.02)


async def wait_for_receipt(folder: Path) -> None:
    """Nothing is acknowledged before the standby has it on disk; writes stop while it is away."""
    async with open_desk(folder) as desk:
        await desk.start()
        await desk.primary.submit(b"one", b"two")
        assert [1, 2] == desk.primary.acknowledged
        await desk.standby.crash()
        waiting = asyncio.create_task(desk.primary.submit(b"three"))
        await settle(0.8)
        assert [1, 2] == desk.primary.acknowledged
        assert [True] == desk.primary.stalls
        desk.standby = StandbySide(desk.standby.folder, desk.settings)
        await desk.standby.start()
        await finish(waiting)
        assert [True, False] == desk.primary.stalls
        assert [b"one", b"two", b"three"] == desk.read_payloads("second")


async def wait_for_the_other_disk(folder: Path) -> None:
    """A receipt means the disk: while the standby's disk is slow, nothing is acknowledged."""
    async with open_desk(folder) as desk:
        await desk.start()
        quick, gate = desk.standby.log.append, asyncio.Event()

        async def append(frames: list[Frame]) -> None:
            await gate.wait()
            await quick(frames)

        desk.standby.log.append = append  # type: ignore[method-assign]
        waiting = asyncio.create_task(desk.primary.submit(b"one"))
        await settle()
        assert [] == desk.primary.acknowledged
        gate.set()
        await finish(waiting)


async def refuse_old_epoch(folder: Path) -> None:
    """A standby that has promised a later epoch gives no receipt for an earlier one, and says so."""
    async with open_desk(folder, take_over_s=60.0) as desk:
        await desk.start()
        await desk.primary.submit(b"one")
        promised = replace(desk.standby.fence.state, epoch=2, partner="f" * 16)
        desk.standby.fence.write(promised)
        waiting = asyncio.create_task(desk.primary.submit(b"two"))
        await settle()
        assert [1] == desk.primary.acknowledged
        assert 2 in desk.primary.superseded
        state = read_fence(desk.primary.folder)
        assert state is not None
        assert 2 == state.superseded
        await abandon(waiting)


async def remember_epoch(folder: Path) -> None:
    """An epoch survives the crash that follows the take-over: the old primary gets nothing afterwards."""
    async with open_desk(folder) as desk:
        await desk.start()
        await desk.primary.submit(b"one")
        await desk.standby.follower.take_over()
        await desk.standby.crash()
        waiting = asyncio.create_task(desk.primary.submit(b"two"))
        again = desk.standby = StandbySide(desk.standby.folder, desk.settings)
        with contextlib.suppress(FenceError):
            await again.start()
        await settle(0.8)
        assert [1] == desk.primary.acknowledged
        state = read_fence(again.folder)
        assert state is not None
        assert ("primary", 2) == (state.role, state.epoch)
        await abandon(waiting)


async def fetch_after_gap(folder: Path) -> None:
    """Frames that skip one are not written; the missing one is fetched from the primary's disk."""
    async with open_desk(folder) as desk:
        await desk.start()
        first, *others = desk.primary.log.journal.append([b"one", b"two", b"three"])
        frames, previous = [], first.hash
        for entry in others:
            frames.append(encode_frame(1, entry.sequence, entry.payload, previous))
            previous = entry.hash
        await desk.primary.publish_raw(2, first.hash, frames)
        await reach_level(desk)
        assert [b"one", b"two", b"three"] == desk.read_payloads("second")


async def refuse_broken_chain(folder: Path) -> None:
    """Frames whose hashes do not continue the chain are never written, however well they are sealed."""
    async with open_desk(folder) as desk:
        await desk.start()
        await desk.primary.submit(b"one")
        end = desk.primary.log.read_end()
        forged = encode_frame(1, 2, b"forged", b"\x66" * 32)
        await desk.primary.publish_raw(2, end.hash, [forged])
        await settle()
        assert [b"one"] == desk.read_payloads("second")
        await desk.primary.submit(b"two")
        assert [b"one", b"two"] == desk.read_payloads("second")
        assert 1 <= desk.standby.follower.mistrusted


async def notice_other_repeat(folder: Path) -> None:
    """A frame that comes again with other bytes is noticed, and everything is compared with the primary's."""
    async with open_desk(folder) as desk:
        await desk.start()
        await desk.primary.submit(b"one")
        await desk.primary.publish_raw(1, ORIGIN, [encode_frame(1, 1, b"another", ORIGIN)])
        await settle()
        assert 1 <= desk.standby.follower.mistrusted
        await desk.primary.submit(b"two")
        assert [b"one", b"two"] == desk.read_payloads("second")


async def refuse_stranger(folder: Path) -> None:
    """Only the enrolled standby's receipts count."""
    async with open_desk(folder) as desk:
        await desk.start()
        await desk.standby.crash()
        waiting = asyncio.create_task(desk.primary.submit(b"one"))
        await settle(0.2)
        stranger = StandbySide(desk.folder / "third", desk.settings)
        await stranger.start()
        try:
            end = desk.primary.log.read_end()
            await stranger.link.publish("receipt", Receipt(1, "0" * 16, 1, True, JOURNAL, end))
            await settle()
            assert [] == desk.primary.acknowledged
            assert not stranger.enrolled.is_set()
        finally:
            await stranger.crash()
            await abandon(waiting)


async def refuse_unsealed(folder: Path) -> None:
    """A message that the operator's key has not sealed changes nothing, even if its frames chain."""
    async with open_desk(folder) as desk:
        await desk.start()
        state, frame = desk.primary.primary.fence.state, encode_frame(1, 1, b"forged", ORIGIN)
        end = End(2, frame[-32:])
        body = ENCODER.encode(Frames(state.epoch, state.node, JOURNAL, 1, ORIGIN, end, frame))
        client = desk.primary.primary.link.client
        await client.publish(f"novate.{PREFIX}.frames", bytes(SEAL_BYTES) + body)
        await settle()
        assert [] == desk.read_payloads("second")


async def keep_from_taking_over(folder: Path) -> None:
    """A standby whose primary may have gone on alone never takes over by itself."""
    async with open_desk(folder, when_absent="alone") as desk:
        await desk.start()
        await desk.primary.submit(b"one")
        await desk.standby.crash()
        await asyncio.wait_for(desk.primary.submit(b"two"), PATIENCE_S)
        assert [1, 2] == desk.primary.acknowledged
        await desk.primary.crash()
        again = desk.standby = StandbySide(desk.standby.folder, desk.settings)
        await again.start()
        await settle(2.0)
        state = read_fence(again.folder)
        assert state is not None
        assert ("standby", 1) == (state.role, state.epoch)


async def wait_for_first_standby(folder: Path) -> None:
    """A new primary acknowledges nothing before its first standby has everything."""
    async with open_desk(folder) as desk:
        await desk.primary.start()
        waiting = asyncio.create_task(desk.primary.submit(b"one"))
        await settle(0.6)
        assert [] == desk.primary.acknowledged
        await desk.standby.start()
        await finish(waiting)
        assert [b"one"] == desk.read_payloads("second")


async def count_alone_only_with_consent(folder: Path) -> None:
    """A primary that is told to go on alone, while a standby may still take over, waits for its consent."""
    async with open_desk(folder) as desk:
        await desk.start()
        await desk.primary.submit(b"one")
        await desk.standby.crash()
        desk.primary.primary.settings = replace(desk.settings, when_absent="alone")
        waiting = asyncio.create_task(desk.primary.submit(b"two"))
        await settle(0.8)
        assert [1] == desk.primary.acknowledged
        again = desk.standby = StandbySide(desk.standby.folder, desk.settings)
        await again.start()
        await finish(waiting)
        await settle(0.5)
        assert not again.fence.state.automatic
        await again.crash()
        await asyncio.wait_for(desk.primary.submit(b"three"), PATIENCE_S)
        assert [1, 2, 3] == desk.primary.acknowledged


PROMISES = (
    wait_for_receipt,
    wait_for_the_other_disk,
    wait_for_first_standby,
    count_alone_only_with_consent,
    refuse_old_epoch,
    remember_epoch,
    fetch_after_gap,
    refuse_broken_chain,
    notice_other_repeat,
    refuse_stranger,
    refuse_unsealed,
    keep_from_taking_over,
)
