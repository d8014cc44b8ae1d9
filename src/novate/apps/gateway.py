"""`novate gateway`: serves bots on this machine until it is told to stop."""

import asyncio
import os
import signal
import sys
from getpass import getpass
from pathlib import Path

import aiohttp
from rich.console import Console

from novate.access.client_errors import ConnectionLost, VenueError
from novate.access.client_signing import KeySigner
from novate.access.gateway.audit import AuditError, AuditLog
from novate.access.gateway.credentials import Doorkeeper
from novate.access.gateway.desk import GatewayDesk, read_clock_ms
from novate.access.gateway.keystore import KeystoreError, open_keystore, read_password
from novate.access.gateway.server import GatewayServer
from novate.apps.gateway_config import GatewayError, read_credentials, read_gateway_config

AUDIT_NAME = "audit.jsonl"
PASSWORD_VARIABLE = "NOVATE_KEY_PASSWORD"


def ask_password(path: Path | None, again: bool = False) -> str:
    """Return a keystore's password: of a file, of the environment, or asked for at the terminal."""
    if path is not None:
        return read_password(path)
    if PASSWORD_VARIABLE in os.environ:
        return os.environ[PASSWORD_VARIABLE]
    if not sys.stdin.isatty():
        raise KeystoreError(f"no password: name a file with --password-file, or set {PASSWORD_VARIABLE}")
    password = getpass("Password of the session key: ")
    if again and getpass("The same again: ") != password:
        raise KeystoreError("the two passwords differ")
    return password


async def run_gateway(home: Path, password_file: Path | None, console: Console) -> None:
    """Serve until SIGTERM or SIGINT.

    Errors     GatewayError, KeystoreError or AuditError for what is wrong at home; ConnectionLost or
               VenueError if the venue cannot be used.
    """
    config = read_gateway_config(home)
    credentials = read_credentials(home, config)
    key = open_keystore(home / config.keystore, ask_password(password_file))
    ended = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    audit = AuditLog(home / AUDIT_NAME)
    desk = GatewayDesk(config.venue, KeySigner(key), config.account, config.limits, audit)
    server = GatewayServer(desk, Doorkeeper(credentials, read_clock_ms))
    try:
        await connect(desk, config.venue)
        await server.start(config.listen.host, config.listen.port)
        bots = ", ".join(credentials)
        console.print(
            f"ready http://{config.listen.host}:{server.port} account {config.account} bots {bots}",
            highlight=False,
            soft_wrap=True,
        )
        await ended.wait()
    finally:
        await server.stop()
        await desk.close()
        audit.close()


async def connect(desk: GatewayDesk, url: str) -> None:
    """Connect a desk, or say in words why not."""
    try:
        await desk.connect()
    except (aiohttp.ClientError, OSError, ConnectionLost, TimeoutError) as error:
        raise GatewayError(f"the venue at {url} cannot be reached: {error}") from error
    except (ValueError, VenueError) as error:
        raise GatewayError(str(error)) from error


__all__ = ["AuditError", "GatewayError", "KeystoreError", "run_gateway"]
