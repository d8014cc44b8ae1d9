"""Session keys, sub-accounts and transfers between them. Law: KEY-1 to KEY-5, SUB-1 to SUB-4.

Whoever holds an account's or its owner's key says which other keys may act for it, and within which limits;
the law holds them to it, so a key that is stolen can do no more.
"""

from typing import Any

from novate.access.errors import refuse_parameter
from novate.access.key_terms import read_key_fields, read_subaccount
from novate.access.keyring import describe_key, show_address
from novate.access.market_payloads import SETTLEMENT_CURRENCY
from novate.access.parameters import NoParameters
from novate.access.parameters_desk import (
    AuthorizeKeyParameters,
    CreateSubaccountParameters,
    RevokeKeyParameters,
    SubaccountsParameters,
    TransferParameters,
)
from novate.access.quantities import read_address, read_unsigned, read_usdc_atoms, show_usdc
from novate.access.venue import Caller, Venue
from novate.access.writes import Write, begin_write, check_freshness, show_receipt
from novate.execution import key_views, views
from novate.execution.sequencer import Outcome
from novate.protocol.generated.codes import CommandKind
from novate.protocol.generated.constants import NS_PER_MS


def prepare_authorize_key(venue: Venue, given: AuthorizeKeyParameters) -> Write:
    """Prepare private/authorize_key. [KEY-3]"""
    fresh = check_freshness(venue, given)
    key, fields = read_address(given.key, "key"), read_key_fields(given)
    return begin_write(venue, CommandKind.AUTHORIZE_KEY, fresh, show_authorized, fields, subject=key)


def prepare_revoke_key(venue: Venue, given: RevokeKeyParameters) -> Write:
    """Prepare private/revoke_key. [KEY-3]"""
    fresh = check_freshness(venue, given)
    key = read_address(given.key, "key")
    return begin_write(venue, CommandKind.REVOKE_KEY, fresh, show_revoked, {}, subject=key)


def show_authorized(venue: Venue, write: Write, outcome: Outcome) -> dict[str, Any]:
    """Return the key as it stands now; what a later command may have taken back is not there any more."""
    account = venue.engine.find_account(write.command.holder)
    key = key_views.read_key(venue.engine, account, int(outcome.events[1]["order_id"]))
    is_there = key is not None and key.address == write.command.subject
    shown = describe_key(key, venue.clock_ns()) if key is not None and is_there else {"active": False}
    return shown | {"receipt": show_receipt(outcome)}


def show_revoked(venue: Venue, write: Write, outcome: Outcome) -> dict[str, Any]:
    """Return the address that may do nothing any more."""
    place = int(outcome.events[1]["order_id"])
    key = show_address(write.command.subject)
    return {"place": place, "key": key, "active": False, "receipt": show_receipt(outcome)}


def list_keys(venue: Venue, caller: Caller, given: NoParameters) -> list[dict[str, Any]]:
    """Return the active keys of the caller's account by their places."""
    account = venue.require_account(caller)
    time_ns = venue.clock_ns()
    return [describe_key(key, time_ns) for key in key_views.read_keys(venue.engine, account)]


def prepare_create_subaccount(venue: Venue, given: CreateSubaccountParameters) -> Write:
    """Prepare private/create_subaccount. [SUB-1]"""
    fresh = check_freshness(venue, given)
    fields = {"subaccount": read_subaccount(given.subaccount)}
    return begin_write(venue, CommandKind.CREATE_SUBACCOUNT, fresh, show_subaccount_created, fields)


def show_subaccount_created(venue: Venue, write: Write, outcome: Outcome) -> dict[str, Any]:
    """Return the new sub-account as private/get_subaccounts shows it."""
    account = int(outcome.events[1]["account"])
    return describe_subaccount(venue, account, False) | {"receipt": show_receipt(outcome)}


def get_subaccounts(venue: Venue, caller: Caller, given: SubaccountsParameters) -> list[dict[str, Any]]:
    """Return the owner's account and its sub-accounts; a key, or a login to one of them, sees that one."""
    account = venue.require_account(caller)
    session = caller.session
    assert session is not None, "Condition failed: an account has logged in."
    numbers = [account]
    if session.signer == session.address:
        numbers += [row.account for row in key_views.read_subaccounts(venue.engine, account)]
    return [describe_subaccount(venue, number, given.with_portfolio) for number in numbers]


def describe_subaccount(venue: Venue, account: int, with_portfolio: bool) -> dict[str, Any]:
    """Return who an account is, in the shape of Deribit's private/get_subaccounts."""
    view = views.read_account(venue.engine, account)
    address = show_address(view.address)
    payload = {
        "id": account,
        "username": address,
        "system_name": address,
        "type": "main" if view.owner < 0 else "subaccount",
        "email": "",
        "login_enabled": True,
        "is_password": False,
        "security_keys_enabled": False,
        "receive_notifications": False,
        "margin_model": "cross_pm",
        "disabled_trading_products": [],
        "trading_products_details": [],
        "address": address,
        "owner_id": None if view.owner < 0 else view.owner,
        "subaccount": view.subaccount,
        "nonce": str(view.nonce),
    }
    if with_portfolio:
        payload["portfolio"] = {SETTLEMENT_CURRENCY.lower(): venue.accounts.describe_account(view)}
    return payload


def read_destination(venue: Venue, value: int | str, name: str) -> bytes:
    """Return the address of an account that is given by its number or its address."""
    if isinstance(value, str) and value.startswith("0x"):
        return read_address(value, name)
    number = read_unsigned(value, name)
    if number >= len(venue.engine.addresses):
        raise refuse_parameter(name, "an account's id or address", value)
    return venue.engine.addresses[number]


def prepare_transfer(venue: Venue, given: TransferParameters) -> Write:
    """Prepare private/submit_transfer_between_subaccounts: the sender's account signs for it. [SUB-2]"""
    if given.currency != SETTLEMENT_CURRENCY:
        raise refuse_parameter("currency", SETTLEMENT_CURRENCY, given.currency)
    fresh = check_freshness(venue, given)
    if given.source is not None and read_destination(venue, given.source, "source") != fresh.holder:
        raise refuse_parameter("source", "absent or the account that the signature is for", given.source)
    receiver = read_destination(venue, given.destination, "destination")
    fields = {"amount_atoms": read_usdc_atoms(given.amount)}
    return begin_write(venue, CommandKind.TRANSFER, fresh, show_transferred, fields, subject=receiver)


def show_transferred(venue: Venue, write: Write, outcome: Outcome) -> dict[str, Any]:
    """Return the transfer, which is done."""
    stamp = outcome.time_ns // NS_PER_MS
    receiver = int(outcome.events[1]["maker_account"])
    return {
        "id": outcome.sequence,
        "type": "subaccount",
        "state": "confirmed",
        "direction": "payment",
        "amount": show_usdc(write.command.get("amount_atoms")),
        "currency": SETTLEMENT_CURRENCY,
        "other_side": show_address(write.command.subject),
        "other_side_id": receiver,
        "created_timestamp": stamp,
        "updated_timestamp": stamp,
        "receipt": show_receipt(outcome),
    }
