"""How orders join and leave: position records, levels, slots, and what ends together with what.

Everything that ends an order goes through `cancel_order` or `cancel_waiting`, so that its children never
outlive it. Verifies [MATCH-9], [LINK-1], [LINK-2] and [NOVATE-5].
"""

from bisect import bisect_left, insort
from collections import OrderedDict
from collections.abc import Iterable
from typing import TypeVar

from novate.protocol.generated.codes import CancelReason, Side, TriggerReference
from novate.verification.order_records import Order, WaitingOrder
from novate.verification.risk import change_open
from novate.verification.state import Account, Instrument, Position, State

ALL = -1
Kind = TypeVar("Kind", Order, WaitingOrder, Order | WaitingOrder)


def compute_sort_key(side: int, price_ticks: int) -> int:
    """Return the sort key of a price: the best price of a side has the least key."""
    return -price_ticks if side == Side.BUY else price_ticks


def find_position(state: State, account: Account, instrument: Instrument) -> Position:
    """Return the account's position record in an instrument, opening one if there is none [NOVATE-5]."""
    holdings = account.holdings[instrument.underlying]
    position = holdings.get(instrument.number)
    if position is None:
        position = holdings[instrument.number] = Position(instrument)
        state.position_count += 1
    return position


def open_records(state: State, account: Account, instrument: Instrument) -> None:
    """Open the position records that an order in an instrument needs, those of all legs for a combo."""
    for part, _ in instrument.parts:
        find_position(state, account, part)


def close_records(state: State, account: Account, instrument: Instrument) -> None:
    """Close those of these records in which nothing is held or open, legs in order [COMBO-6]."""
    for part, _ in instrument.parts:
        drop_position(state, account, part)


def count_missing_records(account: Account, instrument: Instrument) -> int:
    """Return how many of these records the account has not got [MATCH-1] [COMBO-4]."""
    holdings = account.holdings[instrument.underlying]
    return sum(part.number not in holdings for part, _ in instrument.parts)


def drop_position(state: State, account: Account, instrument: Instrument) -> None:
    """Close the account's position record if it holds no lots and no open orders [NOVATE-5]."""
    holdings = account.holdings[instrument.underlying]
    position = holdings.get(instrument.number)
    if position is not None and position.is_empty:
        del holdings[instrument.number]
        state.position_count -= 1


def rest(state: State, order: Order) -> None:
    """Let an order join the end of its level with all its lots open, in a slot [MATCH-4] [MATCH-9]."""
    open_records(state, order.account, order.instrument)
    change_open(state, order, order.lots)
    order.show_slice()
    order.slot = state.free_slots.take()
    join_level(state, order)
    for orders in list_homes(order):
        orders[order.order_id] = order
    order.account.open_order_count += 1
    state.orders[order.order_id] = order
    state.slots[order.slot] = order


def join_level(state: State, order: Order) -> None:
    """Put an order at the end of its level; its priority is that of the command."""
    book = order.instrument.books[order.side]
    level = book.levels.get(order.price_ticks)
    if level is None:
        level = book.levels[order.price_ticks] = OrderedDict()
        insort(book.keys, compute_sort_key(order.side, order.price_ticks))
    level[order.order_id] = order
    order.priority = state.sequence
    state.dirty_slots.add(order.slot)


def leave_level(order: Order) -> None:
    """Take an order out of its level."""
    book = order.instrument.books[order.side]
    level = book.levels[order.price_ticks]
    del level[order.order_id]
    if not level:
        del book.levels[order.price_ticks]
        del book.keys[bisect_left(book.keys, compute_sort_key(order.side, order.price_ticks))]


def remove(state: State, order: Order) -> None:
    """Take an open order, with what lots are left, out of book, slot and margin sums [MATCH-9]."""
    account, instrument = order.account, order.instrument
    if order.lots:
        change_open(state, order, -order.lots)
    leave_level(order)
    for orders in list_homes(order):
        del orders[order.order_id]
    account.open_order_count -= 1
    del state.orders[order.order_id]
    del state.slots[order.slot]
    state.free_slots.give_back(order.slot)
    state.dirty_slots.add(order.slot)
    close_records(state, account, instrument)


def list_homes(order: Order) -> list[dict[int, Order]]:
    """Return where the account's position records keep an open order: at every leg for a combo."""
    holdings = order.account.holdings[order.instrument.underlying]
    positions = [holdings[part.number] for part, _ in order.instrument.parts]
    if order.instrument.is_combo:
        return [position.combo_orders for position in positions]
    return [position.orders for position in positions]


def cancel_order(state: State, order: Order, reason: CancelReason) -> None:
    """End an open order with lots left, then the orders that wait for it [LINK-2]."""
    remove(state, order)
    end(state, order.account, order.order_id, reason)


def end(state: State, account: Account, order_id: int, reason: CancelReason) -> None:
    """Note the end of an order that is in no book and no table, and end those that wait for it [LINK-2]."""
    state.endings.append((order_id, int(reason)))
    for child in find_children(account, order_id):
        cancel_waiting(state, child, CancelReason.PARENT_ENDED)


def complete(state: State, account: Account, order_id: int) -> None:
    """Arm the orders that wait for an order which has been filled completely [LINK-2] [TRIG-5]."""
    for child in find_children(account, order_id):
        child.parent_id = 0
        state.dirty_waiting_slots.add(child.slot)
        if child.reference == TriggerReference.NONE:
            state.ready.add(child.order_id)


def find_children(account: Account, order_id: int) -> list[WaitingOrder]:
    """Return the account's orders that wait for an order, in ascending order id."""
    return sort_orders(child for child in account.waiting.values() if child.parent_id == order_id)


def join_waiting(state: State, order: WaitingOrder) -> None:
    """Put an accepted order into a slot of the waiting table [TRIG-1] [MATCH-9]."""
    order.slot = state.free_waiting_slots.take()
    state.waiting[order.order_id] = order
    state.waiting_slots[order.slot] = order
    order.account.waiting[order.order_id] = order
    state.dirty_waiting_slots.add(order.slot)


def leave_waiting(state: State, order: WaitingOrder) -> None:
    """Take a waiting order, which ends or fires, out of its slot [MATCH-9]."""
    del state.waiting[order.order_id]
    del state.waiting_slots[order.slot]
    del order.account.waiting[order.order_id]
    state.free_waiting_slots.give_back(order.slot)
    state.dirty_waiting_slots.add(order.slot)
    state.ready.discard(order.order_id)


def cancel_waiting(state: State, order: WaitingOrder, reason: CancelReason) -> None:
    """End a waiting order, then the orders that wait for it [LINK-2]."""
    leave_waiting(state, order)
    end(state, order.account, order.order_id, reason)


def cancel_listed(state: State, listed: Iterable[Order | WaitingOrder], reason: CancelReason) -> None:
    """End listed orders in ascending order id, but for those that ended with one before them."""
    for order in sort_orders(listed):
        if isinstance(order, Order) and state.orders.get(order.order_id) is order:
            cancel_order(state, order, reason)
        elif isinstance(order, WaitingOrder) and order.order_id in state.waiting:
            cancel_waiting(state, order, reason)


def end_linked(state: State, account: Account, link: int, order_id: int) -> None:
    """End every other order of the account with a link, open ones first [LINK-1]."""
    if link == 0:
        return
    found = [order for order in list_open(account) if order.terms.link == link]
    cancel_listed(state, (order for order in found if order.order_id != order_id), CancelReason.LINKED)
    waiting = [order for order in account.waiting.values() if order.terms.link == link]
    cancel_listed(state, (order for order in waiting if order.order_id != order_id), CancelReason.LINKED)


def end_all(
    state: State,
    account: Account,
    reason: CancelReason,
    instrument: int = ALL,
    label: int = 0,
    group: int = 0,
) -> None:
    """End an account's orders that fit, open ones first; -1, 0 and 0 fit any [MATCH-7]."""
    fits = [
        order
        for order in list_open(account)
        if instrument in (ALL, order.instrument.number)
        and label in (0, order.terms.label)
        and group in (0, order.group)
    ]
    cancel_listed(state, fits, reason)
    waiting = [
        order
        for order in account.waiting.values()
        if instrument in (ALL, order.instrument.number) and label in (0, order.terms.label) and group == 0
    ]
    cancel_listed(state, waiting, reason)


def list_open(account: Account) -> list[Order]:
    """Return an account's open orders, each once, in no particular order."""
    positions = [position for holdings in account.holdings for position in holdings.values()]
    found = {order_id: order for position in positions for order_id, order in position.orders.items()}
    for position in positions:
        found |= position.combo_orders
    return list(found.values())


def has_open(account: Account, instrument: Instrument) -> bool:
    """Whether an account has an open order in an instrument itself, quotes included [MATCH-10]."""
    position = account.holdings[instrument.underlying].get(instrument.parts[0][0].number)
    if position is None:
        return False
    orders = position.combo_orders if instrument.is_combo else position.orders
    return any(order.instrument is instrument for order in orders.values())


def sort_orders(orders: Iterable[Kind]) -> list[Kind]:
    """Return orders in ascending order id."""
    return sorted(orders, key=lambda order: order.order_id)
