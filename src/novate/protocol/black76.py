"""Black-76 value of a European option on a forward, undiscounted, in integers.

Implements [PRICE-9] and [PRICE-10]. The out-of-the-money option of the pair is priced and the intrinsic value
added, so put-call parity, C - P = F - K, holds to the last bit and no price is below intrinsic value.
"""

from novate.kernel import kernel_inline
from novate.protocol.arithmetic import div_x48, mul_x48
from novate.protocol.generated.codes import InstrumentKind
from novate.protocol.transcendental import normal_cdf_x48

CALL = int(InstrumentKind.CALL)
PUT = int(InstrumentKind.PUT)
# Just below 8, where an at-the-money option is worth all but 6e-5 of its forward.
TOTAL_VOLATILITY_MAX_X48 = (1 << 51) - 1
# Beyond this many total volatilities from the strike the out-of-the-money option is worth nothing.
SATURATION = 16


@kernel_inline
def compute_time_value_x16(
    forward_x16: int, strike_x16: int, log_ratio_x48: int, total_volatility_x48: int
) -> int:
    """Return the value of the out-of-the-money option of the pair with this strike.

    Units      atoms * 2**16 per 1.0 underlying; log_ratio is ln(forward / strike), volatility is
               total: vol * sqrt(years).
    Range      0 < forward, strike < 2**59; |log_ratio| < 2**54; 0 <= total volatility < 2**51 (below 8).
    Rounding   each product down, the difference clamped to [0, min(forward, strike)].
    Error      as `compute_price_x16`.
    Law        [PRICE-9]
    """
    distance = -log_ratio_x48 if log_ratio_x48 < 0 else log_ratio_x48
    # This also covers a total volatility of zero. SATURATION * total volatility is below 2**55.
    if distance >= SATURATION * total_volatility_x48:
        return 0
    d1 = div_x48(log_ratio_x48, total_volatility_x48) + (total_volatility_x48 >> 1)
    d2 = d1 - total_volatility_x48
    # |d1| and |d2| are below 20 * 2**48.
    if forward_x16 >= strike_x16:
        value = mul_x48(strike_x16, normal_cdf_x48(-d2)) - mul_x48(forward_x16, normal_cdf_x48(-d1))
        bound = strike_x16
    else:
        value = mul_x48(forward_x16, normal_cdf_x48(d1)) - mul_x48(strike_x16, normal_cdf_x48(d2))
        bound = forward_x16
    if value < 0:
        return 0
    return bound if value > bound else value


@kernel_inline
def compute_price_x16(
    option_kind: int, forward_x16: int, strike_x16: int, log_ratio_x48: int, total_volatility_x48: int
) -> int:
    """Return the undiscounted Black-76 price of a call (0) or a put (1) per 1.0 underlying.

    Units      atoms * 2**16; log_ratio = ln(forward / strike); total volatility = vol * sqrt(years), not vol.
    Range      0 < forward, strike < 2**59; |log_ratio| < 2**54; 0 <= total volatility < 2**51 (below 8).
    Rounding   as `compute_time_value_x16`; intrinsic value is exact.
    Error      below 1e-13 of the larger of forward and strike (tests/law/test_black76.py).
    Source     F. Black (1976), The pricing of commodity contracts, equation 16, with no discounting.
    Law        [PRICE-10]
    """
    intrinsic = forward_x16 - strike_x16 if option_kind == CALL else strike_x16 - forward_x16
    if intrinsic < 0:
        intrinsic = 0
    return intrinsic + compute_time_value_x16(forward_x16, strike_x16, log_ratio_x48, total_volatility_x48)
