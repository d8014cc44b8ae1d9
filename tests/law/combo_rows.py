"""Rows for test_codes.py: combos, on a venue of their own.

As there, each row but the last of a kind has faults of rows below it. The perpetual (0) has a mark of 32_000
ticks, the call (1) one of about 638 and the higher call (2) one of about 100; the combo (4) buys the one and
sells the other, at a net mark of about 538 ticks above COMBO_TICK_OFFSET and a band of 1_600.
"""

from novate.protocol.generated.codes import Code

OK = Code.OK
LIMITS = {"instruments": 5, "positions": 3}
PERPETUAL = "list instrument_kind=perpetual strike_atoms=0 expiry_ns=0"

OPENING = (
    ("maker", "deposit amount_atoms=1_000_000*usdc", OK, "DEPOSITED"),
    ("taker", "deposit amount_atoms=1_000_000*usdc", OK, "DEPOSITED"),
    ("pauper", "deposit amount_atoms=100*usdc", OK, "DEPOSITED"),
    ("operator", PERPETUAL, OK, "LISTED"),
    ("operator", "list", OK, "LISTED"),
    ("operator", "list strike_atoms=90_000*usdc", OK, "LISTED"),
    ("operator", f"{PERPETUAL} underlying=eth", OK, "LISTED"),
)

LISTING = (
    ("stranger", "list_combo nonce=0 expires_ns=now", Code.OPERATOR_UNKNOWN, ""),
    ("operator", "list_combo nonce=0 expires_ns=now", Code.SIGNATURE_EXPIRED, ""),
    ("operator", "list_combo nonce=0", Code.NONCE_REPLAYED, ""),
    ("operator", "list_combo", Code.INSTRUMENT_INVALID, ""),
    ("operator", "list_combo legs=1:1", Code.INSTRUMENT_INVALID, ""),
    ("operator", "list_combo legs=2:1/1:-1", Code.INSTRUMENT_INVALID, ""),
    ("operator", "list_combo legs=1:1/1:-1", Code.INSTRUMENT_INVALID, ""),
    ("operator", "list_combo legs=1:1/4:-1", Code.INSTRUMENT_INVALID, ""),  # Not listed yet.
    ("operator", "list_combo legs=0:1/3:-1", Code.INSTRUMENT_INVALID, ""),  # Of two underlyings.
    ("operator", "list_combo legs=1:1/2:0", Code.INSTRUMENT_INVALID, ""),
    ("operator", "list_combo legs=1:1/2:17", Code.INSTRUMENT_INVALID, ""),
    ("operator", "list_combo legs=1:1/2:-17", Code.INSTRUMENT_INVALID, ""),
    ("operator", "list_combo legs=1:2/2:-4", Code.INSTRUMENT_INVALID, ""),
    ("operator", "list_combo legs=1:-1/2:1", Code.INSTRUMENT_INVALID, ""),
    ("operator", "list_combo legs=1:1/2:-1", OK, "LISTED"),
    ("operator", "list_combo legs=1:1/4:-1", Code.INSTRUMENT_INVALID, ""),  # A combo.
    ("operator", "list_combo legs=1:1/2:-1", Code.INSTRUMENT_EXISTS, ""),
    ("operator", "list_combo legs=1:1/2:-16", Code.INSTRUMENT_TABLE_FULL, ""),  # The sixth of five.
)

ORDERS = (
    ("maker", "place instrument=4", Code.MARK_UNAVAILABLE, ""),
    ("oracle", "index", OK, "INDEX_SET"),
    ("oracle", "surface", OK, "SURFACE_SET"),
    ("oracle", "tick", OK, "MARKED"),
    ("maker", "place instrument=4 flags=reduce_only lots=0", Code.ORDER_INVALID, ""),
    ("maker", "place instrument=4 flags=volatility lots=0", Code.ORDER_INVALID, ""),
    ("maker", "place_trigger instrument=4 lots=0", Code.ORDER_INVALID, ""),
    ("maker", "place instrument=4 lots=0 price_ticks=0", Code.SIZE_NOT_POSITIVE, ""),
    ("maker", "place instrument=4 price_ticks=0", Code.PRICE_NOT_POSITIVE, ""),
    ("maker", "place instrument=4 price_ticks=PRICE_TICKS_MAX", Code.PRICE_OUTSIDE_BAND, ""),
    ("maker", "place instrument=4 lots=ORDER_LOTS_MAX", Code.INITIAL_MARGIN_INSUFFICIENT, ""),
    ("maker", "place instrument=4 side=sell price_ticks=COMBO_TICK_OFFSET+600 lots=9", OK, "REST"),
    ("taker", "place instrument=4 price_ticks=COMBO_TICK_OFFSET+600", Code.TABLE_FULL, ""),  # One is free.
    (
        "maker",
        "replace price_ticks=COMBO_TICK_OFFSET lots=ORDER_LOTS_MAX",
        Code.INITIAL_MARGIN_INSUFFICIENT,
        "",
    ),
    ("maker", "replace price_ticks=COMBO_TICK_OFFSET+601 lots=9", OK, "CANCELLED REST"),
    ("taker", "place price_ticks=1", OK, "REST"),
    ("maker", "place price_ticks=1", Code.TABLE_FULL, ""),
    ("maker", "place instrument=1 price_ticks=1", OK, "REST"),
    ("maker", "place instrument=4 price_ticks=COMBO_TICK_OFFSET+601", OK, "CANCELLED"),  # Its own.
    ("maker", "cancel_all", OK, "CANCELLED CANCELLED"),
    ("taker", "cancel_all", OK, "CANCELLED"),
    ("pauper", "place instrument=4 price_ticks=COMBO_TICK_OFFSET+540", OK, "REST"),
    ("pauper", "place instrument=4 price_ticks=COMBO_TICK_OFFSET+540", Code.INITIAL_MARGIN_INSUFFICIENT, ""),
    # The combo ends with its first leg [COMBO-7], and its legs can make no other.
    ("pauper", "place instrument=4 after=2_591_999 lots=0", Code.SIZE_NOT_POSITIVE, ""),
    ("pauper", "place instrument=4 after=1 lots=0", Code.INSTRUMENT_CLOSED, ""),
    ("oracle", "tick", OK, "CANCELLED EXPIRED EXPIRED EXPIRED MARKED"),
    ("pauper", "place instrument=4 lots=0", Code.INSTRUMENT_CLOSED, ""),
    ("operator", "list_combo legs=1:1/2:-3", Code.INSTRUMENT_INVALID, ""),
)

COMBO_ROWS = OPENING + LISTING + ORDERS
