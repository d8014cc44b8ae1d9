"""A venue ticks when a timer is due, and not for timers of orders that are gone."""

from __future__ import annotations

import asyncio
from pathlib import Path

from novate.apps.venue_tasks import is_timer_due
from tests.access.harness import MAKER, NS_PER_S, PERPETUAL, run_venue


def test_timers_are_noticed(tmp_path: Path) -> None:
    """An order's date, a waiting order's date and a dead-man timer are due from their time on."""

    async def scenario() -> None:
        async with run_venue(tmp_path) as venue, venue.make_client(MAKER) as maker:
            later_ns = venue.clock() + 60 * NS_PER_S
            until = later_ns // 1_000_000 - 30_000
            stop = {"type": "stop_limit", "price": 50_000, "trigger": "index_price", "trigger_price": 60_000}
            orders = (
                {"price": 40_000, "valid_until": until},
                {"valid_until": until} | stop,
            )
            for options in orders:
                order = (await maker.buy(PERPETUAL, 0.01, **options))["order"]
                assert not is_timer_due(venue.engine, until * 1_000_000 - 1)
                assert is_timer_due(venue.engine, until * 1_000_000)
                await maker.cancel(order["order_id"])
                assert not is_timer_due(venue.engine, later_ns)
            await maker.set_dead_man(30)
            assert is_timer_due(venue.engine, later_ns)
            await maker.set_dead_man(0)
            assert not is_timer_due(venue.engine, later_ns)

    asyncio.run(scenario())
