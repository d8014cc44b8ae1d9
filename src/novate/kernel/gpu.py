"""The same source on a GPU: functions of one element, compiled again by numba-cuda, one thread an element.

Imported only where somebody asks for a GPU: numba-cuda is an extra (`novate[gpu]`). With
NUMBA_ENABLE_CUDASIM=1 in the environment its simulator runs everything in Python, without a GPU.
"""

from collections.abc import Callable
from inspect import signature
from types import FunctionType
from typing import Any

import numpy as np
from numba import cuda

from novate.kernel.floats import Floats, fma

THREADS_PER_BLOCK = 128
OWN_SOURCES = "novate."


def is_gpu_ready() -> bool:
    """Return whether there is a GPU that works, or the simulator."""
    return bool(cuda.is_available())


def copy_to_gpu(values: Floats) -> Any:
    """Return an array of the GPU with these values; its `copy_to_host` brings them back."""
    return cuda.to_device(np.ascontiguousarray(values))


def wait_for_gpu() -> None:
    """Return when all that was asked of the GPU is done."""
    cuda.synchronize()


def multiply_and_add(x: float, y: float, z: float) -> Any:
    """Return x * y + z by the GPU's own instruction."""
    return cuda.fma(x, y, z)


def find_source(function: Any) -> Any:
    """Return the plain Python function of a compiled one."""
    return getattr(function, "py_func", function)


def translate(function: Any, known: dict[int, Any]) -> Any:
    """Compile a function of ours for the GPU, and with it every function of ours that it calls.

    Only the names that it uses are looked up: each that is known, by the identity of its source, is replaced.
    """
    source = find_source(function)
    if id(source) in known:
        return known[id(source)]
    names = dict(source.__globals__)
    for name in source.__code__.co_names:
        called = find_source(names.get(name))
        is_ours = isinstance(called, FunctionType) and called.__module__.startswith(OWN_SOURCES)
        if is_ours or id(called) in known:
            names[name] = translate(called, known)
    clone = FunctionType(source.__code__, names, source.__name__)
    known[id(source)] = cuda.jit(device=True)(clone)
    return known[id(source)]


def write_loop(body: Callable[..., None], step: Any) -> Any:
    """Return the function of one thread, `step(i, *arrays)` for the i of the thread, with the arrays by name.

    Written as source because numba-cuda takes no starred arguments.
    """
    _, *arrays = signature(find_source(body)).parameters
    names = ", ".join(arrays)
    source = f"""def run({names}):
    i = cuda.grid(1)
    if i < {arrays[0]}.shape[0]:
        step(i, {names})
"""
    scope: dict[str, Any] = {"cuda": cuda, "step": step}
    exec(source, scope)
    return scope["run"]


def translate_loop(body: Callable[..., None], replacements: dict[Any, Any]) -> Any:
    """Return the Python function of one thread for `compile_for_gpu`, with everything below it translated."""
    known = {id(find_source(ours)): theirs for ours, theirs in replacements.items()}
    known[id(fma)] = cuda.jit(device=True)(multiply_and_add)
    return write_loop(body, translate(body, known))


def compile_for_gpu(body: Callable[..., None], replacements: dict[Any, Any]) -> Callable[..., None]:
    """Return a loop over arrays of the GPU, of one length, that does `body(i, *arrays)` for each i.

    replacements   functions of ours that the GPU has its own of: exponentials and logarithms.
    """
    run = cuda.jit(translate_loop(body, replacements))

    def launch(*arrays: Any) -> None:
        blocks = -(-len(arrays[0]) // THREADS_PER_BLOCK)
        run[blocks, THREADS_PER_BLOCK](*arrays)

    return launch
