"""Who acts in a simulated venue: oracles, one of which may lie, the operator, a maker, and traders."""

import asyncio
import random
from typing import TYPE_CHECKING

from novate.execution.sequencer import Outcome, VenueBusy
from novate.execution.views import read_open_orders, read_positions
from novate.protocol.command import Command, make_command
from novate.protocol.generated.codes import (
    Code,
    CommandKind,
    InstrumentKind,
    OrderFlag,
    Side,
    TimeInForce,
)
from novate.protocol.generated.constants import NS_PER_S
from novate.protocol.generated.records import COMMAND_FIELDS
from simulation.genesis import EXPIRIES_S, OPERATOR, ORACLES, START_NS, STRIKES, USDC, WALLETS, get_address

if TYPE_CHECKING:
    from simulation.world import World

ONE = 1 << 48
YEAR_S = 365 * 86_400
GROUP = 1
LOTS_MAX = 300
LISTINGS = [(InstrumentKind.PERPETUAL, 0, 0)] + [
    (kind, strike, START_NS + EXPIRIES_S[i] * NS_PER_S)
    for i, strike in enumerate(STRIKES)
    for kind in (InstrumentKind.CALL, InstrumentKind.PUT)
]
SVI_NAMES = ("a", "b", "rho", "m", "sigma")


def sign(world: "World", kind: CommandKind, signer: bytes, **fields: int) -> Command:
    """A command as it comes to the sequencer: authenticated, with the next nonce."""
    if "nonce" in COMMAND_FIELDS[kind]:
        world.nonce += 1
        fields |= {"nonce": world.nonce, "expires_ns": world.read_clock_ns() + 60 * NS_PER_S}
    return make_command(kind, 0, signer, b"", **fields)


async def send(world: "World", commands: list[Command]) -> list[Outcome]:
    """Submit commands at once and wait for every answer; the witness takes note of each."""
    try:
        futures = [world.venue.sequencer.enqueue(command) for command in commands]
    except VenueBusy:
        return []
    outcomes = list(await asyncio.gather(*futures))
    for outcome in outcomes:
        world.witness.acknowledge(outcome)
    return outcomes


async def run_operator(world: "World") -> None:
    """List what is not listed yet; what a crash prevented is listed in the next life."""
    signer = get_address(OPERATOR)
    while (number := len(world.venue.engine.instruments)) < len(LISTINGS):
        kind, strike, expiry_ns = LISTINGS[number]
        fields = {"underlying": 0, "strike_atoms": strike, "expiry_ns": expiry_ns, "instrument_kind": kind}
        (outcome,) = await send(world, [sign(world, CommandKind.LIST_INSTRUMENT, signer, **fields)])
        if outcome.code != Code.OK:
            return


async def run_oracles(world: "World", chance: random.Random) -> None:
    """The price moves, and the oracles report it, each in its own manner."""
    turn = 0
    while True:
        world.move_price(chance)
        reports = []
        for number in range(len(ORACLES)):
            report = report_index(world, number, chance)
            reports += [report] if report is not None else []
            if turn % 4 == 0:
                reports += [report_surface(world, number, seconds) for seconds in EXPIRIES_S]
        turn += 1
        await send(world, reports)
        await asyncio.sleep(0.5)


def report_index(world: "World", number: int, chance: random.Random) -> Command | None:
    """One oracle's report; the last oracle may be silent, late, wild or from the future."""
    price, observed_ns = world.price_atoms, world.read_true_ns()
    if world.faults.liar and number == len(ORACLES) - 1:
        lie = chance.randrange(5)
        if lie == 0:
            return None
        price = (price, price * 3, price // 5, 1, price)[lie]
        observed_ns += (-40 * NS_PER_S, 0, 0, 0, 3 * NS_PER_S)[lie]
    price = max(1, price * chance.randrange(9_995, 10_006) // 10_000)
    fields = {"underlying": 0, "index_atoms": price, "confidence_e6": 990_000, "observed_ns": observed_ns}
    return sign(world, CommandKind.INDEX, get_address(ORACLES[number]), **fields)


def report_surface(world: "World", number: int, seconds: int) -> Command:
    """One oracle's surface of sixty per cent volatility."""
    left_s = max(1.0, seconds - (world.read_true_ns() - START_NS) / NS_PER_S)
    variance = 0.36 * left_s / YEAR_S
    svi = (0.6 * variance, 0.4 * variance / 0.3, -0.1, 0.0, 0.3)
    fields = {f"svi_{name}_x48": int(value * ONE) for name, value in zip(SVI_NAMES, svi, strict=True)}
    fields |= {
        "underlying": 0,
        "expiry_ns": START_NS + seconds * NS_PER_S,
        "forward_atoms": world.price_atoms,
    }
    fields["observed_ns"] = world.read_true_ns()
    return sign(world, CommandKind.SURFACE, get_address(ORACLES[number]), **fields)


async def run_trader(world: "World", number: int, chance: random.Random) -> None:
    """Deposit, then trade in bursts until the process dies; trader 0 is the maker and the backstop."""
    address = get_address(WALLETS[number])
    while world.venue.engine.find_account(address) < 0:
        await asyncio.sleep(0.3)
    if number == 0:
        await send(world, protect(world, address))
    while True:
        await asyncio.sleep(chance.uniform(0.1, 0.9))
        commands = quote(world, address, chance) if number == 0 else []
        commands += [act(world, number, address, chance) for _ in range(chance.randrange(1, 5))]
        await send(world, commands)


def protect(world: "World", address: bytes) -> list[Command]:
    """A group for the maker's quotes, money for the fund, and the promise to take portfolios over."""
    figures = {"window_ns": 2 * NS_PER_S, "frozen_ns": NS_PER_S, "quantity_limit_lots": 400}
    limits = {"delta_limit_atoms": 10**12, "vega_limit_atoms": 0, "group": GROUP, "underlying": 0}
    return [
        sign(world, CommandKind.SET_MMP, address, **figures, **limits),
        sign(world, CommandKind.INSURE, address, amount_atoms=1_000 * USDC),
        sign(world, CommandKind.BACKSTOP, address, demand_e6=3_000),
    ]


def list_priced(world: "World") -> list[tuple[int, int]]:
    """Instruments with their marks in ticks."""
    records = world.venue.engine.world.instruments
    views = world.venue.engine.instruments
    marks = [(view.number, int(records["mark_atoms"][view.number]) // view.tick_atoms) for view in views]
    return [(number, ticks) for number, ticks in marks if ticks > 0]


def quote(world: "World", address: bytes, chance: random.Random) -> list[Command]:
    """Quotes of the maker around every mark."""
    items = []
    for number, ticks in list_priced(world):
        half = max(1, ticks * chance.randrange(1, 40) // 10_000)
        items.append((number, max(1, ticks - half), chance.randrange(1, LOTS_MAX), ticks + half, LOTS_MAX))
    if not items:
        return []
    command = sign(world, CommandKind.MASS_QUOTE, address, group=GROUP)
    return [command._replace(items=tuple(items))]


def act(world: "World", number: int, address: bytes, chance: random.Random) -> Command:
    """One thing that a trader does."""
    priced = list_priced(world)
    mine = read_open_orders(world.venue.engine, world.venue.engine.find_account(address))
    choice = chance.randrange(16)
    if choice == 0:
        return sign(world, CommandKind.CANCEL_ALL, address, instrument=-1)
    if choice == 1:
        return sign(world, CommandKind.WITHDRAW, address, amount_atoms=chance.randrange(1, 3_000 * USDC))
    if choice in (2, 3) and mine:
        return sign(world, CommandKind.CANCEL, address, order_id=chance.choice(mine).order_id)
    if choice in (4, 5, 6) and mine:
        order = chance.choice(mine)
        price = max(1, order.price_ticks + chance.randrange(-2, 3))
        fields = {"order_id": order.order_id, "lots": chance.randrange(1, LOTS_MAX), "price_ticks": price}
        return sign(world, CommandKind.REPLACE, address, **fields)
    instrument, ticks = chance.choice(priced) if priced else (0, 1)
    side = chance.choice(list(Side))
    # Some traders lean to one side, so that prices that move ruin somebody.
    if number % 2 and chance.random() < 0.6:
        side = Side.BUY if number == 1 else Side.SELL
    half = max(1, ticks * 5 // 1_000)
    fields = {
        "instrument": instrument,
        "side": side,
        "time_in_force": chance.choice(
            (TimeInForce.GTC, TimeInForce.GTC, TimeInForce.IOC, TimeInForce.POST_ONLY)
        ),
        "lots": chance.randrange(1, LOTS_MAX),
        "price_ticks": max(1, ticks + chance.randint(-half, half)),
    }
    return sign(world, CommandKind.PLACE, address, **fields)


async def leave(world: "World") -> None:
    """Everybody cancels; each but the maker closes what it holds against the maker."""
    maker = get_address(WALLETS[0])
    addresses = [get_address(wallet) for wallet in WALLETS]
    present = [address for address in addresses if world.venue.engine.find_account(address) >= 0]
    await send(world, [sign(world, CommandKind.CANCEL_ALL, address, instrument=-1) for address in present])
    priced = dict(list_priced(world))
    for address in present[1:] if present[:1] == [maker] else []:
        account = world.venue.engine.find_account(address)
        for position in read_positions(world.venue.engine, account):
            ticks = priced.get(position.instrument, 0)
            if not position.lots or not ticks:
                continue
            terms = {"instrument": position.instrument, "lots": abs(position.lots), "price_ticks": ticks}
            away = Side.SELL if position.lots > 0 else Side.BUY
            offer = terms | {"side": Side(1 - away), "time_in_force": TimeInForce.GTC}
            close = terms | {"side": away, "time_in_force": TimeInForce.IOC, "flags": OrderFlag.REDUCE_ONLY}
            orders = [
                sign(world, CommandKind.PLACE, maker, **offer),
                sign(world, CommandKind.PLACE, address, **close),
            ]
            await send(world, [*orders, sign(world, CommandKind.CANCEL_ALL, maker, instrument=-1)])
