"""Mass quotes: many two-sided quotes of one protected group in one command.

A quote keeps its place, is replaced, or is refused, each side by itself; the margin is looked at once, after
the last. Implements [MMP-1] and [QUOTE-1] to [QUOTE-4].
"""

from typing import Any

from novate.execution.authentication import verify_account, verify_trader
from novate.execution.events import emit, emit_result
from novate.execution.judging import (
    is_ascending,
    verify_instrument,
    verify_price,
    verify_quote_judgement,
    verify_size,
)
from novate.execution.key_limits import verify_quote_limits
from novate.execution.ledger import (
    compute_account_initial,
    compute_equity,
    find_position,
    is_surely_covered,
    open_position,
    release_position,
)
from novate.execution.matching import rest_order, take_order_id
from novate.execution.open_orders import cancel_group_quotes, drop_order
from novate.execution.prefetching import QUOTES_AHEAD, prefetch_quote
from novate.execution.protection import clear_counts, end_window
from novate.execution.replacing import reduce_order
from novate.execution.tables import NONE, Array, World
from novate.kernel import JIT_ENABLED, kernel_inner
from novate.protocol.generated.codes import CancelReason, Code, EventKind, Side, TimeInForce
from novate.protocol.generated.constants import (
    GROSS_LOTS_MAX,
    GROUP_COUNT,
    NS_PER_DAY,
    NS_PER_MS,
    NS_PER_S,
    QUOTE_COUNT_MAX,
)
from novate.protocol.novation import is_option

Record = Any

WINDOW_NS_MIN = NS_PER_MS
WINDOW_NS_MAX = 3600 * NS_PER_S
FROZEN_NS_MAX = NS_PER_DAY
RISK_LIMIT_MAX = 1 << 60


@kernel_inner
def is_lawful_group(w: World, command: Record) -> bool:
    """Whether the figures of a group are in range. [MMP-1]"""
    if command["group"] < 1 or command["group"] > GROUP_COUNT:
        return False
    if command["underlying"] < 0 or command["underlying"] >= w.markets.shape[0]:
        return False
    if command["window_ns"] < WINDOW_NS_MIN or command["window_ns"] > WINDOW_NS_MAX:
        return False
    if command["frozen_ns"] < 0 or command["frozen_ns"] > FROZEN_NS_MAX:
        return False
    if command["quantity_limit_lots"] < 1 or command["quantity_limit_lots"] > GROSS_LOTS_MAX:
        return False
    if command["delta_limit_atoms"] < 0 or command["delta_limit_atoms"] > RISK_LIMIT_MAX:
        return False
    return bool(command["vega_limit_atoms"] >= 0 and command["vega_limit_atoms"] <= RISK_LIMIT_MAX)


@kernel_inner
def apply_set_mmp(w: World, command: Record) -> None:
    """SET_MMP. [MMP-1]"""
    account, number = command["account"], command["group"]
    code = verify_account(w, command)
    if code == Code.OK and not is_lawful_group(w, command):
        code = Code.GROUP_INVALID
    if code == Code.OK and w.groups[account, number - 1]["quote_count"] > 0:
        code = Code.GROUP_BUSY
    emit_result(w, code, account, 0)
    if code != Code.OK:
        return
    group = w.groups[account, number - 1]
    group["underlying"] = command["underlying"]
    group["window_ns"] = command["window_ns"]
    group["frozen_ns"] = command["frozen_ns"]
    group["quantity_limit_lots"] = command["quantity_limit_lots"]
    group["delta_limit_atoms"] = command["delta_limit_atoms"]
    group["vega_limit_atoms"] = command["vega_limit_atoms"]
    group["frozen_until_ns"] = 0
    clear_counts(w, account, number)


@kernel_inner
def verify_mass_quote(w: World, command: Record, items: Array) -> Code:
    """Return the code of a MASS_QUOTE whose account is authentic. [QUOTE-1]"""
    if not is_ascending(command, items, 1, QUOTE_COUNT_MAX):
        return Code.COMMAND_MALFORMED
    if command["group"] < 1 or command["group"] > GROUP_COUNT:
        return Code.GROUP_INVALID
    group = w.groups[command["account"], command["group"] - 1]
    if group["underlying"] == NONE:
        return Code.GROUP_INVALID
    return Code.GROUP_FROZEN if command["time_ns"] < group["frozen_until_ns"] else Code.OK


@kernel_inner
def note_quotes(w: World, account: int, group: int) -> None:
    """Write where each open quote of a group is; older notes stay and are checked when they are read."""
    slot = w.accounts[account]["first_order"]
    while slot != NONE:
        order = w.orders[slot]
        if order["group"] == group:
            w.quote_slots[order["instrument"] * 2 + order["side"]] = slot
        slot = order["next_in_account"]


@kernel_inner
def find_quote(w: World, account: int, group: int, number: int, side: int) -> int:
    """Return the slot of a group's quote on one side of an instrument, or NONE. Call `note_quotes` first."""
    if number < 0 or number >= w.house[0]["instrument_count"]:
        return NONE
    slot = w.quote_slots[number * 2 + side]
    if slot == NONE:
        return NONE
    order = w.orders[slot]
    live = order["order_id"] != 0 and order["account"] == account and order["group"] == group
    return int(slot) if live and order["instrument"] == number and order["side"] == side else NONE


@kernel_inner
def renew_side(
    w: World, account: int, group: int, number: int, side: int, price_ticks: int, lots: int
) -> bool:
    """Let the quote that is there keep its place if it may, else end it, and return whether it stays. The
    caller releases the position record. [QUOTE-2]
    """
    slot = find_quote(w, account, group, number, side)
    if slot == NONE:
        return False
    order = w.orders[slot]
    if price_ticks == order["price_ticks"] and lots >= 1 and lots <= order["lots"]:
        if lots < order["lots"]:
            reduce_order(w, slot, lots)
        return True
    drop_order(w, slot, CancelReason.REPLACED)
    return False


@kernel_inner
def verify_quote(w: World, order: Record, crossed: bool, time_ns: int) -> Code:
    """Judge one side of a quote. [QUOTE-2]"""
    code = verify_instrument(w, order["instrument"], time_ns)
    if code != Code.OK:
        return code
    instrument = w.instruments[order["instrument"]]
    group = w.groups[order["account"], order["group"] - 1]
    if not is_option(instrument["kind"]) or instrument["underlying"] != group["underlying"]:
        return Code.ORDER_INVALID
    code = verify_size(order["lots"])
    if code == Code.OK:
        code = verify_price(order)
    if code == Code.OK and crossed:
        code = Code.QUOTE_CROSSED
    if code == Code.OK:
        code = verify_quote_judgement(w, order, time_ns)
    return code


@kernel_inner
def draft_quote(
    w: World, account: int, group: int, number: int, side: int, price_ticks: int, lots: int
) -> Record:
    """Put one side of a quote into the draft, and return that."""
    order = w.draft[0]
    order["order_id"] = 0
    order["account"] = account
    order["instrument"] = number
    order["side"] = side
    order["time_in_force"] = TimeInForce.POST_ONLY
    order["price_ticks"] = price_ticks
    order["lots"] = lots
    order["flags"] = 0
    order["display_lots"] = 0
    order["valid_until_ns"] = 0
    order["label"] = 0
    order["link"] = 0
    order["group"] = group
    order["volatility_bp"] = 0
    return order


@kernel_inner
def place_side(w: World, order: Record, crossed: bool, time_ns: int) -> int:
    """Judge the drafted side of a quote, and put it into the book or refuse it; return 1 if it was placed.
    [QUOTE-2]
    """
    code = verify_quote(w, order, crossed, time_ns)
    if code == Code.OK:
        order["order_id"] = take_order_id(w)
        rest_order(w, order, open_position(w, order["account"], order["instrument"]))
        return 1
    event = emit(w, EventKind.QUOTE_REJECTED)
    event["account"] = order["account"]
    event["instrument"] = order["instrument"]
    event["side"] = order["side"]
    event["price_ticks"] = order["price_ticks"]
    event["lots"] = order["lots"]
    event["code"] = code
    return 0


@kernel_inner
def release_unquoted(w: World, account: int, number: int) -> None:
    """Free the position record in an instrument, if there is such an instrument and the record is empty. A
    quote that takes another's place keeps the record meanwhile, which is the one that it would take.
    """
    if number >= 0 and number < w.house[0]["instrument_count"]:
        position = find_position(w, account, number)
        if position != NONE:
            release_position(w, position)


@kernel_inner
def apply_quote(w: World, account: int, group: int, item: Record, time_ns: int) -> int:
    """Apply one two-sided quote, and return how many of its sides were placed. [QUOTE-2]"""
    number = item["instrument"]
    bid_ticks, bid_lots = item["bid_ticks"], item["bid_lots"]
    ask_ticks, ask_lots = item["ask_ticks"], item["ask_lots"]
    bid_stays = renew_side(w, account, group, number, Side.BUY, bid_ticks, bid_lots)
    ask_stays = renew_side(w, account, group, number, Side.SELL, ask_ticks, ask_lots)
    crossed = bid_lots != 0 and ask_lots != 0 and bid_ticks >= ask_ticks
    placed = 0
    if bid_lots != 0 and not bid_stays:
        order = draft_quote(w, account, group, number, Side.BUY, bid_ticks, bid_lots)
        placed += place_side(w, order, crossed, time_ns)
    if ask_lots != 0 and not ask_stays:
        order = draft_quote(w, account, group, number, Side.SELL, ask_ticks, ask_lots)
        placed += place_side(w, order, crossed, time_ns)
    if placed == 0 and not bid_stays and not ask_stays:
        release_unquoted(w, account, number)
    return placed


@kernel_inner
def apply_mass_quote(w: World, command: Record, items: Array) -> None:
    """MASS_QUOTE. [QUOTE-1] to [QUOTE-3] [KEY-5]"""
    account, group, time_ns = command["account"], command["group"], command["time_ns"]
    code = verify_trader(w, command)
    if code == Code.OK:
        code = verify_mass_quote(w, command, items)
    emit_result(w, code, account, 0)
    if code != Code.OK:
        return
    end_window(w, account, group, time_ns)
    note_quotes(w, account, group)
    first, placed = command["first_item"], 0
    for i in range(first, first + command["item_count"]):
        if JIT_ENABLED and i + QUOTES_AHEAD < first + command["item_count"]:
            prefetch_quote(w, items, i + QUOTES_AHEAD)
        placed += apply_quote(w, account, group, items[i], time_ns)
    if command["key"] > 0 and placed > 0:
        underlying = w.groups[account, group - 1]["underlying"]
        if verify_quote_limits(w, account, underlying, command["key"]) != Code.OK:
            cancel_group_quotes(w, account, group, CancelReason.KEY_LIMIT)
            return
    if is_surely_covered(w, account):
        return
    if compute_equity(w, account) < compute_account_initial(w, account, NONE):
        cancel_group_quotes(w, account, group, CancelReason.INITIAL_MARGIN)
