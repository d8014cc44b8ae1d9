"""Recent trades and the statistics of the last 24 hours, by instrument and account, within one bound."""

from collections import deque
from collections.abc import Callable
from typing import NamedTuple

from novate.access.candle_tape import Candle, CandleTape
from novate.execution.sequencer import Outcome

BUCKET_NS = 300_000_000_000  # Five minutes.
BUCKETS = 288  # A day of them.


class TradeLeg(NamedTuple):
    """One leg of a combo's fill; `side` is the combo's taker's, the mark of a lot in atoms its price."""

    instrument: int
    side: int
    lots: int
    mark_atoms: int


class Trade(NamedTuple):
    """One fill. `side` is the taker's; fees, index and mark in atoms, the mark per lot
    (NO_MARK_ATOMS if none). `block_leg_count` is 0 unless it is a leg of a block trade, `legs` are a combo's.
    """

    trade_id: str
    trade_seq: int
    sequence: int
    time_ns: int
    instrument: int
    side: int
    price_ticks: int
    lots: int
    account: int
    order_id: int
    maker_account: int
    maker_order_id: int
    fee_atoms: int
    maker_fee_atoms: int
    index_atoms: int
    mark_atoms: int
    tick_direction: int
    is_liquidation: bool
    block_leg_count: int
    legs: list[TradeLeg]

    @property
    def is_block(self) -> bool:
        """Whether the trade is a leg of a block trade, which `order_id` then names."""
        return self.block_leg_count > 0


class Bucket(NamedTuple):
    """Trading in five minutes: first, highest and lowest price in ticks, lots, and lots * ticks. Block trades
    are not priced by the book: they count for the lots only, and without others there are no prices.
    """

    number: int
    first_ticks: int | None
    high_ticks: int | None
    low_ticks: int | None
    lots: int
    value: int


class DayStatistics(NamedTuple):
    """The last 24 hours in ticks and lots; None where nothing traded. `change` is a ratio."""

    high_ticks: int | None
    low_ticks: int | None
    lots: int
    value: int
    change: float | None


class InstrumentTape:
    """Trades of one instrument, newest last."""

    __slots__ = ("buckets", "candles", "direction", "last_ticks", "trade_seq", "trades")

    def __init__(self) -> None:
        self.trades: deque[Trade] = deque()
        self.buckets: deque[Bucket] = deque(maxlen=BUCKETS + 1)
        self.candles = CandleTape()
        self.trade_seq = 0
        self.last_ticks: int | None = None
        self.direction = 0

    def turn(self, ticks: int) -> int:
        """Return the tick direction of the next trade: 0 up, 1 same after up, 2 down, 3 same after down."""
        if self.last_ticks is None or ticks > self.last_ticks:
            self.direction = 0
        elif ticks < self.last_ticks:
            self.direction = 2
        else:
            self.direction |= 1
        self.last_ticks = ticks
        return self.direction

    def count(self, time_ns: int, ticks: int, lots: int, is_block: bool) -> None:
        """Count a trade in its five minutes."""
        number = time_ns // BUCKET_NS
        if not self.buckets or self.buckets[-1].number != number:
            self.buckets.append(Bucket(number, None, None, None, 0, 0))
        last = self.buckets[-1]
        prices = (last.first_ticks, last.high_ticks, last.low_ticks)
        if not is_block:
            first, high, low = (ticks if price is None else price for price in prices)
            prices = (first, max(high, ticks), min(low, ticks))
            self.candles.count(time_ns, ticks, lots)
        self.buckets[-1] = Bucket(number, *prices, last.lots + lots, last.value + ticks * lots)


class TradeTape:
    """The latest `kept` trades of the venue, by instrument and by account.

    `read_prices(instrument)` gives (index_atoms, mark_atoms) at the time of asking.
    """

    def __init__(self, kept: int, read_prices: Callable[[int], tuple[int, int]]) -> None:
        self.kept = kept
        self.read_prices = read_prices
        self.all: deque[Trade] = deque()
        self.instruments: dict[int, InstrumentTape] = {}
        self.accounts: dict[int, deque[Trade]] = {}

    def record(
        self,
        outcome: Outcome,
        row: dict[str, int],
        position: int,
        is_liquidation: bool = False,
        block_leg_count: int = 0,
    ) -> Trade:
        """Record a FILL event and return it as a trade; `position` counts the fills of one command, and a
        liquidation is the taker's. A block trade leaves the last price as it is.
        """
        instrument = row["instrument"]
        tape = self.instruments.setdefault(instrument, InstrumentTape())
        tape.trade_seq += 1
        ticks, lots = row["price_ticks"], row["lots"]
        trade = Trade(
            f"{outcome.sequence}-{position}",
            tape.trade_seq,
            outcome.sequence,
            outcome.time_ns,
            instrument,
            row["side"],
            ticks,
            lots,
            row["account"],
            row["order_id"],
            row["maker_account"],
            row["maker_order_id"],
            row["amount_atoms"],
            row["maker_amount_atoms"],
            *self.read_prices(instrument),
            tape.direction if block_leg_count else tape.turn(ticks),
            is_liquidation,
            block_leg_count,
            [],
        )
        tape.count(outcome.time_ns, ticks, lots, block_leg_count > 0)
        self.keep(trade, tape)
        return trade

    def keep(self, trade: Trade, tape: InstrumentTape) -> None:
        """Store a trade and forget the oldest beyond the bound; deques share one order of time."""
        self.all.append(trade)
        tape.trades.append(trade)
        for account in (trade.account, trade.maker_account):
            self.accounts.setdefault(account, deque()).append(trade)
        if len(self.all) > self.kept:
            oldest = self.all.popleft()
            self.instruments[oldest.instrument].trades.popleft()
            for account in (oldest.account, oldest.maker_account):
                trades = self.accounts[account]
                trades.popleft()
                if not trades:
                    del self.accounts[account]

    def list_trades(self, instrument: int, count: int) -> list[Trade]:
        """Return the latest trades of an instrument, newest first."""
        tape = self.instruments.get(instrument)
        return [] if tape is None else [tape.trades[-1 - at] for at in range(min(count, len(tape.trades)))]

    def list_account_trades(self, account: int) -> list[Trade]:
        """Return the latest trades of an account, newest first."""
        return list(reversed(self.accounts.get(account, ())))

    def chart(
        self, instrument: int, minutes: int, first_minute: int, last_minute: int, count: int
    ) -> list[Candle]:
        """Return candles of an instrument; blocks, which pass by the book, are not in them."""
        tape = self.instruments.get(instrument)
        return [] if tape is None else tape.candles.chart(minutes, first_minute, last_minute, count)

    def read_last_candle(self, instrument: int, minutes: int) -> Candle | None:
        """Return the candle of the latest trade of an instrument, or None."""
        tape = self.instruments.get(instrument)
        return None if tape is None else tape.candles.read_last(minutes)

    def read_last_ticks(self, instrument: int) -> int | None:
        """Return the price of the last trade, or None."""
        tape = self.instruments.get(instrument)
        return None if tape is None else tape.last_ticks

    def summarise_day(self, instrument: int, time_ns: int) -> DayStatistics:
        """Return the statistics of the last 24 hours, in steps of five minutes."""
        tape = self.instruments.get(instrument)
        first = time_ns // BUCKET_NS - BUCKETS
        recent = [] if tape is None else [bucket for bucket in tape.buckets if bucket.number > first]
        lots, value = sum(bucket.lots for bucket in recent), sum(bucket.value for bucket in recent)
        firsts = [bucket.first_ticks for bucket in recent if bucket.first_ticks is not None]
        if not firsts or tape is None or tape.last_ticks is None:
            return DayStatistics(None, None, lots, value, None)
        return DayStatistics(
            max(bucket.high_ticks for bucket in recent if bucket.high_ticks is not None),
            min(bucket.low_ticks for bucket in recent if bucket.low_ticks is not None),
            lots,
            value,
            tape.last_ticks / firsts[0] - 1,
        )
