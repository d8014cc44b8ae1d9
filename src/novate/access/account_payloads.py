"""Accounts in Deribit's shapes: positions and the account summary.
Reads the engine, changes nothing.

The venue margins portfolios, so margin belongs to the account: a position's own margin fields are 0.
"""

from collections.abc import Mapping
from typing import Any

from novate.access.market_payloads import (
    OPTION,
    SETTLEMENT_CURRENCY,
    MarketPayloads,
    name_index,
    name_kind,
)
from novate.access.quantities import show_amount, show_demand, show_lot_value, show_usdc
from novate.execution import views
from novate.execution.engine import InstrumentView
from novate.execution.views import AccountView, PositionView
from novate.protocol.generated.codes import LiquidationStage
from novate.protocol.generated.constants import E6, NO_MARK_ATOMS

LIQUIDATION_STATE = {stage: stage.name.lower() for stage in LiquidationStage}
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
    """Shapes of private data over one engine."""

    def __init__(self, market: MarketPayloads) -> None:
        self.market = market
        self.engine = market.engine

    def describe_position(self, view: PositionView) -> dict[str, Any]:
        """Return a position. Sizes are signed, as on Deribit; a flat position's direction is zero."""
        instrument = self.engine.instruments[view.instrument]
        size = show_amount(view.lots, instrument)
        average_atoms = view.cost_atoms / view.lots if view.lots else 0
        mark = show_lot_value(view.mark_atoms, instrument) if view.mark_atoms != NO_MARK_ATOMS else None
        unrealised = show_usdc(view.value_atoms - view.cost_atoms)
        payload = {
            "instrument_name": instrument.name,
            "kind": name_kind(instrument),
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
        if name_kind(instrument) != OPTION:
            return {"delta": size, "gamma": 0.0, "vega": 0.0, "theta": 0.0}
        greeks = self.market.compute_greeks(self.market.read_option(instrument))
        return {} if greeks is None else {name: greeks[name] * size for name in GREEK_NAMES}

    def sum_greeks(self, lots: Mapping[int, int]) -> dict[str, float]:
        """Return the Greeks of a portfolio of lots by instrument: all deltas together, options apart."""
        total = 0.0
        options = dict.fromkeys(GREEK_NAMES, 0.0)
        for number, count in lots.items():
            instrument = self.engine.instruments[number]
            greeks = self.compute_position_greeks(instrument, show_amount(count, instrument))
            total += greeks.get("delta", 0.0)
            if name_kind(instrument) == OPTION:
                for name, value in greeks.items():
                    options[name] += value
        shown = {f"options_{name}": value for name, value in options.items()}
        return shown | {"delta_total": total, "projected_delta_total": total}

    def describe_account(self, view: AccountView) -> dict[str, Any]:
        """Return the account summary in USDC."""
        positions = [row for row in views.read_positions(self.engine, view.account) if row.lots]
        equity, initial = show_usdc(view.equity_atoms), show_usdc(view.initial_margin_atoms)
        maintenance = show_usdc(view.maintenance_margin_atoms)
        held = [(self.engine.instruments[row.instrument], row) for row in positions]
        options = [row for instrument, row in held if name_kind(instrument) == OPTION]
        options_value = sum(row.value_atoms for row in options)
        options_cost = sum(row.cost_atoms for row in options)
        futures_pl, options_pl = show_usdc(view.unrealised_atoms), show_usdc(options_value - options_cost)
        return {
            **dict.fromkeys(ZERO_WITHOUT_SESSIONS, 0.0),
            **self.sum_greeks({row.instrument: row.lots for row in positions}),
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
            "total_equity_usd": equity,
            "total_margin_balance_usd": equity,
            "total_initial_margin_usd": initial,
            "total_maintenance_margin_usd": maintenance,
            "margin_model": "cross_pm",
            "portfolio_margining_enabled": True,
            "cross_collateral_enabled": False,
            "locked_balance": 0.0,
            "fee_tier": view.tier,
            "fees": self.describe_fees(view.tier),
            **self.describe_standing(view),
        }

    def describe_standing(self, view: AccountView) -> dict[str, Any]:
        """Return how far a liquidation is, whether margin was called for, and what the account demands as a
        backstop, in percent of the requirement; null if it is none.
        """
        return {
            "liquidation_state": LIQUIDATION_STATE[LiquidationStage(view.liquidation_stage)],
            "margin_call": bool(view.warned),
            "backstop_demand": show_demand(view.demand_e6),
        }

    def describe_user(self, view: AccountView) -> dict[str, Any]:
        """Return who the account is: its number, its wallet, and the last nonce."""
        address = "0x" + view.address.hex()
        return {
            "id": view.account,
            "username": address,
            "system_name": address,
            "type": "main" if view.owner < 0 else "subaccount",
            "nonce": str(view.nonce),
            "self_trading_reject_mode": "reject_taker",
            "mmp_enabled": bool(views.read_groups(self.engine, view.account)),
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
