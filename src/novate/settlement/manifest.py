"""The manifest.

Which contracts on which chain a venue settles by. JSON, public, written once at deployment.
"""

from pathlib import Path
from typing import Any

import msgspec
from eth_utils.address import to_checksum_address

from novate.protocol.frame import keccak256

MANIFEST_BYTES_MAX = 1 << 16
# Without these nothing can be deposited, committed or claimed.
CORE_CONTRACTS = ("Settlement", "Inbox", "Vault")


class ManifestError(ValueError):
    """A manifest that cannot be read, or a chain that does not hold what the manifest says."""


class DeployedContract(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One contract: its checksummed address, Keccak-256 of its runtime code as 0x hex, and what its
    constructor was given.

    Arguments are by name, as JSON: addresses and bytes as hex, integers as decimal strings.
    """

    address: str
    code_hash: str
    arguments: dict[str, Any] = {}


class Manifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`contracts` is by the name of the source; `level` is the compiler's optimisation level.

    `block_number` is the first block in which events of these contracts can stand.
    """

    chain_id: int
    level: str
    token: str
    operator: str
    genesis_hash: str
    genesis_state_root: str
    finality_delay_s: int
    block_number: int
    contracts: dict[str, DeployedContract]

    @property
    def settlement(self) -> str:
        """The address of the settlement contract."""
        return self.contracts["Settlement"].address

    @property
    def inbox(self) -> str:
        """The address of the inbox."""
        return self.contracts["Inbox"].address

    @property
    def vault(self) -> str:
        """The address of the vault."""
        return self.contracts["Vault"].address

    def write(self, path: Path) -> None:
        """Write the manifest as indented JSON."""
        path.write_bytes(msgspec.json.format(msgspec.json.encode(self), indent=2) + b"\n")


def read_manifest(path: Path) -> Manifest:
    """Return the manifest in a file; raise ManifestError if it is not one."""
    try:
        with path.open("rb") as file:
            data = file.read(MANIFEST_BYTES_MAX + 1)
        manifest = msgspec.json.decode(data[: MANIFEST_BYTES_MAX + 1], type=Manifest)
        addresses = [
            manifest.token,
            manifest.operator,
            *(each.address for each in manifest.contracts.values()),
        ]
        for address in addresses:
            if to_checksum_address(address) != address:
                raise ManifestError(f"{path}: {address} has a wrong checksum")
    except (OSError, ValueError) as error:
        raise ManifestError(f"{path} is not a manifest: {error}") from error
    missing = [name for name in CORE_CONTRACTS if name not in manifest.contracts]
    if missing:
        raise ManifestError(f"{path} is not a manifest: it names no {missing[0]}")
    return manifest


def hash_code(code: bytes) -> str:
    """Return the Keccak-256 of runtime code as the manifest writes it."""
    return "0x" + keccak256(code).hex()
