"""Random commands worth checking, and what the naive model says to each; the same for the same seed.

`python -m tests.model.generator SEED COUNT PROFILE` prints the speed and how often each kind of command,
code, event and reason occurred.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator

from . import conditional, crowding, dealing, feeds, keying, quoting, stress, trading
from .model import Command, Event
from .records import CODES, COMMAND_FIELDS, KINDS, REASONS
from .world import World, genesis

__all__ = ["genesis", "iter_commands", "iter_world"]

REFRESH_EVERY = {"main": 700, "crowd": 700, "tiny": 700, "crash": 700, "desk": 150}
EXPIRE_FIRST = 2_500
EXPIRE_EVERY = {"main": 6_000, "crowd": 6_000, "tiny": 15_000, "crash": 9_000, "desk": 4_000}
CROWD_EVERY = 400_000
CROWD_AT = {"main": 30_000, "crowd": 2_500}

Action = Callable[[World], Iterator[Command]]
ACTIONS: list[tuple[Action, int]] = [
    (trading.place, 520),
    (trading.replace, 110),
    (trading.cancel, 90),
    (trading.cancel_all, 9),
    (trading.withdraw, 26),
    (trading.deposit, 18),
    (conditional.trigger, 26),
    (conditional.bracket, 16),
    (conditional.either_or, 7),
    (conditional.unhide, 8),
    (conditional.good_till_date, 6),
    (conditional.take_all, 4),
    (conditional.outlive_position, 6),
    (conditional.protect, 6),
    (conditional.disconnect, 4),
    (conditional.on_time, 6),
    (quoting.set_mmp, 10),
    (quoting.mass_quote, 34),
    (quoting.pause, 8),
    (feeds.stray_index, 24),
    (feeds.stray_surface, 4),
    (feeds.stray_listing, 5),
    (feeds.set_tier, 4),
    (feeds.seal, 5),
    (feeds.idle_tick, 12),
    (feeds.busy_tick, 3),
    (stress.backstop, 4),
    (stress.set_slice, 2),
    (stress.insure, 4),
    (stress.forbidden, 2),
    (keying.authorize, 9),
    (keying.tight_order, 7),
    (keying.tight_quotes, 4),
    (keying.tight_block, 4),
    (keying.revoke, 5),
    (keying.on_time, 5),
    (keying.subaccount, 3),
    (keying.transfer, 8),
    (dealing.block, 12),
    (dealing.list_combo, 6),
    (dealing.ladder, 5),
]
DESK: list[tuple[Action, int]] = [
    (keying.authorize, 40),
    (keying.tight_order, 40),
    (keying.tight_quotes, 20),
    (keying.tight_block, 20),
    (keying.revoke, 14),
    (keying.on_time, 30),
    (keying.hurry, 8),
    (keying.subaccount, 10),
    (keying.transfer, 40),
    (dealing.block, 80),
    (dealing.list_combo, 20),
    (dealing.ladder, 30),
]
CRASHES: list[tuple[Action, int]] = [
    (stress.lever, 40),
    (stress.any_jump, 10),
    (stress.ruin, 24),
    (stress.corner, 8),
    (stress.backstop, 10),
    (stress.insure, 6),
    (stress.half_blind, 2),
    (stress.rescue, 4),
    (stress.set_slice, 6),
]


def _schedule(world: World) -> Iterator[Command]:
    """An endless stream of commands; each is applied before the next is drawn."""
    yield from trading.first_deposits(world)
    yield from feeds.start(world)
    table = ACTIONS + {"crash": CRASHES, "desk": DESK}.get(world.profile, [])
    actions = [action for action, _ in table]
    weights = [weight for _, weight in table]
    if world.profile == "tiny":
        weights[actions.index(trading.cancel_all)] *= 7
        weights[actions.index(trading.cancel)] *= 2
        weights[actions.index(feeds.stray_listing)] *= 3
    refreshed = world.sequence
    refresh_every = REFRESH_EVERY[world.profile]
    expire_at = EXPIRE_FIRST
    crowd_at = CROWD_AT.get(world.profile)
    while True:
        world.pass_time(world.rng.randrange(1, 20_000_000) if world.chance(90) else 0)
        if crowd_at is not None and world.sequence >= crowd_at:
            crowd_at += CROWD_EVERY
            yield from feeds.refresh(world)
            yield from crowding.crowd(world)
            yield from crowding.crowd_waiting(world)
        if world.sequence >= expire_at:
            expire_at += EXPIRE_EVERY[world.profile]
            yield from feeds.expire_nearest(world)
            yield from dealing.list_late(world)
        if world.sequence - refreshed >= refresh_every:
            refreshed = world.sequence
            if world.chance(30 if refresh_every > 500 else 8):
                yield from feeds.long_pause(world)
                refreshed -= refresh_every - world.rng.randrange(1, 80)
                continue
            yield from feeds.list_missing(world)
            yield from feeds.refresh(world)
            if world.chance(4):
                yield from feeds.extreme_move(world)
            if world.chance(20):
                yield from crowding.fill_gross(world)
        yield from world.rng.choices(actions, weights)[0](world)


def iter_world(seed: int, count: int, profile: str) -> Iterator[tuple[World, Command, list[Event]]]:
    """As `iter_commands`, with the world (whose `model` has just applied the command)."""
    world = World(seed, profile)
    for command in _schedule(world):
        world.sequence += 1
        command["sequence"] = world.sequence
        world.told = world.model.apply(command)
        yield world, command, world.told
        if world.sequence >= count:
            return


def iter_commands(seed: int, count: int, profile: str = "main") -> Iterator[tuple[Command, list[Event]]]:
    """`count` commands of a venue with `genesis(profile)`, each with the model's events."""
    for _, command, events in iter_world(seed, count, profile):
        yield command, events


class Tally:
    """How often everything occurred."""

    def __init__(self) -> None:
        self.commands = dict.fromkeys(COMMAND_FIELDS, 0)
        self.accepted = dict.fromkeys(COMMAND_FIELDS, 0)
        self.results = dict.fromkeys(CODES.values(), 0)
        self.later = dict.fromkeys(CODES.values(), 0)
        self.events = dict.fromkeys(KINDS.values(), 0)
        self.reasons = dict.fromkeys(REASONS.values(), 0)
        self.trading = 0

    def count(self, command: Command, events: list[Event]) -> None:
        """Count one command and its events; `later` are the codes of quotes, triggers and repricing."""
        self.commands[command["kind"]] += 1
        self.accepted[command["kind"]] += events[0]["code"] == 0
        self.results[events[0]["code"]] += 1
        for event in events:
            self.events[event["kind"]] += 1
            self.later[event["code"]] += event is not events[0] and event["code"] != 0
            if event["kind"] == KINDS["CANCELLED"]:
                self.reasons[event["reason"]] += 1
        if command["kind"] == "PLACE":
            self.trading += any(event["kind"] == KINDS["FILL"] for event in events)

    def print_table(self) -> None:
        """One line per command, code, event and reason."""
        print(f"{100 * self.trading / max(1, self.commands['PLACE']):.1f} % of PLACEs trade")
        for name, count in self.commands.items():
            print(f"command {name:28} {count:9} accepted {self.accepted[name]:9}")
        for name, number in CODES.items():
            print(f"code    {name:28} {self.results[number]:9} later    {self.later[number]:9}")
        for name, number in KINDS.items():
            print(f"event   {name:28} {self.events[number]:9}")
        for name, number in REASONS.items():
            print(f"reason  {name:28} {self.reasons[number]:9}")


def main(seed: int, count: int, profile: str) -> None:
    """Print speed, and what occurred."""
    tally = Tally()
    begun = time.process_time()
    for world, command, events in iter_world(seed, count, profile):  # noqa: B007
        tally.count(command, events)
    spent = time.process_time() - begun
    world.model.check_invariants()
    print(f"{count} commands in {spent:.1f} s, {count / spent:.0f}/s")
    tally.print_table()


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3])
