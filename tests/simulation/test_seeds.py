"""Three hundred seeds of the simulator keep every promise, and each is lived the same way whenever it is.

NOVATE_SIMULATION_SEEDS sets another number of seeds, NOVATE_SIMULATION_FIRST the first.
"""

import os

import pytest

from simulation.run import run_seed

SEEDS = int(os.environ.get("NOVATE_SIMULATION_SEEDS", "300"))
FIRST = int(os.environ.get("NOVATE_SIMULATION_FIRST", "1"))
BLOCKS = 10


@pytest.mark.parametrize("block", range(BLOCKS))
def test_seeds_keep_every_promise(block: int) -> None:
    """Whatever a seed decides, nothing told is lost, sums hold, the replay agrees, and all can leave."""
    broken = []
    for seed in range(FIRST + block, FIRST + SEEDS, BLOCKS):
        result, _ = run_seed(seed)
        if result.violation:
            broken.append(f"python -m simulation --seed {seed}: {result.violation}")
    assert [] == broken


def test_a_seed_is_always_the_same_life() -> None:
    """Lived again, a seed has the same trace to the last line: nothing but the seed decides."""
    for seed in (FIRST, FIRST + 14):
        assert run_seed(seed) == run_seed(seed)


def test_seeds_reach_what_they_are_for() -> None:
    """A few seeds see crashes, reorganisations, fills, withdrawals and batches; a liquidation too."""
    results = [run_seed(seed)[0] for seed in range(14, 21)]
    assert min(sum(result[place] for result in results) for place in range(3, 12)) > 0
