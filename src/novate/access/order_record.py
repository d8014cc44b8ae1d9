"""One order as the display knows it, and what one outcome did to orders."""

from typing import Any, Protocol

import msgspec

from novate.access.trade_tape import Trade
from novate.execution.sequencer import Outcome
from novate.protocol.generated.codes import CancelReason, CommandKind, OrderFlag, TimeInForce

OPEN, FILLED, CANCELLED, UNTRIGGERED = "open", "filled", "cancelled", "untriggered"
CANCEL_REASON_NAME = {
    CancelReason.USER: "user_request",
    CancelReason.IOC_REMAINDER: "immediate_or_cancel",
    CancelReason.SELF_TRADE: "self_trade_prevention",
    CancelReason.INSTRUMENT_EXPIRED: "instrument_expired",
    CancelReason.REPLACED: "replaced",
    CancelReason.REDUCE_ONLY: "reduce_only",
    CancelReason.GOOD_TILL_DATE: "good_til_date",
    CancelReason.DEAD_MAN: "dead_man",
    CancelReason.DISCONNECTED: "cancel_on_disconnect",
    CancelReason.LINKED: "oco_other_closed",
    CancelReason.PARENT_ENDED: "oto_parent_ended",
    CancelReason.TRIGGER_REJECTED: "trigger_rejected",
    CancelReason.REPRICE_REJECTED: "reprice_rejected",
    CancelReason.MMP: "mmp_triggered",
    CancelReason.INITIAL_MARGIN: "initial_margin",
    CancelReason.LIQUIDATION: "liquidation",
    CancelReason.KEY_LIMIT: "key_limit",
}


class View(Protocol):
    """An order as the engine's views show it, open or waiting."""

    @property
    def order_id(self) -> int:
        """Its number."""

    @property
    def lots(self) -> int:
        """Its open lots."""

    def _asdict(self) -> dict[str, Any]:
        """Return its fields by name."""


class OrderRecord(msgspec.Struct, frozen=True):
    """One order at one moment. Sizes in lots, `value` in lots * ticks, fees in atoms, times in ns.

    A market order has price_ticks 0 until it fills; an order priced in volatility has its effective price.
    `is_secondary` stays true after the parent has been filled, when parent_id may become 0.
    """

    order_id: int
    account: int
    instrument: int
    side: int
    time_in_force: int
    price_ticks: int
    lots: int
    open_lots: int
    created_ns: int = 0
    updated_ns: int = 0
    filled_lots: int = 0
    visible_lots: int = 0
    value: int = 0
    fee_atoms: int = 0
    state: str = OPEN
    label: str = ""
    label_id: int = 0
    cancel_reason: str = ""
    cancel_code: int = 0
    replaced: bool = False
    triggered: bool = False
    flags: int = 0
    display_lots: int = 0
    valid_until_ns: int = 0
    link: int = 0
    group: int = 0
    volatility_bp: int = 0
    reference: int = 0
    condition: int = 0
    trigger_atoms: int = 0
    trail_atoms: int = 0
    parent_id: int = 0
    is_secondary: bool = False
    is_liquidation: bool = False

    @property
    def is_post_only(self) -> bool:
        """Whether the order may only be a maker."""
        return self.time_in_force == TimeInForce.POST_ONLY


RECORD_FIELDS = frozenset(OrderRecord.__struct_fields__)


def make_record(view: View) -> OrderRecord:
    """Return the record of an order of which only the engine's state is known."""
    fields = view._asdict()
    label_id = fields.pop("label", 0)
    known = {name: value for name, value in fields.items() if name in RECORD_FIELDS}
    state = UNTRIGGERED if "reference" in fields else OPEN
    known["is_secondary"] = bool(known.get("parent_id"))
    if state == UNTRIGGERED and fields["flags"] & OrderFlag.VOLATILITY:
        known |= {"volatility_bp": fields["price_ticks"], "price_ticks": 0}
    return OrderRecord(open_lots=view.lots, state=state, label_id=label_id, **known)


class Memo:
    """What a client wants back from one command: the text of its label, then what the command did."""

    __slots__ = ("label", "order", "orders", "rejections", "trades")

    def __init__(self, label: str = "") -> None:
        self.label = label
        self.order: OrderRecord | None = None
        self.orders: list[OrderRecord] = []
        self.trades: list[Trade] = []
        self.rejections: list[dict[str, int]] = []


class Change:
    """What one outcome did to the display.

    orders       as they are after it, by id.
    matching     ids of orders that are on their way through the book: accepted, fired or moved, not at rest.
    waited       orders for a price as they waited, of those that do not wait any more.
    books        instruments whose book may have moved.
    rejections   the sides of a mass quote that were refused.
    """

    __slots__ = ("books", "is_quoting", "matching", "orders", "outcome", "rejections", "trades", "waited")

    def __init__(self, outcome: Outcome) -> None:
        self.outcome = outcome
        self.orders: dict[int, OrderRecord] = {}
        self.waited: dict[int, OrderRecord] = {}
        self.trades: list[Trade] = []
        self.books: set[int] = set()
        self.matching: set[int] = set()
        self.rejections: list[dict[str, int]] = []
        self.is_quoting = outcome.command.kind == CommandKind.MASS_QUOTE
