"""Names of subscription channels and what they mean.
A name that means nothing here is dropped, as Deribit drops it.
"""

from collections.abc import Callable
from typing import NamedTuple

from novate.access.candle_tape import RESOLUTION_MINUTES
from novate.access.market_payloads import (
    FUTURE,
    FUTURE_COMBO,
    OPTION,
    OPTION_COMBO,
    name_index,
    name_kind,
)
from novate.execution.engine import Engine, InstrumentView
from novate.protocol.generated.codes import InstrumentKind
from novate.protocol.generated.constants import E6
from novate.protocol.genesis import Genesis

RAW = "raw"
INTERVALS = {"raw": RAW, "100ms": "100ms", "agg2": "100ms"}
DEPTHS = {"1": 1, "10": 10, "20": 20}
ANY = "any"
KINDS = (FUTURE, OPTION, FUTURE_COMBO, OPTION_COMBO, ANY)
NO_ACCOUNT = -1


class Channel(NamedTuple):
    """One stream. Two subscribers share a stream only if they may see the same data, so it holds the account.

    `key` is what events look it up by; `step_ticks` groups prices; `kind` and `currency` filter where key
    has none.
    """

    name: str
    key: tuple[str, int]
    is_raw: bool
    kind: str = ANY
    currency: str = ANY
    depth: int = 0
    step_ticks: int = 1

    def covers(self, instrument: InstrumentView, underlying: str) -> bool:
        """Whether the channel's kind and currency include an instrument."""
        return self.kind in (ANY, name_kind(instrument)) and self.currency in (ANY, "USDC", underlying)


class ChannelReader:
    """Reads channel names for one venue."""

    def __init__(self, engine: Engine, genesis: Genesis) -> None:
        self.engine = engine
        self.genesis = genesis
        self.currencies = {ANY, "USDC", *(underlying.name for underlying in genesis.underlyings)}
        self.indexes = {name_index(underlying.name): i for i, underlying in enumerate(genesis.underlyings)}
        self.indexes |= {name.removesuffix("c"): i for name, i in self.indexes.items()}
        self.public: dict[tuple[str, int], Callable[[str, list[str]], Channel | None]] = {
            ("book", 2): self.read_book,
            ("book", 4): self.read_levels,
            ("ticker", 2): self.read_simple,
            ("quote", 1): self.read_quote,
            ("trades", 2): self.read_simple,
            ("trades", 3): self.read_filtered,
            ("chart", 3): self.read_chart,
            ("perpetual", 2): self.read_perpetual,
            ("markprice", 2): self.read_marks,
            ("deribit_price_index", 1): self.read_index,
            ("instrument", 3): self.read_state,
        }

    def read(self, name: str, account: int | None) -> Channel | None:
        """Return the channel of a name, or None. `account` is None for a reader that is not authenticated."""
        parts = name.split(".")
        if parts[0] == "user":
            return None if account is None else self.read_user(name, parts[1:], account)
        if parts[0] == "block_rfq":
            return None if account is None else self.read_rfq(name, parts[1:], account)
        reader = self.public.get((parts[0], len(parts) - 1))
        return None if reader is None else reader(name, parts)

    def read_book(self, name: str, parts: list[str]) -> Channel | None:
        """Return `book.{instrument}.{interval}`."""
        return self.read_simple(name, parts)

    def read_simple(self, name: str, parts: list[str]) -> Channel | None:
        """Return `{topic}.{instrument}.{interval}`."""
        number = self.engine.find_instrument(parts[1])
        if number < 0 or parts[2] not in INTERVALS:
            return None
        return Channel(name, (parts[0], number), INTERVALS[parts[2]] == RAW)

    def read_quote(self, name: str, parts: list[str]) -> Channel | None:
        """Return `quote.{instrument}`, sent whenever best bid or ask may have moved."""
        number = self.engine.find_instrument(parts[1])
        return None if number < 0 else Channel(name, ("quote", number), True)

    def read_levels(self, name: str, parts: list[str]) -> Channel | None:
        """Return `book.{instrument}.{group}.{depth}.{interval}`; group is "none" or a step in USDC."""
        number = self.engine.find_instrument(parts[1])
        if number < 0 or parts[3] not in DEPTHS or parts[4] not in INTERVALS:
            return None
        instrument, step_ticks = self.engine.instruments[number], 1
        if parts[2] != "none":
            if not parts[2].isascii() or not parts[2].isdigit() or len(parts[2]) > 6:
                return None
            step_ticks, rest = divmod(int(parts[2]) * E6, instrument.tick_atoms * instrument.lots_per_unit)
            if step_ticks == 0 or rest:
                return None
        is_raw = INTERVALS[parts[4]] == RAW
        return Channel(name, ("levels", number), is_raw, depth=DEPTHS[parts[3]], step_ticks=step_ticks)

    def read_filtered(self, name: str, parts: list[str]) -> Channel | None:
        """Return `trades.{kind}.{currency}.{interval}`."""
        if parts[1] not in KINDS or parts[2] not in self.currencies or parts[3] not in INTERVALS:
            return None
        return Channel(name, ("all_trades", 0), INTERVALS[parts[3]] == RAW, parts[1], parts[2])

    def read_index(self, name: str, parts: list[str]) -> Channel | None:
        """Return `deribit_price_index.{index}`."""
        underlying = self.indexes.get(parts[1])
        return None if underlying is None else Channel(name, ("index", underlying), True)

    def read_chart(self, name: str, parts: list[str]) -> Channel | None:
        """Return `chart.trades.{instrument}.{resolution}`."""
        number, minutes = self.engine.find_instrument(parts[2]), RESOLUTION_MINUTES.get(parts[3], 0)
        if parts[1] != "trades" or number < 0 or not minutes:
            return None
        return Channel(name, ("chart", number), False, depth=minutes)

    def read_perpetual(self, name: str, parts: list[str]) -> Channel | None:
        """Return `perpetual.{instrument}.{interval}`."""
        channel = self.read_simple(name, parts)
        if channel is None or self.engine.instruments[channel.key[1]].kind != InstrumentKind.PERPETUAL:
            return None
        return channel

    def read_marks(self, name: str, parts: list[str]) -> Channel | None:
        """Return `markprice.options.{index}`."""
        underlying = self.indexes.get(parts[2])
        if parts[1] != "options" or underlying is None:
            return None
        return Channel(name, ("marks", underlying), False)

    def read_state(self, name: str, parts: list[str]) -> Channel | None:
        """Return `instrument.state.{kind}.{currency}`."""
        if parts[1] != "state" or parts[2] not in KINDS or parts[3] not in self.currencies:
            return None
        return Channel(name, ("state", 0), True, parts[2], parts[3])

    def read_rfq(self, name: str, parts: list[str], account: int) -> Channel | None:
        """Return `block_rfq.maker.{currency}`, everybody's requests, or `block_rfq.taker.{currency}`, the own
        ones.
        """
        if len(parts) != 2 or parts[0] not in ("maker", "taker") or parts[1] not in self.currencies:
            return None
        key = (f"rfq_{parts[0]}", 0 if parts[0] == "maker" else account)
        return Channel(name, key, True, currency=parts[1])

    def read_user(self, name: str, parts: list[str], account: int) -> Channel | None:
        """Return `user.orders` or `user.trades`, by instrument or kind and currency, `user.portfolio`,
        `user.mmp_trigger`, or `user.risk`.
        """
        if parts == ["risk"]:
            return Channel(name, ("user_risk", account), True)
        if parts[0] == "mmp_trigger" and len(parts) == 2:
            underlying = self.indexes.get(parts[1])
            if underlying is None:
                return None
            return Channel(name, ("user_mmp", account), True, depth=underlying + 1)
        if parts[0] == "portfolio" and len(parts) == 2:
            is_ours = parts[1].upper() in ("USDC", "ANY")
            return Channel(name, ("portfolio" if is_ours else "silent", account), False)
        if parts[0] not in ("orders", "trades") or parts[-1] not in INTERVALS:
            return None
        key, is_raw = (f"user_{parts[0]}", account), INTERVALS[parts[-1]] == RAW
        if len(parts) == 4 and parts[1] in KINDS and parts[2] in self.currencies:
            return Channel(name, key, is_raw, parts[1], parts[2])
        number = self.engine.find_instrument(parts[1]) if len(parts) == 3 else -1
        if number < 0:
            return None
        # The instrument (or a trigger's underlying) goes into the key's place of depth: one account's
        # channels are few, so they are filtered.
        return Channel(name, key, is_raw, depth=number + 1)
