"""Rows for test_codes.py: session keys, sub-accounts, transfers and block trades, on a venue of their own.

As there, each row but the last of a kind has faults of rows below it. Roles that end in `key` are session
keys; `maker/1` is the maker's first sub-account. A lot of the perpetual (0) has a mark of 32_000 ticks or 80
USDC, the call (1) one of about 638 ticks and a band of 800.
"""

from novate.protocol.generated.codes import Code

OK = Code.OK
LIMITS = {"accounts": 5, "positions": 5, "instruments": 4}
KEYS = tuple(
    ("maker", f"authorize_key subject=key{place}", OK, "KEY_AUTHORIZED") for place in (3, 4, 5, 6, 7, 8)
)
# A block of 60 perpetuals needs 60 * 80 * (16 % + 2 %) of margin and a fee; the pauper has 800 USDC.
BLOCK = "block_trade subject=taker"

OPENING = (
    ("maker", "deposit amount_atoms=1_000_000*usdc", OK, "DEPOSITED"),
    ("taker", "deposit amount_atoms=1_000_000*usdc", OK, "DEPOSITED"),
    ("maker/1", "deposit amount_atoms=usdc", OK, "DEPOSITED"),  # Nobody can sign for it yet [SUB-1].
    ("pauper", "deposit amount_atoms=800*usdc", OK, "DEPOSITED"),
    ("operator", "list instrument_kind=perpetual strike_atoms=0 expiry_ns=0", OK, "LISTED"),
    ("operator", "list", OK, "LISTED"),
    ("operator", "list expiry_ns=late", OK, "LISTED"),  # It has no surface, and so no mark.
    ("oracle", "index", OK, "INDEX_SET"),
    ("oracle", "surface", OK, "SURFACE_SET"),
    ("oracle", "tick", OK, "MARKED"),
)

SESSION_KEYS = (
    # Who signs [KEY-1].
    ("stranger", "place signer=akey nonce=0 expires_ns=now lots=0", Code.ACCOUNT_NOT_FOUND, ""),
    ("maker", "place signer=akey nonce=0 expires_ns=now lots=0", Code.SIGNATURE_EXPIRED, ""),
    ("maker", "place signer=akey nonce=0 lots=0", Code.KEY_UNKNOWN, ""),
    ("maker", "place signer=taker nonce=0 lots=0", Code.KEY_UNKNOWN, ""),
    ("maker/1", "place nonce=0 lots=0", Code.KEY_UNKNOWN, ""),
    # Keys come [KEY-3].
    ("stranger", "authorize_key subject=akey scope=0", Code.ACCOUNT_NOT_FOUND, ""),
    ("maker", "authorize_key subject=akey scope=0", Code.KEY_INVALID, ""),
    ("maker", "authorize_key subject=akey scope=32", Code.KEY_INVALID, ""),
    ("maker", "authorize_key subject=akey key_expires_ns=now", Code.KEY_INVALID, ""),
    ("maker", "authorize_key subject=akey max_notional_atoms=-1", Code.KEY_INVALID, ""),
    ("maker", "authorize_key subject=akey max_delta_atoms=CASH_ATOMS_MAX+1", Code.KEY_INVALID, ""),  # 2**60.
    ("maker", "authorize_key subject=akey max_vega_atoms=CASH_ATOMS_MAX+1", Code.KEY_INVALID, ""),
    ("maker", "authorize_key subject=akey rate_per_minute=1_000_001", Code.KEY_INVALID, ""),
    ("maker", "authorize_key subject=nobody", Code.KEY_INVALID, ""),
    ("maker", "authorize_key subject=maker", Code.KEY_INVALID, ""),
    (
        "maker",
        "authorize_key subject=akey scope=1 rate_per_minute=2 key_expires_ns=now+61*second",
        OK,
        "KEY_AUTHORIZED",
    ),
    ("maker", "authorize_key subject=bkey scope=31 max_vega_atoms=CASH_ATOMS_MAX", OK, "KEY_AUTHORIZED"),
    *KEYS,
    ("maker", "authorize_key subject=key9 scope=32", Code.KEY_INVALID, ""),
    ("maker", "authorize_key subject=key9", Code.KEY_TABLE_FULL, ""),
    ("maker", "authorize_key subject=key8 scope=2", OK, "KEY_AUTHORIZED"),  # An active one keeps its place.
    # What keys may do [KEY-2], and how often [KEY-4].
    ("maker", "cancel_all signer=akey nonce=0 label=-1", Code.KEY_SCOPE, ""),
    ("maker", "authorize_key signer=bkey subject=akey nonce=0", Code.KEY_SCOPE, ""),
    ("maker", "withdraw signer=bkey", Code.KEY_SCOPE, ""),
    ("maker", "place signer=akey nonce=0 lots=0", Code.NONCE_REPLAYED, ""),
    ("maker", "place signer=akey lots=0", Code.SIZE_NOT_POSITIVE, ""),  # It counts all the same.
    ("maker", "place signer=akey price_ticks=31_000", OK, "REST"),
    ("maker", "place signer=akey lots=0", Code.KEY_RATE, ""),
    ("oracle", "index after=60", OK, "INDEX_SET"),
    ("maker", "place signer=akey lots=0", Code.SIZE_NOT_POSITIVE, ""),
    ("maker", "cancel_all signer=akey nonce=0 after=1", Code.KEY_EXPIRED, ""),
    # Their limits [KEY-5]: ten lots of the perpetual are 800 USDC, and more than the pauper can bear.
    ("pauper", "authorize_key subject=akey max_notional_atoms=800*usdc", OK, "KEY_AUTHORIZED"),
    ("pauper", "place signer=akey lots=60 price_ticks=32_000", Code.KEY_LIMIT, ""),
    ("pauper", "place lots=60 price_ticks=32_000", Code.INITIAL_MARGIN_INSUFFICIENT, ""),
    ("pauper", "place signer=akey lots=10 price_ticks=32_000", OK, "REST"),
    ("pauper", "replace signer=akey lots=11 price_ticks=32_000", Code.KEY_LIMIT, ""),
    ("pauper", "cancel signer=akey", OK, "CANCELLED"),
    # Keys go [KEY-3].
    ("stranger", "revoke_key subject=akey", Code.ACCOUNT_NOT_FOUND, ""),
    ("maker", "revoke_key subject=stranger", Code.KEY_NOT_FOUND, ""),
    ("maker", "revoke_key subject=maker", Code.KEY_NOT_FOUND, ""),
    ("maker", "revoke_key subject=akey", OK, "KEY_REVOKED"),  # Expired, but active until now.
    ("maker", "place signer=akey", Code.KEY_UNKNOWN, ""),
)

SUBACCOUNTS = (
    # Sub-accounts [SUB-1].
    ("stranger", "create_subaccount subaccount=0", Code.ACCOUNT_NOT_FOUND, ""),
    ("maker", "create_subaccount subaccount=0", Code.SUBACCOUNT_INVALID, ""),
    ("maker", "create_subaccount subaccount=2_147_483_648", Code.SUBACCOUNT_INVALID, ""),
    ("maker", "create_subaccount", OK, "SUBACCOUNT_CREATED"),  # It had made a deposit.
    ("maker", "create_subaccount", Code.SUBACCOUNT_EXISTS, ""),
    ("maker/1", "create_subaccount subaccount=2", Code.SUBACCOUNT_INVALID, ""),
    ("maker", "create_subaccount subaccount=2_147_483_647", OK, "SUBACCOUNT_CREATED"),
    ("maker", "create_subaccount subaccount=3", Code.ACCOUNT_TABLE_FULL, ""),  # The sixth of five.
    ("maker/1", "authorize_key subject=maker", Code.KEY_INVALID, ""),  # Its owner.
    # Transfers [SUB-2].
    ("stranger", "transfer amount_atoms=0 subject=taker", Code.ACCOUNT_NOT_FOUND, ""),
    ("maker", "transfer amount_atoms=0 subject=taker", Code.AMOUNT_NOT_POSITIVE, ""),
    ("maker", "transfer amount_atoms=cash+1 subject=taker", Code.TRANSFER_INVALID, ""),
    ("maker", "transfer amount_atoms=cash+1 subject=maker", Code.TRANSFER_INVALID, ""),
    ("maker", "transfer amount_atoms=cash+1 subject=maker/3", Code.TRANSFER_INVALID, ""),
    ("maker", "transfer amount_atoms=cash+1 subject=maker/1 after=61", Code.CASH_INSUFFICIENT, ""),
    ("maker", "transfer amount_atoms=cash subject=maker/1", Code.MARK_STALE, ""),
    ("oracle", "index", OK, "INDEX_SET"),
    ("oracle", "surface", OK, "SURFACE_SET"),
    ("oracle", "tick", OK, "MARKED"),
    ("maker", "transfer amount_atoms=cash subject=maker/1", Code.INITIAL_MARGIN_INSUFFICIENT, ""),
    ("maker", "transfer amount_atoms=cash-200*usdc subject=maker/1", OK, "TRANSFERRED"),
    ("maker/1", "transfer amount_atoms=cash subject=maker/2_147_483_647", OK, "TRANSFERRED"),
    ("maker/2_147_483_647", "transfer amount_atoms=cash subject=maker", OK, "TRANSFERRED"),
    ("maker", "cancel_all", OK, "CANCELLED"),
)

BLOCKS = (
    # Blocks: the parties [BLOCK-1].
    ("stranger", f"{BLOCK} cosigner=akey legs=9:2:0:0", Code.ACCOUNT_NOT_FOUND, ""),
    ("maker", "block_trade subject=stranger nonce=nonce legs=9:2:0:0", Code.NONCE_REPLAYED, ""),
    ("maker", "block_trade subject=stranger legs=9:2:0:0", Code.ACCOUNT_NOT_FOUND, ""),
    ("maker", f"{BLOCK} cosigner=akey legs=9:2:0:0", Code.KEY_UNKNOWN, ""),
    ("maker", f"{BLOCK} counter_nonce=counter legs=9:2:0:0", Code.NONCE_REPLAYED, ""),
    # Its legs, one by one.
    ("maker", f"{BLOCK}", Code.COMMAND_MALFORMED, ""),
    ("maker", f"{BLOCK} legs=9:2:0:0", Code.COMMAND_MALFORMED, ""),
    ("maker", f"{BLOCK} legs=1:0:0:0/0:0:0:0", Code.COMMAND_MALFORMED, ""),
    ("maker", f"{BLOCK} legs=9:0:0:0/9:0:0:0", Code.COMMAND_MALFORMED, ""),
    ("maker", "block_trade subject=maker counter_nonce=counter+2 legs=9:0:0:0", Code.BLOCK_INVALID, ""),
    ("maker", f"{BLOCK} legs=0:0:0:0/9:0:0:0", Code.SIZE_NOT_POSITIVE, ""),  # The first leg comes first.
    ("maker", f"{BLOCK} legs=9:0:0:0", Code.INSTRUMENT_NOT_FOUND, ""),
    ("maker", f"{BLOCK} legs=2:0:ORDER_LOTS_MAX+1:0", Code.SIZE_ABOVE_MAXIMUM, ""),
    ("maker", f"{BLOCK} legs=2:0:1:0", Code.PRICE_NOT_POSITIVE, ""),
    ("maker", f"{BLOCK} legs=2:0:1:PRICE_TICKS_MAX+1", Code.PRICE_ABOVE_MAXIMUM, ""),
    ("maker", f"{BLOCK} legs=2:0:1:1", Code.MARK_UNAVAILABLE, ""),
    ("maker", f"{BLOCK} legs=1:0:1:1_439 after=61", Code.MARK_STALE, ""),
    ("oracle", "index", OK, "INDEX_SET"),
    ("maker", f"{BLOCK} legs=1:0:1:1_439", Code.PRICE_OUTSIDE_BAND, ""),
    ("maker", f"{BLOCK} legs=1:1:1:1_439", Code.PRICE_OUTSIDE_BAND, ""),  # On either side.
    # Room, limits and margin. Of five position records the maker and the taker take four, the pauper one.
    ("maker", "place price_ticks=1", OK, "REST"),
    ("maker", "place price_ticks=1 instrument=1", OK, "REST"),
    ("pauper", "place price_ticks=1", OK, "REST"),
    ("taker", "place price_ticks=1", OK, "REST"),
    ("taker", "block_trade subject=pauper legs=0:1:60:32_000/1:1:1:638", Code.TABLE_FULL, ""),
    ("taker", "cancel", OK, "CANCELLED"),
    ("maker", "cancel_all instrument=1", OK, "CANCELLED"),
    ("pauper", "authorize_key subject=akey scope=8 max_delta_atoms=4_799*usdc", OK, "KEY_AUTHORIZED"),
    ("taker", "block_trade subject=pauper cosigner=akey legs=0:1:60:32_000", Code.KEY_LIMIT, ""),
    ("taker", "block_trade subject=pauper legs=0:1:60:32_000", Code.INITIAL_MARGIN_INSUFFICIENT, ""),
    ("pauper", "block_trade subject=taker legs=0:0:60:32_000", Code.INITIAL_MARGIN_INSUFFICIENT, ""),
    ("taker", "block_trade subject=pauper cosigner=akey legs=0:1:50:32_000", OK, "FILL"),
    ("maker", f"{BLOCK} legs=0:0:2:32_000/1:1:1:638", OK, "FILL FILL"),
)

KEY_ROWS = OPENING + SESSION_KEYS + SUBACCOUNTS + BLOCKS
