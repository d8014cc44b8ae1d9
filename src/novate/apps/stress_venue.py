"""A venue in memory for stress tests: an engine, an operator, one oracle, and time that stands still between
commands.

Nothing is signed: an engine believes the signer that a command names, and commands here come from this
process only. The rest is as on a real venue: every position comes from an order, every mark from an oracle.
"""

import math
from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple

from novate.apps.listing_rule import Band, IndexPrice, ListingRule, Tenor, list_missing
from novate.apps.market import UNDERLYING_ROWS
from novate.apps.setup import CHAIN_ID, FEE_TIERS, MARGIN_PARAMETERS, round_up
from novate.apps.stress_market import History, StressError
from novate.apps.stress_surfaces import SurfaceFeed, choose_level, compute_forward_ratio
from novate.execution import views
from novate.execution.engine import Engine, Events, InstrumentView
from novate.protocol.command import Command, make_command
from novate.protocol.generated.codes import Code, CommandKind, EventKind, TimeInForce
from novate.protocol.generated.constants import E6, NS_PER_S, SCHEMA_VERSION
from novate.protocol.genesis import encode_genesis, parse_genesis
from novate.protocol.instrument import InstrumentTerms, format_instrument_name

OPERATOR, ORACLE, SETTLEMENT = b"\x0e" * 20, b"\x0a" * 20, b"\x5e" * 20
FAR_NS = 1 << 62
CONFIDENCE_E6 = E6
INSTRUMENTS_MAX = 2_048
# Room in the tables: counterparties, makers and backstops beside the accounts under test, and their orders.
HOUSE_ACCOUNTS = 64
ORDERS = 1 << 14
POSITIONS_PER_ACCOUNT = 8
HOUSE_POSITIONS = 4 * INSTRUMENTS_MAX

# A few expiries with ladders wide enough for a crash, and no more instruments than a test needs.
RULE = ListingRule(
    daily_count=1,
    weekly_count=2,
    monthly_count=1,
    quarterly_count=2,
    strikes_each_side=3,
    tenors=(Tenor(3, (Band(120_000, 40_000),)), Tenor(3_650, (Band(100_000, 50_000), Band(500_000, 80_000)))),
)


class Account(NamedTuple):
    """One account of the venue."""

    number: int
    address: bytes


def name_account(number: int) -> bytes:
    """Return the address of the account that deposits as the number-th."""
    return (number + 1).to_bytes(20, "big")


def make_document(names: Sequence[str], accounts: int, tick_ns: int) -> dict[str, Any]:
    """Return the genesis document of a venue with these underlyings. [GENESIS-1]"""
    parameters = {
        **MARGIN_PARAMETERS,
        # The oracle reports once a tick, so an index is fresh for a little longer than that.
        "observation_skew_ns": NS_PER_S,
        "observation_age_ns_max": 2 * tick_ns,
        "index_age_ns_max": 2 * tick_ns,
    }
    limits = {
        "accounts": round_up(accounts, HOUSE_ACCOUNTS),
        "orders": ORDERS,
        "positions": round_up(POSITIONS_PER_ACCOUNT * accounts, HOUSE_POSITIONS),
        "instruments": INSTRUMENTS_MAX,
        "series": 128,
        "triggers": 16,
    }
    return {
        "version": SCHEMA_VERSION,
        "chain_id": CHAIN_ID,
        "settlement": "0x" + SETTLEMENT.hex(),
        "operator": "0x" + OPERATOR.hex(),
        "oracles": ["0x" + ORACLE.hex()],
        "quorum": 1,
        "underlyings": [UNDERLYING_ROWS[name] for name in names],
        "limits": limits,
        "parameters": parameters,
        "fee_tiers": FEE_TIERS,
    }


class StressVenue:
    """The engine with its operator and oracle, at one moment of the histories."""

    def __init__(self, histories: Sequence[History], accounts: int, begin_ns: int, tick_ns: int) -> None:
        self.histories = tuple(histories)
        names = [each.name for each in histories]
        self.engine = Engine(parse_genesis(encode_genesis(make_document(names, accounts, tick_ns))))
        self.time_ns = begin_ns
        self.nonces: Counter[bytes] = Counter()
        self.refused: Counter[str] = Counter()
        self.feeds: list[SurfaceFeed] = []
        self.levels = [choose_level(each.find_volatility(begin_ns)) for each in histories]
        self.indexes_atoms = [each.compute_index_atoms(begin_ns) for each in histories]

    @property
    def instruments(self) -> list[InstrumentView]:
        """Every instrument ever listed, by number."""
        return self.engine.instruments

    def sign(self, kind: CommandKind, signer: bytes, **fields: int) -> Command:
        """Return a command of an account or the operator with its next nonce."""
        self.nonces[signer] += 1
        signed = {"nonce": self.nonces[signer], "expires_ns": FAR_NS} | fields
        return make_command(kind, self.time_ns, signer, b"", **signed)

    def place(self, signer: bytes, number: int, lots: int, ticks: int, time_in_force: TimeInForce) -> Command:
        """Return an order for signed lots at a limit in ticks."""
        side = 0 if lots > 0 else 1
        return self.sign(
            CommandKind.PLACE,
            signer,
            instrument=number,
            side=side,
            time_in_force=time_in_force,
            lots=abs(lots),
            price_ticks=ticks,
        )

    def cancel_all(self, signer: bytes) -> Command:
        """Return the command that ends all orders of an account."""
        return self.sign(CommandKind.CANCEL_ALL, signer, instrument=-1, label=0, group=0)

    def apply(self, commands: Sequence[Command]) -> Events:
        """Apply commands, count what was refused, and return all events."""
        events = self.engine.apply(commands)
        refused = events["code"][(events["kind"] == EventKind.RESULT) & (events["code"] != Code.OK)]
        for code in refused.tolist():
            self.refused[Code(code).name] += 1
        return events

    def must(self, commands: Sequence[Command]) -> Events:
        """Apply commands of the set-up, none of which may be refused; StressError otherwise."""
        before = self.refused.copy()
        events = self.apply(commands)
        if self.refused != before:
            raise StressError(f"the venue refused its set-up: {dict(self.refused - before)}")
        return events

    def list_terms(self, extra: Sequence[InstrumentTerms]) -> list[InstrumentTerms]:
        """Return what the rule lists now, and what a portfolio needs beside it."""
        prices = [
            IndexPrice(number, index, UNDERLYING_ROWS[history.name]["index_atoms_max"])
            for number, (history, index) in enumerate(zip(self.histories, self.indexes_atoms, strict=True))
        ]
        terms = list_missing(self.time_ns, prices, RULE, (), INSTRUMENTS_MAX)
        known = set(terms)
        return terms + [each for each in dict.fromkeys(extra) if each not in known]

    def open_market(self, extra: Sequence[InstrumentTerms] = ()) -> None:
        """List instruments, and publish the first index and surfaces, so that there are marks.

        Errors     StressError if the law refuses an instrument; its message names it.
        """
        terms = self.list_terms(extra)
        if len(terms) > INSTRUMENTS_MAX:
            raise StressError(f"at most {INSTRUMENTS_MAX} instruments, found {len(terms)}")
        for each in terms:
            command = self.sign(
                CommandKind.LIST_INSTRUMENT,
                OPERATOR,
                underlying=each.underlying,
                instrument_kind=each.kind,
                strike_atoms=each.strike_atoms,
                expiry_ns=each.expiry_ns,
            )
            code = int(self.apply([command])["code"][0])
            if code != Code.OK:
                name = format_instrument_name(self.histories[each.underlying].name, each)
                raise StressError(f"{name} cannot be listed: {Code(code).name}")
        for number in range(len(self.histories)):
            mine = {each.expiry_ns for each in self.instruments if each.underlying == number}
            self.feeds.append(SurfaceFeed(tuple(sorted(mine - {0}))))
        self.must([*self.report(), self.tick()])

    def advance(self, time_ns: int) -> None:
        """Let time pass: index and volatility become those of the files at that time."""
        self.time_ns = time_ns
        for number, history in enumerate(self.histories):
            self.indexes_atoms[number] = history.compute_index_atoms(time_ns)
            self.levels[number] = choose_level(history.find_volatility(time_ns))

    def report(self) -> list[Command]:
        """Return the oracle's reports of every index and surface as they are now."""
        commands = []
        for number, (feed, index) in enumerate(zip(self.feeds, self.indexes_atoms, strict=True)):
            command = make_command(
                CommandKind.INDEX,
                self.time_ns,
                ORACLE,
                underlying=number,
                index_atoms=index,
                confidence_e6=CONFIDENCE_E6,
                observed_ns=self.time_ns,
            )
            commands.append(command)
            for expiry_ns, (a, b, rho, m, sigma) in feed.renew(self.time_ns, self.levels[number]):
                surface = make_command(
                    CommandKind.SURFACE,
                    self.time_ns,
                    ORACLE,
                    underlying=number,
                    expiry_ns=expiry_ns,
                    forward_atoms=math.floor(index * compute_forward_ratio(self.time_ns, expiry_ns)),
                    svi_a_x48=a,
                    svi_b_x48=b,
                    svi_rho_x48=rho,
                    svi_m_x48=m,
                    svi_sigma_x48=sigma,
                    observed_ns=self.time_ns,
                )
                commands.append(surface)
        return commands

    def tick(self) -> Command:
        """Return the TICK of this moment."""
        return make_command(CommandKind.TICK, self.time_ns)

    def deposit(self, amounts_atoms: Sequence[int]) -> list[Account]:
        """Open one account per amount, in order, and return them."""
        first = len(self.engine.addresses)
        cursor = int(self.engine.world.house["deposit_cursor"][0])
        accounts = [Account(first + i, name_account(first + i)) for i in range(len(amounts_atoms))]
        self.must(
            [
                make_command(
                    CommandKind.DEPOSIT,
                    self.time_ns,
                    each.address,
                    cursor=cursor + 1 + i,
                    amount_atoms=amount,
                )
                for i, (each, amount) in enumerate(zip(accounts, amounts_atoms, strict=True))
            ]
        )
        return accounts

    def find_mark(self, number: int) -> int:
        """Return the mark of a lot in atoms, NO_MARK_ATOMS if there is none."""
        return views.read_instrument_state(self.engine, number).mark_atoms

    def measure_insurance(self) -> int:
        """Return the insurance fund in atoms."""
        return int(self.engine.world.house["insurance_atoms"][0])

    def find_gaps(self) -> tuple[int, int]:
        """Return atoms and lots that are missing from [CASH-3]: zeros, always."""
        return views.compute_conservation_gap(self.engine), views.compute_lots_gap(self.engine)
