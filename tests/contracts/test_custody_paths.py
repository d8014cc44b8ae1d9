"""The lawful ways through the contracts of custody, each at every optimisation level."""

import pytest

from novate.settlement.compiler import OPTIMISATION_LEVELS
from tests.contracts.attacks_quorum import Bonded, Quorum, rotate
from tests.contracts.attacks_vault import DAY_S, EXIT, hash_permit, open_owing
from tests.contracts.harness import (
    BOND_MIN,
    DEPLOYER,
    DEPOSITOR,
    EPOCH_S,
    ESCAPE,
    FINALITY_DELAY_S,
    GOVERNOR,
    GUARDIAN,
    INSURANCE,
    OPERATOR,
    RETURN_DELAY_S,
    STAKE_MIN,
    STRANGER,
    UNBONDING_S,
    UPGRADE_DELAY_S,
    ZERO,
    Config,
    Reverted,
    World,
)
from tests.contracts.signers import make_signer

UNKNOWN, POSTED, ATTESTED, PROVEN, FINAL = range(5)


@pytest.mark.parametrize("level", OPTIMISATION_LEVELS)
def test_a_box_collects_transfers(level: str) -> None:
    """A plain transfer to an account's box is credited to it by anybody, again and again [SETTLE-19]."""
    world = World(level)
    place = world.view(world.boxes, "boxOf", DEPOSITOR)
    with pytest.raises(Reverted, match="box is empty"):
        world.call(STRANGER, world.boxes, "collect", 0, DEPOSITOR)
    for amount in (70, 80):
        world.call(DEPLOYER, world.token, "mint", place, amount)
        world.call(STRANGER, world.boxes, "collect", 0, DEPOSITOR)
    assert ([70, 80], 150) == (world.entered, world.vault_balance())
    assert place != world.view(world.boxes, "boxOf", STRANGER)


@pytest.mark.parametrize("level", OPTIMISATION_LEVELS)
def test_a_permit_is_an_approval(level: str) -> None:
    """A signed permit and no approval is enough to deposit [SETTLE-19]."""
    world = World(level)
    owner = make_signer(1)
    world.call(DEPLOYER, world.token, "mint", owner.address, 100)
    v, r, s = owner.sign(hash_permit(world, owner.address, 100))
    arguments = (0, DEPOSITOR, 100, world.now_s + 60, v, r, s)
    with pytest.raises(Reverted, match="allowance too small"):
        world.call(STRANGER, world.vault, "depositWithPermit", *arguments)
    world.call(owner.address, world.vault, "depositWithPermit", *arguments)
    assert [100] == world.entered


@pytest.mark.parametrize("level", OPTIMISATION_LEVELS)
def test_a_day_leaves_at_once_and_the_rest_waits(level: str) -> None:
    """A tenth of what is held leaves in a day; claims beyond it queue and are paid later [SETTLE-20]."""
    world = open_owing(None, *[100] * 8, config=Config(day_limit=1))
    waits = []
    for index in range(8):
        world.claim(world.last_owed, index)
        if world.vault_balance() == 1600 - 100 * (index + 1):
            continue
        waits.append(index)
    assert [1, 2, 3, 4, 5, 6, 7] == waits
    assert 700 == world.view(world.vault, "reservedAtoms", 0)
    world.now_s += 3 * DAY_S
    for index in waits:
        arguments = world.claim_arguments(world.last_owed, index)[:5]
        world.call(STRANGER, world.vault, "release", *arguments)
    assert (0, 800) == (world.view(world.vault, "reservedAtoms", 0), world.vault_balance())
    assert 800 == world.view(world.vault, "paidAtoms", 0)


def test_a_pause_stops_claims_and_not_the_exit() -> None:
    """While paused nothing is claimed; deposits and the exit go on; the guardian may end it [SETTLE-21]."""
    world = open_owing(None, 100, config=EXIT)
    world.call(GUARDIAN, world.vault, "pause")
    with pytest.raises(Reverted, match="paused"):
        world.claim(world.last_owed, 0)
    world.deposit(5)
    world.call(ESCAPE, world.settlement, "freeze")
    world.call(ESCAPE, world.vault, "payEscape", 0, STRANGER, 7)
    assert 7 == world.view(world.token, "balanceOf", STRANGER)
    world.call(GUARDIAN, world.vault, "unpause")
    world.claim(world.last_owed, 0)


@pytest.mark.parametrize("level", OPTIMISATION_LEVELS)
def test_the_ladder(level: str) -> None:
    """A batch is posted, attested and final; both the quorum and time are needed [SETTLE-5]."""
    quorum = Quorum(None, level=level)
    world = quorum.world
    assert [UNKNOWN, POSTED, POSTED] == [world.view(world.settlement, "statusOf", n) for n in (3, 1, 2)]
    world.finalise()
    assert not world.view(world.settlement, "isFinal", 1)
    quorum.attest(1, quorum.sign(1, 3))
    assert [True, False] == [world.view(world.settlement, "isFinal", n) for n in (1, 2)]
    assert [FINAL, POSTED] == [world.view(world.settlement, "statusOf", n) for n in (1, 2)]
    world.submit(world.next_header())
    quorum.attest(2, quorum.sign(2, 4))
    quorum.attest(3, quorum.sign(3, 3))
    assert [FINAL, PROVEN, 2] == [
        world.view(world.settlement, "statusOf", 2),
        world.view(world.settlement, "statusOf", 3),
        world.call(STRANGER, world.settlement, "recordFinal"),
    ]
    world.now_s += FINALITY_DELAY_S
    assert 3 == world.view(world.settlement, "lastFinal")


def test_rungs_change_after_their_delay() -> None:
    """Anybody adopts an announcement; without validators finality is a time-out again [SETTLE-23]."""
    quorum = Quorum(None)
    world = quorum.world
    world.call(GOVERNOR, world.settlement, "announceRungs", ZERO, ZERO)
    world.now_s += UPGRADE_DELAY_S
    assert 0 == world.view(world.settlement, "lastFinal")
    world.call(STRANGER, world.settlement, "adoptRungs")
    assert (ZERO, 2) == (
        world.view(world.settlement, "validators"),
        world.view(world.settlement, "lastFinal"),
    )
    with pytest.raises(Reverted, match="nothing is announced"):
        world.call(STRANGER, world.settlement, "adoptRungs")


def test_last_final_is_found_by_bisection() -> None:
    """However many batches wait, the last final one is the one that time says."""
    world = World()
    for _ in range(20):
        world.submit(world.next_header())
        world.now_s += 60
    for wait in range(22):
        expected = sum(60 * (20 - n) + 60 * wait >= FINALITY_DELAY_S for n in range(20))
        assert min(expected, 20) == world.view(world.settlement, "lastFinal"), wait
        world.now_s += 60


def test_a_header_opens_its_roots() -> None:
    """State and marks root of a batch are there once somebody shows its header [SETTLE-2]."""
    world = World()
    header = world.next_header()
    world.submit(header)
    assert bytes(32) == world.view(world.settlement, "stateRootOf", 1)
    world.call(STRANGER, world.settlement, "openHeader", tuple(header))
    assert header.state_root == world.view(world.settlement, "stateRootOf", 1)
    assert header.marks_root == world.view(world.settlement, "marksRootOf", 1)
    assert header.inbox_cursor == world.view(world.settlement, "inboxCursorOf", 1)
    assert world.now_s == world.view(world.settlement, "postedAt", 1)


@pytest.mark.parametrize("level", OPTIMISATION_LEVELS)
def test_a_set_rotates_and_a_member_leaves(level: str) -> None:
    """The quorum names the next set; whoever left is paid after unbonding [SETTLE-25] [SETTLE-26]."""
    quorum = Quorum(None, level=level)
    world, leaver = quorum.world, quorum.signers[3]
    rotate(quorum, 3)
    assert (2, 3) == (world.view(world.validators, "epoch"), world.view(world.validators, "quorum"))
    world.now_s -= EPOCH_S
    with pytest.raises(Reverted, match="epoch is not over"):
        rotate(quorum, 3)
    world.call(leaver.address, world.validators, "leave", 10 * STAKE_MIN)
    assert (3, False) == (
        world.view(world.validators, "memberCount"),
        world.view(world.validators, "isMember", leaver.address),
    )
    world.now_s += UNBONDING_S
    world.call(leaver.address, world.validators, "withdraw")
    assert 10 * STAKE_MIN == world.view(world.token, "balanceOf", leaver.address)
    quorum.attest(1, quorum.sign(1, 3, epoch=2))
    with pytest.raises(Reverted, match="already open"):
        world.call(STRANGER, world.validators, "open")


def test_set_refusals() -> None:
    """A set ascends, fits its quorum and has staked; a quorum of nobody does not exist [SETTLE-25]."""
    quorum = Quorum(None)
    world = quorum.world
    cash, settlement = world.token.address, world.settlement.address
    addresses = [signer.address for signer in quorum.signers]
    for members, least, reason in (
        ([], 0, "quorum too small"),
        (addresses, 5, "quorum above the members"),
        (addresses, 2, "quorum too small"),
        (addresses[::-1], 3, "members must ascend"),
        ([addresses[0]] * 2, 2, "members must ascend"),
        ([ZERO], 1, "members must ascend"),
    ):
        staking = (members, least, STAKE_MIN, EPOCH_S, UNBONDING_S, 0)
        with pytest.raises(Reverted, match=reason):
            world.deploy_own("Validators", cash, settlement, INSURANCE, *staking)
    staking = (addresses, 3, STAKE_MIN, EPOCH_S, FINALITY_DELAY_S, 0)
    with pytest.raises(Reverted, match="unbonding too short"):
        world.deploy_own("Validators", cash, settlement, INSURANCE, *staking)
    lonely = World(config=Config(members=(make_signer(9).address,), quorum=1))
    with pytest.raises(Reverted, match="member has not staked"):
        lonely.call(STRANGER, lonely.validators, "open")
    with pytest.raises(Reverted, match="not open"):
        lonely.call(STRANGER, lonely.validators, "attest", 1, [])


@pytest.mark.parametrize("level", OPTIMISATION_LEVELS)
def test_a_bond_returns_after_its_delay(level: str) -> None:
    """With a bond batches are posted; what leaves no longer counts and comes back later [SETTLE-28]."""
    bonded = Bonded(None, level=level)
    world, operator = bonded.world, bonded.operator.address
    world.submit(world.next_header(), operator)
    world.call(operator, world.bond, "leave", 2 * BOND_MIN)
    with pytest.raises(Reverted, match="bond is too small"):
        world.submit(world.next_header(), operator)
    world.now_s += RETURN_DELAY_S
    world.call(operator, world.bond, "withdraw")
    assert 2 * BOND_MIN == world.view(world.token, "balanceOf", operator)


def test_each_kind_has_one_writer() -> None:
    """Each kind is entered by its writer alone, for somebody, and there is no fifth [SETTLE-18]."""
    keys = "0x" + "90" + "00" * 18 + "77"
    world = World(config=EXIT._replace(keys=keys))
    for kind, sender in ((2, ESCAPE), (3, keys), (4, keys)):
        for other in (STRANGER, OPERATOR, ESCAPE, keys):
            if other != sender:
                with pytest.raises(Reverted, match="only the"):
                    world.call(other, world.inbox, "append", kind, STRANGER, 0, 5, b"\x01")
        world.call(sender, world.inbox, "append", kind, STRANGER, 0, 5, b"\x01")
    for kind in (0, 5, 255):
        with pytest.raises(Reverted, match="kind is unknown"):
            world.call(keys, world.inbox, "append", kind, STRANGER, 0, 5, b"")
    with pytest.raises(Reverted, match="account must not be zero"):
        world.call(keys, world.inbox, "append", 3, ZERO, 0, 5, b"")
    assert 3 == world.view(world.inbox, "count")


def test_little_gas_does_not_choose_the_last_word() -> None:
    """Whoever freezes with the least gas gets the same last word: no rung can be starved [SETTLE-22]."""
    quorum = Quorum(None, config=EXIT)
    world = quorum.world
    quorum.attest(1, quorum.sign(1, 3))
    world.finalise()
    for gas in range(22_000, 200_000, 250):
        try:
            assert 1 == world.call(ESCAPE, world.settlement, "freeze", gas=gas)
        except Reverted:
            continue
        break
    assert 1 == world.view(world.settlement, "lastFinal")
