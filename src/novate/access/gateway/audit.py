"""What a gateway signed, for whom and why, and what it refused: one JSON line each, chained by hashes.

A line names the hash of the line before it, so that a line that is changed or taken out shows. A signature
leaves the process only after its line was written; secrets are not in it.
"""

import hashlib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

START = "0" * 64
UNRECORDED = frozenset({"access_token", "client_secret", "refresh_token", "signature"})


class AuditError(RuntimeError):
    """An audit log that is not whole."""


class AuditLog:
    """The append side of one file. One writer."""

    def __init__(self, path: Path) -> None:
        """Open a log, checking what is there.

        Errors     AuditError if a line was changed, cut or taken out.
        """
        self.count, self.head = 0, START
        if path.exists():
            for self.count, self.head in check_lines(path):
                pass
        self.descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)

    def record(self, time_ns: int, event: str, bot: str, method: str, **details: Any) -> None:
        """Append one line; OSError if it cannot be written, and then nothing may be signed."""
        row = {"n": self.count + 1, "time_ns": time_ns, "event": event, "bot": bot, "method": method}
        line = msgspec.json.encode(row | details | {"previous": self.head})
        os.write(self.descriptor, line + b"\n")
        self.count, self.head = self.count + 1, hashlib.sha256(line).hexdigest()

    def close(self) -> None:
        """Sync and close the file."""
        os.fsync(self.descriptor)
        os.close(self.descriptor)


def strip_params(params: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parameters of a request without what is secret."""
    return {name: value for name, value in params.items() if name not in UNRECORDED}


def check_lines(path: Path) -> Iterator[tuple[int, str]]:
    """Yield number and hash of each line of a log; AuditError at the first that does not follow."""
    head, expected = START, 1
    with path.open("rb") as file:
        for line in file:
            text = line.removesuffix(b"\n")
            try:
                row = msgspec.json.decode(text, type=dict[str, Any])
            except msgspec.MsgspecError as error:
                raise AuditError(f"{path}: line {expected} is not JSON: {error}") from error
            if text == line or row.get("previous") != head or row.get("n") != expected:
                raise AuditError(f"{path}: line {expected} does not follow the one before it")
            head = hashlib.sha256(text).hexdigest()
            yield expected, head
            expected += 1
