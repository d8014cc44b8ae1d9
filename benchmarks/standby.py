"""Measure a take-over: from `kill -9` of the primary to the first order that its standby acknowledges.

Real processes, a real NATS server, a client that trades until the kill and asks the standby afterwards. Every
command that was acknowledged must be in the last journal, at its place. Also what the receipt from a second
disk adds to an acknowledgement.
"""

import argparse
import asyncio
import contextlib
import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from coincurve import PrivateKey

from figures import record
from novate.access.client_errors import ConnectionLost, VenueError
from novate.apps.ack_ledger import AckLedger, LedgerClient
from novate.protocol.genesis import parse_genesis
from novate.protocol.signing import compute_address
from tests.apps.serving import ForkServer, JournalReader, ServeProcess
from tests.apps.standby_rig import NatsServer, start_primary, start_standby, write_settings
from tests.apps.test_kill import check_promises

INSTRUMENT, PRICE = "BTC_USDC-PERPETUAL", "64000"
SERVING = ("--accounts", "64", "--batch-interval", "2", "--no-list")
LOAD_S = 1.0
RETRY_S = 0.005


class Trader:
    """One wallet that trades until it cannot, and notes when each order was acknowledged."""

    def __init__(self) -> None:
        self.key = PrivateKey()
        self.ledger = AckLedger()

    async def connect(self, url: str) -> LedgerClient:
        client = LedgerClient(url, self.key, self.ledger, time.time_ns, reconnect=False)
        await client.connect()
        return client

    async def trade(self, url: str, seconds: float) -> list[float]:
        """Place orders one after the other; return the ms that each took."""
        times: list[float] = []
        client = await self.connect(url)
        ends = time.monotonic() + seconds
        while time.monotonic() < ends:
            begun = time.perf_counter()
            with contextlib.suppress(VenueError):
                await client.place("buy", INSTRUMENT, "0.001", PRICE)
            times.append((time.perf_counter() - begun) * 1e3)
        await client.close()
        return times

    async def trade_first(self, url: str) -> None:
        """Return when an order has been acknowledged."""
        while True:
            with contextlib.suppress(VenueError, ConnectionLost, OSError):
                client = await self.connect(url)
                try:
                    await client.place("buy", INSTRUMENT, "0.001", PRICE)
                    return
                finally:
                    await client.close()
            await asyncio.sleep(RETRY_S)


def check(folder: Path, trader: Trader) -> int:
    """Compare what was acknowledged with a directory's journal; return the number of acknowledgements."""
    genesis = parse_genesis((folder / "published" / "genesis.json").read_bytes())
    journal = JournalReader(folder / "journal", genesis.hash)
    journal.read()
    return check_promises(journal, trader.ledger, {}, 0)


def measure(folder: Path, count: int, take_over_s: float) -> dict[str, list[tuple[str, Any]]]:
    trader, nats, server = Trader(), NatsServer(folder), ForkServer(folder)
    fund = f"--fund=0x{compute_address(trader.key.public_key).hex()}=100000"
    single = server.serve("--data", str(folder / "single"), "--port", "0", *SERVING, fund)
    alone_ms = asyncio.run(trader.trade(single.url, 3 * LOAD_S))
    single.terminate()
    trader.ledger = AckLedger()
    here = folder / "venue-0"
    write_settings(here, nats.url, take_over_s=take_over_s)
    primary = start_primary(server, here, *SERVING, fund)
    primary.wait_created(here)
    serving: ServeProcess | None = None
    times, replicated_ms = [], []
    try:
        for number in range(1, count + 1):
            there = folder / f"venue-{number}"
            standby = start_standby(server, here, there, nats.url, "--no-list")
            standby.wait_following()
            serving = serving or ServeProcess(primary.process_id, primary.output)
            replicated_ms += asyncio.run(trader.trade(serving.url, LOAD_S))
            begun = time.monotonic()
            serving.kill()
            serving = standby.wait_serving()
            asyncio.run(trader.trade_first(serving.url))
            times.append(time.monotonic() - begun)
            acknowledged = check(there, trader)
            shutil.rmtree(here)
            here = there
        serving.terminate()
    finally:
        server.kill_children()
        server.close()
        nats.close()
    return {
        "take-over": [
            ("take-overs", count),
            ("s from kill -9 to the standby's first acknowledgement, median", statistics.median(times)),
            ("s from kill -9 to the standby's first acknowledgement, worst", max(times)),
            ("s for which the lease must stand still (take_over_s)", take_over_s),
            ("commands acknowledged, each in the last journal", acknowledged),
            ("commands lost", 0),
        ],
        "acknowledgement": [
            ("ms per order, one disk, p50", statistics.median(alone_ms)),
            ("ms per order, two disks, p50", statistics.median(replicated_ms)),
        ],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=10)
    parser.add_argument("--take-over-s", type=float, default=2.0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        record("standby", measure(Path(name), options.count, options.take_over_s))


if __name__ == "__main__":
    sys.exit(main())
