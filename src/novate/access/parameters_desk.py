"""The parameters of keys, sub-accounts, transfers, block trades, requests for quotes and combos, as types.

As parameters.py. Every list has the law's own bound.
"""

from typing import Annotated

import msgspec

from novate.access.parameters import Count, InstrumentName, Milliseconds, Name, SignedParameters, Text
from novate.access.quantities import Number
from novate.protocol.generated.constants import BLOCK_LEG_COUNT_MAX, COMBO_LEG_COUNT_MAX

Signature = Annotated[str, msgspec.Meta(max_length=256)]


class AuthorizeKeyParameters(SignedParameters, kw_only=True):
    """private/authorize_key: limits in USDC, 0 for none."""

    key: Name
    scope: Text
    expiration_timestamp: Milliseconds
    max_notional: Number = 0
    max_delta: Number = 0
    max_vega: Number = 0
    rate_per_minute: int | Name = 0


class RevokeKeyParameters(SignedParameters, kw_only=True):
    """private/revoke_key."""

    key: Name


class CreateSubaccountParameters(SignedParameters, kw_only=True):
    """private/create_subaccount: the number that the owner gives it."""

    subaccount: int | Name


class SubaccountsParameters(msgspec.Struct):
    """private/get_subaccounts."""

    with_portfolio: bool = False


class TransferParameters(SignedParameters, kw_only=True):
    """private/submit_transfer_between_subaccounts: the receiver by its number or its address."""

    amount: Number
    destination: int | Name
    source: int | Name | None = None
    currency: Name = "USDC"


class BlockLeg(msgspec.Struct):
    """One leg of a block trade as its account trades it."""

    instrument_name: InstrumentName
    direction: Name
    amount: Number
    price: Number


class ExecuteBlockParameters(SignedParameters, kw_only=True):
    """private/execute_block_trade: both signatures are over one BlockTrade."""

    counterparty: Name
    counterparty_nonce: int | Name
    counterparty_signature: Signature
    trades: Annotated[list[BlockLeg], msgspec.Meta(min_length=1, max_length=BLOCK_LEG_COUNT_MAX)]
    counterparty_signer: Name = ""
    role: Name = "taker"


class BlockTradeParameters(msgspec.Struct):
    """private/get_block_trade."""

    id: Name


class BlockTradesParameters(msgspec.Struct):
    """private/get_block_trades."""

    currency: Name = "any"
    count: Count = 20


class RfqLeg(msgspec.Struct):
    """One leg of what a request asks for; directions are those of the legs to each other."""

    instrument_name: InstrumentName
    amount: Number
    direction: Name


class CreateRfqParameters(msgspec.Struct):
    """private/create_block_rfq: `nonce` is the one that the taker would sign the block trade with."""

    legs: Annotated[list[RfqLeg], msgspec.Meta(min_length=1, max_length=BLOCK_LEG_COUNT_MAX)]
    nonce: int | Name
    label: Name = ""


class RfqPrice(msgspec.Struct):
    """The price of one leg."""

    instrument_name: InstrumentName
    price: Number


class QuoteRfqParameters(SignedParameters, kw_only=True):
    """private/add_block_rfq_quote: `direction` is the maker's, and the signature that of the counterparty."""

    block_rfq_id: int | Name
    direction: Name
    legs: Annotated[list[RfqPrice], msgspec.Meta(min_length=1, max_length=BLOCK_LEG_COUNT_MAX)]
    label: Name = ""


class AcceptRfqParameters(SignedParameters, kw_only=True):
    """private/accept_block_rfq: `direction` is the taker's."""

    block_rfq_id: int | Name
    block_rfq_quote_id: int | Name
    direction: Name


class RfqParameters(msgspec.Struct):
    """private/cancel_block_rfq."""

    block_rfq_id: int | Name


class RfqQuoteParameters(msgspec.Struct):
    """private/cancel_block_rfq_quote."""

    block_rfq_quote_id: int | Name


class RfqsParameters(msgspec.Struct):
    """private/get_block_rfqs."""

    role: Name = "any"
    state: Name = "any"
    currency: Name = "any"
    block_rfq_id: int | Name | None = None
    count: Count = 20


class CombosParameters(msgspec.Struct):
    """public/get_combos and public/get_combo_ids."""

    currency: Name = "any"
    state: Name = "any"


class ComboParameters(msgspec.Struct):
    """public/get_combo_details."""

    combo_id: InstrumentName


class CreateComboParameters(msgspec.Struct):
    """private/create_combo: the legs that one lot of it is made of."""

    trades: Annotated[list[RfqLeg], msgspec.Meta(min_length=2, max_length=COMBO_LEG_COUNT_MAX)]
