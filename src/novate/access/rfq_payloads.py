"""Requests for quotes, quotes and block trades in Deribit's shapes.

A maker is shown its own quotes only, a taker all of them; nobody is shown a signature.
"""

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

from novate.access.block_rfqs import BlockRfq, RfqQuote
from novate.access.combo_terms import PackageLeg, measure_package
from novate.access.keyring import show_address
from novate.access.market_payloads import DIRECTION, name_block
from novate.access.order_payloads import OrderPayloads
from novate.access.quantities import show_amount, show_price
from novate.access.trade_tape import Trade
from novate.protocol.generated.codes import Side
from novate.protocol.generated.constants import NS_PER_MS

MAKER, TAKER = "maker", "taker"


def describe_package(package: Sequence[PackageLeg]) -> dict[str, Any]:
    """Return what a request asks for: an amount, and legs with ratios, as the package's buyer trades them."""
    amount, ratios = measure_package(package)
    return {
        "amount": float(amount),
        "legs": [
            {
                "instrument_name": leg.instrument.name,
                "direction": DIRECTION[leg.side],
                "ratio": ratio,
                "amount": show_amount(leg.lots, leg.instrument),
            }
            for leg, ratio in zip(package, ratios, strict=True)
        ],
    }


def compute_net_price(package: Sequence[PackageLeg], quote: RfqQuote) -> float:
    """Return what the package costs who buys it, per 1.0 of its amount."""
    amount, _ = measure_package(package)
    total = Fraction(0)
    for leg, item in zip(package, quote.command.items, strict=True):
        lots = leg.lots if leg.side == Side.BUY else -leg.lots
        total += Fraction(lots * item[3] * leg.instrument.tick_atoms, 1_000_000)
    return float(total / amount)


def describe_quote(rfq: BlockRfq, quote: RfqQuote) -> dict[str, Any]:
    """Return a quote; its `direction` is the maker's."""
    legs = [
        {
            "instrument_name": leg.instrument.name,
            "direction": DIRECTION[Side(1 - item[1])],
            "price": show_price(item[3], leg.instrument),
        }
        for leg, item in zip(rfq.package, quote.command.items, strict=True)
    ]
    return {
        "block_rfq_quote_id": quote.quote_id,
        "block_rfq_id": rfq.rfq_id,
        "quote_state": quote.state,
        "direction": DIRECTION[Side(1 - quote.side)],
        "price": compute_net_price(rfq.package, quote),
        "amount": float(measure_package(rfq.package)[0]),
        "execution_instruction": "all_or_none",
        "legs": legs,
        "maker": show_address(quote.command.subject),
        "counterparty_nonce": str(quote.command.get("counter_nonce")),
        "expires_ns": str(quote.expires_ns),
        "expiration_timestamp": quote.expires_ns // NS_PER_MS,
        "creation_timestamp": quote.created_ns // NS_PER_MS,
        "last_update_timestamp": quote.updated_ns // NS_PER_MS,
    }


def describe_rfq(rfq: BlockRfq) -> dict[str, Any]:
    """Return what everybody may know of a request. `taker` is the address that a quote's signature names."""
    payload = {
        "block_rfq_id": rfq.rfq_id,
        "state": rfq.state,
        **describe_package(rfq.package),
        "taker": show_address(rfq.address),
        "nonce": str(rfq.nonce),
        "creation_timestamp": rfq.created_ns // NS_PER_MS,
        "last_update_timestamp": rfq.updated_ns // NS_PER_MS,
        "expiration_timestamp": rfq.expires_ns // NS_PER_MS,
        "expires_ns": str(rfq.expires_ns),
    }
    if rfq.reason:
        payload["reason"] = rfq.reason
    return payload


def describe_for_taker(rfq: BlockRfq) -> dict[str, Any]:
    """Return a request with all its quotes: bids are the makers who buy the package, best first."""
    payload = describe_rfq(rfq) | {"role": TAKER, "label": rfq.label}
    if rfq.block_order_id:
        payload["block_trade_id"] = name_block(rfq.block_order_id)
    return payload | split_quotes(rfq, list(rfq.quotes.values()), False)


def describe_for_maker(rfq: BlockRfq, account: int) -> dict[str, Any]:
    """Return a request with the quotes of one maker."""
    mine = [quote for quote in rfq.quotes.values() if quote.account == account]
    return describe_rfq(rfq) | {"role": MAKER} | split_quotes(rfq, mine, True)


def split_quotes(rfq: BlockRfq, quotes: list[RfqQuote], with_label: bool) -> dict[str, Any]:
    """Return quotes as bids, highest first, and asks, lowest first; a label is its maker's."""
    rows = [describe_quote(rfq, quote) | ({"label": quote.label} if with_label else {}) for quote in quotes]
    bids = [row for row in rows if row["direction"] == DIRECTION[Side.BUY]]
    asks = [row for row in rows if row["direction"] == DIRECTION[Side.SELL]]
    return {
        "bids": sorted(bids, key=lambda row: -float(row["price"])),
        "asks": sorted(asks, key=lambda row: float(row["price"])),
    }


def describe_block(orders: OrderPayloads, trades: Sequence[Trade], account: int) -> dict[str, Any]:
    """Return a block trade as one of its two accounts sees it; `trades` are its legs in their order."""
    first = trades[0]
    return {
        "id": name_block(first.order_id),
        "timestamp": first.time_ns // NS_PER_MS,
        "app_name": None,
        "sequence": first.sequence,
        "trades": [orders.describe_user_trade(trade, account) for trade in trades],
    }
