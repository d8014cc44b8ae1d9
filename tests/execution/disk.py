"""A disk that a test can watch, break and cut off from power: it stands where the journal has `os`.

Calls go through to real files, but for syncs, which only note what would now survive. Errors come at a chosen
call.
"""

import errno
import os
import random
from pathlib import Path
from typing import Any

COMMIT_NAME = "commit"
WATCHED = ("open", "rename", "write", "pwrite", "fdatasync", "fsync", "fstat", "close")


class Disk:
    """`calls` are the watched calls in order; `fault` is raised, or obeyed as a short write, at call
    `fail_at`.
    """

    def __init__(self, fail_at: int = -1, fault: str = "EIO") -> None:
        self.calls: list[tuple[str, str]] = []
        self.fail_at = fail_at
        self.fault = fault
        self.names: dict[int, Path] = {}
        self.durable: dict[Path, int] = {}
        self.slots: dict[Path, list[tuple[int, bytes]]] = {}

    def __getattr__(self, name: str) -> Any:
        if name not in WATCHED:
            return getattr(os, name)
        return getattr(self, f"do_{name}")

    def note(self, name: str, descriptor: int) -> bool:
        """Record a call and say whether it is the one that fails."""
        self.calls.append((name, self.names[descriptor].name if descriptor in self.names else ""))
        failing = len(self.calls) - 1 == self.fail_at
        if failing and self.fault != "short":
            raise OSError(getattr(errno, self.fault), self.fault)
        return failing

    def do_open(self, path: Path, flags: int, mode: int = 0o777) -> int:
        self.note("open", -1)
        descriptor = os.open(path, flags, mode)
        self.names[descriptor] = Path(path)
        if Path(path).is_file():
            self.durable.setdefault(
                Path(path), os.fstat(descriptor).st_size if flags & os.O_CREAT == 0 else 0
            )
        return descriptor

    def do_rename(self, old: Path, new: Path) -> None:
        self.note("rename", -1)
        os.rename(old, new)
        self.names = {descriptor: new if path == old else path for descriptor, path in self.names.items()}
        for table in (self.durable, self.slots):
            if old in table:
                table[new] = table.pop(old)  # type: ignore[assignment]

    def do_write(self, descriptor: int, data: bytes) -> int:
        short = self.note("write", descriptor)
        return os.write(descriptor, data[: len(data) // 2] if short else data)

    def do_pwrite(self, descriptor: int, data: bytes, offset: int) -> int:
        short = self.note("pwrite", descriptor)
        data = data[: len(data) // 2] if short else data
        path = self.names[descriptor]
        if not path.name.endswith(".log"):  # Recovery writes frames again as they are: nothing to lose.
            self.slots.setdefault(path, []).append((offset, os.pread(descriptor, len(data), offset)))
        return os.pwrite(descriptor, data, offset)

    def do_fdatasync(self, descriptor: int) -> None:
        self.note("fdatasync", descriptor)
        path = self.names[descriptor]
        self.durable[path] = os.fstat(descriptor).st_size
        self.slots.pop(path, None)

    def do_fsync(self, descriptor: int) -> None:
        self.note("fsync", descriptor)

    def do_fstat(self, descriptor: int) -> os.stat_result:
        self.note("fstat", descriptor)
        return os.fstat(descriptor)

    def do_close(self, descriptor: int) -> None:
        self.note("close", descriptor)
        os.close(descriptor)
        del self.names[descriptor]

    def kill(self) -> None:
        """End the process that held the files: what was written stays, synced or not."""
        for descriptor in list(self.names):
            os.close(descriptor)
            del self.names[descriptor]

    def cut_power(self, rng: random.Random) -> None:
        """Lose what was never synced: the end of a segment from any byte on, any commit slot's write."""
        self.kill()
        for path, size in self.durable.items():
            if not path.is_file() or path.name == COMMIT_NAME:
                continue
            kept = rng.randint(size, path.stat().st_size)
            filler = rng.choice(
                (0, path.stat().st_size - kept)
            )  # A file may have its new length, but not its data.
            with path.open("r+b") as file:
                file.truncate(kept)
                file.truncate(kept + filler)
        for path, writes in self.slots.items():
            with path.open("r+b") as file:
                for offset, old in reversed(writes):
                    if rng.random() < 0.5:
                        file.seek(offset)
                        file.write(old.ljust(512, b"\0"))
