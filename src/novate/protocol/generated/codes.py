"""Generated from schema.toml by scripts/generate_schema.py; do not edit."""

from enum import IntEnum


class Code(IntEnum):
    """The result of a command, in order of precedence; zero is success."""

    OK = 0
    COMMAND_MALFORMED = 1
    SIGNATURE_INVALID = 2
    ACCOUNT_NOT_FOUND = 3
    SIGNATURE_EXPIRED = 4
    KEY_UNKNOWN = 5
    KEY_EXPIRED = 6
    KEY_SCOPE = 7
    NONCE_REPLAYED = 8
    KEY_RATE = 9
    IN_LIQUIDATION = 10
    INSTRUMENT_NOT_FOUND = 20
    INSTRUMENT_CLOSED = 21
    ORDER_INVALID = 22
    SIZE_NOT_POSITIVE = 23
    SIZE_ABOVE_MAXIMUM = 24
    PRICE_NOT_POSITIVE = 25
    PRICE_ABOVE_MAXIMUM = 26
    TRIGGER_INVALID = 27
    ORDER_NOT_FOUND = 28
    ORDER_NOT_OWNED = 29
    TRIGGER_TABLE_FULL = 30
    QUOTE_CROSSED = 31
    MARK_UNAVAILABLE = 32
    MARK_STALE = 33
    OPEN_ORDER_LIMIT = 34
    TABLE_FULL = 35
    PRICE_OUTSIDE_BAND = 36
    REDUCE_ONLY_WOULD_INCREASE = 37
    GROSS_LIMIT = 38
    POST_ONLY_WOULD_CROSS = 39
    FILL_OR_KILL_UNFILLABLE = 40
    KEY_LIMIT = 41
    INITIAL_MARGIN_INSUFFICIENT = 42
    GROUP_INVALID = 43
    GROUP_BUSY = 44
    GROUP_FROZEN = 45
    TIMER_INVALID = 46
    DISCONNECT_NOT_ENABLED = 47
    BLOCK_INVALID = 48
    AMOUNT_NOT_POSITIVE = 60
    DEPOSIT_OUT_OF_ORDER = 61
    BALANCE_LIMIT = 62
    ACCOUNT_TABLE_FULL = 63
    TRANSFER_INVALID = 64
    CASH_INSUFFICIENT = 65
    DEMAND_INVALID = 66
    KEY_INVALID = 67
    KEY_TABLE_FULL = 68
    SUBACCOUNT_INVALID = 69
    SUBACCOUNT_EXISTS = 70
    KEY_NOT_FOUND = 71
    OPERATOR_UNKNOWN = 80
    ORACLE_UNKNOWN = 81
    UNDERLYING_NOT_FOUND = 82
    INSTRUMENT_INVALID = 83
    INSTRUMENT_EXISTS = 84
    INSTRUMENT_TABLE_FULL = 85
    TIER_INVALID = 86
    OBSERVATION_IN_FUTURE = 87
    OBSERVATION_STALE = 88
    OBSERVATION_NOT_NEWER = 89
    INDEX_OUT_OF_RANGE = 90
    SERIES_NOT_FOUND = 91
    SURFACE_OUT_OF_RANGE = 92
    SURFACE_BUTTERFLY = 93
    SURFACE_CALENDAR = 94
    BATCH_OUT_OF_ORDER = 95
    TIME_NOT_MONOTONIC = 96


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
    RFQ_NOT_FOUND = 110
    NOT_SUPPORTED = 111


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


class KeyScope(IntEnum):
    """The values of `KeyScope` in schema.toml."""

    TRADE = 1
    CANCEL = 2
    QUOTE = 4
    BLOCK = 8
    TRANSFER = 16


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
    COMBO = 4


class InstrumentState(IntEnum):
    """The values of `InstrumentState` in schema.toml."""

    OPEN = 0
    EXPIRED = 1


class LiquidationStage(IntEnum):
    """The values of `LiquidationStage` in schema.toml."""

    NONE = 0
    SLICES = 1
    AUCTION = 2


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
    LIQUIDATION = 15
    KEY_LIMIT = 16


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
    LIQUIDATION_STARTED = 21
    MARGIN_CALL = 22
    SLICE = 23
    PENALTY = 24
    AUCTION_STARTED = 25
    ASSIGNED = 26
    AUCTION_TAKEN = 27
    DELEVERAGED = 28
    INSURED = 29
    LOSS_SHARED = 30
    LIQUIDATION_ENDED = 31
    FUND_PAID_IN = 32
    SLICE_SET = 33
    KEY_AUTHORIZED = 34
    KEY_REVOKED = 35
    SUBACCOUNT_CREATED = 36
    TRANSFERRED = 37
    LEG = 38


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
    BACKSTOP = 18
    SET_SLICE = 19
    INSURE = 20
    AUTHORIZE_KEY = 21
    REVOKE_KEY = 22
    CREATE_SUBACCOUNT = 23
    TRANSFER = 24
    BLOCK_TRADE = 25
    LIST_COMBO = 26


EXPECTED: dict[int, str] = {
    0: "accepted",
    1: "a field is outside the range that its type allows",
    2: "the signature must recover to the account (or oracle, or operator) named in the struct, with low s",
    3: "the account must have made a deposit first",
    4: "expires_ns must be later than the venue's time",
    5: "the signer must be the account, its owner or one of its active keys",
    6: "the session key must not have expired",
    7: "the session key's scope must include the command",
    8: "the nonce must be greater than every nonce the account has used",
    9: "the session key has sent as many commands in this minute as it may",
    10: "an account in liquidation only cancels, deposits and waits",
    20: "the instrument must be listed",
    21: "the instrument must be open and before its expiry",
    22: "the order's options must fit each other, its time in force and its instrument",
    23: "the size must be at least one lot",
    24: "the size must not exceed the maximum order size",
    25: "the price must be at least one tick",
    26: "the price must not exceed the last tick of the book, nor a volatility 500 % a year",
    27: "a waiting order needs a reference with one of trigger and trail, or a parent",
    28: "the order must be open, or waiting where the command allows it",
    29: "the order must belong to the signing account",
    30: "the account or the venue has as many waiting orders as it may",
    31: "a quote's bid must be below its ask",
    32: "the instrument (or the trigger's reference) must have a price",
    33: "the index must be recent enough to add risk",
    34: "the account has as many open orders as it may",
    35: "the venue has no room for another order, position or level",
    36: "a buy must not be above, nor a sell below, the band around the mark",
    37: "a reduce-only order needs an opposite position to reduce",
    38: "positions and open orders of one underlying must stay below the gross limit",
    39: "a post-only order must not match on arrival",
    40: "a fill-or-kill order needs its whole size in the book at its price",
    41: "the account must stay within the session key's limits of notional, delta and vega",
    42: "equity must cover the initial margin after the command",
    43: "the group must be 1 to 4 and set up, and its figures in range",
    44: "the group must have no open quotes when its figures change",
    45: "the group's protection has tripped; wait for it to thaw or set it again",
    46: "a time-out is 0 or from one second to one day, and cancel_on_disconnect 0 or 1",
    47: "the account must have asked for cancellation on disconnect",
    48: "a block trade needs two different accounts, and no combo among its legs",
    60: "the amount must be at least one atom",
    61: "deposits must be credited in the order of the vault's cursor",
    62: "all deposits together must stay below the supply limit",
    63: "the venue has no room for another account",
    64: "the receiver must be another open account of the same owner",
    65: "the amount must not exceed the account's cash, nor what the vault holds",
    66: "a backstop's demand is -1 or from 0 to 1_000_000 millionths of the requirement",
    67: "a key needs a scope, an expiry ahead, limits in range and an address of its own",
    68: "the account has as many active keys as it may",
    69: "a sub-account is opened by its owner, with a number from 1 to 2**31 - 1",
    70: "the sub-account must not exist yet",
    71: "the key to revoke must be active",
    80: "only the operator may list instruments and set tiers",
    81: "only a registered oracle may report",
    82: "the underlying must be configured",
    83: "strike and expiry must lie in the allowed range, and a perpetual has neither",
    84: "the instrument must not be listed yet",
    85: "the venue has no room for another instrument or series",
    86: "the tier must be one of the genesis file's fee tiers",
    87: "an observation must not be later than the venue's time",
    88: "an observation must be recent",
    89: "an oracle's observation must be newer than its last one",
    90: "the index must be positive and below the underlying's limit, the confidence in 0 to 1",
    91: "the series must have a listed instrument and be before its expiry",
    92: "the surface's parameters must lie in the allowed range",
    93: "the surface must be free of butterfly arbitrage",
    94: "the surface must not cross a neighbouring expiry",
    95: "batches must be sealed in order",
    96: "time must not run backwards",
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
    110: "the request for quotes, or the quote, must be open and the caller's to use",
    111: "this venue does not do that",
}

JSONRPC_NUMBER: dict[int, int] = {
    0: 11100,
    1: 11101,
    2: 11102,
    3: 11103,
    4: 11104,
    5: 11105,
    6: 11106,
    7: 11107,
    8: 11108,
    9: 11109,
    10: 11110,
    20: 10020,
    21: 10012,
    22: 11122,
    23: 10002,
    24: 11124,
    25: 10005,
    26: 10007,
    27: 11127,
    28: 10004,
    29: 10029,
    30: 11130,
    31: 11131,
    32: 11132,
    33: 11133,
    34: 10013,
    35: 11135,
    36: 11136,
    37: 11137,
    38: 11138,
    39: 11139,
    40: 11140,
    41: 11141,
    42: 10009,
    43: 11143,
    44: 11144,
    45: 11145,
    46: 11146,
    47: 11147,
    48: 11148,
    60: 11160,
    61: 11161,
    62: 11162,
    63: 11163,
    64: 11164,
    65: 11165,
    66: 11166,
    67: 11167,
    68: 11168,
    69: 11169,
    70: 11170,
    71: 11171,
    80: 11180,
    81: 11181,
    82: 11182,
    83: 11183,
    84: 11184,
    85: 11185,
    86: 11186,
    87: 11187,
    88: 11188,
    89: 11189,
    90: 11190,
    91: 11191,
    92: 11192,
    93: 11193,
    94: 11194,
    95: 11195,
    96: 11196,
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
    110: 11031,
    111: 10033,
}
