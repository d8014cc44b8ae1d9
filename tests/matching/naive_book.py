"""The simplest book that obeys the law of matching: orders in no order, all of them looked at for each step.

It shares nothing with the engine but the decorator that compiles it: no levels, no links, no tables of ids.
What happens is written down as the engine's events should say it.
"""

from typing import Any

import numpy as np

from novate.kernel import kernel, kernel_inner

PLACE, CANCEL, REPLACE = 0, 1, 2
BUY, SELL = 0, 1
GTC, IOC, POST_ONLY = 0, 1, 2
CANCEL_MAKER, CANCEL_BOTH = 4, 8
RESULT, FILL, REST, CANCELLED, REFRESHED, REDUCED = range(6)


def integers(*names: str) -> np.dtype[Any]:
    return np.dtype([(name, np.int64) for name in names])


OPERATION = integers(
    *("kind", "account", "instrument", "side", "tif", "lots", "price", "display", "flags", "order_id")
)
ORDER = integers(
    *("order_id", "account", "side", "tif", "price", "lots", "shown", "display", "flags", "turn")
)
EVENT = integers("kind", "accepted", "order_id", "maker_id", "price", "lots", "shown")
COUNTS = integers("orders", "ids", "turns", "events")  # `orders` by book; the rest only in the first record.


@kernel_inner
def tell(
    events: Any, counts: Any, kind: int, order: Any, maker_id: int, price: int, lots: int, shown: int
) -> None:
    event = events[counts[0]["events"]]
    counts[0]["events"] += 1
    event["kind"], event["accepted"], event["order_id"] = kind, 1, order["order_id"]
    event["maker_id"], event["price"], event["lots"], event["shown"] = maker_id, price, lots, shown


@kernel_inner
def refuse(events: Any, counts: Any) -> None:
    event = events[counts[0]["events"]]
    counts[0]["events"] += 1
    event["kind"], event["accepted"], event["order_id"], event["maker_id"] = RESULT, 0, 0, 0
    event["price"], event["lots"], event["shown"] = 0, 0, 0


@kernel_inner
def find_best(book: Any, count: int, side: int) -> int:
    """The order of a side whose turn it is: the best price, then whoever came first."""
    best = -1
    for i in range(count):
        if book[i]["side"] == side:
            if best < 0:
                best = i
            else:
                gain = (
                    book[i]["price"] - book[best]["price"]
                    if side == 0
                    else book[best]["price"] - book[i]["price"]
                )
                if gain > 0 or (gain == 0 and book[i]["turn"] < book[best]["turn"]):
                    best = i
    return best


@kernel_inner
def meets(order: Any, maker: Any) -> bool:
    return bool(order["price"] >= maker["price"] if order["side"] == 0 else order["price"] <= maker["price"])


@kernel_inner
def queue(counts: Any, order: Any) -> None:
    """Show (again) what an order shows, behind everybody."""
    order["shown"] = min(order["display"], order["lots"]) if order["display"] > 0 else order["lots"]
    order["turn"] = counts[0]["turns"]
    counts[0]["turns"] += 1


@kernel_inner
def drop(book: Any, counts: Any, number: int, at: int) -> None:
    counts[number]["orders"] -= 1
    book[at] = book[counts[number]["orders"]]


@kernel_inner
def match(book: Any, counts: Any, number: int, order: Any, events: Any) -> None:
    """Fill an order against the best of the other side, then let it rest or end."""
    ends = order["tif"] == IOC
    while order["lots"] > 0:
        at = find_best(book, counts[number]["orders"], 1 - order["side"])
        if at < 0 or not meets(order, book[at]):
            break
        maker = book[at]
        if maker["account"] == order["account"]:
            if order["flags"] != 0:
                tell(events, counts, CANCELLED, maker, 0, maker["price"], maker["lots"], maker["shown"])
                drop(book, counts, number, at)
            if order["flags"] != CANCEL_MAKER:
                ends = True
                break
            continue
        lots = min(order["lots"], maker["shown"])
        tell(events, counts, FILL, order, maker["order_id"], maker["price"], lots, 0)
        order["lots"] -= lots
        maker["lots"] -= lots
        maker["shown"] -= lots
        if maker["lots"] == 0:
            drop(book, counts, number, at)
        elif maker["shown"] == 0:
            queue(counts, maker)
            tell(events, counts, REFRESHED, maker, 0, maker["price"], maker["lots"], maker["shown"])
    if order["lots"] > 0 and ends:
        tell(events, counts, CANCELLED, order, 0, order["price"], order["lots"], 0)
    elif order["lots"] > 0:
        queue(counts, order)
        tell(events, counts, REST, order, 0, order["price"], order["lots"], order["shown"])
        assert counts[number]["orders"] < book.shape[0]
        book[counts[number]["orders"]] = order
        counts[number]["orders"] += 1


@kernel_inner
def is_refused(book: Any, count: int, order: Any) -> bool:
    best = find_best(book, count, 1 - order["side"])
    return bool(order["tif"] == POST_ONLY and best >= 0 and meets(order, book[best]))


@kernel_inner
def change(book: Any, counts: Any, number: int, at: int, operation: Any, order: Any, events: Any) -> None:
    """A cancel or a replacement of an open order."""
    old, lots = book[at], operation["lots"]
    stays = operation["price"] == old["price"] and lots <= old["lots"]
    order[0] = old
    order[0]["lots"], order[0]["price"] = lots, operation["price"]
    if operation["kind"] == REPLACE:
        hides = old["display"] > 0 and 10 * old["display"] < lots
        if hides or (not stays and is_refused(book, counts[number]["orders"], order[0])):
            refuse(events, counts)
            return
    tell(events, counts, RESULT, old, 0, 0, 0, 0)
    if operation["kind"] == REPLACE and stays:
        old["shown"] = min(old["shown"], lots)
        old["lots"] = lots
        tell(events, counts, REDUCED, old, 0, old["price"], lots, old["shown"])
        return
    tell(events, counts, CANCELLED, old, 0, old["price"], old["lots"], old["shown"])
    drop(book, counts, number, at)
    if operation["kind"] == REPLACE:
        match(book, counts, number, order[0], events)


@kernel
def apply(books: Any, counts: Any, operation: Any, order: Any, events: Any) -> None:
    """One operation; `order` is scratch, one record."""
    number = operation["instrument"]
    book, draft = books[number], order[0]
    if operation["kind"] != PLACE:
        for at in range(counts[number]["orders"]):
            if book[at]["order_id"] == operation["order_id"] and book[at]["account"] == operation["account"]:
                change(book, counts, number, at, operation, order, events)
                return
        refuse(events, counts)
        return
    draft["account"], draft["side"], draft["tif"] = operation["account"], operation["side"], operation["tif"]
    draft["price"], draft["lots"], draft["display"] = (
        operation["price"],
        operation["lots"],
        operation["display"],
    )
    draft["flags"] = operation["flags"]
    if is_refused(book, counts[number]["orders"], draft):
        refuse(events, counts)
        return
    counts[0]["ids"] += 1
    draft["order_id"] = counts[0]["ids"]
    tell(events, counts, RESULT, draft, 0, 0, 0, 0)
    match(book, counts, number, draft, events)
