"""Reads of session keys and sub-accounts for people and programs: plain integers and addresses.

Nothing here changes the state; as views.py it only shapes what the tables hold.
"""

from typing import NamedTuple

import numpy as np

from novate.execution.engine import Engine, join_address
from novate.execution.tables import NONE


class KeyView(NamedTuple):
    """An active session key: its place (1 to KEY_COUNT), address, figures (a limit of 0 is none), the last
    nonce it used and the minute it counts in. It may have expired. [KEY-3] [KEY-4]
    """

    place: int
    address: bytes
    scope: int
    key_expires_ns: int
    max_notional_atoms: int
    max_delta_atoms: int
    max_vega_atoms: int
    rate_per_minute: int
    nonce: int
    window_start_ns: int
    window_count: int


class SubaccountView(NamedTuple):
    """A sub-account: its number under its owner, the account's own number, and its address. [SUB-1]"""

    subaccount: int
    account: int
    address: bytes


def read_key(engine: Engine, account: int, place: int) -> KeyView | None:
    """Return the session key at a place of an account, or None."""
    record = engine.world.keys[account, place - 1]
    if record["scope"] == 0:
        return None
    return KeyView(place, join_address(record), *(int(record[name]) for name in KeyView._fields[2:]))


def read_keys(engine: Engine, account: int) -> list[KeyView]:
    """Return the active session keys of an account, by their places."""
    places = range(1, engine.world.keys.shape[1] + 1)
    return [view for place in places if (view := read_key(engine, account, place)) is not None]


def find_owner(engine: Engine, account: int) -> int:
    """Return the account that owns an account: itself, unless it is a sub-account. [SUB-1]"""
    owner = int(engine.world.accounts["owner"][account])
    return account if owner == NONE else owner


def read_subaccounts(engine: Engine, owner: int) -> list[SubaccountView]:
    """Return the sub-accounts of an owner, by their numbers under it."""
    owners = engine.world.accounts["owner"][: len(engine.addresses)]
    numbers = engine.world.accounts["subaccount"]
    return sorted(
        SubaccountView(int(numbers[account]), account, engine.addresses[account])
        for account in np.flatnonzero(owners == owner).tolist()
    )
