"""The private reads: a session's own orders, trades, positions and account.
None of them can change anything.
"""

from typing import Any

from novate.access.errors import ApiError
from novate.access.market_payloads import SETTLEMENT_CURRENCY
from novate.access.methods_public import list_instruments, select_trades
from novate.access.order_record import OrderRecord
from novate.access.parameters import (
    ChannelsParameters,
    CurrencyParameters,
    InstrumentParameters,
    NoParameters,
    OpenOrdersParameters,
    OrderParameters,
    TradesParameters,
    TriggerHistoryParameters,
)
from novate.access.quantities import read_unsigned
from novate.access.venue import Caller, Venue
from novate.execution import views
from novate.protocol.generated.codes import Code

OWN_CHANNELS = ("user.", "block_rfq.")


def get_positions(venue: Venue, caller: Caller, given: CurrencyParameters) -> list[dict[str, Any]]:
    """Return the positions that are not flat."""
    account = venue.require_account(caller)
    wanted = {row.number for row in list_instruments(venue, given.currency, given.kind)}
    rows = views.read_positions(venue.engine, account)
    return [venue.accounts.describe_position(row) for row in rows if row.lots and row.instrument in wanted]


def get_position(venue: Venue, caller: Caller, given: InstrumentParameters) -> dict[str, Any]:
    """Return the position in one instrument, flat if there is none."""
    account = venue.require_account(caller)
    number = venue.find_instrument(given.instrument_name).number
    for row in views.read_positions(venue.engine, account):
        if row.instrument == number:
            return venue.accounts.describe_position(row)
    mark_atoms = venue.read_prices(number)[1]
    return venue.accounts.describe_position(views.PositionView(number, 0, 0, 0, 0, mark_atoms, 0))


def get_account_summary(venue: Venue, caller: Caller, given: CurrencyParameters) -> dict[str, Any]:
    """Return the account in USDC, the only currency that it holds; another currency's figures are all 0."""
    account = venue.require_account(caller)
    view = views.read_account(venue.engine, account)
    summary = venue.accounts.describe_account(view)
    if given.currency.upper() not in (SETTLEMENT_CURRENCY, "ANY"):
        summary = {key: 0.0 if isinstance(value, float) else value for key, value in summary.items()}
        summary |= {"currency": given.currency.upper()} | venue.accounts.describe_standing(view)
    return summary | venue.accounts.describe_user(view)


def get_account_summaries(venue: Venue, caller: Caller, given: NoParameters) -> dict[str, Any]:
    """Return the account with its one summary."""
    view = views.read_account(venue.engine, venue.require_account(caller))
    return venue.accounts.describe_user(view) | {"summaries": [venue.accounts.describe_account(view)]}


def get_open_orders(venue: Venue, caller: Caller, given: OpenOrdersParameters) -> list[dict[str, Any]]:
    """Return the open orders and those that wait, of one instrument if it is given."""
    account = venue.require_account(caller)
    if given.instrument_name:
        wanted = {venue.find_instrument(given.instrument_name).number}
    else:
        wanted = {row.number for row in list_instruments(venue, given.currency, given.kind)}
    live = map(venue.ledger.describe, views.read_open_orders(venue.engine, account))
    waiting = map(venue.ledger.describe, views.read_waiting_orders(venue.engine, account))
    records = [record for record in (*live, *waiting) if record.instrument in wanted]
    return [venue.orders.describe_order(record) for record in records]


def find_order(venue: Venue, account: int, text: str) -> OrderRecord:
    """Return an order of an account, open, waiting or finished; another's is said not to be owned."""
    order_id = read_unsigned(text, "order_id")
    view = views.read_order(venue.engine, order_id) or views.read_waiting_order(venue.engine, order_id)
    record = venue.ledger.find(order_id) if view is None else venue.ledger.describe(view)
    if record is None:
        raise ApiError(
            Code.ORDER_NOT_FOUND, f"no order {order_id} is open or recently finished", order_id=text
        )
    if record.account != account:
        raise ApiError(Code.ORDER_NOT_OWNED, order_id=text)
    return record


def get_order_state(venue: Venue, caller: Caller, given: OrderParameters) -> dict[str, Any]:
    """Return one order."""
    return venue.orders.describe_order(find_order(venue, venue.require_account(caller), given.order_id))


def get_trigger_history(venue: Venue, caller: Caller, given: TriggerHistoryParameters) -> dict[str, Any]:
    """Return how the account's orders that waited for a price have ended their wait, newest first."""
    account = venue.require_account(caller)
    before = read_unsigned(given.continuation, "continuation") if given.continuation else 1 << 63
    if given.instrument_name:
        wanted = {venue.find_instrument(given.instrument_name).number}
    else:
        wanted = {row.number for row in list_instruments(venue, given.currency, "any")}
    entries = venue.ledger.triggers.list_entries(account, before)
    chosen = [entry for entry in entries if entry.record.instrument in wanted]
    page = chosen[: given.count]
    return {
        "entries": [venue.orders.describe_trigger_entry(entry) for entry in page],
        "continuation": str(page[-1].number) if len(chosen) > len(page) else None,
    }


def get_user_trades(venue: Venue, caller: Caller, given: TradesParameters) -> dict[str, Any]:
    """Return the account's recent trades in one instrument."""
    account = venue.require_account(caller)
    number = venue.find_instrument(given.instrument_name).number
    trades = [trade for trade in venue.tape.list_account_trades(account) if trade.instrument == number]
    return select_trades(trades, given, lambda trade: venue.orders.describe_user_trade(trade, account))


def subscribe_private(venue: Venue, caller: Caller, given: ChannelsParameters) -> list[str]:
    """Subscribe to public and own channels; a wallet without an account yet has only the public ones."""
    account = venue.engine.find_account(venue.require_address(caller))
    if account < 0 and any(name.startswith(OWN_CHANNELS) for name in given.channels):
        raise ApiError(Code.ACCOUNT_NOT_FOUND)
    found = [venue.channels.read(name, account if account >= 0 else None) for name in given.channels]
    return caller.subscribe([channel for channel in found if channel is not None])
