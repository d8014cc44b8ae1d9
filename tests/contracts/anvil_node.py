"""A running anvil for tests: started once per module, put back to its first state for each test."""

import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from web3 import HTTPProvider, Web3

FOLDER = Path(__file__).parent / "anvil"
BINARY = FOLDER / "node_modules/.bin/anvil"
CHAIN_ID = 31337
START_TIMEOUT_S = 30.0


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


class Anvil:
    """A node's address and its test methods."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.web3 = Web3(HTTPProvider(address))

    def ask(self, method: str, *params: Any) -> Any:
        """Return the result of any method."""
        answer = self.web3.provider.make_request(method, list(params))  # type: ignore[arg-type]
        assert "error" not in answer, (method, answer["error"])
        return answer["result"]

    def mine(self, count: int = 1) -> None:
        """Mine blocks."""
        self.ask("anvil_mine", hex(count))

    def fund(self, *addresses: str) -> None:
        """Give accounts ether for gas."""
        for address in addresses:
            self.ask("anvil_setBalance", address, hex(10**21))


@contextmanager
def run_anvil(hardfork: str = "cancun", *options: str) -> Iterator[Anvil]:
    """Yield a running node."""
    install_anvil()
    port = find_free_port()
    command = [str(BINARY), "--port", str(port), "--chain-id", str(CHAIN_ID), "--hardfork", hardfork]
    process = subprocess.Popen(
        [*command, "--silent", *options], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    node = Anvil(f"http://127.0.0.1:{port}")
    try:
        deadline = time.monotonic() + START_TIMEOUT_S
        while not node.web3.is_connected():
            assert process.poll() is None, "anvil should keep running"
            assert time.monotonic() < deadline, "anvil should answer in time"
            time.sleep(0.05)
        yield node
    finally:
        process.terminate()
        process.wait(timeout=10)
