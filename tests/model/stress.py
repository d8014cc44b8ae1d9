"""What goes wrong in the random venue: thin accounts, jumps, rescues, backstops, a fund that runs dry."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from . import dealing, feeds, margin, quoting, trading
from .records import BUY, CALL, E6, FLAGS, GTC, IOC, LIMITS, POST_ONLY, PUT, REFERENCES, SELL, STAGES, Account
from .spoiling import spoil_field, spoiled
from .terms import boundary_lots
from .world import DAY, INT64_MAX, INT64_MIN, MINUTE, OPERATOR, SECOND, START_ATOMS, WHALE, Command, World

Commands = Iterator[Command]
DOLLAR = 1_000_000
THIN_ATOMS = 500 * DOLLAR


def troubled(world: World) -> list[Account]:
    """The accounts in liquidation."""
    return [a for a in world.model.accounts if a.liquidation_stage != STAGES["NONE"]]


def _give(world: World, who: str, amount: int) -> Command:
    cursor = world.model.house.deposit_cursor + 1
    return world.command("DEPOSIT", who, cursor=cursor, amount_atoms=amount)


def lever(world: World) -> Commands:
    """A trader takes nearly all the risk its margin lets it have, in up to four instruments, and withdraws
    most of what is left.
    """
    live = world.live()
    account = world.rng.choice(world.model.accounts)
    if account.address == WHALE or account.liquidation_stage != STAGES["NONE"] or not live:
        return
    yield from _strain(world, account, world.rng.sample(live, min(len(live), world.rng.randrange(1, 5))))


def ruin(world: World) -> Commands:
    """An account without positions takes a large one, often in what expires next; the price jumps, mostly
    against it.
    """
    rng, model, live = world.rng, world.model, world.live()
    clean = [a for a in model.accounts if a.address != WHALE and not a.positions]
    clean = [a for a in clean if a.liquidation_stage == STAGES["NONE"]]
    if not clean or not live:
        return
    account, number = rng.choice(clean), rng.choice(live)
    if world.chance(50):
        number = min(live, key=lambda n: model.instruments[n].expiry_ns or INT64_MAX)
    yield from _strain(world, account, [number])
    instrument = model.instruments[number]
    position = account.positions.get(number)
    if position is not None:
        falls = position.lots * instrument.delta_atoms > 0
        yield from jump(world, (instrument.underlying,), [not falls if world.chance(80) else falls] * 2)


def corner(world: World) -> Commands:
    """A clean account sells an option; its price will leap, and the only offer left is about as high: one
    slice closes all, for more than the account has.
    """
    rng, model = world.rng, world.model
    clean = [a for a in model.accounts if not a.positions and a.liquidation_stage == STAGES["NONE"]]
    options = [n for n in world.live() if model.instruments[n].kind in (CALL, PUT)]
    if not clean or not options:
        return
    account, number = rng.choice(clean), rng.choice(options)
    yield from _strain(world, account, [number], SELL)
    instrument, position = model.instruments[number], account.positions.get(number)
    if position is None or position.lots > 0 or account.address == WHALE:
        return
    chosen = {"underlying": instrument.underlying, "slice_notional_atoms": (1 << 40) - 1}
    yield world.signed("SET_SLICE", OPERATOR, **chosen)
    move = rng.uniform(0.2, 0.45) * (1 if instrument.delta_atoms > 0 else -1)
    asks = min(sum(order.lots for order in model.books[number][SELL]), LIMITS["ORDER_LOTS_MAX"])
    terms = {"instrument": number, "flags": FLAGS["MARKET"], "time_in_force": IOC}
    yield world.signed("PLACE", WHALE, side=BUY, lots=max(1, asks), price_ticks=0, **terms)
    price = (instrument.mark_atoms + int(instrument.delta_atoms * move)) // instrument.tick_atoms
    terms = {"instrument": number, "time_in_force": GTC, "price_ticks": max(1, price)}
    yield world.signed("PLACE", WHALE, side=SELL, lots=-position.lots, **terms)
    world.spot[instrument.underlying] = int(world.spot[instrument.underlying] * (1 + move))
    yield from _mark(world, (0, 1))


def _strain(world: World, account: Account, numbers: list[int], side: int | None = None) -> Commands:
    rng, who = world.rng, account.address
    if account.cash_atoms < THIN_ATOMS:
        yield _give(world, who, max(0, -account.cash_atoms) + DOLLAR * int(10 ** rng.uniform(3, 6)))
    yield world.signed("CANCEL_ALL", who, instrument=-1, label=0, group=0)
    for number in numbers:
        yield from _take_all_it_can(world, account, number, rng.choice((BUY, SELL)) if side is None else side)
    equity, unrealised, initial, _ = margin.summary(world.model, account)
    free = min(account.cash_atoms, equity - max(0, unrealised) - initial)
    if free > 1 and world.chance(80):
        yield world.signed("WITHDRAW", who, amount_atoms=int(free * rng.uniform(0.8, 1)))


def _take_all_it_can(world: World, account: Account, number: int, side: int) -> Commands:
    """Somebody offers plenty near the mark; the account takes most of what its margin allows."""
    rng, model = world.rng, world.model
    fair = world.fair_ticks(model.instruments[number])
    price = min(max(1, fair + (rng.choice((0, 1, 2)) if side == BUY else -rng.choice((0, 1, 2)))), 262_143)
    lots = min(boundary_lots(world, account, number, side, price), 1 << 18)
    lots = max(1, int(lots * rng.choice((0.3, 0.6, 0.9, 0.99))))
    rivals = [a.address for a in model.accounts if a is not account]
    maker = WHALE if world.chance(60) else rng.choice(rivals)
    terms = {"instrument": number, "price_ticks": price, "lots": lots}
    yield world.signed("PLACE", maker, side=1 - side, time_in_force=GTC, **terms)
    yield world.signed("PLACE", account.address, side=side, time_in_force=IOC, **terms)


def any_jump(world: World) -> Commands:
    """One or both prices jump, rather towards where they began."""
    ratios = [start / (start + now) for start, now in zip(START_ATOMS, world.spot, strict=True)]
    rises = [world.rng.random() < ratio for ratio in ratios]
    yield from jump(world, world.rng.choice(((0,), (1,), (0, 1))), rises)


def jump(world: World, hit: tuple[int, ...], rises: list[bool]) -> Commands:
    """Prices jump by 3 to 20 %, then some seconds pass in which the venue deals with it."""
    rng, before = world.rng, list(world.spot)
    _move(world, hit, rises)
    yield from _mark(world, (0, 1))
    for _ in range(rng.randrange(2, 10)):
        for _ in range(rng.randrange(4)):
            yield from rng.choices(list(AFTERMATH), list(AFTERMATH.values()))[0](world)
        world.pass_time(rng.randrange(SECOND, 4 * SECOND))
        if world.chance(8):
            world.spot = list(before)
        elif world.chance(12):
            _move(world, hit, rises)
        elif world.chance(25):
            feeds.move_spot(world)
        yield from _mark(world, (0, 1) if world.chance(80) else ())


def _move(world: World, underlyings: tuple[int, ...], rises: list[bool]) -> None:
    for underlying in underlyings:
        factor = 1 + world.rng.uniform(0.03, 0.2)
        now, start = world.spot[underlying], START_ATOMS[underlying]
        then = int(now * factor if rises[underlying] else now / factor)
        world.spot[underlying] = min(3 * start, max(start // 3, then))


def _mark(world: World, underlyings: tuple[int, ...]) -> Commands:
    for underlying in underlyings:
        yield from feeds.all_indices(world, underlying)
    yield world.command("TICK", "")


def half_blind(world: World) -> Commands:
    """The index of one underlying goes stale, the other one jumps: who holds lots in the first waits."""
    rng = world.rng
    seen = rng.randrange(2)
    world.pass_time(rng.choice((MINUTE + 1, MINUTE + SECOND, 2 * MINUTE)))
    world.spot[seen] = int(world.spot[seen] * rng.choice((0.93, 1.07)))
    for _ in range(rng.randrange(1, 4)):
        yield from _mark(world, (seen,))
        world.pass_time(SECOND)
        yield from forbidden(world)


def rescue(world: World) -> Commands:
    """A deposit that lifts an account in liquidation to its maintenance margin, or just not."""
    accounts = troubled(world)
    if not accounts:
        return
    account = world.rng.choice(accounts)
    equity, maintenance = margin.standing(world.model, account)
    missing = maintenance - equity
    if missing > 0 and world.chance(60):
        yield _give(world, account.address, max(1, missing + world.rng.choice((-1, 0, 1, missing))))


def run_out(world: World) -> Commands:
    """All that an account in liquidation holds expires before its next turn."""
    model = world.model
    for account in troubled(world):
        series = {model.instruments[i].series for i in account.positions}
        if series and -1 not in series:
            last = max(model.series[number].expiry_ns for number in series)
            if last < world.now + 9 * DAY:
                world.now = max(world.now, last)
                yield from _mark(world, (0, 1))
                return


def liquidity(world: World) -> Commands:
    """Orders near the mark in what an account in liquidation holds, for its slices to meet."""
    rng, accounts = world.rng, [a for a in troubled(world) if a.positions]
    live = set(world.live())
    for account in accounts[:2]:
        for number in sorted(live & account.positions.keys()):
            instrument, lots = world.model.instruments[number], account.positions[number].lots
            fair = world.fair_ticks(instrument)
            width = max(1, int(fair * abs(rng.gauss(0, 0.006))))
            side = BUY if lots > 0 else SELL
            price = min(max(1, fair - width if side == BUY else fair + width), LIMITS["PRICE_TICKS_MAX"])
            who = WHALE if world.chance(40) else world.trader()
            size = max(1, int(abs(lots) * rng.choice((0.02, 0.2, 1.0, 1.0))))
            terms = {"price_ticks": price, "lots": min(size, 1 << 18)}
            yield world.signed("PLACE", who, instrument=number, side=side, time_in_force=GTC, **terms)


def forbidden(world: World) -> Commands:
    """What an account in liquidation may not do, and now and then what it may."""
    rng, accounts = world.rng, troubled(world)
    if not accounts:
        return
    account = rng.choice(accounts)
    who, number = account.address, rng.randrange(max(1, len(world.model.instruments)))
    terms = {"instrument": number, "side": rng.choice((BUY, SELL)), "time_in_force": GTC}
    terms |= {"lots": 1, "price_ticks": 1}
    waits = terms | {"reference": REFERENCES["INDEX"], "condition": 0, "trigger_atoms": 1}
    makers: tuple[Callable[[], Command], ...] = (
        lambda: world.signed("PLACE", who, **terms, flags=rng.choice((0, FLAGS["REDUCE_ONLY"]))),
        lambda: world.signed("PLACE_TRIGGER", who, **waits),
        lambda: world.signed("REPLACE", who, order_id=1, lots=1, price_ticks=1),
        lambda: world.signed("WITHDRAW", who, amount_atoms=rng.choice((0, 1))),
        lambda: world.signed("TRANSFER", who, amount_atoms=rng.choice((0, 1))) | {"subject": world.trader()},
        lambda: dealing.block_of(world, *rng.sample((who, world.trader()), 2), [(number, BUY, 1, 1)]),
        lambda: world.signed("INSURE", who, amount_atoms=rng.choice((0, 1))),
        lambda: world.signed("MASS_QUOTE", who, group=1) | {"items": rng.choice(([], [(0, 1, 1, 2, 1)]))},
        lambda: world.signed("CANCEL_ALL", who, instrument=-1, label=0, group=0),
        lambda: world.signed("BACKSTOP", who, demand_e6=rng.choice((-1, 0, 1000))),
        lambda: world.signed("PROTECT", who, timeout_ns=0, cancel_on_disconnect=0),
    )
    yield spoiled(world, rng.choice(makers)(), 8)


def backstop(world: World) -> Commands:
    """An offer to take over portfolios, cheap or dear, of somebody rich or poor; or its withdrawal."""
    rng, who = world.rng, world.trader()
    demand = rng.choice((-1, -1, 0, rng.randrange(1, 60_000), rng.randrange(1, 300_000), E6))
    if who == WHALE:
        demand = rng.choice((-1, -1, -1, rng.randrange(100_000, 300_000)))
    command = world.signed("BACKSTOP", who, demand_e6=demand)
    if world.chance(15):
        command = spoil_field(world, command)
    yield spoiled(world, command, 4)


def burden(world: World) -> Commands:
    """The whale asks least of all backstops, but its open orders leave no room for another lot."""
    rng, model = world.rng, world.model
    accounts = [a for a in troubled(world) if a.positions]
    live = sorted(set(world.live()) & {i for a in accounts for i in a.positions})
    if not live:
        return
    number = rng.choice(live)
    instrument = model.instruments[number]
    price = min(LIMITS["PRICE_TICKS_MAX"], int(world.fair_ticks(instrument) * 1.03) + 1)
    yield world.signed("BACKSTOP", WHALE, demand_e6=0)
    for _ in range(18):
        gross = margin.gross_lots(model, model.accounts[0], instrument.underlying)
        lots = min(LIMITS["ORDER_LOTS_MAX"], LIMITS["GROSS_LOTS_MAX"] - gross)
        if lots == 0:
            break
        terms = {"instrument": number, "side": SELL, "time_in_force": POST_ONLY}
        yield world.signed("PLACE", WHALE, lots=lots, price_ticks=price, **terms)
        if not world.accepted():
            break
    yield world.command("TICK", "")
    yield world.signed("CANCEL_ALL", WHALE, instrument=-1, label=0, group=0)
    yield world.signed("BACKSTOP", WHALE, demand_e6=-1)


def set_slice(world: World) -> Commands:
    """Another size of slices for one underlying, within its range or not."""
    rng = world.rng
    amount = int(10 ** rng.uniform(8, 12))
    command = world.signed("SET_SLICE", OPERATOR, underlying=rng.randrange(2), slice_notional_atoms=amount)
    if world.chance(25):
        command = spoil_field(world, command)
    yield spoiled(world, command, 6)


def insure(world: World) -> Commands:
    """A little or all that can be spared for the insurance fund; now and then an atom too much."""
    rng, who = world.rng, WHALE if world.chance(60) else world.trader()
    account = world.account(who)
    if account is None:
        return
    amount = DOLLAR * int(10 ** rng.uniform(0, 6))
    kind = rng.randrange(10)
    if kind == 0:
        amount = account.cash_atoms + 1
    elif kind == 1:
        amount = rng.choice((0, -1, INT64_MIN, INT64_MAX))
    elif kind == 2 and who != WHALE and world.chance(20):
        equity, unrealised, initial, _ = margin.summary(world.model, account)
        amount = equity - max(0, unrealised) - initial + rng.choice((0, 1))
    elif kind == 3 and account.positions and account.cash_atoms > 0:
        amount = account.cash_atoms
        if who == WHALE or world.chance(80):
            return
    yield spoiled(world, world.signed("INSURE", who, amount_atoms=amount), 4)


AFTERMATH: dict[Callable[[World], Commands], int] = {
    trading.place: 6,
    trading.cancel: 2,
    quoting.mass_quote: 1,
    rescue: 2,
    liquidity: 5,
    forbidden: 6,
    backstop: 2,
    set_slice: 1,
    burden: 1,
    run_out: 4,
}
