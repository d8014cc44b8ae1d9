"""The peer of benchmarks/engine.py: price-time books in plain Python, dictionaries of levels and sorted
prices.

It matches, rests, cancels and replaces, and it does nothing else: no margin, no money, no events, no state to
prove.
"""

from bisect import bisect_left, insort
from collections import deque

BUY, SELL = 0, 1
IOC = 1
Order = list[int]  # [order_id, account, instrument, side, price_ticks, lots]; lots are 0 once it has ended.


class PeerBooks:
    """All books of one venue. Prices of a side are sorted so that the best is the last."""

    def __init__(self, count: int) -> None:
        self.levels: list[dict[int, deque[Order]]] = [{} for _ in range(2 * count)]
        self.prices: list[list[int]] = [[] for _ in range(2 * count)]
        self.orders: dict[int, Order] = {}
        self.next_order_id = 1
        self.fill_count = 0
        self.lots_filled = 0

    def place(self, account: int, instrument: int, side: int, lots: int, price_ticks: int, ioc: bool) -> None:
        """A new order."""
        order_id = self.next_order_id
        self.next_order_id += 1
        self.match([order_id, account, instrument, side, price_ticks, lots], ioc)

    def match(self, order: Order, ioc: bool) -> None:
        """Match an order, and let the rest join its book unless it is IOC or met its own account."""
        _, account, instrument, side, price_ticks, lots = order
        book = 2 * instrument + 1 - side
        prices, levels = self.prices[book], self.levels[book]
        while lots and prices:
            best = -prices[-1] if side == BUY else prices[-1]
            if best > price_ticks if side == BUY else best < price_ticks:
                break
            level = levels[best]
            while level and not level[0][5]:
                level.popleft()
            if not level:
                prices.pop()
                del levels[best]
                continue
            maker = level[0]
            if maker[1] == account:
                return
            size = min(lots, maker[5])
            lots -= size
            maker[5] -= size
            self.fill_count += 1
            self.lots_filled += size
            if not maker[5]:
                del self.orders[maker[0]]
        if lots and not ioc:
            order[5] = lots
            self.rest(order)

    def rest(self, order: Order) -> None:
        """Put an order at the end of its level."""
        book, price = 2 * order[2] + order[3], order[4]
        level = self.levels[book].get(price)
        if level is None:
            level = self.levels[book][price] = deque()
            insort(self.prices[book], price if order[3] == BUY else -price)
        level.append(order)
        self.orders[order[0]] = order

    def cancel(self, account: int, order_id: int) -> Order | None:
        """End an open order of the account; its place in the level is swept when it is met."""
        order = self.orders.get(order_id)
        if order is None or order[1] != account:
            return None
        del self.orders[order_id]
        ended = list(order)
        order[5] = 0
        book = 2 * order[2] + order[3]
        level = self.levels[book][order[4]]
        if not any(each[5] for each in level):
            del self.levels[book][order[4]]
            prices = self.prices[book]
            del prices[bisect_left(prices, order[4] if order[3] == BUY else -order[4])]
        return ended

    def replace(self, account: int, order_id: int, lots: int, price_ticks: int) -> None:
        """A smaller size at the same price keeps its place; anything else is a new order under the old id."""
        order = self.orders.get(order_id)
        if order is None or order[1] != account:
            return
        if price_ticks == order[4] and lots <= order[5]:
            order[5] = lots
            return
        ended = self.cancel(account, order_id)
        assert ended is not None
        self.match([*ended[:4], price_ticks, lots], False)
