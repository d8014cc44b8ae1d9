"""Margin of protected quotes: each group's worst window, found again only when it is asked for.

A quote or a fill of a group marks it stale; the sums of an account that has quotes are then gathered into
scratch records, so that the law's leaves see one portfolio. Finding the worst exactly takes a heap for each
scenario; whoever only asks whether equity suffices tries a bound first, which one pass over the quotes gives.
Implements [MARGIN-13] and [QUOTE-4].
"""

from typing import Any

from novate.execution.tables import NONE, World
from novate.kernel import kernel_inner
from novate.protocol.generated.codes import Side
from novate.protocol.generated.constants import BASIS_COUNT, GROUP_COUNT, SCENARIO_COUNT
from novate.protocol.margin import compute_order_base
from novate.protocol.quote_margin import add_protected_bound, compute_protected_worst

Record = Any

OPEN_COST = SCENARIO_COUNT  # Places of O0_g and G_g behind the 32 scenarios of a group's effects.
BASIS = SCENARIO_COUNT + 1
FRESH, STALE, BOUNDED = 0, 1, 2  # What a group's effects are: the worst, too old for use, or at least as bad.


@kernel_inner
def compute_window_lots(group: Record) -> int:
    """Return how many lots the group's limit leaves as its counts stand. [MARGIN-13]"""
    return int(max(0, group["quantity_limit_lots"] - group["filled_lots"]))


@kernel_inner
def collect_quotes(w: World, account: int, number: int) -> int:
    """Write the open quotes of a group into `group_quotes`, note the notional of a lot, and return how many
    there are.
    """
    count = 0
    slot = w.accounts[account]["first_order"]
    while slot != NONE:
        order = w.orders[slot]
        if order["group"] == number:
            instrument = w.instruments[order["instrument"]]
            direction = 1 if order["side"] == Side.BUY else -1
            quote = w.group_quotes[count]
            quote["instrument"] = order["instrument"]
            quote["direction"] = direction
            quote["lots"] = order["lots"]
            limit_atoms = order["price_ticks"] * instrument["tick_atoms"]
            quote["base_atoms"] = compute_order_base(
                direction, instrument["mark_atoms"], limit_atoms, instrument["taker_fee_atoms"]
            )
            w.groups[account, number - 1]["notional_atoms"] = instrument["notional_atoms"]
            count += 1
        slot = order["next_in_account"]
    return count


@kernel_inner
def find_basis_worst(w: World, quote: Record) -> int:
    """Return the least value of a lot of a quote in the two moves of the basis. [MARGIN-6]"""
    value = 0
    for j in range(BASIS_COUNT):
        value = min(value, quote["direction"] * w.basis_rows[quote["instrument"], j])
    return value


@kernel_inner
def compute_group_effect(w: World, count: int, column: int, limit_lots: int) -> int:
    """Return O_g of one scenario, or O0_g or G_g, of the collected quotes."""
    for k in range(count):
        quote = w.group_quotes[k]
        value = quote["base_atoms"]
        if column < SCENARIO_COUNT:
            value += quote["direction"] * w.rows[quote["instrument"], column]
        elif column == BASIS:
            value = find_basis_worst(w, quote)
        w.heap[0, k] = value
        w.heap[1, k] = quote["lots"]
    return compute_protected_worst(w.heap[0], w.heap[1], count, limit_lots)


@kernel_inner
def refresh_group(w: World, account: int, number: int) -> None:
    """Find a group's effects, and the cuts that would bound them best. [MARGIN-13]"""
    group = w.groups[account, number - 1]
    count = collect_quotes(w, account, number)
    limit_lots = compute_window_lots(group)
    effects, cuts = w.group_effects[account, number - 1], w.group_cuts[account, number - 1]
    for column in range(SCENARIO_COUNT + 2):
        effects[column] = compute_group_effect(w, count, column, limit_lots)
        cuts[column] = min(0, w.heap[0, 0])
    group["stale"] = FRESH


@kernel_inner
def bound_group(w: World, account: int, number: int) -> None:
    """Find effects that are no better than a group's, by the cuts of the last time. [MARGIN-13]"""
    group = w.groups[account, number - 1]
    count = collect_quotes(w, account, number)
    limit_lots = min(compute_window_lots(group), group["open_lots"])
    effects, cuts = w.group_effects[account, number - 1], w.group_cuts[account, number - 1]
    for column in range(SCENARIO_COUNT + 2):
        effects[column] = limit_lots * cuts[column]
    for k in range(count):
        quote = w.group_quotes[k]
        base, lots = quote["base_atoms"], quote["lots"]
        add_protected_bound(effects, cuts, w.rows[quote["instrument"]], quote["direction"], base, lots)
        effects[OPEN_COST] += lots * min(0, base - cuts[OPEN_COST])
        effects[BASIS] += lots * min(0, find_basis_worst(w, quote) - cuts[BASIS])
    group["stale"] = BOUNDED


@kernel_inner
def add_group(w: World, account: int, number: int, exact: bool) -> None:
    """Add what a group's quotes need, or a bound of it, to the gathered portfolio and effects. [MARGIN-13]"""
    group = w.groups[account, number - 1]
    if exact and group["stale"] != FRESH:
        refresh_group(w, account, number)
    elif group["stale"] == STALE:
        bound_group(w, account, number)
    effects = w.group_effects[account, number - 1]
    limit_lots, notional = compute_window_lots(group), group["notional_atoms"]
    total = w.gathered[0]
    total["open_cost_atoms"] += effects[OPEN_COST]
    total["basis_worst_atoms"] -= effects[BASIS]
    total["short_worst_atoms"] += min(limit_lots, group["open_sell_lots"]) * notional
    total["gross_worst_atoms"] += min(limit_lots, group["open_lots"]) * notional
    gathered = w.gathered_effects
    for s in range(gathered.shape[0]):
        gathered[s] += effects[s]


@kernel_inner
def gather_portfolio(w: World, account: int, underlying: int, exact: bool) -> Record:
    """Return the portfolio with its groups of quotes counted in, and O with theirs in `gathered_effects`; if
    no quote is open, the portfolio's own record, whose O is in `effects`. Unless `exact`, effects, open cost
    and basis may be worse than they are.
    """
    portfolio = w.portfolios[account, underlying]
    if portfolio["quote_lots"] == 0:
        return portfolio
    w.gathered[0] = w.portfolios[account, underlying]
    for s in range(SCENARIO_COUNT):
        w.gathered_effects[s] = w.effects[account, underlying, s]
    for g in range(GROUP_COUNT):
        if w.groups[account, g]["underlying"] == underlying and w.groups[account, g]["open_lots"] != 0:
            add_group(w, account, g + 1, exact)
    return w.gathered[0]


@kernel_inner
def change_quote_lots(w: World, account: int, number: int, underlying: int, side: int, lots: int) -> None:
    """Add `lots` open lots (negative: remove them) to a group, which makes its effects old. [QUOTE-4]"""
    group = w.groups[account, number - 1]
    group["open_lots"] += lots
    if side == Side.SELL:
        group["open_sell_lots"] += lots
    group["stale"] = 1
    portfolio = w.portfolios[account, underlying]
    portfolio["quote_lots"] += lots
    portfolio["gross_lots"] += lots
