"""Our payloads have the keys of payloads that were recorded from Deribit.
Each one we leave out is listed with its reason.
"""

from __future__ import annotations

import asyncio
import json
import math
from pathlib import Path
from typing import Any

import pytest

from novate.access.market_payloads import Analytics
from novate.access.order_terms import hash_label
from novate.apps.option_analytics import compute_greeks, compute_implied_volatility
from novate.protocol.generated.codes import CommandKind

from .harness import MAKER, PERPETUAL, TAKER, open_wire, run_venue, sign, sign_place

RECORDED = Path(__file__).parents[3] / "shared" / "data" / "deribit_api" / "nautilus_deribit"
pytestmark = pytest.mark.skipif(
    not RECORDED.is_dir(), reason="the recorded payloads are not beside this checkout"
)

# Keys that Deribit sends and this venue does not, and why.
LEFT_OUT = {
    "max_non_default_leverage": "an account has one margin model",
    "combo_trade_id": "only a trade in a combo has it",
    "combo_id": "only a trade in a combo has it",
    "legs": "only a trade in a combo has it",
    "iv": "a trade keeps its price; its volatility follows from the ticker",
    "limits": "limits are the server's, the same for everyone, in docs/guides/api.md",
    "trigger": "only an order that waits for a price has one",
    "trigger_price": "only an order that waits for a price has one",
    "email": "an account is a wallet",
    "block_rfq_self_match_prevention": "an account never quotes its own request",
    "creation_timestamp": "the law keeps no time of an account's first deposit",
    "referrer_id": "there are no referrals",
    "login_enabled": "a wallet logs in by its signature",
    "security_keys_enabled": "a wallet logs in by its signature",
    "interuser_transfers_enabled": "money moves between accounts of one owner only",
    "self_trading_extended_to_subaccounts": "accounts of one owner may trade with each other",
    "delta_total_map": "totals are not split by index",
    "options_gamma_map": "totals are not split by index",
    "options_theta_map": "totals are not split by index",
    "options_vega_map": "totals are not split by index",
    "estimated_liquidation_ratio_map": "totals are not split by index",
    "total_delta_total_usd": "deltas of different underlyings are not added in USD",
}


def load(name: str) -> dict[str, Any]:
    """A recorded message."""
    message: dict[str, Any] = json.loads((RECORDED / name).read_text())
    return message


def list_missing(recorded: dict[str, Any], ours: dict[str, Any]) -> list[str]:
    """The keys of a recorded payload that ours lacks without a reason."""
    return sorted(key for key in recorded if key not in ours and key not in LEFT_OUT)


def compute_toy_greeks(
    forward: float, strike: float, volatility: float, years: float, is_call: bool
) -> dict[str, float]:
    """Black-76's delta and vega; the rest is not looked at here."""
    total = volatility * math.sqrt(years)
    d1 = math.log(forward / strike) / total + total / 2
    delta = (1 + math.erf(d1 / math.sqrt(2))) / 2 - (0 if is_call else 1)
    vega = forward * math.sqrt(years) * math.exp(-d1 * d1 / 2) / math.sqrt(2 * math.pi) / 100
    return {"delta": delta, "gamma": 0.0, "vega": vega, "theta": 0.0, "rho": 0.0}


def test_market_shapes(tmp_path: Path) -> None:
    """Instrument, ticker, book and trades have the recorded keys."""

    async def scenario() -> None:
        async with run_venue(tmp_path) as venue, open_wire(venue) as wire:

            async def read(method: str, instrument_name: str = PERPETUAL) -> Any:
                return (await wire.ask(f"public/{method}", {"instrument_name": instrument_name}))["result"]

            await wire.ask("private/sell", sign_place(venue, MAKER, side=1))
            await wire.ask("private/buy", sign_place(venue, TAKER, lots=4))
            assert [] == list_missing(
                load("http_get_instrument.json")["result"], await read("get_instrument")
            )
            rows = load("http_get_instruments.json")["result"]
            recorded = next(row for row in rows if row["kind"] == "option")
            assert [] == list_missing(recorded, await read("get_instrument", venue.option))
            recorded, ticker = load("ws_ticker.json")["params"]["data"], await read("ticker")
            assert [] == list_missing(recorded, ticker) + list_missing(recorded["stats"], ticker["stats"])
            assert [] == list_missing(
                load("http_get_order_book.json")["result"], await read("get_order_book")
            )
            recorded, ours = (
                load("http_get_last_trades.json")["result"],
                await read("get_last_trades_by_instrument"),
            )
            assert [] == list_missing(recorded, ours)
            assert [] == list_missing(recorded["trades"][0], ours["trades"][0])
            assert [] == list_missing(load("ws_trades.json")["params"]["data"][0], ours["trades"][0])

    asyncio.run(scenario())


def test_stream_shapes(tmp_path: Path) -> None:
    """The quote and the grouped book have the recorded keys."""
    channels = {
        f"quote.{PERPETUAL}": "ws_quote.json",
        f"book.{PERPETUAL}.none.10.100ms": "ws_book_grouped_snapshot.json",
    }

    async def scenario() -> None:
        async with run_venue(tmp_path) as venue, open_wire(venue) as wire:
            for channel, name in channels.items():
                await wire.ask("public/subscribe", {"channels": [channel]})
                recorded, ours = load(name)["params"]["data"], (await wire.receive())["params"]["data"]
                assert [] == list_missing(recorded, ours)

    asyncio.run(scenario())


def test_order_shapes(tmp_path: Path) -> None:
    """Replies to buy, sell, edit and cancel have the recorded keys, and values of the recorded types."""

    async def scenario() -> None:
        async with run_venue(tmp_path) as venue, open_wire(venue) as wire:
            bought = await wire.ask(
                "private/buy",
                sign_place(venue, MAKER, time_in_force=2, label=hash_label("mine")) | {"label": "mine"},
            )
            recorded = load("ws_order_buy_response.json")["result"]
            order = bought["result"]["order"]
            assert [] == list_missing(recorded, bought["result"]) + list_missing(recorded["order"], order)
            assert {key: type(recorded["order"][key]) for key in recorded["order"] if key in order} == {
                key: type(order[key]) for key in recorded["order"] if key in order
            }
            assert ("mine", "open", 0.01, 50_000.0) == tuple(
                order[key] for key in ("label", "order_state", "amount", "price")
            )
            order_id = order["order_id"]
            signed = sign(
                venue, MAKER, CommandKind.REPLACE, order_id=int(order_id), lots=5, price_ticks=19_999
            )
            params = signed | {"order_id": order_id, "amount": 0.005, "price": 49_997.5}
            edited = await wire.ask("private/edit", params)
            recorded = load("ws_order_edit_response.json")["result"]
            assert [] == list_missing(recorded["order"], edited["result"]["order"])
            assert (0.005, 49_997.5, True) == tuple(
                edited["result"]["order"][key] for key in ("amount", "price", "replaced")
            )
            signed = sign(venue, MAKER, CommandKind.CANCEL, order_id=int(order_id))
            cancelled = await wire.ask("private/cancel", signed | {"order_id": order_id})
            assert [] == list_missing(load("ws_order_cancel_response.json")["result"], cancelled["result"])
            assert ("cancelled", "user_request") == tuple(
                cancelled["result"][key] for key in ("order_state", "cancel_reason")
            )
            envelope = load("ws_order_buy_response.json")
            assert [] == list_missing(envelope, bought)

    asyncio.run(scenario())


def test_account_shapes(tmp_path: Path) -> None:
    """Account summary and portfolio channel have the recorded keys."""

    async def scenario() -> None:
        async with run_venue(tmp_path) as venue, venue.make_client(MAKER) as client:
            summaries = await client.call("private/get_account_summaries")
            recorded = load("http_get_account_summaries.json")["result"]
            assert [] == list_missing(recorded, summaries)
            assert [] == list_missing(recorded["summaries"][0], summaries["summaries"][0])
            queue = await client.subscribe_queue("user.portfolio.any")
            data = await asyncio.wait_for(queue.get(), 5)
            assert [] == list_missing(load("ws_portfolio.json")["params"]["data"], data)

    asyncio.run(scenario())


def test_left_out_keys_are_left_out(tmp_path: Path) -> None:
    """No key of the list of omissions is in our instrument or order, so the list does not rot."""

    async def scenario() -> None:
        async with run_venue(tmp_path) as venue, open_wire(venue) as wire:
            instrument = (await wire.ask("public/get_instrument", {"instrument_name": venue.option}))[
                "result"
            ]
            bought = (await wire.ask("private/buy", sign_place(venue, MAKER)))["result"]["order"]
            # Both objects have a creation time of their own; only an account lacks one.
            assert {"creation_timestamp"} == (set(instrument) | set(bought)) & set(LEFT_OUT)

    asyncio.run(scenario())


def test_option_analytics_are_injected(tmp_path: Path) -> None:
    """With functions injected, an option's ticker has Greeks and volatilities.
    The mark's volatility needs none.
    """

    async def scenario() -> None:
        async with run_venue(tmp_path) as venue, open_wire(venue) as wire:
            bare = (await wire.ask("public/ticker", {"instrument_name": venue.option}))["result"]
            assert "greeks" not in bare
            venue.server.venue.market.analytics = Analytics(compute_toy_greeks, lambda *terms: 0.5)
            await wire.ask("private/buy", sign_place(venue, MAKER, venue.option, lots=10, ticks=100))
            ticker = (await wire.ask("public/ticker", {"instrument_name": venue.option}))["result"]
            assert {"delta", "gamma", "vega", "theta", "rho"} == set(ticker["greeks"])
            assert 0 < ticker["greeks"]["delta"] < 0.5 < ticker["greeks"]["vega"]
            assert (50.0, None) == (ticker["bid_iv"], ticker["ask_iv"])
            assert 50 < ticker["mark_iv"] < 80
            assert 49_999 < ticker["underlying_price"] < 50_001
            venue.server.venue.market.analytics = Analytics(compute_greeks, compute_implied_volatility)
            ticker = (await wire.ask("public/ticker", {"instrument_name": venue.option}))["result"]
            names = {"delta", "gamma", "vega", "theta", "rho", "vanna", "volga", "charm"}
            assert names == set(ticker["greeks"])
            assert all(math.isfinite(value) for value in ticker["greeks"].values())

    asyncio.run(scenario())
