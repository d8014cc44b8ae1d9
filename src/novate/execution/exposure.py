"""How every account stands at once: equity and requirements of the whole venue in one crossing into Numba.

Reads only; the figures are those of the law's own functions, as in views.py.
"""

from typing import Any, NamedTuple

import numpy as np

from novate.execution.engine import Engine
from novate.execution.ledger import compute_account_initial, compute_equity
from novate.execution.liquidation import compute_account_maintenance
from novate.execution.tables import NONE, Array, World
from novate.kernel import kernel

Integers = np.ndarray[Any, np.dtype[np.int64]]


class Exposure(NamedTuple):
    """Equity, initial and maintenance requirement in atoms, the stage of liquidation, and whether the account
    counts as warned; an element per account, in its order.
    """

    equity_atoms: Integers
    initial_atoms: Integers
    maintenance_atoms: Integers
    stage: Integers
    warned: Integers


@kernel
def measure_accounts(w: World, figures: Array) -> None:
    """Write equity, initial and maintenance requirement of each account into its row. [MARGIN-8]"""
    for account in range(w.house[0]["account_count"]):
        figures[account, 0] = compute_equity(w, account)
        figures[account, 1] = compute_account_initial(w, account, NONE)
        figures[account, 2] = compute_account_maintenance(w, account)


def read_exposure(engine: Engine) -> Exposure:
    """Return how every account stands."""
    count = int(engine.world.house["account_count"][0])
    figures = np.zeros((count, 3), np.int64)
    measure_accounts(engine.world, figures)
    accounts = engine.world.accounts[:count]
    return Exposure(
        figures[:, 0],
        figures[:, 1],
        figures[:, 2],
        accounts["liquidation_stage"].copy(),
        accounts["warned"].copy(),
    )
