"""Listing a planned market on a venue, and reading back from a venue the market it has."""

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple

from coincurve import PrivateKey

from novate.apps.market import MarketPlan, SeriesPlan, UnderlyingPlan
from novate.apps.venue import Venue
from novate.execution import views
from novate.protocol.command import Command, make_command
from novate.protocol.generated.codes import Code, CommandKind, InstrumentKind, InstrumentState
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


async def list_market(venue: Venue, plan: MarketPlan) -> Listed:
    """List every planned instrument that the venue does not have; a listing cut short goes on where it ended.

    Errors     ListingError if the law refuses one.
    """
    names = [underlying.name for underlying in plan.underlyings]
    missing = [
        terms
        for terms in list_terms(plan)
        if venue.engine.find_instrument(format_instrument_name(names[terms.underlying], terms)) < 0
    ]
    before = plan.instrument_count - len(missing)
    time_ns = venue.clock.time_ns()
    commands = []
    for offset, terms in enumerate(missing):
        command = make_command(
            CommandKind.LIST_INSTRUMENT,
            0,
            underlying=terms.underlying,
            instrument_kind=terms.kind,
            strike_atoms=terms.strike_atoms,
            expiry_ns=terms.expiry_ns,
            # Time only goes on, so a later run's nonces are greater.
            nonce=time_ns + offset,
            expires_ns=time_ns + NS_PER_DAY,
        )
        commands.append(sign_for(venue, command, venue.operator_key))
    for start in range(0, len(commands), SUBMIT_CHUNK):
        chunk = commands[start : start + SUBMIT_CHUNK]
        outcomes = await asyncio.gather(*(venue.sequencer.submit(command) for command in chunk))
        for terms, outcome in zip(missing[start : start + SUBMIT_CHUNK], outcomes, strict=True):
            if outcome.code != Code.OK:
                name = format_instrument_name(names[terms.underlying], terms)
                raise ListingError(f"{name} was refused: {Code(outcome.code).name}")
    return Listed(len(missing), before)


def read_series(venue: Venue, number: int, underlying: UnderlyingPlan) -> tuple[SeriesPlan, ...]:
    """Return the planned series that are still open, each with its accepted surface if there is one."""
    accepted = {}
    for instrument in venue.engine.instruments:
        state = views.read_instrument_state(venue.engine, instrument.number).state
        if instrument.underlying == number and instrument.series >= 0 and state == InstrumentState.OPEN:
            accepted[instrument.expiry_ns] = views.read_surface(venue.engine, instrument.series)
    found = []
    for series in underlying.series:
        if series.expiry_ns not in accepted:
            continue
        surface = accepted[series.expiry_ns]
        if surface is not None:
            forward, *svi, observed_ns, reference = surface
            a, b, rho, m, sigma = svi
            slice_now = (a, b, rho, m, sigma)
            series = SeriesPlan(series.expiry_ns, observed_ns, forward, reference, slice_now, series.options)
        found.append(series)
    return tuple(found)


def resume_market(venue: Venue, plan: MarketPlan) -> MarketPlan:
    """Return the plan with the venue's own index and surfaces, wherever it has them, as its beginning."""
    underlyings = []
    for number, underlying in enumerate(plan.underlyings):
        index_atoms = views.read_underlying(venue.engine, number).index_atoms or underlying.index_atoms
        series = read_series(venue, number, underlying)
        underlyings.append(replace(underlying, index_atoms=index_atoms, series=series))
    return MarketPlan(venue.clock.time_ns(), tuple(underlyings), plan.source, plan.fit)
