"""The prices that the law finds for an order: the band around the mark, and the value at a volatility.

Verifies [ORDER-2], [BAND-1] and [IV-1].
"""

from math import isqrt

from novate.kernel import kernel
from novate.protocol.black76 import compute_price_x16
from novate.protocol.generated.codes import OrderFlag, Side
from novate.protocol.generated.constants import E6, NS_PER_YEAR, PRICE_TICKS_MAX
from novate.protocol.transcendental import ln_ratio_x48
from novate.verification.order_records import Order
from novate.verification.risk import mul_ratio_ceil
from novate.verification.state import Instrument, State

TOTAL_VOLATILITY_MAX_X48 = (1 << 51) - 1
E6_PER_BP = 100


def compute_band(state: State, instrument: Instrument) -> tuple[int, int]:
    """Return (least, most) limit value of a lot; the first may be negative [BAND-1] [COMBO-4]."""
    width = sum(abs(ratio) * compute_width(state, part) for part, ratio in instrument.parts)
    return instrument.mark_atoms - width, instrument.mark_atoms + width


def compute_width(state: State, instrument: Instrument) -> int:
    """Return how far from the mark a lot's limit value may be, rounding up; of no combo [BAND-1]."""
    name = "futures_band_e6" if instrument.is_linear else "option_band_e6"
    return mul_ratio_ceil(instrument.notional_atoms, state.parameters[name])


def compute_effective_ticks(state: State, order: Order) -> int:
    """Return an order's effective price in ticks [ORDER-2] [IV-1] [COMBO-4]."""
    if order.has(OrderFlag.MARKET):
        least, most = compute_band(state, order.instrument)
        if not order.instrument.is_combo:
            least = max(0, least)
        edge = most if order.side == Side.BUY else least
        return round_to_tick(edge, order)
    if order.has(OrderFlag.VOLATILITY):
        return round_to_tick(compute_value_at_volatility(state, order), order)
    return order.terms.price_ticks


def round_to_tick(value_atoms: int, order: Order) -> int:
    """Return the value of a lot in ticks, down for a buy and up for a sell, on the ladder of prices."""
    tick_atoms = order.instrument.tick_atoms
    ticks = value_atoms // tick_atoms if order.side == Side.BUY else -(-value_atoms // tick_atoms)
    return min(max(ticks + order.instrument.zero_ticks, 1), PRICE_TICKS_MAX)


@kernel
def compute_option_price_x16(kind: int, forward_atoms: int, strike_atoms: int, volatility_x48: int) -> int:
    """Return the price of an option per 1.0 underlying, atoms * 2**16, at a total volatility [PRICE-10]."""
    log_ratio = ln_ratio_x48(forward_atoms, strike_atoms)
    return compute_price_x16(kind, forward_atoms << 16, strike_atoms << 16, log_ratio, volatility_x48)


def compute_value_at_volatility(state: State, order: Order) -> int:
    """Return the value of a lot at the order's volatility, in atoms, rounded down [IV-1]."""
    assert state.time_ns is not None
    option = order.instrument
    years_x48 = (max(0, option.expiry_ns - state.time_ns) << 48) // NS_PER_YEAR
    total = isqrt(years_x48 << 48) * order.volatility_bp * E6_PER_BP // E6
    volatility = min(total, TOTAL_VOLATILITY_MAX_X48)
    price = compute_option_price_x16(option.kind, option.forward_atoms, option.strike_atoms, volatility)
    return int(price) // (option.lots_per_unit << 16)
