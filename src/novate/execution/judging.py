"""Every check of an order, in the order that the law lists them; only the order itself is ever changed.

Implements the checks of [MATCH-1], [MATCH-2], [MATCH-10] and [ORDER-1] to [ORDER-4].
"""

from typing import Any

from novate.execution.effective_price import set_effective_price
from novate.execution.key_limits import verify_order_limits
from novate.execution.ledger import (
    compute_account_initial,
    compute_equity,
    compute_surplus_if_filled,
    find_position,
    get_direction,
    has_quotes,
)
from novate.execution.order_book import find_level, find_next_tick
from novate.execution.order_positions import (
    compute_initial_if_open,
    count_missing_positions,
    count_position_lots,
    is_combo,
)
from novate.execution.protection import compute_capacity
from novate.execution.tables import NONE, Array, World
from novate.kernel import as_place, kernel_inner
from novate.protocol.combos import compute_limit_atoms
from novate.protocol.generated.codes import (
    Code,
    InstrumentKind,
    InstrumentState,
    OrderFlag,
    Side,
    TimeInForce,
)
from novate.protocol.generated.constants import (
    COMBO_LEG_COUNT_MAX,
    GROSS_LOTS_MAX,
    NO_MARK_ATOMS,
    OPEN_ORDER_COUNT_MAX,
    ORDER_LOTS_MAX,
    PRICE_TICKS_MAX,
    VOLATILITY_BP_MAX,
)
from novate.protocol.novation import is_option
from novate.protocol.oracle import is_stale

Record = Any

MARKET = int(OrderFlag.MARKET)
REDUCE_ONLY = int(OrderFlag.REDUCE_ONLY)
CANCEL_MAKER = int(OrderFlag.CANCEL_MAKER)
CANCEL_BOTH = int(OrderFlag.CANCEL_BOTH)
VOLATILITY = int(OrderFlag.VOLATILITY)
FLAGS_MAX = MARKET | REDUCE_ONLY | CANCEL_MAKER | CANCEL_BOTH | VOLATILITY
DISPLAY_SHARE_MAX = 10  # An order shows at least a tenth of itself.


@kernel_inner
def is_ascending(command: Record, items: Array, least: int, most: int) -> bool:
    """Whether a command has so many items, in strictly ascending instrument. [QUOTE-1] [BLOCK-1]"""
    first, count = command["first_item"], command["item_count"]
    lawful = count >= least and count <= most
    for i in range(first + 1, first + count):
        lawful = lawful and items[i]["instrument"] > items[i - 1]["instrument"]
    return bool(lawful)


@kernel_inner
def verify_form(order: Record) -> Code:
    """Check the fields that have a fixed range. [MATCH-1]"""
    side, time_in_force, flags = order["side"], order["time_in_force"], order["flags"]
    if side < Side.BUY or side > Side.SELL:
        return Code.COMMAND_MALFORMED
    if time_in_force < TimeInForce.GTC or time_in_force > TimeInForce.FOK:
        return Code.COMMAND_MALFORMED
    if flags < 0 or flags > FLAGS_MAX:
        return Code.COMMAND_MALFORMED
    # The sign of a bitwise or is negative if any sign is.
    if (order["display_lots"] | order["valid_until_ns"] | order["label"] | order["link"]) < 0:
        return Code.COMMAND_MALFORMED
    return Code.OK


@kernel_inner
def verify_open(w: World, number: int, time_ns: int) -> Code:
    """Check that a listed instrument is open. [MATCH-1]"""
    instrument = w.instruments[number]
    if instrument["state"] != InstrumentState.OPEN:
        return Code.INSTRUMENT_CLOSED
    if instrument["kind"] != InstrumentKind.PERPETUAL and time_ns >= instrument["expiry_ns"]:
        return Code.INSTRUMENT_CLOSED
    return Code.OK


@kernel_inner
def verify_instrument(w: World, number: int, time_ns: int) -> Code:
    """Check that an instrument is listed and open. [MATCH-1]"""
    if number < 0 or number >= w.house[0]["instrument_count"]:
        return Code.INSTRUMENT_NOT_FOUND
    return verify_open(w, number, time_ns)


@kernel_inner
def verify_size(lots: int) -> Code:
    """Check the size of an order. [MATCH-1]"""
    if lots < 1:
        return Code.SIZE_NOT_POSITIVE
    return Code.SIZE_ABOVE_MAXIMUM if lots > ORDER_LOTS_MAX else Code.OK


@kernel_inner
def verify_display(order: Record) -> Code:
    """Check that an order shows enough of itself. [ORDER-4] [MATCH-8]"""
    hidden = order["display_lots"] != 0 and DISPLAY_SHARE_MAX * order["display_lots"] < order["lots"]
    return Code.ORDER_INVALID if hidden else Code.OK


@kernel_inner
def verify_price(order: Record) -> Code:
    """Check the price, or the volatility, that an order names. [ORDER-2]"""
    if order["flags"] & MARKET != 0:
        return Code.OK
    quotes_volatility = order["flags"] & VOLATILITY != 0
    price = order["volatility_bp"] if quotes_volatility else order["price_ticks"]
    if price < 1:
        return Code.PRICE_NOT_POSITIVE
    highest = VOLATILITY_BP_MAX if quotes_volatility else PRICE_TICKS_MAX
    return Code.PRICE_ABOVE_MAXIMUM if price > highest else Code.OK


@kernel_inner
def verify_options(w: World, order: Record, time_ns: int, waits: int) -> Code:
    """Check that flags, time in force and instrument fit each other; `waits` is 1 for an order that waits and
    so may be linked and end whatever its time in force. [ORDER-1] [COMBO-4]
    """
    flags = order["flags"]
    immediate = order["time_in_force"] == TimeInForce.IOC or order["time_in_force"] == TimeInForce.FOK
    if immediate and order["display_lots"] != 0:
        return Code.ORDER_INVALID
    if immediate and waits == 0 and (order["valid_until_ns"] | order["link"]) != 0:
        return Code.ORDER_INVALID
    if order["valid_until_ns"] != 0 and order["valid_until_ns"] <= time_ns:
        return Code.ORDER_INVALID
    if flags != 0:
        if flags & CANCEL_MAKER != 0 and flags & CANCEL_BOTH != 0:
            return Code.ORDER_INVALID
        if flags & MARKET != 0:
            if not immediate or order["price_ticks"] != 0 or flags & VOLATILITY != 0:
                return Code.ORDER_INVALID
        if flags & VOLATILITY != 0:
            if order["link"] != 0 or not is_option(w.instruments[order["instrument"]]["kind"]):
                return Code.ORDER_INVALID
    if (waits != 0 or flags & REDUCE_ONLY != 0) and is_combo(w, order["instrument"]):
        return Code.ORDER_INVALID
    return Code.OK


@kernel_inner
def verify_order(w: World, order: Record, time_ns: int, waits: int) -> Code:
    """Check everything of a new order that comes before its judgement. [MATCH-1]"""
    code = verify_form(order)
    if code == Code.OK:
        code = verify_instrument(w, order["instrument"], time_ns)
    if code == Code.OK:
        code = verify_options(w, order, time_ns, waits)
    if code == Code.OK:
        code = verify_size(order["lots"])
    if code == Code.OK and order["display_lots"] >= order["lots"]:
        code = Code.ORDER_INVALID
    if code == Code.OK:
        code = verify_display(order)
    if code == Code.OK:
        code = verify_price(order)
    return code


@kernel_inner
def verify_mark(w: World, number: int, time_ns: int) -> Code:
    """Check that the instrument has a mark and its index is recent. [MATCH-1] [MARK-STALE-1]"""
    instrument = w.instruments[number]
    if instrument["mark_atoms"] == NO_MARK_ATOMS:
        return Code.MARK_UNAVAILABLE
    market = w.markets[instrument["underlying"]]
    if is_stale(market["index_atoms"], market["index_time_ns"], time_ns, w.parameters[0]):
        return Code.MARK_STALE
    return Code.OK


@kernel_inner
def verify_room(w: World, account: int, number: int) -> Code:
    """Check the limits on orders and positions. [MATCH-1] [COMBO-4]"""
    house = w.house[0]
    if w.accounts[account]["open_order_count"] >= OPEN_ORDER_COUNT_MAX:
        return Code.OPEN_ORDER_LIMIT
    if house["free_order_count"] == 0:
        return Code.TABLE_FULL
    free = house["free_position_count"]
    if free < COMBO_LEG_COUNT_MAX and free < count_missing_positions(w, account, number):
        return Code.TABLE_FULL
    return Code.OK


@kernel_inner
def verify_band(w: World, order: Record) -> Code:
    """Check that an order is not worse for its account than the band around the mark. [BAND-1] [COMBO-4]"""
    instrument = w.instruments[order["instrument"]]
    limit_atoms = compute_limit_atoms(
        order["price_ticks"], instrument["tick_offset"], instrument["tick_atoms"]
    )
    loss_atoms = get_direction(order["side"]) * (limit_atoms - instrument["mark_atoms"])
    return Code.PRICE_OUTSIDE_BAND if loss_atoms > instrument["band_atoms"] else Code.OK


@kernel_inner
def verify_gross(w: World, order: Record) -> Code:
    """Check the gross limit. [MARGIN-9] [COMBO-4]"""
    portfolio = w.portfolios[order["account"], w.instruments[order["instrument"]]["underlying"]]
    lots = order["lots"] * count_position_lots(w, order["instrument"])
    return Code.GROSS_LIMIT if portfolio["gross_lots"] + lots > GROSS_LOTS_MAX else Code.OK


@kernel_inner
def is_crossing(w: World, number: int, side: int, price_ticks: int) -> bool:
    """Whether an order would match on arrival. [MATCH-2]"""
    best = w.best[as_place(number * 2 + 1 - side)]
    if best == NONE:
        return False
    return bool(price_ticks >= best if side == Side.BUY else price_ticks <= best)


@kernel_inner
def verify_passive(w: World, order: Record) -> Code:
    """Check that an order does not cross. [MATCH-1]"""
    if is_crossing(w, order["instrument"], order["side"], order["price_ticks"]):
        return Code.POST_ONLY_WOULD_CROSS
    return Code.OK


@kernel_inner
def compute_reducible_lots(w: World, order: Record) -> int:
    """Return how many lots of the account's position an order could close. [ORDER-3]"""
    slot = find_position(w, order["account"], order["instrument"])
    if slot == NONE:
        return 0
    return int(max(0, -get_direction(order["side"]) * w.positions[slot]["lots"]))


@kernel_inner
def verify_reduction(w: World, order: Record) -> Code:
    """Cut an order to what it can close; a code if that is nothing. [ORDER-3]"""
    reducible = compute_reducible_lots(w, order)
    if reducible == 0:
        return Code.REDUCE_ONLY_WOULD_INCREASE
    order["lots"] = min(order["lots"], reducible)
    return Code.OK


@kernel_inner
def count_certain_lots(w: World, slot: int, hidden_counts: bool, time_ns: int) -> int:
    """Return how many lots of a maker a fill-or-kill order may count on. [MATCH-10]"""
    maker = w.orders[slot]
    if maker["flags"] & REDUCE_ONLY != 0 or maker["link"] != 0:
        return 0
    if maker["group"] != 0:
        return int(min(maker["lots"], compute_capacity(w, slot, time_ns)))
    return int(maker["lots"] if hidden_counts else maker["visible_lots"])


@kernel_inner
def has_open_order_in(w: World, account: int, number: int) -> bool:
    """Whether an account has an open order, quotes included, in an instrument itself: the open lots of its
    position may be those of a combo. [MATCH-10]
    """
    if not is_combo(w, number):
        slot = find_position(w, account, number)
        if slot == NONE:
            return False
        position = w.positions[slot]
        if position["open_buy_lots"] + position["open_sell_lots"] + position["quote_lots"] == 0:
            return False
    slot = w.accounts[account]["first_order"]
    while slot != NONE:
        if w.orders[slot]["instrument"] == number:
            return True
        slot = w.orders[slot]["next_in_account"]
    return False


@kernel_inner
def verify_fillable(w: World, order: Record, time_ns: int) -> Code:
    """Check that the book fills an order completely at its price. [MATCH-10]"""
    side, missing = order["side"], order["lots"]
    book = order["instrument"] * 2 + 1 - side
    # A hidden slice would queue behind an order of the taker's own account.
    hidden_counts = order["flags"] & CANCEL_MAKER != 0
    hidden_counts = hidden_counts or not has_open_order_in(w, order["account"], order["instrument"])
    ticks = w.best[book]
    while ticks != NONE and get_direction(side) * (order["price_ticks"] - ticks) >= 0:
        slot = w.levels[find_level(w, book, ticks)]["head"]
        while slot != NONE:
            maker = w.orders[slot]
            if maker["account"] != order["account"]:
                missing -= count_certain_lots(w, slot, hidden_counts, time_ns)
                if missing <= 0:
                    return Code.OK
            elif order["flags"] & CANCEL_MAKER == 0:
                return Code.FILL_OR_KILL_UNFILLABLE
            slot = maker["next"]
        ticks = find_next_tick(w, book, ticks)
    return Code.FILL_OR_KILL_UNFILLABLE


@kernel_inner
def verify_margin(w: World, order: Record) -> Code:
    """Check the initial margin with the order open at its full size. [MARGIN-8] [MARGIN-12]"""
    account = order["account"]
    equity = compute_equity(w, account)
    if equity >= compute_initial_if_open(w, order, False):
        return Code.OK
    if has_quotes(w, account) and equity >= compute_initial_if_open(w, order, True):
        return Code.OK
    if order["flags"] & REDUCE_ONLY != 0:
        if compute_surplus_if_filled(w, order) >= equity - compute_account_initial(w, account, NONE):
            return Code.OK
    return Code.INITIAL_MARGIN_INSUFFICIENT


@kernel_inner
def verify_judgement(w: World, order: Record, time_ns: int, replaced: int, key: int) -> Code:
    """Judge an order at the market as it stands, finding its price and cutting a reduce-only order. [MATCH-1]

    `replaced` is 0 for an order that takes up new room, else the limits on orders and tables are left out;
    `key` is the place of the session key that sent the order, 0 if none did.
    """
    number, flags = order["instrument"], order["flags"]
    code = verify_mark(w, number, time_ns)
    if code == Code.OK and replaced == 0:
        code = verify_room(w, order["account"], number)
    if code != Code.OK:
        return code
    if flags & (MARKET | VOLATILITY) != 0:
        set_effective_price(w, order, time_ns)
    code = verify_band(w, order)
    if code == Code.OK and flags & REDUCE_ONLY != 0:
        code = verify_reduction(w, order)
    if code == Code.OK:
        code = verify_gross(w, order)
    if code == Code.OK and order["time_in_force"] == TimeInForce.POST_ONLY:
        code = verify_passive(w, order)
    if code == Code.OK and order["time_in_force"] == TimeInForce.FOK:
        code = verify_fillable(w, order, time_ns)
    if code == Code.OK and key > 0:
        code = verify_order_limits(w, order, key)
    if code == Code.OK:
        code = verify_margin(w, order)
    return code


@kernel_inner
def verify_quote_judgement(w: World, order: Record, time_ns: int) -> Code:
    """Judge one side of a quote; margin is looked at after the last one. [QUOTE-2]"""
    code = verify_mark(w, order["instrument"], time_ns)
    if code == Code.OK:
        code = verify_room(w, order["account"], order["instrument"])
    if code == Code.OK:
        code = verify_band(w, order)
    if code == Code.OK:
        code = verify_gross(w, order)
    if code == Code.OK:
        code = verify_passive(w, order)
    return code
