"""The writes on orders and money: what each method signs, and how its outcome is shown.

The table of all writes is here too; those on quotes and protection, on keys and on blocks are prepared in
methods_quote.py, methods_keys.py, methods_block.py and methods_rfq.py.
"""

from collections.abc import Callable
from typing import Any

import msgspec

from novate.access import methods_keys as keys
from novate.access import methods_quote as quote
from novate.access import parameters_desk as desk
from novate.access.errors import ApiError, refuse_parameter
from novate.access.keyring import show_address
from novate.access.methods_block import prepare_execute_block
from novate.access.methods_rfq import prepare_accept_block_rfq
from novate.access.order_terms import IMPLIED_VOLATILITY, hash_label, read_limit, read_order
from novate.access.parameters import (
    BackstopParameters,
    CancelAllParameters,
    CancelInstrumentParameters,
    CancelLabelParameters,
    CancelParameters,
    DeadManParameters,
    DisconnectParameters,
    EditParameters,
    GroupParameters,
    InsureParameters,
    MassQuoteParameters,
    MmpParameters,
    PlaceParameters,
    ResetMmpParameters,
    SignedParameters,
    WithdrawParameters,
)
from novate.access.quantities import (
    read_address,
    read_demand_e6,
    read_lots,
    read_unsigned,
    read_usdc_atoms,
    show_demand,
    show_usdc,
)
from novate.access.venue import Venue
from novate.access.writes import Write, begin_write, check_freshness, show_cancelled_all, show_receipt
from novate.execution import key_views, views
from novate.execution.sequencer import Outcome
from novate.protocol.generated.codes import Code, CommandKind, OrderFlag, Side
from novate.protocol.generated.constants import NS_PER_MS
from novate.protocol.signing import ALL_INSTRUMENTS


def prepare_place(venue: Venue, side: Side, given: PlaceParameters) -> Write:
    """Prepare private/buy or private/sell: a PLACE, or a PLACE_TRIGGER if the order waits."""
    fresh = check_freshness(venue, given)
    instrument = venue.find_instrument(given.instrument_name)
    kind, fields = read_order(given, side, instrument)
    fields["instrument"] = instrument.number
    return begin_write(venue, kind, fresh, show_placed, fields, given.label)


def prepare_buy(venue: Venue, given: PlaceParameters) -> Write:
    """Prepare private/buy."""
    return prepare_place(venue, Side.BUY, given)


def prepare_sell(venue: Venue, given: PlaceParameters) -> Write:
    """Prepare private/sell."""
    return prepare_place(venue, Side.SELL, given)


def is_waiting(venue: Venue, order_id: int) -> bool:
    """Whether an order waits for its trigger or its parent."""
    return views.read_waiting_order(venue.engine, order_id) is not None


def refuse_unknown_order(order_id: int, expected: str = "open") -> ApiError:
    """Return the refusal of an order that is not there."""
    return ApiError(Code.ORDER_NOT_FOUND, f"no order {order_id} is {expected}", order_id=str(order_id))


def require_open_order(venue: Venue, text: str) -> views.OrderView:
    """Return an open order, or raise ORDER_NOT_FOUND."""
    order_id = read_unsigned(text, "order_id")
    view = views.read_order(venue.engine, order_id)
    if view is not None:
        return view
    if is_waiting(venue, order_id):
        message = f"order {order_id} waits and cannot be edited; cancel it and place another"
        raise ApiError(Code.ORDER_NOT_FOUND, message, order_id=text)
    raise refuse_unknown_order(order_id)


def prepare_edit(venue: Venue, given: EditParameters) -> Write:
    """Prepare private/edit; an order priced in volatility is edited in volatility."""
    fresh = check_freshness(venue, given)
    view = require_open_order(venue, given.order_id)
    advanced = IMPLIED_VOLATILITY if view.flags & OrderFlag.VOLATILITY else ""
    if given.advanced not in ("", advanced):
        raise refuse_parameter("advanced", f"{advanced or 'absent'}, as when the order was placed")
    instrument = venue.engine.instruments[view.instrument]
    fields = {
        "order_id": view.order_id,
        "lots": read_lots(given.amount, instrument),
        "price_ticks": read_limit(given.price, advanced, instrument),
    }
    return begin_write(venue, CommandKind.REPLACE, fresh, show_placed, fields)


def prepare_cancel(venue: Venue, given: CancelParameters) -> Write:
    """Prepare private/cancel, of an open order or one that waits."""
    fresh = check_freshness(venue, given)
    order_id = read_unsigned(given.order_id, "order_id")
    if views.read_order(venue.engine, order_id) is None and not is_waiting(venue, order_id):
        raise refuse_unknown_order(order_id, "open or waiting")
    return begin_write(venue, CommandKind.CANCEL, fresh, show_cancelled, {"order_id": order_id})


def prepare_cancel_all(venue: Venue, given: CancelAllParameters) -> Write:
    """Prepare private/cancel_all, which signs the empty name."""
    fresh = check_freshness(venue, given)
    fields = {"instrument": ALL_INSTRUMENTS}
    return begin_write(venue, CommandKind.CANCEL_ALL, fresh, show_cancelled_all, fields)


def prepare_cancel_instrument(venue: Venue, given: CancelInstrumentParameters) -> Write:
    """Prepare private/cancel_all_by_instrument."""
    fresh = check_freshness(venue, given)
    fields = {"instrument": venue.find_instrument(given.instrument_name).number}
    return begin_write(venue, CommandKind.CANCEL_ALL, fresh, show_cancelled_all, fields)


def prepare_cancel_label(venue: Venue, given: CancelLabelParameters) -> Write:
    """Prepare private/cancel_by_label, of every instrument."""
    label = hash_label(given.label)
    if not label:
        raise refuse_parameter("label", "a text that is not empty; private/cancel_all cancels everything")
    if given.currency.upper() not in ("USDC", "ANY"):
        raise refuse_parameter("currency", "USDC, in which every order settles", given.currency)
    fresh = check_freshness(venue, given)
    fields = {"instrument": ALL_INSTRUMENTS, "label": label}
    return begin_write(venue, CommandKind.CANCEL_ALL, fresh, show_cancelled_all, fields)


def check_currency(currency: str) -> None:
    """Refuse any currency but the one that accounts hold."""
    if currency != "USDC":
        raise refuse_parameter("currency", "USDC", currency)


def prepare_set_backstop(venue: Venue, given: BackstopParameters) -> Write:
    """Prepare private/set_backstop. [LIQ-9]"""
    fresh = check_freshness(venue, given)
    fields = {"demand_e6": read_demand_e6(given.demand)}
    return begin_write(venue, CommandKind.BACKSTOP, fresh, show_backstop, fields)


def prepare_insure(venue: Venue, given: InsureParameters) -> Write:
    """Prepare private/insure: the money is the fund's for good. [LIQ-9]"""
    check_currency(given.currency)
    fresh = check_freshness(venue, given)
    fields = {"amount_atoms": read_usdc_atoms(given.amount)}
    return begin_write(venue, CommandKind.INSURE, fresh, show_insured, fields)


def prepare_withdraw(venue: Venue, given: WithdrawParameters) -> Write:
    """Prepare private/withdraw; the money can only go to the account's owner. [SUB-3]"""
    check_currency(given.currency)
    fresh = check_freshness(venue, given)
    if given.address and read_address(given.address, "address") != find_payee(venue, fresh.account):
        raise refuse_parameter("address", "absent or the account's owner: money leaves to its owner only")
    fields = {"amount_atoms": read_usdc_atoms(given.amount)}
    return begin_write(venue, CommandKind.WITHDRAW, fresh, show_withdrawn, fields)


def find_payee(venue: Venue, account: int) -> bytes:
    """Return the address that a withdrawal is paid to: the account's, or its owner's."""
    return venue.engine.addresses[key_views.find_owner(venue.engine, account)]


def show_placed(venue: Venue, write: Write, outcome: Outcome) -> dict[str, Any]:
    """Return the order and its trades as they were right after the command."""
    account = venue.engine.find_account(write.command.holder)
    trades = [venue.orders.describe_user_trade(trade, account) for trade in write.memo.trades]
    return {"order": show_memo_order(venue, write), "trades": trades, "receipt": show_receipt(outcome)}


def show_memo_order(venue: Venue, write: Write) -> dict[str, Any]:
    """Return the order that the command left behind; empty only for an order of a past run that it ended."""
    return {} if write.memo.order is None else venue.orders.describe_order(write.memo.order)


def show_cancelled(venue: Venue, write: Write, outcome: Outcome) -> dict[str, Any]:
    """Return the cancelled order."""
    order = show_memo_order(venue, write) or {
        "order_id": str(write.command.get("order_id")),
        "order_state": "cancelled",
    }
    return order | {"receipt": show_receipt(outcome)}


def show_backstop(venue: Venue, write: Write, outcome: Outcome) -> dict[str, Any]:
    """Return what the account demands now, in percent, or null."""
    return {"demand": show_demand(write.command.get("demand_e6")), "receipt": show_receipt(outcome)}


def show_insured(venue: Venue, write: Write, outcome: Outcome) -> dict[str, Any]:
    """Return what was paid into the insurance fund."""
    amount = show_usdc(write.command.get("amount_atoms"))
    return {"amount": amount, "currency": "USDC", "receipt": show_receipt(outcome)}


def show_withdrawn(venue: Venue, write: Write, outcome: Outcome) -> dict[str, Any]:
    """Return the withdrawal, which its owner claims on chain once its batch is final."""
    number = int(outcome.events[1]["order_id"])
    stamp = outcome.time_ns // NS_PER_MS
    return {
        "id": number,
        "address": show_address(find_payee(venue, venue.engine.find_account(write.command.holder))),
        "amount": show_usdc(write.command.get("amount_atoms")),
        "currency": "USDC",
        "fee": 0.0,
        "priority": 0.0,
        "state": "unconfirmed",
        "transaction_id": None,
        "created_timestamp": stamp,
        "updated_timestamp": stamp,
        "confirmed_timestamp": None,
        "receipt": show_receipt(outcome),
    }


WRITES: dict[str, tuple[type[SignedParameters], Callable[[Venue, Any], Write]]] = {
    "private/buy": (PlaceParameters, prepare_buy),
    "private/sell": (PlaceParameters, prepare_sell),
    "private/edit": (EditParameters, prepare_edit),
    "private/cancel": (CancelParameters, prepare_cancel),
    "private/cancel_all": (CancelAllParameters, prepare_cancel_all),
    "private/cancel_all_by_instrument": (CancelInstrumentParameters, prepare_cancel_instrument),
    "private/cancel_by_label": (CancelLabelParameters, prepare_cancel_label),
    "private/cancel_quotes": (GroupParameters, quote.prepare_cancel_quotes),
    "private/mass_quote": (MassQuoteParameters, quote.prepare_mass_quote),
    "private/set_mmp_config": (MmpParameters, quote.prepare_set_mmp),
    "private/reset_mmp": (ResetMmpParameters, quote.prepare_reset_mmp),
    "private/enable_cancel_on_disconnect": (DisconnectParameters, quote.prepare_enable_disconnect),
    "private/disable_cancel_on_disconnect": (DisconnectParameters, quote.prepare_disable_disconnect),
    "private/set_dead_man": (DeadManParameters, quote.prepare_dead_man),
    "private/set_backstop": (BackstopParameters, prepare_set_backstop),
    "private/insure": (InsureParameters, prepare_insure),
    "private/withdraw": (WithdrawParameters, prepare_withdraw),
    "private/authorize_key": (desk.AuthorizeKeyParameters, keys.prepare_authorize_key),
    "private/revoke_key": (desk.RevokeKeyParameters, keys.prepare_revoke_key),
    "private/create_subaccount": (desk.CreateSubaccountParameters, keys.prepare_create_subaccount),
    "private/submit_transfer_between_subaccounts": (desk.TransferParameters, keys.prepare_transfer),
    "private/execute_block_trade": (desk.ExecuteBlockParameters, prepare_execute_block),
    "private/accept_block_rfq": (desk.AcceptRfqParameters, prepare_accept_block_rfq),
}
WRITE_DECODERS = {name: msgspec.json.Decoder(kind) for name, (kind, _) in WRITES.items()}
