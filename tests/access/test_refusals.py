"""One row per code that a client can meet: what is sent, and the one answer to it.
Refusals first, then what is accepted.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from novate.access.limits import ServerLimits
from novate.protocol.generated.codes import (
    EXPECTED,
    JSONRPC_NUMBER,
    AccessCode,
    Code,
    CommandKind,
)
from novate.protocol.signing import Domain

from .harness import (
    DAY_NS,
    MAKER,
    NS_PER_S,
    PAUPER,
    PERPETUAL,
    STRANGER,
    TAKER,
    USDC,
    TestVenue,
    Wire,
    open_wire,
    run_venue,
    sign,
    sign_place,
)

Reply = dict[str, Any]
Send = Callable[[TestVenue, Wire], Awaitable[Reply]]


def place(key: Any = MAKER, change: dict[str, Any] | None = None, **fields: Any) -> Send:
    """Send private/buy; `fields` go into what is signed, `change` into what is sent beside the signature."""

    async def send(venue: TestVenue, wire: Wire) -> Reply:
        resolved = {name: value(venue) if callable(value) else value for name, value in fields.items()}
        changed = {name: value(venue) if callable(value) else value for name, value in (change or {}).items()}
        method = "private/sell" if fields.get("side") else "private/buy"
        return await wire.ask(method, sign_place(venue, key, **resolved) | changed)

    return send


def ask(method: str, **params: Any) -> Send:
    """Send any method."""

    async def send(venue: TestVenue, wire: Wire) -> Reply:
        return await wire.ask(method, params)

    return send


def say(text: str) -> Send:
    """Send a frame as it is."""

    async def send(venue: TestVenue, wire: Wire) -> Reply:
        await wire.socket.send_str(text)
        return await wire.receive()

    return send


async def replay_nonce(venue: TestVenue, wire: Wire) -> Reply:
    """Send the same signed bytes twice."""
    params = sign_place(venue, MAKER)
    assert "result" in await wire.ask("private/buy", params)
    return await wire.ask("private/buy", params)


async def sign_elsewhere(venue: TestVenue, wire: Wire) -> Reply:
    """Sign for another settlement contract of the same chain."""
    domain, venue.domain = venue.domain, Domain(venue.genesis.chain_id, b"\x11" * 20)
    params = sign_place(venue, MAKER)
    venue.domain = domain
    return await wire.ask("private/buy", params)


async def malleate(venue: TestVenue, wire: Wire) -> Reply:
    """Send the twin of a valid signature, with high s."""
    params = sign_place(venue, MAKER)
    raw = bytes.fromhex(params["signature"][2:])
    order = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
    high = order - int.from_bytes(raw[32:64], "big")
    twin = raw[:32] + high.to_bytes(32, "big") + bytes([55 - raw[64]])
    return await wire.ask("private/buy", params | {"signature": "0x" + twin.hex()})


async def trade_expired(venue: TestVenue, wire: Wire) -> Reply:
    """Order an option whose expiry has passed."""
    venue.clock.ahead_ns += 40 * DAY_NS
    await venue.submit(CommandKind.TICK)
    return await wire.ask("private/buy", sign_place(venue, MAKER, venue.option))


async def trade_stale(venue: TestVenue, wire: Wire) -> Reply:
    """Order with an index that is too old."""
    venue.clock.ahead_ns += 301 * NS_PER_S
    return await wire.ask("private/buy", sign_place(venue, MAKER))


async def cancel_foreign(venue: TestVenue, wire: Wire) -> Reply:
    """Cancel another account's order."""
    reply = await wire.ask("private/buy", sign_place(venue, MAKER))
    order_id = reply["result"]["order"]["order_id"]
    signed = sign(venue, TAKER, CommandKind.CANCEL, order_id=int(order_id))
    return await wire.ask("private/cancel", signed | {"order_id": order_id})


async def cancel_unknown(venue: TestVenue, wire: Wire) -> Reply:
    """Cancel an order that never was."""
    signed = sign(venue, MAKER, CommandKind.CANCEL, order_id=999)
    return await wire.ask("private/cancel", signed | {"order_id": "999"})


async def edit_unknown(venue: TestVenue, wire: Wire) -> Reply:
    """Edit an order that never was."""
    signed = sign(venue, MAKER, CommandKind.REPLACE, order_id=999, lots=1, price_ticks=1)
    return await wire.ask("private/edit", signed | {"order_id": "999", "amount": 0.001, "price": 2.5})


async def cross_post_only(venue: TestVenue, wire: Wire) -> Reply:
    """Post an order that would match."""
    assert "result" in await wire.ask("private/sell", sign_place(venue, MAKER, side=1))
    return await wire.ask("private/buy", sign_place(venue, TAKER, time_in_force=2))


async def overfill(venue: TestVenue, wire: Wire) -> Reply:
    """Place orders until the venue's only 512 slots are taken."""
    for at in range(512):
        reply = await wire.ask("private/buy", sign_place(venue, MAKER, lots=1, ticks=1 + at))
        assert "result" in reply, reply
    return await wire.ask("private/buy", sign_place(venue, MAKER, lots=1, ticks=1))


async def exceed_gross(venue: TestVenue, wire: Wire) -> Reply:
    """Bid for more lots at the lowest price than one account may have open."""
    for _ in range(16):
        reply = await wire.ask("private/buy", sign_place(venue, MAKER, venue.option, lots=1 << 20, ticks=1))
        assert "result" in reply, reply
    return await wire.ask("private/buy", sign_place(venue, MAKER, venue.option, lots=1, ticks=1))


def withdraw(key: Any, amount: str, atoms: int, **change: Any) -> Send:
    """Send private/withdraw."""

    async def send(venue: TestVenue, wire: Wire) -> Reply:
        signed = sign(venue, key, CommandKind.WITHDRAW, amount_atoms=atoms)
        return await wire.ask("private/withdraw", signed | {"amount": amount} | change)

    return send


async def withdraw_margin(venue: TestVenue, wire: Wire) -> Reply:
    """Withdraw what margins an open order."""
    assert "result" in await wire.ask("private/buy", sign_place(venue, MAKER, lots=10_000))
    return await withdraw(MAKER, "20000000", 20_000_000 * USDC)(venue, wire)


async def subscribe_too_much(venue: TestVenue, wire: Wire) -> Reply:
    """Subscribe to more channels than a connection may."""
    groups = [f"book.{PERPETUAL}.{group}.{depth}.raw" for group in range(5, 500, 5) for depth in (1, 10, 20)]
    venue.server.venue.limits = ServerLimits(subscriptions_per_connection=20)
    return await wire.ask("public/subscribe", {"channels": groups[:100]})


def expire(venue: TestVenue) -> int:
    """A moment that has passed."""
    return venue.clock() - 1


ROWS: list[tuple[str, Send, Code | AccessCode]] = [
    # At the door.
    ("a 10 MB frame", say(" " * 10_000_000), AccessCode.MESSAGE_TOO_LARGE),
    ("a frame of exactly the limit", say(" " * 32_768), AccessCode.MESSAGE_TOO_LARGE),
    ("not JSON", say("{"), AccessCode.JSON_MALFORMED),
    ("a list", say("[]"), AccessCode.JSON_MALFORMED),
    ("NaN", say('{"method":"public/test","params":{"x":NaN}}'), AccessCode.JSON_MALFORMED),
    (
        "a deep nest",
        say('{"method":"public/test","params":' + "[" * 20_000 + "]" * 20_000 + "}"),
        AccessCode.MESSAGE_TOO_LARGE,
    ),
    (
        "a nest",
        say('{"method":"public/test","params":' + "[" * 10_000 + "]" * 10_000 + "}"),
        AccessCode.JSON_MALFORMED,
    ),
    (
        "an id of 5,000 digits",
        say('{"method":"public/test","id":' + "9" * 5_000 + "}"),
        AccessCode.JSON_MALFORMED,
    ),
    ("a lone surrogate", say('{"method":"\\ud800"}'), AccessCode.JSON_MALFORMED),
    ("another protocol", say('{"method":"public/test","jsonrpc":"1.0"}'), AccessCode.JSON_MALFORMED),
    ("no method", say("{}"), AccessCode.METHOD_NOT_FOUND),
    ("an unknown method", ask("public/get_rich"), AccessCode.METHOD_NOT_FOUND),
    ("a missing parameter", ask("public/ticker"), AccessCode.PARAMETER_INVALID),
    ("a parameter of the wrong type", ask("public/ticker", instrument_name=1), AccessCode.PARAMETER_INVALID),
    ("an amount in words", place(change={"amount": "ten"}), AccessCode.PARAMETER_INVALID),
    ("an amount in foreign digits", place(change={"amount": "\u0661"}), AccessCode.PARAMETER_INVALID),
    ("an amount of 1e300", place(change={"amount": 1e300}), AccessCode.PARAMETER_INVALID),
    ("a market order with a price", place(change={"type": "market"}), AccessCode.PARAMETER_INVALID),
    ("a limit order without a price", place(change={"price": None}), AccessCode.PARAMETER_INVALID),
    ("an unknown type", place(change={"type": "market_limit"}), AccessCode.PARAMETER_INVALID),
    ("good until today", place(change={"time_in_force": "good_til_day"}), AccessCode.PARAMETER_INVALID),
    ("a date without a date", place(change={"time_in_force": "good_til_date"}), AccessCode.PARAMETER_INVALID),
    ("a date in 10,000 years", place(change={"valid_until": 1 << 50}), AccessCode.PARAMETER_INVALID),
    ("a hidden order", place(change={"display_amount": 0}), AccessCode.PARAMETER_INVALID),
    ("two displays", place(change={"display_amount": 1, "max_show": 1}), AccessCode.PARAMETER_INVALID),
    ("half a lot shown", place(change={"display_amount": 0.0005}), AccessCode.SIZE_OFF_LOT),
    ("a trade with oneself", place(change={"self_trading_mode": "wash"}), AccessCode.PARAMETER_INVALID),
    ("a price in dollars", place(change={"advanced": "usd"}), AccessCode.PARAMETER_INVALID),
    ("a protected single order", place(change={"mmp": True}), AccessCode.PARAMETER_INVALID),
    ("a linked order type", place(change={"linked_order_type": "one"}), AccessCode.PARAMETER_INVALID),
    ("a trigger on a limit", place(change={"trigger": "index_price"}), AccessCode.PARAMETER_INVALID),
    ("a stop without a trigger", place(change={"type": "stop_limit"}), AccessCode.PARAMETER_INVALID),
    (
        "a stop without a price",
        place(change={"type": "stop_limit", "trigger": "mark_price"}),
        AccessCode.PARAMETER_INVALID,
    ),
    (
        "a stop with a trail",
        place(
            change={"type": "stop_limit", "trigger": "mark_price", "trigger_price": 1, "trigger_offset": 1}
        ),
        AccessCode.PARAMETER_INVALID,
    ),
    (
        "a trigger below an atom",
        place(change={"type": "stop_limit", "trigger": "index_price", "trigger_price": "0.0000001"}),
        AccessCode.PARAMETER_INVALID,
    ),
    (
        "a post-only order that does not wait",
        place(time_in_force=1, change={"post_only": True}),
        AccessCode.PARAMETER_INVALID,
    ),
    ("a label of 65 characters", place(change={"label": "x" * 65}), AccessCode.PARAMETER_INVALID),
    ("half a signature", place(change={"signature": "0x1234"}), AccessCode.PARAMETER_INVALID),
    ("a nonce beyond int64", place(change={"nonce": 1 << 63}), AccessCode.PARAMETER_INVALID),
    ("a heartbeat every second", ask("public/set_heartbeat", interval=1), AccessCode.PARAMETER_INVALID),
    (
        "a withdrawal to a stranger",
        withdraw(MAKER, "1", USDC, address="0x" + "22" * 20),
        AccessCode.PARAMETER_INVALID,
    ),
    ("a seventh decimal of a dollar", withdraw(MAKER, "0.0000001", 1), AccessCode.PARAMETER_INVALID),
    ("a private read without a login", ask("private/get_positions"), AccessCode.UNAUTHORIZED),
    ("an unknown token", ask("private/get_positions", access_token="x"), AccessCode.UNAUTHORIZED),
    ("a price between ticks", place(change={"price": 50_001}), AccessCode.PRICE_OFF_TICK),
    ("a price with a crumb", place(change={"price": "50000.000001"}), AccessCode.PRICE_OFF_TICK),
    ("half a lot", place(change={"amount": 0.0005}), AccessCode.SIZE_OFF_LOT),
    ("another chain", place(change={"chain_id": 1}), AccessCode.CHAIN_ID_MISMATCH),
    ("too many subscriptions", subscribe_too_much, AccessCode.TOO_MANY_REQUESTS),
    # Who speaks.
    (
        "another's signature",
        place(change={"account": lambda venue: sign_place(venue, TAKER)["account"]}),
        Code.SIGNATURE_INVALID,
    ),
    ("a price that was not signed", place(change={"price": 50_002.5}), Code.SIGNATURE_INVALID),
    ("a signature for another contract", sign_elsewhere, Code.SIGNATURE_INVALID),
    ("a malleated signature", malleate, Code.SIGNATURE_INVALID),
    ("a signature of zeros", place(change={"signature": "0x" + "00" * 65}), Code.SIGNATURE_INVALID),
    ("a wallet without a deposit", place(STRANGER), Code.ACCOUNT_NOT_FOUND),
    ("the zero address", place(change={"account": "0x" + "00" * 20}), Code.ACCOUNT_NOT_FOUND),
    ("an expired signature", place(expires_ns=expire), Code.SIGNATURE_EXPIRED),
    ("the same bytes again", replay_nonce, Code.NONCE_REPLAYED),
    ("nonce zero", place(nonce=0), Code.NONCE_REPLAYED),
    # The market.
    (
        "an unknown instrument",
        place(change={"instrument_name": "BTC_USDC-1JAN99-1-C"}),
        Code.INSTRUMENT_NOT_FOUND,
    ),
    ("an expired option", trade_expired, Code.INSTRUMENT_CLOSED),
    ("zero size", place(lots=0), Code.SIZE_NOT_POSITIVE),
    ("a negative size", place(change={"amount": -0.01}), Code.SIZE_NOT_POSITIVE),
    ("one lot more than the maximum", place(lots=(1 << 20) + 1), Code.SIZE_ABOVE_MAXIMUM),
    ("price zero", place(ticks=0), Code.PRICE_NOT_POSITIVE),
    ("a negative price", place(change={"price": -2.5}), Code.PRICE_NOT_POSITIVE),
    ("one tick above the book", place(ticks=1 << 18), Code.PRICE_ABOVE_MAXIMUM),
    ("an order that never was", cancel_unknown, Code.ORDER_NOT_FOUND),
    ("an edit of one that never was", edit_unknown, Code.ORDER_NOT_FOUND),
    ("another's order", cancel_foreign, Code.ORDER_NOT_OWNED),
    ("an option without a mark", place(instrument_name=lambda venue: venue.unmarked), Code.MARK_UNAVAILABLE),
    ("a stale index", trade_stale, Code.MARK_STALE),
    ("a full venue", overfill, Code.TABLE_FULL),
    ("more than the gross limit", exceed_gross, Code.GROSS_LIMIT),
    ("a post-only order that crosses", cross_post_only, Code.POST_ONLY_WOULD_CROSS),
    ("more than the equity", place(PAUPER, lots=1000), Code.INITIAL_MARGIN_INSUFFICIENT),
    # Money.
    ("a withdrawal of nothing", withdraw(MAKER, "0", 0), Code.AMOUNT_NOT_POSITIVE),
    ("a withdrawal of more than there is", withdraw(PAUPER, "21", 21 * USDC), Code.CASH_INSUFFICIENT),
    ("a withdrawal of margin", withdraw_margin, Code.INITIAL_MARGIN_INSUFFICIENT),
]


@pytest.mark.parametrize(
    ("send", "code"), [row[1:] for row in ROWS], ids=[row[0].replace(" ", "-") for row in ROWS]
)
def test_refusal(send: Send, code: Code | AccessCode, tmp_path: Path) -> None:
    """Each code is reachable through the API and says its reason and what was expected."""

    async def scenario() -> None:
        async with run_venue(tmp_path) as venue, open_wire(venue) as wire:
            reply = await send(venue, wire)
            assert (
                code.name.lower() == reply.get("error", reply.get("result", {})).get("data", reply)["reason"]
            )
            assert JSONRPC_NUMBER[code] == reply["error"]["code"]
            assert EXPECTED[code] == reply["error"]["data"]["expected"]
            assert "Traceback" not in str(reply)
            assert 0 == venue.server.counters.internal_errors
            assert 1 <= venue.server.counters.refusals[code.name.lower()]

    asyncio.run(scenario())
