"""The 32 scenarios of the margin law: mark, scenario row and Greeks of one instrument.

Implements [SCENARIO-1] to [SCENARIO-6], [MARK-2], [MARK-4], [FUT-1], [FUT-2] and [GREEK-1]. A row holds the
damped profit of one long lot in each scenario. Shocked values keep the strike's own volatility (sticky
strike) and the same time to expiry.
"""

from typing import Any

from novate.kernel import kernel, kernel_inline
from novate.protocol.arithmetic import ONE_X48, div_floor, div_x48, mul_ratio_floor_e6, mul_x48, sqrt_x48
from novate.protocol.black76 import TOTAL_VOLATILITY_MAX_X48, compute_price_x16
from novate.protocol.generated.constants import E6, NS_PER_DAY, NS_PER_YEAR, SCENARIO_COUNT
from novate.protocol.generated.tables import DAMPING_E6, LN_MOVE_X48, MOVE_E6, VOLATILITY_MODE
from novate.protocol.svi import compute_total_volatility_x48
from novate.protocol.transcendental import exp_x48, ln_ratio_x48

VOLATILITY_UNCHANGED = 0
VOLATILITY_UP = 1
VOLATILITY_DOWN = 2

SHOCK_REFERENCE_NS = 30 * NS_PER_DAY
SHORT_POWER_E6 = 300_000
LONG_POWER_E6 = 130_000
SHOCK_DOWN_E6 = 300_000
FLOOR_VOLATILITY_E6 = 400_000
PRICE_SHIFT = 16
ONE_POINT_E6 = 10_000  # One point of yearly volatility, for vega.


@kernel
def compute_volatility_factors_x48(time_to_expiry_ns: int) -> tuple[int, int]:
    """Return (up, down): 1 + 0.5 * (30 / d)**p and 1 - 0.3 * (30 / d)**p.

    d is the number of days to expiry, at least one; p is 0.30 up to 30 days and 0.13 beyond.

    Range      time < 2**59 ns; the results are in (1, 2.4) and (0.16, 1).
    Rounding   each step down, the subtracted share down.
    Law        [SCENARIO-2]
    """
    time_ns = NS_PER_DAY if time_to_expiry_ns < NS_PER_DAY else time_to_expiry_ns
    power_e6 = SHORT_POWER_E6 if time_ns <= SHOCK_REFERENCE_NS else LONG_POWER_E6
    scale = exp_x48(mul_ratio_floor_e6(ln_ratio_x48(SHOCK_REFERENCE_NS, time_ns), power_e6))
    # scale is in (0.4, 2.78): at one day 30**0.3, at 2**59 ns about 0.41.
    return ONE_X48 + (scale >> 1), ONE_X48 - mul_ratio_floor_e6(scale, SHOCK_DOWN_E6)


@kernel
def compute_floor_volatility_x48(time_to_expiry_ns: int) -> int:
    """Return the least shocked-up total volatility, 0.4 * sqrt(years), with a year of 365 days.

    Range      0 <= time < 2**59 ns (18 years); a past expiry counts as zero.
    Rounding   each step down.
    Law        [SCENARIO-3]
    """
    if time_to_expiry_ns <= 0:
        return 0
    years_x48 = div_x48(time_to_expiry_ns, NS_PER_YEAR)
    return mul_ratio_floor_e6(sqrt_x48(years_x48), FLOOR_VOLATILITY_E6)


@kernel
def compute_option_total_volatility_x48(
    a: int,
    b: int,
    rho: int,
    m: int,
    sigma: int,
    forward_atoms: int,
    strike_atoms: int,
    variance_time_ratio_x48: int,
) -> int:
    """Return the total volatility of one strike on a slice, scaled to the time that remains.

    Range      an accepted slice; 0 < forward, strike < 2**40; 0 <= ratio <= 2**48; the result is below 2**51.
    Rounding   as [PRICE-6] and [SVI-5].
    Law        [MARK-4]
    """
    k = ln_ratio_x48(strike_atoms, forward_atoms)
    return compute_total_volatility_x48(a, b, rho, m, sigma, k, variance_time_ratio_x48)


@kernel_inline
def compute_shocked_volatility_x48(
    total_volatility_x48: int, factor_x48: int, floor_volatility_x48: int
) -> int:
    """Return volatility times factor, rounded down, at least the floor and below 8.

    Range      volatility < 2**51, factor < 2**50, floor < 2**62.
    Law        [SCENARIO-3]
    """
    shocked = mul_x48(total_volatility_x48, factor_x48)
    if shocked < floor_volatility_x48:
        shocked = floor_volatility_x48
    return TOTAL_VOLATILITY_MAX_X48 if shocked > TOTAL_VOLATILITY_MAX_X48 else shocked


@kernel_inline
def compute_lot_value(
    option_kind: int,
    forward_x16: int,
    strike_x16: int,
    log_ratio_x48: int,
    total_volatility_x48: int,
    lots_per_unit: int,
) -> int:
    """Return the value of one lot of an option in atoms, rounded down.

    Range      as `compute_price_x16`, 0 < lots_per_unit < 2**40.
    Law        [MARK-4]
    """
    price_x16 = compute_price_x16(option_kind, forward_x16, strike_x16, log_ratio_x48, total_volatility_x48)
    return div_floor(price_x16, lots_per_unit << PRICE_SHIFT)


@kernel
def compute_option_row(
    option_kind: int,
    forward_atoms: int,
    strike_atoms: int,
    lots_per_unit: int,
    total_volatility_x48: int,
    floor_volatility_x48: int,
    factor_up_x48: int,
    factor_down_x48: int,
    basis_shift_e6: int,
    row: Any,
    basis_row: Any,
) -> int:
    """Fill `row` (32) and `basis_row` (2) with the profit of one long lot, and return the mark of one lot.

    Units      atoms; row[s] is damped; basis_row is the forward shifted down and up, volatility unchanged.
    Range      0 < forward, strike < 2**40; 0 < lots_per_unit < 2**40; 0 <= basis shift < 10**6;
               volatility < 2**51. The forward moves to at most six times itself: below 2**59 in x16.
    Rounding   forward, value and damped profit each down.
    Law        [MARK-4], [SCENARIO-4], [SCENARIO-5]
    """
    forward_x16 = forward_atoms << PRICE_SHIFT
    strike_x16 = strike_atoms << PRICE_SHIFT
    log_ratio = ln_ratio_x48(forward_atoms, strike_atoms)
    up = compute_shocked_volatility_x48(total_volatility_x48, factor_up_x48, floor_volatility_x48)
    down = compute_shocked_volatility_x48(total_volatility_x48, factor_down_x48, 0)
    mark = compute_lot_value(
        option_kind, forward_x16, strike_x16, log_ratio, total_volatility_x48, lots_per_unit
    )
    for s in range(SCENARIO_COUNT):
        mode = int(VOLATILITY_MODE[s])
        volatility = total_volatility_x48
        if mode == VOLATILITY_UP:
            volatility = up
        elif mode == VOLATILITY_DOWN:
            volatility = down
        moved_x16 = mul_ratio_floor_e6(forward_x16, E6 + int(MOVE_E6[s]))
        moved_log = log_ratio + int(LN_MOVE_X48[s])
        value = compute_lot_value(option_kind, moved_x16, strike_x16, moved_log, volatility, lots_per_unit)
        row[s] = mul_ratio_floor_e6(value - mark, int(DAMPING_E6[s]))
    for side in range(2):
        rate_e6 = E6 - basis_shift_e6 if side == 0 else E6 + basis_shift_e6
        moved_x16 = mul_ratio_floor_e6(forward_x16, rate_e6)
        moved_log = log_ratio + ln_ratio_x48(rate_e6, E6)
        value = compute_lot_value(
            option_kind, moved_x16, strike_x16, moved_log, total_volatility_x48, lots_per_unit
        )
        basis_row[side] = value - mark
    return mark


@kernel
def fill_linear_row(moving_atoms: int, row: Any) -> None:
    """Fill `row` (32) with the damped profit of a lot whose value `moving_atoms` moves with the forward.

    Range      0 <= moving_atoms < 2**40, so that its product with a move is below 2**63.
    Rounding   profit down, then the damped profit down.
    Law        [SCENARIO-6]
    """
    for s in range(SCENARIO_COUNT):
        profit = div_floor(moving_atoms * int(MOVE_E6[s]), E6)
        row[s] = mul_ratio_floor_e6(profit, int(DAMPING_E6[s]))


@kernel
def compute_future_row(
    forward_atoms: int,
    moving_atoms: int,
    lots_per_unit: int,
    basis_shift_e6: int,
    row: Any,
    basis_row: Any,
) -> int:
    """Fill `row` (32) and `basis_row` (2) with the profit of one long lot of a future, and return its mark.

    Units      atoms per 1.0 underlying; `moving_atoms` is the forward, or inside the settlement window the
               part of it that still moves.
    Range      0 < forward < 2**40, 0 <= moving <= forward, and a lot of it below 2**40.
    Rounding   mark, shifted value and damped profit each down.
    Law        [FUT-1], [FUT-2], [MARK-5]
    """
    moving = div_floor(moving_atoms, lots_per_unit)
    fill_linear_row(moving, row)
    basis_row[0] = div_floor(moving * -basis_shift_e6, E6)
    basis_row[1] = div_floor(moving * basis_shift_e6, E6)
    return div_floor(forward_atoms, lots_per_unit)


@kernel
def compute_delta_atoms(basis_row: Any, basis_shift_e6: int) -> int:
    """Return the change in value of one lot of an option or a future for a move of the whole forward.

    Range      |basis_row| < 2**36, 0 < shift < 10**6.
    Rounding   down.
    Law        [GREEK-1]
    """
    return div_floor((int(basis_row[1]) - int(basis_row[0])) * E6, 2 * basis_shift_e6)


@kernel
def compute_year_root_x48(time_to_expiry_ns: int) -> int:
    """Return the square root of the years to an expiry, with a year of 365 days; 0 for a past one.

    Range      time < 2**59 ns.
    Rounding   each step down.
    Law        [GREEK-1]
    """
    return sqrt_x48(div_x48(max(0, time_to_expiry_ns), NS_PER_YEAR))


@kernel
def compute_vega_atoms(
    option_kind: int,
    forward_atoms: int,
    strike_atoms: int,
    lots_per_unit: int,
    total_volatility_x48: int,
    year_root_x48: int,
    mark_atoms: int,
) -> int:
    """Return the change in value of one lot for one point of yearly volatility.

    Range      as `compute_option_row`; 0 <= year root < 2**53.
    Rounding   the volatility's step down, the value down.
    Law        [GREEK-1]
    """
    volatility = total_volatility_x48 + mul_ratio_floor_e6(year_root_x48, ONE_POINT_E6)
    value = compute_lot_value(
        option_kind,
        forward_atoms << PRICE_SHIFT,
        strike_atoms << PRICE_SHIFT,
        ln_ratio_x48(forward_atoms, strike_atoms),
        min(volatility, TOTAL_VOLATILITY_MAX_X48),
        lots_per_unit,
    )
    return value - mark_atoms


@kernel
def compute_perpetual_row(index_atoms: int, lots_per_unit: int, row: Any, basis_row: Any) -> int:
    """Fill `row` (32) with the damped profit of one long lot and `basis_row` (2) with zero; return the mark.

    Units      atoms; the mark is floor(index / lots_per_unit).
    Range      0 < index < 2**40, and the mark below 2**40, so that mark * move is below 2**63.
    Rounding   profit down, then the damped profit down.
    Law        [MARK-2], [SCENARIO-6]
    """
    mark = div_floor(index_atoms, lots_per_unit)
    fill_linear_row(mark, row)
    basis_row[0] = 0
    basis_row[1] = 0
    return mark
