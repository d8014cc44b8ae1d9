"""One WebSocket connection: requests in their order, replies and notifications through one bounded queue.

Signatures of a connection's writes are recovered in parallel, yet the writes are submitted in the order in
which they came. A consumer that does not read is disconnected when its queue is full; it never slows anyone
else.
"""

import asyncio
from collections import deque
from collections.abc import Callable

from aiohttp import WSCloseCode, WSMsgType, web

from novate.access.channels import Channel
from novate.access.dispatch import Call, answer_read, encode_failure, finish_write, prepare_write
from novate.access.errors import ApiError
from novate.access.limits import CreditBucket
from novate.access.methods_write import WRITES
from novate.access.sessions import Session
from novate.access.venue import Venue
from novate.access.wire import (
    TOKEN_DECODER,
    decode_parameters,
    decode_request,
    encode_notification,
    read_clock_us,
)
from novate.access.writes import Write, enqueue_write, verify_signer
from novate.execution.sequencer import Outcome
from novate.protocol.generated.codes import AccessCode

LINGER_S = 0.5
PING_S = 30.0
CLOSE_TIMEOUT_S = 2.0


class BoundedSocket(web.WebSocketResponse):
    """A WebSocket that says why before it closes on a message that is too large.
    It never holds such a message.
    """

    say_farewell: Callable[[], bytes] | None = None

    async def close(self, *, code: int = WSCloseCode.OK, message: bytes = b"", drain: bool = True) -> bool:
        """Close. After a message that is too large, say so first and let the sender finish sending."""
        if code == WSCloseCode.MESSAGE_TOO_BIG and not self.closed and self.say_farewell is not None:
            farewell, self.say_farewell = self.say_farewell(), None
            await self.send_frame(farewell, WSMsgType.TEXT)
            # What still arrives is discarded; closing at once would reset the connection under the refusal.
            await asyncio.sleep(LINGER_S)
        return await super().close(code=code, message=message, drain=drain)


class Connection:
    """One client. `session` is its login, `logins` every account that it has logged in as, `keys` the
    sessions of keys that have read on it.
    """

    def __init__(self, venue: Venue, socket: BoundedSocket, transport: asyncio.Transport) -> None:
        self.venue = venue
        self.socket = socket
        self.transport = transport
        self.session: Session | None = None
        self.logins: set[bytes] = set()
        self.keys: dict[tuple[bytes, bytes], Session] = {}
        limits = venue.limits
        self.credits = CreditBucket(limits.rate_per_s, limits.burst, venue.clock_ns())
        self.outgoing: deque[bytes] = deque()
        self.outgoing_bytes = 0
        self.has_outgoing = asyncio.Event()
        self.lane: asyncio.Queue[tuple[Call, Write]] = asyncio.Queue(limits.writes_in_flight)
        self.in_flight = asyncio.Semaphore(limits.writes_in_flight)
        self.submissions: set[asyncio.Task[None]] = set()
        self.channels: dict[str, Channel] = {}
        self.starting: list[Channel] = []
        self.is_dead = False
        self.heartbeat_s = 0
        self.heartbeat_task: asyncio.Task[None] | None = None
        self.last_message_us = 0

    async def serve(self) -> None:
        """Serve until the client leaves or is dismissed."""
        workers = [asyncio.create_task(self.run_writer()), asyncio.create_task(self.run_lane())]
        try:
            await self.run_reader()
        finally:
            self.is_dead = True
            self.unsubscribe(None)
            tasks = [*workers, *([self.heartbeat_task] if self.heartbeat_task else [])]
            for task in tasks:
                task.cancel()
            # Submitted writes go on: they may be in the journal already, and their reply has no one to go to.
            await asyncio.gather(*tasks, return_exceptions=True)

    async def run_reader(self) -> None:
        """Take requests until the socket closes."""
        async for message in self.socket:
            self.last_message_us = us_in = read_clock_us()
            if message.type is WSMsgType.TEXT:
                await self.take(message.data, us_in)
            else:
                call = Call("", None, b"", us_in)
                error = ApiError(AccessCode.JSON_MALFORMED, "a message must be a text frame")
                self.send(encode_failure(self.venue, call, error))
            if self.credits.refusals > self.venue.limits.refusals_before_close:
                await self.socket.close(code=WSCloseCode.POLICY_VIOLATION, message=b"too many requests")

    async def take(self, message: bytes, us_in: int) -> None:
        """Take one request: answer a read, queue a write."""
        call = Call("", None, b"", us_in)
        self.venue.counters.requests += 1
        try:
            allowed = self.credits.take(us_in * 1000)
            request = decode_request(message)
            call = Call(request.method, request.id, bytes(request.params), us_in)
            if not allowed:  # Refused only now, so that the refusal carries the request's id.
                raise ApiError(AccessCode.TOO_MANY_REQUESTS, rate_per_s=self.credits.rate_per_s)
            if call.method in WRITES:
                await self.in_flight.acquire()
                await self.queue_write(call)
                return
        except Exception as error:
            self.send(encode_failure(self.venue, call, error))
            return
        bound = self.session
        if request.method.startswith("private/"):
            self.session = self.identify(bytes(request.params))
        self.send(await answer_read(self.venue, self, call))
        if self.session is not None and self.session.signer != self.session.address:
            self.keys[self.session.address, self.session.signer] = self.session
        if request.method.startswith("private/"):
            self.session = bound
        elif self.session is not None:
            self.logins.add(self.session.address)
        self.start_streams()

    def has_lost_key(self) -> bool:
        """Whether a key that has read here may not any more; what it reads must end with it."""
        return not all(self.venue.is_speaking(session) for session in self.keys.values())

    def identify(self, parameters: bytes) -> Session | None:
        """Return the session of the call's access token if it carries one, else the connection's."""
        if b"access_token" not in parameters:
            return self.session
        try:
            token = decode_parameters(parameters, TOKEN_DECODER).access_token
        except ApiError:
            return self.session  # The method's own decoder will say what is wrong with its parameters.
        return self.venue.sessions.find(token, self.venue.clock_ns())

    async def queue_write(self, call: Call) -> None:
        """Start a write's signature check and put it in line; a refusal gives its place back."""
        try:
            write = prepare_write(self.venue, call)
        except BaseException:
            self.in_flight.release()
            raise
        await self.lane.put((call, write))

    async def run_lane(self) -> None:
        """Submit writes in the order in which they came, each once its signer is known."""
        while True:
            call, write = await self.lane.get()
            try:
                await verify_signer(self.venue, write)
                outcome = enqueue_write(self.venue, write)
            except Exception as error:
                self.in_flight.release()
                self.send(encode_failure(self.venue, call, error))
                continue
            task = asyncio.create_task(self.finish(call, write, outcome))
            self.submissions.add(task)
            task.add_done_callback(self.submissions.discard)

    async def finish(self, call: Call, write: Write, outcome: "asyncio.Future[Outcome]") -> None:
        """Send the reply of one queued write."""
        try:
            self.send(await finish_write(self.venue, call, write, outcome))
        finally:
            self.in_flight.release()

    def send(self, message: bytes) -> None:
        """Queue a message; a client that lets too many wait is disconnected."""
        if self.is_dead:
            return
        limits = self.venue.limits
        self.outgoing.append(message)
        self.outgoing_bytes += len(message)
        if len(self.outgoing) > limits.outgoing_messages or self.outgoing_bytes > limits.outgoing_bytes:
            self.is_dead = True
            self.outgoing.clear()
            self.venue.counters.slow_consumers += 1
            self.transport.abort()
            return
        self.has_outgoing.set()

    async def run_writer(self) -> None:
        """Send what is queued; the socket's own back-pressure makes this wait, and nothing else."""
        while True:
            await self.has_outgoing.wait()
            self.has_outgoing.clear()
            while self.outgoing:
                message = self.outgoing.popleft()
                self.outgoing_bytes -= len(message)
                try:
                    await self.socket.send_frame(message, WSMsgType.TEXT)
                except (ConnectionError, RuntimeError):
                    self.is_dead = True  # The reader sees the same closed socket and ends the connection.
                    return

    def subscribe(self, channels: list[Channel]) -> list[str]:
        """Subscribe to channels; their first messages follow the reply."""
        room = self.venue.limits.subscriptions_per_connection - len(self.channels)
        fresh = [channel for channel in channels if channel.name not in self.channels]
        if len(fresh) > room:
            raise ApiError(
                AccessCode.TOO_MANY_REQUESTS, f"a connection has room for {room} more subscriptions"
            )
        self.starting = fresh
        return [channel.name for channel in channels]

    def start_streams(self) -> None:
        """Start the streams of the subscription that was just answered."""
        starting, self.starting = self.starting, []
        for channel in starting:
            if channel.name not in self.channels:
                self.channels[channel.name] = channel
                self.venue.feed.subscribe(channel, self)

    def unsubscribe(self, names: list[str] | None) -> list[str]:
        """End subscriptions, all of them if no names are given."""
        wanted = list(self.channels) if names is None else [name for name in names if name in self.channels]
        for name in dict.fromkeys(wanted):
            self.venue.feed.unsubscribe(self.channels.pop(name), self)
        return wanted

    def set_heartbeat(self, interval_s: int) -> None:
        """Begin, change or end heartbeats."""
        if self.heartbeat_task is not None:
            self.heartbeat_task.cancel()
            self.heartbeat_task = None
        if interval_s:
            self.heartbeat_task = asyncio.create_task(self.run_heartbeat(interval_s))

    def note_test(self) -> None:
        """Nothing more to do: any message shows that the client lives."""

    async def run_heartbeat(self, interval_s: int) -> None:
        """Send heartbeats, and end the connection of a client that answers no test request."""
        while True:
            asked_us = read_clock_us()
            self.send(encode_notification("heartbeat", {"type": "test_request"}))
            await asyncio.sleep(interval_s)
            if self.last_message_us < asked_us:
                await self.socket.close(
                    code=WSCloseCode.POLICY_VIOLATION, message=b"no answer to test_request"
                )
                return
            self.send(encode_notification("heartbeat", {"type": "heartbeat"}))
