"""Each planted bug in a contract is caught: an attack that the real one repels succeeds on the mutant."""

from collections.abc import Callable

import pytest

from tests.contracts.harness import DEPOSITOR, STRANGER, Mutation, Reverted, World
from tests.contracts.test_vault_contract import REENTERS, RETURNS_FALSE, TAKES_FEE, ZERO

Attack = Callable[[Mutation | None], None]


def attack_by_claiming_twice(mutation: Mutation | None) -> None:
    world = World(mutation=mutation)
    world.deposit(1000)
    withdrawals = world.owe(100)
    world.finalise()
    world.claim(withdrawals, 0)
    with pytest.raises(Reverted):
        world.claim(withdrawals, 0)


def attack_by_claiming_early(mutation: Mutation | None) -> None:
    world = World(mutation=mutation)
    world.deposit(1000)
    withdrawals = world.owe(100)
    with pytest.raises(Reverted):
        world.claim(withdrawals, 0)


def attack_by_forged_proof(mutation: Mutation | None) -> None:
    world = World(mutation=mutation)
    world.deposit(1000)
    world.owe(100)
    world.finalise()
    with pytest.raises(Reverted):
        world.call(STRANGER, world.vault, "claim", 1, 0, STRANGER, 1000, [])


def attack_by_forking_history(mutation: Mutation | None) -> None:
    world = World(mutation=mutation)
    world.submit(world.next_header())
    with pytest.raises(Reverted):
        world.submit(world.next_header()._replace(previous_state_root=b"\x66" * 32))


def attack_by_posing_as_operator(mutation: Mutation | None) -> None:
    world = World(mutation=mutation)
    with pytest.raises(Reverted):
        world.submit(world.next_header(), STRANGER)


def attack_by_token_fee(mutation: Mutation | None) -> None:
    world = World(mutation=mutation, token="HostileToken")
    world.call(STRANGER, world.token, "setMode", TAKES_FEE, ZERO, b"")
    world.deposit(1000)
    assert world.view(world.vault, "depositAmount", 1) == world.vault_balance()


def attack_by_false_transfer(mutation: Mutation | None) -> None:
    world = World(mutation=mutation, token="HostileToken")
    world.deposit(1000)
    withdrawals = world.owe(100)
    world.finalise()
    world.call(STRANGER, world.token, "setMode", RETURNS_FALSE, ZERO, b"")
    with pytest.raises(Reverted, match="transfer refused"):
        world.claim(withdrawals, 0)


def attack_by_inventing_deposits(mutation: Mutation | None) -> None:
    world = World(mutation=mutation)
    world.deposit(1000)
    with pytest.raises(Reverted):
        world.submit(world.next_header()._replace(deposit_cursor=2))


def attack_by_skipping_sequences(mutation: Mutation | None) -> None:
    world = World(mutation=mutation)
    with pytest.raises(Reverted):
        world.submit(world.next_header()._replace(first_sequence=3))


def attack_by_stealing_credit(mutation: Mutation | None) -> None:
    world = World(mutation=mutation)
    world.fund(STRANGER, 10)
    world.call(STRANGER, world.vault, "depositFor", DEPOSITOR, 10)
    assert DEPOSITOR == world.view(world.vault, "depositAccount", 1)


def attack_by_entering_twice(mutation: Mutation | None) -> None:
    world = World(mutation=mutation, token="HostileToken")
    payload = world.encode_call(world.vault, "depositCursor")
    world.call(STRANGER, world.token, "setMode", REENTERS, world.vault.address, payload)
    world.deposit(1000)
    assert not world.view(world.token, "reentryAllowed")


BUGS: dict[str, tuple[Mutation, Attack]] = {
    "no nullifier is written": (
        ("Vault", "self.isClaimed[batchNumber][index] = True", "assert True"),
        attack_by_claiming_twice,
    ),
    "the nullifier is not read": (
        ("Vault", 'assert not self.isClaimed[batchNumber][index], "already claimed"', "assert True"),
        attack_by_claiming_twice,
    ),
    "finality is not asked": (
        ("Vault", 'assert final, "batch is not final"', "assert True"),
        attack_by_claiming_early,
    ),
    "everything posted is final": (
        ("Settlement", "block.timestamp >= posted_at + finalityDelay", "block.timestamp >= posted_at"),
        attack_by_claiming_early,
    ),
    "the proof is not compared": (
        ("Vault", 'assert node == root, "proof does not match"', "assert True"),
        attack_by_forged_proof,
    ),
    "history may fork": (
        (
            "Settlement",
            'assert header.previousStateRoot == self.stateRoot, "previous state root differs"',
            "assert True",
        ),
        attack_by_forking_history,
    ),
    "anyone is the operator": (
        ("Settlement", 'assert msg.sender == operator, "only the operator"', "assert True"),
        attack_by_posing_as_operator,
    ),
    "the asked amount is credited": (
        ("Vault", "received: uint256 = balance_after - balance_before", "received: uint256 = amount"),
        attack_by_token_fee,
    ),
    "a false transfer counts as paid": (
        (
            "Vault",
            "transfer(account, amount, default_return_value=True)\n    assert success",
            "transfer(account, amount, default_return_value=True)\n    assert True",
        ),
        attack_by_false_transfer,
    ),
    "deposits may be invented": (
        (
            "Settlement",
            'assert header.depositCursor <= deposit_count, "deposit cursor beyond the vault"',
            "assert True",
        ),
        attack_by_inventing_deposits,
    ),
    "sequences may be skipped": (
        (
            "Settlement",
            'header.firstSequence == self.lastSequence + 1, "',
            'header.firstSequence > self.lastSequence, "',
        ),
        attack_by_skipping_sequences,
    ),
    "the lock is off": (("Vault", "#pragma nonreentrancy on", ""), attack_by_entering_twice),
    "the payer is credited": (
        ("Vault", "self._deposit(account, amount)", "self._deposit(msg.sender, amount)"),
        attack_by_stealing_credit,
    ),
}


@pytest.mark.parametrize("name", BUGS)
def test_planted_bug_is_caught(name: str) -> None:
    """The attack fails on the real contract and succeeds on the mutant, so its test sees the bug."""
    mutation, attack = BUGS[name]
    attack(None)
    with pytest.raises((AssertionError, pytest.fail.Exception)):
        attack(mutation)
