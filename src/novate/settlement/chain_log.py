"""The file behind the embedded chain: frames appended and made durable before a block is visible.

Opening it tells a torn tail, which is cut off, from a rotten middle, which is an error. Implements
[SETTLE-16].
"""

import fcntl
import os
from collections.abc import Callable
from pathlib import Path

from novate.protocol.frame import Frame, FrameError, decode_frame, encode_frame, find_frame_after
from novate.settlement.files import sync_folder

LOG_BYTES_MAX = 1 << 32


class ChainLogError(RuntimeError):
    """A chain log that cannot be opened or written; the message names the file."""


class ChainLog:
    """An append-only file of frames, or nothing at all if the path is None.

    `frames` are those found at opening; `torn_bytes` says how many bytes after them were cut off. `end` is
    the number of durable frames and the hash of the last one. `on_durable` is called with each new frame,
    which nobody may see before it returns.
    """

    def __init__(self, path: Path | None, origin: bytes) -> None:
        self.frames: list[Frame] = []
        self.torn_bytes = 0
        self.head = origin
        self.end = (0, origin)
        self.byte_count = 0
        self.on_durable: Callable[[bytes], None] = lambda frame: None
        self._descriptor = -1
        self._failed = False
        if path is None:
            return
        is_new = not path.exists()
        path.parent.mkdir(parents=True, exist_ok=True)
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
        try:
            self._lock(path)
            self._read(path)
            if is_new:
                sync_folder(path.parent)
        except BaseException:
            self.close()
            raise

    def _lock(self, path: Path) -> None:
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise ChainLogError(f"{path} is in use by another process") from error

    def _read(self, path: Path) -> None:
        size = os.fstat(self._descriptor).st_size
        if size > LOG_BYTES_MAX:
            raise ChainLogError(f"{path} has {size} bytes, more than the {LOG_BYTES_MAX} this program reads")
        buffer = path.read_bytes()
        offset = 0
        while offset < len(buffer):
            try:
                frame = decode_frame(buffer, offset, self.head)
            except FrameError as error:
                if find_frame_after(buffer, offset) != -1:
                    raise ChainLogError(f"{path} is damaged before its end: {error}") from error
                self.torn_bytes = len(buffer) - offset
                os.ftruncate(self._descriptor, offset)
                os.fdatasync(self._descriptor)
                break
            self.frames.append(frame)
            self.head, offset = frame.hash, frame.end
            self.end = (len(self.frames), self.head)
            self.byte_count = offset

    def append(self, kind: int, sequence: int, payload: bytes) -> bytes:
        """Write one frame, wait until it is durable, and return its hash.

        After a failure nothing is accepted.
        """
        if self._failed:
            raise ChainLogError("the chain log failed before; restart to recover from the file")
        data = encode_frame(kind, sequence, payload, self.head)
        # A failed write or sync leaves the file in a state that only reading it again can tell.
        self._failed = True
        if self._descriptor != -1:
            written = 0
            while written < len(data):
                written += os.write(self._descriptor, data[written:])
            os.fdatasync(self._descriptor)
        self.head = data[-32:]
        self.end = (self.end[0] + 1, self.head)
        self.byte_count += len(data)
        self.on_durable(data)
        self._failed = False
        return self.head

    def close(self) -> None:
        """Release the file and its lock."""
        if self._descriptor != -1:
            os.close(self._descriptor)
            self._descriptor = -1
            self._failed = True
