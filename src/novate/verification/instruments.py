"""Listed contracts as the replayer keeps them: their books, and what the last mark update said of a lot."""

from collections import OrderedDict
from typing import Any

import numpy as np

from novate.protocol.generated.codes import InstrumentKind, InstrumentState
from novate.protocol.generated.constants import COMBO_TICK_OFFSET, NO_MARK_ATOMS
from novate.verification.order_records import Order

Vector = np.ndarray[Any, np.dtype[np.int64]]
NO_MARK = NO_MARK_ATOMS


class Book:
    """One side of one instrument: levels that keep the order of joining, and sorted prices.

    `keys` is ascending and holds the price of a sell or the negated price of a buy, the best first.
    """

    __slots__ = ("keys", "levels")

    def __init__(self) -> None:
        self.keys: list[int] = []
        self.levels: dict[int, OrderedDict[int, Order]] = {}


class Instrument:
    """One listed contract, its books, and what the last mark update said about one lot of it.

    `parts` are the positions that one bought lot makes, with signs: the legs of a combo, else itself
    [COMBO-1]. `zero_ticks` is the price_ticks at which a lot is worth nothing [COMBO-2].
    """

    __slots__ = (
        "accrual",
        "basis",
        "books",
        "delta_atoms",
        "expiry_ns",
        "forward_atoms",
        "funded_ns",
        "kind",
        "last_ticks",
        "lots_per_unit",
        "mark_atoms",
        "notional_atoms",
        "number",
        "parts",
        "rate_e9",
        "row",
        "series",
        "settlement_atoms",
        "state",
        "strike_atoms",
        "taker_fee_atoms",
        "tick_atoms",
        "underlying",
        "vega_atoms",
        "zero_ticks",
    )

    def __init__(
        self, number: int, underlying: int, kind: int, strike_atoms: int, expiry_ns: int, series: int
    ) -> None:
        self.number = number
        self.underlying = underlying
        self.kind = kind
        self.strike_atoms = strike_atoms
        self.expiry_ns = expiry_ns
        self.series = series
        self.lots_per_unit = self.tick_atoms = 1
        self.state = int(InstrumentState.OPEN)
        self.settlement_atoms = 0
        self.mark_atoms = NO_MARK
        self.forward_atoms = 0
        self.notional_atoms = self.taker_fee_atoms = 0
        self.delta_atoms = self.vega_atoms = 0
        self.last_ticks = 0
        self.rate_e9 = self.accrual = self.funded_ns = 0  # Funding of a perpetual [FUND-2].
        self.row: Vector = np.zeros(0, np.int64)
        self.basis: tuple[int, int] = (0, 0)
        self.books = (Book(), Book())
        self.parts: tuple[tuple[Instrument, int], ...] = ((self, 1),)
        self.zero_ticks = COMBO_TICK_OFFSET if kind == InstrumentKind.COMBO else 0

    @property
    def is_perpetual(self) -> bool:
        """Whether it is a perpetual, which has no expiry and no series."""
        return self.kind == InstrumentKind.PERPETUAL

    @property
    def is_linear(self) -> bool:
        """Whether it is a perpetual or a future."""
        return self.kind in (InstrumentKind.PERPETUAL, InstrumentKind.FUTURE)

    @property
    def is_option(self) -> bool:
        """Whether it is a call or a put."""
        return self.kind in (InstrumentKind.CALL, InstrumentKind.PUT)

    @property
    def is_combo(self) -> bool:
        """Whether it is a combo, in which nobody holds a position [COMBO-8]."""
        return self.kind == InstrumentKind.COMBO

    def count_part_lots(self) -> int:
        """Return how many lots, of whatever sign, one lot stands for [COMBO-4]."""
        return sum(abs(ratio) for _, ratio in self.parts)
