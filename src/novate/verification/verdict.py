"""The verdict on a published folder: checks in their order, each timed and counted, until one fails.

Cheap checks come first, so that a changed byte is found before anything is replayed. Whatever the bytes are,
the answer is a verdict: an unexpected exception inside a check is a finding that names the check.
"""

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

from novate.protocol.frame import Frame
from novate.protocol.genesis import Genesis
from novate.verification.batches import ReplayResult, check_batches, check_replay
from novate.verification.chain_check import (
    ChainView,
    Contracts,
    check_deposits,
    check_headers,
    check_solvency,
    execute_chain,
)
from novate.verification.chain_record import RecordError
from novate.verification.findings import (
    FAILED,
    NOT_REACHED,
    OK,
    Check,
    CheckFailed,
    Finding,
    Verdict,
    require,
)
from novate.verification.node import Node
from novate.verification.published import (
    BATCHES_FILE,
    CHAIN_FILE,
    CHAIN_ORIGIN,
    COMMANDS_FILE,
    HEAD_FILE,
    SIZE_MAX,
    Head,
    PublishedBatch,
    PublishedCommand,
    read_batches,
    read_commands,
    read_files,
    read_frames,
    read_genesis,
    read_head,
)
from novate.verification.rebuild import ChainSource
from novate.verification.signatures import check_signatures

# Called with the name of the check, how much is done and how much there is.
Progress = Callable[[str, int, int], None]


class Outcome(NamedTuple):
    """How many things a check looked at, and a note for the reader."""

    checked: int
    note: str = ""


def ignore_progress(name: str, done: int, total: int) -> None:
    """Show nothing."""


class Verifier:
    """Runs the checks over one set of published files; each leaves what the later ones need."""

    genesis: Genesis
    head: Head
    commands: list[PublishedCommand]
    batches: list[PublishedBatch]
    chain_frames: list[Frame]
    result: ReplayResult
    contracts: Contracts

    def __init__(
        self,
        read: Callable[[], Mapping[str, bytes]],
        rpc: str | None = None,
        progress: Progress = ignore_progress,
    ) -> None:
        self._read = read
        self._rpc = rpc
        self._progress = progress
        self._files: Mapping[str, bytes] = {}
        self._checks: tuple[tuple[str, Callable[[], Outcome]], ...] = (
            ("files", self._check_files),
            ("genesis", self._check_genesis),
            ("head", self._check_head),
            ("command frames", self._check_commands),
            ("batch frames", self._check_batch_frames),
            ("chain frames", self._check_chain_frames),
            ("batch headers", self._check_batches),
            ("signatures", self._check_signatures),
            ("replay", self._check_replay),
            ("contracts", self._check_contracts),
            ("headers on chain", self._check_headers),
            ("deposits", self._check_deposits),
            ("solvency", self._check_solvency),
        )

    def run(self) -> Verdict:
        """Run the checks in order, up to the first that does not hold."""
        checks: list[Check] = []
        failed = False
        for name, check in self._checks:
            if failed:
                checks.append(Check(name, NOT_REACHED, 0, 0.0, "", None))
                continue
            begin = time.perf_counter()
            finding: Finding | None = None
            outcome = Outcome(0)
            try:
                outcome = check()
            except CheckFailed as error:
                finding = error.finding
            except RecordError as error:
                finding = Finding(error.where, error.what)
            except (
                Exception
            ) as error:  # Any bytes may have come in: what no check foresaw is a finding as well.
                finding = Finding(
                    f"check {name!r}", f"the verifier itself failed: {type(error).__name__}: {error}"
                )
            failed = finding is not None
            state = FAILED if failed else OK
            checks.append(
                Check(name, state, outcome.checked, time.perf_counter() - begin, outcome.note, finding)
            )
        return Verdict(tuple(checks))

    def _report(self, name: str, total: int) -> Callable[[int], None]:
        return lambda done: self._progress(name, done, total)

    def _check_files(self) -> Outcome:
        self._files = self._read()
        for name in SIZE_MAX:
            require(name in self._files, name, "it is missing")
        return Outcome(len(self._files), f"{sum(len(data) for data in self._files.values())} bytes")

    def _check_genesis(self) -> Outcome:
        self.genesis = read_genesis(self._files)
        return Outcome(1, "0x" + self.genesis.hash.hex())

    def _check_head(self) -> Outcome:
        self.head = read_head(self._files[HEAD_FILE], self.genesis.hash)
        return Outcome(1, f"batch {self.head.batch}")

    def _check_commands(self) -> Outcome:
        data = self._files[COMMANDS_FILE]
        frames, extra = read_frames(COMMANDS_FILE, data, self.genesis.hash, self.head.commands)
        self.commands = read_commands(frames)
        return Outcome(len(frames), describe_extra(extra))

    def _check_batch_frames(self) -> Outcome:
        data = self._files[BATCHES_FILE]
        frames, extra = read_frames(BATCHES_FILE, data, self.genesis.hash, self.head.batches)
        self.batches = read_batches(frames)
        return Outcome(len(frames), describe_extra(extra))

    def _check_chain_frames(self) -> Outcome:
        data = self._files[CHAIN_FILE]
        self.chain_frames, extra = read_frames(CHAIN_FILE, data, CHAIN_ORIGIN, self.head.chain)
        return Outcome(len(self.chain_frames), describe_extra(extra))

    def _check_batches(self) -> Outcome:
        return Outcome(check_batches(self.commands, self.batches))

    def _check_signatures(self) -> Outcome:
        progress = self._report("signatures", len(self.commands))
        return Outcome(check_signatures(self.genesis, self.commands, progress))

    def _check_replay(self) -> Outcome:
        progress = self._report("replay", len(self.commands))
        self.result = check_replay(self.genesis, self.commands, self.batches, progress)
        accepted = self.result.codes["OK"]
        return Outcome(len(self.commands), f"{accepted} accepted, {len(self.commands) - accepted} refused")

    def _check_contracts(self) -> Outcome:
        view: ChainView
        if self._rpc is not None:
            view, place = Node(self._rpc, self.genesis.chain_id), self._rpc
        else:
            progress = self._report("contracts", max(0, len(self.chain_frames) - 1))
            payloads = [frame.payload for frame in self.chain_frames]
            view, place = execute_chain(self.genesis, payloads, progress), CHAIN_FILE
        self.contracts = Contracts(view, self.genesis, place)
        return Outcome(0 if self._rpc else len(self.chain_frames), f"on {place}")

    def _check_headers(self) -> Outcome:
        ahead = check_headers(self.contracts, self.genesis, self.batches, self._rpc is not None)
        return Outcome(len(self.batches), f"the chain is {ahead} batches ahead" if ahead else "")

    def _check_deposits(self) -> Outcome:
        return Outcome(check_deposits(self.contracts, self.result))

    def _check_solvency(self) -> Outcome:
        held, owed = check_solvency(self.contracts, self.result, self.batches)
        return Outcome(len(self.result.state.accounts), f"the vault holds {held} atoms and owes {owed}")


def describe_extra(extra: int) -> str:
    """Say that a live file has grown beyond what HEAD names."""
    return f"{extra} whole frames beyond HEAD were not judged" if extra else ""


def verify_files(
    files: Mapping[str, bytes], rpc: str | None = None, progress: Progress = ignore_progress
) -> Verdict:
    """Return the verdict on published files given as bytes by name."""
    return Verifier(lambda: files, rpc, progress).run()


def verify_directory(
    path: str | Path, progress: Progress = ignore_progress, rpc: str | None = None
) -> Verdict:
    """Return the verdict on a published folder, or on the one that a venue serves at an http(s) address.

    `rpc` names a node whose contracts are read instead of the published chain. Never raises on any bytes.
    """
    return Verifier(lambda: read_files(path), rpc, progress).run()


def verify_chain(source: ChainSource, progress: Progress = ignore_progress) -> Verdict:
    """Return the verdict on what stands on a chain, rebuilt from its data alone [SETTLE-33]."""
    return Verifier(lambda: source.read(progress), source.rpc, progress).run()
