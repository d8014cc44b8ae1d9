"""Block trades: all legs between two accounts who both signed, beside the books, or none.

A lot of the perpetual (0) is worth 80 USDC or 32_000 ticks, one of the call (1) about 638 ticks of 5 cents.
Their fees for a lot are 24_000 and 240_000 atoms for who takes, 8_000 and 80_000 for who makes.
"""

import numpy as np
import pytest

from novate.execution.views import compute_conservation_gap, compute_lots_gap, read_account
from novate.protocol.generated.codes import Code, EventKind
from tests.execution.court import Court
from tests.execution.scenes import find_lots, open_venue, refuse, tell
from tests.law.desk import USDC, Desk, Events

MAKER, TAKER, STRANGER = range(3)
BLOCK = "block_trade subject=taker"
TABLES = ("accounts", "portfolios", "pnl", "effects", "basis_held", "basis_open", "house")


def read_cash(desk: Desk, account: int) -> int:
    """The cash of an account in atoms."""
    return read_account(desk.engine, account).cash_atoms


def read_tables(desk: Desk) -> dict[str, np.ndarray]:
    """What a block may change in two accounts and the house, without the clock and the nonces."""
    tables = {name: getattr(desk.engine.world, name).copy() for name in TABLES}
    positions = desk.engine.world.positions
    tables["positions"] = np.sort(positions[positions["account"] >= 0], order=("account", "instrument"))
    for name in ("nonce", "dirty"):
        tables["accounts"][name] = 0
    for name in ("sequence", "time_ns"):
        tables["house"][name] = 0
    return tables


def found(events: Events, *fields: str) -> list[tuple[int, ...]]:
    """Chosen fields of the fills among events."""
    return [tuple(event[name] for name in fields) for event in events if event["kind"] == EventKind.FILL]


def test_every_leg_is_filled_with_its_fees() -> None:
    """[BLOCK-2]: the maker buys three perpetuals and sells two calls; a fill a leg under one new order id."""
    desk = open_venue()
    desk.must("stranger", "place price_ticks=1")
    desk.must("maker", f"{BLOCK} legs=0:buy:3:32_000/1:sell:2:640")
    assert (Code.OK, MAKER, 2) == tuple(desk.events[0][name] for name in ("code", "account", "order_id"))
    assert [(0, 0, 32_000, 3), (1, 1, 640, 2)] == found(
        desk.events, "instrument", "side", "price_ticks", "lots"
    )
    parties = found(desk.events, "account", "order_id", "maker_account", "maker_order_id")
    assert [(MAKER, 2, TAKER, 2)] * 2 == parties
    fees = found(desk.events, "amount_atoms", "maker_amount_atoms")
    assert [(72_000, 24_000), (480_000, 160_000)] == fees
    premium = 2 * 32 * USDC
    assert 1_000_000 * USDC + premium - 552_000 == read_cash(desk, MAKER)
    assert 1_000_000 * USDC - premium - 184_000 == read_cash(desk, TAKER)
    house = desk.engine.world.house[0]
    # A quarter of each leg's fees, 24_000 and 160_000, is the insurance fund's.
    assert (184_000, 552_000) == (house["insurance_atoms"], house["fees_atoms"])
    assert [(3, -2), (-3, 2)] == [
        tuple(find_lots(desk, who, i) for i in (0, 1)) for who in ("maker", "taker")
    ]
    assert (0, 0) == (compute_conservation_gap(desk.engine), compute_lots_gap(desk.engine))
    assert ["REST 3: 1@1"] == tell(desk, "stranger", "place price_ticks=1")


def test_nobody_gets_a_rebate_for_a_block() -> None:
    """[BLOCK-2]: a counterparty whose maker rate is negative pays nothing; the account pays as a taker."""
    desk = open_venue()
    desk.must("operator", "set_tier target=0 tier=1", "set_tier target=1 tier=1")
    desk.must("maker", f"{BLOCK} legs=0:buy:10:32_000")
    assert [(160_000, 0)] == found(desk.events, "amount_atoms", "maker_amount_atoms")


def test_books_last_prices_and_protection_do_not_see_a_block() -> None:
    """[BLOCK-2]: no order is met, nothing is the last price, no window counts."""
    desk = open_venue()
    desk.must("maker", "set_mmp", "mass_quote quotes=1:600:1:700:1")
    desk.must("stranger", "place side=sell price_ticks=31_000 link=1", "place price_ticks=2 link=1")
    desk.must("maker", f"{BLOCK} legs=0:buy:1:32_000/1:sell:1:640")
    world = desk.engine.world
    assert [0, 0] == world.instruments["last_ticks"][:2].tolist()
    assert 0 == world.groups[MAKER, 0]["filled_lots"]
    assert 4 == np.count_nonzero(world.orders["order_id"])


def test_what_a_block_closes_is_gone() -> None:
    """[BLOCK-3] [NOVATE-5]: records that hold nothing and have nothing open are free again."""
    desk = open_venue(positions=4)
    desk.must("maker", f"{BLOCK} legs=0:buy:3:32_000/1:buy:1:640")
    assert 0 == desk.engine.world.house[0]["free_position_count"]
    assert "TABLE_FULL" == refuse(desk, "maker", "block_trade subject=stranger legs=0:sell:3:32_000")
    desk.must("taker", "block_trade subject=maker legs=0:buy:3:32_000/1:buy:1:640")
    assert 4 == desk.engine.world.house[0]["free_position_count"]
    desk.must("taker", "place price_ticks=1", "block_trade subject=maker legs=0:buy:1:32_000")
    desk.must("maker", f"{BLOCK} legs=0:buy:1:32_000")
    assert 3 == desk.engine.world.house[0]["free_position_count"]  # The taker's has an open order.


def test_a_reduce_only_order_sees_what_a_block_has_closed() -> None:
    """[BLOCK-2] [ORDER-3]: nothing happens at once, but when it is met there is nothing left to reduce."""
    desk = open_venue()
    desk.must(
        "maker", f"{BLOCK} legs=0:buy:3:32_000", "place side=sell lots=3 price_ticks=32_000 flags=reduce_only"
    )
    desk.must("maker", f"{BLOCK} legs=0:sell:3:32_000")
    told = tell(desk, "stranger", "place lots=1 price_ticks=32_000")
    assert ["CANCELLED 2: 3@32000 REDUCE_ONLY", "REST 4: 1@32000"] == told


@pytest.mark.parametrize("poor", ["account", "counterparty"])
def test_if_one_party_fails_nothing_has_happened(poor: str) -> None:
    """[BLOCK-1]: positions, cash, sums and fees are as they were, whoever fails and whatever it held."""
    desk = open_venue()
    desk.must("pauper", "deposit amount_atoms=100*usdc")
    desk.must("taker", "place lots=5 price_ticks=31_000", "place instrument=1 side=sell price_ticks=650")
    desk.must("maker", f"{BLOCK} legs=0:buy:7:31_111/1:sell:2:633")
    desk.must("taker", "block_trade subject=pauper legs=0:buy:1:32_000")
    before = read_tables(desk)
    actor, other = ("pauper", "taker") if poor == "account" else ("taker", "pauper")
    line = f"block_trade subject={other} legs=0:buy:40:32_001/1:sell:1:640"
    assert "INITIAL_MARGIN_INSUFFICIENT" == refuse(desk, actor, line)
    after = read_tables(desk)
    assert [] == [name for name, table in before.items() if not np.array_equal(table, after[name])]


def test_the_fees_count_before_the_margin() -> None:
    """[BLOCK-1]: a lot needs 18 % of 80 USDC and leaves 24_000 atoms with the house, to the atom."""
    for usdc_atoms, code in ((14_424_000, Code.OK), (14_423_999, Code.INITIAL_MARGIN_INSUFFICIENT)):
        desk = open_venue()
        desk.must("pauper", f"deposit amount_atoms={usdc_atoms}")
        assert code == desk.say("pauper", "block_trade subject=taker legs=0:buy:1:32_000")


def test_the_accounts_nonce_is_used_up_if_the_counterparty_is_refused() -> None:
    """[BLOCK-1] [AUTH-3]: and both are if only the legs are wrong."""
    desk = open_venue()
    nonces = desk.engine.world.accounts["nonce"]
    assert "KEY_UNKNOWN" == refuse(desk, "maker", f"{BLOCK} cosigner=stranger nonce=5 legs=0:buy:1:32_000")
    assert [5, 0] == nonces[:2].tolist()
    assert "COMMAND_MALFORMED" == refuse(desk, "maker", f"{BLOCK} nonce=6 counter_nonce=9")
    assert [6, 9] == nonces[:2].tolist()
    line = "block_trade subject=maker nonce=7 counter_nonce=7 legs=0:buy:1:32_000"
    assert "NONCE_REPLAYED" == refuse(desk, "maker", line)
    line = "block_trade subject=maker nonce=8 counter_nonce=9 legs=0:buy:1:32_000"
    assert "BLOCK_INVALID" == refuse(desk, "maker", line)


def test_sixteen_legs_are_the_most() -> None:
    """[BLOCK-1]: of 17 in order the number is wrong, of 16 the one that is not listed."""
    desk = open_venue()
    legs = "/".join(f"{number}:buy:1:1" for number in range(17))
    assert "COMMAND_MALFORMED" == refuse(desk, "maker", f"{BLOCK} legs={legs}")
    legs = "/".join(f"{number}:buy:1:638" for number in range(1, 17))
    assert "INSTRUMENT_NOT_FOUND" == refuse(desk, "maker", f"{BLOCK} legs={legs}")


def test_gross_lots_are_limited_for_both() -> None:
    """[BLOCK-1] [MARGIN-9]: with all legs of an underlying together, for the account and the counterparty."""
    desk = open_venue()
    desk.must("operator", "list underlying=eth instrument_kind=perpetual strike_atoms=0 expiry_ns=0")
    desk.must("oracle", "index underlying=eth index_atoms=usdc", "tick")
    desk.must("taker", *["place instrument=eth_perpetual lots=ORDER_LOTS_MAX price_ticks=1"] * 16)
    for actor, other in (("maker", "taker"), ("taker", "maker")):
        line = f"block_trade subject={other} legs=eth_perpetual:buy:1:10"
        assert "GROSS_LIMIT" == refuse(desk, actor, line)


def test_a_leg_ends_with_its_instrument() -> None:
    """[BLOCK-1]: not traded from its expiry on, even before the TICK that settles it."""
    desk = open_venue()
    assert "INSTRUMENT_CLOSED" == refuse(desk, "maker", f"{BLOCK} after=30*86_400 legs=1:buy:0:0")


def test_neither_party_may_be_in_liquidation() -> None:
    """[LIQ-10] [BLOCK-1]: whichever side it is on, before anything of the legs is looked at."""
    court = Court()
    court.deal("debtor", "maker", 10, 80)
    court.mark(70)
    assert (1, 1) == court.stage()
    assert "IN_LIQUIDATION" == refuse(court, "debtor", f"{BLOCK} legs=9:9:0:0")
    assert "IN_LIQUIDATION" == refuse(court, "taker", "block_trade subject=debtor legs=9:9:0:0")


def test_each_side_is_measured_by_its_own_key() -> None:
    """[KEY-5]: two lots are 160 USDC; a key of either side may stop them, the other's limit does not."""
    desk = open_venue()
    desk.must("maker", "authorize_key subject=akey max_notional_atoms=159*usdc")
    desk.must("taker", "authorize_key subject=bkey max_notional_atoms=160*usdc")
    line = f"{BLOCK} legs=0:buy:2:32_000"
    assert "KEY_LIMIT" == refuse(desk, "maker", f"{line} signer=akey")
    assert "KEY_LIMIT" == refuse(desk, "taker", "block_trade subject=maker cosigner=akey legs=0:buy:2:32_000")
    desk.must("maker", f"{line} cosigner=bkey")
    # W of the taker may not grow any more, but fall.
    assert "KEY_LIMIT" == refuse(desk, "maker", f"{line} cosigner=bkey".replace(":2:", ":1:"))
    desk.must("taker", "place side=sell price_ticks=99_999")
    desk.must("maker", f"{line} cosigner=bkey".replace("buy", "sell"))


def test_delta_is_limited_in_the_direction_in_which_the_legs_move_it() -> None:
    """[KEY-5]: legs together; with 800 USDC, the maker at 10 lots long may sell and may not buy."""
    desk = open_venue()
    desk.must("maker", "authorize_key subject=akey max_delta_atoms=800*usdc")
    delta = int(desk.engine.world.instruments[1]["delta_atoms"])
    assert 400 * USDC < delta < 420 * USDC  # At the money, of 800 USDC.
    desk.must("maker", f"{BLOCK} signer=akey legs=0:buy:10:32_000")
    assert "KEY_LIMIT" == refuse(desk, "maker", f"{BLOCK} signer=akey legs=0:buy:1:32_000")
    assert "KEY_LIMIT" == refuse(desk, "maker", f"{BLOCK} signer=akey legs=0:sell:5:32_000/1:buy:1:638")
    desk.must("maker", f"{BLOCK} signer=akey legs=0:sell:6:32_000/1:buy:1:638")
    # An order that is open to buy counts when the legs buy, and not when they sell.
    desk.must("maker", "place lots=50 price_ticks=1", f"{BLOCK} signer=akey legs=0:sell:1:32_000")
    assert "KEY_LIMIT" == refuse(desk, "maker", f"{BLOCK} signer=akey legs=0:buy:1:32_000")


def test_vega_of_the_legs_counts_together() -> None:
    """[KEY-5]: a limit of one lot's vega lets one call be bought and none more, but sold two."""
    desk = open_venue()
    vega = int(desk.engine.world.instruments[1]["vega_atoms"])
    desk.must("maker", f"authorize_key subject=akey max_vega_atoms={vega}")
    desk.must("maker", f"{BLOCK} signer=akey legs=0:buy:100:32_000/1:buy:1:638")
    assert "KEY_LIMIT" == refuse(desk, "maker", f"{BLOCK} signer=akey legs=1:buy:1:638")
    assert "KEY_LIMIT" == refuse(desk, "maker", f"{BLOCK} signer=akey legs=1:sell:3:638")
    desk.must("maker", f"{BLOCK} signer=akey legs=1:sell:2:638")
