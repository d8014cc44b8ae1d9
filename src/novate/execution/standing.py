"""Whether an account holds lots, and whether they can be judged at fresh marks. For [LIQ-1] and [LIQ-5]."""

from novate.execution.tables import NONE, World
from novate.kernel import kernel_inner
from novate.protocol.oracle import is_stale


@kernel_inner
def holds_lots_in(w: World, account: int, underlying: int) -> bool:
    """Whether an account holds lots in an underlying (NONE: in any)."""
    slot = w.accounts[account]["first_position"]
    while slot != NONE:
        position = w.positions[slot]
        if position["lots"] != 0:
            if underlying == NONE or w.instruments[position["instrument"]]["underlying"] == underlying:
                return True
        slot = position["next_in_account"]
    return False


@kernel_inner
def is_held_stale(w: World, account: int, time_ns: int) -> bool:
    """Whether an underlying in which an account holds lots is stale. [LIQ-1]"""
    for u in range(w.markets.shape[0]):
        market = w.markets[u]
        if is_stale(market["index_atoms"], market["index_time_ns"], time_ns, w.parameters[0]):
            if holds_lots_in(w, account, u):
                return True
    return False
