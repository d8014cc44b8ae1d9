"""Each attack of the catalogue on signatures: it fails on Keys and beats a twin without the defence."""

from collections.abc import Callable
from typing import NamedTuple

import pytest
from eth_abi.abi import encode
from eth_utils.address import to_checksum_address

from novate.protocol.frame import keccak256
from novate.protocol.transaction import CURVE_ORDER
from novate.settlement.owner_signature import hash_authorise, sign_digest, wrap_undeployed
from tests.contracts.harness import Mutation, Reverted
from tests.contracts.keys_world import (
    AUTHORISE_KEY,
    DEADLINE_S,
    DEVICE,
    KEY,
    OWNER,
    SESSION,
    SETTLEMENT,
    TERMS,
    KeysWorld,
)

ZERO = "0x" + "00" * 20
FOREIGN = to_checksum_address("0x" + "5f" * 20)


def malleate(signature: bytes) -> bytes:
    """Return the other signature that recovers the same key."""
    s = CURVE_ORDER - int.from_bytes(signature[32:64], "big")
    return signature[:32] + s.to_bytes(32, "big") + bytes([55 - signature[64]])


def attack_by_malleating(world: KeysWorld) -> None:
    """SIG-01: the twin of a used signature."""
    signature = world.sign(OWNER)
    world.authorise(OWNER.address, signature)
    world.authorise(OWNER.address, malleate(signature))


def attack_with_a_high_s(world: KeysWorld) -> None:
    """SIG-01: the twin of a signature nobody has brought."""
    world.authorise(OWNER.address, malleate(world.sign(OWNER)))


def attack_from_another_chain(world: KeysWorld) -> None:
    """SIG-02: what was signed for the chain of before the fork."""
    world.authorise(OWNER.address, KeysWorld().sign(OWNER))


def attack_from_another_deployment(world: KeysWorld) -> None:
    """SIG-02: what was signed for another venue on this chain."""
    foreign = world.domain._replace(settlement=FOREIGN)
    struct = hash_authorise(OWNER.address, 0, KEY, TERMS, 0, 0, DEADLINE_S)
    world.authorise(OWNER.address, sign_digest(OWNER, foreign.digest(struct)))


def attack_as_nobody(world: KeysWorld) -> None:
    """SIG-03: garbage recovers to zero, which is the owner of a sub-account nobody opened."""
    world.authorise(ZERO, bytes(64) + b"\x1b", subaccount=1)


def attack_by_a_second_wallet(world: KeysWorld) -> None:
    """SIG-04: what a key signed for one of its wallets is brought for the other.

    A struct without its owner is the same for both wallets; that is the form in which the twin reads it.
    """
    first = world.deploy_wallet("OneKeyWallet", OWNER.address).address
    second = world.deploy_wallet("OneKeyWallet", OWNER.address).address
    try:
        world.authorise(second, world.sign(OWNER, owner=first))
    except Reverted:
        world.authorise(second, world.sign(OWNER, owner=SETTLEMENT))


def attack_by_another_type(world: KeysWorld) -> None:
    """SIG-05: a signed struct of other names and the same words, with and without its type."""
    types = ["address", "uint32", "address", "uint256", "uint64"]
    values = [OWNER.address, 0, KEY, 0, DEADLINE_S]
    kind = keccak256(b"Tip(address from,uint32 shop,address waiter,uint256 amount,uint64 until)")
    try:
        struct = keccak256(encode(["bytes32", *types], [kind, *values]))
        world.revoke(OWNER.address, sign_digest(OWNER, world.domain.digest(struct)))
    except Reverted:
        struct = keccak256(encode(types, values))
        world.revoke(OWNER.address, sign_digest(OWNER, world.domain.digest(struct)))


def attack_with_a_session_key(world: KeysWorld) -> None:
    """SIG-06: a session key makes itself an heir."""
    world.authorise(OWNER.address, world.sign(SESSION, owner=OWNER.address))


def attack_after_revocation(world: KeysWorld) -> None:
    """SIG-06: an authorisation that was signed before the key was revoked and is brought afterwards."""
    signature = world.sign(OWNER, 1)
    world.revoke(OWNER.address, sign_digest(OWNER, world.digest_revoke(OWNER.address)))
    world.authorise(OWNER.address, signature, 1)


def attack_by_repeating(world: KeysWorld) -> None:
    """SIG-07: the same signature a second time, to bring back terms that were replaced."""
    signature = world.sign(OWNER)
    world.authorise(OWNER.address, signature)
    world.authorise(OWNER.address, signature)


def attack_too_late(world: KeysWorld) -> None:
    """SIG-07: a signature that was kept for a better day."""
    signature = world.sign(OWNER)
    world.now_s = DEADLINE_S + 1
    world.authorise(OWNER.address, signature)


def attack_through_the_deputy(world: KeysWorld) -> None:
    """A factory call that is not to a factory: the judge is asked to write to the inbox for a victim."""
    call = world.encode_call(
        world.inbox, "append", AUTHORISE_KEY, OWNER.address, 0, 0, encode(["address"], [SESSION.address])
    )
    # The verdict does not matter: the entry was made on the way to it.
    signature = wrap_undeployed(world.inbox.address, call, b"")
    if not world.call(SESSION.address, world.owners, "verify", SESSION.address, bytes(32), signature):
        raise Reverted("not a wallet")


def attack_without_the_precompile(world: KeysWorld) -> None:
    """A P-256 signature made of nothing, on a chain where the call to 0x100 meets nobody."""
    key = DEVICE.x.to_bytes(32, "big") + DEVICE.y.to_bytes(32, "big")
    world.authorise(DEVICE.address, bytes(31) + b"\x01" + bytes(31) + b"\x01" + key)


class Case(NamedTuple):
    """An attack, the reason of its refusal, the changes of source that let it win, and the chain."""

    attack: Callable[[KeysWorld], None]
    reason: str
    twin: tuple[Mutation, ...]
    chain_id: int = 31337


DOMAIN = "VERSION_HASH, chain.id, settlement"
FORGET_NONCE: Mutation = ("Keys", "self.usedNonces[owner][nonce >> 8] = used + bit", "pass")
ACCEPT_HIGH_S: Mutation = ("Owners", "if s > SECP256K1_HALF:", "if s == 0:")
RECOVERED = "if self._recover(digest, signature) == owner:"
NOT_SIGNED = "not signed by the owner"
CASES = {
    # A contract that remembers signatures instead of nonces takes the twin for a new one.
    "SIG-01 duplicate": Case(attack_by_malleating, "nonce already used", (FORGET_NONCE, ACCEPT_HIGH_S)),
    "SIG-01 high s": Case(attack_with_a_high_s, NOT_SIGNED, (ACCEPT_HIGH_S,)),
    "SIG-02 fork": Case(
        attack_from_another_chain,
        NOT_SIGNED,
        (("Keys", DOMAIN, "VERSION_HASH, convert(31337, uint256), settlement"),),
        99,
    ),
    "SIG-02 venue": Case(
        attack_from_another_deployment, NOT_SIGNED, (("Keys", DOMAIN, f"VERSION_HASH, chain.id, {FOREIGN}"),)
    ),
    "SIG-03 nobody": Case(
        attack_as_nobody,
        "owner must not be zero",
        (
            ("Keys", 'assert owner != empty(address), "owner must not be zero"', "pass"),
            ("Owners", "if owner == empty(address) or size < 32:", "if size < 32:"),
        ),
    ),
    "SIG-04 two wallets": Case(
        attack_by_a_second_wallet,
        NOT_SIGNED,
        (("Keys", "AUTHORISE_TYPE,\n            owner,", "AUTHORISE_TYPE,\n            settlement,"),),
    ),
    "SIG-05 type": Case(
        attack_by_another_type, NOT_SIGNED, (("Keys", "abi_encode(REVOKE_TYPE, owner,", "abi_encode(owner,"),)
    ),
    "SIG-06 session key": Case(
        attack_with_a_session_key,
        NOT_SIGNED,
        (("Owners", RECOVERED, "if self._recover(digest, signature) != empty(address):"),),
    ),
    "SIG-06 revoked": Case(
        attack_after_revocation,
        NOT_SIGNED,
        (("Keys", "self.generation[account][key] + 1", "self.generation[account][key]"),),
    ),
    "SIG-07 replay": Case(attack_by_repeating, "nonce already used", (FORGET_NONCE,)),
    "SIG-07 late": Case(
        attack_too_late,
        "signature expired",
        (("Keys", "assert block.timestamp <= convert(deadline, uint256)", "assert 0 <= block.timestamp"),),
    ),
    "no precompile": Case(
        attack_without_the_precompile,
        NOT_SIGNED,
        (
            ("Owners", "if len(answer) != 32:\n        return False", "pass"),
            ("Owners", "return convert(answer, uint256) == 1", "return True"),
        ),
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_the_attack_fails(name: str) -> None:
    """The contract as it is refuses, for the reason that its defence gives."""
    case = CASES[name]
    with pytest.raises(Reverted, match=case.reason):
        case.attack(KeysWorld(chain_id=case.chain_id))


@pytest.mark.parametrize("name", CASES)
def test_the_attack_beats_the_twin(name: str) -> None:
    """Without that one defence the same attack writes to the inbox, so the test above is real."""
    case = CASES[name]
    world = KeysWorld(mutations=case.twin, chain_id=case.chain_id)
    case.attack(world)
    assert world.count() > 0


def test_a_judge_without_rights_is_no_deputy() -> None:
    """ERC-6492 lets a signature name a call: harmless from whoever may write nothing, fatal otherwise."""
    with pytest.raises(Reverted, match="only the keys"):
        attack_through_the_deputy(KeysWorld())
    robbed = KeysWorld(is_deputy=True)
    with pytest.raises(Reverted, match="not a wallet"):
        attack_through_the_deputy(robbed)
    assert 1 == robbed.count()


def test_nonces_neither_run_out_nor_block() -> None:
    """SIG-07: gaps, a nonce far ahead and two devices that race leave every other nonce usable."""
    world = KeysWorld()
    for nonce in (2**256 - 1, 5, 0, 256, 255, 1):
        world.authorise(OWNER.address, world.sign(OWNER, nonce), nonce)
    with pytest.raises(Reverted, match="nonce already used"):
        world.revoke(OWNER.address, sign_digest(OWNER, world.digest_revoke(OWNER.address, 5)), 5)
    world.revoke(OWNER.address, sign_digest(OWNER, world.digest_revoke(OWNER.address, 6)), 6)
    # A refused signature uses up nothing.
    with pytest.raises(Reverted, match=NOT_SIGNED):
        world.authorise(OWNER.address, world.sign(SESSION, 7), 7)
    world.authorise(OWNER.address, world.sign(OWNER, 7, generation=1), 7)
    # Nor can a stranger use up the nonces of another.
    world.authorise(SESSION.address, world.sign(SESSION, 8), 8)
    assert not world.view(world.keys, "isUsed", OWNER.address, 8)


def test_every_changed_bit_is_refused() -> None:
    """A signature with any bit flipped authorises nothing [P14]."""
    world = KeysWorld()
    signature = world.sign(OWNER)
    for bit in range(8 * len(signature)):
        changed = bytearray(signature)
        changed[bit >> 3] ^= 1 << (bit & 7)
        with pytest.raises(Reverted):
            world.authorise(OWNER.address, bytes(changed))
    assert 0 == world.count()
