"""The sequencer: order, groups, and that nobody hears of a command before it is durable."""

import asyncio
import threading
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from novate.execution import journal as journal_module
from novate.execution import sequencer as sequencer_module
from novate.execution.engine import Engine
from novate.execution.journal import open_journal, read_journal
from novate.execution.sequencer import Outcome, Sequencer, VenueBusy
from novate.protocol.command import Command, decode_payload, make_command
from novate.protocol.generated.codes import Code, CommandKind
from tests.execution.disk import Disk
from tests.execution.venue import make_genesis

GENESIS = make_genesis("tiny")
NOW_NS = 1_700_000_000_000_000_000


class GatedDisk(Disk):
    """A disk whose fdatasync of a segment waits until the test opens the gate."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = threading.Event()
        self.waiting = threading.Event()
        self.gate.set()

    def do_fdatasync(self, descriptor: int) -> None:
        if self.names[descriptor].name.endswith(".log"):
            self.waiting.set()
            assert self.gate.wait(10)
        super().do_fdatasync(descriptor)


class Bench:
    """A sequencer on a gated disk, and everything that came out of it, in order."""

    def __init__(self, folder: Path, disk: GatedDisk, clock_ns: Callable[[], int]) -> None:
        self.disk = disk
        self.folder = folder
        self.failures: list[str] = []
        self.heard: list[Outcome] = []
        self.groups: list[int] = []
        journal, _ = open_journal(folder, GENESIS.hash)
        self.engine = Engine(GENESIS)
        self.sequencer = Sequencer(self.engine, journal, clock_ns, lambda: self.failures.append("ended"))
        self.sequencer.listeners.append(self.listen)

    def listen(self, outcomes: list[Outcome]) -> None:
        self.heard.extend(outcomes)
        self.groups.append(len(outcomes))


Scene = Callable[[Bench], Coroutine[Any, Any, None]]
Play = Callable[..., Bench]


@pytest.fixture
def play(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Play:
    """Run a scene on a started sequencer, and stop it afterwards unless it ended by itself."""

    def run(scene: Scene, clock_ns: Callable[[], int] = lambda: NOW_NS) -> Bench:
        disk = GatedDisk()
        monkeypatch.setattr(journal_module, "os", disk)
        bench = Bench(tmp_path / "journal", disk, clock_ns)

        async def whole() -> None:
            await bench.sequencer.start()
            await scene(bench)
            disk.gate.set()
            if not bench.failures:
                await bench.sequencer.stop()

        asyncio.run(asyncio.wait_for(whole(), 30))
        return bench

    return run


def deposit(number: int) -> Command:
    """The deposit with a cursor, for one of the four accounts."""
    fields = {"cursor": number, "amount_atoms": 1_000}
    return make_command(CommandKind.DEPOSIT, 0, bytes([number % 4 + 1]) * 20, **fields)


def seal(batch: int) -> Command:
    return make_command(CommandKind.SEAL, 0, batch=batch)


async def wait_until_syncing(bench: Bench) -> None:
    """Wait until the writer stands before the closed gate."""
    while not bench.disk.waiting.is_set():
        await asyncio.sleep(0.001)


def test_commands_keep_the_order_of_their_calls(play: Play) -> None:
    """Sequence numbers follow the order of `enqueue`, for callers, listeners, engine and journal alike."""

    async def scene(bench: Bench) -> None:
        futures = [bench.sequencer.enqueue(deposit(number)) for number in range(1, 401)]
        outcomes = await asyncio.gather(*futures)
        assert list(range(1, 401)) == [outcome.sequence for outcome in outcomes]
        assert {Code.OK} == {outcome.code for outcome in outcomes}
        assert outcomes == bench.heard
        assert list(range(1, 401)) == [outcome.command.get("cursor") for outcome in outcomes]

    bench = play(scene)
    entries = list(read_journal(bench.folder, GENESIS.hash))
    assert [outcome.entry for outcome in bench.heard] == entries
    assert [outcome.command for outcome in bench.heard] == [decode_payload(each.payload) for each in entries]
    assert 400 == bench.sequencer.statistics.command_count


def test_nobody_hears_before_the_sync(play: Play) -> None:
    """Until fdatasync returns, the engine does not move, no listener is told and no caller answered."""

    async def scene(bench: Bench) -> None:
        bench.disk.gate.clear()
        bench.disk.waiting.clear()
        future = bench.sequencer.enqueue(deposit(1))
        await wait_until_syncing(bench)
        await asyncio.sleep(0.05)
        assert (False, [], 0) == (future.done(), bench.heard, bench.engine.sequence)
        bench.disk.gate.set()
        assert Code.OK == (await future).code
        assert 1 == len(bench.heard)

    play(scene)


def test_what_gathers_during_a_sync_is_one_group(play: Play) -> None:
    """Commands that arrive while the disk works share the next fdatasync, up to GROUP_LENGTH_MAX."""

    async def scene(bench: Bench) -> None:
        bench.disk.gate.clear()
        bench.disk.waiting.clear()
        futures = [bench.sequencer.enqueue(deposit(1))]
        await wait_until_syncing(bench)
        futures += [bench.sequencer.enqueue(deposit(number)) for number in range(2, 602)]
        bench.disk.gate.set()
        await asyncio.gather(*futures)

    bench = play(scene)
    assert [1, 512, 88] == bench.groups
    syncs = [name for kind, name in bench.disk.calls if kind == "fdatasync" and name.endswith(".log")]
    assert 3 <= len(syncs)
    assert 3 == bench.sequencer.statistics.group_count


def test_a_seal_ends_its_group(play: Play) -> None:
    """Nothing after a SEAL is applied before its listener has seen the state that the batch ends in."""
    sequences = []

    async def scene(bench: Bench) -> None:
        bench.sequencer.listeners.append(lambda outcomes: sequences.append(bench.engine.sequence))
        commands = [deposit(1), deposit(2), seal(1), deposit(3), seal(2), seal(3), deposit(4)]
        await asyncio.gather(*[bench.sequencer.enqueue(command) for command in commands])

    assert [3, 2, 1, 1] == play(scene).groups
    assert [3, 5, 6, 7] == sequences


def test_a_full_queue_is_busy(play: Play, monkeypatch: pytest.MonkeyPatch) -> None:
    """The queue is bounded: one command more is VenueBusy and not taken, and there is room again later."""
    monkeypatch.setattr(sequencer_module, "QUEUE_LENGTH_MAX", 10)

    async def scene(bench: Bench) -> None:
        futures = [bench.sequencer.enqueue(deposit(number)) for number in range(1, 11)]
        with pytest.raises(VenueBusy):
            await bench.sequencer.submit(deposit(11))
        await asyncio.gather(*futures)
        assert Code.OK == (await bench.sequencer.submit(deposit(11))).code

    assert 11 == len(play(scene).heard)


def test_stopping_finishes_what_is_queued(play: Play) -> None:
    """What was taken is answered and durable when `stop` returns; what comes later is VenueBusy."""
    left: list[asyncio.Future[Outcome]] = []

    async def scene(bench: Bench) -> None:
        left.extend(bench.sequencer.enqueue(deposit(number)) for number in range(1, 21))
        stopping = asyncio.create_task(bench.sequencer.stop())
        await asyncio.sleep(0)
        with pytest.raises(VenueBusy):
            await bench.sequencer.submit(deposit(21))
        await stopping
        assert all(future.done() for future in left)
        bench.failures.append("stopped by the scene")

    bench = play(scene)
    assert 20 == len(list(read_journal(bench.folder, GENESIS.hash)))


def test_time_never_runs_backwards(play: Play) -> None:
    """A clock that jumps back gives the last command's time again, so nothing is TIME_NOT_MONOTONIC."""
    times = iter([NOW_NS, NOW_NS + 5, NOW_NS - 1_000_000, NOW_NS + 7])

    async def scene(bench: Bench) -> None:
        for number in range(1, 5):
            assert Code.OK == (await bench.sequencer.submit(deposit(number))).code

    bench = play(scene, lambda: next(times))
    assert [NOW_NS, NOW_NS + 5, NOW_NS + 5, NOW_NS + 7] == [outcome.time_ns for outcome in bench.heard]


@pytest.mark.parametrize("call", ["write", "fdatasync", "pwrite"])
def test_a_failing_disk_ends_the_process(play: Play, call: str) -> None:
    """After an error of the disk the process ends: nobody is answered, nothing is applied, nothing more is
    taken up.
    """

    async def scene(bench: Bench) -> None:
        await bench.sequencer.submit(deposit(1))
        order = {"write": 0, "fdatasync": 1, "pwrite": 2}
        while not bench.sequencer.journal.flushed:
            await asyncio.sleep(0.001)
        bench.disk.fail_at = len(bench.disk.calls) + order[call]
        future = bench.sequencer.enqueue(deposit(2))
        while not bench.failures:
            await asyncio.sleep(0.001)
        later = bench.sequencer.enqueue(deposit(3))
        await asyncio.sleep(0.02)
        assert (False, False, 1, 1) == (future.done(), later.done(), bench.engine.sequence, len(bench.heard))

    assert ["ended"] == play(scene).failures


def test_a_caller_who_gave_up_changes_nothing(play: Play) -> None:
    """A cancelled future does not undo its command: it is applied, told and journalled like any other."""

    async def scene(bench: Bench) -> None:
        future = bench.sequencer.enqueue(deposit(1))
        future.cancel()
        assert Code.OK == (await bench.sequencer.submit(deposit(2))).code

    assert [1, 2] == [outcome.sequence for outcome in play(scene).heard]
