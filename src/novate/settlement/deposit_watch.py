"""Deposits of a chain that may reorganise, by endpoints that may lie: each once, in order, or not at all.

A deposit counts when `confirmations` blocks stand on its block and every endpoint gives the same log, receipt
and count. A reorganisation above that depth is invisible here. One below it stops the watcher for good: money
was credited that the chain no longer holds, and no program can decide what follows. Implements [SETTLE-8] and
[SETTLE-32].
"""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import msgspec
from eth_utils.address import to_checksum_address

from novate.protocol.frame import keccak256
from novate.settlement.client import Deposit, SettlementError
from novate.settlement.endpoints import (
    LOG_BLOCKS_MAX,
    Agreement,
    Block,
    ChainLogEntry,
    EndpointsDisagree,
    WitnessedChain,
)
from novate.settlement.files import replace_file

WORD_BYTES = 32
DEPOSIT_KIND, CASH = 1, 0


class DeepReorganisation(SettlementError):
    """The chain replaced blocks that had been confirmed. Nothing is credited until a person has looked."""


class DepositLog(NamedTuple):
    """Where deposits are logged, how to read one, and the view that counts them."""

    address: str
    topic: bytes
    decode: Callable[[ChainLogEntry], Deposit]
    count_call: bytes


def decode_entered(entry: ChainLogEntry) -> Deposit:
    """Return the deposit of an inbox's `Entered(cursor, kind, account, asset, amount, data)` log.

    Errors     SettlementError for an entry of another kind or asset: its cursor cannot be passed over.
    """
    if len(entry.topics) != 3 or len(entry.data) < 4 * WORD_BYTES:
        raise SettlementError(f"a log of block {entry.block_number} is no entry")
    cursor = int.from_bytes(entry.topics[1], "big")
    kind, asset, amount = (
        int.from_bytes(entry.data[place : place + WORD_BYTES], "big") for place in range(0, 96, WORD_BYTES)
    )
    if (kind, asset) != (DEPOSIT_KIND, CASH):
        raise SettlementError(f"entry {cursor} is of kind {kind} and asset {asset}, no deposit of cash")
    return Deposit(cursor, entry.topics[2][12:], amount, entry.block_number)


def watch_inbox(inbox: str) -> DepositLog:
    """Return the deposit log of an inbox, whose only writer is a vault of one asset."""
    topic = keccak256(b"Entered(uint64,uint8,address,uint8,uint256,bytes)")
    return DepositLog(to_checksum_address(inbox), topic, decode_entered, keccak256(b"count()")[:4])


class Mark(msgspec.Struct, frozen=True):
    """A confirmed block up to which everything was handed over, and the cursor there."""

    block_number: int
    block_hash: bytes
    cursor: int


class DepositWatch:
    """Reads deposits after a cursor. One caller at a time.

    `path` keeps the mark between processes, so that a deep reorganisation during a stop is seen as well.
    Errors     DeepReorganisation and SettlementError: stop and ask a person. EndpointError and
               EndpointsDisagree: nothing is handed over now, try again.
    """

    def __init__(
        self, chain: WitnessedChain, log: DepositLog, cursor: int, first_block: int, path: Path | None = None
    ) -> None:
        self._chain = chain
        self._log = log
        self._cursor = cursor
        self._path = path
        self._mark: Mark | None = None
        self._next_block = first_block
        if path is not None and path.exists():
            try:
                mark = msgspec.json.decode(path.read_bytes(), type=Mark)
            except msgspec.MsgspecError as error:
                raise SettlementError(f"{path} is damaged: {error}") from error
            self._mark = mark
            if mark.cursor <= cursor:
                self._next_block = mark.block_number + 1

    @property
    def cursor(self) -> int:
        """The cursor of the last deposit handed over."""
        return self._cursor

    def poll(self) -> list[Deposit]:
        """Return what became confirmed since the last poll; call `acknowledge` when it is kept."""
        agreement = self._chain.agree()
        if not self._is_history_whole(agreement):
            return []
        anchor = agreement.anchor
        found: list[Deposit] = []
        cursor = self._cursor
        for first in range(self._next_block, anchor.number + 1, LOG_BLOCKS_MAX):
            last = min(first + LOG_BLOCKS_MAX - 1, anchor.number)
            for entry in self._chain.logs(self._log.address, self._log.topic, first, last):
                deposit = self._log.decode(entry)
                if deposit.cursor <= cursor:
                    continue
                if deposit.cursor != cursor + 1:
                    raise SettlementError(f"deposit {cursor + 1} is missing before {deposit.cursor}")
                self._chain.require_in_receipt(entry)
                found.append(deposit)
                cursor += 1
        self._require_count(anchor, cursor)
        # Had the anchor been replaced while its logs were read, they might belong to two branches.
        if self._chain.block(anchor.number) != anchor:
            raise EndpointsDisagree(f"block {anchor.number} was replaced while it was read")
        self._cursor = cursor
        self._next_block = max(self._next_block, anchor.number + 1)
        self._mark = Mark(anchor.number, anchor.hash, cursor)
        return found

    def acknowledge(self) -> None:
        """Keep the mark, once what was handed over is durable elsewhere."""
        if self._path is not None and self._mark is not None:
            replace_file(self._path, msgspec.json.encode(self._mark))

    def _is_history_whole(self, agreement: Agreement) -> bool:
        """Whether the chain reaches the mark; it must then hold the same block there."""
        mark = self._mark
        if mark is None:
            return True
        if agreement.tip.number < mark.block_number:
            # An endpoint lags far behind, or a branch that replaces what was confirmed is still growing.
            raise EndpointsDisagree(
                f"the chain ends at block {agreement.tip.number}, block {mark.block_number} was confirmed"
            )
        found = self._chain.block(mark.block_number)
        if found.hash != mark.block_hash:
            raise DeepReorganisation(
                f"block {mark.block_number} was confirmed as 0x{mark.block_hash.hex()} and is now"
                f" 0x{found.hash.hex()}: a reorganisation deeper than {self._chain.confirmations} blocks."
                f" Deposits up to {mark.cursor} were credited; compare them with the chain before going on"
            )
        return agreement.anchor.number >= mark.block_number

    def _require_count(self, anchor: Block, cursor: int) -> None:
        """Compare the vault's own count: logs that every endpoint leaves out would be missed otherwise."""
        count = int.from_bytes(self._chain.call(self._log.address, self._log.count_call, anchor), "big")
        if count > cursor:
            raise EndpointsDisagree(f"the inbox counts {count} deposits, its logs show {cursor}")
        if count < cursor:
            # A branch that is still growing, or one that never had what was credited.
            raise EndpointsDisagree(
                f"the inbox counts {count} deposits at block {anchor.number}, {cursor} were credited"
            )
