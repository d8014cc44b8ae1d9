"""The task of a venue that lists what its rule asks for: at the start, once a minute, and after each expiry.

It compares the rule with everything that the engine has ever listed, so a restart lists nothing twice. A
part of the genesis limits stays in reserve for the operator; when the rest is used up, the task says so and
lists no more.
"""

import asyncio
import logging
import tomllib
from pathlib import Path

from novate.apps.listing import ListingError, read_terms, submit_listings
from novate.apps.listing_rule import (
    INDEX_ATOMS_MIN,
    IndexPrice,
    ListingRule,
    ListingRuleError,
    list_expiries,
    list_missing,
    load_rule,
)
from novate.apps.venue import Venue
from novate.apps.venue_config import LISTING_NAME, VenueError
from novate.execution import views
from novate.execution.sequencer import VenueBusy
from novate.protocol.generated.constants import NS_PER_S
from novate.protocol.instrument import InstrumentTerms

LOOK_EVERY_NS = 60 * NS_PER_S
# Between two looks, and between two turns of one: a venue whose time runs fast must not be kept busy.
PAUSE_S = 0.2
TURN_COUNT_MAX = 128
# What the task leaves of the genesis limits, for what the operator may have to list by hand.
INSTRUMENT_RESERVE = 64
SERIES_RESERVE = 8
WARN_EVERY_NS = 3_600 * NS_PER_S
# Room for a venue that lists by rule: the law's greatest number of instruments, and the series that the
# default rule makes in the time in which two underlyings use them up.
RULE_LIMITS = {"instruments": 1 << 14, "series": 1 << 9}
log = logging.getLogger("novate.listing")


def read_rule(folder: Path) -> ListingRule:
    """Return the rule of DIR/listing.toml, the default one if there is no such file.

    Errors     VenueError naming the file, if it cannot be used.
    """
    path = folder / LISTING_NAME
    if not path.exists():
        return ListingRule()
    try:
        return load_rule(tomllib.loads(path.read_text()))
    except (OSError, ValueError) as error:
        raise VenueError(f"{path}: {error}") from error


class ListingTask:
    """Lists by a rule on one venue. `update` once, then `run`."""

    def __init__(self, venue: Venue, rule: ListingRule) -> None:
        self.venue = venue
        self.rule = rule
        self.listed: set[InstrumentTerms] = set()
        self.known_count = 0
        self.warn_after_ns = 0

    def read_listed(self) -> set[InstrumentTerms]:
        """Return everything ever listed; instruments never change, so only the new ones are read."""
        instruments = self.venue.engine.instruments
        self.listed.update(read_terms(each) for each in instruments[self.known_count :])
        self.known_count = len(instruments)
        return self.listed

    def read_indices(self) -> list[IndexPrice]:
        """Return the underlyings that have an index for which the rule has strikes."""
        indices = []
        for number, underlying in enumerate(self.venue.genesis.underlyings):
            index_atoms = views.read_underlying(self.venue.engine, number).index_atoms
            if index_atoms >= INDEX_ATOMS_MIN:
                indices.append(IndexPrice(number, index_atoms, underlying.index_atoms_max))
        return indices

    def find_missing(self, time_ns: int) -> list[InstrumentTerms]:
        """Return what the rule asks for and the venue lacks, as far as the genesis limits allow."""
        listed, limits = self.read_listed(), self.venue.genesis.limits
        everything = list_missing(time_ns, self.read_indices(), self.rule, listed, limits["instruments"])
        series = {(terms.underlying, terms.expiry_ns) for terms in listed if terms.expiry_ns}
        # Combos of one expiry have the same terms, so they are counted by their numbers.
        room = limits["instruments"] - INSTRUMENT_RESERVE - self.known_count
        series_max = limits["series"] - SERIES_RESERVE
        chosen: list[InstrumentTerms] = []
        for terms in everything:
            key = (terms.underlying, terms.expiry_ns)
            is_new = bool(terms.expiry_ns) and key not in series
            if len(chosen) < room and not (is_new and len(series) >= series_max):
                chosen.append(terms)
                series |= {key} if is_new else set()
        if len(chosen) < len(everything):
            self.warn(time_ns, len(everything) - len(chosen))
        return chosen

    def warn(self, time_ns: int, left_out: int) -> None:
        """Say what cannot be listed, at most once an hour of the venue's time."""
        if time_ns < self.warn_after_ns:
            return
        self.warn_after_ns = time_ns + WARN_EVERY_NS
        instruments, series = self.venue.genesis.limits["instruments"], self.venue.genesis.limits["series"]
        log.warning(
            "the genesis limits are used up: %d instruments of the rule are not listed. Listing by rule ends "
            "at %d of %d instruments and %d of %d series; only a new venue has more room.",
            left_out,
            max(0, instruments - INSTRUMENT_RESERVE),
            instruments,
            max(0, series - SERIES_RESERVE),
            series,
        )

    async def update(self) -> int:
        """List everything that is missing now, a bounded number at a time; return how many.

        Errors     ListingError, and VenueBusy if the sequencer takes no more now; ListingRuleError if a rule
                   has no strikes for an index.
        """
        count = 0
        while missing := self.find_missing(self.venue.clock.time_ns())[:TURN_COUNT_MAX]:
            await submit_listings(self.venue, missing)
            count += len(missing)
            await asyncio.sleep(0)
        if count:
            log.info("%d instruments listed", count)
        return count

    def find_next_look(self, time_ns: int) -> int:
        """Return the time of the next look: in a minute, or when an expiry passes."""
        expiries = (each.expiry_ns for each in list_expiries(time_ns, self.rule))
        return min(time_ns + LOOK_EVERY_NS, *expiries)

    async def run(self) -> None:
        """Look again and again; what fails is said, and tried again at the next look."""
        while True:
            time_ns = self.venue.clock.time_ns()
            left_s = (self.find_next_look(time_ns) - time_ns) / NS_PER_S / self.venue.config.rate
            await asyncio.sleep(max(left_s, PAUSE_S))
            try:
                await self.update()
            except (ListingError, ListingRuleError, VenueBusy) as error:
                log.warning("the listing rule could not be followed: %s", error)
