"""Deployment of the contracts, and the manifest that says what was deployed.

The contracts name each other for ever, so each one's address is computed from the deployer's nonce before any
exists. Decision 0005 says why.
"""

from collections.abc import Mapping
from typing import Any

import msgspec
from eth_account.signers.local import LocalAccount
from eth_utils.address import to_canonical_address, to_checksum_address
from web3 import Web3

from novate.settlement.client import Sender, SettlementError, compute_create_address
from novate.settlement.compiler import DEFAULT_LEVEL, compile_contract
from novate.settlement.manifest import DeployedContract, Manifest, hash_code

ZERO = "0x" + "00" * 20
DAY_S = 86_400


class DeploymentOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What a deployment may have beyond its core; the zero address leaves a part out.

    Amounts are in the token's smallest units, times in seconds. `day_limits` holds one number per token, 0
    for no limit; `tokens` are those beside cash. Without a forced deadline there is no exit, without `keys`
    no session key is authorised on chain.
    """

    token: str | None = None
    tokens: tuple[str, ...] = ()
    day_limits: tuple[int, ...] = (0,)
    guardian: str = ZERO
    governor: str = ZERO
    verifier: str = ZERO
    insurance: str | None = None
    bond_min: int = 0
    bond_return_delay_s: int = 14 * DAY_S
    validators: tuple[str, ...] = ()
    quorum: int = 0
    stake_min: int = 1
    epoch_length_s: int = DAY_S
    unbonding_delay_s: int = 31 * DAY_S
    exit_window_s: int = 21 * DAY_S
    upgrade_delay_s: int = 30 * DAY_S
    forced_deadline_s: int = 0
    stall_deadline_s: int = 14 * DAY_S
    claim_window_s: int = 14 * DAY_S
    keys: bool = False
    level: str = DEFAULT_LEVEL


class Venue(msgspec.Struct, frozen=True):
    """Whose contracts they are: the operator, and the genesis that they are bound to."""

    operator: str
    genesis_hash: bytes
    genesis_state_root: bytes
    finality_delay_s: int


def list_contracts(options: DeploymentOptions) -> list[str]:
    """Return the names of the contracts in the order of their creation; Settlement is always the first."""
    names = ["Settlement", "Inbox", "Vault", "DepositBox", "DepositBoxes"]
    if options.bond_min:
        names.append("Bond")
    if options.validators:
        names.append("Validators")
    if options.forced_deadline_s:
        names += ["Poseidon2", "Books", "Escape"]
    if options.keys:
        names += ["Owners", "Keys"]
    return names


def make_arguments(
    venue: Venue, options: DeploymentOptions, token: str, places: Mapping[str, str]
) -> dict[str, tuple[Any, ...]]:
    """Return what the constructor of each contract is given; `places` are their addresses by name."""

    def find(name: str) -> str:
        return places.get(name, ZERO)

    insurance = options.insurance or places["Vault"]
    parties = (
        venue.operator,
        places["Vault"],
        places["Inbox"],
        find("Escape"),
        find("Bond"),
        options.governor,
        find("Validators"),
        options.verifier,
    )
    delays = (venue.finality_delay_s, options.upgrade_delay_s, options.exit_window_s)
    members = [to_checksum_address(each) for each in sorted(options.validators, key=to_canonical_address)]
    staking = (
        members,
        options.quorum,
        options.stake_min,
        options.epoch_length_s,
        options.unbonding_delay_s,
        0,
    )
    writers = (places["Settlement"], places["Inbox"], find("Escape"), options.guardian)
    waits = (options.forced_deadline_s, options.stall_deadline_s, options.claim_window_s)
    served = (places["Settlement"], places["Vault"], places["Inbox"], find("Books"))
    return {
        "Poseidon2": (),
        "Books": (find("Escape"), places["Settlement"], find("Poseidon2")),
        "Escape": (*served, *waits),
        "Owners": (),
        "Keys": (places["Inbox"], find("Owners"), places["Settlement"]),
        "Settlement": (parties, venue.genesis_hash, venue.genesis_state_root, *delays),
        "Inbox": (places["Vault"], find("Escape"), find("Keys")),
        "Vault": ([token, *options.tokens], list(options.day_limits), *writers),
        "DepositBox": (places["DepositBoxes"],),
        "DepositBoxes": (places["Vault"], places["DepositBox"]),
        "Bond": (token, places["Settlement"], insurance, options.bond_min, options.bond_return_delay_s),
        "Validators": (token, places["Settlement"], insurance, *staking),
    }


def name_arguments(name: str, level: str, arguments: tuple[Any, ...]) -> dict[str, Any]:
    """Return a constructor's arguments by name, as JSON can hold them."""
    abi = compile_contract(name, level).abi
    found = [item["inputs"] for item in abi if item["type"] == "constructor"]
    inputs = found[0] if found else []
    return {item["name"]: to_json(value) for item, value in zip(inputs, arguments, strict=True)}


def to_json(value: Any) -> Any:
    """Return an argument as JSON holds it: integers as decimal strings, bytes as hex."""
    if isinstance(value, bytes):
        return "0x" + value.hex()
    if isinstance(value, list | tuple):
        return [to_json(each) for each in value]
    return str(value)


def deploy_contracts(
    web3: Web3,
    deployer: LocalAccount,
    *,
    operator: str,
    genesis_hash: bytes,
    genesis_state_root: bytes,
    finality_delay_s: int,
    options: DeploymentOptions | None = None,
) -> Manifest:
    """Deploy the contracts, and a TestUSD if no token is named; return the manifest.

    Errors     SettlementError if the chain ends up with anything else than intended.
    """
    options = options or DeploymentOptions()
    sender = Sender(web3, deployer)
    token = options.token or str(sender.deploy("TestUSD", level=options.level)["contractAddress"])
    token = to_checksum_address(token)
    venue = Venue(to_checksum_address(operator), genesis_hash, genesis_state_root, finality_delay_s)
    nonce = web3.eth.get_transaction_count(to_checksum_address(deployer.address), "pending")
    names = list_contracts(options)
    places = {name: compute_create_address(deployer.address, nonce + i) for i, name in enumerate(names)}
    arguments = make_arguments(venue, options, token, places)
    blocks = []
    for name in names:
        receipt = sender.deploy(name, *arguments[name], level=options.level)
        if receipt["contractAddress"] != places[name]:
            raise SettlementError("the deployer sent another transaction in between; deploy again")
        blocks.append(receipt["blockNumber"])
    return Manifest(
        chain_id=sender.chain_id,
        level=options.level,
        token=token,
        operator=venue.operator,
        genesis_hash="0x" + genesis_hash.hex(),
        genesis_state_root="0x" + genesis_state_root.hex(),
        finality_delay_s=finality_delay_s,
        block_number=blocks[0],
        contracts={
            name: DeployedContract(
                places[name],
                hash_code(web3.eth.get_code(to_checksum_address(places[name]))),
                name_arguments(name, options.level, arguments[name]),
            )
            for name in names
        },
    )


def discover_manifest(
    web3: Web3, settlement: str, genesis_hash: bytes, genesis_state_root: bytes
) -> Manifest:
    """Return what a settlement contract says of itself, for whoever knows its address from the genesis file.

    Errors     SettlementError if there is no contract, or it was deployed for another genesis file.
    """
    address = to_checksum_address(settlement)
    contract = web3.eth.contract(address=address, abi=compile_contract("Settlement").abi)
    if not web3.eth.get_code(address):
        raise SettlementError(f"this chain holds no contract at {address}")
    if bytes(contract.functions.genesisHash().call()) != genesis_hash:
        raise SettlementError(f"the contract at {address} was deployed for another genesis file")
    places = {
        "Settlement": address,
        "Inbox": to_checksum_address(contract.functions.inbox().call()),
        "Vault": to_checksum_address(contract.functions.vault().call()),
    }
    vault = web3.eth.contract(address=to_checksum_address(places["Vault"]), abi=compile_contract("Vault").abi)
    return Manifest(
        chain_id=web3.eth.chain_id,
        level=DEFAULT_LEVEL,
        token=to_checksum_address(vault.functions.token(0).call()),
        operator=to_checksum_address(contract.functions.operator().call()),
        genesis_hash="0x" + genesis_hash.hex(),
        genesis_state_root="0x" + genesis_state_root.hex(),
        finality_delay_s=int(contract.functions.finalityDelay().call()),
        block_number=0,
        contracts={
            name: DeployedContract(place, hash_code(web3.eth.get_code(to_checksum_address(place))))
            for name, place in places.items()
        },
    )
