"""The state tree that is kept up to date is the one that is built from nothing, and no leaf can change
unseen.
"""

import numpy as np
import pytest

from novate.execution.commitment import (
    HOUSE_FIELDS,
    INSTRUMENT_FIELDS,
    MARKET_FIELDS,
    ORDER_FIELDS,
    SURFACE_FIELDS,
    StateCommitment,
    compute_genesis_root,
)
from novate.execution.engine import Engine
from novate.execution.tables import NONE
from tests.execution.venue import compute_root, list_commands, make_genesis


def run(profile: str, seed: int, count: int) -> Engine:
    """A venue after random trading."""
    engine = Engine(make_genesis(profile))
    engine.apply(list_commands(seed, count, profile))
    return engine


@pytest.mark.parametrize(("profile", "seed"), [("tiny", 3), ("tiny", 4), ("main", 3)])
def test_the_root_kept_up_to_date_is_the_root_from_nothing(profile: str, seed: int) -> None:
    """After each stretch of commands, hashing only what changed gives the root of everything. [STATE-1]"""
    commands = list_commands(seed, 1200, profile)
    engine = Engine(make_genesis(profile))
    commitment = StateCommitment(engine)
    roots = {compute_genesis_root(engine)}
    for start in range(0, len(commands), 60):
        engine.apply(commands[start : start + 60])
        root = commitment.compute(commitment.collect()).state
        assert compute_root(engine) == root
        roots.add(root)
    assert 2 + (len(commands) - 1) // 60 == len(roots)


def test_a_copy_taken_at_a_batch_is_not_touched_by_what_follows() -> None:
    """`compute` may run later, in another thread: later commands do not change what was collected."""
    commands = list_commands(3, 800)
    engine = Engine(make_genesis("tiny"))
    commitment = StateCommitment(engine)
    engine.apply(commands[:400])
    expected = compute_root(engine)
    changes = commitment.collect()
    engine.apply(commands[400:])
    assert expected == commitment.compute(changes).state
    assert compute_root(engine) == commitment.compute(commitment.collect()).state


def test_each_field_of_each_leaf_moves_the_root() -> None:
    """[STATE-2] to [STATE-6]: a change by one in any field that the law puts into a leaf changes the root."""
    engine = run("main", 5, 900)
    world = engine.world
    account = int(np.flatnonzero(world.accounts["first_position"] != NONE)[0])
    held = np.flatnonzero((world.positions["account"] != NONE) & (world.positions["lots"] != 0))
    order = int(np.flatnonzero(world.orders["order_id"] != 0)[0])
    surface = int(np.flatnonzero(world.series["has_surface"] != 0)[0])
    places = [(world.accounts[account], name) for name in ("cash_atoms", "nonce")]
    places += [(world.positions[int(held[0])], name) for name in ("lots", "cost_atoms", "instrument")]
    places += [(world.orders[order], name) for name in ORDER_FIELDS]
    places += [(world.instruments[0], name) for name in INSTRUMENT_FIELDS]
    places += [(world.markets[0], name) for name in MARKET_FIELDS]
    places += [
        (world.series[surface], name) for name in ("expiry_ns", *SURFACE_FIELDS, "twap_sum", "twap_ms")
    ]
    places += [(world.house[0], name) for name in HOUSE_FIELDS]
    roots = [compute_root(engine)]
    for record, name in places:
        record[name] += 1
        roots.append(compute_root(engine))
        record[name] -= 1
    assert roots[0] == compute_root(engine)
    assert len(places) + 1 == len(set(roots))


def test_an_address_or_a_place_moves_the_root() -> None:
    """Whose account it is counts, and so does the slot of an order."""
    engine = run("main", 5, 900)
    before = compute_root(engine)
    engine.addresses[0], engine.addresses[1] = engine.addresses[1], engine.addresses[0]
    assert before != compute_root(engine)
    engine.addresses[0], engine.addresses[1] = engine.addresses[1], engine.addresses[0]
    orders = engine.world.orders
    live = np.flatnonzero(orders["order_id"] != 0)
    first, second = orders[live[0]].copy(), orders[live[1]].copy()
    orders[live[0]], orders[live[1]] = second, first
    assert before != compute_root(engine)
    orders[live[0]], orders[live[1]] = first, second
    assert before == compute_root(engine)
