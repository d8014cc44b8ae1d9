"""Every kind of order through a real connection: what is signed, what becomes of it, how it is shown."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from novate.access.client import NovateClient
from novate.access.client_errors import VenueError
from novate.access.order_terms import hash_label
from novate.execution import views
from novate.protocol.frame import keccak256
from novate.protocol.generated.codes import Code, CommandKind, OrderFlag
from novate.protocol.signing import compute_address

from .harness import (
    INDEX_ATOMS,
    MAKER,
    NS_PER_S,
    PERPETUAL,
    TAKER,
    USDC,
    TestVenue,
    open_wire,
    run_venue,
    sign,
)


@contextlib.asynccontextmanager
async def two_traders(folder: Path) -> AsyncIterator[tuple[TestVenue, NovateClient, NovateClient]]:
    """A venue with a maker and a taker."""
    async with (
        run_venue(folder) as venue,
        venue.make_client(MAKER) as maker,
        venue.make_client(TAKER) as taker,
    ):
        yield venue, maker, taker
        assert 0 == venue.server.counters.internal_errors


def pick(order: dict[str, Any], *names: str) -> tuple[Any, ...]:
    """Some values of an order."""
    return tuple(order[name] for name in names)


async def refuse(action: Any) -> Code:
    """The code with which the venue refuses an action."""
    with pytest.raises(VenueError) as refusal:
        await action
    assert isinstance(refusal.value.code, Code)
    return refusal.value.code


async def read_state(client: NovateClient, order_id: str) -> dict[str, Any]:
    """An order as private/get_order_state shows it."""
    state: dict[str, Any] = await client.call("private/get_order_state", {"order_id": order_id})
    return state


async def list_ids(client: NovateClient) -> list[tuple[str, str]]:
    """Id and state of each order that private/get_open_orders shows."""
    return [pick(row, "order_id", "order_state") for row in await client.call("private/get_open_orders")]


def test_market_orders(tmp_path: Path) -> None:
    """A market order takes what is there and never rests; without a counterparty it ends."""

    async def scenario() -> None:
        async with two_traders(tmp_path) as (_, maker, taker):
            await maker.sell(PERPETUAL, 0.01, 50_500)
            bought = (await taker.buy(PERPETUAL, 0.004, type="market"))["order"]
            assert ("filled", "market", "market_price", 50_500.0) == pick(
                bought, "order_state", "order_type", "price", "average_price"
            )
            rest = (await taker.buy(PERPETUAL, 0.01, type="market"))["order"]
            assert ("cancelled", 0.006, "immediate_or_cancel") == pick(
                rest, "order_state", "filled_amount", "cancel_reason"
            )
            nothing = (await taker.buy(PERPETUAL, 0.01, type="market"))["order"]
            assert ("cancelled", 0.0) == pick(nothing, "order_state", "filled_amount")

    asyncio.run(scenario())


def test_fill_or_kill(tmp_path: Path) -> None:
    """A fill-or-kill order is filled in full or refused."""

    async def scenario() -> None:
        async with two_traders(tmp_path) as (_, maker, taker):
            await maker.sell(PERPETUAL, 0.01, 50_000)
            options = {"time_in_force": "fill_or_kill"}
            code = await refuse(taker.buy(PERPETUAL, 0.011, 50_000, **options))
            assert Code.FILL_OR_KILL_UNFILLABLE == code
            filled = (await taker.buy(PERPETUAL, 0.01, 50_000, **options))["order"]
            assert ("filled", "fill_or_kill") == pick(filled, "order_state", "time_in_force")

    asyncio.run(scenario())


def test_good_til_date(tmp_path: Path) -> None:
    """An order with a date ends at the first tick that is not before it."""

    async def scenario() -> None:
        async with two_traders(tmp_path) as (venue, maker, _):
            until = venue.clock() // 1_000_000 + 5_000
            order = (await maker.buy(PERPETUAL, 0.01, 40_000, valid_until=until))["order"]
            assert ("good_til_date", until) == pick(order, "time_in_force", "valid_until")
            venue.clock.ahead_ns += 6 * NS_PER_S
            await venue.report_index()
            ended = await read_state(maker, order["order_id"])
            assert ("cancelled", "good_til_date") == pick(ended, "order_state", "cancel_reason")

    asyncio.run(scenario())


def test_reduce_only(tmp_path: Path) -> None:
    """A reduce-only order needs something to reduce, and asks for no more than that."""

    async def scenario() -> None:
        async with two_traders(tmp_path) as (_, maker, taker):
            await maker.sell(PERPETUAL, 0.01, 50_000)
            code = await refuse(taker.sell(PERPETUAL, 0.01, 50_000, reduce_only=True))
            assert Code.REDUCE_ONLY_WOULD_INCREASE == code
            await taker.buy(PERPETUAL, 0.004, 50_000)
            reducing = (await taker.sell(PERPETUAL, 0.01, 50_500, reduce_only=True))["order"]
            assert ("open", 0.004, True) == pick(reducing, "order_state", "amount", "reduce_only")
            await maker.cancel_all()
            bid = (await maker.buy(PERPETUAL, 0.02, 50_500))["order"]
            assert ("open", 0.004) == pick(bid, "order_state", "filled_amount")
            assert "filled" == (await read_state(taker, reducing["order_id"]))["order_state"]

    asyncio.run(scenario())


def test_self_trading_modes(tmp_path: Path) -> None:
    """On meeting its own account's order the taker ends, or the maker, or both, as its mode says."""
    expected = {
        "reject_taker": ("cancelled", "open"),
        "cancel_maker": ("open", "cancelled"),
        "cancel_both": ("cancelled", "cancelled"),
    }

    async def scenario() -> None:
        async with two_traders(tmp_path) as (_, maker, _taker):
            for mode, states in expected.items():
                resting = (await maker.sell(PERPETUAL, 0.01, 50_000))["order"]
                taking = (await maker.buy(PERPETUAL, 0.01, 50_000, self_trading_mode=mode))["order"]
                assert mode == taking["self_trading_mode"]
                after = await read_state(maker, resting["order_id"])
                assert states == (taking["order_state"], after["order_state"])
                await maker.cancel_all()

    asyncio.run(scenario())


def test_icebergs_show_a_slice(tmp_path: Path) -> None:
    """The public book has the visible lots only; a filled slice is renewed at the end of its level."""

    async def scenario() -> None:
        async with two_traders(tmp_path) as (_, maker, taker):
            hidden = (await maker.sell(PERPETUAL, 0.01, 50_000, display_amount="0.002"))["order"]
            behind = (await maker.sell(PERPETUAL, 0.001, 50_000))["order"]
            params = {"instrument_name": PERPETUAL}
            book = await taker.call("public/get_order_book", params)
            assert [[50_000.0, 0.003]] == book["asks"]
            bought = await taker.buy(PERPETUAL, 0.003, 50_000)
            assert [hidden["order_id"], behind["order_id"]] == [
                trade["order_id"] for trade in await list_makers(maker, bought)
            ]
            book = await taker.call("public/get_order_book", params)
            assert [[50_000.0, 0.002]] == book["asks"]
            state = await read_state(maker, hidden["order_id"])
            assert (0.01, 0.002, 0.002, 0.002) == pick(
                state, "amount", "filled_amount", "display_amount", "refresh_amount"
            )

    asyncio.run(scenario())


async def list_makers(maker: NovateClient, bought: dict[str, Any]) -> list[dict[str, Any]]:
    """The maker's own trades of one command, oldest first."""
    params = {"instrument_name": PERPETUAL, "sorting": "asc"}
    trades = (await maker.call("private/get_user_trades_by_instrument", params))["trades"]
    return [trade for trade in trades if trade["sequence"] == bought["receipt"]["sequence"]]


def test_labels_are_signed(tmp_path: Path) -> None:
    """A label is signed as 63 bits of its hash, shown as its text, and names what cancel_by_label ends."""
    number = int.from_bytes(keccak256("désk".encode())[:8], "big") >> 1

    async def scenario() -> None:
        async with two_traders(tmp_path) as (venue, maker, taker):
            assert (number, 0) == (hash_label("désk"), hash_label(""))
            order = (await maker.buy(PERPETUAL, 0.01, 40_000, label="désk"))["order"]
            assert ("désk", str(number)) == pick(order, "label", "label_id")
            view = views.read_order(venue.engine, int(order["order_id"]))
            assert view is not None
            assert number == view.label
            await maker.buy(PERPETUAL, 0.01, 40_000, label="other")
            await taker.buy(PERPETUAL, 0.01, 40_000, label="désk")
            assert 1 == await maker.cancel_by_label("désk")
            assert 1 == await maker.cancel_all()
            async with open_wire(venue) as wire:
                signed = sign(venue, MAKER, CommandKind.CANCEL_ALL, instrument=-1)
                reply = await wire.ask("private/cancel_by_label", signed | {"label": "désk"})
                assert "signature_invalid" == reply["error"]["data"]["reason"]
                assert str(number) == reply["error"]["data"]["message"]["label"]

    asyncio.run(scenario())


def test_prices_in_volatility(tmp_path: Path) -> None:
    """An order in volatility is priced by the law, moves with the marks, and is edited in volatility."""

    async def scenario() -> None:
        async with two_traders(tmp_path) as (venue, maker, _):
            order = (await maker.buy(venue.option, 0.1, "40.5", advanced="implv"))["order"]
            assert ("implv", 40.5, "open") == pick(order, "advanced", "implv", "order_state")
            assert order["price"] > 100
            edited = (await maker.edit(order["order_id"], venue.option, 0.1, "45", "implv"))["order"]
            assert 45.0 == edited["implv"]
            assert edited["price"] > order["price"]
            await venue.report_index(INDEX_ATOMS * 12 // 10)
            moved = await read_state(maker, order["order_id"])
            assert ("open", 45.0) == pick(moved, "order_state", "implv")
            assert moved["price"] > edited["price"]
            with pytest.raises(ValueError, match=r"0\.01"):
                await maker.buy(venue.option, 0.1, "40.505", advanced="implv")
            code = await refuse(maker.buy(PERPETUAL, 0.01, 40, advanced="implv"))
            assert Code.ORDER_INVALID == code

    asyncio.run(scenario())


def test_stop_and_take(tmp_path: Path) -> None:
    """A stop waits, is shown as untriggered, fires when the index crosses, and then is an order like any."""

    async def scenario() -> None:
        async with two_traders(tmp_path) as (venue, maker, _):
            orders = await maker.subscribe_queue("user.orders.any.any.raw")
            options = {"type": "stop_limit", "trigger": "index_price", "trigger_price": 51_000}
            stop = (await maker.buy(PERPETUAL, 0.01, 50_500, label="stop", **options))["order"]
            assert ("untriggered", "stop_limit", "index_price", 51_000.0, False) == pick(
                stop, "order_state", "order_type", "trigger", "trigger_price", "triggered"
            )
            assert [(stop["order_id"], "untriggered")] == await list_ids(maker)
            code = await refuse(maker.edit(stop["order_id"], PERPETUAL, 0.01, 50_000))
            assert Code.ORDER_NOT_FOUND == code
            await venue.report_index(50_999 * USDC)
            assert "untriggered" == (await read_state(maker, stop["order_id"]))["order_state"]
            await venue.report_index(51_000 * USDC)
            fired = await read_state(maker, stop["order_id"])
            assert ("open", "limit", "stop_limit", True, "stop", 50_500.0) == pick(
                fired, "order_state", "order_type", "original_order_type", "triggered", "label", "price"
            )
            seen = [orders.get_nowait()["order_state"] for _ in range(orders.qsize())]
            assert ["untriggered", "open"] == seen
            options["type"] = "take_limit"
            take = (await maker.sell(PERPETUAL, 0.01, 60_000, **options))["order"]
            assert "take_limit" == take["order_type"]
            cancelled = await maker.cancel(take["order_id"])
            assert ("cancelled", "user_request", "take_limit") == pick(
                cancelled, "order_state", "cancel_reason", "original_order_type"
            )

    asyncio.run(scenario())


def test_trigger_conditions(tmp_path: Path) -> None:
    """A stop buys above and sells below, a take the opposite, a trail follows; units fit the reference."""

    async def scenario() -> None:
        async with two_traders(tmp_path) as (venue, maker, _):
            kinds = {("buy", "stop_market"): 0, ("sell", "stop_market"): 1}
            kinds |= {("buy", "take_market"): 1, ("sell", "take_market"): 0}
            for (side, kind), condition in kinds.items():
                price = 60_000 if condition == 0 else 40_000
                options = {"type": kind, "trigger": "mark_price", "trigger_price": price}
                order = (await maker.place(side, PERPETUAL, 0.01, **options))["order"]
                view = views.read_waiting_order(venue.engine, int(order["order_id"]))
                assert view is not None
                # A lot of the perpetual is a thousandth: 60,000 USDC are 60 USDC per lot.
                assert (condition, price * USDC // 1000) == (view.condition, view.trigger_atoms)
                assert OrderFlag.MARKET == view.flags
                assert kind == order["order_type"]
            options = {"type": "trailing_stop", "trigger": "last_price", "trigger_offset": 500}
            assert Code.MARK_UNAVAILABLE == await refuse(maker.sell(PERPETUAL, 0.01, **options))
            options["trigger"] = "index_price"
            trail = (await maker.sell(PERPETUAL, 0.01, **options))["order"]
            assert ("trailing_stop", 500.0) == pick(trail, "order_type", "trigger_offset")
            await venue.report_index(52_000 * USDC)
            await venue.report_index(51_501 * USDC)
            state = await read_state(maker, trail["order_id"])
            assert ("untriggered", 52_000.0) == pick(state, "order_state", "trigger_reference_price")
            await venue.report_index(51_500 * USDC)
            fired = await read_state(maker, trail["order_id"])
            assert ("cancelled", True, "immediate_or_cancel") == pick(
                fired, "order_state", "triggered", "cancel_reason"
            )

    asyncio.run(scenario())


def test_children_follow_their_parent(tmp_path: Path) -> None:
    """An order with a parent waits for the parent's fill; of two with one link the first ends the other."""

    async def scenario() -> None:
        async with two_traders(tmp_path) as (_, maker, taker):
            parent = (await maker.buy(PERPETUAL, 0.01, 50_000))["order"]
            pair = {"parent_order_id": parent["order_id"], "link": 7}
            first = (await maker.sell(PERPETUAL, 0.01, 51_000, **pair))["order"]
            second = (await maker.sell(PERPETUAL, 0.01, 52_000, **pair))["order"]
            assert ("untriggered", parent["order_id"], "7") == pick(
                first, "order_state", "parent_order_id", "link"
            )
            sold = await taker.sell(PERPETUAL, 0.01, 50_000)
            assert 1 == len(sold["trades"])
            assert "open" == (await read_state(maker, first["order_id"]))["order_state"]
            assert "open" == (await read_state(maker, second["order_id"]))["order_state"]
            await taker.buy(PERPETUAL, 0.01, 51_000)
            ended = await read_state(maker, second["order_id"])
            assert ("cancelled", "oco_other_closed") == pick(ended, "order_state", "cancel_reason")

    asyncio.run(scenario())


def test_orders_of_a_past_run(tmp_path: Path) -> None:
    """A server on a recovered engine knows open and waiting orders, and what fills do to them."""

    async def scenario() -> None:
        async with two_traders(tmp_path) as (venue, maker, taker):
            resting = (await maker.sell(PERPETUAL, 0.01, 50_000))["order"]
            options = {"type": "stop_market", "trigger": "index_price", "trigger_price": 60_000}
            waiting = (await maker.buy(PERPETUAL, 0.01, **options))["order"]
            ledger = venue.server.venue.ledger
            ledger.open_orders.clear()
            account = venue.engine.find_account(compute_address(MAKER.public_key))
            ledger.adopt(views.read_open_orders(venue.engine, account))
            ledger.adopt(views.read_waiting_orders(venue.engine, account))
            await taker.buy(PERPETUAL, 0.004, 50_000)
            state = await read_state(maker, resting["order_id"])
            assert (0.004, 0.01) == pick(state, "filled_amount", "amount")
            assert "stop_market" == (await read_state(maker, waiting["order_id"]))["order_type"]

    asyncio.run(scenario())
