"""Funding of perpetuals: the rate from the book's impact prices, and what has accrued.

Rates are in 1e-9 per eight hours. What accrues is kept in atoms * ms until a whole atom per lot is due, so
nothing is lost to rounding. Implements [FUND-1] and [FUND-2].
"""

from typing import Any

from novate.kernel import kernel
from novate.protocol.arithmetic import div_floor
from novate.protocol.generated.constants import FUNDING_PERIOD_MS, NS_PER_MS

Record = Any

NO_PRICE = -1
E3 = 1_000
E9 = 1_000_000_000
FUNDING_STEP_MS_MAX = 3_600_000


@kernel
def compute_premium_atoms(bid_atoms: int, ask_atoms: int, mark_atoms: int) -> int:
    """Return how far the impact bid lies above, or the impact ask below, the mark of one lot.

    Units      atoms per lot; -1 for a side that has no impact price.
    Range      0 < mark <= 2**34; the result is clamped to [-mark, mark].
    Law        [FUND-1]
    """
    premium = 0
    if bid_atoms != NO_PRICE:
        premium += max(0, bid_atoms - mark_atoms)
    if ask_atoms != NO_PRICE:
        premium -= max(0, mark_atoms - ask_atoms)
    return min(max(premium, -mark_atoms), mark_atoms)


@kernel
def div_floor_e9(a: int, b: int) -> int:
    """Return floor(a * 1e9 / b) in two steps, exactly: a * 1e3 = q * b + r, and the result is q * 1e6 +
    floor(r * 1e6 / b).

    Range      |a| <= b, 0 < b <= 2**40.
    Rounding   down.
    """
    scaled = a * E3
    whole = div_floor(scaled, b)
    return whole * (E3 * E3) + div_floor((scaled - whole * b) * (E3 * E3), b)


@kernel
def compute_rate_e9(premium_atoms: int, mark_atoms: int, parameters: Record) -> int:
    """Return the funding rate per eight hours in 1e-9: the premium, capped, less the deadband.

    Range      |premium| <= mark, 0 < mark <= 2**34; the result is within the cap.
    Rounding   the premium's share of the mark down.
    Law        [FUND-1]
    """
    cap = parameters["funding_cap_e9"]
    share = min(max(div_floor_e9(premium_atoms, mark_atoms), -cap), cap)
    size = max(0, abs(share) - parameters["funding_deadband_e9"])
    return int(-size if share < 0 else size)


@kernel
def compute_step_ms(time_ns: int, funded_ns: int) -> int:
    """Return the milliseconds since the last TICK that saw a perpetual, at most an hour; 0 at the first.

    Rounding   each time down to its millisecond, so that steps add up exactly.
    Law        [FUND-2]
    """
    if funded_ns == 0:
        return 0
    return min(FUNDING_STEP_MS_MAX, div_floor(time_ns, NS_PER_MS) - div_floor(funded_ns, NS_PER_MS))


@kernel
def compute_accrual(mark_atoms: int, rate_e9: int, step_ms: int) -> int:
    """Return what a step adds to the accrual.

    Units      atoms * ms per long lot and eight hours.
    Range      0 < mark <= 2**34, |rate| <= 5 * 10**7, step <= 3_600_000: below 2**52.
    Rounding   the payment of eight hours down.
    Law        [FUND-2]
    """
    return div_floor(mark_atoms * rate_e9, E9) * step_ms


@kernel
def compute_due_atoms(accrual: int) -> int:
    """Return the whole atoms per lot of an accrual. Rounding down; the rest stays accrued. [FUND-2]"""
    return div_floor(accrual, FUNDING_PERIOD_MS)
