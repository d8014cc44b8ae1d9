"""Runs the loops of the GPU and of the CPU on the same options and prints the largest differences, as JSON.

A process of its own, because numba-cuda reads whether to simulate once, when it is imported.
"""

import json
import sys

import numpy as np

from novate.analytics.option_gpu import copy_to_gpu, is_gpu_ready, load_gpu_loops, wait_for_gpu
from novate.analytics.option_kernels import fill_greeks, fill_implied_volatilities, fill_second_order


def main(count: int) -> None:
    source = np.random.default_rng(8)
    sign = np.where(source.random(count) < 0.5, 1.0, -1.0)
    forward = source.uniform(20_000.0, 100_000.0, count)
    time = np.exp(source.uniform(np.log(1e-3), np.log(3.0), count))
    volatility = np.exp(source.uniform(np.log(0.01), np.log(3.0), count))
    strike = forward * np.exp(-source.uniform(-6.0, 6.0, count) * volatility * np.sqrt(time))
    # The last two have no time and no volatility.
    time[-2], volatility[-1], strike[-2:] = 0.0, 0.0, forward[-2:]
    common = (forward, strike, time, volatility)
    greeks = np.empty((6, count))
    fill_greeks(sign, *common, *greeks)
    # Prices outside the money, and two that no volatility gives.
    price = greeks[0] - np.maximum(sign * (forward - strike), 0.0)
    outside = np.where(strike > forward, 1.0, -1.0)
    loops = load_gpu_loops()
    jobs = [
        (fill_greeks, loops.fill_greeks, (sign, *common), 6),
        (fill_second_order, loops.fill_second_order, common, 3),
        (fill_implied_volatilities, loops.fill_implied_volatilities, (outside, price, *common[:3]), 1),
    ]
    differences = []
    for on_cpu, on_gpu, inputs, results in jobs:
        ours, theirs = np.empty((results, count)), np.zeros((results, count))
        on_cpu(*inputs, *ours)
        arrays = [copy_to_gpu(each) for each in theirs]
        on_gpu(*map(copy_to_gpu, inputs), *arrays)
        wait_for_gpu()
        theirs = np.array([each.copy_to_host() for each in arrays])
        same = (ours == theirs) | (np.isnan(ours) & np.isnan(theirs))
        scale = np.maximum(np.abs(ours), 1e-290)
        differences.append(float(np.max(np.where(same, 0.0, np.abs(theirs - ours) / scale))))
    print(json.dumps({"is_gpu_ready": is_gpu_ready(), "differences": differences}))


if __name__ == "__main__":
    main(int(sys.argv[1]))
