"""What oracles, the operator and time do in the random venue: indices, surfaces, listings, batches."""

from __future__ import annotations

from collections.abc import Iterator

from . import conditional, quoting, trading
from .records import CALL, FUTURE, OPEN, PERPETUAL, PUT, SCALES, Series
from .spoiling import spoil_field, spoiled
from .world import DAY, INT64_MAX, INT64_MIN, MINUTE, OPERATOR, SECOND, START_ATOMS, STRANGER, Command, World

Commands = Iterator[Command]
ONE = 1 << 48
TERMS_DAYS = {
    "main": (0.08, 1.0, 7.0, 30.0, 180.0),
    "crowd": (0.08, 1.0, 7.0, 30.0),
    "tiny": (7.0, 30.0, 180.0),
    "crash": (0.08, 1.0, 7.0, 30.0),
    "desk": (0.05, 0.3, 1.0, 7.0),
}
SERIES_PER_UNDERLYING = {"main": 3, "crowd": 2, "tiny": 2, "crash": 2, "desk": 3}
OPTIONS_PER_SERIES = {"main": (5, 1), "crowd": (3, 1), "tiny": (2, 2), "crash": (3, 2), "desk": (3, 2)}


def index(world: World, underlying: int, oracle: str) -> Command:
    """A fresh report near the true price."""
    rng = world.rng
    price = int(world.spot[underlying] * rng.uniform(0.9995, 1.0005))
    observed = world.now - rng.randrange(0, 2 * SECOND) + rng.randrange(0, SECOND)
    last = world.model.underlyings[underlying].reports.get(world.model.genesis["oracles"].index(oracle))
    if last is not None:
        observed = max(observed, last[2] + 1)
    confidence = rng.randrange(960_000, 1_000_001) if world.chance(90) else rng.randrange(0, 960_000)
    return world.command(
        "INDEX",
        oracle,
        underlying=underlying,
        index_atoms=price,
        confidence_e6=confidence,
        observed_ns=observed,
    )


def stray_index(world: World) -> Commands:
    """One report; sometimes of a stranger, out of range, stale, repeated or from the future."""
    rng, underlying = world.rng, world.rng.randrange(2)
    command = index(world, underlying, world.oracle())
    limit = world.model.underlyings[underlying].config["index_atoms_max"]
    kind = rng.randrange(24)
    if kind == 0:
        command["signer"] = STRANGER
    elif kind == 1:
        command["underlying"] = rng.choice((2, -1, INT64_MAX, INT64_MIN))
    elif kind == 2:
        command["index_atoms"] = rng.choice((0, -1, limit + 1, INT64_MAX, INT64_MIN))
    elif kind == 3:
        command["confidence_e6"] = rng.choice((-1, 1_000_001, INT64_MAX, INT64_MIN))
    elif kind == 4:
        command["observed_ns"] = rng.choice((world.now + 2 * SECOND + 1, INT64_MAX, world.now + 2 * SECOND))
    elif kind == 5:
        command["observed_ns"] = rng.choice(
            (world.now - 30 * SECOND - 1, INT64_MIN, 0, world.now - 30 * SECOND)
        )
    elif kind == 6:
        reports = world.model.underlyings[underlying].reports
        if reports:
            oracle = rng.choice(sorted(reports))
            command["signer"] = world.model.genesis["oracles"][oracle]
            command["observed_ns"] = max(reports[oracle][2] - rng.randrange(2), world.now - 30 * SECOND)
    elif kind == 7:
        command["index_atoms"] = int(command["index_atoms"] * rng.uniform(0.7, 1.4))
    yield command


def all_indices(world: World, underlying: int, exact: bool = False) -> Commands:
    """Every oracle reports once, in a random order."""
    oracles = list(world.model.genesis["oracles"])
    world.rng.shuffle(oracles)
    for oracle in oracles:
        command = index(world, underlying, oracle)
        if exact:
            command["index_atoms"] = world.spot[underlying]
        yield command


def extreme_move(world: World) -> Commands:
    """The index at an end of its range, some trading there, and back."""
    underlying = world.rng.randrange(2)
    limit = world.model.underlyings[underlying].config["index_atoms_max"]
    usual = world.spot[underlying]
    world.spot[underlying] = world.rng.choice((1, 1000, limit, limit - 1, limit // 2, usual * 4, usual // 5))
    yield from all_indices(world, underlying, exact=True)
    yield world.command("TICK", "")
    for _ in range(world.rng.randrange(30)):
        yield from world.rng.choice((trading.place, trading.place, trading.replace, trading.withdraw))(world)
    world.spot[underlying] = usual
    yield from all_indices(world, underlying)
    yield world.command("TICK", "")


def move_spot(world: World) -> None:
    """A random walk held near its start, with a crash or a jump now and then."""
    for underlying, start in enumerate(START_ATOMS):
        factor = 1 + world.rng.gauss(0, 0.004)
        if world.chance(3):
            factor *= world.rng.choice((0.6, 0.8, 0.9, 1.1, 1.3))
        pull = (start / world.spot[underlying]) ** 0.05
        world.spot[underlying] = min(3 * start, max(start // 3, int(world.spot[underlying] * factor * pull)))


def _parameters(world: World, series: Series, shape: str) -> list[int]:
    """SVI numbers a, b, rho, m, sigma for total variance at the series' expiry."""
    rng = world.rng
    years = min(1.5, max(1e-6, (series.expiry_ns - world.now) / SCALES["NS_PER_YEAR"]))
    variance = rng.uniform(0.5, 0.6) ** 2 * years
    if shape == "calendar":
        variance *= rng.choice((0.02, 0.1, 12.0, 40.0))
    rho, m, sigma = rng.uniform(-0.3, 0.1), rng.uniform(-0.03, 0.03), rng.uniform(0.2, 0.4)
    a, b = 0.6 * variance, 0.4 * variance / sigma
    if shape == "butterfly":
        rho, sigma, b = rng.choice((-0.9, 0.9)), 0.02, min(0.9, 8 * variance)
        a = 0.05 * variance
    return [int(value * ONE) for value in (a, b, rho, m, sigma)]


def _surface(world: World, number: int, parameters: list[int]) -> Command:
    series = world.model.series[number]
    forward = int(world.spot[series.underlying] * world.rng.uniform(0.999, 1.004))
    names = ("svi_a_x48", "svi_b_x48", "svi_rho_x48", "svi_m_x48", "svi_sigma_x48")
    return world.command(
        "SURFACE",
        world.oracle(),
        underlying=series.underlying,
        expiry_ns=series.expiry_ns,
        forward_atoms=forward,
        observed_ns=world.now - world.rng.randrange(0, SECOND),
        **dict(zip(names, parameters, strict=True)),
    )


def agreed_surface(world: World, number: int, shape: str = "good") -> Commands:
    """A quorum, or one oracle more or fewer, says the same; some of them may differ in one number."""
    model = world.model
    oracles = list(model.genesis["oracles"])
    world.rng.shuffle(oracles)
    base = _surface(world, number, _parameters(world, model.series[number], shape))
    for who in oracles[: model.genesis["quorum"] + world.rng.choice((0, 0, 1, 1, -1))]:
        world.pass_time(world.rng.randrange(1_000_000))
        fields = {name: value for name, value in base.items() if isinstance(value, int)}
        del fields["sequence"], fields["time_ns"]
        if world.chance(6):
            name = world.rng.choice(("forward_atoms", "svi_a_x48", "svi_m_x48", "observed_ns"))
            fields[name] += 1
        yield world.command("SURFACE", who, **fields)


def _unexpired(world: World) -> list[int]:
    return [n for n, series in enumerate(world.model.series) if series.expiry_ns > world.now]


def stray_surface(world: World) -> Commands:
    """One report with something wrong, or an agreed surface with an arbitrage in it."""
    rng, known = world.rng, list(range(len(world.model.series)))
    if not known:
        return
    shape = rng.choice(("good", "good", "butterfly", "calendar", "field", "field", "field"))
    numbers = _unexpired(world)
    if shape != "field" and numbers:
        yield from agreed_surface(world, rng.choice(numbers), shape)
        return
    number = rng.choice(numbers or known)
    command = _surface(world, number, _parameters(world, world.model.series[number], "good"))
    extremes = (INT64_MAX, INT64_MIN, -1, 0, 1)
    wrong = {
        "underlying": (2, -1, INT64_MAX),
        "expiry_ns": (
            *extremes,
            command["expiry_ns"] + SECOND,
            world.model.series[rng.choice(known)].expiry_ns,
        ),
        "forward_atoms": (0, -1, 1 << 41, INT64_MAX, INT64_MIN),
        "observed_ns": (INT64_MAX, INT64_MIN, world.now - 31 * SECOND, world.now + 3 * SECOND),
        "svi_a_x48": (INT64_MAX, INT64_MIN, -ONE, 100 * ONE),
        "svi_b_x48": (INT64_MAX, INT64_MIN, -1, 100 * ONE),
        "svi_rho_x48": (INT64_MAX, INT64_MIN, ONE, -ONE, ONE + 1),
        "svi_m_x48": (INT64_MAX, INT64_MIN, 100 * ONE, -100 * ONE),
        "svi_sigma_x48": extremes,
    }
    name = rng.choice([*wrong, "signer", "again"])
    reports = world.model.series[number].reports
    if name == "signer":
        command["signer"] = STRANGER
    elif name == "again" and reports:
        oracle = rng.choice(sorted(reports))
        command["signer"] = world.model.genesis["oracles"][oracle]
        command["observed_ns"] = max(reports[oracle].observed_ns, world.now - 30 * SECOND)
    elif name in wrong:
        command[name] = rng.choice(wrong[name])
    yield command


def refresh(world: World) -> Commands:
    """The market moves: indices, now and then surfaces, then one TICK that renews the marks."""
    move_spot(world)
    for underlying in range(2):
        if world.chance(90):
            yield from all_indices(world, underlying)
    for number in _unexpired(world):
        if world.model.series[number].surface is None or world.chance(15):
            yield from agreed_surface(world, number)
    yield world.command("TICK", "")


def _listing(world: World, underlying: int, kind: int, strike: int, expiry_ns: int) -> Command:
    return world.signed(
        "LIST_INSTRUMENT",
        OPERATOR,
        underlying=underlying,
        instrument_kind=kind,
        strike_atoms=strike,
        expiry_ns=expiry_ns,
    )


def list_missing(world: World) -> Commands:
    """The perpetuals, and new series wherever fewer than usual are unexpired."""
    rng, model = world.rng, world.model
    for underlying in range(2):
        if not any(i.underlying == underlying and i.kind == PERPETUAL for i in model.instruments):
            yield _listing(world, underlying, PERPETUAL, 0, 0)
        near = [n for n in _unexpired(world) if model.series[n].expiry_ns < world.now + 400 * DAY]
        mine = [n for n in near if model.series[n].underlying == underlying]
        for _ in range(SERIES_PER_UNDERLYING[world.profile] - len(mine)):
            expiry = world.expiry_in(rng.choice(TERMS_DAYS[world.profile]) * rng.uniform(0.8, 1.2))
            count = OPTIONS_PER_SERIES[world.profile][underlying]
            strikes = [world.strike_near(underlying) for _ in range(count)]
            listings = [(world.option_kind(), strike) for strike in strikes]
            if world.chance(60):
                listings.insert(rng.randrange(2), (FUTURE, 0))
            for kind, strike in listings:
                yield _listing(world, underlying, kind, strike, expiry)


def stray_listing(world: World) -> Commands:
    """A listing with something wrong, or one more option of a known series."""
    rng, underlying = world.rng, world.rng.randrange(2)
    limit = world.model.underlyings[underlying].config["index_atoms_max"]
    command = _listing(world, underlying, world.option_kind(), limit // 9, world.expiry_in(20))
    kind = rng.randrange(12)
    if kind == 0:
        command["signer"] = rng.choice((STRANGER, world.traders[0]))
    elif kind == 1:
        command["underlying"] = rng.choice((2, -1, INT64_MAX))
    elif kind == 2:
        command["instrument_kind"] = rng.choice((4, -1, PERPETUAL, INT64_MIN, FUTURE))
    elif kind == 3:
        command["strike_atoms"] = rng.choice((0, -1, limit + 1, INT64_MAX, INT64_MIN))
    elif kind == 4:
        times = (world.now // SECOND * SECOND, command["expiry_ns"] + 1, 0, -SECOND, INT64_MIN, INT64_MAX)
        command["expiry_ns"] = rng.choice(times)
    elif kind < 9 and world.model.instruments:
        other = rng.choice(world.model.instruments)
        command["underlying"], command["instrument_kind"] = other.underlying, other.kind
        command["strike_atoms"], command["expiry_ns"] = other.strike_atoms, other.expiry_ns
        if kind == 5 and other.kind in (CALL, PUT) and world.chance(20):
            command["strike_atoms"] = world.strike_near(other.underlying)
        elif kind == 5 and other.kind == FUTURE:
            command["strike_atoms"] = rng.choice((1, -1))
        elif kind == 6 and other.kind == PERPETUAL:
            command["strike_atoms" if world.chance(50) else "expiry_ns"] = rng.choice((1, SECOND))
        elif kind == 7 and other.kind in (CALL, PUT) and world.chance(20):
            command["instrument_kind"] = PUT if other.kind == CALL else CALL
        elif kind == 8 and other.kind in (CALL, PUT):
            command["instrument_kind"], command["strike_atoms"] = FUTURE, 0
    elif kind == 9 and world.chance(15):
        command["expiry_ns"] = world.expiry_in(world.rng.choice((800, 3_000, 3_649.99, 3_650)))
        command["strike_atoms"] = world.rng.choice((1, limit, world.strike_near(underlying)))
    else:
        command["strike_atoms"] = 0
    if world.chance(20):
        command = spoiled(world, command, 100)
    yield command


def expire_nearest(world: World) -> Commands:
    """Step through the window before the nearest expiry, a little over it, then list what is missing."""
    numbers = [n for n, series in enumerate(world.model.series) if not series.expired]
    if not numbers:
        return
    series = min((world.model.series[n] for n in numbers), key=lambda series: series.expiry_ns)
    underlying, expiry = series.underlying, series.expiry_ns
    world.now = max(world.now, expiry - world.rng.randrange(MINUTE, 40 * MINUTE))
    # So late only an option at the money has a vega.
    yield _listing(world, underlying, world.option_kind(), world.spot[underlying], expiry)
    while world.now < expiry:
        move_spot(world)
        for underlying in range(2):
            yield from all_indices(world, underlying)
        if world.chance(60):
            yield world.command("TICK", "")
            yield from _trade_near(world, expiry)
        then = world.now + world.rng.randrange(1, 15 * MINUTE)
        if then >= expiry and world.chance(80):
            world.now = max(world.now, expiry - world.rng.choice((1, SECOND)))
            yield from _late_surface(world, numbers, expiry)
        world.now = max(then, world.now)
    if world.chance(50):
        yield world.command("TICK", "")
        yield from list_missing(world)
        yield from refresh(world)


def _trade_near(world: World, expiry: int) -> Commands:
    """Orders in what expires next, half of them, between two indices of the settlement window."""
    rng = world.rng
    nearest = [n for n in world.live() if world.model.instruments[n].expiry_ns == expiry]
    for _ in range(rng.randrange(25)):
        action = rng.choice(
            (trading.replace, trading.withdraw, conditional.trigger, quoting.mass_quote, busy_tick)
        )
        if nearest and world.chance(50):
            yield from trading.place(world, rng.choice(nearest))
        else:
            yield from action(world)


def _late_surface(world: World, numbers: list[int], expiry: int) -> Commands:
    """A surface in the last second, observed (within the skew) after the expiry itself, then marks by it."""
    number = min(numbers, key=lambda n: world.model.series[n].expiry_ns)
    if world.now < expiry:
        base = _surface(world, number, _parameters(world, world.model.series[number], "good"))
        for who in world.model.genesis["oracles"]:
            late = {"signer": who, "observed_ns": expiry + SECOND // 2}
            yield base | late
        yield from all_indices(world, world.model.series[number].underlying)
        yield world.command("TICK", "")


def start(world: World) -> Commands:
    """List the first instruments; in one profile surfaces come before there is an index."""
    yield world.command("TICK", "")
    yield from list_missing(world)
    if world.profile == "tiny":
        for number in _unexpired(world):
            yield from agreed_surface(world, number)
            yield world.command("TICK", "")
    yield from refresh(world)
    yield from refresh(world)


def seal(world: World) -> Commands:
    """The next batch, sometimes a wrong number."""
    batch = world.model.house.batch + 1
    if world.chance(20):
        batch = world.rng.choice((batch - 1, batch + 1, 0, -1, INT64_MAX, INT64_MIN))
    yield world.command("SEAL", "", batch=batch)


def idle_tick(world: World) -> Commands:
    """A TICK that has nothing to mark."""
    if not any(underlying.dirty for underlying in world.model.underlyings):
        yield world.command("TICK", "")


def busy_tick(world: World) -> Commands:
    """A few milliseconds later, a TICK with whatever is due."""
    world.pass_time(world.rng.randrange(SECOND))
    yield world.command("TICK", "")


def long_pause(world: World) -> Commands:
    """Long enough for the index to be stale, sometimes for days."""
    world.pass_time(world.rng.choice((60 * SECOND, 61 * SECOND, 5 * MINUTE, DAY // 8)))
    if any(instrument.state == OPEN for instrument in world.model.instruments) and world.chance(50):
        yield world.command("TICK", "")


def set_tier(world: World) -> Commands:
    """Another fee tier for somebody, sometimes one that does not exist or a stranger's wish."""
    rng = world.rng
    target = rng.randrange(len(world.model.accounts))
    command = world.signed("SET_TIER", OPERATOR, target=target, tier=rng.randrange(3))
    if world.chance(20):
        command = spoil_field(world, command)
    if world.chance(5):
        command["signer"] = rng.choice((STRANGER, world.traders[0]))
    yield spoiled(world, command, 8)
