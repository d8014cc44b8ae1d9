"""DIR/serve.toml: how a venue is served here. Read at the start, refused at once if any of it cannot be used.

Nothing in it is of the law: two operators with other files serve the same venue. The command line overrides
the file, and the file the defaults.
"""

import tomllib
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from novate.access.limits import ServerLimits
from novate.apps.venue_config import SERVE_NAME, VenueError

CONFIG_BYTES_MAX = 1 << 16
Port = Annotated[int, msgspec.Meta(ge=0, le=65_535)]
Count = Annotated[int, msgspec.Meta(ge=1, le=1_000_000)]
Bytes = Annotated[int, msgspec.Meta(ge=1 << 10, le=1 << 30)]
Seconds = Annotated[float, msgspec.Meta(ge=0, le=3_600)]
Host = Annotated[str, msgspec.Meta(min_length=1, max_length=255)]


class Listener(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where traders connect."""

    host: Host = "127.0.0.1"
    port: Port = 8080


class Admin(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where the operator's tools connect: /metrics, /health, /ready. Without a port there is none."""

    host: Host = "127.0.0.1"
    port: Port | None = None


class Log(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is written to standard error."""

    format: Literal["text", "json"] = "text"
    level: Literal["debug", "info", "warning", "error"] = "info"


class Drain(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How long /ready says no, while orders are still taken, before the door closes."""

    seconds: Seconds = 0


class Limits(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The bounds of the door; what is left out has its default."""

    connections: Count = ServerLimits.connections
    subscriptions_per_connection: Count = ServerLimits.subscriptions_per_connection
    outgoing_messages: Count = ServerLimits.outgoing_messages
    outgoing_bytes: Bytes = ServerLimits.outgoing_bytes
    writes_in_flight: Count = ServerLimits.writes_in_flight
    rate_per_s: Count = ServerLimits.rate_per_s
    burst: Count = ServerLimits.burst
    sessions: Count = ServerLimits.sessions
    signatures_waiting: Count = ServerLimits.signatures_waiting


class ServeConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The whole file. Every table and every key may be left out."""

    listen: Listener = Listener()
    admin: Admin = Admin()
    log: Log = Log()
    drain: Drain = Drain()
    limits: Limits = Limits()

    def make_limits(self) -> ServerLimits:
        """Return the server's bounds."""
        return ServerLimits(**msgspec.structs.asdict(self.limits))


def read_serve_config(folder: Path) -> ServeConfig:
    """Return what DIR/serve.toml says, the defaults if there is none.

    Errors     VenueError that names the file, the key and what was expected there.
    """
    path = folder / SERVE_NAME
    if not path.exists():
        return ServeConfig()
    try:
        if path.stat().st_size > CONFIG_BYTES_MAX:
            raise VenueError(f"{path} is larger than {CONFIG_BYTES_MAX} bytes")
        return msgspec.convert(tomllib.loads(path.read_text()), ServeConfig)
    except (OSError, ValueError) as error:
        raise VenueError(f"{path}: {error}") from error
