"""Inputs for the digests of what the law says about portfolios, fees, funding and settlement windows.

Kernels that fill arrays are called through functions that return what they filled.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from novate.protocol import averaging, funding, liquidation, margin, novation, quote_margin, scenarios
from novate.protocol.generated.constants import BASIS_COUNT, SCENARIO_COUNT
from novate.protocol.genesis import PARAMETERS

if TYPE_CHECKING:
    from tests.twins.law_digests import Source

Arguments = tuple[Any, ...]
QUOTES_MAX = 12
INSTRUMENT = np.dtype(
    [(name, np.int64) for name in ("kind", "mark_atoms", "notional_atoms", "taker_fee_atoms", "series")]
)
RATES = {
    "futures_initial_e6": 10**6,
    "short_initial_e6": 10**6,
    "confidence_threshold_e6": 10**6,
    "confidence_rate_e6": 10**6,
    "funding_cap_e9": 5 * 10**7,
    "funding_deadband_e9": 5 * 10**7,
}


def draw_parameters(source: "Source") -> Any:
    """Parameters whose rates are anything in their range."""
    parameters = np.zeros(1, PARAMETERS)
    for name, high in RATES.items():
        parameters[name] = source.pick(0, high)
    return parameters[0]


def draw_moving(source: "Source") -> Arguments:
    """(known, moving, forward) of a settlement price in its window."""
    known, moving = source.pick(0, 2**39 - 1), source.pick(0, 2**39 - 1)
    return known, moving, max(1, known + moving)


def draw_reduced(source: "Source") -> Arguments:
    """A total volatility, the moving part of the forward, the forward."""
    _, moving, forward = draw_moving(source)
    return source.pick(0, 2**53 - 1), moving, forward


def draw_window(source: "Source") -> Arguments:
    """(a sum over the past, milliseconds of it, milliseconds left)."""
    twap_ms, rest_ms = source.randint(0, 1_800_000), source.randint(1, 1_800_000)
    return source.pick(0, 2**40 * 1_800_000), twap_ms, rest_ms


def draw_share(source: "Source") -> Arguments:
    """A premium and the mark that it is a share of."""
    mark = source.pick(1, 2**34)
    return source.pick(-mark, mark), mark


def draw_quotes(source: "Source") -> Arguments:
    """Values and lots of a group's quotes and its limit."""
    count = source.randint(1, QUOTES_MAX)
    width = source.choice((4, 10**6, 2**38 - 1))
    values = np.array([source.pick(-width, width) for _ in range(count)], np.int64)
    lots = np.array([source.randint(1, 2**20) for _ in range(count)], np.int64)
    return values, lots, count, source.randint(0, int(lots.sum()) + 1)


def draw_bound(source: "Source") -> Arguments:
    """Bounds, cuts, a row and a quote."""
    rng = np.random.default_rng(source.getrandbits(63))
    bounds, cuts = -rng.integers(0, 2**61, SCENARIO_COUNT), -rng.integers(0, 2**38, SCENARIO_COUNT)
    row, lots = rng.integers(-(2**37), 2**37, SCENARIO_COUNT), source.randint(-(2**20), 2**20)
    return bounds, cuts, row, source.choice((-1, 1)), source.pick(-(2**37), 2**37), lots


def draw_trade(source: "Source") -> Arguments:
    """A position and a fill of it."""
    position = np.zeros(1, novation.POSITION)[0]
    position["lots"] = source.pick(-(2**24), 2**24)
    position["cost_atoms"] = 0 if position["lots"] == 0 else source.pick(-(2**59), 2**59)
    lots, unit_atoms = source.pick(1, 2**20), source.pick(0, 2**35 - 1)
    return position, source.randint(0, 3), source.choice((-1, 1)), lots, unit_atoms


def draw_loss_share(source: "Source") -> Arguments:
    """A loss, the weight of one closing, and the weight of this and all later ones."""
    weight_left = source.pick(1, 2**48)
    return source.pick(1, 2**59), source.randint(1, weight_left), weight_left


def draw_fee(source: "Source") -> Arguments:
    """Kind, notional and value of a lot, rate and cap."""
    notional, value = source.pick(0, 2**34), source.pick(0, 2**35 - 1)
    return source.randint(0, 3), notional, value, source.pick(0, 10**5), source.pick(0, 10**6)


def draw_maker_fee(source: "Source") -> Arguments:
    """As `draw_fee`, at times a rebate, and what the taker pays."""
    kind, notional, value, rate, cap = draw_fee(source)
    return kind, notional, value, source.choice((-1, 1)) * rate, cap, source.pick(0, 2**34)


def draw_averaged_row(source: "Source") -> Arguments:
    """An option inside its window, without the arrays that it fills."""
    known, moving, forward = draw_moving(source)
    strike = max(1, min(2**40 - 1, int(forward * source.uniform(0.5, 2))))
    up, down = scenarios.compute_volatility_factors_x48(source.pick(0, 2**41))
    option = (source.randint(0, 1), known, moving, forward, strike, source.choice((1, 10, 100, 2**20)))
    shocks = (source.pick(0, 2**51 - 1), source.pick(0, 2**48), up, down, source.pick(0, 10**6 - 1))
    return option + shocks


def draw_future_row(source: "Source") -> Arguments:
    """A future, in its window or not, without the arrays that it fills."""
    _, moving, forward = draw_moving(source)
    return forward, moving, source.choice((1, 100, 1000)), source.pick(0, 10**6 - 1)


def draw_requirement(source: "Source") -> Arguments:
    """A portfolio, its vectors, one instrument and a fill in it, as `compute_initial_if_filled` takes it."""
    width = source.choice((10**3, 10**9, 2**35))
    rng = np.random.default_rng(source.getrandbits(63))
    portfolio = np.zeros(1, margin.PORTFOLIO)[0]
    for name in ("futures_worst_atoms", "short_worst_atoms", "gross_worst_atoms", "basis_worst_atoms"):
        portfolio[name] = source.pick(0, 2**57)
    portfolio["open_cost_atoms"] = -source.pick(0, 2**57)
    pnl = rng.integers(-(2**60), 2**60, SCENARIO_COUNT)
    orders = -rng.integers(0, 2**60, SCENARIO_COUNT)
    held = rng.integers(-(2**58), 2**58, BASIS_COUNT)
    opened = -rng.integers(0, 2**58, BASIS_COUNT)
    instrument = np.zeros(1, INSTRUMENT)[0]
    instrument["kind"] = source.randint(0, 3)
    instrument["notional_atoms"] = source.pick(0, 2**34)
    row, basis_row = rng.integers(-width, width, SCENARIO_COUNT), rng.integers(-width, width, BASIS_COUNT)
    lots = [source.randint(-(2**20), 2**20), source.randint(0, 2**20), source.randint(0, 2**20)]
    lots.append(source.randint(-(2**20), 2**20))
    vectors = (portfolio, pnl, orders, held, opened, instrument, row, basis_row)
    return (*vectors, *lots, source.pick(0, 10**6), draw_parameters(source))


def draw_vega(source: "Source") -> Arguments:
    """An option, its total volatility, the root of the years left, and its mark."""
    kind, forward_x16, strike_x16, _, volatility = source.option()
    terms = (kind, forward_x16 >> 16, strike_x16 >> 16, source.choice((1, 10, 100, 2**20)))
    return *terms, volatility, source.pick(0, 2**53 - 1), source.pick(0, 2**36)


MAKERS: dict[str, Callable[["Source"], Arguments]] = {
    "compute_known_atoms": draw_window,
    "compute_moving_atoms": lambda source: (source.pick(1, 2**40), *draw_window(source)[1:]),
    "compute_averaged_volatility_x48": draw_reduced,
    "fill_averaged_row": draw_averaged_row,
    "fill_future_row": draw_future_row,
    "compute_premium_atoms": lambda source: (
        source.pick(-1, 2**35),
        source.pick(-1, 2**35),
        source.pick(1, 2**34),
    ),
    "div_floor_e9": draw_share,
    "compute_rate_e9": lambda source: (*draw_share(source), draw_parameters(source)),
    "compute_step_ms": lambda source: (source.pick(2**60, 2**62), source.pick(0, 2**61)),
    "compute_accrual": lambda source: (
        source.pick(1, 2**34),
        source.pick(-5 * 10**7, 5 * 10**7),
        source.pick(0, 3_600_000),
    ),
    "compute_due_atoms": lambda source: (source.pick(-(2**53), 2**53),),
    "compute_protected_worst": draw_quotes,
    "fill_protected_bound": draw_bound,
    "compute_limit_capacity": lambda source: (
        source.pick(1, 2**60),
        source.pick(-(2**59), 2**59),
        source.pick(-(2**36), 2**36),
    ),
    "compute_initial_if_filled": draw_requirement,
    "trade": draw_trade,
    "compute_loss_weight": lambda source: (source.pick(0, 2**58),),
    "compute_loss_share": draw_loss_share,
    "compute_taker_fee_atoms": draw_fee,
    "compute_maker_fee_atoms": draw_maker_fee,
    "compute_payoff_atoms": lambda source: (
        source.choice((0, 1, 3)),
        source.pick(0, 2**40 - 1),
        source.pick(0, 2**40 - 1),
        source.pick(1, 2**20),
    ),
    "compute_delta_atoms": lambda source: (
        np.array([source.pick(-(2**36), 2**36) for _ in range(2)], np.int64),
        source.pick(1, 10**6 - 1),
    ),
    "compute_vega_atoms": draw_vega,
    "compute_year_root_x48": lambda source: (source.pick(-1, 2**59 - 1),),
}


def fill_averaged_row(*arguments: int) -> tuple[int, ...]:
    """Mark, row and basis row of an option in its window."""
    row, basis_row = np.zeros(SCENARIO_COUNT, np.int64), np.zeros(BASIS_COUNT, np.int64)
    mark = averaging.compute_averaged_row(*arguments, row, basis_row)
    return int(mark), *row.tolist(), *basis_row.tolist()


def fill_future_row(*arguments: int) -> tuple[int, ...]:
    """Mark, row and basis row of a future."""
    row, basis_row = np.zeros(SCENARIO_COUNT, np.int64), np.zeros(BASIS_COUNT, np.int64)
    mark = scenarios.compute_future_row(*arguments, row, basis_row)
    return int(mark), *row.tolist(), *basis_row.tolist()


def fill_protected_bound(bounds: Any, *arguments: Any) -> tuple[int, ...]:
    """The bounds with one quote more."""
    quote_margin.add_protected_bound(bounds, *arguments)
    return tuple(int(bound) for bound in bounds)


def trade(position: Any, *arguments: int) -> tuple[int, int, int]:
    """The cash of a fill, and the lots and the entry value that it leaves."""
    cash = novation.apply_trade(position, *arguments)
    return int(cash), int(position["lots"]), int(position["cost_atoms"])


# Share of all inputs, in thousandths, as in law_digests.
WEIGHTS: dict[Callable[..., Any], float] = {
    averaging.compute_known_atoms: 5,
    averaging.compute_moving_atoms: 5,
    averaging.compute_averaged_volatility_x48: 5,
    fill_averaged_row: 0.3,
    fill_future_row: 2,
    funding.compute_premium_atoms: 5,
    funding.div_floor_e9: 5,
    funding.compute_rate_e9: 5,
    funding.compute_step_ms: 5,
    funding.compute_accrual: 5,
    funding.compute_due_atoms: 5,
    quote_margin.compute_protected_worst: 5,
    fill_protected_bound: 1,
    quote_margin.compute_limit_capacity: 5,
    margin.compute_initial_if_filled: 3,
    trade: 5,
    liquidation.compute_loss_weight: 5,
    liquidation.compute_loss_share: 5,
    novation.compute_taker_fee_atoms: 5,
    novation.compute_maker_fee_atoms: 5,
    novation.compute_payoff_atoms: 5,
    scenarios.compute_delta_atoms: 5,
    scenarios.compute_vega_atoms: 5,
    scenarios.compute_year_root_x48: 2,
}
