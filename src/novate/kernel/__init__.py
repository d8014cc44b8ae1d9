"""The decorators of the house: `kernel` compiles integer functions, `float_kernel` those of floats that
decide nothing; each option and each cached byte is decided here. Nothing else in the house may name Numba.
"""

from novate.kernel.bits import as_place, count_leading_zeros, count_trailing_zeros, mul_high, mul_shift_floor
from novate.kernel.decorators import kernel, kernel_inline, kernel_inner, watch_compilations
from novate.kernel.floats import (
    bits_to_float,
    float_inline,
    float_kernel,
    float_to_bits,
    fma,
    shift_right,
)
from novate.kernel.lanes import LANES, permute_lanes
from novate.kernel.machine import prefetch, read_cycles
from novate.kernel.options import JIT_ENABLED, find_cache_directory, find_cache_root
from novate.kernel.tables import pass_by_reference
from novate.kernel.words import copy_bytes, load_big_word, load_word

__all__ = [
    "JIT_ENABLED",
    "LANES",
    "as_place",
    "bits_to_float",
    "copy_bytes",
    "count_leading_zeros",
    "count_trailing_zeros",
    "find_cache_directory",
    "find_cache_root",
    "float_inline",
    "float_kernel",
    "float_to_bits",
    "fma",
    "kernel",
    "kernel_inline",
    "kernel_inner",
    "load_big_word",
    "load_word",
    "mul_high",
    "mul_shift_floor",
    "pass_by_reference",
    "permute_lanes",
    "prefetch",
    "read_cycles",
    "shift_right",
    "watch_compilations",
]
