"""Volatility surfaces of a stress test: one smile for every expiry, its level following what prices did.

Slices are Gatheral and Jacquier's SSVI with the power law phi = eta / sqrt(theta * (1 + theta)), which has no
arbitrage for eta * (1 + |rho|) <= 2 and a total variance theta that grows with time (2014, Arbitrage-free SVI
volatility surfaces, section 4). The law's own checks still decide what is reported.
"""

import math

from novate.apps.market import Svi, find_neighbours, is_lawful
from novate.protocol.arithmetic import ONE_X48
from novate.protocol.generated.constants import NS_PER_S, NS_PER_YEAR

ETA = 1.0
RHO = -0.25
# Implied volatility trades above what is realised, and calms down within weeks: variance of long expiries
# returns to its mean as in Heston's model.
PREMIUM = 1.1
VOLATILITY_MIN = 0.40
VOLATILITY_MAX = 2.00
VOLATILITY_LONG = 0.70
REVERSION_PER_YEAR = 12.0
# Dated futures and forwards stand above the index by this rate a year.
CARRY_PER_YEAR = 0.05


def choose_level(realised: float) -> float:
    """Return the volatility of the nearest expiry for a realised one, between bounds."""
    return min(max(PREMIUM * realised, VOLATILITY_MIN), VOLATILITY_MAX)


def compute_variance(level: float, years: float) -> float:
    """Return the total variance at the money of an expiry so many years away."""
    long = VOLATILITY_LONG**2
    decay = -math.expm1(-REVERSION_PER_YEAR * years) / REVERSION_PER_YEAR
    return long * years + (level**2 - long) * decay


def make_slice(theta: float) -> Svi:
    """Return the raw SVI slice, in x48, of a total variance at the money."""
    phi = ETA / math.sqrt(theta * (1.0 + theta))
    rest = math.sqrt(1.0 - RHO * RHO)
    figures = (theta / 2.0 * rest * rest, theta * phi / 2.0, RHO, -RHO / phi, rest / phi)
    a, b, rho, m, sigma = (round(each * ONE_X48) for each in figures)
    return a, b, rho, m, sigma


def compute_forward_ratio(time_ns: int, expiry_ns: int) -> float:
    """Return the forward of an expiry as a multiple of the index."""
    return math.exp(CARRY_PER_YEAR * max(0, expiry_ns - time_ns) / NS_PER_YEAR)


class SurfaceFeed:
    """Renews the slices of one underlying's expiries, which stand in ascending order."""

    def __init__(self, expiries_ns: tuple[int, ...]) -> None:
        self.expiries_ns = expiries_ns
        self.accepted: list[Svi | None] = [None] * len(expiries_ns)

    def renew(self, time_ns: int, level: float) -> list[tuple[int, Svi]]:
        """Return (expiry, slice) of all that the law accepts, in an order in which it accepts each.

        When the level rises, a slice has to wait until the later one has moved out of its way. One that
        never fits keeps what was last accepted.
        """
        waiting: dict[int, Svi] = {}
        for i, expiry_ns in enumerate(self.expiries_ns):
            if expiry_ns > time_ns + NS_PER_S:
                waiting[i] = make_slice(compute_variance(level, (expiry_ns - time_ns) / NS_PER_YEAR))
            else:
                self.accepted[i] = None
        chosen: list[tuple[int, Svi]] = []
        while True:
            found = next((i for i in sorted(waiting, reverse=True) if self.fits(i, waiting[i])), None)
            if found is None:
                return chosen
            renewed = waiting.pop(found)
            self.accepted[found] = renewed
            chosen.append((self.expiries_ns[found], renewed))

    def fits(self, i: int, renewed: Svi) -> bool:
        """Whether the law accepts a slice beside its neighbours as they stand."""
        return is_lawful(renewed, *find_neighbours(i, self.accepted))
