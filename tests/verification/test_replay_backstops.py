"""Who takes a portfolio and for what, as the replayer reads it: a lone backstop, and one that cannot judge
what it holds.
"""

from novate.protocol.generated.codes import CommandKind, EventKind, InstrumentKind, Side
from tests.verification.liquidation_desk import DEBTOR, EQUITY, LOTS, WITNESS, make_desk
from tests.verification.order_desk import SECOND, USDC
from tests.verification.replay_desk import BTC, ETH, MAKER, STRANGER, TAKER, Desk, report_both


def test_a_lone_backstop_gets_its_demand_and_no_more() -> None:
    """[LIQ-4]: 30 lots of 72 need 298.08. 5 % of it is on offer; 2.0001 %, 5.96189808, was asked."""
    desk = make_desk(slice_tick_count=1)
    desk.sell_to_debtor()
    desk.back(WITNESS, 20_001)
    desk.tick(72_000)
    desk.tick()
    taken = desk.step(EventKind.AUCTION_TAKEN)
    assert (WITNESS, 5_961_899, 0) == (taken.maker_account, taken.amount_atoms, taken.maker_amount_atoms)
    assert EQUITY - LOTS * 8 * USDC - 5_961_899 == desk.cash(DEBTOR)
    desk.check()


def test_a_backstop_that_holds_what_is_stale_is_passed() -> None:
    """[LIQ-5]: its own lots in ETH, which nobody can judge, bar it from a portfolio in BTC; orders do not."""
    desk = Desk(slice_tick_count=1)
    desk.open()
    debtor = b"\x09" * 20
    desk.apply(CommandKind.DEPOSIT, debtor, cursor=4, amount_atoms=80 * USDC)
    fields = {"instrument_kind": InstrumentKind.PERPETUAL, "strike_atoms": 0, "expiry_ns": 0}
    for underlying in (BTC, ETH):
        desk.apply(CommandKind.LIST_INSTRUMENT, underlying=underlying, **fields)
    report_both(desk, 80_000, 2_500)
    desk.tick()
    desk.trade(debtor, MAKER, 0, 5, 32_000)
    desk.trade(STRANGER, MAKER, 1, 1, 25_000)
    desk.place(TAKER, 1, Side.BUY, 1, 24_000)
    for signer, demand in ((STRANGER, 0), (TAKER, 30_000)):
        desk.apply(CommandKind.BACKSTOP, signer, demand_e6=demand)
    desk.time_ns += 3_601 * SECOND
    # Five lots of 74 need 51.06 of the 80 - 30 - 0.2 that are left.
    desk.report(74_000 * USDC)
    desk.tick()
    assert ["LIQUIDATION_STARTED", "SLICE", "AUCTION_STARTED"] == [
        step.kind.name for step in desk.state.steps
    ]
    desk.tick()
    takers = [step.maker_account for step in desk.state.steps if step.kind == EventKind.AUCTION_TAKEN]
    assert [desk.account(TAKER).number] == takers
    desk.seal()
