"""Runs the comparison of engine and model in a process of its own, on a mutated copy of the source.

Plain Python starts in a second, where Numba would compile for a minute. Warnings are errors: an int64 that
overflows is one. `python -m tests.model.mutant PROFILE SEED COUNT` ends with 0 if they agree.
"""

import os
import shutil
import subprocess
import sys
import warnings
from pathlib import Path
from typing import NamedTuple

from tests.model.engine_bridge import compare_states, run_both

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "novate"


class Mutation(NamedTuple):
    """A text that occurs once in a file of the engine or the law, and what a careless hand made of it."""

    path: str
    old: str
    new: str


def copy_source(folder: Path, mutation: Mutation | None) -> Path:
    """Copy what the engine needs below a folder, mutated, and return the folder to import from."""
    package = folder / "novate"
    package.mkdir(parents=True)
    shutil.copy(SOURCE / "__init__.py", package / "__init__.py")
    for layer in ("kernel", "protocol", "execution"):
        shutil.copytree(SOURCE / layer, package / layer, ignore=shutil.ignore_patterns("__pycache__"))
    if mutation is not None:
        path = package / mutation.path
        text = path.read_text()
        assert 1 == text.count(mutation.old), (
            f"{mutation.path} holds {mutation.old!r} {text.count(mutation.old)} times"
        )
        path.write_text(text.replace(mutation.old, mutation.new))
    return folder


def run_mutant(
    folder: Path, mutation: Mutation | None, profile: str, seed: int, count: int
) -> subprocess.CompletedProcess[str]:
    """Compare the model with a mutated engine in another process."""
    source = copy_source(folder, mutation)
    environment = os.environ | {
        "NUMBA_DISABLE_JIT": "1",
        "PYTHONPATH": os.pathsep.join((str(source), str(ROOT))),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    command = [sys.executable, "-W", "error", "-m", "tests.model.mutant", profile, str(seed), str(count)]
    return subprocess.run(command, env=environment, cwd=folder, capture_output=True, text=True, check=False)


if __name__ == "__main__":
    warnings.simplefilter("error")
    compare_states(*run_both(int(sys.argv[2]), int(sys.argv[3]), sys.argv[1]))
