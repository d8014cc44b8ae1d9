"""Runs the engine on the model's commands and compares every event, then the whole state.

The only file of this folder that sees both; the model itself shares no code with the engine.
"""

from collections.abc import Iterable, Iterator
from typing import Any

from novate.execution.engine import Engine
from novate.execution.views import (
    compute_conservation_gap,
    compute_lots_gap,
    read_account,
    read_open_orders,
    read_positions,
)
from novate.protocol.command import Command, make_command
from novate.protocol.generated.codes import CommandKind
from novate.protocol.generated.records import COMMAND_FIELDS, EVENT
from novate.protocol.genesis import encode_genesis, parse_genesis
from tests.model.generator import iter_world
from tests.model.world import World

Event = dict[str, int]
CHUNK = 2_000


def make_engine(document: dict[str, Any]) -> Engine:
    """Return an engine for a model's genesis document."""
    return Engine(parse_genesis(encode_genesis(document)))


def translate(command: dict[str, Any]) -> Command:
    """Return the engine's form of one of the model's commands."""
    kind = CommandKind[command["kind"]]
    signer = bytes.fromhex(command["signer"][2:]) if command.get("signer") else b""
    fields = {name: command[name] for name in COMMAND_FIELDS[kind]}
    return make_command(kind, command["time_ns"], signer, b"", **fields)


def chunked(
    pairs: Iterable[tuple[World, dict[str, Any], list[Event]]],
) -> Iterator[tuple[World, list[Any], list[Event]]]:
    """Group the model's commands, so that the engine is crossed once for many."""
    commands: list[Any] = []
    events: list[Event] = []
    for world, command, told in pairs:
        commands.append(command)
        events.extend(told)
        if len(commands) == CHUNK:
            yield world, commands, events
            commands, events = [], []
    if commands:
        yield world, commands, events


def describe_difference(commands: list[Any], expected: Event, found: Event) -> str:
    """Return which command, and which fields, the two disagree on."""
    sequence = expected["sequence"]
    command = next((c for c in commands if c["sequence"] == sequence), None)
    fields = {name: (expected[name], found[name]) for name in expected if expected[name] != found.get(name)}
    return f"command {command}: (model, engine) differ in {fields}"


def compare_events(commands: list[Any], expected: list[Event], rows: Any) -> None:
    """Assert that the engine's events are the model's."""
    names = EVENT.names
    assert names is not None
    found = [dict(zip(names, row, strict=True)) for row in rows.tolist()]
    for mine, theirs in zip(expected, found, strict=False):
        assert mine == theirs, describe_difference(commands, mine, theirs)
    assert len(expected) == len(found)


def run_both(seed: int, count: int, profile: str) -> tuple[World, Engine]:
    """Feed the same commands to model and engine and compare every event; return both."""
    engine: Engine | None = None
    world = None
    for world, commands, expected in chunked(iter_world(seed, count, profile)):
        if engine is None:
            engine = make_engine(world.model.genesis)
        compare_events(commands, expected, engine.apply([translate(command) for command in commands]))
    assert engine is not None
    assert world is not None
    return world, engine


def list_engine_orders(engine: Engine) -> list[tuple[int, ...]]:
    """Return every open order of the engine with its slot and priority, by id."""
    rows = []
    orders = engine.world.orders[: int(engine.world.house["order_high"][0])]
    for slot, order in enumerate(orders):
        if order["order_id"] != 0:
            fields = ("order_id", "account", "instrument", "side", "price_ticks", "lots", "priority")
            rows.append((*(int(order[name]) for name in fields), slot))
    assert len(rows) == sum(len(read_open_orders(engine, n)) for n in range(len(engine.addresses)))
    return sorted(rows)


def compare_accounts(world: World, engine: Engine) -> None:
    """Assert that money, margin and positions of every account are equal."""
    for number, expected in enumerate(world.model.state()["accounts"]):
        account = read_account(engine, number)
        positions = [(p.instrument, p.lots, p.cost_atoms) for p in read_positions(engine, number) if p.lots]
        gross = engine.world.portfolios[number]["gross_lots"].tolist()
        found = {
            "address": "0x" + account.address.hex(),
            "cash_atoms": account.cash_atoms,
            "nonce": account.nonce,
            "positions": positions,
            "open_orders": len(read_open_orders(engine, number)),
            "gross_lots": gross,
            "equity_atoms": account.equity_atoms,
            "unrealised_atoms": account.unrealised_atoms,
            "initial_atoms": account.initial_margin_atoms,
            "maintenance_atoms": account.maintenance_margin_atoms,
        }
        assert expected == found, f"account {number}"


def compare_tables(world: World, engine: Engine) -> None:
    """Assert that orders with their slots, instruments with their rows, and the house are equal."""
    state = world.model.state()
    fields = ("order_id", "account", "instrument", "side", "price_ticks", "lots", "priority", "slot")
    expected = sorted(tuple(int(order[name]) for name in fields) for order in state["orders"])
    assert expected == list_engine_orders(engine)
    for number, instrument in enumerate(state["instruments"]):
        record = engine.world.instruments[number]
        marked = instrument["mark_atoms"] is not None and instrument["mark_atoms"] >= 0
        assert int(record["mark_atoms"]) == (instrument["mark_atoms"] if marked else -1)
        assert int(record["state"]) == instrument["state"]
        assert int(record["settlement_atoms"]) == instrument["settlement_atoms"]
        if marked:
            assert engine.world.rows[number].tolist() == list(instrument["rows"])
            assert engine.world.basis_rows[number].tolist() == list(instrument["basis"])
    house = engine.world.house[0]
    for name, value in state["house"].items():
        assert value == int(house[name]), name


def compare_states(world: World, engine: Engine) -> None:
    """Assert that both ended in the same state, and that the engine's own invariants hold."""
    world.model.check_invariants()
    compare_accounts(world, engine)
    compare_tables(world, engine)
    assert compute_conservation_gap(engine) == 0
    assert compute_lots_gap(engine) == 0
