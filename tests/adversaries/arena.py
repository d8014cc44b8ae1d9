"""One episode's venue: a real engine, honest people in it, and the book that is kept about the adversary.

A maker quotes around the index, a trader takes now and then, a backstop and an insurance fund stand behind
liquidations, and a bystander holds cash and nothing else. After every command money and lots must add up.
[CASH-3]

The adversary's accounts are judged together, at the true price: what they withdrew and what they are worth,
never below zero each, since an account in debt is simply left behind; less what they deposited, less *chance*
(what moves of the true price did to lots they held), less what they spent outside. What remains is what they
took from others. Fees and spread are in it, as costs.
"""

import random
from collections import Counter
from collections.abc import Iterable

from novate.execution.engine import Engine, split_events
from novate.execution.views import compute_conservation_gap, compute_lots_gap, read_book, read_positions
from novate.protocol.command import Command, make_command
from novate.protocol.generated.codes import (
    Code,
    CommandKind,
    EventKind,
    InstrumentKind,
    OrderFlag,
    Side,
    TimeInForce,
)
from novate.protocol.generated.records import COMMAND_FIELDS
from tests.adversaries.market import BTC, SECOND_NS, START_NS, USDC, make_genesis, name_address

PERPETUAL = 0
MAKER, TRADER, BACKSTOP, BYSTANDER, HOLDER = "maker", "trader", "backstop", "bystander", "holder"
ATTACKER, TWIN = "attacker", "twin"
HOSTILE = (ATTACKER, TWIN)
RICH_ATOMS = 10**7 * USDC
FUND_ATOMS = 20_000 * USDC
# What the honest backstop wants of a portfolio's requirement.
BACKSTOP_DEMAND_E6 = 20_000
MAKER_LEVELS = 2
LINEAR = (InstrumentKind.PERPETUAL, InstrumentKind.FUTURE)
# One lot of an option on a flat surface: ten per cent of total volatility, whatever the time.
SURFACE = {
    "svi_a_x48": 2_814_749_767_106,
    "svi_b_x48": 0,
    "svi_rho_x48": 0,
    "svi_m_x48": 0,
    "svi_sigma_x48": 1 << 48,
}
Event = dict[str, int]


class Arena:
    """The venue of one episode; `chance` is its only source of randomness."""

    def __init__(self, seed: int, changes: dict[str, int] | None = None, orders: int = 256) -> None:
        self.chance = random.Random(seed)
        self.engine = Engine(make_genesis(tuple(sorted((changes or {}).items())), orders))
        self.now = START_NS
        self.number = 0
        self.cursor = 0
        self.price_atoms = self.chance.randrange(60_000, 100_000) * USDC
        self.index_atoms = self.price_atoms
        self.depth = self.chance.randrange(30, 50)
        self.half_spread_e6 = self.chance.randrange(100, 220)
        self.quoted: list[int] = []
        self.quoted_at = 0
        self.quotes_touched = False
        self.deposited: Counter[str] = Counter()
        self.withdrawn: Counter[str] = Counter()
        self.chance_atoms = 0
        self.outside_atoms = 0
        self.fees_atoms = 0
        self.spread_atoms = 0
        self.open_venue()

    def open_venue(self) -> None:
        """Let the honest people in, list the perpetual, and let two steps of ordinary trade pass."""
        for role in (MAKER, TRADER, BACKSTOP, BYSTANDER):
            self.deposit(role, RICH_ATOMS)
        self.must(BYSTANDER, CommandKind.INSURE, amount_atoms=FUND_ATOMS)
        self.must(BACKSTOP, CommandKind.BACKSTOP, demand_e6=BACKSTOP_DEMAND_E6)
        self.list_instrument(InstrumentKind.PERPETUAL, 0, 0)
        self.quoted.append(PERPETUAL)
        for _ in range(2):
            self.step(self.price_atoms * self.chance.randrange(9_950, 10_050) // 10_000)
            self.trade(
                TRADER, PERPETUAL, self.chance.choice((Side.BUY, Side.SELL)), self.chance.randrange(1, 9)
            )
        self.step()

    # Commands

    def build(self, role: str, kind: CommandKind, fields: dict[str, int]) -> Command:
        """A command of a role at the time of now, with the next nonce."""
        self.number += 1
        given = dict(fields)
        if "nonce" in COMMAND_FIELDS[kind]:
            given |= {"nonce": self.number, "expires_ns": self.now + SECOND_NS}
        signer = b"" if kind == CommandKind.TICK else name_address(role)
        return make_command(kind, self.now, signer, b"", **given)

    def apply(self, commands: list[Command]) -> list[list[Event]]:
        """Apply commands, keep the book, and return the events of each."""
        answer = []
        for part in split_events(self.engine.apply(commands)):
            assert part.dtype.names is not None
            rows = [dict(zip(part.dtype.names, row, strict=True)) for row in part.tolist()]
            self.note(rows)
            answer.append(rows)
        assert (0, 0) == (compute_conservation_gap(self.engine), compute_lots_gap(self.engine))
        return answer

    def flood(self, command: Command, count: int) -> int:
        """Apply a command that moves no money many times over, each time signed anew; returns how many were
        accepted.
        """
        *terms, _, expires_ns = command.values
        nonces = range(self.number + 1, self.number + 1 + count)
        self.number += count
        events = self.engine.apply([command._replace(values=(*terms, nonce, expires_ns)) for nonce in nonces])
        assert (0, 0) == (compute_conservation_gap(self.engine), compute_lots_gap(self.engine))
        results = events[events["kind"] == EventKind.RESULT]
        return int((results["code"] == Code.OK).sum())

    def send(self, role: str, kind: CommandKind, **fields: int) -> list[Event]:
        """Send one command and return its events, RESULT first."""
        return self.apply([self.build(role, kind, fields)])[0]

    def ask(self, role: str, kind: CommandKind, **fields: int) -> Code:
        """Send one command and return its code."""
        return Code(self.send(role, kind, **fields)[0]["code"])

    def must(self, role: str, kind: CommandKind, **fields: int) -> list[Event]:
        """Send one command that must be accepted."""
        events = self.send(role, kind, **fields)
        assert Code.OK == events[0]["code"], f"{role} {kind.name} {fields}: {Code(events[0]['code']).name}"
        return events

    def deposit(self, role: str, amount_atoms: int) -> None:
        """Let a role deposit money."""
        self.cursor += 1
        self.must(role, CommandKind.DEPOSIT, cursor=self.cursor, amount_atoms=amount_atoms)
        self.deposited[role] += amount_atoms

    def place(
        self,
        role: str,
        instrument: int,
        side: Side,
        lots: int,
        ticks: int,
        time_in_force: TimeInForce = TimeInForce.GTC,
        flags: int = 0,
    ) -> list[Event]:
        """Place an order and return its events."""
        return self.send(
            role,
            CommandKind.PLACE,
            instrument=instrument,
            side=side,
            time_in_force=time_in_force,
            lots=lots,
            price_ticks=ticks,
            flags=flags,
        )

    def trade(self, role: str, instrument: int, side: Side, lots: int) -> list[Event]:
        """Take what the book has, at the market."""
        return self.place(role, instrument, side, lots, 0, TimeInForce.IOC, OrderFlag.MARKET)

    def cancel_all(self, role: str) -> None:
        """Cancel every order of a role."""
        self.must(role, CommandKind.CANCEL_ALL, instrument=-1)

    def cross(self, buyer: str, seller: str, instrument: int, lots: int, ticks: int) -> list[Event]:
        """The buyer takes what the seller offers at a price inside the maker's spread."""
        self.place(seller, instrument, Side.SELL, lots, ticks)
        return self.place(buyer, instrument, Side.BUY, lots, ticks, TimeInForce.IOC)

    def lever(self, role: str, lots: int, margin_e6: int) -> None:
        """A role deposits a share of the value of so many lots and buys them of the maker."""
        self.depth = max(self.depth, lots)
        self.requote()
        self.deposit(role, lots * self.get_fair(PERPETUAL) * margin_e6 // 10**6)
        ask = read_book(self.engine, PERPETUAL, 1)[Side.SELL][0][0]
        # Not a market order: margin would count what its limit, the edge of the band, might cost.
        assert lots == count_lots(self.place(role, PERPETUAL, Side.BUY, lots, ask, TimeInForce.IOC))

    def withdraw_most(self, role: str) -> int:
        """Withdraw all cash, or half of it, and so on; returns what was paid out."""
        before, amount = self.withdrawn[role], self.get_cash(role)
        while amount > USDC and self.ask(role, CommandKind.WITHDRAW, amount_atoms=amount) != Code.OK:
            amount //= 2
        return self.withdrawn[role] - before

    def list_instrument(
        self, kind: InstrumentKind, strike_atoms: int, expiry_ns: int, underlying: int = BTC
    ) -> int:
        """List an instrument and return its number; of a dated one also report the surface."""
        terms = {"strike_atoms": strike_atoms, "expiry_ns": expiry_ns, "underlying": underlying}
        self.must("operator", CommandKind.LIST_INSTRUMENT, instrument_kind=kind, **terms)
        if expiry_ns:
            for role in ("oracle 0", "oracle 1"):
                surface = SURFACE | {"forward_atoms": self.price_atoms, "observed_ns": self.now}
                self.must(role, CommandKind.SURFACE, underlying=underlying, expiry_ns=expiry_ns, **surface)
            self.step()
        return len(self.engine.instruments) - 1

    # Time, prices and the maker

    def announce(
        self,
        price_atoms: int | None = None,
        seconds: int = 1,
        reports: Iterable[int | None] = (None, None, None),
    ) -> None:
        """Time passes, the true price moves, the oracles report it (or what `reports` says instead), and the
        maker moves its quotes along before the next TICK.
        """
        self.now += seconds * SECOND_NS
        self.move(self.price_atoms if price_atoms is None else price_atoms)
        for role, report in zip(("oracle 0", "oracle 1", "oracle 2"), reports, strict=True):
            index = self.price_atoms if report is None else report
            self.report(role, index)
        self.requote()

    def report(self, role: str, index_atoms: int, underlying: int = BTC) -> None:
        """An oracle reports an index."""
        fields = {"index_atoms": index_atoms, "confidence_e6": 10**6, "observed_ns": self.now}
        events = self.must(role, CommandKind.INDEX, underlying=underlying, **fields)
        if underlying == BTC and len(events) > 1:
            self.index_atoms = events[1]["amount_atoms"]

    def move(self, price_atoms: int) -> None:
        """The true price moves; what that does to the adversary's lots is chance."""
        before = {number: self.get_fair(number) for number in range(len(self.engine.instruments))}
        self.price_atoms = price_atoms
        for role in HOSTILE:
            for number, lots in self.list_lots(role).items():
                self.chance_atoms += lots * (self.get_fair(number) - before[number])

    def tick(self, requote: bool = True) -> list[Event]:
        """A TICK; the marks of options move at it, which is chance too. The maker quotes again after it."""
        numbers = [view.number for view in self.engine.instruments if view.kind not in LINEAR]
        before = {number: self.get_fair(number) for number in numbers}
        held = {role: self.list_lots(role) for role in HOSTILE}
        events = self.must("", CommandKind.TICK)
        for number, fair in before.items():
            gain = self.get_fair(number) - fair
            self.chance_atoms += sum(lots.get(number, 0) for lots in held.values()) * gain
        if requote:
            self.requote()
        return events

    def step(self, price_atoms: int | None = None, seconds: int = 1) -> list[Event]:
        """Announce a price and TICK; returns the TICK's events."""
        self.announce(price_atoms, seconds)
        return self.tick()

    def calm(self, ticks: int) -> None:
        """Let some steps pass at the same price, so that what was begun ends."""
        for _ in range(ticks):
            self.step()

    def requote(self) -> None:
        """The maker cancels and quotes anew around the index, if it has moved or somebody traded."""
        if not self.quoted or (self.quoted_at == self.index_atoms * self.depth and not self.quotes_touched):
            return
        self.cancel_all(MAKER)
        self.quoted_at, self.quotes_touched = self.index_atoms * self.depth, False
        for number in self.quoted:
            view = self.engine.instruments[number]
            centre = self.index_atoms // view.lots_per_unit
            half = max(1, centre * self.half_spread_e6 // 10**6)
            for level in range(1, MAKER_LEVELS + 1):
                bid, ask = (
                    (centre - half * level) // view.tick_atoms,
                    -(-(centre + half * level) // view.tick_atoms),
                )
                for side, ticks in ((Side.BUY, bid), (Side.SELL, ask)):
                    events = self.place(MAKER, number, side, self.depth, ticks)
                    # Far from the last mark the band refuses a side; it is quoted again after the TICK.
                    self.quotes_touched |= events[0]["code"] != Code.OK

    def leave(self) -> None:
        """The maker goes home: the book is thin from now on."""
        self.cancel_all(MAKER)
        self.quoted.clear()

    # What there is to see

    def get_fair(self, number: int) -> int:
        """What a lot is truly worth: of a linear instrument the true price's part, of an option its mark."""
        view = self.engine.instruments[number]
        if view.kind in LINEAR and view.underlying == BTC:
            return self.price_atoms // view.lots_per_unit
        return int(self.engine.world.instruments[number]["mark_atoms"])

    def get_ticks(self, share_e6: int = 10**6, number: int = PERPETUAL) -> int:
        """A share of what a lot is worth, in whole ticks."""
        return self.get_fair(number) * share_e6 // (10**6 * self.engine.instruments[number].tick_atoms)

    def get_account(self, role: str) -> int:
        """The number of a role's account, or -1."""
        return self.engine.find_account(name_address(role))

    def get_cash(self, role: str) -> int:
        """The cash of a role."""
        return int(self.engine.world.accounts[self.get_account(role)]["cash_atoms"])

    def get_fund(self) -> int:
        """What is in the insurance fund."""
        return int(self.engine.world.house[0]["insurance_atoms"])

    def list_lots(self, role: str) -> dict[int, int]:
        """The lots that a role holds, by instrument."""
        account = self.get_account(role)
        if account < 0:
            return {}
        return {view.instrument: view.lots for view in read_positions(self.engine, account) if view.lots}

    def count_visible(self, side: Side, number: int = PERPETUAL) -> int:
        """The lots in one side of a book."""
        return sum(lots for _, lots, _ in read_book(self.engine, number, 64)[side])

    # The book about the adversary

    def note(self, rows: list[Event]) -> None:
        """Keep the book of withdrawals, and of what the adversary paid in fees and spread."""
        maker = self.get_account(MAKER)
        hostile = {self.get_account(role) for role in HOSTILE} - {-1}
        for row in rows:
            if row["kind"] == EventKind.WITHDRAWN:
                role = self.engine.addresses[row["account"]].decode().rstrip(".")
                self.withdrawn[role] += row["amount_atoms"]
            elif row["kind"] == EventKind.FILL:
                self.quotes_touched |= row["maker_account"] == maker
                tick_atoms = self.engine.instruments[row["instrument"]].tick_atoms
                cost = row["price_ticks"] * tick_atoms - self.get_fair(row["instrument"])
                cost *= row["lots"] if row["side"] == Side.BUY else -row["lots"]
                for account, fee, sign in (
                    ("account", "amount_atoms", 1),
                    ("maker_account", "maker_amount_atoms", -1),
                ):
                    if row[account] in hostile:
                        self.fees_atoms += row[fee]
                        self.spread_atoms += sign * cost

    def measure_worth(self, role: str) -> int:
        """Cash and lots of a role at what they are truly worth; negative if the account is in debt."""
        account = self.get_account(role)
        if account < 0:
            return 0
        worth = self.get_cash(role)
        for view in read_positions(self.engine, account):
            worth += view.lots * self.get_fair(view.instrument)
            if self.engine.instruments[view.instrument].kind in LINEAR:
                worth -= view.cost_atoms
        return worth

    def measure_extracted(self) -> int:
        """What the adversary's accounts together took from others, fees and spread deducted."""
        total = -self.chance_atoms - self.outside_atoms
        for role in HOSTILE:
            total += self.withdrawn[role] + max(0, self.measure_worth(role)) - self.deposited[role]
        return total


def list_fills(events: list[Event]) -> list[Event]:
    """The fills among events."""
    return [event for event in events if event["kind"] == EventKind.FILL]


def count_lots(events: list[Event]) -> int:
    """The lots that were filled."""
    return sum(event["lots"] for event in list_fills(events))
