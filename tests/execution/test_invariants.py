"""The invariants that stay on in production: a venue whose books do not add up stops before it seals them."""

import numpy as np
import pytest

from novate.execution.commitment import compute_genesis_root
from novate.execution.engine import Engine, split_events
from novate.execution.frame_scan import Entry
from novate.execution.sealing import Sealer
from novate.execution.views import compute_conservation_gap, compute_lots_gap
from novate.protocol.command import encode_payload, make_command
from novate.protocol.generated.codes import CommandKind
from tests.model.engine_bridge import make_engine, translate
from tests.model.generator import iter_world

COMMANDS = 1_500


@pytest.fixture(scope="module")
def traded() -> Engine:
    """An engine in which accounts hold positions and cash."""
    engine: Engine | None = None
    commands = []
    for world, command, _ in iter_world(3, COMMANDS, "main"):
        engine = engine or make_engine(world.model.genesis)
        commands.append(translate(command))
    assert engine is not None
    engine.apply(commands)
    return engine


def seal(engine: Engine) -> None:
    """Apply the next SEAL and hand it to a sealer."""
    sealer = Sealer(engine, compute_genesis_root(engine))
    command = make_command(CommandKind.SEAL, engine.time_ns, batch=int(engine.world.house["batch"][0]) + 1)
    events = split_events(engine.apply([command]))[0]
    sealer.observe(Entry(engine.sequence, encode_payload(command), bytes(32)), command, events)


def test_sound_books_are_sealed(traded: Engine) -> None:
    """After random trading nothing is missing, and a batch is sealed."""
    assert (traded.world.positions["lots"] != 0).sum() > 10
    assert (0, 0) == (compute_conservation_gap(traded), compute_lots_gap(traded))

    seal(traded)


@pytest.mark.parametrize("table", ["accounts", "positions"])
def test_one_atom_or_lot_too_many_stops_the_venue(traded: Engine, table: str) -> None:
    """A single atom of cash, or a single lot, out of nowhere: the batch is not sealed."""
    records = getattr(traded.world, table)
    field = "cash_atoms" if table == "accounts" else "lots"
    place = 0 if table == "accounts" else int(np.flatnonzero(records["lots"])[0])
    records[field][place] += 1
    try:
        with pytest.raises(AssertionError, match="CASH-3"):
            seal(traded)
    finally:
        records[field][place] -= 1
