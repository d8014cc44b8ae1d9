"""Quote one expiry's options on both sides of their marks in one message, under market-maker protection.

    NOVATE_KEY_FILE=key.hex .venv/bin/python examples/mass_quote.py [ws://127.0.0.1:8080/ws/api/v2]

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
QUOTES_MAX = 20
GROUP = 1


def quote_around(
    mark: Decimal, step: Decimal
) -> tuple[tuple[Decimal, Decimal] | None, tuple[Decimal, Decimal]]:
    """A bid below a mark and an ask above it, on the tick size; no bid where it would be nothing."""
    bid = (mark * (1 - HALF_SPREAD) / step).to_integral_value() * step - step
    ask = (mark * (1 + HALF_SPREAD) / step).to_integral_value() * step + step
    return ((bid, AMOUNT) if bid > 0 else None), (ask, AMOUNT)


async def main(url: str, key: PrivateKey) -> None:
    """Set the group's protection, quote the marked options of the first expiry, then cancel the quotes."""
    async with NovateClient(url, key) as client:
        options = await client.call("public/get_instruments", {"currency": "any", "kind": "option"})
        first = min(options, key=lambda row: (row["expiration_timestamp"], row["price_index"]))
        await client.set_mmp(first["price_index"], GROUP, interval=10, frozen_time=5, quantity_limit=1)
        await client.enable_cancel_on_disconnect()
        quotes = []
        for row in options:
            same = ("price_index", "expiration_timestamp")
            if any(row[name] != first[name] for name in same) or len(quotes) == QUOTES_MAX:
                continue
            name, step = row["instrument_name"], Decimal(str(row["tick_size"]))
            mark = (await client.call("public/ticker", {"instrument_name": name}))["mark_price"]
            if mark is not None:
                quotes.append((name, *quote_around(Decimal(str(mark)), step)))
        result = await client.mass_quote(GROUP, quotes)
        print(f"{len(result['orders'])} quotes in command {result['receipt']['sequence']}")
        for error in result["errors"]:
            print(f"{error['side']} of {error['instrument_name']}: {error['error']['message']}")
        print(f"cancelled {await client.cancel_quotes(GROUP)} quotes")


if __name__ == "__main__":
    address = sys.argv[1] if len(sys.argv) > 1 else "ws://127.0.0.1:8080/ws/api/v2"
    secret = Path(os.environ["NOVATE_KEY_FILE"]).read_text().strip().removeprefix("0x")
    asyncio.run(main(address, PrivateKey(bytes.fromhex(secret))))
