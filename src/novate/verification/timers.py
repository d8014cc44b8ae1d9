"""Orders that end by themselves: at their date, when their owner falls silent, when its connection is lost.

Verifies [GTD-1], [TIMER-1] and [TIMER-2].
"""

from novate.protocol.command import Command
from novate.protocol.generated.codes import CancelReason, Code
from novate.protocol.generated.constants import NS_PER_DAY, NS_PER_S
from novate.verification.keys import authenticate
from novate.verification.orders import cancel_listed, end_all
from novate.verification.state import State, require


def protect(state: State, command: Command) -> tuple[int, int]:
    """Apply PROTECT and return (account, 0) [TIMER-1]."""
    account = authenticate(state, command)
    timeout_ns, cancel_on_disconnect = command.values[:2]
    in_range = timeout_ns == 0 or NS_PER_S <= timeout_ns <= NS_PER_DAY
    require(in_range and cancel_on_disconnect in (0, 1), Code.TIMER_INVALID)
    assert state.time_ns is not None
    account.dead_man_ns = state.time_ns + timeout_ns if timeout_ns else 0
    account.cancel_on_disconnect = cancel_on_disconnect
    return account.number, 0


def disconnect(state: State, command: Command) -> tuple[int, int]:
    """Apply DISCONNECT and return (account, 0) [TIMER-2]."""
    target = command.values[0]
    require(0 <= target < len(state.accounts), Code.ACCOUNT_NOT_FOUND)
    account = state.accounts[target]
    require(account.cancel_on_disconnect == 1, Code.DISCONNECT_NOT_ENABLED)
    end_all(state, account, CancelReason.DISCONNECTED)
    return target, 0


def cancel_due_accounts(state: State) -> None:
    """End the orders of accounts whose dead man's time has come, in ascending number [TIMER-1]."""
    assert state.time_ns is not None
    for account in state.accounts:
        if 0 < account.dead_man_ns <= state.time_ns:
            end_all(state, account, CancelReason.DEAD_MAN)
            account.dead_man_ns = 0
            state.dirty_accounts.add(account.number)


def cancel_expired_orders(state: State) -> None:
    """End the orders whose date has come, open ones first [GTD-1]."""
    assert state.time_ns is not None
    for listed in (state.orders, state.waiting):
        due = [order for order in listed.values() if 0 < order.terms.valid_until_ns <= state.time_ns]
        cancel_listed(state, due, CancelReason.GOOD_TILL_DATE)
