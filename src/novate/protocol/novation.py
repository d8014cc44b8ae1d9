"""Novation: a trade between two accounts becomes two positions against the house.

Options exchange the premium in cash at once; perpetuals and futures pay the difference to their entry value
when they close. Both keep that entry value, signed, in `cost_atoms`. Implements [NOVATE-1] to [NOVATE-5],
[FUT-3] and [EXPIRY-2].
"""

from typing import Any

import numpy as np

from novate.kernel import kernel
from novate.protocol.arithmetic import div_floor, mul_ratio_ceil_e6, mul_ratio_floor_e6
from novate.protocol.generated.codes import InstrumentKind

Record = Any

POSITION = np.dtype(
    [
        ("account", np.int64),
        ("instrument", np.int64),
        ("lots", np.int64),
        ("cost_atoms", np.int64),
        ("open_buy_lots", np.int64),
        ("open_sell_lots", np.int64),
        ("quote_lots", np.int64),  # open lots of protected quotes, both sides
        ("next_in_account", np.int64),
        ("prev_in_account", np.int64),
    ]
)


@kernel
def is_linear(kind: int) -> bool:
    """Whether an instrument is linear: a perpetual or a future, not an option. [MARGIN-2]"""
    return bool(kind == InstrumentKind.PERPETUAL or kind == InstrumentKind.FUTURE)


@kernel
def is_option(kind: int) -> bool:
    """Whether an instrument is an option: a call or a put, not a combo. [ORDER-1] [QUOTE-2]"""
    return bool(kind == InstrumentKind.CALL or kind == InstrumentKind.PUT)


@kernel
def compute_closed_cost(lots: int, cost_atoms: int, closed_lots: int) -> int:
    """Return the entry value of the part of a position that closes: floor(cost * closed / |lots|).

    The product does not fit 64 bits, so the cost is split: cost = a * |lots| + b, and the floor is
    a * closed + floor(b * closed / |lots|) exactly.

    Range      0 < closed <= |lots| <= 2**24, |cost| < 2**60.
    Rounding   down, whatever the sign: the remainder stays with the position, nothing is lost.
    Law        [NOVATE-3]
    """
    size = abs(lots)
    if closed_lots == size:
        return cost_atoms
    whole = div_floor(cost_atoms, size)
    rest = cost_atoms - whole * size
    # rest is in [0, 2**24), so rest * closed is below 2**48.
    return whole * closed_lots + div_floor(rest * closed_lots, size)


@kernel
def apply_trade(position: Record, kind: int, direction: int, lots: int, unit_atoms: int) -> int:
    """Change one side's position by a fill and return the cash it receives, fees apart.

    Units      lots, atoms per lot -> atoms; `direction` is +1 for the buyer, -1 for the seller.
    Range      lots at most 2**24, a lot's value below 2**35.
    Rounding   only the entry value of a partly closed position rounds, and its remainder stays in
               `cost_atoms`.
    Law        [NOVATE-1] [NOVATE-2] [NOVATE-3]
    """
    held = position["lots"]
    closed = 0
    released = 0
    if held * direction < 0:
        closed = min(lots, abs(held))
        released = compute_closed_cost(held, position["cost_atoms"], closed)
    position["cost_atoms"] += direction * (lots - closed) * unit_atoms - released
    position["lots"] = held + direction * lots
    if not is_linear(kind):
        return -direction * lots * unit_atoms
    # A long being sold receives its value, a short being bought pays it; either gives back its entry value.
    return -direction * closed * unit_atoms - released


@kernel
def compute_payoff_atoms(kind: int, settlement_atoms: int, strike_atoms: int, lots_per_unit: int) -> int:
    """Return what one lot pays at expiry: of an option its intrinsic value, of a future the price itself.

    Units      atoms; settlement and strike per 1.0 underlying, the result per lot.
    Range      0 <= settlement < 2**40, 0 <= strike < 2**40, 0 < lots_per_unit < 2**40.
    Rounding   down, alike for long and short.
    Law        [EXPIRY-2] [FUT-3]
    """
    if kind == InstrumentKind.FUTURE:
        return div_floor(settlement_atoms, lots_per_unit)
    if kind == InstrumentKind.CALL:
        return div_floor(max(0, settlement_atoms - strike_atoms), lots_per_unit)
    return div_floor(max(0, strike_atoms - settlement_atoms), lots_per_unit)


@kernel
def compute_taker_fee_atoms(
    kind: int, notional_atoms: int, value_atoms: int, rate_e6: int, cap_e6: int
) -> int:
    """Return a taker's fee for one lot; for an option at most a share of the price paid.

    Units      atoms per lot: notional N, value price * tick; rates in 1e-6.
    Range      notional <= 2**34, value < 2**35, 0 <= rate <= 10**5, 0 <= cap <= 10**6.
    Rounding   up, the cap too.
    Law        [NOVATE-4]
    """
    fee = mul_ratio_ceil_e6(notional_atoms, rate_e6)
    return fee if is_linear(kind) else min(fee, mul_ratio_ceil_e6(value_atoms, cap_e6))


@kernel
def compute_maker_fee_atoms(
    kind: int, notional_atoms: int, value_atoms: int, rate_e6: int, cap_e6: int, taker_fee_atoms: int
) -> int:
    """Return a maker's fee for one lot, or minus its rebate, which the taker's fee always covers.

    Units      as `compute_taker_fee_atoms`; `taker_fee_atoms` is what the same lot's taker pays.
    Range      as there, -10**5 <= rate <= 10**5; the result is at least -taker_fee.
    Rounding   a fee up, a rebate down.
    Law        [NOVATE-4]
    """
    if rate_e6 < 0:
        return -min(mul_ratio_floor_e6(notional_atoms, -rate_e6), taker_fee_atoms)
    return compute_taker_fee_atoms(kind, notional_atoms, value_atoms, rate_e6, cap_e6)
