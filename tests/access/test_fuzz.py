"""Five thousand frames that no client should send: each gets an orderly answer, and the venue goes on."""

from __future__ import annotations

import asyncio
import json
import random
from pathlib import Path
from typing import Any

import aiohttp

from novate.access.dispatch import METHOD_NAMES

from .harness import MAKER, PERPETUAL, TestVenue, open_wire, run_venue, sign_place

FRAMES = 5_000
ODD_VALUES: list[Any] = [
    *(None, True, False, 0, -1, 1, 1 << 53, 1 << 63, -(1 << 63), 10**400, 0.1, -0.0, 1e308, 1e-308),
    *(
        "",
        "0",
        "-1",
        "NaN",
        "Infinity",
        "1e400",
        "\u0661",
        "\ud7ff",
        "0x",
        "0x" + "f" * 130,
        "x" * 5_000,
        "\0",
    ),
    *([], [[]], {}, {"a": {}}, [None] * 600, ["user.orders.any.any.raw"], [PERPETUAL]),
    *("stop_limit", "market", "trailing_stop", "mark_price", "implv", "cancel_both", {PERPETUAL: 1e300}),
    *("trade cancel", "taker", "buy", "0x" + "ab" * 20, "0x" + "ab" * 65, "BTC_USDC-COMBO-1xPERPETUAL_x"),
    [{"instrument_name": PERPETUAL, "amount": 1, "direction": "buy", "price": -5}],
    [{"instrument_name": PERPETUAL, "amount": 1, "direction": at} for at in ("buy", "sell")],
    [{"instrument_name": PERPETUAL, "bid": {"price": 1e9, "amount": -1}}],
]
PARAMETER_NAMES = [
    *(
        "instrument_name",
        "amount",
        "price",
        "account",
        "nonce",
        "expires_ns",
        "chain_id",
        "signature",
        "order_id",
    ),
    *(
        "channels",
        "count",
        "depth",
        "currency",
        "kind",
        "label",
        "time_in_force",
        "post_only",
        "access_token",
    ),
    *("grant_type", "timestamp", "interval", "index_name", "start_timestamp", "sorting", "refresh_token"),
    *("type", "trigger", "trigger_price", "trigger_offset", "display_amount", "valid_until", "advanced"),
    *("link", "parent_order_id", "self_trading_mode", "reduce_only", "mmp_group", "quotes", "timeout"),
    *("frozen_time", "quantity_limit", "delta_limit", "simulated_positions", "add_positions", "scope"),
    *("demand", "signer", "key", "scope", "expiration_timestamp", "max_notional", "rate_per_minute"),
    *("subaccount", "destination", "source", "counterparty", "counterparty_nonce", "trades", "legs", "role"),
    *("counterparty_signature", "block_rfq_id", "block_rfq_quote_id", "direction", "state", "combo_id"),
]
BROKEN = [b"", b"\0", b"{", b"}", b"[1,2]", b"nul", b'{"id":', b'{"method":"public/test","id":{}}', b'"\xff"']


def make_frame(rng: random.Random, methods: list[str], order: dict[str, Any]) -> bytes:
    """A frame: broken JSON, a method with odd parameters, or a valid order with one thing changed."""
    draw = rng.random()
    if draw < 0.15:
        return rng.choice(BROKEN) + rng.randbytes(rng.randint(0, 30))
    if draw < 0.5:
        params: Any = order | {rng.choice(PARAMETER_NAMES): rng.choice(ODD_VALUES)}
    else:
        names = rng.sample(PARAMETER_NAMES, rng.randint(0, 6))
        params = {name: rng.choice(ODD_VALUES) for name in names}
    if rng.random() < 0.1:
        params = rng.choice(ODD_VALUES)
    message = {
        "jsonrpc": "2.0",
        "id": rng.choice([1, "a", None, 1 << 62]),
        "method": rng.choice(methods),
        "params": params,
    }
    if rng.random() < 0.1:
        message[rng.choice(list(message))] = rng.choice(ODD_VALUES)
    frame = bytearray(json.dumps(message).encode())
    for _ in range(rng.randint(1, 3) if rng.random() < 0.3 else 0):
        frame[rng.randrange(len(frame))] = rng.randrange(256)
    return bytes(frame)[:32_000]


def check_reply(reply: dict[str, Any]) -> None:
    """A reply is one of the shapes that a client can rely on, and never shows our insides."""
    if reply.get("method") in ("subscription", "heartbeat"):
        return
    assert "2.0" == reply["jsonrpc"]
    assert ("result" in reply) != ("error" in reply)
    if "error" in reply:
        assert 10001 != reply["error"]["code"], reply
        assert {"code", "message", "data"} == set(reply["error"])
        assert "Traceback" not in str(reply)


async def fuzz_socket(venue: TestVenue, rng: random.Random, frames: int) -> int:
    """Send frames in bursts and check each reply; returns the number of replies."""
    methods = [*sorted(METHOD_NAMES - {"public/set_heartbeat"}), "public/nothing"]
    count = 0
    async with open_wire(venue) as wire:
        for _ in range(frames // 50):
            order = sign_place(venue, MAKER)
            for _ in range(50):
                # Text frames must be UTF-8; others are the library's to refuse, and a test of test_refusals.
                text = make_frame(rng, methods, order).decode("utf-8", "replace")
                await wire.socket.send_str(text)
            await wire.socket.send_str('{"jsonrpc":"2.0","id":"end","method":"public/get_time"}')
            while (reply := await wire.receive()).get("id") != "end":
                check_reply(reply)
                count += 1
    return count


async def fuzz_http(venue: TestVenue, rng: random.Random, frames: int) -> None:
    """Send bodies and queries; no status is 500 or above."""
    methods = sorted(METHOD_NAMES)
    async with aiohttp.ClientSession() as session:
        for _ in range(frames // 2):
            body = make_frame(rng, methods, sign_place(venue, MAKER))
            async with session.post(f"{venue.http}/api/v2", data=body) as response:
                assert response.status < 500
                check_reply(await response.json())
            query = {rng.choice(PARAMETER_NAMES): str(rng.choice(ODD_VALUES))[:300]}
            async with session.get(f"{venue.http}/api/v2/{rng.choice(methods)}", params=query) as response:
                assert response.status < 500
                check_reply(await response.json())


def test_nonsense_is_answered_in_order(tmp_path: Path) -> None:
    """No frame causes a fault of ours, and an honest client is served as before."""

    async def scenario() -> None:
        rng = random.Random(20260327)
        async with run_venue(tmp_path) as venue:
            replies = await fuzz_socket(venue, rng, FRAMES - 500)
            assert replies > FRAMES // 2
            await fuzz_http(venue, rng, 500)
            assert 0 == venue.server.counters.internal_errors
            async with venue.make_client(MAKER) as maker:
                placed = await maker.buy(PERPETUAL, "0.001", 49_000)
                assert "open" == placed["order"]["order_state"]

    asyncio.run(scenario())
