"""The replayer's reading of mass quotes, protection and their margin, by hand and by brute force."""

import random
from itertools import product

import numpy as np
import pytest

from novate.protocol.generated.codes import Code, CommandKind, InstrumentKind, Side, TimeInForce
from novate.protocol.generated.constants import GROSS_LOTS_MAX, QUOTE_COUNT_MAX, SCENARIO_COUNT
from novate.verification.protection import NEVER_NS, compute_capacity
from novate.verification.risk import (
    compute_group,
    compute_summary,
    find_portfolio,
    recompute_portfolio,
    sum_least,
)
from novate.verification.state import Portfolio
from tests.verification.replay_desk import (
    DAY,
    MAKER,
    STRANGER,
    TAKER,
    Desk,
)
from tests.verification.small_genesis import SECOND, START_S

MONTH_NS = START_S * SECOND + 30 * DAY
CALL, PUT, PERPETUAL, FUTURE, _ = InstrumentKind
BUY, SELL = Side
LOW, HIGH, PUTS, SWAP = 0, 1, 2, 3


@pytest.fixture
def desk() -> Desk:
    """Two calls, a put and the perpetual, marked, and the maker's group 1 with a limit of ten lots."""
    desk = Desk()
    desk.open()
    desk.add(CALL, 80_000_000_000, MONTH_NS)
    desk.add(CALL, 90_000_000_000, MONTH_NS)
    desk.add(PUT, 80_000_000_000, MONTH_NS)
    desk.add(PERPETUAL)
    desk.report()
    desk.draw(MONTH_NS)
    desk.tick()
    desk.protect()
    return desk


def take(desk: Desk, side: Side, lots: int, price_ticks: int, instrument: int = LOW) -> None:
    """The taker crosses the spread."""
    desk.place(TAKER, instrument, side, lots, price_ticks, time_in_force=TimeInForce.IOC)


def held(desk: Desk, signer: bytes, instrument: int = LOW) -> int:
    """Lots held."""
    position = desk.account(signer).holdings[0].get(instrument)
    return position.lots if position else 0


@pytest.mark.parametrize(
    "figures",
    [
        {"group": 0},
        {"group": 5},
        {"underlying": 2},
        {"underlying": -1},
        {"window_ns": 999_999},
        {"window_ns": 3_600 * SECOND + 1},
        {"frozen_ns": -1},
        {"frozen_ns": DAY + 1},
        {"quantity_limit_lots": 0},
        {"quantity_limit_lots": GROSS_LOTS_MAX + 1},
        {"delta_limit_atoms": -1},
        {"vega_limit_atoms": 2**60 + 1},
    ],
)
def test_groups_have_lawful_figures(desk: Desk, figures: dict[str, int]) -> None:
    """[MMP-1]: each figure has its range, and the ends of the ranges are allowed."""
    desk.protect(Code.GROUP_INVALID, **figures)
    edges = {"window_ns": 1_000_000, "frozen_ns": DAY, "delta_limit_atoms": 2**60}
    desk.protect(group=4, quantity_limit_lots=GROSS_LOTS_MAX, **edges)


def test_a_mass_quote_must_be_well_formed(desk: Desk) -> None:
    """[QUOTE-1]: 1 to 128 quotes, strictly ascending, of a group that was set."""
    quote = (LOW, 100, 1, 200, 1)
    desk.quote(expected=Code.COMMAND_MALFORMED)
    desk.quote(quote, quote, expected=Code.COMMAND_MALFORMED)
    desk.quote((HIGH, 1, 1, 2, 1), quote, expected=Code.COMMAND_MALFORMED)
    many = tuple((number, 1, 1, 2, 1) for number in range(QUOTE_COUNT_MAX + 1))
    desk.quote(*many, expected=Code.COMMAND_MALFORMED)
    for group in (0, 2, 5):
        desk.quote(quote, expected=Code.GROUP_INVALID, group=group)
    assert [] == desk.quotes()
    desk.quote(quote)
    assert [(LOW, BUY, 100, 1), (LOW, SELL, 200, 1)] == desk.quotes()


def test_a_quote_keeps_its_place_or_is_replaced(desk: Desk) -> None:
    """[QUOTE-2]: the same price and no more lots keep id and slot; anything else ends the old one."""
    desk.quote((LOW, 100, 5, 200, 5))
    bid, ask = desk.state.orders.values()
    desk.quote((LOW, 100, 3, 200, 6))
    assert (3, 3) == (bid.lots, bid.visible_lots)
    assert bid.order_id in desk.state.orders
    assert ask.order_id not in desk.state.orders
    assert [(LOW, BUY, 100, 3), (LOW, SELL, 200, 6)] == desk.quotes()
    desk.quote((LOW, 100, 0, 201, 6))
    assert [(LOW, SELL, 201, 6)] == desk.quotes()
    desk.quote((LOW, 0, 0, 0, 0), (99, 0, 0, 0, 0))
    assert [] == desk.quotes()
    assert {} == desk.account(MAKER).holdings[0], "No lots and no quotes: no position record."


@pytest.mark.parametrize(
    "item",
    [
        (99, 1, 1, 2, 0),
        (-1, 1, 1, 2, 0),
        (SWAP, 1, 1, 2, 0),
        (HIGH, 1, -1, 2, 0),
        (HIGH, 1, 1_048_577, 2, 0),
        (HIGH, 0, 1, 2, 0),
        (HIGH, 262_144, 1, 2, 0),
        (HIGH, 7, 1, 7, 1),
    ],
)
def test_a_refused_side_leaves_the_rest_alone(desk: Desk, item: tuple[int, ...]) -> None:
    """[QUOTE-2]: QUOTE_REJECTED concerns one side; order ids are used by quotes that were placed."""
    items = sorted([(LOW, 100, 1, 200, 1), item])
    before = desk.state.next_order_id
    desk.quote(*items)
    assert [(LOW, BUY, 100, 1), (LOW, SELL, 200, 1)] == desk.quotes()
    assert before + 2 == desk.state.next_order_id


def test_a_quote_never_takes(desk: Desk) -> None:
    """[QUOTE-2] [QUOTE-3]: a side that would cross the book, its own account's too, is refused."""
    desk.place(STRANGER, LOW, SELL, 1, 150)
    desk.place(MAKER, HIGH, BUY, 1, 50)
    desk.quote((LOW, 150, 1, 200, 1), (HIGH, 10, 1, 50, 1))
    assert [(LOW, SELL, 200, 1), (HIGH, BUY, 10, 1)] == desk.quotes()


def test_all_quotes_of_the_group_end_if_margin_does_not_suffice(desk: Desk) -> None:
    """[QUOTE-3]: equity below initial margin after the last quote ends the group's quotes and no others."""
    desk.protect(group=2, quantity_limit_lots=GROSS_LOTS_MAX)
    desk.place(MAKER, LOW, BUY, 1, 1)
    desk.quote((LOW, 2, 1, 200, 1))
    desk.quote((LOW, 0, 0, 20_000, 1_000_000), (HIGH, 0, 0, 1, 1_000_000), group=2)
    assert [] == desk.quotes(group=2)
    assert 2 == len(desk.quotes())
    assert 3 == len(desk.state.orders)


def test_not_one_lot_more_than_the_limit_is_filled(desk: Desk) -> None:
    """[MMP-3]: the fill is cut to the capacity, the group trips, its quotes end, and matching goes on."""
    desk.quote((LOW, 100, 8, 200, 8), (HIGH, 1, 1, 201, 8))
    desk.place(STRANGER, LOW, SELL, 5, 200)
    take(desk, Side.BUY, 3, 200)
    group = desk.account(MAKER).groups[1]
    assert (3, desk.time_ns) == (group.filled_lots, group.window_start_ns)
    take(desk, Side.SELL, 4, 100)
    assert (7, desk.instrument(LOW).delta_atoms) == (group.filled_lots, group.delta_atoms)
    take(desk, Side.BUY, 7, 200)
    # Three of the maker's five were let through; the stranger sold the other four.
    assert (-3 + 4 - 3, -4) == (held(desk, MAKER), held(desk, STRANGER))
    assert [] == desk.quotes()
    assert (0, 0, 0, desk.time_ns + 5 * SECOND) == (
        group.filled_lots,
        group.delta_atoms,
        group.window_start_ns,
        group.frozen_until_ns,
    )
    desk.quote((LOW, 100, 1, 0, 0), expected=Code.GROUP_FROZEN)
    desk.time_ns += 5 * SECOND
    desk.quote((LOW, 100, 1, 0, 0))
    desk.seal()


def test_a_window_that_is_over_is_forgotten(desk: Desk) -> None:
    """[MMP-2]: by the next fill, by a mass quote or by a TICK, at its very end; and not before."""
    desk.quote((LOW, 0, 0, 200, 30))
    group = desk.account(MAKER).groups[1]
    order = next(iter(desk.state.orders.values()))
    take(desk, Side.BUY, 6, 200)
    start_ns = desk.time_ns
    desk.tick(start_ns + SECOND - 1)
    assert (6, 4) == (group.filled_lots, compute_capacity(desk.state, order))
    desk.time_ns = start_ns + SECOND
    desk.apply(CommandKind.SEAL, batch=desk.state.batch + 1)
    assert (6, 10) == (group.filled_lots, compute_capacity(desk.state, order))
    take(desk, Side.BUY, 6, 200)
    assert (6, desk.time_ns) == (group.filled_lots, group.window_start_ns)
    desk.tick(desk.time_ns + SECOND)
    assert (0, 0) == (group.filled_lots, group.window_start_ns)
    take(desk, Side.BUY, 6, 200)
    desk.time_ns += SECOND
    desk.quote((LOW, 0, 0, 200, 12))
    assert (0, 0) == (group.filled_lots, group.window_start_ns)
    assert [(LOW, SELL, 200, 12)] == desk.quotes()


def test_a_window_ends_when_its_owner_meets_the_quote(desk: Desk) -> None:
    """[MMP-2]: it is the next maker, although no account trades with itself [MATCH-5]."""
    desk.quote((LOW, 0, 0, 200, 30))
    group = desk.account(MAKER).groups[1]
    take(desk, Side.BUY, 6, 200)
    desk.place(MAKER, LOW, Side.BUY, 1, 200)
    assert 6 == group.filled_lots
    desk.time_ns += SECOND
    desk.place(MAKER, LOW, Side.BUY, 1, 200)
    assert ((0, 0), 24) == ((group.filled_lots, group.window_start_ns), desk.quotes()[0][3])


def test_delta_and_vega_have_limits_of_their_own(desk: Desk) -> None:
    """[MMP-2] [MMP-3]: a sell of a call goes down in both; a limit reached exactly trips; 0 is no limit."""
    desk.tick()
    call = desk.instrument(LOW)
    desk.protect(quantity_limit_lots=100, delta_limit_atoms=4 * call.delta_atoms, frozen_ns=0)
    desk.quote((LOW, 100, 9, 200, 9))
    bid, ask = desk.state.orders.values()
    assert (4, 4) == (compute_capacity(desk.state, bid), compute_capacity(desk.state, ask))
    take(desk, Side.BUY, 3, 200)
    assert (7, 1) == (compute_capacity(desk.state, bid), compute_capacity(desk.state, ask))
    take(desk, Side.BUY, 1, 200)
    assert ([], NEVER_NS) == (desk.quotes(), desk.account(MAKER).groups[1].frozen_until_ns)
    desk.protect(quantity_limit_lots=100, vega_limit_atoms=2 * call.vega_atoms + 1)
    desk.quote((LOW, 100, 9, 200, 9))
    take(desk, Side.SELL, 2, 100)
    assert 2 == len(desk.quotes()), "One atom below the limit is not at the limit."
    take(desk, Side.SELL, 1, 100)
    assert [] == desk.quotes(), "No capacity: no fill, and the group trips."
    assert 2 - 4 == held(desk, MAKER)
    desk.protect(quantity_limit_lots=100, delta_limit_atoms=call.delta_atoms - 1)
    desk.quote((LOW, 100, 9, 200, 9))
    take(desk, Side.SELL, 1, 100)
    assert ([], -2) == (desk.quotes(), held(desk, MAKER))


def test_a_busy_group_keeps_its_figures(desk: Desk) -> None:
    """[MMP-1]: figures change when nothing is quoted, and then the group is thawed."""
    desk.quote((LOW, 100, 1, 0, 0))
    desk.protect(Code.GROUP_BUSY, quantity_limit_lots=3)
    desk.protect(Code.GROUP_INVALID, quantity_limit_lots=0)
    desk.apply(CommandKind.CANCEL_ALL, MAKER, instrument=-1, group=1)
    desk.protect(quantity_limit_lots=1)
    desk.quote((LOW, 100, 2, 0, 0))
    take(desk, Side.SELL, 1, 100)
    desk.quote((LOW, 100, 2, 0, 0), expected=Code.GROUP_FROZEN)
    desk.protect(quantity_limit_lots=1)
    desk.quote((LOW, 100, 2, 0, 0))


def test_the_least_sum_is_that_of_all_ways_to_fill() -> None:
    """[MARGIN-13]: the greedy choice equals the least over every combination of fills within the limit."""
    chance = random.Random(5)
    for _ in range(60):
        lots = [chance.randrange(1, 4) for _ in range(chance.randrange(1, 5))]
        costs = [[min(0, chance.randrange(-9, 4)) for _ in range(3)] for _ in lots]
        limit = chance.randrange(1, 9)
        ways = [w for w in product(*(range(n + 1) for n in lots)) if sum(w) <= limit]
        expected = [
            min(sum(n * row[s] for n, row in zip(way, costs, strict=True)) for way in ways) for s in range(3)
        ]
        found = sum_least(np.array(costs, np.int64), np.array(lots, np.int64), limit)
        assert expected == found.tolist()


def fill_worst(profits: list[int], lots: list[int], limit: int = 10) -> int:
    """The least sum of fills within the limit, lot by lot."""
    every = sorted(profit for profit, open_lots in zip(profits, lots, strict=True) for _ in range(open_lots))
    return sum(min(0, profit) for profit in every[:limit])


def test_margin_of_quotes_is_the_worst_of_one_window(desk: Desk) -> None:
    """[MARGIN-13] [QUOTE-4]: term by term for an account that has nothing but one group's quotes."""
    desk.report(confidence_e6=0)
    desk.tick()
    maker, call, put = desk.account(MAKER), desk.instrument(LOW), desk.instrument(PUTS)
    desk.quote((LOW, 1, 30, 20_000, 7), (PUTS, 0, 0, 1, 40))
    portfolio = find_portfolio(desk.state, maker, 0)
    assert (77, 0, 0, 0) == (
        portfolio.gross_lots,
        portfolio.short_atoms,
        portfolio.worst_atoms,
        portfolio.fill_atoms,
    )
    limits = [(1, call, 1, 30), (-1, call, 20_000, 7), (-1, put, 1, 40)]
    fills = [d * (i.mark_atoms - ticks * 50_000) - i.taker_fee_atoms for d, i, ticks, _ in limits]
    assert (fills[0] > 0, fills[1] > 0, fills[2] < 0) == (True, True, True)
    sums = compute_group(maker.groups[1], portfolio.quotes[1].values())
    assert (10 * fills[2], 10 * 800_000_000, 10 * 800_000_000) == (
        sums.fill_atoms,
        sums.worst_atoms,
        sums.short_atoms,
    )
    lots = [row[3] for row in limits]
    basis = fill_worst([min(0, *(d * profit for profit in i.basis)) for d, i, _, _ in limits], lots)
    assert basis == sums.basis_atoms
    scenarios = [
        fill_worst([d * int(i.row[s]) + fill for (d, i, _, _), fill in zip(limits, fills, strict=True)], lots)
        for s in range(SCENARIO_COUNT)
    ]
    assert scenarios == sums.effects.tolist()
    expected = max(0, -min(scenarios), -10 * fills[2]) - basis
    expected += 10 * 800_000_000 * (30_000 + 50_000) // 10**6
    _, _, initial = compute_summary(desk.state, maker)
    assert expected == initial
    take(desk, Side.SELL, 4, 1)
    sums = compute_group(maker.groups[1], find_portfolio(desk.state, maker, 0).quotes[1].values())
    assert (6 * fills[2], 6 * 800_000_000) == (sums.fill_atoms, sums.short_atoms)


def test_open_orders_alone_may_cost_more_than_any_scenario(desk: Desk) -> None:
    """[MARGIN-8]: O0 counts, because at unchanged prices every order may fill and no scenario says so."""
    perpetual = desk.instrument(SWAP)
    desk.place(MAKER, SWAP, Side.BUY, 10, 33_000)
    desk.place(MAKER, SWAP, Side.SELL, 10, 33_001)
    maker = desk.account(MAKER)
    portfolio = find_portfolio(desk.state, maker, 0)
    assert 10 * (80_000_000 - 33_000 * 2_500 - perpetual.taker_fee_atoms) == portfolio.fill_atoms
    assert portfolio.fill_atoms > int((portfolio.pnl + portfolio.effects).min())


def test_running_sums_are_those_of_their_definition(desk: Desk) -> None:
    """What follows quotes, orders, fills, trips and marks is what they give counted afresh [MARGIN-13]."""
    chance = random.Random(3)
    for step in range(400):
        desk.time_ns += chance.randrange(2) * SECOND
        choice = chance.randrange(6)
        bid, ask = chance.randrange(95, 103), chance.randrange(98, 106)
        item = (chance.randrange(3), bid, chance.randrange(9), ask, chance.randrange(9))
        frozen = desk.time_ns < desk.account(MAKER).groups[1].frozen_until_ns
        if choice < 3:
            desk.quote(item, expected=Code.GROUP_FROZEN if frozen else Code.OK)
        elif choice < 5:
            take(desk, chance.choice(list(Side)), chance.randrange(1, 6), 100, chance.randrange(3))
        elif step % 7 == 0:
            desk.report(80_000_000_000 + chance.randrange(10**9))
            desk.tick()
        compare_sums(desk)
    desk.seal()
    assert held(desk, MAKER) != 0


def compare_sums(desk: Desk) -> None:
    """Every portfolio against its definition."""
    for account in desk.state.accounts:
        afresh = Portfolio(SCENARIO_COUNT)
        recompute_portfolio(afresh, account.holdings[0].values(), desk.state.markets[0])
        running = find_portfolio(desk.state, account, 0)
        for name in (
            "value_atoms",
            "gross_lots",
            "short_atoms",
            "worst_atoms",
            "futures_atoms",
            "fill_atoms",
        ):
            assert getattr(afresh, name) == getattr(running, name), name
        assert afresh.effects.tolist() == running.effects.tolist()
        assert afresh.pnl.tolist() == running.pnl.tolist()
        assert afresh.quotes == running.quotes
