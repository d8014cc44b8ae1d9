"""Sealing: a batch header is made of the commands since the last SEAL and the state they led to.

A Sealer is fed every applied command in order, live or from the journal, so a restart makes the same headers
again. Implements [SEAL-1], [HEADER-1] and [SUB-3].
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import sha3

from novate.execution.commitment import Changes, StateCommitment
from novate.execution.engine import Engine, Events
from novate.execution.frame_scan import Entry
from novate.execution.key_views import find_owner
from novate.execution.views import compute_conservation_gap, compute_lots_gap
from novate.protocol.command import Command
from novate.protocol.generated.codes import Code, CommandKind, EventKind
from novate.protocol.header import BatchHeader
from novate.protocol.withdrawals import Withdrawal, compute_withdrawals_root, hash_withdrawal


class SealedBatch(NamedTuple):
    """A batch ready to be published and posted."""

    header: BatchHeader
    withdrawals: tuple[Withdrawal, ...]


class OpenBatch(NamedTuple):
    """A batch whose SEAL has been applied and whose roots are not computed yet."""

    changes: Changes
    first_sequence: int
    last_sequence: int
    journal_head: bytes
    deposit_cursor: int
    data_hash: bytes
    time_ns: int
    number: int
    withdrawals: tuple[Withdrawal, ...]


class Sealer:
    """Accumulates one batch after the other. `previous_root` is the state root of the last sealed batch."""

    def __init__(self, engine: Engine, previous_root: bytes) -> None:
        self.engine = engine
        self.commitment = StateCommitment(engine)
        self.previous_root = previous_root
        self.first_sequence = engine.sequence + 1
        self.data = sha3.keccak_256()
        self.withdrawals: list[tuple[bytes, int]] = []

    def observe(self, entry: Entry, command: Command, events: Events) -> OpenBatch | None:
        """Take note of one applied command; return the batch if it was its SEAL.

        Must be called before any later command is applied: the batch's changes are copied here.
        """
        self.data.update(entry.payload)
        if command.kind == CommandKind.WITHDRAW:
            self.take_withdrawals(events)
        return self.open_batch(entry, command, events)

    def take_withdrawals(self, events: Events) -> None:
        """Note what was paid out in the events of one or more commands."""
        for place in np.flatnonzero(events["kind"] == EventKind.WITHDRAWN).tolist():
            payee = self.engine.addresses[find_owner(self.engine, int(events["account"][place]))]
            self.withdrawals.append((payee, int(events["amount_atoms"][place])))

    def open_batch(self, entry: Entry, command: Command, events: Events) -> OpenBatch | None:
        """Return the batch that a SEAL closes, whose payloads and withdrawals are all noted; None if the
        command is another or was rejected.
        """
        if command.kind != CommandKind.SEAL or events["code"][0] != Code.OK:
            return None
        # Checked where it is paid for once a batch, and before anything of the batch leaves the process.
        assert compute_conservation_gap(self.engine) == 0, (
            "Invariant [CASH-3]: money is conserved to the atom."
        )
        assert compute_lots_gap(self.engine) == 0, "Invariant [CASH-3]: lots of each instrument sum to zero."
        number = command.get("batch")
        batch = OpenBatch(
            self.commitment.collect(),
            self.first_sequence,
            entry.sequence,
            entry.hash,
            int(self.engine.world.house["deposit_cursor"][0]),
            self.data.digest(),
            command.time_ns,
            number,
            number_withdrawals(number, self.withdrawals),
        )
        self.first_sequence = entry.sequence + 1
        self.data = sha3.keccak_256()
        self.withdrawals = []
        return batch

    def close(self, batch: OpenBatch) -> SealedBatch:
        """Compute the roots of a batch; batches must be closed in order, and may be closed in another
        thread.
        """
        roots = self.commitment.compute(batch.changes)
        header = BatchHeader(
            number=batch.number,
            previous_state_root=self.previous_root,
            state_root=roots.state,
            first_sequence=batch.first_sequence,
            last_sequence=batch.last_sequence,
            journal_head=batch.journal_head,
            inbox_cursor=batch.deposit_cursor,
            withdrawals_root=compute_withdrawals_root([hash_withdrawal(w) for w in batch.withdrawals]),
            marks_root=roots.marks,
            data_hash=batch.data_hash,
            time_ns=batch.time_ns,
        )
        self.previous_root = roots.state
        return SealedBatch(header, batch.withdrawals)


def number_withdrawals(batch: int, paid: Sequence[tuple[bytes, int]]) -> tuple[Withdrawal, ...]:
    """Return the withdrawals of a batch with their places in its tree."""
    return tuple(Withdrawal(batch, i, account, amount) for i, (account, amount) in enumerate(paid))
