"""One seed from its beginning to its end: lives that end badly, then one in which everybody can leave."""

import asyncio
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from novate.apps import venue_tasks
from novate.apps.claims import Claimable, prove_withdrawals
from novate.execution import journal
from novate.execution.engine import Engine
from novate.execution.views import read_account
from novate.protocol.generated.codes import Code, CommandKind
from novate.verification.published import BATCHES_FILE, HEAD_FILE, read_batches, read_frames, read_head
from simulation.disk import mount
from simulation.faults import End, Faults
from simulation.genesis import TRADERS, USDC, WALLET_ATOMS, WALLETS, get_address, make_genesis
from simulation.loop import LoopStuck, SimulatedLoop
from simulation.people import leave, run_operator, run_oracles, run_trader, send, sign
from simulation.vault import get_bytes
from simulation.venue import SimulatedVenue
from simulation.world import World

# Production's figures are for years; these let every branch come up within a minute.
SMALL = ((journal, "SEGMENT_BYTES_MAX", 1 << 14), (venue_tasks, "SNAPSHOT_COMMANDS", 40))
REST_S = 4.0
RESTART_TRIES = 4
WITHDRAWAL_TRIES = 4
PATIENCE_S = 40.0


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
        with use_small_figures(), mount(world.disk), warnings.catch_warnings():
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
    """The faults of a seed in words."""
    known = [name for name, on in world.faults._asdict().items() if on]
    return f"{len(world.ends) + 1} lives, faults: {', '.join(known) or 'none'}"


def make_result(world: World, lives: int) -> Result:
    """Count what happened."""
    witness = world.witness
    return Result(
        world.seed,
        world.violation,
        world.trace_hash.hexdigest()[:16],
        len(witness.hashes),
        witness.acknowledged,
        witness.book.fill_count,
        witness.book.liquidation_count,
        len(witness.roots),
        lives,
        world.chain.reorganisation_count,
        len(witness.credited),
        sum(witness.withdrawn.values()),
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
    if how == "power" or world.disk.lost_pages:
        world.disk.cut_power()
    world.disk.lost_pages = False
    world.chain.reachable = world.chain.reachable or chance < 0.8
    world.tell(f"the process is gone ({how}) after command {len(world.witness.hashes)}")
    world.elapsed_s += 0.1 + chance
    if world.faults.reorganisations and chance < 0.3:
        world.reorganise()


async def begin(world: World, number: int) -> list[asyncio.Task[None]]:
    """Start a process, and the people around it."""
    world.venue = await SimulatedVenue.recover(world, world.folder)
    await world.venue.start()
    world.tell("the venue is open")
    people = [run_operator(world), run_oracles(world, world.make_chance(f"oracles {number}"))]
    return [asyncio.create_task(person) for person in people]


async def live_until(world: World, number: int, end: End) -> None:
    """A life with traders and faults; ends at its time, if the disk has not ended it before."""
    tasks = await begin(world, number)
    for trader in range(TRADERS):
        chance = world.make_chance(f"trader {trader} {number}")
        tasks.append(asyncio.create_task(run_trader(world, trader, chance)))
    tasks.append(asyncio.create_task(run_weather(world, number)))
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


async def live_well(world: World, number: int) -> None:
    """The liveness phase: within its patience every wallet has all that is its own."""
    world.skew_ns = 0
    tasks = await begin(world, number)
    await pass_blocks(world)
    tasks.append(asyncio.create_task(keep_mining(world)))
    await asyncio.sleep(REST_S)
    watch(world)
    engine = world.venue.engine
    for _ in range(12):
        await leave(world)
        if not any(
            read_account(engine, account).liquidation_stage for account in range(len(engine.addresses))
        ):
            break
        await asyncio.sleep(1.0)
    await withdraw_all(world, engine)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    async with asyncio.timeout(PATIENCE_S):
        header = await world.venue.seal_and_post()
        while not world.venue.settlement.is_final(header.number):
            await asyncio.sleep(0.5)
    watch(world)
    check_deposits(world)
    check_headers(world)
    claim_all(world)


async def pass_blocks(world: World) -> None:
    """Blocks that confirm what stands on the chain."""
    for _ in range(world.confirmations + 1):
        world.chain.deposit(WALLETS[0], get_address(WALLETS[0]), USDC)


async def keep_mining(world: World) -> None:
    """Blocks go on coming, so that deposits are confirmed."""
    while world.read_now_s() >= 0:
        await asyncio.sleep(1.0)
        watch(world)


async def withdraw_all(world: World, engine: Engine) -> None:
    """Every account asks for all that it may have, and gets it."""
    for account, address in enumerate(engine.addresses):
        # A TICK between the question and the command may move the margin of what the maker still holds.
        for _ in range(WITHDRAWAL_TRIES):
            amount = read_account(engine, account).withdrawable_atoms
            if amount <= 0:
                break
            (outcome,) = await send(world, [sign(world, CommandKind.WITHDRAW, address, amount_atoms=amount)])
            world.tell(f"account {account} withdraws {amount / USDC:.6f} USDC: {outcome.code.name}")
            if outcome.code == Code.OK:
                break
        else:
            world.fail(f"account {account} could not withdraw {amount} atoms: {outcome.code.name}")


def check_deposits(world: World) -> None:
    """Each confirmed deposit of the chain was credited once, as it stands there, and nothing else was."""
    standing = [(each.account, each.amount_atoms) for each in world.chain.list_deposits()]
    credited = world.witness.credited
    if standing[: len(credited)] != credited:
        world.fail("what was credited is not what stands on the chain")
    missing = len(standing) - len(credited)
    if missing > world.confirmations:
        world.fail(f"{missing} deposits that stand on the chain were never credited")


def check_headers(world: World) -> None:
    """The chain holds the header of every batch, as the witness knows it."""
    settlement = world.venue.settlement
    if settlement.batch_count() != len(world.witness.roots):
        world.fail(f"{len(world.witness.roots)} batches were sealed, {settlement.batch_count()} are posted")
    for number, expected in world.witness.headers.items():
        if settlement.header_hash(number) != expected:
            world.fail(f"batch {number} on the chain is not the one that was made")


def read_claimables(world: World) -> list[Claimable]:
    """What the published files prove: every withdrawal of every batch."""
    folder, origin = world.venue.published, make_genesis().hash
    head = read_head((folder / HEAD_FILE).read_bytes(), origin)
    frames, _ = read_frames(BATCHES_FILE, (folder / BATCHES_FILE).read_bytes(), origin, head.batches)
    return prove_withdrawals(read_batches(frames))


def claim_all(world: World) -> None:
    """Every wallet claims its withdrawals out of the vault, from the published files alone."""
    paid_in: dict[bytes, int] = {}
    for deposit in world.chain.list_deposits():
        paid_in[deposit.account] = paid_in.get(deposit.account, 0) + deposit.amount_atoms
    wallets = {get_address(wallet): wallet for wallet in WALLETS}
    for claimable in read_claimables(world):
        world.chain.claim(wallets[claimable.withdrawal.account], claimable)
    for address in wallets:
        expected = WALLET_ATOMS - paid_in.get(address, 0) + world.witness.withdrawn[address]
        held = world.chain.read_balance(address)
        if held != expected:
            world.fail(f"0x{address.hex()} holds {held} atoms instead of {expected}")
    vault = world.chain.read_balance(get_bytes(world.chain.manifest.vault))
    owed = sum(paid_in.values()) - sum(world.witness.withdrawn.values())
    if vault != owed:
        world.fail(f"the vault holds {vault} atoms and owes {owed}")
    world.tell(f"all have left; the vault holds {vault / USDC:.6f} USDC")
