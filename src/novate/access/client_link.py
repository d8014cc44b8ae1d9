"""The client's end of a connection: one WebSocket, any number of requests in flight, login and streams.

Writes are numbered, signed and sent in one go, so nonces reach the venue in the order of their numbers.
"""

import asyncio
import contextlib
import logging
import secrets
import time
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, Self

import aiohttp
import msgspec
from coincurve import PrivateKey

from novate.access.client_errors import ConnectionLost, NonceReplayed, RateLimited, VenueError, make_error
from novate.access.client_signing import (
    EXPIRES_AFTER_NS,
    ClientInstrument,
    CommandSigner,
    Items,
    KeySigner,
    NonceClock,
    Signer,
)
from novate.access.combo_terms import COMBO_MARK
from novate.access.quantities import read_address
from novate.protocol.generated.codes import CommandKind
from novate.protocol.generated.constants import COMBO_TICK_OFFSET
from novate.protocol.signing import Domain

logger = logging.getLogger("novate.client")
QUEUE_MAX = 10_000
RECONNECT_S_MAX = 10.0
MESSAGE_BYTES_MAX = 16 << 20
Callback = Callable[[dict[str, Any]], None]


class VenueLink:
    """Speaks to one venue for at most one account; NovateClient has the venue's methods.

    `url` is the WebSocket's, such as ws://127.0.0.1:8080/ws/api/v2; `key` is a coincurve key or any Signer,
    or None to only read. `account` is the address of the account that the key signs for, by default its own:
    of one that has authorised the key, or of a sub-account of the key's. With `reconnect`, a lost connection
    is made again, logged in and subscribed as before.
    """

    def __init__(
        self,
        url: str,
        key: PrivateKey | Signer | None = None,
        timeout_s: float = 10.0,
        reconnect: bool = True,
        clock_ns: Callable[[], int] = time.time_ns,
        account: str = "",
    ) -> None:
        self.url = url
        self.signer: Signer | None = KeySigner(key) if isinstance(key, PrivateKey) else key
        self.account = read_address(account) if account else b""
        self.timeout_s = timeout_s
        self.reconnect = reconnect
        self.clock_ns = clock_ns
        self.nonces = NonceClock(clock_ns)
        self.commands: CommandSigner | None = None
        self.instruments: dict[str, ClientInstrument] = {}
        self.mmp_configs: dict[int, dict[str, Any]] = {}
        self.access_token = ""
        self.subscriptions: dict[str, Callback] = {}
        self.session: aiohttp.ClientSession | None = None
        self.socket: aiohttp.ClientWebSocketResponse | None = None
        self.replies: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self.last_id = 0
        self.sending = asyncio.Lock()
        self.reader: asyncio.Task[None] | None = None
        self.is_closing = False

    async def __aenter__(self) -> Self:
        await self.connect()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def connect(self) -> None:
        """Connect, learn the domain and the instruments, and log in if there is a key with an account."""
        self.session = aiohttp.ClientSession()
        await self.open_socket()
        self.reader = asyncio.create_task(self.run_reader())
        await self.greet()

    async def open_socket(self) -> None:
        """Open the WebSocket, without compression."""
        assert self.session is not None, "Condition failed: connect comes first."
        timeout = aiohttp.ClientWSTimeout(ws_close=2.0)
        self.socket = await self.session.ws_connect(self.url, max_msg_size=MESSAGE_BYTES_MAX, timeout=timeout)

    async def greet(self) -> None:
        """Learn what is needed to sign, then log in."""
        described = await self.call("public/get_domain")
        domain = Domain(int(described["chain_id"]), bytes.fromhex(described["settlement"][2:]))
        if self.commands is not None and self.commands.domain != domain:
            raise ConnectionLost(
                "the venue at this address has changed its signing domain; refusing to sign for it"
            )
        await self.load_instruments()
        if self.signer is not None:
            self.commands = CommandSigner(self.signer, domain, self.account)
            await self.login()

    async def close(self) -> None:
        """Close the connection; requests in flight end with ConnectionLost."""
        self.is_closing = True
        if self.reader is not None:
            self.reader.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self.reader
        if self.socket is not None:
            await self.socket.close()
        if self.session is not None:
            await self.session.close()
        self.fail_replies("the client is closed")

    # Requests.

    async def call(self, method: str, params: dict[str, Any] | None = None) -> Any:
        """Return a method's result, or raise VenueError, ConnectionLost or TimeoutError."""
        return await self.wait(method, await self.send(method, params or {}))

    async def send(self, method: str, params: dict[str, Any]) -> "asyncio.Future[dict[str, Any]]":
        """Send a request and return its future reply."""
        if self.socket is None or self.socket.closed:
            raise ConnectionLost("not connected")
        self.last_id += 1
        future: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self.replies[self.last_id] = future
        message = {"jsonrpc": "2.0", "id": self.last_id, "method": method, "params": params}
        try:
            await self.socket.send_str(msgspec.json.encode(message).decode())
        except (ConnectionError, RuntimeError) as error:
            future.cancel()
            raise ConnectionLost(str(error)) from error
        return future

    async def wait(self, method: str, future: "asyncio.Future[dict[str, Any]]") -> Any:
        """Return the result of a reply that comes in time."""
        reply = await asyncio.wait_for(future, self.timeout_s)
        if "error" in reply:
            error = make_error(method, reply["error"])
            if isinstance(error, NonceReplayed) and "nonce" in error.data:
                # Another has used the signer's nonces, such as who sent a block that it cosigned.
                self.nonces.raise_to(int(error.data["nonce"]))
            raise error
        return reply["result"]

    async def write(
        self,
        method: str,
        kind: CommandKind,
        params: dict[str, Any],
        fields: Mapping[str, int],
        name: str = "",
        items: Items = (),
        subject: bytes = b"",
    ) -> Any:
        """Number, sign and send one command, then wait for its outcome.

        `name` is what the command's instrument or underlying is called.
        """
        commands = self.require_signer()
        async with self.sending:
            nonce = self.nonces.take()
            expires_ns = self.clock_ns() + EXPIRES_AFTER_NS
            numbered = self.number_names() if items else {}
            signed = commands.sign(kind, nonce, expires_ns, name, items, numbered, subject, **fields)
            future = await self.send(method, params | signed)
        return await self.wait(method, future)

    def require_signer(self) -> CommandSigner:
        """Return who signs; ValueError for a client that only reads."""
        if self.commands is None:
            raise ValueError("Condition failed: a client that writes has a key.")
        return self.commands

    def number_names(self) -> dict[int, str]:
        """Return the names of the known instruments by their numbers."""
        return {each.number: each.name for each in self.instruments.values()}

    # Login and instruments.

    async def login(self) -> dict[str, Any]:
        """Open a session for private reads; learn the nonce that the account has used."""
        assert self.commands is not None, "Condition failed: a client that logs in has a key."
        nonce = secrets.token_hex(16)
        params = self.commands.sign_login(self.clock_ns() // 1_000_000, nonce)
        result: dict[str, Any] = await self.call("public/auth", params)
        self.access_token = result["access_token"]
        self.nonces.raise_to(int(result["nonce"]))
        return result

    async def load_instruments(self) -> dict[str, ClientInstrument]:
        """Read the open instruments and return them by name."""
        for row in await self.call("public/get_instruments", {"currency": "any"}):
            name = row["instrument_name"]
            self.instruments[name] = ClientInstrument(
                name,
                row["lots_per_unit"],
                row["tick_atoms"],
                row["instrument_id"],
                COMBO_TICK_OFFSET if COMBO_MARK in name else 0,
            )
        return self.instruments

    def find_instrument(self, name: str) -> ClientInstrument:
        """Return an instrument that load_instruments has read; LookupError otherwise."""
        if name not in self.instruments:
            raise LookupError(f"no instrument is called {name!r}; call load_instruments after a new listing")
        return self.instruments[name]

    # Streams.

    async def subscribe(self, channel: str, callback: Callback) -> None:
        """Call back with the data of each message of a channel, in order.
        ValueError if the venue has no such channel.
        """
        self.subscriptions[channel] = callback
        if not await self.request_channels([channel]):
            del self.subscriptions[channel]
            raise ValueError(f"the venue has no channel {channel!r}, or it needs a login")

    async def subscribe_queue(
        self, channel: str, maxsize: int = QUEUE_MAX
    ) -> "asyncio.Queue[dict[str, Any]]":
        """Return a queue that receives a channel's data; when it is full the oldest message gives way."""
        queue: asyncio.Queue[dict[str, Any]] = asyncio.Queue(maxsize)

        def put(data: dict[str, Any]) -> None:
            if queue.full():
                queue.get_nowait()
            queue.put_nowait(data)

        await self.subscribe(channel, put)
        return queue

    async def unsubscribe(self, channel: str) -> None:
        """End a subscription."""
        self.subscriptions.pop(channel, None)
        await self.call("public/unsubscribe", {"channels": [channel]})

    async def request_channels(self, channels: list[str]) -> list[str]:
        """Ask for channels and return those that the venue has."""
        scope = "private" if self.access_token else "public"
        granted: list[str] = await self.call(f"{scope}/subscribe", {"channels": channels})
        return granted

    async def run_reader(self) -> None:
        """Read messages until closed; reconnect when the connection is lost."""
        while True:
            await self.read_socket()
            self.fail_replies("the connection was lost")
            if self.is_closing or not self.reconnect:
                return
            await self.restore()

    async def read_socket(self) -> None:
        """Deliver messages until the socket closes."""
        assert self.socket is not None, "Condition failed: the socket is open."
        async for message in self.socket:
            if message.type is aiohttp.WSMsgType.TEXT:
                self.deliver(msgspec.json.decode(message.data))

    def deliver(self, message: dict[str, Any]) -> None:
        """Hand a reply to its caller, data to its subscriber, and answer a heartbeat's question."""
        if "id" in message and ("result" in message or "error" in message):
            future = self.replies.pop(message["id"], None)
            if future is not None and not future.done():
                future.set_result(message)
            return
        params = message.get("params", {})
        if message.get("method") == "heartbeat" and params.get("type") == "test_request":
            self.answering = asyncio.create_task(self.answer_test())
            return
        callback = self.subscriptions.get(params.get("channel", ""))
        if callback is not None:
            try:
                callback(params["data"])
            except Exception:
                logger.exception("the callback of %s failed", params["channel"])

    async def answer_test(self) -> None:
        """Answer a test request; a lost connection is the reader's business."""
        with contextlib.suppress(ConnectionLost, TimeoutError, VenueError):
            await self.call("public/test")

    def fail_replies(self, reason: str) -> None:
        """End every request in flight."""
        replies, self.replies = self.replies, {}
        for future in replies.values():
            if not future.done():
                future.set_exception(ConnectionLost(reason))
                future.exception()  # Marks it as seen: its caller may have given up waiting.

    async def restore(self) -> None:
        """Connect again, waiting longer each time, then log in and subscribe as before."""
        delay_s = 0.1
        while not self.is_closing:
            await asyncio.sleep(delay_s)
            delay_s = min(delay_s * 2, RECONNECT_S_MAX)
            try:
                await self.open_socket()
            except (aiohttp.ClientError, OSError):
                continue
            self.resuming = asyncio.create_task(self.resume())
            return

    async def resume(self) -> None:
        """Greet the venue again and renew the subscriptions; snapshots come anew."""
        try:
            await self.greet()
            if self.subscriptions:
                await self.request_channels(list(self.subscriptions))
        except (ConnectionLost, TimeoutError, RateLimited) as error:
            logger.warning("could not resume: %s", error)
            if self.socket is not None:
                await self.socket.close()
