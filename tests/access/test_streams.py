"""Subscriptions: books without gaps, own orders and trades, and consumers that do not read."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from novate.access.client import NovateClient
from novate.access.client_book import ClientBook
from novate.access.client_errors import BookGap, ConnectionLost, InsufficientMargin, VenueError
from novate.access.limits import ServerLimits
from novate.execution import views
from novate.protocol.generated.codes import Code

from .harness import MAKER, PAUPER, PERPETUAL, STRANGER, TAKER, TestVenue, open_wire, run_venue, sign_place


def read_engine_book(venue: TestVenue) -> tuple[list[tuple[float, float]], list[tuple[float, float]]]:
    """The engine's book of the perpetual, as amounts and prices."""
    bids, asks = views.read_book(venue.engine, 0, 10_000)
    return [(row[0] * 2.5, row[1] / 1000) for row in bids], [(row[0] * 2.5, row[1] / 1000) for row in asks]


@contextlib.asynccontextmanager
async def trading_venue(folder: Path) -> AsyncIterator[tuple[TestVenue, NovateClient, NovateClient]]:
    """A venue with a maker and a taker."""
    async with (
        run_venue(folder) as venue,
        venue.make_client(MAKER) as maker,
        venue.make_client(TAKER) as taker,
    ):
        yield venue, maker, taker


async def settle() -> None:
    """Wait for more than one flush of the feed."""
    await asyncio.sleep(0.25)


async def trade_at_random(maker: Any, taker: Any, rng: random.Random, count: int) -> None:
    """Places, edits, cancels and crosses near one price."""
    mine: dict[str, Any] = {}
    for _ in range(count):
        draw = rng.random()
        if mine and draw < 0.2:
            order_id, client = mine.popitem()
            await asyncio.gather(client.cancel(order_id), return_exceptions=True)
        elif mine and draw < 0.4:
            order_id, client = rng.choice(list(mine.items()))
            amount, price = rng.randint(1, 30) / 1000, 50_000 + 2.5 * rng.randint(-12, 12)
            await asyncio.gather(client.edit(order_id, PERPETUAL, amount, price), return_exceptions=True)
        else:
            client, side = rng.choice([maker, taker]), rng.choice(["buy", "sell"])
            amount, price = rng.randint(1, 30) / 1000, 50_000 + 2.5 * rng.randint(-12, 12)
            result = await client.place(side, PERPETUAL, amount, price)
            mine[result["order"]["order_id"]] = client


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_books_have_no_gaps(seed: int, tmp_path: Path) -> None:
    """After random trading, a book built from either channel by change_id alone is the engine's book."""

    async def scenario() -> None:
        async with trading_venue(tmp_path) as (venue, maker, taker):
            rng = random.Random(seed)
            early, late, slow = ClientBook(), ClientBook(), ClientBook()
            await taker.subscribe(f"book.{PERPETUAL}.raw", early.apply)
            await trade_at_random(maker, taker, rng, 60)
            async with venue.make_client() as reader:
                await reader.subscribe(f"book.{PERPETUAL}.raw", late.apply)
                await reader.subscribe(f"book.{PERPETUAL}.100ms", slow.apply)
                await trade_at_random(maker, taker, rng, 100)
                await settle()
                expected = read_engine_book(venue)
                for book in (early, late, slow):
                    assert expected == (book.list_bids(), book.list_asks())
                params = {"instrument_name": PERPETUAL, "depth": 10_000}
                rest = await reader.call("public/get_order_book", params)
                assert rest["change_id"] == early.change_id == late.change_id == slow.change_id
                assert expected[0] == [tuple(row) for row in rest["bids"]]
            assert 0 == venue.server.counters.internal_errors

    asyncio.run(scenario())


def test_a_gap_is_noticed() -> None:
    """A change that does not follow the last message is refused."""
    book = ClientBook()
    book.apply({"type": "snapshot", "change_id": 5, "bids": [["new", 1.0, 1.0]], "asks": []})
    with pytest.raises(BookGap):
        book.apply({"type": "change", "prev_change_id": 6, "change_id": 7, "bids": [], "asks": []})


def test_own_orders_and_trades(tmp_path: Path) -> None:
    """A maker hears of its order's life in order, of its trade from its own side, and of nobody else's."""

    async def scenario() -> None:
        async with trading_venue(tmp_path) as (_, maker, taker):
            orders = await maker.subscribe_queue("user.orders.any.any.raw")
            trades = await maker.subscribe_queue(f"user.trades.{PERPETUAL}.raw")
            gathered = await maker.subscribe_queue(f"user.orders.{PERPETUAL}.100ms")
            public = await maker.subscribe_queue("trades.future.BTC.raw")
            resting = await maker.sell(PERPETUAL, 0.01, 50_000, label="quote", post_only=True)
            crossing = await taker.buy(PERPETUAL, "0.004", "50000")
            assert ("filled", 0.004, 50_000.0) == tuple(
                crossing["order"][key] for key in ("order_state", "filled_amount", "average_price")
            )
            await maker.cancel(resting["order"]["order_id"])
            await settle()
            seen = [orders.get_nowait() for _ in range(orders.qsize())]
            assert [("open", 0.0), ("open", 0.004), ("cancelled", 0.004)] == [
                (order["order_state"], order["filled_amount"]) for order in seen
            ]
            assert {"quote"} == {order["label"] for order in seen}
            (trade,) = trades.get_nowait()
            assert ("sell", "M", 0.004, resting["order"]["order_id"]) == tuple(
                trade[key] for key in ("direction", "liquidity", "amount", "order_id")
            )
            assert "buy" == public.get_nowait()[0]["direction"]
            assert 3 == len([order for _ in range(gathered.qsize()) for order in gathered.get_nowait()])
            (position,) = await maker.call("private/get_positions")
            assert ("sell", -0.004) == (position["direction"], position["size"])
            own = await maker.call("private/get_user_trades_by_instrument", {"instrument_name": PERPETUAL})
            assert [trade["trade_id"]] == [row["trade_id"] for row in own["trades"]]
            known = {"order_id": resting["order"]["order_id"]}
            assert "cancelled" == (await maker.call("private/get_order_state", known))["order_state"]
            with pytest.raises(VenueError) as refusal:
                await taker.call("private/get_order_state", known)
            assert Code.ORDER_NOT_OWNED == refusal.value.code

    asyncio.run(scenario())


def test_pipelined_writes_keep_their_order(tmp_path: Path) -> None:
    """A hundred writes in flight reach the sequence in the order of their nonces, so none is a replay."""

    async def scenario() -> None:
        async with run_venue(tmp_path) as venue, venue.make_client(MAKER) as maker:
            orders = (maker.buy(PERPETUAL, "0.001", 49_000 + 2.5 * at) for at in range(100))
            results = await asyncio.gather(*orders)
            sequences = [result["receipt"]["sequence"] for result in results]
            assert sorted(sequences) == sequences
            assert {"open"} == {result["order"]["order_state"] for result in results}
            assert 100 == await maker.cancel_all(PERPETUAL)
            assert 0 == await maker.cancel_all()

    asyncio.run(scenario())


def test_edits_withdrawals_and_typed_errors(tmp_path: Path) -> None:
    """An edit keeps what is filled, a withdrawal is receipted, and a refusal is an exception of its kind."""

    async def scenario() -> None:
        async with trading_venue(tmp_path) as (venue, maker, taker):
            order = (await maker.sell(PERPETUAL, 0.01, 50_000))["order"]
            await taker.buy(PERPETUAL, 0.004, 50_000)
            edited = await maker.edit(order["order_id"], PERPETUAL, 0.002, 50_000)
            assert (0.006, 0.004) == (edited["order"]["amount"], edited["order"]["filled_amount"])
            withdrawal = await maker.withdraw("12.5")
            assert (1, 12.5) == (withdrawal["id"], withdrawal["amount"])
            async with venue.make_client(PAUPER) as pauper:
                with pytest.raises(InsufficientMargin):
                    await pauper.buy(PERPETUAL, 1, 50_000)
                with pytest.raises(ValueError, match=r"multiple of 2\.5"):
                    await pauper.buy(PERPETUAL, 1, 50_001)
            async with venue.make_client(STRANGER) as stranger:
                with pytest.raises(VenueError) as refusal:
                    await stranger.call("private/get_positions")
                assert Code.ACCOUNT_NOT_FOUND == refusal.value.code

    asyncio.run(scenario())


async def flood_until_disconnected(venue: TestVenue, limits: ServerLimits) -> None:
    """Move the book until someone who does not listen is disconnected; queues never exceed their bound."""
    async with venue.make_client(MAKER) as maker:
        for _ in range(200):
            if venue.server.counters.slow_consumers:
                break
            orders = (maker.buy(PERPETUAL, "0.001", 40_000 + 2.5 * at) for at in range(50))
            await asyncio.gather(*orders)
            await maker.cancel_all()
            assert all(each.outgoing_bytes <= limits.outgoing_bytes for each in venue.server.connections)
        assert 1 == venue.server.counters.slow_consumers
        assert "open" == (await maker.buy(PERPETUAL, "0.001", 40_000))["order"]["order_state"]


def test_slow_consumer_is_disconnected(tmp_path: Path) -> None:
    """Who does not read is disconnected at the bound; everyone else goes on, and memory stays bounded."""

    async def listen(socket: aiohttp.ClientWebSocketResponse, heard: list[int]) -> None:
        async for message in socket:
            heard.append(len(message.data))

    async def scenario() -> None:
        limits = ServerLimits(outgoing_messages=400, outgoing_bytes=400_000)
        async with run_venue(tmp_path, limits) as venue, aiohttp.ClientSession() as session:
            reader = await session.ws_connect(venue.url)
            sleeper = await session.ws_connect(venue.url)
            ticker = f"ticker.{PERPETUAL}.raw"
            # Enough data to fill the buffers of both ends' kernels, which together hold some megabytes.
            books = [f"book.{PERPETUAL}.{5 * at}.{depth}.raw" for at in range(1, 61) for depth in (10, 20)]
            for socket, channels in ((reader, [ticker]), (sleeper, [ticker, *books])):
                params = {"channels": channels}
                await socket.send_json({"id": 1, "method": "public/subscribe", "params": params})
            # The sleeper's own end stops taking bytes, as a stuck process would.
            assert sleeper._conn is not None
            sleeper._conn.transport.pause_reading()
            heard: list[int] = []
            listener = asyncio.create_task(listen(reader, heard))
            await flood_until_disconnected(venue, limits)
            await settle()
            assert not reader.closed
            assert len(heard) > 10
            listener.cancel()
            sleeper._conn.transport.abort()

    asyncio.run(scenario())


async def attempt(client: NovateClient) -> type[BaseException] | None:
    """The kind of exception that a call ends with, if any."""
    (result,) = await asyncio.gather(client.call("public/test"), return_exceptions=True)
    return type(result) if isinstance(result, BaseException) else None


def test_reconnects_and_resumes(tmp_path: Path) -> None:
    """A client whose connection is cut fails what is in flight, then logs in and hears its channels again."""

    async def scenario() -> None:
        async with run_venue(tmp_path) as venue, venue.make_client(MAKER) as maker:
            orders = await maker.subscribe_queue("user.orders.any.any.raw")
            for connection in tuple(venue.server.connections):
                connection.transport.abort()
            lost = [await attempt(maker) for _ in range(2)]
            assert ConnectionLost in lost
            for _ in range(100):
                await asyncio.sleep(0.05)
                if venue.server.venue.feed.subscribers:
                    break
            placed = await maker.buy(PERPETUAL, "0.001", 49_000)
            assert placed["order"]["order_id"] == (await asyncio.wait_for(orders.get(), 5))["order_id"]

    asyncio.run(scenario())


def test_unknown_channels_are_dropped(tmp_path: Path) -> None:
    """A subscription with bad names among good ones gets the good ones; own channels need a login."""

    async def scenario() -> None:
        async with run_venue(tmp_path) as venue, open_wire(venue) as wire:
            good = [
                f"book.{PERPETUAL}.raw",
                f"book.{PERPETUAL}.10.20.100ms",
                f"ticker.{venue.option}.100ms",
                "trades.any.any.raw",
                "deribit_price_index.btc_usd",
                "instrument.state.any.any",
            ]
            bad = [f"book.{PERPETUAL}.7.10.raw", "book.x.raw", "user.orders.any.any.raw"]
            worse = ["ticker", "", "book..raw", "a.b.c.d"]
            reply = await wire.ask("public/subscribe", {"channels": bad + good + worse})
            assert good == reply["result"]
            reply = await wire.ask("public/unsubscribe", {"channels": good[:2] + bad})
            assert good[:2] == reply["result"]
            assert "ok" == (await wire.ask("public/unsubscribe_all"))["result"]
            assert {} == venue.server.venue.feed.subscribers

    asyncio.run(scenario())


def test_http_reads_and_writes(tmp_path: Path) -> None:
    """The three HTTP forms give one answer; a bearer token reads an account; a GET carries a signed order."""
    params = {"instrument_name": PERPETUAL}
    body = {"jsonrpc": "2.0", "id": 7, "method": "public/get_instrument", "params": params}

    async def scenario() -> None:
        async with run_venue(tmp_path) as venue, aiohttp.ClientSession() as session:
            url = f"{venue.http}/api/v2"
            async with session.post(url, json=body) as response:
                posted = await response.json()
            async with session.post(f"{url}/public/get_instrument", json=body) as response:
                assert posted["result"] == (await response.json())["result"]
            async with session.get(f"{url}/public/get_instrument", params=params) as response:
                assert posted["result"] == (await response.json())["result"]
            async with venue.make_client(MAKER) as maker:
                headers = {"Authorization": f"Bearer {maker.access_token}"}
            async with session.get(f"{url}/private/get_positions", headers=headers) as response:
                assert [] == (await response.json())["result"]
            query = {key: str(value) for key, value in sign_place(venue, MAKER).items()}
            query["post_only"] = "false"
            async with session.get(f"{url}/private/buy", params=query) as response:
                assert "open" == (await response.json())["result"]["order"]["order_state"]
            async with session.get(f"{url}/private/get_positions") as response:
                assert (400, 13009) == (response.status, (await response.json())["error"]["code"])
            async with session.get(f"{venue.http}/published/passwords") as response:
                assert 404 == response.status

    asyncio.run(scenario())
