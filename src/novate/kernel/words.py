"""Words out of bytes that are aligned to nothing: one load each, where a loop over bytes takes eight.

Little-endian machines only, like everything that views an array of bytes as words.
"""

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic, overload

from novate.kernel.bits import CALLEE_OPTIONS

WORD = ir.IntType(64)
WORD_BYTES = 8


def load_word(data: Any, at: int) -> int:
    """Return eight bytes of uint8[n] as a little-endian int64. The caller has checked at + 8 <= n."""
    return int.from_bytes(bytes(data[at : at + WORD_BYTES]), "little", signed=True)


def load_big_word(data: Any, at: int) -> int:
    """Return eight bytes of uint8[n] as a big-endian int64. The caller has checked at + 8 <= n."""
    return int.from_bytes(bytes(data[at : at + WORD_BYTES]), "big", signed=True)


def copy_bytes(target: Any, at: int, source: Any, start: int, count: int) -> None:
    """Copy source[start : start + count] to target[at:], both uint8[n] that share no byte. The caller has
    checked both ranges.
    """
    target[at : at + count] = source[start : start + count]


def _make_load(swapped: bool) -> Any:
    """Build an intrinsic that loads a word from an array of bytes that lie one behind the other."""

    @intrinsic  # type: ignore[untyped-decorator]
    def load(typing_context: Any, data: Any, at: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            array = context.make_array(signature.args[0])(context, builder, arguments[0])
            place = builder.bitcast(builder.gep(array.data, [arguments[1]]), WORD.as_pointer())
            word = builder.load(place, align=1)
            return builder.bswap(word) if swapped else word

        return types.int64(data, types.int64), generate

    return load


_load_word, _load_big_word = _make_load(False), _make_load(True)


@overload(load_word, jit_options=CALLEE_OPTIONS)
def _overload_load_word(data, at):  # type: ignore[no-untyped-def]
    def implementation(data, at):  # type: ignore[no-untyped-def]
        return _load_word(data, types.int64(at))

    return implementation


@overload(load_big_word, jit_options=CALLEE_OPTIONS)
def _overload_load_big_word(data, at):  # type: ignore[no-untyped-def]
    def implementation(data, at):  # type: ignore[no-untyped-def]
        return _load_big_word(data, types.int64(at))

    return implementation


@intrinsic  # type: ignore[untyped-decorator]
def _copy_bytes(typing_context: Any, target: Any, at: Any, source: Any, start: Any, count: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        places = []
        for number in (0, 2):
            array = context.make_array(signature.args[number])(context, builder, arguments[number])
            places.append(builder.gep(array.data, [arguments[number + 1]]))
        cgutils.raw_memcpy(builder, *places, arguments[4], 1)
        return context.get_dummy_value()

    return types.void(target, types.int64, source, types.int64, types.int64), generate


@overload(copy_bytes, jit_options=CALLEE_OPTIONS)
def _overload_copy_bytes(target, at, source, start, count):  # type: ignore[no-untyped-def]
    def implementation(target, at, source, start, count):  # type: ignore[no-untyped-def]
        _copy_bytes(target, types.int64(at), source, types.int64(start), types.int64(count))

    return implementation
