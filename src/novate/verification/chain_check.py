"""The contracts against the log: headers, entries of the inbox, claims and what the vault holds.

The contracts are read through views only, so the same checks run on a chain that was executed again here and
on a live node. Verifies [SETTLE-2], [SETTLE-8], [SETTLE-18] and [CASH-3] beyond the venue's own books.
"""

from collections.abc import Callable, Sequence
from typing import Protocol

from eth_abi.abi import encode as encode_abi
from eth_utils.address import to_checksum_address

from novate.protocol.frame import keccak256
from novate.protocol.genesis import Genesis
from novate.verification.batches import ReplayResult
from novate.verification.chain_record import ChainRecord, RecordError
from novate.verification.findings import CheckFailed, require, require_equal
from novate.verification.published import CHAIN_FILE, COMMANDS_FILE, PublishedBatch

CASH = 0
DEPOSIT = 1
ENTRY_TYPES = ("uint64", "uint8", "address", "uint8", "uint256", "bytes32")
Progress = Callable[[int], None]


class ChainView(Protocol):
    """A chain whose contracts can be asked."""

    def call(self, to: bytes, signature: str, *arguments: int | str) -> int:
        """Return the word that a view of the contract at `to` returns."""
        ...


class Contracts:
    """The settlement contract named by the genesis file, its inbox, vault and token, on one chain.

    `place` says which chain in a finding.
    """

    def __init__(self, view: ChainView, genesis: Genesis, place: str) -> None:
        self.view = view
        self.place = place
        self.settlement = genesis.settlement
        self.vault = to_address(view.call(self.settlement, "vault()"))
        self.inbox = to_address(view.call(self.settlement, "inbox()"))
        self.token = to_address(view.call(self.vault, "token(uint8)", CASH))

    def ask_settlement(self, signature: str, *arguments: int | str) -> int:
        """Return a word of the settlement contract."""
        return self.view.call(self.settlement, signature, *arguments)

    def ask_vault(self, signature: str, *arguments: int | str) -> int:
        """Return a word of the vault."""
        return self.view.call(self.vault, signature, *arguments)

    def ask_inbox(self, signature: str, *arguments: int | str) -> int:
        """Return a word of the inbox."""
        return self.view.call(self.inbox, signature, *arguments)

    def vault_balance(self) -> int:
        """Return what the vault holds, in atoms, as its token says."""
        return self.view.call(self.token, "balanceOf(address)", to_checksum_address(self.vault))


def to_address(word: int) -> bytes:
    """Return the address in a word."""
    return word.to_bytes(32, "big")[12:]


def execute_chain(genesis: Genesis, payloads: Sequence[bytes], progress: Progress) -> ChainRecord:
    """Execute the published chain again: the payload of its genesis and of every block."""
    require(bool(payloads), CHAIN_FILE, "it is empty, and no node was named to read the contracts from")
    record = ChainRecord(genesis.chain_id, genesis.settlement)
    try:
        record.open_genesis(payloads[0])
        for number, payload in enumerate(payloads[1:], 1):
            record.apply_block(payload)
            progress(number)
    except RecordError as error:
        raise CheckFailed(f"{CHAIN_FILE} {error.where}", error.what) from error
    return record


def check_headers(
    contracts: Contracts, genesis: Genesis, batches: Sequence[PublishedBatch], may_be_ahead: bool
) -> int:
    """Compare the headers on chain with the published ones, and return how many the chain is ahead."""
    place = contracts.place
    genesis_hash = contracts.ask_settlement("genesisHash()").to_bytes(32, "big")
    message = "the settlement contract was made for another genesis file"
    require_equal(genesis.hash, genesis_hash, place, message)
    settlement = to_address(contracts.ask_vault("settlement()"))
    require_equal(contracts.settlement, settlement, place, "the vault obeys another settlement contract")
    inbox = to_address(contracts.ask_vault("inbox()"))
    require_equal(contracts.inbox, inbox, place, "the vault enters deposits into another inbox")
    vault = to_address(contracts.ask_inbox("vault()"))
    require_equal(contracts.vault, vault, place, "the inbox takes deposits from another vault")
    count = contracts.ask_settlement("batchCount()")
    for batch in batches:
        number = batch.header.number
        require(number <= count, place, f"batch {number} is missing on the chain", len(batches), count)
        found = contracts.ask_settlement("headerHash(uint64)", number).to_bytes(32, "big")
        message = f"the header of batch {number} on the chain is another"
        require_equal(batch.header.hash(), found, place, message)
    message = "the chain has batches that were not published"
    require(may_be_ahead or count == len(batches), place, message, len(batches), count)
    return count - len(batches)


def hash_deposit(cursor: int, account: bytes, amount: int) -> bytes:
    """Return the hash under which the inbox keeps a deposit of cash, as eth-abi encodes it [SETTLE-18]."""
    values = (cursor, DEPOSIT, to_checksum_address(account), CASH, amount, keccak256(b""))
    return keccak256(encode_abi(ENTRY_TYPES, values))


def check_deposits(contracts: Contracts, result: ReplayResult) -> int:
    """Compare each credited deposit with the inbox's entry of its cursor, and return how many there are."""
    count = contracts.ask_inbox("count()")
    for sequence, cursor, account, amount in result.deposits:
        place = f"{COMMANDS_FILE} sequence {sequence} (DEPOSIT)"
        require(cursor <= count, place, f"the inbox never had entry {cursor}", f"at most {count}", cursor)
        found = contracts.ask_inbox("entryHash(uint64)", cursor).to_bytes(32, "big")
        credited = f"{amount} atoms credited to 0x{account.hex()}"
        message = f"entry {cursor} of the inbox is another than {credited}"
        require_equal(found, hash_deposit(cursor, account, amount), place, message)
    return len(result.deposits)


def check_solvency(
    contracts: Contracts, result: ReplayResult, batches: Sequence[PublishedBatch]
) -> tuple[int, int]:
    """Compare what the vault holds with what it owes, and return (held, owed) in atoms.

    It owes every account's cash, entry values, fees and insurance, which are deposits less withdrawals
    [CASH-3], and every withdrawal not yet claimed or not yet paid.
    """
    unclaimed = 0
    for batch in batches:
        number = batch.header.number
        for index, (_, amount) in enumerate(batch.withdrawals):
            if not contracts.ask_vault("isClaimed(uint64,uint64)", number, index):
                unclaimed += amount
    unclaimed += sum(amount for _, amount in result.state.withdrawals)
    # A claim that waits for its time is marked as claimed, and its money has not left.
    unclaimed += contracts.ask_vault("reservedAtoms(uint256)", CASH)
    owed = result.state.deposited_atoms - result.state.withdrawn_atoms + unclaimed
    held = contracts.vault_balance()
    message = "the vault holds less than it owes to accounts and to withdrawals not yet claimed"
    require(held >= owed, contracts.place, message, f"at least {owed} atoms", held)
    return held, owed
