"""Floats in loops that become vector code: decorators, multiply-add, and the bits of a float.

For figures that decide nothing. Contraction and reordering stay off (`fastmath`), divisions do not branch
(`error_model`), and functions without branches are inlined, so that LLVM computes several options at once.
"""

import struct
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic
from numpy.typing import NDArray

from novate.kernel.decorators import compile_callee, compile_kernel
from novate.kernel.options import JIT_ENABLED

P = ParamSpec("P")
R = TypeVar("R")
Floats = NDArray[np.float64]


def float_kernel(function: Callable[P, R]) -> Callable[P, R]:
    """Compile a loop over arrays of floats for Python to call; plain Python under NUMBA_DISABLE_JIT=1.

    Division by zero gives infinity or nan and no error. As in a `kernel`, nothing is allocated.
    """
    return compile_kernel(function, error_model="numpy")


def float_inline(function: Callable[P, R]) -> Callable[P, R]:
    """Compile a function of floats into the loops that call it; see `float_kernel`."""
    return compile_callee(function, error_model="numpy", forceinline=True) if JIT_ENABLED else function


def _generate(emit: Callable[..., Any], result: Any, *arguments: Any) -> Any:
    """Build an intrinsic from one LLVM instruction."""

    def lower(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        return emit(builder, *values)

    return result(*arguments), lower


@intrinsic  # type: ignore[untyped-decorator]
def _fma(typing_context: Any, x: Any, y: Any, z: Any) -> Any:
    real = types.float64
    return _generate(lambda builder, *values: builder.fma(*values), real, real, real, real)


@intrinsic  # type: ignore[untyped-decorator]
def _float_to_bits(typing_context: Any, x: Any) -> Any:
    return _generate(
        lambda builder, value: builder.bitcast(value, ir.IntType(64)), types.int64, types.float64
    )


@intrinsic  # type: ignore[untyped-decorator]
def _bits_to_float(typing_context: Any, bits: Any) -> Any:
    return _generate(
        lambda builder, value: builder.bitcast(value, ir.DoubleType()), types.float64, types.int64
    )


@intrinsic  # type: ignore[untyped-decorator]
def _shift_right(typing_context: Any, bits: Any, count: Any) -> Any:
    # Logical, because AVX2 has no arithmetic shift of 64 bits.
    return _generate(lambda builder, *values: builder.lshr(*values), types.int64, types.int64, types.int64)


def _fma_plainly(x: float, y: float, z: float) -> float:
    return x * y + z


def _float_to_bits_plainly(x: float) -> int:
    return int(struct.unpack("<q", struct.pack("<d", x))[0])


def _bits_to_float_plainly(bits: int) -> float:
    return float(struct.unpack("<d", struct.pack("<q", bits))[0])


def _shift_right_plainly(bits: int, count: int) -> int:
    return bits >> count


# x * y + z, rounded once where the processor can, twice in plain Python.
fma: Callable[[float, float, float], float] = _fma if JIT_ENABLED else _fma_plainly
# The bits of a float64 as an int64, and back.
float_to_bits: Callable[[float], int] = _float_to_bits if JIT_ENABLED else _float_to_bits_plainly
bits_to_float: Callable[[int], float] = _bits_to_float if JIT_ENABLED else _bits_to_float_plainly
# bits >> count for bits >= 0.
shift_right: Callable[[int, int], int] = _shift_right if JIT_ENABLED else _shift_right_plainly
