"""The law has the same bits under Numba and in plain CPython integers.

NOVATE_TWIN_INPUTS sets the number of inputs; the default is above a million. The plain run turns NumPy's
overflow warnings into errors, so a sum that leaves 64 bits on that side stops the test instead of wrapping.
"""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from novate.protocol.arithmetic import (
    div_ceil,
    div_floor,
    div_x48,
    mul_ratio_ceil_e6,
    mul_ratio_floor_e6,
    mul_x48,
)
from novate.protocol.averaging import INVERSE_SQRT3_X48, compute_averaged_volatility_x48
from novate.protocol.funding import compute_accrual, compute_due_atoms
from novate.protocol.novation import compute_maker_fee_atoms, compute_taker_fee_atoms
from novate.protocol.quote_margin import compute_limit_capacity
from novate.protocol.transcendental import normal_cdf_x48
from tests.twins.law_digests import INPUTS_DEFAULT, digest_kernel

ROOT = Path(__file__).parents[2]
INPUTS = int(os.environ.get("NOVATE_TWIN_INPUTS", INPUTS_DEFAULT))


def start_run(disable_jit: bool) -> "subprocess.Popen[str]":
    environment = {**os.environ, "NUMBA_DISABLE_JIT": "1" if disable_jit else "0"}
    command = [sys.executable, "-W", "error::RuntimeWarning", "-m", "tests.twins.law_digests", str(INPUTS)]
    return subprocess.Popen(command, env=environment, cwd=ROOT, stdout=subprocess.PIPE, text=True)


def test_numba_and_python_agree_bit_by_bit() -> None:
    """Every kernel returns the same integers in both machines, also at the ends of its ranges."""
    outputs: list[dict[str, Any]] = []
    for process in [start_run(disable_jit=True), start_run(disable_jit=False)]:
        text, _ = process.communicate()
        assert 0 == process.returncode
        outputs.append(json.loads(text))
    plain, compiled = outputs
    assert plain["digests"] == compiled["digests"]
    assert plain["inputs"] == compiled["inputs"]
    assert INPUTS < 1_000_000 or plain["inputs"] >= 1_000_000


def truncate(a: int, b: int) -> int:
    return int(abs(a) // b) * (1 if a >= 0 else -1)


def add_one_before_ceiling(a: int, b: int) -> int:
    return (a + b) // b


def truncate_ratio(x: int, rate_e6: int) -> int:
    return truncate(x * rate_e6, 10**6)


def forget_clamp(x: int) -> int:
    return min(max(normal_cdf_x48(x), 1), (1 << 48) - 1)


def average_before_the_share(volatility: int, moving: int, forward: int) -> int:
    return mul_x48(mul_x48(volatility, INVERSE_SQRT3_X48), div_x48(moving, forward))


def truncate_due(accrual: int) -> int:
    return truncate(accrual, 28_800_000)


def accrue_before_rounding(mark: int, rate_e9: int, step_ms: int) -> int:
    return mark * rate_e9 * step_ms // 10**9


def leave_one_lot(limit: int, filled: int, change: int) -> int:
    if change == 0:
        return 1 << 62
    return max(1, div_floor(limit - filled if change > 0 else limit + filled, abs(change)))


def round_rebate_up(kind: int, notional: int, value: int, rate: int, cap: int, taker_fee: int) -> int:
    if rate < 0:
        return -min(mul_ratio_ceil_e6(notional, -rate), taker_fee)
    return compute_taker_fee_atoms(kind, notional, value, rate, cap)


@pytest.mark.parametrize(
    ("honest", "planted"),
    [
        (div_floor, truncate),
        (div_ceil, add_one_before_ceiling),
        (mul_ratio_floor_e6, truncate_ratio),
        (mul_ratio_ceil_e6, mul_ratio_floor_e6),
        (normal_cdf_x48, forget_clamp),
        (compute_averaged_volatility_x48, average_before_the_share),
        (compute_due_atoms, truncate_due),
        (compute_accrual, accrue_before_rounding),
        (compute_limit_capacity, leave_one_lot),
        (compute_maker_fee_atoms, round_rebate_up),
    ],
)
def test_planted_difference_is_caught(honest: Callable[..., int], planted: Callable[..., int]) -> None:
    """Truncation for a floor, a floor for a ceiling, another order of roundings, or a bound that is one unit
    off changes the digest.
    """
    name = honest.__name__
    assert digest_kernel(honest, name, 500) == digest_kernel(honest, name, 500)
    assert digest_kernel(honest, name, 500) != digest_kernel(planted, name, 500)
