"""Oracles: which reports count, what the index is, and how time is weighted before an expiry.

k of n registered oracles decide: the index is the lower median of the fresh reports, a surface needs k equal
reports. Implements [INDEX-1], [INDEX-2], [MARK-STALE-1], [EXPIRY-1] and the observation codes of
[SURFACE-1].
"""

from typing import Any

import numpy as np

from novate.kernel import kernel, mul_shift_floor
from novate.protocol.arithmetic import ONE_X48, div_floor, div_x48
from novate.protocol.generated.codes import Code
from novate.protocol.generated.constants import NS_PER_MS, NS_PER_US, TWAP_WINDOW_NS

Record = Any
Array = np.ndarray[Any, np.dtype[Any]]

INDEX_REPORT = np.dtype([("index_atoms", np.int64), ("confidence_e6", np.int64), ("observed_ns", np.int64)])
SURFACE = np.dtype(
    [
        ("forward_atoms", np.int64),
        ("svi_a_x48", np.int64),
        ("svi_b_x48", np.int64),
        ("svi_rho_x48", np.int64),
        ("svi_m_x48", np.int64),
        ("svi_sigma_x48", np.int64),
        ("observed_ns", np.int64),
    ]
)
GROWTH_MAX = 16  # An index more than sixteen times its reference moves the forward no further.


@kernel
def verify_observation(observed_ns: int, last_observed_ns: int, time_ns: int, parameters: Record) -> Code:
    """Return whether a report's time is lawful: not in the future, not old, newer than the oracle's last.
    [INDEX-1]
    """
    if observed_ns > time_ns + parameters["observation_skew_ns"]:
        return Code.OBSERVATION_IN_FUTURE
    if observed_ns < time_ns - parameters["observation_age_ns_max"]:
        return Code.OBSERVATION_STALE
    if observed_ns <= last_observed_ns:
        return Code.OBSERVATION_NOT_NEWER
    return Code.OK


@kernel
def is_fresh(report: Record, time_ns: int, parameters: Record) -> bool:
    """Whether an oracle has reported, recently enough to be counted. [INDEX-2]"""
    return bool(
        report["observed_ns"] > 0 and report["observed_ns"] >= time_ns - parameters["observation_age_ns_max"]
    )


@kernel
def count_fresh(reports: Array, time_ns: int, parameters: Record) -> int:
    """Return how many oracles have a fresh report. [INDEX-2]"""
    count = 0
    for i in range(reports.shape[0]):
        if is_fresh(reports[i], time_ns, parameters):
            count += 1
    return count


@kernel
def compute_median_index(reports: Array, time_ns: int, parameters: Record) -> int:
    """Return the lower median of the fresh index reports; at least one must be fresh.

    The rank of a report counts those below it, and equal ones with a smaller number, so exactly one has the
    middle rank.
    Law        [INDEX-2]
    """
    middle = (count_fresh(reports, time_ns, parameters) - 1) >> 1
    for i in range(reports.shape[0]):
        if is_fresh(reports[i], time_ns, parameters):
            rank = 0
            for j in range(reports.shape[0]):
                if j != i and is_fresh(reports[j], time_ns, parameters):
                    below = reports[j]["index_atoms"] < reports[i]["index_atoms"]
                    tied = reports[j]["index_atoms"] == reports[i]["index_atoms"] and j < i
                    if below or tied:
                        rank += 1
            if rank == middle:
                return int(reports[i]["index_atoms"])
    return 0


@kernel
def compute_confidence(reports: Array, time_ns: int, parameters: Record) -> int:
    """Return the lowest confidence of the fresh reports. [INDEX-2]"""
    lowest = 1_000_000
    for i in range(reports.shape[0]):
        if is_fresh(reports[i], time_ns, parameters):
            lowest = min(lowest, reports[i]["confidence_e6"])
    return lowest


@kernel
def is_same_surface(left: Record, right: Record) -> bool:
    """Whether two reports are equal in all seven numbers. [SURFACE-2]"""
    return bool(
        left["forward_atoms"] == right["forward_atoms"]
        and left["svi_a_x48"] == right["svi_a_x48"]
        and left["svi_b_x48"] == right["svi_b_x48"]
        and left["svi_rho_x48"] == right["svi_rho_x48"]
        and left["svi_m_x48"] == right["svi_m_x48"]
        and left["svi_sigma_x48"] == right["svi_sigma_x48"]
        and left["observed_ns"] == right["observed_ns"]
    )


@kernel
def compute_window_ms(begin_ns: int, end_ns: int, expiry_ns: int) -> int:
    """Return the milliseconds of [begin, end] that lie in the 30 minutes before an expiry.

    Rounding   each end down to its millisecond, so that adjacent spans add up exactly.
    Law        [EXPIRY-1]
    """
    begin = max(begin_ns, expiry_ns - TWAP_WINDOW_NS)
    end = min(end_ns, expiry_ns)
    if end <= begin:
        return 0
    return div_floor(end, NS_PER_MS) - div_floor(begin, NS_PER_MS)


@kernel
def compute_forward_atoms(
    forward_atoms: int, index_atoms: int, reference_atoms: int, index_atoms_max: int
) -> int:
    """Return a surface's forward moved along with the index since the surface was accepted.

    Range      all below 2**40; the result is clamped to [1, index_atoms_max].
    Rounding   down, twice.
    Law        [MARK-1]
    """
    growth_x48 = GROWTH_MAX * ONE_X48
    if index_atoms < GROWTH_MAX * reference_atoms:
        growth_x48 = div_x48(index_atoms, reference_atoms)
    return min(max(mul_shift_floor(forward_atoms, growth_x48, 48), 1), index_atoms_max)


@kernel
def compute_variance_ratio_x48(time_left_ns: int, variance_time_ns: int) -> int:
    """Return how much of a surface's total variance is left, at most 1. Rounding down. [MARK-1]"""
    if time_left_ns >= variance_time_ns:
        return ONE_X48
    # In microseconds ten years (EXPIRY_AHEAD_NS_MAX) stay below 2**49, within the bound of div_x48.
    return div_x48(div_floor(time_left_ns, NS_PER_US), max(div_floor(variance_time_ns, NS_PER_US), 1))


@kernel
def is_stale(index_atoms: int, index_time_ns: int, time_ns: int, parameters: Record) -> bool:
    """Whether an underlying's index is missing or too old to add risk on. [MARK-STALE-1]"""
    return bool(index_atoms <= 0 or time_ns - index_time_ns > parameters["index_age_ns_max"])
