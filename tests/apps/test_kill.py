"""The kill campaign: `novate serve` is killed with -9 at random moments under load, and must keep its word.

Clients note every acknowledgement. After each restart the journal must hold each acknowledged command,
identified by its signature, at the acknowledged place, and each command once.
"""

import asyncio
import contextlib
import os
import random
import time
from pathlib import Path

import pytest
from coincurve import PrivateKey

from novate.access.client_errors import ConnectionLost, VenueError
from novate.apps.ack_ledger import AckLedger, LedgerClient
from novate.execution.engine import Engine, split_events
from novate.protocol.command import decode_payload
from novate.protocol.generated.codes import Code, CommandKind
from novate.protocol.genesis import parse_genesis
from novate.protocol.signing import compute_address
from novate.verification.verdict import verify_directory
from tests.apps.serving import ForkServer, JournalReader, ServeProcess

KILLS = int(os.environ.get("NOVATE_KILLS", "100"))
CAMPAIGNS = 4
CLIENTS = 4
IN_FLIGHT = 3
LOAD_S_MAX = 0.5
INSTRUMENT = "BTC_USDC-PERPETUAL"
PRICE = 64_000.0


class Trader:
    """A wallet that goes on trading over many lives of one venue."""

    def __init__(self, ledger: AckLedger, seed: int) -> None:
        self.key = PrivateKey()
        self.ledger = ledger
        self.random = random.Random(seed)
        self.client: LedgerClient | None = None

    async def connect(self, url: str) -> None:
        self.client = LedgerClient(url, self.key, self.ledger, time.time_ns, reconnect=False)
        await self.client.connect()

    async def send_one(self) -> None:
        """Place an order that rests or trades, or now and then cancel everything."""
        assert self.client is not None
        choice, side = self.random.random(), self.random.choice(("buy", "sell"))
        with contextlib.suppress(VenueError):
            if choice < 0.1:
                await self.client.cancel_all()
            else:
                offset = 2.5 * self.random.randrange(-40, 41)
                await self.client.place(side, INSTRUMENT, "0.001", str(PRICE + offset))

    async def load(self) -> None:
        """Keep sending until the connection ends."""
        with contextlib.suppress(ConnectionLost, TimeoutError):
            while True:
                await self.send_one()

    async def close(self) -> None:
        if self.client is not None:
            await self.client.close()


async def live_one_life(process: ServeProcess, traders: list[Trader], life_s: float) -> None:
    """Let everybody trade, kill the venue after a while, and wait until everybody has noticed."""
    await asyncio.gather(*(trader.connect(process.url) for trader in traders))
    loads = [asyncio.create_task(trader.load()) for trader in traders for _ in range(IN_FLIGHT)]
    await asyncio.sleep(life_s)
    await asyncio.to_thread(process.kill)
    await asyncio.gather(*loads)
    await asyncio.gather(*(trader.close() for trader in traders))


def check_promises(journal: JournalReader, ledger: AckLedger, known: dict[bytes, int], checked: int) -> int:
    """Compare new acknowledgements with the journal; return how many have been compared in all."""
    for place in range(len(known) + 1, len(journal.payloads) + 1):
        payload = journal.payloads[place - 1]
        signature = decode_payload(payload).signature or place.to_bytes(8, "big")
        assert signature not in known, f"sequence {place} repeats sequence {known[signature]}"
        known[signature] = place
    for ack in ledger.acks[checked:]:
        assert ack.sequence <= len(journal.payloads), f"{ack} was acknowledged and is lost"
        command = decode_payload(journal.payloads[ack.sequence - 1])
        expected = (bytes.fromhex(ack.signature[2:]), bytes.fromhex(ack.account[2:]), ack.nonce)
        assert expected == (command.signature, command.signer, command.get("nonce")), f"{ack} was reordered"
    return len(ledger.acks)


def check_results(folder: Path, journal: JournalReader, ledger: AckLedger) -> None:
    """Apply the journal to a fresh engine: each acknowledged code and order id must come out again."""
    genesis = parse_genesis((folder / "published" / "genesis.json").read_bytes())
    events = Engine(genesis).apply([decode_payload(payload) for payload in journal.payloads])
    results = [(int(each["code"][0]), int(each["order_id"][0])) for each in split_events(events)]
    for ack in ledger.acks:
        code, order_id = results[ack.sequence - 1]
        assert ack.reason == Code(code).name.lower()
        if ack.order_id and decode_payload(journal.payloads[ack.sequence - 1]).kind == CommandKind.PLACE:
            assert int(ack.order_id) == order_id


@pytest.mark.xdist_group("kill")
@pytest.mark.parametrize("campaign", range(CAMPAIGNS))
def test_kill_loses_nothing_acknowledged(campaign: int, tmp_path: Path) -> None:
    """Whatever was acknowledged before a kill is in the recovered journal: not lost, doubled, altered or
    moved.
    """
    kills = KILLS // CAMPAIGNS + (campaign < KILLS % CAMPAIGNS)
    folder, chance = tmp_path / "venue", random.Random(campaign)
    ledger, known, checked = AckLedger(), {}, 0
    traders = [Trader(ledger, 100 * campaign + number) for number in range(CLIENTS)]
    funds = [f"--fund=0x{compute_address(trader.key.public_key).hex()}=100000" for trader in traders]
    arguments = [
        "--data",
        str(folder),
        "--port",
        "0",
        "--accounts",
        "64",
        "--batch-interval",
        "0.3",
        "--no-list",
    ]
    server = ForkServer(tmp_path)
    try:
        process = server.serve(*arguments, *funds)
        genesis = parse_genesis((folder / "published" / "genesis.json").read_bytes())
        journal = JournalReader(folder / "journal", genesis.hash)
        for _ in range(kills):
            asyncio.run(live_one_life(process, traders, chance.uniform(0.0, LOAD_S_MAX)))
            process = server.serve(*arguments)
            journal.read()
            checked = check_promises(journal, ledger, known, checked)
        process.terminate()
    finally:
        server.close()
    journal.read()
    check_promises(journal, ledger, known, checked)
    check_results(folder, journal, ledger)
    assert ledger.order_count > kills
    assert "ok" == verify_directory(folder / "published").describe()
