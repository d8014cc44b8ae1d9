"""Keys on a real node of the Osaka fork: devices with P-256, delegated accounts (EIP-7702), the client."""

from collections.abc import Iterator

import pytest
from eth_account import Account
from eth_account.signers.local import LocalAccount
from hypothesis import given, settings
from hypothesis import strategies as st
from web3 import Web3
from web3.contract import Contract

from novate.settlement.client import Sender, compute_create_address
from novate.settlement.compiler import OPTIMISATION_LEVELS, compile_contract, compile_source
from novate.settlement.keys_client import KeysClient
from novate.settlement.owner_signature import (
    P256_ORDER,
    KeyTerms,
    hash_authorise,
    pack_p256,
    pack_passkey,
    sign_digest,
)
from tests.contracts.anvil_node import CHAIN_ID, Anvil, run_anvil
from tests.contracts.keys_world import DEVICE, GUARDIAN, KEY, OWNER, SETTLEMENT, WALLETS, wallet_code

DIGEST = b"\x1d" * 32
PAYER: LocalAccount = Account.from_key(b"\x09" * 32)


@pytest.fixture(scope="module")
def node() -> Iterator[Anvil]:
    """A node whose fork has the precompile of P-256 (EIP-7951)."""
    with run_anvil("osaka") as anvil:
        anvil.fund(OWNER.address, GUARDIAN.address, PAYER.address)
        yield anvil


@pytest.fixture(scope="module")
def judges(node: Anvil) -> list[Contract]:
    """Owners at each optimisation level."""
    sender = Sender(node.web3, PAYER)
    receipts = [sender.deploy("Owners", level=level) for level in OPTIMISATION_LEVELS]
    abi = compile_contract("Owners").abi
    return [node.web3.eth.contract(address=receipt["contractAddress"], abi=abi) for receipt in receipts]


@pytest.fixture(scope="module")
def keys(node: Anvil, judges: list[Contract]) -> KeysClient:
    """Inbox and Keys behind the first judge."""
    sender = Sender(node.web3, PAYER)
    nonce = node.web3.eth.get_transaction_count(PAYER.address)
    writer = compute_create_address(PAYER.address, nonce + 1)
    others = ("0x" + "0a" * 20, "0x" + "0e" * 20)
    inbox = sender.deploy("Inbox", *(Web3.to_checksum_address(other) for other in others), writer)
    settlement = Web3.to_checksum_address(SETTLEMENT)
    made = sender.deploy("Keys", inbox["contractAddress"], judges[0].address, settlement)
    assert writer == made["contractAddress"]
    return KeysClient(node.web3, sender, writer)


def verify(judge: Contract, owner: str, digest: bytes, signature: bytes) -> bool:
    """Ask a judge."""
    return bool(judge.functions.verify(owner, digest, signature).call())


def entries(node: Anvil, keys: KeysClient) -> int:
    """Return how many entries the inbox has."""
    abi = compile_contract("Keys").abi
    inbox = node.web3.eth.contract(address=keys.address, abi=abi).functions.inbox().call()
    contract = node.web3.eth.contract(address=inbox, abi=compile_contract("Inbox").abi)
    return int(contract.functions.count().call())


def make_terms(node: Anvil) -> tuple[KeyTerms, int]:
    """Return terms and a deadline that are in time."""
    now_s = node.web3.eth.get_block("latest")["timestamp"]
    return KeyTerms(3, (now_s + 86_400) * 10**9, 10**12, 0, 0, 600), now_s + 3600


def test_a_device_signs_raw_and_as_a_passkey(judges: list[Contract]) -> None:
    """A P-256 owner is the hash of its public key, and only what it signed counts, at every level."""
    for judge in judges:
        for signature in (DEVICE.sign_raw(DIGEST), DEVICE.sign_passkey(DIGEST)):
            assert verify(judge, DEVICE.address, DIGEST, signature)
            assert not verify(judge, DEVICE.address, b"\x1e" * 32, signature)
            assert not verify(judge, PAYER.address, DIGEST, signature)


def test_a_high_s_of_a_device_is_nobodys(judges: list[Contract]) -> None:
    """The malleated twin of a P-256 signature, which the precompile accepts, is refused, SIG-01."""
    r, s = DEVICE.sign(DIGEST)
    words = (r, max(s, P256_ORDER - s), DEVICE.x, DEVICE.y)
    malleated = b"".join(word.to_bytes(32, "big") for word in words)
    assert not verify(judges[0], DEVICE.address, DIGEST, malleated)
    assert verify(judges[0], DEVICE.address, DIGEST, pack_p256(*words))


def test_a_passkey_must_have_meant_it(judges: list[Contract]) -> None:
    """Another challenge, another type, an absent user or a short authenticator is no consent."""
    judge, owner = judges[0], DEVICE.address
    assert not verify(judge, owner, DIGEST, DEVICE.sign_passkey(DIGEST, flags=4))
    short = bytearray(DEVICE.sign_passkey(DIGEST))
    short[6 * 32 + 31] = 36
    assert not verify(judge, owner, DIGEST, bytes(short))
    with pytest.raises(ValueError, match="client data"):
        DEVICE.sign_passkey(DIGEST, kind="webauthn.create")
    with pytest.raises(ValueError, match="client data"):
        pack_passkey(bytes(128), bytes(37), b'{"type":"webauthn.get"}', DIGEST)


@settings(max_examples=30, deadline=None)
@given(digest=st.binary(min_size=32, max_size=32))
def test_challenges_are_base64url(judges: list[Contract], digest: bytes) -> None:
    """Every digest is written as a browser writes it, or the device's signature would not be found right."""
    for judge in judges:
        assert verify(judge, DEVICE.address, digest, DEVICE.sign_passkey(digest))


def test_the_client_brings_what_each_owner_signed(node: Anvil, keys: KeysClient) -> None:
    """A device, a key and the sender itself authorise and revoke; nonces and generations are found."""
    terms, deadline_s = make_terms(node)
    before = entries(node, keys)
    keys.authorise_for(DEVICE.address, 0, KEY, terms, deadline_s, DEVICE.sign_passkey)
    keys.authorise_for(OWNER.address, 3, KEY, terms, deadline_s, lambda d: sign_digest(OWNER, d))
    keys.revoke_for(OWNER.address, 3, KEY, deadline_s, lambda d: sign_digest(OWNER, d))
    assert (1, 2) == (keys.generation(OWNER.address, 3, KEY), keys.find_nonce(OWNER.address))
    keys.authorise_for(OWNER.address, 3, KEY, terms, deadline_s, lambda d: sign_digest(OWNER, d))
    keys.authorise(0, KEY, terms)
    keys.revoke(0, KEY)
    assert before + 6 == entries(node, keys)


def test_a_delegated_account_keeps_its_key_and_gains_its_code(node: Anvil, keys: KeysClient) -> None:
    """EIP-7702: key, delegate's judgement and the account's own transaction count; a stranger's do not."""
    code = wallet_code("DelegatedWallet", GUARDIAN.address)
    delegate = Sender(node.web3, PAYER).send({"data": "0x" + code.hex()})["contractAddress"]
    signed = OWNER.sign_authorization(
        {
            "chainId": CHAIN_ID,
            "address": delegate,
            "nonce": node.web3.eth.get_transaction_count(OWNER.address),
        }
    )
    # Paid by another: the owner only signs.
    Sender(node.web3, PAYER).send(
        {"type": 4, "to": PAYER.address, "authorizationList": [signed], "data": "0x"}
    )
    assert node.web3.eth.get_code(OWNER.address).hex().startswith("ef0100")
    terms, deadline_s = make_terms(node)
    before = entries(node, keys)
    keys.authorise_for(OWNER.address, 0, KEY, terms, deadline_s, lambda d: sign_digest(OWNER, d))
    keys.authorise_for(OWNER.address, 0, KEY, terms, deadline_s, lambda d: sign_digest(GUARDIAN, d))
    with pytest.raises(Exception, match="not signed by the owner"):
        keys.authorise_for(OWNER.address, 0, KEY, terms, deadline_s, lambda d: sign_digest(PAYER, d))
    contract = node.web3.eth.contract(address=keys.address, abi=compile_contract("Keys").abi)
    source = (WALLETS / "DelegatedWallet.vy").read_text()
    wallet = node.web3.eth.contract(address=OWNER.address, abi=compile_source("DelegatedWallet", source).abi)
    call = contract.encode_abi("revoke", [0, KEY])
    Sender(node.web3, GUARDIAN).send(
        {"to": OWNER.address, "data": wallet.encode_abi("act", [keys.address, call])}
    )
    assert before + 3 == entries(node, keys)
    assert 1 == keys.generation(OWNER.address, 0, KEY)
    digest = keys.domain.digest(hash_authorise(OWNER.address, 0, KEY, terms, 1, 2, deadline_s))
    assert 65 == len(sign_digest(OWNER, digest))
