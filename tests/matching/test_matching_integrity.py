"""Price-time priority held against the naive book: millions of operations, each event compared.

NOVATE_MATCHING_OPERATIONS sets how many operations each of the two comparisons makes.
"""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.matching.bare_differential import GROUP, Bare, NaiveFile, draw_messages
from tests.matching.differential import run_both
from tests.model.mutant import ROOT, Mutation, copy_source

OPERATIONS = int(os.environ.get("NOVATE_MATCHING_OPERATIONS", "10000000"))
SHARDS = 4
BOOK, MATCHING, JUDGING = "execution/order_book.py", "execution/matching.py", "execution/judging.py"
PLANTED = {
    "the last in is the first out": (MATCHING, 'w.best[opposite])]["head"]', 'w.best[opposite])]["tail"]'),
    "touching prices do not cross": (JUDGING, "price_ticks >= best if", "price_ticks > best if"),
    "a trade beyond the limit": (JUDGING, "else price_ticks <= best)", "else price_ticks - 1 <= best)"),
    "the best price is not renewed": (
        BOOK,
        "if w.best[at] == ticks:",
        "if w.best[at] == ticks and book & 1:",
    ),
    "a price skipped": (
        BOOK,
        "return (word << 6) + 63 - count_leading_zeros(bits)\n    word -= 1",
        "return (word << 6) + 62 - count_leading_zeros(bits)\n    word -= 1",
    ),
    "an iceberg keeps its place": (
        MATCHING,
        '    unlink_order(w, slot)\n    order["visible_lots"] = compute_visible_lots('
        'order["display_lots"], order["lots"])\n    order["priority"] = w.house[0]["sequence"]\n'
        "    append_order(w, slot)\n",
        '    reduce_level(w, slot, 0, -compute_visible_lots(order["display_lots"], order["lots"]))\n',
    ),
    "an order trades with its own account": (MATCHING, 'if maker["account"] != account:', "if True:"),
    "an id lost when a gap is closed": (BOOK, 'entry["slot"] = moved["slot"]\n', 'entry["slot"] = 0\n'),
    "a level lost when a gap is closed": (
        BOOK,
        'level["head"] = moved["head"]',
        'level["head"] = NONE',
    ),
    "a link left behind": (BOOK, '["prev"] = previous', '["prev"] = following'),
    "a smaller size loses its place": (
        "execution/replacing.py",
        'return bool(same and order["lots"] <= old["lots"])',
        "return False",
    ),
}


@pytest.mark.parametrize("shard", range(SHARDS))
def test_the_engine_matches_as_the_naive_book_does(shard: int) -> None:
    """Ten million orders, cancels and replacements: the same results, fills, rests, slices and ends in the
    same order, no fill with the own account, and at the end the same open orders.
    """
    stream, book, fills = run_both(100 + shard, OPERATIONS // SHARDS)
    assert fills > OPERATIONS // SHARDS // 10
    assert int(book.counts["orders"].sum()) > 40
    assert (stream.engine.world.house["due_count"] == 0).all()


@pytest.mark.parametrize("ahead", [False, True], ids=["plain", "with_hints"])
def test_the_bare_books_match_as_the_naive_book_does(ahead: bool) -> None:
    """Ten million messages as the benchmark reads them: the same trades in the same order, the same books;
    hints of what comes next change nothing.
    """
    rng, bare, book = np.random.default_rng(5 + ahead), Bare(), NaiveFile()
    next_id, trades = 0, 0
    for done in range(0, OPERATIONS // 2, GROUP):
        messages = draw_messages(rng, GROUP, done, next_id)
        next_id = max(next_id, int(messages["order_id"].max()), int(messages["new_order_id"].max()))
        expected, _ = book.run(messages)
        found = bare.run(messages, ahead)
        assert np.array_equal(expected, found), f"trades differ among the messages from {done}"
        trades += len(found)
    assert book.list_open() == bare.list_open()
    assert trades > OPERATIONS // 20


def test_orders_that_do_not_meet_may_change_places() -> None:
    """Messages of different books in any order, and neighbours that both rest untouched at different prices
    the other way round, make the same trades in each book.
    """
    messages = draw_messages(np.random.default_rng(8), GROUP, 0, 0)
    expected, quiet = NaiveFile().run(messages)
    by_book = messages[np.argsort(messages["instrument"], kind="stable")]
    trades = Bare().run(by_book, ahead=False)
    assert sorted(expected.tolist()) == sorted(trades.tolist())
    order = np.lexsort((np.arange(len(expected)), expected["taker_id"] % 8))
    assert np.array_equal(expected[order], trades)
    swapped = messages.copy()
    apart = (messages["price_ticks"][:-1] != messages["price_ticks"][1:]) | (
        messages["side"][:-1] != messages["side"][1:]
    )
    pairs, last = np.flatnonzero(quiet[:-1] & quiet[1:] & apart), -1
    changed = 0
    for at in pairs.tolist():
        if at > last:
            swapped[[at, at + 1]] = swapped[[at + 1, at]]
            last, changed = at + 1, changed + 1
    assert changed > 500
    assert np.array_equal(expected, Bare().run(swapped, ahead=False))


def run_planted(folder: Path, mutation: Mutation | None) -> subprocess.CompletedProcess[str]:
    """Compare in another process, as plain Python, on a mutated copy of the source."""
    source = copy_source(folder, mutation)
    environment = os.environ | {
        "NUMBA_DISABLE_JIT": "1",
        "PYTHONPATH": os.pathsep.join((str(source), str(ROOT))),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    command = [sys.executable, "-W", "error", "-m", "tests.matching.differential", "3", "1500"]
    return subprocess.run(command, env=environment, cwd=folder, capture_output=True, text=True, check=False)


def test_the_engine_agrees_in_plain_python(tmp_path: Path) -> None:
    """Without Numba, and without a bug, the comparison below finds nothing."""
    done = run_planted(tmp_path / "source", None)
    assert (0, "") == (done.returncode, done.stderr)


@pytest.mark.parametrize("name", PLANTED)
def test_a_planted_bug_is_caught(name: str, tmp_path: Path) -> None:
    """Each careless change of matching or of the books is found within 1,500 operations."""
    assert 1 == run_planted(tmp_path / "source", Mutation(*PLANTED[name])).returncode
