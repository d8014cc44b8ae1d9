"""Execute decoded Ethereum transactions on revm, one at a time, with free gas.

Gas is metered and limited but never paid for: the base fee is zero and no tip is collected, so an account
needs no ether. Warning: pyrevm never ends its one journal, so whatever an earlier transaction touched stays
warm, and gas is lower than on a public chain. Implements [SETTLE-15]. The verifier has a reading of its own
in `verification.chain_record`.
"""

import functools
import re
from collections.abc import Callable
from typing import Any, NamedTuple

from eth_utils.address import to_checksum_address
from pyrevm import EVM, AccountInfo, BlockEnv, CfgEnv, Env

from novate.protocol.chain_blocks import BLOCK_GAS_LIMIT
from novate.protocol.frame import keccak256
from novate.protocol.transaction import Transaction

REVERT_OUTPUT = re.compile(r"output: 0x([0-9a-f]*)")
# revm pads stored code with this many zero bytes for its jump analysis.
CODE_PADDING_BYTES = 33


class Log(NamedTuple):
    """One event: the emitting contract, its topics of 32 bytes, and its data."""

    address: bytes
    topics: tuple[bytes, ...]
    data: bytes


class Outcome(NamedTuple):
    """What a transaction or call did. `created` is the new contract's address or empty."""

    success: bool
    gas_used: int
    gas_refunded: int
    output: bytes
    created: bytes
    logs: tuple[Log, ...]


class ExecutionRejected(ValueError):
    """A transaction that cannot be in a block at all: wrong nonce, too little gas or ether, wrong chain."""


@functools.lru_cache(maxsize=4096)
def to_hex_address(address: bytes) -> str:
    """Return the checksummed text of a 20-byte address; the checksum costs as much as a short call."""
    return str(to_checksum_address(address))


class Evm:
    """The state of a chain at its head. Not safe for threads; the chain holds the lock."""

    def __init__(self, chain_id: int) -> None:
        self._chain_id = chain_id
        # The stubs of pyrevm disagree with its binary about arguments and results, hence Any.
        self._evm: Any = EVM(
            spec_id="CANCUN", gas_limit=BLOCK_GAS_LIMIT, env=Env(cfg=CfgEnv(chain_id=chain_id))
        )

    def set_balance(self, address: bytes, wei: int) -> None:
        """Give an address ether; for the genesis only."""
        self._evm.set_balance(to_hex_address(address), wei)

    def _read(self, read: Callable[[], Any]) -> Any:
        """Read state without a trace.

        Revm would otherwise hold the account warm and charge less for it later.
        """
        checkpoint = self._evm.snapshot()
        try:
            return read()
        finally:
            self._evm.revert(checkpoint)

    def balance(self, address: bytes) -> int:
        """Return the ether of an address, in wei."""
        return int(self._read(lambda: self._evm.get_balance(to_hex_address(address))))

    def nonce(self, address: bytes) -> int:
        """Return the number of transactions an account has sent."""
        return int(self._read(lambda: self._evm.basic(to_hex_address(address))).nonce)

    def code(self, address: bytes) -> bytes:
        """Return a contract's runtime code, or no bytes."""
        info = self._read(lambda: self._evm.basic(to_hex_address(address)))
        stored = bytes(info.code or b"")
        code = stored[:-CODE_PADDING_BYTES]
        return code if code and keccak256(code) == bytes(info.code_hash) else b""

    def enter_block(self, number: int, timestamp_s: int, coinbase: bytes) -> None:
        """Set what the opcodes NUMBER, TIMESTAMP and COINBASE return."""
        self._evm.set_block_env(
            BlockEnv(
                number=number,
                timestamp=timestamp_s,
                coinbase=to_hex_address(coinbase),
                basefee=0,
                gas_limit=BLOCK_GAS_LIMIT,
                prevrandao=bytes(32),
            )
        )

    def verify_transaction(self, transaction: Transaction) -> None:
        """Raise ExecutionRejected unless the transaction may be the sender's next one."""
        if transaction.chain_id != self._chain_id:
            raise ExecutionRejected(f"chain id {transaction.chain_id} is not {self._chain_id}")
        nonce = self.nonce(transaction.sender)
        if transaction.nonce != nonce:
            raise ExecutionRejected(f"nonce {transaction.nonce} is not the account's next, which is {nonce}")
        if transaction.gas_limit > BLOCK_GAS_LIMIT:
            raise ExecutionRejected(f"gas limit {transaction.gas_limit} is above the block's")
        if transaction.value_wei > self.balance(transaction.sender):
            raise ExecutionRejected("insufficient funds for the value")

    def execute(self, transaction: Transaction) -> tuple[Outcome, object]:
        """Run a verified transaction and return its outcome and the checkpoint that undoes it.

        Call `keep` or `undo` before anything else.
        """
        checkpoint = self._evm.snapshot()
        try:
            outcome = self._run(
                transaction.sender,
                transaction.to,
                transaction.data,
                transaction.value_wei,
                transaction.gas_limit,
            )
        except ExecutionRejected:
            self.undo(checkpoint)
            raise
        return outcome, checkpoint

    def keep(self, transaction: Transaction) -> None:
        """Make the executed transaction part of the state and count it, even if it reverted."""
        self._evm.commit()
        self._evm.reset_transient_storage()
        sender = to_hex_address(transaction.sender)
        balance = self._evm.get_balance(sender)
        # revm counts creations but not calls, and counts nothing when a call frame failed.
        account_info: Any = AccountInfo
        self._evm.insert_account_info(sender, account_info(nonce=transaction.nonce + 1, balance=balance))

    def undo(self, checkpoint: object) -> None:
        """Forget everything since the checkpoint."""
        self._evm.revert(checkpoint)
        self._evm.reset_transient_storage()

    def call(self, sender: bytes, to: bytes, data: bytes, value_wei: int, gas_limit: int) -> Outcome:
        """Run a call or creation and forget it; a creation's output is the code that it would leave."""
        checkpoint = self._evm.snapshot()
        try:
            outcome = self._run(sender, to, data, value_wei, gas_limit)
            return outcome._replace(output=self.code(outcome.created)) if outcome.created else outcome
        finally:
            self.undo(checkpoint)

    def _run(self, sender: bytes, to: bytes, data: bytes, value_wei: int, gas_limit: int) -> Outcome:
        evm, caller = self._evm, to_hex_address(sender)
        output, created = b"", b""
        try:
            if to:
                output = bytes(
                    evm.message_call(
                        caller, to_hex_address(to), calldata=data, value=value_wei, gas=gas_limit, gas_price=0
                    )
                )
            else:
                address = evm.deploy(caller, data, value=value_wei, gas=gas_limit, gas_price=0)
                created = bytes.fromhex(address[2:])
        except RuntimeError as error:
            # pyrevm reports a revert as an error whose text holds the returned bytes.
            if evm.result is None:
                raise ExecutionRejected(str(error)) from error
            match = REVERT_OUTPUT.search(str(error))
            output = bytes.fromhex(match.group(1)) if match else b""
        result = evm.result
        logs = tuple(
            Log(
                bytes.fromhex(log.address[2:]),
                tuple(bytes(topic) for topic in log.data[0]),
                bytes(log.data[1]),
            )
            for log in result.logs
        )
        return Outcome(result.is_success, result.gas_used, result.gas_refunded, output, created, logs)
