"""What a command did beyond orders, as the law's events tell it: liquidations, keys, transfers, legs."""

from typing import NamedTuple

from novate.protocol.generated.codes import EventKind


class Step(NamedTuple):
    """One event of a kind from LIQUIDATION_STARTED on; fields that its clause does not name are 0 [CMD-3]."""

    kind: EventKind
    account: int = 0
    maker_account: int = 0
    order_id: int = 0
    instrument: int = 0
    side: int = 0
    price_ticks: int = 0
    lots: int = 0
    amount_atoms: int = 0
    maker_amount_atoms: int = 0
    maker_order_id: int = 0
