"""The law's pricing has the same bits under Numba and in plain CPython integers.

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

from novate.protocol.arithmetic import div_ceil, div_floor, mul_ratio_ceil_e6, mul_ratio_floor_e6
from novate.protocol.transcendental import normal_cdf_x48
from tests.twins.law_digests import INPUTS_DEFAULT, digest_kernel

PROGRAM = Path(__file__).with_name("law_digests.py")
INPUTS = int(os.environ.get("NOVATE_TWIN_INPUTS", INPUTS_DEFAULT))


def start_run(disable_jit: bool) -> "subprocess.Popen[str]":
    environment = {**os.environ, "NUMBA_DISABLE_JIT": "1" if disable_jit else "0"}
    command = [sys.executable, "-W", "error::RuntimeWarning", str(PROGRAM), str(INPUTS)]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)


def test_numba_and_python_agree_bit_by_bit() -> None:
    """Every pricing kernel returns the same integers in both machines, also at the ends of its ranges."""
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


@pytest.mark.parametrize(
    ("honest", "planted"),
    [
        (div_floor, truncate),
        (div_ceil, add_one_before_ceiling),
        (mul_ratio_floor_e6, truncate_ratio),
        (mul_ratio_ceil_e6, mul_ratio_floor_e6),
        (normal_cdf_x48, forget_clamp),
    ],
)
def test_planted_difference_is_caught(honest: Callable[..., int], planted: Callable[..., int]) -> None:
    """Truncation for a floor, a floor for a ceiling, or a bound that is one unit off changes the digest."""
    name = honest.__name__
    assert digest_kernel(honest, name, 500) == digest_kernel(honest, name, 500)
    assert digest_kernel(honest, name, 500) != digest_kernel(planted, name, 500)
