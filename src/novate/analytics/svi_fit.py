"""Fit of a raw SVI slice that the law itself accepts.

A bounded least-squares fit in float64 with penalties on the law's own grids, rounded to x48 integers and then
judged by `novate.protocol.svi`; a slice that fails is fitted again with stronger penalties. Starting points
use that SVI is linear once centre and width are fixed (Zeliade, Quasi-explicit calibration, 2009).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import least_squares

from novate.protocol.arithmetic import ONE_X48
from novate.protocol.svi import (
    GRID_COUNT,
    SLICE_GRID_COUNT,
    SURFACE_OK,
    WIDTH_MIN_X48,
    compute_grid_moneyness_x48,
    has_butterfly_arbitrage,
    has_calendar_arbitrage,
    verify_surface_parameters,
)

Floats = NDArray[np.float64]
Parameters = tuple[int, int, int, int, int]

GRID = np.array([compute_grid_moneyness_x48(j) / ONE_X48 for j in range(-GRID_COUNT, GRID_COUNT + 1)])
SLICE_GRID = np.arange(-SLICE_GRID_COUNT, SLICE_GRID_COUNT + 1) / 4.0
WIDTH_MIN = WIDTH_MIN_X48 / ONE_X48
CORRELATION_MAX = 0.999
ATTEMPTS = 6
START_COUNT = 3
SKETCH_EVALUATIONS = 40
POLISH_EVALUATIONS = 300
TOLERANCE = 1e-7
# A millionth of a volatility is what a violation must cost at least; each attempt asks ten times more.
PENALTY_FIRST = 10.0
MARGIN_FIRST = 1e-4


class SurfaceUnfitted(ValueError):
    """No slice that the law accepts was found."""


@dataclass(frozen=True)
class SviFit:
    """A slice in x48 integers and its errors in volatility (0.01 is one volatility point)."""

    a: int
    b: int
    rho: int
    m: int
    sigma: int
    error_rms: float
    error_max: float

    @property
    def parameters(self) -> Parameters:
        """The five integers in the order of the law."""
        return self.a, self.b, self.rho, self.m, self.sigma


def compute_total_variance(parameters: Parameters, k: Floats) -> Floats:
    """Return the slice's total variance in float64 at log-moneyness k = ln(strike / forward)."""
    a, b, rho, m, sigma = (each / ONE_X48 for each in parameters)
    d = k - m
    return np.asarray(a + b * (rho * d + np.sqrt(d * d + sigma * sigma)))


def is_lawful(parameters: Parameters, floor: Parameters | None, ceiling: Parameters | None) -> bool:
    """Whether the law accepts a slice between its neighbours. [SVI-2], [SVI-3], [SVI-4]."""
    if verify_surface_parameters(*parameters) != SURFACE_OK or has_butterfly_arbitrage(*parameters):
        return False
    if floor is not None and has_calendar_arbitrage(*floor, *parameters):
        return False
    return ceiling is None or not has_calendar_arbitrage(*parameters, *ceiling)


@dataclass(frozen=True)
class SliceProblem:
    """One expiry to fit. Unknowns are scaled by the total volatility at the money, so all are near one."""

    k: Floats
    volatility: Floats
    weights: Floats
    time_years: float
    floor: Floats | None
    ceiling: Floats | None

    @property
    def scale(self) -> float:
        """Total volatility of the quote nearest the money."""
        nearest = int(np.argmin(np.abs(self.k)))
        return float(self.volatility[nearest] * np.sqrt(self.time_years))

    def decode(self, x: Floats) -> tuple[float, float, float, float, float]:
        """Return (a, b, rho, m, sigma) from (ln least variance, slope, rho, centre, ln width), all scaled."""
        s = self.scale
        b, rho, m, sigma = s * float(x[1]), float(x[2]), s * float(x[3]), s * float(np.exp(x[4]))
        b = min(b, 1.999 / (1.0 + abs(rho)))
        a = s * s * float(np.exp(x[0])) - b * sigma * float(np.sqrt(1.0 - rho * rho))
        return a, b, rho, m, sigma

    def compute_residuals(self, x: Floats, penalty: float, margin: float) -> Floats:
        """Return weighted volatility errors, then penalties for what the law would refuse."""
        a, b, rho, m, sigma = self.decode(x)
        s2 = self.scale**2

        def variance(k: Floats) -> Floats:
            d = k - m
            return np.asarray(a + b * (rho * d + np.sqrt(d * d + sigma * sigma)))

        fitted = np.sqrt(np.maximum(variance(self.k), 1e-12) / self.time_years)
        parts = [self.weights * (fitted - self.volatility)]
        k = np.concatenate([GRID, m + sigma * SLICE_GRID])
        d = k - m
        root = np.sqrt(d * d + sigma * sigma)
        w = np.maximum(variance(k), 1e-12)
        half_slope = 0.5 * b * (rho + d / root)
        g = (1.0 - k * half_slope / w) ** 2 - half_slope**2 * (1.0 / w + 0.25) + 0.5 * b * sigma**2 / root**3
        parts.append(penalty * np.minimum(g - 10.0 * margin, 0.0))
        on_grid = w[: GRID.size]
        if self.floor is not None:
            parts.append(penalty * np.minimum((on_grid - self.floor) / s2 - margin, 0.0))
        if self.ceiling is not None:
            parts.append(penalty * np.minimum((self.ceiling - on_grid) / s2 - margin, 0.0))
        return np.concatenate(parts)

    def list_starts(self) -> list[Floats]:
        """Return the best starting points of a coarse search over centre and width."""
        s = self.scale
        target = self.volatility**2 * self.time_years
        weights = self.weights / (2.0 * self.volatility * self.time_years)
        found = []
        for centre in (-3.0, -1.0, -0.3, 0.0, 0.3, 1.0, 3.0):
            for width in (0.1, 0.3, 0.7, 1.5, 3.0, 6.0):
                m, sigma = s * centre, max(s * width, 1.05 * WIDTH_MIN)
                d = self.k - m
                columns = np.stack([np.ones_like(d), d, np.sqrt(d * d + sigma * sigma)], axis=1)
                solution = np.linalg.lstsq(columns * weights[:, None], target * weights, rcond=None)[0]
                b = max(float(solution[2]), 1e-3 * s)
                rho = float(np.clip(solution[1] / b, -0.95, 0.95))
                least = max(float(solution[0]) + b * sigma * np.sqrt(1.0 - rho * rho), 0.05 * s * s)
                x = np.array([np.log(least / s**2), b / s, rho, centre, np.log(sigma / s)])
                found.append((float(np.sum(self.compute_residuals(x, 1.0, 0.0) ** 2)), x))
        found.sort(key=lambda pair: pair[0])
        return [x for _, x in found[:START_COUNT]]

    def encode_scaled(self, parameters: Parameters) -> Floats:
        """Return the unknowns of a neighbour's slice, scaled to this expiry's variance."""
        a, b, rho, m, sigma = (each / ONE_X48 for each in parameters)
        s = self.scale
        growth = s * s / float(compute_total_variance(parameters, np.zeros(1))[0])
        least = max(growth * (a + b * sigma * float(np.sqrt(1.0 - rho * rho))), 1e-3 * s * s)
        return np.array([np.log(least / s**2), growth * b / s, rho, m / s, np.log(sigma / s)])

    def solve(self, start: Floats, penalty: float, margin: float, evaluations: int) -> tuple[float, Floats]:
        """Return (cost, unknowns) of one bounded least-squares fit."""
        s = self.scale
        lower = np.array([-9.0, 0.0, -CORRELATION_MAX, -1.9 / s, np.log(1.001 * WIDTH_MIN / s)])
        upper = np.array([6.0, 2.0 / s, CORRELATION_MAX, 1.9 / s, np.log(1.9 / s)])
        inside = np.clip(start, lower + 1e-9, upper - 1e-9)
        result = least_squares(
            self.compute_residuals,
            inside,
            bounds=(lower, upper),
            args=(penalty, margin),
            max_nfev=evaluations,
            ftol=TOLERANCE,
            xtol=TOLERANCE,
        )
        return float(result.cost), np.asarray(result.x)


def fit_surface(
    log_moneyness: Floats,
    implied_volatility: Floats,
    weights: Floats,
    time_years: float,
    floor: Parameters | None = None,
    ceiling: Parameters | None = None,
) -> SviFit:
    """Return the slice nearest to quoted volatilities among those that the law accepts.

    Shape      three arrays of one length, at least five quotes.
    Units      log_moneyness = ln(strike / forward); volatility per year, 1.00 = 100 %; weights relative.
    Errors     `SurfaceUnfitted` if none was found between `floor`, the slice of the expiry before, and
               `ceiling`, that of the expiry after; ValueError for bad input.
    """
    k, volatility, weight = (np.asarray(x, float) for x in (log_moneyness, implied_volatility, weights))
    if not k.size == volatility.size == weight.size >= 5:
        raise ValueError("a slice needs at least five quotes, and as many volatilities and weights")
    if time_years <= 0.0 or not np.all(np.isfinite(k)) or not np.all(volatility > 0.0):
        raise ValueError("time and volatilities must be positive, log-moneyness finite")
    problem = SliceProblem(
        k=k,
        volatility=volatility,
        weights=weight,
        time_years=time_years,
        floor=None if floor is None else compute_total_variance(floor, GRID),
        ceiling=None if ceiling is None else compute_total_variance(ceiling, GRID),
    )
    penalty, margin = PENALTY_FIRST, MARGIN_FIRST
    starts = problem.list_starts()
    starts.extend(problem.encode_scaled(each) for each in (floor, ceiling) if each is not None)
    for _ in range(ATTEMPTS):
        sketches = [problem.solve(start, penalty, margin, SKETCH_EVALUATIONS) for start in starts]
        best = min(sketches, key=lambda pair: pair[0])[1]
        best = problem.solve(best, penalty, margin, POLISH_EVALUATIONS)[1]
        a, b, rho, m, sigma = (round(each * ONE_X48) for each in problem.decode(best))
        parameters = (a, b, rho, m, sigma)
        if is_lawful(parameters, floor, ceiling):
            fitted = np.sqrt(compute_total_variance(parameters, k) / time_years)
            error = np.abs(fitted - volatility)
            rms = float(np.sqrt(np.average(error**2, weights=weight)))
            return SviFit(*parameters, error_rms=rms, error_max=float(np.max(error)))
        starts.append(best)
        penalty, margin = 10.0 * penalty, 2.0 * margin
    raise SurfaceUnfitted(f"no lawful slice after {ATTEMPTS} attempts")
