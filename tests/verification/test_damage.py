"""Ten thousand damaged copies of a published folder: none goes unnoticed, none brings the verifier down."""

import random
import re
from functools import cache
from pathlib import Path

import pytest

from novate.protocol.frame import iterate_frames
from novate.verification.findings import NOT_REACHED, OK
from novate.verification.published import read_files
from novate.verification.verdict import verify_directory, verify_files
from tests.verification.small_venue import publish, write_script

ROUNDS = 10_000
NAMES = ("genesis.json", "commands.log", "batches.log", "chain.log", "HEAD")


@cache
def honest() -> dict[str, bytes]:
    return publish(write_script())


@cache
def frame_starts(name: str) -> list[int]:
    """Where the frames of a log begin."""
    origin = bytes(32) if name == "chain.log" else verify_genesis_hash()
    return [0, *(frame.end for frame in iterate_frames(honest()[name], origin))]


def verify_genesis_hash() -> bytes:
    verdict = verify_files(honest())
    return bytes.fromhex(verdict.checks[1].note[2:])


def damage(data: bytes, chance: random.Random) -> tuple[bytes, int]:
    """A damaged copy, and the first byte that is not as it was."""
    at = chance.randrange(len(data))
    match chance.randrange(8):
        case 0:
            changed = data[:at]
        case 1:
            changed = data[:at] + bytes([data[at] ^ chance.randrange(1, 256)]) + data[at + 1 :]
        case 2:
            changed = data[:at] + chance.randbytes(1) + data[at:]
        case 3:
            changed = data[:at] + data[at + chance.randrange(1, 40) :]
        case 4:
            changed = data + chance.randbytes(chance.randrange(1, 200))
        case _:
            changed = data[:at] + bytes([data[at] ^ 1 << chance.randrange(8)]) + data[at + 1 :]
    first = next((n for n, pair in enumerate(zip(data, changed, strict=False)) if pair[0] != pair[1]), None)
    return changed, min(len(data), len(changed)) if first is None else first


def test_the_undamaged_folder_is_in_order(tmp_path: Path) -> None:
    """An honest venue passes every check, read from its directory or from the one above it."""
    folder = tmp_path / "published"
    folder.mkdir()
    for name, data in honest().items():
        (folder / name).write_bytes(data)
    for path in (folder, tmp_path):
        verdict = verify_directory(path)
        assert "ok" == verdict.describe()
        assert {OK} == {check.state for check in verdict.checks}
    assert read_files(folder) == honest()


def test_every_damage_is_noticed_where_it_is() -> None:
    """Each flip, cut, insertion and deletion is found; the finding names file and frame."""
    chance = random.Random(2026)
    wrong = []
    for round_number in range(ROUNDS):
        name = chance.choice(NAMES)
        changed, first = damage(honest()[name], chance)
        if changed == honest()[name]:
            continue
        verdict = verify_files(honest() | {name: changed})
        place = verdict.failed.finding.place if verdict.failed and verdict.failed.finding else "nowhere"
        found = re.match(rf"{name}(?: byte (\d+))?", place)
        hit = found is not None
        if found is not None and name.endswith(".log"):
            start = max(offset for offset in frame_starts(name) if offset <= first)
            hit = found[1] is not None and start == int(found[1])
        if not hit or verdict.checks[-1].state != NOT_REACHED:
            wrong.append(f"round {round_number}: {name} byte {first} was reported as {verdict.describe()}")
    assert [] == wrong


@pytest.mark.parametrize("name", NAMES)
def test_garbage_is_a_finding(name: str) -> None:
    """Whatever a file holds, the answer is a verdict that names the file, and never an exception."""
    for data in (b"", b"\0" * 4096, b"NVT1" * 100, b"{" * 100_000, b"[]", b"\xff\xfe", b"9" * 5000):
        verdict = verify_files(honest() | {name: data})
        assert verdict.failed is not None
        assert verdict.failed.finding is not None
        assert verdict.failed.finding.place.startswith(name), verdict.describe()


def test_a_missing_file_or_folder_is_a_finding(tmp_path: Path) -> None:
    """What is not there is said to be missing."""
    assert "files: genesis.json: it is missing" == verify_files({"HEAD": b""}).describe()
    assert "HEAD: it cannot be read" in verify_directory(tmp_path).describe()
    assert "is not a directory" in verify_directory(tmp_path / "nowhere").describe()


def test_whole_frames_beyond_head_are_allowed() -> None:
    """A live venue's log may be longer than HEAD, by whole frames that chain, and the verdict says so."""
    full, script = honest(), write_script()
    seals = [n for n, command in enumerate(script, 1) if command.kind.name == "SEAL"]
    shorter = publish(script[: seals[1]])
    verdict = verify_files(shorter | {"commands.log": full["commands.log"]})
    assert "ok" == verdict.describe()
    assert f"{len(script) - seals[1]} whole frames beyond HEAD were not judged" == verdict.checks[3].note
    torn = verify_files(shorter | {"commands.log": full["commands.log"][:-1]})
    assert torn.failed is not None
    assert "command frames" == torn.failed.name
