"""A venue that is open for trading, and what it says in lines short enough to compare with.

Instrument `btc_perpetual` has a mark of 32_000 ticks, `btc_call_80000` one of about 638. Accounts are
numbered in the order of ROLES; an order is named by its number, counted from 1.
"""

import json
from typing import Any

from novate.protocol.generated.codes import CancelReason, Code, EventKind
from novate.protocol.genesis import Genesis, encode_genesis, parse_genesis
from tests.law.desk import Desk, find_address, make_genesis

ROLES = ("maker", "taker", "stranger")
LISTINGS = ("list instrument_kind=perpetual strike_atoms=0 expiry_ns=0", "list")


def make_roomy_genesis(parameters: dict[str, int] | None = None, **limits: int) -> Genesis:
    """The desk's venue with room for waiting orders, and with other parameters."""
    document = read_document(make_genesis(**({"triggers": 300} | limits)))
    document["parameters"] |= parameters or {}
    return parse_genesis(encode_genesis(document))


def read_document(genesis: Genesis) -> dict[str, Any]:
    """The document that a genesis was made from."""
    document: dict[str, Any] = json.loads(genesis.raw)
    return document


def open_venue(parameters: dict[str, int] | None = None, **limits: int) -> Desk:
    """A desk at which every role has a million USDC and both instruments have marks."""
    desk = Desk(make_roomy_genesis(parameters, **limits))
    for role in ROLES:
        desk.must(role, "deposit amount_atoms=1_000_000*usdc")
    desk.must("operator", *LISTINGS)
    desk.must("oracle", "index", "surface", "tick")
    return desk


def describe(desk: Desk, event: dict[str, int]) -> str:
    """One event as a line: `FILL 2 of 1: 5@100`, `REST 2: 5@100`, `CANCELLED 2: 5@100 USER`."""
    kind = EventKind(event["kind"])
    if kind == EventKind.FILL:
        return (
            f"FILL {event['order_id']} of {event['maker_order_id']}: {event['lots']}@{event['price_ticks']}"
        )
    if kind in (EventKind.TRIGGERED, EventKind.MARKED):
        return kind.name + (f" {event['order_id']}" if kind == EventKind.TRIGGERED else "")
    size = f"{event['lots']}"
    if event["visible_lots"] not in (0, event["lots"]):
        size = f"{event['visible_lots']}/{size}"
    line = f"{kind.name} {event['order_id']}: {size}@{event['price_ticks']}"
    if kind == EventKind.WAITING:
        line += f" at {event['amount_atoms']}"
    if kind == EventKind.CANCELLED:
        line += f" {CancelReason(event['reason']).name}"
    return line + (f" {Code(event['code']).name}" if event["code"] else "")


def tell(desk: Desk, actor: str, line: str) -> list[str]:
    """Send a line that must be accepted, and return what happened after its RESULT."""
    desk.must(actor, line)
    return [describe(desk, event) for event in desk.events[1:]]


def refuse(desk: Desk, actor: str, line: str) -> str:
    """Send a line that must be refused, and return the code's name."""
    code = desk.say(actor, line)
    assert code != Code.OK
    assert not desk.events[1:]
    return code.name


def move_index(desk: Desk, usdc: int) -> list[str]:
    """Let a second pass, report the index and tick; return what the TICK did after its marks."""
    desk.must("oracle", f"index after=1 index_atoms={usdc}*usdc")
    return [line for line in tell(desk, "oracle", "tick") if line != "MARKED"]


def find_lots(desk: Desk, role: str, instrument: int = 0) -> int:
    """How many lots a role holds."""
    account = desk.engine.find_account(find_address(role))
    positions = desk.engine.world.positions
    held = positions[(positions["account"] == account) & (positions["instrument"] == instrument)]
    return int(held["lots"].sum())


def read_order(desk: Desk, order_id: int) -> dict[str, int]:
    """The record of an open or waiting order; empty if there is none."""
    for table in (desk.engine.world.orders, desk.engine.world.waiting):
        found = table[table["order_id"] == order_id]
        if len(found):
            return dict(zip(found.dtype.names, found[0].tolist(), strict=True))
    return {}
