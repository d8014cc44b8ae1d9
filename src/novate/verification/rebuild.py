"""The published folder again, from the chain's data: for whoever has a genesis file, a node and no venue.

Commands come from what was posted with each header, or from anybody's copy of the command log where they were
kept off chain; withdrawals come from replaying them. What is made here is judged like any published folder.
Verifies [SETTLE-33] and [SETTLE-35].
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from novate.protocol.command import Command, CommandError, decode_payload
from novate.protocol.frame import FrameError, decode_frame, encode_frame, keccak256
from novate.protocol.generated.codes import CommandKind
from novate.protocol.genesis import Genesis, GenesisError, parse_genesis
from novate.verification.findings import CheckFailed, require, require_equal
from novate.verification.node import Node
from novate.verification.posted import BlobSource, PostedBatch, open_blobs, read_posted
from novate.verification.published import (
    BATCH_KIND,
    BATCHES_FILE,
    CHAIN_FILE,
    CHAIN_ORIGIN,
    COMMAND_KIND,
    COMMANDS_FILE,
    EXTENT,
    GENESIS_FILE,
    HEAD_FILE,
    HEAD_KIND,
    WITHDRAWAL,
    Extent,
    download,
    read_file,
)
from novate.verification.replay import Replayer

Progress = Callable[[str, int, int], None]


class ChainSource(NamedTuple):
    """Where everything comes from: genesis file, node, blobs, a copy of commands.log; where to keep it."""

    genesis: Path
    rpc: str
    blobs: str | None = None
    copy: str | None = None
    keep: Path | None = None

    def read(self, progress: Progress) -> dict[str, bytes]:
        """Return the published files by name, and write them to `keep` if it is named.

        Errors     CheckFailed or RecordError naming what cannot be had, or is not what its header says.
        """
        genesis = self.genesis / GENESIS_FILE if self.genesis.is_dir() else self.genesis
        copy = read_command_log(self.copy) if self.copy is not None else None
        raw = read_file(genesis, GENESIS_FILE)
        files = rebuild_files(raw, self.rpc, open_blobs(self.blobs), copy, progress)
        if self.keep is not None:
            self.keep.mkdir(parents=True, exist_ok=True)
            for name, data in files.items():
                (self.keep / name).write_bytes(data)
        return files


def read_command_log(target: str) -> bytes:
    """Return the command log of a folder or of an http(s) address."""
    if target.startswith(("http://", "https://")):
        folder = target.rstrip("/").removesuffix("/published") + "/published/"
        return download(folder + COMMANDS_FILE, COMMANDS_FILE)
    folder_path = Path(target)
    inner = folder_path / "published"
    return read_file((inner if inner.is_dir() else folder_path) / COMMANDS_FILE, COMMANDS_FILE)


def rebuild_files(
    genesis_raw: bytes, rpc: str, blobs: BlobSource, copy: bytes | None, progress: Progress
) -> dict[str, bytes]:
    """Return the published files by name, made from the chain. `copy` is a command log for data off chain.

    Errors     CheckFailed or RecordError naming the batch that cannot be had, or is not what its header says.
    """
    try:
        genesis = parse_genesis(genesis_raw)
    except GenesisError as error:
        raise CheckFailed(GENESIS_FILE, str(error)) from error
    node = Node(rpc, genesis.chain_id)
    found = node.call(genesis.settlement, "genesisHash()").to_bytes(32, "big")
    message = "the settlement contract was made for another genesis file"
    require_equal(genesis.hash, found, GENESIS_FILE, message)
    posted = read_posted(node, genesis.settlement, blobs, lambda done: progress("posted data", done, 0))
    count = node.call(genesis.settlement, "batchCount()")
    require_equal(count, len(posted), rpc, "the node's logs lack batches that the contract counts")
    kept = read_copy(copy, genesis.hash) if copy is not None else None
    commands: list[bytes] = []
    for batch in posted:
        commands += require_payloads(batch, kept, len(commands))
    return write_files(genesis, posted, commands, progress)


def read_copy(log: bytes, genesis_hash: bytes) -> list[bytes]:
    """Return the payloads of a command log, as far as its frames chain."""
    payloads: list[bytes] = []
    previous, offset = genesis_hash, 0
    while offset < len(log):
        try:
            frame = decode_frame(log, offset, previous)
        except FrameError:
            break  # A copy may be cut or rotten; what is missing is named with its batch.
        payloads.append(frame.payload)
        previous, offset = frame.hash, frame.end
    return payloads


def require_payloads(batch: PostedBatch, kept: Sequence[bytes] | None, before: int) -> list[bytes]:
    """Return a batch's payloads: they must be those that its header commits to [HEADER-1]."""
    header = batch.header
    place = f"batch {header.number} on the chain"
    require_equal(before + 1, header.first_sequence, place, "its first sequence does not follow")
    payloads = batch.payloads
    if payloads is None:
        message = "its commands were kept off chain; name anybody's copy of the folder with --data"
        require(kept is not None, place, message)
        assert kept is not None
        payloads = list(kept[header.first_sequence - 1 : header.last_sequence])
    count = header.last_sequence - header.first_sequence + 1
    require_equal(count, len(payloads), place, "its data has another number of commands")
    message = "dataHash is not the hash of the commands posted with it"
    require_equal(header.data_hash, keccak256(b"".join(payloads)), place, message)
    return payloads


def write_files(
    genesis: Genesis, posted: Sequence[PostedBatch], payloads: Sequence[bytes], progress: Progress
) -> dict[str, bytes]:
    """Return the files of a published folder that holds these batches."""
    commands, command_extent = chain_frames(COMMAND_KIND, payloads, genesis.hash)
    rows = list_withdrawals(genesis, payloads, progress)
    require(len(rows) >= len(posted), COMMANDS_FILE, "the commands seal fewer batches than were posted")
    bodies = [batch.header.encode() + row for batch, row in zip(posted, rows, strict=False)]
    batches, batch_extent = chain_frames(BATCH_KIND, bodies, genesis.hash)
    extents = (command_extent, batch_extent, Extent(0, CHAIN_ORIGIN, 0))
    head = b"".join(EXTENT.pack(*extent) for extent in extents)
    return {
        GENESIS_FILE: genesis.raw,
        COMMANDS_FILE: commands,
        BATCHES_FILE: batches,
        CHAIN_FILE: b"",
        HEAD_FILE: encode_frame(HEAD_KIND, len(posted), head, genesis.hash),
    }


def chain_frames(kind: int, payloads: Sequence[bytes], origin: bytes) -> tuple[bytes, Extent]:
    """Return a log of these payloads, and how far it goes."""
    frames, previous = [], origin
    for sequence, payload in enumerate(payloads, 1):
        frames.append(encode_frame(kind, sequence, payload, previous))
        previous = frames[-1][-32:]
    log = b"".join(frames)
    return log, Extent(len(frames), previous, len(log))


def list_withdrawals(genesis: Genesis, payloads: Sequence[bytes], progress: Progress) -> list[bytes]:
    """Return the withdrawals of each batch, as batches.log has them, by replaying the commands."""
    replayer = Replayer(genesis)
    rows: list[bytes] = []
    for sequence, payload in enumerate(payloads, 1):
        command = read_command(payload, sequence)
        replayer.apply(command)
        if command.kind == CommandKind.SEAL and replayer.state.batch == len(rows) + 1:
            rows.append(b"".join(WITHDRAWAL.pack(*row) for row in replayer.state.withdrawals))
            replayer.state.withdrawals = []
        if sequence % 256 == 0:
            progress("withdrawals", sequence, len(payloads))
    return rows


def read_command(payload: bytes, sequence: int) -> Command:
    """Return a command from its posted bytes."""
    try:
        return decode_payload(payload)
    except CommandError as error:
        raise CheckFailed(f"command {sequence} on the chain", str(error)) from error
