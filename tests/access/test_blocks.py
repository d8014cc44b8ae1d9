"""Block trades: two signatures over one struct, all legs or none."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from novate.access.client import NovateClient
from novate.protocol.generated.codes import AccessCode, Code

from .desk import (
    DESK,
    HELPER,
    Floor,
    Row,
    address_of,
    open_floor,
    read_equity,
    read_positions,
    refuse,
    refuse_with_data,
    soon,
)
from .harness import MAKER, PAUPER, PERPETUAL, STRANGER, TAKER, open_wire

MAKER_ADDRESS, TAKER_ADDRESS = address_of(MAKER), address_of(TAKER)


def list_legs(floor: Floor) -> list[tuple[str, str, Any, Any]]:
    """Three legs, in no order."""
    return [
        (floor.put, "sell", "0.5", "1000"),
        (PERPETUAL, "sell", "0.1", "50000"),
        (floor.call, "buy", "0.5", "1500"),
    ]


def agree(taker: NovateClient, maker: NovateClient, legs: Any, **options: Any) -> Row:
    """A block that the taker composes and the maker cosigns."""
    assert maker.commands is not None
    account = "0x" + maker.commands.account.hex()
    return maker.cosign_block(taker.compose_block(account, legs, maker.reserve_nonce(), **options))


def test_block_trade(tmp_path: Path) -> None:
    """Both sides get every leg at the agreed prices; the tape marks them and the last prices stay."""

    async def scenario() -> None:
        async with open_floor(tmp_path) as floor:
            venue, maker, taker, call, put = floor
            await maker.sell(call, "0.1", 1_400)
            await taker.buy(call, "0.1", 1_400)
            public = await maker.subscribe_queue(f"trades.{call}.raw")
            own = await maker.subscribe_queue("user.trades.any.any.raw")
            done = await taker.execute_block(agree(taker, maker, list_legs(floor)))
            assert done["id"].startswith("BLOCK-")
            assert venue.engine.sequence == done["sequence"] == done["receipt"]["sequence"]
            shown = [
                (leg["instrument_name"], leg["direction"], leg["amount"], leg["price"], leg["liquidity"])
                for leg in done["trades"]
            ]
            expected = [
                (PERPETUAL, "sell", 0.1, 50_000.0, "T"),
                (call, "buy", 0.5, 1_500.0, "T"),
                (put, "sell", 0.5, 1_000.0, "T"),
            ]
            assert expected == shown
            assert {PERPETUAL: -0.1, call: 0.6, put: -0.5} == await read_positions(taker)
            assert {PERPETUAL: 0.1, call: -0.6, put: 0.5} == await read_positions(maker)
            (trade,) = await asyncio.wait_for(public.get(), 5)
            assert (done["id"], 3, 1_500.0) == tuple(
                trade[name] for name in ("block_trade_id", "block_trade_leg_count", "price")
            )
            seen = [(await asyncio.wait_for(own.get(), 5))[0] for _ in range(3)]
            assert [("buy", "M"), ("sell", "M"), ("buy", "M")] == [
                (row["direction"], row["liquidity"]) for row in seen
            ]
            ticker = await maker.call("public/ticker", {"instrument_name": call})
            assert (1_400.0, 1_400.0, 0.6) == (
                ticker["last_price"],
                ticker["stats"]["high"],
                ticker["stats"]["volume"],
            )
            untraded = await maker.call("public/ticker", {"instrument_name": put})
            assert (None, None, 0.5) == (
                untraded["last_price"],
                untraded["stats"]["high"],
                untraded["stats"]["volume"],
            )
            for client, direction in ((taker, "sell"), (maker, "buy")):
                block = await client.call("private/get_block_trade", {"id": done["id"]})
                assert (done["id"], direction) == (block["id"], block["trades"][0]["direction"])
                listed = await client.call("private/get_block_trades", {"currency": "BTC"})
                assert [block] == listed["block_trades"]
            gone = {"id": "BLOCK-999"}
            assert Code.ORDER_NOT_FOUND == await refuse(taker.call("private/get_block_trade", gone))
            # After the block both go on with nonces that the law takes.
            await taker.buy(PERPETUAL, "0.001", 49_000)
            assert Code.NONCE_REPLAYED == await refuse(maker.buy(PERPETUAL, "0.001", 49_000))
            await maker.buy(PERPETUAL, "0.001", 48_000)

    asyncio.run(scenario())


def test_block_by_keys(tmp_path: Path) -> None:
    """Keys with the scope sign for both sides, whoever sends it; keys without it do not."""

    async def scenario() -> None:
        async with open_floor(tmp_path) as floor:
            venue, maker, taker, call, _ = floor
            await maker.authorize_key(address_of(HELPER), "block", soon(venue))
            await taker.authorize_key(address_of(DESK), "trade", soon(venue))
            legs = [(call, "buy", "0.1", "1500")]
            async with (
                venue.make_client(HELPER, account=MAKER_ADDRESS) as seller,
                venue.make_client(DESK, account=TAKER_ADDRESS) as buyer,
            ):
                block = agree(buyer, seller, legs)
                assert Code.KEY_SCOPE == await refuse(buyer.execute_block(block))
                await taker.authorize_key(address_of(DESK), "block", soon(venue), max_delta=100)
                assert Code.KEY_LIMIT == await refuse(seller.execute_block(block))
                await taker.authorize_key(address_of(DESK), "block", soon(venue))
                assert Code.NONCE_REPLAYED == await refuse(seller.execute_block(block))
                done = await seller.execute_block(agree(buyer, seller, legs))
            assert "buy" == done["trades"][0]["direction"]
            assert ({call: 0.1}, {call: -0.1}) == (await read_positions(taker), await read_positions(maker))

    asyncio.run(scenario())


def test_refused_blocks(tmp_path: Path) -> None:
    """What one side has not signed is not traded, and what the law refuses moves nothing."""

    async def scenario() -> None:
        async with open_floor(tmp_path) as floor:
            venue, maker, taker, call, _ = floor
            legs = [(call, "buy", "0.1", "1500")]
            block = agree(taker, maker, legs)
            cheaper = block | {"trades": [block["trades"][0] | {"price": "5"}]}
            data = await refuse_with_data(taker.execute_block(cheaper))
            assert ("signature_invalid", TAKER_ADDRESS) == (data["reason"], data["signer"])
            leg = {"instrument": call, "side": "buy", "sizeLots": "10", "priceTicks": "1"}
            assert [leg] == data["message"]["legs"]
            # The taker signs another price, and the maker's signature is seen not to be over it.
            other = taker.compose_block(
                MAKER_ADDRESS,
                [(call, "buy", "0.1", "5")],
                int(block["counterparty_nonce"]),
                int(block["expires_ns"]),
                int(block["nonce"]),
            )
            forged = other | {"counterparty_signature": block["counterparty_signature"]}
            data = await refuse_with_data(taker.execute_block(forged))
            assert ("signature_invalid", MAKER_ADDRESS) == (data["reason"], data["signer"])
            with pytest.raises(ValueError, match="the block is for"):
                taker.cosign_block(block)
            refused = {
                AccessCode.PARAMETER_INVALID: block | {"role": "maker"},
                Code.KEY_UNKNOWN: block | {"counterparty_signer": address_of(STRANGER)},
                Code.ACCOUNT_NOT_FOUND: block | {"counterparty": address_of(STRANGER)},
                Code.BLOCK_INVALID: agree(taker, taker, legs, nonce=taker.reserve_nonce()),
                Code.INITIAL_MARGIN_INSUFFICIENT: agree(taker, maker, [(call, "buy", "30", "900000")]),
                Code.MARK_UNAVAILABLE: agree(taker, maker, [(venue.unmarked, "buy", "0.1", "5")]),
                Code.SIZE_NOT_POSITIVE: agree(taker, maker, [(call, "buy", "0", "5")]),
                Code.SIGNATURE_EXPIRED: agree(taker, maker, legs, expires_ns=venue.clock() - 1),
            }
            for code, params in refused.items():
                assert (code, code) == (code, await refuse(taker.execute_block(params))), code.name
            assert ({}, {}) == (await read_positions(taker), await read_positions(maker))
            with pytest.raises(ValueError, match="at most one for each instrument"):
                agree(taker, maker, [*legs, *legs])

    asyncio.run(scenario())


def test_block_is_all_or_none(tmp_path: Path) -> None:
    """A counterparty that cannot carry one leg carries none, and the same block is not taken twice."""

    async def scenario() -> None:
        async with open_floor(tmp_path) as floor, floor.venue.make_client(PAUPER) as pauper:
            before = await read_equity(pauper)
            legs = [(floor.call, "sell", "0.01", "1500"), (PERPETUAL, "sell", "10", "50000")]
            code = await refuse(floor.taker.execute_block(agree(floor.taker, pauper, legs)))
            assert Code.INITIAL_MARGIN_INSUFFICIENT == code
            assert ({}, before) == (await read_positions(pauper), await read_equity(pauper))
            block = agree(floor.taker, floor.maker, legs)
            await floor.taker.execute_block(block)
            assert Code.NONCE_REPLAYED == await refuse(floor.taker.execute_block(block))
            async with open_wire(floor.venue) as wire:
                reply = await wire.ask("private/execute_block_trade", block)
                assert "nonce_replayed" == reply["error"]["data"]["reason"]

    asyncio.run(scenario())
