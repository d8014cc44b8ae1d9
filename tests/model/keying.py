"""Session keys, sub-accounts and transfers of the random venue; keys whose limits an order just meets."""

from __future__ import annotations

from collections.abc import Iterator

from . import keys, margin, novation, quoting
from .dealing import block_of, random_legs
from .keys import Reach, subaccount_address
from .records import BUY, FLAGS, GTC, LIMITS, SCOPES, SELL, Account, Order, Position
from .spoiling import spoil_field, spoiled
from .terms import choose_instrument, order_terms
from .world import INT64_MAX, INT64_MIN, MINUTE, SECOND, STRANGER, WHALE, Command, World

Commands = Iterator[Command]
DOLLAR = 1_000_000
# Addresses that differ in a single byte, each in another place.
PLACES = (0, 1, 2, 3, 4, 7, 8, 11, 12, 15, 16, 19)
POOL = ["0x" + "ab" * place + "cd" + "ab" * (19 - place) for place in PLACES]
ALL = sum(SCOPES.values())
LIMITED_PERCENT = {"main": 12, "crowd": 12, "tiny": 12, "crash": 12, "desk": 45}
NO_LIMITS = dict.fromkeys(("max_notional_atoms", "max_delta_atoms", "max_vega_atoms", "rate_per_minute"), 0)


def _address(world: World, who: str) -> str:
    """Mostly one of a few keys, known to the account or not; at times an address that cannot be one."""
    rng, account = world.rng, world.account(who)
    mine = [key.address for key in account.keys.values()] if account else []
    fresh = [address for address in POOL if address not in mine]
    if mine and world.chance(25):
        return rng.choice(mine)
    if world.chance(6):
        owner = world.model.accounts[account.owner].address if account and account.owner >= 0 else who
        return rng.choice((who, owner, keys.ZERO_ADDRESS, STRANGER, world.trader()))
    return rng.choice(fresh)


def _key(world: World, who: str, address: str, **figures: int) -> Command:
    lasting = {"scope": ALL, "key_expires_ns": world.now + int(10 ** world.rng.uniform(10, 15))}
    return world.signed("AUTHORIZE_KEY", who, **(NO_LIMITS | lasting | figures)) | {"subject": address}


def authorize(world: World) -> Commands:
    """A new key or new figures for a known one, some of them tight; now and then something wrong."""
    rng, who, percent = world.rng, world.trader(), LIMITED_PERCENT[world.profile]
    account = world.account(who)
    figures = {"scope": rng.choice((ALL, ALL, rng.randrange(1, ALL + 1), 1 << rng.randrange(5)))}
    if account is not None:
        reach = keys.measure(world.model, account, rng.randrange(2))
        for name, value in zip(("notional", "delta", "vega"), _extents(reach), strict=True):
            if world.chance(percent):
                figures[f"max_{name}_atoms"] = 1 + int(value * rng.uniform(0.7, 2)) + rng.randrange(10**9)
    if world.chance(percent):
        figures["rate_per_minute"] = rng.choice((1, rng.randrange(1, 12), rng.randrange(1, 90)))
    if world.chance(20):
        figures["key_expires_ns"] = world.now + rng.randrange(1, 30 * SECOND)
    command = _key(world, who, _address(world, who), **figures)
    if world.chance(8):
        command = spoil_field(world, command)
    yield spoiled(world, command, 3)


def _extents(reach: Reach) -> tuple[int, int, int]:
    return reach.notional, max(map(abs, reach.delta)), max(map(abs, reach.vega))


def _just(world: World, reach: Reach) -> dict[str, int]:
    """Limits of one or two kinds that the reach keeps exactly, or misses by an atom."""
    names = ("max_notional_atoms", "max_delta_atoms", "max_vega_atoms")
    figures = dict(zip(names, _extents(reach), strict=True))
    chosen = world.rng.sample(names, world.rng.choice((1, 1, 2, 3)))
    return {name: min(1 << 60, max(1, figures[name] + world.rng.choice((-1, 0, 0, 1)))) for name in chosen}


def _tighten(world: World, who: str, reach: Reach) -> tuple[Command, str]:
    """The command that gives one of the account's keys these limits, and the key."""
    account = world.account(who)
    mine = [key.address for key in account.keys.values()] if account else []
    full = len(mine) == LIMITS["KEY_COUNT"]
    address = world.rng.choice(mine if mine and (full or world.chance(70)) else POOL)
    command = _key(world, who, address, **_just(world, reach))
    command["signer"] = world.signer("AUTHORIZE_KEY", who)
    return command, address


def _quiet(world: World) -> tuple[str, Account] | None:
    """A trader with few enough orders to be measured again and again."""
    who = world.trader()
    account = world.account(who)
    return (who, account) if account and len(account.orders) < 300 else None


def tight_order(world: World) -> Commands:
    """A key whose limits an order just keeps or just breaks, then that order, new or in place of another."""
    found, number = _quiet(world), choose_instrument(world)
    if found is None or number not in world.live():
        return
    rng, model, (who, account) = world.rng, world.model, found
    terms = order_terms(world, who, number)
    terms["flags"] &= FLAGS["CANCEL_MAKER"] | FLAGS["CANCEL_BOTH"]
    terms["price_ticks"] = max(1, terms["price_ticks"])
    mine = [o for o in account.orders.values() if not o.group and not o.volatility_bp]
    old = rng.choice(mine) if mine and world.chance(35) else None
    shadow = _shadow(account)
    if old is not None:
        terms |= {"instrument": old.instrument, "side": old.side}
        del shadow.orders[old.order_id]
    order = Order(0, 0, terms["instrument"], terms["side"], GTC, terms["price_ticks"], terms["lots"])
    shadow.orders[0] = order
    reach = keys.measure(model, shadow, model.instruments[order.instrument].underlying)
    command, address = _tighten(world, who, reach)
    yield command
    if old is not None:
        chosen = {"order_id": old.order_id, "lots": order.lots, "price_ticks": order.price_ticks}
        yield world.signed_by("REPLACE", who, address, **chosen)
    else:
        yield world.signed_by("PLACE", who, address, **terms)


def _shadow(account: Account) -> Account:
    """An account that may be changed to see where that would lead."""
    shadow = Account(account.address, account.cash_atoms, groups=account.groups)
    shadow.orders = dict(account.orders)
    shadow.positions = {n: Position(p.lots, p.cost_atoms) for n, p in account.positions.items()}
    return shadow


def tight_quotes(world: World) -> Commands:
    """A maker's key gets the limits that the quotes reach; the same again a tick away, then all once more."""
    rng, model = world.rng, world.model
    makers = [a for a in model.accounts if any(o.group for o in a.orders.values()) and len(a.orders) < 300]
    if not makers:
        yield from quoting.mass_quote(world)
        return
    account = rng.choice(makers)
    group = rng.choice([order.group for order in account.orders.values() if order.group])
    mine = [order for order in account.orders.values() if order.group == group]
    reach = keys.measure(model, account, account.groups[group].underlying)
    command, address = _tighten(world, account.address, reach)
    yield command
    sides = {(order.instrument, order.side): order for order in mine}
    items = []
    for number in sorted({order.instrument for order in mine}):
        bid, ask = sides.get((number, BUY)), sides.get((number, SELL))
        row = (number, bid.price_ticks if bid else 0, bid.lots if bid else 0)
        items.append((*row, ask.price_ticks if ask else 0, ask.lots if ask else 0))
    moved = [(n, max(1, bid - rng.randrange(2)), b, ask + 1, a) for n, bid, b, ask, a in items]
    for chosen in (rng.choice((items, moved)), moved)[: rng.choice((1, 2))]:
        command = world.signed_by("MASS_QUOTE", account.address, address, group=group)
        yield command | {"items": chosen[: LIMITS["QUOTE_COUNT_MAX"]]}


def tight_block(world: World) -> Commands:
    """A key whose limits a block just keeps or just breaks, for either side."""
    found, model = _quiet(world), world.model
    others = [a.address for a in model.accounts if a.address not in world.promised]
    legs = random_legs(world, world.rng.randrange(1, 4))
    if found is None or not legs:
        return
    who, account = found
    other = world.rng.choice(others)
    sign = world.rng.choice((1, -1))
    shadow = _shadow(account)
    for number, side, lots, price in legs:
        instrument = model.instruments[number]
        signed_lots = sign * lots * (1 if side == BUY else -1)
        novation.trade(model, shadow, number, signed_lots, instrument.limit_atoms(price))
    reach = keys.measure(model, shadow, model.instruments[legs[0][0]].underlying)
    command, address = _tighten(world, who, reach)
    yield command
    if sign > 0:
        yield block_of(world, who, other, legs, signer=address)
    else:
        yield block_of(world, other, who, legs, cosigner=address)


def revoke(world: World) -> Commands:
    """One of an account's keys, rather an expired one; at times one that it has not."""
    rng, now = world.rng, world.now
    keyed = [account for account in world.model.accounts if account.keys]
    if not keyed:
        return
    account = rng.choice(keyed)
    late = [key.address for key in account.keys.values() if key.key_expires_ns <= now]
    address = rng.choice(late or [key.address for key in account.keys.values()])
    if world.chance(8):
        address = rng.choice((STRANGER, account.address, rng.choice(POOL)))
    command = world.signed("REVOKE_KEY", account.address) | {"subject": address}
    yield spoiled(world, command, 4)
    if world.accepted() and world.chance(40):
        yield _key(world, account.address, rng.choice((address, rng.choice(POOL))))
        fresh = [key.address for key in account.keys.values() if key.nonce == account.retired_nonce]
        if fresh:
            used = {"nonce": account.retired_nonce + rng.choice((0, 0, 1))}
            yield world.signed_by("CANCEL", account.address, rng.choice(fresh), order_id=1, **used)


def on_time(world: World) -> Commands:
    """A key sends something in the nanosecond in which it expires or its minute is over, or just before."""
    rows = [
        (then, account.address, key.address)
        for account in world.model.accounts
        for key in account.keys.values()
        for then in (key.key_expires_ns, key.window_start_ns + MINUTE if key.rate_per_minute else 0)
        if world.now < then <= world.now + 5 * SECOND
    ]
    if not rows:
        return
    then, who, address = min(rows)
    world.now = max(world.now, then - world.rng.choice((0, 1)))
    yield from _by_key(world, who, address)


def _by_key(world: World, who: str, address: str) -> Commands:
    """Something that a key may do, signed by it."""
    rng = world.rng
    if world.chance(40):
        yield world.signed_by("CANCEL", who, address, order_id=rng.randrange(1, 9))
    elif world.chance(30):
        yield world.signed_by("CANCEL_ALL", who, address, instrument=-1, label=1, group=0)
    else:
        yield world.signed_by("PLACE", who, address, **order_terms(world, who, choose_instrument(world)))


def hurry(world: World) -> Commands:
    """A key with a limit sends more than it may in a minute."""
    keyed = [(a, k) for a in world.model.accounts for k in a.keys.values() if 0 < k.rate_per_minute < 20]
    if not keyed:
        return
    account, key = world.rng.choice(keyed)
    for _ in range(key.rate_per_minute + 1):
        world.pass_time(world.rng.randrange(SECOND) if world.chance(50) else 0)
        yield from _by_key(world, account.address, key.address)
    if world.chance(60):
        figures = {"key_expires_ns": max(key.key_expires_ns, world.now + SECOND), "scope": key.scope | 3}
        yield _key(world, account.address, key.address, rate_per_minute=key.rate_per_minute, **figures)
        yield from _by_key(world, account.address, key.address)


def subaccount(world: World) -> Commands:
    """A sub-account, at times one that somebody has paid into before; mostly with some money then."""
    rng = world.rng
    owners = [a.address for a in world.model.accounts if a.owner < 0 and a.address not in world.promised]
    who = rng.choice(owners) if world.chance(90) else world.trader()
    number = rng.randrange(1, 4)
    if world.promised and world.chance(80):
        who, number = rng.choice(sorted(world.promised.values()))
    address = subaccount_address(who, number)
    if world.chance(30) and world.account(address) is None:
        world.promised[address] = who, number
        cursor = world.model.house.deposit_cursor + 1
        yield world.command("DEPOSIT", address, cursor=cursor, amount_atoms=DOLLAR * rng.randrange(1, 10**6))
        if not world.accepted():
            del world.promised[address]
        elif world.chance(20):
            return
    command = world.signed("CREATE_SUBACCOUNT", who, subaccount=number)
    if world.chance(12):
        command = spoil_field(world, command)
    yield spoiled(world, command, 4)
    created = world.account(address)
    if created is not None and created.owner >= 0:
        world.promised.pop(address, None)
    if world.accepted() and world.chance(80):
        yield world.signed("TRANSFER", who, amount_atoms=DOLLAR * rng.randrange(1, 200_000)) | {
            "subject": address
        }


def transfer(world: World) -> Commands:
    """Money between accounts of one owner: a little, all that can be spared or an atom more."""
    rng, model = world.rng, world.model
    subs = [account for account in model.accounts if account.owner >= 0]
    if not subs:
        return
    sub = rng.choice(subs)
    family = [model.accounts[sub.owner]] + [a for a in subs if a.owner == sub.owner]
    giver, receiver = rng.choice(family), rng.choice(family).address
    if world.chance(8):
        receiver = rng.choice((world.trader(), STRANGER, giver.address))
    equity, unrealised, initial, _ = margin.summary(model, giver)
    free = equity - max(0, unrealised) - initial
    amount = DOLLAR * int(10 ** rng.uniform(0, 5))
    kind = rng.randrange(9)
    if kind < 2 and giver.address != WHALE:
        amount = max(1, free // rng.choice((1, 1, 2, 5))) + rng.choice((0, 0, 1))
    elif kind == 2:
        amount = giver.cash_atoms + rng.choice((0, 1))
        if giver.address == WHALE or world.chance(50):
            amount = giver.cash_atoms + 1
    elif kind == 3:
        amount = rng.choice((0, -1, INT64_MIN, INT64_MAX, LIMITS["CASH_ATOMS_MAX"]))
    yield spoiled(
        world, world.signed("TRANSFER", giver.address, amount_atoms=amount) | {"subject": receiver}, 4
    )
