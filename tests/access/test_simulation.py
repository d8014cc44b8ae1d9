"""Portfolios in question, futures, funding and tiers of fees, as the API shows them."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from novate.access.client import NovateClient
from novate.access.client_errors import VenueError
from novate.protocol.generated.codes import AccessCode, Code, CommandKind, InstrumentKind

from .harness import (
    DAY_NS,
    INDEX_ATOMS,
    MAKER,
    NS_PER_S,
    OPERATOR,
    PERPETUAL,
    TAKER,
    TestVenue,
    run_venue,
)

MARGINS = ("initial_margin", "maintenance_margin")


async def read_margins(client: NovateClient) -> tuple[Any, ...]:
    """Initial and maintenance margin as the account summary has them."""
    summary = await client.call("private/get_account_summary", {"currency": "USDC"})
    return tuple(summary[name] for name in MARGINS)


async def simulate(client: NovateClient, positions: dict[str, float], add: bool = True) -> dict[str, Any]:
    """The result of private/simulate_portfolio."""
    params = {"simulated_positions": positions, "add_positions": add, "currency": "USDC"}
    result: dict[str, Any] = await client.call("private/simulate_portfolio", params)
    return result


async def simulate_by_query(venue: TestVenue, token: str, positions: str) -> dict[str, Any]:
    """The reply to a GET, in which the positions are JSON text."""
    url = f"{venue.http}/api/v2/private/simulate_portfolio"
    query = {"simulated_positions": positions, "access_token": token}
    async with aiohttp.ClientSession() as session, session.get(url, params=query) as response:
        reply: dict[str, Any] = await response.json()
        return reply


async def list_future(venue: TestVenue) -> str:
    """A marked future of the option's expiry."""
    expiry_ns = venue.engine.instruments[venue.engine.find_instrument(venue.option)].expiry_ns
    name = await venue.list_instrument(InstrumentKind.FUTURE, 0, expiry_ns)
    await venue.report_index(INDEX_ATOMS + 2)
    return name


def test_simulated_is_what_comes(tmp_path: Path) -> None:
    """The margin of a portfolio in question is the margin that the law then asks, whatever else is open."""

    async def scenario() -> None:
        async with (
            run_venue(tmp_path) as venue,
            venue.make_client(MAKER) as maker,
            venue.make_client(TAKER) as taker,
        ):
            future = await list_future(venue)
            await maker.load_instruments()
            await taker.load_instruments()
            await maker.set_mmp("btc_usdc", 1, 10, 1, "0.5")
            await maker.mass_quote(1, [(venue.option, (500, 1), (5_000, 1))])
            await maker.buy(PERPETUAL, "0.3", 40_000)
            trades = {PERPETUAL: ("0.2", "50000"), venue.option: ("1.5", "2000"), future: ("0.1", "50000")}
            asked = {PERPETUAL: 0.2, venue.option: -1.5, future: -0.1}
            simulated = await simulate(maker, asked)
            for name, (amount, price) in trades.items():
                side, other = ("buy", taker.sell) if asked[name] > 0 else ("sell", taker.buy)
                resting = (await maker.place(side, name, amount, price))["order"]
                assert "filled" == (await other(name, amount, price))["order"]["order_state"], resting
            assert await read_margins(maker) == tuple(simulated[name] for name in MARGINS)
            assert (await simulate(maker, {}))["initial_margin"] == simulated["initial_margin"]
            (index,) = simulated["simulation"]
            assert (32, "btc_usdc") == (len(index["scenarios"]), index["index_name"])
            up = next(row for row in index["scenarios"] if (row["move"], row["volatility"]) == (0.16, "up"))
            assert up["profit_loss"] < 0
            assert 0 == venue.server.counters.internal_errors

    asyncio.run(scenario())


def test_simulated_alone(tmp_path: Path) -> None:
    """Without its own positions the account is asked for those in question only; its equity stays."""

    async def scenario() -> None:
        async with run_venue(tmp_path) as venue, venue.make_client(MAKER) as maker:
            await maker.buy(PERPETUAL, 1, 50_000)
            alone = await simulate(maker, {PERPETUAL: -0.1}, add=False)
            assert (20_000_000.0, -0.1) == (alone["equity"], alone["delta_total"])
            assert 0 < alone["initial_margin"] < (await read_margins(maker))[0]
            assert 0.0 == (await simulate(maker, {}, add=False))["initial_margin"]
            text = json.dumps({PERPETUAL: "-0.1"})
            reply = await simulate_by_query(venue, maker.access_token, text)
            again = await simulate(maker, {PERPETUAL: -0.1})
            assert again["initial_margin"] == reply["result"]["initial_margin"]
            reply = await simulate_by_query(venue, maker.access_token, "{")
            assert "parameter_invalid" == reply["error"]["data"]["reason"]
            for positions, code in (
                ({venue.unmarked: 1.0}, Code.MARK_UNAVAILABLE),
                ({PERPETUAL: 1e5}, Code.GROSS_LIMIT),
                ({PERPETUAL: 0.00001}, AccessCode.SIZE_OFF_LOT),
            ):
                with pytest.raises(VenueError) as refusal:
                    await simulate(maker, positions)
                assert code == refusal.value.code

    asyncio.run(scenario())


def test_futures_are_listed_and_settled(tmp_path: Path) -> None:
    """A future is a linear instrument with an expiry: it has a mark, trades, and pays its difference."""

    async def scenario() -> None:
        async with (
            run_venue(tmp_path) as venue,
            venue.make_client(MAKER) as maker,
            venue.make_client(TAKER) as taker,
        ):
            future = await list_future(venue)
            await maker.load_instruments()
            await taker.load_instruments()
            rows = await maker.call("public/get_instruments", {"currency": "BTC", "kind": "future"})
            assert {PERPETUAL, future} == {row["instrument_name"] for row in rows}
            (row,) = [row for row in rows if row["instrument_name"] == future]
            expiry_ms = row["expiration_timestamp"]
            assert ("linear", 2.5) == (row["future_type"], row["tick_size"])
            assert row["settlement_period"] in ("day", "week", "month")
            ticker = await maker.call("public/ticker", {"instrument_name": future})
            assert 49_990 < ticker["mark_price"] < 50_010
            assert "current_funding" not in ticker
            assert "greeks" not in ticker
            summary = await maker.call("public/get_book_summary_by_currency", {"currency": "BTC"})
            assert future in {each["instrument_name"] for each in summary}
            await maker.sell(future, 0.1, 50_000)
            await taker.buy(future, 0.1, 50_000)
            (position,) = await taker.call("private/get_positions", {"kind": "future"})
            assert ("future", 0.1, 0.1) == (position["kind"], position["size"], position["delta"])
            venue.clock.ahead_ns += expiry_ms * 1_000_000 - venue.clock() + NS_PER_S
            await venue.report_index(51_000 * 1_000_000)
            assert [] == await taker.call("private/get_positions", {"kind": "future"})
            ended = await maker.call("public/ticker", {"instrument_name": future})
            assert ("delivered", 50_000.0) == (ended["state"], round(ended["delivery_price"], -2))

    asyncio.run(scenario())


def test_funding_is_shown(tmp_path: Path) -> None:
    """The ticker has the law's rate, and what longs have paid adds up in the funding value."""

    async def scenario() -> None:
        async with (
            run_venue(tmp_path) as venue,
            venue.make_client(MAKER) as maker,
            venue.make_client(TAKER) as taker,
        ):
            begin = venue.clock() // 1_000_000
            await taker.sell(PERPETUAL, 0.1, 50_000)
            await maker.buy(PERPETUAL, 1, 50_000)
            await maker.buy(PERPETUAL, 1, 50_500)
            for _ in range(5):
                venue.clock.ahead_ns += 3_000 * NS_PER_S
                await venue.report_index()
            ticker = await maker.call("public/ticker", {"instrument_name": PERPETUAL})
            # The impact bid is 1 % above the mark, so the rate is at its cap less the deadband.
            assert (0.00475, 0.00475) == (ticker["current_funding"], ticker["funding_8h"])
            params = {"instrument_name": PERPETUAL, "start_timestamp": begin, "end_timestamp": begin * 2}
            value = await maker.call("public/get_funding_rate_value", params)
            assert value == pytest.approx(0.00475 * 15_000 / 28_800, rel=0.01)
            params["start_timestamp"] = begin * 2
            assert 0.0 == await maker.call("public/get_funding_rate_value", params)
            params["instrument_name"] = venue.option
            with pytest.raises(VenueError) as refusal:
                await maker.call("public/get_funding_rate_value", params)
            assert AccessCode.PARAMETER_INVALID == refusal.value.code

    asyncio.run(scenario())


def test_fees_are_those_of_the_tier(tmp_path: Path) -> None:
    """An account summary has the rates of the account's own tier."""

    async def scenario() -> None:
        async with run_venue(tmp_path) as venue, venue.make_client(MAKER) as maker:
            account = (await maker.login())["account_id"]
            venue.operator_nonce += 1
            fields = {"nonce": venue.operator_nonce, "expires_ns": venue.clock() + DAY_NS}
            await venue.submit(CommandKind.SET_TIER, OPERATOR, target=account, tier=1, **fields)
            summary = await maker.call("private/get_account_summary", {"currency": "USDC"})
            assert 1 == summary["fee_tier"]
            rates = {row["kind"]: row["value"]["default"] for row in summary["fees"]}
            assert {
                "option": {"maker": 0.0, "taker": 0.0002},
                "future": {"maker": -0.00005, "taker": 0.0002},
            } == rates

    asyncio.run(scenario())
