"""The one place of a gateway that signs: a bot's request becomes a signed action or a refusal, on record.

One connection to the venue carries every write, so that nonces reach it in order; reads go elsewhere.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from decimal import Decimal, InvalidOperation
from typing import Any, NamedTuple

from novate.access.client import NovateClient
from novate.access.client_errors import ConnectionLost, VenueError
from novate.access.client_signing import ClientInstrument, Signer
from novate.access.errors import ApiError, refuse_parameter
from novate.access.gateway.audit import AuditLog, strip_params
from novate.access.gateway.credentials import Grant
from novate.access.gateway.policy import KeyTerms, Policy, PolicyLimits
from novate.access.quantities import Number
from novate.protocol.generated.codes import AccessCode

INDEX_FOR_S = 5.0
TOKEN_RENEWED_S = 3_600.0
OWN = "gateway"


class Request(NamedTuple):
    """What a signature is for: whose request, which method, its parameters, the key's scope that it needs."""

    bot: str
    method: str
    params: dict[str, Any]
    scope: str = ""


REQUEST: ContextVar[Request | None] = ContextVar("request", default=None)
LOGIN = Request(OWN, "public/auth", {})


def read_clock_ms() -> int:
    """Return the wall clock in milliseconds."""
    return time.time_ns() // 1_000_000


@contextmanager
def signing_for(request: Request) -> Iterator[None]:
    """Let signatures within be for a request."""
    marker = REQUEST.set(request)
    try:
        yield
    finally:
        REQUEST.reset(marker)


class WatchedSigner:
    """A signer that counts and records each signature before it gives it away."""

    def __init__(self, signer: Signer, audit: AuditLog) -> None:
        self.signer = signer
        self.address = signer.address
        self.audit = audit
        self.policy: Policy | None = None

    def sign(self, digest: bytes) -> bytes:
        """Return the signature of a digest, made for the request at hand.

        Errors     ApiError beyond the limits; OSError if it cannot be recorded; RuntimeError if it is for
                   no request.
        """
        request = REQUEST.get()
        if request is None:
            raise RuntimeError("Condition failed: the gateway signs only what it has checked.")
        if request is not LOGIN and self.policy is not None:
            self.policy.count(request.scope == "cancel")
        self.audit.record(
            time.time_ns(),
            "signing",
            request.bot,
            request.method,
            params=strip_params(request.params),
            digest="0x" + digest.hex(),
        )
        return self.signer.sign(digest)


class GatewayDesk:
    """Signs for the bots of one gateway. `connect` comes first.

    `account` is the address that the key signs for; empty: its own.
    """

    def __init__(self, url: str, signer: Signer, account: str, limits: PolicyLimits, audit: AuditLog) -> None:
        self.signer = WatchedSigner(signer, audit)
        self.client = NovateClient(url, self.signer, account=account)
        self.audit = audit
        self.limits = limits
        self.policy = self.signer.policy = Policy(limits, None, read_clock_ms)
        self.indices: dict[str, tuple[float, Decimal]] = {}
        self.token_at_s = 0.0
        self.token_lock = asyncio.Lock()

    async def connect(self) -> None:
        """Connect and log in, and learn the limits that the law has for the key.

        Errors     ValueError if the account has not authorised the key.
        """
        with signing_for(LOGIN):
            # The tasks that this starts inherit the purpose: a connection made again logs in again.
            await self.client.connect()
        self.token_at_s = time.monotonic()
        commands = self.client.require_signer()
        if commands.account == commands.signer.address:
            return
        address = "0x" + commands.signer.address.hex()
        row = next((row for row in await self.client.list_keys() if row["key"].lower() == address), None)
        if row is None:
            raise ValueError(f"the account has no active key {address}: see `novate keys authorize`")
        terms = KeyTerms(
            row["scope"],
            int(row["expiration_timestamp"]),
            float(row["max_notional"]),
            int(row["rate_per_minute"]),
        )
        self.policy = self.signer.policy = Policy(self.limits, terms, read_clock_ms)

    async def close(self) -> None:
        """Close the connection."""
        await self.client.close()

    async def get_token(self) -> str:
        """Return a token of the venue's for private reads, renewed while the old one is still good."""
        async with self.token_lock:
            if time.monotonic() - self.token_at_s > TOKEN_RENEWED_S:
                with signing_for(LOGIN):
                    await self.client.login()
                self.token_at_s = time.monotonic()
        return self.client.access_token

    def sign_login(self, nonce: str) -> dict[str, Any]:
        """Return the parameters of the login of another connection, which only reads."""
        with signing_for(LOGIN):
            return self.client.require_signer().sign_login(self.client.clock_ns() // 1_000_000, nonce)

    async def find_instrument(self, name: str) -> ClientInstrument:
        """Return an instrument, reading the list again if it is new; ApiError if it is not listed."""
        self.policy.check_instrument(name)
        if name not in self.client.instruments:
            await self.client.load_instruments()
        try:
            return self.client.find_instrument(name)
        except LookupError as error:
            raise refuse_parameter("instrument_name", "the name of a listed instrument", name) from error

    async def read_index(self, instrument_name: str) -> Decimal:
        """Return the index price of an instrument's underlying, at most a few seconds old."""
        index_name = instrument_name.split("-")[0].lower()
        known = self.indices.get(index_name)
        if known is None or time.monotonic() - known[0] > INDEX_FOR_S:
            answer = await self.client.call("public/get_index_price", {"index_name": index_name})
            known = time.monotonic(), Decimal(str(answer["index_price"]))
            self.indices[index_name] = known
        return known[1]

    async def check_order(self, instrument_name: str, amount: Number) -> None:
        """Refuse an order beyond the gateway's or the key's own limits."""
        await self.find_instrument(instrument_name)
        try:
            size = Decimal(str(amount))
        except InvalidOperation as error:
            raise refuse_parameter("amount", "a decimal", amount) from error
        if self.policy.has_notional:
            self.policy.check_notional(size, await self.read_index(instrument_name))

    async def execute(
        self,
        grant: Grant,
        method: str,
        params: dict[str, Any],
        scope: str,
        run: Callable[["GatewayDesk", dict[str, Any]], Awaitable[Any]],
    ) -> Any:
        """Run a write: check, sign, send, and record how it ended.

        Errors     ApiError for what is refused here, unsigned; VenueError for what the venue refuses;
                   ConnectionLost or TimeoutError if its answer did not come: then it may have been taken.
        """
        with signing_for(Request(grant.name, method, params, scope)):
            try:
                self.policy.check_key(scope)
                result = await run(self, params)
            except (ApiError, ValueError, LookupError) as error:
                self.note(grant, method, "refused", params=strip_params(params), why=str(error))
                if isinstance(error, ApiError):
                    raise
                raise ApiError(AccessCode.PARAMETER_INVALID, str(error)) from error
            except (VenueError, ConnectionLost, TimeoutError) as error:
                unknown = not isinstance(error, VenueError)
                event = "unknown" if unknown else "rejected"
                self.note(grant, method, event, why=str(error) or "no answer came in time")
                raise
        receipt = result.get("receipt", {}) if isinstance(result, dict) else {}
        self.note(grant, method, "accepted", sequence=receipt.get("sequence"))
        return result

    def note(self, grant: Grant, method: str, event: str, **details: Any) -> None:
        """Record how a request ended."""
        self.audit.record(time.time_ns(), event, grant.name, method, **details)
