"""Commands as bytes: the payload of a frame, and the record that kernels read.

A payload is refused unless re-encoding it gives the same bytes, so one command has one encoding. Implements
[CMD-4]; the units and scales of the fields are those of [UNIT-1], [UNIT-2] and [UNIT-3].
"""

import struct
from operator import itemgetter
from typing import Any, NamedTuple

from novate.protocol.generated.codes import CommandKind
from novate.protocol.generated.records import COMMAND, COMMAND_FIELDS, SIGNED_BY

ADDRESS_BYTES = 20
SIGNATURE_BYTES = 65
NO_ACCOUNT = -1


class CommandError(ValueError):
    """Bytes that are not the payload of a command."""


class Command(NamedTuple):
    """One command. `values` follow COMMAND_FIELDS of its kind; `signer` and `signature` are empty if it has
    none.

    For DEPOSIT, `signer` is the address of the account that the vault's event names.
    """

    kind: CommandKind
    time_ns: int
    values: tuple[int, ...]
    signer: bytes = b""
    signature: bytes = b""

    def get(self, field: str) -> int:
        """Return one field by its name in the schema."""
        return self.values[COMMAND_FIELDS[self.kind].index(field)]


def make_command(
    kind: CommandKind, time_ns: int, signer: bytes = b"", signature: bytes = b"", **fields: int
) -> Command:
    """Return a command from named fields; a missing or unknown name is a KeyError or a ValueError."""
    names = COMMAND_FIELDS[kind]
    if set(fields) != set(names):
        raise ValueError(f"{kind.name} has the fields {names}, found {tuple(fields)}")
    return Command(kind, time_ns, tuple(fields[name] for name in names), signer, signature)


def has_address(kind: CommandKind) -> bool:
    """Whether the payload ends with an address."""
    return kind == CommandKind.DEPOSIT or bool(SIGNED_BY[kind])


def make_payload_format(kind: CommandKind) -> struct.Struct:
    """Return the layout of a kind's payload."""
    address = f"{ADDRESS_BYTES}s" if has_address(kind) else ""
    signature = f"{SIGNATURE_BYTES}s" if SIGNED_BY[kind] else ""
    return struct.Struct(f"<Bq{len(COMMAND_FIELDS[kind])}q{address}{signature}")


PAYLOAD_FORMAT = {kind: make_payload_format(kind) for kind in CommandKind}


def encode_payload(command: Command) -> bytes:
    """Return the bytes of a command; struct.error if a value does not fit int64."""
    tail = [command.signer] if has_address(command.kind) else []
    tail += [command.signature] if SIGNED_BY[command.kind] else []
    return PAYLOAD_FORMAT[command.kind].pack(command.kind, command.time_ns, *command.values, *tail)


def decode_payload(payload: bytes) -> Command:
    """Return the command of a payload, or raise CommandError."""
    try:
        kind = CommandKind(payload[0])
    except (IndexError, ValueError) as error:
        raise CommandError(f"unknown command kind {payload[:1].hex() or 'in an empty payload'}") from error
    layout = PAYLOAD_FORMAT[kind]
    if len(payload) != layout.size:
        raise CommandError(f"{kind.name} takes {layout.size} bytes, found {len(payload)}")
    _, time_ns, *rest = layout.unpack(payload)
    count = len(COMMAND_FIELDS[kind])
    signer, signature = [*rest[count:], b"", b""][:2]
    return Command(kind, time_ns, tuple(rest[:count]), signer, signature)


class RowFormat(NamedTuple):
    """How a kind's values go into a COMMAND record: the layout with gaps, and the order of the values."""

    layout: struct.Struct
    pick: Any


def make_row_format(kind: CommandKind) -> RowFormat:
    """Return the layout that writes kind, sequence, time, account and the kind's values, and zeros
    elsewhere.
    """
    assert COMMAND.names is not None
    given = ("kind", "sequence", "time_ns", "account", *COMMAND_FIELDS[kind])
    present = [name for name in COMMAND.names if name in given]
    form = "".join("q" if name in given else "8x" for name in COMMAND.names)
    return RowFormat(struct.Struct("<" + form), itemgetter(*(given.index(name) for name in present)))


ROW_FORMAT = {kind: make_row_format(kind) for kind in CommandKind}


def write_row(buffer: memoryview, offset: int, command: Command, sequence: int, account: int) -> None:
    """Write a command into the bytes of a COMMAND record at `offset`."""
    layout, pick = ROW_FORMAT[command.kind]
    layout.pack_into(
        buffer, offset, *pick((command.kind, sequence, command.time_ns, account, *command.values))
    )
