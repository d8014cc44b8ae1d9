"""Block trades and combos of the random venue."""

from __future__ import annotations

import math
from collections.abc import Iterator

from . import feeds
from .records import BUY, COMBO, GTC, IOC, LIMITS, OPEN, POST_ONLY, SELL
from .spoiling import spoil_item, spoiled
from .terms import order_terms, size
from .world import OPERATOR, STRANGER, Command, World

Commands = Iterator[Command]
Leg = tuple[int, int, int, int]
COMBOS_MAX = {"main": 4, "crowd": 2, "tiny": 2, "crash": 4, "desk": 8}


def block_of(
    world: World, who: str, other: str, legs: list[Leg], signer: str = "", cosigner: str = ""
) -> Command:
    """A block trade, each side signed for by somebody who may."""
    signer = signer or world.signer("BLOCK_TRADE", who)
    cosigner = cosigner or world.signer("BLOCK_TRADE", other)
    counter_nonce = world.next_nonce(other, cosigner)
    if who == other:
        counter_nonce += 5
    command = world.signed_by("BLOCK_TRADE", who, signer, counter_nonce=counter_nonce)
    return command | {"subject": other, "cosigner": cosigner, "items": legs}


def random_legs(world: World, count: int) -> list[Leg]:
    """Legs near their marks in ascending order of instruments that can be traded, none a combo."""
    rng, instruments = world.rng, world.model.instruments
    pool = [number for number in world.live() if instruments[number].kind != COMBO]
    legs = []
    for number in sorted(rng.sample(pool, min(len(pool), count))):
        fair = world.fair_ticks(instruments[number])
        price = fair + int(rng.gauss(0, 1) * max(1.0, fair * 0.01))
        if world.chance(3):
            price = rng.choice((1, 2 * fair, LIMITS["PRICE_TICKS_MAX"]))
        price = max(1, min(price, LIMITS["PRICE_TICKS_MAX"]))
        legs.append((number, rng.choice((BUY, SELL)), size(world), price))
    return legs


def block(world: World) -> Commands:
    """Two accounts trade up to sixteen legs, at times what they hold; seldom with something wrong."""
    rng, model = world.rng, world.model
    who, other = world.trader(), world.trader()
    if who == other and world.chance(80):
        return
    legs = random_legs(
        world, rng.choice((1, 1, 2, 3, 4, rng.randrange(1, LIMITS["BLOCK_LEG_COUNT_MAX"] + 1)))
    )
    account = world.account(who)
    if account and world.chance(40):
        held = {number: position.lots for number, position in account.positions.items()}
        for place, (number, _, _, price) in enumerate(legs):
            lots = held.get(number, 0)
            if lots:
                chosen = min(abs(lots), LIMITS["ORDER_LOTS_MAX"])
                legs[place] = (number, SELL if lots > 0 else BUY, chosen, price)
    if legs and world.chance(10):
        place = rng.randrange(len(legs))
        number, side, lots, price = spoil_item(world, "BLOCK_TRADE", legs[place])
        legs[place] = number, side, lots, price
    combos = [n for n, instrument in enumerate(model.instruments) if instrument.kind == COMBO]
    if world.chance(4) and combos:
        legs = sorted([*legs[:3], (rng.choice(combos), BUY, 1, LIMITS["COMBO_TICK_OFFSET"])])
    elif world.chance(3):
        legs = rng.choice(([], legs[::-1], legs + legs[-1:]))
    command = block_of(world, who, other, legs[: LIMITS["BLOCK_LEG_COUNT_MAX"]])
    if world.chance(2):
        command["cosigner"] = rng.choice((STRANGER, command["signer"]))
    yield spoiled(world, command, 5)


def _open_combos(world: World) -> list[int]:
    listed = enumerate(world.model.instruments)
    return [number for number, instrument in listed if instrument.kind == COMBO and instrument.state == OPEN]


def list_combo(world: World) -> Commands:
    """A combo of two to four instruments of one underlying; at times one that cannot be or is already."""
    rng, model = world.rng, world.model
    crowded = len(_open_combos(world)) >= COMBOS_MAX[world.profile]
    underlying = rng.randrange(2)
    pool = [
        number
        for number, instrument in enumerate(model.instruments)
        if (instrument.underlying, instrument.state) == (underlying, OPEN) and instrument.kind != COMBO
    ]
    numbers = sorted(rng.sample(pool, min(len(pool), rng.choice((2, 2, 2, 3, 4)))))
    ratios = [rng.choice((1, 1, 1, 2, 3, rng.randrange(1, 17))) * rng.choice((1, -1)) for _ in numbers]
    if ratios:
        ratios[0] = abs(ratios[0])
        common = math.gcd(*ratios)
        ratios = [ratio // common for ratio in ratios]
    legs = list(zip(numbers, ratios, strict=True))
    if crowded or world.chance(15):
        legs = _strange_legs(world, legs)
    command = world.signed("LIST_COMBO", OPERATOR) | {"items": legs}
    if world.chance(4):
        command["signer"] = rng.choice((STRANGER, world.trader()))
    yield spoiled(world, command, 4)
    if world.accepted() and world.chance(60):
        yield from feeds.all_indices(world, underlying)
        yield world.command("TICK", "")


def list_late(world: World) -> Commands:
    """A combo of an instrument that no TICK has expired yet although its time is over."""
    instruments = world.model.instruments
    mine = [n for n, i in enumerate(instruments) if i.state == OPEN and i.kind != COMBO]
    late = [n for n in mine if 0 < instruments[n].expiry_ns <= world.now]
    if not late:
        return
    number = world.rng.choice(late)
    others = [n for n in mine if n != number and instruments[n].underlying == instruments[number].underlying]
    if others:
        legs = sorted([(number, 1), (world.rng.choice(others), 1)])
        yield world.signed("LIST_COMBO", OPERATOR) | {"items": legs}


def _strange_legs(world: World, legs: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Legs that do not go together, or those of a combo that was listed once."""
    rng, model = world.rng, world.model
    combos = [number for number, instrument in enumerate(model.instruments) if instrument.legs]
    kind = rng.randrange(9)
    if kind < 3 and combos:
        return list(model.instruments[rng.choice(combos)].legs)
    if kind == 3 and combos:
        return sorted([*legs[:1], (rng.choice(combos), 1)])
    if kind == 4:
        return rng.choice(([], legs[:1], legs[::-1], legs[:1] * 2))
    if kind == 5:
        return [(number, 2 * ratio) for number, ratio in legs]
    if kind == 6:
        return [(number, -ratio) for number, ratio in legs]
    if kind == 7:
        return sorted((rng.randrange(len(model.instruments)), 1) for _ in range(rng.randrange(2, 5)))
    if not legs:
        return []
    place = rng.randrange(len(legs))
    number, ratio = spoil_item(world, "LIST_COMBO", legs[place])
    return [*legs[:place], (number, ratio), *legs[place + 1 :]]


def ladder(world: World) -> Commands:
    """Many orders of a few accounts rest in one combo, in its legs too; then somebody sweeps through them."""
    rng, model = world.rng, world.model
    combos = [number for number in world.live() if model.instruments[number].legs]
    if not combos:
        return
    number = rng.choice(combos)
    fair = world.fair_ticks(model.instruments[number])
    step = max(1, abs(fair - LIMITS["COMBO_TICK_OFFSET"]) // 200)
    side = rng.choice((BUY, SELL))
    makers = [world.trader() for _ in range(rng.randrange(1, 4))]
    for _ in range(rng.randrange(2, 14)):
        who = rng.choice(makers)
        terms = order_terms(world, who, number)
        sign = -1 if side == BUY else 1
        price = min(max(1, fair + sign * step * rng.randrange(-1, 6)), LIMITS["PRICE_TICKS_MAX"])
        terms |= {
            "side": side,
            "price_ticks": price,
            "flags": 0,
            "time_in_force": rng.choice((GTC, POST_ONLY)),
        }
        terms["lots"] = max(2, min(terms["lots"], 200))
        terms["display_lots"] = -(-terms["lots"] // 10) if world.chance(25) else 0
        yield world.signed("PLACE", who, **terms)
    book = model.books[number][side]
    if book:
        terms = order_terms(world, world.trader(), number)
        lots = sum(order.lots for order in book[: rng.randrange(1, 8)])
        terms |= {
            "side": 1 - side,
            "price_ticks": book[-1].price_ticks,
            "lots": max(1, lots - rng.randrange(2)),
        }
        terms |= {"time_in_force": IOC, "display_lots": 0, "valid_until_ns": 0, "link": 0}
        terms["flags"] &= 12
        yield world.signed("PLACE", world.trader(), **terms)
