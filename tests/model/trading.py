"""What the random traders do: deposits, withdrawals, orders; mostly sensible, at times wrong in one field."""

from __future__ import annotations

from collections.abc import Iterator

from . import margin
from .records import IOC, LIMITS, Order, Waiting
from .spoiling import spoil_field, spoiled
from .terms import LABELS, choose_instrument, limit, order_terms
from .world import INT64_MAX, INT64_MIN, WHALE, Command, World

Commands = Iterator[Command]
DOLLAR = 1_000_000
CROWDED = {"main": 25, "crowd": 25, "tiny": 9, "crash": 25, "desk": 25}


def deposit(world: World) -> Commands:
    """Open an account or add to one; sometimes with a wrong cursor or amount."""
    rng, house = world.rng, world.model.house
    who = rng.choice(world.traders) if world.chance(70) else world.trader()
    amount = DOLLAR * rng.randrange(1, 5_000_000)
    account = world.account(world.trader())
    if account and world.chance(60):
        equity, _, initial, _ = margin.summary(world.model, account)
        if initial > equity:
            who, amount = account.address, min(1 << 50, 2 * (initial - equity))
    cursor = house.deposit_cursor + 1
    if world.chance(5):
        who = f"0x{rng.randrange(1 << 64):040x}"
    elif world.chance(12):
        cursor = rng.choice((cursor - 1, cursor + 1, 0, -1, INT64_MAX, INT64_MIN))
    elif world.chance(12):
        amount = rng.choice((0, -1, INT64_MIN, INT64_MAX, LIMITS["CASH_ATOMS_MAX"], 1))
        if world.chance(30):
            amount = LIMITS["CASH_ATOMS_MAX"] - house.deposited_atoms
    yield world.command("DEPOSIT", who, cursor=cursor, amount_atoms=amount)


def first_deposits(world: World) -> Commands:
    """Fund every trader but those that a later deposit shall open; the whale holds most of all money."""
    for who in world.traders[: max(3, len(world.traders) - 3)]:
        amount = DOLLAR * world.rng.randrange(1_000_000, 20_000_000)
        if who == WHALE:
            amount = 1 << 57
        cursor = world.model.house.deposit_cursor + 1
        yield world.command("DEPOSIT", who, cursor=cursor, amount_atoms=amount)


def withdraw(world: World) -> Commands:
    """A little, everything, exactly what the margin leaves, or one atom more."""
    rng, who = world.rng, world.trader()
    account = world.account(who)
    if account is None:
        return
    equity, unrealised, initial, _ = margin.summary(world.model, account)
    free = equity - max(0, unrealised) - initial
    kind = rng.randrange(8)
    amount = rng.randrange(1, DOLLAR * 10_000)
    if kind == 0 and who != WHALE:
        amount = account.cash_atoms + rng.choice((0, 1, 1))
    elif kind == 1:
        amount = rng.choice((0, -1, INT64_MIN, INT64_MAX, LIMITS["CASH_ATOMS_MAX"]))
    elif kind == 2 and who != WHALE:
        amount = free + rng.choice((0, 1))
    elif kind == 3 and who != WHALE:
        amount = max(1, free // 3)
    yield spoiled(world, world.signed("WITHDRAW", who, amount_atoms=amount), 4)


def place(world: World, number: int | None = None) -> Commands:
    """One order of some kind, in any instrument if none is given, now and then with a wrong field."""
    who = world.trader()
    if number is None:
        number = choose_instrument(world)
    command = world.signed("PLACE", who, **order_terms(world, who, number))
    if world.chance(4):
        command = spoil_field(world, command)
    yield spoiled(world, command, 2)


def hit(world: World, order_id: int) -> Commands:
    """Somebody trades against an open order, up to its last lot or less, through whatever is before it."""
    maker = world.model.orders.get(order_id)
    if maker is None:
        return
    rivals = [a.address for n, a in enumerate(world.model.accounts) if n != maker.account]
    if not rivals:
        return
    lots = 0
    for order in world.model.books[maker.instrument][maker.side]:
        lots += order.lots
        if order is maker:
            break
    yield world.signed(
        "PLACE",
        world.rng.choice(rivals),
        instrument=maker.instrument,
        side=1 - maker.side,
        time_in_force=IOC,
        lots=max(1, min(lots, LIMITS["ORDER_LOTS_MAX"]) - (maker.lots // 2 if world.chance(30) else 0)),
        price_ticks=maker.price_ticks,
    )


def _some_order(world: World) -> tuple[str, Order] | None:
    """An open order and who shall speak of it; seldom somebody else."""
    account = world.rng.choice(world.model.accounts)
    if not account.orders:
        return None
    order = account.orders[world.rng.choice(sorted(account.orders))]
    return (world.trader() if world.chance(4) else account.address), order


def replace(world: World) -> Commands:
    """Reduce (keeps its place), raise, reprice or cross; sometimes somebody else's order."""
    found = _some_order(world)
    if found is None:
        return
    rng, (who, order) = world.rng, found
    lots, price = order.lots, order.volatility_bp or order.price_ticks
    kind = rng.randrange(4)
    if kind == 0:
        lots = rng.randrange(1, lots + 1)
        if order.display_lots and lots <= order.display_lots < order.lots and world.chance(80):
            lots = rng.randrange(order.display_lots + 1, order.lots + 1)
    elif kind == 1:
        lots += rng.randrange(1, 50) if world.chance(90) else LIMITS["ORDER_LOTS_MAX"] - lots
    else:
        lots = max(1, lots + rng.randrange(-5, 6))
        price = limit(world, order.instrument, order.side)
        if order.volatility_bp:
            price = max(1, order.volatility_bp + rng.randrange(-300, 300))
    command = world.signed("REPLACE", who, order_id=order.order_id, lots=lots, price_ticks=price)
    if world.chance(5):
        command = spoil_field(world, command)
    yield spoiled(world, command, 2)


def cancel(world: World) -> Commands:
    """One open or waiting order, now and then a foreign or an unknown one."""
    rng, model = world.rng, world.model
    owner = rng.choice(model.accounts)
    order: Order | Waiting
    if owner.waiting and world.chance(20):
        order = owner.waiting[rng.choice(sorted(owner.waiting))]
    elif owner.orders:
        order = owner.orders[rng.choice(sorted(owner.orders))]
    else:
        return
    who = world.trader() if world.chance(4) else owner.address
    command = world.signed("CANCEL", who, order_id=order.order_id)
    if world.chance(4):
        command = spoil_field(world, command)
    yield spoiled(world, command, 2)


def cancel_all(world: World) -> Commands:
    """In one instrument or in all, with one label or of one group, for the trader with many orders."""
    rng, who = world.rng, world.trader()
    crowded = CROWDED[world.profile]
    accounts = world.model.accounts
    busy = [a.address for a in accounts if len(a.orders) > crowded or len(a.waiting) > crowded]
    if busy:
        who = rng.choice(busy)
    count = len(world.model.instruments)
    number = rng.randrange(count) if count and world.chance(50) else -1
    label = rng.randrange(LABELS) if world.chance(25) else 0
    group = rng.randrange(1, 5) if world.chance(15) else 0
    command = world.signed("CANCEL_ALL", who, instrument=number, label=label, group=group)
    if world.chance(10):
        command = spoil_field(world, command)
    yield spoiled(world, command, 2)
