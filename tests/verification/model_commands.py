"""The naive model's commands as those of the law, and a replayer of one of its worlds."""

from typing import Any

from novate.protocol.command import Command
from novate.protocol.generated.codes import CommandKind
from novate.protocol.generated.records import COMMAND_FIELDS
from novate.protocol.genesis import encode_genesis, parse_genesis
from novate.verification.replay import Replayer
from tests.model.generator import genesis


def convert(command: dict[str, Any]) -> Command:
    """A command of the model as one of the law; it carries no signature."""
    kind = CommandKind[command["kind"]]
    values = tuple(command[name] for name in COMMAND_FIELDS[kind])
    items = tuple(tuple(item) for item in command.get("items", ()))
    account, signer, subject, cosigner = (
        read_address(command, name) for name in ("account", "signer", "subject", "cosigner")
    )
    return Command(
        kind,
        command["time_ns"],
        values,
        signer,
        items=items,
        account=account,
        subject=subject,
        cosigner=cosigner,
    )


def read_address(command: dict[str, Any], name: str) -> bytes:
    """One of a command's addresses, empty if it has none."""
    text: str = command.get(name) or ""
    return bytes.fromhex(text[2:])


def make_replayer(profile: str) -> Replayer:
    """A replayer of the genesis file of a profile."""
    return Replayer(parse_genesis(encode_genesis(genesis(profile))))
