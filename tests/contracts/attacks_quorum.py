"""Attacks on the validators' signatures and stakes and on the bond, in the manner of attacks_vault."""

import pytest

from tests.contracts.harness import (
    BOND_MIN,
    DEPLOYER,
    EPOCH_S,
    GOVERNOR,
    INSURANCE,
    STAKE_MIN,
    STRANGER,
    UNBONDING_S,
    Config,
    Mutation,
    Reverted,
    World,
)
from tests.contracts.signers import (
    Signature,
    Signer,
    compute_digest,
    hash_attestation,
    hash_receipt,
    hash_rotation,
    hash_signed_header,
    make_signer,
    make_signers,
    malleate,
)


class Quorum:
    """A world with four staked validators of which three must sign, and two posted batches."""

    def __init__(
        self,
        mutation: Mutation | None,
        count: int = 4,
        quorum: int = 3,
        level: str = "gas",
        config: Config | None = None,
    ) -> None:
        self.signers = make_signers(count)
        members = tuple(signer.address for signer in self.signers)
        base = config or Config(governor=GOVERNOR)
        self.world = World(level, mutation, config=base._replace(members=members, quorum=quorum))
        world = self.world
        for signer in self.signers:
            self.stake(signer, 10 * STAKE_MIN)
        world.call(STRANGER, world.validators, "open")
        for _ in range(2):
            world.submit(world.next_header())

    def stake(self, signer: Signer, amount: int) -> None:
        """Mint, approve and stake."""
        world = self.world
        world.call(DEPLOYER, world.token, "mint", signer.address, amount)
        world.call(signer.address, world.token, "approve", world.validators.address, amount)
        world.call(signer.address, world.validators, "stake", amount)

    def digest(self, number: int, epoch: int = 1, header_hash: bytes | None = None) -> bytes:
        """What a member signs for a posted header, or for another."""
        posted = header_hash or self.world.view(self.world.settlement, "headerHash", number)
        return compute_digest(self.world.settlement.address, hash_attestation(epoch, number, posted))

    def sign(self, number: int, count: int, epoch: int = 1) -> list[Signature]:
        """The first members' signatures of a posted header."""
        return [signer.sign(self.digest(number, epoch)) for signer in self.signers[:count]]

    def attest(self, number: int, signatures: list[Signature]) -> None:
        """Present signatures."""
        self.world.call(STRANGER, self.world.validators, "attest", number, signatures)

    def refuse(self, number: int, signatures: list[Signature], reason: str | None = None) -> None:
        """Signatures that do not attest."""
        with pytest.raises(Reverted, match=reason):
            self.attest(number, signatures)


def attack_by_too_few_signatures(mutation: Mutation | None) -> None:
    quorum = Quorum(mutation)
    quorum.refuse(1, quorum.sign(1, 2))


def attack_by_one_signature_thrice(mutation: Mutation | None) -> None:
    quorum = Quorum(mutation)
    quorum.refuse(1, quorum.sign(1, 1) * 3)


def attack_by_malleated_twin(mutation: Mutation | None) -> None:
    quorum = Quorum(mutation)
    signatures = quorum.sign(1, 3)
    quorum.refuse(1, [*signatures[:2], malleate(signatures[2])])


def attack_by_outsiders(mutation: Mutation | None) -> None:
    quorum = Quorum(mutation)
    digest = quorum.digest(1)
    outsiders = sorted((make_signer(number) for number in range(50, 53)), key=lambda signer: signer.address)
    quorum.refuse(1, [signer.sign(digest) for signer in outsiders])


def attack_by_zero_signer(mutation: Mutation | None) -> None:
    """What is recovered from garbage is the zero address, which no seat may match."""
    quorum = Quorum(mutation)
    quorum.refuse(1, [(27, bytes(32), bytes(32))] * 3, "signature is malformed")


def attack_by_another_chain(mutation: Mutation | None) -> None:
    quorum = Quorum(mutation)
    header_hash = quorum.world.view(quorum.world.settlement, "headerHash", 1)
    message = hash_attestation(1, 1, header_hash)
    digest = compute_digest(quorum.world.settlement.address, message, chain_id=1)
    quorum.refuse(1, [signer.sign(digest) for signer in quorum.signers[:3]])


def attack_by_another_deployment(mutation: Mutation | None) -> None:
    quorum = Quorum(mutation)
    header_hash = quorum.world.view(quorum.world.settlement, "headerHash", 1)
    digest = compute_digest(INSURANCE, hash_attestation(1, 1, header_hash))
    quorum.refuse(1, [signer.sign(digest) for signer in quorum.signers[:3]])


def attack_by_old_epoch(mutation: Mutation | None) -> None:
    """Signatures of a set that has gone attest nothing, though its keys may be sold by then."""
    quorum = Quorum(mutation)
    old = quorum.sign(1, 3)
    rotate(quorum, 3)
    quorum.refuse(1, old)
    quorum.attest(1, quorum.sign(1, 3, epoch=2))


def rotate(quorum: Quorum, least: int, signers: list[Signer] | None = None) -> None:
    """Seat the members anew."""
    world = quorum.world
    world.now_s += EPOCH_S
    members = [signer.address for signer in quorum.signers]
    digest = compute_digest(world.settlement.address, hash_rotation(2, least, members))
    signatures = [signer.sign(digest) for signer in signers or quorum.signers[:3]]
    world.call(STRANGER, world.validators, "rotate", members, least, signatures)


def attack_by_seizing_the_set(mutation: Mutation | None) -> None:
    quorum = Quorum(mutation)
    with pytest.raises(Reverted):
        rotate(quorum, 3, quorum.signers[:1])


def attack_by_a_small_quorum(mutation: Mutation | None) -> None:
    """Two thirds is not enough: two such quorums could disagree with only a third at fault."""
    quorum = Quorum(mutation, 3, 3)
    with pytest.raises(Reverted, match="quorum too small"):
        rotate(quorum, 2)


def attack_by_skipping_a_batch(mutation: Mutation | None) -> None:
    quorum = Quorum(mutation)
    quorum.refuse(2, quorum.sign(2, 3), "number must be the next")


def attack_by_leaving_before_the_slash(mutation: Mutation | None) -> None:
    quorum = Quorum(mutation)
    world, cheat = quorum.world, quorum.signers[0]
    world.call(cheat.address, world.validators, "leave", 10 * STAKE_MIN)
    world.now_s += UNBONDING_S - 1
    with pytest.raises(Reverted, match="too early"):
        world.call(cheat.address, world.validators, "withdraw")


def attack_by_leaving_and_voting(mutation: Mutation | None) -> None:
    """Whoever has nothing at stake has no vote."""
    quorum = Quorum(mutation)
    world, cheat = quorum.world, quorum.signers[0]
    world.call(cheat.address, world.validators, "leave", 10 * STAKE_MIN)
    quorum.refuse(1, quorum.sign(1, 3), "signer is no member")


def attack_by_framing_a_validator(mutation: Mutation | None) -> None:
    """One header signed twice is no equivocation."""
    quorum = Quorum(mutation)
    honest = quorum.signers[0]
    header_hash = quorum.world.view(quorum.world.settlement, "headerHash", 1)
    signature = honest.sign(quorum.digest(1))
    with pytest.raises(Reverted):
        quorum.world.call(
            STRANGER,
            quorum.world.validators,
            "slash",
            honest.address,
            1,
            1,
            header_hash,
            signature,
            1,
            header_hash,
            signature,
        )


def attack_by_equivocating(mutation: Mutation | None) -> None:
    """Two headers of one number cost a validator its whole stake, also what is on its way out."""
    quorum = Quorum(mutation)
    world, cheat = quorum.world, quorum.signers[0]
    world.call(cheat.address, world.validators, "leave", 4 * STAKE_MIN)
    hashes = [bytes([number]) * 32 for number in (1, 2)]
    pairs = [(1, each, cheat.sign(quorum.digest(1, 1, each))) for each in hashes]
    world.call(STRANGER, world.validators, "slash", cheat.address, 1, *pairs[0], *pairs[1])
    balances = [world.view(world.token, "balanceOf", holder) for holder in (STRANGER, INSURANCE)]
    assert [STAKE_MIN, 9 * STAKE_MIN] == balances
    assert not world.view(world.validators, "isMember", cheat.address)
    world.now_s += UNBONDING_S
    with pytest.raises(Reverted, match="nothing leaves"):
        world.call(cheat.address, world.validators, "withdraw")


class Bonded:
    """A world whose operator is a key and has a bond."""

    def __init__(self, mutation: Mutation | None, level: str = "gas") -> None:
        self.operator = make_signer(99)
        config = Config(bond_min=BOND_MIN, operator=self.operator.address)
        self.world = World(level, mutation, config=config)
        world, operator = self.world, self.operator.address
        world.call(DEPLOYER, world.token, "mint", operator, 2 * BOND_MIN)
        world.call(operator, world.token, "approve", world.bond.address, 2 * BOND_MIN)
        world.call(operator, world.bond, "deposit", 2 * BOND_MIN)

    def sign(self, message: bytes, signer: Signer | None = None) -> Signature:
        """Sign a struct hash in the venue's domain."""
        digest = compute_digest(self.world.settlement.address, message)
        return (signer or self.operator).sign(digest)

    def slash_receipts(self, first: bytes, second: bytes, signer: Signer | None = None) -> None:
        """Present two receipts of one sequence."""
        signatures = [self.sign(hash_receipt(7, each), signer) for each in (first, second)]
        pairs = (first, signatures[0], second, signatures[1])
        self.world.call(STRANGER, self.world.bond, "slashReceipts", 7, *pairs)


def attack_by_two_receipts(mutation: Mutation | None) -> None:
    """The operator signs two histories and takes its bond away first: it still loses all of it."""
    bonded = Bonded(mutation)
    world = bonded.world
    world.call(bonded.operator.address, world.bond, "leave", BOND_MIN)
    bonded.slash_receipts(b"\x01" * 32, b"\x02" * 32)
    balances = [world.view(world.token, "balanceOf", holder) for holder in (STRANGER, INSURANCE)]
    assert [2 * BOND_MIN // 10, 2 * BOND_MIN * 9 // 10] == balances
    assert not world.view(world.bond, "isBonded")
    with pytest.raises(Reverted, match="bond is too small"):
        world.submit(world.next_header(), bonded.operator.address)


def attack_by_framing_the_operator(mutation: Mutation | None) -> None:
    bonded = Bonded(mutation)
    with pytest.raises(Reverted):
        bonded.slash_receipts(b"\x01" * 32, b"\x02" * 32, make_signer(5))


def attack_by_one_receipt_twice(mutation: Mutation | None) -> None:
    bonded = Bonded(mutation)
    with pytest.raises(Reverted):
        bonded.slash_receipts(b"\x01" * 32, b"\x01" * 32)


def attack_by_confusing_types(mutation: Mutation | None) -> None:
    """A receipt and a header of one number are two statements that can both be true."""
    bonded = Bonded(mutation)
    signatures = [
        bonded.sign(hash_receipt(7, b"\x01" * 32)),
        bonded.sign(hash_signed_header(7, b"\x02" * 32)),
    ]
    pairs = [(b"\x01" * 32, signatures[0]), (b"\x02" * 32, signatures[1])]
    for name in ("slashReceipts", "slashHeaders"):
        for first, second in (pairs, pairs[::-1]):
            with pytest.raises(Reverted, match="signer is another"):
                bonded.world.call(STRANGER, bonded.world.bond, name, 7, *first, *second)


def attack_by_posting_another_header(mutation: Mutation | None) -> None:
    """A header shown to watchers and another one posted is equivocation too; the posted one itself is not."""
    bonded = Bonded(mutation)
    world = bonded.world
    header = world.next_header()
    world.submit(header, bonded.operator.address)
    lawful = bonded.sign(hash_signed_header(1, header.hash()))
    with pytest.raises(Reverted, match="headers are the same"):
        world.call(STRANGER, world.bond, "slashPosted", 1, header.hash(), lawful)
    shown = bonded.sign(hash_signed_header(1, b"\x09" * 32))
    world.call(STRANGER, world.bond, "slashPosted", 1, b"\x09" * 32, shown)
    assert 0 == world.view(world.bond, "amount")


def attack_by_withdrawing_the_bond(mutation: Mutation | None) -> None:
    bonded = Bonded(mutation)
    world = bonded.world
    world.call(bonded.operator.address, world.bond, "leave", BOND_MIN)
    with pytest.raises(Reverted, match="too early"):
        world.call(bonded.operator.address, world.bond, "withdraw")
    with pytest.raises(Reverted, match="only the operator"):
        world.call(STRANGER, world.bond, "leave", 1)
