"""What the insurance fund gains by penalties, and what it pays once it has money again, as replayed."""

import pytest

from novate.protocol.generated.codes import EventKind, Side
from novate.verification.steps import Step
from tests.verification.liquidation_desk import DEBTOR, EQUITY, FUND, HELPER, LOTS, RICH, make_desk
from tests.verification.order_desk import CALL, USDC

BUY, SELL = Side


@pytest.mark.parametrize("rate_e6", [100_000, 5_000])
def test_an_options_penalty_is_an_eighth_of_its_worth_at_most(rate_e6: int) -> None:
    """[LIQ-3]: ten short calls at 85 000; three are bought back. A tenth of 3 * 850 is 255 and above the
    cap; half a per cent is 12.75, and below it.
    """
    desk = make_desk((10**6, 1_400, 10**6, 10**6), liquidation_fee_e6=rate_e6)
    desk.trade_at_mark(RICH, DEBTOR, 10, CALL)
    # The mark is some 73.7 USDC: the offer is above it and well inside the band of 2 % of 850.
    desk.place(HELPER, SELL, instrument=CALL, lots=3, price_ticks=74 * 20)
    fund = desk.state.insurance_atoms
    desk.tick(85_000)
    mark = desk.call.mark_atoms
    assert 73 * USDC < mark < 74 * USDC
    penalty = -(-3 * mark // 8) if rate_e6 == 100_000 else 12_750_000
    assert ["LIQUIDATION_STARTED", "SLICE", "PENALTY"] == desk.tell()[:3]
    assert Step(EventKind.PENALTY, DEBTOR, amount_atoms=penalty) == desk.step(EventKind.PENALTY)
    # A tenth of both sides' fees: 3 and 1 in 10 000 of 3 * 850, 0.765 and 0.255.
    assert fund + penalty + 102_000 == desk.state.insurance_atoms
    desk.check()


def test_a_debt_is_paid_when_the_fund_has_money_again() -> None:
    """[LIQ-1] [LIQ-7]: a debt that the fund lacked is paid at a TICK, by what others pay in, once."""
    desk = make_desk()
    desk.sell_to_debtor()
    desk.place(HELPER, BUY, lots=LOTS, price_ticks=25_080)
    desk.tick(62_700)
    # 30 * 17.3 lost and 30 * 0.03135 of fees, of 498.8: 21.1405 owed. The fund has 0.096 and a tenth of what
    # the fees of 0.03135 less the rebate of 0.00627 leave, 0.07524.
    debt, fund = 30 * 17_300_000 + 30 * 31_350 - EQUITY, FUND + 75_240
    assert (21_140_500, 171_240) == (debt, fund)
    assert (fund - debt, 0) == (desk.cash(DEBTOR), desk.state.insurance_atoms)
    desk.tick()
    assert [] == desk.state.steps, "An empty fund pays nothing, and says nothing."
    for paid_in, paid_out, owed, left in (
        (3 * USDC, 3 * USDC, 17_969_260, 0),
        (20 * USDC, 17_969_260, 0, 2_030_740),
    ):
        desk.insure(RICH, paid_in)
        desk.tick()
        assert [Step(EventKind.INSURED, DEBTOR, amount_atoms=paid_out)] == desk.state.steps
        assert (-owed, left) == (desk.cash(DEBTOR), desk.state.insurance_atoms)
        desk.check()
    desk.tick()
    assert [] == desk.state.steps
