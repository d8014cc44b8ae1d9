"""A settlement contract on anvil, headers to post to it, and a poster in front of any number of endpoints."""

from pathlib import Path

from eth_account import Account
from eth_account.signers.local import LocalAccount

from novate.protocol.header import BatchHeader
from novate.settlement.client import SettlementClient
from novate.settlement.deployment import deploy_contracts
from novate.settlement.endpoints import WitnessedChain, open_endpoints
from novate.settlement.fees import GWEI, FeePolicy, PostingHeld
from novate.settlement.header_contract import HeaderContract
from novate.settlement.manifest import Manifest
from novate.settlement.posting import PostedData, Poster
from novate.settlement.posting_record import PostingRecord
from tests.contracts.anvil_node import CHAIN_ID, Anvil
from tests.contracts.lifecycle import FINALITY_DELAY_S, GENESIS_HASH, GENESIS_ROOT, make_header

OPERATOR: LocalAccount = Account.from_key(b"\x03" * 32)
TRADER: LocalAccount = Account.from_key(b"\x04" * 32)
TIMEOUT_S = 0.5


class ListedBatches:
    """Published batches held in a list."""

    def __init__(self, headers: list[BatchHeader], data: list[PostedData] | None = None) -> None:
        self.headers = headers
        self.posted = data or [PostedData() for _ in headers]

    def header(self, number: int) -> BatchHeader:
        return self.headers[number - 1]

    def data(self, number: int) -> PostedData:
        return self.posted[number - 1]


class PostingWorld:
    """One deployment on one node. `headers` are lawful and made up."""

    def __init__(self, node: Anvil, batch_count: int = 40) -> None:
        self.node = node
        node.fund(OPERATOR.address, TRADER.address)
        self.manifest: Manifest = deploy_contracts(
            node.web3,
            OPERATOR,
            operator=OPERATOR.address,
            genesis_hash=GENESIS_HASH,
            genesis_state_root=GENESIS_ROOT,
            finality_delay_s=FINALITY_DELAY_S,
        )
        self.client = SettlementClient(node.web3, OPERATOR, self.manifest)
        self.time_ns = node.web3.eth.get_block("latest")["timestamp"] * 10**9
        self.source = ListedBatches([make_header(n, self.time_ns, 0) for n in range(1, batch_count + 1)])
        self.first_nonce = node.web3.eth.get_transaction_count(OPERATOR.address)

    def poster(
        self,
        record: Path | None,
        addresses: list[str] | None = None,
        confirmations: int = 2,
        **policy: int,
    ) -> Poster:
        """Return a poster as a new process would make it."""
        chain = self.chain(addresses, confirmations)
        contract = HeaderContract(self.manifest.settlement)
        return Poster(chain, OPERATOR, contract, self.source, PostingRecord(record), FeePolicy(**policy))

    def chain(self, addresses: list[str] | None = None, confirmations: int = 2) -> WitnessedChain:
        """Return the chain through these endpoints, the node's own if none is named."""
        endpoints = open_endpoints(addresses or [self.node.address], TIMEOUT_S)
        return WitnessedChain(endpoints, CHAIN_ID, confirmations)

    def drive(self, poster: Poster, last: int, steps: int = 60) -> None:
        """Step and mine until the chain has confirmed the batches."""
        for _ in range(steps):
            if poster.step(last).confirmed >= last:
                return
            self.node.mine()
        raise AssertionError(f"batch {last} should be confirmed within {steps} steps")

    def drive_through_alarms(self, poster: Poster, last: int, steps: int = 60) -> None:
        """As `drive`, while alarms come and go."""
        for _ in range(steps):
            try:
                if poster.step(last).confirmed >= last:
                    return
            except PostingHeld:
                self.node.ask("anvil_setNextBlockBaseFeePerGas", hex(GWEI))
            self.node.mine()
        raise AssertionError(f"batch {last} should be confirmed within {steps} steps")

    def require_posted(self, last: int) -> None:
        """Each header is on the chain as published, and nothing reverted or was sent twice."""
        assert last == self.client.batch_count()
        hashes = [self.client.header_hash(number) for number in range(1, last + 1)]
        assert [header.hash() for header in self.source.headers[:last]] == hashes

    def mined(self) -> list[tuple[int, int, int]]:
        """Return (nonce, status, block) of every transaction that the operator mined since deployment."""
        rows = []
        for number in range(self.manifest.block_number, self.node.web3.eth.block_number + 1):
            for transaction in self.node.web3.eth.get_block(number, full_transactions=True)["transactions"]:
                assert not isinstance(transaction, bytes)
                if transaction["from"] == OPERATOR.address and transaction["nonce"] >= self.first_nonce:
                    receipt = self.node.web3.eth.get_transaction_receipt(transaction["hash"])
                    rows.append((transaction["nonce"], receipt["status"], number))
        return rows
