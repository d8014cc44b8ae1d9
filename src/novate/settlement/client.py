"""The venue's hand on the chain: post headers, read deposits, claim withdrawals.

It speaks web3.py to any node or to the embedded chain, signs locally, and can be killed at any point: what
was done is read back from the chain and never from memory. Implements the submitting side of [SETTLE-3] and
[SETTLE-9].
"""

import functools
import threading
from collections.abc import Sequence
from typing import Any, NamedTuple, cast

from eth_account.signers.local import LocalAccount
from eth_utils.address import to_canonical_address, to_checksum_address
from hexbytes import HexBytes
from web3 import Web3
from web3.contract import Contract
from web3.types import TxParams, TxReceipt

from novate.protocol.frame import keccak256
from novate.protocol.header import BatchHeader
from novate.protocol.inbox import EntryKind
from novate.protocol.transaction import encode_rlp_integer, encode_rlp_item, encode_rlp_list
from novate.protocol.withdrawals import Withdrawal, hash_withdrawal
from novate.settlement.compiler import compile_contract
from novate.settlement.manifest import Manifest, ManifestError, hash_code

RECEIPT_TIMEOUT_S = 120.0
# A twentieth part more than estimated: the state may move between estimate and execution.
GAS_MARGIN = 20
LOG_BLOCKS_MAX = 2_000
PRIORITY_FEE_WEI = 1_000_000_000


class Deposit(NamedTuple):
    """One credited deposit: the inbox's cursor, the 20-byte account, what arrived in atoms, and the block."""

    cursor: int
    account: bytes
    amount_atoms: int
    block_number: int


class SettlementError(RuntimeError):
    """A transaction that reverted, or a chain that contradicts what this client must hold true."""


@functools.cache
def load_interface(name: str) -> type[Contract]:
    """Return what encodes calls of one of our contracts; to build it takes milliseconds."""
    return Web3().eth.contract(abi=compile_contract(name).abi)


class Sender:
    """Signs EIP-1559 transactions with one key and waits for their receipts."""

    def __init__(self, web3: Web3, account: LocalAccount) -> None:
        self.web3 = web3
        self.account = account
        self.chain_id = web3.eth.chain_id
        # Two threads that asked for the next nonce at once would get the same one.
        self._lock = threading.Lock()

    def send(self, request: dict[str, Any]) -> TxReceipt:
        """Send one transaction and return its receipt; raise SettlementError if it reverted.

        A revert seen while estimating gas raises web3's ContractLogicError, with the contract's reason.
        """
        with self._lock:
            transaction_hash = self._submit(request)
        receipt = self.web3.eth.wait_for_transaction_receipt(
            transaction_hash, timeout=RECEIPT_TIMEOUT_S, poll_latency=0.05
        )
        if receipt["status"] != 1:
            raise SettlementError(f"transaction {receipt['transactionHash'].to_0x_hex()} reverted")
        return receipt

    def _submit(self, request: dict[str, Any]) -> HexBytes:
        """Fill in, sign and send one transaction with the account's next nonce; return its hash."""
        eth = self.web3.eth
        address = self.account.address
        base_fee = eth.get_block("latest").get("baseFeePerGas", 0)
        tip = PRIORITY_FEE_WEI if base_fee else 0
        transaction: dict[str, Any] = {
            "type": 2,
            "chainId": self.chain_id,
            "from": address,
            "nonce": eth.get_transaction_count(address, "pending"),
            "maxPriorityFeePerGas": tip,
            "maxFeePerGas": 2 * base_fee + tip,
            "value": 0,
            **request,
        }
        estimate = eth.estimate_gas(cast(TxParams, transaction))
        transaction["gas"] = estimate + estimate // GAS_MARGIN
        del transaction["from"]
        signed = self.account.sign_transaction(transaction)
        return eth.send_raw_transaction(signed.raw_transaction)

    def deploy(self, name: str, *arguments: object, level: str = "gas") -> TxReceipt:
        """Deploy one of our contracts; its address is in the receipt."""
        compiled = compile_contract(name, level)
        contract = self.web3.eth.contract(abi=compiled.abi, bytecode=compiled.creation_code)
        return self.send({"data": contract.constructor(*arguments).data_in_transaction})

    def call(self, address: str, name: str, function: str, *arguments: object) -> TxReceipt:
        """Send a transaction to a function of one of our contracts."""
        data = load_interface(name).encode_abi(function, list(arguments))
        return self.send({"to": to_checksum_address(address), "data": data})


def compute_create_address(deployer: str, nonce: int) -> str:
    """Return the address of the contract that an account creates with this nonce."""
    pair = encode_rlp_list([encode_rlp_item(to_canonical_address(deployer)), encode_rlp_integer(nonce)])
    return to_checksum_address(keccak256(pair)[12:])


class SettlementClient:
    """One venue's contracts on one chain. `key` may be None for reading only.

    Errors     ManifestError if the chain does not hold the manifest's contracts. A node out of reach
               raises web3's errors; every call may then be repeated.
    """

    def __init__(self, web3: Web3, key: LocalAccount | None, manifest: Manifest) -> None:
        self.web3 = web3
        self.manifest = manifest
        self._sender = Sender(web3, key) if key else None
        self._settlement = web3.eth.contract(
            address=to_checksum_address(manifest.settlement), abi=compile_contract("Settlement").abi
        )
        self._vault = web3.eth.contract(
            address=to_checksum_address(manifest.vault), abi=compile_contract("Vault").abi
        )
        self._inbox = web3.eth.contract(
            address=to_checksum_address(manifest.inbox), abi=compile_contract("Inbox").abi
        )
        self._token = web3.eth.contract(
            address=to_checksum_address(manifest.token), abi=compile_contract("TestUSD").abi
        )
        self._verify_chain()

    def _verify_chain(self) -> None:
        manifest = self.manifest
        if self.web3.eth.chain_id != manifest.chain_id:
            raise ManifestError(f"the node serves chain {self.web3.eth.chain_id}, not {manifest.chain_id}")
        for name, contract in manifest.contracts.items():
            code = self.web3.eth.get_code(to_checksum_address(contract.address))
            if hash_code(code) != contract.code_hash:
                raise ManifestError(f"the code of {name} at {contract.address} is not what the manifest says")

    def _require_sender(self) -> Sender:
        if self._sender is None:
            raise SettlementError("this client was opened without a key and can only read")
        return self._sender

    @property
    def address(self) -> str:
        """The account that this client signs for."""
        return str(self._require_sender().account.address)

    def batch_count(self) -> int:
        """Return the number of the last posted batch."""
        return int(self._settlement.functions.batchCount().call())

    def header_hash(self, number: int) -> bytes:
        """Return the hash of a posted header, or 32 zero bytes."""
        return bytes(self._settlement.functions.headerHash(number).call())

    def is_final(self, number: int) -> bool:
        """Return whether a batch is final at the chain's latest time [SETTLE-5]."""
        return bool(self._settlement.functions.isFinal(number).call())

    def post_header(self, header: BatchHeader) -> TxReceipt | None:
        """Submit a header, or return None if this very header is on chain already.

        So a restart may post again whatever it is unsure of. Raises SettlementError if another header has its
        number or a header before it is missing.
        """
        count = self.batch_count()
        if header.number <= count:
            if self.header_hash(header.number) != header.hash():
                raise SettlementError(f"batch {header.number} on chain differs from the one to post")
            return None
        if header.number != count + 1:
            raise SettlementError(f"batch {header.number} cannot follow batch {count}")
        return self._require_sender().call(self.manifest.settlement, "Settlement", "submit", tuple(header))

    def entry_count(self) -> int:
        """Return the cursor of the inbox's last entry."""
        return int(self._inbox.functions.count().call())

    def read_deposit_logs(self, first_block: int, last_block: int) -> list[Deposit]:
        """Return the deposits of these blocks in the order of the chain.

        At most LOG_BLOCKS_MAX blocks at once. Errors: SettlementError for an entry that the law does not
        know.
        """
        if last_block - first_block >= LOG_BLOCKS_MAX:
            raise SettlementError(f"at most {LOG_BLOCKS_MAX} blocks can be read at once")
        logs = self._inbox.events.Entered.get_logs(from_block=first_block, to_block=last_block)
        for log in logs:
            if (log["args"]["kind"], log["args"]["asset"]) != (EntryKind.DEPOSIT, 0):
                raise SettlementError(f"entry {log['args']['cursor']} of the inbox is no deposit of cash")
        return [
            Deposit(
                log["args"]["cursor"],
                to_canonical_address(log["args"]["account"]),
                log["args"]["amount"],
                log["blockNumber"],
            )
            for log in logs
        ]

    def claim(self, withdrawal: Withdrawal, proof: Sequence[bytes]) -> TxReceipt | None:
        """Claim a withdrawal for its account, or return None if it was claimed already [SETTLE-9].

        Where the vault limits what leaves in a day the claim may be paid later, by `release` [SETTLE-20].
        """
        if self.is_claimed(withdrawal.batch_number, withdrawal.leaf_index):
            return None
        return self._require_sender().call(
            self.manifest.vault,
            "Vault",
            "claim",
            withdrawal.batch_number,
            withdrawal.leaf_index,
            withdrawal.asset,
            to_checksum_address(withdrawal.account),
            withdrawal.amount_atoms,
            list(proof),
        )

    def payable_at_s(self, withdrawal: Withdrawal) -> int:
        """Return when a claim that waits can be paid, in seconds UTC; 0 if it does not wait [SETTLE-20]."""
        return int(self._vault.functions.payableAt(hash_withdrawal(withdrawal)).call())

    def time_s(self) -> int:
        """Return the time of the chain's last block, in seconds UTC."""
        return int(self.web3.eth.get_block("latest")["timestamp"])

    def release(self, withdrawal: Withdrawal) -> TxReceipt:
        """Have a claim paid whose time has come [SETTLE-20]."""
        return self._require_sender().call(
            self.manifest.vault,
            "Vault",
            "release",
            withdrawal.batch_number,
            withdrawal.leaf_index,
            withdrawal.asset,
            to_checksum_address(withdrawal.account),
            withdrawal.amount_atoms,
        )

    def is_claimed(self, batch_number: int, leaf_index: int) -> bool:
        """Return whether a withdrawal was claimed: paid, or given its time."""
        return bool(self._vault.functions.isClaimed(batch_number, leaf_index).call())

    def deposit(self, account: str, amount_atoms: int) -> TxReceipt:
        """Approve and deposit tokens of this client's key for an account."""
        sender = self._require_sender()
        sender.call(self.manifest.token, "TestUSD", "approve", self.manifest.vault, amount_atoms)
        arguments = (0, to_checksum_address(account), amount_atoms)
        return sender.call(self.manifest.vault, "Vault", "depositFor", *arguments)

    def mint(self, account: str, amount_atoms: int) -> TxReceipt:
        """Mint test tokens; only for the key that deployed TestUSD."""
        arguments = (to_checksum_address(account), amount_atoms)
        return self._require_sender().call(self.manifest.token, "TestUSD", "mint", *arguments)

    def token_balance(self, account: str) -> int:
        """Return the tokens of an account, in atoms."""
        return int(self._token.functions.balanceOf(to_checksum_address(account)).call())

    def vault_balance(self) -> int:
        """Return the tokens that the vault holds, in atoms."""
        return self.token_balance(self.manifest.vault)
