"""What a check says: how it went, and if it failed, where and what, in words that need no code at hand."""

from dataclasses import dataclass
from typing import Any, NamedTuple

OK = "ok"
FAILED = "failed"
NOT_REACHED = "not reached"


class Finding(NamedTuple):
    """One thing that is not as it must be. `place` names file and offset, sequence or batch."""

    place: str
    message: str
    expected: str = ""
    found: str = ""

    def describe(self) -> str:
        """Return the finding as one or two sentences."""
        text = f"{self.place}: {self.message}"
        if self.expected or self.found:
            text += f" (expected {self.expected}, found {self.found})"
        return text


class CheckFailed(Exception):
    """Ends a check with its finding."""

    def __init__(self, place: str, message: str, expected: object = "", found: object = "") -> None:
        self.finding = Finding(place, message, show(expected), show(found))
        super().__init__(self.finding.describe())


@dataclass(frozen=True, slots=True)
class Check:
    """The result of one check; `count` is the number of things looked at."""

    name: str
    state: str
    count: int
    seconds: float
    note: str
    finding: Finding | None


class Verdict(NamedTuple):
    """All checks in their order; those after a failure were not reached."""

    checks: tuple[Check, ...]

    @property
    def ok(self) -> bool:
        """Whether every check was made and held."""
        return all(check.state == OK for check in self.checks)

    @property
    def failed(self) -> Check | None:
        """The check that did not hold, if any."""
        return next((check for check in self.checks if check.state == FAILED), None)

    def describe(self) -> str:
        """Return the verdict in one sentence."""
        failed = self.failed
        if failed is None or failed.finding is None:
            return "ok"
        return f"{failed.name}: {failed.finding.describe()}"

    def to_json(self) -> dict[str, Any]:
        """Return the verdict as a JSON object."""
        rows = []
        for check in self.checks:
            row: dict[str, Any] = {
                "name": check.name,
                "state": check.state,
                "count": check.count,
                "seconds": round(check.seconds, 3),
            }
            if check.note:
                row["note"] = check.note
            if check.finding is not None:
                row["finding"] = check.finding._asdict()
            rows.append(row)
        return {"ok": self.ok, "verdict": self.describe(), "checks": rows}


def show(value: object) -> str:
    """Return a value as a reader expects it: bytes as hexadecimal."""
    return "0x" + value.hex() if isinstance(value, bytes) else str(value)


def require(condition: bool, place: str, message: str, expected: object = "", found: object = "") -> None:
    """End the check with a finding unless the condition holds."""
    if not condition:
        raise CheckFailed(place, message, expected, found)


def require_equal(expected: object, found: object, place: str, message: str) -> None:
    """End the check with a finding unless the two are equal."""
    require(expected == found, place, message, expected, found)
