"""What a venue lists and where its prices begin: from a file of an option chain, or from figures built in.

A plan is integers as the law wants them. The float code that fits surfaces only proposes; each slice here
was accepted by the law's own checks.
"""

import math
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from novate.protocol.arithmetic import ONE_X48
from novate.protocol.generated.constants import E6, NS_PER_DAY, NS_PER_S, NS_PER_YEAR
from novate.protocol.svi import (
    SURFACE_OK,
    has_butterfly_arbitrage,
    has_calendar_arbitrage,
    verify_surface_parameters,
)

if TYPE_CHECKING:
    from novate.analytics.chain import ChainUnderlying, FitReport

BUILTIN_FILE = Path(__file__).with_name("builtin_market.toml")
EXPIRY_HOUR_NS = 8 * 3_600 * NS_PER_S
# A slice that crosses the one before it is raised by this share of its variance, step by step.
LIFT_STEP = 0.0005
LIFT_STEPS_MAX = 200
Svi = tuple[int, int, int, int, int]

# Limits and steps of each underlying that this program knows how to list. [UNIT-6]
UNDERLYING_ROWS: dict[str, dict[str, Any]] = {
    "BTC": {
        "name": "BTC",
        "index_atoms_max": 1_000_000 * E6,
        "option_lots_per_unit": 100,
        "option_tick_atoms": 50_000,
        "perpetual_lots_per_unit": 1_000,
        "perpetual_tick_atoms": 2_500,
        "funding_impact_lots": 100,
        "slice_notional_atoms": 120_000 * E6,
    },
    "ETH": {
        "name": "ETH",
        "index_atoms_max": 150_000 * E6,
        "option_lots_per_unit": 10,
        "option_tick_atoms": 20_000,
        "perpetual_lots_per_unit": 100,
        "perpetual_tick_atoms": 1_000,
        "funding_impact_lots": 200,
        "slice_notional_atoms": 50_000 * E6,
    },
}


class MarketError(ValueError):
    """A chain or price file that cannot be used; the message says what was expected."""


class OptionPlan(NamedTuple):
    """One option to list."""

    strike_atoms: int
    is_call: bool


@dataclass(frozen=True)
class SeriesPlan:
    """One expiry: its options, and the slice and forward as they were at `observed_ns`."""

    expiry_ns: int
    observed_ns: int
    forward_atoms: int
    reference_index_atoms: int
    svi: Svi
    options: tuple[OptionPlan, ...]


@dataclass(frozen=True)
class UnderlyingPlan:
    """One underlying: its first index, its expiries in order, whether it has a perpetual, and whether each
    expiry has a future.
    """

    name: str
    index_atoms: int
    series: tuple[SeriesPlan, ...]
    has_perpetual: bool
    has_futures: bool = False

    @property
    def linear_count(self) -> int:
        """How many perpetuals and futures are listed."""
        return self.has_perpetual + (len(self.series) if self.has_futures else 0)


@dataclass(frozen=True)
class MarketPlan:
    """Everything to list and to report first. `fit` says how well surfaces fit the file they came from."""

    base_time_ns: int
    underlyings: tuple[UnderlyingPlan, ...]
    source: str
    fit: "FitReport | None" = None

    @property
    def option_count(self) -> int:
        """How many options are listed."""
        return sum(len(series.options) for underlying in self.underlyings for series in underlying.series)

    @property
    def instrument_count(self) -> int:
        """How many instruments are listed, perpetuals and futures included."""
        return self.option_count + sum(underlying.linear_count for underlying in self.underlyings)

    @property
    def series_count(self) -> int:
        """How many expiries are listed, over all underlyings."""
        return sum(len(underlying.series) for underlying in self.underlyings)

    def list_genesis_rows(self) -> list[dict[str, Any]]:
        """Return the underlyings as the genesis file has them."""
        return [UNDERLYING_ROWS[underlying.name] for underlying in self.underlyings]


def is_lawful(svi: Svi, near: Svi | None, far: Svi | None) -> bool:
    """Whether the law accepts a slice between its neighbours. [SURFACE-1], [SURFACE-2]"""
    if verify_surface_parameters(*svi) != SURFACE_OK or has_butterfly_arbitrage(*svi):
        return False
    if near is not None and has_calendar_arbitrage(*near, *svi):
        return False
    return far is None or not has_calendar_arbitrage(*svi, *far)


def scale_slice(svi: Svi, ratio: float, added_variance: float = 0.0) -> Svi:
    """Return the slice with its total variance times `ratio`, plus a constant total variance."""
    a, b, rho, m, sigma = svi
    return round(a * ratio + added_variance * ONE_X48), round(b * ratio), rho, m, sigma


def lift_slice(svi: Svi, near: Svi | None) -> Svi:
    """Return the slice, raised as little as it takes for the law to accept it after the nearer one."""
    for step in range(LIFT_STEPS_MAX):
        lifted = scale_slice(svi, 1.0 + step * LIFT_STEP)
        if is_lawful(lifted, near, None):
            return lifted
    raise MarketError("a surface is not acceptable to the law, even raised")


def compute_level(svi: Svi) -> float:
    """Return the slice's total variance at the money."""
    a, b, rho, m, sigma = (each / ONE_X48 for each in svi)
    return a + b * (-rho * m + math.hypot(m, sigma))


def plan_chain_underlying(
    underlying: "ChainUnderlying", observed_ns: int, report: "FitReport"
) -> UnderlyingPlan:
    """Return the plan of one underlying of a chain: its options exactly, each expiry with a fitted slice."""
    from novate.analytics.chain import fit_expiries, measure_fit

    fitted = fit_expiries(underlying)
    measure_fit(fitted, report)
    index_atoms = round(underlying.index * E6)
    series = tuple(
        SeriesPlan(
            expiry.expiry_ns,
            observed_ns,
            round(expiry.forward * E6),
            index_atoms,
            fit.parameters,
            tuple(OptionPlan(round(option.strike * E6), option.is_call) for option in expiry.options),
        )
        for expiry, fit in fitted
    )
    return UnderlyingPlan(underlying.name, index_atoms, series, has_perpetual=False)


def plan_chain(path: Path) -> MarketPlan:
    """Return the market of a chain file: all options of known underlyings that have a forward and have not
    expired.

    The prices of the file are in coin; forwards, strikes and volatilities carry over to options linear in
    USDC as they are. A chain holds options only, so no perpetual is added.
    Errors     MarketError, if the file is no chain or its surfaces cannot be fitted.
    """
    # The optimiser takes a second to import, and only a chain needs it.
    from novate.analytics.chain import FitReport, load_chain

    try:
        chain = load_chain(path)
        report = FitReport()
        known = [underlying for underlying in chain.underlyings if underlying.name in UNDERLYING_ROWS]
        underlyings = tuple(plan_chain_underlying(each, chain.observed_ns, report) for each in known)
    except (OSError, ValueError) as error:
        raise MarketError(f"{path} is not a usable option chain: {error}") from error
    if not underlyings:
        raise MarketError(f"{path} holds no options of {' or '.join(UNDERLYING_ROWS)}")
    return MarketPlan(chain.observed_ns, underlyings, path.name, report)


def read_builtin() -> dict[str, Any]:
    """Return the built-in figures."""
    return tomllib.loads(BUILTIN_FILE.read_text())


def plan_builtin_series(row: dict[str, Any], index: float, base_time_ns: int, near: Svi | None) -> SeriesPlan:
    """Return one built-in expiry, its slice scaled to the time that is left."""
    today_ns = base_time_ns - base_time_ns % NS_PER_DAY
    expiry_ns = today_ns + row["days"] * NS_PER_DAY + EXPIRY_HOUR_NS
    ratio = (expiry_ns - base_time_ns) / NS_PER_YEAR / row["fitted_years"]
    a, b, rho, m, sigma = row["svi_x48"]
    svi = lift_slice(scale_slice((a, b, rho, m, sigma), ratio), near)
    strikes = [round(strike * E6) for strike in row["strikes"]]
    options = tuple(OptionPlan(strike, is_call) for strike in strikes for is_call in (True, False))
    forward_atoms = round(index * row["forward_ratio"] * E6)
    return SeriesPlan(expiry_ns, base_time_ns, forward_atoms, round(index * E6), svi, options)


def plan_builtin(base_time_ns: int) -> MarketPlan:
    """Return the built-in market as seen at a time: for each of BTC and ETH a perpetual, and four expiries
    of options with a future each.
    """
    underlyings = []
    for row in read_builtin()["underlyings"]:
        series: list[SeriesPlan] = []
        for each in row["series"]:
            near = series[-1].svi if series else None
            series.append(plan_builtin_series(each, row["index"], base_time_ns, near))
        underlyings.append(UnderlyingPlan(row["name"], round(row["index"] * E6), tuple(series), True, True))
    return MarketPlan(base_time_ns, tuple(underlyings), "built-in figures of 2026-08-19")


def find_neighbours(position: int, slices: Sequence[Svi | None]) -> tuple[Svi | None, Svi | None]:
    """Return the nearest slices before and after a position that exist."""
    near = next((each for each in reversed(slices[:position]) if each is not None), None)
    far = next((each for each in slices[position + 1 :] if each is not None), None)
    return near, far
