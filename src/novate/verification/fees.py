"""Fees as the replayer reads them: tiers, the cap on options, maker rebates, insurance [NOVATE-4]."""

from novate.verification.risk import mul_ratio_ceil, mul_ratio_floor
from novate.verification.state import Account, Instrument, State


def find_rates(state: State, tier: int, instrument: Instrument) -> tuple[int, int]:
    """Return the (taker, maker) rates of a tier in an instrument's class; the second may be negative."""
    rates, name = state.genesis.fee_tiers[tier], "futures" if instrument.is_linear else "option"
    return rates[f"{name}_taker_e6"], rates[f"{name}_maker_e6"]


def compute_fees(
    state: State, taker: Account, maker: Account, instrument: Instrument, limit_atoms: int
) -> tuple[int, int]:
    """Return what taker and maker pay per lot at a limit value, in atoms; the second is negative for a
    rebate. A lot of a combo pays for all its legs, at their marks [NOVATE-4] [COMBO-6].

    Rounding   fees up, a rebate down; a rebate is never more than the taker pays in the same fill.
    """
    if instrument.is_combo:
        parts = [
            (abs(ratio), compute_fees(state, taker, maker, leg, leg.mark_atoms))
            for leg, ratio in instrument.parts
        ]
        return sum(lots * fees[0] for lots, fees in parts), sum(lots * fees[1] for lots, fees in parts)
    cap_atoms: int | None = None
    if not instrument.is_linear:
        cap_atoms = mul_ratio_ceil(limit_atoms, state.parameters["option_fee_cap_e6"])

    def charge(rate_e6: int) -> int:
        fee = mul_ratio_ceil(instrument.notional_atoms, rate_e6)
        return fee if cap_atoms is None else min(fee, cap_atoms)

    taker_rate, _ = find_rates(state, taker.tier, instrument)
    _, maker_rate = find_rates(state, maker.tier, instrument)
    taker_fee = charge(taker_rate)
    if maker_rate >= 0:
        return taker_fee, charge(maker_rate)
    return taker_fee, -min(mul_ratio_floor(instrument.notional_atoms, -maker_rate), taker_fee)


def credit(state: State, total_atoms: int) -> None:
    """Share what both sides of one fill paid between insurance, rounded down, and the house [NOVATE-4]."""
    insured = mul_ratio_floor(total_atoms, state.parameters["insurance_share_e6"])
    state.insurance_atoms += insured
    state.fees_atoms += total_atoms - insured


def charge_fill(
    state: State,
    taker: Account,
    maker: Account,
    instrument: Instrument,
    limit_atoms: int,
    lots: int,
    has_rebate: bool = True,
) -> None:
    """Take both sides' fees for one fill at a limit value [NOVATE-4]; a block has no rebate [BLOCK-2]."""
    taker_fee, maker_fee = compute_fees(state, taker, maker, instrument, limit_atoms)
    maker_fee = maker_fee if has_rebate else max(0, maker_fee)
    state.pay(taker, -lots * taker_fee)
    state.pay(maker, -lots * maker_fee)
    credit(state, lots * (taker_fee + maker_fee))
