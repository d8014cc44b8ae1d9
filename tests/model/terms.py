"""The terms of one random order: side, size, price, time in force and options that mostly fit each other."""

from __future__ import annotations

from . import margin, matching
from .records import BUY, CALL, FLAGS, FOK, GTC, IOC, LIMITS, POST_ONLY, PUT, SELL, Account, Order
from .world import SECOND, WHALE, World

Terms = dict[str, int]
STYLES = {"plain": 52, "market": 9, "sweep": 7, "fok": 8, "iceberg": 10, "volatility": 9}
LINKS = 30
LABELS = 5
COMBO_PERCENT = {"main": 8, "crowd": 5, "tiny": 10, "crash": 12, "desk": 40}


def choose_instrument(world: World) -> int:
    """One that can be traded, now and then any other."""
    rng, count = world.rng, len(world.model.instruments)
    live = world.live() or [rng.randrange(-1, count + 1)]
    combos = [n for n in live if 0 <= n < count and world.model.instruments[n].legs]
    if combos and world.chance(COMBO_PERCENT[world.profile]):
        return rng.choice(combos)
    if count and world.chance(3):
        return rng.randrange(max(0, count - 20), count)
    return rng.choice(live)


def choose_single(world: World) -> int:
    """Almost always one that is not a combo: for orders that wait."""
    number = choose_instrument(world)
    while 0 <= number < len(world.model.instruments) and world.model.instruments[number].legs:
        if world.chance(3):
            break
        number = choose_instrument(world)
        if all(world.model.instruments[n].legs for n in world.live()):
            break
    return number


def choose_side(world: World, account: Account | None, number: int) -> int:
    """Rather reducing a position than growing it."""
    if account and number in account.positions and world.chance(40):
        return SELL if account.positions[number].lots > 0 else BUY
    return world.rng.choice((BUY, SELL))


def size(world: World) -> int:
    """A few to some hundred lots, seldom up to a million."""
    lots = int(10 ** world.rng.uniform(0, 2.6))
    if world.chance(2):
        lots = int(10 ** world.rng.uniform(2, 6))
    return lots


def limit(world: World, number: int, side: int) -> int:
    """Through the best opposite order, at it, or on the own side of the mark."""
    rng, instrument = world.rng, world.model.instruments[number]
    opposite = world.model.books[number][1 - side]
    sign = 1 if side == BUY else -1
    fair = world.fair_ticks(instrument)
    scale = abs(fair - LIMITS["COMBO_TICK_OFFSET"]) if instrument.legs else fair
    if opposite and world.chance(50):
        depth = min(len(opposite), rng.choice((1, 1, 2, 4))) - 1
        price = opposite[depth].price_ticks + sign * rng.choice((0, 0, 0, 1, 5))
    else:
        price = (
            fair - sign * int(rng.expovariate(1) * max(1.0, scale * 0.004)) + sign * rng.choice((0, 0, 0, 1))
        )
    if world.chance(1):
        price = rng.choice((1, 2, fair * 2, LIMITS["PRICE_TICKS_MAX"]))
    return max(1, min(price, LIMITS["PRICE_TICKS_MAX"]))


def boundary_lots(world: World, account: Account, number: int, side: int, price: int) -> int:
    """The largest order that the margin lets through, or one lot more, by bisection."""
    model = world.model
    if not model.instruments[number].has_mark:
        return 1
    low, high = 0, LIMITS["ORDER_LOTS_MAX"]
    while low < high:
        lots = (low + high + 1) // 2
        account.orders[0] = Order(0, 0, number, side, GTC, price, lots)
        if margin.passes(model, account):
            low = lots
        else:
            high = lots - 1
        del account.orders[0]
    return max(1, low + world.rng.choice((0, 1)))


def order_terms(world: World, who: str, number: int) -> Terms:
    """Every field of PLACE but the signature's."""
    rng, account = world.rng, world.account(who)
    known = 0 <= number < len(world.model.instruments)
    side = choose_side(world, account, number)
    terms = {
        "instrument": number,
        "side": side,
        "time_in_force": rng.choice((GTC, GTC, GTC, GTC, IOC, IOC, POST_ONLY)),
        "lots": size(world),
        "price_ticks": limit(world, number, side) if known else 1,
        "flags": _stance(world, account, number),
        "display_lots": 0,
        "valid_until_ns": 0,
        "label": rng.randrange(LABELS) if world.chance(30) else 0,
        "link": 0,
    }
    style = rng.choices(list(STYLES), list(STYLES.values()))[0]
    if known and style != "plain":
        _style(world, terms, style, account)
    elif known and account and who != WHALE and world.chance(1):
        terms["lots"] = boundary_lots(world, account, number, side, terms["price_ticks"])
    if terms["time_in_force"] in (GTC, POST_ONLY):
        if world.chance(8):
            terms["valid_until_ns"] = world.now + int(10 ** rng.uniform(6, 10.5))
        if world.chance(6):
            terms["link"] = rng.randrange(1, LINKS)
    return terms


def _stance(world: World, account: Account | None, number: int) -> int:
    """The flags that any order may carry: what to do on meeting an own order, and only reducing."""
    flags = 0
    if world.chance(18):
        flags |= world.rng.choice((FLAGS["CANCEL_MAKER"], FLAGS["CANCEL_MAKER"], FLAGS["CANCEL_BOTH"]))
    if world.chance(14 if account and number in account.positions else 1):
        flags |= FLAGS["REDUCE_ONLY"]
    return flags


def _style(world: World, terms: Terms, style: str, account: Account | None) -> None:
    """Make the order one of the kinds of matching.md."""
    rng = world.rng
    if style == "market":
        terms["flags"] |= FLAGS["MARKET"]
        terms["time_in_force"], terms["price_ticks"] = rng.choice((IOC, IOC, FOK)), 0
    elif style == "sweep":
        terms["time_in_force"] = rng.choice((IOC, GTC))
        _sweep(world, terms)
    elif style == "fok":
        terms["time_in_force"] = FOK
        _sweep(world, terms)
        taker = Order(0, world.model.numbers.get(account.address, 0) if account else 0, **terms)
        there = matching.fillable_lots(world.model, taker)
        if world.chance(70) and there:
            terms["lots"] = max(1, there + rng.choice((-1, 0, 0, 1)))
    elif style == "iceberg":
        terms["time_in_force"] = rng.choice((GTC, GTC, POST_ONLY))
        terms["lots"] = max(2, min(terms["lots"], LIMITS["ORDER_LOTS_MAX"]))
        terms["display_lots"] = rng.randrange(-(-terms["lots"] // 10), terms["lots"])
        if world.chance(50):
            terms["display_lots"] = -(-terms["lots"] // 10)
    elif world.model.instruments[terms["instrument"]].kind in (CALL, PUT):
        terms["flags"] |= FLAGS["VOLATILITY"]
        terms["price_ticks"] = min(50_000, max(1, int(rng.gauss(5_500, 400))))
        if world.chance(3):
            terms["price_ticks"] = rng.choice((1, 50_000, 20_000))


def _sweep(world: World, terms: Terms) -> None:
    """Size and price that reach through several orders, all their hidden lots or only some."""
    opposite = world.model.books[terms["instrument"]][1 - terms["side"]]
    chosen = opposite[: world.rng.randrange(1, 6)]
    if chosen:
        lots = sum(order.lots for order in chosen) - world.rng.choice((0, 0, 1, chosen[-1].lots // 2))
        terms["lots"] = max(1, min(lots, LIMITS["ORDER_LOTS_MAX"]))
        terms["price_ticks"] = chosen[-1].price_ticks


def soon(world: World) -> int:
    """A time between some milliseconds and a minute from now."""
    return world.now + int(world.rng.uniform(0.005, 60) * SECOND)
