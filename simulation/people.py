"""What everybody who acts in a simulated venue does: make a command, send it, hear what became of it."""

import asyncio
import random
from typing import TYPE_CHECKING, Any

from novate.execution.engine import Engine
from novate.execution.sequencer import Outcome, VenueBusy
from novate.execution.views import read_account
from novate.protocol.command import Command, make_command
from novate.protocol.generated.codes import Code, CommandKind, InstrumentKind
from novate.protocol.generated.constants import NO_MARK_ATOMS, NS_PER_S
from novate.protocol.generated.records import COMMAND_FIELDS
from simulation.genesis import KEYS, SUBACCOUNTS, WALLETS, get_address

if TYPE_CHECKING:
    from simulation.world import World

FOREIGN_KEY_RATE = 0.25
# What a command says by name, beside its addresses.
Fields = dict[str, Any]


def sign(
    world: "World",
    kind: CommandKind,
    signer: bytes,
    account: bytes = b"",
    subject: bytes = b"",
    cosigner: bytes = b"",
    items: tuple[tuple[int, ...], ...] = (),
    **fields: Any,
) -> Command:
    """A command as it comes to the sequencer: authenticated, with the next nonce unless one is given."""
    names = COMMAND_FIELDS[kind]
    for name in ("nonce", "counter_nonce"):
        if name in names and name not in fields:
            world.nonce += 1
            fields[name] = world.nonce
    if "expires_ns" in names:
        fields.setdefault("expires_ns", world.read_clock_ns() + 60 * NS_PER_S)
    command = make_command(kind, 0, signer, b"", **fields)
    account = b"" if account == signer else account
    return command._replace(account=account, subject=subject, cosigner=cosigner, items=items)


async def send(world: "World", commands: list[Command]) -> list[Outcome]:
    """Submit commands at once and wait for every answer; the witness takes note of each."""
    try:
        futures = [world.venue.sequencer.enqueue(command) for command in commands]
    except VenueBusy:
        return []
    outcomes = list(await asyncio.gather(*futures))
    for command, outcome in zip(commands, outcomes, strict=True):
        world.witness.acknowledge(outcome)
        if command in world.forbidden and outcome.code == Code.OK:
            world.fail(f"command {outcome.sequence} was accepted, which nobody may do: {command}")
    return outcomes


def list_priced(world: "World") -> list[tuple[int, int]]:
    """Instruments that have marks, with the mark in ticks as an order names it, at least one."""
    records = world.venue.engine.world.instruments
    priced = []
    for view in world.venue.engine.instruments:
        mark_atoms = int(records["mark_atoms"][view.number])
        if mark_atoms != NO_MARK_ATOMS:
            priced.append((view.number, max(1, mark_atoms // view.tick_atoms + view.tick_offset)))
    return priced


class Person:
    """A wallet that trades, for its account and its sub-accounts, by itself or with its keys."""

    def __init__(self, world: "World", number: int, chance: random.Random) -> None:
        self.world = world
        self.number = number
        self.chance = chance
        self.address = get_address(WALLETS[number])

    @property
    def engine(self) -> Engine:
        """The engine of the process that lives now."""
        return self.world.venue.engine

    def list_accounts(self) -> list[bytes]:
        """Its own account and the sub-accounts that it has opened."""
        mine = [self.address, *SUBACCOUNTS[self.number]]
        return [address for address in mine if self.engine.find_account(address) >= 0]

    def choose_account(self) -> bytes:
        """Mostly its own account."""
        others = self.list_accounts()[1:]
        return self.chance.choice(others) if others and self.chance.random() < 0.3 else self.address

    def choose_signer(self, account: bytes) -> bytes:
        """Mostly itself, at times one of the account's keys."""
        keys = sorted(self.engine.signers.get(self.engine.find_account(account), {}))
        mine = [key for key in keys if key in KEYS[self.number]]
        return self.chance.choice(mine) if mine and self.chance.random() < FOREIGN_KEY_RATE else self.address

    def sign(self, kind: CommandKind, account: bytes = b"", **fields: Any) -> Command:
        """A command for one of its accounts."""
        account = account or self.choose_account()
        return sign(self.world, kind, self.choose_signer(account), account, **fields)

    def measure_equity(self, account: bytes) -> int:
        """What an account is worth, in atoms."""
        return read_account(self.engine, self.engine.find_account(account)).equity_atoms

    def choose_priced(self, combos: bool = True) -> tuple[int, int]:
        """An instrument that has a mark, and its mark in ticks."""
        kinds = self.engine.instruments
        priced = [
            row for row in list_priced(self.world) if combos or kinds[row[0]].kind != InstrumentKind.COMBO
        ]
        return self.chance.choice(priced) if priced else (0, 1)
