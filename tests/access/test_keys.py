"""Session keys, sub-accounts and transfers, through a real connection."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from novate.access.client import NovateClient
from novate.access.client_errors import ConnectionLost, VenueError
from novate.protocol.generated.codes import AccessCode, Code, CommandKind
from novate.protocol.generated.constants import KEY_COUNT
from novate.protocol.signing import compute_subaccount_address

from .desk import DESK, HELPER, address_of, open_floor, read_equity, refuse, refuse_with_data, soon
from .harness import MAKER, PERPETUAL, STRANGER, TAKER, TestVenue, make_key, open_wire, run_venue, sign_place

HELPER_ADDRESS, MAKER_ADDRESS = address_of(HELPER), address_of(MAKER)


def make_helper(venue: TestVenue, **options: Any) -> NovateClient:
    """A client that signs with the helper's key for the maker's account."""
    return venue.make_client(HELPER, account=MAKER_ADDRESS, reconnect=False, **options)


def test_key_trades_for_its_account(tmp_path: Path) -> None:
    """A key places, edits and cancels orders that are its account's, with a nonce of its own."""

    async def scenario() -> None:
        async with open_floor(tmp_path) as (venue, maker, taker, _, _):
            given = await maker.authorize_key(HELPER_ADDRESS, "cancel trade", soon(venue), max_notional=1_000)
            async with make_helper(venue) as helper:
                placed = await helper.buy(PERPETUAL, "0.01", 49_000, label="by key")
                order = placed["order"]
                assert "open" == order["order_state"]
                mine = await maker.call("private/get_open_orders")
                assert [order["order_id"]] == [row["order_id"] for row in mine]
                moved = await helper.edit(order["order_id"], PERPETUAL, "0.01", 48_000)
                assert 48_000.0 == moved["order"]["price"]
                # The account's own nonce is another: both go on side by side.
                await maker.buy(PERPETUAL, "0.001", 47_000)
                assert "cancelled" == (await helper.cancel(order["order_id"]))["order_state"]
                assert 1 == await helper.cancel_all()
                await taker.sell(PERPETUAL, "0.01", 50_000)
                bought = await helper.buy(PERPETUAL, "0.01", 50_000)
                assert ["by key", ""] == [order["label"], bought["order"]["label"]]
                assert 1 == len(bought["trades"])
                (position,) = await maker.call("private/get_positions", {"currency": "any"})
                assert 0.01 == position["size"]
                (key,) = await helper.list_keys()
            expected = {"place": 1, "key": HELPER_ADDRESS, "scope": "trade cancel", "max_notional": 1_000.0}
            expected |= {"max_delta": 0.0, "max_vega": 0.0, "rate_per_minute": 0, "active": True}
            assert expected == {name: given[name] for name in expected}
            assert expected | {"expired": False} == {name: key[name] for name in [*expected, "expired"]}
            assert int(key["nonce"]) > int(given["nonce"])

    asyncio.run(scenario())


def test_key_is_held_to_its_limits(tmp_path: Path) -> None:
    """Scope, rate and limits of a key are the law's to keep, and so is its end."""

    async def scenario() -> None:
        async with open_floor(tmp_path) as (venue, maker, _, _, _):
            await maker.authorize_key(
                HELPER_ADDRESS, "trade", soon(venue), max_notional=600, rate_per_minute=5
            )
            async with make_helper(venue) as helper:
                assert Code.KEY_SCOPE == await refuse(helper.cancel_all())
                assert Code.KEY_SCOPE == await refuse(helper.withdraw(1))
                assert Code.KEY_SCOPE == await refuse(helper.authorize_key(address_of(DESK), "trade", 1))
                order = (await helper.buy(PERPETUAL, "0.001", 49_000))["order"]
                assert "open" == order["order_state"]
                data = await refuse_with_data(helper.buy(PERPETUAL, "0.1", 49_000))
                assert ("key_limit", venue.engine.sequence) == (data["reason"], data["receipt"]["sequence"])
                # The limit is the key's: the account may do more.
                await maker.buy(PERPETUAL, "0.1", 40_000)
                for _ in range(3):
                    assert Code.KEY_LIMIT == await refuse(helper.buy(PERPETUAL, "0.001", 49_000))
                assert Code.KEY_RATE == await refuse(helper.buy(PERPETUAL, "0.001", 49_000))
                venue.clock.ahead_ns += 3_600_000_000_001
                assert Code.KEY_EXPIRED == await refuse(helper.buy(PERPETUAL, "0.001", 49_000))
            (key,) = await maker.list_keys()
            assert (True, True) == (key["active"], key["expired"])

    asyncio.run(scenario())


def test_quotes_of_a_key(tmp_path: Path) -> None:
    """A key's mass quotes stay within its limits as a whole, or none of the group's quotes stays."""

    async def scenario() -> None:
        async with open_floor(tmp_path) as (venue, maker, _, call, _):
            await maker.authorize_key(HELPER_ADDRESS, "quote", soon(venue), max_vega=20)
            async with make_helper(venue) as helper:
                await helper.set_mmp("btc_usdc", 1, 10, 1, 5)
                placed = await helper.mass_quote(1, [(call, ("1000", "0.1"), ("1500", "0.1"))])
                assert ["open", "open"] == [order["order_state"] for order in placed["orders"]]
                ended = await helper.mass_quote(1, [(call, ("1000", "5"), ("1500", "0.1"))])
                assert {("cancelled", "key_limit")} == {
                    (order["order_state"], order["cancel_reason"]) for order in ended["orders"]
                }
                assert [] == await maker.call("private/get_open_orders")

    asyncio.run(scenario())


def test_figures_of_a_key(tmp_path: Path) -> None:
    """Figures out of range are refused, a full table too, and a key that is there gets new figures."""

    async def scenario() -> None:
        async with open_floor(tmp_path) as (venue, maker, _, _, _):
            refused = [
                maker.authorize_key(HELPER_ADDRESS, "trade", 1),
                maker.authorize_key(MAKER_ADDRESS, "trade", soon(venue)),
                maker.authorize_key(HELPER_ADDRESS, "trade", soon(venue), rate_per_minute=1_000_001),
            ]
            for action in refused:
                assert Code.KEY_INVALID == await refuse(action)
            for scope in ("", "everything", "trade,cancel"):
                with pytest.raises(ValueError, match="scope must be"):
                    await maker.authorize_key(HELPER_ADDRESS, scope, soon(venue))
            assert Code.KEY_NOT_FOUND == await refuse(maker.revoke_key(HELPER_ADDRESS))
            for at in range(KEY_COUNT):
                key = address_of(make_key(f"key {at}"))
                assert at + 1 == (await maker.authorize_key(key, "block", soon(venue)))["place"]
            assert Code.KEY_TABLE_FULL == await refuse(
                maker.authorize_key(HELPER_ADDRESS, "trade", soon(venue))
            )
            renewed = await maker.authorize_key(address_of(make_key("key 3")), "quote transfer", soon(venue))
            assert (4, "quote transfer") == (renewed["place"], renewed["scope"])
            gone = await maker.revoke_key(address_of(make_key("key 5")))
            assert (6, False) == (gone["place"], gone["active"])
            assert [1, 2, 3, 4, 5, 7, 8] == [key["place"] for key in await maker.list_keys()]

    asyncio.run(scenario())


def test_only_who_is_named_signs(tmp_path: Path) -> None:
    """A signer that speaks for nobody is refused, and who has signed in place of the one named is shown."""

    async def scenario() -> None:
        async with run_venue(tmp_path) as venue, open_wire(venue) as wire:
            order = sign_place(venue, STRANGER) | {"account": MAKER_ADDRESS}
            unknown = await wire.ask("private/buy", order | {"signer": address_of(STRANGER)})
            assert "key_unknown" == unknown["error"]["data"]["reason"]
            data = (await wire.ask("private/buy", order))["error"]["data"]
            assert ("signature_invalid", MAKER_ADDRESS) == (data["reason"], data["signer"])
            # The stranger signed a struct of its own account: over this one it recovers to nobody known.
            assert data["recovered"] not in (None, MAKER_ADDRESS)
            assert {"digest", "domain", "domain_separator", "message"} <= set(data)
            async with venue.make_client(MAKER) as maker:
                await maker.authorize_key(HELPER_ADDRESS, "trade", soon(venue))
            order = sign_place(venue, MAKER) | {"signer": HELPER_ADDRESS}
            data = (await wire.ask("private/buy", order))["error"]["data"]
            assert (HELPER_ADDRESS, MAKER_ADDRESS) == (data["signer"], data["recovered"])

    asyncio.run(scenario())


def test_revoked_key_is_gone(tmp_path: Path) -> None:
    """With its revocation a key can neither write nor read; its connection and its token end with it."""

    async def scenario() -> None:
        async with open_floor(tmp_path) as (venue, maker, _, _, _):
            await maker.authorize_key(HELPER_ADDRESS, "trade", soon(venue))
            helper = make_helper(venue)
            await helper.connect()
            await helper.buy(PERPETUAL, "0.001", 49_000)
            await helper.subscribe_queue("user.orders.any.any.raw")
            await maker.revoke_key(HELPER_ADDRESS)
            assert Code.KEY_UNKNOWN == await refuse(helper.buy(PERPETUAL, "0.001", 49_000))
            assert AccessCode.UNAUTHORIZED == await refuse(helper.call("private/get_open_orders"))
            assert helper.reader is not None
            await asyncio.wait_for(helper.reader, 5)
            with pytest.raises(ConnectionLost):
                await helper.call("public/test")
            await helper.close()
            async with open_wire(venue) as wire:
                held = {"access_token": helper.access_token}
                reply = await wire.ask("private/get_open_orders", held)
                assert "unauthorized" == reply["error"]["data"]["reason"]
            # Orders that it placed stay.
            assert 1 == len(await maker.call("private/get_open_orders"))
            with pytest.raises(VenueError) as refusal:
                await helper_login(venue)
            assert Code.KEY_UNKNOWN == refusal.value.code

    asyncio.run(scenario())


async def helper_login(venue: TestVenue) -> None:
    """Log the helper in."""
    helper = make_helper(venue)
    try:
        await helper.connect()
    finally:
        await helper.close()


def test_login_by_key_and_owner(tmp_path: Path) -> None:
    """A session shows for whom it reads and who logged in; an expired key and a stranger get none."""

    async def scenario() -> None:
        async with open_floor(tmp_path) as (venue, maker, _, _, _):
            assert Code.KEY_UNKNOWN == await refuse(helper_login(venue))
            await maker.authorize_key(HELPER_ADDRESS, "trade", soon(venue))
            async with make_helper(venue) as helper:
                assert helper.commands is not None
                result = await helper.login()
                expected = {"account": MAKER_ADDRESS, "account_id": 0, "signer": HELPER_ADDRESS}
                assert expected == {name: result[name] for name in expected}
                renewed = await helper.call(
                    "public/auth",
                    {"grant_type": "refresh_token", "refresh_token": result["refresh_token"]},
                )
                assert expected == {name: renewed[name] for name in expected}
            venue.clock.ahead_ns += 3_600_000_000_001
            assert Code.KEY_EXPIRED == await refuse(helper_login(venue))

    asyncio.run(scenario())


def test_subaccounts(tmp_path: Path) -> None:
    """An owner opens sub-accounts, signs for them, moves money and withdraws it to its own wallet."""

    async def scenario() -> None:
        async with open_floor(tmp_path) as (venue, maker, _, _, _):
            opened = await maker.create_subaccount(7)
            owner = bytes.fromhex(MAKER_ADDRESS[2:])
            address = "0x" + compute_subaccount_address(owner, 7).hex()
            shown = (opened["address"], opened["type"], opened["owner_id"], opened["subaccount"])
            assert (address, "subaccount", 0, 7) == shown
            assert Code.SUBACCOUNT_EXISTS == await refuse(maker.create_subaccount(7))
            assert Code.SUBACCOUNT_INVALID == await refuse(maker.create_subaccount(0))
            sent = await maker.transfer("1000.5", address)
            assert (1000.5, address, opened["id"]) == (
                sent["amount"],
                sent["other_side"],
                sent["other_side_id"],
            )
            async with venue.make_client(MAKER, account=address) as branch:
                assert 1000.5 == await read_equity(branch)
                assert Code.SUBACCOUNT_INVALID == await refuse(branch.create_subaccount(1))
                await branch.buy(PERPETUAL, "0.001", 49_000)
                await branch.cancel_all()
                paid = await branch.withdraw(100)
                assert MAKER_ADDRESS == paid["address"]
                assert Code.TRANSFER_INVALID == await refuse(branch.transfer(1, address_of(TAKER)))
                assert Code.CASH_INSUFFICIENT == await refuse(branch.transfer(1_000, MAKER_ADDRESS))
                await branch.transfer(900, MAKER_ADDRESS)
                assert 0.5 == await read_equity(branch)
                assert [7] == [row["subaccount"] for row in await branch.call("private/get_subaccounts")]
            rows = await maker.call("private/get_subaccounts", {"with_portfolio": True})
            expected = [(0, "main", None, 0), (opened["id"], "subaccount", 0, 7)]
            names = ("id", "type", "owner_id", "subaccount")
            assert expected == [tuple(row[name] for name in names) for row in rows]
            assert 0.5 == rows[1]["portfolio"]["usdc"]["equity"]

    asyncio.run(scenario())


def test_keys_of_a_subaccount(tmp_path: Path) -> None:
    """The owner authorises a key for its sub-account: it may move money within the family only."""

    async def scenario() -> None:
        async with open_floor(tmp_path) as (venue, maker, _, _, _):
            address = (await maker.create_subaccount(1))["address"]
            await maker.transfer(500, address)
            async with venue.make_client(MAKER, account=address) as branch:
                await branch.authorize_key(HELPER_ADDRESS, "transfer", soon(venue))
            async with venue.make_client(HELPER, account=address) as helper:
                assert Code.KEY_SCOPE == await refuse(helper.buy(PERPETUAL, "0.001", 49_000))
                before = await read_equity(maker)
                portfolio = await maker.subscribe_queue("user.portfolio.USDC")
                await asyncio.wait_for(portfolio.get(), 5)
                params = {"amount": 20, "destination": 0}
                signed = helper.commands.sign(  # type: ignore[union-attr]
                    CommandKind.TRANSFER,
                    helper.nonces.take(),
                    venue.clock() + 10**10,
                    subject=bytes.fromhex(MAKER_ADDRESS[2:]),
                    amount_atoms=20_000_000,
                )
                method = "private/submit_transfer_between_subaccounts"
                assert "confirmed" == (await helper.call(method, params | signed))["state"]
                told = await asyncio.wait_for(portfolio.get(), 5)
                assert before + 20 == told["equity"] == await read_equity(maker)
                foreign = {"source": 0, **params, **signed, "nonce": str(helper.nonces.take())}
                assert AccessCode.PARAMETER_INVALID == await refuse(helper.call(method, foreign))
                rows = await helper.call("private/get_subaccounts")
                assert [address] == [row["address"] for row in rows]

    asyncio.run(scenario())
