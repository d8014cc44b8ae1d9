"""JSON-RPC 2.0 envelopes as bytes: decoding with bounds, encoding with Deribit's three clocks.

A request is decoded in two steps: the envelope first, the parameters by the method's own type
(parameters.py), so nothing is built that no method asked for.
"""

import time
from typing import Annotated, Any, TypeVar

import msgspec

from novate.access.errors import ApiError, refuse_parameter
from novate.protocol.generated.codes import AccessCode

MESSAGE_BYTES_MAX = 32_768
INTEGER_MAX = (1 << 63) - 1
BRACKETS_MAX = 512  # Bounds the depth of a message; a full mass quote opens 388.
Parameters = TypeVar("Parameters", bound=msgspec.Struct)
RequestId = (
    Annotated[int, msgspec.Meta(ge=-INTEGER_MAX, le=INTEGER_MAX)]
    | Annotated[str, msgspec.Meta(max_length=128)]
    | None
)


class Request(msgspec.Struct):
    """One call. `params` stays undecoded until its method is known."""

    method: Annotated[str, msgspec.Meta(max_length=128)] = ""
    id: RequestId = None
    params: msgspec.Raw = msgspec.Raw(b"{}")
    jsonrpc: str = "2.0"


class TokenParameters(msgspec.Struct):
    """The one parameter that every private method may carry."""

    access_token: Annotated[str, msgspec.Meta(max_length=128)] = ""


REQUEST_DECODER = msgspec.json.Decoder(Request)
TOKEN_DECODER = msgspec.json.Decoder(TokenParameters)
ENCODER = msgspec.json.Encoder()
JSON_PARAMETERS = frozenset({"channels", "quotes", "simulated_positions"})
EMPTY_PARAMETERS = (b"", b"null", b"[]")


def read_clock_us() -> int:
    """Return the wall clock in microseconds, for usIn and usOut only."""
    return time.time_ns() // 1000


def decode_request(message: bytes) -> Request:
    """Return the request of a message, or raise ApiError JSON_MALFORMED or MESSAGE_TOO_LARGE."""
    if len(message) >= MESSAGE_BYTES_MAX:
        raise ApiError(AccessCode.MESSAGE_TOO_LARGE, found_bytes=len(message))
    if message.count(b"[") + message.count(b"{") > BRACKETS_MAX:
        raise ApiError(AccessCode.JSON_MALFORMED, f"a message must open at most {BRACKETS_MAX} brackets")
    try:
        request = REQUEST_DECODER.decode(message)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, ValueError) as error:
        raise ApiError(AccessCode.JSON_MALFORMED, f"not a JSON-RPC request: {error}"[:200]) from error
    if request.jsonrpc != "2.0":
        raise ApiError(AccessCode.JSON_MALFORMED, "jsonrpc must be '2.0'")
    return request


def decode_parameters(raw: bytes, decoder: "msgspec.json.Decoder[Parameters]") -> Parameters:
    """Return typed parameters of a JSON object, or raise ApiError PARAMETER_INVALID naming the field."""
    try:
        return decoder.decode(b"{}" if raw in EMPTY_PARAMETERS else raw)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, ValueError) as error:
        raise ApiError(AccessCode.PARAMETER_INVALID, str(error)[:200]) from error


def convert_query(query: dict[str, str], kind: type[Parameters]) -> Parameters:
    """Return typed parameters of a query string, in which every value is text, and lists and objects are
    JSON.
    """
    given: dict[str, Any] = dict(query)
    for name in JSON_PARAMETERS & given.keys():
        try:
            given[name] = msgspec.json.decode(given[name])
        except (msgspec.MsgspecError, UnicodeEncodeError, RecursionError) as error:
            raise refuse_parameter(name, "JSON") from error
    try:
        return msgspec.convert(given, kind, strict=False)
    except (msgspec.MsgspecError, ValueError) as error:
        raise ApiError(AccessCode.PARAMETER_INVALID, str(error)[:200]) from error


def encode_reply(request_id: RequestId, key: str, body: object, us_in: int, testnet: bool) -> bytes:
    """Return the bytes of a reply; `key` is "result" or "error"."""
    us_out = read_clock_us()
    reply = {"jsonrpc": "2.0", "id": request_id, key: body, "usIn": us_in, "usOut": us_out}
    reply["usDiff"] = us_out - us_in
    reply["testnet"] = testnet
    return ENCODER.encode(reply)


def encode_notification(method: str, params: object) -> bytes:
    """Return the bytes of a notification, such as a channel's data or a heartbeat."""
    return ENCODER.encode({"jsonrpc": "2.0", "method": method, "params": params})
