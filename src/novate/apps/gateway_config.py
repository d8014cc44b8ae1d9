"""HOME/gateway.toml: which venue, account and key a gateway signs for, for which bots, and its limits."""

import secrets
import tomllib
from pathlib import Path
from typing import Annotated

import msgspec

from novate.access.errors import ApiError
from novate.access.gateway.credentials import Credential, read_rights
from novate.access.gateway.keystore import KeystoreError, check_private, write_private
from novate.access.gateway.policy import PolicyLimits
from novate.access.quantities import read_address

GATEWAY_NAME = "gateway.toml"
KEYSTORE_NAME = "session.json"
SECRET_BYTES_MAX = 1 << 10
Port = Annotated[int, msgspec.Meta(ge=0, le=65_535)]
Word = Annotated[str, msgspec.Meta(min_length=1, max_length=64, pattern="^[A-Za-z0-9_.-]+$")]
EXAMPLE = """\
# What a gateway signs for, and for whom. Secrets are in files beside this one, mode 0600.
venue = "{venue}"
account = "{account}"
keystore = "{keystore}"

[listen]
host = "127.0.0.1"
port = 8090

[limits]                        # looked at before the key is touched; 0: none
instruments = ["*"]             # patterns, such as "BTC_USDC-*"
max_order_notional_usdc = 0     # amount times index, of one order
orders_per_minute = 0

[[bots]]                        # client_id and client_secret of one bot
id = "bot"
secret_file = "bot.secret"
scope = "account:read trade:read_write wallet:read block_rfq:read"
"""


class GatewayError(RuntimeError):
    """A gateway that cannot be set up; the message says what to do."""


class Listener(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where bots connect."""

    host: str = "127.0.0.1"
    port: Port = 8090


class Bot(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One bot: its client_id, the file of its client_secret, and the most that it may do."""

    id: Word
    secret_file: str
    scope: str = "account:read trade:read_write wallet:read"


class GatewayConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The whole file."""

    venue: Annotated[str, msgspec.Meta(pattern="^wss?://")]
    account: str
    keystore: str = KEYSTORE_NAME
    listen: Listener = Listener()
    limits: PolicyLimits = PolicyLimits()
    bots: Annotated[list[Bot], msgspec.Meta(min_length=1, max_length=64)] = []


def read_gateway_config(home: Path) -> GatewayConfig:
    """Return what HOME/gateway.toml says.

    Errors     GatewayError naming the file, the key and what was expected.
    """
    path = home / GATEWAY_NAME
    if not path.exists():
        raise GatewayError(f"{path} is missing: `novate keys create --home {home}` writes one")
    try:
        config = msgspec.convert(tomllib.loads(path.read_text()), GatewayConfig)
        read_address(config.account)
    except (OSError, ValueError, ApiError) as error:
        raise GatewayError(f"{path}: {error}") from error
    return config


def read_credentials(home: Path, config: GatewayConfig) -> dict[str, Credential]:
    """Return the bots' credentials by their names."""
    found = {}
    for bot in config.bots:
        path = home / bot.secret_file
        try:
            check_private(path)
            secret = path.read_bytes()[:SECRET_BYTES_MAX].strip()
            rights = read_rights(bot.scope)
        except (KeystoreError, OSError, ApiError) as error:
            raise GatewayError(f"{home / GATEWAY_NAME}: bot {bot.id}: {error}") from error
        if len(secret) < 16:
            raise GatewayError(f"{path} holds a secret of fewer than 16 characters")
        if bot.id in found:
            raise GatewayError(f"{home / GATEWAY_NAME}: two bots are called {bot.id}")
        found[bot.id] = Credential(bot.id, secret, rights)
    return found


def write_example(home: Path, venue: str, account: str) -> None:
    """Write a gateway's file and a bot's secret, unless they are there."""
    path, secret = home / GATEWAY_NAME, home / "bot.secret"
    if not path.exists():
        path.write_text(EXAMPLE.format(venue=venue, account=account, keystore=KEYSTORE_NAME))
    if not secret.exists():
        write_private(secret, secrets.token_urlsafe(32).encode() + b"\n")
