"""One process per data directory: two writers of one journal would both be lost."""

import fcntl
import os
from pathlib import Path

from novate.apps.venue_config import LOCK_NAME, VenueError


class DirectoryLock:
    """An exclusive lock on DIR/lock; the kernel gives it back however the process ends."""

    def __init__(self, folder: Path) -> None:
        """Take the lock.

        Errors     VenueError naming the process that holds it.
        """
        path = folder / LOCK_NAME
        self.descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self.descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = os.pread(self.descriptor, 32, 0).decode(errors="replace").strip() or "unknown"
            os.close(self.descriptor)
            raise VenueError(f"{folder} is served by another process ({holder})") from error
        os.ftruncate(self.descriptor, 0)
        os.pwrite(self.descriptor, f"{os.getpid()}\n".encode(), 0)

    def release(self) -> None:
        """Give the lock back."""
        os.close(self.descriptor)


def find_holder(folder: Path) -> str | None:
    """Return the process that serves a directory, or None if nobody does."""
    path = folder / LOCK_NAME
    if not path.exists():
        return None
    with path.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return file.read(32).decode(errors="replace").strip() or "unknown"
    return None
