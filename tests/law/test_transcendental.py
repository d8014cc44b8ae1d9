"""Logarithm, exponential and normal distribution of the law, against mpmath at forty digits."""

import json
import random
import subprocess
import sys
from pathlib import Path

import mpmath
import numpy as np
import pytest

from novate.protocol.arithmetic import ONE_X48
from novate.protocol.generated import tables
from novate.protocol.transcendental import exp_x48, ln_ratio_x48, normal_cdf_x48

ROOT = Path(__file__).parents[2]
SAMPLES = 4000
# The bounds that docs/law/pricing.md states.
LN_ERROR = 1e-14
EXP_ERROR = 4e-15
EXP_ERROR_RELATIVE = 4e-16
CDF_ERROR = 1e-14


def list_ratios() -> list[tuple[int, int]]:
    source = random.Random(7)
    ratios = [(1, 1), (1, 2**60 - 1), (2**60 - 1, 1), (2**60 - 1, 2**60 - 1), (3, 2), (2**59, 2**59 - 1)]
    for _ in range(SAMPLES):
        a = source.getrandbits(source.randint(1, 60)) or 1
        near = min(max(a + source.randint(-1000, 1000), 1), 2**60 - 1)
        ratios += [(a, source.getrandbits(source.randint(1, 60)) or 1), (a, near)]
    return ratios


def test_logarithm_error() -> None:
    """ln_ratio_x48 is within its stated error, from equal arguments to ratios of 2**60. [PRICE-6]."""
    with mpmath.workdps(40):
        worst = max(
            abs(mpmath.mpf(ln_ratio_x48(a, b)) / ONE_X48 - mpmath.log(mpmath.mpf(a) / b))
            for a, b in list_ratios()
        )
    assert worst < LN_ERROR


@pytest.mark.parametrize("a", [1, 2, 3, 2**40 - 1, 2**60 - 1])
def test_logarithm_of_one(a: int) -> None:
    """The logarithm of a number over itself is exactly zero. [PRICE-6]."""
    assert ln_ratio_x48(a, a) == 0


def test_exponential_error() -> None:
    """exp_x48 is within its stated error over [-20, 8]. [PRICE-7]."""
    source = random.Random(8)
    points = [-20 * ONE_X48, 8 * ONE_X48, 0, -1, 1, ONE_X48, -ONE_X48]
    points += [source.randint(-20 * ONE_X48, 8 * ONE_X48) for _ in range(SAMPLES)]
    with mpmath.workdps(40):
        for x in points:
            exact = mpmath.exp(mpmath.mpf(x) / ONE_X48)
            error = abs(mpmath.mpf(exp_x48(x)) / ONE_X48 - exact)
            assert error < EXP_ERROR + EXP_ERROR_RELATIVE * exact


def list_normal_points() -> list[int]:
    """Both sides of every edge of the table, its centres, and random points."""
    source = random.Random(9)
    edges = [(node << 45) + step for node in range(65) for step in (-1, 0, 1, 1 << 44)]
    return edges + [source.randint(0, 8 * ONE_X48) for _ in range(SAMPLES)]


def measure_normal_error(coefficients: "np.ndarray | None" = None) -> float:
    """Worst error of the law's distribution, or of [PRICE-8] read from the text with other coefficients."""
    worst = mpmath.mpf(0)
    with mpmath.workdps(40):
        for x in list_normal_points():
            if x < 0 or (coefficients is not None and x >= 8 * ONE_X48):
                continue
            value = normal_cdf_x48(-x) if coefficients is None else evaluate_tail(coefficients, x)
            worst = max(worst, abs(mpmath.mpf(value) / ONE_X48 - mpmath.ncdf(-mpmath.mpf(x) / ONE_X48)))
    return float(worst)


def evaluate_tail(coefficients: "np.ndarray", x: int) -> int:
    """[PRICE-8] for a negative argument, with Python's integers."""
    node = x >> 45
    u = (x - (node << 45) - (1 << 44)) << 4
    total = int(coefficients[8 * node + 7])
    for n in range(6, -1, -1):
        total = int(coefficients[8 * node + n]) + (total * u >> 48)
    return (total + (1 << 11)) >> 12


def test_normal_error() -> None:
    """normal_cdf_x48 is within its stated error everywhere, also at the edges of the table. [PRICE-8]."""
    assert measure_normal_error() < CDF_ERROR


def test_normal_is_symmetrical_and_bounded() -> None:
    """N(x) + N(-x) is exactly one, every value lies in [0, 1], and both ends are clamped. [PRICE-8]."""
    for x in [*list_normal_points(), 8 * ONE_X48, 2**62]:
        assert ONE_X48 == normal_cdf_x48(x) + normal_cdf_x48(-x)
        assert 0 <= normal_cdf_x48(x) <= ONE_X48
    assert (0, ONE_X48) == (normal_cdf_x48(-8 * ONE_X48), normal_cdf_x48(8 * ONE_X48))


def test_stale_coefficient_is_caught() -> None:
    """One wrong coefficient in 512, in its sixth digit, exceeds the error that the law states."""
    planted = tables.CDF_COEFFICIENTS_X60.copy()
    assert measure_normal_error(planted) < CDF_ERROR
    planted[8 * 20 + 3] += planted[8 * 20 + 3] // 10**5
    assert measure_normal_error(planted) > CDF_ERROR


def test_tables_are_what_the_generator_prints() -> None:
    """Neither the module nor the published vectors differ from what their definitions give."""
    script = ROOT / "scripts" / "generate_tables.py"
    done = subprocess.run(
        [sys.executable, str(script), "--check"], capture_output=True, text=True, check=False
    )
    assert (0, "") == (done.returncode, done.stdout)


def test_published_tables_are_those_of_the_kernels() -> None:
    """vectors/tables.json holds the very integers that the kernels read."""
    published = json.loads((ROOT / "vectors" / "tables.json").read_text())["tables"]
    for name, value in published.items():
        mine = getattr(tables, name)
        if isinstance(value, str):
            assert int(value) == mine
        else:
            assert [int(each) for each in value] == mine.tolist()
