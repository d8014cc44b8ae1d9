"""The position records that an order needs, and its place in the sums: those of its instrument, or of the
legs of a combo, in which no position exists.

An order in a combo has the position NONE. Its effect is the combo's, what its legs offset included; its
contingencies, basis and open lots are its legs'. Implements [COMBO-5] and the trades of [COMBO-6].
"""

from typing import Any

from novate.execution.events import emit
from novate.execution.ledger import (
    add_position_sums,
    change_open_lots,
    compute_initial_with_draft,
    find_position,
    get_direction,
    get_lots,
    open_position,
    release_position,
    sum_initial,
    trade_position,
)
from novate.execution.tables import NONE, World
from novate.kernel import kernel_inner
from novate.protocol.combos import compute_limit_atoms, count_leg_lots
from novate.protocol.generated.codes import EventKind, InstrumentKind, Side
from novate.protocol.generated.constants import COMBO_LEG_COUNT_MAX
from novate.protocol.key_limits import add_open_greeks
from novate.protocol.margin import (
    add_basis_order,
    add_contingency,
    add_order_effect,
    compute_basis_worst,
    compute_open_cost,
    compute_order_base,
)

Record = Any


@kernel_inner
def is_combo(w: World, number: int) -> bool:
    """Whether an instrument is a combo. [COMBO-1]"""
    return bool(w.instruments[number]["kind"] == InstrumentKind.COMBO)


@kernel_inner
def count_legs(w: World, number: int) -> int:
    """Return how many legs a combo has; 0 for every other instrument."""
    count = 0
    for k in range(COMBO_LEG_COUNT_MAX):
        if w.legs[number, k, 0] != NONE:
            count += 1
    return count


@kernel_inner
def get_leg_side(side: int, ratio: int) -> int:
    """Return the side of an order in a leg: its own, or the other one if the combo sells that leg."""
    return side if ratio > 0 else 1 - side


@kernel_inner
def count_position_lots(w: World, number: int) -> int:
    """Return how many lots that positions are made of are in one lot of an instrument. [COMBO-4]"""
    return count_leg_lots(w.legs[number]) if is_combo(w, number) else 1


@kernel_inner
def count_missing_positions(w: World, account: int, number: int) -> int:
    """Return how many position records an account lacks for an order in an instrument. [COMBO-4]"""
    if not is_combo(w, number):
        return 1 if find_position(w, account, number) == NONE else 0
    count = 0
    for k in range(count_legs(w, number)):
        if find_position(w, account, w.legs[number, k, 0]) == NONE:
            count += 1
    return count


@kernel_inner
def open_order_positions(w: World, account: int, number: int) -> int:
    """Return the position record of (account, instrument), taking a free one if there is none yet; for a
    combo do so for each leg and return NONE. [NOVATE-5]
    """
    if not is_combo(w, number):
        return open_position(w, account, number)
    for k in range(count_legs(w, number)):
        open_position(w, account, w.legs[number, k, 0])
    return NONE


@kernel_inner
def release_order_positions(w: World, account: int, number: int, position: int) -> None:
    """Free the position record of an order, or those of a combo's legs in order, if it is empty. [NOVATE-5]
    [COMBO-6]
    """
    if position != NONE:
        release_position(w, position)
        return
    for k in range(count_legs(w, number)):
        slot = find_position(w, account, w.legs[number, k, 0])
        if slot != NONE:
            release_position(w, slot)


@kernel_inner
def add_combo_effect(w: World, order: Record, lots: int) -> None:
    """Add `lots` open lots (negative: remove them) of an order in a combo to all that is linear in them: the
    effect, its cost and Greeks, and the basis of each leg. [COMBO-5] [KEY-5]
    """
    account, number = order["account"], order["instrument"]
    instrument, direction = w.instruments[number], get_direction(order["side"])
    underlying = instrument["underlying"]
    portfolio = w.portfolios[account, underlying]
    limit_atoms = compute_limit_atoms(
        order["price_ticks"], instrument["tick_offset"], instrument["tick_atoms"]
    )
    base = compute_order_base(direction, instrument["mark_atoms"], limit_atoms, instrument["taker_fee_atoms"])
    portfolio["open_cost_atoms"] += compute_open_cost(base, lots)
    add_order_effect(w.effects[account, underlying], w.rows[number], direction, base, lots)
    add_open_greeks(portfolio, instrument["delta_atoms"], instrument["vega_atoms"], direction, lots)
    for k in range(count_legs(w, number)):
        leg, ratio = w.legs[number, k, 0], w.legs[number, k, 1]
        series = w.instruments[leg]["series"]
        if series != NONE:
            held, opened = w.basis_held[account, series], w.basis_open[account, series]
            leg_direction = direction if ratio > 0 else -direction
            portfolio["basis_worst_atoms"] -= compute_basis_worst(held, opened)
            add_basis_order(opened, w.basis_rows[leg], leg_direction, lots * abs(ratio))
            portfolio["basis_worst_atoms"] += compute_basis_worst(held, opened)


@kernel_inner
def change_order_lots(w: World, order: Record, lots: int) -> None:
    """Add `lots` open lots (negative: remove them) of an open order to every sum. [MARGIN-3] to [MARGIN-7]
    [COMBO-5]
    """
    if order["position"] != NONE:
        change_open_lots(w, order["position"], order["side"], order["price_ticks"], lots, order["group"])
        return
    add_combo_effect(w, order, lots)
    account, number = order["account"], order["instrument"]
    for k in range(count_legs(w, number)):
        leg, ratio = w.legs[number, k, 0], w.legs[number, k, 1]
        slot = find_position(w, account, leg)
        add_position_sums(w, slot, -1)
        if get_leg_side(order["side"], ratio) == Side.BUY:
            w.positions[slot]["open_buy_lots"] += lots * abs(ratio)
        else:
            w.positions[slot]["open_sell_lots"] += lots * abs(ratio)
        add_position_sums(w, slot, 1)


@kernel_inner
def add_draft_contingencies(w: World, order: Record, sign: int) -> None:
    """Add (+1) what an order in a combo that is in no book would change in the contingencies of its legs, or
    take it away again (-1). No position record is needed or touched.
    """
    account, number = order["account"], order["instrument"]
    portfolio = w.portfolios[account, w.instruments[number]["underlying"]]
    for k in range(count_legs(w, number)):
        leg, ratio = w.legs[number, k, 0], w.legs[number, k, 1]
        kind, notional = w.instruments[leg]["kind"], w.instruments[leg]["notional_atoms"]
        held, buys, sells = get_lots(w, find_position(w, account, leg))
        add_contingency(portfolio, kind, held, buys, sells, notional, -sign)
        if get_leg_side(order["side"], ratio) == Side.BUY:
            buys += order["lots"] * abs(ratio)
        else:
            sells += order["lots"] * abs(ratio)
        add_contingency(portfolio, kind, held, buys, sells, notional, sign)


@kernel_inner
def enter_combo_draft(w: World, order: Record) -> None:
    """Let an order in a combo count as open without being so. `leave_combo_draft` must follow."""
    add_combo_effect(w, order, order["lots"])
    add_draft_contingencies(w, order, 1)


@kernel_inner
def leave_combo_draft(w: World, order: Record) -> None:
    """Take back exactly what `enter_combo_draft` added: all sums are integers."""
    add_draft_contingencies(w, order, -1)
    add_combo_effect(w, order, -order["lots"])


@kernel_inner
def compute_initial_if_open(w: World, order: Record, exact: bool) -> int:
    """Return the account's initial margin with the draft open at its full size, or what is at least as much.
    [MARGIN-8] [COMBO-5]
    """
    if not is_combo(w, order["instrument"]):
        return compute_initial_with_draft(w, order, exact)
    enter_combo_draft(w, order)
    total = sum_initial(w, order["account"], NONE, exact)
    leave_combo_draft(w, order)
    return total


@kernel_inner
def emit_leg(w: World, order: Record, maker: Record, leg: int, side: int, lots: int) -> None:
    """Say that a leg of a combo was traded, at its mark. [COMBO-6]"""
    event = emit(w, EventKind.LEG)
    event["account"] = order["account"]
    event["order_id"] = order["order_id"]
    event["instrument"] = leg
    event["side"] = side
    event["lots"] = lots
    event["maker_account"] = maker["account"]
    event["maker_order_id"] = maker["order_id"]
    event["amount_atoms"] = w.instruments[leg]["mark_atoms"]


@kernel_inner
def pay_cash(w: World, account: int, amount_atoms: int) -> None:
    """Add an amount (negative: take it away) to an account's cash."""
    w.accounts[account]["cash_atoms"] += amount_atoms
    w.accounts[account]["dirty"] = 1


@kernel_inner
def trade_legs(w: World, order: Record, maker: Record, lots: int, taker_fee: int, maker_fee: int) -> None:
    """Trade the legs of a combo between taker and maker at their marks; what its price differs from them, and
    the fees, pass in cash. [COMBO-6]
    """
    number, taker, other = maker["instrument"], order["account"], maker["account"]
    instrument, direction = w.instruments[number], get_direction(order["side"])
    difference = compute_limit_atoms(
        maker["price_ticks"], instrument["tick_offset"], instrument["tick_atoms"]
    )
    for k in range(count_legs(w, number)):
        leg, ratio = w.legs[number, k, 0], w.legs[number, k, 1]
        mark, size = w.instruments[leg]["mark_atoms"], lots * abs(ratio)
        side = get_leg_side(order["side"], ratio)
        emit_leg(w, order, maker, leg, side, size)
        difference -= ratio * mark
        trade_position(w, find_position(w, other, leg), -get_direction(side), size, mark, 0)
        trade_position(w, find_position(w, taker, leg), get_direction(side), size, mark, 0)
    pay_cash(w, other, direction * lots * difference - maker_fee)
    pay_cash(w, taker, -direction * lots * difference - taker_fee)
