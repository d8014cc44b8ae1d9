"""The public methods: market data, time, the signing domain, and the login that opens private reads."""

from collections.abc import Callable
from typing import Any

from novate.access.errors import ApiError, refuse_parameter
from novate.access.keyring import find_speaker, require_speaker, show_address
from novate.access.market_payloads import SETTLEMENT_CURRENCY, name_index, name_kind
from novate.access.parameters import (
    AuthParameters,
    BookParameters,
    ChannelsParameters,
    CurrencyParameters,
    FundingParameters,
    HeartbeatParameters,
    HelloParameters,
    IndexParameters,
    InstrumentParameters,
    NoParameters,
    TestParameters,
    TradesParameters,
)
from novate.access.quantities import read_address, read_signature
from novate.access.sessions import Session
from novate.access.signing_domain import describe_domain, describe_signature_refusal
from novate.access.trade_tape import Trade
from novate.access.venue import Caller, Venue
from novate.execution.engine import InstrumentView
from novate.protocol.generated.codes import Code, InstrumentKind
from novate.protocol.generated.constants import NS_PER_MS, SCHEMA_VERSION
from novate.protocol.signing import compute_login_digest

CURRENCY_NAME = {"BTC": "Bitcoin", "ETH": "Ethereum", SETTLEMENT_CURRENCY: "USD Coin"}
KINDS = ("any", "future", "option", "future_combo", "option_combo")


async def authenticate(venue: Venue, caller: Caller, given: AuthParameters) -> dict[str, Any]:
    """Open a session for a wallet that signed a Login, or renew one by its refresh token."""
    time_ns = venue.clock_ns()
    if given.grant_type == "refresh_token":
        token = venue.sessions.refresh(given.refresh_token, time_ns)
    elif given.grant_type == "wallet_signature":
        token = await open_session(venue, given, time_ns)
    else:
        raise refuse_parameter("grant_type", "wallet_signature or refresh_token", given.grant_type)
    session = venue.sessions.sessions[token]
    caller.session = session
    return {
        "access_token": token,
        "refresh_token": session.refresh_token,
        "expires_in": venue.limits.session_for_s,
        "token_type": "bearer",
        "scope": "account:read trade:read wallet:read block_rfq:read_write",
        "enabled_features": [],
        "state": given.state,
        "account": show_address(session.address),
        "account_id": venue.engine.find_account(session.address),
        "signer": show_address(session.signer),
        "nonce": read_login_nonce(venue, session),
    }


def read_login_nonce(venue: Venue, session: Session) -> str:
    """Return the last nonce that who logged in has used for the account."""
    account = venue.engine.find_account(session.address)
    speaker = None if account < 0 else find_speaker(venue.engine, account, session.signer)
    return "0" if speaker is None else str(speaker.nonce)


async def open_session(venue: Venue, given: AuthParameters, time_ns: int) -> str:
    """Return the token of a new session, or raise UNAUTHORIZED or SIGNATURE_INVALID."""
    address, signature = read_address(given.account), read_signature(given.signature)
    signer = read_address(given.signer, "signer") if given.signer else address
    if signer != address:
        account = venue.engine.find_account(address)
        if account < 0:
            raise ApiError(Code.ACCOUNT_NOT_FOUND, account=given.account)
        require_speaker(venue.engine, account, signer, time_ns)
    if not given.nonce:
        raise refuse_parameter("nonce", "a text that no earlier login used")
    venue.sessions.check_login(address, given.timestamp, given.nonce, time_ns)
    digest = compute_login_digest(address, given.timestamp, given.nonce, venue.domain)
    recovered = await venue.gate.recover(digest, signature)
    if recovered != signer:
        message = {"account": given.account.lower(), "timestampMs": given.timestamp, "nonce": given.nonce}
        raise describe_signature_refusal(venue, digest, signer, recovered, "Login", message)
    venue.sessions.check_login(address, given.timestamp, given.nonce, time_ns)
    venue.sessions.remember_login(address, given.nonce, time_ns)
    return venue.sessions.open(address, signer, time_ns)


def answer_test(venue: Venue, caller: Caller, given: TestParameters) -> dict[str, str]:
    """Return the API's version; also the answer to a heartbeat's test request."""
    if given.expected_result == "exception":
        raise refuse_parameter("expected_result", "anything but exception")
    caller.note_test()
    return {"version": f"novate {SCHEMA_VERSION}"}


def answer_hello(venue: Venue, caller: Caller, given: HelloParameters) -> dict[str, str]:
    """Return the API's version."""
    return {"version": f"novate {SCHEMA_VERSION}"}


def get_time(venue: Venue, caller: Caller, given: NoParameters) -> int:
    """Return the venue's time in milliseconds."""
    return venue.clock_ns() // NS_PER_MS


def get_status(venue: Venue, caller: Caller, given: NoParameters) -> dict[str, Any]:
    """Return the state of the platform; `locked` is text, as clients expect."""
    return {"locked": "false", "locked_indices": [], "sequence": venue.engine.sequence}


def get_domain(venue: Venue, caller: Caller, given: NoParameters) -> dict[str, Any]:
    """Return everything that a wallet needs in order to sign for this venue."""
    return describe_domain(venue)


def get_currencies(venue: Venue, caller: Caller, given: NoParameters) -> list[dict[str, Any]]:
    """Return the settlement currency and the underlyings.
    Withdrawals are claimed on chain, so they cost no fee here.
    """
    names = [SETTLEMENT_CURRENCY, *(underlying.name for underlying in venue.genesis.underlyings)]
    return [
        {
            "currency": name,
            "currency_long": CURRENCY_NAME.get(name, name),
            "coin_type": name,
            "withdrawal_fee": 0.0,
            "min_withdrawal_fee": 0.0,
            "withdrawal_priorities": [],
            "min_confirmations": 1,
            "in_cross_collateral_pool": False,
            "decimals": 6,
        }
        for name in names
    ]


def list_instruments(venue: Venue, currency: str, kind: str) -> list[InstrumentView]:
    """Return the instruments of a currency (base or USDC, in any case) and a kind."""
    if kind not in KINDS:
        return []  # Spot is a kind of Deribit's that has no instruments here.
    wanted = currency.upper()
    return [
        instrument
        for instrument in venue.engine.instruments
        if wanted in ("ANY", SETTLEMENT_CURRENCY, venue.market.name_underlying(instrument))
        and kind in ("any", name_kind(instrument))
    ]


def get_instruments(venue: Venue, caller: Caller, given: CurrencyParameters) -> list[dict[str, Any]]:
    """Return the open instruments, or the expired ones."""
    rows = list_instruments(venue, given.currency, given.kind)
    return [
        venue.market.describe_instrument(row) for row in rows if venue.market.is_open(row) != given.expired
    ]


def get_instrument(venue: Venue, caller: Caller, given: InstrumentParameters) -> dict[str, Any]:
    """Return one instrument."""
    return venue.market.describe_instrument(venue.find_instrument(given.instrument_name))


def get_ticker(venue: Venue, caller: Caller, given: InstrumentParameters) -> dict[str, Any]:
    """Return one ticker."""
    return venue.market.describe_ticker(venue.find_instrument(given.instrument_name))


def get_order_book(venue: Venue, caller: Caller, given: BookParameters) -> dict[str, Any]:
    """Return one book with its ticker."""
    return venue.market.describe_book(venue.find_instrument(given.instrument_name), given.depth)


def get_index_price(venue: Venue, caller: Caller, given: IndexParameters) -> dict[str, Any]:
    """Return an index price.
    The estimated delivery price is the index itself outside an expiry's last minutes.
    """
    number = venue.channels.indexes.get(given.index_name)
    if number is None:
        names = [name_index(underlying.name) for underlying in venue.genesis.underlyings]
        raise refuse_parameter("index_name", f"one of {names}", given.index_name)
    price = venue.market.read_index(number)
    return {"index_price": price, "estimated_delivery_price": price}


def select_trades(
    trades: list[Trade], given: TradesParameters, describe: Callable[[Trade], dict[str, Any]]
) -> dict[str, Any]:
    """Return the trades within the given times and numbers, as many as asked for."""
    chosen = [
        trade
        for trade in trades
        if given.start_timestamp <= trade.time_ns // NS_PER_MS <= given.end_timestamp
        and given.start_seq <= trade.trade_seq <= given.end_seq
    ]
    if given.sorting == "asc":
        chosen.reverse()
    return {
        "trades": [describe(trade) for trade in chosen[: given.count]],
        "has_more": len(chosen) > given.count,
    }


def get_last_trades(venue: Venue, caller: Caller, given: TradesParameters) -> dict[str, Any]:
    """Return recent trades of one instrument."""
    number = venue.find_instrument(given.instrument_name).number
    trades = venue.tape.list_trades(number, venue.limits.trades_kept)
    return select_trades(trades, given, venue.market.describe_trade)


def get_book_summaries(venue: Venue, caller: Caller, given: CurrencyParameters) -> list[dict[str, Any]]:
    """Return a row for each open instrument of a currency."""
    rows = list_instruments(venue, given.currency, given.kind)
    return [venue.market.describe_summary(row) for row in rows if venue.market.is_open(row)]


def get_book_summary(venue: Venue, caller: Caller, given: InstrumentParameters) -> list[dict[str, Any]]:
    """Return the row of one instrument."""
    return [venue.market.describe_summary(venue.find_instrument(given.instrument_name))]


def get_funding_rate_value(venue: Venue, caller: Caller, given: FundingParameters) -> float:
    """Return what a long has paid on a perpetual between two times, as a part of its value: the sum of each
    payment over the mark of its time, since the server's start.
    """
    instrument = venue.find_instrument(given.instrument_name)
    if instrument.kind != InstrumentKind.PERPETUAL:
        raise refuse_parameter("instrument_name", "a perpetual's", given.instrument_name)
    return venue.funding.sum_rates(instrument.number, given.start_timestamp, given.end_timestamp)


def subscribe_public(venue: Venue, caller: Caller, given: ChannelsParameters) -> list[str]:
    """Subscribe to public channels; names that mean nothing are dropped."""
    found = [venue.channels.read(name, None) for name in given.channels]
    return caller.subscribe([channel for channel in found if channel is not None])


def unsubscribe(venue: Venue, caller: Caller, given: ChannelsParameters) -> list[str]:
    """Unsubscribe from channels and return those that ended."""
    return caller.unsubscribe(given.channels)


def unsubscribe_all(venue: Venue, caller: Caller, given: NoParameters) -> str:
    """Unsubscribe from everything."""
    caller.unsubscribe(None)
    return "ok"


def set_heartbeat(venue: Venue, caller: Caller, given: HeartbeatParameters) -> str:
    """Begin heartbeats: a client that does not answer a test request within an interval is disconnected."""
    caller.set_heartbeat(given.interval)
    return "ok"


def disable_heartbeat(venue: Venue, caller: Caller, given: NoParameters) -> str:
    """End heartbeats."""
    caller.set_heartbeat(0)
    return "ok"
