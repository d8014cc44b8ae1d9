"""What an operator says about the standby: DIR/standby.toml, the same in both directories."""

import tomllib
from pathlib import Path
from typing import Annotated, Literal

import msgspec

SETTINGS_NAME = "standby.toml"
# The only secret: how this process proves itself to a NATS server that asks for a token.
TOKEN_VARIABLE = "NOVATE_NATS_TOKEN"
REFUSE, ALONE = "refuse", "alone"
Seconds = Annotated[float, msgspec.Meta(ge=0.2, le=3_600)]
Server = Annotated[str, msgspec.Meta(pattern=r"^(nats|tls)://[^\s]+$")]


class StandbySettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The section [standby]. `absent_s`: how long a primary waits for a receipt before it refuses writes, or
    goes on alone. `take_over_s`: how long the lease must stand still before a standby takes over.
    """

    servers: Annotated[list[Server], msgspec.Meta(min_length=1, max_length=16)]
    when_absent: Literal["refuse", "alone"] = "refuse"
    absent_s: Seconds = 2.0
    take_over_s: Seconds = 2.0
    replicas: Annotated[int, msgspec.Meta(ge=1, le=5)] = 1
    stream_bytes: Annotated[int, msgspec.Meta(ge=1 << 22, le=1 << 36)] = 1 << 28

    @property
    def goes_alone(self) -> bool:
        """Whether a primary goes on without its standby."""
        return self.when_absent == ALONE

    @property
    def beat_s(self) -> float:
        """The time between two renewals of the lease."""
        return self.take_over_s / 8


class SettingsFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What DIR/standby.toml holds."""

    standby: StandbySettings


class SettingsError(ValueError):
    """Settings that cannot be used; the message names the file."""


def read_settings(folder: Path) -> StandbySettings | None:
    """Return the settings of a data directory, or nothing if it has none."""
    path = folder / SETTINGS_NAME
    if not path.exists():
        return None
    try:
        return parse_settings(path.read_bytes())
    except (OSError, ValueError) as error:
        raise SettingsError(f"{path}: {error}") from error


def parse_settings(data: bytes) -> StandbySettings:
    """Return the settings of a file's bytes; ValueError if they are none."""
    return msgspec.convert(tomllib.loads(data.decode()), SettingsFile).standby


def format_settings(settings: StandbySettings) -> bytes:
    """Return the text of a settings file."""
    lines = ["[standby]"]
    for name, value in msgspec.to_builtins(settings).items():
        lines.append(f"{name} = {msgspec.json.encode(value).decode()}")
    return ("\n".join(lines) + "\n").encode()
