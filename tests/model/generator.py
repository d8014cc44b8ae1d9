"""Random commands worth checking, and what the naive model says to each; the same for the same seed.

`python -m tests.model.generator SEED COUNT PROFILE` prints the speed and how often each code occurred.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator

from . import feeds, trading
from .model import Command, Event
from .records import CODES, KINDS
from .world import World, genesis

__all__ = ["genesis", "iter_commands", "iter_world"]

REFRESH_EVERY = 700
EXPIRE_EVERY = 6_000
CROWD_EVERY = 400_000
CROWD_AT = {"main": 30_000, "crowd": 2_500}

Action = Callable[[World], Iterator[Command]]
ACTIONS: list[tuple[Action, int]] = [
    (trading.place, 600),
    (trading.replace, 110),
    (trading.cancel, 120),
    (trading.cancel_all, 14),
    (trading.withdraw, 30),
    (trading.deposit, 20),
    (feeds.stray_index, 24),
    (feeds.stray_surface, 4),
    (feeds.stray_listing, 5),
    (feeds.seal, 5),
    (feeds.idle_tick, 3),
]


def _schedule(world: World) -> Iterator[Command]:
    """An endless stream of commands; each is applied before the next is drawn."""
    yield from trading.first_deposits(world)
    yield from feeds.start(world)
    actions = [action for action, _ in ACTIONS]
    weights = [weight for _, weight in ACTIONS]
    if world.profile == "tiny":
        weights[actions.index(trading.cancel_all)] *= 5
    refreshed = expired = world.sequence
    crowd_at = CROWD_AT.get(world.profile)
    while True:
        world.pass_time(world.rng.randrange(1, 20_000_000) if world.chance(90) else 0)
        if crowd_at is not None and world.sequence >= crowd_at:
            crowd_at += CROWD_EVERY
            yield from feeds.refresh(world)
            yield from trading.crowd(world)
        if world.sequence - expired >= EXPIRE_EVERY:
            expired = world.sequence
            yield from feeds.expire_nearest(world)
        if world.sequence - refreshed >= REFRESH_EVERY:
            refreshed = world.sequence
            if world.chance(30):
                yield from feeds.long_pause(world)
                refreshed -= REFRESH_EVERY - world.rng.randrange(1, 80)
                continue
            yield from feeds.list_missing(world)
            yield from feeds.refresh(world)
            if world.chance(4):
                yield from feeds.extreme_move(world)
            if world.chance(8):
                yield from trading.fill_gross(world)
        yield from world.rng.choices(actions, weights)[0](world)


def iter_world(seed: int, count: int, profile: str) -> Iterator[tuple[World, Command, list[Event]]]:
    """As `iter_commands`, with the world (whose `model` has just applied the command)."""
    world = World(seed, profile)
    for command in _schedule(world):
        world.sequence += 1
        command["sequence"] = world.sequence
        yield world, command, world.model.apply(command)
        if world.sequence >= count:
            return


def iter_commands(seed: int, count: int, profile: str = "main") -> Iterator[tuple[Command, list[Event]]]:
    """`count` commands of a venue with `genesis(profile)`, each with the model's events."""
    for _, command, events in iter_world(seed, count, profile):
        yield command, events


def main(seed: int, count: int, profile: str) -> None:
    """Print speed, codes and how much was traded."""
    codes = dict.fromkeys(CODES.values(), 0)
    kinds = dict.fromkeys(KINDS.values(), 0)
    places = traded = 0
    begun = time.perf_counter()
    for world, command, events in iter_world(seed, count, profile):  # noqa: B007
        codes[events[0]["code"]] += 1
        for event in events:
            kinds[event["kind"]] += 1
        if command["kind"] == "PLACE":
            places += 1
            traded += any(event["kind"] == KINDS["FILL"] for event in events)
    spent = time.perf_counter() - begun
    world.model.check_invariants()
    print(f"{count} commands in {spent:.1f} s, {count / spent:.0f}/s")
    print(f"{100 * traded / places:.1f} % of {places} PLACEs trade")
    print("codes:", {name: codes[number] for name, number in CODES.items()})
    print("events:", {name: kinds[number] for name, number in KINDS.items()})


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3])
