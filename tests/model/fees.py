"""[NOVATE-4]: what a fill costs either side per lot, and whose money the fees are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .records import LINEAR, Account, Instrument, mul_ratio_ceil_e6, mul_ratio_floor_e6

if TYPE_CHECKING:
    from .model import Model


def rate(model: Model, account: Account, instrument: Instrument, role: str) -> int:
    """The account's rate as `taker` or `maker` in the instrument's class; a rebate is negative."""
    shape = "futures" if instrument.kind in LINEAR else "option"
    return int(model.genesis["fee_tiers"][account.tier][f"{shape}_{role}_e6"])


def highest_per_lot(model: Model, instrument: Instrument) -> int:
    """T of [MARK-3]: the taker fee of tier 0 without cap."""
    shape = "futures" if instrument.kind in LINEAR else "option"
    rate_e6 = model.genesis["fee_tiers"][0][f"{shape}_taker_e6"]
    return mul_ratio_ceil_e6(instrument.notional_atoms, rate_e6)


def _capped_fee(model: Model, instrument: Instrument, rate_e6: int, value: int) -> int:
    fee = mul_ratio_ceil_e6(instrument.notional_atoms, rate_e6)
    if instrument.kind in LINEAR:
        return fee
    return min(fee, mul_ratio_ceil_e6(value, model.parameters["option_fee_cap_e6"]))


def per_lot(
    model: Model, taker_account: Account, maker_account: Account, instrument: Instrument, value: int
) -> tuple[int, int]:
    """Taker's and maker's fee for one lot at its value; the maker's is negative if it is a rebate."""
    taker_fee = _capped_fee(model, instrument, rate(model, taker_account, instrument, "taker"), value)
    maker_rate = rate(model, maker_account, instrument, "maker")
    if maker_rate < 0:
        return taker_fee, -min(mul_ratio_floor_e6(instrument.notional_atoms, -maker_rate), taker_fee)
    return taker_fee, _capped_fee(model, instrument, maker_rate, value)


def credit(model: Model, total: int) -> None:
    """Share both sides' fees of one fill between insurance and the house."""
    assert total >= 0
    insured = mul_ratio_floor_e6(total, model.parameters["insurance_share_e6"])
    model.house.insurance_atoms += insured
    model.house.fees_atoms += total - insured
