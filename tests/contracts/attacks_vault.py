"""Attacks on vault, boxes and tokens. Each takes a planted bug: on the contracts as they are (None) its
assertions hold, and on the undefended twin one of them does not, for the attack succeeds.
"""

import pytest
from eth_abi.abi import encode

from novate.protocol.frame import keccak256
from tests.contracts.harness import (
    DEPLOYER,
    DEPOSITOR,
    ESCAPE,
    GOVERNOR,
    GUARDIAN,
    STRANGER,
    ZERO,
    Config,
    Mutation,
    Reverted,
    World,
)
from tests.contracts.signers import make_signer

HONEST, RETURNS_FALSE, TAKES_FEE, REENTERS, MOVES_NOTHING, REVERTS, MOVES_TWICE = range(7)
DAY_S = 86_400
EXIT = Config(escape=ESCAPE, guardian=GUARDIAN, governor=GOVERNOR)


def open_owing(mutation: Mutation | None, *amounts: int, config: Config | None = None) -> World:
    """A world whose first batch owes these amounts to the depositor and is final."""
    world = World(mutation=mutation, config=config)
    world.deposit(2 * sum(amounts))
    world.owe(*amounts)
    world.finalise()
    return world


def attack_by_claiming_twice(mutation: Mutation | None) -> None:
    world = open_owing(mutation, 100)
    number, index, asset, account, amount, proof = world.claim_arguments(world.last_owed, 0)
    world.call(STRANGER, world.vault, "claim", number, index, asset, account, amount, proof)
    with pytest.raises(Reverted):
        world.call(STRANGER, world.vault, "claim", number, index, asset, account, amount, proof)


def attack_by_claiming_neighbours(mutation: Mutation | None) -> None:
    """Claims of one batch share a word of storage and must not spend each other."""
    world = open_owing(mutation, *range(1, 4))
    for index in (1, 0, 2):
        try:
            world.claim(world.last_owed, index)
        except Reverted as error:
            raise AssertionError("One claim has spent another.") from error
    assert [True] * 3 == [world.view(world.vault, "isClaimed", 1, index) for index in range(3)]
    assert not world.view(world.vault, "isClaimed", 1, 256)


def attack_by_claiming_early(mutation: Mutation | None) -> None:
    world = World(mutation=mutation)
    world.deposit(1000)
    withdrawals = world.owe(100)
    with pytest.raises(Reverted):
        world.claim(withdrawals, 0)


def attack_by_forged_proof(mutation: Mutation | None) -> None:
    world = open_owing(mutation, 100)
    with pytest.raises(Reverted):
        world.call(STRANGER, world.vault, "claim", 1, 1, 0, STRANGER, 150, [])


def attack_by_another_asset(mutation: Mutation | None) -> None:
    """A withdrawal of the worthless token is claimed in cash."""
    world = World(mutation=mutation, config=Config(other_tokens=("HostileToken",)))
    world.deposit(1000)
    withdrawals = world.owe(100, asset=1)
    world.finalise()
    number, index, _, account, amount, proof = world.claim_arguments(withdrawals, 0)
    with pytest.raises(Reverted):
        world.call(STRANGER, world.vault, "claim", number, index, 0, account, amount, proof)


def attack_by_empty_root(mutation: Mutation | None) -> None:
    """A batch that owes nothing has the zero root; whoever finds no way to it must not be paid."""
    world = World(mutation=mutation)
    world.deposit(1000)
    world.submit(world.next_header())
    world.finalise()
    with pytest.raises(Reverted, match="batch has no withdrawals"):
        world.call(STRANGER, world.vault, "claim", 1, 0, 0, STRANGER, 1000, [])


def attack_by_releasing_twice(mutation: Mutation | None) -> None:
    world = open_owing(mutation, 1000, config=Config(day_limit=10))
    arguments = world.claim_arguments(world.last_owed, 0)
    world.call(STRANGER, world.vault, "claim", *arguments)
    world.now_s += 3 * DAY_S
    world.call(STRANGER, world.vault, "release", *arguments[:5])
    with pytest.raises(Reverted):
        world.call(STRANGER, world.vault, "release", *arguments[:5])


def attack_by_releasing_early(mutation: Mutation | None) -> None:
    world = open_owing(mutation, 1000, config=Config(day_limit=10))
    arguments = world.claim_arguments(world.last_owed, 0)
    world.call(STRANGER, world.vault, "claim", *arguments)
    with pytest.raises(Reverted, match="too early"):
        world.call(STRANGER, world.vault, "release", *arguments[:5])


def attack_by_draining_in_a_day(mutation: Mutation | None) -> None:
    """Within a day no more leaves than the limit, however many claims there are."""
    world = open_owing(mutation, *[300] * 10, config=Config(day_limit=1))
    held = world.vault_balance()
    for index in range(10):
        world.claim(world.last_owed, index)
    assert held - held // 10 <= world.vault_balance()


def attack_by_waiting_for_ever(mutation: Mutation | None) -> None:
    """A claim far beyond the limit waits three days and no longer; so does the next."""
    world = open_owing(mutation, 10**9, 5, config=Config(day_limit=1))
    world.deposit(10)
    for index in (0, 1):
        world.claim(world.last_owed, index)
    world.now_s += 3 * DAY_S
    for index in (0, 1):
        try:
            world.call(STRANGER, world.vault, "release", *world.claim_arguments(world.last_owed, index)[:5])
        except Reverted as error:
            raise AssertionError("A claim waits longer than three days.") from error


def attack_by_pausing_for_ever(mutation: Mutation | None) -> None:
    world = open_owing(mutation, 100, config=EXIT)
    world.call(GUARDIAN, world.vault, "pause")
    with pytest.raises(Reverted, match="paused"):
        world.claim(world.last_owed, 0)
    world.now_s += 3 * DAY_S
    with pytest.raises(Reverted, match="too recently"):
        world.call(GUARDIAN, world.vault, "pause")
    try:
        world.claim(world.last_owed, 0)
    except Reverted as error:
        raise AssertionError("A pause does not end.") from error


def attack_by_pausing_as_a_stranger(mutation: Mutation | None) -> None:
    world = open_owing(mutation, 100, config=EXIT)
    with pytest.raises(Reverted, match="only the guardian"):
        world.call(STRANGER, world.vault, "pause")


def attack_by_posing_as_escape(mutation: Mutation | None) -> None:
    world = open_owing(mutation, 100, config=EXIT)
    world.call(ESCAPE, world.settlement, "freeze")
    with pytest.raises(Reverted, match="only the escape"):
        world.call(STRANGER, world.vault, "payEscape", 0, STRANGER, 100)


def attack_by_escaping_before_the_freeze(mutation: Mutation | None) -> None:
    """Even a broken Escape cannot touch a venue that lives."""
    world = open_owing(mutation, 100, config=EXIT)
    with pytest.raises(Reverted, match="not frozen"):
        world.call(ESCAPE, world.vault, "payEscape", 0, STRANGER, 100)


def attack_by_depositing_after_the_freeze(mutation: Mutation | None) -> None:
    world = open_owing(mutation, 100, config=EXIT)
    world.fund(STRANGER, 10)
    world.call(ESCAPE, world.settlement, "freeze")
    with pytest.raises(Reverted, match="frozen"):
        world.call(STRANGER, world.vault, "deposit", 0, 10)


def attack_by_token_fee(mutation: Mutation | None) -> None:
    world = World(mutation=mutation, token="HostileToken")
    world.call(STRANGER, world.token, "setMode", TAKES_FEE, ZERO, b"")
    world.deposit(1000)
    assert world.entered == [world.vault_balance()]


def attack_by_false_transfer(mutation: Mutation | None) -> None:
    world = World(mutation=mutation, token="HostileToken")
    world.deposit(1000)
    withdrawals = world.owe(100)
    world.finalise()
    world.call(STRANGER, world.token, "setMode", RETURNS_FALSE, ZERO, b"")
    with pytest.raises(Reverted, match="transfer refused"):
        world.claim(withdrawals, 0)


def attack_by_moving_twice(mutation: Mutation | None) -> None:
    """A token that takes more than it was told to must not leave others unpaid."""
    world = World(mutation=mutation, token="HostileToken")
    world.deposit(1000)
    withdrawals = world.owe(100)
    world.finalise()
    world.call(STRANGER, world.token, "setMode", MOVES_TWICE, ZERO, b"")
    with pytest.raises(Reverted, match="wrong amount left"):
        world.claim(withdrawals, 0)


def attack_by_stealing_credit(mutation: Mutation | None) -> None:
    world = World(mutation=mutation)
    world.fund(STRANGER, 10)
    world.call(STRANGER, world.vault, "depositFor", 0, DEPOSITOR, 10)
    topics, _ = world.logs[-1].data
    assert int(DEPOSITOR, 16) == int.from_bytes(topics[2], "big")


def attack_by_entering_twice(mutation: Mutation | None) -> None:
    world = World(mutation=mutation, token="HostileToken")
    payload = world.encode_call(world.vault, "paidAtoms", 0)
    world.call(STRANGER, world.token, "setMode", REENTERS, world.vault.address, payload)
    world.deposit(1000)
    assert not world.view(world.token, "reentryAllowed")


def attack_by_emptying_a_box(mutation: Mutation | None) -> None:
    world = World(mutation=mutation)
    place = world.view(world.boxes, "boxOf", DEPOSITOR)
    world.call(DEPLOYER, world.token, "mint", place, 100)
    world.call(STRANGER, world.boxes, "collect", 0, DEPOSITOR)
    world.call(DEPLOYER, world.token, "mint", place, 100)
    box = world.box._replace(address=place)
    with pytest.raises(Reverted, match="only the boxes"):
        world.call(STRANGER, box, "sweep", world.token.address, STRANGER)


def attack_by_recovering_of_another(mutation: Mutation | None) -> None:
    world = World(mutation=mutation)
    place = world.view(world.boxes, "boxOf", DEPOSITOR)
    world.call(DEPLOYER, world.token, "mint", place, 100)
    with pytest.raises(Reverted, match="box is empty"):
        world.call(STRANGER, world.boxes, "recover", world.token.address)
    world.call(DEPOSITOR, world.boxes, "recover", world.token.address)
    assert 100 == world.view(world.token, "balanceOf", DEPOSITOR)


def attack_by_spending_the_permit_first(mutation: Mutation | None) -> None:
    """Somebody who saw a permit presents it first; the deposit that carries it still goes through."""
    world = World(mutation=mutation)
    owner = make_signer(1)
    world.call(DEPLOYER, world.token, "mint", owner.address, 100)
    v, r, s = owner.sign(hash_permit(world, owner.address, 100))
    deadline = world.now_s + 60
    world.call(STRANGER, world.token, "permit", owner.address, world.vault.address, 100, deadline, v, r, s)
    try:
        world.call(owner.address, world.vault, "depositWithPermit", 0, owner.address, 100, deadline, v, r, s)
    except Reverted as error:
        raise AssertionError("A permit that was spent blocks the deposit.") from error
    assert 100 == world.vault_balance()


def hash_permit(world: World, owner: str, amount: int) -> bytes:
    """The digest of an EIP-2612 permit for the vault, valid for a minute."""
    kind = keccak256(b"Permit(address owner,address spender,uint256 value,uint256 nonce,uint256 deadline)")
    values = (
        kind,
        owner,
        world.vault.address,
        amount,
        world.view(world.token, "nonces", owner),
        world.now_s + 60,
    )
    words = encode(["bytes32", "address", "address", "uint256", "uint256", "uint256"], values)
    return keccak256(b"\x19\x01" + world.view(world.token, "DOMAIN_SEPARATOR") + keccak256(words))
