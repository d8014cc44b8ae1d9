"""Liquidation as the replayer reads it: who is warned at a TICK, who starts to close, and who goes on.

Verifies [LIQ-1].
"""

import numpy as np

from novate.protocol.generated.codes import CancelReason, EventKind, LiquidationStage
from novate.verification.auction import hold_auction
from novate.verification.deleveraging import finish, list_held, settle_debt
from novate.verification.orders import end_all
from novate.verification.risk import (
    compute_maintenance,
    compute_standing,
    find_portfolio,
    mul_ratio_ceil,
)
from novate.verification.slices import take_slice
from novate.verification.state import Account, State
from novate.verification.steps import Step


def liquidate_all(state: State) -> None:
    """Look at every account that holds lots or is in liquidation, in ascending number [LIQ-1]."""
    stale = [state.is_stale(market) for market in state.markets]
    for account in state.accounts:
        holds = passed_over = False
        for underlying, holdings in enumerate(account.holdings):
            if any(position.lots for position in holdings.values()):
                holds = True
                passed_over = passed_over or stale[underlying]
        if account.stage != LiquidationStage.NONE and not holds:
            settle_debt(state, account, [])
            finish(state, account)
        elif holds and not passed_over:
            look_at(state, account)
        elif not holds and account.cash_atoms < 0 and state.insurance_atoms > 0:
            settle_debt(state, account, [])


def look_at(state: State, account: Account) -> None:
    """Take the next step with an account that holds lots, none of them in a stale underlying [LIQ-1]."""
    equity, maintenance = compute_standing(state, account)
    if account.stage == LiquidationStage.NONE:
        if equity < maintenance:
            start(state, account, equity, maintenance)
        else:
            warn(state, account, equity, maintenance)
    elif equity >= maintenance:
        finish(state, account)
    elif account.stage == LiquidationStage.SLICES:
        take_slice(state, account, equity)
    else:
        hold_auction(state, account, equity, maintenance)


def warn(state: State, account: Account, equity_atoms: int, maintenance_atoms: int) -> None:
    """Call for margin once, when equity comes near the maintenance requirement [LIQ-1]."""
    is_near = equity_atoms < mul_ratio_ceil(maintenance_atoms, state.parameters["warning_e6"])
    if is_near == bool(account.warned):
        return
    account.warned = int(is_near)
    state.dirty_accounts.add(account.number)
    if is_near:
        state.steps.append(
            Step(
                EventKind.MARGIN_CALL,
                account.number,
                amount_atoms=equity_atoms,
                maker_amount_atoms=maintenance_atoms,
            )
        )


def start(state: State, account: Account, equity_atoms: int, maintenance_atoms: int) -> None:
    """End an account's orders and take the first slice at once [LIQ-1]."""
    underlyings = sorted({position.instrument.underlying for position in list_held(account)})
    worst = max(underlyings, key=lambda underlying: compute_maintenance(state, account, underlying))
    scenario = int(np.argmin(find_portfolio(state, account, worst).pnl))
    state.steps.append(
        Step(
            EventKind.LIQUIDATION_STARTED,
            account.number,
            instrument=worst,
            side=scenario,
            amount_atoms=equity_atoms,
            maker_amount_atoms=maintenance_atoms,
        )
    )
    end_all(state, account, CancelReason.LIQUIDATION)
    account.stage = int(LiquidationStage.SLICES)
    account.stage_ticks = 0
    state.dirty_accounts.add(account.number)
    take_slice(state, account, equity_atoms)
