"""Requests for quotes as streams: makers hear of each request, a taker of its own with every quote.

Changes gather for a tenth of a second, so that a crowd of quotes is one message.
"""

import asyncio
from typing import Any

from novate.access.block_rfqs import BlockRfq
from novate.access.channels import ANY, Channel
from novate.access.methods_rfq import list_currencies
from novate.access.rfq_payloads import MAKER, describe_for_taker, describe_rfq
from novate.access.venue import Venue

FLUSH_S = 0.1


class RfqFeed:
    """Publishes what the desk says has changed, and ends what is over."""

    def __init__(self, venue: Venue) -> None:
        self.venue = venue

    async def run(self) -> None:
        """Flush every 100 ms until cancelled."""
        while True:
            await asyncio.sleep(FLUSH_S)
            self.flush()

    def flush(self) -> None:
        """End what has expired, then send what has changed since the last flush."""
        desk = self.venue.rfqs
        desk.expire(self.venue.clock_ns())
        makers, takers = desk.take_dirty()
        for rfq in makers:
            self.publish(rfq, ("rfq_maker", 0), describe_rfq(rfq) | {"role": MAKER})
        for rfq in takers:
            self.publish(rfq, ("rfq_taker", rfq.account), describe_for_taker(rfq))

    def publish(self, rfq: BlockRfq, key: tuple[str, int], data: dict[str, Any]) -> None:
        """Send a request to the channels of its currencies."""
        for channel in tuple(self.venue.feed.by_key.get(key, ())):
            if self.covers(channel, rfq):
                self.venue.feed.publish(channel, data)

    def covers(self, channel: Channel, rfq: BlockRfq) -> bool:
        """Whether a channel's currency includes a request."""
        return channel.currency == ANY or channel.currency in list_currencies(self.venue, rfq)
