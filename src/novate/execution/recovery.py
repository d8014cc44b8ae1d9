"""Recovery: from a journal (and a snapshot, if one fits) back to the engine of the last acknowledged
command.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from novate.execution.commitment import compute_genesis_root
from novate.execution.engine import Engine, split_events
from novate.execution.frame_scan import Entries, Entry
from novate.execution.journal import Journal, open_journal
from novate.execution.replay import Replayer
from novate.execution.sealing import SealedBatch, Sealer
from novate.execution.sequencer import Outcome
from novate.execution.snapshot import SnapshotError, SnapshotHead, find_snapshots, load_snapshot
from novate.kernel import JIT_ENABLED
from novate.protocol.command import decode_payload
from novate.protocol.generated.codes import Code, CommandKind
from novate.protocol.genesis import Genesis

REPLAY_LENGTH = 512
REPLAY_RUN = 1 << 18
Progress = Callable[[int, int], None]


class Recovered(NamedTuple):
    """A venue's execution layer, ready to go on. `batches` are those sealed after the snapshot, `entries`
    everything.
    """

    engine: Engine
    journal: Journal
    sealer: Sealer
    entries: Sequence[Entry]
    batches: list[SealedBatch]
    snapshot: SnapshotHead | None
    notes: list[str]


def recover(
    genesis: Genesis,
    journal_folder: Path,
    snapshot_folder: Path | None = None,
    listeners: tuple[Callable[[list[Outcome]], None], ...] = (),
    progress: Progress = lambda done, total: None,
) -> Recovered:
    """Open the journal and replay it, from the newest snapshot that fits or from the beginning.

    Listeners are told of every replayed command. Errors are JournalError's; a bad snapshot is only noted.
    """
    journal, entries = open_journal(journal_folder, genesis.hash)
    notes: list[str] = []
    engine, head = load_newest(genesis, snapshot_folder, entries, notes)
    if head is None:
        engine = Engine(genesis)
        sealer = Sealer(engine, compute_genesis_root(engine))
    else:
        sealer = Sealer(engine, head.previous_root)
        sealer.commitment.compute(sealer.commitment.collect(everything=True))
    first = engine.sequence

    def tell(done: int) -> None:
        progress(done - first, len(entries) - first)

    if JIT_ENABLED and not listeners:
        batches = replay_runs(engine, sealer, entries, tell)
    else:
        batches = replay_groups(engine, sealer, entries, listeners, tell)
    return Recovered(engine, journal, sealer, entries, batches, head, notes)


def load_newest(
    genesis: Genesis, folder: Path | None, entries: Entries, notes: list[str]
) -> tuple[Engine, SnapshotHead | None]:
    """Return an engine filled from the newest snapshot that is whole and belongs to this journal, or an
    empty one.
    """
    for path in find_snapshots(folder) if folder is not None else []:
        engine = Engine(genesis)
        try:
            head = load_snapshot(path, engine)
        except SnapshotError as error:
            notes.append(str(error))
            continue
        sequence = head.position.sequence
        if 0 < sequence <= len(entries) and entries[sequence - 1].hash == head.position.hash:
            return engine, head
        notes.append(f"{path} does not belong to this journal")
    return Engine(genesis), None


def replay_runs(
    engine: Engine, sealer: Sealer, entries: Entries, tell: Callable[[int], None]
) -> list[SealedBatch]:
    """Apply every command that the engine has not seen, as fast as it goes; return what was sealed."""
    replayer = Replayer(engine, sealer)
    try:
        for start in range(engine.sequence, len(entries), REPLAY_RUN):
            end = min(start + REPLAY_RUN, len(entries))
            replayer.replay(entries, start, end)
            tell(end)
    finally:
        batches = replayer.finish()
    return batches


def replay_groups(
    engine: Engine,
    sealer: Sealer,
    entries: Entries,
    listeners: tuple[Callable[[list[Outcome]], None], ...],
    tell: Callable[[int], None],
) -> list[SealedBatch]:
    """Do the same for listeners, who want an object for each command, and where there is no compiler."""
    batches: list[SealedBatch] = []
    for start in range(engine.sequence, len(entries), REPLAY_LENGTH):
        replay_group(engine, sealer, entries[start : start + REPLAY_LENGTH], batches, listeners)
        tell(min(start + REPLAY_LENGTH, len(entries)))
    return batches


def replay_group(
    engine: Engine,
    sealer: Sealer,
    entries: list[Entry],
    batches: list[SealedBatch],
    listeners: tuple[Callable[[list[Outcome]], None], ...],
) -> None:
    """Apply journalled commands, stopping at each SEAL so that its batch sees the state of then."""
    commands = [decode_payload(entry.payload) for entry in entries]
    start = 0
    for i, command in enumerate(commands):
        if command.kind == CommandKind.SEAL or i == len(commands) - 1:
            told = split_events(engine.apply(commands[start : i + 1]))
            outcomes = []
            for entry, one, events in zip(entries[start : i + 1], commands[start : i + 1], told, strict=True):
                batch = sealer.observe(entry, one, events)
                if batch is not None:
                    batches.append(sealer.close(batch))
                outcomes.append(
                    Outcome(entry.sequence, one.time_ns, Code(int(events["code"][0])), events, one, entry)
                )
            for listener in listeners:
                listener(outcomes)
            start = i + 1
