"""`novate deploy` and `novate contracts check`: a venue's contracts on any node, and whether they are what
their sources say.

DIR after a deployment: keys/ (operator and oracles, mode 0600), published/genesis.json, manifest.json.
"""

import time
from dataclasses import dataclass
from pathlib import Path

from eth_account.signers.local import LocalAccount
from msgspec.structs import replace
from requests.exceptions import RequestException
from rich.console import Console
from rich.table import Table
from web3 import HTTPProvider, Web3
from web3.exceptions import Web3Exception

from novate.apps.market import plan_builtin
from novate.apps.setup import make_setup
from novate.apps.venue_config import VenueSetup
from novate.apps.venue_create import make_document
from novate.execution.commitment import compute_genesis_root
from novate.execution.engine import Engine
from novate.protocol.generated.constants import NS_PER_S
from novate.protocol.genesis import encode_genesis, parse_genesis
from novate.settlement.client import compute_create_address
from novate.settlement.contract_check import check_contracts
from novate.settlement.deployment import DeploymentOptions, deploy_contracts
from novate.settlement.files import replace_file
from novate.settlement.keys import create_key, load_key
from novate.settlement.manifest import Manifest, ManifestError, read_manifest

RPC_TIMEOUT_S = 60.0
MANIFEST_NAME = "manifest.json"


class DeployError(RuntimeError):
    """A deployment or a check that could not be done; the message says why."""


@dataclass(frozen=True)
class DeployTarget:
    """Where to deploy, with whose money, and into which new directory the result goes."""

    rpc: str
    key: Path
    folder: Path
    accounts: int = 1_024
    finality_delay_s: int = 3_600


def connect(rpc: str) -> Web3:
    """Return a connection to a node; DeployError if it does not answer."""
    web3 = Web3(HTTPProvider(rpc, request_kwargs={"timeout": RPC_TIMEOUT_S}))
    if not web3.is_connected():
        raise DeployError(f"the node at {rpc} does not answer")
    return web3


def make_venue_setup(target: DeployTarget, chain_id: int) -> VenueSetup:
    """Return the built-in market's figures for a venue on this chain."""
    plan = plan_builtin(time.time_ns() // NS_PER_S * NS_PER_S)
    setup = make_setup(plan, 1, target.accounts, target.finality_delay_s, 2.0)
    return replace(setup, chain_id=chain_id)


def create_venue_files(
    target: DeployTarget, web3: Web3, deployer: LocalAccount, options: DeploymentOptions
) -> tuple[str, bytes, bytes]:
    """Write keys and genesis file into the new directory; return (operator, genesis hash, genesis root)."""
    setup = make_venue_setup(target, web3.eth.chain_id)
    (target.folder / "keys").mkdir(parents=True, mode=0o700)
    (target.folder / "published").mkdir()
    operator = create_key(target.folder / "keys" / "operator.key").address
    oracles = [
        str(create_key(target.folder / "keys" / f"oracle-{i}.key").address) for i in range(setup.oracle_count)
    ]
    # A test token comes first where none is named; the settlement contract is next.
    nonce = web3.eth.get_transaction_count(deployer.address, "pending") + (options.token is None)
    settlement = compute_create_address(deployer.address, nonce)
    genesis = parse_genesis(encode_genesis(make_document(setup, operator, oracles, settlement)))
    replace_file(target.folder / "published" / "genesis.json", genesis.raw)
    return operator, genesis.hash, compute_genesis_root(Engine(genesis))


def run_deploy(target: DeployTarget, options: DeploymentOptions, console: Console) -> Manifest:
    """Deploy a venue's contracts and write its directory.

    Errors     DeployError, KeyFileError, SettlementError, GenesisError.
    """
    deployer = load_key(target.key)
    if target.folder.exists() and any(target.folder.iterdir()):
        raise DeployError(f"{target.folder} is not empty")
    web3 = connect(target.rpc)
    try:
        operator, genesis_hash, root = create_venue_files(target, web3, deployer, options)
        manifest = deploy_contracts(
            web3,
            deployer,
            operator=operator,
            genesis_hash=genesis_hash,
            genesis_state_root=root,
            finality_delay_s=target.finality_delay_s,
            options=options,
        )
    except (Web3Exception, RequestException, OSError, ValueError) as error:
        raise DeployError(f"the deployment did not finish: {error}") from error
    manifest.write(target.folder / MANIFEST_NAME)
    show_manifest(manifest, console)
    return manifest


def show_manifest(manifest: Manifest, console: Console) -> None:
    """Print where everything is."""
    table = Table("contract", "address", "code hash", box=None)
    for name, contract in manifest.contracts.items():
        table.add_row(name, contract.address, contract.code_hash)
    console.print(table)
    console.print(f"chain {manifest.chain_id}, token {manifest.token}, operator {manifest.operator}")


def run_check(target: Path, rpc: str, console: Console) -> int:
    """Compare contracts on chain with their sources, print how each stands, and return the exit status.

    Errors     DeployError if the manifest cannot be read or the node does not answer.
    """
    path = target / MANIFEST_NAME if target.is_dir() else target
    try:
        states = check_contracts(connect(rpc), read_manifest(path))
    except (ManifestError, Web3Exception, RequestException) as error:
        raise DeployError(str(error)) from error
    for state in states:
        verdict = f"[red]failed[/] {state.fault}" if state.fault else "[green]ok[/]"
        console.print(f"{state.name:<14}{state.address}  {verdict}", soft_wrap=True)
    faults = sum(bool(state.fault) for state in states)
    if faults:
        console.print(f"[red]not ok[/] {faults} of {len(states)} contracts are not what their source says")
        return 1
    console.print(f"[green]ok[/] all {len(states)} contracts are what their source compiles to")
    return 0
