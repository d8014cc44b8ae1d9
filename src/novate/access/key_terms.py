"""From session keys and sub-accounts in words to the fields that are signed.

As order_terms.py: the server and the Python client read with these functions, each for itself.
"""

from typing import Protocol

from novate.access.errors import refuse_parameter
from novate.access.quantities import Number, read_step, read_unsigned
from novate.protocol.generated.codes import KeyScope
from novate.protocol.generated.constants import E6, NS_PER_MS

SCOPE_NAME = {scope: scope.name.lower() for scope in KeyScope}
TIME_MS_MAX = ((1 << 63) - 1) // NS_PER_MS


class KeyGiven(Protocol):
    """What an account says of a key."""

    @property
    def scope(self) -> str:
        """Names of scopes with spaces between them."""

    @property
    def expiration_timestamp(self) -> int:
        """Milliseconds."""

    @property
    def max_notional(self) -> Number:
        """USDC, 0 for no limit."""

    @property
    def max_delta(self) -> Number:
        """USDC, 0 for no limit."""

    @property
    def max_vega(self) -> Number:
        """USDC, 0 for no limit."""

    @property
    def rate_per_minute(self) -> int | str:
        """Commands, 0 for no limit."""


def read_scope(text: str) -> int:
    """Return the bits of a scope given as names with spaces between them, such as "trade cancel"."""
    bits = {name: scope for scope, name in SCOPE_NAME.items()}
    words = text.split()
    if not words or any(word not in bits for word in words):
        raise refuse_parameter("scope", f"one or more of {list(bits)}, with spaces between them", text)
    scope = 0
    for word in words:
        scope |= bits[word]
    return scope


def show_scope(scope: int) -> str:
    """Return the names of a scope's bits, with spaces between them."""
    return " ".join(name for bit, name in SCOPE_NAME.items() if scope & bit)


def read_key_fields(given: KeyGiven) -> dict[str, int]:
    """Return the signed figures of a key but for its address; whether they are in range is the law's to say.

    Errors     ApiError naming the parameter that cannot be read.
    """
    if given.expiration_timestamp > TIME_MS_MAX:
        text = "a time in milliseconds before the year 2262"
        raise refuse_parameter("expiration_timestamp", text, given.expiration_timestamp)
    return {
        "scope": read_scope(given.scope),
        "key_expires_ns": given.expiration_timestamp * NS_PER_MS,
        "max_notional_atoms": read_step(given.max_notional, "max_notional", E6),
        "max_delta_atoms": read_step(given.max_delta, "max_delta", E6),
        "max_vega_atoms": read_step(given.max_vega, "max_vega", E6),
        "rate_per_minute": read_unsigned(given.rate_per_minute, "rate_per_minute"),
    }


def read_subaccount(value: int | str) -> int:
    """Return the number that an owner gives a sub-account."""
    return read_unsigned(value, "subaccount")
