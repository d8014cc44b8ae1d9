"""The peer of matching.py: price-time books in idiomatic Python, sorted prices and dictionaries of orders.

The rules of docs/guides/matching.md and nothing else. A level is a dictionary from order id to lots, which
keeps the order of arrival; prices of a side are kept sorted by bisection, asks negated, so that the best is
the last.
"""

from bisect import bisect_left, insort

ADD, CANCEL, REPLACE = 0, 1, 2


class PlainBooks:
    """All books of one file; a book is instrument * 2 + side, 0 bids and 1 asks."""

    def __init__(self, instruments: int) -> None:
        self.levels: list[dict[int, dict[int, int]]] = [{} for _ in range(2 * instruments)]
        self.prices: list[list[int]] = [[] for _ in range(2 * instruments)]
        self.orders: dict[int, tuple[int, int]] = {}  # By id: book and price.
        self.trades = 0
        self.lots = 0

    def find_best(self, book: int) -> int:
        """The best price of a side, 0 if it is empty."""
        prices = self.prices[book]
        return (-prices[-1] if book & 1 else prices[-1]) if prices else 0

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
    ) -> list[int]:
        """Apply one message and return the makers that are filled completely."""
        if kind == ADD:
            return self.enter(order_id, number, side, ticks, lots, immediate)
        found = self.orders.pop(order_id, None)
        if found is None:
            return []
        book, price = found
        level = self.levels[book][price]
        del level[order_id]
        if not level:
            del self.levels[book][price]
            prices = self.prices[book]
            del prices[bisect_left(prices, -price if book & 1 else price)]
        if kind == REPLACE:
            return self.enter(new_id, number, side, ticks, lots, immediate)
        return []

    def enter(
        self, order_id: int, number: int, side: int, ticks: int, lots: int, immediate: int
    ) -> list[int]:
        """Match a new order, and let the rest join its book unless it is immediate."""
        opposite = 2 * number + 1 - side
        prices, levels, filled = self.prices[opposite], self.levels[opposite], []
        # Prices of the other side as its list has them: descending orders sort before ascending ones.
        limit = -ticks if side == 0 else ticks
        while prices and prices[-1] >= limit:
            price = -prices[-1] if side == 0 else prices[-1]
            level = levels[price]
            while level and lots:
                maker, size = next(iter(level.items()))
                self.trades += 1
                if size <= lots:
                    lots -= size
                    self.lots += size
                    del level[maker], self.orders[maker]
                    filled.append(maker)
                else:
                    level[maker] = size - lots
                    self.lots += lots
                    lots = 0
            if level:
                break
            prices.pop()
            del levels[price]
            if not lots:
                break
        if lots and not immediate:
            self.rest(order_id, 2 * number + side, ticks, lots)
        return filled

    def rest(self, order_id: int, book: int, ticks: int, lots: int) -> None:
        """Put an order at the end of its level."""
        level = self.levels[book].get(ticks)
        if level is None:
            level = self.levels[book][ticks] = {}
            insort(self.prices[book], -ticks if book & 1 else ticks)
        level[order_id] = lots
        self.orders[order_id] = (book, ticks)

    def list_open(self) -> list[tuple[int, int, int, int]]:
        """Book, price, id and lots of every open order, by book and price, in the order of their turns."""
        return [
            (book, price, order_id, lots)
            for book, levels in enumerate(self.levels)
            for price in sorted(levels)
            for order_id, lots in levels[price].items()
        ]
