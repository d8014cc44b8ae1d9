"""Liquidation's leaves: the price at which a position may be closed before its account is bankrupt, how a
backstop's margin is bounded, and how a loss is shared.

Implements [LIQ-2], [LIQ-5] and [LIQ-7].
"""

from typing import Any

import numpy as np

from novate.kernel import kernel
from novate.protocol.arithmetic import div_ceil, div_floor, div_x48, mul_x48
from novate.protocol.generated.constants import PRICE_TICKS_MAX, SCENARIO_COUNT
from novate.protocol.margin import compute_initial_from

Record = Any
Array = np.ndarray[Any, np.dtype[Any]]


@kernel
def compute_close_ticks(instrument: Record, lots: int, equity_atoms: int, band_atoms: int) -> int:
    """Return the limit at which a slice of a position closes: its mark less what may be lost per lot, inside
    the band.

    Units      lots (signed) held, atoms -> ticks in [1, PRICE_TICKS_MAX].
    Range      0 < |lots| <= 2**24, |equity| < 2**62, mark and notional below 2**34.
    Rounding   the loss per lot down; the price down for a buy and up for a sell: never beyond bankruptcy.
    Law        [LIQ-2]
    """
    mark, tick_atoms = instrument["mark_atoms"], instrument["tick_atoms"]
    loss = max(0, div_floor(equity_atoms, abs(lots)) - instrument["taker_fee_atoms"])
    if lots < 0:
        ticks = div_floor(mark + min(loss, band_atoms), tick_atoms)
    else:
        ticks = div_ceil(max(0, mark - min(loss, band_atoms)), tick_atoms)
    return int(min(max(ticks, 1), PRICE_TICKS_MAX))


@kernel
def compute_initial_with_portfolio(
    portfolio: Record,
    pnl: Array,
    orders: Array,
    taken: Record,
    taken_pnl: Array,
    confidence_e6: int,
    parameters: Record,
) -> int:
    """Return an upper bound of a backstop's initial requirement with another account's positions added.

    The vectors add up exactly; contingencies are subadditive, so their sum is never too low.

    Range      both accounts' gross lots together at most 2**24, so every sum fits as in [UNIT-5].
    Rounding   up: against the backstop.
    Law        [LIQ-5]
    """
    worst = min(0, portfolio["open_cost_atoms"])
    for s in range(SCENARIO_COUNT):
        worst = min(worst, pnl[s] + orders[s] + taken_pnl[s])
    total = compute_initial_from(
        -worst,
        portfolio["futures_worst_atoms"],
        portfolio["short_worst_atoms"],
        portfolio["basis_worst_atoms"],
        portfolio["gross_worst_atoms"],
        confidence_e6,
        parameters,
    )
    return total + compute_initial_from(
        0,
        taken["futures_held_atoms"],
        taken["short_held_atoms"],
        taken["basis_held_atoms"],
        taken["gross_worst_atoms"],
        confidence_e6,
        parameters,
    )


@kernel
def compute_loss_weight(notional_atoms: int) -> int:
    """Return the weight with which lots of a notional, closed against a debtor, share its debt.

    Range      0 <= notional < 2**58: a weight is at most 2**50, and those of one debtor below 2**53 together.
    Rounding   down, but never nothing.
    Law        [LIQ-7]
    """
    return div_floor(notional_atoms, 256) + 1


@kernel
def compute_loss_share(loss_atoms: int, weight: int, weight_left: int) -> int:
    """Return what one closed account bears of a loss, by its weight among those still to bear.

    Range      0 <= loss < 2**60, 0 < weight <= weight_left < 2**59.
    Rounding   the share and the loss down; the last one, whose share is one, bears exactly what is left.
    Law        [LIQ-7]
    """
    return mul_x48(loss_atoms, div_x48(weight, weight_left))
