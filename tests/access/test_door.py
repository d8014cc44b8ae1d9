"""The door itself: rates, a full queue, what a refusal tells, and who may ask for what."""

from __future__ import annotations

import asyncio
import contextlib
import resource
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from novate.access.client_errors import VenueError
from novate.access.dispatch import METHOD_NAMES
from novate.access.limits import ServerLimits
from novate.access.methods_write import WRITES
from novate.execution.sequencer import VenueBusy
from novate.protocol.generated.codes import AccessCode, Code, InstrumentKind
from novate.protocol.generated.constants import OPEN_ORDER_COUNT_MAX

from .harness import MAKER, PAUPER, PERPETUAL, TestVenue, Wire, open_wire, run_venue, sign_place

Reply = dict[str, Any]


async def flood(venue: TestVenue, wire: Wire) -> Reply:
    """Send faster than the connection may."""
    replies = [await wire.ask("public/get_time") for _ in range(venue.server.limits.burst + 5)]
    return replies[-1]


def test_rate_limit(tmp_path: Path) -> None:
    """A connection that sends faster than its credits allow is told so, and closed if it goes on."""

    async def scenario() -> None:
        limits = ServerLimits(rate_per_s=1, burst=20, refusals_before_close=30)
        async with run_venue(tmp_path, limits) as venue, open_wire(venue) as wire:
            reply = await flood(venue, wire)
            assert AccessCode.TOO_MANY_REQUESTS.name.lower() == reply["error"]["data"]["reason"]
            for _ in range(40):
                await wire.socket.send_str("{}")
            messages = [message async for message in wire.socket]
            assert len(messages) <= 41
            assert 1008 == wire.socket.close_code

    asyncio.run(scenario())


def test_busy(tmp_path: Path) -> None:
    """While the sequencer's queue is full a write is refused, not sequenced."""

    async def keep_full(venue: TestVenue) -> None:
        while True:
            with contextlib.suppress(VenueBusy):
                while True:
                    venue.sequencer.enqueue(venue.make_tick())
            await asyncio.sleep(0)

    async def scenario() -> None:
        async with run_venue(tmp_path) as venue, open_wire(venue) as wire:
            filler = asyncio.create_task(keep_full(venue))
            reply = await wire.ask("private/buy", sign_place(venue, MAKER))
            filler.cancel()
            assert AccessCode.VENUE_BUSY.name.lower() == reply["error"]["data"]["reason"]

    asyncio.run(scenario())


def test_signature_refusal_explains_itself(tmp_path: Path) -> None:
    """A refused signature comes back with the digest, the domain and the struct as the server read it."""

    async def scenario() -> None:
        async with run_venue(tmp_path) as venue, open_wire(venue) as wire:
            reply = await wire.ask("private/buy", sign_place(venue, MAKER) | {"price": 50_002.5})
            data = reply["error"]["data"]
            assert {"name": "novate", "version": "1", "chainId": 31_337} == {
                key: data["domain"][key] for key in ("name", "version", "chainId")
            }
            assert "0x" + venue.domain.separator().hex() == data["domain_separator"]
            assert "Place" == data["primaryType"]
            assert (PERPETUAL, "buy", "GTC", "10", "20001") == tuple(
                data["message"][key]
                for key in ("instrument", "side", "timeInForce", "sizeLots", "limitPriceTicks")
            )
            assert 66 == len(data["digest"])
            assert data["recovered"] not in (None, data["message"]["account"])

    asyncio.run(scenario())


def test_rejection_carries_its_receipt(tmp_path: Path) -> None:
    """A command that the law rejected was sequenced, and the refusal says where."""

    async def scenario() -> None:
        async with run_venue(tmp_path) as venue, open_wire(venue) as wire:
            reply = await wire.ask("private/buy", sign_place(venue, PAUPER, lots=1000))
            receipt = reply["error"]["data"]["receipt"]
            assert (venue.engine.sequence, int(Code.INITIAL_MARGIN_INSUFFICIENT)) == (
                receipt["sequence"],
                receipt["code"],
            )
            assert 20.0 == reply["error"]["data"]["equity"]

    asyncio.run(scenario())


def test_each_private_method_asks_who_is_there(tmp_path: Path) -> None:
    """No private read answers without a session; no write answers without a signature."""
    leg = {"instrument_name": PERPETUAL, "amount": 1, "direction": "buy"}
    needs: dict[str, Any] = {"instrument_name": PERPETUAL, "order_id": "1", "id": "BLOCK-1", "nonce": 1}
    needs |= {"channels": ["user.orders.any.any.raw"], "block_rfq_id": 1, "block_rfq_quote_id": 1}
    needs |= {"legs": [leg], "trades": [leg, leg]}
    signed = {*WRITES, "private/add_block_rfq_quote"}  # A quote is signed, though no command by itself.

    async def scenario() -> None:
        async with run_venue(tmp_path) as venue, open_wire(venue) as wire:
            for method in sorted(METHOD_NAMES):
                if method.startswith("private/") and "unsubscribe" not in method:
                    reply = await wire.ask(method, needs)
                    reason = "parameter_invalid" if method in signed else "unauthorized"
                    assert (method, reason) == (method, reply["error"]["data"]["reason"])
            assert set(WRITES) <= METHOD_NAMES

    asyncio.run(scenario())


def test_http_bodies_are_bounded(tmp_path: Path) -> None:
    """An HTTP body above the limit is refused, and so is a method that path and body name differently."""

    async def scenario() -> None:
        async with run_venue(tmp_path) as venue, aiohttp.ClientSession() as session:
            async with session.post(f"{venue.http}/api/v2", data=b" " * 1_000_000) as response:
                assert 413 == response.status
                assert "message_too_large" == (await response.json())["error"]["data"]["reason"]
            body = {"jsonrpc": "2.0", "id": 1, "method": "public/test", "params": {}}
            async with session.post(f"{venue.http}/api/v2/public/get_time", json=body) as response:
                assert 400 == response.status
                assert "parameter_invalid" == (await response.json())["error"]["data"]["reason"]

    asyncio.run(scenario())


def test_instruments_of_other_kinds_are_none(tmp_path: Path) -> None:
    """A kind that this venue does not have is an empty list, so that clients which ask for all go on."""

    async def scenario() -> None:
        async with run_venue(tmp_path) as venue, open_wire(venue) as wire:
            assert [] == (await wire.ask("public/get_instruments", {"kind": "spot"}))["result"]
            assert InstrumentKind.PERPETUAL == venue.engine.instruments[0].kind

    asyncio.run(scenario())


def test_open_order_limit(tmp_path: Path) -> None:
    """An account may have 4,096 open orders and not one more."""

    async def scenario() -> None:
        async with run_venue(tmp_path, orders=8192) as venue, venue.make_client(MAKER) as maker:
            for _ in range(OPEN_ORDER_COUNT_MAX // 256):
                await asyncio.gather(*(maker.buy(PERPETUAL, "0.001", 40_000) for _ in range(256)))
            with pytest.raises(VenueError) as refusal:
                await maker.buy(PERPETUAL, "0.001", 40_000)
            assert Code.OPEN_ORDER_LIMIT == refusal.value.code
            assert 10013 == refusal.value.number

    asyncio.run(scenario())


async def send_huge_frame(port: int, length: int) -> bytes:
    """Everything that the server says to a frame of this many bytes, sent without a client library."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    upgrade = "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    writer.write(f"GET /ws/api/v2 HTTP/1.1\r\nHost: venue\r\n{upgrade}{key}\r\n".encode())
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"\x81\xff" + length.to_bytes(8, "big") + bytes(4))
    for _ in range(length // 65_536):
        writer.write(b" " * 65_536)
        await writer.drain()
    said = await asyncio.wait_for(reader.read(), 5)
    writer.close()
    return said


def test_huge_frame_is_told_then_closed(tmp_path: Path) -> None:
    """A 10 MB frame is answered while it is still arriving, closed with 1009, and never held in memory."""

    async def scenario() -> None:
        async with run_venue(tmp_path) as venue:
            before_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            said = await send_huge_frame(venue.server.port, 10_000_000)
            assert b'"reason":"message_too_large"' in said
            assert said.endswith(b"\x88\x02" + (1009).to_bytes(2, "big"))
            assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kb < 5_000
            assert set() == venue.server.connections

    asyncio.run(scenario())
