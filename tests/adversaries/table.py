"""Prints the table of docs/guides/adversaries.md: `python -m tests.adversaries.table`, some minutes."""

import tempfile
from pathlib import Path

from tests.adversaries.defences import REMOVALS, play_undefended
from tests.adversaries.strategy import run_episode

SEEDS, SEEDS_WITHOUT = range(250), range(3)


def show(score: int, unit: str) -> str:
    """A score in words: USDC for atoms that somebody would notice."""
    if unit == "atoms":
        return f"{score / 10**6:,.2f} USDC".replace("-0.00", "0.00")
    return f"{score} {unit}"


def main() -> None:
    """Play everything and print a row for each strategy."""
    print("| strategy | clause | best score | fees and spread paid | without: | least score |")
    print("|---|---|---|---|---|---|")
    for strategy, removal in REMOVALS.items():
        outcomes = [run_episode(strategy, seed) for seed in SEEDS]
        best = max(outcome.score for outcome in outcomes)
        paid = sum(outcome.fees_atoms + outcome.spread_atoms for outcome in outcomes) // len(outcomes)
        with tempfile.TemporaryDirectory() as folder:
            least = min(play_undefended(strategy, SEEDS_WITHOUT, Path(folder)))
        cells = (
            strategy.__name__,
            strategy.law,
            show(best, strategy.unit),
            show(paid, "atoms"),
            removal.words,
        )
        print("|", " | ".join(cells), "|", show(least, strategy.unit), "|", flush=True)


if __name__ == "__main__":
    main()
