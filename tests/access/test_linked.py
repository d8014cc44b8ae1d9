"""Linked orders in Deribit's words, and the history of orders that waited, through a real connection."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from novate.access.client import NovateClient
from novate.access.client_errors import VenueError
from novate.access.limits import ServerLimits

from .harness import (
    MAKER,
    NS_PER_S,
    PERPETUAL,
    TAKER,
    USDC,
    TestVenue,
    open_wire,
    run_venue,
    sign_place,
)

OCO, OTO, OTOCO = "one_cancels_other", "one_triggers_other", "one_triggers_one_cancels_other"
STOP = {"type": "stop_limit", "trigger": "index_price", "trigger_price": 60_000}


@contextlib.asynccontextmanager
async def two_traders(
    folder: Path, limits: ServerLimits | None = None
) -> AsyncIterator[tuple[TestVenue, NovateClient, NovateClient]]:
    """A venue with a maker and a taker."""
    async with (
        run_venue(folder, limits) as venue,
        venue.make_client(MAKER) as maker,
        venue.make_client(TAKER) as taker,
    ):
        yield venue, maker, taker
        assert 0 == venue.server.counters.internal_errors


async def read_state(client: NovateClient, order: dict[str, Any]) -> dict[str, Any]:
    """An order as it is now."""
    state: dict[str, Any] = await client.call("private/get_order_state", {"order_id": order["order_id"]})
    return state


async def read_history(client: NovateClient, **params: Any) -> dict[str, Any]:
    """The history of waiting orders."""
    history: dict[str, Any] = await client.call("private/get_trigger_order_history", params)
    return history


def pick(order: dict[str, Any], *names: str) -> tuple[Any, ...]:
    """Some values of an order, None for those it does not have."""
    return tuple(order.get(name) for name in names)


def test_linked_orders_are_named(tmp_path: Path) -> None:
    """An order with a link, a parent or both is named as Deribit names it, and so is the parent."""

    async def scenario() -> None:
        async with two_traders(tmp_path) as (_, maker, taker):
            plain = (await maker.buy(PERPETUAL, 0.01, 40_000))["order"]
            assert (None, None) == pick(plain, "linked_order_type", "oto_order_ids")
            one = (await maker.buy(PERPETUAL, 0.01, 40_000, link=5, linked_order_type=OCO))["order"]
            names = "linked_order_type", "trigger_fill_condition", "oco_ref", "is_secondary_oto"
            assert (OCO, "first_hit", "5", None) == pick(one, *names)
            parent = (await maker.buy(PERPETUAL, 0.01, 50_000))["order"]
            known = {"parent_order_id": parent["order_id"]}
            alone = {"linked_order_type": OTO, "trigger_fill_condition": "complete_fill"}
            child = (await maker.sell(PERPETUAL, 0.01, 70_000, **known, **alone))["order"]
            assert (OTO, "complete_fill", None, True) == pick(child, *names)
            assert parent["order_id"] == child["primary_order_id"]
            state = await read_state(maker, parent)
            assert (OTO, [child["order_id"]]) == pick(state, "linked_order_type", "oto_order_ids")
            await maker.cancel(child["order_id"])
            assert (None, None) == pick(await read_state(maker, parent), "linked_order_type", "oto_order_ids")
            pair = known | {"link": 7, "linked_order_type": OTOCO}
            children = [
                (await maker.sell(PERPETUAL, 0.01, price, **pair))["order"] for price in (51_000, 52_000)
            ]
            assert [(OTOCO, "complete_fill", "7", True)] * 2 == [pick(each, *names) for each in children]
            state = await read_state(maker, parent)
            names = "linked_order_type", "is_primary_otoco", "oto_order_ids"
            assert (OTOCO, True, [each["order_id"] for each in children]) == pick(state, *names)
            await taker.sell(PERPETUAL, 0.01, 50_000)
            assert OTOCO == (await read_state(maker, children[0]))["linked_order_type"]
            assert None is (await read_state(maker, parent)).get("oto_order_ids")

    asyncio.run(scenario())


def test_words_must_fit_what_is_signed(tmp_path: Path) -> None:
    """A word for a link that the order does not have is refused before the law sees the order."""
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"linked_order_type": OCO}, "linked_order_type"),
        ({"linked_order_type": OTO, "link": 3}, "linked_order_type"),
        ({"linked_order_type": OCO, "parent_order_id": "3"}, "linked_order_type"),
        ({"linked_order_type": OTO, "parent_order_id": "3", "link": 3}, "linked_order_type"),
        ({"trigger_fill_condition": "first_hit"}, "trigger_fill_condition"),
        ({"link": 3, "trigger_fill_condition": "incremental"}, "trigger_fill_condition"),
        ({"parent_order_id": "3", "trigger_fill_condition": "first_hit"}, "trigger_fill_condition"),
        ({"otoco_config": [{"amount": 0.01, "direction": "sell"}]}, "otoco_config"),
    ]

    async def scenario() -> None:
        async with two_traders(tmp_path) as (venue, maker, _):
            async with open_wire(venue) as wire:
                for words, name in wrong:
                    sequence = venue.engine.sequence
                    reply = await wire.ask("private/buy", sign_place(venue, MAKER) | words)
                    assert "parameter_invalid" == reply["error"]["data"]["reason"], words
                    assert name == reply["error"]["data"]["param"], words
                    assert sequence == venue.engine.sequence
            with pytest.raises(ValueError, match="linked_order_type"):
                await maker.buy(PERPETUAL, 0.01, 40_000, linked_order_type=OTO)

    asyncio.run(scenario())


def test_trigger_history(tmp_path: Path) -> None:
    """Fired, refused and cancelled orders are told newest first, as they waited; others are not."""

    async def scenario() -> None:
        async with two_traders(tmp_path) as (venue, maker, taker):
            assert {"entries": [], "continuation": None} == await read_history(maker)
            await maker.cancel((await maker.buy(PERPETUAL, 0.01, 40_000))["order"]["order_id"])
            gone = (await maker.buy(PERPETUAL, 0.02, 60_000, label="gone", link=4, **STOP))["order"]
            await maker.cancel(gone["order_id"])
            fired = (await maker.buy(PERPETUAL, 0.01, 60_500, **STOP))["order"]
            refused = (await maker.buy(PERPETUAL, 0.03, 60_000, reduce_only=True, **STOP))["order"]
            trail = {"type": "trailing_stop", "trigger": "index_price", "trigger_offset": 500}
            waiting = (await maker.sell(PERPETUAL, 0.01, **trail))["order"]
            await taker.sell(PERPETUAL, 0.01, 55_000)
            await venue.report_index(60_000 * USDC)
            assert "untriggered" == (await read_state(maker, waiting))["order_state"]
            history = await read_history(maker, currency="BTC")
            names = "trigger_order_id", "order_id", "order_state", "request", "amount", "price"
            assert [
                (refused["order_id"], refused["order_id"], "rejected", "trigger:order", 0.03, 60_000.0),
                (fired["order_id"], fired["order_id"], "triggered", "trigger:order", 0.01, 60_500.0),
                (gone["order_id"], None, "cancelled", "cancel", 0.02, 60_000.0),
            ] == [pick(entry, *names) for entry in history["entries"]]
            first, second, third = history["entries"]
            assert ("reduce_only_would_increase", True) == pick(first, "reject_reason", "reduce_only")
            names = "trigger", "trigger_price", "order_type", "original_order_type", "instrument_name"
            assert ("index_price", 60_000.0, "limit", "stop_limit", PERPETUAL) == pick(second, *names)
            assert ("gone", "4", "user_request") == pick(third, "label", "oco_ref", "cancel_reason")
            assert second["timestamp"] >= third["timestamp"]
            await venue.report_index(59_500 * USDC)
            newest = (await read_history(maker, count=1))["entries"][0]
            assert (waiting["order_id"], "triggered", 500.0, "market_price") == pick(
                newest, "trigger_order_id", "order_state", "trigger_offset", "price"
            )
            assert [] == (await read_history(taker))["entries"]
            assert [] == (await read_history(maker, instrument_name=venue.option))["entries"]

    asyncio.run(scenario())


def test_trigger_history_is_paged_and_bounded(tmp_path: Path) -> None:
    """Pages follow each other without gap or repetition, and the oldest entries are forgotten."""

    async def scenario() -> None:
        limits = ServerLimits(closed_orders_kept=6)
        async with two_traders(tmp_path, limits) as (_, maker, taker):
            ids = []
            for _ in range(8):
                order = (await maker.buy(PERPETUAL, 0.01, 60_500, **STOP))["order"]
                await maker.cancel(order["order_id"])
                ids.append(order["order_id"])
            seen: list[str] = []
            page = await read_history(maker, count=4)
            while True:
                seen += [entry["trigger_order_id"] for entry in page["entries"]]
                if page["continuation"] is None:
                    break
                page = await read_history(maker, count=4, continuation=page["continuation"])
            assert ids[:1:-1] == seen
            for _ in range(6):
                order = (await taker.buy(PERPETUAL, 0.01, 60_500, **STOP))["order"]
                await taker.cancel(order["order_id"])
            assert [] == (await read_history(maker))["entries"]

    asyncio.run(scenario())


def test_trigger_history_of_a_date(tmp_path: Path) -> None:
    """A waiting order whose date passes is cancelled, and an order that waits for its parent only is none."""

    async def scenario() -> None:
        async with two_traders(tmp_path) as (venue, maker, _):
            parent = (await maker.buy(PERPETUAL, 0.01, 40_000))["order"]
            await maker.sell(PERPETUAL, 0.01, 60_000, parent_order_id=parent["order_id"])
            until = venue.clock() // 1_000_000 + 5_000
            order = (await maker.buy(PERPETUAL, 0.01, 60_500, valid_until=until, **STOP))["order"]
            await maker.cancel(parent["order_id"])
            venue.clock.ahead_ns += 6 * NS_PER_S
            await venue.report_index()
            entries = (await read_history(maker))["entries"]
            assert [(order["order_id"], "cancelled", "good_til_date")] == [
                pick(entry, "trigger_order_id", "order_state", "cancel_reason") for entry in entries
            ]

    asyncio.run(scenario())


def test_trigger_history_needs_a_login(tmp_path: Path) -> None:
    """A stranger is told to log in, and a continuation that is no number is refused."""

    async def scenario() -> None:
        async with two_traders(tmp_path) as (venue, maker, _), open_wire(venue) as wire:
            reply = await wire.ask("private/get_trigger_order_history", {"currency": "BTC"})
            assert "unauthorized" == reply["error"]["data"]["reason"]
            with pytest.raises(VenueError, match="continuation"):
                await read_history(maker, continuation="later")

    asyncio.run(scenario())
