"""Runs the engine on the model's commands and compares every event, then the whole state.

The only file of this folder that sees both; the model itself shares no code with the engine.
"""

import dataclasses
from collections.abc import Iterable, Iterator
from typing import Any

from novate.execution.engine import Engine
from novate.execution.ledger import compute_account_initial
from novate.execution.tables import NONE
from novate.execution.views import (
    compute_conservation_gap,
    compute_lots_gap,
    read_account,
    read_open_orders,
    read_positions,
    read_surface,
)
from novate.protocol.command import Command, make_command
from novate.protocol.generated.codes import CommandKind
from novate.protocol.generated.records import COMMAND_FIELDS, EVENT
from novate.protocol.genesis import encode_genesis, parse_genesis
from tests.model import margin
from tests.model.generator import iter_world
from tests.model.records import NO_MARK, Group, Key, Order, Waiting
from tests.model.world import World

Event = dict[str, int]
CHUNK = 2_000


def make_engine(document: dict[str, Any]) -> Engine:
    """Return an engine for a model's genesis document."""
    return Engine(parse_genesis(encode_genesis(document)))


def translate(command: dict[str, Any]) -> Command:
    """Return the engine's form of one of the model's commands."""
    kind = CommandKind[command["kind"]]
    names = ("signer", "account", "subject", "cosigner")
    addresses = {name: bytes.fromhex(command.get(name, "")[2:]) for name in names}
    if addresses["account"] == addresses["signer"]:
        addresses["account"] = b""
    fields = {name: command[name] for name in COMMAND_FIELDS[kind]}
    items = tuple(tuple(item) for item in command.get("items", ()))
    made = make_command(kind, command["time_ns"], addresses["signer"], b"", **fields)
    return made._replace(items=items, **addresses)


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


def read_fields(record: Any, names: Iterable[str]) -> dict[str, int]:
    """Return fields of one of the engine's records as plain integers."""
    return {name: int(record[name]) for name in names}


def list_slots(table: Any, names: Iterable[str]) -> list[dict[str, int]]:
    """Return the live records of a table of open or waiting orders with their slots, by order_id."""
    named = [name for name in names if name != "slot"]
    rows = [
        read_fields(record, named) | {"slot": slot}
        for slot, record in enumerate(table)
        if record["order_id"] != 0
    ]
    return sorted(rows, key=lambda row: row["order_id"])


def list_groups(engine: Engine, number: int) -> list[dict[str, int]]:
    """Return an account's groups that were ever set, with their numbers."""
    names = [field.name for field in dataclasses.fields(Group)]
    return [
        {"group": index + 1} | read_fields(record, names)
        for index, record in enumerate(engine.world.groups[number])
        if record["underlying"] != NONE
    ]


def list_keys(engine: Engine, number: int) -> list[dict[str, Any]]:
    """Return an account's active keys with their places."""
    found = []
    for index, record in enumerate(engine.world.keys[number]):
        if record["scope"] != 0:
            words = [int(record[f"word_{place}"]) % (1 << 64) for place in range(3)]
            named = b"".join(word.to_bytes(8, "big") for word in words)
            fields = read_fields(record, [f.name for f in dataclasses.fields(Key) if f.name != "address"])
            found.append({"place": index + 1, "address": "0x" + named[-20:].hex()} | fields)
    return found


def compare_accounts(state: dict[str, Any], engine: Engine) -> None:
    """Assert that money, margin, positions, timers and groups of every account are equal."""
    for number, expected in enumerate(state["accounts"]):
        account, record = read_account(engine, number), engine.world.accounts[number]
        positions = [(p.instrument, p.lots, p.cost_atoms) for p in read_positions(engine, number) if p.lots]
        found = {
            "address": "0x" + account.address.hex(),
            "cash_atoms": account.cash_atoms,
            "nonce": account.nonce,
            **read_fields(record, ("tier", "dead_man_ns", "cancel_on_disconnect")),
            **read_fields(record, ("liquidation_stage", "liquidation_count", "warned", "demand_e6")),
            **read_fields(record, ("owner", "subaccount", "retired_nonce")),
            "keys": list_keys(engine, number),
            "positions": positions,
            "groups": list_groups(engine, number),
            "open_orders": len(read_open_orders(engine, number)),
            "waiting_orders": int(record["waiting_count"]),
            "gross_lots": engine.world.portfolios[number]["gross_lots"].tolist(),
            "equity_atoms": account.equity_atoms,
            "unrealised_atoms": account.unrealised_atoms,
            "initial_atoms": account.initial_margin_atoms,
            "maintenance_atoms": account.maintenance_margin_atoms,
        }
        assert expected == found, f"account {number}"
    assert len(state["accounts"]) == len(engine.addresses)


def compare_scans(world: World, engine: Engine) -> None:
    """Assert that P + O of the 32 scenarios and O0 are equal, with the groups of quotes counted in.

    O0 seldom decides a margin, so equal margins do not show that it is right.
    """
    tables, model = engine.world, world.model
    for number, account in enumerate(model.accounts):
        held, groups = margin.exposures(model, account), margin.group_risks(model, account)
        for u in range(len(model.underlyings)):
            portfolio, effects = tables.portfolios[number, u], tables.effects[number, u]
            if portfolio["quote_lots"] != 0:
                # The only call that leaves this underlying's sums, of two, in the scratch records.
                compute_account_initial(tables, number, 1 - u)
                portfolio, effects = tables.gathered[0], tables.gathered_effects
            found = [*(tables.pnl[number, u] + effects).tolist(), int(portfolio["open_cost_atoms"])]
            rows = [margin.filled_scan(held[u])] + [group.effects for group in groups[u]]
            assert list(map(sum, zip(*rows, strict=True))) == found, f"account {number}, underlying {u}"


def compare_orders(world: World, state: dict[str, Any], engine: Engine) -> None:
    """Assert that open and waiting orders, their slots and the stacks of free slots are equal."""
    tables, house, model = engine.world, engine.world.house[0], world.model
    for name, table in (("orders", tables.orders), ("waiting", tables.waiting)):
        shape = Order if name == "orders" else Waiting
        names = [field.name for field in dataclasses.fields(shape)]
        assert state[name] == list_slots(table, names), name
    free = tables.free_orders[: int(house["free_order_count"])].tolist()
    assert model.free_slots == free
    free = tables.free_waiting[: int(house["free_waiting_count"])].tolist()
    assert model.free_waiting_slots == free


def compare_instruments(state: dict[str, Any], engine: Engine) -> None:
    """Assert that terms, marks, rows, Greeks and funding of every instrument are equal."""
    always = ("underlying", "kind", "strike_atoms", "expiry_ns", "series", "lots_per_unit", "tick_atoms")
    always += ("state", "mark_atoms", "settlement_atoms", "forward_atoms", "last_ticks", "funded_ns")
    marked = ("notional_atoms", "taker_fee_atoms", "delta_atoms", "vega_atoms")
    for number, expected in enumerate(state["instruments"]):
        record = engine.world.instruments[number]
        has_mark = expected["mark_atoms"] != NO_MARK
        names = always + marked if has_mark else always
        assert {name: expected[name] for name in names} == read_fields(record, names), f"instrument {number}"
        assert expected["rate_e9"] == int(record["funding_rate_e9"]), f"instrument {number}"
        assert expected["accrual"] == int(record["funding_accrual"]), f"instrument {number}"
        legs = tuple((leg, ratio) for leg, ratio in engine.world.legs[number].tolist() if ratio != 0)
        assert expected["legs"] == legs, f"instrument {number}"
        if has_mark:
            assert expected["rows"] == engine.world.rows[number].tolist(), f"instrument {number}"
            assert expected["basis"] == engine.world.basis_rows[number].tolist(), f"instrument {number}"
    assert len(state["instruments"]) == int(engine.world.house["instrument_count"][0])


def compare_oracles(state: dict[str, Any], engine: Engine) -> None:
    """Assert that indices, accepted surfaces and settlement averages are equal."""
    for number, expected in enumerate(state["underlyings"]):
        record = engine.world.markets[number]
        assert expected["dirty"] == bool(record["dirty"]), f"underlying {number}"
        assert expected["slice_notional_atoms"] == int(record["slice_notional_atoms"]), f"underlying {number}"
        if expected["has_index"]:
            names = ("index_atoms", "confidence_e6", "index_time_ns", "advanced_ns")
            mine = {name: expected[name] for name in names}
            assert mine == read_fields(record, names), f"underlying {number}"
    names = ("underlying", "expiry_ns", "expired", "twap_sum", "twap_ms")
    for number, expected in enumerate(state["series"]):
        record = engine.world.series[number]
        mine = {name: int(expected[name]) for name in names}
        assert mine == read_fields(record, names), f"series {number}"
        accepted = read_surface(engine, number)
        found = tuple(accepted) if accepted else (0,) * 8
        assert (*expected["surface"], expected["reference_index"]) == found, f"series {number}"
        if accepted:
            assert expected["variance_time_ns"] == int(record["variance_time_ns"]), f"series {number}"


def compare_house(state: dict[str, Any], engine: Engine) -> None:
    """Assert that the venue's own counters are equal."""
    assert state["house"] == read_fields(engine.world.house[0], state["house"])


def compare_states(world: World, engine: Engine) -> None:
    """Assert that both ended in the same state, and that the engine's own invariants hold."""
    world.model.check_invariants()
    state = world.model.state()
    compare_accounts(state, engine)
    compare_scans(world, engine)
    compare_orders(world, state, engine)
    compare_instruments(state, engine)
    compare_oracles(state, engine)
    compare_house(state, engine)
    assert compute_conservation_gap(engine) == 0
    assert compute_lots_gap(engine) == 0
