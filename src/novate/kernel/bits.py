"""Integers as Python has them and Numba has not: 128-bit products, counts of zero bits, and places in tables.

Each is a plain Python function and an intrinsic of the same result.
"""

from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic, overload

from novate.kernel.options import OPTIONS

CALLEE_OPTIONS = {**OPTIONS, "cache": False, "forceinline": True}


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


@overload(mul_shift_floor, jit_options=CALLEE_OPTIONS)
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


@overload(mul_high, jit_options=CALLEE_OPTIONS)
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


@overload(count_trailing_zeros, jit_options=CALLEE_OPTIONS)
def _overload_count_trailing_zeros(x):  # type: ignore[no-untyped-def]
    def implementation(x):  # type: ignore[no-untyped-def]
        return _trailing(types.int64(x))

    return implementation


def count_leading_zeros(x: int) -> int:
    """Return the number of zero bits above the highest set bit of a non-zero int64 (0 for a negative one)."""
    x = int(x)
    return 0 if x < 0 else 64 - x.bit_length()


@overload(count_leading_zeros, jit_options=CALLEE_OPTIONS)
def _overload_count_leading_zeros(x):  # type: ignore[no-untyped-def]
    def implementation(x):  # type: ignore[no-untyped-def]
        return _leading(types.int64(x))

    return implementation


def as_place(x: int) -> int:
    """Return the place of a record in a table, to be used between brackets and nowhere else.

    Range      0 <= x. Numba need not look then whether x counts from the table's end, which took a sixth of
               the time of the order books.
    """
    return x


@intrinsic  # type: ignore[untyped-decorator]
def _as_place(typing_context: Any, x: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return arguments[0]

    return types.uint64(types.int64), generate


@overload(as_place, jit_options=CALLEE_OPTIONS)
def _overload_as_place(x):  # type: ignore[no-untyped-def]
    def implementation(x):  # type: ignore[no-untyped-def]
        return _as_place(types.int64(x))

    return implementation
