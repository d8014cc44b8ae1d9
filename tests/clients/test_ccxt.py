"""Unmodified ccxt, in an environment of its own, reads, trades and streams through a gateway."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from coincurve import PrivateKey

from novate.access.client import NovateClient

from .processes import name_address, start, start_gateway

HERE = Path(__file__).parent / "ccxt"
PYTHON = HERE / ".venv" / "bin" / "python"
PERPETUAL = "BTC_USDC-PERPETUAL"
TIMEOUT_S = 180
Row = dict[str, Any]
# What a venue without custody cannot do as Deribit does, and how it says so.
REFUSED = {
    "fetch_deposit_address": "NotSupported",
    "create_deposit_address": "NotSupported",
    "withdraw": "PermissionDenied",
    "transfer": "PermissionDenied",
    "refused_order": "PermissionDenied",
}
pytestmark = pytest.mark.skipif(not PYTHON.exists(), reason="needs `make clients`, which installs ccxt")


@contextlib.asynccontextmanager
async def make_market(url: str, key: PrivateKey) -> AsyncIterator[None]:
    """Somebody who quotes the perpetual on both sides of its mark, with the Python client."""
    async with NovateClient(url.replace("http", "ws") + "/ws/api/v2", key) as maker:

        async def quote() -> None:
            while True:
                ticker = await maker.call("public/ticker", {"instrument_name": PERPETUAL})
                mark = round(ticker["mark_price"] / 2.5) * 2.5
                await maker.cancel_all(PERPETUAL)
                await maker.buy(PERPETUAL, "0.5", mark - 5)
                await maker.sell(PERPETUAL, "0.5", mark + 5)
                await asyncio.sleep(0.5)

        task = asyncio.create_task(quote())
        await asyncio.sleep(1)
        try:
            yield
            assert not task.done(), task.exception()
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


async def run_ccxt(folder: Path) -> tuple[Row, Row, Row]:
    """Every call of ccxt's, and the account and the option's ticker as the venue itself tells them."""
    maker, trader = PrivateKey(), PrivateKey()
    funds = [f"{name_address(key)}=1000000" for key in (maker, trader)]
    options = ("--fund", funds[0], "--fund", funds[1], "--port", "0", "--no-list")
    async with start("serve", "--data", str(folder / "venue"), *options) as ready:
        url = ready[1]
        async with start_gateway(folder, url, trader) as gateway, make_market(url, maker):
            process = await asyncio.create_subprocess_exec(
                str(PYTHON),
                str(HERE / "calls.py"),
                gateway,
                "bot",
                str(folder / "gateway" / "bot.secret"),
                stdout=asyncio.subprocess.PIPE,
            )
            output, _ = await asyncio.wait_for(process.communicate(), TIMEOUT_S)
            assert 0 == process.returncode
        found = json.loads(output)
        async with NovateClient(url.replace("http", "ws") + "/ws/api/v2", trader) as client:
            account = await client.call("private/get_account_summary", {"currency": "USDC"})
            markets = await client.call("public/get_instruments", {"currency": "any"})
    return found, account, {row["instrument_name"]: row for row in markets}


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> tuple[Row, Row, Row]:
    """One run of every call."""
    return asyncio.run(run_ccxt(tmp_path_factory.mktemp("ccxt")))


def test_every_call_is_answered(session: tuple[Row, Row, Row]) -> None:
    """44 calls and 12 streams: each gives a value, but for the five that custody or a limit forbids."""
    results = session[0]["results"]
    errors = {name: result["error"] for name, result in results.items() if "error" in result}
    assert REFUSED == errors, {name: results[name] for name in errors if name not in REFUSED}
    assert len(results) >= 56
    assert "the gateway's limits" in results["refused_order"]["text"]


def test_ccxt_derives_what_the_engine_has(session: tuple[Row, Row, Row]) -> None:
    """Markets, balances, positions and Greeks that ccxt computes from our fields are the venue's own."""
    found, account, markets = session
    values = {name: result.get("value") for name, result in found["results"].items()}
    assert len(markets) == len(values["load_markets"])
    balance = values["fetch_balance"]["USDC"]
    assert account["equity"] == pytest.approx(balance["total"], rel=0.01)
    assert 0 < balance["free"] <= balance["total"]
    position = values["fetch_position"]
    assert ("long", 0.005) == (position["side"], position["contracts"] or position["info"]["size"])
    greeks = values["fetch_greeks"]
    assert {
        name: float(greeks["info"]["greeks"][name]) for name in ("delta", "gamma", "theta", "vega", "rho")
    } == {name: greeks[name] for name in ("delta", "gamma", "theta", "vega", "rho")}
    assert greeks["markImpliedVolatility"] > 0
    chain = values["fetch_option_chain"]
    assert found["option"] in chain
    assert all(0 <= row["info"]["mark_price"] for row in chain.values())
    assert "open" == values["fetch_order"]["status"]
    assert 0.02 == values["edit_order"]["amount"]
    assert "canceled" == values["cancel_order"]["status"]
    assert 1 == len(values["fetch_order_trades"])
    assert values["fetch_ohlcv"] is not None
    assert 1 == len(values["fetch_deposits"])
