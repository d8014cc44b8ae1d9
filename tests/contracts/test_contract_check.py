"""`novate deploy` and `novate contracts check`: what is deployed compiles, or the difference is named."""

from pathlib import Path

import pytest
from msgspec.structs import replace
from rich.console import Console
from typer.testing import CliRunner
from web3 import Web3

from novate.apps import contracts as program
from novate.apps.cli import app
from novate.apps.contracts import DeployError, DeployTarget, run_check, run_deploy
from novate.protocol.genesis import parse_genesis
from novate.settlement.chain_rpc import EmbeddedProvider
from novate.settlement.contract_check import check_contracts
from novate.settlement.deployment import DeploymentOptions
from novate.settlement.manifest import ManifestError, read_manifest
from tests.contracts.signers import make_signers
from tests.contracts.test_embedded_chain import OPERATOR, Clock, open_chain

EVERYTHING = DeploymentOptions(
    bond_min=5,
    validators=tuple(signer.address for signer in make_signers(4)),
    quorum=3,
    governor=OPERATOR.address,
    guardian=OPERATOR.address,
    day_limits=(10**12,),
    forced_deadline_s=7 * 86_400,
)
RPC = "http://127.0.0.1:1"


@pytest.fixture
def node(monkeypatch: pytest.MonkeyPatch) -> Web3:
    """A chain of our own behind the address RPC."""
    web3 = Web3(EmbeddedProvider(open_chain(None, Clock())))
    monkeypatch.setattr(program, "connect", lambda rpc: web3)
    return web3


@pytest.fixture
def target(tmp_path: Path) -> DeployTarget:
    """A new directory, and the deployer's key file."""
    key = tmp_path / "deployer.key"
    key.write_text(OPERATOR.key.hex())
    key.chmod(0o600)
    return DeployTarget(RPC, key, tmp_path / "venue", accounts=64)


def test_a_whole_deployment_checks(node: Web3, target: DeployTarget) -> None:
    """Every contract that can be deployed compiles to what is on chain, and the genesis names its address."""
    manifest = run_deploy(target, EVERYTHING, Console(quiet=True))
    assert manifest == read_manifest(target.folder / "manifest.json")
    names = {"Settlement", "Inbox", "Vault", "DepositBox", "DepositBoxes", "Bond", "Validators", "Escape"}
    assert names <= set(manifest.contracts)
    assert [] == [state for state in check_contracts(node, manifest) if state.fault]
    genesis = parse_genesis((target.folder / "published" / "genesis.json").read_bytes())
    assert manifest.settlement.lower() == "0x" + genesis.settlement.hex()
    assert manifest.genesis_hash == "0x" + genesis.hash.hex()
    assert 0 == run_check(target.folder, RPC, Console(quiet=True))
    with pytest.raises(DeployError, match="not empty"):
        run_deploy(target, EVERYTHING, Console(quiet=True))


def test_differences_are_named(node: Web3, target: DeployTarget, capsys: pytest.CaptureFixture[str]) -> None:
    """Another level, other code, another neighbour, a forged argument and no code at all: each is named."""
    manifest = run_deploy(target, EVERYTHING, Console(quiet=True))
    vault, inbox = manifest.contracts["Vault"], manifest.contracts["Inbox"]
    stranger = make_signers(1)[0].address
    changes = {
        "first at byte": replace(manifest, level="none"),
        "the manifest says": replace(
            manifest, contracts={**manifest.contracts, "Vault": replace(vault, code_hash=inbox.code_hash)}
        ),
        "there is no code": replace(
            manifest,
            contracts={
                **manifest.contracts,
                "Vault": replace(vault, address=Web3.to_checksum_address(stranger)),
            },
        ),
        "differs from what its source": replace(
            manifest,
            contracts={
                **manifest.contracts,
                "Inbox": replace(inbox, arguments={**inbox.arguments, "keys_": stranger}),
            },
        ),
        "its operator is": replace(manifest, operator=Web3.to_checksum_address(stranger)),
        "its vault is": replace(
            manifest, contracts={**manifest.contracts, "Vault": replace(inbox, arguments=vault.arguments)}
        ),
        "cannot be constructed": replace(
            manifest, contracts={**manifest.contracts, "Inbox": replace(inbox, arguments={})}
        ),
    }
    for words, changed in changes.items():
        faults = [state.fault for state in check_contracts(node, changed)]
        assert any(words in fault for fault in faults), (words, faults)
    changes["first at byte"].write(target.folder / "manifest.json")
    assert 1 == run_check(target.folder, RPC, Console())
    assert "not ok" in capsys.readouterr().out
    with pytest.raises(ManifestError, match="serves chain"):
        check_contracts(node, replace(manifest, chain_id=1))
    (target.folder / "manifest.json").write_text("{}")
    with pytest.raises(DeployError, match="not a manifest"):
        run_check(target.folder, RPC, Console(quiet=True))


def test_a_node_that_is_not_there(tmp_path: Path) -> None:
    """Nothing at the address is an error with its name, not a traceback."""
    with pytest.raises(DeployError, match="does not answer"):
        run_check(tmp_path, RPC, Console(quiet=True))


def test_the_commands(node: Web3, target: DeployTarget) -> None:
    """A deployment by options checks by the other command, and a venue that cannot be deployed is refused."""
    members = [signer.address for signer in make_signers(3)]
    options = [word for member in members for word in ("--validator", member)]
    place = ["--rpc", RPC, "--key", str(target.key), "--data", str(target.folder)]
    deployed = CliRunner().invoke(app, ["deploy", *place, *options, "--bond", "5", "--forced-deadline", "14"])
    assert 0 == deployed.exit_code, deployed.output
    manifest = read_manifest(target.folder / "manifest.json")
    assert "3" == manifest.contracts["Validators"].arguments["quorum_"]
    checked = CliRunner().invoke(app, ["contracts", "check", str(target.folder), "--rpc", RPC])
    assert (0, True) == (checked.exit_code, "ok all" in checked.output)
    again = CliRunner().invoke(app, ["deploy", *place])
    assert (2, True) == (again.exit_code, "is not empty" in again.output)
    wrong = CliRunner().invoke(app, ["deploy", *place, "--guardian", "0x12"])
    assert 2 == wrong.exit_code
