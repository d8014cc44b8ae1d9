"""Fit of a raw SVI slice that the law itself accepts.

A bounded least-squares fit in float64 with penalties on the law's own grids, rounded to x48 integers and then
judged by `novate.protocol.svi`; a slice that fails is fitted again with stronger penalties. Starting points
use that SVI is linear once centre and width are fixed (Zeliade, Quasi-explicit calibration, 2009).
`refine_surface` then trades squares for numbers: marks that jump between neighbouring strikes pull a
least-squares slice away from all the others, so it looks for the slice that has the most quotes within one
volatility point.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import least_squares, minimize

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
CLOSE_FIT = 0.01  # One volatility point.
REFINE_STARTS = 3
REFINE_EVALUATIONS = 1500
REFINE_PENALTY = 30.0
REFINE_SPREAD = (0.2, 0.06, 0.06, 0.06, 0.1)
# The steps from far to near: a quote counts as out gradually, then almost at once.
REFINE_WIDTHS = (0.3, 0.1, 0.05)


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
        return self.encode(
            parameters, self.scale**2 / float(compute_total_variance(parameters, np.zeros(1))[0])
        )

    def encode(self, parameters: Parameters, growth: float = 1.0) -> Floats:
        """Return the unknowns of a slice whose variance is multiplied by `growth`."""
        a, b, rho, m, sigma = (each / ONE_X48 for each in parameters)
        s = self.scale
        least = max(growth * (a + b * sigma * float(np.sqrt(1.0 - rho * rho))), 1e-3 * s * s)
        return np.array([np.log(least / s**2), growth * b / s, rho, m / s, np.log(sigma / s)])

    def list_bounds(self) -> tuple[Floats, Floats]:
        """Return the lowest and highest unknowns."""
        s = self.scale
        lower = np.array([-9.0, 0.0, -CORRELATION_MAX, -1.9 / s, np.log(1.001 * WIDTH_MIN / s)])
        return lower, np.array([6.0, 2.0 / s, CORRELATION_MAX, 1.9 / s, np.log(1.9 / s)])

    def compute_misses(self, x: Floats, width: float) -> float:
        """Return about how many heavy quotes are more than one volatility point away, plus penalties."""
        residuals = self.compute_residuals(x, REFINE_PENALTY, MARGIN_FIRST)
        errors, violations = residuals[: self.k.size], residuals[self.k.size :]
        heavy = self.weights >= np.max(self.weights)
        points = np.abs(errors[heavy] / self.weights[heavy]) / CLOSE_FIT
        missed = np.sum(1.0 / (1.0 + np.exp(-(points - 0.96) / width)))
        # The small squares give the search a slope where every quote is far away or close.
        slope = 0.03 * np.sum(np.minimum(points, 6.0) ** 2) + 0.02 * np.sum((errors[~heavy] / CLOSE_FIT) ** 2)
        return float(missed + slope + 1e4 * np.sum(violations**2))

    def search_close(self, start: Floats) -> list[Floats]:
        """Return the slices that a search for few misses passes through."""
        lower, upper = self.list_bounds()
        found = []

        def bounded(x: Floats, width: float) -> float:
            return self.compute_misses(np.clip(x, lower, upper), width)

        for width in REFINE_WIDTHS:
            result = minimize(
                bounded,
                start,
                args=(width,),
                method="Nelder-Mead",
                options={"maxfev": REFINE_EVALUATIONS, "xatol": 1e-5, "fatol": 1e-4},
            )
            start = np.clip(result.x, lower, upper)
            found.append(start)
        return found

    def quantise(self, x: Floats) -> Parameters:
        """Return a slice in the law's integers."""
        a, b, rho, m, sigma = (round(each * ONE_X48) for each in self.decode(x))
        return a, b, rho, m, sigma

    def solve(self, start: Floats, penalty: float, margin: float, evaluations: int) -> tuple[float, Floats]:
        """Return (cost, unknowns) of one bounded least-squares fit."""
        lower, upper = self.list_bounds()
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


def make_problem(
    k: Floats,
    volatility: Floats,
    weights: Floats,
    time_years: float,
    floor: Parameters | None,
    ceiling: Parameters | None,
) -> SliceProblem:
    """Return the problem of one expiry between its neighbours' slices."""
    low = None if floor is None else compute_total_variance(floor, GRID)
    high = None if ceiling is None else compute_total_variance(ceiling, GRID)
    return SliceProblem(k, volatility, weights, time_years, low, high)


def measure_slice(problem: SliceProblem, parameters: Parameters) -> SviFit:
    """Return a slice with its errors."""
    fitted = np.sqrt(compute_total_variance(parameters, problem.k) / problem.time_years)
    error = np.abs(fitted - problem.volatility)
    rms = float(np.sqrt(np.average(error**2, weights=problem.weights)))
    return SviFit(*parameters, error_rms=rms, error_max=float(np.max(error)))


def count_close(problem: SliceProblem, parameters: Parameters) -> int:
    """Return how many of the heaviest quotes a slice has within one volatility point."""
    heavy = problem.weights >= np.max(problem.weights)
    variance = np.maximum(compute_total_variance(parameters, problem.k[heavy]), 0.0)
    error = np.abs(np.sqrt(variance / problem.time_years) - problem.volatility[heavy])
    return int(np.count_nonzero(error <= CLOSE_FIT))


def refine_surface(
    fit: SviFit,
    log_moneyness: Floats,
    implied_volatility: Floats,
    weights: Floats,
    time_years: float,
    floor: Parameters | None = None,
    ceiling: Parameters | None = None,
) -> SviFit:
    """Return the lawful slice near a fit with the most heavy quotes within one volatility point.

    Shape      arrays as `fit_surface`; the quotes of the largest weight are the ones that count.
    Cost       nothing if every heavy quote is close already, else a few thousand evaluations.
    """
    problem = make_problem(log_moneyness, implied_volatility, weights, time_years, floor, ceiling)
    total = int(np.count_nonzero(weights >= np.max(weights)))
    best, close = fit.parameters, count_close(problem, fit.parameters)
    start = problem.encode(fit.parameters)
    for attempt in range(REFINE_STARTS):
        if close == total:
            break
        shake = np.random.default_rng(attempt).normal(0.0, 1.0, 5) * np.array(REFINE_SPREAD)
        for x in problem.search_close(start + (shake if attempt else 0.0)):
            parameters = problem.quantise(x)
            if is_lawful(parameters, floor, ceiling) and count_close(problem, parameters) > close:
                best, close = parameters, count_close(problem, parameters)
    return measure_slice(problem, best)


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
    problem = make_problem(k, volatility, weight, time_years, floor, ceiling)
    penalty, margin = PENALTY_FIRST, MARGIN_FIRST
    starts = problem.list_starts()
    starts.extend(problem.encode_scaled(each) for each in (floor, ceiling) if each is not None)
    for _ in range(ATTEMPTS):
        sketches = [problem.solve(start, penalty, margin, SKETCH_EVALUATIONS) for start in starts]
        best = min(sketches, key=lambda pair: pair[0])[1]
        best = problem.solve(best, penalty, margin, POLISH_EVALUATIONS)[1]
        parameters = problem.quantise(best)
        if is_lawful(parameters, floor, ceiling):
            return measure_slice(problem, parameters)
        starts.append(best)
        penalty, margin = 10.0 * penalty, 2.0 * margin
    raise SurfaceUnfitted(f"no lawful slice after {ATTEMPTS} attempts")
