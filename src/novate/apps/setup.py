"""From a market plan to the figures of a venue's genesis: limits that fit the market, margin parameters,
ages.
"""

from novate.apps.market import MarketPlan
from novate.apps.venue import VenueSetup
from novate.protocol.generated.constants import NS_PER_S

CHAIN_ID = 31_337
# In seconds of the wall clock: how old an observation or an index may be when orders still add risk.
OBSERVATION_AGE_S = 10
INDEX_AGE_S = 20
MARGIN_PARAMETERS = {
    "futures_initial_e6": 20_000,
    "futures_maintenance_e6": 10_000,
    "short_initial_e6": 10_000,
    "short_maintenance_e6": 5_000,
    "basis_shift_e6": 3_000,
    "confidence_threshold_e6": 990_000,
    "confidence_rate_e6": 50_000,
    "option_band_e6": 100_000,
    "futures_band_e6": 30_000,
    "option_fee_cap_e6": 125_000,
    "insurance_share_e6": 200_000,
    "funding_cap_e9": 5_000_000,
    "funding_deadband_e9": 250_000,
    "warning_e6": 1_200_000,
    "liquidation_fee_e6": 5_000,
    "slice_tick_count": 5,
    "auction_tick_count": 10,
    "auction_step_e6": 50_000,
}
# By tier: everybody begins in the first; the operator signs who is in another.
FEE_TIERS = [
    {"option_taker_e6": 300, "option_maker_e6": 100, "futures_taker_e6": 300, "futures_maker_e6": 100},
    {"option_taker_e6": 250, "option_maker_e6": 50, "futures_taker_e6": 250, "futures_maker_e6": 0},
    {"option_taker_e6": 200, "option_maker_e6": 0, "futures_taker_e6": 200, "futures_maker_e6": -50},
]


def round_up(count: int, spare: int) -> int:
    """Return the first power of two that holds `count` and some spare."""
    return 1 << (count + spare - 1).bit_length()


def make_parameters(rate: int) -> dict[str, int]:
    """Return the genesis parameters of a venue whose time runs `rate` times as fast as the wall clock."""
    return {
        "observation_skew_ns": NS_PER_S * rate,
        "observation_age_ns_max": OBSERVATION_AGE_S * NS_PER_S * rate,
        "index_age_ns_max": INDEX_AGE_S * NS_PER_S * rate,
        **MARGIN_PARAMETERS,
    }


def make_setup(
    plan: MarketPlan, rate: int, accounts: int, finality_delay_s: int, batch_interval_s: float
) -> VenueSetup:
    """Return the setup of a venue that lists the plan and has room for `accounts` accounts."""
    limits = {
        "accounts": round_up(accounts, 0),
        "orders": round_up(64 * accounts, 0),
        "positions": round_up(128 * accounts, 0),
        "instruments": round_up(plan.instrument_count, 16),
        "series": round_up(plan.series_count, 8),
        "triggers": round_up(16 * accounts, 0),
    }
    return VenueSetup(
        underlyings=plan.list_genesis_rows(),
        limits=limits,
        parameters=make_parameters(rate),
        fee_tiers=FEE_TIERS,
        base_time_ns=plan.base_time_ns,
        rate=rate,
        chain_id=CHAIN_ID,
        finality_delay_s=finality_delay_s,
        batch_interval_s=batch_interval_s,
    )
