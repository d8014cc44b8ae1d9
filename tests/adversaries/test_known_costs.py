"""What the law does not stop costs no more than the guide says."""

import pytest

from tests.adversaries.arena import Arena
from tests.adversaries.known_costs import DearRescue, SweepAhead

SEEDS = range(25)


@pytest.mark.parametrize("strategy", [SweepAhead, DearRescue])
def test_it_costs_no_more_than_its_bound(strategy: type[SweepAhead] | type[DearRescue]) -> None:
    """A slice loses at most the band; a bonus is at most what the last TICK of an auction offers."""
    for seed in SEEDS:
        arena = Arena(seed)
        player = strategy(arena)
        player.play()
        assert player.bound > 0
        assert player.score() <= player.bound
