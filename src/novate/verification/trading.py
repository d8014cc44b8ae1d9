"""Commands on open orders as the replayer reads them: place, replace, cancel.

Verifies [MATCH-1], [MATCH-3] and [MATCH-6] to [MATCH-8].
"""

from novate.protocol.command import Command
from novate.protocol.generated.codes import CancelReason, Code
from novate.protocol.generated.constants import GROUP_COUNT
from novate.verification.judging import check_open, check_size_and_price, check_terms, judge
from novate.verification.keys import admit, authenticate, find_key
from novate.verification.matching import match, take_place
from novate.verification.order_records import Order, Terms, WaitingOrder
from novate.verification.orders import ALL, cancel_order, cancel_waiting, end_all
from novate.verification.risk import change_open
from novate.verification.state import Account, Rejected, State, require


def place(state: State, command: Command) -> tuple[int, int]:
    """Apply PLACE and return (account, order id) [MATCH-1] [MATCH-3]."""
    account = admit(state, command)
    terms = Terms(*command.values[: len(Terms._fields)])
    instrument = check_terms(state, terms)
    order = Order(state.next_order_id, account, instrument, terms)
    judge(state, order, key=find_key(account, command.signer))
    state.next_order_id += 1
    match(state, order)
    return account.number, order.order_id


def find_owned(state: State, account: Account, order_id: int) -> Order | WaitingOrder:
    """Return an open or waiting order of the account [MATCH-6] [TRIG-1]."""
    order = state.orders.get(order_id) or state.waiting.get(order_id)
    if order is None:
        raise Rejected(Code.ORDER_NOT_FOUND)
    require(order.account is account, Code.ORDER_NOT_OWNED)
    return order


def replace(state: State, command: Command) -> tuple[int, int]:
    """Apply REPLACE and return (account, order id) [MATCH-8]."""
    account = admit(state, command)
    order_id, lots, price_ticks = command.values[:3]
    require(order_id in state.orders, Code.ORDER_NOT_FOUND)
    old = state.orders[order_id]
    require(old.account is account, Code.ORDER_NOT_OWNED)
    require(not old.is_quote, Code.ORDER_INVALID)
    terms = old.terms._replace(lots=lots, price_ticks=price_ticks)
    check_open(state, old.instrument)
    check_size_and_price(terms, replaces=True)
    if price_ticks == old.terms.price_ticks and lots <= old.lots:
        reduce(state, old, lots)
    else:
        new = Order(order_id, account, old.instrument, terms)
        judge(state, new, old, find_key(account, command.signer))
        take_place(state, old, new)
    return account.number, order_id


def reduce(state: State, order: Order, lots: int) -> None:
    """Leave an open order with fewer lots, or as many, in its place [MATCH-8] [ICEBERG-1]."""
    change_open(state, order, lots - order.lots)
    order.lots = lots
    order.visible_lots = min(order.visible_lots, lots)
    state.dirty_slots.add(order.slot)


def cancel(state: State, command: Command) -> tuple[int, int]:
    """Apply CANCEL and return (account, order id) [MATCH-6]."""
    account = authenticate(state, command)
    order = find_owned(state, account, command.values[0])
    if isinstance(order, WaitingOrder):
        cancel_waiting(state, order, CancelReason.USER)
    else:
        cancel_order(state, order, CancelReason.USER)
    return account.number, order.order_id


def cancel_all(state: State, command: Command) -> tuple[int, int]:
    """Apply CANCEL_ALL and return (account, 0) [MATCH-7]."""
    account = authenticate(state, command)
    number, label, group = command.values[:3]
    require(label >= 0 and 0 <= group <= GROUP_COUNT, Code.COMMAND_MALFORMED)
    require(number == ALL or 0 <= number < len(state.instruments), Code.INSTRUMENT_NOT_FOUND)
    end_all(state, account, CancelReason.USER, number, label, group)
    return account.number, 0
