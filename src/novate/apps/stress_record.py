"""What a stress test writes down: a row per tick, and what became of each account."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from novate.apps.stress_portfolio import Opening
from novate.apps.stress_venue import StressVenue
from novate.execution.engine import Events
from novate.execution.exposure import read_exposure
from novate.protocol.generated.codes import EventKind, LiquidationStage

COUNTED = {
    "started": EventKind.LIQUIDATION_STARTED,
    "ended": EventKind.LIQUIDATION_ENDED,
    "margin_calls": EventKind.MARGIN_CALL,
    "slices": EventKind.SLICE,
    "auctions_started": EventKind.AUCTION_STARTED,
    "auctions_taken": EventKind.AUCTION_TAKEN,
    "deleveragings": EventKind.DELEVERAGED,
}
SUMMED = {
    "penalties_atoms": EventKind.PENALTY,
    "insured_atoms": EventKind.INSURED,
    "shared_atoms": EventKind.LOSS_SHARED,
}


class Moment(NamedTuple):
    """One tick. Counts of accounts are as it left them; counts of events and amounts are its own.

    `insured_atoms` are the debts that the insurance fund paid; what backstops get is the accounts' own money.
    """

    time_ns: int
    indexes_atoms: tuple[int, ...]
    below_initial: int
    warned: int
    in_liquidation: int
    started: int
    ended: int
    margin_calls: int
    slices: int
    auctions_started: int
    auctions_taken: int
    deleveragings: int
    penalties_atoms: int
    insured_atoms: int
    shared_atoms: int
    insurance_atoms: int


class StyleRow(NamedTuple):
    """What became of the accounts of one style. `lost_atoms` adds up losses only, gains do not offset them;
    an account is bankrupt if others had to pay for it.
    """

    style: str
    accounts: int
    liquidated: int
    bankrupt: int
    equity_start_atoms: int
    lost_atoms: int


@dataclass
class StressRecord:
    """All that happened."""

    moments: list[Moment] = field(default_factory=list)
    liquidated: Counter[int] = field(default_factory=Counter)
    bankrupt: set[int] = field(default_factory=set)
    slices_filled: int = 0
    conserved: bool = True

    def observe(self, venue: StressVenue, events: Events) -> None:
        """Take down one tick and everything that it did."""
        kinds = events["kind"]
        exposure = read_exposure(venue.engine)
        for account in events["account"][kinds == EventKind.LIQUIDATION_STARTED].tolist():
            self.liquidated[account] += 1
        self.bankrupt.update(events["account"][kinds == EventKind.INSURED].tolist())
        self.bankrupt.update(events["maker_account"][kinds == EventKind.LOSS_SHARED].tolist())
        self.slices_filled += int(np.count_nonzero(kinds == EventKind.PENALTY))
        self.conserved = self.conserved and venue.find_gaps() == (0, 0)
        counts = {name: int(np.count_nonzero(kinds == kind)) for name, kind in COUNTED.items()}
        sums = {name: int(events["amount_atoms"][kinds == kind].sum()) for name, kind in SUMMED.items()}
        self.moments.append(
            Moment(
                venue.time_ns,
                tuple(venue.indexes_atoms),
                int(np.count_nonzero(exposure.equity_atoms < exposure.initial_atoms)),
                int(np.count_nonzero(exposure.warned)),
                int(np.count_nonzero(exposure.stage != LiquidationStage.NONE)),
                insurance_atoms=venue.measure_insurance(),
                **counts,
                **sums,
            )
        )

    def total(self, name: str) -> int:
        """Return the sum of one column over all ticks."""
        return sum(int(getattr(moment, name)) for moment in self.moments)

    def list_styles(self, venue: StressVenue, opening: Opening) -> list[StyleRow]:
        """Return a row per style, in the order in which styles first occur."""
        equity = read_exposure(venue.engine).equity_atoms
        rows: dict[str, list[int]] = {}
        for each in opening.tested:
            number = each.account.number
            row = rows.setdefault(each.style, [0, 0, 0, 0, 0])
            row[0] += 1
            row[1] += number in self.liquidated
            row[2] += number in self.bankrupt
            row[3] += each.equity_start_atoms
            row[4] += max(0, each.equity_start_atoms - int(equity[number]))
        return [StyleRow(style, *figures) for style, figures in rows.items()]


def find_worst(moments: Sequence[Moment], names: Sequence[str]) -> list[tuple[str, Moment]]:
    """Return the worst moments in words: the lowest index of each name, most accounts in liquidation, most
    liquidations begun, the lowest insurance fund, and the largest shared loss if there was one.
    """
    if not moments:
        return []
    worst = [
        (f"lowest {name}", min(moments, key=lambda each: each.indexes_atoms[number]))
        for number, name in enumerate(names)
    ]
    worst.append(("most accounts in liquidation", max(moments, key=lambda each: each.in_liquidation)))
    worst.append(("most liquidations begun", max(moments, key=lambda each: each.started)))
    worst.append(("lowest insurance fund", min(moments, key=lambda each: each.insurance_atoms)))
    shared = max(moments, key=lambda each: each.shared_atoms)
    if shared.shared_atoms:
        worst.append(("largest shared loss", shared))
    return worst
