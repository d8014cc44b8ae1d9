"""Settlement.vy: every refusal in the order of its clause, and the header's twin."""

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from novate.protocol.frame import keccak256
from novate.protocol.header import HEADER_BYTES, BatchHeader, HeaderError, decode_header
from novate.settlement.compiler import OPTIMISATION_LEVELS
from tests.contracts.harness import (
    DEPLOYER,
    FINALITY_DELAY_S,
    GENESIS_HASH,
    GENESIS_ROOT,
    OPERATOR,
    STRANGER,
    ZERO,
    Reverted,
    World,
)

HOUR_NS = 3600 * 10**9

# One row per refusal of [SETTLE-3]: the change to a lawful third header, and the reason.
REFUSALS: list[tuple[Callable[[BatchHeader], BatchHeader], str]] = [
    (lambda h: h._replace(number=h.number + 1), "number must be the next"),
    (lambda h: h._replace(number=h.number - 1), "number must be the next"),
    (lambda h: h._replace(previous_state_root=GENESIS_ROOT), "previous state root differs"),
    (lambda h: h._replace(state_root=bytes(32)), "state root must not be zero"),
    (lambda h: h._replace(first_sequence=h.first_sequence + 1), "sequences must be contiguous"),
    (lambda h: h._replace(first_sequence=h.first_sequence - 1), "sequences must be contiguous"),
    (lambda h: h._replace(last_sequence=h.first_sequence - 1), "batch must not be empty"),
    (lambda h: h._replace(inbox_cursor=1), "inbox cursor went back"),
    (lambda h: h._replace(inbox_cursor=3), "inbox cursor beyond the inbox"),
    (lambda h: h._replace(time_ns=h.time_ns - 1), "time went back"),
    (lambda h: h._replace(time_ns=h.time_ns + HOUR_NS + 1), "time too far ahead"),
]


def open_world(level: str) -> World:
    """A world with two deposits and two batches."""
    world = World(level)
    world.deposit(100)
    world.deposit(200)
    world.submit(world.next_header())
    world.submit(world.next_header())
    return world


@pytest.mark.parametrize("level", OPTIMISATION_LEVELS)
def test_refusals(level: str) -> None:
    """A header that breaks one rule is refused with that rule's reason and changes nothing."""
    world = open_world(level)
    for change, reason in REFUSALS:
        with pytest.raises(Reverted, match=f"^{reason}$"):
            world.submit(change(world.next_header()))
    for sender in (STRANGER, DEPLOYER):
        with pytest.raises(Reverted, match=r"^only the operator$"):
            world.submit(world.next_header(), sender)
    assert 2 == world.view(world.settlement, "batchCount")
    world.submit(world.next_header())
    assert 3 == world.view(world.settlement, "batchCount")


def test_bounds_are_inclusive() -> None:
    """Equal time, equal cursor, a batch of one command and a clock one hour ahead are lawful."""
    world = open_world("gas")
    header = world.next_header()
    header = header._replace(last_sequence=header.first_sequence, time_ns=header.time_ns + HOUR_NS)
    world.submit(header)
    assert header.hash() == world.view(world.settlement, "headerHash", header.number)


def test_first_batch_chains_to_genesis() -> None:
    """Batch 1 starts at sequence 1 from the genesis state root."""
    world = World()
    lawful = world.next_header()
    assert (1, GENESIS_ROOT, 1) == (lawful.number, lawful.previous_state_root, lawful.first_sequence)
    with pytest.raises(Reverted, match="previous state root differs"):
        world.submit(lawful._replace(previous_state_root=b"\x01" * 32))
    with pytest.raises(Reverted, match="sequences must be contiguous"):
        world.submit(lawful._replace(first_sequence=0))
    world.submit(lawful)
    assert GENESIS_HASH == world.view(world.settlement, "genesisHash")


@pytest.mark.parametrize("level", OPTIMISATION_LEVELS)
def test_finality_is_a_time_out(level: str) -> None:
    """A batch is final exactly when the delay has passed, and an unposted one never [SETTLE-5]."""
    world = World(level)
    world.submit(world.next_header())
    world.now_s += FINALITY_DELAY_S - 1
    assert not world.view(world.settlement, "isFinal", 1)
    world.now_s += 1
    assert world.view(world.settlement, "isFinal", 1)
    assert not world.view(world.settlement, "isFinal", 0)
    assert not world.view(world.settlement, "isFinal", 2)


def test_a_posted_header_stays() -> None:
    """No later submission changes a posted header [SETTLE-6]."""
    world = World()
    first = world.next_header()
    world.submit(first)
    with pytest.raises(Reverted, match="number must be the next"):
        world.submit(first._replace(state_root=b"\x09" * 32))
    world.submit(world.next_header())
    assert first.hash() == world.view(world.settlement, "headerHash", 1)


PARTIES = (OPERATOR, DEPLOYER, STRANGER, ZERO, ZERO, ZERO, ZERO, ZERO)
DELAYS = (1, 2, 1)


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (((ZERO, *PARTIES[1:]), GENESIS_HASH, GENESIS_ROOT, *DELAYS), "operator must not be zero"),
        (((OPERATOR, ZERO, *PARTIES[2:]), GENESIS_HASH, GENESIS_ROOT, *DELAYS), "vault must not be zero"),
        (((OPERATOR, DEPLOYER, ZERO, *PARTIES[3:]), GENESIS_HASH, GENESIS_ROOT, *DELAYS), "inbox must not"),
        ((PARTIES, GENESIS_HASH, bytes(32), *DELAYS), "state root must not be zero"),
        ((PARTIES, GENESIS_HASH, GENESIS_ROOT, 30 * 86400 + 1, 2, 1), "finality delay too long"),
        ((PARTIES, GENESIS_HASH, GENESIS_ROOT, 1, 2, 2), "upgrade delay too short"),
    ],
)
def test_constructor_refuses(arguments: tuple[object, ...], reason: str) -> None:
    """What is fixed for ever is checked once [SETTLE-4] [SETTLE-23]."""
    with pytest.raises(Reverted, match=reason):
        World().deploy_own("Settlement", *arguments)


def test_event_carries_the_header() -> None:
    """BatchSubmitted logs the number, the hash and the canonical bytes."""
    world = World()
    header = world.next_header()
    world.submit(header)
    topics, data = world.logs[0].data
    assert header.number == int.from_bytes(topics[1], "big")
    assert header.hash() + header.encode() == bytes(data)


uint64s = st.integers(0, 2**64 - 1)
words = st.binary(min_size=32, max_size=32)
headers = st.builds(
    BatchHeader, uint64s, words, words, uint64s, uint64s, words, uint64s, words, words, words, uint64s
)


@given(headers)
def test_header_round_trip(header: BatchHeader) -> None:
    """A header is its bytes, and its hash is theirs [SETTLE-1] [SETTLE-2]."""
    data = header.encode()
    assert HEADER_BYTES == len(data)
    assert header == decode_header(data)
    assert keccak256(data) == header.hash()


@settings(max_examples=30, deadline=None)
@given(words, words, words, st.integers(1, 2**64 - 1))
def test_header_hash_equals_the_contract(root: bytes, head: bytes, data_hash: bytes, last: int) -> None:
    """The contract stores the hash that Python computes, whatever the fields."""
    world = World()
    header = world.next_header()._replace(
        state_root=root if any(root) else b"\x01" * 32,
        journal_head=head,
        data_hash=data_hash,
        last_sequence=last,
    )
    world.submit(header)
    assert header.hash() == world.view(world.settlement, "headerHash", 1)


@given(st.binary(max_size=400))
def test_other_bytes_are_no_header(data: bytes) -> None:
    """Bytes that are not a header's raise HeaderError and nothing else."""
    try:
        header = decode_header(data)
    except HeaderError:
        return
    assert data == header.encode()


def test_header_fields_are_checked() -> None:
    """A field that does not fit is named."""
    header = World().next_header()
    with pytest.raises(HeaderError, match="time_ns"):
        header._replace(time_ns=2**64).encode()
    with pytest.raises(HeaderError, match="marks_root"):
        header._replace(marks_root=b"short").encode()
    with pytest.raises(HeaderError, match="number"):
        decode_header(b"\xff" * HEADER_BYTES)
