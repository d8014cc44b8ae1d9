"""The commands of liquidation as the replayer reads them, and what an account in it may not do."""

import pytest

from novate.protocol.generated.codes import Code, CommandKind, EventKind, InstrumentKind, OrderFlag, Side
from novate.verification.published import PublishedCommand
from novate.verification.signatures import check_signatures
from novate.verification.steps import Step
from novate.verification.tree import list_account_elements, list_house_elements
from tests.verification.liquidation_desk import (
    DEBTOR,
    EQUITY,
    FUND,
    HELPER,
    RICH,
    FallingDesk,
    make_desk,
)
from tests.verification.order_desk import FAR_NS, OPERATOR, TRADER_COUNT, USDC
from tests.verification.small_genesis import OPERATOR as OPERATOR_KEY
from tests.verification.small_genesis import TRADERS
from tests.verification.small_venue import Script

BUY, SELL = Side
MMP_FIELDS = (
    "group",
    "underlying",
    "window_ns",
    "frozen_ns",
    "quantity_limit_lots",
    "delta_limit_atoms",
    "vega_limit_atoms",
)


@pytest.fixture
def desk() -> FallingDesk:
    """The debtor holds thirty lots."""
    desk = make_desk()
    desk.sell_to_debtor()
    return desk


def test_what_an_account_in_liquidation_may_not_do(desk: FallingDesk) -> None:
    """[LIQ-10]: refused after the signature's checks, before all others; the nonce is used up."""
    desk.tick(72_000)
    assert Code.NONCE_REPLAYED == desk.ask(CommandKind.PLACE, DEBTOR, nonce=1, expires_ns=FAR_NS)
    for kind, fields in (
        (CommandKind.PLACE, {"lots": 0}),
        (CommandKind.PLACE, {"side": SELL, "flags": OrderFlag.REDUCE_ONLY}),
        (CommandKind.REPLACE, {"order_id": 0, "lots": 0, "price_ticks": 0}),
        (CommandKind.PLACE_TRIGGER, {"reference": 9, "condition": 0, "trigger_atoms": 0}),
        (CommandKind.MASS_QUOTE, {"group": 9}),
        (CommandKind.WITHDRAW, {"amount_atoms": 0}),
        (CommandKind.INSURE, {"amount_atoms": 0}),
    ):
        assert Code.IN_LIQUIDATION == desk.ask(kind, DEBTOR, **fields)
        assert desk.nonce == desk.account(DEBTOR).nonce
    for kind, code, fields in (
        (CommandKind.CANCEL, Code.ORDER_NOT_FOUND, {"order_id": 1}),
        (CommandKind.CANCEL_ALL, Code.OK, {"instrument": -1, "label": 0, "group": 0}),
        (CommandKind.BACKSTOP, Code.OK, {"demand_e6": 1}),
        (CommandKind.PROTECT, Code.OK, {"timeout_ns": 0, "cancel_on_disconnect": 0}),
        (CommandKind.SET_MMP, Code.GROUP_INVALID, dict.fromkeys(MMP_FIELDS, 0)),
    ):
        assert code == desk.ask(kind, DEBTOR, **fields)
    desk.deposit(DEBTOR, 1)


def test_backstops_say_what_they_demand() -> None:
    """[LIQ-9]: from nothing to all of the requirement, -1 for no offer; it is in the account's leaf."""
    desk = make_desk()
    for demand, code in ((-2, Code.DEMAND_INVALID), (10**6 + 1, Code.DEMAND_INVALID)):
        assert code == desk.ask(CommandKind.BACKSTOP, HELPER, demand_e6=demand)
    assert Code.ACCOUNT_NOT_FOUND == desk.ask(CommandKind.BACKSTOP, TRADER_COUNT, demand_e6=0)
    for demand in (0, 10**6, -1, 7):
        desk.back(HELPER, demand)
        assert demand == list_account_elements(desk.account(HELPER))[9]
        assert (HELPER, 0) == desk.outcome[1:]
    desk.check()


def test_the_operator_sets_the_slice() -> None:
    """[LIQ-9] [STATE-6]: in the order of the codes; the house leaf ends with each underlying's."""
    desk = make_desk()
    fields = {"underlying": 0, "slice_notional_atoms": 5}
    assert Code.OPERATOR_UNKNOWN == desk.ask(CommandKind.SET_SLICE, RICH, **fields)
    for underlying, amount, code in (
        (1, 0, Code.UNDERLYING_NOT_FOUND),
        (-1, 5, Code.UNDERLYING_NOT_FOUND),
        (0, 0, Code.AMOUNT_NOT_POSITIVE),
        (0, 1 << 40, Code.BALANCE_LIMIT),
        (0, (1 << 40) - 1, Code.OK),
    ):
        fields = {"underlying": underlying, "slice_notional_atoms": amount}
        assert code == desk.apply(CommandKind.SET_SLICE, OPERATOR, **fields)
        assert desk.nonce == desk.state.operator_nonce
    assert [Step(EventKind.SLICE_SET, amount_atoms=(1 << 40) - 1)] == desk.state.steps
    assert (1 << 40) - 1 == list_house_elements(desk.state)[-1]
    assert (-1, 0) == desk.outcome[1:]


def test_anyone_may_pay_into_the_fund(desk: FallingDesk) -> None:
    """[LIQ-9] [CASH-2]: tested as a withdrawal, except that nothing leaves the vault."""
    for amount, code in (
        (0, Code.AMOUNT_NOT_POSITIVE),
        (500 * USDC, Code.CASH_INSUFFICIENT),
        (EQUITY, Code.INITIAL_MARGIN_INSUFFICIENT),
        (USDC, Code.OK),
    ):
        assert code == desk.ask(CommandKind.INSURE, DEBTOR, amount_atoms=amount)
    assert [Step(EventKind.FUND_PAID_IN, DEBTOR, amount_atoms=USDC)] == desk.state.steps
    assert (EQUITY - USDC, FUND + USDC) == (desk.cash(DEBTOR), desk.state.insurance_atoms)
    assert (0, 0) == (desk.state.withdrawn_atoms, desk.state.withdrawal_count)
    desk.state.withdrawn_atoms = desk.state.deposited_atoms
    desk.state.cash_sum -= desk.state.deposited_atoms
    assert Code.CASH_INSUFFICIENT == desk.ask(CommandKind.WITHDRAW, HELPER, amount_atoms=1)
    assert Code.OK == desk.ask(CommandKind.INSURE, HELPER, amount_atoms=1)


def test_a_slice_uses_up_the_operators_nonce_for_listings_too() -> None:
    """[LIQ-9] [AUTH-1] [AUTH-4]: the check of signatures knows it, and reads the new commands' structs."""
    script = Script(1)
    fields = {"underlying": 0, "strike_atoms": 0, "expiry_ns": 0, "instrument_kind": InstrumentKind.PERPETUAL}
    script.add(CommandKind.SET_SLICE, OPERATOR_KEY, underlying=1, slice_notional_atoms=7)
    script.nonces.clear()
    script.add(CommandKind.LIST_INSTRUMENT, OPERATOR_KEY, **fields)
    script.add(CommandKind.LIST_INSTRUMENT, OPERATOR_KEY, **(fields | {"underlying": 1}))
    assert ["ETH_USDC-PERPETUAL"] == script.replayer.names
    script.add(CommandKind.BACKSTOP, TRADERS[0], demand_e6=-1)
    script.add(CommandKind.INSURE, TRADERS[0], amount_atoms=1)
    terms = {"instrument": 0, "side": BUY, "time_in_force": 0, "lots": 1, "price_ticks": 1}
    script.add(CommandKind.PLACE, TRADERS[0], **terms)
    published = [PublishedCommand(command, b"", b"") for command in script.commands]
    assert 6 == check_signatures(script.genesis, published, lambda count: None)
