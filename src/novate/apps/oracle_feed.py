"""Three oracles: each sees the same price a little differently and a little later, and signs what it saw.

The index is the law's median of their reports; a surface counts when two of them report the same. Surfaces
are renewed every few seconds with the time that is left, and rise when the index has fallen. The law's own
checks decide here too what is published, so an oracle never sends a surface that would be refused.
"""

import asyncio
import logging
import math
import random
from bisect import bisect
from collections import Counter
from collections.abc import Collection, Iterable, Sequence

from novate.apps.listing import find_open_series, sign_for
from novate.apps.market import (
    MarketError,
    MarketPlan,
    SeriesPlan,
    Svi,
    UnderlyingPlan,
    compute_level,
    find_neighbours,
    is_lawful,
    scale_slice,
)
from novate.apps.price_path import PricePath
from novate.apps.term_structure import compute_forward_ratio, compute_time_left, derive_series
from novate.apps.venue import Venue
from novate.execution.sequencer import VenueBusy
from novate.protocol.command import Command, make_command
from novate.protocol.generated.codes import Code, CommandKind
from novate.protocol.generated.constants import NS_PER_MS, NS_PER_S

INDEX_EVERY_S = 0.25
SURFACE_EVERY_S = 4.0
# Each oracle's own delay on the wall clock, and the deviation of what it sees, relative to the price.
DELAY_MS = (5, 25, 60)
NOISE_DEVIATION = 0.000_02
CONFIDENCE_E6 = 999_000
# A fall of 10 % raises variance by a quarter of the at-the-money level, and no fall by more than the level
# itself.
VARIANCE_PER_FALL = 2.5
VARIANCE_RISE_MAX = 1.0
log = logging.getLogger("novate.oracles")


class OracleFeed:
    """Publishes index and surfaces of a planned market along a path, from `begin_ns` of the venue's time
    on. Expiries that the venue lists later get surfaces derived from those around them.
    """

    def __init__(self, venue: Venue, plan: MarketPlan, path: PricePath, rate: float, seed: int = 7) -> None:
        self.venue = venue
        self.plan = plan
        self.path = path
        self.rate = rate
        self.begin_ns = venue.clock.time_ns()
        self.noise = [random.Random(seed * 1_000 + number) for number in range(len(venue.oracle_keys))]
        self.series = [list(underlying.series) for underlying in plan.underlyings]
        self.accepted: list[list[Svi | None]] = [[None] * len(series) for series in self.series]
        self.passed_over: set[tuple[int, int]] = set()
        self.results: Counter[str] = Counter()
        self.held_back = 0
        self.is_running = True

    def compute_index(self, underlying: UnderlyingPlan, time_ns: int) -> float:
        """Return the true price of an underlying in atoms at a time."""
        return underlying.index_atoms * self.path.compute_ratio(underlying.name, time_ns - self.begin_ns)

    async def submit(self, commands: Sequence[Command]) -> None:
        """Submit reports in order and count their results."""
        results = await asyncio.gather(
            *(self.venue.sequencer.submit(command) for command in commands), return_exceptions=True
        )
        for result in results:
            if isinstance(result, VenueBusy):
                self.results["VENUE_BUSY"] += 1
            elif isinstance(result, BaseException):
                raise result
            else:
                self.results[Code(result.code).name] += 1

    async def publish_index(self) -> None:
        """Let every oracle report every index once."""
        time_ns = self.venue.clock.time_ns()
        commands = []
        for oracle, key in enumerate(self.venue.oracle_keys):
            delay_ns = int(DELAY_MS[oracle % len(DELAY_MS)] * NS_PER_MS * self.rate)
            observed_ns = time_ns - delay_ns
            for number, underlying in enumerate(self.plan.underlyings):
                price = self.compute_index(underlying, observed_ns)
                price *= 1.0 + self.noise[oracle].gauss(0.0, NOISE_DEVIATION)
                command = make_command(
                    CommandKind.INDEX,
                    0,
                    underlying=number,
                    index_atoms=max(1, round(price)),
                    confidence_e6=CONFIDENCE_E6,
                    observed_ns=observed_ns,
                )
                commands.append(sign_for(self.venue, command, key))
        await self.submit(commands)

    def adopt_series(self, number: int, time_ns: int, index_atoms: int, listed: Iterable[int]) -> None:
        """Take in the expiries that have been listed, and forget those that have passed."""
        series, accepted = self.series[number], self.accepted[number]
        for expiry_ns in sorted(set(listed) - {each.expiry_ns for each in series}):
            try:
                derived = derive_series(series, expiry_ns, time_ns, index_atoms)
            except MarketError as error:
                if (number, expiry_ns) not in self.passed_over:
                    log.warning("no surface for the expiry at %d: %s", expiry_ns, error)
                    self.passed_over.add((number, expiry_ns))
                continue
            place = bisect([each.expiry_ns for each in series], expiry_ns)
            series.insert(place, derived)
            accepted.insert(place, None)
        # The last one stays: the next expiry is derived from it.
        while len(series) > 1 and series[0].expiry_ns <= time_ns:
            del series[0], accepted[0]

    def renew_slice(self, number: int, series: SeriesPlan, time_ns: int) -> Svi:
        """Return a series' slice for the time that is left, raised if the index has fallen since the
        beginning.
        """
        name = self.plan.underlyings[number].name
        fall = max(0.0, -math.log(self.path.compute_ratio(name, time_ns - self.begin_ns)))
        rise = min(VARIANCE_RISE_MAX, VARIANCE_PER_FALL * fall) * self.level_per_ns(number)
        left = compute_time_left(series, time_ns)
        return scale_slice(series.svi, left, rise * (series.expiry_ns - time_ns))

    def level_per_ns(self, number: int) -> float:
        """Return the lowest at-the-money variance per nanosecond of an underlying's expiries.

        One number for all expiries: added in proportion to time, it keeps later slices above earlier ones.
        """
        return min(
            compute_level(each.svi) / (each.expiry_ns - each.observed_ns) for each in self.series[number]
        )

    def choose_slices(
        self, number: int, time_ns: int, listed: Collection[int]
    ) -> list[tuple[SeriesPlan, Svi]]:
        """Return the renewed slices that the law accepts, in an order in which it accepts each.

        A slice may have to wait for its neighbour to move first; what never fits keeps its last accepted
        slice.
        """
        series, accepted = self.series[number], self.accepted[number]
        waiting: dict[int, Svi] = {}
        for i, each in enumerate(series):
            if each.expiry_ns in listed and each.expiry_ns > time_ns + NS_PER_S:
                waiting[i] = self.renew_slice(number, each, time_ns)
            else:
                accepted[i] = None
        chosen: list[tuple[SeriesPlan, Svi]] = []
        progress = True
        while progress:
            progress = False
            for i in (*sorted(waiting), *sorted(waiting, reverse=True)):
                if i in waiting and is_lawful(waiting[i], *find_neighbours(i, accepted)):
                    renewed = waiting.pop(i)
                    accepted[i] = renewed
                    chosen.append((series[i], renewed))
                    progress = True
        self.held_back += len(waiting)
        return chosen

    async def publish_surfaces(self) -> None:
        """Let every oracle report every surface that may change, the same for all."""
        time_ns = self.venue.clock.time_ns()
        unsigned: list[Command] = []
        for number, underlying in enumerate(self.plan.underlyings):
            index = self.compute_index(underlying, time_ns)
            listed = find_open_series(self.venue, number)
            self.adopt_series(number, time_ns, round(index), listed)
            for series, (a, b, rho, m, sigma) in self.choose_slices(number, time_ns, listed):
                command = make_command(
                    CommandKind.SURFACE,
                    0,
                    underlying=number,
                    expiry_ns=series.expiry_ns,
                    forward_atoms=round(index * compute_forward_ratio(series, time_ns)),
                    svi_a_x48=a,
                    svi_b_x48=b,
                    svi_rho_x48=rho,
                    svi_m_x48=m,
                    svi_sigma_x48=sigma,
                    observed_ns=time_ns,
                )
                unsigned.append(command)
        # Dozens of signatures at once would hold up everything else on this thread.
        commands = await asyncio.to_thread(self.sign_for_all, unsigned)
        await self.submit(commands)

    def sign_for_all(self, commands: Sequence[Command]) -> list[Command]:
        """Return each command signed by every oracle."""
        keys = self.venue.oracle_keys
        return [sign_for(self.venue, command, key) for command in commands for key in keys]

    async def begin(self) -> None:
        """Publish the first index and every surface, so that marks exist after the venue's next tick."""
        await self.publish_index()
        await self.publish_surfaces()

    async def run(self) -> None:
        """Publish until stopped."""
        loop = asyncio.get_running_loop()
        surfaces_at = loop.time() + SURFACE_EVERY_S
        while self.is_running:
            await asyncio.sleep(INDEX_EVERY_S)
            await self.publish_index()
            if loop.time() >= surfaces_at:
                await self.publish_surfaces()
                surfaces_at = loop.time() + SURFACE_EVERY_S

    def stop(self) -> None:
        """End `run` after its next step."""
        self.is_running = False
