"""A venue in a process of its own: start it, wait until it is ready, kill it, and read the journal it
leaves.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from novate.protocol.frame import FrameError, decode_frame

START_TIMEOUT_S = 240.0
FORK_SERVER = Path(__file__).with_name("fork_server.py")


class ServeProcess:
    """One `novate serve`; `url` is the WebSocket's address."""

    def __init__(self, process_id: int, output: Path) -> None:
        self.process_id = process_id
        self.output = output
        self.port, self.sequence = self.wait_ready()
        self.url = f"ws://127.0.0.1:{self.port}/ws/api/v2"

    def wait_ready(self) -> tuple[int, int]:
        """Return port and sequence of the line that says that the venue takes orders."""
        deadline = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < deadline:
            text = self.output.read_text() if self.output.exists() else ""
            lines = [line for line in text.splitlines(keepends=True) if line.startswith("ready ")]
            if lines and lines[0].endswith("\n"):
                _, address, _, sequence = lines[0].split()
                return int(address.rsplit(":", 1)[1]), int(sequence)
            if not self.is_alive():
                raise RuntimeError(f"novate serve ended before it was ready: {text}")
            time.sleep(0.005)
        raise RuntimeError(f"novate serve was not ready in time: {self.output.read_text()}")

    def is_alive(self) -> bool:
        """Whether the process exists."""
        try:
            os.kill(self.process_id, 0)
        except ProcessLookupError:
            return False
        return True

    def end(self, number: int) -> None:
        """Send a signal and return when the process is gone."""
        os.kill(self.process_id, number)
        deadline = time.monotonic() + START_TIMEOUT_S
        while self.is_alive():
            if time.monotonic() > deadline:
                raise RuntimeError("the process did not end")
            time.sleep(0.002)

    def kill(self) -> None:
        """End the process as a power cut would, as far as it can tell."""
        self.end(signal.SIGKILL)

    def terminate(self) -> None:
        """End the process in order."""
        self.end(signal.SIGTERM)


class ForkServer:
    """The process that `novate serve` processes are forked from."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.process = subprocess.Popen(
            [sys.executable, str(FORK_SERVER)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.count = 0
        self.children: list[int] = []
        self.read_line()

    def read_line(self) -> str:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError("the fork server ended")
        return line

    def serve(self, *arguments: str) -> ServeProcess:
        """Start `novate serve` with these arguments and return it when it is ready."""
        return ServeProcess(*self.fork("serve", *arguments))

    def fork(self, *arguments: str) -> tuple[int, Path]:
        """Start the program with these arguments; return its number and the file with what it prints."""
        assert self.process.stdin is not None
        self.count += 1
        output = self.folder / f"output-{self.count}.txt"
        self.process.stdin.write(json.dumps([str(output), *arguments]) + "\n")
        self.process.stdin.flush()
        self.children.append(int(self.read_line()))
        return self.children[-1], output

    def kill_children(self) -> None:
        """End every process that is still there, as after a test that failed."""
        for process_id in self.children:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process_id, signal.SIGKILL)

    def close(self) -> None:
        """End the process."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.close()
        self.process.wait(10)
        self.process.stdout.close()


class JournalReader:
    """Reads a journal's frames with the law's own codec, further each time; what was read before must not
    change.
    """

    def __init__(self, folder: Path, genesis_hash: bytes) -> None:
        self.folder = folder
        self.head = genesis_hash
        self.payloads: list[bytes] = []
        self.data = b""

    def read(self) -> None:
        """Read the whole frames beyond those known; FrameError if the known ones are not there any more."""
        data = b"".join(path.read_bytes() for path in sorted(self.folder.glob("*.log")))
        if not data.startswith(self.data):
            raise FrameError(0, "frames that were read before have changed")
        offset = len(self.data)
        while offset < len(data):
            try:
                frame = decode_frame(data, offset, self.head)
            except FrameError:
                break  # A frame that is being written, or the torn tail of a kill.
            assert frame.sequence == len(self.payloads) + 1
            self.payloads.append(frame.payload)
            self.head, offset = frame.hash, frame.end
        self.data = data[:offset]
