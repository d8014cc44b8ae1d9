"""The rules of the fence, the settings, the log reader; and a venue without a standby imports no NATS."""

import subprocess
import sys
from pathlib import Path

import pytest

from novate.execution.journal import find_segments, open_journal
from novate.protocol.frame import iterate_frames
from novate.standby.fence import (
    PRIMARY,
    STANDBY,
    Fence,
    FenceError,
    FenceState,
    check_unaccompanied,
    explain_refusal,
    follow_primary,
    may_go_alone,
    open_fence,
    read_fence,
    release_standby,
    take_over,
)
from novate.standby.log_reader import LogFile, LogReader, LogReadError, cut_chunks, rebuild_frame
from novate.standby.messages import CHAIN, CHUNK_BYTES_MAX, JOURNAL, End
from novate.standby.settings import (
    SettingsError,
    StandbySettings,
    format_settings,
    parse_settings,
    read_settings,
)

HERE, THERE, OTHER = "a" * 16, "b" * 16, "c" * 16
ORIGIN = b"\x07" * 32
ENDS = {JOURNAL: End(10, b"\1" * 32), CHAIN: End(3, b"\2" * 32)}


@pytest.mark.parametrize(
    ("expected", "partner", "sole", "automatic", "goes_alone"),
    [
        (False, "", False, False, False),  # New, and no standby has come yet.
        (True, "", True, False, False),  # Took over, and nobody else has everything.
        (True, "", False, False, True),
        (False, THERE, False, True, False),
        (False, THERE, False, True, True),  # Its standby may take over: its consent is missing.
        (False, THERE, False, False, False),
        (True, THERE, False, False, True),
    ],
)
def test_who_may_acknowledge_alone(
    expected: bool, partner: str, sole: bool, automatic: bool, goes_alone: bool
) -> None:
    """A primary goes on alone only where nobody can take over from it by itself."""
    state = FenceState(HERE, PRIMARY, 1, partner, sole, automatic)

    assert expected == may_go_alone(state, goes_alone)


@pytest.mark.parametrize(
    ("words", "automatic", "reached", "acknowledged"),
    [
        ("", True, ENDS, ENDS),
        ("not enrolled", False, ENDS, ENDS),
        ("journal ends before frame 10", True, ENDS | {JOURNAL: End(9, b"\3" * 32)}, {}),
        ("chain ends before frame 4", True, ENDS, {CHAIN: End(4, b"\4" * 32)}),
    ],
)
def test_who_may_take_over(
    words: str, automatic: bool, reached: dict[str, End], acknowledged: dict[str, End]
) -> None:
    """A standby takes over by itself if it was enrolled to, and holds what was acknowledged."""
    state = FenceState(THERE, STANDBY, 1, HERE, automatic=automatic, term=1, ends=ENDS)

    problem = explain_refusal(state, reached, acknowledged)

    assert words in problem
    assert bool(words) == bool(problem)


def test_take_over_begins_an_epoch_alone() -> None:
    """Who takes over is the only holder of the next epoch, and counts on nobody."""
    state = take_over(FenceState(THERE, STANDBY, 4, HERE, automatic=True, term=2, ends=ENDS))

    assert FenceState(THERE, PRIMARY, 5, sole=True) == state


def test_old_epochs_and_twins_are_not_followed() -> None:
    """A standby follows no primary of an earlier epoch, and stops at two of the same one."""
    state = FenceState(THERE, STANDBY, 4, HERE, automatic=True, term=2, ends=ENDS)

    assert state == follow_primary(state, 4, HERE)
    assert FenceState(THERE, STANDBY, 5, OTHER) == follow_primary(state, 5, OTHER)
    with pytest.raises(FenceError, match="is over"):
        follow_primary(state, 3, HERE)
    with pytest.raises(FenceError, match="two primaries"):
        follow_primary(state, 4, OTHER)


def test_roles_are_kept(tmp_path: Path) -> None:
    """A directory does not change its role by a restart, and not without its standby."""
    check_unaccompanied(tmp_path)
    fence = open_fence(tmp_path, PRIMARY)
    check_unaccompanied(tmp_path)
    with pytest.raises(FenceError, match="novate serve"):
        open_fence(tmp_path, STANDBY)
    fence.write(FenceState(fence.state.node, PRIMARY, 1, THERE, automatic=True))
    with pytest.raises(FenceError, match="release"):
        check_unaccompanied(tmp_path)
    released = release_standby(tmp_path)

    assert (2, "", True) == (released.epoch, released.partner, released.sole)
    assert released == read_fence(tmp_path)
    check_unaccompanied(tmp_path)


def test_superseded_directory_is_done(tmp_path: Path) -> None:
    """A primary that heard of a later epoch never serves again, released or not."""
    Fence(tmp_path, FenceState("", PRIMARY, 0)).write(FenceState(HERE, PRIMARY, 1, THERE, superseded=2))

    for attempt in (lambda: open_fence(tmp_path, PRIMARY), lambda: check_unaccompanied(tmp_path)):
        with pytest.raises(FenceError, match="took over"):
            attempt()
    with pytest.raises(FenceError, match="took over"):
        release_standby(tmp_path)


def test_damaged_fence_is_refused(tmp_path: Path) -> None:
    """A fence that cannot be read is no reason to begin a new one."""
    (tmp_path / "standby.json").write_text("{")

    with pytest.raises(FenceError, match="cannot be read"):
        open_fence(tmp_path, PRIMARY)


def test_settings_survive_writing(tmp_path: Path) -> None:
    """What is written is read again; what is unknown or impossible is refused with the file's name."""
    settings = StandbySettings(["nats://one:4222", "tls://two:4222"], "alone", 0.5, 3.0, 3)

    assert settings == parse_settings(format_settings(settings))
    assert read_settings(tmp_path) is None
    for text in ("[standby]\nservers = []", '[standby]\nservers = ["http://x"]', "[other]", "servers ="):
        (tmp_path / "standby.toml").write_text(text)
        with pytest.raises(SettingsError, match=r"standby\.toml"):
            read_settings(tmp_path)


def test_reader_returns_every_frame(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From any place, over any number of files, the reader returns the frames as they were written."""
    monkeypatch.setattr("novate.execution.journal.SEGMENT_BYTES_MAX", 600)
    journal, _ = open_journal(tmp_path, ORIGIN)
    entries = [entry for i in range(20) for entry in journal.append([b"%d" % i * 40])]
    frames = [rebuild_frame(entry) for entry in entries]
    reader = LogReader(lambda: [LogFile(int(path.stem), path) for path in find_segments(tmp_path)], ORIGIN)
    last = End(21, entries[-1].hash)
    for start in range(20):
        after = End(start + 1, entries[start - 1].hash if start else ORIGIN)
        data = b""
        while after != last:
            part, after = reader.read(after, last)
            data += part

        assert b"".join(frames[start:]) == data

    assert 20 == len(list(iterate_frames(b"".join(frames), ORIGIN)))
    assert (b"", last) == reader.read(last, last)
    with pytest.raises(LogReadError, match="parted"):
        LogReader(reader.list_files, ORIGIN).read(End(7, b"\0" * 32), last)
    with pytest.raises(LogReadError, match="ends before"):
        reader.read(End(30, b"\0" * 32), last)
    journal.close()


def test_chunks_fit_messages() -> None:
    """Frames are cut into runs no longer than a message may be, in their order."""
    frames = [bytes(CHUNK_BYTES_MAX // 3)] * 7

    chunks = cut_chunks(frames)

    assert [3, 3, 1] == [len(chunk) for chunk in chunks]
    assert [] == cut_chunks([])


def test_nats_is_not_imported_without_a_standby() -> None:
    """Everything that `novate serve` imports leaves NATS alone."""
    program = "import sys, novate.apps.serve, novate.apps.standby; sys.exit('nats' in sys.modules)"

    assert 0 == subprocess.run([sys.executable, "-c", program], check=False).returncode
