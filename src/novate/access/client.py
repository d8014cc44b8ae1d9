"""A Python client of the venue.
One WebSocket, any number of requests in flight, and a key that never leaves it.

It reads every order with the venue's own functions (order_terms.py, quote_terms.py) and signs what it has
read itself. Give each account to one client: two that share an account share its nonces, and the slower
one's would be refused.
"""

from collections.abc import Iterable
from decimal import Decimal
from typing import Any

import msgspec

from novate.access.client_desk import DeskClient
from novate.access.client_signing import ClientInstrument, read_money, write_decimal
from novate.access.errors import ApiError
from novate.access.order_terms import hash_label, read_limit, read_order
from novate.access.parameters import MmpParameters, PlaceParameters, QuotePair
from novate.access.quantities import Number, read_demand_e6, read_lots
from novate.access.quote_terms import read_group, read_mmp, read_quotes, read_seconds
from novate.protocol.generated.codes import CommandKind, Side
from novate.protocol.signing import ALL_INSTRUMENTS

Decimalish = Number | Decimal
DECIMAL_OPTIONS = ("price", "display_amount", "max_show", "trigger_price", "trigger_offset")
UNSIGNED = {"account": "", "nonce": 0, "expires_ns": 0, "signature": ""}
SIDES = {"buy": Side.BUY, "sell": Side.SELL}


def write_decimals(options: dict[str, Any]) -> dict[str, Any]:
    """Return the options that were given, decimal ones as exact text."""
    return {
        name: write_decimal(value, name) if name in DECIMAL_OPTIONS else value
        for name, value in options.items()
        if value is not None
    }


def write_quote_side(side: tuple[Decimalish, Decimalish] | None) -> dict[str, str] | None:
    """Return one side of a quote, given as (price, amount), as exact text."""
    if side is None:
        return None
    return {"price": write_decimal(side[0], "price"), "amount": write_decimal(side[1], "amount")}


class NovateClient(DeskClient):
    """Every write of the venue; reads go through `call`. Keys, sub-accounts, blocks, requests for quotes and
    combos are in client_desk.py.

    A number off its grid, an option that does not exist or options that do not fit are ValueErrors, before
    anything is signed.
    """

    async def place(
        self,
        side: str,
        instrument_name: str,
        amount: Decimalish,
        price: Decimalish | None = None,
        **options: Any,
    ) -> dict[str, Any]:
        """Place an order and return {order, trades, receipt}.

        `options` are the parameters of private/buy: type, time_in_force, post_only, reduce_only, label,
        self_trading_mode, display_amount, valid_until, advanced, link, parent_order_id, trigger,
        trigger_price, trigger_offset, and linked_order_type, which only repeats what link and parent are.
        """
        instrument = self.find_instrument(instrument_name)
        params = {"instrument_name": instrument_name, "amount": write_decimal(amount, "amount")}
        params |= write_decimals({"price": price} | options)
        unknown = set(params) - set(PlaceParameters.__struct_fields__)
        if unknown:
            raise ValueError(f"an order has no options {sorted(unknown)}")
        try:
            given = msgspec.convert(params | UNSIGNED, PlaceParameters)
            kind, fields = read_order(given, SIDES[side], instrument)
        except (ApiError, msgspec.ValidationError) as error:
            raise ValueError(f"{instrument_name}: {error}") from error
        fields["instrument"] = instrument.number
        result: dict[str, Any] = await self.write(f"private/{side}", kind, params, fields, instrument_name)
        return result

    async def buy(
        self, instrument_name: str, amount: Decimalish, price: Decimalish | None = None, **options: Any
    ) -> dict[str, Any]:
        """Place a buy order; options as for `place`."""
        return await self.place("buy", instrument_name, amount, price, **options)

    async def sell(
        self, instrument_name: str, amount: Decimalish, price: Decimalish | None = None, **options: Any
    ) -> dict[str, Any]:
        """Place a sell order; options as for `place`."""
        return await self.place("sell", instrument_name, amount, price, **options)

    async def edit(
        self,
        order_id: str,
        instrument_name: str,
        amount: Decimalish,
        price: Decimalish,
        advanced: str = "",
    ) -> dict[str, Any]:
        """Give an order a new open amount and price; `advanced` is that of the order.
        With the same price and no more amount it keeps its place.
        """
        instrument = self.find_instrument(instrument_name)
        params = {
            "order_id": order_id,
            "amount": write_decimal(amount, "amount"),
            "price": write_decimal(price, "price"),
            "advanced": advanced,
        }
        try:
            lots = read_lots(params["amount"], instrument)
            ticks = read_limit(params["price"], advanced, instrument)
        except ApiError as error:
            raise ValueError(f"{instrument_name}: {error}") from error
        fields = {"order_id": int(order_id), "lots": lots, "price_ticks": ticks}
        result: dict[str, Any] = await self.write("private/edit", CommandKind.REPLACE, params, fields)
        return result

    async def cancel(self, order_id: str) -> dict[str, Any]:
        """Cancel one order, open or waiting, and return it."""
        fields = {"order_id": int(order_id)}
        result: dict[str, Any] = await self.write(
            "private/cancel", CommandKind.CANCEL, {"order_id": order_id}, fields
        )
        return result

    async def cancel_all(self, instrument_name: str = "") -> int:
        """Cancel every order, or those of one instrument, and return how many."""
        params = {"instrument_name": instrument_name} if instrument_name else {}
        method = "private/cancel_all_by_instrument" if instrument_name else "private/cancel_all"
        fields = {"instrument": 0 if instrument_name else ALL_INSTRUMENTS}
        result = await self.write(method, CommandKind.CANCEL_ALL, params, fields, instrument_name)
        return int(result["cancelled"])

    async def cancel_by_label(self, label: str) -> int:
        """Cancel every order that carries a label, and return how many."""
        fields = {"instrument": ALL_INSTRUMENTS, "label": hash_label(label)}
        result = await self.write("private/cancel_by_label", CommandKind.CANCEL_ALL, {"label": label}, fields)
        return int(result["cancelled"])

    # Quotes and protection.

    async def mass_quote(
        self,
        mmp_group: int,
        quotes: Iterable[
            tuple[str, tuple[Decimalish, Decimalish] | None, tuple[Decimalish, Decimalish] | None]
        ],
    ) -> dict[str, Any]:
        """Quote options as (instrument_name, bid, ask), a side as (price, amount) or None for no quote there.

        Returns {orders, errors, trades, receipt}; instruments that are not named keep their quotes.
        """
        rows = [
            {"instrument_name": name, "bid": write_quote_side(bid), "ask": write_quote_side(ask)}
            for name, bid, ask in quotes
        ]
        try:
            items = read_quotes(msgspec.convert(rows, list[QuotePair]), self.find_instrument)
            fields = {"group": read_group(mmp_group)}
        except ApiError as error:
            raise ValueError(str(error)) from error
        params = {"mmp_group": mmp_group, "quotes": rows}
        result: dict[str, Any] = await self.write(
            "private/mass_quote", CommandKind.MASS_QUOTE, params, fields, items=items
        )
        return result

    async def cancel_quotes(self, mmp_group: int) -> int:
        """Cancel every quote of a group, and return how many."""
        fields = {"instrument": ALL_INSTRUMENTS, "group": read_group(mmp_group)}
        params = {"mmp_group": mmp_group}
        result = await self.write("private/cancel_quotes", CommandKind.CANCEL_ALL, params, fields)
        return int(result["cancelled"])

    def find_option(self, base: str) -> ClientInstrument:
        """Return an option of an underlying, for its lots; LookupError if none is known."""
        for instrument in self.instruments.values():
            is_option = instrument.name.endswith(("-C", "-P")) and not instrument.tick_offset
            if is_option and instrument.name.startswith(f"{base}_"):
                return instrument
        raise LookupError(f"no option on {base} is listed; call load_instruments after a new listing")

    async def set_mmp(
        self,
        index_name: str,
        mmp_group: int,
        interval: Decimalish,
        frozen_time: Decimalish,
        quantity_limit: Decimalish,
        delta_limit: Decimalish = 0,
        vega_limit: Decimalish = 0,
    ) -> dict[str, Any]:
        """Set a group's protection, which starts it afresh; times in seconds, the quantity in units of the
        underlying, delta and vega in USDC.
        """
        config = {
            "index_name": index_name,
            "mmp_group": mmp_group,
            "interval": write_decimal(interval, "interval"),
            "frozen_time": write_decimal(frozen_time, "frozen_time"),
            "quantity_limit": write_decimal(quantity_limit, "quantity_limit"),
            "delta_limit": write_decimal(delta_limit, "delta_limit"),
            "vega_limit": write_decimal(vega_limit, "vega_limit"),
        }
        result = await self.send_mmp("private/set_mmp_config", config, config)
        self.mmp_configs[read_group(mmp_group)] = config
        return result

    async def reset_mmp(self, mmp_group: int) -> dict[str, Any]:
        """Start a group afresh with the figures that this client has set; LookupError if it has set none."""
        group = read_group(mmp_group)
        if group not in self.mmp_configs:
            raise LookupError(f"group {group} was not set by this client; use set_mmp")
        config = self.mmp_configs[group]
        params = {"index_name": config["index_name"], "mmp_group": group}
        return await self.send_mmp("private/reset_mmp", params, config)

    async def send_mmp(self, method: str, params: dict[str, Any], config: dict[str, Any]) -> dict[str, Any]:
        """Sign a group's figures and send them."""
        base = config["index_name"].split("_")[0].upper()
        try:
            given = msgspec.convert(config | UNSIGNED, MmpParameters)
            fields = read_mmp(given, self.find_option(base).lots_per_unit) | {"underlying": 0}
        except ApiError as error:
            raise ValueError(str(error)) from error
        result: dict[str, Any] = await self.write(method, CommandKind.SET_MMP, params, fields, base)
        return result

    async def set_dead_man(self, timeout_s: Decimalish, cancel_on_disconnect: bool = False) -> dict[str, Any]:
        """Let every order end unless this is called again within the time-out; 0 ends the timer.
        Cancellation on disconnect is set at the same time.
        """
        text = write_decimal(timeout_s, "timeout")
        params = {"timeout": text, "cancel_on_disconnect": cancel_on_disconnect}
        return await self.protect("private/set_dead_man", params, cancel_on_disconnect)

    async def enable_cancel_on_disconnect(self, timeout_s: Decimalish = 0) -> dict[str, Any]:
        """Let every order end when the account's last connection closes; sets the timer too."""
        params = {"timeout": write_decimal(timeout_s, "timeout")}
        return await self.protect("private/enable_cancel_on_disconnect", params, True)

    async def disable_cancel_on_disconnect(self, timeout_s: Decimalish = 0) -> dict[str, Any]:
        """Let orders outlive the connection again; sets the timer too."""
        params = {"timeout": write_decimal(timeout_s, "timeout")}
        return await self.protect("private/disable_cancel_on_disconnect", params, False)

    async def protect(
        self, method: str, params: dict[str, Any], cancel_on_disconnect: bool
    ) -> dict[str, Any]:
        """Sign the two settings together and send them."""
        timeout_ns = read_seconds(params["timeout"], "timeout")
        fields = {"timeout_ns": timeout_ns, "cancel_on_disconnect": int(cancel_on_disconnect)}
        result: dict[str, Any] = await self.write(method, CommandKind.PROTECT, params, fields)
        return result

    # Insurance and money.

    async def set_backstop(self, demand: Decimalish | None = None) -> dict[str, Any]:
        """Offer to take portfolios at auction for a bonus in percent of their maintenance requirement.
        It has at most four decimals; None withdraws the offer.
        """
        text = None if demand is None else write_decimal(demand, "demand")
        try:
            fields = {"demand_e6": read_demand_e6(text)}
        except ApiError as error:
            raise ValueError(str(error)) from error
        result: dict[str, Any] = await self.write(
            "private/set_backstop", CommandKind.BACKSTOP, {"demand": text}, fields
        )
        return result

    async def insure(self, amount_usdc: Decimalish) -> dict[str, Any]:
        """Give USDC to the insurance fund, for good."""
        text = write_decimal(amount_usdc, "amount")
        params = {"amount": text, "currency": "USDC"}
        fields = {"amount_atoms": read_money(text)}
        result: dict[str, Any] = await self.write("private/insure", CommandKind.INSURE, params, fields)
        return result

    async def withdraw(self, amount_usdc: Decimalish) -> dict[str, Any]:
        """Withdraw USDC to the wallet of the account's owner; it is claimed on chain."""
        text = write_decimal(amount_usdc, "amount")
        params = {"amount": text, "currency": "USDC"}
        fields = {"amount_atoms": read_money(text)}
        result: dict[str, Any] = await self.write("private/withdraw", CommandKind.WITHDRAW, params, fields)
        return result
