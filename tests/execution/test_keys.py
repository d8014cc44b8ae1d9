"""Session keys: what a key may send, how often, and how far its orders may carry the account.

Instrument 0 is a perpetual whose lot is worth, and has a delta of, 80 USDC; a lot of the call (1) has 800
USDC of notional. Roles that end in `key` sign for others.
"""

from pathlib import Path

import pytest

from novate.execution.engine import Engine
from novate.execution.journal import Position
from novate.execution.key_views import KeyView, read_key, read_keys
from novate.execution.snapshot import load_snapshot, write_snapshot
from novate.protocol.generated.codes import Code, EventKind, KeyScope, Side
from tests.execution.scenes import find_lots, move_index, open_venue, read_order, refuse, tell
from tests.execution.venue import compute_root, list_commands, make_genesis
from tests.law.desk import Desk, find_address

MAKER = 0
SENT = {
    "place price_ticks=1": KeyScope.TRADE,
    "replace": KeyScope.TRADE,
    "place_trigger": KeyScope.TRADE,
    "cancel": KeyScope.CANCEL,
    "cancel_all": KeyScope.CANCEL,
    "protect": KeyScope.CANCEL,
    "mass_quote quotes=1:1:1:0:0": KeyScope.QUOTE,
    "set_mmp": KeyScope.QUOTE,
    "block_trade subject=taker legs=0:0:1:32_000": KeyScope.BLOCK,
    "transfer subject=taker": KeyScope.TRANSFER,
    "withdraw": None,
    "insure": None,
    "backstop": None,
    "authorize_key subject=bkey": None,
    "revoke_key subject=akey": None,
    "create_subaccount": None,
}


def open_with_key(figures: str = "") -> Desk:
    """A venue at which the maker has one session key."""
    desk = open_venue()
    desk.must("maker", f"authorize_key subject=akey {figures}")
    return desk


def find_key(desk: Desk, place: int = 1) -> KeyView:
    """The maker's key at a place."""
    view = read_key(desk.engine, MAKER, place)
    assert view is not None
    return view


def by_key(line: str, key: str = "akey") -> str:
    """A line that a key of its role signs."""
    return f"{line} signer={key}"


def test_a_key_has_a_place_figures_and_a_nonce_of_its_own() -> None:
    """[KEY-3] [AUTH-2]: it counts from 0 whatever the account has used, and leaves that nonce alone."""
    desk = open_venue()
    desk.must("maker", "place price_ticks=1 nonce=100")
    line = "authorize_key subject=akey scope=3 key_expires_ns=now+5 max_notional_atoms=1 max_delta_atoms=2 "
    desk.must("maker", line + "max_vega_atoms=3 rate_per_minute=4")
    event = desk.events[1]
    assert (EventKind.KEY_AUTHORIZED, MAKER, 1) == (event["kind"], event["account"], event["order_id"])
    expected = KeyView(1, find_address("akey"), 3, desk.now + 5, 1, 2, 3, 4, 0, 0, 0)
    assert [expected] == read_keys(desk.engine, MAKER)
    desk.must("maker", by_key("cancel_all nonce=1"))
    assert (1, 101) == (find_key(desk).nonce, desk.engine.world.accounts[MAKER]["nonce"])
    assert "NONCE_REPLAYED" == refuse(desk, "maker", by_key("cancel_all nonce=1"))
    assert "KEY_UNKNOWN" == refuse(desk, "taker", by_key("cancel_all"))


@pytest.mark.parametrize("scope", KeyScope)
def test_a_scope_lets_through_its_own_commands(scope: KeyScope) -> None:
    """[KEY-2]: of all kinds a bit lets through its own, and no key may do what concerns cash out or keys."""
    desk = open_with_key(f"scope={int(scope)}")
    desk.must("maker", "place price_ticks=1")
    allowed = {line for line in SENT if desk.say("maker", by_key(line)) != Code.KEY_SCOPE}
    assert {line for line, needed in SENT.items() if needed == scope} == allowed


def test_an_active_key_keeps_its_place_nonce_and_minute() -> None:
    """[KEY-3]: authorised again it has new figures and has sent what it has sent, even if it expired."""
    desk = open_with_key("rate_per_minute=2 key_expires_ns=now+1")
    desk.must("maker", "authorize_key subject=bkey", by_key("place price_ticks=1 nonce=7"))
    before = find_key(desk)
    desk.must("maker", "authorize_key after=2 subject=akey scope=5 rate_per_minute=1 key_expires_ns=now+9")
    expected = before._replace(scope=5, rate_per_minute=1, key_expires_ns=desk.now + 9)
    assert expected == find_key(desk)
    assert (7, 1) == (expected.nonce, expected.window_count)
    assert "KEY_RATE" == refuse(desk, "maker", by_key("place"))


def test_a_new_key_takes_the_lowest_free_place_and_no_old_nonce() -> None:
    """[KEY-3]: what revoked keys signed can never be used again, not even by the same key."""
    desk = open_with_key()
    desk.must("maker", "authorize_key subject=bkey", "authorize_key subject=ckey")
    desk.must("maker", by_key("place price_ticks=1 nonce=50"), by_key("cancel nonce=9", "bkey"))
    desk.must("maker", "revoke_key subject=akey")
    assert (EventKind.KEY_REVOKED, 1) == (desk.events[1]["kind"], desk.events[1]["order_id"])
    desk.must("maker", "revoke_key subject=bkey")
    assert [3] == [view.place for view in read_keys(desk.engine, MAKER)]
    desk.must("maker", "authorize_key subject=bkey")
    assert (find_address("bkey"), 50, 0) == find_key(desk)[1:2] + find_key(desk)[8:10]
    assert "NONCE_REPLAYED" == refuse(desk, "maker", by_key("cancel_all nonce=50", "bkey"))
    assert "KEY_UNKNOWN" == refuse(desk, "maker", by_key("cancel_all nonce=51"))
    desk.must("maker", by_key("cancel_all nonce=51", "bkey"))


def test_orders_outlive_the_key_that_sent_them() -> None:
    """[KEY-3]: revoking ends no order."""
    desk = open_with_key()
    desk.must("maker", by_key("place price_ticks=1"), "revoke_key subject=akey")
    assert MAKER == read_order(desk, 1)["account"]


def test_a_minute_begins_with_the_first_command_in_it() -> None:
    """[KEY-4]: two commands from 0 to just before 60 s, then afresh; a nonce too many is used up."""
    desk = open_with_key("rate_per_minute=2 scope=2")
    start = desk.now
    desk.must("maker", by_key("cancel_all nonce=1"), by_key("cancel_all nonce=2 after=59"))
    late = f"time_ns={start}+60*second-1"
    assert "KEY_RATE" == refuse(desk, "maker", by_key(f"cancel_all nonce=3 {late}"))
    assert (3, start, 2) == (find_key(desk)[8:])
    desk.must("maker", by_key("cancel_all nonce=4 after=1"))
    assert (4, start + 60 * 10**9, 1) == (find_key(desk)[8:])
    assert "NONCE_REPLAYED" == refuse(desk, "maker", by_key("cancel_all nonce=4"))
    assert 1 == find_key(desk).window_count


def test_without_a_rate_nothing_is_counted() -> None:
    """[KEY-4]: neither a window nor a count."""
    desk = open_with_key()
    desk.must("maker", *[by_key("cancel_all")] * 3)
    assert (3, 0, 0) == find_key(desk)[8:]


def test_notional_counts_the_larger_side_and_what_is_held() -> None:
    """[KEY-5]: 800 USDC are ten lots of the perpetual; what does not raise W passes even beyond that."""
    desk = open_with_key("max_notional_atoms=800*usdc")
    desk.must("taker", "place side=sell lots=4 price_ticks=32_000")
    desk.must("maker", by_key("place lots=4 price_ticks=32_000"))
    assert "KEY_LIMIT" == refuse(desk, "maker", by_key("place lots=7 price_ticks=1"))
    desk.must("maker", by_key("place lots=6 price_ticks=1"))
    # Up to 14 sold lots leave -10, which is no more than the 10 that the buys may lead to.
    assert "KEY_LIMIT" == refuse(desk, "maker", by_key("place side=sell lots=15 price_ticks=99_999"))
    desk.must("maker", by_key("place side=sell lots=14 price_ticks=99_999"))
    # The account itself is free, and beyond the limit the key may still add what does not raise W.
    desk.must("maker", "place lots=10 price_ticks=1", by_key("place side=sell lots=6 price_ticks=99_999"))
    assert "KEY_LIMIT" == refuse(desk, "maker", by_key("place side=sell lots=5 price_ticks=99_999"))


def test_notional_is_found_before_the_margin_and_after_all_else() -> None:
    """[MATCH-1] [KEY-5]: an order that would also cross, or lack margin, gets the code that comes first."""
    desk = open_with_key("max_notional_atoms=80*usdc")
    desk.must("taker", "place side=sell price_ticks=32_000")
    line = "place lots=100_000 price_ticks=32_000"
    assert "POST_ONLY_WOULD_CROSS" == refuse(desk, "maker", by_key(f"{line} time_in_force=post_only"))
    assert "FILL_OR_KILL_UNFILLABLE" == refuse(desk, "maker", by_key(f"{line} time_in_force=fok"))
    assert "KEY_LIMIT" == refuse(desk, "maker", by_key(line))
    assert "INITIAL_MARGIN_INSUFFICIENT" == refuse(desk, "maker", line)


def test_delta_is_limited_where_the_order_moves_it() -> None:
    """[KEY-5]: with 5 lots long and 3 open to buy, 800 USDC leave 2 to buy and 15 to sell."""
    desk = open_with_key("max_delta_atoms=800*usdc")
    desk.must("taker", "place side=sell lots=5 price_ticks=32_000")
    desk.must("maker", by_key("place lots=8 price_ticks=32_000"))
    assert 5 == find_lots(desk, "maker")
    assert "KEY_LIMIT" == refuse(desk, "maker", by_key("place lots=3 price_ticks=1"))
    desk.must("maker", by_key("place lots=2 price_ticks=1"))
    assert "KEY_LIMIT" == refuse(desk, "maker", by_key("place side=sell lots=16 price_ticks=99_999"))
    desk.must("maker", by_key("place side=sell lots=15 price_ticks=99_999"))


def test_vega_is_no_matter_of_perpetuals() -> None:
    """[KEY-5]: a limit of one atom stops the first option, bought or sold, and no perpetual."""
    desk = open_with_key("max_vega_atoms=1")
    desk.must("maker", by_key("place lots=1_000 price_ticks=32_000"))
    assert "KEY_LIMIT" == refuse(desk, "maker", by_key("place instrument=1 price_ticks=1"))
    assert "KEY_LIMIT" == refuse(desk, "maker", by_key("place instrument=1 side=sell price_ticks=9_999"))
    vega = int(desk.engine.world.instruments[1]["vega_atoms"])
    desk.must("maker", f"authorize_key subject=akey max_vega_atoms=3*{vega}")
    assert "KEY_LIMIT" == refuse(desk, "maker", by_key("place instrument=1 lots=4 price_ticks=1"))
    desk.must("maker", by_key("place instrument=1 lots=3 price_ticks=1"))
    desk.must("maker", by_key("place instrument=1 lots=3 side=sell price_ticks=9_999"))


def test_a_replacement_is_measured_without_what_it_replaces() -> None:
    """[KEY-5] [MATCH-8]: ten lots for eight are ten, not eighteen; a smaller size is not measured at all."""
    desk = open_with_key("max_notional_atoms=800*usdc max_delta_atoms=800*usdc")
    desk.must("maker", "place lots=11 price_ticks=31_000", by_key("replace lots=10 price_ticks=30_000"))
    assert "KEY_LIMIT" == refuse(desk, "maker", by_key("replace lots=11 price_ticks=30_000"))
    desk.must(
        "maker", "authorize_key subject=akey max_delta_atoms=1", by_key("replace lots=9 price_ticks=30_000")
    )


def test_what_waits_and_what_fires_is_not_measured() -> None:
    """[KEY-5]: a key may leave an order that would be too large when it fires."""
    desk = open_with_key("max_notional_atoms=1")
    desk.must("maker", by_key("place_trigger price_ticks=32_000 lots=5 trigger_atoms=81_000*usdc"))
    assert ["TRIGGERED 1", "REST 1: 5@32000"] == move_index(desk, 82_000)


def test_quotes_beyond_a_limit_all_end() -> None:
    """[KEY-5] [QUOTE-3]: both directions are measured, with all lots; then the whole group ends."""
    desk = open_with_key("max_notional_atoms=4_000*usdc")
    desk.must("maker", by_key("set_mmp quantity_limit_lots=5"))
    assert ["REST 1: 9@600", "REST 2: 9@700"] == tell(
        desk, "maker", by_key("mass_quote quotes=1:600:9:700:9")
    )
    desk.must("maker", by_key("set_mmp group=2 quantity_limit_lots=1"))
    # A window of the first group is five lots of 800 USDC; one lot more is too much.
    expected = ["REST 3: 1@500", "CANCELLED 3: 1@500 KEY_LIMIT"]
    assert expected == tell(desk, "maker", by_key("mass_quote group=2 quotes=1:500:1:0:0"))
    assert ["REST 4: 1@500"] == tell(desk, "maker", "mass_quote group=2 quotes=1:500:1:0:0")
    # A quote that keeps its place, or is refused, is no occasion to measure.
    assert ["REDUCED 2: 8@700"] == tell(desk, "maker", by_key("mass_quote quotes=1:600:9:700:8"))
    told = tell(desk, "maker", by_key("mass_quote group=2 quotes=1:500:1:500:1"))
    assert ["QUOTE_REJECTED 0: 1@500 QUOTE_CROSSED"] == told


def test_quotes_are_limited_both_ways() -> None:
    """[KEY-5]: bids may be within the limit of delta and asks not."""
    desk = open_with_key()
    delta = int(desk.engine.world.instruments[1]["delta_atoms"])
    desk.must("maker", f"authorize_key subject=akey max_delta_atoms=4*{delta}", by_key("set_mmp"))
    assert ["REST 1: 4@600", "REST 2: 4@700"] == tell(
        desk, "maker", by_key("mass_quote quotes=1:600:4:700:4")
    )
    expected = ["CANCELLED 2: 4@700 REPLACED", "REST 3: 5@701"]
    expected += ["CANCELLED 1: 4@600 KEY_LIMIT", "CANCELLED 3: 5@701 KEY_LIMIT"]
    assert expected == tell(desk, "maker", by_key("mass_quote quotes=1:600:4:701:5"))


def test_a_key_that_is_used_in_the_batch_that_authorises_it() -> None:
    """Commands applied together know the keys that earlier ones of them made and ended."""
    desk = open_venue()
    lines = [
        "authorize_key subject=akey nonce=1",
        by_key("cancel_all nonce=1"),
        "revoke_key subject=akey nonce=2",
    ]
    commands = [desk.build("maker", line)[0] for line in (*lines, by_key("cancel_all nonce=2"))]
    events = desk.engine.apply(commands)
    results = events["code"][events["kind"] == EventKind.RESULT].tolist()
    assert [Code.OK, Code.OK, Code.OK, Code.KEY_UNKNOWN] == results


def test_keys_and_owners_are_known_after_a_restart(tmp_path: Path) -> None:
    """A snapshot restores who may sign, and the same root."""
    desk = open_with_key()
    desk.must("maker", "create_subaccount", "authorize_key subject=bkey", by_key("cancel_all"))
    position = Position(desk.engine.sequence, bytes(32))
    path = write_snapshot(tmp_path, desk.engine, position, bytes(32))
    engine = Engine(desk.engine.genesis)
    load_snapshot(path, engine)
    assert desk.engine.signers == engine.signers
    assert {MAKER: 2, 3: 1} == {account: len(known) for account, known in engine.signers.items()}
    assert compute_root(desk.engine) == compute_root(engine)


def test_each_figure_of_a_key_moves_the_root() -> None:
    """[STATE-2]: the leaf of an account has its keys, their places, and who owns it."""
    desk = open_with_key("scope=4")
    world = desk.engine.world
    roots = [compute_root(desk.engine)]
    places = [(world.keys[MAKER, 0], name) for name in world.keys.dtype.names or ()]
    places += [(world.accounts[MAKER], name) for name in ("owner", "subaccount", "retired_nonce")]
    for record, name in places:
        record[name] += 1
        roots.append(compute_root(desk.engine))
        record[name] -= 1
    world.keys[MAKER, 1], world.keys[MAKER, 0] = world.keys[MAKER, 0], 0
    roots.append(compute_root(desk.engine))
    assert len(places) + 2 == len(set(roots))


def add_up_greeks(engine: Engine, account: int, underlying: int) -> list[int]:
    """Delta, and what fills could add to it upwards and downwards, and the same of vega, from nothing."""
    world = engine.world
    totals = [0] * 6
    held = world.positions[(world.positions["account"] == account) & (world.positions["lots"] != 0)]
    orders = world.orders[(world.orders["order_id"] != 0) & (world.orders["account"] == account)]
    for place, name in ((0, "delta_atoms"), (3, "vega_atoms")):
        for record in (*held, *orders):
            instrument = world.instruments[record["instrument"]]
            if instrument["underlying"] != underlying:
                continue
            if "order_id" not in record.dtype.names:
                totals[place] += int(record["lots"]) * int(instrument[name])
                continue
            greek = int(instrument[name]) * (1 if record["side"] == Side.BUY else -1)
            totals[place + (1 if greek > 0 else 2)] += int(record["lots"]) * greek
    return totals


@pytest.mark.parametrize("profile", ["main", "tiny"])
def test_the_sums_kept_are_the_sums_from_nothing(profile: str) -> None:
    """[KEY-5]: after random trading delta and vega, held and open, are those of positions and orders."""
    engine = Engine(make_genesis(profile))
    engine.apply(list_commands(11, 1_500, profile))
    names = [f"{greek}_{part}atoms" for greek in ("delta", "vega") for part in ("", "up_", "down_")]
    seen = 0
    for account in range(len(engine.addresses)):
        for underlying in range(len(engine.genesis.underlyings)):
            portfolio = engine.world.portfolios[account, underlying]
            expected = add_up_greeks(engine, account, underlying)
            assert expected == [int(portfolio[name]) for name in names]
            seen += any(expected)
    assert seen > 3
