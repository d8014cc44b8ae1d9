"""Posted data: its bytes, its blobs, and a venue rebuilt from the chain alone, however it was posted."""

import json
import urllib.parse
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache, partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import msgspec
import pytest
from eth_account import Account
from hypothesis import given, settings
from hypothesis import strategies as st
from web3 import Web3

from novate.apps.post import open_poster, run_posting
from novate.protocol.batch_data import (
    BLOB_BYTES,
    BLOB_USED_BYTES,
    DATA_BYTES_MAX,
    BatchDataError,
    decode_batch_data,
    encode_batch_data,
    pack_blobs,
    unpack_blobs,
)
from novate.protocol.frame import HEADER_BYTES as FRAME_HEADER_BYTES
from novate.protocol.generated.codes import CommandKind
from novate.protocol.header import HEADER_BYTES, decode_header
from novate.settlement.batch_source import DataMode, PublishedBatches
from novate.settlement.blobs import make_sidecar, store_blobs
from novate.settlement.client import SettlementClient, SettlementError
from novate.settlement.deployment import deploy_contracts
from novate.settlement.endpoints import WitnessedChain, open_endpoints
from novate.settlement.fees import FeePolicy
from novate.settlement.header_contract import HeaderContract
from novate.settlement.posting import PostedData, Poster
from novate.settlement.posting_record import PostingRecord
from novate.verification.findings import CheckFailed
from novate.verification.node import Node
from novate.verification.posted import open_blobs, read_posted
from novate.verification.rebuild import ChainSource
from novate.verification.verdict import verify_chain
from tests.contracts.anvil_node import CHAIN_ID, Anvil, run_anvil
from tests.contracts.posting_world import PostingWorld
from tests.contracts.rpc_proxy import open_proxies
from tests.verification.small_genesis import OPERATOR_SECRET, START_S, make_genesis
from tests.verification.small_venue import Lies, publish, write_script

OPERATOR = Account.from_key(OPERATOR_SECRET)
# A node checks 128 proofs for each blob before it answers.
BLOB_TIMEOUT_S = 120.0


@given(number=st.integers(0, 2**64 - 1), payloads=st.lists(st.binary(max_size=50), max_size=20))
def test_data_is_read_as_it_was_written(number: int, payloads: list[bytes]) -> None:
    """Any payloads come back from bytes and from blobs, and from no other batch's number [SETTLE-33]."""
    data = encode_batch_data(number, payloads)
    assert payloads == decode_batch_data(data, number)
    assert data == unpack_blobs(pack_blobs(data))
    with pytest.raises(BatchDataError, match="is that of batch"):
        decode_batch_data(data, number ^ 1)


@settings(max_examples=50)
@given(place=st.integers(0), bit=st.integers(0, 7), cut=st.booleans())
def test_changed_data_is_refused_or_other_data(place: int, bit: int, cut: bool) -> None:
    """No changed byte reads as the same payloads, and none makes the reader fail in another way."""
    payloads = [b"one", b"", b"three" * 20]
    data = bytearray(encode_batch_data(7, payloads))
    data[place % len(data)] ^= 1 << bit
    changed = bytes(data[: place % len(data)]) if cut else bytes(data)
    found = None
    with suppress(BatchDataError):
        found = decode_batch_data(changed, 7)
    assert payloads != found


@pytest.mark.parametrize("size", [0, 1, BLOB_USED_BYTES - 4, BLOB_USED_BYTES - 3, DATA_BYTES_MAX])
def test_blobs_hold_what_fits(size: int) -> None:
    """From nothing to six whole blobs: every field element begins with a zero byte [SETTLE-34]."""
    data = bytes(range(256)) * (size // 256 + 1)
    blobs = pack_blobs(data[:size])
    assert data[:size] == unpack_blobs(blobs)
    assert {BLOB_BYTES} == {len(blob) for blob in blobs}
    assert {0} == {blob[place] for blob in blobs for place in range(0, BLOB_BYTES, 32)}


def test_blobs_have_one_form() -> None:
    """Too much data, padding that is not zero and a superfluous blob are refused."""
    with pytest.raises(BatchDataError, match="do not fit"):
        pack_blobs(bytes(DATA_BYTES_MAX + 1))
    blob = pack_blobs(b"data")[0]
    for wrong in ([blob[:-1] + b"\1"], [blob, blob], [b"\1" + blob[1:]], [], [blob[:-1]]):
        with pytest.raises(BatchDataError):
            unpack_blobs(wrong)


@pytest.fixture(scope="module")
def node() -> Iterator[Anvil]:
    """A node whose time is the small venue's and whose fork takes today's blobs (EIP-7594)."""
    with run_anvil("osaka", "--timestamp", str(START_S)) as anvil:
        yield anvil


@cache
def publish_honestly() -> dict[str, bytes]:
    """Return the honest venue's files."""
    return publish(write_script())


class Venue:
    """The small venue's contracts on the node, and its published folder."""

    def __init__(self, node: Anvil, folder: Path, lies: Lies | None = None) -> None:
        self.node, self.folder = node, folder
        commands = write_script()
        for name, data in (publish(commands, lies) if lies else publish_honestly()).items():
            (folder / name).write_bytes(data)
        self.genesis = make_genesis()
        root = decode_header((folder / "batches.log").read_bytes()[FRAME_HEADER_BYTES:][:HEADER_BYTES])[1]
        node.fund(OPERATOR.address)
        options = {"genesis_hash": self.genesis.hash, "genesis_state_root": root, "finality_delay_s": 60}
        manifest = deploy_contracts(node.web3, OPERATOR, operator=OPERATOR.address, **options)
        self.client = SettlementClient(node.web3, OPERATOR, manifest)
        self.client.mint(OPERATOR.address, 10**15)
        for command in commands:
            if command.kind == CommandKind.DEPOSIT:
                account = Web3.to_checksum_address(command.signer)
                self.client.deposit(account, command.get("amount_atoms"))

    def post(self, mode: DataMode) -> None:
        """Post every batch."""
        source = PublishedBatches(self.folder, self.genesis.hash, mode, self.folder / "blobs")
        chain = WitnessedChain(open_endpoints([self.node.address], BLOB_TIMEOUT_S), CHAIN_ID, 0)
        contract = HeaderContract(self.client.manifest.settlement)
        poster = Poster(chain, OPERATOR, contract, source, PostingRecord(None), FeePolicy(window=1))
        for _ in range(10):
            if poster.step(3).confirmed == 3:
                return
            self.node.mine()
        raise AssertionError("three batches should be posted")


@pytest.fixture
def venue(node: Anvil, tmp_path: Path) -> Iterator[Venue]:
    """A fresh deployment."""
    snapshot = node.ask("evm_snapshot")
    yield Venue(node, tmp_path)
    node.ask("evm_revert", snapshot)


class BeaconHandler(BaseHTTPRequestHandler):
    """Answers as a server of the beacon API, from a folder of blobs by slot."""

    def __init__(self, blobs: dict[int, list[bytes]], *arguments: Any) -> None:
        self.blobs = blobs
        super().__init__(*arguments)

    def do_GET(self) -> None:
        """Answer one request."""
        url = urllib.parse.urlsplit(self.path)
        if url.path == "/eth/v1/beacon/genesis":
            answer: dict[str, Any] = {"data": {"genesis_time": str(START_S - 120)}}
        else:
            slot = int(url.path.removeprefix("/eth/v1/beacon/blobs/"))
            wanted = urllib.parse.parse_qs(url.query)["versioned_hashes"][0].split(",")
            held = {"0x" + make_sidecar((blob,)).versioned_hashes[0].hex(): blob for blob in self.blobs[slot]}
            answer = {"data": ["0x" + held[name].hex() for name in wanted]}
        body = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Keep the test's output clean."""


@contextmanager
def serve_beacon(blobs: dict[int, list[bytes]]) -> Iterator[str]:
    """Yield the address of a server that has these blobs by slot."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(BeaconHandler, blobs)) as server:  # type: ignore[arg-type]
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()


def blobs_by_slot(venue: Venue) -> dict[int, list[bytes]]:
    """Return the stored blobs by the slot of the block that carries their transaction."""
    found: dict[int, list[bytes]] = {}
    web3 = venue.node.web3
    for number in range(web3.eth.block_number + 1):
        block = web3.eth.get_block(number, full_transactions=True)
        for transaction in block["transactions"]:
            assert not isinstance(transaction, bytes)
            for versioned_hash in transaction.get("blobVersionedHashes") or ():
                slot = (block["timestamp"] - START_S + 120) // 12
                path = venue.folder / "blobs" / f"0x{bytes(versioned_hash).hex()}.blob"
                found.setdefault(slot, []).append(path.read_bytes())
    return found


def test_a_venue_is_rebuilt_from_blobs(venue: Venue, tmp_path: Path) -> None:
    """From genesis file, node and blobs alone, by folder and by beacon API, byte for byte; then judged."""
    venue.post(DataMode.BLOBS)
    genesis = tmp_path / "genesis.json"
    blobs = str(venue.folder / "blobs")
    source = ChainSource(genesis, venue.node.address, blobs, keep=tmp_path / "rebuilt")
    verdict = verify_chain(source)
    assert verdict.ok, verdict.describe()
    for name in ("commands.log", "batches.log"):
        assert (venue.folder / name).read_bytes() == (tmp_path / "rebuilt" / name).read_bytes()
    with serve_beacon(blobs_by_slot(venue)) as beacon:
        verdict = verify_chain(ChainSource(genesis, venue.node.address, beacon))
        assert verdict.ok, verdict.describe()
    without = verify_chain(ChainSource(genesis, venue.node.address))
    assert "name a source of them with --blobs" in without.describe()
    path = next((venue.folder / "blobs").iterdir())
    blob = bytearray(path.read_bytes())
    blob[40] ^= 1
    path.write_bytes(blob)
    changed = verify_chain(ChainSource(genesis, venue.node.address, blobs))
    assert "does not hash to what the transaction names" in changed.describe()
    path.unlink()
    assert "the blob cannot be read" in verify_chain(source).describe()


def test_a_venue_is_rebuilt_from_calldata(
    venue: Venue, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """What `novate post` brings over is enough by itself; a silent node holds it once, then it goes on."""
    key = tmp_path / "operator.key"
    key.touch(0o600)
    key.write_text(OPERATOR_SECRET.hex())
    manifest = venue.client.manifest
    with open_proxies(venue.node.address, 1) as proxies:
        proxies[0].is_dropping = True
        addresses = [venue.node.address, proxies[0].address]
        mode, policy = DataMode.CALLDATA, FeePolicy()
        poster = open_poster(venue.folder, manifest, key, addresses, tmp_path / "state", mode, 2, policy)
        naps = []

        def nap(seconds: float) -> None:
            naps.append(seconds)
            venue.node.mine()
            if len(naps) == 3:
                proxies[0].heal()

        progress = run_posting(poster, venue.folder, venue.genesis.hash, once=True, sleep=nap)
    assert (3, 3) == (progress.posted, progress.confirmed)
    held = [record.message for record in caplog.records if record.levelname == "ERROR"]
    assert ["posting is held"] == [message[:15] for message in held]
    verdict = verify_chain(ChainSource(tmp_path, venue.node.address))
    assert verdict.ok, verdict.describe()
    foreign = msgspec.structs.replace(manifest, genesis_hash="0x" + "00" * 32)
    with pytest.raises(SettlementError, match="another genesis file"):
        open_poster(venue.folder, foreign, key, addresses, tmp_path / "state", mode, 2, policy)


def test_a_venue_is_rebuilt_from_anybodys_copy(venue: Venue, tmp_path: Path) -> None:
    """Off chain the headers still say which copy is right: a cut or forged one is named."""
    venue.post(DataMode.OFF_CHAIN)
    genesis = tmp_path / "genesis.json"
    without = verify_chain(ChainSource(genesis, venue.node.address))
    assert "kept off chain" in without.describe()
    verdict = verify_chain(ChainSource(genesis, venue.node.address, copy=str(venue.folder)))
    assert verdict.ok, verdict.describe()
    log = venue.folder / "commands.log"
    log.write_bytes(log.read_bytes()[:-1])
    cut = verify_chain(ChainSource(genesis, venue.node.address, copy=str(venue.folder)))
    assert "batch 3 on the chain: its data has another number of commands" in cut.describe()


def test_a_false_root_is_found_from_the_chain(node: Anvil, tmp_path: Path) -> None:
    """A header whose state root does not follow from the posted commands fails the verdict by name."""
    snapshot = node.ask("evm_snapshot")
    lies = Lies(header=lambda h: h._replace(state_root=bytes(31) + b"\1") if h.number == 3 else h)
    venue = Venue(node, tmp_path, lies)
    venue.post(DataMode.CALLDATA)
    verdict = verify_chain(ChainSource(tmp_path, node.address))
    assert "batch 3: state_root is not what the law arrives at" in verdict.describe()
    node.ask("evm_revert", snapshot)


def test_the_poster_needs_the_whole_batch(venue: Venue) -> None:
    """A folder whose commands are cut or changed gives no data to post."""
    log = venue.folder / "commands.log"
    whole = log.read_bytes()
    for damaged in (whole[:-1], whole[:-40] + b"\0" + whole[-39:]):
        log.write_bytes(damaged)
        with pytest.raises(SettlementError, match=r"commands\.log"):
            PublishedBatches(venue.folder, venue.genesis.hash, DataMode.CALLDATA).data(3)
    with pytest.raises(SettlementError, match=r"batch 4 is not in batches\.log"):
        PublishedBatches(venue.folder, venue.genesis.hash, DataMode.BLOBS).header(4)


def test_a_batch_may_need_several_blobs(node: Anvil, tmp_path: Path) -> None:
    """Two batches of three blobs each wait at once, are replaced for double the price, and are read back."""
    snapshot = node.ask("evm_snapshot")
    world = PostingWorld(node, 2)
    node.ask("evm_setAutomine", False)
    payloads = [bytes([number % 251]) * 1000 for number in range(300)]
    packed = [pack_blobs(encode_batch_data(number, payloads)) for number in (1, 2)]
    assert [3, 3] == [len(blobs) for blobs in packed]
    for blobs in packed:
        store_blobs(tmp_path, blobs)
    world.source.posted = [PostedData(blobs=tuple(blobs)) for blobs in packed]
    poster = world.poster(tmp_path / "record.json", stuck_blocks=0)
    poster.chain = WitnessedChain(open_endpoints([node.address], BLOB_TIMEOUT_S), CHAIN_ID, 2)
    poster.step(1)
    first = poster.record.attempts[0]
    poster.step(2)
    second = poster.record.attempts[0]
    assert all(new >= 2 * old for old, new in zip(first.fees, second.fees, strict=True))
    poster.policy = FeePolicy()
    world.drive(poster, 2)
    world.require_posted(2)
    settlement = bytes.fromhex(world.manifest.settlement[2:])
    reader = Node(node.address, CHAIN_ID)
    posted = read_posted(reader, settlement, open_blobs(str(tmp_path)), lambda done: None)
    assert [payloads, payloads] == [batch.payloads for batch in posted]
    with pytest.raises(CheckFailed, match="name a source"):
        read_posted(reader, settlement, open_blobs(None), lambda done: None)
    node.ask("evm_setAutomine", True)
    node.ask("evm_revert", snapshot)
