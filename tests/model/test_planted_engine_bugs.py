"""Bugs planted in the engine and the law are caught within a few thousand commands of the naive model's.

Without them a comparison that never fails proves nothing. The unmutated source agrees in the same harness, so
what is caught is the bug.
"""

from pathlib import Path

import pytest

from tests.model.mutant import run_mutant
from tests.model.planted_bugs import ORDER_BUGS, Planted
from tests.model.planted_desk_bugs import DESK_BUGS
from tests.model.planted_liquidation_bugs import LIQUIDATION_BUGS
from tests.model.planted_risk_bugs import RISK_BUGS


@pytest.mark.parametrize("profile", ["main", "crowd", "tiny", "crash"])
def test_the_unmutated_engine_agrees_without_numba(profile: str, tmp_path: Path) -> None:
    """The same source, run as plain Python, agrees with the model too, and no int64 overflows on the way."""
    done = run_mutant(tmp_path / "source", None, profile, 1, 4000)
    assert (0, "") == (done.returncode, done.stderr)


@pytest.mark.parametrize(
    "planted",
    ORDER_BUGS + RISK_BUGS + LIQUIDATION_BUGS + DESK_BUGS,
    ids=lambda planted: planted.name.replace(" ", "_"),
)
def test_the_comparison_catches(planted: Planted, tmp_path: Path) -> None:
    """A planted bug makes engine and model differ, or breaks an invariant of the engine's own."""
    done = run_mutant(tmp_path / "source", planted.mutation, planted.profile, planted.seed, planted.count)
    assert 1 == done.returncode
    assert "AssertionError" in done.stderr
