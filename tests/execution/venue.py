"""Random commands of a small venue for the tests of the execution layer, and what an engine's state amounts
to.
"""

import functools
import hashlib
from pathlib import Path

from novate.execution.commitment import StateCommitment
from novate.execution.engine import Engine
from novate.execution.journal import open_journal
from novate.protocol.command import Command, encode_payload, make_command
from novate.protocol.generated.codes import CommandKind
from novate.protocol.genesis import Genesis, encode_genesis, parse_genesis
from tests.model.engine_bridge import translate
from tests.model.generator import iter_commands
from tests.model.world import genesis

SEAL_EVERY = 40


@functools.cache
def make_genesis(profile: str) -> Genesis:
    """The genesis of one of the model's profiles."""
    return parse_genesis(encode_genesis(genesis(profile)))


@functools.cache
def list_commands(seed: int, count: int, profile: str = "tiny") -> tuple[Command, ...]:
    """Random commands, with a lawful SEAL in place of each of the generator's own, and more of them."""
    commands: list[Command] = []
    batch = now_ns = 0
    for source, _ in iter_commands(seed, count, profile):
        command = translate(source)._replace(signature=b"\x01" * 65 if source.get("signer") else b"")
        if command.kind == CommandKind.DEPOSIT:
            command = command._replace(signature=b"")
        if command.kind != CommandKind.SEAL:
            commands.append(command)
            now_ns = max(now_ns, command.time_ns)
        if command.kind == CommandKind.SEAL or len(commands) % SEAL_EVERY == 0:
            batch += 1
            commands.append(make_command(CommandKind.SEAL, now_ns, batch=batch))
    return tuple(commands)


def write_commands(folder: Path, profile: str, commands: tuple[Command, ...], group: int = 25) -> None:
    """Journal commands in groups, as a venue would have."""
    journal, _ = open_journal(folder, make_genesis(profile).hash)
    for start in range(0, len(commands), group):
        journal.append([encode_payload(command) for command in commands[start : start + group]])
    journal.close()


def compute_root(engine: Engine) -> bytes:
    """The state root of an engine, computed from nothing."""
    world = engine.world
    tables = (world.accounts, world.orders, world.waiting, world.instruments)
    dirty = [table["dirty"].copy() for table in tables]
    commitment = StateCommitment(engine)
    root = commitment.compute(commitment.collect(everything=True)).state
    for table, old in zip(tables, dirty, strict=True):
        table["dirty"] = old
    return root


def hash_state(engine: Engine) -> dict[str, str]:
    """A digest of each table's meaning: order of slots counts, leftovers in free slots do not."""
    world, house = engine.world, engine.world.house[0]
    orders = world.orders[world.orders["order_id"] != 0].copy()
    positions = world.positions[: int(house["position_high"])]
    positions = positions[positions["account"] != -1].copy()
    orders["dirty"] = 0
    accounts = world.accounts[: int(house["account_count"])].copy()
    accounts["dirty"] = 0
    instruments = world.instruments[: int(house["instrument_count"])].copy()
    instruments["dirty"] = 0
    waiting = world.waiting[world.waiting["order_id"] != 0].copy()
    waiting["dirty"] = 0
    keys = world.keys[: int(house["account_count"])].copy()
    keys[keys["scope"] == 0] = 0  # Of a key that was revoked nothing counts.
    groups = world.groups[: int(house["account_count"])].copy()
    groups["stale"] = 0  # Whether somebody has asked for the margin since is no part of the state.
    groups["notional_atoms"] = 0
    levels = world.levels[world.levels["key"] != 0]
    tables = {
        "orders": orders,
        "positions": positions,
        "accounts": accounts,
        "instruments": instruments,
        "waiting": waiting,
        "groups": groups,
        "keys": keys,
        "levels": levels[levels["key"].argsort()],
        "free_orders": world.free_orders[: int(house["free_order_count"])],
        "free_positions": world.free_positions[: int(house["free_position_count"])],
        "free_waiting": world.free_waiting[: int(house["free_waiting_count"])],
    }
    for name in (
        "house",
        "markets",
        "legs",
        "index_reports",
        "series",
        "surface_reports",
        "rows",
        "basis_rows",
        "portfolios",
    ):
        tables[name] = getattr(world, name)
    for name in (
        "pnl",
        "effects",
        "basis_held",
        "basis_open",
        "bitmap_low",
        "bitmap_high",
        "bitmap_top",
        "best",
    ):
        tables[name] = getattr(world, name)
    return {
        name: hashlib.blake2b(table.tobytes(), digest_size=8).hexdigest() for name, table in tables.items()
    }
