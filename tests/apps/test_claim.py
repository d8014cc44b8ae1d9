"""From wallet to wallet: a deposit, a signed withdrawal over the API, and a claim with nothing but a key
file.
"""

import asyncio
import time
from pathlib import Path

import pytest
from coincurve import PrivateKey
from eth_account import Account
from typer.testing import CliRunner

from novate.access.client import NovateClient
from novate.apps.cli import app
from tests.apps.serving import ForkServer, ServeProcess

USDC = 1_000_000
WAIT_S = 60.0


async def withdraw(url: str, key: PrivateKey, amount: str) -> None:
    """Sign a withdrawal."""
    async with NovateClient(url, key) as client:
        await client.withdraw(amount)


def claim(*arguments: str) -> tuple[int, str]:
    """Run `novate claim` and return its exit status and what it printed."""
    result = CliRunner().invoke(app, ["claim", *arguments])
    return result.exit_code, result.output


def claim_until(text: str, *arguments: str) -> str:
    """Run `novate claim` until its output holds a text."""
    deadline = time.monotonic() + WAIT_S
    while time.monotonic() < deadline:
        _, output = claim(*arguments)
        if text in output:
            return output
        time.sleep(0.2)
    raise AssertionError(f"{text!r} never came: {output}")


def write_key(path: Path, key: PrivateKey) -> str:
    """Write a key file as its owner would."""
    path.write_text(key.to_hex())
    path.chmod(0o600)
    return str(path)


@pytest.fixture
def venue(tmp_path: Path) -> tuple[ServeProcess, PrivateKey]:
    """A venue with one funded wallet."""
    key = PrivateKey()
    address = Account.from_key(key.secret).address
    server = ForkServer(tmp_path)
    process = server.serve(
        "--data",
        str(tmp_path / "venue"),
        "--port",
        "0",
        "--fund",
        f"{address}=1000",
        "--batch-interval",
        "0.5",
        "--no-list",
    )
    yield process, key
    process.terminate()
    server.close()


def test_a_withdrawal_reaches_the_wallet_that_signed_it(
    venue: tuple[ServeProcess, PrivateKey], tmp_path: Path
) -> None:
    """A signed withdrawal is paid once, to its owner, against a final batch; a stranger has nothing to
    claim.
    """
    process, key = venue
    address = f"http://127.0.0.1:{process.port}"
    owner = write_key(tmp_path / "owner.key", key)
    stranger = write_key(tmp_path / "stranger.key", PrivateKey())

    assert claim(address, "--key", owner)[0] == 0  # Nothing is withdrawn yet.
    asyncio.run(withdraw(process.url, key, "12.5"))

    paid = claim_until("paid now", address, "--key", owner)
    assert "12.500000" in paid
    assert "holds 12.500000 USDC" in paid
    again = claim(address, "--key", owner)
    assert again[0] == 0
    assert "paid before" in again[1]
    assert "holds 12.500000 USDC" in again[1]
    assert "no published batch holds a withdrawal" in claim(address, "--key", stranger)[1]


def test_what_a_claim_lacks_is_said(venue: tuple[ServeProcess, PrivateKey], tmp_path: Path) -> None:
    """A folder needs a node, a key file must be private, and a node must serve the venue's chain."""
    process, key = venue
    owner = write_key(tmp_path / "owner.key", key)
    folder = str(tmp_path / "venue")

    status, output = claim(folder, "--key", owner)
    assert (2, True) == (status, "--rpc" in output)
    Path(owner).chmod(0o644)
    status, output = claim(folder, "--key", owner, "--rpc", f"http://127.0.0.1:{process.port}/chain")
    assert (2, True) == (status, "chmod 600" in output)
