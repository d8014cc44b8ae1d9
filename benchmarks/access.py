"""Signed orders per second through the whole door on loopback, in one process, and what messages weigh.

An order is signed, sent, verified, sequenced, journalled with fdatasync, applied, answered; all must rest.
"""

import asyncio
import json
import sys
import tempfile
import time
from pathlib import Path

import uvloop

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from access.harness import MAKER, PERPETUAL, TestVenue, open_wire, run_venue, sign_place
from novate.access.client import NovateClient
from novate.access.limits import ServerLimits
from novate.execution import views

ORDERS = 3_000
IN_FLIGHT = 250
UNBOUNDED = ServerLimits(rate_per_s=1_000_000, burst=1_000_000)


async def measure_latency(client: NovateClient) -> float:
    """Seconds from a call to its reply, one order at a time."""
    begun = time.perf_counter()
    for _ in range(200):
        await client.buy(PERPETUAL, "0.001", 40_000)
    return (time.perf_counter() - begun) / 200


async def measure_client(client: NovateClient) -> tuple[float, float]:
    """Orders per second, and per second of processor time, with client and server in this process."""
    begun, used = time.perf_counter(), time.process_time()
    for _ in range(ORDERS // IN_FLIGHT):
        orders = (client.buy(PERPETUAL, "0.001", 40_000 + 2.5 * (at % 50)) for at in range(IN_FLIGHT))
        await asyncio.gather(*orders)
    return ORDERS / (time.perf_counter() - begun), ORDERS / (time.process_time() - used)


async def measure_server(venue: TestVenue) -> tuple[float, float, int, int]:
    """The same with orders signed and encoded beforehand; also the bytes of a request and of a reply."""
    nonce = venue.clock()
    orders = [sign_place(venue, MAKER, lots=1, ticks=16_000, nonce=nonce + at) for at in range(ORDERS)]
    frames = [
        json.dumps({"jsonrpc": "2.0", "id": at, "method": "private/buy", "params": order})
        for at, order in enumerate(orders)
    ]
    async with open_wire(venue) as wire:
        begun, used = time.perf_counter(), time.process_time()

        async def send() -> None:
            for frame in frames:
                await wire.socket.send_str(frame)

        sending = asyncio.create_task(send())
        replies = [(await wire.socket.receive()).data for _ in frames]
        await sending
        elapsed, spent = time.perf_counter() - begun, time.process_time() - used
    assert all('"order_state":"open"' in reply for reply in replies)
    return ORDERS / elapsed, ORDERS / spent, len(frames[0]), len(replies[0])


async def main() -> None:
    """Run each measurement on one venue."""
    with tempfile.TemporaryDirectory() as folder:
        async with (
            run_venue(Path(folder), UNBOUNDED, orders=1 << 14) as venue,
            venue.make_client(MAKER) as client,
        ):
            latency_s = await measure_latency(client)
            print(f"one order at a time               {latency_s * 1e3:8.2f} ms")
            rate, per_cpu = await measure_client(client)
            print(f"client and server, one process    {rate:8.0f} orders/s  {per_cpu:8.0f} per CPU second")
            await client.cancel_all()
            rate, per_cpu, request, reply = await measure_server(venue)
            print(f"server, orders signed beforehand  {rate:8.0f} orders/s  {per_cpu:8.0f} per CPU second")
            ticker = len(json.dumps(await client.call("public/ticker", {"instrument_name": PERPETUAL})))
            print(f"bytes: request {request}, reply {reply}, ticker {ticker}")
            assert ORDERS == len(views.read_open_orders(venue.engine, 0))


if __name__ == "__main__":
    uvloop.run(main())
