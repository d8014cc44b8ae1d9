"""`novate exit`: a wallet leaves a venue with nobody's help, knowing only the published files and a node.

Each step reads the chain first and does only what is still to do, so that any of them can be repeated. The
books are rebuilt by replay and believed only if they lead to the state root that the chain holds.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from eth_account import Account as Wallets
from eth_account.signers.local import LocalAccount
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from web3 import HTTPProvider, Web3
from web3.exceptions import Web3Exception

from novate.apps.claim import RPC_TIMEOUT_S, find_node
from novate.protocol.genesis import Genesis
from novate.settlement.exit_client import ExitClient, ExitState, RecordedClaim
from novate.settlement.keys import load_key
from novate.verification.exit_books import Books, find_owner_of, pad_elements, rebuild_books
from novate.verification.published import (
    BATCHES_FILE,
    COMMANDS_FILE,
    HEAD_FILE,
    PublishedBatch,
    PublishedCommand,
    read_batches,
    read_commands,
    read_files,
    read_frames,
    read_genesis,
    read_head,
)
from novate.verification.state import Account

ATOMS_PER_USDC = 1_000_000
KEY_VARIABLE = "NOVATE_WALLET_KEY"
DAY_S, HOUR_S = 86_400, 3_600
ADDRESS_DIGITS = 40


class ExitError(RuntimeError):
    """The step cannot be done; the message says why, and what to do instead."""


class Files(NamedTuple):
    """What a venue published, read and chained."""

    genesis: Genesis
    commands: list[PublishedCommand]
    batches: list[PublishedBatch]


def read_published(target: str | Path) -> Files:
    """Return genesis, commands and batches of a folder or address; CheckFailed if one is not as written."""
    files = read_files(target)
    genesis = read_genesis(files)
    head = read_head(files[HEAD_FILE], genesis.hash)
    commands, _ = read_frames(COMMANDS_FILE, files[COMMANDS_FILE], genesis.hash, head.commands)
    batches, _ = read_frames(BATCHES_FILE, files[BATCHES_FILE], genesis.hash, head.batches)
    return Files(genesis, read_commands(commands), read_batches(batches))


def open_wallet(key_file: Path | None, environment: Mapping[str, str] = os.environ) -> LocalAccount | None:
    """Return the wallet whose key is in a file, or else in the environment; None if there is neither."""
    if key_file is not None:
        return load_key(key_file)
    secret = environment.get(KEY_VARIABLE)
    if not secret:
        return None
    try:
        wallet: LocalAccount = Wallets.from_key(secret)
    except Exception:  # Whatever the library says of a wrong key may hold the key.
        raise ExitError(f"{KEY_VARIABLE} should hold the 64 hexadecimal digits of a key") from None
    return wallet


def parse_address(text: str) -> bytes:
    """Return the bytes of an address; ExitError if it is none."""
    digits = text.removeprefix("0x")
    try:
        if len(digits) != ADDRESS_DIGITS:
            raise ValueError(text)
        return bytes.fromhex(digits)
    except ValueError as error:
        raise ExitError(f"{text!r} should be an address of 40 hexadecimal digits") from error


def format_usdc(amount_atoms: int) -> str:
    """Return an amount in USDC with all its digits."""
    whole, part = divmod(abs(amount_atoms), ATOMS_PER_USDC)
    return f"{'-' if amount_atoms < 0 else ''}{whole:,}.{part:06}"


def format_wait(seconds: int) -> str:
    """Return a wait in days and hours, rounded up to the hour, or in seconds if it is shorter than one."""
    if seconds < HOUR_S:
        return f"{max(0, seconds)} s"
    hours = -(-seconds // HOUR_S)
    return f"{hours // 24} d {hours % 24} h"


class Exit:
    """One wallet's way out of one venue."""

    def __init__(
        self, files: Files, client: ExitClient, wallet: LocalAccount | None, address: bytes, console: Console
    ) -> None:
        self.files = files
        self.client = client
        self.wallet = wallet
        self.address = address
        self.console = console
        self._books: Books | None = None

    def read_state(self) -> ExitState:
        """Return where the exit stands on the chain."""
        return self.client.read_state()

    def load_books(self, state: ExitState) -> Books | None:
        """Return the books of the last word, or of the last final batch before the freeze; None without one.

        The replay runs once, behind a progress bar.
        """
        number = state.last_word if state.frozen else state.last_final
        if number == 0:
            return None
        if self._books is None or self._books.header.number != number:
            columns = (TextColumn("replay"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
            with Progress(*columns, console=self.console, transient=True) as bars:
                task = bars.add_task("replay", total=None)
                self._books = rebuild_books(
                    *self.files,
                    number,
                    lambda done, total: bars.update(task, completed=done, total=total),
                )
        return self._books

    def list_mine(self, books: Books | None) -> list[Account]:
        """Return the wallet's account and its sub-accounts."""
        return books.find_accounts(self.address) if books else []

    def show(self) -> int:
        """Print what the wallet owns by the books, where the exit stands, and what comes next."""
        state = self.read_state()
        books = self.load_books(state)
        mine = self.list_mine(books)
        if books is None:
            self.console.print(
                "no batch of this venue is final yet: every deposit can be taken back after a freeze"
            )
        elif not mine:
            self.console.print(f"0x{self.address.hex()} has no account in batch {books.header.number}")
        else:
            self.console.print(
                f"by batch {books.header.number}, {'the last word' if state.frozen else 'final'}:"
            )
            self._print_accounts(books, mine, state)
        self.console.print(self.explain(state, mine), soft_wrap=True)
        return 0

    def _print_accounts(self, books: Books, mine: list[Account], state: ExitState) -> None:
        table = Table("account", "cash (USDC)", "positions", "exit value (USDC)", "claim", box=None)
        for account in mine:
            name = str(account.number) + (f" (sub-account {account.subaccount})" if account.owner else "")
            claim = self.client.read_claim(account.number) if state.frozen else None
            table.add_row(
                name,
                format_usdc(account.cash_atoms),
                str(len(books.list_held(account))),
                format_usdc(books.compute_value(account)),
                describe_claim(claim),
            )
        self.console.print(table)

    def explain(self, state: ExitState, mine: list[Account]) -> str:
        """Say in one sentence what comes next."""
        if not state.frozen:
            return self._explain_living(state)
        claims = [self.client.read_claim(account.number) for account in mine]
        if any(claim.amount_atoms is None for claim in claims):
            return "the venue is frozen: run `novate exit claim`, before the window ends in " + format_wait(
                state.claims_end_s - state.now_s
            )
        if state.now_s < state.claims_end_s:
            wait = format_wait(state.claims_end_s - state.now_s)
            return f"all is claimed: `novate exit collect` pays in {wait}"
        if any(claim.amount_atoms and not claim.is_paid for claim in claims):
            return "run `novate exit collect` to be paid"
        return "nothing is left to do"

    def _explain_living(self, state: ExitState) -> str:
        oldest = self.client.find_oldest(state)
        if oldest is None:
            return "the venue lives: if it stops serving you, run `novate exit request`"
        cursor, due_s = oldest
        if due_s > state.now_s:
            rest = f"if no batch takes it, freeze in {format_wait(due_s - state.now_s)}"
            return f"entry {cursor} of the inbox waits: {rest}"
        return f"entry {cursor} of the inbox was ignored: run `novate exit freeze`"

    def request(self, amount_atoms: int | None) -> int:
        """Demand a withdrawal, of all cash by the books if no amount is named."""
        state = self.read_state()
        if state.frozen:
            raise ExitError("the venue is frozen; run `novate exit claim`")
        mine = [account for account in self.list_mine(self.load_books(state)) if not account.owner]
        amount = amount_atoms or max([1, *(account.cash_atoms for account in mine)])
        cursor = self.client.request(amount)
        wait = format_wait(self.client.forced_deadline_s())
        self.console.print(
            f"asked for {format_usdc(amount)} USDC as entry {cursor}; if no batch takes it in {wait}, freeze",
            soft_wrap=True,
        )
        return 0

    def freeze(self) -> int:
        """End the venue if an entry of its inbox was ignored."""
        state = self.read_state()
        if state.frozen:
            self.console.print("the venue is frozen already")
            return 0
        oldest = self.client.find_oldest(state)
        if oldest is None:
            raise ExitError("nothing waits in the inbox: `novate exit request` puts something there")
        cursor, due_s = oldest
        if due_s > state.now_s:
            wait = format_wait(due_s - state.now_s)
            raise ExitError(f"too early: the venue may still serve entry {cursor} for {wait}")
        self.client.freeze(cursor)
        state = self.read_state()
        self.console.print(f"frozen: the last word is batch {state.last_word}; claim within the window")
        return 0

    def require_frozen(self) -> ExitState:
        """Return the state of a frozen venue; ExitError if it still lives."""
        state = self.read_state()
        if not state.frozen:
            raise ExitError("the venue is not frozen: " + self._explain_living(state))
        return state

    def post_marks(self) -> int:
        """Open the books if nobody has, and post the marks that the wallet's claims need."""
        state = self.require_frozen()
        books = self.load_books(state)
        if books is None:
            self.console.print("there is no last word, so there are no marks")
            return 0
        if not state.books_open:
            self.client.open_books(books.header, books.roots, pad_elements(books.house), len(books.house))
        needed = {number for account in self.list_mine(books) for number in books.list_held(account)}
        posted = 0
        for number in sorted(needed):
            if not self.client.is_mark_posted(number):
                self.client.post_mark(*books.prove_mark(number))
                posted += 1
        self.console.print(
            f"the books are open; {posted} of {len(needed)} marks posted now, the others before"
        )
        return 0

    def claim(self) -> int:
        """Post what is missing, claim every account of the wallet, and take back unknown deposits."""
        self.post_marks()
        state = self.require_frozen()
        books = self.load_books(state)
        mine = self.list_mine(books)
        for account in mine if books else []:
            assert books is not None, "Invariant: accounts come from books."
            if self.client.read_claim(account.number).amount_atoms is None:
                self.client.claim(*books.prove_account(account))
            owner = find_owner_of(account)
            if owner is not None and not self.client.is_named(account.address):
                self.client.name_owner(*owner)
            claim = self.client.read_claim(account.number)
            self.console.print(f"account {account.number}: {describe_claim(claim)}")
        self._take_back({self.address, *(account.address for account in mine)}, state)
        return 0

    def _take_back(self, addresses: set[bytes], state: ExitState) -> None:
        for deposit in self.client.list_unknown_deposits(addresses, state.last_cursor):
            self.client.refund(deposit)
            amount = format_usdc(deposit.amount_atoms)
            self.console.print(
                f"deposit {deposit.cursor}: {amount} USDC given back, the books did not know it"
            )

    def collect(self) -> int:
        """Pay every claim of the wallet; return 1 if the window is still open."""
        state = self.require_frozen()
        if state.now_s < state.claims_end_s:
            wait = format_wait(state.claims_end_s - state.now_s)
            self.console.print(f"claims are collected for another {wait}; nothing is paid before")
            return 1
        for account in self.list_mine(self.load_books(state)):
            claim = self.client.read_claim(account.number)
            if claim.amount_atoms and not claim.is_paid:
                self.client.collect(account.number)
                self.console.print(f"account {account.number}: paid")
            else:
                self.console.print(f"account {account.number}: {describe_claim(claim)}")
        return 0

    def run(self) -> int:
        """Do whatever can be done now, and say what to wait for; return 1 if something is left."""
        state = self.read_state()
        if not state.frozen:
            oldest = self.client.find_oldest(state)
            if oldest is None:
                return self.request(None) or 1
            if oldest[1] > state.now_s:
                self.console.print(self._explain_living(state), soft_wrap=True)
                return 1
            self.freeze()
        self.claim()
        return self.collect()


def describe_claim(claim: RecordedClaim | None) -> str:
    """Say how a claim stands."""
    if claim is None or claim.amount_atoms is None:
        return "not claimed"
    late = ", late" if claim.is_late else ""
    paid = "paid" if claim.is_paid else "claimed" if claim.amount_atoms else "worth nothing"
    return f"{format_usdc(claim.amount_atoms)} USDC {paid}{late}"


def open_exit(
    target: str, rpc: str | None, key_file: Path | None, address: str | None, console: Console
) -> Exit:
    """Return the exit of a wallet, or of an address that is only looked at.

    Errors     ExitError, KeyFileError, SettlementError, and CheckFailed for files that are not as written.
    """
    wallet = open_wallet(key_file)
    if wallet is None and address is None:
        raise ExitError(f"name your wallet with --key or {KEY_VARIABLE}, or an address with --address")
    account = parse_address(address or str(wallet.address if wallet else ""))
    files = read_published(target)
    web3 = Web3(HTTPProvider(find_node(target, rpc), request_kwargs={"timeout": RPC_TIMEOUT_S}))
    client = ExitClient(web3, wallet, "0x" + files.genesis.settlement.hex())
    return Exit(files, client, wallet, account, console)


def run_exit(
    step: str,
    target: str,
    rpc: str | None,
    key_file: Path | None,
    address: str | None = None,
    amount_atoms: int | None = None,
) -> int:
    """Do one step of the exit and return the exit status; every trouble of the node is an ExitError."""
    try:
        session = open_exit(target, rpc, key_file, address, Console())
        if step == "request":
            return session.request(amount_atoms)
        steps = {
            "show": session.show,
            "freeze": session.freeze,
            "marks": session.post_marks,
            "claim": session.claim,
            "collect": session.collect,
            "run": session.run,
        }
        return steps[step]()
    except (Web3Exception, OSError) as error:
        raise ExitError(f"the chain refused or did not answer: {error}") from error
