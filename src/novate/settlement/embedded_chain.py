"""An Ethereum chain in this process: signed transactions in, one durable block each, the same answers after a
restart.

It is a chain of one operator for demonstrations, tests and small venues: no peers, no forks, free gas.
Everything it ever executed is in its log, which anyone can execute again. Implements [SETTLE-13] to
[SETTLE-17].
"""

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from novate.protocol.chain_blocks import (
    BLOCK_GAS_LIMIT,
    CHAIN_KIND,
    Block,
    BlockError,
    Genesis,
    decode_block,
    decode_genesis,
    encode_block,
    encode_genesis,
)
from novate.protocol.frame import Frame
from novate.protocol.transaction import Transaction, TransactionError, decode_transaction
from novate.settlement.chain_log import ChainLog, ChainLogError
from novate.settlement.evm import Evm, ExecutionRejected, Outcome

ORIGIN = bytes(32)
COINBASE = bytes(20)


class MinedTransaction(NamedTuple):
    """One transaction of a block with what it did. `log_index` counts the block's logs before it."""

    transaction: Transaction
    raw: bytes
    position: int
    log_index: int
    outcome: Outcome


class MinedBlock(NamedTuple):
    """One visible block. Its hash is the hash of its frame in the log."""

    number: int
    timestamp_s: int
    hash: bytes
    parent_hash: bytes
    transactions: tuple[MinedTransaction, ...]

    @property
    def gas_used(self) -> int:
        """The gas of all its transactions."""
        return sum(mined.outcome.gas_used for mined in self.transactions)


def read_clock_s() -> int:
    """Return the time in whole seconds UTC."""
    return int(time.time())


class EmbeddedChain:
    """A chain kept in `path`, or in memory if it is None.

    `chain_id` and `allocations` (wei by 20-byte address) matter when the chain is created; an existing log
    must have the same chain id. Errors: ChainLogError for a log that cannot be trusted or written.
    """

    def __init__(
        self,
        path: Path | None,
        chain_id: int,
        clock: Callable[[], int] = read_clock_s,
        allocations: Mapping[bytes, int] | None = None,
        origin: bytes = ORIGIN,
    ) -> None:
        self.chain_id = chain_id
        self.blocks: list[MinedBlock] = []
        self._clock = clock
        self._lock = threading.RLock()
        self._places: dict[bytes, tuple[int, int]] = {}
        self._evm = Evm(chain_id)
        self._log = ChainLog(path, origin)
        self.torn_bytes = self._log.torn_bytes
        try:
            if self._log.frames:
                self._restore(self._log.frames, origin)
            else:
                self._create(allocations or {})
        except BaseException:
            self._log.close()
            raise
        self._log.frames.clear()

    def _create(self, allocations: Mapping[bytes, int]) -> None:
        genesis = Genesis(self.chain_id, self._clock(), tuple(sorted(allocations.items())))
        parent = self._log.head
        self._open_genesis(genesis, self._log.append(CHAIN_KIND, 0, encode_genesis(genesis)), parent)

    def _open_genesis(self, genesis: Genesis, block_hash: bytes, parent_hash: bytes) -> None:
        for address, wei in genesis.allocations:
            self._evm.set_balance(address, wei)
        self.blocks.append(MinedBlock(0, genesis.timestamp_s, block_hash, parent_hash, ()))

    def _restore(self, frames: list[Frame], origin: bytes) -> None:
        """Execute the whole log again. [SETTLE-16]."""
        try:
            genesis = decode_genesis(frames[0].payload)
            if frames[0].kind != CHAIN_KIND or genesis.chain_id != self.chain_id:
                raise ChainLogError(f"the log should begin with the genesis of chain {self.chain_id}")
            self._open_genesis(genesis, frames[0].hash, origin)
            for frame in frames[1:]:
                block = decode_block(frame.payload)
                if (frame.kind, block.number) != (CHAIN_KIND, len(self.blocks)):
                    raise ChainLogError(f"block {block.number} should be block {len(self.blocks)}")
                self._restore_block(block, frame.hash)
        except (BlockError, TransactionError, ExecutionRejected) as error:
            raise ChainLogError(f"block {len(self.blocks)} of the log cannot be executed: {error}") from error

    def _restore_block(self, block: Block, block_hash: bytes) -> None:
        self._evm.enter_block(block.number, block.timestamp_s, block.coinbase)
        mined: list[MinedTransaction] = []
        log_index = 0
        for index, raw in enumerate(block.transactions):
            transaction = decode_transaction(raw)
            self._evm.verify_transaction(transaction)
            outcome, _ = self._evm.execute(transaction)
            self._evm.keep(transaction)
            mined.append(MinedTransaction(transaction, raw, index, log_index, outcome))
            log_index += len(outcome.logs)
        self._publish(block, block_hash, tuple(mined))

    def _publish(self, block: Block, block_hash: bytes, mined: tuple[MinedTransaction, ...]) -> None:
        parent = self.blocks[-1].hash
        for entry in mined:
            self._places[entry.transaction.hash] = (block.number, entry.position)
        self.blocks.append(MinedBlock(block.number, block.timestamp_s, block_hash, parent, mined))

    def send_raw_transaction(self, raw: bytes) -> bytes:
        """Execute a signed transaction in a block of its own, durable before this returns; return its hash.

        Errors     TransactionError and ExecutionRejected leave the chain as it was.

        A reverting transaction is mined, as on any chain.
        """
        transaction = decode_transaction(raw)
        with self._lock:
            self._evm.verify_transaction(transaction)
            block = Block(len(self.blocks), self.next_timestamp_s(), COINBASE, (raw,))
            self._evm.enter_block(block.number, block.timestamp_s, block.coinbase)
            outcome, checkpoint = self._evm.execute(transaction)
            try:
                block_hash = self._log.append(CHAIN_KIND, block.number, encode_block(block))
            except BaseException:
                self._evm.undo(checkpoint)
                raise
            self._evm.keep(transaction)
            self._publish(block, block_hash, (MinedTransaction(transaction, raw, 0, 0, outcome),))
        return transaction.hash

    def read_end(self) -> tuple[int, bytes]:
        """Return (frames, hash of the last one) of the log as it is durable, visible or not yet."""
        return self._log.end

    def watch(self, on_durable: Callable[[bytes], None]) -> None:
        """Call somebody with each new frame after it is durable; the block is visible once that returns."""
        self._log.on_durable = on_durable

    def follow(self, frame: Frame) -> None:
        """Append and execute the block of another process's log; ChainLogError if it is not the next one."""
        with self._lock:
            if (frame.kind, frame.sequence) != (CHAIN_KIND, len(self.blocks)):
                raise ChainLogError(f"block {frame.sequence} should be block {len(self.blocks)}")
            block = decode_block(frame.payload)
            if self._log.append(CHAIN_KIND, block.number, frame.payload) != frame.hash:
                raise ChainLogError(f"block {block.number} has another hash in this log")
            self._restore_block(block, frame.hash)

    def measure(self) -> tuple[int, bytes, int]:
        """Return (frames, hash of the last one, bytes) of the log as it stands, for HEAD [PUBLISH-2]."""
        with self._lock:
            return len(self.blocks), self.blocks[-1].hash, self._log.byte_count

    def next_timestamp_s(self) -> int:
        """Return the time of a block mined now; it never goes back, and may stand still within a second."""
        return max(self._clock(), self.blocks[-1].timestamp_s)

    def call(
        self, sender: bytes, to: bytes, data: bytes, value_wei: int = 0, gas: int = BLOCK_GAS_LIMIT
    ) -> Outcome:
        """Run a call as if it were in the next block, and forget it."""
        with self._lock:
            self._evm.enter_block(len(self.blocks), self.next_timestamp_s(), COINBASE)
            return self._evm.call(sender, to, data, value_wei, min(gas, BLOCK_GAS_LIMIT))

    def balance(self, address: bytes) -> int:
        """Return the ether of an address at the head, in wei."""
        with self._lock:
            return self._evm.balance(address)

    def nonce(self, address: bytes) -> int:
        """Return the next nonce of an account at the head."""
        with self._lock:
            return self._evm.nonce(address)

    def code(self, address: bytes) -> bytes:
        """Return the runtime code of a contract at the head, or no bytes."""
        with self._lock:
            return self._evm.code(address)

    def find_transaction(self, transaction_hash: bytes) -> tuple[MinedBlock, MinedTransaction] | None:
        """Return a mined transaction and its block."""
        place = self._places.get(transaction_hash)
        if place is None:
            return None
        block = self.blocks[place[0]]
        return block, block.transactions[place[1]]

    def iterate_transactions(self, first: int, last: int) -> Iterator[tuple[MinedBlock, MinedTransaction]]:
        """Yield the transactions of blocks `first` to `last` inclusive, as far as they exist."""
        for block in self.blocks[max(first, 0) : last + 1]:
            for mined in block.transactions:
                yield block, mined

    def close(self) -> None:
        """Release the log file."""
        self._log.close()
