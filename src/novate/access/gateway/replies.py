"""How a gateway answers: JSON-RPC envelopes with the venue's own errors, or its own in the same shape."""

import logging
from typing import Any

from novate.access.client_errors import ConnectionLost, VenueError
from novate.access.errors import ApiError, describe_internal_error
from novate.access.wire import RequestId, encode_reply

RETRY_NUMBER = 10040  # Deribit's `retry`.
log = logging.getLogger("novate.gateway")


def describe_error(method: str, error: BaseException) -> dict[str, Any]:
    """Return the JSON-RPC error object of whatever went wrong."""
    if isinstance(error, ApiError):
        return error.describe()
    if isinstance(error, VenueError):
        return {"code": error.number, "message": error.message, "data": error.data}
    if isinstance(error, (ConnectionLost, TimeoutError)):
        message = (
            "the venue's answer did not come; a write may have been taken, so read the order before you "
            "repeat it"
        )
        return {"code": RETRY_NUMBER, "message": message, "data": {"reason": "connection_lost"}}
    log.error("%s failed", method[:80], exc_info=error)
    return describe_internal_error()


def encode_error(request_id: RequestId, method: str, error: BaseException, us_in: int) -> bytes:
    """Return the bytes of a refusal."""
    return encode_reply(request_id, "error", describe_error(method, error), us_in, False)


def encode_answer(request_id: RequestId, result: object, us_in: int) -> bytes:
    """Return the bytes of an answer."""
    return encode_reply(request_id, "result", result, us_in, False)
