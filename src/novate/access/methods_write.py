"""The writes: a signed command is read, checked cheaply, handed to signature recovery, submitted in order.

`prepare` does everything that needs no waiting and raises before any signature is looked at; `submit_write`
waits for the signature and the sequencer. A write is authenticated by its own signature and by nothing
else.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgspec

from novate.access.errors import ApiError, refuse_parameter
from novate.access.order_ledger import LABEL_LENGTH_MAX, Memo
from novate.access.parameters import (
    CancelAllParameters,
    CancelInstrumentParameters,
    CancelParameters,
    EditParameters,
    PlaceParameters,
    SignedParameters,
    WithdrawParameters,
)
from novate.access.quantities import (
    read_address,
    read_lots,
    read_signature,
    read_ticks,
    read_unsigned,
    read_usdc_atoms,
    show_usdc,
)
from novate.access.signing_domain import describe_message, describe_signature_refusal, name_struct
from novate.access.venue import Venue
from novate.execution import views
from novate.execution.sequencer import Outcome, VenueBusy
from novate.protocol.command import Command, make_command
from novate.protocol.generated.codes import (
    EXPECTED,
    AccessCode,
    Code,
    CommandKind,
    EventKind,
    Side,
    TimeInForce,
)
from novate.protocol.generated.constants import NS_PER_MS
from novate.protocol.generated.records import STRUCT_TYPE
from novate.protocol.signing import ALL_INSTRUMENTS, compute_digest

TIME_IN_FORCE = {"good_til_cancelled": TimeInForce.GTC, "immediate_or_cancel": TimeInForce.IOC}


@dataclass(slots=True)
class Write:
    """A command on its way: its digest, the future signer, and how its outcome is shown."""

    command: Command
    digest: bytes
    signer: "asyncio.Future[bytes]"
    memo: Memo
    show: Callable[[Venue, "Write", Outcome], dict[str, Any]]


def check_freshness(venue: Venue, given: SignedParameters) -> tuple[bytes, bytes, int, int]:
    """Return (account, signature, nonce, expires_ns) after the checks that need no signature."""
    if given.chain_id is not None:
        chain_id = read_unsigned(given.chain_id, "chain_id")
        if chain_id != venue.genesis.chain_id:
            message = f"this venue's chain_id is {venue.genesis.chain_id}, found {chain_id}"
            raise ApiError(AccessCode.CHAIN_ID_MISMATCH, message, chain_id=venue.genesis.chain_id)
    address, signature = read_address(given.account), read_signature(given.signature)
    nonce, expires_ns = read_unsigned(given.nonce, "nonce"), read_unsigned(given.expires_ns, "expires_ns")
    account = venue.engine.find_account(address)
    if account < 0:
        raise ApiError(Code.ACCOUNT_NOT_FOUND, account=given.account)
    time_ns = venue.clock_ns()
    if expires_ns <= time_ns:
        message = f"expires_ns must be later than the venue's time {time_ns}, found {expires_ns}"
        raise ApiError(Code.SIGNATURE_EXPIRED, message, time_ns=str(time_ns))
    known = venue.read_nonce(account)
    if nonce <= known:
        raise ApiError(
            Code.NONCE_REPLAYED, f"the nonce must be greater than {known}, found {nonce}", nonce=str(known)
        )
    return address, signature, nonce, expires_ns


def begin_write(
    venue: Venue,
    kind: CommandKind,
    fresh: tuple[bytes, bytes, int, int],
    show: Callable[[Venue, Write, Outcome], dict[str, Any]],
    label: str = "",
    **fields: int,
) -> Write:
    """Return the write of a command and start the recovery of its signer."""
    address, signature, nonce, expires_ns = fresh
    command = make_command(kind, 0, address, signature, nonce=nonce, expires_ns=expires_ns, **fields)
    digest = compute_digest(command, venue.engine.names, venue.domain)
    return Write(command, digest, venue.gate.recover(digest, signature), Memo(label), show)


def prepare_place(venue: Venue, side: Side, given: PlaceParameters) -> Write:
    """Prepare private/buy or private/sell."""
    time_in_force = read_time_in_force(given)
    if len(given.label) > LABEL_LENGTH_MAX:
        raise refuse_parameter("label", f"at most {LABEL_LENGTH_MAX} characters")
    fresh = check_freshness(venue, given)
    instrument = venue.find_instrument(given.instrument_name)
    lots, ticks = read_lots(given.amount, instrument), read_ticks(given.price, instrument)
    return begin_write(
        venue,
        CommandKind.PLACE,
        fresh,
        show_placed,
        given.label,
        instrument=instrument.number,
        side=side,
        time_in_force=time_in_force,
        lots=lots,
        price_ticks=ticks,
    )


def prepare_buy(venue: Venue, given: PlaceParameters) -> Write:
    """Prepare private/buy."""
    return prepare_place(venue, Side.BUY, given)


def prepare_sell(venue: Venue, given: PlaceParameters) -> Write:
    """Prepare private/sell."""
    return prepare_place(venue, Side.SELL, given)


def read_time_in_force(given: PlaceParameters) -> TimeInForce:
    """Return the signed time in force; refuse what this venue's orders cannot be, rather than ignore it."""
    if given.type != "limit":
        raise refuse_parameter("type", "limit", given.type)
    if given.time_in_force not in TIME_IN_FORCE:
        raise refuse_parameter("time_in_force", f"one of {list(TIME_IN_FORCE)}", given.time_in_force)
    for name in ("reduce_only", "trigger", "advanced", "mmp", "max_show", "valid_until"):
        if getattr(given, name):
            raise refuse_parameter(name, "absent: this venue has no such orders yet")
    time_in_force = TIME_IN_FORCE[given.time_in_force]
    if not given.post_only:
        return time_in_force
    if time_in_force == TimeInForce.IOC:
        raise refuse_parameter("post_only", "false with immediate_or_cancel")
    return TimeInForce.POST_ONLY


def require_open_order(venue: Venue, text: str) -> views.OrderView:
    """Return an open order, or raise ORDER_NOT_FOUND."""
    order_id = read_unsigned(text, "order_id")
    view = views.read_order(venue.engine, order_id)
    if view is None:
        raise ApiError(Code.ORDER_NOT_FOUND, f"no order {order_id} is open", order_id=text)
    return view


def prepare_edit(venue: Venue, given: EditParameters) -> Write:
    """Prepare private/edit."""
    fresh = check_freshness(venue, given)
    view = require_open_order(venue, given.order_id)
    instrument = venue.engine.instruments[view.instrument]
    lots, ticks = read_lots(given.amount, instrument), read_ticks(given.price, instrument)
    return begin_write(
        venue, CommandKind.REPLACE, fresh, show_placed, order_id=view.order_id, lots=lots, price_ticks=ticks
    )


def prepare_cancel(venue: Venue, given: CancelParameters) -> Write:
    """Prepare private/cancel."""
    fresh = check_freshness(venue, given)
    view = require_open_order(venue, given.order_id)
    return begin_write(venue, CommandKind.CANCEL, fresh, show_cancelled, order_id=view.order_id)


def prepare_cancel_all(venue: Venue, given: CancelAllParameters) -> Write:
    """Prepare private/cancel_all, which signs the empty name."""
    fresh = check_freshness(venue, given)
    return begin_write(venue, CommandKind.CANCEL_ALL, fresh, show_cancelled_all, instrument=ALL_INSTRUMENTS)


def prepare_cancel_instrument(venue: Venue, given: CancelInstrumentParameters) -> Write:
    """Prepare private/cancel_all_by_instrument."""
    fresh = check_freshness(venue, given)
    number = venue.find_instrument(given.instrument_name).number
    return begin_write(venue, CommandKind.CANCEL_ALL, fresh, show_cancelled_all, instrument=number)


def prepare_withdraw(venue: Venue, given: WithdrawParameters) -> Write:
    """Prepare private/withdraw; the money can only go to the wallet that signs."""
    if given.currency != "USDC":
        raise refuse_parameter("currency", "USDC", given.currency)
    fresh = check_freshness(venue, given)
    if given.address and read_address(given.address, "address") != fresh[0]:
        raise refuse_parameter("address", "absent or the signing account: money leaves to its owner only")
    amount_atoms = read_usdc_atoms(given.amount)
    return begin_write(venue, CommandKind.WITHDRAW, fresh, show_withdrawn, amount_atoms=amount_atoms)


def show_receipt(outcome: Outcome) -> dict[str, Any]:
    """Return where the command stands in the sequence, and its result."""
    code = Code(outcome.code)
    return {
        "sequence": outcome.sequence,
        "time_ns": str(outcome.time_ns),
        "code": int(code),
        "reason": code.name.lower(),
    }


def show_placed(venue: Venue, write: Write, outcome: Outcome) -> dict[str, Any]:
    """Return the order and its trades as they were right after the command."""
    account = venue.engine.find_account(write.command.signer)
    trades = [venue.accounts.describe_user_trade(trade, account) for trade in write.memo.trades]
    return {"order": show_memo_order(venue, write), "trades": trades, "receipt": show_receipt(outcome)}


def show_memo_order(venue: Venue, write: Write) -> dict[str, Any]:
    """Return the order that the command left behind; empty only for an order of a past run that it ended."""
    return {} if write.memo.order is None else venue.accounts.describe_order(write.memo.order)


def show_cancelled(venue: Venue, write: Write, outcome: Outcome) -> dict[str, Any]:
    """Return the cancelled order."""
    order = show_memo_order(venue, write) or {
        "order_id": str(write.command.get("order_id")),
        "order_state": "cancelled",
    }
    return order | {"receipt": show_receipt(outcome)}


def show_cancelled_all(venue: Venue, write: Write, outcome: Outcome) -> dict[str, Any]:
    """Return how many orders were cancelled."""
    count = int((outcome.events["kind"] == EventKind.CANCELLED).sum())
    return {"cancelled": count, "receipt": show_receipt(outcome)}


def show_withdrawn(venue: Venue, write: Write, outcome: Outcome) -> dict[str, Any]:
    """Return the withdrawal, which its owner claims on chain once its batch is final."""
    number = int(outcome.events[1]["order_id"])
    stamp = outcome.time_ns // NS_PER_MS
    return {
        "id": number,
        "address": "0x" + write.command.signer.hex(),
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


async def verify_signer(venue: Venue, write: Write) -> None:
    """Wait for the signer and raise SIGNATURE_INVALID unless it is the account."""
    recovered = await write.signer
    if recovered != write.command.signer:
        struct_type = name_struct(STRUCT_TYPE[write.command.kind])
        message = describe_message(venue, write.command)
        raise describe_signature_refusal(venue, write.digest, recovered, struct_type, message)


def enqueue_write(venue: Venue, write: Write) -> "asyncio.Future[Outcome]":
    """Queue a verified command and return its future outcome; order of calls is order of sequence."""
    try:
        future = venue.sequencer.enqueue(write.command)
    except VenueBusy as error:
        raise ApiError(AccessCode.VENUE_BUSY) from error
    venue.ledger.attach_memo(write.command.signer, write.command.get("nonce"), write.memo)
    return future


async def await_outcome(venue: Venue, write: Write, future: "asyncio.Future[Outcome]") -> dict[str, Any]:
    """Return a queued command's outcome as shown, or raise the law's code with the receipt."""
    outcome = await future
    if outcome.code != Code.OK:
        raise refuse_outcome(venue, write, outcome)
    return write.show(venue, write, outcome)


def refuse_outcome(venue: Venue, write: Write, outcome: Outcome) -> ApiError:
    """Return the refusal of a command that the law rejected, with the figures that explain it."""
    code, message, data = Code(outcome.code), EXPECTED[outcome.code], {}
    if code in (Code.INITIAL_MARGIN_INSUFFICIENT, Code.CASH_INSUFFICIENT):
        view = views.read_account(venue.engine, venue.engine.find_account(write.command.signer))
        figures = ("equity", "initial_margin", "cash", "withdrawable")
        data = {name: show_usdc(getattr(view, f"{name}_atoms")) for name in figures}
        message += "; before it, equity is {equity} USDC and the initial margin {initial_margin} USDC".format(
            **data
        )
    return ApiError(code, message, receipt=show_receipt(outcome), **data)


WRITES: dict[str, tuple[type[SignedParameters], Callable[[Venue, Any], Write]]] = {
    "private/buy": (PlaceParameters, prepare_buy),
    "private/sell": (PlaceParameters, prepare_sell),
    "private/edit": (EditParameters, prepare_edit),
    "private/cancel": (CancelParameters, prepare_cancel),
    "private/cancel_all": (CancelAllParameters, prepare_cancel_all),
    "private/cancel_all_by_instrument": (CancelInstrumentParameters, prepare_cancel_instrument),
    "private/withdraw": (WithdrawParameters, prepare_withdraw),
}
WRITE_DECODERS = {name: msgspec.json.Decoder(kind) for name, (kind, _) in WRITES.items()}
