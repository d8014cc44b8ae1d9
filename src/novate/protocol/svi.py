"""Raw SVI total variance and the checks that decide whether the law accepts a surface.

Implements [SVI-1] to [SVI-5]. A slice is (a, b, rho, m, sigma) in x48 and k is ln(strike / forward) in x48.
Arbitrage is checked on fixed grids of k, since all machines must judge a surface alike; the checks err on the
side of refusing. Source: J. Gatheral and A. Jacquier (2014), Arbitrage-free SVI volatility surfaces.
"""

from novate.kernel import kernel, kernel_inline
from novate.protocol.arithmetic import ONE_X48, div_x48, mul_x48, sqrt_x48
from novate.protocol.black76 import TOTAL_VOLATILITY_MAX_X48

LEVEL_MAX_X48 = 8 * ONE_X48
CENTRE_MAX_X48 = 2 * ONE_X48
WIDTH_MAX_X48 = 2 * ONE_X48
# 2**-12: a corner sharp enough for the last hour, wide enough that curvature fits its quotient.
WIDTH_MIN_X48 = ONE_X48 >> 12
# R. Lee (2004): total variance cannot grow faster than 2 |k|.
WING_SLOPE_MAX_X48 = 2 * ONE_X48

# The moneyness grid is k = j * |j| / 4096 for |j| <= 100: dense at the money, out to |k| = 2.44.
GRID_COUNT = 100
GRID_SHIFT = 36
# The slice grid is k = m + sigma * i / 4 for |i| <= 12: it follows the corner of the hyperbola.
SLICE_GRID_COUNT = 12

SURFACE_OK = 0
SURFACE_LEVEL_OUT_OF_RANGE = 1
SURFACE_SLOPE_NEGATIVE = 2
SURFACE_CORRELATION_OUT_OF_RANGE = 3
SURFACE_CENTRE_OUT_OF_RANGE = 4
SURFACE_WIDTH_OUT_OF_RANGE = 5
SURFACE_WING_TOO_STEEP = 6
SURFACE_VARIANCE_NOT_POSITIVE = 7

# A quotient beyond these marks an absurd slice, and keeps every square below 2**62.
DRIFT_RATIO_MAX = 128
SLOPE_RATIO_MAX = 1024


@kernel_inline
def compute_svi_total_variance_x48(a: int, b: int, rho: int, m: int, sigma: int, k: int) -> int:
    """Return a + b * (rho * (k - m) + sqrt((k - m)**2 + sigma**2)).

    Units      all x48; k = ln(strike / forward); the result is volatility squared times years.
    Range      parameters accepted by `verify_surface_parameters`, |k| < 28 * 2**48; |result| < 2**55.
    Rounding   each product and the root down.
    Law        [SVI-1]
    """
    d = k - m
    # |d| is below 30, so d**2 + sigma**2 is below 904 < 2**10.
    root = sqrt_x48(mul_x48(d, d) + mul_x48(sigma, sigma))
    return a + mul_x48(b, mul_x48(rho, d) + root)


@kernel
def verify_surface_parameters(a: int, b: int, rho: int, m: int, sigma: int) -> int:
    """Return SURFACE_OK, or the code of the first range that a slice leaves.

    Units      all x48, as `compute_svi_total_variance_x48`.
    Range      any int64 above -2**63.
    Law        [SVI-2]
    """
    if a < -LEVEL_MAX_X48 or a > LEVEL_MAX_X48:
        return SURFACE_LEVEL_OUT_OF_RANGE
    if b < 0:
        return SURFACE_SLOPE_NEGATIVE
    if rho <= -ONE_X48 or rho >= ONE_X48:
        return SURFACE_CORRELATION_OUT_OF_RANGE
    if m < -CENTRE_MAX_X48 or m > CENTRE_MAX_X48:
        return SURFACE_CENTRE_OUT_OF_RANGE
    if sigma < WIDTH_MIN_X48 or sigma > WIDTH_MAX_X48:
        return SURFACE_WIDTH_OUT_OF_RANGE
    steepness = ONE_X48 - rho if rho < 0 else ONE_X48 + rho
    # b is bounded first, because a product of two unbounded numbers would not fit.
    if b > WING_SLOPE_MAX_X48 or mul_x48(b, steepness) > WING_SLOPE_MAX_X48:
        return SURFACE_WING_TOO_STEEP
    depth = mul_x48(mul_x48(b, sigma), sqrt_x48(ONE_X48 - mul_x48(rho, rho)))
    if a + depth <= 0:
        return SURFACE_VARIANCE_NOT_POSITIVE
    return SURFACE_OK


@kernel_inline
def compute_grid_moneyness_x48(j: int) -> int:
    """Return point j of the moneyness grid, j * |j| / 4096 in x48, for |j| <= 100. [SVI-3]."""
    return (-j * j if j < 0 else j * j) << GRID_SHIFT


@kernel
def has_butterfly_arbitrage_at(a: int, b: int, rho: int, m: int, sigma: int, k: int) -> bool:
    """Return whether Gatheral and Jacquier's g(k) is negative, or too ill-conditioned to be trusted.

    g(k) = (1 - k w' / (2 w))**2 - (w' / 2)**2 * (1 / w + 1 / 4) + w'' / 2, equation 2.1.

    Range      parameters accepted by `verify_surface_parameters`, |k - m| <= 6 * 2**48, |k| <= 8 * 2**48.
    Rounding   each product, quotient and root down.
    Law        [SVI-3]
    """
    d = k - m
    root = sqrt_x48(mul_x48(d, d) + mul_x48(sigma, sigma))
    # root is in [2**-12, 7], so half the curvature is below 2**13.
    variance = a + mul_x48(b, mul_x48(rho, d) + root)
    if variance <= 0:
        return True
    half_slope = mul_x48(b, rho + div_x48(d, root)) >> 1
    drift = variance - mul_x48(k, half_slope)
    slope_squared = mul_x48(half_slope, half_slope)
    # variance is below 21 * 2**48, since b * (rho * d + root) <= 2 * root, so 1024 times it is below 2**63.
    if abs(drift) >= DRIFT_RATIO_MAX * variance or slope_squared >= SLOPE_RATIO_MAX * variance:
        return True
    drift_ratio = div_x48(drift, variance)
    slope_ratio = div_x48(slope_squared, variance)
    narrowness = div_x48(sigma, root)
    half_curvature = div_x48(mul_x48(b, mul_x48(narrowness, narrowness)), root) >> 1
    return mul_x48(drift_ratio, drift_ratio) - slope_ratio - (slope_squared >> 2) + half_curvature < 0


@kernel
def has_butterfly_arbitrage(a: int, b: int, rho: int, m: int, sigma: int) -> bool:
    """Return whether g is negative at a point of the moneyness grid or of the slice grid.

    Range      parameters accepted by `verify_surface_parameters`.
    Law        [SVI-3]
    """
    for j in range(-GRID_COUNT, GRID_COUNT + 1):
        if has_butterfly_arbitrage_at(a, b, rho, m, sigma, compute_grid_moneyness_x48(j)):
            return True
    for i in range(-SLICE_GRID_COUNT, SLICE_GRID_COUNT + 1):
        if has_butterfly_arbitrage_at(a, b, rho, m, sigma, m + ((sigma * i) >> 2)):
            return True
    return False


@kernel
def has_calendar_arbitrage(
    near_a: int,
    near_b: int,
    near_rho: int,
    near_m: int,
    near_sigma: int,
    far_a: int,
    far_b: int,
    far_rho: int,
    far_m: int,
    far_sigma: int,
) -> bool:
    """Return whether the far slice has less total variance than the near one at a point of the grid.

    Range      both slices accepted by `verify_surface_parameters`. Equality is no arbitrage.
    Law        [SVI-4]
    """
    for j in range(-GRID_COUNT, GRID_COUNT + 1):
        k = compute_grid_moneyness_x48(j)
        near = compute_svi_total_variance_x48(near_a, near_b, near_rho, near_m, near_sigma, k)
        far = compute_svi_total_variance_x48(far_a, far_b, far_rho, far_m, far_sigma, k)
        if far < near:
            return True
    return False


@kernel
def compute_total_volatility_x48(
    a: int, b: int, rho: int, m: int, sigma: int, k: int, variance_time_ratio_x48: int
) -> int:
    """Return the square root of the slice's total variance at k, scaled to the time that remains, below 8.

    Range      an accepted slice, |k| < 28 * 2**48, 0 <= ratio <= 2**48.
    Rounding   the scaled variance down, the root down, then clamped to [0, 2**51 - 1].
    Law        [SVI-5]
    """
    variance = compute_svi_total_variance_x48(a, b, rho, m, sigma, k)
    if variance <= 0:
        return 0
    # variance is below 2**55, so the root is below 2**52.
    volatility = sqrt_x48(mul_x48(variance, variance_time_ratio_x48))
    return TOTAL_VOLATILITY_MAX_X48 if volatility > TOTAL_VOLATILITY_MAX_X48 else volatility
