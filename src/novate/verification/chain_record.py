"""Re-execute a published chain log and say what the contracts hold, from the frames alone.

It shares the formats of the law with the embedded chain and nothing else: senders are recovered twice, the
second time by eth-account; transactions executed on a state of its own. Any bytes may come in; only
RecordError comes out. Verifies [SETTLE-13] to [SETTLE-17].
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from eth_abi.abi import encode as encode_abi
from eth_account import Account
from eth_utils.address import to_checksum_address
from pyrevm import EVM, AccountInfo, BlockEnv, CfgEnv, Env

from novate.protocol.chain_blocks import (
    BLOCK_GAS_LIMIT,
    CHAIN_KIND,
    Block,
    BlockError,
    decode_block,
    decode_genesis,
)
from novate.protocol.frame import FrameError, decode_frame, keccak256
from novate.protocol.header import HEADER_BYTES, BatchHeader, HeaderError, decode_header
from novate.protocol.transaction import Transaction, TransactionError, decode_transaction

ENTERED_TOPIC = keccak256(b"Entered(uint64,uint8,address,uint8,uint256,bytes)")
# kind, asset, amount, where the bytes begin and how many there are, before them.
ENTERED_HEAD_BYTES = 160
HEADER_TYPE = "(uint64,bytes32,bytes32,uint64,uint64,bytes32,uint64,bytes32,bytes32,bytes32,uint64)"
SUBMITTED_TOPIC = keccak256(f"BatchSubmitted(uint64,bytes32,{HEADER_TYPE})".encode())


class RecordError(ValueError):
    """A log that is not a lawful chain. `where` names block and transaction; `what` is the rule it breaks."""

    def __init__(self, where: str, what: str) -> None:
        super().__init__(f"{where}: {what}")
        self.where = where
        self.what = what


class RecordedEntry(NamedTuple):
    """An Entered event; `account` is 20 bytes, `kind` and `asset` are as the inbox numbers them."""

    cursor: int
    kind: int
    account: bytes
    asset: int
    amount_atoms: int
    data: bytes
    block_number: int
    timestamp_s: int


class RecordedBatch(NamedTuple):
    """A BatchSubmitted event with the header that it carries."""

    header: BatchHeader
    header_hash: bytes
    block_number: int
    timestamp_s: int


class ChainRecord:
    """The state after a whole log, and what the watched contracts said on the way.

    `settlement`, `inbox` and `vault` are the 20-byte addresses of the manifest; other contracts' events are
    not kept.
    """

    def __init__(self, chain_id: int, settlement: bytes, inbox: bytes = b"", vault: bytes = b"") -> None:
        self.chain_id = chain_id
        self.settlement = settlement
        self.inbox = inbox
        self.vault = vault
        self.entries: list[RecordedEntry] = []
        self.batches: list[RecordedBatch] = []
        self.block_number = -1
        self.timestamp_s = 0
        # The stubs of pyrevm disagree with its binary about arguments and results, hence Any.
        self._evm: Any = EVM(
            spec_id="CANCUN", gas_limit=BLOCK_GAS_LIMIT, env=Env(cfg=CfgEnv(chain_id=chain_id))
        )

    def open_genesis(self, payload: bytes) -> None:
        """Begin the chain with its first frame's payload."""
        try:
            genesis = decode_genesis(payload)
        except BlockError as error:
            raise RecordError("genesis", str(error)) from error
        if genesis.chain_id != self.chain_id:
            raise RecordError("genesis", f"chain id {genesis.chain_id} should be {self.chain_id}")
        for address, wei in genesis.allocations:
            self._evm.set_balance(to_checksum_address(address), wei)
        self.block_number, self.timestamp_s = 0, genesis.timestamp_s

    def apply_block(self, payload: bytes) -> None:
        """Execute the next block."""
        where = f"block {self.block_number + 1}"
        try:
            block = decode_block(payload)
        except BlockError as error:
            raise RecordError(where, str(error)) from error
        if block.number != self.block_number + 1:
            raise RecordError(where, f"its number should be {self.block_number + 1}, it is {block.number}")
        if block.timestamp_s < self.timestamp_s:
            raise RecordError(where, "its time is before its parent's")
        self.block_number, self.timestamp_s = block.number, block.timestamp_s
        self._enter(block.number, block.timestamp_s, block.coinbase)
        for index, raw in enumerate(block.transactions):
            self._apply_transaction(f"{where} transaction {index}", block, raw)

    def _enter(self, number: int, timestamp_s: int, coinbase: bytes) -> None:
        environment = BlockEnv(
            number=number,
            timestamp=timestamp_s,
            coinbase=to_checksum_address(coinbase),
            basefee=0,
            gas_limit=BLOCK_GAS_LIMIT,
            prevrandao=bytes(32),
        )
        self._evm.set_block_env(environment)

    def _apply_transaction(self, where: str, block: Block, raw: bytes) -> None:
        try:
            transaction = decode_transaction(raw)
        except TransactionError as error:
            raise RecordError(where, str(error)) from error
        sender = self._recover_again(where, raw)
        if sender != to_checksum_address(transaction.sender):
            raise RecordError(where, "two decoders disagree about the sender")
        nonce = self._evm.basic(sender).nonce
        if transaction.chain_id != self.chain_id:
            raise RecordError(where, f"chain id {transaction.chain_id} should be {self.chain_id}")
        if transaction.nonce != nonce:
            raise RecordError(where, f"nonce {transaction.nonce} should be {nonce}")
        self._evm.snapshot()
        self._execute(where, sender, transaction)
        if self._evm.result.is_success:
            for log in self._evm.result.logs:
                self._keep_log(where, block, log)
        self._evm.commit()
        self._evm.reset_transient_storage()
        account_info: Any = AccountInfo
        self._evm.insert_account_info(
            sender, account_info(nonce=nonce + 1, balance=self._evm.get_balance(sender))
        )

    @staticmethod
    def _recover_again(where: str, raw: bytes) -> str:
        """Return the sender as eth-account reads it, so that a mistake in our decoder cannot pass unseen."""
        try:
            return str(Account.recover_transaction(raw))
        except Exception as error:  # eth-account documents no error type, and any refusal is a verdict.
            raise RecordError(where, f"eth-account cannot read it: {error}") from error

    def _execute(self, where: str, sender: str, transaction: Transaction) -> None:
        limits = {"value": transaction.value_wei, "gas": transaction.gas_limit, "gas_price": 0}
        try:
            if transaction.to:
                to = to_checksum_address(transaction.to)
                self._evm.message_call(sender, to, calldata=transaction.data, **limits)
            else:
                self._evm.deploy(sender, transaction.data, **limits)
        except RuntimeError as error:
            # A revert has a result and belongs in a block; a transaction without one never executed.
            if self._evm.result is None:
                raise RecordError(where, f"it cannot be executed: {error}") from error

    def _keep_log(self, where: str, block: Block, log: Any) -> None:
        address = bytes.fromhex(log.address[2:])
        topics = [bytes(topic) for topic in log.data[0]]
        data = bytes(log.data[1])
        if not topics:
            return
        if address == self.inbox and topics[0] == ENTERED_TOPIC:
            self._keep_entry(where, block, topics, data)
        elif address == self.settlement and topics[0] == SUBMITTED_TOPIC:
            if len(data) != 32 + HEADER_BYTES:
                raise RecordError(where, "the event BatchSubmitted has a wrong shape")
            header_hash = data[:32]
            try:
                header = decode_header(data[32:])
            except HeaderError as error:
                raise RecordError(where, str(error)) from error
            if header.hash() != header_hash or header.number != len(self.batches) + 1:
                raise RecordError(
                    where, f"the header of batch {header.number} does not match its hash and place"
                )
            self.batches.append(RecordedBatch(header, header_hash, block.number, block.timestamp_s))

    def _keep_entry(self, where: str, block: Block, topics: Sequence[bytes], data: bytes) -> None:
        if len(topics) != 3 or len(data) < ENTERED_HEAD_BYTES:
            raise RecordError(where, "the event Entered has a wrong shape")
        words = [int.from_bytes(data[i : i + 32], "big") for i in range(0, ENTERED_HEAD_BYTES, 32)]
        kind, asset, amount, offset, size = words
        padded = ENTERED_HEAD_BYTES + size + -size % 32
        if offset != ENTERED_HEAD_BYTES - 32 or padded != len(data):
            raise RecordError(where, "the event Entered has a wrong shape")
        cursor = int.from_bytes(topics[1], "big")
        if cursor != len(self.entries) + 1:
            raise RecordError(where, f"entry {len(self.entries) + 1} should be next, found {cursor}")
        content = data[ENTERED_HEAD_BYTES : ENTERED_HEAD_BYTES + size]
        place = (block.number, block.timestamp_s)
        self.entries.append(RecordedEntry(cursor, kind, topics[2][12:], asset, amount, content, *place))

    def call(self, to: bytes, signature: str, *arguments: int | str) -> int:
        """Return the word that a view of a contract returns; `signature` is like `headerHash(uint64)`."""
        kinds = [kind for kind in signature[signature.index("(") + 1 : -1].split(",") if kind]
        data = keccak256(signature.encode())[:4] + encode_abi(kinds, arguments)
        checkpoint = self._evm.snapshot()
        try:
            output = self._evm.message_call(
                to_checksum_address(bytes(20)), to_checksum_address(to), calldata=data, gas=BLOCK_GAS_LIMIT
            )
        except RuntimeError as error:
            raise RecordError(f"view {signature}", "the contract reverted") from error
        finally:
            self._evm.revert(checkpoint)
        if len(output) != 32:
            raise RecordError(f"view {signature}", f"32 bytes should come back, {len(output)} did")
        return int.from_bytes(output, "big")

    def header_hash(self, number: int) -> bytes:
        """Return Settlement.headerHash(number): 32 zero bytes if there is no such batch."""
        return self.call(self.settlement, "headerHash(uint64)", number).to_bytes(32, "big")

    def batch_count(self) -> int:
        """Return Settlement.batchCount()."""
        return self.call(self.settlement, "batchCount()")

    def entry_count(self) -> int:
        """Return Inbox.count()."""
        return self.call(self.inbox, "count()")

    def genesis_hash(self) -> bytes:
        """Return Settlement.genesisHash()."""
        return self.call(self.settlement, "genesisHash()").to_bytes(32, "big")

    def vault_balance(self) -> int:
        """Return what the vault's token says the vault holds, in atoms."""
        token = self.call(self.vault, "token(uint8)", 0).to_bytes(32, "big")[12:]
        return self.call(token, "balanceOf(address)", to_checksum_address(self.vault))

    def code_hashes(self) -> Mapping[bytes, bytes]:
        """Return the Keccak-256 of the code at the watched addresses."""
        watched = (self.settlement, self.inbox, self.vault)
        return {
            address: bytes(self._evm.basic(to_checksum_address(address)).code_hash) for address in watched
        }


def replay_chain(
    data: bytes, *, chain_id: int, settlement: bytes, inbox: bytes, vault: bytes, origin: bytes = bytes(32)
) -> ChainRecord:
    """Execute every frame of a chain log and return the record; raise RecordError at the first unlawful byte.

    A torn last frame is an error too: the publisher serves whole frames.
    """
    record = ChainRecord(chain_id, settlement, inbox, vault)
    previous, offset, sequence = origin, 0, 0
    while offset < len(data) or sequence == 0:
        where = f"block {sequence}"
        try:
            frame = decode_frame(data, offset, previous)
        except FrameError as error:
            raise RecordError(where, str(error)) from error
        if (frame.kind, frame.sequence) != (CHAIN_KIND, sequence):
            raise RecordError(where, f"found frame {frame.sequence} of kind {frame.kind:#x}")
        if sequence == 0:
            record.open_genesis(frame.payload)
        else:
            record.apply_block(frame.payload)
        previous, offset, sequence = frame.hash, frame.end, sequence + 1
    return record
