"""How a liquidation ends as the replayer reads it: positions closed with winners, debts paid, a line drawn.

Verifies [LIQ-6], [LIQ-7] and [LIQ-8].
"""

from typing import NamedTuple

from novate.protocol.generated.codes import EventKind, LiquidationStage
from novate.verification.matching import trade
from novate.verification.orders import drop_position
from novate.verification.risk import compute_equity
from novate.verification.state import Account, Instrument, Position, State
from novate.verification.steps import Step

SHIFT_X48 = 48
WEIGHT_UNIT = 256  # Atoms of notional.


class Closing(NamedTuple):
    """One account whose position was closed against a bankrupt one, and the weight of those lots [LIQ-7]."""

    account: Account
    weight: int


def list_held(account: Account) -> list[Position]:
    """Return an account's positions with lots, in ascending instrument."""
    held = [position for holdings in account.holdings for position in holdings.values() if position.lots != 0]
    return sorted(held, key=lambda position: position.instrument.number)


def pass_at_mark(state: State, giver: Account, receiver: Account, instrument: Instrument, lots: int) -> None:
    """Let signed lots of one account pass to another at the mark, without fee [LIQ-5] [LIQ-6]."""
    direction = 1 if lots > 0 else -1
    for account, side in ((giver, -direction), (receiver, direction)):
        trade(state, account, instrument, side, abs(lots), instrument.mark_atoms)
        drop_position(state, account, instrument)


def deleverage(state: State, account: Account) -> None:
    """Close every position of an account against those who gained most by the opposite one [LIQ-6]."""
    closings: list[Closing] = []
    for position in list_held(account):
        closings += close_against_winners(state, account, position.instrument, position.lots)
    settle_debt(state, account, closings)
    finish(state, account)


def close_against_winners(state: State, account: Account, instrument: Instrument, lots: int) -> list[Closing]:
    """Close signed lots at the mark and return with whom, in order [LIQ-6]."""
    closings = []
    left = lots
    for winner, opposite in rank_opposite(state, instrument, lots):
        if not left:
            break
        closed = -opposite if abs(opposite) < abs(left) else left
        pass_at_mark(state, account, winner, instrument, closed)
        left -= closed
        closings.append(Closing(winner, abs(closed) * instrument.notional_atoms // WEIGHT_UNIT + 1))
        state.steps.append(
            Step(
                EventKind.DELEVERAGED,
                account.number,
                winner.number,
                instrument=instrument.number,
                lots=closed,
                amount_atoms=instrument.mark_atoms,
            )
        )
    assert not left, "Invariant [CASH-3]: the lots of an instrument sum to zero."
    return closings


def rank_opposite(state: State, instrument: Instrument, lots: int) -> list[tuple[Account, int]]:
    """Return accounts and their lots of the opposite sign, the highest profit per lot first [LIQ-6]."""
    found = []
    for account in state.accounts:
        position = account.holdings[instrument.underlying].get(instrument.number)
        if position is not None and position.lots * lots < 0:
            profit = position.lots * instrument.mark_atoms - position.cost_atoms
            found.append((-(profit // abs(position.lots)), account.number, position.lots))
    return [(state.accounts[number], opposite) for _, number, opposite in sorted(found)]


def settle_debt(state: State, account: Account, closings: list[Closing]) -> None:
    """Pay what an account without positions owes, from the fund and then by those it was closed with.

    Without closings, what the fund cannot pay stays owed [LIQ-7].
    """
    debt = max(0, -account.cash_atoms)
    paid = min(debt, state.insurance_atoms)
    if paid:
        state.insurance_atoms -= paid
        state.pay(account, paid)
        state.steps.append(Step(EventKind.INSURED, account.number, amount_atoms=paid))
    if debt > paid:
        share_loss(state, account, closings, debt - paid)


def share_loss(state: State, account: Account, closings: list[Closing], loss_atoms: int) -> None:
    """Let each closing bear its part of a loss by weight, rounded down, the last what remains [LIQ-7]."""
    left = loss_atoms
    weight_left = sum(closing.weight for closing in closings)
    for payer, weight in closings:
        share_x48 = (weight << SHIFT_X48) // weight_left
        amount = left * share_x48 >> SHIFT_X48
        state.pay(payer, -amount)
        state.pay(account, amount)
        state.steps.append(Step(EventKind.LOSS_SHARED, payer.number, account.number, amount_atoms=amount))
        left -= amount
        weight_left -= weight


def finish(state: State, account: Account) -> None:
    """Let an account's liquidation end; the next one counts its ticks from zero [LIQ-8]."""
    account.stage = int(LiquidationStage.NONE)
    account.stage_ticks = 0
    state.dirty_accounts.add(account.number)
    equity = compute_equity(state, account)
    state.steps.append(Step(EventKind.LIQUIDATION_ENDED, account.number, amount_atoms=equity))
