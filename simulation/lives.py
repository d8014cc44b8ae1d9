"""A life of the venue's process as people and weather make it."""

import asyncio
from collections.abc import Coroutine
from typing import Any

from simulation.faults import End
from simulation.genesis import TRADERS
from simulation.officials import run_operator, run_oracles
from simulation.traders import run_trader
from simulation.venue import SimulatedVenue
from simulation.world import World


async def begin(world: World, number: int) -> list[asyncio.Task[None]]:
    """Start a process, and the people around it."""
    world.venue = await SimulatedVenue.recover(world, world.folder)
    await world.venue.start()
    world.tell("the venue is open")
    people = [
        run_operator(world, world.make_chance(f"operator {number}")),
        run_oracles(world, world.make_chance(f"oracles {number}")),
    ]
    return [start(world, person) for person in people]


def start(world: World, person: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
    """Let somebody act; an error of the simulator itself must not pass for silence."""
    task = asyncio.create_task(person)
    task.add_done_callback(lambda done: report(world, done))
    return task


def report(world: World, task: asyncio.Task[None]) -> None:
    """Fail if a person stumbled."""
    if not task.cancelled() and (error := task.exception()) is not None:
        world.fail(f"the simulator itself failed: {error!r}")


async def live_until(world: World, number: int, end: End) -> None:
    """A life with traders and faults; ends at its time, if the disk has not ended it before."""
    tasks = await begin(world, number)
    for trader in range(TRADERS):
        chance = world.make_chance(f"trader {trader} {number}")
        tasks.append(start(world, run_trader(world, trader, chance)))
    tasks.append(start(world, run_weather(world, number)))
    await asyncio.sleep(end.seconds)
    world.loop.end(end.fault if not end.disk_calls else "kill")


async def run_weather(world: World, number: int) -> None:
    """What happens around a venue: deposits, reorganisations, outages, a clock that jumps."""
    chance = world.make_chance(f"weather {number}")
    while True:
        await asyncio.sleep(chance.uniform(0.2, 0.6))
        watch(world)
        if chance.random() < 0.3:
            world.deposit(chance.randrange(1, TRADERS), chance)
        if world.habits.crowding and chance.random() < 0.15:
            world.crowd(chance)
        if world.faults.reorganisations and chance.random() < 0.25:
            world.reorganise()
        elif chance.random() < 0.5:
            world.chain.mine_waiting()
        if world.faults.outages and chance.random() < 0.08:
            world.chain.reachable = not world.chain.reachable
            world.tell(f"the node {'answers again' if world.chain.reachable else 'does not answer'}")
        if world.faults.clock and chance.random() < 0.1:
            world.skew_ns = chance.randrange(-(10**9), 10**9)
            world.tell(f"the clock jumps to {world.skew_ns / 1e9:+.3f} s")


def watch(world: World) -> None:
    """What is looked at now and then."""
    world.witness.check_ticking()
    for header in world.venue.batches:
        world.witness.check_header(header)
