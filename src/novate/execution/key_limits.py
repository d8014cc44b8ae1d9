"""What a session key lets its account come to: the notional, delta and vega of what the key itself sends.

Measured on sums that are kept anyway, so a key costs an order the same whatever the account has; only a limit
of notional looks at groups of quotes, as the margin does. Implements [KEY-5].
"""

from typing import Any

from novate.execution.group_margin import gather_portfolio
from novate.execution.ledger import find_position, get_direction, get_lots
from novate.execution.order_positions import count_legs, is_combo
from novate.execution.tables import Array, World
from novate.kernel import kernel_inner
from novate.protocol.generated.codes import Code
from novate.protocol.key_limits import is_within_limit
from novate.protocol.margin import compute_worst_lots

Record = Any


@kernel_inner
def compute_open_growth(w: World, account: int, number: int, direction: int, lots: int) -> int:
    """Return by how much W grows if `lots` more lots are open in an instrument, bought if the direction is
    positive. [MARGIN-7]
    """
    held, buys, sells = get_lots(w, find_position(w, account, number))
    before = compute_worst_lots(held, buys, sells)
    if direction > 0:
        buys += lots
    else:
        sells += lots
    growth = compute_worst_lots(held, buys, sells) - before
    return int(growth * w.instruments[number]["notional_atoms"])


@kernel_inner
def compute_order_growth(w: World, order: Record) -> int:
    """Return by how much W grows if an order is open at its full size, in each leg if it is in a combo.
    [COMBO-5]
    """
    account, number, lots = order["account"], order["instrument"], order["lots"]
    direction = get_direction(order["side"])
    if not is_combo(w, number):
        return compute_open_growth(w, account, number, direction, lots)
    growth = 0
    for k in range(count_legs(w, number)):
        ratio = w.legs[number, k, 1]
        growth += compute_open_growth(w, account, w.legs[number, k, 0], direction * ratio, lots * abs(ratio))
    return growth


@kernel_inner
def is_notional_allowed(w: World, account: int, underlying: int, limit_atoms: int, more_atoms: int) -> bool:
    """Whether W, quotes included, and some more is within a limit (0: none). [MARGIN-7] [MARGIN-13]"""
    if limit_atoms == 0:
        return True
    gathered = gather_portfolio(w, account, underlying, False)  # W does not depend on the effects.
    return bool(gathered["gross_worst_atoms"] + more_atoms <= limit_atoms)


@kernel_inner
def are_greeks_allowed(
    w: World, account: int, underlying: int, key: Record, delta_change_atoms: int, vega_change_atoms: int
) -> bool:
    """Whether delta and vega, as the portfolio has them, are within a key's limits in the directions in which
    what it sent moves them.
    """
    portfolio = w.portfolios[account, underlying]
    if not is_within_limit(
        key["max_delta_atoms"],
        portfolio["delta_atoms"],
        portfolio["delta_up_atoms"],
        portfolio["delta_down_atoms"],
        delta_change_atoms,
    ):
        return False
    return is_within_limit(
        key["max_vega_atoms"],
        portfolio["vega_atoms"],
        portfolio["vega_up_atoms"],
        portfolio["vega_down_atoms"],
        vega_change_atoms,
    )


@kernel_inner
def verify_order_limits(w: World, order: Record, place: int) -> Code:
    """Measure an order that is not open yet as if it were, at its full size. [KEY-5]"""
    account, number, lots = order["account"], order["instrument"], order["lots"]
    key, instrument = w.keys[account, place - 1], w.instruments[number]
    underlying, direction = instrument["underlying"], get_direction(order["side"])
    if key["max_notional_atoms"] > 0:
        growth = compute_order_growth(w, order)
        if growth > 0 and not is_notional_allowed(w, account, underlying, key["max_notional_atoms"], growth):
            return Code.KEY_LIMIT
    portfolio = w.portfolios[account, underlying]
    delta, vega = direction * instrument["delta_atoms"], direction * instrument["vega_atoms"]
    within = is_within_limit(
        key["max_delta_atoms"],
        portfolio["delta_atoms"],
        portfolio["delta_up_atoms"] + lots * max(0, delta),
        portfolio["delta_down_atoms"] + lots * min(0, delta),
        delta,
    ) and is_within_limit(
        key["max_vega_atoms"],
        portfolio["vega_atoms"],
        portfolio["vega_up_atoms"] + lots * max(0, vega),
        portfolio["vega_down_atoms"] + lots * min(0, vega),
        vega,
    )
    return Code.OK if within else Code.KEY_LIMIT


@kernel_inner
def verify_quote_limits(w: World, account: int, underlying: int, place: int) -> Code:
    """Measure an account after a MASS_QUOTE of a key that placed a quote: all of it, both ways. [KEY-5]"""
    key = w.keys[account, place - 1]
    if not is_notional_allowed(w, account, underlying, key["max_notional_atoms"], 0):
        return Code.KEY_LIMIT
    for change in (1, -1):
        if not are_greeks_allowed(w, account, underlying, key, change, change):
            return Code.KEY_LIMIT
    return Code.OK


@kernel_inner
def compute_filled_growth(w: World, account: int, number: int, signed_lots: int) -> int:
    """Return by how much W has grown since `signed_lots` of the lots held were traded. [MARGIN-7]"""
    held, buys, sells = get_lots(w, find_position(w, account, number))
    growth = compute_worst_lots(held, buys, sells) - compute_worst_lots(held - signed_lots, buys, sells)
    return int(growth * w.instruments[number]["notional_atoms"])


@kernel_inner
def verify_block_limits(w: World, command: Record, items: Array, account: int, place: int, sign: int) -> Code:
    """Measure one party of a block whose legs are filled, underlying by underlying; `sign` is -1 for the
    counterparty, whose sides are the opposite ones. [KEY-5]
    """
    key = w.keys[account, place - 1]
    for underlying in range(w.markets.shape[0]):
        growth, delta, vega = 0, 0, 0
        for i in range(command["first_item"], command["first_item"] + command["item_count"]):
            number = items[i]["instrument"]
            instrument = w.instruments[number]
            if instrument["underlying"] == underlying:
                signed_lots = sign * get_direction(items[i]["side"]) * items[i]["lots"]
                growth += compute_filled_growth(w, account, number, signed_lots)
                delta += signed_lots * instrument["delta_atoms"]
                vega += signed_lots * instrument["vega_atoms"]
        # The portfolio has the growth already.
        if growth > 0 and not is_notional_allowed(w, account, underlying, key["max_notional_atoms"], 0):
            return Code.KEY_LIMIT
        if not are_greeks_allowed(w, account, underlying, key, delta, vega):
            return Code.KEY_LIMIT
    return Code.OK
