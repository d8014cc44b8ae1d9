"""Orders as the replayer reads them: place, replace, cancel, matching and fills.

Verifies [AUTH-2], [AUTH-3], [MATCH-1] to [MATCH-9] and [NOVATE-1] to [NOVATE-5].
"""

from bisect import bisect_left, insort
from collections import OrderedDict

from novate.protocol.command import Command
from novate.protocol.generated.codes import Code, InstrumentState, Side, TimeInForce
from novate.protocol.generated.constants import (
    GROSS_LOTS_MAX,
    OPEN_ORDER_COUNT_MAX,
    ORDER_LOTS_MAX,
    PRICE_TICKS_MAX,
)
from novate.protocol.generated.records import COMMAND_FIELDS
from novate.verification.risk import change_held, change_open, compute_summary, find_portfolio
from novate.verification.state import (
    NO_MARK,
    Account,
    Book,
    Instrument,
    Order,
    Position,
    Rejected,
    State,
    require,
)

ALL_INSTRUMENTS = -1
SIDES = frozenset(int(side) for side in Side)
TIMES_IN_FORCE = frozenset(int(member) for member in TimeInForce)
# Where each kind keeps its signed envelope.
ENVELOPE = {
    kind: (fields.index("nonce"), fields.index("expires_ns"))
    for kind, fields in COMMAND_FIELDS.items()
    if "nonce" in fields
}


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


def check_shape(state: State, instrument: Instrument, lots: int, price_ticks: int) -> None:
    """Check what PLACE and REPLACE ask of instrument, size and price [MATCH-1]."""
    assert state.time_ns is not None
    past = not instrument.is_perpetual and state.time_ns >= instrument.expiry_ns
    require(instrument.state != InstrumentState.EXPIRED and not past, Code.INSTRUMENT_CLOSED)
    require(lots >= 1, Code.SIZE_NOT_POSITIVE)
    require(lots <= ORDER_LOTS_MAX, Code.SIZE_ABOVE_MAXIMUM)
    require(price_ticks >= 1, Code.PRICE_NOT_POSITIVE)
    require(price_ticks <= PRICE_TICKS_MAX, Code.PRICE_ABOVE_MAXIMUM)


def check_market(state: State, instrument: Instrument) -> None:
    """Check that the instrument has a mark and its index is recent [MATCH-1]."""
    require(instrument.mark_atoms != NO_MARK, Code.MARK_UNAVAILABLE)
    require(not state.is_stale(state.markets[instrument.underlying]), Code.MARK_STALE)


def check_risk(state: State, order: Order, position: Position) -> None:
    """Check gross lots, post-only and margin with the order open at its full size [MATCH-1] [MARGIN-8]."""
    portfolio = find_portfolio(state, order.account, order.instrument.underlying)
    require(portfolio.gross_lots + order.lots <= GROSS_LOTS_MAX, Code.GROSS_LIMIT)
    if order.time_in_force == TimeInForce.POST_ONLY:
        require(find_crossing_level(order) is None, Code.POST_ONLY_WOULD_CROSS)
    change_open(state, order, position, order.lots)
    equity, _, initial = compute_summary(state, order.account)
    change_open(state, order, position, -order.lots)
    require(equity >= initial, Code.INITIAL_MARGIN_INSUFFICIENT)


def compute_key(side: int, price_ticks: int) -> int:
    """Return the sort key of a price: the best price of a side has the least key."""
    return -price_ticks if side == Side.BUY else price_ticks


def find_crossing_level(order: Order) -> OrderedDict[int, Order] | None:
    """Return the best opposite level if the order crosses it [MATCH-2]."""
    opposite = 1 - order.side
    book = order.instrument.books[opposite]
    if not book.keys:
        return None
    best_ticks = abs(book.keys[0])
    crosses = order.price_ticks >= best_ticks if order.side == Side.BUY else order.price_ticks <= best_ticks
    return book.levels[best_ticks] if crosses else None


def find_position(state: State, account: Account, instrument: Instrument) -> Position:
    """Return the account's position record in an instrument, opening one if there is none [NOVATE-5]."""
    holdings = account.holdings[instrument.underlying]
    position = holdings.get(instrument.number)
    if position is None:
        position = holdings[instrument.number] = Position(instrument)
        state.position_count += 1
    return position


def drop_position(state: State, account: Account, position: Position) -> None:
    """Close a position record that holds no lots and no open orders [NOVATE-5]."""
    if position.lots == 0 and not position.orders:
        del account.holdings[position.instrument.underlying][position.instrument.number]
        state.position_count -= 1


def place(state: State, command: Command) -> tuple[int, int]:
    """Apply PLACE and return (account, order id) [MATCH-1] [MATCH-3]."""
    account = authenticate(state, command)
    number, side, time_in_force, lots, price_ticks = command.values[:5]
    require(side in SIDES and time_in_force in TIMES_IN_FORCE, Code.COMMAND_MALFORMED)
    require(0 <= number < len(state.instruments), Code.INSTRUMENT_NOT_FOUND)
    instrument = state.instruments[number]
    check_shape(state, instrument, lots, price_ticks)
    check_market(state, instrument)
    require(account.open_order_count < OPEN_ORDER_COUNT_MAX, Code.OPEN_ORDER_LIMIT)
    require(len(state.orders) < state.limits["orders"], Code.TABLE_FULL)
    known_record = number in account.holdings[instrument.underlying]
    require(known_record or state.position_count < state.limits["positions"], Code.TABLE_FULL)
    order = Order(state.next_order_id, account, instrument, side, time_in_force, price_ticks, lots)
    position = find_position(state, account, instrument)
    try:
        check_risk(state, order, position)
        state.next_order_id += 1
        match_and_rest(state, order, position)
    finally:
        drop_position(state, account, position)
    return account.number, order.order_id


def find_owned_order(state: State, account: Account, order_id: int) -> Order:
    """Return an open order of the account [MATCH-6]."""
    order = state.orders.get(order_id)
    if order is None:
        raise Rejected(Code.ORDER_NOT_FOUND)
    require(order.account is account, Code.ORDER_NOT_OWNED)
    return order


def replace(state: State, command: Command) -> tuple[int, int]:
    """Apply REPLACE and return (account, order id) [MATCH-8]."""
    account = authenticate(state, command)
    order_id, lots, price_ticks = command.values[:3]
    old = find_owned_order(state, account, order_id)
    instrument = old.instrument
    check_shape(state, instrument, lots, price_ticks)
    position = account.holdings[instrument.underlying][instrument.number]
    if price_ticks == old.price_ticks and lots <= old.lots:
        change_open(state, old, position, lots - old.lots)
        old.lots = lots
        state.dirty_slots.add(old.slot)
        return account.number, order_id
    check_market(state, instrument)
    new = Order(order_id, account, instrument, old.side, old.time_in_force, price_ticks, lots)
    change_open(state, old, position, -old.lots)
    try:
        check_risk(state, new, position)
    except Rejected:
        change_open(state, old, position, old.lots)
        raise
    leave_book(state, old, position)
    match_and_rest(state, new, position)
    drop_position(state, account, position)
    return account.number, order_id


def cancel(state: State, command: Command) -> tuple[int, int]:
    """Apply CANCEL and return (account, order id) [MATCH-6]."""
    account = authenticate(state, command)
    order = find_owned_order(state, account, command.values[0])
    end_order(state, order)
    return account.number, order.order_id


def cancel_all(state: State, command: Command) -> tuple[int, int]:
    """Apply CANCEL_ALL and return (account, 0) [MATCH-7]."""
    account = authenticate(state, command)
    number = command.values[0]
    known = number == ALL_INSTRUMENTS or 0 <= number < len(state.instruments)
    require(known, Code.INSTRUMENT_NOT_FOUND)
    found = [
        order
        for holdings in account.holdings
        for position in holdings.values()
        if number in (ALL_INSTRUMENTS, position.instrument.number)
        for order in position.orders.values()
    ]
    for order in sorted(found, key=lambda order: order.order_id):
        end_order(state, order)
    return account.number, 0


def end_order(state: State, order: Order) -> None:
    """Take an open order out of its book and of its account's sums."""
    account, instrument = order.account, order.instrument
    position = account.holdings[instrument.underlying][instrument.number]
    change_open(state, order, position, -order.lots)
    leave_book(state, order, position)
    drop_position(state, account, position)


def match_and_rest(state: State, taker: Order, position: Position) -> None:
    """Match an accepted order; what is left joins the book unless it is IOC [MATCH-3] [MATCH-4] [MATCH-5]."""
    while taker.lots:
        level = find_crossing_level(taker)
        if level is None:
            break
        maker = next(iter(level.values()))
        if maker.account is taker.account:
            return
        fill(state, taker, position, maker)
    if taker.lots and taker.time_in_force != TimeInForce.IOC:
        change_open(state, taker, position, taker.lots)
        join_book(state, taker, position)


def fill(state: State, taker: Order, position: Position, maker: Order) -> None:
    """Trade the smaller remaining size at the maker's price [MATCH-3] [NOVATE-1] [NOVATE-4]."""
    instrument = taker.instrument
    lots = min(taker.lots, maker.lots)
    maker_position = maker.account.holdings[instrument.underlying][instrument.number]
    change_open(state, maker, maker_position, -lots)
    trade(state, taker.account, position, taker.direction, lots, maker.limit_atoms)
    trade(state, maker.account, maker_position, maker.direction, lots, maker.limit_atoms)
    for account, fee_atoms in (
        (taker.account, lots * instrument.taker_fee_atoms),
        (maker.account, lots * instrument.maker_fee_atoms),
    ):
        state.pay(account, -fee_atoms)
        state.fees_atoms += fee_atoms
    taker.lots -= lots
    maker.lots -= lots
    state.dirty_slots.add(maker.slot)
    if not maker.lots:
        leave_book(state, maker, maker_position)
        drop_position(state, maker.account, maker_position)


def trade(
    state: State, account: Account, position: Position, direction: int, lots: int, price_atoms: int
) -> None:
    """Change one side's position and cash by a fill at `price_atoms` per lot [NOVATE-2] [NOVATE-3]."""
    held, cost = position.lots, position.cost_atoms
    closed = min(lots, abs(held)) if held * direction < 0 else 0
    released = 0
    if closed:
        released = cost if closed == abs(held) else cost * closed // abs(held)
    opened_cost = direction * (lots - closed) * price_atoms
    if not position.instrument.is_perpetual:
        state.pay(account, -direction * lots * price_atoms)
    elif closed:
        value = closed * price_atoms
        state.pay(account, value - released if held > 0 else -value - released)
    change_held(state, account, position, direction * lots, opened_cost - released)


def join_book(state: State, order: Order, position: Position) -> None:
    """Put an order at the end of its level and into a slot [MATCH-4] [MATCH-9]."""
    book = order.instrument.books[order.side]
    level = book.levels.get(order.price_ticks)
    if level is None:
        level = book.levels[order.price_ticks] = OrderedDict()
        insort(book.keys, compute_key(order.side, order.price_ticks))
    level[order.order_id] = order
    order.priority = state.sequence
    if state.freed_slots:
        order.slot = state.freed_slots.pop()
    else:
        order.slot = state.fresh_slot
        state.fresh_slot += 1
    position.orders[order.order_id] = order
    order.account.open_order_count += 1
    state.orders[order.order_id] = order
    state.slots[order.slot] = order
    state.dirty_slots.add(order.slot)


def leave_book(state: State, order: Order, position: Position) -> None:
    """Take an order out of its level and free its slot [MATCH-9]."""
    book: Book = order.instrument.books[order.side]
    level = book.levels[order.price_ticks]
    del level[order.order_id]
    if not level:
        del book.levels[order.price_ticks]
        del book.keys[bisect_left(book.keys, compute_key(order.side, order.price_ticks))]
    del position.orders[order.order_id]
    order.account.open_order_count -= 1
    del state.orders[order.order_id]
    del state.slots[order.slot]
    state.freed_slots.append(order.slot)
    state.dirty_slots.add(order.slot)
