"""Session keys: an account authorises and revokes them. Implements [KEY-3]; what one may do is in
authentication and key_limits.
"""

from typing import Any

from novate.execution.authentication import verify_account
from novate.execution.events import emit, emit_result
from novate.execution.tables import NONE, World
from novate.kernel import kernel_inner
from novate.protocol.generated.codes import Code, EventKind
from novate.protocol.generated.constants import KEY_COUNT

Record = Any

SCOPE_MAX = 31
LIMIT_ATOMS_MAX = 1 << 60
RATE_MAX = 1_000_000


@kernel_inner
def is_lawful_limit(limit_atoms: int) -> bool:
    """Whether a limit of a key is in range. [KEY-3]"""
    return bool(limit_atoms >= 0 and limit_atoms <= LIMIT_ATOMS_MAX)


@kernel_inner
def is_lawful_key(w: World, command: Record) -> bool:
    """Whether the figures and the address of an AUTHORIZE_KEY are in range. [KEY-3]"""
    if command["scope"] < 1 or command["scope"] > SCOPE_MAX:
        return False
    if command["key_expires_ns"] <= command["time_ns"]:
        return False
    if not is_lawful_limit(command["max_notional_atoms"]) or not is_lawful_limit(command["max_delta_atoms"]):
        return False
    if not is_lawful_limit(command["max_vega_atoms"]):
        return False
    if command["rate_per_minute"] < 0 or command["rate_per_minute"] > RATE_MAX:
        return False
    if (command["subject_words_0"] | command["subject_words_1"] | command["subject_words_2"]) == 0:
        return False
    subject, account = command["subject_account"], command["account"]
    return bool(subject == NONE or (subject != account and subject != w.accounts[account]["owner"]))


@kernel_inner
def find_free_place(w: World, account: int) -> int:
    """Return the lowest free place for a key, or NONE. [KEY-3]"""
    for place in range(1, KEY_COUNT + 1):
        if w.keys[account, place - 1]["scope"] == 0:
            return place
    return NONE


@kernel_inner
def open_key(w: World, command: Record, place: int) -> None:
    """Take a free place for the key of an AUTHORIZE_KEY, with nothing counted. [KEY-3]"""
    account = command["account"]
    key = w.keys[account, place - 1]
    key["word_0"] = command["subject_words_0"]
    key["word_1"] = command["subject_words_1"]
    key["word_2"] = command["subject_words_2"]
    key["nonce"] = w.accounts[account]["retired_nonce"]
    key["window_start_ns"] = 0
    key["window_count"] = 0


@kernel_inner
def emit_key(w: World, kind: int, account: int, place: int) -> None:
    """Say that the key at a place was authorised or revoked, and let the account's leaf be hashed again."""
    w.accounts[account]["dirty"] = 1
    event = emit(w, kind)
    event["account"] = account
    event["order_id"] = place


@kernel_inner
def apply_authorize_key(w: World, command: Record) -> None:
    """AUTHORIZE_KEY. [KEY-3]"""
    account, place = command["account"], command["subject_key"]
    code = verify_account(w, command)
    if code == Code.OK and not is_lawful_key(w, command):
        code = Code.KEY_INVALID
    known = place > 0
    if code == Code.OK and not known:
        place = find_free_place(w, account)
        if place == NONE:
            code = Code.KEY_TABLE_FULL
    emit_result(w, code, account, 0)
    if code != Code.OK:
        return
    if not known:
        open_key(w, command, place)
    key = w.keys[account, place - 1]
    key["scope"] = command["scope"]
    key["key_expires_ns"] = command["key_expires_ns"]
    key["max_notional_atoms"] = command["max_notional_atoms"]
    key["max_delta_atoms"] = command["max_delta_atoms"]
    key["max_vega_atoms"] = command["max_vega_atoms"]
    key["rate_per_minute"] = command["rate_per_minute"]
    emit_key(w, EventKind.KEY_AUTHORIZED, account, place)


@kernel_inner
def apply_revoke_key(w: World, command: Record) -> None:
    """REVOKE_KEY: what the key signed can never be used again. [KEY-3]"""
    number, place = command["account"], command["subject_key"]
    code = verify_account(w, command)
    if code == Code.OK and place <= 0:
        code = Code.KEY_NOT_FOUND
    emit_result(w, code, number, 0)
    if code != Code.OK:
        return
    account, key = w.accounts[number], w.keys[number, place - 1]
    account["retired_nonce"] = max(account["retired_nonce"], key["nonce"])
    key["scope"] = 0
    emit_key(w, EventKind.KEY_REVOKED, number, place)
