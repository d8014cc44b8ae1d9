"""What the tests of keys, blocks, requests for quotes and combos share."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from coincurve import PrivateKey

from novate.access.client import NovateClient
from novate.access.client_errors import VenueError
from novate.access.limits import ServerLimits
from novate.protocol.generated.codes import AccessCode, Code
from novate.protocol.signing import compute_address

from .harness import MAKER, TAKER, TestVenue, make_key, run_venue

HOUR_MS = 3_600_000
HELPER, DESK = make_key("helper"), make_key("desk")
Row = dict[str, Any]


def address_of(key: PrivateKey) -> str:
    """A key's address as text."""
    return "0x" + compute_address(key.public_key).hex()


class Floor(NamedTuple):
    """A venue with a call, a put and a perpetual, a maker and a taker."""

    venue: TestVenue
    maker: NovateClient
    taker: NovateClient
    call: str
    put: str


@contextlib.asynccontextmanager
async def open_floor(folder: Path, limits: ServerLimits | None = None) -> AsyncIterator[Floor]:
    """A floor on which nothing may fail inside the venue."""
    async with run_venue(folder, limits) as venue:
        put = await venue.list_put()
        async with venue.make_client(MAKER) as maker, venue.make_client(TAKER) as taker:
            yield Floor(venue, maker, taker, venue.option, put)
        assert 0 == venue.server.counters.internal_errors


async def refuse(action: Any) -> Code | AccessCode:
    """The code with which the venue refuses an action."""
    with pytest.raises(VenueError) as refusal:
        await action
    assert refusal.value.code is not None, refusal.value
    return refusal.value.code


async def refuse_with_data(action: Any) -> Row:
    """The data of a refusal."""
    with pytest.raises(VenueError) as refusal:
        await action
    return refusal.value.data


async def read_positions(client: NovateClient) -> dict[str, float]:
    """The sizes of a client's positions by instrument."""
    rows = await client.call("private/get_positions", {"currency": "any"})
    return {row["instrument_name"]: row["size"] for row in rows}


async def read_equity(client: NovateClient) -> float:
    """The equity of a client's account."""
    return float((await client.call("private/get_account_summary", {"currency": "USDC"}))["equity"])


async def next_message(queue: asyncio.Queue[Any], is_wanted: Callable[[Row], bool]) -> Row:
    """The next message of a channel that is wanted."""
    while True:
        message: Row = await asyncio.wait_for(queue.get(), 5)
        if is_wanted(message):
            return message


def soon(venue: TestVenue, after_ms: int = HOUR_MS) -> int:
    """A time ahead, in milliseconds."""
    return venue.clock() // 1_000_000 + after_ms
