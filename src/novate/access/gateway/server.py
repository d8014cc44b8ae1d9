"""The gateway's door: Deribit's three HTTP forms and its WebSocket, for bots on the same machine.

Reads are handed to the venue as they came, with the gateway's own token in place of the bot's credentials;
writes are signed by the desk.
"""

import asyncio
import logging
from typing import Any

import aiohttp
from aiohttp import web

from novate.access.errors import ApiError
from novate.access.gateway.credentials import Doorkeeper, Grant
from novate.access.gateway.desk import GatewayDesk
from novate.access.gateway.relay import Relay, check_right, read_params, require_grant
from novate.access.gateway.replies import encode_answer, encode_error
from novate.access.gateway.translation import TRANSLATIONS
from novate.access.wire import MESSAGE_BYTES_MAX, Request, decode_request, read_clock_us
from novate.protocol.generated.codes import AccessCode

BOTS_MAX = 64
PING_S = 20.0
CLOSE_S = 2.0
VENUE_TIMEOUT_S = 10.0
API = "/api/v2"
log = logging.getLogger("novate.gateway")


class GatewayServer:
    """One gateway's server. `url` of the venue is the WebSocket's, as the desk has it."""

    def __init__(self, desk: GatewayDesk, doorkeeper: Doorkeeper) -> None:
        self.desk = desk
        self.doorkeeper = doorkeeper
        self.base = make_http_url(desk.client.url)
        self.session: aiohttp.ClientSession | None = None
        self.runner: web.AppRunner | None = None
        self.relays: set[Relay] = set()
        self.port = 0
        self.app = web.Application(client_max_size=MESSAGE_BYTES_MAX)
        self.app.add_routes(
            [
                web.post(API, self.handle_post),
                web.post(API + "/", self.handle_post),
                web.get(API + "/{scope}/{name}", self.handle_get),
                web.post(API + "/{scope}/{name}", self.handle_post),
                web.get("/ws/api/v2", self.handle_socket),
            ]
        )

    async def start(self, host: str, port: int) -> None:
        """Listen; port 0 takes a free one, which `port` then names."""
        self.session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=VENUE_TIMEOUT_S))
        self.runner = web.AppRunner(self.app, access_log=None, handle_signals=False, shutdown_timeout=CLOSE_S)
        await self.runner.setup()
        await web.TCPSite(self.runner, host, port, backlog=64).start()
        self.port = int(self.runner.addresses[0][1])

    async def stop(self) -> None:
        """Close every bot's connection and the port."""
        await asyncio.gather(*(relay.bot.close() for relay in self.relays), return_exceptions=True)
        if self.runner is not None:
            await self.runner.cleanup()
        if self.session is not None:
            await self.session.close()

    async def handle_get(self, request: web.Request) -> web.Response:
        """Answer GET /api/v2/{scope}/{name}?parameters; every value is text."""
        method = f"{request.match_info['scope']}/{request.match_info['name']}"
        return await self.answer(request, Request(method), dict(request.query), "")

    async def handle_post(self, request: web.Request) -> web.Response:
        """Answer POST with a JSON-RPC body; its method may be in the path too."""
        us_in = read_clock_us()
        envelope = Request()
        try:
            body = await request.read()
            envelope = decode_request(body)
            if not envelope.method and "name" in request.match_info:
                envelope.method = f"{request.match_info['scope']}/{request.match_info['name']}"
            params = read_params(envelope)
        except web.HTTPRequestEntityTooLarge:
            refusal = ApiError(AccessCode.MESSAGE_TOO_LARGE)
            return respond(encode_error(envelope.id, envelope.method, refusal, us_in), 413)
        except ApiError as error:
            return respond(encode_error(envelope.id, envelope.method, error, us_in), 400)
        return await self.answer(request, envelope, params, body.decode(errors="replace"))

    async def answer(
        self, request: web.Request, envelope: Request, params: dict[str, Any], body: str
    ) -> web.Response:
        """Log in, sign, or pass on."""
        us_in, method = read_clock_us(), envelope.method
        try:
            if method == "public/auth":
                _, reply = self.doorkeeper.authenticate(params)
                return respond(encode_answer(envelope.id, reply, us_in), 200)
            grant = self.identify(request, params, body)
            if method in TRANSLATIONS:
                translation, bot = TRANSLATIONS[method], require_grant(grant)
                check_right(bot, translation.part)
                result = await self.desk.execute(bot, method, params, translation.scope, translation.run)
                return respond(encode_answer(envelope.id, result, us_in), 200)
            if method.startswith("private/"):
                require_grant(grant)
            return await self.pass_on(request, params, body)
        except aiohttp.ClientError as error:
            log.warning("the venue could not be asked for %s: %s", method[:80], error)
            return respond(encode_error(envelope.id, method, TimeoutError(), us_in), 400)
        except Exception as error:
            return respond(encode_error(envelope.id, method, error, us_in), 400)

    def identify(self, request: web.Request, params: dict[str, Any], body: str) -> Grant | None:
        """Return the bot's grant, by its header or the token in the parameters; None if it shows nothing."""
        header = request.headers.get("Authorization", "")
        grant = self.doorkeeper.identify(header, request.method, request.raw_path, body)
        token = params.pop("access_token", None)
        if grant is None and token is not None:
            grant = self.doorkeeper.find(str(token))
        return grant

    async def pass_on(self, request: web.Request, params: dict[str, Any], body: str) -> web.Response:
        """Return the venue's answer to a read."""
        assert self.session is not None, "Condition failed: start comes first."
        headers = {"Authorization": f"Bearer {await self.desk.get_token()}"}
        if request.method == "POST":
            headers["Content-Type"] = "application/json"
        query = params if request.method == "GET" else None
        async with self.session.request(
            request.method, self.base + request.path, params=query, data=body or None, headers=headers
        ) as answer:
            return respond(await answer.read(), answer.status)

    async def handle_socket(self, request: web.Request) -> web.StreamResponse:
        """Serve one bot's WebSocket."""
        if len(self.relays) >= BOTS_MAX:
            text = f"this gateway serves at most {BOTS_MAX} bots"
            refusal = ApiError(AccessCode.TOO_MANY_REQUESTS, text)
            return respond(encode_error(None, "", refusal, read_clock_us()), 503)
        grant = self.identify(request, {}, "")
        socket = web.WebSocketResponse(
            max_msg_size=MESSAGE_BYTES_MAX, compress=False, heartbeat=PING_S, timeout=CLOSE_S
        )
        await socket.prepare(request)
        relay = Relay(self.desk, self.doorkeeper, socket, grant)
        self.relays.add(relay)
        assert self.session is not None, "Condition failed: start comes first."
        try:
            await relay.serve(self.session)
        except aiohttp.ClientError as error:
            log.warning("a bot's connection to the venue ended: %s", error)
            await socket.close(code=aiohttp.WSCloseCode.TRY_AGAIN_LATER, message=b"the venue is out of reach")
        finally:
            self.relays.discard(relay)
        return socket


def make_http_url(url: str) -> str:
    """Return the venue's HTTP address of its WebSocket's, such as http://host:port of ws://host:port/ws/api/v2."""
    scheme, _, rest = url.partition("://")
    return f"{'https' if scheme == 'wss' else 'http'}://{rest.split('/')[0]}"


def respond(body: bytes, status: int) -> web.Response:
    """Return a JSON response that no one stores."""
    headers = {"Cache-Control": "no-store"}
    return web.Response(body=body, status=status, content_type="application/json", headers=headers)
