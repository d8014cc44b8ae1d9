"""Quote one option on both sides of its mark, move the quote once, and take it away.

    NOVATE_KEY_FILE=key.hex .venv/bin/python examples/quote_option.py [ws://127.0.0.1:8080/ws/api/v2]

The file holds a secp256k1 key as 64 hexadecimal digits; its account must have made a deposit.
"""

import asyncio
import os
import sys
from decimal import Decimal
from pathlib import Path

from coincurve import PrivateKey

from novate.access.client import NovateClient

AMOUNT = Decimal("0.1")
HALF_SPREAD = Decimal("0.02")  # Of the mark.


def round_to(price: Decimal, step: Decimal) -> Decimal:
    """The multiple of the tick size nearest to a price, at least one tick."""
    return max(Decimal(1), (price / step).to_integral_value()) * step


async def main(url: str, key: PrivateKey) -> None:
    """Post a bid and an ask that rest or are refused, edit the bid, then cancel both."""
    async with NovateClient(url, key) as client:
        options = await client.call("public/get_instruments", {"currency": "any", "kind": "option"})
        name, step = options[0]["instrument_name"], Decimal(str(options[0]["tick_size"]))
        mark = Decimal(str((await client.call("public/ticker", {"instrument_name": name}))["mark_price"]))
        prices = {
            "buy": round_to(mark * (1 - HALF_SPREAD), step) - step,
            "sell": round_to(mark * (1 + HALF_SPREAD), step) + step,
        }
        quotes = {
            side: await client.place(side, name, AMOUNT, price, post_only=True, label="example")
            for side, price in prices.items()
        }
        for side, quote in quotes.items():
            print(f"{side} {name} at {prices[side]}: command {quote['receipt']['sequence']}")
        bid = await client.edit(quotes["buy"]["order"]["order_id"], name, AMOUNT, prices["buy"] - step)
        print(f"bid moved to {bid['order']['price']}: command {bid['receipt']['sequence']}")
        print(f"cancelled {await client.cancel_all(name)} orders")


if __name__ == "__main__":
    address = sys.argv[1] if len(sys.argv) > 1 else "ws://127.0.0.1:8080/ws/api/v2"
    secret = Path(os.environ["NOVATE_KEY_FILE"]).read_text().strip().removeprefix("0x")
    asyncio.run(main(address, PrivateKey(bytes.fromhex(secret))))
