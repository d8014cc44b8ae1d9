"""The marks, rows, basis rows and vegas of one series' options, before and inside the settlement window.

The loops over scenarios are the replayer's own; the price of one option and the volatility of one strike are
the law's leaves. Verifies [MARK-4], [MARK-5], [SCENARIO-3] to [SCENARIO-5] and [GREEK-1].
"""

from typing import Any, NamedTuple

import numpy as np

from novate.kernel import kernel
from novate.protocol.arithmetic import div_x48, mul_ratio_floor_e6, mul_x48, sqrt_x48
from novate.protocol.black76 import compute_price_x16
from novate.protocol.generated.constants import E6, NS_PER_YEAR, SCENARIO_COUNT
from novate.protocol.generated.tables import DAMPING_E6, LN_MOVE_X48, MOVE_E6, VOLATILITY_MODE
from novate.protocol.scenarios import compute_floor_volatility_x48, compute_volatility_factors_x48
from novate.protocol.svi import compute_total_volatility_x48
from novate.protocol.transcendental import ln_ratio_x48

Array = np.ndarray[Any, np.dtype[np.int64]]
INVERSE_SQRT3_X48 = 162_509_653_574_040
VOLATILITY_MAX_X48 = (1 << 51) - 1
VEGA_POINT_E6 = 10_000  # One point of yearly volatility.
PRICE_SHIFT = 16
MODE_UP, MODE_DOWN = 1, 2


class Outlook(NamedTuple):
    """What the marks of a series are found from, as of one TICK.

    Inside the settlement window `known_atoms` of the settlement price are certain and `moving_atoms` still
    move; before it nothing is certain and the whole forward moves [MARK-5].
    """

    forward_atoms: int
    known_atoms: int
    moving_atoms: int
    in_window: int
    ratio_x48: int
    time_left_ns: int


@kernel
def reduce_volatility(volatility_x48: int, outlook: Outlook) -> int:
    """Return a total volatility, inside the window times the share that moves and an average's [MARK-5]."""
    if outlook.in_window == 0:
        return volatility_x48
    share_x48 = div_x48(outlook.moving_atoms, outlook.forward_atoms)
    return mul_x48(mul_x48(volatility_x48, share_x48), INVERSE_SQRT3_X48)


@kernel
def move_forward(outlook: Outlook, rate_e6: int) -> int:
    """Return the forward in x16 after its moving part is multiplied by a rate [SCENARIO-4] [MARK-5]."""
    moved = mul_ratio_floor_e6(outlook.moving_atoms << PRICE_SHIFT, rate_e6)
    if outlook.in_window == 0:
        return moved
    return max(1, (outlook.known_atoms << PRICE_SHIFT) + moved)


@kernel
def compute_lot(
    kind: int,
    forward_x16: int,
    strike_atoms: int,
    log_ratio_x48: int,
    volatility_x48: int,
    lots_per_unit: int,
) -> int:
    """Return the value of one lot in atoms, rounded down [MARK-4]."""
    strike_x16 = strike_atoms << PRICE_SHIFT
    price_x16 = compute_price_x16(kind, forward_x16, strike_x16, log_ratio_x48, volatility_x48)
    return price_x16 // (lots_per_unit << PRICE_SHIFT)


@kernel
def fill_option(
    kind: int,
    strike_atoms: int,
    lots_per_unit: int,
    basis_shift_e6: int,
    volatility_x48: int,
    shocked: tuple[int, int],
    outlook: Outlook,
    row: Array,
    basis: Array,
) -> int:
    """Fill the rows of one option and return its mark; `shocked` is its volatility up and down."""
    log_ratio = ln_ratio_x48(outlook.forward_atoms, strike_atoms)
    forward_x16 = outlook.forward_atoms << PRICE_SHIFT
    mark = compute_lot(kind, forward_x16, strike_atoms, log_ratio, volatility_x48, lots_per_unit)
    for s in range(SCENARIO_COUNT):
        volatility = volatility_x48
        if VOLATILITY_MODE[s] == MODE_UP:
            volatility = shocked[0]
        elif VOLATILITY_MODE[s] == MODE_DOWN:
            volatility = shocked[1]
        moved = move_forward(outlook, E6 + int(MOVE_E6[s]))
        moved_log = log_ratio + int(LN_MOVE_X48[s])
        if outlook.in_window:
            moved_log = ln_ratio_x48(moved, strike_atoms << PRICE_SHIFT)
        value = compute_lot(kind, moved, strike_atoms, moved_log, volatility, lots_per_unit)
        row[s] = mul_ratio_floor_e6(value - mark, int(DAMPING_E6[s]))
    for j in range(2):
        rate_e6 = E6 + (2 * j - 1) * basis_shift_e6
        moved = move_forward(outlook, rate_e6)
        moved_log = log_ratio + ln_ratio_x48(rate_e6, E6)
        if outlook.in_window:
            moved_log = ln_ratio_x48(moved, strike_atoms << PRICE_SHIFT)
        value = compute_lot(kind, moved, strike_atoms, moved_log, volatility_x48, lots_per_unit)
        basis[j] = value - mark
    return mark


@kernel
def fill_series(
    a: int,
    b: int,
    rho: int,
    m: int,
    sigma: int,
    outlook: Outlook,
    lots_per_unit: int,
    basis_shift_e6: int,
    kinds: Array,
    strikes: Array,
    marks: Array,
    rows: Array,
    basis: Array,
    vegas: Array,
) -> None:
    """Fill mark, rows and vega of every option of one series with the slice (a, b, rho, m, sigma)."""
    time_ns, forward = outlook.time_left_ns, outlook.forward_atoms
    factor_up, factor_down = compute_volatility_factors_x48(time_ns)
    floor_volatility = reduce_volatility(compute_floor_volatility_x48(time_ns), outlook)
    years_root = sqrt_x48(div_x48(max(0, time_ns), NS_PER_YEAR))
    point = mul_ratio_floor_e6(reduce_volatility(years_root, outlook), VEGA_POINT_E6)
    for i in range(kinds.shape[0]):
        k = ln_ratio_x48(strikes[i], forward)
        volatility = compute_total_volatility_x48(a, b, rho, m, sigma, k, outlook.ratio_x48)
        volatility = reduce_volatility(volatility, outlook)
        up = min(max(mul_x48(volatility, factor_up), floor_volatility), VOLATILITY_MAX_X48)
        down = min(mul_x48(volatility, factor_down), VOLATILITY_MAX_X48)
        marks[i] = fill_option(
            kinds[i],
            strikes[i],
            lots_per_unit,
            basis_shift_e6,
            volatility,
            (up, down),
            outlook,
            rows[i],
            basis[i],
        )
        raised = min(volatility + point, VOLATILITY_MAX_X48)
        log_ratio = ln_ratio_x48(forward, strikes[i])
        value = compute_lot(kinds[i], forward << PRICE_SHIFT, strikes[i], log_ratio, raised, lots_per_unit)
        vegas[i] = value - marks[i]
