"""The genesis file of the arena and the people in it: three oracles of which two must agree, an operator, and
two underlyings, one of which is worth so little that rounding is all there is to it.
"""

import functools
import json

from novate.protocol.generated.constants import NS_PER_DAY, NS_PER_S
from novate.protocol.genesis import FEE_NAMES, Genesis, encode_genesis, parse_genesis

USDC = 1_000_000
SECOND_NS = NS_PER_S
START_NS = 20_500 * NS_PER_DAY
BTC, PENNY = range(2)
PENNY_LOTS_PER_UNIT = 1000
TAKER_E6, MAKER_E6, REBATE_E6 = 300, 100, 50
BAND_E6 = 80_000
DEADBAND_E9 = 250_000
SLICE_ATOMS = 2_000 * USDC
FREE_ORDERS = 64

PARAMETERS = {
    "observation_skew_ns": 2 * SECOND_NS,
    "observation_age_ns_max": 30 * SECOND_NS,
    "index_age_ns_max": 60 * SECOND_NS,
    "futures_initial_e6": 20_000,
    "futures_maintenance_e6": 10_000,
    "short_initial_e6": 30_000,
    "short_maintenance_e6": 15_000,
    "basis_shift_e6": 10_000,
    "confidence_threshold_e6": 950_000,
    "confidence_rate_e6": 50_000,
    "option_band_e6": 50_000,
    "futures_band_e6": BAND_E6,
    "option_fee_cap_e6": 125_000,
    "insurance_share_e6": 250_000,
    "funding_cap_e9": 5_000_000,
    "funding_deadband_e9": DEADBAND_E9,
    "warning_e6": 1_200_000,
    "liquidation_fee_e6": 5_000,
    "slice_tick_count": 5,
    "auction_tick_count": 10,
    "auction_step_e6": 50_000,
}
# Tier 1 is what the operator gives to market makers, and what some adversaries pretend to be.
FEE_TIERS = ((TAKER_E6, MAKER_E6, TAKER_E6, MAKER_E6), (200, -REBATE_E6, 200, -REBATE_E6))
UNDERLYING = {
    "option_lots_per_unit": 100,
    "option_tick_atoms": 50_000,
    "perpetual_lots_per_unit": 1000,
    "perpetual_tick_atoms": 2_500,
    "funding_impact_lots": 100,
    "slice_notional_atoms": SLICE_ATOMS,
}
UNDERLYINGS = (
    {"name": "BTC", "index_atoms_max": 1_000_000 * USDC} | UNDERLYING,
    {"name": "PENNY", "index_atoms_max": 1_000 * USDC}
    | UNDERLYING
    | {"perpetual_lots_per_unit": PENNY_LOTS_PER_UNIT, "perpetual_tick_atoms": 1},
)


def name_address(role: str) -> bytes:
    """The address of a role. The engine believes a command's signer, so nobody needs a key."""
    return role.encode().ljust(20, b".")


OPERATOR = name_address("operator")
ORACLES = tuple(name_address(f"oracle {number}") for number in range(3))


@functools.cache
def make_genesis(changes: tuple[tuple[str, int], ...] = (), orders: int = 256) -> Genesis:
    """The arena's genesis with some parameters changed, which may also be the quorum or a slice's size."""
    changed = dict(changes)
    slice_atoms = changed.pop("slice_notional_atoms", SLICE_ATOMS)
    sizes = {"accounts": 12, "positions": 64, "instruments": 4, "series": 2, "triggers": 16}
    document = {
        "version": 1,
        "chain_id": 31_337,
        "settlement": "0x" + "5e" * 20,
        "operator": "0x" + OPERATOR.hex(),
        "oracles": ["0x" + address.hex() for address in ORACLES],
        "quorum": changed.pop("quorum", 2),
        "underlyings": [row | {"slice_notional_atoms": slice_atoms} for row in UNDERLYINGS],
        "limits": sizes | {"orders": orders},
        "parameters": PARAMETERS | changed,
        "fee_tiers": [dict(zip(FEE_NAMES, rates, strict=True)) for rates in FEE_TIERS],
    }
    return parse_genesis(encode_genesis(json.loads(json.dumps(document))))
