"""Who may sign for an account: itself, for a sub-account its owner, and its session keys.

The law decides, when the command's turn comes [KEY-1]; what is read here refuses early what it would refuse.
"""

from typing import Any, NamedTuple

from novate.access.errors import ApiError
from novate.access.key_terms import SCOPE_NAME, show_scope
from novate.access.quantities import show_usdc
from novate.execution import key_views
from novate.execution.engine import Engine
from novate.protocol.generated.codes import Code, CommandKind, KeyScope
from novate.protocol.generated.constants import NS_PER_MS

SCOPE_OF = {
    CommandKind.PLACE: KeyScope.TRADE,
    CommandKind.REPLACE: KeyScope.TRADE,
    CommandKind.PLACE_TRIGGER: KeyScope.TRADE,
    CommandKind.CANCEL: KeyScope.CANCEL,
    CommandKind.CANCEL_ALL: KeyScope.CANCEL,
    CommandKind.PROTECT: KeyScope.CANCEL,
    CommandKind.MASS_QUOTE: KeyScope.QUOTE,
    CommandKind.SET_MMP: KeyScope.QUOTE,
    CommandKind.BLOCK_TRADE: KeyScope.BLOCK,
    CommandKind.TRANSFER: KeyScope.TRANSFER,
}
NO_KEY = 0


class Speaker(NamedTuple):
    """Someone who may sign for an account. `place` is 0 for the account and its owner, who may do all and
    share the account's nonce.
    """

    place: int
    nonce: int
    scope: int = 0
    expires_ns: int = 0


def find_speaker(engine: Engine, account: int, signer: bytes) -> Speaker | None:
    """Return what a signer may do for an account, None if nothing; an expired key is found too."""
    place = engine.find_signer(account, signer)
    if place < 0:
        return None
    if place == NO_KEY:
        return Speaker(NO_KEY, int(engine.world.accounts[account]["nonce"]))
    key = key_views.read_key(engine, account, place)
    assert key is not None, "Invariant [KEY-3]: who is known as a key has a record."
    return Speaker(place, key.nonce, key.scope, key.key_expires_ns)


def require_speaker(engine: Engine, account: int, signer: bytes, time_ns: int) -> Speaker:
    """Return what a signer may do for an account now, or raise KEY_UNKNOWN or KEY_EXPIRED. [KEY-1]"""
    speaker = find_speaker(engine, account, signer)
    if speaker is None:
        message = f"{show_address(signer)} is neither the account, nor its owner, nor one of its active keys"
        raise ApiError(Code.KEY_UNKNOWN, message, signer=show_address(signer))
    if speaker.place and speaker.expires_ns <= time_ns:
        stamp = speaker.expires_ns // NS_PER_MS
        raise ApiError(Code.KEY_EXPIRED, signer=show_address(signer), expiration_timestamp=stamp)
    return speaker


def check_scope(speaker: Speaker, kind: CommandKind) -> None:
    """Raise KEY_SCOPE unless a speaker may send a kind of command. [KEY-2]"""
    if not speaker.place:
        return
    needed = SCOPE_OF.get(kind)
    if needed is None:
        raise ApiError(Code.KEY_SCOPE, "no session key may do this: the account or its owner signs for it")
    if not speaker.scope & needed:
        raise ApiError(Code.KEY_SCOPE, f"the key's scope lacks {SCOPE_NAME[needed]}", scope=speaker.scope)


def show_address(address: bytes) -> str:
    """Return an address as text."""
    return "0x" + address.hex()


def describe_key(view: key_views.KeyView, time_ns: int) -> dict[str, Any]:
    """Return an active key: what it may do, until when, and its limits; 0 is no limit."""
    return {
        "place": view.place,
        "key": show_address(view.address),
        "scope": show_scope(view.scope),
        "expiration_timestamp": view.key_expires_ns // NS_PER_MS,
        "max_notional": show_usdc(view.max_notional_atoms),
        "max_delta": show_usdc(view.max_delta_atoms),
        "max_vega": show_usdc(view.max_vega_atoms),
        "rate_per_minute": view.rate_per_minute,
        "nonce": str(view.nonce),
        "active": True,
        "expired": view.key_expires_ns <= time_ns,
    }
