"""The one decorator of the house: `kernel` compiles integer functions with every Numba option written out.

An inner function inherits each option it leaves out from whichever caller compiles it first, so none is left
out here. The disk cache is keyed by a hash of the sources of the kernel's layer and of these options,
because Numba's own cache does not notice an edited callee or constant in another module. Nothing else in the
house may import `numba.njit`.
"""

import hashlib
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import numba
import numba.core.event as numba_event
from llvmlite import ir
from numba import types
from numba.extending import intrinsic, overload

P = ParamSpec("P")
R = TypeVar("R")

PACKAGE_ROOT = Path(__file__).parent
OPTIONS: dict[str, Any] = {
    "cache": True,
    "error_model": "python",
    "fastmath": False,
    "nogil": True,
    "boundscheck": False,
    "_nrt": False,
}


def hash_sources(layer: str) -> str:
    """Return a hex digest of every source that a kernel of a layer may depend on, and of the options above.

    A layer imports the law and itself only (the import rule), so editing one layer does not recompile
    another.
    """
    digest = hashlib.blake2b(repr(sorted(OPTIONS.items())).encode(), digest_size=12)
    folders = {PACKAGE_ROOT / "protocol", PACKAGE_ROOT / layer}
    paths = [PACKAGE_ROOT / "kernel.py"] + [path for folder in folders for path in folder.rglob("*.py")]
    for path in sorted(paths):
        digest.update(str(path.relative_to(PACKAGE_ROOT)).encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()


def find_cache_root() -> Path:
    """Return the folder of compiled kernels: NOVATE_CACHE_DIR, or the user's cache folder."""
    chosen = os.environ.get("NOVATE_CACHE_DIR")
    if chosen:
        return Path(chosen)
    home = os.environ.get("XDG_CACHE_HOME")
    return (Path(home) if home else Path.home() / ".cache") / "novate"


@cache
def find_cache_directory(module: str) -> Path:
    """Return where the compiled kernels of a module belong."""
    parts = module.split(".")
    layer = parts[1] if parts[0] == "novate" and len(parts) > 2 else "protocol"
    return find_cache_root() / "kernels" / f"{layer}-{hash_sources(layer)}"


JIT_ENABLED = not numba.config.DISABLE_JIT


def compile_kernel(function: Callable[P, R], **more: bool) -> Callable[P, R]:
    """Hand a function to Numba with every option, and with the cache folder of its layer."""
    # Numba reads the folder when a function is decorated, so each layer can have its own.
    numba.config.CACHE_DIR = str(find_cache_directory(function.__module__))
    compiled: Callable[P, R] = numba.njit(**OPTIONS, **more)(function)
    return compiled


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
    return compile_kernel(function, no_cpython_wrapper=True, no_cfunc_wrapper=True)


def mul_shift_floor(a: int, b: int, shift: int) -> int:
    """Return floor(a * b / 2**shift) with a 128-bit product.

    Range      |a|, |b| < 2**63, 0 <= shift < 127; the result must fit in 63 bits.
    Rounding   down (towards minus infinity), the same in every language.
    """
    return (int(a) * int(b)) >> int(shift)


@intrinsic  # type: ignore[untyped-decorator]
def _mul_shift(typing_context: Any, a: Any, b: Any, shift: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        wide = ir.IntType(128)
        left, right, count = arguments
        product = builder.mul(builder.sext(left, wide), builder.sext(right, wide))
        return builder.trunc(builder.ashr(product, builder.zext(count, wide)), ir.IntType(64))

    return types.int64(types.int64, types.int64, types.int64), generate


@overload(mul_shift_floor, jit_options={**OPTIONS, "cache": False, "forceinline": True})
def _overload_mul_shift_floor(a, b, shift):  # type: ignore[no-untyped-def]
    def implementation(a, b, shift):  # type: ignore[no-untyped-def]
        return _mul_shift(types.int64(a), types.int64(b), types.int64(shift))

    return implementation


def mul_high(a: int, b: int) -> int:
    """Return the upper 64 bits of the product of two unsigned 64-bit integers, for field arithmetic."""
    return (int(a) * int(b)) >> 64


@intrinsic  # type: ignore[untyped-decorator]
def _mul_high(typing_context: Any, a: Any, b: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        wide = ir.IntType(128)
        product = builder.mul(builder.zext(arguments[0], wide), builder.zext(arguments[1], wide))
        return builder.trunc(builder.lshr(product, ir.Constant(wide, 64)), ir.IntType(64))

    return types.uint64(types.uint64, types.uint64), generate


@overload(mul_high, jit_options={**OPTIONS, "cache": False, "forceinline": True})
def _overload_mul_high(a, b):  # type: ignore[no-untyped-def]
    def implementation(a, b):  # type: ignore[no-untyped-def]
        return _mul_high(types.uint64(a), types.uint64(b))

    return implementation


def _unary_bits(name: str) -> Any:
    """Build an intrinsic that counts zero bits at one end of a non-zero int64."""

    @intrinsic  # type: ignore[untyped-decorator]
    def count(typing_context: Any, x: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            return getattr(builder, name)(arguments[0], ir.Constant(ir.IntType(1), 1))

        return types.int64(types.int64), generate

    return count


_trailing = _unary_bits("cttz")
_leading = _unary_bits("ctlz")


def count_trailing_zeros(x: int) -> int:
    """Return the number of zero bits below the lowest set bit of a non-zero int64."""
    x = int(x)
    return (x & -x).bit_length() - 1


@overload(count_trailing_zeros, jit_options={**OPTIONS, "cache": False, "forceinline": True})
def _overload_count_trailing_zeros(x):  # type: ignore[no-untyped-def]
    def implementation(x):  # type: ignore[no-untyped-def]
        return _trailing(types.int64(x))

    return implementation


def count_leading_zeros(x: int) -> int:
    """Return the number of zero bits above the highest set bit of a non-zero int64 (0 for a negative one)."""
    x = int(x)
    return 0 if x < 0 else 64 - x.bit_length()


@overload(count_leading_zeros, jit_options={**OPTIONS, "cache": False, "forceinline": True})
def _overload_count_leading_zeros(x):  # type: ignore[no-untyped-def]
    def implementation(x):  # type: ignore[no-untyped-def]
        return _leading(types.int64(x))

    return implementation
