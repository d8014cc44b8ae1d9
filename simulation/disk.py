"""A disk that fails, dies and loses what was never synced: it stands where production's modules have `os`.

Files are real ones in a temporary folder; no real sync is ever made. For each file the disk keeps what a
sync made durable, for each folder the names that its sync made durable. A power cut leaves of the rest what
chance decides: a file's unsynced end is cut at any byte and may be filled with zeros, each unsynced sector of
what is written in place is old or new, unsynced names are all there or all gone.
"""

import errno
import os
import random
import shutil
import stat
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from novate.execution import journal, snapshot
from novate.settlement import files, publication
from simulation.loop import ProcessEnded

SECTOR_BYTES = 512
WATCHED = ("open", "fdopen", "write", "pwrite", "fdatasync", "fsync", "fstat", "ftruncate", "rename", "close")
ERRORS = ("EIO", "ENOSPC")
SEATS = (journal, snapshot, files, publication)


class Disk:
    """The disk of one seed; it outlives every process. `fail_at` counts calls down to the fault."""

    def __init__(self, folder: Path, chance: random.Random) -> None:
        self.folder = folder
        self.chance = chance
        self.calls: Counter[str] = Counter()
        self.fail_at = 0
        self.fault = ""
        self.call = ""
        self.lost_pages = False
        self.names: dict[int, Path] = {}
        self.streams: list[Any] = []
        # By inode: what is durable, and a descriptor that keeps the inode's number from being used again.
        self.durable: dict[int, bytes] = {}
        self.holds: dict[int, int] = {}
        self.entries: dict[Path, dict[str, int]] = {}

    def __getattr__(self, name: str) -> Any:
        return getattr(self, f"do_{name}") if name in WATCHED else getattr(os, name)

    def arm(self, calls: int, fault: str, call: str) -> None:
        """Let the last of so many calls fail: `kill`, `power`, `EIO`, `ENOSPC` or `short`."""
        self.fail_at, self.fault, self.call = calls, fault, call

    def disarm(self) -> None:
        """Let nothing fail any more."""
        self.fail_at = 0

    def note(self, name: str) -> bool:
        """Count a call; raise if it is the one that fails; true if it is to be a short write."""
        self.calls[name] += 1
        if self.fail_at == 0 or name == "close" or self.call not in ("", name):
            return False
        self.fail_at -= 1
        if self.fail_at:
            return False
        if self.fault in ERRORS:
            # After a failed sync the kernel forgets the pages: what is read from now on is what is there.
            self.lost_pages = name in ("fsync", "fdatasync")
            raise OSError(getattr(errno, self.fault), f"{self.fault} at a simulated {name}")
        if self.fault != "short":
            raise ProcessEnded(self.fault)
        return name in ("write", "pwrite")

    # The watched calls

    def do_open(self, path: Path, flags: int, mode: int = 0o777) -> int:
        self.note("open")
        descriptor = os.open(path, flags, mode)
        self.names[descriptor] = Path(path)
        return descriptor

    def do_fdopen(self, descriptor: int, mode: str) -> Any:
        self.note("fdopen")
        stream = os.fdopen(descriptor, mode)
        self.names.pop(descriptor)
        self.streams.append(stream)
        return stream

    def do_write(self, descriptor: int, data: bytes) -> int:
        if self.note("write"):
            os.write(descriptor, data[: self.chance.randrange(len(data))])
            raise ProcessEnded("kill")
        return os.write(descriptor, data)

    def do_pwrite(self, descriptor: int, data: bytes, offset: int) -> int:
        if self.note("pwrite"):
            return os.pwrite(descriptor, data[: len(data) // 2], offset)
        return os.pwrite(descriptor, data, offset)

    def do_fdatasync(self, descriptor: int) -> None:
        self.note("fdatasync")
        self.keep(descriptor)

    def do_fsync(self, descriptor: int) -> None:
        self.note("fsync")
        self.keep(descriptor)

    def do_fstat(self, descriptor: int) -> os.stat_result:
        self.note("fstat")
        return os.fstat(descriptor)

    def do_ftruncate(self, descriptor: int, size: int) -> None:
        self.note("ftruncate")
        os.ftruncate(descriptor, size)

    def do_rename(self, old: Path, new: Path) -> None:
        self.note("rename")
        os.rename(old, new)

    def do_close(self, descriptor: int) -> None:
        self.note("close")
        self.names.pop(descriptor, None)
        os.close(descriptor)

    # What survives

    def keep(self, descriptor: int) -> None:
        """Make a file's content or a folder's names durable."""
        status = os.fstat(descriptor)
        if stat.S_ISDIR(status.st_mode):
            self.entries[self.names[descriptor]] = list_names(self.names[descriptor])
            return
        if status.st_ino not in self.holds:
            self.holds[status.st_ino] = os.open(f"/proc/self/fd/{descriptor}", os.O_RDONLY)
        self.durable[status.st_ino] = os.pread(self.holds[status.st_ino], status.st_size, 0)

    def close_all(self) -> None:
        """Close what a dead process held open; nothing of it is buffered, since every write is flushed."""
        for stream in self.streams:
            stream.close()
        for descriptor in self.names:
            os.close(descriptor)
        self.streams.clear()
        self.names.clear()

    def cut_power(self) -> None:
        """Lose what was never synced, as far as chance wills it."""
        for folder in (path for path in sorted(self.folder.rglob("*")) if path.is_dir()):
            self.cut_folder(folder)
        self.release()

    def cut_folder(self, folder: Path) -> None:
        """Decide about the names of one folder, then about each file's content."""
        now, synced = list_names(folder), self.entries.get(folder, {})
        kept = now if now == synced or self.chance.random() < 0.5 else synced
        contents = {
            name: self.tear(self.durable.get(inode, b""), self.read(folder / name, inode, now))
            for name, inode in sorted(kept.items())
        }
        for name in now:
            (folder / name).unlink()
        for name, data in contents.items():
            (folder / name).write_bytes(data)

    def read(self, path: Path, inode: int, now: dict[str, int]) -> bytes:
        """Return what a file held at last, even if its name is gone."""
        if now.get(path.name) == inode:
            return path.read_bytes()
        hold = self.holds.get(inode)
        return b"" if hold is None else os.pread(hold, os.fstat(hold).st_size, 0)

    def tear(self, durable: bytes, written: bytes) -> bytes:
        """Return what a power cut leaves of a file of which `durable` was synced."""
        if durable == written:
            return durable
        data = bytearray(durable)
        for start in range(0, min(len(durable), len(written)), SECTOR_BYTES):
            if self.chance.random() < 0.5:
                end = min(start + SECTOR_BYTES, len(durable), len(written))
                data[start:end] = written[start:end]
        if len(written) > len(durable):
            end = self.chance.choice(
                (len(durable), len(written), self.chance.randint(len(durable), len(written)))
            )
            data += written[len(durable) : end]
            data += bytes(self.chance.choice((0, len(written) - end)))
        elif self.chance.random() < 0.5:
            del data[len(written) :]
        return bytes(data)

    def release(self) -> None:
        """After a power cut what is there is durable: begin to count anew."""
        for hold in self.holds.values():
            os.close(hold)
        self.holds.clear()
        self.durable.clear()
        self.entries.clear()
        for folder in (path for path in sorted(self.folder.rglob("*")) if path.is_dir()):
            self.entries[folder] = list_names(folder)
            for name, inode in self.entries[folder].items():
                self.holds[inode] = os.open(folder / name, os.O_RDONLY)
                self.durable[inode] = (folder / name).read_bytes()

    def destroy(self) -> None:
        """Throw everything away."""
        self.close_all()
        for hold in self.holds.values():
            os.close(hold)
        shutil.rmtree(self.folder)


def list_names(folder: Path) -> dict[str, int]:
    """Return the files of a folder with their inodes."""
    return {path.name: path.stat().st_ino for path in sorted(folder.iterdir()) if path.is_file()}


@contextmanager
def mount(disk: Disk) -> Iterator[None]:
    """Put a disk where production has `os`."""
    for module in SEATS:
        module.__dict__["os"] = disk
    try:
        yield
    finally:
        for module in SEATS:
            module.__dict__["os"] = os
