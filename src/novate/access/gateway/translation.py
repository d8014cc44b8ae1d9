"""Deribit's writes, as bots know them, and what a gateway makes of each: calls of the client, which signs.

Parameters come from a query as text or from JSON as they are. Where Deribit's meaning differs from the
venue's, the gateway does the arithmetic: an edit's amount is the whole order's there, the open part here.
"""

import asyncio
from collections.abc import Awaitable, Callable
from decimal import Decimal
from typing import Any, NamedTuple, TypeVar

import msgspec

from novate.access import parameters as shapes
from novate.access.client import UNSIGNED
from novate.access.client_errors import VenueError
from novate.access.errors import ApiError, refuse_parameter
from novate.access.gateway.desk import GatewayDesk
from novate.access.gateway.policy import LimitExceeded
from novate.access.parameters_desk import CreateComboParameters
from novate.protocol.generated.codes import AccessCode, Code

Params = dict[str, Any]
KINDS = {"any", "all", "future", "option", "future_combo", "option_combo", "combo"}
Shape = TypeVar("Shape", bound=msgspec.Struct)
JSON_TEXTS = frozenset({"quotes", "legs", "trades"})


def read(params: Params, shape: type[Shape]) -> Shape:
    """Return typed parameters; numbers and truths may be text, lists may be JSON in text."""
    given = {**params}
    try:
        for name in JSON_TEXTS & given.keys():
            if isinstance(given[name], str):
                given[name] = msgspec.json.decode(given[name])
        return msgspec.convert(given | UNSIGNED, shape, strict=False)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise ApiError(AccessCode.PARAMETER_INVALID, str(error)[:200]) from error


def require(params: Params, name: str) -> str:
    """Return a text that must be there."""
    value = params.get(name)
    if value in (None, ""):
        raise refuse_parameter(name, "given")
    return str(value)


def list_options(given: shapes.PlaceParameters) -> Params:
    """Return the options of an order that differ from their defaults."""
    passed = ("instrument_name", "amount", "price", *UNSIGNED, "signer", "chain_id")
    fields = msgspec.structs.fields(given)
    return {
        field.name: getattr(given, field.name)
        for field in fields
        if field.name not in passed and getattr(given, field.name) != field.default
    }


async def place(desk: GatewayDesk, side: str, params: Params) -> Any:
    """private/buy, private/sell."""
    given = read(params, shapes.PlaceParameters)
    await desk.check_order(given.instrument_name, given.amount)
    return await desk.client.place(
        side, given.instrument_name, given.amount, given.price, **list_options(given)
    )


async def buy(desk: GatewayDesk, params: Params) -> Any:
    """private/buy."""
    return await place(desk, "buy", params)


async def sell(desk: GatewayDesk, params: Params) -> Any:
    """private/sell."""
    return await place(desk, "sell", params)


async def edit_order(desk: GatewayDesk, order: Params, params: Params) -> Any:
    """Change an order that is known: Deribit's amount counts what is filled, the venue's what is open."""
    name = order["instrument_name"]
    amount = Decimal(str(params.get("amount") or order["amount"])) - Decimal(str(order["filled_amount"]))
    if amount <= 0:
        raise refuse_parameter("amount", f"more than the {order['filled_amount']} that are filled")
    await desk.check_order(name, str(amount))
    price = params.get("price") or order["price"]
    advanced = str(params.get("advanced") or order.get("advanced") or "")
    return await desk.client.edit(str(order["order_id"]), name, amount, price, advanced)


async def edit(desk: GatewayDesk, params: Params) -> Any:
    """private/edit."""
    order = await desk.client.call("private/get_order_state", {"order_id": require(params, "order_id")})
    return await edit_order(desk, order, params)


async def list_open(desk: GatewayDesk, currency: str = "any", kind: str = "any") -> list[Params]:
    """Return the account's open orders."""
    params = {"currency": currency, "kind": kind}
    rows: list[Params] = await desk.client.call("private/get_open_orders", params)
    return rows


async def edit_by_label(desk: GatewayDesk, params: Params) -> Any:
    """private/edit_by_label; the label must be that of one open order."""
    label, name = require(params, "label"), require(params, "instrument_name")
    found = [
        order
        for order in await list_open(desk)
        if order["label"] == label and order["instrument_name"] == name
    ]
    if len(found) != 1:
        raise refuse_parameter("label", f"that of one open order; {len(found)} carry it", label)
    return await edit_order(desk, found[0], params)


async def cancel(desk: GatewayDesk, params: Params) -> Any:
    """private/cancel."""
    return await desk.client.cancel(require(params, "order_id"))


async def cancel_all(desk: GatewayDesk, params: Params) -> int:
    """private/cancel_all."""
    return await desk.client.cancel_all()


async def cancel_all_by_instrument(desk: GatewayDesk, params: Params) -> int:
    """private/cancel_all_by_instrument."""
    name = require(params, "instrument_name")
    await desk.find_instrument(name)
    return await desk.client.cancel_all(name)


async def cancel_listed(desk: GatewayDesk, orders: list[Params]) -> int:
    """Cancel orders one by one, as the law has no name for what they share; return how many."""
    calls = [desk.client.cancel(str(order["order_id"])) for order in orders]
    results = await asyncio.gather(*calls, return_exceptions=True)
    for result in results:
        gone = isinstance(result, VenueError) and result.code == Code.ORDER_NOT_FOUND
        if isinstance(result, BaseException) and not gone:
            raise result
    return sum(not isinstance(result, BaseException) for result in results)


async def cancel_all_by_currency(desk: GatewayDesk, params: Params) -> int:
    """private/cancel_all_by_currency."""
    orders = await list_open(desk, require(params, "currency"), str(params.get("kind", "any")))
    return await cancel_listed(desk, orders)


async def cancel_all_by_kind(desk: GatewayDesk, params: Params) -> int:
    """private/cancel_all_by_kind_or_type."""
    currencies = params.get("currency", "any")
    wanted = currencies if isinstance(currencies, list) else [str(currencies)]
    kind, form = str(params.get("kind", "any")), str(params.get("type", "all"))
    if kind not in KINDS:
        raise refuse_parameter("kind", f"one of {sorted(KINDS)}", kind)
    orders = [order for currency in wanted for order in await list_open(desk, currency, kind)]
    orders = [order for order in orders if form == "all" or order["order_type"] == form]
    return await cancel_listed(desk, list({order["order_id"]: order for order in orders}.values()))


async def cancel_by_label(desk: GatewayDesk, params: Params) -> int:
    """private/cancel_by_label."""
    return await desk.client.cancel_by_label(require(params, "label"))


async def close_position(desk: GatewayDesk, params: Params) -> Any:
    """private/close_position: a reduce-only order of the position's size on the other side."""
    name = require(params, "instrument_name")
    await desk.find_instrument(name)
    position = await desk.client.call("private/get_position", {"instrument_name": name})
    size = Decimal(str(position["size"]))
    if size == 0:
        raise refuse_parameter("instrument_name", "that of an instrument with a position", name)
    form = str(params.get("type") or "market")
    price = params.get("price") if form == "limit" else None
    side = "sell" if size > 0 else "buy"
    return await desk.client.place(side, name, abs(size), price, type=form, reduce_only=True)


async def mass_quote(desk: GatewayDesk, params: Params) -> Any:
    """private/mass_quote."""
    given = read(params, shapes.MassQuoteParameters)
    rows = []
    for quote in given.quotes:
        for side in (quote.bid, quote.ask):
            if side is not None:
                await desk.check_order(quote.instrument_name, side.amount)
        bid, ask = ((side.price, side.amount) if side else None for side in (quote.bid, quote.ask))
        rows.append((quote.instrument_name, bid, ask))
    return await desk.client.mass_quote(int(given.mmp_group), rows)


async def cancel_quotes(desk: GatewayDesk, params: Params) -> int:
    """private/cancel_quotes: of one group, or of every group that the account has set."""
    if params.get("cancel_type", "all") != "all":
        raise refuse_parameter("cancel_type", "all: quotes end by their group", params["cancel_type"])
    if params.get("mmp_group"):
        return await desk.client.cancel_quotes(int(params["mmp_group"]))
    groups = {int(row["mmp_group"]) for row in await desk.client.call("private/get_mmp_config", {})}
    return sum([await desk.client.cancel_quotes(group) for group in sorted(groups)])


async def set_mmp(desk: GatewayDesk, params: Params) -> Any:
    """private/set_mmp_config."""
    given = read(params, shapes.MmpParameters)
    return await desk.client.set_mmp(
        given.index_name,
        int(given.mmp_group),
        given.interval,
        given.frozen_time,
        given.quantity_limit,
        given.delta_limit,
        given.vega_limit,
    )


async def reset_mmp(desk: GatewayDesk, params: Params) -> Any:
    """private/reset_mmp, with the figures that the venue has for the group."""
    group = int(require(params, "mmp_group"))
    rows = await desk.client.call("private/get_mmp_config", {"mmp_group": group})
    if not rows:
        raise refuse_parameter("mmp_group", "a group that was set", group)
    names = ("index_name", "interval", "frozen_time", "quantity_limit", "delta_limit", "vega_limit")
    desk.client.mmp_configs[group] = {name: str(rows[0][name]) for name in names} | {"mmp_group": group}
    return await desk.client.reset_mmp(group)


async def enable_disconnect(desk: GatewayDesk, params: Params) -> Any:
    """private/enable_cancel_on_disconnect: of the gateway from the venue; the bot's own is the relay's."""
    return await desk.client.enable_cancel_on_disconnect()


async def disable_disconnect(desk: GatewayDesk, params: Params) -> Any:
    """private/disable_cancel_on_disconnect."""
    return await desk.client.disable_cancel_on_disconnect()


async def create_combo(desk: GatewayDesk, params: Params) -> Any:
    """private/create_combo."""
    given = {**params}
    if isinstance(given.get("trades"), str):
        given["trades"] = msgspec.json.decode(given["trades"])
    typed = msgspec.convert(given, CreateComboParameters, strict=False)
    result = await desk.client.call("private/create_combo", msgspec.to_builtins(typed))
    await desk.client.load_instruments()
    return result


async def transfer(desk: GatewayDesk, params: Params) -> Any:
    """private/submit_transfer_to_subaccount: to one of the owner's accounts, by its number or address."""
    destination = require(params, "destination")
    if not destination.startswith("0x"):
        rows = await desk.client.call("private/get_subaccounts", {})
        found = [row["address"] for row in rows if str(row["id"]) == destination]
        if not found:
            raise refuse_parameter("destination", "the id of one of the owner's accounts", destination)
        destination = found[0]
    return await desk.client.transfer(require(params, "amount"), destination)


async def refuse_owner(desk: GatewayDesk, params: Params) -> Any:
    """What only the wallet may do: a session key cannot sign it, by the law. [KEY-2]"""
    raise LimitExceeded(
        "only the account's own wallet can sign this; a gateway holds a session key. "
        "Use the wallet with the Python client, `novate claim` or `novate keys`",
    )


class Translation(NamedTuple):
    """What a method needs: the part of the API that a bot's rights name, the key's scope, and what runs."""

    part: str
    scope: str
    run: Callable[[GatewayDesk, Params], Awaitable[Any]]


TRANSLATIONS: dict[str, Translation] = {
    "private/buy": Translation("trade", "trade", buy),
    "private/sell": Translation("trade", "trade", sell),
    "private/edit": Translation("trade", "trade", edit),
    "private/edit_by_label": Translation("trade", "trade", edit_by_label),
    "private/close_position": Translation("trade", "trade", close_position),
    "private/cancel": Translation("trade", "cancel", cancel),
    "private/cancel_all": Translation("trade", "cancel", cancel_all),
    "private/cancel_all_by_instrument": Translation("trade", "cancel", cancel_all_by_instrument),
    "private/cancel_all_by_currency": Translation("trade", "cancel", cancel_all_by_currency),
    "private/cancel_all_by_kind_or_type": Translation("trade", "cancel", cancel_all_by_kind),
    "private/cancel_by_label": Translation("trade", "cancel", cancel_by_label),
    "private/cancel_quotes": Translation("trade", "cancel", cancel_quotes),
    "private/mass_quote": Translation("trade", "quote", mass_quote),
    "private/set_mmp_config": Translation("trade", "quote", set_mmp),
    "private/reset_mmp": Translation("trade", "quote", reset_mmp),
    "private/enable_cancel_on_disconnect": Translation("account", "cancel", enable_disconnect),
    "private/disable_cancel_on_disconnect": Translation("account", "cancel", disable_disconnect),
    "private/create_combo": Translation("trade", "trade", create_combo),
    "private/submit_transfer_to_subaccount": Translation("wallet", "transfer", transfer),
    "private/submit_transfer_between_subaccounts": Translation("wallet", "transfer", transfer),
    "private/withdraw": Translation("wallet", "", refuse_owner),
    "private/submit_transfer_to_user": Translation("wallet", "", refuse_owner),
    "private/authorize_key": Translation("account", "", refuse_owner),
    "private/revoke_key": Translation("account", "", refuse_owner),
    "private/create_subaccount": Translation("account", "", refuse_owner),
}
