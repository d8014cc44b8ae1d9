"""Fees of a fill by the tiers of its two accounts, and where they go. Implements [NOVATE-4] and [TIER-1]."""

from typing import Any

from novate.execution.events import emit, emit_result
from novate.execution.market import verify_operator
from novate.execution.tables import NONE, World
from novate.kernel import kernel_inner
from novate.protocol.arithmetic import mul_ratio_floor_e6
from novate.protocol.combos import compute_limit_atoms
from novate.protocol.generated.codes import Code, EventKind, InstrumentKind
from novate.protocol.generated.constants import COMBO_LEG_COUNT_MAX
from novate.protocol.novation import compute_maker_fee_atoms, compute_taker_fee_atoms, is_linear

Record = Any


@kernel_inner
def compute_fees_at(
    w: World, number: int, taker_account: int, maker_account: int, value_atoms: int
) -> tuple[int, int]:
    """Return the taker's and the maker's fee for one lot of what is no combo, at a value of a lot; the
    maker's may be a rebate. [NOVATE-4]
    """
    instrument = w.instruments[number]
    kind, notional = instrument["kind"], instrument["notional_atoms"]
    taker = w.fee_tiers[w.accounts[taker_account]["tier"]]
    maker = w.fee_tiers[w.accounts[maker_account]["tier"]]
    taker_rate, maker_rate = taker["option_taker_e6"], maker["option_maker_e6"]
    if is_linear(kind):
        taker_rate, maker_rate = taker["futures_taker_e6"], maker["futures_maker_e6"]
    cap = w.parameters[0]["option_fee_cap_e6"]
    taker_fee = compute_taker_fee_atoms(kind, notional, value_atoms, taker_rate, cap)
    maker_fee = compute_maker_fee_atoms(kind, notional, value_atoms, maker_rate, cap, taker_fee)
    return taker_fee, maker_fee


@kernel_inner
def compute_leg_fees(w: World, number: int, taker_account: int, maker_account: int) -> tuple[int, int]:
    """Return the fees for one lot of a combo: those of its legs at their marks. [COMBO-6]"""
    taker_total, maker_total = 0, 0
    for k in range(COMBO_LEG_COUNT_MAX):
        leg, size = w.legs[number, k, 0], abs(w.legs[number, k, 1])
        if leg != NONE:
            mark = w.instruments[leg]["mark_atoms"]
            taker_fee, maker_fee = compute_fees_at(w, leg, taker_account, maker_account, mark)
            taker_total += size * taker_fee
            maker_total += size * maker_fee
    return taker_total, maker_total


@kernel_inner
def compute_fees(
    w: World, number: int, taker_account: int, maker_account: int, price_ticks: int
) -> tuple[int, int]:
    """Return the taker's and the maker's fee for one lot at a price; the maker's may be a rebate. [NOVATE-4]
    [COMBO-6]
    """
    instrument = w.instruments[number]
    if instrument["kind"] == InstrumentKind.COMBO:
        return compute_leg_fees(w, number, taker_account, maker_account)
    value_atoms = compute_limit_atoms(price_ticks, instrument["tick_offset"], instrument["tick_atoms"])
    return compute_fees_at(w, number, taker_account, maker_account, value_atoms)


@kernel_inner
def credit_fees(w: World, total_atoms: int) -> None:
    """Share a fill's fees, rebate deducted, between the insurance fund and the house. [NOVATE-4]"""
    assert total_atoms >= 0  # Invariant [NOVATE-4]: a rebate never exceeds what the taker pays.
    house = w.house[0]
    insurance = mul_ratio_floor_e6(total_atoms, w.parameters[0]["insurance_share_e6"])
    house["insurance_atoms"] += insurance
    house["fees_atoms"] += total_atoms - insurance


@kernel_inner
def verify_tier(w: World, command: Record) -> Code:
    """Return the code of a SET_TIER from the operator. [TIER-1]"""
    if command["target"] < 0 or command["target"] >= w.house[0]["account_count"]:
        return Code.ACCOUNT_NOT_FOUND
    if command["tier"] < 0 or command["tier"] >= w.fee_tiers.shape[0]:
        return Code.TIER_INVALID
    return Code.OK


@kernel_inner
def apply_set_tier(w: World, command: Record) -> None:
    """SET_TIER. [TIER-1]"""
    code = verify_operator(w, command)
    if code == Code.OK:
        code = verify_tier(w, command)
    emit_result(w, code, NONE, 0)
    if code != Code.OK:
        return
    account = w.accounts[command["target"]]
    account["tier"] = command["tier"]
    account["dirty"] = 1
    event = emit(w, EventKind.TIER_SET)
    event["account"] = command["target"]
    event["order_id"] = command["tier"]
