"""Random trading with every kind of order: whatever happens, books, lists, sums and money fit together."""

import random
from collections import Counter
from typing import Any

import numpy as np
import pytest

from novate.execution.views import compute_conservation_gap, compute_lots_gap
from novate.protocol.generated.codes import CancelReason, Code, EventKind, OrderFlag, Side
from tests.execution.scenes import ROLES, open_venue
from tests.law.desk import Desk, find_address

COMMANDS = 900
REFERENCES = ("by_none", "by_index", "by_mark", "by_last")
Records = np.ndarray[Any, np.dtype[Any]]


class Crowd:
    """Traders who choose at random among everything that the venue offers."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self.desk = open_venue({"futures_band_e6": 50_000}, orders=60, positions=5)
        self.index = 80_000
        self.seen: Counter[str] = Counter()
        self.desk.must("maker", "set_mmp quantity_limit_lots=10 window_ns=5*second")

    def chance(self, percent: int) -> bool:
        return self.rng.random() * 100 < percent

    def pick_order(self, actor: str) -> int:
        """The number of an order of the actor's, or of anything."""
        world = self.desk.engine.world
        account = self.desk.engine.find_account(find_address(actor))
        own = [
            int(order_id)
            for table in (world.orders, world.waiting)
            for order_id in table["order_id"][table["account"] == account]
            if order_id
        ]
        return self.rng.choice(own) if own and self.chance(90) else self.rng.randint(0, 99)

    def pick_price(self) -> int:
        """A price (or a volatility) that an order has, or one that is far from most."""
        orders = self.desk.engine.world.orders
        prices = orders["price_ticks"][orders["order_id"] != 0].tolist()
        return int(self.rng.choice([*prices, 3_300, 3_600]))

    def describe_order(self) -> str:
        """The terms of an order, mostly lawful and near the market."""
        rng = self.rng
        call = self.chance(35)
        flags = OrderFlag.REDUCE_ONLY * self.chance(20)
        flags |= rng.choice((0, 0, OrderFlag.CANCEL_MAKER, OrderFlag.CANCEL_BOTH))
        price = rng.randint(630, 646) if call else rng.randint(-4, 4) + self.index * 2 // 5
        time_in_force = rng.choice(("gtc", "gtc", "gtc", "ioc", "post_only", "fok"))
        lots = rng.randint(1, 30)
        line = ""
        if time_in_force in ("ioc", "fok"):
            if self.chance(40):
                flags, price = flags | OrderFlag.MARKET, 0
        else:
            if self.chance(25):
                line += f" display_lots={max(1, (lots + 2) // rng.randint(2, 6))}"
            if self.chance(15):
                line += f" link={rng.randint(1, 2)}"
            if self.chance(10):
                line += f" valid_until_ns=now+{rng.randint(1, 9)}*second"
        if call and not flags & OrderFlag.MARKET and self.chance(40):
            flags, price = flags | OrderFlag.VOLATILITY, rng.randint(3_300, 3_700)
        line += f" instrument={int(call)} side={rng.choice(('buy', 'sell'))} lots={lots} price_ticks={price}"
        return f"{line} time_in_force={time_in_force} flags={int(flags)} label={rng.randint(0, 2)}"

    def describe_trigger(self, actor: str) -> str:
        """A threshold, a trail or nothing but a parent."""
        reference = self.rng.choice(REFERENCES)
        parent = self.pick_order(actor) if reference == "by_none" or self.chance(40) else 0
        atoms = 0 if reference == "by_none" else self.rng.randint(79_900, 80_100) * 10**6
        atoms = atoms // 1_000 if reference in ("by_mark", "by_last") else atoms
        trails = reference != "by_none" and self.chance(40)
        line = f"trail_atoms={atoms // 2_000} trigger_atoms=0" if trails else f"trigger_atoms={atoms}"
        condition = self.rng.choice(("above", "below"))
        return f"reference={reference} condition={condition} parent_id={parent} {line}"

    def describe_quotes(self) -> str:
        """A quote of the option on both sides."""
        bid = self.rng.randint(628, 636)
        lots = [self.rng.randint(0, 12) for _ in range(2)]
        return f"quotes=1:{bid}:{lots[0]}:{bid + self.rng.randint(1, 9)}:{lots[1]}"

    def choose(self) -> tuple[str, str]:
        """Who says what next."""
        actor, rng = self.rng.choice(ROLES), self.rng
        verb = rng.choices(
            (
                "place",
                "trigger",
                "replace",
                "cancel",
                "quote",
                "tick",
                "index",
                "all",
                "protect",
                "mmp",
                "gone",
            ),
            (44, 14, 9, 3, 8, 8, 8, 1, 1, 1, 1),
        )[0]
        if verb == "index":
            self.index += rng.randint(-60, 60) if self.chance(90) else rng.randint(-2_000, 2_000)
            return "oracle", f"index after={rng.randint(1, 2)} index_atoms={self.index}*usdc"
        lines = {
            "place": lambda: f"place {self.describe_order()}",
            "trigger": lambda: f"place_trigger {self.describe_order()} {self.describe_trigger(actor)}",
            "replace": lambda: (
                f"replace order_id={self.pick_order(actor)} lots={rng.randint(1, 20)} "
                f"price_ticks={self.pick_price()}"
            ),
            "cancel": lambda: f"cancel order_id={self.pick_order(actor)}",
            "quote": lambda: f"mass_quote {self.describe_quotes()}",
            "tick": lambda: f"tick after={rng.randint(0, 1)}",
            "all": lambda: f"cancel_all label={rng.randint(0, 2)} instrument={rng.randint(-1, 1)}",
            "protect": lambda: f"protect timeout_ns={rng.randint(0, 9)}*second cancel_on_disconnect=1",
            "mmp": lambda: "set_mmp quantity_limit_lots=10 window_ns=5*second",
            "gone": lambda: f"disconnect target={rng.randint(0, 2)}",
        }
        return "maker" if verb == "quote" else actor, lines[verb]()

    def step(self) -> None:
        """Send one line and count what came of it."""
        actor, line = self.choose()
        code = self.desk.say(actor, line)
        self.seen[code.name] += 1
        for event in self.desk.events[1:]:
            self.seen[EventKind(event["kind"]).name] += 1
            if event["kind"] == EventKind.CANCELLED:
                self.seen[f"CANCELLED {CancelReason(event['reason']).name}"] += 1


def follow(table: Records, first: int, link: str) -> list[int]:
    """The slots of a list, in its order."""
    slots = []
    while first != -1:
        slots.append(int(first))
        first = table[first][link]
    return slots


def check_levels(desk: Desk) -> None:
    """Each level counts and shows the orders that are in it, and no slice is empty or too large."""
    world = desk.engine.world
    live = 0
    for level in world.levels[world.levels["key"] != 0]:
        slots = follow(world.orders, level["head"], "next")
        orders = world.orders[slots]
        live += len(slots)
        assert (len(slots), orders["visible_lots"].sum()) == (level["count"], level["lots"])
        assert 1 == len({(order["instrument"], order["side"], order["price_ticks"]) for order in orders})
        assert (orders["priority"][1:] >= orders["priority"][:-1]).all()
        for order in orders:
            most = min(order["display_lots"] or order["lots"], order["lots"])
            assert 0 < order["visible_lots"] <= most
    assert live == np.count_nonzero(world.orders["order_id"])


def check_lists(desk: Desk) -> None:
    """Lists, counts and stacks tell of the same orders; nobody waits for a parent that is gone."""
    world, house = desk.engine.world, desk.engine.world.house[0]
    open_ids = set(world.orders["order_id"].tolist()) - {0}
    waiting_ids = set(world.waiting["order_id"].tolist()) - {0}
    assert (0, 0) == (house["due_count"], house["ready_count"])
    assert len(world.orders) - len(open_ids) == house["free_order_count"]
    assert len(world.waiting) - len(waiting_ids) == house["free_waiting_count"]
    for number in range(len(ROLES)):
        account = world.accounts[number]
        for table, first, count in (
            (world.orders, "first_order", "open_order_count"),
            (world.waiting, "first_waiting", "waiting_count"),
        ):
            slots = follow(table, account[first], "next_in_account")
            own = np.flatnonzero((table["order_id"] != 0) & (table["account"] == number)).tolist()
            assert (sorted(slots), len(slots)) == (own, account[count])
    for record in world.waiting[world.waiting["order_id"] != 0]:
        assert record["parent_id"] in open_ids | waiting_ids | {0}


def check_sums(desk: Desk) -> None:
    """Positions and margin vectors are what all orders add up to from nothing [MARGIN-1] [MARGIN-3]."""
    world = desk.engine.world
    pnl, effects = np.zeros_like(world.pnl), np.zeros_like(world.effects)
    found: Counter[tuple[int, int, str]] = Counter()
    for order in world.orders[world.orders["order_id"] != 0]:
        number, account = int(order["instrument"]), int(order["account"])
        instrument = world.instruments[number]
        if order["group"]:
            found[account, number, "quote_lots"] += int(order["lots"])
            continue
        side = "open_buy_lots" if order["side"] == Side.BUY else "open_sell_lots"
        found[account, number, side] += int(order["lots"])
        direction = 1 if order["side"] == Side.BUY else -1
        limit = order["price_ticks"] * instrument["tick_atoms"]
        gains = direction * (world.rows[number] + instrument["mark_atoms"] - limit)
        losses = np.minimum(0, gains - instrument["taker_fee_atoms"])
        effects[account, instrument["underlying"]] += order["lots"] * losses
    for position in world.positions[world.positions["account"] != -1]:
        number, account = int(position["instrument"]), int(position["account"])
        pnl[account, world.instruments[number]["underlying"]] += position["lots"] * world.rows[number]
        opened = [int(position[name]) for name in ("open_buy_lots", "open_sell_lots", "quote_lots")]
        assert any(opened) or position["lots"]
        assert opened == [
            found.pop((account, number, name), 0)
            for name in ("open_buy_lots", "open_sell_lots", "quote_lots")
        ]
    assert not +found
    assert (pnl == world.pnl).all()
    assert (effects == world.effects).all()


@pytest.fixture(scope="module")
def crowds() -> list[Crowd]:
    """Crowds that have traded, and whose books were checked after each command."""
    crowds = [Crowd(seed) for seed in range(3)]
    for crowd in crowds:
        for _ in range(COMMANDS):
            crowd.step()
            check_levels(crowd.desk)
            check_lists(crowd.desk)
            check_sums(crowd.desk)
    return crowds


def test_nothing_is_created_or_lost(crowds: list[Crowd]) -> None:
    """After random trading every atom and every lot is somewhere [CASH-3]."""
    for crowd in crowds:
        engine = crowd.desk.engine
        assert (0, 0) == (compute_conservation_gap(engine), compute_lots_gap(engine))


def test_the_crowds_have_met_every_kind_of_end(crowds: list[Crowd]) -> None:
    """The checks above saw each thing that can happen to an order."""
    seen = sum((crowd.seen for crowd in crowds), Counter())
    # Accounts here are never poor enough; the court and the crash replays see that end.
    rare = {"CANCELLED INSTRUMENT_EXPIRED", "CANCELLED INITIAL_MARGIN", "CANCELLED LIQUIDATION"}
    ends = {f"CANCELLED {reason.name}" for reason in CancelReason} - rare
    kinds = {"FILL", "REST", "REFRESHED", "REDUCED", "WAITING", "TRIGGERED", "MMP_TRIPPED"}
    codes = {Code.FILL_OR_KILL_UNFILLABLE.name, Code.REDUCE_ONLY_WOULD_INCREASE.name}
    assert set() == {name for name in ends | kinds | codes if not seen[name]}
