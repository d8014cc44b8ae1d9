"""Sub-accounts: whose they are, who signs for them, where their cash may go and to whom it is paid out."""

import pytest

from novate.execution.commitment import compute_genesis_root
from novate.execution.frame_scan import Entry
from novate.execution.key_views import SubaccountView, find_owner, read_subaccounts
from novate.execution.sealing import Sealer
from novate.execution.views import compute_conservation_gap, read_account
from novate.protocol.generated.codes import CancelReason, Code, EventKind
from novate.protocol.signing import compute_subaccount_address
from tests.execution.court import Court
from tests.execution.scenes import find_lots, open_venue, refuse, tell
from tests.law.desk import USDC, Desk, find_address

MAKER, TAKER, STRANGER, SUB = range(4)


def open_with_subaccount() -> Desk:
    """A venue at which the maker has sub-account 1, with a thousand USDC of its million."""
    desk = open_venue()
    desk.must("maker", "create_subaccount", "transfer subject=maker/1 amount_atoms=1_000*usdc")
    return desk


def read_cash(desk: Desk) -> list[int]:
    """The cash of each account in USDC."""
    return [read_account(desk.engine, account).cash_atoms // USDC for account in range(4)]


def test_a_subaccount_is_an_account_of_its_owner() -> None:
    """[SUB-1]: it takes the next number, at an address made of its owner's and its own number."""
    desk = open_venue()
    desk.must("maker", "create_subaccount subaccount=7")
    result, event = desk.events
    assert (Code.OK, MAKER) == (result["code"], result["account"])
    expected = (EventKind.SUBACCOUNT_CREATED, SUB, 7, MAKER)
    assert expected == tuple(event[name] for name in ("kind", "account", "order_id", "maker_account"))
    address = compute_subaccount_address(find_address("maker"), 7)
    assert [SubaccountView(7, SUB, address)] == read_subaccounts(desk.engine, MAKER)
    assert (SUB, address) == (desk.engine.find_account(address), desk.engine.addresses[SUB])
    view = read_account(desk.engine, SUB)
    assert (MAKER, 7, 0, 0) == (view.owner, view.subaccount, view.cash_atoms, view.nonce)
    assert [MAKER, TAKER, STRANGER, MAKER] == [find_owner(desk.engine, each) for each in range(4)]


def test_a_deposit_to_its_address_is_its_own() -> None:
    """[SUB-1]: the vault pays it in like any other account, before and after it is created."""
    desk = open_venue()
    desk.must("maker/1", "deposit amount_atoms=5*usdc")
    assert "KEY_UNKNOWN" == refuse(desk, "maker/1", "cancel_all")
    desk.must("maker", "create_subaccount")
    assert SUB == desk.events[1]["account"]
    desk.must("maker/1", "deposit amount_atoms=6*usdc", "cancel_all")
    assert 11 == read_cash(desk)[SUB]


def test_its_owner_signs_for_it_and_nobody_else_does() -> None:
    """[KEY-1]: with nonces of the sub-account; a key of the owner's is none of the sub-account's."""
    desk = open_with_subaccount()
    desk.must("maker", "authorize_key subject=akey")
    desk.must("maker/1", "place price_ticks=1 nonce=90")
    assert (2, 90) == tuple(desk.engine.world.accounts["nonce"][[MAKER, SUB]] - [1, 0])
    assert "KEY_UNKNOWN" == refuse(desk, "maker/1", "cancel_all signer=taker")
    assert "KEY_UNKNOWN" == refuse(desk, "maker/1", "cancel_all signer=akey")
    assert "KEY_UNKNOWN" == refuse(desk, "taker", "cancel_all signer=maker")
    desk.must("maker/1", "authorize_key subject=bkey", "cancel signer=bkey")
    assert "ORDER_NOT_FOUND" == refuse(desk, "maker/1", "cancel signer=bkey")


def test_cash_moves_between_accounts_of_one_owner() -> None:
    """[SUB-2]: from owner to sub-account, between two of them, and back."""
    desk = open_with_subaccount()
    event = desk.events[1]
    expected = (EventKind.TRANSFERRED, MAKER, SUB, 1_000 * USDC)
    assert expected == tuple(event[name] for name in ("kind", "account", "maker_account", "amount_atoms"))
    assert [999_000, 1_000_000, 1_000_000, 1_000] == read_cash(desk)
    desk.must("maker/1", "transfer subject=maker amount_atoms=400*usdc")
    assert [999_400, 1_000_000, 1_000_000, 600] == read_cash(desk)
    assert "TRANSFER_INVALID" == refuse(desk, "taker", "transfer subject=maker/1")
    assert "TRANSFER_INVALID" == refuse(desk, "maker/1", "transfer subject=taker")
    desk.must("maker/1", "authorize_key subject=akey scope=16", "transfer subject=maker signer=akey")
    assert 0 == compute_conservation_gap(desk.engine)


def test_a_transfer_leaves_the_margin_and_unrealised_gains() -> None:
    """[SUB-2] [CASH-2]: ten lots bought at 80 and worth 82 need 18 % of 820; the gain of 20 stays."""
    court = Court(debtor_usdc=1_000)
    court.deal("debtor", "maker", 10, 80)
    court.must("debtor", "create_subaccount")
    court.mark(82)
    # No fees here, but the worst scenario counts what the law's 16 % and 2 % of 820 USDC are.
    free = 1_000 * USDC - (820 * 16 + 820 * 2) * USDC // 100
    assert "INITIAL_MARGIN_INSUFFICIENT" == refuse(
        court, "debtor", f"transfer subject=debtor/1 amount_atoms={free}+1"
    )
    court.must("debtor", f"transfer subject=debtor/1 amount_atoms={free}")
    assert free == court.cash(4)


def test_an_account_in_liquidation_cannot_pass_on_its_cash() -> None:
    """[LIQ-10]: neither to its sub-account nor from one that is in liquidation; it may be given some."""
    court = Court()
    court.must("debtor", "create_subaccount")
    court.must("debtor/1", "deposit amount_atoms=100*usdc")
    court.deal("debtor", "maker", 10, 80)
    court.mark(70)
    assert (1, 1) == court.stage()
    assert "IN_LIQUIDATION" == refuse(court, "debtor", "transfer subject=taker amount_atoms=0")
    court.must("debtor/1", "transfer subject=debtor amount_atoms=100*usdc")


def test_a_withdrawal_is_paid_to_the_owner() -> None:
    """[SUB-3]: the batch pays the owner's address, whoever of its accounts it is taken from."""
    desk = open_with_subaccount()
    sealer = Sealer(desk.engine, compute_genesis_root(desk.engine))
    paid = []
    for actor, line in (
        ("maker", "withdraw amount_atoms=1"),
        ("maker/1", "withdraw amount_atoms=2"),
        ("taker", "withdraw amount_atoms=3"),
        ("operator", "seal"),
    ):
        command, _ = desk.build(actor, line)
        events = desk.engine.apply([command])
        batch = sealer.observe(Entry(desk.engine.sequence, b"", bytes(32)), command, events)
        if batch is not None:
            paid = [(withdrawal[2], withdrawal[3]) for withdrawal in sealer.close(batch).withdrawals]
    assert [(find_address("maker"), 1), (find_address("maker"), 2), (find_address("taker"), 3)] == paid


@pytest.mark.parametrize(("buyer", "traded"), [("maker/1", 1), ("maker", 0)])
def test_accounts_of_one_owner_may_trade_with_each_other(buyer: str, traded: int) -> None:
    """[SUB-4]: a self-trade is one of the same account."""
    desk = open_with_subaccount()
    desk.must("maker", "place side=sell price_ticks=32_000")
    told = tell(desk, buyer, "place price_ticks=32_000")
    reason = CancelReason.SELF_TRADE.name
    assert [["CANCELLED 2: 1@32000 " + reason], ["FILL 2 of 1: 1@32000"]][traded] == told
    assert traded == find_lots(desk, "maker/1")
