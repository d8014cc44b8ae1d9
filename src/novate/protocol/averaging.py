"""The settlement window: in the last half hour a part of the settlement price is known, the rest moves.

The price will be an average over the window, so the forward becomes known part plus moving part, and the
volatility shrinks by the share that moves and by that of an average, 1 / sqrt(3). Implements [MARK-5].
"""

from typing import Any

from novate.kernel import kernel, kernel_inline
from novate.protocol.arithmetic import div_floor, div_x48, mul_ratio_floor_e6, mul_x48
from novate.protocol.generated.constants import E6, NS_PER_MS, SCENARIO_COUNT, TWAP_WINDOW_NS
from novate.protocol.generated.tables import DAMPING_E6, MOVE_E6, VOLATILITY_MODE
from novate.protocol.scenarios import (
    PRICE_SHIFT,
    VOLATILITY_DOWN,
    VOLATILITY_UP,
    compute_lot_value,
    compute_shocked_volatility_x48,
)
from novate.protocol.transcendental import ln_ratio_x48

INVERSE_SQRT3_X48 = 162_509_653_574_040  # floor(2**48 / sqrt(3))


@kernel
def is_in_window(time_ns: int, expiry_ns: int) -> bool:
    """Whether a time lies in the half hour before an expiry, its end excluded. [MARK-5]"""
    return bool(expiry_ns - TWAP_WINDOW_NS <= time_ns < expiry_ns)


@kernel
def compute_rest_ms(time_ns: int, expiry_ns: int) -> int:
    """Return the whole milliseconds from a time to an expiry, each floored first. [MARK-5]"""
    return div_floor(expiry_ns, NS_PER_MS) - div_floor(time_ns, NS_PER_MS)


@kernel
def compute_known_atoms(twap_sum: int, twap_ms: int, rest_ms: int) -> int:
    """Return A, the part of the settlement price that is known.

    Units      atoms * ms and ms -> atoms per 1.0 underlying.
    Range      0 <= twap_sum < 2**61, 0 < twap_ms + rest_ms < 2**21.
    Rounding   down.
    Law        [MARK-5]
    """
    return div_floor(twap_sum, twap_ms + rest_ms)


@kernel
def compute_moving_atoms(forward_atoms: int, twap_ms: int, rest_ms: int) -> int:
    """Return U, the part of the settlement price that still moves.

    Range      0 < forward <= 2**40, 0 <= rest_ms, 0 < twap_ms + rest_ms < 2**21.
    Rounding   down.
    Law        [MARK-5]
    """
    return div_floor(forward_atoms * rest_ms, twap_ms + rest_ms)


@kernel
def compute_averaged_volatility_x48(volatility_x48: int, moving_atoms: int, forward_atoms: int) -> int:
    """Return a total volatility times the share of the forward that moves, and that of an average.

    Range      0 <= volatility < 2**53, 0 <= moving <= forward, 0 < forward <= 2**40.
    Rounding   each step down.
    Law        [MARK-5]
    """
    return mul_x48(mul_x48(volatility_x48, div_x48(moving_atoms, forward_atoms)), INVERSE_SQRT3_X48)


@kernel_inline
def compute_moved_value(
    option_kind: int,
    known_x16: int,
    moving_x16: int,
    rate_e6: int,
    strike_x16: int,
    total_volatility_x48: int,
    lots_per_unit: int,
) -> int:
    """Return the value of one lot with the moving part of the forward multiplied by a rate.

    Range      known and moving < 2**56, rate <= 6 * 10**6: the forward stays below 2**59.
    Rounding   the moved part down, the value down.
    Law        [MARK-5]
    """
    forward_x16 = max(1, known_x16 + mul_ratio_floor_e6(moving_x16, rate_e6))
    log_ratio = ln_ratio_x48(forward_x16, strike_x16)
    return compute_lot_value(
        option_kind, forward_x16, strike_x16, log_ratio, total_volatility_x48, lots_per_unit
    )


@kernel
def compute_averaged_row(
    option_kind: int,
    known_atoms: int,
    moving_atoms: int,
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
    """Fill `row` (32) and `basis_row` (2) of an option inside its settlement window, and return its mark.

    Units      as `compute_option_row`; `forward_atoms` is max(1, known + moving), and both volatilities are
               reduced already.
    Range      0 <= known, moving < 2**40, else as `compute_option_row`.
    Rounding   moved part, value and damped profit each down.
    Law        [MARK-5]
    """
    known_x16 = known_atoms << PRICE_SHIFT
    moving_x16 = moving_atoms << PRICE_SHIFT
    strike_x16 = strike_atoms << PRICE_SHIFT
    up = compute_shocked_volatility_x48(total_volatility_x48, factor_up_x48, floor_volatility_x48)
    down = compute_shocked_volatility_x48(total_volatility_x48, factor_down_x48, 0)
    log_ratio = ln_ratio_x48(forward_atoms, strike_atoms)
    forward_x16 = forward_atoms << PRICE_SHIFT
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
        rate_e6 = E6 + int(MOVE_E6[s])
        value = compute_moved_value(
            option_kind, known_x16, moving_x16, rate_e6, strike_x16, volatility, lots_per_unit
        )
        row[s] = mul_ratio_floor_e6(value - mark, int(DAMPING_E6[s]))
    for side in range(2):
        rate_e6 = E6 - basis_shift_e6 if side == 0 else E6 + basis_shift_e6
        value = compute_moved_value(
            option_kind, known_x16, moving_x16, rate_e6, strike_x16, total_volatility_x48, lots_per_unit
        )
        basis_row[side] = value - mark
    return mark
