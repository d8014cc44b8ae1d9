"""Who is who in the verifier's small venue, and its genesis file."""

from functools import cache

from coincurve import PrivateKey

from novate.protocol.genesis import FEE_NAMES, UNDERLYING_NAMES, Genesis, encode_genesis, parse_genesis
from novate.protocol.signing import compute_address
from novate.settlement.client import compute_create_address

SECOND = 1_000_000_000
START_S = 1_774_512_000
ONE = 1 << 48
BTC, ETH = 0, 1
SPOT_ATOMS = (80_000_000_000, 2_500_000_000)
CHAIN_ID = 31337
OPERATOR_SECRET = b"\x01" * 32
OPERATOR = PrivateKey(OPERATOR_SECRET)
STRANGER = PrivateKey(b"\x99" * 32)
ORACLES = [PrivateKey(bytes([0xA0 + number]) * 32) for number in range(3)]
TRADERS = [PrivateKey(bytes([0x10 + number]) * 32) for number in range(4)]
DEPOSIT_ATOMS = 10**12
FEE_TIERS = ((300, 100, 500, 0), (250, 50, 300, -100))


@cache
def make_genesis(oracle_secret: bytes = b"") -> Genesis:
    """The venue's genesis; a secret given replaces the last oracle."""
    rows = (
        ("BTC", 10**12, 100, 50_000, 1000, 2_500, 100, 10**9),
        ("ETH", 150 * 10**9, 10, 20_000, 100, 1_000, 100, 10**9),
    )
    operator = compute_address(OPERATOR.public_key)
    oracles = [compute_address(key.public_key) for key in ORACLES]
    if oracle_secret:
        oracles[-1] = compute_address(PrivateKey(oracle_secret).public_key)
    document = {
        "version": 1,
        "chain_id": CHAIN_ID,
        # The operator deploys the token, then Settlement, so its address is known before it exists.
        "settlement": compute_create_address("0x" + operator.hex(), 1).lower(),
        "operator": "0x" + operator.hex(),
        "oracles": ["0x" + oracle.hex() for oracle in oracles],
        "quorum": 2,
        "underlyings": [dict(zip(("name", *UNDERLYING_NAMES), row, strict=True)) for row in rows],
        "limits": {
            "accounts": 16,
            "orders": 64,
            "positions": 64,
            "instruments": 32,
            "series": 8,
            "triggers": 16,
        },
        "fee_tiers": [dict(zip(FEE_NAMES, rates, strict=True)) for rates in FEE_TIERS],
        "parameters": {
            "observation_skew_ns": 2 * SECOND,
            "observation_age_ns_max": 3600 * SECOND,
            "index_age_ns_max": 3600 * SECOND,
            "futures_initial_e6": 20_000,
            "futures_maintenance_e6": 10_000,
            "short_initial_e6": 30_000,
            "short_maintenance_e6": 15_000,
            "basis_shift_e6": 10_000,
            "confidence_threshold_e6": 950_000,
            "confidence_rate_e6": 50_000,
            "option_band_e6": 10**9,
            "futures_band_e6": 10**9,
            "option_fee_cap_e6": 125_000,
            "insurance_share_e6": 200_000,
            "funding_cap_e9": 5_000_000,
            "funding_deadband_e9": 50_000,
            "warning_e6": 1_200_000,
            "liquidation_fee_e6": 5_000,
            "slice_tick_count": 5,
            "auction_tick_count": 10,
            "auction_step_e6": 50_000,
        },
    }
    return parse_genesis(encode_genesis(document))
