"""Starts the programs of this repository as a user would, and waits for the line that says they are ready."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

from coincurve import PrivateKey
from eth_utils.address import to_checksum_address

from novate.protocol.signing import compute_address

PROGRAM = "from novate.apps.cli import main; main()"
START_TIMEOUT_S = 240
PASSWORD = "a password of the tests"


@contextlib.asynccontextmanager
async def start(*arguments: str) -> AsyncIterator[list[str]]:
    """A program that runs until the context ends; gives the words of its ready line."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", PROGRAM, *arguments, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    try:
        line = await asyncio.wait_for(process.stdout.readline(), START_TIMEOUT_S)
        assert line.startswith(b"ready "), (arguments, line)
        yield line.decode().split()
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(signal.SIGTERM)
        await process.wait()


async def run(*arguments: str) -> str:
    """Run a program to its end, which must be a success, and return what it printed."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        PROGRAM,
        *arguments,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    output, errors = await process.communicate()
    assert 0 == process.returncode, (arguments, output, errors)
    return output.decode()


def write_secret(path: Path, text: str) -> Path:
    """A file that only its owner may read."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text + "\n")
    return path


def name_address(key: PrivateKey) -> str:
    """The address of a key, with its checksum."""
    return str(to_checksum_address(compute_address(key.public_key)))


@contextlib.asynccontextmanager
async def start_gateway(folder: Path, venue_url: str, wallet: PrivateKey) -> AsyncIterator[str]:
    """A gateway for a wallet, set up by the commands of the guide; gives its HTTP address."""
    home, password = folder / "gateway", write_secret(folder / "password", PASSWORD)
    key = write_secret(folder / "wallet", "0x" + wallet.secret.hex())
    socket = venue_url.replace("http", "ws") + "/ws/api/v2"
    where = ("--home", str(home))
    account = ("--account", name_address(wallet), "--password-file", str(password))
    await run("keys", "create", *where, "--venue", socket, *account)
    limits = ("--max-notional", "1000000", "--rate-per-minute", "6000")
    assert "no limit" in await run("keys", "authorize", *where, "--wallet", str(key), *limits)
    config = home / "gateway.toml"
    config.write_text(config.read_text().replace("port = 8090", "port = 0"))
    async with start("gateway", *where, "--password-file", str(password)) as ready:
        yield ready[1]
