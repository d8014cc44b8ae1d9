"""The whole set of custody on revm with the exit: made-up books whose roots stand in a posted header."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from eth_abi.abi import decode, encode

from novate.protocol.frame import keccak256
from novate.protocol.generated.poseidon2_constants import P
from novate.protocol.header import BatchHeader
from novate.protocol.merkle import SparseTree
from novate.protocol.poseidon2 import hash_elements
from novate.settlement.client import compute_create_address
from novate.settlement.compiler import compile_source, read_source
from novate.settlement.poseidon2_code import assemble_creation, describe_abi
from tests.contracts.harness import (
    DEPLOYER,
    DEPOSITOR,
    GUARDIAN,
    OPERATOR,
    STRANGER,
    ZERO,
    Config,
    Contract,
    Mutation,
    World,
    describe_types,
)

DAY_S = 86_400
FORCED_DEADLINE_S, CLAIM_WINDOW_S = 7 * DAY_S, 14 * DAY_S
STALL_DEADLINE_S = 14 * DAY_S
# The exit has a deployer of its own here, whose first contract it is: its address is known beforehand.
ESCAPE_DEPLOYER = "0x" + "90" + "00" * 18 + "77"
BOOKS_FUNCTIONS = {"openBooks", "postMark", "readPart", "dropParts", "claim", "markOf"}
CALL_GAS = 30_000_000
PART_WORDS = 384
NO_MARK = -(2**62)
CALL, PUT, PERPETUAL, FUTURE = range(4)
EMPTY_ENTRY = keccak256(b"")


class Holder(NamedTuple):
    """One account of made-up books: (instrument, lots, cost) positions, and what follows them in its leaf."""

    address: str
    cash: int
    positions: tuple[tuple[int, int, int], ...] = ()
    owner: int = -1
    subaccount: int = 0
    tail: tuple[int, ...] = ()

    def list_elements(self) -> list[int]:
        """The elements of its leaf [STATE-2]."""
        head = [int(self.address, 16), self.cash, 7, 0, 0, 0, 0, 0, 0, -1, self.owner, self.subaccount, 0]
        rows = [element for row in self.positions for element in row]
        return [*head, len(self.positions), *rows, *self.tail]


def account_address(number: int) -> str:
    """The address of a made-up account."""
    return "0x" + (b"\x99" * 18 + number.to_bytes(2, "big")).hex()


def pad(elements: Sequence[int]) -> list[int]:
    """Field elements, filled with zeros to a multiple of three."""
    return [element % P for element in elements] + [0] * (-len(elements) % 3)


def flatten(path: Sequence[tuple[int, int, int]]) -> list[int]:
    """The siblings of a path in one list."""
    return [sibling for siblings in path for sibling in siblings]


class Books:
    """Accounts, (kind, mark) instruments and house figures, with the trees over them."""

    def __init__(
        self,
        holders: Sequence[Holder],
        instruments: Sequence[tuple[int, int]] = (),
        deposited: int = 0,
        withdrawn: int = 0,
    ) -> None:
        self.holders = list(holders)
        self.accounts = SparseTree(10)
        self.instruments = SparseTree(7)
        leaves = [hash_elements(2, holder.list_elements()) for holder in holders]
        self.accounts.update_many(list(range(len(leaves))), leaves)
        self.rows = [[0, kind, 5, 6, 1, mark, 0, 8, 9, 0, 0, 0] for kind, mark in instruments]
        self.instruments.update_many(
            list(range(len(self.rows))), [hash_elements(4, row) for row in self.rows]
        )
        self.house = [1, 7, 10**18, 1, 0, 0, deposited, withdrawn, 0, 0, 0, 5, 6]
        house_leaf = hash_elements(6, self.house)
        self.roots = [self.accounts.root, 11, self.instruments.root, 12, house_leaf, 13]
        self.state_root = hash_elements(1, self.roots).to_bytes(32, "big")

    def mark_arguments(self, instrument: int) -> tuple[Any, ...]:
        """What `postMark` takes."""
        row = self.rows[instrument]
        return instrument, pad(row), len(row), flatten(self.instruments.path(instrument))

    def claim_arguments(self, index: int) -> tuple[Any, ...]:
        """What `claim` takes for a leaf of one part."""
        elements = self.holders[index].list_elements()
        return index, pad(elements), len(elements), flatten(self.accounts.path(index)), False


class EscapeWorld(World):
    """Token, Settlement, Inbox, Vault, hasher and Escape; the operator posts books, anybody leaves."""

    def __init__(
        self,
        level: str = "gas",
        mutations: Sequence[Mutation] = (),
        token: str = "TestUSD",
        verifier: str = ZERO,
    ) -> None:
        self._mutations = mutations
        escape = compute_create_address(ESCAPE_DEPLOYER, 0)
        config = Config(escape=escape, guardian=GUARDIAN, verifier=verifier)
        super().__init__(level, None, token, config)
        self.hasher = self.deploy_hasher()
        self.books = self.deploy_own("Books", escape, self.settlement.address, self.hasher.address)
        others = (self.settlement.address, self.vault.address, self.inbox.address, self.books.address)
        waits = (FORCED_DEADLINE_S, STALL_DEADLINE_S, CLAIM_WINDOW_S)
        self.escape = self.deploy_own("Escape", *others, *waits)
        assert escape.lower() == self.escape.address.lower()

    def deploy_own(self, name: str, *arguments: object) -> Contract:
        """Deploy one of the house's contracts, with the mutations that this world asks for."""
        source = read_source(name)
        for contract, old, new in self._mutations:
            if contract == name:
                assert 1 == source.count(old), "A mutation should change exactly one place."
                source = source.replace(old, new)
        return self.deploy(name, source, *arguments)

    def deploy(self, name: str, source: str, *arguments: object) -> Contract:
        """Deploy a contract from its source, with as much gas as a block has."""
        compiled = compile_source(name, source, self._level)
        abi = {item.get("name", item["type"]): item for item in compiled.abi}
        types = describe_types(abi["constructor"]["inputs"]) if "constructor" in abi else []
        code = compiled.creation_code + encode(types, arguments)
        deployer = ESCAPE_DEPLOYER if name == "Escape" else DEPLOYER
        address = self._transact(lambda: self.evm.deploy(deployer, code, gas=CALL_GAS, gas_price=0))
        return Contract(address, abi)

    def deploy_hasher(self) -> Contract:
        """Deploy the assembled hasher."""
        code = assemble_creation()
        address = self._transact(lambda: self.evm.deploy(DEPLOYER, code, gas=5_000_000, gas_price=0))
        return Contract(address, {item["name"]: item for item in describe_abi()})

    def escape_call(self, name: str, *arguments: object, sender: str = STRANGER) -> Any:
        """Call the exit, or its books, with as much gas as a block has."""
        return self.call(sender, self.find_contract(name), name, *arguments, gas=CALL_GAS)

    def find_contract(self, name: str) -> Contract:
        """Return which of the exit's two contracts has a function."""
        return self.books if name in BOOKS_FUNCTIONS else self.escape

    def put_in(self, amount: int, account: str = DEPOSITOR) -> int:
        """Mint and deposit cash; return the number of the entry."""
        self.fund(account, amount)
        self.call(account, self.vault, "deposit", 0, amount)
        return int(self.view(self.inbox, "count"))

    def begin(self, cash: Sequence[int], instruments: Sequence[tuple[int, int]] = ()) -> Books:
        """Deposit for accounts with this cash, and return books that know them."""
        self.put_in(sum(cash))
        holders = [Holder(account_address(number), amount) for number, amount in enumerate(cash)]
        return Books(holders, instruments, deposited=sum(cash))

    def post(self, books: Books, cursor: int | None = None, **fields: Any) -> BatchHeader:
        """Post a header over these books which carries out the inbox, or only as far as `cursor`."""
        number = self.view(self.settlement, "batchCount") + 1
        last = self.view(self.settlement, "lastSequence")
        header = BatchHeader(
            number,
            self.view(self.settlement, "stateRoot"),
            books.state_root,
            last + 1,
            last + 7,
            b"\x33" * 32,
            self.view(self.inbox, "count") if cursor is None else cursor,
            bytes(32),
            books.roots[2].to_bytes(32, "big"),
            b"\x55" * 32,
            self.now_s * 10**9,
        )._replace(**fields)
        self.call(OPERATOR, self.settlement, "submit", tuple(header))
        return header

    def open_books(self, header: BatchHeader, books: Books) -> None:
        """Show header, roots and house leaf."""
        house = books.house
        self.escape_call("openBooks", tuple(header), books.roots, pad(house), len(house))

    def die(self, header: BatchHeader, books: Books) -> None:
        """Let the batch become final, ask, wait, freeze, open the books and post every mark."""
        self.finalise()
        cursor = self.escape_call("request", 1, sender=DEPOSITOR)
        self.now_s += FORCED_DEADLINE_S
        self.escape_call("freeze", cursor)
        self.open_books(header, books)
        for instrument in range(len(books.rows)):
            self.escape_call("postMark", *books.mark_arguments(instrument))

    def claim_account(self, books: Books, index: int, sender: str = STRANGER) -> int:
        """Record an account's claim and return its amount."""
        self.escape_call("claim", *books.claim_arguments(index), sender=sender)
        return int(self.escape_view("claimOf", index)[1])

    def escape_view(self, name: str, *arguments: object) -> tuple[Any, ...]:
        """Return all values of a view."""
        contract = self.find_contract(name)
        data = self.encode_call(contract, name, *arguments)
        output = self._transact(
            lambda: self.evm.message_call(STRANGER, contract.address, calldata=data, gas_price=0)
        )
        return decode(describe_types(contract.abi[name]["outputs"]), bytes(output))

    def end_window(self) -> None:
        """Let the window of claims pass."""
        self.now_s += CLAIM_WINDOW_S

    def balance(self, account: str) -> int:
        """Tokens of an account."""
        return int(self.view(self.token, "balanceOf", account))
