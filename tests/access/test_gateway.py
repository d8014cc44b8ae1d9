"""The gateway: bots that speak plain Deribit log in, read and trade; nothing is signed beyond its limits."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import hmac
import json
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, NamedTuple

import aiohttp
import pytest

from novate.access.client_signing import KeySigner
from novate.access.errors import ApiError
from novate.access.gateway.audit import AuditError, AuditLog, check_lines
from novate.access.gateway.credentials import Credential, Doorkeeper, read_rights
from novate.access.gateway.desk import GatewayDesk, read_clock_ms
from novate.access.gateway.keystore import KeystoreError, create_keystore, open_keystore, read_address_of
from novate.access.gateway.policy import KeyTerms, Policy, PolicyLimits
from novate.access.gateway.server import GatewayServer
from novate.access.gateway.translation import TRANSLATIONS
from novate.protocol.signing import compute_address

from .desk import HELPER, address_of, open_floor, soon
from .harness import MAKER, PERPETUAL, TestVenue, Wire

SECRET = "the secret of a bot, long"
RIGHTS = "account:read_write trade:read_write wallet:read_write"
Row = dict[str, Any]


class Gate(NamedTuple):
    """A running gateway, its venue, and the log that it keeps."""

    venue: TestVenue
    server: GatewayServer
    log: Path
    session: aiohttp.ClientSession

    async def get(self, method: str, signed: bool = True, **query: str) -> Row:
        """GET as ccxt does, with Deribit's header."""
        uri = f"/api/v2/{method}" + ("?" + "&".join(f"{k}={v}" for k, v in query.items()) if query else "")
        headers = {"Authorization": sign_header("GET", uri)} if signed else {}
        async with self.session.get(uri, headers=headers) as response:
            return await response.json()

    async def post(self, method: str, params: Row, **headers: str) -> Row:
        """POST a JSON-RPC body."""
        body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        async with self.session.post("/api/v2", json=body, headers=headers) as response:
            return await response.json()

    def read_log(self) -> list[Row]:
        """The audit log's lines."""
        return [json.loads(line) for line in self.log.read_text().splitlines()]


def sign_header(method: str, uri: str, body: str = "", name: str = "bot", secret: str = SECRET) -> str:
    """The header deri-hmac-sha256 of a request."""
    stamp, nonce = str(read_clock_ms()), str(time.perf_counter_ns())
    text = f"{stamp}\n{nonce}\n{method}\n{uri}\n{body}\n"
    mac = hmac.new(secret.encode(), text.encode(), hashlib.sha256).hexdigest()
    return f"deri-hmac-sha256 id={name},ts={stamp},sig={mac},nonce={nonce}"


@contextlib.asynccontextmanager
async def open_gate(
    folder: Path, limits: PolicyLimits | None = None, scope: str = "trade cancel quote", **key_limits: Any
) -> AsyncIterator[Gate]:
    """A gateway that signs for the maker with the helper's key."""
    async with open_floor(folder / "venue") as (venue, maker, _, _, _):
        await maker.authorize_key(address_of(HELPER), scope, soon(venue), **key_limits)
        log = folder / "audit.jsonl"
        audit = AuditLog(log)
        desk = GatewayDesk(venue.url, KeySigner(HELPER), address_of(MAKER), limits or PolicyLimits(), audit)
        credentials = {
            "bot": Credential("bot", SECRET.encode(), read_rights(RIGHTS)),
            "reader": Credential("reader", SECRET.encode(), read_rights("account:read")),
        }
        server = GatewayServer(desk, Doorkeeper(credentials, read_clock_ms))
        await desk.connect()
        await server.start("127.0.0.1", 0)
        try:
            async with aiohttp.ClientSession(f"http://127.0.0.1:{server.port}") as session:
                yield Gate(venue, server, log, session)
        finally:
            await server.stop()
            await desk.close()
            audit.close()


def test_a_bot_trades_over_http(tmp_path: Path) -> None:
    """Texts of a query become a signed order; editing counts what is filled; the answers are the venue's."""

    async def scenario() -> None:
        async with open_gate(tmp_path) as gate:
            placed = await gate.get(
                "private/buy", instrument_name=PERPETUAL, amount="0.02", price="49000.0", post_only="true"
            )
            order = placed["result"]["order"]
            assert ("open", True) == (order["order_state"], order["post_only"])
            moved = await gate.get("private/edit", order_id=order["order_id"], amount="0.03", price="48000")
            assert (0.03, 48_000.0) == tuple(moved["result"]["order"][name] for name in ("amount", "price"))
            rows = await gate.get("private/get_open_orders", currency="BTC")
            assert [order["order_id"]] == [row["order_id"] for row in rows["result"]]
            assert 1 == (await gate.get("private/cancel_all"))["result"]
            assert "result" in await gate.get("public/ticker", signed=False, instrument_name=PERPETUAL)
            basic = "Basic " + base64.b64encode(f"bot:{SECRET}".encode()).decode()
            bought = await gate.post(
                "private/buy",
                {"instrument_name": PERPETUAL, "amount": 0.01, "price": 49_000, "label": "x"},
                Authorization=basic,
            )
            label = {"label": "x", "instrument_name": PERPETUAL, "amount": 0.02, "price": 47_000}
            edited = await gate.post("private/edit_by_label", label, Authorization=basic)
            assert bought["result"]["order"]["order_id"] == edited["result"]["order"]["order_id"]
            count = await gate.post(
                "private/cancel_all_by_currency", {"currency": "BTC"}, Authorization=basic
            )
            assert 1 == count["result"]
        events = [row["event"] for row in gate.read_log() if row["bot"] == "bot"]
        assert ["signing", "accepted"] * 6 == events

    asyncio.run(scenario())


def test_a_bot_streams_and_trades_over_websocket(tmp_path: Path) -> None:
    """Streams are the venue's; own orders arrive after the login; orders end with the bot if it asked."""

    async def scenario() -> None:
        async with open_gate(tmp_path) as gate:
            async with gate.session.ws_connect("/ws/api/v2") as socket:
                bot = Wire(socket)
                refused = await bot.ask("private/get_positions", {"currency": "any"})
                assert 13_009 == refused["error"]["code"]
                login = {"grant_type": "client_credentials", "client_id": "bot", "client_secret": SECRET}
                answer = await bot.ask(
                    "public/auth", login | {"scope": "session:me account:read_write trade:read_write"}
                )
                assert "account:read_write trade:read_write session:me" == answer["result"]["scope"]
                await bot.ask("private/subscribe", {"channels": ["user.orders.any.any.raw", "nothing"]})
                bought = await bot.ask(
                    "private/buy", {"instrument_name": PERPETUAL, "amount": 0.01, "price": 49_000}
                )
                order_id = bought["result"]["order"]["order_id"]
                positions = await bot.ask("private/get_positions", {"currency": "any"})
                assert [] == positions["result"]
                token = answer["result"]["access_token"]
                state = await bot.ask(
                    "private/get_order_state", {"order_id": order_id, "access_token": token}
                )
                assert "open" == state["result"]["order_state"]
                assert (await bot.ask("private/enable_cancel_on_disconnect"))["result"]["enabled"]
            await wait_for(gate, lambda: not gate.venue.server.venue.ledger.open_orders)

    asyncio.run(scenario())


async def wait_for(gate: Gate, holds: Any) -> None:
    """Wait until something holds."""
    async with asyncio.timeout(5):
        while not holds():
            await asyncio.sleep(0.01)


def test_logins_are_checked(tmp_path: Path) -> None:
    """A wrong secret, a changed request, an old or repeated signature, a spent token: none opens the door."""
    now = [1_000_000_000]
    door = Doorkeeper({"bot": Credential("bot", SECRET.encode(), read_rights(RIGHTS))}, lambda: now[0])

    def sign_login(stamp: int, secret: str = SECRET) -> Row:
        mac = hmac.new(secret.encode(), f"{stamp}\nn\n".encode(), hashlib.sha256).hexdigest()
        grant = {"grant_type": "client_signature", "client_id": "bot", "timestamp": stamp}
        return grant | {"nonce": "n", "data": "", "signature": mac}

    grant, reply = door.authenticate(sign_login(now[0]))
    assert grant.may_write("trade")
    assert door.find(reply["access_token"]) == grant
    _, renewed = door.authenticate({"grant_type": "refresh_token", "refresh_token": reply["refresh_token"]})
    assert door.find(reply["access_token"]) is None
    narrow, _ = door.authenticate(sign_login(now[0] + 1) | {"scope": "trade:read wallet:none"})
    assert not narrow.may_write("trade")
    wrong = [
        sign_login(now[0]),
        sign_login(now[0] - 60_001),
        sign_login(now[0] + 2, "another secret"),
        sign_login(now[0] + 3) | {"data": "changed"},
        sign_login(now[0] + 4) | {"client_id": "nobody"},
        {"grant_type": "client_credentials", "client_id": "bot", "client_secret": SECRET + "x"},
        {"grant_type": "refresh_token", "refresh_token": reply["refresh_token"]},
        {"grant_type": "password"},
    ]
    for params in wrong:
        with pytest.raises(ApiError):
            door.authenticate(params)
    now[0] += 86_400_001
    assert door.find(renewed["access_token"]) is None


def test_nothing_is_signed_beyond_the_limits(tmp_path: Path) -> None:
    """Instruments, sizes and rates of the file, and the key's own scope and notional, are looked at first."""

    async def scenario() -> None:
        limits = PolicyLimits(instruments=["BTC_USDC-PERP*"], max_order_notional_usdc=2_000)
        async with open_gate(tmp_path, limits, "trade", max_notional=1_000, rate_per_minute=3) as gate:
            order = {"instrument_name": PERPETUAL, "amount": "0.01", "price": "49000"}
            cases: list[tuple[str, Row, str]] = [
                ("private/buy", order | {"instrument_name": gate.venue.option}, "matches none of"),
                ("private/buy", order | {"amount": "0.021"}, "is above 1000.0 USDC"),
                ("private/cancel_all", {}, "this needs 'cancel'"),
                ("private/withdraw", {"currency": "USDC", "amount": "1"}, "only the account's own wallet"),
                ("private/buy", order | {"price": "49000.01"}, "price must be"),
                ("private/buy", {"amount": "0.01"}, "missing required field `instrument_name`"),
            ]
            for method, params, expected in cases:
                answer = await gate.get(method, **params)
                assert expected in answer["error"]["message"], answer
            signed = [row for row in gate.read_log() if row["event"] == "signing" and row["bot"] == "bot"]
            assert [] == signed
            order["amount"] = "0.005"
            for _ in range(3):
                assert "result" in await gate.get("private/buy", **order)
            answer = await gate.get("private/buy", **order)
            assert (13_021, "3 commands were signed within a minute" in answer["error"]["message"]) == (
                answer["error"]["code"],
                True,
            )
            basic = "Basic " + base64.b64encode(f"reader:{SECRET}".encode()).decode()
            assert "result" in await gate.post(
                "private/get_positions", {"currency": "any"}, Authorization=basic
            )
            refused = await gate.post("private/buy", order, Authorization=basic)
            assert "reader has no scope trade:read_write" in refused["error"]["message"]

    asyncio.run(scenario())


def test_who_has_sent_too_much_can_take_it_back() -> None:
    """The file's own rate never stops a cancel; the key's does, because the law would refuse it anyway."""
    now = [0]
    policy = Policy(PolicyLimits(orders_per_minute=2), None, lambda: now[0])
    policy.count(False)
    policy.count(False)
    with pytest.raises(ApiError, match="2 commands were signed within a minute"):
        policy.count(False)
    policy.count(True)
    now[0] = 60_000
    policy.count(False)
    terms = KeyTerms("trade cancel", 1 << 60, rate_per_minute=1)
    keyed = Policy(PolicyLimits(), terms, lambda: now[0])
    keyed.count(False)
    with pytest.raises(ApiError, match="1 commands"):
        keyed.count(True)


def test_the_venues_refusals_come_through(tmp_path: Path) -> None:
    """What the law refuses has its code, message and figures, as if the bot had asked the venue itself."""

    async def scenario() -> None:
        async with open_gate(tmp_path) as gate:
            order = {"instrument_name": PERPETUAL, "amount": "0.01", "price": "49000.0"}
            answer = await gate.get("private/buy", reduce_only="true", **order)
            error = answer["error"]
            assert (11_137, "reduce_only_would_increase") == (error["code"], error["data"]["reason"])
            assert error["data"]["receipt"]["sequence"] > 0
        assert "rejected" == gate.read_log()[-1]["event"]

    asyncio.run(scenario())


def test_an_audit_log_shows_what_was_done_to_it(tmp_path: Path) -> None:
    """A line that is changed, cut or taken out is found; an untouched log is gone on with."""
    path = tmp_path / "audit.jsonl"
    for _ in range(2):
        log = AuditLog(path)
        for number in range(5):
            log.record(number, "signing", "bot", "private/buy", digest=f"0x{number}")
        log.close()
    assert [number for number, _ in check_lines(path)] == list(range(1, 11))
    lines = path.read_bytes().splitlines(keepends=True)
    tampered = [
        [*lines[:3], lines[3].replace(b"0x3", b"0x4"), *lines[4:]],
        [*lines[:3], *lines[4:]],
        [*lines[:3], lines[4], lines[3], *lines[5:]],
        [*lines[:-1], lines[-1][:-5]],
    ]
    for changed in tampered:
        path.write_bytes(b"".join(changed))
        with pytest.raises(AuditError):
            AuditLog(path)


def test_a_keystore_keeps_its_key(tmp_path: Path) -> None:
    """Only the password opens it; it is never replaced; a readable file or a short password is refused."""
    path = tmp_path / "session.json"
    address = create_keystore(path, "long enough")
    assert address == compute_address(open_keystore(path, "long enough").public_key)
    assert address == read_address_of(path)
    assert 0o600 == path.stat().st_mode & 0o777
    for wrong in ("long enougH", ""):
        with pytest.raises(KeystoreError, match="a wrong password"):
            open_keystore(path, wrong)
    with pytest.raises(KeystoreError, match="is not replaced"):
        create_keystore(path, "long enough")
    with pytest.raises(KeystoreError, match="at least 8"):
        create_keystore(tmp_path / "other", "short")
    path.chmod(0o644)
    with pytest.raises(KeystoreError, match="mode 0644"):
        open_keystore(path, "long enough")


def test_every_write_of_deribit_has_a_translation_or_a_refusal() -> None:
    """The gateway decides about each write itself, so that none goes through unsigned."""
    from novate.access.methods_write import WRITES

    ours = {"private/set_dead_man", "private/set_backstop", "private/insure"}
    blocks = {"private/execute_block_trade", "private/accept_block_rfq"}
    assert set() == set(WRITES) - set(TRANSLATIONS) - ours - blocks
