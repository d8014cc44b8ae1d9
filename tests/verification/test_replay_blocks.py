"""The replayer's reading of block trades: legs that two parties signed, all or none."""

import pytest

from novate.protocol.generated.codes import Code, CommandKind, Side
from novate.protocol.generated.constants import GROSS_LOTS_MAX, ORDER_LOTS_MAX, PRICE_TICKS_MAX
from tests.verification.liquidation_desk import make_desk
from tests.verification.order_desk import (
    CALL,
    EXPIRY_NS,
    FAR_NS,
    MARK_TICKS,
    PERPETUAL,
    START_NS,
    USDC,
    Desk,
    Parties,
    make_address,
    make_genesis,
)

BUY, SELL = Side.BUY, Side.SELL
ACCOUNT, COUNTERPARTY, OTHER = range(3)
KEY, COUNTER_KEY = make_address(0x40), make_address(0x41)
LOT_ATOMS = 80_000_000
TAKER_FEE = 40_000  # Of a perpetual's lot; its maker's rebate of 8 000 is not paid in a block.
Leg = tuple[int, int, int, int]
PERPETUAL_LEG: Leg = (PERPETUAL, BUY, 3, MARK_TICKS)


def block(
    desk: Desk,
    *legs: Leg,
    sides: tuple[int, int] = (ACCOUNT, COUNTERPARTY),
    signers: tuple[bytes, bytes] = (b"", b""),
    **fields: int,
) -> Code:
    """A BLOCK_TRADE between two traders, signed by themselves unless others are named."""
    account, counterparty = (make_address(side) for side in sides)
    parties = Parties(account, counterparty, signers[1] or counterparty, legs)
    fields = {"counter_nonce": desk.nonce + 1} | fields
    return desk.apply(CommandKind.BLOCK_TRADE, signers[0] or account, parties, **fields)


def find_ticks(desk: Desk) -> int:
    """The call's mark in ticks, rounded down."""
    return desk.call.mark_atoms // desk.call.tick_atoms


def authorize(desk: Desk, trader: int, key: bytes, **figures: int) -> None:
    """Give a key for blocks alone."""
    names = ("max_notional_atoms", "max_delta_atoms", "max_vega_atoms", "rate_per_minute")
    fields = dict.fromkeys(names, 0) | {"scope": 8, "key_expires_ns": FAR_NS} | figures
    assert Code.OK == desk.ask(CommandKind.AUTHORIZE_KEY, trader, parties=Parties(subject=key), **fields)


def test_all_legs_fill_at_their_prices_and_both_pay() -> None:
    """[BLOCK-1] [BLOCK-2] [NOVATE-3]: no rebate for the counterparty, and books and last price stay."""
    desk = Desk()
    ticks, bid = find_ticks(desk), desk.place(OTHER, BUY, lots=1, price_ticks=MARK_TICKS - 1)
    assert Code.OK == block(desk, (PERPETUAL, BUY, 3, MARK_TICKS - 2), (CALL, SELL, 2, ticks + 1))
    assert (ACCOUNT, bid + 1) == (desk.outcome.account, desk.outcome.order_id)
    assert bid + 2 == desk.state.next_order_id
    assert (3, -3) == (desk.lots(ACCOUNT), desk.lots(COUNTERPARTY))
    assert (-2, 2) == (desk.lots(ACCOUNT, CALL), desk.lots(COUNTERPARTY, CALL))
    premium, notional = 2 * (ticks + 1) * 50_000, desk.call.notional_atoms
    taker_fee, maker_fee = notional * 300 // 10**6, notional * 100 // 10**6
    changes = [account.cash_atoms - 10**6 * USDC for account in desk.state.accounts[:2]]
    assert [premium - 3 * TAKER_FEE - 2 * taker_fee, -premium - 2 * maker_fee] == changes
    perpetual_fees, call_fees = 3 * TAKER_FEE, 2 * (taker_fee + maker_fee)
    assert perpetual_fees // 10 + call_fees // 10 == desk.state.insurance_atoms
    costs = [desk.account(side).holdings[0][PERPETUAL].cost_atoms for side in (ACCOUNT, COUNTERPARTY)]
    assert [3 * (MARK_TICKS - 2) * 2_500, -3 * (MARK_TICKS - 2) * 2_500] == costs
    assert [0, 0] == [instrument.last_ticks for instrument in desk.state.instruments]
    assert [(bid, MARK_TICKS - 1, 1, 1)] == desk.book(BUY)
    desk.check()


def test_positions_that_close_are_released() -> None:
    """[BLOCK-3] [NOVATE-5]: unless an order is open in them."""
    desk = Desk()
    assert Code.OK == block(desk, PERPETUAL_LEG)
    assert 2 == desk.state.position_count
    desk.place(ACCOUNT, BUY, lots=1, price_ticks=MARK_TICKS - 9)
    assert Code.OK == block(desk, (PERPETUAL, SELL, 3, MARK_TICKS))
    assert [PERPETUAL] == list(desk.account(ACCOUNT).holdings[0])
    assert [] == list(desk.account(COUNTERPARTY).holdings[0])
    desk.check()


REFUSALS: list[tuple[Code, list[Leg]]] = [
    (Code.COMMAND_MALFORMED, []),
    (Code.COMMAND_MALFORMED, [PERPETUAL_LEG, PERPETUAL_LEG]),
    (Code.COMMAND_MALFORMED, [(CALL, BUY, 1, 1), PERPETUAL_LEG]),
    (Code.COMMAND_MALFORMED, [(9, 2, 1, 1)]),
    (Code.COMMAND_MALFORMED, [(number, BUY, 1, 1) for number in range(17)]),
    (Code.INSTRUMENT_NOT_FOUND, [(-1, BUY, 1, 1)]),
    (Code.INSTRUMENT_NOT_FOUND, [PERPETUAL_LEG, (3, BUY, 0, 1)]),
    (Code.SIZE_NOT_POSITIVE, [(PERPETUAL, BUY, 0, 0), (9, BUY, 1, 1)]),
    (Code.SIZE_ABOVE_MAXIMUM, [(PERPETUAL, BUY, ORDER_LOTS_MAX + 1, 0)]),
    (Code.PRICE_NOT_POSITIVE, [(PERPETUAL, BUY, 1, 0)]),
    (Code.PRICE_ABOVE_MAXIMUM, [(PERPETUAL, BUY, 1, PRICE_TICKS_MAX + 1)]),
    (Code.PRICE_OUTSIDE_BAND, [(PERPETUAL, BUY, 1, 35_201)]),
    (Code.PRICE_OUTSIDE_BAND, [(PERPETUAL, BUY, 1, 28_799)]),
    (Code.BLOCK_INVALID, [(2, BUY, 0, 0)]),
]


@pytest.mark.parametrize(("code", "legs"), REFUSALS)
def test_the_first_code_that_applies_refuses_a_block(code: Code, legs: list[Leg]) -> None:
    """[BLOCK-1]: leg by leg; the band is the same for buys and sells. Instrument 2 is a combo."""
    desk = Desk()
    assert Code.OK == desk.list_combo((PERPETUAL, 1), (CALL, -1))
    desk.tick(80_000)
    assert code == block(desk, *legs)
    assert (ACCOUNT, 0, 1) == (desk.outcome.account, desk.outcome.order_id, desk.state.next_order_id)
    nonces = {desk.account(side).nonce for side in (ACCOUNT, COUNTERPARTY)}
    assert {desk.nonce} == nonces, "Both nonces are used up [AUTH-3]."
    desk.check()


def test_time_and_staleness_refuse_a_block() -> None:
    """[BLOCK-1]: a closed leg, an index too old."""
    desk = Desk()
    desk.time_ns += 3_600 * 10**9
    assert Code.MARK_STALE == block(desk, PERPETUAL_LEG)
    desk.time_ns = EXPIRY_NS
    assert Code.INSTRUMENT_CLOSED == block(desk, (CALL, BUY, 1, 1))


def test_both_signers_are_checked_in_turn() -> None:
    """[BLOCK-1] [KEY-1]: a counterparty that fails leaves the account's nonce used up."""
    desk = Desk()
    assert Code.KEY_UNKNOWN == block(desk, PERPETUAL_LEG, signers=(KEY, b""))
    assert (0, 0) == (desk.account(ACCOUNT).nonce, desk.account(COUNTERPARTY).nonce)
    assert Code.KEY_UNKNOWN == block(desk, PERPETUAL_LEG, signers=(b"", KEY))
    assert (desk.nonce, 0) == (desk.account(ACCOUNT).nonce, desk.account(COUNTERPARTY).nonce)
    assert Code.ACCOUNT_NOT_FOUND == block(desk, PERPETUAL_LEG, sides=(ACCOUNT, 0x20))
    assert ACCOUNT == desk.outcome.account
    assert Code.ACCOUNT_NOT_FOUND == block(desk, PERPETUAL_LEG, sides=(0x20, COUNTERPARTY))
    assert -1 == desk.outcome.account
    assert Code.NONCE_REPLAYED == block(desk, PERPETUAL_LEG, counter_nonce=0)
    assert Code.SIGNATURE_EXPIRED == block(desk, PERPETUAL_LEG, expires_ns=START_NS)
    same = (ACCOUNT, ACCOUNT)
    assert Code.NONCE_REPLAYED == block(desk, PERPETUAL_LEG, sides=same)
    assert Code.BLOCK_INVALID == block(desk, PERPETUAL_LEG, sides=same, counter_nonce=desk.nonce + 2)
    assert desk.nonce + 1 == desk.account(ACCOUNT).nonce
    desk.check()


def test_keys_sign_either_side_and_each_is_held_to_its_own_limits() -> None:
    """[KEY-5] [BLOCK-1]: with the legs filled, in the direction that they moved that side."""
    desk = Desk()
    authorize(desk, ACCOUNT, KEY, max_delta_atoms=5 * LOT_ATOMS)
    authorize(desk, COUNTERPARTY, COUNTER_KEY, max_delta_atoms=3 * LOT_ATOMS)
    keys = (KEY, COUNTER_KEY)
    assert Code.OK == block(desk, PERPETUAL_LEG, signers=keys)
    assert Code.KEY_LIMIT == block(desk, (PERPETUAL, BUY, 1, MARK_TICKS), signers=(b"", COUNTER_KEY))
    assert Code.OK == block(desk, (PERPETUAL, BUY, 2, MARK_TICKS), signers=(KEY, b""))
    assert Code.KEY_LIMIT == block(desk, (PERPETUAL, BUY, 1, MARK_TICKS), signers=(KEY, b""))
    assert Code.OK == block(desk, (PERPETUAL, SELL, 1, MARK_TICKS), signers=keys), "It moves towards zero."
    assert (4, -4) == (desk.lots(ACCOUNT), desk.lots(COUNTERPARTY))
    desk.check()


def test_a_limit_of_notional_fails_a_block_only_if_it_grew() -> None:
    """[KEY-5] [MARGIN-7]: open orders are counted in it."""
    desk = Desk()
    desk.place(ACCOUNT, SELL, lots=9, price_ticks=MARK_TICKS + 9)
    authorize(desk, ACCOUNT, KEY, max_notional_atoms=5 * LOT_ATOMS)
    signers = (KEY, b"")
    assert Code.KEY_LIMIT == block(desk, (PERPETUAL, SELL, 1, MARK_TICKS), signers=signers)
    assert Code.OK == block(desk, PERPETUAL_LEG, signers=signers), "From 9 to 6 at most either way."
    desk.check()


def test_a_limit_of_vega_is_looked_at_over_all_legs() -> None:
    """[KEY-5] [GREEK-1]: nothing moved, nothing asked."""
    desk = Desk()
    ticks = find_ticks(desk)
    authorize(desk, COUNTERPARTY, COUNTER_KEY, max_vega_atoms=1)
    signers = (b"", COUNTER_KEY)
    assert Code.OK == block(desk, PERPETUAL_LEG, signers=signers)
    assert Code.KEY_LIMIT == block(desk, PERPETUAL_LEG, (CALL, SELL, 1, ticks), signers=signers)
    assert 3 == desk.lots(ACCOUNT)
    desk.check()


def test_a_side_without_margin_undoes_everything() -> None:
    """[BLOCK-1]: each side's margin after all legs and fees; money, positions and records are as before."""
    for sides in ((ACCOUNT, OTHER), (OTHER, ACCOUNT)):
        desk = Desk(deposits=(10**6 * USDC, 10**6 * USDC, 500 * USDC, USDC))
        before = [account.cash_atoms for account in desk.state.accounts]
        legs = ((PERPETUAL, SELL, 100, MARK_TICKS), (CALL, BUY, 1, find_ticks(desk)))
        assert Code.INITIAL_MARGIN_INSUFFICIENT == block(desk, *legs, sides=sides)
        assert before == [account.cash_atoms for account in desk.state.accounts]
        assert (0, 1, 0) == (desk.state.position_count, desk.state.next_order_id, desk.state.fees_atoms)
        desk.check()


def test_a_hedged_block_needs_no_margin_for_each_leg() -> None:
    """[BLOCK-1]: margin is looked at with every leg filled, not one after the other."""
    desk = Desk(deposits=(10**6 * USDC, 10**6 * USDC, 40 * USDC, USDC))
    sold, bought = (PERPETUAL, SELL, 4, MARK_TICKS), (CALL, BUY, 1, find_ticks(desk))
    for leg in (sold, bought):
        assert Code.INITIAL_MARGIN_INSUFFICIENT == block(desk, leg, sides=(OTHER, ACCOUNT))
    assert Code.OK == block(desk, sold, bought, sides=(OTHER, ACCOUNT))
    desk.check()


def test_gross_lots_and_records_bound_a_block() -> None:
    """[BLOCK-1] [MARGIN-9]: records that both lack together; gross lots of either."""
    desk = Desk(make_genesis(positions=3), deposits=(10**17,) * 4)
    ticks = find_ticks(desk)
    desk.place(OTHER, BUY, lots=1, price_ticks=MARK_TICKS - 5)
    legs: tuple[Leg, Leg] = (PERPETUAL_LEG, (CALL, BUY, 1, ticks))
    assert Code.TABLE_FULL == block(desk, *legs)
    assert Code.OK == block(desk, PERPETUAL_LEG)
    assert Code.OK == block(desk, (PERPETUAL, SELL, 3, MARK_TICKS))
    for _ in range(GROSS_LOTS_MAX // ORDER_LOTS_MAX):
        desk.place(COUNTERPARTY, BUY, lots=ORDER_LOTS_MAX, price_ticks=MARK_TICKS - 5)
    for sides in ((ACCOUNT, COUNTERPARTY), (COUNTERPARTY, ACCOUNT)):
        assert Code.GROSS_LIMIT == block(desk, (PERPETUAL, SELL, 1, MARK_TICKS), sides=sides)
    desk.check()


def test_neither_side_may_be_in_liquidation() -> None:
    """[LIQ-10]: directly after both signatures."""
    desk = make_desk()
    desk.sell_to_debtor()
    desk.tick(70_000)
    assert Code.IN_LIQUIDATION == block(desk, sides=(1, 2))
    assert Code.IN_LIQUIDATION == block(desk, sides=(2, 1))
    assert Code.COMMAND_MALFORMED == block(desk, sides=(2, 3))


def test_a_block_wakes_neither_links_nor_protection() -> None:
    """[BLOCK-2]: a linked order stays, a group counts nothing."""
    desk = Desk()
    linked = desk.place(ACCOUNT, BUY, lots=1, price_ticks=MARK_TICKS - 9, link=1)
    figures = {"group": 1, "underlying": 0, "window_ns": 10**9, "frozen_ns": 0, "quantity_limit_lots": 1}
    limits = {"delta_limit_atoms": 0, "vega_limit_atoms": 0}
    assert Code.OK == desk.ask(CommandKind.SET_MMP, ACCOUNT, **figures, **limits)
    assert Code.OK == block(desk, (CALL, BUY, 5, find_ticks(desk)))
    assert linked in desk.state.orders
    assert (0, 0) == (desk.account(ACCOUNT).groups[1].filled_lots, len(desk.endings))
