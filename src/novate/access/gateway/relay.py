"""One bot's WebSocket: its writes are signed here, everything else goes through to a connection of its own.

The bot's connection to the venue is as long as the bot's to the gateway, so streams, their snapshots and
their order are the venue's, byte for byte.
"""

import asyncio
import logging
import secrets
from typing import Any

import aiohttp
import msgspec
from aiohttp import WSMsgType, web

from novate.access.client_errors import ConnectionLost, VenueError
from novate.access.errors import ApiError
from novate.access.gateway.credentials import Doorkeeper, Grant
from novate.access.gateway.desk import GatewayDesk
from novate.access.gateway.policy import LimitExceeded
from novate.access.gateway.replies import encode_answer, encode_error
from novate.access.gateway.translation import TRANSLATIONS
from novate.access.wire import Request, decode_request, read_clock_us
from novate.protocol.generated.codes import AccessCode

WRITES_MAX = 256
UPSTREAM_BYTES_MAX = 16 << 20
LOGIN_TIMEOUT_S = 10.0
OWN_ID = "novate-gateway-login"
log = logging.getLogger("novate.gateway")


class Relay:
    """Serves one bot until it leaves."""

    def __init__(
        self, desk: GatewayDesk, doorkeeper: Doorkeeper, bot: web.WebSocketResponse, grant: Grant | None
    ) -> None:
        self.desk = desk
        self.doorkeeper = doorkeeper
        self.bot = bot
        self.grant = grant
        self.upstream: aiohttp.ClientWebSocketResponse | None = None
        self.writing = asyncio.Semaphore(WRITES_MAX)
        self.tasks: set[asyncio.Task[None]] = set()
        self.logged_in: asyncio.Future[None] | None = None
        self.cancels_on_disconnect = False

    async def serve(self, session: aiohttp.ClientSession) -> None:
        """Relay both ways until either side ends."""
        timeout = aiohttp.ClientWSTimeout(ws_close=2.0)
        async with session.ws_connect(
            self.desk.client.url, max_msg_size=UPSTREAM_BYTES_MAX, timeout=timeout
        ) as self.upstream:
            down = asyncio.create_task(self.run_down(), name="down")
            up = asyncio.create_task(self.run_up(), name="up")
            try:
                if self.grant is not None:
                    await self.log_in()
                await asyncio.wait((down, up), return_when=asyncio.FIRST_COMPLETED)
            finally:
                for task in (down, up):
                    task.cancel()
                await asyncio.gather(down, up, return_exceptions=True)
                await self.end()

    async def end(self) -> None:
        """Finish the writes that were taken, and cancel the bot's orders if it asked for that."""
        if self.tasks:
            await asyncio.gather(*self.tasks, return_exceptions=True)
        if self.cancels_on_disconnect and self.grant is not None:
            translation = TRANSLATIONS["private/cancel_all"]
            try:
                await self.desk.execute(
                    self.grant, "private/cancel_all", {}, translation.scope, translation.run
                )
            except (ApiError, VenueError, ConnectionLost, TimeoutError) as error:
                log.error("the orders of %s could not be cancelled: %s", self.grant.name, error)
        await self.bot.close()

    async def run_down(self) -> None:
        """Hand the venue's messages to the bot, but for the reply to the gateway's own login."""
        assert self.upstream is not None, "Condition failed: serve opens the connection."
        async for message in self.upstream:
            if message.type is not WSMsgType.TEXT:
                continue
            if self.logged_in is not None and not self.logged_in.done() and OWN_ID in message.data:
                self.note_login(message.data)
            else:
                await self.bot.send_str(message.data)

    def note_login(self, text: str) -> None:
        """Note how the gateway's login of this connection ended."""
        assert self.logged_in is not None, "Condition failed: a login is under way."
        reply = msgspec.json.decode(text, type=dict[str, Any])
        if "error" in reply:
            error = reply["error"]
            data = error.get("data") or {}
            self.logged_in.set_exception(
                VenueError("public/auth", error["code"], str(error["message"]), data)
            )
        else:
            self.logged_in.set_result(None)

    async def log_in(self) -> None:
        """Let this connection read the account and its streams."""
        if self.logged_in is None:
            assert self.upstream is not None, "Condition failed: serve opens the connection."
            self.logged_in = asyncio.get_running_loop().create_future()
            params = self.desk.sign_login(secrets.token_hex(16))
            request = {"jsonrpc": "2.0", "id": OWN_ID, "method": "public/auth", "params": params}
            await self.upstream.send_str(msgspec.json.encode(request).decode())
        await asyncio.wait_for(asyncio.shield(self.logged_in), LOGIN_TIMEOUT_S)

    async def run_up(self) -> None:
        """Take the bot's requests until it leaves."""
        async for message in self.bot:
            us_in = read_clock_us()
            if message.type is not WSMsgType.TEXT:
                continue
            request = Request()
            try:
                request = decode_request(message.data.encode())
                await self.take(request, message.data, us_in)
            except Exception as error:
                await self.bot.send_str(encode_error(request.id, request.method, error, us_in).decode())

    async def take(self, request: Request, text: str, us_in: int) -> None:
        """Take one request: log in, sign, or pass on."""
        params = read_params(request)
        token = params.pop("access_token", None)
        grant = self.grant if token is None else self.doorkeeper.find(str(token))
        if request.method == "public/auth":
            self.grant, reply = self.doorkeeper.authenticate(params)
            await self.log_in()
            await self.answer(request, reply, us_in)
        elif request.method in TRANSLATIONS:
            writer = require_grant(grant)
            await self.writing.acquire()
            task = asyncio.create_task(self.write(writer, request, params, us_in))
            self.tasks.add(task)
            task.add_done_callback(self.finish)
        else:
            if request.method.startswith("private/"):
                require_grant(grant)
                await self.log_in()
            await self.pass_on(request, params, text, token is not None)

    def finish(self, task: "asyncio.Task[None]") -> None:
        """Give the place of a write back."""
        self.tasks.discard(task)
        self.writing.release()

    async def pass_on(self, request: Request, params: dict[str, Any], text: str, changed: bool) -> None:
        """Send a request to the venue, as it came if it need not change."""
        assert self.upstream is not None, "Condition failed: serve opens the connection."
        if changed:
            outgoing = {"jsonrpc": "2.0", "id": request.id, "method": request.method, "params": params}
            text = msgspec.json.encode(outgoing).decode()
        await self.upstream.send_str(text)

    async def write(self, grant: Grant, request: Request, params: dict[str, Any], us_in: int) -> None:
        """Sign one request and answer it."""
        translation = TRANSLATIONS[request.method]
        try:
            check_right(grant, translation.part)
            result = await self.desk.execute(
                grant, request.method, params, translation.scope, translation.run
            )
        except Exception as error:
            await self.bot.send_str(encode_error(request.id, request.method, error, us_in).decode())
            return
        if request.method.endswith("able_cancel_on_disconnect"):
            self.cancels_on_disconnect = request.method.startswith("private/enable")
        await self.answer(request, result, us_in)

    async def answer(self, request: Request, result: object, us_in: int) -> None:
        """Answer the bot."""
        await self.bot.send_str(encode_answer(request.id, result, us_in).decode())


def read_params(request: Request) -> dict[str, Any]:
    """Return the parameters of a request; ApiError unless they are an object or absent."""
    raw = bytes(request.params)
    if raw in (b"", b"null", b"[]"):
        return {}
    try:
        return msgspec.json.decode(raw, type=dict[str, Any])
    except (msgspec.MsgspecError, RecursionError) as error:
        raise ApiError(AccessCode.PARAMETER_INVALID, "params must be an object") from error


def require_grant(grant: Grant | None) -> Grant:
    """Return a grant, or raise UNAUTHORIZED."""
    if grant is None:
        raise ApiError(AccessCode.UNAUTHORIZED, "log in first: public/auth with client_id and client_secret")
    return grant


def check_right(grant: Grant, part: str) -> None:
    """Raise UNAUTHORIZED unless a bot may write in a part of the API."""
    if not grant.may_write(part):
        raise LimitExceeded(f"{grant.name} has no scope {part}:read_write")
