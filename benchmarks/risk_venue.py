"""A venue with as many accounts, instruments and positions as a benchmark asks for, made inside the engine:
each position is one side of a novated trade at the mark, so every sum is kept by the engine's own steps.
"""

from typing import Any

import numpy as np

from novate.execution.ledger import find_position, open_position, trade_position
from novate.kernel import kernel
from stream import Stream


@kernel
def trade_pairs(w: Any, pairs: Any) -> None:
    """Novate a trade for each row (buyer, seller, instrument, lots), at the mark and without fees."""
    for i in range(pairs.shape[0]):
        buyer, seller, number, lots = pairs[i, 0], pairs[i, 1], pairs[i, 2], pairs[i, 3]
        mark = w.instruments[number]["mark_atoms"]
        trade_position(w, open_position(w, buyer, number), 1, lots, mark, 0)
        trade_position(w, open_position(w, seller, number), -1, lots, mark, 0)
    # What was traded back to nothing would be released by the engine's own callers; no pair does that here.
    assert find_position(w, 0, 0) >= -1


def choose_pairs(accounts: int, instruments: int, held: int, seed: int = 5) -> Any:
    """Rows for `trade_pairs` after which each account holds `held` instruments: account 2k buys what 2k + 1
    sells, in an order that mixes the accounts.
    """
    rng = np.random.default_rng(seed)
    pairs = np.zeros((accounts // 2 * held, 4), np.int64)
    first = rng.integers(1, instruments, accounts // 2)
    strides = rng.integers(1, max(2, instruments // held), accounts // 2)
    pairs[:, 0] = np.repeat(2 * np.arange(accounts // 2), held)
    pairs[:, 1] = pairs[:, 0] + 1
    steps = first[:, None] + strides[:, None] * np.arange(held)[None, :]
    pairs[:, 2] = 1 + (steps - 1).ravel() % (instruments - 1)
    pairs[:, 3] = rng.integers(1, 20, len(pairs))
    swapped = rng.random(len(pairs)) < 0.5
    pairs[swapped, 0], pairs[swapped, 1] = pairs[swapped, 1], pairs[swapped, 0]
    rng.shuffle(pairs)
    return pairs


def make_venue(accounts: int, instruments: int, held: int) -> Stream:
    """A venue whose every account holds `held` instruments."""
    stream = Stream(accounts, instruments, positions=max(1 << 10, accounts * held))
    if held:
        trade_pairs(stream.engine.world, choose_pairs(accounts, instruments, held))
    return stream
