"""Funding payments of the recent past, by perpetual, within one bound."""

from collections import deque
from collections.abc import Callable
from typing import NamedTuple

from novate.protocol.generated.constants import NS_PER_MS


class Payment(NamedTuple):
    """What one long lot paid at a time, and the mark of a lot then; both in atoms."""

    time_ns: int
    amount_atoms: int
    mark_atoms: int


class FundingTape:
    """The latest `kept` payments of each perpetual.

    `read_prices(instrument)` gives (index_atoms, mark_atoms) at the time of asking.
    """

    def __init__(self, kept: int, read_prices: Callable[[int], tuple[int, int]]) -> None:
        self.kept = kept
        self.read_prices = read_prices
        self.payments: dict[int, deque[Payment]] = {}

    def record(self, time_ns: int, instrument: int, amount_atoms: int) -> None:
        """Note a FUNDED event."""
        payments = self.payments.setdefault(instrument, deque(maxlen=self.kept))
        payments.append(Payment(time_ns, amount_atoms, self.read_prices(instrument)[1]))

    def list_payments(self, instrument: int, begin_ms: int, end_ms: int) -> list[Payment]:
        """Return the payments between two times, both included, oldest first."""
        return [
            payment
            for payment in self.payments.get(instrument, ())
            if begin_ms <= payment.time_ns // NS_PER_MS <= end_ms and payment.mark_atoms > 0
        ]

    def sum_rates(self, instrument: int, begin_ms: int, end_ms: int) -> float:
        """Return the sum of payments over marks between two times, both included."""
        payments = self.list_payments(instrument, begin_ms, end_ms)
        return sum(payment.amount_atoms / payment.mark_atoms for payment in payments)
