"""Combos: several instruments traded as one, each lot of a combo being `ratio` lots of each leg.

The price of a combo may be negative, so a book counts its ticks from an offset. Legs are int64[n, 2]:
instrument and ratio, with ratio 0 behind the last. Implements the arithmetic of [COMBO-1], [COMBO-2] and
[COMBO-4].
"""

from typing import Any

import numpy as np

from novate.kernel import kernel
from novate.protocol.arithmetic import div_ceil, div_floor
from novate.protocol.generated.codes import Side
from novate.protocol.generated.constants import COMBO_LEG_COUNT_MAX, COMBO_RATIO_MAX, PRICE_TICKS_MAX

Array = np.ndarray[Any, np.dtype[Any]]

INSTRUMENT, RATIO = 0, 1  # Columns of an array of legs.


@kernel
def compute_limit_atoms(price_ticks: int, tick_offset: int, tick_atoms: int) -> int:
    """Return the limit value L of a lot: net of the offset that a combo's ticks are counted from.

    Units      ticks -> atoms; `tick_offset` is 0 for what is no combo.
    Range      1 <= price_ticks < 2**18, a tick below 2**18 atoms: |L| < 2**36. Exact.
    Law        [COMBO-2] [MARGIN-3]
    """
    return (price_ticks - tick_offset) * tick_atoms


@kernel
def round_to_ticks(value_atoms: int, tick_offset: int, tick_atoms: int, side: int) -> int:
    """Return the price that a book has for a value of a lot.

    Units      atoms -> ticks in [1, PRICE_TICKS_MAX].
    Rounding   against the order: down for a buy, up for a sell.
    Law        [ORDER-2] [IV-1] [COMBO-2]
    """
    ticks = div_floor(value_atoms, tick_atoms) if side == Side.BUY else div_ceil(value_atoms, tick_atoms)
    return min(max(ticks + tick_offset, 1), PRICE_TICKS_MAX)


@kernel
def compute_common_divisor(a: int, b: int) -> int:
    """Return the greatest common divisor of two numbers >= 0, not both 0. Exact. [COMBO-1]"""
    while b != 0:
        a, b = b, a - div_floor(a, b) * b
    return a


@kernel
def is_lawful_ratio(ratio: int) -> bool:
    """Whether a leg may have a ratio. [COMBO-1]"""
    return bool(ratio != 0 and ratio >= -COMBO_RATIO_MAX and ratio <= COMBO_RATIO_MAX)


@kernel
def count_leg_lots(legs: Array) -> int:
    """Return how many lots of its legs one lot of a combo is, sides apart: at most 64. [COMBO-4]"""
    total = 0
    for k in range(COMBO_LEG_COUNT_MAX):
        total += abs(legs[k, RATIO])
    return int(total)
