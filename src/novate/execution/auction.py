"""The Dutch auction of a portfolio: each TICK offers more, and the first backstop that can bear it takes it.

Implements [LIQ-4] and [LIQ-5].
"""

from novate.execution.deleveraging import (
    cover_debt,
    deleverage,
    end_liquidation,
    find_held_instrument,
    pass_lots,
)
from novate.execution.events import emit
from novate.execution.group_margin import gather_portfolio
from novate.execution.ledger import compute_equity, find_position
from novate.execution.standing import is_held_stale
from novate.execution.tables import NONE, World
from novate.kernel import kernel_inner
from novate.protocol.arithmetic import mul_ratio_ceil_e6
from novate.protocol.generated.codes import EventKind, LiquidationStage
from novate.protocol.generated.constants import E6, GROSS_LOTS_MAX
from novate.protocol.liquidation import compute_initial_with_portfolio


@kernel_inner
def count_held(w: World, account: int) -> int:
    """Return in how many instruments an account holds lots."""
    count = 0
    slot = w.accounts[account]["first_position"]
    while slot != NONE:
        if w.positions[slot]["lots"] != 0:
            count += 1
        slot = w.positions[slot]["next_in_account"]
    return count


@kernel_inner
def can_bear(w: World, backstop: int, account: int, bonus_atoms: int, time_ns: int) -> bool:
    """Whether a backstop meets its margin with the account's whole portfolio added. [LIQ-5]"""
    if count_held(w, account) > w.house[0]["free_position_count"]:
        return False
    if is_held_stale(w, backstop, time_ns):
        return False
    requirement = 0
    for u in range(w.markets.shape[0]):
        taken = w.portfolios[account, u]
        if w.portfolios[backstop, u]["gross_lots"] + taken["gross_lots"] > GROSS_LOTS_MAX:
            return False
        own = gather_portfolio(w, backstop, u, True)
        effects = w.effects[backstop, u]
        if own["quote_lots"] != 0:
            effects = w.gathered_effects
        requirement += compute_initial_with_portfolio(
            own,
            w.pnl[backstop, u],
            effects,
            taken,
            w.pnl[account, u],
            w.markets[u]["confidence_e6"],
            w.parameters[0],
        )
    return bool(compute_equity(w, backstop) + bonus_atoms >= requirement)


@kernel_inner
def find_backstop(w: World, account: int, equity: int, requirement: int, rate_e6: int, time_ns: int) -> int:
    """Return the backstop that takes the portfolio: the least demand, then the lowest account; or NONE.
    The account's equity must pay the bonus: the insurance fund pays debts, never bonuses. [LIQ-4]
    """
    found = NONE
    for other in range(w.house[0]["account_count"]):
        record = w.accounts[other]
        demand = record["demand_e6"]
        if other == account or demand == NONE or demand > rate_e6:
            continue
        if record["liquidation_stage"] != LiquidationStage.NONE:
            continue
        if found != NONE and demand >= w.accounts[found]["demand_e6"]:
            continue
        bonus = mul_ratio_ceil_e6(requirement, demand)
        if bonus <= max(0, equity) and can_bear(w, other, account, bonus, time_ns):
            found = other
    return found


@kernel_inner
def assign_portfolio(w: World, account: int, backstop: int, bonus_atoms: int) -> None:
    """Hand every position to the backstop at its mark, and the bonus with them. [LIQ-5]"""
    number = find_held_instrument(w, account, NONE)
    while number != NONE:
        lots = w.positions[find_position(w, account, number)]["lots"]
        pass_lots(w, EventKind.ASSIGNED, account, backstop, number, lots)
        number = find_held_instrument(w, account, number)
    w.accounts[account]["cash_atoms"] -= bonus_atoms
    w.accounts[backstop]["cash_atoms"] += bonus_atoms
    w.accounts[account]["dirty"] = 1
    w.accounts[backstop]["dirty"] = 1
    event = emit(w, EventKind.AUCTION_TAKEN)
    event["account"] = account
    event["maker_account"] = backstop
    event["amount_atoms"] = bonus_atoms
    cover_debt(w, account, 0)
    end_liquidation(w, account)


@kernel_inner
def act_auction(w: World, account: int, equity: int, requirement: int, time_ns: int) -> None:
    """Offer the portfolio at the next rate; deleverage it when nobody takes it in time. [LIQ-4]"""
    record, parameters = w.accounts[account], w.parameters[0]
    record["liquidation_count"] += 1
    record["dirty"] = 1
    if equity + w.house[0]["insurance_atoms"] < 0:
        deleverage(w, account)
        return
    count = record["liquidation_count"]
    rate_e6 = min(E6, count * parameters["auction_step_e6"])
    backstop = find_backstop(w, account, equity, requirement, rate_e6, time_ns)
    if backstop != NONE:
        bonus = mul_ratio_ceil_e6(requirement, w.accounts[backstop]["demand_e6"])
        assign_portfolio(w, account, backstop, bonus)
    elif count >= parameters["auction_tick_count"]:
        deleverage(w, account)
