"""A venue with two instruments in BTC and four traders, to replay an order's life by hand.

The index is 80 000, so a perpetual's lot is worth 80 000 000 atoms, or 32 000 ticks. Commands carry no
signature: the replayer reads who signed, not the proof.
"""

from dataclasses import dataclass, field
from typing import NamedTuple

from novate.protocol.command import make_command
from novate.protocol.generated.codes import CancelReason, Code, CommandKind, InstrumentKind, Side, TimeInForce
from novate.protocol.generated.constants import SCENARIO_COUNT
from novate.protocol.generated.records import COMMAND_FIELDS, SIGNED_BY
from novate.protocol.genesis import Genesis, encode_genesis, parse_genesis
from novate.verification.replay import Replayer, recount
from novate.verification.risk import find_portfolio, recompute_portfolio
from novate.verification.state import Account, Instrument, Order, Portfolio, State, WaitingOrder
from novate.verification.tree import StateTree

SECOND = 1_000_000_000
MS = 1_000_000
START_NS = 1_774_512_000 * SECOND
EXPIRY_NS = START_NS + 30 * 86_400 * SECOND
ONE = 1 << 48
USDC = 1_000_000
PERPETUAL, CALL = 0, 1
MARK_TICKS = 32_000
TRADER_COUNT = 4
FAR_NS = 1 << 62


def make_address(number: int) -> bytes:
    """The address of a trader, or of whoever else the number stands for."""
    return bytes([number + 1]) * 20


OPERATOR, ORACLE = make_address(0x70), make_address(0x71)


def make_genesis(**limits: int) -> Genesis:
    """One underlying, one oracle, and small tables; a limit given replaces the usual one."""
    rates = {
        "option_taker_e6": 300,
        "option_maker_e6": 100,
        "futures_taker_e6": 500,
        "futures_maker_e6": -100,
    }
    sizes = {"accounts": 8, "orders": 64, "positions": 32, "instruments": 8, "series": 4, "triggers": 16}
    figures = {
        "option_lots_per_unit": 100,
        "option_tick_atoms": 50_000,
        "perpetual_lots_per_unit": 1_000,
        "perpetual_tick_atoms": 2_500,
        "funding_impact_lots": 1_000,
        "slice_notional_atoms": 50_000_000_000,
    }
    parameters = {
        "observation_skew_ns": 2 * SECOND,
        "observation_age_ns_max": 3_600 * SECOND,
        "index_age_ns_max": 3_600 * SECOND,
        "futures_initial_e6": 20_000,
        "futures_maintenance_e6": 10_000,
        "short_initial_e6": 30_000,
        "short_maintenance_e6": 15_000,
        "basis_shift_e6": 10_000,
        "confidence_threshold_e6": 950_000,
        "confidence_rate_e6": 50_000,
        "option_band_e6": 20_000,
        "futures_band_e6": 100_000,
        "option_fee_cap_e6": 125_000,
        "insurance_share_e6": 100_000,
        "funding_cap_e9": 0,
        "funding_deadband_e9": 0,
        "warning_e6": 1_200_000,
        "liquidation_fee_e6": 5_000,
        "slice_tick_count": 5,
        "auction_tick_count": 10,
        "auction_step_e6": 50_000,
    }
    document = {
        "version": 1,
        "chain_id": 31337,
        "settlement": "0x" + make_address(0x72).hex(),
        "operator": "0x" + OPERATOR.hex(),
        "oracles": ["0x" + ORACLE.hex()],
        "quorum": 1,
        "underlyings": [{"name": "BTC", "index_atoms_max": 10**12, **figures}],
        "fee_tiers": [rates],
        "limits": sizes | limits,
        "parameters": parameters,
    }
    return parse_genesis(encode_genesis(document))


class Parties(NamedTuple):
    """What a command may say beyond its signer and its fields."""

    account: bytes = b""
    subject: bytes = b""
    cosigner: bytes = b""
    items: tuple[tuple[int, ...], ...] = ()


@dataclass
class Desk:
    """Applies commands a millisecond apart and remembers what the last one ended."""

    genesis: Genesis = field(default_factory=make_genesis)
    deposits: tuple[int, ...] = (10**6 * USDC,) * TRADER_COUNT
    time_ns: int = START_NS
    nonce: int = 0

    def __post_init__(self) -> None:
        self.replayer = Replayer(self.genesis)
        for number, amount in enumerate(self.deposits):
            fields = {"cursor": number + 1, "amount_atoms": amount}
            assert Code.OK == self.apply(CommandKind.DEPOSIT, make_address(number), **fields)
        for kind, strike, expiry in (
            (InstrumentKind.PERPETUAL, 0, 0),
            (InstrumentKind.CALL, 82_000 * USDC, EXPIRY_NS),
        ):
            terms = {"underlying": 0, "instrument_kind": kind, "strike_atoms": strike, "expiry_ns": expiry}
            assert Code.OK == self.apply(CommandKind.LIST_INSTRUMENT, OPERATOR, **terms)
        self.report_index(80_000)
        variance = 0.36 * 30 / 365
        shape = (0.6 * variance, 0.4 * variance / 0.3, -0.1, 0.0, 0.3)
        names = ("a", "b", "rho", "m", "sigma")
        surface = {f"svi_{n}_x48": int(v * ONE) for n, v in zip(names, shape, strict=True)}
        surface |= {"underlying": 0, "expiry_ns": EXPIRY_NS, "forward_atoms": 80_000 * USDC}
        assert Code.OK == self.apply(CommandKind.SURFACE, ORACLE, observed_ns=self.time_ns, **surface)
        self.tick()

    @property
    def state(self) -> State:
        return self.replayer.state

    @property
    def endings(self) -> list[tuple[int, str]]:
        """What ended in the last command, in order."""
        return [(order_id, CancelReason(reason).name) for order_id, reason in self.state.endings]

    @property
    def call(self) -> Instrument:
        return self.state.instruments[CALL]

    def account(self, trader: int) -> Account:
        return self.state.accounts[trader]

    def lots(self, trader: int, instrument: int = PERPETUAL) -> int:
        """The lots that a trader holds."""
        position = self.account(trader).holdings[0].get(instrument)
        return position.lots if position else 0

    def book(self, side: Side, instrument: int = PERPETUAL) -> list[tuple[int, int, int, int]]:
        """One side as (order id, ticks, lots, visible lots), in the order of matching."""
        book = self.state.instruments[instrument].books[side]
        orders = [order for key in book.keys for order in book.levels[abs(key)].values()]
        return [(order.order_id, order.price_ticks, order.lots, order.visible_lots) for order in orders]

    def order(self, order_id: int) -> Order:
        return self.state.orders[order_id]

    def waiting(self, order_id: int) -> WaitingOrder:
        return self.state.waiting[order_id]

    def apply(
        self, kind: CommandKind, signer: bytes = b"", parties: Parties | None = None, **fields: int
    ) -> Code:
        """Apply one command a millisecond after the last."""
        self.time_ns += MS
        if SIGNED_BY[kind] in ("account", "operator"):
            self.nonce += 1
            fields = {"nonce": self.nonce, "expires_ns": FAR_NS} | fields
        command = make_command(kind, self.time_ns, signer, **fields)
        self.outcome = self.replayer.apply(command._replace(**(parties or Parties())._asdict()))
        return self.outcome.code

    def ask(
        self,
        kind: CommandKind,
        trader: int,
        signer: bytes = b"",
        parties: Parties | None = None,
        **fields: int,
    ) -> Code:
        """Apply a trader's command; a PLACE or PLACE_TRIGGER that says no more buys ten lots at the mark."""
        if kind in (CommandKind.PLACE, CommandKind.PLACE_TRIGGER):
            usual = {"instrument": PERPETUAL, "side": Side.BUY, "lots": 10, "price_ticks": MARK_TICKS}
            fields = usual | {"time_in_force": TimeInForce.GTC} | fields
        names = COMMAND_FIELDS[kind]
        assert set(fields) <= set(names)
        if signer:
            parties = (parties or Parties())._replace(account=make_address(trader))
        return self.apply(kind, signer or make_address(trader), parties, **fields)

    def place(self, trader: int, side: Side, **fields: int) -> int:
        """Place an order that must be accepted and return its id."""
        assert Code.OK == self.ask(CommandKind.PLACE, trader, side=side, **fields)
        return self.outcome.order_id

    def list_combo(self, *legs: tuple[int, int]) -> Code:
        """List a combo of (instrument, ratio); its mark comes with the next TICK."""
        return self.apply(CommandKind.LIST_COMBO, OPERATOR, Parties(items=legs))

    def wait(self, trader: int, side: Side, **fields: int) -> int:
        """Place an order that must be accepted to wait and return its id."""
        fields = {"reference": 0, "condition": 0} | fields
        assert Code.OK == self.ask(CommandKind.PLACE_TRIGGER, trader, side=side, **fields)
        return self.outcome.order_id

    def report_index(self, dollars: int) -> None:
        fields = {"underlying": 0, "index_atoms": dollars * USDC, "confidence_e6": 990_000}
        assert Code.OK == self.apply(CommandKind.INDEX, ORACLE, observed_ns=self.time_ns, **fields)

    def tick(self, dollars: int | None = None) -> None:
        """A TICK, after a new index if one is given."""
        if dollars is not None:
            self.report_index(dollars)
        assert Code.OK == self.apply(CommandKind.TICK)

    def trade(self, buyer: int, seller: int, lots: int, price_ticks: int = MARK_TICKS) -> None:
        """Let two traders trade with each other on an empty book."""
        self.place(seller, Side.SELL, lots=lots, price_ticks=price_ticks)
        self.place(buyer, Side.BUY, lots=lots, price_ticks=price_ticks)

    def check(self) -> None:
        """Compare everything that is kept in two ways: sums, slots, records and leaves."""
        state = self.state
        recount(state)
        for account in state.accounts:
            for underlying, market in enumerate(state.markets):
                afresh = Portfolio(SCENARIO_COUNT)
                recompute_portfolio(afresh, account.holdings[underlying].values(), market)
                running = find_portfolio(state, account, underlying)
                assert read_sums(afresh) == read_sums(running)
            orders = [order for order in state.orders.values() if order.account is account]
            assert len(orders) == account.open_order_count
        held = [p for account in state.accounts for holdings in account.holdings for p in holdings.values()]
        assert len(held) == state.position_count
        assert all(not position.is_empty for position in held)
        assert {order.slot: order for order in state.orders.values()} == state.slots
        assert {order.slot: order for order in state.waiting.values()} == state.waiting_slots
        known = state.orders.keys() | state.waiting.keys()
        assert all(order.parent_id in known | {0} for order in state.waiting.values())
        assert not state.ready
        self.check_leaves()

    def check_leaves(self) -> None:
        """The tree that followed every change is the one built from the state alone."""
        state, root = self.state, self.replayer.state_root()
        state.dirty_accounts |= set(range(len(state.accounts)))
        state.dirty_instruments |= set(range(len(state.instruments)))
        state.dirty_slots |= set(state.slots)
        state.dirty_waiting_slots |= set(state.waiting_slots)
        assert StateTree().compute_root(state) == root


def read_sums(portfolio: Portfolio) -> list[object]:
    """Every sum of a portfolio, comparable."""
    sums: list[object] = [portfolio.pnl.tolist(), portfolio.effects.tolist()]
    sums.append({series: row for series, row in portfolio.basis.items() if any(row)})
    plain = (name for name in Portfolio.__slots__ if name not in ("pnl", "effects", "basis"))
    return sums + [getattr(portfolio, name) for name in plain]
