"""The engine's own loop over a batch, with the processor's counter read after each command: no sampling, no
batching between two readings.
"""

import time
from typing import Any

from novate.execution.batch import apply_command, count_events_max
from novate.execution.prefetching import prefetch_ahead
from novate.kernel import kernel, read_cycles


@kernel
def clock_commands(w: Any, commands: Any, items: Any, cycles: Any, event_reserve: int) -> int:
    """Apply commands and write what each took into `cycles`; return how many were applied."""
    before = read_cycles()
    for i in range(commands.shape[0]):
        reserve = event_reserve + count_events_max(w, commands[i])
        if w.house[0]["event_count"] + reserve > w.events.shape[0]:
            return i
        prefetch_ahead(w, commands, i)
        apply_command(w, commands[i], items)
        after = read_cycles()
        cycles[i] = after - before
        before = after
    return int(commands.shape[0])


@kernel
def count_cycles() -> int:
    """Read the counter once."""
    return read_cycles()


def measure_cycles_per_ns() -> float:
    """The counter's frequency, against the monotonic clock for a fifth of a second."""
    count_cycles()
    begun_ns, begun = time.perf_counter_ns(), count_cycles()
    while time.perf_counter_ns() - begun_ns < 200_000_000:
        pass
    return float((count_cycles() - begun) / (time.perf_counter_ns() - begun_ns))
