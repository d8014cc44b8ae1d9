"""Digests of every kernel of the law over many inputs; run twice, with and without Numba, they must be equal.

    python -m tests.twins.law_digests [number of inputs]

Prints one JSON object: digest by kernel, and the number of inputs. Inputs depend on the kernel's name only.
"""

import hashlib
import json
import random
import sys
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np

from novate.protocol import arithmetic, black76, scenarios, svi, transcendental
from tests.twins import market_digests

ONE = 1 << 48
INPUTS_DEFAULT = 1_200_000

Arguments = tuple[Any, ...]


class Source(random.Random):
    """Random integers that like the ends of their range, powers of two and their neighbours."""

    def pick(self, low: int, high: int) -> int:
        choice = self.random()
        if choice < 0.04:
            return low
        if choice < 0.08:
            return high
        value = self.getrandbits(self.randint(0, 62))
        if choice < 0.25:
            value = (1 << self.randint(0, 62)) + self.randint(-1, 1)
        if low < 0 and self.random() < 0.5:
            value = -value
        return value if low <= value <= high else self.randint(low, high)

    def slice(self) -> Arguments:
        """A slice in range, mostly with the size of a real one."""
        while True:
            s = 10 ** self.uniform(-2.5, 0)
            b = int(self.uniform(0, 2) * s * ONE)
            rho = self.pick(1 - ONE, ONE - 1)
            sigma = max(2**36, int(self.uniform(0.01, 2) * s * ONE))
            a = int(self.uniform(-0.5, 1) * s * s * ONE)
            parameters = (a, b, rho, int(self.uniform(-2, 2) * s * ONE), sigma)
            if svi.verify_surface_parameters(*parameters) == svi.SURFACE_OK:
                return parameters

    def quotient(self) -> Arguments:
        b = self.pick(1, 2**59 - 1)
        bound = min(b << 14, 2**62)
        return self.pick(-bound, bound), b

    def product(self) -> Arguments:
        a = self.pick(-(2**62), 2**62)
        bound = min(2**62, (2**110) // max(1, abs(a)))
        return a, self.pick(-bound, bound)

    def ratio(self) -> Arguments:
        x = self.pick(-(2**61), 2**61)
        return x, self.pick(0, min(2**40 - 1, 2**80 // max(1, abs(x))))

    def option(self) -> Arguments:
        """(kind, forward, strike, log ratio, total volatility) with x16 prices."""
        forward = self.pick(1, 2**40 - 1)
        strike = (
            self.pick(1, 2**40 - 1) if self.random() < 0.3 else max(1, int(forward * self.uniform(0.5, 2)))
        )
        strike = min(strike, 2**40 - 1)
        log_ratio = transcendental.ln_ratio_x48(forward, strike)
        return self.randint(0, 1), forward << 16, strike << 16, log_ratio, self.pick(0, 2**51 - 1)


def list_arguments(name: str, count: int) -> Iterator[Arguments]:
    """The inputs of one kernel."""
    source = Source(name)
    makers: dict[str, Callable[[], Arguments]] = {
        "div_floor": lambda: (source.pick(-(2**62), 2**62), source.pick(1, 2**62)),
        "div_ceil": lambda: (source.pick(-(2**62), 2**62), source.pick(1, 2**62)),
        "mul_ratio_floor_e6": source.ratio,
        "mul_ratio_ceil_e6": source.ratio,
        "mul_x48": source.product,
        "div_x48": source.quotient,
        "sqrt_x48": lambda: (source.pick(0, 2**58 - 1),),
        "ln_ratio_x48": lambda: (source.pick(1, 2**60 - 1), source.pick(1, 2**60 - 1)),
        "exp_x48": lambda: (source.pick(-20 * ONE, 8 * ONE),),
        "normal_cdf_x48": lambda: (source.pick(-9 * ONE, 9 * ONE),),
        "compute_price_x16": source.option,
        "verify_surface_parameters": lambda: tuple(source.pick(-(2**52), 2**52) for _ in range(5)),
        "compute_svi_total_variance_x48": lambda: (*source.slice(), source.pick(-28 * ONE, 28 * ONE)),
        "has_butterfly_arbitrage_at": lambda: (*source.slice(), source.pick(-2 * ONE, 2 * ONE)),
        "has_butterfly_arbitrage": source.slice,
        "has_calendar_arbitrage": lambda: (*source.slice(), *source.slice()),
        "compute_total_volatility_x48": lambda: (
            *source.slice(),
            source.pick(-28 * ONE, 28 * ONE),
            source.pick(0, ONE),
        ),
        "compute_volatility_factors_x48": lambda: (source.pick(-1, 2**59 - 1),),
        "compute_floor_volatility_x48": lambda: (source.pick(-1, 2**59 - 1),),
        "compute_option_total_volatility_x48": lambda: (
            *source.slice(),
            source.pick(1, 2**40 - 1),
            source.pick(1, 2**40 - 1),
            source.pick(0, ONE),
        ),
    }
    if name in market_digests.MAKERS:
        makers[name] = partial(market_digests.MAKERS[name], source)
    for _ in range(count):
        yield makers[name]()


# Share of all inputs, in thousandths: slow kernels get few, so that plain Python stays below a minute.
WEIGHTS: dict[Callable[..., Any], float] = {
    arithmetic.div_floor: 110,
    arithmetic.div_ceil: 110,
    arithmetic.mul_ratio_floor_e6: 110,
    arithmetic.mul_ratio_ceil_e6: 110,
    arithmetic.mul_x48: 110,
    arithmetic.div_x48: 110,
    arithmetic.sqrt_x48: 20,
    transcendental.ln_ratio_x48: 50,
    transcendental.exp_x48: 50,
    transcendental.normal_cdf_x48: 100,
    black76.compute_price_x16: 35,
    svi.verify_surface_parameters: 60,
    svi.compute_svi_total_variance_x48: 6,
    svi.has_butterfly_arbitrage_at: 6,
    svi.has_butterfly_arbitrage: 0.06,
    svi.has_calendar_arbitrage: 0.06,
    svi.compute_total_volatility_x48: 5,
    scenarios.compute_volatility_factors_x48: 2,
    scenarios.compute_floor_volatility_x48: 2,
    scenarios.compute_option_total_volatility_x48: 4,
} | market_digests.WEIGHTS
ROW_WEIGHT = 0.5


def digest_kernel(function: Callable[..., Any], name: str, count: int) -> str:
    """Hash what a kernel returns for its first `count` inputs."""
    digest = hashlib.blake2b(digest_size=16)
    for arguments in list_arguments(name, count):
        result = function(*arguments)
        digest.update(repr([int(x) for x in (result if isinstance(result, tuple) else (result,))]).encode())
    return digest.hexdigest()


def digest_rows(count: int) -> str:
    """Hash marks and rows of options and perpetuals."""
    source = Source("rows")
    digest = hashlib.blake2b(digest_size=16)
    row, basis_row = np.zeros(32, np.int64), np.zeros(2, np.int64)
    for _ in range(count):
        kind, forward_x16, strike_x16, _, volatility = source.option()
        time_ns, lots_per_unit = source.pick(0, 2**56), source.choice((1, 10, 100, 1000, 2**20))
        up, down = scenarios.compute_volatility_factors_x48(time_ns)
        floor = scenarios.compute_floor_volatility_x48(time_ns)
        instrument = (kind, forward_x16 >> 16, strike_x16 >> 16, lots_per_unit)
        shocks = (volatility, floor, up, down, source.pick(0, 10**6 - 1))
        mark = scenarios.compute_option_row(*instrument, *shocks, row, basis_row)
        digest.update(repr((int(mark), row.tolist(), basis_row.tolist())).encode())
        mark = scenarios.compute_perpetual_row(forward_x16 >> 16, lots_per_unit, row, basis_row)
        digest.update(repr((int(mark), row.tolist(), basis_row.tolist())).encode())
    return digest.hexdigest()


def compute_digests(inputs: int) -> dict[str, Any]:
    """Digest by kernel, and how many inputs there were."""
    digests: dict[str, Any] = {}
    total = 0
    for function, weight in WEIGHTS.items():
        count = max(20, int(inputs * weight / 1000))
        digests[function.__name__] = digest_kernel(function, function.__name__, count)
        total += count
    rows = max(20, int(inputs * ROW_WEIGHT / 1000))
    digests["rows"] = digest_rows(rows)
    return {"digests": digests, "inputs": total + 2 * rows}


if __name__ == "__main__":
    print(json.dumps(compute_digests(int(sys.argv[1]) if len(sys.argv) > 1 else INPUTS_DEFAULT)))
