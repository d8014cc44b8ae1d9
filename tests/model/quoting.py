"""Market makers of the random venue: groups with small limits, mass quotes, and takers that trip them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from .records import BUY, CALL, IOC, PUT, SELL
from .spoiling import spoil_field, spoil_item, spoiled
from .world import SECOND, Command, World

Commands = Iterator[Command]
Quote = tuple[int, ...]
MAKERS = 4
OPTIONS_MAX = 20


def _maker(world: World) -> tuple[str, Any]:
    """One of the few accounts that quote."""
    number = world.rng.randrange(min(MAKERS, len(world.model.accounts)))
    account = world.model.accounts[number]
    return account.address, account


def _options(world: World, underlying: int) -> list[int]:
    instruments = world.model.instruments
    return [
        n
        for n in world.live()
        if instruments[n].kind in (CALL, PUT) and instruments[n].underlying == underlying
    ]


def set_mmp(world: World) -> Commands:
    """Limits that a few fills reach, of quantity, delta or vega, at times exactly; at times while the group
    still quotes.
    """
    rng, model = world.rng, world.model
    who, _ = _maker(world)
    group, underlying = rng.randrange(1, 5), rng.randrange(2)
    if world.chance(60):
        yield world.signed("CANCEL_ALL", who, instrument=-1, label=0, group=group)
    options = _options(world, underlying)
    number = delta = vega = lots = 0
    if options:
        number, lots, beyond = rng.choice(options), rng.randrange(0, 30), rng.choice((0, rng.randrange(1000)))
        instrument = model.instruments[number]
        if world.chance(50):
            delta = abs(instrument.delta_atoms) * lots + beyond
        if world.chance(50):
            vega = instrument.vega_atoms * lots + beyond
    command = world.signed(
        "SET_MMP",
        who,
        group=group,
        underlying=underlying,
        window_ns=int(10 ** rng.uniform(6.5, 10.5)),
        frozen_ns=rng.choice((0, int(10 ** rng.uniform(6, 9.5)), int(10 ** rng.uniform(6, 9.5)))),
        quantity_limit_lots=rng.choice((1, rng.randrange(1, 60), rng.randrange(20, 400), 1 << 20)),
        delta_limit_atoms=delta,
        vega_limit_atoms=vega,
    )
    if world.chance(15):
        command = spoil_field(world, command)
    yield spoiled(world, command, 3)
    if lots and world.accepted() and world.chance(40):
        _, bid, _, ask, _ = _quote(world, number)
        command = world.signed("MASS_QUOTE", who, group=group)
        command["items"] = [(number, bid, lots, ask, lots)]
        yield command
        yield from take_quotes(world, who, group)


def _quote(world: World, number: int) -> Quote:
    """A bid and an ask around the mark; each side may be absent."""
    rng = world.rng
    fair = world.fair_ticks(world.model.instruments[number])
    half = max(1, fair // 100) * rng.choice((1, 1, 2, 3))
    bid, ask = max(1, fair - half), max(2, min(fair + half, 262_143))
    if world.chance(4):
        bid, ask = rng.choice(((ask, bid), (bid, bid), (ask, ask + half)))
    lots = [rng.choice((0, 5, 10, rng.randrange(1, 40))) for _ in range(2)]
    return number, bid, lots[0], ask, lots[1]


def mass_quote(world: World) -> Commands:
    """1 to 20 quotes of a group, seldom with something wrong; then often somebody who takes them."""
    rng, model = world.rng, world.model
    who, account = _maker(world)
    set_up = sorted(account.groups)
    group = rng.choice(set_up) if set_up and world.chance(95) else rng.randrange(1, 5)
    underlying = account.groups[group].underlying if group in account.groups else rng.randrange(2)
    pool = _options(world, underlying)
    if not pool or world.chance(4):
        pool = list(range(len(model.instruments)))
    count = min(len(pool), rng.choice((1, 2, 4, 8, rng.randrange(1, OPTIONS_MAX + 1))))
    items = [_quote(world, number) for number in sorted(rng.sample(pool, count))]
    if items and world.chance(6):
        place = rng.randrange(len(items))
        items[place] = spoil_item(world, "MASS_QUOTE", items[place])
        if world.chance(80):
            items.sort()
    elif world.chance(2):
        items = rng.choice(([], items[::-1], items + items[-1:]))
    command = world.signed("MASS_QUOTE", who, group=group)
    command["items"] = items
    if world.chance(2):
        command = spoil_field(world, command)
    yield spoiled(world, command, 2)
    if world.accepted() and world.chance(60):
        yield from take_quotes(world, who, group)


def take_quotes(world: World, who: str, group: int) -> Commands:
    """Another account trades through some of the group's quotes, to their last lot or beyond."""
    rng, account = world.rng, world.account(who)
    assert account is not None
    quotes = [order for _, order in sorted(account.orders.items()) if order.group == group]
    for quote in rng.sample(quotes, min(len(quotes), rng.randrange(1, 4))):
        if quote.order_id not in world.model.orders:
            continue
        yield world.signed(
            "PLACE",
            world.trader(),
            instrument=quote.instrument,
            side=SELL if quote.side == BUY else BUY,
            time_in_force=IOC,
            lots=max(1, quote.lots + rng.choice((-2, 0, 0, 20))),
            price_ticks=quote.price_ticks,
        )


def pause(world: World) -> Commands:
    """A second or so passes, long enough for windows to end and groups to thaw."""
    world.pass_time(world.rng.randrange(SECOND // 10, 2 * SECOND))
    yield from ()
