"""Bugs planted in the engine and the law are caught within a few thousand commands of the naive model's.

Without them a comparison that never fails proves nothing. The unmutated source agrees in the same harness, so
what is caught is the bug.
"""

from pathlib import Path
from typing import NamedTuple

import pytest

from tests.model.mutant import Mutation, run_mutant


class Planted(NamedTuple):
    """A bug, and the random commands that reveal it."""

    name: str
    mutation: Mutation
    profile: str = "tiny"
    seed: int = 1
    count: int = 3000


TRADING, LEDGER, BOOK = "execution/trading.py", "execution/ledger.py", "execution/order_book.py"
TICKING, MARKET, MONEY = "execution/ticking.py", "execution/market.py", "execution/money.py"
MARGIN, NOVATION, ORACLE = "protocol/margin.py", "protocol/novation.py", "protocol/oracle.py"
REPLACING = "execution/replacing.py"

PLANTED = (
    Planted(
        "maker fee skipped",
        Mutation(TRADING, 'maker_fee = lots * instrument["maker_fee_atoms"]', "maker_fee = 0"),
    ),
    Planted(
        "closed cost truncated",
        Mutation(
            NOVATION,
            "return whole * closed_lots + div_floor(rest * closed_lots, size)",
            "return whole * closed_lots - div_floor(-rest * closed_lots, size)",
        ),
    ),
    Planted(
        "scenario rows not renewed",
        Mutation(
            TICKING,
            "        w.rows[number],\n        w.basis_rows[number],\n    )\n\n\n",
            "        w.rows[number].copy(),\n        w.basis_rows[number],\n    )\n\n\n",
        ),
    ),
    Planted(
        "worst lots ignore sells",
        Mutation(
            MARGIN,
            "return max(abs(lots + open_buy_lots), abs(lots - open_sell_lots))",
            "return abs(lots + open_buy_lots)",
        ),
    ),
    Planted(
        "best price not renewed",
        Mutation(BOOK, "if w.best[book] == ticks:", "if w.best[book] == ticks and book & 1:"),
    ),
    Planted(
        "last in, first out", Mutation(TRADING, 'w.best[opposite])]["head"]', 'w.best[opposite])]["tail"]')
    ),
    Planted(
        "self-trade allowed", Mutation(TRADING, 'if w.orders[maker_slot]["account"] == account:', "if False:")
    ),
    Planted(
        "post-only crosses",
        Mutation(
            TRADING,
            "time_in_force == TimeInForce.POST_ONLY and is_crossing(w, number, side, price_ticks):",
            "False:",
        ),
    ),
    Planted(
        "touching prices do not cross", Mutation(TRADING, "price_ticks >= best if", "price_ticks > best if")
    ),
    Planted(
        "a reduced order loses its place",
        Mutation(
            REPLACING,
            'keeps_place = price_ticks == w.orders[slot]["price_ticks"] and',
            "keeps_place = False and",
        ),
    ),
    Planted(
        "a refused order gives its nonce back",
        Mutation(
            TRADING,
            "code = verify_place(w, command)\n",
            'code = verify_place(w, command)\n        w.accounts[account]["nonce"] -= code != Code.OK\n',
        ),
    ),
    Planted(
        "average counts time before its window",
        Mutation(ORACLE, "begin = max(begin_ns, expiry_ns - TWAP_WINDOW_NS)", "begin = begin_ns"),
        count=4000,
    ),
    Planted(
        "calendar not checked against the later series",
        Mutation(
            MARKET, "if later != NONE and is_calendar_arbitrage(", "if False and is_calendar_arbitrage("
        ),
        seed=4,
        count=6000,
    ),
    Planted(
        "expiry pays shorts short",
        Mutation(
            TICKING,
            '["cash_atoms"] += lots * payoff_atoms\n',
            '["cash_atoms"] += lots * payoff_atoms - (lots < 0)\n',
        ),
        count=4500,
    ),
    Planted(
        "gross limit off by one",
        Mutation(TRADING, "+ lots > GROSS_LOTS_MAX", "+ lots >= GROSS_LOTS_MAX"),
        "main",
        3,
        9000,
    ),
    Planted(
        "a cancelled order still weighs",
        Mutation(LEDGER, 'if order["lots"] > 0:\n', 'if order["lots"] > 0 and order["side"] == 0:\n'),
    ),
    Planted(
        "unrealised gains can be withdrawn",
        Mutation(MONEY, " - max(0, compute_unrealised(w, account))", ""),
    ),
    Planted(
        "the other underlying's margin is free",
        Mutation(TRADING, "compute_account_initial(w, account, underlying) +", ""),
    ),
    Planted(
        "stale marks trade",
        Mutation(TRADING, "        return Code.MARK_STALE\n", "        return Code.OK\n"),
        count=4000,
    ),
    Planted(
        "median is the upper one", Mutation(ORACLE, "parameters) - 1) >> 1", "parameters)) >> 1"), "crowd"
    ),
    Planted(
        "fees stay off the order's effect",
        Mutation(MARGIN, "(mark_atoms - limit_atoms) - fee_atoms", "(mark_atoms - limit_atoms)"),
    ),
    Planted(
        "slots are a queue",
        Mutation(
            LEDGER,
            'w.free_orders[house["free_order_count"]] = slot',
            'w.free_orders[house["free_order_count"]] = w.free_orders[0]; w.free_orders[0] = slot',
        ),
        "main",
    ),
)


@pytest.mark.parametrize("profile", ["main", "crowd", "tiny"])
def test_the_unmutated_engine_agrees_without_numba(profile: str, tmp_path: Path) -> None:
    """The same source, run as plain Python, agrees with the model too, and no int64 overflows on the way."""
    done = run_mutant(tmp_path / "source", None, profile, 1, 4000)
    assert (0, "") == (done.returncode, done.stderr)


@pytest.mark.parametrize("planted", PLANTED, ids=lambda planted: planted.name.replace(" ", "_"))
def test_the_comparison_catches(planted: Planted, tmp_path: Path) -> None:
    """A planted bug makes engine and model differ, or breaks an invariant of the engine's own."""
    done = run_mutant(tmp_path / "source", planted.mutation, planted.profile, planted.seed, planted.count)
    assert 1 == done.returncode
    assert "AssertionError" in done.stderr
