"""What the API refuses: one exception, whose code is a `Code` of the law or an `AccessCode` of the door.

An error tells the client the rule that it broke, in words, and whatever figures it needs to mend the
request. It never carries a traceback: a fault of ours is `INTERNAL_ERROR`, and its details stay in the log.
"""

from typing import Any

from novate.protocol.generated.codes import EXPECTED, JSONRPC_NUMBER, AccessCode, Code

INTERNAL_ERROR_NUMBER = 10001  # Deribit's `error`: the request was fine, the server was not.
REASON: dict[int, str] = {int(member): member.name.lower() for kind in (Code, AccessCode) for member in kind}


class ApiError(Exception):
    """A refusal. `code` is a member of Code or AccessCode.
    `data` is what the client sees besides the reason.
    """

    def __init__(self, code: int, text: str = "", /, **data: Any) -> None:
        super().__init__(text or EXPECTED[code])
        self.code = int(code)
        self.data = {"reason": REASON[self.code], "expected": EXPECTED[self.code], **data}

    def describe(self) -> dict[str, Any]:
        """Return the JSON-RPC error object."""
        return {"code": JSONRPC_NUMBER[self.code], "message": str(self), "data": self.data}


def describe_internal_error() -> dict[str, Any]:
    """Return the JSON-RPC error object of a fault of ours, which says nothing about it."""
    return {
        "code": INTERNAL_ERROR_NUMBER,
        "message": "the venue failed to answer; the fault was recorded",
        "data": {"reason": "internal_error", "expected": "no such fault"},
    }


def refuse_parameter(name: str, expected: str, found: object = None) -> ApiError:
    """Return the refusal of one parameter, naming it and what was expected."""
    shown = "" if found is None else f", found {str(found)[:80]!r}"
    return ApiError(AccessCode.PARAMETER_INVALID, f"{name} must be {expected}{shown}", param=name)
