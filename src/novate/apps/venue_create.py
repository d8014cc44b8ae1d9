"""Creation of a data directory: keys, the embedded chain, the genesis file and the contracts, in that order.

DIR/venue.json    settings, written last: a directory without it was not finished
DIR/keys/         operator and oracles, mode 0600
DIR/manifest.json contracts and chain
DIR/journal/      every command     DIR/snapshots/   the last two
DIR/published/    what verifiers read, the embedded chain's record included
"""

import time
from pathlib import Path
from typing import Any

from web3 import Web3

from novate.apps.venue_config import (
    CONFIG_NAME,
    OPERATOR_NAMES,
    VenueClock,
    VenueConfig,
    VenueError,
    VenueSetup,
)
from novate.execution.commitment import compute_genesis_root
from novate.execution.engine import Engine
from novate.protocol.generated.constants import SCHEMA_VERSION
from novate.protocol.genesis import encode_genesis, parse_genesis
from novate.settlement.chain_rpc import EmbeddedProvider
from novate.settlement.client import compute_create_address
from novate.settlement.deployment import deploy_contracts
from novate.settlement.embedded_chain import EmbeddedChain
from novate.settlement.files import replace_file
from novate.settlement.keys import create_key

# The token is the deployer's first contract, the settlement contract its second.
SETTLEMENT_NONCE = 1
OPERATOR_WEI = 10**24


def make_document(setup: VenueSetup, operator: str, oracles: list[str], settlement: str) -> dict[str, Any]:
    """Return the genesis document of a set-up. [GENESIS-1]"""
    return {
        "version": SCHEMA_VERSION,
        "chain_id": setup.chain_id,
        "settlement": settlement.lower(),
        "operator": operator.lower(),
        "oracles": [oracle.lower() for oracle in oracles],
        "quorum": setup.quorum,
        "underlyings": setup.underlyings,
        "limits": setup.limits,
        "parameters": setup.parameters,
        "fee_tiers": setup.fee_tiers,
    }


def create_directory(folder: Path, setup: VenueSetup) -> None:
    """Create a venue on an embedded chain of its own.

    Errors     VenueError if the directory holds more than the operator's own files; GenesisError if the
               set-up breaks the law.
    """
    if folder.exists() and any(path.name not in OPERATOR_NAMES for path in folder.iterdir()):
        unfinished = (
            "" if (folder / CONFIG_NAME).exists() else " (a creation that was not finished; remove it)"
        )
        raise VenueError(f"{folder} is not empty{unfinished}")
    (folder / "keys").mkdir(parents=True, mode=0o700)
    (folder / "published").mkdir()
    now_ns = time.time_ns()
    config = VenueConfig(
        setup.base_time_ns or now_ns,
        now_ns,
        setup.rate,
        setup.chain_id,
        setup.batch_interval_s,
        setup.oracle_count,
    )
    operator = create_key(folder / "keys" / "operator.key")
    oracles = [create_key(folder / "keys" / f"oracle-{i}.key") for i in range(setup.oracle_count)]
    settlement = compute_create_address(operator.address, SETTLEMENT_NONCE)
    document = make_document(setup, operator.address, [oracle.address for oracle in oracles], settlement)
    genesis = parse_genesis(encode_genesis(document))
    chain = EmbeddedChain(
        folder / "published" / "chain.log",
        setup.chain_id,
        VenueClock(config).time_s,
        {bytes.fromhex(operator.address[2:]): OPERATOR_WEI},
    )
    try:
        manifest = deploy_contracts(
            Web3(EmbeddedProvider(chain)),
            operator,
            operator=operator.address,
            genesis_hash=genesis.hash,
            genesis_state_root=compute_genesis_root(Engine(genesis)),
            finality_delay_s=setup.finality_delay_s,
        )
    finally:
        chain.close()
    if manifest.settlement != settlement:
        raise VenueError(f"the settlement contract should be at {settlement}, found {manifest.settlement}")
    replace_file(folder / "published" / "genesis.json", genesis.raw)
    manifest.write(folder / "manifest.json")
    config.write(folder)
