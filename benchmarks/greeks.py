"""Price with five Greeks, and implied volatility: our kernels beside numpy/scipy, QuantLib and lbriv.

    python benchmarks/greeks.py [--options 100000] [--rounds 15] [--gpu]

One core, CPU time of this thread, medians of interleaved rounds, ratios of each round to our kernel in it.
The options: forward 80,000, one day to one year, volatility 30 % to 150 %, |d| up to 2.5, calls and puts out
of the money. Every peer gets the same arrays, and its results are compared with ours before its speed.
lbriv is a Cython port of P. Jaeckel's Let's be rational; its batch takes one forward, kind by kind. QuantLib
is a Python loop over BlackCalculator, on fewer options. Cost model of ours: a fixed number of instructions an
option, so time is proportional to options and independent of their terms; nothing is allocated.

`--gpu` times the same source on a GPU: a refresh of 10,000 options whose arrays are there, and with copies of
volatilities in and of prices and Greeks out.
"""

import argparse
import hashlib
import math
import time
from collections.abc import Callable
from typing import Any

import lbriv
import numpy as np
import QuantLib as ql
from scipy.special import ndtr

from figures import record
from novate.analytics.option_kernels import fill_greeks, fill_implied_volatilities, fill_second_order
from novate.kernel.floats import Floats

FORWARD = 80_000.0
QUANTLIB_OPTIONS = 2_000
GPU_OPTIONS = 10_000
GPU_ROUNDS = 200
NAMES = ("price", "delta", "gamma", "vega", "theta", "rho")
# Of the first thousand options, to nine digits, so that it does not depend on the processor.
DIGEST = "c8eba67a50fd9c28"
Rows = list[tuple[str, Any]]


class Options:
    """The arrays that all take."""

    def __init__(self, count: int, seed: int = 1) -> None:
        source = np.random.default_rng(seed)
        self.forward = np.full(count, FORWARD)
        self.time = source.uniform(1 / 365, 1.0, count)
        self.volatility = source.uniform(0.3, 1.5, count)
        self.total = self.volatility * np.sqrt(self.time)
        self.strike = FORWARD * np.exp(-source.uniform(-2.5, 2.5, count) * self.total)
        self.sign = np.where(self.strike > FORWARD, 1.0, -1.0)

    def list_terms(self) -> tuple[Floats, ...]:
        return self.sign, self.forward, self.strike, self.time, self.volatility


def compute_with_scipy(options: Options) -> list[Floats]:
    """The same six results by numpy and scipy, each subexpression once."""
    sign, f, k, t, s = options.list_terms()
    root = np.sqrt(t)
    total = s * root
    d1 = np.log(f / k) / total + 0.5 * total
    chance = ndtr(sign * d1)
    price = sign * (f * chance - k * ndtr(sign * (d1 - total)))
    density = np.exp(-0.5 * d1 * d1) * (1 / math.sqrt(2 * math.pi))
    weight = f * density
    delta = sign * chance
    return [price, delta, density / (f * total), weight * root, -0.5 * weight * s / root, t * f * delta]


def compute_with_quantlib(options: Options, count: int) -> list[Floats]:
    """The same six results by a loop over QuantLib's BlackCalculator."""
    rows = []
    terms = [each[:count].tolist() for each in (*options.list_terms(), options.total)]
    for sign, f, k, t, _, total in zip(*terms, strict=True):
        payoff = ql.PlainVanillaPayoff(ql.Option.Call if sign > 0 else ql.Option.Put, k)
        black = ql.BlackCalculator(payoff, f, total, 1.0)
        delta = black.deltaForward()
        rows.append(
            (black.value(), delta, black.gammaForward(), black.vega(t), black.theta(f, t), t * f * delta)
        )
    return list(np.array(rows).T)


def solve_with_lbriv(options: Options, price: Floats) -> Floats:
    """Implied volatilities by lbriv: calls, then puts."""
    result = np.empty(len(price))
    for sign in (1, -1):
        chosen = options.sign == sign
        total = lbriv.vectorized_implied_vol_strikes(price[chosen], FORWARD, options.strike[chosen], sign)
        result[chosen] = total / np.sqrt(options.time[chosen])
    return result


def solve_with_quantlib(options: Options, price: Floats, count: int) -> Floats:
    """Implied volatilities by a loop over QuantLib's blackFormulaImpliedStdDevLiRS."""
    terms = [each[:count].tolist() for each in (options.sign, options.strike, price)]
    guess = ql.nullDouble()
    totals = [
        ql.blackFormulaImpliedStdDevLiRS(
            ql.Option.Call if sign > 0 else ql.Option.Put, k, FORWARD, p, 1.0, 0.0, guess, 1.0, 1e-10, 200
        )
        for sign, k, p in zip(*terms, strict=True)
    ]
    return np.array(totals) / np.sqrt(options.time[:count])


def measure(jobs: dict[str, tuple[Callable[[], Any], int]], rounds: int) -> dict[str, list[float]]:
    """Nanoseconds an option of each job in each round, after one call that does not count."""
    times: dict[str, list[float]] = {name: [] for name in jobs}
    for job, _ in jobs.values():
        job()
    for _ in range(rounds):
        for name, (job, count) in jobs.items():
            start = time.thread_time_ns()
            job()
            times[name].append((time.thread_time_ns() - start) / count)
    return times


def tabulate(times: dict[str, list[float]], ours: str) -> Rows:
    """Medians, the slow tail, and the ratios to our kernel."""
    rows: Rows = []
    for name, values in times.items():
        rows.append((f"{name}: ns per option, p50", float(np.median(values))))
        rows.append((f"{name}: ns per option, p90", float(np.percentile(values, 90))))
    for name, values in times.items():
        if name != ours:
            rows.append((f"{name} / {ours}, median", float(np.median(np.divide(values, times[ours])))))
    return rows


def compare(ours: Floats, theirs: Floats, limit: float) -> float:
    """The largest relative difference, which must be within what the peer's own rounding explains."""
    difference = float(np.max(np.abs(ours / theirs - 1.0)))
    assert difference < limit, difference
    return difference


def time_greeks(options: Options, rounds: int) -> Rows:
    """Price and five Greeks."""
    count = len(options.strike)
    results = np.empty((6, count))
    second = np.empty((3, count))
    terms = options.list_terms()
    fill_greeks(*terms, *results)
    few = min(count, QUANTLIB_OPTIONS)
    rows: Rows = [("options", count)]
    for peer, theirs in (
        ("scipy", compute_with_scipy(options)),
        ("QuantLib", compute_with_quantlib(options, few)),
    ):
        size = len(theirs[0])
        worst = max(compare(a[:size], b, 1e-10) for a, b in zip(results, theirs, strict=True))
        rows.append((f"largest relative difference from {peer}", f"{worst:.1e}"))
    times = measure(
        {
            "ours": (lambda: fill_greeks(*terms, *results), count),
            "numpy/scipy": (lambda: compute_with_scipy(options), count),
            "QuantLib loop": (lambda: compute_with_quantlib(options, few), few),
            "vanna, volga and charm, ours": (lambda: fill_second_order(*terms[1:], *second), count),
        },
        rounds,
    )
    return rows + tabulate(times, "ours")


def time_implied_volatility(options: Options, rounds: int) -> Rows:
    """Implied volatility from prices that round-trip."""
    count = len(options.strike)
    results = np.empty((6, count))
    volatility = np.empty(count)
    fill_greeks(*options.list_terms(), *results)
    price = results[0].copy()
    terms = options.list_terms()[:-1]
    few = min(count, QUANTLIB_OPTIONS)
    fill_implied_volatilities(terms[0], price, *terms[1:], volatility)
    rows: Rows = [("options", count)]
    for peer, theirs in (
        ("ours", volatility),
        ("lbriv", solve_with_lbriv(options, price)),
        ("QuantLib", solve_with_quantlib(options, price, few)),
    ):
        worst = compare(theirs, options.volatility[: len(theirs)], 1e-8)
        rows.append((f"{peer}: largest relative error of the round trip", f"{worst:.1e}"))
    times = measure(
        {
            "ours": (lambda: fill_implied_volatilities(terms[0], price, *terms[1:], volatility), count),
            "lbriv": (lambda: solve_with_lbriv(options, price), count),
            "QuantLib LiRS loop": (lambda: solve_with_quantlib(options, price, few), few),
        },
        rounds,
    )
    return rows + tabulate(times, "ours")


def time_growth(rounds: int) -> Rows:
    """The cost of an option as there are more of them."""
    rows: Rows = []
    for count in (100, 1_000, 10_000, 100_000, 1_000_000):
        options = Options(count)
        terms, results = options.list_terms(), np.empty((6, count))
        repeats = max(1, 100_000 // count)

        def job() -> None:
            for _ in range(repeats):  # noqa: B023
                fill_greeks(*terms, *results)  # noqa: B023

        values = measure({"ours": (job, count * repeats)}, min(rounds, 7))["ours"]
        rows.append((f"price and five Greeks, ns per option of {count:,}", float(np.median(values))))
    return rows


def time_gpu() -> Rows:
    """Wall time of a refresh on a GPU: launch to finish."""
    from novate.analytics.option_gpu import copy_to_gpu, is_gpu_ready, load_gpu_loops, wait_for_gpu

    if not is_gpu_ready():
        return [("GPU", "none at hand")]
    options = Options(GPU_OPTIONS)
    expected = np.empty((6, GPU_OPTIONS))
    fill_greeks(*options.list_terms(), *expected)
    loops = load_gpu_loops()
    inputs = [copy_to_gpu(each) for each in options.list_terms()]
    outputs = [copy_to_gpu(np.zeros(GPU_OPTIONS)) for _ in NAMES]

    def refresh() -> None:
        loops.fill_greeks(*inputs, *outputs)
        wait_for_gpu()

    def refresh_with_copies() -> None:
        inputs[-1].copy_to_device(options.volatility)
        loops.fill_greeks(*inputs, *outputs)
        for each in outputs:
            each.copy_to_host()

    rows: Rows = [("options", GPU_OPTIONS)]
    for name, job in (("arrays there", refresh), ("with copies", refresh_with_copies)):
        job()
        walls = []
        for _ in range(GPU_ROUNDS):
            start = time.perf_counter_ns()
            job()
            walls.append((time.perf_counter_ns() - start) / 1e3)
        rows.append((f"{name}: us a refresh, p50", float(np.median(walls))))
        rows.append((f"{name}: us a refresh, p99", float(np.percentile(walls, 99))))
    worst = max(compare(each.copy_to_host(), row, 1e-12) for each, row in zip(outputs, expected, strict=True))
    return [*rows, ("largest relative difference from the CPU", f"{worst:.1e}")]


def compute_digest() -> str:
    """The digest of the results that every machine must find."""
    options = Options(1000)
    results = np.empty((6, len(options.strike)))
    fill_greeks(*options.list_terms(), *results)
    text = "\n".join(f"{value:.9e}" for value in results.ravel())
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--options", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--gpu", action="store_true")
    arguments = parser.parse_args()
    assert compute_digest() == DIGEST
    options = Options(arguments.options)
    tables = {
        "price and five Greeks": time_greeks(options, arguments.rounds),
        "implied volatility": time_implied_volatility(options, arguments.rounds),
        "growth": time_growth(arguments.rounds),
        "results": [("digest", compute_digest())],
    }
    if arguments.gpu:
        tables["GPU"] = time_gpu()
    record("greeks", tables)


if __name__ == "__main__":
    main()
