"""docs/law/pricing.md in Python's own integers: ln, exp, the normal distribution, Black-76, SVI, rows.

Coefficients are the data of vectors/tables.json; everything else follows the clauses' text.
"""

from __future__ import annotations

import json
import math
from pathlib import Path

from .records import CALL, E6, LIMITS, SCALES, Instrument, Report, Series, Underlying

_PATH = Path(__file__).resolve().parents[2] / "vectors" / "tables.json"
_TABLES = json.loads(_PATH.read_text("ascii"))["tables"]


def _table(name: str) -> list[int]:
    return [int(entry) for entry in _TABLES[name]]


LN2_X56, LN2_INVERSE_X60 = int(_TABLES["LN2_X56"]), int(_TABLES["LN2_INVERSE_X60"])
LN_INVERSE, LN_NODE, LN_SERIES = (
    _table("LN_INVERSE_X60"),
    _table("LN_NODE_X60"),
    _table("LN_COEFFICIENTS_X60"),
)
EXP_SERIES, CDF_SERIES = _table("EXP_COEFFICIENTS_X60"), _table("CDF_COEFFICIENTS_X60")
MOVES_E6, MODES, DAMPINGS_E6 = _table("MOVE_E6"), _table("VOLATILITY_MODE"), _table("DAMPING_E6")
LN_MOVES = _table("LN_MOVE_X48")

ONE = 1 << 48
UP, DOWN = 1, 2
VOLATILITY_MAX = (1 << 51) - 1
CDF_PIECES = [CDF_SERIES[8 * i : 8 * i + 8][::-1] for i in range(64)]
MONEYNESS_GRID = [j * abs(j) << 36 for j in range(-100, 101)]
US = SCALES["NS_PER_US"]
DAY, YEAR = SCALES["NS_PER_DAY"], SCALES["NS_PER_YEAR"]


def mul(a: int, b: int) -> int:
    """[PRICE-3]."""
    return a * b >> 48


def div(a: int, b: int) -> int:
    """[PRICE-4]."""
    return (a << 48) // b


def ratio(value: int, ratio_e6: int) -> int:
    """[PRICE-2], floored."""
    return value * ratio_e6 // E6


def root(w: int) -> int:
    """[PRICE-5]."""
    return math.isqrt(w << 48)


def _ln_mantissa(a: int) -> tuple[int, int]:
    exponent = a.bit_length() - 1
    mantissa = a << (60 - exponent)
    piece = (mantissa >> 54) - 64
    rest = (mantissa * LN_INVERSE[piece] >> 60) - (1 << 60)
    total = LN_SERIES[7]
    for coefficient in LN_SERIES[6::-1]:
        total = coefficient + (total * rest >> 60)
    return exponent, LN_NODE[piece] + (total * rest >> 60)


def ln_ratio(a: int, b: int) -> int:
    """[PRICE-6]."""
    exponent_a, log_a = _ln_mantissa(a)
    exponent_b, log_b = _ln_mantissa(b)
    return ((log_a - log_b >> 4) + (exponent_a - exponent_b) * LN2_X56) >> 8


def exp(x: int) -> int:
    """[PRICE-7]."""
    power = ((x * LN2_INVERSE_X60 >> 60) + (1 << 47)) >> 48
    rest = ((x << 8) - power * LN2_X56) << 4
    total = EXP_SERIES[14]
    for coefficient in EXP_SERIES[13::-1]:
        total = coefficient + (total * rest >> 60)
    return total >> (12 - power)


def normal_cdf(x: int) -> int:
    """[PRICE-8]."""
    y = abs(x)
    if y >= 8 * ONE:
        return 0 if x < 0 else ONE
    piece = y >> 45
    u = (y - (piece << 45) - (1 << 44)) << 4
    total = 0
    for coefficient in CDF_PIECES[piece]:
        total = coefficient + (total * u >> 48)
    tail = (total + (1 << 11)) >> 12
    return tail if x < 0 else ONE - tail


def time_value(forward_x16: int, strike_x16: int, x: int, v: int) -> int:
    """[PRICE-9]."""
    if abs(x) >= 16 * v:
        return 0
    d1 = div(x, v) + (v >> 1)
    d2 = d1 - v
    if forward_x16 >= strike_x16:
        value = mul(strike_x16, normal_cdf(-d2)) - mul(forward_x16, normal_cdf(-d1))
    else:
        value = mul(forward_x16, normal_cdf(d1)) - mul(strike_x16, normal_cdf(d2))
    return max(0, min(value, forward_x16, strike_x16))


def black(is_call: bool, forward_x16: int, strike_x16: int, x: int, v: int) -> int:
    """[PRICE-10]."""
    gain = forward_x16 - strike_x16
    return max(0, gain if is_call else -gain) + time_value(forward_x16, strike_x16, x, v)


def _distance(slice_: Report, k: int) -> tuple[int, int, int]:
    """[SVI-1]: d, R and w."""
    d = k - slice_.m_x48
    radius = root(mul(d, d) + mul(slice_.sigma_x48, slice_.sigma_x48))
    return d, radius, slice_.a_x48 + mul(slice_.b_x48, mul(slice_.rho_x48, d) + radius)


def total_variance(slice_: Report, k: int) -> int:
    """[SVI-1]."""
    return _distance(slice_, k)[2]


def parameters_allowed(slice_: Report) -> bool:
    """[SVI-2]."""
    a, b, rho, m, sigma = slice_.numbers()[1:6]
    if abs(a) > 8 * ONE or b < 0 or abs(rho) >= ONE or abs(m) > 2 * ONE:
        return False
    if not 1 << 36 <= sigma <= 2 * ONE or b > 2 * ONE or mul(b, ONE + abs(rho)) > 2 * ONE:
        return False
    return a + mul(mul(b, sigma), root(ONE - mul(rho, rho))) > 0


def butterfly_free(slice_: Report) -> bool:
    """[SVI-3]: no negative probability at any point of the two grids."""
    own_grid = [slice_.m_x48 + (slice_.sigma_x48 * i >> 2) for i in range(-12, 13)]
    return all(_density_at(slice_, k) for k in MONEYNESS_GRID + own_grid)


def _density_at(slice_: Report, k: int) -> bool:
    d, radius, w = _distance(slice_, k)
    half_slope = mul(slice_.b_x48, slice_.rho_x48 + div(d, radius)) >> 1
    u = w - mul(k, half_slope)
    q = mul(half_slope, half_slope)
    if w <= 0 or abs(u) >= 128 * w or q >= 1024 * w:
        return False
    p, z = div(u, w), div(slice_.sigma_x48, radius)
    curvature = div(mul(slice_.b_x48, mul(z, z)), radius) >> 1
    return mul(p, p) - div(q, w) - (q >> 2) + curvature >= 0


def calendar_free(near: Report, far: Report) -> bool:
    """[SVI-4]."""
    return all(total_variance(far, k) >= total_variance(near, k) for k in MONEYNESS_GRID)


def total_volatility(slice_: Report, k: int, variance_ratio: int) -> int:
    """[SVI-5]."""
    w = total_variance(slice_, k)
    return min(root(mul(w, variance_ratio)), VOLATILITY_MAX) if w > 0 else 0


def shocked_volatilities(v: int, left_ns: int) -> list[int]:
    """[SCENARIO-2] and [SCENARIO-3]: unchanged, up, down."""
    days = max(left_ns, DAY)
    power = 300_000 if days <= 30 * DAY else 130_000
    g = exp(ratio(ln_ratio(30 * DAY, days), power))
    floor = ratio(root(div(left_ns, YEAR)), 400_000) if left_ns > 0 else 0
    up = min(max(mul(v, ONE + (g >> 1)), floor), VOLATILITY_MAX)
    down = min(max(mul(v, ONE - ratio(g, 300_000)), 0), VOLATILITY_MAX)
    return [v, up, down]


def option_rows(
    instrument: Instrument, series: Series, underlying: Underlying, time_ns: int, basis_shift_e6: int
) -> tuple[int, list[int], list[int]]:
    """[MARK-1], [MARK-4], [SCENARIO-4] and [SCENARIO-5]: mark, scenario row and basis row of one lot."""
    surface = series.surface
    assert surface is not None
    growth = min(div(underlying.index_atoms, series.reference_index), 16 * ONE)
    forward = mul(surface.forward_atoms, growth)
    forward = min(max(forward, 1), underlying.config["index_atoms_max"])
    left_ns = series.expiry_ns - time_ns
    variance_ratio = ONE
    if left_ns < series.variance_time_ns:
        variance_ratio = div(left_ns // US, max(1, series.variance_time_ns // US))
    is_call, strike = instrument.kind == CALL, instrument.strike_atoms
    unit = instrument.lots_per_unit << 16
    v = total_volatility(surface, ln_ratio(strike, forward), variance_ratio)
    x = ln_ratio(forward, strike)
    volatilities = shocked_volatilities(v, left_ns)

    def value(rate_e6: int, move: int, volatility: int) -> int:
        shocked = ratio(forward << 16, rate_e6)
        return black(is_call, shocked, strike << 16, x + move, volatility) // unit

    mark = value(E6, 0, v)
    rows = [
        ratio(value(E6 + MOVES_E6[s], LN_MOVES[s], volatilities[MODES[s]]) - mark, DAMPINGS_E6[s])
        for s in range(LIMITS["SCENARIO_COUNT"])
    ]
    rates = (E6 - basis_shift_e6, E6 + basis_shift_e6)
    basis = [value(rate, ln_ratio(rate, E6), v) - mark for rate in rates]
    return mark, rows, basis


def perpetual_rows(mark: int) -> tuple[list[int], list[int]]:
    """[SCENARIO-6]."""
    moves = zip(MOVES_E6, DAMPINGS_E6, strict=True)
    return [ratio(mark * move // E6, damping) for move, damping in moves], [0] * LIMITS["BASIS_COUNT"]
