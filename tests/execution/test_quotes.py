"""Mass quotes and market-maker protection, told by their events. [MMP-1] to [MMP-3], [QUOTE-1] to [QUOTE-4],
[MARGIN-13]
"""

import pytest

from novate.execution.views import compute_conservation_gap, read_account, read_groups, read_positions
from novate.protocol.generated.codes import Code, EventKind, Side
from tests.execution.scenes import find_lots, open_venue, refuse, tell
from tests.law.desk import SECOND, Desk

CALL, PUT, FUTURE = 1, 2, 3
MAKER = 0


def open_quoting(figures: str = "", deposit: str = "") -> Desk:
    """A venue with a call, a put and a future, at which the maker has set up group 1: ten lots a second."""
    desk = open_venue()
    desk.must("operator", "list instrument_kind=put", "list instrument_kind=future strike_atoms=0")
    desk.must("oracle", "index after=1", "tick")
    if deposit:
        desk.must("pauper", f"deposit amount_atoms={deposit}", f"set_mmp {figures}")
    desk.must("maker", f"set_mmp {figures}")
    return desk


def test_each_side_keeps_its_place_or_is_replaced() -> None:
    """The same price and no more lots: it stays, and is reduced if the size fell. Anything else ends it, and
    the new side is placed under a new number; 0 lots end a side for good.
    """
    desk = open_quoting()
    assert ["REST 1: 5@600", "REST 2: 5@700"] == tell(desk, "maker", "mass_quote quotes=1:600:5:700:5")
    assert [] == tell(desk, "maker", "mass_quote quotes=1:600:5:700:5")
    assert ["REDUCED 1: 3@600"] == tell(desk, "maker", "mass_quote quotes=1:600:3:700:5")
    assert [
        "CANCELLED 1: 3@600 REPLACED",
        "CANCELLED 2: 5@700 REPLACED",
        "REST 3: 4@600",
        "REST 4: 5@690",
    ] == (tell(desk, "maker", "mass_quote quotes=1:600:4:690:5"))
    assert ["CANCELLED 4: 5@690 REPLACED"] == tell(desk, "maker", "mass_quote quotes=1:600:4:0:0")
    (group,) = read_groups(desk.engine, MAKER)
    assert (1, 4) == (group.quote_count, group.open_lots)


def test_a_quote_that_is_not_named_stays() -> None:
    """A MASS_QUOTE touches the instruments that it names, and no other group."""
    desk = open_quoting()
    desk.must("maker", "set_mmp group=2")
    assert 2 == len(tell(desk, "maker", "mass_quote quotes=1:600:5:0:0/2:600:5:0:0"))
    assert ["REST 3: 1@600"] == tell(desk, "maker", "mass_quote group=2 quotes=1:600:1:0:0")
    assert ["CANCELLED 2: 5@600 REPLACED"] == tell(desk, "maker", "mass_quote quotes=2:0:0:0:0")
    assert [1, 1] == [group.quote_count for group in read_groups(desk.engine, MAKER)]


@pytest.mark.parametrize(
    ("quote", "codes"),
    [
        ("9:1:1:2:1", ["INSTRUMENT_NOT_FOUND"] * 2),
        ("-1:1:1:2:1", ["INSTRUMENT_NOT_FOUND"] * 2),
        ("0:32000:1:32001:1", ["ORDER_INVALID"] * 2),  # A perpetual.
        ("3:32000:1:32001:1", ["ORDER_INVALID"] * 2),
        ("1:600:1:700:ORDER_LOTS_MAX+1", ["SIZE_ABOVE_MAXIMUM"]),
        ("1:0:1:PRICE_TICKS_MAX+1:1", ["PRICE_NOT_POSITIVE", "PRICE_ABOVE_MAXIMUM"]),
        ("1:600:1:600:1", ["QUOTE_CROSSED"] * 2),
        ("1:5000:1:5001:0", ["PRICE_OUTSIDE_BAND"]),
        ("1:650:1:0:0", ["POST_ONLY_WOULD_CROSS"]),
    ],
)
def test_a_side_is_refused_alone(quote: str, codes: list[str]) -> None:
    """QUOTE_REJECTED names account, instrument, side, price, lots and why; the other quotes are placed."""
    desk = open_quoting()
    desk.must("taker", f"place instrument={CALL} side=sell lots=1 price_ticks=640")
    lines = sorted([quote, f"{PUT}:600:1:700:1"], key=lambda each: int(each.split(":")[0]))
    desk.must("maker", "mass_quote quotes=" + "/".join(lines))
    refused = [event for event in desk.events if event["kind"] == EventKind.QUOTE_REJECTED]
    assert codes == [Code(event["code"]).name for event in refused]
    words = [desk.evaluate(word, "maker") for word in quote.split(":")]
    for event in refused:
        at = 1 if event["side"] == Side.BUY else 3
        assert (MAKER, words[0], *words[at : at + 2]) == tuple(
            event[name] for name in ("account", "instrument", "price_ticks", "lots")
        )
    placed = [event for event in desk.events if event["kind"] == EventKind.REST]
    assert 2 == [event["instrument"] for event in placed].count(PUT)


def test_not_one_lot_more_than_the_limit_is_filled() -> None:
    """Ten lots trip the group: the rest of its quotes end, and the taker's rest goes on to the next maker."""
    desk = open_quoting("quantity_limit_lots=10 frozen_ns=2*second")
    desk.must("maker", "mass_quote quotes=1:600:50:700:50/2:600:50:0:0")
    desk.must("stranger", f"place instrument={CALL} side=sell lots=5 price_ticks=700")
    assert [
        "FILL 5 of 2: 10@700",
        "MMP_TRIPPED 1: 0@0",
        "CANCELLED 1: 50@600 MMP",
        "CANCELLED 2: 40@700 MMP",
        "CANCELLED 3: 50@600 MMP",
        "FILL 5 of 4: 5@700",
        "REST 5: 15@700",
    ] == tell(desk, "taker", f"place instrument={CALL} side=buy lots=30 price_ticks=700")
    (tripped,) = [event for event in desk.events if event["kind"] == EventKind.MMP_TRIPPED]
    assert (MAKER, 1, 0, desk.now + 2 * SECOND) == tuple(
        tripped[name] for name in ("account", "order_id", "instrument", "amount_atoms")
    )
    assert "GROUP_FROZEN" == refuse(desk, "maker", "mass_quote after=1 quotes=1:600:5:0:0")
    assert ["REST 6: 5@600"] == tell(desk, "maker", "mass_quote after=1 quotes=1:600:5:0:0")
    assert 0 == compute_conservation_gap(desk.engine)


def test_a_group_that_is_frozen_for_good_waits_for_new_figures() -> None:
    """frozen_ns of 0 freezes until SET_MMP, which starts afresh."""
    desk = open_quoting("frozen_ns=0")
    desk.must("maker", "mass_quote quotes=1:600:50:700:10")
    desk.must("taker", f"place instrument={CALL} side=buy lots=10 price_ticks=700")
    assert 2**63 - 1 == read_groups(desk.engine, MAKER)[0].frozen_until_ns
    assert "GROUP_FROZEN" == refuse(desk, "maker", "mass_quote after=100_000 quotes=1:600:5:0:0")
    desk.must("maker", "set_mmp")
    desk.must("oracle", "index", "tick")
    assert 1 == len(tell(desk, "maker", "mass_quote quotes=1:600:5:0:0"))


def test_a_new_window_counts_from_zero() -> None:
    """Fills within a second add up; after it the next maker starts afresh, also without a TICK."""
    desk = open_quoting("quantity_limit_lots=10")
    desk.must("maker", "mass_quote quotes=1:600:50:700:50")
    assert 6 == read_fill(desk, 6)
    assert 6 == read_groups(desk.engine, MAKER)[0].filled_lots
    desk.now += SECOND
    assert 6 == read_fill(desk, 6)
    assert 6 == read_groups(desk.engine, MAKER)[0].filled_lots
    assert 4 == read_fill(desk, 6)
    assert 0 == read_groups(desk.engine, MAKER)[0].quote_count


def read_fill(desk: Desk, lots: int) -> int:
    """Let the taker buy at once at 700, and return how many lots were filled."""
    before = find_lots(desk, "taker", CALL)
    desk.must("taker", f"place instrument={CALL} time_in_force=ioc side=buy lots={lots} price_ticks=700")
    return find_lots(desk, "taker", CALL) - before


def test_a_tick_and_a_mass_quote_end_a_window() -> None:
    """The counts of a window that is over become 0 at either, and the state says so."""
    for line, actor in (("tick", "oracle"), ("mass_quote quotes=1:600:50:700:50", "maker")):
        desk = open_quoting("quantity_limit_lots=10")
        desk.must("maker", "mass_quote quotes=1:600:50:700:50")
        assert 3 == read_fill(desk, 3)
        desk.must(actor, line)
        assert 3 == read_groups(desk.engine, MAKER)[0].filled_lots
        desk.must(actor, line + " after=1")
        assert (0, 0) == (read_groups(desk.engine, MAKER)[0].filled_lots,) * 2


@pytest.mark.parametrize("greek", ["delta", "vega"])
def test_a_limit_on_delta_or_vega_cuts_a_fill(greek: str) -> None:
    """Only as many lots are filled as the limit leaves room for, rounded down, and then the group trips."""
    desk = open_quoting()
    per_lot = int(desk.engine.world.instruments[f"{greek}_atoms"][CALL])
    assert per_lot > 0
    desk.must("maker", f"set_mmp quantity_limit_lots=100 {greek}_limit_atoms={7 * per_lot + per_lot // 2}")
    desk.must("maker", "mass_quote quotes=1:600:50:700:50")
    assert 3 == read_fill(desk, 3)
    assert -3 * per_lot == getattr(read_groups(desk.engine, MAKER)[0], f"filled_{greek}_atoms")
    assert 4 == read_fill(desk, 20)
    assert 0 == read_groups(desk.engine, MAKER)[0].quote_count


def test_a_group_with_quotes_keeps_its_figures() -> None:
    """SET_MMP is GROUP_BUSY while one quote is open."""
    desk = open_quoting()
    desk.must("maker", "mass_quote quotes=1:600:1:0:0")
    assert "GROUP_BUSY" == refuse(desk, "maker", "set_mmp")
    desk.must("maker", "cancel_all group=1", "set_mmp quantity_limit_lots=3")
    assert 3 == read_groups(desk.engine, MAKER)[0].quantity_limit_lots


@pytest.mark.parametrize("limit", [1, 4, 50])
@pytest.mark.parametrize("side", ["buy", "sell"])
def test_a_group_asks_margin_for_its_limit_only(limit: int, side: str) -> None:
    """[MARGIN-13]: 50 quoted lots with a limit of n need exactly what a plain order of n lots needs."""
    desk = open_quoting(f"quantity_limit_lots={limit}")
    sizes = "600:50:0:0" if side == "buy" else "0:0:700:50"
    desk.must("maker", f"mass_quote quotes={CALL}:{sizes}")
    price = 600 if side == "buy" else 700
    desk.must("taker", f"place instrument={CALL} side={side} lots={limit} price_ticks={price}")
    quoted, plain = (read_account(desk.engine, account).initial_margin_atoms for account in (0, 1))
    assert quoted == plain > 0
    (position,) = read_positions(desk.engine, MAKER)
    assert (50, 0, 0) == (position.quote_lots, position.open_buy_lots, position.open_sell_lots)
    assert 50 == int(desk.engine.world.portfolios["gross_lots"][MAKER, 0])
    desk.must("oracle", "tick", "index after=1 index_atoms=79_000*usdc", "tick")
    quoted, plain = (read_account(desk.engine, account).initial_margin_atoms for account in (0, 1))
    assert quoted == plain > 0


def test_quotes_that_cannot_be_paid_for_all_end() -> None:
    """[QUOTE-3]: after the last quote the margin is looked at, and then every quote of the group ends."""
    desk = open_quoting("quantity_limit_lots=100", deposit="500*usdc")
    assert ["REST 1: 1@600", "REST 2: 1@700"] == tell(desk, "pauper", "mass_quote quotes=1:600:1:700:1")
    assert [
        "REST 3: 99@600",
        "REST 4: 99@700",
        "CANCELLED 1: 1@600 INITIAL_MARGIN",
        "CANCELLED 2: 1@700 INITIAL_MARGIN",
        "CANCELLED 3: 99@600 INITIAL_MARGIN",
        "CANCELLED 4: 99@700 INITIAL_MARGIN",
    ] == tell(desk, "pauper", "mass_quote quotes=2:600:99:700:99")


def test_everything_is_as_before_when_quotes_have_come_and_gone() -> None:
    """A thousand quotes later no sum of the account is off by an atom."""
    desk = open_quoting()
    before = read_account(desk.engine, MAKER)
    for k in range(50):
        desk.must("maker", f"mass_quote quotes=1:{560 + k}:{5 + k % 3}:700:{1 + k % 7}/2:600:{1 + k % 5}:0:0")
    desk.must("maker", "mass_quote quotes=1:0:0:0:0/2:0:0:0:0")
    after = read_account(desk.engine, MAKER)
    assert before._replace(nonce=after.nonce) == after
    assert [] == read_positions(desk.engine, MAKER)
    assert 0 == int(desk.engine.world.portfolios["gross_lots"][MAKER, 0])
