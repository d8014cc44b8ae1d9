"""Compare the contracts on a chain with their sources: compile again, construct again, and look at the code.

The node is asked to run each constructor with the manifest's arguments and to return the code that results,
immutable values included; every byte of it must be on the chain.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

from eth_utils.address import to_checksum_address
from web3 import Web3
from web3.exceptions import Web3Exception

from novate.settlement.compiler import ContractError, compile_contract
from novate.settlement.manifest import DeployedContract, Manifest, ManifestError, hash_code

ZERO = "0x" + "00" * 20
# Constructor arguments that name another contract of the set, or nothing.
NEIGHBOURS = {
    "settlement_": "Settlement",
    "vault_": "Vault",
    "inbox_": "Inbox",
    "escape_": "Escape",
    "keys_": "Keys",
    "box_": "DepositBox",
    "boxes_": "DepositBoxes",
    "books_": "Books",
    "hasher_": "Poseidon2",
}
PARTIES = ("operator", "Vault", "Inbox", "Escape", "Bond", "governor", "Validators", "verifier")


class ContractState(NamedTuple):
    """What was found of one contract; `fault` is empty if everything agrees."""

    name: str
    address: str
    fault: str


def from_json(kind: Mapping[str, Any], value: Any) -> Any:
    """Return an argument as web3 takes it; the reverse of what the manifest holds."""
    name = str(kind["type"])
    if name.endswith("]"):
        inner = {**kind, "type": name[: name.rindex("[")]}
        return [from_json(inner, each) for each in value]
    if name == "tuple":
        return tuple(from_json(each, item) for each, item in zip(kind["components"], value, strict=True))
    if name.startswith("uint"):
        return int(value)
    if name == "address":
        return to_checksum_address(value)
    return bytes.fromhex(str(value).removeprefix("0x"))


def find_wrong_neighbour(name: str, manifest: Manifest) -> str:
    """Return which argument of a contract names another address than the manifest does, or nothing."""
    places = {each: contract.address for each, contract in manifest.contracts.items()}
    arguments = manifest.contracts[name].arguments
    for argument, neighbour in NEIGHBOURS.items():
        if argument in arguments and arguments[argument] != places.get(neighbour, ZERO):
            return f"its {argument.rstrip('_')} is {arguments[argument]}, not the manifest's {neighbour}"
    for party, address in zip(PARTIES, arguments.get("parties", ()), strict=False):
        if party[0].isupper() and address != places.get(party, ZERO):
            return f"its {party} is {address}, not the manifest's"
    if name == "Settlement" and arguments["parties"][0] != manifest.operator:
        return f"its operator is {arguments['parties'][0]}, not the manifest's"
    return ""


def construct_again(web3: Web3, name: str, contract: DeployedContract, level: str) -> bytes:
    """Return the code that the constructor would leave on this chain now."""
    compiled = compile_contract(name, level)
    inputs: list[dict[str, Any]] = next(
        (item["inputs"] for item in compiled.abi if item["type"] == "constructor"), []
    )
    arguments = [from_json(kind, contract.arguments[kind["name"]]) for kind in inputs]
    factory = web3.eth.contract(abi=compiled.abi, bytecode=compiled.creation_code)
    return bytes(web3.eth.call({"data": factory.constructor(*arguments).data_in_transaction}))


def check_contract(web3: Web3, name: str, manifest: Manifest) -> str:
    """Return what is wrong with one contract, or nothing."""
    contract = manifest.contracts[name]
    code = bytes(web3.eth.get_code(to_checksum_address(contract.address)))
    if not code:
        return "there is no code at its address"
    if hash_code(code) != contract.code_hash:
        return f"its code hashes to {hash_code(code)}, the manifest says {contract.code_hash}"
    try:
        expected = construct_again(web3, name, contract, manifest.level)
    except (KeyError, TypeError, ValueError, ContractError, Web3Exception) as error:
        return f"it cannot be constructed again: {error}"
    if code != expected:
        place = next(
            (i for i, pair in enumerate(zip(code, expected, strict=False)) if pair[0] != pair[1]), -1
        )
        return f"its code differs from what its source compiles to, first at byte {place}"
    return find_wrong_neighbour(name, manifest)


def check_contracts(web3: Web3, manifest: Manifest) -> list[ContractState]:
    """Return how each contract of the manifest stands on this chain.

    Errors     ManifestError if the node serves another chain.
    """
    if web3.eth.chain_id != manifest.chain_id:
        raise ManifestError(f"the node serves chain {web3.eth.chain_id}, not {manifest.chain_id}")
    return [
        ContractState(name, contract.address, check_contract(web3, name, manifest))
        for name, contract in manifest.contracts.items()
    ]
