"""The only module that knows NATS: messages, the stream that carries frames, and the lease.

Nothing that comes from here is believed without its seal, and nothing that was sent is believed to have
arrived. Every queue is bounded: what does not fit is dropped, and the next receipt or renewal shows it.
"""

import asyncio
import contextlib
import logging
import os
from collections.abc import Awaitable, Callable, Iterator
from typing import NamedTuple

import nats
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import Error as NatsError
from nats.js import JetStreamContext
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy, DiscardPolicy, StreamConfig
from nats.js.errors import KeyNotFoundError, KeyWrongLastSequenceError
from nats.js.kv import KeyValue

from novate.standby.messages import (
    MESSAGE_BYTES_MAX,
    Anything,
    Lease,
    Message,
    MessageError,
    decode_message,
    encode_message,
)
from novate.standby.settings import TOKEN_VARIABLE, StandbySettings

FRAMES, HELLO, FETCH, ENROL, RECEIPT = "frames", "hello", "fetch", "enrol", "receipt"
LEASE_KEY = "lease"
TIMEOUT_S = 1.0
PAUSE_S = 0.1
PENDING_MESSAGES_MAX = 1_024
PENDING_BYTES_MAX = 1 << 26
OUTGOING_BYTES_MAX = 1 << 23
INACTIVE_S = 30.0
log = logging.getLogger("novate.standby")
Handler = Callable[[Anything], Awaitable[Message | None]]


class LinkDown(ConnectionError):
    """NATS, or whoever should have answered, is out of reach."""


class LeaseLost(RuntimeError):
    """Somebody else wrote the lease first."""


class Delivery(NamedTuple):
    """A message of the stream and its place in it."""

    message: Anything
    stream_sequence: int


class Link:
    """One process's connection. `prefix` separates venues; it is the operator's address."""

    def __init__(self, settings: StandbySettings, prefix: str, key: bytes) -> None:
        self.settings = settings
        self.name = f"novate-{prefix}"
        self.prefix = f"novate.{prefix}"
        self.key = key
        self.client = Client()
        self.dropped = 0

    async def open(self) -> None:
        """Connect; wait for as long as no server answers."""
        token = os.environ.get(TOKEN_VARIABLE)
        while True:
            try:
                self.client = await nats.connect(
                    self.settings.servers,
                    token=token,
                    error_cb=note_error,
                    max_reconnect_attempts=-1,
                    reconnect_time_wait=PAUSE_S,
                    connect_timeout=1,
                    ping_interval=1,
                    max_outstanding_pings=2,
                    pending_size=OUTGOING_BYTES_MAX,
                    no_echo=True,
                )
                return
            except (NatsError, OSError, TimeoutError) as error:
                log.warning("no NATS server answers (%s), trying again", error)
                await asyncio.sleep(10 * PAUSE_S)

    async def close(self) -> None:
        """End the connection, in a moment even if there is none to end in order."""
        with contextlib.suppress(NatsError, OSError, TimeoutError):
            await asyncio.wait_for(self.client.close(), TIMEOUT_S)

    @property
    def stream(self) -> JetStreamContext:
        """JetStream with short time-outs."""
        return self.client.jetstream(timeout=TIMEOUT_S)

    async def prepare(self) -> None:
        """Make sure that the stream and the bucket of the lease exist, as after a server lost its store."""
        stream = StreamConfig(
            name=self.name,
            subjects=[f"{self.prefix}.{FRAMES}"],
            max_bytes=self.settings.stream_bytes,
            max_msg_size=MESSAGE_BYTES_MAX,
            discard=DiscardPolicy.OLD,
            num_replicas=self.settings.replicas,
        )
        with translated():
            await self.stream.add_stream(stream)
            await self.stream.create_key_value(
                bucket=self.name, history=1, max_bytes=1 << 20, replicas=self.settings.replicas
            )

    async def publish(self, subject: str, message: Message) -> None:
        """Send a message if there is a connection; nobody answers and nobody may count on it."""
        if not self.client.is_connected:
            return
        try:
            await self.client.publish(f"{self.prefix}.{subject}", encode_message(self.key, message))
        except (NatsError, OSError) as error:
            log.warning("a message for %s could not be sent: %s", subject, error)

    async def request(self, subject: str, message: Message, timeout_s: float = TIMEOUT_S) -> Anything:
        """Return the answer to a message; LinkDown if there is none that is sealed."""
        if not self.client.is_connected:
            raise LinkDown("there is no connection to NATS")
        with translated():
            data = encode_message(self.key, message)
            reply = await self.client.request(f"{self.prefix}.{subject}", data, timeout=timeout_s)
        try:
            return decode_message(self.key, reply.data)
        except MessageError as error:
            raise LinkDown(f"the answer from {subject} is not to be believed: {error}") from error

    async def listen(self, subject: str, handle: Handler) -> None:
        """Call a handler for each sealed message, one after the other; what it returns is the answer."""

        async def receive(msg: Msg) -> None:
            message = self.decode(msg)
            answer = None if message is None else await handle(message)
            if answer is not None and msg.reply:
                await self.client.publish(msg.reply, encode_message(self.key, answer))

        await self.client.subscribe(
            f"{self.prefix}.{subject}",
            cb=receive,
            pending_msgs_limit=PENDING_MESSAGES_MAX,
            pending_bytes_limit=PENDING_BYTES_MAX,
        )

    def decode(self, msg: Msg) -> Anything | None:
        """Return a message, or nothing if its seal is wrong."""
        try:
            return decode_message(self.key, msg.data)
        except MessageError as error:
            self.dropped += 1
            if self.dropped & (self.dropped - 1) == 0:  # At powers of two: a flood does not fill the log.
                log.warning("%d messages dropped, the last one because: %s", self.dropped, error)
            return None

    async def follow(self, stream_sequence: int) -> "Subscription":
        """Begin to read the stream at a place, or with what comes next if the place is 0."""
        config = ConsumerConfig(ack_policy=AckPolicy.NONE, inactive_threshold=INACTIVE_S)
        if stream_sequence:
            config.deliver_policy, config.opt_start_seq = DeliverPolicy.BY_START_SEQUENCE, stream_sequence
        else:
            config.deliver_policy = DeliverPolicy.NEW
        with translated():
            subscription = await self.stream.subscribe(
                f"{self.prefix}.{FRAMES}",
                stream=self.name,
                config=config,
                pending_msgs_limit=PENDING_MESSAGES_MAX,
                pending_bytes_limit=PENDING_BYTES_MAX,
            )
        return Subscription(self, subscription)

    async def bucket(self) -> KeyValue:
        """Return the bucket of the lease."""
        return await self.stream.key_value(self.name)

    async def read_lease(self) -> tuple[Lease | None, int]:
        """Return the lease and its revision; nothing and 0 if there is none."""
        with translated():
            try:
                entry = await (await self.bucket()).get(LEASE_KEY)
            except KeyNotFoundError:
                return None, 0
        try:
            message = decode_message(self.key, entry.value or b"")
        except MessageError:
            message = None
        return (message if isinstance(message, Lease) else None), entry.revision or 0

    async def write_lease(self, lease: Lease, revision: int) -> int:
        """Write the lease if it still has a revision, and return the new one; LeaseLost if it has not."""
        with translated():
            try:
                return await (await self.bucket()).update(
                    LEASE_KEY, encode_message(self.key, lease), last=revision
                )
            except KeyWrongLastSequenceError as error:
                raise LeaseLost("the lease has another revision") from error


class Subscription:
    """A reading of the stream."""

    def __init__(self, link: Link, inner: JetStreamContext.PushSubscription) -> None:
        self.link = link
        self.inner = inner

    async def next(self, timeout_s: float) -> Delivery | None:
        """Return the next message, or nothing after a while; an unsealed one is skipped like silence.

        Errors     LinkDown if the reading has ended.
        """
        try:
            msg = await self.inner.next_msg(timeout=timeout_s)
        except TimeoutError:
            return None
        except NatsError as error:
            raise LinkDown(f"the stream cannot be read: {error}") from error
        message = self.link.decode(msg)
        return None if message is None else Delivery(message, msg.metadata.sequence.stream)

    async def close(self) -> None:
        """End the reading."""
        with contextlib.suppress(NatsError, OSError, TimeoutError):
            await self.inner.unsubscribe()


@contextlib.contextmanager
def translated() -> Iterator[None]:
    """Turn what NATS raises into LinkDown."""
    try:
        yield
    except (NatsError, OSError, TimeoutError) as error:
        if isinstance(error, (LinkDown, KeyWrongLastSequenceError)):
            raise
        raise LinkDown(f"NATS: {error}") from error


async def note_error(error: Exception) -> None:
    """Say what happened to the connection; it goes on by itself."""
    log.warning("NATS: %s", str(error) or type(error).__name__)
