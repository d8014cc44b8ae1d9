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
    signer = bytes.fromhex(command["signer"][2:]) if command.get("signer") else b""
    values = tuple(command[name] for name in COMMAND_FIELDS[kind])
    items = tuple(tuple(item) for item in command.get("items", ()))
    return Command(kind, command["time_ns"], values, signer, items=items)


def make_replayer(profile: str) -> Replayer:
    """A replayer of the genesis file of a profile."""
    return Replayer(parse_genesis(encode_genesis(genesis(profile))))
