"""What the channels of charts, perpetuals and mark prices show."""

from typing import Any

from novate.access.candle_tape import MINUTE_NS
from novate.access.market_payloads import MarketPayloads
from novate.access.quantities import show_amount, show_lot_value, show_price, show_usdc
from novate.access.trade_tape import TradeTape
from novate.execution import views
from novate.execution.engine import InstrumentView
from novate.protocol.generated.codes import InstrumentKind
from novate.protocol.generated.constants import NS_PER_MS

E9 = 1_000_000_000


def describe_candle(tape: TradeTape, instrument: InstrumentView, minutes: int) -> dict[str, Any] | None:
    """Return the latest candle of an instrument, None before its first trade."""
    last = tape.read_last_candle(instrument.number, minutes)
    if last is None:
        return None
    prices = {
        name: show_price(getattr(last, f"{name}_ticks"), instrument)
        for name in ("open", "high", "low", "close")
    }
    value = last.value - last.lots * instrument.tick_offset
    return prices | {
        "tick": last.minute * MINUTE_NS // NS_PER_MS,
        "volume": show_amount(last.lots, instrument),
        "cost": show_usdc(value * instrument.tick_atoms),
    }


def describe_perpetual(market: MarketPayloads, instrument: InstrumentView) -> dict[str, Any]:
    """Return a perpetual's funding rate per eight hours, as of the last mark, and its index."""
    record = market.engine.world.instruments[instrument.number]
    return {
        "timestamp": market.clock_ns() // NS_PER_MS,
        "interest": int(record["funding_rate_e9"]) / E9,
        "index_price": market.read_index(instrument.underlying),
    }


def describe_marks(market: MarketPayloads, underlying: int) -> list[dict[str, Any]]:
    """Return mark price and volatility of every open option of an underlying; the volatility as a ratio."""
    rows = []
    for instrument in market.engine.instruments:
        is_option = instrument.kind in (InstrumentKind.CALL, InstrumentKind.PUT)
        if instrument.underlying != underlying or not is_option or not market.is_open(instrument):
            continue
        terms = market.read_option(instrument)
        if terms is not None:
            mark_atoms = views.read_instrument_state(market.engine, instrument.number).mark_atoms
            rows.append(
                {
                    "instrument_name": instrument.name,
                    "mark_price": show_lot_value(mark_atoms, instrument),
                    "iv": terms.volatility,
                }
            )
    return rows
