"""How orders that waited for a price have ended their wait: fired, refused when they fired, or cancelled.
Bounded over the whole venue: the oldest entries are forgotten first.
"""

from collections import deque
from typing import NamedTuple

from novate.access.order_record import OrderRecord

TRIGGERED, CANCELLED, REJECTED = "triggered", "cancelled", "rejected"


class TriggerEntry(NamedTuple):
    """The end of one wait. `record` is the order as it waited, `number` counts entries from 1."""

    number: int
    time_ns: int
    state: str
    record: OrderRecord
    reason: str
    code: int


class TriggerTape:
    """The latest `kept` entries of the venue, by account."""

    def __init__(self, kept: int) -> None:
        self.kept = kept
        self.count = 0
        self.all: deque[TriggerEntry] = deque()
        self.accounts: dict[int, deque[TriggerEntry]] = {}

    def add(self, waited: OrderRecord, ended: OrderRecord, time_ns: int) -> None:
        """Note that an order which waited does not wait any more; `ended` is what became of it."""
        self.count += 1
        state = TRIGGERED if ended.triggered else CANCELLED
        is_refused = ended.triggered and ended.cancel_code != 0
        code = ended.cancel_code if is_refused else 0
        reason = "" if ended.triggered and not is_refused else ended.cancel_reason
        entry = TriggerEntry(self.count, time_ns, REJECTED if is_refused else state, waited, reason, code)
        self.all.append(entry)
        self.accounts.setdefault(waited.account, deque()).append(entry)
        if len(self.all) > self.kept:
            oldest = self.all.popleft()
            entries = self.accounts[oldest.record.account]
            entries.popleft()
            if not entries:
                del self.accounts[oldest.record.account]

    def list_entries(self, account: int, before: int) -> list[TriggerEntry]:
        """Return the entries of an account with numbers below `before`, newest first."""
        return [entry for entry in reversed(self.accounts.get(account, ())) if entry.number < before]
