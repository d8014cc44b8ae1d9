"""Block RFQs: a taker asks, makers answer with quotes that are signed already, and one signature trades.

Nobody has a last look. What a maker signs is the BlockTrade itself, with the taker's nonce, its own and an
expiry; the taker who accepts signs the same struct, and the venue submits it with both signatures.
"""

from collections.abc import Sequence
from typing import Any

from novate.access.block_rfqs import OPEN, STATES, BlockRfq
from novate.access.block_terms import price_package
from novate.access.combo_terms import NamedGrid, read_direction, read_package
from novate.access.errors import ApiError, refuse_parameter
from novate.access.keyring import check_scope
from novate.access.methods_block import begin_block, check_counterparty, make_block
from novate.access.parameters_desk import (
    AcceptRfqParameters,
    CreateRfqParameters,
    QuoteRfqParameters,
    RfqParameters,
    RfqQuoteParameters,
    RfqsParameters,
)
from novate.access.quantities import read_unsigned
from novate.access.rfq_payloads import MAKER, TAKER, describe_block, describe_for_maker, describe_for_taker
from novate.access.rfq_payloads import describe_quote as describe_rfq_quote
from novate.access.venue import Caller, Venue
from novate.access.writes import Fresh, Write, check_freshness, check_signer, show_receipt
from novate.execution.sequencer import Outcome
from novate.protocol.generated.codes import AccessCode, Code, CommandKind, Side
from novate.protocol.signing import compute_digest

ROLES = (TAKER, MAKER, "any")


def create_block_rfq(venue: Venue, caller: Caller, given: CreateRfqParameters) -> dict[str, Any]:
    """Open a request; its legs are turned so that they do not tell which side the taker wants."""
    account = venue.require_account(caller)

    def find(name: str) -> NamedGrid:
        instrument = venue.find_instrument(name)
        if not venue.market.is_open(instrument):
            raise ApiError(Code.INSTRUMENT_CLOSED, instrument_name=name)
        return instrument

    package = read_package(given.legs, find)
    nonce = read_unsigned(given.nonce, "nonce")
    address = venue.engine.addresses[account]
    rfq = venue.rfqs.create(account, address, nonce, package, given.label, venue.clock_ns())
    return describe_for_taker(rfq)


async def add_block_rfq_quote(venue: Venue, caller: Caller, given: QuoteRfqParameters) -> dict[str, Any]:
    """Add a maker's quote, or replace the one that it has on that side. Its own signature is its passport."""
    fresh = check_freshness(venue, given)
    check_scope(fresh.speaker, CommandKind.BLOCK_TRADE)
    rfq_id = read_unsigned(given.block_rfq_id, "block_rfq_id")
    rfq = venue.rfqs.require_open(rfq_id)
    if rfq.account == fresh.account:
        raise ApiError(Code.BLOCK_INVALID, "a request is not quoted by the account that made it")
    taker_side = Side(1 - read_direction(given.direction))
    items = price_package(rfq.package, given.legs, taker_side)
    command = make_block(rfq.nonce, fresh.nonce, fresh.expires_ns, items)
    command = command._replace(
        signer=rfq.address, subject=fresh.holder, cosigner=fresh.signer, cosignature=fresh.signature
    )
    digest = compute_digest(command, venue.engine.names, venue.domain)
    check_signer(venue, command, digest, fresh.signer, await venue.gate.recover(digest, fresh.signature))
    rfq = venue.rfqs.require_open(rfq_id)  # It may have ended while the signature was looked at.
    quote = venue.rfqs.add_quote(rfq, fresh.account, taker_side, command, given.label, venue.clock_ns())
    return describe_rfq_quote(rfq, quote) | {"label": quote.label}


def require_own(venue: Venue, caller: Caller, rfq_id: int) -> BlockRfq:
    """Return an open request of the caller's account; another's is said not to be there."""
    account = venue.require_account(caller)
    rfq = venue.rfqs.require_open(rfq_id)
    if rfq.account != account:
        message = f"block RFQ {rfq_id} is another account's"
        raise ApiError(AccessCode.RFQ_NOT_FOUND, message, block_rfq_id=rfq_id)
    return rfq


def cancel_block_rfq(venue: Venue, caller: Caller, given: RfqParameters) -> dict[str, Any]:
    """End a request of the caller's."""
    rfq = require_own(venue, caller, read_unsigned(given.block_rfq_id, "block_rfq_id"))
    venue.rfqs.end(rfq, "cancelled", venue.clock_ns())
    return describe_for_taker(rfq)


def cancel_block_rfq_quote(venue: Venue, caller: Caller, given: RfqQuoteParameters) -> dict[str, Any]:
    """End a quote of the caller's. The venue forgets it; the law would still take it until it expires or its
    signer uses a higher nonce.
    """
    account = venue.require_account(caller)
    quote_id = read_unsigned(given.block_rfq_quote_id, "block_rfq_quote_id")
    rfq, quote = venue.rfqs.require_quote(quote_id)
    if quote.account != account:
        message = f"quote {quote_id} is another account's"
        raise ApiError(AccessCode.RFQ_NOT_FOUND, message, block_rfq_quote_id=quote_id)
    venue.rfqs.end_quote(rfq, quote, "cancelled", venue.clock_ns())
    return describe_rfq_quote(rfq, quote) | {"label": quote.label}


def prepare_accept_block_rfq(venue: Venue, given: AcceptRfqParameters) -> Write:
    """Prepare private/accept_block_rfq: the taker's signature over the struct that the maker has signed."""
    fresh = check_freshness(venue, given)
    check_scope(fresh.speaker, CommandKind.BLOCK_TRADE)
    rfq_id = read_unsigned(given.block_rfq_id, "block_rfq_id")
    rfq, quote = venue.rfqs.require_quote(read_unsigned(given.block_rfq_quote_id, "block_rfq_quote_id"))
    if rfq.rfq_id != rfq_id or rfq.account != fresh.account:
        message = "the quote must be one on a request of the account"
        raise ApiError(AccessCode.RFQ_NOT_FOUND, message, block_rfq_id=rfq_id)
    if read_direction(given.direction) != quote.side:
        side = "buy" if quote.side == Side.BUY else "sell"
        raise refuse_parameter("direction", f"{side}, the opposite of the maker's", given.direction)
    check_agreed(fresh, rfq.nonce, quote.expires_ns)
    command = quote.command
    check_counterparty(venue, command.subject, command.cosigner, command.get("counter_nonce"))
    write = begin_block(venue, fresh, command)
    write.show = show_accepted
    return write


def check_agreed(fresh: Fresh, nonce: int, expires_ns: int) -> None:
    """Refuse a nonce or an expiry other than those that the maker has signed."""
    if fresh.nonce != nonce:
        raise refuse_parameter("nonce", f"{nonce}, which the request named", fresh.nonce)
    if fresh.expires_ns != expires_ns:
        raise refuse_parameter("expires_ns", f"{expires_ns}, which the quote named", fresh.expires_ns)


def show_accepted(venue: Venue, write: Write, outcome: Outcome) -> dict[str, Any]:
    """Return the block trade that the acceptance has made."""
    account = venue.engine.find_account(write.command.holder)
    block = describe_block(venue.orders, write.memo.trades, account)
    return {"block_trades": [block], "receipt": show_receipt(outcome)}


def get_block_rfqs(venue: Venue, caller: Caller, given: RfqsParameters) -> dict[str, Any]:
    """Return the caller's requests with every quote, and those of others with the caller's own quotes."""
    account = venue.require_account(caller)
    if given.role not in ROLES:
        raise refuse_parameter("role", f"one of {list(ROLES)}", given.role)
    if given.state not in (*STATES, "any"):
        raise refuse_parameter("state", f"one of {[*STATES, 'any']}", given.state)
    rows: list[dict[str, Any]] = []
    for rfq in venue.rfqs.list_rfqs():
        is_taker = rfq.account == account
        if given.role not in ("any", TAKER if is_taker else MAKER) or not covers_rfq(venue, rfq, given):
            continue
        if not is_taker and rfq.state != OPEN and not is_party(rfq, account):
            continue
        rows.append(describe_for_taker(rfq) if is_taker else describe_for_maker(rfq, account))
        if len(rows) == given.count:
            break
    return {"block_rfqs": rows, "continuation": None}


def is_party(rfq: BlockRfq, account: int) -> bool:
    """Whether an account has a quote in a request."""
    return any(quote.account == account for quote in rfq.quotes.values())


def covers_rfq(venue: Venue, rfq: BlockRfq, given: RfqsParameters) -> bool:
    """Whether a request is among those that were asked for."""
    if given.block_rfq_id is not None and rfq.rfq_id != read_unsigned(given.block_rfq_id, "block_rfq_id"):
        return False
    return given.state in (rfq.state, "any") and given.currency.upper() in list_currencies(venue, rfq)


def list_currencies(venue: Venue, rfq: BlockRfq) -> Sequence[str]:
    """Return the currencies under which a request is found."""
    return ("ANY", "USDC", *{venue.market.name_underlying(leg.instrument) for leg in rfq.package})
