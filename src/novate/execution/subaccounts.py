"""Sub-accounts of an owner, and cash that moves between accounts of one owner. Implements [SUB-1] and
[SUB-2].
"""

from typing import Any

from novate.execution.authentication import verify_account, verify_trader
from novate.execution.events import emit, emit_result
from novate.execution.money import verify_withdraw
from novate.execution.tables import NONE, World
from novate.kernel import kernel_inner
from novate.protocol.generated.codes import Code, EventKind

Record = Any

SUBACCOUNT_BOUND = 1 << 31


@kernel_inner
def verify_subaccount(w: World, command: Record) -> Code:
    """Return the code of a CREATE_SUBACCOUNT whose account is authentic; its subject is the account of the
    sub-account's address, NONE if there is none. [SUB-1]
    """
    number = command["subaccount"]
    if w.accounts[command["account"]]["owner"] != NONE or number < 1 or number >= SUBACCOUNT_BOUND:
        return Code.SUBACCOUNT_INVALID
    subject = command["subject_account"]
    if subject != NONE:
        return Code.OK if w.accounts[subject]["owner"] == NONE else Code.SUBACCOUNT_EXISTS
    return Code.ACCOUNT_TABLE_FULL if w.house[0]["account_count"] >= w.accounts.shape[0] else Code.OK


@kernel_inner
def apply_create_subaccount(w: World, command: Record) -> None:
    """CREATE_SUBACCOUNT. [SUB-1]"""
    owner, number = command["account"], command["subject_account"]
    code = verify_account(w, command)
    if code == Code.OK:
        code = verify_subaccount(w, command)
    emit_result(w, code, owner, 0)
    if code != Code.OK:
        return
    if number == NONE:
        number = w.house[0]["account_count"]
        w.house[0]["account_count"] += 1
    account = w.accounts[number]
    account["owner"] = owner
    account["subaccount"] = command["subaccount"]
    account["dirty"] = 1
    event = emit(w, EventKind.SUBACCOUNT_CREATED)
    event["account"] = number
    event["order_id"] = command["subaccount"]
    event["maker_account"] = owner


@kernel_inner
def get_owner(w: World, account: int) -> int:
    """Return who owns an account: itself, unless it is a sub-account. [SUB-2]"""
    owner = w.accounts[account]["owner"]
    return int(account if owner == NONE else owner)


@kernel_inner
def verify_transfer(w: World, command: Record) -> Code:
    """Return the code of a TRANSFER whose account is authentic. [SUB-2]"""
    account, receiver = command["account"], command["subject_account"]
    if command["amount_atoms"] < 1:
        return Code.AMOUNT_NOT_POSITIVE
    if receiver == NONE or get_owner(w, receiver) != get_owner(w, account):
        return Code.TRANSFER_INVALID
    if receiver == account:
        return Code.TRANSFER_INVALID
    return verify_withdraw(w, command, w.accounts[account]["cash_atoms"])


@kernel_inner
def apply_transfer(w: World, command: Record) -> None:
    """TRANSFER. [SUB-2]"""
    number, receiver, amount = command["account"], command["subject_account"], command["amount_atoms"]
    code = verify_trader(w, command)
    if code == Code.OK:
        code = verify_transfer(w, command)
    emit_result(w, code, number, 0)
    if code != Code.OK:
        return
    w.accounts[number]["cash_atoms"] -= amount
    w.accounts[receiver]["cash_atoms"] += amount
    w.accounts[receiver]["dirty"] = 1
    event = emit(w, EventKind.TRANSFERRED)
    event["account"] = number
    event["maker_account"] = receiver
    event["amount_atoms"] = amount
