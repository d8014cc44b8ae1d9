"""The ledger of campaigns: one line of JSON for each, appended and never changed."""

import json
import platform
import subprocess
from collections.abc import Sequence
from pathlib import Path

from simulation.run import Result

LEDGER = Path(__file__).with_name("ledger.jsonl")
COUNTED = (
    "commands",
    "acknowledged",
    "fills",
    "liquidations",
    "batches",
    "lives",
    "reorganisations",
    "deposits",
    "withdrawn_atoms",
)


def describe_campaign(results: Sequence[Result], revision: str) -> dict[str, object]:
    """The line of one campaign: which seeds, of which revision, what they came to, and which failed."""
    line: dict[str, object] = {
        "revision": revision,
        "python": platform.python_version(),
        "first_seed": results[0].seed,
        "seeds": len(results),
    }
    line |= {name: sum(getattr(result, name) for result in results) for name in COUNTED}
    line["broken"] = {str(result.seed): result.violation for result in results if result.violation}
    return line


def read_revision() -> str:
    """The commit that is checked out, with a plus if files differ from it."""
    folder = Path(__file__).parent
    command = ["git", "describe", "--always", "--abbrev=12", "--dirty=+", "--exclude=*"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    return done.stdout.strip() or "unknown"


def append_campaign(path: Path, results: Sequence[Result], revision: str) -> None:
    """Append one line."""
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(describe_campaign(results, revision)) + "\n")
