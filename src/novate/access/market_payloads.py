"""Market data in Deribit's shapes: instruments, tickers, books, public trades.
Reads the engine, changes nothing.

Prices are USDC per 1.0 of the underlying and amounts are units of the underlying, as JSON numbers. Greeks
and implied volatilities come from functions that the program injects: access knows the law and the engine
only.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from novate.access.combo_terms import is_option_combo
from novate.access.quantities import show_amount, show_lot_value, show_price, show_usdc
from novate.access.trade_tape import Trade, TradeTape
from novate.execution import views
from novate.execution.engine import Engine, InstrumentView
from novate.protocol.generated.codes import InstrumentKind, InstrumentState, Side
from novate.protocol.generated.constants import (
    E6,
    NO_MARK_ATOMS,
    NS_PER_DAY,
    NS_PER_MS,
    NS_PER_YEAR,
    PRICE_TICKS_MAX,
)
from novate.protocol.genesis import Genesis
from novate.protocol.instrument import compute_civil_date

SETTLEMENT_CURRENCY = "USDC"
PERPETUAL_EXPIRATION_MS = 32_503_708_800_000  # The year 3000, which Deribit sends for perpetuals.
DIRECTION = {Side.BUY: "buy", Side.SELL: "sell"}
STATE_NAME = {InstrumentState.OPEN: "open", InstrumentState.EXPIRED: "delivered"}
WEEKDAY_OF_EPOCH = 3  # 1970-01-01 was a Thursday, counted from Monday.
FRIDAY = 4
FUTURE, OPTION = "future", "option"
FUTURE_COMBO, OPTION_COMBO = "future_combo", "option_combo"
OPTION_KINDS = (InstrumentKind.CALL, InstrumentKind.PUT)
X48 = float(1 << 48)
E9 = 1_000_000_000
ONE_LEVEL = 1
GreeksFunction = Callable[[float, float, float, float, bool], Mapping[str, float]]
ImpliedFunction = Callable[[float, float, float, float, bool], float | None]


class Analytics(NamedTuple):
    """What the program injects; None leaves the fields out.

    greeks                (forward, strike, volatility, years, is_call) -> at least delta, gamma, vega,
                          theta and rho by name: vega and rho per 0.01, theta per day.
    implied_volatility    (price, forward, strike, years, is_call) -> volatility per year, or None.
    """

    greeks: GreeksFunction | None = None
    implied_volatility: ImpliedFunction | None = None


class OptionTerms(NamedTuple):
    """What an option's analytics need: prices in USDC, volatility per square root of a year, as marked."""

    forward: float
    strike: float
    years: float
    is_call: bool
    volatility: float


def name_block(order_id: int) -> str:
    """Return the id of a block trade, from the order id that the law gives it."""
    return f"BLOCK-{order_id}"


def name_index(underlying: str) -> str:
    """Return the name of an underlying's index, such as `btc_usdc`."""
    return f"{underlying.lower()}_usdc"


def name_kind(instrument: InstrumentView) -> str:
    """Return option, future for perpetuals and dated futures, or the same of a combo: that of an option if
    one of its legs is one.
    """
    if instrument.kind == InstrumentKind.COMBO:
        return OPTION_COMBO if is_option_combo(instrument.name) else FUTURE_COMBO
    return OPTION if instrument.kind in OPTION_KINDS else FUTURE


def name_settlement_period(instrument: InstrumentView) -> str:
    """Return perpetual, month (the last Friday), week (another Friday) or day."""
    if instrument.kind == InstrumentKind.PERPETUAL:
        return "perpetual"
    day = instrument.expiry_ns // NS_PER_DAY
    if (day + WEEKDAY_OF_EPOCH) % 7 != FRIDAY:
        return "day"
    return "month" if name_month(day) != name_month(day + 7) else "week"


def name_month(day: int) -> str:
    """Return the month of a day number as an instrument's name writes it."""
    return "{}-{}".format(*compute_civil_date(day)[:2])


class MarketPayloads:
    """Shapes of public data over one engine."""

    def __init__(
        self,
        engine: Engine,
        genesis: Genesis,
        tape: TradeTape,
        clock_ns: Callable[[], int],
        analytics: Analytics,
    ) -> None:
        self.engine = engine
        self.genesis = genesis
        self.tape = tape
        self.clock_ns = clock_ns
        self.analytics = analytics
        self.change_ids: dict[int, int] = {}
        self.listed_ns: dict[int, int] = {}
        self.first_change_id = engine.sequence

    def name_underlying(self, instrument: InstrumentView) -> str:
        """Return the name of an instrument's underlying."""
        return self.genesis.underlyings[instrument.underlying].name

    def read_change_id(self, number: int) -> int:
        """Return the sequence of the last command that moved this book, as far as this server has seen."""
        return self.change_ids.get(number, self.first_change_id)

    def is_open(self, instrument: InstrumentView) -> bool:
        """Whether the instrument trades now."""
        return views.read_instrument_state(self.engine, instrument.number).state == InstrumentState.OPEN

    def describe_instrument(self, instrument: InstrumentView) -> dict[str, Any]:
        """Return an instrument's terms."""
        name, step = self.name_underlying(instrument), 1 / instrument.lots_per_unit
        parameters = self.genesis.parameters
        kind = name_kind(instrument)
        prefix = OPTION if kind in (OPTION, OPTION_COMBO) else "futures"
        rates = self.genesis.fee_tiers[0]
        state = views.read_instrument_state(self.engine, instrument.number).state
        payload = {
            "instrument_name": instrument.name,
            "instrument_id": instrument.number,
            "instrument_type": "linear",
            "kind": kind,
            "state": STATE_NAME[InstrumentState(state)],
            "is_active": state == InstrumentState.OPEN,
            "base_currency": name,
            "quote_currency": SETTLEMENT_CURRENCY,
            "counter_currency": SETTLEMENT_CURRENCY,
            "settlement_currency": SETTLEMENT_CURRENCY,
            "settlement_period": name_settlement_period(instrument),
            "price_index": name_index(name),
            "creation_timestamp": self.listed_ns.get(instrument.number, 0) // NS_PER_MS,
            "expiration_timestamp": PERPETUAL_EXPIRATION_MS,
            "min_trade_amount": step,
            "contract_size": step,
            "tick_size": show_lot_value(instrument.tick_atoms, instrument),
            "tick_size_steps": [],
            "maker_commission": rates[f"{prefix}_maker_e6"] / E6,
            "taker_commission": rates[f"{prefix}_taker_e6"] / E6,
            "block_trade_commission": rates[f"{prefix}_taker_e6"] / E6,
            "block_trade_min_trade_amount": step,
            "block_trade_tick_size": show_lot_value(instrument.tick_atoms, instrument),
            "max_liquidation_commission": 0.0,
            "max_leverage": E6 // max(1, parameters["futures_initial_e6"]),
            "lots_per_unit": instrument.lots_per_unit,
            "tick_atoms": instrument.tick_atoms,
        }
        if instrument.kind != InstrumentKind.PERPETUAL:
            payload["expiration_timestamp"] = instrument.expiry_ns // NS_PER_MS
        if kind == FUTURE:
            payload["future_type"] = "linear"
        if kind != OPTION:
            return payload
        payload["option_type"] = "call" if instrument.kind == InstrumentKind.CALL else "put"
        payload["strike"] = show_usdc(instrument.strike_atoms)
        return payload

    def read_top(self, number: int) -> tuple[tuple[int, int] | None, tuple[int, int] | None]:
        """Return best bid and best ask as (ticks, lots), None where a side is empty."""
        bids, asks = views.read_book(self.engine, number, ONE_LEVEL)
        best_bid, best_ask = (bids[0] if bids else None), (asks[0] if asks else None)
        return (best_bid and (best_bid[0], best_bid[1])), (best_ask and (best_ask[0], best_ask[1]))

    def describe_quote(self, instrument: InstrumentView) -> dict[str, Any]:
        """Return best bid and ask; Deribit shows an absent side's price as null and its amount as 0."""
        payload: dict[str, Any] = {
            "timestamp": self.clock_ns() // NS_PER_MS,
            "instrument_name": instrument.name,
        }
        for side, level in zip(("bid", "ask"), self.read_top(instrument.number), strict=True):
            payload[f"best_{side}_price"] = None if level is None else show_price(level[0], instrument)
            payload[f"best_{side}_amount"] = 0.0 if level is None else show_amount(level[1], instrument)
        return payload

    def describe_day(self, instrument: InstrumentView) -> dict[str, Any]:
        """Return the statistics of the last 24 hours."""
        day = self.tape.summarise_day(instrument.number, self.clock_ns())
        is_combo = instrument.kind == InstrumentKind.COMBO
        value = day.value - day.lots * instrument.tick_offset
        notional = show_usdc(abs(value) * instrument.tick_atoms)
        change = None if day.change is None or is_combo else round(day.change * 100, 4)
        return {
            "high": None if day.high_ticks is None else show_price(day.high_ticks, instrument),
            "low": None if day.low_ticks is None else show_price(day.low_ticks, instrument),
            "price_change": change,
            "volume": show_amount(day.lots, instrument),
            "volume_usd": notional,
            "volume_notional": notional,
        }

    def describe_last(self, instrument: InstrumentView) -> float | None:
        """Return the price of the last trade."""
        ticks = self.tape.read_last_ticks(instrument.number)
        return None if ticks is None else show_price(ticks, instrument)

    def read_index(self, underlying: int) -> float | None:
        """Return an index price in USDC, None if there is none yet."""
        index_atoms = views.read_underlying(self.engine, underlying)[0]
        return show_usdc(index_atoms) if index_atoms > 0 else None

    def describe_ticker(self, instrument: InstrumentView) -> dict[str, Any]:
        """Return the ticker."""
        now = views.read_instrument_state(self.engine, instrument.number)
        index = self.read_index(instrument.underlying)
        mark = show_lot_value(now.mark_atoms, instrument) if now.mark_atoms != NO_MARK_ATOMS else None
        expired = now.state == InstrumentState.EXPIRED
        payload = self.describe_quote(instrument) | {
            "state": STATE_NAME[InstrumentState(now.state)],
            "stats": self.describe_day(instrument),
            "last_price": self.describe_last(instrument),
            "mark_price": mark,
            "index_price": index,
            "min_price": show_price(1, instrument),
            "max_price": show_price(PRICE_TICKS_MAX, instrument),
            "open_interest": show_amount(
                views.read_open_interest(self.engine, instrument.number), instrument
            ),
            "settlement_price": show_usdc(now.settlement_atoms) if expired else None,
            "estimated_delivery_price": index,
        }
        if expired:
            payload["delivery_price"] = payload["settlement_price"]
        if instrument.kind == InstrumentKind.PERPETUAL:
            rate = now.funding_rate_e9 / E9
            return payload | {"current_funding": rate, "funding_8h": rate, "interest_value": 0.0}
        if instrument.kind == InstrumentKind.FUTURE:
            return payload
        if instrument.kind == InstrumentKind.COMBO:
            return payload | {"combo_state": "inactive" if expired else "active"}
        return payload | self.describe_option_analytics(instrument, payload)

    def read_option(self, instrument: InstrumentView) -> OptionTerms | None:
        """Return what an option's analytics need, or None while it has no mark or after expiry."""
        now = views.read_instrument_state(self.engine, instrument.number)
        # Volatility belongs to the time of the marks, which the venue's own time gives.
        years = (instrument.expiry_ns - self.engine.time_ns) / NS_PER_YEAR
        if now.mark_atoms == NO_MARK_ATOMS or years <= 0:
            return None
        volatility = now.total_volatility_x48 / X48 / years**0.5
        is_call = instrument.kind == InstrumentKind.CALL
        return OptionTerms(
            show_usdc(now.forward_atoms), show_usdc(instrument.strike_atoms), years, is_call, volatility
        )

    def compute_greeks(self, terms: OptionTerms | None) -> Mapping[str, float] | None:
        """Return the Greeks at the mark, or None if they are not to be had."""
        if terms is None or self.analytics.greeks is None:
            return None
        return self.analytics.greeks(
            terms.forward, terms.strike, terms.volatility, terms.years, terms.is_call
        )

    def describe_option_analytics(self, instrument: InstrumentView, ticker: dict[str, Any]) -> dict[str, Any]:
        """Return an option's part of the ticker: volatilities in per cent, forward and Greeks."""
        terms = self.read_option(instrument)
        payload: dict[str, Any] = {
            "underlying_price": None if terms is None else terms.forward,
            "underlying_index": instrument.name.rsplit("-", 2)[0],
            "interest_rate": 0.0,
            "mark_iv": None if terms is None else round(terms.volatility * 100, 4),
            "bid_iv": self.imply(terms, ticker["best_bid_price"]),
            "ask_iv": self.imply(terms, ticker["best_ask_price"]),
        }
        greeks = self.compute_greeks(terms)
        if greeks is not None:
            payload["greeks"] = dict(greeks)
        return payload

    def imply(self, terms: OptionTerms | None, price: float | None) -> float | None:
        """Return the implied volatility of a price in per cent, or None."""
        if terms is None or price is None or self.analytics.implied_volatility is None:
            return None
        implied = self.analytics.implied_volatility(
            price, terms.forward, terms.strike, terms.years, terms.is_call
        )
        return None if implied is None else round(implied * 100, 4)

    def describe_levels(self, instrument: InstrumentView, depth: int) -> dict[str, Any]:
        """Return both sides of the book as [price, amount], best first."""
        sides = views.read_book(self.engine, instrument.number, depth)
        return {
            key: [[show_price(row[0], instrument), show_amount(row[1], instrument)] for row in levels]
            for key, levels in zip(("bids", "asks"), sides, strict=True)
        }

    def describe_book(self, instrument: InstrumentView, depth: int) -> dict[str, Any]:
        """Return the ticker with both sides of the book."""
        change = {"change_id": self.read_change_id(instrument.number)}
        return self.describe_ticker(instrument) | self.describe_levels(instrument, depth) | change

    def describe_trade(self, trade: Trade) -> dict[str, Any]:
        """Return a public trade. Only some have `liquidation`, T if the taker's order was a liquidation's,
        what tells of a block trade, or the legs of a combo.
        """
        instrument = self.engine.instruments[trade.instrument]
        has_mark = trade.mark_atoms != NO_MARK_ATOMS
        return {
            "trade_id": trade.trade_id,
            "trade_seq": trade.trade_seq,
            "instrument_name": instrument.name,
            "timestamp": trade.time_ns // NS_PER_MS,
            "direction": DIRECTION[Side(trade.side)],
            "tick_direction": trade.tick_direction,
            "price": show_price(trade.price_ticks, instrument),
            "amount": show_amount(trade.lots, instrument),
            "contracts": float(trade.lots),
            "index_price": show_usdc(trade.index_atoms),
            "mark_price": show_lot_value(trade.mark_atoms, instrument) if has_mark else None,
            **({"liquidation": "T"} if trade.is_liquidation else {}),
            **self.describe_package(trade),
        }

    def describe_package(self, trade: Trade) -> dict[str, Any]:
        """Return the block trade that a trade is a leg of, or the combo that it is a trade in."""
        if trade.is_block:
            block = {"block_trade_id": name_block(trade.order_id)}
            return block | {"block_trade_leg_count": trade.block_leg_count}
        if not trade.legs:
            return {}
        legs = []
        for leg in trade.legs:
            instrument = self.engine.instruments[leg.instrument]
            legs.append(
                {
                    "instrument_name": instrument.name,
                    "direction": DIRECTION[Side(leg.side)],
                    "amount": show_amount(leg.lots, instrument),
                    "price": show_lot_value(leg.mark_atoms, instrument),
                }
            )
        name = self.engine.instruments[trade.instrument].name
        return {"combo_id": name, "combo_trade_id": trade.trade_id, "legs": legs}

    def describe_summary(self, instrument: InstrumentView) -> dict[str, Any]:
        """Return a row of the book summary."""
        ticker = self.describe_ticker(instrument)
        bid, ask = ticker["best_bid_price"], ticker["best_ask_price"]
        same = ("mark_price", "open_interest", "estimated_delivery_price", "instrument_name")
        optional = (
            "mark_iv",
            "interest_rate",
            "underlying_index",
            "underlying_price",
            "current_funding",
            "funding_8h",
        )
        stats = ticker["stats"]
        return {
            **{key: ticker[key] for key in same},
            **{key: ticker[key] for key in optional if key in ticker},
            **{
                key: stats[key]
                for key in ("high", "low", "volume", "volume_usd", "volume_notional", "price_change")
            },
            "base_currency": self.name_underlying(instrument),
            "quote_currency": SETTLEMENT_CURRENCY,
            "bid_price": bid,
            "ask_price": ask,
            "mid_price": None if bid is None or ask is None else (bid + ask) / 2,
            "last": ticker["last_price"],
            "creation_timestamp": ticker["timestamp"],
        }
