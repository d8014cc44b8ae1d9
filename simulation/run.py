"""One seed from its beginning to its end: lives that end badly, then one in which everybody can leave."""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from novate.apps import venue_tasks
from novate.execution import journal
from simulation.disk import mount
from simulation.faults import End, Faults
from simulation.genesis import TRADERS
from simulation.liveness import live_well
from simulation.lives import live_until
from simulation.loop import LoopStuck, SimulatedLoop
from simulation.world import World

# Production's figures are for years; these let every branch come up within a minute.
SMALL = ((journal, "SEGMENT_BYTES_MAX", 1 << 14), (venue_tasks, "SNAPSHOT_COMMANDS", 40))
RESTART_TRIES = 4


class Result(NamedTuple):
    """What one seed came to; `violation` is empty if every promise was kept."""

    seed: int
    violation: str
    trace: str
    commands: int
    acknowledged: int
    fills: int
    liquidations: int
    batches: int
    lives: int
    reorganisations: int
    deposits: int
    withdrawn_atoms: int
    met: tuple[tuple[str, int], ...]


@contextmanager
def silence_logs() -> Iterator[None]:
    """Keep the venue's log quiet: what it says of planned faults is in the trace already."""
    log = logging.getLogger("novate")
    level = log.level
    log.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        log.setLevel(level)


@contextmanager
def use_small_figures() -> Iterator[None]:
    """Let journals rotate and snapshots be taken often."""
    before = [getattr(module, name) for module, name, _ in SMALL]
    for module, name, value in SMALL:
        setattr(module, name, value)
    try:
        yield
    finally:
        for (module, name, _), value in zip(SMALL, before, strict=True):
            setattr(module, name, value)


def run_seed(seed: int, echo: bool = False) -> tuple[Result, list[str]]:
    """Live a seed through; returns the result and the trace."""
    world = World(seed, echo)
    lives = 0
    try:
        with silence_logs(), use_small_figures(), mount(world.disk), warnings.catch_warnings():
            world.tell(f"seed {seed}: {describe_faults(world)}")
            for trader in range(TRADERS):
                world.deposit(trader, world.make_chance(f"wealth {trader}"))
            for end in world.ends:
                lives += 1
                live(world, lives, end)
                if world.violation:
                    break
            else:
                lives += 1
                live_last(world, lives)
    finally:
        world.close()
    return make_result(world, lives), world.trace


def describe_faults(world: World) -> str:
    """The faults and habits of a seed in words."""
    known = [name for name, on in world.faults._asdict().items() if on]
    habits = [name for name, on in world.habits._asdict().items() if on]
    told = f"faults: {', '.join(known) or 'none'}; habits: {', '.join(habits) or 'none'}"
    return f"{len(world.ends) + 1} lives, {told}"


def make_result(world: World, lives: int) -> Result:
    """Count what happened."""
    witness = world.witness
    return Result(
        world.seed,
        world.violation,
        world.trace_hash.hexdigest()[:16],
        len(witness.hashes),
        witness.acknowledged,
        witness.met["event FILL"],
        witness.met["event LIQUIDATION_STARTED"],
        len(witness.roots),
        lives,
        world.chain.reorganisation_count,
        len(witness.credited),
        sum(witness.withdrawn.values()),
        tuple(sorted((witness.met + world.count_faults()).items())),
    )


def live(world: World, number: int, end: End) -> None:
    """One life of the venue's process, until it ends as planned or by itself."""
    place = f"call {end.disk_calls} {end.call}".strip() if end.disk_calls else f"{end.seconds:.1f} s"
    world.tell(f"life {number} begins; it ends by {end.fault} at {place}")
    if end.disk_calls:
        world.disk.arm(end.disk_calls, end.fault, end.call)
    how = run_process(world, number, live_until(world, number, end))
    world.disk.disarm()
    bury(world, how, world.make_chance(f"after {number}").random())


def live_last(world: World, number: int) -> None:
    """The last life: nothing fails any more, and everybody leaves."""
    world.faults = Faults(*(False for _ in world.faults))
    world.chain.reachable = True
    world.chain.mine_waiting(everything=True)
    for attempt in range(RESTART_TRIES):
        world.tell(f"life {number} begins; nothing fails any more")
        how = run_process(world, number, live_well(world, number))
        bury(world, how, 1.0)
        if how == "over" or world.violation:
            return
        number += attempt + 1
    world.fail("the venue does not stay up although nothing fails")


def run_process(world: World, number: int, life: Any) -> str:
    """Run a life on a loop of its own and return how it ended."""
    loop = SimulatedLoop(world.make_chance(f"loop {number}"), world.elapsed_s)
    loop.slow_disk = world.faults.slow_disk
    world.loop, world.alive = loop, True
    task = loop.create_task(life)
    task.add_done_callback(lambda _: loop.end("over"))
    try:
        loop.run_forever()
    except LoopStuck as error:
        world.fail(str(error))
    failure = task.exception() if task.done() and not task.cancelled() else None
    if failure is not None:
        explain(world, failure)
    how = loop.ended or "over"
    world.elapsed_s, world.alive = loop.time(), False
    loop.bury()
    return how


def explain(world: World, error: BaseException) -> None:
    """A life that ended by an error: of the disk or the chain while those may fail, or a bug."""
    if isinstance(error, OSError) and any(world.faults):
        world.loop.ended = "failure"
        world.tell(f"the process ends while it starts: {error!r}")
    else:
        world.fail(f"the process cannot start or go on: {error!r}")


def bury(world: World, how: str, chance: float) -> None:
    """What a death leaves on the disk, and what happens to the world before the next life."""
    world.disk.close_all()
    world.injected[how] += 1
    if how == "power" or world.disk.lost_pages:
        world.disk.cut_power()
    world.disk.lost_pages = False
    world.chain.reachable = world.chain.reachable or chance < 0.8
    world.tell(f"the process is gone ({how}) after command {len(world.witness.hashes)}")
    world.elapsed_s += 0.1 + chance
    if world.faults.reorganisations and chance < 0.3:
        world.reorganise()
