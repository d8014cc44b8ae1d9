"""What an operator's Prometheus reads: counts of door and sequencer, levels of the state, ages of marks.

Nothing is measured on the way of an order: every figure is read when it is asked for, from counters that are
kept anyway. Base units, as Prometheus wants them: seconds, bytes, USDC.
"""

import os
import shutil
from collections import Counter
from collections.abc import Iterator
from importlib.metadata import version

from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from novate.apps.venue import Venue
from novate.execution.sequencer import QUEUE_LENGTH_MAX, Outcome
from novate.execution.statistics import Histogram
from novate.protocol.generated.codes import Code, CommandKind

NS_PER_S = 1_000_000_000
ATOMS_PER_USDC = 1_000_000


class VenueCollector(Collector):
    """Reads one venue. It listens to the sequencer from its construction on."""

    def __init__(self, venue: Venue) -> None:
        self.venue = venue
        self.commands: Counter[tuple[CommandKind, Code]] = Counter()
        venue.sequencer.listeners.append(self.on_outcomes)

    def on_outcomes(self, outcomes: list[Outcome]) -> None:
        """Count commands by kind and result; both lists are closed, so the labels are bounded."""
        self.commands.update((outcome.command.kind, outcome.code) for outcome in outcomes)

    def collect(self) -> Iterator[Metric]:
        """Yield every figure as it is now."""
        yield from self.collect_door()
        yield from self.collect_sequencer()
        yield from self.collect_batches()
        yield from self.collect_tables()
        yield from self.collect_money()
        yield from self.collect_marks()
        yield show_gauge("build_info", "Always 1; the version is a label.", 1, version=version("novate"))

    def collect_door(self) -> Iterator[Metric]:
        """Yield what has happened at the network's door."""
        server = self.venue.server
        counters = server.counters
        yield show_counter("requests", "Requests, refused ones included.", counters.requests)
        yield show_counter("notifications", "Messages sent to subscribers.", counters.notifications)
        yield show_counter(
            "internal_errors", "Requests that failed by a fault of ours.", counters.internal_errors
        )
        yield show_counter("slow_consumers", "Connections ended for not reading.", counters.slow_consumers)
        yield show_counter(
            "connections_refused", "Connections beyond the limit.", counters.connections_refused
        )
        refusals = CounterMetricFamily("novate_refusals", "Refused requests by reason.", labels=["reason"])
        for reason, count in sorted(counters.refusals.items()):
            refusals.add_metric([reason.lower()], count)
        yield refusals
        yield show_gauge("connections", "Open WebSocket connections.", len(server.connections))
        yield show_gauge("connections_max", "WebSocket connections allowed.", server.limits.connections)
        yield show_histogram(
            "write_ack_seconds",
            "From a write's arrival to its durable acknowledgement.",
            counters.acknowledgements,
        )

    def collect_sequencer(self) -> Iterator[Metric]:
        """Yield what the one writer has done."""
        sequencer = self.venue.sequencer
        statistics = sequencer.statistics
        commands = CounterMetricFamily(
            "novate_commands", "Sequenced commands by kind and result.", labels=["kind", "result"]
        )
        for (kind, code), count in sorted(self.commands.items()):
            commands.add_metric([kind.name.lower(), code.name.lower()], count)
        yield commands
        yield show_gauge("sequence", "Sequence number of the last command.", self.venue.engine.sequence)
        yield show_counter("groups", "Groups of commands made durable.", statistics.group_count)
        yield show_counter("engine_cpu_seconds", "CPU time of the engine.", statistics.engine_ns / NS_PER_S)
        yield show_histogram("journal_sync_seconds", "Writing and syncing one group.", statistics.syncs)
        yield show_counter("journal_bytes", "Bytes appended to the journal.", sequencer.journal.bytes_written)
        yield show_gauge("queue_commands", "Commands waiting for the sequencer.", len(sequencer.queue))
        yield show_gauge("queue_commands_max", "Room for waiting commands.", QUEUE_LENGTH_MAX)

    def collect_batches(self) -> Iterator[Metric]:
        """Yield how far sealing, publishing and posting have come, and what the disk has left."""
        poster, house = self.venue.poster, self.venue.engine.world.house[0]
        yield show_gauge("batch_sealed", "Number of the last sealed batch.", int(house["batch"]))
        yield show_gauge("batch_posted", "Number of the last batch on the chain.", poster.posted_number)
        yield show_gauge(
            "batches_waiting", "Sealed batches not posted yet.", int(house["batch"]) - poster.posted_number
        )
        yield show_counter("gas_used", "Gas of posted batches.", poster.gas_used)
        yield show_gauge("deposit_cursor", "Last deposit credited.", int(house["deposit_cursor"]))
        yield show_gauge("snapshot_sequence", "Sequence of the last snapshot.", poster.snapshot_sequence)
        free = shutil.disk_usage(self.venue.folder).free
        yield show_gauge("disk_free_bytes", "Room left on the data directory's disk.", free)

    def collect_tables(self) -> Iterator[Metric]:
        """Yield how full the tables of the genesis file are, and who is being liquidated."""
        world = self.venue.engine.world
        house = world.house[0]
        sizes = {
            "accounts": (int(house["account_count"]), len(world.accounts)),
            "instruments": (int(house["instrument_count"]), len(world.instruments)),
            "series": (int(house["series_count"]), len(world.series)),
            "orders": (len(world.orders) - int(house["free_order_count"]), len(world.orders)),
            "positions": (len(world.positions) - int(house["free_position_count"]), len(world.positions)),
            "triggers": (len(world.waiting) - int(house["free_waiting_count"]), len(world.waiting)),
        }
        used = GaugeMetricFamily("novate_table_rows", "Rows in use, by table.", labels=["table"])
        room = GaugeMetricFamily("novate_table_rows_max", "Rows of the genesis limits.", labels=["table"])
        for table, (count, limit) in sizes.items():
            used.add_metric([table], count)
            room.add_metric([table], limit)
        yield used
        yield room
        stages = world.accounts["liquidation_stage"][: sizes["accounts"][0]]
        yield show_gauge("liquidations", "Accounts in liquidation.", int((stages != 0).sum()))

    def collect_money(self) -> Iterator[Metric]:
        """Yield the house's money in USDC, for people; the law counts atoms."""
        house = self.venue.engine.world.house[0]
        money = GaugeMetricFamily("novate_house_usdc", "Money of the house.", labels=["of"])
        for name in ("deposited", "withdrawn", "fees", "insurance"):
            money.add_metric([name], int(house[f"{name}_atoms"]) / ATOMS_PER_USDC)
        yield money

    def collect_marks(self) -> Iterator[Metric]:
        """Yield index prices, their confidence, and how old they are by the venue's clock."""
        world, time_ns = self.venue.engine.world, self.venue.clock.time_ns()
        index = GaugeMetricFamily("novate_index_usdc", "Index price.", labels=["underlying"])
        confidence = GaugeMetricFamily("novate_index_confidence", "From 0 to 1.", labels=["underlying"])
        age = GaugeMetricFamily("novate_index_age_seconds", "Since it was observed.", labels=["underlying"])
        for market, underlying in zip(world.markets, self.venue.genesis.underlyings, strict=True):
            if int(market["index_time_ns"]) == 0:
                continue
            index.add_metric([underlying.name], int(market["index_atoms"]) / ATOMS_PER_USDC)
            confidence.add_metric([underlying.name], int(market["confidence_e6"]) / 1_000_000)
            age.add_metric([underlying.name], (time_ns - int(market["index_time_ns"])) / NS_PER_S)
        yield from (index, confidence, age)


def show_counter(name: str, text: str, value: float) -> Metric:
    """Return a counter without labels; its name gets `_total`."""
    return CounterMetricFamily(f"novate_{name}", text, value=value)


def show_gauge(name: str, text: str, value: float, **labels: str) -> Metric:
    """Return a gauge."""
    family = GaugeMetricFamily(f"novate_{name}", text, labels=list(labels))
    family.add_metric(list(labels.values()), value)
    return family


def show_histogram(name: str, text: str, histogram: Histogram) -> Metric:
    """Return a histogram in seconds."""
    total, buckets = 0, []
    for bound_ns, count in zip((*histogram.bounds_ns, None), histogram.counts, strict=True):
        total += count
        buckets.append(("+Inf" if bound_ns is None else repr(bound_ns / NS_PER_S), total))
    return HistogramMetricFamily(
        f"novate_{name}", text, buckets=buckets, sum_value=histogram.sum_ns / NS_PER_S
    )


def make_registry(venue: Venue) -> CollectorRegistry:
    """Return everything that /metrics shows: the venue, the process and its interpreter."""
    registry = CollectorRegistry()
    registry.register(VenueCollector(venue))
    ProcessCollector(pid=os.getpid, registry=registry)
    PlatformCollector(registry=registry)
    GCCollector(registry=registry)
    return registry
