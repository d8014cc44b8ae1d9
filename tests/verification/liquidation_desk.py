"""A desk on which one poor trader's long position falls below its maintenance requirement.

Four traders: RICH sold the perpetual to DEBTOR, HELPER and WITNESS look on. At 80 000 the debtor has 498.8 of
its 500 USDC left; each lot needs 13.8 % of its notional, 80 % of the worst move of 16 % and one for futures.
"""

import json

from novate.protocol.generated.codes import Code, CommandKind, EventKind, InstrumentKind, Side
from novate.protocol.genesis import encode_genesis, parse_genesis
from novate.verification.steps import Step
from tests.verification.order_desk import EXPIRY_NS, MARK_TICKS, OPERATOR, USDC, Desk, make_genesis

RICH, DEBTOR, HELPER, WITNESS = range(4)
LOTS = 30
EQUITY = 500 * USDC - LOTS * 40_000
# What the fees of the first trade left in the fund: a tenth of 40 000 less the maker's 8 000 per lot.
FUND = LOTS * 3_200
FUTURE = 2


class FallingDesk(Desk):
    """A desk that tells a liquidation step by step."""

    def sell_to_debtor(self, lots: int = LOTS, price_ticks: int = MARK_TICKS) -> None:
        """The debtor takes what the rich trader offers."""
        self.trade(DEBTOR, RICH, lots, price_ticks)

    def trade_at_mark(self, buyer: int, seller: int, lots: int, instrument: int) -> None:
        """Let two traders trade at the last tick below the mark."""
        listed = self.state.instruments[instrument]
        fields = {"instrument": instrument, "price_ticks": listed.mark_atoms // listed.tick_atoms}
        self.place(seller, Side.SELL, lots=lots, **fields)
        self.place(buyer, Side.BUY, lots=lots, **fields)

    def tell(self) -> list[str]:
        """The names of the last command's steps."""
        return [step.kind.name for step in self.state.steps]

    def step(self, kind: EventKind) -> Step:
        """The only step of a kind in the last command."""
        (found,) = self.steps(kind)
        return found

    def steps(self, kind: EventKind) -> list[Step]:
        """The steps of a kind in the last command."""
        return [step for step in self.state.steps if step.kind == kind]

    def insure(self, trader: int, amount_atoms: int) -> None:
        assert Code.OK == self.ask(CommandKind.INSURE, trader, amount_atoms=amount_atoms)

    def back(self, trader: int, demand_e6: int) -> None:
        assert Code.OK == self.ask(CommandKind.BACKSTOP, trader, demand_e6=demand_e6)

    def cash(self, trader: int) -> int:
        return self.account(trader).cash_atoms

    def deposit(self, trader: int, amount_atoms: int) -> None:
        cursor, signer = self.state.deposit_cursor + 1, self.account(trader).address
        code = self.apply(CommandKind.DEPOSIT, signer, cursor=cursor, amount_atoms=amount_atoms)
        assert Code.OK == code

    def add_future(self) -> None:
        """A dated future of the call's series, marked at the forward."""
        terms = {"instrument_kind": InstrumentKind.FUTURE, "strike_atoms": 0, "expiry_ns": EXPIRY_NS}
        assert Code.OK == self.apply(CommandKind.LIST_INSTRUMENT, OPERATOR, underlying=0, **terms)
        self.tick(80_000)


def make_desk(
    deposits: tuple[int, ...] = (10**6, 500, 10**6, 10**6),
    figures: dict[str, int] | None = None,
    **parameters: int,
) -> FallingDesk:
    """A desk with deposits in USDC; `figures` are of the underlying."""
    document = json.loads(make_genesis().raw)
    document["parameters"] |= parameters
    document["underlyings"][0] |= figures or {}
    genesis = parse_genesis(encode_genesis(document))
    return FallingDesk(genesis, tuple(amount * USDC for amount in deposits))
