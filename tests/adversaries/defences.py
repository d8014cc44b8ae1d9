"""The twenty-one strategies, and how the defence of each is removed: by a parameter of the genesis file or by
a change of the engine's source, which then runs as plain Python in a process of its own.

`python -m tests.adversaries.defences STRATEGY SEED ...` prints the score of each seed.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

from novate.protocol.generated.constants import NS_PER_DAY
from tests.adversaries import books, collateral, prices, waterfall
from tests.adversaries.market import USDC
from tests.adversaries.strategy import Strategy, run_episode
from tests.model.mutant import ROOT, Mutation, copy_source


class Removal(NamedTuple):
    """What the venue is like without the defence."""

    words: str
    changes: dict[str, int]
    mutations: tuple[Mutation, ...]


def change(words: str, **changes: int) -> Removal:
    """A defence that a parameter switches off."""
    return Removal(words, changes, ())


def mutate(words: str, *edits: tuple[str, str, str]) -> Removal:
    """A defence that is cut out of the source: (module, old, new)."""
    return Removal(words, {}, tuple(Mutation(f"{module}.py", old, new) for module, old, new in edits))


PERPETUAL_MARK = (
    "execution/marking",
    "    if kind == InstrumentKind.PERPETUAL:\n        mark = compute_perpetual_row(",
)
# fmt: off
REMOVALS: dict[type[Strategy], Removal] = {
    books.SelfTradeWash: mutate(
        "an account may trade with itself",
        ("execution/matching", 'if maker["account"] != account:', "if True:")),
    books.RebateWash: mutate(
        "a rebate may exceed what the taker pays",
        ("protocol/novation",
         "-min(mul_ratio_floor_e6(notional_atoms, -rate_e6), taker_fee_atoms)",
         "-mul_ratio_floor_e6(notional_atoms, -rate_e6)"),
        ("execution/fees", "assert total_atoms >= 0", "assert True")),
    books.DustFees: mutate(
        "fees are rounded down",
        ("protocol/novation",
         "fee = mul_ratio_ceil_e6(notional_atoms, rate_e6)",
         "fee = mul_ratio_floor_e6(notional_atoms, rate_e6)")),
    books.OrderFlood: mutate(
        "an account may have any number of open orders",
        ("execution/judging", 'w.accounts[account]["open_order_count"] >= OPEN_ORDER_COUNT_MAX', "False")),
    books.StopHunt: mutate(
        "a trigger on the mark looks at the last trade",
        ("execution/triggers",
         "if reference == TriggerReference.LAST:",
         "if reference != TriggerReference.INDEX:")),
    books.MmpDodge: mutate(
        "protection counts bought less sold lots",
        ("execution/protection",
         'group["filled_lots"] += lots\n',
         'group["filled_lots"] += lots * direction\n')),
    books.FundingSpoof: change("funding has no deadband", funding_deadband_e9=0),
    collateral.CancelRace: mutate(
        "a withdrawal needs cash only",
        ("execution/money",
         "return Code.OK if amount <= compute_free(w, account) else Code.INITIAL_MARGIN_INSUFFICIENT",
         "return Code.OK")),
    collateral.UnrealisedWithdrawal: mutate(
        "unrealised gains count like cash",
        ("execution/money",
         "free = compute_equity(w, account) - max(0, compute_unrealised(w, account))",
         "free = compute_equity(w, account)")),
    collateral.LoseIntoDebt: mutate(
        "margin does not count what an order's price loses",
        ("protocol/margin",
         "return direction * (mark_atoms - limit_atoms) - fee_atoms",
         "return -fee_atoms")),
    collateral.GrowByReplace: mutate(
        "a replacement is not judged",
        ("execution/replacing", "if code == Code.OK and not stays:", "if False:")),
    waterfall.SpoofAndLiquidate: mutate(
        "the mark is the middle of the book",
        (*PERPETUAL_MARK,
         "    bid, ask = w.best[number * 2], w.best[number * 2 + 1]\n"
         "    if kind == InstrumentKind.PERPETUAL and bid > 0 and ask > 0:\n"
         '        index_atoms = (bid + ask) * instrument["tick_atoms"] * lots_per_unit >> 1\n'
         + PERPETUAL_MARK[1])),
    waterfall.MarkByTrades: mutate(
        "the mark is the last trade",
        (*PERPETUAL_MARK,
         '    last = instrument["last_ticks"]\n'
         "    if kind == InstrumentKind.PERPETUAL and last > 0:\n"
         '        index_atoms = last * instrument["tick_atoms"] * lots_per_unit\n'
         + PERPETUAL_MARK[1])),
    waterfall.SliceSnipe: change("a slice may be a million", slice_notional_atoms=10**6 * USDC - 1),
    waterfall.FireSale: mutate(
        "a slice sells down to the band whatever is left",
        ("protocol/liquidation",
         'loss = max(0, div_floor(equity_atoms, abs(lots)) - instrument["taker_fee_atoms"])',
         "loss = band_atoms")),
    waterfall.PennilessBackstop: mutate(
        "a backstop need not bear what it takes",
        ("execution/auction",
         "return bool(compute_equity(w, backstop) + bonus_atoms >= requirement)",
         "return True")),
    waterfall.DearBackstop: mutate(
        "a backstop is paid what is on offer, not what it wants",
        ("execution/auction",
         'bonus = mul_ratio_ceil_e6(requirement, w.accounts[backstop]["demand_e6"])',
         "bonus = mul_ratio_ceil_e6(requirement, rate_e6)")),
    waterfall.LoneBackstop: mutate(
        "the fund pays what the account cannot of a bonus",
        ("execution/auction",
         "bonus <= max(0, equity)",
         'bonus <= equity + w.house[0]["insurance_atoms"]')),
    prices.ExpiryPush: mutate(
        "a series settles at the last index",
        ("execution/ticking", 'if series["twap_ms"] > 0:', "if False:")),
    prices.LyingOracle: mutate(
        "the highest report is the index",
        ("protocol/oracle",
         "middle = (count_fresh(reports, time_ns, parameters) - 1) >> 1",
         "middle = count_fresh(reports, time_ns, parameters) - 1")),
    prices.StaleMark: change("an index is good for a day", index_age_ns_max=NS_PER_DAY),
}
# fmt: on
STRATEGIES = {strategy.__name__: strategy for strategy in REMOVALS}


def play_undefended(strategy: type[Strategy], seeds: range, folder: Path) -> list[int]:
    """The scores of a strategy against a venue without its defence; `folder` is for a changed source."""
    removal = REMOVALS[strategy]
    if not removal.mutations:
        return [run_episode(strategy, seed, removal.changes).score for seed in seeds]
    source = copy_source(folder / "source", None)
    for mutation in removal.mutations:
        path = source / "novate" / mutation.path
        text = path.read_text()
        assert 1 == text.count(mutation.old), (
            f"{mutation.path} holds {mutation.old!r} {text.count(mutation.old)} times"
        )
        path.write_text(text.replace(mutation.old, mutation.new))
    environment = os.environ | {
        "NUMBA_DISABLE_JIT": "1",
        "PYTHONPATH": os.pathsep.join((str(source), str(ROOT))),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    command = [sys.executable, "-m", "tests.adversaries.defences", strategy.__name__, *map(str, seeds)]
    done = subprocess.run(command, env=environment, cwd=folder, capture_output=True, text=True, check=False)
    assert 0 == done.returncode, done.stderr
    scores: list[int] = json.loads(done.stdout)
    return scores


if __name__ == "__main__":
    chosen = STRATEGIES[sys.argv[1]]
    print(json.dumps([run_episode(chosen, int(seed)).score for seed in sys.argv[2:]]))
