"""Listing, index and surface reports, and the sums of time before an expiry.

Implements [LIST-1], [INDEX-1] to [INDEX-3], [SURFACE-1] to [SURFACE-3] and [EXPIRY-1].
"""

from typing import Any

from novate.execution.events import emit, emit_result
from novate.execution.tables import NONE, World
from novate.kernel import kernel_inner
from novate.protocol.generated.codes import Code, EventKind, InstrumentKind, InstrumentState
from novate.protocol.generated.constants import E6, EXPIRY_AHEAD_NS_MAX, NS_PER_S
from novate.protocol.novation import is_linear
from novate.protocol.oracle import (
    compute_confidence,
    compute_median_index,
    compute_window_ms,
    count_fresh,
    is_same_surface,
    verify_observation,
)
from novate.protocol.svi import has_butterfly_arbitrage, has_calendar_arbitrage, verify_surface_parameters

Record = Any


@kernel_inner
def find_series(w: World, underlying: int, expiry_ns: int) -> int:
    """Return the series of an underlying and expiry, or NONE."""
    for s in range(w.house[0]["series_count"]):
        if w.series[s]["underlying"] == underlying and w.series[s]["expiry_ns"] == expiry_ns:
            return s
    return NONE


@kernel_inner
def find_instrument(w: World, underlying: int, kind: int, strike_atoms: int, expiry_ns: int) -> int:
    """Return the instrument of the terms, whether open or expired, or NONE."""
    for i in range(w.house[0]["instrument_count"]):
        instrument = w.instruments[i]
        if (
            instrument["strike_atoms"] == strike_atoms
            and instrument["expiry_ns"] == expiry_ns
            and instrument["kind"] == kind
            and instrument["underlying"] == underlying
        ):
            return i
    return NONE


@kernel_inner
def is_lawful_terms(market: Record, kind: int, strike_atoms: int, expiry_ns: int, time_ns: int) -> bool:
    """Whether kind, strike and expiry may be listed. [LIST-1]"""
    if kind == InstrumentKind.PERPETUAL:
        return bool(strike_atoms == 0 and expiry_ns == 0)
    option = kind == InstrumentKind.CALL or kind == InstrumentKind.PUT
    if option and (strike_atoms < 1 or strike_atoms > market["index_atoms_max"]):
        return False
    if not option and (kind != InstrumentKind.FUTURE or strike_atoms != 0):
        return False
    if expiry_ns <= time_ns or expiry_ns > time_ns + EXPIRY_AHEAD_NS_MAX:
        return False
    return bool(expiry_ns % NS_PER_S == 0)


@kernel_inner
def verify_operator(w: World, command: Record) -> Code:
    """Check that the operator speaks, and use up its nonce. [AUTH-4]"""
    if command["account"] == NONE:
        return Code.OPERATOR_UNKNOWN
    if command["expires_ns"] <= command["time_ns"]:
        return Code.SIGNATURE_EXPIRED
    house = w.house[0]
    if command["nonce"] <= house["operator_nonce"]:
        return Code.NONCE_REPLAYED
    house["operator_nonce"] = command["nonce"]
    return Code.OK


@kernel_inner
def verify_listing(w: World, command: Record) -> Code:
    """Return the code of a LIST_INSTRUMENT from the operator. [LIST-1]"""
    underlying, kind = command["underlying"], command["instrument_kind"]
    strike_atoms, expiry_ns = command["strike_atoms"], command["expiry_ns"]
    if underlying < 0 or underlying >= w.markets.shape[0]:
        return Code.UNDERLYING_NOT_FOUND
    if not is_lawful_terms(w.markets[underlying], kind, strike_atoms, expiry_ns, command["time_ns"]):
        return Code.INSTRUMENT_INVALID
    if find_instrument(w, underlying, kind, strike_atoms, expiry_ns) != NONE:
        return Code.INSTRUMENT_EXISTS
    if w.house[0]["instrument_count"] >= w.instruments.shape[0]:
        return Code.INSTRUMENT_TABLE_FULL
    new_series = kind != InstrumentKind.PERPETUAL and find_series(w, underlying, expiry_ns) == NONE
    if new_series and w.house[0]["series_count"] >= w.series.shape[0]:
        return Code.INSTRUMENT_TABLE_FULL
    return Code.OK


@kernel_inner
def open_series(w: World, underlying: int, expiry_ns: int) -> int:
    """Return the series of an underlying and expiry, creating it if it is new. [LIST-1]"""
    found = find_series(w, underlying, expiry_ns)
    if found != NONE:
        return found
    number = w.house[0]["series_count"]
    w.house[0]["series_count"] += 1
    w.series[number]["underlying"] = underlying
    w.series[number]["expiry_ns"] = expiry_ns
    return int(number)


@kernel_inner
def apply_list(w: World, command: Record) -> None:
    """LIST_INSTRUMENT. [LIST-1]"""
    code = verify_operator(w, command)
    if code == Code.OK:
        code = verify_listing(w, command)
    emit_result(w, code, NONE, 0)
    if code != Code.OK:
        return
    house = w.house[0]
    number = house["instrument_count"]
    house["instrument_count"] += 1
    instrument = w.instruments[number]
    market = w.markets[command["underlying"]]
    instrument["underlying"] = command["underlying"]
    instrument["kind"] = command["instrument_kind"]
    instrument["strike_atoms"] = command["strike_atoms"]
    instrument["expiry_ns"] = command["expiry_ns"]
    instrument["state"] = InstrumentState.OPEN
    # A future is quoted and sized like the underlying's perpetual. [FUT-1]
    if is_linear(command["instrument_kind"]):
        instrument["lots_per_unit"] = market["perpetual_lots_per_unit"]
        instrument["tick_atoms"] = market["perpetual_tick_atoms"]
    else:
        instrument["lots_per_unit"] = market["option_lots_per_unit"]
        instrument["tick_atoms"] = market["option_tick_atoms"]
    if command["instrument_kind"] != InstrumentKind.PERPETUAL:
        instrument["series"] = open_series(w, command["underlying"], command["expiry_ns"])
    instrument["dirty"] = 1
    event = emit(w, EventKind.LISTED)
    event["instrument"] = number


@kernel_inner
def advance_sums(w: World, underlying: int, time_ns: int) -> None:
    """Add the time since the last advance to the sums of every live series, at the index of before.
    [EXPIRY-1]
    """
    market = w.markets[underlying]
    if market["index_atoms"] == 0:
        return
    for s in range(w.house[0]["series_count"]):
        series = w.series[s]
        if series["underlying"] == underlying and series["expired"] == 0:
            span_ms = compute_window_ms(market["advanced_ns"], time_ns, series["expiry_ns"])
            series["twap_sum"] += market["index_atoms"] * span_ms
            series["twap_ms"] += span_ms
    market["advanced_ns"] = time_ns


@kernel_inner
def verify_index(w: World, command: Record) -> Code:
    """Return the code of an INDEX report. [INDEX-1]"""
    if command["account"] == NONE:
        return Code.ORACLE_UNKNOWN
    underlying = command["underlying"]
    if underlying < 0 or underlying >= w.markets.shape[0]:
        return Code.UNDERLYING_NOT_FOUND
    index_atoms, confidence_e6 = command["index_atoms"], command["confidence_e6"]
    if index_atoms < 1 or index_atoms > w.markets[underlying]["index_atoms_max"]:
        return Code.INDEX_OUT_OF_RANGE
    if confidence_e6 < 0 or confidence_e6 > E6:
        return Code.INDEX_OUT_OF_RANGE
    last = w.index_reports[underlying, command["account"]]["observed_ns"]
    return verify_observation(command["observed_ns"], last, command["time_ns"], w.parameters[0])


@kernel_inner
def apply_index(w: World, command: Record) -> None:
    """INDEX. [INDEX-1] to [INDEX-3]"""
    code = verify_index(w, command)
    emit_result(w, code, NONE, 0)
    if code != Code.OK:
        return
    underlying, time_ns = command["underlying"], command["time_ns"]
    report = w.index_reports[underlying, command["account"]]
    report["index_atoms"] = command["index_atoms"]
    report["confidence_e6"] = command["confidence_e6"]
    report["observed_ns"] = command["observed_ns"]
    reports, parameters = w.index_reports[underlying], w.parameters[0]
    if count_fresh(reports, time_ns, parameters) < w.house[0]["quorum"]:
        return
    advance_sums(w, underlying, time_ns)
    market = w.markets[underlying]
    if market["index_atoms"] == 0:
        market["advanced_ns"] = time_ns
    market["index_atoms"] = compute_median_index(reports, time_ns, parameters)
    market["confidence_e6"] = compute_confidence(reports, time_ns, parameters)
    market["index_time_ns"] = time_ns
    market["dirty"] = 1
    event = emit(w, EventKind.INDEX_SET)
    event["instrument"] = underlying
    event["amount_atoms"] = market["index_atoms"]


@kernel_inner
def write_surface(target: Record, source: Record) -> None:
    """Copy the seven numbers of a surface."""
    target["forward_atoms"] = source["forward_atoms"]
    target["svi_a_x48"] = source["svi_a_x48"]
    target["svi_b_x48"] = source["svi_b_x48"]
    target["svi_rho_x48"] = source["svi_rho_x48"]
    target["svi_m_x48"] = source["svi_m_x48"]
    target["svi_sigma_x48"] = source["svi_sigma_x48"]
    target["observed_ns"] = source["observed_ns"]


@kernel_inner
def verify_surface(w: World, number: int, command: Record) -> Code:
    """Return the code of a SURFACE report before it is compared with the other oracles'. [SURFACE-1]"""
    if command["account"] == NONE:
        return Code.ORACLE_UNKNOWN
    underlying = command["underlying"]
    if underlying < 0 or underlying >= w.markets.shape[0]:
        return Code.UNDERLYING_NOT_FOUND
    if number == NONE or command["time_ns"] >= command["expiry_ns"]:
        return Code.SERIES_NOT_FOUND
    forward_atoms = command["forward_atoms"]
    if forward_atoms < 1 or forward_atoms > w.markets[underlying]["index_atoms_max"]:
        return Code.SURFACE_OUT_OF_RANGE
    lawful = verify_surface_parameters(
        command["svi_a_x48"],
        command["svi_b_x48"],
        command["svi_rho_x48"],
        command["svi_m_x48"],
        command["svi_sigma_x48"],
    )
    if lawful != 0:
        return Code.SURFACE_OUT_OF_RANGE
    last = w.surface_reports[number, command["account"]]["observed_ns"]
    return verify_observation(command["observed_ns"], last, command["time_ns"], w.parameters[0])


@kernel_inner
def find_neighbour(w: World, number: int, later: bool) -> int:
    """Return the nearest unexpired series with a surface before (or after) a series in its underlying, or
    NONE.
    """
    expiry_ns, underlying = w.series[number]["expiry_ns"], w.series[number]["underlying"]
    nearest = NONE
    for s in range(w.house[0]["series_count"]):
        series = w.series[s]
        if series["underlying"] != underlying or series["has_surface"] == 0 or series["expired"] != 0:
            continue
        if later:
            closer = nearest == NONE or series["expiry_ns"] < w.series[nearest]["expiry_ns"]
            if series["expiry_ns"] > expiry_ns and closer:
                nearest = s
        else:
            closer = nearest == NONE or series["expiry_ns"] > w.series[nearest]["expiry_ns"]
            if series["expiry_ns"] < expiry_ns and closer:
                nearest = s
    return nearest


@kernel_inner
def is_calendar_arbitrage(near: Record, far: Record) -> bool:
    """Whether the farther slice lies below the nearer one somewhere on the grid. [SVI-4]"""
    return has_calendar_arbitrage(
        near["svi_a_x48"],
        near["svi_b_x48"],
        near["svi_rho_x48"],
        near["svi_m_x48"],
        near["svi_sigma_x48"],
        far["svi_a_x48"],
        far["svi_b_x48"],
        far["svi_rho_x48"],
        far["svi_m_x48"],
        far["svi_sigma_x48"],
    )


@kernel_inner
def verify_no_arbitrage(w: World, number: int, command: Record) -> Code:
    """Return the code of a surface that a quorum agrees on. [SURFACE-2]"""
    butterfly = has_butterfly_arbitrage(
        command["svi_a_x48"],
        command["svi_b_x48"],
        command["svi_rho_x48"],
        command["svi_m_x48"],
        command["svi_sigma_x48"],
    )
    if butterfly:
        return Code.SURFACE_BUTTERFLY
    earlier = find_neighbour(w, number, False)
    if earlier != NONE and is_calendar_arbitrage(w.series[earlier], command):
        return Code.SURFACE_CALENDAR
    later = find_neighbour(w, number, True)
    if later != NONE and is_calendar_arbitrage(command, w.series[later]):
        return Code.SURFACE_CALENDAR
    return Code.OK


@kernel_inner
def has_quorum(w: World, number: int, command: Record) -> bool:
    """Whether the report and the other oracles' last reports make a quorum of equal ones. [SURFACE-2]"""
    equal = 1
    for oracle in range(w.surface_reports.shape[1]):
        if oracle != command["account"] and is_same_surface(w.surface_reports[number, oracle], command):
            equal += 1
    return bool(equal >= w.house[0]["quorum"])


@kernel_inner
def apply_surface(w: World, command: Record) -> None:
    """SURFACE. [SURFACE-1] to [SURFACE-3]"""
    number = find_series(w, command["underlying"], command["expiry_ns"])
    code = verify_surface(w, number, command)
    accepted = False
    if code == Code.OK:
        market = w.markets[command["underlying"]]
        series = w.series[number]
        known = series["has_surface"] != 0 and is_same_surface(series, command)
        if not known and market["index_atoms"] > 0 and has_quorum(w, number, command):
            code = verify_no_arbitrage(w, number, command)
            accepted = code == Code.OK
    emit_result(w, code, NONE, 0)
    if code == Code.OK:
        write_surface(w.surface_reports[number, command["account"]], command)
    if accepted:
        series = w.series[number]
        market = w.markets[command["underlying"]]
        write_surface(series, command)
        series["has_surface"] = 1
        series["reference_index_atoms"] = market["index_atoms"]
        series["variance_time_ns"] = max(1, series["expiry_ns"] - command["observed_ns"])
        market["dirty"] = 1
        event = emit(w, EventKind.SURFACE_SET)
        event["instrument"] = number
