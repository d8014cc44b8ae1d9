"""What the random traders do: deposits, withdrawals, orders; mostly sensible, at times wrong in one field."""

from __future__ import annotations

from collections.abc import Iterator

from . import margin
from .records import BUY, GTC, IOC, LIMITS, POST_ONLY, SELL, Order
from .world import INT64_MAX, INT64_MIN, STRANGER, WHALE, Command, World

Commands = Iterator[Command]
DOLLAR = 1_000_000
CROWDED = {"main": 25, "crowd": 25, "tiny": 9}


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
    if world.chance(12):
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


def spoiled(world: World, command: Command, percent: float) -> Command:
    """The command, or in `percent` of cases one whose authentication or time is wrong."""
    if not world.chance(percent):
        return command
    rng = world.rng
    kind = rng.randrange(6)
    if kind == 0:
        command["signer"] = STRANGER
    elif kind == 1:
        command["expires_ns"] = rng.choice((world.now, world.now - 1, 0, INT64_MIN))
    elif kind == 2:
        command["nonce"] = rng.choice((command["nonce"] - 1, 0, -1, INT64_MIN))
    elif kind == 3:
        command["time_ns"] = rng.choice((world.now - 1, 0, INT64_MIN)) if world.sequence else world.now
    elif kind == 4:
        command["expires_ns"] = world.now + 1
    else:
        command["nonce"] += rng.randrange(5)
    return command


def _spoil_order(world: World, command: Command) -> Command:
    """Put one field of a PLACE or REPLACE out of its range."""
    rng = world.rng
    lots = (0, -1, INT64_MIN, LIMITS["ORDER_LOTS_MAX"] + 1, INT64_MAX)
    prices = (0, -1, INT64_MIN, LIMITS["PRICE_TICKS_MAX"] + 1, INT64_MAX, LIMITS["PRICE_TICKS_MAX"])
    fields = {"lots": lots, "price_ticks": prices}
    if command["kind"] == "PLACE":
        count = len(world.model.instruments)
        fields["instrument"] = (-1, count, INT64_MAX, INT64_MIN, rng.randrange(max(1, count)))
        fields["side"] = (2, -1, INT64_MAX)
        fields["time_in_force"] = (3, -1, INT64_MIN)
    else:
        fields["order_id"] = (0, -1, INT64_MAX, INT64_MIN, world.model.house.next_order_id)
    name = rng.choice(list(fields))
    command[name] = rng.choice(fields[name])
    return command


def _size(world: World) -> int:
    lots = int(10 ** world.rng.uniform(0, 2.6))
    if world.chance(2):
        lots = int(10 ** world.rng.uniform(2, 6))
    return lots


def _limit(world: World, number: int, side: int) -> int:
    """Through the best opposite order, at it, or on the own side of the mark."""
    rng, instrument = world.rng, world.model.instruments[number]
    opposite = world.model.books[number][1 - side]
    sign = 1 if side == BUY else -1
    fair = world.fair_ticks(instrument)
    if opposite and world.chance(50):
        depth = min(len(opposite), rng.choice((1, 1, 2, 4))) - 1
        price = opposite[depth].price_ticks + sign * rng.choice((0, 0, 0, 1, 5))
    else:
        price = (
            fair - sign * int(rng.expovariate(1) * max(1.0, fair * 0.004)) + sign * rng.choice((0, 0, 0, 1))
        )
    if world.chance(1):
        price = rng.choice((1, 2, fair * 2, LIMITS["PRICE_TICKS_MAX"]))
    return max(1, min(price, LIMITS["PRICE_TICKS_MAX"]))


def place(world: World) -> Commands:
    """One order, rather reducing a position than growing it; sometimes sized by the margin that is left."""
    rng, who = world.rng, world.trader()
    live = world.live()
    if not live:
        live = [rng.randrange(-1, len(world.model.instruments) + 1)]
    number = rng.choice(live)
    if world.model.instruments and world.chance(3):
        number = rng.randrange(max(0, len(world.model.instruments) - 20), len(world.model.instruments))
    known = 0 <= number < len(world.model.instruments)
    account = world.account(who)
    side = rng.choice((BUY, SELL))
    if account and number in account.positions and world.chance(40):
        side = SELL if account.positions[number].lots > 0 else BUY
    price = _limit(world, number, side) if known and live else 1
    lots = _size(world)
    if known and account and account.address != WHALE and world.chance(1.5):
        lots = _boundary_lots(world, who, number, side, price)
    command = world.signed(
        "PLACE",
        who,
        instrument=number,
        side=side,
        time_in_force=rng.choice((GTC, GTC, GTC, IOC, IOC, POST_ONLY)),
        lots=lots,
        price_ticks=price,
    )
    if world.chance(3):
        command = _spoil_order(world, command)
    yield spoiled(world, command, 2)


def _boundary_lots(world: World, who: str, number: int, side: int, price: int) -> int:
    """The largest order that the margin lets through, or one lot more, by bisection."""
    model, account = world.model, world.account(who)
    if account is None or model.instruments[number].mark_atoms < 0:
        return 1
    low, high = 0, LIMITS["ORDER_LOTS_MAX"]
    while low < high:
        lots = (low + high + 1) // 2
        account.orders[0] = Order(0, 0, number, side, GTC, price, lots, -1, 0)
        if margin.passes(model, account):
            low = lots
        else:
            high = lots - 1
        del account.orders[0]
    return max(1, low + world.rng.choice((0, 1)))


def _some_order(world: World) -> tuple[str, Order] | None:
    if not world.model.orders:
        return None
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
    lots, price = order.lots, order.price_ticks
    kind = rng.randrange(4)
    if kind == 0:
        lots = rng.randrange(1, lots + 1)
    elif kind == 1:
        lots += rng.randrange(1, 50) if world.chance(90) else LIMITS["ORDER_LOTS_MAX"] - lots
    else:
        lots = max(1, lots + rng.randrange(-5, 6))
        price = _limit(world, order.instrument, order.side)
    command = world.signed("REPLACE", who, order_id=order.order_id, lots=lots, price_ticks=price)
    if world.chance(5):
        command = _spoil_order(world, command)
    yield spoiled(world, command, 2)


def cancel(world: World) -> Commands:
    """One open order, now and then a foreign or an unknown one."""
    found = _some_order(world)
    if found is None:
        return
    who, order = found
    order_id = order.order_id
    if world.chance(4):
        order_id = world.rng.choice(
            (0, -1, INT64_MAX, world.rng.randrange(1, world.model.house.next_order_id + 1))
        )
    yield spoiled(world, world.signed("CANCEL", who, order_id=order_id), 2)


def cancel_all(world: World) -> Commands:
    """In one instrument or in all, for the trader with many orders."""
    rng, who = world.rng, world.trader()
    busy = [
        account.address for account in world.model.accounts if len(account.orders) > CROWDED[world.profile]
    ]
    if busy:
        who = rng.choice(busy)
    count = len(world.model.instruments)
    number = rng.randrange(count) if count and world.chance(50) else -1
    if world.chance(10):
        number = rng.choice((count, -2, INT64_MAX, INT64_MIN))
    yield spoiled(world, world.signed("CANCEL_ALL", who, instrument=number), 2)


def crowd(world: World) -> Commands:
    """The whale fills its table of open orders, one lot each, on few levels far below the mark."""
    yield from _clear_whale(world)
    account, live = world.account(WHALE), world.live()
    if account is None or not live:
        return
    for _ in range(LIMITS["OPEN_ORDER_COUNT_MAX"] + 3 - len(account.orders)):
        world.pass_time(1000)
        yield world.signed(
            "PLACE",
            WHALE,
            instrument=live[0],
            side=BUY,
            time_in_force=GTC,
            lots=1,
            price_ticks=world.rng.randrange(1, 9),
        )
    yield from _clear_whale(world)


def fill_gross(world: World) -> Commands:
    """The whale's open orders reach the gross limit of one underlying, exactly or by one lot more."""
    account, live = world.account(WHALE), world.live()
    if account is None or not live:
        return
    number = world.rng.choice(live)
    side = world.rng.choice((BUY, SELL))
    price = 1 if side == BUY else LIMITS["PRICE_TICKS_MAX"]
    underlying = world.model.instruments[number].underlying
    for _ in range(18):
        room = LIMITS["GROSS_LOTS_MAX"] - margin.gross_lots(world.model, account, underlying)
        lots = max(1, min(LIMITS["ORDER_LOTS_MAX"], room + world.rng.choice((0, 1))))
        yield world.signed(
            "PLACE", WHALE, instrument=number, side=side, time_in_force=GTC, lots=lots, price_ticks=price
        )
    yield from _clear_whale(world)


def _clear_whale(world: World) -> Commands:
    yield world.signed("CANCEL_ALL", WHALE, instrument=-1)
