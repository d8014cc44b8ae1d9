"""From a method's name to its answer.
The route table, and the one place where a fault of ours meets a client.

Every method is in one of two tables: READS here and WRITES in methods_write.py. A private read asks for the
caller's wallet itself; the table says which ones do, and a test calls each of them without a session.
"""

import asyncio
import inspect
import logging
from collections.abc import Callable
from typing import Any, NamedTuple

import msgspec

from novate.access import methods_block as block
from novate.access import methods_combo as combo
from novate.access import methods_history as history
from novate.access import methods_keys as keys
from novate.access import methods_past as past
from novate.access import methods_private as private
from novate.access import methods_public as public
from novate.access import methods_quote as quote
from novate.access import methods_rfq as rfq
from novate.access import parameters as shapes
from novate.access import parameters_desk as desk
from novate.access import parameters_history as old
from novate.access import simulation
from novate.access.errors import REASON, ApiError, describe_internal_error
from novate.access.methods_write import WRITE_DECODERS, WRITES
from novate.access.venue import Caller, Venue
from novate.access.wire import RequestId, convert_query, decode_parameters, encode_reply, read_clock_us
from novate.access.writes import Write, await_outcome, enqueue_write, verify_signer
from novate.execution.sequencer import Outcome
from novate.protocol.generated.codes import AccessCode

logger = logging.getLogger("novate.access")


class Read(NamedTuple):
    """A method that changes nothing in the law's state."""

    handle: Callable[[Venue, Caller, Any], Any]
    parameters: type[msgspec.Struct]
    decoder: "msgspec.json.Decoder[Any]"


def make_read(handle: Callable[[Venue, Caller, Any], Any], parameters: type[msgspec.Struct]) -> Read:
    """Return a route with the decoder of its parameters."""
    return Read(handle, parameters, msgspec.json.Decoder(parameters))


READS: dict[str, Read] = {
    "public/auth": make_read(public.authenticate, shapes.AuthParameters),
    "public/hello": make_read(public.answer_hello, shapes.HelloParameters),
    "public/test": make_read(public.answer_test, shapes.TestParameters),
    "public/get_time": make_read(public.get_time, shapes.NoParameters),
    "public/status": make_read(public.get_status, shapes.NoParameters),
    "public/get_domain": make_read(public.get_domain, shapes.NoParameters),
    "public/get_currencies": make_read(public.get_currencies, shapes.NoParameters),
    "public/get_instruments": make_read(public.get_instruments, shapes.CurrencyParameters),
    "public/get_instrument": make_read(public.get_instrument, shapes.InstrumentParameters),
    "public/ticker": make_read(public.get_ticker, shapes.InstrumentParameters),
    "public/get_order_book": make_read(public.get_order_book, shapes.BookParameters),
    "public/get_index_price": make_read(public.get_index_price, shapes.IndexParameters),
    "public/get_last_trades_by_instrument": make_read(public.get_last_trades, shapes.TradesParameters),
    "public/get_last_trades_by_instrument_and_time": make_read(
        public.get_last_trades, shapes.TradesParameters
    ),
    "public/get_book_summary_by_currency": make_read(public.get_book_summaries, shapes.CurrencyParameters),
    "public/get_book_summary_by_instrument": make_read(public.get_book_summary, shapes.InstrumentParameters),
    "public/get_funding_rate_value": make_read(public.get_funding_rate_value, shapes.FundingParameters),
    "public/get_combos": make_read(combo.get_combos, desk.CombosParameters),
    "public/get_combo_ids": make_read(combo.get_combo_ids, desk.CombosParameters),
    "public/get_combo_details": make_read(combo.get_combo_details, desk.ComboParameters),
    "public/subscribe": make_read(public.subscribe_public, shapes.ChannelsParameters),
    "public/unsubscribe": make_read(public.unsubscribe, shapes.ChannelsParameters),
    "public/unsubscribe_all": make_read(public.unsubscribe_all, shapes.NoParameters),
    "public/set_heartbeat": make_read(public.set_heartbeat, shapes.HeartbeatParameters),
    "public/disable_heartbeat": make_read(public.disable_heartbeat, shapes.NoParameters),
    "public/get_tradingview_chart_data": make_read(history.get_chart, old.ChartParameters),
    "public/get_historical_volatility": make_read(
        history.get_historical_volatility, old.VolatilityParameters
    ),
    "public/get_funding_rate_history": make_read(history.get_funding_history, old.FundingHistoryParameters),
    "public/get_last_settlements_by_instrument": make_read(
        history.get_last_settlements, old.SettlementsParameters
    ),
    "public/get_last_settlements_by_currency": make_read(
        history.get_last_settlements, old.SettlementsParameters
    ),
    "public/get_last_trades_by_currency": make_read(
        history.get_last_trades_by_currency, old.CurrencyTradesParameters
    ),
    "public/get_last_trades_by_currency_and_time": make_read(
        history.get_last_trades_by_currency, old.CurrencyTradesParameters
    ),
    "public/get_delivery_prices": make_read(history.get_delivery_prices, old.DeliveryParameters),
    "public/get_expirations": make_read(history.get_expirations, old.ExpirationsParameters),
    "public/get_index_price_names": make_read(history.get_index_names, shapes.NoParameters),
    "private/get_order_history_by_instrument": make_read(past.get_order_history, old.OrderHistoryParameters),
    "private/get_order_history_by_currency": make_read(past.get_order_history, old.OrderHistoryParameters),
    "private/get_user_trades_by_currency": make_read(
        past.get_user_trades_by_currency, old.CurrencyTradesParameters
    ),
    "private/get_user_trades_by_currency_and_time": make_read(
        past.get_user_trades_by_currency, old.CurrencyTradesParameters
    ),
    "private/get_user_trades_by_order": make_read(past.get_user_trades_by_order, old.OrderTradesParameters),
    "private/get_open_orders_by_label": make_read(past.get_open_orders_by_label, old.LabelParameters),
    "private/get_order_state_by_label": make_read(past.get_order_state_by_label, old.LabelParameters),
    "private/get_deposits": make_read(past.get_deposits, old.MovementsParameters),
    "private/get_withdrawals": make_read(past.get_withdrawals, old.MovementsParameters),
    "private/get_transfers": make_read(past.get_transfers, old.MovementsParameters),
    "private/get_settlement_history_by_instrument": make_read(
        past.get_settlement_history, old.SettlementsParameters
    ),
    "private/get_settlement_history_by_currency": make_read(
        past.get_settlement_history, old.SettlementsParameters
    ),
    "private/get_current_deposit_address": make_read(past.refuse_deposit_address, shapes.CurrencyParameters),
    "private/create_deposit_address": make_read(past.refuse_deposit_address, shapes.CurrencyParameters),
    "private/get_positions": make_read(private.get_positions, shapes.CurrencyParameters),
    "private/get_position": make_read(private.get_position, shapes.InstrumentParameters),
    "private/get_account_summary": make_read(private.get_account_summary, shapes.CurrencyParameters),
    "private/get_account_summaries": make_read(private.get_account_summaries, shapes.NoParameters),
    "private/get_open_orders": make_read(private.get_open_orders, shapes.OpenOrdersParameters),
    "private/get_open_orders_by_instrument": make_read(private.get_open_orders, shapes.OpenOrdersParameters),
    "private/get_open_orders_by_currency": make_read(private.get_open_orders, shapes.OpenOrdersParameters),
    "private/get_order_state": make_read(private.get_order_state, shapes.OrderParameters),
    "private/get_trigger_order_history": make_read(
        private.get_trigger_history, shapes.TriggerHistoryParameters
    ),
    "private/get_user_trades_by_instrument": make_read(private.get_user_trades, shapes.TradesParameters),
    "private/get_user_trades_by_instrument_and_time": make_read(
        private.get_user_trades, shapes.TradesParameters
    ),
    "private/get_mmp_config": make_read(quote.get_mmp_config, shapes.MmpFilterParameters),
    "private/get_mmp_status": make_read(quote.get_mmp_status, shapes.MmpFilterParameters),
    "private/get_cancel_on_disconnect": make_read(quote.get_cancel_on_disconnect, shapes.ScopeParameters),
    "private/simulate_portfolio": make_read(simulation.simulate_portfolio, shapes.SimulationParameters),
    "private/list_keys": make_read(keys.list_keys, shapes.NoParameters),
    "private/get_subaccounts": make_read(keys.get_subaccounts, desk.SubaccountsParameters),
    "private/get_block_trade": make_read(block.get_block_trade, desk.BlockTradeParameters),
    "private/get_block_trades": make_read(block.get_block_trades, desk.BlockTradesParameters),
    "private/create_block_rfq": make_read(rfq.create_block_rfq, desk.CreateRfqParameters),
    "private/add_block_rfq_quote": make_read(rfq.add_block_rfq_quote, desk.QuoteRfqParameters),
    "private/cancel_block_rfq": make_read(rfq.cancel_block_rfq, desk.RfqParameters),
    "private/cancel_block_rfq_quote": make_read(rfq.cancel_block_rfq_quote, desk.RfqQuoteParameters),
    "private/get_block_rfqs": make_read(rfq.get_block_rfqs, desk.RfqsParameters),
    "private/create_combo": make_read(combo.create_combo, desk.CreateComboParameters),
    "private/subscribe": make_read(private.subscribe_private, shapes.ChannelsParameters),
    "private/unsubscribe": make_read(public.unsubscribe, shapes.ChannelsParameters),
    "private/unsubscribe_all": make_read(public.unsubscribe_all, shapes.NoParameters),
}
METHOD_NAMES = frozenset(READS) | frozenset(WRITES)


class Call(NamedTuple):
    """One request on its way to its method. Parameters are raw JSON, or a query's texts."""

    method: str
    request_id: RequestId
    parameters: bytes | dict[str, str]
    us_in: int

    def decode(self, decoder: "msgspec.json.Decoder[Any]", kind: type[msgspec.Struct]) -> Any:
        """Return the typed parameters, or raise PARAMETER_INVALID."""
        if isinstance(self.parameters, dict):
            return convert_query(self.parameters, kind)
        return decode_parameters(self.parameters, decoder)


def refuse_method(method: str) -> ApiError:
    """Return the refusal of an unknown method."""
    return ApiError(AccessCode.METHOD_NOT_FOUND, f"no method is called {method[:80]!r}", method=method[:80])


def encode_result(venue: Venue, call: Call, result: object) -> bytes:
    """Return the reply of a call that succeeded."""
    return encode_reply(call.request_id, "result", result, call.us_in, venue.testnet)


def encode_failure(venue: Venue, call: Call, error: BaseException) -> bytes:
    """Return the reply of a call that failed.
    A refusal in full, a fault of ours recorded and not described.
    """
    if isinstance(error, ApiError):
        venue.counters.refusals[REASON[error.code]] += 1
        body = error.describe()
    else:
        venue.counters.internal_errors += 1
        logger.error("%s failed", call.method[:80], exc_info=error)
        body = describe_internal_error()
    return encode_reply(call.request_id, "error", body, call.us_in, venue.testnet)


async def run_read(venue: Venue, caller: Caller, call: Call) -> object:
    """Return the result of a read, or raise the refusal of an unknown method."""
    route = READS.get(call.method)
    if route is None:
        raise refuse_method(call.method)
    result = route.handle(venue, caller, call.decode(route.decoder, route.parameters))
    return await result if inspect.isawaitable(result) else result


async def answer_read(venue: Venue, caller: Caller, call: Call) -> bytes:
    """Return the reply of a read."""
    try:
        return encode_result(venue, call, await run_read(venue, caller, call))
    except Exception as error:
        return encode_failure(venue, call, error)


def prepare_write(venue: Venue, call: Call) -> Write:
    """Return the write of a call, or raise ApiError."""
    kind, prepare = WRITES[call.method]
    return prepare(venue, call.decode(WRITE_DECODERS[call.method], kind))


async def await_counted(
    venue: Venue, call: Call, write: Write, outcome: "asyncio.Future[Outcome]"
) -> dict[str, Any]:
    """Return a queued write's outcome as shown, or raise its refusal; how long it took is counted."""
    try:
        return await await_outcome(venue, write, outcome)
    finally:
        venue.counters.acknowledgements.observe(max(0, read_clock_us() - call.us_in) * 1_000)


async def finish_write(venue: Venue, call: Call, write: Write, outcome: "asyncio.Future[Outcome]") -> bytes:
    """Return the reply of a write that is queued."""
    try:
        return encode_result(venue, call, await await_counted(venue, call, write, outcome))
    except Exception as error:
        return encode_failure(venue, call, error)


async def answer_call(venue: Venue, caller: Caller, call: Call) -> tuple[bytes, bool]:
    """Return the reply of one call that need not keep an order with others, and whether it succeeded."""
    try:
        if call.method in WRITES:
            write = prepare_write(venue, call)
            await verify_signer(venue, write)
            queued = enqueue_write(venue, write)
            return encode_result(venue, call, await await_counted(venue, call, write, queued)), True
        return encode_result(venue, call, await run_read(venue, caller, call)), True
    except Exception as error:
        return encode_failure(venue, call, error), False
