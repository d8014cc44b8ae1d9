"""Market-maker protection as the replayer reads it: windows, capacity, and what trips a group [MMP-*]."""

from novate.protocol.generated.codes import CancelReason
from novate.protocol.generated.constants import GROSS_LOTS_MAX, GROUP_COUNT, NS_PER_DAY, NS_PER_MS, NS_PER_S
from novate.verification.orders import cancel_order
from novate.verification.state import Account, Group, Instrument, Order, State

UNLIMITED_LOTS = 1 << 62
NEVER_NS = (1 << 63) - 1
WINDOW_NS_MAX = 3_600 * NS_PER_S
RISK_LIMIT_MAX = 1 << 60


def has_lawful_figures(
    number: int, window_ns: int, frozen_ns: int, quantity_limit_lots: int, risk_limits: tuple[int, int]
) -> bool:
    """Whether a group's number and figures lie in the ranges of [MMP-1]."""
    return (
        1 <= number <= GROUP_COUNT
        and NS_PER_MS <= window_ns <= WINDOW_NS_MAX
        and 0 <= frozen_ns <= NS_PER_DAY
        and 1 <= quantity_limit_lots <= GROSS_LOTS_MAX
        and all(0 <= limit <= RISK_LIMIT_MAX for limit in risk_limits)
    )


def is_window_over(state: State, group: Group) -> bool:
    """Whether the group's window has run its time [MMP-2]."""
    assert state.time_ns is not None
    return group.window_start_ns != 0 and state.time_ns >= group.window_start_ns + group.window_ns


def end_window(state: State, account: Account, group: Group) -> None:
    """Forget what the group counted if its window is over [MMP-2]."""
    if is_window_over(state, group):
        group.start_afresh()
        state.dirty_accounts.add(account.number)


def reach(state: State, maker: Order) -> None:
    """End the window of a quote's group, if it is over, because the quote is the next maker [MMP-2].

    Whether it will be filled, or belongs to the taker's own account, makes no difference.
    """
    if maker.group:
        end_window(state, maker.account, maker.account.groups[maker.group])


def end_windows(state: State) -> None:
    """End the windows that are over at a TICK [TICK-1]."""
    for account in state.accounts:
        for group in account.groups.values():
            end_window(state, account, group)


def compute_room(limit_atoms: int, counted_atoms: int, change_atoms: int) -> int:
    """Return how many lots keep a counted sum within its limit, when each changes it by `change_atoms`.

    A limit of 0 is none [MMP-1].
    """
    if limit_atoms == 0 or change_atoms == 0:
        return UNLIMITED_LOTS
    if change_atoms > 0:
        return max(0, (limit_atoms - counted_atoms) // change_atoms)
    return max(0, (limit_atoms + counted_atoms) // -change_atoms)


def compute_capacity(state: State, order: Order) -> int:
    """Return how many lots of a quote its group lets through now, as if a window that is over had ended
    [MMP-2]; of every other order all.
    """
    if not order.group:
        return UNLIMITED_LOTS
    group, instrument = order.account.groups[order.group], order.instrument
    filled, delta, vega = group.filled_lots, group.delta_atoms, group.vega_atoms
    if is_window_over(state, group):
        filled = delta = vega = 0
    return min(
        group.quantity_limit_lots - filled,
        compute_room(group.delta_limit_atoms, delta, order.direction * instrument.delta_atoms),
        compute_room(group.vega_limit_atoms, vega, order.direction * instrument.vega_atoms),
    )


def count_fill(
    state: State,
    account: Account,
    group: int,
    instrument: Instrument,
    direction: int,
    lots: int,
    wanted_lots: int,
) -> None:
    """Count a fill of `lots` (0: the capacity allowed none) against a quote of a group, and trip the group if
    [MMP-3] says so. Without protection `wanted_lots` would have been filled.
    """
    counted = account.groups[group]
    if lots:
        assert state.time_ns is not None
        counted.window_start_ns = counted.window_start_ns or state.time_ns
        counted.filled_lots += lots
        counted.delta_atoms += lots * direction * instrument.delta_atoms
        counted.vega_atoms += lots * direction * instrument.vega_atoms
        state.dirty_accounts.add(account.number)
    if lots < wanted_lots or is_exhausted(counted):
        trip(state, account, counted)


def is_exhausted(group: Group) -> bool:
    """Whether what was counted has reached a limit [MMP-3]."""
    limited = ((group.delta_atoms, group.delta_limit_atoms), (group.vega_atoms, group.vega_limit_atoms))
    return group.filled_lots >= group.quantity_limit_lots or any(
        limit > 0 and abs(counted) >= limit for counted, limit in limited
    )


def trip(state: State, account: Account, group: Group) -> None:
    """Freeze a group, then end its quotes [MMP-3]."""
    assert state.time_ns is not None
    group.start_afresh()
    group.frozen_until_ns = state.time_ns + group.frozen_ns if group.frozen_ns else NEVER_NS
    state.dirty_accounts.add(account.number)
    end_quotes(state, account, group, CancelReason.MMP)


def list_quotes(account: Account, group: Group) -> list[Order]:
    """Return the open quotes of a group in ascending order id."""
    found = [
        order
        for position in account.holdings[group.underlying].values()
        for order in position.orders.values()
        if order.group == group.number
    ]
    return sorted(found, key=lambda order: order.order_id)


def end_quotes(state: State, account: Account, group: Group, reason: CancelReason) -> None:
    """End every quote of a group in ascending order id."""
    for order in list_quotes(account, group):
        cancel_order(state, order, reason)
