"""What a primary and its standby tell each other, sealed with a key that both derive from the operator's.

NATS carries these messages and is believed in nothing: a message whose seal is wrong is dropped, a frame is
believed when its hash continues the chain, and a receipt says what its sender has on disk. Bodies are
MessagePack; a seal is keyed BLAKE2b over the body.
"""

import hashlib
import hmac

import msgspec

from novate.protocol.frame import keccak256

SEAL_BYTES = 16
KEY_DOMAIN = b"novate standby 1"
# NATS takes a megabyte unless it is told otherwise; a chunk of frames and its envelope stay below.
CHUNK_BYTES_MAX = 1 << 19
MESSAGE_BYTES_MAX = (1 << 20) - (1 << 12)
FILE_BYTES_MAX = 1 << 19
JOURNAL, CHAIN = "journal", "chain"
LOGS = (JOURNAL, CHAIN)


class End(msgspec.Struct, frozen=True, array_like=True):
    """How far a log reaches: the number of its next frame, and the hash of its last one."""

    next: int
    hash: bytes


class Message(msgspec.Struct, frozen=True, tag=True):
    """Every message names its sender and the epoch in which that sender believes."""

    epoch: int
    node: str


class Hello(Message, frozen=True):
    """A standby asks who is the primary and for the files that are the same on both."""

    nonce: bytes


class Welcome(Message, frozen=True):
    """The primary's answer: its files by name, and how far its logs reach."""

    nonce: bytes
    files: dict[str, bytes]
    ends: dict[str, End]


class Fetch(Message, frozen=True):
    """A standby asks for the frames of a log that follow an end, from the primary's own disk."""

    nonce: bytes
    log: str
    end: End


class Fetched(Message, frozen=True):
    """Frames from the primary's disk. `problem` says why there are none: the two logs differ."""

    nonce: bytes
    log: str
    data: bytes
    end: End
    problem: str = ""


class Enrol(Message, frozen=True):
    """A standby that has caught up asks to be the one whose receipts count."""

    nonce: bytes


class Enrolled(Message, frozen=True):
    """The primary counts on this standby, and on no other, from `ends` on; or `problem` says why not.

    `automatic` says that the standby may take over by itself. It holds from its receipt of this `term` on.
    """

    nonce: bytes
    term: int
    automatic: bool
    ends: dict[str, End]
    problem: str = ""


class Frames(Message, frozen=True):
    """Durable frames of the primary's log: numbers `first` up to before `end.next`, after hash `previous`."""

    log: str
    first: int
    previous: bytes
    end: End
    data: bytes


class Receipt(Message, frozen=True):
    """A standby has everything of a log up to an end on its own disk."""

    term: int
    automatic: bool
    log: str
    end: End


class Refusal(Message, frozen=True):
    """The sender has promised a later epoch: whoever believes in an earlier one acknowledges nothing more."""


class Lease(Message, frozen=True):
    """The primary is alive; `beat` grows. `reached` is what it has on disk, `acknowledged` what clients were
    told of; `resigned`: it ended in order.
    """

    beat: int
    reached: dict[str, End]
    acknowledged: dict[str, End]
    resigned: bool = False


Anything = Hello | Welcome | Fetch | Fetched | Enrol | Enrolled | Frames | Receipt | Refusal | Lease
ENCODER = msgspec.msgpack.Encoder()
DECODER: msgspec.msgpack.Decoder[Anything] = msgspec.msgpack.Decoder(Anything)


class MessageError(ValueError):
    """Bytes that neither this primary nor its standby has sealed."""


def derive_key(operator_secret: bytes) -> bytes:
    """Return the sealing key of the venue whose operator has this secret."""
    return keccak256(KEY_DOMAIN + operator_secret)


def compute_seal(key: bytes, body: bytes) -> bytes:
    """Return the seal of a message."""
    return hashlib.blake2b(body, digest_size=SEAL_BYTES, key=key).digest()


def encode_message(key: bytes, message: Message) -> bytes:
    """Return a message with its seal in front."""
    body = ENCODER.encode(message)
    assert len(body) + SEAL_BYTES <= MESSAGE_BYTES_MAX, "Invariant: messages are cut to fit NATS."
    return compute_seal(key, body) + body


def decode_message(key: bytes, data: bytes) -> Anything:
    """Return a sealed message; MessageError for anything else."""
    if not SEAL_BYTES < len(data) <= MESSAGE_BYTES_MAX:
        raise MessageError(f"a message of {len(data)} bytes")
    if not hmac.compare_digest(data[:SEAL_BYTES], compute_seal(key, data[SEAL_BYTES:])):
        raise MessageError("the seal is wrong")
    try:
        return DECODER.decode(data[SEAL_BYTES:])
    except msgspec.MsgspecError as error:
        raise MessageError(f"the sealed body cannot be read: {error}") from error
