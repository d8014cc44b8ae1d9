"""Mass quotes, market-maker protection, and what ends orders by itself, through a real connection."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from novate.access.client_errors import VenueError
from novate.execution.sequencer import VenueBusy
from novate.protocol.generated.codes import Code, CommandKind, InstrumentKind
from novate.protocol.generated.constants import QUOTE_COUNT_MAX
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

INDEX = "btc_usdc"


async def wait_for(condition: Any) -> None:
    """Wait until something is true."""
    for _ in range(200):
        if condition():
            return
        await asyncio.sleep(0.02)
    raise AssertionError("it never became true")


def test_mass_quotes(tmp_path: Path) -> None:
    """Quotes in any order are placed, kept, moved and taken away; a refused side is an error of its own."""

    async def scenario() -> None:
        async with run_venue(tmp_path) as venue:
            put = await venue.list_put()
            async with venue.make_client(MAKER) as maker:
                await maker.set_mmp(INDEX, 1, 10, 1, 5)
                both = [(put, (1_000, 0.1), (1_500, 0.2)), (venue.option, ("1500", "0.1"), None)]
                placed = await maker.mass_quote(1, both)
                assert [] == placed["errors"]
                assert [] == placed["trades"]
                assert {(put, "buy"), (put, "sell"), (venue.option, "buy")} == {
                    (row["instrument_name"], row["direction"]) for row in placed["orders"]
                }
                row = placed["orders"][0]
                assert (True, "1", True) == (row["quote"], row["mmp_group"], row["mmp"])
                ids = {
                    (row["instrument_name"], row["direction"]): row["order_id"] for row in placed["orders"]
                }
                # The put's ask keeps its place, its bid moves, the call's bid goes.
                moved = await maker.mass_quote(
                    1, [(put, (1_005, 0.1), (1_500, 0.2)), (venue.option, None, (0, 0.1))]
                )
                (kept,) = [row for row in moved["orders"] if row["direction"] == "sell"]
                assert ids[put, "sell"] == kept["order_id"]
                (fresh,) = [row for row in moved["orders"] if row["direction"] == "buy"]
                assert 1_005.0 == fresh["price"]
                assert ids[put, "buy"] != fresh["order_id"]
                (error,) = moved["errors"]
                assert (venue.option, "ask", "price_not_positive") == (
                    error["instrument_name"],
                    error["side"],
                    error["error"]["data"]["reason"],
                )
                assert 2 == len(await maker.call("private/get_open_orders"))
                assert 2 == await maker.cancel_quotes(1)
                assert 0 == venue.server.counters.internal_errors

    asyncio.run(scenario())


def test_a_full_mass_quote_fits(tmp_path: Path) -> None:
    """As many quotes as the law takes fit into one message; an instrument may be named once."""

    async def scenario() -> None:
        async with run_venue(tmp_path, instruments=256, positions=512) as venue:
            expiry_ns = venue.engine.instruments[venue.engine.find_instrument(venue.option)].expiry_ns
            names = [
                await venue.list_instrument(InstrumentKind.CALL, (60_000 + at) * USDC, expiry_ns)
                for at in range(QUOTE_COUNT_MAX)
            ]
            await venue.report_index(INDEX_ATOMS + 2)
            async with venue.make_client(MAKER) as maker:
                await maker.set_mmp(INDEX, 2, 10, 1, 1)
                quotes = [(name, (5, "0.01"), (50_000, "0.01")) for name in names]
                result = await maker.mass_quote(2, quotes)
                assert (2 * QUOTE_COUNT_MAX, []) == (len(result["orders"]), result["errors"])
                with pytest.raises(ValueError, match="at most one"):
                    await maker.mass_quote(2, [quotes[0], quotes[0]])

    asyncio.run(scenario())


def test_protection_trips(tmp_path: Path) -> None:
    """A group trips at its limit, tells its owner, refuses quotes while frozen, and can be set again."""

    async def scenario() -> None:
        async with (
            run_venue(tmp_path) as venue,
            venue.make_client(MAKER) as maker,
            venue.make_client(TAKER) as taker,
        ):
            trips = await maker.subscribe_queue(f"user.mmp_trigger.{INDEX}")
            config = await maker.set_mmp(INDEX, 1, "2.5", 0, "0.15", delta_limit=1_000_000)
            expected = {"index_name": INDEX, "mmp_group": "1", "interval": 2.5, "frozen_time": 0}
            expected |= {"quantity_limit": 0.15, "delta_limit": 1_000_000.0, "vega_limit": 0.0}
            assert expected == {key: config[key] for key in expected}
            assert [expected] == await maker.call("private/get_mmp_config", {"index_name": INDEX})
            assert [] == await taker.call("private/get_mmp_config")
            quotes = [(venue.option, (1_500, 0.1), (2_000, 0.2))]
            await maker.mass_quote(1, quotes)
            await taker.buy(venue.option, 0.1, 2_000)
            (status,) = await maker.call("private/get_mmp_status", {"mmp_group": 1})
            assert (0, 0.1) == (status["frozen_until"], status["filled_quantity"])
            await taker.buy(venue.option, 0.1, 2_000, time_in_force="immediate_or_cancel")
            trip = await asyncio.wait_for(trips.get(), 5)
            assert {"index_name": INDEX, "mmp_group": "1", "frozen_until": -1} == trip
            assert [] == await maker.call("private/get_open_orders")
            (status,) = await maker.call("private/get_mmp_status")
            assert -1 == status["frozen_until"]
            with pytest.raises(VenueError) as refusal:
                await maker.mass_quote(1, quotes)
            assert Code.GROUP_FROZEN == refusal.value.code
            again = await maker.reset_mmp(1)
            assert 0.15 == again["quantity_limit"]
            assert 2 == len((await maker.mass_quote(1, quotes))["orders"])
            with pytest.raises(VenueError) as refusal:
                await maker.reset_mmp(1)
            assert Code.GROUP_BUSY == refusal.value.code
            summary = await maker.call("private/get_account_summary", {"currency": "USDC"})
            assert summary["mmp_enabled"] is True

    asyncio.run(scenario())


def test_groups_are_checked(tmp_path: Path) -> None:
    """A group that does not exist or was never set is refused, at the door or by the law."""

    async def scenario() -> None:
        async with run_venue(tmp_path) as venue, open_wire(venue) as wire:
            quotes = [{"instrument_name": venue.option, "bid": {"price": 1_500, "amount": 0.1}}]
            number = venue.engine.find_instrument(venue.option)
            signed = sign(venue, MAKER, CommandKind.MASS_QUOTE, venue.option, group=3) | {"quotes": quotes}
            reply = await wire.ask("private/mass_quote", signed | {"mmp_group": 5})
            assert "parameter_invalid" == reply["error"]["data"]["reason"]
            # The quotes were not signed: the refusal shows them as the server read them.
            reply = await wire.ask("private/mass_quote", signed | {"mmp_group": 3})
            data = reply["error"]["data"]
            assert ("signature_invalid", "MassQuote") == (data["reason"], data["primaryType"])
            assert data["type"].endswith(
                "Quote(string instrument,uint64 bidTicks,uint64 bidLots,uint64 askTicks,uint64 askLots)"
            )
            (row,) = data["message"]["quotes"]
            assert (venue.option, "300", "10", "0") == (
                row["instrument"],
                row["bidTicks"],
                row["bidLots"],
                row["askLots"],
            )
            signed = sign(
                venue, MAKER, CommandKind.MASS_QUOTE, venue.option, group=3, items=((number, 300, 10, 0, 0),)
            )
            reply = await wire.ask("private/mass_quote", signed | {"quotes": quotes, "mmp_group": "3"})
            assert "group_invalid" == reply["error"]["data"]["reason"]
            params = {"index_name": INDEX, "mmp_group": 3}
            signed = sign(venue, MAKER, CommandKind.CANCEL_ALL, instrument=-1)
            reply = await wire.ask("private/reset_mmp", signed | params)
            assert "group_invalid" == reply["error"]["data"]["reason"]

    asyncio.run(scenario())


def test_dead_man(tmp_path: Path) -> None:
    """Orders end when their owner has not renewed the timer, at the first tick after its end."""

    async def scenario() -> None:
        async with run_venue(tmp_path) as venue, venue.make_client(MAKER) as maker:
            order = (await maker.buy(PERPETUAL, 0.01, 40_000))["order"]
            armed = await maker.set_dead_man("2.5")
            assert (False, True) == (armed["enabled"], armed["dead_man_timestamp"] > 0)
            state = await maker.call("private/get_cancel_on_disconnect")
            assert armed["dead_man_timestamp"] == state["dead_man_timestamp"]
            venue.clock.ahead_ns += 2 * NS_PER_S
            await maker.set_dead_man("2.5")
            venue.clock.ahead_ns += 2 * NS_PER_S
            await venue.submit(CommandKind.TICK)
            assert 1 == len(await maker.call("private/get_open_orders"))
            venue.clock.ahead_ns += 1 * NS_PER_S
            await venue.submit(CommandKind.TICK)
            known = {"order_id": order["order_id"]}
            assert "dead_man" == (await maker.call("private/get_order_state", known))["cancel_reason"]
            state = await maker.call("private/get_cancel_on_disconnect")
            assert {"scope": "account", "enabled": False, "dead_man_timestamp": None} == state
            with pytest.raises(VenueError) as refusal:
                await maker.set_dead_man("0.5")
            assert Code.TIMER_INVALID == refusal.value.code

    asyncio.run(scenario())


def count_live(venue: TestVenue) -> int:
    """How many orders are open or wait."""
    return len(venue.server.venue.ledger.open_orders)


def test_cancel_on_disconnect(tmp_path: Path) -> None:
    """Orders of who asked for it end when their last connection closes, and nobody else's."""

    async def scenario() -> None:
        async with run_venue(tmp_path) as venue, venue.make_client(TAKER) as taker:
            await taker.buy(PERPETUAL, 0.01, 40_000)
            first = venue.make_client(MAKER, reconnect=False)
            await first.connect()
            enabled = await first.enable_cancel_on_disconnect()
            assert (True, "account") == (enabled["enabled"], enabled["scope"])
            await first.buy(PERPETUAL, 0.01, 40_000)
            options = {"type": "stop_market", "trigger": "index_price", "trigger_price": 60_000}
            await first.buy(PERPETUAL, 0.01, **options)
            async with venue.make_client(MAKER):
                await first.close()
                await asyncio.sleep(0.2)
                assert 3 == count_live(venue)
            await wait_for(lambda: count_live(venue) == 1)
            async with venue.make_client(MAKER) as again:
                assert (await again.call("private/get_cancel_on_disconnect"))["enabled"] is True
                assert [] == await again.call("private/get_open_orders")
                await again.disable_cancel_on_disconnect()
                await again.buy(PERPETUAL, 0.01, 40_000)
            await asyncio.sleep(0.2)
            assert 2 == count_live(venue)

    asyncio.run(scenario())


def test_disconnects_wait_for_room(tmp_path: Path) -> None:
    """A full queue delays the end of a gone account's orders; a new server ends what an old one left."""

    async def scenario() -> None:
        async with run_venue(tmp_path) as venue, venue.make_client(MAKER) as maker:
            await maker.enable_cancel_on_disconnect()
            await maker.buy(PERPETUAL, 0.01, 40_000)
            watch, sequencer = venue.server.watch, venue.sequencer
            assert 1 == count_live(venue)
            queue = sequencer.queue
            sequencer.queue = type(queue)([None] * (1 << 15))  # type: ignore[list-item]
            watch.note_gone(compute_address(MAKER.public_key))
            with pytest.raises(VenueBusy):
                sequencer.enqueue(venue.make_tick())
            await asyncio.sleep(0)
            sequencer.queue = queue
            await wait_for(lambda: count_live(venue) == 0)
            await maker.buy(PERPETUAL, 0.01, 40_000)
            watch.note_started()
            await wait_for(lambda: count_live(venue) == 0)

    asyncio.run(scenario())
