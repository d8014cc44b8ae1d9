"""Listing a planned market on a venue, and reading back from a venue the market it has."""

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from coincurve import PrivateKey

from novate.access.operator_nonces import choose_operator_nonce
from novate.apps.market import MarketPlan, SeriesPlan
from novate.apps.venue import Venue
from novate.execution import views
from novate.execution.engine import InstrumentView
from novate.protocol.command import Command, make_command
from novate.protocol.generated.codes import Code, CommandKind, InstrumentKind
from novate.protocol.generated.constants import NS_PER_DAY
from novate.protocol.instrument import InstrumentTerms, format_instrument_name
from novate.protocol.signing import Domain, sign_command

SUBMIT_CHUNK = 256


class ListingError(RuntimeError):
    """The law refused an instrument of the plan; the message names it and the code."""


class Listed(NamedTuple):
    """How many instruments were listed now, and how many were there before."""

    now: int
    before: int


def sign_for(venue: Venue, command: Command, key: PrivateKey) -> Command:
    """Return the command signed in the venue's domain."""
    domain = Domain(venue.genesis.chain_id, venue.genesis.settlement)
    return sign_command(command, venue.engine.names, domain, key)


def list_terms(plan: MarketPlan) -> Iterator[InstrumentTerms]:
    """Yield the terms of every planned instrument, expiries in order, perpetuals last."""
    for number, underlying in enumerate(plan.underlyings):
        for series in underlying.series:
            for option in series.options:
                kind = InstrumentKind.CALL if option.is_call else InstrumentKind.PUT
                yield InstrumentTerms(number, kind, option.strike_atoms, series.expiry_ns)
            if underlying.has_futures:
                yield InstrumentTerms(number, InstrumentKind.FUTURE, 0, series.expiry_ns)
    for number, underlying in enumerate(plan.underlyings):
        if underlying.has_perpetual:
            yield InstrumentTerms(number, InstrumentKind.PERPETUAL, 0, 0)


def read_terms(instrument: InstrumentView) -> InstrumentTerms:
    """Return the terms that an instrument was listed with."""
    return InstrumentTerms(
        instrument.underlying, instrument.kind, instrument.strike_atoms, instrument.expiry_ns
    )


async def submit_listings(venue: Venue, wanted: Sequence[InstrumentTerms]) -> None:
    """Let the operator sign and submit a LIST_INSTRUMENT for each, in order.

    Errors     ListingError if the law refuses one; VenueBusy if the sequencer takes no more now.
    """
    time_ns = venue.clock.time_ns()
    first_nonce = choose_operator_nonce(venue.engine, time_ns)
    commands = [
        make_command(
            CommandKind.LIST_INSTRUMENT,
            0,
            underlying=terms.underlying,
            instrument_kind=terms.kind,
            strike_atoms=terms.strike_atoms,
            expiry_ns=terms.expiry_ns,
            nonce=first_nonce + offset,
            expires_ns=time_ns + NS_PER_DAY,
        )
        for offset, terms in enumerate(wanted)
    ]
    signed = await asyncio.to_thread(
        lambda: [sign_for(venue, command, venue.operator_key) for command in commands]
    )
    outcomes = await asyncio.gather(*(venue.sequencer.submit(command) for command in signed))
    for terms, outcome in zip(wanted, outcomes, strict=True):
        if outcome.code != Code.OK:
            name = format_instrument_name(venue.genesis.underlyings[terms.underlying].name, terms)
            raise ListingError(f"{name} was refused: {Code(outcome.code).name}")


async def list_market(venue: Venue, plan: MarketPlan) -> Listed:
    """List every planned instrument that the venue does not have; a listing cut short goes on where it ended.

    Errors     ListingError if the law refuses one.
    """
    listed = {read_terms(instrument) for instrument in venue.engine.instruments}
    missing = [terms for terms in list_terms(plan) if terms not in listed]
    for start in range(0, len(missing), SUBMIT_CHUNK):
        await submit_listings(venue, missing[start : start + SUBMIT_CHUNK])
    return Listed(len(missing), plan.instrument_count - len(missing))


def is_planned(venue: Venue, plan: MarketPlan) -> bool:
    """Whether the venue has listed nothing but what the plan has."""
    planned = set(list_terms(plan))
    return all(read_terms(instrument) in planned for instrument in venue.engine.instruments)


def find_open_series(venue: Venue, number: int) -> dict[int, int]:
    """Return the number of each series of an underlying that has not expired, by its expiry."""
    world = venue.engine.world
    series = world.series[: int(world.house["series_count"][0])]
    places = np.flatnonzero((series["underlying"] == number) & (series["expired"] == 0))
    return {int(series["expiry_ns"][place]): int(place) for place in places}


def read_series(venue: Venue, number: int) -> tuple[SeriesPlan, ...]:
    """Return the open series of an underlying that have an accepted surface, in order of expiry."""
    found = []
    for expiry_ns, place in sorted(find_open_series(venue, number).items()):
        surface = views.read_surface(venue.engine, place)
        if surface is not None:
            forward, a, b, rho, m, sigma, observed_ns, reference = surface
            found.append(SeriesPlan(expiry_ns, observed_ns, forward, reference, (a, b, rho, m, sigma), ()))
    return tuple(found)


def resume_market(venue: Venue, plan: MarketPlan) -> MarketPlan:
    """Return the plan with the venue's own index and surfaces, wherever it has them, as its beginning."""
    underlyings = []
    for number, underlying in enumerate(plan.underlyings):
        index_atoms = views.read_underlying(venue.engine, number).index_atoms or underlying.index_atoms
        series = read_series(venue, number) or underlying.series
        underlyings.append(replace(underlying, index_atoms=index_atoms, series=series))
    return MarketPlan(venue.clock.time_ns(), tuple(underlyings), plan.source, plan.fit)
