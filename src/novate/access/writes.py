"""A signed command on its way: checked cheaply, its signature recovered, submitted in order, answered.

Everything that needs no waiting is done and refused before any signature is looked at. A write is
authenticated by its own signature and by nothing else.
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from novate.access.errors import ApiError
from novate.access.keyring import Speaker, check_scope, require_speaker
from novate.access.order_record import Memo
from novate.access.parameters import SignedParameters
from novate.access.quantities import read_address, read_signature, read_unsigned, show_usdc
from novate.access.signing_domain import describe_message, describe_signature_refusal, name_struct
from novate.access.venue import Venue
from novate.execution import views
from novate.execution.sequencer import Outcome, VenueBusy
from novate.protocol.command import Command, make_command
from novate.protocol.generated.codes import EXPECTED, AccessCode, Code, CommandKind, EventKind
from novate.protocol.generated.records import STRUCT_TYPE
from novate.protocol.signing import compute_digest

Items = tuple[tuple[int, ...], ...]


@dataclass(slots=True)
class Write:
    """A command on its way: its digest, the future signers, and how its outcome is shown."""

    command: Command
    digest: bytes
    signer: "asyncio.Future[bytes]"
    memo: Memo
    show: Callable[[Venue, "Write", Outcome], dict[str, Any]]
    cosigner: "asyncio.Future[bytes] | None" = None


class Fresh(NamedTuple):
    """What a write carries besides its own parameters, and what its signer may do; `account` is the number of
    the account at the address `holder`.
    """

    account: int
    holder: bytes
    signer: bytes
    signature: bytes
    nonce: int
    expires_ns: int
    speaker: Speaker

    def address(self, command: Command) -> Command:
        """Return a command with the account, its signer and the signature."""
        account = b"" if self.holder == self.signer else self.holder
        return command._replace(account=account, signer=self.signer, signature=self.signature)


def check_freshness(venue: Venue, given: SignedParameters) -> Fresh:
    """Return what a write carries after the checks that need no signature."""
    if given.chain_id is not None:
        chain_id = read_unsigned(given.chain_id, "chain_id")
        if chain_id != venue.genesis.chain_id:
            message = f"this venue's chain_id is {venue.genesis.chain_id}, found {chain_id}"
            raise ApiError(AccessCode.CHAIN_ID_MISMATCH, message, chain_id=venue.genesis.chain_id)
    holder, signature = read_address(given.account), read_signature(given.signature)
    signer = read_address(given.signer, "signer") if given.signer else holder
    nonce, expires_ns = read_unsigned(given.nonce, "nonce"), read_unsigned(given.expires_ns, "expires_ns")
    account = venue.engine.find_account(holder)
    if account < 0:
        raise ApiError(Code.ACCOUNT_NOT_FOUND, account=given.account)
    time_ns = venue.clock_ns()
    if expires_ns <= time_ns:
        message = f"expires_ns must be later than the venue's time {time_ns}, found {expires_ns}"
        raise ApiError(Code.SIGNATURE_EXPIRED, message, time_ns=str(time_ns))
    speaker = require_speaker(venue.engine, account, signer, time_ns)
    check_nonce(speaker, nonce)
    return Fresh(account, holder, signer, signature, nonce, expires_ns, speaker)


def check_nonce(speaker: Speaker, nonce: int, name: str = "nonce") -> None:
    """Raise NONCE_REPLAYED unless a nonce is greater than those that its signer has used."""
    known = speaker.nonce
    if nonce <= known:
        message = f"the {name} must be greater than {known}, found {nonce}"
        raise ApiError(Code.NONCE_REPLAYED, message, nonce=str(known))


def begin_write(
    venue: Venue,
    kind: CommandKind,
    fresh: Fresh,
    show: Callable[[Venue, Write, Outcome], dict[str, Any]],
    fields: Mapping[str, int],
    label: str = "",
    items: Items = (),
    subject: bytes = b"",
) -> Write:
    """Return the write of a command and start the recovery of its signer; `label` is kept for display."""
    check_scope(fresh.speaker, kind)
    command = make_command(kind, 0, b"", b"", nonce=fresh.nonce, expires_ns=fresh.expires_ns, **fields)
    command = fresh.address(command)
    if items or subject:
        command = command._replace(items=items, subject=subject)
    digest = compute_digest(command, venue.engine.names, venue.domain)
    return Write(command, digest, venue.gate.recover(digest, fresh.signature), Memo(label), show)


def show_receipt(outcome: Outcome) -> dict[str, Any]:
    """Return where the command stands in the sequence, and its result."""
    code = Code(outcome.code)
    return {
        "sequence": outcome.sequence,
        "time_ns": str(outcome.time_ns),
        "code": int(code),
        "reason": code.name.lower(),
    }


def show_cancelled_all(venue: Venue, write: Write, outcome: Outcome) -> dict[str, Any]:
    """Return how many orders were cancelled."""
    count = int((outcome.events["kind"] == EventKind.CANCELLED).sum())
    return {"cancelled": count, "receipt": show_receipt(outcome)}


async def verify_signer(venue: Venue, write: Write) -> None:
    """Wait for the signers and raise SIGNATURE_INVALID unless they are those that the write names."""
    check_signer(venue, write.command, write.digest, write.command.signer, await write.signer)
    if write.cosigner is not None:
        check_signer(venue, write.command, write.digest, write.command.cosigner, await write.cosigner)


def check_signer(venue: Venue, command: Command, digest: bytes, named: bytes, recovered: bytes) -> None:
    """Raise SIGNATURE_INVALID unless a digest's signature recovers to the signer that was named."""
    if recovered != named:
        struct_type = name_struct(STRUCT_TYPE[command.kind])
        message = describe_message(venue, command)
        raise describe_signature_refusal(venue, digest, named, recovered, struct_type, message)


def enqueue_write(venue: Venue, write: Write) -> "asyncio.Future[Outcome]":
    """Queue a verified command and return its future outcome; order of calls is order of sequence."""
    try:
        future = venue.sequencer.enqueue(write.command)
    except VenueBusy as error:
        raise ApiError(AccessCode.VENUE_BUSY) from error
    venue.ledger.attach_memo(write.command, write.memo)
    return future


async def await_outcome(venue: Venue, write: Write, future: "asyncio.Future[Outcome]") -> dict[str, Any]:
    """Return a queued command's outcome as shown, or raise the law's code with the receipt."""
    try:
        outcome = await future
    except VenueBusy as error:
        raise ApiError(AccessCode.VENUE_BUSY) from error
    if outcome.code != Code.OK:
        raise refuse_outcome(venue, write, outcome)
    return write.show(venue, write, outcome)


def refuse_outcome(venue: Venue, write: Write, outcome: Outcome) -> ApiError:
    """Return the refusal of a command that the law rejected, with the figures that explain it."""
    code, message, data = Code(outcome.code), EXPECTED[outcome.code], {}
    if code in (Code.INITIAL_MARGIN_INSUFFICIENT, Code.CASH_INSUFFICIENT):
        view = views.read_account(venue.engine, venue.engine.find_account(write.command.holder))
        figures = ("equity", "initial_margin", "cash", "withdrawable")
        data = {name: show_usdc(getattr(view, f"{name}_atoms")) for name in figures}
        message += "; before it, equity is {equity} USDC and the initial margin {initial_margin} USDC".format(
            **data
        )
    return ApiError(code, message, receipt=show_receipt(outcome), **data)
