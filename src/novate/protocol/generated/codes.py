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
    ORDER_INVALID = 12
    SIZE_NOT_POSITIVE = 13
    SIZE_ABOVE_MAXIMUM = 14
    PRICE_NOT_POSITIVE = 15
    PRICE_ABOVE_MAXIMUM = 16
    TRIGGER_INVALID = 17
    ORDER_NOT_FOUND = 18
    ORDER_NOT_OWNED = 19
    TRIGGER_TABLE_FULL = 20
    QUOTE_CROSSED = 21
    MARK_UNAVAILABLE = 22
    MARK_STALE = 23
    OPEN_ORDER_LIMIT = 24
    TABLE_FULL = 25
    PRICE_OUTSIDE_BAND = 26
    REDUCE_ONLY_WOULD_INCREASE = 27
    GROSS_LIMIT = 28
    POST_ONLY_WOULD_CROSS = 29
    FILL_OR_KILL_UNFILLABLE = 30
    INITIAL_MARGIN_INSUFFICIENT = 31
    GROUP_INVALID = 32
    GROUP_BUSY = 33
    GROUP_FROZEN = 34
    TIMER_INVALID = 35
    DISCONNECT_NOT_ENABLED = 36
    AMOUNT_NOT_POSITIVE = 40
    DEPOSIT_OUT_OF_ORDER = 41
    BALANCE_LIMIT = 42
    ACCOUNT_TABLE_FULL = 43
    CASH_INSUFFICIENT = 44
    OPERATOR_UNKNOWN = 50
    ORACLE_UNKNOWN = 51
    UNDERLYING_NOT_FOUND = 52
    INSTRUMENT_INVALID = 53
    INSTRUMENT_EXISTS = 54
    INSTRUMENT_TABLE_FULL = 55
    TIER_INVALID = 56
    OBSERVATION_IN_FUTURE = 57
    OBSERVATION_STALE = 58
    OBSERVATION_NOT_NEWER = 59
    INDEX_OUT_OF_RANGE = 60
    SERIES_NOT_FOUND = 61
    SURFACE_OUT_OF_RANGE = 62
    SURFACE_BUTTERFLY = 63
    SURFACE_CALENDAR = 64
    BATCH_OUT_OF_ORDER = 65
    TIME_NOT_MONOTONIC = 66


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
    FOK = 3


class OrderFlag(IntEnum):
    """The values of `OrderFlag` in schema.toml."""

    MARKET = 1
    REDUCE_ONLY = 2
    CANCEL_MAKER = 4
    CANCEL_BOTH = 8
    VOLATILITY = 16


class TriggerReference(IntEnum):
    """The values of `TriggerReference` in schema.toml."""

    NONE = 0
    INDEX = 1
    MARK = 2
    LAST = 3


class TriggerCondition(IntEnum):
    """The values of `TriggerCondition` in schema.toml."""

    ABOVE = 0
    BELOW = 1


class InstrumentKind(IntEnum):
    """The values of `InstrumentKind` in schema.toml."""

    CALL = 0
    PUT = 1
    PERPETUAL = 2
    FUTURE = 3


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
    REDUCE_ONLY = 5
    GOOD_TILL_DATE = 6
    DEAD_MAN = 7
    DISCONNECTED = 8
    LINKED = 9
    PARENT_ENDED = 10
    TRIGGER_REJECTED = 11
    REPRICE_REJECTED = 12
    MMP = 13
    INITIAL_MARGIN = 14


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
    REFRESHED = 14
    WAITING = 15
    TRIGGERED = 16
    QUOTE_REJECTED = 17
    MMP_TRIPPED = 18
    FUNDED = 19
    TIER_SET = 20


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
    PLACE_TRIGGER = 12
    PROTECT = 13
    DISCONNECT = 14
    SET_MMP = 15
    MASS_QUOTE = 16
    SET_TIER = 17


EXPECTED: dict[int, str] = {
    0: "accepted",
    1: "a field is outside the range that its type allows",
    2: "the signature must recover to the account (or oracle, or operator) named in the struct, with low s",
    3: "the account must have made a deposit first",
    4: "expires_ns must be later than the venue's time",
    5: "the nonce must be greater than every nonce the account has used",
    10: "the instrument must be listed",
    11: "the instrument must be open and before its expiry",
    12: "the order's options must fit each other, its time in force and its instrument",
    13: "the size must be at least one lot",
    14: "the size must not exceed the maximum order size",
    15: "the price must be at least one tick",
    16: "the price must not exceed the last tick of the book, nor a volatility 500 % a year",
    17: "a waiting order needs a reference with one of trigger and trail, or a parent",
    18: "the order must be open, or waiting where the command allows it",
    19: "the order must belong to the signing account",
    20: "the account or the venue has as many waiting orders as it may",
    21: "a quote's bid must be below its ask",
    22: "the instrument (or the trigger's reference) must have a price",
    23: "the index must be recent enough to add risk",
    24: "the account has as many open orders as it may",
    25: "the venue has no room for another order, position or level",
    26: "a buy must not be above, nor a sell below, the band around the mark",
    27: "a reduce-only order needs an opposite position to reduce",
    28: "positions and open orders of one underlying must stay below the gross limit",
    29: "a post-only order must not match on arrival",
    30: "a fill-or-kill order needs its whole size in the book at its price",
    31: "equity must cover the initial margin after the command",
    32: "the group must be 1 to 4 and set up, and its figures in range",
    33: "the group must have no open quotes when its figures change",
    34: "the group's protection has tripped; wait for it to thaw or set it again",
    35: "a time-out is 0 or from one second to one day, and cancel_on_disconnect 0 or 1",
    36: "the account must have asked for cancellation on disconnect",
    40: "the amount must be at least one atom",
    41: "deposits must be credited in the order of the vault's cursor",
    42: "all deposits together must stay below the supply limit",
    43: "the venue has no room for another account",
    44: "the amount must not exceed the account's cash, nor what the vault holds",
    50: "only the operator may list instruments and set tiers",
    51: "only a registered oracle may report",
    52: "the underlying must be configured",
    53: "strike and expiry must lie in the allowed range, and a perpetual has neither",
    54: "the instrument must not be listed yet",
    55: "the venue has no room for another instrument or series",
    56: "the tier must be one of the genesis file's fee tiers",
    57: "an observation must not be later than the venue's time",
    58: "an observation must be recent",
    59: "an oracle's observation must be newer than its last one",
    60: "the index must be positive and below the underlying's limit, the confidence in 0 to 1",
    61: "the series must have a listed instrument and be before its expiry",
    62: "the surface's parameters must lie in the allowed range",
    63: "the surface must be free of butterfly arbitrage",
    64: "the surface must not cross a neighbouring expiry",
    65: "batches must be sealed in order",
    66: "time must not run backwards",
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
    12: 11112,
    13: 10002,
    14: 11114,
    15: 10005,
    16: 10007,
    17: 11117,
    18: 10004,
    19: 10029,
    20: 11120,
    21: 11121,
    22: 11122,
    23: 11123,
    24: 10013,
    25: 11125,
    26: 11126,
    27: 11127,
    28: 11128,
    29: 11129,
    30: 11130,
    31: 10009,
    32: 11132,
    33: 11133,
    34: 11134,
    35: 11135,
    36: 11136,
    40: 11140,
    41: 11141,
    42: 11142,
    43: 11143,
    44: 11144,
    50: 11150,
    51: 11151,
    52: 11152,
    53: 11153,
    54: 11154,
    55: 11155,
    56: 11156,
    57: 11157,
    58: 11158,
    59: 11159,
    60: 11160,
    61: 11161,
    62: 11162,
    63: 11163,
    64: 11164,
    65: 11165,
    66: 11166,
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
