"""The decorators of compiled functions, and a way to watch them being compiled."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, ParamSpec, TypeVar

import numba
import numba.core.event as numba_event

from novate.kernel.linking import CalleeCompiler, EntryCompiler, Kernel
from novate.kernel.options import JIT_ENABLED, OPTIONS, find_cache_directory

P = ParamSpec("P")
R = TypeVar("R")


def compile_kernel(function: Callable[P, R], **more: Any) -> Callable[P, R]:
    """Hand a function to Numba with every option, and with the cache folder of its layer."""
    # Numba reads the folder when a function is decorated, so each layer can have its own.
    if not JIT_ENABLED:
        return function
    numba.config.CACHE_DIR = str(find_cache_directory(function.__module__))
    entry = numba.njit(**{**OPTIONS, **more}, pipeline_class=EntryCompiler)(function)
    compiled: Any = Kernel(function, entry, compile_callee(function, **more))
    return compiled  # type: ignore[no-any-return]


def compile_callee(function: Callable[P, R], **more: Any) -> Any:
    """Hand a function to Numba for other kernels to call."""
    options = {**OPTIONS, "cache": False, "no_cpython_wrapper": True, "no_cfunc_wrapper": True, **more}
    return numba.njit(**options, pipeline_class=CalleeCompiler)(function)


def kernel(function: Callable[P, R]) -> Callable[P, R]:
    """Compile a function of integers, records and integer arrays; plain Python under NUMBA_DISABLE_JIT=1.

    Warning: with `_nrt` off a kernel cannot allocate. It takes the arrays it needs.
    """
    return compile_kernel(function)


def kernel_inline(function: Callable[P, R]) -> Callable[P, R]:
    """Compile as `kernel` and force LLVM to inline: for small functions in the innermost loops only."""
    return compile_kernel(function, forceinline=True)


def kernel_inner(function: Callable[P, R]) -> Callable[P, R]:
    """Compile as `kernel`, callable from other kernels only: the wrapper for Python takes long to compile
    and is left out.
    """
    return compile_callee(function) if JIT_ENABLED else function


class CompileCounter(numba_event.Listener):  # type: ignore[misc]
    """Calls back at the end of each compilation."""

    def __init__(self, callback: Callable[[], None]) -> None:
        self.callback = callback

    def on_start(self, event: Any) -> None:
        """Nothing to do: only ends are counted."""

    def on_end(self, event: Any) -> None:
        """Tell of one more compiled kernel."""
        self.callback()


@contextmanager
def watch_compilations(callback: Callable[[], None]) -> Iterator[None]:
    """Call back for each kernel that is compiled (or loaded) inside the block, for a progress bar."""
    with numba_event.install_listener("numba:compile", CompileCounter(callback)):
        yield
