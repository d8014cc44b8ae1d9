"""Margin calls, liquidations, backstops and the insurance fund, through a real connection."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from novate.access.client import NovateClient
from novate.access.client_errors import VenueError
from novate.protocol.generated.codes import Code, CommandKind

from .harness import MAKER, PERPETUAL, STRANGER, TAKER, USDC, TestVenue, make_key, open_wire, run_venue, sign

BACKSTOP = make_key("backstop")
DEPOSIT_USDC = 1_000
AMOUNT = 0.1
CALM, WARNED, BREACHED, BANKRUPT = 49_999, 47_000, 46_000, 39_000
Messages = list[dict[str, Any]]


class Floor(NamedTuple):
    """A venue where a debtor has bought from a maker all that its margin carries."""

    venue: TestVenue
    debtor: NovateClient
    maker: NovateClient
    risk: asyncio.Queue[dict[str, Any]]


@asynccontextmanager
async def open_floor(folder: Path) -> AsyncIterator[Floor]:
    """A debtor of 1,000 USDC that is long 0.1 of the perpetual at 50,000, the maker short."""
    async with run_venue(folder) as venue:
        await venue.deposit(STRANGER, DEPOSIT_USDC)
        await venue.deposit(BACKSTOP, 1_000_000)
        async with venue.make_client(STRANGER) as debtor, venue.make_client(MAKER) as maker:
            await maker.sell(PERPETUAL, AMOUNT, 50_000)
            await debtor.buy(PERPETUAL, AMOUNT, 50_000)
            yield Floor(venue, debtor, maker, await debtor.subscribe_queue("user.risk"))


async def set_index(venue: TestVenue, price_usdc: int) -> None:
    """Report an index and let one tick find what it breaks."""
    await venue.report_index(price_usdc * USDC)


async def drain(client: NovateClient, queue: asyncio.Queue[dict[str, Any]]) -> Messages:
    """The messages that were sent before the answer to one more request."""
    await client.call("public/test")
    return [queue.get_nowait() for _ in range(queue.qsize())]


def list_types(messages: Messages) -> list[str]:
    """The types of messages, in their order."""
    return [message["type"] for message in messages]


async def read_standing(client: NovateClient) -> tuple[Any, ...]:
    """The account summary's three fields about liquidation."""
    summary = await client.call("private/get_account_summary", {"currency": "USDC"})
    return tuple(summary[name] for name in ("liquidation_state", "margin_call", "backstop_demand"))


def test_margin_call(tmp_path: Path) -> None:
    """A call comes in the tick that finds it, once; it is over when the account stands above the level."""

    async def scenario() -> None:
        async with open_floor(tmp_path) as (venue, debtor, maker, risk):
            await set_index(venue, CALM)
            assert [] == await drain(debtor, risk)
            assert ("none", False, None) == await read_standing(debtor)
            await set_index(venue, WARNED)
            (call,) = await drain(debtor, risk)
            summary = await debtor.call("private/get_account_summary", {"currency": "USDC"})
            figures = {name: summary[name] for name in ("equity", "maintenance_margin")}
            stamps = {"timestamp": call["timestamp"], "sequence": venue.engine.sequence}
            assert {"type": "margin_call"} | figures | stamps == call
            assert figures["maintenance_margin"] < figures["equity"] < 1.2 * figures["maintenance_margin"]
            assert ("none", True, None) == await read_standing(debtor)
            await set_index(venue, WARNED - 1)
            assert [] == await drain(debtor, risk)
            await set_index(venue, CALM)
            assert ("none", False, None) == await read_standing(debtor)
            # Only the account itself is told.
            queue = await maker.subscribe_queue("user.risk")
            await set_index(venue, WARNED)
            assert (["margin_call"], []) == (
                list_types(await drain(debtor, risk)),
                await drain(maker, queue),
            )

    asyncio.run(scenario())


def test_slice(tmp_path: Path) -> None:
    """A liquidation ends the account's orders and sends its own, whose fills and end the owner sees."""

    async def scenario() -> None:
        async with open_floor(tmp_path) as (venue, debtor, maker, risk):
            resting = (await debtor.buy(PERPETUAL, 0.001, 30_000))["order"]["order_id"]
            bid = (await maker.buy(PERPETUAL, 0.04, 45_900))["order"]["order_id"]
            orders = await debtor.subscribe_queue("user.orders.any.any.raw")
            trades = await maker.subscribe_queue(f"trades.{PERPETUAL}.raw")
            await set_index(venue, BREACHED)
            messages = await drain(debtor, risk)
            assert ["liquidation_started", "slice", "penalty", "liquidation_ended"] == list_types(messages)
            started, piece, penalty, ended = messages
            assert ("BTC", True) == (started["underlying"], 0 <= started["scenario"] < 32)
            assert started["equity"] < started["maintenance_margin"]
            assert (PERPETUAL, "sell", AMOUNT) == tuple(
                piece[name] for name in ("instrument_name", "direction", "amount")
            )
            assert pytest.approx(0.04 * 46_000 * 0.005, rel=1e-3) == penalty["penalty"]
            assert 0 < ended["equity"] < started["equity"]
            shown = {row["order_id"]: row for row in await drain(debtor, orders)}
            assert ("cancelled", "liquidation") == tuple(
                shown[resting][name] for name in ("order_state", "cancel_reason")
            )
            order = shown[piece["order_id"]]
            expected = {"is_liquidation": True, "filled_amount": 0.04, "order_state": "cancelled"}
            expected |= {"time_in_force": "immediate_or_cancel", "average_price": 45_900.0}
            assert expected == {name: order[name] for name in expected}
            own = await debtor.call(
                "private/get_user_trades_by_instrument", {"instrument_name": PERPETUAL, "count": 2}
            )
            newest, before = own["trades"]
            assert ("T", piece["order_id"], "sell") == tuple(
                newest[name] for name in ("liquidation", "order_id", "direction")
            )
            assert "liquidation" not in before
            ((public,),) = await drain(maker, trades)
            assert "T" == public["liquidation"]
            state = await maker.call("private/get_order_state", {"order_id": bid})
            assert ("filled", False) == (state["order_state"], state["is_liquidation"])
            assert "none" == (await read_standing(debtor))[0]

    asyncio.run(scenario())


def test_backstop_takes_the_portfolio(tmp_path: Path) -> None:
    """Without bids the portfolio goes to auction and then to a backstop whose demand is met."""

    async def scenario() -> None:
        async with (
            open_floor(tmp_path) as (venue, debtor, _, risk),
            venue.make_client(BACKSTOP) as backstop,
        ):
            set_to = await backstop.set_backstop("7.5")
            assert (7.5, "ok") == (set_to["demand"], set_to["receipt"]["reason"])
            assert ("none", False, 7.5) == await read_standing(backstop)
            gains = await backstop.subscribe_queue("user.risk")
            await set_index(venue, BREACHED)
            assert ("slices", False, None) == await read_standing(debtor)
            with pytest.raises(VenueError) as refusal:
                await debtor.buy(PERPETUAL, 0.001, 30_000)
            assert (Code.IN_LIQUIDATION, 0) == (refusal.value.code, await debtor.cancel_all())
            for _ in range(venue.genesis.parameters["slice_tick_count"] - 1):
                await venue.submit(CommandKind.TICK)
            slices = ["liquidation_started", *["slice"] * 5, "auction_started"]
            assert slices == list_types(await drain(debtor, risk))
            assert "auction" == (await read_standing(debtor))[0]
            await venue.submit(CommandKind.TICK)  # 5 % are on offer, too little.
            assert [] == await drain(debtor, risk)
            summary = await debtor.call("private/get_account_summary", {"currency": "USDC"})
            await venue.submit(CommandKind.TICK)
            assigned, taken, ended = await drain(debtor, risk)
            expected = {
                "type": "assigned",
                "instrument_name": PERPETUAL,
                "direction": "sell",
                "amount": AMOUNT,
            }
            expected |= {"role": "liquidated", "price": 46_000.0}
            assert expected == {name: assigned[name] for name in expected}
            bonus = summary["maintenance_margin"] * 0.075
            assert pytest.approx(bonus, abs=1e-6) == taken["bonus"]
            assert "paid_by_insurance" not in taken
            assert pytest.approx(summary["equity"] - bonus, abs=1e-6) == ended["equity"]
            passed, gained = await drain(backstop, gains)
            assert ("buy", "backstop", taken["bonus"]) == (
                passed["direction"],
                passed["role"],
                gained["bonus"],
            )
            numbers = [
                (await client.call("private/get_account_summary"))["id"] for client in (debtor, backstop)
            ]
            assert numbers == [passed["other_account_id"], assigned["other_account_id"]]
            position = await backstop.call("private/get_position", {"instrument_name": PERPETUAL})
            assert AMOUNT == position["size"]
            assert None is (await backstop.set_backstop())["demand"]
            assert ("none", False, None) == await read_standing(backstop)
            assert 0 == venue.server.counters.internal_errors

    asyncio.run(scenario())


def test_bankruptcy(tmp_path: Path) -> None:
    """A bankrupt account is closed against who gained, the fund pays what it has, the gainer the rest."""

    async def scenario() -> None:
        async with open_floor(tmp_path) as (venue, debtor, maker, risk):
            paid = await maker.insure("25.5")
            assert (25.5, "USDC") == (paid["amount"], paid["currency"])
            losses = await maker.subscribe_queue("user.risk")
            await set_index(venue, BANKRUPT)
            while await read_standing(debtor) != ("none", False, None):
                await venue.submit(CommandKind.TICK)
            messages = await drain(debtor, risk)
            tail = ["auction_started", "deleveraged", "insured", "loss_shared", "liquidation_ended"]
            assert ["liquidation_started", "slice", *tail] == list_types(messages)
            _, _, _, closed, insured, shared, ended = messages
            assert ("sell", "liquidated", AMOUNT) == (closed["direction"], closed["role"], closed["amount"])
            fees = 0.0004 * AMOUNT * 50_000  # The taker's and the maker's; a fifth of them is the fund's.
            fund = 25.5 + fees / 5
            assert (pytest.approx(fund, abs=0.001), 0.0) == (insured["paid_by_insurance"], ended["equity"])
            cover, mine = await drain(maker, losses)
            assert ("deleveraged", "buy", "counterparty") == (
                cover["type"],
                cover["direction"],
                cover["role"],
            )
            expected = {"type": "loss_shared", "role": "counterparty", "loss": shared["loss"]}
            assert expected == {name: mine[name] for name in expected}
            assert ("liquidated", shared["loss"]) == (shared["role"], mine["loss"])
            assert pytest.approx(AMOUNT * 11_000 - DEPOSIT_USDC - fund, abs=fees) == shared["loss"]

    asyncio.run(scenario())


def test_demands_are_checked(tmp_path: Path) -> None:
    """A demand off its grid never leaves the client, and one out of range is refused by the law."""

    async def scenario() -> None:
        async with (
            run_venue(tmp_path) as venue,
            venue.make_client(MAKER) as maker,
            open_wire(venue) as wire,
        ):
            for bad in ("0.00001", -1):
                with pytest.raises(ValueError, match="demand"):
                    await maker.set_backstop(bad)
            with pytest.raises(ValueError, match="USDC"):
                await maker.insure("0.0000001")
            assert 0.0001 == (await maker.set_backstop("0.0001"))["demand"]
            assert 0.0 == (await maker.set_backstop(0))["demand"]
            assert 100.0 == (await maker.set_backstop(100))["demand"]
            with pytest.raises(VenueError) as refusal:
                await maker.set_backstop("100.0001")
            assert Code.DEMAND_INVALID == refusal.value.code
            with pytest.raises(VenueError) as refusal:
                await maker.insure(30_000_000)
            assert (Code.CASH_INSUFFICIENT, 20_000_000.0) == (refusal.value.code, refusal.value.data["cash"])
            # Absent means none; and what was not signed is shown as the server read it.
            reply = await wire.ask(
                "private/set_backstop", sign(venue, TAKER, CommandKind.BACKSTOP, demand_e6=-1)
            )
            assert None is reply["result"]["demand"]
            signed = sign(venue, TAKER, CommandKind.BACKSTOP, demand_e6=1)
            data = (await wire.ask("private/set_backstop", signed))["error"]["data"]
            assert ("signature_invalid", -1) == (data["reason"], data["message"]["demandE6"])
            signed = sign(venue, TAKER, CommandKind.INSURE, amount_atoms=USDC) | {"amount": 1}
            reply = await wire.ask("private/insure", signed | {"currency": "BTC"})
            assert "parameter_invalid" == reply["error"]["data"]["reason"]
            # The channel is its owner's alone.
            assert [] == (await wire.ask("public/subscribe", {"channels": ["user.risk"]}))["result"]

    asyncio.run(scenario())
