"""The server: JSON-RPC over HTTP and WebSocket, and the published folder, on one port.

HTTP in the three forms that clients use: POST /api/v2 with a JSON-RPC body, GET and POST /api/v2/{method}.
WebSocket at /ws/api/v2. Nothing here knows a method; it knows sizes, counts and rates.
"""

import asyncio
import contextlib
import logging
from collections import OrderedDict
from collections.abc import Callable, Iterable
from pathlib import Path

from aiohttp import WSCloseCode, web
from coincurve import PrivateKey

from novate.access.channels import Channel
from novate.access.combo_lister import ComboLister
from novate.access.connection import CLOSE_TIMEOUT_S, PING_S, BoundedSocket, Connection
from novate.access.disconnect_watch import DisconnectWatch
from novate.access.dispatch import METHOD_NAMES, Call, answer_call, encode_failure, refuse_method
from novate.access.errors import ApiError
from novate.access.limits import CreditBucket, ServerCounters, ServerLimits
from novate.access.market_payloads import Analytics
from novate.access.rfq_feed import RfqFeed
from novate.access.sessions import Session
from novate.access.venue import Venue
from novate.access.wire import TOKEN_DECODER, decode_parameters, decode_request, read_clock_us
from novate.execution.engine import Engine
from novate.execution.sequencer import Outcome, Sequencer
from novate.protocol.generated.codes import AccessCode
from novate.protocol.genesis import Genesis

PUBLISHED_NAMES = ("genesis.json", "commands.log", "batches.log", "chain.log", "HEAD")
BEARER = "Bearer "
KEY_WATCH_S = 0.5
logger = logging.getLogger("novate.access")


class HttpCaller:
    """The sender of one HTTP request, who has nothing to receive streams on."""

    def __init__(self, session: Session | None) -> None:
        self.session = session

    def refuse(self) -> ApiError:
        """Return the refusal of what needs a connection."""
        return ApiError(AccessCode.PARAMETER_INVALID, "this method needs a WebSocket connection: /ws/api/v2")

    def subscribe(self, channels: list[Channel]) -> list[str]:
        """Refuse: there is no connection."""
        raise self.refuse()

    def unsubscribe(self, names: list[str] | None) -> list[str]:
        """Refuse: there is no connection."""
        raise self.refuse()

    def set_heartbeat(self, interval_s: int) -> None:
        """Refuse: there is no connection."""
        raise self.refuse()

    def note_test(self) -> None:
        """An HTTP request has no heartbeat to answer."""


class VenueServer:
    """One venue's server. It listens to the sequencer from its construction on.

    `clock_ns` is the venue's clock in ns UTC; `analytics` fills Greeks and volatilities; `extra_routes` are
    added to the same port, the web page for one. With `operator_key` it lists combos that users ask for.
    """

    def __init__(
        self,
        engine: Engine,
        sequencer: Sequencer,
        genesis: Genesis,
        clock_ns: Callable[[], int],
        published_dir: Path | None = None,
        extra_routes: Iterable[web.AbstractRouteDef] = (),
        limits: ServerLimits | None = None,
        analytics: Analytics | None = None,
        testnet: bool = True,
        operator_key: PrivateKey | None = None,
    ) -> None:
        self.limits = limits or ServerLimits()
        bound = self.limits.combos_per_account
        lister = None if operator_key is None else ComboLister(operator_key, bound)
        self.venue = Venue(
            engine, sequencer, genesis, clock_ns, self.limits, analytics or Analytics(), testnet, lister
        )
        self.rfq_feed = RfqFeed(self.venue)
        self.watch = DisconnectWatch(self.venue)
        self.published_dir = published_dir
        self.connections: set[Connection] = set()
        self.buckets: OrderedDict[str, CreditBucket] = OrderedDict()
        self.runner: web.AppRunner | None = None
        self.tasks: list[asyncio.Task[None]] = []
        self.port = 0
        self.app = web.Application(client_max_size=self.limits.message_bytes)
        self.app.add_routes(
            [
                web.post("/api/v2", self.handle_post),
                web.post("/api/v2/", self.handle_post),
                web.get("/api/v2/{scope}/{name}", self.handle_get),
                web.post("/api/v2/{scope}/{name}", self.handle_post),
                web.get("/ws/api/v2", self.handle_socket),
                web.get("/published/{name}", self.handle_published),
                *extra_routes,
            ]
        )
        sequencer.listeners.append(self.on_outcomes)

    def on_outcomes(self, outcomes: list[Outcome]) -> None:
        """Show what happened. A fault in showing it is recorded; it must not stop the sequencer."""
        try:
            self.venue.feed.on_outcomes(outcomes)
            self.venue.rfqs.observe(outcomes)
            self.venue.history.observe(outcomes)
        except Exception:
            self.counters.internal_errors += 1
            logger.exception("could not show the outcomes from sequence %d on", outcomes[0].sequence)

    @property
    def counters(self) -> ServerCounters:
        """What has happened at the door since the start."""
        return self.venue.counters

    async def start(self, host: str, port: int) -> None:
        """Listen; port 0 takes a free one, which `port` then names."""
        self.runner = web.AppRunner(
            self.app, access_log=None, handle_signals=False, shutdown_timeout=CLOSE_TIMEOUT_S
        )
        await self.runner.setup()
        site = web.TCPSite(self.runner, host, port, backlog=512)
        await site.start()
        self.port = int(self.runner.addresses[0][1])
        runs = (self.venue.feed.run(), self.rfq_feed.run(), self.run_key_watch())
        self.tasks = [asyncio.create_task(run) for run in runs]
        self.watch.note_started()

    async def stop(self) -> None:
        """Close every connection and the port."""
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)
        closing = [
            connection.socket.close(code=1001, message=b"the venue stops") for connection in self.connections
        ]
        await asyncio.gather(*closing, return_exceptions=True)
        if self.runner is not None:
            await self.runner.cleanup()
        await self.watch.finish()
        self.venue.gate.close()

    async def run_key_watch(self) -> None:
        """Close, within a second, the connections of keys that were revoked or have expired."""
        while True:
            await asyncio.sleep(KEY_WATCH_S)
            lost = [connection for connection in self.connections if connection.has_lost_key()]
            closing = [
                connection.socket.close(code=WSCloseCode.POLICY_VIOLATION, message=b"the key is not active")
                for connection in lost
            ]
            await asyncio.gather(*closing, return_exceptions=True)

    def find_bucket(self, request: web.Request) -> CreditBucket:
        """Return the credits of a remote address.
        The one seen least recently is forgotten when there are too many.
        """
        remote = request.remote or ""
        bucket = self.buckets.pop(remote, None)
        if bucket is None:
            bucket = CreditBucket(self.limits.rate_per_s, self.limits.burst, self.venue.clock_ns())
        self.buckets[remote] = bucket
        while len(self.buckets) > self.limits.remotes:
            self.buckets.popitem(last=False)
        return bucket

    async def handle_get(self, request: web.Request) -> web.Response:
        """Answer GET /api/v2/{scope}/{name}?parameters."""
        call = Call(self.name_method(request), None, dict(request.query), read_clock_us())
        return await self.answer(request, call)

    async def handle_post(self, request: web.Request) -> web.Response:
        """Answer POST with a JSON-RPC body; a method in the path must be that of the body."""
        us_in = read_clock_us()
        call = Call(self.name_method(request), None, b"", us_in)
        try:
            body = await request.read()
            decoded = decode_request(body)
            method = decoded.method or call.method
            call = Call(method, decoded.id, bytes(decoded.params), us_in)
            if request.match_info.get("name") and method != self.name_method(request):
                raise ApiError(AccessCode.PARAMETER_INVALID, "the path and the body name different methods")
        except web.HTTPRequestEntityTooLarge:
            return self.refuse(call, ApiError(AccessCode.MESSAGE_TOO_LARGE), status=413)
        except ApiError as error:
            return self.refuse(call, error)
        return await self.answer(request, call)

    def name_method(self, request: web.Request) -> str:
        """Return the method that the path names, or nothing."""
        scope, name = request.match_info.get("scope"), request.match_info.get("name")
        return f"{scope}/{name}" if scope and name else ""

    async def answer(self, request: web.Request, call: Call) -> web.Response:
        """Answer one call within the remote's rate."""
        self.venue.counters.requests += 1
        bucket = self.find_bucket(request)
        if not bucket.take(call.us_in * 1000):
            return self.refuse(
                call, ApiError(AccessCode.TOO_MANY_REQUESTS, rate_per_s=bucket.rate_per_s), status=429
            )
        if call.method not in METHOD_NAMES:
            return self.refuse(call, refuse_method(call.method))
        reply, succeeded = await answer_call(self.venue, HttpCaller(self.find_session(request, call)), call)
        return self.respond(reply, 200 if succeeded else 400)

    def find_session(self, request: web.Request, call: Call) -> Session | None:
        """Return the session of the bearer token in the header or in the parameters."""
        header = request.headers.get("Authorization", "")
        token = header.removeprefix(BEARER) if header.startswith(BEARER) else ""
        if not token and isinstance(call.parameters, dict):
            token = call.parameters.get("access_token", "")
        elif not token and isinstance(call.parameters, bytes) and b"access_token" in call.parameters:
            with contextlib.suppress(
                ApiError
            ):  # The method's own decoder says what is wrong with its parameters.
                token = decode_parameters(call.parameters, TOKEN_DECODER).access_token
        return self.venue.sessions.find(token, self.venue.clock_ns()) if token else None

    def refuse(self, call: Call, error: ApiError, status: int = 400) -> web.Response:
        """Return a refusal as a response."""
        return self.respond(encode_failure(self.venue, call, error), status)

    def respond(self, body: bytes, status: int) -> web.Response:
        """Return a JSON response that no one stores."""
        headers = {"Cache-Control": "no-store"}
        return web.Response(body=body, status=status, content_type="application/json", headers=headers)

    async def handle_socket(self, request: web.Request) -> web.StreamResponse:
        """Serve one WebSocket connection."""
        call = Call("", None, b"", read_clock_us())
        transport = request.transport
        if len(self.connections) >= self.limits.connections or transport is None:
            self.venue.counters.connections_refused += 1
            error = ApiError(AccessCode.TOO_MANY_REQUESTS, "the venue has as many connections as it may")
            return self.refuse(call, error, status=503)
        socket = BoundedSocket(
            max_msg_size=self.limits.message_bytes,
            compress=False,
            heartbeat=PING_S,
            timeout=CLOSE_TIMEOUT_S,
            decode_text=False,
        )
        socket.say_farewell = lambda: encode_failure(self.venue, call, ApiError(AccessCode.MESSAGE_TOO_LARGE))
        await socket.prepare(request)
        connection = Connection(self.venue, socket, transport)
        self.connections.add(connection)
        try:
            await connection.serve()
        finally:
            self.connections.discard(connection)
            self.watch.note_closed(connection.logins, self.connections)
        return socket

    async def handle_published(self, request: web.Request) -> web.StreamResponse:
        """Serve one of the five files that a verifier reads."""
        name = request.match_info["name"]
        path = None if self.published_dir is None else self.published_dir / name
        if name not in PUBLISHED_NAMES or path is None or not path.is_file():
            return self.respond(b'{"error":"no such published file"}', 404)
        return web.FileResponse(path, headers={"Cache-Control": "no-store"})
