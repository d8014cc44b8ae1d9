"""The operator, who lists instruments and sets terms, and the oracles, one of which may lie."""

import asyncio
import random
from typing import TYPE_CHECKING

from novate.protocol.command import Command
from novate.protocol.generated.codes import Code, CommandKind, InstrumentKind
from novate.protocol.generated.constants import NS_PER_S
from simulation.genesis import (
    COMBOS,
    EXPIRIES_S,
    FEE_TIERS,
    OPERATOR,
    ORACLES,
    START_NS,
    STRIKES,
    USDC,
    get_address,
)
from simulation.people import Fields, send, sign

if TYPE_CHECKING:
    from simulation.world import World

ONE = 1 << 48
YEAR_S = 365 * 86_400
SVI_NAMES = ("a", "b", "rho", "m", "sigma")
LISTINGS = [(InstrumentKind.PERPETUAL, 0, 0)] + [
    (kind, strike, START_NS + EXPIRIES_S[i] * NS_PER_S)
    for i, strike in enumerate(STRIKES)
    for kind in (InstrumentKind.CALL, InstrumentKind.PUT)
]


async def run_operator(world: "World", chance: random.Random) -> None:
    """List what is not listed yet, even in an earlier life; then change a term now and then."""
    while (number := len(world.venue.engine.instruments)) < len(LISTINGS) + len(COMBOS):
        (outcome,) = await send(world, [list_next(world, number)])
        if outcome.code != Code.OK:
            break
    while True:
        await asyncio.sleep(chance.uniform(0.5, 2.0))
        await send(world, [change_terms(world, chance)])


def list_next(world: "World", number: int) -> Command:
    """The listing of what is to be instrument `number`: single instruments first, then combos of them."""
    signer = get_address(OPERATOR)
    if number >= len(LISTINGS):
        return sign(world, CommandKind.LIST_COMBO, signer, items=COMBOS[number - len(LISTINGS)])
    kind, strike, expiry_ns = LISTINGS[number]
    fields: Fields = {
        "underlying": 0,
        "strike_atoms": strike,
        "expiry_ns": expiry_ns,
        "instrument_kind": kind,
    }
    return sign(world, CommandKind.LIST_INSTRUMENT, signer, **fields)


def change_terms(world: "World", chance: random.Random) -> Command:
    """Another fee tier, another size of slices, or a listing of what is listed or has no room."""
    signer, choice = get_address(OPERATOR), chance.randrange(3)
    if choice == 0:
        target, tier = chance.randrange(8), chance.randrange(len(FEE_TIERS) + 1)
        return sign(world, CommandKind.SET_TIER, signer, target=target, tier=tier)
    if choice == 1:
        slice_atoms = chance.randrange(1_000, 40_000) * USDC
        fields: Fields = {"underlying": 0, "slice_notional_atoms": slice_atoms}
        return sign(world, CommandKind.SET_SLICE, signer, **fields)
    return list_next(world, chance.randrange(len(LISTINGS) + len(COMBOS)))


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
        lie = chance.randrange(6)
        if lie == 0:
            return None
        price = (price, price * 3, price // 5, 1, price, price)[lie]
        observed_ns += (-40 * NS_PER_S, 0, 0, 0, 3 * NS_PER_S, 30 * NS_PER_S)[lie]
    price = max(1, price * chance.randrange(9_995, 10_006) // 10_000)
    fields: Fields = {
        "underlying": 0,
        "index_atoms": price,
        "confidence_e6": 990_000,
        "observed_ns": observed_ns,
    }
    return sign(world, CommandKind.INDEX, get_address(ORACLES[number]), **fields)


def report_surface(world: "World", number: int, seconds: int) -> Command:
    """One oracle's surface of sixty per cent volatility."""
    left_s = max(1.0, seconds - (world.read_true_ns() - START_NS) / NS_PER_S)
    variance = 0.36 * left_s / YEAR_S
    svi = (0.6 * variance, 0.4 * variance / 0.3, -0.1, 0.0, 0.3)
    fields: Fields = {f"svi_{name}_x48": int(value * ONE) for name, value in zip(SVI_NAMES, svi, strict=True)}
    fields |= {
        "underlying": 0,
        "expiry_ns": START_NS + seconds * NS_PER_S,
        "forward_atoms": world.price_atoms,
    }
    fields["observed_ns"] = world.read_true_ns()
    return sign(world, CommandKind.SURFACE, get_address(ORACLES[number]), **fields)
