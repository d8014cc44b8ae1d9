"""[CASH-*], [LIST-1], [TIER-1] and [SEAL-1]: money in and out, new instruments, fee tiers, batches."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from . import margin
from .records import (
    CALL,
    FUTURE,
    LIMITS,
    LINEAR,
    PERPETUAL,
    PUT,
    SCALES,
    Account,
    Instrument,
    Series,
    require,
)

if TYPE_CHECKING:
    from .model import Model

Command = dict[str, Any]


def deposit(model: Model, command: Command) -> tuple[int, int]:
    """[CASH-1]."""
    house, amount = model.house, command["amount_atoms"]
    number = model.account_number(command["signer"])
    require(amount >= 1, "AMOUNT_NOT_POSITIVE")
    require(command["cursor"] == house.deposit_cursor + 1, "DEPOSIT_OUT_OF_ORDER")
    require(house.deposited_atoms + amount < LIMITS["CASH_ATOMS_MAX"], "BALANCE_LIMIT")
    if number < 0:
        number = open_account(model, command["signer"])
    model.accounts[number].cash_atoms += amount
    house.deposited_atoms += amount
    house.deposit_cursor = command["cursor"]
    model.emit("DEPOSITED", account=number, amount_atoms=amount)
    return number, 0


def open_account(model: Model, address: str) -> int:
    """The next account number for an address that has none."""
    require(len(model.accounts) < model.limits["accounts"], "ACCOUNT_TABLE_FULL")
    model.accounts.append(Account(address))
    model.numbers[address] = len(model.accounts) - 1
    return len(model.accounts) - 1


def withdraw(model: Model, command: Command) -> tuple[int, int]:
    """[CASH-2]."""
    number, account = model.authenticate_free(command)
    amount, held = command["amount_atoms"], model.house.deposited_atoms - model.house.withdrawn_atoms
    require(amount >= 1, "AMOUNT_NOT_POSITIVE")
    check_spendable(model, account, amount, min(account.cash_atoms, held))
    account.cash_atoms -= amount
    model.house.withdrawn_atoms += amount
    model.house.withdrawal_count += 1
    model.emit("WITHDRAWN", account=number, amount_atoms=amount, order_id=model.house.withdrawal_count)
    return number, 0


def insure(model: Model, command: Command) -> tuple[int, int]:
    """[LIQ-9]: a gift to the insurance fund, of money that could be withdrawn."""
    number, account = model.authenticate_free(command)
    amount = command["amount_atoms"]
    require(amount >= 1, "AMOUNT_NOT_POSITIVE")
    check_spendable(model, account, amount, account.cash_atoms)
    account.cash_atoms -= amount
    model.house.insurance_atoms += amount
    model.emit("FUND_PAID_IN", account=number, amount_atoms=amount)
    return number, 0


def check_spendable(model: Model, account: Account, amount: int, most: int) -> None:
    """The amount is there, and the account's margin does not need it ([CASH-2])."""
    require(amount <= most, "CASH_INSUFFICIENT")
    for underlying in range(len(model.underlyings)):
        if margin.gross_lots(model, account, underlying) > 0:
            require(not model.is_stale(underlying), "MARK_STALE")
    equity, unrealised, initial, _ = margin.summary(model, account)
    require(equity - max(0, unrealised) - amount >= initial, "INITIAL_MARGIN_INSUFFICIENT")


def add_instrument(model: Model, instrument: Instrument) -> None:
    """The next number, with an empty book."""
    model.instruments.append(instrument)
    model.books.append(([], []))
    model.emit("LISTED", instrument=len(model.instruments) - 1)


def list_instrument(model: Model, command: Command) -> tuple[int, int]:
    """[LIST-1]."""
    model.authenticate_operator(command)
    underlying, kind = command["underlying"], command["instrument_kind"]
    strike, expiry = command["strike_atoms"], command["expiry_ns"]
    require(0 <= underlying < len(model.underlyings), "UNDERLYING_NOT_FOUND")
    config = model.underlyings[underlying].config
    require(_terms_valid(model, kind, strike, expiry, config["index_atoms_max"]), "INSTRUMENT_INVALID")
    for other in model.instruments:
        same = (other.underlying, other.kind, other.strike_atoms, other.expiry_ns) == (
            underlying,
            kind,
            strike,
            expiry,
        )
        require(not same, "INSTRUMENT_EXISTS")
    require(len(model.instruments) < model.limits["instruments"], "INSTRUMENT_TABLE_FULL")
    series = -1 if kind == PERPETUAL else model.series_number(underlying, expiry)
    if kind != PERPETUAL and series < 0:
        require(len(model.series) < model.limits["series"], "INSTRUMENT_TABLE_FULL")
        series = len(model.series)
        model.series.append(Series(underlying, expiry))
    shape = "perpetual" if kind in LINEAR else "option"
    add_instrument(
        model,
        Instrument(
            underlying=underlying,
            kind=kind,
            strike_atoms=strike,
            expiry_ns=expiry,
            series=series,
            lots_per_unit=config[f"{shape}_lots_per_unit"],
            tick_atoms=config[f"{shape}_tick_atoms"],
        ),
    )
    return -1, 0


def _terms_valid(model: Model, kind: int, strike: int, expiry: int, strike_max: int) -> bool:
    """Kind, strike and expiry as [LIST-1] wants them."""
    if kind == PERPETUAL:
        return strike == 0 and expiry == 0
    if kind in (CALL, PUT):
        strike_fits = 1 <= strike <= strike_max
    else:
        strike_fits = kind == FUTURE and strike == 0
    latest = model.time_ns + LIMITS["EXPIRY_AHEAD_NS_MAX"]
    return strike_fits and model.time_ns < expiry <= latest and expiry % SCALES["NS_PER_S"] == 0


def set_tier(model: Model, command: Command) -> tuple[int, int]:
    """[TIER-1]."""
    model.authenticate_operator(command)
    target, tier = command["target"], command["tier"]
    require(0 <= target < len(model.accounts), "ACCOUNT_NOT_FOUND")
    require(0 <= tier < len(model.genesis["fee_tiers"]), "TIER_INVALID")
    model.accounts[target].tier = tier
    model.emit("TIER_SET", account=target, order_id=tier)
    return -1, 0


def seal(model: Model, command: Command) -> tuple[int, int]:
    """[SEAL-1]."""
    require(command["batch"] == model.house.batch + 1, "BATCH_OUT_OF_ORDER")
    model.house.batch = command["batch"]
    model.emit("SEALED", order_id=command["batch"])
    return -1, 0
