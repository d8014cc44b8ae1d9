"""Keys, Owners and an inbox on revm, owners of every kind, and what they sign."""

import hashlib
from pathlib import Path
from typing import Any

from Crypto.PublicKey.ECC import EccPoint
from eth_abi.abi import encode
from eth_account import Account
from eth_account.signers.local import LocalAccount
from eth_utils.address import to_checksum_address

from novate.protocol.frame import keccak256
from novate.settlement.client import compute_create_address
from novate.settlement.compiler import compile_source, read_source
from novate.settlement.owner_signature import (
    P256_ORDER,
    Domain,
    KeyTerms,
    compute_p256_address,
    encode_challenge,
    hash_authorise,
    hash_revoke,
    pack_p256,
    pack_passkey,
    sign_digest,
)
from tests.contracts.harness import DEPLOYER, START_S, Contract, Mutation, World, describe_types

WALLETS = Path(__file__).parent / "wallets"
CHAIN_ID = 31337
SETTLEMENT = "0x" + "5e" * 20
VAULT, ESCAPE = "0x" + "0a" * 20, "0x" + "0e" * 20
OWNER: LocalAccount = Account.from_key(b"\x05" * 32)
GUARDIAN: LocalAccount = Account.from_key(b"\x06" * 32)
SESSION: LocalAccount = Account.from_key(b"\x07" * 32)
KEY = to_checksum_address("0x" + "c0" * 20)
TERMS = KeyTerms(3, (START_S + 86_400) * 10**9, 10**12, 10**11, 10**10, 600)
DEADLINE_S = START_S + 3600
AUTHORISE_KEY, REVOKE_KEY = 3, 4
P256_GENERATOR = EccPoint(
    0x6B17D1F2E12C4247F8BCE6E563A440F277037D812DEB33A0F4A13945D898C296,
    0x4FE342E2FE1A7F9B8EE7EB4A7C0F9E162BCE33576B315ECECBB6406837BF51F5,
    "p256",
)


class Device:
    """A device that keeps a key of P-256 and signs raw or as a passkey."""

    def __init__(self, secret: int) -> None:
        self.secret = secret
        point = P256_GENERATOR * secret
        self.x, self.y = int(point.x), int(point.y)
        self.address = compute_p256_address(self.x, self.y)

    def sign(self, message: bytes) -> tuple[int, int]:
        """Return r and s over 32 bytes; the nonce follows from key and message."""
        k = int.from_bytes(keccak256(self.secret.to_bytes(32, "big") + message), "big") % P256_ORDER
        r = int((P256_GENERATOR * k).x) % P256_ORDER
        s = pow(k, -1, P256_ORDER) * (int.from_bytes(message, "big") + r * self.secret) % P256_ORDER
        return r, s

    def sign_raw(self, digest: bytes) -> bytes:
        """Return a raw signature with low s."""
        return pack_p256(*self.sign(digest), self.x, self.y)

    def sign_passkey(self, digest: bytes, flags: int = 5, kind: str = "webauthn.get") -> bytes:
        """Return what a browser hands over for the challenge `digest`."""
        authenticator = hashlib.sha256(b"venue.example").digest() + bytes([flags]) + bytes(4)
        client = (
            b'{"type":"' + kind.encode() + b'","challenge":"' + encode_challenge(digest)
            + b'","origin":"https://venue.example","crossOrigin":false}'
        )  # fmt: skip
        message = hashlib.sha256(authenticator + hashlib.sha256(client).digest()).digest()
        signature = pack_p256(*self.sign(message), self.x, self.y)
        return pack_passkey(signature, authenticator, client, digest)


DEVICE = Device(0x1234567890ABCDEF)


class KeysWorld(World):
    """Inbox, Owners and Keys, freshly deployed. `is_deputy`: the twin whose judge may write to the inbox."""

    def __init__(
        self,
        level: str = "gas",
        mutations: tuple[Mutation, ...] = (),
        chain_id: int = CHAIN_ID,
        is_deputy: bool = False,
    ) -> None:
        self._begin(level, None, chain_id)
        self._mutations = mutations
        self.domain = Domain(chain_id, SETTLEMENT)
        self.owners = self.deploy_own("Owners")
        nonce = self.evm.basic(DEPLOYER).nonce
        writer = self.owners.address if is_deputy else compute_create_address(DEPLOYER, nonce + 1)
        self.inbox = self.deploy_own("Inbox", VAULT, ESCAPE, writer)
        self.keys = self.deploy_own("Keys", self.inbox.address, self.owners.address, SETTLEMENT)

    def deploy_own(self, name: str, *arguments: object) -> Contract:
        """Deploy one of the house's contracts with this world's changes of its source."""
        source = read_source(name)
        for _, old, new in (mutation for mutation in self._mutations if mutation[0] == name):
            assert 1 == source.count(old), "A mutation should change exactly one place."
            source = source.replace(old, new)
        return self.deploy(name, source, *arguments)

    def deploy_wallet(self, name: str, *arguments: object) -> Contract:
        """Deploy one of the tests' wallets."""
        return self.deploy(name, (WALLETS / f"{name}.vy").read_text(), *arguments)

    def count(self) -> int:
        """Return how many entries the inbox has."""
        return int(self.view(self.inbox, "count"))

    def digest_authorise(self, owner: str, nonce: int = 0, **changes: Any) -> bytes:
        """Return what `owner` signs to authorise KEY."""
        fields = {"subaccount": 0, "key": KEY, "terms": TERMS, "generation": 0, "deadline_s": DEADLINE_S}
        fields |= changes
        struct = hash_authorise(
            owner,
            fields["subaccount"],
            fields["key"],
            fields["terms"],
            fields["generation"],
            nonce,
            fields["deadline_s"],
        )
        return self.domain.digest(struct)

    def digest_revoke(self, owner: str, nonce: int = 0, key: str = KEY) -> bytes:
        """Return what `owner` signs to revoke a key."""
        return self.domain.digest(hash_revoke(owner, 0, key, nonce, DEADLINE_S))

    def authorise(self, owner: str, signature: bytes, nonce: int = 0, **changes: Any) -> int:
        """Bring an authorisation as a stranger; return the entry's number."""
        terms = changes.get("terms", TERMS)
        arguments = (owner, changes.get("subaccount", 0), changes.get("key", KEY), tuple(terms), nonce)
        deadline = changes.get("deadline_s", DEADLINE_S)
        stranger = "0x" + "99" * 20
        return int(self.call(stranger, self.keys, "authoriseFor", *arguments, deadline, signature))

    def revoke(self, owner: str, signature: bytes, nonce: int = 0, key: str = KEY) -> int:
        """Bring a revocation as a stranger; return the entry's number."""
        arguments = (owner, 0, key, nonce, DEADLINE_S, signature)
        return int(self.call("0x" + "99" * 20, self.keys, "revokeFor", *arguments))

    def sign(self, account: LocalAccount, nonce: int = 0, owner: str = "", **changes: Any) -> bytes:
        """Return an account's signature of an authorisation for `owner`, itself if none is named."""
        return sign_digest(account, self.digest_authorise(owner or account.address, nonce, **changes))


def wallet_code(name: str, *arguments: object) -> bytes:
    """Return the creation code of one of the tests' wallets."""
    compiled = compile_source(name, (WALLETS / f"{name}.vy").read_text())
    constructor = next(item for item in compiled.abi if item["type"] == "constructor")
    return compiled.creation_code + encode(describe_types(constructor["inputs"]), arguments)


def compute_create2_address(factory: str, salt: bytes, code: bytes) -> str:
    """Return where a factory creates this code."""
    preimage = b"\xff" + bytes.fromhex(factory[2:]) + salt + keccak256(code)
    return to_checksum_address(keccak256(preimage)[12:])
