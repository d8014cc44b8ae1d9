"""Who speaks: the account itself, its owner, or one of its session keys, each with a nonce of its own.

Python has resolved the signer's address to the place of a key; what it may say and how often is decided here.
Implements [AUTH-2], [AUTH-3], [KEY-1], [KEY-2], [KEY-4] and [LIQ-10].
"""

from typing import Any

from novate.execution.tables import NONE, World
from novate.kernel import kernel_inner
from novate.protocol.generated.codes import Code, CommandKind, KeyScope, LiquidationStage
from novate.protocol.generated.constants import NS_PER_S

Record = Any

TRADE, CANCEL, QUOTE = int(KeyScope.TRADE), int(KeyScope.CANCEL), int(KeyScope.QUOTE)
BLOCK, TRANSFER = int(KeyScope.BLOCK), int(KeyScope.TRANSFER)
RATE_WINDOW_NS = 60 * NS_PER_S


@kernel_inner
def get_scope(kind: int) -> int:
    """Return the bit of a kind of command in the scope of a key; 0 for what no key may send. [KEY-2]"""
    if kind == CommandKind.PLACE or kind == CommandKind.REPLACE or kind == CommandKind.PLACE_TRIGGER:
        return TRADE
    if kind == CommandKind.CANCEL or kind == CommandKind.CANCEL_ALL or kind == CommandKind.PROTECT:
        return CANCEL
    if kind == CommandKind.MASS_QUOTE or kind == CommandKind.SET_MMP:
        return QUOTE
    if kind == CommandKind.BLOCK_TRADE:
        return BLOCK
    return TRANSFER if kind == CommandKind.TRANSFER else 0


@kernel_inner
def count_command(key: Record, time_ns: int) -> Code:
    """Count one more command of a key in the minute that began with the first. [KEY-4]"""
    if key["rate_per_minute"] == 0:
        return Code.OK
    if key["window_count"] == 0 or time_ns - key["window_start_ns"] >= RATE_WINDOW_NS:
        key["window_start_ns"] = time_ns
        key["window_count"] = 0
    if key["window_count"] >= key["rate_per_minute"]:
        return Code.KEY_RATE
    key["window_count"] += 1
    return Code.OK


@kernel_inner
def verify_key(w: World, command: Record, number: int, place: int, nonce: int) -> Code:
    """Check that a session key may send a command now, and use up its nonce if it may. [KEY-1]"""
    key = w.keys[number, place - 1]
    if key["key_expires_ns"] <= command["time_ns"]:
        return Code.KEY_EXPIRED
    if key["scope"] & get_scope(command["kind"]) == 0:
        return Code.KEY_SCOPE
    if nonce <= key["nonce"]:
        return Code.NONCE_REPLAYED
    key["nonce"] = nonce
    w.accounts[number]["dirty"] = 1
    return count_command(key, command["time_ns"])


@kernel_inner
def verify_party(w: World, command: Record, number: int, place: int, nonce: int) -> Code:
    """Check one party of a command, and use up its nonce if it is authentic: `number` is its account and
    `place` that of the key which signed, 0 for the account or its owner; either is NONE if unknown. [KEY-1]
    """
    if number == NONE:
        return Code.ACCOUNT_NOT_FOUND
    if command["expires_ns"] <= command["time_ns"]:
        return Code.SIGNATURE_EXPIRED
    if place != 0:
        return Code.KEY_UNKNOWN if place == NONE else verify_key(w, command, number, place, nonce)
    account = w.accounts[number]
    if nonce <= account["nonce"]:
        return Code.NONCE_REPLAYED
    account["nonce"] = nonce
    account["dirty"] = 1
    return Code.OK


@kernel_inner
def verify_account(w: World, command: Record) -> Code:
    """Check who speaks, and use up the nonce if the command is authentic. [AUTH-2] [AUTH-3]"""
    return verify_party(w, command, command["account"], command["key"], command["nonce"])


@kernel_inner
def is_in_liquidation(w: World, account: int) -> bool:
    """Whether an account is being liquidated. [LIQ-10]"""
    return bool(w.accounts[account]["liquidation_stage"] != LiquidationStage.NONE)


@kernel_inner
def verify_trader(w: World, command: Record) -> Code:
    """Check who speaks, and that the account is not in liquidation. [AUTH-2] [LIQ-10]"""
    code = verify_account(w, command)
    if code == Code.OK and is_in_liquidation(w, command["account"]):
        code = Code.IN_LIQUIDATION
    return code
