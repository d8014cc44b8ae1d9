"""Who may sign for an account as the replayer reads it: the account, its owner, or one of its session keys.

Verifies [AUTH-2], [AUTH-3], [LIQ-10] and [KEY-1] to [KEY-4]; the limits of [KEY-5] are in key_limits.py.
"""

from novate.protocol.command import Command
from novate.protocol.generated.codes import Code, CommandKind, EventKind, KeyScope, LiquidationStage
from novate.protocol.generated.constants import KEY_COUNT, NS_PER_S
from novate.verification.key_records import KeyFigures, SessionKey
from novate.verification.state import Account, State, require
from novate.verification.steps import Step

# What a key's scope must have for it to sign a kind; of all other kinds a key can sign none [KEY-2].
SCOPE = {
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
ALL_SCOPES = sum(KeyScope)
LIMIT_MAX = 1 << 60
RATE_MAX = 10**6
RATE_WINDOW_NS = 60 * NS_PER_S
NO_ADDRESS = bytes(20)


def authenticate(state: State, command: Command) -> Account:
    """Return the account that a command is about, the signer's nonce used up [AUTH-2] [AUTH-3]."""
    return authenticate_signer(state, command, command.holder, command.signer, command.get("nonce"))


def authenticate_signer(state: State, command: Command, holder: bytes, signer: bytes, nonce: int) -> Account:
    """Return the account at `holder`, for which `signer` signs with a nonce that is used up [KEY-1]."""
    number = state.account_numbers.get(holder, -1)
    require(number >= 0, Code.ACCOUNT_NOT_FOUND)
    account = state.accounts[number]
    assert state.time_ns is not None
    require(command.get("expires_ns") > state.time_ns, Code.SIGNATURE_EXPIRED)
    is_owner = account.owner is not None and signer == account.owner.address
    key = find_key(account, signer)
    require(signer == account.address or is_owner or key is not None, Code.KEY_UNKNOWN)
    state.dirty_accounts.add(number)
    if key is None:
        require(nonce > account.nonce, Code.NONCE_REPLAYED)
        account.nonce = nonce
        return account
    require(key.figures.expires_ns > state.time_ns, Code.KEY_EXPIRED)
    require(bool(key.figures.scope & SCOPE.get(command.kind, 0)), Code.KEY_SCOPE)
    require(nonce > key.nonce, Code.NONCE_REPLAYED)
    key.nonce = nonce
    count_use(key, state.time_ns)
    return account


def find_key(account: Account, signer: bytes) -> SessionKey | None:
    """Return the session key by which somebody signs, None for the account itself or its owner [KEY-1]."""
    if signer == account.address or (account.owner is not None and signer == account.owner.address):
        return None
    return account.keys.get(signer)


def count_use(key: SessionKey, time_ns: int) -> None:
    """Count one command of a key within its minute, if it has a limit, or refuse it [KEY-4]."""
    rate = key.figures.rate_per_minute
    if rate == 0:
        return
    if key.window_count == 0 or time_ns >= key.window_start_ns + RATE_WINDOW_NS:
        key.window_start_ns, key.window_count = time_ns, 0
    require(key.window_count < rate, Code.KEY_RATE)
    key.window_count += 1


def admit(state: State, command: Command) -> Account:
    """Return the account of a command that an account in liquidation may not give [LIQ-10]."""
    account = authenticate(state, command)
    require(account.stage == LiquidationStage.NONE, Code.IN_LIQUIDATION)
    return account


def authorize_key(state: State, command: Command) -> tuple[int, int]:
    """Apply AUTHORIZE_KEY and return (account, 0) [KEY-3]."""
    account = authenticate(state, command)
    figures = KeyFigures(*command.values[: len(KeyFigures._fields)])
    assert state.time_ns is not None
    require(are_lawful(figures, state.time_ns), Code.KEY_INVALID)
    own = {NO_ADDRESS, account.address} | ({account.owner.address} if account.owner else set())
    require(command.subject not in own, Code.KEY_INVALID)
    key = account.keys.get(command.subject)
    if key is None:
        require(len(account.keys) < KEY_COUNT, Code.KEY_TABLE_FULL)
        taken = {other.place for other in account.keys.values()}
        place = min(set(range(1, KEY_COUNT + 1)) - taken)
        key = SessionKey(place, command.subject, figures, account.retired_nonce)
        account.keys[command.subject] = key
    key.figures = figures
    state.steps.append(Step(EventKind.KEY_AUTHORIZED, account.number, order_id=key.place))
    return account.number, 0


def are_lawful(figures: KeyFigures, time_ns: int) -> bool:
    """Whether a key's figures lie in the ranges of [KEY-3]."""
    limits = (figures.max_notional_atoms, figures.max_delta_atoms, figures.max_vega_atoms)
    return (
        1 <= figures.scope <= ALL_SCOPES
        and figures.expires_ns > time_ns
        and all(0 <= limit <= LIMIT_MAX for limit in limits)
        and 0 <= figures.rate_per_minute <= RATE_MAX
    )


def revoke_key(state: State, command: Command) -> tuple[int, int]:
    """Apply REVOKE_KEY and return (account, 0); what the key signed can never be used again [KEY-3]."""
    account = authenticate(state, command)
    key = account.keys.get(command.subject)
    require(key is not None, Code.KEY_NOT_FOUND)
    assert key is not None
    del account.keys[command.subject]
    account.retired_nonce = max(account.retired_nonce, key.nonce)
    state.steps.append(Step(EventKind.KEY_REVOKED, account.number, order_id=key.place))
    return account.number, 0
