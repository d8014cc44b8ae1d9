"""Everything that must be true after every step, checked by one that remembers what the venue showed.

The witness outlives the venue's processes. It hears of commands only when they are durable and told, replays
each with the verifier's replayer, keeps a naive book, and asks of every recovery that the past is the same.
"""

import zlib
from collections import Counter
from collections.abc import Callable

from novate.execution.commitment import StateCommitment
from novate.execution.engine import Engine, Events
from novate.execution.journal import Entry
from novate.execution.recovery import Recovered
from novate.execution.sequencer import Outcome
from novate.execution.views import compute_conservation_gap, compute_lots_gap, read_account, read_positions
from novate.protocol.command import Command, encode_payload
from novate.protocol.generated.codes import Code, CommandKind, LiquidationStage
from novate.protocol.header import BatchHeader
from novate.verification.replay import Replayer
from novate.verification.risk import compute_initial
from novate.verification.state import BrokenInvariant
from simulation.book import Book
from simulation.genesis import make_genesis

# An account may fall into breach late in a TICK, by what later accounts did; the next one must serve it.
TICKS_IN_BREACH_MAX = 2
DIRTY_S_MAX = 3.0


class Witness:
    """`fail` is told of a broken promise; the first one ends the seed."""

    def __init__(self, fail: Callable[[str], None], now_s: Callable[[], float]) -> None:
        self.fail = fail
        self.now_s = now_s
        self.engine: Engine | None = None
        self.replayer = Replayer(make_genesis())
        self.book = Book(fail)
        self.hashes: list[bytes] = []
        self.digests: list[int] = []
        self.roots: dict[int, bytes] = {}
        self.headers: dict[int, bytes] = {}
        self.acknowledged = 0
        self.credited: list[tuple[bytes, int]] = []
        self.withdrawn: Counter[bytes] = Counter()
        self.in_breach: Counter[int] = Counter()
        self.dirty_since_s = -1.0
        self.kinds: Counter[str] = Counter()

    # What is heard

    def on_outcomes(self, outcomes: list[Outcome]) -> None:
        """A group that the sequencer tells: the engine stands after its last command."""
        for outcome in outcomes:
            if outcome.sequence != len(self.hashes) + 1:
                self.fail(f"command {outcome.sequence} was told after {len(self.hashes)}")
                return
            self.hear(outcome)
        self.check_sums()
        if len(self.hashes) % 8 == 0:
            self.check_margins()
        if outcomes[-1].command.kind == CommandKind.TICK and outcomes[-1].code == Code.OK:
            self.check_breaches()

    def on_replayed(self, outcomes: list[Outcome]) -> None:
        """Commands that a recovery replays: the known ones end as before, the others are news."""
        for outcome in outcomes:
            if outcome.sequence > len(self.hashes):
                self.hear(outcome)
            elif digest(outcome.events) != self.digests[outcome.sequence - 1]:
                self.fail(f"command {outcome.sequence} had other events when it was replayed")

    def hear(self, outcome: Outcome) -> None:
        """Replay one command, follow its events, and remember it."""
        command, events = outcome.command, outcome.events
        self.hashes.append(outcome.entry.hash)
        self.digests.append(digest(events))
        self.kinds[f"{CommandKind(command.kind).name} {outcome.code.name}"] += 1
        if encode_payload(command) != outcome.entry.payload:
            self.fail(f"command {outcome.sequence} was applied otherwise than journalled")
        try:
            replayed = self.replayer.apply(command)
        except BrokenInvariant as error:
            self.fail(f"command {outcome.sequence} breaks the replayer's invariant: {error}")
            return
        told = (int(events["code"][0]), int(events["account"][0]), int(events["order_id"][0]))
        if told != tuple(replayed):
            self.fail(f"command {outcome.sequence} ended as {told}, by the replay as {tuple(replayed)}")
        self.book.follow(outcome.sequence, events)
        if outcome.code == Code.OK:
            self.note_money(command)

    def note_money(self, command: Command) -> None:
        """Keep account of what came in, what went out, and the root of every batch."""
        if command.kind == CommandKind.DEPOSIT:
            self.credited.append((command.signer, command.get("amount_atoms")))
        elif command.kind == CommandKind.WITHDRAW:
            self.withdrawn[command.signer] += command.get("amount_atoms")
        elif command.kind == CommandKind.SEAL:
            self.roots[command.get("batch")] = self.replayer.state_root()

    def acknowledge(self, outcome: Outcome) -> None:
        """A client has its answer: from now on the command must be there for ever."""
        self.acknowledged += 1
        if not 0 < outcome.sequence <= len(self.hashes):
            self.fail(f"command {outcome.sequence} was answered before it was told")
        elif self.hashes[outcome.sequence - 1] != outcome.entry.hash:
            self.fail(f"command {outcome.sequence} was answered twice, with two hashes")

    # What must be true

    def check_sums(self) -> None:
        """Money is conserved to the atom, and lots of each instrument sum to zero. [CASH-3]"""
        assert self.engine is not None
        gaps = (compute_conservation_gap(self.engine), compute_lots_gap(self.engine))
        if gaps != (0, 0):
            self.fail(f"after command {self.engine.sequence} {gaps[0]} atoms and {gaps[1]} lots are missing")

    def check_breaches(self) -> None:
        """After a TICK nobody is in breach whom the TICKs did not serve. [LIQ-1]"""
        assert self.engine is not None
        stale = any(map(self.replayer.state.is_stale, self.replayer.state.markets))
        for account in range(len(self.engine.addresses)):
            view = read_account(self.engine, account)
            unserved = (
                not stale
                and view.liquidation_stage == LiquidationStage.NONE
                and view.equity_atoms < view.maintenance_margin_atoms
                and any(position.lots for position in read_positions(self.engine, account))
            )
            self.in_breach[account] = self.in_breach[account] + 1 if unserved else 0
            if self.in_breach[account] > TICKS_IN_BREACH_MAX:
                self.fail(f"account {account} has been in breach for {self.in_breach[account]} TICKs")

    def check_margins(self) -> None:
        """What every account must hold is what the replay says, quotes and open orders included."""
        assert self.engine is not None
        state = self.replayer.state
        for number in range(len(self.engine.addresses)):
            account = state.accounts[number]
            expected = sum(compute_initial(state, account, u) for u in range(len(state.markets)))
            found = read_account(self.engine, number).initial_margin_atoms
            if found != expected:
                self.fail(f"account {number} must hold {found} atoms, by the replay {expected}")

    def check_ticking(self) -> None:
        """A price that was accepted reaches the marks: a TICK comes soon."""
        assert self.engine is not None
        if not bool((self.engine.world.markets["dirty"] != 0).any()):
            self.dirty_since_s = -1.0
        elif self.dirty_since_s < 0:
            self.dirty_since_s = self.now_s()
        elif self.now_s() - self.dirty_since_s > DIRTY_S_MAX:
            self.fail(f"no TICK has come for {self.now_s() - self.dirty_since_s:.1f} s after a new price")

    def check_header(self, header: BatchHeader) -> None:
        """A header names the root that the replay has, and is the same whenever it is made."""
        if header.state_root != self.roots.get(header.number):
            self.fail(f"the root of batch {header.number} is not the replay's")
        if self.headers.setdefault(header.number, header.hash()) != header.hash():
            self.fail(f"batch {header.number} has two headers")

    def check_recovered(self, recovered: Recovered) -> None:
        """The past is as it was shown, and the engine stands where the replay stands."""
        self.engine = recovered.engine
        self.dirty_since_s = -1.0
        self.check_past(recovered.entries)
        for batch in recovered.batches:
            self.check_header(batch.header)
        self.check_sums()
        self.check_margins()
        if compute_root(recovered.engine) != self.replayer.state_root():
            self.fail(f"the engine recovered at {len(recovered.entries)} has another root than the replay")

    def check_past(self, entries: list[Entry]) -> None:
        """Nothing that was told is missing or changed; nothing is there that the replay does not know."""
        found = [entry.hash for entry in entries]
        if len(found) < len(self.hashes):
            self.fail(f"{len(self.hashes)} commands were told, {len(found)} are left")
        elif found != self.hashes:
            self.fail(f"of {len(found)} recovered commands not all are those that were told or replayed")


def digest(events: Events) -> int:
    """A checksum of a command's events."""
    return zlib.crc32(events.tobytes())


def compute_root(engine: Engine) -> bytes:
    """The state root of an engine, computed from nothing; what waits to be committed still waits after it."""
    world = engine.world
    tables = (world.accounts, world.orders, world.waiting, world.instruments)
    dirty = [table["dirty"].copy() for table in tables]
    commitment = StateCommitment(engine)
    root = commitment.compute(commitment.collect(everything=True)).state
    for table, old in zip(tables, dirty, strict=True):
        table["dirty"] = old
    return root
