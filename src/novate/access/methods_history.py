"""The public methods that read the past: charts, trades, funding, volatility, settlements, expiries.

The server knows the past since its start, within its bounds; the published record has all of it.
"""

from collections import defaultdict
from datetime import UTC, datetime
from typing import Any

from novate.access.candle_tape import MINUTE_NS, RESOLUTION_MINUTES
from novate.access.errors import refuse_parameter
from novate.access.history_tape import HOUR_NS, Movement
from novate.access.market_payloads import name_index
from novate.access.methods_public import list_instruments
from novate.access.parameters import NoParameters
from novate.access.parameters_history import (
    ChartParameters,
    CurrencyTradesParameters,
    DeliveryParameters,
    ExpirationsParameters,
    FundingHistoryParameters,
    SettlementsParameters,
    VolatilityParameters,
)
from novate.access.quantities import read_unsigned, show_amount, show_price, show_usdc
from novate.access.venue import Caller, Venue
from novate.execution import views
from novate.execution.engine import InstrumentView
from novate.protocol.generated.codes import EventKind, InstrumentKind
from novate.protocol.generated.constants import E6, NS_PER_MS, NS_PER_S

CANDLES_MAX = 5_000
CHART_COLUMNS = ("ticks", "open", "high", "low", "close", "volume", "cost")
HOUR_MS = HOUR_NS // NS_PER_MS
DELIVERIES = (EventKind.SETTLED,)
BANKRUPTCIES = (EventKind.INSURED, EventKind.LOSS_SHARED)
# Deribit's daily settlement of profits is none here: a settlement without a type is any of the others.
SETTLEMENT_KINDS = {
    "": DELIVERIES + BANKRUPTCIES,
    "delivery": DELIVERIES,
    "bankruptcy": BANKRUPTCIES,
    "settlement": (),
}


def get_chart(venue: Venue, caller: Caller, given: ChartParameters) -> dict[str, Any]:
    """Return candles in columns; minutes without trades repeat the last price."""
    instrument = venue.find_instrument(given.instrument_name)
    minutes = RESOLUTION_MINUTES.get(str(given.resolution))
    if minutes is None:
        raise refuse_parameter("resolution", f"one of {list(RESOLUTION_MINUTES)}", given.resolution)
    last_ms = min(given.end_timestamp, venue.clock_ns() // NS_PER_MS)
    first, last = (stamp * NS_PER_MS // MINUTE_NS for stamp in (given.start_timestamp, last_ms))
    columns: dict[str, Any] = {name: [] for name in CHART_COLUMNS}
    for candle in venue.tape.chart(instrument.number, minutes, first, last, CANDLES_MAX):
        columns["ticks"].append(candle.minute * MINUTE_NS // NS_PER_MS)
        for name in ("open", "high", "low", "close"):
            columns[name].append(show_price(getattr(candle, f"{name}_ticks"), instrument))
        columns["volume"].append(show_amount(candle.lots, instrument))
        value = candle.value - candle.lots * instrument.tick_offset
        columns["cost"].append(show_usdc(value * instrument.tick_atoms))
    return columns | {"status": "ok" if columns["ticks"] else "no_data"}


def find_underlying(venue: Venue, currency: str) -> int | None:
    """Return the number of an underlying by its name, in any case."""
    names = [underlying.name for underlying in venue.genesis.underlyings]
    return names.index(currency.upper()) if currency.upper() in names else None


def get_historical_volatility(
    venue: Venue, caller: Caller, given: VolatilityParameters
) -> list[tuple[int, float]]:
    """Return annual volatility in percent by the hour, of the index's hourly returns of a day."""
    underlying = find_underlying(venue, given.currency)
    return [] if underlying is None else venue.history.list_volatilities(underlying)


def get_funding_history(
    venue: Venue, caller: Caller, given: FundingHistoryParameters
) -> list[dict[str, Any]]:
    """Return what a long paid on a perpetual by the hour, as a part of its value, oldest first."""
    instrument = venue.find_instrument(given.instrument_name)
    if instrument.kind != InstrumentKind.PERPETUAL:
        raise refuse_parameter("instrument_name", "a perpetual's", given.instrument_name)
    paid: dict[int, float] = defaultdict(float)
    payments = venue.funding.list_payments(instrument.number, 0, given.end_timestamp)
    for payment in payments:
        paid[payment.time_ns // HOUR_NS] += payment.amount_atoms / payment.mark_atoms
    index = dict(venue.history.hours.get(instrument.underlying, ()))
    rows = []
    for hour in sorted(paid):
        if hour * HOUR_MS < given.start_timestamp // HOUR_MS * HOUR_MS or hour not in index:
            continue
        before = index.get(hour - 1, index[hour])
        rows.append(
            {
                "timestamp": (hour + 1) * HOUR_MS,
                "index_price": index[hour] / E6,
                "prev_index_price": before / E6,
                "interest_1h": paid[hour],
                "interest_8h": sum(paid.get(hour - ago, 0.0) for ago in range(8)),
            }
        )
    return rows


def select_settlements(
    venue: Venue, given: SettlementsParameters, account: int, wanted: set[int] | None
) -> dict[str, Any]:
    """Return a page of settlements: deliveries at expiry, and losses that an account could not pay."""
    if given.type not in SETTLEMENT_KINDS:
        raise refuse_parameter("type", f"one of {[name for name in SETTLEMENT_KINDS if name]}", given.type)
    chosen_kinds = SETTLEMENT_KINDS[given.type]
    before = read_unsigned(given.continuation, "continuation") if given.continuation else 1 << 63
    rows = [
        movement
        for movement in venue.history.list_movements(chosen_kinds, account, before)
        if movement.time_ns // NS_PER_MS <= given.search_start_timestamp
        and (wanted is None or movement.kind != EventKind.SETTLED or movement.instrument in wanted)
    ]
    page = rows[: given.count]
    return {
        "settlements": [describe_settlement(venue, movement) for movement in page],
        "continuation": str(page[-1].number) if len(rows) > len(page) else "none",
    }


def describe_settlement(venue: Venue, movement: Movement) -> dict[str, Any]:
    """Return a settlement in Deribit's shape."""
    stamp = {"timestamp": movement.time_ns // NS_PER_MS}
    if movement.kind != EventKind.SETTLED:
        amount = show_usdc(movement.amount_atoms)
        shared = movement.kind == EventKind.LOSS_SHARED
        socialized = {"socialized": amount if shared else 0.0, "session_tax": 0.0, "session_tax_rate": 0.0}
        return stamp | {"type": "bankruptcy", "session_bankruptcy": amount, "funded": amount} | socialized
    instrument = venue.engine.instruments[movement.instrument]
    state = views.read_instrument_state(venue.engine, instrument.number)
    return stamp | {
        "type": "delivery",
        "instrument_name": instrument.name,
        "position": show_amount(movement.lots, instrument),
        "index_price": state.settlement_atoms / E6,
        "mark_price": state.mark_atoms * instrument.lots_per_unit / E6,
        "profit_loss": show_usdc(movement.amount_atoms),
        "session_profit_loss": show_usdc(movement.amount_atoms),
        "funding": 0.0,
    }


def get_last_settlements(venue: Venue, caller: Caller, given: SettlementsParameters) -> dict[str, Any]:
    """Return recent settlements of everybody, without saying whose."""
    if given.instrument_name:
        wanted = {venue.find_instrument(given.instrument_name).number}
    else:
        wanted = {row.number for row in list_instruments(venue, given.currency, "any")}
    return select_settlements(venue, given, -1, wanted)


def get_last_trades_by_currency(
    venue: Venue, caller: Caller, given: CurrencyTradesParameters
) -> dict[str, Any]:
    """Return recent trades of every instrument of a currency and kind."""
    wanted = {row.number for row in list_instruments(venue, given.currency, given.kind)}
    chosen = [
        trade
        for trade in reversed(venue.tape.all)
        if trade.instrument in wanted
        and given.start_timestamp <= trade.time_ns // NS_PER_MS <= given.end_timestamp
    ]
    if given.sorting == "asc":
        chosen.reverse()
    rows = [venue.market.describe_trade(trade) for trade in chosen[: given.count]]
    return {"trades": rows, "has_more": len(chosen) > given.count}


def list_expired(venue: Venue, underlying: int) -> list[InstrumentView]:
    """Return one instrument of each expiry of an underlying that has settled, newest first."""
    found = {}
    for instrument in venue.engine.instruments:
        state = views.read_instrument_state(venue.engine, instrument.number)
        if instrument.underlying == underlying and instrument.expiry_ns and state.settlement_atoms:
            found[instrument.expiry_ns] = instrument
    return [found[expiry_ns] for expiry_ns in sorted(found, reverse=True)]


def get_delivery_prices(venue: Venue, caller: Caller, given: DeliveryParameters) -> dict[str, Any]:
    """Return the prices at which expiries have settled, newest first."""
    number = venue.channels.indexes.get(given.index_name)
    if number is None:
        names = [name_index(underlying.name) for underlying in venue.genesis.underlyings]
        raise refuse_parameter("index_name", f"one of {names}", given.index_name)
    settled = list_expired(venue, number)
    rows = [
        {
            "date": datetime.fromtimestamp(instrument.expiry_ns // NS_PER_S, UTC).strftime("%Y-%m-%d"),
            "delivery_price": views.read_instrument_state(venue.engine, instrument.number).settlement_atoms
            / E6,
        }
        for instrument in settled[given.offset : given.offset + given.count]
    ]
    return {"data": rows, "records_total": len(settled)}


def get_expirations(venue: Venue, caller: Caller, given: ExpirationsParameters) -> dict[str, Any]:
    """Return the expiries that can be traded, by currency and kind, as Deribit names them."""
    found: dict[str, dict[str, dict[str, None]]] = {}
    rows = list_instruments(venue, given.currency, "any")
    for instrument in sorted(rows, key=lambda row: row.expiry_ns or 1 << 63):
        kind = "option" if instrument.kind in (InstrumentKind.CALL, InstrumentKind.PUT) else "future"
        if instrument.legs or not venue.market.is_open(instrument) or given.kind not in ("any", kind):
            continue
        expiry = instrument.name.split("-")[1]
        kinds = found.setdefault(venue.market.name_underlying(instrument).lower(), {})
        kinds.setdefault(kind, {})[expiry] = None
    return {
        currency: {kind: list(expiries) for kind, expiries in kinds.items()}
        for currency, kinds in found.items()
    }


def get_index_names(venue: Venue, caller: Caller, given: NoParameters) -> list[str]:
    """Return the names of the indices."""
    return [name_index(underlying.name) for underlying in venue.genesis.underlyings]
