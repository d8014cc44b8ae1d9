"""Twenty-one adversarial strategies, as automated traders against the engine: 5,250 episodes that none of
them wins, and each of them against a venue without the defence that stops it, which it does win.
"""

from pathlib import Path

import pytest

from tests.adversaries.defences import REMOVALS, STRATEGIES, play_undefended
from tests.adversaries.strategy import run_episode

EPISODES = 5_250
SEEDS = range(EPISODES // len(STRATEGIES))
SEEDS_WITHOUT = range(3)


def test_there_are_twenty_one() -> None:
    """Every strategy says what it does, and which clauses of the law stand in its way."""
    assert 21 == len(STRATEGIES)
    assert EPISODES == len(SEEDS) * len(STRATEGIES)
    assert [] == [name for name, strategy in STRATEGIES.items() if not strategy.__doc__ or not strategy.law]


@pytest.mark.parametrize("name", STRATEGIES)
def test_it_never_wins(name: str) -> None:
    """No seed lets it take more from others than it pays in fees and spread, or do the harm it counts; money
    and lots add up after every command, and a bystander's cash is untouched.
    """
    outcomes = [run_episode(STRATEGIES[name], seed) for seed in SEEDS]
    assert [] == [seed for seed in SEEDS if outcomes[seed].score > 0]
    assert [] == [seed for seed in SEEDS if outcomes[seed].extracted_atoms > 0]


@pytest.mark.parametrize("name", STRATEGIES)
def test_it_wins_without_the_defence(name: str, tmp_path: Path) -> None:
    """The same episodes at a venue that lacks one defence are won: the defence is what stops it."""
    strategy = STRATEGIES[name]
    scores = play_undefended(strategy, SEEDS_WITHOUT, tmp_path)
    assert len(SEEDS_WITHOUT) == len(scores)
    assert [] == [score for score in scores if score <= 0], REMOVALS[strategy].words
