"""`novate keys`: creates session keys, and lets a wallet authorise, list and revoke them."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

import aiohttp
from coincurve import PrivateKey
from rich.console import Console
from rich.table import Table

from novate.access.client import NovateClient
from novate.access.client_errors import ConnectionLost, VenueError
from novate.access.gateway.keystore import create_keystore, read_address_of
from novate.apps.gateway_config import (
    GATEWAY_NAME,
    KEYSTORE_NAME,
    GatewayError,
    read_gateway_config,
    write_example,
)
from novate.settlement.keys import KeyFileError, load_key

MS_PER_DAY = 86_400_000


class KeyLimits(NamedTuple):
    """What a wallet lets a session key do; amounts in USDC, 0 for no limit."""

    scope: str
    days: float
    max_notional: float
    max_delta: float
    max_vega: float
    rate_per_minute: int


def create_key(home: Path, venue: str, account: str, password: str, console: Console) -> None:
    """Create HOME with an encrypted session key, a gateway's file and a bot's secret."""
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    address = create_keystore(home / KEYSTORE_NAME, password)
    write_example(home, venue, account)
    console.print(f"session key 0x{address.hex()} in {home / KEYSTORE_NAME}", highlight=False, soft_wrap=True)
    console.print(
        f"next: novate keys authorize --home {home} --wallet WALLET.key, then novate gateway --home {home}",
        highlight=False,
        soft_wrap=True,
    )


@asynccontextmanager
async def connect_wallet(home: Path, wallet: Path) -> AsyncIterator[NovateClient]:
    """A client that signs with the wallet's own key.

    Errors     GatewayError if the key is not the account's, or the venue refuses or is out of reach.
    """
    config = read_gateway_config(home)
    try:
        owner = load_key(wallet)
    except KeyFileError as error:
        raise GatewayError(str(error)) from error
    client = NovateClient(config.venue, PrivateKey(bytes(owner.key)), account=config.account)
    try:
        await client.connect()
        yield client
    except (aiohttp.ClientError, OSError, ConnectionLost, TimeoutError) as error:
        raise GatewayError(f"the venue at {config.venue} cannot be reached: {error}") from error
    except (VenueError, ValueError) as error:
        raise GatewayError(str(error)) from error
    finally:
        await client.close()


async def authorize_key(home: Path, wallet: Path, limits: KeyLimits, console: Console) -> None:
    """Let HOME's session key sign for the account, within limits."""
    config = read_gateway_config(home)
    address = "0x" + read_address_of(home / config.keystore).hex()
    async with connect_wallet(home, wallet) as client:
        expires_ms = int(time.time() * 1_000 + limits.days * MS_PER_DAY)
        await client.authorize_key(
            address,
            limits.scope,
            expires_ms,
            limits.max_notional,
            limits.max_delta,
            limits.max_vega,
            limits.rate_per_minute,
        )
        print_keys(await client.list_keys(), console)


async def list_keys(home: Path, wallet: Path, console: Console) -> None:
    """Show the account's active keys."""
    async with connect_wallet(home, wallet) as client:
        print_keys(await client.list_keys(), console)


async def revoke_key(home: Path, wallet: Path, address: str, console: Console) -> None:
    """End a key, HOME's own if none is named."""
    config = read_gateway_config(home)
    wanted = address or "0x" + read_address_of(home / config.keystore).hex()
    async with connect_wallet(home, wallet) as client:
        await client.revoke_key(wanted)
        print_keys(await client.list_keys(), console)


def print_keys(rows: list[dict[str, Any]], console: Console) -> None:
    """Print keys as a table."""
    if not rows:
        console.print("no session key is active")
        return
    table = Table(title="session keys", title_justify="left")
    for heading in ("key", "scope", "until (UTC)", "notional", "delta", "vega", "per minute"):
        table.add_column(heading, overflow="fold")
    for row in rows:
        until = time.strftime("%Y-%m-%d %H:%M", time.gmtime(int(row["expiration_timestamp"]) / 1_000))
        limits = [row[name] for name in ("max_notional", "max_delta", "max_vega", "rate_per_minute")]
        shown = [f"{float(limit):,.0f}" if float(limit) else "no limit" for limit in limits]
        table.add_row(row["key"], row["scope"], until, *shown)
    console.print(table)


__all__ = ["GATEWAY_NAME", "KeyLimits", "authorize_key", "create_key", "list_keys", "revoke_key"]
