"""The second stage of a liquidation as the replayer reads it: a whole portfolio is offered to backstops.

Verifies [LIQ-4] and [LIQ-5], and BACKSTOP of [LIQ-9].
"""

from novate.protocol.command import Command
from novate.protocol.generated.codes import Code, EventKind, LiquidationStage
from novate.protocol.generated.constants import E6, GROSS_LOTS_MAX
from novate.verification.deleveraging import deleverage, finish, list_held, pass_at_mark, settle_debt
from novate.verification.keys import authenticate
from novate.verification.risk import (
    compute_equity,
    compute_initial,
    find_portfolio,
    mul_ratio_ceil,
)
from novate.verification.state import NO_DEMAND, Account, State, require
from novate.verification.steps import Step


def set_demand(state: State, command: Command) -> tuple[int, int]:
    """Apply BACKSTOP and return (account, 0) [LIQ-9]."""
    account = authenticate(state, command)
    demand_e6 = command.values[0]
    require(NO_DEMAND <= demand_e6 <= E6, Code.DEMAND_INVALID)
    account.demand_e6 = demand_e6
    return account.number, 0


def hold_auction(state: State, account: Account, equity_atoms: int, maintenance_atoms: int) -> None:
    """Offer the portfolio at the next rate; if nobody takes it in time, deleverage [LIQ-4]."""
    account.stage_ticks += 1
    state.dirty_accounts.add(account.number)
    rate_e6 = min(account.stage_ticks * state.parameters["auction_step_e6"], E6)
    if equity_atoms + state.insurance_atoms < 0:
        deleverage(state, account)
        return
    for backstop in list_backstops(state, rate_e6):
        bonus = mul_ratio_ceil(maintenance_atoms, backstop.demand_e6)
        # The fund pays debts, never bonuses: with nothing left only a demand of 0 is met.
        if bonus <= max(0, equity_atoms) and can_bear(state, backstop, account, bonus):
            assign(state, account, backstop, bonus)
            return
    if account.stage_ticks >= state.parameters["auction_tick_count"]:
        deleverage(state, account)


def list_backstops(state: State, rate_e6: int) -> list[Account]:
    """Return who would take a portfolio for this rate, the least demand first [LIQ-4]."""
    willing = [
        account
        for account in state.accounts
        if NO_DEMAND < account.demand_e6 <= rate_e6 and account.stage == LiquidationStage.NONE
    ]
    return sorted(willing, key=lambda account: (account.demand_e6, account.number))


def can_bear(state: State, backstop: Account, account: Account, bonus_atoms: int) -> bool:
    """Whether a backstop that takes an account's positions and the bonus keeps its initial margin [LIQ-5]."""
    held = list_held(account)
    if len(held) > state.limits["positions"] - state.position_count:
        return False
    own = {position.instrument.underlying for position in list_held(backstop)}
    if any(state.is_stale(state.markets[underlying]) for underlying in own):
        return False
    underlyings = {position.instrument.underlying for position in held}
    for underlying in underlyings:
        taken = find_portfolio(state, account, underlying)
        gross = find_portfolio(state, backstop, underlying).gross_lots + taken.held_lots
        # Gross lots are bounded before anything is added up: the vectors have 64 bits [UNIT-5].
        if gross > GROSS_LOTS_MAX or state.is_stale(state.markets[underlying]):
            return False
    required = 0
    for underlying in range(len(state.markets)):
        portfolio = find_portfolio(state, account, underlying) if underlying in underlyings else None
        required += compute_initial(state, backstop, underlying, portfolio)
    return compute_equity(state, backstop) + bonus_atoms >= required


def assign(state: State, account: Account, backstop: Account, bonus_atoms: int) -> None:
    """Let a portfolio pass to a backstop at the marks, and let the account pay the bonus [LIQ-5]."""
    for position in list_held(account):
        instrument, lots = position.instrument, position.lots
        pass_at_mark(state, account, backstop, instrument, lots)
        state.steps.append(
            Step(
                EventKind.ASSIGNED,
                account.number,
                backstop.number,
                instrument=instrument.number,
                lots=lots,
                amount_atoms=instrument.mark_atoms,
            )
        )
    state.pay(account, -bonus_atoms)
    state.pay(backstop, bonus_atoms)
    state.steps.append(
        Step(EventKind.AUCTION_TAKEN, account.number, backstop.number, amount_atoms=bonus_atoms)
    )
    settle_debt(state, account, [])
    finish(state, account)
