"""Requests for quotes on packages: asked without a side, answered with a signature, traded with another."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from novate.access.client import NovateClient
from novate.access.limits import ServerLimits
from novate.protocol.generated.codes import AccessCode, Code

from .desk import HELPER, Floor, Row, address_of, next_message, open_floor, read_positions, refuse, soon
from .harness import MAKER, PERPETUAL, TAKER, open_wire

MAKER_ADDRESS, TAKER_ADDRESS = address_of(MAKER), address_of(TAKER)


def list_package(floor: Floor) -> list[tuple[str, str, Any]]:
    """A risk reversal with its hedge, as its seller might write it."""
    return [(floor.call, "sell", "0.5"), (floor.put, "buy", "1"), (PERPETUAL, "buy", "0.25")]


def price_legs(floor: Floor, call: int = 1_500, put: int = 1_000, perpetual: int = 50_000) -> dict[str, Any]:
    """A price for each leg."""
    return {floor.call: call, floor.put: put, PERPETUAL: perpetual}


async def list_rfqs(client: NovateClient, **params: Any) -> list[Row]:
    """What private/get_block_rfqs shows."""
    rows: list[Row] = (await client.call("private/get_block_rfqs", params))["block_rfqs"]
    return rows


def test_quote_is_accepted(tmp_path: Path) -> None:
    """A maker hears of a request, its signed quote reaches the taker, and one more signature trades it."""

    async def scenario() -> None:
        async with open_floor(tmp_path) as floor:
            venue, maker, taker, call, put = floor
            heard = await maker.subscribe_queue("block_rfq.maker.BTC")
            told = await taker.subscribe_queue("block_rfq.taker.any")
            rfq = await taker.create_block_rfq(list_package(floor), label="roll")
            asked = await next_message(heard, lambda row: row["state"] == "open")
            legs = [
                (leg["instrument_name"], leg["direction"], leg["ratio"], leg["amount"])
                for leg in asked["legs"]
            ]
            # In the order of the instruments and turned, so that the first is bought whatever was asked.
            expected = [(PERPETUAL, "buy", 1, 0.25), (call, "sell", 2, 0.5), (put, "buy", 4, 1.0)]
            assert (expected, 0.25) == (legs, asked["amount"])
            assert not {"label", "account", "account_id", "direction", "bids", "asks"} & set(asked)
            offer = await maker.quote_block_rfq(asked, "sell", price_legs(floor), label="mine")
            bid = await maker.quote_block_rfq(asked, "buy", price_legs(floor, put=900))
            shown = await next_message(told, lambda row: bool(row["asks"] and row["bids"]))
            (ask,) = shown["asks"]
            assert (offer["block_rfq_quote_id"], "sell", "open") == tuple(
                ask[name] for name in ("block_rfq_quote_id", "direction", "quote_state")
            )
            # 0.25 * 50,000 - 0.5 * 1,500 + 1 * 1,000, for each 1.0 of an amount of 0.25.
            assert (51_000.0, 50_600.0) == (ask["price"], bid["price"])
            assert "label" not in ask
            assert "signature" not in ask
            traded = await taker.accept_block_rfq(rfq, ask)
            (block,) = traded["block_trades"]
            assert venue.engine.sequence == traded["receipt"]["sequence"]
            assert {PERPETUAL: 0.25, call: -0.5, put: 1.0} == await read_positions(taker)
            assert {PERPETUAL: -0.25, call: 0.5, put: -1.0} == await read_positions(maker)
            filled = await next_message(told, lambda row: row["state"] == "filled")
            assert (block["id"], "roll") == (filled["block_trade_id"], filled["label"])
            assert ["filled"] == [row["quote_state"] for row in filled["asks"] + filled["bids"]]
            ended = await next_message(heard, lambda row: row["state"] == "filled")
            assert "block_trade_id" not in ended
            again = await refuse(taker.accept_block_rfq(rfq, ask))
            assert Code.NONCE_REPLAYED == again
            # Nonces of ordinary orders go on above the block's.
            await taker.buy(PERPETUAL, "0.001", 49_000)

    asyncio.run(scenario())


def test_taker_may_sell(tmp_path: Path) -> None:
    """A bid is accepted by selling the package, and a key may do both sides' signing."""

    async def scenario() -> None:
        async with open_floor(tmp_path) as floor:
            venue, maker, taker, call, put = floor
            await maker.authorize_key(address_of(HELPER), "block", soon(venue))
            rfq = await taker.create_block_rfq(list_package(floor))
            async with venue.make_client(HELPER, account=MAKER_ADDRESS) as quoter:
                (asked,) = await list_rfqs(quoter, role="maker", state="open")
                await quoter.quote_block_rfq(asked, "buy", price_legs(floor))
                # Its account goes on trading: the key's nonce is another.
                await maker.buy(PERPETUAL, "0.001", 40_000)
                await maker.cancel_all()
            (mine,) = await list_rfqs(taker, role="taker")
            await taker.accept_block_rfq(rfq, mine["bids"][0])
            assert {PERPETUAL: -0.25, call: 0.5, put: -1.0} == await read_positions(taker)

    asyncio.run(scenario())


def test_who_sees_what(tmp_path: Path) -> None:
    """A maker sees its own quotes only, a taker all; others' requests and quotes are nobody else's to end."""

    async def scenario() -> None:
        async with open_floor(tmp_path) as floor:
            venue, maker, taker, call, _ = floor
            rfq = await taker.create_block_rfq([(call, "buy", "0.1")])
            number = rfq["block_rfq_id"]
            address = (await maker.create_subaccount(1))["address"]
            async with venue.make_client(MAKER, account=address) as branch:
                first = await maker.quote_block_rfq(rfq, "sell", {call: 1_500}, label="one")
                second = await branch.quote_block_rfq(rfq, "sell", {call: 1_400})
                (seen,) = await list_rfqs(branch)
                assert [1_400.0] == [row["price"] for row in seen["asks"]]
                (seen,) = await list_rfqs(taker, currency="BTC", block_rfq_id=number)
                assert [1_400.0, 1_500.0] == [row["price"] for row in seen["asks"]]
                quote_id = first["block_rfq_quote_id"]
                for action in (
                    branch.cancel_block_rfq(number),
                    branch.cancel_block_rfq_quote(quote_id),
                    taker.cancel_block_rfq_quote(quote_id),
                    taker.cancel_block_rfq(number + 1),
                ):
                    assert AccessCode.RFQ_NOT_FOUND == await refuse(action)
                # A second quote on a side takes the first one's place.
                better = await maker.quote_block_rfq(rfq, "sell", {call: 1_300})
                assert AccessCode.RFQ_NOT_FOUND == await refuse(maker.cancel_block_rfq_quote(quote_id))
                gone = await maker.cancel_block_rfq_quote(better["block_rfq_quote_id"])
                assert "cancelled" == gone["quote_state"]
                (seen,) = await list_rfqs(taker)
                assert [second["block_rfq_quote_id"]] == [row["block_rfq_quote_id"] for row in seen["asks"]]
                assert AccessCode.RFQ_NOT_FOUND == await refuse(taker.accept_block_rfq(rfq, better))
            ended = await taker.cancel_block_rfq(number)
            assert ("cancelled", []) == (ended["state"], ended["asks"])
            assert [] == await list_rfqs(maker)
            assert AccessCode.RFQ_NOT_FOUND == await refuse(maker.quote_block_rfq(rfq, "sell", {call: 1_500}))
            async with open_wire(venue) as wire:
                reply = await wire.ask("public/subscribe", {"channels": ["block_rfq.maker.any"]})
                assert [] == reply["result"]

    asyncio.run(scenario())


def test_refused_requests_and_quotes(tmp_path: Path) -> None:
    """A request or a quote that does not fit is refused with the reason, and nothing is sequenced."""

    async def scenario() -> None:
        async with open_floor(tmp_path) as floor:
            venue, maker, taker, call, put = floor
            before = venue.engine.sequence
            rows: list[tuple[Any, Any]] = [
                (Code.INSTRUMENT_NOT_FOUND, [("BTC_USDC-NOTHING", "buy", 1)]),
                (Code.SIZE_NOT_POSITIVE, [(call, "buy", 0)]),
                (AccessCode.SIZE_OFF_LOT, [(call, "buy", "0.001")]),
                (AccessCode.PARAMETER_INVALID, [(call, "both", 1)]),
                (AccessCode.PARAMETER_INVALID, [(call, "buy", 1), (call, "sell", 1)]),
                (AccessCode.PARAMETER_INVALID, []),
            ]
            for code, legs in rows:
                assert (legs, code) == (legs, await refuse(taker.create_block_rfq(legs)))
            rfq = await taker.create_block_rfq([(call, "buy", "0.1"), (put, "buy", "0.1")])
            assert Code.BLOCK_INVALID == await refuse(taker.quote_block_rfq(rfq, "sell", {call: 5, put: 5}))
            for prices in ({call: 5}, {call: 5, put: 5, PERPETUAL: 5}):
                with pytest.raises(ValueError, match="one price for each"):
                    await maker.quote_block_rfq(rfq, "sell", prices)
            stale = maker.quote_block_rfq(rfq, "sell", {call: 5, put: 5}, valid_for_s=0)
            assert Code.SIGNATURE_EXPIRED == await refuse(stale)
            # A maker that signs for another taker, nonce or price has not signed this block.
            for name, value in (("taker", MAKER_ADDRESS), ("nonce", "7")):
                wrong = maker.quote_block_rfq(rfq | {name: value}, "sell", {call: 5, put: 5})
                assert Code.SIGNATURE_INVALID == await refuse(wrong)
            assert before == venue.engine.sequence
            quote = await maker.quote_block_rfq(rfq, "sell", {call: 1_500, put: 1_000})
            dearer = quote | {"legs": [leg | {"price": 5.0} for leg in quote["legs"]]}
            assert Code.SIGNATURE_INVALID == await refuse(taker.accept_block_rfq(rfq, dearer))
            turned = quote | {"direction": "buy"}
            assert AccessCode.PARAMETER_INVALID == await refuse(taker.accept_block_rfq(rfq, turned))
            later = quote | {"expires_ns": str(int(quote["expires_ns"]) + 1)}
            assert AccessCode.PARAMETER_INVALID == await refuse(taker.accept_block_rfq(rfq, later))
            other = rfq | {"nonce": str(int(rfq["nonce"]) + 1)}
            assert AccessCode.PARAMETER_INVALID == await refuse(taker.accept_block_rfq(other, quote))
            assert ({}, {}) == (await read_positions(taker), await read_positions(maker))

    asyncio.run(scenario())


def test_acceptance_that_the_law_refuses(tmp_path: Path) -> None:
    """It ends the request, whose nonce it has used up; a maker whose nonce is gone is found out before."""

    async def scenario() -> None:
        async with open_floor(tmp_path) as floor:
            _, maker, taker, call, _ = floor
            rfq = await taker.create_block_rfq([(call, "buy", "30")])
            quote = await maker.quote_block_rfq(rfq, "sell", {call: 1_500})
            await maker.buy(PERPETUAL, "0.001", 40_000)
            assert Code.NONCE_REPLAYED == await refuse(taker.accept_block_rfq(rfq, quote))
            quote = await maker.quote_block_rfq(rfq, "sell", {call: 900_000})
            assert Code.INITIAL_MARGIN_INSUFFICIENT == await refuse(taker.accept_block_rfq(rfq, quote))
            (ended,) = await list_rfqs(taker, state="closed")
            assert ("closed", []) == (ended["state"], ended["asks"])
            assert "initial_margin_insufficient" == ended["reason"]

    asyncio.run(scenario())


def test_requests_and_quotes_end(tmp_path: Path) -> None:
    """Time ends quotes and requests, and both are bounded."""

    async def scenario() -> None:
        limits = ServerLimits(rfqs_per_account=2, quotes_per_rfq=1, rfqs_kept=1)
        async with open_floor(tmp_path, limits) as floor:
            venue, maker, taker, call, _ = floor
            told = await taker.subscribe_queue("block_rfq.taker.USDC")
            rfq = await taker.create_block_rfq([(call, "buy", "0.1")])
            await taker.create_block_rfq([(call, "buy", "0.2")])
            assert AccessCode.TOO_MANY_REQUESTS == await refuse(taker.create_block_rfq([(call, "buy", 1)]))
            quote = await maker.quote_block_rfq(rfq, "sell", {call: 1_500})
            full = maker.quote_block_rfq(rfq, "buy", {call: 1_400})
            assert AccessCode.TOO_MANY_REQUESTS == await refuse(full)
            number = rfq["block_rfq_id"]
            await next_message(told, lambda row: row["block_rfq_id"] == number and bool(row["asks"]))
            venue.clock.ahead_ns += 31 * 10**9
            await next_message(told, lambda row: row["block_rfq_id"] == number and not row["asks"])
            assert AccessCode.RFQ_NOT_FOUND == await refuse(
                maker.cancel_block_rfq_quote(quote["block_rfq_quote_id"])
            )
            venue.clock.ahead_ns += 300 * 10**9
            await next_message(told, lambda row: row["state"] == "expired")
            assert 1 == len(await list_rfqs(taker, state="expired"))

    asyncio.run(scenario())
