"""Positions and portfolios of an account: every change to what it holds or has open passes through here.

Each step takes away a position's old contribution to the portfolio's sums and adds the new one, so an order
costs the same whatever the account already has. Uses the law's leaves of margin and novation.
"""

from typing import Any

from novate.execution.account_lists import link_record, unlink_record
from novate.execution.group_margin import change_quote_lots, gather_portfolio
from novate.execution.order_book import find_slot, put_slot, remove_entry
from novate.execution.tables import NONE, World
from novate.kernel import kernel, kernel_inner
from novate.protocol.generated.codes import Side
from novate.protocol.key_limits import add_held_greeks, add_open_greeks
from novate.protocol.margin import (
    add_basis_order,
    add_basis_position,
    add_contingency,
    add_order_effect,
    add_position_effect,
    compute_basis_held,
    compute_basis_worst,
    compute_initial_if_filled,
    compute_initial_margin,
    compute_initial_with_order,
    compute_open_cost,
    compute_order_base,
)
from novate.protocol.novation import apply_trade, is_linear

Record = Any


@kernel_inner
def get_direction(side: int) -> int:
    """Return +1 for a buy, -1 for a sell."""
    return 1 if side == Side.BUY else -1


@kernel_inner
def make_position_key(w: World, account: int, instrument: int) -> int:
    """Return the key of (account, instrument) in the position table."""
    return int(account * w.instruments.shape[0] + instrument + 1)


@kernel_inner
def find_position(w: World, account: int, instrument: int) -> int:
    """Return the position record of (account, instrument), or NONE."""
    return find_slot(w.position_entries, make_position_key(w, account, instrument))


@kernel_inner
def open_position(w: World, account: int, instrument: int) -> int:
    """Return the position record of (account, instrument), taking a free one if there is none yet."""
    slot = find_position(w, account, instrument)
    if slot != NONE:
        return slot
    house = w.house[0]
    house["free_position_count"] -= 1
    slot = w.free_positions[house["free_position_count"]]
    house["position_high"] = max(house["position_high"], slot + 1)
    position = w.positions[slot]
    position["account"] = account
    position["instrument"] = instrument
    position["lots"] = 0
    position["cost_atoms"] = 0
    position["open_buy_lots"] = 0
    position["open_sell_lots"] = 0
    position["quote_lots"] = 0
    record = w.accounts[account]
    record["first_position"] = link_record(w.positions, slot, record["first_position"])
    record["position_count"] += 1
    put_slot(w.position_entries, make_position_key(w, account, instrument), slot)
    return int(slot)


@kernel_inner
def release_position(w: World, slot: int) -> None:
    """Free a position record that holds nothing and has nothing open. [NOVATE-5]"""
    position = w.positions[slot]
    if position["lots"] != 0 or position["open_buy_lots"] != 0 or position["open_sell_lots"] != 0:
        return
    if position["quote_lots"] != 0:
        return
    assert position["cost_atoms"] == 0  # Invariant [NOVATE-2]: no lots, no cost.
    account = position["account"]
    record = w.accounts[account]
    record["first_position"] = unlink_record(w.positions, slot, record["first_position"])
    record["position_count"] -= 1
    remove_entry(w.position_entries, make_position_key(w, account, position["instrument"]))
    position["account"] = NONE
    house = w.house[0]
    w.free_positions[house["free_position_count"]] = slot
    house["free_position_count"] += 1


@kernel_inner
def add_position_sums(w: World, slot: int, sign: int) -> None:
    """Add (+1) or take away (-1) a position's contingencies."""
    position = w.positions[slot]
    instrument = w.instruments[position["instrument"]]
    portfolio = w.portfolios[position["account"], instrument["underlying"]]
    add_contingency(
        portfolio,
        instrument["kind"],
        position["lots"],
        position["open_buy_lots"],
        position["open_sell_lots"],
        instrument["notional_atoms"],
        sign,
    )


@kernel_inner
def change_open_lots(w: World, slot: int, side: int, price_ticks: int, lots: int, group: int) -> None:
    """Add `lots` open lots (negative: remove them) at a price to a position's account, or to one of its
    groups of quotes. [MARGIN-3] to [MARGIN-7] [QUOTE-4] [KEY-5]
    """
    position = w.positions[slot]
    account, number = position["account"], position["instrument"]
    instrument = w.instruments[number]
    underlying, series = instrument["underlying"], instrument["series"]
    direction, portfolio = get_direction(side), w.portfolios[account, underlying]
    add_open_greeks(portfolio, instrument["delta_atoms"], instrument["vega_atoms"], direction, lots)
    if group != 0:
        position["quote_lots"] += lots
        change_quote_lots(w, account, group, underlying, side, lots)
        return
    add_position_sums(w, slot, -1)
    if side == Side.BUY:
        position["open_buy_lots"] += lots
    else:
        position["open_sell_lots"] += lots
    add_position_sums(w, slot, 1)
    limit_atoms = price_ticks * instrument["tick_atoms"]
    base = compute_order_base(direction, instrument["mark_atoms"], limit_atoms, instrument["taker_fee_atoms"])
    portfolio["open_cost_atoms"] += compute_open_cost(base, lots)
    add_order_effect(w.effects[account, underlying], w.rows[number], direction, base, lots)
    if series != NONE:
        held, opened = w.basis_held[account, series], w.basis_open[account, series]
        portfolio["basis_worst_atoms"] -= compute_basis_worst(held, opened)
        add_basis_order(opened, w.basis_rows[number], direction, lots)
        portfolio["basis_worst_atoms"] += compute_basis_worst(held, opened)


@kernel_inner
def add_held_lots(w: World, account: int, number: int, lots: int, cost_atoms: int) -> None:
    """Add held lots (signed) and their entry value to the account's vectors, value and basis."""
    instrument = w.instruments[number]
    underlying, series = instrument["underlying"], instrument["series"]
    portfolio = w.portfolios[account, underlying]
    value_atoms = lots * instrument["mark_atoms"]
    portfolio["value_atoms"] += value_atoms
    add_held_greeks(portfolio, instrument["delta_atoms"], instrument["vega_atoms"], lots)
    if is_linear(instrument["kind"]):
        portfolio["linear_value_atoms"] += value_atoms
        portfolio["cost_atoms"] += cost_atoms
    add_position_effect(w.pnl[account, underlying], w.rows[number], lots)
    if series != NONE:
        held, opened = w.basis_held[account, series], w.basis_open[account, series]
        portfolio["basis_worst_atoms"] -= compute_basis_worst(held, opened)
        portfolio["basis_held_atoms"] -= compute_basis_held(held)
        add_basis_position(held, w.basis_rows[number], lots)
        portfolio["basis_worst_atoms"] += compute_basis_worst(held, opened)
        portfolio["basis_held_atoms"] += compute_basis_held(held)


@kernel_inner
def trade_position(w: World, slot: int, direction: int, lots: int, unit_atoms: int, fee_atoms: int) -> None:
    """Apply one side of a trade at a value per lot: position, cash, fee and every sum. [NOVATE-1] to
    [NOVATE-4]
    """
    position = w.positions[slot]
    account, number = position["account"], position["instrument"]
    instrument = w.instruments[number]
    add_position_sums(w, slot, -1)
    cost_before = position["cost_atoms"]
    cash = apply_trade(position, instrument["kind"], direction, lots, unit_atoms)
    w.accounts[account]["cash_atoms"] += cash - fee_atoms
    w.accounts[account]["dirty"] = 1
    add_position_sums(w, slot, 1)
    add_held_lots(w, account, number, direction * lots, position["cost_atoms"] - cost_before)


@kernel
def compute_equity(w: World, account: int) -> int:
    """Return cash plus the value of positions less the entry value of perpetuals and futures. [MARGIN-2]"""
    equity = w.accounts[account]["cash_atoms"]
    for u in range(w.markets.shape[0]):
        equity += w.portfolios[account, u]["value_atoms"] - w.portfolios[account, u]["cost_atoms"]
    return int(equity)


@kernel
def compute_unrealised(w: World, account: int) -> int:
    """Return the unrealised profit of perpetuals and futures over all underlyings. [MARGIN-2]"""
    total = 0
    for u in range(w.markets.shape[0]):
        total += w.portfolios[account, u]["linear_value_atoms"] - w.portfolios[account, u]["cost_atoms"]
    return total


@kernel_inner
def sum_initial(w: World, account: int, except_underlying: int, exact: bool) -> int:
    """Return the initial requirement over all underlyings but one (NONE: over all), or what is at least as
    much and found sooner. [MARGIN-8]
    """
    total = 0
    for u in range(w.markets.shape[0]):
        if u != except_underlying and w.portfolios[account, u]["gross_lots"] > 0:
            portfolio = gather_portfolio(w, account, u, exact)
            effects = w.effects[account, u]
            if portfolio["quote_lots"] != 0:
                effects = w.gathered_effects
            total += compute_initial_margin(
                portfolio, w.pnl[account, u], effects, w.markets[u]["confidence_e6"], w.parameters[0]
            )
    return total


@kernel
def compute_account_initial(w: World, account: int, except_underlying: int) -> int:
    """Return the initial requirement over all underlyings but one (NONE: over all). [MARGIN-8]"""
    return sum_initial(w, account, except_underlying, True)


@kernel_inner
def has_quotes(w: World, account: int) -> bool:
    """Whether an account has open quotes, without which every bound is the requirement itself."""
    lots = 0
    for u in range(w.markets.shape[0]):
        lots += w.portfolios[account, u]["quote_lots"]
    return bool(lots != 0)


@kernel_inner
def is_surely_covered(w: World, account: int) -> bool:
    """Whether equity covers a bound of the initial requirement: False decides nothing."""
    return bool(compute_equity(w, account) >= sum_initial(w, account, NONE, False))


@kernel_inner
def get_lots(w: World, slot: int) -> tuple[int, int, int]:
    """Return lots held, open buys and open sells of a position record; zeros for NONE."""
    if slot == NONE:
        return 0, 0, 0
    position = w.positions[slot]
    return int(position["lots"]), int(position["open_buy_lots"]), int(position["open_sell_lots"])


@kernel_inner
def compute_initial_with_draft(w: World, order: Record, exact: bool) -> int:
    """Return the account's initial margin with the draft open at its full size, or what is at least as much.
    [MARGIN-8]
    """
    account, number = order["account"], order["instrument"]
    instrument = w.instruments[number]
    underlying = instrument["underlying"]
    held, buys, sells = get_lots(w, find_position(w, account, number))
    series = max(instrument["series"], 0)  # A perpetual's basis rows are zero, any series' vectors will do.
    total = sum_initial(w, account, underlying, exact)
    portfolio = gather_portfolio(w, account, underlying, exact)
    effects = w.effects[account, underlying]
    if portfolio["quote_lots"] != 0:
        effects = w.gathered_effects
    return total + compute_initial_with_order(
        portfolio,
        w.pnl[account, underlying],
        effects,
        w.basis_held[account, series],
        w.basis_open[account, series],
        instrument,
        w.rows[number],
        w.basis_rows[number],
        held,
        buys,
        sells,
        get_direction(order["side"]),
        order["price_ticks"] * instrument["tick_atoms"],
        order["lots"],
        w.markets[underlying]["confidence_e6"],
        w.parameters[0],
    )


@kernel_inner
def compute_surplus_if_filled(w: World, order: Record) -> int:
    """Return the account's equity less its initial margin if the draft were filled completely at its limit.
    [MARGIN-12]
    """
    account, number, lots = order["account"], order["instrument"], order["lots"]
    instrument = w.instruments[number]
    underlying, direction = instrument["underlying"], get_direction(order["side"])
    held, buys, sells = get_lots(w, find_position(w, account, number))
    series = max(instrument["series"], 0)  # As in compute_initial_with_draft.
    limit_atoms = order["price_ticks"] * instrument["tick_atoms"]
    base = compute_order_base(direction, instrument["mark_atoms"], limit_atoms, instrument["taker_fee_atoms"])
    total = compute_account_initial(w, account, underlying)
    portfolio = gather_portfolio(w, account, underlying, True)
    effects = w.effects[account, underlying]
    if portfolio["quote_lots"] != 0:
        effects = w.gathered_effects
    total += compute_initial_if_filled(
        portfolio,
        w.pnl[account, underlying],
        effects,
        w.basis_held[account, series],
        w.basis_open[account, series],
        instrument,
        w.rows[number],
        w.basis_rows[number],
        held,
        buys,
        sells,
        direction * lots,
        w.markets[underlying]["confidence_e6"],
        w.parameters[0],
    )
    return int(compute_equity(w, account) + lots * base - total)
