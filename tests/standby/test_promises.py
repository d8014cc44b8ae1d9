"""Primary and standby keep their promises, and every planted bug breaks one of them."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from novate.protocol.frame import HASH_BYTES, HEADER, HEADER_BYTES, Frame
from novate.standby import fence, follower, link, primary
from novate.standby.messages import DECODER, SEAL_BYTES, Anything, Frames, Message, Receipt
from tests.standby import promises

SCENE_S = 60.0
TRIES = 3
Scene = Callable[[Path], Awaitable[None]]


def play(scene: Scene, folder: Path) -> None:
    """Run a scene; one that never ends has failed."""

    async def run() -> None:
        await asyncio.wait_for(scene(folder), SCENE_S)

    asyncio.run(run())


@pytest.mark.parametrize("scene", promises.PROMISES, ids=lambda scene: scene.__name__)
def test_promise_is_kept(scene: Scene, tmp_path: Path) -> None:
    """Each scene holds."""
    play(scene, tmp_path)


async def acknowledge_at_once(self: primary.Primary, name: str) -> None:
    """A planted bug: nobody waits for the receipt."""


def believe_anybody(state: fence.FenceState, epoch: int, name: str) -> bool:
    """A planted bug: the epoch is not looked at."""
    return True


def keep_in_memory(self: fence.Fence, state: fence.FenceState) -> None:
    """A planted bug: the epoch is not made durable."""
    self.state = state


def skip_gap(self: follower.Chained, message: Frames) -> list[Frame]:
    """A planted bug: frames are taken wherever they begin."""
    if message.end.next <= self.inner.read_end().next:
        return []
    return self.select_chained(message.data, follower.End(message.first, message.previous), message.end)


def decode_unchecked(buffer: bytes, offset: int, previous_hash: bytes) -> Frame:
    """A planted bug: the hash is not compared."""
    _, kind, _, sequence, length = HEADER.unpack_from(buffer, offset)
    start = offset + HEADER_BYTES
    end = start + length + HASH_BYTES
    return Frame(kind, sequence, buffer[start : start + length], buffer[start + length : end], end)


def ignore_repeat(self: follower.Chained, end: follower.End) -> None:
    """A planted bug: what is known is not compared with what comes."""


async def give_early(self: follower.Follower, message: Anything) -> None:
    """A planted bug: the receipt goes out before the disk has the frames."""
    if isinstance(message, Frames):
        state = self.fence.state
        receipt = Receipt(message.epoch, state.node, state.term, state.automatic, message.log, message.end)
        await self.link.publish("receipt", receipt)
        await TAKE(self, message)


async def count_anybody(self: primary.Primary, message: Anything) -> Message | None:
    """A planted bug: any standby's receipt counts."""
    if isinstance(message, Receipt):
        self.note_receipt(message)
    return None


def decode_unsealed(key: bytes, data: bytes) -> Anything:
    """A planted bug: the seal is not compared."""
    return DECODER.decode(data[SEAL_BYTES:])


def allow_take_over(*_: object) -> str:
    """A planted bug: any standby takes over, whatever its primary allowed."""
    return ""


def allow_alone(state: fence.FenceState, goes_alone: bool) -> bool:
    """A planted bug: a primary goes on alone although its standby may take over."""
    return goes_alone or state.sole


def start_sole(state: fence.FenceState, goes_alone: bool) -> bool:
    """A planted bug: a primary without a standby yet needs none."""
    return not state.partner


TAKE = follower.Follower.take
Place = tuple[Any, str, Any]
BUGS: dict[str, tuple[Place, Scene]] = {
    "ack before the receipt": ((primary.Primary, "confirm", acknowledge_at_once), promises.wait_for_receipt),
    "no epoch check": ((follower, "may_give_receipt", believe_anybody), promises.refuse_old_epoch),
    "epoch not durable": ((fence.Fence, "write", keep_in_memory), promises.remember_epoch),
    "gap skipped": ((follower.Chained, "select_new", skip_gap), promises.fetch_after_gap),
    "chain not verified": ((follower, "decode_frame", decode_unchecked), promises.refuse_broken_chain),
    "repeat not compared": ((follower.Chained, "check_known", ignore_repeat), promises.notice_other_repeat),
    "receipt before the disk": ((follower.Follower, "take", give_early), promises.wait_for_the_other_disk),
    "any receipt counts": ((primary.Primary, "on_receipt", count_anybody), promises.refuse_stranger),
    "seal not compared": ((link, "decode_message", decode_unsealed), promises.refuse_unsealed),
    "take-over not enrolled": (
        (follower, "explain_refusal", allow_take_over),
        promises.keep_from_taking_over,
    ),
    "alone without consent": (
        (primary, "may_go_alone", allow_alone),
        promises.count_alone_only_with_consent,
    ),
    "new primary alone": ((primary, "may_go_alone", start_sole), promises.wait_for_first_standby),
}


@pytest.mark.parametrize("name", BUGS)
def test_planted_bug_is_caught(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the bug in place the scene that watches for it fails; on a busy machine, at the third try."""
    (owner, attribute, replacement), scene = BUGS[name]
    monkeypatch.setattr(owner, attribute, replacement)
    caught = 0
    for attempt in range(TRIES):
        try:
            play(scene, tmp_path / str(attempt))
        except (AssertionError, TimeoutError):
            caught += 1
            break

    assert 1 == caught
