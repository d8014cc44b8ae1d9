"""Orders and own trades in Deribit's shapes. Reads the display ledger, changes nothing."""

from typing import Any

from novate.access.market_payloads import DIRECTION, SETTLEMENT_CURRENCY, MarketPayloads
from novate.access.order_ledger import OrderLedger
from novate.access.order_record import UNTRIGGERED, OrderRecord
from novate.access.order_terms import (
    FILL_CONDITIONS,
    GOOD_TIL_DATE,
    IMPLIED_VOLATILITY,
    LIMIT,
    LINKED_ORDER_TYPES,
    MARKET,
    TRAILING,
)
from novate.access.quantities import Grid, show_amount, show_price, show_usdc
from novate.access.trade_tape import Trade
from novate.access.trigger_tape import CANCELLED, TriggerEntry
from novate.execution.engine import InstrumentView
from novate.protocol.generated.codes import (
    Code,
    OrderFlag,
    Side,
    TimeInForce,
    TriggerCondition,
    TriggerReference,
)
from novate.protocol.generated.constants import E6, NS_PER_MS

TIME_IN_FORCE_TEXT = {
    TimeInForce.GTC: "good_til_cancelled",
    TimeInForce.POST_ONLY: "good_til_cancelled",
    TimeInForce.IOC: "immediate_or_cancel",
    TimeInForce.FOK: "fill_or_kill",
}
REFERENCE_NAME = {
    TriggerReference.INDEX: "index_price",
    TriggerReference.MARK: "mark_price",
    TriggerReference.LAST: "last_price",
}
FILLED_WITHOUT_RECORD = "filled"  # An order that the bounded ledger has forgotten had ended.
MARKET_PRICE = "market_price"
SELF_TRADING_NAME = {OrderFlag.CANCEL_MAKER: "cancel_maker", OrderFlag.CANCEL_BOTH: "cancel_both"}
NEVER_SO = ("is_rebalance", "risk_reducing")


def name_plain_type(record: OrderRecord) -> str:
    """Return limit or market: what the order is, or will be once it fires."""
    return MARKET if record.flags & OrderFlag.MARKET else LIMIT


def name_original_type(record: OrderRecord) -> str:
    """Return the type as it was placed, such as stop_market."""
    if record.reference == TriggerReference.NONE:
        return name_plain_type(record)
    if record.trail_atoms:
        return TRAILING
    is_stop = (record.side == Side.BUY) == (record.condition == TriggerCondition.ABOVE)
    return f"{'stop' if is_stop else 'take'}_{name_plain_type(record)}"


def name_time_in_force(record: OrderRecord) -> str:
    """Return the time in force."""
    if record.valid_until_ns and record.time_in_force in (TimeInForce.GTC, TimeInForce.POST_ONLY):
        return GOOD_TIL_DATE
    return TIME_IN_FORCE_TEXT[TimeInForce(record.time_in_force)]


def show_trigger(atoms: int, record: OrderRecord, instrument: Grid) -> float:
    """Return a trigger, a trail or an extreme as USDC per 1.0 of the underlying."""
    is_index = record.reference == TriggerReference.INDEX
    return atoms * (1 if is_index else instrument.lots_per_unit) / E6


class OrderPayloads:
    """Shapes of orders and own trades over one engine and the display ledger."""

    def __init__(self, market: MarketPayloads, ledger: OrderLedger) -> None:
        self.market = market
        self.engine = market.engine
        self.ledger = ledger

    def describe_order(self, record: OrderRecord) -> dict[str, Any]:
        """Return an order."""
        instrument: InstrumentView = self.engine.instruments[record.instrument]
        average = show_price(record.value / record.filled_lots, instrument) if record.filled_lots else 0.0
        is_waiting = record.state == UNTRIGGERED
        original_type = name_original_type(record)
        payload = {
            "order_id": str(record.order_id),
            "instrument_name": instrument.name,
            "direction": DIRECTION[Side(record.side)],
            "price": self.show_limit(record, instrument),
            "amount": show_amount(record.lots, instrument),
            "filled_amount": show_amount(record.filled_lots, instrument),
            "average_price": average,
            "contracts": float(record.lots),
            "order_state": record.state,
            "order_type": original_type if is_waiting else name_plain_type(record),
            "original_order_type": original_type,
            "time_in_force": name_time_in_force(record),
            "post_only": record.is_post_only,
            "reject_post_only": record.is_post_only,
            "reduce_only": bool(record.flags & OrderFlag.REDUCE_ONLY),
            "self_trading_mode": self.name_self_trading(record),
            "label": record.label,
            "label_id": str(record.label_id),
            "commission": show_usdc(record.fee_atoms),
            "creation_timestamp": record.created_ns // NS_PER_MS,
            "last_update_timestamp": record.updated_ns // NS_PER_MS,
            "replaced": record.replaced,
            "max_show": show_amount(record.display_lots or record.lots, instrument),
            "user_id": record.account,
            "api": True,
            "web": False,
            "mmp": bool(record.group),
            "is_liquidation": record.is_liquidation,
            **dict.fromkeys(NEVER_SO, False),
        }
        return payload | self.describe_options(record, instrument)

    def describe_options(self, record: OrderRecord, instrument: InstrumentView) -> dict[str, Any]:
        """Return what only some orders have."""
        payload: dict[str, Any] = {}
        if record.display_lots:
            payload["display_amount"] = show_amount(record.visible_lots, instrument)
            payload["refresh_amount"] = show_amount(record.display_lots, instrument)
        if record.valid_until_ns:
            payload["valid_until"] = record.valid_until_ns // NS_PER_MS
        payload |= self.describe_linked(record)
        if record.flags & OrderFlag.VOLATILITY:
            payload |= {"advanced": IMPLIED_VOLATILITY, "implv": record.volatility_bp / 100}
        if record.group:
            payload |= {"quote": True, "mmp_group": str(record.group)}
        if record.cancel_reason:
            payload["cancel_reason"] = record.cancel_reason
            payload["mmp_cancelled"] = record.cancel_reason == "mmp_triggered"
        if record.cancel_code:
            payload["reject_reason"] = Code(record.cancel_code).name.lower()
        return payload | self.describe_trigger(record, instrument)

    def describe_linked(self, record: OrderRecord) -> dict[str, Any]:
        """Return what an order that is linked with others has: as a parent, as a child, as one of a pair."""
        payload: dict[str, Any] = {}
        children = self.ledger.list_children(record.order_id)
        is_pair = any(child.link for child in children)
        if record.link:
            payload |= {"link": str(record.link), "oco_ref": str(record.link)}
        if record.parent_id:
            payload |= {"parent_order_id": str(record.parent_id), "primary_order_id": str(record.parent_id)}
        if record.is_secondary:
            payload["is_secondary_oto"] = True
        if children:
            payload["oto_order_ids"] = [str(child.order_id) for child in children]
        if is_pair:
            payload["is_primary_otoco"] = True
        linked = LINKED_ORDER_TYPES[bool(children) or record.is_secondary, is_pair or bool(record.link)]
        if linked:
            payload |= {"linked_order_type": linked, "trigger_fill_condition": FILL_CONDITIONS[linked]}
        return payload

    def describe_trigger_entry(self, entry: TriggerEntry) -> dict[str, Any]:
        """Return how an order that waited for a price ended its wait."""
        record, time_ms = entry.record, entry.time_ns // NS_PER_MS
        instrument = self.engine.instruments[record.instrument]
        payload: dict[str, Any] = {
            "timestamp": time_ms,
            "last_update_timestamp": time_ms,
            "trigger_order_id": str(record.order_id),
            "order_state": entry.state,
            "request": "cancel" if entry.state == CANCELLED else "trigger:order",
            "instrument_name": instrument.name,
            "direction": DIRECTION[Side(record.side)],
            "price": self.show_limit(record, instrument),
            "amount": show_amount(record.lots, instrument),
            "order_type": name_plain_type(record),
            "original_order_type": name_original_type(record),
            "reduce_only": bool(record.flags & OrderFlag.REDUCE_ONLY),
            "post_only": record.is_post_only,
            "label": record.label,
        }
        if entry.state != CANCELLED:  # The order that it becomes keeps its number.
            payload["order_id"] = str(record.order_id)
        if record.is_secondary:
            payload["is_secondary_oto"] = True
        if record.link:
            payload["oco_ref"] = str(record.link)
        if entry.reason:
            payload["cancel_reason"] = entry.reason
        if entry.code:
            payload["reject_reason"] = Code(entry.code).name.lower()
        trigger = self.describe_trigger(record, instrument)
        del trigger["triggered"]
        return payload | trigger

    def describe_trigger(self, record: OrderRecord, instrument: InstrumentView) -> dict[str, Any]:
        """Return what an order that waits or waited has besides."""
        if record.reference == TriggerReference.NONE:
            return {}
        payload: dict[str, Any] = {
            "trigger": REFERENCE_NAME[TriggerReference(record.reference)],
            "triggered": record.triggered,
        }
        if record.trail_atoms:
            payload["trigger_offset"] = show_trigger(record.trail_atoms, record, instrument)
            if record.trigger_atoms:
                payload["trigger_reference_price"] = show_trigger(record.trigger_atoms, record, instrument)
        else:
            price = show_trigger(record.trigger_atoms, record, instrument)
            payload |= {"trigger_price": price, "stop_price": price}
        return payload

    def show_limit(self, record: OrderRecord, instrument: InstrumentView) -> float | str | None:
        """Return the limit price; a market order has none, nor has one in volatility before it is judged."""
        if record.flags & OrderFlag.MARKET:
            return MARKET_PRICE
        if record.flags & OrderFlag.VOLATILITY and not record.price_ticks:
            return None
        return show_price(record.price_ticks, instrument)

    def name_self_trading(self, record: OrderRecord) -> str:
        """Return what happens when the order meets its own account."""
        for flag, name in SELF_TRADING_NAME.items():
            if record.flags & flag:
                return name
        return "reject_taker"

    def describe_user_trade(self, trade: Trade, account: int) -> dict[str, Any]:
        """Return a trade as one of its two accounts sees it."""
        is_taker = trade.account == account
        order_id = trade.order_id if is_taker else trade.maker_order_id
        record = self.ledger.find(order_id)
        payload = self.market.describe_trade(trade)
        side = Side(trade.side) if is_taker else Side(1 - trade.side)
        return payload | {
            "direction": DIRECTION[side],
            "order_id": str(order_id),
            "order_type": LIMIT if record is None else name_plain_type(record),
            "liquidity": "T" if is_taker else "M",
            "fee": show_usdc(trade.fee_atoms if is_taker else trade.maker_fee_atoms),
            "fee_currency": SETTLEMENT_CURRENCY,
            "matching_id": None,
            "state": FILLED_WITHOUT_RECORD if record is None else record.state,
            "label": "" if record is None else record.label,
            "post_only": record is not None and record.is_post_only,
            "reduce_only": record is not None and bool(record.flags & OrderFlag.REDUCE_ONLY),
            "api": True,
            "mmp": record is not None and bool(record.group),
            "risk_reducing": False,
            "profit_loss": None,
            "sequence": trade.sequence,
        }
