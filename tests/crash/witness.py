"""A witness who sees every batch of events of a crash and judges it by the law of liquidation, from outside.

It predicts from positions and marks who must be liquidated in each TICK, follows the insurance fund event by
event, and holds each account to the order of the waterfall. [LIQ-1] to [LIQ-8]
"""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from novate.apps.stress import StressRun
from novate.execution.engine import Events, split_events
from novate.execution.views import compute_conservation_gap, compute_lots_gap
from novate.protocol.command import Command
from novate.protocol.generated.codes import Code, CommandKind, EventKind, LiquidationStage
from novate.protocol.generated.constants import E6
from tests.crash.figures import Holdings, compute_standing, copy_holdings, take_ratio_ceil

# What may follow what in the life of one account; a liquidation may be under way when the replay ends.
FOLLOWERS = {
    "start": {EventKind.LIQUIDATION_STARTED},
    EventKind.LIQUIDATION_STARTED: {EventKind.SLICE},
    EventKind.SLICE: {
        EventKind.PENALTY,
        EventKind.SLICE,
        EventKind.AUCTION_STARTED,
        EventKind.INSURED,
        EventKind.LIQUIDATION_ENDED,
    },
    EventKind.PENALTY: {
        EventKind.SLICE,
        EventKind.AUCTION_STARTED,
        EventKind.INSURED,
        EventKind.LIQUIDATION_ENDED,
    },
    EventKind.AUCTION_STARTED: {
        EventKind.ASSIGNED,
        EventKind.DELEVERAGED,
        EventKind.INSURED,
        EventKind.LIQUIDATION_ENDED,
    },
    EventKind.ASSIGNED: {EventKind.ASSIGNED, EventKind.AUCTION_TAKEN},
    EventKind.AUCTION_TAKEN: {EventKind.INSURED, EventKind.LIQUIDATION_ENDED},
    EventKind.DELEVERAGED: {
        EventKind.DELEVERAGED,
        EventKind.INSURED,
        EventKind.LOSS_SHARED,
        EventKind.LIQUIDATION_ENDED,
    },
    EventKind.INSURED: {EventKind.LOSS_SHARED, EventKind.LIQUIDATION_ENDED},
    EventKind.LOSS_SHARED: {EventKind.LOSS_SHARED, EventKind.LIQUIDATION_ENDED},
    EventKind.LIQUIDATION_ENDED: {EventKind.LIQUIDATION_STARTED},
}
WATERFALL = {each for each in FOLLOWERS if each != "start"}
HANDED_OVER = (EventKind.ASSIGNED, EventKind.DELEVERAGED)
Event = dict[str, int]


class Witness:
    """Stands between a run and its engine, and raises AssertionError at the first breach of the law."""

    def __init__(self, run: StressRun) -> None:
        self.run = run
        self.engine = run.venue.engine
        self.inner = run.venue.apply
        run.venue.apply = self.apply  # type: ignore[method-assign]
        self.parameters = self.engine.genesis.parameters
        self.fund_atoms = run.venue.measure_insurance()
        self.flat = [each.account.number for each in run.opening.tested if each.sixteenths == 16]
        holding = set(copy_holdings(self.engine).account.tolist())
        self.flat = [number for number in self.flat if number not in holding]
        self.flat_cash = copy_holdings(self.engine).cash_atoms[self.flat]
        self.last: dict[int, Any] = {}
        self.deleveraged: set[int] = set()
        self.auction_tick: dict[int, int] = {}
        self.tick = 0
        self.seen: Counter[EventKind] = Counter()

    def apply(self, commands: Sequence[Command]) -> Events:
        """Pass commands on, and judge what they did."""
        before = copy_holdings(self.engine)
        events = self.inner(commands)
        assert (0, 0) == (compute_conservation_gap(self.engine), compute_lots_gap(self.engine))
        assert np.array_equal(self.flat_cash, copy_holdings(self.engine).cash_atoms[self.flat])
        parts = split_events(events)
        assert len(commands) == len(parts)
        for command, part in zip(commands, parts, strict=True):
            if command.kind == CommandKind.TICK:
                rows = list_rows(part)
                self.tick += 1
                self.judge_tick(before, rows)
            else:
                rows = list_rows(part[part["kind"] == EventKind.FILL])
            for row in rows:
                self.follow_fund(row)
        assert self.fund_atoms == self.run.venue.measure_insurance()
        return events

    def judge_tick(self, before: Holdings, rows: list[Event]) -> None:
        """Check who was found in breach, and the order of everything that followed."""
        assert Code.OK == rows[0]["code"]
        cash = before.cash_atoms.copy()
        for row in rows:
            if row["kind"] == EventKind.SETTLED:
                cash[row["account"]] += row["amount_atoms"]
            elif row["kind"] == EventKind.FUNDED:
                mine = before.instrument == row["instrument"]
                np.subtract.at(cash, before.account[mine], before.lots[mine] * row["amount_atoms"])
        standing = compute_standing(self.engine, before._replace(cash_atoms=cash))
        equity, required = standing.equity_atoms, standing.maintenance_atoms
        touched = find_touched(rows)
        started = {row["account"]: row for row in rows if row["kind"] == EventKind.LIQUIDATION_STARTED}
        for account, row in started.items():
            assert LiquidationStage.NONE == before.stage[account]
            if not is_touched_before(touched, account):
                expected = equity[account], required[account]
                assert expected == (row["amount_atoms"], row["maker_amount_atoms"])
                assert row["amount_atoms"] < row["maker_amount_atoms"]
        breach = (equity < required) & standing.holds_lots & (before.stage == LiquidationStage.NONE)
        for account in np.flatnonzero(breach).tolist():
            assert account in started or is_touched_before(touched, account)
        for row in rows:
            if row["kind"] == EventKind.AUCTION_TAKEN and not is_touched_before(touched, row["account"]):
                demand = int(self.engine.world.accounts["demand_e6"][row["maker_account"]])
                assert take_ratio_ceil(required[row["account"]], demand) == row["amount_atoms"]
                assert row["amount_atoms"] <= max(0, equity[row["account"]])
            if row["kind"] in WATERFALL:
                self.follow_account(row, equity)

    def follow_account(self, row: Event, equity_atoms: np.ndarray[Any, Any]) -> None:
        """Hold one account to the order of the waterfall."""
        kind = EventKind(row["kind"])
        account = row["maker_account"] if kind == EventKind.LOSS_SHARED else row["account"]
        last = self.last.get(account, "start")
        self.seen[kind] += 1
        if kind == EventKind.INSURED and last in ("start", EventKind.LIQUIDATION_ENDED):
            # A debt that is left over is paid when the fund has money again.
            assert equity_atoms[account] < 0
            return
        assert kind in FOLLOWERS[last]
        self.last[account] = kind
        if kind == EventKind.AUCTION_STARTED:
            self.auction_tick[account] = self.tick
        elif kind == EventKind.DELEVERAGED:
            # Only when the auction has run its time without a taker, or could pay nobody.
            waited = self.tick - self.auction_tick[account]
            assert waited == self.parameters["auction_tick_count"] or equity_atoms[account] < 0
            self.deleveraged.add(account)
        elif kind == EventKind.LOSS_SHARED:
            assert account in self.deleveraged
        elif kind == EventKind.LIQUIDATION_ENDED:
            self.deleveraged.discard(account)

    def follow_fund(self, row: Event) -> None:
        """Keep the insurance fund's own account; it is empty before a loss is shared."""
        kind = row["kind"]
        if kind == EventKind.FILL:
            fees = row["amount_atoms"] + row["maker_amount_atoms"]
            self.fund_atoms += fees * self.parameters["insurance_share_e6"] // E6
        elif kind == EventKind.PENALTY:
            self.fund_atoms += row["amount_atoms"]
        elif kind == EventKind.INSURED:
            assert row["amount_atoms"] > 0
            self.fund_atoms -= row["amount_atoms"]
        elif kind == EventKind.AUCTION_TAKEN:
            # The fund pays debts, never bonuses.
            assert 0 == row["maker_amount_atoms"]
        elif kind == EventKind.LOSS_SHARED:
            assert 0 == self.fund_atoms
        assert self.fund_atoms >= 0


def list_rows(events: Events) -> list[Event]:
    """Events as dictionaries of plain integers."""
    names = events.dtype.names or ()
    return [dict(zip(names, row, strict=True)) for row in events.tolist()]


def find_touched(rows: Sequence[Event]) -> dict[int, int]:
    """The accounts that another one's liquidation changed in this TICK, each with the first that did."""
    touched: dict[int, int] = {}
    for row in rows:
        if row["kind"] == EventKind.FILL or row["kind"] in HANDED_OVER:
            touched.setdefault(row["maker_account"], row["account"])
        elif row["kind"] == EventKind.LOSS_SHARED:
            touched.setdefault(row["account"], row["maker_account"])
    return touched


def is_touched_before(touched: dict[int, int], account: int) -> bool:
    """Whether an account was changed before its own turn, which comes in ascending number."""
    return touched.get(account, account) < account
