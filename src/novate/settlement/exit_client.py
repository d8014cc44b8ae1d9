"""A user's hand on Escape and Books: where the exit stands, and each of its steps as a transaction.

It reads everything from the chain, so every step may be repeated after a crash. Implements the user's side of
[SETTLE-41] to [SETTLE-52].
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

from eth_account.signers.local import LocalAccount
from eth_utils.address import to_canonical_address, to_checksum_address
from web3 import Web3
from web3.types import TxReceipt

from novate.protocol.header import BatchHeader
from novate.settlement.client import LOG_BLOCKS_MAX, Sender, SettlementError
from novate.settlement.compiler import compile_contract

ZERO_ADDRESS = "0x" + "00" * 20
PART_WORDS_MAX = 384
BOOKS_FUNCTIONS = {"accountsRoot", "openBooks", "postMark", "markOf", "readPart", "dropParts", "claim"}
DEPOSIT, CASH = 1, 0


class ExitState(NamedTuple):
    """Where the exit of a venue stands; times in seconds, `claims_end_s` is 0 before the freeze.

    `served` and `final_cursor` are the last entries in a posted and in a final batch.
    """

    now_s: int
    last_final: int
    served: int
    final_cursor: int
    entry_count: int
    frozen: bool
    last_word: int
    last_cursor: int
    claims_end_s: int
    books_open: bool


class RecordedClaim(NamedTuple):
    """A claim in the contract. `amount_atoms` is None if there is none."""

    amount_atoms: int | None
    is_late: bool
    is_paid: bool


class WaitingDeposit(NamedTuple):
    """A deposit of cash that the last word does not know."""

    cursor: int
    account: bytes
    amount_atoms: int


class ExitClient:
    """One venue's exit on one chain; `key` may be None for reading only.

    Errors     SettlementError if the venue has no exit. A node out of reach raises web3's errors.
    """

    def __init__(self, web3: Web3, key: LocalAccount | None, settlement: str) -> None:
        self.web3 = web3
        self._sender = Sender(web3, key) if key else None
        self._settlement = self._open("Settlement", settlement)
        self.address = to_checksum_address(self._settlement.functions.escape().call())
        if self.address == ZERO_ADDRESS:
            raise SettlementError("this venue was deployed without an exit")
        self._escape = self._open("Escape", self.address)
        self._books = self._open("Books", str(self._escape.functions.books().call()))
        self._inbox = self._open("Inbox", str(self._settlement.functions.inbox().call()))

    def _open(self, name: str, address: str) -> Any:
        place = to_checksum_address(address)
        if not self.web3.eth.get_code(place):
            raise SettlementError(f"this chain holds no {name} at {place}")
        return self.web3.eth.contract(address=place, abi=compile_contract(name).abi)

    def _ask(self, name: str, *arguments: object) -> Any:
        contract = self._books if name in BOOKS_FUNCTIONS else self._escape
        return contract.functions[name](*arguments).call()

    def _send(self, name: str, *arguments: object) -> TxReceipt:
        if self._sender is None:
            raise SettlementError("this step needs a wallet: name its key file")
        if name in BOOKS_FUNCTIONS:
            return self._sender.call(str(self._books.address), "Books", name, *arguments)
        return self._sender.call(self.address, "Escape", name, *arguments)

    def read_state(self) -> ExitState:
        """Return where the exit stands at the chain's latest block."""
        settlement = self._settlement.functions
        last_final = int(settlement.lastFinal().call())
        return ExitState(
            now_s=int(self.web3.eth.get_block("latest")["timestamp"]),
            last_final=last_final,
            served=int(settlement.inboxCursor().call()),
            final_cursor=int(settlement.inboxCursorOf(last_final).call()),
            entry_count=int(self._inbox.functions.count().call()),
            frozen=int(settlement.frozenAt().call()) > 0,
            last_word=int(self._ask("lastWord")),
            last_cursor=int(self._ask("lastCursor")),
            claims_end_s=int(self._ask("claimsEnd")),
            books_open=int(self._ask("accountsRoot")) > 0,
        )

    def forced_deadline_s(self) -> int:
        """Return how long an entry may be in no posted batch, in seconds."""
        return int(self._ask("forcedDeadline"))

    def find_oldest(self, state: ExitState) -> tuple[int, int] | None:
        """Return the entry that allows a freeze first, and from when on in seconds; None if none waits.

        An entry in no posted batch has the forced deadline, one in no final batch the stall deadline.

        Law        [SETTLE-42]
        """
        waiting = []
        if state.entry_count > state.served:
            waiting.append((state.served + 1, self.forced_deadline_s()))
        if state.entry_count > state.final_cursor:
            waiting.append((state.final_cursor + 1, int(self._ask("stallDeadline"))))
        entries = self._inbox.functions
        dues = [(cursor, int(entries.entryTime(cursor).call()) + wait) for cursor, wait in waiting]
        return min(dues, key=lambda due: due[1], default=None)

    def find_request(self, account: str) -> int:
        """Return the entry of an account's last request; 0 if it never asked."""
        return int(self._ask("requestOf", to_checksum_address(account)))

    def is_mark_posted(self, instrument: int) -> bool:
        """Return whether the mark of an instrument is posted."""
        return bool(self._ask("markOf", instrument)[0])

    def read_claim(self, index: int) -> RecordedClaim:
        """Return the claim of an account, by its place in the books."""
        account, amount, is_late, is_paid = self._ask("claimOf", index)
        known = to_checksum_address(account) != ZERO_ADDRESS
        return RecordedClaim(int(amount) if known else None, bool(is_late), bool(is_paid))

    def is_named(self, account: bytes) -> bool:
        """Return whether the owner of a sub-account is named."""
        return str(self._ask("ownerOf", to_checksum_address(account))) != ZERO_ADDRESS

    def request(self, amount_atoms: int) -> int:
        """Demand a withdrawal of the wallet's cash and return its entry in the inbox [SETTLE-41]."""
        self._send("request", amount_atoms)
        assert self._sender is not None, "Invariant: a transaction has a sender."
        return self.find_request(self._sender.account.address)

    def freeze(self, cursor: int) -> TxReceipt:
        """End the venue because an entry was ignored [SETTLE-42]."""
        return self._send("freeze", cursor)

    def open_books(self, header: BatchHeader, roots: Sequence[int], words: Sequence[int], count: int) -> None:
        """Show header, roots and house leaf of the last word [SETTLE-43]."""
        self._send("openBooks", tuple(header), list(roots), list(words), count)

    def post_mark(self, index: int, words: Sequence[int], count: int, path: Sequence[int]) -> None:
        """Prove the mark of an instrument [SETTLE-44]."""
        self._send("postMark", index, list(words), count, list(path))

    def claim(self, index: int, words: Sequence[int], count: int, path: Sequence[int]) -> None:
        """Record what an account is worth, in as many calls as its leaf is long [SETTLE-46]."""
        begin = 0
        if len(words) > PART_WORDS_MAX:
            self._send("dropParts", index)
        while len(words) - begin > PART_WORDS_MAX:
            self._send("readPart", index, list(words[begin : begin + PART_WORDS_MAX]))
            begin += PART_WORDS_MAX
        self._send("claim", index, list(words[begin:]), count, list(path), begin > 0)

    def name_owner(self, owner: bytes, subaccount: int) -> None:
        """Show whose sub-account an address is [SETTLE-50]."""
        self._send("nameOwner", to_checksum_address(owner), subaccount)

    def collect(self, index: int) -> None:
        """Pay a recorded claim [SETTLE-49]."""
        self._send("collect", index)

    def refund(self, deposit: WaitingDeposit) -> None:
        """Give back a deposit that the last word does not know [SETTLE-52]."""
        account = to_checksum_address(deposit.account)
        self._send("refund", deposit.cursor, account, CASH, deposit.amount_atoms)

    def list_unknown_deposits(self, accounts: set[bytes], after: int) -> list[WaitingDeposit]:
        """Return the deposits of these accounts after an entry that were not given back yet."""
        head, found = int(self.web3.eth.block_number), []
        for first in range(0, head + 1, LOG_BLOCKS_MAX):
            last = min(head, first + LOG_BLOCKS_MAX - 1)
            for log in self._inbox.events.Entered.get_logs(from_block=first, to_block=last):
                entry = log["args"]
                account = to_canonical_address(entry["account"])
                is_cash = (entry["kind"], entry["asset"]) == (DEPOSIT, CASH)
                if is_cash and entry["cursor"] > after and account in accounts:
                    found.append(WaitingDeposit(entry["cursor"], account, entry["amount"]))
        return [each for each in found if not self._ask("isRefunded", each.cursor)]
