"""What befalls an account short of margin, as messages of the channel `user.risk`.

Margin calls, each step of a liquidation, and what it brings to the backstops and counterparties that it
names. One message per event of the law and account, in the reader's own terms; money is in USDC.
"""

from collections.abc import Callable
from typing import Any

from novate.access.market_payloads import DIRECTION, MarketPayloads
from novate.access.quantities import show_amount, show_lot_value, show_price, show_usdc
from novate.execution.sequencer import Outcome
from novate.protocol.generated.codes import EventKind, Side
from novate.protocol.generated.constants import NS_PER_MS

Row = dict[str, int]
LIQUIDATED, BACKSTOP, COUNTERPARTY = "liquidated", "backstop", "counterparty"
# What `account` and `maker_account` are in an event that has both.
ROLES = {
    EventKind.ASSIGNED: (LIQUIDATED, BACKSTOP),
    EventKind.AUCTION_TAKEN: (LIQUIDATED, BACKSTOP),
    EventKind.DELEVERAGED: (LIQUIDATED, COUNTERPARTY),
    EventKind.LOSS_SHARED: (COUNTERPARTY, LIQUIDATED),
}


def describe_figures(market: MarketPayloads, row: Row) -> dict[str, Any]:
    """Return the two figures that a margin call compares."""
    return {
        "equity": show_usdc(row["amount_atoms"]),
        "maintenance_margin": show_usdc(row["maker_amount_atoms"]),
    }


def describe_start(market: MarketPayloads, row: Row) -> dict[str, Any]:
    """Return why a liquidation starts: the figures, the heaviest underlying and its worst scenario."""
    underlying = market.genesis.underlyings[row["instrument"]].name
    return describe_figures(market, row) | {"underlying": underlying, "scenario": row["side"]}


def describe_slice(market: MarketPayloads, row: Row) -> dict[str, Any]:
    """Return the order with which a liquidation goes to the book."""
    instrument = market.engine.instruments[row["instrument"]]
    return {
        "order_id": str(row["order_id"]),
        "instrument_name": instrument.name,
        "direction": DIRECTION[Side(row["side"])],
        "price": show_price(row["price_ticks"], instrument),
        "amount": show_amount(row["lots"], instrument),
    }


def describe_passage(market: MarketPayloads, row: Row) -> dict[str, Any]:
    """Return a trade outside the book, at the mark; positive lots leave the reader."""
    instrument = market.engine.instruments[row["instrument"]]
    return {
        "instrument_name": instrument.name,
        "direction": DIRECTION[Side.SELL if row["lots"] > 0 else Side.BUY],
        "price": show_lot_value(row["amount_atoms"], instrument),
        "amount": show_amount(abs(row["lots"]), instrument),
    }


def name_amount(name: str) -> Callable[[MarketPayloads, Row], dict[str, Any]]:
    """Return the description of an event that has one amount of USDC."""
    return lambda market, row: {name: show_usdc(row["amount_atoms"])}


DESCRIBERS: dict[int, Callable[[MarketPayloads, Row], dict[str, Any]]] = {
    EventKind.MARGIN_CALL: describe_figures,
    EventKind.LIQUIDATION_STARTED: describe_start,
    EventKind.SLICE: describe_slice,
    EventKind.PENALTY: name_amount("penalty"),
    EventKind.AUCTION_STARTED: name_amount("equity"),
    EventKind.ASSIGNED: describe_passage,
    EventKind.AUCTION_TAKEN: name_amount("bonus"),
    EventKind.DELEVERAGED: describe_passage,
    EventKind.INSURED: name_amount("paid_by_insurance"),
    EventKind.LOSS_SHARED: name_amount("loss"),
    EventKind.LIQUIDATION_ENDED: name_amount("equity"),
}


def list_parties(event: Any) -> list[int]:
    """Return the accounts that an event of a liquidation names."""
    parties = [int(event["account"])]
    if int(event["kind"]) in ROLES:
        parties.append(int(event["maker_account"]))
    return parties


def describe_risk(market: MarketPayloads, outcome: Outcome, event: Any, account: int) -> dict[str, Any]:
    """Return what an event says to one of the accounts that it names."""
    row: Row = dict(zip(outcome.events.dtype.names or (), event.tolist(), strict=True))
    kind = EventKind(row["kind"])
    is_second = kind in ROLES and account != row["account"]
    if is_second:
        row["lots"] = -row["lots"]
    data = {
        "type": kind.name.lower(),
        "timestamp": outcome.time_ns // NS_PER_MS,
        "sequence": outcome.sequence,
        **DESCRIBERS[kind](market, row),
    }
    if kind in ROLES:
        other = row["account"] if is_second else row["maker_account"]
        data |= {"role": ROLES[kind][is_second], "other_account_id": other}
    return data
