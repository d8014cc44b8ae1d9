"""What a venue counts about itself, for people: nothing decides by these figures."""

from bisect import bisect_left

NS_PER_MS = 1_000_000
# From 50 us to 10 s, each about twice the last: a disk's sync and an acknowledgement both fall inside.
DURATION_BOUNDS_NS = tuple(
    round(ms * NS_PER_MS)
    for ms in (0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000)
)


class Histogram:
    """Durations counted by their least bound: `counts[i]` are at most `bounds_ns[i]`, the last are longer."""

    def __init__(self, bounds_ns: tuple[int, ...] = DURATION_BOUNDS_NS) -> None:
        self.bounds_ns = bounds_ns
        self.counts = [0] * (len(bounds_ns) + 1)
        self.sum_ns = 0

    def observe(self, duration_ns: int) -> None:
        """Count one duration in ns."""
        self.counts[bisect_left(self.bounds_ns, duration_ns)] += 1
        self.sum_ns += duration_ns


class Statistics:
    """Counts of a sequencer since its start. Engine time is CPU time of the writer."""

    def __init__(self) -> None:
        self.command_count = 0
        self.group_count = 0
        self.engine_ns = 0
        self.sync_ns = 0
        self.order_count = 0
        self.order_engine_ns = 0
        self.syncs = Histogram()
