"""The verifier's reading of a chain log: lawful logs pass, anything else is a RecordError that says where."""

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from novate.protocol.chain_blocks import (
    CHAIN_KIND,
    Block,
    BlockError,
    Genesis,
    decode_block,
    decode_genesis,
    encode_block,
    encode_genesis,
)
from novate.protocol.frame import encode_frame, iterate_frames
from novate.settlement.client import compute_create_address
from novate.verification.chain_record import ENTERED_TOPIC, ChainRecord, RecordError, replay_chain
from tests.contracts.test_embedded_chain import CHAIN_ID, OPERATOR, Clock, live, sign

START = Genesis(CHAIN_ID, 100, ())
ADDRESS = b"\x09" * 20


def write(*payloads: bytes, kind: int = CHAIN_KIND) -> bytes:
    """Frame payloads into a log."""
    data, previous = b"", bytes(32)
    for sequence, payload in enumerate(payloads):
        frame = encode_frame(kind, sequence, payload, previous)
        data, previous = data + frame, frame[-32:]
    return data


def replay(data: bytes) -> ChainRecord:
    return replay_chain(data, chain_id=CHAIN_ID, settlement=ADDRESS, inbox=ADDRESS, vault=ADDRESS)


def block(number: int, *raws: bytes, timestamp_s: int = 100) -> bytes:
    return encode_block(Block(number, timestamp_s, bytes(20), raws))


GENESIS = encode_genesis(START)


@pytest.mark.parametrize(
    ("data", "where", "what"),
    [
        (b"", "block 0", "bytes are left"),
        (write(GENESIS)[:-1], "block 0", "cut short"),
        (write(GENESIS) + b"\x00", "block 1", "bytes are left"),
        (write(GENESIS, kind=9), "block 0", "kind"),
        (write(encode_genesis(Genesis(1, 100, ()))), "genesis", "chain id"),
        (write(GENESIS + b"\x00"), "genesis", "nothing else"),
        (write(GENESIS, b"short"), "block 1", "cut short"),
        (write(GENESIS, block(2)), "block 1", "its number should be 1"),
        (write(GENESIS, block(1, timestamp_s=99)), "block 1", "before its parent"),
        (write(GENESIS, block(1) + b"\x00"), "block 1", "bytes are left"),
        (write(GENESIS, block(1, b"\x02\xc0")), "block 1 transaction 0", "12 fields"),
        (write(GENESIS, block(1, sign(0), sign(0))), "block 1 transaction 1", "nonce 0 should be 1"),
        (write(GENESIS, block(1, sign(0)), block(2, sign(2))), "block 2 transaction 0", "nonce 2"),
        (write(GENESIS, block(1, sign(0, chainId=2))), "block 1 transaction 0", "chain id 2"),
        (write(GENESIS, block(1, sign(0, value=1))), "block 1 transaction 0", "cannot be executed"),
        (write(GENESIS, block(1, sign(0, gas=1))), "block 1 transaction 0", "cannot be executed"),
    ],
)
def test_unlawful_logs(data: bytes, where: str, what: str) -> None:
    """Each broken rule is named together with its block and transaction."""
    with pytest.raises(RecordError, match=what) as caught:
        replay(data)
    assert where == caught.value.where


def test_a_lawful_log_without_contracts() -> None:
    """Blocks of any number of transactions are executed; a view of nothing is an error, not a zero."""
    record = replay(write(GENESIS, block(1, sign(0), sign(1)), block(2), block(3, sign(2), timestamp_s=101)))
    assert (3, 101) == (record.block_number, record.timestamp_s)
    with pytest.raises(RecordError, match="32 bytes should come back"):
        record.batch_count()


def test_impostor_events_are_refused() -> None:
    """A contract at the watched address that logs malformed events is found out."""
    topic = "7f" + ENTERED_TOPIC.hex()
    # Creation code that logs the topic alone and returns no code.
    raw = sign(0, to="", data=bytes.fromhex(topic + "5f5fa1" + "5f5ff3"), gas=200_000)
    data = write(GENESIS, block(1, raw))
    lawful = replay(data)
    assert [] == lawful.entries
    created = bytes.fromhex(compute_create_address(OPERATOR.address, 0)[2:])
    with pytest.raises(RecordError, match="wrong shape"):
        replay_chain(data, chain_id=CHAIN_ID, settlement=ADDRESS, inbox=created, vault=ADDRESS)


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path: Path = tmp_path_factory.mktemp("chain") / "chain.log"
    chain, _ = live(path, Clock())
    chain.close()
    return path.read_bytes()


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_forged_payloads(log: bytes, data: st.DataObject) -> None:
    """A byte changed inside chained frames is refused or makes another lawful chain; never a traceback."""
    payloads = [frame.payload for frame in iterate_frames(log, bytes(32))]
    place = data.draw(st.integers(0, len(payloads) - 1))
    payload = bytearray(payloads[place])
    payload[data.draw(st.integers(0, len(payload) - 1))] ^= data.draw(st.integers(1, 255))
    with suppress(RecordError):
        replay(write(*payloads[:place], bytes(payload), *payloads[place + 1 :]))


@given(st.binary(max_size=300))
def test_arbitrary_bytes(data: bytes) -> None:
    """No bytes make the reader fail in another way."""
    with pytest.raises(RecordError):
        replay(data)


@pytest.mark.parametrize("decode", [decode_block, decode_genesis])
@given(data=st.binary(max_size=120))
def test_payload_codec(decode: Callable[[bytes], object], data: bytes) -> None:
    """A payload decodes to what encodes to it, or raises BlockError [SETTLE-13]."""
    try:
        decoded = decode(data)
    except BlockError:
        return
    encoded = encode_block(decoded) if isinstance(decoded, Block) else encode_genesis(decoded)  # type: ignore[arg-type]
    assert data == encoded
