"""The books of a venue as its published commands leave them: leaves, roots and paths for the exit.

Nothing is asked of the operator: the commands are replayed up to a batch, and the root that comes out must be
the one in its header. Verifies [SETTLE-43] to [SETTLE-46].
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from novate.protocol.generated.poseidon2_constants import P
from novate.protocol.genesis import Genesis
from novate.protocol.header import BatchHeader
from novate.protocol.poseidon2 import hash_elements
from novate.protocol.signing import compute_subaccount_address
from novate.verification.exit_value import Mark, compute_exit_value, list_positions, read_mark
from novate.verification.findings import require, require_equal
from novate.verification.published import BATCHES_FILE, PublishedBatch, PublishedCommand
from novate.verification.replay import Replayer
from novate.verification.state import Account
from novate.verification.tree import (
    HOUSE_DOMAIN,
    ORACLE_DOMAIN,
    hash_list,
    list_account_elements,
    list_house_elements,
    list_instrument_elements,
    list_oracle_elements,
)

RATE = 3
PROGRESS_EVERY = 256
DEPOSITED, WITHDRAWN = 6, 7  # Places in the house leaf [STATE-6].


class LeafProof(NamedTuple):
    """A leaf as the contract takes it: its place, its elements filled to a multiple of three, how many they
    are without that, and the siblings from the leaf up.
    """

    place: int
    words: list[int]
    element_count: int
    path: list[int]


class Books:
    """The state after a batch, and the proofs that the contract Escape asks for."""

    def __init__(self, replayer: Replayer, header: BatchHeader) -> None:
        self.header = header
        self.state = replayer.state
        self._tree = replayer.tree
        self.house = list_house_elements(self.state)
        self.marks: dict[int, Mark] = {}

    @property
    def roots(self) -> list[int]:
        """The six roots of which the state root is the hash [STATE-1]."""
        tree = self._tree
        return [
            tree.accounts.root,
            tree.orders.root,
            tree.instruments.root,
            hash_list(ORACLE_DOMAIN, list_oracle_elements(self.state)),
            hash_elements(HOUSE_DOMAIN, self.house),
            tree.waiting.root,
        ]

    @property
    def deposited_atoms(self) -> int:
        """What came in, in atoms [STATE-6]."""
        return self.house[DEPOSITED]

    @property
    def withdrawn_atoms(self) -> int:
        """What was promised to leave, in atoms [STATE-6]."""
        return self.house[WITHDRAWN]

    def find_accounts(self, address: bytes) -> list[Account]:
        """Return the account of an address and its sub-accounts, in their order; none if it has none."""
        return [
            account
            for account in self.state.accounts
            if address in (account.address, account.owner.address if account.owner else b"")
        ]

    def list_held(self, account: Account) -> list[int]:
        """Return the instruments of which an account holds lots."""
        return [instrument for instrument, _, _ in list_positions(list_account_elements(account))]

    def compute_value(self, account: Account) -> int:
        """Return what an account may claim, in atoms [SETTLE-45]."""
        for number in self.list_held(account):
            if number not in self.marks:
                self.marks[number] = read_mark(list_instrument_elements(self.state.instruments[number]))
        return compute_exit_value(list_account_elements(account), self.marks)

    def prove_account(self, account: Account) -> LeafProof:
        """Return the proof of an account's leaf [SETTLE-46]."""
        elements = list_account_elements(account)
        return make_proof(account.number, elements, self._tree.accounts.path(account.number))

    def prove_mark(self, number: int) -> LeafProof:
        """Return the proof of an instrument's leaf [SETTLE-44]."""
        elements = list_instrument_elements(self.state.instruments[number])
        return make_proof(number, elements, self._tree.instruments.path(number))


def make_proof(index: int, elements: Sequence[int], path: Sequence[tuple[int, int, int]]) -> LeafProof:
    """Return a proof as the contract takes it."""
    siblings = [sibling for siblings in path for sibling in siblings]
    return LeafProof(index, pad_elements(elements), len(elements), siblings)


def pad_elements(elements: Sequence[int]) -> list[int]:
    """Return field elements, filled with zeros to a multiple of three [STATE-TREE-3]."""
    return [element % P for element in elements] + [0] * (-len(elements) % RATE)


def find_owner_of(account: Account) -> tuple[bytes, int] | None:
    """Return owner and number of a sub-account, as the contract checks them; None for any other [SUB-1]."""
    if account.owner is None:
        return None
    expected = compute_subaccount_address(account.owner.address, account.subaccount)
    require_equal(expected, account.address, f"account {account.number}", "it is not its owner's sub-account")
    return account.owner.address, account.subaccount


def rebuild_books(
    genesis: Genesis,
    commands: Sequence[PublishedCommand],
    batches: Sequence[PublishedBatch],
    number: int,
    progress: Callable[[int, int], None],
) -> Books:
    """Replay the published commands up to the end of a batch and return its books.

    `progress` is told how many commands are done, and of how many. Errors: CheckFailed if the batch is not
    published or another state root comes out than its header names.
    """
    place = f"{BATCHES_FILE} batch {number}"
    require(1 <= number <= len(batches), place, f"only {len(batches)} batches are published")
    header = batches[number - 1].header
    require(header.last_sequence <= len(commands), place, "its commands are not all published")
    replayer = Replayer(genesis)
    for sequence, published in enumerate(commands[: header.last_sequence], 1):
        replayer.apply(published.command)
        if sequence % PROGRESS_EVERY == 0 or sequence == header.last_sequence:
            progress(sequence, header.last_sequence)
    root = replayer.state_root()
    require_equal(header.state_root, root, place, "the replayed commands lead to another state root")
    return Books(replayer, header)
