"""`novate post`: keeps a chain up to date with a published folder, beside the venue and independent of it."""

import logging
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from novate.protocol.frame import FrameError, decode_frame
from novate.protocol.genesis import GenesisError, parse_genesis
from novate.settlement.batch_source import DataMode, PublishedBatches
from novate.settlement.client import SettlementError
from novate.settlement.endpoints import EndpointError, EndpointsDisagree, WitnessedChain, open_endpoints
from novate.settlement.fees import FeePolicy, PostingHeld
from novate.settlement.header_contract import HeaderContract
from novate.settlement.keys import load_key
from novate.settlement.manifest import Manifest, read_manifest
from novate.settlement.posting import Poster, Progress
from novate.settlement.posting_record import PostingRecord

STEP_S = 4.0
log = logging.getLogger("novate.post")


def read_last_batch(published: Path, genesis_hash: bytes) -> int:
    """Return the number of the last batch that HEAD names, 0 if there is none yet."""
    path = published / "HEAD"
    if not path.exists():
        return 0
    try:
        return decode_frame(path.read_bytes(), 0, genesis_hash).sequence
    except FrameError as error:
        raise SettlementError(f"{path} is damaged: {error}") from error


def open_poster(
    published: Path,
    manifest: Manifest,
    key: Path,
    addresses: Sequence[str],
    state: Path,
    mode: DataMode,
    confirmations: int,
    policy: FeePolicy,
) -> Poster:
    """Return the poster of a published folder; `state` keeps what it signed and the blobs it posted."""
    try:
        genesis = parse_genesis((published / "genesis.json").read_bytes())
    except (OSError, GenesisError) as error:
        raise SettlementError(f"{published} holds no genesis file: {error}") from error
    if manifest.genesis_hash != "0x" + genesis.hash.hex():
        raise SettlementError("the manifest is of another genesis file than the folder")
    state.mkdir(parents=True, exist_ok=True)
    chain = WitnessedChain(open_endpoints(addresses), manifest.chain_id, confirmations)
    source = PublishedBatches(published, genesis.hash, mode, state / "blobs")
    record = PostingRecord(state / "posting.json")
    contract = HeaderContract(manifest.settlement)
    return Poster(chain, load_key(key), contract, source, record, policy)


def step_once(poster: Poster, last: int, alarm: str | None) -> tuple[Progress | None, str | None]:
    """Make one step and log an alarm when it begins, changes or ends; return the progress and the alarm."""
    try:
        progress = poster.step(last)
    except (EndpointError, EndpointsDisagree, PostingHeld) as error:
        if str(error) != alarm:
            log.error("posting is held: %s", error)
        return None, str(error)
    if alarm is not None:
        log.warning("posting goes on")
    return progress, None


def run_posting(
    poster: Poster,
    published: Path,
    genesis_hash: bytes,
    once: bool,
    sleep: Callable[[float], None] = time.sleep,
) -> Progress:
    """Step until a person stops it or, with `once`, until everything published is confirmed.

    Errors     SettlementError if chain and folder contradict each other: nothing is sent after that.
    """
    alarm: str | None = None
    shown = (-1, -1)
    while True:
        last = read_last_batch(published, genesis_hash)
        progress, alarm = step_once(poster, last, alarm)
        if progress is not None and shown != (progress.posted, progress.confirmed):
            shown = (progress.posted, progress.confirmed)
            log.info("of %d batches %d are posted and %d confirmed", last, *shown)
        if once and progress is not None and progress.confirmed >= last:
            return progress
        sleep(STEP_S)


def post_folder(
    published: Path,
    manifest_path: Path,
    key: Path,
    addresses: Sequence[str],
    state: Path,
    mode: DataMode,
    confirmations: int,
    policy: FeePolicy,
    once: bool,
) -> Progress:
    """Open a poster and run it."""
    manifest = read_manifest(manifest_path)
    poster = open_poster(published, manifest, key, addresses, state, mode, confirmations, policy)
    return run_posting(poster, published, bytes.fromhex(manifest.genesis_hash[2:]), once)
