"""The engine: commands in, events out, the same bits every time.

One writer. `apply` turns commands into records, crosses into Numba once, and copies the events out. It knows
names and addresses, which kernels do not; it knows no clock, no file and no signature.
"""

import struct
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from novate.execution.batch import apply_commands
from novate.execution.tables import NONE, World, count_events_fixed, grow_events, make_world
from novate.protocol.command import Command, write_row
from novate.protocol.generated.codes import CommandKind, EventKind, InstrumentKind
from novate.protocol.generated.records import COMMAND, ITEM, ITEM_FIELDS, SIGNED_BY
from novate.protocol.genesis import Genesis
from novate.protocol.instrument import InstrumentTerms, format_combo_name, format_instrument_name
from novate.protocol.signing import Names, compute_subaccount_address

# AUTHORIZE_KEY to BLOCK_TRADE name other addresses; up to CREATE_SUBACCOUNT they change who is known by one.
FIRST_ADDRESSED, LAST_ADDRESSED = int(CommandKind.AUTHORIZE_KEY), int(CommandKind.BLOCK_TRADE)
LAST_NAMING = int(CommandKind.CREATE_SUBACCOUNT)
DEPOSIT = int(CommandKind.DEPOSIT)  # A plain integer, because every command is compared with it.

Events = np.ndarray[Any, np.dtype[Any]]


class InstrumentView(NamedTuple):
    """What never changes about an instrument. A combo has legs (instrument, ratio) and counts its ticks from
    `tick_offset`; the net value of a lot is (price_ticks - tick_offset) * tick_atoms.
    """

    number: int
    name: str
    underlying: int
    kind: int
    strike_atoms: int
    expiry_ns: int
    series: int
    lots_per_unit: int
    tick_atoms: int
    tick_offset: int = 0
    legs: tuple[tuple[int, int], ...] = ()


class Engine:
    """The state of one venue and the only code that changes it.

    Warning: commands must be authenticated before they come here; a command's signer is believed.
    """

    def __init__(self, genesis: Genesis) -> None:
        self.genesis = genesis
        self.world: World = make_world(genesis)
        self.event_reserve = count_events_fixed(genesis)
        self.accounts: dict[bytes, int] = {}
        self.addresses: list[bytes] = []
        self.instruments: list[InstrumentView] = []
        self.instrument_numbers: dict[str, int] = {}
        # By account, who besides itself may sign: its owner (0), and its active keys by their places.
        self.signers: dict[int, dict[bytes, int]] = {}
        self.oracle_numbers = {address: i for i, address in enumerate(genesis.oracles)}
        self.names = Names(self.name_instrument, self.name_underlying)

    @property
    def sequence(self) -> int:
        """The sequence number of the last command."""
        return int(self.world.house["sequence"][0])

    @property
    def time_ns(self) -> int:
        """The time of the last command that did not run backwards."""
        return int(self.world.house["time_ns"][0])

    def name_instrument(self, number: int) -> str:
        """Return an instrument's name; LookupError if it is not listed."""
        if not 0 <= number < len(self.instruments):
            raise LookupError(f"instrument {number} is not listed")
        return self.instruments[number].name

    def name_underlying(self, number: int) -> str:
        """Return an underlying's name; LookupError if it is not configured."""
        if not 0 <= number < len(self.genesis.underlyings):
            raise LookupError(f"underlying {number} is not configured")
        return self.genesis.underlyings[number].name

    def find_account(self, address: bytes) -> int:
        """Return the number of an account, or -1."""
        return self.accounts.get(address, NONE)

    def find_instrument(self, name: str) -> int:
        """Return the number of an instrument, or -1."""
        return self.instrument_numbers.get(name, NONE)

    def apply(self, commands: Sequence[Command]) -> Events:
        """Apply commands in order and return all their events.

        The commands take the sequence numbers after `sequence`.
        """
        parts: list[Events] = []
        start = 0
        while start < len(commands):
            end = self.find_cut(commands, start)
            parts.extend(self.apply_part(commands[start:end]))
            start = end
        if len(parts) == 1:
            return parts[0]
        return np.concatenate(parts) if parts else np.zeros(0, self.world.events.dtype)

    def find_cut(self, commands: Sequence[Command], start: int) -> int:
        """Return where to cut, so that no command needs a name, an address or a key that an earlier one of
        its part creates or ends.
        """
        for i in range(start, len(commands)):
            kind = commands[i].kind
            opens_account = kind == DEPOSIT and commands[i].signer not in self.accounts
            if opens_account or FIRST_ADDRESSED <= kind <= LAST_NAMING:
                return i + 1
        return len(commands)

    def resolve_speaker(self, command: Command) -> int:
        """Return the number that the kernels know the signer by: of the account, the oracle, or 0 for the
        operator.
        """
        if command.kind == CommandKind.DEPOSIT:
            return self.accounts.get(command.signer, len(self.addresses))
        role = SIGNED_BY[command.kind]
        if role == "account":
            return self.accounts.get(command.account or command.signer, NONE)
        if role == "oracle":
            return self.oracle_numbers.get(command.signer, NONE)
        return 0 if command.signer == self.genesis.operator else NONE

    def find_signer(self, account: int, signer: bytes) -> int:
        """Return the place of an account's active session key by its address, 0 for the account itself or its
        owner, or -1. [KEY-1]
        """
        if account == NONE:
            return NONE
        return 0 if signer == self.addresses[account] else self.signers.get(account, {}).get(signer, NONE)

    def resolve_others(self, row: Any, command: Command) -> None:
        """Write what the kernels need to know of the addresses of a command besides its account's."""
        account = int(row["account"])
        row["key"] = self.find_signer(account, command.signer)
        if command.kind == CommandKind.CREATE_SUBACCOUNT:
            row["subject_account"] = self.find_account(name_subaccount(command))
        elif command.subject:
            subject = self.find_account(command.subject)
            row["subject_account"] = row["counter_account"] = subject
            row["subject_key"] = self.signers.get(account, {}).get(command.subject, NONE)
            row["counter_key"] = self.find_signer(subject, command.cosigner)
            row["subject_words_0"], row["subject_words_1"], row["subject_words_2"] = split_address(
                command.subject
            )

    def apply_part(self, commands: Sequence[Command]) -> list[Events]:
        """Apply commands that need nothing of each other's names."""
        parts = self.apply_rows(*self.pack(commands))
        self.learn_names(commands)
        return parts

    def pack(self, commands: Sequence[Command]) -> tuple[Events, Events]:
        """Return the rows and items that kernels read of commands which take the next sequence numbers."""
        rows = np.zeros(len(commands), COMMAND)
        buffer = rows.view(np.uint8).data
        sequence = self.sequence
        for i, command in enumerate(commands):
            write_row(buffer, i * COMMAND.itemsize, command, sequence + 1 + i, self.resolve_speaker(command))
            if command.account or FIRST_ADDRESSED <= command.kind <= LAST_ADDRESSED:
                self.resolve_others(rows[i], command)
        return rows, pack_items(commands, rows)

    def apply_rows(self, rows: Events, items: Events) -> list[Events]:
        """Apply packed commands in as few crossings as the event buffer allows.

        Warning: the caller tells the engine of new names; `apply` does.
        """
        parts = []
        done = 0
        while done < len(rows):
            done = apply_commands(self.world, rows, items, done, self.event_reserve)
            count = int(self.world.house["event_count"][0])
            if count == 0:
                # Every command has a RESULT: the buffer is too small for all that the next one might do.
                self.world = grow_events(self.world)
                continue
            parts.append(self.world.events[:count].copy())
            self.world.house["event_count"] = 0
        return parts

    def learn_names(self, commands: Sequence[Command]) -> None:
        """Note the accounts, signers and instruments that the kernels have created."""
        last = commands[-1]
        if int(self.world.house["account_count"][0]) > len(self.addresses):
            self.register_account(last.signer if last.kind == CommandKind.DEPOSIT else name_subaccount(last))
        if FIRST_ADDRESSED <= last.kind <= LAST_NAMING:
            creates = last.kind == CommandKind.CREATE_SUBACCOUNT
            self.learn_signers(self.find_account(name_subaccount(last) if creates else last.holder))
        for number in range(len(self.instruments), int(self.world.house["instrument_count"][0])):
            self.register_instrument(number)

    def register_account(self, address: bytes) -> None:
        """Give an address the next account number."""
        self.accounts[address] = len(self.addresses)
        self.addresses.append(address)

    def learn_signers(self, account: int) -> None:
        """Read again who may sign for an account (NONE: for nobody)."""
        if account == NONE:
            return
        owner, keys = int(self.world.accounts["owner"][account]), self.world.keys[account]
        signers = {join_address(keys[i]): i + 1 for i in np.flatnonzero(keys["scope"]).tolist()}
        if owner != NONE:
            signers[self.addresses[owner]] = 0
        self.signers[account] = signers

    def learn_all_signers(self) -> None:
        """Read who may sign for which account from tables that were filled elsewhere."""
        owned = (self.world.accounts["owner"] != NONE) | (self.world.keys["scope"] != 0).any(axis=1)
        for account in np.flatnonzero(owned[: len(self.addresses)]).tolist():
            self.learn_signers(account)

    def register_instrument(self, number: int) -> None:
        """Note the name of an instrument that the kernels have listed."""
        record = self.world.instruments[number]
        terms = InstrumentTerms(
            *(int(record[field]) for field in ("underlying", "kind", "strike_atoms", "expiry_ns"))
        )
        names = ("series", "lots_per_unit", "tick_atoms", "tick_offset")
        series, lots_per_unit, tick_atoms, tick_offset = (int(record[name]) for name in names)
        legs = tuple((leg, ratio) for leg, ratio in self.world.legs[number].tolist() if leg != NONE)
        if terms.kind == InstrumentKind.COMBO:
            name = format_combo_name([(ratio, self.name_instrument(leg)) for leg, ratio in legs])
        else:
            name = format_instrument_name(self.name_underlying(terms.underlying), terms)
        self.instruments.append(
            InstrumentView(number, name, *terms, series, lots_per_unit, tick_atoms, tick_offset, legs)
        )
        self.instrument_numbers[name] = number


ADDRESS_WORDS = struct.Struct(">Iqq")


def split_address(address: bytes) -> tuple[int, int, int]:
    """Return an address as three words, most significant first."""
    first, second, third = ADDRESS_WORDS.unpack(address)
    return first, second, third


def join_address(key: Any) -> bytes:
    """Return the address of a record of a session key."""
    return ADDRESS_WORDS.pack(int(key["word_0"]), int(key["word_1"]), int(key["word_2"]))


def name_subaccount(command: Command) -> bytes:
    """Return the address of the sub-account that a CREATE_SUBACCOUNT names; empty if no account can have that
    number.
    """
    number = command.get("subaccount")
    return compute_subaccount_address(command.holder, number) if number > 0 else b""


NO_ITEMS = np.zeros(0, ITEM)


def pack_items(commands: Sequence[Command], rows: Events) -> Events:
    """Return the items of all commands, one after the other, and note in each row where its own are."""
    counts = [len(command.items) for command in commands]
    if not any(counts):
        return NO_ITEMS
    rows["item_count"] = counts
    rows["first_item"] = np.cumsum(counts) - counts
    items = np.zeros(sum(counts), ITEM)
    first = 0
    for command, count in zip(commands, counts, strict=True):
        if count:
            part = items[first : first + count]
            for name, column in zip(ITEM_FIELDS[command.kind], zip(*command.items, strict=True), strict=True):
                part[name] = column
            first += count
    return items


def split_events(events: Events) -> list[Events]:
    """Return the events of each command apart, in order; each part begins with its RESULT."""
    starts = np.flatnonzero(events["kind"] == EventKind.RESULT).tolist()
    ends = [*starts[1:], len(events)]
    return [events[start:end] for start, end in zip(starts, ends, strict=False)]
