"""The private reads of an account's own past: finished orders, trades, cash in and out, settlements.

Since the server's start, within its bounds. None of them can change anything.
"""

from typing import Any

from novate.access.errors import ApiError
from novate.access.history_tape import Movement
from novate.access.keyring import show_address
from novate.access.market_payloads import SETTLEMENT_CURRENCY
from novate.access.methods_history import select_settlements
from novate.access.methods_private import find_order
from novate.access.methods_public import list_instruments
from novate.access.order_record import OrderRecord
from novate.access.parameters import CurrencyParameters
from novate.access.parameters_history import (
    CurrencyTradesParameters,
    LabelParameters,
    MovementsParameters,
    OrderHistoryParameters,
    OrderTradesParameters,
    SettlementsParameters,
)
from novate.access.quantities import show_usdc
from novate.access.trade_tape import Trade
from novate.access.venue import Caller, Venue
from novate.execution import key_views, views
from novate.protocol.generated.codes import AccessCode, EventKind
from novate.protocol.generated.constants import NS_PER_MS


def get_order_history(venue: Venue, caller: Caller, given: OrderHistoryParameters) -> list[dict[str, Any]]:
    """Return the account's finished orders, the latest first; those without fills only if asked for."""
    account = venue.require_account(caller)
    if given.instrument_name:
        wanted = {venue.find_instrument(given.instrument_name).number}
    else:
        wanted = {row.number for row in list_instruments(venue, given.currency, given.kind)}
    rows = [
        record
        for record in reversed(venue.ledger.closed_orders.values())
        if record.account == account
        and record.instrument in wanted
        and (given.include_unfilled or record.filled_lots)
    ]
    return [venue.orders.describe_order(row) for row in rows[given.offset : given.offset + given.count]]


def describe_trades(
    venue: Venue, account: int, trades: list[Trade], given: CurrencyTradesParameters
) -> dict[str, Any]:
    """Return own trades within the given times, as many as asked for."""
    chosen = [
        trade
        for trade in trades
        if given.start_timestamp <= trade.time_ns // NS_PER_MS <= given.end_timestamp
    ]
    if given.sorting == "asc":
        chosen.reverse()
    rows = [venue.orders.describe_user_trade(trade, account) for trade in chosen[: given.count]]
    return {"trades": rows, "has_more": len(chosen) > given.count}


def get_user_trades_by_currency(
    venue: Venue, caller: Caller, given: CurrencyTradesParameters
) -> dict[str, Any]:
    """Return the account's recent trades of a currency and kind."""
    account = venue.require_account(caller)
    wanted = {row.number for row in list_instruments(venue, given.currency, given.kind)}
    trades = [trade for trade in venue.tape.list_account_trades(account) if trade.instrument in wanted]
    return describe_trades(venue, account, trades, given)


def get_user_trades_by_order(
    venue: Venue, caller: Caller, given: OrderTradesParameters
) -> list[dict[str, Any]]:
    """Return the trades of one of the account's orders, oldest first unless sorting is desc."""
    account = venue.require_account(caller)
    record = find_order(venue, account, given.order_id)
    trades = [
        trade
        for trade in reversed(venue.tape.list_account_trades(account))
        if not trade.is_block and record.order_id in (trade.order_id, trade.maker_order_id)
    ]
    if given.sorting == "desc":
        trades.reverse()
    return [venue.orders.describe_user_trade(trade, account) for trade in trades]


def list_own(venue: Venue, account: int) -> list[OrderRecord]:
    """Return the account's open orders and those that wait."""
    live = map(venue.ledger.describe, views.read_open_orders(venue.engine, account))
    waiting = map(venue.ledger.describe, views.read_waiting_orders(venue.engine, account))
    return [*live, *waiting]


def get_open_orders_by_label(venue: Venue, caller: Caller, given: LabelParameters) -> list[dict[str, Any]]:
    """Return the account's open and waiting orders with a label."""
    account = venue.require_account(caller)
    rows = [record for record in list_own(venue, account) if record.label == given.label]
    return [venue.orders.describe_order(record) for record in rows]


def get_order_state_by_label(venue: Venue, caller: Caller, given: LabelParameters) -> list[dict[str, Any]]:
    """Return the account's orders with a label, finished ones included."""
    account = venue.require_account(caller)
    closed = [record for record in venue.ledger.closed_orders.values() if record.account == account]
    rows = [record for record in (*closed, *list_own(venue, account)) if record.label == given.label]
    return [venue.orders.describe_order(record) for record in rows]


def page(
    venue: Venue, caller: Caller, given: MovementsParameters, kind: EventKind
) -> tuple[list[Movement], int, int]:
    """Return the movements of a kind that are asked for, how many there are, and the account."""
    account = venue.require_account(caller)
    if given.currency.upper() not in (SETTLEMENT_CURRENCY, "ANY"):
        return [], 0, account
    rows = venue.history.list_movements((kind,), account)
    return rows[given.offset : given.offset + given.count], len(rows), account


def get_deposits(venue: Venue, caller: Caller, given: MovementsParameters) -> dict[str, Any]:
    """Return the account's credited deposits, newest first."""
    rows, count, account = page(venue, caller, given, EventKind.DEPOSITED)
    address = show_address(venue.engine.addresses[account])
    data = [
        {
            "currency": SETTLEMENT_CURRENCY,
            "address": address,
            "amount": show_usdc(row.amount_atoms),
            "state": "completed",
            "transaction_id": None,
            "received_timestamp": row.time_ns // NS_PER_MS,
            "updated_timestamp": row.time_ns // NS_PER_MS,
            "note": f"sequence {row.sequence}",
            "clearance_state": "success",
        }
        for row in rows
    ]
    return {"data": data, "count": count}


def get_withdrawals(venue: Venue, caller: Caller, given: MovementsParameters) -> dict[str, Any]:
    """Return the account's accepted withdrawals, newest first; they are claimed on chain."""
    rows, count, account = page(venue, caller, given, EventKind.WITHDRAWN)
    payee = show_address(venue.engine.addresses[key_views.find_owner(venue.engine, account)])
    data = [
        {
            "id": row.reference,
            "currency": SETTLEMENT_CURRENCY,
            "address": payee,
            "amount": show_usdc(row.amount_atoms),
            "fee": 0.0,
            "priority": 0.0,
            "state": "unconfirmed",
            "transaction_id": None,
            "created_timestamp": row.time_ns // NS_PER_MS,
            "updated_timestamp": row.time_ns // NS_PER_MS,
            "confirmed_timestamp": None,
        }
        for row in rows
    ]
    return {"data": data, "count": count}


def get_transfers(venue: Venue, caller: Caller, given: MovementsParameters) -> dict[str, Any]:
    """Return transfers from and to the account, newest first."""
    rows, count, account = page(venue, caller, given, EventKind.TRANSFERRED)
    data = []
    for row in rows:
        paid = row.account == account
        other = row.other if paid else row.account
        data.append(
            {
                "id": row.number,
                "currency": SETTLEMENT_CURRENCY,
                "amount": show_usdc(row.amount_atoms),
                "type": "subaccount",
                "state": "confirmed",
                "direction": "payment" if paid else "income",
                "other_side": show_address(venue.engine.addresses[other]),
                "created_timestamp": row.time_ns // NS_PER_MS,
                "updated_timestamp": row.time_ns // NS_PER_MS,
            }
        )
    return {"data": data, "count": count}


def get_settlement_history(venue: Venue, caller: Caller, given: SettlementsParameters) -> dict[str, Any]:
    """Return the account's own settlements, newest first."""
    account = venue.require_account(caller)
    wanted = {venue.find_instrument(given.instrument_name).number} if given.instrument_name else None
    return select_settlements(venue, given, account, wanted)


def refuse_deposit_address(venue: Venue, caller: Caller, given: CurrencyParameters) -> dict[str, Any]:
    """Refuse: what is sent plainly to a contract would be lost; a deposit is a call of the vault."""
    venue.require_account(caller)
    message = (
        "there is no address to send to: a deposit is a call of the vault's depositFor(account, amount); "
        "public/get_domain names the contracts' chain"
    )
    raise ApiError(AccessCode.NOT_SUPPORTED, message)
