"""Mass quotes, market-maker protection, the dead-man timer and cancellation on disconnect.

Groups are numbered 1 to 4 and belong to one underlying each. Every figure that a group has was signed, and so
is every change of it: resetting a group signs its figures again.
"""

from typing import Any

from novate.access.errors import ApiError, refuse_parameter
from novate.access.market_payloads import name_index
from novate.access.parameters import (
    DeadManParameters,
    DisconnectParameters,
    GroupParameters,
    MassQuoteParameters,
    MmpFilterParameters,
    MmpParameters,
    ResetMmpParameters,
    ScopeParameters,
)
from novate.access.quantities import show_frozen_until, show_usdc
from novate.access.quote_terms import read_group, read_mmp, read_quotes, read_seconds, show_seconds
from novate.access.venue import Caller, Venue
from novate.access.writes import Write, begin_write, check_freshness, show_cancelled_all, show_receipt
from novate.execution import views
from novate.execution.sequencer import Outcome
from novate.protocol.generated.codes import EXPECTED, JSONRPC_NUMBER, Code, CommandKind, Side
from novate.protocol.generated.constants import NS_PER_MS
from novate.protocol.signing import ALL_INSTRUMENTS

SIDE_NAME = {Side.BUY: "bid", Side.SELL: "ask"}


def prepare_mass_quote(venue: Venue, given: MassQuoteParameters) -> Write:
    """Prepare private/mass_quote; quotes may come in any order and are signed in the instruments' order."""
    fresh = check_freshness(venue, given)
    items = read_quotes(given.quotes, venue.find_instrument)
    group = read_group(given.mmp_group)
    return begin_write(venue, CommandKind.MASS_QUOTE, fresh, show_mass_quote, {"group": group}, items=items)


def show_mass_quote(venue: Venue, write: Write, outcome: Outcome) -> dict[str, Any]:
    """Return the group's orders that the command placed, kept or ended, and each side that was refused."""
    return {
        "orders": [venue.orders.describe_order(record) for record in write.memo.orders],
        "errors": [describe_rejection(venue, row) for row in write.memo.rejections],
        "trades": [],
        "receipt": show_receipt(outcome),
    }


def describe_rejection(venue: Venue, row: dict[str, int]) -> dict[str, Any]:
    """Return one refused side of a quote."""
    code = Code(row["code"])
    return {
        "instrument_name": venue.engine.instruments[row["instrument"]].name,
        "side": SIDE_NAME[Side(row["side"])],
        "error": {
            "code": JSONRPC_NUMBER[code],
            "message": EXPECTED[code],
            "data": {"reason": code.name.lower()},
        },
    }


def prepare_cancel_quotes(venue: Venue, given: GroupParameters) -> Write:
    """Prepare private/cancel_quotes of one group."""
    if given.cancel_type != "all":
        raise refuse_parameter("cancel_type", "all", given.cancel_type)
    fresh = check_freshness(venue, given)
    fields = {"instrument": ALL_INSTRUMENTS, "group": read_group(given.mmp_group)}
    return begin_write(venue, CommandKind.CANCEL_ALL, fresh, show_cancelled_all, fields)


def find_underlying(venue: Venue, index_name: str) -> int:
    """Return the number of an index's underlying, or raise PARAMETER_INVALID."""
    number = venue.channels.indexes.get(index_name)
    if number is None:
        names = [name_index(underlying.name) for underlying in venue.genesis.underlyings]
        raise refuse_parameter("index_name", f"one of {names}", index_name)
    return number


def prepare_set_mmp(venue: Venue, given: MmpParameters) -> Write:
    """Prepare private/set_mmp_config."""
    fresh = check_freshness(venue, given)
    underlying = find_underlying(venue, given.index_name)
    fields = read_mmp(given, venue.genesis.underlyings[underlying].option_lots_per_unit)
    return begin_write(venue, CommandKind.SET_MMP, fresh, show_mmp, fields | {"underlying": underlying})


def prepare_reset_mmp(venue: Venue, given: ResetMmpParameters) -> Write:
    """Prepare private/reset_mmp: the group's own figures, signed again, start it afresh."""
    fresh = check_freshness(venue, given)
    number, underlying = read_group(given.mmp_group), find_underlying(venue, given.index_name)
    for view in views.read_groups(venue.engine, fresh.account):
        if (view.number, view.underlying) == (number, underlying):
            return begin_write(venue, CommandKind.SET_MMP, fresh, show_mmp, read_figures(view))
    raise ApiError(Code.GROUP_INVALID, f"group {number} of {given.index_name} was never set")


MMP_FIELDS = (
    *("group", "underlying", "window_ns", "frozen_ns", "quantity_limit_lots"),
    *("delta_limit_atoms", "vega_limit_atoms"),
)


def read_figures(view: views.GroupView) -> dict[str, int]:
    """Return a group's figures by the names of the command that sets them."""
    return {"group": view.number} | {name: getattr(view, name) for name in MMP_FIELDS[1:]}


def describe_mmp(venue: Venue, fields: dict[str, int]) -> dict[str, Any]:
    """Return a group's figures in the units of private/set_mmp_config."""
    underlying = venue.genesis.underlyings[fields["underlying"]]
    return {
        "index_name": name_index(underlying.name),
        "mmp_group": str(fields["group"]),
        "interval": show_seconds(fields["window_ns"]),
        "frozen_time": show_seconds(fields["frozen_ns"]),
        "quantity_limit": fields["quantity_limit_lots"] / underlying.option_lots_per_unit,
        "delta_limit": show_usdc(fields["delta_limit_atoms"]),
        "vega_limit": show_usdc(fields["vega_limit_atoms"]),
    }


def show_mmp(venue: Venue, write: Write, outcome: Outcome) -> dict[str, Any]:
    """Return the figures that a group has now."""
    fields = {name: write.command.get(name) for name in MMP_FIELDS}
    return describe_mmp(venue, fields) | {"receipt": show_receipt(outcome)}


def list_groups(venue: Venue, caller: Caller, given: MmpFilterParameters) -> list[views.GroupView]:
    """Return the groups that the caller has set, of one index or number if they are given."""
    rows = views.read_groups(venue.engine, venue.require_account(caller))
    if given.index_name:
        underlying = find_underlying(venue, given.index_name)
        rows = [row for row in rows if row.underlying == underlying]
    if given.mmp_group:
        number = read_group(given.mmp_group)
        rows = [row for row in rows if row.number == number]
    return rows


def get_mmp_config(venue: Venue, caller: Caller, given: MmpFilterParameters) -> list[dict[str, Any]]:
    """Return the figures of the caller's groups."""
    return [describe_mmp(venue, read_figures(row)) for row in list_groups(venue, caller, given)]


def get_mmp_status(venue: Venue, caller: Caller, given: MmpFilterParameters) -> list[dict[str, Any]]:
    """Return whether the caller's groups are frozen, and what they have counted in this window."""
    time_ns = venue.clock_ns()
    rows = []
    for row in list_groups(venue, caller, given):
        underlying = venue.genesis.underlyings[row.underlying]
        frozen_until_ns = row.frozen_until_ns if row.frozen_until_ns > time_ns else 0
        rows.append(
            {
                "index_name": name_index(underlying.name),
                "mmp_group": str(row.number),
                "frozen_until": show_frozen_until(frozen_until_ns),
                "filled_quantity": row.filled_lots / underlying.option_lots_per_unit,
                "filled_delta": show_usdc(row.filled_delta_atoms),
                "filled_vega": show_usdc(row.filled_vega_atoms),
            }
        )
    return rows


def prepare_protect(
    venue: Venue, given: DisconnectParameters | DeadManParameters, cancel_on_disconnect: bool
) -> Write:
    """Prepare a PROTECT, which sets the timer and cancellation on disconnect together. [TIMER-1]"""
    fresh = check_freshness(venue, given)
    fields = {
        "timeout_ns": read_seconds(given.timeout, "timeout"),
        "cancel_on_disconnect": int(cancel_on_disconnect),
    }
    return begin_write(venue, CommandKind.PROTECT, fresh, show_protected, fields)


def check_scope(scope: str) -> None:
    """Refuse any scope but the account: the law knows accounts, not connections."""
    if scope != "account":
        raise refuse_parameter("scope", "account", scope)


def prepare_enable_disconnect(venue: Venue, given: DisconnectParameters) -> Write:
    """Prepare private/enable_cancel_on_disconnect."""
    check_scope(given.scope)
    return prepare_protect(venue, given, True)


def prepare_disable_disconnect(venue: Venue, given: DisconnectParameters) -> Write:
    """Prepare private/disable_cancel_on_disconnect."""
    check_scope(given.scope)
    return prepare_protect(venue, given, False)


def prepare_dead_man(venue: Venue, given: DeadManParameters) -> Write:
    """Prepare private/set_dead_man."""
    return prepare_protect(venue, given, given.cancel_on_disconnect)


def describe_protection(enabled: bool, dead_man_ns: int) -> dict[str, Any]:
    """Return what ends an account's orders by itself."""
    dead_man = dead_man_ns // NS_PER_MS if dead_man_ns else None
    return {"scope": "account", "enabled": enabled, "dead_man_timestamp": dead_man}


def show_protected(venue: Venue, write: Write, outcome: Outcome) -> dict[str, Any]:
    """Return what the command has set."""
    timeout_ns = write.command.get("timeout_ns")
    dead_man_ns = outcome.time_ns + timeout_ns if timeout_ns else 0
    enabled = bool(write.command.get("cancel_on_disconnect"))
    return describe_protection(enabled, dead_man_ns) | {"receipt": show_receipt(outcome)}


def get_cancel_on_disconnect(venue: Venue, caller: Caller, given: ScopeParameters) -> dict[str, Any]:
    """Return whether a lost connection ends the caller's orders, and when its timer does."""
    check_scope(given.scope)
    view = views.read_account(venue.engine, venue.require_account(caller))
    return describe_protection(bool(view.cancel_on_disconnect), view.dead_man_ns)
