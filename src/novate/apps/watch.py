"""What a running demo shows and reports: figures read from the engine, the sequencer and the traders' own
ledger.

Reads only. Extremes are kept from sample to sample, because the worst moment of a run is what matters.
"""

import time
from collections import Counter, deque
from dataclasses import dataclass, field
from typing import NamedTuple

from novate.apps.ack_ledger import AckLedger
from novate.apps.venue import Venue
from novate.execution import views
from novate.execution.sequencer import Outcome
from novate.protocol.generated.codes import EventKind
from novate.protocol.generated.constants import E6, NO_MARK_ATOMS

INDEX_POINTS_KEPT = 120
LIVE_LATENCIES = 2_000
TOP_INSTRUMENTS = 8
RATE_WINDOW = 6


class InstrumentRow(NamedTuple):
    """One instrument as shown: prices in USDC per 1.0 of the underlying, 0 where there is none."""

    name: str
    mark: float
    bid: float
    ask: float
    volume_usdc: float


@dataclass
class MarginExtremes:
    """The worst that was seen. `usage` is maintenance margin over equity: above 1 an account is
    liquidatable.
    """

    usage_max: float = 0.0
    initial_usage_max: float = 0.0
    equity_min_usdc: float = float("inf")
    liquidatable_max: int = 0


@dataclass
class Snapshot:
    """Everything the live view shows at one moment."""

    elapsed_s: float = 0.0
    total_s: float = 0.0
    venue_time_ns: int = 0
    indexes: dict[str, list[float]] = field(default_factory=dict)
    instruments: list[InstrumentRow] = field(default_factory=list)
    instrument_count: int = 0
    account_count: int = 0
    orders: int = 0
    orders_per_s: float = 0.0
    fills: int = 0
    volume_usdc: float = 0.0
    refusals: dict[str, int] = field(default_factory=dict)
    ack_ms: list[float] = field(default_factory=lambda: [0.0, 0.0, 0.0])
    engine_us: float = 0.0
    batches: int = 0
    sequence: int = 0
    margin: MarginExtremes = field(default_factory=MarginExtremes)


class Watcher:
    """Samples one venue and its traders."""

    def __init__(self, venue: Venue, ledger: AckLedger, total_s: float) -> None:
        self.venue = venue
        self.ledger = ledger
        self.total_s = total_s
        self.begun = time.perf_counter()
        self.fill_count = 0
        self.volume_atoms = 0
        self.volume_of: Counter[int] = Counter()
        self.margin = MarginExtremes()
        self.indexes: dict[str, deque[float]] = {
            underlying.name: deque(maxlen=INDEX_POINTS_KEPT) for underlying in venue.genesis.underlyings
        }
        self.rates: deque[tuple[float, int]] = deque(maxlen=RATE_WINDOW)
        venue.sequencer.listeners.append(self.on_outcomes)

    def on_outcomes(self, outcomes: list[Outcome]) -> None:
        """Count fills and their value."""
        for outcome in outcomes:
            if len(outcome.events) < 2:
                continue
            for event in outcome.events[outcome.events["kind"] == EventKind.FILL]:
                number = int(event["instrument"])
                tick_atoms = self.venue.engine.instruments[number].tick_atoms
                value = int(event["lots"]) * int(event["price_ticks"]) * tick_atoms
                self.fill_count += 1
                self.volume_atoms += value
                self.volume_of[number] += value

    def compute_engine_us(self) -> float:
        """Return the engine's time per order in microseconds, over groups of traders' commands."""
        statistics = self.venue.sequencer.statistics
        return statistics.order_engine_ns / 1_000 / max(1, statistics.order_count)

    def sample_margin(self) -> None:
        """Look at every account and keep the extremes."""
        liquidatable = 0
        for account in range(len(self.venue.engine.addresses)):
            view = views.read_account(self.venue.engine, account)
            equity = max(1, view.equity_atoms)
            self.margin.usage_max = max(self.margin.usage_max, view.maintenance_margin_atoms / equity)
            self.margin.initial_usage_max = max(
                self.margin.initial_usage_max, view.initial_margin_atoms / equity
            )
            self.margin.equity_min_usdc = min(self.margin.equity_min_usdc, view.equity_atoms / E6)
            liquidatable += view.maintenance_margin_atoms > view.equity_atoms
        self.margin.liquidatable_max = max(self.margin.liquidatable_max, liquidatable)

    def describe_instrument(self, number: int) -> InstrumentRow:
        """Return the row of one instrument."""
        instrument = self.venue.engine.instruments[number]
        scale = instrument.lots_per_unit / E6
        mark_atoms = views.read_instrument_state(self.venue.engine, number).mark_atoms
        mark_atoms = 0 if mark_atoms == NO_MARK_ATOMS else mark_atoms
        bids, asks = views.read_book(self.venue.engine, number, 1)
        bid, ask = (side[0][0] * instrument.tick_atoms * scale if side else 0.0 for side in (bids, asks))
        return InstrumentRow(instrument.name, mark_atoms * scale, bid, ask, self.volume_of[number] / E6)

    def sample(self) -> Snapshot:
        """Return the figures of this moment."""
        engine, now = self.venue.engine, time.perf_counter() - self.begun
        for number, underlying in enumerate(self.venue.genesis.underlyings):
            self.indexes[underlying.name].append(views.read_underlying(engine, number).index_atoms / E6)
        self.sample_margin()
        self.rates.append((now, self.ledger.order_count))
        (begin, before), (end, after) = self.rates[0], self.rates[-1]
        recent = AckLedger()
        recent.latencies_ns = self.ledger.latencies_ns[-LIVE_LATENCIES:]
        return Snapshot(
            elapsed_s=now,
            total_s=self.total_s,
            venue_time_ns=self.venue.clock.time_ns(),
            indexes={name: list(points) for name, points in self.indexes.items()},
            instruments=[self.describe_instrument(n) for n, _ in self.volume_of.most_common(TOP_INSTRUMENTS)],
            instrument_count=len(engine.instruments),
            account_count=len(engine.addresses),
            orders=self.ledger.order_count,
            orders_per_s=(after - before) / max(1e-9, end - begin),
            fills=self.fill_count,
            volume_usdc=self.volume_atoms / E6,
            refusals=dict(self.ledger.refusals.most_common(4)),
            ack_ms=recent.compute_latency_ms(0.5, 0.99, 0.999),
            engine_us=self.compute_engine_us(),
            batches=len(self.venue.batches),
            sequence=engine.sequence,
            margin=self.margin,
        )
