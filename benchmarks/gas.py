"""Measure what every action on the contracts costs in gas on a node, and write the table docs/guides/gas.md.

Cold storage and calldata are charged as on a public chain (anvil, Cancun), unlike on the embedded chain.
Usage: `python -m benchmarks.gas`; it needs npm's anvil in tests/contracts/anvil (`make anvil`).
"""

import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from eth_account import Account
from eth_account.signers.local import LocalAccount
from web3 import HTTPProvider, Web3

from novate.protocol.header import BatchHeader
from novate.protocol.withdrawals import (
    Withdrawal,
    compute_withdrawals_root,
    hash_withdrawal,
    prove_withdrawal,
)
from novate.settlement.client import Sender, SettlementClient
from novate.settlement.compiler import compile_contract
from novate.settlement.deployment import DeploymentOptions, deploy_contracts

ROOT = Path(__file__).parents[1]
ANVIL = ROOT / "tests/contracts/anvil/node_modules/.bin/anvil"
TABLE = ROOT / "docs/guides/gas.md"
VALIDATORS, QUORUM = 16, 11
STAKE = 1_000_000
DAY_S = 86_400
FINALITY_S = 3_600
WITHDRAWALS = 1_024
PLONK = "300,000 for the PLONK proof alone (Derive V3)"
# What must hold, or nothing is written.
TARGETS = {"batch header": 150_000, "withdrawal claim": 120_000, "next claim of the batch": 120_000}
RIVALS = {"batch header": PLONK, f"attestation by {VALIDATORS} validators": PLONK}


@contextmanager
def run_anvil() -> Iterator[Web3]:
    """A node for the time of the measurement."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    command = [str(ANVIL), "--port", str(port), "--hardfork", "cancun", "--silent"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    web3 = Web3(HTTPProvider(f"http://127.0.0.1:{port}", request_kwargs={"timeout": 60}))
    try:
        while not web3.is_connected():
            assert process.poll() is None, "anvil ended"
            time.sleep(0.05)
        yield web3
    finally:
        process.terminate()
        process.wait(timeout=10)


class Bench:
    """All contracts on one node, and the gas of each action by name."""

    def __init__(self, web3: Web3) -> None:
        self.web3 = web3
        self.gas: dict[str, int] = {}
        self.operator: LocalAccount = Account.from_key(b"\x03" * 32)
        members: list[LocalAccount] = [Account.from_key(bytes([40 + i]) * 32) for i in range(VALIDATORS)]
        self.members = sorted(members, key=lambda member: member.address.lower())
        for account in (self.operator, *self.members):
            self.request("anvil_setBalance", account.address, hex(10**20))
        options = DeploymentOptions(
            bond_min=STAKE,
            validators=tuple(member.address for member in self.members),
            quorum=QUORUM,
            stake_min=STAKE,
            governor=self.operator.address,
            guardian=self.operator.address,
            day_limits=(10**9,),
        )
        self.manifest = deploy_contracts(
            web3,
            self.operator,
            operator=self.operator.address,
            genesis_hash=b"\x11" * 32,
            genesis_state_root=b"\x22" * 32,
            finality_delay_s=FINALITY_S,
            options=options,
        )
        self.client = SettlementClient(web3, self.operator, self.manifest)
        self.sender = Sender(web3, self.operator)
        self.client.mint(self.operator.address, 10**15)

    def request(self, method: str, *params: Any) -> Any:
        """Send a request of the node's own."""
        return self.web3.provider.make_request(method, list(params))  # type: ignore[arg-type]

    def wait(self, seconds: int) -> None:
        """Let time pass on the chain."""
        self.request("evm_increaseTime", seconds)
        self.request("evm_mine")

    def send(self, action: str, contract: str, function: str, *arguments: Any, key: Any = None) -> None:
        """Call a contract and note the gas of the action, where it has a name."""
        place = self.manifest.token if contract == "TestUSD" else self.manifest.contracts[contract].address
        sender = Sender(self.web3, key) if key else self.sender
        receipt = sender.call(place, contract, function, *arguments)
        if action:
            self.gas[action] = receipt["gasUsed"]

    def view(self, contract: str, function: str, *arguments: Any) -> Any:
        """Ask a contract."""
        place = self.web3.to_checksum_address(self.manifest.contracts[contract].address)
        return (
            self.web3.eth.contract(place, abi=compile_contract(contract).abi)
            .functions[function](*arguments)
            .call()
        )

    def post(self, action: str, number: int, root: bytes, cursor: int) -> BatchHeader:
        """Submit a batch of made-up roots."""
        header = BatchHeader(
            number=number,
            previous_state_root=bytes([0x22 + number - 1]) * 32,
            state_root=bytes([0x22 + number]) * 32,
            first_sequence=1_000_000 * (number - 1) + 1,
            last_sequence=1_000_000 * number,
            journal_head=b"\x33" * 32,
            inbox_cursor=cursor,
            withdrawals_root=root,
            marks_root=b"\x44" * 32,
            data_hash=b"\x55" * 32,
            time_ns=self.web3.eth.get_block("latest")["timestamp"] * 10**9,
        )
        self.send(action, "Settlement", "submit", tuple(header))
        return header


def measure_deposits(bench: Bench) -> None:
    """Every way in."""
    vault, me = bench.manifest.vault, bench.operator.address
    bench.send("", "TestUSD", "approve", vault, 10**15)
    bench.send("first deposit of all", "Vault", "deposit", 0, 10**10)
    bench.send("deposit", "Vault", "deposit", 0, 10**10)
    box = bench.view("DepositBoxes", "boxOf", me)
    for action in ("deposit by transfer, first of an account", "deposit by transfer"):
        bench.send("", "TestUSD", "transfer", box, 10**6)
        bench.send(action, "DepositBoxes", "collect", 0, me)


def measure_batches(bench: Bench) -> list[Withdrawal]:
    """Bond, quorum, headers and attestations; return the withdrawals of both batches."""
    contracts = bench.manifest.contracts
    bench.send("", "TestUSD", "approve", contracts["Bond"].address, STAKE)
    bench.send("bond", "Bond", "deposit", STAKE)
    for member in bench.members:
        bench.client.mint(member.address, STAKE)
        bench.send("", "TestUSD", "approve", contracts["Validators"].address, STAKE, key=member)
        bench.send("stake", "Validators", "stake", STAKE, key=member)
    bench.send(f"seating {VALIDATORS} validators", "Validators", "open")
    account = bytes.fromhex(bench.operator.address[2:])
    owed = [Withdrawal(number, i, account, 10**6 + i) for number in (1, 2) for i in range(WITHDRAWALS)]
    owed[-1] = owed[-1]._replace(amount_atoms=15 * 10**9)
    for number, action in ((1, "first batch header of all"), (2, "batch header")):
        leaves = [hash_withdrawal(each) for each in owed if each.batch_number == number]
        header = bench.post(action, number, compute_withdrawals_root(leaves), 2 * number)
    for number, count in ((1, QUORUM), (2, VALIDATORS)):
        posted = bench.view("Settlement", "headerHash", number)
        digest = bench.view("Validators", "attestationDigest", 1, number, posted)
        signed = [member.unsafe_sign_hash(digest) for member in bench.members[:count]]
        rows = [(each.v, each.r.to_bytes(32, "big"), each.s.to_bytes(32, "big")) for each in signed]
        bench.send(f"attestation by {count} validators", "Validators", "attest", number, rows)
    bench.send("opening a header for the exit", "Settlement", "openHeader", tuple(header))
    return owed


def measure_claims(bench: Bench, owed: list[Withdrawal]) -> None:
    """Claims of batches of 1,024 withdrawals; the last one is beyond the daily limit."""
    bench.wait(FINALITY_S)
    me = bench.operator.address
    actions = {
        (1, 0): "first claim of all",
        (2, 0): "withdrawal claim",
        (2, 1): "next claim of the batch",
        (2, WITHDRAWALS - 1): "claim that waits",
    }
    for (number, index), action in actions.items():
        leaves = [hash_withdrawal(each) for each in owed if each.batch_number == number]
        amount = owed[(number - 1) * WITHDRAWALS + index].amount_atoms
        proof = prove_withdrawal(leaves, index)
        bench.send(action, "Vault", "claim", number, index, 0, me, amount, proof)
    bench.wait(3 * DAY_S)
    amount = owed[-1].amount_atoms
    bench.send("its payment", "Vault", "release", 2, WITHDRAWALS - 1, 0, me, amount)
    bench.send("writing down the last final batch", "Settlement", "recordFinal")
    bench.send("announcing rungs", "Settlement", "announceRungs", me, me)
    bench.send("pause", "Vault", "pause")


def render(gas: dict[str, int]) -> str:
    """Return the table as a page."""
    rows = []
    for action, used in gas.items():
        bound = f"{TARGETS[action]:,}" if action in TARGETS else ""
        rows.append(f"| {action} | {used:,} | {bound} | {RIVALS.get(action, '')} |")
    return f"""# Gas

What each action costs on a node with Cancun's rules, written by `python -m benchmarks.gas`. The set has a
bond, {VALIDATORS} validators and a daily limit, so finality asks every rung but a verifier. A claim's proof
has ten hashes, of a batch with 1,024 withdrawals. Rivals publish no gas per deposit or claim.

| action | gas | at most | a rival |
|---|---:|---:|---|
{chr(10).join(rows)}
"""


def main() -> None:
    """Measure, check the targets and write the page."""
    with run_anvil() as web3:
        bench = Bench(web3)
        measure_deposits(bench)
        measure_claims(bench, measure_batches(bench))
    for action, bound in TARGETS.items():
        assert bench.gas[action] <= bound, (action, bench.gas[action], bound)
    text = render(bench.gas)
    TABLE.write_text(text)
    print(text)


if __name__ == "__main__":
    main()
