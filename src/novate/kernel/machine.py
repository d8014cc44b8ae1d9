"""What a kernel may ask of the processor without changing a result: cache lines ahead of time, and its
counter of cycles for benchmarks. In plain Python both do nothing.
"""

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic, overload

from novate.kernel.bits import CALLEE_OPTIONS

LINE_BYTES = 64
FOR_WRITING, KEEP_CLOSE, DATA_CACHE = 1, 3, 1  # What llvm.prefetch calls its three arguments.


def prefetch(table: Any, place: int, offset_bytes: int) -> None:
    """Ask for the cache line `offset_bytes` behind the start of table[place], before it is needed.

    Nothing is read: a place outside the table is harmless, though it asks in vain.
    """


@intrinsic  # type: ignore[untyped-decorator]
def _prefetch(typing_context: Any, table: Any, place: Any, offset_bytes: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        array = context.make_array(signature.args[0])(context, builder, arguments[0])
        stride = builder.extract_value(array.strides, 0)
        start = builder.ptrtoint(array.data, ir.IntType(64))
        address = builder.add(builder.add(start, builder.mul(stride, arguments[1])), arguments[2])
        pointer, number = ir.IntType(8).as_pointer(), ir.IntType(32)
        function = cgutils.get_or_insert_function(
            builder.module,
            ir.FunctionType(ir.VoidType(), [pointer, number, number, number]),
            "llvm.prefetch.p0",
        )
        hints = [number(FOR_WRITING), number(KEEP_CLOSE), number(DATA_CACHE)]
        builder.call(function, [builder.inttoptr(address, pointer), *hints])
        return context.get_dummy_value()

    return types.void(table, types.int64, types.int64), generate


@overload(prefetch, jit_options=CALLEE_OPTIONS)
def _overload_prefetch(table, place, offset_bytes):  # type: ignore[no-untyped-def]
    def implementation(table, place, offset_bytes):  # type: ignore[no-untyped-def]
        _prefetch(table, types.int64(place), types.int64(offset_bytes))

    return implementation


def read_cycles() -> int:
    """Return the processor's counter of cycles, for benchmarks alone; 0 in plain Python."""
    return 0


@intrinsic  # type: ignore[untyped-decorator]
def _read_cycles(typing_context: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        function = cgutils.get_or_insert_function(
            builder.module, ir.FunctionType(ir.IntType(64), []), "llvm.readcyclecounter"
        )
        return builder.call(function, [])

    return types.int64(), generate


@overload(read_cycles, jit_options=CALLEE_OPTIONS)
def _overload_read_cycles():  # type: ignore[no-untyped-def]
    def implementation():  # type: ignore[no-untyped-def]
        return _read_cycles()

    return implementation
