"""Measure what the exit costs in gas on a node with cold storage, and print the table of docs/guides/exit.md.

Usage: `python -m benchmarks.exit_gas`; it needs npm's anvil in tests/contracts/anvil (`make anvil`).
"""

from typing import Any

from benchmarks.gas import run_anvil
from eth_account import Account
from eth_account.signers.local import LocalAccount
from web3 import Web3

from novate.protocol.header import BatchHeader
from novate.settlement.client import Sender, SettlementClient
from novate.settlement.deployment import DeploymentOptions, deploy_contracts
from tests.contracts.escape_world import BOOKS_FUNCTIONS, Books, Holder, account_address, pad

DAY_S = 86_400
CASH = 10**13
SIZES = (0, 1, 16, 64)
INSTRUMENTS = [(number % 4, 10**9 + number) for number in range(64)]
CLAIM_GAS_MAX = 700_000


def make_books() -> Books:
    """Accounts with so many short positions with costs."""
    holders = []
    for number, size in enumerate(SIZES):
        rows = tuple((n, -77, 10**11 + n) for n in range(size))
        holders.append(Holder(account_address(number), 10**12, rows))
    return Books(holders, INSTRUMENTS, deposited=CASH)


def make_header(books: Books, root: bytes, now_s: int) -> BatchHeader:
    """The first batch."""
    marks = books.roots[2].to_bytes(32, "big")
    empty = bytes(32)
    return BatchHeader(1, root, books.state_root, 1, 7, empty, 1, empty, marks, empty, now_s * 10**9)


class Bench:
    """A venue with an exit on a node, and the gas of each step by name."""

    def __init__(self, web3: Web3) -> None:
        self.web3 = web3
        self.gas: dict[str, int] = {}
        self.user: LocalAccount = Account.from_key(b"\x03" * 32)
        self.ask("anvil_setBalance", self.user.address, hex(10**20))
        self.root = b"\x22" * 32
        self.manifest = deploy_contracts(
            web3,
            self.user,
            operator=self.user.address,
            genesis_hash=b"\x11" * 32,
            genesis_state_root=self.root,
            finality_delay_s=600,
            options=DeploymentOptions(forced_deadline_s=7 * DAY_S),
        )
        self.client = SettlementClient(web3, self.user, self.manifest)
        self.sender = Sender(web3, self.user)

    def ask(self, method: str, *parameters: Any) -> None:
        """One of anvil's own requests."""
        reply = self.web3.provider.make_request(method, list(parameters))  # type: ignore[arg-type]
        assert "error" not in reply, reply

    def wait(self, seconds: int) -> None:
        """Let time pass."""
        self.ask("evm_increaseTime", seconds)
        self.ask("evm_mine")

    def do(self, action: str, name: str, *arguments: Any) -> None:
        """One transaction to the exit."""
        contract = "Books" if name in BOOKS_FUNCTIONS else "Escape"
        address = self.manifest.contracts[contract].address
        self.gas[action] = self.sender.call(address, contract, name, *arguments)["gasUsed"]

    def leave(self) -> None:
        """From the last batch to the pay-out."""
        books = make_books()
        self.client.mint(self.user.address, CASH)
        self.client.deposit(self.user.address, CASH)
        header = make_header(books, self.root, int(self.web3.eth.get_block("latest")["timestamp"]))
        self.client.post_header(header)
        self.wait(601)
        self.do("request", "request", 1)
        self.wait(7 * DAY_S)
        self.do("freeze", "freeze", 2)
        house = books.house
        self.do("opening the books, once", "openBooks", tuple(header), books.roots, pad(house), len(house))
        for number in range(len(INSTRUMENTS)):
            self.do("a mark, once for each instrument", "postMark", *books.mark_arguments(number))
        for index in (0, *range(1, len(SIZES))):
            self.do(f"claim with {SIZES[index]} positions", "claim", *books.claim_arguments(index))
        self.wait(14 * DAY_S)
        self.do("first pay-out of all", "collect", 0)
        self.wait(1)


def main() -> None:
    """Measure, check the target, and print the table."""
    with run_anvil() as web3:
        bench = Bench(web3)
        bench.leave()
    assert bench.gas["claim with 16 positions"] < CLAIM_GAS_MAX
    print("| step | gas |\n|---|---:|")
    for action, gas in bench.gas.items():
        print(f"| {action} | {gas:,} |")


if __name__ == "__main__":
    main()
