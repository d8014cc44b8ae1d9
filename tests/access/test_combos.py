"""Combos: asked for, listed by the operator, traded at net prices of either sign, held as their legs."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from novate.access.client_book import ClientBook
from novate.access.limits import ServerLimits
from novate.protocol.generated.codes import AccessCode, Code, InstrumentKind

from .desk import Floor, Row, open_floor, read_equity, read_positions, refuse
from .harness import INDEX_ATOMS, PERPETUAL, USDC


async def create_reversal(floor: Floor) -> Row:
    """A risk reversal: the call bought, the put sold. It has a mark from the next tick on."""
    combo = await floor.maker.create_combo([(floor.put, "sell", 1), (floor.call, "buy", 1)])
    await floor.venue.report_index(INDEX_ATOMS + 3)
    return combo


async def read_mark(floor: Floor, name: str) -> float:
    """An instrument's mark."""
    return float((await floor.maker.call("public/ticker", {"instrument_name": name}))["mark_price"])


def test_combo_is_listed(tmp_path: Path) -> None:
    """Legs in any order and either way round are one combo, with Deribit's shapes and a book of its own."""

    async def scenario() -> None:
        async with open_floor(tmp_path) as floor:
            venue, maker, taker, call, put = floor
            combo = await create_reversal(floor)
            name = f"BTC_USDC-COMBO-1x{call[9:]}_-1x{put[9:]}"
            legs = [{"instrument_name": call, "amount": 1}, {"instrument_name": put, "amount": -1}]
            assert (name, "active", legs) == (combo["id"], combo["state"], combo["legs"])
            sequence = venue.engine.sequence
            turned = await taker.create_combo([(call, "sell", "0.3"), (put, "buy", "0.3")])
            assert (combo, sequence) == (turned, venue.engine.sequence)
            hedged = await maker.create_combo([(call, "buy", 1), (PERPETUAL, "sell", "0.5")])
            amounts = {leg["instrument_name"]: leg["amount"] for leg in hedged["legs"]}
            assert {PERPETUAL: 0.5, call: -1} == amounts
            assert [combo, hedged] == await maker.call("public/get_combos", {"currency": "BTC"})
            assert [name, hedged["id"]] == await maker.call("public/get_combo_ids", {"state": "active"})
            assert [] == await maker.call("public/get_combo_ids", {"state": "inactive"})
            assert [] == await maker.call("public/get_combos", {"currency": "ETH"})
            assert combo == await maker.call("public/get_combo_details", {"combo_id": name})
            assert Code.INSTRUMENT_NOT_FOUND == await refuse(
                maker.call("public/get_combo_details", {"combo_id": call})
            )
            rows = await maker.call("public/get_instruments", {"currency": "BTC", "kind": "option_combo"})
            assert [name, hedged["id"]] == [row["instrument_name"] for row in rows]
            expected = {"kind": "option_combo", "tick_size": 5.0, "min_trade_amount": 0.01, "is_active": True}
            assert expected == {key: rows[0][key] for key in expected}
            assert not {"strike", "option_type", "future_type"} & set(rows[0])
            assert [] == await maker.call("public/get_instruments", {"kind": "future_combo"})
            ticker = await maker.call("public/ticker", {"instrument_name": name})
            mark = await read_mark(floor, call) - await read_mark(floor, put)
            assert (pytest.approx(mark), "active") == (ticker["mark_price"], ticker["combo_state"])
            assert ticker["min_price"] < 0 < ticker["max_price"]

    asyncio.run(scenario())


def test_future_combo(tmp_path: Path) -> None:
    """A combo of futures is a future combo with the perpetual's grid."""

    async def scenario() -> None:
        async with open_floor(tmp_path) as floor:
            venue, maker, _, call, _ = floor
            expiry_ns = venue.engine.instruments[venue.engine.find_instrument(call)].expiry_ns
            future = await venue.list_instrument(InstrumentKind.FUTURE, 0, expiry_ns)
            await venue.report_index(INDEX_ATOMS + 3)
            combo = await maker.create_combo([(PERPETUAL, "sell", 1), (future, "buy", 1)])
            await venue.report_index(INDEX_ATOMS + 4)
            row = await maker.call("public/get_instrument", {"instrument_name": combo["id"]})
            assert ("future_combo", 2.5, 0.001) == (row["kind"], row["tick_size"], row["min_trade_amount"])
            placed = await maker.buy(combo["id"], "0.01", "-12.5")
            assert -12.5 == placed["order"]["price"]

    asyncio.run(scenario())


def test_combo_trades_at_either_sign(tmp_path: Path) -> None:
    """Orders, books, tickers and trades have net prices; both sides get the legs and nothing else."""

    async def scenario() -> None:
        async with open_floor(tmp_path) as floor:
            _, maker, taker, call, put = floor
            name = (await create_reversal(floor))["id"]
            await taker.load_instruments()
            messages = await taker.subscribe_queue(f"book.{name}.raw")
            trades = await taker.subscribe_queue("trades.option_combo.BTC.raw")
            own = await maker.subscribe_queue(f"user.trades.{name}.raw")
            await maker.sell(name, "0.2", -40)
            bid = (await maker.buy(name, "0.3", "-55"))["order"]
            assert ("open", -55.0, 0.0) == (bid["order_state"], bid["price"], bid["average_price"])
            book = await taker.call("public/get_order_book", {"instrument_name": name})
            assert ([[-55.0, 0.3]], [[-40.0, 0.2]]) == (book["bids"], book["asks"])
            assert (-55.0, -40.0) == (book["best_bid_price"], book["best_ask_price"])
            before = await read_equity(taker) + await read_equity(maker)
            bought = await taker.buy(name, "0.1", 10)
            (trade,) = bought["trades"]
            assert (-40.0, 0.1, name) == (trade["price"], trade["amount"], trade["combo_id"])
            assert -40.0 == bought["order"]["average_price"]
            marks = {call: await read_mark(floor, call), put: await read_mark(floor, put)}
            assert [
                {"instrument_name": call, "direction": "buy", "amount": 0.1, "price": marks[call]},
                {"instrument_name": put, "direction": "sell", "amount": 0.1, "price": marks[put]},
            ] == trade["legs"]
            ((public,), (mine,)) = (
                await asyncio.wait_for(trades.get(), 5),
                await asyncio.wait_for(own.get(), 5),
            )
            assert (trade["legs"], trade["trade_id"]) == (public["legs"], public["combo_trade_id"])
            assert ("sell", "M") == (mine["direction"], mine["liquidity"])
            assert {call: 0.1, put: -0.1} == await read_positions(taker)
            assert {call: -0.1, put: 0.1} == await read_positions(maker)
            fees = trade["fee"] + mine["fee"]
            assert pytest.approx(before - fees) == await read_equity(taker) + await read_equity(maker)
            await check_book(taker, messages, name)
            moved = await maker.edit(bid["order_id"], name, "0.3", -60)
            assert -60.0 == moved["order"]["price"]
            summary = (await taker.call("public/get_book_summary_by_instrument", {"instrument_name": name}))[
                0
            ]
            assert (-40.0, None, 4.0) == (
                summary["last"],
                summary["price_change"],
                summary["volume_notional"],
            )

    asyncio.run(scenario())


async def check_book(client: Any, messages: asyncio.Queue[Row], name: str) -> None:
    """The streamed book, raw and grouped, is the one that is asked for."""
    await client.call("public/test")
    book = ClientBook()
    while not messages.empty():
        book.apply(messages.get_nowait())
    shown = await client.call("public/get_order_book", {"instrument_name": name})
    assert [[-55.0, 0.3]] == shown["bids"]
    assert {-55.0: 0.3} == book.bids
    assert {-40.0: 0.1} == book.asks
    grouped = await client.subscribe_queue(f"book.{name}.50.10.raw")
    first = await asyncio.wait_for(grouped.get(), 5)
    assert ([[-100.0, 0.3]], [[0.0, 0.1]]) == (first["bids"], first["asks"])


def test_what_a_combo_cannot_do(tmp_path: Path) -> None:
    """Legs that make no combo are refused, and so is what the law does not do with one."""

    async def scenario() -> None:
        limits = ServerLimits(combos_per_account=2)
        async with open_floor(tmp_path, limits) as floor:
            venue, maker, taker, call, put = floor
            name = (await create_reversal(floor))["id"]
            refused: list[tuple[Any, Any]] = [
                (AccessCode.PARAMETER_INVALID, [(call, "buy", 1)]),
                (AccessCode.PARAMETER_INVALID, [(call, "buy", 1), (call, "sell", 1)]),
                (Code.BLOCK_INVALID, [(name, "buy", 1), (call, "sell", 1)]),
                (Code.INSTRUMENT_NOT_FOUND, [("BTC_USDC-NOTHING", "buy", 1), (call, "sell", 1)]),
                (Code.INSTRUMENT_INVALID, [(put, "buy", 17), (call, "sell", 1)]),
            ]
            for code, legs in refused:
                assert (legs, code) == (legs, await refuse(maker.create_combo(legs)))
            full = maker.create_combo([(put, "buy", 3), (call, "sell", 1)])
            assert AccessCode.TOO_MANY_REQUESTS == await refuse(full)
            await taker.load_instruments()
            for options in (
                {"reduce_only": True},
                {"type": "stop_limit", "trigger": "mark_price", "trigger_price": 5},
            ):
                assert Code.ORDER_INVALID == await refuse(taker.buy(name, "0.1", -40, **options))
            assert Code.BLOCK_INVALID == await refuse(taker.create_block_rfq([(name, "buy", 1)]))
            assert Code.PRICE_NOT_POSITIVE == await refuse(taker.buy(name, "0.1", -655_360))
            with pytest.raises(ValueError, match="at least -655355"):
                await taker.buy(name, "0.1", -700_000)
            simulated = {"simulated_positions": {name: 1}}
            assert AccessCode.PARAMETER_INVALID == await refuse(
                taker.call("private/simulate_portfolio", simulated)
            )
            venue.server.venue.lister = None
            late = taker.create_combo([(put, "buy", 3), (call, "sell", 1)])
            assert AccessCode.NOT_SUPPORTED == await refuse(late)

    asyncio.run(scenario())


def test_combo_ends_with_its_leg(tmp_path: Path) -> None:
    """When a leg expires the combo closes and its orders end."""

    async def scenario() -> None:
        async with open_floor(tmp_path) as floor:
            venue, maker, _, call, _ = floor
            name = (await create_reversal(floor))["id"]
            states = await maker.subscribe_queue("instrument.state.option_combo.BTC")
            order_id = (await maker.buy(name, "0.1", -100))["order"]["order_id"]
            expiry_ns = venue.engine.instruments[venue.engine.find_instrument(call)].expiry_ns
            venue.clock.ahead_ns += expiry_ns - venue.clock() + 1
            await venue.report_index(50_000 * USDC)
            closed = await asyncio.wait_for(states.get(), 5)
            assert (name, "closed") == (closed["instrument_name"], closed["state"])
            order = await maker.call("private/get_order_state", {"order_id": order_id})
            assert ("cancelled", "instrument_expired") == (order["order_state"], order["cancel_reason"])
            ids = await maker.call("public/get_combo_ids", {"currency": "BTC", "state": "inactive"})
            assert [name] == ids
            assert Code.INSTRUMENT_CLOSED == await refuse(maker.buy(name, "0.1", -100))

    asyncio.run(scenario())


def test_combos_leave_room_for_new_expiries(tmp_path: Path) -> None:
    """Users may fill a quarter of the venue's instruments with combos, and no more, whoever asks."""

    async def scenario() -> None:
        async with open_floor(tmp_path, ServerLimits(combos_per_account=3)) as floor:
            _, maker, taker, call, put = floor
            for client, ratio in ((maker, 1), (maker, 2), (maker, 3), (taker, 4)):
                await client.create_combo([(call, "buy", ratio), (put, "sell", 1)])
            full = taker.create_combo([(call, "buy", 5), (put, "sell", 1)])
            assert Code.INSTRUMENT_TABLE_FULL == await refuse(full)

    asyncio.run(scenario())
