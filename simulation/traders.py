"""What wallets do all day: a maker who quotes, gamblers who borrow to the hilt, and orders of every kind."""

import asyncio
import random
from collections.abc import Callable
from typing import TYPE_CHECKING

from novate.execution.views import read_book, read_groups, read_open_orders
from novate.protocol.command import Command
from novate.protocol.generated.codes import (
    CommandKind,
    InstrumentKind,
    OrderFlag,
    Side,
    TimeInForce,
    TriggerCondition,
    TriggerReference,
)
from novate.protocol.generated.constants import NS_PER_S
from simulation.abuse import abuse
from simulation.desk import DESK, KEYING
from simulation.genesis import PERPETUAL_LOTS_PER_UNIT, USDC
from simulation.people import Fields, Person, list_priced, send, sign

if TYPE_CHECKING:
    from simulation.world import World

GROUP = 1
LOTS_MAX = 300
PERPETUAL = 0
PERPETUAL_LABEL = 7
GAMBLERS = (1, 3)
LEVERAGE_MAX = 16
JOINING_RATE = 0.3
Action = Callable[[Person], list[Command]]


async def run_trader(world: "World", number: int, chance: random.Random) -> None:
    """Wait for the deposit, then trade in bursts until the process dies; trader 0 is the maker."""
    person = Person(world, number, chance)
    while person.engine.find_account(person.address) < 0:
        await asyncio.sleep(0.3)
    if number == 0:
        await send(world, protect_quotes(person))
    table = list_actions(world, number)
    actions, weights = [action for action, _ in table], [weight for _, weight in table]
    while True:
        await asyncio.sleep(chance.uniform(0.1, 0.9))
        commands = [*quote(person), *quote_perpetual(person)] if number == 0 else []
        for action in chance.choices(actions, weights, k=chance.randrange(1, 5)):
            commands += action(person)
        await send(world, commands)


def list_actions(world: "World", number: int) -> list[tuple[Action, int]]:
    """What a trader of this seed does, and how often."""
    habits = world.habits
    table: list[tuple[Action, int]] = [
        (place, 18),
        (replace, 7),
        (cancel, 4),
        (cancel_all, 2),
        (withdraw, 2),
    ]
    if habits.conditions:
        table += [(place_trigger, 6), (place_special, 6), (protect, 2), (disconnect, 1)]
    if habits.gambling and number in GAMBLERS:
        table += [(gamble, 30)]
    if habits.keys:
        table += KEYING
    if habits.desk:
        table += DESK
    if habits.abuse:
        table += [(abuse, 6)]
    return table


# The maker


def protect_quotes(person: Person) -> list[Command]:
    """A group for the maker's quotes, money for the fund, and the promise to take portfolios over."""
    figures: Fields = {"window_ns": 2 * NS_PER_S, "frozen_ns": NS_PER_S, "quantity_limit_lots": 150}
    limits: Fields = {"delta_limit_atoms": 10**12, "vega_limit_atoms": 0, "group": GROUP, "underlying": 0}
    kinds: list[tuple[CommandKind, Fields]] = [
        (CommandKind.CANCEL_ALL, {"instrument": -1}),
        (CommandKind.SET_MMP, figures | limits),
        (CommandKind.INSURE, {"amount_atoms": 100 * USDC}),
    ]
    if person.world.habits.backstop:
        kinds.append((CommandKind.BACKSTOP, {"demand_e6": 3_000}))
    return [person.sign(kind, person.address, **fields) for kind, fields in kinds]


def quote(person: Person) -> list[Command]:
    """Quotes of the maker around the marks of all options, seldom one that is crossed."""
    chance, items = person.chance, []
    for number, ticks in list_priced(person.world):
        if person.engine.instruments[number].kind not in (InstrumentKind.CALL, InstrumentKind.PUT):
            continue
        half = max(1, ticks * chance.randrange(1, 40) // 10_000)
        if chance.random() < 0.02:
            half = -half
        items.append((number, max(1, ticks - half), chance.randrange(1, LOTS_MAX), ticks + half, LOTS_MAX))
    account = person.engine.find_account(person.address)
    if not items or not read_groups(person.engine, account):
        return []
    command = person.sign(CommandKind.MASS_QUOTE, person.address, group=GROUP)
    return [command._replace(items=tuple(items))]


def quote_perpetual(person: Person) -> list[Command]:
    """The maker's two large orders in the perpetual; without them nobody could become rich or poor."""
    ticks = dict(list_priced(person.world)).get(PERPETUAL)
    if ticks is None or person.chance.random() < 0.3:
        return []
    fields: Fields = {"instrument": PERPETUAL, "label": PERPETUAL_LABEL, "time_in_force": TimeInForce.GTC}
    half = max(1, ticks * person.chance.randrange(2, 20) // 10_000)
    bid: Fields = {
        "side": Side.BUY,
        "price_ticks": max(1, ticks - half),
        "lots": person.chance.randrange(500, 9_000),
    }
    ask: Fields = {
        "side": Side.SELL,
        "price_ticks": ticks + half,
        "lots": person.chance.randrange(500, 9_000),
    }
    return [
        person.sign(CommandKind.CANCEL_ALL, person.address, instrument=PERPETUAL, label=PERPETUAL_LABEL),
        person.sign(CommandKind.PLACE, person.address, **fields, **bid),
        person.sign(CommandKind.PLACE, person.address, **fields, **ask),
    ]


# Everybody


def draw_terms(person: Person, combos: bool = True) -> Fields:
    """An order near the mark; some traders lean to one side."""
    chance = person.chance
    instrument, ticks = person.choose_priced(combos)
    side = chance.choice(list(Side))
    if person.number % 2 and chance.random() < 0.6:
        side = Side.BUY if person.number == 1 else Side.SELL
    offset = person.engine.instruments[instrument].tick_offset if person.engine.instruments else 0
    half = max(1, abs(ticks - offset) * 5 // 1_000)
    price = max(1, ticks + chance.randint(-half, half))
    if person.engine.instruments and chance.random() < JOINING_RATE:
        # Behind others at the best price, so that queues become long enough to be served in a wrong order.
        best = read_book(person.engine, instrument, 1)[side]
        price = best[0][0] if best else price
    return {
        "instrument": instrument,
        "side": side,
        "time_in_force": chance.choice(
            (TimeInForce.GTC, TimeInForce.GTC, TimeInForce.IOC, TimeInForce.POST_ONLY)
        ),
        "lots": chance.randrange(1, LOTS_MAX),
        "price_ticks": price,
    }


def place(person: Person) -> list[Command]:
    """An ordinary order."""
    return [person.sign(CommandKind.PLACE, **draw_terms(person))]


def place_special(person: Person) -> list[Command]:
    """An order that hides, ends by itself, only reduces, follows volatility, or takes all or nothing."""
    chance, terms = person.chance, draw_terms(person)
    account = person.choose_account()
    resting = terms | {"time_in_force": TimeInForce.GTC}
    choices: list[Fields] = [
        resting | {"display_lots": -(-terms["lots"] // chance.randrange(2, 10)), "lots": terms["lots"] + 1},
        resting | {"valid_until_ns": person.engine.time_ns + chance.randrange(1, 4 * NS_PER_S)},
        terms | {"time_in_force": TimeInForce.IOC, "flags": OrderFlag.MARKET, "price_ticks": 0, "lots": 3},
        terms | {"time_in_force": TimeInForce.FOK},
        terms | {"flags": OrderFlag.REDUCE_ONLY},
        terms | {"flags": chance.choice((OrderFlag.CANCEL_MAKER, OrderFlag.CANCEL_BOTH))},
        resting | {"flags": OrderFlag.VOLATILITY, "price_ticks": chance.randrange(3_000, 9_000)},
        resting | {"link": chance.randrange(1, 4)},
    ]
    return [person.sign(CommandKind.PLACE, account, **chance.choice(choices))]


def replace(person: Person) -> list[Command]:
    """Another size and price for an open order, if there is one."""
    chance, account = person.chance, person.choose_account()
    mine = read_open_orders(person.engine, person.engine.find_account(account))
    if not mine:
        return place(person)
    order = chance.choice(mine)
    price = max(1, order.price_ticks + chance.randrange(-2, 3))
    fields: Fields = {"order_id": order.order_id, "lots": chance.randrange(1, LOTS_MAX), "price_ticks": price}
    return [person.sign(CommandKind.REPLACE, account, **fields)]


def cancel(person: Person) -> list[Command]:
    """The end of an open order, if there is one."""
    account = person.choose_account()
    mine = read_open_orders(person.engine, person.engine.find_account(account))
    if not mine:
        return place(person)
    return [person.sign(CommandKind.CANCEL, account, order_id=person.chance.choice(mine).order_id)]


def cancel_all(person: Person) -> list[Command]:
    """The end of all orders."""
    return [person.sign(CommandKind.CANCEL_ALL, instrument=-1)]


def withdraw(person: Person) -> list[Command]:
    """Some money home, at times more than there is."""
    amount = person.chance.randrange(1, 3_000 * USDC)
    return [person.sign(CommandKind.WITHDRAW, amount_atoms=amount)]


def place_trigger(person: Person) -> list[Command]:
    """An order that waits for a price, or for another order."""
    chance, account = person.chance, person.choose_account()
    terms = draw_terms(person, combos=False)
    view = person.engine.instruments[terms["instrument"]] if person.engine.instruments else None
    mine = read_open_orders(person.engine, person.engine.find_account(account))
    reference = chance.choice((TriggerReference.INDEX, TriggerReference.MARK, TriggerReference.LAST))
    condition = chance.choice(list(TriggerCondition))
    price = person.world.price_atoms
    if view is not None and reference != TriggerReference.INDEX:
        price = terms["price_ticks"] * view.tick_atoms
    distance = max(1, price * chance.randrange(1, 30) // 10_000)
    terms |= {"reference": reference, "condition": condition}
    if mine and chance.random() < 0.25:
        parent = chance.choice(mine).order_id
        terms |= {"reference": TriggerReference.NONE, "parent_id": parent, "link": chance.randrange(2)}
    elif chance.random() < 0.3:
        terms |= {"trail_atoms": distance}
    else:
        terms |= {"trigger_atoms": price + (distance if condition == TriggerCondition.ABOVE else -distance)}
    return [person.sign(CommandKind.PLACE_TRIGGER, account, **terms)]


def protect(person: Person) -> list[Command]:
    """A dead man's switch of one or two seconds, or none; and cancellation on disconnect, or not."""
    timeout_ns = person.chance.choice((0, NS_PER_S, 2 * NS_PER_S))
    wish = person.chance.randrange(2)
    return [person.sign(CommandKind.PROTECT, timeout_ns=timeout_ns, cancel_on_disconnect=wish)]


def disconnect(person: Person) -> list[Command]:
    """The venue notices that the wallet's connection is gone."""
    target = person.engine.find_account(person.address)
    return [sign(person.world, CommandKind.DISCONNECT, b"", target=target)]


def gamble(person: Person) -> list[Command]:
    """As much as an account can bear in the perpetual: one size after the other, until nothing more fits."""
    ticks = dict(list_priced(person.world)).get(PERPETUAL)
    account = person.choose_account()
    if ticks is None:
        return []
    lot_atoms = person.world.price_atoms // PERPETUAL_LOTS_PER_UNIT
    lots = max(0, person.measure_equity(account)) * LEVERAGE_MAX // lot_atoms
    side = Side.BUY if person.number == GAMBLERS[0] else Side.SELL
    away = 1 if side == Side.BUY else -1
    fields: Fields = {
        "instrument": PERPETUAL,
        "side": side,
        "time_in_force": TimeInForce.IOC,
        "price_ticks": max(1, ticks + away * (ticks // 200 + 1)),
    }
    sizes = [max(1, lots // part) for part in (2, 4, 8, 16)]
    return [person.sign(CommandKind.PLACE, account, lots=size, **fields) for size in sizes]
