"""Who is who in a simulated venue, its genesis file, and its contracts, deployed once for all seeds."""

import functools
from typing import NamedTuple

from eth_account import Account
from eth_account.signers.local import LocalAccount
from web3 import Web3

from novate.execution.commitment import compute_genesis_root
from novate.execution.engine import Engine
from novate.protocol.generated.constants import NS_PER_DAY, NS_PER_S
from novate.protocol.genesis import FEE_NAMES, Genesis, encode_genesis, parse_genesis
from novate.protocol.signing import compute_subaccount_address
from novate.settlement.chain_rpc import EmbeddedProvider
from novate.settlement.client import SettlementClient, compute_create_address
from novate.settlement.deployment import deploy_contracts
from novate.settlement.embedded_chain import EmbeddedChain
from novate.settlement.manifest import Manifest

USDC = 1_000_000
START_NS = 20_500 * NS_PER_DAY
START_S = START_NS // NS_PER_S
CHAIN_ID = 31_337
FINALITY_DELAY_S = 2
SPOT_ATOMS = 80_000 * USDC
WALLET_ATOMS = 10**9 * USDC
STRIKES = (78_000 * USDC, 82_000 * USDC)
# The first series expires while the simulation runs, the second does not.
EXPIRIES_S = (9, 30 * 86_400)
TRADERS = 5
OPERATOR: LocalAccount = Account.from_key(b"\x01" * 32)
ORACLES: list[LocalAccount] = [Account.from_key(bytes([0xA0 + i]) * 32) for i in range(3)]
WALLETS: list[LocalAccount] = [Account.from_key(bytes([0x10 + i]) * 32) for i in range(TRADERS)]
# Session keys that each wallet may authorize. Nothing checks a signature here: they need no private half.
KEYS = [[bytes([0x40 + 4 * i + j]) * 20 for j in range(3)] for i in range(TRADERS)]
# Addresses that one wallet pays in for, until the venue has no room for another account.
STRANGERS = [bytes([0xE0 + i]) * 20 for i in range(8)]
GIVER = 4
# Legs as (instrument, ratio): one that expires with the first series, and two that stay.
COMBOS = (((1, 1), (3, -1)), ((3, 1), (4, -1)), ((0, 1), (4, -2)))
FEE_TIERS = ((300, 100, 500, 0), (250, 50, 300, -100))
PARAMETERS = {
    "observation_skew_ns": 4 * NS_PER_S,
    "observation_age_ns_max": 30 * NS_PER_S,
    "index_age_ns_max": 60 * NS_PER_S,
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
    "slice_tick_count": 3,
    "auction_tick_count": 4,
    "auction_step_e6": 50_000,
}
PERPETUAL_LOTS_PER_UNIT = 1_000
UNDERLYING = {
    "name": "BTC",
    "index_atoms_max": 10**12,
    "option_lots_per_unit": 100,
    "option_tick_atoms": 50_000,
    "perpetual_lots_per_unit": PERPETUAL_LOTS_PER_UNIT,
    "perpetual_tick_atoms": 2_500,
    "funding_impact_lots": 100,
    "slice_notional_atoms": 20_000 * USDC,
}
LIMITS = {"accounts": 10, "orders": 128, "positions": 96, "instruments": 8, "series": 4, "triggers": 16}


def get_address(wallet: LocalAccount) -> bytes:
    """The 20 bytes of a wallet's address."""
    return bytes.fromhex(wallet.address[2:])


# Two sub-accounts that each wallet may open, and who owns what.
SUBACCOUNTS = [[compute_subaccount_address(get_address(wallet), n) for n in (1, 2)] for wallet in WALLETS]
OWNERS = {
    address: get_address(wallet) for wallet, own in zip(WALLETS, SUBACCOUNTS, strict=True) for address in own
}


def find_payee(account: bytes) -> bytes:
    """The wallet that an account belongs to. [SUB-3]"""
    return OWNERS.get(account, account)


@functools.cache
def make_genesis() -> Genesis:
    """The genesis of every simulated venue: one underlying and tables so small that they fill up."""
    document = {
        "version": 1,
        "chain_id": CHAIN_ID,
        # The operator deploys the token, then Settlement, so its address is known before it exists.
        "settlement": compute_create_address(OPERATOR.address, 1).lower(),
        "operator": OPERATOR.address.lower(),
        "oracles": [oracle.address.lower() for oracle in ORACLES],
        "quorum": 2,
        "underlyings": [UNDERLYING],
        "limits": LIMITS,
        "fee_tiers": [dict(zip(FEE_NAMES, rates, strict=True)) for rates in FEE_TIERS],
        "parameters": PARAMETERS,
    }
    return parse_genesis(encode_genesis(document))


class Deployment(NamedTuple):
    """The contracts, and the transactions that made them, paid every wallet and let the vault take it."""

    manifest: Manifest
    transactions: tuple[bytes, ...]


@functools.cache
def deploy() -> Deployment:
    """Deploy the venue's contracts on a chain in memory and return what it took."""
    chain = EmbeddedChain(None, CHAIN_ID, lambda: START_S)
    web3 = Web3(EmbeddedProvider(chain))
    genesis = make_genesis()
    manifest = deploy_contracts(
        web3,
        OPERATOR,
        operator=OPERATOR.address,
        genesis_hash=genesis.hash,
        genesis_state_root=compute_genesis_root(Engine(genesis)),
        finality_delay_s=FINALITY_DELAY_S,
    )
    client = SettlementClient(web3, OPERATOR, manifest)
    for wallet in WALLETS:
        client.mint(wallet.address, WALLET_ATOMS)
        owner = SettlementClient(web3, wallet, manifest)
        sender = owner._require_sender()
        sender.call(manifest.token, "TestUSD", "approve", manifest.vault, WALLET_ATOMS)
    sent = tuple(mined.raw for block in chain.blocks for mined in block.transactions)
    return Deployment(manifest, sent)
