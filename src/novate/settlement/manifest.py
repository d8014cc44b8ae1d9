"""The manifest.

Which contracts on which chain a venue settles by. JSON, public, written once at deployment.
"""

from pathlib import Path

import msgspec
from eth_utils.address import to_checksum_address

from novate.protocol.frame import keccak256

MANIFEST_BYTES_MAX = 1 << 16


class ManifestError(ValueError):
    """A manifest that cannot be read, or a chain that does not hold what the manifest says."""


class Manifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Addresses are checksummed hex; code hashes are Keccak-256 of the runtime code on chain, as 0x hex.

    `block_number` is the first block in which events of these contracts can stand.
    """

    chain_id: int
    settlement: str
    vault: str
    token: str
    operator: str
    genesis_hash: str
    genesis_state_root: str
    finality_delay_s: int
    block_number: int
    settlement_code_hash: str
    vault_code_hash: str

    def write(self, path: Path) -> None:
        """Write the manifest as indented JSON."""
        path.write_bytes(msgspec.json.format(msgspec.json.encode(self), indent=2) + b"\n")


def read_manifest(path: Path) -> Manifest:
    """Return the manifest in a file; raise ManifestError if it is not one."""
    try:
        with path.open("rb") as file:
            data = file.read(MANIFEST_BYTES_MAX + 1)
        manifest = msgspec.json.decode(data[: MANIFEST_BYTES_MAX + 1], type=Manifest)
        for address in (manifest.settlement, manifest.vault, manifest.token, manifest.operator):
            if to_checksum_address(address) != address:
                raise ManifestError(f"{path}: {address} has a wrong checksum")
    except (OSError, ValueError) as error:
        raise ManifestError(f"{path} is not a manifest: {error}") from error
    return manifest


def hash_code(code: bytes) -> str:
    """Return the Keccak-256 of runtime code as the manifest writes it."""
    return "0x" + keccak256(code).hex()
