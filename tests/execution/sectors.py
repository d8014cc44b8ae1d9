"""A harsher disk: sectors persist in any order, names need a sync of their folder, writes may be short, and
what a failed sync leaves behind is lost although the next sync succeeds.
"""

import errno
import os
import random
from pathlib import Path

from tests.execution.disk import COMMIT_NAME, Disk

SECTOR_BYTES = 512


class SectorDisk(Disk):
    """Faults come with a probability per call, and are counted by kind."""

    def __init__(self, rng: random.Random, short_rate: float = 0.0, sync_error_rate: float = 0.0) -> None:
        super().__init__()
        self.rng = rng
        self.short_rate = short_rate
        self.sync_error_rate = sync_error_rate
        self.unsynced_names: list[tuple[Path, Path | None]] = []
        self.doomed: dict[Path, list[tuple[int, int]]] = {}
        self.faults = {
            "short write": 0,
            "sync error": 0,
            "lost sector": 0,
            "lost name": 0,
            "lost slot": 0,
            "halt": 0,
            "failed life": 0,
        }

    def do_open(self, path: Path, flags: int, mode: int = 0o777) -> int:
        if flags & os.O_CREAT and not Path(path).exists():
            self.unsynced_names.append((Path(path), None))
        return super().do_open(path, flags, mode)

    def do_rename(self, old: Path, new: Path) -> None:
        super().do_rename(old, new)
        self.unsynced_names = [pair for pair in self.unsynced_names if pair[0] != old]
        self.unsynced_names.append((new, old))

    def do_write(self, descriptor: int, data: bytes) -> int:
        if len(data) > 1 and self.rng.random() < self.short_rate:
            self.faults["short write"] += 1
            data = data[: self.rng.randrange(1, len(data))]
        return super().do_write(descriptor, data)

    def do_pwrite(self, descriptor: int, data: bytes, offset: int) -> int:
        path = self.names[descriptor]
        if path.name == COMMIT_NAME or path.suffix == ".partial":
            return super().do_pwrite(descriptor, data, offset)
        self.note("pwrite", descriptor)
        written = os.pwrite(descriptor, data, offset)
        # What is written again is dirty again, and the next sync takes it along.
        kept = [(first, min(last, offset)) for first, last in self.doomed.get(path, []) if first < offset]
        self.doomed[path] = kept
        return written

    def do_fdatasync(self, descriptor: int) -> None:
        path = self.names[descriptor]
        if path.suffix == ".log" and self.rng.random() < self.sync_error_rate:
            self.faults["sync error"] += 1
            size = os.fstat(descriptor).st_size
            self.doomed.setdefault(path, []).append((self.durable.get(path, 0), size))
            raise OSError(errno.EIO, "EIO")
        super().do_fdatasync(descriptor)

    def do_fsync(self, descriptor: int) -> None:
        super().do_fsync(descriptor)
        folder = self.names.get(descriptor)
        self.unsynced_names = [pair for pair in self.unsynced_names if pair[0].parent != folder]

    def cut_power(self, rng: random.Random) -> None:
        """Lose any set of unsynced sectors, any name that its folder was not synced for, any slot's write."""
        self.kill()
        for path, size in self.durable.items():
            if path.is_file() and path.name.endswith(".log"):
                self.lose_sectors(path, size)
        for path, writes in self.slots.items():
            if not path.is_file():
                continue
            with path.open("r+b") as file:
                for offset, old in reversed(writes):
                    if rng.random() < 0.5:
                        self.faults["lost slot"] += 1
                        file.seek(offset)
                        file.write(old.ljust(SECTOR_BYTES, b"\0"))
        for path, old in reversed(self.unsynced_names):
            if path.exists() and rng.random() < 0.5:
                self.faults["lost name"] += 1
                path.unlink() if old is None else path.rename(old)
        self.unsynced_names = []
        self.slots, self.doomed = {}, {}

    def lose_sectors(self, path: Path, durable: int) -> None:
        """Zero some of the sectors behind what is durable, cut the file anywhere there, and drop what a sync
        failed to write.
        """
        data = bytearray(path.read_bytes())
        for start in range(durable - durable % SECTOR_BYTES, len(data), SECTOR_BYTES):
            first, last = max(start, durable), min(start + SECTOR_BYTES, len(data))
            if self.rng.random() < 0.5:
                self.faults["lost sector"] += 1
                data[first:last] = bytes(last - first)
        for first, last in self.doomed.get(path, []):
            data[first:last] = bytes(max(0, min(last, len(data)) - first))
        if len(data) > durable and self.rng.random() < 0.5:
            del data[self.rng.randint(durable, len(data)) :]
        path.write_bytes(data)
