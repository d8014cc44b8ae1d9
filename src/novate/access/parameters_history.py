"""The parameters of methods that read the past, as types. Unknown parameters are ignored, as Deribit does."""

from typing import Annotated

import msgspec

from novate.access.parameters import Count, InstrumentName, Milliseconds, Name

Offset = Annotated[int, msgspec.Meta(ge=0, le=1_000_000)]
FAR = 1 << 53


class ChartParameters(msgspec.Struct):
    """public/get_tradingview_chart_data; resolution in minutes, or 1D."""

    instrument_name: InstrumentName
    start_timestamp: Milliseconds
    end_timestamp: Milliseconds
    resolution: str | int


class VolatilityParameters(msgspec.Struct):
    """public/get_historical_volatility."""

    currency: Name


class FundingHistoryParameters(msgspec.Struct):
    """public/get_funding_rate_history."""

    instrument_name: InstrumentName
    start_timestamp: Milliseconds = 0
    end_timestamp: Milliseconds = FAR


class SettlementsParameters(msgspec.Struct):
    """Settlements by instrument or currency, newest first; `continuation` is that of the page before."""

    instrument_name: InstrumentName = ""
    currency: Name = "any"
    type: Name = ""
    count: Count = 20
    continuation: Name = ""
    search_start_timestamp: Milliseconds = FAR


class DeliveryParameters(msgspec.Struct):
    """public/get_delivery_prices."""

    index_name: Name
    offset: Offset = 0
    count: Count = 10


class ExpirationsParameters(msgspec.Struct):
    """public/get_expirations."""

    currency: Name = "any"
    kind: Name = "any"


class CurrencyTradesParameters(msgspec.Struct):
    """Trades by currency and kind, newest first unless sorting is asc."""

    currency: Name = "any"
    kind: Name = "any"
    count: Count = 10
    start_timestamp: Milliseconds = 0
    end_timestamp: Milliseconds = FAR
    sorting: Name = "default"


class OrderTradesParameters(msgspec.Struct):
    """private/get_user_trades_by_order."""

    order_id: Name
    sorting: Name = "default"


class OrderHistoryParameters(msgspec.Struct):
    """private/get_order_history_by_currency and _by_instrument."""

    instrument_name: InstrumentName = ""
    currency: Name = "any"
    kind: Name = "any"
    count: Count = 20
    offset: Offset = 0
    include_old: bool = False
    include_unfilled: bool = False


class MovementsParameters(msgspec.Struct):
    """private/get_deposits, get_withdrawals and get_transfers."""

    currency: Name = "any"
    count: Count = 10
    offset: Offset = 0


class LabelParameters(msgspec.Struct):
    """private/get_order_state_by_label and get_open_orders_by_label."""

    label: Name = ""
    currency: Name = "any"
