"""docs/law/pricing.md in Python's own integers: ln, exp, the normal distribution, Black-76, SVI, rows.

Coefficients are the data of vectors/tables.json; everything else follows the clauses' text.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

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
INVERSE_SQRT3 = 162_509_653_574_040
MONEYNESS_GRID = [j * abs(j) << 36 for j in range(-100, 101)]
US, MS = SCALES["NS_PER_US"], SCALES["NS_PER_MS"]
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


def yearly_root(left_ns: int) -> int:
    """The square root of the years that are left: what a yearly volatility is multiplied by."""
    return root(div(max(0, left_ns), YEAR))


def shocked_volatilities(
    v: int, left_ns: int, reduced: Callable[[int], int] = lambda volatility: volatility
) -> list[int]:
    """[SCENARIO-2] and [SCENARIO-3]: unchanged, up, down; `reduced` is what [MARK-5] does to the floor."""
    days = max(left_ns, DAY)
    power = 300_000 if days <= 30 * DAY else 130_000
    g = exp(ratio(ln_ratio(30 * DAY, days), power))
    floor = reduced(ratio(yearly_root(left_ns), 400_000))
    up = min(max(mul(v, ONE + (g >> 1)), floor), VOLATILITY_MAX)
    down = min(max(mul(v, ONE - ratio(g, 300_000)), 0), VOLATILITY_MAX)
    return [v, up, down]


class Outlook(NamedTuple):
    """A series at a mark update: its forward, and the known and the moving part of it ([MARK-5]).

    Outside the settlement window nothing is known yet and the whole forward moves.
    """

    forward: int
    known: int
    moving: int
    in_window: bool
    left_ns: int
    variance_ratio: int

    def reduced(self, volatility: int) -> int:
        """[MARK-5]: a volatility times the share that moves and times that of an average."""
        if not self.in_window:
            return volatility
        return mul(mul(volatility, div(self.moving, self.forward)), INVERSE_SQRT3)

    def shocked(self, rate_e6: int) -> int:
        """The forward after a move, in x16."""
        if not self.in_window:
            return ratio(self.forward << 16, rate_e6)
        return max(1, (self.known << 16) + ratio(self.moving << 16, rate_e6))

    def log_moneyness(self, strike: int, rate_e6: int, log_rate: int) -> int:
        """Logarithm of the shocked forward over the strike; outside the window a constant is added."""
        if not self.in_window:
            return ln_ratio(self.forward, strike) + log_rate
        return ln_ratio(self.shocked(rate_e6), strike << 16)


def is_in_window(series: Series, time_ns: int) -> bool:
    """Whether a time is in the half hour before the expiry ([MARK-5])."""
    return series.expiry_ns - SCALES["TWAP_WINDOW_NS"] <= time_ns < series.expiry_ns


def outlook(series: Series, underlying: Underlying, time_ns: int) -> Outlook:
    """[MARK-1] and [MARK-5]: the forward of a series that has a surface."""
    surface = series.surface
    assert surface is not None
    if underlying.index_atoms >= 16 * series.reference_index:
        growth = 16 * ONE
    else:
        growth = div(underlying.index_atoms, series.reference_index)
    forward = min(max(mul(surface.forward_atoms, growth), 1), underlying.config["index_atoms_max"])
    left_ns = series.expiry_ns - time_ns
    variance_ratio = ONE
    if left_ns < series.variance_time_ns:
        variance_ratio = div(left_ns // US, max(1, series.variance_time_ns // US))
    remaining_ms = series.expiry_ns // MS - time_ns // MS
    whole_ms = series.twap_ms + remaining_ms
    if not is_in_window(series, time_ns) or whole_ms == 0:
        return Outlook(forward, 0, forward, False, left_ns, variance_ratio)
    known, moving = series.twap_sum // whole_ms, forward * remaining_ms // whole_ms
    return Outlook(max(1, known + moving), known, moving, True, left_ns, variance_ratio)


def lot_value(instrument: Instrument, forward_x16: int, x: int, volatility: int) -> int:
    """[MARK-4]: an option's value per lot, floored; x is ln(forward / strike)."""
    price = black(instrument.kind == CALL, forward_x16, instrument.strike_atoms << 16, x, volatility)
    return price // (instrument.lots_per_unit << 16)


def value_at(instrument: Instrument, forward: int, volatility: int) -> int:
    """[MARK-4]: an option's value per lot at a forward in atoms and a total volatility."""
    return lot_value(instrument, forward << 16, ln_ratio(forward, instrument.strike_atoms), volatility)


class Marked(NamedTuple):
    """What a mark update says about one lot, in atoms."""

    mark: int
    rows: list[int]
    basis: list[int]
    delta: int
    vega: int
    forward: int


def mark_option(instrument: Instrument, view: Outlook, surface: Report, basis_shift_e6: int) -> Marked:
    """[MARK-4], [SCENARIO-4], [SCENARIO-5] and [GREEK-1]."""
    strike, left_ns = instrument.strike_atoms, view.left_ns
    v = total_volatility(surface, ln_ratio(strike, view.forward), view.variance_ratio)
    v = view.reduced(v)
    volatilities = shocked_volatilities(v, left_ns, view.reduced)
    mark = value_at(instrument, view.forward, v)

    def gain(rate_e6: int, log_rate: int, volatility: int) -> int:
        x = view.log_moneyness(strike, rate_e6, log_rate)
        return lot_value(instrument, view.shocked(rate_e6), x, volatility) - mark

    moves = zip(MOVES_E6, LN_MOVES, MODES, DAMPINGS_E6, strict=True)
    rows = [
        ratio(gain(E6 + move, log_move, volatilities[mode]), damping)
        for move, log_move, mode, damping in moves
    ]
    basis = [gain(rate, ln_ratio(rate, E6), v) for rate in (E6 - basis_shift_e6, E6 + basis_shift_e6)]
    point = ratio(view.reduced(yearly_root(left_ns)), 10_000)
    vega = value_at(instrument, view.forward, min(v + point, VOLATILITY_MAX)) - mark
    delta = (basis[1] - basis[0]) * E6 // (2 * basis_shift_e6)
    return Marked(mark, rows, basis, delta, vega, view.forward)


def linear_rows(atoms: int) -> list[int]:
    """[SCENARIO-6] of what moves of a lot."""
    moves = zip(MOVES_E6, DAMPINGS_E6, strict=True)
    return [ratio(atoms * move // E6, damping) for move, damping in moves]


def mark_perpetual(instrument: Instrument, index_atoms: int) -> Marked:
    """[MARK-2], [SCENARIO-6] and [GREEK-1]."""
    mark = index_atoms // instrument.lots_per_unit
    return Marked(mark, linear_rows(mark), [0] * LIMITS["BASIS_COUNT"], mark, 0, 0)


def mark_future(instrument: Instrument, view: Outlook, basis_shift_e6: int) -> Marked:
    """[FUT-1], [FUT-2], [MARK-5] and [GREEK-1]."""
    mark, moving = view.forward // instrument.lots_per_unit, view.moving // instrument.lots_per_unit
    basis = [moving * shift // E6 for shift in (-basis_shift_e6, basis_shift_e6)]
    delta = (basis[1] - basis[0]) * E6 // (2 * basis_shift_e6)
    return Marked(mark, linear_rows(moving), basis, delta, 0, view.forward)
