"""Money that comes, goes, and passes between the accounts of one owner, as the replayer reads it.

Verifies [CASH-1], [CASH-2], [SUB-1] to [SUB-3], and INSURE of [LIQ-9].
"""

from novate.protocol.command import Command
from novate.protocol.generated.codes import Code, EventKind
from novate.protocol.generated.constants import CASH_ATOMS_MAX, SCENARIO_COUNT
from novate.protocol.signing import compute_subaccount_address
from novate.verification.keys import admit, authenticate
from novate.verification.risk import compute_summary
from novate.verification.state import Account, State, require
from novate.verification.steps import Step

SUBACCOUNT_END = 1 << 31


def find_or_open(state: State, address: bytes) -> Account:
    """Return the account of an address, the next number if it has none yet [CASH-1] [SUB-1]."""
    number = state.account_numbers.get(address)
    if number is None:
        require(len(state.accounts) < state.limits["accounts"], Code.ACCOUNT_TABLE_FULL)
        number = state.account_numbers[address] = len(state.accounts)
        state.accounts.append(Account(number, address, len(state.markets), SCENARIO_COUNT))
        state.dirty_accounts.add(number)
    return state.accounts[number]


def deposit(state: State, command: Command) -> tuple[int, int]:
    """Apply DEPOSIT [CASH-1]."""
    cursor, amount = command.values
    require(amount >= 1, Code.AMOUNT_NOT_POSITIVE)
    require(cursor == state.deposit_cursor + 1, Code.DEPOSIT_OUT_OF_ORDER)
    require(state.deposited_atoms + amount < CASH_ATOMS_MAX, Code.BALANCE_LIMIT)
    account = find_or_open(state, command.signer)
    state.pay(account, amount)
    state.deposited_atoms += amount
    state.deposit_cursor = cursor
    return account.number, 0


def withdraw(state: State, command: Command) -> tuple[int, int]:
    """Apply WITHDRAW; what leaves a sub-account is paid to its owner [CASH-2] [SUB-3]."""
    account = admit(state, command)
    amount = command.values[0]
    require(amount >= 1, Code.AMOUNT_NOT_POSITIVE)
    check_payable(state, account, amount, state.deposited_atoms - state.withdrawn_atoms)
    state.pay(account, -amount)
    state.withdrawn_atoms += amount
    state.withdrawal_count += 1
    state.withdrawals.append((find_owner(account).address, amount))
    return account.number, 0


def insure(state: State, command: Command) -> tuple[int, int]:
    """Apply INSURE [LIQ-9]; the money stays inside, so the vault sets no limit."""
    account = admit(state, command)
    amount = command.values[0]
    require(amount >= 1, Code.AMOUNT_NOT_POSITIVE)
    check_payable(state, account, amount, account.cash_atoms)
    state.pay(account, -amount)
    state.insurance_atoms += amount
    state.steps.append(Step(EventKind.FUND_PAID_IN, account.number, amount_atoms=amount))
    return account.number, 0


def transfer(state: State, command: Command) -> tuple[int, int]:
    """Apply TRANSFER [SUB-2]; the money stays inside, so the vault sets no limit."""
    account = admit(state, command)
    amount = command.values[0]
    require(amount >= 1, Code.AMOUNT_NOT_POSITIVE)
    number = state.account_numbers.get(command.subject, -1)
    require(number >= 0, Code.TRANSFER_INVALID)
    receiver = state.accounts[number]
    kin = receiver is not account and find_owner(receiver) is find_owner(account)
    require(kin, Code.TRANSFER_INVALID)
    check_payable(state, account, amount, account.cash_atoms)
    state.pay(account, -amount)
    state.pay(receiver, amount)
    state.steps.append(Step(EventKind.TRANSFERRED, account.number, number, amount_atoms=amount))
    return account.number, 0


def find_owner(account: Account) -> Account:
    """Return the owner of a sub-account; every other account is its own [SUB-1]."""
    return account.owner or account


def check_payable(state: State, account: Account, amount: int, limit_atoms: int) -> None:
    """Check that an account can do without an amount, of which at most `limit_atoms` may leave [CASH-2]."""
    require(amount <= min(account.cash_atoms, limit_atoms), Code.CASH_INSUFFICIENT)
    for market, holdings in zip(state.markets, account.holdings, strict=True):
        # A record exists only while lots are held or open, so gross lots are positive exactly then.
        require(not holdings or not state.is_stale(market), Code.MARK_STALE)
    equity, unrealised, initial = compute_summary(state, account)
    require(equity - max(0, unrealised) - amount >= initial, Code.INITIAL_MARGIN_INSUFFICIENT)


def create_subaccount(state: State, command: Command) -> tuple[int, int]:
    """Apply CREATE_SUBACCOUNT and return (owner, 0); who already has the address becomes it [SUB-1]."""
    owner = authenticate(state, command)
    subaccount = command.values[0]
    in_range = 1 <= subaccount < SUBACCOUNT_END
    require(owner.owner is None and in_range, Code.SUBACCOUNT_INVALID)
    address = compute_subaccount_address(owner.address, subaccount)
    number = state.account_numbers.get(address, -1)
    require(number < 0 or state.accounts[number].owner is None, Code.SUBACCOUNT_EXISTS)
    opened = find_or_open(state, address)
    opened.owner, opened.subaccount = owner, subaccount
    state.dirty_accounts.add(opened.number)
    created = Step(EventKind.SUBACCOUNT_CREATED, opened.number, owner.number, order_id=subaccount)
    state.steps.append(created)
    return owner.number, 0
