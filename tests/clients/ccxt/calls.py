"""Every call of ccxt's `deribit` that its documentation lists for this exchange, against one gateway.

Runs in ccxt's own environment: python calls.py GATEWAY_URL CLIENT_ID SECRET_FILE. Prints one JSON object: by
the call's name, what it returned, or the type and text of its exception. Nothing of ccxt is changed but the
address that its own configuration names.
"""

import asyncio
import json
import sys
from pathlib import Path

import ccxt
import ccxt.pro

PERPETUAL = "BTC/USDC:USDC"
SIZE = 0.01


def make_options(url: str, name: str, secret: str) -> dict[str, object]:
    """Ccxt's own configuration: where, and as whom."""
    api = {"rest": url, "ws": url.replace("http", "ws") + "/ws/api/v2"}
    return {"apiKey": name, "secret": secret, "urls": {"api": api}, "enableRateLimit": False}


class Recorder:
    """Runs calls and keeps what came of each."""

    def __init__(self) -> None:
        self.results: dict[str, dict[str, object]] = {}

    def run(self, name: str, call: object, *arguments: object, **options: object) -> object:
        """Run one call."""
        try:
            value = call(*arguments, **options)  # type: ignore[operator]
        except ccxt.BaseError as error:
            self.results[name] = {"error": type(error).__name__, "text": str(error)[:300]}
            return None
        self.results[name] = {"value": value}
        return value

    async def watch(self, name: str, call: object) -> object:
        """Wait for the first message of a stream."""
        try:
            value = await asyncio.wait_for(call, 20)  # type: ignore[arg-type]
        except (ccxt.BaseError, TimeoutError) as error:
            self.results[name] = {"error": type(error).__name__, "text": str(error)[:300]}
            return None
        self.results[name] = {"value": value}
        return value


def call_market(exchange: ccxt.deribit, recorder: Recorder, option: str) -> None:
    """The public calls."""
    run = recorder.run
    for name in ("fetch_time", "fetch_status", "fetch_currencies"):
        run(name, getattr(exchange, name))
    for name in ("fetch_ticker", "fetch_order_book", "fetch_trades", "fetch_funding_rate"):
        run(name, getattr(exchange, name), PERPETUAL)
    for name in ("fetch_greeks", "fetch_option", "fetch_open_interest"):
        run(name, getattr(exchange, name), option)
    run("fetch_tickers", exchange.fetch_tickers, [PERPETUAL])
    run("fetch_option_chain", exchange.fetch_option_chain, "BTC")
    run("fetch_trades_since", exchange.fetch_trades, PERPETUAL, since=1)
    run("fetch_ohlcv", exchange.fetch_ohlcv, PERPETUAL, "1m")
    run("fetch_volatility_history", exchange.fetch_volatility_history, "BTC")
    run("fetch_funding_rate_history", exchange.fetch_funding_rate_history, PERPETUAL)
    run("fetch_liquidations", exchange.fetch_liquidations, PERPETUAL)


def trade(exchange: ccxt.deribit, recorder: Recorder) -> None:
    """Orders: one that rests and is edited and cancelled, and one that trades with the other side."""
    run = recorder.run
    mark = float(exchange.fetch_ticker(PERPETUAL)["info"]["mark_price"])
    price = exchange.price_to_precision(PERPETUAL, mark * 0.97)
    placed = run("create_order", exchange.create_order, PERPETUAL, "limit", "buy", SIZE, float(price))
    number = placed["id"] if isinstance(placed, dict) else "0"
    run("fetch_order", exchange.fetch_order, number)
    run("edit_order", exchange.edit_order, number, PERPETUAL, "limit", "buy", 2 * SIZE, float(price))
    run("fetch_open_orders", exchange.fetch_open_orders, PERPETUAL)
    run("fetch_open_orders_all", exchange.fetch_open_orders)
    run("cancel_order", exchange.cancel_order, number, PERPETUAL)
    params = {"postOnly": True}
    run("create_post_only", exchange.create_order, PERPETUAL, "limit", "buy", SIZE, float(price), params)
    run("cancel_all_orders", exchange.cancel_all_orders, PERPETUAL)
    run("cancel_all_orders_any", exchange.cancel_all_orders)
    bought = run("create_market_order", exchange.create_order, PERPETUAL, "market", "buy", SIZE)
    if isinstance(bought, dict):
        run("fetch_order_trades", exchange.fetch_order_trades, bought["id"])
    run(
        "create_reduce_only",
        exchange.create_order,
        PERPETUAL,
        "market",
        "sell",
        SIZE / 2,
        None,
        {"reduceOnly": True},
    )
    run("refused_order", exchange.create_order, PERPETUAL, "limit", "buy", 2_000, float(price))


def call_account(exchange: ccxt.deribit, recorder: Recorder) -> None:
    """The private reads."""
    run = recorder.run
    for name in ("fetch_balance", "fetch_trading_fees", "fetch_accounts", "fetch_positions"):
        run(name, getattr(exchange, name))
    run("fetch_balance_of", exchange.fetch_balance, {"code": "USDC"})
    for name in ("fetch_position", "fetch_closed_orders", "fetch_my_trades", "fetch_my_liquidations"):
        run(name, getattr(exchange, name), PERPETUAL)
    run("fetch_closed_orders_all", exchange.fetch_closed_orders)
    run("fetch_my_trades_all", exchange.fetch_my_trades)
    for name in ("fetch_deposits", "fetch_withdrawals", "fetch_transfers"):
        run(name, getattr(exchange, name), "USDC")
    run("fetch_deposit_address", exchange.fetch_deposit_address, "USDC")
    run("create_deposit_address", exchange.create_deposit_address, "USDC")
    run("withdraw", exchange.withdraw, "USDC", 1, "0x" + "11" * 20)
    run("transfer", exchange.transfer, "USDC", 1, "main", "1")


async def watch_all(options: dict[str, object], recorder: Recorder, option: str) -> None:
    """The streams; what only happens when somebody trades is waited for while this bot trades."""
    exchange = ccxt.pro.deribit(options)
    try:
        await exchange.load_markets()
        watch = recorder.watch
        await watch("watch_ticker", exchange.watch_ticker(PERPETUAL))
        await watch("watch_tickers", exchange.watch_tickers([PERPETUAL, option]))
        await watch("watch_bids_asks", exchange.watch_bids_asks([PERPETUAL]))
        await watch("watch_order_book", exchange.watch_order_book(PERPETUAL))
        await watch("watch_balance", exchange.watch_balance())
        waiting = [
            asyncio.create_task(watch(name, call))
            for name, call in (
                ("watch_trades", exchange.watch_trades(PERPETUAL)),
                ("watch_trades_for_symbols", exchange.watch_trades_for_symbols([PERPETUAL])),
                ("watch_ohlcv", exchange.watch_ohlcv(PERPETUAL, "1m")),
                ("watch_ohlcv_for_symbols", exchange.watch_ohlcv_for_symbols([[PERPETUAL, "1m"]])),
                ("watch_order_book_for_symbols", exchange.watch_order_book_for_symbols([PERPETUAL])),
                ("watch_orders", exchange.watch_orders()),
                ("watch_my_trades", exchange.watch_my_trades()),
            )
        ]
        for _ in range(5):
            await asyncio.sleep(1)
            if all(task.done() for task in waiting):
                break
            await exchange.create_order(PERPETUAL, "market", "buy", SIZE)
        await asyncio.gather(*waiting)
    finally:
        await exchange.close()


def main() -> None:
    url, name, secret_file = sys.argv[1:]
    options = make_options(url, name, Path(secret_file).read_text().strip())
    recorder = Recorder()
    exchange = ccxt.deribit(options)
    recorder.run("load_markets", lambda: sorted(exchange.load_markets()))
    options_of_btc = [
        each for each in exchange.symbols if each.startswith("BTC/") and exchange.market(each)["option"]
    ]
    option = options_of_btc[len(options_of_btc) // 2]
    call_market(exchange, recorder, option)
    trade(exchange, recorder)
    call_account(exchange, recorder)
    asyncio.run(watch_all(options, recorder, option))
    json.dump({"option": option, "results": recorder.results}, sys.stdout, default=str)


if __name__ == "__main__":
    main()
