"""The bounds of the server: how much, how many and how fast, and the counters that show what was refused."""

from collections import Counter
from dataclasses import dataclass, field

from novate.access.wire import MESSAGE_BYTES_MAX
from novate.execution.statistics import Histogram

NS_PER_S = 1_000_000_000


@dataclass(frozen=True)
class ServerLimits:
    """Every bound of the server. Rates are requests per second with a burst; the rest are counts or bytes."""

    message_bytes: int = MESSAGE_BYTES_MAX
    connections: int = 1024
    subscriptions_per_connection: int = 512
    outgoing_messages: int = 2048
    outgoing_bytes: int = 8 << 20
    writes_in_flight: int = 256
    rate_per_s: int = 5_000
    burst: int = 10_000
    refusals_before_close: int = 1_000
    remotes: int = 10_000
    sessions: int = 10_000
    session_for_s: int = 86_400
    trades_kept: int = 50_000
    closed_orders_kept: int = 50_000
    payments_kept: int = 100_000
    movements_kept: int = 50_000
    signature_threads: int = 2
    signatures_waiting: int = 8_192
    rfqs_per_account: int = 16
    rfqs_open: int = 512
    rfqs_kept: int = 1_000
    rfq_for_s: int = 300
    quotes_per_rfq: int = 16
    combos_per_account: int = 16


class CreditBucket:
    """Credits that refill with time: `take` is false when the caller is too fast."""

    __slots__ = ("burst", "credits", "rate_per_s", "refusals", "time_ns")

    def __init__(self, rate_per_s: int, burst: int, time_ns: int) -> None:
        self.rate_per_s = rate_per_s
        self.burst = burst
        self.credits = float(burst)
        self.time_ns = time_ns
        self.refusals = 0

    def take(self, time_ns: int) -> bool:
        """Whether one more request is allowed at this time, which never runs backwards."""
        elapsed_ns = max(0, time_ns - self.time_ns)
        self.time_ns = max(self.time_ns, time_ns)
        self.credits = min(self.burst, self.credits + elapsed_ns * self.rate_per_s / NS_PER_S)
        if self.credits < 1:
            self.refusals += 1
            return False
        self.credits -= 1
        return True


@dataclass
class ServerCounters:
    """What has happened at the door since the server started."""

    requests: int = 0
    notifications: int = 0
    internal_errors: int = 0
    slow_consumers: int = 0
    connections_refused: int = 0
    refusals: "Counter[str]" = field(default_factory=Counter)
    # From the arrival of a write at the door to the encoding of its reply, which comes after it is durable.
    acknowledgements: Histogram = field(default_factory=Histogram)
