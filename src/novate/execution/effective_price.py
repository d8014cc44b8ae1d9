"""Prices that an order does not name itself: the band around the mark, a market order's limit, and the ticks
of an order that quotes a volatility.

Implements [BAND-1], [IV-1] and the market price of [ORDER-2].
"""

from typing import Any

from novate.execution.tables import World
from novate.kernel import kernel_inner
from novate.protocol.arithmetic import (
    div_x48,
    mul_ratio_ceil_e6,
    mul_ratio_floor_e6,
    sqrt_x48,
)
from novate.protocol.black76 import TOTAL_VOLATILITY_MAX_X48
from novate.protocol.combos import round_to_ticks
from novate.protocol.generated.codes import InstrumentKind, OrderFlag, Side
from novate.protocol.generated.constants import NS_PER_YEAR
from novate.protocol.novation import is_linear
from novate.protocol.scenarios import PRICE_SHIFT, compute_lot_value
from novate.protocol.transcendental import ln_ratio_x48

Record = Any

MARKET = int(OrderFlag.MARKET)
VOLATILITY = int(OrderFlag.VOLATILITY)
BASIS_POINT_E6 = 100


@kernel_inner
def compute_band_atoms(w: World, instrument: Record) -> int:
    """Return how far from the mark of a lot a limit may be, on the side that costs the order; found with
    every mark, and kept in `band_atoms`. Not for a combo, whose band is that of its legs. [BAND-1]
    """
    parameters = w.parameters[0]
    rate_e6 = parameters["futures_band_e6"] if is_linear(instrument["kind"]) else parameters["option_band_e6"]
    return mul_ratio_ceil_e6(instrument["notional_atoms"], rate_e6)


@kernel_inner
def compute_market_ticks(instrument: Record, side: int) -> int:
    """Return the limit of a market order: the edge of the band, which only a combo's may be below zero.
    [ORDER-2] [COMBO-4]
    """
    mark, band = instrument["mark_atoms"], instrument["band_atoms"]
    edge = mark + band if side == Side.BUY else mark - band
    if instrument["kind"] != InstrumentKind.COMBO:
        edge = max(0, edge)
    return round_to_ticks(edge, instrument["tick_offset"], instrument["tick_atoms"], side)


@kernel_inner
def compute_volatility_ticks(instrument: Record, volatility_bp: int, side: int, time_ns: int) -> int:
    """Return the price of an option at a yearly volatility and the forward of its last mark. [IV-1]

    Range      1 <= volatility_bp <= VOLATILITY_BP_MAX; the option has a mark.
    Rounding   each step down, the ticks against the order.
    """
    years_x48 = div_x48(max(0, instrument["expiry_ns"] - time_ns), NS_PER_YEAR)
    volatility_x48 = mul_ratio_floor_e6(sqrt_x48(years_x48), volatility_bp * BASIS_POINT_E6)
    forward, strike = instrument["forward_atoms"], instrument["strike_atoms"]
    value = compute_lot_value(
        instrument["kind"],
        forward << PRICE_SHIFT,
        strike << PRICE_SHIFT,
        ln_ratio_x48(forward, strike),
        min(volatility_x48, TOTAL_VOLATILITY_MAX_X48),
        instrument["lots_per_unit"],
    )
    return round_to_ticks(value, instrument["tick_offset"], instrument["tick_atoms"], side)


@kernel_inner
def set_effective_price(w: World, order: Record, time_ns: int) -> None:
    """Give an order without a price of its own its price in ticks. [ORDER-2] [IV-1]"""
    instrument = w.instruments[order["instrument"]]
    if order["flags"] & MARKET != 0:
        order["price_ticks"] = compute_market_ticks(instrument, order["side"])
    elif order["flags"] & VOLATILITY != 0:
        order["price_ticks"] = compute_volatility_ticks(
            instrument, order["volatility_bp"], order["side"], time_ns
        )
