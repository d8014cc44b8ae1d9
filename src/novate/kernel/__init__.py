"""The one decorator of the house: `kernel` compiles integer functions, each option and each cached byte
decided here. Nothing else in the house may name Numba.
"""

from novate.kernel.bits import count_leading_zeros, count_trailing_zeros, mul_high, mul_shift_floor
from novate.kernel.decorators import kernel, kernel_inline, kernel_inner, watch_compilations
from novate.kernel.lanes import LANES, permute_lanes
from novate.kernel.options import JIT_ENABLED, find_cache_directory, find_cache_root
from novate.kernel.tables import pass_by_reference

__all__ = [
    "JIT_ENABLED",
    "LANES",
    "count_leading_zeros",
    "count_trailing_zeros",
    "find_cache_directory",
    "find_cache_root",
    "kernel",
    "kernel_inline",
    "kernel_inner",
    "mul_high",
    "mul_shift_floor",
    "pass_by_reference",
    "permute_lanes",
    "watch_compilations",
]
