"""Attacks on the chain of batches, the inbox and the rungs, in the manner of attacks_vault."""

import pytest

from tests.contracts.attacks_vault import DAY_S, EXIT, open_owing
from tests.contracts.harness import (
    BOND_MIN,
    ESCAPE,
    GOVERNOR,
    OPERATOR,
    STRANGER,
    UPGRADE_DELAY_S,
    ZERO,
    Config,
    Mutation,
    Reverted,
    World,
)


def attack_by_entering_forged_entries(mutation: Mutation | None) -> None:
    """Only the vault can say that money came."""
    world = World(mutation=mutation, config=EXIT)
    for sender in (STRANGER, ESCAPE, OPERATOR):
        with pytest.raises(Reverted, match="only the vault"):
            world.call(sender, world.inbox, "append", 1, STRANGER, 0, 10**6, b"")


def attack_by_a_false_operator(mutation: Mutation | None) -> None:
    world = World(mutation=mutation)
    with pytest.raises(Reverted):
        world.submit(world.next_header(), STRANGER)


def attack_by_forking_history(mutation: Mutation | None) -> None:
    world = World(mutation=mutation)
    world.submit(world.next_header())
    with pytest.raises(Reverted):
        world.submit(world.next_header()._replace(previous_state_root=b"\x66" * 32))


def attack_by_replaying_a_batch(mutation: Mutation | None) -> None:
    world = World(mutation=mutation)
    world.submit(world.next_header())
    again = world.next_header()._replace(number=1, first_sequence=1)
    with pytest.raises(Reverted):
        world.submit(again)


def attack_by_a_zero_root(mutation: Mutation | None) -> None:
    world = World(mutation=mutation)
    with pytest.raises(Reverted):
        world.submit(world.next_header()._replace(state_root=bytes(32)))


def attack_by_inventing_deposits(mutation: Mutation | None) -> None:
    world = World(mutation=mutation)
    world.deposit(1000)
    with pytest.raises(Reverted):
        world.submit(world.next_header()._replace(inbox_cursor=2))


def attack_by_forgetting_deposits(mutation: Mutation | None) -> None:
    world = World(mutation=mutation)
    world.deposit(1000)
    world.submit(world.next_header())
    with pytest.raises(Reverted):
        world.submit(world.next_header()._replace(inbox_cursor=0))


def attack_by_skipping_sequences(mutation: Mutation | None) -> None:
    world = World(mutation=mutation)
    with pytest.raises(Reverted):
        world.submit(world.next_header()._replace(first_sequence=3))


def attack_by_time_travel(mutation: Mutation | None) -> None:
    world = World(mutation=mutation)
    world.submit(world.next_header())
    header = world.next_header()
    with pytest.raises(Reverted):
        world.submit(header._replace(time_ns=header.time_ns - 1))


def attack_by_posting_after_the_freeze(mutation: Mutation | None) -> None:
    world = open_owing(mutation, 100, config=EXIT)
    world.call(ESCAPE, world.settlement, "freeze")
    with pytest.raises(Reverted, match="frozen"):
        world.submit(world.next_header())


def attack_by_finality_after_the_freeze(mutation: Mutation | None) -> None:
    """A batch that was not final at the freeze never becomes final: it would pay what escapes as well."""
    world = open_owing(mutation, 100, config=EXIT)
    earlier, later = world.last_owed, world.owe(200)
    world.call(ESCAPE, world.settlement, "freeze")
    world.finalise()
    with pytest.raises(Reverted, match="not final"):
        world.claim(later, 0)
    world.claim(earlier, 0)


def attack_by_freezing_as_a_stranger(mutation: Mutation | None) -> None:
    world = World(mutation=mutation, config=EXIT)
    with pytest.raises(Reverted, match="only the escape"):
        world.call(STRANGER, world.settlement, "freeze")


def attack_by_a_foreign_header(mutation: Mutation | None) -> None:
    """Marks and state of a batch are those of the posted header."""
    world = World(mutation=mutation)
    header = world.next_header()
    world.submit(header)
    with pytest.raises(Reverted, match="was not posted"):
        world.call(STRANGER, world.settlement, "openHeader", tuple(header._replace(marks_root=b"\x01" * 32)))


def attack_by_upgrading_at_once(mutation: Mutation | None) -> None:
    """A stolen governor key cannot change the rungs before everybody could leave."""
    world = World(mutation=mutation, config=EXIT)
    world.call(GOVERNOR, world.settlement, "announceRungs", ZERO, STRANGER)
    world.now_s += UPGRADE_DELAY_S - 1
    with pytest.raises(Reverted, match="too early"):
        world.call(STRANGER, world.settlement, "adoptRungs")


def attack_by_upgrading_as_a_stranger(mutation: Mutation | None) -> None:
    world = World(mutation=mutation, config=EXIT)
    with pytest.raises(Reverted, match="only the governor"):
        world.call(STRANGER, world.settlement, "announceRungs", ZERO, ZERO)


def attack_by_an_old_announcement(mutation: Mutation | None) -> None:
    """An announcement that nobody adopted lapses, as a signed approval must."""
    world = World(mutation=mutation, config=EXIT)
    world.call(GOVERNOR, world.settlement, "announceRungs", ZERO, STRANGER)
    world.now_s += UPGRADE_DELAY_S + 14 * DAY_S
    with pytest.raises(Reverted, match="lapsed"):
        world.call(STRANGER, world.settlement, "adoptRungs")


def attack_by_a_broken_rung(mutation: Mutation | None) -> None:
    """A verifier that answers nothing stops finality, and neither the freeze nor earlier claims."""
    world = World(mutation=mutation, config=EXIT)
    world.deposit(1000)
    withdrawals = world.owe(100)
    world.finalise()
    world.call(GOVERNOR, world.settlement, "announceRungs", ZERO, world.token.address)
    world.now_s += UPGRADE_DELAY_S
    world.call(STRANGER, world.settlement, "adoptRungs")
    world.owe(5)
    world.finalise()
    try:
        assert [True, False] == [world.view(world.settlement, "isFinal", number) for number in (1, 2)]
        assert 1 == world.call(ESCAPE, world.settlement, "freeze")
    except Reverted as error:
        raise AssertionError("A broken rung stops the freeze.") from error
    world.claim(withdrawals, 0)


def attack_by_posting_without_a_bond(mutation: Mutation | None) -> None:
    world = World(mutation=mutation, config=Config(bond_min=BOND_MIN))
    with pytest.raises(Reverted, match="bond is too small"):
        world.submit(world.next_header())
