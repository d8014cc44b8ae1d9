"""[KEY-*] and [SUB-*]: who may sign for an account and how much, sub-accounts, transfers between them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import sha3

from . import margin, venue
from .records import BUY, LIMITS, SCALES, SCOPES, Account, Key, Order, require

if TYPE_CHECKING:
    from .model import Model

Command = dict[str, Any]
ZERO_ADDRESS = "0x" + "00" * 20
LIMIT_MAX = 1 << 60
RATE_MAX = 10**6
SUBACCOUNT_END = 1 << 31
MINUTE_NS = 60 * SCALES["NS_PER_S"]
SCOPE_BY_KIND = {
    "PLACE": SCOPES["TRADE"],
    "REPLACE": SCOPES["TRADE"],
    "PLACE_TRIGGER": SCOPES["TRADE"],
    "CANCEL": SCOPES["CANCEL"],
    "CANCEL_ALL": SCOPES["CANCEL"],
    "PROTECT": SCOPES["CANCEL"],
    "MASS_QUOTE": SCOPES["QUOTE"],
    "SET_MMP": SCOPES["QUOTE"],
    "BLOCK_TRADE": SCOPES["BLOCK"],
    "TRANSFER": SCOPES["TRANSFER"],
}


def authenticate(
    model: Model, command: Command, address: str, signer: str, nonce_name: str
) -> tuple[int, Key | None]:
    """[KEY-1]: the account's number, and the key unless the account or its owner signed; the nonce in the
    field of the name is used up, and the key's minute has one command more.
    """
    number, nonce = model.account_number(address), command[nonce_name]
    require(number >= 0, "ACCOUNT_NOT_FOUND")
    require(command["expires_ns"] > model.time_ns, "SIGNATURE_EXPIRED")
    account = model.accounts[number]
    key = None
    if signer not in _masters(model, account):
        key = next((k for k in account.keys.values() if k.address == signer), None)
        require(key is not None, "KEY_UNKNOWN")
    if key is None:
        require(nonce > account.nonce, "NONCE_REPLAYED")
        account.nonce = nonce
        return number, None
    require(key.key_expires_ns > model.time_ns, "KEY_EXPIRED")
    require(key.scope & SCOPE_BY_KIND.get(command["kind"], 0) != 0, "KEY_SCOPE")
    require(nonce > key.nonce, "NONCE_REPLAYED")
    key.nonce = nonce
    _count_command(model, key)
    return number, key


def _masters(model: Model, account: Account) -> list[str]:
    """Who needs no key: the account, and a sub-account's owner."""
    owners = [model.accounts[account.owner].address] if account.owner >= 0 else []
    return [account.address, *owners]


def _count_command(model: Model, key: Key) -> None:
    """[KEY-4]."""
    if key.rate_per_minute == 0:
        return
    if key.window_count == 0 or model.time_ns >= key.window_start_ns + MINUTE_NS:
        key.window_start_ns, key.window_count = model.time_ns, 0
    require(key.window_count < key.rate_per_minute, "KEY_RATE")
    key.window_count += 1


def authorize(model: Model, command: Command) -> tuple[int, int]:
    """[KEY-3]."""
    number, account = model.authenticate(command)
    address = command["subject"]
    limits = ("max_notional_atoms", "max_delta_atoms", "max_vega_atoms")
    require(1 <= command["scope"] <= sum(SCOPES.values()), "KEY_INVALID")
    require(command["key_expires_ns"] > model.time_ns, "KEY_INVALID")
    require(all(0 <= command[name] <= LIMIT_MAX for name in limits), "KEY_INVALID")
    require(0 <= command["rate_per_minute"] <= RATE_MAX, "KEY_INVALID")
    require(address not in (ZERO_ADDRESS, *_masters(model, account)), "KEY_INVALID")
    figures = {name: command[name] for name in ("scope", "key_expires_ns", *limits, "rate_per_minute")}
    place = _place_of(account, address)
    if place == 0:
        require(len(account.keys) < LIMITS["KEY_COUNT"], "KEY_TABLE_FULL")
        place = min(set(range(1, LIMITS["KEY_COUNT"] + 1)) - account.keys.keys())
        account.keys[place] = Key(address, nonce=account.retired_nonce, **figures)
    for name, value in figures.items():
        setattr(account.keys[place], name, value)
    model.emit("KEY_AUTHORIZED", account=number, order_id=place)
    return number, 0


def revoke(model: Model, command: Command) -> tuple[int, int]:
    """[KEY-3]."""
    number, account = model.authenticate(command)
    place = _place_of(account, command["subject"])
    require(place > 0, "KEY_NOT_FOUND")
    account.retired_nonce = max(account.retired_nonce, account.keys.pop(place).nonce)
    model.emit("KEY_REVOKED", account=number, order_id=place)
    return number, 0


def _place_of(account: Account, address: str) -> int:
    """Where an active key stands, 0 if it is none."""
    return next((place for place, key in account.keys.items() if key.address == address), 0)


def subaccount_address(owner: str, number: int) -> str:
    """[SUB-1]."""
    preimage = int(owner, 16).to_bytes(20, "big") + number.to_bytes(32, "big")
    return "0x" + sha3.keccak_256(preimage).hexdigest()[-40:]


def create_subaccount(model: Model, command: Command) -> tuple[int, int]:
    """[SUB-1]."""
    number, account = model.authenticate(command)
    chosen = command["subaccount"]
    require(account.owner < 0 and 1 <= chosen < SUBACCOUNT_END, "SUBACCOUNT_INVALID")
    address = subaccount_address(account.address, chosen)
    opened = model.account_number(address)
    require(opened < 0 or model.accounts[opened].owner < 0, "SUBACCOUNT_EXISTS")
    if opened < 0:
        opened = venue.open_account(model, address)
    model.accounts[opened].owner, model.accounts[opened].subaccount = number, chosen
    model.emit("SUBACCOUNT_CREATED", account=opened, order_id=chosen, maker_account=number)
    return number, 0


def transfer(model: Model, command: Command) -> tuple[int, int]:
    """[SUB-2]."""
    number, account = model.authenticate_free(command)
    amount, receiver = command["amount_atoms"], model.account_number(command["subject"])
    require(amount >= 1, "AMOUNT_NOT_POSITIVE")
    families = [_family(model, other) for other in (number, receiver) if other >= 0]
    same = len(families) == 2 and families[0] == families[1] and receiver != number
    require(same, "TRANSFER_INVALID")
    venue.check_spendable(model, account, amount, account.cash_atoms)
    account.cash_atoms -= amount
    model.accounts[receiver].cash_atoms += amount
    model.emit("TRANSFERRED", account=number, maker_account=receiver, amount_atoms=amount)
    return number, 0


def _family(model: Model, number: int) -> int:
    """The owner's number, the account's own if it has none."""
    owner = model.accounts[number].owner
    return owner if owner >= 0 else number


class Reach(NamedTuple):
    """How far the account can get in one underlying, in atoms: W of [MARGIN-7], then D + up and D + down of
    [KEY-5], the latter two of delta and of vega.
    """

    notional: int
    delta: tuple[int, int]
    vega: tuple[int, int]


def measure(model: Model, account: Account, underlying: int) -> Reach:
    """[KEY-5] for the account as it stands."""
    found = margin.exposures(model, account)[underlying]
    notional = margin.gross_notional(found, margin.group_risks(model, account)[underlying])
    spans = []
    for name in ("delta_atoms", "vega_atoms"):
        held = sum(x.held * getattr(x.instrument, name) for x in found)
        up = down = 0
        for order in account.orders.values():
            instrument = model.instruments[order.instrument]
            if instrument.underlying == underlying:
                moved = order.lots * (1 if order.side == BUY else -1) * getattr(instrument, name)
                up, down = up + max(0, moved), down + min(0, moved)
        spans.append((held + up, held + down))
    return Reach(notional, *spans)


def stays_within(key: Key, reach: Reach, delta_moves: tuple[int, ...], vega_moves: tuple[int, ...]) -> bool:
    """The key's limits of delta and vega, each looked at in the directions of the moves (their signs)."""
    limits = (key.max_delta_atoms, key.max_vega_atoms)
    for limit, (high, low), moves in zip(limits, reach[1:], (delta_moves, vega_moves), strict=True):
        if limit and any(move > 0 for move in moves) and high > limit:
            return False
        if limit and any(move < 0 for move in moves) and low < -limit:
            return False
    return True


def _notional_fits(key: Key, before: int | None, after: int) -> bool:
    """`before` is what may be kept although it is too much, None if nothing may."""
    fits = key.max_notional_atoms == 0 or after <= key.max_notional_atoms
    return fits or (before is not None and after <= before)


def check_order(model: Model, account: Account, order: Order, key: Key | None) -> None:
    """[KEY-5] for a judged order that is not among the account's open ones; no key, no limits."""
    if key is None:
        return
    instrument = model.instruments[order.instrument]
    before = measure(model, account, instrument.underlying).notional
    account.orders[order.order_id] = order
    reach = measure(model, account, instrument.underlying)
    del account.orders[order.order_id]
    sign = 1 if order.side == BUY else -1
    moves = (sign * instrument.delta_atoms,), (sign * instrument.vega_atoms,)
    within = _notional_fits(key, before, reach.notional) and stays_within(key, reach, *moves)
    require(within, "KEY_LIMIT")


def quotes_within(model: Model, account: Account, underlying: int, key: Key) -> bool:
    """[KEY-5] after a MASS_QUOTE that placed something."""
    reach = measure(model, account, underlying)
    return _notional_fits(key, None, reach.notional) and stays_within(key, reach, (1, -1), (1, -1))


def block_within(
    model: Model,
    account: Account,
    signed_legs: list[tuple[int, int]],
    key: Key | None,
    before: dict[int, int],
) -> bool:
    """[KEY-5] with the legs (instrument, signed lots) filled; `before` is W by underlying without them."""
    for underlying, notional in before.items() if key else ():
        assert key is not None
        delta = vega = 0
        for number, lots in signed_legs:
            instrument = model.instruments[number]
            if instrument.underlying == underlying:
                delta += lots * instrument.delta_atoms
                vega += lots * instrument.vega_atoms
        reach = measure(model, account, underlying)
        if not _notional_fits(key, notional, reach.notional):
            return False
        if not stays_within(key, reach, (delta,), (vega,)):
            return False
    return True
