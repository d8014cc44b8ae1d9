"""[FUND-1] and [FUND-2]: what holders of perpetuals pay one another at every TICK."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .records import BUY, E6, LIMITS, PERPETUAL, SCALES, SELL, Instrument

if TYPE_CHECKING:
    from .model import Model

E9 = 1_000 * E6
DT_MS_MAX = 3_600_000


def fund(model: Model) -> None:
    """[FUND-2] for every perpetual in ascending number."""
    for number, instrument in enumerate(model.instruments):
        if instrument.kind == PERPETUAL:
            _fund_one(model, number, instrument)


def _fund_one(model: Model, number: int, instrument: Instrument) -> None:
    ms, before = SCALES["NS_PER_MS"], instrument.funded_ns
    dt_ms = 0 if before is None else min(DT_MS_MAX, model.time_ns // ms - before // ms)
    instrument.funded_ns = model.time_ns
    mark = instrument.mark_atoms
    # A mark of 0 has no premium, and nothing could be paid on it: it counts as none.
    if model.is_stale(instrument.underlying) or mark <= 0 or dt_ms == 0:
        return
    instrument.rate_e9 = _rate_e9(model, number, instrument)
    instrument.accrual += mark * instrument.rate_e9 // E9 * dt_ms
    paid = instrument.accrual // LIMITS["FUNDING_PERIOD_MS"]
    instrument.accrual -= paid * LIMITS["FUNDING_PERIOD_MS"]
    if paid == 0:
        return
    for account in model.accounts:
        if number in account.positions:
            account.cash_atoms -= account.positions[number].lots * paid
    model.emit("FUNDED", instrument=number, amount_atoms=paid, maker_amount_atoms=instrument.rate_e9)


def _impact_atoms(model: Model, number: int, side: int) -> int | None:
    """The price at which the visible lots of a side first add up to the impact size, per lot."""
    instrument = model.instruments[number]
    wanted = model.underlyings[instrument.underlying].config["funding_impact_lots"]
    found = 0
    for order in model.books[number][side]:
        found += order.visible_lots
        if found >= wanted:
            return order.price_ticks * instrument.tick_atoms
    return None


def _rate_e9(model: Model, number: int, instrument: Instrument) -> int:
    """[FUND-1]: the rate per eight hours."""
    mark = instrument.mark_atoms
    bid, ask = _impact_atoms(model, number, BUY), _impact_atoms(model, number, SELL)
    premium = max(0, bid - mark) if bid is not None else 0
    premium -= max(0, mark - ask) if ask is not None else 0
    premium = min(max(premium, -mark), mark)
    cap = model.parameters["funding_cap_e9"]
    rate = min(max(premium * E9 // mark, -cap), cap)
    size = max(0, abs(rate) - model.parameters["funding_deadband_e9"])
    return size if rate > 0 else -size
