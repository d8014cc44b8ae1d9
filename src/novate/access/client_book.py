"""An order book built from a `book.{instrument}.{interval}` channel, which refuses to go on after a gap."""

from typing import Any

from novate.access.client_errors import BookGap

Levels = dict[float, float]


class ClientBook:
    """Prices and amounts as the channel sends them. `change_id` is -1 before the first snapshot."""

    def __init__(self) -> None:
        self.change_id = -1
        self.bids: Levels = {}
        self.asks: Levels = {}

    def apply(self, data: dict[str, Any]) -> None:
        """Apply a snapshot or a change; raise BookGap if a change does not follow the last message."""
        if data["type"] == "snapshot":
            self.bids, self.asks = {}, {}
        elif data["prev_change_id"] != self.change_id:
            raise BookGap(
                f"expected a change after {self.change_id}, found one after {data['prev_change_id']}"
            )
        self.change_id = data["change_id"]
        for side, rows in ((self.bids, data["bids"]), (self.asks, data["asks"])):
            for action, price, amount in rows:
                if action == "delete":
                    if side.pop(price, None) is None:
                        raise BookGap(f"level {price} is deleted but was never there")
                else:
                    side[price] = amount

    def list_bids(self) -> list[tuple[float, float]]:
        """Return (price, amount) of the bids, best first."""
        return sorted(self.bids.items(), reverse=True)

    def list_asks(self) -> list[tuple[float, float]]:
        """Return (price, amount) of the asks, best first."""
        return sorted(self.asks.items())
