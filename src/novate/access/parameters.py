"""The parameters of every method, as types.
Unknown parameters are ignored, as Deribit ignores them, but for those
that would change what an order means: they are known here, and refused.
"""

from typing import Annotated

import msgspec

from novate.access.quantities import Number

Text = Annotated[str, msgspec.Meta(max_length=128)]
Name = Annotated[str, msgspec.Meta(max_length=64)]
Count = Annotated[int, msgspec.Meta(ge=1, le=1000)]
Milliseconds = Annotated[int, msgspec.Meta(ge=0, le=1 << 53)]


class NoParameters(msgspec.Struct):
    """A method without parameters."""


class AuthParameters(msgspec.Struct):
    """public/auth."""

    grant_type: Name
    account: Name = ""
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

    instrument_name: Name


class BookParameters(msgspec.Struct):
    """public/get_order_book."""

    instrument_name: Name
    depth: Annotated[int, msgspec.Meta(ge=1, le=10_000)] = 20


class IndexParameters(msgspec.Struct):
    """public/get_index_price."""

    index_name: Name


class TradesParameters(msgspec.Struct):
    """Trades of one instrument, newest first unless sorting is asc."""

    instrument_name: Name
    count: Count = 10
    start_timestamp: Milliseconds = 0
    end_timestamp: Milliseconds = 1 << 53
    start_seq: Annotated[int, msgspec.Meta(ge=0, le=1 << 53)] = 0
    end_seq: Annotated[int, msgspec.Meta(ge=0, le=1 << 53)] = 1 << 53
    sorting: Name = "default"


class ChannelsParameters(msgspec.Struct):
    """Subscriptions."""

    channels: Annotated[list[Text], msgspec.Meta(max_length=512)]


class HeartbeatParameters(msgspec.Struct):
    """public/set_heartbeat, in seconds."""

    interval: Annotated[int, msgspec.Meta(ge=10, le=3600)]


class OpenOrdersParameters(msgspec.Struct):
    """private/get_open_orders and its relatives."""

    instrument_name: Name = ""
    currency: Name = "any"
    kind: Name = "any"


class OrderParameters(msgspec.Struct):
    """private/get_order_state."""

    order_id: Name


class SignedParameters(msgspec.Struct, kw_only=True):
    """What every write carries.
    Who signs, its place in their order, until when, on which chain, and the proof.
    """

    account: Name
    nonce: int | Name
    expires_ns: int | Name
    signature: Annotated[str, msgspec.Meta(max_length=256)]
    chain_id: int | Name | None = None


class PlaceParameters(SignedParameters, kw_only=True):
    """private/buy and private/sell."""

    instrument_name: Name
    amount: Number
    price: Number
    type: Name = "limit"
    time_in_force: Name = "good_til_cancelled"
    post_only: bool = False
    label: Name = ""
    reduce_only: bool = False
    trigger: Name = ""
    advanced: Name = ""
    mmp: bool = False
    max_show: Number | None = None
    valid_until: int | None = None


class EditParameters(SignedParameters, kw_only=True):
    """private/edit; `amount` is the new open amount."""

    order_id: Name
    amount: Number
    price: Number


class CancelParameters(SignedParameters, kw_only=True):
    """private/cancel."""

    order_id: Name


class CancelAllParameters(SignedParameters, kw_only=True):
    """private/cancel_all."""


class CancelInstrumentParameters(SignedParameters, kw_only=True):
    """private/cancel_all_by_instrument."""

    instrument_name: Name


class WithdrawParameters(SignedParameters, kw_only=True):
    """private/withdraw: USDC to the signing wallet."""

    amount: Number
    currency: Name = "USDC"
    address: Name = ""
