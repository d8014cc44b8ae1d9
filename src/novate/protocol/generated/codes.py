"""Generated from schema.toml by scripts/generate_schema.py; do not edit."""

from enum import IntEnum


class Code(IntEnum):
    """The result of a command, in order of precedence; zero is success."""

    OK = 0
    COMMAND_MALFORMED = 1
    SIGNATURE_INVALID = 2
    ACCOUNT_NOT_FOUND = 3
    SIGNATURE_EXPIRED = 4
    NONCE_REPLAYED = 5
    INSTRUMENT_NOT_FOUND = 10
    INSTRUMENT_CLOSED = 11
    SIZE_NOT_POSITIVE = 12
    SIZE_ABOVE_MAXIMUM = 13
    PRICE_NOT_POSITIVE = 14
    PRICE_ABOVE_MAXIMUM = 15
    ORDER_NOT_FOUND = 16
    ORDER_NOT_OWNED = 17
    MARK_UNAVAILABLE = 18
    MARK_STALE = 19
    OPEN_ORDER_LIMIT = 20
    TABLE_FULL = 21
    GROSS_LIMIT = 22
    POST_ONLY_WOULD_CROSS = 23
    INITIAL_MARGIN_INSUFFICIENT = 24
    AMOUNT_NOT_POSITIVE = 30
    DEPOSIT_OUT_OF_ORDER = 31
    BALANCE_LIMIT = 32
    ACCOUNT_TABLE_FULL = 33
    CASH_INSUFFICIENT = 34
    OPERATOR_UNKNOWN = 40
    ORACLE_UNKNOWN = 41
    UNDERLYING_NOT_FOUND = 42
    INSTRUMENT_EXISTS = 43
    INSTRUMENT_INVALID = 44
    INSTRUMENT_TABLE_FULL = 45
    OBSERVATION_IN_FUTURE = 46
    OBSERVATION_STALE = 47
    OBSERVATION_NOT_NEWER = 48
    INDEX_OUT_OF_RANGE = 49
    SERIES_NOT_FOUND = 50
    SURFACE_OUT_OF_RANGE = 51
    SURFACE_BUTTERFLY = 52
    SURFACE_CALENDAR = 53
    BATCH_OUT_OF_ORDER = 54
    TIME_NOT_MONOTONIC = 55


class AccessCode(IntEnum):
    """A refusal at the door: the message never becomes a command."""

    MESSAGE_TOO_LARGE = 100
    JSON_MALFORMED = 101
    METHOD_NOT_FOUND = 102
    PARAMETER_INVALID = 103
    UNAUTHORIZED = 104
    PRICE_OFF_TICK = 105
    SIZE_OFF_LOT = 106
    CHAIN_ID_MISMATCH = 107
    TOO_MANY_REQUESTS = 108
    VENUE_BUSY = 109


class Side(IntEnum):
    """The values of `Side` in schema.toml."""

    BUY = 0
    SELL = 1


class TimeInForce(IntEnum):
    """The values of `TimeInForce` in schema.toml."""

    GTC = 0
    IOC = 1
    POST_ONLY = 2


class InstrumentKind(IntEnum):
    """The values of `InstrumentKind` in schema.toml."""

    CALL = 0
    PUT = 1
    PERPETUAL = 2


class InstrumentState(IntEnum):
    """The values of `InstrumentState` in schema.toml."""

    OPEN = 0
    EXPIRED = 1


class CancelReason(IntEnum):
    """The values of `CancelReason` in schema.toml."""

    USER = 0
    IOC_REMAINDER = 1
    SELF_TRADE = 2
    INSTRUMENT_EXPIRED = 3
    REPLACED = 4


class EventKind(IntEnum):
    """The values of `EventKind` in schema.toml."""

    RESULT = 0
    FILL = 1
    REST = 2
    CANCELLED = 3
    REDUCED = 4
    DEPOSITED = 5
    WITHDRAWN = 6
    LISTED = 7
    INDEX_SET = 8
    SURFACE_SET = 9
    MARKED = 10
    SETTLED = 11
    EXPIRED = 12
    SEALED = 13


class CommandKind(IntEnum):
    """The commands of the law."""

    DEPOSIT = 1
    WITHDRAW = 2
    PLACE = 3
    REPLACE = 4
    CANCEL = 5
    CANCEL_ALL = 6
    LIST_INSTRUMENT = 7
    INDEX = 8
    SURFACE = 9
    TICK = 10
    SEAL = 11


EXPECTED: dict[int, str] = {
    0: "accepted",
    1: "a field is outside the range that its type allows",
    2: "the signature must recover to the account (or oracle, or operator) named in the struct, with low s",
    3: "the account must have made a deposit first",
    4: "expires_ns must be later than the venue's time",
    5: "the nonce must be greater than every nonce the account has used",
    10: "the instrument must be listed",
    11: "the instrument must be open and before its expiry",
    12: "the size must be at least one lot",
    13: "the size must not exceed the maximum order size",
    14: "the price must be at least one tick",
    15: "the price must not exceed the last tick of the book",
    16: "the order must be open",
    17: "the order must belong to the signing account",
    18: "the instrument must have a mark price",
    19: "the index must be recent enough to add risk",
    20: "the account has as many open orders as it may",
    21: "the venue has no room for another order, position or level",
    22: "positions and open orders of one underlying must stay below the gross limit",
    23: "a post-only order must not match on arrival",
    24: "equity must cover the initial margin after the command",
    30: "the amount must be at least one atom",
    31: "deposits must be credited in the order of the vault's cursor",
    32: "all deposits together must stay below the supply limit",
    33: "the venue has no room for another account",
    34: "the amount must not exceed the account's cash, nor what the vault holds",
    40: "only the operator may list instruments",
    41: "only a registered oracle may report",
    42: "the underlying must be configured",
    43: "the instrument must not be listed yet",
    44: "strike and expiry must lie in the allowed range, and a perpetual has neither",
    45: "the venue has no room for another instrument or series",
    46: "an observation must not be later than the venue's time",
    47: "an observation must be recent",
    48: "an oracle's observation must be newer than its last one",
    49: "the index must be positive and below the underlying's limit, the confidence in 0 to 1",
    50: "the series must have a listed instrument and be before its expiry",
    51: "the surface's parameters must lie in the allowed range",
    52: "the surface must be free of butterfly arbitrage",
    53: "the surface must not cross a neighbouring expiry",
    54: "batches must be sealed in order",
    55: "time must not run backwards",
    100: "a message must not exceed 32 kB",
    101: "the message must be one JSON-RPC 2.0 object",
    102: "the method must be one of those in docs/guides/api.md",
    103: "a parameter is missing, of the wrong type or out of range",
    104: "a private method needs an authenticated connection or token",
    105: "the price must be a multiple of the tick size",
    106: "the amount must be a multiple of the lot size",
    107: "the order must be signed for this venue's chain",
    108: "the connection sends faster than its limit",
    109: "the sequencer's queue is full; try again",
}

JSONRPC_NUMBER: dict[int, int] = {
    0: 11100,
    1: 11101,
    2: 11102,
    3: 11103,
    4: 11104,
    5: 11105,
    10: 10020,
    11: 10012,
    12: 10002,
    13: 11113,
    14: 10005,
    15: 10007,
    16: 10004,
    17: 10029,
    18: 11118,
    19: 11119,
    20: 10013,
    21: 11121,
    22: 11122,
    23: 11123,
    24: 10009,
    30: 11130,
    31: 11131,
    32: 11132,
    33: 11133,
    34: 11134,
    40: 11140,
    41: 11141,
    42: 11142,
    43: 11143,
    44: 11144,
    45: 11145,
    46: 11146,
    47: 11147,
    48: 11148,
    49: 11149,
    50: 11150,
    51: 11151,
    52: 11152,
    53: 11153,
    54: 11154,
    55: 11155,
    100: -32600,
    101: -32700,
    102: -32601,
    103: -32602,
    104: 13009,
    105: 10043,
    106: 10021,
    107: 11030,
    108: 10028,
    109: 10047,
}
