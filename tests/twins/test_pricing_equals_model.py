"""The pricing kernels against the naive model, written from the law's text and sharing no code with them."""

from collections.abc import Callable
from typing import Any

import pytest

from novate.protocol import arithmetic, black76, scenarios, svi, transcendental
from tests.model import pricing as model
from tests.model.records import Report
from tests.twins.law_digests import list_arguments

COUNT = 3000


def report(arguments: tuple[int, ...]) -> Report:
    a, b, rho, m, sigma = arguments[:5]
    return Report(0, a, b, rho, m, sigma, 0)


PAIRS: list[tuple[Callable[..., Any], Callable[..., Any], int]] = [
    (arithmetic.div_x48, model.div, COUNT),
    (arithmetic.mul_x48, model.mul, COUNT),
    (arithmetic.mul_ratio_floor_e6, model.ratio, COUNT),
    (arithmetic.sqrt_x48, model.root, COUNT),
    (transcendental.ln_ratio_x48, model.ln_ratio, COUNT),
    (transcendental.exp_x48, model.exp, COUNT),
    (transcendental.normal_cdf_x48, model.normal_cdf, COUNT),
    (black76.compute_price_x16, lambda kind, *rest: model.black(kind == black76.CALL, *rest), COUNT),
    (svi.compute_svi_total_variance_x48, lambda *x: model.total_variance(report(x), x[5]), COUNT),
    (svi.compute_total_volatility_x48, lambda *x: model.total_volatility(report(x), x[5], x[6]), COUNT),
    (svi.has_butterfly_arbitrage, lambda *x: not model.butterfly_free(report(x)), COUNT // 10),
    (svi.has_calendar_arbitrage, lambda *x: not model.calendar_free(report(x), report(x[5:])), COUNT // 10),
    (svi.verify_surface_parameters, lambda *x: model.parameters_allowed(report(x)), COUNT),
]


@pytest.mark.parametrize(("kernel", "naive", "count"), PAIRS, ids=lambda each: getattr(each, "__name__", ""))
def test_kernel_equals_the_text(kernel: Callable[..., Any], naive: Callable[..., Any], count: int) -> None:
    """Each kernel returns what a reading of its clause with unbounded integers returns, to the last bit."""
    for arguments in list_arguments(kernel.__name__, count):
        mine = kernel(*arguments)
        if kernel is svi.verify_surface_parameters:
            mine = mine == svi.SURFACE_OK
        assert naive(*arguments) == mine, arguments


def test_shocks_equal_the_text() -> None:
    """Shocked volatilities are those of the clauses for any time to expiry, past ones included."""
    for (time_ns,) in list_arguments("compute_volatility_factors_x48", COUNT):
        volatility = time_ns & (2**50 - 1)
        up, down = scenarios.compute_volatility_factors_x48(time_ns)
        floor = scenarios.compute_floor_volatility_x48(time_ns)
        mine = [
            volatility,
            scenarios.compute_shocked_volatility_x48(volatility, up, floor),
            scenarios.compute_shocked_volatility_x48(volatility, down, 0),
        ]
        assert model.shocked_volatilities(volatility, time_ns) == mine
