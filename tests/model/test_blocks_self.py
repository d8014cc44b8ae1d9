"""The naive model's block trades by hand: a taker's perpetual against a maker's call, at agreed prices.

Whether the engine agrees with it is another test's matter.
"""

from __future__ import annotations

import pytest

from .model import Event
from .records import BUY, LIMITS, SELL, STAGES
from .test_combos_self import SPREAD, list_combo
from .test_keys_self import KEY, LOT, KeyDesk
from .test_markets_self import MAKER, OPTION, PERP, START_ATOMS, TAKER, found
from .test_orders_self import FAIR, code

Legs = tuple[tuple[int, int, int, int], ...]
LEGS: Legs = ((PERP, BUY, 3, FAIR + 100), (OPTION, SELL, 2, 90))
FILL = ("instrument", "side", "price_ticks", "lots", "account", "maker_account", "order_id", "maker_order_id")


class BlockDesk(KeyDesk):
    """A desk on which the taker proposes and the maker signs, too."""

    def block(self, legs: Legs = LEGS, **more: object) -> list[Event]:
        numbers = self.model.numbers
        nonces = {
            "nonce": self.model.accounts[numbers[TAKER]].nonce + 1,
            "counter_nonce": self.model.accounts[numbers[MAKER]].nonce + 1,
        }
        signed = nonces | {"expires_ns": self.now + 1, "subject": MAKER, "cosigner": MAKER}
        return self.send("BLOCK_TRADE", TAKER, **(signed | {"items": list(legs)} | more))


def test_all_legs_fill_beside_the_books_with_fees_but_no_rebates() -> None:
    """The taker pays 4 a lot for the perpetual and 24 for two calls; a maker's rebate counts for nothing."""
    desk = BlockDesk()
    desk.operate("SET_TIER", target=0, tier=1)
    desk.place(MAKER, PERP, SELL, 1, FAIR)
    events = desk.block()
    assert [(PERP, BUY, FAIR + 100, 3, 1, 0, 2, 2), (OPTION, SELL, 90, 2, 1, 0, 2, 2)] == found(
        events, "FILL", *FILL
    )
    assert (1, 2, 3) == (events[0]["account"], events[0]["order_id"], desk.model.house.next_order_id)
    call_fee = 2 * min(240_000, 90 * 50_000 // 8)
    fees = [(3 * 40_000, 0), (call_fee, 0)]
    assert fees == found(events, "FILL", "amount_atoms", "maker_amount_atoms")
    taker, maker = desk.model.accounts[1], desk.model.accounts[0]
    assert START_ATOMS - 120_000 - call_fee + 2 * 90 * 50_000 == taker.cash_atoms
    assert START_ATOMS - 2 * 90 * 50_000 == maker.cash_atoms
    assert {PERP: 3, OPTION: -2} == {number: p.lots for number, p in taker.positions.items()}
    assert {PERP: -3, OPTION: 2} == {number: p.lots for number, p in maker.positions.items()}
    assert 0 == desk.model.instruments[PERP].last_ticks
    assert 1 == len(desk.model.orders)
    house = desk.model.house
    assert 120_000 + call_fee == house.fees_atoms + house.insurance_atoms
    assert 3 * 120_000 // 10 + 3 * call_fee // 10 == house.insurance_atoms


def test_each_side_is_authenticated_and_its_nonce_used_up() -> None:
    """First the account, then the counterparty; a block that fails later has used both nonces."""
    desk = BlockDesk()
    assert "NONCE_REPLAYED" == code(desk.block(nonce=0))
    assert (0, 0) == (desk.model.accounts[1].nonce, desk.model.accounts[0].nonce)
    assert "NONCE_REPLAYED" == code(desk.block(counter_nonce=0))
    assert (1, 0) == (desk.model.accounts[1].nonce, desk.model.accounts[0].nonce)
    assert "ACCOUNT_NOT_FOUND" == code(desk.block(subject="0xfe"))
    assert "KEY_UNKNOWN" == code(desk.block(cosigner=KEY))
    assert "COMMAND_MALFORMED" == code(desk.block(()))
    assert (4, 1) == (desk.model.accounts[1].nonce, desk.model.accounts[0].nonce)
    assert "NONCE_REPLAYED" == code(desk.block(subject=TAKER, cosigner=TAKER, nonce=9, counter_nonce=9))
    assert "BLOCK_INVALID" == code(desk.block(subject=TAKER, cosigner=TAKER, nonce=10, counter_nonce=11))


def test_what_is_wrong_with_a_leg_is_said_in_order() -> None:
    """Every code of a leg; the first leg's come before the second's."""
    desk = BlockDesk()
    list_combo(desk, *SPREAD)
    desk.model.parameters["futures_band_e6"] = 50_000
    top, most = LIMITS["PRICE_TICKS_MAX"], LIMITS["ORDER_LOTS_MAX"]
    wrong = {
        "COMMAND_MALFORMED": ((OPTION, BUY, 1, 90), (PERP, BUY, 1, FAIR)),
        "INSTRUMENT_NOT_FOUND": ((9, BUY, 0, 0),),
        "BLOCK_INVALID": ((3, BUY, 0, 0),),
        "SIZE_NOT_POSITIVE": ((PERP, BUY, 0, 0), (9, BUY, 1, 1)),
        "SIZE_ABOVE_MAXIMUM": ((PERP, BUY, most + 1, 0),),
        "PRICE_NOT_POSITIVE": ((PERP, BUY, 1, 0),),
        "PRICE_ABOVE_MAXIMUM": ((PERP, BUY, 1, top + 1),),
        "PRICE_OUTSIDE_BAND": ((PERP, SELL, 1, FAIR + FAIR // 20 + 1),),
    }
    for name, legs in wrong.items():
        assert name == code(desk.block(legs))
    assert "COMMAND_MALFORMED" == code(desk.block(((PERP, 2, 1, FAIR),)))
    for price in (FAIR - FAIR // 20, FAIR + FAIR // 20):
        assert "OK" == code(desk.block(((PERP, BUY, 1, price),)))
        assert "OK" == code(desk.block(((PERP, SELL, 1, price),)))
    desk.now = desk.expiry_ns
    assert "INSTRUMENT_CLOSED" == code(desk.block(((OPTION, BUY, 0, 0),)))
    assert "MARK_STALE" == code(desk.block(((PERP, BUY, 1, FAIR),)))


@pytest.mark.parametrize("who", [0, 1])
def test_nobody_in_liquidation_trades_a_block(who: int) -> None:
    """Neither the account nor the counterparty, whatever the legs are."""
    desk = BlockDesk()
    desk.model.accounts[who].liquidation_stage = STAGES["SLICES"]
    assert "IN_LIQUIDATION" == code(desk.block(()))


def test_both_sides_need_room_and_their_margins(monkeypatch: pytest.MonkeyPatch) -> None:
    """Records that both lack, gross lots of either, and equity after all legs and fees."""
    desk = BlockDesk()
    desk.model.limits["positions"] = 3
    assert "TABLE_FULL" == code(desk.block())
    desk.place(MAKER, OPTION, BUY, 1, 1)
    assert "OK" == code(desk.block(LEGS[:1]))
    assert "TABLE_FULL" == code(desk.block((*LEGS[1:], (2, BUY, 1, FAIR))))
    desk.model.limits["positions"] = 4
    assert "OK" == code(desk.block())
    # The maker has six lots of the perpetual, two calls and an open order: nine.
    for most, name in ((13, "GROSS_LIMIT"), (14, "OK")):
        monkeypatch.setitem(LIMITS, "GROSS_LOTS_MAX", most)
        assert name == code(desk.block(((PERP, SELL, 5, FAIR),)))
    monkeypatch.undo()
    for who, name in ((0, "counterparty"), (1, "account")):
        account = desk.model.accounts[who]
        kept, account.cash_atoms = account.cash_atoms, 0
        desk.model.house.insurance_atoms += kept
        before = desk.model.state()["accounts"]
        assert "INITIAL_MARGIN_INSUFFICIENT" == code(desk.block(((PERP, SELL, 9, FAIR),))), name
        after = desk.model.state()["accounts"]
        for state in (*before, *after):
            del state["nonce"]
        assert before == after
        account.cash_atoms = kept
        desk.model.house.insurance_atoms -= kept


def test_keys_of_both_sides_keep_their_limits() -> None:
    """A block beyond a key's notional or delta fails, unless it brings the account nearer to nothing."""
    desk = BlockDesk()
    desk.allow(max_notional_atoms=3 * LOT, max_delta_atoms=2 * LOT)
    keyed = {"cosigner": KEY, "counter_nonce": 1}
    assert "KEY_LIMIT" == code(desk.block(((PERP, SELL, 4, FAIR),), **keyed))
    assert "KEY_LIMIT" == code(desk.block(((PERP, SELL, 3, FAIR),), **(keyed | {"counter_nonce": 2})))
    assert "OK" == code(desk.block(((PERP, SELL, 9, FAIR),)))
    # Nine long: selling one leaves eight, more than allowed, but it raises nothing.
    assert "OK" == code(desk.block(((PERP, BUY, 1, FAIR),), **(keyed | {"counter_nonce": 3})))
    assert 8 == desk.maker().positions[PERP].lots
