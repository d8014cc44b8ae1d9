"""What a gateway signs at all: its own limits, looked at before the key is touched.

The venue's law limits the key as well; this is the second lock, on the trader's side, which also holds when
the venue lies about the first. Figures are in USDC, for people: what is refused here is never signed, and
what is signed is judged again by the law in integers.
"""

from collections import deque
from collections.abc import Callable
from decimal import Decimal
from fnmatch import fnmatchcase
from typing import Annotated, Any

import msgspec

from novate.access.errors import ApiError
from novate.protocol.generated.codes import AccessCode

MINUTE_MS = 60_000
SIGNED_MAX = 1_000_001  # More than any rate allows in a minute.
FORBIDDEN_NUMBER = 13021
Usdc = Annotated[float, msgspec.Meta(ge=0)]
Rate = Annotated[int, msgspec.Meta(ge=0, le=1_000_000)]


class PolicyLimits(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The [limits] of a gateway's file; 0 means none. Notional is amount times the index."""

    instruments: list[str] = msgspec.field(default_factory=lambda: ["*"])
    max_order_notional_usdc: Usdc = 0
    orders_per_minute: Rate = 0


class KeyTerms(msgspec.Struct, frozen=True):
    """What the venue says of the session key: the limits that its law enforces."""

    scope: str
    expiration_timestamp: int
    max_notional: float = 0
    rate_per_minute: int = 0


class LimitExceeded(ApiError):
    """A refusal of this machine's own: Deribit's `forbidden`, so that clients do not log in again for it."""

    def __init__(self, text: str) -> None:
        super().__init__(AccessCode.UNAUTHORIZED, f"the gateway's limits: {text}; nothing was signed")

    def describe(self) -> dict[str, Any]:
        """Return the JSON-RPC error object."""
        data = {"reason": "gateway_limit", "expected": "a request within gateway.toml and the key's limits"}
        return {"code": FORBIDDEN_NUMBER, "message": str(self), "data": data}


class Policy:
    """The limits of one gateway and one key. `clock_ms` is the wall clock."""

    def __init__(self, limits: PolicyLimits, terms: KeyTerms | None, clock_ms: Callable[[], int]) -> None:
        self.limits = limits
        self.terms = terms
        self.clock_ms = clock_ms
        self.signed: deque[int] = deque(maxlen=SIGNED_MAX)

    def check_key(self, scope: str) -> None:
        """Refuse what the key may not sign, or no longer. [KEY-1] [KEY-2]"""
        if self.terms is None or not scope:
            return  # The account's own key, which the law does not limit, or nothing that a key could sign.
        if self.clock_ms() >= self.terms.expiration_timestamp:
            raise LimitExceeded("the session key has expired; authorise another with `novate keys authorize`")
        if scope not in self.terms.scope.split():
            raise LimitExceeded(f"the session key's scope is {self.terms.scope!r}, this needs {scope!r}")

    def check_instrument(self, name: str) -> None:
        """Refuse an instrument that no pattern allows."""
        if not any(fnmatchcase(name, pattern) for pattern in self.limits.instruments):
            raise LimitExceeded(f"{name} matches none of {self.limits.instruments}")

    @property
    def has_notional(self) -> bool:
        """Whether the size of an order is limited at all."""
        limited_by_law = self.terms is not None and self.terms.max_notional > 0
        return limited_by_law or self.limits.max_order_notional_usdc > 0

    def check_notional(self, amount: Decimal, index_usdc: Decimal) -> None:
        """Refuse an order that is too large alone; what all orders come to is the law's to judge. [KEY-5]"""
        bounds = [self.limits.max_order_notional_usdc, 0 if self.terms is None else self.terms.max_notional]
        smallest = min((bound for bound in bounds if bound), default=0)
        notional = amount * index_usdc
        if smallest and notional > Decimal(str(smallest)):
            raise LimitExceeded(f"an order of {notional:.2f} USDC is above {smallest} USDC")

    def count(self, is_cancel: bool) -> None:
        """Count one command that is about to be signed, or refuse it for coming too soon. [KEY-4]

        A cancel is held only to the key's rate, which the law would refuse it by: who has sent too much must
        still be able to take it back.
        """
        own = 0 if is_cancel else self.limits.orders_per_minute
        rates = [own, 0 if self.terms is None else self.terms.rate_per_minute]
        smallest = min((rate for rate in rates if rate), default=0)
        now_ms = self.clock_ms()
        while self.signed and self.signed[0] <= now_ms - MINUTE_MS:
            self.signed.popleft()
        if smallest and len(self.signed) >= smallest:
            raise LimitExceeded(f"{smallest} commands were signed within a minute")
        self.signed.append(now_ms)
