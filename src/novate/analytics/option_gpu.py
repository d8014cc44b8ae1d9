"""The loops of `option_kernels` on a GPU of NVIDIA's, from the same source; needs numba-cuda (`novate[gpu]`).

Arrays stay on the GPU between calls (`copy_to_gpu`, and `copy_to_host` of what it returns). Calls only
start the work: `wait_for_gpu`, or a copy to the host, waits for it.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

from novate.analytics.float_functions import exp, log
from novate.analytics.option_kernels import store_greeks, store_implied_volatility, store_second_order
from novate.kernel.gpu import compile_for_gpu, copy_to_gpu, is_gpu_ready, wait_for_gpu

__all__ = ["GpuLoops", "copy_to_gpu", "is_gpu_ready", "load_gpu_loops", "wait_for_gpu"]


class GpuLoops(NamedTuple):
    """The three loops; arguments, units and errors are those of the loops of these names on the CPU."""

    fill_greeks: Callable[..., None]
    fill_second_order: Callable[..., None]
    fill_implied_volatilities: Callable[..., None]


OWN_FUNCTIONS = {exp: math.exp, log: math.log}


def load_gpu_loops() -> GpuLoops:
    """Return the loops; each is compiled at its first call, in a second or so."""
    bodies = (store_greeks, store_second_order, store_implied_volatility)
    return GpuLoops(*(compile_for_gpu(body, OWN_FUNCTIONS) for body in bodies))
