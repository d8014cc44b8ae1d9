"""The naive model's session keys, sub-accounts and transfers by hand.

A lot of the perpetual is worth 80 USDC and has as much delta. Whether the engine agrees with the model is
another test's matter.
"""

from __future__ import annotations

import pytest

from .keys import ZERO_ADDRESS, subaccount_address
from .model import Event
from .records import BUY, CODES, IOC, LIMITS, REASONS, SCOPES, SELL, Account
from .test_markets_self import MAKER, OPTION, PERP, START_ATOMS, TAKER, Desk, found
from .test_orders_self import FAIR, code, ended, order_id
from .world import SECOND

USDC = 1_000_000
KEY, RIVAL = "0x11", "0x12"
LOT = 80 * USDC
ALL = sum(SCOPES.values())
NO_LIMITS = dict.fromkeys(("max_notional_atoms", "max_delta_atoms", "max_vega_atoms", "rate_per_minute"), 0)
ORDER = {"instrument": PERP, "time_in_force": 0, "price_ticks": FAIR, "flags": 0, "display_lots": 0}
ORDER |= {"valid_until_ns": 0, "label": 0, "link": 0}


class KeyDesk(Desk):
    """A desk on which keys are authorized and used; the maker's number is 0, the taker's 1."""

    def allow(self, key: str = KEY, who: str = MAKER, **figures: int) -> list[Event]:
        lasting = {"scope": ALL, "key_expires_ns": self.now + 1000 * SECOND}
        return self.sign("AUTHORIZE_KEY", who, subject=key, **(NO_LIMITS | lasting | figures))

    def use(self, kind: str, signer: str = KEY, who: str = MAKER, **fields: object) -> list[Event]:
        account = self.model.accounts[self.model.numbers[who]]
        nonces = [key.nonce for key in account.keys.values() if key.address == signer] or [account.nonce]
        signed = {"account": who, "nonce": nonces[0] + 1, "expires_ns": self.now + 1}
        return self.send(kind, signer, **(signed | fields))

    def order(self, side: int, lots: int, **more: object) -> list[Event]:
        return self.use("PLACE", **(ORDER | {"side": side, "lots": lots} | more))

    def maker(self) -> Account:
        return self.model.accounts[0]

    def owned(self, number: int, who: str = MAKER) -> str:
        self.sign("CREATE_SUBACCOUNT", who, subaccount=number)
        return subaccount_address(who, number)


def test_a_key_signs_what_its_scope_says_with_a_nonce_of_its_own() -> None:
    """Each bit opens its commands and no other; what only the account may do is refused to every key."""
    kinds = {
        "TRADE": ("PLACE", "REPLACE", "PLACE_TRIGGER"),
        "CANCEL": ("CANCEL", "CANCEL_ALL", "PROTECT"),
        "QUOTE": ("MASS_QUOTE", "SET_MMP"),
        "BLOCK": ("BLOCK_TRADE",),
        "TRANSFER": ("TRANSFER",),
    }
    never = ("WITHDRAW", "INSURE", "BACKSTOP", "AUTHORIZE_KEY", "REVOKE_KEY", "CREATE_SUBACCOUNT")
    desk = KeyDesk()
    assert "KEY_UNKNOWN" == code(desk.use("CANCEL"))
    used = desk.maker().nonce
    for name, bit in SCOPES.items():
        desk.allow(scope=ALL - bit)
        before = desk.maker().nonce
        for kind in kinds[name] + never:
            assert "KEY_SCOPE" == code(desk.use(kind))
        assert (before, 0) == (desk.maker().nonce, desk.maker().keys[1].nonce)
    desk.allow(scope=SCOPES["CANCEL"])
    assert "ORDER_NOT_FOUND" == code(desk.use("CANCEL", order_id=9))
    assert (used + 6, 1) == (desk.maker().nonce, desk.maker().keys[1].nonce)
    assert "NONCE_REPLAYED" == code(desk.use("CANCEL", nonce=1, order_id=9))
    assert "SIGNATURE_EXPIRED" == code(desk.use("CANCEL", signer=RIVAL, expires_ns=desk.now))
    desk.now += 1000 * SECOND
    assert "KEY_EXPIRED" == code(desk.use("CANCEL", scope=0))


def test_a_key_must_make_sense_and_finds_the_lowest_free_place() -> None:
    """Figures at the ends of their ranges; eight keys; a new one fills the gap, a known one stays."""
    desk = KeyDesk()
    wrong = ({"scope": 0}, {"scope": 32}, {"key_expires_ns": desk.now}, {"max_notional_atoms": -1})
    wrong += ({"max_delta_atoms": (1 << 60) + 1}, {"max_vega_atoms": -1}, {"rate_per_minute": 10**6 + 1})
    for figures in wrong:
        assert "KEY_INVALID" == code(desk.allow(**figures))
    for key in (MAKER, ZERO_ADDRESS):
        assert "KEY_INVALID" == code(desk.allow(key))
    assert 0 == desk.allow(TAKER, max_delta_atoms=1 << 60, rate_per_minute=10**6)[0]["code"]
    for number in range(2, LIMITS["KEY_COUNT"] + 1):
        events = desk.allow(f"0x{0x20 + number:x}")
        assert [(0, number)] == found(events, "KEY_AUTHORIZED", "account", "order_id")
    assert "KEY_TABLE_FULL" == code(desk.allow())
    assert 0 == desk.allow("0x23", scope=1)[0]["code"]
    assert "KEY_NOT_FOUND" == code(desk.sign("REVOKE_KEY", MAKER, subject=KEY))
    events = desk.sign("REVOKE_KEY", MAKER, subject="0x23")
    assert [(0, 3)] == found(events, "KEY_REVOKED", "account", "order_id")
    assert [(0, 3)] == found(desk.allow(), "KEY_AUTHORIZED", "account", "order_id")


def test_what_a_revoked_key_signed_is_never_good_again() -> None:
    """A key that comes back, or another one, starts beyond every nonce that a revoked key has used."""
    desk = KeyDesk()
    desk.allow()
    resting = order_id(desk.order(BUY, 1, nonce=77))
    desk.sign("REVOKE_KEY", MAKER, subject=KEY)
    assert [resting] == list(desk.maker().orders)
    desk.allow(RIVAL)
    desk.allow()
    assert (77, 77, 77) == (desk.maker().retired_nonce, *(key.nonce for key in desk.maker().keys.values()))
    assert "NONCE_REPLAYED" == code(desk.order(BUY, 1, nonce=77))


def test_a_key_has_so_many_commands_a_minute() -> None:
    """Two pass, refused or not; the third uses its nonce up in vain; after sixty seconds all is new."""
    desk = KeyDesk()
    desk.allow(rate_per_minute=2)
    assert "ORDER_NOT_FOUND" == code(desk.use("CANCEL", order_id=9))
    desk.now += 60 * SECOND - 1
    desk.order(BUY, 1)
    assert "KEY_RATE" == code(desk.order(BUY, 1))
    key = desk.maker().keys[1]
    assert (3, 2, desk.now - 60 * SECOND + 1) == (key.nonce, key.window_count, key.window_start_ns)
    desk.now += 1
    assert 0 == desk.order(BUY, 1)[0]["code"]
    assert (1, desk.now) == (key.window_count, key.window_start_ns)


def test_a_key_limits_the_notional_that_orders_can_reach() -> None:
    """With five lots of 80 the sixth is too much, in the book or held; what does not raise it passes."""
    desk = KeyDesk()
    desk.allow(max_notional_atoms=5 * LOT)
    desk.place(MAKER, PERP, BUY, 7, FAIR)
    assert "KEY_LIMIT" == code(desk.order(BUY, 1))
    # The account could hold seven long; an order to sell seven leads no farther than that.
    assert "KEY_LIMIT" == code(desk.order(SELL, 8, price_ticks=FAIR + 9))
    assert 0 == desk.order(SELL, 7, price_ticks=FAIR + 9)[0]["code"]
    desk.use("CANCEL_ALL", instrument=-1, label=0, group=0)
    resting = order_id(desk.order(BUY, 5))
    change = {"order_id": resting, "price_ticks": FAIR - 1}
    assert "KEY_LIMIT" == code(desk.use("REPLACE", lots=6, **change))
    assert 0 == desk.use("REPLACE", lots=5, **change)[0]["code"]
    # The account itself has no limits.
    assert 0 == desk.sign("REPLACE", MAKER, **(change | {"lots": 6}))[0]["code"]


@pytest.mark.parametrize(("instrument", "greek"), [(PERP, "delta"), (OPTION, "delta"), (OPTION, "vega")])
@pytest.mark.parametrize("side", [BUY, SELL])
def test_a_key_limits_delta_and_vega_in_the_direction_of_the_order(
    instrument: int, greek: str, side: int
) -> None:
    """Four lots are within, the fifth is not; the other way there is as much room again."""
    desk = KeyDesk()
    per_lot = getattr(desk.model.instruments[instrument], f"{greek}_atoms")
    desk.allow(**{f"max_{greek}_atoms": 5 * per_lot - 1})
    fair = desk.model.instruments[instrument].mark_atoms // desk.model.instruments[instrument].tick_atoms
    here = {"instrument": instrument, "price_ticks": fair + (9 if side == SELL else -9)}
    there = {"instrument": instrument, "price_ticks": fair + (9 if side == BUY else -9)}
    assert "KEY_LIMIT" == code(desk.order(side, 5, **here))
    assert 0 == desk.order(side, 4, **here)[0]["code"]
    assert "KEY_LIMIT" == code(desk.order(side, 1, **here))
    assert 0 == desk.order(1 - side, 4, **there)[0]["code"]
    assert "KEY_LIMIT" == code(desk.order(1 - side, 1, **there))


def test_quotes_beyond_the_keys_limits_all_end() -> None:
    """Three lots of 800 of notional on both sides fit 2400; four end with all of the group."""
    desk = KeyDesk()
    desk.protect(quantity=100)
    desk.allow(max_notional_atoms=30 * LOT + 1)
    items = {"group": 1, "items": [(OPTION, 50, 1, 200, 2)]}
    assert [] == ended(desk.use("MASS_QUOTE", **items))
    more = desk.use("MASS_QUOTE", **(items | {"items": [(OPTION, 50, 2, 201, 2)]}))
    assert [REASONS["REPLACED"]] * 2 + [REASONS["KEY_LIMIT"]] * 2 == [
        reason for (reason,) in found(more, "CANCELLED", "reason")
    ]
    # Nothing new was placed, so nothing is measured: what the account quoted itself stays.
    desk.quote((OPTION, 50, 9, 200, 9))
    assert [] == ended(desk.use("MASS_QUOTE", group=1, items=[(OPTION, 50, 9, 200, 9)]))
    desk.allow(max_vega_atoms=1)
    assert 3 == len(ended(desk.use("MASS_QUOTE", group=1, items=[(OPTION, 50, 9, 210, 1)])))
    assert {} == desk.maker().orders


def test_orders_that_fire_are_not_measured() -> None:
    """A key may leave an order that waits beyond its limits; it fires all the same."""
    desk = KeyDesk()
    desk.allow(max_notional_atoms=LOT, max_delta_atoms=LOT)
    parent = order_id(desk.order(BUY, 1))
    waits = ORDER | {"reference": 0, "condition": 0, "trigger_atoms": 0, "trail_atoms": 0}
    desk.use("PLACE_TRIGGER", **(waits | {"parent_id": parent, "side": BUY, "lots": 50, "price_ticks": 1}))
    events = desk.place(TAKER, PERP, SELL, 1, FAIR, time_in_force=IOC)
    assert [(50,)] == found(events, "REST", "lots")


def test_a_subaccount_is_its_owners_and_takes_over_what_was_sent_to_it() -> None:
    """Numbers in range, once each; the owner signs with the sub-account's nonce, and may not be its key."""
    desk = KeyDesk()
    for number in (0, 1 << 31):
        assert "SUBACCOUNT_INVALID" == code(desk.sign("CREATE_SUBACCOUNT", MAKER, subaccount=number))
    address = subaccount_address(MAKER, 7)
    cursor = desk.model.house.deposit_cursor + 1
    desk.send("DEPOSIT", address, cursor=cursor, amount_atoms=5)
    events = desk.sign("CREATE_SUBACCOUNT", MAKER, subaccount=7)
    assert (0, 0) == (events[0]["account"], events[0]["order_id"])
    assert [(2, 7, 0)] == found(events, "SUBACCOUNT_CREATED", "account", "order_id", "maker_account")
    assert "SUBACCOUNT_EXISTS" == code(desk.sign("CREATE_SUBACCOUNT", MAKER, subaccount=7))
    events = desk.sign("CREATE_SUBACCOUNT", MAKER, subaccount=(1 << 31) - 1)
    assert [(3,)] == found(events, "SUBACCOUNT_CREATED", "account")
    taken = desk.use("WITHDRAW", signer=MAKER, who=address, amount_atoms=5, nonce=1)
    assert [(2, 5)] == found(taken, "WITHDRAWN", "account", "amount_atoms")
    assert (1, 2) == (desk.model.accounts[2].nonce, taken[0]["account"])
    assert "KEY_UNKNOWN" == code(desk.use("WITHDRAW", signer=TAKER, who=address, amount_atoms=5))
    further = desk.use("CREATE_SUBACCOUNT", signer=MAKER, who=address, subaccount=1)
    assert "SUBACCOUNT_INVALID" == code(further)
    keyed = NO_LIMITS | {"subject": MAKER, "scope": 1, "key_expires_ns": desk.now + 9}
    assert "KEY_INVALID" == code(desk.use("AUTHORIZE_KEY", signer=MAKER, who=address, **keyed))


def test_accounts_of_one_owner_transfer_and_trade_with_each_other() -> None:
    """Owner to sub-account, between sub-accounts and back; never to a stranger nor to oneself."""
    desk = KeyDesk()
    first, second = desk.owned(1), desk.owned(2)
    desk.allow(scope=SCOPES["TRANSFER"])
    events = desk.use("TRANSFER", subject=first, amount_atoms=1000 * USDC)
    assert [(0, 2, 1000 * USDC)] == found(events, "TRANSFERRED", "account", "maker_account", "amount_atoms")
    for receiver in (MAKER, TAKER, KEY):
        assert "TRANSFER_INVALID" == code(desk.use("TRANSFER", subject=receiver, amount_atoms=1))
    assert "AMOUNT_NOT_POSITIVE" == code(desk.use("TRANSFER", subject=KEY, amount_atoms=0))
    desk.use("TRANSFER", signer=MAKER, who=first, subject=second, amount_atoms=400 * USDC)
    over = {"subject": MAKER, "amount_atoms": 401 * USDC}
    assert "CASH_INSUFFICIENT" == code(desk.use("TRANSFER", signer=MAKER, who=second, **over))
    desk.place(MAKER, PERP, SELL, 5, FAIR)
    trade = ORDER | {"side": BUY, "lots": 5}
    assert 1 == len(found(desk.use("PLACE", signer=MAKER, who=second, **trade), "FILL"))
    # 400 less fees and eighteen per cent of 400 for the margin.
    spare = {"subject": MAKER, "amount_atoms": 329 * USDC}
    refused = desk.use("TRANSFER", signer=MAKER, who=second, **spare)
    assert CODES["INITIAL_MARGIN_INSUFFICIENT"] == refused[0]["code"]
    spare["amount_atoms"] = 300 * USDC
    assert 0 == desk.use("TRANSFER", signer=MAKER, who=second, **spare)[0]["code"]
    assert START_ATOMS - 700 * USDC > desk.maker().cash_atoms
