"""The take-over campaign: the primary is killed with -9 under load, again and again, and its standby goes on.

Clients note every acknowledgement. After each take-over the standby's journal must hold each of them at its
place. On the way the NATS server is killed too, and a bit of its store is flipped: it is believed in nothing.
"""

import asyncio
import contextlib
import os
import random
import time
from pathlib import Path

import pytest
from coincurve import PrivateKey
from eth_account import Account
from web3 import Web3

from novate.apps.ack_ledger import AckLedger
from novate.protocol.genesis import parse_genesis
from novate.protocol.signing import compute_address
from novate.settlement.client import SettlementClient
from novate.settlement.keys import load_key
from novate.settlement.manifest import read_manifest
from novate.standby.fence import read_fence
from novate.verification.verdict import verify_directory
from tests.apps.serving import ForkServer, JournalReader, ServeProcess
from tests.apps.standby_rig import (
    Cable,
    NatsServer,
    PrimaryProcess,
    StandbyProcess,
    start_primary,
    start_standby,
    write_settings,
)
from tests.apps.test_kill import CLIENTS, IN_FLIGHT, Trader, check_promises, check_results

KILLS = int(os.environ.get("NOVATE_STANDBY_KILLS", "10"))
LOAD_S_MAX = 0.4
OUTAGE_S = 0.2
SERVING = ("--accounts", "64", "--batch-interval", "0.3", "--no-list")
TAKE_OVER_S = 2.0
ABSENT_S = 1.0
DEPOSIT_ATOMS = 5_000_000
CREDIT_S = 60.0


class Rig:
    """One venue over many take-overs, each in a directory of its own."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.folder = folder
        self.chance = random.Random(seed)
        self.ledger = AckLedger()
        self.traders = [Trader(self.ledger, seed + number) for number in range(CLIENTS)]
        self.nats = NatsServer(folder)
        self.server = ForkServer(folder)
        self.count = 0
        self.primary_folder = folder / "venue-0"
        self.checked = 0

    def begin(self, **settings: object) -> tuple[PrimaryProcess, StandbyProcess]:
        """Create the venue, with its standby."""
        given = {"take_over_s": TAKE_OVER_S, "absent_s": ABSENT_S} | settings
        url = str(given.pop("url", self.nats.url))
        write_settings(self.primary_folder, url, **given)
        funds = [f"--fund=0x{compute_address(each.key.public_key).hex()}=100000" for each in self.traders]
        primary = start_primary(self.server, self.primary_folder, *SERVING, *funds)
        primary.wait_created(self.primary_folder)
        return primary, self.add_standby()

    def add_standby(self, url: str = "") -> StandbyProcess:
        """Start a standby on a new directory, and return it once the primary counts on it."""
        self.count += 1
        folder = self.folder / f"venue-{self.count}"
        standby = start_standby(self.server, self.primary_folder, folder, url or self.nats.url, "--no-list")
        standby.wait_following()
        return standby

    @property
    def standby_folder(self) -> Path:
        return self.folder / f"venue-{self.count}"

    def check(self, folder: Path) -> None:
        """Compare everything that was ever acknowledged with one directory's journal."""
        genesis = parse_genesis((folder / "published" / "genesis.json").read_bytes())
        journal = JournalReader(folder / "journal", genesis.hash)
        journal.read()
        self.checked = check_promises(journal, self.ledger, {}, 0)

    async def restart_nats(self) -> None:
        """Kill the server, flip one bit of a frame that it keeps, and start it again."""
        await asyncio.to_thread(self.nats.kill)
        blocks = self.nats.find_blocks()
        if blocks:
            flip_bit(blocks[-1], self.chance)
        await asyncio.sleep(OUTAGE_S)
        await asyncio.to_thread(self.nats.start)

    async def load(self, url: str, life_s: float, loses_nats: bool) -> list["asyncio.Task[None]"]:
        """Let everybody trade for a while, and return what they are still doing."""
        await asyncio.gather(*(trader.connect(url) for trader in self.traders))
        loads = [asyncio.create_task(trader.load()) for trader in self.traders for _ in range(IN_FLIGHT)]
        await asyncio.sleep(life_s)
        if loses_nats:
            await self.restart_nats()
            await asyncio.sleep(life_s)
        return loads

    async def end_load(self, loads: list["asyncio.Task[None]"]) -> None:
        """Wait until everybody has noticed that the venue is gone."""
        await asyncio.gather(*loads)
        await asyncio.gather(*(trader.close() for trader in self.traders))

    def close(self) -> None:
        self.server.kill_children()
        self.server.close()
        self.nats.close()


def flip_bit(path: Path, chance: random.Random) -> None:
    """Change one bit of a file."""
    data = bytearray(path.read_bytes())
    data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
    path.write_bytes(bytes(data))


async def kill_under_load(rig: Rig, primary: ServeProcess, loses_nats: bool) -> None:
    loads = await rig.load(primary.url, rig.chance.uniform(0.05, LOAD_S_MAX), loses_nats)
    with contextlib.suppress(ProcessLookupError):
        await asyncio.to_thread(primary.kill)
    await rig.end_load(loads)


def deposit(rig: Rig, venue: ServeProcess, folder: Path) -> bytes:
    """Deposit for a newcomer through the chain that a venue serves; return the address."""
    web3 = Web3(Web3.HTTPProvider(f"http://127.0.0.1:{venue.port}/chain"))
    operator = load_key(folder / "keys" / "operator.key")
    newcomer = Account.from_key(PrivateKey().secret)
    client = SettlementClient(web3, operator, read_manifest(folder / "manifest.json"))
    client.mint(operator.address, DEPOSIT_ATOMS)
    client.deposit(newcomer.address, DEPOSIT_ATOMS)
    return bytes.fromhex(newcomer.address[2:])


def wait_credited(rig: Rig, address: bytes) -> None:
    """Return once a deposit for an address is in the journal."""
    deadline = time.monotonic() + CREDIT_S
    while not any(address in path.read_bytes() for path in (rig.primary_folder / "journal").glob("*.log")):
        assert time.monotonic() < deadline, "the deposit is not credited"
        time.sleep(0.05)


@pytest.mark.xdist_group("standby")
def test_takeovers_lose_nothing_acknowledged(tmp_path: Path) -> None:
    """Whatever was acknowledged before a kill is in the standby's journal, at its place, and the standby goes
    on: orders, deposits, batches and the published folder, which verifies.
    """
    rig = Rig(tmp_path, 1)
    try:
        primary, standby = rig.begin()
        serving = ServeProcess(primary.process_id, primary.output)
        for kill in range(KILLS):
            asyncio.run(kill_under_load(rig, serving, loses_nats=kill % 3 == 1))
            serving, epoch = standby.wait_serving(), kill + 2
            rig.primary_folder = rig.standby_folder
            rig.check(rig.primary_folder)
            state = read_fence(rig.primary_folder)
            assert state is not None
            assert ("primary", epoch) == (state.role, state.epoch)
            if kill < KILLS - 1:
                standby = rig.add_standby()
        wait_credited(rig, deposit(rig, serving, rig.primary_folder))
        serving.terminate()
    finally:
        rig.close()
    rig.check(rig.primary_folder)
    genesis = parse_genesis((rig.primary_folder / "published" / "genesis.json").read_bytes())
    journal = JournalReader(rig.primary_folder / "journal", genesis.hash)
    journal.read()
    check_results(rig.primary_folder, journal, rig.ledger)
    assert rig.ledger.order_count > KILLS
    assert "ok" == verify_directory(rig.primary_folder / "published").describe()


async def cut_primary(rig: Rig) -> tuple[int, Path]:
    """Cut the primary's link under load; return what the standby's journal held when it took over."""
    cable = Cable(rig.nats.port)
    url = await cable.open()
    primary, standby = await asyncio.to_thread(lambda: rig.begin(url=url))
    old = await asyncio.to_thread(ServeProcess, primary.process_id, primary.output)
    loads = await rig.load(old.url, 0.2, loses_nats=False)
    cable.is_cut = True
    serving = await asyncio.to_thread(standby.wait_serving)
    assert old.is_alive()
    acknowledged = len(rig.ledger.acks)
    await asyncio.sleep(1.0)  # Time in which the old primary would acknowledge, if it could.
    assert acknowledged == len(rig.ledger.acks)
    others = [Trader(rig.ledger, 100 + number) for number in range(CLIENTS)]
    for other, trader in zip(others, rig.traders, strict=True):
        other.key = trader.key
        await other.connect(serving.url)
        await other.send_one()
        await other.close()
    assert acknowledged < len(rig.ledger.acks)
    cable.is_cut = False
    await rig.end_load(loads)  # The old primary ends by itself once it hears of the next epoch.
    await asyncio.to_thread(serving.terminate)
    await cable.close()
    return serving.sequence, rig.standby_folder


@pytest.mark.xdist_group("standby")
def test_cut_off_primary_acknowledges_nothing(tmp_path: Path) -> None:
    """While primary and standby live and the link between them is cut, never do both acknowledge; when it is
    mended the old primary learns of the epoch and ends, and does not begin again.
    """
    rig = Rig(tmp_path, 2)
    try:
        _, folder = asyncio.run(cut_primary(rig))
        old = read_fence(rig.primary_folder)
        assert old is not None
        assert 2 == old.superseded
        refused = start_primary(rig.server, rig.primary_folder, *SERVING)
        assert "took over" in refused.wait_for("novate:")
    finally:
        rig.close()
    rig.check(folder)
    assert "ok" == verify_directory(folder / "published").describe()


async def cut_standby(rig: Rig) -> None:
    """Cut the standby's link under load, wait until writes are refused, and mend it."""
    cable = Cable(rig.nats.port)
    url = await cable.open()
    primary, standby = await asyncio.to_thread(rig.begin)
    serving = await asyncio.to_thread(ServeProcess, primary.process_id, primary.output)
    with contextlib.suppress(ProcessLookupError):
        os.kill(standby.process_id, 9)
    again = StandbyProcess(
        *rig.server.fork(
            "standby", "--data", str(rig.standby_folder), "--follow", url, "--port", "0", "--no-list"
        )
    )
    await asyncio.to_thread(again.wait_following)
    loads = await rig.load(serving.url, 0.2, loses_nats=False)
    cable.is_cut = True
    while not rig.ledger.refusals["venue_busy"]:
        await asyncio.sleep(0.05)
    acknowledged = len(rig.ledger.acks)
    await asyncio.sleep(2 * TAKE_OVER_S)
    assert acknowledged == len(rig.ledger.acks)
    cable.is_cut = False
    while acknowledged == len(rig.ledger.acks):
        await asyncio.sleep(0.05)
    await asyncio.to_thread(serving.kill)
    await rig.end_load(loads)
    await asyncio.to_thread(lambda: again.wait_serving().terminate())
    await cable.close()


@pytest.mark.xdist_group("standby")
def test_cut_off_standby_stops_writes(tmp_path: Path) -> None:
    """A standby that is cut off does not take over; its primary refuses writes until it is back, and what was
    acknowledged then is on both disks.
    """
    rig = Rig(tmp_path, 3)
    try:
        asyncio.run(asyncio.wait_for(cut_standby(rig), 60))
        state = read_fence(rig.standby_folder)
        assert state is not None
        assert 2 == state.epoch
    finally:
        rig.close()
    rig.check(rig.standby_folder)
