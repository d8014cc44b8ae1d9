"""What a client can meet: refusals by the venue, typed, and the loss of the connection."""

from typing import Any

from novate.protocol.generated.codes import AccessCode, Code

BY_REASON: dict[str, Code | AccessCode] = {
    member.name.lower(): member for kind in (Code, AccessCode) for member in kind
}


class VenueError(Exception):
    """The venue refused a request. `code` is a Code or AccessCode (None for a fault of the venue's)."""

    def __init__(self, method: str, number: int, message: str, data: dict[str, Any]) -> None:
        super().__init__(f"{method}: {message}")
        self.method = method
        self.number = number
        self.message = message
        self.data = data
        self.code = BY_REASON.get(str(data.get("reason", "")))


class SignatureRefused(VenueError):
    """The signature did not recover to the account.
    `data` holds the digest and the struct as the venue sees them.
    """


class NonceReplayed(VenueError):
    """A greater nonce was used before, by this client or by another that shares the account."""


class InsufficientMargin(VenueError):
    """Equity does not cover what the order would need."""


class RateLimited(VenueError):
    """The connection sends too fast, or the venue's queue is full; the request was not sequenced."""


class ConnectionLost(Exception):
    """The connection ended before the reply came.
    A write may have been sequenced: read the order or the nonce.
    """


class BookGap(Exception):
    """A book message does not continue the last one; subscribe again for a snapshot."""


ERROR_OF_CODE: dict[Code | AccessCode, type[VenueError]] = {
    Code.SIGNATURE_INVALID: SignatureRefused,
    Code.NONCE_REPLAYED: NonceReplayed,
    Code.INITIAL_MARGIN_INSUFFICIENT: InsufficientMargin,
    AccessCode.TOO_MANY_REQUESTS: RateLimited,
    AccessCode.VENUE_BUSY: RateLimited,
}


def make_error(method: str, error: dict[str, Any]) -> VenueError:
    """Return the exception of a JSON-RPC error object."""
    data = error.get("data") or {}
    code = BY_REASON.get(str(data.get("reason", "")))
    kind = VenueError if code is None else ERROR_OF_CODE.get(code, VenueError)
    return kind(method, int(error.get("code", 0)), str(error.get("message", "")), data)
