"""The event buffer always has room for whatever the next command does, and grows when it has not."""

import numpy as np

from novate.execution.batch import count_events_max
from novate.execution.engine import Engine, pack_items
from novate.execution.tables import count_events_fixed
from novate.protocol.command import Command, write_row
from novate.protocol.generated.records import COMMAND, EVENT
from tests.execution.scenes import open_venue
from tests.execution.venue import list_commands, make_genesis
from tests.law.desk import Desk

COMMANDS = 1_500


def pack(engine: Engine, command: Command) -> np.ndarray:
    """The record of a command as the kernels see it."""
    rows = np.zeros(1, COMMAND)
    write_row(rows.view(np.uint8).data, 0, command, engine.sequence + 1, engine.resolve_speaker(command))
    pack_items([command], rows)
    return rows[0]


def test_no_command_causes_more_events_than_are_reserved() -> None:
    """The bound holds for random commands of every kind, at a venue whose tables are full."""
    genesis = make_genesis("tiny")
    engine = Engine(genesis)
    for command in list_commands(5, COMMANDS):
        bound = count_events_fixed(genesis) + count_events_max(engine.world, pack(engine, command))
        assert len(engine.apply([command])) <= bound


def open_icebergs() -> Desk:
    """A venue with 20 icebergs of ten slices each, all at one price."""
    desk = open_venue()
    for _ in range(20):
        desk.must("maker", "place side=sell lots=100 display_lots=10 price_ticks=32_000")
    return desk


def test_a_sweep_through_icebergs_fits() -> None:
    """One taker fills every slice of every iceberg: 200 fills and 180 new slices, within the bound."""
    desk = open_icebergs()
    command, _ = desk.build("taker", "place lots=2_000 price_ticks=32_000")
    bound = count_events_max(desk.engine.world, pack(desk.engine, command))
    assert 1 + 200 + 180 == len(desk.engine.apply([command])) <= bound


def test_a_buffer_that_is_too_small_grows_and_loses_nothing() -> None:
    """With room for one event to begin with, the events are those of an engine with plenty of room."""
    commands = list_commands(6, COMMANDS)
    roomy, narrow = (Engine(make_genesis("tiny")) for _ in range(2))
    narrow.world = narrow.world._replace(events=np.zeros(1, EVENT))
    assert roomy.apply(commands).tobytes() == narrow.apply(commands).tobytes()
    assert len(narrow.world.events) > 1
