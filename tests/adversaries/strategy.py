"""What a strategy is, and what one episode of it came to."""

from typing import ClassVar, NamedTuple

from novate.execution.views import read_positions
from tests.adversaries.arena import BYSTANDER, FUND_ATOMS, RICH_ATOMS, Arena


class Outcome(NamedTuple):
    """One episode. The adversary wins if `score` is above 0; the rest is in atoms."""

    score: int
    extracted_atoms: int
    fees_atoms: int
    spread_atoms: int


class Strategy:
    """A way to cheat, played by the accounts `attacker` and `twin`, which have one owner.

    `score` says what a win is. Unless a strategy says otherwise it is what the adversary extracted, in atoms:
    its gain at true prices beyond chance, fees and spread deducted. A strategy that harms without a gain
    counts the harm instead. `law` names the clauses that stand in its way, `unit` what a score counts.
    """

    law: ClassVar[str]
    unit: ClassVar[str] = "atoms"
    orders: ClassVar[int] = 256

    def __init__(self, arena: Arena) -> None:
        self.arena = arena
        self.chance = arena.chance

    def play(self) -> None:
        """Do it."""
        raise AssertionError("a strategy says what it does")

    def score(self) -> int:
        """How far it won; 0 or less is no win."""
        return self.arena.measure_extracted()


def run_episode(strategy: type[Strategy], seed: int, changes: dict[str, int] | None = None) -> Outcome:
    """Play one episode to its end; whoever holds cash only must be untouched by it."""
    arena = Arena(seed, changes, strategy.orders)
    player = strategy(arena)
    player.play()
    assert RICH_ATOMS - FUND_ATOMS == arena.get_cash(BYSTANDER)
    assert [] == read_positions(arena.engine, arena.get_account(BYSTANDER))
    return Outcome(player.score(), arena.measure_extracted(), arena.fees_atoms, arena.spread_atoms)
