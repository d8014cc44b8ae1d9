"""What the random traders leave to the venue: triggers, brackets, links, timers, disconnects."""

from __future__ import annotations

from collections.abc import Iterator

from .quoting import take_quotes
from .records import BUY, CONDITIONS, FLAGS, GTC, IOC, LIMITS, POST_ONLY, REFERENCES, SELL
from .spoiling import spoil_field, spoiled
from .terms import LINKS, Terms, choose_instrument, choose_single, order_terms, size, soon
from .trading import hit
from .world import DAY, SECOND, Command, World

Commands = Iterator[Command]
NONE, INDEX, MARK, LAST = (REFERENCES[name] for name in ("NONE", "INDEX", "MARK", "LAST"))
ABOVE, BELOW = CONDITIONS["ABOVE"], CONDITIONS["BELOW"]


def _condition_terms(world: World, number: int, parent_id: int) -> Terms:
    """Reference, condition and a threshold or a distance near the present price."""
    rng, model = world.rng, world.model
    known = 0 <= number < len(model.instruments)
    if not known or (parent_id and world.chance(50)):
        return {"reference": NONE, "condition": rng.choice((ABOVE, BELOW)), "parent_id": parent_id}
    instrument = model.instruments[number]
    reference = rng.choice((INDEX, MARK, LAST))
    price = {
        INDEX: model.underlyings[instrument.underlying].index_atoms,
        MARK: instrument.mark_atoms,
        LAST: (instrument.last_ticks or world.fair_ticks(instrument)) * instrument.tick_atoms,
    }[reference]
    distance = int(price * rng.gauss(0, 0.003 if reference == INDEX or instrument.expiry_ns == 0 else 0.03))
    if reference == LAST:
        distance -= distance % instrument.tick_atoms
    elif world.chance(10):
        distance = 0
    terms = {"reference": reference, "condition": ABOVE if distance > 0 else BELOW, "parent_id": parent_id}
    if world.chance(15):
        terms["condition"] = rng.choice((ABOVE, BELOW))
    if world.chance(30):
        return terms | {"trail_atoms": max(1, abs(distance))}
    return terms | {"trigger_atoms": max(1, price + distance)}


def _waiting(world: World, who: str, number: int, parent_id: int, **changes: int) -> Command:
    terms = order_terms(world, who, number) | _condition_terms(world, number, parent_id) | changes
    return world.signed("PLACE_TRIGGER", who, **terms)


def trigger(world: World) -> Commands:
    """One waiting order, at times the child of any order of the account, now and then with a wrong field."""
    rng, who, number = world.rng, world.trader(), choose_single(world)
    account, parent_id = world.account(who), 0
    if account and world.chance(25):
        mine = sorted(account.orders) + sorted(account.waiting)
        parent_id = rng.choice(mine) if mine and world.chance(95) else rng.randrange(1, 1000)
    command = _waiting(world, who, number, parent_id)
    if world.chance(12):
        command = spoil_field(world, command)
    yield spoiled(world, command, 2)


def bracket(world: World) -> Commands:
    """An order, its children (linked: one cancels the other) and perhaps theirs; then often its fill."""
    rng, who, number = world.rng, world.trader(), choose_single(world)
    terms = order_terms(world, who, number)
    terms["time_in_force"] = rng.choice((GTC, POST_ONLY, POST_ONLY))
    terms["flags"] &= ~FLAGS["MARKET"]
    terms["lots"] = max(2, terms["lots"] % 100)
    terms["display_lots"] = 0
    terms["price_ticks"] = max(
        1, terms["price_ticks"] + rng.choice((0, -1, -3) if terms["side"] == BUY else (0, 1, 3))
    )
    yield world.signed("PLACE", who, **terms)
    if not world.accepted():
        return
    parent_id = world.told[0]["order_id"]
    link = rng.randrange(1, LINKS) if world.chance(70) else 0
    ids = [parent_id]
    for _ in range(rng.randrange(1, 4)):
        chosen = parent_id if world.chance(80) else rng.choice(ids)
        changes = {"side": 1 - terms["side"], "lots": terms["lots"]}
        if world.chance(40):
            changes |= {"flags": FLAGS["REDUCE_ONLY"], "display_lots": 0}
        if link and world.chance(80):
            changes |= {"link": link, "time_in_force": GTC, "display_lots": 0, "flags": 0}
        if changes.get("flags") is not None:
            changes["price_ticks"] = max(1, terms["price_ticks"] + rng.randrange(-6, 7))
        yield _waiting(world, who, number, chosen, **changes)
        if world.accepted():
            ids.append(world.told[0]["order_id"])
    if world.chance(60):
        yield from hit(world, parent_id)


def either_or(world: World) -> Commands:
    """Open and waiting orders of one link, in one or several instruments; then often a fill of one."""
    rng, who = world.rng, world.trader()
    link, ids = rng.randrange(1, LINKS), []
    for _ in range(rng.randrange(2, 4)):
        number = choose_single(world) if world.chance(70) else choose_instrument(world)
        terms = order_terms(world, who, number)
        if terms["flags"] & FLAGS["MARKET"]:
            continue
        terms |= {"link": link, "time_in_force": GTC}
        if world.chance(60):
            yield world.signed("PLACE", who, **terms)
        else:
            yield world.signed("PLACE_TRIGGER", who, **(terms | _condition_terms(world, number, 0)))
        if world.accepted():
            ids.append(world.told[0]["order_id"])
    if ids and world.chance(50):
        yield from hit(world, rng.choice(ids))


def unhide(world: World) -> Commands:
    """One account's icebergs on a level, then a taker that sees several slices renewed."""
    rng, number = world.rng, choose_instrument(world)
    last = 0
    for _ in range(rng.randrange(1, 3)):
        who = world.trader()
        terms = order_terms(world, who, number)
        lots = max(4, min(size(world), 300))
        terms |= {"lots": lots, "display_lots": -(-lots // 10), "time_in_force": GTC}
        if terms["flags"] & FLAGS["MARKET"]:
            continue
        yield world.signed("PLACE", who, **terms)
        last = world.told[0]["order_id"]
    yield from hit(world, last)


def good_till_date(world: World) -> Commands:
    """An order that ends soon, then perhaps the TICK that ends it."""
    who, number = world.trader(), choose_instrument(world)
    terms = order_terms(world, who, number) | {"valid_until_ns": soon(world), "time_in_force": GTC}
    terms["flags"] &= ~FLAGS["MARKET"]
    terms["price_ticks"] = max(1, terms["price_ticks"])
    yield spoiled(world, world.signed("PLACE", who, **terms), 2)


def outlive_position(world: World) -> Commands:
    """An order that only reduces rests while its position shrinks, or goes; then somebody meets it."""
    rng, who = world.rng, world.trader()
    account, live = world.account(who), set(world.live())
    held = [number for number in account.positions if number in live] if account else []
    if account is None or not held:
        return
    number = rng.choice(held)
    position = account.positions[number]
    lots = min(abs(position.lots), LIMITS["ORDER_LOTS_MAX"])
    terms = order_terms(world, who, number)
    terms |= {"side": SELL if position.lots > 0 else BUY, "time_in_force": GTC, "lots": lots}
    terms |= {
        "flags": FLAGS["REDUCE_ONLY"],
        "display_lots": 0,
        "price_ticks": world.fair_ticks(world.model.instruments[number]),
    }
    yield world.signed("PLACE", who, **terms)
    resting = world.told[0]["order_id"]
    closing = {
        "instrument": number,
        "side": terms["side"],
        "lots": max(1, lots - rng.choice((0, 0, 1, lots // 2))),
    }
    yield world.signed(
        "PLACE",
        who,
        time_in_force=IOC,
        price_ticks=0,
        flags=FLAGS["MARKET"] | FLAGS["REDUCE_ONLY"],
        **closing,
    )
    yield from hit(world, resting)


def protect(world: World) -> Commands:
    """A dead man's time-out and the wish to be cancelled on disconnect, in and out of range."""
    rng, who = world.rng, world.trader()
    timeout_ns = rng.choice((0, 0, SECOND, rng.randrange(SECOND, 60 * SECOND), DAY))
    wish = rng.choice((0, 1))
    command = world.signed("PROTECT", who, timeout_ns=timeout_ns, cancel_on_disconnect=wish)
    if world.chance(15):
        command = spoil_field(world, command)
    yield spoiled(world, command, 3)


def disconnect(world: World) -> Commands:
    """A connection is gone, of an account that cares or not."""
    command = world.command("DISCONNECT", "", target=world.rng.randrange(len(world.model.accounts)))
    if world.chance(10):
        command = spoil_field(world, command)
    yield command


def on_time(world: World) -> Commands:
    """The very nanosecond at which an order's date, a dead man's switch or a window is over: a TICK, or
    somebody who trades against the group whose window it is.
    """
    model = world.model
    due = [(order.valid_until_ns, "", 0) for order in (*model.orders.values(), *model.waiting.values())]
    due += [(account.dead_man_ns, "", 0) for account in model.accounts]
    for account in model.accounts:
        for number, group in account.groups.items():
            due.append((group.window_start_ns + group.window_ns, account.address, number))
    due = [row for row in due if world.now < row[0] <= world.now + 60 * SECOND]
    if due:
        world.now, address, number = min(due)
        if not address or world.chance(50):
            yield world.command("TICK", "")
        if address:
            yield from take_quotes(world, address, number)


def take_all(world: World) -> Commands:
    """A market order of IOC through a whole side, so that whatever stands there is met."""
    who, number = world.trader(), choose_instrument(world)
    terms = order_terms(world, who, number)
    terms |= {"time_in_force": IOC, "price_ticks": 0, "display_lots": 0, "valid_until_ns": 0, "link": 0}
    terms["flags"] = FLAGS["MARKET"] | terms["flags"] & FLAGS["CANCEL_MAKER"]
    yield world.signed("PLACE", who, **terms)
