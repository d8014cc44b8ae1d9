"""Every result code of the law, as a table: who says what, and the answer; the boundary beside it.

Rejections come first, in the order of precedence: a row also carries faults of later rows, so that the
first decides. Rows run from top to bottom on one venue; `after=60` lets a minute pass. desk.py has the words.
"""

import hashlib

import pytest

from novate.execution.tables import SCRATCH
from novate.protocol.generated.codes import Code, CommandKind, EventKind
from novate.protocol.signing import compute_digest, recover_signer, sign_digest
from tests.law import combo_rows, key_rows
from tests.law.combo_rows import COMBO_ROWS
from tests.law.desk import Desk, find_address, make_genesis, make_key
from tests.law.key_rows import KEY_ROWS

OK = Code.OK
PERPETUAL = "list instrument_kind=perpetual strike_atoms=0 expiry_ns=0"
# A slice with too sharp a corner, and one that is 1 / 2**48 of variance lower than the default.
SHARP = "svi_a_x48=0 svi_b_x48=200*E6*E6 svi_rho_x48=-250*E6*E6 svi_sigma_x48=5*E6*E6"
LOWER = "svi_a_x48=2_814_749_767_105"

# (actor, line, code, events after the RESULT)
ROWS = (
    # Deposits [CASH-1]. Every row but the last has the faults of the rows below it.
    ("stranger", "deposit amount_atoms=0 cursor=cursor", Code.AMOUNT_NOT_POSITIVE, ""),
    ("stranger", "deposit amount_atoms=CASH_ATOMS_MAX cursor=cursor", Code.DEPOSIT_OUT_OF_ORDER, ""),
    ("stranger", "deposit amount_atoms=CASH_ATOMS_MAX cursor=cursor+2", Code.DEPOSIT_OUT_OF_ORDER, ""),
    ("maker", "deposit amount_atoms=CASH_ATOMS_MAX", Code.BALANCE_LIMIT, ""),  # 2**60 is the first too many.
    ("maker", "deposit amount_atoms=1_000_000*usdc", OK, "DEPOSITED"),
    ("taker", "deposit amount_atoms=1_000_000*usdc", OK, "DEPOSITED"),
    ("pauper", "deposit amount_atoms=1_000*usdc", OK, "DEPOSITED"),
    ("whale", "deposit amount_atoms=1_000_000*usdc", OK, "DEPOSITED"),
    ("stranger", "deposit amount_atoms=1", Code.ACCOUNT_TABLE_FULL, ""),  # The fifth of four.
    ("maker", "deposit amount_atoms=1", OK, "DEPOSITED"),
    # Time comes before everything [CMD-1].
    ("oracle", "tick time_ns=now-1", Code.TIME_NOT_MONOTONIC, ""),
    ("stranger", "place time_ns=now-1", Code.TIME_NOT_MONOTONIC, ""),
    ("oracle", "tick time_ns=now", OK, ""),
    # Listing [LIST-1].
    ("stranger", "list underlying=2 nonce=0 expires_ns=now", Code.OPERATOR_UNKNOWN, ""),
    ("operator", "list underlying=2 nonce=0 expires_ns=now", Code.SIGNATURE_EXPIRED, ""),
    ("operator", "list underlying=2 nonce=0", Code.NONCE_REPLAYED, ""),
    ("operator", "list underlying=2 strike_atoms=0", Code.UNDERLYING_NOT_FOUND, ""),
    ("operator", "list strike_atoms=0", Code.INSTRUMENT_INVALID, ""),
    ("operator", "list strike_atoms=1_000_000*usdc+1", Code.INSTRUMENT_INVALID, ""),  # Above index_atoms_max.
    ("operator", "list expiry_ns=now", Code.INSTRUMENT_INVALID, ""),
    ("operator", "list expiry_ns=now+1", Code.INSTRUMENT_INVALID, ""),  # Not a whole second.
    ("operator", "list expiry_ns=now+EXPIRY_AHEAD_NS_MAX+second", Code.INSTRUMENT_INVALID, ""),
    ("operator", "list instrument_kind=perpetual", Code.INSTRUMENT_INVALID, ""),  # It has a strike.
    ("operator", PERPETUAL, OK, "LISTED"),
    ("operator", PERPETUAL, Code.INSTRUMENT_EXISTS, ""),
    ("operator", f"{PERPETUAL} underlying=eth", OK, "LISTED"),
    ("operator", "list", OK, "LISTED"),
    ("operator", "list expiry_ns=late", OK, "LISTED"),
    ("operator", "list expiry_ns=late+second", Code.INSTRUMENT_TABLE_FULL, ""),  # The third series of two.
    ("operator", "list instrument_kind=put", OK, "LISTED"),
    ("operator", "list strike_atoms=1", OK, "LISTED"),
    ("operator", "list strike_atoms=1_000_000*usdc", OK, "LISTED"),  # The seventh instrument of seven.
    ("operator", "list strike_atoms=90_000*usdc", Code.INSTRUMENT_TABLE_FULL, ""),
    # Without an index and a surface nothing has a mark [MARK-1].
    ("maker", "place", Code.MARK_UNAVAILABLE, ""),
    # Index [INDEX-1].
    ("stranger", "index underlying=2 index_atoms=0", Code.ORACLE_UNKNOWN, ""),
    ("oracle", "index underlying=2 index_atoms=0", Code.UNDERLYING_NOT_FOUND, ""),
    ("oracle", "index index_atoms=0 observed_ns=now+3*second", Code.INDEX_OUT_OF_RANGE, ""),
    ("oracle", "index index_atoms=1_000_000*usdc+1 observed_ns=now+3*second", Code.INDEX_OUT_OF_RANGE, ""),
    ("oracle", "index confidence_e6=1_000_001", Code.INDEX_OUT_OF_RANGE, ""),
    ("oracle", "index confidence_e6=-1", Code.INDEX_OUT_OF_RANGE, ""),
    ("oracle", "index observed_ns=now+2*second+1", Code.OBSERVATION_IN_FUTURE, ""),
    ("oracle", "index observed_ns=now-30*second-1", Code.OBSERVATION_STALE, ""),
    ("oracle", "index observed_ns=now-30*second", OK, "INDEX_SET"),
    ("oracle", "index observed_ns=now-30*second", Code.OBSERVATION_NOT_NEWER, ""),
    ("oracle", "index observed_ns=now", OK, "INDEX_SET"),
    ("oracle", "index underlying=eth index_atoms=usdc observed_ns=now+2*second", OK, "INDEX_SET"),
    # Surfaces [SURFACE-1] [SURFACE-2].
    ("stranger", "surface underlying=2", Code.ORACLE_UNKNOWN, ""),
    ("oracle", "surface underlying=2 expiry_ns=0", Code.UNDERLYING_NOT_FOUND, ""),
    ("oracle", "surface expiry_ns=soon+1 forward_atoms=0", Code.SERIES_NOT_FOUND, ""),
    ("oracle", "surface forward_atoms=0 observed_ns=now+3*second", Code.SURFACE_OUT_OF_RANGE, ""),
    ("oracle", "surface svi_b_x48=-1 observed_ns=now+3*second", Code.SURFACE_OUT_OF_RANGE, ""),
    ("oracle", f"surface {SHARP} observed_ns=now+2*second+1", Code.OBSERVATION_IN_FUTURE, ""),
    ("oracle", f"surface {SHARP} observed_ns=now-30*second-1", Code.OBSERVATION_STALE, ""),
    ("oracle", f"surface {SHARP}", Code.SURFACE_BUTTERFLY, ""),
    ("oracle", "surface", OK, "SURFACE_SET"),
    ("oracle", f"surface {SHARP}", Code.OBSERVATION_NOT_NEWER, ""),
    ("oracle", f"surface expiry_ns=late {LOWER}", Code.SURFACE_CALENDAR, ""),  # Lower by 1 / 2**48.
    ("oracle", "surface expiry_ns=late", OK, "SURFACE_SET"),
    ("oracle", "tick", OK, "MARKED MARKED"),
    # Placing [MATCH-1]. Each row but the last has faults of rows below it.
    ("maker", "place lots=0 key=stranger", Code.SIGNATURE_INVALID, ""),
    ("stranger", "place nonce=0 expires_ns=now lots=0", Code.ACCOUNT_NOT_FOUND, ""),
    ("maker", "place nonce=0 expires_ns=now lots=0", Code.SIGNATURE_EXPIRED, ""),
    ("maker", "place nonce=nonce instrument=7 lots=0", Code.NONCE_REPLAYED, ""),
    ("maker", "place side=2 instrument=7 lots=0", Code.COMMAND_MALFORMED, ""),
    ("maker", "place time_in_force=4 instrument=7 lots=0", Code.COMMAND_MALFORMED, ""),
    ("maker", "place flags=32 instrument=7 lots=0", Code.COMMAND_MALFORMED, ""),
    ("maker", "place link=-1 instrument=7 lots=0", Code.COMMAND_MALFORMED, ""),
    ("maker", "place instrument=7 lots=0 price_ticks=0", Code.INSTRUMENT_NOT_FOUND, ""),  # Seven are 0 to 6.
    ("maker", "place instrument=-1 lots=0 price_ticks=0", Code.INSTRUMENT_NOT_FOUND, ""),
    # The options of an order [ORDER-1] [ORDER-4].
    ("maker", "place flags=cancel_maker+cancel_both lots=0", Code.ORDER_INVALID, ""),
    ("maker", "place flags=market price_ticks=0 lots=0", Code.ORDER_INVALID, ""),  # It would rest.
    ("maker", "place flags=market time_in_force=ioc lots=0", Code.ORDER_INVALID, ""),  # It has a price.
    ("maker", "place flags=volatility lots=0", Code.ORDER_INVALID, ""),  # A perpetual has none.
    ("maker", "place valid_until_ns=now lots=0", Code.ORDER_INVALID, ""),
    ("maker", "place link=1 time_in_force=ioc lots=0", Code.ORDER_INVALID, ""),
    ("maker", "place lots=11 display_lots=1 price_ticks=0", Code.ORDER_INVALID, ""),  # Less than a tenth.
    ("maker", "place lots=0 price_ticks=0", Code.SIZE_NOT_POSITIVE, ""),
    ("maker", "place lots=ORDER_LOTS_MAX+1 price_ticks=0", Code.SIZE_ABOVE_MAXIMUM, ""),
    ("maker", "place price_ticks=0", Code.PRICE_NOT_POSITIVE, ""),
    ("maker", "place price_ticks=PRICE_TICKS_MAX+1", Code.PRICE_ABOVE_MAXIMUM, ""),
    ("maker", "place flags=volatility instrument=2 price_ticks=50_001", Code.PRICE_ABOVE_MAXIMUM, ""),
    ("maker", "place after=61 lots=ORDER_LOTS_MAX", Code.MARK_STALE, ""),  # A mark of 61 s; 60 is the limit.
    ("oracle", "index observed_ns=now", OK, "INDEX_SET"),
    ("oracle", "index underlying=eth index_atoms=usdc", OK, "INDEX_SET"),
    ("maker", "place instrument=2 price_ticks=1_439 flags=reduce_only", Code.PRICE_OUTSIDE_BAND, ""),
    ("maker", "place flags=reduce_only lots=ORDER_LOTS_MAX", Code.REDUCE_ONLY_WOULD_INCREASE, ""),
    ("maker", "place after=60 side=sell lots=10 price_ticks=32_000", OK, "REST"),
    ("taker", "place time_in_force=fok lots=11 price_ticks=32_000", Code.FILL_OR_KILL_UNFILLABLE, ""),
    ("taker", "place time_in_force=post_only lots=99_999 price_ticks=32_000", Code.POST_ONLY_WOULD_CROSS, ""),
    ("taker", "place time_in_force=post_only price_ticks=31_999", OK, "REST"),
    ("taker", "place time_in_force=ioc lots=3 price_ticks=32_000", OK, "FILL"),
    ("maker", "place lots=2 price_ticks=32_000", OK, "CANCELLED"),  # It meets the maker's own order.
    ("taker", "place time_in_force=ioc lots=8 price_ticks=32_000", OK, "FILL CANCELLED"),
    ("maker", "place lots=1 side=sell price_ticks=32_000 flags=cancel_maker display_lots=0", OK, "REST"),
    ("taker", "place time_in_force=fok lots=1 price_ticks=32_000 flags=cancel_both", OK, "FILL"),
    ("taker", "place side=sell price_ticks=32_001 flags=reduce_only lots=100", OK, "REST"),
    ("taker", "cancel", OK, "CANCELLED"),
    ("maker", "place lots=10 display_lots=1 price_ticks=100 valid_until_ns=now+1", OK, "REST"),
    ("maker", "cancel", OK, "CANCELLED"),
    ("pauper", "place lots=70 price_ticks=32_000", Code.INITIAL_MARGIN_INSUFFICIENT, ""),
    # A lot at its mark of 80 USDC may lose 16 % and a fee of 0.024, and needs 2 %: 14.424 of 1000 USDC.
    ("pauper", "place lots=69 price_ticks=32_000", OK, "REST"),  # 995.256 USDC.
    # Replacing and cancelling [MATCH-6] to [MATCH-8].
    ("maker", "replace order_id=0 lots=0", Code.ORDER_NOT_FOUND, ""),
    ("maker", "replace order_id=last+1 lots=0", Code.ORDER_NOT_FOUND, ""),
    ("maker", "replace lots=0", Code.ORDER_NOT_OWNED, ""),  # The pauper's.
    ("pauper", "replace lots=0 price_ticks=0", Code.SIZE_NOT_POSITIVE, ""),
    ("pauper", "replace lots=70 price_ticks=32_000", Code.INITIAL_MARGIN_INSUFFICIENT, ""),
    ("pauper", "replace lots=68 price_ticks=32_000", OK, "REDUCED"),
    ("pauper", "replace lots=69 price_ticks=32_000", OK, "CANCELLED REST"),
    ("maker", "cancel order_id=0", Code.ORDER_NOT_FOUND, ""),
    ("maker", "cancel", Code.ORDER_NOT_OWNED, ""),
    ("maker", "cancel_all instrument=7 label=-1", Code.COMMAND_MALFORMED, ""),
    ("maker", "cancel_all instrument=7 group=5", Code.COMMAND_MALFORMED, ""),
    ("maker", "cancel_all instrument=7", Code.INSTRUMENT_NOT_FOUND, ""),
    ("maker", "cancel_all instrument=6", OK, ""),
    # Orders that wait [TRIG-1]. The last order is the pauper's.
    ("stranger", "place_trigger price_ticks=0 reference=4", Code.ACCOUNT_NOT_FOUND, ""),
    ("maker", "place_trigger price_ticks=0 reference=4", Code.PRICE_NOT_POSITIVE, ""),
    ("maker", "place_trigger reference=4", Code.TRIGGER_INVALID, ""),
    ("maker", "place_trigger condition=2", Code.TRIGGER_INVALID, ""),
    ("maker", "place_trigger trigger_atoms=0 parent_id=last+1", Code.TRIGGER_INVALID, ""),
    ("maker", "place_trigger trail_atoms=1", Code.TRIGGER_INVALID, ""),
    ("maker", "place_trigger trigger_atoms=549_755_813_888*2", Code.TRIGGER_INVALID, ""),  # 2**40.
    ("maker", "place_trigger reference=by_none trigger_atoms=0", Code.TRIGGER_INVALID, ""),
    ("maker", "place_trigger parent_id=last+1", Code.ORDER_NOT_FOUND, ""),
    ("maker", "place_trigger parent_id=last", Code.ORDER_NOT_OWNED, ""),
    (
        "maker",
        "place_trigger reference=by_last instrument=eth_perpetual trigger_atoms=0 trail_atoms=1",
        Code.MARK_UNAVAILABLE,
        "",
    ),
    ("taker", "place_trigger times=3", OK, "WAITING"),
    ("taker", "place_trigger parent_id=last", Code.TRIGGER_TABLE_FULL, ""),  # The fourth of three.
    ("taker", "cancel", OK, "CANCELLED"),
    ("taker", "cancel_all instrument=1", OK, ""),
    # Timers [TIMER-1] [TIMER-2]; the maker is account 0.
    ("stranger", "protect timeout_ns=1", Code.ACCOUNT_NOT_FOUND, ""),
    ("maker", "protect timeout_ns=second-1", Code.TIMER_INVALID, ""),
    ("maker", "protect timeout_ns=86_400*second+1", Code.TIMER_INVALID, ""),
    ("maker", "protect cancel_on_disconnect=2", Code.TIMER_INVALID, ""),
    ("maker", "protect timeout_ns=second", OK, ""),
    ("maker", "protect timeout_ns=86_400*second", OK, ""),
    ("oracle", "disconnect target=4", Code.ACCOUNT_NOT_FOUND, ""),
    ("oracle", "disconnect target=0", Code.DISCONNECT_NOT_ENABLED, ""),
    ("maker", "protect cancel_on_disconnect=1", OK, ""),
    ("oracle", "disconnect target=0", OK, ""),
    # Tiers [TIER-1].
    ("stranger", "set_tier target=4 tier=2", Code.OPERATOR_UNKNOWN, ""),
    ("operator", "set_tier target=4 tier=2", Code.ACCOUNT_NOT_FOUND, ""),
    ("operator", "set_tier tier=2", Code.TIER_INVALID, ""),  # Two tiers are 0 and 1.
    ("operator", "set_tier tier=1", OK, "TIER_SET"),
    # Protected quotes [MMP-1] [QUOTE-1] [QUOTE-2]. The option's mark is about 638 ticks.
    ("stranger", "set_mmp group=0", Code.ACCOUNT_NOT_FOUND, ""),
    ("maker", "set_mmp group=0", Code.GROUP_INVALID, ""),
    ("maker", "set_mmp group=5", Code.GROUP_INVALID, ""),
    ("maker", "set_mmp underlying=2", Code.GROUP_INVALID, ""),
    ("maker", "set_mmp window_ns=999_999", Code.GROUP_INVALID, ""),
    ("maker", "set_mmp quantity_limit_lots=0", Code.GROUP_INVALID, ""),
    ("maker", "set_mmp quantity_limit_lots=1", OK, ""),
    ("maker", "mass_quote group=2", Code.COMMAND_MALFORMED, ""),  # No quotes.
    ("maker", "mass_quote group=2 quotes=2:1:1:0:0/2:1:1:0:0", Code.COMMAND_MALFORMED, ""),
    ("maker", "mass_quote group=2 quotes=2:1:1:0:0", Code.GROUP_INVALID, ""),  # Never set.
    ("maker", "mass_quote quotes=2:9:1:9:1", OK, "QUOTE_REJECTED:QUOTE_CROSSED " * 2),
    ("maker", "mass_quote quotes=0:9:1:0:0", OK, "QUOTE_REJECTED:ORDER_INVALID"),  # A perpetual.
    ("maker", "mass_quote quotes=2:8:1:9:1", OK, "REST REST"),
    ("maker", "set_mmp", Code.GROUP_BUSY, ""),
    ("maker", "replace order_id=last", Code.ORDER_INVALID, ""),
    ("taker", "place instrument=2 price_ticks=9", OK, "FILL MMP_TRIPPED CANCELLED"),
    ("maker", "mass_quote quotes=2:8:1:9:1", Code.GROUP_FROZEN, ""),
    ("maker", "set_mmp", OK, ""),
    ("maker", "mass_quote quotes=2:8:1:0:0", OK, "REST"),
    # The insurance fund and its backers [LIQ-9].
    ("stranger", "backstop demand_e6=-2", Code.ACCOUNT_NOT_FOUND, ""),
    ("maker", "backstop demand_e6=-2", Code.DEMAND_INVALID, ""),
    ("maker", "backstop demand_e6=1_000_001", Code.DEMAND_INVALID, ""),
    ("maker", "backstop demand_e6=-1", OK, ""),
    ("stranger", "set_slice underlying=2 slice_notional_atoms=0", Code.OPERATOR_UNKNOWN, ""),
    ("operator", "set_slice underlying=2 slice_notional_atoms=0", Code.UNDERLYING_NOT_FOUND, ""),
    ("operator", "set_slice slice_notional_atoms=0", Code.AMOUNT_NOT_POSITIVE, ""),
    ("operator", "set_slice slice_notional_atoms=549_755_813_888*2", Code.BALANCE_LIMIT, ""),  # 2**40.
    ("operator", "set_slice slice_notional_atoms=549_755_813_888", OK, "SLICE_SET"),
    ("stranger", "insure amount_atoms=0", Code.ACCOUNT_NOT_FOUND, ""),
    ("maker", "insure amount_atoms=0", Code.AMOUNT_NOT_POSITIVE, ""),
    ("maker", "insure amount_atoms=cash+1", Code.CASH_INSUFFICIENT, ""),
    ("maker", "insure amount_atoms=1", OK, "FUND_PAID_IN"),
    # Withdrawing [CASH-2]: 1000 - 995.256 USDC are free.
    ("stranger", "withdraw amount_atoms=0", Code.ACCOUNT_NOT_FOUND, ""),
    ("pauper", "withdraw amount_atoms=0", Code.AMOUNT_NOT_POSITIVE, ""),
    ("pauper", "withdraw amount_atoms=cash+1 after=1", Code.CASH_INSUFFICIENT, ""),
    ("pauper", "withdraw amount_atoms=cash", Code.MARK_STALE, ""),  # The index is 61 s old by now.
    ("oracle", "index", OK, "INDEX_SET"),
    ("oracle", "index underlying=eth index_atoms=usdc", OK, "INDEX_SET"),
    ("pauper", "withdraw amount_atoms=4_744_001", Code.INITIAL_MARGIN_INSUFFICIENT, ""),
    ("pauper", "withdraw amount_atoms=4_744_000", OK, "WITHDRAWN"),
    ("pauper", "cancel_all", OK, "CANCELLED"),
    ("pauper", "withdraw amount_atoms=cash", OK, "WITHDRAWN"),
    ("pauper", "deposit amount_atoms=1_000*usdc", OK, "DEPOSITED"),
    # Limits: gross lots [MARGIN-9], open orders of an account, slots of the venue.
    ("maker", "cancel_all", OK, "CANCELLED"),
    ("taker", "cancel_all", OK, "CANCELLED CANCELLED CANCELLED"),  # One open, two waiting.
    # In liquidation, and out of it when the market comes back [LIQ-10]. Nobody buys the slice.
    ("taker", "place side=sell lots=60 price_ticks=32_000", OK, "REST"),
    ("pauper", "place lots=60 price_ticks=32_000", OK, "FILL"),
    ("oracle", "index after=1 index_atoms=68_000*usdc observed_ns=now", OK, "INDEX_SET"),
    ("oracle", "tick", OK, "MARKED MARKED LIQUIDATION_STARTED SLICE CANCELLED"),
    ("pauper", "place lots=0 side=2", Code.IN_LIQUIDATION, ""),
    ("oracle", "index after=1 observed_ns=now", OK, "INDEX_SET"),
    ("oracle", "tick", OK, "MARKED LIQUIDATION_ENDED"),
    ("pauper", "place lots=0 side=2", Code.COMMAND_MALFORMED, ""),
    ("whale", "place instrument=eth_perpetual lots=ORDER_LOTS_MAX times=16", OK, "REST"),  # 2**24 lots.
    ("whale", "place instrument=eth_perpetual", Code.GROSS_LIMIT, ""),
    ("whale", "cancel_all instrument=eth_perpetual", OK, " ".join(["CANCELLED"] * 16)),
    ("whale", "place instrument=eth_perpetual times=4096", OK, "REST"),
    ("whale", "place instrument=eth_perpetual lots=ORDER_LOTS_MAX", Code.OPEN_ORDER_LIMIT, ""),
    ("maker", "place instrument=eth_perpetual times=4", OK, "REST"),  # 4100 slots are taken.
    ("maker", "place instrument=eth_perpetual lots=ORDER_LOTS_MAX", Code.TABLE_FULL, ""),
    ("maker", "cancel", OK, "CANCELLED"),
    ("maker", "place instrument=eth_perpetual", OK, "REST"),
    # Batches [SEAL-1].
    ("operator", "seal batch=batch", Code.BATCH_OUT_OF_ORDER, ""),
    ("operator", "seal batch=batch+2", Code.BATCH_OUT_OF_ORDER, ""),
    ("operator", "seal", OK, "SEALED"),
    # Expiry ends an instrument, to the nanosecond and before its TICK [MATCH-1].
    ("oracle", "index after=2_591_800 observed_ns=now", OK, "INDEX_SET"),
    ("maker", "place instrument=btc_call_80000 after=75 lots=0", Code.SIZE_NOT_POSITIVE, ""),
    ("maker", "place instrument=btc_call_80000 after=1 lots=0", Code.INSTRUMENT_CLOSED, ""),
    ("oracle", "surface observed_ns=now", Code.SERIES_NOT_FOUND, ""),
    # The last atom that may be deposited.
    ("maker", "deposit amount_atoms=CASH_ATOMS_MAX-deposited after=1_000", Code.BALANCE_LIMIT, ""),
    ("maker", "deposit amount_atoms=CASH_ATOMS_MAX-deposited-1", OK, "DEPOSITED"),
)  # fmt: skip


def count_times(line: str) -> int:
    """How often a row is sent."""
    return int(line.rpartition("times=")[2]) if "times=" in line else 1


TABLES = {
    "venue": (ROWS, {}),
    "keys": (KEY_ROWS, key_rows.LIMITS),
    "combos": (COMBO_ROWS, combo_rows.LIMITS),
}


@pytest.mark.parametrize("table", TABLES)
def test_each_row_answers_its_code(table: str) -> None:
    """From top to bottom, each command gets the code of its row, and exactly its events follow."""
    rows, limits = TABLES[table]
    desk = Desk(make_genesis(**limits))
    for number, (actor, line, code, events) in enumerate(rows):
        for _ in range(count_times(line)):
            found = desk.say(actor, line)
            assert (code, events.strip()) == (found, desk.name_events()), f"row {number}: {actor} {line}"
            if code != Code.SIGNATURE_INVALID:
                result = desk.events[0]
                verb = line.split()[0]
                if verb == "disconnect":
                    continue  # Nobody speaks; its RESULT names the account that it ends the orders of.
                spoken = verb not in (
                    "list",
                    "index",
                    "surface",
                    "tick",
                    "seal",
                    "set_tier",
                    "set_slice",
                    "list_combo",
                )
                expected = desk.engine.find_account(find_address(actor)) if spoken else -1
                assert (EventKind.RESULT, expected) == (result["kind"], result["account"])


def test_each_code_has_a_row_of_its_own() -> None:
    """No code is without a row, and each rejection is found beside an accepted command of its kind."""
    rows = ROWS + KEY_ROWS + COMBO_ROWS
    told = {code for _, _, code, _ in rows}
    told |= {
        Code[name.rpartition(":")[2]] for _, _, _, events in rows for name in events.split() if ":" in name
    }
    assert set(Code) == told
    refused = {line.split()[0] for _, line, code, _ in rows if code != OK}
    accepted = {line.split()[0] for _, line, code, _ in rows if code == OK}
    assert refused <= accepted


def hash_tables(desk: Desk) -> dict[str, bytes]:
    """A digest of each table, without what a refused command may change."""
    world = desk.engine.world._asdict().items()
    # The effects of a group of quotes are kept until they are old, and found again when somebody asks.
    tables = {name: table.copy() for name, table in world if name not in (*SCRATCH, "group_effects")}
    for name in ("stale", "notional_atoms"):
        tables["groups"][name] = 0
    for name in ("sequence", "time_ns", "operator_nonce"):
        tables["house"][name] = 0
    for name in ("nonce", "dirty"):
        tables["accounts"][name] = 0
    for name in ("nonce", "window_start_ns", "window_count"):
        tables["keys"][name] = 0
    # A refused block has held records and let them go: what is left in a free one means nothing.
    tables["positions"][tables["positions"]["account"] == -1] = 0
    tables["position_entries"][tables["position_entries"]["key"] == 0] = 0
    return {name: hashlib.blake2b(table.tobytes()).digest() for name, table in tables.items()}


@pytest.mark.parametrize("table", TABLES)
def test_a_refused_command_changes_only_time_and_nonce(table: str) -> None:
    """[CMD-2]: after a rejection every table is as it was, but for the clock and the nonce used up."""
    rows, limits = TABLES[table]
    desk = Desk(make_genesis(**limits))
    for actor, line, code, _ in rows:
        before = hash_tables(desk) if code != OK else {}
        for _ in range(count_times(line)):
            assert code == desk.say(actor, line)
        if code != OK:
            assert before == hash_tables(desk), f"{actor} {line}"


def test_a_nonce_is_used_up_by_a_refused_order() -> None:
    """[AUTH-3]: whoever saw a refused order cannot send it again when it would be accepted."""
    desk = Desk()
    desk.must("maker", "deposit amount_atoms=usdc")
    assert Code.INSTRUMENT_NOT_FOUND == desk.say("maker", "place nonce=5")
    assert Code.NONCE_REPLAYED == desk.say("maker", "place nonce=5")
    assert Code.INSTRUMENT_NOT_FOUND == desk.say("maker", "place nonce=6")
    assert Code.SIGNATURE_EXPIRED == desk.say("maker", "place nonce=9 expires_ns=now")
    assert Code.INSTRUMENT_NOT_FOUND == desk.say("maker", "place nonce=7")


def test_no_other_bytes_recover_to_the_signer() -> None:
    """[AUTH-1]: a flipped bit, another field, the high-s twin or a foreign v never recovers to the signer."""
    desk = Desk()
    desk.must("operator", PERPETUAL)
    command, _ = desk.build("maker", "place")
    assert CommandKind.PLACE == command.kind
    digest = compute_digest(command, desk.engine.names, desk.domain)
    signature = sign_digest(digest, make_key("maker"))
    assert command.signer == recover_signer(digest, signature)
    order = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
    twin = order - int.from_bytes(signature[32:64], "big")
    forged = [signature[:32] + twin.to_bytes(32, "big") + bytes([55 - signature[64]])]
    forged += [signature[:64] + bytes([v]) for v in range(256) if v != signature[64]]
    forged += [signature[:length] for length in range(65)] + [signature + b"\0"]
    for bit in range(64 * 8):
        flipped = bytearray(signature)
        flipped[bit // 8] ^= 1 << bit % 8
        forged.append(bytes(flipped))
    assert all(command.signer != recover_signer(digest, each) for each in forged)
    for place in range(len(command.values)):
        values = list(command.values)
        values[place] += 1 if place else 0
        other = command._replace(values=tuple(values))
        if other != command:
            changed = compute_digest(other, desk.engine.names, desk.domain)
            assert command.signer != recover_signer(changed, signature)
