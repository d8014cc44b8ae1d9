"""How orders join and leave: position records, levels, slots, and what ends together with what.

Everything that ends an order goes through `cancel_order` or `cancel_waiting`, so that its children never
outlive it. Verifies [AUTH-2], [AUTH-3], [LIQ-10], [MATCH-9], [LINK-1], [LINK-2]
and [NOVATE-5].
"""

from bisect import bisect_left, insort
from collections import OrderedDict
from collections.abc import Iterable
from typing import TypeVar

from novate.protocol.command import Command
from novate.protocol.generated.codes import CancelReason, Code, LiquidationStage, Side, TriggerReference
from novate.protocol.generated.records import COMMAND_FIELDS
from novate.verification.order_records import Order, WaitingOrder
from novate.verification.risk import change_open
from novate.verification.state import Account, Instrument, Position, State, require

ALL = -1
# Where each kind keeps its signed envelope.
ENVELOPE = {
    kind: (fields.index("nonce"), fields.index("expires_ns"))
    for kind, fields in COMMAND_FIELDS.items()
    if "nonce" in fields
}
Kind = TypeVar("Kind", Order, WaitingOrder, Order | WaitingOrder)


def authenticate(state: State, command: Command) -> Account:
    """Return the signing account, its nonce used up [AUTH-2] [AUTH-3]."""
    number = state.account_numbers.get(command.signer, -1)
    require(number >= 0, Code.ACCOUNT_NOT_FOUND)
    account = state.accounts[number]
    nonce_at, expires_at = ENVELOPE[command.kind]
    assert state.time_ns is not None
    require(command.values[expires_at] > state.time_ns, Code.SIGNATURE_EXPIRED)
    require(command.values[nonce_at] > account.nonce, Code.NONCE_REPLAYED)
    account.nonce = command.values[nonce_at]
    state.dirty_accounts.add(number)
    return account


def admit(state: State, command: Command) -> Account:
    """Return the signing account of a command that an account in liquidation may not give [LIQ-10]."""
    account = authenticate(state, command)
    require(account.stage == LiquidationStage.NONE, Code.IN_LIQUIDATION)
    return account


def compute_key(side: int, price_ticks: int) -> int:
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


def drop_position(state: State, account: Account, instrument: Instrument) -> None:
    """Close the account's position record if it holds no lots and no open orders [NOVATE-5]."""
    holdings = account.holdings[instrument.underlying]
    position = holdings.get(instrument.number)
    if position is not None and position.lots == 0 and not position.orders:
        del holdings[instrument.number]
        state.position_count -= 1


def rest(state: State, order: Order) -> None:
    """Let an order join the end of its level with all its lots open, in a slot [MATCH-4] [MATCH-9]."""
    position = find_position(state, order.account, order.instrument)
    change_open(state, order, position, order.lots)
    order.show_slice()
    order.slot = state.free_slots.take()
    join_level(state, order)
    position.orders[order.order_id] = order
    order.account.open_order_count += 1
    state.orders[order.order_id] = order
    state.slots[order.slot] = order


def join_level(state: State, order: Order) -> None:
    """Put an order at the end of its level; its priority is that of the command."""
    book = order.instrument.books[order.side]
    level = book.levels.get(order.price_ticks)
    if level is None:
        level = book.levels[order.price_ticks] = OrderedDict()
        insort(book.keys, compute_key(order.side, order.price_ticks))
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
        del book.keys[bisect_left(book.keys, compute_key(order.side, order.price_ticks))]


def remove(state: State, order: Order) -> None:
    """Take an open order, with what lots are left, out of book, slot and margin sums [MATCH-9]."""
    account, instrument = order.account, order.instrument
    position = account.holdings[instrument.underlying][instrument.number]
    if order.lots:
        change_open(state, order, position, -order.lots)
    leave_level(order)
    del position.orders[order.order_id]
    account.open_order_count -= 1
    del state.orders[order.order_id]
    del state.slots[order.slot]
    state.free_slots.give_back(order.slot)
    state.dirty_slots.add(order.slot)
    drop_position(state, account, instrument)


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
    """Return an account's open orders, in no particular order."""
    return [
        order
        for holdings in account.holdings
        for position in holdings.values()
        for order in position.orders.values()
    ]


def sort_orders(orders: Iterable[Kind]) -> list[Kind]:
    """Return orders in ascending order id."""
    return sorted(orders, key=lambda order: order.order_id)
