"""The usual peer of matching.py, and the slower one: price-time books on the SortedDict of sortedcontainers.

The rules of docs/guides/matching.md and nothing else: a side of a book is a SortedDict from price to a
dictionary from order id to lots.
"""

from sortedcontainers import SortedDict

ADD, REPLACE = 0, 2


class SortedBooks:
    """All books of one file; a book is instrument * 2 + side, 0 bids and 1 asks."""

    def __init__(self, instruments: int) -> None:
        self.sides = [SortedDict() for _ in range(2 * instruments)]
        self.orders: dict[int, tuple[SortedDict, int]] = {}
        self.trades = 0
        self.lots = 0

    def apply(
        self,
        kind: int,
        side: int,
        immediate: int,
        order_id: int,
        new_id: int,
        ticks: int,
        lots: int,
        number: int,
    ) -> None:
        """Apply one message."""
        if kind == ADD:
            self.enter(order_id, number, side, ticks, lots, immediate)
        elif order_id in self.orders:
            levels, price = self.orders.pop(order_id)
            level = levels[price]
            del level[order_id]
            if not level:
                del levels[price]
            if kind == REPLACE:
                self.enter(new_id, number, side, ticks, lots, immediate)

    def enter(self, order_id: int, number: int, side: int, ticks: int, lots: int, immediate: int) -> None:
        """Match a new order, and let the rest join its book unless it is immediate."""
        levels = self.sides[2 * number + 1 - side]
        while lots and levels:
            price, level = levels.peekitem(-side)
            if price > ticks if side == 0 else price < ticks:
                break
            while level and lots:
                maker = next(iter(level))
                size = min(lots, level[maker])
                lots -= size
                self.trades += 1
                self.lots += size
                if size == level[maker]:
                    del level[maker], self.orders[maker]
                else:
                    level[maker] -= size
            if not level:
                del levels[price]
        if lots and not immediate:
            own = self.sides[2 * number + side]
            own.setdefault(ticks, {})[order_id] = lots
            self.orders[order_id] = (own, ticks)

    def list_open(self) -> list[tuple[int, int, int, int]]:
        """Book, price, id and lots of every open order, by book and price, in the order of their turns."""
        return [
            (book, price, order_id, lots)
            for book, levels in enumerate(self.sides)
            for price, level in levels.items()
            for order_id, lots in level.items()
        ]
