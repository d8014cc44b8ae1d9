"""[INDEX-*], [SURFACE-*], [MARK-*], [EXPIRY-*] and [TICK-1]: what oracles say, and what time does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from . import combos, fees, funding, liquidation, margin, orders, pricing, quotes, timers, waiting
from .records import (
    CALL,
    COMBO,
    EXPIRED,
    FUTURE,
    NO_MARK,
    OPEN,
    PERPETUAL,
    SCALES,
    Instrument,
    Report,
    Series,
    require,
)

if TYPE_CHECKING:
    from .model import Model

Command = dict[str, Any]


def _check_observation(model: Model, observed_ns: int, last_ns: int | None) -> None:
    """The three observation codes of [INDEX-1]."""
    rules = model.parameters
    require(observed_ns <= model.time_ns + rules["observation_skew_ns"], "OBSERVATION_IN_FUTURE")
    require(observed_ns >= model.time_ns - rules["observation_age_ns_max"], "OBSERVATION_STALE")
    require(last_ns is None or observed_ns > last_ns, "OBSERVATION_NOT_NEWER")


def index(model: Model, command: Command) -> tuple[int, int]:
    """[INDEX-1] and [INDEX-2]."""
    oracle = model.authenticate_oracle(command)
    require(0 <= command["underlying"] < len(model.underlyings), "UNDERLYING_NOT_FOUND")
    underlying = model.underlyings[command["underlying"]]
    price, confidence = command["index_atoms"], command["confidence_e6"]
    in_range = 1 <= price <= underlying.config["index_atoms_max"] and 0 <= confidence <= SCALES["E6"]
    require(in_range, "INDEX_OUT_OF_RANGE")
    last = underlying.reports.get(oracle)
    _check_observation(model, command["observed_ns"], last[2] if last else None)
    underlying.reports[oracle] = (price, confidence, command["observed_ns"])
    oldest = model.time_ns - model.parameters["observation_age_ns_max"]
    fresh = [report for report in underlying.reports.values() if report[2] >= oldest]
    if len(fresh) < model.genesis["quorum"]:
        return -1, 0
    advance(model, command["underlying"])
    underlying.index_atoms = sorted(report[0] for report in fresh)[(len(fresh) - 1) // 2]
    underlying.confidence_e6 = min(report[1] for report in fresh)
    underlying.index_time_ns = model.time_ns
    underlying.dirty = True
    model.emit("INDEX_SET", instrument=command["underlying"], amount_atoms=underlying.index_atoms)
    return -1, 0


def advance(model: Model, number: int) -> None:
    """[EXPIRY-1]: add the index since the last advance to every settlement window that was open."""
    underlying, now = model.underlyings[number], model.time_ns
    begun = underlying.advanced_ns
    underlying.advanced_ns = now
    if begun is None:
        return
    for series in model.series:
        if series.underlying != number or series.expired:
            continue
        begin = max(begun, series.expiry_ns - SCALES["TWAP_WINDOW_NS"])
        end = min(now, series.expiry_ns)
        if end > begin:
            ms = end // SCALES["NS_PER_MS"] - begin // SCALES["NS_PER_MS"]
            series.twap_sum += underlying.index_atoms * ms
            series.twap_ms += ms


def surface(model: Model, command: Command) -> tuple[int, int]:
    """[SURFACE-1] to [SURFACE-3]."""
    oracle = model.authenticate_oracle(command)
    require(0 <= command["underlying"] < len(model.underlyings), "UNDERLYING_NOT_FOUND")
    underlying = model.underlyings[command["underlying"]]
    number = model.series_number(command["underlying"], command["expiry_ns"])
    require(number >= 0 and model.time_ns < command["expiry_ns"], "SERIES_NOT_FOUND")
    series = model.series[number]
    svi = [command[f"svi_{name}_x48"] for name in ("a", "b", "rho", "m", "sigma")]
    report = Report(command["forward_atoms"], *svi, command["observed_ns"])
    in_range = 1 <= report.forward_atoms <= underlying.config["index_atoms_max"]
    require(in_range and pricing.parameters_allowed(report), "SURFACE_OUT_OF_RANGE")
    last = series.reports.get(oracle)
    _check_observation(model, report.observed_ns, last.observed_ns if last else None)
    agreeing = 1 + sum(
        other.numbers() == report.numbers() for who, other in series.reports.items() if who != oracle
    )
    accepted = series.surface is not None and series.surface.numbers() == report.numbers()
    if agreeing >= model.genesis["quorum"] and underlying.index_time_ns is not None and not accepted:
        require(pricing.butterfly_free(report), "SURFACE_BUTTERFLY")
        _check_calendar(model, series, report)
        series.surface = report
        series.reference_index = underlying.index_atoms
        series.variance_time_ns = max(1, series.expiry_ns - report.observed_ns)
        underlying.dirty = True
        model.emit("SURFACE_SET", instrument=number)
    series.reports[oracle] = report
    return -1, 0


def _check_calendar(model: Model, series: Series, report: Report) -> None:
    """Total variance must not fall from one expiry to the next, on either side of the new surface."""
    others = [
        other
        for other in model.series
        if other.underlying == series.underlying and not other.expired and other.surface is not None
    ]
    earlier = [other for other in others if other.expiry_ns < series.expiry_ns]
    later = [other for other in others if other.expiry_ns > series.expiry_ns]
    if earlier:
        before = max(earlier, key=lambda other: other.expiry_ns).surface
        require(pricing.calendar_free(before, report), "SURFACE_CALENDAR")
    if later:
        after = min(later, key=lambda other: other.expiry_ns).surface
        require(pricing.calendar_free(report, after), "SURFACE_CALENDAR")


def tick(model: Model, command: Command) -> tuple[int, int]:
    """[TICK-1]; ready orders fire after every command."""
    for number, underlying in enumerate(model.underlyings):
        if underlying.index_time_ns is not None:
            advance(model, number)
    for series in model.series:
        if not series.expired and series.expiry_ns <= model.time_ns:
            _expire(model, series)
    quotes.end_windows(model)
    marked = _renew_marks(model)
    funding.fund(model)
    liquidation.liquidate(model)
    timers.cancel_due_accounts(model)
    timers.cancel_expired(model)
    for number in marked:
        orders.reprice(model, number)
    waiting.fire_armed(model)
    return -1, 0


def _renew_marks(model: Model) -> list[int]:
    """[MARK-1] and [MARK-3]: the underlyings whose marks were renewed."""
    for series in model.series:
        underlying = model.underlyings[series.underlying]
        in_window = not series.expired and pricing.is_in_window(series, model.time_ns)
        if in_window and underlying.index_time_ns is not None:
            underlying.dirty = True
    renewed = [number for number, underlying in enumerate(model.underlyings) if underlying.dirty]
    for number in renewed:
        mine = [i for i in model.instruments if i.underlying == number and i.state == OPEN]
        marked = sum(_mark(model, instrument) for instrument in mine if instrument.kind != COMBO)
        marked += sum(combos.mark(model, instrument) for instrument in mine if instrument.kind == COMBO)
        model.underlyings[number].dirty = False
        model.emit("MARKED", instrument=number, lots=marked)
    return renewed


def _expire(model: Model, series: Series) -> None:
    """[EXPIRY-2]."""
    underlying = model.underlyings[series.underlying]
    price = series.twap_sum // series.twap_ms if series.twap_ms else underlying.index_atoms
    series.expired = True
    underlying.dirty = True
    combos.end_of_series(model, model.series.index(series))
    for number, instrument in enumerate(model.instruments):
        if instrument.series < 0 or model.series[instrument.series] is not series:
            continue
        for order in sorted((o for side in model.books[number] for o in side), key=lambda o: o.order_id):
            orders.end_order(model, order, "INSTRUMENT_EXPIRED")
        waiting.end_in(model, number)
        payoff = _payoff(instrument, price)
        for holder, account in enumerate(model.accounts):
            position = account.positions.pop(number, None)
            if position is not None:
                paid = position.lots * payoff
                if instrument.kind == FUTURE:
                    paid -= position.cost_atoms
                account.cash_atoms += paid
                model.emit(
                    "SETTLED", account=holder, instrument=number, lots=position.lots, amount_atoms=paid
                )
        instrument.state = EXPIRED
        instrument.settlement_atoms = price
        instrument.mark_atoms = NO_MARK
        instrument.rows, instrument.basis = [], []
        margin.forget(instrument)
        model.emit("EXPIRED", instrument=number, amount_atoms=price)


def _payoff(instrument: Instrument, price: int) -> int:
    """[EXPIRY-2] and [FUT-3]: what one lot pays at the settlement price."""
    gain = price - instrument.strike_atoms
    if instrument.kind == FUTURE:
        return price // instrument.lots_per_unit
    return max(0, gain if instrument.kind == CALL else -gain) // instrument.lots_per_unit


def _mark(model: Model, instrument: Instrument) -> bool:
    """[MARK-1] to [MARK-3]; False if there is nothing to mark the instrument by."""
    underlying = model.underlyings[instrument.underlying]
    if underlying.index_time_ns is None:
        return False
    if instrument.kind == PERPETUAL:
        marked = pricing.mark_perpetual(instrument, underlying.index_atoms)
    else:
        series = model.series[instrument.series]
        if series.surface is None:
            return False
        shift = model.parameters["basis_shift_e6"]
        view = pricing.outlook(series, underlying, model.time_ns)
        if instrument.kind == FUTURE:
            marked = pricing.mark_future(instrument, view, shift)
        else:
            marked = pricing.mark_option(instrument, view, series.surface, shift)
    instrument.mark_atoms, instrument.rows, instrument.basis = marked.mark, marked.rows, marked.basis
    instrument.delta_atoms, instrument.vega_atoms = marked.delta, marked.vega
    instrument.forward_atoms = marked.forward
    margin.forget(instrument)
    instrument.notional_atoms = -(-underlying.index_atoms // instrument.lots_per_unit)
    instrument.taker_fee_atoms = fees.highest_per_lot(model, instrument)
    return True
