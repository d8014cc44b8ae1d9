"""What an owner signs to change keys on chain, and the shapes in which each kind of owner hands it in.

Twins of the digests of `Keys.vy` and of the signatures that `Owners.vy` reads. Implements the signing side of
[SETTLE-36] and [SETTLE-37].
"""

import base64
from typing import NamedTuple

from eth_abi.abi import encode as encode_abi
from eth_account.signers.local import LocalAccount
from eth_typing import Hash32
from eth_utils.address import to_canonical_address, to_checksum_address

from novate.protocol.frame import keccak256

DOMAIN_TYPE = keccak256(b"EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)")
AUTHORISE_TYPE = keccak256(
    b"AuthoriseKeyOnChain(address owner,uint32 subaccount,address key,uint32 scope,uint64 expiresNs,"
    b"uint64 maxNotional,uint64 maxDelta,uint64 maxVega,uint32 ratePerMinute,uint256 generation,"
    b"uint256 nonce,uint64 deadline)"
)
REVOKE_TYPE = keccak256(
    b"RevokeKeyOnChain(address owner,uint32 subaccount,address key,uint256 nonce,uint64 deadline)"
)
WRAPPED = bytes.fromhex("6492" * 16)
P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
CLIENT_PREFIX = b'{"type":"webauthn.get","challenge":"'


class KeyTerms(NamedTuple):
    """What a session key may do [KEY-3]. Limits in atoms, 0 for none; `expires_ns` in ns UTC."""

    scope: int
    expires_ns: int
    max_notional_atoms: int
    max_delta_atoms: int
    max_vega_atoms: int
    rate_per_minute: int


class Domain(NamedTuple):
    """The chain and the settlement contract that a signature is good for."""

    chain_id: int
    settlement: str

    def separator(self) -> bytes:
        """Return the EIP-712 domain separator."""
        words = [DOMAIN_TYPE, keccak256(b"novate"), keccak256(b"1")]
        return keccak256(
            encode_abi(["bytes32"] * 3 + ["uint256", "address"], [*words, self.chain_id, self.settlement])
        )

    def digest(self, struct_hash: bytes) -> bytes:
        """Return what is signed for a struct."""
        return keccak256(b"\x19\x01" + self.separator() + struct_hash)


def hash_authorise(
    owner: str, subaccount: int, key: str, terms: KeyTerms, generation: int, nonce: int, deadline_s: int
) -> bytes:
    """Return the struct hash of an authorisation; `generation` is how often the key was revoked."""
    types = ["bytes32", "address", "uint32", "address", "uint32", *["uint64"] * 4, "uint32"]
    values = [AUTHORISE_TYPE, owner, subaccount, key, *terms, generation, nonce, deadline_s]
    return keccak256(encode_abi([*types, "uint256", "uint256", "uint64"], values))


def hash_revoke(owner: str, subaccount: int, key: str, nonce: int, deadline_s: int) -> bytes:
    """Return the struct hash of a revocation."""
    types = ["bytes32", "address", "uint32", "address", "uint256", "uint64"]
    return keccak256(encode_abi(types, [REVOKE_TYPE, owner, subaccount, key, nonce, deadline_s]))


def compute_subaccount(owner: str, subaccount: int) -> str:
    """Return the address of an owner's account by its number, 0 for the owner's own [SUB-1]."""
    if subaccount == 0:
        return to_checksum_address(owner)
    return to_checksum_address(keccak256(to_canonical_address(owner) + subaccount.to_bytes(32, "big"))[12:])


def sign_digest(account: LocalAccount, digest: bytes) -> bytes:
    """Return the 65 bytes of a key of secp256k1, with low s."""
    return bytes(account.unsafe_sign_hash(Hash32(digest)).signature)


def wrap_undeployed(factory: str, call: bytes, signature: bytes) -> bytes:
    """Return the signature of a wallet that `factory` creates when it is called so (ERC-6492)."""
    return encode_abi(["address", "bytes", "bytes"], [factory, call, signature]) + WRAPPED


def compute_p256_address(x: int, y: int) -> str:
    """Return the address of a key of P-256."""
    return to_checksum_address(keccak256(x.to_bytes(32, "big") + y.to_bytes(32, "big"))[12:])


def pack_p256(r: int, s: int, x: int, y: int) -> bytes:
    """Return a raw P-256 signature; a high s, which devices give half of the time, becomes its low twin."""
    return b"".join(word.to_bytes(32, "big") for word in (r, min(s, P256_ORDER - s), x, y))


def encode_challenge(digest: bytes) -> bytes:
    """Return a digest as WebAuthn writes a challenge: base64url without padding."""
    return base64.urlsafe_b64encode(digest).rstrip(b"=")


def pack_passkey(signature: bytes, authenticator: bytes, client_json: bytes, digest: bytes) -> bytes:
    """Return the assertion of a passkey over a digest. `signature` is that of `pack_p256`.

    Errors     ValueError if the device signed another challenge, or wrote the client data another way.
    """
    head = CLIENT_PREFIX + encode_challenge(digest)
    if not client_json.startswith(head + b'"'):
        raise ValueError("the client data does not begin with type and challenge of this digest")
    words = [signature[start : start + 32] for start in range(0, 128, 32)]
    return encode_abi(["bytes32"] * 4 + ["bytes", "bytes"], [*words, authenticator, client_json[len(head) :]])
