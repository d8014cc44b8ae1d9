"""The parameters of every method, as types.
Unknown parameters are ignored, as Deribit ignores them, but for those
that would change what an order means: they are known here, and refused.
"""

from typing import Annotated

import msgspec

from novate.access.quantities import Number
from novate.protocol.generated.constants import QUOTE_COUNT_MAX

Text = Annotated[str, msgspec.Meta(max_length=128)]
Name = Annotated[str, msgspec.Meta(max_length=64)]
InstrumentName = Annotated[str, msgspec.Meta(max_length=192)]  # A combo's has the names of its legs.
ChannelName = Annotated[str, msgspec.Meta(max_length=256)]
Count = Annotated[int, msgspec.Meta(ge=1, le=1000)]
Milliseconds = Annotated[int, msgspec.Meta(ge=0, le=1 << 53)]


class NoParameters(msgspec.Struct):
    """A method without parameters."""


class AuthParameters(msgspec.Struct):
    """public/auth."""

    grant_type: Name
    account: Name = ""
    signer: Name = ""
    timestamp: Milliseconds = 0
    nonce: Name = ""
    signature: Annotated[str, msgspec.Meta(max_length=256)] = ""
    refresh_token: Text = ""
    state: Text = ""


class HelloParameters(msgspec.Struct):
    """public/hello."""

    client_name: Name = ""
    client_version: Name = ""


class TestParameters(msgspec.Struct):
    """public/test."""

    expected_result: Name = ""


class CurrencyParameters(msgspec.Struct):
    """Methods by currency and kind; a linear contract answers to its base and to USDC."""

    currency: Name = "any"
    kind: Name = "any"
    expired: bool = False


class InstrumentParameters(msgspec.Struct):
    """Methods of one instrument."""

    instrument_name: InstrumentName


class BookParameters(msgspec.Struct):
    """public/get_order_book."""

    instrument_name: InstrumentName
    depth: Annotated[int, msgspec.Meta(ge=1, le=10_000)] = 20


class IndexParameters(msgspec.Struct):
    """public/get_index_price."""

    index_name: Name


class TradesParameters(msgspec.Struct):
    """Trades of one instrument, newest first unless sorting is asc."""

    instrument_name: InstrumentName
    count: Count = 10
    start_timestamp: Milliseconds = 0
    end_timestamp: Milliseconds = 1 << 53
    start_seq: Annotated[int, msgspec.Meta(ge=0, le=1 << 53)] = 0
    end_seq: Annotated[int, msgspec.Meta(ge=0, le=1 << 53)] = 1 << 53
    sorting: Name = "default"


class ChannelsParameters(msgspec.Struct):
    """Subscriptions."""

    channels: Annotated[list[ChannelName], msgspec.Meta(max_length=512)]


class HeartbeatParameters(msgspec.Struct):
    """public/set_heartbeat, in seconds."""

    interval: Annotated[int, msgspec.Meta(ge=10, le=3600)]


class OpenOrdersParameters(msgspec.Struct):
    """private/get_open_orders and its relatives."""

    instrument_name: InstrumentName = ""
    currency: Name = "any"
    kind: Name = "any"


class TriggerHistoryParameters(msgspec.Struct):
    """private/get_trigger_order_history; `continuation` is that of the page before."""

    instrument_name: Name = ""
    currency: Name = "any"
    count: Count = 20
    continuation: Name = ""


class OrderParameters(msgspec.Struct):
    """private/get_order_state."""

    order_id: Name


class SignedParameters(msgspec.Struct, kw_only=True):
    """What every write carries.
    For whom, who signs (the account unless it says otherwise), its place in their order, until when, on which
    chain, and the proof.
    """

    account: Name
    signer: Name = ""
    nonce: int | Name
    expires_ns: int | Name
    signature: Annotated[str, msgspec.Meta(max_length=256)]
    chain_id: int | Name | None = None


class PlaceParameters(SignedParameters, kw_only=True):
    """private/buy and private/sell."""

    instrument_name: InstrumentName
    amount: Number
    price: Number | None = None
    type: Name = "limit"
    time_in_force: Name = ""
    post_only: bool = False
    reduce_only: bool = False
    label: Name = ""
    self_trading_mode: Name = ""
    display_amount: Number | None = None
    max_show: Number | None = None
    valid_until: Milliseconds | None = None
    advanced: Name = ""
    link: int | Name = 0
    parent_order_id: int | Name = 0
    trigger: Name = ""
    trigger_price: Number | None = None
    trigger_offset: Number | None = None
    mmp: bool = False
    linked_order_type: Name = ""
    trigger_fill_condition: Name = ""
    otoco_config: list[msgspec.Raw] | None = None


class EditParameters(SignedParameters, kw_only=True):
    """private/edit; `amount` is the new open amount."""

    order_id: Name
    amount: Number
    price: Number
    advanced: Name = ""


class CancelParameters(SignedParameters, kw_only=True):
    """private/cancel."""

    order_id: Name


class CancelAllParameters(SignedParameters, kw_only=True):
    """private/cancel_all."""


class CancelInstrumentParameters(SignedParameters, kw_only=True):
    """private/cancel_all_by_instrument."""

    instrument_name: InstrumentName


class CancelLabelParameters(SignedParameters, kw_only=True):
    """private/cancel_by_label."""

    label: Name
    currency: Name = "USDC"


class GroupParameters(SignedParameters, kw_only=True):
    """private/cancel_quotes."""

    mmp_group: int | Name
    cancel_type: Name = "all"


class QuoteSide(msgspec.Struct):
    """One side of a quote; an amount of 0 is no quote."""

    price: Number
    amount: Number


class QuotePair(msgspec.Struct):
    """Both sides of a quote in one instrument; a side that is absent is taken away."""

    instrument_name: InstrumentName
    bid: QuoteSide | None = None
    ask: QuoteSide | None = None


class MassQuoteParameters(SignedParameters, kw_only=True):
    """private/mass_quote."""

    mmp_group: int | Name
    quotes: Annotated[list[QuotePair], msgspec.Meta(min_length=1, max_length=QUOTE_COUNT_MAX)]


class MmpParameters(SignedParameters, kw_only=True):
    """private/set_mmp_config: times in seconds, the quantity in units of the underlying, the rest in USDC."""

    index_name: Name
    mmp_group: int | Name
    interval: Number
    frozen_time: Number
    quantity_limit: Number
    delta_limit: Number = 0
    vega_limit: Number = 0


class ResetMmpParameters(SignedParameters, kw_only=True):
    """private/reset_mmp."""

    index_name: Name
    mmp_group: int | Name


class MmpFilterParameters(msgspec.Struct):
    """private/get_mmp_config and private/get_mmp_status."""

    index_name: Name = ""
    mmp_group: int | Name = 0


class DisconnectParameters(SignedParameters, kw_only=True):
    """private/enable_cancel_on_disconnect and private/disable_cancel_on_disconnect; time in seconds."""

    scope: Name = "account"
    timeout: Number = 0


class ScopeParameters(msgspec.Struct):
    """private/get_cancel_on_disconnect."""

    scope: Name = "account"


class DeadManParameters(SignedParameters, kw_only=True):
    """private/set_dead_man; time in seconds, 0 ends it."""

    timeout: Number
    cancel_on_disconnect: bool = False


class SimulationParameters(msgspec.Struct):
    """private/simulate_portfolio: signed amounts by instrument."""

    simulated_positions: Annotated[dict[Name, Number], msgspec.Meta(max_length=512)] = {}
    add_positions: bool = True
    currency: Name = "USDC"


class FundingParameters(msgspec.Struct):
    """public/get_funding_rate_value."""

    instrument_name: InstrumentName
    start_timestamp: Milliseconds
    end_timestamp: Milliseconds


class BackstopParameters(SignedParameters, kw_only=True):
    """private/set_backstop: percent of the maintenance requirement; none withdraws the offer."""

    demand: Number | None = None


class InsureParameters(SignedParameters, kw_only=True):
    """private/insure: USDC to the insurance fund."""

    amount: Number
    currency: Name = "USDC"


class WithdrawParameters(SignedParameters, kw_only=True):
    """private/withdraw: USDC to the signing wallet."""

    amount: Number
    currency: Name = "USDC"
    address: Name = ""
