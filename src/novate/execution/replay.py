"""Replay without listeners: runs of commands from the bytes of the journal to the tables, while a second
thread hashes what the batches are bound to and a third computes their roots.
"""

from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import numpy as np

from novate.execution.batch import apply_commands
from novate.execution.engine import Engine
from novate.execution.frame_scan import Entries, Segment
from novate.execution.payload_rows import RUN_ROWS, SEAL, Desk, decode_run, learn_accounts, make_desk
from novate.execution.sealing import OpenBatch, SealedBatch, Sealer
from novate.execution.tables import grow_events
from novate.protocol.command import decode_payload
from novate.protocol.generated.codes import EventKind
from novate.protocol.generated.records import COMMAND, ITEM

PACKED_BYTES = RUN_ROWS * 256
HASHING_MAX = 16  # Runs that may wait for their hash: neither thread waits for the other's next turn.
RESULT = int(EventKind.RESULT)
Events = np.ndarray[Any, np.dtype[Any]]


def find_last(events: Events) -> Events:
    """Return the events of the last command."""
    return events[int(np.flatnonzero(events["kind"] == RESULT)[-1]) :]


class Replayer:
    """Applies journalled commands to an engine and its sealer; `finish` returns what was sealed."""

    def __init__(self, engine: Engine, sealer: Sealer) -> None:
        self.engine = engine
        self.sealer = sealer
        self.desk: Desk = make_desk(engine, PACKED_BYTES)
        self.rows = self.desk.rows.view(COMMAND).reshape(-1)
        self.items = self.desk.items.view(ITEM).reshape(-1)
        self.account_count = len(engine.addresses)
        self.hasher = ThreadPoolExecutor(1, "batch-hash")
        self.hashing: deque[Future[None]] = deque()
        # One thread, because each batch is bound to the one before it.
        self.closer = ThreadPoolExecutor(1, "batch-roots")
        self.closing: list[Future[SealedBatch]] = []

    def replay(self, entries: Entries, first: int, last: int) -> None:
        """Apply the commands of places [first, last)."""
        for start, segment in zip(entries.firsts, entries.segments, strict=True):
            begin, end = max(first - start, 0), min(last - start, segment.frame_count)
            if begin < end:
                self.replay_segment(segment, begin, end)
        self.wait()

    def replay_segment(self, segment: Segment, place: int, last: int) -> None:
        """Apply the commands of some frames of a segment."""
        data = np.frombuffer(segment.data, np.uint8)
        ends = segment.ends[: last + 1]
        while place < last:
            count = decode_run(self.engine.world, self.desk, data, ends, place, self.engine.sequence + 1)
            if count == 0:
                self.replay_singly(segment, place)
                place += 1
                continue
            place += count
            sealing = self.desk.rows[count - 1, 0] == SEAL
            self.take_payloads(self.desk.packed[: self.desk.counts[1]].tobytes())
            last_events = self.apply_rows(count)
            self.learn_instruments()
            if sealing:
                self.seal(segment, place - 1, last_events)

    def apply_rows(self, count: int) -> Events:
        """Apply the rows of a run; return the last events, whose end is the last command's."""
        engine, done = self.engine, 0
        rows = self.rows[:count]
        events = engine.world.events[:0]
        while done < count:
            done = apply_commands(engine.world, rows, self.items, done, engine.event_reserve)
            produced = int(engine.world.house["event_count"][0])
            if produced == 0:
                engine.world = grow_events(engine.world)
                continue
            events = engine.world.events[:produced]
            self.sealer.take_withdrawals(events)
            engine.world.house["event_count"] = 0
        return events

    def take_payloads(self, payloads: bytes) -> None:
        """Hash payloads into the batch in progress, in another thread, in order."""
        if len(self.hashing) == HASHING_MAX:
            self.hashing.popleft().result()
        self.hashing.append(self.hasher.submit(self.sealer.data.update, payloads))

    def wait(self) -> None:
        """Return when all payloads are hashed."""
        while self.hashing:
            self.hashing.popleft().result()

    def learn_instruments(self) -> None:
        """Note the instruments that a run has listed."""
        engine = self.engine
        for number in range(len(engine.instruments), int(engine.world.house["instrument_count"][0])):
            engine.register_instrument(number)

    def seal(self, segment: Segment, place: int, events: Events) -> None:
        """Close the batch of a SEAL that has just been applied, if it was lawful."""
        self.wait()
        entry = segment.get_entry(place)
        self.close_batch(self.sealer.open_batch(entry, decode_payload(entry.payload), find_last(events)))

    def close_batch(self, batch: OpenBatch | None) -> None:
        """Compute the roots of a batch, whose changes have been copied, in a thread."""
        if batch is not None:
            self.closing.append(self.closer.submit(self.sealer.close, batch))

    def replay_singly(self, segment: Segment, place: int) -> None:
        """Apply one command that a run cannot hold."""
        self.wait()
        entry = segment.get_entry(place)
        command = decode_payload(entry.payload)
        self.close_batch(self.sealer.observe(entry, command, self.engine.apply([command])))
        self.account_count = learn_accounts(self.desk, self.engine, self.account_count)

    def finish(self) -> list[SealedBatch]:
        """Wait for the threads, end them, and return the sealed batches in order."""
        try:
            self.wait()
            return [future.result() for future in self.closing]
        finally:
            self.hasher.shutdown()
            self.closer.shutdown(cancel_futures=True)
