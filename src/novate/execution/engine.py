"""The engine: commands in, events out, the same bits every time.

One writer. `apply` turns commands into records, crosses into Numba once, and copies the events out. It knows
names and addresses, which kernels do not; it knows no clock, no file and no signature.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from novate.execution.batch import apply_commands
from novate.execution.tables import NONE, World, count_events_fixed, grow_events, make_world
from novate.protocol.command import Command, write_row
from novate.protocol.generated.codes import CommandKind, EventKind
from novate.protocol.generated.records import COMMAND, ITEM, SIGNED_BY
from novate.protocol.genesis import Genesis
from novate.protocol.instrument import InstrumentTerms, format_instrument_name
from novate.protocol.signing import Names

Events = np.ndarray[Any, np.dtype[Any]]


class InstrumentView(NamedTuple):
    """What never changes about an instrument."""

    number: int
    name: str
    underlying: int
    kind: int
    strike_atoms: int
    expiry_ns: int
    series: int
    lots_per_unit: int
    tick_atoms: int


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
        """Return where to cut, so that no command needs a name or address that an earlier one in its part
        creates.
        """
        for i in range(start, len(commands)):
            command = commands[i]
            new_account = command.kind == CommandKind.DEPOSIT and command.signer not in self.accounts
            if new_account:
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
            return self.accounts.get(command.signer, NONE)
        if role == "oracle":
            return self.oracle_numbers.get(command.signer, NONE)
        return 0 if command.signer == self.genesis.operator else NONE

    def apply_part(self, commands: Sequence[Command]) -> list[Events]:
        """Apply commands that need nothing of each other's names, in as few crossings as the event buffer
        allows.
        """
        rows = np.zeros(len(commands), COMMAND)
        buffer = rows.view(np.uint8).data
        sequence = self.sequence
        for i, command in enumerate(commands):
            write_row(buffer, i * COMMAND.itemsize, command, sequence + 1 + i, self.resolve_speaker(command))
        items = pack_items(commands, rows)
        parts = []
        done = 0
        while done < len(commands):
            done = apply_commands(self.world, rows, items, done, self.event_reserve)
            count = int(self.world.house["event_count"][0])
            if count == 0:
                # Every command has a RESULT: the buffer is too small for all that the next one might do.
                self.world = grow_events(self.world)
                continue
            parts.append(self.world.events[:count].copy())
            self.world.house["event_count"] = 0
        self.learn_names(commands)
        return parts

    def learn_names(self, commands: Sequence[Command]) -> None:
        """Note the accounts and instruments that the kernels have created."""
        if int(self.world.house["account_count"][0]) > len(self.addresses):
            self.register_account(commands[-1].signer)
        for number in range(len(self.instruments), int(self.world.house["instrument_count"][0])):
            self.register_instrument(number)

    def register_account(self, address: bytes) -> None:
        """Give an address the next account number."""
        self.accounts[address] = len(self.addresses)
        self.addresses.append(address)

    def register_instrument(self, number: int) -> None:
        """Note the name of an instrument that the kernels have listed."""
        record = self.world.instruments[number]
        terms = InstrumentTerms(
            *(int(record[field]) for field in ("underlying", "kind", "strike_atoms", "expiry_ns"))
        )
        name = format_instrument_name(self.name_underlying(terms.underlying), terms)
        rest = (int(record[field]) for field in ("series", "lots_per_unit", "tick_atoms"))
        self.instruments.append(InstrumentView(number, name, *terms, *rest))
        self.instrument_numbers[name] = number


NO_ITEMS = np.zeros(0, ITEM)


def pack_items(commands: Sequence[Command], rows: Events) -> Events:
    """Return the items of all commands, one after the other, and note in each row where its own are."""
    counts = [len(command.items) for command in commands]
    if not any(counts):
        return NO_ITEMS
    rows["item_count"] = counts
    rows["first_item"] = np.cumsum(counts) - counts
    return np.array([item for command in commands for item in command.items], ITEM)


def split_events(events: Events) -> list[Events]:
    """Return the events of each command apart, in order; each part begins with its RESULT."""
    starts = np.flatnonzero(events["kind"] == EventKind.RESULT).tolist()
    ends = [*starts[1:], len(events)]
    return [events[start:end] for start, end in zip(starts, ends, strict=False)]
