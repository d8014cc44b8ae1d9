"""Accounts in Deribit's shapes: orders, own trades, positions, account summary.
Reads the engine, changes nothing.

The venue margins portfolios, so margin belongs to the account: a position's own margin fields are 0.
"""

from typing import Any

from novate.access.market_payloads import DIRECTION, SETTLEMENT_CURRENCY, MarketPayloads, name_index
from novate.access.order_ledger import OrderLedger, OrderRecord, is_post_only
from novate.access.quantities import show_amount, show_lot_value, show_price, show_usdc
from novate.access.trade_tape import Trade
from novate.execution import views
from novate.execution.engine import InstrumentView
from novate.execution.views import AccountView, PositionView
from novate.protocol.generated.codes import InstrumentKind, Side, TimeInForce
from novate.protocol.generated.constants import E6, NS_PER_MS

TIME_IN_FORCE_TEXT = {
    TimeInForce.GTC: "good_til_cancelled",
    TimeInForce.POST_ONLY: "good_til_cancelled",
    TimeInForce.IOC: "immediate_or_cancel",
}
FILLED_WITHOUT_RECORD = "filled"  # An order that the bounded ledger has forgotten had ended.
GREEK_NAMES = ("delta", "gamma", "vega", "theta")
ZERO_WITHOUT_SESSIONS = (
    *("session_rpl", "session_upl", "futures_session_rpl", "futures_session_upl", "options_session_rpl"),
    *(
        "options_session_upl",
        "spot_reserve",
        "additional_reserve",
        "fee_balance",
        "estimated_liquidation_ratio",
    ),
)


class AccountPayloads:
    """Shapes of private data over one engine and the display ledger."""

    def __init__(self, market: MarketPayloads, ledger: OrderLedger) -> None:
        self.market = market
        self.engine = market.engine
        self.ledger = ledger

    def describe_order(self, record: OrderRecord) -> dict[str, Any]:
        """Return an order."""
        instrument: InstrumentView = self.engine.instruments[record.instrument]
        average = record.value / record.filled_lots if record.filled_lots else 0
        payload = {
            "order_id": str(record.order_id),
            "instrument_name": instrument.name,
            "direction": DIRECTION[Side(record.side)],
            "price": show_price(record.price_ticks, instrument),
            "amount": show_amount(record.lots, instrument),
            "filled_amount": show_amount(record.filled_lots, instrument),
            "average_price": average * instrument.tick_atoms * instrument.lots_per_unit / E6,
            "contracts": float(record.lots),
            "order_state": record.state,
            "order_type": "limit",
            "original_order_type": "limit",
            "time_in_force": TIME_IN_FORCE_TEXT[TimeInForce(record.time_in_force)],
            "post_only": is_post_only(record),
            "reject_post_only": is_post_only(record),
            "reduce_only": False,
            "label": record.label,
            "commission": show_usdc(record.fee_atoms),
            "creation_timestamp": record.created_ns // NS_PER_MS,
            "last_update_timestamp": record.updated_ns // NS_PER_MS,
            "replaced": record.replaced,
            "max_show": show_amount(record.lots, instrument),
            "user_id": record.account,
            "api": True,
            "web": False,
            "mmp": False,
            "is_liquidation": False,
            "is_rebalance": False,
            "risk_reducing": False,
        }
        if record.cancel_reason:
            payload["cancel_reason"] = record.cancel_reason
        return payload

    def describe_user_trade(self, trade: Trade, account: int) -> dict[str, Any]:
        """Return a trade as one of its two accounts sees it."""
        is_taker = trade.account == account
        order_id = trade.order_id if is_taker else trade.maker_order_id
        record = self.ledger.find(order_id)
        payload = self.market.describe_trade(trade)
        side = Side(trade.side) if is_taker else Side(1 - trade.side)
        return payload | {
            "direction": DIRECTION[side],
            "order_id": str(order_id),
            "order_type": "limit",
            "liquidity": "T" if is_taker else "M",
            "fee": show_usdc(trade.fee_atoms if is_taker else trade.maker_fee_atoms),
            "fee_currency": SETTLEMENT_CURRENCY,
            "matching_id": None,
            "state": FILLED_WITHOUT_RECORD if record is None else record.state,
            "label": "" if record is None else record.label,
            "post_only": False if record is None else is_post_only(record),
            "reduce_only": False,
            "api": True,
            "mmp": False,
            "risk_reducing": False,
            "profit_loss": None,
            "sequence": trade.sequence,
        }

    def describe_position(self, view: PositionView) -> dict[str, Any]:
        """Return a position. Sizes are signed, as on Deribit; a flat position's direction is zero."""
        instrument = self.engine.instruments[view.instrument]
        size = show_amount(view.lots, instrument)
        average_atoms = view.cost_atoms / view.lots if view.lots else 0
        mark = show_lot_value(view.mark_atoms, instrument) if view.mark_atoms >= 0 else None
        unrealised = show_usdc(view.value_atoms - view.cost_atoms)
        payload = {
            "instrument_name": instrument.name,
            "kind": "future" if instrument.kind == InstrumentKind.PERPETUAL else "option",
            "direction": "zero" if not view.lots else ("buy" if view.lots > 0 else "sell"),
            "size": size,
            "size_currency": size,
            "average_price": average_atoms * instrument.lots_per_unit / E6,
            "mark_price": mark,
            "index_price": self.market.read_index(instrument.underlying),
            "settlement_price": mark,
            "floating_profit_loss": unrealised,
            "realized_profit_loss": 0.0,
            "total_profit_loss": unrealised,
            "initial_margin": 0.0,
            "maintenance_margin": 0.0,
            "open_orders_margin": 0.0,
            "realized_funding": 0.0,
            "interest_value": 0.0,
            "estimated_liquidation_price": None,
            "leverage": None,
            "value": show_usdc(view.value_atoms),
        }
        return payload | self.compute_position_greeks(instrument, size)

    def compute_position_greeks(self, instrument: InstrumentView, size: float) -> dict[str, float]:
        """Return a position's Greeks, in the units of the ticker's times its size; none without analytics."""
        if instrument.kind == InstrumentKind.PERPETUAL:
            return {"delta": size, "gamma": 0.0, "vega": 0.0, "theta": 0.0}
        greeks = self.market.compute_greeks(self.market.read_option(instrument))
        return {} if greeks is None else {name: greeks[name] * size for name in GREEK_NAMES}

    def describe_account(self, view: AccountView) -> dict[str, Any]:
        """Return the account summary in USDC."""
        positions = [row for row in views.read_positions(self.engine, view.account) if row.lots]
        equity, initial = show_usdc(view.equity_atoms), show_usdc(view.initial_margin_atoms)
        maintenance = show_usdc(view.maintenance_margin_atoms)
        options_value = options_cost = 0
        totals = dict.fromkeys(GREEK_NAMES, 0.0)
        options = dict.fromkeys(GREEK_NAMES, 0.0)
        for row in positions:
            instrument = self.engine.instruments[row.instrument]
            is_option = instrument.kind != InstrumentKind.PERPETUAL
            for name, value in self.compute_position_greeks(
                instrument, show_amount(row.lots, instrument)
            ).items():
                totals[name] += value
                options[name] += value if is_option else 0.0
            options_value += row.value_atoms if is_option else 0
            options_cost += row.cost_atoms if is_option else 0
        futures_pl, options_pl = show_usdc(view.unrealised_atoms), show_usdc(options_value - options_cost)
        return {
            **dict.fromkeys(ZERO_WITHOUT_SESSIONS, 0.0),
            **{f"options_{name}": options[name] for name in GREEK_NAMES},
            "currency": SETTLEMENT_CURRENCY,
            "balance": show_usdc(view.cash_atoms),
            "equity": equity,
            "margin_balance": equity,
            "available_funds": show_usdc(view.equity_atoms - view.initial_margin_atoms),
            "available_withdrawal_funds": show_usdc(view.withdrawable_atoms),
            "initial_margin": initial,
            "maintenance_margin": maintenance,
            "projected_initial_margin": initial,
            "projected_maintenance_margin": maintenance,
            "futures_pl": futures_pl,
            "options_pl": options_pl,
            "total_pl": futures_pl + options_pl,
            "options_value": show_usdc(options_value),
            "delta_total": totals["delta"],
            "projected_delta_total": totals["delta"],
            "total_equity_usd": equity,
            "total_margin_balance_usd": equity,
            "total_initial_margin_usd": initial,
            "total_maintenance_margin_usd": maintenance,
            "margin_model": "cross_pm",
            "portfolio_margining_enabled": True,
            "cross_collateral_enabled": False,
            "locked_balance": 0.0,
            "fees": self.describe_fees(0),
        }

    def describe_user(self, view: AccountView) -> dict[str, Any]:
        """Return who the account is: its number, its wallet, and the last nonce."""
        address = "0x" + view.address.hex()
        return {
            "id": view.account,
            "username": address,
            "system_name": address,
            "type": "main",
            "nonce": str(view.nonce),
            "self_trading_reject_mode": "reject_taker",
        }

    def describe_fees(self, tier: int) -> list[dict[str, Any]]:
        """Return the fee rates of a tier by index and kind; a negative rate is a rebate."""
        rates = self.market.genesis.fee_tiers[tier]
        return [
            {
                "index_name": name_index(underlying.name),
                "kind": kind,
                "value": {
                    "default": {
                        "maker": rates[f"{prefix}_maker_e6"] / E6,
                        "taker": rates[f"{prefix}_taker_e6"] / E6,
                    }
                },
            }
            for underlying in self.market.genesis.underlyings
            for kind, prefix in (("option", "option"), ("future", "futures"))
        ]
