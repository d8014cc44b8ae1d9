"""Fifty paths of twenty seeds: whatever the price does, money and lots add up and nobody innocent pays.

After every command money and lots add up [CASH-3]; after every TICK whoever is in breach is being liquidated,
and nobody is without a fresh index; at the end every liquidation has ended, no debt is left, and accounts
without positions have what they had. NOVATE_PATH_SEEDS sets how many seeds each path has.
"""

import os

import pytest

from novate.protocol.generated.codes import EventKind
from tests.adversaries.arena import MAKER, USDC, Event
from tests.crash.paths import FLAT, MARKETS, SHAPES, Episode, Moment, gap

SEEDS = int(os.environ.get("NOVATE_PATH_SEEDS", "20"))


@pytest.mark.parametrize("market", MARKETS, ids=lambda name: name.replace(" ", "_"))
def test_no_path_breaks_the_venue(market: str) -> None:
    """Ten paths: the falls of 2020 and 2025, the glitch of 2019, a squeeze, a gap of 90 %, a price that
    vanishes or grows a thousandfold, whipsaws, silent oracles, a slow grind.
    """
    seen: set[int] = set()
    for shape in SHAPES:
        for seed in range(SEEDS):
            episode = Episode(shape, market, 1_000 * seed + SHAPES.index(shape))
            try:
                episode.run()
            except AssertionError as error:
                error.add_note(f"{shape.__name__}, {market}, seed {seed}")
                raise
            seen |= episode.seen
    assert {EventKind.LIQUIDATION_STARTED, EventKind.LIQUIDATION_ENDED} <= seen
    if market in ("empty book", "no backstop"):
        assert {EventKind.DELEVERAGED, EventKind.INSURED} & seen


class Robber(Episode):
    """A venue that lets somebody without positions pay."""

    def follow(self, moment: Moment) -> None:
        super().follow(moment)
        accounts, arena = self.arena.engine.world.accounts, self.arena
        accounts["cash_atoms"][arena.get_account(FLAT)] -= USDC
        accounts["cash_atoms"][arena.get_account(MAKER)] += USDC


class Sleeper(Episode):
    """A venue that looks away when accounts are in breach."""

    def check(self, events: list[Event]) -> None:
        self.arena.engine.world.accounts["liquidation_stage"] = 0
        super().check(events)


@pytest.mark.parametrize(("venue", "message"), [(Robber, "paid for others"), (Sleeper, "left alone")])
def test_the_checks_notice(venue: type[Episode], message: str) -> None:
    """An innocent who pays and a breach that nobody serves are found out."""
    with pytest.raises(AssertionError, match=message):
        venue(gap, "empty book", 4).run()
