"""Commands as bytes: the payload of a frame, and the record that kernels read.

A payload is refused unless re-encoding it gives the same bytes, so one command has one encoding. Implements
[CMD-4]; the units and scales of the fields are those of [UNIT-1], [UNIT-2] and [UNIT-3].
"""

import struct
from operator import itemgetter
from typing import Any, NamedTuple

from novate.protocol.generated.codes import CommandKind
from novate.protocol.generated.records import (
    COMMAND,
    COMMAND_FIELDS,
    COSIGNED,
    HAS_SUBJECT,
    ITEM_FIELDS,
    ITEMS_MAX,
    OPTIONAL_FIELDS,
    SIGNED_BY,
)

ADDRESS_BYTES = 20
SIGNATURE_BYTES = 65
NO_ACCOUNT = -1


class CommandError(ValueError):
    """Bytes that are not the payload of a command."""


class Command(NamedTuple):
    """One command. `values` follow COMMAND_FIELDS of its kind, each item ITEM_FIELDS; an address or signature
    is empty if it has none.

    For DEPOSIT, `signer` is the address of the account that the vault's event names. `account` is empty where
    the account signs for itself, `subject` is the address of [KEY-3], [SUB-2] or [BLOCK-1].
    """

    kind: CommandKind
    time_ns: int
    values: tuple[int, ...]
    signer: bytes = b""
    signature: bytes = b""
    items: tuple[tuple[int, ...], ...] = ()
    account: bytes = b""
    subject: bytes = b""
    cosigner: bytes = b""
    cosignature: bytes = b""

    @property
    def holder(self) -> bytes:
        """The address of the account that the command is about, whoever signs for it. [KEY-1]"""
        return self.account or self.signer

    def get(self, field: str) -> int:
        """Return one field by its name in the schema."""
        return self.values[COMMAND_FIELDS[self.kind].index(field)]


def make_command(
    kind: CommandKind,
    time_ns: int,
    signer: bytes = b"",
    signature: bytes = b"",
    **fields: int,
) -> Command:
    """Return a command from named fields, without items; those of OPTIONAL_FIELDS may be left out and are
    then 0.

    Errors     ValueError for a missing or unknown name.
    """
    names = COMMAND_FIELDS[kind]
    given = {**{name: 0 for name in OPTIONAL_FIELDS if name in names}, **fields}
    if set(given) != set(names):
        raise ValueError(f"{kind.name} has the fields {names}, found {tuple(fields)}")
    return Command(kind, time_ns, tuple(given[name] for name in names), signer, signature)


def make_head_format(kind: CommandKind) -> struct.Struct:
    """Return the layout of a kind's payload up to its items, their number included."""
    count = "H" if kind in ITEM_FIELDS else ""
    return struct.Struct(f"<Bq{len(COMMAND_FIELDS[kind])}q{count}")


def list_tail(kind: CommandKind) -> tuple[tuple[str, int], ...]:
    """Return the names and widths of the addresses and signatures that follow the items. [CMD-4]"""
    tail = []
    if SIGNED_BY[kind] == "account":
        tail.append(("account", ADDRESS_BYTES))
    if SIGNED_BY[kind] or kind == CommandKind.DEPOSIT:
        tail.append(("signer", ADDRESS_BYTES))
    if kind in HAS_SUBJECT:
        tail.append(("subject", ADDRESS_BYTES))
    if SIGNED_BY[kind]:
        tail.append(("signature", SIGNATURE_BYTES))
    if kind in COSIGNED:
        tail += [("cosigner", ADDRESS_BYTES), ("cosignature", SIGNATURE_BYTES)]
    return tuple(tail)


TAIL_FIELDS = {kind: tuple(name for name, _ in list_tail(kind)) for kind in CommandKind}
HEAD_FORMAT = {kind: make_head_format(kind) for kind in CommandKind}
TAIL_FORMAT = {
    kind: struct.Struct("<" + "".join(f"{width}s" for _, width in list_tail(kind))) for kind in CommandKind
}
ITEM_FORMAT = {kind: struct.Struct(f"<{len(fields)}q") for kind, fields in ITEM_FIELDS.items()}


def encode_payload(command: Command) -> bytes:
    """Return the bytes of a command; struct.error if a value does not fit its width."""
    kind = command.kind
    tail = [command.holder if name == "account" else getattr(command, name) for name in TAIL_FIELDS[kind]]
    count = (len(command.items),) if kind in ITEM_FIELDS else ()
    head = HEAD_FORMAT[kind].pack(kind, command.time_ns, *command.values, *count)
    items = b"".join(ITEM_FORMAT[kind].pack(*item) for item in command.items)
    return head + items + TAIL_FORMAT[kind].pack(*tail)


def decode_payload(payload: bytes) -> Command:
    """Return the command of a payload, or raise CommandError."""
    try:
        kind = CommandKind(payload[0])
    except (IndexError, ValueError) as error:
        raise CommandError(f"unknown command kind {payload[:1].hex() or 'in an empty payload'}") from error
    head, tail = HEAD_FORMAT[kind], TAIL_FORMAT[kind]
    size = head.size + tail.size
    if len(payload) < size:
        raise CommandError(f"{kind.name} takes {size} bytes, found {len(payload)}")
    _, time_ns, *rest = head.unpack_from(payload)
    items: tuple[tuple[int, ...], ...] = ()
    if kind in ITEM_FIELDS:
        size += rest[-1] * ITEM_FORMAT[kind].size
        if rest[-1] > ITEMS_MAX[kind]:
            raise CommandError(f"{kind.name} takes at most {ITEMS_MAX[kind]} items, found {rest[-1]}")
    if len(payload) != size:
        raise CommandError(f"{kind.name} takes {size} bytes, found {len(payload)}")
    if kind in ITEM_FIELDS:
        items = tuple(ITEM_FORMAT[kind].iter_unpack(payload[head.size : size - tail.size]))
    named = dict(zip(TAIL_FIELDS[kind], tail.unpack_from(payload, size - tail.size), strict=True))
    if named.get("account") == named.get("signer"):
        named.pop("account", None)
    return Command(kind, time_ns, tuple(rest[: len(COMMAND_FIELDS[kind])]), items=items, **named)


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
