"""The stream's store is damaged, and the standby's journal is not: it is verified against the primary's."""

import asyncio
import os
import random
from pathlib import Path

from tests.apps.standby_rig import NatsServer
from tests.standby.desk import Desk, StandbySide, open_desk
from tests.standby.promises import reach_level

FLIPS = int(os.environ.get("NOVATE_STANDBY_FLIPS", "10"))
GROUPS = 8


def flip_bits(nats: NatsServer, chance: random.Random) -> int:
    """Change one bit in each file that holds frames; return how many."""
    blocks = nats.find_blocks()
    for path in blocks:
        data = bytearray(path.read_bytes())
        data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
        path.write_bytes(bytes(data))
    return len(blocks)


async def damage_once(desk: Desk, chance: random.Random, number: int) -> None:
    """Fill the stream while no standby listens, flip bits, and let one read the store from the beginning."""
    await desk.standby.crash()
    for group in range(GROUPS):
        await asyncio.wait_for(desk.primary.submit(b"%d of %d" % (group, number)), 20)
    await asyncio.to_thread(desk.nats.kill)
    assert flip_bits(desk.nats, chance) >= 1
    await asyncio.to_thread(desk.nats.start)
    desk.standby = StandbySide(desk.standby.folder, desk.settings)
    await desk.standby.start()
    desk.standby.follower.stream_next = 1
    await asyncio.wait_for(desk.standby.enrolled.wait(), 20)
    await reach_level(desk)


async def damage_often(folder: Path) -> None:
    chance = random.Random(1)
    async with open_desk(folder, when_absent="alone") as desk:
        await desk.start()
        for number in range(FLIPS):
            await damage_once(desk, chance, number)
        payloads = desk.read_payloads("first")
        assert FLIPS * GROUPS == len(payloads)
        assert payloads == desk.read_payloads("second")
        assert [] == desk.primary.faults


def test_flipped_bits_change_nothing(tmp_path: Path) -> None:
    """Whatever bit of the stream's files is flipped while the server is down, both journals are the same."""
    asyncio.run(damage_often(tmp_path))


async def read_store_only(folder: Path) -> None:
    """The primary's disk is not asked for frames: everything comes out of the stream's store."""
    async with open_desk(folder, when_absent="alone") as desk:
        await desk.start()
        await desk.standby.crash()
        for group in range(GROUPS):
            await asyncio.wait_for(desk.primary.submit(b"%d" % group), 20)
        again = desk.standby = StandbySide(desk.standby.folder, desk.settings)
        await again.start()
        again.follower.stream_next = 1

        async def fetch_nothing(name: str) -> None:
            assert name in ("journal", "chain")

        again.follower.fetch = fetch_nothing  # type: ignore[method-assign]
        await reach_level(desk)
        assert 0 == again.follower.mistrusted


def test_store_continues_a_standby(tmp_path: Path) -> None:
    """A standby that was away reads from the stream what it missed, every hash checked."""
    asyncio.run(read_store_only(tmp_path))
