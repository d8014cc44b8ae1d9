"""Deposits, withdrawals, the insurance fund and offers to back it. Implements [CASH-1], [CASH-2], [LIQ-9]."""

from typing import Any

from novate.execution.authentication import verify_account, verify_trader
from novate.execution.events import emit, emit_result
from novate.execution.ledger import compute_account_initial, compute_equity, compute_unrealised
from novate.execution.tables import NONE, World
from novate.kernel import kernel, kernel_inner
from novate.protocol.generated.codes import Code, EventKind
from novate.protocol.generated.constants import CASH_ATOMS_MAX, E6
from novate.protocol.oracle import is_stale

Record = Any


@kernel_inner
def verify_deposit(w: World, command: Record) -> Code:
    """Return the code of a DEPOSIT; its account is the number the address has, or would get. [CASH-1]"""
    house = w.house[0]
    if command["amount_atoms"] < 1:
        return Code.AMOUNT_NOT_POSITIVE
    if command["cursor"] != house["deposit_cursor"] + 1:
        return Code.DEPOSIT_OUT_OF_ORDER
    if command["amount_atoms"] >= CASH_ATOMS_MAX - house["deposited_atoms"]:
        return Code.BALANCE_LIMIT
    if command["account"] >= w.accounts.shape[0]:
        return Code.ACCOUNT_TABLE_FULL
    return Code.OK


@kernel_inner
def apply_deposit(w: World, command: Record) -> None:
    """DEPOSIT. [CASH-1]"""
    house = w.house[0]
    number = command["account"]
    code = verify_deposit(w, command)
    known = number < house["account_count"]
    emit_result(w, code, number if known or code == Code.OK else NONE, 0)
    if code != Code.OK:
        return
    if not known:
        assert number == house["account_count"]  # Invariant [AUTH-2]: accounts are numbered without gaps.
        house["account_count"] += 1
    account = w.accounts[number]
    account["cash_atoms"] += command["amount_atoms"]
    account["dirty"] = 1
    house["deposited_atoms"] += command["amount_atoms"]
    house["deposit_cursor"] = command["cursor"]
    event = emit(w, EventKind.DEPOSITED)
    event["account"] = number
    event["amount_atoms"] = command["amount_atoms"]


@kernel_inner
def compute_vault_atoms(w: World) -> int:
    """Return what the vault holds beyond the withdrawals already promised. [CASH-2]"""
    return int(w.house[0]["deposited_atoms"] - w.house[0]["withdrawn_atoms"])


@kernel_inner
def compute_free(w: World, account: int) -> int:
    """Return equity without unrealised gains above the initial margin. [CASH-2]"""
    free = compute_equity(w, account) - max(0, compute_unrealised(w, account))
    return int(free - compute_account_initial(w, account, NONE))


@kernel
def compute_withdrawable(w: World, account: int) -> int:
    """Return what an account could withdraw: cash, and equity without unrealised gains above the margin.
    [CASH-2]

    Rounding   none; never below zero.
    """
    free = compute_free(w, account)
    return int(max(0, min(free, w.accounts[account]["cash_atoms"], compute_vault_atoms(w))))


@kernel_inner
def verify_withdraw(w: World, command: Record, available_atoms: int) -> Code:
    """Return the code of a WITHDRAW (or an INSURE) of no more than is available, whose account is authentic.
    [CASH-2] [LIQ-9]
    """
    account, amount = command["account"], command["amount_atoms"]
    if amount < 1:
        return Code.AMOUNT_NOT_POSITIVE
    if amount > w.accounts[account]["cash_atoms"] or amount > available_atoms:
        return Code.CASH_INSUFFICIENT
    for u in range(w.markets.shape[0]):
        market = w.markets[u]
        stale = is_stale(market["index_atoms"], market["index_time_ns"], command["time_ns"], w.parameters[0])
        if w.portfolios[account, u]["gross_lots"] > 0 and stale:
            return Code.MARK_STALE
    return Code.OK if amount <= compute_free(w, account) else Code.INITIAL_MARGIN_INSUFFICIENT


@kernel_inner
def apply_withdraw(w: World, command: Record) -> None:
    """WITHDRAW. [CASH-2]"""
    number = command["account"]
    code = verify_trader(w, command)
    if code == Code.OK:
        # An account may owe cash against its options, so all cash together can exceed what the vault has.
        code = verify_withdraw(w, command, compute_vault_atoms(w))
    emit_result(w, code, number, 0)
    if code != Code.OK:
        return
    house = w.house[0]
    w.accounts[number]["cash_atoms"] -= command["amount_atoms"]
    house["withdrawn_atoms"] += command["amount_atoms"]
    house["withdrawal_count"] += 1
    event = emit(w, EventKind.WITHDRAWN)
    event["account"] = number
    event["order_id"] = house["withdrawal_count"]
    event["amount_atoms"] = command["amount_atoms"]


@kernel_inner
def apply_insure(w: World, command: Record) -> None:
    """INSURE: an account gives cash to the insurance fund. [LIQ-9]"""
    number, amount = command["account"], command["amount_atoms"]
    code = verify_trader(w, command)
    if code == Code.OK:
        code = verify_withdraw(w, command, w.accounts[number]["cash_atoms"])
    emit_result(w, code, number, 0)
    if code != Code.OK:
        return
    w.accounts[number]["cash_atoms"] -= amount
    w.house[0]["insurance_atoms"] += amount
    event = emit(w, EventKind.FUND_PAID_IN)
    event["account"] = number
    event["amount_atoms"] = amount


@kernel_inner
def apply_backstop(w: World, command: Record) -> None:
    """BACKSTOP: an account offers to take portfolios at auction, or withdraws the offer. [LIQ-9]"""
    code = verify_account(w, command)
    if code == Code.OK and (command["demand_e6"] < NONE or command["demand_e6"] > E6):
        code = Code.DEMAND_INVALID
    emit_result(w, code, command["account"], 0)
    if code == Code.OK:
        account = w.accounts[command["account"]]
        account["demand_e6"] = command["demand_e6"]
        account["dirty"] = 1
