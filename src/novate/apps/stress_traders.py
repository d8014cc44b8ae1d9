"""Who else trades in a stress test: a market maker whose depth follows the law of impact, and backstops who
sell what they were given.

The maker knows the new index before the venue's TICK, as a maker does who watches other markets; his quotes
stand at the distance that the square-root law expects for the notional they offer.
"""

from collections.abc import Sequence

import numpy as np

from novate.analytics.impact import choose_slice_notional
from novate.apps.stress_surfaces import compute_forward_ratio
from novate.apps.stress_venue import Account, StressVenue
from novate.execution import views
from novate.execution.engine import InstrumentView
from novate.protocol.command import Command
from novate.protocol.generated.codes import CommandKind, InstrumentKind, InstrumentState, TimeInForce
from novate.protocol.generated.constants import E6, NO_MARK_ATOMS, NS_PER_S, ORDER_LOTS_MAX, PRICE_TICKS_MAX

LINEAR_KINDS = (InstrumentKind.PERPETUAL, InstrumentKind.FUTURE)
# What trades here, as a share of the market in the files.
MARKET_SHARE = 0.05
# Distances of linear quotes from fair value, in deviations of a minute; at one deviation everything that
# trades in the time between two ticks is on offer.
LEVELS = (0.25, 0.5, 0.75, 1.0)
HALF_SPREAD_MIN = 0.000_1
# A dated future has this share of a perpetual's depth, and all options of an underlying together the other.
FUTURE_SHARE = 0.25
OPTION_SHARE = 0.10
# Options are quoted this many volatility points from fair value at a yearly volatility of one.
OPTION_POINTS = 3.0
POINTS = 100.0
# A backstop sells a quarter of a liquidation slice per tick, at most this far from the mark.
UNWIND_SHARE = 4
UNWIND_E6 = 10_000


class MarketMaker:
    """Quotes every perpetual and future, and the options that somebody holds, anew at every tick."""

    def __init__(self, venue: StressVenue, account: Account, tick_s: float) -> None:
        self.venue = venue
        self.account = account
        self.tick_s = tick_s
        self.levels = list(venue.levels)
        self.indexes_atoms = list(venue.indexes_atoms)

    def quote(self) -> list[Command]:
        """Return the maker's new orders; the old ones must be gone."""
        commands = []
        traded = set(np.unique(views.list_live_positions(self.venue.engine)["instrument"]).tolist())
        for instrument in self.venue.instruments:
            if 0 < instrument.expiry_ns <= self.venue.time_ns:
                continue
            if instrument.kind in LINEAR_KINDS:
                commands += self.quote_linear(instrument)
            elif instrument.number in traded:
                commands += self.quote_option(instrument)
        self.levels = list(self.venue.levels)
        self.indexes_atoms = list(self.venue.indexes_atoms)
        return commands

    def compute_depth(self, underlying: int, distance: float) -> float:
        """Return the notional in USDC on offer up to a distance (a fraction of the price) on one side."""
        model = self.venue.histories[underlying].find_model(self.venue.time_ns)
        return choose_slice_notional(model, distance, self.tick_s, MARKET_SHARE, 1.0)

    def quote_linear(self, instrument: InstrumentView) -> list[Command]:
        """Return a ladder on both sides of the fair value of a perpetual or a future."""
        venue = self.venue
        index = venue.indexes_atoms[instrument.underlying]
        ratio = compute_forward_ratio(venue.time_ns, instrument.expiry_ns) if instrument.expiry_ns else 1.0
        fair = index * ratio / instrument.lots_per_unit
        share = FUTURE_SHARE if instrument.expiry_ns else 1.0
        deviation = venue.histories[instrument.underlying].find_deviation(venue.time_ns)
        commands, offered = [], 0
        for level in LEVELS:
            distance = level * deviation
            depth = share * self.compute_depth(instrument.underlying, distance) * E6
            lots = int(depth * instrument.lots_per_unit / index) - offered
            offered += lots
            commands += self.place_pair(instrument, fair, fair * max(distance, HALF_SPREAD_MIN), lots)
        return commands

    def quote_option(self, instrument: InstrumentView) -> list[Command]:
        """Return one order on each side of an option's fair value: its last mark, moved along with index and
        volatility.
        """
        venue, underlying = self.venue, instrument.underlying
        state = views.read_instrument_state(venue.engine, instrument.number)
        if state.mark_atoms == NO_MARK_ATOMS or state.state != InstrumentState.OPEN:
            return []
        move = venue.indexes_atoms[underlying] / self.indexes_atoms[underlying] - 1.0
        points = (venue.levels[underlying] - self.levels[underlying]) * POINTS
        fair = max(0.0, state.mark_atoms + state.delta_atoms * move + state.vega_atoms * points)
        deviation = venue.histories[underlying].find_deviation(venue.time_ns)
        width = abs(state.delta_atoms) * max(deviation, HALF_SPREAD_MIN)
        width += state.vega_atoms * OPTION_POINTS * venue.levels[underlying]
        depth = OPTION_SHARE * self.compute_depth(underlying, deviation) * E6
        lots = int(depth * instrument.lots_per_unit / venue.indexes_atoms[underlying])
        return self.place_pair(instrument, fair, width, max(1, lots))

    def place_pair(self, instrument: InstrumentView, fair: float, width: float, lots: int) -> list[Command]:
        """Return a bid and an ask around a fair value per lot in atoms, each where it rounds to a price."""
        bid = int((fair - width) // instrument.tick_atoms)
        ask = max(1, int(-(-(fair + width) // instrument.tick_atoms)))
        lots = min(lots, ORDER_LOTS_MAX)
        if lots < 1:
            return []
        sides = [(lots, bid)] if 1 <= bid <= PRICE_TICKS_MAX else []
        sides += [(-lots, ask)] if ask <= PRICE_TICKS_MAX else []
        return [
            self.venue.place(self.account.address, instrument.number, signed, ticks, TimeInForce.GTC)
            for signed, ticks in sides
        ]


def offer_backstops(
    venue: StressVenue, capitals_atoms: Sequence[int], demands_e6: Sequence[int]
) -> list[Account]:
    """Open accounts that bid in auctions, each with its capital and its demand, and return them."""
    accounts = venue.deposit(capitals_atoms)
    venue.must(
        [
            venue.sign(CommandKind.BACKSTOP, account.address, demand_e6=demand)
            for account, demand in zip(accounts, demands_e6, strict=True)
        ]
    )
    return accounts


def unwind(venue: StressVenue, account: Account) -> list[Command]:
    """Return orders by which a backstop reduces, in each underlying, the position with the most delta."""
    heaviest: dict[int, tuple[int, int, int]] = {}
    for row in views.read_positions(venue.engine, account.number):
        instrument = venue.instruments[row.instrument]
        expiring = 0 < instrument.expiry_ns <= venue.time_ns + NS_PER_S
        if row.lots == 0 or expiring:
            continue
        delta = views.read_instrument_state(venue.engine, row.instrument).delta_atoms
        candidate = (abs(row.lots * delta), row.instrument, row.lots)
        heaviest[instrument.underlying] = max(candidate, heaviest.get(instrument.underlying, (-1, 0, 0)))
    commands = []
    for underlying, (_, number, held) in heaviest.items():
        instrument, state = venue.instruments[number], views.read_instrument_state(venue.engine, number)
        notional = venue.engine.genesis.underlyings[underlying].slice_notional_atoms // UNWIND_SHARE
        lots = min(abs(held), max(1, notional // state.notional_atoms))
        width = state.notional_atoms * UNWIND_E6 // E6
        limit = state.mark_atoms + (width if held < 0 else -width)
        ticks = min(max(1, limit // instrument.tick_atoms), PRICE_TICKS_MAX)
        commands.append(
            venue.place(account.address, number, lots if held < 0 else -lots, ticks, TimeInForce.IOC)
        )
    return commands
