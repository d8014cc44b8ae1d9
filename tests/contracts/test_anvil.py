"""The same life cycle on a real node: anvil from npm, over HTTP."""

import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from eth_account import Account
from web3 import HTTPProvider, Web3

from novate.settlement.chain_rpc import EmbeddedProvider
from tests.contracts.lifecycle import run_life_cycle
from tests.contracts.test_embedded_chain import Clock, open_chain

FOLDER = Path(__file__).parent / "anvil"
BINARY = FOLDER / "node_modules/.bin/anvil"
CHAIN_ID = 31337
START_TIMEOUT_S = 30.0
FUNDED_WEI = 10**20
# What each step may cost on a node: a regression here is a cost for every user.
GAS_BOUNDS = {
    "deposit": 136_500,
    "deposit again": 102_000,
    "submit": 134_000,
    "submit again": 96_000,
    "claim": 112_500,
}


def install_anvil() -> None:
    """Install the locked version if it is not there, or skip where npm is absent."""
    if BINARY.exists():
        return
    if shutil.which("npm") is None:
        pytest.skip("npm is absent, so anvil cannot be installed")
    subprocess.run(
        ["npm", "ci", "--no-fund", "--no-audit", "--loglevel=error"], cwd=FOLDER, check=True, timeout=300
    )


def find_free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@pytest.fixture(scope="module")
def node() -> Iterator[Web3]:
    """A running anvil and a connection to it."""
    install_anvil()
    port = find_free_port()
    command = [
        str(BINARY),
        "--port",
        str(port),
        "--chain-id",
        str(CHAIN_ID),
        "--hardfork",
        "cancun",
        "--silent",
    ]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    web3 = Web3(HTTPProvider(f"http://127.0.0.1:{port}"))
    try:
        deadline = time.monotonic() + START_TIMEOUT_S
        while not web3.is_connected():
            assert process.poll() is None, "anvil should keep running"
            assert time.monotonic() < deadline, "anvil should answer in time"
            time.sleep(0.05)
        yield web3
    finally:
        process.terminate()
        process.wait(timeout=10)


def test_life_cycle_on_anvil(node: Web3) -> None:
    """The life cycle leaves the same on a node; the embedded one meters less gas, never more [SETTLE-15]."""
    operator, trader = Account.from_key(b"\x03" * 32), Account.from_key(b"\x04" * 32)
    for account in (operator, trader):
        node.provider.make_request("anvil_setBalance", [account.address, hex(FUNDED_WEI)])  # type: ignore[arg-type]

    def advance(seconds: int) -> None:
        node.provider.make_request("evm_increaseTime", [seconds])  # type: ignore[arg-type]
        node.provider.make_request("evm_mine", [])  # type: ignore[arg-type]

    on_node = run_life_cycle(node, operator, trader, advance)
    clock = Clock()
    embedded = open_chain(None, clock)
    in_process = run_life_cycle(Web3(EmbeddedProvider(embedded)), operator, trader, clock.advance)
    assert on_node.manifest == in_process.manifest
    assert [] == [name for name, gas in on_node.gas.items() if in_process.gas[name] > gas]
    for name, bound in GAS_BOUNDS.items():
        assert on_node.gas[name] <= bound, name
