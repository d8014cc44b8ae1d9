"""A desk that speaks to the replayer alone: unsigned commands at chosen times, in a venue with one oracle."""

import json
from typing import Any

from novate.protocol.command import make_command
from novate.protocol.generated.codes import Code, CommandKind, InstrumentKind, Side, TimeInForce
from novate.protocol.generated.records import COMMAND_FIELDS, SIGNED_BY
from novate.protocol.genesis import encode_genesis, parse_genesis
from novate.verification.replay import Replayer
from novate.verification.state import Account, Instrument, Order
from tests.verification.small_genesis import ONE, SECOND, START_S, make_genesis

BTC, ETH = 0, 1
MAKER, TAKER, STRANGER = (bytes([n]) * 20 for n in (1, 2, 3))
DEPOSIT_ATOMS = 10**13
SPOT_ATOMS = 80_000_000_000
DAY = 86_400 * SECOND
YEAR = 365 * DAY
VOLATILITY = 0.6


class Desk:
    """Applies commands one by one; every one asserts its code."""

    def __init__(self, tiers: list[dict[str, int]] | None = None, **parameters: int) -> None:
        document: dict[str, Any] = json.loads(make_genesis().raw)
        document["oracles"], document["quorum"] = document["oracles"][:1], 1
        document["parameters"] |= parameters
        document["fee_tiers"] = tiers or document["fee_tiers"]
        self.genesis = parse_genesis(encode_genesis(document))
        self.replayer = Replayer(self.genesis)
        self.state = self.replayer.state
        self.time_ns = START_S * SECOND
        self.nonce = 0
        self.cursor = 0

    def apply(
        self,
        kind: CommandKind,
        signer: bytes = b"",
        expected: Code = Code.OK,
        items: tuple[tuple[int, ...], ...] = (),
        **fields: int,
    ) -> int:
        """Apply one command now and return its order id."""
        if "nonce" in COMMAND_FIELDS[kind]:
            self.nonce += 1
            fields |= {"nonce": self.nonce, "expires_ns": self.time_ns + DAY}
        if SIGNED_BY[kind] == "operator":
            signer = signer or self.genesis.operator
        command = make_command(kind, self.time_ns, signer, **fields)._replace(items=items)
        outcome = self.replayer.apply(command)
        assert expected == outcome.code
        return outcome.order_id

    def open(self) -> None:
        """Three rich accounts."""
        for signer in (MAKER, TAKER, STRANGER):
            self.cursor += 1
            self.apply(CommandKind.DEPOSIT, signer, cursor=self.cursor, amount_atoms=DEPOSIT_ATOMS)

    def add(
        self, kind: InstrumentKind, strike_atoms: int = 0, expiry_ns: int = 0, expected: Code = Code.OK
    ) -> int:
        """List a BTC instrument and return its number."""
        fields = {"underlying": BTC, "instrument_kind": kind, "strike_atoms": strike_atoms}
        self.apply(CommandKind.LIST_INSTRUMENT, expected=expected, expiry_ns=expiry_ns, **fields)
        return len(self.state.instruments) - 1

    def report(self, index_atoms: int = SPOT_ATOMS, confidence_e6: int = 1_000_000) -> None:
        """The oracle reports the BTC index, a microsecond later than anything before."""
        self.time_ns += 1_000
        fields = {"underlying": BTC, "index_atoms": index_atoms, "confidence_e6": confidence_e6}
        oracle = self.genesis.oracles[0]
        self.apply(CommandKind.INDEX, oracle, observed_ns=self.time_ns, **fields)

    def draw(self, expiry_ns: int, forward_atoms: int = SPOT_ATOMS) -> None:
        """The oracle reports a flat surface of sixty per cent."""
        self.time_ns += 1_000
        variance = VOLATILITY**2 * (expiry_ns - self.time_ns) / YEAR
        names = ("a", "b", "rho", "m", "sigma")
        values = (int(variance * ONE), 0, 0, 0, int(0.3 * ONE))
        fields = {f"svi_{name}_x48": value for name, value in zip(names, values, strict=True)}
        fields |= {"underlying": BTC, "expiry_ns": expiry_ns, "forward_atoms": forward_atoms}
        self.apply(CommandKind.SURFACE, self.genesis.oracles[0], observed_ns=self.time_ns, **fields)

    def tick(self, time_ns: int = 0) -> None:
        """A TICK, at a later time if one is given."""
        self.time_ns = max(self.time_ns, time_ns)
        self.apply(CommandKind.TICK)

    def seal(self) -> None:
        """A SEAL, which counts everything again."""
        self.apply(CommandKind.SEAL, batch=self.state.batch + 1)
        self.replayer.state_root()

    def place(
        self,
        signer: bytes,
        instrument: int,
        side: Side,
        lots: int,
        price_ticks: int,
        expected: Code = Code.OK,
        time_in_force: TimeInForce = TimeInForce.GTC,
        **fields: int,
    ) -> int:
        """A PLACE; returns the order id."""
        fields |= {"instrument": instrument, "side": side, "lots": lots, "price_ticks": price_ticks}
        return self.apply(CommandKind.PLACE, signer, expected, time_in_force=time_in_force, **fields)

    def trade(self, buyer: bytes, seller: bytes, instrument: int, lots: int, price_ticks: int) -> None:
        """The seller rests, the buyer takes."""
        self.place(seller, instrument, Side.SELL, lots, price_ticks)
        self.place(buyer, instrument, Side.BUY, lots, price_ticks, time_in_force=TimeInForce.IOC)

    def protect(self, expected: Code = Code.OK, group: int = 1, **fields: int) -> None:
        """The maker sets a group up."""
        figures = {
            "underlying": BTC,
            "window_ns": SECOND,
            "frozen_ns": 5 * SECOND,
            "quantity_limit_lots": 10,
            "delta_limit_atoms": 0,
            "vega_limit_atoms": 0,
        }
        self.apply(CommandKind.SET_MMP, MAKER, expected, group=group, **(figures | fields))

    def quote(self, *items: tuple[int, ...], expected: Code = Code.OK, group: int = 1) -> None:
        """The maker quotes (instrument, bid ticks, bid lots, ask ticks, ask lots)."""
        self.apply(CommandKind.MASS_QUOTE, MAKER, expected, items, group=group)

    def account(self, signer: bytes) -> Account:
        """One account."""
        return self.state.accounts[self.state.account_numbers[signer]]

    def instrument(self, number: int) -> Instrument:
        """One instrument."""
        return self.state.instruments[number]

    def quotes(self, group: int = 1) -> list[tuple[int, int, int, int]]:
        """The open quotes of the maker's group as (instrument, side, ticks, lots), oldest first."""
        return [describe(order) for order in self.state.orders.values() if order.group == group]


def describe(order: Order) -> tuple[int, int, int, int]:
    """What a quote shows."""
    return order.instrument.number, order.side, order.price_ticks, order.lots


def report_both(desk: Desk, *dollars: int) -> None:
    """The oracle reports both indices."""
    desk.time_ns += 1_000
    for underlying, amount in enumerate(dollars):
        fields = {"underlying": underlying, "index_atoms": amount * 1_000_000, "confidence_e6": 990_000}
        oracle = desk.genesis.oracles[0]
        desk.apply(CommandKind.INDEX, oracle, observed_ns=desk.time_ns, **fields)
