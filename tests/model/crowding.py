"""The whale at the limits of one account: open orders, waiting orders, gross lots."""

from __future__ import annotations

from collections.abc import Iterator

from . import dealing, margin
from .records import BUY, CONDITIONS, GTC, LIMITS, REFERENCES, SELL
from .world import WHALE, Command, World

Commands = Iterator[Command]


def crowd(world: World) -> Commands:
    """The whale fills its table of open orders, one lot each, on few levels far below the mark."""
    yield from _clear_whale(world)
    account, live = world.account(WHALE), world.live()
    if account is None or not live:
        return
    for _ in range(LIMITS["OPEN_ORDER_COUNT_MAX"] + 3 - len(account.orders)):
        world.pass_time(1000)
        yield world.signed_by(
            "PLACE",
            WHALE,
            WHALE,
            instrument=live[0],
            side=BUY,
            time_in_force=GTC,
            lots=1,
            price_ticks=world.rng.randrange(1, 9),
        )
    yield from _clear_whale(world)


def crowd_waiting(world: World) -> Commands:
    """The whale has as many waiting orders as an account may, and two more are refused."""
    account, live = world.account(WHALE), world.live()
    if account is None or not live:
        return
    for _ in range(LIMITS["TRIGGER_COUNT_MAX"] + 2 - len(account.waiting)):
        world.pass_time(1000)
        yield world.signed_by(
            "PLACE_TRIGGER",
            WHALE,
            WHALE,
            instrument=live[0],
            side=BUY,
            time_in_force=GTC,
            lots=1,
            price_ticks=1,
            reference=REFERENCES["INDEX"],
            condition=CONDITIONS["ABOVE"],
            trigger_atoms=(1 << 40) - 1,
        )
    yield from _clear_whale(world)


def fill_gross(world: World) -> Commands:
    """The whale's open orders reach the gross limit of one underlying, exactly or by one lot more."""
    account, live = world.account(WHALE), world.live()
    if account is None or not live:
        return
    combos = [n for n in live if world.model.instruments[n].legs]
    number = world.rng.choice(combos if combos and world.chance(30) else live)
    side = world.rng.choice((BUY, SELL))
    price = 1 if side == BUY else LIMITS["PRICE_TICKS_MAX"]
    underlying = world.model.instruments[number].underlying
    for _ in range(18):
        room = LIMITS["GROSS_LOTS_MAX"] - margin.gross_lots(world.model, account, underlying)
        lots = room // world.model.instruments[number].gross_weight + world.rng.choice((0, 1))
        lots = max(1, min(LIMITS["ORDER_LOTS_MAX"], lots))
        yield world.signed_by(
            "PLACE",
            WHALE,
            WHALE,
            instrument=number,
            side=side,
            time_in_force=GTC,
            lots=lots,
            price_ticks=price,
        )
    yield from _block_at_the_limit(world, underlying)
    yield from _clear_whale(world)


def _block_at_the_limit(world: World, underlying: int) -> Commands:
    """The whale's orders give way for a few lots, which a block then takes, or one more; in the other
    underlying there is room for more.
    """
    account, model = world.account(WHALE), world.model
    assert account is not None
    mine = [o for o in account.orders.values() if model.instruments[o.instrument].underlying == underlying]
    if mine and world.chance(70):
        yield world.signed_by("CANCEL", WHALE, WHALE, order_id=mine[-1].order_id)
    room = LIMITS["GROSS_LOTS_MAX"] - margin.gross_lots(model, account, underlying)
    legs = dealing.random_legs(world, world.rng.randrange(2, 6))
    here = [leg[0] for leg in legs if model.instruments[leg[0]].underlying == underlying]
    room = min(max(1, room + world.rng.choice((0, 1))), len(here) * LIMITS["ORDER_LOTS_MAX"])
    whole = []
    for number, side, lots, price in legs:
        if number in here:
            lots = max(1, min(LIMITS["ORDER_LOTS_MAX"], room if number == here[-1] else room // 2))
            room -= lots
        whole.append((number, side, lots, price))
    rival = world.rng.choice([a.address for a in model.accounts if a is not account])
    yield dealing.block_of(world, *world.rng.sample((WHALE, rival), 2), whole)


def _clear_whale(world: World) -> Commands:
    yield world.signed_by("CANCEL_ALL", WHALE, WHALE, instrument=-1, label=0, group=0)
