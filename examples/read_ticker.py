"""Read a ticker once, then follow it. Needs no key.

.venv/bin/python examples/read_ticker.py [ws://127.0.0.1:8080/ws/api/v2] [BTC_USDC-PERPETUAL]
"""

import asyncio
import sys

from novate.access.client import NovateClient

MESSAGES = 10


async def main(url: str, instrument_name: str) -> None:
    """Print the mark and the best prices, then the next changes of them."""
    async with NovateClient(url) as client:
        ticker = await client.call("public/ticker", {"instrument_name": instrument_name})
        print(f"{instrument_name}: mark {ticker['mark_price']}, index {ticker['index_price']}")
        queue = await client.subscribe_queue(f"ticker.{instrument_name}.100ms")
        for _ in range(MESSAGES):
            data = await queue.get()
            bid, ask = data["best_bid_price"], data["best_ask_price"]
            print(f"bid {bid}  ask {ask}  mark {data['mark_price']}")


if __name__ == "__main__":
    arguments = [*sys.argv[1:], "ws://127.0.0.1:8080/ws/api/v2", "BTC_USDC-PERPETUAL"]
    asyncio.run(main(arguments[0], arguments[-1] if len(sys.argv) < 3 else arguments[1]))
