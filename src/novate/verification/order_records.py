"""Orders as the replayer keeps them: what was asked for, an order that is open, and one that waits.

An order of either sort keeps the terms it was given, in the order of the command's fields, so that a REPLACE
or a firing starts from them [MATCH-8] [TRIG-4].
"""

from typing import TYPE_CHECKING, NamedTuple

from novate.protocol.generated.codes import OrderFlag

if TYPE_CHECKING:
    from novate.verification.state import Account, Instrument

NO_SLOT = -1


class Terms(NamedTuple):
    """The first fields of PLACE and PLACE_TRIGGER. `price_ticks` is in basis points for VOLATILITY."""

    instrument: int
    side: int
    time_in_force: int
    lots: int
    price_ticks: int
    flags: int = 0
    display_lots: int = 0
    valid_until_ns: int = 0
    label: int = 0
    link: int = 0


class Order:
    """One order that is open or about to be. `direction` is +1 to buy, -1 to sell; `limit_atoms` is the limit
    value of one lot.

    `price_ticks` is the effective price, set when the order is judged [ORDER-2]; until then it is that of the
    terms. `group` is that of a quote, 0 for every other order.
    """

    __slots__ = (
        "account",
        "direction",
        "group",
        "instrument",
        "limit_atoms",
        "lots",
        "order_id",
        "price_ticks",
        "priority",
        "side",
        "slot",
        "terms",
        "time_in_force",
        "visible_lots",
    )

    def __init__(
        self, order_id: int, account: "Account", instrument: "Instrument", terms: Terms, group: int = 0
    ) -> None:
        self.order_id = order_id
        self.account = account
        self.instrument = instrument
        self.terms = terms
        self.group = group
        self.side = terms.side
        self.direction = 1 - 2 * terms.side
        self.time_in_force = terms.time_in_force
        self.lots = terms.lots
        self.visible_lots = 0
        self.slot = NO_SLOT
        self.priority = 0
        self.set_price(terms.price_ticks)

    def set_price(self, price_ticks: int) -> None:
        """Set the effective price, which for MARKET and VOLATILITY is found from the mark [COMBO-2]."""
        self.price_ticks = price_ticks
        self.limit_atoms = (price_ticks - self.instrument.zero_ticks) * self.instrument.tick_atoms

    def has(self, flag: OrderFlag) -> bool:
        """Whether the order has a flag of [ORDER-1]."""
        return bool(self.terms.flags & flag)

    @property
    def is_quote(self) -> bool:
        """Whether the order is a quote of a group [QUOTE-2]."""
        return self.group > 0

    @property
    def volatility_bp(self) -> int:
        """The volatility that sets the price, 0 for every other order [IV-1]."""
        return self.terms.price_ticks if self.has(OrderFlag.VOLATILITY) else 0

    def show_slice(self) -> None:
        """Show all lots or, of an iceberg, the next slice [ICEBERG-1]."""
        display_lots = self.terms.display_lots
        self.visible_lots = min(display_lots, self.lots) if display_lots else self.lots

    def compute_reducible(self) -> int:
        """Return how many lots a trade in the order's direction could close [ORDER-3]."""
        position = self.account.holdings[self.instrument.underlying].get(self.instrument.number)
        return max(0, -self.direction * position.lots) if position else 0


class WaitingOrder:
    """One order that waits for a reference price, for its parent, or for both [TRIG-1].

    `parent_id` is 0 when the order is armed; `trigger_atoms` is the extreme of a trailing order [TRIG-3].
    """

    __slots__ = (
        "account",
        "condition",
        "instrument",
        "order_id",
        "parent_id",
        "reference",
        "slot",
        "terms",
        "trail_atoms",
        "trigger_atoms",
    )

    def __init__(
        self,
        order_id: int,
        account: "Account",
        instrument: "Instrument",
        terms: Terms,
        trigger: tuple[int, int, int, int, int],
    ) -> None:
        self.order_id = order_id
        self.account = account
        self.instrument = instrument
        self.terms = terms
        self.reference, self.condition, self.trigger_atoms, self.trail_atoms, self.parent_id = trigger
        self.slot = NO_SLOT


class SlotStack:
    """The slots of a table: first the one freed last, then the lowest never used [MATCH-9]."""

    __slots__ = ("freed", "fresh")

    def __init__(self) -> None:
        self.freed: list[int] = []
        self.fresh = 0

    def take(self) -> int:
        """Take the slot on top."""
        if self.freed:
            return self.freed.pop()
        self.fresh += 1
        return self.fresh - 1

    def give_back(self, slot: int) -> None:
        """Put a freed slot on top."""
        self.freed.append(slot)
