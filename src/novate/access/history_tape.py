"""What happened to accounts besides orders: cash in and out, settlements; and the index by the hour.

Of this process only, and bounded over the whole venue: the oldest entries are forgotten first. The published
record has all of it for ever.
"""

import itertools
import math
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from novate.execution.sequencer import Outcome
from novate.protocol.generated.codes import Code, CommandKind, EventKind

HOUR_NS = 3_600_000_000_000
HOURS_PER_YEAR = 24 * 365
HOURS_KEPT = 24 * 16
VOLATILITY_HOURS = 24  # Returns that an estimate is made of.
NO_ACCOUNT = -1
LOOKED_AT = frozenset(
    (CommandKind.DEPOSIT, CommandKind.WITHDRAW, CommandKind.TRANSFER, CommandKind.TICK, CommandKind.INDEX)
)
CASH_KINDS = (EventKind.DEPOSITED, EventKind.WITHDRAWN, EventKind.TRANSFERRED)
SETTLEMENT_KINDS = (EventKind.SETTLED, EventKind.INSURED, EventKind.LOSS_SHARED)


class Movement(NamedTuple):
    """One event of an account: a movement of cash, or a settlement.

    `number` counts from 1 over the venue; `other` is the other account of a transfer or a shared loss.
    """

    number: int
    sequence: int
    time_ns: int
    kind: int
    account: int
    other: int
    instrument: int
    lots: int
    amount_atoms: int
    reference: int
    index_atoms: int
    mark_atoms: int


class HistoryTape:
    """The latest `kept` movements of the venue, and hourly index prices of each underlying.

    `read_prices(instrument)` gives (index_atoms, mark_atoms) at the time of asking.
    """

    def __init__(self, kept: int, read_prices: Callable[[int], tuple[int, int]]) -> None:
        self.read_prices = read_prices
        self.movements: deque[Movement] = deque(maxlen=kept)
        self.count = 0
        self.hours: dict[int, deque[tuple[int, int]]] = {}

    def observe(self, outcomes: Sequence[Outcome]) -> None:
        """Take in outcomes in their order; orders are passed over at once."""
        for outcome in outcomes:
            if outcome.command.kind not in LOOKED_AT or outcome.code != Code.OK:
                continue
            for event in outcome.events:
                kind = int(event["kind"])
                if kind in CASH_KINDS or kind in SETTLEMENT_KINDS:
                    self.note_movement(outcome, event)
                elif kind == EventKind.INDEX_SET:
                    self.note_index(int(event["instrument"]), outcome.time_ns, int(event["amount_atoms"]))

    def note_movement(self, outcome: Outcome, event: Any) -> None:
        """Note one event of an account."""
        settles = int(event["kind"]) in SETTLEMENT_KINDS
        instrument = int(event["instrument"]) if settles else NO_ACCOUNT
        prices = self.read_prices(instrument) if int(event["kind"]) == EventKind.SETTLED else (0, 0)
        self.count += 1
        self.movements.append(
            Movement(
                self.count,
                outcome.sequence,
                outcome.time_ns,
                int(event["kind"]),
                int(event["account"]),
                int(event["maker_account"]),
                instrument,
                int(event["lots"]),
                int(event["amount_atoms"]),
                int(event["order_id"]),
                *prices,
            )
        )

    def note_index(self, underlying: int, time_ns: int, index_atoms: int) -> None:
        """Note an index price as the last of its hour."""
        hours = self.hours.setdefault(underlying, deque(maxlen=HOURS_KEPT))
        hour = time_ns // HOUR_NS
        if hours and hours[-1][0] == hour:
            hours.pop()
        hours.append((hour, index_atoms))

    def list_movements(
        self, kinds: Sequence[int], account: int = NO_ACCOUNT, before: int = 1 << 63
    ) -> list[Movement]:
        """Return movements of some kinds with numbers below `before`, newest first; NO_ACCOUNT: of everybody.

        A transfer is both accounts'.
        """
        return [
            movement
            for movement in reversed(self.movements)
            if movement.kind in kinds
            and movement.number < before
            and (
                account in (NO_ACCOUNT, movement.account)
                or (movement.kind == EventKind.TRANSFERRED and account == movement.other)
            )
        ]

    def list_volatilities(self, underlying: int) -> list[tuple[int, float]]:
        """Return (time in ms, annual volatility in percent) for each hour with enough hours before it."""
        hours = list(self.hours.get(underlying, ()))
        returns = [
            (hour, math.log(price / earlier))
            for (before, earlier), (hour, price) in itertools.pairwise(hours)
            if hour == before + 1
        ]
        found = []
        for end in range(VOLATILITY_HOURS, len(returns) + 1):
            window = [value for _, value in returns[end - VOLATILITY_HOURS : end]]
            variance = sum(value * value for value in window) / len(window)
            hour_ms = returns[end - 1][0] * HOUR_NS // 1_000_000
            found.append((hour_ms, 100 * math.sqrt(variance * HOURS_PER_YEAR)))
        return found
