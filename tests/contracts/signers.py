"""Keys of operator and validators in the contracts' tests, and what they sign: EIP-712 digests by hand."""

from typing import NamedTuple

from coincurve import PrivateKey
from eth_abi.abi import encode

from novate.protocol.frame import keccak256
from novate.protocol.signing import compute_address, hash_domain
from novate.protocol.transaction import CURVE_ORDER

CHAIN_ID = 31337
Signature = tuple[int, bytes, bytes]


class Signer(NamedTuple):
    """A key and its address as text."""

    key: PrivateKey
    address: str

    def sign(self, digest: bytes) -> Signature:
        """Return (v, r, s) as the contracts take it."""
        raw = self.key.sign_recoverable(digest, hasher=None)
        return 27 + raw[64], raw[:32], raw[32:64]


def make_signer(number: int) -> Signer:
    """Return one of the tests' keys."""
    key = PrivateKey((1000 + number).to_bytes(32, "big"))
    return Signer(key, "0x" + compute_address(key.public_key).hex())


def make_signers(count: int) -> list[Signer]:
    """Return keys in ascending order of address, as sets and signatures must be."""
    return sorted((make_signer(number) for number in range(count)), key=lambda signer: signer.address)


def malleate(signature: Signature) -> Signature:
    """Return the other signature of the same digest: s is the order less s, and v is the other one."""
    v, r, s = signature
    return 55 - v, r, (CURVE_ORDER - int.from_bytes(s, "big")).to_bytes(32, "big")


def compute_digest(settlement: str, message: bytes, chain_id: int = CHAIN_ID) -> bytes:
    """Return the digest of a struct hash in the venue's domain."""
    return keccak256(b"\x19\x01" + hash_domain(chain_id, bytes.fromhex(settlement[2:])) + message)


def hash_attestation(epoch: int, number: int, header_hash: bytes) -> bytes:
    """Return the struct hash of an attestation [SETTLE-24]."""
    kind = keccak256(b"Attestation(uint64 epoch,uint64 number,bytes32 headerHash)")
    return keccak256(encode(["bytes32", "uint64", "uint64", "bytes32"], [kind, epoch, number, header_hash]))


def hash_rotation(epoch: int, quorum: int, members: list[str]) -> bytes:
    """Return the struct hash of a rotation [SETTLE-25]."""
    kind = keccak256(b"Rotation(uint64 epoch,uint256 quorum,address[] members)")
    packed = keccak256(b"".join(bytes.fromhex(member[2:]).rjust(32, b"\0") for member in members))
    return keccak256(encode(["bytes32", "uint64", "uint256", "bytes32"], [kind, epoch, quorum, packed]))


def hash_receipt(sequence: int, frame_hash: bytes) -> bytes:
    """Return the struct hash of a receipt [SETTLE-29]."""
    kind = keccak256(b"Receipt(uint64 sequence,bytes32 frameHash)")
    return keccak256(encode(["bytes32", "uint64", "bytes32"], [kind, sequence, frame_hash]))


def hash_signed_header(number: int, header_hash: bytes) -> bytes:
    """Return the struct hash of a signed header [SETTLE-29]."""
    kind = keccak256(b"Header(uint64 number,bytes32 headerHash)")
    return keccak256(encode(["bytes32", "uint64", "bytes32"], [kind, number, header_hash]))
