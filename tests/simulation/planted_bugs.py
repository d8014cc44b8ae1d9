"""Bugs planted around the engine: each is a way in which a venue could break its promises after a fault."""

from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from novate.apps import venue_tasks
from novate.apps.venue_tasks import BatchPoster
from novate.execution import journal, recovery, sealing, sequencer, snapshot
from novate.execution.engine import Engine, Events
from novate.execution.frame_scan import Entry
from novate.execution.journal import Journal
from novate.execution.sealing import Sealer
from novate.execution.tables import NONE
from novate.execution.tables import World as Tables
from novate.protocol.command import Command
from novate.protocol.generated.codes import CommandKind, EventKind
from novate.protocol.generated.records import SIGNED_BY
from novate.settlement.client import Deposit
from novate.settlement.deposits import DepositWatcher
from novate.verification import replay
from simulation import venue as simulated_venue
from simulation import world as simulated_world
from simulation.genesis import OPERATOR, get_address

Plant = Callable[[pytest.MonkeyPatch], None]


def forgo_syncs(descriptor: int) -> None:
    """A sync that does nothing."""


def without_syncs(call: Callable[..., Any]) -> Callable[..., Any]:
    """The same call, during which nothing is synced."""

    def unsynced(*arguments: Any) -> Any:
        disk: Any = journal.os
        disk.do_fdatasync = forgo_syncs
        try:
            return call(*arguments)
        finally:
            del disk.do_fdatasync

    return unsynced


def acknowledge_before_sync(patch: pytest.MonkeyPatch) -> None:
    """`append` returns when the frames are written, not when they are durable."""
    patch.setattr(Journal, "append", without_syncs(Journal.append))


def show_before_sync(patch: pytest.MonkeyPatch) -> None:
    """A recovery does not sync the frames that it found, and shows them."""
    patch.setattr(Journal, "open_segment", without_syncs(Journal.open_segment))
    patch.setattr(journal, "rewrite_tail", without_syncs(journal.rewrite_tail))


def forget_names(patch: pytest.MonkeyPatch) -> None:
    """The journal never syncs its folder, so a new segment's name can be lost."""
    patch.setattr(journal, "sync_folder", lambda path: None)


def apply_before_journal(patch: pytest.MonkeyPatch) -> None:
    """The frames of a group are written one group late: a crash loses what was answered."""
    append = Journal.append

    def late(self: Journal, payloads: Sequence[bytes]) -> list[Entry]:
        position = self.position
        writing = journal.write_all
        held: list[bytes] = getattr(self, "held", [])

        def hold(descriptor: int, data: bytes) -> None:
            writing(descriptor, b"".join(held))
            held[:] = [data]

        journal.write_all = hold
        try:
            return append(self, payloads)
        finally:
            journal.write_all = writing
            self.held = held  # type: ignore[attr-defined]
            assert self.position.sequence >= position.sequence

    patch.setattr(Journal, "append", late)


def trust_the_head(patch: pytest.MonkeyPatch) -> None:
    """Deposits are credited as soon as they are seen, without waiting for confirmations."""
    patch.setattr(simulated_world, "CREDIT_AFTER", 0)


def credit_again(patch: pytest.MonkeyPatch) -> None:
    """After a restart the watcher numbers the deposits that it sees, and sees the last one once more."""

    def poll(self: DepositWatcher) -> Iterator[Deposit]:
        last = self._client.web3.eth.block_number - self._confirmations
        start = max(0, getattr(self, "seen", self._cursor - 1))
        for deposit in self._client.read_deposit_logs(0, max(0, last))[start:]:
            start += 1
            self.seen = start  # type: ignore[attr-defined]
            self._cursor += 1
            yield deposit._replace(cursor=self._cursor)

    patch.setattr(DepositWatcher, "poll", poll)


def leave_one_out(patch: pytest.MonkeyPatch) -> None:
    """A deposit that is alone in its poll's last block is passed over, and the next takes its number."""
    poll = DepositWatcher.poll

    def forgetful(self: DepositWatcher) -> Iterator[Deposit]:
        for deposit in poll(self):
            if deposit.cursor == 6:
                self.left_out = True  # type: ignore[attr-defined]
                continue
            yield deposit._replace(cursor=deposit.cursor - int(hasattr(self, "left_out")))

    patch.setattr(DepositWatcher, "poll", forgetful)


def stop_ticking(patch: pytest.MonkeyPatch) -> None:
    """A venue that recovered does not TICK any more."""
    run_ticks = venue_tasks.run_ticks

    async def tick_once(venue: Any) -> None:
        if venue.engine.sequence == 0:
            await run_ticks(venue)

    patch.setattr(simulated_venue, "run_ticks", tick_once)


def skip_ticks(patch: pytest.MonkeyPatch) -> None:
    """A recovery replays TICKs as cancellations of nothing: time stands still in the replayed part."""
    decode = recovery.decode_payload

    def skip(payload: bytes) -> Any:
        command = decode(payload)
        return command._replace(kind=CommandKind.DISCONNECT, values=(-1,)) if is_tick(command) else command

    patch.setattr(recovery, "decode_payload", skip)


def is_tick(command: Any) -> bool:
    """Whether a command is a TICK."""
    return bool(command.kind == CommandKind.TICK)


def restore_fresh_groups(patch: pytest.MonkeyPatch) -> None:
    """A snapshot is restored without the flags that say that margins of quotes must be found again."""
    rebuild = snapshot.rebuild_indexes

    def rebuild_without_flags(world: Tables) -> None:
        rebuild(world)
        world.groups["stale"] = 0

    patch.setattr(snapshot, "rebuild_indexes", rebuild_without_flags)


def restore_queues_backwards(patch: pytest.MonkeyPatch) -> None:
    """A snapshot is restored with the last of each queue first."""
    rebuild = snapshot.rebuild_indexes

    def turn(world: Any) -> None:
        rebuild(world)
        for level in world.levels[world.levels["head"] != world.levels["tail"]]:
            slots = [int(level["head"])]
            while world.orders["next"][slots[-1]] != NONE:
                slots.append(int(world.orders["next"][slots[-1]]))
            for slot in slots:
                order = world.orders[slot]
                order["next"], order["prev"] = int(order["prev"]), int(order["next"])
            place = world.levels["key"] == level["key"]
            world.levels["head"][place], world.levels["tail"][place] = slots[-1], slots[0]

    patch.setattr(snapshot, "rebuild_indexes", turn)


def owe_withdrawals_twice(patch: pytest.MonkeyPatch) -> None:
    """A batch lists the withdrawals of the one before it again."""
    observe = Sealer.observe

    def remember(self: Sealer, *arguments: Any) -> Any:
        before = list(self.withdrawals)
        batch = observe(self, *arguments)
        if batch is not None:
            self.withdrawals = before
        return batch

    patch.setattr(Sealer, "observe", remember)


def run_clock_back(patch: pytest.MonkeyPatch) -> None:
    """The sequencer stamps commands with the machine's clock, even if it has gone back."""
    monotone = max

    def trust_clock(*values: Any) -> Any:
        return values[0] if len(values) == 2 else monotone(*values)

    patch.setattr(sequencer, "max", trust_clock, raising=False)


def never_repost(patch: pytest.MonkeyPatch) -> None:
    """A header that a reorganisation took off the chain is not posted again."""

    def post_one(self: BatchPoster, header: Any) -> int:
        receipt = self.venue.settlement.post_header(header)
        return receipt["gasUsed"] if receipt is not None else 0

    patch.setattr(BatchPoster, "post_missing", post_one)
    patch.setattr(BatchPoster, "post_left", lambda self: None)


def pay_subaccounts_themselves(patch: pytest.MonkeyPatch) -> None:
    """A batch owes a sub-account's withdrawal to an address that nobody has the key of."""
    patch.setattr(sealing, "find_owner", lambda engine, account: account)


def seal_an_old_root(patch: pytest.MonkeyPatch) -> None:
    """A header now and then names the state before its batch."""
    close = Sealer.close

    def late(self: Sealer, batch: Any) -> Any:
        before = self.previous_root
        sealed = close(self, batch)
        if batch.number % 5:
            return sealed
        self.previous_root = before
        return sealed._replace(header=sealed.header._replace(state_root=before))

    patch.setattr(Sealer, "close", late)


def change_after(patch: pytest.MonkeyPatch, kind: CommandKind, change: Callable[[Engine], None]) -> None:
    """Let something unlawful happen to the engine after every command of a kind."""
    apply = Engine.apply

    def spoil(self: Engine, commands: Sequence[Command]) -> Any:
        events = apply(self, commands)
        if any(command.kind == kind for command in commands):
            change(self)
        return events

    patch.setattr(Engine, "apply", spoil)


def pay_an_atom_too_much(patch: pytest.MonkeyPatch) -> None:
    """After a withdrawal an atom too much is left."""

    def pay(engine: Engine) -> None:
        engine.world.accounts["cash_atoms"][0] += 1

    change_after(patch, CommandKind.WITHDRAW, pay)


def swap_positions(patch: pytest.MonkeyPatch) -> None:
    """After a REPLACE a lot goes from one holder of an instrument to another, and no event tells."""

    def swap(engine: Engine) -> None:
        positions = engine.world.positions
        held = np.flatnonzero((positions["account"] >= 0) & (positions["lots"] != 0)).tolist()
        for one, other in pairwise(held):
            if positions["instrument"][one] == positions["instrument"][other]:
                positions["lots"][one] += 1
                positions["lots"][other] -= 1
                return

    change_after(patch, CommandKind.REPLACE, swap)


def retell(patch: pytest.MonkeyPatch, change: Callable[[Events], None]) -> None:
    """Let the sequencer tell events that are not quite what happened."""
    split = sequencer.split_events

    def lie(events: Events) -> list[Events]:
        parts = split(events)
        for told in parts:
            change(told)
        return parts

    patch.setattr(sequencer, "split_events", lie)


def tell_another_maker(patch: pytest.MonkeyPatch) -> None:
    """The events of a command that met two makers name them in the other order."""

    def swap(told: Events) -> None:
        matched = told["order_id"] != told["maker_order_id"]
        fills = np.flatnonzero((told["kind"] == EventKind.FILL) & matched)
        if len(fills) > 1:
            told["maker_order_id"][fills] = told["maker_order_id"][fills][::-1].copy()

    retell(patch, swap)


def tell_legs_the_other_way(patch: pytest.MonkeyPatch) -> None:
    """The events of a combo's legs call the buyer the seller."""

    def flip(told: Events) -> None:
        legs = told["kind"] == EventKind.LEG
        told["side"][legs] = 1 - told["side"][legs]

    retell(patch, flip)


def obey_anybody(patch: pytest.MonkeyPatch) -> None:
    """The engine takes everybody for the operator, and so does the replay: only what is forbidden tells."""
    resolve, operator = Engine.resolve_speaker, get_address(OPERATOR)

    def trust(self: Engine, command: Command) -> int:
        return 0 if SIGNED_BY[command.kind] == "operator" else resolve(self, command)

    authenticate = replay.authenticate_operator

    def believe(state: Any, command: Command) -> None:
        authenticate(state, command._replace(signer=operator))

    patch.setattr(Engine, "resolve_speaker", trust)
    patch.setattr(replay, "authenticate_operator", believe)


PLANTS: tuple[Plant, ...] = (
    acknowledge_before_sync,
    show_before_sync,
    forget_names,
    apply_before_journal,
    trust_the_head,
    credit_again,
    leave_one_out,
    stop_ticking,
    skip_ticks,
    restore_fresh_groups,
    restore_queues_backwards,
    owe_withdrawals_twice,
    run_clock_back,
    never_repost,
    pay_subaccounts_themselves,
    seal_an_old_root,
    pay_an_atom_too_much,
    swap_positions,
    tell_another_maker,
    tell_legs_the_other_way,
    obey_anybody,
)
