"""Futures, the settlement window, Greeks and funding, at a small venue. [FUT-1] to [FUT-3], [FUND-1],
[FUND-2], [MARK-5], [GREEK-1]
"""

from itertools import pairwise

import pytest

from novate.execution.views import (
    compute_conservation_gap,
    compute_lots_gap,
    read_account,
    read_instrument_state,
    read_positions,
)
from novate.protocol.generated.codes import EventKind
from novate.protocol.generated.constants import NO_MARK_ATOMS
from novate.protocol.generated.tables import DAMPING_E6, MOVE_E6
from tests.execution.scenes import find_lots, open_venue, tell
from tests.law.desk import SOON_NS, START_NS, USDC, Desk

PERPETUAL, CALL, FUTURE = 0, 1, 2
LOTS_PER_UNIT = 1000
WINDOW_AFTER = 30 * 86_400 - 1_800  # Seconds from the desk's start to half an hour before the expiry.
DEADBAND_E9, CAP_E9 = 250_000, 5_000_000
FUNDING_PERIOD_MS = 28_800_000


def open_futures() -> Desk:
    """A venue with a perpetual, a call and a future of the call's series, all of them marked."""
    desk = open_venue()
    desk.must("operator", "list instrument_kind=future strike_atoms=0")
    desk.must("oracle", "index after=1", "tick")
    return desk


def trade(desk: Desk, number: int, lots: int, price_ticks: int) -> None:
    """Let the taker buy from the maker."""
    for role, side in (("maker", "sell"), ("taker", "buy")):
        desk.must(role, f"place instrument={number} side={side} lots={lots} price_ticks={price_ticks}")


def read_cash(desk: Desk, account: int) -> int:
    return read_account(desk.engine, account).cash_atoms


def test_a_future_is_sized_like_the_perpetual_and_shares_the_options_series() -> None:
    """[FUT-1]: lots and ticks of the perpetual, series and name of its expiry, the forward's mark."""
    desk = open_futures()
    perpetual, call, future = desk.engine.instruments
    assert (perpetual.lots_per_unit, perpetual.tick_atoms) == (future.lots_per_unit, future.tick_atoms)
    assert (call.series, call.expiry_ns) == (future.series, future.expiry_ns)
    assert call.name.rpartition("-80000-C")[0] == future.name
    desk.must("oracle", "surface after=1 forward_atoms=80_123*usdc+456_789", "tick")
    assert 80_123_456_789 // LOTS_PER_UNIT == read_instrument_state(desk.engine, FUTURE).mark_atoms
    desk.must("oracle", "index after=1 index_atoms=40_000*usdc", "tick")
    half = read_instrument_state(desk.engine, FUTURE)
    assert (80_123_456_789 // 2, half.forward_atoms // LOTS_PER_UNIT) == (half.forward_atoms, half.mark_atoms)


def test_a_future_without_a_surface_has_no_mark() -> None:
    """[FUT-1]: nobody trades what the oracles have not priced."""
    desk = open_venue(series=3)
    desk.must("operator", "list instrument_kind=future strike_atoms=0 expiry_ns=late")
    desk.must("oracle", "tick")
    assert NO_MARK_ATOMS == read_instrument_state(desk.engine, FUTURE).mark_atoms


def test_rows_and_greeks_of_a_future() -> None:
    """[FUT-2] [GREEK-1]: moves of the mark, damped; one per cent of it either way; a delta of the mark."""
    desk = open_futures()
    world, mark = desk.engine.world, read_instrument_state(desk.engine, FUTURE).mark_atoms
    rows = [mark * int(m) // 10**6 * int(d) // 10**6 for m, d in zip(MOVE_E6, DAMPING_E6, strict=True)]
    assert rows == world.rows[FUTURE].tolist()
    assert [-mark // 100, mark // 100] == world.basis_rows[FUTURE].tolist()
    assert (mark, 0) == tuple(world.instruments[name][FUTURE] for name in ("delta_atoms", "vega_atoms"))
    assert [0, 0] == world.basis_rows[PERPETUAL].tolist()
    assert mark == int(world.instruments["delta_atoms"][PERPETUAL])


def test_a_future_against_the_perpetual_carries_basis_margin_only() -> None:
    """Long one and short the other: no scan, but the forward may leave the index by a per cent."""
    desk = open_futures()
    trade(desk, FUTURE, 10, 32_000)
    desk.must("taker", f"place instrument={PERPETUAL} side=sell lots=10 price_ticks=32_000")
    desk.must("maker", f"place instrument={PERPETUAL} side=buy lots=10 price_ticks=32_000")
    notional = 10 * 80 * USDC
    expected = 2 * notional * 20_000 // 10**6 + notional // 100
    assert expected == read_account(desk.engine, 1).initial_margin_atoms


def test_a_future_pays_the_difference_to_its_entry_at_expiry() -> None:
    """[FUT-3]: lots * payoff - cost, with the time-weighted index of the last half hour; nothing is lost."""
    desk = open_futures()
    trade(desk, FUTURE, 10, 32_100)
    before = [read_cash(desk, account) for account in (0, 1)]
    desk.must("maker", f"place instrument={FUTURE} side=buy lots=1 price_ticks=1")
    desk.must("oracle", f"index after={WINDOW_AFTER - 1} index_atoms=81_000*usdc")
    desk.must("oracle", "index after=900 index_atoms=82_000*usdc", "index after=900")
    told = tell(desk, "oracle", "tick")
    assert 1 == told.count("CANCELLED 3: 1@1 INSTRUMENT_EXPIRED")
    settled = {
        event["account"]: event["amount_atoms"]
        for event in desk.events
        if (event["kind"], event["instrument"]) == (EventKind.SETTLED, FUTURE)
    }
    gain = 10 * (81_500 * USDC // LOTS_PER_UNIT - 32_100 * 2_500)
    assert {0: -gain, 1: gain} == settled
    assert [before[0] - gain, before[1] + gain] == [read_cash(desk, account) for account in (0, 1)]
    assert [] == read_positions(desk.engine, 1)
    assert (0, 0) == (compute_conservation_gap(desk.engine), compute_lots_gap(desk.engine))


def enter_window(desk: Desk, seconds: int) -> None:
    """Go so many seconds into the settlement window, with the index at 80_000 from its beginning."""
    desk.must("oracle", f"index after={WINDOW_AFTER - 1}", f"index after={seconds}", "tick")


def test_a_known_part_of_the_settlement_price_no_longer_moves() -> None:
    """[MARK-5]: a quarter of the window before its end, three quarters of the price are fixed: a move of the
    index moves the future by a quarter, and its rows are a quarter of what they were.
    """
    desk = open_futures()
    enter_window(desk, 1350)
    state = read_instrument_state(desk.engine, FUTURE)
    assert 80_000 * USDC // LOTS_PER_UNIT == state.mark_atoms
    desk.must("oracle", "index index_atoms=84_000*usdc observed_ns=now+1", "tick")
    moved = read_instrument_state(desk.engine, FUTURE)
    # The growth since the surface is a binary fraction rounded down, so the forward lacks one atom.
    forward = 84_000 * USDC - 1
    assert (60_000 * USDC + forward // 4, 80_999_999) == (moved.forward_atoms, moved.mark_atoms)
    moving = forward // 4 // LOTS_PER_UNIT
    rows = [moving * int(m) // 10**6 * int(d) // 10**6 for m, d in zip(MOVE_E6, DAMPING_E6, strict=True)]
    assert rows == desk.engine.world.rows[FUTURE].tolist()
    assert [-moving // 100, moving // 100] == desk.engine.world.basis_rows[FUTURE].tolist()
    assert abs(moving - moved.delta_atoms) <= 50  # A hundredth of it was rounded down, twice.


def test_an_option_calms_down_inside_the_window() -> None:
    """[MARK-5]: as the window passes at an unchanged index, the call's mark, vega and worst row shrink, to
    nothing at its end.
    """
    desk = open_futures()
    enter_window(desk, 1)
    figures = []
    for _ in range(6):
        state = read_instrument_state(desk.engine, CALL)
        worst = -int(desk.engine.world.rows[CALL].min())
        figures.append((state.mark_atoms, state.vega_atoms, state.total_volatility_x48, worst))
        desk.must("oracle", "index after=300", "tick")
    for earlier, later in pairwise(figures):
        assert all(new < old for old, new in zip(earlier, later, strict=True))
    assert int(EventKind.EXPIRED) in {event["kind"] for event in desk.events}


def test_marks_move_at_every_tick_inside_the_window() -> None:
    """[MARK-1]: time alone moves a mark there, so a TICK marks without a new index; before, it does not."""
    desk = open_futures()
    desk.must("oracle", f"index after={WINDOW_AFTER - 2}", "tick")
    assert "" == said(desk, "tick after=0")
    for _ in range(3):
        assert "MARKED" == said(desk, "tick after=1")


def said(desk: Desk, line: str) -> str:
    desk.must("oracle", line)
    return desk.name_events()


def test_vega_is_the_value_of_one_point_of_volatility() -> None:
    """[GREEK-1]: at the money thirty days before expiry, about forward * density * sqrt(t) / 100 a lot; the
    put's is the call's, and their deltas differ by a lot's forward.
    """
    desk = open_venue()
    desk.must("operator", "list instrument_kind=put")
    desk.must("oracle", "index after=1", "tick")
    call, put = (read_instrument_state(desk.engine, number) for number in (1, 2))
    expected = 800 * USDC * 0.3989 * (30 / 365) ** 0.5 / 100
    assert abs(call.vega_atoms - expected) < 0.01 * expected
    assert abs(call.vega_atoms - put.vega_atoms) <= 1
    assert abs(call.delta_atoms - put.delta_atoms - 800 * USDC) <= 100
    assert 0.45 * 800 * USDC < call.delta_atoms < 0.6 * 800 * USDC


def quote_impact(desk: Desk, bid: int, ask: int) -> None:
    """Let a stranger show the impact size on both sides of the perpetual."""
    desk.must("stranger", f"place instrument=0 side=buy lots=100 price_ticks={bid}")
    desk.must("stranger", f"place instrument=0 side=sell lots=100 price_ticks={ask}")


def tick_after(desk: Desk, seconds: int) -> int:
    """Let time pass, renew the index, tick, and return what one long lot has paid."""
    desk.must("oracle", f"index after={seconds}", "tick")
    funded = [event for event in desk.events if event["kind"] == EventKind.FUNDED]
    assert all(event["instrument"] == PERPETUAL for event in funded)
    return sum(event["amount_atoms"] for event in funded)


@pytest.mark.parametrize(
    ("bid", "ask", "premium_e9"),
    [
        (32_100, 32_200, 3_125_000),  # Longs pay: 0.3125 per cent above the mark.
        (31_800, 31_900, -3_125_000),
        (31_900, 32_100, 0),
        (32_005, 32_100, 156_250),  # Within the deadband.
        (34_000, 34_100, CAP_E9),
        (30_000, 30_100, -CAP_E9),
    ],
)
def test_an_hour_of_funding(bid: int, ask: int, premium_e9: int) -> None:
    """[FUND-1] [FUND-2]: the premium, capped, less the deadband, for an eighth of the period; what the long
    pays the short receives.
    """
    desk = open_venue()
    trade(desk, PERPETUAL, 10, 32_000)
    quote_impact(desk, bid, ask)
    cash = [read_cash(desk, account) for account in (0, 1)]
    rate = max(0, abs(premium_e9) - DEADBAND_E9) * (1 if premium_e9 > 0 else -1)
    due = 80 * USDC * rate // 10**9 // 8
    assert due == tick_after(desk, 3600)
    assert rate == read_instrument_state(desk.engine, PERPETUAL).funding_rate_e9
    assert [cash[0] + 10 * due, cash[1] - 10 * due] == [read_cash(desk, account) for account in (0, 1)]
    assert 0 == compute_conservation_gap(desk.engine)


def test_a_step_is_at_most_an_hour() -> None:
    """A venue that slept a day funds one hour of it."""
    desk = open_venue()
    quote_impact(desk, 32_100, 32_200)
    assert 80 * USDC * 2_875_000 // 10**9 // 8 == tick_after(desk, 86_400)


def test_no_fraction_is_lost() -> None:
    """Ninety odd steps pay what one step as long pays, because less than an atom stays accrued."""
    desk = open_venue()
    quote_impact(desk, 32_100, 32_200)
    paid = sum(tick_after(desk, 7) for _ in range(90))
    accrual = read_instrument_state(desk.engine, PERPETUAL).funding_accrual
    assert 0 <= accrual < FUNDING_PERIOD_MS
    assert 80 * USDC * 2_875_000 // 10**9 * 630_000 == paid * FUNDING_PERIOD_MS + accrual


def test_a_side_that_is_too_thin_has_no_impact_price() -> None:
    """99 lots are not 100: no premium. Hidden lots do not count, those of deeper levels do."""
    desk = open_venue()
    desk.must("stranger", "place instrument=0 side=buy lots=99 price_ticks=32_200")
    tick_after(desk, 10)
    assert 0 == read_instrument_state(desk.engine, PERPETUAL).funding_rate_e9
    desk.must("stranger", "place instrument=0 side=buy lots=9 display_lots=1 price_ticks=32_150")
    desk.must("stranger", "cancel", "place instrument=0 side=buy lots=5 display_lots=1 price_ticks=32_100")
    desk.must("stranger", "place instrument=0 side=buy lots=5 display_lots=4 price_ticks=32_064")
    tick_after(desk, 10)
    expected = (32_100 - 32_000) * 10**9 // 32_000 - DEADBAND_E9
    assert expected == read_instrument_state(desk.engine, PERPETUAL).funding_rate_e9


def test_a_stale_index_stops_funding() -> None:
    """[FUND-2]: while the underlying is stale nothing accrues, and the time is not made up for later."""
    desk = open_venue()
    quote_impact(desk, 32_100, 32_200)
    tick_after(desk, 10)
    before = read_instrument_state(desk.engine, PERPETUAL)
    desk.must("oracle", "tick after=61")
    after = read_instrument_state(desk.engine, PERPETUAL)
    assert before._replace(funded_ns=after.funded_ns) == after
    desk.must("oracle", "index", "tick")
    assert after == read_instrument_state(desk.engine, PERPETUAL)


def test_the_desk_starts_thirty_days_before_the_expiry() -> None:
    """The seconds that this file counts with are the desk's."""
    assert (WINDOW_AFTER + 1800) * 10**9 == SOON_NS - START_NS
    assert 0 == find_lots(open_venue(), "taker")
