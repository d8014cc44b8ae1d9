"""The replayer's reading of sub-accounts, and of money that passes between the accounts of one owner."""

import pytest

from novate.protocol.frame import keccak256
from novate.protocol.generated.codes import Code, CommandKind, EventKind, Side
from novate.verification.state import State
from novate.verification.steps import Step
from novate.verification.tree import list_account_elements
from tests.verification.order_desk import USDC, Desk, Parties, make_address, make_genesis

BUY, SELL = Side.BUY, Side.SELL
OWNER, MAKER, OTHER, STRANGER = range(4)
FIRST = 4  # The number of the first account after the traders.
CREATE, TRANSFER, WITHDRAW = CommandKind.CREATE_SUBACCOUNT, CommandKind.TRANSFER, CommandKind.WITHDRAW


def find_address(number: int, trader: int = OWNER) -> bytes:
    """The address of a trader's sub-account."""
    return keccak256(make_address(trader) + bytes(28) + number.to_bytes(4, "big"))[12:]


def create(desk: Desk, number: int = 1, trader: int = OWNER) -> bytes:
    """Open a sub-account, which must work, and return its address."""
    assert Code.OK == desk.ask(CREATE, trader, subaccount=number)
    return find_address(number, trader)


def send(desk: Desk, giver: bytes, receiver: bytes, amount: int = USDC, signer: bytes = b"") -> Code:
    """A TRANSFER, signed by its account unless somebody else is named."""
    parties = Parties(account=giver, subject=receiver)
    return desk.apply(TRANSFER, signer or giver, parties, amount_atoms=amount)


def read_cash(state: State) -> list[int]:
    return [account.cash_atoms for account in state.accounts]


def test_a_subaccount_is_the_next_account() -> None:
    """[SUB-1] [STATE-2] [CMD-3]: its address can be computed by anybody, and its leaf names the owner."""
    desk = Desk()
    address = create(desk, 7)
    assert (OWNER, 0) == (desk.outcome.account, desk.outcome.order_id)
    assert [Step(EventKind.SUBACCOUNT_CREATED, FIRST, OWNER, order_id=7)] == desk.state.steps
    expected = [int.from_bytes(address, "big"), *[0] * 8, -1, OWNER, 7, 0, 0]
    assert expected == list_account_elements(desk.account(FIRST))
    assert Code.SUBACCOUNT_EXISTS == desk.ask(CREATE, OWNER, subaccount=7)
    create(desk, 1)
    assert [OWNER, 1] == list_account_elements(desk.account(FIRST + 1))[10:12]
    desk.check()


@pytest.mark.parametrize("number", [0, -1, 1 << 31])
def test_a_number_out_of_range_opens_none(number: int) -> None:
    """[SUB-1]: the largest is 2**31 - 1; and a sub-account has none of its own."""
    desk = Desk()
    assert Code.SUBACCOUNT_INVALID == desk.ask(CREATE, OWNER, subaccount=number)
    address = create(desk, (1 << 31) - 1)
    parties = Parties(account=address)
    code = desk.apply(CREATE, make_address(OWNER), parties, subaccount=1)
    assert Code.SUBACCOUNT_INVALID == code
    assert FIRST + 1 == len(desk.state.accounts)


def test_a_deposit_made_before_becomes_the_subaccounts() -> None:
    """[SUB-1]: the account keeps its number and its money, and needs no room."""
    desk = Desk(make_genesis(accounts=5))
    address = find_address(3)
    assert Code.OK == desk.apply(CommandKind.DEPOSIT, address, cursor=5, amount_atoms=9)
    assert Code.ACCOUNT_TABLE_FULL == desk.ask(CREATE, OWNER, subaccount=1)
    nonce = desk.account(OWNER).nonce
    assert nonce == desk.nonce, "The nonce is used up all the same [AUTH-3]."
    create(desk, 3)
    assert (9, FIRST) == (desk.account(FIRST).cash_atoms, desk.account(FIRST).number)
    assert Code.OK == desk.apply(CommandKind.DEPOSIT, address, cursor=6, amount_atoms=1)
    assert 10 == desk.account(FIRST).cash_atoms
    desk.check()


def test_the_owner_signs_for_a_subaccount_with_its_nonce() -> None:
    """[KEY-1]: nobody else does, and the sub-account not for its owner."""
    desk = Desk()
    address = create(desk)
    desk.nonce = 0
    cancel = {"instrument": -1, "label": 0, "group": 0}
    for signer, code in ((OWNER, Code.OK), (MAKER, Code.KEY_UNKNOWN)):
        parties = Parties(account=address)
        assert code == desk.apply(CommandKind.CANCEL_ALL, make_address(signer), parties, **cancel)
    assert (1, FIRST) == (desk.account(FIRST).nonce, desk.outcome.account)
    desk.nonce = 10_000
    parties = Parties(account=make_address(OWNER))
    assert Code.KEY_UNKNOWN == desk.apply(CommandKind.CANCEL_ALL, address, parties, **cancel)
    fields = dict.fromkeys(("max_notional_atoms", "max_delta_atoms", "max_vega_atoms", "rate_per_minute"), 0)
    fields |= {"scope": 1, "key_expires_ns": 1 << 62}
    parties = Parties(account=address, subject=make_address(OWNER))
    code = desk.apply(CommandKind.AUTHORIZE_KEY, make_address(OWNER), parties, **fields)
    assert Code.KEY_INVALID == code, "The owner needs no key [KEY-3]."


def test_money_passes_between_the_accounts_of_one_owner() -> None:
    """[SUB-2] [CASH-3]: from the owner, to it, and between its sub-accounts; each way names both."""
    desk = Desk()
    owner, first, second = make_address(OWNER), create(desk, 1), create(desk, 2)
    assert Code.OK == send(desk, owner, first, 50 * USDC)
    assert [Step(EventKind.TRANSFERRED, OWNER, FIRST, amount_atoms=50 * USDC)] == desk.state.steps
    assert Code.OK == send(desk, first, second, 20 * USDC, signer=owner)
    assert Code.OK == send(desk, second, owner, 5 * USDC, signer=owner)
    before = 10**6 * USDC
    cash = [before - 45 * USDC, before, before, before, 30 * USDC, 15 * USDC]
    assert cash == read_cash(desk.state)
    desk.check()


def test_the_first_code_that_applies_refuses_a_transfer() -> None:
    """[SUB-2]: amount, receiver, cash; the vault's limit is not asked."""
    desk = Desk()
    owner, first = make_address(OWNER), create(desk, 1)
    foreign = create(desk, 1, MAKER)
    cash = read_cash(desk.state)
    refusals = [
        (Code.AMOUNT_NOT_POSITIVE, owner, foreign, 0),
        (Code.TRANSFER_INVALID, owner, foreign, 1),
        (Code.TRANSFER_INVALID, owner, make_address(MAKER), 1 << 60),
        (Code.TRANSFER_INVALID, owner, owner, 1),
        (Code.TRANSFER_INVALID, owner, find_address(2), 1),
        (Code.TRANSFER_INVALID, make_address(OTHER), make_address(STRANGER), 1),
        (Code.CASH_INSUFFICIENT, first, owner, 1),
        (Code.CASH_INSUFFICIENT, owner, first, 10**6 * USDC + 1),
    ]
    for code, giver, receiver, amount in refusals:
        assert code == send(desk, giver, receiver, amount, owner if giver == first else b"")
    assert cash == read_cash(desk.state)
    desk.place(OWNER, BUY, lots=1_000)
    assert Code.INITIAL_MARGIN_INSUFFICIENT == send(desk, owner, first, 10**6 * USDC)
    desk.time_ns += 3_600 * 10**9
    assert Code.MARK_STALE == send(desk, owner, first, 1)
    desk.check()


def test_a_withdrawal_of_a_subaccount_is_paid_to_its_owner() -> None:
    """[SUB-3]: in the batch's withdrawals, while the account named is the sub-account."""
    desk = Desk()
    address = create(desk)
    assert Code.OK == send(desk, make_address(OWNER), address, 30)
    parties = Parties(account=address)
    assert Code.OK == desk.apply(WITHDRAW, make_address(OWNER), parties, amount_atoms=10)
    assert FIRST == desk.outcome.account
    assert Code.OK == desk.ask(WITHDRAW, MAKER, amount_atoms=7)
    assert [(make_address(OWNER), 10), (make_address(MAKER), 7)] == desk.state.withdrawals
    assert 20 == desk.account(FIRST).cash_atoms


def test_accounts_of_one_owner_trade_with_each_other() -> None:
    """[SUB-4] [MATCH-5]: self-trade is within one account."""
    desk = Desk()
    address = create(desk)
    assert Code.OK == send(desk, make_address(OWNER), address, 1_000 * USDC)
    desk.place(OWNER, SELL, lots=3)
    fields = {"instrument": 0, "side": BUY, "time_in_force": 0, "lots": 3, "price_ticks": 32_000}
    parties = Parties(account=address)
    assert Code.OK == desk.apply(CommandKind.PLACE, make_address(OWNER), parties, **fields)
    assert (3, -3) == (desk.lots(FIRST), desk.lots(OWNER))
    desk.check()
